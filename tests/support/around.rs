//! A server that does what another one does, but for some of it.

use neo4j_admin::catchup::message::{InfoResponse, MetadataKind};
use neo4j_admin::catchup::server::{PreparedCopy, Source, SourceError, SourceFile, TransactionSource};
use neo4j_admin::store::id::{DatabaseId, StoreId, TransactionId};

/// What is done otherwise. What is not given is done by the inner source.
pub trait Otherwise: Send + Sync + 'static {
    type Inner: Source;

    fn inner(&self) -> &Self::Inner;

    fn prepare(&self, database: DatabaseId) -> Result<Box<dyn PreparedCopy>, SourceError> {
        self.inner().prepare(database)
    }

    fn store_file(&self, database: DatabaseId, name: &str) -> Result<Option<SourceFile>, SourceError> {
        self.inner().store_file(database, name)
    }

    fn transactions(
        &self,
        database: DatabaseId,
        first: TransactionId,
    ) -> Result<Option<Box<dyn TransactionSource>>, SourceError> {
        self.inner().transactions(database, first)
    }
}

/// The source that results.
pub struct Around<O>(pub O);

impl<O: Otherwise> Source for Around<O> {
    fn databases(&self) -> Result<Vec<(String, DatabaseId)>, SourceError> {
        self.0.inner().databases()
    }

    fn database_id(&self, name: &str) -> Result<DatabaseId, SourceError> {
        self.0.inner().database_id(name)
    }

    fn store_id(&self, database: DatabaseId) -> Result<StoreId, SourceError> {
        self.0.inner().store_id(database)
    }

    fn prepare(&self, database: DatabaseId) -> Result<Box<dyn PreparedCopy>, SourceError> {
        self.0.prepare(database)
    }

    fn last_checkpointed(&self, database: DatabaseId) -> Result<TransactionId, SourceError> {
        self.0.inner().last_checkpointed(database)
    }

    fn store_file(&self, database: DatabaseId, name: &str) -> Result<Option<SourceFile>, SourceError> {
        self.0.store_file(database, name)
    }

    fn last_committed(&self, database: DatabaseId) -> Result<TransactionId, SourceError> {
        self.0.inner().last_committed(database)
    }

    fn transactions(
        &self,
        database: DatabaseId,
        first: TransactionId,
    ) -> Result<Option<Box<dyn TransactionSource>>, SourceError> {
        self.0.transactions(database, first)
    }

    fn metadata(&self, name: &str, what: MetadataKind) -> Result<Vec<String>, SourceError> {
        self.0.inner().metadata(name, what)
    }

    fn info(&self, name: &str, database: DatabaseId) -> Result<InfoResponse, SourceError> {
        self.0.inner().info(name, database)
    }
}
