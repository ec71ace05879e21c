//! The contents of property indexes: one pass that shows whether an index has just the values of the store.
//!
//! Each entity that an index is for claims the key that the index must have for it; each entry takes such a claim away.
//! Specification: consistency check 2.10, 6.5 F6.

use std::sync::atomic::{AtomicUsize, Ordering};

use parking_lot::Mutex;

use super::blocks::Blocks;
use super::context::Context;
use super::error::CheckError;
use super::fingerprint::Mixer;
use super::indexes::PropertyIndex;
use super::labels::{LabelReader, Labels};
use super::node_table::{NodeTable, UNNUMBERED};
use super::raw::{NONE, RawNode, RawProperty, RawReader, RawRelationship};
use super::scan::{in_threads, scan};
use super::texts::{self, Kind, Texts, Words};
use super::value_entries::Entries;
use crate::gbptree::Layout;
use crate::index::lucene::{LuceneError, is_text};
use crate::index::value::{SpatialSettings, ValueLayout, encode_key};
use crate::io::disk::Disk;
use crate::store::error::StoreError;
use crate::store::schema::{EntityType, IndexRule, IndexType, RuleKind, SchemaRule};
use crate::store::value::Value;

/// An index whose contents can be compared with the store.
#[derive(Debug)]
pub(super) struct Target<'a> {
    pub rule: &'a SchemaRule,
    pub index: &'a IndexRule,
    /// Values, or those that are no texts; `None`: Lucene has all.
    pub tree: Option<Entries<'a>>,
    /// How texts are kept, if Lucene has them.
    pub kind: Option<Kind>,
    /// What Lucene has; `None`: it can't be read.
    pub texts: Option<Texts<'a>>,
    /// Keys that may have words, where a document with words of others is not the one that is looked up.
    words: Option<Words>,
    spatial: SpatialSettings,
}

impl<'a> Target<'a> {
    /// `None`: neither part of the index can be read. `large`: the entities of the index are compared as a whole.
    pub fn of(
        context: &'a Context<'_>,
        disk: &'a dyn Disk,
        index: &'a PropertyIndex,
        large: bool,
    ) -> Option<Self> {
        let RuleKind::Index(rule) = &index.rule.kind else { return None };
        let tree = index.tree.as_ref().map(|tree| Entries::new(tree, index.damaged));
        let texts = Texts::of(context, disk, index);
        let schema = &index.rule.schema;
        let words = (Kind::of(index) == Some(Kind::FullText) && !large).then(|| {
            let (high, slots) = match schema.entity {
                EntityType::Node => (context.high.nodes, context.stores.nodes.slots()),
                EntityType::Relationship => {
                    (context.high.relationships, context.stores.relationships.slots())
                }
            };
            // A damaged id file may say anything.
            let high = high.min(slots.file().pages().saturating_mul(slots.per_page()));
            Words::new(high, schema.property_keys.len())
        });
        (tree.is_some() || texts.is_some()).then(|| Self {
            rule: &index.rule,
            index: rule,
            tree,
            kind: Kind::of(index),
            texts,
            words,
            spatial: SpatialSettings::of(rule).unwrap_or_default(),
        })
    }

    /// Whether entities with these labels or this type are in the index.
    pub fn covers(&self, tokens: &[i64]) -> bool {
        self.rule.schema.entity_tokens.iter().any(|token| tokens.contains(&i64::from(*token)))
    }

    /// The keys of the properties that it has.
    pub fn property_keys(&self) -> impl Iterator<Item = u32> {
        self.rule.schema.property_keys.iter().map(|key| key.0)
    }

