//! The transactions that follow the store files: which ones, and when there are enough.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::{Instant, sleep};

use super::BackupError;
use super::progress::{Event, Progress};
use super::source::Source;
use super::witness::Witness;
use crate::catchup::message::CatchupResult;
use crate::catchup::{CatchupError, Client, SinkError, StreamEnd, TransactionSink};
use crate::io::disk::SharedDisk;
use crate::store::id::TransactionId;
use crate::store::neostore::{Field, Neostore};
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
    /// Nobody can ask for transaction 1, which is no transaction: a copy of a new database begins with 2.
    const FIRST_OF_USERS: TransactionId = TransactionId(2);

    /// The first transaction of a copy that began with `checkpoint`.
    pub fn first_after(checkpoint: TransactionId) -> TransactionId {
        checkpoint.max(Self::FIRST_OF_USERS)
    }

    /// After a full copy that began with `checkpoint` and whose files name `highest` as the last checkpoint.
    pub fn after_copy(checkpoint: TransactionId, highest: TransactionId) -> Result<Self, BackupError> {
        let first = Self::first_after(checkpoint);
        if highest < Self::FIRST_OF_USERS {
            return Ok(Self { first, required: None });
        }
        if highest < checkpoint {
            return Err(BackupError::BeforeCheckpoint { checkpoint, highest });
        }
        Ok(Self { first, required: Some(highest) })
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

/// Opens the log when the first transaction comes, so that a run without any changes nothing.
pub type Opening = Box<dyn FnOnce() -> Result<LogWriter, BackupError> + Send>;

/// Takes transactions in their order and appends them to the log.
pub struct Log {
    destination: Destination,
    /// The transaction behind which is asked first.
    previous: TransactionId,
    /// A transaction that is in the store already: it may come, and is not appended.
    known: Option<Known>,
    /// What transactions must be, if they come.
    witnesses: Vec<Witness>,
    /// The metadata store that is kept in step with the files of the log.
    in_step: Option<(Neostore, SharedDisk)>,
    /// The last transaction that came.
    last: Option<TransactionId>,
    /// The last one that was appended, and where it starts.
    appended: Option<(TransactionId, LogPosition)>,
    bytes: u64,
}

/// See [`Log::knowing`].
#[derive(Clone, Copy, Debug)]
struct Known {
    id: TransactionId,
    /// Whether the first transaction may be the one behind it, if nothing else helps.
    may_be_left_out: bool,
}

enum Destination {
    Waiting(Opening),
    Open(LogWriter),
    /// The opening has failed.
    Failed,
}

impl Log {
    /// Appends to a log whose first transaction will be `first`.
    pub fn new(writer: LogWriter, first: TransactionId) -> Self {
        Self::to(Destination::Open(writer), first.previous())
    }

    /// Appends what follows `previous` to a log that is opened when something comes.
    pub fn behind(previous: TransactionId, opening: Opening) -> Self {
        Self::to(Destination::Waiting(opening), previous)
    }

    fn to(destination: Destination, previous: TransactionId) -> Self {
        Self {
            destination,
            previous,
            known: None,
            witnesses: Vec::new(),
            in_step: None,
            last: None,
            appended: None,
            bytes: 0,
        }
    }

    /// `id`, which comes first, is known: it is not appended.
    #[must_use]
    pub fn knowing(mut self, id: TransactionId) -> Self {
        self.previous = id.previous();
        self.known = Some(Known { id, may_be_left_out: false });
        self
    }

    /// As [`Self::knowing`], and a server that has it no more may begin behind it. Specification: protocol 7.4.
    #[must_use]
    pub fn knowing_perhaps(mut self, id: TransactionId) -> Self {
        self.previous = id.previous();
        self.known = Some(Known { id, may_be_left_out: true });
        self
    }

    /// A transaction must be as it was, if it comes.
    #[must_use]
    pub fn expecting(mut self, witness: impl IntoIterator<Item = Witness>) -> Self {
        self.witnesses.extend(witness);
        self
    }

    /// Tells a metadata store of each new log file before it is begun. Specification: transaction log 9.6.
    #[must_use]
    pub fn in_step_with(mut self, neostore: Neostore, disk: SharedDisk) -> Self {
        self.in_step = Some((neostore, disk));
        self
    }

    /// The last transaction that came.
    pub fn last(&self) -> Option<TransactionId> {
        self.last
    }

    /// The transaction behind which was asked first.
    pub fn previous(&self) -> TransactionId {
        self.previous
    }

    /// The last transaction that was appended.
    pub fn appended(&self) -> Option<TransactionId> {
        self.appended.map(|(id, _)| id)
    }

    /// Bytes of the transactions that came.
    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Number of the last log file; `None`: nothing was opened.
    pub fn log_version(&self) -> Option<u64> {
        match &self.destination {
            Destination::Open(writer) => Some(writer.log_version()),
            Destination::Waiting(_) | Destination::Failed => None,
        }
    }

    /// Sets the fields of a metadata store that tell of the end of an open log, if anything came. Recovery sets them
    /// again. Specification: protocol 7.8.
    pub fn tell(&self, neostore: &mut Neostore, now: i64) {
        let (Some(last), Some(log_version)) = (self.last, self.log_version()) else { return };
        neostore.set(Field::LogVersion, log_version.cast_signed());
        neostore.set(Field::LastTransactionId, last.0);
        neostore.set(Field::LastTransactionChecksum, 0);
        neostore.set(Field::LastTransactionTime, now);
        if let Some((_, start)) = self.appended {
            neostore.set(Field::LastClosedLogVersion, start.log_version.cast_signed());
            neostore.set(Field::LastClosedOffset, start.offset.cast_signed());
        }
    }

    /// Opens the log, if nothing that came has done so.
    pub fn open(&mut self) -> Result<(), BackupError> {
        self.writer().map(drop)
    }

    /// Forces the log to the medium.
    pub fn sync(&mut self) -> Result<(), LogError> {
        match &mut self.destination {
            Destination::Open(writer) => writer.sync(),
            Destination::Waiting(_) | Destination::Failed => Ok(()),
        }
    }

    fn writer(&mut self) -> Result<&mut LogWriter, BackupError> {
        if let Destination::Waiting(_) = self.destination
            && let Destination::Waiting(open) = std::mem::replace(&mut self.destination, Destination::Failed)
        {
            self.destination = Destination::Open(open()?);
        }
        match &mut self.destination {
            Destination::Open(writer) => Ok(writer),
            Destination::Waiting(_) | Destination::Failed => Err(BackupError::Ended),
        }
    }

    /// The transaction behind which is asked next.
    fn request(&self, last_attempt: bool) -> TransactionId {
        match (self.last, self.known) {
            (Some(last), _) => last,
            (None, Some(Known { id, may_be_left_out: true })) if last_attempt => id,
            (None, _) => self.previous,
        }
    }

    fn take(&mut self, transaction: &WireTransaction, bytes: &[u8]) -> Result<(), BackupError> {
        let id = transaction.id;
        self.check_order(id)?;
        if let Some(expected) = self.witnesses.iter().find(|witness| witness.transaction() == id)
            && Witness::of(transaction, bytes)? != *expected
        {
            return Err(BackupError::OtherHistory { transaction: id });
        }
        if self.known.is_none_or(|known| known.id != id) {
            self.append(id, bytes)?;
        }
        self.bytes += bytes.len() as u64;
        self.last = Some(id);
        Ok(())
    }

    fn check_order(&self, id: TransactionId) -> Result<(), BackupError> {
        let Some(last) = self.last else {
            let from = self.previous.next();
            let left_out = self.known.filter(|known| known.may_be_left_out).map(|known| known.id.next());
            if id == from || Some(id) == left_out {
                return Ok(());
            }
            return Err(BackupError::FirstTransaction { from, to: left_out.unwrap_or(from), got: id });
        };
        if id == last.next() {
            Ok(())
        } else {
            Err(BackupError::TransactionOrder { expected: last.next(), got: id })
        }
    }

    fn append(&mut self, id: TransactionId, bytes: &[u8]) -> Result<(), BackupError> {
        let next_file = self.writer()?.due_rotation();
        if let (Some(log_version), Some((neostore, disk))) = (next_file, &mut self.in_step) {
            neostore.set(Field::LogVersion, log_version.cast_signed());
            neostore.write(disk)?;
        }
        let start = self.writer()?.append(id, bytes)?;
        self.appended = Some((id, start));
        Ok(())
    }
}

impl TransactionSink for Log {
    fn accept(&mut self, transaction: &WireTransaction, bytes: &[u8]) -> Result<(), SinkError> {
        self.take(transaction, bytes).map_err(SinkError::new)
    }
}

/// What a server had to say beside its transactions.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Pulled {
    /// The last transaction of a server that is behind what is there already.
    pub behind: Option<TransactionId>,
}

