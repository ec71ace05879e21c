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
    #[error("{}: unreadable behind offset {}: {source}; the log is damaged", file.display(), position.offset)]
    Damaged {
        /// The log file.
        file: PathBuf,
        /// Start of what could not be read; offsets in `source` count from here.
        position: LogPosition,
        /// What is wrong there.
        #[source]
        source: EntryError,
    },
}
