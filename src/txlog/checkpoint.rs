//! Detached checkpoints, which 4.2 and later keep in files of their own.

use std::fmt;
use std::path::Path;

use bytes::BufMut;

use super::crc::checksum;
use super::header::LogHeader;
use super::{EntryError, KernelVersion, LogError, LogPosition};
use crate::io::bytes::Reader;
use crate::io::disk::{DiskFile, SharedDisk};
use crate::store::id::{StoreId, TransactionId};
use crate::store::layout;

/// A record of a checkpoint log: everything before a position of the transaction logs is in the store files.
///
/// | Offset | Size | Field                                     |
/// |-------:|-----:|-------------------------------------------|
/// |      0 |    1 | version: 4 by 4.4, 3 by 4.2 and 4.3       |
/// |      1 |    1 | type, 8                                   |
/// |      2 |    8 | number of the log file of the position    |
/// |     10 |    8 | offset of the position                    |
/// |     18 |    8 | time, ms since the epoch                  |
/// |     26 |   40 | store id                                  |
/// |     66 |    2 | length of the reason, at most 120         |
/// |     68 |  120 | reason, padded with zeros                 |
/// |    188 |    4 | checksum of the 188 bytes before          |
///
/// Specification: transaction log 3.2.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Checkpoint {
    /// Version of the program that wrote it.
    pub version: KernelVersion,
    /// Where recovery starts.
    pub position: LogPosition,
    /// When it was made, ms since the epoch.
    pub time: i64,
    /// The store that it belongs to.
    pub store_id: StoreId,
    /// Why it was made.
    pub reason: Reason,
}

/// A text of at most 120 bytes.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Reason {
    text: [u8; Self::MAX],
    length: usize,
}

impl Reason {
    const MAX: usize = 120;

    /// A text, cut at 120 bytes as Neo4j does it.
    pub fn new(text: &str) -> Self {
        let mut reason = Self { text: [0; Self::MAX], length: text.len().min(Self::MAX) };
        for (slot, byte) in reason.text.iter_mut().zip(text.bytes()) {
            *slot = byte;
        }
        reason
    }

    /// The bytes of the text; the last character may be cut.
    pub fn as_bytes(&self) -> &[u8] {
        self.text.get(..self.length).unwrap_or_default()
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&String::from_utf8_lossy(self.as_bytes()))
    }
}

impl fmt::Debug for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", self.to_string())
    }
}

impl Checkpoint {
    /// Bytes of a record.
    pub const SIZE: usize = 192;

    /// What Neo4j's own backup client gives as the reason behind a full copy.
    pub const FULL_COPY: &'static str = "Full store copy checkpoint.";

    const TYPE: u8 = 8;

    /// Reads a record.
    pub fn decode(record: &[u8; Self::SIZE]) -> Result<Self, EntryError> {
        let mut reader = Reader::new(record);
        let version = match reader.u8("checkpoint version")? {
            KernelVersion::LEGACY => return Err(EntryError::Legacy { offset: 0 }),
            byte => KernelVersion::from_byte(byte)
                .ok_or(EntryError::UnknownVersion { offset: 0, found: byte.cast_signed() })?,
        };
        let found = reader.u8("checkpoint type")?;
        if found != Self::TYPE || version == KernelVersion::V4_0 {
            let expected = "a detached checkpoint";
            return Err(EntryError::UnexpectedEntry { offset: 0, expected, found, version });
        }
        let position = LogPosition {
            log_version: reader.i64("checkpoint: log version")? as u64,
            offset: reader.i64("checkpoint: offset")? as u64,
        };
        let time = reader.i64("checkpoint: time")?;
        let store_id = StoreId::decode(&mut reader)?;
        let (field, offset) = ("checkpoint: reason length", reader.offset());
        let length = usize::from(reader.u16(field)?);
        let text = reader.array("checkpoint: reason")?;
        let end = reader.offset();
        let stored = reader.i32("checkpoint: checksum")?;
        let calculated = checksum(record.get(..end).unwrap_or_default()).cast_signed();
        if stored != calculated {
            return Err(EntryError::Checksum { offset: end, stored, calculated });
        }
        if length > Reason::MAX {
            return Err(EntryError::Invalid { field, offset, expected: "0 to 120", found: length as i64 });
        }
        Ok(Self { version, position, time, store_id, reason: Reason { text, length } })
    }

    /// The bytes of the record.
    pub fn encode(&self) -> Vec<u8> {
        let mut record = Vec::with_capacity(Self::SIZE);
        record.put_u8(self.version.byte());
        record.put_u8(Self::TYPE);
        record.put_u64(self.position.log_version);
        record.put_u64(self.position.offset);
        record.put_i64(self.time);
        self.store_id.encode(&mut record);
        record.put_u16(u16::try_from(self.reason.length).unwrap_or_default());
        record.put_slice(&self.reason.text);
        let end = checksum(&record);
        record.put_u32(end);
        record
    }
}

