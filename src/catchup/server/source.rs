//! Where a server takes its answers from.

use std::error::Error;
use std::fmt;
use std::io::Read;

use crate::catchup::message::{InfoResponse, MetadataKind};
use crate::store::id::{DatabaseId, StoreId, TransactionId};

/// Why a source can't answer.
#[derive(Debug, thiserror::Error)]
pub enum SourceError {
    /// There is no such database.
    #[error("there is no such database")]
    Unknown,
    /// The database is not started.
    #[error("the database is stopped")]
    Stopped,
    /// The database is there but can't be read now.
    #[error("the database is unavailable: {0}")]
    Unavailable(String),
    /// Reading it failed.
    #[error("the database could not be read")]
    Failed(#[source] Box<dyn Error + Send + Sync>),
}

impl SourceError {
    /// Reading the database failed.
    pub fn failed(error: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        Self::Failed(error.into())
    }
}

/// A file to send.
pub struct SourceFile {
    /// Path below the database directory, with `/` as separator.
    pub path: String,
    /// Record size of the file, 1 if it has no records, 0 for id files. Nothing depends on it.
    pub alignment: i32,
    /// The bytes, to the end.
    pub content: Box<dyn Read + Send>,
}

impl fmt::Debug for SourceFile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SourceFile")
            .field("path", &self.path)
            .field("alignment", &self.alignment)
            .finish_non_exhaustive()
    }
}

/// A full copy that has begun. While it is alive the checkpoint stays in force: a source that runs checkpoints holds
/// them back until it is dropped, which is when all of `atomic` has been sent.
pub trait PreparedCopy: Send {
    /// The last checkpointed transaction.
    fn checkpoint(&self) -> TransactionId;
    /// Bare names of the files that log replay completes, `neostore` last.
    fn replayable(&self) -> Vec<String>;
    /// The next of the files that no log replay can rebuild; `None` behind the last.
    fn next_atomic(&mut self) -> Result<Option<SourceFile>, SourceError>;
}

/// Transactions in the order of their ids.
pub trait TransactionSource: Send {
    /// Appends the next transaction to `wire`, as it travels: start entry, commands and commit entry, without the
    /// checksum. `None` behind the last one.
    fn next(&mut self, wire: &mut Vec<u8>) -> Result<Option<TransactionId>, SourceError>;
}

/// What a server serves. The server does the checks of the protocol and composes the answers; a source gives facts.
///
/// All methods may block: the server calls them on threads of their own.
pub trait Source: Send + Sync + 'static {
    /// All databases with their ids, in any order.
    fn databases(&self) -> Result<Vec<(String, DatabaseId)>, SourceError>;

    /// The id of a database that can be read. `name` is in lower case.
    fn database_id(&self, name: &str) -> Result<DatabaseId, SourceError>;

    /// The identity of the store of a database that can be read. Asked first for every request that carries a database
    /// id, so this is where [`SourceError::Unknown`], [`SourceError::Stopped`] and [`SourceError::Unavailable`] come
    /// from.
    fn store_id(&self, database: DatabaseId) -> Result<StoreId, SourceError>;

    /// Begins a full copy, with a checkpoint if the source runs any.
    fn prepare(&self, database: DatabaseId) -> Result<Box<dyn PreparedCopy>, SourceError>;

    /// The last checkpointed transaction.
    fn last_checkpointed(&self, database: DatabaseId) -> Result<TransactionId, SourceError>;

    /// The one store file whose last path component is `name`; `None` if there is not exactly one.
    fn store_file(&self, database: DatabaseId, name: &str) -> Result<Option<SourceFile>, SourceError>;

    /// The last committed transaction.
    fn last_committed(&self, database: DatabaseId) -> Result<TransactionId, SourceError>;

    /// The transactions from `first` on; `None` if `first` is not in the logs.
    fn transactions(
        &self,
        database: DatabaseId,
        first: TransactionId,
    ) -> Result<Option<Box<dyn TransactionSource>>, SourceError>;

    /// The commands that recreate users, roles or both, in the order of their execution.
    fn metadata(&self, name: &str, what: MetadataKind) -> Result<Vec<String>, SourceError>;

    /// How far a database has got.
    fn info(&self, name: &str, database: DatabaseId) -> Result<InfoResponse, SourceError>;
}
