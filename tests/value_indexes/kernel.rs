//! Indexes of all kinds and values of all types, made by the kernel for the test; and indexes of ours in its hands.

use std::cmp::Ordering;
use std::collections::BTreeMap;
use std::path::Path;

use neo4j_admin::gbptree::Layout;
use neo4j_admin::index::files;
use neo4j_admin::index::lucene::{self, LuceneState};
use neo4j_admin::index::value::{SpatialSettings, ValueLayout, encode_key};
use neo4j_admin::store::schema::{RuleKind, SchemaRule};
use neo4j_admin::store::value::{DateTime, Value as Property, Zone, ZoneId};
use serde::Deserialize;
use serde_json::{Value, json};

use super::Database;
use crate::support::kernel::Kernel;
use crate::support::random::{Random, rounds};

const ROUNDS: &str = "NEO4J_ADMIN_TEST_ROUNDS";
const NODES: &str = "NEO4J_ADMIN_TEST_INDEX_NODES";

/// What the kernel's queries of indexes find.
#[derive(Debug, Deserialize)]
struct Queried {
    remarks: Vec<String>,
    indexes: Vec<QueriedIndex>,
}

#[derive(Debug, Deserialize)]
struct QueriedIndex {
    name: String,
    state: String,
    /// -1: it can't be scanned.
    entries: i64,
    asked: u64,
    missed: Vec<u64>,
}

fn generate(kernel: &Kernel, directory: &Path, seed: usize) {
    let nodes = rounds(NODES, 1_000);
    let request = json!({"job": "values", "directory": directory, "seed": seed, "nodes": nodes});
    let _: Value = kernel.oracle().ask(&request);
}

fn query(kernel: &Kernel, directory: &Path) -> Queried {
    let scratch = tempfile::tempdir().expect("a directory");
    kernel.oracle().ask(&json!({"job": "queries", "backup": directory, "scratch": scratch.path()}))
}

#[test]
fn trees_of_all_kinds_have_what_the_stores_have_and_the_kernel_takes_ours_for_its_own() {
    let Some(kernel) = Kernel::find() else { return };
    for seed in 0..rounds(ROUNDS, 1) {
        let scratch = tempfile::tempdir().expect("a directory");
        generate(kernel, scratch.path(), seed);
        let directory = scratch.path().join("neo4j");
        let database = Database::open(&directory);
        let indexes = database.indexes();
        assert_eq!(indexes.len(), 13);
        let counts: BTreeMap<&str, usize> = indexes
            .iter()
            .map(|index| (&*index.rule.name, database.assert_index_has_what_the_stores_have(index)))
            .collect();
        assert!(counts.values().all(|count| *count > 100), "{counts:?}");
        let lucene = |rule: &SchemaRule| match &rule.kind {
            RuleKind::Index(index) => files::lucene(&database.layout, index.provider, rule.id),
            RuleKind::Constraint(_) => None,
        };
        let lucenes: Vec<_> = database.rules.iter().filter_map(lucene).collect();
        assert_eq!(lucenes.len(), 4, "text, full-text, and the parts of two more");
        for directory in &lucenes {
            assert_eq!(lucene::state(directory).expect("readable"), LuceneState::Online);
        }

        for index in &indexes {
            database.rebuild(index, 0);
        }
        let checked = kernel.check(&directory);
        assert!(checked.consistent && checked.warnings == 0, "{seed}: {}", checked.summary);
        let queried = query(kernel, &directory);
        assert!(queried.remarks.is_empty(), "{:?}", queried.remarks);
        assert_eq!(queried.indexes.len(), indexes.len() + 1, "trees, and the text index");
        for index in &queried.indexes {
            assert!(index.state == "ONLINE" && index.missed.is_empty() && index.asked > 0, "{index:?}");
            // A scan of one with two parts reads both.
            let count = counts.get(&*index.name).filter(|_| !index.name.starts_with("fusion"));
            let scanned = usize::try_from(index.entries).ok();
            assert!(
                scanned.is_none() || count.is_none() || scanned == count.copied(),
                "{index:?}, {count:?}"
            );
        }

        // The checker does look: one key less in one index.
        database.rebuild(&indexes[seed % indexes.len()], 1);
        let checked = kernel.check(&directory);
        assert!(!checked.consistent, "{}", checked.summary);
    }
}

/// Moments from 1980 to 2023: later rules, and what is known of earlier ones, still change.
const MOMENTS: std::ops::Range<usize> = 320_000_000..1_700_000_000;

#[derive(Debug, Deserialize)]
struct Offsets {
    /// Of each zone, at each moment; `None`: this Java does not know it.
    offsets: Vec<Option<Vec<i32>>>,
}

#[test]
fn named_zones_sort_by_javas_rules() {
    let Some(kernel) = Kernel::find() else { return };
    let mut random = Random(1);
    let seconds: Vec<i64> = (0..50).map(|_| random.within(MOMENTS) as i64).collect();
    let zones: Vec<ZoneId> =
        (0..ZoneId::COUNT as i64).map(|number| ZoneId::new(number).expect("a zone")).collect();
    let names: Vec<&str> = zones.iter().map(|zone| zone.name()).collect();
    let java: Offsets = kernel.oracle().ask(&json!({"job": "zones", "names": names, "seconds": seconds}));
    let layout = ValueLayout::range(1);
    let key = |second: i64, zone: Zone| {
        let value = Property::DateTime(DateTime { second, nano: 0, zone });
        let mut key = Vec::new();
        let encoded = encode_key(layout.keys(), 1, [&value], &SpatialSettings::default(), &mut key);
        assert!(encoded.expect("a short key"));
        key
    };
    let mut known = 0;
    for (zone, offsets) in zones.iter().zip(java.offsets) {
        for (&second, offset) in seconds.iter().zip(offsets.into_iter().flatten()) {
            let named = key(second, Zone::Named(*zone));
            // A plain offset comes right before the named zones that have the same.
            let same = layout.compare(&key(second, Zone::Offset(offset)), &named);
            let next = layout.compare(&key(second, Zone::Offset(offset + 1)), &named);
            assert_eq!((same, next), (Ordering::Less, Ordering::Greater), "{zone} at {second}: {offset}");
            known += 1;
        }
    }
    assert!(known > 590 * seconds.len(), "{known}");
}
