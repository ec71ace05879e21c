//! What can be wrong with a log.

use std::path::PathBuf;

use super::{KernelVersion, LogPosition};
use crate::io::bytes::OutOfBytes;
use crate::io::disk::DiskError;
use crate::store::id::TransactionId;

/// What is wrong with the bytes of an entry. Offsets count from the start of the bytes that were decoded.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum EntryError {
    /// The entry goes on behind the bytes that are there.
    #[error("the entry is incomplete: {0}")]
    Incomplete(#[from] OutOfBytes),
    /// A field has a value that it cannot have.
    #[error("{field} at offset {offset} must be {expected}, found {found}")]
    Invalid {
        /// Name of the field, as the specification calls it.
        field: &'static str,
        /// Where the field starts.
        offset: usize,
        /// Which values are legal.
        expected: &'static str,
        /// The value there.
        found: i64,
    },
    /// An entry of Neo4j 3.x.
    #[error(
        "the entry at offset {offset} was written by Neo4j 3.x (version -10), which is not supported; \
         start the database once with Neo4j 4.4 and make a new backup"
    )]
    Legacy {
        /// Where the entry starts.
        offset: usize,
    },
    /// No kernel from 4.0 to 4.4 writes this version.
    #[error("the entry at offset {offset} has version {found}, versions 1 to 4 are supported")]
    UnknownVersion {
        /// Where the entry starts.
        offset: usize,
        /// The version there, as the signed number that it is.
        found: i8,
    },
    /// The version has no such entry, or not at this place.
    #[error("the entry at offset {offset} has type {found} (version {version}), expected {expected}")]
    UnexpectedEntry {
        /// Where the entry starts.
        offset: usize,
        /// Which entries may stand here.
        expected: &'static str,
        /// Type of the entry there.
        found: u8,
        /// Version of the entry there.
        version: KernelVersion,
    },
    /// The version has no such command.
    #[error("the command at offset {offset} has type {found}, which kernel version {version} does not have")]
    UnknownCommand {
        /// Where the type of the command stands.
        offset: usize,
        /// The type there.
        found: u8,
        /// Version of the entry.
        version: KernelVersion,
    },
    /// Entries of one transaction have different versions.
    #[error("the entry at offset {offset} has version {found} inside of a transaction of version {expected}")]
    MixedVersions {
        /// Where the entry starts.
        offset: usize,
        /// Version of the transaction's start.
        expected: KernelVersion,
        /// Version of this entry.
        found: KernelVersion,
    },
    /// The bytes are not those that were written.
    #[error(
        "the checksum {calculated} of the entries before offset {offset} did not match the stored checksum of {stored}"
    )]
    Checksum {
        /// Where the stored checksum stands.
        offset: usize,
        /// The checksum there.
        stored: i32,
        /// The checksum of the bytes that are there.
        calculated: i32,
    },
}

/// A failure of this room.
#[derive(Debug, thiserror::Error)]
pub enum LogError {
    /// The file system.
    #[error(transparent)]
    Disk(#[from] DiskError),
    /// A transaction is missing, or there twice.
    #[error("transaction {found} cannot be appended to the log where {expected} must follow")]
    Sequence {
        /// The transaction that must follow.
        expected: TransactionId,
        /// The one that was to be appended.
        found: TransactionId,
    },
    /// A transaction from the wire is damaged.
    #[error("a transaction is unreadable: {0}")]
    Wire(#[source] EntryError),
    /// A log file is damaged.
    #[error("{}: unreadable at offset {offset}: {source}; the log is damaged", file.display())]
    Damaged {
        /// The log file.
        file: PathBuf,
        /// Start of what could not be read; offsets in `source` count from here.
        offset: u64,
        /// What is wrong there.
        #[source]
        source: EntryError,
    },
    /// A file has a name like a log and no number in it.
    #[error("{}: the name of a log file must end in its number", file.display())]
    FileName {
        /// The file.
        file: PathBuf,
    },
    /// There are no log files where there must be some.
    #[error("{}: there are no transaction logs", directory.display())]
    NoLogs {
        /// Where they should be.
        directory: PathBuf,
    },
    /// A log file has no complete header.
    #[error("{}: the file has no log header of {} bytes", file.display(), super::header::LogHeader::SIZE)]
    NoHeader {
        /// The file.
        file: PathBuf,
    },
    /// A log file was renamed, or another one overwrote it.
    #[error("{}: Unexpected log file header. Expected header version: {expected}, actual header: {found}", file.display())]
    HeaderVersion {
        /// The file.
        file: PathBuf,
        /// The number in its name.
        expected: u64,
        /// The number in its header.
        found: u64,
    },
    /// A log file between others is missing.
    #[error("{}: the log file is missing, and there are later ones; without it they cannot be used", file.display())]
    MissingFile {
        /// The file.
        file: PathBuf,
    },
    /// A log file that others follow does not end with a complete transaction.
    #[error("{}: {} bytes behind offset {offset} are not readable, although another log file follows", file.display(), size - offset)]
    UnreadableEnd {
        /// The file.
        file: PathBuf,
        /// End of the last complete transaction.
        offset: u64,
        /// Size of the file.
        size: u64,
    },
    /// Behind the end of the log there is something that is no entry and no padding.
    #[error("{}: there is data behind offset {offset}, where the log ends; the log is damaged", file.display())]
    DataBehindEnd {
        /// The file.
        file: PathBuf,
        /// Where the log ends.
        offset: u64,
    },
    /// A transaction is missing in a log, or there twice. Neo4j itself would replay it silently.
    #[error("{}: transaction {found} at offset {offset} follows where {expected} must; the log is not complete", file.display())]
    Gap {
        /// The file.
        file: PathBuf,
        /// Where the transaction starts.
        offset: u64,
        /// The transaction that must follow.
        expected: TransactionId,
        /// The one that does.
        found: TransactionId,
    },
    /// A checkpoint names a place that is not in the logs.
    #[error("{}: the last checkpoint does not point to a valid location in the transaction logs: {position}, {reason}", file.display())]
    CheckpointPosition {
        /// The checkpoint log.
        file: PathBuf,
        /// What the checkpoint names.
        position: LogPosition,
        /// What is wrong with it.
        reason: &'static str,
    },
    /// Nothing tells from where the logs have to be replayed.
    #[error("No check point found in any log file from version {lowest} to {highest}")]
    NoCheckpoint {
        /// The first log file.
        lowest: u64,
        /// The last one.
        highest: u64,
    },
}
