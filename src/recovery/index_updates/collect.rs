//! Makes events of the commands of transactions.

use std::collections::BTreeMap;
use std::ops::Range;

use super::carried::read_chain;
use super::event::{self, CUT, Form, KEY_LENGTH, LONG, TOKENS};
use super::{Events, Watch};
use crate::io::sort::{ByKey, Scratch, Sorter};
use crate::recovery::RecoveryError;
use crate::store::id::{DynamicId, SchemaId};
use crate::store::labels::{LabelField, Labels, decode_dynamic};
use crate::store::schema::EntityType;
use crate::store::value::block::Kind;
use crate::txlog::command::node::{NodeCommand, NodeImage};
use crate::txlog::command::property::{PropertyBlock, PropertyBlocks, PropertyCommand, PropertyOwner};
use crate::txlog::command::relationship::{RelationshipCommand, RelationshipImage};
use crate::txlog::command::schema::{SchemaCommand, SchemaScalar, SchemaValue};
use crate::txlog::command::{Command, Mode};

/// Collects what the transactions of a window mean for indexes.
///
/// A transaction is taken apart into sides of properties and of tokens, which are put together again by entity: a property
/// may leave one record and come back in another one. Values are copied as bytes and decoded only where an index wants
/// them. Specification: transaction log 8.7, indexes 8.1.
#[derive(Debug)]
pub struct Collector {
    watch: Watch,
    sorter: Sorter<ByKey>,
    schema: SchemaChanges,
    sides: Vec<Side>,
    heads: Vec<Head>,
    /// Values and tokens of the transaction.
    bytes: Vec<u8>,
    tokens: Vec<u32>,
    event: Vec<u8>,
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

/// A property before or after the transaction.
#[derive(Clone, Debug)]
struct Side {
    entity: Entity,
    key: u32,
    after: bool,
    /// The first word of the property: equal pointers are equal values within a transaction.
    word: u64,
    form: Form,
    bytes: Range<usize>,
}

/// The tokens of an entity before and after the transaction.
#[derive(Clone, Debug)]
struct Head {
    entity: Entity,
    /// Ranges of tokens; `None`: not told.
    before: Option<Range<usize>>,
    after: Option<Range<usize>>,
    changed: bool,
    complete: bool,
}

impl Head {
    /// Whether it matters without a property. That an entity came or went does, also without tokens: the stores do not
    /// tell of one that is gone.
    fn matters(&self) -> bool {
        self.changed || self.complete
    }
}

/// Kind and id, in the order of events.
type Entity = (u8, u64);

fn entity(kind: EntityType, id: u64) -> Entity {
    (u8::from(kind == EntityType::Relationship), id)
}

impl Collector {
    /// A collector that uses `memory` bytes, and as much as one transaction needs.
    pub fn new(scratch: &Scratch, memory: usize, watch: Watch) -> Self {
        Self {
            watch,
            sorter: Sorter::new(scratch, memory, ByKey { length: KEY_LENGTH }),
            schema: SchemaChanges::default(),
            sides: Vec::new(),
            heads: Vec::new(),
            bytes: Vec::new(),
            tokens: Vec::new(),
            event: Vec::new(),
        }
    }

    /// Takes the next command of a transaction; the transactions come in the order of the log.
    pub fn command(&mut self, command: &Command<'_>) {
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
    }

    /// All commands of a transaction were taken. `replayed`: `false` for one behind the end of the replay, whose effects
    /// must go.
    pub fn end_transaction(&mut self, replayed: bool) -> Result<(), RecoveryError> {
        self.push_events(replayed)?;
        self.sides.clear();
        self.heads.clear();
        self.bytes.clear();
        self.tokens.clear();
        Ok(())
    }

    /// All transactions were taken.
    pub fn finish(self) -> Result<Events, RecoveryError> {
        Ok(Events { watch: self.watch, schema: self.schema, sorted: self.sorter.finish()? })
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
        let entity = entity(kind, id);
        let (before, after) = (command.change.before.blocks, command.change.after.blocks);
        let same = |block: &PropertyBlock<'_>, others: PropertyBlocks<'_>| {
            others.iter().any(|other| other.longs() == block.longs())
        };
        for (blocks, others, is_after) in [(before, after, false), (after, before, true)] {
            for block in &blocks {
                let word = block.longs().first().copied().unwrap_or_default();
                let key = key_of(word);
                if self.watch.key(kind, key) && !same(&block, others) {
                    let (form, bytes) = self.value(&block, word);
                    self.sides.push(Side { entity, key, after: is_after, word, form, bytes });
                }
            }
        }
    }

    /// Copies a value.
    fn value(&mut self, block: &PropertyBlock<'_>, word: u64) -> (Form, Range<usize>) {
        let from = self.bytes.len();
        let (told, untold, long) = match Kind::of(word) {
            Some(Kind::String) => (Form::Text, Form::UntoldText, Form::LongText),
            Some(Kind::Array) => (Form::Array, Form::UntoldArray, Form::LongArray),
            _ => {
                block.longs().iter().for_each(|word| self.bytes.extend_from_slice(&word.to_be_bytes()));
                return (Form::Words, from..self.bytes.len());
            }
        };
        if !read_chain(block.records, DynamicId(word >> 28), &mut self.bytes) {
            return (untold, from..from);
        }
        if self.bytes.len() - from > LONG {
            self.bytes.truncate(from);
            return (long, from..from);
        }
        (told, from..self.bytes.len())
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
        if untouched && (self.sides.is_empty() || is_dynamic(after.labels)) {
            // The labels would save a look at the store only where properties change, and those come first.
            return;
        }
        let before = self.labels(before);
        let after = if untouched { before.clone() } else { self.labels(after) };
        let changed = !untouched && !self.are_equal(before.as_ref(), after.as_ref());
        let entity = entity(EntityType::Node, command.id.0);
        self.heads.push(Head { entity, before, after, changed, complete: !lives });
    }

