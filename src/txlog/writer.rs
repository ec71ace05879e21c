//! Appending pulled transactions to log files.

use std::path::{Path, PathBuf};

use super::crc::checksum;
use super::files::LogFiles;
use super::header::LogHeader;
use super::{LogError, LogPosition};
use crate::io::disk::{DiskFile, SharedDisk};
use crate::store::id::{StoreId, TransactionId};
use crate::store::layout;

/// Writes transactions as they come from the wire, with their checksums.
///
/// The bytes stay as they are: the server's own log may differ from them in flags, so that its next transaction names
/// another checksum as the one before. That is legal and normal; a checksum only has to fit the bytes before it.
/// Specification: transaction log 9.4.
///
/// The caller keeps the metadata store in step: before a file is begun its number must be on the medium in there, see
/// [`Self::due_rotation`].
#[derive(Debug)]
pub struct LogWriter {
    disk: SharedDisk,
    directory: PathBuf,
    store_id: StoreId,
    rotation_size: u64,
    log_version: u64,
    file: Box<dyn DiskFile>,
    /// Bytes of the current file that were handed to the system.
    written: u64,
    /// Bytes behind them that were not yet.
    pending: Vec<u8>,
    last: TransactionId,
}

impl LogWriter {
    /// The smallest rotation size that Neo4j has. Specification: transaction log 3.5.
    pub const MIN_ROTATION_SIZE: u64 = 128 * 1024;
    /// What Neo4j takes if nothing is configured.
    pub const DEFAULT_ROTATION_SIZE: u64 = 250 * 1024 * 1024;

    /// How many bytes are collected before they are written.
    const BATCH: usize = 1024 * 1024;

    /// Begins a log in `directory`. `last_committed_before`: the transaction before the first that will be appended.
    /// `rotation_size`: bytes after which the next transaction goes to a new file.
    pub fn create(
        disk: SharedDisk,
        directory: &Path,
        log_version: u64,
        store_id: StoreId,
        last_committed_before: TransactionId,
        rotation_size: u64,
    ) -> Result<Self, LogError> {
        let file = disk.create(&directory.join(layout::log_file_name(log_version)), 0o666)?;
        let header = LogHeader::new(log_version, last_committed_before, store_id);
        Ok(Self {
            disk,
            directory: directory.to_owned(),
            store_id,
            rotation_size: rotation_size.max(Self::MIN_ROTATION_SIZE),
            log_version,
            file,
            written: 0,
            pending: header.encode(),
            last: last_committed_before,
        })
    }

    /// Goes on with a log at `end`, behind transaction `last`; the header of the file stays as it is.
    ///
    /// What stands behind `end`, zeros or a part of a transaction, is cut off, and so are later files. That is forced
    /// before anything is written: a mixture of old and new bytes could pass for neither. Specification: transaction
    /// log 9.3.
    pub fn resume(
        disk: SharedDisk,
        files: &LogFiles,
        end: LogPosition,
        last: TransactionId,
        store_id: StoreId,
        rotation_size: u64,
    ) -> Result<Self, LogError> {
        let file = cut(&disk, files, end)?;
        Ok(Self {
            disk,
            directory: files.directory().to_owned(),
            store_id,
            rotation_size: rotation_size.max(Self::MIN_ROTATION_SIZE),
            log_version: end.log_version,
            file,
            written: end.offset,
            pending: Vec::new(),
            last,
        })
    }

    /// Number of the file that the next [`Self::append`] will begin; `None`: it goes on in the current one.
    pub fn due_rotation(&self) -> Option<u64> {
        (self.position().offset >= self.rotation_size).then(|| self.log_version + 1)
    }

    /// Appends a transaction, which must be the next one. `wire`: from its start entry to the end of its commit entry.
    /// Returns where it starts.
    pub fn append(&mut self, id: TransactionId, wire: &[u8]) -> Result<LogPosition, LogError> {
        if id != self.last.next() {
            return Err(LogError::Sequence { expected: self.last.next(), found: id });
        }
        if let Some(log_version) = self.due_rotation() {
            self.rotate(log_version)?;
        }
        let start = self.position();
        let end = checksum(wire).to_be_bytes();
        if wire.len() >= Self::BATCH {
            // Not through the batch, which would have to grow to the size of the transaction.
            self.flush()?;
            self.file.write_at(self.written, wire)?;
            self.written += wire.len() as u64;
        } else {
            self.pending.extend_from_slice(wire);
        }
        self.pending.extend_from_slice(&end);
        self.last = id;
        if self.pending.len() >= Self::BATCH {
            self.flush()?;
        }
        Ok(start)
    }

