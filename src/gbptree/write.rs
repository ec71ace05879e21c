//! Changes of a tree: insert and overwrite, new versions of nodes, and splits.
//!
//! Nodes that survived a checkpoint are not changed, except for pointers: a new version of the node is made and the
//! pointers to it are set. Neo4j also lets the old version point to its successor, for readers that work meanwhile; there
//! are none here, so the old page stays as it is and need not be written. Specification: gbptree 3.5, 4.3.

use super::error::{OnPage, TreeError};
use super::layout::Layout;
use super::node::{self, Entry, Kind, NodeHeader, PointerName};
use super::offload::Offloaded;
use super::pointer::Pointer;
use super::tree::{Step, Tree};

/// What to do with the value of a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Change<V> {
    /// Leave it as it is, there or not there.
    Keep,
    /// Store this value.
    Put(V),
    /// Remove the key.
    Remove,
}

/// How far a change came that looked at one leaf only.
enum InPlace<V, F> {
    /// It is made.
    Done,
    /// It is made, and left less in the leaf than there should be.
    Shrinks,
    /// It needs more than this leaf.
    Decided(Change<V>, Result<usize, usize>),
    /// The key belongs to another leaf, or to one that must not be changed in place.
    Elsewhere(F),
}

impl<L: Layout> Tree<L> {
    /// Stores a key and its value in the place of an equal key with its value; whether the key is new. Equal keys may
    /// differ in their bytes: those of `key` are stored.
    pub fn put(&mut self, key: &[u8], value: &[u8]) -> Result<bool, TreeError> {
        let mut new = false;
        self.update(key, |old| {
            new = old.is_none();
            Change::Put(value)
        })?;
        Ok(new)
    }

    /// Stores a key unless an equal one is there; whether it was stored.
    pub fn insert(&mut self, key: &[u8], value: &[u8]) -> Result<bool, TreeError> {
        let mut new = false;
        self.update(key, |old| {
            new = old.is_none();
            if new { Change::Put(value) } else { Change::Keep }
        })?;
        Ok(new)
    }

    /// Removes a key; whether it was there.
    pub fn remove(&mut self, key: &[u8]) -> Result<bool, TreeError> {
        let mut there = false;
        self.update(key, |old| {
            there = old.is_some();
            Change::<&[u8]>::Remove
        })?;
        Ok(there)
    }

    /// Looks a key up and changes its value as `change` says, which gets the one that is there. Many changes are fastest
    /// in the order of their keys.
    pub fn update<V: AsRef<[u8]>>(
        &mut self,
        key: &[u8],
        change: impl FnOnce(Option<&[u8]>) -> Change<V>,
    ) -> Result<(), TreeError> {
        let updated = self.try_update(key, change);
        if updated.is_err() {
            self.lose_way();
        }
        updated
    }

    fn try_update<V: AsRef<[u8]>, F: FnOnce(Option<&[u8]>) -> Change<V>>(
        &mut self,
        key: &[u8],
        change: F,
    ) -> Result<(), TreeError> {
        let (change, found) = match self.update_in_place(key, change)? {
            InPlace::Done => return Ok(()),
            InPlace::Shrinks => return self.shrink_leaf(key),
            InPlace::Decided(change, found) => (change, found),
            InPlace::Elsewhere(change) => {
                let found = self.find(key)?;
                let leaf = self.leaf();
                let change = match found {
                    Ok(position) => {
                        let page = self.pages.read(leaf)?;
                        let entry =
                            self.body.entry(&page, Kind::Leaf, position).on(&self.pages.path, leaf)?;
                        self.with_entry(leaf, entry, |_, value| change(Some(value)))?
                    }
                    Err(_) => change(None),
                };
                (change, found)
            }
        };
        match (change, found) {
            (Change::Keep, _) | (Change::Remove, Err(_)) => Ok(()),
            (Change::Put(value), found) => self.store(key, value.as_ref(), found),
            (Change::Remove, Ok(position)) => self.delete(key, position),
        }
    }

