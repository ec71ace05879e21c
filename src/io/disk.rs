//! The one door to the file system for everything that changes it.
//!
//! Rooms get a [`Disk`] and never call `std::fs` to change something. So a test can record each step, fail it with
//! ENOSPC or EIO, or stop the process before it, and prove what is left.

use std::fmt;
use std::fs::{File, OpenOptions};
use std::io::{self, IoSlice, IoSliceMut};
use std::num::NonZeroU64;
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustix::fs::{Advice, OFlags, RenameFlags};

use super::lock::{FileLock, LockError};

/// A step at the file system failed.
#[derive(Debug, thiserror::Error)]
#[error("cannot {action} {}: {source}", path.display())]
pub struct DiskError {
    /// What was tried, as a verb: `create`, `write`, `force`, `rename` ...
    pub action: &'static str,
    /// The file or directory.
    pub path: PathBuf,
    /// What the system said.
    #[source]
    pub source: io::Error,
}

impl DiskError {
    /// Adds what was tried and where to a system error.
    pub fn new(action: &'static str, path: &Path, source: impl Into<io::Error>) -> Self {
        Self { action, path: path.to_owned(), source: source.into() }
    }

    /// The same error once more, for another who has to know of it.
    #[must_use]
    pub fn again(&self) -> Self {
        let code = self.source.raw_os_error();
        let source = code.map_or_else(|| self.source.kind().into(), io::Error::from_raw_os_error);
        Self { action: self.action, path: self.path.clone(), source }
    }
}

/// A shared handle, cheap to clone.
pub type SharedDisk = Arc<dyn Disk>;

/// Steps that change a file system. Every error names the step and the path.
pub trait Disk: fmt::Debug + Send + Sync {
    /// Creates an empty file, or empties the one that is there. A symbolic link at `path` is an error, it is not
    /// followed. `mode`: permission bits before the umask.
    fn create(&self, path: &Path, mode: u32) -> Result<Box<dyn DiskFile>, DiskError>;
    /// Opens an existing file for reading and writing; a symbolic link is an error.
    fn open(&self, path: &Path) -> Result<Box<dyn DiskFile>, DiskError>;
    /// Opens an existing file for reading only; a symbolic link is an error.
    fn open_to_read(&self, path: &Path) -> Result<Box<dyn DiskFile>, DiskError> {
        self.open(path)
    }
    /// Creates one directory; its parent must exist.
    fn create_dir(&self, path: &Path) -> Result<(), DiskError>;
    /// Forces the entries of a directory.
    fn sync_dir(&self, path: &Path) -> Result<(), DiskError>;
    /// Renames; a file at `to` is replaced.
    fn rename(&self, from: &Path, to: &Path) -> Result<(), DiskError>;
    /// Exchanges two names in one step. `false`: the file system has no such step, nothing was changed.
    fn exchange(&self, a: &Path, b: &Path) -> Result<bool, DiskError>;
    /// Gives a file a second name. `false`: that can't be between these two places, nothing was changed.
    fn hard_link(&self, _from: &Path, _to: &Path) -> Result<bool, DiskError> {
        Ok(false)
    }
    /// Deletes a file.
    fn remove_file(&self, path: &Path) -> Result<(), DiskError>;
    /// Deletes an empty directory.
    fn remove_dir(&self, path: &Path) -> Result<(), DiskError>;
    /// Bytes that the caller may still write to the file system of `path`.
    fn available(&self, path: &Path) -> Result<u64, DiskError>;
    /// Locks a file without waiting; it is created if it is missing.
    fn lock(&self, path: &Path) -> Result<FileLock, LockError> {
        FileLock::acquire(path)
    }
}

