//! What every part of a check needs.

use std::fmt;

use super::error::CheckError;
use super::ids::HighIds;
use super::mandatory::Mandatory;
use super::plan::Plan;
use super::progress::Advance;
use super::raw::{RawDynamic, RawGroup, RawNode, RawProperty, RawReader, RawRelationship, RawToken};
use super::report::Reporter;
use super::rules::Tokens;
use super::text::{TokenKind, TokenText};
use super::tokens::TokenSet;
use crate::store::record::Slots;
use crate::store::stores::Stores;

/// An open store and what is known of it.
pub(super) struct Context<'a> {
    pub stores: &'a Stores,
    /// Ids from here on are not looked at, store by store.
    pub high: &'a HighIds,
    pub report: &'a Reporter<'a>,
    pub plan: Plan,
    pub threads: usize,
    pub labels: TokenSet,
    pub types: TokenSet,
    pub keys: TokenSet,
    pub mandatory: Mandatory,
    pub advance: Advance<'a>,
}

impl Context<'_> {
    pub fn nodes(&self) -> RawReader<'_, RawNode> {
        RawReader::new(self.stores.nodes.slots())
    }

    pub fn relationships(&self) -> RawReader<'_, RawRelationship> {
        RawReader::new(self.stores.relationships.slots())
    }

    pub fn groups(&self) -> RawReader<'_, RawGroup> {
        RawReader::new(self.stores.groups.slots())
    }

    pub fn properties(&self) -> RawReader<'_, RawProperty> {
        RawReader::new(self.stores.properties.slots())
    }

    pub fn strings(&self) -> RawReader<'_, RawDynamic> {
        RawReader::new(self.stores.strings.slots())
    }

    pub fn arrays(&self) -> RawReader<'_, RawDynamic> {
        RawReader::new(self.stores.arrays.slots())
    }

    pub fn node_labels(&self) -> RawReader<'_, RawDynamic> {
        RawReader::new(self.stores.node_labels.slots())
    }

    /// The tokens of all kinds.
    pub fn tokens(&self) -> Tokens<'_> {
        Tokens { labels: &self.labels, types: &self.types, keys: &self.keys }
    }

    /// The slots of the tokens of a kind.
    pub fn token_slots(&self, kind: TokenKind) -> &Slots {
        token_slots(self.stores, kind)
    }

    /// A token as reports show it.
    pub fn token(&self, kind: TokenKind, id: i64) -> Result<TokenText, CheckError> {
        let mut reader: RawReader<'_, RawToken> = RawReader::new(self.token_slots(kind));
        Ok(TokenText(kind, reader.get(id)?))
    }
}

/// The slots of the tokens of a kind.
pub(super) fn token_slots(stores: &Stores, kind: TokenKind) -> &Slots {
    match kind {
        TokenKind::Label => stores.label_tokens.slots(),
        TokenKind::RelationshipType => stores.type_tokens.slots(),
        TokenKind::PropertyKey => stores.key_tokens.slots(),
    }
}

impl fmt::Debug for Context<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Context").field("plan", &self.plan).finish_non_exhaustive()
    }
}
