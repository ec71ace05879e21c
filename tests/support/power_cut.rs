//! A file system that remembers every step, so that what is left after a loss of power can be laid out for each moment.
//!
//! The run itself works on real files. [`PowerCut::lay_out`] builds what a machine finds that lost its power behind some
//! step: what was forced is there. Of data that was not, each file has all, nothing, or some sectors; of changed names
//! that were not, the first ones, as a journal keeps them.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use neo4j_admin::io::disk::{Disk, DiskError, DiskFile, OsDisk, SharedDisk};

use super::backup_run::contents;
use super::random::Random;

/// Bytes that a medium writes as a whole.
const SECTOR: usize = 512;

/// Number of a file, whatever its name is.
type Id = usize;

#[derive(Clone, Debug)]
enum Step {
    Write { id: Id, offset: u64, bytes: Vec<u8> },
    SetLength { id: Id, length: u64 },
    Sync { id: Id },
    Create { path: PathBuf, id: Id },
    CreateDirectory { path: PathBuf },
    Rename { from: PathBuf, to: PathBuf },
    Exchange { a: PathBuf, b: PathBuf },
    Remove { path: PathBuf },
    SyncDirectory { path: PathBuf },
}

/// The steps of a run below one directory.
#[derive(Debug)]
pub struct PowerCut {
    root: PathBuf,
    journal: Arc<Mutex<Journal>>,
}

#[derive(Debug, Default)]
struct Journal {
    steps: Vec<Step>,
    /// The files as they are named now.
    ids: BTreeMap<PathBuf, Id>,
    /// What was in the files when it began.
    initial: Vec<(PathBuf, Vec<u8>)>,
    next: Id,
}

impl Journal {
    fn id(&mut self, path: &Path) -> Id {
        if let Some(id) = self.ids.get(path) {
            return *id;
        }
        let id = self.next;
        self.next += 1;
        self.ids.insert(path.to_owned(), id);
        id
    }

    /// Gives everything at or below `from` another name.
    fn rename(&mut self, from: &Path, to: &Path) {
        let moved: Vec<_> = self.ids.keys().filter(|path| path.starts_with(from)).cloned().collect();
        for path in moved {
            let id = self.ids.remove(&path).unwrap();
            self.ids.insert(moved_to(&path, from, to), id);
        }
    }
}

fn moved_to(path: &Path, from: &Path, to: &Path) -> PathBuf {
    let rest = path.strip_prefix(from).unwrap();
    if rest.as_os_str().is_empty() { to.to_owned() } else { to.join(rest) }
}

/// How a machine ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Loss {
    /// Nothing that was not forced is there.
    Everything,
    /// All of it is there: the process was killed, and the machine went on.
    Nothing,
    /// Some of it.
    Some(u64),
}

impl PowerCut {
    /// Remembers what happens below a directory, whose files are on the medium.
    pub fn below(root: &Path) -> Arc<Self> {
        let mut journal = Journal::default();
        for (path, content) in contents(root) {
            let path = root.join(path);
            journal.id(&path);
            journal.initial.push((path, content));
        }
        Arc::new(Self { root: root.to_owned(), journal: Arc::new(Mutex::new(journal)) })
    }

    pub fn shared(self: &Arc<Self>) -> SharedDisk {
        self.clone()
    }

    /// Steps so far.
    pub fn steps(&self) -> usize {
        self.journal.lock().unwrap().steps.len()
    }

    fn note(&self, step: impl FnOnce(&mut Journal) -> Step) {
        let mut journal = self.journal.lock().unwrap();
        let step = step(&mut journal);
        journal.steps.push(step);
    }

    fn wrap(&self, path: &Path, id: Id, file: Box<dyn DiskFile>) -> Box<dyn DiskFile> {
        Box::new(Remembered { path: path.to_owned(), id, file, journal: self.journal.clone() })
    }

