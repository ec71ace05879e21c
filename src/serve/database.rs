//! One database at rest.

use std::path::Path;

use super::{ServeError, files};
use crate::catchup::server::{PreparedCopy, SourceError, SourceFile, TransactionSource};
use crate::io::lock::{FileLock, LockError};
use crate::store::id::{DatabaseId, StoreId, TransactionId};
use crate::store::layout::{DatabaseLayout, QUARANTINE_MARKER};
use crate::store::neostore::Neostore;
use crate::store::tools::read_database_id;
use crate::txlog::LogError;
use crate::txlog::files::LogFiles;
use crate::txlog::reader::LogReader;
use crate::txlog::tail::{Tail, recovery_reason};

/// A store that is complete and that nobody has open, at this moment.
#[derive(Debug)]
pub(super) struct Database {
    pub layout: DatabaseLayout,
    pub store_id: StoreId,
    pub logs: LogFiles,
    /// The last committed transaction, which may not be in the logs.
    pub last: TransactionId,
}

impl Database {
    /// Checks that a database can be served. Specification: protocol 8.1.
    pub fn open(layout: DatabaseLayout) -> Result<Self, ServeError> {
        let marker = layout.database.join(QUARANTINE_MARKER);
        if marker.exists() {
            return Err(ServeError::Quarantined { marker });
        }
        match FileLock::check(&layout.lock()) {
            Err(LockError::Disk(error)) => return Err(error.into()),
            checked => checked.map_err(ServeError::InUse)?,
        }
        let logs = LogFiles::list(&layout.logs)?;
        let tail = Tail::find(&logs)?;
        if let Some(reason) = recovery_reason(&layout, &logs, &tail) {
            return Err(ServeError::NeedsRecovery { directory: layout.database, reason });
        }
        let neostore = Neostore::read(&layout.neostore())?;
        let store_id = neostore.store_id()?;
        let logged = tail.checkpoint.and_then(|checkpoint| checkpoint.store_id);
        if logged.is_some_and(|logged| !logged.is_same_store(&store_id)) {
            return Err(ServeError::ForeignLogs { directory: layout.database });
        }
        Ok(Self { store_id, logs, last: neostore.last_transaction()?, layout })
    }

    /// The last transaction that a client may be told: the last one if the logs hold it, else 1, which is none.
    ///
    /// A client that copies the store asks for the last checkpointed transaction again. It can't have it if the logs
    /// have been pruned or replaced; it gives up then. Of transaction 1 it knows that there is no such thing, and takes
    /// the store as it is. Specification: protocol 8.1.
    pub fn last_served(&self) -> Result<TransactionId, LogError> {
        let found = LogReader::find(&self.logs, self.last)?;
        Ok(found.map_or(TransactionId::BASE, |_| self.last))
    }

    /// A file of the store by its bare name.
    pub fn file(&self, name: &str) -> Result<Option<SourceFile>, ServeError> {
        let path = files::find(&self.layout.database, name)?;
        path.map(|path| files::open(&self.layout.database, path)).transpose()
    }

    /// The files for a full copy. `checkpoint`: the last transaction that a client may be told.
    pub fn prepare(self, checkpoint: TransactionId) -> Result<Prepared, ServeError> {
        let atomic = files::atomic(&self.layout.database)?.into_iter();
        Ok(Prepared { layout: self.layout, checkpoint, atomic })
    }

    /// Transactions from `first` to the last one.
    pub fn transactions(&self, first: TransactionId) -> Result<Option<Transactions>, LogError> {
        let reader = LogReader::find(&self.logs, first)?;
        Ok(reader.map(|reader| Transactions { reader, last: self.last }))
    }
}

/// For ids that are computed, so that no other program makes the same for something else.
const NAMESPACE: uuid::Uuid = uuid::uuid!("5f1d7a0c-6f0e-4c39-9a5e-3c1f3f4f1b52");

/// An id for a database of which nothing but the name is known.
pub(super) fn id_of_name(name: &str) -> DatabaseId {
    DatabaseId(uuid::Uuid::new_v5(&NAMESPACE, name.as_bytes()))
}

/// The id of a database, the same at every start. Specification: protocol 8.1.
pub(super) fn database_id(name: &str, directory: &Path) -> Result<DatabaseId, ServeError> {
    if name == "system" {
        return Ok(DatabaseId::SYSTEM);
    }
    if let Some(id) = read_database_id(directory) {
        return Ok(id);
    }
    let neostore = Neostore::read(&DatabaseLayout::flat(directory).neostore())?;
    if let Some(id) = neostore.database_id() {
        return Ok(id);
    }
    let mut bytes = Vec::with_capacity(StoreId::SIZE);
    neostore.store_id()?.encode(&mut bytes);
    Ok(DatabaseId(uuid::Uuid::new_v5(&NAMESPACE, &bytes)))
}

/// The files of a full copy that are sent first.
#[derive(Debug)]
pub(super) struct Prepared {
    layout: DatabaseLayout,
    checkpoint: TransactionId,
    atomic: std::vec::IntoIter<String>,
}

impl PreparedCopy for Prepared {
    fn checkpoint(&self) -> TransactionId {
        self.checkpoint
    }

    fn replayable(&self) -> Vec<String> {
        files::replayable()
    }

    fn next_atomic(&mut self) -> Result<Option<SourceFile>, SourceError> {
        let next = self.atomic.next();
        Ok(next.map(|path| files::open(&self.layout.database, path)).transpose()?)
    }
}

/// Transactions out of the logs.
#[derive(Debug)]
pub(super) struct Transactions {
    reader: LogReader,
    last: TransactionId,
}

impl TransactionSource for Transactions {
    fn next(&mut self, wire: &mut Vec<u8>) -> Result<Option<TransactionId>, SourceError> {
        let next = self.reader.next_transaction().map_err(SourceError::failed)?;
        let Some(mut next) = next.filter(|next| next.transaction.id <= self.last) else { return Ok(None) };
        wire.extend_from_slice(next.wire().map_err(SourceError::failed)?);
        Ok(Some(next.transaction.id))
    }
}
