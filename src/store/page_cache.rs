//! Pages of files in memory: never more than the budget, written back when their place is needed or on a flush.
//!
//! A frame holds one page of at most [`FRAME_SIZE`] bytes behind its own lock, so threads work on different pages at
//! the same time. The table from pages to frames is only a hint: whoever locks a frame checks that the wanted page is
//! still in it and asks again otherwise. So nothing is pinned, and a page costs one table lookup and one lock.
//!
//! Victims are found with a clock: each use sets a small counter, the hand takes one from it per round. A page that is
//! in use (its lock is held) is never a victim.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::fmt;
use std::io::{IoSlice, IoSliceMut};
use std::ops::{Deref, DerefMut};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU32, AtomicU64, AtomicUsize, Ordering};

use parking_lot::{Mutex, RwLock, RwLockReadGuard, RwLockWriteGuard};
use rustc_hash::FxBuildHasher;

use crate::io::disk::{DiskError, DiskFile};

/// Bytes of a frame, and the greatest size of a file page. Specification: store format 2.1.
pub const FRAME_SIZE: usize = 8192;

/// What a frame costs beside its page: lock, counters, its entry in the table.
const FRAME_OVERHEAD: usize = 128;

/// Fewer frames than this can't hold what the threads of a recovery use at the same time.
const MIN_FRAMES: usize = 64;

/// Pages that one step of read-ahead or one step of a flush takes at most: 256 KiB.
const MAX_BATCH: usize = 32;

/// Tables that share the pages, so that threads seldom meet.
const TABLES: usize = 16;

/// How often the hand goes round before the cache says that every page is in use.
const MAX_ROUNDS: usize = 10_000;

/// A page could not be had.
#[derive(Debug, thiserror::Error)]
pub enum PageCacheError {
    /// The file could not be read, or a page that had to make room could not be written.
    #[error(transparent)]
    Disk(#[from] DiskError),
    /// No frame became free.
    #[error(
        "all {frames} pages of the page cache are in use at the same time; give it more memory with --pagecache"
    )]
    AllPagesInUse {
        /// Frames of the cache.
        frames: usize,
    },
    /// The file's pages don't fit into frames.
    #[error("pages of {size} bytes were asked for, at most {FRAME_SIZE} are possible")]
    PageSize {
        /// What was asked for, in bytes.
        size: usize,
    },
}

/// A cache of file pages. Cheap to clone; all clones share the memory.
#[derive(Clone)]
pub struct PageCache {
    shared: Arc<Shared>,
}

impl PageCache {
    /// A cache that uses at most `budget` bytes, and 528 KiB if that is less.
    pub fn new(budget: u64) -> Self {
        let frames = usize::try_from(budget).unwrap_or(usize::MAX) / (FRAME_SIZE + FRAME_OVERHEAD);
        let frames = frames.max(MIN_FRAMES);
        let shared = Shared {
            frames: (0..frames).map(|_| Frame::default()).collect(),
            tables: std::array::from_fn(|_| Mutex::new(HashMap::default())),
            hand: AtomicUsize::new(0),
            next_file: AtomicU32::new(0),
        };
        Self { shared: Arc::new(shared) }
    }

    /// Pages that the cache holds at most.
    pub fn frames(&self) -> usize {
        self.shared.frames.len()
    }

    /// Makes the pages of a file accessible. `page_size`: bytes from one page to the next in the file, up to
    /// [`FRAME_SIZE`]. A file must not be opened twice at the same time: the two would not see each other's changes.
    pub fn open(&self, file: Box<dyn DiskFile>, page_size: usize) -> Result<CachedFile, PageCacheError> {
        if page_size == 0 || page_size > FRAME_SIZE {
            return Err(PageCacheError::PageSize { size: page_size });
        }
        let pages = file.len()?.div_ceil(page_size as u64);
        let checksums = file.wants_checksums();
        let file = Arc::new(FileState {
            id: self.shared.next_file.fetch_add(1, Ordering::Relaxed),
            file,
            page_size,
            pages: AtomicU64::new(pages),
            after_last_miss: AtomicU64::new(0),
            read_ahead: AtomicU64::new(1),
            checksums,
            unforced: AtomicBool::new(false),
            forcing: Mutex::default(),
        });
        Ok(CachedFile { opened: Arc::new(Opened { shared: Arc::clone(&self.shared), file }) })
    }
}

