//! The window: all complete transactions behind the last checkpoint. Nothing is changed while it is read.

use std::sync::mpsc::{Receiver, SyncSender, sync_channel};

use super::images::{Collector, Images, Lane};
use super::progress::{Percent, RecoveryProgress};
use super::{Recovery, RecoveryError};
use crate::index::counts::CountsStore;
use crate::io::sort::Scratch;
use crate::store::id::TransactionId;
use crate::store::neostore::Field;
use crate::store::stores::Stores;
use crate::txlog::command::counts::MetadataChange;
use crate::txlog::command::schema::SchemaCommand;
use crate::txlog::command::{Command, Mode};
use crate::txlog::files::LogFiles;
use crate::txlog::follow::Extent;
use crate::txlog::reader::{LogReader, LoggedTransaction};
use crate::txlog::{LogError, LogPosition};

/// Bytes for sorting the writes of records, those of properties included.
pub(super) const IMAGES_MEMORY: usize = 20 << 20;
/// Transactions that are handed to the other reader of the window at once, and how often that may lag behind.
const BATCH: usize = 256;
const BATCHES: usize = 4;

/// What is known of the window when it was read.
pub(super) struct Window {
    /// Where it starts.
    pub from: LogPosition,
    /// The first transaction, replayed or not.
    pub first: Option<TransactionId>,
    /// The last one that is replayed.
    pub last: Option<LastTransaction>,
    /// How many are replayed.
    pub transactions: u64,
    /// How many are taken back.
    pub taken_back: u64,
    /// Where the log ends afterwards.
    pub end: LogPosition,
    /// Whether what follows there was unreadable and is to be cut off.
    pub damage: Option<LogError>,
    /// What the transactions make of fields of the metadata store.
    pub metadata: Metadata,
    /// Whether a store of numbers has seen a transaction that is taken back.
    pub counts_ahead: bool,
    /// The same of the degrees store.
    pub degrees_ahead: bool,
}

/// The transaction that the store ends with.
#[derive(Clone, Copy, Debug)]
pub(super) struct LastTransaction {
    pub id: TransactionId,
    pub checksum: u32,
    pub commit_time: i64,
}

/// Fields of the metadata store that transactions change. Specification: transaction log 8.4, 8.15 rule 13.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Metadata {
    pub kernel_version: Option<i64>,
    pub last_constraint: Option<TransactionId>,
}

/// Where the window starts: at the last checkpoint; without one at the first transaction of log 0.
pub(super) fn start(logs: &LogFiles, checkpoint: Option<LogPosition>) -> LogPosition {
    checkpoint.unwrap_or(LogPosition { log_version: logs.lowest().unwrap_or(0), offset: 0 })
}

/// What the collecting of a window needs.
pub(super) struct Source<'a> {
    pub logs: &'a LogFiles,
    pub from: LogPosition,
    pub stores: &'a Stores,
    pub counts: Option<&'a CountsStore>,
    pub degrees: Option<&'a CountsStore>,
    pub scratch: &'a Scratch,
}

impl Source<'_> {
    /// Whether the counts store and the degrees store have seen a transaction; `None`: there is no such store.
    pub(super) fn have_applied(
        &self,
        id: TransactionId,
    ) -> Result<(Option<bool>, Option<bool>), RecoveryError> {
        let has = |store: Option<&CountsStore>| store.map(|store| store.has_applied(id)).transpose();
        Ok((has(self.counts)?, has(self.degrees)?))
    }
}

/// Transactions of the window that were read and checked, for the other reader of it.
pub(super) type Batch = Vec<Extent>;

/// The way from one reader to the other.
pub(super) fn channel() -> (SyncSender<Batch>, Receiver<Batch>) {
    sync_channel(BATCHES)
}

/// Hands transactions to the other reader.
struct Handing(Option<(SyncSender<Batch>, Batch)>);

impl Handing {
    fn hand(&mut self, logged: &LoggedTransaction<'_>) -> Result<(), RecoveryError> {
        let Some((sender, batch)) = &mut self.0 else { return Ok(()) };
        batch.push(logged.extent());
        if batch.len() == BATCH {
            // It has ended early, which it says itself.
            sender.send(std::mem::take(batch)).map_err(|_| RecoveryError::Thread)?;
        }
        Ok(())
    }

