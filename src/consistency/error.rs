//! Why a check could not be made.

use crate::gbptree::TreeError;
use crate::index::lucene::LuceneError;
use crate::io::disk::DiskError;
use crate::store::error::StoreError;
use crate::store::neostore::NeostoreError;
use crate::store::page_cache::PageCacheError;
use crate::txlog::LogError;
use crate::txlog::tail::RecoveryReason;

/// A check could not be made, or not to its end. What it found is in the report.
#[derive(Debug, thiserror::Error)]
pub enum CheckError {
    /// There is no database. Specification: consistency check 1.4, row 2.
    #[error("Database does not exist: {name}")]
    NoDatabase {
        /// Its name, or the last part of the path of the backup.
        name: String,
    },
    /// Someone has the database open.
    #[error("The database is in use. Stop database '{name}' and try again.")]
    InUse {
        /// Its name.
        name: String,
    },
    /// The lock file can't be written.
    #[error("You do not have permission to check database consistency.")]
    NoPermission {
        /// What the system said.
        #[source]
        source: DiskError,
    },
    /// The store is not what its logs say.
    #[error(
        "Active logical log detected, this might be a source of inconsistencies.\n\
         Please recover database before running the consistency check.\n\
         To perform recovery please start database and perform clean shutdown."
    )]
    RecoveryRequired {
        /// Why.
        reason: RecoveryReason,
    },
    /// Whether the store must be recovered can't be told.
    #[error("Failure when checking for recovery state: {source}")]
    RecoveryUnknown {
        /// What is wrong with the logs.
        #[source]
        source: LogError,
    },
    /// The metadata store can't be read.
    #[error(transparent)]
    Neostore(#[from] NeostoreError),
    /// A store file can't be read at all.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// A tree file can't be read at all.
    #[error(transparent)]
    Tree(#[from] TreeError),
    /// A file can't be read, or the report can't be written.
    #[error(transparent)]
    Disk(#[from] DiskError),
    /// A file of a Lucene index, which could be read before, can't be read.
    #[error(transparent)]
    Lucene(#[from] LuceneError),
    /// As many records were reported as were asked for. [`Check::run`](super::Check::run) makes a verdict of it.
    #[error("Enough was found: the check was ended.")]
    Enough,
    /// A page could not be had.
    #[error(transparent)]
    Page(#[from] PageCacheError),
}
