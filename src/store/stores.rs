//! The record stores of a database directory.

use super::error::{Malformed, StoreError};
use super::format::Family;
use super::id::{
    GroupId, LabelId, NodeId, PropertyId, PropertyKeyId, RelationshipId, RelationshipTypeId, SchemaId,
};
use super::labels::{LabelField, Labels, decode_dynamic};
use super::layout::{DatabaseLayout, RecordStore};
use super::page_cache::{PageCache, PageCacheError};
use super::record::{
    CycleGuard, DynamicFile, Node, Property, PropertyKeyToken, RecordFile, RecordReader, Relationship,
    RelationshipGroup, SchemaRecord, Slots, Token,
};
use super::value::block::{Block, Content};
use super::value::{Value, array};
use crate::io::disk::Disk;

/// All record stores of a database but the metadata store.
#[derive(Debug)]
pub struct Stores {
    /// Nodes.
    pub nodes: RecordFile<NodeId, Node>,
    /// Labels of nodes that have too many for their records.
    pub node_labels: DynamicFile,
    /// Relationships.
    pub relationships: RecordFile<RelationshipId, Relationship>,
    /// Relationship groups of dense nodes.
    pub groups: RecordFile<GroupId, RelationshipGroup>,
    /// Properties of nodes, relationships and schema rules.
    pub properties: RecordFile<PropertyId, Property>,
    /// Texts that are too long for property records.
    pub strings: DynamicFile,
    /// Arrays that are too long for property records.
    pub arrays: DynamicFile,
    /// Labels.
    pub label_tokens: RecordFile<LabelId, Token>,
    /// Names of labels.
    pub label_names: DynamicFile,
    /// Relationship types.
    pub type_tokens: RecordFile<RelationshipTypeId, Token>,
    /// Names of relationship types.
    pub type_names: DynamicFile,
    /// Property keys.
    pub key_tokens: RecordFile<PropertyKeyId, PropertyKeyToken>,
    /// Names of property keys.
    pub key_names: DynamicFile,
    /// Schema rules.
    pub schema: RecordFile<SchemaId, SchemaRecord>,
}

/// Greatest ids. Specification: store format 4, 5.
struct MaxIds {
    entity: u64,
    property: u64,
    dynamic: u64,
    relationship_type: u64,
}

impl MaxIds {
    fn of(family: Family) -> Self {
        match family {
            Family::Standard | Family::Aligned => Self {
                entity: (1 << 35) - 1,
                property: (1 << 36) - 1,
                dynamic: (1 << 36) - 1,
                relationship_type: (1 << 16) - 1,
            },
            Family::HighLimit => Self {
                entity: (1 << 50) - 1,
                property: (1 << 50) - 1,
                dynamic: (1 << 50) - 1,
                relationship_type: (1 << 24) - 1,
            },
        }
    }
}

const MAX_PROPERTY_KEY: u64 = (1 << 24) - 1;
const MAX_LABEL: u64 = (1 << 32) - 1;
const MAX_RULE: u64 = (1 << 32) - 1;

impl Stores {
    /// Opens the stores of a database, whose pages share the cache.
    pub fn open(
        cache: &PageCache,
        disk: &dyn Disk,
        layout: &DatabaseLayout,
        family: Family,
    ) -> Result<Self, StoreError> {
        Self::open_damaged(cache, disk, layout, family, &mut |_, error| Err(error))
    }

    /// As [`Self::open`]; `unknown` gives the size of the records of a store of dynamic records whose header is damaged.
    pub fn open_damaged(
        cache: &PageCache,
        disk: &dyn Disk,
        layout: &DatabaseLayout,
        family: Family,
        unknown: &mut dyn FnMut(RecordStore, StoreError) -> Result<usize, StoreError>,
    ) -> Result<Self, StoreError> {
        let max = MaxIds::of(family);
        let file = |store| disk.open(&layout.record_store(store));
        let mut dynamic = |store| {
            DynamicFile::open(cache, file(store)?, family, max.dynamic, |error| unknown(store, error))
        };
        Ok(Self {
            nodes: RecordFile::open(cache, file(RecordStore::Node)?, family, 0..=max.entity)?,
            node_labels: dynamic(RecordStore::NodeLabels)?,
            relationships: RecordFile::open(cache, file(RecordStore::Relationship)?, family, 0..=max.entity)?,
            // Record 0 holds the threshold of dense nodes.
            groups: RecordFile::open(cache, file(RecordStore::RelationshipGroup)?, family, 1..=max.entity)?,
            properties: RecordFile::open(cache, file(RecordStore::Property)?, family, 0..=max.property)?,
            strings: dynamic(RecordStore::PropertyString)?,
            arrays: dynamic(RecordStore::PropertyArray)?,
            label_tokens: RecordFile::open(cache, file(RecordStore::Label)?, family, 0..=MAX_LABEL)?,
            label_names: dynamic(RecordStore::LabelName)?,
            type_tokens: RecordFile::open(
                cache,
                file(RecordStore::RelationshipType)?,
                family,
                0..=max.relationship_type,
            )?,
            type_names: dynamic(RecordStore::RelationshipTypeName)?,
            key_tokens: RecordFile::open(
                cache,
                file(RecordStore::PropertyKey)?,
                family,
                0..=MAX_PROPERTY_KEY,
            )?,
            key_names: dynamic(RecordStore::PropertyKeyName)?,
            schema: RecordFile::open(cache, file(RecordStore::Schema)?, family, 1..=MAX_RULE)?,
        })
    }

