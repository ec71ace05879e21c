//! The parts of a key as they lie in its bytes, and their order. Nothing here allocates.

use std::cmp::Ordering;

use super::number::{Number, rank};
use super::zone::ZoneField;
use crate::store::value::Crs;

/// Which keys an index has.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum KeyKind {
    /// Values of all types, points with their place on the curve: `native-btree-1.0` and the tree of
    /// `lucene+native-3.0`.
    Btree,
    /// Values of all types, points by their coordinates: `range-1.0`.
    Range,
    /// Single points: `point-1.0`.
    Point,
}

/// The types of values in the order of their ids.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum ValueType {
    Point,
    DateTime,
    LocalDateTime,
    Date,
    Time,
    LocalTime,
    Duration,
    Text,
    Boolean,
    Number,
}

/// What is added to the id of a type for arrays of it.
const ARRAY: u8 = 10;

impl ValueType {
    const ALL: [Self; 10] = [
        Self::Point,
        Self::DateTime,
        Self::LocalDateTime,
        Self::Date,
        Self::Time,
        Self::LocalTime,
        Self::Duration,
        Self::Text,
        Self::Boolean,
        Self::Number,
    ];

    /// The byte of this type.
    pub fn id(self) -> u8 {
        self as u8
    }

    /// The byte of arrays of this type.
    pub fn array_id(self) -> u8 {
        ARRAY + self as u8
    }
}

/// The first byte of a slot.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct SlotType {
    pub of: ValueType,
    pub is_array: bool,
}

impl SlotType {
    #[inline]
    pub fn read(bytes: &[u8]) -> Option<(Self, &[u8])> {
        let (&id, rest) = bytes.split_first()?;
        let is_array = id >= ARRAY;
        let of = *ValueType::ALL.get(usize::from(if is_array { id - ARRAY } else { id }))?;
        Some((Self { of, is_array }, rest))
    }

    /// All arrays come before all single values. Specification: indexes 3.2.
    fn compare(self, other: Self) -> Ordering {
        other.is_array.cmp(&self.is_array).then(self.of.cmp(&other.of))
    }
}

/// The reference system of points.
///
/// | Bits  | Field                                          |
/// |------:|------------------------------------------------|
/// | 0-17  | code of the system                             |
/// | 18-20 | dimensions                                     |
/// | 21    | reserved, 0                                    |
/// | 22-23 | table of the system: 1 for EPSG, 2 for SR-ORG  |
///
/// The low 16 bits come first, then the high byte. Specification: indexes 3.3.
pub(super) const CRS_SIZE: usize = 3;

const SYSTEMS: [Crs; 4] = [Crs::Wgs84, Crs::Wgs84_3d, Crs::Cartesian, Crs::Cartesian3d];

pub(super) fn encode_crs(crs: Crs) -> [u8; CRS_SIZE] {
    let (table, code) = crs.table_and_code();
    let header = code | (crs.dimension() as u64) << 18 | table << 22;
    let [.., high, middle, low] = header.to_be_bytes();
    [middle, low, high]
}

#[inline]
fn read_crs(bytes: &[u8]) -> Option<(Crs, &[u8])> {
    let (header, rest) = bytes.split_first_chunk::<CRS_SIZE>()?;
    let crs = SYSTEMS.into_iter().find(|crs| encode_crs(*crs) == *header)?;
    Some((crs, rest))
}

/// Width and meaning of the numbers of a slot.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum NumberKind {
    Byte,
    Short,
    Int,
    Long,
    Float,
    Double,
}

impl NumberKind {
    #[inline]
    fn read(bytes: &[u8]) -> Option<(Self, &[u8])> {
        let (&id, rest) = bytes.split_first()?;
        let kind = match id {
            0 => Self::Byte,
            1 => Self::Short,
            2 => Self::Int,
            3 => Self::Long,
            4 => Self::Float,
            5 => Self::Double,
            _ => return None,
        };
        Some((kind, rest))
    }

