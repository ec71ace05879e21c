//! A transaction in a log file: whole in memory, or passed over part by part.

use super::command::Command;
use super::crc;
use super::files::ReadFile;
use super::read_window::Window;
use super::wire::{self, Scan, WireTransaction};
use super::{EntryError, LogError, LogPosition};
use crate::io::bytes::Reader;
use crate::io::disk::DiskError;

/// Bytes of the checksum behind a transaction.
pub(super) const CHECKSUM: usize = 4;

/// A transaction that is complete and fits its checksum.
#[derive(Clone, Copy, Debug)]
pub(super) struct Checked {
    pub transaction: WireTransaction,
    pub checksum: u32,
}

/// A complete transaction of a log, whose checksum fits.
#[derive(Debug)]
pub struct LoggedTransaction<'a> {
    /// Where it starts.
    pub start: LogPosition,
    /// Where it ends, the checksum included.
    pub end: LogPosition,
    /// What it says of itself.
    pub transaction: WireTransaction,
    /// Its checksum.
    pub checksum: u32,
    pub(super) content: Content<'a>,
}

/// Where the bytes of a transaction are.
#[derive(Debug)]
pub(super) enum Content<'a> {
    /// All of them in memory.
    Whole(&'a [u8]),
    /// In the file, from the start of the window on.
    Large(&'a ReadFile, &'a mut Window),
}

impl LoggedTransaction<'_> {
    /// Its bytes without the checksum: as they travel. A large transaction is read into memory for that.
    pub fn wire(&mut self) -> Result<&[u8], LogError> {
        match &mut self.content {
            Content::Whole(wire) => Ok(wire),
            Content::Large(file, window) => {
                window.hold(file, self.transaction.length)?;
                Ok(window.bytes().get(..self.transaction.length).unwrap_or_default())
            }
        }
    }

    /// Gives out what it changes, command by command. No more than one of them needs to be in memory.
    pub fn for_each_command<E: From<LogError>>(
        self,
        mut each: impl FnMut(&Command<'_>) -> Result<(), E>,
    ) -> Result<(), E> {
        let (file, window) = match self.content {
            Content::Whole(wire) => {
                let reader = &mut Reader::new(wire);
                while let Some(done) = wire::next_command(reader, &mut each).map_err(LogError::Wire)? {
                    done?;
                }
                return Ok(());
            }
            Content::Large(file, window) => (file, window),
        };
        loop {
            let mut reader = Reader::new(window.bytes());
            let mut passed = 0;
            let source = loop {
                match wire::next_command(&mut reader, &mut each) {
                    Ok(Some(done)) => done?,
                    Ok(None) => return Ok(()),
                    Err(source) => break source,
                }
                passed = reader.offset();
            };
            window.consume(passed);
            let is_more =
                matches!(source, EntryError::Incomplete(_)) && window.refill(file).map_err(LogError::from)?;
            if !is_more {
                // It was complete when it was checked.
                let (file, offset) = (file.path.clone(), window.offset);
                return Err(LogError::Damaged { file, offset, source }.into());
            }
        }
    }
}

