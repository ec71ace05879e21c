//! The checksum of transactions and checkpoints: CRC-32C (Castagnoli). Specification: transaction log 3.3.

/// What a transaction without predecessor names as the checksum before it.
pub const BASE_CHECKSUM: u32 = 0xdead_5eed;

/// Checksum of `bytes`.
pub fn checksum(bytes: &[u8]) -> u32 {
    crc32c::crc32c(bytes)
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_check_value_of_the_algorithm_comes_out() {
        assert_eq!(super::checksum(b"123456789"), 0xe306_9283);
    }
}
