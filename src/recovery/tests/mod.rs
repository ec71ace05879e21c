//! Databases and logs made by hand: each rule of the window has a test that fails without it.

mod corrupted;
mod errors;
mod finish;
mod power;
mod rules;
mod stopped;
mod upgrade;

use std::path::{Path, PathBuf};

use bytes::BufMut;

use super::{Outcome, Recovered, Recovery, RecoveryError, Silent};
use crate::index::counts::{Builder, CountKey, CountsStore};
use crate::index::id_file::IdFile;
use crate::io::disk::{OsDisk, SharedDisk};
use crate::store::format::Family;
use crate::store::id::{StoreId, StoreVersion, TransactionId};
use crate::store::layout::{COUNTS, DEGREES, DatabaseLayout, RecordStore};
use crate::store::neostore::{Field, Neostore};
use crate::store::page_cache::PageCache;
use crate::store::stores::Stores;
use crate::txlog::KernelVersion;
use crate::txlog::entry::{Commit, EntryHead, EntryType, Start};
use crate::txlog::writer::LogWriter;

/// A database directory with empty stores.
pub(super) struct Database {
    directory: tempfile::TempDir,
    family: Family,
}

/// Bytes of a slot of every dynamic store.
const DYNAMIC: u8 = 40;

impl Database {
    /// Empty stores, counts and degrees at transaction 1, log 0 without transactions, no checkpoint, no id files or
    /// indexes.
    pub fn new(family: Family) -> Self {
        let database = Self { directory: tempfile::tempdir().unwrap(), family };
        for store in RecordStore::ALL {
            let dynamic = matches!(
                store,
                RecordStore::NodeLabels
                    | RecordStore::PropertyString
                    | RecordStore::PropertyArray
                    | RecordStore::LabelName
                    | RecordStore::RelationshipTypeName
                    | RecordStore::PropertyKeyName
            );
            let header: &[u8] = if dynamic { &[0, 0, 0, DYNAMIC] } else { &[] };
            std::fs::write(database.path(store.file_name()), header).unwrap();
        }
        let store_id = database.store_id();
        database.set(&[
            (Field::Time, store_id.creation_time),
            (Field::RandomNumber, store_id.random),
            (Field::LogVersion, 0),
            (Field::LastTransactionId, 1),
            (Field::StoreVersion, store_id.version.0.cast_signed()),
            (Field::UpgradeTransactionId, store_id.upgrade_transaction),
            (Field::UpgradeTime, store_id.upgrade_time),
            (Field::KernelVersion, 4),
        ]);
        for name in [COUNTS, DEGREES] {
            let builder = Builder::new(&disk(), &database.path(name)).unwrap();
            builder.finish(TransactionId::BASE).unwrap();
        }
        database.log(0, 2, &[]);
        database
    }

    pub fn standard() -> Self {
        Self::new(Family::Standard)
    }

    pub fn store_id(&self) -> StoreId {
        let version = match self.family {
            Family::Standard => "SF4.3.0",
            Family::Aligned => "AF4.3.0",
            Family::HighLimit => "HL4.3.0",
        };
        StoreId {
            creation_time: 1_650_000_000_000,
            random: 0x0123_4567_89ab_cdef,
            version: StoreVersion::from_name(version).unwrap(),
            upgrade_time: 1_650_000_000_000,
            upgrade_transaction: 1,
        }
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.directory().join(name)
    }

    pub fn directory(&self) -> &Path {
        self.directory.path()
    }

    pub fn layout(&self) -> DatabaseLayout {
        DatabaseLayout::flat(self.directory())
    }

    pub fn neostore(&self) -> Neostore {
        Neostore::read(&self.layout().neostore()).unwrap()
    }

    pub fn set(&self, fields: &[(Field, i64)]) {
        let mut neostore = self.neostore();
        for (field, value) in fields {
            neostore.set(*field, *value);
        }
        neostore.write(&disk()).unwrap();
    }

    /// Writes a log file with transactions from `first` on.
    pub fn log(&self, log_version: u64, first: i64, transactions: &[Vec<Vec<u8>>]) {
        self.log_of_store(self.store_id(), log_version, first, transactions);
    }

