//! The structure check: whether every page of a tree is where it belongs. It changes nothing.

use std::cmp::Ordering;
use std::fmt::Write;
use std::rc::Rc;

use rustc_hash::FxHashSet;

use super::error::{OnPage, TreeError};
use super::free_list;
use super::layout::Layout;
use super::node::{Body, Entry, Kind, NodeHeader, PointerName};
use super::page::{self, FIRST_USABLE, page_type};
use super::pointer::{Slot, SlotState, Target};
use super::report::{Inconsistency, Neighbour};
use super::state::FreePosition;
use super::tree::Tree;

/// What a structure check walked through.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Structure {
    /// Leaves.
    pub leaves: u64,
    /// Internal nodes.
    pub internals: u64,
    /// Entries of all leaves.
    pub entries: u64,
    /// Offload pages.
    pub offloaded: u64,
    /// Pages that are free, the pages of the list itself included.
    pub free: u64,
    /// Levels of the tree; 1 = the root is a leaf.
    pub depth: usize,
    /// Pointers that a search reads and can't, although no slot is damaged by itself: to successors, and to the right of
    /// leaves.
    pub unreadable: u64,
}

impl<L: Layout> Tree<L> {
    /// Checks the structure of the tree and reports what is wrong. Specification: gbptree 6.
    pub fn check(&self, report: &mut dyn FnMut(Inconsistency)) -> Result<Structure, TreeError> {
        let words = usize::try_from(self.state.last_id / 64 + 1).unwrap_or(usize::MAX);
        let mut check = Check {
            tree: self,
            seen: vec![0; words],
            behind: FxHashSet::default(),
            rightmost: Vec::new(),
            visits_left: self.state.last_id.saturating_add(1).saturating_mul(2),
            structure: Structure::default(),
            report,
        };
        match check.run() {
            Ok(()) => {}
            Err(error @ (TreeError::Disk(_) | TreeError::Cache(_))) => return Err(error),
            Err(error) => (check.report)(Inconsistency::Exception(error.to_string())),
        }
        Ok(check.structure)
    }
}

/// A key that bounds a subtree; `None`: nothing does.
type Limit = Option<Rc<[u8]>>;

/// A node and the keys that are possible in it.
#[derive(Clone, Debug)]
struct Visit {
    id: u64,
    /// How the parent leads here, and in which generation that was written.
    pointer: Option<(u64, usize)>,
    pointer_generation: i64,
    from: Limit,
    to: Limit,
}

/// An internal node whose children are being visited.
#[derive(Debug)]
struct Parent {
    visit: Visit,
    next_child: usize,
    children: usize,
}

struct Check<'a, L> {
    tree: &'a Tree<L>,
    /// A bit per page.
    seen: Vec<u64>,
    /// Pages behind the last one that were seen.
    behind: FxHashSet<u64>,
    /// Of each level the last node so far, and where its right sibling is said to be.
    rightmost: Vec<Option<(Neighbour, Target)>>,
    /// Nodes that may still be visited.
    visits_left: u64,
    structure: Structure,
    report: &'a mut dyn FnMut(Inconsistency),
}

