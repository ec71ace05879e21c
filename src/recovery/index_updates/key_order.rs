//! Changes of a value index in the order of its keys.

use std::cmp::Ordering;

use crate::gbptree::Layout;
use crate::index::value::{KeyKind, ValueLayout};
use crate::io::sort::Order;

/// What becomes of a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Op {
    /// It was there at a moment of the window and is not in the end.
    Remove,
    /// It is there in the end.
    Put,
}

impl Op {
    /// The byte before the key in a record of a sorter.
    pub(super) fn byte(self) -> u8 {
        self as u8
    }

    /// What a record of a sorter says.
    pub(super) fn read(record: &[u8]) -> (Self, &[u8]) {
        let Some((byte, key)) = record.split_first() else { return (Self::Remove, record) };
        (if *byte == Self::Put.byte() { Self::Put } else { Self::Remove }, key)
    }
}

/// Records of an [`Op`] and a key, in the order of the tree.
#[derive(Clone, Copy, Debug)]
pub(super) struct KeyOrder(pub ValueLayout);

impl Order for KeyOrder {
    fn prefix(&self, record: &[u8]) -> u64 {
        if self.0.keys() == KeyKind::Point { 0 } else { prefix(Op::read(record).1).unwrap_or_default() }
    }

    fn compare(&self, a: &[u8], b: &[u8]) -> Ordering {
        self.0.compare(Op::read(a).1, Op::read(b).1)
    }
}

/// Types of scalar values, and what is added for arrays. Specification: indexes 3.2.
const FIRST_TIME: u8 = 1;
const LAST_TIME: u8 = 6;
const TEXT: u8 = 7;
const BOOLEAN: u8 = 8;
const NUMBER: u8 = 9;
const ARRAY: u8 = 10;

/// A number that grows with the first value of a key: its type in the highest byte, arrays first, and below that as much
/// of the value as has room. Most comparisons of a sort need no more.
fn prefix(key: &[u8]) -> Option<u64> {
    let (kind, value) = key.get(8..)?.split_first()?;
    let (rank, content) = match *kind {
        // All of them begin with a signed number that comes first.
        FIRST_TIME..=LAST_TIME => (ARRAY + kind, sign_first(*value.first_chunk()?) >> 8),
        TEXT => {
            let mut start = [0; 8];
            start.iter_mut().skip(1).zip(value.get(2..)?).for_each(|(to, from)| *to = *from);
            (ARRAY + TEXT, u64::from_be_bytes(start))
        }
        BOOLEAN => (ARRAY + BOOLEAN, u64::from(*value.first()?)),
        NUMBER => (ARRAY + NUMBER, rank_of(number(value)?) >> 8),
        // Points, and behind them arrays.
        0 => (ARRAY, 0),
        array => (array.checked_sub(ARRAY)?, 0),
    };
    Some(u64::from(rank) << 56 | content)
}

/// A signed number as an unsigned one in the same order.
fn sign_first(bytes: [u8; 8]) -> u64 {
    u64::from_be_bytes(bytes) ^ 1 << 63
}

/// The nearest double. It falls nowhere where numbers grow: those that one double stands for are neighbours.
fn number(value: &[u8]) -> Option<f64> {
    let (kind, value) = value.split_first()?;
    Some(match kind {
        0 => i8::from_be_bytes(*value.first_chunk()?).into(),
        1 => i16::from_be_bytes(*value.first_chunk()?).into(),
        2 => i32::from_be_bytes(*value.first_chunk()?).into(),
        3 => i64::from_be_bytes(*value.first_chunk()?) as f64,
        4 => f32::from_be_bytes(*value.first_chunk()?).into(),
        5 => f64::from_be_bytes(*value.first_chunk()?),
        _ => return None,
    })
}

/// -0.0 before 0.0, NaN last.
fn rank_of(double: f64) -> u64 {
    if double.is_nan() {
        return u64::MAX;
    }
    let bits = double.to_bits();
    if bits >> 63 == 1 { !bits } else { bits | 1 << 63 }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::index::value::{SpatialSettings, encode_key};
    use crate::store::value::{Array, Crs, Duration, Point, Value};

    #[test]
    fn the_prefix_never_falls() {
        let text = |text: &str| Value::String(text.to_owned());
        let point = Point::new(Crs::Cartesian, [1.0, 2.0]).unwrap();
        let mut values = vec![
            text(""),
            text("a"),
            text("a\0"),
            text("the same beginning and more"),
            text("the same beginning"),
            text("å"),
            Value::Char(b'b'.into()),
            Value::Bool(true),
            Value::Bool(false),
            Value::Point(point),
            Value::Date(-5),
            Value::Date(5),
            Value::LocalTime(7),
            Value::Duration(Duration { months: -1, days: 2, seconds: 3, nanos: 4 }),
            Value::Array(Array::Int(vec![1, 2])),
            Value::Array(Array::String(vec!["x".to_owned()])),
            Value::Array(Array::Point(vec![point])),
            Value::Double(f64::NAN),
            Value::Float(0.1),
        ];
        for exponent in [0, 1, 30, 52, 53, 54, 55, 57, 59, 60, 61, 62] {
            for delta in -3..=3_i64 {
                let long = (1_i64 << exponent) + delta;
                values.extend([long, -long].map(Value::Long));
                values.extend([long as f64, -(long as f64)].map(Value::Double));
            }
        }
        values
            .extend([0.0, -0.0, 0.1, f64::INFINITY, f64::NEG_INFINITY, f64::MIN_POSITIVE].map(Value::Double));
        values.extend([
            Value::Int(-1),
            Value::Short(300),
            Value::Byte(-128),
            Value::Long(i64::MAX),
            Value::Long(i64::MIN),
        ]);
        for layout in [ValueLayout::btree(1), ValueLayout::range(1)] {
            let order = KeyOrder(layout);
            let mut records: Vec<Vec<u8>> = values
                .iter()
                .map(|value| {
                    let mut key = Vec::new();
                    let spatial = SpatialSettings::default();
                    assert!(encode_key(layout.keys(), 3, [value], &spatial, &mut key).unwrap());
                    [&[Op::Put.byte()], &key[..]].concat()
                })
                .collect();
            records.sort_by(|a, b| order.compare(a, b));
            for pair in records.windows(2) {
                assert!(order.prefix(&pair[0]) <= order.prefix(&pair[1]), "{pair:02x?}");
            }
        }
    }
}
