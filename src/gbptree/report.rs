//! What the structure check reports, in Neo4j's words.

use std::fmt;

use super::node::PointerName;
use super::pointer::{Slot, SlotState, Target};

/// A node and its generation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Neighbour {
    /// Page id; 0 = no node.
    pub page: u64,
    /// Of the node.
    pub generation: u32,
}

/// Something is wrong with the structure of a tree. The text is that of Neo4j's own check, what it always puts before
/// and after it left out. Specification: gbptree 6.2.
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "fields are page ids, counts and generations as the text names them")]
pub enum Inconsistency {
    /// A pointer leads to another kind of page.
    NotATreeNode { page: u64 },
    /// Neither leaf nor internal.
    UnknownNodeType { page: u64, found: i8 },
    /// Neighbours of a level don't point to each other.
    SiblingsMisaligned { left: Neighbour, leads_to: Target, back: Target, right: Neighbour },
    /// The last node of a level points further.
    RightmostHasRightSibling { node: u64, right: u64 },
    /// A node that is reached has a newer version.
    HasSuccessor { node: u64, successor: u64 },
    /// A pointer is older than what it points to.
    PointerOlderThanNode {
        name: Option<PointerName>,
        /// `None`: the root is pointed to by the state of the tree.
        node: Option<u64>,
        pointer_generation: i64,
        target: u64,
        generation: u32,
    },
    /// Keys of a node don't increase.
    KeysOutOfOrder { page: u64 },
    /// A key is not between those that lead to its node.
    KeyOutsideRange { range: String, key: String, position: usize, count: usize, page: u64 },
    /// Nothing leads to a page, and it is not free.
    Leaked { page: u64 },
    /// A page that was never in use is.
    BehindLastId { page: u64, last_id: u64 },
    /// The sums in a node of dynamic size don't add up.
    Contradictions { node: u64, found: Vec<String> },
    /// A page is used twice, or used and free.
    SeenTwice { page: u64 },
    /// A slot is from a session that crashed.
    CrashPointer { node: u64, name: PointerName, slots: [(Slot, SlotState); 2] },
    /// The checksum of a slot is wrong.
    BrokenPointer { node: u64, name: PointerName, slots: [(Slot, SlotState); 2] },
    /// More keys than a node holds, or less than none.
    InsaneKeyCount { page: u64, count: i32 },
    /// A node is below itself.
    Circular { node: u64, level: usize, range: String },
    /// The check could not go on.
    Exception(String),
}

