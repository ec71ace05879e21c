//! Keeps the state of a full copy on the medium while its files arrive, so that a run that is cut off costs only the files
//! that were on their way.
//!
//! It works beside the copy: a connection of its own asks the server how far it has got, and one entry is made for all
//! files that were completed meanwhile. When the copy ends early, files that nobody was asked about are recorded without
//! that; a later run asks then. A copy goes on without its recorder when that fails; only resuming gets worse.

use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::task::{JoinHandle, spawn_blocking};
use tokio::time::timeout;

use super::copy_state::{Content, CopyState, Reached, ReplayableFile, Seal};
use super::full::Copying;
use super::inbox::Inbox;
use super::source::Source;
use super::witness::Witness;
use crate::catchup::message::CatchupResult;
use crate::catchup::{CatchupError, Client, SinkError, StreamEnd, TransactionSink};
use crate::io::disk::{DiskError, SharedDisk};
use crate::store::id::TransactionId;
use crate::txlog::wire::WireTransaction;

/// A transaction that no server reaches: the answer to a request for what follows tells how far it has got.
const BEYOND_ALL: TransactionId = TransactionId(1 << 62);

/// How long a copy waits for an answer before its first file.
const FIRST_WAIT: Duration = Duration::from_secs(5);

/// Records what is complete. When it is dropped, it records what is left to be, and ends.
pub struct Recorder {
    shared: Arc<Shared>,
    /// `None`: nothing is recorded.
    task: Option<JoinHandle<()>>,
}

/// Where completed files are told. Clones tell the same recorder.
#[derive(Clone)]
pub struct Notes(Arc<Shared>);

/// A file that is complete.
#[derive(Clone)]
struct Complete {
    name: String,
    content: Content,
    checkpointed: TransactionId,
}

struct Shared {
    disk: SharedDisk,
    work: PathBuf,
    inbox: Arc<Inbox>,
    /// Files that are not recorded yet, in the order in which they were told.
    waiting: Mutex<Vec<Complete>>,
    told: Notify,
    state: Mutex<Recorded>,
}

struct Recorded {
    state: CopyState,
    /// Not recorded yet.
    seal: Option<Seal>,
    /// Whether the state belongs to somebody else again.
    closed: bool,
}

impl Notes {
    /// A file that was asked for by `name` is complete.
    pub fn complete(&self, name: &str, content: Content, checkpointed: TransactionId) {
        self.0.waiting().push(Complete { name: name.to_owned(), content, checkpointed });
        self.0.told.notify_one();
    }
}

impl Recorder {
    /// Records the copy in `work`, whose files go through `inbox`. `seal` is recorded first, as soon as all files that
    /// are complete now are on the medium; `None`: the state has one.
    pub fn start(
        copying: &Copying<'_>,
        inbox: &Arc<Inbox>,
        state: CopyState,
        seal: Option<Seal>,
        asker: Asker,
    ) -> Self {
        let shared = Arc::new(Shared {
            disk: copying.disk.clone(),
            work: copying.work.to_owned(),
            inbox: inbox.clone(),
            waiting: Mutex::default(),
            told: Notify::new(),
            state: Mutex::new(Recorded { state, seal, closed: false }),
        });
        let at_work = shared.clone();
        let task = copying.resumable.then(|| {
            tokio::spawn(async move {
                if let Err(error) = at_work.run(asker).await {
                    tracing::debug!("the copy could not be resumed from here on: {error}");
                }
            })
        });
        Self { shared, task }
    }

    /// Where to tell of completed files.
    pub fn notes(&self) -> Notes {
        Notes(self.shared.clone())
    }

    /// Stops without recording anything more, and returns the state as it is on the medium.
    pub fn stop(self) -> CopyState {
        let mut recorded = self.shared.recorded();
        recorded.closed = true;
        recorded.state.clone()
    }
}

impl Drop for Recorder {
    fn drop(&mut self) {
        let Some(task) = &self.task else { return };
        task.abort();
        if let Err(error) = self.shared.close() {
            tracing::debug!("the last files of the copy could not be recorded: {error}");
        }
    }
}

impl Shared {
    fn recorded(&self) -> MutexGuard<'_, Recorded> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn waiting(&self) -> MutexGuard<'_, Vec<Complete>> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn run(self: Arc<Self>, mut asker: Asker) -> Result<(), DiskError> {
        self.clone().record_aside(0, None).await?;
        loop {
            self.told.notified().await;
            let count = self.waiting().len();
            if count > 0 {
                let reached = asker.ask_or_log().await;
                self.clone().record_aside(count, reached).await?;
            }
        }
    }

