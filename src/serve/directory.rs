//! A directory of databases at rest.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Mutex;

use super::ServeError;
use super::database::{Database, database_id, id_of_name};
use crate::catchup::message::{InfoResponse, MetadataKind};
use crate::catchup::server::{PreparedCopy, Source, SourceError, SourceFile, TransactionSource};
use crate::io::disk::DiskError;
use crate::store::id::{DatabaseId, StoreId, TransactionId};
use crate::store::layout::{DatabaseLayout, RecordStore};
use crate::store::tools::{metadata_commands, read_metadata_script};
use crate::txlog::LogPosition;

/// The databases below a backup directory (`<dir>/<name>`, logs beside the store files) or a data directory
/// (`<dir>/databases/<name>` and `<dir>/transactions/<name>`).
#[derive(Debug)]
pub struct StoreDirectory {
    directory: PathBuf,
    /// What was found out by reading a whole log file, which is not done again for each file that is asked for.
    served: Mutex<BTreeMap<String, Served>>,
}

/// The last transaction that clients are told, as long as the logs end where they did.
#[derive(Clone, Copy, Debug)]
struct Served {
    last: TransactionId,
    end: LogPosition,
    answer: TransactionId,
}

impl StoreDirectory {
    /// Serves the databases below `directory`, of which there must be one at least.
    pub fn open(directory: &Path) -> Result<Self, ServeError> {
        let directory =
            directory.canonicalize().map_err(|source| DiskError::new("open", directory, source))?;
        let found = Self { directory, served: Mutex::default() };
        if found.list()?.is_empty() {
            return Err(ServeError::NoDatabase { directory: found.directory });
        }
        Ok(found)
    }

    /// The databases by their names, in lower case.
    fn list(&self) -> Result<BTreeMap<String, DatabaseLayout>, ServeError> {
        let databases = self.directory.join("databases");
        // A database of the name `databases` has a metadata store there.
        let in_data_directory = databases.is_dir() && !holds_store(&databases);
        let parent = if in_data_directory { &databases } else { &self.directory };
        let failed = |source| DiskError::new("list", parent, source);
        let mut found = BTreeMap::new();
        for entry in std::fs::read_dir(parent).map_err(failed)? {
            let entry = entry.map_err(failed)?;
            let path = entry.path();
            let Ok(file_name) = entry.file_name().into_string() else { continue };
            let name = file_name.to_lowercase();
            if name.starts_with('.') || is_left_over(&name) || !holds_store(&path) {
                continue;
            }
            let layout = if in_data_directory {
                let logs = DatabaseLayout::in_data_directory(&self.directory, &name).logs;
                DatabaseLayout { database: path, logs }
            } else {
                DatabaseLayout::flat(&path)
            };
            // Of names that differ in case only the one that Neo4j itself would have made counts.
            if file_name == name || !found.contains_key(&name) {
                found.insert(name, layout);
            }
        }
        Ok(found)
    }

    /// The database of a name, and the id that it alone has.
    fn by_name(&self, wanted: &str) -> Result<(DatabaseLayout, DatabaseId), ServeError> {
        let databases = self.list()?;
        let layout = databases.get(wanted).ok_or(ServeError::Unknown)?;
        let id = database_id(wanted, &layout.database)?;
        for (name, other) in &databases {
            if name != wanted && database_id(name, &other.database).is_ok_and(|other| other == id) {
                return Err(ServeError::SameId { id, first: wanted.to_owned(), second: name.clone() });
            }
        }
        Ok((layout.clone(), id))
    }

    /// The database of an id and its name, if it can be served.
    fn by_id(&self, wanted: DatabaseId) -> Result<(String, Database), ServeError> {
        for (name, layout) in self.list()? {
            if database_id(&name, &layout.database).is_ok_and(|id| id == wanted) {
                let (layout, _) = self.by_name(&name)?;
                return Ok((name, Database::open(layout)?));
            }
        }
        Err(ServeError::Unknown)
    }

