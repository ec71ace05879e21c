//! Reading transactions from log files.

use super::crc::checksum;
use super::entry::{EntryHead, EntryType, InlineCheckpoint};
use super::files::{LogFiles, ReadFile};
use super::logged::{CHECKSUM, Checked, Content, check_passing};
use super::read_window::Window;
use super::wire;
use super::{EntryError, LogError, LogPosition};
use crate::io::bytes::{OutOfBytes, Reader};
use crate::io::disk::DiskError;
use crate::store::id::TransactionId;

pub use super::logged::LoggedTransaction;

/// Reads transactions one after the other, over the borders of files.
///
/// One buffer serves all of them. A transaction that does not fit into it is never in memory as a whole: a second buffer
/// passes over it, once to check it and once more for its commands. Only a command that is longer than a buffer, and what
/// is damaged, makes them grow, and to no more than the file has, whatever lengths in the file say.
///
/// What stands behind the last complete transaction of the last file is the end of the log if a write that was cut can
/// have left it: zeros, a part of a transaction, or a transaction that does not fit its checksum with nothing behind
/// it. Everything else that cannot be read is an error, and so it is wherever a complete transaction follows.
#[derive(Debug)]
pub struct LogReader {
    files: LogFiles,
    file: ReadFile,
    log_version: u64,
    /// Whether to go on with the next file.
    bridging: bool,
    window: Window,
    /// What passes over a transaction that does not fit into the window.
    passing: Window,
    /// The transaction at the start of the window, if it was looked at already.
    peeked: Option<Checked>,
    /// Transaction before that; `None`: any may follow.
    last: Option<TransactionId>,
    checkpoint: Option<InlineCheckpoint>,
    end: Option<LogEnd>,
}

/// Where a log ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LogEnd {
    /// Behind the last complete transaction, which is where the next one would be appended.
    pub position: LogPosition,
    /// What follows there.
    pub rest: Rest,
}

/// What follows behind the end of a log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rest {
    /// Nothing.
    Nothing,
    /// Zeros: the file was allocated in advance.
    Padding,
    /// A part of a transaction, which must be cut off before something is appended.
    Torn,
}

impl LogReader {
    /// Reads from `position` on, which must be the start of a transaction or the end of the log.
    pub fn open(files: &LogFiles, position: LogPosition) -> Result<Self, LogError> {
        let mut reader = Self::open_file(files, position.log_version)?;
        // A position within the header means its end.
        reader.window.offset = reader.window.offset.max(position.offset);
        reader.bridging = true;
        Ok(reader)
    }

    /// Reads all of one file and no other.
    pub fn open_file(files: &LogFiles, log_version: u64) -> Result<Self, LogError> {
        let Some((file, header)) = files.open(log_version)? else {
            return Err(LogError::NoHeader { file: files.path(log_version) });
        };
        Ok(Self {
            files: files.clone(),
            file,
            log_version,
            bridging: false,
            window: Window::new(header.size() as u64),
            passing: Window::new(0),
            peeked: None,
            last: None,
            checkpoint: None,
            end: None,
        })
    }

    /// Reads from the transaction `id` on; `None`: it is not in the logs.
    ///
    /// Headers tell in which file it is. One may name too early a transaction as the last before it, as Neo4j's own
    /// client writes it; then the file begins behind `id`, and the one before is searched. Specification: transaction
    /// log 9.2, 9.6.
    pub fn find(files: &LogFiles, id: TransactionId) -> Result<Option<Self>, LogError> {
        for log_version in files.versions().rev() {
            if files.header(log_version)?.is_none_or(|header| header.last_committed >= id) {
                continue;
            }
            let mut reader = Self::open_file(files, log_version)?;
            reader.bridging = true;
            let first = reader.peek()?.map(|first| first.transaction.id);
            if first.is_none_or(|first| first > id) {
                continue;
            }
            while let Some(Checked { transaction, .. }) = reader.peek()? {
                if transaction.id >= id {
                    return Ok((transaction.id == id).then_some(reader));
                }
                reader.take();
            }
            return Ok(None);
        }
        Ok(None)
    }