/// Reads the transaction at the start of the window while the window moves over it. `None`: it is not complete, or does
/// not fit its checksum, or is no transaction.
pub(super) fn check_passing(file: &ReadFile, window: &mut Window) -> Result<Option<Checked>, DiskError> {
    let mut scan: Option<Scan> = None;
    let mut checksum = 0;
    loop {
        let bytes = window.bytes();
        let mut reader = Reader::new(bytes);
        let mut passed = 0;
        let ended = loop {
            let read = match &mut scan {
                None => Scan::begin(&mut reader).map(|begun| {
                    scan = Some(begun);
                    None
                }),
                Some(scan) => scan.entry(&mut reader),
            };
            match read {
                Ok(None) => passed = reader.offset(),
                Ok(ended) => {
                    passed = reader.offset();
                    break ended;
                }
                Err(EntryError::Incomplete(_)) => break None,
                Err(_) => return Ok(None),
            }
        };
        checksum = crc::append(checksum, bytes.get(..passed).unwrap_or_default());
        window.consume(passed);
        if let Some(transaction) = ended {
            window.hold(file, CHECKSUM)?;
            let stored = window.bytes().first_chunk().map(|stored| u32::from_be_bytes(*stored));
            return Ok((stored == Some(checksum)).then_some(Checked { transaction, checksum }));
        }
        if !window.refill(file)? {
            return Ok(None);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::super::files::LogFiles;
    use super::super::header::tests::example_store_id;
    use super::super::reader::{LogEnd, LogReader, Rest};
    use super::super::wire::Commands;
    use super::super::wire::tests::{create_node, nodes, upgrade_kernel};
    use super::super::writer::LogWriter;
    use super::*;
    use crate::io::disk::OsDisk;
    use crate::store::id::TransactionId;

    /// Where the second transaction of a log begins.
    const SECOND: u64 = 64 + 105 + 4;

    /// A log of these transactions, from 2 on; its bytes.
    fn write(directory: &Path, transactions: &[&[u8]]) -> Vec<u8> {
        let (disk, store_id) = (OsDisk::shared(), example_store_id());
        let mut writer =
            LogWriter::create(disk, directory, 0, store_id, TransactionId::BASE, u64::MAX).unwrap();
        for (id, transaction) in (2..).zip(transactions) {
            writer.append(TransactionId(id), transaction).unwrap();
        }
        writer.sync().unwrap();
        std::fs::read(path(directory)).unwrap()
    }

    fn path(directory: &Path) -> std::path::PathBuf {
        directory.join("neostore.transaction.db.0")
    }

    fn open(directory: &Path) -> LogReader {
        LogReader::open_file(&LogFiles::list(directory).unwrap(), 0).unwrap()
    }

    fn for_each(logged: LoggedTransaction<'_>, mut each: impl FnMut(&Command<'_>)) {
        logged
            .for_each_command(|command| {
                each(command);
                Ok::<_, LogError>(())
            })
            .unwrap();
    }

    #[test]
    fn a_transaction_larger_than_the_buffer_is_read_like_a_small_one() {
        let dir = tempfile::tempdir().unwrap();
        // One command more or less moves the end of the transaction over the border of a buffer.
        let large = nodes(3, 5 * Window::CHUNK);
        let small = nodes(4, 200);
        write(dir.path(), &[&create_node(), &large, &small]);
        let mut reader = open(dir.path());
        assert_eq!(reader.next_transaction().unwrap().unwrap().wire().unwrap(), create_node());
        let logged = reader.next_transaction().unwrap().unwrap();
        assert!(matches!(logged.content, Content::Large(..)));
        let end = SECOND + large.len() as u64 + 4;
        assert_eq!((logged.start.offset, logged.end.offset), (SECOND, end));
        assert_eq!(logged.transaction, wire::scan(&large).unwrap().unwrap());
        assert_eq!(logged.checksum, crc::checksum(&large));
        let mut expected = Commands::new(&large).unwrap();
        for_each(logged, |command| assert_eq!(Some(command), expected.next().as_ref()));
        assert!(expected.next().is_none());
        assert_eq!(reader.next_transaction().unwrap().unwrap().wire().unwrap(), small);
        assert!(reader.next_transaction().unwrap().is_none());

        let mut reader = open(dir.path());
        reader.next_transaction().unwrap();
        assert!(reader.next_transaction().unwrap().unwrap().wire().unwrap() == large);
        assert_eq!(reader.next_transaction().unwrap().unwrap().wire().unwrap(), small);
    }

    #[test]
    fn an_entry_larger_than_the_buffer_is_read() {
        let dir = tempfile::tempdir().unwrap();
        let mut large = create_node();
        let size = 5 * Window::CHUNK;
        // The additional header of the start entry.
        let length = u32::try_from(size).unwrap().to_be_bytes();
        large.splice(22..26, length.into_iter().chain((0..=250).cycle().take(size)));
        write(dir.path(), &[&large, &upgrade_kernel()]);
        let mut reader = open(dir.path());
        let mut count = 0;
        for_each(reader.next_transaction().unwrap().unwrap(), |_| count += 1);
        assert_eq!(count, 2);
        assert_eq!(reader.next_transaction().unwrap().unwrap().wire().unwrap(), upgrade_kernel());
    }

    #[test]
    fn transactions_of_tens_of_megabytes_take_no_more_memory_than_two_buffers() {
        let dir = tempfile::tempdir().unwrap();
        write(dir.path(), &[&create_node(), &nodes(3, 24 << 20), &nodes(4, 12 << 20)]);
        let mut commands = 0;
        let memory = allocation_counter::measure(|| {
            let mut reader = open(dir.path());
            while let Some(logged) = reader.next_transaction().unwrap() {
                for_each(logged, |_| commands += 1);
            }
        });
        assert!(commands > 100_000, "{commands} commands");
        let most = memory.bytes_max;
        assert!(most < 2 * Window::CHUNK as u64 + (64 << 10), "{most} bytes");
    }

    #[test]
    fn a_large_transaction_that_is_cut_is_the_end_and_a_damaged_one_an_error() {
        let dir = tempfile::tempdir().unwrap();
        let large = nodes(3, 2 * Window::CHUNK);
        let log = write(dir.path(), &[&create_node(), &large, &nodes(4, 200)]);
        let end = usize::try_from(SECOND).unwrap() + large.len();
        for cut in [end + 3, end, end - 1, end - Window::CHUNK] {
            std::fs::write(path(dir.path()), &log[..cut]).unwrap();
            let mut reader = open(dir.path());
            reader.next_transaction().unwrap();
            assert!(reader.next_transaction().unwrap().is_none());
            let position = LogPosition { log_version: 0, offset: SECOND };
            assert_eq!(reader.end(), Some(LogEnd { position, rest: Rest::Torn }), "cut at {cut}");
        }
        for (damaged, flip) in [(end - Window::CHUNK, 1), (end, 1), (end - Window::CHUNK, 0x80)] {
            let mut log = log.clone();
            log[damaged] ^= flip;
            std::fs::write(path(dir.path()), log).unwrap();
            let mut reader = open(dir.path());
            reader.next_transaction().unwrap();
            let error = reader.next_transaction().unwrap_err();
            assert!(matches!(error, LogError::Damaged { offset: SECOND, .. }), "{damaged}: {error}");
        }
    }
}