    /// Lays out in `target` what is below the directory after the first `count` steps and a loss of power.
    pub fn lay_out(&self, count: usize, loss: Loss, target: &Path) {
        let journal = self.journal.lock().unwrap();
        let steps = &journal.steps[..count];
        let mut random = Random(match loss {
            Loss::Some(seed) => seed,
            _ => 1,
        });
        // Names: everything up to the last change that was forced with its directory, then some more.
        let forced = steps
            .iter()
            .enumerate()
            .filter(|(at, step)| is_forced_name(step, &steps[*at..]))
            .map(|(at, _)| at + 1)
            .max()
            .unwrap_or(0);
        let names_to = match loss {
            Loss::Everything => forced,
            Loss::Nothing => count,
            Loss::Some(_) => forced + random.below(count - forced + 1),
        };
        let mut files: BTreeMap<PathBuf, Id> = BTreeMap::new();
        let mut directories: Vec<PathBuf> = Vec::new();
        let mut data: BTreeMap<Id, Vec<u8>> = BTreeMap::new();
        for (number, (path, content)) in journal.initial.iter().enumerate() {
            files.insert(path.clone(), number);
            directories
                .extend(path.ancestors().skip(1).take_while(|path| *path != self.root).map(Path::to_owned));
            data.insert(number, content.clone());
        }
        for step in &steps[..names_to] {
            apply_name(step, &mut files, &mut directories);
        }
        for (at, step) in steps.iter().enumerate() {
            let id = match step {
                Step::Write { id, .. } | Step::SetLength { id, .. } | Step::Create { id, .. } => *id,
                _ => continue,
            };
            let is_forced = matches!(step, Step::Create { .. })
                || steps[at..]
                    .iter()
                    .any(|later| matches!(later, Step::Sync { id: synced } if *synced == id));
            let content = data.entry(id).or_default();
            match step {
                // A new file under an old name is empty from that moment on.
                Step::Create { .. } => content.clear(),
                Step::SetLength { length, .. } => {
                    let is_kept =
                        is_forced || loss == Loss::Nothing || loss != Loss::Everything && random.once_in(2);
                    if is_kept {
                        content.resize(usize::try_from(*length).unwrap(), 0);
                    }
                }
                Step::Write { offset, bytes, .. } => {
                    let offset = usize::try_from(*offset).unwrap();
                    if is_forced || loss == Loss::Nothing {
                        put(content, offset, bytes);
                    } else if loss != Loss::Everything {
                        put_sectors(content, offset, bytes, &mut random);
                    }
                }
                _ => {}
            }
        }
        for directory in directories {
            std::fs::create_dir_all(target.join(directory.strip_prefix(&self.root).unwrap())).unwrap();
        }
        for (path, id) in files {
            let path = target.join(path.strip_prefix(&self.root).unwrap());
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, data.get(&id).map_or(&[][..], |content| content)).unwrap();
        }
    }
}

/// Whether a name was changed by `rest[0]` and its directory forced after that.
fn is_forced_name(step: &Step, rest: &[Step]) -> bool {
    let changed: Vec<&Path> = match step {
        Step::Create { path, .. } | Step::CreateDirectory { path } | Step::Remove { path } => vec![path],
        Step::Rename { from: a, to: b } | Step::Exchange { a, b } => vec![a, b],
        _ => return false,
    };
    rest.iter().any(|later| {
        matches!(later, Step::SyncDirectory { path } if changed.iter().any(|changed| changed.parent() == Some(path)))
    })
}

fn apply_name(step: &Step, files: &mut BTreeMap<PathBuf, Id>, directories: &mut Vec<PathBuf>) {
    match step {
        Step::Create { path, id } => drop(files.insert(path.clone(), *id)),
        Step::CreateDirectory { path } => directories.push(path.clone()),
        Step::Remove { path } => {
            files.remove(path);
            directories.retain(|directory| directory != path);
        }
        Step::Rename { from, to } => rename(from, to, files, directories),
        Step::Exchange { a, b } => {
            let aside = Path::new("/exchanged");
            rename(a, aside, files, directories);
            rename(b, a, files, directories);
            rename(aside, b, files, directories);
        }
        _ => {}
    }
}

fn rename(from: &Path, to: &Path, files: &mut BTreeMap<PathBuf, Id>, directories: &mut [PathBuf]) {
    let moved: Vec<_> = files.keys().filter(|path| path.starts_with(from)).cloned().collect();
    for path in moved {
        let id = files.remove(&path).unwrap();
        files.insert(moved_to(&path, from, to), id);
    }
    for directory in directories.iter_mut().filter(|directory| directory.starts_with(from)) {
        *directory = moved_to(directory, from, to);
    }
}

fn put(content: &mut Vec<u8>, offset: usize, bytes: &[u8]) {
    if content.len() < offset + bytes.len() {
        content.resize(offset + bytes.len(), 0);
    }
    content[offset..offset + bytes.len()].copy_from_slice(bytes);
}

