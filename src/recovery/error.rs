//! Why a database could not be recovered.

use std::path::PathBuf;

use crate::index::IndexError;
use crate::io::disk::DiskError;
use crate::store::error::{Malformed, StoreError};
use crate::store::id::{StoreId, TransactionId};
use crate::store::neostore::NeostoreError;
use crate::store::page_cache::PageCacheError;
use crate::store::schema::EntityType;
use crate::txlog::{LogError, LogPosition};

/// A recovery that did not come to its end. What it had done by then does no harm: it can be run again.
#[derive(Debug, thiserror::Error)]
pub enum RecoveryError {
    /// The file system.
    #[error(transparent)]
    Disk(#[from] DiskError),
    /// The logs can't be read.
    #[error("Error reading transaction logs, recovery not possible. {0}")]
    Log(#[from] LogError),
    /// A record could not be written.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The metadata store.
    #[error(transparent)]
    Neostore(#[from] NeostoreError),
    /// An id file, counts or an index.
    #[error(transparent)]
    Index(#[from] IndexError),
    /// Files that nothing can be recovered without.
    #[error(
        "Store files [{}] is(are) missing and recovery is not possible. Please restore from a consistent backup.",
        .paths.iter().map(|path| path.display().to_string()).collect::<Vec<_>>().join(", ")
    )]
    MissingStores {
        /// The files.
        paths: Vec<PathBuf>,
    },
    /// There is nothing to recover from.
    #[error(
        "Transaction logs are missing and recovery is not possible. Expected them in {}; \
         restore from a backup that has its logs, or make a new full backup",
        directory.display()
    )]
    MissingLogs {
        /// Where they should be.
        directory: PathBuf,
    },
    /// The logs are those of another store.
    #[error(
        "Mismatching store id. Store StoreId: <{store}>. Transaction log StoreId: <{log}>; \
         {} holds the logs of another database, bring the ones of this database there",
        directory.display()
    )]
    StoreId {
        /// Where the logs are.
        directory: PathBuf,
        /// Of the metadata store.
        store: StoreId,
        /// Of the logs.
        log: StoreId,
    },
    /// Transactions are missing between the store and its logs.
    #[error(
        "the logs in {} go on with transaction {found} behind the last checkpoint, but the store ends with \
         transaction {last}: the transactions between are missing. Bring the missing log files there, or make a new \
         full backup",
        directory.display()
    )]
    Gap {
        /// Where the logs are.
        directory: PathBuf,
        /// The last transaction of the store.
        last: TransactionId,
        /// The first one of the logs.
        found: TransactionId,
    },
    /// The store files may hold parts of transactions that the logs don't have.
    #[error(
        "the logs in {} end with transaction {last}, but the store files may hold parts of later transactions up to \
         {required}: the result would be inconsistent. Bring the missing log files there, or make a new full backup",
        directory.display()
    )]
    EndsTooEarly {
        /// Where the logs are.
        directory: PathBuf,
        /// Where they end.
        last: TransactionId,
        /// Where they must not end before.
        required: TransactionId,
    },
    /// A transaction changes a field of the metadata store that transactions don't change.
    #[error(
        "transaction {transaction} changes field {field} of the metadata store, which no transaction may; \
         the log was written by an unknown version or is damaged"
    )]
    MetadataField {
        /// The transaction.
        transaction: TransactionId,
        /// The field.
        field: i64,
    },
    /// A transaction has a record of a long value that is neither text nor array.
    #[error(
        "transaction {transaction} has a value record of kind {kind}; only strings (9) and arrays (10) have any, \
         the log was written by an unknown version or is damaged"
    )]
    ValueKind {
        /// The transaction.
        transaction: TransactionId,
        /// Kind of the record.
        kind: i32,
    },
    /// A transaction has a record whose id is no id.
    #[error(
        "transaction {transaction} changes record {id} of {store}, which has no such record; the log is damaged"
    )]
    RecordId {
        /// The transaction.
        transaction: TransactionId,
        /// Name of the store file.
        store: &'static str,
        /// The id.
        id: u64,
    },
    /// The place for what is cut off the logs can't be used.
    #[error("the end of the log at {position} must be cut off, and could not be kept in {}: {source}", path.display())]
    Archive {
        /// From where on.
        position: LogPosition,
        /// The archive.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: std::io::Error,
    },
    /// A property of a transaction can't be read.
    #[error(
        "the transaction logs hold a property of {entity}[{id}] that makes no sense: {source}; the log was written by an \
         unknown version or is damaged"
    )]
    IndexedValue {
        /// Nodes or relationships.
        entity: EntityType,
        /// Which of them.
        id: u64,
        /// What is wrong.
        #[source]
        source: Malformed,
    },
    /// A transaction changes properties of something that does not exist.
    #[error(
        "{entity}[{id}] doesn't exist, though transactions change its properties; the logs do not belong to the store, \
         make a new full backup"
    )]
    EntityMissing {
        /// Nodes or relationships.
        entity: EntityType,
        /// Which of them.
        id: u64,
    },
    /// A thread of the recovery ended without a result.
    #[error("a thread of the recovery ended unexpectedly; this is an error of this program")]
    Thread,
}

impl From<PageCacheError> for RecoveryError {
    fn from(error: PageCacheError) -> Self {
        Self::Store(error.into())
    }
}
