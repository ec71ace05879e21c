//! The backup job: what is asked for, where it goes, how it is fetched and how it takes the place of an older one.
//!
//! | Part | Owns |
//! |---|---|
//! | [`run`] | all databases of one command, one after the other |
//! | [`job`] | the whole of one database's backup on one screen |
//! | [`selection`] | a name, or a pattern over the server's databases |
//! | [`source`] | which server, and the ids of database and store there |
//! | [`target`] | the directories below the backup directory, the lock, the switch |
//! | [`path`] | which file names of a server are accepted |
//! | [`inbox`] | where the bytes of store files go |
//! | [`store_files`] | the store files, over several connections |
//! | [`pull`] | the transactions after them |
//! | [`full`] | a full copy, from the first request until it is on the medium |
//! | [`manifest`] | what a backup is, its files with their checksums, and the comparison with them |
//! | [`recover`] | the transactions go into the store files of the copy |
//! | [`prepare_restore`] | the same later, for a backup that was made without it |
//! | [`progress`] | what a run tells while it works |
//! | [`stop`] | the wish of a user to end it early |

pub mod full;
pub mod inbox;
pub mod job;
pub mod manifest;
pub mod path;
pub mod prepare_restore;
pub mod progress;
pub mod pull;
pub mod recover;
pub mod run;
pub mod selection;
pub mod source;
pub mod stop;
pub mod store_files;
pub mod target;

use std::path::PathBuf;
use std::time::Duration;

use self::manifest::ManifestError;
use self::path::PathError;
use self::stop::Signal;
use crate::catchup::CatchupError;
use crate::catchup::timeouts::IsoDuration;
use crate::io::block_writer::WriteError;
use crate::io::disk::DiskError;
use crate::recovery::RecoveryError;
use crate::store::id::{DatabaseId, StoreId, TransactionId};
use crate::store::neostore::NeostoreError;
use crate::txlog::LogError;

