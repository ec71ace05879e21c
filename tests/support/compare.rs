//! Two databases, one of our making and one of the kernel's, file by file. All is read by our own readers.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Debug;
use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::Path;

use neo4j_admin::index::counts::{CountKey, CountsStore};
use neo4j_admin::index::id_file::IdFile;
use neo4j_admin::io::disk::OsDisk;
use neo4j_admin::store::error::StoreError;
use neo4j_admin::store::id::{PropertyId, RecordId};
use neo4j_admin::store::layout::{self, DatabaseLayout, RecordStore};
use neo4j_admin::store::neostore::{Field, Neostore};
use neo4j_admin::store::page_cache::PageCache;
use neo4j_admin::store::record::{DynamicFile, Property, Record, RecordFile, Slots};
use neo4j_admin::store::stores::Stores;

use super::digest;

/// Records in use of a store by id: all their bytes, but of dynamic records and properties those that mean something.
type Records = BTreeMap<u64, Vec<u8>>;

/// Two results of a recovery.
pub struct Databases<'a> {
    /// The result of our recovery.
    pub ours: &'a Path,
    /// The result of the kernel's, never opened.
    pub theirs: &'a Path,
}

impl Databases<'_> {
    /// Every record in use is the same.
    pub fn assert_same_records(&self, what: &str) {
        let (ours, theirs) = (all_records(self.ours), all_records(self.theirs));
        for ((store, ours), theirs) in RECORD_STORES.iter().zip(ours).zip(theirs) {
            assert_same(&ours, &theirs, &format!("{what}: {}", store.file_name()));
        }
    }

    /// The counts, the degrees and the transaction up to which they go are the same, and no transaction is astray. `rebuilt`:
    /// the kernel has counted anew over what was there, so it may have keys of what does not exist any more; the checker
    /// tells whether ours has all. Specification: transaction log 8.6.
    pub fn assert_same_counts(&self, rebuilt: bool, what: &str) {
        for file in [layout::COUNTS, layout::DEGREES] {
            let what = format!("{what}: {file}");
            let [ours, mut theirs] = [self.ours, self.theirs].map(|directory| counts(directory, file));
            if rebuilt {
                theirs.numbers.retain(|key, _| ours.numbers.contains_key(key));
            }
            assert_same(&ours.numbers, &theirs.numbers, &what);
            assert_eq!(ours.last, theirs.last, "{what}");
            assert_eq!(ours.entries, ours.numbers.len(), "{what}: keys of transactions");
        }
    }

    /// No id in use is free; the high id is above every id in use, and not above the kernel's. `all`: of dynamic records too;
    /// those that transactions made which were taken back stay in use although nothing refers to them. Specification:
    /// transaction log 8.2.
    pub fn assert_good_id_files(&self, all: bool, what: &str) {
        let stores = digest::open(self.ours, 8 << 20);
        for (store, (slots, in_use)) in RECORD_STORES.iter().zip(ids_in_use(&stores)) {
            if !all && is_dynamic(*store) {
                continue;
            }
            let name = store.id_file_name().expect("an id file");
            let what = format!("{what}: {name}");
            let open = |directory: &Path| {
                IdFile::open(&PageCache::new(8 << 20), &OsDisk, &directory.join(&name), slots.first())
                    .unwrap_or_else(|error| panic!("{what}: {error}"))
            };
            let mut ours = open(self.ours).unwrap_or_else(|| panic!("{what} is not complete"));
            assert!(ours.tree().was_clean(), "{what} was not closed");
            let theirs = open(self.theirs).unwrap_or_else(|| panic!("{what}: not even in the kernel's copy"));
            let lowest = in_use.last().map_or(slots.first(), |id| id + 1);
            let (high_id, theirs) = (ours.high_id(), theirs.high_id());
            assert!((lowest..=theirs).contains(&high_id), "{what}: {lowest} <= {high_id} <= {theirs}");
            let mut wrong = Vec::new();
            let unused = ours.unused().expect("entries");
            unused
                .for_each(|id| {
                    if in_use.contains(&id) || id >= high_id {
                        wrong.push(id);
                    }
                })
                .expect("ids");
            assert!(wrong.is_empty(), "{what}: high id {high_id}, free but in use or above: {wrong:?}");
        }
    }

    /// The fields of the metadata store that don't depend on the layout of the logs, but for some. Specification: transaction
    /// log 11.
    pub fn assert_same_metadata(&self, but: &[Field], what: &str) {
        const FIELDS: [Field; 17] = [
            Field::Time,
            Field::RandomNumber,
            Field::LastTransactionId,
            Field::StoreVersion,
            Field::LastConstraintTransaction,
            Field::UpgradeTransactionId,
            Field::UpgradeTime,
            Field::LastTransactionChecksum,
            Field::UpgradeTransactionChecksum,
            Field::LastTransactionTime,
            Field::UpgradeTransactionTime,
            Field::ExternalIdHigh,
            Field::ExternalIdLow,
            Field::KernelVersion,
            Field::DatabaseIdHigh,
            Field::DatabaseIdLow,
            Field::LastClosedOffset,
        ];
        let [ours, theirs] = [self.ours, self.theirs]
            .map(|directory| Neostore::read(&DatabaseLayout::flat(directory).neostore()).expect("metadata"));
        for field in FIELDS.into_iter().filter(|field| !but.contains(field)) {
            assert_eq!(ours.get(field), theirs.get(field), "{what}: {field:?} of the metadata store");
        }
    }
}

