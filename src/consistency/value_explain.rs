//! How a property index and the store differ, in Neo4j's words.
//!
//! Neo4j treats indexes of nodes in two ways, by their size. A *large* one is read whole and compared by node; in a
//! *small* one and in those of relationships each entity is looked up. Specification: consistency check 2.10, 3.5.

use std::collections::HashSet;
use std::fmt::{self, Display, Formatter};
use std::hash::{DefaultHasher, Hash, Hasher};

use super::beyond::SURPLUS_ENTRY;
use super::catalogue as c;
use super::context::Context;
use super::error::CheckError;
use super::labels::{LabelReader, Labels};
use super::properties::{NODE, Owner, PropertyWalk, RELATIONSHIP};
use super::raw::{RawNode, RawReader, RawRelationship};
use super::rules::{Names, describe};
use super::scan::scan;
use super::text::List;
use super::texts;
use super::value_entries::Entries;
use super::value_index::{Target, same_values};
use crate::index::value::decode_key;
use crate::index::value::text::{ArgumentText, TypedText};
use crate::store::id::SchemaId;
use crate::store::schema::{IndexProvider, RuleKind, SchemaRule};
use crate::store::value::{Array, Value};

/// An entry of an index.
#[derive(Clone, Copy, Debug)]
pub(super) struct EntryText<'a> {
    node: i64,
    index: &'a str,
}

impl Display for EntryText<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        write!(f, "IndexEntry[nodeId={}, index={}]", self.node, self.index)
    }
}

/// What reports of an index need.
struct Explain<'a> {
    context: &'a Context<'a>,
    target: &'a Target<'a>,
    entries: &'a Entries<'a>,
    words: Words,
}

/// How reports call an index.
#[derive(Debug)]
pub(super) struct Words {
    /// As the argument of a report.
    pub argument: String,
    /// In an entry.
    entry: String,
}

impl Words {
    pub fn new(context: &Context<'_>, target: &Target<'_>) -> Self {
        let names = Names::WithIds(context.tokens());
        Self { argument: describe(target.rule, Names::Ids), entry: describe(target.rule, names) }
    }

    /// The entry of a node.
    pub fn entry(&self, node: i64) -> EntryText<'_> {
        EntryText { node, index: &self.entry }
    }
}

impl<'a> Explain<'a> {
    fn new(context: &'a Context<'a>, target: &'a Target<'a>, entries: &'a Entries<'a>) -> Self {
        Self { context, target, entries, words: Words::new(context, target) }
    }
}

/// Reports how an index of nodes and the store differ.
pub(super) fn nodes(
    context: &Context<'_>,
    target: &Target<'_>,
    entries: &Entries<'_>,
    large: bool,
) -> Result<(), CheckError> {
    let explain = Explain::new(context, target, entries);
    if large { explain.large() } else { explain.small() }
}

/// Reports what an index of relationships lacks.
pub(super) fn relationships(
    context: &Context<'_>,
    target: &Target<'_>,
    entries: &Entries<'_>,
) -> Result<(), CheckError> {
    let words = Words::new(context, target);
    let slots = context.stores.relationships.slots();
    let begin = || (PropertyWalk::new(context), Vec::new());
    scan(
        slots,
        context.high.relationships,
        context.threads,
        begin,
        |(walk, key), chunk, units| {
            context.report.goes_on()?;
            chunk.records(units, |relationship: RawRelationship| {
                if !relationship.used || !target.covers(&[relationship.type_id]) {
                    return Ok(());
                }
                let owner = Owner { text: &relationship, findings: &RELATIONSHIP };
                let wants = |key| target.property_keys().any(|wanted| wanted == key);
                let properties = walk.walk(owner, relationship.property, &wants, false)?;
                let mut values = Vec::new();
                if !properties.sound
                    || !target.values(&properties.values, &mut values)
                    || !target.key(relationship.id as u64, &values, key)
                {
                    return Ok(());
                }
                if !entries.has(key)? {
                    let values = argument(&values);
                    let arguments: [&dyn Display; 2] = [&words.argument, &List(&values)];
                    context.report.record(c::RELATIONSHIP_NOT_INDEXED, &relationship, &arguments);
                }
                Ok(())
            })
        },
        drop,
    )?;
    Ok(())
}

