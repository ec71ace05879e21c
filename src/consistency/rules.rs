//! Schema rules as they can be read from a damaged store, and how reports describe them.

use std::collections::BTreeMap;
use std::fmt::Write;

use super::blocks::Blocks;
use super::chain_walk::{Step, Visited, walk};
use super::error::CheckError;
use super::ids::HighIds;
use super::raw::{NONE, RawDynamic, RawProperty, RawReader, RawSchema};
use super::tokens::{Purpose, TokenSet};
use crate::store::error::{Malformed, MalformedRule};
use crate::store::id::SchemaId;
use crate::store::schema::{
    ConstraintType, EntityType, IndexProvider, IndexType, RuleKind, SchemaDescriptor, SchemaPattern,
    SchemaRule,
};
use crate::store::stores::Stores;
use crate::store::value::block::Content;
use crate::store::value::{Value, array};

/// A schema record in use.
#[derive(Clone, Debug)]
pub(super) struct RuleRecord {
    pub record: RawSchema,
    /// As it is checked.
    pub rule: Result<SchemaRule, Unreadable>,
    /// As it was read for the indexes to be opened, if that may be something else.
    opened: Option<Result<SchemaRule, Unreadable>>,
}

impl RuleRecord {
    /// The rule as it was read for the indexes to be opened; reports describe it so.
    pub fn when_opened(&self) -> &Result<SchemaRule, Unreadable> {
        self.opened.as_ref().unwrap_or(&self.rule)
    }
}

/// Why a rule can't be read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Unreadable {
    /// It makes no sense; what Neo4j says of it.
    Malformed(String),
    /// The chain of its properties goes round. Neo4j's checker never ends.
    Cycle,
    /// One of its values can't be read. Neo4j's checker aborts.
    Value,
}

const EXCEPTION: &str = "org.neo4j.internal.kernel.api.exceptions.schema.MalformedSchemaRuleException: ";

impl Unreadable {
    fn malformed(reason: &str) -> Self {
        Self::Malformed(format!("{EXCEPTION}{reason}"))
    }
}

/// What the names of the properties of rules begin with.
const PREFIX: &str = "__org.neo4j.SchemaRule.";

/// All rules, by ascending id.
pub(super) fn read_all(
    stores: &Stores,
    high: &HighIds,
    keys: &TokenSet,
) -> Result<Vec<RuleRecord>, CheckError> {
    let slots = stores.schema.slots();
    let mut reader: RawReader<'_, RawSchema> = RawReader::new(slots);
    let end = high.schema.min(slots.file().pages().saturating_mul(slots.per_page()));
    let mut rules = Vec::new();
    for id in slots.first()..end {
        let record = reader.get(id as i64)?;
        if record.used {
            let rule = read(stores, keys, record, Purpose::Checking)?;
            let opened = if keys.depends_on_purpose() {
                Some(read(stores, keys, record, Purpose::Opening)?)
            } else {
                None
            };
            rules.push(RuleRecord { record, rule, opened });
        }
    }
    Ok(rules)
}

fn read(
    stores: &Stores,
    keys: &TokenSet,
    record: RawSchema,
    purpose: Purpose,
) -> Result<Result<SchemaRule, Unreadable>, CheckError> {
    let id = SchemaId(record.id as u64);
    if record.property == NONE {
        return Ok(Ok(SchemaRule::label_scan_store(id)));
    }
    let mut map = match read_map(stores, keys, record.property, purpose)? {
        Ok(map) => map,
        Err(unreadable) => return Ok(Err(unreadable)),
    };
    Ok(SchemaRule::from_map(id, &mut map).map_err(|malformed| match malformed {
        MalformedRule::Word { key: "schemaRuleType", value } => {
            Unreadable::malformed(&format!("Can not create a schema rule of type: {value}"))
        }
        MalformedRule::Missing(key) => {
            Unreadable::malformed(&format!("Expected property {PREFIX}{key} to be a TextValue but was null"))
        }
        other => Unreadable::malformed(&format!("The rule can't be read: {other}.")),
    }))
}