    /// The last transaction of a database that clients are told.
    fn last_served(&self, name: &str, database: &Database) -> Result<TransactionId, ServeError> {
        let log_version = database.logs.highest().unwrap_or_default();
        let path = database.logs.path(log_version);
        let size = std::fs::metadata(&path).map_err(|source| DiskError::new("examine", &path, source))?.len();
        let end = LogPosition { log_version, offset: size };
        // Another thread that panicked has left a whole map: it is only added to.
        let served = || self.served.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        let known = served().get(name).copied();
        if let Some(known) = known.filter(|known| known.end == end && known.last == database.last) {
            return Ok(known.answer);
        }
        let answer = database.last_served()?;
        served().insert(name.to_owned(), Served { last: database.last, end, answer });
        Ok(answer)
    }
}

impl Source for StoreDirectory {
    fn databases(&self) -> Result<Vec<(String, DatabaseId)>, SourceError> {
        let databases = self.list()?.into_iter().map(|(name, layout)| {
            // One that is too damaged to tell its id is not left out: whoever wants all databases would not miss it.
            // It is refused with the reason when it is asked for by its name.
            let id = database_id(&name, &layout.database).unwrap_or_else(|_| id_of_name(&name));
            (name, id)
        });
        Ok(databases.collect())
    }

    fn database_id(&self, name: &str) -> Result<DatabaseId, SourceError> {
        let (layout, id) = self.by_name(name)?;
        Database::open(layout)?;
        Ok(id)
    }

    fn store_id(&self, database: DatabaseId) -> Result<StoreId, SourceError> {
        Ok(self.by_id(database)?.1.store_id)
    }

    fn prepare(&self, database: DatabaseId) -> Result<Box<dyn PreparedCopy>, SourceError> {
        let (name, database) = self.by_id(database)?;
        let checkpoint = self.last_served(&name, &database)?;
        Ok(Box::new(database.prepare(checkpoint)?))
    }

    fn last_checkpointed(&self, database: DatabaseId) -> Result<TransactionId, SourceError> {
        self.last_committed(database)
    }

    fn store_file(&self, database: DatabaseId, name: &str) -> Result<Option<SourceFile>, SourceError> {
        Ok(self.by_id(database)?.1.file(name)?)
    }

    fn last_committed(&self, database: DatabaseId) -> Result<TransactionId, SourceError> {
        let (name, database) = self.by_id(database)?;
        Ok(self.last_served(&name, &database)?)
    }

    fn transactions(
        &self,
        database: DatabaseId,
        first: TransactionId,
    ) -> Result<Option<Box<dyn TransactionSource>>, SourceError> {
        let (_, database) = self.by_id(database)?;
        let transactions = database.transactions(first).map_err(ServeError::from)?;
        Ok(transactions.map(|transactions| Box::new(transactions) as Box<dyn TransactionSource>))
    }

    fn metadata(&self, name: &str, _what: MetadataKind) -> Result<Vec<String>, SourceError> {
        // A script can't be taken apart into users and roles: what was saved is what there is.
        let (layout, _) = self.by_name(name)?;
        let script = read_metadata_script(&layout.database).map_err(SourceError::failed)?;
        let script = String::from_utf8(script.unwrap_or_default()).map_err(SourceError::failed)?;
        Ok(metadata_commands(&script))
    }

    fn info(&self, _name: &str, database: DatabaseId) -> Result<InfoResponse, SourceError> {
        Ok(InfoResponse { reconciled: self.last_committed(database)?, failure: None })
    }
}

/// Whether a directory is that of a database.
fn holds_store(directory: &Path) -> bool {
    DatabaseLayout::flat(directory).record_store(RecordStore::Neostore).is_file()
}

/// Copies in progress, abandoned ones and replaced ones: `<name>.tmp.<N>`, `<name>.temp.<N>`, `<name>.err.<N>`.
fn is_left_over(name: &str) -> bool {
    let mut parts = name.rsplitn(3, '.');
    let (number, kind, rest) = (parts.next(), parts.next(), parts.next());
    let is_number =
        number.is_some_and(|number| !number.is_empty() && number.bytes().all(|b| b.is_ascii_digit()));
    is_number && matches!(kind, Some("tmp" | "temp" | "err")) && rest.is_some()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn left_overs_of_backups_are_known_by_name() {
        for name in ["neo4j.tmp.0", "neo4j.temp.12", "a.b.err.3"] {
            assert!(is_left_over(name), "{name}");
        }
        for name in ["neo4j", "tmp.0", "neo4j.tmp", "neo4j.tmp.x", "neo4j.tmp.", "neo4j.old.0", "neo4j.1"] {
            assert!(!is_left_over(name), "{name}");
        }
    }
}
