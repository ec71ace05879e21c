//! What Neo4j's checker does not look at. Findings have the level `EXTRA` and a block of their own in the summary, so
//! that everything else in a report can be compared with Neo4j's line by line.
//!
//! | Part | Looks at |
//! |---|---|
//! | [`degrees`] | numbers of relationships in first records and in the degrees store |
//! | [`owners`] | property chains and long values: each belongs to just one record |
//! | [`ids`] | id files: ids in use that are free, or not below the high id |
//! | [`entries`] | entries of property indexes that no entity has |
//!
//! Each part adds what one side says and takes away what the other says while the records are read anyway, and looks for
//! the places only where something is left. Specification: consistency check 6.3.

pub(super) mod degrees;
pub(super) mod entries;
pub(super) mod ids;
pub(super) mod owners;

use super::report::Finding;
use super::summary::RecordType;

const DEGREE: Finding = Finding::extra(
    RecordType::Relationship,
    "The first relationship of a chain has another degree than the chain has relationships.",
);
const EXTERNAL_DEGREE: Finding = Finding::extra(
    RecordType::RelationshipGroup,
    "The degrees store has another degree for a chain of this group than the chain has relationships.",
);
const ORPHAN_PROPERTIES: Finding =
    Finding::extra(RecordType::Property, "No record refers to this property record.");
const SHARED_PROPERTIES: Finding =
    Finding::extra(RecordType::Property, "A second record refers to this property record.");
const ORPHAN_TEXT: Finding =
    Finding::extra(RecordType::StringProperty, "The record begins a text that no property refers to.");
const SHARED_TEXT: Finding =
    Finding::extra(RecordType::StringProperty, "The record begins a text that another property has, too.");
const ORPHAN_ARRAY: Finding =
    Finding::extra(RecordType::ArrayProperty, "The record begins an array that no property refers to.");
const SHARED_ARRAY: Finding =
    Finding::extra(RecordType::ArrayProperty, "The record begins an array that another property has, too.");
const ORPHAN_LABELS: Finding =
    Finding::extra(RecordType::NodeDynamicLabel, "The record begins labels that no node refers to.");
const SHARED_LABELS: Finding =
    Finding::extra(RecordType::NodeDynamicLabel, "The record begins labels that another node has, too.");
pub(super) const SURPLUS_ENTRY: Finding =
    Finding::extra(RecordType::Index, "This index entry has values that its entity does not have.");