    /// Changes an entry of the leaf of the last change if this leaf is all that it takes: one look at one page.
    fn update_in_place<V: AsRef<[u8]>, F: FnOnce(Option<&[u8]>) -> Change<V>>(
        &mut self,
        key: &[u8],
        change: F,
    ) -> Result<InPlace<V, F>, TreeError> {
        let leaf = self.leaf();
        if !(self.way.stays && self.way.writable) {
            return Ok(InPlace::Elsewhere(change));
        }
        let mut page = self.pages.write_near(leaf, &mut self.way.hint)?;
        let header = self.header_of(&page, leaf)?;
        let found = self.search_near(leaf, &page, header, key, self.way.position)?;
        if !self.surely_belongs(leaf, &page, header, found)? {
            self.way.stays = false;
            return Ok(InPlace::Elsewhere(change));
        }
        let on_page = |error| TreeError::node(&self.pages.path, leaf, error);
        let Ok(position) = found else {
            let change = change(None);
            let position = found.unwrap_or_else(|position| position);
            self.way.position = position + 1;
            let Change::Put(value) = &change else { return Ok(InPlace::Done) };
            let bytes = value.as_ref();
            if !self.body.accepts(key.len(), bytes.len()) || !self.body.is_inline(key.len(), bytes.len()) {
                return Ok(InPlace::Decided(change, found));
            }
            self.body.encode_raw(Entry::Inline { key, value: bytes }, &mut self.scratch.raw);
            let inserted = self.body.insert(&mut page, header, position, &self.scratch.raw);
            return Ok(if inserted.map_err(on_page)? {
                InPlace::Done
            } else {
                InPlace::Decided(change, found)
            });
        };
        self.way.position = position + 1;
        let entry = self.body.entry(&page, Kind::Leaf, position).map_err(on_page)?;
        let Entry::Inline { key: old_key, value: old_value } = entry else {
            let change = self.with_entry(leaf, entry, |_, value| change(Some(value)))?;
            return Ok(InPlace::Decided(change, found));
        };
        let same_key = old_key == key;
        let change = change(Some(old_value));
        let done = match &change {
            Change::Keep => true,
            Change::Put(value) if same_key && self.body.accepts(key.len(), value.as_ref().len()) => {
                self.body.overwrite(&mut page, header, position, value.as_ref()).map_err(on_page)?
            }
            Change::Put(_) => false,
            Change::Remove => {
                self.body.remove(&mut page, header, position).map_err(on_page)?;
                self.way.position = position;
                let header = NodeHeader { count: header.count - 1, ..header };
                if 2 * self.body.used(&page, header).map_err(on_page)? < self.body.capacity(Kind::Leaf) {
                    return Ok(InPlace::Shrinks);
                }
                true
            }
        };
        Ok(if done { InPlace::Done } else { InPlace::Decided(change, found) })
    }

    fn leaf(&self) -> u64 {
        self.way.steps.last().map_or(0, |step| step.page)
    }

    /// Finds the leaf of a key and its position there, and notes the way.
    pub(super) fn find(&mut self, key: &[u8]) -> Result<Result<usize, usize>, TreeError> {
        let before = self.leaf();
        if self.way.stays
            && let Some(found) = self.find_in_last_leaf(key)?
        {
            return Ok(found);
        }
        let mut steps = std::mem::take(&mut self.way.steps);
        steps.clear();
        let leaf = self.descend(key, |step| steps.push(step));
        self.way.steps = steps;
        let leaf = leaf?;
        self.way.stays = leaf == before;
        let page = self.pages.read(leaf)?;
        let header = self.header_of(&page, leaf)?;
        self.way.writable = self.is_writing() && header.generation == self.generations().unstable;
        let found = self.search(leaf, &page, header, key)?;
        self.way.position = found.map_or_else(|position| position, |position| position + 1);
        Ok(found)
    }

    /// The position of a key in the leaf of the last change, if it surely belongs there.
    fn find_in_last_leaf(&self, key: &[u8]) -> Result<Option<Result<usize, usize>>, TreeError> {
        let leaf = self.leaf();
        if leaf == 0 {
            return Ok(None);
        }
        let page = self.pages.read(leaf)?;
        let header = self.header_of(&page, leaf)?;
        let found = self.search_near(leaf, &page, header, key, self.way.position)?;
        Ok(self.surely_belongs(leaf, &page, header, found)?.then_some(found))
    }

    /// Whether a key that was looked for in a leaf belongs there: left of the first key, or right of the last, another
    /// leaf may be meant, if there is one.
    fn surely_belongs(
        &self,
        leaf: u64,
        page: &[u8],
        header: NodeHeader,
        found: Result<usize, usize>,
    ) -> Result<bool, TreeError> {
        let Err(position) = found else { return Ok(true) };
        Ok((position > 0 || self.target(page, leaf, PointerName::LeftSibling)? == 0)
            && (position < header.count || self.target(page, leaf, PointerName::RightSibling)? == 0))
    }

