//! Values as keys.

use super::slot::{CHARACTER, KeyKind, ValueType, encode_crs};
use super::spatial::SpatialSettings;
use super::zone::ZoneField;
use crate::store::value::{Array, DateTime, Duration, LocalDateTime, Point, Time, Value, Zone};

/// Bytes of the longest key. Specification: indexes 3.7.
pub const MAX_KEY: usize = 8175;

/// A key is longer than a tree can hold. Neo4j refuses such values when they are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the values of entity {entity} are too long for an index: a key has at most {MAX_KEY} bytes")]
pub struct KeyTooLong {
    /// The node or relationship.
    pub entity: u64,
}

/// Makes the key of an entity with these values, one per slot, in `out`, whose content is lost. `false`: an index with
/// such keys does not have these values.
///
/// | Offset | Size | Field of a key for values of all types                      |
/// |-------:|-----:|-------------------------------------------------------------|
/// |      0 |    8 | node or relationship; -1 in internal nodes                  |
/// |      8 |      | per property: type (1), value, or head and elements         |
///
/// | Offset | Size | Field of a key for points                                   |
/// |-------:|-----:|-------------------------------------------------------------|
/// |      0 |    8 | node or relationship; -1 in internal nodes                  |
/// |      8 |    3 | reference system                                            |
/// |     11 |    8 | place on the curve                                          |
/// |     19 |      | coordinates (8 each)                                        |
///
/// Specification: indexes 3.1, 4.
pub fn encode_key<'v>(
    keys: KeyKind,
    entity: u64,
    values: impl IntoIterator<Item = &'v Value>,
    spatial: &SpatialSettings,
    out: &mut Vec<u8>,
) -> Result<bool, KeyTooLong> {
    out.clear();
    out.extend_from_slice(&entity.to_be_bytes());
    let mut values = values.into_iter();
    let mut slots = Slots { keys, spatial, out, entity };
    if keys == KeyKind::Point {
        let (Some(Value::Point(point)), None) = (values.next(), values.next()) else { return Ok(false) };
        slots.out.extend_from_slice(&encode_crs(point.crs()));
        slots.point(point);
        return Ok(true);
    }
    values.try_for_each(|value| slots.value(value))?;
    if out.len() > MAX_KEY { Err(KeyTooLong { entity }) } else { Ok(true) }
}

struct Slots<'a> {
    keys: KeyKind,
    spatial: &'a SpatialSettings,
    out: &'a mut Vec<u8>,
    entity: u64,
}