impl fmt::Debug for PageCache {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PageCache").field("frames", &self.frames()).finish_non_exhaustive()
    }
}

/// A file whose pages go through the cache. Cheap to clone.
///
/// A thread must not ask for a page while it holds the same page for writing, and must not flush while it holds one
/// of the file. What was not flushed when the last clone goes is dropped.
#[derive(Clone)]
pub struct CachedFile {
    opened: Arc<Opened>,
}

impl CachedFile {
    /// The file itself, for errors and for reading past the cache after a [`flush`](Self::flush).
    pub fn file(&self) -> &dyn DiskFile {
        &*self.opened.file.file
    }

    /// Bytes of a page.
    pub fn page_size(&self) -> usize {
        self.opened.file.page_size
    }

    /// Pages of the file, the ones included that only the cache has yet. The last one may be incomplete in the file.
    pub fn pages(&self) -> u64 {
        self.opened.file.pages.load(Ordering::Acquire)
    }

    /// A page to read, or `None` behind the end of the file. What the file lacks of its last page is zero.
    pub fn read(&self, page: u64) -> Result<Option<PageRef<'_>>, PageCacheError> {
        if page >= self.pages() {
            return Ok(None);
        }
        let Opened { shared, file } = &*self.opened;
        loop {
            let Some(frame) = shared.lookup(file, page) else {
                if let Some((_, content)) = shared.load(file, page)? {
                    return Ok(Some(PageRef {
                        content: RwLockWriteGuard::downgrade(content),
                        size: file.page_size,
                    }));
                }
                continue;
            };
            let content = frame.content.read();
            if content.holds(file, page) {
                frame.used();
                return Ok(Some(PageRef { content, size: file.page_size }));
            }
        }
    }

    /// A page to change; it counts as changed from now on. Behind the end the file grows by zero pages up to it.
    pub fn write(&self, page: u64) -> Result<PageMut<'_>, PageCacheError> {
        self.write_near(page, &mut Hint::default())
    }

    /// The same; without a look-up if `hint` is what an earlier call for the same page left there.
    pub fn write_near(&self, page: u64, hint: &mut Hint) -> Result<PageMut<'_>, PageCacheError> {
        let Opened { shared, file } = &*self.opened;
        if let Some(frame) = hint.frame.and_then(|index| shared.frames.get(index))
            // It may hold another page by now, which the caller may hold: nothing to wait for.
            && let Some(content) = frame.content.try_write()
            && content.holds(file, page)
        {
            frame.used();
            return Ok(file.changed(frame, content, page));
        }
        loop {
            hint.frame = shared.lookup_index(file, page);
            let Some(frame) = hint.frame.and_then(|index| shared.frames.get(index)) else {
                if let Some((frame, content)) = shared.load(file, page)? {
                    return Ok(file.changed(frame, content, page));
                }
                continue;
            };
            let content = frame.content.write();
            if content.holds(file, page) {
                frame.used();
                return Ok(file.changed(frame, content, page));
            }
        }
    }

    /// Writes all changed pages to the file, in the order of the file, neighbours in one step.
    pub fn flush(&self) -> Result<(), PageCacheError> {
        let Opened { shared, file } = &*self.opened;
        let mut dirty = shared.pages_of(file);
        dirty.retain(|(_, frame)| frame.dirty.load(Ordering::Acquire));
        dirty.sort_unstable_by_key(|&(page, _)| page);
        let mut run: Run<'_> = Vec::new();
        for (page, frame) in dirty {
            let continues = run.last().is_some_and(|(last, ..)| last + 1 == page) && run.len() < MAX_BATCH;
            // Only the first of a run is waited for: whoever waits while holding others may wait for ever.
            let content = if let Some(content) = continues.then(|| frame.content.try_read()).flatten() {
                content
            } else {
                file.write_back(&mut run)?;
                frame.content.read()
            };
            // What was a victim meanwhile is in the file already.
            if content.holds(file, page) && frame.dirty.load(Ordering::Acquire) {
                run.push((page, frame, content));
            }
        }
        Ok(file.write_back(&mut run)?)
    }

    /// [`flush`](Self::flush), then forces the file to the medium. Does nothing if no page was changed since the last
    /// time: to force an unchanged file costs as much.
    pub fn sync(&self) -> Result<(), PageCacheError> {
        let state = &self.opened.file;
        let _forcing = state.forcing.lock();
        if !state.unforced.swap(false, Ordering::AcqRel) {
            return Ok(());
        }
        let forced = self.flush().and_then(|()| Ok(self.file().sync()?));
        if forced.is_err() {
            state.unforced.store(true, Ordering::Release);
        }
        forced
    }
}