    /// The node at a level of the way; 0 is the root.
    pub(super) fn step(&self, level: usize) -> Step {
        self.way.steps.get(level).copied().unwrap_or(Step { page: 0, child: 0 })
    }

    /// The way is not to be trusted any more.
    pub(super) fn lose_way(&mut self) {
        self.way.steps.clear();
        self.way.stays = false;
        self.way.writable = false;
    }

    fn store(&mut self, key: &[u8], value: &[u8], found: Result<usize, usize>) -> Result<(), TreeError> {
        if !self.body.accepts(key.len(), value.len()) {
            let path = self.pages.path.clone();
            return Err(TreeError::EntrySize { path, key: key.len(), value: value.len() });
        }
        let same_key = match found {
            Ok(position) => {
                let leaf = self.leaf();
                let page = self.pages.read(leaf)?;
                let entry = self.body.entry(&page, Kind::Leaf, position).on(&self.pages.path, leaf)?;
                let (same_key, same_value) =
                    self.with_entry(leaf, entry, |old_key, old_value| (old_key == key, old_value == value))?;
                if same_key && same_value {
                    return Ok(());
                }
                same_key
            }
            Err(_) => false,
        };
        self.begin()?;
        let level = self.way.steps.len() - 1;
        let leaf = self.make_writable(level)?;
        self.way.writable = true;
        if let Ok(position) = found {
            if same_key {
                let mut page = self.pages.write(leaf)?;
                let header = self.header_of(&page, leaf)?;
                let overwritten = self.body.overwrite(&mut page, header, position, value);
                if overwritten.on(&self.pages.path, leaf)? {
                    return Ok(());
                }
            }
            self.take_out(leaf, position)?;
        }
        let position = found.unwrap_or_else(|position| position);
        let mut raw = std::mem::take(&mut self.scratch.raw);
        let stored = self.encode_raw(key, value, &mut raw).and_then(|()| {
            let fits = {
                let mut page = self.pages.write(leaf)?;
                let header = self.header_of(&page, leaf)?;
                self.body.insert(&mut page, header, position, &raw).on(&self.pages.path, leaf)?
            };
            if fits { Ok(()) } else { self.split_leaf(level, position, &raw) }
        });
        self.scratch.raw = raw;
        stored
    }

    /// Makes the stored form of an entry; a long one gets a page of its own.
    pub(super) fn encode_raw(
        &mut self,
        key: &[u8],
        value: &[u8],
        raw: &mut Vec<u8>,
    ) -> Result<(), TreeError> {
        let entry = if self.body.is_inline(key.len(), value.len()) {
            Entry::Inline { key, value }
        } else {
            let id = self.acquire()?;
            let mut page = self.pages.write_zeroed(id)?;
            Offloaded { key, value }.encode(&mut page).on(&self.pages.path, id)?;
            Entry::Offloaded(id)
        };
        self.body.encode_raw(entry, raw);
        Ok(())
    }

    /// Removes an entry of a leaf that may be changed, and its offload page.
    pub(super) fn take_out(&mut self, leaf: u64, position: usize) -> Result<(), TreeError> {
        let offloaded = {
            let mut page = self.pages.write(leaf)?;
            let header = self.header_of(&page, leaf)?;
            let offloaded = match self.body.entry(&page, header.kind, position).on(&self.pages.path, leaf)? {
                Entry::Offloaded(id) => Some(id),
                Entry::Inline { .. } => None,
            };
            self.body.remove(&mut page, header, position).on(&self.pages.path, leaf)?;
            offloaded
        };
        offloaded.map_or(Ok(()), |id| self.release(id))
    }

    /// The node at a level of the way in a version that may be changed.
    pub(super) fn make_writable(&mut self, level: usize) -> Result<u64, TreeError> {
        let parent = level.checked_sub(1).map(|above| self.step(above));
        let new = self.successor(self.step(level).page, parent)?;
        if let Some(step) = self.way.steps.get_mut(level) {
            step.page = new;
        }
        Ok(new)
    }

