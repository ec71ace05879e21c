//! The files of a backup, and how they get to another place.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io;
use std::os::unix::fs::{FileExt, MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};

use super::RestoreError;
use crate::backup::stop::Stop;
use crate::io::disk::{Disk, DiskError};
use crate::store::layout::{DATABASE_LOCK, Purpose};

/// A file of a backup.
#[derive(Clone, Debug)]
pub(super) struct BackupFile {
    /// Below the backup.
    path: PathBuf,
    /// Bytes.
    pub size: u64,
    /// Permissions.
    mode: u32,
}

impl BackupFile {
    /// Whether it is a transaction or checkpoint log.
    pub fn is_log(&self) -> bool {
        self.path
            .to_str()
            .is_some_and(|path| matches!(Purpose::of(path), Purpose::Log(_) | Purpose::Checkpoint(_)))
    }
}

/// All files of a backup but the lock.
pub(super) fn list(directory: &Path) -> Result<Vec<BackupFile>, RestoreError> {
    let mut files = Vec::new();
    let mut waiting = vec![PathBuf::new()];
    while let Some(prefix) = waiting.pop() {
        let here = directory.join(&prefix);
        let failed = |source| DiskError::new("list", &here, source);
        for entry in fs::read_dir(&here).map_err(failed)? {
            let entry = entry.map_err(failed)?;
            let path = prefix.join(entry.file_name());
            let metadata =
                entry.metadata().map_err(|source| DiskError::new("examine", &entry.path(), source))?;
            if metadata.is_dir() {
                waiting.push(path);
            } else if !metadata.is_file() {
                return Err(RestoreError::OddFile(entry.path()));
            } else if path != Path::new(DATABASE_LOCK) {
                let mode = metadata.permissions().mode() & 0o777;
                files.push(BackupFile { path, size: metadata.len(), mode });
            }
        }
    }
    files.sort_by(|a, b| a.path.cmp(&b.path));
    Ok(files)
}

/// Whether the metadata store of two directories is the same file.
pub(super) fn share_a_file(one: &Path, other: &Path) -> bool {
    let identity = |directory: &Path| {
        let metadata = fs::metadata(directory.join("neostore")).ok()?;
        Some((metadata.dev(), metadata.ino()))
    };
    identity(one).is_some_and(|one| identity(other) == Some(one))
}

/// Copies files to a new directory, or links them if the old ones are going to be deleted.
pub(super) struct Copier<'a> {
    disk: &'a dyn Disk,
    source: &'a Path,
    /// Whether to try links. A file system that refuses one refuses all.
    link: bool,
    stop: &'a Stop,
    /// Directories that were made, with those above them.
    made: BTreeSet<PathBuf>,
    buffer: Vec<u8>,
}

impl<'a> Copier<'a> {
    /// Bytes read at a time.
    const BLOCK: usize = 1 << 20;

    pub fn new(disk: &'a dyn Disk, source: &'a Path, link: bool, stop: &'a Stop) -> Self {
        Self { disk, source, link, stop, made: BTreeSet::new(), buffer: vec![0; Self::BLOCK] }
    }

    /// Brings a file below `target`, forced.
    pub fn copy(&mut self, file: &BackupFile, target: &Path) -> Result<(), RestoreError> {
        let to = target.join(&file.path);
        self.make_directories(target, &file.path)?;
        let from = self.source.join(&file.path);
        if self.link {
            self.stopped()?;
            if self.disk.hard_link(&from, &to)? {
                return Ok(());
            }
            self.link = false;
        }
        let failed = |action| {
            let from = &from;
            move |source| DiskError::new(action, from, source)
        };
        let source = File::open(&from).map_err(failed("open"))?;
        let copy = self.disk.create(&to, file.mode)?;
        let mut offset = 0;
        loop {
            self.stopped()?;
            let count = match source.read_at(&mut self.buffer, offset) {
                Ok(0) => break,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                count => count.map_err(failed("read"))?,
            };
            copy.write_at(offset, self.buffer.get(..count).unwrap_or_default())?;
            offset += count as u64;
        }
        copy.sync()?;
        Ok(())
    }

    fn stopped(&self) -> Result<(), RestoreError> {
        self.stop.requested().map_or(Ok(()), |signal| Err(RestoreError::Interrupted(signal)))
    }

    fn make_directories(&mut self, target: &Path, file: &Path) -> Result<(), DiskError> {
        let mut above: Vec<_> = file.ancestors().skip(1).filter(|path| *path != Path::new("")).collect();
        above.reverse();
        for directory in above {
            let directory = target.join(directory);
            if !self.made.contains(&directory) {
                self.disk.create_dir(&directory)?;
                self.made.insert(directory);
            }
        }
        Ok(())
    }

    /// Forces the directories that were made, the deepest first.
    pub fn force_directories(&mut self) -> Result<(), DiskError> {
        for directory in std::mem::take(&mut self.made).iter().rev() {
            self.disk.sync_dir(directory)?;
        }
        Ok(())
    }
}