    #[inline]
    fn number(self, bytes: &[u8]) -> Option<(Number, &[u8])> {
        fn taken<const N: usize>(bytes: &[u8]) -> Option<([u8; N], &[u8])> {
            bytes.split_first_chunk().map(|(taken, rest)| (*taken, rest))
        }
        Some(match self {
            Self::Byte => {
                taken(bytes).map(|(taken, rest)| (Number::Integer(i8::from_be_bytes(taken).into()), rest))?
            }
            Self::Short => {
                taken(bytes).map(|(taken, rest)| (Number::Integer(i16::from_be_bytes(taken).into()), rest))?
            }
            Self::Int => {
                taken(bytes).map(|(taken, rest)| (Number::Integer(i32::from_be_bytes(taken).into()), rest))?
            }
            Self::Long => {
                taken(bytes).map(|(taken, rest)| (Number::Integer(i64::from_be_bytes(taken)), rest))?
            }
            Self::Float => {
                taken(bytes).map(|(taken, rest)| (Number::Double(f32::from_be_bytes(taken).into()), rest))?
            }
            Self::Double => {
                taken(bytes).map(|(taken, rest)| (Number::Double(f64::from_be_bytes(taken)), rest))?
            }
        })
    }
}

#[inline]
fn long(bytes: &[u8]) -> Option<(i64, &[u8])> {
    let (taken, rest) = bytes.split_first_chunk()?;
    Some((i64::from_be_bytes(*taken), rest))
}

#[inline]
fn int(bytes: &[u8]) -> Option<(i32, &[u8])> {
    let (taken, rest) = bytes.split_first_chunk()?;
    Some((i32::from_be_bytes(*taken), rest))
}

/// A length or a count of 2 bytes, which is never negative.
#[inline]
fn length(bytes: &[u8]) -> Option<(usize, &[u8])> {
    let (taken, rest) = bytes.split_first_chunk()?;
    Some((usize::try_from(i16::from_be_bytes(*taken)).ok()?, rest))
}

/// Marks a text that is a single character, and an array of such.
pub(super) const CHARACTER: u16 = 0x8000;

/// A length or count of 15 bits, and whether it is about characters.
#[inline]
fn flagged_length(bytes: &[u8]) -> Option<(bool, usize, &[u8])> {
    let (taken, rest) = bytes.split_first_chunk()?;
    let field = u16::from_be_bytes(*taken);
    Some((field & CHARACTER != 0, usize::from(field & !CHARACTER), rest))
}

/// A single value, or an element of an array.
///
/// | Type            | Bytes                                                                                |
/// |-----------------|--------------------------------------------------------------------------------------|
/// | point           | reference system (3), place on the curve (8; not in range indexes), coordinates (8 each) |
/// | date time       | second UTC (8), nanosecond (4), zone (4)                                             |
/// | local date time | second (8), nanosecond (4)                                                           |
/// | date            | day (8)                                                                              |
/// | time            | nanosecond of the day in UTC (8), offset in seconds (4)                              |
/// | local time      | nanosecond of the day (8)                                                            |
/// | duration        | seconds on average (8), nanoseconds (4), months (8), days (8)                        |
/// | text            | bit 15 single character, bits 0-14 length (2), UTF-8                                 |
/// | boolean         | 0 or 1 (1)                                                                           |
/// | number          | kind (1), integer or IEEE number (1, 2, 4 or 8)                                      |
///
/// In an array, reference system, number kind and the mark of characters are in its head. Specification: indexes 3.3.
#[derive(Clone, Copy, Debug)]
pub(super) enum Scalar<'a> {
    Point {
        crs: Crs,
        place: Option<i64>,
        coordinates: [i64; 3],
    },
    DateTime {
        second: i64,
        nano: i32,
        zone: ZoneField,
    },
    LocalDateTime {
        second: i64,
        nano: i32,
    },
    Date(i64),
    Time {
        nano: i64,
        offset: i32,
    },
    LocalTime(i64),
    Duration {
        average: i64,
        nanos: i32,
        months: i64,
        days: i64,
    },
    Text {
        bytes: &'a [u8],
        is_character: bool,
    },
    /// 1: true; a number that no writer makes has its place in the order, and is false.
    Boolean(i8),
    Number {
        kind: NumberKind,
        number: Number,
    },
}

