//! The transactions that follow the store files: which ones, and when there are enough.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::{Instant, sleep};

use super::BackupError;
use super::progress::{Event, Progress};
use super::source::Source;
use crate::catchup::message::CatchupResult;
use crate::catchup::{CatchupError, Client, SinkError, TransactionSink};
use crate::store::id::TransactionId;
use crate::txlog::wire::WireTransaction;
use crate::txlog::writer::LogWriter;
use crate::txlog::{LogError, LogPosition};

/// Which transactions a full copy needs.
///
/// The checkpointed one comes again, so that the log of the copy holds at least one transaction, to which a later run
/// can attach. Specification: protocol 7.3.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Range {
    /// The first transaction.
    pub first: TransactionId,
    /// The one that must be reached; `None` if any end will do.
    pub required: Option<TransactionId>,
}

impl Range {
    /// After a full copy that began with `checkpoint` and whose files name `highest` as the last checkpoint.
    pub fn after_copy(checkpoint: TransactionId, highest: TransactionId) -> Result<Self, BackupError> {
        const FIRST_OF_USERS: TransactionId = TransactionId(2);
        if highest < FIRST_OF_USERS {
            return Ok(Self { first: checkpoint.max(FIRST_OF_USERS), required: None });
        }
        if highest < checkpoint {
            return Err(BackupError::BeforeCheckpoint { checkpoint, highest });
        }
        // Nobody can ask for transaction 1, which is no transaction: the copy of a new database begins with 2.
        Ok(Self { first: checkpoint.max(FIRST_OF_USERS), required: Some(highest) })
    }
}

/// How long to go on without getting further.
#[derive(Clone, Copy, Debug)]
pub struct Patience {
    /// `causal_clustering.catch_up_client_inactivity_timeout`.
    pub inactivity: Duration,
    /// The longest pause between two attempts that brought nothing.
    pub max_pause: Duration,
}

/// Takes transactions in their order and appends them to the log.
pub struct Log {
    writer: LogWriter,
    first: TransactionId,
    /// The last transaction, and where it starts.
    last: Option<(TransactionId, LogPosition)>,
    /// Bytes of all transactions.
    received: u64,
}

impl Log {
    /// Appends to a log whose first transaction will be `first`.
    pub fn new(writer: LogWriter, first: TransactionId) -> Self {
        Self { writer, first, last: None, received: 0 }
    }

    /// The last transaction that was appended.
    pub fn last(&self) -> Option<TransactionId> {
        self.last.map(|(last, _)| last)
    }

    /// The same, with the place where it starts.
    pub fn last_with_start(&self) -> Option<(TransactionId, LogPosition)> {
        self.last
    }

    /// Bytes of the transactions that were appended.
    pub fn received(&self) -> u64 {
        self.received
    }

    /// Number of the last log file.
    pub fn log_version(&self) -> u64 {
        self.writer.log_version()
    }

    /// Forces the log to the medium.
    pub fn sync(&mut self) -> Result<(), LogError> {
        self.writer.sync()
    }

    fn append(&mut self, id: TransactionId, bytes: &[u8]) -> Result<(), BackupError> {
        match self.last().map(TransactionId::next) {
            None if id != self.first => {
                return Err(BackupError::FirstTransaction { expected: self.first, got: id });
            }
            Some(expected) if id != expected => {
                return Err(BackupError::TransactionOrder { expected, got: id });
            }
            _ => {}
        }
        let start = self.writer.append(id, bytes)?;
        self.last = Some((id, start));
        self.received += bytes.len() as u64;
        Ok(())
    }
}

impl TransactionSink for Log {
    fn accept(&mut self, transaction: &WireTransaction, bytes: &[u8]) -> Result<(), SinkError> {
        self.append(transaction.id, bytes).map_err(SinkError::new)
    }
}

/// Asks for transactions until the range is complete, and then once more: what a server says after the last file was
/// fetched is what counts.
pub async fn pull(
    source: &Source,
    client: &mut Option<Client>,
    range: Range,
    log: &mut Log,
    patience: Patience,
    progress: &Arc<dyn Progress>,
) -> Result<(), BackupError> {
    let previous = range.first.previous();
    let began = Instant::now();
    progress.report(&Event::TransactionsStarted { previous });
    let result = pull_all(source, client, range, log, patience).await;
    progress.report(&Event::TransactionsFinished { last: log.last(), took: began.elapsed() });
    result
}

async fn pull_all(
    source: &Source,
    client: &mut Option<Client>,
    range: Range,
    log: &mut Log,
    patience: Patience,
) -> Result<(), BackupError> {
    let mut course = Course::new(range.required);
    let mut clock = Instant::now();
    let mut pause = Duration::from_millis(1);
    loop {
        let result = attempt(source, client, range, log).await;
        let (outcome, reason) = match &result {
            Ok(end) if *end == CatchupResult::SuccessEndOfStream => (Outcome::Success, String::new()),
            Ok(end) => (Outcome::Failure, format!(": {}", meaning(*end, range, log))),
            // Nothing that another attempt can cure.
            Err(CatchupError::Sink { .. }) => return result.map(drop).map_err(Into::into),
            Err(error) if is_unreachable(error) => (Outcome::Unreachable, format!(": {error}")),
            Err(error) => (Outcome::Failure, format!(": {error}")),
        };
        if !reason.is_empty() {
            tracing::debug!("Transaction pulling attempt failed with error{reason}");
        }
        match course.next(outcome, log.last(), clock.elapsed() >= patience.inactivity) {
            Next::Leave => break,
            Next::Fail => return Err(BackupError::NoProgress { reason }),
            Next::Progressed => {
                clock = Instant::now();
                pause = Duration::from_millis(1);
            }
            Next::Again => {
                // A server that is behind, or away, gets time to catch up.
                sleep(pause).await;
                pause = (pause * 2).min(patience.max_pause);
            }
        }
    }
    // Its result does not matter: everything that is required is there.
    match attempt(source, client, range, log).await {
        Err(error @ CatchupError::Sink { .. }) => Err(error.into()),
        _ => Ok(()),
    }
}

