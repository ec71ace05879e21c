//! Where a log goes on: its last transaction, and what a run that was stopped has left behind it.

use super::files::LogFiles;
use super::reader::{LogReader, Rest};
use super::{LogError, LogPosition};
use crate::store::id::TransactionId;

/// The end of a log to which transactions are to be appended.
#[derive(Debug)]
pub struct Continuation {
    /// The last transaction in the logs; `None`: there is none.
    pub last: Option<TransactionId>,
    /// Behind it, or behind the header of the file.
    pub end: LogPosition,
    /// What stands there.
    pub rest: Rest,
    /// Why what stands there can't be read, if it is more than the end of a write that was cut.
    pub damage: Option<LogError>,
}

impl Continuation {
    /// Reads the logs to their end. `known`: the last transaction by the metadata store, whose effects the store files
    /// may hold. `checkpoint`: where replay begins.
    ///
    /// Whatever is behind `known` was appended by a run that was stopped before it told the metadata store. It is on no
    /// medium for certain, so damage there is what a loss of power leaves and no error: the log ends before it. Damage
    /// before is one. Specification: transaction log 9.2, 9.3.
    pub fn find(
        files: &LogFiles,
        known: TransactionId,
        checkpoint: Option<LogPosition>,
    ) -> Result<Self, LogError> {
        if let Some(reader) = LogReader::find(files, known)? {
            return Self::read(reader, known);
        }
        // A log that begins behind `known`: the store had reached it when the log was begun.
        let highest = files.highest().map(|log_version| LogPosition { log_version, offset: 0 });
        let Some(start) = checkpoint.or(highest) else {
            return Err(LogError::NoLogs { directory: files.directory().to_owned() });
        };
        let mut reader = LogReader::open(files, start)?;
        if let Some(first) = reader.next_transaction()? {
            let (expected, found) = (known.next(), first.transaction.id);
            if found > expected {
                let file = files.path(first.start.log_version);
                return Err(LogError::Gap { file, offset: first.start.offset, expected, found });
            }
        }
        Self::read(LogReader::open(files, start)?, known)
    }

    fn read(mut reader: LogReader, known: TransactionId) -> Result<Self, LogError> {
        let mut last = None;
        loop {
            let damage = match reader.next_transaction() {
                Ok(Some(logged)) => {
                    last = Some(logged.transaction.id);
                    continue;
                }
                Ok(None) => None,
                Err(error @ LogError::Disk(_)) => return Err(error),
                Err(error) if last.is_none_or(|last| last < known) => return Err(error),
                Err(error) => Some(error),
            };
            let rest = reader.end().map_or(Rest::Torn, |end| end.rest);
            return Ok(Self { last, end: reader.position(), rest, damage });
        }
    }

    /// Whether something must be cut off before the log is read by anybody else.
    pub fn is_damaged(&self) -> bool {
        self.damage.is_some()
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::super::header::tests::example_store_id;
    use super::super::wire::tests::{create_node, upgrade_kernel};
    use super::super::writer::LogWriter;
    use super::*;
    use crate::io::disk::OsDisk;

    const SECOND: TransactionId = TransactionId(2);

    /// A log with transactions 2 (64 to 173) and 3 (173 to 250), and what `change` makes of its bytes.
    fn log(directory: &Path, change: impl FnOnce(&mut Vec<u8>)) {
        let (disk, before) = (OsDisk::shared(), TransactionId::BASE);
        let mut writer = LogWriter::create(disk, directory, 4, example_store_id(), before, u64::MAX).unwrap();
        writer.append(SECOND, &create_node()).unwrap();
        writer.append(TransactionId(3), &upgrade_kernel()).unwrap();
        writer.sync().unwrap();
        let path = directory.join("neostore.transaction.db.4");
        let mut bytes = std::fs::read(&path).unwrap();
        change(&mut bytes);
        std::fs::write(path, bytes).unwrap();
    }

    fn find(directory: &Path, known: i64) -> Result<Continuation, LogError> {
        let checkpoint = LogPosition { log_version: 4, offset: 64 };
        Continuation::find(&LogFiles::list(directory).unwrap(), TransactionId(known), Some(checkpoint))
    }

    #[test]
    fn what_a_stopped_run_left_is_no_damage_behind_the_known_transaction() {
        type Change = fn(&mut Vec<u8>);
        let cases: [(Change, i64, Rest, bool); 6] = [
            (|_| {}, 3, Rest::Nothing, false),
            (|bytes| bytes.resize(9000, 0), 3, Rest::Padding, false),
            (|bytes| bytes.truncate(249), 2, Rest::Torn, false),
            (|bytes| bytes.truncate(174), 2, Rest::Torn, false),
            // A hole where sectors did not reach the medium, and data behind it.
            (|bytes| bytes.extend([vec![0; 512], create_node()].concat()), 3, Rest::Torn, true),
            (
                |bytes| {
                    bytes[180] ^= 0xff;
                    bytes.extend(create_node());
                },
                2,
                Rest::Torn,
                true,
            ),
        ];
        for (number, (change, last, rest, damaged)) in cases.into_iter().enumerate() {
            let dir = tempfile::tempdir().unwrap();
            log(dir.path(), change);
            let found = find(dir.path(), 2).unwrap();
            let end = if last == 3 { 250 } else { 173 };
            assert_eq!((found.last, found.end.offset), (Some(TransactionId(last)), end), "{number}");
            assert_eq!((found.rest, found.is_damaged()), (rest, damaged), "{number}: {:?}", found.damage);
        }
    }

    #[test]
    fn damage_up_to_the_known_transaction_is_an_error() {
        let dir = tempfile::tempdir().unwrap();
        log(dir.path(), |bytes| {
            bytes[180] ^= 0xff;
            bytes.extend(create_node());
        });
        assert!(find(dir.path(), 3).is_err());
    }

    #[test]
    fn a_log_may_begin_behind_the_known_transaction_but_not_later() {
        let dir = tempfile::tempdir().unwrap();
        log(dir.path(), |_| {});
        assert_eq!(find(dir.path(), 1).unwrap().last, Some(TransactionId(3)));
        assert!(matches!(find(dir.path(), 0).unwrap_err(), LogError::Gap { found: SECOND, .. }));
        log(dir.path(), |bytes| bytes.truncate(64));
        let empty = find(dir.path(), 7).unwrap();
        assert_eq!((empty.last, empty.end.offset), (None, 64));
        let nothing = tempfile::tempdir().unwrap();
        let files = LogFiles::list(nothing.path()).unwrap();
        assert!(matches!(Continuation::find(&files, SECOND, None), Err(LogError::NoLogs { .. })));
    }
}
