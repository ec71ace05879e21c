//! The indexes of a store: what they say of themselves, and those that can be compared with the store.
//!
//! Specification: consistency check 3.1.

use std::collections::BTreeMap;

use super::error::CheckError;
use super::report::{Level, Reporter};
use super::rules::RuleRecord;
use super::summary::RecordType;
use super::token_index::LookupIndex;
use super::tokens::TokenSet;
use crate::gbptree::{Tree, TreeError};
use crate::index::lucene::{self, LuceneError, LuceneIndex, LuceneState};
use crate::index::token::{TokenIndex, TokenState};
use crate::index::value::{SpatialSettings, ValueLayout, ValueState};
use crate::index::{IndexError, files};
use crate::io::disk::Disk;
use crate::store::id::SchemaId;
use crate::store::layout::DatabaseLayout;
use crate::store::page_cache::PageCache;
use crate::store::schema::{EntityType, IndexProvider, IndexRule, RuleKind, SchemaRule};

/// What an index says of itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum IndexState {
    /// Complete.
    Online,
    /// Populating, failed or missing.
    NotOnline,
    /// It says that it is online and can't be opened: its rule is reported.
    Unusable,
    /// Neo4j's checker skips the index without a word.
    Unknown,
}

/// A property index that is online.
#[derive(Debug)]
pub(super) struct PropertyIndex {
    pub rule: SchemaRule,
    /// Its values, or those that are no texts.
    pub tree: Option<Tree<ValueLayout>>,
    /// Entries of the tree, if they were counted.
    pub entries: Option<u64>,
    /// Whether its structure is damaged, which was not reported.
    pub damaged: bool,
    /// What Lucene keeps of it; an error: it has files of another version.
    pub lucene: Option<Result<LuceneIndex, LuceneError>>,
}

/// All indexes.
#[derive(Debug, Default)]
pub(super) struct Indexes {
    pub states: BTreeMap<SchemaId, IndexState>,
    /// Nodes by label.
    pub labels: Option<LookupIndex>,
    /// Relationships by type.
    pub types: Option<LookupIndex>,
    /// The others that are online, by ascending id.
    pub properties: Vec<PropertyIndex>,
    /// Those that are not, as files of Lucene are damaged.
    pub damaged: Vec<(SchemaRule, LuceneError)>,
}

impl Indexes {
    /// Opens the indexes of all rules that can be read. `implied`: nodes are indexed by label even if no rule says so.
    pub fn open(
        layout: &DatabaseLayout,
        disk: &dyn Disk,
        cache: &PageCache,
        rules: &[RuleRecord],
        implied: bool,
        keys: &TokenSet,
        report: &Reporter<'_>,
    ) -> Result<Self, CheckError> {
        let mut indexes = Self::default();
        let known = rules.iter().filter(|record| record.has_provider());
        for rule in known.filter_map(|record| record.when_opened().as_ref().ok()) {
            let RuleKind::Index(index) = &rule.kind else { continue };
            // A full-text index has the names of its keys in its documents.
            let is_nameless = index.provider == IndexProvider::Fulltext
                && !rule.schema.property_keys.iter().all(|key| keys.was_known(key.0.into()));
            let state = if is_nameless || index.unique && index.owning_constraint.is_none() {
                IndexState::NotOnline
            } else if index.provider == IndexProvider::TokenLookup {
                indexes.open_lookup(layout, disk, cache, rule.schema.entity, report)?
            } else {
                indexes.open_property(layout, disk, cache, rule, index, report)?
            };
            indexes.states.insert(rule.id, state);
        }
        if implied && indexes.labels.is_none() {
            indexes.open_lookup(layout, disk, cache, EntityType::Node, report)?;
        }
        Ok(indexes)
    }

    /// Looks which trees of property indexes are damaged, and reports nothing.
    pub fn find_damage(&mut self) -> Result<(), CheckError> {
        for PropertyIndex { tree, damaged, .. } in &mut self.properties {
            if let Some(tree) = tree {
                let structure = tree.check(&mut |_| *damaged = true)?;
                *damaged |= structure.unreadable > 0;
            }
        }
        Ok(())
    }