pub(super) fn argument<'v>(values: &[&'v Value]) -> Vec<ArgumentText<'v>> {
    values.iter().map(|value| ArgumentText(value)).collect()
}

/// Nodes whose entries are kept at the same time.
const WINDOW: u64 = 1 << 20;

impl Explain<'_> {
    fn large(&self) -> Result<(), CheckError> {
        let context = self.context;
        let slots = context.stores.nodes.slots();
        let stored = slots.file().pages().saturating_mul(slots.per_page());
        let end = context.high.nodes.min(stored);
        let mut entries: Vec<Option<Indexed>> = Vec::new();
        let mut from = 0_u64;
        loop {
            let to = end.min(from.saturating_add(WINDOW));
            entries.clear();
            entries.resize(usize::try_from(to - from).unwrap_or_default(), None);
            self.read_entries((from, to), end, &mut entries)?;
            let mut state = Comparing::new(context);
            for (id, entry) in (from..to).zip(&entries) {
                self.compare(&mut state, id as i64, *entry)?;
            }
            from = to;
            if from >= end {
                return Ok(());
            }
        }
    }

    /// Keeps the values of the nodes of a window; the first time entries of nodes that can't be and values that are there
    /// twice are reported, too.
    fn read_entries(
        &self,
        (from, to): (u64, u64),
        end: u64,
        entries: &mut [Option<Indexed>],
    ) -> Result<(), CheckError> {
        let (context, layout) = (self.context, self.entries.tree.layout());
        let mut nodes = context.nodes();
        let mut last: Vec<u8> = Vec::new();
        let mut last_entity = 0;
        let first_time = from == 0;
        self.entries.all(&mut |key| {
            // Values that can't be read are none that a node can have.
            let (entity, values) = match decode_key(layout.keys(), layout.slots(), key) {
                Ok((entity, values)) => (entity, Some(values)),
                Err(_) => (key.first_chunk().map_or(u64::MAX, |entity| u64::from_be_bytes(*entity)), None),
            };
            let place = entity.checked_sub(from).filter(|_| entity < to);
            match place.and_then(|place| entries.get_mut(place as usize)) {
                Some(entry) => {
                    *entry = Some(
                        values
                            .as_ref()
                            .map_or_else(|| Indexed::unreadable(key), |values| Indexed::of(values)),
                    );
                }
                None if first_time && entity >= end => {
                    let node = nodes.get(entity as i64)?;
                    context.report.record(c::INDEX_NODE_NOT_IN_USE, &self.words.entry(node.id), &[&node]);
                }
                None => {}
            }
            // The values of a node behind the last one are not compared.
            if first_time && self.target.index.unique && entity < end {
                if same_values(*layout, &mut last, key) {
                    let node = nodes.get(entity as i64)?;
                    let values: Vec<_> = values.iter().flatten().map(TypedText).collect();
                    let arguments: [&dyn Display; 3] = [&self.words.argument, &List(&values), &last_entity];
                    context.report.record(c::NODE_NOT_UNIQUE, &node, &arguments);
                }
                last.clear();
                last.extend_from_slice(key);
                last_entity = entity;
            }
            Ok(true)
        })
    }

    fn compare(&self, state: &mut Comparing<'_>, id: i64, entry: Option<Indexed>) -> Result<(), CheckError> {
        let report = self.context.report;
        let node = state.nodes.get(id)?;
        if !node.used {
            if entry.is_some() {
                report.record(c::INDEX_NODE_NOT_IN_USE, &self.words.entry(id), &[&node]);
            }
            return Ok(());
        }
        state.labels.read(&node, &mut state.found, false)?;
        if state.found.broken && !state.found.illegal {
            return Ok(());
        }
        let covered = self.target.covers(&state.found.sorted);
        if !covered && entry.is_none() {
            return Ok(());
        }
        let owner = Owner { text: &node, findings: &NODE };
        let wants = |key| self.target.property_keys().any(|wanted| wanted == key);
        let properties = state.walk.walk(owner, node.property, &wants, false)?;
        if !properties.sound {
            return Ok(());
        }
        let mut values = Vec::new();
        let qualifies = covered
            && self.target.values(&properties.values, &mut values)
            && self.target.key(id as u64, &values, &mut state.key);
        match (qualifies, entry) {
            (true, None) => {
                let values = argument(&values);
                report.record(c::NODE_NOT_INDEXED, &node, &[&self.words.argument, &List(&values)]);
            }
            (true, Some(entry)) if entry.hash != hash(values.iter().copied()) => {
                if entry.checksum.is_some() && entry.checksum == checksum(values.iter().copied()) {
                    // Neo4j can't tell them apart.
                    if self.context.plan.extra {
                        report.record(SURPLUS_ENTRY, &self.words.entry(id), &[&node]);
                    }
                    return Ok(());
                }
                let values = argument(&values);
                report.record(c::INDEX_WRONG_VALUES, &self.words.entry(id), &[&node, &List(&values)]);
            }
            (false, Some(_)) => report.record(c::INDEX_SHOULD_NOT, &self.words.entry(id), &[&node]),
            _ => {}
        }
        Ok(())
    }

    fn small(&self) -> Result<(), CheckError> {
        let context = self.context;
        let slots = context.stores.nodes.slots();
        scan(
            slots,
            context.high.nodes,
            context.threads,
            || Comparing::new(context),
            |state, chunk, units| {
                context.report.goes_on()?;
                chunk.records(units, |node: RawNode| self.look_up(state, &node))
            },
            drop,
        )?;
        self.sweep()
    }

    /// Looks a node up.
    fn look_up(&self, state: &mut Comparing<'_>, node: &RawNode) -> Result<(), CheckError> {
        if !node.used {
            return Ok(());
        }
        state.labels.read(node, &mut state.found, false)?;
        if state.found.broken || !self.target.covers(&state.found.sorted) {
            return Ok(());
        }
        let owner = Owner { text: node, findings: &NODE };
        let wants = |key| self.target.property_keys().any(|wanted| wanted == key);
        let properties = state.walk.walk(owner, node.property, &wants, false)?;
        let mut values = Vec::new();
        if !properties.sound
            || !self.target.values(&properties.values, &mut values)
            || !self.target.key(node.id as u64, &values, &mut state.key)
        {
            return Ok(());
        }
        let report = self.context.report;
        let texts = argument(&values);
        let mut others = Vec::new();
        let found = if self.target.index.unique {
            let all = entities_with(self.target, self.entries, &values)?;
            others.extend(all.iter().copied().filter(|&other| other != node.id as u64));
            all.contains(&(node.id as u64))
        } else {
            self.entries.has(&state.key)?
        };
        if !found {
            report.record(c::NODE_NOT_INDEXED, node, &[&self.words.argument, &List(&texts)]);
        }
        for other in others {
            let arguments: [&dyn Display; 3] = [&self.words.argument, &List(&texts), &other];
            report.record(c::NODE_NOT_UNIQUE, node, &arguments);
        }
        Ok(())
    }

    /// Looks whether the nodes of all entries are there and have a label of the index.
    fn sweep(&self) -> Result<(), CheckError> {
        let mut sweep = Sweep::new(self.context, self.target, &self.words);
        self.entries.all(&mut |key| {
            if let Some(entity) = key.first_chunk() {
                sweep.entry(u64::from_be_bytes(*entity))?;
            }
            Ok(true)
        })
    }
}

