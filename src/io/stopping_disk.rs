//! A disk that does nothing more once the run is to end: whatever works with it comes to a stop at its next step.

use std::fmt;
use std::io::{self, IoSlice, IoSliceMut};
use std::num::NonZeroU64;
use std::path::Path;
use std::sync::Arc;

use super::disk::{Disk, DiskError, DiskFile, SharedDisk};
use super::lock::{FileLock, LockError};

/// Does what the disk below does until the run is stopped; then every step is an error.
#[derive(Clone)]
pub struct StoppingDisk {
    below: SharedDisk,
    stopped: Arc<dyn Fn() -> bool + Send + Sync>,
}

impl fmt::Debug for StoppingDisk {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StoppingDisk").field("below", &self.below).finish_non_exhaustive()
    }
}

impl StoppingDisk {
    /// Stops when `stopped` says so.
    pub fn new(below: SharedDisk, stopped: impl Fn() -> bool + Send + Sync + 'static) -> Self {
        Self { below, stopped: Arc::new(stopped) }
    }

    fn step(&self, action: &'static str, path: &Path) -> Result<(), DiskError> {
        if (self.stopped)() {
            return Err(DiskError::new(action, path, io::Error::other("the run was ended")));
        }
        Ok(())
    }

    fn wrap(&self, below: Box<dyn DiskFile>) -> Box<dyn DiskFile> {
        Box::new(StoppingFile { below, disk: self.clone() })
    }
}

impl Disk for StoppingDisk {
    fn create(&self, path: &Path, mode: u32) -> Result<Box<dyn DiskFile>, DiskError> {
        self.step("create", path)?;
        self.below.create(path, mode).map(|file| self.wrap(file))
    }

    fn open(&self, path: &Path) -> Result<Box<dyn DiskFile>, DiskError> {
        self.step("open", path)?;
        self.below.open(path).map(|file| self.wrap(file))
    }

    fn create_dir(&self, path: &Path) -> Result<(), DiskError> {
        self.step("create directory", path)?;
        self.below.create_dir(path)
    }

    fn sync_dir(&self, path: &Path) -> Result<(), DiskError> {
        self.step("force directory", path)?;
        self.below.sync_dir(path)
    }

    fn rename(&self, from: &Path, to: &Path) -> Result<(), DiskError> {
        self.step("rename", from)?;
        self.below.rename(from, to)
    }

    fn exchange(&self, a: &Path, b: &Path) -> Result<bool, DiskError> {
        self.step("exchange", a)?;
        self.below.exchange(a, b)
    }

    fn hard_link(&self, from: &Path, to: &Path) -> Result<bool, DiskError> {
        self.step("link", from)?;
        self.below.hard_link(from, to)
    }

    fn remove_file(&self, path: &Path) -> Result<(), DiskError> {
        self.step("delete", path)?;
        self.below.remove_file(path)
    }

    fn remove_dir(&self, path: &Path) -> Result<(), DiskError> {
        self.step("delete directory", path)?;
        self.below.remove_dir(path)
    }

    fn available(&self, path: &Path) -> Result<u64, DiskError> {
        self.below.available(path)
    }

    fn lock(&self, path: &Path) -> Result<FileLock, LockError> {
        self.step("lock", path)?;
        self.below.lock(path)
    }
}

#[derive(Debug)]
struct StoppingFile {
    below: Box<dyn DiskFile>,
    disk: StoppingDisk,
}

impl DiskFile for StoppingFile {
    fn path(&self) -> &Path {
        self.below.path()
    }

    fn len(&self) -> Result<u64, DiskError> {
        self.below.len()
    }

    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> Result<usize, DiskError> {
        self.disk.step("read", self.path())?;
        self.below.read_at(offset, buffer)
    }

    fn read_vectored_at(&self, offset: u64, buffers: &mut [IoSliceMut<'_>]) -> Result<usize, DiskError> {
        self.disk.step("read", self.path())?;
        self.below.read_vectored_at(offset, buffers)
    }

    fn write_at(&self, offset: u64, bytes: &[u8]) -> Result<(), DiskError> {
        self.disk.step("write", self.path())?;
        self.below.write_at(offset, bytes)
    }

    fn write_vectored_at(&self, offset: u64, buffers: &mut [IoSlice<'_>]) -> Result<(), DiskError> {
        self.disk.step("write", self.path())?;
        self.below.write_vectored_at(offset, buffers)
    }

    fn wants_checksums(&self) -> bool {
        self.below.wants_checksums()
    }

    fn overwrite_at(
        &self,
        offset: u64,
        buffers: &mut [IoSlice<'_>],
        before: &[u32],
    ) -> Result<(), DiskError> {
        self.disk.step("write", self.path())?;
        self.below.overwrite_at(offset, buffers, before)
    }

    fn will_read(&self, offset: u64, length: NonZeroU64) {
        self.below.will_read(offset, length);
    }

    fn begin_sync(&self, offset: u64, length: NonZeroU64) {
        self.below.begin_sync(offset, length);
    }

    fn set_len(&self, length: u64) -> Result<(), DiskError> {
        self.disk.step("set the length of", self.path())?;
        self.below.set_len(length)
    }

    fn sync(&self) -> Result<(), DiskError> {
        self.disk.step("force", self.path())?;
        self.below.sync()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicBool, Ordering};

    use super::*;
    use crate::io::disk::OsDisk;

    #[test]
    fn no_step_is_done_any_more_after_the_stop() {
        let dir = tempfile::tempdir().unwrap();
        let stop = Arc::new(AtomicBool::new(false));
        let asked = stop.clone();
        let disk = StoppingDisk::new(OsDisk::shared(), move || asked.load(Ordering::Relaxed));
        let path = dir.path().join("file");
        let file = disk.create(&path, 0o666).unwrap();
        file.write_at(0, b"before").unwrap();
        stop.store(true, Ordering::Relaxed);
        assert!(file.write_at(0, b"behind").is_err() && file.sync().is_err() && file.set_len(0).is_err());
        assert!(file.read_at(0, &mut [0]).is_err());
        assert!(disk.remove_file(&path).is_err() && disk.create(&path, 0o666).is_err());
        assert_eq!(std::fs::read(&path).unwrap(), b"before");
    }
}
