//! Keys as values.

use super::encode::{NANOS_PER_SECOND, days_and_months};
use super::number::Number;
use super::slot::{ArrayHead, Elements, KeyKind, NumberKind, Scalar, SlotType, ValueType};
use super::zone;
use crate::store::error::Malformed;
use crate::store::value::{Array, DateTime, Duration, LocalDateTime, Point, Time, Value, Zone};

/// The entity and the values of a key from a leaf. Keys of internal nodes may be cut and have no entity; they are
/// for comparing only.
pub fn decode_key(keys: KeyKind, slots: usize, key: &[u8]) -> Result<(u64, Vec<Value>), Malformed> {
    let (entity, mut rest) = key.split_first_chunk().ok_or(ends("an entity"))?;
    let mut values = Vec::new();
    for _ in 0..slots {
        let value;
        (value, rest) = if keys == KeyKind::Point {
            let (point, rest) = Scalar::read(ValueType::Point, keys, rest).ok_or(ends("a point"))?;
            (value_of(&point)?, rest)
        } else {
            decode_slot(keys, rest)?
        };
        values.push(value);
    }
    if !rest.is_empty() {
        return Err(Malformed::ValuePart { what: "bytes behind the last slot", value: rest.len() as i64 });
    }
    Ok((u64::from_be_bytes(*entity), values))
}

fn ends(what: &'static str) -> Malformed {
    Malformed::ValueEnds { what }
}

fn decode_slot(keys: KeyKind, bytes: &[u8]) -> Result<(Value, &[u8]), Malformed> {
    let (slot, rest) = SlotType::read(bytes).ok_or_else(|| match bytes.first() {
        Some(&id) => Malformed::ValuePart { what: "type of a key", value: id.into() },
        None => ends("the type of a slot"),
    })?;
    if !slot.is_array {
        let (scalar, rest) = Scalar::read(slot.of, keys, rest).ok_or(ends("a value"))?;
        return Ok((value_of(&scalar)?, rest));
    }
    let (head, mut rest) = ArrayHead::read(slot.of, rest).ok_or(ends("the head of an array"))?;
    let mut elements = Vec::with_capacity(head.count.min(rest.len()));
    for _ in 0..head.count {
        let element;
        (element, rest) = head.element(keys, rest).ok_or(ends("an element of an array"))?;
        elements.push(value_of(&element)?);
    }
    Ok((Value::Array(array(&head, elements)?), rest))
}

#[expect(clippy::cast_possible_truncation, reason = "numbers were read with the width of their kind")]
fn value_of(scalar: &Scalar<'_>) -> Result<Value, Malformed> {
    Ok(match *scalar {
        Scalar::Point { crs, coordinates, .. } => {
            let coordinates = coordinates.map(|bits| f64::from_bits(bits.cast_unsigned()));
            Value::Point(Point::new(crs, coordinates)?)
        }
        Scalar::DateTime { second, nano, zone } => {
            let zone = match zone.zone() {
                zone::Zone::Offset(seconds) => Zone::Offset(seconds),
                zone::Zone::Named(zone) => Zone::Named(zone),
            };
            Value::DateTime(DateTime { second, nano: nano_of_second(nano)?, zone })
        }
        Scalar::LocalDateTime { second, nano } => {
            Value::LocalDateTime(LocalDateTime { second, nano: nano_of_second(nano)? })
        }
        Scalar::Date(day) => Value::Date(day),
        Scalar::Time { nano, offset } => {
            let local_nano = nano.saturating_add(i64::from(offset) * NANOS_PER_SECOND);
            Value::Time(Time { local_nano, offset })
        }
        Scalar::LocalTime(nano) => Value::LocalTime(nano),
        Scalar::Duration { average, nanos, months, days } => {
            let seconds = average.wrapping_sub(days_and_months(days, months));
            Value::Duration(Duration { months, days, seconds, nanos: nanos.into() })
        }
        Scalar::Text { bytes, is_character } => {
            let text = std::str::from_utf8(bytes).map_err(|error| Malformed::ValuePart {
                what: "byte of a text",
                value: bytes.get(error.valid_up_to()).copied().unwrap_or_default().into(),
            })?;
            if !is_character {
                return Ok(Value::String(text.to_owned()));
            }
            let mut units = text.encode_utf16();
            match (units.next(), units.next()) {
                (Some(unit), None) => Value::Char(unit),
                _ => {
                    return Err(Malformed::ValuePart {
                        what: "length of a character",
                        value: text.len() as i64,
                    });
                }
            }
        }
        Scalar::Boolean(value) => Value::Bool(value == 1),
        Scalar::Number { kind, number } => match (kind, number) {
            (NumberKind::Byte, Number::Integer(value)) => Value::Byte(value as i8),
            (NumberKind::Short, Number::Integer(value)) => Value::Short(value as i16),
            (NumberKind::Int, Number::Integer(value)) => Value::Int(value as i32),
            (_, Number::Integer(value)) => Value::Long(value),
            (NumberKind::Float, Number::Double(value)) => Value::Float(value as f32),
            (_, Number::Double(value)) => Value::Double(value),
        },
    })
}

fn nano_of_second(nano: i32) -> Result<u32, Malformed> {
    u32::try_from(nano)
        .map_err(|_| Malformed::ValuePart { what: "nanosecond of a second", value: nano.into() })
}

/// The array of values that are all of the kind that its head tells.
fn array(head: &ArrayHead, elements: Vec<Value>) -> Result<Array, Malformed> {
    /// Takes the content of each element.
    macro_rules! collect {
        ($variant:ident) => {
            Array::$variant(
                elements
                    .into_iter()
                    .map(|element| match element {
                        Value::$variant(content) => Ok(content),
                        _ => Err(ends("an element of the type of its array")),
                    })
                    .collect::<Result<_, _>>()?,
            )
        };
    }
    Ok(match head.elements {
        Elements::Points(_) => collect!(Point),
        Elements::Texts { are_characters: true } => collect!(Char),
        Elements::Texts { are_characters: false } => collect!(String),
        Elements::Numbers(NumberKind::Byte) => collect!(Byte),
        Elements::Numbers(NumberKind::Short) => collect!(Short),
        Elements::Numbers(NumberKind::Int) => collect!(Int),
        Elements::Numbers(NumberKind::Long) => collect!(Long),
        Elements::Numbers(NumberKind::Float) => collect!(Float),
        Elements::Numbers(NumberKind::Double) => collect!(Double),
        Elements::Plain(of) => match of {
            ValueType::DateTime => collect!(DateTime),
            ValueType::LocalDateTime => collect!(LocalDateTime),
            ValueType::Date => collect!(Date),
            ValueType::Time => collect!(Time),
            ValueType::LocalTime => collect!(LocalTime),
            ValueType::Duration => collect!(Duration),
            ValueType::Boolean => collect!(Bool),
            ValueType::Point | ValueType::Text | ValueType::Number => {
                return Err(ends("the head of an array"));
            }
        },
    })
}
