//! Indexes built from the stores as they are in the end.

use std::cmp::Ordering;
use std::path::Path;

use rustc_hash::FxHashMap;

use super::apply::Context;
use super::finals::Finals;
use super::key_order::{KeyOrder, Op};
use super::outcome::{Cause, Index};
use crate::gbptree::Layout;
use crate::index::files;
use crate::index::statistics::Sample;
use crate::index::token_scan::TokenScan;
use crate::index::value::{Builder as ValueBuilder, SpatialSettings, ValueLayout, encode_key};
use crate::io::sort::{Sorted, Sorter};
use crate::recovery::{RecoveryError, parallel};
use crate::store::schema::{EntityType, IndexProvider, IndexRule, SchemaRule};
use crate::store::value::Value;

/// An index to build.
#[derive(Debug)]
pub(super) struct Build<'a> {
    pub rule: &'a SchemaRule,
    pub index: &'a IndexRule,
    pub cause: Cause,
}

/// What came of it.
#[derive(Debug)]
pub(super) struct Built {
    pub index: Index,
    pub cause: Cause,
    pub result: Result<Sample, Cause>,
}

/// Builds indexes: one scan of the nodes and one of the relationships for all of them.
pub(super) fn build(context: &Context<'_>, builds: Vec<Build<'_>>) -> Result<Vec<Built>, RecoveryError> {
    if builds.is_empty() {
        return Ok(Vec::new());
    }
    let memory = context.memory / builds.len();
    let (mut nodes, mut relationships) = (Vec::new(), Vec::new());
    for build in builds {
        let growing = Growing::new(context, build, memory)?;
        match growing.build.rule.schema.entity {
            EntityType::Node => nodes.push(growing),
            EntityType::Relationship => relationships.push(growing),
        }
    }
    let scans = [(EntityType::Node, nodes), (EntityType::Relationship, relationships)];
    let scans = scans.into_iter().filter(|(_, growing)| !growing.is_empty());
    let grown = parallel::map(context.threads, scans.collect(), |(entity, mut growing)| {
        scan(context, entity, &mut growing)?;
        Ok(growing)
    })?;
    let grown = grown.into_iter().flatten().collect();
    parallel::map(context.threads, grown, |growing: Growing<'_>| growing.finish(context))
}

/// An index whose entries are gathered.
struct Growing<'a> {
    build: Build<'a>,
    entries: Entries,
    /// Why it can't be built.
    failed: Option<Cause>,
}

enum Entries {
    Values {
        layout: ValueLayout,
        spatial: SpatialSettings,
        properties: Vec<u32>,
        sorter: Sorter<KeyOrder>,
        /// Of the entity at hand.
        values: Vec<Value>,
    },
    Tokens(TokenScan),
}

impl<'a> Growing<'a> {
    fn new(context: &Context<'_>, build: Build<'a>, memory: usize) -> Result<Self, RecoveryError> {
        let mut failed = None;
        let entries = if let Some(layout) = ValueLayout::of(build.rule) {
            Entries::Values {
                layout,
                spatial: super::spatial(build.rule, build.index)?,
                properties: build.rule.schema.property_keys.iter().map(|key| key.0).collect(),
                sorter: Sorter::new(context.scratch, memory, KeyOrder(layout)),
                values: Vec::new(),
            }
        } else {
            if build.index.provider != IndexProvider::TokenLookup {
                failed = Some(Cause::Unusable("no key has so many properties".to_owned()));
            }
            Entries::Tokens(TokenScan::new(context.scratch, memory))
        };
        Ok(Self { build, entries, failed })
    }

    /// Takes an entity that has one of its tokens.
    fn entity(&mut self, id: u64, finals: &mut Finals<'_>, key: &mut Vec<u8>) -> Result<(), RecoveryError> {
        let Entries::Values { layout, spatial, properties, sorter, values } = &mut self.entries else {
            return Ok(());
        };
        if self.failed.is_some() {
            return Ok(());
        }
        values.clear();
        for property in properties.iter() {
            match finals.value(*property)? {
                Some(value) => values.push(value),
                None => return Ok(()),
            }
        }
        match encode_key(layout.keys(), id, values.iter(), spatial, key) {
            Ok(true) => sorter.push_parts(&[&[Op::Put.byte()], key])?,
            Ok(false) => {}
            Err(error) => self.failed = Some(Cause::Value { entity: id, reason: error.to_string() }),
        }
        Ok(())
    }

