//! A transaction as catchup sends it: start, commands and commit, without the checksum that a log file has behind them.
//!
//! Commands have no length field and a frame does not tell the length of each transaction in it, so the end of one is
//! found by reading all of it. Specification: protocol 4.5.

use super::command::Command;
use super::entry::{Commit, EntryHead, EntryType, Start};
use super::{EntryError, KernelVersion, LogError};
use crate::io::bytes::Reader;
use crate::store::id::TransactionId;

/// A transaction that starts at the beginning of some bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WireTransaction {
    /// Its bytes, from the start entry to the end of the commit entry.
    pub length: usize,
    /// Its id.
    pub id: TransactionId,
    /// Version in all of its entries.
    pub kernel_version: KernelVersion,
    /// Checksum of the transaction before it in the log of the server, not necessarily in a log of the same bytes.
    pub previous_checksum: u32,
    /// When it started, ms since the epoch.
    pub start_time: i64,
    /// When it was committed, ms since the epoch.
    pub commit_time: i64,
    /// Latest committed transaction when it started.
    pub latest_committed: TransactionId,
}

/// Reads the transaction at the beginning of `bytes`; `None`: it goes on behind them.
///
/// Nothing is allocated, and no length in the bytes is trusted.
pub fn scan(bytes: &[u8]) -> Result<Option<WireTransaction>, LogError> {
    match decode(bytes) {
        Ok(transaction) => Ok(Some(transaction)),
        Err(EntryError::Incomplete(_)) => Ok(None),
        Err(source) => Err(LogError::Wire(source)),
    }
}

/// Reads the transaction at the beginning of `bytes`.
pub(super) fn decode(bytes: &[u8]) -> Result<WireTransaction, EntryError> {
    let reader = &mut Reader::new(bytes);
    let mut scan = Scan::begin(reader)?;
    loop {
        if let Some(transaction) = scan.entry(reader)? {
            return Ok(transaction);
        }
    }
}

/// What the entries of a transaction have told so far. They may be read from one part of it after the other.
#[derive(Clone, Copy, Debug)]
pub(super) struct Scan {
    version: KernelVersion,
    previous_checksum: u32,
    start_time: i64,
    latest_committed: TransactionId,
    /// Bytes of the entries.
    length: usize,
}

impl Scan {
    /// Reads the start entry, with which `reader` begins.
    pub(super) fn begin(reader: &mut Reader<'_>) -> Result<Self, EntryError> {
        let first = head(reader)?;
        if first.kind != EntryType::Start {
            return Err(unexpected(first, 0, "a transaction start"));
        }
        let start = Start::decode(reader)?;
        Ok(Self {
            version: first.version,
            previous_checksum: start.previous_checksum,
            start_time: start.time,
            latest_committed: start.latest_committed,
            length: reader.offset(),
        })
    }

    /// Reads the next entry; the transaction, if it ends with it. After an error the same entry may be read again.
    pub(super) fn entry(&mut self, reader: &mut Reader<'_>) -> Result<Option<WireTransaction>, EntryError> {
        let offset = reader.offset();
        let next = head(reader)?;
        if next.version != self.version {
            let (expected, found) = (self.version, next.version);
            return Err(EntryError::MixedVersions { offset, expected, found });
        }
        let commit = match next.kind {
            EntryType::Command => {
                Command::decode_with(next.version, reader, |_| ())?;
                None
            }
            EntryType::Commit => Some(Commit::decode(reader)?),
            EntryType::Start | EntryType::InlineCheckpoint => {
                return Err(unexpected(next, offset, "a command or a commit"));
            }
        };
        self.length += reader.offset() - offset;
        Ok(commit.map(|commit| WireTransaction {
            length: self.length,
            id: commit.id,
            kernel_version: self.version,
            previous_checksum: self.previous_checksum,
            start_time: self.start_time,
            commit_time: commit.time,
            latest_committed: self.latest_committed,
        }))
    }
}

/// Lends the next command of a transaction, from any of its entries on; `None`: it is over.
#[inline]
pub(super) fn next_command<'a, R>(
    reader: &mut Reader<'a>,
    each: impl FnOnce(&Command<'a>) -> R,
) -> Result<Option<R>, EntryError> {
    loop {
        let offset = reader.offset();
        let next = head(reader)?;
        match next.kind {
            EntryType::Start => drop(Start::decode(reader)?),
            EntryType::Command => return Command::decode_with(next.version, reader, each).map(Some),
            EntryType::Commit => return Ok(None),
            EntryType::InlineCheckpoint => return Err(unexpected(next, offset, "a command or a commit")),
        }
    }
}

