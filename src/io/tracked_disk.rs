//! A disk that remembers what was changed through it, in blocks, so that checksums of the rest need not be made anew.
//!
//! Of a block that is overwritten in parts it remembers how its checksum changes, for which only those parts are read: a
//! few pages that are changed all over a large file cost no more than in a small one. What was not written keeps its part
//! in the checksum, so damage there still shows.

use std::collections::BTreeMap;
use std::io::{IoSlice, IoSliceMut};
use std::num::NonZeroU64;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::block_checksum::difference;
use super::disk::{Disk, DiskError, DiskFile, SharedDisk};
use super::lock::{FileLock, LockError};

/// Which blocks of a file were changed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Changes {
    /// It was created, replaced, renamed or deleted: nothing that was known of it counts.
    All,
    /// Blocks that were written, by their numbers; its length may have changed, too.
    Blocks(BTreeMap<u64, BlockChange>),
}

/// What became of a block.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BlockChange {
    /// Its checksum has to be made anew.
    Unknown,
    /// Its CRC-32C is what it was, combined (exclusive or) with this.
    Differs(u32),
}

/// Does what the disk below does, and notes which blocks of which files are changed.
#[derive(Debug)]
pub struct TrackedDisk {
    below: SharedDisk,
    record: Record,
}

/// What is noted.
#[derive(Debug)]
struct Record {
    block: NonZeroU64,
    files: Mutex<BTreeMap<PathBuf, Noted>>,
}

impl Record {
    fn files(&self) -> MutexGuard<'_, BTreeMap<PathBuf, Noted>> {
        // A map that another thread left in a panic is whole: entries are added one by one.
        self.files.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What is noted of a path, of which there may be nothing yet.
    fn of(&self, path: &Path) -> Noted {
        let mut files = self.files();
        if let Some(noted) = files.get(path) {
            return noted.clone();
        }
        let noted = Noted { block: self.block, changes: Arc::default() };
        files.insert(path.to_owned(), noted.clone());
        noted
    }

    fn all(&self, path: &Path) {
        *self.of(path).changes() = Some(Changes::All);
    }
}

/// What is noted of one path, shared with its open files: those need not look for it with each write.
#[derive(Clone, Debug)]
struct Noted {
    block: NonZeroU64,
    /// `None`: nothing was changed.
    changes: Arc<Mutex<Option<Changes>>>,
}

impl Noted {
    fn changes(&self) -> MutexGuard<'_, Option<Changes>> {
        self.changes.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn is_all(&self) -> bool {
        matches!(*self.changes(), Some(Changes::All))
    }

    /// Notes that of `length` bytes from `offset` on nothing is known any more.
    fn unknown(&self, offset: u64, length: u64) {
        if length == 0 {
            return;
        }
        let blocks = offset / self.block..=offset.saturating_add(length - 1) / self.block;
        self.note(blocks.map(|block| (block, BlockChange::Unknown)));
    }

    fn note(&self, new: impl Iterator<Item = (u64, BlockChange)>) {
        let mut changes = self.changes();
        let changes = changes.get_or_insert_with(|| Changes::Blocks(BTreeMap::new()));
        let Changes::Blocks(blocks) = changes else { return };
        for (block, change) in new {
            let known = blocks.entry(block).or_insert(BlockChange::Differs(0));
            *known = match (*known, change) {
                (BlockChange::Differs(one), BlockChange::Differs(other)) => BlockChange::Differs(one ^ other),
                _ => BlockChange::Unknown,
            };
        }
    }
}

impl TrackedDisk {
    /// Notes blocks of `block` bytes.
    pub fn new(below: SharedDisk, block: NonZeroU64) -> Self {
        Self { below, record: Record { block, files: Mutex::default() } }
    }

    /// What was changed so far. A renamed directory counts as one path.
    pub fn changes(&self) -> BTreeMap<PathBuf, Changes> {
        let files = self.record.files();
        let changed = files.iter().filter_map(|(path, noted)| Some((path.clone(), noted.changes().clone()?)));
        changed.collect()
    }

