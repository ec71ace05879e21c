//! Every record of the committed stores decodes, and encodes to the same bytes.

use std::path::{Path, PathBuf};

use neo4j_admin::store::error::StoreError;
use neo4j_admin::store::id::RecordId;
use neo4j_admin::store::layout::RecordStore;
use neo4j_admin::store::record::{Dynamic, DynamicFile, Record, RecordFile, Units};
use neo4j_admin::store::stores::Stores;

use crate::support::{digest, stores};

/// The databases of the committed stores, unpacked below a directory.
fn databases(scratch: &Path) -> Vec<PathBuf> {
    let mut databases = Vec::new();
    for (archive, contents) in stores::digests() {
        let directory = scratch.join(&archive);
        stores::unpack(&archive, &directory);
        databases.extend(contents.keys().map(|name| directory.join(name)));
    }
    databases
}

fn files(directory: &Path) -> Vec<(&'static str, Vec<u8>)> {
    let stores = RecordStore::ALL.into_iter().map(RecordStore::file_name);
    stores.map(|name| (name, std::fs::read(directory.join(name)).expect(name))).collect()
}

/// Writes all records anew, the ones in use and the ones that are not.
fn rewrite<I: RecordId, R: Record>(file: &RecordFile<I, R>) -> Result<usize, StoreError> {
    let mut records = Vec::new();
    file.scan(|id, record| {
        records.push((id, record));
        Ok::<_, StoreError>(())
    })?;
    let mut unused = Vec::new();
    file.scan_use(|id, in_use| {
        unused.extend((!in_use).then(|| I::from_slot(id).expect("an id")));
        Ok::<_, StoreError>(())
    })?;
    let mut writer = file.writer();
    for (id, record) in &records {
        writer.put(*id, record, Units::default())?;
    }
    for id in unused {
        writer.delete(id, None)?;
    }
    drop(writer);
    for (id, record) in &records {
        assert!(file.get(*id)?.is_some(), "{id:?}");
        let _ = record;
    }
    Ok(records.len())
}

fn rewrite_dynamic(file: &DynamicFile) -> Result<usize, StoreError> {
    let mut records = Vec::new();
    file.scan(|id, record| {
        records.push((id, record.is_first, record.next, record.data.to_vec()));
        Ok::<_, StoreError>(())
    })?;
    let mut writer = file.writer();
    for (id, is_first, next, data) in &records {
        writer.put(*id, &Dynamic { is_first: *is_first, next: *next, data })?;
    }
    Ok(records.len())
}

fn rewrite_all(stores: &Stores) -> Result<usize, StoreError> {
    let records = rewrite(&stores.nodes)?
        + rewrite(&stores.relationships)?
        + rewrite(&stores.groups)?
        + rewrite(&stores.properties)?
        + rewrite(&stores.label_tokens)?
        + rewrite(&stores.type_tokens)?
        + rewrite(&stores.key_tokens)?
        + rewrite(&stores.schema)?
        + rewrite_dynamic(&stores.node_labels)?
        + rewrite_dynamic(&stores.strings)?
        + rewrite_dynamic(&stores.arrays)?
        + rewrite_dynamic(&stores.label_names)?
        + rewrite_dynamic(&stores.type_names)?
        + rewrite_dynamic(&stores.key_names)?;
    stores.sync()?;
    Ok(records)
}

#[test]
fn every_record_of_a_real_store_is_written_back_as_it_was() {
    let scratch = tempfile::tempdir().expect("a directory");
    for database in databases(scratch.path()) {
        let before = files(&database);
        // The smallest cache there is, so that pages come and go.
        let stores = digest::open(&database, 0);
        let records = rewrite_all(&stores).expect("good records");
        assert!(records > 100, "{}: {records}", database.display());
        for ((name, before), (_, after)) in before.into_iter().zip(files(&database)) {
            assert!(before == after, "{}: {name} changed", database.display());
        }
    }
}

#[test]
fn a_store_scan_sees_what_the_kernel_sees() {
    let scratch = tempfile::tempdir().expect("a directory");
    for (archive, contents) in stores::digests() {
        // A crashed store must be recovered before it shows its last transaction.
        if archive == "crashed" {
            continue;
        }
        stores::unpack(&archive, scratch.path());
        for (name, expected) in contents {
            assert_eq!(digest::of(&scratch.path().join(&name)), expected, "{archive} {name}");
        }
    }
}

#[test]
fn high_ids_are_behind_the_last_record_in_use() {
    let scratch = tempfile::tempdir().expect("a directory");
    for database in databases(scratch.path()) {
        let stores = digest::open(&database, 0);
        let mut highest = None;
        stores
            .nodes
            .scan(|id, _| {
                highest = Some(id.0);
                Ok::<_, StoreError>(())
            })
            .expect("nodes");
        let high_id = stores.nodes.high_id().expect("a high id");
        assert_eq!(high_id, highest.map_or(0, |id| id + 1), "{}", database.display());
    }
}
