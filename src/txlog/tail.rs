//! Whether a store is complete, or its logs must be replayed first.

use std::fmt;
use std::path::Path;

use super::checkpoint::Checkpoint;
use super::files::{LogFiles, ReadFile};
use super::header::LogHeader;
use super::reader::{LogReader, Rest};
use super::{EntryError, LogError, LogPosition};
use crate::store::id::StoreId;
use crate::store::layout::{DatabaseLayout, RecordStore};

/// What the logs say of the store. Specification: transaction log 7.3.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Tail {
    /// The last checkpoint.
    pub checkpoint: Option<LastCheckpoint>,
    /// Whether anything of a transaction follows it.
    pub entries_after: bool,
}

/// The last checkpoint of a database.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LastCheckpoint {
    /// Everything before is in the store files.
    pub position: LogPosition,
    /// The store that it belongs to; `None`: not told, as in logs of 4.0 and 4.1.
    pub store_id: Option<StoreId>,
}

/// Why a store can't be used as it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RecoveryReason {
    /// Nothing can be recovered without these.
    MissingStores(Vec<RecordStore>),
    /// Recovery writes these anew.
    MissingIdFiles(Vec<String>),
    /// Transactions follow the last checkpoint.
    EntriesAfterCheckpoint(Option<LogPosition>),
    /// There are no logs at all.
    MissingLogs,
}

impl fmt::Display for RecoveryReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::MissingStores(stores) => {
                let names: Vec<_> = stores.iter().map(|store| store.file_name()).collect();
                write!(f, "store files are missing: {}", names.join(", "))
            }
            Self::MissingIdFiles(names) => write!(f, "id files are missing: {}", names.join(", ")),
            Self::EntriesAfterCheckpoint(Some(position)) => {
                write!(f, "transactions follow the last checkpoint, which is at {position}")
            }
            Self::EntriesAfterCheckpoint(None) => write!(f, "there are transactions and no checkpoint"),
            Self::MissingLogs => write!(f, "there are no transaction logs"),
        }
    }
}

/// Why a database must be recovered before it is used; `None`: it is complete. `tail`: of its logs. Specification:
/// transaction log 7.1.
pub fn recovery_reason(layout: &DatabaseLayout, logs: &LogFiles, tail: &Tail) -> Option<RecoveryReason> {
    let missing = layout.missing_stores();
    if !missing.is_empty() {
        return Some(RecoveryReason::MissingStores(missing));
    }
    let missing = layout.missing_id_files();
    if !missing.is_empty() {
        return Some(RecoveryReason::MissingIdFiles(missing));
    }
    if tail.entries_after {
        let position = tail.checkpoint.map(|checkpoint| checkpoint.position);
        return Some(RecoveryReason::EntriesAfterCheckpoint(position));
    }
    let nothing = tail.checkpoint.is_none() && logs.lowest().is_none();
    nothing.then_some(RecoveryReason::MissingLogs)
}

impl Tail {
    /// Looks for the last checkpoint and for what follows it.
    pub fn find(files: &LogFiles) -> Result<Self, LogError> {
        if let Some((file, checkpoint)) = last_detached(files)? {
            check(files, file, &checkpoint)?;
            let store_id = Some(checkpoint.store_id);
            return Self::behind(files, LastCheckpoint { position: checkpoint.position, store_id });
        }
        Self::find_inline(files)
    }

    /// Logs of 4.0 and 4.1: checkpoints are among the transactions.
    fn find_inline(files: &LogFiles) -> Result<Self, LogError> {
        let mut entries_after = false;
        for log_version in files.versions().rev() {
            if files.header(log_version)?.is_none() && files.highest() == Some(log_version) {
                continue;
            }
            let mut reader = LogReader::open_file(files, log_version)?;
            while reader.next_transaction()?.is_some() {
                entries_after = true;
            }
            entries_after |= reader.end().is_some_and(|end| end.rest == Rest::Torn);
            if let Some(checkpoint) = reader.checkpoint() {
                let position = checkpoint.position;
                return Self::behind(files, LastCheckpoint { position, store_id: None });
            }
        }
        match (files.lowest(), files.highest()) {
            (Some(lowest @ 1..), Some(highest)) => Err(LogError::NoCheckpoint { lowest, highest }),
            _ => Ok(Self { checkpoint: None, entries_after }),
        }
    }

    /// The same for logs that may be damaged: checkpoints that can't be used are passed over, and what can't be read
    /// behind the last usable one counts as transactions.
    pub fn find_readable(files: &LogFiles) -> Result<Self, LogError> {
        for (number, path) in files.checkpoints().rev() {
            for checkpoint in readable_records(&ReadFile::open(path)?, number)?.into_iter().rev() {
                if check(files, path, &checkpoint).is_ok() {
                    let (position, store_id) = (checkpoint.position, Some(checkpoint.store_id));
                    let checkpoint = LastCheckpoint { position, store_id };
                    let tail = Self::behind(files, checkpoint);
                    return Ok(tail.unwrap_or(Self { checkpoint: Some(checkpoint), entries_after: true }));
                }
            }
        }
        match (Self::find_inline(files), files.lowest()) {
            (Err(_), Some(0)) => Ok(Self { checkpoint: None, entries_after: true }),
            (found, _) => found,
        }
    }

