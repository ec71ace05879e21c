//! Writes of record slots, collected from the log and brought into the order of the stores.
//!
//! A slot is a store and an id. Each record that a command writes is a slot of its own: the record itself, every dynamic
//! record that comes with it, every second unit. Specification: transaction log 8.4, 8.15 rules 1 and 3.
//!
//! | Offset | Size | Field of a collected write                                 |
//! |-------:|-----:|------------------------------------------------------------|
//! |      0 |    1 | store, in the order of [`RecordStore::ALL`]                |
//! |      1 |    7 | id                                                         |
//! |      8 |    1 | bit 0: a transaction that is taken back; bit 1: not in use |
//! |      9 |    n | bytes that the write puts at the start of the slot         |
//!
//! The first eight bytes are the key. Writes of one slot keep the order of the log.

use std::ops::RangeInclusive;

use crate::io::disk::DiskError;
use crate::io::sort::{ByNumber, Scratch, Sorted, Sorter};
use crate::store::error::StoreError;
use crate::store::id::{DynamicId, RecordId, TransactionId};
use crate::store::labels::LabelField;
use crate::store::layout::RecordStore;
use crate::store::record::{
    ChainLink, Directions, Dynamic, Node, Previous, Property, PropertyKeyToken, Record, RecordFile,
    Relationship, RelationshipGroup, SchemaRecord, Slots, Token, Units,
};
use crate::store::stores::Stores;
use crate::txlog::command::dynamic::{DynamicRecord, DynamicRecords};
use crate::txlog::command::group::GroupImage;
use crate::txlog::command::node::NodeImage;
use crate::txlog::command::property::PropertyImage;
use crate::txlog::command::relationship::{ChainLinks, RelationshipImage};
use crate::txlog::command::schema::SchemaImage;
use crate::txlog::command::token::{TokenImage, TokenKind};
use crate::txlog::command::{Change, Command, RecordFlags};

use super::RecoveryError;

/// Bytes of the key.
const KEY: usize = 8;
/// Bits of an id in the key.
const ID_BITS: u32 = 56;

/// The write belongs to a transaction that is taken back: it is the image before it.
const CUT: u8 = 1;
/// The write leaves the slot not in use.
const DEAD: u8 = 2;

/// Stores whose writes are sorted together and written one after the other, by one thread.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Lane {
    /// Property records.
    Properties,
    /// Long texts and arrays.
    Values,
    /// Relationships.
    Relationships,
    /// Nodes and their labels.
    Nodes,
    /// Everything else: seldom written, groups excepted.
    Others,
}

impl Lane {
    /// What property commands write.
    pub(super) const OF_PROPERTIES: [Self; 2] = [Self::Properties, Self::Values];
    /// What all other commands write.
    pub(super) const OF_OTHERS: [Self; 3] = [Self::Relationships, Self::Nodes, Self::Others];

    fn of(store: RecordStore) -> Self {
        match store {
            RecordStore::Property => Self::Properties,
            RecordStore::PropertyString | RecordStore::PropertyArray => Self::Values,
            RecordStore::Relationship => Self::Relationships,
            RecordStore::Node | RecordStore::NodeLabels => Self::Nodes,
            _ => Self::Others,
        }
    }

    /// The stores of the lane, in the order of their writes.
    pub(super) fn stores(self) -> impl Iterator<Item = RecordStore> {
        RecordStore::ALL.into_iter().filter(move |store| Self::of(*store) == self)
    }

    /// Sixteenths of the memory for all lanes: about what common workloads write.
    fn share(self) -> usize {
        match self {
            Self::Properties => 6,
            Self::Relationships => 4,
            Self::Nodes => 3,
            Self::Values => 2,
            Self::Others => 1,
        }
    }
}

/// Collects the writes of transactions into some of the lanes.
pub(super) struct Collector<'a> {
    stores: &'a Stores,
    /// The ids that records of each store have, in the order of [`RecordStore::ALL`].
    ids: Vec<RangeInclusive<u64>>,
    lanes: Vec<(Lane, Sorter<ByNumber>)>,
    sink: Sink,
    /// For the bytes of dynamic records.
    buffer: Vec<u8>,
}

/// What the writes of one transaction have in common.
struct Sink {
    transaction: TransactionId,
    flags: u8,
}

impl<'a> Collector<'a> {
    /// A collector of writes that go to these lanes. `memory`: bytes for all lanes there are.
    pub(super) fn new(stores: &'a Stores, scratch: &Scratch, memory: usize, lanes: &[Lane]) -> Self {
        let sorter = |lane: &Lane| (*lane, Sorter::new(scratch, memory / 16 * lane.share(), ByNumber));
        let ids =
            RecordStore::ALL.into_iter().map(|store| stores.of(store).map_or(0..=0, Slots::ids)).collect();
        Self {
            stores,
            ids,
            lanes: lanes.iter().map(sorter).collect(),
            sink: Sink { transaction: TransactionId::BASE, flags: 0 },
            buffer: Vec::new(),
        }
    }

