//! Everything that can be wrong, in Neo4j's words. Names are those of the specification.
//!
//! Specification: consistency check 2.

use super::report::Finding;
use super::summary::RecordType;

/// Constants of one record type: findings that Neo4j has too.
macro_rules! errors {
    ($about:ident { $($name:ident = $message:literal,)+ }) => {
        $(pub(super) const $name: Finding = Finding::error(RecordType::$about, $message);)+
    };
}

macro_rules! warnings {
    ($about:ident { $($name:ident = $message:literal,)+ }) => {
        $(pub(super) const $name: Finding = Finding::warning(RecordType::$about, $message);)+
    };
}

errors!(Node {
    NODE_RELATIONSHIP_NOT_IN_USE = "The referenced relationship record is not in use.",
    NODE_RELATIONSHIP_FOR_OTHER_NODE =
        "The referenced relationship record is a relationship between two other nodes.",
    NODE_NOT_FIRST_IN_SOURCE_CHAIN =
        "The referenced relationship record is not the first in the relationship chain where this node is source.",
    NODE_NOT_FIRST_IN_TARGET_CHAIN =
        "The referenced relationship record is not the first in the relationship chain where this node is target.",
    NODE_GROUP_NOT_IN_USE = "The referenced relationship group record is not in use.",
    NODE_GROUP_HAS_OTHER_OWNER = "The first relationship group record has another node set as owner.",
    NODE_LABEL_NOT_IN_USE = "The label token record referenced from a node record is not in use.",
    NODE_ILLEGAL_LABEL = "The label does not exist",
    NODE_LABEL_DUPLICATE = "The label token record is referenced twice from the same node.",
    NODE_LABELS_OUT_OF_ORDER = "The label id array is not ordered",
    NODE_DYNAMIC_LABEL_NOT_IN_USE = "The dynamic label record is not in use.",
    NODE_DYNAMIC_LABEL_CYCLE =
        "This record points to a next record that was already part of this dynamic record chain.",
    NODE_PROPERTY_NOT_IN_USE = "The referenced property record is not in use.",
    NODE_PROPERTY_NOT_FIRST = "The referenced property record is not the first in its property chain.",
    NODE_PROPERTY_CIRCULAR =
        "The property record points to a previous record in the chain, making it a circular reference.",
    NODE_PROPERTY_KEY_NOT_UNIQUE = "The property chain contains multiple properties that have the same property key id, which means that the entity has at least one duplicate property.",
    NODE_MISSING_MANDATORY_PROPERTY =
        "The property chain does not contain a property that is mandatory for this entity.",
    NODE_NOT_INDEXED = "This node was not found in the expected index.",
    NODE_INDEXED_MULTIPLE_TIMES = "This node was found in the expected index, although multiple times",
    NODE_NOT_UNIQUE = "There is another node in the unique index with the same property value(s).",
});

errors!(Index {
    INDEX_NODE_NOT_IN_USE = "This index entry refers to a node record that is not in use.",
    INDEX_UNEXPECTED_LABEL = "This index entry refers to a node that does not have the expected label.",
    INDEX_SHOULD_NOT = "This index entry refers to a node that shouldn't be in the index.",
    INDEX_WRONG_VALUES = "This index entry does not have the same values as the referred node.",
});

