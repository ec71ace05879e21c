//! An unfinished full copy, continued: the first copy with a long pause in it.
//!
//! The server knows nothing of a copy, so the same files may be asked for later, as long as the log reaches from the
//! checkpoint of the copy to behind its last file without a hole. That the server still has the transactions, and that
//! they are the same ones, is found out first; nothing is deleted or fetched before. Specification: protocol 7.9.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File};
use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::BackupError;
use super::copy_state::{COPY_STATE_FILE, Content, CopyState, Reached, ReplayableFile, Seal};
use super::full::{Copying, End, FullCopy};
use super::inbox::Inbox;
use super::path::StorePath;
use super::pull::{self, Log, Opening, Range};
use super::recorder::{Asker, Recorder};
use super::witness::Witness;
use crate::catchup::message::CatchupResult;
use crate::catchup::{CatchupError, Client, Prepared, StreamEnd};
use crate::io::disk::{DiskError, SharedDisk};
use crate::io::filesystem::remove_tree;
use crate::store::id::{StoreId, TransactionId};
use crate::store::layout::{self, Purpose};
use crate::txlog::files::LogFiles;
use crate::txlog::reader::LogReader;
use crate::txlog::writer::LogWriter;
use crate::txlog::{LogError, LogPosition};

/// What can be kept of an unfinished copy.
#[derive(Debug)]
pub struct Unfinished {
    work: PathBuf,
    state: CopyState,
    seal: Seal,
    logs: KeptLogs,
}

/// The logs of an unfinished copy.
#[derive(Debug)]
struct KeptLogs {
    files: LogFiles,
    /// The end of the complete transactions, of which there is at least one.
    end: Option<KeptEnd>,
}

#[derive(Clone, Copy, Debug)]
struct KeptEnd {
    position: LogPosition,
    first_log_version: u64,
    /// The last transaction.
    last: Witness,
}

/// What is wrong with a copy that can't be continued.
#[derive(Debug, thiserror::Error)]
enum Impossible {
    #[error("not all of the files were received that can not be asked for again")]
    NotSealed,
    #[error("the file '{0}' is not what was received")]
    Changed(String),
    #[error("transaction {0} in its logs is not the one that its files were copied with")]
    LogsDiffer(TransactionId),
    #[error("the server has deleted transaction {0} from its logs")]
    Pruned(TransactionId),
    #[error(
        "the server has committed no more than transaction {server}, and the copy holds {copy}: it lags behind, or it was \
         set back to an earlier state"
    )]
    Behind { server: TransactionId, copy: TransactionId },
    #[error("{0}")]
    Other(String),
}

impl Unfinished {
    /// Looks at an unfinished copy. What is not as its state says is left out; the error tells if nothing can be kept.
    pub fn examine(work: &Path, mut state: CopyState) -> Result<Self, BackupError> {
        let impossible = |reason: Impossible| not_resumable(work, &reason);
        let seal = state.seal.clone().ok_or_else(|| impossible(Impossible::NotSealed))?;
        for file in &seal.files {
            if !is_unchanged(work, file)? {
                return Err(impossible(Impossible::Changed(file.path.clone())));
            }
        }
        let listed: BTreeSet<&str> = seal.names.iter().map(String::as_str).collect();
        let mut kept = Vec::new();
        for file in state.files.drain(..) {
            if listed.contains(file.name.as_str()) && is_unchanged(work, &file.content)? {
                kept.push(file);
            }
        }
        state.files = kept;
        let first = Range::first_after(seal.checkpoint());
        let known = known(&seal, &state.files);
        if known.is_none() {
            // Nothing could tell whether the server still has the history that they are of.
            state.files.clear();
        }
        let logs =
            KeptLogs::read(work, first, known.and_then(|known| known.witness)).map_err(
                |error| match error {
                    LogsError::Log(error) => error.into(),
                    LogsError::Differ(transaction) => impossible(Impossible::LogsDiffer(transaction)),
                },
            )?;
        Ok(Self { work: work.to_owned(), state, seal, logs })
    }

    /// Its directory.
    pub fn work(&self) -> &Path {
        &self.work
    }

    /// Files that are not fetched again.
    pub fn kept(&self) -> usize {
        self.state.files.len() + self.seal.files.len()
    }

    fn impossible(&self, reason: &Impossible) -> BackupError {
        not_resumable(&self.work, reason)
    }
}

fn not_resumable(work: &Path, reason: &Impossible) -> BackupError {
    BackupError::NotResumable { work: work.to_owned(), reason: reason.to_string() }
}

/// The last that the server is known to have reached.
fn known(seal: &Seal, files: &[ReplayableFile]) -> Option<Reached> {
    let of_files = files.iter().filter_map(ReplayableFile::reached);
    of_files.chain(seal.reached()).max_by_key(|reached| reached.last)
}

