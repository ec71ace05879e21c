//! How an index that Lucene has a part in and the store differ, in Neo4j's words.
//!
//! Lucene gives no values back, so a large index of nodes is compared by its entities alone. In a small one and in those of
//! relationships a text is looked up with its entity. In a full-text index a document of the entity is looked up that has
//! no words of keys whose values are no texts; which words the others have is not compared.
//! Specification: consistency check 2.10.

use std::fmt::{self, Display, Formatter};

use super::catalogue as c;
use super::context::Context;
use super::error::CheckError;
use super::fingerprint::Mixer;
use super::labels::Labels;
use super::properties::{NODE, Owner, OwnerFindings, PropertyWalk, RELATIONSHIP};
use super::raw::{RawNode, RawRelationship};
use super::report::Finding;
use super::scan::scan;
use super::text::List;
use super::texts::{Entry, Kind, with_bytes};
use super::value_explain::{Comparing, Sweep, Words, entities_with};
use super::value_index::Target;
use crate::index::lucene::is_text;
use crate::index::value::text::ArgumentText;
use crate::store::value::Value;

/// Entities whose entries are kept at the same time.
const WINDOW: u64 = 1 << 20;

/// Reports how an index of nodes and the store differ.
pub(super) fn nodes(
    context: &Context<'_>,
    target: &Target<'_>,
    kind: Kind,
    large: bool,
) -> Result<(), CheckError> {
    let explain = Explain { context, target, kind, words: Words::new(context, target), mixer: Mixer::new() };
    if large { explain.large() } else { explain.small() }
}

/// Reports what an index of relationships lacks.
pub(super) fn relationships(
    context: &Context<'_>,
    target: &Target<'_>,
    kind: Kind,
) -> Result<(), CheckError> {
    let explain = Explain { context, target, kind, words: Words::new(context, target), mixer: Mixer::new() };
    explain.relationships()
}

struct Explain<'a> {
    context: &'a Context<'a>,
    target: &'a Target<'a>,
    kind: Kind,
    words: Words,
    mixer: Mixer,
}

/// What a large index has of a node.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Mark(u8);

impl Mark {
    const FOUND: u8 = 1;
    const SEVERAL: u8 = 2;
    /// One of its documents has a word.
    const WORDS: u8 = 4;

    fn document(&mut self) {
        self.0 |= if self.0 & Self::FOUND == 0 { Self::FOUND } else { Self::SEVERAL };
    }

    fn word(&mut self) {
        self.0 |= Self::WORDS;
    }

    fn is_found(self) -> bool {
        self.0 & Self::FOUND != 0
    }

    /// One document without a word: releases before 4.3 left them behind.
    fn is_empty_document(self) -> bool {
        self.0 == Self::FOUND
    }
}

