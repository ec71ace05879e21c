//! A database in memory that is small enough for thousands of copies: right identities, log and names, no graph.

use neo4j_admin::store::id::{StoreId, TransactionId};

use super::memory_source::{MemoryDatabase, MemorySource};
use super::transactions::transaction;

/// Names of the files that are asked for one by one, in the order of a server.
pub const STORE_FILES: [&str; 15] = [
    "neostore.nodestore.db.labels",
    "neostore.nodestore.db",
    "neostore.propertystore.db.index.keys",
    "neostore.propertystore.db.index",
    "neostore.propertystore.db.strings",
    "neostore.propertystore.db.arrays",
    "neostore.propertystore.db",
    "neostore.relationshipstore.db",
    "neostore.relationshiptypestore.db.names",
    "neostore.relationshiptypestore.db",
    "neostore.labeltokenstore.db.names",
    "neostore.labeltokenstore.db",
    "neostore.schemastore.db",
    "neostore.relationshipgroupstore.db",
    "neostore",
];

/// A metadata store: one page with the fields that a backup client reads.
pub fn neostore(store_id: &StoreId, log_version: i64, last_transaction: i64) -> Vec<u8> {
    let mut page = vec![0; 8192];
    for (field, value) in [
        (0, store_id.creation_time),
        (1, store_id.random),
        (2, log_version),
        (3, last_transaction),
        (4, store_id.version.0.cast_signed()),
        (7, store_id.upgrade_transaction),
        (8, store_id.upgrade_time),
        (18, 0),
        (19, 4),
    ] {
        page[field * 9] = 1;
        page[field * 9 + 1..][..8].copy_from_slice(&value.to_be_bytes());
    }
    page
}

/// A database at transaction 8 whose last checkpoint is 5. `fill` is the byte that its stores consist of.
pub fn database(name: &str, number: u128, fill: u8) -> MemoryDatabase {
    let mut database = MemoryDatabase::empty(name, number);
    let content = |length: usize| vec![fill; length];
    database.checkpoint = TransactionId(5);
    database.atomic = vec![
        ("neostore.counts.db".to_owned(), content(100)),
        ("neostore.nodestore.db.id".to_owned(), content(0)),
        ("schema/index/native-btree-1.0/7/index-7".to_owned(), content(40_000)),
        ("schema/index/text-1.0/8/1/segments_1".to_owned(), content(7)),
    ];
    database.replayable = STORE_FILES
        .iter()
        .enumerate()
        .map(|(number, &name)| (name.to_owned(), content(number * 15)))
        .collect();
    database.replayable.pop();
    database.replayable.push(("neostore".to_owned(), neostore(&database.store_id, 12, 5)));
    database.transactions = (2..=8).map(|id| (TransactionId(id), transaction(id, 3))).collect();
    database
}

/// A server with one database called `neo4j`.
pub fn source(fill: u8) -> MemorySource {
    MemorySource { databases: vec![database("neo4j", 7, fill)], metadata: None }
}
