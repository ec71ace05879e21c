//! A file system that fails at a chosen step, from it on, or kills the process there.
//!
//! It forces nothing: no test here cuts the power, and forcing would take most of their time.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use neo4j_admin::io::disk::{Disk, DiskError, DiskFile, OsDisk, SharedDisk};
use rustix::io::Errno;

/// Does what the system does, and fails one step of all.
#[derive(Debug)]
pub struct FaultyDisk {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    /// The step that fails, from 0.
    failing: usize,
    failure: Failure,
    steps: AtomicUsize,
    /// What failed.
    failed: Mutex<Option<(&'static str, PathBuf)>>,
    /// Free space at the start; `None`: that of the system.
    available: Option<u64>,
    written: AtomicU64,
}

/// What happens at the step that fails.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Failure {
    /// This error; further steps work again.
    Once(io::ErrorKind),
    /// This error of the system; further steps work again.
    SystemOnce(Errno),
    /// This error of the system at every step from here on.
    SystemFromNow(Errno),
    /// Nothing is changed from here on.
    Stop,
    /// The process ends as by `kill -9`.
    Kill,
}

impl FaultyDisk {
    /// Fails step number `failing` with an error of `kind`.
    pub fn failing_at(failing: usize, kind: io::ErrorKind) -> Arc<Self> {
        Self::new(failing, Failure::Once(kind), None)
    }

    /// Fails step number `failing` with an error of the system, and all after it if `for_good`.
    pub fn failing_with(failing: usize, number: Errno, for_good: bool) -> Arc<Self> {
        let failure = if for_good { Failure::SystemFromNow(number) } else { Failure::SystemOnce(number) };
        Self::new(failing, failure, None)
    }

    /// Fails at step number `failing` and at all later ones: the files stay as they are at this moment.
    pub fn stopping_at(failing: usize) -> Arc<Self> {
        Self::new(failing, Failure::Stop, None)
    }

    /// Kills the process at step number `failing`.
    pub fn killing_at(failing: usize) -> Arc<Self> {
        Self::new(failing, Failure::Kill, None)
    }

    /// Never fails.
    pub fn sound() -> Arc<Self> {
        Self::new(usize::MAX, Failure::Stop, None)
    }

    /// Never fails, and says that `available` bytes are free before the first write.
    pub fn with_room_for(available: u64) -> Arc<Self> {
        Self::new(usize::MAX, Failure::Stop, Some(available))
    }

    fn new(failing: usize, failure: Failure, available: Option<u64>) -> Arc<Self> {
        let steps = AtomicUsize::new(0);
        let failed = Mutex::default();
        let shared = Shared { failing, failure, steps, failed, available, written: AtomicU64::new(0) };
        Arc::new(Self { shared: Arc::new(shared) })
    }

    pub fn shared(self: &Arc<Self>) -> SharedDisk {
        self.clone()
    }

    /// Steps so far.
    pub fn steps(&self) -> usize {
        self.shared.steps.load(Ordering::SeqCst)
    }

    /// The step that failed, if one did.
    pub fn failed(&self) -> Option<(&'static str, PathBuf)> {
        self.shared.failed.lock().unwrap().clone()
    }
}

impl Shared {
    fn step(&self, action: &'static str, path: &Path) -> Result<(), DiskError> {
        let step = self.steps.fetch_add(1, Ordering::SeqCst);
        let error: io::Error = match self.failure {
            Failure::Once(kind) if step == self.failing => kind.into(),
            Failure::SystemOnce(number) if step == self.failing => number.into(),
            Failure::SystemFromNow(number) if step >= self.failing => number.into(),
            Failure::Stop if step >= self.failing => io::ErrorKind::Other.into(),
            Failure::Kill if step == self.failing => kill_this_process(),
            _ => return Ok(()),
        };
        self.failed.lock().unwrap().get_or_insert_with(|| (action, path.to_owned()));
        Err(DiskError::new(action, path, error))
    }
}

fn kill_this_process() -> ! {
    rustix::process::kill_process(rustix::process::getpid(), rustix::process::Signal::KILL)
        .expect("a signal");
    loop {
        std::thread::park();
    }
}

impl FaultyDisk {
    fn wrap(&self, file: Box<dyn DiskFile>) -> Box<dyn DiskFile> {
        Box::new(FaultyFile { file, shared: self.shared.clone() })
    }
}

impl Disk for FaultyDisk {
    fn create(&self, path: &Path, mode: u32) -> Result<Box<dyn DiskFile>, DiskError> {
        self.shared.step("create", path)?;
        OsDisk.create(path, mode).map(|file| self.wrap(file))
    }

    fn open(&self, path: &Path) -> Result<Box<dyn DiskFile>, DiskError> {
        self.shared.step("open", path)?;
        OsDisk.open(path).map(|file| self.wrap(file))
    }

    fn create_dir(&self, path: &Path) -> Result<(), DiskError> {
        self.shared.step("create directory", path)?;
        OsDisk.create_dir(path)
    }

    fn sync_dir(&self, path: &Path) -> Result<(), DiskError> {
        self.shared.step("force directory", path)
    }

    fn rename(&self, from: &Path, to: &Path) -> Result<(), DiskError> {
        self.shared.step("rename", from)?;
        OsDisk.rename(from, to)
    }

    fn exchange(&self, a: &Path, b: &Path) -> Result<bool, DiskError> {
        self.shared.step("exchange", a)?;
        OsDisk.exchange(a, b)
    }

    fn hard_link(&self, from: &Path, to: &Path) -> Result<bool, DiskError> {
        self.shared.step("link", from)?;
        OsDisk.hard_link(from, to)
    }

    fn remove_file(&self, path: &Path) -> Result<(), DiskError> {
        self.shared.step("delete", path)?;
        OsDisk.remove_file(path)
    }

    fn remove_dir(&self, path: &Path) -> Result<(), DiskError> {
        self.shared.step("delete directory", path)?;
        OsDisk.remove_dir(path)
    }

    fn available(&self, path: &Path) -> Result<u64, DiskError> {
        match self.shared.available {
            Some(available) => Ok(available.saturating_sub(self.shared.written.load(Ordering::SeqCst))),
            None => OsDisk.available(path),
        }
    }
}

#[derive(Debug)]
struct FaultyFile {
    file: Box<dyn DiskFile>,
    shared: Arc<Shared>,
}

impl DiskFile for FaultyFile {
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
        self.shared.step("write", self.path())?;
        self.shared.written.fetch_add(bytes.len() as u64, Ordering::SeqCst);
        self.file.write_at(offset, bytes)
    }

    fn set_len(&self, length: u64) -> Result<(), DiskError> {
        self.shared.step("set the length of", self.path())?;
        self.file.set_len(length)
    }

    fn sync(&self) -> Result<(), DiskError> {
        self.shared.step("force", self.path())
    }
}