    fn wrap(&self, file: Box<dyn DiskFile>) -> Box<dyn DiskFile> {
        let noted = self.record.of(file.path());
        Box::new(TrackedFile { below: file, noted, known: AtomicU64::new(0) })
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
    noted: Noted,
    /// Its length when that was asked for last.
    known: AtomicU64,
}

/// Blocks that a write changes; `None`: not known, or of no use.
type Differences = Option<Vec<(u64, BlockChange)>>;

impl TrackedFile {
    /// How a write is going to change the checksums of blocks. Reads what it overwrites.
    fn differences(&self, offset: u64, parts: &[&[u8]]) -> Result<Differences, DiskError> {
        let length = length_of(parts);
        let Some((end, size)) = self.overwritten(offset, length)? else { return Ok(None) };
        let Ok(wanted) = usize::try_from(length) else { return Ok(None) };
        let mut before = vec![0; wanted];
        let mut done = 0;
        while let Some(rest) = before.get_mut(done..).filter(|rest| !rest.is_empty()) {
            match self.below.read_at(offset + done as u64, rest)? {
                0 => return Ok(None),
                count => done += count,
            }
        }
        let block = self.noted.block.get();
        let (mut before, mut at, mut after) = (&before[..], offset, Parts::new(parts));
        let mut found = Vec::new();
        while at < end {
            let number = at / block;
            let block_end = ((number + 1) * block).min(size);
            let to = block_end.min(end);
            let Some((old, rest)) =
                usize::try_from(to - at).ok().and_then(|count| before.split_at_checked(count))
            else {
                return Ok(None);
            };
            let change = difference(crc32c::crc32c(old), after.checksum(old.len()), block_end - to);
            found.push((number, BlockChange::Differs(change)));
            (before, at) = (rest, to);
        }
        Ok(Some(found))
    }

    /// The same where the checksums of what each part replaces are known: only parts that lie in two blocks are read.
    fn known_differences(
        &self,
        mut offset: u64,
        parts: &[&[u8]],
        before: &[u32],
    ) -> Result<Differences, DiskError> {
        let Some((_, size)) = self.overwritten(offset, length_of(parts))? else { return Ok(None) };
        let block = self.noted.block.get();
        let mut found = Vec::with_capacity(parts.len());
        for (part, before) in parts.iter().zip(before) {
            let end = offset + part.len() as u64;
            let number = offset / block;
            let block_end = ((number + 1) * block).min(size);
            if end <= block_end {
                let change = difference(*before, crc32c::crc32c(part), block_end - end);
                found.push((number, BlockChange::Differs(change)));
            } else {
                let Some(read) = self.differences(offset, &[part])? else { return Ok(None) };
                found.extend(read);
            }
            offset = end;
        }
        Ok(Some(found))
    }

    /// The end of a write and the length of the file, if it replaces what is there and that counts.
    fn overwritten(&self, offset: u64, length: u64) -> Result<Option<(u64, u64)>, DiskError> {
        let Some(end) = offset.checked_add(length) else { return Ok(None) };
        // A file that has grown meanwhile is no harm: the block in which it ended is read again.
        let mut size = self.known.load(Ordering::Relaxed);
        if end > size {
            size = self.below.len()?;
            self.known.store(size, Ordering::Relaxed);
        }
        Ok((end <= size && !self.noted.is_all()).then_some((end, size)))
    }

    /// Notes a write that was tried.
    fn note(
        &self,
        offset: u64,
        length: u64,
        differences: Differences,
        written: Result<(), DiskError>,
    ) -> Result<(), DiskError> {
        match differences {
            Some(differences) if written.is_ok() => self.noted.note(differences.into_iter()),
            _ => self.noted.unknown(offset, length),
        }
        written
    }
}

fn length_of(parts: &[&[u8]]) -> u64 {
    parts.iter().map(|part| part.len() as u64).sum()
}

/// Bytes that lie in several places, read from front to back.
struct Parts<'a> {
    parts: std::slice::Iter<'a, &'a [u8]>,
    rest: &'a [u8],
}