impl fmt::Debug for CachedFile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CachedFile")
            .field("path", &self.file().path())
            .field("page_size", &self.page_size())
            .field("pages", &self.pages())
            .finish()
    }
}

/// In which frame a page was last.
#[derive(Clone, Copy, Debug, Default)]
pub struct Hint {
    frame: Option<usize>,
}

/// A page, locked for reading.
#[derive(Debug)]
pub struct PageRef<'a> {
    content: RwLockReadGuard<'a, Content>,
    size: usize,
}

impl Deref for PageRef<'_> {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        self.content.page(self.size)
    }
}

/// A page, locked for writing.
#[derive(Debug)]
pub struct PageMut<'a> {
    content: RwLockWriteGuard<'a, Content>,
    size: usize,
}

impl Deref for PageMut<'_> {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        self.content.page(self.size)
    }
}

impl DerefMut for PageMut<'_> {
    fn deref_mut(&mut self) -> &mut [u8] {
        self.content.page_mut(self.size)
    }
}

/// What the clones of a [`CachedFile`] share.
struct Opened {
    shared: Arc<Shared>,
    file: Arc<FileState>,
}

impl Drop for Opened {
    fn drop(&mut self) {
        for (page, frame) in self.shared.pages_of(&self.file) {
            let mut content = frame.content.write();
            if content.holds(&self.file, page) {
                self.shared.table(&self.file, page).lock().remove(&(self.file.id, page));
                content.occupant = None;
                frame.dirty.store(false, Ordering::Release);
            }
        }
    }
}

#[derive(Debug)]
struct FileState {
    id: u32,
    file: Box<dyn DiskFile>,
    page_size: usize,
    pages: AtomicU64,
    /// The page after the ones that were read last: a miss there is the next step of a sequence.
    after_last_miss: AtomicU64,
    /// Pages that the next step of a sequence reads.
    read_ahead: AtomicU64,
    /// Whether the file makes use of the checksum of what a page replaces: then it need not read that, which for pages all
    /// over a file in the system's cache takes a third of the time.
    checksums: bool,
    /// Whether a page was changed since the file was forced.
    unforced: AtomicBool,
    /// Held while it is.
    forcing: Mutex<()>,
}

impl FileState {
    fn offset(&self, page: u64) -> u64 {
        page.saturating_mul(self.page_size as u64)
    }

    /// Notes that a page is changed from now on.
    fn changed<'a>(
        &self,
        frame: &'a Frame,
        mut content: RwLockWriteGuard<'a, Content>,
        page: u64,
    ) -> PageMut<'a> {
        if self.checksums && !frame.dirty.load(Ordering::Acquire) {
            content.before = crc32c::crc32c(content.page(self.page_size));
        }
        frame.dirty.store(true, Ordering::Release);
        if !self.unforced.load(Ordering::Acquire) {
            self.unforced.store(true, Ordering::Release);
        }
        if page >= self.pages.load(Ordering::Acquire) {
            self.pages.fetch_max(page + 1, Ordering::AcqRel);
        }
        PageMut { content, size: self.page_size }
    }

    /// How many pages to read for a miss of `page`: twice as many with each step of a sequence, else one.
    fn step(&self, page: u64, most: u64) -> u64 {
        let sequential = self.after_last_miss.load(Ordering::Relaxed) == page;
        let step = if sequential { self.read_ahead.load(Ordering::Relaxed).min(most) } else { 1 };
        self.read_ahead.store(step * 2, Ordering::Relaxed);
        self.after_last_miss.store(page + step, Ordering::Relaxed);
        step
    }

    /// Fills neighbouring pages from the file, with zeros where the file ends.
    fn fill(&self, first: u64, run: &mut [Claimed<'_>]) -> Result<(), DiskError> {
        let mut done = 0;
        if first < self.pages.load(Ordering::Acquire) {
            let mut buffers: Vec<_> = run
                .iter_mut()
                .map(|(_, content)| IoSliceMut::new(content.page_mut(self.page_size)))
                .collect();
            done = self.file.read_vectored_at(self.offset(first), &mut buffers)?;
        }
        for (_, content) in run {
            let read = done.min(self.page_size);
            content.page_mut(self.page_size).iter_mut().skip(read).for_each(|byte| *byte = 0);
            done -= read;
        }
        Ok(())
    }

    /// Writes neighbouring changed pages and lets go of them.
    fn write_back(&self, run: &mut Run<'_>) -> Result<(), DiskError> {
        if let Some(&(first, ..)) = run.first() {
            let mut buffers: Vec<_> =
                run.iter().map(|(_, _, content)| IoSlice::new(content.page(self.page_size))).collect();
            let before: Vec<_> = run.iter().map(|(_, _, content)| content.before).collect();
            self.file.overwrite_at(self.offset(first), &mut buffers, &before)?;
        }
        for (_, frame, _) in run.drain(..) {
            frame.dirty.store(false, Ordering::Release);
        }
        Ok(())
    }
}

