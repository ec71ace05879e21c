//! Changes of schema records: indexes and constraints.

use bytes::BufMut;

use super::super::EntryError;
use super::super::entry::{length, put_length};
use super::{Change, Mode, RecordFlags, boolean, put_secondary_unit, secondary_unit};
use crate::io::bytes::Reader;
use crate::store::id::{PropertyId, SchemaId};

/// Command 18: 8 bytes schema record id, 1 byte whether the rule follows, the image before, the image after, the rule.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SchemaCommand<'a> {
    /// The schema record, whose number is the id of the rule.
    pub id: SchemaId,
    /// The record.
    pub change: Change<SchemaImage>,
    /// The rule, which property records of the same transaction hold too.
    pub rule: Option<SchemaMap<'a>>,
}

/// A schema record.
///
/// | Size | Field                                      |
/// |-----:|--------------------------------------------|
/// |    1 | flags                                      |
/// |    1 | in use only: 01 constraint                 |
/// |    8 | in use only: first property                |
/// |    8 | in use with that flag only: secondary unit |
///
/// Specification: transaction log 4.9.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SchemaImage {
    /// In use, created, units.
    pub flags: RecordFlags,
    /// Whether the rule is a constraint.
    pub is_constraint: bool,
    /// First property record. A record in use without one is the label lookup index that an upgrade made.
    pub property: Option<PropertyId>,
    /// Second unit of the record.
    pub secondary_unit: Option<u64>,
}

impl<'a> SchemaCommand<'a> {
    /// Reads what follows the type byte.
    pub fn decode(reader: &mut Reader<'a>) -> Result<Self, EntryError> {
        let id = SchemaId(reader.i64("schema record id")? as u64);
        let has_rule = boolean("presence of the schema rule", reader)?;
        let change = Change::decode(|| SchemaImage::decode(reader))?;
        let rule = if has_rule { Some(SchemaMap::decode(reader)?) } else { None };
        Ok(Self { id, change, rule })
    }

    /// Appends what follows the type byte.
    pub fn encode(&self, out: &mut impl BufMut) {
        out.put_u64(self.id.0);
        out.put_u8(self.rule.is_some().into());
        self.change.before.encode(out);
        self.change.after.encode(out);
        if let Some(rule) = &self.rule {
            rule.encode(out);
        }
    }

    /// What happens to the record.
    pub fn mode(&self) -> Mode {
        let Change { before, after } = &self.change;
        Mode::of(before.flags, after.flags, after.flags.created())
    }
}

impl SchemaImage {
    fn decode(reader: &mut Reader<'_>) -> Result<Self, EntryError> {
        let flags = RecordFlags::decode(reader)?;
        if !flags.in_use() {
            return Ok(Self { flags, is_constraint: false, property: None, secondary_unit: None });
        }
        Ok(Self {
            flags,
            is_constraint: boolean("schema flags", reader)?,
            property: PropertyId::from_field(reader.i64("first property")?),
            secondary_unit: secondary_unit(flags, reader)?,
        })
    }

    fn encode(&self, out: &mut impl BufMut) {
        out.put_u8(self.flags.0);
        if self.flags.in_use() {
            out.put_u8(self.is_constraint.into());
            out.put_i64(PropertyId::to_field(self.property));
            put_secondary_unit(out, self.secondary_unit);
        }
    }
}

/// A rule: 4 bytes number of entries; each entry 4 bytes key length, key, value. Stays bytes; iterate to get the entries.
///
/// The order of the entries means nothing. Specification: transaction log 4.9.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SchemaMap<'a> {
    count: usize,
    /// Exactly the encoded entries, checked.
    encoded: &'a [u8],
}

impl<'a> SchemaMap<'a> {
    /// What all keys of a rule start with.
    pub const PREFIX: &'static str = "__org.neo4j.SchemaRule.";

    fn decode(reader: &mut Reader<'a>) -> Result<Self, EntryError> {
        let count = length(reader, "number of schema map entries")?;
        let mut walker = reader.clone();
        for _ in 0..count {
            Self::entry(&mut walker)?;
        }
        let encoded = reader.bytes("schema map", walker.offset() - reader.offset())?;
        Ok(Self { count, encoded })
    }

    fn encode(&self, out: &mut impl BufMut) {
        put_length(out, self.count);
        out.put_slice(self.encoded);
    }

    fn entry(reader: &mut Reader<'a>) -> Result<(&'a str, SchemaValue<'a>), EntryError> {
        Ok((text("schema map key", reader)?, SchemaValue::decode(reader)?))
    }

    /// Keys with their values in their order.
    pub fn iter(&self) -> SchemaMapIter<'a> {
        SchemaMapIter { rest: Reader::new(self.encoded) }
    }

    /// The value of a key, which is told without [`Self::PREFIX`].
    pub fn get(&self, key: &str) -> Option<SchemaValue<'a>> {
        self.iter().find_map(|(name, value)| (name.strip_prefix(Self::PREFIX) == Some(key)).then_some(value))
    }
}

impl<'a> IntoIterator for &SchemaMap<'a> {
    type Item = (&'a str, SchemaValue<'a>);
    type IntoIter = SchemaMapIter<'a>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}

/// Entries of a [`SchemaMap`].
#[derive(Clone, Debug)]
pub struct SchemaMapIter<'a> {
    rest: Reader<'a>,
}

impl<'a> Iterator for SchemaMapIter<'a> {
    type Item = (&'a str, SchemaValue<'a>);

    fn next(&mut self) -> Option<Self::Item> {
        SchemaMap::entry(&mut self.rest).ok()
    }
}

