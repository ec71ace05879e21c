//! A graph in memory that changes in transactions and tells them as commands, the way a server does.

#![expect(clippy::cast_possible_truncation, reason = "tests know how small their numbers are")]

use std::collections::{BTreeMap, BTreeSet};

use crate::store::id::{DynamicId, NodeId, PropertyId, RelationshipId, RelationshipTypeId, TransactionId};
use crate::store::labels::LabelField;
use crate::store::record::{ChainLink, Dynamic, Node, NodeChain, Previous, Property, Relationship, Units};
use crate::store::schema::EntityType;
use crate::store::stores::Stores;
use crate::store::value::{Array, Value};
use crate::txlog::KernelVersion;
use crate::txlog::command::RecordFlags;
use crate::txlog::command::dynamic::DynamicRecord;
use crate::txlog::entry::{Commit, EntryHead, EntryType, Start};

/// Bytes of data in a record of the dynamic stores: so few that most values need several records.
pub const DYNAMIC_DATA: usize = 16;

pub type EntityKey = (EntityType, u64);

/// The whole graph.
#[derive(Clone, Debug, Default)]
pub struct Graph {
    pub nodes: BTreeMap<u64, Entity>,
    pub relationships: BTreeMap<u64, Entity>,
    records: BTreeMap<u64, Record>,
    record_ids: Ids,
    strings: Ids,
    arrays: Ids,
    labels: Ids,
}

/// A node or relationship.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Entity {
    /// Labels, or the type.
    pub tokens: BTreeSet<u32>,
    pub properties: BTreeMap<u32, Value>,
    /// Label records, if there are more labels than fit.
    chain: Vec<(u64, Vec<u8>)>,
    /// Property records.
    records: Vec<u64>,
}

#[derive(Clone, Debug, PartialEq)]
struct Record {
    owner: EntityKey,
    blocks: Vec<Block>,
}

/// A property as it lies in a record.
#[derive(Clone, Debug, PartialEq)]
struct Block {
    key: u32,
    words: Vec<u64>,
    chain: Vec<(u64, Vec<u8>)>,
}

impl Block {
    fn is_array(&self) -> bool {
        self.words[0] >> 24 & 15 == 10
    }
}

/// Ids of a store: those that were freed come first, and not before the transaction is over.
#[derive(Clone, Debug)]
struct Ids {
    next: u64,
    free: BTreeSet<u64>,
    freed: Vec<u64>,
}

impl Default for Ids {
    fn default() -> Self {
        Self { next: 1, free: BTreeSet::new(), freed: Vec::new() }
    }
}

impl Ids {
    fn take(&mut self) -> u64 {
        self.free.pop_first().unwrap_or_else(|| {
            self.next += 1;
            self.next - 1
        })
    }

    fn commit(&mut self) {
        self.free.extend(self.freed.drain(..));
    }

    /// A chain that holds the bytes.
    fn chain(&mut self, bytes: &[u8]) -> Vec<(u64, Vec<u8>)> {
        let parts = bytes.chunks(DYNAMIC_DATA).map(<[u8]>::to_vec).collect::<Vec<_>>();
        let parts = if parts.is_empty() { vec![Vec::new()] } else { parts };
        parts.into_iter().map(|part| (self.take(), part)).collect()
    }
}

/// What a transaction leaves out of its commands.
#[derive(Clone, Copy, Debug, Default)]
pub struct Omit {
    /// Records of values, on one side or the other: every nth.
    pub values: usize,
    /// The label records of both sides.
    pub labels: bool,
}

/// A transaction in the making.
pub struct Transaction<'g> {
    pub graph: &'g mut Graph,
    before: Graph,
    records: BTreeSet<u64>,
    entities: BTreeSet<(u8, u64)>,
    pub omit: Omit,
    /// Commands that stand on their own, such as those of schema rules.
    pub others: Vec<Vec<u8>>,
}

impl Graph {
    pub fn entities(&self, kind: EntityType) -> &BTreeMap<u64, Entity> {
        match kind {
            EntityType::Node => &self.nodes,
            EntityType::Relationship => &self.relationships,
        }
    }

    fn entity(&mut self, (kind, id): EntityKey) -> &mut Entity {
        let entities = match kind {
            EntityType::Node => &mut self.nodes,
            EntityType::Relationship => &mut self.relationships,
        };
        entities.get_mut(&id).unwrap()
    }