    pub fn log_of_store(
        &self,
        store_id: StoreId,
        log_version: u64,
        first: i64,
        transactions: &[Vec<Vec<u8>>],
    ) {
        let before = TransactionId(first - 1);
        let mut writer =
            LogWriter::create(disk(), self.directory(), log_version, store_id, before, u64::MAX).unwrap();
        for (id, commands) in (first..).zip(transactions) {
            writer.append(TransactionId(id), &transaction(id, commands)).unwrap();
        }
        writer.sync().unwrap();
    }

    pub fn recovery(&self) -> Recovery {
        Recovery {
            layout: self.layout(),
            disk: disk(),
            page_cache: 1 << 20,
            threads: 2,
            retention: None,
            until: None,
            required: None,
            fail_on_corrupted: true,
            force: false,
        }
    }

    pub fn recover(&self) -> Recovered {
        done(self.recovery().run(&Silent))
    }

    pub fn recover_until(&self, until: i64) -> Recovered {
        done(Recovery { until: Some(TransactionId(until)), ..self.recovery() }.run(&Silent))
    }

    pub fn stores(&self) -> Stores {
        Stores::open(&PageCache::new(0), &OsDisk, &self.layout(), self.family).unwrap()
    }

    /// High id of a store, and the ids below it that its id file says are not in use.
    pub fn ids(&self, store: RecordStore) -> (u64, Vec<u64>) {
        let path = self.path(&store.id_file_name().unwrap());
        let mut file = IdFile::open(&PageCache::new(0), &OsDisk, &path, 0).unwrap().unwrap();
        let high_id = file.high_id();
        let mut unused = Vec::new();
        file.unused().unwrap().for_each(|id| unused.push(id)).unwrap();
        (high_id, unused)
    }

    /// All numbers of the counts or degrees store, and the transaction that it ends with.
    pub fn numbers(&self, name: &str) -> (i64, Vec<(CountKey, i64)>) {
        let store = CountsStore::open(&PageCache::new(0), &OsDisk, &self.path(name)).unwrap().unwrap();
        let mut numbers = Vec::new();
        let mut entries = store.entries().unwrap();
        while let Some(entry) = entries.next().unwrap() {
            numbers.push(entry);
        }
        drop(entries);
        (store.last_applied().0, numbers)
    }

    /// Everything that a user of the database would notice: the bytes of the record stores, ids, counts and degrees.
    pub fn state(&self) -> Vec<(String, Vec<u8>)> {
        let mut state = Vec::new();
        for store in RecordStore::ALL {
            let bytes = std::fs::read(self.path(store.file_name())).unwrap();
            state.push((store.file_name().to_owned(), bytes));
            if store != RecordStore::Neostore {
                state.push((
                    format!("ids of {}", store.file_name()),
                    format!("{:?}", self.ids(store)).into_bytes(),
                ));
            }
        }
        for name in [COUNTS, DEGREES] {
            state.push((name.to_owned(), format!("{:?}", self.numbers(name)).into_bytes()));
        }
        state
    }
}

/// A file system that forces nothing, which would take most of the time of these tests.
pub(super) fn disk() -> SharedDisk {
    power::PowerDisk::stopping_after(usize::MAX).shared()
}

pub(super) fn done(outcome: Result<Outcome, RecoveryError>) -> Recovered {
    match outcome.unwrap() {
        Outcome::Recovered(recovered) => recovered,
        Outcome::NotRequired => panic!("nothing was recovered"),
    }
}

/// A transaction with commands, as it travels.
pub(super) fn transaction(id: i64, commands: &[Vec<u8>]) -> Vec<u8> {
    let version = KernelVersion::V4_4;
    let mut bytes = Vec::new();
    let start = Start {
        time: 1_000 + id,
        latest_committed: TransactionId(id - 1),
        previous_checksum: 0xdead_5eed,
        additional_header: &[],
    };
    start.encode(version, &mut bytes);
    for command in commands {
        EntryHead { version, kind: EntryType::Command }.encode(&mut bytes);
        bytes.put_slice(command);
    }
    Commit { id: TransactionId(id), time: 2_000 + id }.encode(version, &mut bytes);
    bytes
}