    /// The values of an entity that the index must have; `false`: it must have none of the entity.
    pub fn values<'v>(&self, found: &'v [(u32, Value)], values: &mut Vec<&'v Value>) -> bool {
        values.clear();
        for key in self.property_keys() {
            match found.iter().find(|(other, _)| *other == key) {
                Some((_, value)) => values.push(value),
                None if self.kind == Some(Kind::FullText) => {}
                None => return false,
            }
        }
        match self.kind {
            Some(Kind::FullText) => values.iter().any(|value| is_text(value)),
            Some(Kind::Text) => self.tree.is_some() || values.iter().any(|value| is_text(value)),
            // What the rule says, whatever the provider keeps.
            None => values.iter().all(|value| match self.index.index_type {
                IndexType::Btree | IndexType::Range => true,
                IndexType::Text | IndexType::Fulltext => is_text(value),
                IndexType::Point => matches!(value, Value::Point(_)),
                IndexType::Lookup => false,
            }),
        }
    }

    /// Whether Lucene has these values.
    pub fn is_in_lucene(&self, values: &[&Value]) -> bool {
        self.kind.is_some() && values.iter().any(|value| is_text(value))
    }

    fn claim_words(&self, entity: u64, found: &[(u32, Value)]) {
        let Some(words) = &self.words else { return };
        for (place, key) in self.property_keys().enumerate() {
            let value = found.iter().find(|(other, _)| *other == key);
            if value.is_some_and(|(_, value)| is_text(value)) {
                words.set(entity, place);
            }
        }
    }

    /// Makes the key that the tree has of an entity with these values; `false`: it has none.
    pub fn key(&self, entity: u64, values: &[&Value], key: &mut Vec<u8>) -> bool {
        let Some(Entries { tree, .. }) = self.tree.as_ref().filter(|_| !self.is_in_lucene(values)) else {
            return false;
        };
        // What is too long for a key can't be in the index; then the sums differ.
        let values = values.iter().copied();
        encode_key(tree.layout().keys(), entity, values, &self.spatial, key).unwrap_or_default()
    }
}

/// Records of a chain that are read for its values; a longer one is left to the explaining pass.
const MOST_RECORDS: usize = 4096;

/// Reads the values of some keys.
struct ValueReader<'a> {
    context: &'a Context<'a>,
    records: RawReader<'a, RawProperty>,
    bytes: Vec<u8>,
    found: Vec<(u32, Value)>,
}

impl<'a> ValueReader<'a> {
    fn new(context: &'a Context<'a>) -> Self {
        Self { context, records: context.properties(), bytes: Vec::new(), found: Vec::new() }
    }

    /// The values of those of `keys` that an entity has; `false`: they can't be read.
    fn read(&mut self, first: i64, keys: &[u32]) -> Result<bool, StoreError> {
        self.found.clear();
        let mut id = first;
        for _ in 0..MOST_RECORDS {
            if id == NONE {
                return Ok(true);
            }
            let record = self.records.get(id)?;
            if !record.used {
                return Ok(false);
            }
            for block in Blocks::of(&record.words) {
                let Ok(block) = block else { return Ok(false) };
                if keys.contains(&block.key.0) {
                    let property = crate::store::id::PropertyId(id as u64);
                    let Ok(value) = self.context.stores.value(property, &block, &mut self.bytes) else {
                        return Ok(false);
                    };
                    self.found.push((block.key.0, value));
                }
            }
            id = record.next;
        }
        Ok(false)
    }
}

/// The sums of an index: of what its tree has, and of what Lucene has.
#[derive(Clone, Copy, Debug, Default)]
struct Sums {
    tree: u128,
    texts: u128,
}

impl Sums {
    fn add(&mut self, other: Self) {
        self.tree = self.tree.wrapping_add(other.tree);
        self.texts = self.texts.wrapping_add(other.texts);
    }
}

/// How an index and the store compare.
#[derive(Debug, Default)]
pub(super) struct Compared {
    /// Whether they are equal, as far as the index can be read.
    pub equal: bool,
    /// What is wrong with the files of Lucene.
    pub damage: Option<LuceneError>,
    /// Whether what Lucene has could not be read.
    pub unreadable: bool,
}

/// Claims of one thread, sums per index.
struct Pass<'a> {
    sums: Vec<Sums>,
    reader: ValueReader<'a>,
    key: Vec<u8>,
    labels: LabelReader<'a>,
    found: Labels,
    nodes: RawReader<'a, RawNode>,
}

impl<'a> Pass<'a> {
    fn new(context: &'a Context<'a>, targets: usize) -> Self {
        Self {
            sums: vec![Sums::default(); targets],
            reader: ValueReader::new(context),
            key: Vec::new(),
            labels: LabelReader::new(context),
            found: Labels::default(),
            nodes: context.nodes(),
        }
    }

