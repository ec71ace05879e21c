//! A file system of which the power goes at a chosen step.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};

use crate::io::disk::{Disk, DiskError, DiskFile, OsDisk, SharedDisk};

/// Bytes that a medium writes as a whole.
const SECTOR: usize = 512;

/// Does what the system does, up to a step; from that one on nothing happens any more. It forces nothing, it only remembers
/// what it should have forced.
#[derive(Clone)]
pub(super) struct PowerDisk {
    shared: Arc<Shared>,
}

struct Shared {
    /// Steps that still happen.
    left: AtomicUsize,
    /// Steps so far.
    steps: AtomicUsize,
    /// How to take back what was not forced yet, in the order in which it was done.
    unforced: Mutex<Vec<Undo>>,
}

enum Undo {
    /// A part of a file had these bytes, and the file this length.
    Write { path: PathBuf, offset: u64, bytes: Vec<u8>, length: u64 },
    /// The name was not there.
    Created(PathBuf),
    /// The name stood for this file.
    Removed(PathBuf, Vec<u8>),
    /// The file had the first name; the second one stood for these bytes, or for nothing.
    Renamed(PathBuf, PathBuf, Option<Vec<u8>>),
}

impl Undo {
    /// Whose name it is about.
    fn name(&self) -> Option<&Path> {
        match self {
            Self::Write { .. } => None,
            Self::Created(path) | Self::Removed(path, _) | Self::Renamed(_, path, _) => Some(path),
        }
    }
}

impl PowerDisk {
    pub fn stopping_after(steps: usize) -> Self {
        let (left, steps) = (AtomicUsize::new(steps), AtomicUsize::new(0));
        Self { shared: Arc::new(Shared { left, steps, unforced: Mutex::default() }) }
    }

    /// Steps so far.
    pub fn steps(&self) -> usize {
        self.shared.steps.load(Ordering::SeqCst)
    }

    pub fn shared(&self) -> SharedDisk {
        Arc::new(self.clone())
    }

    /// Takes back what was not forced: each sector and each name if `is_lost` says so.
    pub fn lose(&self, mut is_lost: impl FnMut() -> bool) {
        for undo in std::mem::take(&mut *self.unforced()).into_iter().rev() {
            match undo {
                Undo::Write { path, offset, bytes, length } => {
                    let Ok(mut file) = std::fs::read(&path) else { continue };
                    for (number, sector) in bytes.chunks(SECTOR).enumerate() {
                        let at = usize::try_from(offset).unwrap() + number * SECTOR;
                        if is_lost() {
                            file.resize(file.len().max(at + sector.len()), 0);
                            file[at..][..sector.len()].copy_from_slice(sector);
                        }
                    }
                    if is_lost() {
                        file.resize(usize::try_from(length).unwrap(), 0);
                    }
                    std::fs::write(&path, file).unwrap();
                }
                undo if !is_lost() => drop(undo),
                Undo::Created(path) => {
                    let _ = std::fs::remove_file(path);
                }
                Undo::Removed(path, bytes) => std::fs::write(path, bytes).unwrap(),
                Undo::Renamed(from, to, replaced) => {
                    if std::fs::rename(&to, from).is_ok()
                        && let Some(bytes) = replaced
                    {
                        std::fs::write(to, bytes).unwrap();
                    }
                }
            }
        }
    }

    fn unforced(&self) -> MutexGuard<'_, Vec<Undo>> {
        self.shared.unforced.lock().unwrap()
    }

    fn step(&self, action: &'static str, path: &Path) -> Result<(), DiskError> {
        let take = |left: usize| left.checked_sub(1);
        self.shared.steps.fetch_add(1, Ordering::SeqCst);
        match self.shared.left.fetch_update(Ordering::SeqCst, Ordering::SeqCst, take) {
            Ok(_) => Ok(()),
            Err(_) => Err(DiskError::new(action, path, io::Error::other("the power is off"))),
        }
    }

    fn wrap(&self, file: Box<dyn DiskFile>) -> Box<dyn DiskFile> {
        Box::new(PowerFile { file, disk: self.clone() })
    }
}

