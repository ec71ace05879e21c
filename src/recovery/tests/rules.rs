//! Specification: transaction log 8.15. The numbers are those of its rules.

use super::*;
use crate::gbptree::Tree;
use crate::index::counts::CountsLayout;
use crate::store::id::{DynamicId, LabelId, NodeId, PropertyId};
use crate::store::record::Property;
use crate::store::value::Value;

/// A label field that refers to a record of the label store.
fn labels_at(record: u64) -> u64 {
    1 << 39 | record
}

#[test]
fn rule_1_dynamic_labels_that_only_an_earlier_command_carries_are_written() {
    let database = Database::standard();
    let fields = node_fields(-1, -1, labels_at(3));
    let records = [dynamic(3, 0, 0x23, -1, b"labels of node 0")];
    database.log(
        0,
        2,
        &[
            vec![node(0, &Image::Dead(&[]), &Image::Live(&fields, &records), true)],
            // The property changes, the labels don't: they are not in the image.
            vec![node(
                0,
                &Image::Live(&fields, &[]),
                &Image::Live(&node_fields(-1, 9, labels_at(3)), &[]),
                false,
            )],
        ],
    );
    database.recover();
    let stores = database.stores();
    let node = stores.nodes.get(NodeId(0)).unwrap().unwrap();
    assert_eq!(node.property, Some(PropertyId(9)));
    let mut labels = Vec::new();
    stores.node_labels.read_chain(DynamicId(3), &mut labels).unwrap();
    assert_eq!(labels, b"labels of node 0");
}

/// Property 1 has a string in record 5, which is freed and then holds a string of property 2.
fn reused_string() -> Vec<Vec<Vec<u8>>> {
    let first = [dynamic(5, 9, 0x23, -1, b"of the first")];
    let second = [dynamic(5, 9, 0x23, -1, b"of the second")];
    let freed = [dynamic(5, 9, 0, -1, b"")];
    let with_first = PropertyImage { blocks: &[(&[string_at(5)], &first)], ..NO_PROPERTY };
    vec![
        vec![property(1, &NO_PROPERTY, &with_first)],
        vec![property(
            1,
            &with_first,
            &PropertyImage { blocks: &[(&[int(7)], &[])], deleted: &freed, ..NO_PROPERTY },
        )],
        vec![property(
            2,
            &NO_PROPERTY,
            &PropertyImage { blocks: &[(&[string_at(5)], &second)], ..NO_PROPERTY },
        )],
    ]
}

fn value(stores: &Stores, id: u64) -> Value {
    let record: Property = stores.properties.get(PropertyId(id)).unwrap().unwrap();
    let block = record.blocks().next().unwrap().unwrap();
    stores.value(PropertyId(id), &block, &mut Vec::new()).unwrap()
}

#[test]
fn rule_1_a_record_that_is_freed_and_used_elsewhere_has_its_last_content() {
    let database = Database::standard();
    database.log(0, 2, &reused_string());
    database.recover();
    let stores = database.stores();
    assert_eq!(value(&stores, 1), Value::Int(7));
    assert_eq!(value(&stores, 2), Value::String("of the second".to_owned()));
    assert_eq!(database.ids(RecordStore::PropertyString), (6, vec![1, 2, 3, 4]));
}

#[test]
fn rule_1_a_freed_second_unit_may_become_a_record_and_the_other_way_round() {
    let database = Database::new(Family::HighLimit);
    let units = |fields: &[u8], unit: i64| [fields, &unit.to_be_bytes()].concat();
    // Node 0 in units 0 and 1; then it needs one, and unit 1 is node 1.
    let wide = units(&node_fields(1 << 40, 1 << 41, 0), 1);
    let flags = |mut command: Vec<u8>, at: usize, flags: u8| {
        command[at] = flags;
        command
    };
    let create = node(0, &Image::Dead(&[]), &Image::Live(&wide, &[]), true);
    // Type, id, the image before: flags and an empty list.
    let create = flags(create, 9 + 5, 0x0f);
    let narrow = node_fields(7, 8, 0);
    let update = node(0, &Image::Live(&wide, &[]), &Image::Live(&narrow, &[]), false);
    let update = flags(update, 9, 0x0d);
    let other = node(1, &Image::Dead(&[]), &Image::Live(&node_fields(3, 4, 0), &[]), true);
    database.log(0, 2, &[vec![create.clone()]]);
    database.recover();
    let read = |id| database.stores().nodes.get(NodeId(id)).unwrap();
    assert_eq!(read(0).unwrap().property, Some(PropertyId(1 << 41)));
    assert_eq!(read(1), None);
    assert_eq!(database.ids(RecordStore::Node), (2, vec![]));

    let database = Database::new(Family::HighLimit);
    database.log(0, 2, &[vec![create.clone()], vec![update.clone()]]);
    database.recover();
    assert_eq!(database.stores().nodes.get(NodeId(0)).unwrap().unwrap().property, Some(PropertyId(8)));
    assert_eq!(database.ids(RecordStore::Node).0, 1);

    let database = Database::new(Family::HighLimit);
    database.log(0, 2, &[vec![create], vec![update], vec![other]]);
    database.recover();
    let read = |id| database.stores().nodes.get(NodeId(id)).unwrap();
    assert_eq!(read(0).unwrap().property, Some(PropertyId(8)));
    assert_eq!(read(1).unwrap().property, Some(PropertyId(4)));
}

