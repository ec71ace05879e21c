//! Contents of indexes and what is known of them, ours and the kernel's. All is read by our own readers.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use neo4j_admin::index::files;
use neo4j_admin::index::statistics::Statistics;
use neo4j_admin::index::token::{TokenIndex, TokenRange, TokenState};
use neo4j_admin::index::value::{ValueLayout, ValueState, decode_key};
use neo4j_admin::io::disk::OsDisk;
use neo4j_admin::store::id::SchemaId;
use neo4j_admin::store::layout::{self, DatabaseLayout};
use neo4j_admin::store::page_cache::PageCache;
use neo4j_admin::store::schema::{IndexProvider, RuleKind, SchemaRule};
use neo4j_admin::store::tokens::Tokens;

use super::compare;
use super::digest;

/// Token and value indexes and their statistics are what the kernel has in `settled`, its copy after it was opened and
/// closed, so that all of its indexes are online. Lucene indexes are as in the image that both come from, or gone.
pub fn assert_same(ours: &Path, settled: &Path, image: &Path, what: &str) {
    for file in [layout::NODE_LABEL_INDEX, layout::RELATIONSHIP_TYPE_INDEX] {
        let what = format!("{what}: {file}");
        let [ours, theirs] = [ours, settled].map(|directory| tokens(&directory.join(file), &what));
        match (ours, theirs) {
            (Some(ours), Some(theirs)) => compare::assert_same(&ours, &theirs, &what),
            (ours, theirs) => assert_eq!(ours.is_some(), theirs.is_some(), "{what}: it exists"),
        }
    }
    for rule in rules(ours) {
        let RuleKind::Index(index) = &rule.kind else { continue };
        if index.unique && index.owning_constraint.is_none() {
            // Of a constraint that was never finished: it does not come online, whatever is in the file.
            continue;
        }
        let what = format!("{what}: index {} of {:?}", rule.id, index.provider);
        if let Some(theirs) = value_keys(settled, &rule, &what) {
            let ours = value_keys(ours, &rule, &what).unwrap_or_else(|| panic!("{what} is not online"));
            compare::assert_same(&ours, &theirs, &what);
        }
        assert_lucene_untouched_or_gone(ours, image, index.provider, rule.id, &what);
    }
    assert_statistics(ours, settled, what);
}

/// The keys of a value index, with what they say; `None`: it has none, or is not online.
fn value_keys(directory: &Path, rule: &SchemaRule, what: &str) -> Option<BTreeMap<Vec<u8>, String>> {
    let RuleKind::Index(index) = &rule.kind else { return None };
    let layout = ValueLayout::of(rule)?;
    let path = files::tree(&DatabaseLayout::flat(directory), index.provider, rule.id)?;
    let state = ValueState::open(&PageCache::new(1 << 20), &OsDisk, &path, layout);
    let tree = match state.unwrap_or_else(|error| panic!("{what}: {error}")) {
        ValueState::Online(tree) => tree,
        ValueState::Unusable(error) => panic!("{what}: {error}"),
        ValueState::Populating | ValueState::Failed(_) | ValueState::Missing => return None,
    };
    let mut keys = BTreeMap::new();
    let mut entries = tree.entries().expect("entries");
    while let Some((key, _)) = entries.next().expect("an entry") {
        let said = decode_key(layout.keys(), layout.slots(), key);
        let (entity, values) = said.unwrap_or_else(|error| panic!("{what}: {key:02x?}: {error}"));
        keys.insert(key.to_vec(), format!("{entity} {values:?}"));
    }
    Some(keys)
}

fn assert_lucene_untouched_or_gone(
    ours: &Path,
    image: &Path,
    provider: IndexProvider,
    id: SchemaId,
    what: &str,
) {
    let [Some(ours), Some(image)] =
        [ours, image].map(|directory| files::lucene(&DatabaseLayout::flat(directory), provider, id))
    else {
        return;
    };
    if ours.exists() {
        assert!(content(&ours) == content(&image), "{what}: the Lucene index was changed");
    }
}

/// All files below a directory.
fn content(directory: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let mut files = BTreeMap::new();
    for entry in
        std::fs::read_dir(directory).unwrap_or_else(|error| panic!("{}: {error}", directory.display()))
    {
        let path = entry.expect("an entry").path();
        let name = PathBuf::from(path.file_name().expect("a name"));
        if path.is_dir() {
            files.extend(content(&path).into_iter().map(|(below, bytes)| (name.join(below), bytes)));
        } else {
            files.insert(name, std::fs::read(&path).expect("a file"));
        }
    }
    files
}

/// There is a statistics store, and its entries are of indexes that exist, or the kernel has them too.
fn assert_statistics(ours: &Path, settled: &Path, what: &str) {
    let rules = rules(ours);
    let indexes = rules.iter().filter(|rule| matches!(rule.kind, RuleKind::Index(_))).map(|rule| rule.id.0);
    let known: BTreeSet<u64> = indexes.chain(sampled(settled, what)).collect();
    let unknown: Vec<u64> = sampled(ours, what).into_iter().filter(|id| !known.contains(id)).collect();
    assert!(unknown.is_empty(), "{what}: statistics of indexes that don't exist: {unknown:?}");
}

/// The indexes that statistics are kept of.
fn sampled(directory: &Path, what: &str) -> BTreeSet<u64> {
    let path = directory.join(layout::INDEX_STATISTICS);
    let statistics = Statistics::open(&PageCache::new(1 << 20), &OsDisk, &path)
        .unwrap_or_else(|error| panic!("{what}: {error}"))
        .unwrap_or_else(|| panic!("{what}: no statistics"));
    let mut sampled = BTreeSet::new();
    statistics
        .for_each(|rule, sample| {
            assert!(sample.unique_values <= sample.sample_size, "{what}: {rule:?} {sample:?}");
            sampled.insert(rule.0);
        })
        .expect("statistics");
    sampled
}

/// The rules of a database.
pub fn rules(directory: &Path) -> Vec<SchemaRule> {
    let stores = digest::open(directory, 1 << 20);
    let keys = Tokens::property_keys(&stores).expect("keys");
    SchemaRule::read_all(&stores, &keys).expect("rules")
}

/// The entities of each token and range; `None`: there is no such index.
fn tokens(path: &Path, what: &str) -> Option<BTreeMap<(u32, u64), u64>> {
    let state = TokenIndex::open(&PageCache::new(1 << 20), &OsDisk, path)
        .unwrap_or_else(|error| panic!("{what}: {error}"));
    let index = match state {
        TokenState::Online(index) => index,
        TokenState::Missing => return None,
        TokenState::Populating | TokenState::Failed(_) => panic!("{what} is {state:?}"),
    };
    let mut found = BTreeMap::new();
    let mut entries = index.entries().expect("entries");
    while let Some(TokenRange { token, range, entities }) = entries.next().expect("an entry") {
        found.insert((token, range), entities);
    }
    Some(found)
}
