//! The digest of `fixture.GraphDigest`, computed from the record stores alone: no index, counts store or degrees store is
//! read, degrees and counts are counted.

use std::collections::BTreeMap;
use std::path::Path;

use neo4j_admin::io::disk::OsDisk;
use neo4j_admin::store::error::StoreError;
use neo4j_admin::store::format::Family;
use neo4j_admin::store::id::{LabelId, NodeId, PropertyId, PropertyKeyId, RelationshipTypeId};
use neo4j_admin::store::labels::{self, LabelField, Labels};
use neo4j_admin::store::layout::DatabaseLayout;
use neo4j_admin::store::neostore::{Field, Neostore};
use neo4j_admin::store::page_cache::PageCache;
use neo4j_admin::store::record::Relationship;
use neo4j_admin::store::schema::{
    ConstraintType, EntityType, IndexProvider, IndexRule, IndexType, RuleKind, SchemaPattern, SchemaRule,
};
use neo4j_admin::store::stores::Stores;
use neo4j_admin::store::tokens::{NamedToken, Tokens};
use neo4j_admin::store::value::{Array, DateTime, Duration, LocalDateTime, Point, Time, Value, Zone};
use sha2::{Digest as _, Sha256};

use super::stores::GraphDigest;

/// Opens the record stores of a database whose files are in one directory.
pub fn open(directory: &Path, page_cache: u64) -> Stores {
    let layout = DatabaseLayout::flat(directory);
    let neostore = Neostore::read(&layout.neostore()).expect("a metadata store");
    let family = Family::of(neostore.store_id().expect("a store id").version).expect("a known format");
    Stores::open(&PageCache::new(page_cache), &OsDisk, &layout, family).expect("all stores")
}

/// The digest of a database whose files are in one directory, and that needs no recovery.
pub fn of(directory: &Path) -> GraphDigest {
    let layout = DatabaseLayout::flat(directory);
    let neostore = Neostore::read(&layout.neostore()).expect("a metadata store");
    let transaction = neostore.get(Field::LastTransactionId).expect("a transaction");
    let stores = open(directory, 8 << 20);
    Scan::new(&stores).run(transaction.try_into().expect("a transaction id"))
}

struct Scan<'a> {
    stores: &'a Stores,
    labels: Tokens<LabelId>,
    types: Tokens<RelationshipTypeId>,
    keys: Tokens<PropertyKeyId>,
    out: Out,
}

/// Bytes as Java's `DataOutputStream` writes them.
struct Out(Sha256);

/// Relationships of a node by type: starting, ending, all.
type Degrees = BTreeMap<NodeId, BTreeMap<RelationshipTypeId, [u32; 3]>>;

impl<'a> Scan<'a> {
    fn new(stores: &'a Stores) -> Self {
        Self {
            stores,
            labels: Tokens::labels(stores).expect("labels"),
            types: Tokens::relationship_types(stores).expect("types"),
            keys: Tokens::property_keys(stores).expect("keys"),
            out: Out(Sha256::new()),
        }
    }

    fn run(mut self, transaction: u64) -> GraphDigest {
        let mut relationships = Vec::new();
        let mut degrees = Degrees::new();
        self.stores
            .relationships
            .scan(|id, relationship| {
                relationships.push((id, relationship));
                count(&mut degrees, &relationship);
                Ok::<_, StoreError>(())
            })
            .expect("relationships");
        let nodes = self.nodes(&degrees);
        for (id, relationship) in &relationships {
            self.out.byte(b'R');
            self.out.long(id.0);
            let name = self.types.get(relationship.type_id).expect("a type").name.clone();
            self.out.text(&name);
            self.out.long(relationship.start_node.expect("a node").0);
            self.out.long(relationship.end_node.expect("a node").0);
            self.properties(relationship.property);
        }
        self.counts(&nodes, &relationships.iter().map(|(_, relationship)| *relationship).collect::<Vec<_>>());
        let rules = SchemaRule::read_all(self.stores, &self.keys).expect("rules");
        let (indexes, constraints): (Vec<_>, Vec<_>) =
            rules.iter().partition(|rule| matches!(rule.kind, RuleKind::Index(_)));
        for rules in [&indexes, &constraints] {
            let described = rules.iter().map(|rule| self.describe(rule)).collect();
            self.out.names(described);
        }
        GraphDigest {
            digest: format!("{:x}", self.out.0.finalize()),
            transaction,
            nodes: nodes.len() as u64,
            relationships: relationships.len() as u64,
            indexes: indexes.len() as u64,
            constraints: constraints.len() as u64,
        }
    }