/// All entities that a tree has for these values.
pub(super) fn entities_with(
    target: &Target<'_>,
    entries: &Entries<'_>,
    values: &[&Value],
) -> Result<Vec<u64>, CheckError> {
    let mut key = Vec::new();
    if target.key(0, values, &mut key) { entries.entities_with(&key) } else { Ok(Vec::new()) }
}

/// Looks at the nodes of entries: whether they are there and have a label of the index.
pub(super) struct Sweep<'a> {
    context: &'a Context<'a>,
    words: &'a Words,
    nodes: RawReader<'a, RawNode>,
    reader: LabelReader<'a>,
    found: Labels,
    /// Labels of the index, ascending.
    wanted: Vec<i64>,
    /// Whether only labels are reported that are greater than all of the node's, as Neo4j does with full-text indexes.
    only_greater: bool,
}

impl<'a> Sweep<'a> {
    pub fn new(context: &'a Context<'a>, target: &Target<'_>, words: &'a Words) -> Self {
        let mut wanted: Vec<_> = target.rule.schema.entity_tokens.iter().copied().map(i64::from).collect();
        wanted.sort_unstable();
        Self {
            context,
            words,
            nodes: context.nodes(),
            reader: LabelReader::new(context),
            found: Labels::default(),
            wanted,
            only_greater: target.kind == Some(texts::Kind::FullText),
        }
    }

