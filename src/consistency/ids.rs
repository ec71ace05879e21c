//! Id files: where each store ends for the checker.

use std::path::Path;

use super::error::CheckError;
use super::report::{Level, Reporter};
use super::summary::RecordType;
use crate::gbptree::{Tree, TreeError};
use crate::index::id_file::IdLayout;
use crate::io::disk::Disk;
use crate::store::layout::{DatabaseLayout, RecordStore};
use crate::store::page_cache::PageCache;
use crate::store::stores::Stores;

/// Opens an id file. The inner error is one of the file, the outer one of the medium.
pub(super) fn open_id_file(
    disk: &dyn Disk,
    cache: &PageCache,
    path: &Path,
) -> Result<Result<Tree<IdLayout>, TreeError>, CheckError> {
    match disk.open(path).map_err(TreeError::Disk).and_then(|file| Tree::open(cache, file, IdLayout)) {
        Err(error @ (TreeError::Disk(_) | TreeError::Cache(_))) => Err(error.into()),
        opened => Ok(opened),
    }
}

/// High ids from here on, if the file holds not half as many records, are damage: Neo4j fails or goes through records of zeros
/// for hours.
const FAR: u64 = 1 << 31;

/// Per record store the id behind the last that is looked at. Specification: consistency check 2.1.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct HighIds {
    pub nodes: u64,
    pub node_labels: u64,
    pub relationships: u64,
    pub groups: u64,
    pub properties: u64,
    pub strings: u64,
    pub arrays: u64,
    pub label_tokens: u64,
    pub type_tokens: u64,
    pub key_tokens: u64,
    pub schema: u64,
}

impl HighIds {
    /// From the headers of the id files. A file that can't be read is reported; then the last record in use counts.
    pub fn read(
        layout: &DatabaseLayout,
        disk: &dyn Disk,
        cache: &PageCache,
        stores: &Stores,
        report: &Reporter<'_>,
    ) -> Result<Self, CheckError> {
        let open = |store: RecordStore| -> Result<Option<u64>, CheckError> {
            let Some(name) = store.id_file_name() else { return Ok(None) };
            let path = layout.database.join(name);
            let reason = match open_id_file(disk, cache, &path)? {
                Ok(tree) => match tree.header().first_chunk() {
                    Some(high) => {
                        return Ok(Some(u64::try_from(i64::from_be_bytes(*high)).unwrap_or_default()));
                    }
                    None => "its header is too short".to_owned(),
                },
                Err(error) => error.to_string(),
            };
            let message = format!("The id file can't be opened: {reason}.\nId file: {}.", path.display());
            report.lines(Level::Error, RecordType::IdStore, &message);
            Ok(None)
        };
        // Names are read by their references only; their id files must be readable all the same.
        for names in [RecordStore::LabelName, RecordStore::RelationshipTypeName, RecordStore::PropertyKeyName]
        {
            open(names)?;
        }
        let high = |store: RecordStore, found: &dyn Fn() -> Result<u64, CheckError>| match open(store)? {
            Some(high) => {
                let stored = stores.of(store).map_or(0, |slots| slots.file().pages() * slots.per_page());
                if high >= FAR && high > stored.saturating_mul(2) {
                    let name = store.id_file_name().unwrap_or_default();
                    let message = format!(
                        "The high id {high} is far behind the last record of the store.\nId file: {}.",
                        layout.database.join(name).display()
                    );
                    report.lines(Level::Error, RecordType::IdStore, &message);
                }
                Ok(high)
            }
            None => found(),
        };
        let dynamic = |file: &crate::store::record::DynamicFile| {
            let slots = file.slots();
            Ok(slots.file().pages() * slots.per_page())
        };
        Ok(Self {
            nodes: high(RecordStore::Node, &|| Ok(stores.nodes.high_id()?))?,
            node_labels: high(RecordStore::NodeLabels, &|| dynamic(&stores.node_labels))?,
            relationships: high(RecordStore::Relationship, &|| Ok(stores.relationships.high_id()?))?,
            groups: high(RecordStore::RelationshipGroup, &|| Ok(stores.groups.high_id()?))?,
            properties: high(RecordStore::Property, &|| Ok(stores.properties.high_id()?))?,
            strings: high(RecordStore::PropertyString, &|| dynamic(&stores.strings))?,
            arrays: high(RecordStore::PropertyArray, &|| dynamic(&stores.arrays))?,
            label_tokens: high(RecordStore::Label, &|| Ok(stores.label_tokens.high_id()?))?,
            type_tokens: high(RecordStore::RelationshipType, &|| Ok(stores.type_tokens.high_id()?))?,
            key_tokens: high(RecordStore::PropertyKey, &|| Ok(stores.key_tokens.high_id()?))?,
            schema: high(RecordStore::Schema, &|| Ok(stores.schema.high_id()?))?,
        })
    }
}
