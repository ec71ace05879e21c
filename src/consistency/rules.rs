//! Schema rules as they can be read from a damaged store, and how reports describe them.

use std::collections::BTreeMap;
use std::fmt::Write;

use super::blocks::Blocks;
use super::chain_walk::Visited;
use super::error::CheckError;
use super::ids::HighIds;
use super::raw::{NONE, RawDynamic, RawProperty, RawReader, RawSchema};
use super::tokens::{Purpose, TokenSet};
use crate::index::value::ValueLayout;
use crate::index::value::text::TypedText;
use crate::store::error::MalformedRule;
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
    /// The provider of its index, if there is no such provider: the index is left alone, and the rule has another one.
    unknown_provider: Option<String>,
}

impl RuleRecord {
    /// The rule as it was read for the indexes to be opened; reports describe it so.
    pub fn when_opened(&self) -> &Result<SchemaRule, Unreadable> {
        self.opened.as_ref().unwrap_or(&self.rule)
    }

    /// Whether there is a provider for its index.
    pub fn has_provider(&self) -> bool {
        self.unknown_provider.is_none()
    }

    /// One of its rules as reports describe it.
    pub fn describe(&self, rule: &SchemaRule, names: Names<'_>) -> String {
        describe_of(rule, names, self.unknown_provider.as_deref())
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
    /// It says what no rule says, and why that can't be. Neo4j's checker aborts.
    Impossible(&'static str),
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
            let mut unknown_provider = None;
            let rule = read(stores, keys, record, Purpose::Checking, &mut unknown_provider)?;
            let opened = if keys.depends_on_purpose() {
                Some(read(stores, keys, record, Purpose::Opening, &mut unknown_provider)?)
            } else {
                None
            };
            rules.push(RuleRecord { record, rule, opened, unknown_provider });
        }
    }
    Ok(rules)
}

fn read(
    stores: &Stores,
    keys: &TokenSet,
    record: RawSchema,
    purpose: Purpose,
    unknown_provider: &mut Option<String>,
) -> Result<Result<SchemaRule, Unreadable>, CheckError> {
    let id = SchemaId(record.id as u64);
    if record.property == NONE {
        return Ok(Ok(SchemaRule::label_scan_store(id)));
    }
    let mut map = match read_map(stores, keys, record.property, purpose)? {
        Ok(map) => map,
        Err(unreadable) => return Ok(Err(unreadable)),
    };
    if let Some(provider) = replace_unknown_provider(&mut map) {
        *unknown_provider = Some(provider);
    }
    let rule = match SchemaRule::from_map(id, &mut map.clone()) {
        Ok(rule) => rule,
        Err(malformed) => return Ok(Err(Unreadable::malformed(&reason(&malformed, &map)))),
    };
    Ok(match impossible(&rule, unknown_provider.is_none()) {
        Some(why) => Err(Unreadable::Impossible(why)),
        None => Ok(rule),
    })
}

/// What Neo4j says of a rule with these properties.
fn reason(malformed: &MalformedRule, map: &RuleMap) -> String {
    match malformed {
        MalformedRule::Word { key, value } => match *key {
            "schemaRuleType" => format!("Can not create a schema rule of type: {value}"),
            "schemaEntityType" => format!("Did not recognize entity type: {value}"),
            "schemaPropertySchemaType" => format!("Did not recognize property schema type: {value}"),
            "indexRuleType" => format!("Did not recognize index rule type: {value}"),
            "constraintRuleType" => format!("Did not recognize constraint rule type: {value}"),
            _ => format!("Did not recognize index type: {value}"),
        },
        MalformedRule::Missing(key) | MalformedRule::Type(key) => {
            let wanted = match *key {
                "schemaEntityIds" | "schemaPropertyIds" => "IntArray",
                "owningConstraint" | "ownedIndex" => "LongValue",
                _ => "TextValue",
            };
            let found = map.get(*key).map_or_else(|| "null".to_owned(), |value| TypedText(value).to_string());
            format!("Expected property {PREFIX}{key} to be a {wanted} but was {found}")
        }
        MalformedRule::Key(_) => format!("The rule can't be read: {malformed}."),
    }
}

/// No token.
const NO_TOKEN: u32 = u32::MAX;

