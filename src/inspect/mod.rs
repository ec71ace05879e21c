//! What a database directory holds, without changing anything.
//!
//! Everything that can be read is told; each part that can't is named with the reason.

mod databases;
mod index_state;
mod records;

use std::fmt::Display;
use std::path::Path;

use serde::Serialize;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

pub use self::databases::{Found, find};
pub use self::index_state::IndexState;
pub use self::records::RecordCount;
use crate::backup::manifest::{CheckResult, Kind, Manifest, State};
use crate::io::disk::OsDisk;
use crate::io::lock::FileLock;
use crate::io::read_only::ReadOnly;
use crate::store::format::{Family, release};
use crate::store::id::{LabelId, PropertyKeyId, RelationshipTypeId, StoreVersion};
use crate::store::layout::DatabaseLayout;
use crate::store::neostore::{Field, Neostore};
use crate::store::page_cache::PageCache;
use crate::store::schema::{EntityType, RuleKind, SchemaDescriptor, SchemaPattern, SchemaRule};
use crate::store::stores::Stores;
use crate::store::tokens::Tokens;
use crate::store::tools::read_database_id;
use crate::txlog::LogPosition;
use crate::txlog::files::LogFiles;
use crate::txlog::reader::LogReader;
use crate::txlog::tail::{Tail, last_detached, recovery_reason};

/// Bytes of pages that are held while records are counted.
const PAGE_CACHE: u64 = 32 << 20;

/// What a database directory holds.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Inspection {
    /// Name of the database, after its directory.
    pub database: String,
    /// Directory of the store files.
    pub directory: String,
    /// Directory of the logs.
    pub logs_directory: String,
    /// Whether a server has it open: then the parts may be from different moments.
    pub in_use: bool,
    /// The record format.
    pub format: Option<Format>,
    /// The store id, as the protocol writes it.
    pub store_id: Option<String>,
    /// The database id of the backup, or that of the server which had the store open last.
    pub database_id: Option<String>,
    /// The last transaction of the metadata store.
    pub last_transaction: Option<LastTransaction>,
    /// The last checkpoint.
    pub checkpoint: Option<Checkpoint>,
    /// The transaction logs.
    pub logs: Option<Logs>,
    /// Whether Neo4j would recover it.
    pub recovery: Option<Recovery>,
    /// What the manifest of a backup says.
    pub backup: Option<Backup>,
    /// Records by store.
    pub records: Vec<RecordCount>,
    /// Indexes by id.
    pub indexes: Vec<Index>,
    /// What could not be read.
    pub problems: Vec<Problem>,
}

/// A record format.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Format {
    /// As in the metadata store.
    pub version: String,
    /// `standard`, `aligned` or `high_limit`; `None`: one that this program does not read.
    pub family: Option<&'static str>,
    /// The first release of Neo4j that wrote it.
    pub introduced: Option<&'static str>,
}

/// A transaction.
#[derive(Clone, Debug, Serialize)]
pub struct LastTransaction {
    /// Its id.
    pub id: i64,
    /// When it was committed, RFC 3339, UTC.
    pub time: Option<String>,
}

/// A checkpoint.
#[derive(Clone, Debug, Serialize)]
pub struct Checkpoint {
    /// Number of the log file.
    pub log: u64,
    /// Bytes from its start: everything before is in the store files.
    pub offset: u64,
    /// When it was made, RFC 3339, UTC; not told by logs of 4.0 and 4.1.
    pub time: Option<String>,
    /// Why it was made.
    pub reason: Option<String>,
}

/// The transaction logs of a database.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Logs {
    /// The file with the lowest number.
    pub lowest: u64,
    /// The file with the highest number.
    pub highest: u64,
    /// Bytes of all of them.
    pub bytes: u64,
    /// The first transaction that they hold.
    pub first_transaction: Option<i64>,
    /// The last one.
    pub last_transaction: Option<i64>,
}

/// Whether a database can be used as it is.
#[derive(Clone, Debug, Serialize)]
pub struct Recovery {
    /// Whether it must be recovered.
    pub required: bool,
    /// Why.
    pub reason: Option<String>,
}

/// What the manifest of a backup says.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Backup {
    /// Whether the last run came to its end.
    pub state: State,
    /// How its data came.
    pub kind: Kind,
    /// Where it came from.
    pub server: String,
    /// When the run ended.
    pub finished: String,
    /// Whether all transactions are applied.
    pub recovered: bool,
    /// What the check said.
    pub checked: CheckResult,
}

/// An index.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Index {
    /// Id of its rule.
    pub id: u64,
    /// Its name.
    pub name: String,
    /// Which type of index.
    #[serde(rename = "type")]
    pub index_type: &'static str,
    /// Which program keeps it.
    pub provider: &'static str,
    /// What its files say.
    pub state: IndexState,
    /// Whether a value may occur once only.
    pub unique: bool,
    /// What it is for, as in Cypher.
    pub schema: String,
}