type RuleMap = BTreeMap<String, Value>;

fn read_map(
    stores: &Stores,
    keys: &TokenSet,
    first: i64,
    purpose: Purpose,
) -> Result<Result<RuleMap, Unreadable>, CheckError> {
    let mut records: RawReader<'_, RawProperty> = RawReader::new(stores.properties.slots());
    let mut visited = Visited::default();
    let mut map = BTreeMap::new();
    let mut id = first;
    while id != NONE {
        if visited.closes(id) {
            return Ok(Err(Unreadable::Cycle));
        }
        let record = records.get(id)?;
        let invalid = || {
            Unreadable::malformed(&format!(
                "Cannot read schema rule because it is referencing a property record (id {id}) that is invalid: {record}"
            ))
        };
        if !record.used {
            return Ok(Err(invalid()));
        }
        for block in Blocks::of(&record.words) {
            let block = match block {
                Ok(block) => block,
                Err(Malformed::TooManyWords) => return Ok(Err(invalid())),
                Err(_) => return Ok(Err(Unreadable::Value)),
            };
            let key = i64::from(block.key.0);
            let Some(name) = keys.internal_name(key, purpose) else {
                return Ok(Err(Unreadable::malformed(&format!(
                    "Cannot read schema rule because it is referring to a property key token (id {key}) that does not exist."
                ))));
            };
            let Ok(content) = block.content() else { return Ok(Err(Unreadable::Value)) };
            let Some(value) = read_value(stores, content)? else { return Ok(Err(Unreadable::Value)) };
            map.insert(name.strip_prefix(PREFIX).unwrap_or(name).to_owned(), value);
        }
        id = record.next;
    }
    Ok(Ok(map))
}

/// `None`: it can't be read.
fn read_value(stores: &Stores, content: Content) -> Result<Option<Value>, CheckError> {
    let (file, first) = match content {
        Content::Value(value) => return Ok(Some(value)),
        Content::String(first) => (&stores.strings, first),
        Content::Array(first) => (&stores.arrays, first),
    };
    let mut reader: RawReader<'_, RawDynamic> = RawReader::new(file.slots());
    let mut bytes = Vec::new();
    let mut sound = true;
    walk(&mut reader, first.0 as i64, Some(&mut bytes), |step| {
        sound &= matches!(step, Step::NotFull(_));
        Ok(())
    })?;
    Ok(match content {
        _ if !sound => None,
        Content::Array(_) => array::decode(&bytes).ok().map(Value::Array),
        _ => Some(Value::String(String::from_utf8_lossy(&bytes).into_owned())),
    })
}

/// How tokens are named in descriptions.
#[derive(Clone, Copy, Debug)]
pub(super) enum Names<'a> {
    /// `:Person {name}`
    Plain(Tokens<'a>),
    /// `:Person[0] {name[2]}`
    WithIds(Tokens<'a>),
    /// `:Label[0] {PropertyKey[2]}`
    Ids,
}

/// The tokens of all kinds.
#[derive(Clone, Copy, Debug)]
pub(super) struct Tokens<'a> {
    pub labels: &'a TokenSet,
    pub types: &'a TokenSet,
    pub keys: &'a TokenSet,
}

impl Names<'_> {
    fn token(&self, entity: EntityType, id: u32) -> String {
        let (kind, unknown) = match entity {
            EntityType::Node => ("Label", "label"),
            EntityType::Relationship => ("RelationshipType", "relationship type"),
        };
        self.name(id, kind, unknown, |tokens| match entity {
            EntityType::Node => tokens.labels,
            EntityType::Relationship => tokens.types,
        })
    }

    fn key(&self, id: u32) -> String {
        self.name(id, "PropertyKey", "property key", |tokens| tokens.keys)
    }

    fn name<'t>(
        &'t self,
        id: u32,
        kind: &str,
        unknown: &str,
        of: impl Fn(&Tokens<'t>) -> &'t TokenSet,
    ) -> String {
        let named = |tokens: &Tokens<'t>| {
            let name = of(tokens).name(id.into());
            let name = name.map_or_else(|| format!("[no such {unknown}: {id}]"), str::to_owned);
            if name.contains(':') { format!("`{name}`") } else { name }
        };
        match self {
            Self::Plain(tokens) => named(tokens),
            Self::WithIds(tokens) => format!("{}[{id}]", named(tokens)),
            Self::Ids => format!("{kind}[{id}]"),
        }
    }
}

