//! Which log files are not needed any more.

use std::path::PathBuf;
use std::time::Duration;

use super::files::LogFiles;
use super::reader::LogReader;
use super::{LogError, LogPosition};
use crate::io::disk::SharedDisk;
use crate::store::id::TransactionId;

/// How much of the logs is kept behind a checkpoint.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Retention {
    /// All of them.
    All,
    /// So many files.
    Files(u64),
    /// As many files as make so many bytes.
    Size(u64),
    /// As many files as hold so many transactions.
    Transactions(u64),
    /// Files with transactions that are not older than this.
    Age(Duration),
}

impl Retention {
    /// As little as possible.
    pub const NONE: Self = Self::Transactions(1);
}

/// Checkpoint logs that are kept besides the one that is written to.
const CHECKPOINT_LOGS: u64 = 3;

/// Deletes log files that the policy does not ask for, from the lowest on, and old checkpoint logs. `checkpoint`: the
/// log file that the last checkpoint names; it and the one before it stay, and so does every file from the one on that
/// holds the transaction `last`, which the next incremental backup looks up. `now`: ms since the epoch. Returns what was
/// deleted.
///
/// Specification: transaction log 9.8.
pub fn prune(
    disk: &SharedDisk,
    files: &LogFiles,
    retention: Retention,
    checkpoint: u64,
    last: TransactionId,
    now: i64,
) -> Result<Vec<PathBuf>, LogError> {
    let mut pruned = Vec::new();
    if let Some(highest) = highest_to_prune(files, retention, checkpoint, last, now)? {
        let needed = holder(files, last)?;
        for log_version in files.versions().take_while(|log_version| *log_version <= highest) {
            if needed.is_none_or(|needed| log_version < needed) {
                pruned.push(files.path(log_version));
            }
        }
    }
    let numbers: Vec<_> = files.checkpoints().map(|(number, _)| number).collect();
    if let Some(current) = numbers.last().filter(|_| numbers.len() as u64 > CHECKPOINT_LOGS) {
        let old = files.checkpoints().filter(|(number, _)| number + CHECKPOINT_LOGS <= *current);
        pruned.extend(old.map(|(_, path)| path.to_owned()));
    }
    for path in &pruned {
        disk.remove_file(path)?;
    }
    if let Some(directory) = pruned.first().and_then(|path| path.parent()) {
        disk.sync_dir(directory)?;
    }
    Ok(pruned)
}

/// The log file with the transaction; `None`: it is in none, so that none is needed for it.
fn holder(files: &LogFiles, last: TransactionId) -> Result<Option<u64>, LogError> {
    for log_version in files.versions().rev() {
        if files.header(log_version)?.is_some_and(|header| header.last_committed < last) {
            return Ok(Some(log_version));
        }
    }
    Ok(None)
}

fn highest_to_prune(
    files: &LogFiles,
    retention: Retention,
    checkpoint: u64,
    last: TransactionId,
    now: i64,
) -> Result<Option<u64>, LogError> {
    let Some(most) = checkpoint.checked_sub(2) else { return Ok(None) };
    let mut kept = Kept { files: 0, bytes: 0, last };
    for log_version in files.versions().rev().skip_while(|log_version| *log_version >= checkpoint) {
        if kept.reaches(files, retention, log_version, now)? {
            return Ok(Some(log_version.min(most)));
        }
    }
    Ok(None)
}

/// What the files that were visited so far have, from the newest to the oldest.
struct Kept {
    files: u64,
    bytes: u64,
    /// The last transaction of all.
    last: TransactionId,
}

impl Kept {
    /// Whether the policy has enough with this file and those after it.
    fn reaches(
        &mut self,
        files: &LogFiles,
        retention: Retention,
        log_version: u64,
        now: i64,
    ) -> Result<bool, LogError> {
        match retention {
            Retention::All => Ok(false),
            Retention::Files(most) => {
                self.files += 1;
                Ok(self.files >= most)
            }
            Retention::Size(most) => {
                self.bytes += files.open(log_version)?.map_or(0, |(file, _)| file.length);
                Ok(self.bytes >= most)
            }
            Retention::Transactions(most) => {
                let next = log_version + 1;
                if !files.versions().any(|log_version| log_version == next) {
                    return Ok(false);
                }
                let Some(next) = files.header(next)? else { return Ok(false) };
                let behind = self.last.0.saturating_sub(next.last_committed.0.saturating_add(1));
                Ok(u64::try_from(behind).is_ok_and(|behind| behind >= most))
            }
            Retention::Age(most) => {
                let mut reader = LogReader::open(files, LogPosition { log_version, offset: 0 })?;
                let Some(first) = reader.next_transaction()? else { return Ok(false) };
                let most = i64::try_from(most.as_millis()).unwrap_or(i64::MAX);
                Ok(first.transaction.start_time < now.saturating_sub(most))
            }
        }
    }
}
