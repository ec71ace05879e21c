//! How many reports there were, of which kind.

use std::collections::BTreeSet;
use std::fmt;

/// What a report is about, in the order of the summary. Specification: consistency check 4.4.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum RecordType {
    /// The metadata store.
    NeoStore,
    /// Schema rules.
    Schema,
    /// Nodes.
    Node,
    /// Properties.
    Property,
    /// Property keys.
    PropertyKey,
    /// Names of property keys.
    PropertyKeyName,
    /// Long texts.
    StringProperty,
    /// Long arrays.
    ArrayProperty,
    /// Relationships.
    Relationship,
    /// Relationship types.
    RelationshipType,
    /// Names of relationship types.
    RelationshipTypeName,
    /// Groups of dense nodes, and their degrees.
    RelationshipGroup,
    /// Labels.
    Label,
    /// Names of labels.
    LabelName,
    /// Labels that do not fit into their nodes.
    NodeDynamicLabel,
    /// The index of nodes by label.
    LabelScanDocument,
    /// The index of relationships by type.
    RelationshipTypeScanDocument,
    /// Statistics of indexes.
    IndexStatistics,
    /// Id files.
    IdStore,
    /// Property indexes.
    Index,
    /// The counts store.
    Counts,
}

impl RecordType {
    /// All, in the order of the summary.
    pub const ALL: [Self; 21] = [
        Self::NeoStore,
        Self::Schema,
        Self::Node,
        Self::Property,
        Self::PropertyKey,
        Self::PropertyKeyName,
        Self::StringProperty,
        Self::ArrayProperty,
        Self::Relationship,
        Self::RelationshipType,
        Self::RelationshipTypeName,
        Self::RelationshipGroup,
        Self::Label,
        Self::LabelName,
        Self::NodeDynamicLabel,
        Self::LabelScanDocument,
        Self::RelationshipTypeScanDocument,
        Self::IndexStatistics,
        Self::IdStore,
        Self::Index,
        Self::Counts,
    ];

    /// Its name in the summary.
    pub fn name(self) -> &'static str {
        match self {
            Self::NeoStore => "NEO_STORE",
            Self::Schema => "SCHEMA",
            Self::Node => "NODE",
            Self::Property => "PROPERTY",
            Self::PropertyKey => "PROPERTY_KEY",
            Self::PropertyKeyName => "PROPERTY_KEY_NAME",
            Self::StringProperty => "STRING_PROPERTY",
            Self::ArrayProperty => "ARRAY_PROPERTY",
            Self::Relationship => "RELATIONSHIP",
            Self::RelationshipType => "RELATIONSHIP_TYPE",
            Self::RelationshipTypeName => "RELATIONSHIP_TYPE_NAME",
            Self::RelationshipGroup => "RELATIONSHIP_GROUP",
            Self::Label => "LABEL",
            Self::LabelName => "LABEL_NAME",
            Self::NodeDynamicLabel => "NODE_DYNAMIC_LABEL",
            Self::LabelScanDocument => "LABEL_SCAN_DOCUMENT",
            Self::RelationshipTypeScanDocument => "RELATIONSHIP_TYPE_SCAN_DOCUMENT",
            Self::IndexStatistics => "INDEX_STATISTICS",
            Self::IdStore => "ID_STORE",
            Self::Index => "INDEX",
            Self::Counts => "COUNTS",
        }
    }
}

/// The numbers of a check.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Summary {
    errors: [u64; RecordType::ALL.len()],
    extras: [u64; RecordType::ALL.len()],
    warnings: u64,
    generic: BTreeSet<&'static str>,
    generic_errors: u64,
}

impl Summary {
    pub(super) fn error(&mut self, about: RecordType) {
        Self::add(&mut self.errors, about);
    }

    pub(super) fn extra(&mut self, about: RecordType) {
        Self::add(&mut self.extras, about);
    }

    fn add(counts: &mut [u64], about: RecordType) {
        if let Some(count) = counts.get_mut(about as usize) {
            *count += 1;
        }
    }

    pub(super) fn warning(&mut self) {
        self.warnings += 1;
    }

    pub(super) fn generic(&mut self, what: &'static str) {
        self.generic.insert(what);
        self.generic_errors += 1;
    }

    /// Errors of one kind.
    pub fn errors_of(&self, about: RecordType) -> u64 {
        self.errors.get(about as usize).copied().unwrap_or_default()
    }

    /// Findings of one kind that Neo4j's checker does not have.
    pub fn extras_of(&self, about: RecordType) -> u64 {
        self.extras.get(about as usize).copied().unwrap_or_default()
    }

    /// Errors of records and trees and generic ones.
    pub fn errors(&self) -> u64 {
        self.errors.iter().sum::<u64>() + self.generic_errors
    }

    /// Findings that Neo4j's checker does not have.
    pub fn extras(&self) -> u64 {
        self.extras.iter().sum()
    }

    /// Warnings.
    pub fn warnings(&self) -> u64 {
        self.warnings
    }

    /// Generic errors, each text once.
    pub fn generic_errors(&self) -> impl Iterator<Item = &'static str> {
        self.generic.iter().copied()
    }

    /// Whether nothing is wrong. Warnings and generic errors do not count.
    pub fn is_consistent(&self) -> bool {
        self.errors.iter().all(|&count| count == 0)
    }
}

/// The block that closes a report. Lines after the first are indented with a tab.
impl fmt::Display for Summary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "ConsistencySummaryStatistics{{")?;
        writeln!(f, "\tNumber of errors: {}", self.errors())?;
        writeln!(f, "\tNumber of warnings: {}", self.warnings)?;
        for about in RecordType::ALL {
            let count = self.errors_of(about);
            if count > 0 {
                writeln!(f, "\tNumber of inconsistent {} records: {count}", about.name())?;
            }
        }
        if !self.generic.is_empty() {
            writeln!(f, "\tGeneric errors: ")?;
            for error in &self.generic {
                writeln!(f, "\t\t{error}")?;
            }
        }
        write!(f, "}}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_block_is_that_of_the_specification() {
        let mut summary = Summary::default();
        summary.error(RecordType::Relationship);
        summary.error(RecordType::Node);
        summary.warning();
        assert!(!summary.is_consistent());
        summary.generic("Counts store is missing, broken or of an older format");
        assert_eq!(
            summary.to_string(),
            "ConsistencySummaryStatistics{\n\tNumber of errors: 3\n\tNumber of warnings: 1\n\
             \tNumber of inconsistent NODE records: 1\n\tNumber of inconsistent RELATIONSHIP records: 1\n\
             \tGeneric errors: \n\t\tCounts store is missing, broken or of an older format\n}"
        );
    }

    #[test]
    fn only_errors_make_a_store_inconsistent() {
        let mut summary = Summary::default();
        summary.warning();
        summary.generic("Counts store is missing, broken or of an older format");
        summary.extra(RecordType::RelationshipGroup);
        assert!(summary.is_consistent());
        assert_eq!((summary.errors(), summary.warnings(), summary.extras()), (1, 1, 1));
    }
}
