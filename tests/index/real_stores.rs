//! Trees of the committed stores: what the kernel wrote is what the records say.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use neo4j_admin::gbptree::{Layout, Tree};
use neo4j_admin::index::counts::{CountKey, CountsStore};
use neo4j_admin::index::id_file::{self, IdFile};
use neo4j_admin::index::recount::Recount;
use neo4j_admin::index::statistics::Statistics;
use neo4j_admin::index::token::{TokenIndex, TokenRange, TokenState};
use neo4j_admin::index::token_scan::TokenScan;
use neo4j_admin::io::disk::OsDisk;
use neo4j_admin::io::sort::Scratch;
use neo4j_admin::store::id::TransactionId;
use neo4j_admin::store::layout::{self, RecordStore};
use neo4j_admin::store::neostore::{Field, Neostore};
use neo4j_admin::store::page_cache::PageCache;
use neo4j_admin::store::stores::Stores;

use crate::support::random::Random;
use crate::support::trees::{
    Entry, Visitor, assert_sound, entries, open, rebuild_labels, rebuild_types, visit_all,
};
use crate::support::{digest, stores};

/// A database that was closed cleanly.
struct Database {
    directory: PathBuf,
    stores: Stores,
}

impl Database {
    /// All of them, unpacked below a directory.
    fn all(scratch: &Path) -> Vec<Self> {
        let mut databases = Vec::new();
        for (archive, contents) in stores::digests() {
            if archive == "crashed" {
                continue;
            }
            let unpacked = scratch.join(&archive);
            stores::unpack(&archive, &unpacked);
            databases.extend(contents.keys().map(|name| {
                let directory = unpacked.join(name);
                Self { stores: digest::open(&directory, 0), directory }
            }));
        }
        assert_eq!(databases.len(), 3);
        databases
    }

    fn path(&self, name: &str) -> PathBuf {
        self.directory.join(name)
    }

    fn last_transaction(&self) -> i64 {
        let neostore = Neostore::read(&self.path("neostore")).expect("a metadata store");
        neostore.get(Field::LastTransactionId).expect("a last transaction")
    }
}

/// Its structure is sound, and it was closed cleanly.
fn assert_closed<L: Layout>(tree: &Tree<L>) {
    assert!(tree.was_clean(), "{}", tree.path().display());
    assert_sound(tree, entries(tree).len());
}

fn ids(path: &Path, first: u64) -> (u64, BTreeSet<u64>) {
    let mut file =
        IdFile::open(&PageCache::new(0), &OsDisk, path, first).expect("readable").expect("complete");
    assert_closed(file.tree());
    let mut ids = BTreeSet::new();
    file.unused().expect("ids").for_each(|id| assert!(ids.insert(id))).expect("all ids");
    (file.high_id(), ids)
}

#[test]
fn id_files_list_what_a_scan_of_their_store_finds_unused() {
    let scratch = tempfile::tempdir().expect("a directory");
    let mut listed = 0;
    for database in Database::all(scratch.path()) {
        let slots = database.stores.slots();
        for (store, name) in RecordStore::ALL.into_iter().filter_map(|s| Some((s, s.id_file_name()?))) {
            let path = database.path(&name);
            let first = slots
                .iter()
                .find(|slots| slots.file().file().path() == database.path(store.file_name()))
                .expect("the store")
                .first();
            let (high_id, unused) = ids(&path, first);
            listed += unused.len();
            let built = id_file::rebuild(&database.stores, store, &OsDisk::shared(), &path).expect("built");
            assert!(built <= high_id, "{}: {built}, {high_id}", path.display());
            let expected: BTreeSet<u64> = unused.range(..built).copied().collect();
            assert_eq!(ids(&path, first), (built, expected), "{}", path.display());
            // Ids between the last record in use and the high id are all unused.
            assert!(unused.range(built..).copied().eq(built..high_id), "{}", path.display());
        }
    }
    assert!(listed > 100, "{listed}");
}

fn counts(path: &Path, last: i64) -> Vec<(CountKey, u64)> {
    let store = CountsStore::open(&PageCache::new(0), &OsDisk, path).expect("readable").expect("complete");
    assert_closed(store.tree());
    assert_eq!(store.last_applied().0, last);
    let (mut counts, mut entries) = (Vec::new(), store.entries().expect("entries"));
    while let Some((key, count)) = entries.next().expect("an entry") {
        counts.push((key, count.try_into().expect("a count")));
    }
    counts
}

