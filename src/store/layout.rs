//! Names of the files of a database, and where they lie.

use std::path::{Path, PathBuf};

/// The record stores, in the order in which a server lists them. Specification: store format 1.2, protocol 6.4.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum RecordStore {
    /// Label sets that do not fit into a node record.
    NodeLabels,
    /// Nodes.
    Node,
    /// Names of property keys.
    PropertyKeyName,
    /// Property keys.
    PropertyKey,
    /// Long strings.
    PropertyString,
    /// Long arrays.
    PropertyArray,
    /// Properties.
    Property,
    /// Relationships.
    Relationship,
    /// Names of relationship types.
    RelationshipTypeName,
    /// Relationship types.
    RelationshipType,
    /// Names of labels.
    LabelName,
    /// Labels.
    Label,
    /// Indexes and constraints.
    Schema,
    /// Relationship groups of dense nodes.
    RelationshipGroup,
    /// The metadata store.
    Neostore,
}

impl RecordStore {
    /// All of them. The metadata store is the last: it is copied last.
    pub const ALL: [Self; 15] = [
        Self::NodeLabels,
        Self::Node,
        Self::PropertyKeyName,
        Self::PropertyKey,
        Self::PropertyString,
        Self::PropertyArray,
        Self::Property,
        Self::Relationship,
        Self::RelationshipTypeName,
        Self::RelationshipType,
        Self::LabelName,
        Self::Label,
        Self::Schema,
        Self::RelationshipGroup,
        Self::Neostore,
    ];

    /// Name of its file.
    pub fn file_name(self) -> &'static str {
        match self {
            Self::NodeLabels => "neostore.nodestore.db.labels",
            Self::Node => "neostore.nodestore.db",
            Self::PropertyKeyName => "neostore.propertystore.db.index.keys",
            Self::PropertyKey => "neostore.propertystore.db.index",
            Self::PropertyString => "neostore.propertystore.db.strings",
            Self::PropertyArray => "neostore.propertystore.db.arrays",
            Self::Property => "neostore.propertystore.db",
            Self::Relationship => "neostore.relationshipstore.db",
            Self::RelationshipTypeName => "neostore.relationshiptypestore.db.names",
            Self::RelationshipType => "neostore.relationshiptypestore.db",
            Self::LabelName => "neostore.labeltokenstore.db.names",
            Self::Label => "neostore.labeltokenstore.db",
            Self::Schema => "neostore.schemastore.db",
            Self::RelationshipGroup => "neostore.relationshipgroupstore.db",
            Self::Neostore => "neostore",
        }
    }

    /// Name of the file with its free ids; the metadata store has none.
    pub fn id_file_name(self) -> Option<String> {
        (self != Self::Neostore).then(|| format!("{}.id", self.file_name()))
    }

    /// The store of a file name.
    pub fn of_file_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|store| store.file_name() == name)
    }
}

/// Number of nodes and relationships by label and type: a tree.
pub const COUNTS: &str = "neostore.counts.db";
/// Degrees of dense nodes: a tree.
pub const DEGREES: &str = "neostore.relationshipgroupstore.degrees.db";
/// Statistics of indexes: a tree.
pub const INDEX_STATISTICS: &str = "neostore.indexstats.db";
/// Nodes by label: a tree.
pub const NODE_LABEL_INDEX: &str = "neostore.labelscanstore.db";
/// Relationships by type: a tree.
pub const RELATIONSHIP_TYPE_INDEX: &str = "neostore.relationshiptypescanstore.db";
/// Directory of the other indexes.
pub const SCHEMA: &str = "schema";
/// Directory of what backup tools keep with a database.
pub const TOOLS: &str = "tools";
/// Marks a database that must not be started.
pub const QUARANTINE_MARKER: &str = "quarantine_marker";
/// Locked while a database is open.
pub const DATABASE_LOCK: &str = "database_lock";

/// End of the name of a file that is being built beside the one that it will replace.
pub const BUILDING: &str = ".building";

/// Directory of what a recovery sorts, in that of the database.
pub const RECOVERY_SCRATCH: &str = "temp-recovery";

const LOG_PREFIX: &str = "neostore.transaction.db.";
const CHECKPOINT_PREFIX: &str = "checkpoint.";

/// Name of a transaction log file.
pub fn log_file_name(log_version: u64) -> String {
    format!("{LOG_PREFIX}{log_version}")
}

/// Name of a checkpoint log file.
pub fn checkpoint_file_name(number: u64) -> String {
    format!("{CHECKPOINT_PREFIX}{number}")
}

/// What a name in a database directory is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purpose {
    /// A record store.
    Record(RecordStore),
    /// A transaction log; `None`: it has the prefix of one and no number behind it.
    Log(Option<u64>),
    /// A checkpoint log; `None` as before.
    Checkpoint(Option<u64>),
    /// Locks, markers, folders of tools and left-overs of copies and upgrades: nothing of the database itself.
    Foreign,
    /// A tree, an id file, an index directory or a file that is not known.
    Other,
}