    /// The last checkpoint alone. Unlike with [`Self::find`], what follows it may be damaged.
    pub fn last_checkpoint(files: &LogFiles) -> Result<Option<LastCheckpoint>, LogError> {
        match last_detached(files)? {
            Some((file, checkpoint)) => {
                check(files, file, &checkpoint)?;
                let store_id = Some(checkpoint.store_id);
                Ok(Some(LastCheckpoint { position: checkpoint.position, store_id }))
            }
            None => Ok(Self::find(files)?.checkpoint),
        }
    }

    fn behind(files: &LogFiles, checkpoint: LastCheckpoint) -> Result<Self, LogError> {
        let mut reader = LogReader::open(files, checkpoint.position)?;
        let entries_after =
            reader.next_transaction()?.is_some() || reader.end().is_some_and(|end| end.rest == Rest::Torn);
        Ok(Self { checkpoint: Some(checkpoint), entries_after })
    }
}

/// Whether the checkpoint names a place in the logs of its own store.
fn check(files: &LogFiles, checkpoint_log: &Path, checkpoint: &Checkpoint) -> Result<(), LogError> {
    let position = checkpoint.position;
    let invalid = |reason| LogError::CheckpointPosition { file: checkpoint_log.to_owned(), position, reason };
    if !files.versions().any(|log_version| log_version == position.log_version) {
        return Err(invalid("the log file is missing"));
    }
    let Some((file, header)) = files.open(position.log_version)? else {
        return Err(invalid("the log file has no header"));
    };
    if file.length < position.offset {
        return Err(invalid("the log file is shorter"));
    }
    if header.store_id.is_some_and(|store_id| !store_id.is_same_store(&checkpoint.store_id)) {
        return Err(invalid("the log file belongs to another store"));
    }
    Ok(())
}

/// The last record of the highest checkpoint log that has any, and that file.
pub fn last_detached(files: &LogFiles) -> Result<Option<(&Path, Checkpoint)>, LogError> {
    for (number, path) in files.checkpoints().rev() {
        let file = ReadFile::open(path)?;
        if file.header(number)?.is_none() {
            continue;
        }
        if let Some(checkpoint) = last_record(&file)? {
            return Ok(Some((path, checkpoint)));
        }
    }
    Ok(None)
}

/// The records of a checkpoint log up to the first that is damaged.
fn readable_records(file: &ReadFile, number: u64) -> Result<Vec<Checkpoint>, LogError> {
    let mut checkpoints = Vec::new();
    if !matches!(file.header(number), Ok(Some(_))) {
        return Ok(checkpoints);
    }
    let mut record = [0; Checkpoint::SIZE];
    for offset in (LogHeader::SIZE as u64..file.length).step_by(Checkpoint::SIZE) {
        if file.read_at(offset, &mut record)? < record.len() {
            break;
        }
        let Ok(checkpoint) = Checkpoint::decode(&record) else { break };
        checkpoints.push(checkpoint);
    }
    Ok(checkpoints)
}

