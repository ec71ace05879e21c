//! A small database directory: stores, indexes, and the recovery of its indexes.

#![expect(clippy::cast_possible_truncation, reason = "tests know how small their numbers are")]

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use tempfile::TempDir;

use super::graph::{DYNAMIC_DATA, Graph};
use crate::gbptree::{Layout, Tree};
use crate::index::files;
use crate::index::statistics::{Sample, Statistics};
use crate::index::token::{Builder as TokenBuilder, TokenIndex, TokenRange, TokenState};
use crate::index::value::{Builder as ValueBuilder, SpatialSettings, ValueLayout, encode_key};
use crate::io::disk::{OsDisk, SharedDisk};
use crate::io::sort::Scratch;
use crate::recovery::RecoveryError;
use crate::recovery::index_updates::apply::Context;
use crate::recovery::index_updates::derive::MOST_EVENTS;
use crate::recovery::index_updates::{Collector, IndexOutcome, Watch};
use crate::store::format::Family;
use crate::store::id::{PropertyKeyId, SchemaId};
use crate::store::layout::{DatabaseLayout, INDEX_STATISTICS, RecordStore};
use crate::store::page_cache::PageCache;
use crate::store::schema::{
    EntityType, IndexProvider, IndexRule, IndexType, RuleKind, SchemaDescriptor, SchemaPattern, SchemaRule,
};
use crate::store::stores::Stores;
use crate::store::value::Value;
use crate::txlog::wire::Commands;

/// An index of nodes of label 0 unless told otherwise.
pub fn rule(id: u64, provider: IndexProvider, keys: &[u32]) -> SchemaRule {
    let (index_type, pattern) = match provider {
        IndexProvider::NativeBtree | IndexProvider::LuceneNative => {
            (IndexType::Btree, SchemaPattern::CompleteAllTokens)
        }
        IndexProvider::Fulltext => (IndexType::Fulltext, SchemaPattern::PartialAnyToken),
        IndexProvider::TokenLookup => (IndexType::Lookup, SchemaPattern::EntityTokens),
        IndexProvider::Text => (IndexType::Text, SchemaPattern::CompleteAllTokens),
        IndexProvider::Range => (IndexType::Range, SchemaPattern::CompleteAllTokens),
        IndexProvider::Point => (IndexType::Point, SchemaPattern::CompleteAllTokens),
    };
    let is_lookup = provider == IndexProvider::TokenLookup;
    SchemaRule {
        id: SchemaId(id),
        name: format!("index {id}"),
        schema: SchemaDescriptor {
            entity: EntityType::Node,
            pattern,
            entity_tokens: if is_lookup { Vec::new() } else { vec![0] },
            property_keys: keys.iter().copied().map(PropertyKeyId).collect(),
        },
        kind: RuleKind::Index(IndexRule {
            index_type,
            provider,
            unique: false,
            owning_constraint: None,
            config: BTreeMap::new(),
        }),
    }
}

pub fn index_of(rule: &SchemaRule) -> &IndexRule {
    let RuleKind::Index(index) = &rule.kind else { panic!("{rule:?} is a constraint") };
    index
}

pub fn index_mut(rule: &mut SchemaRule) -> &mut IndexRule {
    let RuleKind::Index(index) = &mut rule.kind else { panic!("it is a constraint") };
    index
}

/// Of relationships of type 0.
pub fn of_relationships(mut rule: SchemaRule) -> SchemaRule {
    rule.schema.entity = EntityType::Relationship;
    rule
}

/// What an index of a tree holds for a graph: all keys, sorted by their bytes.
pub fn keys_of(graph: &Graph, rule: &SchemaRule) -> BTreeSet<Vec<u8>> {
    let entities = graph.entities(rule.schema.entity);
    entities.keys().filter_map(|id| key_of(graph, rule, *id)).collect()
}

/// The key of an entity, if the index has it.
pub fn key_of(graph: &Graph, rule: &SchemaRule, id: u64) -> Option<Vec<u8>> {
    let entity = graph.entities(rule.schema.entity).get(&id)?;
    if !rule.schema.entity_tokens.iter().any(|token| entity.tokens.contains(token)) {
        return None;
    }
    let values: Option<Vec<&Value>> =
        rule.schema.property_keys.iter().map(|key| entity.properties.get(&key.0)).collect();
    let values = values?;
    let index = index_of(rule);
    if index.provider == IndexProvider::LuceneNative
        && matches!(values[..], [Value::String(_) | Value::Char(_)])
    {
        return None;
    }
    let (layout, mut key) = (ValueLayout::of(rule).unwrap(), Vec::new());
    let spatial = SpatialSettings::of(index).unwrap();
    encode_key(layout.keys(), id, values, &spatial, &mut key).unwrap().then_some(key)
}