    pub fn begin(&mut self) -> Transaction<'_> {
        let before = self.clone();
        let (records, entities) = (BTreeSet::new(), BTreeSet::new());
        Transaction { graph: self, before, records, entities, omit: Omit::default(), others: Vec::new() }
    }

    /// Writes all records.
    pub fn write(&self, stores: &Stores) {
        let chains = |file: &crate::store::record::DynamicFile, chain: &[(u64, Vec<u8>)]| {
            for (place, (id, data)) in chain.iter().enumerate() {
                let next = chain.get(place + 1).map(|(id, _)| DynamicId(*id));
                let record = Dynamic { is_first: place == 0, next, data };
                file.writer().put(DynamicId(*id), &record).unwrap();
            }
        };
        for (id, node) in &self.nodes {
            chains(&stores.node_labels, &node.chain);
            let property = node.records.first().map(|id| PropertyId(*id));
            let record =
                Node { chain: NodeChain::Sparse(None), property, labels: LabelField(label_field(node)) };
            stores.nodes.writer().put(NodeId(*id), &record, Units::default()).unwrap();
        }
        for (id, relationship) in &self.relationships {
            let link = ChainLink { previous: Previous::Degree(Some(1)), next: None };
            let record = Relationship {
                start_node: Some(NodeId(0)),
                end_node: Some(NodeId(0)),
                type_id: RelationshipTypeId(*relationship.tokens.first().unwrap()),
                start_link: link,
                end_link: link,
                property: relationship.records.first().map(|id| PropertyId(*id)),
            };
            stores.relationships.writer().put(RelationshipId(*id), &record, Units::default()).unwrap();
        }
        for entity in self.nodes.values().chain(self.relationships.values()) {
            for (place, id) in entity.records.iter().enumerate() {
                let neighbour = |place: Option<usize>| Some(PropertyId(*entity.records.get(place?)?));
                let blocks = &self.records[id].blocks;
                let words = blocks.iter().flat_map(|block| block.words.clone());
                let record =
                    Property::new(neighbour(place.checked_sub(1)), neighbour(Some(place + 1)), words)
                        .unwrap();
                stores.properties.writer().put(PropertyId(*id), &record, Units::default()).unwrap();
                for block in blocks {
                    chains(if block.is_array() { &stores.arrays } else { &stores.strings }, &block.chain);
                }
            }
        }
    }
}

