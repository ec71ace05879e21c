//! An open tree: its state, its pages, and the way from the root to a key.

use std::cmp::Ordering;
use std::path::Path;
use std::sync::Arc;

use super::error::{OnPage, TreeError};
use super::layout::Layout;
use super::meta::{Meta, MetaError};
use super::node::{Body, Entries, Entry, Kind, NodeHeader, PointerName};
use super::offload::Offloaded;
use super::page::FIRST_USABLE;
use super::pointer::Generations;
use super::state::{State, StateError, StatePage, choose};
use crate::io::disk::DiskFile;
use crate::store::page_cache::{CachedFile, FRAME_SIZE, Hint, PageCache, PageMut, PageRef};

/// Smallest page of a tree; Neo4j's own are 8192 bytes, smaller ones make deep trees of few entries in tests.
pub(super) const MIN_PAGE: usize = 256;

/// Pages that a tree may have behind the end of its file. A state that says more is damaged.
const MOST_MISSING: u64 = 1 << 16;

/// A tree file.
///
/// It is read as of its last checkpoint, also when the process that wrote it ended without closing it. The first change
/// marks the file as dirty and cleans up after such a process; changes count only after a
/// [`checkpoint`](Self::checkpoint). One thread at a time may change a tree. Specification: gbptree 1.4.
#[derive(Debug)]
pub struct Tree<L> {
    pub(super) pages: Pages,
    pub(super) layout: L,
    pub(super) body: Body,
    /// As it will be written next: its generations are those to read and write with.
    pub(super) state: State,
    pub(super) state_page: StatePage,
    header: Vec<u8>,
    /// Whether the file was closed after its last checkpoint.
    clean: bool,
    session: Session,
    pub(super) way: Way,
    pub(super) scratch: Scratch,
}

/// How far the first change of a tree is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Session {
    /// The file is as it was found.
    Reading,
    /// The file says that it is dirty.
    Marked,
    /// And nothing of a crashed session is left in it.
    Writing,
}

/// Memory that changes of a tree use again and again.
#[derive(Debug, Default)]
pub(super) struct Scratch {
    pub page: Vec<u8>,
    pub raw: Vec<u8>,
    pub entries: Entries,
}

/// A node on the way from the root, and which of its children is the next one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Step {
    pub page: u64,
    pub child: usize,
}

/// The way from the root to the leaf of the last change.
#[derive(Debug, Default)]
pub(super) struct Way {
    /// Root first, leaf last; empty when the way must be found anew.
    pub steps: Vec<Step>,
    /// Whether the last two changes met in this leaf: then the next one may as well.
    pub stays: bool,
    /// Whether the leaf is of this session, so that its entries may be changed in place.
    pub writable: bool,
    /// Position behind that of the last change: keys that come in order are there.
    pub position: usize,
    /// Where the page of the leaf was found.
    pub hint: Hint,
}

/// The pages of a tree file.
#[derive(Clone, Debug)]
pub(super) struct Pages {
    file: CachedFile,
    pub path: Arc<Path>,
}

impl Pages {
    pub fn size(&self) -> usize {
        self.file.page_size()
    }

    pub fn count(&self) -> u64 {
        self.file.pages()
    }

    pub fn read(&self, page: u64) -> Result<PageRef<'_>, TreeError> {
        self.file.read(page)?.ok_or_else(|| self.missing(page))
    }

    /// A page that exists, to change. No other page may be held meanwhile: a damaged file may say that both are one.
    pub fn write(&self, page: u64) -> Result<PageMut<'_>, TreeError> {
        if page >= self.count() {
            return Err(self.missing(page));
        }
        Ok(self.file.write(page)?)
    }

    /// The same, faster for a page that was looked for last.
    pub fn write_near(&self, page: u64, hint: &mut Hint) -> Result<PageMut<'_>, TreeError> {
        if page >= self.count() {
            return Err(self.missing(page));
        }
        Ok(self.file.write_near(page, hint)?)
    }

    /// A page that the caller fills as a whole, behind the end of the file or not.
    pub fn write_whole(&self, page: u64) -> Result<PageMut<'_>, TreeError> {
        Ok(self.file.write(page)?)
    }

    /// A page of zeros, behind the end of the file or not.
    pub fn write_zeroed(&self, page: u64) -> Result<PageMut<'_>, TreeError> {
        let mut content = self.file.write(page)?;
        content.fill(0);
        Ok(content)
    }

    pub fn sync(&self) -> Result<(), TreeError> {
        Ok(self.file.sync()?)
    }

    pub fn missing(&self, page: u64) -> TreeError {
        TreeError::MissingPage { path: Arc::clone(&self.path), page, pages: self.count() }
    }
}

