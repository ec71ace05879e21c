//! Changes of a tree: removal, and what it does with nodes that are less than half full.
//!
//! A node with little in it is merged with a neighbour below the same parent if one node can hold both; of two leaves
//! that need two nodes, entries move until both hold about the same. Neo4j also does this across parents for leaves and
//! never for internal nodes; both leave trees that the other accepts. Specification: gbptree 4.3, 4.5.

use super::error::{OnPage, TreeError};
use super::layout::Layout;
use super::node::{Entries, Entry, Kind, NodeHeader, PointerName};
use super::tree::{Step, Tree};

/// Two neighbours below one parent.
#[derive(Clone, Copy, Debug)]
struct Pair {
    parent: u64,
    /// Position of the key between them.
    separator: usize,
    left: u64,
    right: u64,
    /// Whether the one that lost an entry, which may be changed, is the left one.
    left_lost: bool,
}

impl<L: Layout> Tree<L> {
    /// Removes an entry of the leaf at the end of the way.
    pub(super) fn delete(&mut self, key: &[u8], position: usize) -> Result<(), TreeError> {
        self.begin()?;
        let leaf = self.make_writable(self.way.steps.len() - 1)?;
        self.way.writable = true;
        self.take_out(leaf, position)?;
        self.shrink_leaf(key)
    }

    /// Looks after the leaf at the end of the way, which lost the entry of a key.
    pub(super) fn shrink_leaf(&mut self, key: &[u8]) -> Result<(), TreeError> {
        let mut entries = std::mem::take(&mut self.scratch.entries);
        let shrunk = self.shrink_all(key, &mut entries);
        self.scratch.entries = entries;
        shrunk
    }

    /// A leaf gets other neighbours when one of its parents is merged; then it has its turn once more.
    fn shrink_all(&mut self, key: &[u8], entries: &mut Entries) -> Result<(), TreeError> {
        while self.shrink(self.way.steps.len() - 1, entries)? {
            self.find(key)?.ok();
        }
        Ok(())
    }

    /// Looks after a node that lost an entry, and after its parents; whether one of these was merged.
    fn shrink(&mut self, mut level: usize, entries: &mut Entries) -> Result<bool, TreeError> {
        let mut parents_merged = false;
        loop {
            let id = self.step(level).page;
            let (header, used) = self.used(id)?;
            let Some(above) = level.checked_sub(1) else {
                self.shrink_root(id, header)?;
                return Ok(parents_merged);
            };
            let capacity = self.body.capacity(header.kind);
            if used * 2 >= capacity {
                return Ok(parents_merged);
            }
            let pairs = self.pairs(self.step(above), id)?;
            let mut fitting = None;
            for pair in pairs.into_iter().flatten() {
                let both = self.used(pair.left)?.1 + self.used(pair.right)?.1;
                if fitting.is_none() && both + self.lowered(header.kind, pair)? <= capacity {
                    fitting = Some(pair);
                }
            }
            match (fitting, pairs) {
                (Some(pair), _) => {
                    self.merge(level, header.kind, pair, entries)?;
                    parents_merged |= header.kind == Kind::Internal;
                }
                // An only child: perhaps its parent can be merged.
                (None, [None, None]) => {}
                (None, [Some(pair), _] | [None, Some(pair)]) => {
                    if header.kind == Kind::Leaf {
                        self.balance(above, pair, entries)?;
                    }
                    return Ok(parents_merged);
                }
            }
            level = above;
        }
    }

    /// An internal root with one child only gives way to that child.
    fn shrink_root(&mut self, mut root: u64, mut header: NodeHeader) -> Result<(), TreeError> {
        for _ in 0..self.pages.count() {
            if header.kind == Kind::Leaf || header.count > 0 {
                return Ok(());
            }
            let child = {
                let page = self.pages.read(root)?;
                self.body.child(&page, 0, self.generations()).on(&self.pages.path, root)?
            };
            self.release(root)?;
            self.set_root(child);
            self.lose_way();
            root = child;
            header = self.used(root)?.0;
        }
        Err(self.out_of_order(root))
    }