impl Slots<'_> {
    fn value(&mut self, value: &Value) -> Result<(), KeyTooLong> {
        match value {
            Value::Bool(value) => {
                self.scalar(ValueType::Boolean);
                self.out.push((*value).into());
            }
            Value::Byte(value) => self.number(0, &value.to_be_bytes()),
            Value::Short(value) => self.number(1, &value.to_be_bytes()),
            Value::Int(value) => self.number(2, &value.to_be_bytes()),
            Value::Long(value) => self.number(3, &value.to_be_bytes()),
            Value::Float(value) => self.number(4, &value.to_be_bytes()),
            Value::Double(value) => self.number(5, &value.to_be_bytes()),
            Value::Char(unit) => {
                let mut buffer = [0; 4];
                let text = character(*unit).encode_utf8(&mut buffer);
                self.scalar(ValueType::Text);
                self.flagged_length(text.len(), true)?;
                self.out.extend_from_slice(text.as_bytes());
            }
            Value::String(text) => {
                self.scalar(ValueType::Text);
                self.flagged_length(text.len(), false)?;
                self.out.extend_from_slice(text.as_bytes());
            }
            Value::Point(point) => {
                self.scalar(ValueType::Point);
                self.out.extend_from_slice(&encode_crs(point.crs()));
                self.point(point);
            }
            Value::Date(day) => {
                self.scalar(ValueType::Date);
                self.long(*day);
            }
            Value::LocalTime(nano) => {
                self.scalar(ValueType::LocalTime);
                self.long(*nano);
            }
            Value::LocalDateTime(value) => {
                self.scalar(ValueType::LocalDateTime);
                self.local_date_time(*value);
            }
            Value::Time(value) => {
                self.scalar(ValueType::Time);
                self.time(*value);
            }
            Value::DateTime(value) => {
                self.scalar(ValueType::DateTime);
                self.date_time(*value);
            }
            Value::Duration(value) => {
                self.scalar(ValueType::Duration);
                self.duration(*value);
            }
            Value::Array(array) => self.array(array)?,
        }
        Ok(())
    }

    fn array(&mut self, array: &Array) -> Result<(), KeyTooLong> {
        match array {
            Array::Bool(values) => {
                self.elements(ValueType::Boolean, values, |slots, value| slots.out.push((*value).into()))
            }
            Array::Byte(values) => self.numbers(0, values, |value| value.to_be_bytes()),
            Array::Short(values) => self.numbers(1, values, |value| value.to_be_bytes()),
            Array::Int(values) => self.numbers(2, values, |value| value.to_be_bytes()),
            Array::Long(values) => self.numbers(3, values, |value| value.to_be_bytes()),
            Array::Float(values) => self.numbers(4, values, |value| value.to_be_bytes()),
            Array::Double(values) => self.numbers(5, values, |value| value.to_be_bytes()),
            Array::Char(units) => {
                self.out.push(ValueType::Text.array_id());
                self.flagged_length(units.len(), true)?;
                units.iter().try_for_each(|unit| self.text(character(*unit).encode_utf8(&mut [0; 4])))
            }
            Array::String(texts) => {
                self.out.push(ValueType::Text.array_id());
                self.flagged_length(texts.len(), false)?;
                texts.iter().try_for_each(|text| self.text(text))
            }
            Array::Point(points) => {
                self.out.push(ValueType::Point.array_id());
                let system = points.first().map(|point| encode_crs(point.crs()));
                self.out.extend_from_slice(&system.unwrap_or_default());
                self.length(points.len())?;
                for point in points {
                    self.point(point);
                }
                Ok(())
            }
            Array::Date(values) => self.elements(ValueType::Date, values, |slots, day| slots.long(*day)),
            Array::LocalTime(values) => {
                self.elements(ValueType::LocalTime, values, |slots, nano| slots.long(*nano))
            }
            Array::LocalDateTime(values) => {
                self.elements(ValueType::LocalDateTime, values, |slots, value| slots.local_date_time(*value))
            }
            Array::Time(values) => self.elements(ValueType::Time, values, |slots, value| slots.time(*value)),
            Array::DateTime(values) => {
                self.elements(ValueType::DateTime, values, |slots, value| slots.date_time(*value))
            }
            Array::Duration(values) => {
                self.elements(ValueType::Duration, values, |slots, value| slots.duration(*value))
            }
        }
    }

    fn scalar(&mut self, of: ValueType) {
        self.out.push(of.id());
    }

    fn number(&mut self, kind: u8, bytes: &[u8]) {
        self.scalar(ValueType::Number);
        self.out.push(kind);
        self.out.extend_from_slice(bytes);
    }

    fn numbers<T, const N: usize>(
        &mut self,
        kind: u8,
        values: &[T],
        bytes: impl Fn(&T) -> [u8; N],
    ) -> Result<(), KeyTooLong> {
        self.out.push(ValueType::Number.array_id());
        self.out.push(kind);
        self.length(values.len())?;
        for value in values {
            self.out.extend_from_slice(&bytes(value));
        }
        Ok(())
    }

    fn elements<T>(
        &mut self,
        of: ValueType,
        values: &[T],
        write: impl Fn(&mut Self, &T),
    ) -> Result<(), KeyTooLong> {
        self.out.push(of.array_id());
        self.length(values.len())?;
        for value in values {
            write(self, value);
        }
        Ok(())
    }

    /// A length or count. Every element has a byte at least, so that a greater count can't fit.
    fn length(&mut self, length: usize) -> Result<(), KeyTooLong> {
        let field = u16::try_from(length).ok().filter(|_| length <= MAX_KEY);
        let field = field.ok_or(KeyTooLong { entity: self.entity })?;
        self.out.extend_from_slice(&field.to_be_bytes());
        Ok(())
    }

    fn flagged_length(&mut self, length: usize, is_character: bool) -> Result<(), KeyTooLong> {
        let field = u16::try_from(length).ok().filter(|_| length <= MAX_KEY);
        let field = field.ok_or(KeyTooLong { entity: self.entity })?;
        let flag = if is_character { CHARACTER } else { 0 };
        self.out.extend_from_slice(&(field | flag).to_be_bytes());
        Ok(())
    }

    fn text(&mut self, text: &str) -> Result<(), KeyTooLong> {
        self.length(text.len())?;
        self.out.extend_from_slice(text.as_bytes());
        Ok(())
    }

    fn long(&mut self, value: i64) {
        self.out.extend_from_slice(&value.to_be_bytes());
    }

    fn int(&mut self, value: i32) {
        self.out.extend_from_slice(&value.to_be_bytes());
    }

    fn point(&mut self, point: &Point) {
        if self.keys != KeyKind::Range {
            self.long(self.spatial.place(point));
        }
        for coordinate in point.coordinates() {
            self.out.extend_from_slice(&coordinate.to_be_bytes());
        }
    }

    fn local_date_time(&mut self, value: LocalDateTime) {
        self.long(value.second);
        self.int(value.nano.cast_signed());
    }

    fn time(&mut self, value: Time) {
        self.long(value.local_nano - i64::from(value.offset) * NANOS_PER_SECOND);
        self.int(value.offset);
    }

    fn date_time(&mut self, value: DateTime) {
        self.long(value.second);
        self.int(value.nano.cast_signed());
        self.int(match value.zone {
            Zone::Offset(seconds) => ZoneField::of_offset(seconds).0,
            Zone::Named(zone) => ZoneField::of_named(zone).0,
        });
    }

    #[expect(clippy::cast_possible_truncation, reason = "Neo4j keeps less than a second there")]
    fn duration(&mut self, value: Duration) {
        self.long(average_seconds(&value));
        self.int(value.nanos as i32);
        self.long(value.months);
        self.long(value.days);
    }
}

pub(super) const NANOS_PER_SECOND: i64 = 1_000_000_000;
/// A month on average.
const SECONDS_PER_MONTH: i64 = 2_629_800;
const SECONDS_PER_DAY: i64 = 86_400;

/// Seconds of a duration, with months of their average length. Neo4j has no durations for which this is too much.
fn average_seconds(duration: &Duration) -> i64 {
    days_and_months(duration.days, duration.months).wrapping_add(duration.seconds)
}

/// Seconds of days and of months of average length.
pub(super) fn days_and_months(days: i64, months: i64) -> i64 {
    months.wrapping_mul(SECONDS_PER_MONTH).wrapping_add(days.wrapping_mul(SECONDS_PER_DAY))
}

/// A half of a pair of UTF-16 units is no character; Java writes a question mark for it.
fn character(unit: u16) -> char {
    char::from_u32(unit.into()).unwrap_or('?')
}
