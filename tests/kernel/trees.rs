//! The real kernel takes trees that this program built or changed.

use std::path::Path;

use neo4j_admin::gbptree::{Layout, Tree};
use neo4j_admin::index::id_file;
use neo4j_admin::index::recount::Recount;
use neo4j_admin::index::statistics::Statistics;
use neo4j_admin::index::token_scan::TokenScan;
use neo4j_admin::index::value;
use neo4j_admin::io::disk::OsDisk;
use neo4j_admin::io::sort::Scratch;
use neo4j_admin::store::id::TransactionId;
use neo4j_admin::store::layout::{self, RecordStore};
use neo4j_admin::store::neostore::{Field, Neostore};
use neo4j_admin::store::page_cache::PageCache;
use serde_json::{Value, json};

use crate::support::kernel::Kernel;
use crate::support::random::{Random, rounds};
use crate::support::trees::{
    self, Entry, Visitor, assert_sound, entries, rebuild_labels, rebuild_types, visit_all, visit_ids,
    visit_values,
};
use crate::support::{digest, stores};

/// Operations on each tree.
const OPERATIONS: &str = "NEO4J_ADMIN_KERNEL_TREE_OPERATIONS";

/// Databases that were closed cleanly: archive and name.
const DATABASES: [(&str, &str); 3] = [("standard", "neo4j"), ("standard", "system"), ("aligned", "neo4j")];

/// The kernel opens a database as if it had closed it itself, and its checker finds nothing.
fn assert_taken(kernel: &Kernel, archive: &str, database: &Path) {
    let name = database.file_name().and_then(|name| name.to_str()).expect("a name");
    let checked = kernel.check(database);
    assert!(checked.consistent && checked.warnings == 0, "{archive} {name}: {}", checked.summary);
    let opened = kernel.open_backup(database);
    assert!(!opened.recovered, "{archive} {name}");
    assert_eq!(opened.remarks, Vec::<String>::new(), "{archive} {name}");
    assert_eq!(opened.digest, stores::digests()[archive][name], "{archive} {name}");
    let checked = opened.check;
    assert!(checked.consistent && checked.warnings == 0, "{archive} {name}: {}", checked.summary);
}

#[test]
fn the_kernel_takes_trees_that_were_built_from_records() {
    let Some(kernel) = Kernel::find() else { return };
    let directory = tempfile::tempdir().expect("a directory");
    for archive in ["standard", "aligned"] {
        stores::unpack(archive, &directory.path().join(archive));
    }
    for (archive, name) in DATABASES {
        let database = directory.path().join(archive).join(name);
        build_all(&database, directory.path());
        assert_taken(kernel, archive, &database);
    }
}

/// Builds every tree of a database anew.
fn build_all(database: &Path, directory: &Path) {
    let (disk, cache) = (OsDisk::shared(), PageCache::new(0));
    let (stores, path) = (digest::open(database, 0), |name: &str| database.join(name));
    let scratch = Scratch::open(OsDisk::shared(), &directory.join("scratch")).expect("a directory");
    for store in RecordStore::ALL {
        if let Some(name) = store.id_file_name() {
            id_file::rebuild(&stores, store, &disk, &path(&name)).expect("built");
        }
    }
    let last = Neostore::read(&path("neostore")).expect("a metadata store").get(Field::LastTransactionId);
    let last = TransactionId(last.expect("a last transaction"));
    let memory = 1 << 20;
    let recount = Recount { stores: &stores, scratch: &scratch, memory, threads: 2 };
    recount.rebuild_counts(&disk, &path(layout::COUNTS), last).expect("built");
    recount.rebuild_degrees(&disk, &path(layout::DEGREES), last).expect("built");
    let labels = path(layout::NODE_LABEL_INDEX);
    rebuild_labels(&stores, TokenScan::new(&scratch, memory), &labels);
    let types = path(layout::RELATIONSHIP_TYPE_INDEX);
    if types.exists() {
        rebuild_types(&stores, TokenScan::new(&scratch, memory), &types);
    }
    let statistics = path(layout::INDEX_STATISTICS);
    let old = Statistics::open(&cache, &OsDisk, &statistics).expect("readable").expect("there");
    Statistics::create(&disk, &statistics).expect("built");
    let mut new = Statistics::open(&cache, &OsDisk, &statistics).expect("readable").expect("there");
    old.for_each(|rule, sample| new.put(rule, &sample).expect("stored")).expect("samples");
    new.finish().expect("finished");
    for (path, values) in trees::value_trees(database) {
        let old = trees::open(&path, values);
        let mut builder = value::Builder::new(&disk, &path, values).expect("a tree");
        for (key, _) in entries(&old) {
            builder.push(&key).expect("a key");
        }
        builder.finish().expect("built");
    }
}