/// Asks for transactions until `required` is reached, and then once more: what a server says after the last file was
/// fetched is what counts.
pub async fn pull(
    source: &Source,
    client: &mut Option<Client>,
    required: Option<TransactionId>,
    log: &mut Log,
    patience: Patience,
    progress: &Arc<dyn Progress>,
) -> Result<Pulled, BackupError> {
    let began = Instant::now();
    progress.report(&Event::TransactionsStarted { previous: log.request(false) });
    let before = log.last();
    let result = pull_all(source, client, required, log, patience).await;
    let last = log.last().filter(|_| log.last() != before);
    progress.report(&Event::TransactionsFinished { last, took: began.elapsed() });
    result
}

async fn pull_all(
    source: &Source,
    client: &mut Option<Client>,
    required: Option<TransactionId>,
    log: &mut Log,
    patience: Patience,
) -> Result<Pulled, BackupError> {
    let mut course = Course::new(required);
    let mut clock = Instant::now();
    let mut pause = Duration::from_millis(1);
    let pulled = loop {
        let asked = log.request(course.last_attempt);
        let result = attempt_behind(source, client, asked, log).await;
        let mut pulled = Pulled::default();
        let mut pruned = false;
        let (outcome, reason) = match &result {
            Ok(StreamEnd { result: CatchupResult::SuccessEndOfStream, last }) => {
                pulled.behind = last.filter(|last| *last < log.request(false));
                (Outcome::Success, String::new())
            }
            Ok(StreamEnd { result, .. }) => {
                pruned = *result == CatchupResult::TransactionPruned;
                (Outcome::Failure, format!(": {}", meaning(*result, log.request(false).next())))
            }
            // Nothing that another attempt can cure.
            Err(CatchupError::Sink { .. }) => return result.map(|_| pulled).map_err(Into::into),
            Err(error) if is_unreachable(error) => (Outcome::Unreachable, format!(": {error}")),
            Err(error) => (Outcome::Failure, format!(": {error}")),
        };
        if !reason.is_empty() {
            tracing::debug!("Transaction pulling attempt failed with error{reason}");
        }
        match course.next(outcome, log.last(), clock.elapsed() >= patience.inactivity) {
            Next::Leave => break pulled,
            Next::Fail => return Err(BackupError::NoProgress { reason, pruned }),
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
    };
    // Its result does not matter: everything that is required is there.
    match attempt(source, client, log).await {
        Err(error @ CatchupError::Sink { .. }) => Err(error.into()),
        _ => Ok(pulled),
    }
}

/// One request for what follows the last transaction that came.
pub(super) async fn attempt(
    source: &Source,
    client: &mut Option<Client>,
    log: &mut Log,
) -> Result<StreamEnd, CatchupError> {
    attempt_behind(source, client, log.request(false), log).await
}

/// One request for the transactions behind `previous`.
async fn attempt_behind(
    source: &Source,
    client: &mut Option<Client>,
    previous: TransactionId,
    log: &mut Log,
) -> Result<StreamEnd, CatchupError> {
    let mut connection = match client.take() {
        Some(connection) => connection,
        None => source.dialer.connect().await?,
    };
    let result = connection.pull(source.database, previous, source.store_id, log).await;
    if connection.is_usable() {
        *client = Some(connection);
    }
    result
}

fn is_unreachable(error: &CatchupError) -> bool {
    matches!(
        error,
        CatchupError::UnknownHost { .. } | CatchupError::Connect { .. } | CatchupError::ConnectTimeout { .. }
    )
}

/// What a refusal means for the copy.
fn meaning(end: CatchupResult, wanted: TransactionId) -> String {
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
