//! The files of an index as they are found.

use std::io;
use std::path::Path;

use super::apply::Context;
use crate::gbptree::Tree;
use crate::index::token::{TokenIndex, TokenState};
use crate::index::value::{ValueLayout, ValueState};
use crate::index::{IndexError, files, lucene};
use crate::io::disk::{DiskError, SharedDisk};
use crate::recovery::RecoveryError;
use crate::store::schema::{IndexProvider, IndexRule, SchemaRule};

/// What an index says of itself.
#[expect(clippy::large_enum_variant, reason = "there is one per index")]
pub(super) enum State {
    Online(Existing),
    Populating,
    Failed(String),
    Missing,
    Unusable(String),
}

/// An index that can be used.
pub(super) enum Existing {
    /// The tree of values; `None`: all of it is Lucene's.
    Values(Option<Tree<ValueLayout>>),
    /// A lookup index.
    Tokens(TokenIndex),
}

/// Looks at the files of an index. Specification: indexes 9.1.
pub(super) fn open(
    context: &Context<'_>,
    rule: &SchemaRule,
    index: &IndexRule,
) -> Result<State, RecoveryError> {
    if index.provider == IndexProvider::TokenLookup {
        return open_tokens(context, rule);
    }
    let lucene = match files::lucene(context.layout, index.provider, rule.id) {
        None => None,
        Some(directory) => Some(lucene::state(&directory)?),
    };
    let tree = match (files::tree(context.layout, index.provider, rule.id), ValueLayout::of(rule)) {
        (Some(path), Some(layout)) => Some(ValueState::open(context.cache, &**context.disk, &path, layout)?),
        _ => None,
    };
    Ok(combine(lucene, tree))
}

/// The state of an index with one or two parts: failed if one is, else incomplete if one is.
fn combine(lucene: Option<lucene::LuceneState>, tree: Option<ValueState>) -> State {
    use lucene::LuceneState;
    match (lucene, tree) {
        (Some(LuceneState::Failed(message)), _) | (_, Some(ValueState::Failed(message))) => {
            State::Failed(message)
        }
        (_, Some(ValueState::Unusable(reason))) => State::Unusable(reason.to_string()),
        (Some(LuceneState::Missing), _) | (_, Some(ValueState::Missing)) | (None, None) => State::Missing,
        (Some(LuceneState::Populating), _) | (_, Some(ValueState::Populating)) => State::Populating,
        (Some(LuceneState::Online), None) => State::Online(Existing::Values(None)),
        (_, Some(ValueState::Online(tree))) => State::Online(Existing::Values(Some(tree))),
    }
}

fn open_tokens(context: &Context<'_>, rule: &SchemaRule) -> Result<State, RecoveryError> {
    let path = files::lookup(context.layout, rule.schema.entity);
    match TokenIndex::open(context.cache, &**context.disk, &path) {
        Ok(TokenState::Online(index)) => Ok(State::Online(Existing::Tokens(index))),
        Ok(TokenState::Populating) => Ok(State::Populating),
        Ok(TokenState::Failed(message)) => Ok(State::Failed(message)),
        Ok(TokenState::Missing) => Ok(State::Missing),
        Err(error @ IndexError::Disk(_)) => Err(error.into()),
        Err(error) => Ok(State::Unusable(error.to_string())),
    }
}

/// Removes the files of an index. A lookup index is not removed before it is built: the new file takes its place.
pub(super) fn discard(
    context: &Context<'_>,
    rule: &SchemaRule,
    index: &IndexRule,
) -> Result<(), RecoveryError> {
    if index.provider != IndexProvider::TokenLookup {
        files::discard(context.layout, context.disk, rule.id)?;
    }
    Ok(())
}

/// Removes a file if it is there.
pub(super) fn remove_file(disk: &SharedDisk, path: &Path) -> Result<(), DiskError> {
    match disk.remove_file(path) {
        Err(error) if error.source.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}
