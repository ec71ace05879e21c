//! What can go wrong with counts, ids and indexes.

use std::path::{Path, PathBuf};

use super::value::KeyTooLong;
use crate::gbptree::TreeError;
use crate::io::disk::DiskError;
use crate::store::error::StoreError;

/// A file of this room could not be read, changed or built.
#[derive(Debug, thiserror::Error)]
pub enum IndexError {
    /// A step at the file system failed.
    #[error(transparent)]
    Disk(#[from] DiskError),
    /// The tree in the file is unusable, or could not be changed.
    #[error(transparent)]
    Tree(#[from] TreeError),
    /// The records to build from could not be read.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// A value is longer than an index can hold.
    #[error(transparent)]
    KeyTooLong(#[from] KeyTooLong),
    /// The header of a tree is shorter than what its user keeps there.
    #[error("{}: the header of the tree has {length} bytes where {wanted} are needed; delete the file, it can be built anew", path.display())]
    Header {
        /// The file.
        path: PathBuf,
        /// What is there, in bytes.
        length: usize,
        /// What is needed, in bytes.
        wanted: usize,
    },
    /// A field of the header has a value that it can't have.
    #[error("{}: {field} is {found} in the header of the tree; delete the file, it can be built anew", path.display())]
    HeaderField {
        /// The file.
        path: PathBuf,
        /// The field.
        field: &'static str,
        /// What is there.
        found: i64,
    },
    /// Key or value of an entry can't be.
    #[error("{}: an entry has {field} {found}; delete the file, it can be built anew", path.display())]
    Entry {
        /// The file.
        path: PathBuf,
        /// The part of the entry.
        field: &'static str,
        /// What is there.
        found: i64,
    },
    /// An index says of itself something unknown.
    #[error("{}: Unexpected initial state byte value {found}; delete the file, it can be built anew", path.display())]
    State {
        /// The file.
        path: PathBuf,
        /// The first byte of its header.
        found: u8,
    },
}

impl IndexError {
    /// Whether the medium failed, which says nothing about the content of the file.
    pub(super) fn is_disk(&self) -> bool {
        matches!(self, Self::Disk(_) | Self::Tree(TreeError::Disk(_) | TreeError::Cache(_)))
    }

    /// Whether the file itself is unusable, so that a new one can be built in its place.
    pub fn is_damage(&self) -> bool {
        !self.is_disk() && !matches!(self, Self::Store(_))
    }

    /// An entry that can't be.
    pub(super) fn entry(path: &Path, field: &'static str, found: i64) -> Self {
        Self::Entry { path: path.to_owned(), field, found }
    }
}
