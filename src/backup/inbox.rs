//! Where the bytes of store files go: checked names, large writes, and forcing in the background.

use std::collections::{BTreeSet, HashMap};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock, RwLockReadGuard};

use super::BackupError;
use super::copy_state::Content;
use super::path::StorePath;
use super::progress::{Event, Progress};
use crate::catchup::{FileSink, SinkError};
use crate::io::block_writer::{BlockWriter, Room};
use crate::io::disk::{DiskError, SharedDisk};
use crate::io::force::{self, Forcer};

/// The directory of a full copy while its files arrive, over several connections at the same time.
pub struct Inbox {
    disk: SharedDisk,
    directory: PathBuf,
    room: Room,
    progress: Arc<dyn Progress>,
    held: Mutex<Held>,
    /// Buffers of finished files, for the next ones.
    buffers: Mutex<Vec<Vec<u8>>>,
    received: AtomicU64,
    forcer: Forcer,
    /// Directories with names that may not be forced.
    unforced: Mutex<BTreeSet<PathBuf>>,
    /// Held while they are forced.
    forcing: Mutex<()>,
    /// Whether the directory is still ours. Everything that changes it holds this for reading.
    open: RwLock<bool>,
}

/// What the copy has so far.
#[derive(Default)]
struct Held {
    /// Files with the name that they were asked for by; none for those that came unasked.
    files: HashMap<StorePath, Option<String>>,
    /// Directories below the copy, made by it: nothing else was there.
    directories: BTreeSet<String>,
    /// Files that came unasked and are complete.
    unasked: Vec<Content>,
}

impl Inbox {
    /// Takes files into an empty directory.
    pub fn new(disk: SharedDisk, directory: &Path, progress: Arc<dyn Progress>) -> Result<Self, DiskError> {
        let forcer = Forcer::start().map_err(|source| {
            DiskError::new("start the threads that force the files of", directory, source)
        })?;
        Ok(Self {
            room: Room::new(disk.clone(), directory.to_owned()),
            disk,
            directory: directory.to_owned(),
            progress,
            held: Mutex::default(),
            buffers: Mutex::default(),
            received: AtomicU64::new(0),
            forcer,
            unforced: Mutex::new([directory.to_owned()].into()),
            forcing: Mutex::default(),
            open: RwLock::new(true),
        })
    }

    /// Goes on with a directory that holds some files already, with the names that they were asked for by.
    pub fn resume(
        disk: SharedDisk,
        directory: &Path,
        progress: Arc<dyn Progress>,
        held: impl IntoIterator<Item = (StorePath, Option<String>)>,
    ) -> Result<Self, DiskError> {
        let inbox = Self::new(disk, directory, progress)?;
        for (path, wanted) in held {
            let mut held = inbox.held();
            held.directories.extend(path.directories().map(str::to_owned));
            held.files.insert(path, wanted);
        }
        Ok(inbox)
    }

    /// A sink for the files that come unasked, each once.
    pub fn unasked(self: &Arc<Self>) -> FileReceiver {
        FileReceiver { inbox: self.clone(), wanted: None, current: None, complete: None }
    }

    /// A sink for one file that is asked for by name. A second one for the same name replaces what came before.
    pub fn asked(self: &Arc<Self>, name: &str) -> FileReceiver {
        FileReceiver { inbox: self.clone(), wanted: Some(name.to_owned()), current: None, complete: None }
    }

    /// The files that came unasked and are complete.
    pub fn complete_unasked(&self) -> Vec<Content> {
        self.held().unasked.clone()
    }

    /// Bytes received, repeated files included.
    pub fn received(&self) -> u64 {
        self.received.load(Ordering::Relaxed)
    }

    /// The room on the file system of the copy.
    pub fn room(&self) -> &Room {
        &self.room
    }

    /// Whether the copy has a file.
    pub fn has(&self, path: &str) -> bool {
        self.held().files.keys().any(|held| held.as_str() == path)
    }

    /// Waits until every file that is complete now is on the medium, with its name. Others may arrive meanwhile.
    pub fn force(&self) -> Result<(), DiskError> {
        self.forcer.catch_up()?;
        // Whoever finds nothing left to do must not go on before another one has done it.
        let _forcing = self.forcing.lock().unwrap_or_else(PoisonError::into_inner);
        let unforced = std::mem::take(&mut *self.unforced());
        let forced = force::each(&unforced, |directory| self.disk.sync_dir(directory));
        if forced.is_err() {
            self.unforced().extend(unforced);
        }
        forced
    }