impl fmt::Debug for PowerDisk {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PowerDisk")
    }
}

impl Disk for PowerDisk {
    fn create(&self, path: &Path, mode: u32) -> Result<Box<dyn DiskFile>, DiskError> {
        self.step("create", path)?;
        let undo = match std::fs::read(path) {
            Ok(bytes) => Undo::Removed(path.to_owned(), bytes),
            Err(_) => Undo::Created(path.to_owned()),
        };
        self.unforced().push(undo);
        OsDisk.create(path, mode).map(|file| self.wrap(file))
    }

    fn open(&self, path: &Path) -> Result<Box<dyn DiskFile>, DiskError> {
        OsDisk.open(path).map(|file| self.wrap(file))
    }

    fn create_dir(&self, path: &Path) -> Result<(), DiskError> {
        self.step("create directory", path)?;
        OsDisk.create_dir(path)
    }

    fn sync_dir(&self, path: &Path) -> Result<(), DiskError> {
        self.step("force directory", path)?;
        self.unforced().retain(|undo| undo.name().is_none_or(|name| name.parent() != Some(path)));
        Ok(())
    }

    fn rename(&self, from: &Path, to: &Path) -> Result<(), DiskError> {
        self.step("rename", from)?;
        let replaced = std::fs::read(to).ok();
        OsDisk.rename(from, to)?;
        let mut unforced = self.unforced();
        for undo in &mut *unforced {
            if let Undo::Write { path, .. } = undo
                && path == from
            {
                to.clone_into(path);
            }
        }
        unforced.push(Undo::Renamed(from.to_owned(), to.to_owned(), replaced));
        Ok(())
    }

    fn exchange(&self, a: &Path, b: &Path) -> Result<bool, DiskError> {
        self.step("exchange", a)?;
        OsDisk.exchange(a, b)
    }

    fn remove_file(&self, path: &Path) -> Result<(), DiskError> {
        self.step("delete", path)?;
        let bytes = std::fs::read(path).unwrap_or_default();
        OsDisk.remove_file(path)?;
        self.unforced().push(Undo::Removed(path.to_owned(), bytes));
        Ok(())
    }

    fn remove_dir(&self, path: &Path) -> Result<(), DiskError> {
        self.step("delete directory", path)?;
        OsDisk.remove_dir(path)
    }

    fn available(&self, path: &Path) -> Result<u64, DiskError> {
        OsDisk.available(path)
    }
}

#[derive(Debug)]
struct PowerFile {
    file: Box<dyn DiskFile>,
    disk: PowerDisk,
}

impl PowerFile {
    /// Remembers what a part of the file has before it is changed.
    fn remember(&self, offset: u64, count: usize) -> Result<(), DiskError> {
        let mut bytes = vec![0; count];
        let read = self.file.read_at(offset, &mut bytes)?;
        bytes.truncate(read);
        let (path, length) = (self.file.path().to_owned(), self.file.len()?);
        self.disk.unforced().push(Undo::Write { path, offset, bytes, length });
        Ok(())
    }
}

impl DiskFile for PowerFile {
    fn path(&self) -> &Path {
        self.file.path()
    }

    fn len(&self) -> Result<u64, DiskError> {
        self.file.len()
    }

    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> Result<usize, DiskError> {
        self.file.read_at(offset, buffer)
    }

    fn write_at(&self, offset: u64, bytes: &[u8]) -> Result<(), DiskError> {
        self.disk.step("write", self.path())?;
        self.remember(offset, bytes.len())?;
        self.file.write_at(offset, bytes)
    }

    fn set_len(&self, length: u64) -> Result<(), DiskError> {
        self.disk.step("set the length of", self.path())?;
        let cut = self.file.len()?.saturating_sub(length);
        self.remember(length, usize::try_from(cut).unwrap())?;
        self.file.set_len(length)
    }

    fn sync(&self) -> Result<(), DiskError> {
        self.disk.step("force", self.path())?;
        let mine = |undo: &Undo| matches!(undo, Undo::Write { path, .. } if path == self.path());
        self.disk.unforced().retain(|undo| !mine(undo));
        Ok(())
    }
}