    fn used(&self, id: u64) -> Result<(NodeHeader, usize), TreeError> {
        let page = self.pages.read(id)?;
        let header = self.header_of(&page, id)?;
        Ok((header, self.body.used(&page, header).on(&self.pages.path, id)?))
    }

    /// A child with its left neighbour, and with its right one, as far as it has them below the same parent.
    fn pairs(&self, parent: Step, id: u64) -> Result<[Option<Pair>; 2], TreeError> {
        let page = self.pages.read(parent.page)?;
        let header = self.header_of(&page, parent.page)?;
        let pair = |separator: usize, left_lost: bool| {
            let neighbour = if left_lost { separator + 1 } else { separator };
            let neighbour =
                self.body.child(&page, neighbour, self.generations()).on(&self.pages.path, parent.page)?;
            if neighbour == id {
                return Err(self.out_of_order(parent.page));
            }
            let (left, right) = if left_lost { (id, neighbour) } else { (neighbour, id) };
            Ok(Pair { parent: parent.page, separator, left, right, left_lost })
        };
        let left = parent.child.checked_sub(1).map(|separator| pair(separator, false)).transpose()?;
        let right = (parent.child < header.count).then(|| pair(parent.child, true)).transpose()?;
        Ok([left, right])
    }

    /// What the key between two internal nodes costs in the one that they become.
    fn lowered(&self, kind: Kind, pair: Pair) -> Result<usize, TreeError> {
        if kind == Kind::Leaf {
            return Ok(0);
        }
        let raw = self.raw_separator(pair)?;
        Ok(self.body.cost(kind, raw.len()))
    }

    fn raw_separator(&self, pair: Pair) -> Result<Vec<u8>, TreeError> {
        let mut raw = Vec::new();
        let page = self.pages.read(pair.parent)?;
        let separator = self.body.append_raw(&page, Kind::Internal, pair.separator, &mut raw);
        separator.on(&self.pages.path, pair.parent)?;
        Ok(raw)
    }

    /// The offload page of the key between two nodes, if it has one.
    fn offloaded_separator(&self, pair: Pair) -> Result<Option<u64>, TreeError> {
        let page = self.pages.read(pair.parent)?;
        match self.body.entry(&page, Kind::Internal, pair.separator).on(&self.pages.path, pair.parent)? {
            Entry::Offloaded(id) => Ok(Some(id)),
            Entry::Inline { .. } => Ok(None),
        }
    }

    /// The entries of both nodes, and what stands between them.
    fn unpack(&self, kind: Kind, pair: Pair, entries: &mut Entries) -> Result<usize, TreeError> {
        entries.clear();
        let mut boundary = 0;
        for id in [pair.left, pair.right] {
            if id == pair.right {
                boundary = entries.len();
                if kind == Kind::Internal {
                    entries.push(&self.raw_separator(pair)?);
                }
            }
            let page = self.pages.read(id)?;
            let header = self.header_of(&page, id)?;
            if header.kind != kind {
                return Err(self.out_of_order(pair.parent));
            }
            entries.append(&self.body, &page, kind, 0..header.count).on(&self.pages.path, id)?;
            if kind == Kind::Internal {
                let children = 0..header.count + 1;
                entries
                    .append_children(&self.body, &page, children, self.generations())
                    .on(&self.pages.path, id)?;
            }
        }
        Ok(boundary)
    }

