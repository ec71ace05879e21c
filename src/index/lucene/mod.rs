//! Lucene indexes: whether they are complete, and what is in them.
//!
//! Text and full-text indexes, and the texts of the provider `lucene+native-3.0`, are kept by Lucene. This reads what
//! Lucene 8.7 to 8.11 write, which all releases of Neo4j 4.4 use, as far as a comparison with the stores needs it: a
//! document is for an entity and has terms. It writes nothing.
//!
//! | Module | File |
//! |---|---|
//! | [`state`] | what an index says of itself: `failure-message`, the mark in `segments_<generation>` |
//! | `commit` | `segments_<generation>`: the segments of a partition |
//! | `segment` | `.si`, and `.cfe` and `.cfs`, which stand for all other files |
//! | `fields` | `.fnm`: fields |
//! | `live` | `.liv`: which documents are deleted |
//! | `numbers` | `.dvm`, `.dvd`: the entity of each document |
//! | `terms`, `suffixes` | `.tmd`, `.tim`: the terms of each field |
//! | `postings`, `packed` | `.doc`: the documents of each term |
//! | `documents` | all of these together |
//! | `input` | numbers, texts, headers, checksums |
//!
//! What is not read: stored fields (`.fdt`, `.fdx`, `.fdm`), norms (`.nvd`, `.nvm`), positions (`.pos`), and the index of
//! the terms (`.tip`), without which all terms are found, if not a certain one quickly.
//!
//! The layouts are those that Lucene publishes with its codecs (`org.apache.lucene.codecs.lucene87`).

mod commit;
mod documents;
mod error;
mod fields;
mod input;
mod live;
mod numbers;
mod packed;
mod postings;
mod segment;
pub mod state;
mod suffixes;
mod terms;

pub use documents::{Found, LuceneIndex, Segment, Wanted};
pub use error::LuceneError;
pub use state::{LuceneState, state};

use crate::store::value::Value;

/// The field with the id of the entity in text indexes. Specification: indexes 7.2.
pub const ENTITY: &str = "id";
/// The same in full-text indexes, whose other fields have the names of property keys.
pub const FULLTEXT_ENTITY: &str = "__neo4j__lucene__fulltext__index__internal__id__";
/// The field with the value in text indexes.
pub const TEXT: &str = "string";

/// Whether a Lucene index has this value. Specification: indexes 7.2.
pub fn is_text(value: &Value) -> bool {
    matches!(value, Value::String(_) | Value::Char(_))
}