impl<'a> Scalar<'a> {
    /// A value behind its type.
    #[inline]
    pub fn read(of: ValueType, keys: KeyKind, bytes: &'a [u8]) -> Option<(Self, &'a [u8])> {
        match of {
            ValueType::Point => {
                let (crs, rest) = read_crs(bytes)?;
                Self::read_point(crs, keys, rest)
            }
            ValueType::Text => {
                let (is_character, length, rest) = flagged_length(bytes)?;
                let (bytes, rest) = rest.split_at_checked(length)?;
                Some((Self::Text { bytes, is_character }, rest))
            }
            ValueType::Number => {
                let (kind, rest) = NumberKind::read(bytes)?;
                let (number, rest) = kind.number(rest)?;
                Some((Self::Number { kind, number }, rest))
            }
            of => Self::read_plain(of, bytes),
        }
    }

    pub fn read_point(crs: Crs, keys: KeyKind, bytes: &'a [u8]) -> Option<(Self, &'a [u8])> {
        let (place, mut rest) = match keys {
            KeyKind::Range => (None, bytes),
            KeyKind::Btree | KeyKind::Point => long(bytes).map(|(place, rest)| (Some(place), rest))?,
        };
        let mut coordinates = [0; 3];
        for coordinate in coordinates.iter_mut().take(crs.dimension()) {
            (*coordinate, rest) = long(rest)?;
        }
        Some((Self::Point { crs, place, coordinates }, rest))
    }

    /// Types whose values look the same alone and in an array.
    fn read_plain(of: ValueType, bytes: &'a [u8]) -> Option<(Self, &'a [u8])> {
        Some(match of {
            ValueType::DateTime => {
                let (second, rest) = long(bytes)?;
                let (nano, rest) = int(rest)?;
                let (zone, rest) = int(rest)?;
                (Self::DateTime { second, nano, zone: ZoneField(zone) }, rest)
            }
            ValueType::LocalDateTime => {
                let (second, rest) = long(bytes)?;
                let (nano, rest) = int(rest)?;
                (Self::LocalDateTime { second, nano }, rest)
            }
            ValueType::Date => long(bytes).map(|(day, rest)| (Self::Date(day), rest))?,
            ValueType::Time => {
                let (nano, rest) = long(bytes)?;
                let (offset, rest) = int(rest)?;
                (Self::Time { nano, offset }, rest)
            }
            ValueType::LocalTime => long(bytes).map(|(nano, rest)| (Self::LocalTime(nano), rest))?,
            ValueType::Duration => {
                let (average, rest) = long(bytes)?;
                let (nanos, rest) = int(rest)?;
                let (months, rest) = long(rest)?;
                let (days, rest) = long(rest)?;
                (Self::Duration { average, nanos, months, days }, rest)
            }
            ValueType::Boolean => {
                let (&value, rest) = bytes.split_first()?;
                (Self::Boolean(value.cast_signed()), rest)
            }
            ValueType::Point | ValueType::Text | ValueType::Number => return None,
        })
    }

    fn of(&self) -> ValueType {
        match self {
            Self::Point { .. } => ValueType::Point,
            Self::DateTime { .. } => ValueType::DateTime,
            Self::LocalDateTime { .. } => ValueType::LocalDateTime,
            Self::Date(_) => ValueType::Date,
            Self::Time { .. } => ValueType::Time,
            Self::LocalTime(_) => ValueType::LocalTime,
            Self::Duration { .. } => ValueType::Duration,
            Self::Text { .. } => ValueType::Text,
            Self::Boolean(_) => ValueType::Boolean,
            Self::Number { .. } => ValueType::Number,
        }
    }

