//! What a log consists of: start, command, commit and (4.0, 4.1) checkpoint entries.

use bytes::BufMut;

use super::crc::checksum;
use super::{EntryError, KernelVersion, LogPosition};
use crate::io::bytes::Reader;
use crate::store::id::TransactionId;

/// Kinds of entries in a transaction log. Specification: transaction log 3.2.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EntryType {
    /// A transaction begins.
    Start,
    /// One change of a transaction.
    Command,
    /// A transaction is complete.
    Commit,
    /// Everything before a position is in the store files; only in logs of 4.0 and 4.1.
    InlineCheckpoint,
}

/// The first two bytes of every entry.
///
/// | Offset | Size | Field                                            |
/// |-------:|-----:|--------------------------------------------------|
/// |      0 |    1 | version of the kernel, 0: not an entry           |
/// |      1 |    1 | type: 1 start, 3 command, 5 commit, 7 checkpoint |
///
/// Specification: transaction log 3.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EntryHead {
    /// Version of the kernel that wrote the entry.
    pub version: KernelVersion,
    /// What follows.
    pub kind: EntryType,
}

impl EntryHead {
    /// Bytes of a head.
    pub const SIZE: usize = 2;

    /// Reads a head; `None` where zeros, the end of the data, stand instead.
    #[inline]
    pub fn decode(reader: &mut Reader<'_>) -> Result<Option<Self>, EntryError> {
        let offset = reader.offset();
        let version = match reader.u8("entry version")? {
            0 => return Ok(None),
            KernelVersion::LEGACY => return Err(EntryError::Legacy { offset }),
            byte => KernelVersion::from_byte(byte)
                .ok_or(EntryError::UnknownVersion { offset, found: byte.cast_signed() })?,
        };
        let kind = match reader.u8("entry type")? {
            1 => EntryType::Start,
            3 => EntryType::Command,
            5 => EntryType::Commit,
            7 if version == KernelVersion::V4_0 => EntryType::InlineCheckpoint,
            found => {
                let expected = "an entry of a transaction log";
                return Err(EntryError::UnexpectedEntry { offset, expected, found, version });
            }
        };
        Ok(Some(Self { version, kind }))
    }

    /// Appends the head.
    pub fn encode(self, out: &mut impl BufMut) {
        out.put_u8(self.version.byte());
        out.put_u8(self.kind.byte());
    }
}

impl EntryType {
    /// Its number in a head.
    pub fn byte(self) -> u8 {
        match self {
            Self::Start => 1,
            Self::Command => 3,
            Self::Commit => 5,
            Self::InlineCheckpoint => 7,
        }
    }
}

/// The body of a start entry. The id of the transaction is not in it, only the commit entry has it.
///
/// | Offset | Size | Field                                                                 |
/// |-------:|-----:|-----------------------------------------------------------------------|
/// |      0 |    8 | when the transaction started, ms since the epoch                      |
/// |      8 |    8 | latest committed transaction at that moment                           |
/// |     16 |    4 | checksum of the transaction before, in the log of the server          |
/// |     20 |    4 | length of the additional header                                       |
/// |     24 |    n | additional header: 8 bytes with the Raft index in a cluster, else none |
///
/// Specification: transaction log 3.2, 3.6.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Start<'a> {
    /// When the transaction started, ms since the epoch.
    pub time: i64,
    /// Latest committed transaction when it started.
    pub latest_committed: TransactionId,
    /// Checksum of the transaction before, as the server's own log has it.
    pub previous_checksum: u32,
    /// Opaque; must be kept as it is.
    pub additional_header: &'a [u8],
}

impl<'a> Start<'a> {
    /// Reads what follows the head.
    #[inline]
    pub fn decode(reader: &mut Reader<'a>) -> Result<Self, EntryError> {
        let time = reader.i64("start time")?;
        let latest_committed = TransactionId(reader.i64("latest committed transaction")?);
        let previous_checksum = reader.i32("previous checksum")?.cast_unsigned();
        let length = length(reader, "additional header length")?;
        let additional_header = reader.bytes("additional header", length)?;
        Ok(Self { time, latest_committed, previous_checksum, additional_header })
    }

    /// Appends a whole start entry, head included. The additional header must be shorter than 2 GiB.
    pub fn encode(&self, version: KernelVersion, out: &mut impl BufMut) {
        EntryHead { version, kind: EntryType::Start }.encode(out);
        out.put_i64(self.time);
        out.put_i64(self.latest_committed.0);
        out.put_u32(self.previous_checksum);
        put_length(out, self.additional_header.len());
        out.put_slice(self.additional_header);
    }
}

