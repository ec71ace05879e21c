//! Stores in the format `high_limit`, which Neo4j's community edition can't open: they are made of stores that it wrote, record
//! by record, and must give the same reports.

use std::path::Path;

use neo4j_admin::consistency::CheckOptions;
use neo4j_admin::io::disk::OsDisk;
use neo4j_admin::store::error::StoreError;
use neo4j_admin::store::format::Family;
use neo4j_admin::store::id::{NodeId, PropertyId, RecordId, StoreVersion};
use neo4j_admin::store::labels::LabelField;
use neo4j_admin::store::layout::{DatabaseLayout, RecordStore};
use neo4j_admin::store::neostore::{Field, Neostore};
use neo4j_admin::store::page_cache::PageCache;
use neo4j_admin::store::record::{ChainLink, DynamicFile, NodeChain, Previous, Record, RecordFile, Units};
use neo4j_admin::store::stores::Stores;

use super::store::{Entries, archive, checking};
use crate::support::damage::{read, write};
use crate::support::random::{Random, rounds};
use crate::support::reports;

/// Opens the stores of a directory.
fn open(directory: &Path, family: Family) -> Stores {
    let layout = DatabaseLayout::flat(directory);
    Stores::open(&PageCache::new(1 << 20), &OsDisk, &layout, family).expect("stores")
}

/// Writes the records of a store of the format `standard` anew. `fixed`: with references of a fixed width.
fn convert(from: &Path, to: &Path, fixed: bool) {
    for store in RecordStore::ALL {
        let old = std::fs::read(from.join(store.file_name())).expect("a store");
        // A dynamic record has the same room: four bytes more for a longer header.
        let header = match store {
            RecordStore::NodeLabels
            | RecordStore::PropertyString
            | RecordStore::PropertyArray
            | RecordStore::LabelName
            | RecordStore::RelationshipTypeName
            | RecordStore::PropertyKeyName => vec![0, 0, 0, old[3] + 4],
            RecordStore::RelationshipGroup => old[..4].to_vec(),
            RecordStore::Neostore => old,
            _ => Vec::new(),
        };
        std::fs::write(to.join(store.file_name()), header).expect("a store");
    }
    let (from, new) = (open(from, Family::Standard), open(to, Family::HighLimit));
    let units = Units { fixed_references: fixed, secondary: None };
    records(&from.nodes, &new.nodes, units);
    records(&from.relationships, &new.relationships, units);
    records(&from.groups, &new.groups, units);
    records(&from.properties, &new.properties, units);
    records(&from.label_tokens, &new.label_tokens, units);
    records(&from.type_tokens, &new.type_tokens, units);
    records(&from.key_tokens, &new.key_tokens, units);
    records(&from.schema, &new.schema, units);
    for (from, to) in [
        (&from.node_labels, &new.node_labels),
        (&from.strings, &new.strings),
        (&from.arrays, &new.arrays),
        (&from.label_names, &new.label_names),
        (&from.type_names, &new.type_names),
        (&from.key_names, &new.key_names),
    ] {
        values(from, to);
    }
    new.sync().expect("written");
    let path = to.join("neostore");
    let mut neostore = Neostore::read(&path).expect("a metadata store");
    let version = StoreVersion::from_name("HL4.3.0").expect("a version");
    neostore.set(Field::StoreVersion, version.0.cast_signed());
    neostore.write(&OsDisk::shared()).expect("written");
}

fn records<I: RecordId, R: Record>(from: &RecordFile<I, R>, to: &RecordFile<I, R>, units: Units) {
    let mut writer = to.writer();
    from.scan::<StoreError>(|id, record| writer.put(id, &record, units)).expect("written");
}

fn values(from: &DynamicFile, to: &DynamicFile) {
    let mut writer = to.writer();
    from.scan::<StoreError>(|id, record| writer.put(id, &record)).expect("written");
}