#[test]
fn rule_2_bytes_behind_a_shorter_record_stay_from_the_longer_one_before() {
    let database = Database::standard();
    let long =
        PropertyImage { blocks: &[(&[int(1)], &[]), (&[int(2)], &[]), (&[int(3)], &[])], ..NO_PROPERTY };
    let short = PropertyImage { blocks: &[(&[int(4)], &[])], ..NO_PROPERTY };
    database.log(0, 2, &[vec![property(0, &NO_PROPERTY, &long)], vec![property(0, &long, &short)]]);
    database.recover();
    let bytes = std::fs::read(database.path(RecordStore::Property.file_name())).unwrap();
    let word = |place: usize| u64::from_be_bytes(bytes[9 + 8 * place..][..8].try_into().unwrap());
    assert_eq!([word(0), word(1), word(2)], [int(4), 0, int(3)]);
}

#[test]
fn rule_3_what_only_transactions_behind_the_end_have_written_is_as_before_the_first_of_them() {
    let database = Database::standard();
    database.log(0, 2, &reused_string());
    // As a fuzzy copy is: the files have seen everything, the checkpoint is older.
    database.recover();
    std::fs::remove_file(database.path("checkpoint.0")).unwrap();
    let recovered = database.recover_until(3);
    assert_eq!((recovered.transactions, recovered.taken_back), (1, 2));
    let stores = database.stores();
    assert_eq!(value(&stores, 1), Value::String("of the first".to_owned()));
    assert!(stores.properties.get(PropertyId(2)).unwrap().is_none());
    assert_eq!(database.neostore().last_transaction().unwrap(), TransactionId(2));
}

#[test]
fn rule_3_a_slot_that_no_replayed_transaction_writes_gets_its_first_image_before_the_cut() {
    let database = Database::standard();
    let image = |value| PropertyImage { node: 4, next: 17, ..value };
    let first = [(&[int(1)][..], &[][..])];
    let second = [(&[int(2)][..], &[][..])];
    let third = [(&[int(3)][..], &[][..])];
    let of = |blocks| image(PropertyImage { blocks, ..NO_PROPERTY });
    database.log(
        0,
        2,
        &[
            vec![created(0)],
            vec![property(6, &of(&first), &of(&second)), property(7, &NO_PROPERTY, &of(&first))],
            vec![property(6, &of(&second), &of(&third))],
            vec![property(7, &of(&first), &of(&third))],
        ],
    );
    database.recover();
    assert_eq!(value(&database.stores(), 6), Value::Int(3));
    std::fs::remove_file(database.path("checkpoint.0")).unwrap();
    let recovered = database.recover_until(3);
    assert_eq!((recovered.transactions, recovered.taken_back), (1, 3));
    let stores = database.stores();
    let record = stores.properties.get(PropertyId(6)).unwrap().unwrap();
    assert_eq!((value(&stores, 6), record.next), (Value::Int(1), Some(PropertyId(17))));
    assert!(stores.properties.get(PropertyId(7)).unwrap().is_none());
    let (_, unused) = database.ids(RecordStore::Property);
    assert!(!unused.contains(&6) && unused.contains(&7), "{unused:?}");
    // The log ends there now.
    assert_eq!(database.recovery().run(&Silent).unwrap(), Outcome::NotRequired);
}

#[test]
fn rule_4_a_node_that_is_created_and_changed_later_is_not_free() {
    let database = Database::standard();
    // An id file that knows nothing of node 2.
    database.log(0, 2, &[vec![created(0)]]);
    database.recover();
    let fields = node_fields(-1, -1, 0);
    let changed = node_fields(-1, 5, 0);
    database.log(
        0,
        2,
        &[
            vec![created(0)],
            vec![created(2)],
            vec![node(2, &Image::Live(&fields, &[]), &Image::Live(&changed, &[]), false)],
            vec![node(0, &Image::Live(&fields, &[]), &Image::Dead(&[]), false)],
        ],
    );
    database.recover();
    // 1 was skipped: nobody else would say of it that it is free.
    assert_eq!(database.ids(RecordStore::Node), (3, vec![0, 1]));
}

#[test]
fn rule_4_deleted_records_raise_the_high_id_too() {
    let database = Database::standard();
    database.log(0, 2, &[vec![created(0)]]);
    database.recover();
    let fields = node_fields(-1, -1, 0);
    let deleted = node(9, &Image::Live(&fields, &[]), &Image::Dead(&[]), false);
    database.log(0, 2, &[vec![created(0)], vec![created(9)], vec![deleted]]);
    database.recover();
    let (high_id, unused) = database.ids(RecordStore::Node);
    assert_eq!(high_id, 10);
    assert!(unused.contains(&9) && !unused.contains(&0), "{unused:?}");
}

