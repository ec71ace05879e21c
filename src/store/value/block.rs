//! A property in its record: key, type, and the value or where it is.

use super::{Array, Value, bits, point, short_array, short_string, temporal};
use crate::store::error::Malformed;
use crate::store::id::{DynamicId, PropertyKeyId};

/// A property: one to four words of its record.
///
/// | Bits of the first word | Field              |
/// |-----------------------:|--------------------|
/// | 0-23                   | property key       |
/// | 24-27                  | type               |
/// | 28-63                  | depends on the type |
///
/// Specification: store format 6.1.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Block<'a> {
    /// Its key.
    pub key: PropertyKeyId,
    /// Its type.
    pub kind: Kind,
    /// All of its words, with key and type: equal words are equal properties.
    pub words: &'a [u64],
}

/// The type of a property.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// 1
    Bool,
    /// 2
    Byte,
    /// 3
    Short,
    /// 4
    Char,
    /// 5
    Int,
    /// 6: inline with 35 bits, or in the second word.
    Long,
    /// 7
    Float,
    /// 8: in the second word.
    Double,
    /// 9: a chain in the store of strings.
    String,
    /// 10: a chain in the store of arrays.
    Array,
    /// 11
    ShortString,
    /// 12
    ShortArray,
    /// 13
    Geometry,
    /// 14
    Temporal,
}

/// What a property holds.
#[derive(Clone, Debug, PartialEq)]
pub enum Content {
    /// The value.
    Value(Value),
    /// The chain with the bytes of a text.
    String(DynamicId),
    /// The chain with the bytes of an array.
    Array(DynamicId),
}

/// Where the part of the first word starts that depends on the type.
const PAYLOAD: usize = 28;

impl Kind {
    /// The type of a property that starts with this word; `None`: no property starts with it.
    pub fn of(word: u64) -> Option<Self> {
        Some(match word >> 24 & 0x0f {
            1 => Self::Bool,
            2 => Self::Byte,
            3 => Self::Short,
            4 => Self::Char,
            5 => Self::Int,
            6 => Self::Long,
            7 => Self::Float,
            8 => Self::Double,
            9 => Self::String,
            10 => Self::Array,
            11 => Self::ShortString,
            12 => Self::ShortArray,
            13 => Self::Geometry,
            14 => Self::Temporal,
            _ => return None,
        })
    }

    /// Words of a property that starts with this word.
    fn words(self, first: u64) -> Result<usize, Malformed> {
        match self {
            Self::Bool
            | Self::Byte
            | Self::Short
            | Self::Char
            | Self::Int
            | Self::Float
            | Self::String
            | Self::Array => Ok(1),
            Self::Long if is_inline_long(first) => Ok(1),
            Self::Long | Self::Double => Ok(2),
            Self::ShortString => short_string::words(first),
            Self::ShortArray => Ok(short_array::words(first)),
            Self::Geometry => Ok(point::words(first)),
            Self::Temporal => temporal::words(first),
        }
    }
}

fn is_inline_long(first: u64) -> bool {
    first >> PAYLOAD & 1 == 1
}

impl<'a> Block<'a> {
    /// The first property of the words and the words behind it; `None` if there are no words.
    pub fn split_first(words: &'a [u64]) -> Option<Result<(Self, &'a [u64]), Malformed>> {
        let first = *words.first()?;
        Some(Self::split(first, words))
    }

    fn split(first: u64, words: &'a [u64]) -> Result<(Self, &'a [u64]), Malformed> {
        let kind = Kind::of(first)
            .ok_or(Malformed::PropertyType { kind: (first >> 24 & 0x0f) as u8, word: first })?;
        let (words, rest) = words.split_at_checked(kind.words(first)?).ok_or(Malformed::TooManyWords)?;
        let key = PropertyKeyId((first & 0x00ff_ffff) as u32);
        Ok((Self { key, kind, words }, rest))
    }

    /// What it holds.
    pub fn content(&self) -> Result<Content, Malformed> {
        let field = |width| bits::of_words(self.words, PAYLOAD, width);
        let value = match self.kind {
            Kind::Bool => Value::Bool(field(1) == 1),
            Kind::Byte => Value::Byte(field(8) as i8),
            Kind::Short => Value::Short(field(16) as i16),
            Kind::Char => Value::Char(field(16) as u16),
            Kind::Int => Value::Int(field(32) as i32),
            Kind::Float => Value::Float(f32::from_bits(field(32) as u32)),
            Kind::Long if field(1) == 1 => Value::Long(bits::of_words(self.words, PAYLOAD + 1, 35) as i64),
            Kind::Long => Value::Long(self.word(1) as i64),
            Kind::Double => Value::Double(f64::from_bits(self.word(1))),
            Kind::String => return Ok(Content::String(DynamicId(field(36)))),
            Kind::Array => return Ok(Content::Array(DynamicId(field(36)))),
            Kind::ShortString => Value::String(short_string::decode(self.words)?),
            Kind::ShortArray => Value::Array(self.short_array()?),
            Kind::Geometry => Value::Point(point::decode(self.words)?),
            Kind::Temporal => temporal::decode(self.words)?,
        };
        Ok(Content::Value(value))
    }

    fn short_array(&self) -> Result<Array, Malformed> {
        short_array::decode(self.words)
    }

    fn word(&self, index: usize) -> u64 {
        self.words.get(index).copied().unwrap_or_default()
    }
}
