//! Record stores and metadata stores against mutated files: no panic, no hang, and what is read is bounded by the file.
//!
//! `NEO4J_ADMIN_FUZZ_ROUNDS` is the number of mutated files of each kind; the full campaign takes 200,000. A failure prints
//! the file, the round and the family.

use std::fs;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use neo4j_admin::io::disk::OsDisk;
use neo4j_admin::store::error::StoreError;
use neo4j_admin::store::format::Family;
use neo4j_admin::store::id::{DynamicId, RecordId};
use neo4j_admin::store::layout::{DatabaseLayout, RecordStore};
use neo4j_admin::store::neostore::{Field, Neostore};
use neo4j_admin::store::page_cache::PageCache;
use neo4j_admin::store::schema::SchemaRule;
use neo4j_admin::store::stores::Stores;
use neo4j_admin::store::tokens::Tokens;

use crate::support::mutate::{Random, mutate};
use crate::support::random::rounds;
use crate::support::stores;

/// Every slot of every store is read with everything that it refers to; an error ends what it belongs to.
fn read_everything(stores: &Stores) -> usize {
    let (mut labels, mut buffer, mut read) = (Vec::new(), Vec::new(), 0);
    let mut properties = |first| {
        let mut values = 0;
        for link in stores.property_chain(first) {
            let Ok((id, record)) = link else { break };
            for block in record.blocks() {
                let Ok(block) = block else { break };
                values += usize::from(stores.value(id, &block, &mut buffer).is_ok());
            }
        }
        values
    };
    let slots = |high_id: Result<u64, StoreError>| 0..high_id.unwrap_or_default();
    let mut bytes = Vec::new();
    for id in slots(stores.nodes.high_id()).filter_map(RecordId::from_slot) {
        if let Ok(Some(node)) = stores.nodes.get(id) {
            read += properties(node.property);
            read += usize::from(stores.labels(id, node.labels, &mut bytes, &mut labels).is_ok());
        }
    }
    for id in slots(stores.relationships.high_id()).filter_map(RecordId::from_slot) {
        if let Ok(Some(relationship)) = stores.relationships.get(id) {
            read += properties(relationship.property);
        }
    }
    for id in slots(stores.groups.high_id()).filter_map(RecordId::from_slot) {
        read += usize::from(matches!(stores.groups.get(id), Ok(Some(_))));
    }
    for file in [
        &stores.node_labels,
        &stores.strings,
        &stores.arrays,
        &stores.label_names,
        &stores.type_names,
        &stores.key_names,
    ] {
        let mut firsts = Vec::new();
        let _ = file.scan_use(|id, in_use| {
            firsts.extend(in_use.then_some(id));
            Ok::<_, StoreError>(())
        });
        for first in firsts {
            bytes.clear();
            read += usize::from(file.read_chain(DynamicId(first), &mut bytes).is_ok());
        }
    }
    read += usize::from(Tokens::labels(stores).is_ok());
    read += usize::from(Tokens::relationship_types(stores).is_ok());
    if let Ok(keys) = Tokens::property_keys(stores) {
        read += SchemaRule::read_all(stores, &keys).map_or(0, |rules| rules.len());
    }
    read
}

/// Opens the stores of a database, whatever is in them.
fn open(directory: &Path, family: Family) -> Result<Stores, StoreError> {
    Stores::open(&PageCache::new(0), &OsDisk, &DatabaseLayout::flat(directory), family)
}

fn unpacked(archive: &str) -> (tempfile::TempDir, PathBuf) {
    let directory = tempfile::tempdir().expect("a directory");
    stores::unpack(archive, directory.path());
    let database = directory.path().join("neo4j");
    (directory, database)
}

/// Does something with a mutated file; fails if that takes long or panics.
fn attempt(what: &str, work: impl FnOnce()) {
    let started = Instant::now();
    if let Err(panic) = catch_unwind(AssertUnwindSafe(work)) {
        eprintln!("{what}");
        resume_unwind(panic);
    }
    assert!(started.elapsed() < Duration::from_secs(10), "{what}: {:?}", started.elapsed());
}

#[test]
fn record_stores_take_any_bytes() {
    let rounds = rounds("NEO4J_ADMIN_FUZZ_ROUNDS", 300);
    // No store of high_limit is at hand: the bytes of another format are as good as any.
    for (archive, family) in
        [("crashed", Family::Standard), ("aligned", Family::Aligned), ("crashed", Family::HighLimit)]
    {
        let (_directory, database) = unpacked(archive);
        let files: Vec<(PathBuf, Vec<u8>)> = RecordStore::ALL
            .into_iter()
            .filter(|store| *store != RecordStore::Neostore)
            .map(|store| database.join(store.file_name()))
            .map(|path| (path.clone(), fs::read(path).expect("a store")))
            .collect();
        if family != Family::HighLimit {
            assert!(read_everything(&open(&database, family).expect("stores")) > 100, "{archive}");
        }
        for round in 0..rounds / 3 {
            let mut random = Random(round as u64);
            let (path, content) = &files[random.below(files.len())];
            fs::write(path, mutate(&mut random, std::slice::from_ref(content))).expect("written");
            attempt(&format!("{}, round {round}, {family:?}", path.display()), || {
                if let Ok(stores) = open(&database, family) {
                    read_everything(&stores);
                }
            });
            fs::write(path, content).expect("written");
        }
    }
}

#[test]
fn metadata_stores_take_any_bytes() {
    let rounds = rounds("NEO4J_ADMIN_FUZZ_ROUNDS", 300);
    let seeds = ["crashed", "standard", "aligned"].map(|archive| {
        let (_directory, database) = unpacked(archive);
        fs::read(database.join(RecordStore::Neostore.file_name())).expect("a metadata store")
    });
    let directory = tempfile::tempdir().expect("a directory");
    let (path, written) = (directory.path().join("neostore"), directory.path().join("written"));
    let mut read = 0;
    for round in 0..rounds {
        fs::write(&path, mutate(&mut Random(round as u64), &seeds)).expect("written");
        attempt(&format!("metadata store, round {round}"), || {
            let Ok(neostore) = Neostore::read(&path) else { return };
            read += 1;
            let _ = (neostore.store_id(), neostore.log_version(), neostore.last_transaction());
            let _ = (neostore.database_id(), neostore.checkpoint_log_version());
            // What was read is written and read the same.
            fs::copy(&path, &written).expect("copied");
            let mut again = Neostore::read(&written).expect("the same");
            again.set(Field::LastTransactionId, 7);
            again.write(&OsDisk::shared()).expect("written");
            let again = Neostore::read(&written).expect("what was written");
            assert_eq!(again.get(Field::LastTransactionId), Some(7));
            assert_eq!(again.get(Field::Time), neostore.get(Field::Time));
            assert_eq!(again.get(Field::StoreVersion), neostore.get(Field::StoreVersion));
        });
    }
    assert!(read > 0);
}