/// Whether a file is what it was when it was complete.
fn is_unchanged(work: &Path, content: &Content) -> Result<bool, DiskError> {
    // What the state says is no reason to look elsewhere.
    let Ok(path) = StorePath::parse(&content.path) else { return Ok(false) };
    let path = path.below(work);
    let failed = |source| DiskError::new("read", &path, source);
    match fs::symlink_metadata(&path) {
        Ok(metadata) if metadata.is_file() && metadata.len() == content.size => {}
        Ok(_) => return Ok(false),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(false),
        Err(error) => return Err(failed(error)),
    }
    let mut file = File::open(&path).map_err(failed)?;
    let (mut checksum, mut size) = (0, 0);
    let mut buffer = vec![0; 1 << 20];
    loop {
        let count = file.read(&mut buffer).map_err(failed)?;
        if count == 0 {
            return Ok(checksum == content.checksum && size == content.size);
        }
        checksum = crc32c::crc32c_append(checksum, buffer.get(..count).unwrap_or_default());
        size += count as u64;
    }
}

enum LogsError {
    Log(LogError),
    Differ(TransactionId),
}

impl KeptLogs {
    /// Reads the complete transactions from `first` on. What can't be read was not forced when the run ended, and
    /// comes again.
    fn read(work: &Path, first: TransactionId, witness: Option<Witness>) -> Result<Self, LogsError> {
        let files = LogFiles::list(work).map_err(LogsError::Log)?;
        let nothing = Self { files: files.clone(), end: None };
        let Some(first_log_version) = files.lowest() else { return Ok(nothing) };
        let begins = matches!(files.header(first_log_version), Ok(Some(header)) if header.last_committed == first.previous());
        if !begins {
            return Ok(nothing);
        }
        let start = LogPosition { log_version: first_log_version, offset: 0 };
        let Ok(mut reader) = LogReader::open(&files, start) else { return Ok(nothing) };
        let mut end = None;
        let mut expected = first;
        while let Ok(Some(mut logged)) = reader.next_transaction() {
            if logged.transaction.id != expected {
                break;
            }
            let last = Witness::of_logged(&mut logged).map_err(LogsError::Log)?;
            if witness.is_some_and(|witness| witness.transaction() == expected && witness != last) {
                return Err(LogsError::Differ(expected));
            }
            end = Some(KeptEnd { position: logged.end, first_log_version, last });
            expected = expected.next();
        }
        Ok(Self { files, end })
    }

    /// The number of the first log file.
    fn first_log_version(&self) -> u64 {
        // A new log may have any number.
        self.end.map_or(0, |end| end.first_log_version)
    }

    /// Opens the log behind what is kept.
    fn opening(
        &self,
        disk: &SharedDisk,
        store_id: StoreId,
        first: TransactionId,
        rotation_size: u64,
    ) -> Opening {
        let (disk, files, end) = (disk.clone(), self.files.clone(), self.end);
        Box::new(move || {
            if let Some(KeptEnd { position, last, .. }) = end {
                let last = last.transaction();
                return Ok(LogWriter::resume(disk, &files, position, last, store_id, rotation_size)?);
            }
            for log_version in files.versions().rev() {
                disk.remove_file(&files.path(log_version))?;
            }
            Ok(LogWriter::create(disk, files.directory(), 0, store_id, first.previous(), rotation_size)?)
        })
    }
}