/// The meta page of a file and the path for errors about it. Checks page size only, not the layout.
fn read_meta(file: &dyn DiskFile) -> Result<(Meta, Arc<Path>), TreeError> {
    let path: Arc<Path> = file.path().into();
    let mut bytes = [0; Meta::SIZE];
    let meta = if file.read_at(0, &mut bytes)? < Meta::SIZE {
        Err(MetaError::Missing)
    } else {
        // As Neo4j does it the size of a page comes before the version: where both are wrong it is just no tree.
        let [_, _, _, _, s0, s1, s2, s3, ..] = bytes;
        let found = u32::from_be_bytes([s0, s1, s2, s3]);
        let size = found as usize;
        if size.is_power_of_two() && (MIN_PAGE..=FRAME_SIZE).contains(&size) {
            Meta::decode(&bytes)
        } else {
            Err(MetaError::PageSize { found })
        }
    };
    match meta {
        Ok(meta) => Ok((meta, path)),
        Err(source) => Err(TreeError::Meta { path, source }),
    }
}

/// The state that counts, where it stands, and its header.
fn read_state(pages: &Pages) -> Result<(StatePage, State, Vec<u8>), TreeError> {
    let fail = |source| TreeError::State { path: Arc::clone(&pages.path), source };
    if pages.count() <= StatePage::B.id() {
        return Err(fail(StateError::Missing));
    }
    let decode = |page: StatePage| {
        State::decode(&pages.read(page.id())?).map_err(|source| fail(StateError::Header(source)))
    };
    let (page, state) = choose(decode(StatePage::A)?, decode(StatePage::B)?).map_err(fail)?;
    let content = pages.read(page.id())?;
    let header = State::header(&content).map_err(|source| fail(StateError::Header(source)))?;
    Ok((page, state, header.to_vec()))
}

/// The header of a tree, whatever its layout: enough to tell the state of an index.
pub fn read_header(cache: &PageCache, file: Box<dyn DiskFile>) -> Result<Vec<u8>, TreeError> {
    let (meta, path) = read_meta(&*file)?;
    let pages = Pages { file: cache.open(file, meta.page_size as usize)?, path };
    read_state(&pages).map(|(.., header)| header)
}

/// Finds where among `count` sorted things one is or would be. `compare` tells how that at a position compares with it.
///
/// From `guess` on in steps that double, then between the last two: the next key in order costs one comparison.
#[inline]
fn search_near<E>(
    count: usize,
    guess: usize,
    mut compare: impl FnMut(usize) -> Result<Ordering, E>,
) -> Result<Result<usize, usize>, E> {
    let (mut low, mut high) = (0, count);
    let mut step = Some(0);
    while low < high {
        let middle = match step {
            Some(step) => (guess + step).clamp(low, high - 1),
            None => low + (high - low) / 2,
        };
        match compare(middle)? {
            Ordering::Less => {
                low = middle + 1;
                step = step.map(|step| 2 * step + 1);
            }
            Ordering::Equal => return Ok(Ok(middle)),
            Ordering::Greater => {
                high = middle;
                step = None;
            }
        }
    }
    Ok(Err(low))
}

