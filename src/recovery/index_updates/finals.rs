//! What the stores say of an entity in the end: for everything that no transaction of the window touched.

use crate::store::error::StoreError;
use crate::store::id::{LabelId, NodeId, PropertyId, RelationshipId};
use crate::store::record::{Node, RecordReader, Relationship};
use crate::store::schema::EntityType;
use crate::store::stores::Stores;
use crate::store::value::Value;
use crate::store::value::block::Block;

/// Reads entities of ascending ids; of one at a time tokens and properties, each when it is first asked for.
#[derive(Debug)]
pub(super) struct Finals<'a> {
    stores: &'a Stores,
    nodes: RecordReader<'a, NodeId, Node>,
    relationships: RecordReader<'a, RelationshipId, Relationship>,
    entity: (EntityType, u64),
    record: Option<Record>,
    /// The labels or the type, when the record was read.
    tokens: Vec<u32>,
    properties: Vec<Property>,
    properties_read: bool,
    buffer: Vec<u8>,
    labels: Vec<LabelId>,
}

/// What the record of an entity says.
#[derive(Clone, Copy, Debug)]
struct Record {
    exists: bool,
    property: Option<PropertyId>,
}

/// A property that was not decoded yet.
#[derive(Debug)]
struct Property {
    key: u32,
    record: PropertyId,
    words: [u64; 4],
    used: usize,
}

impl<'a> Finals<'a> {
    pub(super) fn new(stores: &'a Stores) -> Self {
        Self {
            stores,
            nodes: stores.nodes.reader(),
            relationships: stores.relationships.reader(),
            entity: (EntityType::Node, 0),
            record: None,
            tokens: Vec::new(),
            properties: Vec::new(),
            properties_read: false,
            buffer: Vec::new(),
            labels: Vec::new(),
        }
    }

    /// Turns to another entity.
    pub(super) fn turn_to(&mut self, entity: EntityType, id: u64) {
        self.entity = (entity, id);
        self.record = None;
        self.tokens.clear();
        self.properties.clear();
        self.properties_read = false;
    }

    /// Turns to another entity whose record is at hand, for its properties.
    pub(super) fn turn_to_record(&mut self, entity: EntityType, id: u64, property: Option<PropertyId>) {
        self.turn_to(entity, id);
        self.record = Some(Record { exists: true, property });
    }

    fn record(&mut self) -> Result<Record, StoreError> {
        if let Some(record) = self.record {
            return Ok(record);
        }
        let record = self.read()?;
        self.record = Some(record);
        Ok(record)
    }

    fn read(&mut self) -> Result<Record, StoreError> {
        let (kind, id) = self.entity;
        let property = match kind {
            EntityType::Node => self.nodes.get(NodeId(id))?.map(|node| {
                self.stores.labels(NodeId(id), node.labels, &mut self.buffer, &mut self.labels)?;
                self.tokens.extend(self.labels.iter().map(|label| label.0));
                Ok::<_, StoreError>(node.property)
            }),
            EntityType::Relationship => self.relationships.get(RelationshipId(id))?.map(|relationship| {
                self.tokens.push(relationship.type_id.0);
                Ok(relationship.property)
            }),
        };
        let property = property.transpose()?;
        Ok(Record { exists: property.is_some(), property: property.flatten() })
    }

    /// Whether the entity exists.
    pub(super) fn exists(&mut self) -> Result<bool, StoreError> {
        Ok(self.record()?.exists)
    }

    /// Its labels or its type; nothing if it does not exist.
    pub(super) fn tokens(&mut self) -> Result<&[u32], StoreError> {
        self.record()?;
        Ok(&self.tokens)
    }

    /// One of its properties.
    pub(super) fn value(&mut self, key: u32) -> Result<Option<Value>, StoreError> {
        if !self.properties_read {
            self.read_properties()?;
            self.properties_read = true;
        }
        let found = self.properties.iter().find(|property| property.key == key);
        let Some(property) = found else { return Ok(None) };
        let words = property.words.get(..property.used).unwrap_or_default();
        let Some(split) = Block::split_first(words) else { return Ok(None) };
        let malformed = |malformed| self.stores.properties.slots().malformed(property.record.0, malformed);
        let (block, _) = split.map_err(malformed)?;
        self.stores.value(property.record, &block, &mut self.buffer).map(Some)
    }

    fn read_properties(&mut self) -> Result<(), StoreError> {
        let first = self.record()?.property;
        for link in self.stores.property_chain(first) {
            let (id, record) = link?;
            for block in record.blocks() {
                let block = block.map_err(|error| self.stores.properties.slots().malformed(id.0, error))?;
                let mut words = [0; 4];
                words.iter_mut().zip(block.words).for_each(|(to, from)| *to = *from);
                let (key, used) = (block.key.0, block.words.len());
                self.properties.push(Property { key, record: id, words, used });
            }
        }
        Ok(())
    }
}
