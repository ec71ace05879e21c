//! Blocks of 128 numbers below 2³², all with the same number of bits.
//!
//! A block is made for vector instructions. Up to 8 bits its numbers are bytes in 16 words of 64 bits, up to 16 bits they
//! are in 32 words, else in 64; number `i` is in word `i mod words`, the first one in the highest place. All places of a
//! word are treated alike ("lanes"). With `b` bits for each number, `2 b` words are written, little-endian. From the highest
//! bit of each lane down, each of them has the lanes of as many words as fit in whole; bits that are left over at the low
//! end of the lanes have the rest of the words, piece by piece.

/// Numbers of a block.
pub(super) const BLOCK: usize = 128;

/// Bytes of a block with `bits` for each number.
pub(super) fn length(bits: u32) -> usize {
    bits as usize * BLOCK / 8
}

/// The lowest `bits` of each lane of `lane` bits.
fn mask(lane: u32, bits: u32) -> u64 {
    let one = 1_u64.unbounded_shl(bits).wrapping_sub(1);
    (0..64 / lane).fold(0, |mask, at| mask | one << (at * lane))
}

/// Decodes a block of 1 to 32 bits for each number; bytes that are not there are zeros.
pub(super) fn decode(bits: u32, bytes: &[u8], numbers: &mut [u32; BLOCK]) {
    let lane = match bits {
        0..=8 => 8,
        9..=16 => 16,
        _ => 32,
    };
    let written = 2 * bits as usize;
    let mut source = [0_u64; 64];
    for (word, bytes) in source.iter_mut().zip(bytes.as_chunks::<8>().0) {
        *word = u64::from_le_bytes(*bytes);
    }
    let source = source.get(..written).unwrap_or(&source);
    let mut words = [0_u64; 64];
    let mut places = words.iter_mut().take(2 * lane as usize);
    let whole = mask(lane, bits);
    let mut shift = lane - bits;
    let left = loop {
        for (from, to) in source.iter().zip(places.by_ref().take(written)) {
            *to = from >> shift & whole;
        }
        if shift < bits {
            break shift;
        }
        shift -= bits;
    };
    if left > 0 {
        let mut rest = source.iter();
        let (mut from, mut available) = (rest.next().copied().unwrap_or_default(), left);
        for to in places {
            let mut needed = bits;
            while needed > 0 {
                if available == 0 {
                    (from, available) = (rest.next().copied().unwrap_or_default(), left);
                }
                let taken = needed.min(available);
                available -= taken;
                needed -= taken;
                *to |= (from >> available & mask(lane, taken)) << needed;
            }
        }
    }
    let words = words.get(..2 * lane as usize).unwrap_or(&words);
    let shifts = (0..64 / lane).rev().map(|place| place * lane);
    let lanes =
        shifts.flat_map(|shift| words.iter().map(move |word| word >> shift & (u64::MAX >> (64 - lane))));
    for (number, lane) in numbers.iter_mut().zip(lanes) {
        *number = u32::try_from(lane).unwrap_or_default();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// The description above, the other way and bit by bit.
    fn encode(bits: u32, numbers: &[u32; BLOCK]) -> Vec<u8> {
        let lane = if bits <= 8 {
            8
        } else if bits <= 16 {
            16
        } else {
            32
        };
        let count = 2 * lane as usize;
        let mut written = vec![0_u64; 2 * bits as usize];
        for group in 0..64 / lane {
            let base = 64 - lane * (group + 1);
            let lanes = &numbers[group as usize * count..][..count];
            // Bits of this lane of the written words, in the order in which they are filled.
            let whole = lane / bits;
            let mut places: Vec<(usize, u32)> = Vec::new();
            for turn in 0..whole {
                for word in 0..written.len() {
                    places.extend((0..bits).map(|bit| (word, lane - 1 - turn * bits - bit)));
                }
            }
            for word in 0..written.len() {
                places.extend((0..lane - whole * bits).rev().map(|bit| (word, bit)));
            }
            let stream = lanes.iter().flat_map(|number| (0..bits).rev().map(move |bit| number >> bit & 1));
            for ((word, bit), value) in places.into_iter().zip(stream) {
                written[word] |= u64::from(value) << (base + bit);
            }
        }
        written.into_iter().flat_map(u64::to_le_bytes).collect()
    }

    proptest! {
        #[test]
        fn blocks_of_every_width_are_decoded(bits in 1_u32..=32, random in prop::collection::vec(any::<u32>(), BLOCK)) {
            let mut numbers = [0; BLOCK];
            for (number, random) in numbers.iter_mut().zip(random) {
                *number = random >> (32 - bits);
            }
            let bytes = encode(bits, &numbers);
            prop_assert_eq!(bytes.len(), length(bits));
            let mut found = [0; BLOCK];
            decode(bits, &bytes, &mut found);
            prop_assert_eq!(found, numbers);
        }
    }
}
