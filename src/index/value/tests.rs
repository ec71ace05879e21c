//! The worked examples of the specification, and laws that hold for all values.

use std::cmp::Ordering;

use proptest::prelude::*;

use super::testing::{key_of, text, values};
use super::{KeyKind, SpatialSettings, ValueLayout, decode_key, encode_key};
use crate::gbptree::Layout;
use crate::store::value::{Array, Crs, DateTime, Duration, LocalDateTime, Point, Time, Value, Zone, ZoneId};

fn bytes(hexadecimal: &str) -> Vec<u8> {
    let digits: String = hexadecimal.split_whitespace().collect();
    (0..digits.len()).step_by(2).map(|at| u8::from_str_radix(&digits[at..at + 2], 16).unwrap()).collect()
}

fn place(crs: Crs, coordinates: [f64; 3]) -> Point {
    Point::new(crs, coordinates).unwrap()
}

fn wgs84() -> Point {
    place(Crs::Wgs84, [12.994_823, 55.612_191, 0.0])
}

/// Specification: indexes 3.8.
#[test]
fn keys_are_as_in_the_specification() {
    use Value::{Bool, Byte, Char, Date, Double, Float, Int, LocalTime, Long, Short};
    let stockholm = ZoneId::new(175).unwrap();
    let examples: Vec<(Value, &str)> = vec![
        (text("abc"), "07 0003 616263"),
        (text("å"), "07 0002 c3a5"),
        (Char(b'a'.into()), "07 8001 61"),
        (Byte(5), "09 00 05"),
        (Short(5), "09 01 0005"),
        (Int(5), "09 02 00000005"),
        (Long(-1), "09 03 ffffffffffffffff"),
        (Float(1.5), "09 04 3fc00000"),
        (Double(1.5), "09 05 3ff8000000000000"),
        (Bool(true), "08 01"),
        (Date(18263), "03 0000000000004757"),
        (LocalTime(3_723_000_000_004), "05 00000362d417ae04"),
        (Value::Time(Time { local_nano: 3_723_000_000_000, offset: 3600 }), "04 0000001ca35f0e00 00000e10"),
        (
            Value::LocalDateTime(LocalDateTime { second: 0x5e0d_5da5, nano: 6 }),
            "02 000000005e0d5da5 00000006",
        ),
        (
            Value::DateTime(DateTime { second: 0x5e0d_79c5, nano: 0, zone: Zone::Offset(-7200) }),
            "01 000000005e0d79c5 00000000 00ffe3e0",
        ),
        (
            Value::DateTime(DateTime { second: 0x5e0d_4f95, nano: 0, zone: Zone::Named(stockholm) }),
            "01 000000005e0d4f95 00000000 010000af",
        ),
        (
            Value::Duration(Duration { months: 1, days: 2, seconds: 3, nanos: 4 }),
            "06 00000000002ac3ab 00000004 0000000000000001 0000000000000002",
        ),
        (Value::Point(wgs84()), "00 10e648 090960c441c19982 4029fd5970b49e02 404bce5c4651f3e9"),
        (
            Value::Point(place(Crs::Cartesian3d, [1.0, 2.0, 3.0])),
            "00 23c58c 0ba2492492492490 3ff0000000000000 4000000000000000 4008000000000000",
        ),
        (Value::Array(Array::String(vec!["a".to_owned(), "bc".to_owned()])), "11 0002 0001 61 0002 6263"),
        (Value::Array(Array::Char(vec![b'a'.into(), b'b'.into()])), "11 8002 0001 61 0001 62"),
        (Value::Array(Array::Long(vec![1, 2])), "13 03 0002 0000000000000001 0000000000000002"),
        (Value::Array(Array::Byte(vec![1, 2])), "13 00 0002 01 02"),
        (Value::Array(Array::Double(vec![])), "13 05 0000"),
        (Value::Array(Array::Bool(vec![true, false])), "12 0002 01 00"),
        (Value::Array(Array::Date(vec![1])), "0d 0001 0000000000000001"),
        (
            Value::Array(Array::Point(vec![wgs84()])),
            "0a 10e648 0001 090960c441c19982 4029fd5970b49e02 404bce5c4651f3e9",
        ),
        (Value::Array(Array::Point(vec![])), "0a 000000 0000"),
    ];
    for (value, slot) in examples {
        let expected = bytes(&format!("000000000000002a {slot}"));
        assert_eq!(key_of(KeyKind::Btree, 42, std::slice::from_ref(&value)), expected, "{value:?}");
        assert_eq!(decode_key(KeyKind::Btree, 1, &expected), Ok((42, vec![value])));
    }
    let point = Value::Point(wgs84());
    let range = bytes("000000000000002a 00 10e648 4029fd5970b49e02 404bce5c4651f3e9");
    assert_eq!(key_of(KeyKind::Range, 42, std::slice::from_ref(&point)), range);
    let single = bytes("000000000000002a 10e648 090960c441c19982 4029fd5970b49e02 404bce5c4651f3e9");
    assert_eq!(key_of(KeyKind::Point, 42, std::slice::from_ref(&point)), single);
    assert_eq!(decode_key(KeyKind::Point, 1, &single), Ok((42, vec![point])));
    let composite = bytes("0000000000000007 07 0002 6162 09 03 0000000000000001");
    assert_eq!(key_of(KeyKind::Btree, 7, &[text("ab"), Long(1)]), composite);
}