/// Why a backup, or a part of it, failed.
///
/// A user sees the innermost cause, so that one is a whole sentence. Texts that Neo4j has too are Neo4j's.
#[derive(Debug, thiserror::Error)]
pub enum BackupError {
    /// The lock of the backup is taken.
    #[error("Another run is working on '{}'{}.", location.display(), process(*holder))]
    AnotherRun {
        /// Where the backup is.
        location: PathBuf,
        /// Who works on it, as far as the system tells.
        holder: Option<i32>,
    },
    /// Neo4j, or a tool of it, has the old backup open.
    #[error(
        "Lock file has been locked by another process{}: {}. Please ensure no other process is using this database, and that the directory is writable (required even for read-only access)",
        process(*holder), path.display()
    )]
    InUse {
        /// The lock file.
        path: PathBuf,
        /// Who has locked it, as far as the system tells.
        holder: Option<i32>,
    },
    /// What lies at the place of the backup is none.
    #[error("Destination directory '{}' exists and is not empty but does not contain previous backup", .0.display())]
    ForeignContent(PathBuf),
    /// The old backup is one of another store.
    #[error("Remote store and existing backup have different store ids!")]
    StoreIdDiffers,
    /// The old backup is one of another database.
    #[error("DatabaseId {local} stored on the file system doesn't match with the server one {remote}")]
    DatabaseIdDiffers {
        /// That of the backup.
        local: DatabaseId,
        /// That of the server.
        remote: DatabaseId,
    },
    /// This version can't continue the old backup.
    #[error("this version can not continue the backup at '{}', it can only replace it by a full copy", .0.display())]
    NoIncremental(PathBuf),
    /// There is nothing at the place of a backup that is to be prepared.
    #[error("Target directory does not exist [{}]", .0.display())]
    NoTarget(PathBuf),
    /// Something else is there.
    #[error("Target directory is not a database backup [{}]", .0.display())]
    NoBackup(PathBuf),
    /// No database of the server has such a name.
    #[error("Database name pattern={0} doesn't match any database on the remote server")]
    NoMatch(String),
    /// A name that can't be a directory, and that no Neo4j gives to a database.
    #[error("a database can not be called {0:?}")]
    DatabaseName(String),
    /// The server did not do what it was asked for, or could not be reached.
    #[error(transparent)]
    Catchup(#[from] CatchupError),
    /// A step at the file system failed.
    #[error(transparent)]
    Disk(#[from] DiskError),
    /// A write of a store file failed.
    #[error(transparent)]
    Write(#[from] WriteError),
    /// A name from the server can't be a file of a store.
    #[error(transparent)]
    Path(#[from] PathError),
    /// The transaction log could not be written.
    #[error(transparent)]
    Log(#[from] LogError),
    /// The metadata store of the copy can't be read or changed.
    #[error(transparent)]
    Neostore(#[from] NeostoreError),
    /// The transactions could not be applied.
    #[error(transparent)]
    Recovery(#[from] RecoveryError),
    /// The manifest could not be made.
    #[error(transparent)]
    Manifest(ManifestError),
    /// The system gives no thread.
    #[error("no thread could be started: {0}")]
    Thread(#[source] std::io::Error),
    /// A file comes a second time.
    #[error("the server sends the file {0:?} twice")]
    FileTwice(String),
    /// A file is listed a second time.
    #[error("the server lists the file {0:?} twice")]
    NameTwice(String),
    /// Another file than the one that was asked for.
    #[error("the server was asked for the file {wanted:?} and sends {got:?}")]
    OtherFile {
        /// What was asked for.
        wanted: String,
        /// What comes.
        got: String,
    },
    /// A copy that no Neo4j could open.
    #[error("the server sent no file 'neostore', without which the copy is useless")]
    NoNeostore,
    /// The copied metadata store belongs to another store than the server said.
    #[error("the server said that its store is {asked}, and sent files of {got}")]
    OtherStore {
        /// What was asked for.
        asked: StoreId,
        /// What the copy is.
        got: StoreId,
    },
    /// A file could not be had for too long.
    #[error(
        "Maximum time passed {}. Not allowed to continue: the store file {file:?} could not be fetched, the last time because: {last}",
        IsoDuration(*limit)
    )]
    MaximumTimePassed {
        /// The file.
        file: String,
        /// `causal_clustering.store_copy_max_retry_time_per_request`.
        limit: Duration,
        /// How the last attempt failed.
        last: Box<CatchupError>,
    },
    /// The files are from a time before the checkpoint that they are supposed to follow.
    #[error(
        "the server's files are from checkpoint {highest}, which lies before the checkpoint {checkpoint} that the copy begins with"
    )]
    BeforeCheckpoint {
        /// The checkpoint of the copy.
        checkpoint: TransactionId,
        /// The highest that came with a file.
        highest: TransactionId,
    },
    /// Two attempts in a row brought nothing.
    #[error("Pulling tx failed consecutively without progress{reason}")]
    NoProgress {
        /// What is known about the reason, with its separator.
        reason: String,
    },
    /// The first transaction is not the one that was asked for.
    #[error(
        "Expected the first received txId to be within the range: LongRange{{from={expected}, to={expected}}} but got: {got}"
    )]
    FirstTransaction {
        /// What was asked for.
        expected: TransactionId,
        /// What came.
        got: TransactionId,
    },
    /// A transaction is missing, or comes twice.
    #[error("Expected txId: {expected} but got: {got}")]
    TransactionOrder {
        /// What must come.
        expected: TransactionId,
        /// What came.
        got: TransactionId,
    },
    /// A connection is still at work when the copy has failed or was ended.
    #[error("the copy has ended")]
    Ended,
    /// The copy is complete, but could not take its place.
    #[error("the copy is complete and lies at '{}', but could not be moved to '{}'", work.display(), location.display())]
    Switch {
        /// The complete copy.
        work: PathBuf,
        /// Where it should be.
        location: PathBuf,
        /// Why it is not.
        #[source]
        source: Box<BackupError>,
    },
    /// The user ended the run.
    #[error("interrupted by {0}")]
    Interrupted(Signal),
}

impl From<ManifestError> for BackupError {
    fn from(error: ManifestError) -> Self {
        match error {
            ManifestError::Interrupted(signal) => Self::Interrupted(signal),
            other => Self::Manifest(other),
        }
    }
}

fn process(holder: Option<i32>) -> String {
    holder.map(|pid| format!(" (process {pid})")).unwrap_or_default()
}