    fn nodes(&mut self, degrees: &Degrees) -> BTreeMap<NodeId, Vec<LabelId>> {
        let mut nodes = Vec::new();
        self.stores
            .nodes
            .scan(|id, node| {
                nodes.push((id, node));
                Ok::<_, StoreError>(())
            })
            .expect("nodes");
        let mut labelled = BTreeMap::new();
        for (id, node) in nodes {
            let labels = self.labels(id, node.labels);
            self.out.byte(b'N');
            self.out.long(id.0);
            let names = labels.iter().map(|label| self.labels.get(*label).expect("a label").name.clone());
            self.out.names(names.collect());
            self.properties(node.property);
            for (type_id, counts) in degrees.get(&id).into_iter().flatten() {
                self.out.int(type_id.0);
                for count in counts {
                    self.out.int(*count);
                }
            }
            labelled.insert(id, labels);
        }
        labelled
    }

    fn labels(&self, node: NodeId, field: LabelField) -> Vec<LabelId> {
        match field.labels() {
            Labels::Inline(labels) => labels.collect::<Result<_, _>>().expect("labels"),
            Labels::Dynamic(first) => {
                let mut bytes = Vec::new();
                self.stores.node_labels.read_chain(first, &mut bytes).expect("a chain");
                let (owner, labels) = labels::decode_dynamic(&bytes).expect("labels");
                assert_eq!(owner, node);
                labels.collect::<Result<_, _>>().expect("labels")
            }
        }
    }

    fn properties(&mut self, first: Option<PropertyId>) {
        let mut properties = BTreeMap::new();
        let mut buffer = Vec::new();
        for link in self.stores.property_chain(first) {
            let (id, record) = link.expect("a property record");
            for block in record.blocks() {
                let block = block.expect("a property");
                let value = self.stores.value(id, &block, &mut buffer).expect("a value");
                let key = &self.keys.get(block.key).expect("a key").name;
                properties.insert(utf16(key), (key.clone(), value));
            }
        }
        self.out.size(properties.len());
        for (key, value) in properties.values() {
            self.out.text(key);
            self.out.value(value);
        }
    }

    fn counts(&mut self, nodes: &BTreeMap<NodeId, Vec<LabelId>>, relationships: &[Relationship]) {
        let public = |(_, token): &(_, &NamedToken)| !token.internal;
        let types: Vec<_> = self.types.iter().collect();
        for (id, token) in self.keys.iter().filter(|(_, token)| !token.internal) {
            self.out.token(b'K', id.0, &token.name);
        }
        for &(id, token) in types.iter().filter(|token| public(token)) {
            self.out.token(b'Y', id.0, &token.name);
            self.out
                .long(relationships.iter().filter(|relationship| relationship.type_id == id).count() as u64);
        }
        for (label, token) in self.labels.iter() {
            self.out.token(b'L', label.0, &token.name);
            let has = |node: Option<NodeId>| nodes[&node.expect("a node")].contains(&label);
            self.out.long(nodes.values().filter(|labels| labels.contains(&label)).count() as u64);
            for &(type_id, _) in &types {
                let of_type = || relationships.iter().filter(|relationship| relationship.type_id == type_id);
                self.out.long(of_type().filter(|relationship| has(relationship.start_node)).count() as u64);
                self.out.long(of_type().filter(|relationship| has(relationship.end_node)).count() as u64);
            }
        }
    }

