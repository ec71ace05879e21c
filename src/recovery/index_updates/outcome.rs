//! What became of the indexes of a store.

use std::fmt;

use crate::store::id::SchemaId;
use crate::store::schema::{EntityType, IndexProvider, IndexRule, SchemaRule};

/// What became of the indexes of a store. Each is in one of the lists.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct IndexOutcome {
    /// Brought up to date in place.
    pub updated: Vec<UpdatedIndex>,
    /// Built from the stores.
    pub built: Vec<BuiltIndex>,
    /// Without files now; if their rule exists, Neo4j builds them when it starts.
    pub removed: Vec<RemovedIndex>,
    /// Online, and nothing in the window concerns them.
    pub untouched: Vec<Index>,
    /// Failed before the recovery, and still so.
    pub failed: Vec<FailedIndex>,
}

/// An index by its rule.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Index {
    /// The id of its rule. The label index of a store up to 4.2, which has no rule, has −2, here as an unsigned number.
    pub id: SchemaId,
    /// Its name.
    pub name: String,
    /// What keeps it.
    pub provider: IndexProvider,
    /// What it is about.
    pub entity: EntityType,
}

/// An index that was brought up to date.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UpdatedIndex {
    /// The index.
    pub index: Index,
    /// Entities for which it was changed.
    pub entities: u64,
}

/// An index that was built from the stores.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BuiltIndex {
    /// The index.
    pub index: Index,
    /// Why.
    pub cause: Cause,
    /// Entries that it has.
    pub entries: u64,
}

/// An index without files.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RemovedIndex {
    /// The index; `None`: its rule was dropped.
    pub index: Option<Index>,
    /// The id of its rule.
    pub id: SchemaId,
    /// Why.
    pub cause: Cause,
}

/// An index that failed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FailedIndex {
    /// The index.
    pub index: Index,
    /// What it says.
    pub message: String,
}

/// Why an index was built or removed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Cause {
    /// Its rule was created in the window.
    Created,
    /// Its rule was dropped in the window.
    Dropped,
    /// It has no files.
    Missing,
    /// Its files say that it was never completed.
    Populating,
    /// Its files can't be used, for this reason.
    Unusable(String),
    /// The rule came to light only in the end.
    NotWatched,
    /// The logs do not carry all values that it needs.
    ValuesNotCarried,
    /// A text in it was changed, and Lucene alone can write it.
    TextChanged,
    /// It is to be unique, and the constraint for which it was made was never finished.
    NoOwner,
    /// It is to be unique, and these entities have the same values.
    NotUnique {
        /// An entity.
        first: u64,
        /// Another one.
        second: u64,
    },
    /// This entity has a value that no index of the kind can have.
    Value {
        /// The entity.
        entity: u64,
        /// What is wrong with it.
        reason: String,
    },
}

impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Created => f.write_str("it was created in the recovered transactions"),
            Self::Dropped => f.write_str("it was dropped in the recovered transactions"),
            Self::Missing => f.write_str("it has no files"),
            Self::Populating => f.write_str("it was not complete"),
            Self::Unusable(reason) => write!(f, "its files can't be used: {reason}"),
            Self::NotWatched => f.write_str("its rule could be read only behind the recovered transactions"),
            Self::ValuesNotCarried => {
                f.write_str("the transaction logs do not carry all values that it needs")
            }
            Self::TextChanged => f.write_str("a text in it was changed, which only Neo4j can do there"),
            Self::NoOwner => f.write_str("its uniqueness constraint was never completed"),
            Self::NotUnique { first, second } => {
                write!(f, "it must be unique, and {first} and {second} have the same values")
            }
            Self::Value { entity, reason } => write!(f, "it can't hold a value of {entity}: {reason}"),
        }
    }
}

impl Index {
    pub(super) fn of(rule: &SchemaRule, index: &IndexRule) -> Self {
        Self { id: rule.id, name: rule.name.clone(), provider: index.provider, entity: rule.schema.entity }
    }
}

impl fmt::Display for Index {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({})", SchemaId::to_field(Some(self.id)), self.name)
    }
}

impl IndexOutcome {
    /// By rule.
    pub(super) fn sort(&mut self) {
        self.updated.sort_by_key(|updated| updated.index.id);
        self.built.sort_by_key(|built| built.index.id);
        self.removed.sort_by_key(|removed| removed.id);
        self.untouched.sort_by_key(|index| index.id);
        self.failed.sort_by_key(|failed| failed.index.id);
    }
}