impl Transaction<'_> {
    fn touch(&mut self, (kind, id): EntityKey) {
        self.entities.insert((u8::from(kind == EntityType::Relationship), id));
    }

    pub fn create(&mut self, key: EntityKey, tokens: &[u32]) {
        self.touch(key);
        let entities = match key.0 {
            EntityType::Node => &mut self.graph.nodes,
            EntityType::Relationship => &mut self.graph.relationships,
        };
        assert!(entities.insert(key.1, Entity::default()).is_none());
        self.set_tokens(key, tokens);
    }

    pub fn delete(&mut self, key: EntityKey) {
        self.touch(key);
        let keys: Vec<u32> = self.graph.entity(key).properties.keys().copied().collect();
        for property in keys {
            self.unset(key, property);
        }
        self.set_tokens(key, &[]);
        match key.0 {
            EntityType::Node => self.graph.nodes.remove(&key.1),
            EntityType::Relationship => self.graph.relationships.remove(&key.1),
        };
    }

    /// All labels, or the type, anew.
    pub fn set_tokens(&mut self, key: EntityKey, tokens: &[u32]) {
        self.touch(key);
        let old = std::mem::take(&mut self.graph.entity(key).chain);
        self.graph.labels.freed.extend(old.iter().map(|(id, _)| *id));
        let tokens: BTreeSet<u32> = tokens.iter().copied().collect();
        let chain = if key.0 == EntityType::Node && tokens.len() > 2 {
            let longs = std::iter::once(key.1).chain(tokens.iter().map(|token| u64::from(*token)));
            let bytes: Vec<u8> = [6, 8, 64].into_iter().chain(longs.flat_map(u64::to_le_bytes)).collect();
            // Label records may be used again at once.
            let mut reused = old.iter().map(|(id, _)| *id);
            let labels = &mut self.graph.labels;
            let chain: Vec<_> = bytes
                .chunks(DYNAMIC_DATA)
                .map(|part| (reused.next().unwrap_or_else(|| labels.take()), part.to_vec()))
                .collect();
            labels.freed.retain(|id| !chain.iter().any(|(used, _)| used == id));
            chain
        } else {
            Vec::new()
        };
        let entity = self.graph.entity(key);
        entity.chain = chain;
        entity.tokens = tokens;
    }

    pub fn unset(&mut self, key: EntityKey, property: u32) {
        let graph = &mut *self.graph;
        let entity = graph.entity(key);
        entity.properties.remove(&property);
        let ids = entity.records.clone();
        for id in ids {
            let record = graph.records.get_mut(&id).unwrap();
            let Some(at) = record.blocks.iter().position(|block| block.key == property) else { continue };
            let block = record.blocks.swap_remove(at);
            let freed = block.chain.iter().map(|(id, _)| *id);
            if block.is_array() {
                graph.arrays.freed.extend(freed);
            } else {
                graph.strings.freed.extend(freed);
            }
            self.records.insert(id);
            if record.blocks.is_empty() {
                graph.records.remove(&id);
                graph.record_ids.freed.push(id);
                graph.entity(key).records.retain(|other| *other != id);
                // The node's first property may be another one now.
                self.touch(key);
            }
            return;
        }
    }

    pub fn set(&mut self, key: EntityKey, property: u32, value: Value) {
        self.unset(key, property);
        let graph = &mut *self.graph;
        let (words, bytes) = encode(property, &value);
        let chain = match (&bytes, &value) {
            (None, _) => Vec::new(),
            (Some(bytes), Value::Array(_)) => graph.arrays.chain(bytes),
            (Some(bytes), _) => graph.strings.chain(bytes),
        };
        let mut words = words;
        if let Some((first, _)) = chain.first() {
            words[0] |= first << 28;
        }
        let block = Block { key: property, words, chain };
        let size = |blocks: &[Block]| blocks.iter().map(|block| block.words.len()).sum::<usize>();
        let room = graph
            .entity(key)
            .records
            .clone()
            .into_iter()
            .find(|id| size(&graph.records[id].blocks) + block.words.len() <= 4);
        let id = room.unwrap_or_else(|| {
            let id = graph.record_ids.take();
            graph.records.insert(id, Record { owner: key, blocks: Vec::new() });
            graph.entity(key).records.insert(0, id);
            id
        });
        if room.is_none() {
            self.touch(key);
        }
        self.records.insert(id);
        self.graph.records.get_mut(&id).unwrap().blocks.push(block);
        self.graph.entity(key).properties.insert(property, value);
    }

    /// Ends the transaction: its bytes as they travel.
    pub fn commit(self, id: i64) -> Vec<u8> {
        let Self { graph, before, records, entities, omit, others } = self;
        graph.record_ids.commit();
        graph.strings.commit();
        graph.arrays.commit();
        graph.labels.commit();
        let (records, deleted): (Vec<u64>, Vec<u64>) =
            records.into_iter().partition(|id| graph.records.contains_key(id));
        let mut commands = Vec::new();
        for id in records {
            commands.extend(property_command(id, &before, graph, omit));
        }
        for (kind, id) in entities {
            let images = |graph: &Graph| match kind {
                0 => graph.nodes.get(&id).cloned(),
                _ => graph.relationships.get(&id).cloned(),
            };
            let (before, after) = (images(&before), images(graph));
            if before.is_some() || after.is_some() {
                commands.push(match kind {
                    0 => node_command(id, before.as_ref(), after.as_ref(), omit),
                    _ => relationship_command(id, before.as_ref(), after.as_ref()),
                });
            }
        }
        commands.extend(others);
        for id in deleted {
            commands.extend(property_command(id, &before, graph, omit));
        }
        transaction(id, &commands)
    }
}

/// A transaction of these commands.
pub fn transaction(id: i64, commands: &[Vec<u8>]) -> Vec<u8> {
    let version = KernelVersion::V4_4;
    let mut bytes = Vec::new();
    let latest_committed = TransactionId(id - 1);
    Start { time: 1, latest_committed, previous_checksum: 0, additional_header: &[] }
        .encode(version, &mut bytes);
    for command in commands {
        EntryHead { version, kind: EntryType::Command }.encode(&mut bytes);
        bytes.extend_from_slice(command);
    }
    Commit { id: TransactionId(id), time: 2 }.encode(version, &mut bytes);
    bytes
}

