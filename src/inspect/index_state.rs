//! What the files of an index say of it, as Neo4j will see it when it opens the database. Specification: indexes 2, 7.1,
//! 9.1.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use serde::Serialize;

use crate::gbptree::read_header;
use crate::io::disk::Disk;
use crate::io::read_only::ReadOnlyDisk;
use crate::store::layout::{self, DatabaseLayout};
use crate::store::page_cache::PageCache;
use crate::store::schema::{EntityType, IndexProvider, IndexRule, SchemaRule};

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

/// The state bytes of a tree's header.
struct StateBytes {
    online: u8,
    populating: u8,
    failed: u8,
}

const VALUES: StateBytes = StateBytes { failed: 0, online: 1, populating: 2 };
const LOOKUP: StateBytes = StateBytes { online: 0, populating: 1, failed: 2 };

/// The state of the index of a rule.
pub(super) fn of(
    cache: &PageCache,
    layout: &DatabaseLayout,
    rule: &SchemaRule,
    index: &IndexRule,
) -> IndexState {
    let database = &layout.database;
    let id = rule.id.0;
    let directory =
        |provider: &str| database.join(layout::SCHEMA).join("index").join(provider).join(id.to_string());
    let native = |directory: PathBuf| tree(cache, &directory.join(format!("index-{id}")), &VALUES);
    match index.provider {
        IndexProvider::TokenLookup => {
            let file = match rule.schema.entity {
                EntityType::Node => layout::NODE_LABEL_INDEX,
                EntityType::Relationship => layout::RELATIONSHIP_TYPE_INDEX,
            };
            tree(cache, &database.join(file), &LOOKUP)
        }
        IndexProvider::NativeBtree => native(directory("native-btree-1.0")),
        IndexProvider::Range => native(directory("range-1.0")),
        IndexProvider::Point => native(directory("point-1.0")),
        IndexProvider::Text => lucene(&directory("text-1.0")),
        IndexProvider::Fulltext => lucene(&directory("fulltext-1.0")),
        IndexProvider::LuceneNative => {
            let both = directory("lucene_native-3.0");
            worse(native(both.join("native-btree-1.0")), lucene(&both.join("lucene-2.0")))
        }
    }
}

/// The state of an index of two parts.
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

fn tree(cache: &PageCache, path: &Path, states: &StateBytes) -> IndexState {
    if !path.exists() {
        return IndexState::Missing;
    }
    let header = match ReadOnlyDisk.open(path) {
        Ok(file) => read_header(cache, file).map_err(|error| error.to_string()),
        Err(error) => Err(error.to_string()),
    };
    match header.as_deref() {
        Err(reason) => IndexState::Unreadable(reason.clone()),
        Ok([state, ..]) if *state == states.online => IndexState::Online,
        Ok([state, ..]) if *state == states.populating => IndexState::Populating,
        Ok([state, message @ ..]) if *state == states.failed => {
            let (length, text) = message.split_at_checked(2).unwrap_or_default();
            let length =
                <[u8; 2]>::try_from(length).map_or(0, |length| usize::from(u16::from_be_bytes(length)));
            let text = text.get(..length).unwrap_or(text);
            IndexState::Failed(String::from_utf8_lossy(text).into_owned())
        }
        Ok(other) => {
            IndexState::Unreadable(format!("{}: {:?} is no state of an index", path.display(), other.first()))
        }
    }
}

/// How a commit of an index that is complete ends: an entry of its user data, before the footer of the file.
const ONLINE: &[u8] = b"\x01\x06status\x06online";
/// Bytes of the footer.
const FOOTER: usize = 16;

fn lucene(directory: &Path) -> IndexState {
    match read_lucene(directory) {
        Ok(state) => state,
        Err(error) => IndexState::Unreadable(format!("{}: {error}", directory.display())),
    }
}

fn read_lucene(directory: &Path) -> io::Result<IndexState> {
    if !directory.is_dir() {
        return Ok(IndexState::Missing);
    }
    if let Some(message) = optional(fs::read(directory.join("failure-message")))? {
        let text = message.split(|byte| *byte == 0).next().unwrap_or_default();
        if message.iter().any(|byte| *byte != 0) {
            return Ok(IndexState::Failed(String::from_utf8_lossy(text).into_owned()));
        }
    }
    let mut newest: Option<(u64, PathBuf)> = None;
    let Some(entries) = optional(fs::read_dir(directory.join("1")))? else {
        return Ok(IndexState::Populating);
    };
    for entry in entries {
        let entry = entry?;
        let generation = entry
            .file_name()
            .to_str()
            .and_then(|name| u64::from_str_radix(name.strip_prefix("segments_")?, 36).ok());
        if let Some(generation) = generation
            && newest.as_ref().is_none_or(|(newest, _)| *newest < generation)
        {
            newest = Some((generation, entry.path()));
        }
    }
    let Some((_, segments)) = newest else { return Ok(IndexState::Populating) };
    let content = fs::read(segments)?;
    let data = content.len().checked_sub(FOOTER).and_then(|end| content.get(..end)).unwrap_or_default();
    Ok(if data.ends_with(ONLINE) { IndexState::Online } else { IndexState::Populating })
}

fn optional<T>(result: io::Result<T>) -> io::Result<Option<T>> {
    match result {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        other => other.map(Some),
    }
}
