//! The checksum of transactions and checkpoints: CRC-32C (Castagnoli). Specification: transaction log 3.3.

/// What a transaction without predecessor names as the checksum before it.
pub const BASE_CHECKSUM: u32 = 0xdead_5eed;

/// Checksum of `bytes`.
pub fn checksum(bytes: &[u8]) -> u32 {
    crc32c::crc32c(bytes)
}

/// Checksum of bytes whose beginning has the checksum `before` and that go on with `bytes`; 0 before the first of them.
pub(super) fn append(before: u32, bytes: &[u8]) -> u32 {
    crc32c::crc32c_append(before, bytes)
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_check_value_of_the_algorithm_comes_out() {
        assert_eq!(super::checksum(b"123456789"), 0xe306_9283);
        let parts: [&[u8]; 4] = [b"1234", b"", b"5", b"6789"];
        assert_eq!(parts.into_iter().fold(0, super::append), 0xe306_9283);
    }
}