/// Specification: indexes 3.8, the list at the end.
#[test]
fn keys_sort_as_in_the_specification() {
    let of = |month: i64| Value::Duration(Duration { months: month, days: 2, seconds: 3, nanos: 4 });
    let moment = |second, zone| Value::DateTime(DateTime { second, nano: 0, zone });
    let groups: Vec<Vec<Value>> = vec![
        vec![Value::Array(Array::Point(vec![]))],
        vec![Value::Array(Array::Point(vec![wgs84()]))],
        vec![Value::Array(Array::Date(vec![1]))],
        vec![Value::Array(Array::Char(vec![b'a'.into(), b'b'.into()]))],
        vec![Value::Array(Array::String(vec!["a".to_owned(), "bc".to_owned()]))],
        vec![Value::Array(Array::Bool(vec![true, false]))],
        vec![Value::Array(Array::Double(vec![]))],
        vec![Value::Array(Array::Long(vec![1, 2])), Value::Array(Array::Byte(vec![1, 2]))],
        vec![Value::Point(wgs84())],
        vec![Value::Point(place(Crs::Cartesian3d, [1.0, 2.0, 3.0]))],
        vec![moment(0x5e0d_4f95, Zone::Named(ZoneId::new(175).unwrap()))],
        vec![moment(0x5e0d_79c5, Zone::Offset(-7200))],
        vec![Value::LocalDateTime(LocalDateTime { second: 0x5e0d_5da5, nano: 6 })],
        vec![Value::Date(18263)],
        vec![Value::Time(Time { local_nano: 3_723_000_000_000, offset: 3600 })],
        vec![Value::LocalTime(3_723_000_000_004)],
        vec![of(1)],
        vec![Value::Char(b'a'.into()), text("a")],
        vec![text("abc")],
        vec![text("å")],
        vec![Value::Bool(true)],
        vec![Value::Long(-1)],
        vec![Value::Float(1.5), Value::Double(1.5)],
        vec![Value::Byte(5), Value::Short(5), Value::Int(5), Value::Long(5), Value::Double(5.0)],
    ];
    for layout in [ValueLayout::btree(1), ValueLayout::range(1)] {
        for (position, left) in groups.iter().enumerate() {
            for (other, right) in groups.iter().enumerate() {
                for (left, right) in left.iter().flat_map(|left| right.iter().map(move |right| (left, right)))
                {
                    let keys =
                        [left, right].map(|value| key_of(layout.keys(), 42, std::slice::from_ref(value)));
                    let order = layout.compare(&keys[0], &keys[1]);
                    assert_eq!(order, position.cmp(&other), "{layout:?}: {left:?} {right:?}");
                }
            }
        }
    }
}