/// An image that says: not in use.
pub(super) enum Image<'a> {
    /// Never was, or not any more; with dynamic records that come with it.
    Dead(&'a [Vec<u8>]),
    /// In use.
    Live(&'a [u8], &'a [Vec<u8>]),
}

fn list(records: &[Vec<u8>]) -> Vec<u8> {
    let count = u32::try_from(records.len()).unwrap().to_be_bytes();
    [&count[..], &records.concat()].concat()
}

/// A dynamic record; `data` is `None` if it is freed. `flags`: 0x01 in use, 0x02 created, 0x20 first.
pub(super) fn dynamic(id: i64, kind: i32, flags: u8, next: i64, data: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::new();
    bytes.put_i64(id);
    bytes.put_i32(kind);
    bytes.put_u8(flags);
    if flags & 1 != 0 {
        bytes.put_u32(u32::try_from(data.len()).unwrap());
        bytes.put_i64(next);
        bytes.put_slice(data);
    }
    bytes
}

/// First relationship, first property and labels of a node that is not dense.
pub(super) fn node_fields(relationship: i64, property: i64, labels: u64) -> Vec<u8> {
    let mut bytes = vec![0];
    bytes.put_i64(relationship);
    bytes.put_i64(property);
    bytes.put_u64(labels);
    bytes
}

/// `created`: the flag of the image after.
pub(super) fn node(id: i64, before: &Image<'_>, after: &Image<'_>, created: bool) -> Vec<u8> {
    let mut bytes = vec![1];
    bytes.put_i64(id);
    for (image, flag) in [(before, 0), (after, u8::from(created) * 2)] {
        match image {
            Image::Dead(records) => {
                bytes.put_u8(flag);
                bytes.extend(list(records));
            }
            Image::Live(fields, records) => {
                bytes.put_u8(1 | flag);
                bytes.put_slice(fields);
                bytes.extend(list(records));
            }
        }
    }
    bytes
}

/// A block of a property image: its words, and records of its value.
pub(super) type Block<'a> = (&'a [u64], &'a [Vec<u8>]);

/// A property record; without blocks it is not in use.
pub(super) struct PropertyImage<'a> {
    pub next: i64,
    pub previous: i64,
    pub node: i64,
    pub blocks: &'a [Block<'a>],
    pub deleted: &'a [Vec<u8>],
}

pub(super) const NO_PROPERTY: PropertyImage<'_> =
    PropertyImage { next: -1, previous: -1, node: 0, blocks: &[], deleted: &[] };

pub(super) fn property(id: i64, before: &PropertyImage<'_>, after: &PropertyImage<'_>) -> Vec<u8> {
    let mut bytes = vec![2];
    bytes.put_i64(id);
    for image in [before, after] {
        bytes.put_u8(u8::from(!image.blocks.is_empty()));
        for field in [image.next, image.previous, image.node] {
            bytes.put_i64(field);
        }
        bytes.put_u8(u8::try_from(image.blocks.len()).unwrap());
        for (words, records) in image.blocks {
            bytes.put_u8(u8::try_from(words.len() * 8).unwrap());
            words.iter().for_each(|word| bytes.put_u64(*word));
            bytes.extend(list(records));
        }
        bytes.extend(list(image.deleted));
    }
    bytes
}

/// A word of key 0 with a 32-bit integer.
pub(super) fn int(value: u32) -> u64 {
    u64::from(value) << 28 | 5 << 24
}

/// A word of key 0 that refers to a string in the string store.
pub(super) fn string_at(record: u64) -> u64 {
    record << 28 | 9 << 24
}

pub(super) fn node_count(label: i32, delta: i64) -> Vec<u8> {
    let mut bytes = vec![17];
    bytes.put_i32(label);
    bytes.put_i64(delta);
    bytes
}

pub(super) fn degree(group: i64, delta: i64) -> Vec<u8> {
    let mut bytes = vec![20];
    bytes.put_i64(group << 2);
    bytes.put_i64(delta);
    bytes
}

/// A node without anything, created.
pub(super) fn created(id: i64) -> Vec<u8> {
    node(id, &Image::Dead(&[]), &Image::Live(&node_fields(-1, -1, 0), &[]), true)
}
