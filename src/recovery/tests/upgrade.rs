//! Stores of versions up to 4.2: their label index has no rule. Specification: transaction log 8.7, 8.9.

use super::*;
use crate::index::files;
use crate::index::token::{Builder as TokenBuilder, TokenIndex, TokenRange, TokenState};
use crate::recovery::index_updates::{BuiltIndex, Cause, UpdatedIndex};
use crate::store::id::SchemaId;
use crate::store::schema::EntityType;

/// The id of the label index without a rule: −2.
const IMPLIED: SchemaId = SchemaId(u64::MAX - 1);

/// A store of 4.2.
fn old() -> Database {
    let database = Database::standard();
    database.set(&[(Field::KernelVersion, 2)]);
    database
}

/// Node `id` with a label, created.
fn labelled(id: i64, label: u64) -> Vec<u8> {
    node(id, &Image::Dead(&[]), &Image::Live(&node_fields(-1, -1, 1 << 36 | label), &[]), true)
}

/// What an upgrade to 4.4 does: the version, and the rule of the label index as record 1 without properties.
fn upgrade() -> Vec<Vec<u8>> {
    let mut version = vec![19];
    version.put_i64(19);
    for value in [2, 4] {
        version.put_u8(1);
        version.put_i64(value);
    }
    let mut rule = vec![18];
    rule.put_i64(1);
    rule.put_u8(1);
    rule.put_slice(&[0, 3, 0]);
    rule.put_i64(-1);
    let entries = [("indexType", "LOOKUP"), ("schemaEntityType", "NODE"), ("schemaRuleType", "INDEX")];
    rule.put_u32(u32::try_from(entries.len()).unwrap());
    for (key, value) in entries {
        let key = format!("__org.neo4j.SchemaRule.{key}");
        rule.put_u32(u32::try_from(key.len()).unwrap());
        rule.put_slice(key.as_bytes());
        rule.put_u8(9);
        rule.put_u32(u32::try_from(value.len()).unwrap());
        rule.put_slice(value.as_bytes());
    }
    vec![version, rule]
}

/// A label index with one entry: these nodes below 64 have the label.
fn write_index(database: &Database, label: u32, nodes: u64) {
    let path = files::lookup(&database.layout(), EntityType::Node);
    let mut builder = TokenBuilder::new(&disk(), &path).unwrap();
    builder.push(TokenRange { token: label, range: 0, entities: nodes }).unwrap();
    builder.finish().unwrap();
}

/// All entries of the label index: labels, and a bit per node.
fn index(database: &Database) -> Vec<(u32, u64)> {
    let path = files::lookup(&database.layout(), EntityType::Node);
    let opened = TokenIndex::open(&PageCache::new(0), &OsDisk, &path).unwrap();
    let TokenState::Online(index) = opened else { panic!("{opened:?}") };
    let mut entries = index.entries().unwrap();
    let mut found = Vec::new();
    while let Some(TokenRange { token, range: 0, entities }) = entries.next().unwrap() {
        found.push((token, entities));
    }
    found
}

fn updated(recovered: &Recovered) -> Vec<(SchemaId, u64)> {
    let updated = recovered.indexes.updated.iter();
    updated.map(|UpdatedIndex { index, entities }| (index.id, *entities)).collect()
}

#[test]
fn the_label_index_without_a_rule_is_brought_along() {
    let database = old();
    // Of node 9, which is not among the transactions, and of node 3, which is not there in the end.
    write_index(&database, 5, 1 << 9 | 1 << 3);
    let gone = node(3, &Image::Live(&node_fields(-1, -1, 1 << 36 | 5), &[]), &Image::Dead(&[]), false);
    database.log(0, 2, &[vec![labelled(0, 5)], vec![labelled(1, 6)], vec![gone]]);
    let recovered = database.recover();
    assert_eq!(updated(&recovered), [(IMPLIED, 3)]);
    assert_eq!(index(&database), [(5, 1 << 9 | 1), (6, 1 << 1)]);
    assert_eq!(super::super::reason(&database.layout()).unwrap(), None);
}

#[test]
fn without_a_file_it_is_built() {
    let database = old();
    database.log(0, 2, &[vec![labelled(0, 5)], vec![labelled(1, 5)]]);
    let recovered = database.recover();
    let [BuiltIndex { index: built, cause: Cause::Missing, entries: 1 }] = &recovered.indexes.built[..]
    else {
        panic!("{:?}", recovered.indexes);
    };
    assert_eq!(built.id, IMPLIED);
    assert_eq!(index(&database), [(5, 0b11)]);
}

#[test]
fn an_upgrade_gives_it_a_rule_and_keeps_its_file() {
    let database = old();
    write_index(&database, 5, 1 << 9);
    let transactions = [vec![labelled(0, 5)], upgrade(), vec![labelled(1, 5)]];
    database.log(0, 2, &transactions);
    let recovered = database.recover();
    assert_eq!(updated(&recovered), [(SchemaId(1), 2)]);
    assert_eq!(recovered.indexes.built, []);
    assert_eq!(database.neostore().get(Field::KernelVersion), Some(4));
    // What no transaction of the window has touched is still there, so the file was not built anew.
    assert_eq!(index(&database), [(5, 1 << 9 | 0b11)]);

    // Before the upgrade it has none, and what came later is taken back.
    let database = old();
    write_index(&database, 5, 0b11);
    database.log(0, 2, &transactions);
    let recovered = database.recover_until(3);
    assert_eq!(updated(&recovered), [(IMPLIED, 2)]);
    assert_eq!(database.neostore().get(Field::KernelVersion), Some(2));
    assert_eq!(index(&database), [(5, 0b01)]);
}

#[test]
fn a_store_that_was_upgraded_before_has_no_label_index_without_a_rule() {
    let database = Database::standard();
    write_index(&database, 5, 1 << 9);
    database.log(0, 2, &[vec![labelled(0, 5)]]);
    let recovered = database.recover();
    assert_eq!((recovered.indexes.updated, recovered.indexes.built), (vec![], vec![]));
}
