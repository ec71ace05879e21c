//! How many records a store has, at the speed of the medium.

use std::ops::RangeInclusive;
use std::sync::{Mutex, PoisonError};

use serde::Serialize;

use super::read_only;
use crate::io::disk::{Disk, DiskFile};
use crate::store::error::StoreError;
use crate::store::format::Family;
use crate::store::id::{
    GroupId, LabelId, NodeId, PropertyId, PropertyKeyId, RecordId, RelationshipId, RelationshipTypeId,
    SchemaId,
};
use crate::store::layout::{DatabaseLayout, RecordStore};
use crate::store::page_cache::PageCache;
use crate::store::record::{
    DynamicFile, Node, Property, PropertyKeyToken, Record, RecordFile, Relationship, RelationshipGroup,
    SchemaRecord, Token,
};

/// Records of a store.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct RecordCount {
    /// Name of its file.
    pub store: &'static str,
    /// Records in use.
    pub in_use: u64,
    /// The highest id in use plus one.
    pub high_id: u64,
    /// Bytes of the file.
    pub bytes: u64,
}

/// All stores with records but the metadata store.
fn stores() -> impl Iterator<Item = RecordStore> {
    RecordStore::ALL.into_iter().filter(|store| *store != RecordStore::Neostore)
}

/// Counts the records of every store, several stores at once. One that can't be read does not hinder the others.
pub(super) fn count(
    cache: &PageCache,
    layout: &DatabaseLayout,
    family: Family,
    threads: usize,
) -> Vec<(RecordStore, Result<RecordCount, StoreError>)> {
    let waiting = Mutex::new(stores());
    let mut counted: Vec<_> = std::thread::scope(|scope| {
        let work = || {
            let mut done = Vec::new();
            loop {
                let next = waiting.lock().unwrap_or_else(PoisonError::into_inner).next();
                let Some(store) = next else { return done };
                done.push((store, count_store(cache, layout, family, store)));
            }
        };
        let workers: Vec<_> = (0..threads.max(1)).map(|_| scope.spawn(work)).collect();
        let join = |worker: std::thread::ScopedJoinHandle<'_, Vec<_>>| {
            worker.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
        };
        workers.into_iter().flat_map(join).collect()
    });
    counted.sort_by_key(|(store, _)| *store);
    counted
}

fn count_store(
    cache: &PageCache,
    layout: &DatabaseLayout,
    family: Family,
    store: RecordStore,
) -> Result<RecordCount, StoreError> {
    let file = read_only().open_to_read(&layout.record_store(store))?;
    let bytes = file.len()?;
    let (mut in_use, mut high_id) = (0, 0);
    let mut visit = |id: u64, used: bool| {
        if used {
            in_use += 1;
            high_id = id + 1;
        }
        Ok(())
    };
    match store {
        RecordStore::Node => scan::<NodeId, Node>(cache, file, family, ANY, &mut visit),
        RecordStore::Relationship => {
            scan::<RelationshipId, Relationship>(cache, file, family, ANY, &mut visit)
        }
        RecordStore::RelationshipGroup => {
            scan::<GroupId, RelationshipGroup>(cache, file, family, BEHIND_HEADER, &mut visit)
        }
        RecordStore::Property => scan::<PropertyId, Property>(cache, file, family, ANY, &mut visit),
        RecordStore::Label => scan::<LabelId, Token>(cache, file, family, ANY, &mut visit),
        RecordStore::RelationshipType => {
            scan::<RelationshipTypeId, Token>(cache, file, family, ANY, &mut visit)
        }
        RecordStore::PropertyKey => {
            scan::<PropertyKeyId, PropertyKeyToken>(cache, file, family, ANY, &mut visit)
        }
        RecordStore::Schema => scan::<SchemaId, SchemaRecord>(cache, file, family, BEHIND_HEADER, &mut visit),
        RecordStore::NodeLabels
        | RecordStore::PropertyKeyName
        | RecordStore::PropertyString
        | RecordStore::PropertyArray
        | RecordStore::RelationshipTypeName
        | RecordStore::LabelName => {
            DynamicFile::open(cache, file, family, u64::MAX, Err)?.scan_use(&mut visit)
        }
        RecordStore::Neostore => Ok(()),
    }?;
    Ok(RecordCount { store: store.file_name(), in_use, high_id, bytes })
}

/// Whatever ids there are.
const ANY: RangeInclusive<u64> = 0..=u64::MAX;
/// The first record is no record.
const BEHIND_HEADER: RangeInclusive<u64> = 1..=u64::MAX;

fn scan<I: RecordId, R: Record>(
    cache: &PageCache,
    file: Box<dyn DiskFile>,
    family: Family,
    ids: RangeInclusive<u64>,
    visit: &mut impl FnMut(u64, bool) -> Result<(), StoreError>,
) -> Result<(), StoreError> {
    RecordFile::<I, R>::open(cache, file, family, ids)?.scan_use(visit)
}