impl Explain<'_> {
    /// Visits the entities of all entries.
    fn entities(&self, mut visit: impl FnMut(u64) -> Result<(), CheckError>) -> Result<(), CheckError> {
        if let Some(entries) = &self.target.tree {
            entries.all(&mut |key| {
                if let Some(entity) = key.first_chunk() {
                    visit(u64::from_be_bytes(*entity))?;
                }
                Ok(true)
            })?;
        }
        let Some(texts) = &self.target.texts else { return Ok(()) };
        texts.read(false, |entry| match entry {
            Entry::Document { entity, .. } => visit(entity),
            Entry::Text { .. } => Ok(()),
        })
    }

    fn large(&self) -> Result<(), CheckError> {
        let context = self.context;
        let slots = context.stores.nodes.slots();
        let end = context.high.nodes.min(slots.file().pages().saturating_mul(slots.per_page()));
        let mut marks: Vec<Mark> = Vec::new();
        let mut from = 0_u64;
        loop {
            let to = end.min(from.saturating_add(WINDOW));
            marks.clear();
            marks.resize(usize::try_from(to - from).unwrap_or_default(), Mark::default());
            self.mark((from, to), end, &mut marks)?;
            let mut state = Comparing::new(context);
            for (id, mark) in (from..to).zip(&marks) {
                self.compare(&mut state, id as i64, *mark)?;
            }
            from = to;
            if from >= end {
                return Ok(());
            }
        }
    }

    /// Marks what the index has of the nodes of a window; the first time entries of nodes that can't be are reported, too.
    fn mark(&self, (from, to): (u64, u64), end: u64, marks: &mut [Mark]) -> Result<(), CheckError> {
        let context = self.context;
        let mut nodes = context.nodes();
        let place = |entity: u64| entity.checked_sub(from).filter(|_| entity < to);
        self.entities(|entity| {
            if let Some(mark) = place(entity).and_then(|place| marks.get_mut(place as usize)) {
                mark.document();
            } else if from == 0 && entity >= end {
                let node = nodes.get(entity as i64)?;
                context.report.record(c::INDEX_NODE_NOT_IN_USE, &self.words.entry(node.id), &[&node]);
            }
            Ok(())
        })?;
        let Some(texts) = self.target.texts.as_ref().filter(|_| self.kind == Kind::FullText) else {
            return Ok(());
        };
        texts.read(true, |entry| {
            if let Entry::Text { entity, .. } = entry
                && let Some(mark) = place(entity).and_then(|place| marks.get_mut(place as usize))
            {
                mark.word();
            }
            Ok(())
        })
    }

    fn compare(&self, state: &mut Comparing<'_>, id: i64, mark: Mark) -> Result<(), CheckError> {
        let report = self.context.report;
        let node = state.nodes.get(id)?;
        if !node.used {
            if mark.is_found() {
                report.record(c::INDEX_NODE_NOT_IN_USE, &self.words.entry(id), &[&node]);
            }
            return Ok(());
        }
        state.labels.read(&node, &mut state.found, false)?;
        if state.found.broken && !state.found.illegal {
            return Ok(());
        }
        let covered = self.target.covers(&state.found.sorted);
        if !covered && !mark.is_found() {
            return Ok(());
        }
        let Some(values) = self.wanted(&mut state.walk, &node, &NODE, node.property)? else { return Ok(()) };
        match (covered && !values.is_empty(), mark.is_found()) {
            (true, false) => {
                // What a full-text index should have of a node is not told.
                let shown = if self.kind == Kind::FullText { Vec::new() } else { shown(&values) };
                report.record(c::NODE_NOT_INDEXED, &node, &[&self.words.argument, &List(&shown)]);
            }
            (false, true) if !(self.kind == Kind::FullText && mark.is_empty_document()) => {
                report.record(c::INDEX_SHOULD_NOT, &self.words.entry(id), &[&node]);
            }
            _ => {}
        }
        Ok(())
    }

    /// The values of an entity that the index must have, by its keys; empty: it must have none of the entity. `None`: its
    /// properties can't be read, or what Lucene has of them.
    fn wanted(
        &self,
        walk: &mut PropertyWalk<'_>,
        entity: &dyn Display,
        findings: &'static OwnerFindings,
        first: i64,
    ) -> Result<Option<Vec<Option<Value>>>, CheckError> {
        let wants = |key| self.target.property_keys().any(|wanted| wanted == key);
        let properties = walk.walk(Owner { text: entity, findings }, first, &wants, false)?;
        let mut values = Vec::new();
        if !properties.sound {
            return Ok(None);
        }
        if !self.target.values(&properties.values, &mut values) {
            return Ok(Some(Vec::new()));
        }
        if self.target.is_in_lucene(&values) && self.target.texts.is_none() {
            return Ok(None);
        }
        let of_kind = |value: &&Value| self.kind == Kind::Text || is_text(value);
        let value = |key| properties.values.iter().find(|(other, _)| *other == key).map(|(_, value)| value);
        Ok(Some(self.target.property_keys().map(|key| value(key).filter(of_kind).cloned()).collect()))
    }
}

/// Values as an argument; those that are not there, or that a full-text index does not have, are `null`.
struct Shown<'v>(Option<&'v Value>);

impl Display for Shown<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self.0 {
            Some(value) => ArgumentText(value).fmt(f),
            None => f.write_str("null"),
        }
    }
}