    /// Begins a transaction. `replayed`: it counts; otherwise it is taken back.
    pub(super) fn begin(&mut self, transaction: TransactionId, replayed: bool) {
        self.sink = Sink { transaction, flags: if replayed { 0 } else { CUT } };
    }

    /// Takes the writes of a command, which must go to lanes of this collector.
    pub(super) fn command(&mut self, command: &Command<'_>) -> Result<(), RecoveryError> {
        match command {
            Command::Node(command) => self.node(command.id.slot(), &command.change),
            Command::Relationship(command) => self.relationship(command.id.slot(), &command.change),
            Command::Property(command) => self.property(command.id.slot(), &command.change),
            Command::Token(command) => self.token(command.kind, command.id.into(), &command.change),
            Command::Group(command) => self.group(command.id.slot(), &command.change),
            Command::Schema(command) => self.schema(command.id.slot(), &command.change),
            Command::NodeCount(_)
            | Command::RelationshipCount(_)
            | Command::GroupDegree(_)
            | Command::Metadata(_) => Ok(()),
        }
    }

    /// The images that count: those after a transaction that is replayed, those before one that is taken back; and the
    /// other one.
    fn sides<'c, T>(&self, change: &'c Change<T>) -> (&'c T, &'c T) {
        if self.sink.flags & CUT == 0 {
            (&change.after, &change.before)
        } else {
            (&change.before, &change.after)
        }
    }

    fn node(&mut self, id: u64, change: &Change<NodeImage<'_>>) -> Result<(), RecoveryError> {
        let (image, other) = self.sides(change);
        let store = RecordStore::Node;
        self.leave_unit(store, other.secondary_unit, image.secondary_unit, image.flags)?;
        let record = image.flags.in_use().then_some(Node {
            chain: image.chain,
            property: image.property,
            labels: LabelField(image.labels),
        });
        let units = units(image.flags, image.secondary_unit);
        let stores = self.stores;
        self.record(store, &stores.nodes, id, record.as_ref(), units)?;
        self.dynamics(RecordStore::NodeLabels, &image.label_records)
    }

    fn relationship(&mut self, id: u64, change: &Change<RelationshipImage>) -> Result<(), RecoveryError> {
        let (image, other) = self.sides(change);
        let store = RecordStore::Relationship;
        self.leave_unit(store, other.secondary_unit, image.secondary_unit, image.flags)?;
        let record = image.links.map(|links| Relationship {
            start_node: Some(links.first_node),
            end_node: Some(links.second_node),
            // A relationship without a type does not fit into a record, which is told then.
            type_id: image.kind.unwrap_or(crate::store::id::RelationshipTypeId(u32::MAX)),
            start_link: link(links.first_chain),
            end_link: link(links.second_chain),
            property: links.property,
        });
        let units = units(image.flags, image.secondary_unit);
        let stores = self.stores;
        self.record(store, &stores.relationships, id, record.as_ref(), units)
    }

    fn property(&mut self, id: u64, change: &Change<PropertyImage<'_>>) -> Result<(), RecoveryError> {
        let (image, other) = self.sides(change);
        let mut words = [0; 4 * 4];
        let mut used = 0;
        for block in &image.blocks {
            for (place, word) in words.iter_mut().skip(used).zip(block.longs()) {
                *place = *word;
            }
            used += block.longs().len();
            for record in &block.records {
                self.value(&record)?;
            }
        }
        for record in &image.deleted {
            self.value(&record)?;
        }
        let store = RecordStore::Property;
        self.leave_unit(store, other.secondary_unit, image.secondary_unit, image.flags)?;
        let stores = self.stores;
        let record = if image.flags.in_use() {
            let words = words.into_iter().take(used);
            let record = Property::new(image.previous, image.next, words).ok_or_else(|| {
                stores.properties.slots().malformed(id, crate::store::error::Malformed::TooManyWords)
            })?;
            Some(record)
        } else {
            None
        };
        self.record(store, &stores.properties, id, record.as_ref(), units(image.flags, image.secondary_unit))
    }

    /// A record of a long value.
    fn value(&mut self, record: &DynamicRecord<'_>) -> Result<(), RecoveryError> {
        match record.kind {
            DynamicRecord::STRING => self.dynamic(RecordStore::PropertyString, record),
            DynamicRecord::ARRAY => self.dynamic(RecordStore::PropertyArray, record),
            kind => Err(RecoveryError::ValueKind { transaction: self.sink.transaction, kind }),
        }
    }

    fn token(
        &mut self,
        kind: TokenKind,
        id: u64,
        change: &Change<TokenImage<'_>>,
    ) -> Result<(), RecoveryError> {
        let (image, _) = self.sides(change);
        let in_use = image.flags.in_use();
        let record = in_use.then_some(Token { internal: image.flags.is_internal(), name: image.name });
        let stores = self.stores;
        let names = match kind {
            TokenKind::Label => {
                self.record(RecordStore::Label, &stores.label_tokens, id, record.as_ref(), Units::default())?;
                RecordStore::LabelName
            }
            TokenKind::RelationshipType => {
                let store = RecordStore::RelationshipType;
                self.record(store, &stores.type_tokens, id, record.as_ref(), Units::default())?;
                RecordStore::RelationshipTypeName
            }
            TokenKind::PropertyKey => {
                let property_count = image.property_count.cast_unsigned();
                let record = record.map(|token| PropertyKeyToken { token, property_count });
                let store = RecordStore::PropertyKey;
                self.record(store, &stores.key_tokens, id, record.as_ref(), Units::default())?;
                RecordStore::PropertyKeyName
            }
        };
        self.dynamics(names, &image.name_records)
    }

    fn group(&mut self, id: u64, change: &Change<GroupImage>) -> Result<(), RecoveryError> {
        let (image, other) = self.sides(change);
        let store = RecordStore::RelationshipGroup;
        self.leave_unit(store, other.secondary_unit, image.secondary_unit, image.flags)?;
        let record = image.flags.in_use().then_some(RelationshipGroup {
            type_id: image.kind,
            next: image.next,
            first: Directions {
                outgoing: image.first_outgoing,
                incoming: image.first_incoming,
                loops: image.first_loop,
            },
            external_degrees: Directions {
                outgoing: image.has_external_outgoing_degree(),
                incoming: image.has_external_incoming_degree(),
                loops: image.has_external_loop_degree(),
            },
            owner: image.owner,
        });
        let units = units(image.flags, image.secondary_unit);
        let stores = self.stores;
        self.record(store, &stores.groups, id, record.as_ref(), units)
    }

    fn schema(&mut self, id: u64, change: &Change<SchemaImage>) -> Result<(), RecoveryError> {
        let (image, _) = self.sides(change);
        let record = image.flags.in_use().then_some(SchemaRecord { property: image.property });
        let stores = self.stores;
        self.record(RecordStore::Schema, &stores.schema, id, record.as_ref(), Units::default())
    }

    fn record<I: RecordId, R: Record>(
        &mut self,
        store: RecordStore,
        file: &RecordFile<I, R>,
        id: u64,
        record: Option<&R>,
        units: Units,
    ) -> Result<(), RecoveryError> {
        let Some(record) = record else { return self.write(store, id, None) };
        let typed = I::from_slot(id).ok_or_else(|| self.no_id(store, id))?;
        let image = file.image(typed, record, units)?;
        self.write(store, id, Some(image.own.bytes()))?;
        match image.second {
            None => Ok(()),
            Some((second, image)) => self.write(store, second, Some(image.bytes())),
        }
    }

    /// A unit that the record had on the other side and does not go on with.
    fn leave_unit(
        &mut self,
        store: RecordStore,
        other: Option<u64>,
        unit: Option<u64>,
        flags: RecordFlags,
    ) -> Result<(), RecoveryError> {
        let needed = unit.filter(|_| flags.in_use() && flags.requires_secondary_unit());
        for left in [other, unit.filter(|unit| other != Some(*unit))].into_iter().flatten() {
            if needed != Some(left) {
                self.write(store, left, None)?;
            }
        }
        Ok(())
    }

    fn dynamics(&mut self, store: RecordStore, records: &DynamicRecords<'_>) -> Result<(), RecoveryError> {
        records.iter().try_for_each(|record| self.dynamic(store, &record))
    }

    fn dynamic(&mut self, store: RecordStore, record: &DynamicRecord<'_>) -> Result<(), RecoveryError> {
        let DynamicId(id) = record.id;
        if !record.flags.in_use() {
            return self.write(store, id, None);
        }
        let stores = self.stores;
        let file = match store {
            RecordStore::NodeLabels => &stores.node_labels,
            RecordStore::PropertyString => &stores.strings,
            RecordStore::PropertyArray => &stores.arrays,
            RecordStore::LabelName => &stores.label_names,
            RecordStore::RelationshipTypeName => &stores.type_names,
            _ => &stores.key_names,
        };
        let mut buffer = std::mem::take(&mut self.buffer);
        let image = Dynamic { is_first: record.is_first(), next: record.next, data: record.data };
        file.image(id, &image, &mut buffer)?;
        self.write(store, id, Some(&buffer))?;
        self.buffer = buffer;
        Ok(())
    }

    /// `image`: what the slot holds; `None`: it is not in use.
    fn write(&mut self, store: RecordStore, id: u64, image: Option<&[u8]>) -> Result<(), RecoveryError> {
        if !self.ids.get(store as usize).is_some_and(|ids| ids.contains(&id)) || id == Slots::NO_ID {
            return Err(self.no_id(store, id));
        }
        let key = (store as u64) << ID_BITS | id;
        let flags = self.sink.flags | if image.is_some() { 0 } else { DEAD };
        let lane = Lane::of(store);
        if let Some((_, sorter)) = self.lanes.iter_mut().find(|(of, _)| *of == lane) {
            sorter.push_parts(&[&key.to_be_bytes(), &[flags], image.unwrap_or_default()])?;
        }
        Ok(())
    }

    fn no_id(&self, store: RecordStore, id: u64) -> RecoveryError {
        let transaction = self.sink.transaction;
        RecoveryError::RecordId { transaction, store: store.file_name(), id }
    }

    /// The writes of each lane, in the order of store and id.
    pub(super) fn finish(self) -> Result<Vec<Images>, RecoveryError> {
        self.lanes.into_iter().map(|(lane, sorter)| Ok(Images { lane, sorted: sorter.finish()? })).collect()
    }
}