    fn finish(self, context: &Context<'_>) -> Result<Built, RecoveryError> {
        let Self { build: Build { rule, index, cause }, entries, failed } = self;
        let named = Index::of(rule, index);
        let result = match (failed, entries) {
            (Some(failed), _) => Err(failed),
            (None, Entries::Tokens(scan)) => Ok(finish_tokens(context, rule, scan)?),
            (None, Entries::Values { layout, sorter, .. }) => {
                match files::tree(context.layout, index.provider, rule.id) {
                    Some(path) => finish_values(context, &path, layout, index.unique, sorter.finish()?)?,
                    None => Err(cause.clone()),
                }
            }
        };
        Ok(Built { index: named, cause, result })
    }
}

/// Writes a lookup index. It has no statistics; the entries count for the report.
fn finish_tokens(context: &Context<'_>, rule: &SchemaRule, scan: TokenScan) -> Result<Sample, RecoveryError> {
    let path = files::lookup(context.layout, rule.schema.entity);
    Ok(Sample { index_size: scan.build(context.disk, &path)?.cast_signed(), ..Sample::default() })
}

/// Writes a value index, unless two entities share what must be unique.
fn finish_values(
    context: &Context<'_>,
    path: &Path,
    layout: ValueLayout,
    unique: bool,
    mut sorted: Sorted<KeyOrder>,
) -> Result<Result<Sample, Cause>, RecoveryError> {
    let mut builder = ValueBuilder::new(context.disk, path, layout)?;
    let mut last: Vec<u8> = Vec::new();
    let (mut entries, mut distinct) = (0, 0);
    while let Some(record) = sorted.next()? {
        let (_, key) = Op::read(record);
        if entries > 0 && same_values(layout, &mut last, key) {
            if unique {
                let (first, second) = (entity_of(&last), entity_of(key));
                return Ok(Err(Cause::NotUnique { first, second }));
            }
        } else {
            distinct += 1;
        }
        builder.push(key)?;
        entries += 1;
        last.clear();
        last.extend_from_slice(key);
    }
    builder.finish()?;
    Ok(Ok(Sample { unique_values: distinct, sample_size: entries, updates: 0, index_size: entries }))
}

/// Bytes of the entity at the start of a key.
const ENTITY: usize = 8;

/// Whether two keys have the same values, whatever their entities; `last` gets its entity back.
fn same_values(layout: ValueLayout, last: &mut [u8], key: &[u8]) -> bool {
    let Some(own) = last.first_chunk::<ENTITY>().copied() else { return false };
    let Some(other) = key.first_chunk::<ENTITY>() else { return false };
    let swap = |last: &mut [u8], entity: [u8; ENTITY]| {
        if let Some(place) = last.first_chunk_mut::<ENTITY>() {
            *place = entity;
        }
    };
    swap(last, *other);
    let same = layout.compare(last, key) == Ordering::Equal;
    swap(last, own);
    same
}

fn entity_of(key: &[u8]) -> u64 {
    key.first_chunk::<ENTITY>().map_or(0, |entity| u64::from_be_bytes(*entity))
}

/// Gathers the entries of indexes of nodes or of relationships.
fn scan(context: &Context<'_>, entity: EntityType, growing: &mut [Growing<'_>]) -> Result<(), RecoveryError> {
    let mut by_token: FxHashMap<u32, Vec<usize>> = FxHashMap::default();
    let mut lookups = Vec::new();
    for (number, growing) in growing.iter().enumerate() {
        match growing.entries {
            Entries::Tokens(_) => lookups.push(number),
            Entries::Values { .. } => {
                for token in &growing.build.rule.schema.entity_tokens {
                    by_token.entry(*token).or_default().push(number);
                }
            }
        }
    }
    let mut finals = Finals::new(context.stores);
    let mut key = Vec::new();
    let mut visit = |id: u64, tokens: &[u32], property| -> Result<(), RecoveryError> {
        for number in &lookups {
            if let Some(Entries::Tokens(scan)) = growing.get_mut(*number).map(|growing| &mut growing.entries)
            {
                tokens.iter().try_for_each(|token| scan.add(*token, id))?;
            }
        }
        let mut turned = false;
        for number in tokens.iter().filter_map(|token| by_token.get(token)).flatten() {
            if !std::mem::replace(&mut turned, true) {
                finals.turn_to_record(entity, id, property);
            }
            if let Some(growing) = growing.get_mut(*number) {
                growing.entity(id, &mut finals, &mut key)?;
            }
        }
        Ok(())
    };
    match entity {
        EntityType::Node => {
            let (mut buffer, mut labels, mut tokens) = (Vec::new(), Vec::new(), Vec::new());
            context.stores.nodes.scan(|id, node| {
                context.stores.labels(id, node.labels, &mut buffer, &mut labels)?;
                tokens.clear();
                tokens.extend(labels.iter().map(|label| label.0));
                visit(id.0, &tokens, node.property)
            })
        }
        EntityType::Relationship => context
            .stores
            .relationships
            .scan(|id, relationship| visit(id.0, &[relationship.type_id.0], relationship.property)),
    }
}
