//! A full copy: the files that no log replay can rebuild, the store files, the transactions that make them agree, and
//! the checkpoint record that says where their replay begins.
//!
//! All of it is forced at the same time: what tells whether a copy is complete is its state, which follows when
//! everything else is on the medium. Specification: protocol 7.2, 7.3, 7.8.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use super::BackupError;
use super::copy_state::{CopyState, Reached, Received, Seal};
use super::inbox::{FileReceiver, Inbox};
use super::progress::{Event, Progress, Took};
use super::pull::{self, Log, Patience, Range};
use super::recorder::{Asker, Recorder};
use super::source::Source;
use super::store_files::{self, Retries};
use crate::catchup::{Client, FileSink, Prepared, SinkError};
use crate::io::disk::SharedDisk;
use crate::io::force;
use crate::store::id::TransactionId;
use crate::store::layout;
use crate::store::neostore::{Field, Neostore};
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
    /// The first transaction in its logs, and the one that they must reach.
    pub received: Received,
    /// Bytes of files and transactions that came.
    pub bytes: u64,
}

/// What a copy is made of and with.
#[derive(Clone, Copy)]
pub struct Copying<'a> {
    /// Where the database is.
    pub source: &'a Source,
    /// The directory of the copy.
    pub work: &'a Path,
    /// The only way to change files.
    pub disk: &'a SharedDisk,
    /// How it is made.
    pub settings: CopySettings,
    /// Whether it is recorded what is complete, for a later run to go on with.
    pub resumable: bool,
    /// Hears what happens.
    pub progress: &'a Arc<dyn Progress>,
}