/// Fails with the first differences only: stores are large.
pub fn assert_same<K: Ord + Debug, V: PartialEq + Debug>(
    ours: &BTreeMap<K, V>,
    theirs: &BTreeMap<K, V>,
    what: &str,
) {
    let keys: BTreeSet<&K> = ours.keys().chain(theirs.keys()).collect();
    let different: Vec<_> = keys.into_iter().filter(|key| ours.get(key) != theirs.get(key)).collect();
    let shown: Vec<_> = different
        .iter()
        .take(10)
        .map(|key| format!("{key:?}: ours {:02x?}, theirs {:02x?}", ours.get(key), theirs.get(key)))
        .collect();
    assert!(different.is_empty(), "{what}: {} differ\n{}", different.len(), shown.join("\n"));
}

/// In the order of [`Stores::slots`].
const RECORD_STORES: [RecordStore; 14] = [
    RecordStore::Node,
    RecordStore::NodeLabels,
    RecordStore::Relationship,
    RecordStore::RelationshipGroup,
    RecordStore::Property,
    RecordStore::PropertyString,
    RecordStore::PropertyArray,
    RecordStore::Label,
    RecordStore::LabelName,
    RecordStore::RelationshipType,
    RecordStore::RelationshipTypeName,
    RecordStore::PropertyKey,
    RecordStore::PropertyKeyName,
    RecordStore::Schema,
];

fn is_dynamic(store: RecordStore) -> bool {
    matches!(
        store,
        RecordStore::NodeLabels
            | RecordStore::PropertyString
            | RecordStore::PropertyArray
            | RecordStore::LabelName
            | RecordStore::RelationshipTypeName
            | RecordStore::PropertyKeyName
    )
}

fn all_records(directory: &Path) -> Vec<Records> {
    let stores = digest::open(directory, 8 << 20);
    vec![
        records(&stores.nodes),
        dynamic_records(&stores.node_labels),
        records(&stores.relationships),
        records(&stores.groups),
        property_records(&stores.properties),
        dynamic_records(&stores.strings),
        dynamic_records(&stores.arrays),
        records(&stores.label_tokens),
        dynamic_records(&stores.label_names),
        records(&stores.type_tokens),
        dynamic_records(&stores.type_names),
        records(&stores.key_tokens),
        dynamic_records(&stores.key_names),
        records(&stores.schema),
    ]
}