impl Copying<'_> {
    /// Continues an unfinished copy in [`Self::work`]. [`BackupError::NotResumable`]: it is of no use any more.
    pub async fn resume(&self, client: Client, unfinished: Unfinished) -> Result<FullCopy, BackupError> {
        let first = Range::first_after(unfinished.seal.checkpoint());
        let opening =
            unfinished.logs.opening(self.disk, self.source.store_id, first, self.settings.rotation_size);
        let known = known(&unfinished.seal, &unfinished.state.files);
        let mut log = Log::behind(first.previous(), opening).expecting(known.and_then(|known| known.witness));
        if let Some(KeptEnd { last, .. }) = unfinished.logs.end {
            log = log.expecting([last]).knowing(last.transaction());
        }
        let mut client = Some(client);
        let known = known.map(|known| known.last);
        let server = self.secure(&mut client, &mut log, &unfinished, known).await?;
        // What is in a file that nobody was asked about is not beyond what the server has by now.
        let is_open = unfinished.state.files.iter().any(|file| file.reached().is_none());
        let reached = known.max(is_open.then_some(server));
        // Also without anything new: what stands behind the kept transactions is cut off.
        log.open()?;

        delete_others(self.disk, &unfinished)?;
        let Unfinished { state, seal, logs, .. } = unfinished;
        let missing = missing(&seal, &state.files);
        let highest_kept = state.files.iter().map(ReplayableFile::checkpointed).max();
        let held = held(&seal, &state.files)?;
        let inbox = Arc::new(Inbox::resume(self.disk.clone(), self.work, self.progress.clone(), held)?);
        let _closing = inbox.close_at_end();
        let began = self.files_started();
        let recorder = Recorder::start(self, &inbox, state, None, Asker::new(self.source));
        let prepared = Prepared { checkpoint: seal.checkpoint(), names: missing };
        let copy = async {
            let connected = match client {
                Some(client) => Ok(client),
                None => self.source.dialer.connect().await.map_err(BackupError::from),
            };
            let fetched = match connected {
                Ok(client) => self.fetch(client, &prepared, &inbox, &recorder).await,
                Err(error) => Err(error),
            };
            self.files_finished(began);
            let (highest, client) = fetched?;
            let highest = highest.max(highest_kept.unwrap_or(highest));
            let mut range = Range::after_copy(prepared.checkpoint, highest)?;
            range.required = range.required.max(reached);
            let neostore = self.neostore(&inbox)?;
            let first_log_version = logs.first_log_version();
            self.pull(client, log, End { inbox: &inbox, neostore, first_log_version, range }).await
        };
        let copy = copy.await;
        self.finish(copy, recorder)
    }

    /// Fetches the transactions that are there now, before anything else: the server may delete them at any time, and
    /// they tell whether the copy can be continued at all. Returns the last one that the server has.
    async fn secure(
        &self,
        client: &mut Option<Client>,
        log: &mut Log,
        unfinished: &Unfinished,
        known: Option<TransactionId>,
    ) -> Result<TransactionId, BackupError> {
        let end = pull::attempt(self.source, client, log).await;
        let end = match end {
            // What came is in the log. One more attempt, as in an uninterrupted copy.
            Err(error) if !matches!(error, CatchupError::Sink { .. }) => {
                tracing::debug!("Transaction pulling attempt failed with error: {error}");
                pull::attempt(self.source, client, log).await
            }
            end => end,
        };
        log.sync()?;
        let StreamEnd { result, last } = end.map_err(|error| match &error {
            CatchupError::Sink { source, .. } => match source.downcast_ref::<BackupError>() {
                Some(
                    other @ (BackupError::OtherHistory { .. }
                    | BackupError::FirstTransaction { .. }
                    | BackupError::TransactionOrder { .. }),
                ) => unfinished.impossible(&Impossible::Other(other.to_string())),
                _ => error.into(),
            },
            _ => error.into(),
        })?;
        let wanted = log.last().map_or(log.previous(), |last| last).next();
        match result {
            CatchupResult::SuccessEndOfStream => {}
            CatchupResult::TransactionPruned => {
                return Err(unfinished.impossible(&Impossible::Pruned(wanted)));
            }
            CatchupResult::StoreIdMismatch => {
                return Err(unfinished.impossible(&Impossible::Other(result.to_string())));
            }
            other => {
                let reason = format!(": {other} when transaction {wanted} was asked for");
                return Err(BackupError::NoProgress { reason, pruned: false });
            }
        }
        let server = last.unwrap_or(TransactionId(-1));
        let kept = unfinished.logs.end.map(|end| end.last.transaction());
        match known.max(kept).filter(|copy| server < *copy) {
            Some(copy) => Err(unfinished.impossible(&Impossible::Behind { server, copy })),
            None => Ok(server),
        }
    }
}

/// Names of the files that are to be fetched; the metadata store always is.
fn missing(seal: &Seal, kept: &[ReplayableFile]) -> Vec<String> {
    let kept: BTreeSet<&str> = kept.iter().map(|file| file.name.as_str()).collect();
    seal.names.iter().filter(|name| !kept.contains(name.as_str())).cloned().collect()
}

/// The files that the copy holds, with the names that they were asked for by.
fn held(seal: &Seal, kept: &[ReplayableFile]) -> Result<BTreeMap<StorePath, Option<String>>, BackupError> {
    let unasked = seal.files.iter().map(|file| Ok((StorePath::parse(&file.path)?, None)));
    let asked = kept.iter().map(|file| Ok((StorePath::parse(&file.content.path)?, Some(file.name.clone()))));
    unasked.chain(asked).collect()
}

/// Deletes everything in the directory of a copy that is not kept.
fn delete_others(disk: &SharedDisk, unfinished: &Unfinished) -> Result<(), BackupError> {
    let held = held(&unfinished.seal, &unfinished.state.files)?;
    let mut kept: BTreeSet<PathBuf> = held.keys().map(|path| path.below(&unfinished.work)).collect();
    for path in held.keys() {
        kept.extend(path.directories().map(|directory| unfinished.work.join(directory)));
    }
    kept.insert(unfinished.work.join(layout::TOOLS));
    kept.insert(unfinished.work.join(COPY_STATE_FILE));
    delete_below(disk, &unfinished.work, &kept)?;
    Ok(())
}

fn delete_below(disk: &SharedDisk, directory: &Path, kept: &BTreeSet<PathBuf>) -> Result<(), DiskError> {
    let list = |source| DiskError::new("list", directory, source);
    for entry in fs::read_dir(directory).map_err(list)? {
        let entry = entry.map_err(list)?;
        let path = entry.path();
        let is_log = matches!(Purpose::of(&entry.file_name().to_string_lossy()), Purpose::Log(_));
        if is_log {
            continue;
        }
        if !kept.contains(&path) {
            remove_tree(&**disk, &path)?;
        } else if path.is_dir() {
            delete_below(disk, &path, kept)?;
        }
    }
    Ok(())
}