    /// Makes one node of the one at a level of the way, which survives, and its neighbour, which is released.
    fn merge(
        &mut self,
        level: usize,
        kind: Kind,
        pair: Pair,
        entries: &mut Entries,
    ) -> Result<(), TreeError> {
        let above = level - 1;
        let parent = self.make_writable(above)?;
        let id = self.make_writable(level)?;
        let pair = if pair.left_lost {
            Pair { parent, left: id, ..pair }
        } else {
            Pair { parent, right: id, ..pair }
        };
        self.unpack(kind, pair, entries)?;
        let (survivor, victim, outward, inward) = if pair.left_lost {
            (pair.left, pair.right, PointerName::RightSibling, PointerName::LeftSibling)
        } else {
            (pair.right, pair.left, PointerName::LeftSibling, PointerName::RightSibling)
        };
        let beyond = {
            let page = self.pages.read(victim)?;
            self.target(&page, victim, outward)?
        };
        self.repack(survivor, kind, entries.content())?;
        self.point(survivor, outward, beyond)?;
        if beyond != 0 {
            self.point(beyond, inward, survivor)?;
        }
        if kind == Kind::Leaf
            && let Some(offloaded) = self.offloaded_separator(pair)?
        {
            self.release(offloaded)?;
        }
        {
            let mut page = self.pages.write(pair.parent)?;
            let header = self.header_of(&page, pair.parent)?;
            let child = if pair.left_lost { pair.separator + 1 } else { pair.separator };
            let removed = self.body.remove_child(&mut page, header, pair.separator, child);
            removed.on(&self.pages.path, pair.parent)?;
        }
        self.release(victim)?;
        self.lose_last_steps(above);
        Ok(())
    }

    /// The way is valid down to a level only, which is enough to go up.
    fn lose_last_steps(&mut self, level: usize) {
        self.way.steps.truncate(level + 1);
        self.way.stays = false;
    }

    /// Moves entries between two leaves so that both hold about the same, if the key between them then still fits the
    /// parent.
    fn balance(&mut self, above: usize, pair: Pair, entries: &mut Entries) -> Result<(), TreeError> {
        let boundary = self.unpack(Kind::Leaf, pair, entries)?;
        let cut = entries.cut_leaf(&self.body, false).on(&self.pages.path, pair.parent)?;
        if cut == boundary {
            return Ok(());
        }
        // The entries around the cut are still on one page of the two.
        let place = |position: usize| {
            if position < boundary { (pair.left, position) } else { (pair.right, position - boundary) }
        };
        let ((last_page, last), (first_page, first)) = (place(cut - 1), place(cut));
        let mut separator = Vec::new();
        self.separator(last_page, last, first_page, first, &mut separator)?;
        let old = self.raw_separator(pair)?;
        let (_, used) = self.used(pair.parent)?;
        let cost = |raw| self.body.cost(Kind::Internal, raw);
        let new = self.body.raw_size(separator.len());
        if used + cost(new) > self.body.capacity(Kind::Internal) + cost(old.len()) {
            return Ok(());
        }
        let pair = Pair { parent: self.make_writable(above)?, ..pair };
        let child = if pair.left_lost { pair.separator + 1 } else { pair.separator };
        let neighbour = if pair.left_lost { pair.right } else { pair.left };
        let neighbour = self.successor(neighbour, Some(Step { page: pair.parent, child }))?;
        let (left, right) = if pair.left_lost { (pair.left, neighbour) } else { (neighbour, pair.right) };
        self.repack(left, Kind::Leaf, entries.part(0, cut))?;
        self.repack(right, Kind::Leaf, entries.part(cut, entries.len()))?;
        self.replace_separator(pair, &separator)?;
        self.lose_way();
        Ok(())
    }

    fn replace_separator(&mut self, pair: Pair, separator: &[u8]) -> Result<(), TreeError> {
        if let Some(offloaded) = self.offloaded_separator(pair)? {
            self.release(offloaded)?;
        }
        let mut raw = Vec::new();
        self.encode_raw(separator, &[], &mut raw)?;
        let mut page = self.pages.write(pair.parent)?;
        let right = pair.separator + 1;
        let header = self.header_of(&page, pair.parent)?;
        let mut replace = || {
            let pointer = self.body.pointer(&page, PointerName::Child(right))?;
            self.body.remove_child(&mut page, header, pair.separator, right)?;
            let header = NodeHeader { count: header.count - 1, ..header };
            self.body.insert_child(&mut page, header, pair.separator, &raw, &pointer)
        };
        let fits = replace().on(&self.pages.path, pair.parent)?;
        if fits { Ok(()) } else { Err(self.out_of_order(pair.parent)) }
    }
}
