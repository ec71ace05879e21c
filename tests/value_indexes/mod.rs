//! Value indexes that a kernel wrote, compared with the record stores; and ours, which a kernel must take for its own.

mod fuzz;
mod kernel;
mod real_stores;

use std::cmp::Ordering;
use std::collections::BTreeMap;
use std::path::Path;

use neo4j_admin::gbptree::{Layout, Tree};
use neo4j_admin::index::value::{Builder, SpatialSettings, ValueLayout, ValueState, decode_key, encode_key};
use neo4j_admin::index::{files, lucene};
use neo4j_admin::io::disk::OsDisk;
use neo4j_admin::store::error::StoreError;
use neo4j_admin::store::id::PropertyId;
use neo4j_admin::store::labels::{self, Labels};
use neo4j_admin::store::layout::DatabaseLayout;
use neo4j_admin::store::page_cache::PageCache;
use neo4j_admin::store::record::Node;
use neo4j_admin::store::schema::{EntityType, IndexProvider, IndexRule, RuleKind, SchemaRule};
use neo4j_admin::store::stores::Stores;
use neo4j_admin::store::tokens::Tokens;
use neo4j_admin::store::value::Value;

use crate::support::digest;

/// A database that needs no recovery.
struct Database {
    layout: DatabaseLayout,
    stores: Stores,
    rules: Vec<SchemaRule>,
}

/// An index with a tree of values.
struct ValueIndex<'a> {
    rule: &'a SchemaRule,
    index: &'a IndexRule,
    layout: ValueLayout,
}

impl<'a> ValueIndex<'a> {
    fn of(rule: &'a SchemaRule) -> Option<Self> {
        match &rule.kind {
            RuleKind::Index(index) => Some(Self { rule, index, layout: ValueLayout::of(rule)? }),
            RuleKind::Constraint(_) => None,
        }
    }
}

impl Database {
    fn open(directory: &Path) -> Self {
        let stores = digest::open(directory, 8 << 20);
        let keys = Tokens::property_keys(&stores).expect("property keys");
        let rules = SchemaRule::read_all(&stores, &keys).expect("rules");
        Self { layout: DatabaseLayout::flat(directory), stores, rules }
    }

    fn indexes(&self) -> Vec<ValueIndex<'_>> {
        self.rules.iter().filter_map(ValueIndex::of).collect()
    }

    fn tree(&self, index: &ValueIndex<'_>) -> Tree<ValueLayout> {
        let path = files::tree(&self.layout, index.index.provider, index.rule.id).expect("a tree");
        match ValueState::open(&PageCache::new(4 << 20), &OsDisk, &path, index.layout).expect("readable") {
            ValueState::Online(tree) => tree,
            other => panic!("{}: {other:?}", path.display()),
        }
    }

    /// The key of each entity that belongs into an index, made of the record stores.
    fn expected(&self, index: &ValueIndex<'_>) -> BTreeMap<u64, Vec<u8>> {
        let token = index.rule.schema.entity_tokens[0];
        let mut owners = Vec::new();
        match index.rule.schema.entity {
            EntityType::Node => self.stores.nodes.scan(|id, node| {
                if self.labels(&node)?.contains(&token) {
                    owners.push((id.0, node.property));
                }
                Ok::<_, StoreError>(())
            }),
            EntityType::Relationship => self.stores.relationships.scan(|id, relationship| {
                if relationship.type_id.0 == token {
                    owners.push((id.0, relationship.property));
                }
                Ok(())
            }),
        }
        .expect("good records");
        let spatial = SpatialSettings::of(index.index).expect("good settings");
        let mut keys = BTreeMap::new();
        for (entity, property) in owners {
            let properties = self.properties(property);
            let values: Vec<&Value> =
                index.rule.schema.property_keys.iter().filter_map(|key| properties.get(&key.0)).collect();
            let is_lucenes = index.index.provider == IndexProvider::LuceneNative
                && matches!(values[..], [value] if lucene::is_text(value));
            if values.len() < index.layout.slots() || is_lucenes {
                continue;
            }
            let mut key = Vec::new();
            if encode_key(index.layout.keys(), entity, values, &spatial, &mut key).expect("short values") {
                keys.insert(entity, key);
            }
        }
        keys
    }

    fn labels(&self, node: &Node) -> Result<Vec<u32>, StoreError> {
        let mut bytes = Vec::new();
        Ok(match node.labels.labels() {
            Labels::Inline(labels) => labels.map(|label| label.expect("a label").0).collect(),
            Labels::Dynamic(first) => {
                self.stores.node_labels.read_chain(first, &mut bytes)?;
                let (_, labels) = labels::decode_dynamic(&bytes).expect("labels");
                labels.map(|label| label.expect("a label").0).collect()
            }
        })
    }

    fn properties(&self, first: Option<PropertyId>) -> BTreeMap<u32, Value> {
        let mut properties = BTreeMap::new();
        let mut buffer = Vec::new();
        for link in self.stores.property_chain(first) {
            let (id, record) = link.expect("a property record");
            for block in record.blocks() {
                let block = block.expect("a property");
                properties.insert(block.key.0, self.stores.value(id, &block, &mut buffer).expect("a value"));
            }
        }
        properties
    }

    /// Every entity has its key, every key its entity, byte by byte; the keys are in our order, and the tree is whole.
    /// Returns their number.
    fn assert_index_has_what_the_stores_have(&self, index: &ValueIndex<'_>) -> usize {
        let name = &index.rule.name;
        let mut expected = self.expected(index);
        let count = expected.len();
        let tree = self.tree(index);
        let mut entries = tree.entries().expect("a tree");
        let mut last: Option<Vec<u8>> = None;
        while let Some((key, value)) = entries.next().expect("good pages") {
            assert_eq!(value, b"", "{name}");
            let (entity, values) =
                decode_key(index.layout.keys(), index.layout.slots(), key).expect("a whole key");
            assert_eq!(expected.remove(&entity).as_deref(), Some(key), "{name}, {entity}: {values:?}");
            if let Some(last) = last {
                assert_eq!(
                    index.layout.compare(&last, key),
                    Ordering::Less,
                    "{name}: {last:02x?} {key:02x?}"
                );
            }
            last = Some(key.to_vec());
        }
        assert!(expected.is_empty(), "{name}: {expected:02x?} are not in the index");
        let mut reports = Vec::new();
        tree.check(&mut |report| reports.push(report)).expect("a tree");
        assert!(reports.is_empty(), "{name}: {reports:?}");
        count
    }

    /// Builds the tree of an index from the record stores in the place of the one that is there.
    fn rebuild(&self, index: &ValueIndex<'_>, leave_out: usize) {
        let mut keys: Vec<_> = self.expected(index).into_values().collect();
        keys.sort_by(|left, right| index.layout.compare(left, right));
        let path = files::tree(&self.layout, index.index.provider, index.rule.id).expect("a tree");
        let mut builder = Builder::new(&OsDisk::shared(), &path, index.layout).expect("started");
        for key in keys.iter().skip(leave_out) {
            builder.push(key).expect("ascending keys");
        }
        builder.finish().expect("built");
    }
}
