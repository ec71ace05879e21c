//! Builds a whole tree from sorted entries, bottom up: every page is written once, in large steps.

use std::cmp::Ordering;
use std::path::Path;
use std::sync::Arc;

use super::error::{OnPage, TreeError};
use super::free_list;
use super::layout::Layout;
use super::meta::Meta;
use super::node::{Body, Content, Entries, Entry, Kind, NodeError, NodeHeader, PointerName};
use super::offload::Offloaded;
use super::page::FIRST_USABLE;
use super::pointer::{Generations, Pointer};
use super::state::{FreePosition, State, StatePage};
use super::tree::MIN_PAGE;
use crate::io::disk::DiskFile;
use crate::store::page_cache::FRAME_SIZE;

/// What the finished tree says; everything in it was written in the stable one. Specification: gbptree 4.4.
const GENERATIONS: Generations = Generations { stable: 2, unstable: 3 };

/// Bytes that are written in one step.
const STEP: usize = 1 << 20;

/// Builds a tree file.
///
/// Until [`finish`](Self::finish) the file has no valid state, so Neo4j takes it for an index that was never completed.
/// Nodes are full. Specification: gbptree 4.4.
#[derive(Debug)]
pub struct Builder<L> {
    layout: L,
    body: Body,
    out: Output,
    /// Leaves first, root last.
    levels: Vec<Level>,
    last_key: Vec<u8>,
    raw: Vec<u8>,
    separator: Vec<u8>,
}

/// The nodes at the right end of a level, which are not written yet.
#[derive(Debug, Default)]
struct Level {
    /// Full, but its right end may still be moved to the node that follows, if that would stay without a key.
    full: Option<Growing>,
    growing: Growing,
}

#[derive(Debug, Default)]
struct Growing {
    id: u64,
    left: u64,
    /// The key between this node and the one to its left, in its stored form.
    separator: Vec<u8>,
    entries: Entries,
    cost: usize,
}

impl<L: Layout> Builder<L> {
    /// Starts a tree in an empty file. `page_size`: 8192 for Neo4j, a power of two from 256 on.
    pub fn new(file: Box<dyn DiskFile>, layout: L, page_size: usize) -> Result<Self, TreeError> {
        let path: Arc<Path> = file.path().into();
        let body = Body::new(layout.format(), page_size)
            .filter(|_| page_size.is_power_of_two() && (MIN_PAGE..=FRAME_SIZE).contains(&page_size));
        let body = body.ok_or_else(|| TreeError::PageSize { path: Arc::clone(&path), page_size })?;
        let out = Output { file, path, page_size, next: FIRST_USABLE, start: 0, pages: Vec::new() };
        let mut builder = Self {
            layout,
            body,
            out,
            levels: Vec::new(),
            last_key: Vec::new(),
            raw: Vec::new(),
            separator: Vec::new(),
        };
        builder.levels.push(builder.out.level(0)?);
        Ok(builder)
    }

    /// Adds an entry; its key must be greater than the one before.
    pub fn push(&mut self, key: &[u8], value: &[u8]) -> Result<(), TreeError> {
        if !self.body.accepts(key.len(), value.len()) {
            let path = Arc::clone(&self.out.path);
            return Err(TreeError::EntrySize { path, key: key.len(), value: value.len() });
        }
        let Some(leaf) = self.levels.first() else {
            return Err(TreeError::NotSorted { path: Arc::clone(&self.out.path) });
        };
        let first = leaf.full.is_none() && leaf.growing.entries.len() == 0;
        if !first && self.layout.compare(&self.last_key, key) != Ordering::Less {
            return Err(TreeError::NotSorted { path: Arc::clone(&self.out.path) });
        }
        self.out.encode_raw(&self.body, key, value, &mut self.raw)?;
        let cost = self.body.cost(Kind::Leaf, self.raw.len());
        if leaf.growing.cost + cost > self.body.capacity(Kind::Leaf) {
            self.separator.clear();
            self.layout.separator(&self.last_key, key, &mut self.separator);
            let mut separator = Vec::new();
            self.out.encode_raw(&self.body, &self.separator, &[], &mut separator)?;
            self.next_node(0, separator)?;
        }
        if let Some(leaf) = self.levels.first_mut() {
            leaf.growing.entries.push(&self.raw);
            leaf.growing.cost += cost;
        }
        self.last_key.clear();
        self.last_key.extend_from_slice(key);
        Ok(())
    }

