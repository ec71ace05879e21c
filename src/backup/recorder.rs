//! Keeps the state of a full copy on the medium while its files arrive, so that a run that is cut off costs only the files
//! that were on their way.
//!
//! It works beside the copy: a connection of its own asks the server how far it has got, and one entry is made for all
//! files that were completed meanwhile. A copy goes on without it when it fails; only resuming gets worse.

use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::task::{JoinHandle, spawn_blocking};
use tokio::time::timeout;

use super::copy_state::{Content, CopyState, ReplayableFile, Seal};
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

/// How long a copy that has failed waits for its last files to be recorded.
const LAST_WAIT: Duration = Duration::from_millis(500);

/// Records what is complete. Ends when it is dropped.
pub struct Recorder {
    shared: Arc<Shared>,
    notes: Notes,
    /// `None`: nothing is recorded.
    task: Option<JoinHandle<()>>,
}

/// Where completed files are told. Clones tell the same recorder.
#[derive(Clone)]
pub struct Notes(UnboundedSender<Note>);

enum Note {
    Complete {
        name: String,
        content: Content,
        checkpointed: TransactionId,
    },
    /// Nothing more will come.
    End,
}

struct Shared {
    source: Source,
    disk: SharedDisk,
    work: PathBuf,
    inbox: Arc<Inbox>,
    state: Mutex<Recorded>,
}

struct Recorded {
    state: CopyState,
    /// Whether the state belongs to somebody else again.
    closed: bool,
}

impl Notes {
    /// A file that was asked for by `name` is complete.
    pub fn complete(&self, name: &str, content: Content, checkpointed: TransactionId) {
        // After the end nobody listens, and nobody has to.
        let _ = self.0.send(Note::Complete { name: name.to_owned(), content, checkpointed });
    }
}

impl Recorder {
    /// Records the copy in `work`, whose files go through `inbox`. `seal` is recorded first, as soon as all files that
    /// are complete now are on the medium; `None`: the state has one.
    pub fn start(copying: &Copying<'_>, inbox: &Arc<Inbox>, state: CopyState, seal: Option<Seal>) -> Self {
        let shared = Arc::new(Shared {
            source: copying.source.clone(),
            disk: copying.disk.clone(),
            work: copying.work.to_owned(),
            inbox: inbox.clone(),
            state: Mutex::new(Recorded { state, closed: false }),
        });
        let (sender, receiver) = unbounded_channel();
        let at_work = shared.clone();
        let task = copying.resumable.then(|| {
            tokio::spawn(async move {
                if let Err(error) = at_work.run(seal, receiver).await {
                    tracing::debug!("the copy could not be resumed from here on: {error}");
                }
            })
        });
        Self { shared, notes: Notes(sender), task }
    }

    /// Where to tell of completed files.
    pub fn notes(&self) -> Notes {
        self.notes.clone()
    }

    /// Stops, and returns the state as it is on the medium.
    pub async fn stop(mut self) -> CopyState {
        self.end(Duration::ZERO).await
    }

    /// Records what was told so far if that can be done at once, then stops.
    pub async fn stop_after_failure(mut self) -> CopyState {
        self.end(LAST_WAIT).await
    }

    async fn end(&mut self, wait: Duration) -> CopyState {
        let _ = self.notes.0.send(Note::End);
        if let Some(task) = &mut self.task {
            // Whether it ended, was too slow or panicked: it is over.
            let _ = timeout(wait, task).await;
        }
        self.shared.close()
    }
}

impl Drop for Recorder {
    fn drop(&mut self) {
        if let Some(task) = &self.task {
            task.abort();
        }
        self.shared.close();
    }
}

impl Shared {
    fn recorded(&self) -> MutexGuard<'_, Recorded> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits for a write that is going on; none follows.
    fn close(&self) -> CopyState {
        let mut recorded = self.recorded();
        recorded.closed = true;
        recorded.state.clone()
    }

    async fn run(
        self: Arc<Self>,
        seal: Option<Seal>,
        mut notes: UnboundedReceiver<Note>,
    ) -> Result<(), DiskError> {
        if let Some(seal) = seal {
            self.clone().record(move |state| state.seal = Some(seal)).await?;
        }
        let mut asker = Asker { source: &self.source, client: None, latest: None };
        let mut complete = Vec::new();
        let mut ended = false;
        while !ended {
            let Some(first) = notes.recv().await else { return Ok(()) };
            let mut next = Some(first);
            while let Some(note) = next {
                match note {
                    Note::Complete { name, content, checkpointed } => {
                        complete.push((name, content, checkpointed));
                    }
                    Note::End => ended = true,
                }
                next = notes.try_recv().ok();
            }
            if complete.is_empty() {
                continue;
            }
            match asker.ask().await {
                Ok(Some(Reached { last, witness })) => {
                    let files: Vec<_> = complete
                        .drain(..)
                        .map(|(name, content, checkpointed)| {
                            ReplayableFile::new(name, content, checkpointed, last, witness)
                        })
                        .collect();
                    self.clone().record(move |state| state.files.extend(files)).await?;
                }
                Ok(None) => tracing::debug!("the server does not tell how far it has got"),
                // Tried again with the next file.
                Err(error) => tracing::debug!("the server could not be asked how far it has got: {error}"),
            }
        }
        Ok(())
    }

    /// Forces all files that are complete, then writes the changed state.
    async fn record(
        self: Arc<Self>,
        change: impl FnOnce(&mut CopyState) + Send + 'static,
    ) -> Result<(), DiskError> {
        let work = move || {
            if !self.inbox.force_so_far()? {
                return Ok(());
            }
            let mut recorded = self.recorded();
            if recorded.closed {
                return Ok(());
            }
            let mut changed = recorded.state.clone();
            change(&mut changed);
            changed.write(&*self.disk, &self.work)?;
            recorded.state = changed;
            Ok(())
        };
        match spawn_blocking(work).await {
            Ok(result) => result,
            Err(error) => match error.try_into_panic() {
                Ok(panic) => std::panic::resume_unwind(panic),
                // The runtime ends.
                Err(_) => Ok(()),
            },
        }
    }
}

/// How far a server has got.
#[derive(Clone, Copy, Debug)]
struct Reached {
    last: TransactionId,
    /// There is none for the first transaction of a store, which no server sends.
    witness: Option<Witness>,
}

struct Asker<'a> {
    source: &'a Source,
    client: Option<Client>,
    /// The last answer: a server where nothing happens is asked for a witness once.
    latest: Option<Reached>,
}

impl Asker<'_> {
    /// Asks how far the server has got; `None`: it does not say.
    async fn ask(&mut self) -> Result<Option<Reached>, CatchupError> {
        let mut client = self.connection().await?;
        let Source { database, store_id, .. } = *self.source;
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
        let Source { database, store_id, .. } = *self.source;
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