#[test]
fn a_point_index_has_single_points_only() {
    let mut out = Vec::new();
    let point = Value::Point(wgs84());
    let array = Value::Array(Array::Point(vec![wgs84()]));
    for values in [vec![&array], vec![&Value::Long(1)], vec![&point, &point]] {
        let encoded =
            encode_key(KeyKind::Point, 1, values.iter().copied(), &SpatialSettings::default(), &mut out);
        assert_eq!(encoded, Ok(false), "{values:?}");
    }
}

#[test]
fn values_that_neo4j_refuses_are_told() {
    let encode = |value: Value| {
        encode_key(KeyKind::Btree, 9, [&value], &SpatialSettings::default(), &mut Vec::new())
            .map_err(|error| error.entity)
    };
    // 8 bytes entity, 1 type, 2 length.
    assert_eq!(encode(text(&"x".repeat(super::MAX_KEY - 11))), Ok(true));
    assert_eq!(encode(text(&"x".repeat(super::MAX_KEY - 10))), Err(9));
    assert_eq!(encode(text(&"x".repeat(100_000))), Err(9));
    assert_eq!(encode(Value::Array(Array::Bool(vec![true; 70_000]))), Err(9));
}

#[test]
fn half_a_character_is_a_question_mark() {
    assert_eq!(key_of(KeyKind::Btree, 1, &[Value::Char(0xd800)])[8..], [7, 0x80, 1, b'?']);
}

/// A key of every kind.
fn keys() -> impl Strategy<Value = (ValueLayout, u64, Vec<Value>)> {
    let layouts = [
        ValueLayout::btree(1),
        ValueLayout::btree(2),
        ValueLayout::btree(3),
        ValueLayout::range(1),
        ValueLayout::range(2),
    ];
    prop::sample::select(layouts.to_vec()).prop_flat_map(|layout| {
        let entity = prop_oneof![0_u64..3, 0..1_u64 << 50];
        (Just(layout), entity, prop::collection::vec(values(), layout.slots()))
    })
}

/// Bit by bit the same, NaN included, whose bits Java may change.
fn same(left: &[Value], right: &[Value]) -> bool {
    format!("{left:?}") == format!("{right:?}")
}

/// Three keys of one index.
fn three_keys() -> impl Strategy<Value = (ValueLayout, [Vec<u8>; 3])> {
    keys().prop_flat_map(|(layout, ..)| {
        let key = || (0_u64..3, prop::collection::vec(values(), layout.slots()));
        // Also keys that differ in the last slot or in the entity only.
        (Just(layout), key(), key(), key(), 0_usize..4, any::<u64>()).prop_map(
            |(layout, (a, first), (b, second), (c, third), common, entity)| {
                let first: Vec<Value> = first;
                let (mut second, mut third): (Vec<Value>, Vec<Value>) = (second, third);
                let common = common.min(layout.slots().saturating_sub(1));
                second[..common].clone_from_slice(&first[..common]);
                third[..common].clone_from_slice(&first[..common]);
                if entity % 4 == 0 {
                    second.clone_from(&first);
                }
                let keys = [(a, first), (b, second), (c, third)];
                (layout, keys.map(|(entity, values)| key_of(layout.keys(), entity, &values)))
            },
        )
    })
}

fn check_order(layout: ValueLayout, keys: &[Vec<u8>; 3]) -> Result<(), TestCaseError> {
    let [a, b, c] = keys;
    let order = |left: &[u8], right: &[u8]| layout.compare(left, right);
    for key in keys {
        prop_assert_eq!(order(key, key), Ordering::Equal);
    }
    for (left, right) in [(a, b), (b, c), (a, c)] {
        prop_assert_eq!(order(left, right), order(right, left).reverse());
    }
    let mut sorted = [a, b, c];
    sorted.sort_by(|left, right| order(left, right));
    let [least, middle, most] = sorted;
    prop_assert_ne!(order(least, most), Ordering::Greater);
    if order(least, most) == Ordering::Equal {
        prop_assert_eq!(order(least, middle), Ordering::Equal);
        prop_assert_eq!(order(middle, most), Ordering::Equal);
    }
    Ok(())
}