/// Why there can be no such rule. `opened`: its provider is known, so that its index is opened.
fn impossible(rule: &SchemaRule, opened: bool) -> Option<&'static str> {
    let SchemaDescriptor { entity, pattern, entity_tokens, property_keys } = &rule.schema;
    if rule.name.trim().is_empty() {
        return Some("it has an empty name");
    }
    match pattern {
        SchemaPattern::EntityTokens if !entity_tokens.is_empty() || !property_keys.is_empty() => {
            return Some("it is of all labels or types, and names some or a property");
        }
        SchemaPattern::EntityTokens => {}
        SchemaPattern::CompleteAllTokens | SchemaPattern::PartialAnyToken => {
            if property_keys.is_empty() || property_keys.iter().any(|key| key.0 == NO_TOKEN) {
                return Some("it names no property");
            }
            if entity_tokens.is_empty() || entity_tokens.contains(&NO_TOKEN) {
                return Some("it names no label or type");
            }
        }
    }
    if *pattern == SchemaPattern::CompleteAllTokens && entity_tokens.len() > 1 {
        return Some("it is of the entities with all of several labels or types");
    }
    match &rule.kind {
        RuleKind::Index(index) => match index.owning_constraint {
            Some(owner) if owner.0.cast_signed() < 0 => {
                Some("the id of the constraint that it serves is negative")
            }
            Some(_) if !index.unique => Some("it serves a constraint and is not unique"),
            _ if opened
                && index.provider == IndexProvider::TokenLookup
                && index.index_type != IndexType::Lookup =>
            {
                Some("its type is not that of its provider")
            }
            // Neo4j's checker can't compare the keys of such an index.
            _ if opened && *pattern == SchemaPattern::PartialAnyToken && ValueLayout::of(rule).is_some() => {
                Some("its provider keeps no entities that lack a property")
            }
            _ => None,
        },
        RuleKind::Constraint(constraint) => {
            let is_unique = constraint.constraint_type != ConstraintType::Exists;
            if is_unique && (*entity == EntityType::Relationship || *pattern == SchemaPattern::EntityTokens) {
                return Some("it demands unique values of other things than nodes with a label");
            }
            None
        }
    }
}

type RuleMap = BTreeMap<String, Value>;

/// Neo4j reads a rule whatever its provider is called. A name of none is replaced by that of one, and returned.
fn replace_unknown_provider(map: &mut RuleMap) -> Option<String> {
    const NAME: &str = "indexProviderName";
    const VERSION: &str = "indexProviderVersion";
    let provider = match (map.get(NAME), map.get(VERSION)) {
        (Some(Value::String(name)), Some(Value::String(version))) => format!("{name}-{version}"),
        _ => return None,
    };
    if IndexProvider::named(&provider).is_some() {
        return None;
    }
    let (name, version) = IndexProvider::NativeBtree.word().rsplit_once('-')?;
    map.insert(NAME.to_owned(), Value::String(name.to_owned()));
    map.insert(VERSION.to_owned(), Value::String(version.to_owned()));
    Some(provider)
}

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
            let Ok(block) = block else { return Ok(Err(invalid())) };
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

/// `None`: it can't be read. Whether records of a long value are in use is not looked at.
fn read_value(stores: &Stores, content: Content) -> Result<Option<Value>, CheckError> {
    let (file, first) = match content {
        Content::Value(value) => return Ok(Some(value)),
        Content::String(first) => (&stores.strings, first),
        Content::Array(first) => (&stores.arrays, first),
    };
    let mut reader: RawReader<'_, RawDynamic> = RawReader::new(file.slots());
    let mut visited = Visited::default();
    let mut bytes = Vec::new();
    let mut next = first.0 as i64;
    while next != NONE {
        if visited.closes(next) {
            return Ok(None);
        }
        let record = reader.get(next)?;
        bytes.extend_from_slice(&record.data);
        next = record.header.next;
    }
    Ok(match content {
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
        let id = id.cast_signed();
        let named = |tokens: &Tokens<'t>| {
            let name = of(tokens).name(id.into());
            name.map_or_else(|| format!("[no such {unknown}: {id}]"), str::to_owned)
        };
        let quoted = |name: String| if name.contains(':') { format!("`{name}`") } else { name };
        match self {
            Self::Plain(tokens) => quoted(named(tokens)),
            Self::WithIds(tokens) => quoted(format!("{}[{id}]", named(tokens))),
            Self::Ids => format!("{kind}[{id}]"),
        }
    }
}

/// A rule as reports describe it. Specification: consistency check 5.7.
pub(super) fn describe(rule: &SchemaRule, names: Names<'_>) -> String {
    describe_of(rule, names, None)
}

fn describe_of(rule: &SchemaRule, names: Names<'_>, unknown_provider: Option<&str>) -> String {
    let schema = describe_schema(&rule.schema, names);
    let (id, name) = (rule.id.0, &rule.name);
    match &rule.kind {
        RuleKind::Index(index) => {
            let class = match (rule.schema.pattern, index.unique) {
                (SchemaPattern::EntityTokens, _) => "TOKEN",
                (_, true) => "UNIQUE",
                (_, false) => "GENERAL",
            };
            let owner = index.owning_constraint.filter(|_| index.unique);
            let owner =
                owner.map(|id| format!(", owningConstraint={}", id.0.cast_signed())).unwrap_or_default();
            format!(
                "Index( id={id}, name='{name}', type='{class} {}', schema={schema}, indexProvider='{}'{owner} )",
                index.index_type.word(),
                unknown_provider.unwrap_or(index.provider.word())
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
            let owned = owned.map(|id| format!(", ownedIndex={}", id.0.cast_signed())).unwrap_or_default();
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