    /// The next transaction; `None` at the end of the log, which [`Self::end`] tells then.
    pub fn next_transaction(&mut self) -> Result<Option<LoggedTransaction<'_>>, LogError> {
        let Some(Checked { transaction, checksum }) = self.peek()? else { return Ok(None) };
        let start = self.position();
        let place = self.window.place(transaction.length);
        self.take();
        let end = self.position();
        let content = if let Some(place) = place {
            Content::Whole(self.window.at(place))
        } else {
            self.passing.move_to(start.offset);
            Content::Large(&self.file, &mut self.passing)
        };
        Ok(Some(LoggedTransaction { start, end, transaction, checksum, content }))
    }

    /// Where the log ends; `None` before [`Self::next_transaction`] has come there.
    pub fn end(&self) -> Option<LogEnd> {
        self.end
    }

    /// Where the next entry is looked for: behind the transaction that was returned last.
    pub fn position(&self) -> LogPosition {
        LogPosition { log_version: self.log_version, offset: self.window.offset }
    }

    /// The last checkpoint among the entries that were passed; only logs of 4.0 and 4.1 have any.
    pub fn checkpoint(&self) -> Option<InlineCheckpoint> {
        self.checkpoint
    }

    /// Goes over checkpoints and borders of files to the next transaction and leaves it there.
    fn peek(&mut self) -> Result<Option<Checked>, LogError> {
        while self.peeked.is_none() && self.end.is_none() {
            match self.examine()? {
                Found::Transaction(checked) => {
                    self.check_order(checked.transaction.id)?;
                    self.peeked = Some(checked);
                }
                Found::Checkpoint(checkpoint) => {
                    self.checkpoint = Some(checkpoint);
                    self.window.consume(InlineCheckpoint::SIZE);
                }
                Found::End(rest) => self.finish_file(rest)?,
            }
        }
        Ok(self.peeked)
    }

    /// Passes the transaction that was peeked at.
    fn take(&mut self) {
        if let Some(Checked { transaction, .. }) = self.peeked.take() {
            self.window.consume(transaction.length + CHECKSUM);
            self.last = Some(transaction.id);
        }
    }

    fn check_order(&self, found: TransactionId) -> Result<(), LogError> {
        match self.last.map(TransactionId::next) {
            Some(expected) if found != expected => {
                // Behind the empty transaction 1 of an import or a migration ids jump. Specification: transaction
                // log 4.11.
                if self.last == Some(TransactionId::BASE) && found > expected {
                    return Ok(());
                }
                let (file, offset) = (self.file.path.clone(), self.window.offset);
                Err(LogError::Gap { file, offset, expected, found })
            }
            _ => Ok(()),
        }
    }

    /// What stands at the start of the window.
    fn examine(&mut self) -> Result<Found, LogError> {
        loop {
            let bytes = self.window.bytes();
            let source = match parse(bytes) {
                Ok(found) => return Ok(found),
                Err(source) => source,
            };
            if let EntryError::Incomplete(_) = source {
                // Once: in vain means damage, and then the buffer grows beyond a chunk.
                if self.window.is_large()
                    && self.window.bytes().len() <= Window::CHUNK
                    && let Some(checked) = self.check_large()?
                {
                    return Ok(Found::Transaction(checked));
                }
                if self.window.refill(&self.file)? {
                    continue;
                }
                if self.window.bytes().is_empty() {
                    return Ok(Found::End(Rest::Nothing));
                }
            }
            return self.explain(source);
        }
    }

    /// Passes over the transaction at the start of the window, which does not fit into it. `None`: it is not complete, or
    /// anything else is wrong with it.
    fn check_large(&mut self) -> Result<Option<Checked>, DiskError> {
        self.passing.move_to(self.window.offset);
        let checked = check_passing(&self.file, &mut self.passing)?;
        if checked.is_none() {
            self.passing = Window::new(0);
        }
        Ok(checked)
    }

    /// Whether what can't be read is the end of the log.
    fn explain(&self, source: EntryError) -> Result<Found, LogError> {
        let (file, offset) = (self.file.path.clone(), self.window.offset);
        // From where on there must be nothing but zeros, so that a write that was cut can be the reason.
        let zeros = match source {
            EntryError::UnknownVersion { offset: 0, found: 0 } => {
                if self.file.is_padding(offset)? {
                    return Ok(Found::End(Rest::Padding));
                }
                return Err(LogError::DataBehindEnd { file, offset });
            }
            EntryError::Incomplete(_) => Some(self.window.bytes().len()),
            EntryError::UnknownVersion { offset, found: 0 } => Some(offset),
            EntryError::UnexpectedEntry { offset, found: 0, .. } => Some(offset + EntryHead::SIZE),
            EntryError::Checksum { offset, .. } => Some(offset + CHECKSUM),
            // Within a transaction, of which the start is good, zeros may have been taken for fields.
            EntryError::Invalid { offset, .. } | EntryError::UnknownCommand { offset, .. } => {
                Some(offset + LONGEST_FIELD)
            }
            _ => None,
        };
        if let Some(zeros) = zeros
            && self.file.is_padding(offset + zeros as u64)?
            && !holds_transaction(self.window.bytes())
        {
            return Ok(Found::End(Rest::Torn));
        }
        Err(LogError::Damaged { file, offset, source })
    }

    /// Goes on with the next file, or ends.
    fn finish_file(&mut self, rest: Rest) -> Result<(), LogError> {
        let next = self.log_version + 1;
        let followed = match self.files.highest() {
            Some(highest) if highest > self.log_version => match self.files.open(next)? {
                // A file that was made and not begun; it counts as absent.
                None if highest == next => None,
                None => return Err(LogError::NoHeader { file: self.files.path(next) }),
                opened => opened,
            },
            _ => None,
        };
        let position = self.position();
        if followed.is_some() && rest != Rest::Nothing {
            let (file, size) = (self.file.path.clone(), self.file.length);
            return Err(LogError::UnreadableEnd { file, offset: position.offset, size });
        }
        match followed {
            Some((file, header)) if self.bridging => {
                self.window.offset = header.size() as u64;
                self.file = file;
                self.log_version = next;
            }
            _ => self.end = Some(LogEnd { position, rest }),
        }
        Ok(())
    }
}

