//! What a run tells while it works.
//!
//! The job reports values, the console decides how they look. The texts stand here, next to the values, because
//! scripts of operators match them.

use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use crate::store::id::TransactionId;

/// Takes the reports of a run. Several connections report at once.
pub trait Progress: Send + Sync {
    /// Something happened. Must not block for long: the caller is in the middle of its work.
    fn report(&self, event: &Event);
}

/// Something that an operator sees without `--verbose`.
///
/// [`fmt::Display`] gives the text of the line. Specification: command line 3.4, numbers in parentheses.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// A full copy begins (1).
    StoreFilesStarted,
    /// A file arrives (2). The path is the destination directory and the base name, without directories between.
    StoreFileStarted(PathBuf),
    /// A file is complete (3), named as before.
    StoreFileFinished(PathBuf),
    /// No more files come (4), after a failure too.
    StoreFilesFinished {
        /// Time since [`Event::StoreFilesStarted`].
        took: Duration,
    },
    /// Transactions are asked for (5).
    TransactionsStarted {
        /// The one before the first that is wanted.
        previous: TransactionId,
    },
    /// No more transactions come (6), after a failure too.
    TransactionsFinished {
        /// The last one received.
        last: Option<TransactionId>,
        /// Time since [`Event::TransactionsStarted`].
        took: Duration,
    },
    /// The transactions are applied (7).
    RecoveryStarted,
    /// They are applied, or there was nothing to do (8), after a failure too.
    RecoveryFinished {
        /// Time since [`Event::RecoveryStarted`].
        took: Duration,
    },
    /// A database is done (9), after a failure too.
    DatabaseFinished {
        /// Time since its first request.
        took: Duration,
    },
    /// A statement that belongs in the log.
    Notice(String),
    /// The run goes on, but an operator should know.
    Warning(String),
}

/// How much an event matters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    /// The normal course.
    Info,
    /// Something to look at.
    Warn,
}

impl Event {
    /// The severity of its log line.
    pub fn severity(&self) -> Severity {
        match self {
            Self::Warning(_) => Severity::Warn,
            _ => Severity::Info,
        }
    }
}

impl fmt::Display for Event {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::StoreFilesStarted => f.write_str("Start receiving store files"),
            Self::StoreFileStarted(path) => write!(f, "Start receiving store file {}", path.display()),
            Self::StoreFileFinished(path) => write!(f, "Finish receiving store file {}", path.display()),
            Self::StoreFilesFinished { took } => {
                write!(f, "Finish receiving store files, took {}", Took(*took))
            }
            Self::TransactionsStarted { previous } => {
                write!(f, "Start receiving transactions from {previous}")
            }
            Self::TransactionsFinished { last, took } => {
                let last = last.map_or(-1, |id| id.0);
                write!(f, "Finish receiving transactions at {last}, took {}", Took(*took))
            }
            Self::RecoveryStarted => f.write_str("Start recovering store"),
            Self::RecoveryFinished { took } => write!(f, "Finish recovering store, took {}", Took(*took)),
            Self::DatabaseFinished { took } => write!(f, "Finished, took {}", Took(*took)),
            Self::Notice(text) | Self::Warning(text) => f.write_str(text),
        }
    }
}

/// A duration as Neo4j's log lines show it: units from days to milliseconds, those that are zero left out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Took(pub Duration);

impl fmt::Display for Took {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut rest = self.0.as_millis();
        if rest == 0 {
            return f.write_str("0ms");
        }
        let mut separator = "";
        for (unit, milliseconds) in
            [("d", 86_400_000), ("h", 3_600_000), ("m", 60_000), ("s", 1000), ("ms", 1)]
        {
            let count = rest / milliseconds;
            rest %= milliseconds;
            if count > 0 {
                write!(f, "{separator}{count}{unit}")?;
                separator = " ";
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_read_as_in_neo4j() {
        for (milliseconds, text) in [
            (0, "0ms"),
            (9552, "9s 552ms"),
            (60_000, "1m"),
            (3_723_004, "1h 2m 3s 4ms"),
            (86_400_000, "1d"),
            (90_061_001, "1d 1h 1m 1s 1ms"),
        ] {
            assert_eq!(Took(Duration::from_millis(milliseconds)).to_string(), text);
        }
    }

    #[test]
    fn lines_read_as_in_neo4j() {
        let took = Duration::from_millis(47);
        let path = PathBuf::from("/mnt/backups/neo4j/neostore");
        for (event, text) in [
            (Event::StoreFilesStarted, "Start receiving store files"),
            (Event::StoreFileStarted(path.clone()), "Start receiving store file /mnt/backups/neo4j/neostore"),
            (Event::StoreFileFinished(path), "Finish receiving store file /mnt/backups/neo4j/neostore"),
            (Event::StoreFilesFinished { took }, "Finish receiving store files, took 47ms"),
            (
                Event::TransactionsStarted { previous: TransactionId(41) },
                "Start receiving transactions from 41",
            ),
            (
                Event::TransactionsFinished { last: Some(TransactionId(42)), took },
                "Finish receiving transactions at 42, took 47ms",
            ),
            (
                Event::TransactionsFinished { last: None, took },
                "Finish receiving transactions at -1, took 47ms",
            ),
            (Event::RecoveryStarted, "Start recovering store"),
            (Event::RecoveryFinished { took }, "Finish recovering store, took 47ms"),
            (Event::DatabaseFinished { took }, "Finished, took 47ms"),
        ] {
            assert_eq!(event.to_string(), text);
            assert_eq!(event.severity(), Severity::Info);
        }
        assert_eq!(Event::Warning("look".to_owned()).severity(), Severity::Warn);
    }
}
