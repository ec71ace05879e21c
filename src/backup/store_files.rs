//! The store files that are asked for by name, over several connections at the same time.
//!
//! Each connection carries one request after the other; the server knows of no connection between them. A file that
//! fails is fetched again as a whole, on a new connection if the old one is gone. The first error that no repetition
//! can cure ends all connections. Specification: protocol 7.2.

use std::collections::{HashSet, VecDeque};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::task::JoinSet;
use tokio::time::{Instant, sleep};

use super::BackupError;
use super::inbox::Inbox;
use super::path::StorePath;
use super::progress::{Event, Progress};
use super::recorder::{Notes, Recorder};
use super::source::Source;
use crate::catchup::{CatchupError, Client, Prepared};
use crate::store::id::TransactionId;

/// How the store files are fetched.
#[derive(Clone, Copy, Debug)]
pub struct Retries {
    /// Connections at the same time, 1 to 32: `causal_clustering.store_copy_parallelism`.
    pub connections: usize,
    /// For how long a file is tried: `causal_clustering.store_copy_max_retry_time_per_request`.
    pub max_time: Duration,
    /// The longest pause between two attempts, which begin at 1 ms and double:
    /// `causal_clustering.store_copy_backoff_max_wait`.
    pub max_pause: Duration,
}

impl Default for Retries {
    fn default() -> Self {
        Self { connections: 4, max_time: Duration::from_secs(20 * 60), max_pause: Duration::from_secs(5) }
    }
}

/// The metadata store: asked for when everything else is there, so that its contents are the newest.
pub(super) const LAST: &str = "neostore";

/// Fetches all files of a list, `neostore` last. `client` is an open connection.
///
/// Returns the highest transaction that the server had checkpointed when it queued one of them; -1 without files.
pub async fn fetch(
    client: Client,
    source: &Source,
    prepared: &Prepared,
    inbox: &Arc<Inbox>,
    recorder: &Recorder,
    progress: &Arc<dyn Progress>,
    retries: Retries,
) -> Result<(TransactionId, Option<Client>), BackupError> {
    let (files, last) = order(&prepared.names)?;
    let shared = Arc::new(Shared {
        source: source.clone(),
        checkpoint: prepared.checkpoint,
        inbox: inbox.clone(),
        notes: recorder.notes(),
        progress: progress.clone(),
        retries,
        waiting: Mutex::new(files),
    });
    let mut workers = JoinSet::new();
    let spares = retries.connections.clamp(1, 32).min(prepared.names.len()).saturating_sub(1);
    for _ in 0..spares {
        workers.spawn(shared.clone().work_on_spare_connection());
    }
    let first = shared.clone();
    let mut client = Some(client);
    let own = async move {
        let result = first.work(&mut client).await;
        result.map(|highest| (highest, client))
    };
    // Dropping the set ends the other connections at once.
    let (mut highest, mut client) = own_and_others(own, &mut workers).await?;
    if last {
        highest = highest.max(shared.fetch(&mut client, LAST).await?);
    }
    Ok((highest, client))
}

/// Waits for the first connection and all others; the first error wins.
async fn own_and_others<T>(
    own: impl Future<Output = Result<(TransactionId, T), BackupError>>,
    others: &mut JoinSet<Result<TransactionId, BackupError>>,
) -> Result<(TransactionId, T), BackupError> {
    tokio::pin!(own);
    let mut highest = TransactionId(-1);
    let mut own_result = None;
    loop {
        tokio::select! {
            result = &mut own, if own_result.is_none() => {
                let (reached, value) = result?;
                highest = highest.max(reached);
                own_result = Some(value);
            }
            Some(joined) = others.join_next() => match joined {
                Ok(result) => highest = highest.max(result?),
                Err(error) => match error.try_into_panic() {
                    Ok(panic) => std::panic::resume_unwind(panic),
                    // Nobody aborts a single task.
                    Err(_) => continue,
                },
            },
            else => {}
        }
        if others.is_empty()
            && let Some(value) = own_result.take()
        {
            return Ok((highest, value));
        }
    }
}

/// Checks the names and takes `neostore` out. A name twice would be written by two connections at once.
fn order(names: &[String]) -> Result<(VecDeque<String>, bool), BackupError> {
    let mut seen = HashSet::new();
    let mut files = VecDeque::new();
    let mut last = false;
    for name in names {
        let path = StorePath::parse_name(name)?;
        if !seen.insert(path) {
            return Err(BackupError::NameTwice(name.clone()));
        }
        if name == LAST {
            last = true;
        } else {
            files.push_back(name.clone());
        }
    }
    Ok((files, last))
}