    /// Where the next transaction goes, rotation apart.
    pub fn position(&self) -> LogPosition {
        LogPosition { log_version: self.log_version, offset: self.written + self.pending.len() as u64 }
    }

    /// Number of the current file.
    pub fn log_version(&self) -> u64 {
        self.log_version
    }

    /// The last transaction in the log; before the first one the one before it.
    pub fn last_transaction(&self) -> TransactionId {
        self.last
    }

    /// Forces everything that was appended to the medium, the names of the files included.
    pub fn sync(&mut self) -> Result<(), LogError> {
        self.flush()?;
        self.file.sync()?;
        Ok(self.disk.sync_dir(&self.directory)?)
    }

    fn flush(&mut self) -> Result<(), LogError> {
        self.file.write_at(self.written, &self.pending)?;
        self.written += self.pending.len() as u64;
        self.pending.clear();
        Ok(())
    }

    fn rotate(&mut self, log_version: u64) -> Result<(), LogError> {
        self.flush()?;
        self.file.sync()?;
        self.file = self.disk.create(&self.directory.join(layout::log_file_name(log_version)), 0o666)?;
        self.log_version = log_version;
        self.written = 0;
        // Not what the metadata store says, as Neo4j's own client writes: that is out of date by now.
        // Specification: transaction log 9.6.
        self.pending = LogHeader::new(log_version, self.last, self.store_id).encode();
        Ok(())
    }
}

/// Ends a log at `end`: what is behind goes, from the last file backwards, and that is forced. Returns the file.
pub fn cut(disk: &SharedDisk, files: &LogFiles, end: LogPosition) -> Result<Box<dyn DiskFile>, LogError> {
    let later: Vec<_> = files.versions().rev().take_while(|version| *version > end.log_version).collect();
    for version in &later {
        disk.remove_file(&files.path(*version))?;
    }
    if !later.is_empty() {
        disk.sync_dir(files.directory())?;
    }
    let file = disk.open(&files.path(end.log_version))?;
    if file.len()? > end.offset {
        file.set_len(end.offset)?;
        file.sync()?;
    }
    Ok(file)
}

#[cfg(test)]
mod tests {
    use super::super::continuation::Continuation;
    use super::super::header::tests::example_store_id;
    use super::super::wire::scan;
    use super::super::wire::tests::{create_node, upgrade_kernel};
    use super::*;
    use crate::io::disk::OsDisk;

    fn writer(directory: &Path, version: u64, before: i64, rotation: u64) -> LogWriter {
        let before = TransactionId(before);
        LogWriter::create(OsDisk::shared(), directory, version, example_store_id(), before, rotation).unwrap()
    }

    /// A transaction of about `size` bytes: one with an additional header.
    fn large(id: i64, size: usize) -> Vec<u8> {
        let mut bytes = create_node();
        let length = u32::try_from(size).unwrap().to_be_bytes();
        bytes.splice(22..26, length.into_iter().chain(vec![0x5a; size]));
        let at = bytes.len() - 16;
        bytes[at..at + 8].copy_from_slice(&id.to_be_bytes());
        assert_eq!(scan(&bytes).unwrap().unwrap().id, TransactionId(id));
        bytes
    }

    #[test]
    fn the_worked_log_of_the_specification_comes_out() {
        let dir = tempfile::tempdir().unwrap();
        let mut writer = writer(dir.path(), 0, 1, LogWriter::DEFAULT_ROTATION_SIZE);
        assert_eq!(writer.append(TransactionId(2), &create_node()).unwrap().offset, 64);
        assert_eq!(writer.position(), LogPosition { log_version: 0, offset: 173 });
        assert_eq!(writer.append(TransactionId(3), &upgrade_kernel()).unwrap().offset, 173);
        writer.sync().unwrap();
        let log = std::fs::read(dir.path().join("neostore.transaction.db.0")).unwrap();
        assert_eq!(log.len(), 173 + 77);
        assert_eq!(log[..64], LogHeader::new(0, TransactionId(1), example_store_id()).encode());
        assert_eq!(log[64..169], create_node());
        assert_eq!(log[169..173], [0x56, 0xef, 0xc4, 0xc0]);
        assert_eq!(log[246..], [0x38, 0x97, 0xe2, 0xf6]);
    }