impl Purpose {
    /// From the name of a file or folder directly in a database directory. Specification: store format 1.2 to 1.5.
    pub fn of(name: &str) -> Self {
        if let Some(store) = RecordStore::of_file_name(name) {
            return Self::Record(store);
        }
        if let Some(number) = name.strip_prefix(LOG_PREFIX) {
            return Self::Log(number.parse().ok());
        }
        if let Some(number) = name.strip_prefix(CHECKPOINT_PREFIX) {
            return Self::Checkpoint(number.parse().ok());
        }
        match name {
            TOOLS
            | DATABASE_LOCK
            | RECOVERY_SCRATCH
            | QUARANTINE_MARKER
            | "store_lock"
            | "profiles"
            | "temp-copy"
            | "upgrade"
            | "upgrade_backup"
            | "corrupted-neostore.transaction.db" => Self::Foreign,
            name if name.ends_with(BUILDING) => Self::Foreign,
            _ => Self::Other,
        }
    }
}

/// Where the files of one database are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DatabaseLayout {
    /// Directory of the store files.
    pub database: PathBuf,
    /// Directory of the transaction and checkpoint logs.
    pub logs: PathBuf,
}

impl DatabaseLayout {
    /// Everything in one directory: a backup.
    pub fn flat(directory: &Path) -> Self {
        Self { database: directory.to_owned(), logs: directory.to_owned() }
    }

    /// Below the data directory of a server with its default settings. `name`: of the database.
    pub fn in_data_directory(data: &Path, name: &str) -> Self {
        let name = name.to_lowercase();
        Self { database: data.join("databases").join(&name), logs: data.join("transactions").join(&name) }
    }

    /// The file of a record store.
    pub fn record_store(&self, store: RecordStore) -> PathBuf {
        self.database.join(store.file_name())
    }

    /// The metadata store.
    pub fn neostore(&self) -> PathBuf {
        self.record_store(RecordStore::Neostore)
    }

    /// The file that is locked while the database is open.
    pub fn lock(&self) -> PathBuf {
        self.database.join(DATABASE_LOCK)
    }

    /// Record stores without a file. Nothing can be recovered then. Specification: transaction log 7.2.
    pub fn missing_stores(&self) -> Vec<RecordStore> {
        RecordStore::ALL.into_iter().filter(|store| !self.record_store(*store).is_file()).collect()
    }

    /// Id files that are missing, which recovery would write. Specification: transaction log 7.1.
    pub fn missing_id_files(&self) -> Vec<String> {
        let names = RecordStore::ALL.into_iter().filter_map(RecordStore::id_file_name);
        names.filter(|name| !self.database.join(name).is_file()).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_tell_what_files_are_for() {
        for (name, purpose) in [
            ("neostore", Purpose::Record(RecordStore::Neostore)),
            ("neostore.propertystore.db.index.keys", Purpose::Record(RecordStore::PropertyKeyName)),
            ("neostore.nodestore.db.id", Purpose::Other),
            ("neostore.transaction.db.17", Purpose::Log(Some(17))),
            ("neostore.transaction.db.x", Purpose::Log(None)),
            ("checkpoint.0", Purpose::Checkpoint(Some(0))),
            ("checkpoint.old", Purpose::Checkpoint(None)),
            ("checkpoints", Purpose::Other),
            ("database_lock", Purpose::Foreign),
            ("tools", Purpose::Foreign),
            ("temp-recovery", Purpose::Foreign),
            ("neostore.counts.db.building", Purpose::Foreign),
            ("schema", Purpose::Other),
        ] {
            assert_eq!(Purpose::of(name), purpose, "{name}");
        }
        assert_eq!(Purpose::of(&log_file_name(3)), Purpose::Log(Some(3)));
        assert_eq!(Purpose::of(&checkpoint_file_name(4)), Purpose::Checkpoint(Some(4)));
        for store in RecordStore::ALL {
            assert_eq!(RecordStore::of_file_name(store.file_name()), Some(store));
        }
    }

    #[test]
    fn missing_files_are_told() {
        let dir = tempfile::tempdir().unwrap();
        let layout = DatabaseLayout::flat(dir.path());
        assert_eq!(layout.missing_stores(), RecordStore::ALL);
        assert_eq!(layout.missing_id_files().len(), 14);
        for store in RecordStore::ALL {
            std::fs::write(layout.record_store(store), b"").unwrap();
        }
        assert_eq!(layout.missing_stores(), []);
        std::fs::write(dir.path().join("neostore.schemastore.db.id"), b"").unwrap();
        assert!(!layout.missing_id_files().iter().any(|name| name == "neostore.schemastore.db.id"));
    }

    #[test]
    fn a_server_keeps_logs_apart() {
        let layout = DatabaseLayout::in_data_directory(Path::new("/data"), "Movies");
        assert_eq!(layout.neostore(), Path::new("/data/databases/movies/neostore"));
        assert_eq!(layout.logs, Path::new("/data/transactions/movies"));
    }
}