proptest! {
    #[test]
    fn values_come_back_from_their_keys((layout, entity, values) in keys()) {
        let key = key_of(layout.keys(), entity, &values);
        prop_assert!(layout.is_key(&key));
        let (decoded_entity, decoded) = decode_key(layout.keys(), layout.slots(), &key).unwrap();
        prop_assert_eq!(decoded_entity, entity);
        prop_assert!(same(&decoded, &values), "{:?} {:?}", decoded, values);
        for length in 0..key.len() {
            prop_assert!(!layout.is_key(&key[..length]));
            prop_assert!(decode_key(layout.keys(), layout.slots(), &key[..length]).is_err());
        }
    }

    #[test]
    fn the_order_of_keys_is_total((layout, keys) in three_keys()) {
        check_order(layout, &keys)?;
    }

    #[test]
    fn the_order_of_numbers_is_total(a in numbers(), b in numbers(), c in numbers()) {
        let keys = [a, b, c].map(|value| key_of(KeyKind::Btree, 0, &[value]));
        check_order(ValueLayout::btree(1), &keys)?;
    }

    #[test]
    fn the_order_is_total_over_bytes_that_are_no_key(
        (layout, keys) in three_keys(),
        at: [prop::sample::Index; 3],
        replacement: [u8; 3],
        shape in 0_u8..4,
    ) {
        let [a, b, c] = keys;
        let damage = |mut key: Vec<u8>, at: prop::sample::Index, byte: u8| {
            let at = at.index(key.len());
            match shape {
                0 => key[at] = byte,
                1 => key.truncate(at),
                2 => key.insert(at, byte),
                _ => {
                    key.remove(at);
                }
            }
            key
        };
        let damaged = [damage(a, at[0], replacement[0]), damage(b, at[1], replacement[1]), c];
        check_order(layout, &damaged)?;
        // Short ones, where two of them meet in the same place.
        let short = damaged.map(|key| key.into_iter().take(12).collect());
        check_order(layout, &short)?;
    }

    #[test]
    fn a_separator_parts_its_neighbours((layout, keys) in three_keys()) {
        for (left, right) in [(&keys[0], &keys[1]), (&keys[1], &keys[2]), (&keys[2], &keys[0])] {
            if layout.compare(left, right) == Ordering::Less {
                let mut separator = Vec::new();
                layout.separator(left, right, &mut separator);
                prop_assert_eq!(layout.compare(left, &separator), Ordering::Less, "{:?}", separator);
                prop_assert_ne!(layout.compare(&separator, right), Ordering::Greater, "{:?}", separator);
                prop_assert!(separator.len() <= right.len());
                prop_assert!(layout.is_key(&separator), "{:?}", separator);
            }
        }
    }

    #[test]
    fn an_integer_and_a_double_meet_as_their_decimals_do(
        magnitude in 1_i64 << 53..i64::MAX - 2048,
        distance in prop_oneof![1000_i64..2000, -2000_i64..-1000],
        negative: bool,
    ) {
        // The nearest double is at most 512 away: every way to print it leads to the same order.
        let (double, long) = (magnitude as f64, magnitude + distance);
        let (double, long) = if negative { (-double, -long) } else { (double, long) };
        let keys = [Value::Long(long), Value::Double(double)].map(|value| key_of(KeyKind::Btree, 0, &[value]));
        let expected = if negative { 0.cmp(&distance) } else { distance.cmp(&0) };
        prop_assert_eq!(ValueLayout::btree(1).compare(&keys[0], &keys[1]), expected);
    }
}

fn numbers() -> impl Strategy<Value = Value> {
    values().prop_filter("a number", |value| {
        matches!(
            value,
            Value::Byte(_)
                | Value::Short(_)
                | Value::Int(_)
                | Value::Long(_)
                | Value::Float(_)
                | Value::Double(_)
        )
    })
}
