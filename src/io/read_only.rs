//! A file system that can only be read.

use std::io;
use std::path::Path;

use super::disk::{Disk, DiskError, DiskFile, SharedDisk};

/// Opens files of another file system to read them, and refuses everything that would change it.
#[derive(Clone, Debug)]
pub struct ReadOnly {
    disk: SharedDisk,
}

impl ReadOnly {
    /// A view of `disk`.
    pub fn new(disk: SharedDisk) -> Self {
        Self { disk }
    }
}

fn refuse(action: &'static str, path: &Path) -> DiskError {
    DiskError::new(action, path, io::Error::from(io::ErrorKind::ReadOnlyFilesystem))
}

impl Disk for ReadOnly {
    fn create(&self, path: &Path, _mode: u32) -> Result<Box<dyn DiskFile>, DiskError> {
        Err(refuse("create", path))
    }

    fn open(&self, path: &Path) -> Result<Box<dyn DiskFile>, DiskError> {
        self.disk.open_to_read(path)
    }

    fn create_dir(&self, path: &Path) -> Result<(), DiskError> {
        Err(refuse("create directory", path))
    }

    fn sync_dir(&self, path: &Path) -> Result<(), DiskError> {
        Err(refuse("force directory", path))
    }

    fn rename(&self, from: &Path, _to: &Path) -> Result<(), DiskError> {
        Err(refuse("rename", from))
    }

    fn exchange(&self, a: &Path, _b: &Path) -> Result<bool, DiskError> {
        Err(refuse("exchange", a))
    }

    fn remove_file(&self, path: &Path) -> Result<(), DiskError> {
        Err(refuse("delete", path))
    }

    fn remove_dir(&self, path: &Path) -> Result<(), DiskError> {
        Err(refuse("delete directory", path))
    }

    fn available(&self, path: &Path) -> Result<u64, DiskError> {
        self.disk.available(path)
    }
}