fn shown(values: &[Option<Value>]) -> Vec<Shown<'_>> {
    values.iter().map(|value| Shown(value.as_ref())).collect()
}

/// What Lucene has of some entities; sorted.
#[derive(Debug, Default)]
struct Found {
    /// Entities with the hash of a text that they are found with.
    by_entity: Vec<(u64, u64)>,
    /// The same the other way round, of a unique index.
    by_text: Vec<(u64, u64)>,
    /// Entities with the keys that have words in a document of a full-text index.
    documents: Vec<(u64, Keys)>,
}

/// A bit for each key, up to the last of them.
type Keys = u128;

/// The key at a place of the schema.
fn key_bit(place: usize) -> Keys {
    1_u128.unbounded_shl(u32::try_from(place).unwrap_or(u32::MAX))
}

impl Found {
    /// How often an entity is there.
    fn count(&self, entity: u64, hash: u64) -> usize {
        equal(&self.by_entity, |pair| *pair == (entity, hash), |pair| *pair < (entity, hash)).len()
    }

    /// How many documents an entity has that are without words of some keys.
    fn documents(&self, entity: u64, without: Keys) -> usize {
        let start = self.documents.partition_point(|document| document.0 < entity);
        let documents = self.documents.iter().skip(start).take_while(|document| document.0 == entity);
        documents.filter(|document| document.1 & without == 0).count()
    }

    /// The entities with a text.
    fn with(&self, hash: u64) -> impl Iterator<Item = u64> {
        let pairs = equal(&self.by_text, |pair| pair.0 == hash, |pair| pair.0 < hash);
        pairs.iter().map(|(_, entity)| *entity)
    }
}

/// The part of a sorted list that is equal, the part before being less.
fn equal(
    sorted: &[(u64, u64)],
    is_equal: impl Fn(&(u64, u64)) -> bool,
    is_less: impl Fn(&(u64, u64)) -> bool,
) -> &[(u64, u64)] {
    let rest = sorted.get(sorted.partition_point(is_less)..).unwrap_or_default();
    rest.get(..rest.partition_point(is_equal)).unwrap_or_default()
}

/// An entity that is looked up.
struct Wanted<'v> {
    id: u64,
    record: &'v dyn Display,
    values: &'v [Option<Value>],
    /// What is said if it is not there, or several times.
    missing: Finding,
    multiple: Finding,
}

