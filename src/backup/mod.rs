//! The backup job: what is asked for, where it goes, how it is fetched and how it takes the place of an older one.
//!
//! | Part | Owns |
//! |---|---|
//! | [`run`] | all databases of one command, one after the other |
//! | [`job`] | the whole of one database's backup on one screen |
//! | [`selection`] | a name, or a pattern over the server's databases |
//! | [`source`] | which server, and the ids of database and store there |
//! | [`plan`] | whether an earlier backup is continued or replaced, and from which errors a full copy saves |
//! | [`target`] | the directories below the backup directory, the lock, the switch |
//! | [`path`] | which file names of a server are accepted |
//! | [`inbox`] | where the bytes of store files go |
//! | [`store_files`] | the store files, over several connections |
//! | [`pull`] | the transactions after them |
//! | [`full`] | a full copy, from the first request until it is on the medium |
//! | [`manifest`] | what a backup is, its files with their checksums, and the comparison with them |
//! | [`recover`] | the transactions go into the store files of the copy |
//! | [`check`] | whether the copy is consistent |
//! | `worker` | both of them beside the wait for a signal |
//! | [`prepare_restore`] | the same later, for a backup that was made without it |
//! | [`incremental`] | new transactions for a backup that is there |
//! | [`changing`] | a backup and its manifest while files are changed where they are |
//! | [`copy_state`] | what is known of an unfinished copy, on the medium |
//! | [`recorder`] | the same while the files arrive |
//! | [`witness`] | what tells one history of a store from another |
//! | [`resume`] | an unfinished copy, continued |
//! | [`progress`] | what a run tells while it works |
//! | [`stop`] | the wish of a user to end it early |

pub mod changing;
pub mod check;
pub mod copy_state;
pub mod full;
pub mod inbox;
pub mod incremental;
pub mod job;
pub mod manifest;
pub mod path;
pub mod plan;
pub mod prepare_restore;
pub mod progress;
pub mod pull;
pub mod recorder;
pub mod recover;
pub mod resume;
pub mod run;
pub mod selection;
pub mod source;
pub mod stop;
pub mod store_files;
pub mod target;
pub mod witness;
mod worker;

use std::error::Error;
use std::path::PathBuf;
use std::time::Duration;

use self::copy_state::StateError;
use self::manifest::ManifestError;
use self::path::PathError;
use self::stop::Signal;
use crate::catchup::CatchupError;
use crate::catchup::timeouts::IsoDuration;
use crate::consistency::CheckError;
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
        /// Whether the server has the transactions no more.
        pruned: bool,
    },
    /// The first transaction is not the one that was asked for.
    #[error(
        "Expected the first received txId to be within the range: LongRange{{from={from}, to={to}}} but got: {got}"
    )]
    FirstTransaction {
        /// What was asked for.
        from: TransactionId,
        /// The last one that would do as well.
        to: TransactionId,
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
    /// Copy and recovery are done, and the check did not come to its end.
    #[error("Failed to do consistency check on the backup")]
    NotChecked {
        /// Why not.
        #[source]
        source: Box<CheckError>,
    },
    /// Copy and recovery are done, and the copy is inconsistent. The text is Neo4j's.
    #[error("Inconsistencies found on. See '{}' for details.", report.display())]
    Inconsistent {
        /// The report of the check.
        report: PathBuf,
    },
    /// The user ended the run.
    #[error("interrupted by {0}")]
    Interrupted(Signal),
    /// The server's transaction is not the one that it sent before.
    #[error(
        "transaction {transaction} of the server is another one than before: it was set back to an earlier state"
    )]
    OtherHistory {
        /// The transaction.
        transaction: TransactionId,
    },
    /// There is nobody to ask.
    #[error("no server is given from which a backup could be made")]
    NoServer,
    /// The logs of the backup have no checkpoint.
    #[error("{}: no checkpoint tells from where on the logs of the backup have to be replayed", .0.display())]
    NoCheckpoint(PathBuf),
    /// The state of an unfinished copy.
    #[error(transparent)]
    State(#[from] StateError),
    /// An unfinished copy can't be continued.
    #[error("the unfinished copy '{}' can not be continued: {reason}", work.display())]
    NotResumable {
        /// Its directory.
        work: PathBuf,
        /// Why.
        reason: String,
    },
}

impl BackupError {
    /// Whether a copy that failed so can be continued: it was cut off, and what is there is good.
    fn leaves_copy_usable(&self) -> bool {
        match self {
            Self::Catchup(CatchupError::Sink { source, .. }) => {
                source.downcast_ref::<Self>().is_some_and(Self::leaves_copy_usable)
            }
            // A file that the server refuses for good is on no later list.
            Self::MaximumTimePassed { last, .. } => !matches!(
                **last,
                CatchupError::StoreFileRefused { .. }
                    | CatchupError::ErrorResponse { .. }
                    | CatchupError::FileBroken { .. }
            ),
            Self::Log(error) => matches!(error, LogError::Disk(_)),
            Self::Neostore(error) => matches!(error, NeostoreError::Disk(_)),
            // What the files or the logs are wrong about stays wrong.
            Self::Recovery(_) | Self::Manifest(_) => system_error(self).is_some(),
            Self::Catchup(_)
            | Self::Disk(_)
            | Self::Write(_)
            | Self::NoProgress { pruned: false, .. }
            | Self::Ended
            | Self::Interrupted(_)
            | Self::State(StateError::Disk(_)) => true,
            _ => false,
        }
    }
}

/// What the system said, if an error began with that.
fn system_error<'e>(error: &'e (dyn Error + 'static)) -> Option<&'e std::io::Error> {
    let mut causes =
        std::iter::successors(Some(error), |error: &&'e (dyn Error + 'static)| (*error).source());
    causes.find_map(|cause| cause.downcast_ref())
}

/// An error with its causes, as far as they say more.
fn story(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(cause) = next {
        let cause_text = cause.to_string();
        if !text.contains(cause_text.trim()) {
            text.push_str(": ");
            text.push_str(&cause_text);
        }
        next = cause.source();
    }
    text
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