    /// Reports what is wrong with the node of an entry.
    pub fn entry(&mut self, entity: u64) -> Result<(), CheckError> {
        let report = self.context.report;
        let node = self.nodes.get(entity as i64)?;
        if entity >= self.context.high.nodes || !node.used {
            report.record(c::INDEX_NODE_NOT_IN_USE, &self.words.entry(node.id), &[&node]);
            return Ok(());
        }
        self.reader.read(&node, &mut self.found, false)?;
        if self.wanted.iter().any(|label| self.found.sorted.contains(label)) {
            return Ok(());
        }
        let greatest = self.found.sorted.last().filter(|_| self.only_greater);
        for label in self.wanted.iter().filter(|label| greatest.is_none_or(|greatest| *label > greatest)) {
            report.record(c::INDEX_UNEXPECTED_LABEL, &self.words.entry(node.id), &[&node, label]);
        }
        Ok(())
    }
}

/// What comparing nodes needs.
pub(super) struct Comparing<'a> {
    pub nodes: RawReader<'a, RawNode>,
    pub labels: LabelReader<'a>,
    pub found: Labels,
    pub walk: PropertyWalk<'a>,
    pub key: Vec<u8>,
}

impl<'a> Comparing<'a> {
    pub fn new(context: &'a Context<'a>) -> Self {
        Self {
            nodes: context.nodes(),
            labels: LabelReader::new(context),
            found: Labels::default(),
            walk: PropertyWalk::new(context),
            key: Vec::new(),
        }
    }
}

/// What a large index has of a node.
#[derive(Clone, Copy, Debug)]
struct Indexed {
    hash: u64,
    /// The one that Neo4j compares; `None`: it is not known for such values.
    checksum: Option<u16>,
}

impl Indexed {
    fn of(values: &[Value]) -> Self {
        Self { hash: hash(values.iter()), checksum: checksum(values.iter()) }
    }

    fn unreadable(key: &[u8]) -> Self {
        Self { hash: hash_key(key), checksum: None }
    }
}

/// Neo4j's checksum of values that are numbers: numbers that differ in the second byte only have the same. Specification:
/// consistency check 3.5.
fn checksum<'v>(values: impl Iterator<Item = &'v Value>) -> Option<u16> {
    let mut sum = 0_u32;
    for (place, value) in (1..).zip(values) {
        let hash = match *value {
            Value::Byte(value) => hash_of_integer(value.into()),
            Value::Short(value) => hash_of_integer(value.into()),
            Value::Int(value) => hash_of_integer(value.into()),
            Value::Long(value) => hash_of_integer(value),
            Value::Float(value) => hash_of_real(value.into()),
            Value::Double(value) => hash_of_real(value),
            _ => return None,
        };
        sum ^= hash.wrapping_mul(place);
    }
    Some((sum >> 16 ^ sum & 0xff) as u16 & 0x7fff)
}

fn hash_of_integer(value: i64) -> u32 {
    i32::try_from(value).map_or_else(|_| fold(value.cast_unsigned()), i32::cast_unsigned)
}

fn hash_of_real(value: f64) -> u32 {
    whole(value).map_or_else(|| fold(value.to_bits()), hash_of_integer)
}

fn fold(bits: u64) -> u32 {
    (bits ^ bits >> 32) as u32
}

/// Equal for values that are equal in Cypher: numbers of any type, characters and texts.
fn hash<'v>(values: impl Iterator<Item = &'v Value>) -> u64 {
    let mut hasher = DefaultHasher::new();
    values.for_each(|value| hash_value(value, &mut hasher));
    hasher.finish()
}

/// Stands for the values of a key that can't be read.
fn hash_key(key: &[u8]) -> u64 {
    let mut hasher = DefaultHasher::new();
    (Kind::Unreadable, key).hash(&mut hasher);
    hasher.finish()
}

/// What kind of value comes next.
#[derive(Hash)]
enum Kind {
    Bool,
    Integer,
    Real,
    Text,
    Array,
    Other,
    Unreadable,
}

