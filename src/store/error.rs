//! What can be wrong with a database directory.

use std::path::PathBuf;

use super::id::{PropertyKeyId, SchemaId, StoreVersion};
use super::page_cache::PageCacheError;

use crate::io::disk::DiskError;

/// A store could not be read or written.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// A page could not be had.
    #[error(transparent)]
    Page(#[from] PageCacheError),
    /// The bytes of a record make no sense, or it can't be encoded.
    #[error("record {id} of {} is malformed: {source}; the store needs a consistency check", path.display())]
    Record {
        /// The store file.
        path: PathBuf,
        /// The slot.
        id: u64,
        /// What is wrong.
        #[source]
        source: Malformed,
    },
    /// A record can't have this id: reserved, or too great for the format.
    #[error("{id} is no id of {}: it must be in {least}..={most}, and not 4294967295", path.display())]
    IdOutOfRange {
        /// The store file.
        path: PathBuf,
        /// The id.
        id: u64,
        /// The first id that is not reserved.
        least: u64,
        /// The greatest id of the format.
        most: u64,
    },
    /// The file of a dynamic store does not begin with the size of its records.
    #[error("Fail to read header record of store file: {}; found a record size of {size}", path.display())]
    Header {
        /// The store file.
        path: PathBuf,
        /// What stands there; 0 if the file is empty.
        size: u32,
    },
    /// No format that Neo4j 4.x writes.
    #[error("Unknown store version '{version}'; only stores of Neo4j 4.0 to 4.4 can be used")]
    UnknownVersion {
        /// What the metadata store says.
        version: StoreVersion,
    },
    /// Two tokens of one name space have the same name.
    #[error("{} has the name '{name}' twice, for {first} and {second}; the store needs a consistency check", path.display())]
    DuplicateToken {
        /// The token store.
        path: PathBuf,
        /// The name.
        name: String,
        /// The token that had the name first.
        first: u64,
        /// The other one.
        second: u64,
    },
    /// A schema rule can't be understood.
    #[error("The schema rule {id} is malformed (not deserializable): {reason}")]
    Rule {
        /// The rule.
        id: SchemaId,
        /// What is wrong with it.
        reason: MalformedRule,
    },
}

impl From<DiskError> for StoreError {
    fn from(error: DiskError) -> Self {
        Self::Page(error.into())
    }
}

/// Bytes that make no sense as a record or a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Malformed {
    /// A number is greater than its field.
    #[error("{field} {value} does not fit into {bits} bits")]
    DoesNotFit {
        /// The field.
        field: &'static str,
        /// The number.
        value: u64,
        /// Width of the field.
        bits: u32,
    },
    /// Something refers to a record that is not in use.
    #[error("it is referred to and not in use")]
    NotInUse,
    /// The second unit of a record is no slot.
    #[error("Illegal secondary record reference: {id}")]
    SecondUnit {
        /// What stands there.
        id: i64,
    },
    /// A record goes on behind its units.
    #[error("its fields need more bytes than its units have")]
    UnitTooShort,
    /// Properties claim more words than their record has.
    #[error("its properties claim more than four words")]
    TooManyWords,
    /// A dynamic record holds more than it has room for.
    #[error("a length of {length} bytes in a data area of {room}")]
    DynamicLength {
        /// What stands there, in bytes.
        length: i64,
        /// Bytes of the data area.
        room: usize,
    },
    /// A record that is not full is not the last of its chain.
    #[error("it is not full and refers to a next record")]
    ChainNotFull,
    /// A chain starts in the middle of another, or another starts in its middle.
    #[error("its mark of a first record is wrong for its place in the chain")]
    ChainStart,
    /// A chain comes back to one of its records.
    #[error("Chain cycle detected while reading the chain that starts there")]
    ChainCycle,
    /// A chain holds more than any value of Neo4j.
    #[error("its chain holds a value of more than 2 GiB")]
    ValueTooLong,
    /// A property has a type that does not exist.
    #[error("Unknown property type: {kind} (from property block {word:016x})")]
    PropertyType {
        /// The type.
        kind: u8,
        /// The property's first word.
        word: u64,
    },
    /// A value has a sub-type, an encoding or a part that does not exist or is out of range.
    #[error("{what} {value} is not possible in a property value")]
    ValuePart {
        /// The part.
        what: &'static str,
        /// What stands there.
        value: i64,
    },
    /// A value ends before all of it was read.
    #[error("a value ends in the middle of {what}")]
    ValueEnds {
        /// The part that is cut.
        what: &'static str,
    },
}

/// Why a schema rule can't be understood.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum MalformedRule {
    /// A property is missing.
    #[error("it has no {0}")]
    Missing(&'static str),
    /// A property has a value of another type.
    #[error("its {0} has a value of another type")]
    Type(&'static str),
    /// A property has a value that Neo4j does not know.
    #[error("its {key} is '{value}'")]
    Word {
        /// The property.
        key: &'static str,
        /// Its value.
        value: String,
    },
    /// A property has a key that is no internal one.
    #[error("one of its properties has the key {0}, which is no key of rules")]
    Key(PropertyKeyId),
}
