//! Reads entries in the order of their keys.

use std::cmp::Ordering;

use super::error::{OnPage, TreeError};
use super::layout::Layout;
use super::node::{Entry, Kind, NodeHeader, PointerName};
use super::offload::Offloaded;
use super::page::FIRST_USABLE;
use super::tree::Tree;
use crate::store::page_cache::PageRef;

/// A place in the order of keys, from where on or up to where entries are read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Bound<'k> {
    /// The first or last entry of the tree.
    End,
    /// This key: it is read when it is the lower bound, and not read when it is the upper one.
    Key(&'k [u8]),
}

/// A key and its value.
pub type KeyValue<'a> = (&'a [u8], &'a [u8]);

/// Entries of a range of keys, one after the other. It holds the page that it is at.
#[derive(Debug)]
pub struct Cursor<'t, L> {
    tree: &'t Tree<L>,
    upper: Option<Vec<u8>>,
    id: u64,
    page: PageRef<'t>,
    header: NodeHeader,
    position: usize,
    /// Pages that may still be read; a chain of siblings that is longer than the file is a loop.
    leaves_left: u64,
    /// The last key of the leaf before, to see that the next one goes on from there.
    last_key: Vec<u8>,
    offloaded: Vec<u8>,
}

impl<L: Layout> Tree<L> {
    /// Reads the entries from `from` up to `to`.
    pub fn range(&self, from: Bound<'_>, to: Bound<'_>) -> Result<Cursor<'_, L>, TreeError> {
        let (id, start) = match from {
            Bound::End => (self.first_leaf()?, None),
            Bound::Key(key) => (self.descend(key, |_| {})?, Some(key)),
        };
        let page = self.pages.read(id)?;
        let header = self.header_of(&page, id)?;
        let position = match start {
            Some(key) => match self.search(id, &page, header, key)? {
                Ok(position) | Err(position) => position,
            },
            None => 0,
        };
        Ok(Cursor {
            tree: self,
            upper: match to {
                Bound::End => None,
                Bound::Key(key) => Some(key.to_vec()),
            },
            id,
            page,
            header,
            position,
            leaves_left: self.pages.count(),
            last_key: Vec::new(),
            offloaded: Vec::new(),
        })
    }

    /// Reads all entries.
    pub fn entries(&self) -> Result<Cursor<'_, L>, TreeError> {
        self.range(Bound::End, Bound::End)
    }

    fn first_leaf(&self) -> Result<u64, TreeError> {
        let mut id = self.state.root;
        for _ in 0..self.pages.count() {
            let page = self.pages.read(id)?;
            if self.header_of(&page, id)?.kind == Kind::Leaf {
                return Ok(id);
            }
            id = self.body.child(&page, 0, self.generations()).on(&self.pages.path, id)?;
        }
        Err(self.out_of_order(id))
    }
}

impl<L: Layout> Cursor<'_, L> {
    /// Key and value of the next entry; `None` at the end.
    #[expect(clippy::should_implement_trait, reason = "the entry lives only until the next call")]
    pub fn next(&mut self) -> Result<Option<KeyValue<'_>>, TreeError> {
        while self.position >= self.header.count {
            if !self.next_leaf()? {
                return Ok(None);
            }
        }
        let tree = self.tree;
        let position = self.position;
        self.position += 1;
        let entry = tree.body.entry(&self.page, Kind::Leaf, position).on(&tree.pages.path, self.id)?;
        let (key, value) = match entry {
            Entry::Inline { key, value } => (key, value),
            Entry::Offloaded(id) => {
                if id == self.id || id < FIRST_USABLE {
                    return Err(tree.out_of_order(self.id));
                }
                let page = tree.pages.read(id)?;
                let Offloaded { key, value } = Offloaded::decode(&page).on(&tree.pages.path, id)?;
                self.offloaded.clear();
                self.offloaded.extend_from_slice(key);
                self.offloaded.extend_from_slice(value);
                self.offloaded.split_at_checked(key.len()).unwrap_or_default()
            }
        };
        if let Some(upper) = &self.upper
            && tree.layout.compare(key, upper) != Ordering::Less
        {
            // Nothing more will come, however often one asks.
            self.position = position;
            return Ok(None);
        }
        Ok(Some((key, value)))
    }

    fn next_leaf(&mut self) -> Result<bool, TreeError> {
        let tree = self.tree;
        let right = tree.target(&self.page, self.id, PointerName::RightSibling)?;
        if right == 0 {
            return Ok(false);
        }
        self.leaves_left = self.leaves_left.checked_sub(1).ok_or_else(|| tree.out_of_order(self.id))?;
        let before = self.header.count.checked_sub(1);
        if let Some(last) = before {
            let entry = tree.body.entry(&self.page, Kind::Leaf, last).on(&tree.pages.path, self.id)?;
            let last_key = &mut self.last_key;
            last_key.clear();
            tree.with_entry(self.id, entry, |key, _| last_key.extend_from_slice(key))?;
        }
        let page = tree.pages.read(right)?;
        let header = tree.header_of(&page, right)?;
        if header.kind != Kind::Leaf {
            return Err(tree.out_of_order(right));
        }
        if before.is_some() && header.count > 0 {
            let entry = tree.body.entry(&page, Kind::Leaf, 0).on(&tree.pages.path, right)?;
            let last_key = &self.last_key;
            let order = tree.with_entry(right, entry, |key, _| tree.layout.compare(last_key, key))?;
            if order != Ordering::Less {
                return Err(tree.out_of_order(right));
            }
        }
        self.id = right;
        self.page = page;
        self.header = header;
        self.position = 0;
        Ok(true)
    }
}
