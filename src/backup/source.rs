//! The server that a database is copied from.

use super::BackupError;
use crate::catchup::message::CatchupResult;
use crate::catchup::{CatchupError, Client, Dialer, ProtocolVersion};
use crate::store::id::{DatabaseId, StoreId};

/// A database at a server, identified.
#[derive(Clone, Debug)]
pub struct Source {
    /// How to reach the server.
    pub dialer: Dialer,
    /// The name that the server knows it by.
    pub name: String,
    /// Its database id.
    pub database: DatabaseId,
    /// Its store id.
    pub store_id: StoreId,
    /// The version of the protocol there.
    pub protocol: ProtocolVersion,
}

impl Source {
    /// Asks servers for the ids of a database, one after the other until one has it. Returns the open connection too.
    /// `passed_over` hears why a server is not taken; the error is that of the last one.
    pub async fn identify(
        dialers: &[Dialer],
        name: &str,
        passed_over: impl Fn(&Dialer, &CatchupError),
    ) -> Result<(Self, Client), BackupError> {
        let mut rest = dialers.iter();
        while let Some(dialer) = rest.next() {
            match Self::identify_at(dialer, name).await {
                Err(error) if rest.len() > 0 && another_may_do(&error) => passed_over(dialer, &error),
                result => return Ok(result?),
            }
        }
        Err(BackupError::NoServer)
    }

    /// An open connection: the one that is given, or a new one.
    pub async fn open(&self, client: Option<Client>) -> Result<Client, CatchupError> {
        match client {
            Some(client) => Ok(client),
            None => self.dialer.connect().await,
        }
    }

    async fn identify_at(dialer: &Dialer, name: &str) -> Result<(Self, Client), CatchupError> {
        let mut client = dialer.connect().await?;
        let database = client.database_id(name).await?;
        let store_id = client.store_id(database).await?;
        let (dialer, protocol) = (dialer.clone(), client.version());
        Ok((Self { dialer, name: name.to_owned(), database, store_id, protocol }, client))
    }
}

/// The first of several servers that can be reached.
pub async fn first_reachable(
    dialers: &[Dialer],
    passed_over: impl Fn(&Dialer, &CatchupError),
) -> Result<Client, BackupError> {
    let mut rest = dialers.iter();
    while let Some(dialer) = rest.next() {
        match dialer.connect().await {
            Err(error) if rest.len() > 0 && another_may_do(&error) => passed_over(dialer, &error),
            result => return Ok(result?),
        }
    }
    Err(BackupError::NoServer)
}

/// Whether another server may do what this one did not: it can't be reached, or does not have the database now.
/// Specification: command line 2.12.
fn another_may_do(error: &CatchupError) -> bool {
    match error {
        CatchupError::DatabaseId { source, .. } | CatchupError::StoreId { source, .. } => {
            another_may_do(source)
        }
        CatchupError::ErrorResponse { status, .. } => {
            matches!(status, CatchupResult::StoreUnavailable | CatchupResult::DatabaseUnknown)
        }
        CatchupError::UnknownHost { .. }
        | CatchupError::Connect { .. }
        | CatchupError::ConnectTimeout { .. }
        | CatchupError::HandshakeTimeout { .. }
        | CatchupError::SendTimeout { .. }
        | CatchupError::NoResponse { .. }
        | CatchupError::Closed { .. }
        | CatchupError::Io { .. } => true,
        _ => false,
    }
}
