//! What Neo4j's checker does not see: damages of `fixtures/consistency` that it passes over, and others.

use std::path::Path;

use neo4j_admin::consistency::{CheckOptions, Verdict};
use neo4j_admin::index::id_file::{self, IdFile};
use neo4j_admin::io::disk::OsDisk;
use neo4j_admin::store::format::Family;
use neo4j_admin::store::layout::DatabaseLayout;
use neo4j_admin::store::neostore::Neostore;
use neo4j_admin::store::page_cache::PageCache;
use neo4j_admin::store::record::{Previous, Units};
use neo4j_admin::store::stores::Stores;

use super::corpus::damaged;
use super::store::{Entries, archive, checking};
use crate::support::damage::write;

const UNITS: Units = Units { fixed_references: false, secondary: None };

/// The findings beyond Neo4j's of a store, and the verdict.
fn extras(store: &Path, options: &CheckOptions) -> (Vec<String>, Verdict) {
    let entries = Entries::default();
    let verdict = checking(store, options).run(&entries).expect("a verdict");
    let extras = entries.0.into_inner().into_iter().filter(|(level, _)| level == "EXTRA");
    (extras.map(|(_, entry)| entry).collect(), verdict)
}

/// What is found after `damage` of a store in which nothing was wrong.
fn found_after(damage: impl Fn(&Stores, &Path)) -> (Vec<String>, Verdict) {
    let directory = tempfile::tempdir().expect("a directory");
    let store = directory.path().join("store");
    write(&archive("consistency/base-x"), &store);
    let (extras_before, verdict) = extras(&store, &CheckOptions::default());
    assert!(extras_before.is_empty() && verdict.is_consistent(), "{extras_before:?}");
    let layout = DatabaseLayout::flat(&store);
    let store_id = Neostore::read(&layout.neostore()).expect("a neostore").store_id().expect("a store id");
    let family = Family::of(store_id.version).expect("a format");
    let stores = Stores::open(&PageCache::new(1 << 20), &OsDisk, &layout, family).expect("stores");
    damage(&stores, &store);
    stores.sync().expect("written");
    extras(&store, &CheckOptions::default())
}

fn assert_found(extras: &[String], text: &str) {
    assert!(extras.iter().any(|entry| entry.contains(text)), "{text} is not in {extras:#?}");
}

#[test]
fn damages_that_neo4j_passes_over_are_found() {
    for (row, text) in [
        ("R24", "The first relationship of a chain has another degree than the chain has relationships."),
        ("N25", "A second record refers to this property record."),
        ("P1", "No record refers to this property record."),
        ("C4", "The counts store has no count of all nodes."),
        ("D3", "The record 0 is in use, and its id is free"),
        ("I6b", "This index entry has values that its entity does not have."),
    ] {
        let directory = tempfile::tempdir().expect("a directory");
        let store = directory.path().join("store");
        write(&damaged(row).files, &store);
        let (found, _) = extras(&store, &CheckOptions::default());
        assert_found(&found, text);
        let (found, _) = extras(&store, &CheckOptions { extra: false, ..CheckOptions::default() });
        assert!(found.is_empty(), "{row}: {found:?}");
    }
}

#[test]
fn only_a_strict_check_calls_a_store_inconsistent_for_them() {
    let directory = tempfile::tempdir().expect("a directory");
    let store = directory.path().join("store");
    write(&damaged("R24").files, &store);
    let (found, verdict) = extras(&store, &CheckOptions::default());
    assert!(!found.is_empty() && verdict.is_consistent());
    assert_eq!(verdict.summary.extras(), found.len() as u64 - 1, "the last entry is their summary");
    assert!(verdict.report.is_some(), "they are in the report");
    let (_, verdict) = extras(&store, &CheckOptions { strict: true, ..CheckOptions::default() });
    assert!(!verdict.is_consistent());
}

