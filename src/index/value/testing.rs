//! Values and keys for the tests of this room.

use proptest::prelude::*;

use super::{KeyKind, SpatialSettings, encode_key};
use crate::store::value::{Array, Crs, DateTime, Duration, LocalDateTime, Point, Time, Value, Zone, ZoneId};

pub fn text(text: &str) -> Value {
    Value::String(text.to_owned())
}

/// A key of `native-btree-1.0`.
pub fn key(entity: u64, values: &[Value]) -> Vec<u8> {
    key_of(KeyKind::Btree, entity, values)
}

pub fn key_of(keys: KeyKind, entity: u64, values: &[Value]) -> Vec<u8> {
    let mut out = b"what was there".to_vec();
    assert!(encode_key(keys, entity, values, &SpatialSettings::default(), &mut out).unwrap(), "{values:?}");
    out
}

/// Numbers around every place where their order has an edge.
pub fn doubles() -> impl Strategy<Value = f64> {
    let edges = [0.0, -0.0, 1.0, -1.0, 0.5, f64::NAN, f64::INFINITY, f64::NEG_INFINITY, f64::MIN_POSITIVE];
    prop_oneof![
        prop::sample::select(edges.to_vec()),
        any::<f64>(),
        (50_i32..66, -3_i64..4, any::<bool>()).prop_map(|(exponent, steps, negative)| {
            let near = f64::from_bits(2_f64.powi(exponent).to_bits().wrapping_add_signed(steps));
            if negative { -near } else { near }
        }),
        (-20_i64..20).prop_map(|n| n as f64 / 2.0),
    ]
}

#[expect(clippy::cast_possible_truncation, reason = "infinities are wanted too")]
fn floats() -> impl Strategy<Value = f32> {
    doubles().prop_map(|double| double as f32)
}

pub fn longs() -> impl Strategy<Value = i64> {
    prop_oneof![
        any::<i64>(),
        -20_i64..20,
        (50_u32..63, -2000_i64..2000, any::<bool>()).prop_map(|(exponent, near, negative)| {
            let value = (1 << exponent) + near;
            if negative { -value } else { value }
        }),
        (0_i64..2000).prop_map(|near| i64::MAX - near),
        (0_i64..2000).prop_map(|near| i64::MIN + near),
    ]
}

fn points(crs: Crs) -> impl Strategy<Value = Point> {
    let coordinate = prop_oneof![-90.0..90.0, prop::sample::select(vec![0.0, -0.0, 1.0, -1.0, 90.0, -90.0]),];
    let outside = prop_oneof![-2e6..2e6, prop::sample::select(vec![1e6, -1e6, 1e300, -1e300, f64::MAX]),];
    let geographic = matches!(crs, Crs::Wgs84 | Crs::Wgs84_3d);
    (coordinate.clone(), coordinate, outside.clone(), outside).prop_map(move |(x, y, far, farther)| {
        let at = if geographic { [x, y, far] } else { [x, far, farther] };
        Point::new(crs, at).unwrap()
    })
}

fn system() -> impl Strategy<Value = Crs> {
    prop::sample::select(vec![Crs::Wgs84, Crs::Wgs84_3d, Crs::Cartesian, Crs::Cartesian3d])
}

fn date_times() -> impl Strategy<Value = DateTime> {
    // Few moments, many zones.
    let zone = prop_oneof![
        (-64_800_i32..=64_800).prop_map(Zone::Offset),
        prop::sample::select(vec![0, 3600, -3600, 7200]).prop_map(Zone::Offset),
        (0_i64..606).prop_map(|number| Zone::Named(ZoneId::new(number).unwrap().renamed())),
    ];
    let second = prop_oneof![any::<i64>(), 0_i64..3, Just(1_593_561_600), Just(-5_000_000_000)];
    (second, 0_u32..3, zone).prop_map(|(second, nano, zone)| DateTime { second, nano, zone })
}

fn times() -> impl Strategy<Value = Time> {
    (0_i64..86_400_000_000_000, -64_800_i32..=64_800)
        .prop_map(|(local_nano, offset)| Time { local_nano, offset })
}

fn local_date_times() -> impl Strategy<Value = LocalDateTime> {
    (longs(), 0_u32..1_000_000_000).prop_map(|(second, nano)| LocalDateTime { second, nano })
}

fn durations() -> impl Strategy<Value = Duration> {
    (-100_i64..100, -1000_i64..1000, any::<i32>(), 0_i64..1_000_000_000)
        .prop_map(|(months, days, seconds, nanos)| Duration { months, days, seconds: seconds.into(), nanos })
}

fn characters() -> impl Strategy<Value = u16> {
    prop_oneof![0_u16..0xd800, 0xe000_u16..=0xffff, Just(u16::from(b'a'))]
}

fn texts() -> impl Strategy<Value = String> {
    prop_oneof!["[ab]{0,4}", "\\PC{0,12}", "[aä漢😀]{0,5}"]
}

/// Values of all types that a property can have.
pub fn values() -> impl Strategy<Value = Value> {
    prop_oneof![
        any::<bool>().prop_map(Value::Bool),
        any::<i8>().prop_map(Value::Byte),
        any::<i16>().prop_map(Value::Short),
        any::<i32>().prop_map(Value::Int),
        longs().prop_map(Value::Long),
        floats().prop_map(Value::Float),
        doubles().prop_map(Value::Double),
        characters().prop_map(Value::Char),
        texts().prop_map(Value::String),
        system().prop_flat_map(points).prop_map(Value::Point),
        longs().prop_map(Value::Date),
        (0_i64..86_400_000_000_000).prop_map(Value::LocalTime),
        local_date_times().prop_map(Value::LocalDateTime),
        times().prop_map(Value::Time),
        date_times().prop_map(Value::DateTime),
        durations().prop_map(Value::Duration),
        arrays().prop_map(Value::Array),
    ]
}

fn arrays() -> impl Strategy<Value = Array> {
    const FEW: std::ops::Range<usize> = 0..4;
    fn few<S: Strategy>(element: S) -> impl Strategy<Value = Vec<S::Value>> {
        prop::collection::vec(element, FEW)
    }
    prop_oneof![
        few(any::<bool>()).prop_map(Array::Bool),
        few(any::<i8>()).prop_map(Array::Byte),
        few(any::<i16>()).prop_map(Array::Short),
        few(any::<i32>()).prop_map(Array::Int),
        few(longs()).prop_map(Array::Long),
        few(floats()).prop_map(Array::Float),
        few(doubles()).prop_map(Array::Double),
        few(characters()).prop_map(Array::Char),
        few(texts()).prop_map(Array::String),
        system().prop_flat_map(|crs| few(points(crs))).prop_map(Array::Point),
        few(longs()).prop_map(Array::Date),
        few(0_i64..86_400_000_000_000).prop_map(Array::LocalTime),
        few(local_date_times()).prop_map(Array::LocalDateTime),
        few(times()).prop_map(Array::Time),
        few(date_times()).prop_map(Array::DateTime),
        few(durations()).prop_map(Array::Duration),
    ]
}
