//! Recovery: the transactions behind the last checkpoint go into the store files, so that Neo4j opens them at once.
//!
//! Neo4j replays transaction by transaction, backwards and then forwards. Here all of them, the window, are taken
//! together: what they write is collected from the log, sorted by store and id, and written in that order, so each page
//! is touched once and memory stays small however long the log is. `docs/recovery.md` tells why the result is the same.
//!
//! | Module | Does |
//! |---|---|
//! | [`window`] | reads the window and collects from it; nothing is changed before all of it was read and checked |
//! | [`events`] | reads it at the same time for properties, indexes, counts and degrees |
//! | [`images`] | writes of record slots, by store and id |
//! | [`totals`] | sums of counts and degrees |
//! | [`apply`] | images into stores, ids into id files |
//! | [`numbers`] | sums into the counts and degrees stores |
//! | [`index_updates`] | what the transactions mean for indexes, and the indexes brought there |
//! | [`cut`] | what stands behind the last transaction: archived and cut off |
//! | [`finish`] | fields of the metadata store, the checkpoint |
//!
//! Until the checkpoint is written, which is the last step, the window stays the same. So a recovery can be stopped at
//! any moment and run again: it writes the same once more.

mod apply;
mod cut;
mod error;
mod events;
mod finish;
mod images;
pub mod index_updates;
mod numbers;
mod parallel;
mod progress;
#[cfg(test)]
mod tests;
mod totals;
mod window;

use std::path::PathBuf;
use std::thread;
use std::time::{SystemTime, UNIX_EPOCH};

pub use error::RecoveryError;
pub use progress::{RecoveryEvent, RecoveryProgress, Silent};

use crate::index::counts::CountsStore;
use crate::index::recount::Recount;
use crate::index::replacement;
use crate::index::statistics::Statistics;
use crate::io::disk::SharedDisk;
use crate::io::force;
use crate::io::sort::Scratch;
use crate::store::format::Family;
use crate::store::id::{StoreId, TransactionId};
use crate::store::layout::{self, DatabaseLayout};
use crate::store::neostore::{Field, Neostore};
use crate::store::page_cache::PageCache;
use crate::store::schema::SchemaRule;
use crate::store::stores::Stores;
use crate::store::tokens::Tokens;
use crate::txlog::files::LogFiles;
use crate::txlog::reader::LogReader;
use crate::txlog::retention::{self, Retention};
use crate::txlog::tail::{RecoveryReason, Tail, recovery_reason};
use crate::txlog::{KernelVersion, LogError, LogPosition};

use apply::{Target, Written};
use events::Collected;
use images::Images;
use index_updates::{Context, IndexOutcome, Watch};
use numbers::Numbers;
use totals::Sums;
use window::{Source, Window};

/// Bytes for counting everything anew, when nothing else of a recovery needs memory.
const RECOUNT_MEMORY: usize = 32 << 20;

/// Bytes for changes of indexes, besides those that their events take.
const INDEXES_MEMORY: usize = 28 << 20;

/// A recovery of one database. Nobody else may use its files meanwhile.
#[derive(Clone, Debug)]
pub struct Recovery {
    /// Where the files are.
    pub layout: DatabaseLayout,
    /// Through which they are changed.
    pub disk: SharedDisk,
    /// Bytes of the page cache. About 64 MiB are used besides.
    pub page_cache: u64,
    /// Threads that write at the same time.
    pub threads: usize,
    /// Log files that the policy does not ask for are deleted at the end; `None`: all stay.
    pub retention: Option<Retention>,
    /// Only transactions below this one are replayed, later ones are taken back and cut off.
    pub until: Option<TransactionId>,
    /// The store files may hold parts of transactions up to this one, so the logs must not end before it.
    pub required: Option<TransactionId>,
    /// Whether a log that can't be read to its end is an error; otherwise it is cut off there.
    pub fail_on_corrupted: bool,
    /// Recover even if it is not needed.
    pub force: bool,
}

/// What a recovery has done.
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(clippy::large_enum_variant, reason = "there is one per recovery")]
pub enum Outcome {
    /// Nothing: the files are complete.
    NotRequired,
    /// The files are complete now.
    Recovered(Recovered),
}

