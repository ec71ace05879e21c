//! Exclusive locks on files, the kind that the JVM takes: POSIX record locks over the whole file.
//!
//! Such a lock belongs to the process. Closing any descriptor of the file gives it up, so a process locks a file once
//! and opens it nowhere else; a second lock in the same process is always granted.

use std::fs::{File, OpenOptions};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use rustix::fs::{FlockOperation, OFlags};
use rustix::io::Errno;
use rustix::process::{Flock, FlockType, Pid};

use super::disk::DiskError;

/// A lock that is held until this value is dropped. The file stays.
#[derive(Debug)]
pub struct FileLock {
    /// Closing it gives the lock up.
    _file: File,
}

/// Why a lock was not obtained.
#[derive(Debug, thiserror::Error)]
pub enum LockError {
    /// Another process has it.
    #[error("{} is locked by another process{}", path.display(), holder.map(|pid| format!(" ({pid})")).unwrap_or_default())]
    Held {
        /// The file.
        path: PathBuf,
        /// Who has it, as far as the system tells (nothing over a network file system).
        holder: Option<i32>,
    },
    /// The file can't be opened, or its file system has no locks.
    #[error(transparent)]
    Disk(#[from] DiskError),
}

impl FileLock {
    /// Locks a file without waiting; it is created if it is missing.
    pub fn acquire(path: &Path) -> Result<Self, LockError> {
        Self::lock(path, true)
    }

    /// Locks a file without waiting if there is one.
    pub fn acquire_existing(path: &Path) -> Result<Option<Self>, LockError> {
        match Self::lock(path, false) {
            Err(LockError::Disk(error)) if error.source.kind() == std::io::ErrorKind::NotFound => Ok(None),
            other => other.map(Some),
        }
    }

    /// Whether another process has a file locked: then that is the error. A missing file is not locked.
    ///
    /// Nothing is changed, so a file on a read-only medium can be asked for as well. But a lock that this process has
    /// on the file is given up, as with any other descriptor of it.
    pub fn check(path: &Path) -> Result<(), LockError> {
        let mut options = OpenOptions::new();
        options.read(true).custom_flags(OFlags::NOFOLLOW.bits().cast_signed());
        let file = match options.open(path) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(()),
            opened => opened.map_err(|source| DiskError::new("open", path, source))?,
        };
        let wanted = Flock::from(FlockType::WriteLock);
        match rustix::process::fcntl_getlk(&file, &wanted) {
            Ok(None) => Ok(()),
            Ok(Some(found)) => {
                let holder = found.pid.map(Pid::as_raw_pid);
                Err(LockError::Held { path: path.to_owned(), holder })
            }
            Err(source) => Err(DiskError::new("ask for locks of", path, source).into()),
        }
    }

    fn lock(path: &Path, create: bool) -> Result<Self, LockError> {
        let mut options = OpenOptions::new();
        options.read(true).write(true).create(create).custom_flags(OFlags::NOFOLLOW.bits().cast_signed());
        let file = options.open(path).map_err(|source| DiskError::new("open", path, source))?;
        match rustix::fs::fcntl_lock(&file, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => Ok(Self { _file: file }),
            Err(Errno::AGAIN | Errno::ACCESS) => {
                Err(LockError::Held { path: path.to_owned(), holder: holder(&file) })
            }
            Err(source) => Err(DiskError::new("lock", path, source).into()),
        }
    }
}

/// The process that keeps an exclusive lock of `file` from us.
fn holder(file: &File) -> Option<i32> {
    let wanted = Flock::from(FlockType::WriteLock);
    let found = rustix::process::fcntl_getlk(file, &wanted).ok()??;
    found.pid.map(Pid::as_raw_pid)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_missing_file_is_locked_only_when_asked_for() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("lock");
        assert!(FileLock::acquire_existing(&path).unwrap().is_none());
        assert!(!path.exists());
        FileLock::check(&path).unwrap();
        assert!(!path.exists());
        drop(FileLock::acquire(&path).unwrap());
        assert!(FileLock::acquire_existing(&path).unwrap().is_some());
    }

    #[test]
    fn a_symbolic_link_is_no_lock_file() {
        let dir = tempfile::tempdir().unwrap();
        let link = dir.path().join("lock");
        std::os::unix::fs::symlink(dir.path().join("elsewhere"), &link).unwrap();
        assert!(matches!(FileLock::acquire(&link), Err(LockError::Disk(_))));
        assert!(!dir.path().join("elsewhere").exists());
    }
}
