//! Which passes a check makes, and how much memory they may use.

use super::options::CheckOptions;

/// Bytes of records that a thread reads and checks in one step, about.
pub(super) const CHUNK_PAGES: u64 = 64;

/// Nodes whose chains an explaining pass keeps in memory at once, at most: 48 bytes each.
pub(super) const EXPLAINED_NODES: usize = 512 * 1024;

/// The passes of a check. Specification: consistency check 1.3.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(clippy::struct_excessive_bools, reason = "each pass runs or does not")]
pub(super) struct Plan {
    /// The structure of trees.
    pub structure: bool,
    /// The counts store is opened.
    pub counts_store: bool,
    /// The store of degrees is opened.
    pub degrees_store: bool,
    /// Records, token indexes, counts.
    pub graph: bool,
    /// The contents of property indexes.
    pub indexes: bool,
    /// What Neo4j's checker does not look at.
    pub extra: bool,
}

impl Plan {
    pub fn of(options: &CheckOptions) -> Self {
        Self {
            structure: options.index_structure,
            counts_store: options.graph || options.index_structure,
            degrees_store: options.index_structure,
            graph: options.graph,
            indexes: options.indexes,
            extra: options.extra,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_counts_store_is_opened_for_two_of_the_three_parts_and_that_of_degrees_for_one() {
        let plan = |graph, indexes, index_structure| {
            Plan::of(&CheckOptions { graph, indexes, index_structure, ..CheckOptions::default() })
        };
        assert!(plan(true, false, false).counts_store);
        assert!(plan(false, false, true).counts_store);
        assert!(!plan(false, true, false).counts_store);
        assert!(!plan(true, true, false).degrees_store);
        assert!(plan(false, false, true).degrees_store);
    }
}