/// Level and text of all entries.
fn reports(store: &Path) -> Vec<reports::Entry> {
    let entries = Entries::default();
    checking(store, &CheckOptions::default()).run(&entries).expect("a verdict");
    entries.0.into_inner()
}

/// The records in use.
fn all<I: RecordId, R: Record>(file: &RecordFile<I, R>) -> Vec<(I, R)> {
    let mut records = Vec::new();
    file.scan::<StoreError>(|id, record| {
        records.push((id, record));
        Ok(())
    })
    .expect("records");
    records
}

/// Changes one field of a record in use to something that is in use too.
fn damage(stores: &Stores, random: &mut Random, units: Units) {
    let (relationships, nodes) = (all(&stores.relationships), all(&stores.nodes));
    let properties = all(&stores.properties);
    let any_relationship = |random: &mut Random| relationships[random.below(relationships.len())].0;
    let any_node = |random: &mut Random| nodes[random.below(nodes.len())].0;
    let any_property = |random: &mut Random| -> PropertyId { properties[random.below(properties.len())].0 };
    match random.below(8) {
        0 => {
            let (id, mut node) = nodes[random.below(nodes.len())];
            node.chain = NodeChain::Sparse(Some(any_relationship(random)));
            stores.nodes.writer().put(id, &node, units).expect("written");
        }
        1 => {
            let (id, mut node) = nodes[random.below(nodes.len())];
            node.property = Some(any_property(random));
            stores.nodes.writer().put(id, &node, units).expect("written");
        }
        2 => {
            let (id, mut node) = nodes[random.below(nodes.len())];
            node.labels = LabelField(nodes[random.below(nodes.len())].1.labels.0);
            stores.nodes.writer().put(id, &node, units).expect("written");
        }
        3 => {
            let (id, mut property) = properties[random.below(properties.len())];
            property.next = Some(any_property(random));
            stores.properties.writer().put(id, &property, units).expect("written");
        }
        _ => {
            let (id, mut relationship) = relationships[random.below(relationships.len())];
            let node = |id: NodeId| Some(id);
            match random.below(5) {
                0 => relationship.start_node = node(any_node(random)),
                1 => relationship.end_node = node(any_node(random)),
                2 => relationship.start_link.next = Some(any_relationship(random)),
                3 => relationship.end_link.next = None,
                _ => {
                    let previous = Previous::Relationship(Some(any_relationship(random)));
                    relationship.end_link = ChainLink { previous, ..relationship.end_link };
                }
            }
            stores.relationships.writer().put(id, &relationship, units).expect("written");
        }
    }
    stores.sync().expect("written");
}

#[test]
fn the_same_damage_has_the_same_reports_in_every_format() {
    let files = archive("consistency/base-x");
    let converted = [false, true].map(|fixed| {
        let directory = tempfile::tempdir().expect("a directory");
        let (standard, high_limit) = (directory.path().join("standard"), directory.path().join("high_limit"));
        write(&files, &standard);
        write(&files, &high_limit);
        convert(&standard, &high_limit, fixed);
        assert_eq!(reports(&high_limit), [], "fixed: {fixed}");
        read(&high_limit)
    });
    let mut damaged = 0;
    for seed in 0..rounds("NEO4J_ADMIN_TEST_ROUNDS", 12) {
        let directory = tempfile::tempdir().expect("a directory");
        let fixed = seed % 2;
        let stores = [(&files, Family::Standard), (&converted[fixed], Family::HighLimit)];
        let [expected, found] = stores.map(|(files, family)| {
            let store = directory.path().join(format!("{family:?}"));
            write(files, &store);
            let units = Units { fixed_references: fixed == 1, secondary: None };
            damage(&open(&store, family), &mut Random(seed as u64), units);
            reports(&store)
        });
        let differences = reports::differences(&expected, &found, true);
        assert!(differences.is_empty(), "{seed}:\n{differences}");
        damaged += usize::from(!expected.is_empty());
    }
    assert!(damaged > 6, "{damaged}");
}