impl<'a> Parts<'a> {
    fn new(parts: &'a [&'a [u8]]) -> Self {
        Self { parts: parts.iter(), rest: &[] }
    }

    /// The CRC-32C of the next `count` bytes.
    fn checksum(&mut self, mut count: usize) -> u32 {
        let mut checksum = 0;
        loop {
            let (now, rest) = self.rest.split_at(count.min(self.rest.len()));
            checksum = crc32c::crc32c_append(checksum, now);
            self.rest = rest;
            count -= now.len();
            if count == 0 {
                return checksum;
            }
            let Some(next) = self.parts.next() else { return checksum };
            self.rest = next;
        }
    }
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
        let differences = self.differences(offset, &[bytes])?;
        let written = self.below.write_at(offset, bytes);
        self.note(offset, bytes.len() as u64, differences, written)
    }

    fn write_vectored_at(&self, offset: u64, buffers: &mut [IoSlice<'_>]) -> Result<(), DiskError> {
        let parts: Vec<&[u8]> = buffers.iter().map(|buffer| &**buffer).collect();
        let length = length_of(&parts);
        let differences = self.differences(offset, &parts)?;
        let written = self.below.write_vectored_at(offset, buffers);
        self.note(offset, length, differences, written)
    }

    fn wants_checksums(&self) -> bool {
        true
    }

    fn overwrite_at(
        &self,
        offset: u64,
        buffers: &mut [IoSlice<'_>],
        before: &[u32],
    ) -> Result<(), DiskError> {
        let parts: Vec<&[u8]> = buffers.iter().map(|buffer| &**buffer).collect();
        let length = length_of(&parts);
        let differences = if parts.len() == before.len() {
            self.known_differences(offset, &parts, before)?
        } else {
            self.differences(offset, &parts)?
        };
        let written = self.below.write_vectored_at(offset, buffers);
        self.note(offset, length, differences, written)
    }

    fn will_read(&self, offset: u64, length: NonZeroU64) {
        self.below.will_read(offset, length);
    }

    fn begin_sync(&self, offset: u64, length: NonZeroU64) {
        self.below.begin_sync(offset, length);
    }

    fn set_len(&self, length: u64) -> Result<(), DiskError> {
        // What is cut off may come back as zeros: the block in which either length lies has changed, and all between.
        let before = self.below.len()?;
        let from = before.min(length);
        self.known.store(0, Ordering::Relaxed);
        self.noted.unknown(from.saturating_sub(1), before.max(length) - from + 1);
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
        old.write_at(98, b"abc").unwrap();
        disk.open(&path("cut")).unwrap().set_len(85).unwrap();
        disk.open(&path("read")).unwrap().read_at(0, &mut [0; 5]).unwrap();
        disk.create(&path("new"), 0o666).unwrap().write_at(0, b"x").unwrap();
        disk.rename(&path("new"), &path("newer")).unwrap();
        let mut changes = disk.changes();
        let Some(Changes::Blocks(blocks)) = changes.remove(&path("old")) else { panic!("{changes:?}") };
        assert_eq!(blocks.keys().copied().collect::<Vec<_>>(), [1, 2, 8, 9, 10]);
        let unknown = |blocks: &[u64]| {
            Changes::Blocks(blocks.iter().map(|block| (*block, BlockChange::Unknown)).collect())
        };
        let expected = [("cut", unknown(&[8, 9])), ("new", Changes::All), ("newer", Changes::All)];
        assert_eq!(changes, expected.map(|(name, changes)| (path(name), changes)).into());
    }

    #[test]
    fn checksums_of_overwritten_blocks_are_known() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("file");
        // The last block is shorter.
        let before: Vec<u8> = (0..95_u8).map(|byte| byte.wrapping_mul(7)).collect();
        std::fs::write(&path, &before).unwrap();
        let disk = TrackedDisk::new(OsDisk::shared(), NonZeroU64::new(10).unwrap());
        let file = disk.open(&path).unwrap();
        file.write_at(3, b"first").unwrap();
        file.write_at(5, b"over it").unwrap();
        file.write_vectored_at(
            28,
            &mut [IoSlice::new(b"a"), IoSlice::new(b""), IoSlice::new(b"longer part")],
        )
        .unwrap();
        file.write_at(91, b"end!").unwrap();
        // With checksums of what is replaced: within a block, and across two.
        let now = std::fs::read(&path).unwrap();
        let checksums = [&now[52..55], &now[55..63]].map(crc32c::crc32c);
        file.overwrite_at(52, &mut [IoSlice::new(b"abc"), IoSlice::new(b"defghijk")], &checksums).unwrap();
        let after = std::fs::read(&path).unwrap();
        let Some(Changes::Blocks(blocks)) = disk.changes().remove(&path) else { panic!("{disk:?}") };
        for (number, (before, after)) in before.chunks(10).zip(after.chunks(10)).enumerate() {
            let known = match blocks.get(&(number as u64)) {
                Some(BlockChange::Differs(change)) => crc32c::crc32c(before) ^ change,
                Some(BlockChange::Unknown) => panic!("block {number}"),
                None => crc32c::crc32c(before),
            };
            assert_eq!(known, crc32c::crc32c(after), "block {number}");
        }
        assert_eq!(blocks.keys().copied().collect::<Vec<_>>(), [0, 1, 2, 3, 5, 6, 9]);
    }
}