    /// The order of two values. Specification: indexes 3.3.
    #[inline]
    pub fn compare(&self, other: &Self) -> Ordering {
        match (*self, *other) {
            (Self::Number { number: left, .. }, Self::Number { number: right, .. }) => left.compare(right),
            (Self::Text { bytes: left, .. }, Self::Text { bytes: right, .. }) => left.cmp(right),
            (
                Self::Point { crs, place, coordinates },
                Self::Point { crs: other_crs, place: other_place, coordinates: other_coordinates },
            ) => {
                // With a place on the curve coordinates are compared as signed integers, which reverses negative ones.
                let by_value = |coordinates: [i64; 3]| match place {
                    Some(_) => coordinates,
                    None => coordinates.map(|bits| rank(f64::from_bits(bits.cast_unsigned()))),
                };
                let system = crs.table_and_code().cmp(&other_crs.table_and_code());
                system
                    .then(place.cmp(&other_place))
                    .then_with(|| by_value(coordinates).cmp(&by_value(other_coordinates)))
            }
            (
                Self::DateTime { second, nano, zone },
                Self::DateTime { second: other_second, nano: other_nano, zone: other_zone },
            ) => {
                let moment = second.cmp(&other_second).then(nano.cmp(&other_nano));
                moment.then_with(|| zone.compare(other_zone, second))
            }
            (
                Self::LocalDateTime { second, nano },
                Self::LocalDateTime { second: other_second, nano: other_nano },
            ) => (second, nano).cmp(&(other_second, other_nano)),
            (Self::Date(left), Self::Date(right)) | (Self::LocalTime(left), Self::LocalTime(right)) => {
                left.cmp(&right)
            }
            (Self::Time { nano, offset }, Self::Time { nano: other_nano, offset: other_offset }) => {
                (nano, offset).cmp(&(other_nano, other_offset))
            }
            (
                Self::Duration { average, nanos, months, days },
                Self::Duration {
                    average: other_average,
                    nanos: other_nanos,
                    months: other_months,
                    days: other_days,
                },
            ) => (average, nanos, months, days).cmp(&(other_average, other_nanos, other_months, other_days)),
            (Self::Boolean(left), Self::Boolean(right)) => left.cmp(&right),
            // Values of one type are compared only; this makes the order complete.
            (left, right) => left.of().cmp(&right.of()),
        }
    }
}

/// What stands before the elements of an array.
///
/// | Type   | Bytes                                                     |
/// |--------|-----------------------------------------------------------|
/// | point  | reference system, 0 if there are no elements (3), count (2) |
/// | text   | bit 15 characters, bits 0-14 count (2)                    |
/// | number | kind (1), count (2)                                       |
/// | others | count (2)                                                 |
///
/// Specification: indexes 3.3.
#[derive(Clone, Copy, Debug)]
pub(super) struct ArrayHead {
    pub elements: Elements,
    pub count: usize,
}

/// What the elements of an array are.
#[derive(Clone, Copy, Debug)]
pub(super) enum Elements {
    /// `None`: there are no elements.
    Points(Option<Crs>),
    Texts {
        are_characters: bool,
    },
    Numbers(NumberKind),
    Plain(ValueType),
}

impl ArrayHead {
    pub fn read(of: ValueType, bytes: &[u8]) -> Option<(Self, &[u8])> {
        let (elements, count, rest) = match of {
            ValueType::Point => {
                let (header, rest) = bytes.split_first_chunk::<CRS_SIZE>()?;
                let (count, rest) = length(rest)?;
                let crs = read_crs(header).map(|(crs, _)| crs);
                if crs.is_none() && (count > 0 || *header != [0; CRS_SIZE]) {
                    return None;
                }
                (Elements::Points(crs), count, rest)
            }
            ValueType::Text => {
                let (are_characters, count, rest) = flagged_length(bytes)?;
                (Elements::Texts { are_characters }, count, rest)
            }
            ValueType::Number => {
                let (kind, rest) = NumberKind::read(bytes)?;
                let (count, rest) = length(rest)?;
                (Elements::Numbers(kind), count, rest)
            }
            of => {
                let (count, rest) = length(bytes)?;
                (Elements::Plain(of), count, rest)
            }
        };
        Some((Self { elements, count }, rest))
    }

    /// One of the elements.
    #[inline]
    pub fn element<'a>(&self, keys: KeyKind, bytes: &'a [u8]) -> Option<(Scalar<'a>, &'a [u8])> {
        match self.elements {
            Elements::Points(crs) => Scalar::read_point(crs?, keys, bytes),
            Elements::Texts { are_characters } => {
                let (length, rest) = length(bytes)?;
                let (bytes, rest) = rest.split_at_checked(length)?;
                Some((Scalar::Text { bytes, is_character: are_characters }, rest))
            }
            Elements::Numbers(kind) => {
                let (number, rest) = kind.number(bytes)?;
                Some((Scalar::Number { kind, number }, rest))
            }
            Elements::Plain(of) => Scalar::read_plain(of, bytes),
        }
    }
}

/// What is left of both keys when all before is equal.
type Rest<'a> = (&'a [u8], &'a [u8]);

/// A part of a key and what is behind it; `None`: it can't be read.
type Read<'a, T> = Option<(T, &'a [u8])>;