/// Neighbouring pages with their numbers, locked for reading.
type Run<'a> = Vec<(u64, &'a Frame, RwLockReadGuard<'a, Content>)>;

/// A frame that was just given to a page, locked for writing.
type Claimed<'a> = (&'a Frame, RwLockWriteGuard<'a, Content>);

#[derive(Default)]
struct Frame {
    content: RwLock<Content>,
    /// Whether the page must be written back. Set under the write lock, cleared under either lock.
    dirty: AtomicBool,
    /// Rounds of the hand that the page survives without being used.
    uses: AtomicU8,
}

impl Frame {
    fn used(&self) {
        // Most uses find the greatest value already there; then the line stays shared between the cores.
        if self.uses.load(Ordering::Relaxed) < 3 {
            self.uses.store(3, Ordering::Relaxed);
        }
    }
}

/// A page and which one it is.
#[derive(Debug, Default)]
struct Content {
    occupant: Option<(Arc<FileState>, u64)>,
    /// CRC-32C of what is in the file, since the page is dirty; 0 if the file makes no use of it.
    before: u32,
    /// Empty until the frame is used for the first time.
    bytes: Box<[u8]>,
}

impl Content {
    fn holds(&self, file: &FileState, page: u64) -> bool {
        self.occupant.as_ref().is_some_and(|(occupant, held)| occupant.id == file.id && *held == page)
    }

    fn page(&self, size: usize) -> &[u8] {
        self.bytes.get(..size).unwrap_or_default()
    }

    fn page_mut(&mut self, size: usize) -> &mut [u8] {
        self.bytes.get_mut(..size).unwrap_or_default()
    }
}

/// Which frame holds a page of a file, by the numbers of both.
type Table = HashMap<(u32, u64), usize, FxBuildHasher>;

struct Shared {
    frames: Box<[Frame]>,
    tables: [Mutex<Table>; TABLES],
    hand: AtomicUsize,
    next_file: AtomicU32,
}

impl Shared {
    fn table(&self, file: &FileState, page: u64) -> &Mutex<Table> {
        // Neighbours in different tables: a scan by several threads touches neighbours.
        let index = usize::try_from((page ^ u64::from(file.id)) % TABLES as u64).unwrap_or_default();
        let [first, ..] = &self.tables;
        self.tables.get(index).unwrap_or(first)
    }

    /// The pages of a file that have a frame now. Nothing stays locked.
    fn pages_of(&self, file: &FileState) -> Vec<(u64, &Frame)> {
        let mut pages = Vec::new();
        for table in &self.tables {
            let table = table.lock();
            let of_file = table.iter().filter(|&(&(id, _), _)| id == file.id);
            pages.extend(of_file.filter_map(|(&(_, page), &index)| Some((page, self.frames.get(index)?))));
        }
        pages
    }

    fn lookup(&self, file: &FileState, page: u64) -> Option<&Frame> {
        self.frames.get(self.lookup_index(file, page)?)
    }

    fn lookup_index(&self, file: &FileState, page: u64) -> Option<usize> {
        self.table(file, page).lock().get(&(file.id, page)).copied()
    }