    /// A version of a node that may be changed: itself if it is of this session, else a copy in its place. Without
    /// `parent` it is the root. Specification: gbptree 4.3, "Successor".
    pub(super) fn successor(&mut self, old: u64, parent: Option<Step>) -> Result<u64, TreeError> {
        let generations = self.generations();
        let mut copy = std::mem::take(&mut self.scratch.page);
        let (left, right) = {
            let page = self.pages.read(old)?;
            let header = self.header_of(&page, old)?;
            if header.generation == generations.unstable {
                self.scratch.page = copy;
                return Ok(old);
            }
            copy.clear();
            copy.extend_from_slice(&page);
            let left = self.target(&page, old, PointerName::LeftSibling)?;
            (left, self.target(&page, old, PointerName::RightSibling)?)
        };
        let new = self.acquire()?;
        node::set_generation(&mut copy, generations.unstable).on(&self.pages.path, old)?;
        let nowhere = Pointer::fresh(generations.unstable, 0);
        self.body.put_pointer(&mut copy, PointerName::Successor, &nowhere).on(&self.pages.path, old)?;
        self.pages.write_whole(new)?.copy_from_slice(&copy);
        self.scratch.page = copy;
        if left != 0 {
            self.point(left, PointerName::RightSibling, new)?;
        }
        if right != 0 {
            self.point(right, PointerName::LeftSibling, new)?;
        }
        match parent {
            Some(parent) => self.point(parent.page, PointerName::Child(parent.child), new)?,
            None => self.set_root(new),
        }
        self.release(old)?;
        Ok(new)
    }

    /// Lets a pointer of a node lead to another page, whichever version the node is.
    pub(super) fn point(&self, node: u64, name: PointerName, to: u64) -> Result<(), TreeError> {
        let mut page = self.pages.write(node)?;
        let header = self.header_of(&page, node)?;
        if let PointerName::Child(position) = name
            && (header.kind == Kind::Leaf || position > header.count)
        {
            return Err(self.out_of_order(node));
        }
        self.body.point(&mut page, name, self.generations(), to).on(&self.pages.path, node)
    }

    pub(super) fn set_root(&mut self, root: u64) {
        self.state.root = root;
        self.state.root_generation = i64::from(self.generations().unstable);
    }

    /// Writes a node that nothing leads to yet.
    fn write_node(
        &self,
        id: u64,
        kind: Kind,
        siblings: [u64; 2],
        content: node::Content<'_>,
    ) -> Result<(), TreeError> {
        let generation = self.generations().unstable;
        let mut page = self.pages.write_zeroed(id)?;
        let mut write = || {
            NodeHeader::start(&mut page, kind, generation)?;
            let [left, right] = siblings.map(|sibling| Pointer::fresh(generation, sibling));
            self.body.put_pointer(&mut page, PointerName::LeftSibling, &left)?;
            self.body.put_pointer(&mut page, PointerName::RightSibling, &right)?;
            self.body.pack(&mut page, kind, content, generation)
        };
        write().on(&self.pages.path, id)
    }

    /// Writes the entries of a node anew; its siblings stay.
    pub(super) fn repack(&self, id: u64, kind: Kind, content: node::Content<'_>) -> Result<(), TreeError> {
        let mut page = self.pages.write(id)?;
        self.body.pack(&mut page, kind, content, self.generations().unstable).on(&self.pages.path, id)
    }

    /// Splits a leaf that has no room for an entry. Specification: gbptree 4.3, "Leaf split".
    fn split_leaf(&mut self, level: usize, position: usize, raw: &[u8]) -> Result<(), TreeError> {
        let mut entries = std::mem::take(&mut self.scratch.entries);
        let split = self.split_leaf_with(level, position, raw, &mut entries);
        self.scratch.entries = entries;
        self.lose_way();
        split
    }

    fn split_leaf_with(
        &mut self,
        level: usize,
        position: usize,
        raw: &[u8],
        entries: &mut node::Entries,
    ) -> Result<(), TreeError> {
        let left = self.step(level).page;
        let (count, old_right) = {
            let page = self.pages.read(left)?;
            let header = self.header_of(&page, left)?;
            entries.clear();
            entries.append(&self.body, &page, Kind::Leaf, 0..position).on(&self.pages.path, left)?;
            entries.push(raw);
            entries
                .append(&self.body, &page, Kind::Leaf, position..header.count)
                .on(&self.pages.path, left)?;
            (header.count, self.target(&page, left, PointerName::RightSibling)?)
        };
        let appended = position == count && old_right == 0;
        let cut = entries.cut_leaf(&self.body, appended).on(&self.pages.path, left)?;
        let right = self.acquire()?;
        self.write_node(right, Kind::Leaf, [left, old_right], entries.part(cut, entries.len()))?;
        self.repack(left, Kind::Leaf, entries.part(0, cut))?;
        if old_right != 0 {
            self.point(old_right, PointerName::LeftSibling, right)?;
        }
        self.point(left, PointerName::RightSibling, right)?;
        let mut separator = Vec::new();
        self.separator(left, cut - 1, right, 0, &mut separator)?;
        let mut raw = Vec::new();
        self.encode_raw(&separator, &[], &mut raw)?;
        self.insert_child(level, raw, right, entries)
    }

