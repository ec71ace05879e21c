//! Storage commands: what a transaction changes, as images of records before and after.
//!
//! A command has no length field; its end is found by reading it. Decoding borrows: records of unknown number (labels,
//! names, values) stay bytes and are iterated on demand, so nothing is allocated. All bytes are checked once by the
//! decoder, therefore the iterators cannot fail. Specification: transaction log 4.
#![expect(
    clippy::inline_always,
    reason = "where only the end of a command is looked for, none of 250 bytes is made: a tenth of the time of reading a log"
)]

pub mod counts;
pub mod dynamic;
pub mod group;
pub mod node;
pub mod property;
pub mod relationship;
pub mod schema;
pub mod token;

use bytes::BufMut;

use self::counts::{GroupDegree, MetadataChange, NodeCount, RelationshipCount};
use self::group::GroupCommand;
use self::node::NodeCommand;
use self::property::PropertyCommand;
use self::relationship::RelationshipCommand;
use self::schema::SchemaCommand;
use self::token::{TokenCommand, TokenKind};
use super::{EntryError, KernelVersion};
use crate::io::bytes::Reader;

/// One change of a transaction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Command<'a> {
    /// A node record.
    Node(NodeCommand<'a>),
    /// A property record with its values.
    Property(PropertyCommand<'a>),
    /// A relationship record.
    Relationship(RelationshipCommand),
    /// A token of any kind with its name.
    Token(TokenCommand<'a>),
    /// A relationship group record.
    Group(GroupCommand),
    /// A schema record, and the rule as a map.
    Schema(SchemaCommand<'a>),
    /// How many nodes of a label came or went.
    NodeCount(NodeCount),
    /// How many relationships of a pattern came or went.
    RelationshipCount(RelationshipCount),
    /// How many relationships of a group came or went, where the group does not count them itself.
    GroupDegree(GroupDegree),
    /// A field of the metadata store.
    Metadata(MetadataChange),
}

impl<'a> Command<'a> {
    /// Reads what follows the head of a command entry: padding, the type byte and the command.
    pub fn decode(version: KernelVersion, reader: &mut Reader<'a>) -> Result<Self, EntryError> {
        Self::decode_with(version, reader, Self::clone)
    }

    /// Reads a command and lends it: to return one of 250 bytes would copy it several times.
    #[inline(always)]
    pub(super) fn decode_with<R>(
        version: KernelVersion,
        reader: &mut Reader<'a>,
        each: impl FnOnce(&Self) -> R,
    ) -> Result<R, EntryError> {
        let mut offset = reader.offset();
        let mut kind = reader.u8("command type")?;
        while kind == 0 {
            offset = reader.offset();
            kind = reader.u8("command type")?;
        }
        let command = match kind {
            1 => Self::Node(NodeCommand::decode(reader)?),
            2 => Self::Property(PropertyCommand::decode(reader)?),
            3 => Self::Relationship(RelationshipCommand::decode(reader)?),
            4 => Self::Token(TokenCommand::decode(TokenKind::RelationshipType, reader)?),
            5 => Self::Token(TokenCommand::decode(TokenKind::PropertyKey, reader)?),
            8 => Self::Token(TokenCommand::decode(TokenKind::Label, reader)?),
            9 => Self::Group(GroupCommand::decode(version, false, reader)?),
            16 => Self::RelationshipCount(RelationshipCount::decode(reader)?),
            17 => Self::NodeCount(NodeCount::decode(reader)?),
            18 => Self::Schema(SchemaCommand::decode(reader)?),
            19 if version.has_external_degrees() => Self::Metadata(MetadataChange::decode(reader)?),
            20 if version.has_external_degrees() => Self::GroupDegree(GroupDegree::decode(reader)?),
            21 => Self::Group(GroupCommand::decode(version, true, reader)?),
            found => return Err(EntryError::UnknownCommand { offset, found, version }),
        };
        Ok(each(&command))
    }

    /// Appends the type byte and the command.
    pub fn encode(&self, out: &mut impl BufMut) {
        out.put_u8(self.type_byte());
        match self {
            Self::Node(command) => command.encode(out),
            Self::Property(command) => command.encode(out),
            Self::Relationship(command) => command.encode(out),
            Self::Token(command) => command.encode(out),
            Self::Group(command) => command.encode(out),
            Self::RelationshipCount(command) => command.encode(out),
            Self::NodeCount(command) => command.encode(out),
            Self::Schema(command) => command.encode(out),
            Self::Metadata(command) => command.encode(out),
            Self::GroupDegree(command) => command.encode(out),
        }
    }

    /// The number of this kind of command.
    pub fn type_byte(&self) -> u8 {
        match self {
            Self::Node(_) => 1,
            Self::Property(_) => 2,
            Self::Relationship(_) => 3,
            Self::Token(TokenCommand { kind: TokenKind::RelationshipType, .. }) => 4,
            Self::Token(TokenCommand { kind: TokenKind::PropertyKey, .. }) => 5,
            Self::Token(TokenCommand { kind: TokenKind::Label, .. }) => 8,
            Self::Group(GroupCommand { wide_type: false, .. }) => 9,
            Self::RelationshipCount(_) => 16,
            Self::NodeCount(_) => 17,
            Self::Schema(_) => 18,
            Self::Metadata(_) => 19,
            Self::GroupDegree(_) => 20,
            Self::Group(GroupCommand { wide_type: true, .. }) => 21,
        }
    }
}

/// A record before and after a transaction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Change<T> {
    /// As it was.
    pub before: T,
    /// As it is.
    pub after: T,
}

impl<T> Change<T> {
    /// Reads two images, the older first.
    fn decode(mut image: impl FnMut() -> Result<T, EntryError>) -> Result<Self, EntryError> {
        Ok(Self { before: image()?, after: image()? })
    }
}

/// What a command does to its record. Specification: transaction log 4.2.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// The record was not in use before.
    Create,
    /// It was and is in use.
    Update,
    /// It is not in use any more.
    Delete,
}

impl Mode {
    /// From the flags of both images, which is the same in a forward and in a reverse pass. `created` is the flag of
    /// the after image, for records that have one.
    fn of(before: RecordFlags, after: RecordFlags, created: bool) -> Self {
        match (before.in_use(), after.in_use()) {
            (_, false) => Self::Delete,
            (false, true) => Self::Create,
            (true, true) if created => Self::Create,
            (true, true) => Self::Update,
        }
    }
}

/// The first byte of an image. Kept as it was read, so that an image encodes to the same byte.
///
/// | Bit | Meaning                                                                        |
/// |----:|--------------------------------------------------------------------------------|
/// |   0 | in use                                                                         |
/// |   1 | created by this transaction; property: owner is a relationship                 |
/// |   2 | `high_limit`: needs a secondary unit                                           |
/// |   3 | `high_limit`: has a secondary unit, whose id is in the image                   |
/// |   4 | `high_limit`: fixed references                                                 |
/// |   5 | group: outgoing degree is external; dynamic: first of a chain; token: internal |
/// |   6 | group: incoming degree is external                                             |
/// |   7 | group: loop degree is external                                                 |
///
/// Specification: transaction log 4.1.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RecordFlags(pub u8);

impl RecordFlags {
    /// Whether the record exists.
    pub fn in_use(self) -> bool {
        self.0 & 0x01 != 0
    }

    /// Whether this transaction created it; not for properties.
    pub fn created(self) -> bool {
        self.0 & 0x02 != 0
    }

    /// Whether the record does not fit into one unit.
    pub fn requires_secondary_unit(self) -> bool {
        self.0 & 0x04 != 0
    }

    /// Whether the id of a second unit is in the image.
    pub fn has_secondary_unit(self) -> bool {
        self.0 & 0x08 != 0
    }

    /// Of a token: whether it belongs to Neo4j itself.
    pub fn is_internal(self) -> bool {
        self.0 & 0x20 != 0
    }

    /// Whether references are not compressed.
    pub fn fixed_references(self) -> bool {
        self.0 & 0x10 != 0
    }

    #[inline]
    fn decode(reader: &mut Reader<'_>) -> Result<Self, EntryError> {
        Ok(Self(reader.u8("record flags")?))
    }
}

/// The id of the second unit of a record, where the flags say that there is one.
#[inline]
fn secondary_unit(flags: RecordFlags, reader: &mut Reader<'_>) -> Result<Option<u64>, EntryError> {
    if !flags.has_secondary_unit() {
        return Ok(None);
    }
    Ok(Some(reader.i64("secondary unit")? as u64))
}

fn put_secondary_unit(out: &mut impl BufMut, unit: Option<u64>) {
    if let Some(unit) = unit {
        out.put_u64(unit);
    }
}

/// A byte that is 0 or 1.
fn boolean(field: &'static str, reader: &mut Reader<'_>) -> Result<bool, EntryError> {
    let offset = reader.offset();
    match reader.u8(field)? {
        0 => Ok(false),
        1 => Ok(true),
        found => Err(EntryError::Invalid { field, offset, expected: "0 or 1", found: found.into() }),
    }
}

#[cfg(test)]
mod tests {
    use super::dynamic::DynamicRecord;
    use super::property::PropertyOwner;
    use super::schema::{SchemaScalar, SchemaValue};
    use super::*;
    use crate::store::id::{GroupId, LabelId, NodeId, PropertyId, RelationshipId, RelationshipTypeId};
    use crate::store::record::Direction;

    /// Bytes of hexadecimal text; blanks mean nothing.
    fn hex(text: &str) -> Vec<u8> {
        let digits: Vec<u8> =
            text.chars().filter_map(|c| c.to_digit(16)).map(|digit| u8::try_from(digit).unwrap()).collect();
        digits.chunks(2).map(|pair| pair[0] << 4 | pair[1]).collect()
    }

    /// Decodes, proves that all bytes were taken and that each shorter input is incomplete, and encodes again.
    fn decoded(version: KernelVersion, bytes: &[u8]) -> Command<'_> {
        let mut reader = Reader::new(bytes);
        let command = Command::decode(version, &mut reader).unwrap();
        assert_eq!(reader.left(), 0, "{command:?}");
        let mut encoded = Vec::new();
        command.encode(&mut encoded);
        assert_eq!(encoded, bytes, "{command:?}");
        for cut in 0..bytes.len() {
            let error = Command::decode(version, &mut Reader::new(&bytes[..cut])).unwrap_err();
            assert!(matches!(error, EntryError::Incomplete(_)), "cut at {cut}: {error}");
        }
        command
    }

    #[test]
    fn tokens_read_as_in_the_specification() {
        for (kind, bytes, name) in [
            (
                TokenKind::Label,
                "08 00000000 00 FFFFFFFF 00000000 01 00000001 00000001
                 0000000000000001 FFFFFFFF 23 00000006 FFFFFFFFFFFFFFFF 506572736F6E",
                "Person",
            ),
            (
                TokenKind::PropertyKey,
                "05 00000000 00 00000000 FFFFFFFF 00000000 01 00000000 00000001 00000001
                 0000000000000001 FFFFFFFF 23 00000004 FFFFFFFFFFFFFFFF 6E616D65",
                "name",
            ),
        ] {
            let bytes = hex(bytes);
            let Command::Token(token) = decoded(KernelVersion::V4_4, &bytes) else { panic!() };
            assert_eq!((token.kind, token.id, token.mode()), (kind, 0, Mode::Create));
            assert_eq!(token.change.before.name, None);
            let records: Vec<_> = token.change.after.name_records.iter().collect();
            let [DynamicRecord { kind: DynamicRecord::NAME, next: None, data, .. }] = records[..] else {
                panic!()
            };
            assert_eq!(data, name.as_bytes());
        }
    }

    #[test]
    fn a_relationship_reads_as_in_the_specification() {
        let bytes = hex("03 0000000000000000 02 FFFFFFFF 03 0000000000000000 0000000000000001 00000000
             0000000000000001 FFFFFFFFFFFFFFFF 0000000000000001 FFFFFFFFFFFFFFFF FFFFFFFFFFFFFFFF 03");
        let Command::Relationship(command) = decoded(KernelVersion::V4_4, &bytes) else { panic!() };
        assert_eq!((command.id, command.mode()), (RelationshipId(0), Mode::Create));
        assert_eq!((command.change.before.kind, command.change.before.links), (None, None));
        let links = command.change.after.links.unwrap();
        assert_eq!((links.first_node, links.second_node), (NodeId(0), NodeId(1)));
        assert_eq!((links.second_chain.previous, links.second_chain.next), (1, None));
        assert!(links.first_chain.is_first && links.second_chain.is_first);
    }

    #[test]
    fn a_property_reads_as_in_the_specification() {
        let bytes =
            hex("02 0000000000000000 00 FFFFFFFFFFFFFFFF FFFFFFFFFFFFFFFF 0000000000000000 00 00000000
             01 FFFFFFFFFFFFFFFF FFFFFFFFFFFFFFFF 0000000000000000 01 08 00000002A5000000 00000000 00000000");
        let Command::Property(command) = decoded(KernelVersion::V4_4, &bytes) else { panic!() };
        assert_eq!((command.id, command.mode()), (PropertyId(0), Mode::Create));
        assert_eq!(command.change.after.owner(), PropertyOwner::Node(NodeId(0)));
        let blocks: Vec<_> = command.change.after.blocks.iter().collect();
        assert_eq!(blocks.len(), 1);
        assert_eq!(blocks[0].longs(), [0x2_a500_0000]);
        assert!(blocks[0].records.is_empty());
    }

    #[test]
    fn a_group_and_its_degree_read_as_in_the_specification() {
        let blank = "FFFFFFFFFFFFFFFF".repeat(5);
        let content = "FFFFFFFFFFFFFFFF 000000000000000A 000000000000000B FFFFFFFFFFFFFFFF 0000000000000007";
        let bytes = hex(&format!("09 0000000000000005 00 FFFF {blank} 61 0001 {content}"));
        let Command::Group(command) = decoded(KernelVersion::V4_4, &bytes) else { panic!() };
        assert_eq!((command.id, command.mode()), (GroupId(5), Mode::Create));
        let group = command.change.after;
        assert_eq!(group.kind, RelationshipTypeId(1));
        assert_eq!(group.first_incoming, Some(RelationshipId(11)));
        assert!(group.has_external_outgoing_degree() && group.has_external_incoming_degree());
        assert!(!group.has_external_loop_degree());

        // A kernel before 4.3 knows no external degrees: the bits say nothing there.
        let Command::Group(old) = Command::decode(KernelVersion::V4_2, &mut Reader::new(&bytes)).unwrap()
        else {
            panic!()
        };
        assert_eq!(old.change.after.flags.0, 0x01);

        let wide = hex(&format!("15 0000000000000005 00 FFFFFF {blank} 81 000102 {content}"));
        let Command::Group(command) = decoded(KernelVersion::V4_3, &wide) else { panic!() };
        assert_eq!(command.change.after.kind, RelationshipTypeId(0x02_0001));
        assert!(command.change.after.has_external_loop_degree());

        let bytes = hex("14 0000000000000015 0000000000000003");
        let degree = GroupDegree { group: GroupId(5), direction: Direction::Incoming, delta: 3 };
        assert_eq!(decoded(KernelVersion::V4_4, &bytes), Command::GroupDegree(degree));
        let none = Command::decode(KernelVersion::V4_2, &mut Reader::new(&bytes));
        let version = KernelVersion::V4_2;
        assert_eq!(none, Err(EntryError::UnknownCommand { offset: 0, found: 20, version }));
    }

    #[test]
    fn counts_read_as_in_the_specification() {
        let bytes = hex("10 00000000 00000002 FFFFFFFF FFFFFFFFFFFFFFFF");
        let count = RelationshipCount {
            start: Some(LabelId(0)),
            kind: Some(RelationshipTypeId(2)),
            end: None,
            delta: -1,
        };
        assert_eq!(decoded(KernelVersion::V4_0, &bytes), Command::RelationshipCount(count));
    }

    #[test]
    fn every_kind_of_value_in_a_schema_rule_reads() {
        let key = |name: &str| {
            let key = format!("__org.neo4j.SchemaRule.{name}");
            let length = u32::try_from(key.len()).unwrap();
            [&length.to_be_bytes()[..], key.as_bytes()].concat()
        };
        let values: [(&str, &str); 9] = [
            ("true", "00"),
            ("false", "01"),
            ("byte", "03 FF"),
            ("short", "04 FFFE"),
            ("int", "05 FFFFFFFD"),
            ("long", "06 FFFFFFFFFFFFFFFC"),
            ("string", "09 00000005 494E444558"),
            ("ids", "0B 00000002 05 00000001 00000007"),
            ("flags", "0B 00000003 02 00 01 00"),
        ];
        let mut bytes = hex("12 0000000000000003 01 02 03 00 0000000000000009 00000009");
        for (name, value) in values {
            bytes.extend(key(name));
            bytes.extend(hex(value));
        }
        let Command::Schema(command) = decoded(KernelVersion::V4_4, &bytes) else { panic!() };
        assert_eq!(command.mode(), Mode::Create);
        assert_eq!(command.change.after.property, Some(PropertyId(9)));
        let rule = command.rule.unwrap();
        assert_eq!(rule.iter().count(), 9);
        assert_eq!(rule.get("false"), Some(SchemaValue::Scalar(SchemaScalar::Boolean(false))));
        assert_eq!(rule.get("int"), Some(SchemaValue::Scalar(SchemaScalar::Int(-3))));
        assert_eq!(rule.get("string"), Some(SchemaValue::Scalar(SchemaScalar::String("INDEX"))));
        assert_eq!(rule.get("name"), None);
        let elements = |name| match rule.get(name) {
            Some(SchemaValue::Array(array)) => array.iter().collect::<Vec<_>>(),
            other => panic!("{other:?}"),
        };
        assert_eq!(elements("ids"), [SchemaScalar::Int(1), SchemaScalar::Int(7)]);
        assert_eq!(elements("flags"), [true, false, true].map(SchemaScalar::Boolean));
    }

    #[test]
    fn damaged_commands_are_refused_with_field_and_offset() {
        for (bytes, field, offset) in [
            ("01 0000000000000000 00 FFFFFFFF", "number of dynamic records", 10),
            ("01 0000000000000000 01 02", "dense", 10),
            ("08 00000000 20", "token flags", 5),
            ("14 0000000000000003", "group degree key", 1),
            // In use without a block.
            (
                "02 0000000000000000 01 FFFFFFFFFFFFFFFF FFFFFFFFFFFFFFFF FFFFFFFFFFFFFFFF 00",
                "number of property blocks",
                34,
            ),
            (
                "02 0000000000000000 01 FFFFFFFFFFFFFFFF FFFFFFFFFFFFFFFF FFFFFFFFFFFFFFFF 05",
                "number of property blocks",
                34,
            ),
            (
                "02 0000000000000000 01 FFFFFFFFFFFFFFFF FFFFFFFFFFFFFFFF FFFFFFFFFFFFFFFF 01 09",
                "size of a property block",
                35,
            ),
            (
                "08 00000000 00 FFFFFFFF 00000001 0000000000000001 FFFFFFFF 01 00FFFFFF",
                "dynamic record length",
                27,
            ),
            ("12 0000000000000001 01 02 00 00000001 00000000 02", "type of a schema value", 20),
        ] {
            let bytes = hex(bytes);
            match Command::decode(KernelVersion::V4_4, &mut Reader::new(&bytes)) {
                Err(EntryError::Invalid { field: found, offset: at, .. }) => {
                    assert_eq!((found, at), (field, offset));
                }
                other => panic!("{field}: {other:?}"),
            }
        }
        for kind in [6, 7, 10, 15, 22, 255] {
            let version = KernelVersion::V4_4;
            let bytes = [0, 0, kind];
            let unknown = Command::decode(version, &mut Reader::new(&bytes));
            assert_eq!(unknown, Err(EntryError::UnknownCommand { offset: 2, found: kind, version }));
        }
    }
}
