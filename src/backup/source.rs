//! The server that a database is copied from.

use crate::catchup::{CatchupError, Client, Dialer};
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
}

impl Source {
    /// Asks a server for the ids of a database. Returns the open connection too.
    pub async fn identify(dialer: &Dialer, name: &str) -> Result<(Self, Client), CatchupError> {
        let mut client = dialer.connect().await?;
        let database = client.database_id(name).await?;
        let store_id = client.store_id(database).await?;
        Ok((Self { dialer: dialer.clone(), name: name.to_owned(), database, store_id }, client))
    }
}
