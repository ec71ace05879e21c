//! A server that counts what it sends of each file.

use std::collections::BTreeMap;
use std::io::{self, Read};
use std::sync::{Arc, Mutex};

use neo4j_admin::catchup::server::{PreparedCopy, Source, SourceError, SourceFile};
use neo4j_admin::store::id::{DatabaseId, TransactionId};

use super::around::{Around, Otherwise};

/// Bytes of each file that were read to be sent, by its path.
pub type Counts = BTreeMap<String, u64>;

/// Serves what `inner` serves, and counts it.
pub fn counting<S: Source>(inner: S) -> (Around<Counting<S>>, Arc<Mutex<Counts>>) {
    let counts = Arc::default();
    (Around(Counting { inner, counts: Arc::clone(&counts) }), counts)
}

pub struct Counting<S> {
    inner: S,
    counts: Arc<Mutex<Counts>>,
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

impl<S: Source> Otherwise for Counting<S> {
    type Inner = S;

    fn inner(&self) -> &S {
        &self.inner
    }

    fn prepare(&self, database: DatabaseId) -> Result<Box<dyn PreparedCopy>, SourceError> {
        let inner = self.inner.prepare(database)?;
        Ok(Box::new(Prepared { inner, counts: self.counts.clone() }))
    }

    fn store_file(&self, database: DatabaseId, name: &str) -> Result<Option<SourceFile>, SourceError> {
        Ok(self.inner.store_file(database, name)?.map(|file| counted(&self.counts, file)))
    }
}