/// One request, from behind the last transaction that is there.
async fn attempt(
    source: &Source,
    client: &mut Option<Client>,
    range: Range,
    log: &mut Log,
) -> Result<CatchupResult, CatchupError> {
    let mut connection = match client.take() {
        Some(connection) => connection,
        None => source.dialer.connect().await?,
    };
    let previous = log.last().unwrap_or(range.first.previous());
    let result = connection.pull(source.database, previous, source.store_id, log).await;
    if connection.is_usable() {
        *client = Some(connection);
    }
    result.map(|end| end.result)
}

fn is_unreachable(error: &CatchupError) -> bool {
    matches!(
        error,
        CatchupError::UnknownHost { .. } | CatchupError::Connect { .. } | CatchupError::ConnectTimeout { .. }
    )
}

/// What a refusal means for the copy.
fn meaning(end: CatchupResult, range: Range, log: &Log) -> String {
    let wanted = log.last().map_or(range.first, TransactionId::next);
    match end {
        CatchupResult::TransactionPruned => format!(
            "{end}, the server has deleted transaction {wanted} from its logs; \
             dbms.tx_log.rotation.retention_policy there says for how long it keeps them"
        ),
        other => format!("{other} when transaction {wanted} was asked for"),
    }
}

/// How an attempt ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Outcome {
    Success,
    Failure,
    Unreachable,
}

/// What follows from it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Next {
    Leave,
    Progressed,
    Again,
    Fail,
}

/// The rules of the pulling loop, free of network and clock. Specification: protocol 7.5.
#[derive(Debug)]
struct Course {
    required: Option<TransactionId>,
    highest: TransactionId,
    /// One more attempt without progress is the last.
    last_attempt: bool,
}

impl Course {
    fn new(required: Option<TransactionId>) -> Self {
        Self { required, highest: TransactionId(0), last_attempt: false }
    }

    fn next(&mut self, outcome: Outcome, last: Option<TransactionId>, expired: bool) -> Next {
        let progressed = last.is_some_and(|last| last > self.highest);
        self.highest = self.highest.max(last.unwrap_or(TransactionId(-1)));
        let enough = self.required.is_none_or(|required| self.highest >= required);
        if outcome == Outcome::Success && enough {
            return Next::Leave;
        }
        if progressed {
            self.last_attempt = false;
            return Next::Progressed;
        }
        if self.last_attempt {
            return Next::Fail;
        }
        self.last_attempt = outcome == Outcome::Failure || expired;
        Next::Again
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_range_begins_with_the_checkpoint_and_reaches_every_file() {
        let range = |checkpoint, highest| {
            Range::after_copy(TransactionId(checkpoint), TransactionId(highest))
                .map(|range| (range.first.0, range.required.map(|id| id.0)))
                .map_err(|error| error.to_string())
        };
        assert_eq!(range(42, 43), Ok((42, Some(43))));
        assert_eq!(range(42, 42), Ok((42, Some(42))));
        assert_eq!(range(1, 1), Ok((2, None)));
        assert_eq!(range(1, 7), Ok((2, Some(7))), "transaction 1 can't be asked for");
        assert_eq!(range(1, -1), Ok((2, None)));
        assert_eq!(range(42, -1), Ok((42, None)), "a copy without store files");
        assert!(range(42, 41).is_err());
    }

    /// Outcome, last transaction at hand (0: none), clock expired.
    type Steps<'a> = &'a [(Outcome, i64, bool)];

    fn course(required: Option<i64>, steps: Steps) -> Vec<Next> {
        let mut course = Course::new(required.map(TransactionId));
        steps
            .iter()
            .map(|&(outcome, last, expired)| {
                course.next(outcome, (last > 0).then_some(TransactionId(last)), expired)
            })
            .collect()
    }

    #[test]
    fn pulling_ends_when_the_required_transaction_is_there() {
        use Next::{Again, Fail, Leave, Progressed};
        use Outcome::{Failure, Success, Unreachable};
        for (required, steps, expected) in [
            (None, &[(Success, 0, false)][..], vec![Leave]),
            (Some(5), &[(Success, 5, false)], vec![Leave]),
            (Some(5), &[(Success, 4, false), (Success, 6, false)], vec![Progressed, Leave]),
            // Everything is there, but the server did not say that this was all.
            (Some(5), &[(Failure, 5, false), (Success, 5, false)], vec![Progressed, Leave]),
            (None, &[(Failure, 0, false), (Failure, 0, false)], vec![Again, Fail]),
            (None, &[(Failure, 0, false), (Success, 0, false)], vec![Again, Leave]),
            (
                Some(9),
                &[(Failure, 4, false), (Failure, 4, false), (Failure, 4, false)],
                vec![Progressed, Again, Fail],
            ),
            (
                Some(9),
                &[(Failure, 4, false), (Failure, 4, false), (Success, 9, false)],
                vec![Progressed, Again, Leave],
            ),
            // A server that is behind is asked again until the clock has expired, and once more.
            (
                Some(9),
                &[(Success, 4, false), (Success, 4, false), (Success, 4, true), (Success, 4, true)],
                vec![Progressed, Again, Again, Fail],
            ),
            (
                None,
                &[(Unreachable, 0, false), (Unreachable, 0, true), (Unreachable, 0, true)],
                vec![Again, Again, Fail],
            ),
        ] {
            assert_eq!(course(required, steps), expected, "{required:?} {steps:?}");
        }
    }
}
