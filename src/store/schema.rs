//! Schema rules: indexes and constraints.
//!
//! A rule is a map from names to values, kept as properties with internal keys. Specification: store format 9.

use std::collections::BTreeMap;
use std::fmt;

use super::error::{MalformedRule, StoreError};
use super::id::{PropertyId, PropertyKeyId, SchemaId};
use super::record::SchemaRecord;
use super::stores::Stores;
use super::tokens::Tokens;
use super::value::{Array, Value};

/// An index or a constraint.
#[derive(Clone, Debug, PartialEq)]
pub struct SchemaRule {
    /// Its id, which also names the directory of an index.
    pub id: SchemaId,
    /// Its name; a constraint and its index have the same.
    pub name: String,
    /// What it is about.
    pub schema: SchemaDescriptor,
    /// What it is.
    pub kind: RuleKind,
}

/// What a rule is about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SchemaDescriptor {
    /// Nodes or relationships.
    pub entity: EntityType,
    /// Which of them.
    pub pattern: SchemaPattern,
    /// Labels or relationship types.
    pub entity_tokens: Vec<u32>,
    /// Properties, in the order of the index.
    pub property_keys: Vec<PropertyKeyId>,
}

/// What can have labels, types and properties.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum EntityType {
    /// Nodes, with labels.
    Node,
    /// Relationships, with a type.
    Relationship,
}

impl fmt::Display for EntityType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Node => "Node",
            Self::Relationship => "Relationship",
        })
    }
}

/// Which entities a rule is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SchemaPattern {
    /// Those with the label or type, and all the properties.
    CompleteAllTokens,
    /// Those with any of the labels or types, and any of the properties.
    PartialAnyToken,
    /// All that have labels or a type.
    EntityTokens,
}

/// What a rule is.
#[derive(Clone, Debug, PartialEq)]
pub enum RuleKind {
    /// An index.
    Index(IndexRule),
    /// A constraint.
    Constraint(ConstraintRule),
}

/// What an index is.
#[derive(Clone, Debug, PartialEq)]
pub struct IndexRule {
    /// Which type of index.
    pub index_type: IndexType,
    /// Which program keeps it.
    pub provider: IndexProvider,
    /// Whether a value may occur once only.
    pub unique: bool,
    /// The constraint that it serves.
    pub owning_constraint: Option<SchemaId>,
    /// Its settings, without the prefix of their names.
    pub config: BTreeMap<String, Value>,
}

/// What a constraint is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ConstraintRule {
    /// Which type of constraint.
    pub constraint_type: ConstraintType,
    /// The type of the index that serves it.
    pub index_type: IndexType,
    /// That index.
    pub owned_index: Option<SchemaId>,
}