impl fmt::Display for Inconsistency {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotATreeNode { page } => write!(f, "Page: {page} is not a tree node page. "),
            Self::UnknownNodeType { page, found } => {
                writeln!(f, "Page: {page} has an unknown tree node type: {found}.")
            }
            Self::SiblingsMisaligned { left, leads_to, back, right } => writeln!(
                f,
                "Sibling pointers misaligned.\nLeft siblings view:  {{{}({})}}-({})->{{{}}},\n\
                 Right siblings view: {{{}}}<-({})-{{{}({})}}.",
                left.page,
                left.generation,
                leads_to.generation,
                leads_to.page,
                back.page,
                back.generation,
                right.page,
                right.generation
            ),
            Self::RightmostHasRightSibling { node, right } => writeln!(
                f,
                "Expected rightmost node to have no right sibling but was {right}. Current rightmost node is {node}."
            ),
            Self::HasSuccessor { node, successor } => writeln!(
                f,
                "We ended up on tree node {node} which has a newer generation, successor is: {successor}."
            ),
            Self::PointerOlderThanNode { name, node, pointer_generation, target, generation } => {
                let name = name.map_or_else(|| "no pointer".to_owned(), |name| name.to_string());
                let node = node.map_or_else(|| "-1".to_owned(), |node| node.to_string());
                writeln!(
                    f,
                    "Pointer ({name}) in tree node {node} has pointer generation {pointer_generation}, but target \
                     node {target} has a higher generation {generation}."
                )
            }
            Self::KeysOutOfOrder { page } => writeln!(f, "Keys in tree node {page} are out of order."),
            Self::KeyOutsideRange { range, key, position, count, page } => writeln!(
                f,
                "Expected range for this tree node is \n{range}\n but found {key} in position {position}, with \
                 keyCount {count} on page {page}."
            ),
            Self::Leaked { page } => {
                writeln!(f, "Index has a leaked page that will never be reclaimed, pageId={page}.")
            }
            Self::BehindLastId { page, last_id } => writeln!(
                f,
                "Tree node has page id larger than registered last id, lastId={last_id}, pageId={page}."
            ),
            Self::Contradictions { node, found } => writeln!(
                f,
                "Tree node {node} has inconsistent meta data: Meta data for tree node is inconsistent, id={node}: {}.",
                found.join(", ")
            ),
            Self::SeenTwice { page } => writeln!(
                f,
                "Page id seen multiple times, this means either active tree node is present in freelist or pointers \
                 in tree create a loop, pageId={page}."
            ),
            Self::CrashPointer { node, name, slots } => {
                write!(f, "Crashed pointer found in tree node {node}, ")?;
                write_slots(f, *name, slots)
            }
            Self::BrokenPointer { node, name, slots } => {
                write!(f, "Broken pointer found in tree node {node}, ")?;
                write_slots(f, *name, slots)
            }
            Self::InsaneKeyCount { page, count } => {
                writeln!(f, "Unexpected keyCount on pageId {page}, keyCount={count}.")
            }
            Self::Circular { node, level, range } => writeln!(
                f,
                "Circular reference, child tree node found among parent nodes. Parents:\n{range},\n\
                 level: {level}, pageId: {node}."
            ),
            Self::Exception(cause) => write!(f, "Caught exception during consistency check: {cause}"),
        }
    }
}

/// Neo4j prints slot A's page for both slots as `pointer`; `readPointer` is right.
fn write_slots(
    f: &mut fmt::Formatter<'_>,
    name: PointerName,
    [(a, state_a), (b, state_b)]: &[(Slot, SlotState); 2],
) -> fmt::Result {
    writeln!(
        f,
        "pointerType='{name}',\nslotA[generation={}, readPointer={}, pointer={}, state={}],\n\
         slotB[generation={}, readPointer={}, pointer={}, state={}].",
        a.generation,
        a.page,
        a.page,
        state_a.code(),
        b.generation,
        b.page,
        a.page,
        state_b.code()
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reports_read_as_neo4j_writes_them() {
        let slot = |generation, page| Slot::new(generation, page);
        let table = [
            (
                Inconsistency::Leaked { page: 9 },
                "Index has a leaked page that will never be reclaimed, pageId=9.\n",
            ),
            (
                Inconsistency::SiblingsMisaligned {
                    left: Neighbour { page: 5, generation: 2 },
                    leads_to: Target { page: 7, generation: 3 },
                    back: Target { page: 6, generation: 4 },
                    right: Neighbour { page: 8, generation: 1 },
                },
                "Sibling pointers misaligned.\nLeft siblings view:  {5(2)}-(3)->{7},\n\
                 Right siblings view: {6}<-(4)-{8(1)}.\n",
            ),
            (
                Inconsistency::CrashPointer {
                    node: 3,
                    name: PointerName::Child(2),
                    slots: [(slot(2, 10), SlotState::Stable), (slot(4, 11), SlotState::Crash)],
                },
                "Crashed pointer found in tree node 3, pointerType='child(2)',\n\
                 slotA[generation=2, readPointer=10, pointer=10, state=0],\n\
                 slotB[generation=4, readPointer=11, pointer=10, state=2].\n",
            ),
            (
                Inconsistency::PointerOlderThanNode {
                    name: None,
                    node: None,
                    pointer_generation: 2,
                    target: 3,
                    generation: 4,
                },
                "Pointer (no pointer) in tree node -1 has pointer generation 2, but target node 3 has a higher \
                 generation 4.\n",
            ),
        ];
        for (inconsistency, text) in table {
            assert_eq!(inconsistency.to_string(), text);
        }
    }
}
