//! Sinks that keep what they get.

use std::time::Duration;

use neo4j_admin::catchup::{FileSink, SinkError, TransactionSink};
use neo4j_admin::txlog::wire::WireTransaction;

/// Keeps files.
#[derive(Debug, Default)]
pub struct MemoryFiles {
    pub files: Vec<ReceivedFile>,
    /// How long the server was said to be silent, each time.
    pub waited: Vec<Duration>,
    /// A path that is refused.
    pub refused: Option<String>,
}

/// A file as it was received.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReceivedFile {
    pub path: String,
    pub alignment: i32,
    pub content: Vec<u8>,
    pub complete: bool,
}

impl MemoryFiles {
    /// Paths and contents; all files must be complete.
    pub fn complete(self) -> Vec<(String, Vec<u8>)> {
        assert!(self.files.iter().all(|file| file.complete));
        self.files.into_iter().map(|file| (file.path, file.content)).collect()
    }
}

impl FileSink for MemoryFiles {
    fn begin(&mut self, path: &str, alignment: i32) -> Result<(), SinkError> {
        if self.refused.as_deref() == Some(path) {
            return Err(SinkError::new(format!("{path:?} is refused")));
        }
        let path = path.to_owned();
        self.files.push(ReceivedFile { path, alignment, content: Vec::new(), complete: false });
        Ok(())
    }

    fn write(&mut self, data: &[u8]) -> Result<(), SinkError> {
        assert!(!data.is_empty());
        self.files.last_mut().unwrap().content.extend_from_slice(data);
        Ok(())
    }

    fn finish(&mut self) -> Result<(), SinkError> {
        self.files.last_mut().unwrap().complete = true;
        Ok(())
    }

    fn waiting_for_checkpoint(&mut self, waited: Duration) {
        self.waited.push(waited);
    }
}

/// Keeps transactions: ids and bytes.
#[derive(Debug, Default)]
pub struct MemoryTransactions {
    pub received: Vec<(i64, Vec<u8>)>,
    /// The transaction that is refused.
    pub refused: Option<i64>,
}

impl TransactionSink for MemoryTransactions {
    fn accept(&mut self, transaction: &WireTransaction, bytes: &[u8]) -> Result<(), SinkError> {
        if self.refused == Some(transaction.id.0) {
            return Err(SinkError::new("refused"));
        }
        self.received.push((transaction.id.0, bytes.to_vec()));
        Ok(())
    }
}