    /// Reads a page that is in no frame, and the ones after it if the file is read in sequence. `None`: another thread
    /// was faster.
    fn load(&self, file: &Arc<FileState>, page: u64) -> Result<Option<Claimed<'_>>, PageCacheError> {
        let Some(wanted) = self.claim(file, page)? else { return Ok(None) };
        let left = file.pages.load(Ordering::Acquire).saturating_sub(page);
        let step = file.step(page, left.min(MAX_BATCH as u64).min(self.frames.len() as u64 / 16).max(1));
        let mut run = vec![wanted];
        for next in (page + 1)..(page + step) {
            if self.lookup(file, next).is_some() {
                break;
            }
            match self.claim(file, next) {
                Ok(Some(claimed)) => run.push(claimed),
                // Reading ahead is a favour, it never fails the read.
                Ok(None) | Err(_) => break,
            }
        }
        if let Err(error) = file.fill(page, &mut run) {
            for ((_, content), page) in run.iter_mut().zip(page..) {
                self.table(file, page).lock().remove(&(file.id, page));
                content.occupant = None;
            }
            return Err(error.into());
        }
        run.truncate(1);
        Ok(run.pop())
    }

    /// Gives a frame to a page. `None`: the page has one already.
    fn claim(&self, file: &Arc<FileState>, page: u64) -> Result<Option<Claimed<'_>>, PageCacheError> {
        let (index, frame, mut content) = self.victim()?;
        match self.table(file, page).lock().entry((file.id, page)) {
            Entry::Occupied(_) => return Ok(None),
            Entry::Vacant(entry) => entry.insert(index),
        };
        content.occupant = Some((Arc::clone(file), page));
        if content.bytes.is_empty() {
            content.bytes = vec![0; FRAME_SIZE].into_boxed_slice();
        }
        frame.uses.store(1, Ordering::Relaxed);
        Ok(Some((frame, content)))
    }

    /// An empty frame: one that was never used, or whose page had to go.
    fn victim(&self) -> Result<(usize, &Frame, RwLockWriteGuard<'_, Content>), PageCacheError> {
        let frames = self.frames.len();
        for step in 1..=frames.saturating_mul(MAX_ROUNDS) {
            if step % frames == 0 {
                std::thread::yield_now();
            }
            let index = self.hand.fetch_add(1, Ordering::Relaxed) % frames;
            let Some(frame) = self.frames.get(index) else { continue };
            let uses = frame.uses.load(Ordering::Relaxed);
            if uses > 0 {
                frame.uses.store(uses - 1, Ordering::Relaxed);
                continue;
            }
            let Some(mut content) = frame.content.try_write() else { continue };
            if let Some((file, page)) = content.occupant.take() {
                if frame.dirty.load(Ordering::Acquire) {
                    let buffer = IoSlice::new(content.page(file.page_size));
                    let written = file.file.overwrite_at(file.offset(page), &mut [buffer], &[content.before]);
                    if let Err(error) = written {
                        content.occupant = Some((file, page));
                        return Err(error.into());
                    }
                    frame.dirty.store(false, Ordering::Release);
                }
                self.table(&file, page).lock().remove(&(file.id, page));
            }
            return Ok((index, frame, content));
        }
        Err(PageCacheError::AllPagesInUse { frames })
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::io::disk::{Disk, OsDisk};

    fn file(dir: &Path, content: &[u8]) -> Box<dyn DiskFile> {
        let file = OsDisk.create(&dir.join("file"), 0o666).unwrap();
        file.write_at(0, content).unwrap();
        file
    }

    fn byte_of(page: u64) -> u8 {
        (page % 251) as u8
    }

    #[test]
    fn the_end_of_the_file_reads_as_zeros_and_what_is_behind_as_nothing() {
        let dir = tempfile::tempdir().unwrap();
        let cached = PageCache::new(0).open(file(dir.path(), &[7; 1000]), 600).unwrap();
        assert_eq!(cached.pages(), 2);
        let page = cached.read(1).unwrap().unwrap();
        assert_eq!((page.len(), page[399], page[400], page[599]), (600, 7, 0, 0));
        assert!(cached.read(2).unwrap().is_none());
    }

    #[test]
    fn a_page_behind_the_end_makes_the_file_grow_by_whole_pages() {
        let dir = tempfile::tempdir().unwrap();
        let cached = PageCache::new(0).open(file(dir.path(), &[]), 600).unwrap();
        cached.write(3).unwrap()[0] = 9;
        assert_eq!((cached.pages(), cached.file().len().unwrap()), (4, 0));
        assert!(cached.read(1).unwrap().unwrap().iter().all(|&byte| byte == 0));
        cached.sync().unwrap();
        let mut expected = vec![0; 2400];
        expected[1800] = 9;
        assert_eq!(std::fs::read(dir.path().join("file")).unwrap(), expected);
    }

    #[test]
    fn more_pages_than_frames_keep_their_changes_and_memory_its_bound() {
        let dir = tempfile::tempdir().unwrap();
        let cache = PageCache::new(0);
        let cached = cache.open(file(dir.path(), &[]), FRAME_SIZE).unwrap();
        let pages = cache.frames() as u64 * 5;
        for page in 0..pages {
            cached.write(page).unwrap().fill(byte_of(page));
        }
        for page in (0..pages).chain((0..pages).rev()) {
            assert!(cached.read(page).unwrap().unwrap().iter().all(|&byte| byte == byte_of(page)), "{page}");
        }
        let in_tables: usize = cache.shared.tables.iter().map(|table| table.lock().len()).sum();
        assert!(in_tables <= cache.frames());
        cached.flush().unwrap();
        for (page, content) in std::fs::read(dir.path().join("file")).unwrap().chunks(FRAME_SIZE).enumerate()
        {
            assert!(content.iter().all(|&byte| byte == byte_of(page as u64)));
        }
    }

    #[test]
    fn a_flush_leaves_nothing_to_write() {
        let dir = tempfile::tempdir().unwrap();
        let cache = PageCache::new(0);
        let cached = cache.open(file(dir.path(), &[]), 8160).unwrap();
        for page in [5, 3, 4, 40, 0] {
            cached.write(page).unwrap().fill(byte_of(page));
        }
        cached.flush().unwrap();
        let path = dir.path().join("file");
        let flushed = std::fs::read(&path).unwrap();
        assert_eq!(flushed.len(), 41 * 8160);
        std::fs::write(&path, b"").unwrap();
        cached.flush().unwrap();
        assert_eq!(std::fs::read(&path).unwrap(), b"");
    }

    #[test]
    fn a_file_that_is_closed_gives_its_frames_back_and_leaves_others_alone() {
        let dir = tempfile::tempdir().unwrap();
        let cache = PageCache::new(0);
        let kept = cache.open(file(dir.path(), &[1; 100]), 100).unwrap();
        kept.write(0).unwrap()[0] = 2;
        let in_use = kept.read(0).unwrap();
        let dropped = cache.open(OsDisk.create(&dir.path().join("other"), 0o666).unwrap(), 100).unwrap();
        dropped.write(0).unwrap()[0] = 3;
        dropped.flush().unwrap();
        drop(dropped);
        drop(in_use);
        assert_eq!(kept.read(0).unwrap().unwrap()[0], 2);
        assert_eq!(cache.shared.tables.iter().map(|table| table.lock().len()).sum::<usize>(), 1);
    }

    #[test]
    fn a_cache_whose_pages_are_all_held_says_so() {
        let dir = tempfile::tempdir().unwrap();
        let cache = PageCache::new(0);
        let cached = cache.open(file(dir.path(), &[]), 512).unwrap();
        let frames = cache.frames() as u64;
        let held: Vec<_> = (0..frames).map(|page| cached.write(page).unwrap()).collect();
        assert!(matches!(cached.write(frames), Err(PageCacheError::AllPagesInUse { .. })));
        drop(held);
        cached.write(frames).unwrap();
    }

    #[test]
    fn threads_that_share_a_small_cache_lose_no_change() {
        const THREADS: u64 = 4;
        const ROUNDS: u64 = 2_000;
        let dir = tempfile::tempdir().unwrap();
        let cache = PageCache::new(0);
        let pages = cache.frames() as u64 * 2;
        let cached = cache.open(file(dir.path(), &[]), 256).unwrap();
        std::thread::scope(|scope| {
            for thread in 0..THREADS {
                let cached = cached.clone();
                scope.spawn(move || {
                    for round in 0..ROUNDS {
                        let mut page = cached.write((round * 31 + thread * 7) % pages).unwrap();
                        let counter: &mut [u8; 8] = page.first_chunk_mut().unwrap();
                        *counter = (u64::from_be_bytes(*counter) + 1).to_be_bytes();
                    }
                });
            }
        });
        let sum: u64 = (0..pages)
            .filter_map(|page| cached.read(page).unwrap())
            .map(|page| u64::from_be_bytes(*page.first_chunk().unwrap()))
            .sum();
        assert_eq!(sum, THREADS * ROUNDS);
    }
}