impl<L: Layout> Check<'_, L> {
    fn run(&mut self) -> Result<(), TreeError> {
        self.walk_free_list()?;
        self.walk_nodes()?;
        for (node, right) in std::mem::take(&mut self.rightmost).into_iter().flatten() {
            if right.page != 0 {
                (self.report)(Inconsistency::RightmostHasRightSibling { node: node.page, right: right.page });
            }
        }
        // Neo4j looks for leaked pages only if the number of pages that were seen, wherever they are, is not that of the
        // pages in use.
        let seen =
            self.seen.iter().map(|word| u64::from(word.count_ones())).sum::<u64>() + self.behind.len() as u64;
        let last_id = self.tree.state.last_id;
        if seen != (last_id + 1).saturating_sub(FIRST_USABLE) {
            for page in FIRST_USABLE..=last_id {
                if !self.is_seen(page) {
                    (self.report)(Inconsistency::Leaked { page });
                }
            }
        }
        Ok(())
    }

    fn place(page: u64) -> Option<(usize, u64)> {
        Some((usize::try_from(page / 64).ok()?, 1 << (page % 64)))
    }

    fn is_seen(&self, page: u64) -> bool {
        Self::place(page).is_some_and(|(word, bit)| self.seen.get(word).is_some_and(|word| word & bit != 0))
    }

    /// Marks a page; `false`: it was marked before, or there is no such page.
    fn mark(&mut self, page: u64) -> bool {
        let last_id = self.tree.state.last_id;
        if page > last_id {
            (self.report)(Inconsistency::BehindLastId { page, last_id });
            if !self.behind.insert(page) {
                (self.report)(Inconsistency::SeenTwice { page });
            }
            return false;
        }
        let first = match Self::place(page).and_then(|(word, bit)| Some((self.seen.get_mut(word)?, bit))) {
            Some((word, bit)) => {
                let first = *word & bit == 0;
                *word |= bit;
                first
            }
            None => false,
        };
        if !first {
            (self.report)(Inconsistency::SeenTwice { page });
        }
        first
    }

    fn walk_free_list(&mut self) -> Result<(), TreeError> {
        let FreePosition { page: mut id, mut entry } = self.tree.state.free_read;
        let write = self.tree.state.free_write;
        let most = free_list::entries(self.tree.pages.size());
        while self.mark(id) {
            self.structure.free += 1;
            let page = self.tree.pages.read(id)?;
            let end = if id == write.page { write.entry.min(most) } else { most };
            for position in entry..end {
                let freed = free_list::Freed::decode(&page, position).on(&self.tree.pages.path, id)?;
                if self.mark(freed.page) {
                    self.structure.free += 1;
                }
            }
            if id == write.page {
                break;
            }
            entry = 0;
            id = free_list::next(&page).on(&self.tree.pages.path, id)?;
        }
        Ok(())
    }

    /// Depth first, without recursion: a damaged file may be as deep as it has pages.
    fn walk_nodes(&mut self) -> Result<(), TreeError> {
        let state = &self.tree.state;
        let mut next = Some(Visit {
            id: state.root,
            pointer: None,
            pointer_generation: state.root_generation,
            from: None,
            to: None,
        });
        let mut parents: Vec<Parent> = Vec::new();
        loop {
            if let Some(visit) = next.take() {
                let children = self.visit(&visit, &parents)?;
                if children > 0 {
                    parents.push(Parent { visit, next_child: 0, children });
                }
            }
            let Some(parent) = parents.last_mut() else {
                return Ok(());
            };
            let position = parent.next_child;
            if position == parent.children {
                parents.pop();
                continue;
            }
            parent.next_child += 1;
            let (id, count) = (parent.visit.id, parent.children - 1);
            let (mut from, mut to) = (parent.visit.from.clone(), parent.visit.to.clone());
            let page = self.tree.pages.read(id)?;
            self.check_pointer(&page, id, PointerName::Child(position))?;
            if let Some(left) = position.checked_sub(1) {
                from = Some(self.key(id, &page, left)?);
            }
            if position < count {
                to = Some(self.key(id, &page, position)?);
            }
            let target = self.read_pointer(&page, id, PointerName::Child(position))?;
            next = Some(Visit {
                id: target.page,
                pointer: Some((id, position)),
                pointer_generation: i64::from(target.generation),
                from,
                to,
            });
        }
    }

    fn key(&self, id: u64, page: &[u8], position: usize) -> Result<Rc<[u8]>, TreeError> {
        let entry = self.tree.body.entry(page, Kind::Internal, position).on(&self.tree.pages.path, id)?;
        self.tree.with_entry(id, entry, |key, _| Rc::from(key))
    }

    /// A pointer that can't be read leads to page 0.
    fn read_pointer(&self, page: &[u8], id: u64, name: PointerName) -> Result<Target, TreeError> {
        let pointer = self.tree.body.pointer(page, name).on(&self.tree.pages.path, id)?;
        Ok(pointer.read(self.tree.generations()).unwrap_or(Target { page: 0, generation: 0 }))
    }

    /// Reports that a crash left a slot, and that one has a wrong checksum: each once, be it of one slot or of both.
    fn check_pointer(&mut self, page: &[u8], id: u64, name: PointerName) -> Result<(), TreeError> {
        let pointer = self.tree.body.pointer(page, name).on(&self.tree.pages.path, id)?;
        let generations = self.tree.generations();
        let slots = [pointer.a, pointer.b].map(|slot: Slot| (slot, slot.state(generations)));
        let any = |wanted| slots.iter().any(|&(_, state)| state == wanted);
        if any(SlotState::Crash) {
            (self.report)(Inconsistency::CrashPointer { node: id, name, slots });
        }
        if any(SlotState::Broken) {
            (self.report)(Inconsistency::BrokenPointer { node: id, name, slots });
        }
        Ok(())
    }

    /// Checks a node; returns how many children are to be visited.
    fn visit(&mut self, visit: &Visit, parents: &[Parent]) -> Result<usize, TreeError> {
        let id = visit.id;
        self.mark(id);
        if parents.iter().any(|parent| parent.visit.id == id) {
            let (range, level) = (self.ranges(parents, visit), parents.len());
            (self.report)(Inconsistency::Circular { node: id, level, range });
            return Ok(0);
        }
        // A page that is met twice is gone through twice, as Neo4j does it, but not without end: pages that lead to the
        // same page level after level would be met more often than there are pages.
        let Some(left) = self.visits_left.checked_sub(1) else { return Ok(0) };
        self.visits_left = left;
        let page = self.tree.pages.read(id)?;
        let [page_type, node_type] = *page::array(&page, 0).on(&self.tree.pages.path, id)?;
        if page_type != page_type::TREE_NODE || id < FIRST_USABLE {
            (self.report)(Inconsistency::NotATreeNode { page: id });
            return Ok(0);
        }
        let kind = match node_type {
            0 => Kind::Internal,
            1 => Kind::Leaf,
            found => {
                let found = found.cast_signed();
                (self.report)(Inconsistency::UnknownNodeType { page: id, found });
                return Ok(0);
            }
        };
        for name in [PointerName::LeftSibling, PointerName::RightSibling, PointerName::Successor] {
            self.check_pointer(&page, id, name)?;
        }
        let [generation @ .., c0, c1, c2, c3] = *page::array::<8>(&page, 2).on(&self.tree.pages.path, id)?;
        let (generation, stored_count) =
            (u32::from_be_bytes(generation), i32::from_be_bytes([c0, c1, c2, c3]));
        let sane = usize::try_from(stored_count).ok().filter(|&count| count <= self.tree.body.sane_keys());
        if sane.is_none() {
            (self.report)(Inconsistency::InsaneKeyCount { page: id, count: stored_count });
        }
        let fits = |count: &usize| *count <= self.tree.body.max_keys(kind);
        let header = sane.filter(fits).map(|count| NodeHeader { kind, generation, count });
        let mut whole = header.is_some();
        if let Some(header) = header {
            self.check_keys(visit, &page, header, parents)?;
        }
        if let Body::Dynamic(dynamic) = &self.tree.body {
            let found = dynamic.contradictions(&page, kind, stored_count).on(&self.tree.pages.path, id)?;
            if !found.is_empty() {
                whole = false;
                (self.report)(Inconsistency::Contradictions { node: id, found });
            }
        }
        if visit.pointer_generation < i64::from(generation) {
            (self.report)(Inconsistency::PointerOlderThanNode {
                name: visit.pointer.map(|(_, position)| PointerName::Child(position)),
                node: visit.pointer.map(|(parent, _)| parent),
                pointer_generation: visit.pointer_generation,
                target: id,
                generation,
            });
        }
        self.check_siblings(&page, id, generation, parents.len())?;
        let successor = self.read_pointer(&page, id, PointerName::Successor)?;
        if successor.page != 0 {
            (self.report)(Inconsistency::HasSuccessor { node: id, successor: successor.page });
        }
        for name in [PointerName::Successor, PointerName::RightSibling] {
            let is_read = name == PointerName::Successor || kind == Kind::Leaf;
            let pointer = self.tree.body.pointer(&page, name).on(&self.tree.pages.path, id)?;
            self.structure.unreadable += u64::from(is_read && pointer.read(self.tree.generations()).is_err());
        }
        self.structure.depth = self.structure.depth.max(parents.len() + 1);
        match (kind, header) {
            (Kind::Leaf, header) => {
                self.structure.leaves += 1;
                self.structure.entries += header.map_or(0, |header| header.count as u64);
                Ok(0)
            }
            (Kind::Internal, header) => {
                self.structure.internals += 1;
                Ok(header.filter(|_| whole).map_or(0, |header| header.count + 1))
            }
        }
    }

    /// The keys that are possible in a node, a line for each level above it: the page there, and what it lets through.
    fn ranges(&self, parents: &[Parent], visit: &Visit) -> String {
        let limit = |limit: &Limit| match limit {
            Some(key) => self.tree.layout.describe(key),
            None => "null".to_owned(),
        };
        let way = parents.iter().map(|parent| &parent.visit).chain([visit]);
        let mut text = String::from("level: -1 {-1} null ≤ key < null");
        for (level, visit) in way.skip(1).enumerate() {
            let parent = visit.pointer.map_or(0, |(parent, _)| parent);
            let (from, to) = (limit(&visit.from), limit(&visit.to));
            // Writing into a string can't fail.
            let _ = write!(text, "\nlevel: {level} {{{parent}}} {from} ≤ key < {to}");
        }
        text
    }

    /// Keys must increase and lie between those that lead here; their offload pages are in use.
    fn check_keys(
        &mut self,
        visit: &Visit,
        page: &[u8],
        header: NodeHeader,
        parents: &[Parent],
    ) -> Result<(), TreeError> {
        let (tree, id) = (self.tree, visit.id);
        let mut before: Vec<u8> = Vec::new();
        for position in 0..header.count {
            let entry = tree.body.entry(page, header.kind, position).on(&tree.pages.path, id)?;
            if let Entry::Offloaded(offload) = entry
                && self.mark(offload)
            {
                self.structure.offloaded += 1;
            }
            let (readable, increases, inside) = tree.with_entry(id, entry, |key, _| {
                let increases = position == 0 || tree.layout.compare(&before, key) == Ordering::Less;
                let above = |from: &Rc<[u8]>| tree.layout.compare(from, key) != Ordering::Greater;
                let below = |to: &Rc<[u8]>| tree.layout.compare(key, to) == Ordering::Less;
                let inside = visit.from.as_ref().is_none_or(above) && visit.to.as_ref().is_none_or(below);
                before.clear();
                before.extend_from_slice(key);
                (header.kind == Kind::Internal || tree.layout.is_key(key), increases, inside)
            })?;
            if !readable {
                return Err(tree.out_of_order(id));
            }
            if !increases {
                (self.report)(Inconsistency::KeysOutOfOrder { page: id });
            }
            if !inside {
                let range = self.ranges(parents, visit);
                (self.report)(Inconsistency::KeyOutsideRange {
                    range,
                    key: tree.layout.describe(&before),
                    position,
                    count: header.count,
                    page: id,
                });
            }
        }
        Ok(())
    }

    /// A node and the one that was visited before it on its level must point to each other.
    fn check_siblings(
        &mut self,
        page: &[u8],
        id: u64,
        generation: u32,
        level: usize,
    ) -> Result<(), TreeError> {
        let left = self.read_pointer(page, id, PointerName::LeftSibling)?;
        let right = self.read_pointer(page, id, PointerName::RightSibling)?;
        let node = Neighbour { page: id, generation };
        if level >= self.rightmost.len() {
            self.rightmost.resize(level + 1, None);
        }
        let before = self.rightmost.get_mut(level).and_then(|place| place.replace((node, right)));
        let nothing = (Neighbour { page: 0, generation: 0 }, Target { page: 0, generation: 0 });
        let (neighbour, leads_to) = before.unwrap_or(nothing);
        let older = |name, from: Neighbour, pointer: Target, generation: u32| {
            (pointer.generation < generation).then(|| Inconsistency::PointerOlderThanNode {
                name: Some(name),
                node: Some(from.page),
                pointer_generation: i64::from(pointer.generation),
                target: pointer.page,
                generation,
            })
        };
        let misaligned = left.page != neighbour.page || before.is_some() && leads_to.page != id;
        if misaligned {
            (self.report)(Inconsistency::SiblingsMisaligned {
                left: neighbour,
                leads_to,
                back: left,
                right: node,
            });
        }
        // The generations of both pointers count wherever they lead, if the one to the right leads anywhere.
        let to_right = before
            .filter(|_| leads_to.page != 0)
            .and_then(|_| older(PointerName::RightSibling, neighbour, leads_to, node.generation));
        let to_left = before.and_then(|_| older(PointerName::LeftSibling, node, left, neighbour.generation));
        to_right.into_iter().chain(to_left).for_each(|found| (self.report)(found));
        Ok(())
    }
}
