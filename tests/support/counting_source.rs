//! A server that counts what it sends of each file.

use std::collections::BTreeMap;
use std::io::{self, Read};
use std::sync::{Arc, Mutex};

use neo4j_admin::catchup::message::{InfoResponse, MetadataKind};
use neo4j_admin::catchup::server::{PreparedCopy, Source, SourceError, SourceFile, TransactionSource};
use neo4j_admin::store::id::{DatabaseId, StoreId, TransactionId};

/// Bytes of each file that were read to be sent, by its path.
pub type Counts = BTreeMap<String, u64>;

/// Serves what `inner` serves.
pub struct CountingSource<S> {
    inner: S,
    counts: Arc<Mutex<Counts>>,
}

impl<S> CountingSource<S> {
    pub fn new(inner: S) -> Self {
        Self { inner, counts: Arc::default() }
    }

    pub fn counts(&self) -> Arc<Mutex<Counts>> {
        self.counts.clone()
    }
}

fn counted(counts: &Arc<Mutex<Counts>>, file: SourceFile) -> SourceFile {
    let SourceFile { path, alignment, content } = file;
    counts.lock().unwrap().entry(path.clone()).or_default();
    let content = Box::new(Counted { path: path.clone(), content, counts: counts.clone() });
    SourceFile { path, alignment, content }
}

struct Counted {
    path: String,
    content: Box<dyn Read + Send>,
    counts: Arc<Mutex<Counts>>,
}

impl Read for Counted {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.content.read(buffer)?;
        *self.counts.lock().unwrap().entry(self.path.clone()).or_default() += count as u64;
        Ok(count)
    }
}

struct Prepared {
    inner: Box<dyn PreparedCopy>,
    counts: Arc<Mutex<Counts>>,
}

impl PreparedCopy for Prepared {
    fn checkpoint(&self) -> TransactionId {
        self.inner.checkpoint()
    }

    fn replayable(&self) -> Vec<String> {
        self.inner.replayable()
    }

    fn next_atomic(&mut self) -> Result<Option<SourceFile>, SourceError> {
        Ok(self.inner.next_atomic()?.map(|file| counted(&self.counts, file)))
    }
}

impl<S: Source> Source for CountingSource<S> {
    fn databases(&self) -> Result<Vec<(String, DatabaseId)>, SourceError> {
        self.inner.databases()
    }

    fn database_id(&self, name: &str) -> Result<DatabaseId, SourceError> {
        self.inner.database_id(name)
    }

    fn store_id(&self, database: DatabaseId) -> Result<StoreId, SourceError> {
        self.inner.store_id(database)
    }

    fn prepare(&self, database: DatabaseId) -> Result<Box<dyn PreparedCopy>, SourceError> {
        let inner = self.inner.prepare(database)?;
        Ok(Box::new(Prepared { inner, counts: self.counts.clone() }))
    }

    fn last_checkpointed(&self, database: DatabaseId) -> Result<TransactionId, SourceError> {
        self.inner.last_checkpointed(database)
    }

    fn store_file(&self, database: DatabaseId, name: &str) -> Result<Option<SourceFile>, SourceError> {
        Ok(self.inner.store_file(database, name)?.map(|file| counted(&self.counts, file)))
    }

    fn last_committed(&self, database: DatabaseId) -> Result<TransactionId, SourceError> {
        self.inner.last_committed(database)
    }

    fn transactions(
        &self,
        database: DatabaseId,
        first: TransactionId,
    ) -> Result<Option<Box<dyn TransactionSource>>, SourceError> {
        self.inner.transactions(database, first)
    }

    fn metadata(&self, name: &str, what: MetadataKind) -> Result<Vec<String>, SourceError> {
        self.inner.metadata(name, what)
    }

    fn info(&self, name: &str, database: DatabaseId) -> Result<InfoResponse, SourceError> {
        self.inner.info(name, database)
    }
}