/// Writes some of the sectors that a write touches.
fn put_sectors(content: &mut Vec<u8>, offset: usize, bytes: &[u8], random: &mut Random) {
    let mut done = 0;
    while done < bytes.len() {
        let end = ((offset + done) / SECTOR + 1) * SECTOR - offset;
        let end = end.min(bytes.len());
        if random.once_in(2) {
            put(content, offset + done, &bytes[done..end]);
        }
        done = end;
    }
}

impl Disk for PowerCut {
    fn create(&self, path: &Path, mode: u32) -> Result<Box<dyn DiskFile>, DiskError> {
        let existed = path.exists();
        let file = OsDisk.create(path, mode)?;
        let mut journal = self.journal.lock().unwrap();
        let id = journal.id(path);
        // A file that was there keeps its name and loses its content.
        journal.steps.push(if existed {
            Step::SetLength { id, length: 0 }
        } else {
            Step::Create { path: path.to_owned(), id }
        });
        drop(journal);
        Ok(self.wrap(path, id, file))
    }

    fn open(&self, path: &Path) -> Result<Box<dyn DiskFile>, DiskError> {
        let file = OsDisk.open(path)?;
        let id = self.journal.lock().unwrap().id(path);
        Ok(self.wrap(path, id, file))
    }

    fn create_dir(&self, path: &Path) -> Result<(), DiskError> {
        OsDisk.create_dir(path)?;
        self.note(|_| Step::CreateDirectory { path: path.to_owned() });
        Ok(())
    }

    fn sync_dir(&self, path: &Path) -> Result<(), DiskError> {
        let path = path.components().collect();
        self.note(|_| Step::SyncDirectory { path });
        Ok(())
    }

    fn rename(&self, from: &Path, to: &Path) -> Result<(), DiskError> {
        OsDisk.rename(from, to)?;
        self.note(|journal| {
            journal.rename(from, to);
            Step::Rename { from: from.to_owned(), to: to.to_owned() }
        });
        Ok(())
    }

    fn exchange(&self, a: &Path, b: &Path) -> Result<bool, DiskError> {
        let exchanged = OsDisk.exchange(a, b)?;
        if exchanged {
            self.note(|journal| {
                let aside = Path::new("/exchanged");
                journal.rename(a, aside);
                journal.rename(b, a);
                journal.rename(aside, b);
                Step::Exchange { a: a.to_owned(), b: b.to_owned() }
            });
        }
        Ok(exchanged)
    }

    fn remove_file(&self, path: &Path) -> Result<(), DiskError> {
        OsDisk.remove_file(path)?;
        self.note(|journal| {
            journal.ids.remove(path);
            Step::Remove { path: path.to_owned() }
        });
        Ok(())
    }

    fn remove_dir(&self, path: &Path) -> Result<(), DiskError> {
        OsDisk.remove_dir(path)?;
        self.note(|_| Step::Remove { path: path.to_owned() });
        Ok(())
    }

    fn available(&self, path: &Path) -> Result<u64, DiskError> {
        OsDisk.available(path)
    }
}

#[derive(Debug)]
struct Remembered {
    path: PathBuf,
    id: Id,
    file: Box<dyn DiskFile>,
    journal: Arc<Mutex<Journal>>,
}

impl Remembered {
    fn note(&self, step: Step) {
        self.journal.lock().unwrap().steps.push(step);
    }
}

impl DiskFile for Remembered {
    fn path(&self) -> &Path {
        &self.path
    }

    fn len(&self) -> Result<u64, DiskError> {
        self.file.len()
    }

    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> Result<usize, DiskError> {
        self.file.read_at(offset, buffer)
    }

    fn write_at(&self, offset: u64, bytes: &[u8]) -> Result<(), DiskError> {
        self.file.write_at(offset, bytes)?;
        self.note(Step::Write { id: self.id, offset, bytes: bytes.to_vec() });
        Ok(())
    }

    fn set_len(&self, length: u64) -> Result<(), DiskError> {
        self.file.set_len(length)?;
        self.note(Step::SetLength { id: self.id, length });
        Ok(())
    }

    fn sync(&self) -> Result<(), DiskError> {
        self.note(Step::Sync { id: self.id });
        Ok(())
    }
}