fn label_field(node: &Entity) -> u64 {
    if let Some((first, _)) = node.chain.first() {
        return 1 << 39 | first;
    }
    let count = node.tokens.len() as u64;
    let width = 36_u64.checked_div(count).unwrap_or_default();
    let ids = node.tokens.iter().enumerate().map(|(place, id)| u64::from(*id) << (place as u64 * width));
    count << 36 | ids.fold(0, |field, id| field | id)
}

/// Words, with a pointer of zero, and what the pointer is to lead to.
fn encode(key: u32, value: &Value) -> (Vec<u64>, Option<Vec<u8>>) {
    let first = |kind: u64, payload: u64| u64::from(key) | kind << 24 | payload << 28;
    match value {
        Value::Bool(value) => (vec![first(1, u64::from(*value))], None),
        Value::Byte(value) => (vec![first(2, i64::from(*value) as u64)], None),
        Value::Short(value) => (vec![first(3, i64::from(*value) as u64)], None),
        Value::Char(value) => (vec![first(4, u64::from(*value))], None),
        Value::Int(value) => (vec![first(5, i64::from(*value) as u64)], None),
        Value::Long(value) => (vec![first(6, 0), *value as u64], None),
        Value::Double(value) => (vec![first(8, 0), value.to_bits()], None),
        Value::String(text) => (vec![first(9, 0)], Some(text.as_bytes().to_vec())),
        Value::Array(Array::Long(longs)) => {
            let bytes = [6, 8, 64].into_iter().chain(longs.iter().flat_map(|long| long.to_le_bytes()));
            (vec![first(10, 0)], Some(bytes.collect()))
        }
        Value::Array(Array::String(texts)) => {
            let mut bytes = vec![9];
            bytes.extend((texts.len() as u32).to_be_bytes());
            for text in texts {
                bytes.extend((text.len() as u32).to_be_bytes());
                bytes.extend(text.as_bytes());
            }
            (vec![first(10, 0)], Some(bytes))
        }
        Value::Point(point) => {
            let (table, code) = point.crs().table_and_code();
            let dimension = point.coordinates().len() as u64;
            let payload = 1 | dimension << 4 | table << 8 | code << 12;
            let coordinates = point.coordinates().iter().map(|coordinate| coordinate.to_bits());
            (std::iter::once(first(13, payload)).chain(coordinates).collect(), None)
        }
        other => panic!("no test stores {other:?}"),
    }
}

fn dynamic_record(out: &mut Vec<u8>, id: u64, kind: i32, data: Option<(&[u8], Option<u64>, bool)>) {
    let (id, flags, next, data) = match data {
        Some((data, next, first)) => (id, if first { 0x23 } else { 0x03 }, next.map(DynamicId), data),
        None => (id, 0, None, &[][..]),
    };
    DynamicRecord { id: DynamicId(id), kind, flags: RecordFlags(flags), next, data }.encode(out);
}

fn chain_records(out: &mut Vec<u8>, chain: &[(u64, Vec<u8>)], kind: i32) {
    for (place, (id, data)) in chain.iter().enumerate() {
        let next = chain.get(place + 1).map(|(id, _)| *id);
        dynamic_record(out, *id, kind, Some((data, next, place == 0)));
    }
}

/// The command of a property record; none if it came and went within the transaction.
fn property_command(id: u64, before: &Graph, after: &Graph, omit: Omit) -> Option<Vec<u8>> {
    let (before, after) = (before.records.get(&id), after.records.get(&id));
    let owner = after.or(before)?.owner;
    let mut out = vec![2];
    out.extend(id.to_be_bytes());
    for (image, other, is_after) in [(before, after, false), (after, before, true)] {
        // The record may have been another entity's before: the image does not tell.
        let is_relationship = owner.0 == EntityType::Relationship;
        out.push(u8::from(image.is_some()) | u8::from(is_relationship) << 1);
        out.extend((-1_i64).to_be_bytes());
        out.extend((-1_i64).to_be_bytes());
        out.extend((owner.1 as i64).to_be_bytes());
        let blocks = image.map_or(&[][..], |record| &record.blocks);
        out.push(blocks.len() as u8);
        for (place, block) in blocks.iter().enumerate() {
            out.push(block.words.len() as u8 * 8);
            block.words.iter().for_each(|word| out.extend(word.to_be_bytes()));
            let unchanged = other.is_some_and(|other| other.blocks.contains(block));
            let omitted =
                omit.values > 0 && (id as usize + place + usize::from(is_after)).is_multiple_of(omit.values);
            if unchanged || omitted {
                out.extend(0_u32.to_be_bytes());
            } else {
                out.extend((block.chain.len() as u32).to_be_bytes());
                chain_records(&mut out, &block.chain, if block.is_array() { 10 } else { 9 });
            }
        }
        let mut freed = Vec::new();
        if is_after {
            for block in other.map_or(&[][..], |record| &record.blocks) {
                let kept = image.is_some_and(|record| record.blocks.contains(block));
                let kind = if block.is_array() { 10 } else { 9 };
                freed.extend(block.chain.iter().filter(|_| !kept).map(|(id, _)| (*id, kind)));
            }
        }
        out.extend((freed.len() as u32).to_be_bytes());
        for (id, kind) in freed {
            dynamic_record(&mut out, id, kind, None);
        }
    }
    Some(out)
}