    /// The key that separates an entry of a leaf from a later one of the same or another leaf.
    pub(super) fn separator(
        &self,
        left: u64,
        last: usize,
        right: u64,
        first: usize,
        separator: &mut Vec<u8>,
    ) -> Result<(), TreeError> {
        let mut last_key = Vec::new();
        self.copy_key(left, last, &mut last_key)?;
        let page = self.pages.read(right)?;
        let entry = self.body.entry(&page, Kind::Leaf, first).on(&self.pages.path, right)?;
        separator.clear();
        self.with_entry(right, entry, |key, _| self.layout.separator(&last_key, key, separator))
    }

    fn copy_key(&self, leaf: u64, position: usize, out: &mut Vec<u8>) -> Result<(), TreeError> {
        let page = self.pages.read(leaf)?;
        let entry = self.body.entry(&page, Kind::Leaf, position).on(&self.pages.path, leaf)?;
        self.with_entry(leaf, entry, |key, _| out.extend_from_slice(key))
    }

    /// Inserts a separator and the node to its right into the parent of the node at `level`, splitting nodes upwards as
    /// long as they have no room. Specification: gbptree 4.3, "Internal split".
    fn insert_child(
        &mut self,
        mut level: usize,
        mut raw: Vec<u8>,
        mut child: u64,
        entries: &mut node::Entries,
    ) -> Result<(), TreeError> {
        let generations = self.generations();
        loop {
            let Some(above) = level.checked_sub(1) else {
                return self.grow_root(self.step(0).page, &raw, child, entries);
            };
            level = above;
            let left = self.make_writable(level)?;
            let position = self.step(level).child;
            let (count, old_right) = {
                let mut page = self.pages.write(left)?;
                let header = self.header_of(&page, left)?;
                let pointer = Pointer::fresh(generations.unstable, child);
                let fits = self.body.insert_child(&mut page, header, position, &raw, &pointer);
                if fits.on(&self.pages.path, left)? {
                    return Ok(());
                }
                (header.count, self.target(&page, left, PointerName::RightSibling)?)
            };
            {
                let page = self.pages.read(left)?;
                let body = &self.body;
                let unpack = |entries: &mut node::Entries| {
                    entries.clear();
                    entries.append(body, &page, Kind::Internal, 0..position)?;
                    entries.push(&raw);
                    entries.append(body, &page, Kind::Internal, position..count)?;
                    entries.append_children(body, &page, 0..position + 1, generations)?;
                    entries.push_child(child);
                    entries.append_children(body, &page, position + 1..count + 1, generations)
                };
                unpack(entries).on(&self.pages.path, left)?;
            }
            let appended = position == count && old_right == 0;
            let cut = entries.cut_internal(&self.body, appended).on(&self.pages.path, left)?;
            let right = self.acquire()?;
            let upper = entries.part(cut + 1, entries.len());
            self.write_node(right, Kind::Internal, [left, old_right], upper)?;
            self.repack(left, Kind::Internal, entries.part(0, cut))?;
            if old_right != 0 {
                self.point(old_right, PointerName::LeftSibling, right)?;
            }
            self.point(left, PointerName::RightSibling, right)?;
            raw.clear();
            raw.extend_from_slice(entries.raw(cut));
            child = right;
        }
    }

    fn grow_root(
        &mut self,
        left: u64,
        raw: &[u8],
        right: u64,
        entries: &mut node::Entries,
    ) -> Result<(), TreeError> {
        entries.clear();
        entries.push(raw);
        entries.push_child(left);
        entries.push_child(right);
        let root = self.acquire()?;
        self.write_node(root, Kind::Internal, [0, 0], entries.content())?;
        self.set_root(root);
        Ok(())
    }
}
