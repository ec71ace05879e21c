//! The consistency check: the same verdict as Neo4j's, and what Neo4j does not see.
//!
//! A check makes one pass over each store, in the order of the file and with all threads, and proves with sums of hashes
//! that everything that must lead back to where it came from does so (`fingerprint`). Only where that fails the records
//! in question are gone through once more, in Neo4j's way, to say what Neo4j says. Each checked thing has a file; those
//! with two passes have a function `verify` and a function `explain`.
//!
//! | Module | Checks |
//! |---|---|
//! | `check` | the whole: what runs when |
//! | `tokens`, `rules`, `schema` | tokens and their names; schema rules |
//! | `dynamic_store`, `property_store`, `properties` | long values, property records; the properties of an entity |
//! | `nodes`, `labels` | nodes and their labels |
//! | `groups`, `relationships`, `chains` | relationships, their nodes, how they hang together |
//! | `indexes` | which indexes there are and what they say of themselves |
//! | `token_claims`, `token_index` | lookup indexes |
//! | `value_index`, `value_entries`, `value_explain`, `texts`, `text_explain` | property indexes |
//! | `observed`, `counts` | the counts store |
//! | `trees`, `ids` | the structure of trees; id files |
//! | `beyond` | what Neo4j's checker does not look at |
//! | `report`, `summary`, `catalogue`, `text` | the report and its words |
//!
//! Memory beside the page cache: four bytes per node, a bit per property and dynamic record, and about 64 MiB.

#![expect(
    clippy::cast_possible_truncation,
    reason = "ids are tested before they are used as an index, and memory for more of them could not be had"
)]

mod beyond;
mod blocks;
mod catalogue;
mod chain_walk;
mod chains;
mod check;
mod context;
mod counts;
mod dynamic_store;
mod error;
mod fingerprint;
mod groups;
mod ids;
mod indexes;
mod labels;
mod mandatory;
mod node_table;
mod nodes;
mod observed;
mod options;
mod plan;
mod preconditions;
mod progress;
mod properties;
mod property_store;
mod raw;
mod relationships;
mod report;
mod rules;
mod scan;
mod schema;
mod summary;
mod text;
mod text_explain;
mod texts;
mod token_claims;
mod token_index;
mod tokens;
mod trees;
mod value_entries;
mod value_explain;
mod value_index;

pub use check::{Check, Verdict};
pub use error::CheckError;
pub use options::CheckOptions;
pub use preconditions::lock;
pub use progress::{CheckPart, CheckProgress, Unwatched};
pub use report::Level;
pub use summary::{RecordType, Summary};
