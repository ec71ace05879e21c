//! Reads the leaves of a damaged tree as far as they can be read, as Neo4j's own readers would.

use std::cmp::Ordering;
use std::collections::HashSet;
use std::ops::ControlFlow;

use super::error::{OnPage, TreeError};
use super::layout::Layout;
use super::node::{Kind, NodeError, NodeHeader, PointerName};
use super::page::FIRST_USABLE;
use super::tree::Tree;

/// How a walk along the leaves ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LeafWalk {
    /// At the last leaf, or at one that leads nowhere.
    Ended,
    /// In front of a page that was read before, or that is newer than the pointer to it: Neo4j would go round.
    Stuck,
    /// At a pointer that can't be read or leads out of the file: Neo4j gives up.
    Broken,
}

/// Gets key and value of an entry.
type Visit<'a> = &'a mut dyn FnMut(&[u8], &[u8]) -> ControlFlow<()>;

impl<L: Layout> Tree<L> {
    /// Calls `visit` with key and value of each entry of each leaf, from the first leaf on and then to the right,
    /// whatever the order of the keys. A node that was replaced is left for its successor. A node that is neither a leaf
    /// nor an internal one counts as a leaf.
    ///
    /// An error means that not even the first leaf can be found or read.
    pub fn walk_leaves(&self, visit: &mut dyn FnMut(&[u8], &[u8])) -> Result<LeafWalk, TreeError> {
        self.walk(None, &mut |key, value| {
            visit(key, value);
            ControlFlow::Continue(())
        })
    }

    /// The same from where the keys lead to `from`.
    pub fn walk_leaves_from(
        &self,
        from: &[u8],
        visit: &mut dyn FnMut(&[u8], &[u8]),
    ) -> Result<LeafWalk, TreeError> {
        self.walk(Some(from), &mut |key, value| {
            visit(key, value);
            ControlFlow::Continue(())
        })
    }

    /// The same from the leaf on where the keys lead to `from`, up to the first key that is not less than `to`. What is
    /// less than `from` or not greater than what was visited before is left out: no entry comes twice, whatever leads where.
    pub fn walk_range(
        &self,
        from: &[u8],
        to: &[u8],
        visit: &mut dyn FnMut(&[u8], &[u8]),
    ) -> Result<LeafWalk, TreeError> {
        self.walk_from(Some(from), &mut |key, value| {
            if self.layout.compare(key, to) != Ordering::Less {
                return ControlFlow::Break(());
            }
            visit(key, value);
            ControlFlow::Continue(())
        })
    }

    /// The same until `visit` breaks it off; `None`: from the first leaf on.
    pub fn walk_from(&self, from: Option<&[u8]>, visit: Visit<'_>) -> Result<LeafWalk, TreeError> {
        let mut last: Option<Vec<u8>> = None;
        self.walk(from, &mut |key, value| {
            let goes_on = match (&last, from) {
                (Some(last), _) => self.layout.compare(key, last) == Ordering::Greater,
                (None, Some(from)) => self.layout.compare(key, from) != Ordering::Less,
                (None, None) => true,
            };
            if !goes_on {
                return ControlFlow::Continue(());
            }
            visit(key, value)?;
            let last = last.get_or_insert_default();
            last.clear();
            last.extend_from_slice(key);
            ControlFlow::Continue(())
        })
    }