    fn open_lookup(
        &mut self,
        layout: &DatabaseLayout,
        disk: &dyn Disk,
        cache: &PageCache,
        entity: EntityType,
        report: &Reporter<'_>,
    ) -> Result<IndexState, CheckError> {
        let place = match entity {
            EntityType::Node => &mut self.labels,
            EntityType::Relationship => &mut self.types,
        };
        let path = files::lookup(layout, entity);
        match TokenIndex::open(cache, disk, &path) {
            Ok(TokenState::Online(index)) => {
                *place = Some(LookupIndex { index, sound: None });
                Ok(IndexState::Online)
            }
            Ok(TokenState::Populating)
                if TokenIndex::says_online(cache, disk, &path).is_ok_and(|online| online) =>
            {
                Ok(IndexState::Unusable)
            }
            Ok(TokenState::Populating | TokenState::Failed(_) | TokenState::Missing) => {
                Ok(IndexState::NotOnline)
            }
            Err(error) => {
                let about = match entity {
                    EntityType::Node => RecordType::LabelScanDocument,
                    EntityType::Relationship => RecordType::RelationshipTypeScanDocument,
                };
                unreadable(report, about, error)
            }
        }
    }

    fn open_property(
        &mut self,
        layout: &DatabaseLayout,
        disk: &dyn Disk,
        cache: &PageCache,
        rule: &SchemaRule,
        index: &IndexRule,
        report: &Reporter<'_>,
    ) -> Result<IndexState, CheckError> {
        let unreadable = |error| unreadable(report, RecordType::Index, error);
        let mut tree = None;
        if let (Some(path), Some(keys)) =
            (files::tree(layout, index.provider, rule.id), ValueLayout::of(rule))
        {
            match ValueState::open(cache, disk, &path, keys) {
                Ok(ValueState::Online(online)) => tree = Some(online),
                Ok(ValueState::Populating | ValueState::Failed(_) | ValueState::Missing) => {
                    return Ok(IndexState::NotOnline);
                }
                Ok(ValueState::Unusable(IndexError::Tree(TreeError::Meta { .. }))) => {
                    return Ok(IndexState::Unusable);
                }
                Ok(ValueState::Unusable(error)) | Err(error) => return unreadable(error),
            }
        }
        let mut lucene = None;
        if let Some(directory) = files::lucene(layout, index.provider, rule.id) {
            match lucene::state(&directory) {
                Ok(LuceneState::Online) => match LuceneIndex::open(disk, &directory) {
                    Err(LuceneError::Disk(error)) => return Err(error.into()),
                    opened @ (Ok(_) | Err(LuceneError::Unknown { .. })) => lucene = Some(opened),
                    // Neo4j can't open it either, and builds it anew when the database starts.
                    Err(error) => {
                        self.damaged.push((rule.clone(), error));
                        return Ok(IndexState::NotOnline);
                    }
                },
                Ok(LuceneState::Populating | LuceneState::Failed(_) | LuceneState::Missing) => {
                    return Ok(IndexState::NotOnline);
                }
                Err(error) => return unreadable(error),
            }
        }
        // Neo4j can't tell where points would be.
        if tree.is_some() && index.provider != IndexProvider::Range && SpatialSettings::of(index).is_err() {
            return Ok(IndexState::Unusable);
        }
        self.properties.push(PropertyIndex {
            rule: rule.clone(),
            tree,
            entries: None,
            damaged: false,
            lucene,
        });
        Ok(IndexState::Online)
    }
}

/// Damage makes an index unknown; an error of the medium is one of the check. A tree whose root is not in its file ends Neo4j's
/// checker; here it is reported.
fn unreadable(report: &Reporter<'_>, about: RecordType, error: IndexError) -> Result<IndexState, CheckError> {
    match error {
        IndexError::Disk(error) => return Err(error.into()),
        IndexError::Tree(error @ (TreeError::Disk(_) | TreeError::Cache(_))) => return Err(error.into()),
        IndexError::Tree(error @ TreeError::MissingPage { .. }) => {
            report.lines(Level::Error, about, &format!("The tree can't be opened: {error}."));
        }
        _ => {}
    }
    Ok(IndexState::Unknown)
}
