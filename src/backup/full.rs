//! A full copy: the files that no log replay can rebuild, the store files, the transactions that make them agree, and
//! the checkpoint record that says where their replay begins.
//!
//! The checkpoint record is written when everything else is on the medium. Specification: protocol 7.2, 7.3, 7.8.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use super::BackupError;
use super::inbox::{FileReceiver, Inbox};
use super::progress::{Event, Progress, Took};
use super::pull::{self, Log, Patience, Range};
use super::source::Source;
use super::store_files::{self, Retries};
use crate::catchup::{Client, FileSink, ProtocolVersion, SinkError};
use crate::io::disk::SharedDisk;
use crate::store::neostore::{Field, Neostore};
use crate::txlog::LogPosition;
use crate::txlog::checkpoint;
use crate::txlog::header::LogHeader;
use crate::txlog::writer::LogWriter;

/// How a copy is made.
#[derive(Clone, Copy, Debug)]
pub struct CopySettings {
    /// Store files.
    pub retries: Retries,
    /// Transactions.
    pub patience: Patience,
    /// Bytes after which a new log file begins: `dbms.tx_log.rotation.size`.
    pub rotation_size: u64,
}

/// A copy with everything that came from the server, forced to the medium.
#[derive(Debug)]
pub struct FullCopy {
    /// Its directory.
    pub work: PathBuf,
    /// An open connection, if one is left.
    pub client: Option<Client>,
    /// The transactions that had to follow the files.
    pub range: Range,
    /// Bytes of files and transactions.
    pub received: u64,
    /// The version of the protocol.
    pub protocol: ProtocolVersion,
}

/// Copies a database into the empty directory `work`. `client` is an open connection.
pub async fn copy(
    client: Client,
    source: &Source,
    work: &Path,
    disk: &SharedDisk,
    settings: CopySettings,
    progress: &Arc<dyn Progress>,
) -> Result<FullCopy, BackupError> {
    let inbox = Arc::new(Inbox::new(disk.clone(), work, progress.clone())?);
    let _closing = inbox.close_at_end();
    let began = Instant::now();
    let protocol = client.version();
    progress.report(&Event::StoreFilesStarted);
    let files = store_files(client, source, &inbox, settings.retries, progress).await;
    progress.report(&Event::StoreFilesFinished { took: began.elapsed() });
    let (range, mut client) = files?;

    let mut neostore = Neostore::read(&work.join("neostore"))?;
    if neostore.store_id()? != source.store_id {
        return Err(BackupError::OtherStore { asked: source.store_id, got: neostore.store_id()? });
    }
    let first_log_version = neostore.log_version()?;
    let before = range.first.previous();
    let writer = LogWriter::create(
        disk.clone(),
        work,
        first_log_version,
        source.store_id,
        before,
        settings.rotation_size,
    )?;
    let mut log = Log::new(writer, range.first);
    pull::pull(source, &mut client, range, &mut log, settings.patience, progress).await?;

    let now = milliseconds_since_epoch();
    complete(&mut neostore, &log, first_log_version, now);
    log.sync()?;
    neostore.write(disk)?;
    inbox.force()?;
    let checkpoint = checkpoint::FullCopy {
        checkpoint_log_version: neostore.checkpoint_log_version(),
        first_log_version,
        last_committed_before: before,
        store_id: source.store_id,
        time: now,
    };
    checkpoint.write(disk, work)?;
    disk.sync_dir(work)?;
    let received = inbox.received() + log.received();
    Ok(FullCopy { work: work.to_owned(), client, range, received, protocol })
}

/// Sets the fields that point into the log. Recovery sets them again. Specification: protocol 7.8.
fn complete(neostore: &mut Neostore, log: &Log, first_log_version: u64, now: i64) {
    let mut position = LogPosition { log_version: first_log_version, offset: LogHeader::SIZE as u64 };
    if let Some((last, start)) = log.last_with_start() {
        position = start;
        neostore.set(Field::LastTransactionId, last.0);
        neostore.set(Field::LastTransactionChecksum, 0);
        neostore.set(Field::LastTransactionTime, now);
    }
    neostore.set(Field::LogVersion, log.log_version().cast_signed());
    neostore.set(Field::LastClosedLogVersion, position.log_version.cast_signed());
    neostore.set(Field::LastClosedOffset, position.offset.cast_signed());
}

fn milliseconds_since_epoch() -> i64 {
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    i64::try_from(now.as_millis()).unwrap_or(i64::MAX)
}

/// Receives all files. Returns the transactions that must follow.
async fn store_files(
    mut client: Client,
    source: &Source,
    inbox: &Arc<Inbox>,
    retries: Retries,
    progress: &Arc<dyn Progress>,
) -> Result<(Range, Option<Client>), BackupError> {
    let mut unasked = Unasked { receiver: inbox.unasked(), progress: progress.clone(), told: false };
    let prepared = client.prepare_store_copy(source.database, source.store_id, &mut unasked).await?;
    let (highest, client) = store_files::fetch(client, source, &prepared, inbox, progress, retries).await?;
    if !inbox.has("neostore") {
        return Err(BackupError::NoNeostore);
    }
    Ok((Range::after_copy(prepared.checkpoint, highest)?, client))
}

/// Takes the files that come unasked, and says once that the server is at its checkpoint: a long silence there is no
/// dead server.
struct Unasked {
    receiver: FileReceiver,
    progress: Arc<dyn Progress>,
    told: bool,
}

impl FileSink for Unasked {
    fn begin(&mut self, path: &str, alignment: i32) -> Result<(), SinkError> {
        self.receiver.begin(path, alignment)
    }

    fn write(&mut self, data: &[u8]) -> Result<(), SinkError> {
        self.receiver.write(data)
    }

    fn finish(&mut self) -> Result<(), SinkError> {
        self.receiver.finish()
    }

    fn waiting_for_checkpoint(&mut self, waited: Duration) {
        if !self.told {
            self.told = true;
            self.progress.report(&Event::Notice(format!(
                "Waiting for the checkpoint of the server, so far for {}",
                Took(waited)
            )));
        }
    }
}