/// What a lookup index holds for a graph: tokens with their entities.
pub fn tokens_of(graph: &Graph, entity: EntityType) -> BTreeSet<(u32, u64)> {
    let entities = graph.entities(entity);
    entities.iter().flat_map(|(id, entity)| entity.tokens.iter().map(|token| (*token, *id))).collect()
}

/// A database directory.
pub struct World {
    pub layout: DatabaseLayout,
    pub disk: SharedDisk,
    pub rules: Vec<SchemaRule>,
    pub implied_at_start: bool,
    pub implied_at_end: bool,
    /// What is watched, if it is not what the rules say.
    pub watch: Option<Watch>,
    pub most_events: usize,
    pub most_parts: usize,
    /// Bytes for sorters.
    pub memory: usize,
    /// Bytes of data in records of the dynamic stores.
    pub dynamic_data: usize,
    _directory: TempDir,
}

impl World {
    pub fn new(rules: Vec<SchemaRule>) -> Self {
        let directory = tempfile::tempdir().unwrap();
        Self {
            layout: DatabaseLayout::flat(directory.path()),
            disk: OsDisk::shared(),
            rules,
            implied_at_start: false,
            implied_at_end: false,
            watch: None,
            most_events: MOST_EVENTS,
            most_parts: 512 << 10,
            memory: 1 << 20,
            dynamic_data: DYNAMIC_DATA,
            _directory: directory,
        }
    }

    fn tree_path(&self, rule: &SchemaRule) -> PathBuf {
        files::tree(&self.layout, index_of(rule).provider, rule.id).unwrap()
    }

    /// Writes the file of a value index.
    pub fn write_keys(&self, rule: &SchemaRule, keys: impl IntoIterator<Item = Vec<u8>>) {
        let layout = ValueLayout::of(rule).unwrap();
        let mut keys: Vec<_> = keys.into_iter().collect();
        keys.sort_by(|a, b| layout.compare(a, b));
        let mut builder = ValueBuilder::new(&self.disk, &self.tree_path(rule), layout).unwrap();
        for key in &keys {
            builder.push(key).unwrap();
        }
        builder.finish().unwrap();
        if index_of(rule).provider == IndexProvider::LuceneNative {
            self.write_lucene(rule);
        }
    }

    /// Makes the directory of a Lucene index that is online.
    pub fn write_lucene(&self, rule: &SchemaRule) {
        let directory = files::lucene(&self.layout, index_of(rule).provider, rule.id).unwrap();
        let mut commit = b"what Lucene keeps there\x01\x06status\x06online\xc0\x28\x93\xe8\0\0\0\0".to_vec();
        let mut checksum = flate2::Crc::new();
        checksum.update(&commit);
        commit.extend_from_slice(&u64::from(checksum.sum()).to_be_bytes());
        std::fs::create_dir_all(directory.join("1")).unwrap();
        std::fs::write(directory.join("1/segments_1"), commit).unwrap();
    }

    pub fn has_files(&self, rule: &SchemaRule) -> bool {
        files::directory(&self.layout, index_of(rule).provider, rule.id).unwrap().exists()
    }

    /// Writes the file of a lookup index.
    pub fn write_tokens(&self, entity: EntityType, tokens: impl IntoIterator<Item = (u32, u64)>) {
        let mut ranges: BTreeMap<(u32, u64), u64> = BTreeMap::new();
        for (token, id) in tokens {
            *ranges.entry((token, id / 64)).or_default() |= 1 << (id % 64);
        }
        let mut builder = TokenBuilder::new(&self.disk, &files::lookup(&self.layout, entity)).unwrap();
        for ((token, range), entities) in ranges {
            builder.push(TokenRange { token, range, entities }).unwrap();
        }
        builder.finish().unwrap();
    }

    /// Writes the files of all rules as they are for a graph, Lucene's as mere markers.
    pub fn write_indexes(&self, graph: &Graph) {
        for rule in &self.rules {
            match index_of(rule).provider {
                IndexProvider::TokenLookup => {
                    self.write_tokens(rule.schema.entity, tokens_of(graph, rule.schema.entity));
                }
                IndexProvider::Text | IndexProvider::Fulltext => self.write_lucene(rule),
                _ => self.write_keys(rule, keys_of(graph, rule)),
            }
        }
    }

    /// The keys of a value index; it must be online and closed.
    pub fn keys(&self, rule: &SchemaRule) -> BTreeSet<Vec<u8>> {
        let layout = ValueLayout::of(rule).unwrap();
        let file = self.disk.open(&self.tree_path(rule)).unwrap();
        let tree = Tree::open(&PageCache::new(1 << 20), file, layout).unwrap();
        assert!(tree.was_clean());
        assert_eq!(tree.header(), [1]);
        let mut keys = BTreeSet::new();
        let mut cursor = tree.entries().unwrap();
        while let Some((key, _)) = cursor.next().unwrap() {
            keys.insert(key.to_vec());
        }
        keys
    }