#[test]
fn counts_and_degrees_of_the_kernel_are_what_a_recount_finds() {
    let scratch = tempfile::tempdir().expect("a directory");
    let mut degrees_found = 0;
    for database in Database::all(scratch.path()) {
        let last = database.last_transaction();
        let expected_counts = counts(&database.path(layout::COUNTS), last);
        let expected_degrees = counts(&database.path(layout::DEGREES), last);
        degrees_found += expected_degrees.len();
        let scratch = Scratch::open(OsDisk::shared(), &database.path("scratch")).expect("a directory");
        for (memory, threads) in [(1 << 20, 1), (1 << 20, 3), (2_000, 2)] {
            let recount = Recount { stores: &database.stores, scratch: &scratch, memory, threads };
            let mut found = Vec::new();
            let mut collect = |key, count| {
                found.push((key, count));
                Ok(())
            };
            recount.counts(&mut collect).expect("counts");
            recount.degrees(&mut collect).expect("degrees");
            let expected = [&expected_counts[..], &expected_degrees].concat();
            assert_eq!(found, expected, "{}", database.directory.display());
        }
        let recount = Recount { stores: &database.stores, scratch: &scratch, memory: 1 << 20, threads: 1 };
        let (disk, last_transaction) = (OsDisk::shared(), TransactionId(last));
        recount.rebuild_counts(&disk, &database.path(layout::COUNTS), last_transaction).expect("built");
        recount.rebuild_degrees(&disk, &database.path(layout::DEGREES), last_transaction).expect("built");
        assert_eq!(counts(&database.path(layout::COUNTS), last), expected_counts);
        assert_eq!(counts(&database.path(layout::DEGREES), last), expected_degrees);
    }
    assert!(degrees_found > 0);
}

fn tokens(path: &Path) -> Option<Vec<TokenRange>> {
    let index = match TokenIndex::open(&PageCache::new(0), &OsDisk, path).expect("readable") {
        TokenState::Online(index) => index,
        TokenState::Missing => return None,
        other => panic!("{}: {other:?}", path.display()),
    };
    assert_closed(index.tree());
    let (mut all, mut entries) = (Vec::new(), index.entries().expect("entries"));
    while let Some(entry) = entries.next().expect("an entry") {
        all.push(entry);
    }
    Some(all)
}

#[test]
fn lookup_indexes_of_the_kernel_are_what_a_scan_of_the_records_finds() {
    let scratch = tempfile::tempdir().expect("a directory");
    let (mut labels, mut types) = (0, 0);
    for database in Database::all(scratch.path()) {
        let runs = Scratch::open(OsDisk::shared(), &database.path("scratch")).expect("a directory");
        let (stores, memory) = (&database.stores, 1 << 20);
        let path = database.path(layout::NODE_LABEL_INDEX);
        if let Some(expected) = tokens(&path) {
            labels += expected.len();
            rebuild_labels(stores, TokenScan::new(&runs, memory), &path);
            assert_eq!(tokens(&path).as_ref(), Some(&expected), "{}", path.display());
        }
        let path = database.path(layout::RELATIONSHIP_TYPE_INDEX);
        if let Some(expected) = tokens(&path) {
            types += expected.len();
            rebuild_types(stores, TokenScan::new(&runs, memory), &path);
            assert_eq!(tokens(&path).as_ref(), Some(&expected), "{}", path.display());
        }
    }
    assert!(labels > 0 && types > 0, "{labels} {types}");
}

#[test]
fn statistics_of_the_kernel_are_read() {
    let scratch = tempfile::tempdir().expect("a directory");
    let mut known = 0;
    for database in Database::all(scratch.path()) {
        let path = database.path(layout::INDEX_STATISTICS);
        let statistics =
            Statistics::open(&PageCache::new(0), &OsDisk, &path).expect("readable").expect("there");
        assert_closed(statistics.tree());
        statistics
            .for_each(|rule, sample| {
                assert!(sample.unique_values <= sample.sample_size, "{rule}: {sample:?}");
                known += 1;
            })
            .expect("samples");
    }
    assert!(known > 5, "{known}");
}

/// Reads a tree, closes it, and reads it once more.
struct ReadTwice {
    clean: bool,
    entries: usize,
}

impl Visitor for ReadTwice {
    fn visit<L: Layout + Copy>(&mut self, tree: Tree<L>, _: fn(&mut Random, &[Entry]) -> Entry) {
        let (path, layout, before) = (tree.path().to_owned(), *tree.layout(), entries(&tree));
        assert_eq!(tree.was_clean(), self.clean, "{}", path.display());
        tree.finish(None).expect("finished");
        let tree = open(&path, layout);
        assert_closed(&tree);
        assert!(entries(&tree) == before, "{}", path.display());
        self.entries += before.len();
    }
}

#[test]
fn every_tree_of_the_kernel_is_read_to_its_end_after_a_crash_too() {
    for (archive, contents) in stores::digests() {
        let scratch = tempfile::tempdir().expect("a directory");
        stores::unpack(&archive, scratch.path());
        for name in contents.keys() {
            let mut read = ReadTwice { clean: archive != "crashed", entries: 0 };
            let trees = visit_all(&scratch.path().join(name), &mut read);
            assert!(trees >= 18 && read.entries > 20, "{archive} {name}: {trees}, {}", read.entries);
        }
    }
}
