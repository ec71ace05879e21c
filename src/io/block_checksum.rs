//! How the CRC-32C of a block changes when a part of it does, without reading the rest of the block.
//!
//! A CRC is linear: the checksums of two blocks of one length differ by the checksum of their difference. Where the blocks
//! are equal but for a part, that is the checksum of the part's difference, moved over the bytes behind it: multiplied by
//! x^8 for each of them, modulo the polynomial.

/// The polynomial of CRC-32C, bits reversed: bit 31 is x^0.
const POLYNOMIAL: u32 = 0x82f6_3b78;

/// x^0 and x^8.
const ONE: u32 = 1 << 31;
const ONE_BYTE: u32 = 1 << 23;

/// What the checksum of a block is to be combined with (exclusive or) after a part with the checksum `old` became one with
/// the checksum `new`, and `behind` bytes of the block follow the part.
pub fn difference(old: u32, new: u32, behind: u64) -> u32 {
    multiply(power_of_bytes(behind), old ^ new)
}

/// x^(8 · 2^n), by n.
#[expect(clippy::indexing_slicing, reason = "what could panic would do so when this is compiled")]
const SQUARES: [u32; u64::BITS as usize] = {
    let mut squares = [ONE_BYTE; u64::BITS as usize];
    let mut n = 1;
    while n < squares.len() {
        squares[n] = multiply(squares[n - 1], squares[n - 1]);
        n += 1;
    }
    squares
};

/// x^(8 · bytes).
fn power_of_bytes(bytes: u64) -> u32 {
    let mut power = ONE;
    for (n, square) in SQUARES.iter().enumerate() {
        if bytes >> n & 1 == 1 {
            power = multiply(*square, power);
        }
    }
    power
}

/// The product of two polynomials, modulo the polynomial.
const fn multiply(a: u32, mut b: u32) -> u32 {
    let (mut product, mut mask) = (0, ONE);
    while mask != 0 {
        if a & mask != 0 {
            product ^= b;
        }
        mask >>= 1;
        b = if b & 1 == 1 { (b >> 1) ^ POLYNOMIAL } else { b >> 1 };
    }
    product
}

#[cfg(test)]
mod tests {
    use crc32c::crc32c;
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn the_checksum_of_a_changed_block_is_known_without_the_rest(
            block in prop::collection::vec(any::<u8>(), 1..5000),
            place in any::<prop::sample::Index>(),
            mut part in prop::collection::vec(any::<u8>(), 1..5000),
        ) {
            let from = place.index(block.len());
            part.truncate(block.len() - from);
            let to = from + part.len();
            let mut changed = block.clone();
            changed[from..to].copy_from_slice(&part);
            let behind = (block.len() - to) as u64;
            let difference = difference(crc32c(&block[from..to]), crc32c(&part), behind);
            prop_assert_eq!(crc32c(&block) ^ difference, crc32c(&changed));
        }
    }
}
