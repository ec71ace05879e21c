//! A disk that remembers what was changed through it, in blocks, so that checksums of the rest need not be made anew.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{IoSlice, IoSliceMut};
use std::num::NonZeroU64;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::disk::{Disk, DiskError, DiskFile, SharedDisk};
use super::lock::{FileLock, LockError};

/// Which blocks of a file were changed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Changes {
    /// It was created, replaced, renamed or deleted: nothing that was known of it counts.
    All,
    /// Blocks that were written, by their numbers; its length may have changed, too.
    Blocks(BTreeSet<u64>),
}

/// Does what the disk below does, and notes which blocks of which files are changed.
#[derive(Debug)]
pub struct TrackedDisk {
    below: SharedDisk,
    record: Record,
}

/// What is noted, shared with all open files.
#[derive(Clone, Debug)]
struct Record {
    block: NonZeroU64,
    changes: Arc<Mutex<BTreeMap<PathBuf, Changes>>>,
}

impl Record {
    fn changes(&self) -> MutexGuard<'_, BTreeMap<PathBuf, Changes>> {
        // A map that another thread left in a panic is whole: entries are added one by one.
        self.changes.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn all(&self, path: &Path) {
        self.changes().insert(path.to_owned(), Changes::All);
    }

    /// Notes that `length` bytes from `offset` on are changed.
    fn range(&self, path: &Path, offset: u64, length: u64) {
        if length == 0 {
            return;
        }
        let blocks = offset / self.block..=offset.saturating_add(length - 1) / self.block;
        let mut changes = self.changes();
        match changes.get_mut(path) {
            Some(Changes::All) => {}
            Some(Changes::Blocks(known)) => known.extend(blocks),
            None => drop(changes.insert(path.to_owned(), Changes::Blocks(blocks.collect()))),
        }
    }
}

impl TrackedDisk {
    /// Notes blocks of `block` bytes.
    pub fn new(below: SharedDisk, block: NonZeroU64) -> Self {
        Self { below, record: Record { block, changes: Arc::default() } }
    }

    /// What was changed so far. A renamed directory counts as one path.
    pub fn changes(&self) -> BTreeMap<PathBuf, Changes> {
        self.record.changes().clone()
    }

    fn wrap(&self, file: Box<dyn DiskFile>) -> Box<dyn DiskFile> {
        Box::new(TrackedFile { below: file, record: self.record.clone() })
    }
}

impl Disk for TrackedDisk {
    fn create(&self, path: &Path, mode: u32) -> Result<Box<dyn DiskFile>, DiskError> {
        self.record.all(path);
        self.below.create(path, mode).map(|file| self.wrap(file))
    }

    fn open(&self, path: &Path) -> Result<Box<dyn DiskFile>, DiskError> {
        self.below.open(path).map(|file| self.wrap(file))
    }

    fn create_dir(&self, path: &Path) -> Result<(), DiskError> {
        self.below.create_dir(path)
    }

    fn sync_dir(&self, path: &Path) -> Result<(), DiskError> {
        self.below.sync_dir(path)
    }

    fn rename(&self, from: &Path, to: &Path) -> Result<(), DiskError> {
        self.record.all(from);
        self.record.all(to);
        self.below.rename(from, to)
    }

    fn exchange(&self, a: &Path, b: &Path) -> Result<bool, DiskError> {
        self.record.all(a);
        self.record.all(b);
        self.below.exchange(a, b)
    }

    fn hard_link(&self, from: &Path, to: &Path) -> Result<bool, DiskError> {
        self.record.all(to);
        self.below.hard_link(from, to)
    }

    fn remove_file(&self, path: &Path) -> Result<(), DiskError> {
        self.record.all(path);
        self.below.remove_file(path)
    }

    fn remove_dir(&self, path: &Path) -> Result<(), DiskError> {
        self.below.remove_dir(path)
    }

    fn available(&self, path: &Path) -> Result<u64, DiskError> {
        self.below.available(path)
    }

    fn lock(&self, path: &Path) -> Result<FileLock, LockError> {
        self.below.lock(path)
    }
}

#[derive(Debug)]
struct TrackedFile {
    below: Box<dyn DiskFile>,
    record: Record,
}

impl DiskFile for TrackedFile {
    fn path(&self) -> &Path {
        self.below.path()
    }

    fn len(&self) -> Result<u64, DiskError> {
        self.below.len()
    }

    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> Result<usize, DiskError> {
        self.below.read_at(offset, buffer)
    }

    fn read_vectored_at(&self, offset: u64, buffers: &mut [IoSliceMut<'_>]) -> Result<usize, DiskError> {
        self.below.read_vectored_at(offset, buffers)
    }

    fn write_at(&self, offset: u64, bytes: &[u8]) -> Result<(), DiskError> {
        self.record.range(self.path(), offset, bytes.len() as u64);
        self.below.write_at(offset, bytes)
    }

    fn write_vectored_at(&self, offset: u64, buffers: &mut [IoSlice<'_>]) -> Result<(), DiskError> {
        let length = buffers.iter().map(|buffer| buffer.len() as u64).sum();
        self.record.range(self.path(), offset, length);
        self.below.write_vectored_at(offset, buffers)
    }

    fn begin_sync(&self, offset: u64, length: NonZeroU64) {
        self.below.begin_sync(offset, length);
    }

    fn set_len(&self, length: u64) -> Result<(), DiskError> {
        // What is cut off may come back as zeros: the block in which either length lies has changed, and all between.
        let before = self.below.len()?;
        let from = before.min(length);
        self.record.range(self.path(), from.saturating_sub(1), before.max(length) - from + 1);
        self.below.set_len(length)
    }

    fn sync(&self) -> Result<(), DiskError> {
        self.below.sync()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::io::disk::OsDisk;

    #[test]
    fn written_blocks_are_noted_and_others_are_not() {
        let dir = tempfile::tempdir().unwrap();
        let path = |name: &str| dir.path().join(name);
        std::fs::write(path("old"), [1; 100]).unwrap();
        std::fs::write(path("cut"), [1; 100]).unwrap();
        std::fs::write(path("read"), [1; 100]).unwrap();
        let disk = TrackedDisk::new(OsDisk::shared(), NonZeroU64::new(10).unwrap());
        let old = disk.open(&path("old")).unwrap();
        old.write_at(19, b"ab").unwrap();
        old.write_at(70, b"").unwrap();
        old.write_vectored_at(88, &mut [IoSlice::new(b"a"), IoSlice::new(b"bc")]).unwrap();
        disk.open(&path("cut")).unwrap().set_len(85).unwrap();
        disk.open(&path("read")).unwrap().read_at(0, &mut [0; 5]).unwrap();
        disk.create(&path("new"), 0o666).unwrap().write_at(0, b"x").unwrap();
        disk.rename(&path("new"), &path("newer")).unwrap();
        let blocks = |blocks: &[u64]| Changes::Blocks(blocks.iter().copied().collect());
        let expected = [
            ("cut", blocks(&[8, 9])),
            ("new", Changes::All),
            ("newer", Changes::All),
            ("old", blocks(&[1, 2, 8, 9])),
        ];
        assert_eq!(disk.changes(), expected.map(|(name, changes)| (path(name), changes)).into());
    }
}
