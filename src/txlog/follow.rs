//! A second reader of transactions that another one has found and checked.

use super::files::{LogFiles, ReadFile};
use super::logged::{Content, LoggedTransaction};
use super::read_window::Window;
use super::wire::WireTransaction;
use super::{LogError, LogPosition};

/// Where a checked transaction is.
#[derive(Clone, Copy, Debug)]
pub struct Extent {
    start: LogPosition,
    end: LogPosition,
    transaction: WireTransaction,
    checksum: u32,
}

impl LoggedTransaction<'_> {
    /// Where it is, for a [`Follower`].
    pub fn extent(&self) -> Extent {
        let Self { start, end, transaction, checksum, .. } = *self;
        Extent { start, end, transaction, checksum }
    }
}

/// Reads transactions that a [`LogReader`](super::reader::LogReader) has returned, and does not check them again: to find
/// the end of a transaction all of it must be decoded. Memory as with that reader.
#[derive(Debug)]
pub struct Follower {
    files: LogFiles,
    file: Option<(u64, ReadFile)>,
    window: Window,
}

impl Follower {
    /// Reads from these files.
    pub fn new(files: &LogFiles) -> Self {
        Self { files: files.clone(), file: None, window: Window::new(0) }
    }

    /// Reads a transaction. They should come in the order of the log.
    pub fn transaction(&mut self, extent: &Extent) -> Result<LoggedTransaction<'_>, LogError> {
        let Extent { start, end, transaction, checksum } = *extent;
        let open = self.file.take().filter(|(log_version, _)| *log_version == start.log_version);
        let file = if let Some((_, file)) = open {
            file
        } else {
            self.window = Window::new(start.offset);
            ReadFile::open(&self.files.path(start.log_version))?
        };
        let (_, file) = self.file.insert((start.log_version, file));
        match start.offset.checked_sub(self.window.offset).and_then(|passed| usize::try_from(passed).ok()) {
            Some(passed) => self.window.consume(passed),
            None => self.window.move_to(start.offset),
        }
        let content = if transaction.length <= Window::CHUNK {
            self.window.hold(file, transaction.length)?;
            Content::Whole(self.window.bytes().get(..transaction.length).unwrap_or_default())
        } else {
            Content::Large(file, &mut self.window)
        };
        Ok(LoggedTransaction { start, end, transaction, checksum, content })
    }
}

#[cfg(test)]
mod tests {
    use super::super::header::tests::example_store_id;
    use super::super::reader::LogReader;
    use super::super::wire::tests::{create_node, nodes};
    use super::super::writer::LogWriter;
    use super::*;
    use crate::io::disk::OsDisk;
    use crate::store::id::TransactionId;

    fn commands(logged: LoggedTransaction<'_>) -> Vec<Vec<u8>> {
        let mut commands = Vec::new();
        logged
            .for_each_command(|command| {
                let mut bytes = Vec::new();
                command.encode(&mut bytes);
                commands.push(bytes);
                Ok::<_, LogError>(())
            })
            .unwrap();
        commands
    }

    #[test]
    fn a_follower_reads_what_was_read_before_it_large_transactions_and_other_files_included() {
        let dir = tempfile::tempdir().unwrap();
        let large = nodes(3, 2 * Window::CHUNK);
        let transactions =
            [create_node(), large, nodes(4, Window::CHUNK - 2000), nodes(5, 200), nodes(6, 3000)];
        let (disk, store_id) = (OsDisk::shared(), example_store_id());
        // The first file ends behind the third.
        let most = 5 * Window::CHUNK as u64 / 2;
        let mut writer = LogWriter::create(disk, dir.path(), 0, store_id, TransactionId::BASE, most).unwrap();
        for (id, transaction) in (2..).zip(&transactions) {
            writer.append(TransactionId(id), transaction).unwrap();
        }
        writer.sync().unwrap();
        let files = LogFiles::list(dir.path()).unwrap();
        let start = LogPosition { log_version: 0, offset: 64 };
        let mut reader = LogReader::open(&files, start).unwrap();
        let (mut extents, mut expected) = (Vec::new(), Vec::new());
        while let Some(logged) = reader.next_transaction().unwrap() {
            extents.push(logged.extent());
            expected.push(commands(logged));
        }
        assert_eq!(extents.len(), transactions.len());
        assert!(files.highest() > Some(0), "one file only");
        let mut follower = Follower::new(&files);
        // In order, with some left out, and back to the beginning.
        for step in [1, 2, 1] {
            for (extent, expected) in extents.iter().zip(&expected).step_by(step) {
                let logged = follower.transaction(extent).unwrap();
                assert_eq!((logged.start, logged.end), (extent.start, extent.end));
                assert!(commands(logged) == *expected);
            }
        }
    }
}
