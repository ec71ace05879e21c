//! How fast keys of value indexes are made and sorted.
//!
//! `cargo bench --bench keys`. `NEO4J_ADMIN_BENCH_KEYS` (default 5 million) is their number.

use std::env;
use std::hint::black_box;
use std::time::Instant;

use neo4j_admin::gbptree::Layout;
use neo4j_admin::index::value::{SpatialSettings, ValueLayout, decode_key, encode_key};
use neo4j_admin::store::value::{Crs, Point, Value};

/// `SplitMix64`.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }
}

fn main() {
    let count = env::var("NEO4J_ADMIN_BENCH_KEYS").map_or(5_000_000, |keys| keys.parse().expect("keys"));
    let long = |random: &mut Random| Value::Long(random.next().cast_signed() >> 20);
    let mixed = |random: &mut Random| match random.next() % 2 {
        0 => Value::Int((random.next() >> 40) as i32),
        _ => Value::Double((random.next() >> 40) as f64 / 8.0),
    };
    let text = |random: &mut Random| Value::String(format!("user {:016x} of a service", random.next()));
    let point = |random: &mut Random| {
        let coordinate = |bits: u64, most: f64| (bits as f64 / u64::MAX as f64 * 2.0 - 1.0) * most;
        let coordinates = [coordinate(random.next(), 180.0), coordinate(random.next(), 90.0)];
        Value::Point(Point::new(Crs::Wgs84, coordinates).expect("a point"))
    };
    measure("longs", ValueLayout::btree(1), count, long);
    measure("integers and doubles", ValueLayout::btree(1), count, mixed);
    measure("texts of 35 bytes", ValueLayout::range(1), count, text);
    measure("points, with their place on the curve", ValueLayout::point(), count, point);
}

fn measure(name: &str, layout: ValueLayout, count: usize, value: impl Fn(&mut Random) -> Value) {
    let spatial = SpatialSettings::default();
    let mut random = Random(1);
    // So many that they are not all in a cache close by.
    let values: Vec<Value> = (0..100_000).map(|_| value(&mut random)).collect();
    let mut key = Vec::new();
    let started = Instant::now();
    for (entity, value) in values.iter().cycle().take(count).enumerate() {
        let encoded = encode_key(layout.keys(), entity as u64, [value], &spatial, &mut key);
        assert!(encoded.expect("a short key"));
        black_box(&key);
    }
    let encoding = started.elapsed();

    // One after the other, as a sorter has them.
    let mut bytes = Vec::new();
    let mut keys = Vec::with_capacity(count);
    for entity in 0..count {
        let value = value(&mut random);
        encode_key(layout.keys(), entity as u64, [&value], &spatial, &mut key).expect("a short key");
        keys.push((bytes.len(), bytes.len() + key.len()));
        bytes.extend_from_slice(&key);
    }
    let started = Instant::now();
    keys.sort_by(|left, right| layout.compare(&bytes[left.0..left.1], &bytes[right.0..right.1]));
    let sorting = started.elapsed();
    let (first, end) = keys[0];
    decode_key(layout.keys(), layout.slots(), &bytes[first..end]).expect("a key");
    let per_second = |elapsed: std::time::Duration| count as f64 / elapsed.as_secs_f64() / 1e6;
    println!(
        "{name}: encode {:.1} million keys/s, sort {:.2} million keys/s ({count} keys in {:.2} s)",
        per_second(encoding),
        per_second(sorting),
        sorting.as_secs_f64()
    );
}