/// What all connections know.
struct Shared {
    source: Source,
    checkpoint: TransactionId,
    inbox: Arc<Inbox>,
    notes: Notes,
    progress: Arc<dyn Progress>,
    retries: Retries,
    waiting: Mutex<VecDeque<String>>,
}

impl Shared {
    fn next(&self) -> Option<String> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner).pop_front()
    }

    async fn work_on_spare_connection(self: Arc<Self>) -> Result<TransactionId, BackupError> {
        match self.source.dialer.connect().await {
            Ok(client) => self.work(&mut Some(client)).await,
            Err(error) => {
                // Some servers and proxies limit connections. The first one does the work alone, then.
                tracing::debug!("going on with fewer connections: {error}");
                Ok(TransactionId(-1))
            }
        }
    }

    /// Fetches files until none are left. A connection that is gone is opened again.
    async fn work(&self, client: &mut Option<Client>) -> Result<TransactionId, BackupError> {
        let mut highest = TransactionId(-1);
        while let Some(name) = self.next() {
            highest = highest.max(self.fetch(client, &name).await?);
        }
        Ok(highest)
    }

    /// Fetches one file, again and again if need be.
    async fn fetch(&self, client: &mut Option<Client>, name: &str) -> Result<TransactionId, BackupError> {
        let began = Instant::now();
        let mut pause = Duration::from_millis(1);
        let mut warned = false;
        loop {
            let error = match self.attempt(client, name).await {
                Ok(checkpointed) => return Ok(checkpointed),
                Err(error) if is_worth_repeating(&error) => error,
                Err(error) => return Err(error.into()),
            };
            tracing::debug!("store file {name} failed: {error}");
            if !warned {
                warned = true;
                self.progress.report(&Event::Warning(format!(
                    "The store file {name} could not be fetched and is tried again: {error}"
                )));
            }
            sleep(pause).await;
            pause = (pause * 2).min(self.retries.max_pause);
            if began.elapsed() >= self.retries.max_time {
                return Err(BackupError::MaximumTimePassed {
                    file: name.to_owned(),
                    limit: self.retries.max_time,
                    last: Box::new(error),
                });
            }
        }
    }

    async fn attempt(&self, client: &mut Option<Client>, name: &str) -> Result<TransactionId, CatchupError> {
        // Taken out, so that a connection whose request was cut short is not used again.
        let mut connection = match client.take() {
            Some(connection) => connection,
            None => self.source.dialer.connect().await?,
        };
        let Source { database, store_id, .. } = self.source;
        let mut sink = self.inbox.asked(name);
        let result = connection.store_file(database, store_id, self.checkpoint, name, &mut sink).await;
        if connection.is_usable() {
            *client = Some(connection);
        }
        if let (Ok(checkpointed), Some(content)) = (&result, sink.into_complete())
            && name != LAST
        {
            self.notes.complete(name, content, *checkpointed);
        }
        result
    }
}

/// Whether the same request can have another outcome.
///
/// Answers that break the protocol are not: a server that sends them does so again. A file that breaks off is: the
/// server can't say otherwise that it was deleted under its hands.
fn is_worth_repeating(error: &CatchupError) -> bool {
    matches!(
        error,
        CatchupError::StoreFileRefused { .. }
            | CatchupError::ErrorResponse { .. }
            | CatchupError::FileBroken { .. }
            | CatchupError::UnknownHost { .. }
            | CatchupError::Connect { .. }
            | CatchupError::ConnectTimeout { .. }
            | CatchupError::HandshakeTimeout { .. }
            | CatchupError::Tls { .. }
            | CatchupError::Closed { .. }
            | CatchupError::Io { .. }
            | CatchupError::SendTimeout { .. }
            | CatchupError::NoResponse { .. }
            | CatchupError::Inactive { .. }
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ordered(names: &[&str]) -> Result<(Vec<String>, bool), String> {
        let names: Vec<String> = names.iter().map(|&name| name.to_owned()).collect();
        order(&names).map(|(files, last)| (files.into(), last)).map_err(|error| error.to_string())
    }

    #[test]
    fn neostore_comes_last() {
        let files = vec!["neostore.nodestore.db".to_owned()];
        assert_eq!(ordered(&["neostore", "neostore.nodestore.db"]), Ok((files, true)));
        assert_eq!(ordered(&[]), Ok((vec![], false)));
    }

    #[test]
    fn a_list_with_a_name_twice_is_refused() {
        for name in ["neostore", "neostore.nodestore.db"] {
            let error = ordered(&[name, "other", name]).unwrap_err();
            assert_eq!(error, format!("the server lists the file {name:?} twice"));
        }
    }

    #[test]
    fn a_list_with_a_path_is_refused() {
        assert!(ordered(&["../neostore"]).is_err());
        assert!(ordered(&["schema/index"]).is_err());
    }
}