    /// Starts the next node of a level. The one before it waits, the one before that is written.
    fn next_node(&mut self, level: usize, separator: Vec<u8>) -> Result<(), TreeError> {
        let id = self.out.allocate()?;
        let Some(at) = self.levels.get_mut(level) else {
            return Ok(());
        };
        let next = Growing { id, left: at.growing.id, separator, ..Growing::default() };
        let full = std::mem::replace(&mut at.growing, next);
        let right = full.id;
        match at.full.replace(full) {
            Some(before) => self.complete(level, before, right),
            None => Ok(()),
        }
    }

    /// Writes a node and gives it to its parent.
    fn complete(&mut self, level: usize, node: Growing, right: u64) -> Result<(), TreeError> {
        let kind = if level == 0 { Kind::Leaf } else { Kind::Internal };
        self.out.write_node(&self.body, kind, &node, right)?;
        self.push_child(level + 1, node.separator, node.id)
    }

    fn push_child(&mut self, level: usize, separator: Vec<u8>, child: u64) -> Result<(), TreeError> {
        if level >= self.levels.len() {
            let first = self.out.level(0)?;
            self.levels.push(first);
        }
        let Some(at) = self.levels.get_mut(level) else {
            return Ok(());
        };
        let first = at.growing.entries.children().is_empty();
        let cost = self.body.cost(Kind::Internal, separator.len());
        if !first && at.growing.cost + cost > self.body.capacity(Kind::Internal) {
            self.next_node(level, separator)?;
        } else if first {
            // The key before the first child belongs between this node and the one to its left.
            at.growing.separator = separator;
        } else {
            at.growing.entries.push(&separator);
            at.growing.cost += cost;
        }
        if let Some(at) = self.levels.get_mut(level) {
            at.growing.entries.push_child(child);
        }
        Ok(())
    }

    /// Completes the tree, with what its user keeps with it, and forces it to the medium.
    pub fn finish(mut self, header: &[u8]) -> Result<(), TreeError> {
        if header.len() > State::max_header(self.out.page_size) {
            return Err(TreeError::HeaderSize { path: self.out.path, length: header.len() });
        }
        let mut level = 0;
        let root = loop {
            let Some(mut at) = self.levels.get_mut(level).map(std::mem::take) else {
                return Err(TreeError::UsedUp { path: self.out.path });
            };
            let kind = if level == 0 { Kind::Leaf } else { Kind::Internal };
            let Some(mut full) = at.full else {
                // The only node of its level is the root.
                self.out.write_node(&self.body, kind, &at.growing, 0)?;
                break at.growing.id;
            };
            if kind == Kind::Internal && at.growing.entries.len() == 0 && full.entries.len() > 1 {
                at.growing.take_last_of(&mut full);
            }
            let right = at.growing.id;
            self.complete(level, full, right)?;
            self.complete(level, at.growing, 0)?;
            level += 1;
        };
        self.out.finish(&self.layout, root, header)
    }
}

impl Growing {
    /// Moves the last child of the node to the left to the front of this one, which has one child and no key.
    fn take_last_of(&mut self, left: &mut Self) {
        let mut entries = Entries::default();
        entries.push(&self.separator);
        if let (Some(first), Some(second)) = (left.entries.pop_child(), self.entries.pop_child()) {
            entries.push_child(first);
            entries.push_child(second);
        }
        let last = left.entries.len().saturating_sub(1);
        self.separator = left.entries.raw(last).to_vec();
        left.entries.pop();
        self.entries = entries;
    }
}

