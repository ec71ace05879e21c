//! What a recovery tells while it runs.

use std::fmt;
use std::path::PathBuf;

use crate::store::id::TransactionId;
use crate::store::layout::RecordStore;
use crate::txlog::LogPosition;
use crate::txlog::files::LogFiles;
use crate::txlog::tail::RecoveryReason;

/// Where a recovery tells what it does. Several threads may tell at the same time.
pub trait RecoveryProgress: Sync {
    /// Something happened.
    fn event(&self, event: &RecoveryEvent);
}

/// Tells nobody.
#[derive(Clone, Copy, Debug, Default)]
pub struct Silent;

impl RecoveryProgress for Silent {
    fn event(&self, _event: &RecoveryEvent) {}
}

/// What happens in a recovery. Its text is the line of Neo4j's log where Neo4j has one. Specification: transaction log
/// 8.13.
#[derive(Debug)]
pub enum RecoveryEvent {
    /// Recovery starts.
    Required {
        /// Why; `None`: it was asked for and is not needed.
        reason: Option<RecoveryReason>,
        /// From where on logs are read.
        from: LogPosition,
    },
    /// So much of the window was read, in steps of ten.
    Percent(u8),
    /// The window was read.
    Window {
        /// The first transaction.
        first: TransactionId,
        /// The last one that is replayed; `None`: all are taken back.
        last: Option<TransactionId>,
        /// How many are replayed.
        transactions: u64,
    },
    /// The rest of the log can't be read and is cut off.
    Unreadable {
        /// From where on.
        position: LogPosition,
        /// The last transaction before.
        last: Option<TransactionId>,
        /// What is wrong there.
        reason: String,
    },
    /// An id file is missing or unusable, and is built from its store.
    IdFileRebuilt(RecordStore),
    /// The counts store is missing, unusable or of another moment, and is built from the stores.
    CountsRebuilt,
    /// The same of the degrees store.
    DegreesRebuilt,
    /// A number of the counts or degrees store would have become less than zero.
    NegativeCount {
        /// What is counted.
        key: String,
    },
    /// The end of the log was kept elsewhere and cut off.
    CutOff {
        /// From where on.
        position: LogPosition,
        /// Where it was kept.
        archive: PathBuf,
    },
    /// A log file was not needed any more.
    Pruned(PathBuf),
}

impl fmt::Display for RecoveryEvent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Required { reason: Some(reason), from } => {
                write!(f, "Recovery required from position {from}: {reason}")
            }
            Self::Required { reason: None, from } => write!(f, "Recovery from position {from}"),
            Self::Percent(percent) => write!(f, "  {percent}% completed"),
            Self::Window { first, last: Some(last), transactions } => {
                write!(f, "{transactions} transactions to recover, first:{first}, last:{last}")
            }
            Self::Window { first, last: None, .. } => {
                write!(f, "no transactions to recover, from {first} on they are taken back")
            }
            Self::Unreadable { position, last: Some(last), reason } => write!(
                f,
                "Fail to recover all transactions. Last recoverable transaction id:{last}. Any later transaction after \
                 {position} are unreadable and will be truncated. {reason}"
            ),
            Self::Unreadable { position, last: None, reason } => write!(
                f,
                "Fail to recover any transactions. Any later transactions after {position} are unreadable and will be \
                 truncated. {reason}"
            ),
            Self::IdFileRebuilt(store) => {
                write!(f, "the id file of {} was rebuilt from the store", store.file_name())
            }
            Self::CountsRebuilt => f.write_str("Counts store rebuild completed."),
            Self::DegreesRebuilt => f.write_str("Relationship degrees store rebuild completed."),
            Self::NegativeCount { key } => write!(
                f,
                "the number of {key} would be less than zero: the copied counts and the transactions contradict each \
                 other; it is stored as unknown, check the consistency of the database"
            ),
            Self::CutOff { position, archive } => {
                write!(f, "the log behind {position} was moved to {} and cut off", archive.display())
            }
            Self::Pruned(path) => {
                write!(f, "log file {} is not needed any more and was deleted", path.display())
            }
        }
    }
}

/// Tells how much of a window was read.
pub(super) struct Percent {
    /// Bytes of the log files before the position in each, from the first file on.
    before: Vec<(u64, u64)>,
    start: u64,
    total: u64,
    told: u8,
}

impl Percent {
    pub(super) fn new(logs: &LogFiles, from: LogPosition) -> Self {
        let (mut before, mut total) = (Vec::new(), 0);
        for log_version in logs.versions().filter(|log_version| *log_version >= from.log_version) {
            before.push((log_version, total));
            total += std::fs::metadata(logs.path(log_version)).map_or(0, |file| file.len());
        }
        Self { before, start: from.offset, total, told: 0 }
    }

    /// The window was read up to a position.
    pub(super) fn at(&mut self, position: LogPosition, progress: &dyn RecoveryProgress) {
        let before = self.before.iter().find(|(log_version, _)| *log_version == position.log_version);
        let before = before.map_or(0, |(_, before)| *before);
        let done = (before + position.offset).saturating_sub(self.start);
        let total = self.total.saturating_sub(self.start).max(1);
        let percent = u8::try_from(done.saturating_mul(10) / total * 10).unwrap_or(100).min(100);
        if percent > self.told {
            self.told = percent;
            progress.event(&RecoveryEvent::Percent(percent));
        }
    }
}
