//! Makes events of the commands of transactions.

use std::collections::BTreeMap;

use super::event::Entity;
use super::parts::{Parts, key_of};
use super::{Events, Watch};
use crate::index::token::ENTITIES_PER_RANGE;
use crate::io::disk::DiskError;
use crate::io::sort::{ByNumber, Scratch, Sorter};
use crate::recovery::RecoveryError;
use crate::store::id::SchemaId;
use crate::store::labels::{LabelField, Labels};
use crate::store::schema::EntityType;
use crate::txlog::command::node::NodeCommand;
use crate::txlog::command::property::{PropertyBlock, PropertyBlocks, PropertyCommand, PropertyOwner};
use crate::txlog::command::relationship::{RelationshipCommand, RelationshipImage};
use crate::txlog::command::schema::{SchemaCommand, SchemaScalar, SchemaValue};
use crate::txlog::command::{Command, Mode};

/// Most bytes of parts of one transaction that are put together in memory. Those of a larger one are put together when
/// they were sorted.
const MOST_PARTS: usize = 512 << 10;

/// Collects what the transactions of a window mean for indexes.
///
/// A transaction is taken apart into sides of properties and of tokens, which are put together again by entity: a property
/// may leave one record and come back in another one. Values are copied as bytes and decoded only where an index wants
/// them. Specification: transaction log 8.7, indexes 8.1.
#[derive(Debug)]
pub struct Collector {
    watch: Watch,
    sorters: Sorters,
    schema: SchemaChanges,
    /// Of the transaction at hand.
    parts: Parts,
    most_parts: usize,
    /// Whether its effects must go.
    cut: bool,
    /// Whether it has changed a property.
    has_sides: bool,
    /// Its number among the large ones, if it is one.
    large: Option<u32>,
    /// How many large ones there were.
    large_count: u32,
    event: Vec<u8>,
}

/// Sorters of events: all of one entity go to one of them, and so do those of an entry of a lookup index.
#[derive(Debug)]
struct Sorters(Vec<Sorter<ByNumber>>);

/// Most sorters: each takes a part of the memory.
const MOST_SORTERS: usize = 4;

impl Sorters {
    fn new(scratch: &Scratch, memory: usize, count: usize) -> Self {
        let count = count.clamp(1, MOST_SORTERS);
        Self((0..count).map(|_| Sorter::new(scratch, memory / count, ByNumber)).collect())
    }

    fn push(&mut self, event: &[u8]) -> Result<(), DiskError> {
        let range = Entity::of(event).map_or(0, Entity::id) / ENTITIES_PER_RANGE;
        let place = range % self.0.len().max(1) as u64;
        match self.0.get_mut(place as usize) {
            Some(sorter) => sorter.push(event),
            None => Ok(()),
        }
    }
}

/// Rules that came or went in the window, and how often each.
#[derive(Clone, Debug, Default)]
pub(super) struct SchemaChanges {
    pub rules: BTreeMap<SchemaId, RuleChanges>,
}

/// What happened to a rule id.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct RuleChanges {
    /// How often a label lookup index was created with it.
    pub label_lookups: u32,
    /// Whether a rule was dropped that had it.
    pub dropped: bool,
}

impl Collector {
    /// A collector that uses `memory` bytes and a little more, however large a transaction is. `threads`: that will go on
    /// with the events.
    pub fn new(scratch: &Scratch, memory: usize, threads: usize, watch: Watch) -> Self {
        Self::with_parts(scratch, memory, threads, watch, MOST_PARTS)
    }

    /// `most_parts`: bytes of parts of a transaction above which it is large.
    pub(super) fn with_parts(
        scratch: &Scratch,
        memory: usize,
        threads: usize,
        watch: Watch,
        most_parts: usize,
    ) -> Self {
        Self {
            watch,
            sorters: Sorters::new(scratch, memory, threads),
            schema: SchemaChanges::default(),
            parts: Parts::default(),
            most_parts,
            cut: false,
            has_sides: false,
            large: None,
            large_count: 0,
            event: Vec::new(),
        }
    }

    /// Begins the next transaction in the order of the log. `replayed`: `false` for one behind the end of the replay, whose
    /// effects must go.
    pub fn begin_transaction(&mut self, replayed: bool) {
        self.cut = !replayed;
        self.has_sides = false;
        self.large = None;
    }

    /// Takes its next command.
    pub fn command(&mut self, command: &Command<'_>) -> Result<(), RecoveryError> {
        match command {
            Command::Property(command) => self.property(command),
            Command::Node(command) => self.node(command),
            Command::Relationship(command) => self.relationship(command),
            Command::Schema(command) => self.rule(command),
            Command::Token(_)
            | Command::Group(_)
            | Command::NodeCount(_)
            | Command::RelationshipCount(_)
            | Command::GroupDegree(_)
            | Command::Metadata(_) => {}
        }
        if self.parts.memory() > self.most_parts {
            let number = *self.large.get_or_insert_with(|| {
                self.large_count += 1;
                self.large_count
            });
            self.push_parts(number)?;
        }
        Ok(())
    }

