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
use crate::gbptree::{Layout, Tree, TreeError};
use crate::index::lucene::is_text;
use crate::index::value::{SpatialSettings, ValueLayout, encode_key};
use crate::store::error::StoreError;
use crate::store::schema::{EntityType, IndexRule, RuleKind, SchemaRule};
use crate::store::value::Value;

/// A tree of values that can be compared with the store.
#[derive(Debug)]
pub(super) struct Target<'a> {
    pub rule: &'a SchemaRule,
    pub index: &'a IndexRule,
    pub tree: &'a Tree<ValueLayout>,
    spatial: SpatialSettings,
    /// Texts are not in the tree but in Lucene.
    texts_elsewhere: bool,
}

impl<'a> Target<'a> {
    /// `None`: the index has no tree.
    pub fn of(index: &'a PropertyIndex) -> Option<Self> {
        let PropertyIndex { rule, tree: Some(tree), lucene, .. } = index else { return None };
        let RuleKind::Index(index) = &rule.kind else { return None };
        let spatial = SpatialSettings::of(index).unwrap_or_default();
        let texts_elsewhere = lucene.is_some() && rule.schema.property_keys.len() == 1;
        Some(Self { rule, index, tree, spatial, texts_elsewhere })
    }

    /// Whether entities with these labels or this type are in the index.
    pub fn covers(&self, tokens: &[i64]) -> bool {
        self.rule.schema.entity_tokens.iter().any(|token| tokens.contains(&i64::from(*token)))
    }

    /// The keys of the properties that it has.
    pub fn property_keys(&self) -> impl Iterator<Item = u32> {
        self.rule.schema.property_keys.iter().map(|key| key.0)
    }

    /// The values of an entity that the index must have; `None`: it must have none.
    pub fn values<'v>(&self, found: &'v [(u32, Value)], values: &mut Vec<&'v Value>) -> bool {
        values.clear();
        for key in self.property_keys() {
            let Some((_, value)) = found.iter().find(|(other, _)| *other == key) else { return false };
            values.push(value);
        }
        !(self.texts_elsewhere && values.iter().any(|value| is_text(value)))
    }

    /// Makes the key of an entity with these values; `false`: such an index does not have them.
    pub fn key(&self, entity: u64, values: &[&Value], key: &mut Vec<u8>) -> bool {
        // What is too long for a key can't be in the index; then the sums differ.
        let values = values.iter().copied();
        encode_key(self.tree.layout().keys(), entity, values, &self.spatial, key).unwrap_or_default()
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

/// Claims of one thread, a sum per index.
struct Pass<'a> {
    sums: Vec<u128>,
    reader: ValueReader<'a>,
    key: Vec<u8>,
    labels: LabelReader<'a>,
    found: Labels,
    nodes: RawReader<'a, RawNode>,
}

impl<'a> Pass<'a> {
    fn new(context: &'a Context<'a>, targets: usize) -> Self {
        Self {
            sums: vec![0; targets],
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
                *sum = sum.wrapping_add(mixer.bytes(&entity.to_be_bytes()));
            } else if target.values(&self.reader.found, &mut values)
                && target.key(entity, &values, &mut self.key)
            {
                *sum = sum.wrapping_add(mixer.bytes(&self.key));
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

/// Compares all indexes with the store; whether each has just the values of the store, each once where it must be.
pub(super) fn verify(
    context: &Context<'_>,
    targets: &[Target<'_>],
    table: &NodeTable,
    sets: &[Box<[i64]>],
    mixer: Mixer,
) -> Result<Vec<bool>, CheckError> {
    let mut sums = vec![0_u128; targets.len()];
    let mut add = |parts: Vec<Vec<u128>>| {
        for part in parts {
            sums.iter_mut().zip(part).for_each(|(sum, part)| *sum = sum.wrapping_add(part));
        }
    };
    if targets.iter().any(|target| target.rule.schema.entity == EntityType::Node) {
        add(claim_nodes(context, targets, table, sets, mixer)?);
    }
    if targets.iter().any(|target| target.rule.schema.entity == EntityType::Relationship) {
        add(claim_relationships(context, targets, mixer)?);
    }
    let found: Vec<Mutex<(u128, bool)>> = targets.iter().map(|_| Mutex::new((0, false))).collect();
    let next = AtomicUsize::new(0);
    in_threads(context.threads.min(targets.len()), |_| {
        loop {
            let at = next.fetch_add(1, Ordering::Relaxed);
            let (Some(target), Some(found)) = (targets.get(at), found.get(at)) else { return Ok(()) };
            *found.lock() = read_entries(target, mixer)?;
        }
    })?;
    let found = found.into_iter().map(Mutex::into_inner);
    Ok(sums.into_iter().zip(found).map(|(sum, (entries, sound))| sound && sum == entries).collect())
}

fn claim_nodes(
    context: &Context<'_>,
    targets: &[Target<'_>],
    table: &NodeTable,
    sets: &[Box<[i64]>],
    mixer: Mixer,
) -> Result<Vec<Vec<u128>>, CheckError> {
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
) -> Result<Vec<Vec<u128>>, CheckError> {
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

/// The sum of all entries of an index, and whether they can be read and no value is there twice that must not be.
fn read_entries(target: &Target<'_>, mixer: Mixer) -> Result<(u128, bool), CheckError> {
    let (mut sum, mut sound) = (0_u128, true);
    let mut last = Vec::new();
    let mut read = || -> Result<(), TreeError> {
        let mut entries = target.tree.entries()?;
        while let Some((key, _)) = entries.next()? {
            sum = sum.wrapping_add(mixer.bytes(key));
            if target.index.unique {
                sound &= !same_values(*target.tree.layout(), &mut last, key);
                last.clear();
                last.extend_from_slice(key);
            }
        }
        Ok(())
    };
    match read() {
        Ok(()) => Ok((sum, sound)),
        Err(error @ (TreeError::Disk(_) | TreeError::Cache(_))) => Err(error.into()),
        Err(_) => Ok((sum, false)),
    }
}

/// Bytes of the entity at the start of a key.
const ENTITY: usize = 8;

/// Whether two keys have the same values. The entity of `last` is lost.
pub(super) fn same_values(layout: ValueLayout, last: &mut [u8], key: &[u8]) -> bool {
    let (Some(to), Some(from)) = (last.get_mut(..ENTITY), key.get(..ENTITY)) else { return false };
    to.copy_from_slice(from);
    layout.compare(last, key) == std::cmp::Ordering::Equal
}
