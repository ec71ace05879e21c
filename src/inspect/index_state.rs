//! What the files of an index say of it, as Neo4j will see it when it opens the database. Specification: indexes 2, 7.1,
//! 9.1.

use serde::Serialize;

use super::read_only;
use crate::index::lucene::{self, LuceneState};
use crate::index::token::{TokenIndex, TokenState};
use crate::index::value::{ValueLayout, ValueState};
use crate::index::{IndexError, files};
use crate::store::layout::DatabaseLayout;
use crate::store::page_cache::PageCache;
use crate::store::schema::{IndexRule, SchemaRule};

/// The state of an index.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase", tag = "state", content = "message")]
pub enum IndexState {
    /// It can be used.
    Online,
    /// Neo4j fills it when it opens the database.
    Populating,
    /// It could not be filled, with this message.
    Failed(String),
    /// There are no files: Neo4j makes them, and fills them, when it opens the database.
    Missing,
    /// Its files can't be read, with the reason.
    Unreadable(String),
}

/// The state of the index of a rule. One of two parts is in the worse state of the two.
pub(super) fn of(
    cache: &PageCache,
    layout: &DatabaseLayout,
    rule: &SchemaRule,
    index: &IndexRule,
) -> IndexState {
    let tree = files::tree(layout, index.provider, rule.id).zip(ValueLayout::of(rule));
    let tree = tree.map(|(path, keys)| match ValueState::open(cache, &read_only(), &path, keys) {
        Ok(ValueState::Online(_)) => IndexState::Online,
        Ok(ValueState::Populating) => IndexState::Populating,
        Ok(ValueState::Failed(message)) => IndexState::Failed(message),
        Ok(ValueState::Missing) => IndexState::Missing,
        Ok(ValueState::Unusable(error)) | Err(error) => unreadable(&error),
    });
    let lucene = files::lucene(layout, index.provider, rule.id).map(|path| match lucene::state(&path) {
        Ok(LuceneState::Online) => IndexState::Online,
        Ok(LuceneState::Populating) => IndexState::Populating,
        Ok(LuceneState::Failed(message)) => IndexState::Failed(message),
        Ok(LuceneState::Missing) => IndexState::Missing,
        Err(error) => unreadable(&error),
    });
    match (tree, lucene) {
        (Some(tree), Some(lucene)) => worse(tree, lucene),
        (Some(state), None) | (None, Some(state)) => state,
        (None, None) => lookup(cache, layout, rule),
    }
}

fn unreadable(error: &IndexError) -> IndexState {
    IndexState::Unreadable(error.to_string())
}

fn lookup(cache: &PageCache, layout: &DatabaseLayout, rule: &SchemaRule) -> IndexState {
    match TokenIndex::open(cache, &read_only(), &files::lookup(layout, rule.schema.entity)) {
        Ok(TokenState::Online(_)) => IndexState::Online,
        Ok(TokenState::Populating) => IndexState::Populating,
        Ok(TokenState::Failed(message)) => IndexState::Failed(message),
        Ok(TokenState::Missing) => IndexState::Missing,
        Err(error) => unreadable(&error),
    }
}

fn worse(one: IndexState, other: IndexState) -> IndexState {
    let rank = |state: &IndexState| match state {
        IndexState::Unreadable(_) => 4,
        IndexState::Failed(_) => 3,
        IndexState::Missing => 2,
        IndexState::Populating => 1,
        IndexState::Online => 0,
    };
    if rank(&one) >= rank(&other) { one } else { other }
}