    /// The slots of each store.
    pub fn slots(&self) -> [&Slots; 14] {
        [
            self.nodes.slots(),
            self.node_labels.slots(),
            self.relationships.slots(),
            self.groups.slots(),
            self.properties.slots(),
            self.strings.slots(),
            self.arrays.slots(),
            self.label_tokens.slots(),
            self.label_names.slots(),
            self.type_tokens.slots(),
            self.type_names.slots(),
            self.key_tokens.slots(),
            self.key_names.slots(),
            self.schema.slots(),
        ]
    }

    /// The slots of a store; `None`: the metadata store has none.
    pub fn of(&self, store: RecordStore) -> Option<&Slots> {
        Some(match store {
            RecordStore::NodeLabels => self.node_labels.slots(),
            RecordStore::Node => self.nodes.slots(),
            RecordStore::PropertyKeyName => self.key_names.slots(),
            RecordStore::PropertyKey => self.key_tokens.slots(),
            RecordStore::PropertyString => self.strings.slots(),
            RecordStore::PropertyArray => self.arrays.slots(),
            RecordStore::Property => self.properties.slots(),
            RecordStore::Relationship => self.relationships.slots(),
            RecordStore::RelationshipTypeName => self.type_names.slots(),
            RecordStore::RelationshipType => self.type_tokens.slots(),
            RecordStore::LabelName => self.label_names.slots(),
            RecordStore::Label => self.label_tokens.slots(),
            RecordStore::Schema => self.schema.slots(),
            RecordStore::RelationshipGroup => self.groups.slots(),
            RecordStore::Neostore => return None,
        })
    }

    /// Writes all changed pages and forces the files.
    pub fn sync(&self) -> Result<(), PageCacheError> {
        self.slots().into_iter().try_for_each(|slots| slots.file().sync())
    }

    /// The labels that a node's label field tells of, ascending and each once. They replace what is in `labels`;
    /// `buffer` is for the bytes of long lists, its content is lost.
    pub fn labels(
        &self,
        id: NodeId,
        field: LabelField,
        buffer: &mut Vec<u8>,
        labels: &mut Vec<LabelId>,
    ) -> Result<(), StoreError> {
        labels.clear();
        match field.labels() {
            Labels::Inline(inline) => {
                let malformed = |malformed| self.nodes.slots().malformed(id.0, malformed);
                for label in inline {
                    labels.push(label.map_err(malformed)?);
                }
            }
            Labels::Dynamic(first) => {
                buffer.clear();
                self.node_labels.read_chain(first, buffer)?;
                let malformed = |malformed| self.node_labels.slots().malformed(first.0, malformed);
                let (_, dynamic) = decode_dynamic(buffer).map_err(malformed)?;
                for label in dynamic {
                    labels.push(label.map_err(malformed)?);
                }
            }
        }
        // In a sound store they are sorted already, which costs one look at each.
        labels.sort_unstable();
        labels.dedup();
        Ok(())
    }

    /// The property records of a chain, one after the other.
    pub fn property_chain(&self, first: Option<PropertyId>) -> PropertyChain<'_> {
        PropertyChain {
            stores: self,
            reader: self.properties.reader(),
            next: first,
            guard: CycleGuard::default(),
        }
    }

    /// The value of a property of record `id`. `buffer` is for the bytes of long values; its content is lost.
    pub fn value(
        &self,
        id: PropertyId,
        block: &Block<'_>,
        buffer: &mut Vec<u8>,
    ) -> Result<Value, StoreError> {
        let malformed = |malformed| self.properties.slots().malformed(id.0, malformed);
        match block.content().map_err(malformed)? {
            Content::Value(value) => Ok(value),
            Content::String(first) => {
                buffer.clear();
                self.strings.read_chain(first, buffer)?;
                Ok(Value::String(String::from_utf8_lossy(buffer).into_owned()))
            }
            Content::Array(first) => {
                buffer.clear();
                self.arrays.read_chain(first, buffer)?;
                let malformed = |malformed| self.arrays.slots().malformed(first.0, malformed);
                array::decode(buffer).map(Value::Array).map_err(malformed)
            }
        }
    }
}

/// Walks a chain of property records. A record that is not in use, and a chain that goes round, are errors.
#[derive(Debug)]
pub struct PropertyChain<'a> {
    stores: &'a Stores,
    reader: RecordReader<'a, PropertyId, Property>,
    next: Option<PropertyId>,
    guard: CycleGuard,
}

impl PropertyChain<'_> {
    fn step(&mut self, id: PropertyId) -> Result<Property, StoreError> {
        let malformed = |malformed| self.stores.properties.slots().malformed(id.0, malformed);
        if self.guard.closes(id.0) {
            return Err(malformed(Malformed::ChainCycle));
        }
        let record = self.reader.get(id)?.ok_or_else(|| malformed(Malformed::NotInUse))?;
        self.next = record.next;
        Ok(record)
    }
}

impl Iterator for PropertyChain<'_> {
    type Item = Result<(PropertyId, Property), StoreError>;

    fn next(&mut self) -> Option<Self::Item> {
        let id = self.next.take()?;
        Some(self.step(id).map(|record| (id, record)))
    }
}