    /// Closes the inbox when the returned value is dropped: waits for what is being written, and refuses everything
    /// that comes later. Connections that were told to end may still be at work for a moment, and would write into a
    /// directory that is being deleted.
    pub fn close_at_end(&self) -> Closing<'_> {
        Closing(self)
    }

    /// Keeps the inbox open for one step.
    fn step(&self) -> Result<RwLockReadGuard<'_, bool>, SinkError> {
        let open = self.open.read().unwrap_or_else(PoisonError::into_inner);
        if *open { Ok(open) } else { Err(SinkError::new(BackupError::Ended)) }
    }

    fn held(&self) -> MutexGuard<'_, Held> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Notes that a directory has a new name in it.
    fn name_added(&self, path: &Path) {
        self.unforced().extend(path.parent().map(Path::to_owned));
    }

    fn unforced(&self) -> MutexGuard<'_, BTreeSet<PathBuf>> {
        self.unforced.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn buffers(&self) -> MutexGuard<'_, Vec<Vec<u8>>> {
        self.buffers.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn begin(&self, sent: &str, wanted: Option<&str>) -> Result<Arriving, BackupError> {
        let path = StorePath::parse(sent)?;
        self.claim(&path, wanted)?;
        let place = path.below(&self.directory);
        let file = self.disk.create(&place, 0o666)?;
        self.name_added(&place);
        let shown = self.directory.join(path.file_name());
        self.progress.report(&Event::StoreFileStarted(shown.clone()));
        let buffer = self.buffers().pop().unwrap_or_default();
        Ok(Arriving { path, shown, writer: BlockWriter::new(file, buffer), checksum: 0 })
    }

    /// Notes that a file comes, and makes the directories above it.
    fn claim(&self, path: &StorePath, wanted: Option<&str>) -> Result<(), BackupError> {
        if let Some(wanted) = wanted.filter(|wanted| *wanted != path.file_name()) {
            return Err(BackupError::OtherFile { wanted: wanted.to_owned(), got: path.to_string() });
        }
        let mut held = self.held();
        match held.files.get(path) {
            None => {}
            Some(Some(name)) if Some(name.as_str()) == wanted => return Ok(()),
            Some(_) => return Err(BackupError::FileTwice(path.to_string())),
        }
        if wanted.is_some() && held.files.values().any(|name| name.as_deref() == wanted) {
            return Err(BackupError::FileTwice(path.to_string()));
        }
        for directory in path.directories() {
            if !held.directories.contains(directory) {
                let place = self.directory.join(directory);
                self.disk.create_dir(&place)?;
                self.name_added(&place);
                held.directories.insert(directory.to_owned());
            }
        }
        held.files.insert(path.clone(), wanted.map(str::to_owned));
        Ok(())
    }
}

/// See [`Inbox::close_at_end`].
pub struct Closing<'a>(&'a Inbox);

impl Drop for Closing<'_> {
    fn drop(&mut self) {
        *self.0.open.write().unwrap_or_else(PoisonError::into_inner) = false;
    }
}

/// The sink of one request.
pub struct FileReceiver {
    inbox: Arc<Inbox>,
    wanted: Option<String>,
    current: Option<Arriving>,
    complete: Option<Content>,
}

impl FileReceiver {
    /// The file that is complete, if one is.
    pub fn into_complete(self) -> Option<Content> {
        self.complete
    }
}

struct Arriving {
    path: StorePath,
    /// The destination directory and the base name: what log lines show.
    shown: PathBuf,
    writer: BlockWriter,
    /// CRC-32C of what has come.
    checksum: u32,
}

impl FileSink for FileReceiver {
    fn begin(&mut self, path: &str, _alignment: i32) -> Result<(), SinkError> {
        let _step = self.inbox.step()?;
        // What is left of a file that broke off is dropped; the request it belonged to has failed.
        self.current = Some(self.inbox.begin(path, self.wanted.as_deref()).map_err(SinkError::new)?);
        Ok(())
    }

    fn write(&mut self, data: &[u8]) -> Result<(), SinkError> {
        let _step = self.inbox.step()?;
        let Some(arriving) = &mut self.current else { return Ok(()) };
        self.inbox.received.fetch_add(data.len() as u64, Ordering::Relaxed);
        arriving.checksum = crc32c::crc32c_append(arriving.checksum, data);
        arriving.writer.write(data, &self.inbox.room).map_err(SinkError::new)
    }