/// A recovery that was carried out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Recovered {
    /// Where the logs were read from.
    pub from: LogPosition,
    /// Where they end now.
    pub to: LogPosition,
    /// The first transaction behind the checkpoint; `None`: there was none.
    pub first: Option<TransactionId>,
    /// The transaction that the store ends with.
    pub last: TransactionId,
    /// Transactions replayed.
    pub transactions: u64,
    /// Transactions taken back.
    pub taken_back: u64,
    /// Whether the counts were built from the stores.
    pub counts_rebuilt: bool,
    /// Whether the degrees were.
    pub degrees_rebuilt: bool,
    /// What became of the indexes.
    pub indexes: IndexOutcome,
    /// Where the end of the log is that was cut off.
    pub archive: Option<PathBuf>,
    /// Log files that were deleted.
    pub pruned: Vec<PathBuf>,
}

/// A part of what is written first.
enum Step {
    Lane(Images),
    Numbers(Box<(Numbers, Numbers, Sums)>),
}

/// What was changed, and is to be forced and closed.
enum Changed {
    Store(Written),
    Counts(CountsStore),
    Degrees(CountsStore),
    /// Perhaps nothing was.
    Statistics,
}

/// A store that need not be built anew.
#[derive(PartialEq, Eq)]
enum Kept {
    Counts,
    Degrees,
}

/// What must be known before anything is changed.
struct Plan {
    logs: LogFiles,
    tail: Tail,
    reason: Option<RecoveryReason>,
}

/// Why a database must be recovered; `None`: it is complete. Nothing is changed.
pub fn reason(layout: &DatabaseLayout) -> Result<Option<RecoveryReason>, RecoveryError> {
    Ok(Plan::of(layout, true)?.reason)
}

impl Plan {
    fn of(layout: &DatabaseLayout, fail_on_corrupted: bool) -> Result<Self, RecoveryError> {
        let logs = LogFiles::list(&layout.logs)?;
        let tail = if fail_on_corrupted { Tail::find(&logs)? } else { Tail::find_readable(&logs)? };
        let reason = recovery_reason(layout, &logs, &tail);
        Ok(Self { logs, tail, reason })
    }
}

impl Recovery {
    /// Recovers the database, if it needs it.
    pub fn run(&self, progress: &dyn RecoveryProgress) -> Result<Outcome, RecoveryError> {
        let plan = Plan::of(&self.layout, self.fail_on_corrupted)?;
        if plan.reason.is_none() && !self.force {
            if let Some(checkpoint) = plan.tail.checkpoint {
                self.check_required(|| self.last_before(&plan.logs, checkpoint.position))?;
            }
            return Ok(Outcome::NotRequired);
        }
        let mut neostore = self.check_files(&plan)?;
        let from = window::start(&plan.logs, plan.tail.checkpoint.map(|checkpoint| checkpoint.position));
        progress.event(&RecoveryEvent::Required { reason: plan.reason, from });

        let (disk, layout) = (&self.disk, &self.layout);
        for directory in [&layout.database, &layout.logs] {
            replacement::remove_unfinished(disk, directory)?;
        }
        let scratch = Scratch::open(disk.clone(), &layout.database.join(layout::RECOVERY_SCRATCH))?;
        let cache = PageCache::new(self.page_cache);
        let family = Family::of(neostore.store_id()?.version)?;
        let stores = Stores::open(&cache, &**disk, layout, family)?;
        let mut counts = Numbers::counts(&cache, disk, layout)?;
        let mut degrees = Numbers::degrees(&cache, disk, layout)?;
        let watch = Watch::read(&stores, has_implied_label_index(&neostore))?;

        let source = Source {
            logs: &plan.logs,
            from,
            stores: &stores,
            counts: counts.store.as_ref(),
            degrees: degrees.store.as_ref(),
            scratch: &scratch,
        };
        let store_last = neostore.last_transaction()?;
        let (window, others, collected) = self.read(&source, watch, progress)?;
        let Collected { images: properties, events, sums } = collected;
        self.check_window(&window, &plan.logs, store_last)?;
        tell(&window, progress);
        let last = window.last.map_or(store_last, |last| last.id);
        let first = window.first.unwrap_or(last.next());
        counts.keep_if_covering(first, window.counts_ahead);
        degrees.keep_if_covering(first, window.degrees_ahead);
        let (counts_path, degrees_path) = (counts.path.clone(), degrees.path.clone());

        // From here on files are changed. What is changed can be changed again, should it be interrupted.
        let target = Target { stores: &stores, layout, disk, cache: &cache, progress };
        let lanes = properties.into_iter().chain(others).map(Step::Lane);
        let steps = lanes.chain([Step::Numbers(Box::new((counts, degrees, sums)))]).collect();
        let changed = parallel::map(self.threads, steps, |step| match step {
            Step::Lane(images) => Ok(target.apply(images)?.into_iter().map(Changed::Store).collect()),
            Step::Numbers(numbers) => {
                let (counts, degrees, mut sums) = *numbers;
                let counts = counts.add(&mut sums, progress)?.map(Changed::Counts);
                let degrees = degrees.add(&mut sums, progress)?.map(Changed::Degrees);
                Ok(counts.into_iter().chain(degrees).collect::<Vec<_>>())
            }
        })?;
        // Each waits for the medium, and does little else.
        let changed = changed.into_iter().flatten().chain([Changed::Statistics]).collect();
        let finished = parallel::map(force::AT_A_TIME, changed, |changed| match changed {
            Changed::Store(written) => target.finish(written).map(|()| None),
            Changed::Counts(store) => Ok(apply::usable(store.finish(last))?.map(|()| Kept::Counts)),
            Changed::Degrees(store) => Ok(apply::usable(store.finish(last))?.map(|()| Kept::Degrees)),
            Changed::Statistics => self.statistics(&cache).map(|()| None),
        })?;
        let counts_rebuilt = !finished.contains(&Some(Kept::Counts));
        let degrees_rebuilt = !finished.contains(&Some(Kept::Degrees));
        let threads = self.threads.max(1) as u64;
        let recount = Recount { stores: &stores, scratch: &scratch, memory: RECOUNT_MEMORY, threads };
        if counts_rebuilt {
            recount.rebuild_counts(disk, &counts_path, last)?;
            progress.event(&RecoveryEvent::CountsRebuilt);
        }
        if degrees_rebuilt {
            recount.rebuild_degrees(disk, &degrees_path, last)?;
            progress.event(&RecoveryEvent::DegreesRebuilt);
        }
        let checkpoint_log = finish::checkpoint_log(&neostore, &plan.logs);
        finish::set_fields(&mut neostore, &window, checkpoint_log);
        let rules = SchemaRule::read_all(&stores, &Tokens::property_keys(&stores)?)?;
        let indexes = events.apply(&Context {
            stores: &stores,
            rules: &rules,
            implied_label_index: has_implied_label_index(&neostore),
            layout,
            disk,
            cache: &cache,
            scratch: &scratch,
            memory: INDEXES_MEMORY,
            threads: self.threads,
        })?;
        drop(stores);

        let now = now();
        neostore.write(disk)?;
        disk.sync_dir(&layout.database)?;
        let archive = cut::cut_off(disk, layout, &plan.logs, window.end, now, progress)?;
        finish::checkpoint(disk, layout, &mut neostore, &window, now)?;
        let pruned = self.prune(&window, last, now, progress)?;
        Ok(Outcome::Recovered(Recovered {
            from: window.from,
            to: window.end,
            first: window.first,
            last,
            transactions: window.transactions,
            taken_back: window.taken_back,
            counts_rebuilt,
            degrees_rebuilt,
            indexes,
            archive,
            pruned,
        }))
    }

