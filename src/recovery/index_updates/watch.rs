//! What the indexes of a store are about: everything else in the logs need not be looked at.

use crate::store::error::StoreError;
use crate::store::id::{PropertyKeyId, RecordId, SchemaId};
use crate::store::schema::{EntityType, IndexProvider, RuleKind, SchemaRule};
use crate::store::stores::Stores;
use crate::store::tokens::Tokens;

/// What to look for in transactions: the property keys that indexes are about, and whether labels and types matter.
///
/// It may name more than there is. An index that it does not cover is built from the stores.
#[derive(Clone, Debug)]
pub struct Watch {
    nodes: Watched,
    relationships: Watched,
    implied_label_index: bool,
}

#[derive(Clone, Debug, Default)]
struct Watched {
    any: bool,
    token_index: bool,
    keys: Keys,
}

/// A set of property keys.
#[derive(Clone, Debug)]
enum Keys {
    All,
    /// A bit per key.
    Some(Vec<u64>),
}

impl Default for Keys {
    fn default() -> Self {
        Self::Some(Vec::new())
    }
}

impl Keys {
    fn insert(&mut self, PropertyKeyId(key): PropertyKeyId) {
        let Self::Some(words) = self else { return };
        let word = key as usize / 64;
        if key >> 24 != 0 {
            // No property has such a key, but a malformed rule may name one.
            *self = Self::All;
            return;
        }
        if words.len() <= word {
            words.resize(word + 1, 0);
        }
        if let Some(word) = words.get_mut(word) {
            *word |= 1 << (key % 64);
        }
    }

    #[inline]
    fn contains(&self, key: u32) -> bool {
        match self {
            Self::All => true,
            Self::Some(words) => words.get(key as usize / 64).is_some_and(|word| word >> (key % 64) & 1 == 1),
        }
    }
}

impl Watch {
    /// What these rules are about. `implied_label_index`: the store is older than 4.3, and its label index has no rule.
    pub fn of(rules: &[SchemaRule], implied_label_index: bool) -> Self {
        let mut watch =
            Self { nodes: Watched::default(), relationships: Watched::default(), implied_label_index };
        if implied_label_index {
            watch.nodes.any = true;
            watch.nodes.token_index = true;
        }
        for rule in rules {
            let RuleKind::Index(index) = &rule.kind else { continue };
            let watched = watch.watched_mut(rule.schema.entity);
            watched.any = true;
            watched.token_index |= index.provider == IndexProvider::TokenLookup;
            rule.schema.property_keys.iter().for_each(|key| watched.keys.insert(*key));
        }
        watch
    }

    /// All that an index may be about.
    pub fn everything(implied_label_index: bool) -> Self {
        let all = Watched { any: true, token_index: true, keys: Keys::All };
        Self { nodes: all.clone(), relationships: all, implied_label_index }
    }

    /// What the rules of a store are about that was not recovered yet. If one can't be read, everything is watched: what
    /// the window does to the rule will be known only behind it.
    pub fn read(stores: &Stores, implied_label_index: bool) -> Result<Self, StoreError> {
        match Self::read_rules(stores) {
            Ok(rules) => Ok(Self::of(&rules, implied_label_index)),
            Err(error @ StoreError::Page(_)) => Err(error),
            Err(_) => Ok(Self::everything(implied_label_index)),
        }
    }

    fn read_rules(stores: &Stores) -> Result<Vec<SchemaRule>, StoreError> {
        let keys = Tokens::property_keys(stores)?;
        let mut ids = Vec::new();
        stores.schema.scan_use(|id, in_use| {
            if in_use {
                ids.extend(SchemaId::from_slot(id));
            }
            Ok::<_, StoreError>(())
        })?;
        let mut rules = Vec::new();
        for id in ids {
            if let Some(record) = stores.schema.get(id)? {
                rules.push(SchemaRule::read(stores, &keys, id, record)?);
            }
        }
        Ok(rules)
    }

    fn watched(&self, entity: EntityType) -> &Watched {
        match entity {
            EntityType::Node => &self.nodes,
            EntityType::Relationship => &self.relationships,
        }
    }

    fn watched_mut(&mut self, entity: EntityType) -> &mut Watched {
        match entity {
            EntityType::Node => &mut self.nodes,
            EntityType::Relationship => &mut self.relationships,
        }
    }

    /// Whether any index is about entities of this kind.
    #[inline]
    pub(super) fn any(&self, entity: EntityType) -> bool {
        self.watched(entity).any
    }

    /// Whether an index of entities of this kind is about this property key.
    #[inline]
    pub(super) fn key(&self, entity: EntityType, key: u32) -> bool {
        self.watched(entity).keys.contains(key)
    }

    /// Whether the label index existed without a rule when the window began.
    pub(super) fn implied_label_index(&self) -> bool {
        self.implied_label_index
    }

    /// Whether everything was looked for that this index needs.
    pub(super) fn covers(&self, rule: &SchemaRule) -> bool {
        let watched = self.watched(rule.schema.entity);
        let is_lookup =
            matches!(&rule.kind, RuleKind::Index(index) if index.provider == IndexProvider::TokenLookup);
        watched.any
            && (!is_lookup || watched.token_index)
            && rule.schema.property_keys.iter().all(|key| watched.keys.contains(key.0))
    }
}