/// Random insertions and removals.
struct Changes {
    random: Random,
    operations: usize,
    /// Whether the tree ends with the entries that it began with.
    undo: bool,
}

impl Visitor for Changes {
    fn visit<L: Layout + Copy>(&mut self, mut tree: Tree<L>, strange: fn(&mut Random, &[Entry]) -> Entry) {
        let random = &mut self.random;
        let own = entries(&tree);
        if own.is_empty() {
            return tree.finish(None).expect("finished");
        }
        let (mut strangers, mut removed): (Vec<Entry>, Vec<usize>) = (Vec::new(), Vec::new());
        for operation in 0..self.operations {
            // Growing and shrinking by turns.
            let grows = (operation * 8 / self.operations).is_multiple_of(2);
            match random.below(10) {
                0 if removed.len() < own.len() / 2 => {
                    let victim = random.below(own.len());
                    if tree.remove(&own[victim].0).expect("removed") {
                        removed.push(victim);
                    }
                }
                1 if !removed.is_empty() => {
                    let (key, value) = &own[removed.swap_remove(random.below(removed.len()))];
                    assert!(tree.insert(key, value).expect("inserted"));
                }
                roll if !strangers.is_empty() && (roll < 4) == grows => {
                    let (key, _) = strangers.swap_remove(random.below(strangers.len()));
                    assert!(tree.remove(&key).expect("removed"));
                }
                _ => {
                    let (key, value) = strange(random, &own);
                    // What is in the tree or belongs there is no stranger.
                    let known = |&at: &usize| tree.layout().compare(&own[at].0, &key).is_eq();
                    if !removed.iter().any(known) && tree.insert(&key, &value).expect("inserted") {
                        strangers.push((key, value));
                    }
                }
            }
            if random.once_in(self.operations / 3 + 1) {
                tree.checkpoint(None).expect("a checkpoint");
            }
        }
        if self.undo {
            for (key, _) in std::mem::take(&mut strangers) {
                assert!(tree.remove(&key).expect("removed"));
            }
            for at in std::mem::take(&mut removed) {
                assert!(tree.insert(&own[at].0, &own[at].1).expect("inserted"));
            }
            assert!(entries(&tree) == own, "{}", tree.path().display());
        }
        assert_sound(&tree, own.len() + strangers.len() - removed.len());
        tree.finish(None).expect("finished");
    }
}

#[test]
fn the_kernel_takes_trees_that_were_changed_in_place() {
    let Some(kernel) = Kernel::find() else { return };
    let directory = tempfile::tempdir().expect("a directory");
    for archive in ["standard", "aligned"] {
        stores::unpack(archive, &directory.path().join(archive));
    }
    let mut changes = Changes { random: Random(1), operations: rounds(OPERATIONS, 3_000), undo: true };
    for (archive, name) in DATABASES {
        let database = directory.path().join(archive).join(name);
        let trees = visit_all(&database, &mut changes);
        assert!(trees >= 18, "{archive} {name}: {trees}");
        assert_taken(kernel, archive, &database);
    }
}

#[test]
fn the_structure_of_trees_full_of_strange_entries_is_sound_to_the_kernel() {
    let Some(kernel) = Kernel::find() else { return };
    let directory = tempfile::tempdir().expect("a directory");
    stores::unpack("standard", directory.path());
    let database = directory.path().join("neo4j");
    let mut changes = Changes { random: Random(2), operations: rounds(OPERATIONS, 3_000), undo: false };
    // The checker looks at nothing but the structure of id files.
    visit_ids(&database, &mut changes);
    let checked = kernel.check(&database);
    assert!(checked.consistent && checked.warnings == 0, "{}", checked.summary);
    // Of a value index whose structure is not sound it does not look at the entries.
    let indexes = visit_values(&database, &mut changes);
    let request = json!({"job": "check", "directory": database, "report": directory.path()});
    let answer: Value = kernel.oracle().ask(&request);
    let report = std::fs::read_to_string(answer["report"].as_str().expect("a report")).expect("a report");
    assert!(indexes >= 5, "{indexes}");
    assert!(report.contains("This index entry refers to"), "{answer}");
    assert!(!report.contains("Index inconsistency"), "{report}");
}