/// Pages on their way to the file.
#[derive(Debug)]
struct Output {
    file: Box<dyn DiskFile>,
    path: Arc<Path>,
    page_size: usize,
    /// Next page id to give away.
    next: u64,
    /// Page id of the first page in `pages`.
    start: u64,
    /// Neighbouring pages that are not in the file yet.
    pages: Vec<u8>,
}

impl Output {
    fn allocate(&mut self) -> Result<u64, TreeError> {
        let id = self.next;
        if id >= 1 << 48 {
            return Err(TreeError::UsedUp { path: Arc::clone(&self.path) });
        }
        self.next += 1;
        Ok(id)
    }

    fn level(&mut self, left: u64) -> Result<Level, TreeError> {
        let growing = Growing { id: self.allocate()?, left, ..Growing::default() };
        Ok(Level { full: None, growing })
    }

    /// Writes a page: behind the ones that wait if it is their neighbour.
    fn page(
        &mut self,
        id: u64,
        fill: impl FnOnce(&mut [u8]) -> Result<(), NodeError>,
    ) -> Result<(), TreeError> {
        let waiting = self.pages.len();
        let neighbour = self.start + (waiting / self.page_size) as u64 == id;
        if waiting >= STEP || waiting > 0 && !neighbour {
            self.flush()?;
        }
        let waiting = self.pages.len();
        if waiting == 0 {
            self.start = id;
        }
        self.pages.resize(waiting + self.page_size, 0);
        let page = self.pages.get_mut(waiting..).unwrap_or_default();
        fill(page).on(&self.path, id)
    }

    fn flush(&mut self) -> Result<(), TreeError> {
        self.file.write_at(self.start * self.page_size as u64, &self.pages)?;
        self.pages.clear();
        Ok(())
    }

    fn write_node(&mut self, body: &Body, kind: Kind, node: &Growing, right: u64) -> Result<(), TreeError> {
        let generation = GENERATIONS.stable;
        self.page(node.id, |page| {
            NodeHeader::start(page, kind, generation)?;
            for (name, to) in [(PointerName::LeftSibling, node.left), (PointerName::RightSibling, right)] {
                body.put_pointer(page, name, &Pointer::fresh(generation, to))?;
            }
            let content: Content<'_> = node.entries.content();
            body.pack(page, kind, content, generation)
        })
    }

    /// Makes the stored form of an entry; a long one gets a page of its own.
    fn encode_raw(
        &mut self,
        body: &Body,
        key: &[u8],
        value: &[u8],
        raw: &mut Vec<u8>,
    ) -> Result<(), TreeError> {
        let entry = if body.is_inline(key.len(), value.len()) {
            Entry::Inline { key, value }
        } else {
            let id = self.allocate()?;
            self.page(id, |page| Ok(Offloaded { key, value }.encode(page)?))?;
            Entry::Offloaded(id)
        };
        body.encode_raw(entry, raw);
        Ok(())
    }

    fn finish<L: Layout>(mut self, layout: &L, root: u64, header: &[u8]) -> Result<(), TreeError> {
        let free = self.allocate()?;
        self.page(free, |page| Ok(free_list::start(page)?))?;
        self.page(0, |page| {
            let meta = Meta {
                format: layout.format().identifier(),
                format_version: 0,
                page_size: u32::try_from(page.len()).unwrap_or(u32::MAX),
                layout: layout.id(),
            };
            Ok(super::page::put(page, 0, &meta.encode())?)
        })?;
        self.page(1, |_| Ok(()))?;
        self.page(2, |_| Ok(()))?;
        self.flush()?;
        self.file.sync()?;
        let position = FreePosition { page: free, entry: 0 };
        let state = State {
            generations: GENERATIONS,
            root,
            root_generation: i64::from(GENERATIONS.stable),
            last_id: free,
            free_write: position,
            free_read: position,
            clean: true,
        };
        self.page(StatePage::A.id(), |page| Ok(state.encode(header, page)?))?;
        self.flush()?;
        Ok(self.file.sync()?)
    }
}