impl Copying<'_> {
    /// Copies a database into the empty directory `work`. `client` is an open connection.
    ///
    /// When it fails, the state file in `work` tells what a later run may keep.
    pub async fn start(&self, mut client: Client) -> Result<FullCopy, BackupError> {
        let state = CopyState::new(self.source.database, &self.source.store_id);
        self.disk.create_dir(&self.work.join(layout::TOOLS))?;
        state.begin(&**self.disk, self.work)?;
        let inbox = Arc::new(Inbox::new(self.disk.clone(), self.work, self.progress.clone())?);
        let _closing = inbox.close_at_end();
        let began = self.files_started();
        let mut asker = Asker::new(self.source);
        let (prepared, reached) = tokio::join!(self.prepare(&mut client, &inbox), self.reached(&mut asker));
        let prepared = match prepared {
            Ok(prepared) => prepared,
            Err(error) => {
                self.files_finished(began);
                return Err(error);
            }
        };
        let seal = Seal::new(prepared.checkpoint, prepared.names.clone(), inbox.complete_unasked());
        let seal = seal.reached_before(reached);
        let recorder = Recorder::start(self, &inbox, state, Some(seal), asker);
        let copy = async {
            let fetched = self.fetch(client, &prepared, &inbox, &recorder).await;
            self.files_finished(began);
            let (highest, client) = fetched?;
            let neostore = self.neostore(&inbox)?;
            let range = Range::after_copy(prepared.checkpoint, highest)?;
            let first_log_version = neostore.log_version()?;
            let writer = LogWriter::create(
                self.disk.clone(),
                self.work,
                first_log_version,
                self.source.store_id,
                range.first.previous(),
                self.settings.rotation_size,
            )?;
            let log = Log::new(writer, range.first);
            self.pull(client, log, End { inbox: &inbox, neostore, first_log_version, range }).await
        };
        let copy = copy.await;
        self.finish(copy, recorder)
    }

    async fn prepare(&self, client: &mut Client, inbox: &Arc<Inbox>) -> Result<Prepared, BackupError> {
        let mut unasked = Unasked { receiver: inbox.unasked(), progress: self.progress.clone(), told: false };
        let Source { database, store_id, .. } = *self.source;
        Ok(client.prepare_store_copy(database, store_id, &mut unasked).await?)
    }

    /// Asks how far the server has got, for a later run to recognize its history by.
    async fn reached(&self, asker: &mut Asker) -> Option<Reached> {
        if self.resumable { asker.ask_briefly().await } else { None }
    }

    /// Fetches what is listed.
    pub(super) async fn fetch(
        &self,
        client: Client,
        prepared: &Prepared,
        inbox: &Arc<Inbox>,
        recorder: &Recorder,
    ) -> Result<(TransactionId, Option<Client>), BackupError> {
        store_files::fetch(
            client,
            self.source,
            prepared,
            inbox,
            recorder,
            self.progress,
            self.settings.retries,
        )
        .await
    }

    /// Tells that files come.
    pub(super) fn files_started(&self) -> Instant {
        self.progress.report(&Event::StoreFilesStarted);
        Instant::now()
    }

    /// Tells that no more files come.
    pub(super) fn files_finished(&self, began: Instant) {
        self.progress.report(&Event::StoreFilesFinished { took: began.elapsed() });
    }

    /// The metadata store that came as the last file.
    pub(super) fn neostore(&self, inbox: &Inbox) -> Result<Neostore, BackupError> {
        if !inbox.has(store_files::LAST) {
            return Err(BackupError::NoNeostore);
        }
        let neostore = Neostore::read(&self.work.join(store_files::LAST))?;
        let got = neostore.store_id()?;
        if got == self.source.store_id {
            Ok(neostore)
        } else {
            Err(BackupError::OtherStore { asked: self.source.store_id, got })
        }
    }

    /// Pulls what is missing, and forces everything but the word that nothing is missing.
    pub(super) async fn pull(
        &self,
        mut client: Option<Client>,
        mut log: Log,
        end: End<'_>,
    ) -> Result<FullCopy, BackupError> {
        let End { inbox, mut neostore, first_log_version, range } = end;
        let patience = self.settings.patience;
        pull::pull(self.source, &mut client, range.required, &mut log, patience, self.progress).await?;
        let now = milliseconds_since_epoch();
        neostore.set(Field::LogVersion, first_log_version.cast_signed());
        neostore.set(Field::LastClosedLogVersion, first_log_version.cast_signed());
        neostore.set(Field::LastClosedOffset, LogHeader::SIZE as i64);
        log.tell(&mut neostore, now);
        let checkpoint = checkpoint::FullCopy {
            checkpoint_log_version: neostore.checkpoint_log_version(),
            first_log_version,
            last_committed_before: range.first.previous(),
            store_id: self.source.store_id,
            time: now,
        };
        let checkpoint = checkpoint.write(self.disk, self.work)?;
        // The log forces the names in the directory, that of the checkpoint log included.
        let steps: [Step<'_>; 4] = [
            Box::new(|| Ok(log.sync()?)),
            Box::new(|| Ok(neostore.write(self.disk)?)),
            Box::new(|| Ok(checkpoint.sync()?)),
            Box::new(|| Ok(inbox.force()?)),
        ];
        force::each(steps, |step| step())?;
        let received = Received::new(range.first, range.required);
        Ok(FullCopy { work: self.work.to_owned(), client, received, bytes: inbox.received() + log.bytes() })
    }

    /// Ends the recording, and notes a copy that lacks nothing.
    pub(super) fn finish(
        &self,
        copy: Result<FullCopy, BackupError>,
        recorder: Recorder,
    ) -> Result<FullCopy, BackupError> {
        // After a failure the recorder keeps what it was told last.
        let copy = copy?;
        let mut state = recorder.stop();
        state.received = Some(copy.received);
        state.write(&**self.disk, self.work)?;
        Ok(copy)
    }
}

/// Something to be forced.
type Step<'a> = Box<dyn FnOnce() -> Result<(), BackupError> + Send + 'a>;

/// What the transactions of a copy have to fit.
pub(super) struct End<'a> {
    pub inbox: &'a Inbox,
    pub neostore: Neostore,
    pub first_log_version: u64,
    pub range: Range,
}

pub(super) fn milliseconds_since_epoch() -> i64 {
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    i64::try_from(now.as_millis()).unwrap_or(i64::MAX)
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
