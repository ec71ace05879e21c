//! Databases in memory for the server of the product.

use std::collections::VecDeque;
use std::io::{self, Cursor, Read};

use neo4j_admin::catchup::message::{InfoResponse, MetadataKind};
use neo4j_admin::catchup::server::{PreparedCopy, Source, SourceError, SourceFile, TransactionSource};
use neo4j_admin::store::id::{DatabaseId, StoreId, StoreVersion, TransactionId};

/// A database: its files and its logs.
#[derive(Clone, Debug)]
pub struct MemoryDatabase {
    pub name: String,
    pub id: DatabaseId,
    pub store_id: StoreId,
    pub state: State,
    /// Paths and contents of the files that no replay can rebuild.
    pub atomic: Vec<(String, Vec<u8>)>,
    /// Paths and contents of all others.
    pub replayable: Vec<(String, Vec<u8>)>,
    /// The path of a file that can't be read beyond its middle.
    pub unreadable: Option<String>,
    pub checkpoint: TransactionId,
    /// Ids and bytes of the transactions in the logs.
    pub transactions: Vec<(TransactionId, Vec<u8>)>,
}

/// Whether a database can be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    Started,
    Stopped,
    NeedsRecovery,
    Broken,
}

impl MemoryDatabase {
    /// A database with nothing in it, at transaction 1.
    pub fn empty(name: &str, number: u128) -> Self {
        Self {
            name: name.to_owned(),
            id: DatabaseId(uuid::Uuid::from_u128(number)),
            store_id: StoreId {
                creation_time: 1_609_459_200_000,
                random: i64::try_from(number).unwrap(),
                version: StoreVersion::from_name("SF4.3.0").unwrap(),
                upgrade_time: 1_609_459_200_000,
                upgrade_transaction: 1,
            },
            state: State::Started,
            atomic: Vec::new(),
            replayable: Vec::new(),
            unreadable: None,
            checkpoint: TransactionId::BASE,
            transactions: Vec::new(),
        }
    }

    fn file(&self, path: &str, content: &[u8]) -> SourceFile {
        let content: Box<dyn Read + Send> = if self.unreadable.as_deref() == Some(path) {
            let half = content[..content.len() / 2].to_vec();
            Box::new(Cursor::new(half).chain(Failing))
        } else {
            Box::new(Cursor::new(content.to_vec()))
        };
        SourceFile { path: path.to_owned(), alignment: 15, content }
    }

    fn last_committed(&self) -> TransactionId {
        self.transactions.last().map_or(self.checkpoint, |(id, _)| *id)
    }
}

struct Failing;

impl Read for Failing {
    fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
        Err(io::Error::other("the disk is gone"))
    }
}

/// Serves databases from memory.
#[derive(Clone, Debug, Default)]
pub struct MemorySource {
    pub databases: Vec<MemoryDatabase>,
    /// The commands for users and roles; `None`: they can't be computed.
    pub metadata: Option<Vec<String>>,
}

impl MemorySource {
    fn database(&self, id: DatabaseId) -> Result<&MemoryDatabase, SourceError> {
        readable(self.databases.iter().find(|database| database.id == id))
    }
}

fn readable(database: Option<&MemoryDatabase>) -> Result<&MemoryDatabase, SourceError> {
    let database = database.ok_or(SourceError::Unknown)?;
    match database.state {
        State::Started => Ok(database),
        State::Stopped => Err(SourceError::Stopped),
        State::NeedsRecovery => Err(SourceError::Unavailable("it needs recovery".to_owned())),
        State::Broken => Err(SourceError::failed("the disk is gone")),
    }
}

impl Source for MemorySource {
    fn databases(&self) -> Result<Vec<(String, DatabaseId)>, SourceError> {
        Ok(self.databases.iter().map(|database| (database.name.clone(), database.id)).collect())
    }

    fn database_id(&self, name: &str) -> Result<DatabaseId, SourceError> {
        readable(self.databases.iter().find(|database| database.name == name)).map(|database| database.id)
    }

    fn store_id(&self, database: DatabaseId) -> Result<StoreId, SourceError> {
        self.database(database).map(|database| database.store_id)
    }

    fn prepare(&self, database: DatabaseId) -> Result<Box<dyn PreparedCopy>, SourceError> {
        Ok(Box::new(Copy { database: self.database(database)?.clone(), next: 0 }))
    }

    fn last_checkpointed(&self, database: DatabaseId) -> Result<TransactionId, SourceError> {
        self.database(database).map(|database| database.checkpoint)
    }

    fn store_file(&self, database: DatabaseId, name: &str) -> Result<Option<SourceFile>, SourceError> {
        let database = self.database(database)?;
        let mut found =
            database.replayable.iter().chain(&database.atomic).filter(|(path, _)| base(path) == name);
        Ok(match (found.next(), found.next()) {
            (Some((path, content)), None) => Some(database.file(path, content)),
            _ => None,
        })
    }

    fn last_committed(&self, database: DatabaseId) -> Result<TransactionId, SourceError> {
        self.database(database).map(MemoryDatabase::last_committed)
    }

    fn transactions(
        &self,
        database: DatabaseId,
        first: TransactionId,
    ) -> Result<Option<Box<dyn TransactionSource>>, SourceError> {
        let transactions = &self.database(database)?.transactions;
        let start = transactions.iter().position(|(id, _)| *id == first);
        Ok(start.map(|start| {
            let transactions = transactions[start..].iter().cloned().collect();
            Box::new(Log { transactions }) as Box<dyn TransactionSource>
        }))
    }

    fn metadata(&self, _: &str, what: MetadataKind) -> Result<Vec<String>, SourceError> {
        let commands = self.metadata.clone().ok_or_else(|| SourceError::failed("no system database"))?;
        Ok(commands
            .into_iter()
            .filter(|command| match what {
                MetadataKind::All => true,
                MetadataKind::Users => command.contains("USER"),
                MetadataKind::Roles => command.contains("ROLE"),
            })
            .collect())
    }

    fn info(&self, _: &str, database: DatabaseId) -> Result<InfoResponse, SourceError> {
        let reconciled = self.database(database)?.last_committed();
        Ok(InfoResponse { reconciled, failure: None })
    }
}

fn base(path: &str) -> &str {
    path.rsplit('/').next().unwrap()
}

struct Copy {
    database: MemoryDatabase,
    next: usize,
}

impl PreparedCopy for Copy {
    fn checkpoint(&self) -> TransactionId {
        self.database.checkpoint
    }

    fn replayable(&self) -> Vec<String> {
        self.database.replayable.iter().map(|(path, _)| base(path).to_owned()).collect()
    }

    fn next_atomic(&mut self) -> Result<Option<SourceFile>, SourceError> {
        let file = self.database.atomic.get(self.next);
        self.next += 1;
        Ok(file.map(|(path, content)| self.database.file(path, content)))
    }
}

struct Log {
    transactions: VecDeque<(TransactionId, Vec<u8>)>,
}

impl TransactionSource for Log {
    fn next(&mut self, wire: &mut Vec<u8>) -> Result<Option<TransactionId>, SourceError> {
        match self.transactions.pop_front() {
            // A transaction without bytes stands for one that can't be read.
            Some((_, bytes)) if bytes.is_empty() => Err(SourceError::failed("the log is damaged")),
            Some((id, bytes)) => {
                wire.extend_from_slice(&bytes);
                Ok(Some(id))
            }
            None => Ok(None),
        }
    }
}