/// The last record of a checkpoint log. All are read: one that is damaged makes the file unusable, as in Neo4j; a part
/// of a record or zeros behind the last are not. Specification: transaction log 1, 7.3.
fn last_record(file: &ReadFile) -> Result<Option<Checkpoint>, LogError> {
    /// Records that are read at a time: each incremental backup adds one.
    const AT_A_TIME: usize = 64;
    let mut last = None;
    let mut offset = LogHeader::SIZE as u64;
    let mut buffer = [0; AT_A_TIME * Checkpoint::SIZE];
    let end = |offset| {
        if file.is_padding(offset)? {
            Ok(())
        } else {
            Err(LogError::DataBehindEnd { file: file.path.clone(), offset })
        }
    };
    loop {
        let count = file.read_at(offset, &mut buffer)?;
        let (records, rest) = buffer.get(..count).unwrap_or_default().as_chunks::<{ Checkpoint::SIZE }>();
        for record in records {
            if record.first() == Some(&0) {
                return end(offset).map(|()| last);
            }
            let damaged = |source: EntryError| LogError::Damaged { file: file.path.clone(), offset, source };
            last = Some(Checkpoint::decode(record).map_err(damaged)?);
            offset += Checkpoint::SIZE as u64;
        }
        if count < buffer.len() {
            return if rest.first().is_none_or(|byte| *byte == 0) {
                end(offset).map(|()| last)
            } else {
                Ok(last)
            };
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::checkpoint::FullCopy;
    use super::super::entry::InlineCheckpoint;
    use super::super::header::tests::example_store_id;
    use super::super::wire::tests::create_node;
    use super::super::writer::LogWriter;
    use super::*;
    use crate::io::disk::OsDisk;
    use crate::store::id::TransactionId;

    /// A log with transaction 2 at 64, ending at 173.
    fn log(directory: &Path, log_version: u64) {
        let (disk, before) = (OsDisk::shared(), TransactionId::BASE);
        let mut writer =
            LogWriter::create(disk, directory, log_version, example_store_id(), before, u64::MAX).unwrap();
        writer.append(TransactionId(2), &create_node()).unwrap();
        writer.sync().unwrap();
    }

    fn full_copy(directory: &Path, first_log_version: u64) {
        let copy = FullCopy {
            checkpoint_log_version: 0,
            first_log_version,
            last_committed_before: TransactionId::BASE,
            store_id: example_store_id(),
            time: 1,
        };
        copy.write(&OsDisk::shared(), directory).unwrap();
    }

    /// Adds a record that names `offset` of log 5.
    fn record(directory: &Path, offset: u64) {
        let path = directory.join("checkpoint.0");
        let mut file = std::fs::read(&path).unwrap();
        let mut checkpoint = Checkpoint::decode(file[64..256].try_into().unwrap()).unwrap();
        checkpoint.position.offset = offset;
        file.extend(checkpoint.encode());
        std::fs::write(path, file).unwrap();
    }

    fn tail(directory: &Path) -> Result<Tail, LogError> {
        Tail::find(&LogFiles::list(directory)?)
    }

    #[test]
    fn a_full_copy_has_everything_before_it() {
        let dir = tempfile::tempdir().unwrap();
        log(dir.path(), 5);
        let missing = tail(dir.path()).unwrap_err();
        assert!(matches!(missing, LogError::NoCheckpoint { lowest: 5, highest: 5 }), "{missing}");
        full_copy(dir.path(), 5);
        let found = tail(dir.path()).unwrap();
        assert_eq!(found.checkpoint.unwrap().position, LogPosition { log_version: 5, offset: 64 });
        assert!(found.entries_after);

        record(dir.path(), 173);
        let found = tail(dir.path()).unwrap();
        assert_eq!(found.checkpoint.unwrap().position.offset, 173);
        assert!(!found.entries_after);
    }

    #[test]
    fn a_checkpoint_that_is_nowhere_in_the_logs_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        log(dir.path(), 5);
        full_copy(dir.path(), 5);
        record(dir.path(), 174);
        assert!(matches!(tail(dir.path()), Err(LogError::CheckpointPosition { .. })));
        record(dir.path(), 173);
        assert!(!tail(dir.path()).unwrap().entries_after);
        full_copy(dir.path(), 4);
        assert!(matches!(tail(dir.path()), Err(LogError::CheckpointPosition { .. })));
    }

    #[test]
    fn what_stands_behind_the_last_record_does_not_count() {
        let dir = tempfile::tempdir().unwrap();
        log(dir.path(), 5);
        full_copy(dir.path(), 5);
        record(dir.path(), 173);
        let path = dir.path().join("checkpoint.0");
        let good = std::fs::read(&path).unwrap();
        for rest in [&good[64..100], &[0; 10], &[0; 500]] {
            std::fs::write(&path, [&good[..], rest].concat()).unwrap();
            assert!(!tail(dir.path()).unwrap().entries_after);
        }
        std::fs::write(&path, [&good[..], &[0; 300], b"x"].concat()).unwrap();
        assert!(matches!(tail(dir.path()), Err(LogError::DataBehindEnd { offset: 448, .. })));
        let mut damaged = good.clone();
        damaged[300] ^= 1;
        std::fs::write(&path, damaged).unwrap();
        assert!(matches!(tail(dir.path()), Err(LogError::Damaged { offset: 256, .. })));
    }

    #[test]
    fn checkpoints_of_4_0_are_found_among_the_transactions() {
        let dir = tempfile::tempdir().unwrap();
        log(dir.path(), 5);
        let path = dir.path().join("neostore.transaction.db.5");
        let transactions = std::fs::read(&path).unwrap();
        for (offset, entries_after) in [(64, true), (173, false)] {
            let position = LogPosition { log_version: 5, offset };
            let checkpoint = InlineCheckpoint { position }.encode();
            std::fs::write(&path, [&transactions[..], &checkpoint].concat()).unwrap();
            let checkpoint = Some(LastCheckpoint { position, store_id: None });
            assert_eq!(tail(dir.path()).unwrap(), Tail { checkpoint, entries_after });
        }
    }

    #[test]
    fn without_logs_and_files_a_reason_is_told() {
        let dir = tempfile::tempdir().unwrap();
        let layout = DatabaseLayout::flat(dir.path());
        let reason = || {
            let logs = LogFiles::list(dir.path()).unwrap();
            recovery_reason(&layout, &logs, &Tail::find(&logs).unwrap())
        };
        assert!(matches!(reason(), Some(RecoveryReason::MissingStores(stores)) if stores.len() == 15));
        for store in RecordStore::ALL {
            std::fs::write(layout.record_store(store), b"").unwrap();
        }
        assert!(matches!(reason(), Some(RecoveryReason::MissingIdFiles(names)) if names.len() == 14));
        for name in layout.missing_id_files() {
            std::fs::write(dir.path().join(name), b"").unwrap();
        }
        assert_eq!(reason(), Some(RecoveryReason::MissingLogs));
        log(dir.path(), 0);
        assert_eq!(reason(), Some(RecoveryReason::EntriesAfterCheckpoint(None)));
    }
}
