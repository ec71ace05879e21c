//! Transaction logs: the entries and commands in them, the files that hold them, and their checkpoints.
//!
//! The same encoding serves two places. On the wire a transaction is [`wire`] bytes; in a log file the same bytes are
//! followed by their checksum. What the product receives it appends as received, so encoding is only needed where it
//! makes a log of its own. Everything here is big-endian.

pub mod checkpoint;
pub mod command;
pub mod continuation;
pub mod crc;
pub mod entry;
mod error;
pub mod files;
pub mod follow;
pub mod header;
mod logged;
mod read_window;
pub mod reader;
pub mod retention;
pub mod tail;
pub mod wire;
pub mod writer;

use std::fmt;

pub use error::{EntryError, LogError};

/// Which kernel wrote a transaction; it decides how its commands are laid out. Specification: transaction log 3.1.
///
/// It belongs to the transaction, not to the server: a 4.4 server goes on with the version of an older database until
/// that is upgraded.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum KernelVersion {
    /// Neo4j 4.0 and 4.1.
    V4_0 = 1,
    /// Neo4j 4.2.
    V4_2 = 2,
    /// Neo4j 4.3 (`V4_3_D4` there).
    V4_3 = 3,
    /// Neo4j 4.4.
    V4_4 = 4,
}

impl KernelVersion {
    /// What Neo4j 3.x wrote as a version. Such logs have no checksums and another catalogue of commands.
    pub const LEGACY: u8 = 0xf6;

    /// The version that this program writes into entries of its own, as Neo4j 4.4 does.
    pub const LATEST: Self = Self::V4_4;

    /// The version with this number; `None` for a number that no 4.x kernel uses.
    pub fn from_byte(byte: u8) -> Option<Self> {
        match byte {
            1 => Some(Self::V4_0),
            2 => Some(Self::V4_2),
            3 => Some(Self::V4_3),
            4 => Some(Self::V4_4),
            _ => None,
        }
    }

    /// Its number in entries and in the metadata store.
    pub fn byte(self) -> u8 {
        self as u8
    }

    /// Whether commands know token indexes as rules and degrees outside of groups: from 4.3 on.
    pub fn has_external_degrees(self) -> bool {
        self >= Self::V4_3
    }
}

impl fmt::Display for KernelVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::V4_0 => "4.0",
            Self::V4_2 => "4.2",
            Self::V4_3 => "4.3",
            Self::V4_4 => "4.4",
        })
    }
}

/// A place in the transaction logs of a database. Later places are greater.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LogPosition {
    /// Number of the log file.
    pub log_version: u64,
    /// Bytes from the start of that file.
    pub offset: u64,
}

impl fmt::Display for LogPosition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "log {} offset {}", self.log_version, self.offset)
    }
}