fn hash_value(value: &Value, hasher: &mut DefaultHasher) {
    match value {
        Value::Bool(value) => (Kind::Bool, value).hash(hasher),
        Value::Byte(value) => integer(i64::from(*value), hasher),
        Value::Short(value) => integer(i64::from(*value), hasher),
        Value::Int(value) => integer(i64::from(*value), hasher),
        Value::Long(value) => integer(*value, hasher),
        Value::Float(value) => real(f64::from(*value), hasher),
        Value::Double(value) => real(*value, hasher),
        Value::Char(unit) => (Kind::Text, String::from_utf16_lossy(&[*unit])).hash(hasher),
        Value::String(text) => (Kind::Text, text).hash(hasher),
        Value::Array(array) => hash_array(array, hasher),
        // The others are equal when they have the same fields.
        Value::Point(_)
        | Value::Date(_)
        | Value::LocalTime(_)
        | Value::LocalDateTime(_)
        | Value::Time(_)
        | Value::DateTime(_)
        | Value::Duration(_) => (Kind::Other, format!("{value:?}")).hash(hasher),
    }
}

fn integer(value: i64, hasher: &mut DefaultHasher) {
    (Kind::Integer, value).hash(hasher);
}

/// The integer that a real number is.
#[expect(clippy::float_cmp, reason = "whether it is a whole number is an exact question")]
fn whole(value: f64) -> Option<i64> {
    let whole = value as i64;
    (whole as f64 == value && whole != i64::MAX).then_some(whole)
}

fn real(value: f64, hasher: &mut DefaultHasher) {
    match whole(value) {
        Some(whole) => integer(whole, hasher),
        None => (Kind::Real, value.to_bits()).hash(hasher),
    }
}

fn hash_array(array: &Array, hasher: &mut DefaultHasher) {
    Kind::Array.hash(hasher);
    match array {
        Array::Bool(items) => items.iter().for_each(|item| (Kind::Bool, item).hash(hasher)),
        Array::Byte(items) => items.iter().for_each(|item| integer(i64::from(*item), hasher)),
        Array::Short(items) => items.iter().for_each(|item| integer(i64::from(*item), hasher)),
        Array::Int(items) => items.iter().for_each(|item| integer(i64::from(*item), hasher)),
        Array::Long(items) => items.iter().for_each(|item| integer(*item, hasher)),
        Array::Float(items) => items.iter().for_each(|item| real(f64::from(*item), hasher)),
        Array::Double(items) => items.iter().for_each(|item| real(*item, hasher)),
        Array::Char(items) => {
            for item in items {
                (Kind::Text, String::from_utf16_lossy(&[*item])).hash(hasher);
            }
        }
        Array::String(items) => items.iter().for_each(|item| (Kind::Text, item).hash(hasher)),
        other => (Kind::Other, format!("{other:?}")).hash(hasher),
    }
}

/// The large ones of the indexes of nodes. Specification: consistency check 3.5.
pub(super) fn large(mut sizes: Vec<(u64, &SchemaRule)>, nodes: u64) -> HashSet<SchemaId> {
    sizes.sort_by_key(|(size, ..)| std::cmp::Reverse(*size));
    let mut count = 0;
    for (size, rule) in &sizes {
        // Indexes that can't give values back are passed over, but may be among those that are taken.
        if !gives_values(rule) {
            continue;
        }
        // More than five in a hundred nodes.
        let is_large = size.saturating_mul(20) > nodes;
        if is_large || count % 5 != 0 {
            count += 1;
        } else {
            break;
        }
    }
    sizes.iter().take(count).map(|(_, rule)| rule.id).collect()
}

fn gives_values(rule: &SchemaRule) -> bool {
    let RuleKind::Index(index) = &rule.kind else { return false };
    match index.provider {
        IndexProvider::Text => false,
        IndexProvider::LuceneNative => rule.schema.property_keys.len() > 1,
        _ => true,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_checksum_of_numbers_has_no_second_byte() {
        let of = |value: Value| checksum([value].iter());
        let number = of(Value::Int(0x3192));
        for same in [
            Value::Int(0x7192),
            Value::Long(12_434),
            Value::Double(12_690.0),
            Value::Double(61.873_908_996_582_03),
        ] {
            assert_eq!(of(same), number);
        }
        for other in [Value::Int(0x3193), Value::Int(-0x3193), Value::Int(0x1_3192), Value::Double(12_690.5)]
        {
            assert_ne!(of(other), number);
        }
        assert_eq!(of(Value::String("12690".to_owned())), None);
    }
}