/// Bytes of the longest field whose value is checked.
const LONGEST_FIELD: usize = 8;

/// What stands where a transaction may start.
enum Found {
    Transaction(Checked),
    Checkpoint(InlineCheckpoint),
    End(Rest),
}

/// Reads the entry, or the transaction, at the beginning of `bytes`.
fn parse(bytes: &[u8]) -> Result<Found, EntryError> {
    let reader = &mut Reader::new(bytes);
    if let Some(EntryHead { kind: EntryType::InlineCheckpoint, .. }) = EntryHead::decode(reader)? {
        let entry = Reader::new(bytes).array("inline checkpoint")?;
        return InlineCheckpoint::decode(&entry).map(Found::Checkpoint);
    }
    let transaction = wire::decode(bytes)?;
    let reader = &mut Reader::new(bytes);
    let wire = reader.bytes("transaction", transaction.length)?;
    let stored = reader.i32("checksum")?;
    let checksum = checksum(wire);
    if stored.cast_unsigned() != checksum {
        let (offset, calculated) = (transaction.length, checksum.cast_signed());
        return Err(EntryError::Checksum { offset, stored, calculated });
    }
    Ok(Found::Transaction(Checked { transaction, checksum }))
}

/// Whether a complete transaction is anywhere behind the first byte. Then what comes before it is damage, and no write
/// that was cut: a length has become so great that the transaction seems to end behind others, or nowhere.
fn holds_transaction(bytes: &[u8]) -> bool {
    // Bytes that may be read in vain, so that no log makes this take long.
    let mut budget = bytes.len().saturating_mul(64);
    for at in 1..bytes.len() {
        let Some(rest @ [1..=4, 1, ..]) = bytes.get(at..) else { continue };
        let read = match parse(rest) {
            Ok(Found::Transaction(_)) => return true,
            Err(EntryError::Incomplete(OutOfBytes { offset, .. }) | EntryError::Checksum { offset, .. }) => {
                offset
            }
            Ok(_) | Err(_) => EntryHead::SIZE,
        };
        let Some(left) = budget.checked_sub(read) else { return false };
        budget = left;
    }
    false
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::super::header::tests::example_store_id;
    use super::super::wire::tests::{create_node, upgrade_kernel};
    use super::super::writer::LogWriter;
    use super::*;
    use crate::io::disk::OsDisk;

    /// The log of section 12 of the specification: transactions 2 and 3 at offsets 64 and 173, 250 bytes.
    fn written(directory: &Path) -> Vec<u8> {
        let store_id = example_store_id();
        let mut writer =
            LogWriter::create(OsDisk::shared(), directory, 0, store_id, TransactionId::BASE, u64::MAX)
                .unwrap();
        writer.append(TransactionId(2), &create_node()).unwrap();
        writer.append(TransactionId(3), &upgrade_kernel()).unwrap();
        writer.sync().unwrap();
        std::fs::read(directory.join("neostore.transaction.db.0")).unwrap()
    }

    fn start() -> LogPosition {
        LogPosition { log_version: 0, offset: 64 }
    }

    /// Ids of the transactions in a log of one file with these bytes, then how it ends.
    fn read(bytes: &[u8]) -> (Vec<i64>, Result<LogEnd, LogError>) {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("neostore.transaction.db.0"), bytes).unwrap();
        read_all(LogReader::open(&LogFiles::list(dir.path()).unwrap(), start()).unwrap())
    }

    fn commands_of(logged: LoggedTransaction<'_>) -> usize {
        let mut count = 0;
        logged
            .for_each_command(|_| {
                count += 1;
                Ok::<_, LogError>(())
            })
            .unwrap();
        count
    }

    fn read_all(mut reader: LogReader) -> (Vec<i64>, Result<LogEnd, LogError>) {
        let mut ids = Vec::new();
        loop {
            match reader.next_transaction() {
                Ok(Some(logged)) => ids.push(logged.transaction.id.0),
                Ok(None) => return (ids, Ok(reader.end().unwrap())),
                Err(error) => return (ids, Err(error)),
            }
        }
    }

    fn end(offset: u64, rest: Rest) -> LogEnd {
        LogEnd { position: LogPosition { log_version: 0, offset }, rest }
    }

    #[test]
    fn transactions_come_back_as_they_were_written() {
        let dir = tempfile::tempdir().unwrap();
        written(dir.path());
        let mut reader = LogReader::open(&LogFiles::list(dir.path()).unwrap(), start()).unwrap();
        let mut first = reader.next_transaction().unwrap().unwrap();
        assert_eq!((first.start.offset, first.end.offset, first.checksum), (64, 173, 0x56ef_c4c0));
        assert_eq!(first.wire().unwrap(), create_node());
        assert_eq!(commands_of(first), 2);
        let mut second = reader.next_transaction().unwrap().unwrap();
        assert_eq!(second.wire().unwrap(), upgrade_kernel());
        assert!(reader.next_transaction().unwrap().is_none());
        assert_eq!(reader.end(), Some(end(250, Rest::Nothing)));
    }

    #[test]
    fn what_a_cut_write_leaves_is_the_end() {
        let dir = tempfile::tempdir().unwrap();
        let log = written(dir.path());
        let padding = vec![0; 100_000];
        for length in 64..=log.len() {
            let (ids, offset) = match length {
                250 => (vec![2, 3], 250),
                173.. => (vec![2], 173),
                _ => (vec![], 64),
            };
            let whole = length as u64 == offset;
            let rest = if whole { Rest::Nothing } else { Rest::Torn };
            let (found, ended) = read(&log[..length]);
            assert_eq!((found, ended.unwrap()), (ids.clone(), end(offset, rest)), "cut at {length}");

            // The same in a file that was allocated in advance. Zeros may complete the last numbers of a transaction.
            let rest = if whole { Rest::Padding } else { Rest::Torn };
            let (found, ended) = read(&[&log[..length], &padding].concat());
            assert_eq!((found, ended.unwrap()), (ids, end(offset, rest)), "zeros from {length} on");
        }
    }

    #[test]
    fn a_bad_checksum_is_the_end_only_where_nothing_follows() {
        let dir = tempfile::tempdir().unwrap();
        let mut log = written(dir.path());
        log[249] ^= 1;
        assert_eq!(read(&log).1.unwrap(), end(173, Rest::Torn));
        log[172] ^= 1;
        let (ids, ended) = read(&log);
        assert_eq!(ids, [0; 0]);
        let error = ended.unwrap_err();
        assert!(matches!(&error, LogError::Damaged { offset: 64, source: EntryError::Checksum { .. }, .. }));
        assert!(error.to_string().contains("neostore.transaction.db.0: unreadable at offset 64"), "{error}");
    }

    #[test]
    fn a_length_that_swallows_the_rest_is_damage() {
        let dir = tempfile::tempdir().unwrap();
        let mut log = written(dir.path());
        // Length of the additional header: 2 GiB, behind the end of the file.
        log[64 + 22] = 0x7f;
        let (ids, ended) = read(&log);
        assert_eq!(ids, [0; 0]);
        assert!(matches!(ended, Err(LogError::Damaged { offset: 64, .. })));
    }

    #[test]
    fn garbage_behind_the_end_is_damage() {
        let dir = tempfile::tempdir().unwrap();
        let log = written(dir.path());
        let (ids, ended) = read(&[&log[..], b"x"].concat());
        assert_eq!(ids, [2, 3]);
        assert!(matches!(ended, Err(LogError::Damaged { offset: 250, .. })));
        let (_, ended) = read(&[&log[..], &[0; 5000], b"x"].concat());
        assert!(matches!(ended, Err(LogError::DataBehindEnd { offset: 250, .. })));
    }

    #[test]
    fn a_gap_and_a_repetition_are_refused() {
        let dir = tempfile::tempdir().unwrap();
        let log = written(dir.path());
        let (ids, ended) = read(&[&log[..], &log[173..]].concat());
        assert_eq!(ids, [2, 3]);
        let (expected, found) = (TransactionId(4), TransactionId(3));
        match ended {
            Err(LogError::Gap { offset: 250, expected: e, found: f, .. }) => {
                assert_eq!((e, f), (expected, found));
            }
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn files_follow_each_other_and_the_last_may_be_unbegun() {
        let dir = tempfile::tempdir().unwrap();
        let log = written(dir.path());
        let path = |version: u64| dir.path().join(format!("neostore.transaction.db.{version}"));
        let header =
            |version| super::super::header::LogHeader::new(version, TransactionId(2), example_store_id());
        std::fs::write(path(0), &log[..173]).unwrap();
        std::fs::write(path(1), [&header(1).encode()[..], &log[173..]].concat()).unwrap();
        std::fs::write(path(2), [0; 1000]).unwrap();
        let files = LogFiles::list(dir.path()).unwrap();
        let (ids, ended) = read_all(LogReader::open(&files, start()).unwrap());
        assert_eq!(ids, [2, 3]);
        let position = LogPosition { log_version: 1, offset: 64 + 77 };
        assert_eq!(ended.unwrap(), LogEnd { position, rest: Rest::Nothing });

        for (id, ids) in [(2, Some(vec![2, 3])), (3, Some(vec![3])), (1, None), (4, None)] {
            let found = LogReader::find(&files, TransactionId(id)).unwrap();
            assert_eq!(found.map(|reader| read_all(reader).0), ids, "transaction {id}");
        }

        // The first one was not cut when the second was begun.
        std::fs::write(path(0), [&log[..173], &[0; 10]].concat()).unwrap();
        let (ids, ended) = read_all(LogReader::open(&files, start()).unwrap());
        assert_eq!(ids, [2]);
        assert!(matches!(ended, Err(LogError::UnreadableEnd { offset: 173, size: 183, .. })));

        std::fs::remove_file(path(1)).unwrap();
        std::fs::write(path(0), &log[..173]).unwrap();
        let files = LogFiles::list(dir.path()).unwrap();
        let (_, ended) = read_all(LogReader::open(&files, start()).unwrap());
        assert!(matches!(ended, Err(LogError::MissingFile { file }) if file == path(1)));
    }

    #[test]
    fn a_checkpoint_among_transactions_is_passed_and_remembered() {
        let dir = tempfile::tempdir().unwrap();
        let log = written(dir.path());
        let checkpoint = InlineCheckpoint { position: LogPosition { log_version: 0, offset: 173 } };
        let log = [&log[..173], &checkpoint.encode(), &log[173..]].concat();
        std::fs::write(dir.path().join("neostore.transaction.db.0"), &log).unwrap();
        let mut reader = LogReader::open(&LogFiles::list(dir.path()).unwrap(), start()).unwrap();
        reader.next_transaction().unwrap();
        assert_eq!(reader.checkpoint(), None);
        assert_eq!(reader.next_transaction().unwrap().unwrap().start.offset, 195);
        assert_eq!(reader.checkpoint(), Some(checkpoint));
    }
}