    /// All commands of the transaction were taken.
    pub fn end_transaction(&mut self) -> Result<(), RecoveryError> {
        if let Some(number) = self.large {
            return self.push_parts(number);
        }
        let Self { sorters, parts, event, cut, .. } = self;
        parts.put_together(|assembled| {
            if assembled.write(*cut, event) {
                sorters.push(event)?;
            }
            Ok(())
        })
    }

    /// Hands the parts of a large transaction to the sorter as they are.
    fn push_parts(&mut self, number: u32) -> Result<(), RecoveryError> {
        let Self { sorters, parts, event, cut, .. } = self;
        parts.take_apart(*cut, number, event, |part| Ok(sorters.push(part)?))
    }

    /// All transactions were taken.
    pub fn finish(self) -> Result<Events, RecoveryError> {
        let sorted = self.sorters.0.into_iter().map(Sorter::finish).collect::<Result<_, _>>()?;
        Ok(Events { watch: self.watch, schema: self.schema, sorted })
    }

    fn rule(&mut self, command: &SchemaCommand<'_>) {
        let mode = command.mode();
        if mode == Mode::Update {
            return;
        }
        let changes = self.schema.rules.entry(command.id).or_default();
        changes.dropped |= mode == Mode::Delete;
        changes.label_lookups += u32::from(mode == Mode::Create && is_label_lookup(command));
    }

    /// Both sides of the properties of a record that the transaction changes. Specification: indexes 8.1.
    fn property(&mut self, command: &PropertyCommand<'_>) {
        let (kind, id) = match command.change.after.owner() {
            PropertyOwner::Node(id) => (EntityType::Node, id.0),
            PropertyOwner::Relationship(id) => (EntityType::Relationship, id.0),
            PropertyOwner::Untold => return,
        };
        if !self.watch.any(kind) {
            return;
        }
        let Some(entity) = Entity::new(kind, id) else { return };
        let (before, after) = (command.change.before.blocks, command.change.after.blocks);
        let same = |block: &PropertyBlock<'_>, others: PropertyBlocks<'_>| {
            others.iter().any(|other| other.longs() == block.longs())
        };
        for (blocks, others, is_after) in [(before, after, false), (after, before, true)] {
            for block in &blocks {
                let word = block.longs().first().copied().unwrap_or_default();
                let key = key_of(word);
                if self.watch.key(kind, key) && !same(&block, others) {
                    self.has_sides = true;
                    self.parts.side(entity, key, is_after, &block);
                }
            }
        }
    }

    fn node(&mut self, command: &NodeCommand<'_>) {
        if !self.watch.any(EntityType::Node) {
            return;
        }
        let (before, after) = (&command.change.before, &command.change.after);
        let lives = before.flags.in_use() && after.flags.in_use();
        let untouched = lives
            && before.labels == after.labels
            && before.label_records.is_empty()
            && after.label_records.is_empty();
        if untouched && (!self.has_sides || is_dynamic(after.labels)) {
            // The labels would save a look at the store only where properties change, and those come first.
            return;
        }
        let Some(entity) = Entity::new(EntityType::Node, command.id.0) else { return };
        self.parts.labels(entity, before, (!untouched).then_some(after), !lives);
    }

    fn relationship(&mut self, command: &RelationshipCommand) {
        if !self.watch.any(EntityType::Relationship) {
            return;
        }
        let (before, after) = (&command.change.before, &command.change.after);
        let changed = type_of(before) != type_of(after);
        if !changed && !self.has_sides {
            return;
        }
        let complete = before.links.is_some() != after.links.is_some();
        let Some(entity) = Entity::new(EntityType::Relationship, command.id.0) else { return };
        self.parts.types(entity, type_of(before), type_of(after), complete);
    }
}

fn is_dynamic(labels: u64) -> bool {
    matches!(LabelField(labels).labels(), Labels::Dynamic(_))
}

/// The type of a relationship; an unused record has none, whatever it says.
fn type_of(image: &RelationshipImage) -> Option<u32> {
    image.links.and(image.kind).map(|kind| kind.0)
}

/// Whether a rule is a lookup index of labels. Specification: transaction log 8.9.
fn is_label_lookup(command: &SchemaCommand<'_>) -> bool {
    if command.change.after.property.is_none() {
        return true;
    }
    let Some(map) = &command.rule else { return false };
    let is = |key, word| map.get(key) == Some(SchemaValue::Scalar(SchemaScalar::String(word)));
    is("indexType", "LOOKUP") && is("schemaEntityType", "NODE")
}
