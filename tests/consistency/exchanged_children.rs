//! A lookup index whose root leads to the wrong leaves: the report holds what the records say, once, and no more.

use std::collections::BTreeSet;
use std::path::Path;

use neo4j_admin::consistency::CheckOptions;
use neo4j_admin::index::replacement::Replacement;
use neo4j_admin::index::token::TokenLayout;
use neo4j_admin::io::disk::OsDisk;

use super::store::{Entries, archive, checking};
use crate::support::damage;
use crate::support::trees::{self, Entry};

const INDEX: &str = "neostore.labelscanstore.db";
const PAGE: usize = 8192;
/// Where an internal node has its number of keys, its children and their size.
const KEY_COUNT: usize = 6;
const CHILDREN: usize = 2452;
const POINTER: usize = 24;
/// Entries of a leaf, at most.
const LEAF: u32 = 450;

/// Token and entities of an entry.
fn decode((key, value): &Entry) -> (u32, u64) {
    let token = u32::from_be_bytes(*key.first_chunk().expect("a token"));
    (token, u64::from_be_bytes(*value.first_chunk().expect("entities")))
}

/// Makes the index one of three leaves at least, with entries that tell of no entity; the entries.
fn grow(path: &Path) -> Vec<Entry> {
    let mut all: Vec<Entry> = trees::entries(&trees::open(path, TokenLayout));
    let tokens: BTreeSet<u32> = all.iter().map(|entry| decode(entry).0).collect();
    assert!(tokens.len() > 3, "{tokens:?}");
    for token in tokens {
        all.extend((0..LEAF).map(|number| {
            let range = (1 << 20) + number;
            ([&token.to_be_bytes()[..], &range.to_be_bytes(), &[0; 2]].concat(), vec![0; 8])
        }));
    }
    all.sort();
    let mut tree = Replacement::start(&OsDisk::shared(), path, TokenLayout).expect("a new tree");
    for (key, value) in &all {
        tree.push(key, value).expect("ascending");
    }
    tree.finish(&[0]).expect("a tree");
    all
}

/// Where the root has its children.
fn children(file: &[u8]) -> Vec<usize> {
    let is_internal = |page: &&[u8]| page[..2] == [1, 0];
    let root = file.chunks_exact(PAGE).skip(3).position(|page| is_internal(&page)).expect("a root") + 3;
    let start = root * PAGE;
    let keys = u32::from_be_bytes(*file[start + KEY_COUNT..].first_chunk().expect("a number"));
    (0..=keys as usize).map(|child| start + CHILDREN + child * POINTER).collect()
}

#[test]
fn exchanged_and_doubled_children_of_a_lookup_index_are_told_once() {
    let directory = tempfile::tempdir().expect("a directory");
    let store = directory.path().join("store");
    damage::write(&archive("consistency/base-x"), &store);
    let path = store.join(INDEX);
    let entries = grow(&path);
    let sound = std::fs::read(&path).expect("an index");
    let places = children(&sound);
    assert!(places.len() >= 3, "{} children", places.len());
    let check = |options: &CheckOptions| {
        let found = Entries::default();
        let verdict = checking(&store, options).run(&found).expect("a verdict");
        let missing = found
            .0
            .lock()
            .iter()
            .filter(|(_, text)| text.starts_with("This node record has a label"))
            .count();
        (verdict, missing)
    };
    let (verdict, _) = check(&CheckOptions::default());
    assert!(verdict.is_consistent(), "{:?}", verdict.summary);

    let labels_of = |entries: &mut dyn Iterator<Item = &Entry>| -> usize {
        entries.map(|entry| decode(entry).1.count_ones() as usize).sum()
    };
    let all = labels_of(&mut entries.iter());
    let last = places.len() - 1;
    for (from, to) in [(0, 1), (0, last), (1, last), (last - 1, last)] {
        for doubled in [false, true] {
            let mut damaged = sound.clone();
            let [one, other] = [places[from], places[to]].map(|at| at..at + POINTER);
            damaged[one.clone()].copy_from_slice(&sound[other.clone()]);
            if !doubled {
                damaged[other].copy_from_slice(&sound[one]);
            }
            std::fs::write(&path, damaged).expect("a damaged index");
            let (verdict, missing) = check(&CheckOptions::default());
            let report = std::fs::metadata(verdict.report.as_ref().expect("a report")).expect("a report");
            let what = format!("children {from} and {to}, doubled: {doubled}");
            assert!(!verdict.is_consistent(), "{what}");
            assert!(missing <= all, "{what}: {missing} of {all}");
            // Each key of a misplaced leaf is told once, and each label that is not found.
            assert!(verdict.summary.errors() < (all + entries.len()) as u64, "{what}: {:?}", verdict.summary);
            assert!(report.len() < 4096 * verdict.summary.errors(), "{what}: {} bytes", report.len());
            // The comparison does not need the check of the structure.
            let options = CheckOptions { index_structure: false, ..CheckOptions::default() };
            assert_eq!(check(&options).1, missing, "{what}");
            if (from, to) == (0, last) {
                // What begins in the first leaf is looked for in the last one, which nothing follows.
                let (first, _) = &entries[LEAF as usize];
                let begins = |entry: &&Entry| [&entry.0[..4], &[0; 6]].concat() < *first;
                assert_eq!(missing, labels_of(&mut entries.iter().filter(begins)), "{what}");
            }
        }
    }
}