errors!(Relationship {
    RELATIONSHIP_NOT_INDEXED = "This relationship was not found in the expected index.",
    RELATIONSHIP_INDEXED_MULTIPLE_TIMES =
        "This relationship was found in the expected index, although multiple times",
    RELATIONSHIP_ILLEGAL_SOURCE = "The source node field has an illegal value.",
    RELATIONSHIP_ILLEGAL_TARGET = "The target node field has an illegal value.",
    RELATIONSHIP_SOURCE_NOT_IN_USE = "The source node is not in use.",
    RELATIONSHIP_TARGET_NOT_IN_USE = "The target node is not in use.",
    RELATIONSHIP_SOURCE_HAS_NO_CHAIN = "The source node does not have a relationship chain.",
    RELATIONSHIP_TARGET_HAS_NO_CHAIN = "The target node does not have a relationship chain.",
    RELATIONSHIP_SOURCE_NO_BACK_REFERENCE =
        "This record should be the first in the source chain, but the source node does not reference this record.",
    RELATIONSHIP_TARGET_NO_BACK_REFERENCE =
        "This record should be the first in the target chain, but the target node does not reference this record.",
    RELATIONSHIP_TYPE_NOT_IN_USE = "The relationship type record is not in use.",
    RELATIONSHIP_ILLEGAL_TYPE = "The relationship type field has an illegal value.",
    SOURCE_PREVIOUS_OTHER_NODES =
        "The previous record in the source chain is a relationship between two other nodes.",
    SOURCE_NEXT_OTHER_NODES =
        "The next record in the source chain is a relationship between two other nodes.",
    TARGET_PREVIOUS_OTHER_NODES =
        "The previous record in the target chain is a relationship between two other nodes.",
    TARGET_NEXT_OTHER_NODES =
        "The next record in the target chain is a relationship between two other nodes.",
    SOURCE_PREVIOUS_NO_BACK_REFERENCE =
        "The previous record in the source chain does not have this record as its next record.",
    SOURCE_NEXT_NO_BACK_REFERENCE =
        "The next record in the source chain does not have this record as its previous record.",
    TARGET_PREVIOUS_NO_BACK_REFERENCE =
        "The previous record in the target chain does not have this record as its next record.",
    TARGET_NEXT_NO_BACK_REFERENCE =
        "The next record in the target chain does not have this record as its previous record.",
    RELATIONSHIP_NOT_USED_IN_CHAIN =
        "The relationship record is not in use, but referenced from relationships chain.",
    RELATIONSHIP_PROPERTY_NOT_IN_USE = "The referenced property record is not in use.",
    RELATIONSHIP_PROPERTY_NOT_FIRST =
        "The referenced property record is not the first in its property chain.",
    RELATIONSHIP_PROPERTY_CIRCULAR =
        "The property record points to a previous record in the chain, making it a circular reference.",
    RELATIONSHIP_PROPERTY_KEY_NOT_UNIQUE = "The property chain contains multiple properties that have the same property key id, which means that the entity has at least one duplicate property.",
    RELATIONSHIP_MISSING_MANDATORY_PROPERTY =
        "The property chain does not contain a property that is mandatory for this entity.",
});

errors!(RelationshipGroup {
    GROUP_OWNER_NOT_IN_USE = "The owner of the relationship group is not in use.",
    GROUP_ILLEGAL_OWNER = "Illegal owner value.",
    GROUP_MULTIPLE_LAST = "The relationship group chain has multiple last groups",
    GROUP_TYPE_NOT_IN_USE = "The relationship type record is not in use.",
    GROUP_NEXT_NOT_IN_USE = "The next relationship group is not in use.",
    GROUP_INVALID_ORDER =
        "The location of group in the chain is invalid, should be sorted by type ascending.",
    GROUP_NEXT_HAS_OTHER_OWNER = "Next chained relationship group has another owner.",
    GROUP_OUTGOING_NOT_IN_USE = "The first outgoing relationship is not in use.",
    GROUP_INCOMING_NOT_IN_USE = "The first incoming relationship is not in use.",
    GROUP_LOOP_NOT_IN_USE = "The first loop relationship is not in use.",
    GROUP_OUTGOING_NOT_FIRST = "The first outgoing relationship is not the first in its chain.",
    GROUP_INCOMING_NOT_FIRST = "The first incoming relationship is not the first in its chain.",
    GROUP_LOOP_NOT_FIRST = "The first loop relationship is not the first in its chain.",
    GROUP_OUTGOING_OTHER_TYPE = "The first outgoing relationship is of a different type than its group.",
    GROUP_INCOMING_OTHER_TYPE = "The first incoming relationship is of a different type than its group.",
    GROUP_LOOP_OTHER_TYPE = "The first loop relationship is of a different type than its group.",
    GROUP_OUTGOING_OTHER_NODE = "The first outgoing relationship does not share node with group",
    GROUP_INCOMING_OTHER_NODE = "The first incoming relationship does not share node with group",
    GROUP_LOOP_OTHER_NODE = "The first loop relationship does not share node with group",
});

errors!(Property {
    PROPERTY_NEXT_NOT_IN_USE = "The next property record is not in use.",
    PROPERTY_NEXT_NO_BACK_REFERENCE =
        "The next property record does not have this record as its previous record.",
    PROPERTY_KEY_NOT_IN_USE = "The key for this property is not in use.",
    PROPERTY_INVALID_VALUE = "The property value is invalid.",
    PROPERTY_STRING_NOT_IN_USE = "The string block is not in use.",
    PROPERTY_ARRAY_NOT_IN_USE = "The array block is not in use.",
    PROPERTY_STRING_EMPTY = "The string block is empty.",
    PROPERTY_ARRAY_EMPTY = "The array block is empty.",
    // Neo4j's checker aborts.
    PROPERTY_UNKNOWN_LENGTH = "A property of this record has a type or size that does not exist.",
});

errors!(StringProperty { STRING_NEXT_NOT_IN_USE = "The next block is not in use.", });
warnings!(StringProperty {
    STRING_NOT_FULL = "The record is not full, but references a next block.",
});
errors!(ArrayProperty { ARRAY_NEXT_NOT_IN_USE = "The next block is not in use.", });
warnings!(ArrayProperty {
    ARRAY_NOT_FULL = "The record is not full, but references a next block.",
});

