//! Id files: where each store ends for the checker.

use super::error::CheckError;
use super::report::{Level, Reporter};
use super::summary::RecordType;
use crate::gbptree::{TreeError, read_header};
use crate::io::disk::Disk;
use crate::store::layout::{DatabaseLayout, RecordStore};
use crate::store::page_cache::PageCache;
use crate::store::stores::Stores;

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
        let high = |store: RecordStore, found: &dyn Fn() -> Result<u64, CheckError>| {
            let Some(name) = store.id_file_name() else { return found() };
            let path = layout.database.join(name);
            let header = disk.open(&path).map_err(TreeError::Disk).and_then(|file| read_header(cache, file));
            match header {
                Ok(header) => {
                    if let Some(high) = header.first_chunk() {
                        return Ok(u64::try_from(i64::from_be_bytes(*high)).unwrap_or_default());
                    }
                    let message =
                        format!("The header of the id file is too short.\nId file: {}.", path.display());
                    report.lines(Level::Error, RecordType::IdStore, &message);
                    found()
                }
                Err(error) => {
                    let message =
                        format!("The id file can't be opened: {error}.\nId file: {}.", path.display());
                    report.lines(Level::Error, RecordType::IdStore, &message);
                    found()
                }
            }
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
