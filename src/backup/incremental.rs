//! An incremental backup: what was committed since the last run is appended to the logs of the backup.
//!
//! The last checkpoint record stays in front of it, so that a recovery applies just that. Everything is forced before
//! the metadata store tells of it, and before a recovery changes a file. Specification: protocol 7.4, 7.5.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::BackupError;
use super::full::{CopySettings, milliseconds_since_epoch};
use super::progress::{Event, Progress};
use super::pull::{self, Log, Opening};
use super::source::Source;
use crate::catchup::Client;
use crate::io::disk::SharedDisk;
use crate::store::id::TransactionId;
use crate::store::layout::DatabaseLayout;
use crate::store::neostore::Neostore;
use crate::txlog::continuation::Continuation;
use crate::txlog::files::LogFiles;
use crate::txlog::tail::Tail;
use crate::txlog::writer::LogWriter;

/// Where a backup can be continued.
#[derive(Debug)]
pub struct Point {
    directory: PathBuf,
    neostore: Neostore,
    /// The last transaction by the metadata store.
    known: TransactionId,
    logs: LogFiles,
    continuation: Continuation,
}

/// What an incremental backup brought.
#[derive(Debug)]
pub struct Pulled {
    /// An open connection, if one is left.
    pub client: Option<Client>,
    /// The first and the last transaction that were appended.
    pub transactions: Option<(TransactionId, TransactionId)>,
    /// Bytes of the transactions that came.
    pub bytes: u64,
}

impl Point {
    /// Reads the logs of a backup. Specification: transaction log 9.2, 9.3.
    pub fn find(directory: &Path) -> Result<Self, BackupError> {
        let layout = DatabaseLayout::flat(directory);
        let neostore = Neostore::read(&layout.neostore())?;
        let known = neostore.last_transaction()?;
        let logs = LogFiles::list(&layout.logs)?;
        let checkpoint = Tail::last_checkpoint(&logs)?;
        let Some(checkpoint) = checkpoint else {
            // Without a log that is the reason.
            Continuation::find(&logs, known, None)?;
            return Err(BackupError::NoCheckpoint(directory.to_owned()));
        };
        let continuation = Continuation::find(&logs, known, Some(checkpoint.position))?;
        Ok(Self { directory: directory.to_owned(), neostore, known, logs, continuation })
    }

    /// The last transaction that is there.
    pub fn last(&self) -> TransactionId {
        self.continuation.last.unwrap_or(self.known)
    }

    /// The log that takes what is new, opened after `begin` has been called.
    fn log(&self, disk: &SharedDisk, settings: CopySettings, begin: Begin) -> Result<Log, BackupError> {
        let (disk_of_log, logs, end) = (disk.clone(), self.logs.clone(), self.continuation.end);
        let (last, store_id) = (self.last(), self.neostore.store_id()?);
        let opening: Opening = Box::new(move || {
            begin()?;
            Ok(LogWriter::resume(disk_of_log, &logs, end, last, store_id, settings.rotation_size)?)
        });
        let log = Log::behind(last, opening).in_step_with(self.neostore.clone(), disk.clone());
        // Logs without a transaction: a server that knows the last one shows that it has the same history.
        let nothing_logged = self.continuation.last.is_none() && last > TransactionId::BASE;
        Ok(if nothing_logged { log.knowing_perhaps(last) } else { log })
    }
}

/// Called before the first change of a file.
pub type Begin = Box<dyn FnOnce() -> Result<(), BackupError> + Send>;

/// Appends to a backup what the server has committed since. Without anything new no file is touched.
pub async fn pull(
    client: Client,
    source: &Source,
    point: &Point,
    disk: &SharedDisk,
    settings: CopySettings,
    progress: &Arc<dyn Progress>,
    begin: Begin,
) -> Result<Pulled, BackupError> {
    let mut log = point.log(disk, settings, begin)?;
    if let Some(damage) = &point.continuation.damage {
        progress.report(&Event::Warning(format!(
            "An earlier run was stopped and has left the end of a log unreadable, which is cut off: {damage}"
        )));
        log.open()?;
    }
    let mut client = Some(client);
    let patience = settings.patience;
    let result = pull::pull(source, &mut client, None, &mut log, patience, progress).await;
    // What came stays, also when no more comes.
    let synced = log.sync();
    let pulled = result?;
    synced?;
    if let Some(behind) = pulled.behind {
        progress.report(&Event::Warning(format!(
            "The server is behind the backup: it has committed transaction {behind}, the backup has {}. It may be a \
             member of a cluster that lags, or it was set back to an earlier state",
            point.last()
        )));
    }
    let appended = log.appended();
    if appended.is_some() {
        let mut neostore = Neostore::read(&DatabaseLayout::flat(&point.directory).neostore())?;
        log.tell(&mut neostore, milliseconds_since_epoch());
        neostore.write(disk)?;
    }
    let transactions = appended.map(|last| (point.last().next(), last));
    Ok(Pulled { client, transactions, bytes: log.bytes() })
}