/// A rule as reports describe it. Specification: consistency check 5.7.
pub(super) fn describe(rule: &SchemaRule, names: Names<'_>) -> String {
    let schema = describe_schema(&rule.schema, names);
    let (id, name) = (rule.id.0, &rule.name);
    match &rule.kind {
        RuleKind::Index(index) => {
            let class = match (index.index_type, index.unique) {
                (IndexType::Lookup, _) => "TOKEN",
                (_, true) => "UNIQUE",
                (_, false) => "GENERAL",
            };
            let owner = index.owning_constraint.filter(|_| index.unique);
            let owner = owner.map(|id| format!(", owningConstraint={}", id.0)).unwrap_or_default();
            format!(
                "Index( id={id}, name='{name}', type='{class} {}', schema={schema}, indexProvider='{}'{owner} )",
                index_type(index.index_type),
                provider(index.provider)
            )
        }
        RuleKind::Constraint(constraint) => {
            let class = match (constraint.constraint_type, rule.schema.entity) {
                (ConstraintType::Unique, _) => "UNIQUENESS",
                (ConstraintType::UniqueExists, _) => "NODE KEY",
                (ConstraintType::Exists, EntityType::Node) => "NODE PROPERTY EXISTENCE",
                (ConstraintType::Exists, EntityType::Relationship) => "RELATIONSHIP PROPERTY EXISTENCE",
            };
            let owned =
                constraint.owned_index.filter(|_| constraint.constraint_type != ConstraintType::Exists);
            let owned = owned.map(|id| format!(", ownedIndex={}", id.0)).unwrap_or_default();
            format!("Constraint( id={id}, name='{name}', type='{class}', schema={schema}{owned} )")
        }
    }
}

fn describe_schema(schema: &SchemaDescriptor, names: Names<'_>) -> String {
    let tokens = match (schema.pattern, schema.entity) {
        (SchemaPattern::EntityTokens, EntityType::Node) => ":<any-labels>".to_owned(),
        (SchemaPattern::EntityTokens, EntityType::Relationship) => ":<any-types>".to_owned(),
        _ => schema.entity_tokens.iter().fold(String::new(), |mut text, &token| {
            // Writing into a string can't fail.
            let _ = write!(text, ":{}", names.token(schema.entity, token));
            text
        }),
    };
    let keys = if schema.pattern == SchemaPattern::EntityTokens {
        String::new()
    } else {
        let keys: Vec<_> = schema.property_keys.iter().map(|key| names.key(key.0)).collect();
        format!(" {{{}}}", keys.join(", "))
    };
    match schema.entity {
        EntityType::Node => format!("({tokens}{keys})"),
        EntityType::Relationship => format!("-[{tokens}{keys}]-"),
    }
}

fn index_type(index_type: IndexType) -> &'static str {
    match index_type {
        IndexType::Btree => "BTREE",
        IndexType::Fulltext => "FULLTEXT",
        IndexType::Lookup => "LOOKUP",
        IndexType::Text => "TEXT",
        IndexType::Range => "RANGE",
        IndexType::Point => "POINT",
    }
}

fn provider(provider: IndexProvider) -> &'static str {
    match provider {
        IndexProvider::NativeBtree => "native-btree-1.0",
        IndexProvider::LuceneNative => "lucene+native-3.0",
        IndexProvider::Fulltext => "fulltext-1.0",
        IndexProvider::TokenLookup => "token-lookup-1.0",
        IndexProvider::Text => "text-1.0",
        IndexProvider::Range => "range-1.0",
        IndexProvider::Point => "point-1.0",
    }
}