/// The body of a commit entry. In a log file, not on the wire, the checksum of the transaction follows.
///
/// | Offset | Size | Field                               |
/// |-------:|-----:|-------------------------------------|
/// |      0 |    8 | transaction id                      |
/// |      8 |    8 | commit time, ms since the epoch     |
///
/// Specification: transaction log 3.2, 3.3.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Commit {
    /// The transaction that ends here.
    pub id: TransactionId,
    /// When it was committed, ms since the epoch.
    pub time: i64,
}

impl Commit {
    /// Reads what follows the head, the checksum not included.
    #[inline]
    pub fn decode(reader: &mut Reader<'_>) -> Result<Self, EntryError> {
        Ok(Self { id: TransactionId(reader.i64("transaction id")?), time: reader.i64("commit time")? })
    }

    /// Appends a whole commit entry as it is on the wire: head included, checksum not.
    pub fn encode(&self, version: KernelVersion, out: &mut impl BufMut) {
        EntryHead { version, kind: EntryType::Commit }.encode(out);
        out.put_i64(self.id.0);
        out.put_i64(self.time);
    }
}

/// A checkpoint of a 4.0 or 4.1 server, which stands between transactions.
///
/// | Offset | Size | Field                                    |
/// |-------:|-----:|------------------------------------------|
/// |      0 |    2 | head: version 1, type 7                  |
/// |      2 |    8 | number of the log file of the position   |
/// |     10 |    8 | offset of the position                   |
/// |     18 |    4 | checksum of the 18 bytes before          |
///
/// Specification: transaction log 3.2.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct InlineCheckpoint {
    /// Where recovery starts: everything before is in the store files.
    pub position: LogPosition,
}

impl InlineCheckpoint {
    /// Bytes of the entry.
    pub const SIZE: usize = 22;

    /// Reads a whole entry, head and checksum included.
    #[inline]
    pub fn decode(entry: &[u8; Self::SIZE]) -> Result<Self, EntryError> {
        let mut reader = Reader::new(entry);
        let head = EntryHead::decode(&mut reader)?;
        if head.is_none_or(|head| head.kind != EntryType::InlineCheckpoint) {
            let [_, found, ..] = *entry;
            let expected = "an inline checkpoint";
            let version = head.map_or(KernelVersion::V4_0, |head| head.version);
            return Err(EntryError::UnexpectedEntry { offset: 0, expected, found, version });
        }
        let position = LogPosition {
            log_version: reader.i64("checkpoint: log version")? as u64,
            offset: reader.i64("checkpoint: offset")? as u64,
        };
        let offset = reader.offset();
        let stored = reader.i32("checkpoint: checksum")?;
        let calculated = checksum(entry.get(..offset).unwrap_or_default()).cast_signed();
        if stored != calculated {
            return Err(EntryError::Checksum { offset, stored, calculated });
        }
        Ok(Self { position })
    }

    /// The bytes of the entry.
    pub fn encode(&self) -> [u8; Self::SIZE] {
        let mut entry = [0; Self::SIZE];
        if let Some((content, end)) = entry.split_last_chunk_mut::<4>() {
            let mut out = &mut *content;
            EntryHead { version: KernelVersion::V4_0, kind: EntryType::InlineCheckpoint }.encode(&mut out);
            out.put_u64(self.position.log_version);
            out.put_u64(self.position.offset);
            *end = checksum(content).to_be_bytes();
        }
        entry
    }
}

/// A 4-byte length or count, which must not be negative.
pub(super) fn length(reader: &mut Reader<'_>, field: &'static str) -> Result<usize, EntryError> {
    let offset = reader.offset();
    let found = reader.i32(field)?;
    usize::try_from(found).map_err(|_| EntryError::Invalid {
        field,
        offset,
        expected: "0 or greater",
        found: found.into(),
    })
}

/// Appends a length or count that comes from a slice in memory, for which 31 bits are enough by contract.
pub(super) fn put_length(out: &mut impl BufMut, length: usize) {
    out.put_i32(i32::try_from(length).unwrap_or(i32::MAX));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_inline_checkpoint_reads_as_in_the_specification() {
        let checkpoint = InlineCheckpoint { position: LogPosition { log_version: 0, offset: 64 } };
        let bytes = checkpoint.encode();
        let (content, end) = bytes.split_last_chunk::<4>().unwrap();
        assert_eq!(content, [1, 7, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x40]);
        assert_eq!(*end, [0x1d, 0x65, 0xb1, 0xdf]);
        assert_eq!(InlineCheckpoint::decode(&bytes), Ok(checkpoint));
        for bit in 0..8 * bytes.len() {
            let mut damaged = bytes;
            damaged[bit / 8] ^= 1 << (bit % 8);
            assert!(InlineCheckpoint::decode(&damaged).is_err(), "bit {bit}");
        }
    }
}