    fn finish(self) -> Result<(), RecoveryError> {
        let Some((sender, batch)) = self.0 else { return Ok(()) };
        sender.send(batch).map_err(|_| RecoveryError::Thread)
    }
}

/// Reads and checks the window, and collects what it writes into the record stores but for properties. `followed`: for
/// another reader at the same time, which gets the transactions.
pub(super) fn collect(
    recovery: &Recovery,
    source: &Source<'_>,
    followed: Option<SyncSender<Batch>>,
    progress: &dyn RecoveryProgress,
) -> Result<(Window, Vec<Images>), RecoveryError> {
    let mut handing = Handing(followed.map(|sender| (sender, Batch::new())));
    let mut reader = LogReader::open(source.logs, source.from)?;
    let mut percent = Percent::new(source.logs, reader.position());
    let mut images = Collector::new(source.stores, source.scratch, IMAGES_MEMORY, &Lane::OF_OTHERS);
    let mut window = Window {
        from: reader.position(),
        first: None,
        last: None,
        transactions: 0,
        taken_back: 0,
        end: reader.position(),
        damage: None,
        metadata: Metadata::default(),
        counts_ahead: false,
        degrees_ahead: false,
    };
    loop {
        let logged = match reader.next_transaction() {
            Ok(Some(logged)) => logged,
            Ok(None) => break,
            Err(error) if !recovery.fail_on_corrupted && is_damage(&error) => {
                window.damage = Some(error);
                break;
            }
            Err(error) => return Err(error.into()),
        };
        let id = logged.transaction.id;
        let replayed = recovery.replays(id);
        if replayed {
            window.replay(&logged);
        } else {
            let (counts, degrees) = source.have_applied(id)?;
            window.taken_back += 1;
            window.counts_ahead |= counts == Some(true);
            window.degrees_ahead |= degrees == Some(true);
        }
        window.first.get_or_insert(id);
        percent.at(logged.end, progress);
        handing.hand(&logged)?;
        images.begin(id, replayed);
        logged.for_each_command(|command| {
            if matches!(command, Command::Property(_)) {
                return Ok(());
            }
            images.command(command)?;
            match command {
                Command::Metadata(change) => window.metadata.change(id, replayed, change),
                Command::Schema(rule) if replayed => {
                    window.metadata.rule(id, rule);
                    Ok(())
                }
                _ => Ok::<_, RecoveryError>(()),
            }
        })?;
    }
    handing.finish()?;
    if window.taken_back == 0 {
        window.end = reader.end().map_or(reader.position(), |end| end.position);
    }
    Ok((window, images.finish()?))
}

/// Whether an error says that bytes of the log can't be read as transactions, so that they may be cut off.
pub(super) fn is_damage(error: &LogError) -> bool {
    match error {
        LogError::Damaged { .. }
        | LogError::DataBehindEnd { .. }
        | LogError::UnreadableEnd { .. }
        | LogError::NoHeader { .. }
        | LogError::HeaderVersion { .. } => true,
        LogError::Disk(_)
        | LogError::Sequence { .. }
        | LogError::Wire(_)
        | LogError::FileName { .. }
        | LogError::NoLogs { .. }
        | LogError::MissingFile { .. }
        | LogError::Gap { .. }
        | LogError::CheckpointPosition { .. }
        | LogError::NoCheckpoint { .. } => false,
    }
}

impl Window {
    fn replay(&mut self, logged: &LoggedTransaction<'_>) {
        self.transactions += 1;
        self.end = logged.end;
        self.last = Some(LastTransaction {
            id: logged.transaction.id,
            checksum: logged.checksum,
            commit_time: logged.transaction.commit_time,
        });
    }
}

impl Metadata {
    fn change(
        &mut self,
        transaction: TransactionId,
        replayed: bool,
        change: &MetadataChange,
    ) -> Result<(), RecoveryError> {
        if change.field != Field::KernelVersion as i64 {
            return Err(RecoveryError::MetadataField { transaction, field: change.field });
        }
        let change = change.change;
        if replayed {
            self.kernel_version = Some(change.after.value);
        } else if change.before.flags.in_use() {
            // Only what was before the first transaction that is taken back.
            self.kernel_version.get_or_insert(change.before.value);
        }
        Ok(())
    }

    fn rule(&mut self, transaction: TransactionId, rule: &SchemaCommand<'_>) {
        if rule.change.after.is_constraint && rule.mode() != Mode::Delete {
            self.last_constraint = Some(transaction);
        }
    }
}
