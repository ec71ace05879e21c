//! Stores at rest as the source of a server: a backup directory, or the data directory of a server that is down.
//!
//! Nothing is written. Each request looks at the directories anew: a database that is opened, changed or needs recovery
//! meanwhile is unavailable from then on. Specification: protocol 8.1.

mod database;
mod directory;
mod files;

use std::path::PathBuf;

pub use self::directory::StoreDirectory;
use crate::catchup::server::SourceError;
use crate::io::disk::DiskError;
use crate::io::lock::LockError;
use crate::store::id::DatabaseId;
use crate::store::neostore::NeostoreError;
use crate::txlog::LogError;
use crate::txlog::tail::RecoveryReason;

/// Why a directory or a database in it can't be served.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    /// The file system.
    #[error(transparent)]
    Disk(#[from] DiskError),
    /// Nothing of what a backup or data directory holds is there.
    #[error("{}: no database is in this directory; give the directory that holds one directory per database, or a data directory", directory.display())]
    NoDatabase {
        /// The directory.
        directory: PathBuf,
    },
    /// There is no such database.
    #[error("there is no such database")]
    Unknown,
    /// The metadata store is unreadable or incomplete.
    #[error(transparent)]
    Neostore(#[from] NeostoreError),
    /// The logs are unreadable or damaged.
    #[error(transparent)]
    Log(#[from] LogError),
    /// Some program has it open.
    #[error("the database is in use: {0}")]
    InUse(#[source] LockError),
    /// Only a complete store can be served.
    #[error("{}: the store must be recovered first: {reason}", directory.display())]
    NeedsRecovery {
        /// The database directory.
        directory: PathBuf,
        /// Why.
        reason: RecoveryReason,
    },
    /// Neo4j has marked it as unusable.
    #[error("{}: the database is quarantined", marker.display())]
    Quarantined {
        /// The marker.
        marker: PathBuf,
    },
    /// Logs and store do not belong together.
    #[error("{}: the transaction logs belong to another store", directory.display())]
    ForeignLogs {
        /// The database directory.
        directory: PathBuf,
    },
    /// Two databases have the same id, so that it names none of them.
    #[error(
        "the databases '{first}' and '{second}' have the same id {id}; one must be elsewhere to serve the other"
    )]
    SameId {
        /// The id.
        id: DatabaseId,
        /// One of them.
        first: String,
        /// Another one.
        second: String,
    },
    /// Something in a database directory is neither a file nor a directory.
    #[error("{}: neither a file nor a directory; the database can't be served", path.display())]
    NotAFile {
        /// A symbolic link, a pipe, a socket or a device.
        path: PathBuf,
    },
    /// A file has a name that can't be sent.
    #[error("{}: the name of the file is not UTF-8", path.display())]
    FileName {
        /// The file.
        path: PathBuf,
    },
}

impl From<ServeError> for SourceError {
    fn from(error: ServeError) -> Self {
        match error {
            ServeError::Unknown => Self::Unknown,
            ServeError::Disk(error) => Self::failed(error),
            // Whoever asks can't do anything about the rest; the text tells it to the one who can.
            error => Self::Unavailable(error.to_string()),
        }
    }
}
