//! Streams of bits: the lowest bit of a word or byte comes first. Specification: store format 6.1.

/// The `width` bits (up to 64) from bit `at` of the stream that the words are; bits behind the end are 0.
pub(super) fn of_words(words: &[u64], at: usize, width: usize) -> u64 {
    let word = |index: usize| words.get(index).copied().unwrap_or_default();
    let (index, shift) = (at / 64, at % 64);
    let low = word(index) >> shift;
    let high = if shift == 0 { 0 } else { word(index + 1) << (64 - shift) };
    (low | high) & mask(width)
}

/// The same of the stream that the bytes are.
pub(super) fn of_bytes(bytes: &[u8], at: usize, width: usize) -> u64 {
    let rest = bytes.get(at / 8..).unwrap_or_default();
    // 64 bits that start inside of a byte touch nine.
    let wide = rest.iter().take(9).rev().fold(0_u128, |wide, &byte| wide << 8 | u128::from(byte));
    (wide >> (at % 8)) as u64 & mask(width)
}

fn mask(width: usize) -> u64 {
    if width >= 64 { u64::MAX } else { (1 << width) - 1 }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn words_and_their_little_endian_bytes_are_the_same_stream(
            words: [u64; 4],
            at in 0_usize..256,
            width in 1_usize..=64,
        ) {
            let bytes: Vec<u8> = words.iter().flat_map(|word| word.to_le_bytes()).collect();
            prop_assert_eq!(of_words(&words, at, width), of_bytes(&bytes, at, width));
            let bit = |at: usize| bytes.get(at / 8).map_or(0, |byte| u64::from(byte >> (at % 8) & 1));
            let slow = (0..width).map(|index| bit(at + index) << index).sum::<u64>();
            prop_assert_eq!(of_words(&words, at, width), slow);
        }
    }
}