    /// Walks from the first leaf on, or from the one of a key.
    fn walk(&self, from: Option<&[u8]>, visit: Visit<'_>) -> Result<LeafWalk, TreeError> {
        let mut seen = HashSet::new();
        let mut id = self.state.root;
        let mut first = true;
        loop {
            if !seen.insert(id) {
                return Ok(LeafWalk::Stuck);
            }
            let page = self.pages.read(id)?;
            let header = match NodeHeader::decode(&page, &self.body) {
                Ok(header) => header,
                // Only an internal node is told from a leaf: what is neither is read as a leaf.
                Err(NodeError::NodeType(_)) => match NodeHeader::decode(&as_leaf(&page), &self.body) {
                    Ok(header) => header,
                    Err(_) => return Ok(LeafWalk::Ended),
                },
                Err(error) if first => return Err(error).on(&self.pages.path, id),
                Err(_) => return Ok(LeafWalk::Ended),
            };
            match self.target(&page, id, PointerName::Successor) {
                Ok(successor) if successor >= FIRST_USABLE => {
                    id = successor;
                    continue;
                }
                Ok(_) => {}
                Err(error) if first => return Err(error),
                Err(_) => return Ok(LeafWalk::Broken),
            }
            // In the first leaf and above it the key shows where to go.
            let place = match from.filter(|_| first) {
                Some(key) => self.search_from_ends(id, &page, header, key)?,
                None => Err(0),
            };
            let name = match (header.kind, place) {
                (Kind::Internal, Ok(position)) => PointerName::Child(position + 1),
                (Kind::Internal, Err(position)) => PointerName::Child(position),
                (Kind::Leaf, Ok(position) | Err(position)) => {
                    first = false;
                    if self.visit_entries(id, &page, header, position, visit).is_break() {
                        return Ok(LeafWalk::Ended);
                    }
                    PointerName::RightSibling
                }
            };
            let pointer = self.body.pointer(&page, name).on(&self.pages.path, id)?;
            let target = match pointer.read(self.generations()) {
                Ok(target) if target.page >= FIRST_USABLE => target,
                _ if first => return Err(self.out_of_order(id)),
                Ok(_) => return Ok(LeafWalk::Ended),
                Err(_) => return Ok(LeafWalk::Broken),
            };
            drop(page);
            match self.pages.read(target.page) {
                Ok(next) => {
                    let newer = NodeHeader::decode(&next, &self.body)
                        .is_ok_and(|header| header.generation > target.generation);
                    match (newer, first) {
                        (false, _) => {}
                        (true, false) => return Ok(LeafWalk::Stuck),
                        (true, true) => return Err(self.out_of_order(target.page)),
                    }
                }
                Err(error) if first => return Err(error),
                Err(_) => return Ok(LeafWalk::Broken),
            }
            id = target.page;
        }
    }

    /// The place of a key in a node whose keys may be out of order: the last key is looked at first, then the first one, then
    /// the halves of what is left, as Neo4j does it.
    fn search_from_ends(
        &self,
        id: u64,
        page: &[u8],
        header: NodeHeader,
        key: &[u8],
    ) -> Result<Result<usize, usize>, TreeError> {
        let compare = |position: usize| {
            let entry = self.body.entry(page, header.kind, position).on(&self.pages.path, id)?;
            self.with_entry(id, entry, |other, _| self.layout.compare(key, other))
        };
        let Some(last) = header.count.checked_sub(1) else { return Ok(Err(0)) };
        if compare(last)? == Ordering::Greater {
            return Ok(Err(header.count));
        }
        let (mut low, mut high) = (0, if compare(0)? == Ordering::Greater { last } else { 0 });
        while low < high {
            let middle = low.midpoint(high);
            match compare(middle)? {
                Ordering::Greater => low = middle + 1,
                Ordering::Less | Ordering::Equal => high = middle,
            }
        }
        Ok(if compare(low)? == Ordering::Equal { Ok(low) } else { Err(low) })
    }

    fn visit_entries(
        &self,
        id: u64,
        page: &[u8],
        header: NodeHeader,
        start: usize,
        visit: Visit<'_>,
    ) -> ControlFlow<()> {
        for position in start..header.count {
            // What can't be read is no entry.
            let Ok(entry) = self.body.entry(page, Kind::Leaf, position) else { continue };
            if let Ok(flow) = self.with_entry(id, entry, &mut *visit) {
                flow?;
            }
        }
        ControlFlow::Continue(())
    }

    /// The last key of the last leaf that can be reached from where the keys lead to the end of the tree; `None` if that
    /// has none. `above`: a key that is greater than all others.
    pub fn last_key(&self, above: &[u8]) -> Result<Option<Vec<u8>>, TreeError> {
        let mut id = self.descend(above, |_| {})?;
        let mut page = self.pages.read(id)?;
        // A chain that is longer than the file has pages is a loop.
        for _ in 0..self.pages.count() {
            match self.target(&page, id, PointerName::RightSibling)? {
                0 => break,
                right => id = right,
            }
            drop(page);
            page = self.pages.read(id)?;
        }
        let header = self.header_of(&page, id)?;
        let Some(last) = header.count.checked_sub(1) else { return Ok(None) };
        let entry = self.body.entry(&page, header.kind, last).on(&self.pages.path, id)?;
        self.with_entry(id, entry, |key, _| key.to_vec()).map(Some)
    }
}

/// The page of a node with the type of a leaf.
fn as_leaf(page: &[u8]) -> Vec<u8> {
    let mut leaf = page.to_vec();
    if let Some(node_type) = leaf.get_mut(NODE_TYPE) {
        *node_type = LEAF;
    }
    leaf
}

/// Where a page has the type of its node.
const NODE_TYPE: usize = 1;
/// The type of a leaf.
const LEAF: u8 = 1;