    /// The entries of a lookup index; it must be online and closed.
    pub fn tokens(&self, entity: EntityType) -> BTreeSet<(u32, u64)> {
        let path = files::lookup(&self.layout, entity);
        let opened = TokenIndex::open(&PageCache::new(1 << 20), &*self.disk, &path).unwrap();
        let TokenState::Online(index) = opened else { panic!("{opened:?}") };
        assert!(index.tree().was_clean());
        let mut tokens = BTreeSet::new();
        let mut entries = index.entries().unwrap();
        while let Some(TokenRange { token, range, entities }) = entries.next().unwrap() {
            let ids = (0..64).filter(|bit| entities >> bit & 1 == 1).map(|bit| range * 64 + bit);
            tokens.extend(ids.map(|id| (token, id)));
        }
        tokens
    }

    /// All entries of the statistics store.
    pub fn statistics(&self) -> BTreeMap<u64, Sample> {
        let path = self.layout.database.join(INDEX_STATISTICS);
        let statistics = Statistics::open(&PageCache::new(1 << 20), &*self.disk, &path).unwrap().unwrap();
        let mut samples = BTreeMap::new();
        statistics.for_each(|id, sample| samples.extend([(id.0, sample)])).unwrap();
        samples
    }

    pub fn write_statistics(&self, ids: &[u64]) {
        let path = self.layout.database.join(INDEX_STATISTICS);
        Statistics::create(&self.disk, &path).unwrap();
        let opened = Statistics::open(&PageCache::new(1 << 20), &*self.disk, &path).unwrap();
        let mut statistics = opened.unwrap();
        let sample = Sample { unique_values: 1, sample_size: 2, updates: 3, index_size: 4 };
        for id in ids {
            statistics.put(SchemaId(*id), &sample).unwrap();
        }
        statistics.finish().unwrap();
    }

    /// Writes the stores anew as they are for a graph.
    pub fn write_stores(&self, cache: &PageCache, graph: &Graph) -> Stores {
        for store in RecordStore::ALL {
            let content = match store {
                RecordStore::NodeLabels
                | RecordStore::PropertyString
                | RecordStore::PropertyArray
                | RecordStore::PropertyKeyName
                | RecordStore::LabelName
                | RecordStore::RelationshipTypeName => (self.dynamic_data as u32 + 8).to_be_bytes().to_vec(),
                _ => Vec::new(),
            };
            std::fs::write(self.layout.record_store(store), content).unwrap();
        }
        let stores = Stores::open(cache, &*self.disk, &self.layout, Family::Standard).unwrap();
        graph.write(&stores);
        stores
    }

    /// Recovers the indexes: `end` is the graph at the end of the replay; transactions that are `false` are cut.
    pub fn recover(&self, end: &Graph, transactions: &[(bool, Vec<u8>)]) -> IndexOutcome {
        self.try_recover(end, transactions).unwrap()
    }

    pub fn try_recover(
        &self,
        end: &Graph,
        transactions: &[(bool, Vec<u8>)],
    ) -> Result<IndexOutcome, RecoveryError> {
        let cache = PageCache::new(1 << 20);
        let stores = self.write_stores(&cache, end);
        let scratch = Scratch::open(self.disk.clone(), &self.layout.database.join("scratch")).unwrap();
        let watch = self.watch.clone().unwrap_or_else(|| Watch::of(&self.rules, self.implied_at_start));
        let mut collector = Collector::with_parts(&scratch, self.memory, 2, watch, self.most_parts);
        for (replayed, transaction) in transactions {
            collector.begin_transaction(*replayed);
            for command in Commands::new(transaction).unwrap() {
                collector.command(&command)?;
            }
            collector.end_transaction()?;
        }
        let context = Context {
            stores: &stores,
            rules: &self.rules,
            implied_label_index: self.implied_at_end,
            layout: &self.layout,
            disk: &self.disk,
            cache: &cache,
            scratch: &scratch,
            memory: self.memory,
            threads: 2,
        };
        collector.finish()?.apply_in_chunks(&context, self.most_events)
    }

    /// The indexes of trees hold what they must for a graph.
    pub fn assert_holds(&self, graph: &Graph) {
        for rule in &self.rules {
            match index_of(rule).provider {
                IndexProvider::TokenLookup => {
                    assert_eq!(self.tokens(rule.schema.entity), tokens_of(graph, rule.schema.entity));
                }
                IndexProvider::Text | IndexProvider::Fulltext => {}
                IndexProvider::LuceneNative if !self.has_files(rule) => {}
                _ => assert_eq!(self.keys(rule), keys_of(graph, rule), "{rule:?}"),
            }
        }
    }
}