    /// Copies the labels of a node; `None`: they are in the label store and not in the command, or make no sense, which
    /// matters if the store says so in the end.
    fn labels(&mut self, image: &NodeImage<'_>) -> Option<Range<usize>> {
        let from = self.tokens.len();
        if image.flags.in_use() {
            match LabelField(image.labels).labels() {
                Labels::Inline(labels) => {
                    for label in labels {
                        self.tokens.push(label.ok()?.0);
                    }
                }
                Labels::Dynamic(first) => {
                    let bytes_from = self.bytes.len();
                    let read = read_chain(image.label_records, first, &mut self.bytes);
                    let bytes = self.bytes.get(bytes_from..).filter(|_| read)?;
                    let (_, labels) = decode_dynamic(bytes).ok()?;
                    for label in labels {
                        self.tokens.push(label.ok()?.0);
                    }
                }
            }
        }
        Some(from..self.tokens.len())
    }

    fn relationship(&mut self, command: &RelationshipCommand) {
        if !self.watch.any(EntityType::Relationship) {
            return;
        }
        let (before, after) = (&command.change.before, &command.change.after);
        let changed = type_of(before) != type_of(after);
        if !changed && self.sides.is_empty() {
            return;
        }
        let before = Some(self.push_type(before));
        let after = Some(self.push_type(after));
        let complete = command.change.before.links.is_some() != command.change.after.links.is_some();
        let entity = entity(EntityType::Relationship, command.id.0);
        self.heads.push(Head { entity, before, after, changed, complete });
    }

    fn push_type(&mut self, image: &RelationshipImage) -> Range<usize> {
        let from = self.tokens.len();
        self.tokens.extend(type_of(image));
        from..self.tokens.len()
    }

    fn are_equal(&self, left: Option<&Range<usize>>, right: Option<&Range<usize>>) -> bool {
        match (left, right) {
            (Some(left), Some(right)) => self.tokens.get(left.clone()) == self.tokens.get(right.clone()),
            _ => false,
        }
    }

    /// Puts the sides of each entity together and writes the events.
    fn push_events(&mut self, replayed: bool) -> Result<(), RecoveryError> {
        if self.sides.is_empty() && self.heads.iter().all(|head| !head.matters()) {
            return Ok(());
        }
        self.sides.sort_unstable_by_key(|side| (side.entity, side.key, side.after));
        self.heads.sort_by_key(|head| head.entity);
        let Self { sorter, sides, heads, bytes, tokens, event, .. } = self;
        let (mut sides, mut heads) = (sides.as_slice(), heads.as_slice());
        loop {
            let next = [sides.first().map(|side| side.entity), heads.first().map(|head| head.entity)];
            let Some(entity) = next.into_iter().flatten().min() else { return Ok(()) };
            let own;
            (own, sides) = split(sides, |side| side.entity == entity);
            let head;
            (head, heads) = split(heads, |head| head.entity == entity);
            // Each record occurs once in a transaction; of more the first and the last side would count.
            let head = head.first().zip(head.last());
            let kind = if entity.0 == 0 { EntityType::Node } else { EntityType::Relationship };
            event.clear();
            let mut flags = if replayed { 0 } else { CUT };
            if let Some((first, last)) = head {
                flags |= TOKENS;
                if first.complete || last.complete {
                    flags |= event::COMPLETE;
                }
            }
            event::put_head(event, kind, entity.1, flags);
            if let Some((first, last)) = head {
                for range in [&first.before, &last.after] {
                    event::put_tokens(
                        event,
                        range.clone().map(|range| tokens.get(range).unwrap_or_default()),
                    );
                }
            }
            let deltas = put_deltas(event, own, bytes);
            if deltas || head.is_some_and(|(first, last)| first.matters() || last.matters()) {
                sorter.push(event)?;
            }
        }
    }
}

/// Appends the properties that changed; whether there are any.
fn put_deltas(event: &mut Vec<u8>, mut sides: &[Side], bytes: &[u8]) -> bool {
    let start = event.len();
    while let Some(key) = sides.first().map(|side| side.key) {
        let own;
        (own, sides) = split(sides, |side| side.key == key);
        let before = own.iter().find(|side| !side.after);
        let after = own.iter().rfind(|side| side.after);
        let content = |side: &Side| bytes.get(side.bytes.clone()).unwrap_or_default();
        if let (Some(before), Some(after)) = (before, after)
            && before.word == after.word
            && (before.form != Form::Words || content(before) == content(after))
        {
            // It moved from one record to another.
            continue;
        }
        event::put_key(event, key);
        for side in [before, after] {
            match side {
                Some(side) => event::put_value(event, side.form, content(side)),
                None => event::put_value(event, Form::Absent, &[]),
            }
        }
    }
    event.len() > start
}

/// The items at the start that belong together, and the rest.
fn split<T>(items: &[T], belongs: impl Fn(&T) -> bool) -> (&[T], &[T]) {
    let count = items.iter().position(|item| !belongs(item)).unwrap_or(items.len());
    items.split_at_checked(count).unwrap_or_default()
}

fn key_of(word: u64) -> u32 {
    (word & 0x00ff_ffff) as u32
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