fn ids_in_use(stores: &Stores) -> Vec<(&Slots, BTreeSet<u64>)> {
    vec![
        in_use(&stores.nodes),
        dynamic_in_use(&stores.node_labels),
        in_use(&stores.relationships),
        in_use(&stores.groups),
        in_use(&stores.properties),
        dynamic_in_use(&stores.strings),
        dynamic_in_use(&stores.arrays),
        in_use(&stores.label_tokens),
        dynamic_in_use(&stores.label_names),
        in_use(&stores.type_tokens),
        dynamic_in_use(&stores.type_names),
        in_use(&stores.key_tokens),
        dynamic_in_use(&stores.key_names),
        in_use(&stores.schema),
    ]
}

fn in_use<I: RecordId, R: Record>(file: &RecordFile<I, R>) -> (&Slots, BTreeSet<u64>) {
    let mut ids = BTreeSet::new();
    let scanned = file.scan_use(|id, in_use| {
        if in_use {
            ids.insert(id);
        }
        Ok::<_, StoreError>(())
    });
    scanned.expect("a store");
    (file.slots(), ids)
}

fn dynamic_in_use(file: &DynamicFile) -> (&Slots, BTreeSet<u64>) {
    let mut ids = BTreeSet::new();
    let scanned = file.scan_use(|id, in_use| {
        if in_use {
            ids.insert(id);
        }
        Ok::<_, StoreError>(())
    });
    scanned.expect("a store");
    (file.slots(), ids)
}

fn records<I: RecordId, R: Record>(file: &RecordFile<I, R>) -> Records {
    let (slots, ids) = in_use(file);
    let path = slots.file().file().path().to_owned();
    let content = File::open(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    let page_size = slots.file().page_size() as u64;
    let per_page = page_size / slots.size() as u64;
    ids.into_iter()
        .map(|id| {
            let mut bytes = vec![0; slots.size()];
            let offset = id / per_page * page_size + id % per_page * slots.size() as u64;
            content.read_exact_at(&mut bytes, offset).expect("a record");
            (id, bytes)
        })
        .collect()
}

/// Behind the blocks of a property record stands what was there before.
fn property_records(file: &RecordFile<PropertyId, Property>) -> Records {
    let mut records = Records::new();
    let scanned = file.scan(|id, record| {
        let blocks: Vec<_> = record.blocks().map(|block| format!("{:?}", block.expect("a block"))).collect();
        let text = format!("{:?} {:?} {blocks:?}", record.previous, record.next);
        records.insert(id.slot(), text.into_bytes());
        Ok::<_, StoreError>(())
    });
    scanned.expect("a store");
    records
}

/// Behind the data of a dynamic record stands what was there before, which depends on what else was replayed.
fn dynamic_records(file: &DynamicFile) -> Records {
    let mut records = Records::new();
    let scanned = file.scan(|id, record| {
        let mut bytes = vec![u8::from(record.is_first)];
        bytes.extend(record.next.map_or(u64::MAX, RecordId::slot).to_be_bytes());
        bytes.extend(record.data);
        records.insert(id.slot(), bytes);
        Ok::<_, StoreError>(())
    });
    scanned.expect("a store");
    records
}

/// A counts or degrees store.
struct Counts {
    numbers: BTreeMap<CountKey, i64>,
    last: u64,
    /// Entries of the tree, those of transactions that were applied out of order included.
    entries: usize,
}

fn counts(directory: &Path, file: &str) -> Counts {
    let path = directory.join(file);
    let store = CountsStore::open(&PageCache::new(1 << 20), &OsDisk, &path)
        .unwrap_or_else(|error| panic!("{error}"))
        .unwrap_or_else(|| panic!("{} is not complete", path.display()));
    let mut numbers = BTreeMap::new();
    let mut read = store.entries().expect("entries");
    while let Some((key, count)) = read.next().expect("an entry") {
        numbers.insert(key, count);
    }
    let mut all = store.tree().entries().expect("entries");
    let mut entries = 0;
    while all.next().expect("an entry").is_some() {
        entries += 1;
    }
    Counts { numbers, last: store.last_applied().0.try_into().expect("a transaction"), entries }
}