/// Values of an enumeration and the words that stand for them.
macro_rules! words {
    ($(#[$doc:meta])* $name:ident { $($(#[$variant_doc:meta])* $variant:ident = $word:literal,)+ }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum $name {
            $($(#[$variant_doc])* $variant,)+
        }

        impl $name {
            /// The word that stands for it.
            pub fn word(self) -> &'static str {
                match self {
                    $(Self::$variant => $word,)+
                }
            }

            /// What a word stands for.
            pub fn named(word: &str) -> Option<Self> {
                match word {
                    $($word => Some(Self::$variant),)+
                    _ => None,
                }
            }

            fn of(key: &'static str, word: String) -> Result<Self, MalformedRule> {
                Self::named(&word).ok_or(MalformedRule::Word { key, value: word })
            }
        }
    };
}

words! {
    /// The types of indexes.
    IndexType {
        /// Values of any type, 4.x.
        Btree = "BTREE",
        /// Words in texts.
        Fulltext = "FULLTEXT",
        /// Labels or relationship types.
        Lookup = "LOOKUP",
        /// Texts.
        Text = "TEXT",
        /// Values of any type, 4.4.
        Range = "RANGE",
        /// Points.
        Point = "POINT",
    }
}

words! {
    /// The types of constraints.
    ConstraintType {
        /// A value may occur once only.
        Unique = "UNIQUE",
        /// There must be a value.
        Exists = "EXISTS",
        /// Both: a node key.
        UniqueExists = "UNIQUE_EXISTS",
    }
}

words! {
    /// The programs that keep indexes, with their versions.
    IndexProvider {
        /// A tree.
        NativeBtree = "native-btree-1.0",
        /// A tree, and Lucene for texts.
        LuceneNative = "lucene+native-3.0",
        /// Lucene.
        Fulltext = "fulltext-1.0",
        /// The two trees of the database directory.
        TokenLookup = "token-lookup-1.0",
        /// Lucene.
        Text = "text-1.0",
        /// A tree.
        Range = "range-1.0",
        /// A tree.
        Point = "point-1.0",
    }
}

/// What the names of a rule's properties start with.
const PREFIX: &str = "__org.neo4j.SchemaRule.";
/// What the names of an index's settings start with, behind the prefix.
const CONFIG: &str = "IndexConfig.";
/// The name of the index that an upgrade makes of the label scan store. Specification: store format 9.5.
const LABEL_SCAN_STORE: &str = "__org_neo4j_schema_index_label_scan_store_converted_to_token_index";

impl SchemaRule {
    /// All rules by ascending id.
    pub fn read_all(stores: &Stores, keys: &Tokens<PropertyKeyId>) -> Result<Vec<Self>, StoreError> {
        let mut rules = Vec::new();
        stores.schema.scan(|id, record| {
            rules.push(Self::read(stores, keys, id, record)?);
            Ok::<_, StoreError>(())
        })?;
        Ok(rules)
    }

    /// The rule of a schema record.
    pub fn read(
        stores: &Stores,
        keys: &Tokens<PropertyKeyId>,
        id: SchemaId,
        record: SchemaRecord,
    ) -> Result<Self, StoreError> {
        let Some(first) = record.property else { return Ok(Self::label_scan_store(id)) };
        let mut map = read_map(stores, keys, id, first)?;
        Self::from_map(id, &mut map).map_err(|reason| StoreError::Rule { id, reason })
    }

    /// The index of all labels that stores up to 4.2 have without saying so, and upgraded ones as a rule without
    /// properties.
    pub fn label_scan_store(id: SchemaId) -> Self {
        Self {
            id,
            name: LABEL_SCAN_STORE.to_owned(),
            schema: SchemaDescriptor {
                entity: EntityType::Node,
                pattern: SchemaPattern::EntityTokens,
                entity_tokens: Vec::new(),
                property_keys: Vec::new(),
            },
            kind: RuleKind::Index(IndexRule {
                index_type: IndexType::Lookup,
                provider: IndexProvider::TokenLookup,
                unique: false,
                owning_constraint: None,
                config: BTreeMap::new(),
            }),
        }
    }

    /// The rule that a map from names, without their prefix, to values describes.
    pub fn from_map(id: SchemaId, map: &mut BTreeMap<String, Value>) -> Result<Self, MalformedRule> {
        let mut map = RuleMap(map);
        let entity = match map.text("schemaEntityType")?.as_str() {
            "NODE" => EntityType::Node,
            "RELATIONSHIP" => EntityType::Relationship,
            word => return Err(unknown("schemaEntityType", word)),
        };
        let pattern = match map.text("schemaPropertySchemaType")?.as_str() {
            "COMPLETE_ALL_TOKENS" => SchemaPattern::CompleteAllTokens,
            "PARTIAL_ANY_TOKEN" => SchemaPattern::PartialAnyToken,
            "ENTITY_TOKENS" => SchemaPattern::EntityTokens,
            word => return Err(unknown("schemaPropertySchemaType", word)),
        };
        let entity_tokens = map.ids("schemaEntityIds")?;
        let property_keys = map.ids("schemaPropertyIds")?.into_iter().map(PropertyKeyId).collect();
        let name = map.text("name")?;
        let kind = match map.text("schemaRuleType")?.as_str() {
            "INDEX" => RuleKind::Index(map.index()?),
            "CONSTRAINT" => RuleKind::Constraint(map.constraint()?),
            word => return Err(unknown("schemaRuleType", word)),
        };
        let schema = SchemaDescriptor { entity, pattern, entity_tokens, property_keys };
        Ok(Self { id, name, schema, kind })
    }
}

/// The properties of a rule by their names without the prefix.
fn read_map(
    stores: &Stores,
    keys: &Tokens<PropertyKeyId>,
    id: SchemaId,
    first: PropertyId,
) -> Result<BTreeMap<String, Value>, StoreError> {
    let mut map = BTreeMap::new();
    let mut buffer = Vec::new();
    for link in stores.property_chain(Some(first)) {
        let (record_id, record) = link?;
        for block in record.blocks() {
            let block =
                block.map_err(|malformed| stores.properties.slots().malformed(record_id.0, malformed))?;
            let key = keys.get(block.key).filter(|token| token.internal);
            let name = key.and_then(|token| token.name.strip_prefix(PREFIX));
            let name = name.ok_or(StoreError::Rule { id, reason: MalformedRule::Key(block.key) })?;
            map.insert(name.to_owned(), stores.value(record_id, &block, &mut buffer)?);
        }
    }
    Ok(map)
}

fn unknown(key: &'static str, word: &str) -> MalformedRule {
    MalformedRule::Word { key, value: word.to_owned() }
}

/// The map of a rule; what is taken out was understood.
struct RuleMap<'a>(&'a mut BTreeMap<String, Value>);