    #[test]
    fn a_gap_or_an_overlap_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let mut writer = writer(dir.path(), 7, 1, LogWriter::DEFAULT_ROTATION_SIZE);
        for id in [1, 3] {
            let error = writer.append(TransactionId(id), &create_node()).unwrap_err();
            assert!(matches!(error, LogError::Sequence { expected: TransactionId(2), .. }), "{error}");
        }
        writer.append(TransactionId(2), &create_node()).unwrap();
        assert!(writer.append(TransactionId(2), &create_node()).is_err());
    }

    #[test]
    fn a_full_file_is_followed_by_one_that_names_the_transaction_before() {
        let dir = tempfile::tempdir().unwrap();
        let mut writer = writer(dir.path(), 5, 9, 0);
        let sizes = [128 * 1024, 3 * LogWriter::BATCH, 10, 20];
        let wire: Vec<_> = (10..).zip(sizes).map(|(id, size)| large(id, size)).collect();
        let mut files = Vec::new();
        for (id, bytes) in (10..).zip(&wire) {
            assert_eq!(writer.due_rotation(), (id == 11 || id == 12).then(|| writer.log_version() + 1));
            files.push(writer.append(TransactionId(id), bytes).unwrap().log_version);
        }
        assert_eq!(files, [5, 6, 7, 7]);
        assert_eq!(writer.last_transaction(), TransactionId(13));
        writer.sync().unwrap();

        let with_checksum = |bytes: &Vec<u8>| [&bytes[..], &checksum(bytes).to_be_bytes()].concat();
        for (version, before, content) in [(5, 9, &wire[..1]), (6, 10, &wire[1..2]), (7, 11, &wire[2..])] {
            let header = LogHeader::new(version, TransactionId(before), example_store_id()).encode();
            let content: Vec<u8> = content.iter().flat_map(with_checksum).collect();
            let file = std::fs::read(dir.path().join(layout::log_file_name(version))).unwrap();
            assert!(file == [header, content].concat(), "file {version}");
        }
    }

    #[test]
    fn a_log_is_continued_as_if_it_had_not_been_closed() {
        let wire: Vec<_> = (10..16).map(|id| large(id, 40_000)).collect();
        let whole = tempfile::tempdir().unwrap();
        let mut writer = writer(whole.path(), 5, 9, 0);
        for (id, bytes) in (10..).zip(&wire) {
            writer.append(TransactionId(id), bytes).unwrap();
        }
        writer.sync().unwrap();

        let parts = tempfile::tempdir().unwrap();
        let mut first = self::writer(parts.path(), 5, 9, 0);
        first.append(TransactionId(10), &wire[0]).unwrap();
        first.sync().unwrap();
        for (id, bytes) in (11..).zip(&wire[1..]) {
            let last = TransactionId(id).previous();
            let found = Continuation::find(&LogFiles::list(parts.path()).unwrap(), last, None).unwrap();
            // What a run leaves that is killed: a part of a transaction, a file that was only begun.
            let path = parts.path().join(layout::log_file_name(found.end.log_version));
            let mut torn = std::fs::read(&path).unwrap();
            torn.extend_from_slice(&bytes[..bytes.len() / 2]);
            std::fs::write(&path, torn).unwrap();
            std::fs::write(parts.path().join(layout::log_file_name(found.end.log_version + 1)), b"").unwrap();

            let files = LogFiles::list(parts.path()).unwrap();
            let found = Continuation::find(&files, last, None).unwrap();
            assert_eq!(found.last, Some(last));
            let mut writer =
                LogWriter::resume(OsDisk::shared(), &files, found.end, last, example_store_id(), 0).unwrap();
            writer.append(TransactionId(id), bytes).unwrap();
            writer.sync().unwrap();
        }
        for version in [5, 6] {
            let read = |dir: &Path| std::fs::read(dir.join(layout::log_file_name(version))).unwrap();
            assert!(read(whole.path()) == read(parts.path()), "file {version}");
        }
        assert!(!parts.path().join(layout::log_file_name(7)).exists());
    }
}