fn units(flags: RecordFlags, secondary: Option<u64>) -> Units {
    Units {
        fixed_references: flags.fixed_references(),
        secondary: secondary.filter(|_| flags.requires_secondary_unit()),
    }
}

fn link(chain: ChainLinks) -> ChainLink {
    let previous = u64::try_from(chain.previous).ok();
    let previous = if chain.is_first {
        Previous::Degree(previous)
    } else {
        Previous::Relationship(previous.map(crate::store::id::RelationshipId))
    };
    ChainLink { previous, next: chain.next }
}

/// Writes of a lane in the order of store and id; the next one can be looked at before it is passed.
pub(super) struct Images {
    pub lane: Lane,
    sorted: Sorted<ByNumber>,
}

/// A write of a slot.
#[derive(Clone, Copy, Debug)]
pub(super) struct SlotWrite<'a> {
    /// Place of the store in [`RecordStore::ALL`].
    pub store: u8,
    pub id: u64,
    /// It takes a transaction back.
    pub cut: bool,
    /// What the slot holds; `None`: it is not in use.
    pub image: Option<&'a [u8]>,
}

impl<'a> SlotWrite<'a> {
    fn read(record: &'a [u8]) -> Option<Self> {
        let (key, rest) = record.split_first_chunk::<KEY>()?;
        let (flags, image) = rest.split_first()?;
        let [store, ..] = *key;
        let id = u64::from_be_bytes(*key) & ((1 << ID_BITS) - 1);
        Some(Self { store, id, cut: flags & CUT != 0, image: (flags & DEAD == 0).then_some(image) })
    }
}