/// An open file. Positions are arguments, so threads may share it.
pub trait DiskFile: fmt::Debug + Send + Sync {
    /// Where it is.
    fn path(&self) -> &Path;
    /// Length in bytes.
    fn len(&self) -> Result<u64, DiskError>;
    /// Whether nothing is in it.
    fn is_empty(&self) -> Result<bool, DiskError> {
        self.len().map(|length| length == 0)
    }
    /// Fills `buffer` from `offset` on, as far as the file goes; returns the bytes read.
    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> Result<usize, DiskError>;
    /// Fills the buffers in their order from `offset` on, as far as the file goes; returns the bytes read.
    fn read_vectored_at(&self, offset: u64, buffers: &mut [IoSliceMut<'_>]) -> Result<usize, DiskError> {
        let mut done = 0;
        for buffer in buffers {
            let count = self.read_at(offset + done as u64, buffer)?;
            done += count;
            if count < buffer.len() {
                break;
            }
        }
        Ok(done)
    }
    /// Writes all of `bytes` at `offset`; the file grows as needed.
    fn write_at(&self, offset: u64, bytes: &[u8]) -> Result<(), DiskError>;
    /// Writes all of the buffers, one after the other, at `offset`; the file grows as needed.
    fn write_vectored_at(&self, mut offset: u64, buffers: &mut [IoSlice<'_>]) -> Result<(), DiskError> {
        for buffer in buffers {
            self.write_at(offset, buffer)?;
            offset += buffer.len() as u64;
        }
        Ok(())
    }
    /// Whether [`Self::overwrite_at`] makes use of checksums; otherwise nobody need compute them.
    fn wants_checksums(&self) -> bool {
        false
    }
    /// As [`Self::write_vectored_at`]. `before`: the CRC-32C of what each buffer replaces, as far as that is in the file.
    fn overwrite_at(
        &self,
        offset: u64,
        buffers: &mut [IoSlice<'_>],
        _before: &[u32],
    ) -> Result<(), DiskError> {
        self.write_vectored_at(offset, buffers)
    }
    /// Asks the system to fetch a range that will be read soon. A hint: it waits for nothing and promises nothing.
    fn will_read(&self, _offset: u64, _length: NonZeroU64) {}
    /// Asks the system to begin with writing a range to the medium, so that less is left for [`DiskFile::sync`]. A
    /// hint: it waits for nothing and promises nothing.
    fn begin_sync(&self, _offset: u64, _length: NonZeroU64) {}
    /// Cuts or extends with zeros.
    fn set_len(&self, length: u64) -> Result<(), DiskError>;
    /// Forces data and length to the medium.
    fn sync(&self) -> Result<(), DiskError>;
}

/// The file system of the operating system.
#[derive(Clone, Copy, Debug, Default)]
pub struct OsDisk;

impl OsDisk {
    /// A shared handle to it.
    pub fn shared() -> SharedDisk {
        Arc::new(Self)
    }
}

fn no_follow() -> i32 {
    OFlags::NOFOLLOW.bits().cast_signed()
}

impl Disk for OsDisk {
    fn create(&self, path: &Path, mode: u32) -> Result<Box<dyn DiskFile>, DiskError> {
        let mut options = OpenOptions::new();
        options.read(true).write(true).create(true).truncate(true).mode(mode).custom_flags(no_follow());
        let file = options.open(path).map_err(|source| DiskError::new("create", path, source))?;
        Ok(Box::new(OsFile { file, path: path.to_owned() }))
    }

    fn open(&self, path: &Path) -> Result<Box<dyn DiskFile>, DiskError> {
        let mut options = OpenOptions::new();
        options.read(true).write(true).custom_flags(no_follow());
        let file = options.open(path).map_err(|source| DiskError::new("open", path, source))?;
        Ok(Box::new(OsFile { file, path: path.to_owned() }))
    }

    fn open_to_read(&self, path: &Path) -> Result<Box<dyn DiskFile>, DiskError> {
        let mut options = OpenOptions::new();
        options.read(true).custom_flags(no_follow());
        let file = options.open(path).map_err(|source| DiskError::new("open", path, source))?;
        Ok(Box::new(OsFile { file, path: path.to_owned() }))
    }

    fn create_dir(&self, path: &Path) -> Result<(), DiskError> {
        std::fs::create_dir(path).map_err(|source| DiskError::new("create directory", path, source))
    }

    fn sync_dir(&self, path: &Path) -> Result<(), DiskError> {
        File::open(path)
            .and_then(|directory| directory.sync_all())
            .map_err(|source| DiskError::new("force directory", path, source))
    }

    fn rename(&self, from: &Path, to: &Path) -> Result<(), DiskError> {
        std::fs::rename(from, to).map_err(|source| DiskError::new("rename", from, source))
    }

    fn exchange(&self, a: &Path, b: &Path) -> Result<bool, DiskError> {
        match rustix::fs::renameat_with(rustix::fs::CWD, a, rustix::fs::CWD, b, RenameFlags::EXCHANGE) {
            Ok(()) => Ok(true),
            Err(rustix::io::Errno::INVAL | rustix::io::Errno::NOSYS | rustix::io::Errno::OPNOTSUPP) => {
                Ok(false)
            }
            Err(source) => Err(DiskError::new("exchange", a, source)),
        }
    }

    fn hard_link(&self, from: &Path, to: &Path) -> Result<bool, DiskError> {
        use io::ErrorKind::{CrossesDevices, PermissionDenied, TooManyLinks, Unsupported};
        match std::fs::hard_link(from, to) {
            Ok(()) => Ok(true),
            // Linux lets nobody link a file that he may not write; such a file can be copied all the same.
            Err(error)
                if matches!(error.kind(), CrossesDevices | PermissionDenied | TooManyLinks | Unsupported) =>
            {
                Ok(false)
            }
            Err(source) => Err(DiskError::new("link", from, source)),
        }
    }

    fn remove_file(&self, path: &Path) -> Result<(), DiskError> {
        std::fs::remove_file(path).map_err(|source| DiskError::new("delete", path, source))
    }

    fn remove_dir(&self, path: &Path) -> Result<(), DiskError> {
        std::fs::remove_dir(path).map_err(|source| DiskError::new("delete directory", path, source))
    }

    fn available(&self, path: &Path) -> Result<u64, DiskError> {
        let space = rustix::fs::statvfs(path)
            .map_err(|source| DiskError::new("ask for the free space of", path, source))?;
        Ok(space.f_bavail.saturating_mul(space.f_frsize))
    }
}

/// Fills `buffer` from `offset` of an open file on, as far as it goes; returns the bytes read.
pub fn fill(file: &File, path: &Path, offset: u64, buffer: &mut [u8]) -> Result<usize, DiskError> {
    let mut done = 0;
    while let Some(rest) = buffer.get_mut(done..).filter(|rest| !rest.is_empty()) {
        match file.read_at(rest, offset + done as u64) {
            Ok(0) => break,
            Ok(count) => done += count,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(source) => return Err(DiskError::new("read", path, source)),
        }
    }
    Ok(done)
}

#[derive(Debug)]
struct OsFile {
    file: File,
    path: PathBuf,
}

impl DiskFile for OsFile {
    fn path(&self) -> &Path {
        &self.path
    }

    fn len(&self) -> Result<u64, DiskError> {
        let metadata =
            self.file.metadata().map_err(|source| DiskError::new("examine", &self.path, source))?;
        Ok(metadata.len())
    }

    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> Result<usize, DiskError> {
        fill(&self.file, &self.path, offset, buffer)
    }

    fn read_vectored_at(&self, offset: u64, mut buffers: &mut [IoSliceMut<'_>]) -> Result<usize, DiskError> {
        let mut done = 0;
        while !buffers.is_empty() {
            match rustix::io::preadv(&self.file, buffers, offset + done as u64) {
                Ok(0) => break,
                Ok(count) => {
                    done += count;
                    IoSliceMut::advance_slices(&mut buffers, count);
                }
                Err(rustix::io::Errno::INTR) => {}
                Err(source) => return Err(DiskError::new("read", &self.path, source)),
            }
        }
        Ok(done)
    }

    fn write_at(&self, offset: u64, bytes: &[u8]) -> Result<(), DiskError> {
        self.file.write_all_at(bytes, offset).map_err(|source| DiskError::new("write", &self.path, source))
    }

    fn write_vectored_at(&self, mut offset: u64, mut buffers: &mut [IoSlice<'_>]) -> Result<(), DiskError> {
        // Empty buffers alone would look like a medium that takes nothing.
        IoSlice::advance_slices(&mut buffers, 0);
        while !buffers.is_empty() {
            match rustix::io::pwritev(&self.file, buffers, offset) {
                Ok(0) => return Err(DiskError::new("write", &self.path, io::ErrorKind::WriteZero)),
                Ok(count) => {
                    offset += count as u64;
                    IoSlice::advance_slices(&mut buffers, count);
                }
                Err(rustix::io::Errno::INTR) => {}
                Err(source) => return Err(DiskError::new("write", &self.path, source)),
            }
        }
        Ok(())
    }

    fn will_read(&self, offset: u64, length: NonZeroU64) {
        // A file system that can't take the hint does nothing, which is no error.
        let _ = rustix::fs::fadvise(&self.file, offset, Some(length), Advice::WillNeed);
    }

    fn begin_sync(&self, offset: u64, length: NonZeroU64) {
        // Linux begins to write dirty pages that are said to be no longer needed. A file system that can't take the
        // hint does nothing, which is no error.
        let _ = rustix::fs::fadvise(&self.file, offset, Some(length), Advice::DontNeed);
    }

    fn set_len(&self, length: u64) -> Result<(), DiskError> {
        self.file.set_len(length).map_err(|source| DiskError::new("set the length of", &self.path, source))
    }

    fn sync(&self) -> Result<(), DiskError> {
        self.file.sync_all().map_err(|source| DiskError::new("force", &self.path, source))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_symbolic_link_is_not_followed() {
        let dir = tempfile::tempdir().unwrap();
        let (victim, link) = (dir.path().join("victim"), dir.path().join("link"));
        std::fs::write(&victim, b"untouched").unwrap();
        std::os::unix::fs::symlink(&victim, &link).unwrap();
        assert_eq!(OsDisk.create(&link, 0o666).unwrap_err().action, "create");
        assert_eq!(OsDisk.open(&link).unwrap_err().action, "open");
        assert_eq!(std::fs::read(&victim).unwrap(), b"untouched");
    }

    #[test]
    fn exchange_swaps_two_directories() {
        let dir = tempfile::tempdir().unwrap();
        let (a, b) = (dir.path().join("a"), dir.path().join("b"));
        OsDisk.create_dir(&a).unwrap();
        OsDisk.create_dir(&b).unwrap();
        OsDisk.create(&a.join("of a"), 0o666).unwrap().write_at(2, b"xy").unwrap();
        if OsDisk.exchange(&a, &b).unwrap() {
            assert_eq!(std::fs::read(b.join("of a")).unwrap(), b"\0\0xy");
        }
        OsDisk.sync_dir(dir.path()).unwrap();
        assert!(OsDisk.available(dir.path()).unwrap() > 0);
    }

    #[test]
    fn vectored_steps_do_what_single_ones_do() {
        let dir = tempfile::tempdir().unwrap();
        let file = OsDisk.create(&dir.path().join("file"), 0o666).unwrap();
        file.write_vectored_at(1, &mut [IoSlice::new(b"abc"), IoSlice::new(b""), IoSlice::new(b"de")])
            .unwrap();
        let (mut first, mut second) = ([9; 4], [9; 4]);
        let mut buffers = [IoSliceMut::new(&mut first), IoSliceMut::new(&mut second)];
        assert_eq!(file.read_vectored_at(0, &mut buffers).unwrap(), 6);
        assert_eq!((&first, &second), (b"\0abc", b"de\x09\x09"));
    }
}