    /// The text in which Neo4j describes a rule, then the settings of an index by name.
    fn describe(&self, rule: &SchemaRule) -> String {
        let (id, name, schema) = (rule.id, &rule.name, self.schema(rule));
        match &rule.kind {
            RuleKind::Index(index) => {
                let IndexRule { index_type, provider, unique, owning_constraint, config } = index;
                let index_type = match index_type {
                    IndexType::Btree => "BTREE",
                    IndexType::Fulltext => "FULLTEXT",
                    IndexType::Lookup => "LOOKUP",
                    IndexType::Text => "TEXT",
                    IndexType::Range => "RANGE",
                    IndexType::Point => "POINT",
                };
                let general = match (schema.contains("<any-"), unique) {
                    (true, _) => "TOKEN",
                    (_, true) => "UNIQUE",
                    (_, false) => "GENERAL",
                };
                let provider = match provider {
                    IndexProvider::NativeBtree => "native-btree-1.0",
                    IndexProvider::LuceneNative => "lucene+native-3.0",
                    IndexProvider::Fulltext => "fulltext-1.0",
                    IndexProvider::TokenLookup => "token-lookup-1.0",
                    IndexProvider::Text => "text-1.0",
                    IndexProvider::Range => "range-1.0",
                    IndexProvider::Point => "point-1.0",
                };
                let owner =
                    owning_constraint.map_or(String::new(), |owner| format!(", owningConstraint={owner}"));
                let settings: Vec<String> =
                    config.iter().map(|(key, value)| format!("{key}:{}", setting(value))).collect();
                let settings = settings.concat();
                format!(
                    "Index( id={id}, name='{name}', type='{general} {index_type}', schema={schema}, \
                     indexProvider='{provider}'{owner} ){settings}"
                )
            }
            RuleKind::Constraint(constraint) => {
                let kind = match (constraint.constraint_type, rule.schema.entity) {
                    (ConstraintType::Unique, _) => "UNIQUENESS",
                    (ConstraintType::UniqueExists, _) => "NODE KEY",
                    (ConstraintType::Exists, EntityType::Node) => "NODE PROPERTY EXISTENCE",
                    (ConstraintType::Exists, EntityType::Relationship) => "RELATIONSHIP PROPERTY EXISTENCE",
                };
                let index =
                    constraint.owned_index.map_or(String::new(), |index| format!(", ownedIndex={index}"));
                format!("Constraint( id={id}, name='{name}', type='{kind}', schema={schema}{index} )")
            }
        }
    }

    fn schema(&self, rule: &SchemaRule) -> String {
        let schema = &rule.schema;
        let is_node = schema.entity == EntityType::Node;
        if schema.pattern == SchemaPattern::EntityTokens {
            return if is_node { "(:<any-labels>)" } else { "-[:<any-types>]-" }.to_owned();
        }
        let quoted = |name: &str| if name.contains(':') { format!("`{name}`") } else { name.to_owned() };
        let tokens: Vec<String> = schema
            .entity_tokens
            .iter()
            .map(|&id| {
                let name = if is_node {
                    self.labels.get(LabelId(id)).map(|token| &token.name)
                } else {
                    self.types.get(RelationshipTypeId(id)).map(|token| &token.name)
                };
                format!(":{}", quoted(name.expect("a token")))
            })
            .collect();
        let keys: Vec<String> = schema
            .property_keys
            .iter()
            .map(|key| quoted(&self.keys.get(*key).expect("a key").name))
            .collect();
        let (tokens, keys) = (tokens.concat(), keys.join(", "));
        if is_node { format!("({tokens} {{{keys}}})") } else { format!("-[{tokens} {{{keys}}}]-") }
    }
}

fn count(degrees: &mut Degrees, relationship: &Relationship) {
    let (start, end) = (relationship.start_node.expect("a node"), relationship.end_node.expect("a node"));
    for (node, direction) in [(start, 0), (end, 1)] {
        let counts = degrees.entry(node).or_default().entry(relationship.type_id).or_default();
        counts[direction] += 1;
        // A loop has two ends and is one relationship.
        counts[2] += u32::from(direction == 0 || start != end);
    }
}

fn setting(value: &Value) -> String {
    match value {
        Value::Bool(value) => format!("Boolean('{value}')"),
        Value::String(value) => format!("String(\"{value}\")"),
        Value::Array(Array::Double(values)) => format!("DoubleArray{values:?}"),
        other => panic!("no setting has such a value: {other:?}"),
    }
}

/// Java orders texts by their UTF-16 code units.
fn utf16(text: &str) -> Vec<u16> {
    text.encode_utf16().collect()
}

impl Out {
    fn byte(&mut self, byte: u8) {
        self.0.update([byte]);
    }

    fn short(&mut self, value: u16) {
        self.0.update(value.to_be_bytes());
    }

    fn int(&mut self, value: u32) {
        self.0.update(value.to_be_bytes());
    }

    fn size(&mut self, count: usize) {
        self.int(count.try_into().expect("a size that Java can have"));
    }

    fn long(&mut self, value: u64) {
        self.0.update(value.to_be_bytes());
    }

    fn text(&mut self, text: &str) {
        let units = utf16(text);
        self.size(units.len());
        for unit in units {
            self.short(unit);
        }
    }

    fn names(&mut self, mut names: Vec<String>) {
        names.sort_by_key(|name| utf16(name));
        self.size(names.len());
        for name in names {
            self.text(&name);
        }
    }

    fn token(&mut self, tag: u8, id: u32, name: &str) {
        self.byte(tag);
        self.int(id);
        self.text(name);
    }