    fn finish(&mut self) -> Result<(), SinkError> {
        let _step = self.inbox.step()?;
        let Some(Arriving { path, shown, writer, checksum }) = self.current.take() else { return Ok(()) };
        let complete = Content { path: path.to_string(), size: writer.length(), checksum };
        let (file, buffer) = writer.finish(&self.inbox.room).map_err(SinkError::new)?;
        self.inbox.buffers().push(buffer);
        self.inbox.forcer.give(file).map_err(SinkError::new)?;
        match self.wanted {
            Some(_) => self.complete = Some(complete),
            None => self.inbox.held().unasked.push(complete),
        }
        self.inbox.progress.report(&Event::StoreFileFinished(shown));
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::io::disk::OsDisk;

    struct Silent;

    impl Progress for Silent {
        fn report(&self, _: &Event) {}
    }

    fn inbox(directory: &Path) -> Arc<Inbox> {
        Arc::new(Inbox::new(OsDisk::shared(), directory, Arc::new(Silent)).unwrap())
    }

    fn receive(receiver: &mut FileReceiver, path: &str, data: &[u8]) -> Result<(), String> {
        let take = |error: SinkError| error.to_string();
        receiver.begin(path, 1).map_err(take)?;
        receiver.write(data).map_err(take)?;
        receiver.finish().map_err(take)
    }

    #[test]
    fn files_land_below_the_directory() {
        let dir = tempfile::tempdir().unwrap();
        let inbox = inbox(dir.path());
        let mut unasked = inbox.unasked();
        receive(&mut unasked, "neostore.counts.db", b"counts").unwrap();
        receive(&mut unasked, "schema/index/range-1.0/5/index-5", b"tree").unwrap();
        receive(&mut unasked, "schema\\index\\range-1.0\\6\\index-6", b"").unwrap();
        receive(&mut inbox.asked("neostore"), "neostore", b"first, longer").unwrap();
        receive(&mut inbox.asked("neostore"), "neostore", b"second").unwrap();
        inbox.force().unwrap();
        let read = |path: &str| std::fs::read(dir.path().join(path)).unwrap();
        assert_eq!(read("schema/index/range-1.0/5/index-5"), b"tree");
        assert_eq!(read("schema/index/range-1.0/6/index-6"), b"");
        assert_eq!(read("neostore"), b"second");
        assert!(inbox.has("neostore.counts.db") && !inbox.has("counts"));
        assert_eq!(inbox.received(), 6 + 4 + 13 + 6);
    }

    #[test]
    fn a_file_that_the_copy_holds_is_not_overwritten_by_another() {
        let dir = tempfile::tempdir().unwrap();
        let inbox = inbox(dir.path());
        let mut unasked = inbox.unasked();
        receive(&mut unasked, "neostore.counts.db", b"good").unwrap();
        receive(&mut inbox.asked("neostore"), "neostore", b"good").unwrap();
        for (wanted, path) in [
            (None, "neostore.counts.db"),
            (None, "neostore"),
            (Some("neostore.counts.db"), "neostore.counts.db"),
            (Some("neostore.nodestore.db"), "neostore"),
            (Some("neostore"), "elsewhere/neostore"),
        ] {
            let mut receiver = FileReceiver {
                inbox: inbox.clone(),
                wanted: wanted.map(str::to_owned),
                current: None,
                complete: None,
            };
            let error = receive(&mut receiver, path, b"bad").unwrap_err();
            assert!(error.contains("the server"), "{error}");
        }
        assert_eq!(std::fs::read(dir.path().join("neostore.counts.db")).unwrap(), b"good");
        assert_eq!(std::fs::read(dir.path().join("neostore")).unwrap(), b"good");
        assert!(!dir.path().join("elsewhere").exists());
    }

    #[test]
    fn nothing_is_written_once_the_copy_has_ended() {
        let dir = tempfile::tempdir().unwrap();
        let inbox = inbox(dir.path());
        let mut unasked = inbox.unasked();
        unasked.begin("neostore.counts.db", 1).unwrap();
        drop(inbox.close_at_end());
        assert!(unasked.write(b"late").is_err());
        assert!(unasked.finish().is_err());
        assert!(inbox.asked("neostore").begin("neostore", 1).is_err());
        assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 1);
    }

    #[test]
    fn a_file_cannot_be_a_directory_too() {
        let dir = tempfile::tempdir().unwrap();
        let inbox = inbox(dir.path());
        let mut unasked = inbox.unasked();
        receive(&mut unasked, "a/b", b"").unwrap();
        assert!(receive(&mut unasked, "a", b"").is_err());
        assert!(receive(&mut unasked, "a/b/c", b"").is_err());
    }
}