    /// Reads the window, on two threads if there are more than one: what it is, what it writes into stores other than those
    /// of properties, and the rest.
    fn read(
        &self,
        source: &Source<'_>,
        watch: Watch,
        progress: &dyn RecoveryProgress,
    ) -> Result<(Window, Vec<Images>, Collected), RecoveryError> {
        if self.threads < 2 {
            let (window, images) = window::collect(self, source, None, progress)?;
            return Ok((window, images, events::collect(self, source, watch, None)?));
        }
        let (sender, receiver) = window::channel();
        let (checked, followed) = thread::scope(|scope| {
            let followed = scope.spawn(|| events::collect(self, source, watch, Some(receiver)));
            let checked = window::collect(self, source, Some(sender), progress);
            (checked, followed.join().unwrap_or(Err(RecoveryError::Thread)))
        });
        match (checked, followed) {
            // It was given up because of the other one.
            (Err(RecoveryError::Thread), Err(error)) => Err(error),
            (checked, followed) => {
                let (window, images) = checked?;
                Ok((window, images, followed?))
            }
        }
    }

    /// Whether the effects of a transaction shall be in the store.
    fn replays(&self, id: TransactionId) -> bool {
        self.until.is_none_or(|until| id < until)
    }

    /// Everything that can't be recovered from is found before anything is changed.
    fn check_files(&self, plan: &Plan) -> Result<Neostore, RecoveryError> {
        let missing = self.layout.missing_stores();
        if !missing.is_empty() {
            let paths = missing.into_iter().map(|store| self.layout.record_store(store)).collect();
            return Err(RecoveryError::MissingStores { paths });
        }
        let directory = self.layout.logs.clone();
        if plan.logs.lowest().is_none() {
            return Err(RecoveryError::MissingLogs { directory });
        }
        let neostore = Neostore::read(&self.layout.neostore())?;
        let store = neostore.store_id()?;
        let from = plan.tail.checkpoint.map(|checkpoint| checkpoint.position.log_version);
        let of_logs = plan.logs.versions().filter(|log_version| Some(*log_version) >= from);
        let of_logs = of_logs.map(|log_version| plan.logs.header(log_version));
        let headers = of_logs.collect::<Result<Vec<_>, LogError>>()?;
        let ids = headers.into_iter().flatten().map(|header| header.store_id);
        let ids = ids.chain(plan.tail.checkpoint.map(|checkpoint| checkpoint.store_id));
        let foreign = |log: &StoreId| !store.is_same_store(log);
        if let Some(log) = ids.flatten().find(foreign) {
            return Err(RecoveryError::StoreId { directory, store, log });
        }
        Ok(neostore)
    }