impl<L: Layout> Tree<L> {
    /// Opens a tree. The file is not changed.
    pub fn open(cache: &PageCache, file: Box<dyn DiskFile>, layout: L) -> Result<Self, TreeError> {
        let (meta, path) = read_meta(&*file)?;
        let format = layout.format();
        if let Err(source) = meta.check(layout.id(), format) {
            return Err(TreeError::Meta { path, source });
        }
        let page_size = meta.page_size as usize;
        let body = Body::new(format, page_size)
            .ok_or_else(|| TreeError::PageSize { path: Arc::clone(&path), page_size })?;
        let pages = Pages { file: cache.open(file, page_size)?, path };
        let (state_page, mut state, header) = read_state(&pages)?;
        // Pages at the end of a file that was cut are missed when they are read: free ones never are.
        if state.last_id >= pages.count() + MOST_MISSING {
            return Err(pages.missing(state.last_id));
        }
        // With the next generation everything that the last session wrote after its checkpoint counts as crashed.
        let unstable = state.generations.unstable.checked_add(1);
        state.generations.unstable =
            unstable.ok_or_else(|| TreeError::UsedUp { path: Arc::clone(&pages.path) })?;
        let clean = std::mem::replace(&mut state.clean, false);
        Ok(Self {
            pages,
            layout,
            body,
            state,
            state_page,
            header,
            clean,
            session: Session::Reading,
            way: Way::default(),
            scratch: Scratch::default(),
        })
    }

    /// What the user of the tree keeps with it.
    pub fn header(&self) -> &[u8] {
        &self.header
    }

    /// Whether the tree was closed after its last checkpoint when it was opened.
    pub fn was_clean(&self) -> bool {
        self.clean
    }

    /// Its keys and values.
    pub fn layout(&self) -> &L {
        &self.layout
    }

    /// Where the file is.
    pub fn path(&self) -> &Path {
        &self.pages.path
    }

    pub(super) fn generations(&self) -> Generations {
        self.state.generations
    }

    /// Calls `found` with the value of a key.
    pub fn get<R>(&self, key: &[u8], found: impl FnOnce(&[u8]) -> R) -> Result<Option<R>, TreeError> {
        let leaf = self.descend(key, |_| {})?;
        let page = self.pages.read(leaf)?;
        let header = self.header_of(&page, leaf)?;
        match self.search(leaf, &page, header, key)? {
            Ok(position) => {
                let entry = self.body.entry(&page, header.kind, position).on(&self.pages.path, leaf)?;
                self.with_entry(leaf, entry, |_, value| found(value)).map(Some)
            }
            Err(_) => Ok(None),
        }
    }

    /// The leaf where a key is or would be; `step` gets the nodes on the way and the leaf.
    pub(super) fn descend(&self, key: &[u8], mut step: impl FnMut(Step)) -> Result<u64, TreeError> {
        let mut id = self.state.root;
        // A way that is longer than the file has pages is a loop.
        for _ in 0..self.pages.count() {
            let page = self.pages.read(id)?;
            let header = self.header_of(&page, id)?;
            if header.kind == Kind::Leaf {
                step(Step { page: id, child: 0 });
                return Ok(id);
            }
            let child = match self.search(id, &page, header, key)? {
                Ok(position) => position + 1,
                Err(position) => position,
            };
            step(Step { page: id, child });
            id = self.body.child(&page, child, self.generations()).on(&self.pages.path, id)?;
        }
        Err(self.out_of_order(id))
    }

    pub(super) fn header_of(&self, page: &[u8], id: u64) -> Result<NodeHeader, TreeError> {
        NodeHeader::decode(page, &self.body).on(&self.pages.path, id)
    }

    /// The position of a key in a node, or where it would be.
    pub(super) fn search(
        &self,
        id: u64,
        page: &[u8],
        header: NodeHeader,
        key: &[u8],
    ) -> Result<Result<usize, usize>, TreeError> {
        self.search_near(id, page, header, key, header.count / 2)
    }

    /// The same; fast for a key that is at `guess` or not far behind it.
    #[inline]
    pub(super) fn search_near(
        &self,
        id: u64,
        page: &[u8],
        header: NodeHeader,
        key: &[u8],
        guess: usize,
    ) -> Result<Result<usize, usize>, TreeError> {
        match &self.body {
            Body::Fixed(fixed) => {
                let (keys, size) = fixed.keys(page, header.count).on(&self.pages.path, id)?;
                search_near(header.count, guess, |position| {
                    let start = position * size;
                    let other = keys.get(start..start + size).unwrap_or_default();
                    Ok(self.layout.compare(other, key))
                })
            }
            Body::Dynamic(_) => search_near(header.count, guess, |position| {
                match self.body.entry(page, header.kind, position).on(&self.pages.path, id)? {
                    Entry::Inline { key: other, .. } => Ok(self.layout.compare(other, key)),
                    offloaded @ Entry::Offloaded(_) => {
                        self.with_entry(id, offloaded, |other, _| self.layout.compare(other, key))
                    }
                }
            }),
        }
    }