/// A value of a rule: a type byte, then the content.
///
/// | Type   | Content                                                                                     |
/// |-------:|---------------------------------------------------------------------------------------------|
/// | 0, 1   | none: `true`, `false`                                                                       |
/// | 3 to 6 | a whole number of 1, 2, 4 or 8 bytes                                                        |
/// | 7, 8   | a floating point number of 4 or 8 bytes                                                     |
/// | 9      | 4 bytes length, UTF-8                                                                       |
/// | 10     | a UTF-16 unit in 4 bytes                                                                    |
/// | 11     | array: 4 bytes number of elements, 1 byte their type, contents; a boolean (type 2) is 0 for `true` |
///
/// Specification: transaction log 4.9.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SchemaValue<'a> {
    /// Any value but an array.
    Scalar(SchemaScalar<'a>),
    /// Values of one type.
    Array(SchemaArray<'a>),
}

/// A value of a rule that is not an array.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SchemaScalar<'a> {
    /// A truth value.
    Boolean(bool),
    /// A whole number of 8 bits.
    Byte(i8),
    /// A whole number of 16 bits.
    Short(i16),
    /// A whole number of 32 bits.
    Int(i32),
    /// A whole number of 64 bits.
    Long(i64),
    /// Bits of a floating point number.
    Float(u32),
    /// Bits of a floating point number.
    Double(u64),
    /// A text.
    String(&'a str),
    /// A UTF-16 unit.
    Char(i32),
}

/// An array in a rule. Stays bytes; iterate to get the elements.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SchemaArray<'a> {
    count: usize,
    kind: u8,
    /// Exactly the encoded elements, checked.
    encoded: &'a [u8],
}

const TRUE: u8 = 0;
const FALSE: u8 = 1;
const BOOLEAN_ELEMENT: u8 = 2;
const ARRAY: u8 = 11;

impl<'a> SchemaValue<'a> {
    fn decode(reader: &mut Reader<'a>) -> Result<Self, EntryError> {
        let (field, offset) = ("type of a schema value", reader.offset());
        Ok(match reader.u8(field)? {
            TRUE => Self::Scalar(SchemaScalar::Boolean(true)),
            FALSE => Self::Scalar(SchemaScalar::Boolean(false)),
            kind @ 3..=10 => Self::Scalar(SchemaScalar::decode(kind, reader)?),
            ARRAY => Self::Array(SchemaArray::decode(reader)?),
            found => {
                let expected = "0, 1 or 3 to 11";
                return Err(EntryError::Invalid { field, offset, expected, found: found.into() });
            }
        })
    }
}

impl<'a> SchemaScalar<'a> {
    /// Reads what follows the type byte, or an element of an array.
    fn decode(kind: u8, reader: &mut Reader<'a>) -> Result<Self, EntryError> {
        const FIELD: &str = "schema value";
        let offset = reader.offset();
        Ok(match kind {
            BOOLEAN_ELEMENT => Self::Boolean(!boolean(FIELD, reader)?),
            3 => Self::Byte(i8::from_be_bytes(reader.array(FIELD)?)),
            4 => Self::Short(i16::from_be_bytes(reader.array(FIELD)?)),
            5 => Self::Int(reader.i32(FIELD)?),
            6 => Self::Long(reader.i64(FIELD)?),
            7 => Self::Float(u32::from_be_bytes(reader.array(FIELD)?)),
            8 => Self::Double(u64::from_be_bytes(reader.array(FIELD)?)),
            9 => Self::String(text(FIELD, reader)?),
            10 => Self::Char(reader.i32(FIELD)?),
            found => {
                let (field, expected) = ("type of schema array elements", "2 to 10");
                return Err(EntryError::Invalid { field, offset, expected, found: found.into() });
            }
        })
    }
}

impl<'a> SchemaArray<'a> {
    fn decode(reader: &mut Reader<'a>) -> Result<Self, EntryError> {
        let count = length(reader, "length of a schema array")?;
        let kind = reader.u8("type of schema array elements")?;
        let mut walker = reader.clone();
        for _ in 0..count {
            SchemaScalar::decode(kind, &mut walker)?;
        }
        let encoded = reader.bytes("schema array", walker.offset() - reader.offset())?;
        Ok(Self { count, kind, encoded })
    }

    /// How many elements there are.
    pub fn len(&self) -> usize {
        self.count
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// The elements in their order.
    pub fn iter(&self) -> SchemaArrayIter<'a> {
        SchemaArrayIter { kind: self.kind, rest: Reader::new(self.encoded) }
    }
}

impl<'a> IntoIterator for &SchemaArray<'a> {
    type Item = SchemaScalar<'a>;
    type IntoIter = SchemaArrayIter<'a>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}

/// Elements of a [`SchemaArray`].
#[derive(Clone, Debug)]
pub struct SchemaArrayIter<'a> {
    kind: u8,
    rest: Reader<'a>,
}

impl<'a> Iterator for SchemaArrayIter<'a> {
    type Item = SchemaScalar<'a>;

    fn next(&mut self) -> Option<Self::Item> {
        SchemaScalar::decode(self.kind, &mut self.rest).ok()
    }
}

/// 4 bytes length, UTF-8.
fn text<'a>(field: &'static str, reader: &mut Reader<'a>) -> Result<&'a str, EntryError> {
    let length = length(reader, field)?;
    let offset = reader.offset();
    std::str::from_utf8(reader.bytes(field, length)?).map_err(|error| EntryError::Invalid {
        field,
        offset,
        expected: "UTF-8; its first wrong byte is told",
        found: error.valid_up_to() as i64,
    })
}