/// Writes of one slot as they come, and what they leave.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct SlotState {
    /// A transaction that counts has written it.
    pub replayed: bool,
    /// Whether the last write that counts leaves it in use.
    pub in_use: bool,
}

impl Images {
    /// The id of the next write, if it goes to this store.
    pub(super) fn next_id(&mut self, store: RecordStore) -> Result<Option<u64>, DiskError> {
        let next = self.sorted.peek()?.and_then(SlotWrite::read);
        Ok(next.filter(|next| next.store == store as u8).map(|next| next.id))
    }

    /// Takes all writes of a slot, which come next: each that counts goes to `write`, in the order of the log.
    ///
    /// Not only the last one is written: bytes behind the end of a shorter record stay from longer ones before it, as in
    /// Neo4j. A slot that only transactions that are taken back have written gets its first image before them.
    pub(super) fn take_slot(
        &mut self,
        store: RecordStore,
        id: u64,
        mut write: impl FnMut(Option<&[u8]>) -> Result<(), StoreError>,
    ) -> Result<SlotState, RecoveryError> {
        let mut state = SlotState::default();
        let mut is_first = true;
        let is_of_slot = |next: &SlotWrite<'_>| next.store == store as u8 && next.id == id;
        while let Some(next) = self.sorted.peek()?.and_then(SlotWrite::read).filter(is_of_slot) {
            // All writes that count come before those that are taken back.
            if !next.cut || is_first {
                write(next.image)?;
                state = SlotState { replayed: !next.cut, in_use: next.image.is_some() };
            }
            is_first = false;
            self.sorted.next()?;
        }
        Ok(state)
    }
}