    fn value(&mut self, value: &Value) {
        match value {
            Value::Bool(value) => {
                self.byte(b'?');
                self.byte(u8::from(*value));
            }
            Value::Byte(value) => {
                self.byte(b'B');
                self.byte(value.cast_unsigned());
            }
            Value::Short(value) => {
                self.byte(b'S');
                self.short(value.cast_unsigned());
            }
            Value::Char(value) => {
                self.byte(b'C');
                self.short(*value);
            }
            Value::Int(value) => {
                self.byte(b'I');
                self.int(value.cast_unsigned());
            }
            Value::Long(value) => {
                self.byte(b'J');
                self.long(value.cast_unsigned());
            }
            Value::Float(value) => {
                self.byte(b'F');
                self.int(value.to_bits());
            }
            Value::Double(value) => self.double(*value),
            Value::String(value) => {
                self.byte(b'"');
                self.text(value);
            }
            Value::Point(point) => self.point(point),
            Value::Date(day) => {
                self.byte(b'd');
                self.long(day.cast_unsigned());
            }
            Value::LocalTime(nano) => {
                self.byte(b't');
                self.long(nano.cast_unsigned());
            }
            Value::LocalDateTime(LocalDateTime { second, nano }) => {
                self.byte(b'l');
                self.long(second.cast_unsigned());
                self.int(*nano);
            }
            Value::Time(Time { local_nano, offset }) => {
                self.byte(b'T');
                self.long(local_nano.cast_unsigned());
                self.int(offset.cast_unsigned());
            }
            Value::DateTime(DateTime { second, nano, zone }) => {
                self.byte(b'Z');
                self.long(second.cast_unsigned());
                self.int(*nano);
                match zone {
                    Zone::Offset(offset) => self.int(offset.cast_unsigned()),
                    Zone::Named(zone) => self.text(zone.name()),
                }
            }
            Value::Duration(Duration { months, days, seconds, nanos }) => {
                self.byte(b'P');
                for part in [months, days, seconds] {
                    self.long(part.cast_unsigned());
                }
                self.int(u32::try_from(*nanos).expect("nanoseconds of a second"));
            }
            Value::Array(array) => self.array(array),
        }
    }

    fn double(&mut self, value: f64) {
        self.byte(b'D');
        self.long(value.to_bits());
    }

    fn point(&mut self, point: &Point) {
        let (_, code) = point.crs().table_and_code();
        self.byte(b'@');
        self.int(code.try_into().expect("a code"));
        for coordinate in point.coordinates() {
            self.double(*coordinate);
        }
    }

    fn array(&mut self, array: &Array) {
        match array {
            Array::Bool(values) => self.elements("BOOLEAN", values, |value| Value::Bool(*value)),
            Array::Byte(values) => {
                self.byte(b'b');
                self.size(values.len());
                for value in values {
                    self.byte(value.cast_unsigned());
                }
            }
            Array::Short(values) => self.elements("SHORT", values, |value| Value::Short(*value)),
            Array::Char(values) => self.elements("CHAR", values, |value| Value::Char(*value)),
            Array::Int(values) => self.elements("INT", values, |value| Value::Int(*value)),
            Array::Long(values) => self.elements("LONG", values, |value| Value::Long(*value)),
            Array::Float(values) => self.elements("FLOAT", values, |value| Value::Float(*value)),
            Array::Double(values) => self.elements("DOUBLE", values, |value| Value::Double(*value)),
            Array::String(values) => self.elements("STRING", values, |value| Value::String(value.clone())),
            Array::Point(values) => self.elements("POINT", values, |value| Value::Point(*value)),
            Array::Date(values) => self.elements("DATE", values, |value| Value::Date(*value)),
            Array::LocalTime(values) => {
                self.elements("LOCAL_TIME", values, |value| Value::LocalTime(*value));
            }
            Array::LocalDateTime(values) => {
                self.elements("LOCAL_DATE_TIME", values, |value| Value::LocalDateTime(*value));
            }
            Array::Time(values) => self.elements("ZONED_TIME", values, |value| Value::Time(*value)),
            Array::DateTime(values) => {
                self.elements("ZONED_DATE_TIME", values, |value| Value::DateTime(*value));
            }
            Array::Duration(values) => self.elements("DURATION", values, |value| Value::Duration(*value)),
        }
    }

    fn elements<T>(&mut self, kind: &str, values: &[T], value: impl Fn(&T) -> Value) {
        self.byte(b'[');
        self.text(kind);
        self.size(values.len());
        for element in values {
            self.value(&value(element));
        }
        self.byte(b']');
    }
}