/// The checkpoint behind a full copy: recovery is to replay everything that was pulled.
#[derive(Clone, Copy, Debug)]
pub struct FullCopy {
    /// Number of the checkpoint log, from the metadata store of the copy.
    pub checkpoint_log_version: u64,
    /// Number of the first transaction log of the copy.
    pub first_log_version: u64,
    /// The transaction before the first that was pulled, as in the header of that log.
    pub last_committed_before: TransactionId,
    /// The store, from the metadata store of the copy.
    pub store_id: StoreId,
    /// Now, ms since the epoch.
    pub time: i64,
}

impl FullCopy {
    /// Writes the checkpoint log; the caller forces it. Specification: transaction log 9.5.
    pub fn write(&self, disk: &SharedDisk, directory: &Path) -> Result<Box<dyn DiskFile>, LogError> {
        let header = LogHeader::new(self.checkpoint_log_version, self.last_committed_before, self.store_id);
        let record = Checkpoint {
            version: KernelVersion::LATEST,
            position: LogPosition { log_version: self.first_log_version, offset: LogHeader::SIZE as u64 },
            time: self.time,
            store_id: self.store_id,
            reason: Reason::new(Checkpoint::FULL_COPY),
        };
        let name = layout::checkpoint_file_name(self.checkpoint_log_version);
        let file = disk.create(&directory.join(name), 0o666)?;
        file.write_at(0, &[header.encode(), record.encode()].concat())?;
        Ok(file)
    }
}

#[cfg(test)]
mod tests {
    use super::super::header::tests::example_store_id;
    use super::*;
    use crate::io::disk::OsDisk;

    fn record(offset: u64, time: i64, reason: &str) -> Checkpoint {
        Checkpoint {
            version: KernelVersion::V4_4,
            position: LogPosition { log_version: 0, offset },
            time,
            store_id: example_store_id(),
            reason: Reason::new(reason),
        }
    }

    #[test]
    fn the_worked_records_of_the_specification_come_out() {
        let recovered = "Checkpoint triggered by \"Recovery completed.\" @ txId: 2";
        for (record, length, end) in [
            (record(64, 1_650_000_002_000, Checkpoint::FULL_COPY), 27, [0x00, 0xb0, 0x85, 0x4f]),
            (record(173, 1_650_000_003_000, recovered), 55, [0xa0, 0xbb, 0xb8, 0x26]),
        ] {
            let bytes: [u8; Checkpoint::SIZE] = record.encode().try_into().unwrap();
            assert_eq!((&bytes[..2], &bytes[66..68]), (&[4, 8][..], &[0, length][..]));
            assert_eq!(bytes[188..], end);
            assert_eq!(Checkpoint::decode(&bytes), Ok(record));
            for bit in 0..8 * bytes.len() {
                let mut damaged = bytes;
                damaged[bit / 8] ^= 1 << (bit % 8);
                assert!(Checkpoint::decode(&damaged).is_err(), "bit {bit}");
            }
        }
    }

    #[test]
    fn the_checkpoint_of_a_full_copy_points_behind_the_header_of_the_first_log() {
        let dir = tempfile::tempdir().unwrap();
        let copy = FullCopy {
            checkpoint_log_version: 3,
            first_log_version: 12,
            last_committed_before: TransactionId(99),
            store_id: example_store_id(),
            time: 1_650_000_002_000,
        };
        copy.write(&OsDisk::shared(), dir.path()).unwrap();
        let bytes = std::fs::read(dir.path().join("checkpoint.3")).unwrap();
        let (header, record) = bytes.split_at(64);
        let header = LogHeader::decode(header).unwrap().unwrap();
        assert_eq!((header.log_version, header.last_committed), (3, TransactionId(99)));
        let record = Checkpoint::decode(record.try_into().unwrap()).unwrap();
        assert_eq!(record.position, LogPosition { log_version: 12, offset: 64 });
        assert_eq!(record.reason.to_string(), "Full store copy checkpoint.");
    }

    #[test]
    fn a_reason_is_cut_at_120_bytes() {
        let long = "é".repeat(100);
        let reason = Reason::new(&long);
        assert_eq!(reason.as_bytes(), &long.as_bytes()[..120]);
        let odd = Reason::new(&format!("a{long}"));
        assert_eq!(odd.as_bytes().len(), 120);
        assert!(odd.to_string().ends_with('\u{fffd}'));
    }
}