impl Explain<'_> {
    fn small(&self) -> Result<(), CheckError> {
        let context = self.context;
        let found = self.read(0, u64::MAX)?;
        scan(
            context.stores.nodes.slots(),
            context.high.nodes,
            context.threads,
            || Comparing::new(context),
            |state, chunk, units| {
                context.report.goes_on()?;
                chunk.records(units, |node: RawNode| self.node(state, &node, &found))
            },
            drop,
        )?;
        let mut sweep = Sweep::new(context, self.target, &self.words);
        self.entities(|entity| sweep.entry(entity))
    }

    fn node(&self, state: &mut Comparing<'_>, node: &RawNode, found: &Found) -> Result<(), CheckError> {
        if !node.used {
            return Ok(());
        }
        let mut labels = Labels::default();
        std::mem::swap(&mut labels, &mut state.found);
        state.labels.read(node, &mut labels, false)?;
        let covered = !labels.broken && self.target.covers(&labels.sorted);
        state.found = labels;
        if !covered {
            return Ok(());
        }
        let Some(values) = self.wanted(&mut state.walk, node, &NODE, node.property)? else { return Ok(()) };
        let wanted = Wanted {
            id: node.id as u64,
            record: node,
            values: &values,
            missing: c::NODE_NOT_INDEXED,
            multiple: c::NODE_INDEXED_MULTIPLE_TIMES,
        };
        self.look_up(&wanted, found, &mut state.key)
    }

    fn relationships(&self) -> Result<(), CheckError> {
        let context = self.context;
        let slots = context.stores.relationships.slots();
        let end = context.high.relationships.min(slots.file().pages().saturating_mul(slots.per_page()));
        let (mut records, mut walk) = (context.relationships(), PropertyWalk::new(context));
        let mut key = Vec::new();
        let mut from = 0;
        while from < end {
            let to = end.min(from + WINDOW);
            let found = self.read(from, to)?;
            for id in from..to {
                let record: RawRelationship = records.get(id as i64)?;
                if !record.used || !self.target.covers(&[record.type_id]) {
                    continue;
                }
                let values = self.wanted(&mut walk, &record, &RELATIONSHIP, record.property)?;
                let Some(values) = values else { continue };
                let wanted = Wanted {
                    id,
                    record: &record,
                    values: &values,
                    missing: c::RELATIONSHIP_NOT_INDEXED,
                    multiple: c::RELATIONSHIP_INDEXED_MULTIPLE_TIMES,
                };
                self.look_up(&wanted, &found, &mut key)?;
            }
            from = to;
        }
        Ok(())
    }

    /// What Lucene has of some entities.
    fn read(&self, from: u64, to: u64) -> Result<Found, CheckError> {
        let mut found = Found::default();
        let Some(texts) = &self.target.texts else { return Ok(found) };
        let mut numbers: Vec<u64> = Vec::new();
        texts.read(true, |entry| {
            match (self.kind, entry) {
                (_, Entry::Document { entity, .. } | Entry::Text { entity, .. })
                    if !(from..to).contains(&entity) => {}
                (Kind::Text, Entry::Document { .. }) => {}
                (Kind::Text, Entry::Text { entity, text, .. }) => {
                    found.by_entity.push((entity, self.hash(text)));
                }
                (Kind::FullText, Entry::Document { number, entity }) => {
                    numbers.push(number);
                    found.documents.push((entity, 0));
                }
                (Kind::FullText, Entry::Text { number, field, .. }) => {
                    let place = numbers.binary_search(&number).ok();
                    if let Some((_, keys)) = place.and_then(|place| found.documents.get_mut(place)) {
                        *keys |= key_bit(field);
                    }
                }
            }
            Ok(())
        })?;
        found.documents.sort_unstable();
        if self.target.index.unique {
            found.by_text = found.by_entity.iter().map(|(entity, hash)| (*hash, *entity)).collect();
            found.by_text.sort_unstable();
        }
        found.by_entity.sort_unstable();
        Ok(found)
    }

    fn hash(&self, text: &[u8]) -> u64 {
        self.mixer.bytes(text) as u64
    }

    /// Looks an entity up with the values that the index must have of it.
    fn look_up(&self, wanted: &Wanted<'_>, found: &Found, key: &mut Vec<u8>) -> Result<(), CheckError> {
        let Wanted { id, record, values, .. } = *wanted;
        let text = values.iter().flatten().find(|value| is_text(value));
        let mut others = Vec::new();
        let count = match (text, &self.target.tree) {
            (Some(_), _) if self.kind == Kind::FullText => {
                let missing = values.iter().enumerate().filter(|(_, value)| value.is_none());
                found.documents(id, missing.map(|(place, _)| key_bit(place)).fold(0, |keys, key| keys | key))
            }
            (Some(text), _) => {
                let Some(hash) = with_bytes(text, |text| self.hash(text)) else { return Ok(()) };
                others.extend(found.with(hash).filter(|other| *other != id));
                found.count(id, hash)
            }
            (None, Some(entries)) => {
                let values: Vec<&Value> = values.iter().flatten().collect();
                if values.is_empty() || !self.target.key(id, &values, key) {
                    return Ok(());
                }
                if self.target.index.unique {
                    others = entities_with(self.target, entries, &values)?;
                    others.retain(|other| *other != id);
                }
                usize::from(entries.has(key)?)
            }
            // The index is not for such values.
            (None, None) => return Ok(()),
        };
        let report = self.context.report;
        let values = shown(values);
        let values = List(&values);
        if count == 0 {
            report.record(wanted.missing, record, &[&self.words.argument, &values]);
        }
        for other in others {
            report.record(c::NODE_NOT_UNIQUE, record, &[&self.words.argument, &values, &other]);
        }
        if count > 1 {
            report.record(wanted.multiple, record, &[&self.words.argument, &values, &count]);
        }
        Ok(())
    }
}