    /// Calls `read` with key and value of an entry of node `node`, wherever they are.
    pub(super) fn with_entry<R>(
        &self,
        node: u64,
        entry: Entry<'_>,
        read: impl FnOnce(&[u8], &[u8]) -> R,
    ) -> Result<R, TreeError> {
        match entry {
            Entry::Inline { key, value } => Ok(read(key, value)),
            Entry::Offloaded(id) => {
                // The node is held: a node that names itself as offload page must not wait for itself.
                if id == node || id < FIRST_USABLE {
                    return Err(self.out_of_order(node));
                }
                let page = self.pages.read(id)?;
                let Offloaded { key, value } = Offloaded::decode(&page).on(&self.pages.path, id)?;
                Ok(read(key, value))
            }
        }
    }

    /// The page that a node's pointer leads to; 0 = none.
    pub(super) fn target(&self, page: &[u8], id: u64, name: PointerName) -> Result<u64, TreeError> {
        let target = self.body.target(page, name, self.generations()).on(&self.pages.path, id)?;
        Ok(target.page)
    }

    pub(super) fn out_of_order(&self, page: u64) -> TreeError {
        TreeError::Order { path: Arc::clone(&self.pages.path), page }
    }

    /// Makes sure that the file says that it is dirty, and that nothing of a crashed session is left, before the first
    /// change. Specification: gbptree 3.4, 4.5.
    pub(super) fn begin(&mut self) -> Result<(), TreeError> {
        if self.session == Session::Writing {
            return Ok(());
        }
        if self.session == Session::Reading {
            self.check_free_list()?;
            self.write_state(false)?;
            // Not once more if what follows fails and is tried again: two equal states can't be told apart.
            self.session = Session::Marked;
        }
        if !self.clean {
            self.clean_crash_pointers()?;
        }
        self.session = Session::Writing;
        Ok(())
    }

    /// Makes all changes count, and goes on. `header`: `None` keeps the one that is there.
    pub fn checkpoint(&mut self, header: Option<&[u8]>) -> Result<(), TreeError> {
        self.make_stable(header, false)
    }

    /// Makes all changes count and closes the tree as clean: Neo4j opens it without a word.
    pub fn finish(mut self, header: Option<&[u8]>) -> Result<(), TreeError> {
        let same_header = header.is_none_or(|header| header == self.header);
        if self.session == Session::Reading && self.clean && same_header {
            return Ok(());
        }
        self.make_stable(header, true)
    }

    /// Whether nodes of the unstable generation are of this session.
    pub(super) fn is_writing(&self) -> bool {
        self.session == Session::Writing
    }

    fn make_stable(&mut self, header: Option<&[u8]>, clean: bool) -> Result<(), TreeError> {
        self.lose_way();
        if let Some(header) = header {
            if header.len() > State::max_header(self.pages.size()) {
                let path = Arc::clone(&self.pages.path);
                return Err(TreeError::HeaderSize { path, length: header.len() });
            }
            self.begin()?;
            self.header = header.to_vec();
        }
        self.begin()?;
        self.pages.sync()?;
        let Generations { unstable, .. } = self.state.generations;
        let next = unstable.checked_add(1).ok_or_else(|| self.used_up())?;
        self.state.generations = Generations { stable: unstable, unstable: next };
        self.write_state(clean)
    }

    /// Writes the state to the page that is not current, which becomes it.
    fn write_state(&mut self, clean: bool) -> Result<(), TreeError> {
        let target = self.state_page.other();
        let state = State { clean, ..self.state };
        {
            let mut page = self.pages.write_zeroed(target.id())?;
            state.encode(&self.header, &mut page).on(&self.pages.path, target.id())?;
        }
        self.pages.sync()?;
        self.state_page = target;
        Ok(())
    }

    pub(super) fn used_up(&self) -> TreeError {
        TreeError::UsedUp { path: Arc::clone(&self.pages.path) }
    }
}