/// A part that could not be read.
#[derive(Clone, Debug, Serialize)]
pub struct Problem {
    /// Which part.
    pub part: String,
    /// Why not.
    pub reason: String,
}

/// Collects what can be read, and notes what can't.
struct Collector {
    problems: Vec<Problem>,
}

impl Collector {
    fn take<T, E: Display>(&mut self, part: &str, result: Result<T, E>) -> Option<T> {
        result.map_err(|error| self.problem(part, &error)).ok()
    }

    fn problem(&mut self, part: &str, error: &dyn Display) {
        self.problems.push(Problem { part: part.to_owned(), reason: error.to_string() });
    }
}

/// Reads everything there is to know of a database. Nothing is written.
pub fn inspect(found: &Found, threads: usize) -> Inspection {
    let Found { database, layout } = found;
    let mut collector = Collector { problems: Vec::new() };
    let in_use = FileLock::check(&layout.lock()).is_err();
    let neostore = collector.take("metadata store", Neostore::read(&layout.neostore()));
    let version = neostore
        .as_ref()
        .and_then(|neostore| collector.take("record format", neostore.require(Field::StoreVersion)));
    let version = version.map(|version| StoreVersion(version.cast_unsigned()));
    let family = version.and_then(|version| collector.take("record format", Family::of(version)));
    let store_id = neostore.as_ref().and_then(|neostore| collector.take("store id", neostore.store_id()));
    let last = neostore
        .as_ref()
        .and_then(|neostore| collector.take("last transaction", neostore.last_transaction()));
    let commit_time = neostore.as_ref().and_then(|neostore| neostore.get(Field::LastTransactionTime));
    let database_id = read_database_id(&layout.database)
        .or_else(|| neostore.as_ref().and_then(Neostore::database_id))
        .map(|id| id.to_string());
    let (checkpoint, logs, recovery) = match collector.take("transaction logs", LogFiles::list(&layout.logs))
    {
        Some(files) => of_logs(layout, &files, &mut collector),
        None => (None, None, None),
    };
    let manifest = collector.take("manifest", Manifest::read(&layout.database)).flatten();
    let cache = PageCache::new(PAGE_CACHE);
    let (mut records, mut indexes) = (Vec::new(), Vec::new());
    if let Some(family) = family {
        for (store, counted) in records::count(&cache, layout, family, threads) {
            records.extend(collector.take(store.file_name(), counted));
        }
        indexes = collector.take("indexes", of_schema(&cache, layout, family)).unwrap_or_default();
    }
    Inspection {
        database: database.clone(),
        directory: layout.database.display().to_string(),
        logs_directory: layout.logs.display().to_string(),
        in_use,
        format: version.map(|version| Format {
            version: version.to_string(),
            family: family.map(family_name),
            introduced: release(version).map(|release| release.introduced),
        }),
        store_id: store_id.map(|id| id.to_string()),
        database_id,
        last_transaction: last.map(|id| LastTransaction { id: id.0, time: commit_time.and_then(written) }),
        checkpoint,
        logs,
        recovery,
        backup: manifest.map(|Manifest { backup, .. }| Backup {
            state: backup.state,
            kind: backup.kind,
            server: backup.server,
            finished: backup.finished,
            recovered: backup.recovered,
            checked: backup.checked,
        }),
        records,
        indexes,
        problems: collector.problems,
    }
}

fn family_name(family: Family) -> &'static str {
    match family {
        Family::Standard => "standard",
        Family::Aligned => "aligned",
        Family::HighLimit => "high_limit",
    }
}

/// A time of Neo4j, ms since the epoch; `None`: no clock shows it, or it is not set.
fn written(milliseconds: i64) -> Option<String> {
    let nanoseconds = i128::from(milliseconds) * 1_000_000;
    let time = OffsetDateTime::from_unix_timestamp_nanos(nanoseconds).ok()?;
    if milliseconds == 0 { None } else { time.format(&Rfc3339).ok() }
}