    /// The window must follow the store without a hole, and must not end before what the store may hold.
    fn check_window(
        &self,
        window: &Window,
        logs: &LogFiles,
        store_last: TransactionId,
    ) -> Result<(), RecoveryError> {
        if let Some(found) = window.first.filter(|first| *first > store_last.next()) {
            return Err(RecoveryError::Gap { directory: self.layout.logs.clone(), last: store_last, found });
        }
        match window.last {
            _ if self.until.is_some() => Ok(()),
            Some(last) => self.check_required(|| Ok(last.id)),
            // The metadata store may name a transaction that was in the logs and is not any more.
            None => self.check_required(|| self.last_before(logs, window.end)),
        }
    }

    /// `last`: the last transaction of the logs.
    fn check_required(
        &self,
        last: impl FnOnce() -> Result<TransactionId, RecoveryError>,
    ) -> Result<(), RecoveryError> {
        let Some(required) = self.required else { return Ok(()) };
        let last = last()?;
        if last < required {
            let directory = self.layout.logs.clone();
            return Err(RecoveryError::EndsTooEarly { directory, last, required });
        }
        Ok(())
    }

    /// The last transaction before a position that is the start of a transaction or the end of the log.
    fn last_before(&self, logs: &LogFiles, position: LogPosition) -> Result<TransactionId, RecoveryError> {
        let mut last =
            logs.header(position.log_version)?.map_or(TransactionId::BASE, |header| header.last_committed);
        let mut reader = LogReader::open_file(logs, position.log_version)?;
        loop {
            match reader.next_transaction() {
                Ok(Some(logged)) if logged.end <= position => last = logged.transaction.id,
                Ok(_) => return Ok(last),
                Err(error) if !self.fail_on_corrupted && window::is_damage(&error) => return Ok(last),
                Err(error) => return Err(error.into()),
            }
        }
    }

    /// There must be index statistics: Neo4j's checker can't do without. They are closed as clean.
    fn statistics(&self, cache: &PageCache) -> Result<(), RecoveryError> {
        let path = self.layout.database.join(layout::INDEX_STATISTICS);
        let opened = apply::usable(Statistics::open(cache, &*self.disk, &path))?.flatten();
        let closed = match opened {
            None => false,
            Some(statistics) => apply::usable(statistics.finish())?.is_some(),
        };
        if !closed {
            Statistics::create(&self.disk, &path)?;
        }
        Ok(())
    }

    fn prune(
        &self,
        window: &Window,
        last: TransactionId,
        now: i64,
        progress: &dyn RecoveryProgress,
    ) -> Result<Vec<PathBuf>, RecoveryError> {
        let Some(policy) = self.retention else { return Ok(Vec::new()) };
        let logs = LogFiles::list(&self.layout.logs)?;
        let pruned = retention::prune(&self.disk, &logs, policy, window.end.log_version, last, now)?;
        for path in &pruned {
            progress.event(&RecoveryEvent::Pruned(path.clone()));
        }
        Ok(pruned)
    }
}

fn tell(window: &Window, progress: &dyn RecoveryProgress) {
    let last = window.last.map(|last| last.id);
    if let Some(first) = window.first {
        progress.event(&RecoveryEvent::Window { first, last, transactions: window.transactions });
    }
    if let Some(damage) = &window.damage {
        let reason = damage.to_string();
        progress.event(&RecoveryEvent::Unreadable { position: window.end, last, reason });
    }
}

/// Whether there is a label index without a rule: up to 4.2 every store has it. Specification: transaction log 8.7.
fn has_implied_label_index(neostore: &Neostore) -> bool {
    neostore.get(Field::KernelVersion).is_none_or(|version| version < KernelVersion::V4_3.byte().into())
}

/// Milliseconds since the epoch.
fn now() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
}
