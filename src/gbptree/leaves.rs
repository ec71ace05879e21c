//! Reads the leaves of a damaged tree as far as they can be read, as Neo4j's own readers would.

use std::collections::HashSet;

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

impl<L: Layout> Tree<L> {
    /// Calls `visit` with key and value of each entry of each leaf, from the first leaf on and then to the right,
    /// whatever the order of the keys. A node that was replaced is left for its successor. A node that is neither a leaf
    /// nor an internal one counts as a leaf.
    ///
    /// An error means that not even the first leaf can be found or read.
    pub fn walk_leaves(&self, visit: &mut dyn FnMut(&[u8], &[u8])) -> Result<LeafWalk, TreeError> {
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
            let name = match header.kind {
                Kind::Internal => PointerName::Child(0),
                Kind::Leaf => {
                    first = false;
                    self.visit_entries(id, &page, header, visit);
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
                    if newer {
                        return Ok(LeafWalk::Stuck);
                    }
                }
                Err(error) if first => return Err(error),
                Err(_) => return Ok(LeafWalk::Broken),
            }
            id = target.page;
        }
    }

    fn visit_entries(&self, id: u64, page: &[u8], header: NodeHeader, visit: &mut dyn FnMut(&[u8], &[u8])) {
        for position in 0..header.count {
            // What can't be read is no entry.
            let Ok(entry) = self.body.entry(page, Kind::Leaf, position) else { continue };
            let _ = self.with_entry(id, entry, &mut *visit);
        }
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