#[test]
fn a_kernel_version_that_there_is_none_of_is_an_error() {
    /// Where the field is, in front of its eight bytes the sign that it is in use.
    const KERNEL_VERSION: usize = 19 * 9;
    let directory = tempfile::tempdir().expect("a directory");
    let store = directory.path().join("store");
    write(&archive("consistency/base-x"), &store);
    let path = store.join("neostore");
    let mut neostore = std::fs::read(&path).expect("a neostore");
    for (version, is_known) in
        [(0, false), (1, true), (4, true), (5, false), (-1, true), (-2, false), (260, false)]
    {
        neostore[KERNEL_VERSION] = 1;
        neostore[KERNEL_VERSION + 1..][..8].copy_from_slice(&i64::to_be_bytes(version));
        std::fs::write(&path, &neostore).expect("written");
        let entries = Entries::default();
        let verdict = checking(&store, &CheckOptions::default()).run(&entries).expect("a verdict");
        let text = format!("The metadata store has a kernel version that there is none of: {version}.\n");
        let said = entries.0.lock().iter().any(|(level, entry)| level == "ERROR" && entry.starts_with(&text));
        assert_eq!((said, verdict.is_consistent()), (!is_known, is_known), "{version}");
        assert_eq!(verdict.summary.errors(), u64::from(!is_known), "{version}: nothing else is wrong");
    }
}

#[test]
fn an_id_in_use_that_will_be_given_to_another_record_is_found() {
    let (found, verdict) = found_after(|_, store| {
        let path = store.join("neostore.relationshipstore.db.id");
        let mut file =
            IdFile::open(&PageCache::new(1 << 20), &OsDisk, &path, 0).expect("readable").expect("built");
        file.mark(1, false).expect("marked");
        file.finish().expect("written");
    });
    assert_found(&found, "The record 1 is in use, and its id is free");
    assert!(verdict.is_consistent());
    let (found, _) = found_after(|_, store| {
        let path = store.join("neostore.propertystore.db.strings.id");
        id_file::Builder::new(&OsDisk::shared(), &path).expect("made").finish(1).expect("written");
    });
    assert_found(&found, "The record 1 is in use, and the high id is 1");
}

#[test]
fn what_lost_its_owner_is_found() {
    let (found, _) = found_after(|stores, _| {
        let mut nodes = Vec::new();
        let collect = |id, node| {
            nodes.push((id, node));
            Ok::<_, neo4j_admin::store::error::StoreError>(())
        };
        stores.nodes.scan(collect).expect("nodes");
        let mut writer = stores.nodes.writer();
        for (id, mut node) in nodes {
            if node.property.is_some() {
                node.property = None;
                writer.put(id, &node, UNITS).expect("written");
            }
        }
    });
    assert_found(&found, "No record refers to this property record.");
}

#[test]
fn degrees_of_both_kinds_are_compared_with_their_chains() {
    let (found, verdict) = found_after(|stores, _| {
        let mut first = None;
        let look = |id, relationship: neo4j_admin::store::record::Relationship| {
            if let (None, Previous::Degree(Some(degree))) = (&first, relationship.end_link.previous) {
                first = Some((id, relationship, degree));
            }
            Ok::<_, neo4j_admin::store::error::StoreError>(())
        };
        stores.relationships.scan(look).expect("relationships");
        let (id, mut relationship, degree) = first.expect("a first relationship");
        relationship.end_link.previous = Previous::Degree(Some(degree + 1));
        stores.relationships.writer().put(id, &relationship, UNITS).expect("written");
    });
    assert_found(&found, "The first relationship of a chain has another degree");
    assert!(verdict.is_consistent());
    let (found, _) = found_after(|stores, _| {
        let mut groups = Vec::new();
        let collect = |id, group| {
            groups.push((id, group));
            Ok::<_, neo4j_admin::store::error::StoreError>(())
        };
        stores.groups.scan(collect).expect("groups");
        let (id, mut group) = groups
            .into_iter()
            .find(|(_, group)| group.first.outgoing.is_some() && !group.external_degrees.outgoing)
            .expect("a group");
        // The degrees store says nothing of it, which is 0.
        group.external_degrees.outgoing = true;
        stores.groups.writer().put(id, &group, UNITS).expect("written");
    });
    assert_found(&found, "The degrees store has another degree for a chain of this group");
}