fn node_command(id: u64, before: Option<&Entity>, after: Option<&Entity>, omit: Omit) -> Vec<u8> {
    let mut out = vec![1];
    out.extend(id.to_be_bytes());
    let same_labels = before.zip(after).is_some_and(|(before, after)| before.chain == after.chain);
    // A chain that stays where it is would look unchanged.
    let same_place = before.zip(after).is_some_and(|(a, b)| label_field(a) == label_field(b));
    for (image, other, is_after) in [(before, after, false), (after, before, true)] {
        let created = is_after && other.is_none();
        match image {
            None => out.push(if is_after { 0 } else { 2 }),
            Some(node) => {
                out.push(1 | u8::from(created) << 1);
                out.push(0);
                out.extend((-1_i64).to_be_bytes());
                out.extend(node.records.first().map_or(-1, |id| *id as i64).to_be_bytes());
                out.extend(label_field(node).to_be_bytes());
            }
        }
        let own: &[(u64, Vec<u8>)] = image.map_or(&[], |node| &node.chain);
        if same_labels || omit.labels && !same_place {
            out.extend(0_u32.to_be_bytes());
            continue;
        }
        let freed: Vec<u64> = if is_after {
            let old: &[(u64, Vec<u8>)] = other.map_or(&[], |node| &node.chain);
            old.iter().map(|(id, _)| *id).filter(|id| !own.iter().any(|(used, _)| used == id)).collect()
        } else {
            Vec::new()
        };
        out.extend(((own.len() + freed.len()) as u32).to_be_bytes());
        chain_records(&mut out, own, 10);
        for id in freed {
            dynamic_record(&mut out, id, 10, None);
        }
    }
    out
}

fn relationship_command(id: u64, before: Option<&Entity>, after: Option<&Entity>) -> Vec<u8> {
    let mut out = vec![3];
    out.extend(id.to_be_bytes());
    for (image, other, is_after) in [(before, after, false), (after, before, true)] {
        let Some(relationship) = image else {
            out.push(if is_after { 0 } else { 2 });
            out.extend((-1_i32).to_be_bytes());
            continue;
        };
        out.push(1 | u8::from(is_after && other.is_none()) << 1);
        out.extend(0_i64.to_be_bytes());
        out.extend(0_i64.to_be_bytes());
        out.extend((*relationship.tokens.first().unwrap()).to_be_bytes());
        for _ in 0..4 {
            out.extend((-1_i64).to_be_bytes());
        }
        out.extend(relationship.records.first().map_or(-1, |id| *id as i64).to_be_bytes());
        out.push(3);
    }
    out
}

/// The command that creates (`true`) or drops a rule. `map`: texts of the rule by key.
pub fn schema_command(id: u64, created: bool, map: &[(&str, &str)]) -> Vec<u8> {
    let mut out = vec![18];
    out.extend(id.to_be_bytes());
    out.push(u8::from(!map.is_empty()));
    let in_use = |flags: u8| [&[flags, 0][..], &7_i64.to_be_bytes()].concat();
    if created {
        out.push(2);
        out.extend(in_use(3));
    } else {
        out.extend(in_use(1));
        out.push(0);
    }
    if !map.is_empty() {
        out.extend((map.len() as u32).to_be_bytes());
        for (key, value) in map {
            let key = format!("__org.neo4j.SchemaRule.{key}");
            out.extend((key.len() as u32).to_be_bytes());
            out.extend(key.as_bytes());
            out.push(9);
            out.extend((value.len() as u32).to_be_bytes());
            out.extend(value.as_bytes());
        }
    }
    out
}