    /// An entity claims its keys in the indexes that it is for.
    fn claim(
        &mut self,
        mixer: Mixer,
        targets: &[Target<'_>],
        wanted: &Wanted,
        (entity, first): (u64, i64),
    ) -> Result<(), CheckError> {
        if first == NONE {
            return Ok(());
        }
        let sound = self.reader.read(first, &wanted.keys)?;
        let mut values = Vec::new();
        for &at in &wanted.targets {
            let (Some(target), Some(sum)) = (targets.get(at), self.sums.get_mut(at)) else { continue };
            if !sound {
                // Something that no entry takes away: the index is looked at once more.
                let hash = mixer.bytes(&entity.to_be_bytes());
                sum.add(Sums { tree: hash, texts: hash });
            } else if target.values(&self.reader.found, &mut values) {
                let texts = target.kind.and_then(|kind| texts::claim(mixer, kind, entity, &values));
                sum.texts = sum.texts.wrapping_add(texts.unwrap_or_default());
                target.claim_words(entity, &self.reader.found);
                if target.key(entity, &values, &mut self.key) {
                    sum.tree = sum.tree.wrapping_add(mixer.bytes(&self.key));
                }
            }
        }
        Ok(())
    }
}

/// What is wanted of entities with some labels or a type.
#[derive(Clone, Debug, Default)]
struct Wanted {
    targets: Vec<usize>,
    keys: Vec<u32>,
}

impl Wanted {
    fn of(targets: &[Target<'_>], entity: EntityType, tokens: &[i64]) -> Self {
        let mut wanted = Self::default();
        for (at, target) in targets.iter().enumerate() {
            if target.rule.schema.entity == entity && target.covers(tokens) {
                wanted.targets.push(at);
                wanted.keys.extend(target.property_keys());
            }
        }
        wanted.keys.sort_unstable();
        wanted.keys.dedup();
        wanted
    }
}

/// Compares all indexes with the store: whether each has just the values of the store, each once where it must be.
pub(super) fn verify(
    context: &Context<'_>,
    targets: &[Target<'_>],
    table: &NodeTable,
    sets: &[Box<[i64]>],
    mixer: Mixer,
) -> Result<Vec<Compared>, CheckError> {
    let mut sums = vec![Sums::default(); targets.len()];
    let mut add = |parts: Vec<Vec<Sums>>| {
        for part in parts {
            sums.iter_mut().zip(part).for_each(|(sum, part)| sum.add(part));
        }
    };
    if targets.iter().any(|target| target.rule.schema.entity == EntityType::Node) {
        add(claim_nodes(context, targets, table, sets, mixer)?);
    }
    if targets.iter().any(|target| target.rule.schema.entity == EntityType::Relationship) {
        add(claim_relationships(context, targets, mixer)?);
    }
    let found: Vec<Mutex<Compared>> = targets.iter().map(|_| Mutex::default()).collect();
    let next = AtomicUsize::new(0);
    in_threads(context.threads.min(targets.len()), |_| {
        loop {
            let at = next.fetch_add(1, Ordering::Relaxed);
            let (Some(target), Some(found)) = (targets.get(at), found.get(at)) else { return Ok(()) };
            *found.lock() = compare(target, sums.get(at).copied().unwrap_or_default(), mixer)?;
        }
    })?;
    Ok(found.into_iter().map(Mutex::into_inner).collect())
}

fn claim_nodes(
    context: &Context<'_>,
    targets: &[Target<'_>],
    table: &NodeTable,
    sets: &[Box<[i64]>],
    mixer: Mixer,
) -> Result<Vec<Vec<Sums>>, CheckError> {
    let by_set: Vec<Wanted> =
        sets.iter().map(|labels| Wanted::of(targets, EntityType::Node, labels)).collect();
    let slots = context.stores.nodes.slots();
    let begin = || Pass::new(context, targets.len());
    let visit = |pass: &mut Pass<'_>, node: RawNode| {
        if !node.used || node.property == NONE {
            return Ok(());
        }
        let set = table.get(node.id).set();
        let entity = (node.id as u64, node.property);
        if set == UNNUMBERED {
            let node = pass.nodes.get(node.id)?;
            pass.labels.read(&node, &mut pass.found, false)?;
            let wanted = Wanted::of(targets, EntityType::Node, &pass.found.sorted);
            return pass.claim(mixer, targets, &wanted, entity);
        }
        match by_set.get(set as usize) {
            Some(wanted) if !wanted.targets.is_empty() => pass.claim(mixer, targets, wanted, entity),
            _ => Ok(()),
        }
    };
    scan(
        slots,
        context.high.nodes,
        context.threads,
        begin,
        |pass, chunk, units| chunk.records(units, |node: RawNode| visit(pass, node)),
        |pass| pass.sums,
    )
}

fn claim_relationships(
    context: &Context<'_>,
    targets: &[Target<'_>],
    mixer: Mixer,
) -> Result<Vec<Vec<Sums>>, CheckError> {
    let types = i64::try_from(context.types.high).unwrap_or(i64::MAX);
    let by_type: Vec<Wanted> =
        (0..types).map(|type_id| Wanted::of(targets, EntityType::Relationship, &[type_id])).collect();
    let slots = context.stores.relationships.slots();
    let begin = || Pass::new(context, targets.len());
    let visit = |pass: &mut Pass<'_>, relationship: RawRelationship| {
        if !relationship.used || relationship.property == NONE {
            return Ok(());
        }
        match usize::try_from(relationship.type_id).ok().and_then(|type_id| by_type.get(type_id)) {
            Some(wanted) if !wanted.targets.is_empty() => {
                pass.claim(mixer, targets, wanted, (relationship.id as u64, relationship.property))
            }
            _ => Ok(()),
        }
    };
    scan(
        slots,
        context.high.relationships,
        context.threads,
        begin,
        |pass, chunk, units| chunk.records(units, |relationship| visit(pass, relationship)),
        |pass| pass.sums,
    )
}

/// Compares what is in an index with what the store claims.
fn compare(target: &Target<'_>, claimed: Sums, mixer: Mixer) -> Result<Compared, CheckError> {
    let mut compared = Compared { equal: true, ..Compared::default() };
    if let Some(entries) = &target.tree {
        let (sum, sound) = read_entries(target, entries, mixer)?;
        compared.equal = sound && sum == claimed.tree;
    }
    if let Some(texts) = &target.texts {
        match texts.compare(claimed.texts, target.words.as_ref(), mixer) {
            Ok(comparison) => {
                compared.equal &= comparison.equal;
                compared.damage = comparison.damage;
            }
            Err(CheckError::Lucene(LuceneError::Disk(error))) => return Err(error.into()),
            Err(CheckError::Lucene(error)) => {
                compared.damage = Some(error);
                compared.unreadable = true;
            }
            Err(error) => return Err(error),
        }
    }
    Ok(compared)
}

/// The sum of all entries of a tree, and whether its structure is sound, as far as that is known, and no value is there twice
/// that must not be.
fn read_entries(
    target: &Target<'_>,
    entries: &Entries<'_>,
    mixer: Mixer,
) -> Result<(u128, bool), CheckError> {
    let (mut sum, mut sound) = (0_u128, true);
    let mut last = Vec::new();
    entries.all(&mut |key| {
        sum = sum.wrapping_add(mixer.bytes(key));
        if target.index.unique {
            sound &= !same_values(*entries.tree.layout(), &mut last, key);
            last.clear();
            last.extend_from_slice(key);
        }
        Ok(true)
    })?;
    Ok((sum, sound && entries.is_sound()))
}

/// Bytes of the entity at the start of a key.
const ENTITY: usize = 8;

/// Whether two keys have the same values. The entity of `last` is lost.
pub(super) fn same_values(layout: ValueLayout, last: &mut [u8], key: &[u8]) -> bool {
    let (Some(to), Some(from)) = (last.get_mut(..ENTITY), key.get(..ENTITY)) else { return false };
    to.copy_from_slice(from);
    layout.compare(last, key) == std::cmp::Ordering::Equal
}