impl RuleMap<'_> {
    fn text(&mut self, key: &'static str) -> Result<String, MalformedRule> {
        match self.0.remove(key) {
            Some(Value::String(text)) => Ok(text),
            Some(Value::Char(unit)) => Ok(String::from_utf16_lossy(&[unit])),
            Some(_) => Err(MalformedRule::Type(key)),
            None => Err(MalformedRule::Missing(key)),
        }
    }

    fn rule_id(&mut self, key: &'static str) -> Result<Option<SchemaId>, MalformedRule> {
        match self.0.remove(key) {
            Some(Value::Long(id)) => Ok(Some(SchemaId(id.cast_unsigned()))),
            Some(_) => Err(MalformedRule::Type(key)),
            None => Ok(None),
        }
    }

    fn ids(&mut self, key: &'static str) -> Result<Vec<u32>, MalformedRule> {
        match self.0.remove(key) {
            Some(Value::Array(Array::Int(ids))) => Ok(ids.into_iter().map(i32::cast_unsigned).collect()),
            Some(_) => Err(MalformedRule::Type(key)),
            None => Err(MalformedRule::Missing(key)),
        }
    }

    fn index(&mut self) -> Result<IndexRule, MalformedRule> {
        let unique = match self.text("indexRuleType")?.as_str() {
            "UNIQUE" => true,
            "NON_UNIQUE" => false,
            word => return Err(unknown("indexRuleType", word)),
        };
        let provider = format!("{}-{}", self.text("indexProviderName")?, self.text("indexProviderVersion")?);
        let index_type = IndexType::of("indexType", self.text("indexType")?)?;
        let owning_constraint = self.rule_id("owningConstraint")?;
        let settings = self.0.split_off(CONFIG);
        let config = settings
            .into_iter()
            .map_while(|(key, value)| Some((key.strip_prefix(CONFIG)?.to_owned(), value)))
            .collect();
        let provider = IndexProvider::of("indexProviderName", provider)?;
        Ok(IndexRule { index_type, provider, unique, owning_constraint, config })
    }

    fn constraint(&mut self) -> Result<ConstraintRule, MalformedRule> {
        let constraint_type = ConstraintType::of("constraintRuleType", self.text("constraintRuleType")?)?;
        // Rules before 4.4 don't say it.
        let index_type = match self.text("indexType") {
            Err(MalformedRule::Missing(_)) => IndexType::Btree,
            word => IndexType::of("indexType", word?)?,
        };
        Ok(ConstraintRule { constraint_type, index_type, owned_index: self.rule_id("ownedIndex")? })
    }
}