    async fn record_aside(self: Arc<Self>, count: usize, reached: Option<Reached>) -> Result<(), DiskError> {
        match spawn_blocking(move || self.record(&mut self.recorded(), count, reached)).await {
            Ok(result) => result,
            Err(error) => match error.try_into_panic() {
                Ok(panic) => std::panic::resume_unwind(panic),
                // The runtime ends.
                Err(_) => Ok(()),
            },
        }
    }

    /// Waits for a write that is going on, records all that is left, and lets nothing follow.
    fn close(&self) -> Result<(), DiskError> {
        let mut recorded = self.recorded();
        let count = self.waiting().len();
        let result = if count > 0 || recorded.seal.is_some() {
            self.record(&mut recorded, count, None)
        } else {
            Ok(())
        };
        recorded.closed = true;
        result
    }

    /// Forces all files that are complete, then adds the first `count` of those that wait to the state.
    fn record(
        &self,
        recorded: &mut Recorded,
        count: usize,
        reached: Option<Reached>,
    ) -> Result<(), DiskError> {
        if recorded.closed {
            return Ok(());
        }
        self.inbox.force()?;
        let mut changed = recorded.state.clone();
        if let Some(seal) = &recorded.seal {
            changed.seal = Some(seal.clone());
        }
        // Others wait behind them meanwhile.
        let files: Vec<_> = self.waiting().iter().take(count).cloned().collect();
        changed.files.extend(files.into_iter().map(|Complete { name, content, checkpointed }| {
            ReplayableFile::new(name, content, checkpointed, reached)
        }));
        changed.write(&*self.disk, &self.work)?;
        recorded.state = changed;
        recorded.seal = None;
        self.waiting().drain(..count);
        Ok(())
    }
}

/// Asks a server how far it has got.
pub struct Asker {
    source: Source,
    client: Option<Client>,
    /// The last answer: a server where nothing happens is asked for a witness once.
    latest: Option<Reached>,
}

impl Asker {
    /// Asks over a connection of its own, which is opened when it is needed.
    pub fn new(source: &Source) -> Self {
        Self { source: source.clone(), client: None, latest: None }
    }

    /// Asks, but does not wait for a server that does not answer.
    pub async fn ask_briefly(&mut self) -> Option<Reached> {
        timeout(FIRST_WAIT, self.ask_or_log()).await.ok().flatten()
    }

    async fn ask_or_log(&mut self) -> Option<Reached> {
        match self.ask().await {
            Ok(Some(reached)) => return Some(reached),
            Ok(None) => tracing::debug!("the server does not tell how far it has got"),
            Err(error) => tracing::debug!("the server could not be asked how far it has got: {error}"),
        }
        None
    }

    /// `None`: the server does not say.
    async fn ask(&mut self) -> Result<Option<Reached>, CatchupError> {
        let mut client = self.connection().await?;
        let Source { database, store_id, .. } = self.source;
        let end = client.pull(database, BEYOND_ALL, store_id, &mut First::default()).await?;
        let StreamEnd { result: CatchupResult::SuccessEndOfStream, last: Some(last) } = end else {
            return Ok(None);
        };
        self.client = client.is_usable().then_some(client);
        if let Some(latest) = self.latest.filter(|latest| latest.last == last) {
            return Ok(Some(latest));
        }
        let witness = if last > TransactionId::BASE {
            let Some(witness) = self.witness(last).await? else { return Ok(None) };
            Some(witness)
        } else {
            None
        };
        self.latest = Some(Reached { last, witness });
        Ok(self.latest)
    }

    async fn witness(&mut self, transaction: TransactionId) -> Result<Option<Witness>, CatchupError> {
        let mut client = self.connection().await?;
        let Source { database, store_id, .. } = self.source;
        let mut first = First::default();
        match client.pull(database, transaction.previous(), store_id, &mut first).await {
            // The sink refuses what follows, and the connection ends with that.
            Err(CatchupError::Sink { .. }) => {}
            result => {
                result?;
                self.client = client.is_usable().then_some(client);
            }
        }
        Ok(first.0.filter(|witness| witness.transaction() == transaction))
    }

    async fn connection(&mut self) -> Result<Client, CatchupError> {
        match self.client.take() {
            Some(client) => Ok(client),
            None => self.source.dialer.connect().await,
        }
    }
}

/// Takes one transaction and no other.
#[derive(Default)]
struct First(Option<Witness>);

/// The first transaction was all that was wanted.
#[derive(Debug, thiserror::Error)]
#[error("no more transactions are wanted")]
struct Enough;

impl TransactionSink for First {
    fn accept(&mut self, transaction: &WireTransaction, bytes: &[u8]) -> Result<(), SinkError> {
        if self.0.is_some() {
            return Err(SinkError::new(Enough));
        }
        self.0 = Some(Witness::of(transaction, bytes).map_err(SinkError::new)?);
        Ok(())
    }
}
