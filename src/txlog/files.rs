//! The log files in a directory.

use std::collections::BTreeMap;
use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::LogError;
use super::header::LogHeader;
use crate::io::disk::{self, DiskError};
use crate::store::layout::{Purpose, log_file_name};

/// The transaction and checkpoint logs of a database by their numbers. Cheap to clone; a list of the moment.
#[derive(Clone, Debug)]
pub struct LogFiles {
    directory: Arc<Path>,
    transactions: Arc<BTreeMap<u64, PathBuf>>,
    checkpoints: Arc<BTreeMap<u64, PathBuf>>,
}

impl LogFiles {
    /// Lists a directory; one that does not exist has no logs. Names decide, not times. Specification: transaction
    /// log 1.
    pub fn list(directory: &Path) -> Result<Self, LogError> {
        let mut transactions = BTreeMap::new();
        let mut checkpoints = BTreeMap::new();
        let failed = |source| DiskError::new("list", directory, source);
        let entries = match std::fs::read_dir(directory) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => None,
            entries => Some(entries.map_err(failed)?),
        };
        for entry in entries.into_iter().flatten() {
            let name = entry.map_err(failed)?.file_name();
            let file = directory.join(&name);
            match Purpose::of(&name.to_string_lossy()) {
                Purpose::Log(Some(number)) => drop(transactions.insert(number, file)),
                Purpose::Checkpoint(Some(number)) => drop(checkpoints.insert(number, file)),
                Purpose::Log(None) => return Err(LogError::FileName { file }),
                // Any other program may have named a file so; Neo4j's prefix for logs is unmistakable, this is not.
                Purpose::Checkpoint(None) | Purpose::Record(_) | Purpose::Foreign | Purpose::Other => {}
            }
        }
        let (transactions, checkpoints) = (Arc::new(transactions), Arc::new(checkpoints));
        Ok(Self { directory: directory.into(), transactions, checkpoints })
    }

    /// The directory that was listed.
    pub fn directory(&self) -> &Path {
        &self.directory
    }

    /// Numbers of the transaction logs, from the lowest on.
    pub fn versions(&self) -> impl DoubleEndedIterator<Item = u64> + '_ {
        self.transactions.keys().copied()
    }

    /// The transaction log with the lowest number.
    pub fn lowest(&self) -> Option<u64> {
        self.versions().next()
    }

    /// The transaction log with the highest number.
    pub fn highest(&self) -> Option<u64> {
        self.versions().next_back()
    }

    /// Where the transaction log with this number is, or would be.
    pub fn path(&self, log_version: u64) -> PathBuf {
        let listed = self.transactions.get(&log_version);
        listed.map_or_else(|| self.directory.join(log_file_name(log_version)), Clone::clone)
    }

    /// The checkpoint logs with their numbers, from the lowest on.
    pub fn checkpoints(&self) -> impl DoubleEndedIterator<Item = (u64, &Path)> {
        self.checkpoints.iter().map(|(number, path)| (*number, path.as_path()))
    }

    /// Opens a transaction log and reads its header; `None`: the file is there, but the header is not complete.
    pub(super) fn open(&self, log_version: u64) -> Result<Option<(ReadFile, LogHeader)>, LogError> {
        let Some(path) = self.transactions.get(&log_version) else {
            return Err(LogError::MissingFile { file: self.path(log_version) });
        };
        let file = ReadFile::open(path)?;
        Ok(file.header(log_version)?.map(|header| (file, header)))
    }

    /// The header of a transaction log; `None`: not complete.
    pub fn header(&self, log_version: u64) -> Result<Option<LogHeader>, LogError> {
        Ok(self.open(log_version)?.map(|(_, header)| header))
    }
}

/// A file that is only read.
#[derive(Debug)]
pub(super) struct ReadFile {
    file: File,
    pub path: PathBuf,
    /// Bytes of the file when it was opened.
    pub length: u64,
}

impl ReadFile {
    pub fn open(path: &Path) -> Result<Self, DiskError> {
        let failed = |source| DiskError::new("open", path, source);
        let file = File::open(path).map_err(failed)?;
        let length = file.metadata().map_err(failed)?.len();
        Ok(Self { file, path: path.to_owned(), length })
    }

    /// The header, whose number must be that of the file; `None`: not complete.
    pub fn header(&self, number: u64) -> Result<Option<LogHeader>, LogError> {
        let mut bytes = [0; LogHeader::SIZE];
        let count = self.read_at(0, &mut bytes)?;
        let header = LogHeader::decode(bytes.get(..count).unwrap_or_default());
        let header =
            header.map_err(|source| LogError::Damaged { file: self.path.clone(), offset: 0, source })?;
        match header {
            Some(LogHeader { log_version: found, .. }) if found != number => {
                Err(LogError::HeaderVersion { file: self.path.clone(), expected: number, found })
            }
            header => Ok(header),
        }
    }

    /// Fills `buffer` from `offset` on, as far as the file goes; returns the bytes read.
    pub fn read_at(&self, offset: u64, buffer: &mut [u8]) -> Result<usize, DiskError> {
        disk::fill(&self.file, &self.path, offset, buffer)
    }

    /// Whether nothing but zeros follows `offset` as far as Neo4j looks: 12 KiB. Specification: transaction log 7.3.
    pub fn is_padding(&self, offset: u64) -> Result<bool, DiskError> {
        const WINDOW: usize = 12 * 1024;
        let mut window = [0; WINDOW];
        let count = self.read_at(offset, &mut window)?;
        Ok(window.iter().take(count).all(|byte| *byte == 0))
    }
}
