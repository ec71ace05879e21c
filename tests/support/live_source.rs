//! A server whose databases go on, and that remembers what it was asked for.

use std::sync::{Arc, Mutex, MutexGuard};

use neo4j_admin::catchup::message::{InfoResponse, MetadataKind};
use neo4j_admin::catchup::server::{PreparedCopy, Source, SourceError, SourceFile, TransactionSource};
use neo4j_admin::store::id::{DatabaseId, StoreId, TransactionId};

use super::memory_source::{MemoryDatabase, MemorySource};
use super::transactions::transaction;

/// What a client asked for, or got.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Asked {
    /// A full copy.
    Prepare,
    /// A file by its name.
    File(String),
    /// A transaction that was sent.
    Sent(TransactionId),
}

/// Clones are the same server.
#[derive(Clone, Debug)]
pub struct LiveSource {
    source: Arc<Mutex<MemorySource>>,
    asked: Arc<Mutex<Vec<Asked>>>,
}

impl LiveSource {
    pub fn new(source: MemorySource) -> Self {
        Self { source: Arc::new(Mutex::new(source)), asked: Arc::default() }
    }

    /// What was asked for since the last time.
    pub fn take_asked(&self) -> Vec<Asked> {
        std::mem::take(&mut self.asked.lock().unwrap())
    }

    /// Files that were asked for since the last time, sorted.
    pub fn take_files(&self) -> Vec<String> {
        let mut files: Vec<_> = self
            .take_asked()
            .into_iter()
            .filter_map(|asked| match asked {
                Asked::File(name) => Some(name),
                _ => None,
            })
            .collect();
        files.sort();
        files
    }

    /// Changes the first database.
    pub fn change(&self, change: impl FnOnce(&mut MemoryDatabase)) {
        change(&mut self.source.lock().unwrap().databases[0]);
    }

    /// Commits transactions up to `last`.
    pub fn commit_to(&self, last: i64) {
        self.change(|database| {
            let next = database.transactions.last().map_or(database.checkpoint, |(id, _)| *id).next();
            let new = (next.0..=last).map(|id| (TransactionId(id), transaction(id, 3)));
            database.transactions.extend(new);
        });
    }

    /// Deletes the logs below a transaction.
    pub fn prune_below(&self, first: i64) {
        self.change(|database| database.transactions.retain(|(id, _)| id.0 >= first));
    }

    fn note(&self, asked: Asked) {
        self.asked.lock().unwrap().push(asked);
    }

    fn source(&self) -> MutexGuard<'_, MemorySource> {
        self.source.lock().unwrap()
    }
}

impl Source for LiveSource {
    fn databases(&self) -> Result<Vec<(String, DatabaseId)>, SourceError> {
        self.source().databases()
    }

    fn database_id(&self, name: &str) -> Result<DatabaseId, SourceError> {
        self.source().database_id(name)
    }

    fn store_id(&self, database: DatabaseId) -> Result<StoreId, SourceError> {
        self.source().store_id(database)
    }

    fn prepare(&self, database: DatabaseId) -> Result<Box<dyn PreparedCopy>, SourceError> {
        self.note(Asked::Prepare);
        self.source().prepare(database)
    }

    fn last_checkpointed(&self, database: DatabaseId) -> Result<TransactionId, SourceError> {
        self.source().last_checkpointed(database)
    }

    fn store_file(&self, database: DatabaseId, name: &str) -> Result<Option<SourceFile>, SourceError> {
        self.note(Asked::File(name.to_owned()));
        self.source().store_file(database, name)
    }

    fn last_committed(&self, database: DatabaseId) -> Result<TransactionId, SourceError> {
        self.source().last_committed(database)
    }

    fn transactions(
        &self,
        database: DatabaseId,
        first: TransactionId,
    ) -> Result<Option<Box<dyn TransactionSource>>, SourceError> {
        let transactions = self.source().transactions(database, first)?;
        Ok(transactions
            .map(|inner| Box::new(Noted { inner, asked: self.asked.clone() }) as Box<dyn TransactionSource>))
    }

    fn metadata(&self, name: &str, what: MetadataKind) -> Result<Vec<String>, SourceError> {
        self.source().metadata(name, what)
    }

    fn info(&self, name: &str, database: DatabaseId) -> Result<InfoResponse, SourceError> {
        self.source().info(name, database)
    }
}

struct Noted {
    inner: Box<dyn TransactionSource>,
    asked: Arc<Mutex<Vec<Asked>>>,
}

impl TransactionSource for Noted {
    fn next(&mut self, wire: &mut Vec<u8>) -> Result<Option<TransactionId>, SourceError> {
        let next = self.inner.next(wire)?;
        if let Some(id) = next {
            self.asked.lock().unwrap().push(Asked::Sent(id));
        }
        Ok(next)
    }
}