/// The start entry of the transaction at the beginning of `bytes`.
pub fn start(bytes: &[u8]) -> Result<Start<'_>, LogError> {
    let mut reader = Reader::new(bytes);
    head(&mut reader).and_then(|_| Start::decode(&mut reader)).map_err(LogError::Wire)
}

/// Commands of a transaction that [`scan`] has accepted.
#[derive(Clone, Debug)]
pub struct Commands<'a> {
    rest: Reader<'a>,
}

impl<'a> Commands<'a> {
    /// Of the transaction at the beginning of `bytes`.
    pub fn new(bytes: &'a [u8]) -> Result<Self, LogError> {
        let mut rest = Reader::new(bytes);
        head(&mut rest).and_then(|_| Start::decode(&mut rest)).map_err(LogError::Wire)?;
        Ok(Self { rest })
    }
}

impl<'a> Iterator for Commands<'a> {
    type Item = Command<'a>;

    /// The next command; none behind the last, and from the first that is damaged on.
    fn next(&mut self) -> Option<Self::Item> {
        let entry = head(&mut self.rest).ok().filter(|entry| entry.kind == EntryType::Command)?;
        Command::decode(entry.version, &mut self.rest).ok()
    }
}

#[inline]
fn head(reader: &mut Reader<'_>) -> Result<EntryHead, EntryError> {
    let offset = reader.offset();
    EntryHead::decode(reader)?.ok_or(EntryError::UnknownVersion { offset, found: 0 })
}

fn unexpected(head: EntryHead, offset: usize, expected: &'static str) -> EntryError {
    EntryError::UnexpectedEntry { offset, expected, found: head.kind.byte(), version: head.version }
}

#[cfg(test)]
pub(super) mod tests {
    use super::super::command::counts::{MetadataChange, MetadataImage, NodeCount};
    use super::super::command::dynamic::DynamicRecords;
    use super::super::command::node::{NodeCommand, NodeImage};
    use super::super::command::{Change, RecordFlags};
    use super::super::crc::checksum;
    use super::*;
    use crate::store::id::NodeId;
    use crate::store::record::NodeChain;