/// Compares the next part of two keys. What can't be read comes behind all that can, in the order of its bytes up to the
/// end of the key: so the order is total whatever is in a file. `Err`: the parts differ.
#[inline]
fn decide<'a, T>(
    left: &'a [u8],
    right: &'a [u8],
    (left_read, right_read): (Read<'a, T>, Read<'a, T>),
    compare: impl FnOnce(&T, &T) -> Ordering,
) -> Result<Rest<'a>, Ordering> {
    let (order, rest): (_, Rest<'a>) = match (&left_read, &right_read) {
        (Some((l, left_rest)), Some((r, right_rest))) => (compare(l, r), (left_rest, right_rest)),
        (Some(_), None) => (Ordering::Less, (&[], &[])),
        (None, Some(_)) => (Ordering::Greater, (&[], &[])),
        (None, None) => (left.cmp(right), (&[], &[])),
    };
    if order == Ordering::Equal { Ok(rest) } else { Err(order) }
}

/// Compares the next slot of two keys of an index for values of all types.
#[inline]
pub(super) fn compare_slot<'a>(keys: KeyKind, left: &'a [u8], right: &'a [u8]) -> Result<Rest<'a>, Ordering> {
    let types = (SlotType::read(left), SlotType::read(right));
    let (Some((slot, _)), Some((_, _))) = types else {
        return decide(left, right, types, |l, r| l.compare(*r));
    };
    let (left, right) = decide(left, right, types, |l, r| l.compare(*r))?;
    if slot.is_array {
        return compare_arrays(keys, slot.of, left, right);
    }
    let read = (Scalar::read(slot.of, keys, left), Scalar::read(slot.of, keys, right));
    decide(left, right, read, Scalar::compare)
}

fn compare_arrays<'a>(
    keys: KeyKind,
    of: ValueType,
    left: &'a [u8],
    right: &'a [u8],
) -> Result<Rest<'a>, Ordering> {
    let heads = (ArrayHead::read(of, left), ArrayHead::read(of, right));
    let (Some((left_head, _)), Some((right_head, _))) = heads else {
        return decide(left, right, heads, |_, _| Ordering::Equal);
    };
    let mut rest = decide(left, right, heads, |_, _| Ordering::Equal)?;
    for _ in 0..left_head.count.min(right_head.count) {
        let (left, right) = rest;
        let read = (left_head.element(keys, left), right_head.element(keys, right));
        rest = decide(left, right, read, Scalar::compare)?;
    }
    match left_head.count.cmp(&right_head.count) {
        Ordering::Equal => Ok(rest),
        order => Err(order),
    }
}

/// The order of two keys: total over all bytes, also those that are no key. Specification: indexes 3.5, 4.
#[inline]
pub(super) fn compare(keys: KeyKind, slots: usize, left: &[u8], right: &[u8]) -> Ordering {
    let (left_entity, mut left, right_entity, mut right) = match (long(left), long(right)) {
        (Some((left_entity, left)), Some((right_entity, right))) => (left_entity, left, right_entity, right),
        (Some(_), None) => return Ordering::Less,
        (None, Some(_)) => return Ordering::Greater,
        (None, None) => return left.cmp(right),
    };
    for _ in 0..slots {
        let compared = if keys == KeyKind::Point {
            let of = ValueType::Point;
            let read = (Scalar::read(of, keys, left), Scalar::read(of, keys, right));
            decide(left, right, read, Scalar::compare)
        } else {
            compare_slot(keys, left, right)
        };
        match compared {
            Ok(rest) => (left, right) = rest,
            Err(order) => return order,
        }
    }
    left_entity.cmp(&right_entity).then_with(|| left.cmp(right))
}

/// The first slot of what follows the entity, with its type, and what is behind it; `None`: it is none.
pub(super) fn split_slot(keys: KeyKind, bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let rest = if keys == KeyKind::Point {
        Scalar::read(ValueType::Point, keys, bytes)?.1
    } else {
        let (slot, rest) = SlotType::read(bytes)?;
        if slot.is_array {
            let (head, mut rest) = ArrayHead::read(slot.of, rest)?;
            for _ in 0..head.count {
                (_, rest) = head.element(keys, rest)?;
            }
            rest
        } else {
            Scalar::read(slot.of, keys, rest)?.1
        }
    };
    bytes.split_at_checked(bytes.len() - rest.len())
}