errors!(NodeDynamicLabel {
    // Neo4j's checker aborts.
    LABELS_UNDECODABLE = "The dynamic label record does not hold an array of labels.",
});
warnings!(NodeDynamicLabel {
    LABELS_EMPTY = "The block is empty.",
    LABELS_NOT_FULL = "The record is not full, but references a next block.",
});

errors!(Schema {
    SCHEMA_MALFORMED = "The schema rule is malformed (not deserializable)",
    SCHEMA_LABEL_NOT_IN_USE = "The label token record referenced from the schema is not in use.",
    SCHEMA_TYPE_NOT_IN_USE = "The relationship type token record referenced from the schema is not in use.",
    SCHEMA_KEY_NOT_IN_USE = "The property key token record is not in use.",
    SCHEMA_DUPLICATE_CONTENT = "This record contains a schema rule which has the same content as the schema rule contained in the record given as parameter",
    SCHEMA_DUPLICATE_OBLIGATION = "This record requires some other record to reference back to it but there already was such a conflicting obligation created by the record given as a parameter",
    SCHEMA_MISSING_OBLIGATION = "This record is required to reference some other record of the given kind but no such obligation was found",
    SCHEMA_INDEX_NOT_REFERENCING_BACK = "The constraint index does not reference back to the given record",
    SCHEMA_CONSTRAINT_NOT_REFERENCING_BACK =
        "The uniqueness constraint does not reference back to the given record",
    SCHEMA_WRONG_INDEX_TYPE = "The uniqueness constraint reference an index of a different index type",
    // Neo4j's checker never ends.
    SCHEMA_CYCLE = "The property chain of the schema rule goes round",
    // Neo4j's checker aborts.
    SCHEMA_UNREADABLE = "A property of the schema rule can't be read",
    SCHEMA_IMPOSSIBLE = "The schema rule can't exist",
    SCHEMA_NO_OWNED_INDEX = "The constraint does not say which index it owns",
});
warnings!(Schema {
    SCHEMA_NOT_ONLINE = "The schema rule has a reference to another schema rule that is not online.",
});

errors!(LabelScanDocument {
    LABEL_INDEX_NODE_NOT_IN_USE = "This label scan document refers to a node record that is not in use.",
    LABEL_INDEX_UNEXPECTED =
        "This label scan document refers to a node that does not have the expected label.",
    LABEL_INDEX_MISSING =
        "This node record has a label that is not found in the label scan store entry for this node",
});
errors!(RelationshipTypeScanDocument {
    TYPE_INDEX_NOT_IN_USE =
        "This relationship type scan document refers to a relationship record that is not in use.",
    TYPE_INDEX_UNEXPECTED =
        "This relationship type scan document refers to a relationship that does not have the expected type.",
    TYPE_INDEX_MISSING = "This relationship record has a type that is not found in the relationship type scan store entry for this relationship.",
});

errors!(Counts {
    NODE_COUNT = "The node count does not correspond with the expected count.",
    RELATIONSHIP_COUNT = "The relationship count does not correspond with the expected count.",
    // Neo4j's checker aborts.
    COUNT_OF_UNKNOWN_KIND = "The count is one of a kind that does not exist.",
    // And here.
    COUNT_OF_BOTH_ENDS = "The count of relationships has labels at both ends, which no such count has.",
});

/// The findings about the tokens of one kind.
#[derive(Clone, Copy, Debug)]
pub(super) struct TokenFindings {
    pub name_not_in_use: Finding,
    /// Neo4j's checker aborts.
    pub duplicate: Finding,
    pub next_not_in_use: Finding,
    pub circular: Finding,
    pub empty: Finding,
    pub not_full: Finding,
}

impl TokenFindings {
    pub const fn of(token: RecordType, name: RecordType) -> Self {
        Self {
            name_not_in_use: Finding::error(token, "The name block is not in use."),
            duplicate: Finding::error(token, "The token has the same name as another token of its kind."),
            next_not_in_use: Finding::error(name, "The next block is not in use."),
            circular: Finding::error(name, "The next block references a previous record in the chain."),
            empty: Finding::warning(name, "The block is empty."),
            not_full: Finding::warning(name, "The record is not full, but references a next block."),
        }
    }
}

/// The text of the generic errors. Specification: consistency check 2.11.
pub(super) const COUNTS_UNUSABLE: &str = "Counts store is missing, broken or of an older format";
/// The same of the store of degrees.
pub(super) const DEGREES_UNUSABLE: &str =
    "Relationship group degrees store is missing, broken or of an older format";

/// Neo4j looks only at the counts of labels that have an entry or a node.
pub(super) const MISSING_NODE_COUNT: Finding =
    Finding::extra(RecordType::Counts, "The counts store has no count of all nodes.");
