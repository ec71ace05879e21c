//! The head of a log file, the same for transaction and checkpoint logs.

use bytes::BufMut;

use super::EntryError;
use crate::io::bytes::Reader;
use crate::store::id::{StoreId, StoreVersion, TransactionId};

/// What a log file starts with. Big-endian, no checksum.
///
/// | Offset | Size | Field                                                        |
/// |-------:|-----:|--------------------------------------------------------------|
/// |      0 |    1 | format: 7 from 4.0 on, 6 in 3.x                              |
/// |      1 |    7 | number of the file                                           |
/// |      8 |    8 | last committed transaction before this file                  |
/// |     16 |   40 | format 7: store id                                           |
/// |     56 |    8 | format 7: reserved, zero                                     |
///
/// Specification: transaction log 2.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LogHeader {
    /// Number of the file, the same as in its name.
    pub log_version: u64,
    /// Last committed transaction before this file; the first one in it is the next.
    pub last_committed: TransactionId,
    /// The store that the log belongs to; `None`: not told.
    pub store_id: Option<StoreId>,
    format: u8,
}

/// How "not told" is written: five times −1.
const UNKNOWN_STORE: StoreId = StoreId {
    creation_time: -1,
    random: -1,
    version: StoreVersion(u64::MAX),
    upgrade_time: -1,
    upgrade_transaction: -1,
};

impl LogHeader {
    /// Bytes of a header that this program writes.
    pub const SIZE: usize = 64;

    const FORMAT: u8 = 7;
    const LEGACY_FORMAT: u8 = 6;
    const LEGACY_SIZE: usize = 16;

    /// A header for a new file.
    pub fn new(log_version: u64, last_committed: TransactionId, store_id: StoreId) -> Self {
        Self { log_version, last_committed, store_id: Some(store_id), format: Self::FORMAT }
    }

    /// Bytes that the header takes in its file, which is where the entries start.
    pub fn size(&self) -> usize {
        if self.format == Self::LEGACY_FORMAT { Self::LEGACY_SIZE } else { Self::SIZE }
    }

    /// Reads the header at the start of `file`; `None`: there is none, because the file is too short or was only
    /// allocated so far.
    pub fn decode(file: &[u8]) -> Result<Option<Self>, EntryError> {
        match Self::decode_complete(&mut Reader::new(file)) {
            Err(EntryError::Incomplete(_)) => Ok(None),
            other => other,
        }
    }

    fn decode_complete(reader: &mut Reader<'_>) -> Result<Option<Self>, EntryError> {
        let [format, number @ ..]: [u8; 8] = reader.array("log version")?;
        if format == 0 && number == [0; 7] {
            return Ok(None);
        }
        if format != Self::FORMAT && format != Self::LEGACY_FORMAT {
            let (field, expected) = ("transaction log format version", "7 (or 6)");
            return Err(EntryError::Invalid { field, offset: 0, expected, found: format.into() });
        }
        let log_version = number.iter().fold(0, |value, &byte| value << 8 | u64::from(byte));
        let last_committed = TransactionId(reader.i64("last committed transaction")?);
        let store_id = if format == Self::LEGACY_FORMAT {
            None
        } else {
            let store_id = StoreId::decode(reader)?;
            reader.i64("reserved")?;
            (store_id != UNKNOWN_STORE).then_some(store_id)
        };
        Ok(Some(Self { log_version, last_committed, store_id, format }))
    }

    /// The bytes of the header.
    pub fn encode(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(Self::SIZE);
        bytes.put_u64(u64::from(self.format) << 56 | self.log_version & 0x00ff_ffff_ffff_ffff);
        bytes.put_i64(self.last_committed.0);
        if self.format != Self::LEGACY_FORMAT {
            self.store_id.unwrap_or(UNKNOWN_STORE).encode(&mut bytes);
            bytes.put_i64(0);
        }
        bytes
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    /// The store id of all worked examples in section 12 of the specification.
    pub fn example_store_id() -> StoreId {
        StoreId {
            creation_time: 1_650_000_000_000,
            random: 0x0123_4567_89ab_cdef,
            version: StoreVersion::from_name("SF4.3.0").unwrap(),
            upgrade_time: 1_650_000_000_000,
            upgrade_transaction: 1,
        }
    }

    #[test]
    fn the_worked_header_of_the_specification_comes_out() {
        let header = LogHeader::new(0, TransactionId(1), example_store_id());
        let bytes = [
            0x07, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, //
            0x00, 0x00, 0x01, 0x80, 0x2b, 0xa9, 0xf4, 0x00, 0x01, 0x23, 0x45, 0x67, 0x89, 0xab, 0xcd,
            0xef, //
            0x30, 0x2e, 0x33, 0x2e, 0x34, 0x46, 0x53, 0x07, 0x00, 0x00, 0x01, 0x80, 0x2b, 0xa9, 0xf4,
            0x00, //
            0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0,
        ];
        assert_eq!(header.encode(), bytes);
        assert_eq!(LogHeader::decode(&bytes), Ok(Some(header)));
        for cut in 0..bytes.len() {
            assert_eq!(LogHeader::decode(&bytes[..cut]), Ok(None), "cut at {cut}");
        }
    }

    #[test]
    fn other_formats_read_or_are_refused() {
        let mut bytes = LogHeader::new(0x00ff_ffff_ffff_ffff, TransactionId(-1), UNKNOWN_STORE).encode();
        let header = LogHeader::decode(&bytes).unwrap().unwrap();
        assert_eq!((header.log_version, header.store_id, header.size()), ((1 << 56) - 1, None, 64));
        assert_eq!(header.encode(), bytes);

        bytes[0] = 6;
        let legacy = LogHeader::decode(&bytes[..16]).unwrap().unwrap();
        assert_eq!((legacy.store_id, legacy.size()), (None, 16));
        assert_eq!(legacy.encode(), bytes[..16]);

        bytes[0] = 8;
        assert!(matches!(LogHeader::decode(&bytes), Err(EntryError::Invalid { found: 8, .. })));
        assert_eq!(LogHeader::decode(&[0; 4096]), Ok(None));
    }
}