#[test]
fn rule_4_a_damaged_id_file_is_built_from_its_store() {
    let database = Database::standard();
    database.log(0, 2, &[vec![created(0)], vec![created(3)]]);
    let path = database.path(&RecordStore::Node.id_file_name().unwrap());
    for damage in [Vec::new(), vec![0; 100], vec![0xff; 50_000]] {
        std::fs::write(&path, damage).unwrap();
        let _ = std::fs::remove_file(database.path("checkpoint.0"));
        database.recover();
        assert_eq!(database.ids(RecordStore::Node), (4, vec![1, 2]));
    }
}

/// A counts store that ends with transaction 3 and has seen 5.
fn counts_ahead(database: &Database) {
    let disk = disk();
    let mut builder = Builder::new(&disk, &database.path(COUNTS)).unwrap();
    builder.push(CountKey::Nodes { label: None }, 1 + 10 + 1000).unwrap();
    builder.finish(TransactionId(3)).unwrap();
    let file = disk.open(&database.path(COUNTS)).unwrap();
    let mut tree = Tree::open(&PageCache::new(0), file, CountsLayout).unwrap();
    let stray = [&[0][..], &5_i64.to_be_bytes(), &[0; 4]].concat();
    tree.insert(&stray, &[0; 8]).unwrap();
    tree.finish(None).unwrap();
}

#[test]
fn rule_5_each_store_of_numbers_skips_the_transactions_that_it_has_seen() {
    let database = Database::standard();
    let transactions: Vec<_> =
        [1, 10, 100, 1000, 10_000].map(|delta| vec![node_count(-1, delta), degree(7, delta)]).into();
    database.log(0, 2, &transactions);
    counts_ahead(&database);
    let disk = disk();
    let mut degrees = Builder::new(&disk, &database.path(DEGREES)).unwrap();
    let key = CountKey::Degree {
        group: crate::store::id::GroupId(7),
        direction: crate::store::record::Direction::Outgoing,
    };
    degrees.push(key, 11_111).unwrap();
    degrees.finish(TransactionId(6)).unwrap();
    let recovered = database.recover();
    assert!(!recovered.counts_rebuilt && !recovered.degrees_rebuilt);
    assert_eq!(database.numbers(COUNTS), (6, vec![(CountKey::Nodes { label: None }, 11_111)]));
    assert_eq!(database.numbers(DEGREES), (6, vec![(key, 11_111)]));
}

#[test]
fn rule_5_numbers_that_have_seen_what_is_taken_back_or_not_what_was_before_are_counted_anew() {
    let label = |id| CountKey::Nodes { label: Some(LabelId(id)) };
    let counts = |database: &Database, last| {
        let mut builder = Builder::new(&disk(), &database.path(COUNTS)).unwrap();
        builder.push(label(9), 9).unwrap();
        builder.finish(TransactionId(last)).unwrap();
    };
    let transactions: Vec<_> = (0..4).map(|id| vec![created(id), node_count(-1, 1)]).collect();
    let all = |count| vec![(CountKey::Nodes { label: None }, count)];

    let database = Database::standard();
    database.log(0, 2, &transactions);
    counts(&database, 4);
    assert!(database.recover_until(4).counts_rebuilt);
    assert_eq!(database.numbers(COUNTS), (3, all(2)));

    let database = Database::standard();
    database.set(&[(Field::LastTransactionId, 19)]);
    database.log(0, 20, &transactions);
    counts(&database, 18);
    assert!(database.recover().counts_rebuilt);
    assert_eq!(database.numbers(COUNTS), (23, all(4)));
}

#[test]
fn rule_13_the_last_commands_decide_on_fields_of_the_metadata_store() {
    let database = Database::standard();
    let version = |before: i64, after: i64| {
        let mut bytes = vec![19];
        bytes.put_i64(19);
        for value in [before, after] {
            bytes.put_u8(1);
            bytes.put_i64(value);
        }
        bytes
    };
    let constraint = |id: i64, before: u8, after: u8| {
        let mut bytes = vec![18];
        bytes.put_i64(id);
        bytes.put_u8(0);
        for flags in [before, after] {
            bytes.put_u8(flags);
            if flags & 1 != 0 {
                bytes.put_u8(1);
                bytes.put_i64(-1);
            }
        }
        bytes
    };
    database.set(&[(Field::KernelVersion, 2), (Field::LastConstraintTransaction, 1)]);
    let transactions =
        vec![vec![version(2, 3)], vec![constraint(1, 0, 3)], vec![version(3, 4)], vec![constraint(1, 1, 0)]];
    database.log(0, 2, &transactions);
    database.recover();
    let fields = |database: &Database| {
        let neostore = database.neostore();
        [Field::KernelVersion, Field::LastConstraintTransaction].map(|field| neostore.get(field).unwrap())
    };
    assert_eq!(fields(&database), [4, 3]);
    std::fs::remove_file(database.path("checkpoint.0")).unwrap();
    database.recover_until(3);
    assert_eq!(fields(&database)[0], 3);
}
