//! Names of labels, relationship types and property keys.

use std::collections::{BTreeMap, HashMap};

use super::error::StoreError;
use super::id::{LabelId, PropertyKeyId, RecordId, RelationshipTypeId};
use super::record::{DynamicFile, PropertyKeyToken, Record, RecordFile, Token};
use super::stores::Stores;

/// The tokens of one kind with their names.
#[derive(Clone, Debug)]
pub struct Tokens<I> {
    by_id: BTreeMap<I, NamedToken>,
}

/// A token with its name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NamedToken {
    /// The name.
    pub name: String,
    /// Whether it belongs to Neo4j itself.
    pub internal: bool,
}

/// A record that is a token.
trait AsToken: Record {
    fn token(&self) -> Token;
}

impl AsToken for Token {
    fn token(&self) -> Token {
        *self
    }
}

impl AsToken for PropertyKeyToken {
    fn token(&self) -> Token {
        self.token
    }
}

impl Tokens<LabelId> {
    /// The labels.
    pub fn labels(stores: &Stores) -> Result<Self, StoreError> {
        Self::read(&stores.label_tokens, &stores.label_names)
    }
}

impl Tokens<RelationshipTypeId> {
    /// The relationship types.
    pub fn relationship_types(stores: &Stores) -> Result<Self, StoreError> {
        Self::read(&stores.type_tokens, &stores.type_names)
    }
}

impl Tokens<PropertyKeyId> {
    /// The property keys.
    pub fn property_keys(stores: &Stores) -> Result<Self, StoreError> {
        Self::read(&stores.key_tokens, &stores.key_names)
    }
}

impl<I: RecordId + Ord> Tokens<I> {
    /// Reads all tokens that have a name; public and internal ones are separate name spaces.
    /// Specification: store format 8.
    fn read<R: AsToken>(store: &RecordFile<I, R>, names: &DynamicFile) -> Result<Self, StoreError> {
        let mut by_id = BTreeMap::new();
        let mut by_name = HashMap::new();
        let mut bytes = Vec::new();
        store.scan(|id: I, record| {
            let Token { internal, name: Some(first) } = record.token() else { return Ok(()) };
            bytes.clear();
            names.read_chain(first, &mut bytes)?;
            let name = String::from_utf8_lossy(&bytes).into_owned();
            if let Some(other) = by_name.insert((internal, name.clone()), id) {
                return Err(StoreError::DuplicateToken {
                    path: store.slots().file().file().path().to_owned(),
                    name,
                    first: other.slot(),
                    second: id.slot(),
                });
            }
            by_id.insert(id, NamedToken { name, internal });
            Ok(())
        })?;
        Ok(Self { by_id })
    }

    /// The token with this id.
    pub fn get(&self, id: I) -> Option<&NamedToken> {
        self.by_id.get(&id)
    }

    /// All tokens by ascending id.
    pub fn iter(&self) -> impl Iterator<Item = (I, &NamedToken)> {
        self.by_id.iter().map(|(&id, token)| (id, token))
    }
}
