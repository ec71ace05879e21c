//! What can go wrong with the files of a Lucene index.

use std::fmt::Display;
use std::path::{Path, PathBuf};

use crate::io::disk::DiskError;

/// Files of a Lucene index could not be read.
#[derive(Debug, thiserror::Error)]
pub enum LuceneError {
    /// A step at the file system failed.
    #[error(transparent)]
    Disk(#[from] DiskError),
    /// A file ends before a field does.
    #[error("{}: {field} at offset {offset} is behind the end; drop the index and create it again", path.display())]
    Short {
        /// The file.
        path: PathBuf,
        /// Where the field is, in bytes.
        offset: u64,
        /// The field.
        field: &'static str,
    },
    /// A field has a value that it can't have.
    #[error("{}: {field} is {found} at offset {offset}; drop the index and create it again", path.display())]
    Field {
        /// The file.
        path: PathBuf,
        /// Where reading stood behind the field, in bytes.
        offset: u64,
        /// The field.
        field: &'static str,
        /// What is there.
        found: String,
    },
    /// The bytes of a file are not those that were written.
    #[error("{}: the checksum is {found:08x} and not {expected:08x}; drop the index and create it again", path.display())]
    Checksum {
        /// The file.
        path: PathBuf,
        /// What the end of the file says.
        expected: u64,
        /// What the bytes give.
        found: u64,
    },
    /// A file has a layout of another version of Lucene.
    #[error("{}: {what} {found} is not of Lucene 8.7 to 8.11", path.display())]
    Unknown {
        /// The file.
        path: PathBuf,
        /// What tells the layout.
        what: &'static str,
        /// What is there.
        found: String,
    },
    /// A file that the index must have is not there.
    #[error("{}: the index has no {what}; drop the index and create it again", path.display())]
    Missing {
        /// The file, or where it should be.
        path: PathBuf,
        /// What is missing.
        what: String,
    },
}

impl LuceneError {
    /// A file of another version.
    pub(super) fn unknown(path: &Path, what: &'static str, found: impl Display + Copy) -> Self {
        Self::Unknown { path: path.to_owned(), what, found: found.to_string() }
    }

    /// Something that is not there.
    pub(super) fn missing(path: &Path, what: impl Display + Copy) -> Self {
        Self::Missing { path: path.to_owned(), what: what.to_string() }
    }
}