fn of_logs(
    layout: &DatabaseLayout,
    files: &LogFiles,
    collector: &mut Collector,
) -> (Option<Checkpoint>, Option<Logs>, Option<Recovery>) {
    let detached =
        collector.take("checkpoint log", last_detached(files)).flatten().map(|(_, checkpoint)| checkpoint);
    let tail = collector.take("end of the transaction logs", Tail::find(files));
    let position = tail.and_then(|tail| tail.checkpoint).map(|checkpoint| checkpoint.position);
    let checkpoint = match (detached, position) {
        (Some(detached), _) => {
            let LogPosition { log_version: log, offset } = detached.position;
            let reason = Some(detached.reason.to_string());
            Some(Checkpoint { log, offset, time: written(detached.time), reason })
        }
        (None, Some(LogPosition { log_version: log, offset })) => {
            Some(Checkpoint { log, offset, time: None, reason: None })
        }
        (None, None) => None,
    };
    let recovery = tail.map(|tail| {
        let reason = recovery_reason(layout, files, &tail).map(|reason| reason.to_string());
        Recovery { required: reason.is_some(), reason }
    });
    let logs = files.lowest().zip(files.highest()).map(|(lowest, highest)| {
        let bytes = files
            .versions()
            .filter_map(|version| std::fs::metadata(files.path(version)).ok())
            .map(|metadata| metadata.len())
            .sum();
        let ends = collector.take("transactions in the logs", ends(files, lowest));
        let (first_transaction, last_transaction) = ends.unwrap_or_default();
        Logs { lowest, highest, bytes, first_transaction, last_transaction }
    });
    (checkpoint, logs, recovery)
}

/// The first and the last transaction of the logs. Of all files but the newest the header of the next one tells where
/// they end, so only that one is read to its end.
fn ends(files: &LogFiles, lowest: u64) -> Result<(Option<i64>, Option<i64>), crate::txlog::LogError> {
    let mut first = None;
    let mut last = None;
    for version in files.versions().rev() {
        let Some(header) = files.header(version)? else { continue };
        if last.is_none() {
            let mut reader = LogReader::open_file(files, version)?;
            while let Some(transaction) = reader.next_transaction()? {
                last = Some(transaction.transaction.id.0);
            }
        }
        if version == lowest {
            first = Some(header.last_committed.0 + 1);
        }
    }
    Ok((first.filter(|_| last.is_some()), last))
}

/// The indexes of the schema store and what their files say.
fn of_schema(
    cache: &PageCache,
    layout: &DatabaseLayout,
    family: Family,
) -> Result<Vec<Index>, crate::store::error::StoreError> {
    let stores = Stores::open(cache, &read_only(), layout, family)?;
    let names = Names {
        labels: Tokens::labels(&stores)?,
        types: Tokens::relationship_types(&stores)?,
        keys: Tokens::property_keys(&stores)?,
    };
    let mut indexes = Vec::new();
    for rule in SchemaRule::read_all(&stores, &names.keys)? {
        let RuleKind::Index(index) = &rule.kind else { continue };
        indexes.push(Index {
            id: rule.id.0,
            schema: names.schema(&rule.schema),
            state: index_state::of(cache, layout, &rule, index),
            name: rule.name.clone(),
            index_type: index.index_type.word(),
            provider: index.provider.word(),
            unique: index.unique,
        });
    }
    Ok(indexes)
}

/// Names of the tokens that rules are about.
struct Names {
    labels: Tokens<LabelId>,
    types: Tokens<RelationshipTypeId>,
    keys: Tokens<PropertyKeyId>,
}

impl Names {
    /// `(:Person {name, born})`, `()-[:KNOWS {since}]-()`; a lookup index is about all of them.
    fn schema(&self, schema: &SchemaDescriptor) -> String {
        let known = |name: Option<&str>, id: u32| name.map_or_else(|| id.to_string(), str::to_owned);
        let tokens = schema.entity_tokens.iter().map(|&id| match schema.entity {
            EntityType::Node => known(self.labels.get(LabelId(id)).map(|token| token.name.as_str()), id),
            EntityType::Relationship => {
                known(self.types.get(RelationshipTypeId(id)).map(|token| token.name.as_str()), id)
            }
        });
        let keys = schema
            .property_keys
            .iter()
            .map(|&key| known(self.keys.get(key).map(|token| token.name.as_str()), key.0));
        let (tokens, keys) = (tokens.collect::<Vec<_>>().join("|"), keys.collect::<Vec<_>>().join(", "));
        match (schema.pattern, schema.entity) {
            (SchemaPattern::EntityTokens, EntityType::Node) => "(:*)".to_owned(),
            (SchemaPattern::EntityTokens, EntityType::Relationship) => "()-[:*]-()".to_owned(),
            (_, EntityType::Node) => format!("(:{tokens} {{{keys}}})"),
            (_, EntityType::Relationship) => format!("()-[:{tokens} {{{keys}}}]-()"),
        }
    }
}

/// The file system, as long as nothing is to be changed.
fn read_only() -> ReadOnly {
    ReadOnly::new(OsDisk::shared())
}

/// Whether a directory looks like that of a database.
fn is_database(directory: &Path) -> bool {
    let layout = DatabaseLayout::flat(directory);
    layout.missing_stores().len() < crate::store::layout::RecordStore::ALL.len()
}