    /// A node without relationships and properties.
    fn image(flags: u8, labels: u64) -> NodeImage<'static> {
        NodeImage {
            flags: RecordFlags(flags),
            chain: NodeChain::Sparse(None),
            property: None,
            labels,
            secondary_unit: None,
            label_records: DynamicRecords::default(),
        }
    }

    /// The transaction that creates node 0, as in section 12.1 of the specification.
    pub fn create_node() -> Vec<u8> {
        let change = Change { before: image(2, 0), after: image(3, 0) };
        let commands = [
            Command::Node(NodeCommand { id: NodeId(0), change }),
            Command::NodeCount(NodeCount { label: None, delta: 1 }),
        ];
        transaction(
            KernelVersion::V4_4,
            0xdead_5eed,
            (1_650_000_001_000, 1),
            &commands,
            (2, 1_650_000_001_005),
        )
    }

    /// A transaction that creates so many nodes that it has at least `size` bytes.
    pub fn nodes(id: i64, size: usize) -> Vec<u8> {
        let command = |id| {
            let change = Change { before: image(2, 0), after: image(3, 0x10_0000_0000 | id & 0xff) };
            Command::Node(NodeCommand { id: NodeId(id), change })
        };
        let mut length = Vec::new();
        command(0).encode(&mut length);
        let count = size / length.len();
        let commands: Vec<_> = (0..count as u64).map(command).collect();
        transaction(KernelVersion::V4_4, 7, (1_650_000_001_000, id - 1), &commands, (id, 1_650_000_001_005))
    }

    /// The transaction of section 12.4, which upgrades the kernel version from 2 to 4.
    pub fn upgrade_kernel() -> Vec<u8> {
        let image = |value| MetadataImage { flags: RecordFlags(1), value };
        let change = Change { before: image(2), after: image(4) };
        let commands = [Command::Metadata(MetadataChange { field: 19, change })];
        transaction(
            KernelVersion::V4_4,
            0x56ef_c4c0,
            (1_650_000_002_000, 2),
            &commands,
            (3, 1_650_000_002_001),
        )
    }

    fn transaction(
        version: KernelVersion,
        previous_checksum: u32,
        (time, latest): (i64, i64),
        commands: &[Command<'_>],
        (id, commit_time): (i64, i64),
    ) -> Vec<u8> {
        let mut bytes = Vec::new();
        let latest_committed = TransactionId(latest);
        Start { time, latest_committed, previous_checksum, additional_header: &[] }
            .encode(version, &mut bytes);
        for command in commands {
            EntryHead { version, kind: EntryType::Command }.encode(&mut bytes);
            command.encode(&mut bytes);
        }
        Commit { id: TransactionId(id), time: commit_time }.encode(version, &mut bytes);
        bytes
    }

    #[test]
    fn worked_transactions_of_the_specification_come_out() {
        let bytes = create_node();
        assert_eq!(checksum(&bytes), 0x56ef_c4c0);
        let transaction = scan(&bytes).unwrap().unwrap();
        assert_eq!(transaction.length, 105);
        assert_eq!(transaction.id, TransactionId(2));
        assert_eq!(transaction.previous_checksum, 0xdead_5eed);
        assert_eq!((transaction.start_time, transaction.commit_time), (1_650_000_001_000, 1_650_000_001_005));

        let bytes = upgrade_kernel();
        assert_eq!(checksum(&bytes), 0x3897_e2f6);
        assert_eq!(scan(&bytes).unwrap().unwrap().length, 73);
        let commands: Vec<_> = Commands::new(&bytes).unwrap().collect();
        let [Command::Metadata(change)] = commands[..] else { panic!("{commands:?}") };
        assert_eq!((change.field, change.change.before.value, change.change.after.value), (19, 2, 4));
    }

    #[test]
    fn an_additional_header_is_part_of_the_transaction() {
        let mut bytes = create_node();
        bytes.splice(22..26, [0, 0, 0, 8, 0, 0, 0, 0, 0, 0, 0, 42]);
        assert_eq!(bytes.len(), 113);
        assert_eq!(checksum(&bytes), 0x4c12_df30);
        assert_eq!(scan(&bytes).unwrap().unwrap().length, 113);
    }

    #[test]
    fn the_end_is_found_and_each_shorter_input_needs_more() {
        let bytes = create_node();
        for cut in 0..bytes.len() {
            assert_eq!(scan(&bytes[..cut]).unwrap(), None, "cut at {cut}");
        }
        let both = [&bytes[..], &upgrade_kernel()].concat();
        assert_eq!(scan(&both).unwrap().unwrap().length, bytes.len());
    }

    #[test]
    fn what_cannot_stand_in_a_transaction_is_refused() {
        let damaged = |offset: usize, byte: u8| {
            let mut bytes = create_node();
            bytes[offset] = byte;
            match scan(&bytes) {
                Err(LogError::Wire(error)) => error,
                other => panic!("{other:?}"),
            }
        };
        assert_eq!(damaged(0, 0xf6), EntryError::Legacy { offset: 0 });
        assert_eq!(damaged(0, 0), EntryError::UnknownVersion { offset: 0, found: 0 });
        assert_eq!(damaged(0, 5), EntryError::UnknownVersion { offset: 0, found: 5 });
        let version = KernelVersion::V4_4;
        let expected = "a transaction start";
        assert_eq!(damaged(1, 5), EntryError::UnexpectedEntry { offset: 0, expected, found: 5, version });
        let expected = "a command or a commit";
        assert_eq!(damaged(27, 1), EntryError::UnexpectedEntry { offset: 26, expected, found: 1, version });
        let expected = "an entry of a transaction log";
        assert_eq!(damaged(27, 8), EntryError::UnexpectedEntry { offset: 26, expected, found: 8, version });
        let (expected, found) = (version, KernelVersion::V4_3);
        assert_eq!(damaged(26, 3), EntryError::MixedVersions { offset: 26, expected, found });
        // A length below zero.
        assert!(matches!(damaged(22, 0x80), EntryError::Invalid { offset: 22, .. }));
    }
}
