//! Keys with changed bytes: no panic, no allocation beyond what their bytes justify, and an order that stays total.
//!
//! `NEO4J_ADMIN_FUZZ_ROUNDS` is the number of changed keys.

use std::cmp::Ordering;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};

use neo4j_admin::gbptree::Layout;
use neo4j_admin::index::value::{ValueLayout, decode_key};

use super::Database;
use crate::support::mutate::{Random, mutate};
use crate::support::random::rounds;
use crate::support::stores;

const ROUNDS: &str = "NEO4J_ADMIN_FUZZ_ROUNDS";
/// Bytes that decoding may take for each byte of a key: a boolean of one byte is a value of 32 before it is an array.
const PER_BYTE: u64 = 256;

/// Real keys of each layout.
fn seeds() -> Vec<(ValueLayout, Vec<Vec<u8>>)> {
    let directory = tempfile::tempdir().expect("a directory");
    stores::unpack("standard", directory.path());
    let database = Database::open(&directory.path().join("neo4j"));
    let indexes = database.indexes();
    let seeds = indexes.iter().map(|index| (index.layout, database.expected(index).into_values().collect()));
    // Nothing can be made of an index without keys.
    seeds.filter(|(_, keys): &(_, Vec<_>)| !keys.is_empty()).collect()
}

fn check(layout: ValueLayout, keys: &[Vec<u8>; 3]) {
    let order = |left: &[u8], right: &[u8]| layout.compare(left, right);
    let mut sorted: Vec<&[u8]> = keys.iter().map(Vec::as_slice).collect();
    for left in keys {
        assert_eq!(order(left, left), Ordering::Equal);
        for right in keys {
            assert_eq!(order(left, right), order(right, left).reverse(), "{left:02x?} {right:02x?}");
        }
    }
    sorted.sort_by(|left, right| order(left, right));
    assert_ne!(order(sorted[0], sorted[2]), Ordering::Greater, "{sorted:02x?}");
    if order(sorted[0], sorted[2]) == Ordering::Equal {
        assert_eq!(order(sorted[0], sorted[1]), Ordering::Equal, "{sorted:02x?}");
    }
    for pair in sorted.windows(2) {
        if order(pair[0], pair[1]) == Ordering::Less {
            let mut separator = Vec::new();
            layout.separator(pair[0], pair[1], &mut separator);
            assert_eq!(order(pair[0], &separator), Ordering::Less, "{pair:02x?} {separator:02x?}");
            assert_ne!(order(&separator, pair[1]), Ordering::Greater, "{pair:02x?} {separator:02x?}");
        }
    }
    for key in keys {
        let mut decoded = false;
        let allocated = allocation_counter::measure(|| {
            decoded = decode_key(layout.keys(), layout.slots(), key).is_ok();
        });
        assert!(allocated.bytes_max <= PER_BYTE * (key.len() as u64 + 16), "{key:02x?}: {allocated:?}");
        // What has values is a key; a key may have a text that is none.
        assert!(!decoded || layout.is_key(key), "{key:02x?}");
        layout.describe(key);
    }
}

#[test]
fn changed_keys_never_panic_and_stay_in_a_total_order() {
    let seeds = seeds();
    for round in 0..rounds(ROUNDS, 20_000) as u64 / 3 {
        let mut random = Random(round);
        let (layout, seeds) = &seeds[random.below(seeds.len())];
        // Often of one key, so that the changes and not the values decide.
        let one = [seeds[random.below(seeds.len())].clone()];
        let seeds = if random.once_in(2) { &one[..] } else { seeds };
        let keys = [0; 3].map(|_| mutate(&mut random, seeds));
        if let Err(panic) = catch_unwind(AssertUnwindSafe(|| check(*layout, &keys))) {
            eprintln!("{layout:?}, round {round}, {keys:02x?}");
            resume_unwind(panic);
        }
    }
}

#[test]
fn comparing_keys_allocates_nothing() {
    for (layout, keys) in seeds() {
        let compare = || {
            for pair in keys.windows(2) {
                layout.compare(&pair[0], &pair[1]);
                layout.is_key(&pair[0]);
            }
        };
        // The first time may read the rules of time zones.
        compare();
        assert_eq!(allocation_counter::measure(compare).count_total, 0, "{layout:?}");
    }
}
