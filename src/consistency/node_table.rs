//! Four bytes per node: what relationships and groups must know of it, and which labels it has.

use std::sync::atomic::{AtomicU32, Ordering};

use parking_lot::Mutex;
use rustc_hash::FxHashMap;

/// The nodes of a store.
///
/// | Bits | Field                                                                      |
/// |-----:|----------------------------------------------------------------------------|
/// |    0 | in use                                                                     |
/// |    1 | dense                                                                      |
/// |    2 | has a first relationship or group                                          |
/// |    3 | check mark: the first relationship or group does not lead back yet          |
/// |    4 | a group without a next one was seen                                        |
/// | 5-31 | number of its set of labels                                                |
pub(super) struct NodeTable {
    nodes: Vec<AtomicU32>,
    /// Ids from here on are not in use.
    pub high: u64,
}

/// What the table says of a node.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct NodeState(pub u32);

const USED: u32 = 1;
const DENSE: u32 = 2;
const HAS_NEXT: u32 = 4;
const MARK: u32 = 8;
const LAST_GROUP: u32 = 16;
const SET: u32 = 5;

impl NodeState {
    pub fn new(dense: bool, has_next: bool, set: u32) -> Self {
        let next = if has_next { HAS_NEXT | MARK } else { 0 };
        Self(USED | if dense { DENSE } else { 0 } | next | set << SET)
    }

    #[inline]
    pub fn used(self) -> bool {
        self.0 & USED != 0
    }

    #[inline]
    pub fn dense(self) -> bool {
        self.0 & DENSE != 0
    }

    #[inline]
    pub fn has_next(self) -> bool {
        self.0 & HAS_NEXT != 0
    }

    #[inline]
    pub fn marked(self) -> bool {
        self.0 & MARK != 0
    }

    /// The number of its set of labels.
    #[inline]
    pub fn set(self) -> u32 {
        self.0 >> SET
    }
}

impl NodeTable {
    /// For nodes below `high`, of which the first `stored` can have records.
    pub fn new(high: u64, stored: u64) -> Self {
        let length = usize::try_from(high.min(stored)).unwrap_or(usize::MAX);
        let mut nodes = Vec::new();
        nodes.resize_with(length, AtomicU32::default);
        Self { nodes, high }
    }

    /// The state of a node; an unused one where there is none.
    #[inline]
    pub fn get(&self, id: i64) -> NodeState {
        let index = usize::try_from(id).unwrap_or(usize::MAX);
        self.nodes.get(index).map_or(NodeState(0), |node| NodeState(node.load(Ordering::Relaxed)))
    }

    pub fn set(&self, id: i64, state: NodeState) {
        if let Some(node) = usize::try_from(id).ok().and_then(|index| self.nodes.get(index)) {
            node.store(state.0, Ordering::Relaxed);
        }
    }

    /// Takes the check mark away.
    pub fn clear_mark(&self, id: i64) {
        if let Some(node) = usize::try_from(id).ok().and_then(|index| self.nodes.get(index)) {
            node.fetch_and(!MARK, Ordering::Relaxed);
        }
    }

    /// Notes that a group without a next one names the node; `true`: it is not the first.
    pub fn last_group(&self, id: i64) -> bool {
        let node = usize::try_from(id).ok().and_then(|index| self.nodes.get(index));
        node.is_some_and(|node| node.fetch_or(LAST_GROUP, Ordering::Relaxed) & LAST_GROUP != 0)
    }

    /// Whether an id is one that a node may have, in use or not.
    #[inline]
    pub fn is_in_range(&self, id: i64) -> bool {
        u64::try_from(id).is_ok_and(|id| id < self.high)
    }

    /// All nodes with an entry.
    pub fn iter(&self) -> impl Iterator<Item = (i64, NodeState)> {
        (0..).zip(&self.nodes).map(|(id, node)| (id, NodeState(node.load(Ordering::Relaxed))))
    }
}

impl std::fmt::Debug for NodeTable {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("NodeTable").field("nodes", &self.nodes.len()).field("high", &self.high).finish()
    }
}

/// The set of no labels; of nodes whose labels can't be read, too.
pub(super) const NO_LABELS: u32 = 0;
/// The labels of a node with this number must be read from the store.
pub(super) const UNNUMBERED: u32 = (1 << (32 - SET)) - 1;

/// Labels that all sets together may have, at most: a quarter of what a check may use beside its tables.
const MOST_LABELS: usize = 1 << 20;

/// Numbers for sets of labels.
#[derive(Debug)]
pub(super) struct LabelSets {
    sets: Mutex<Sets>,
}

#[derive(Debug)]
struct Sets {
    numbers: FxHashMap<Box<[i64]>, u32>,
    by_number: Vec<Box<[i64]>>,
    labels: usize,
}

impl LabelSets {
    pub fn new() -> Self {
        let none: Box<[i64]> = Box::default();
        let numbers = std::iter::once((none.clone(), NO_LABELS)).collect();
        Self { sets: Mutex::new(Sets { numbers, by_number: vec![none], labels: 0 }) }
    }

    /// The number of a set; [`UNNUMBERED`] when there are too many.
    pub fn number(&self, labels: &[i64]) -> u32 {
        let mut sets = self.sets.lock();
        if let Some(&number) = sets.numbers.get(labels) {
            return number;
        }
        // What a set costs beside its labels counts as four of them.
        if sets.labels + labels.len() + 4 > MOST_LABELS {
            return UNNUMBERED;
        }
        sets.labels += labels.len() + 4;
        let number = u32::try_from(sets.by_number.len()).unwrap_or(UNNUMBERED);
        sets.by_number.push(labels.into());
        sets.numbers.insert(labels.into(), number);
        number
    }

    /// All sets by their numbers.
    pub fn into_sets(self) -> Vec<Box<[i64]>> {
        self.sets.into_inner().by_number
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_node_keeps_what_it_was_given() {
        let table = NodeTable::new(100, 10);
        table.set(3, NodeState::new(true, true, 77));
        let node = table.get(3);
        assert!(node.used() && node.dense() && node.has_next() && node.marked());
        assert_eq!(node.set(), 77);
        table.clear_mark(3);
        assert!(!table.get(3).marked());
        assert!(!table.last_group(3) && table.last_group(3));
        assert!(!table.get(50).used() && table.is_in_range(50));
        assert!(!table.is_in_range(100) && !table.is_in_range(-1));
        table.set(50, NodeState::new(false, false, 0));
        assert!(!table.get(50).used());
    }

    #[test]
    fn sets_of_labels_are_numbered_once_and_their_memory_is_bounded() {
        let sets = LabelSets::new();
        assert_eq!(sets.number(&[]), NO_LABELS);
        let number = sets.number(&[1, 2]);
        assert_eq!(sets.number(&[1, 2]), number);
        let many: Vec<i64> = (0..2000).collect();
        let numbers: Vec<_> = (0..2000).map(|skip| sets.number(&many[skip..])).collect();
        assert!(numbers.contains(&UNNUMBERED));
        assert_eq!(sets.number(&[1, 2]), number);
        assert_eq!(*sets.into_sets()[number as usize], [1, 2]);
    }
}
