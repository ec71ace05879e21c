//! What tells one history of a store from another.

use serde::{Deserialize, Serialize};

use crate::store::id::TransactionId;
use crate::txlog::crc::checksum;
use crate::txlog::wire::{self, WireTransaction};
use crate::txlog::{LogError, reader::LoggedTransaction};

/// The start and the commit entry of a transaction.
///
/// The start entry holds the checksum of the transaction before it in the log of the server, and so depends on all that
/// was committed before: a server that was set back and went on otherwise has another one under the same id. Commands
/// are left out, because servers may order the same content differently. Specification: protocol 7.9.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Witness {
    transaction: i64,
    kernel_version: u8,
    start_time: i64,
    commit_time: i64,
    latest_committed: i64,
    previous_checksum: u32,
    /// Checksum of the additional header.
    additional_header: u32,
}

impl Witness {
    /// Of a transaction that arrives; `bytes` begin with it.
    pub fn of(transaction: &WireTransaction, bytes: &[u8]) -> Result<Self, LogError> {
        Ok(Self {
            transaction: transaction.id.0,
            kernel_version: transaction.kernel_version.byte(),
            start_time: transaction.start_time,
            commit_time: transaction.commit_time,
            latest_committed: transaction.latest_committed.0,
            previous_checksum: transaction.previous_checksum,
            additional_header: checksum(wire::start(bytes)?.additional_header),
        })
    }

    /// Of a transaction in a log.
    pub fn of_logged(logged: &mut LoggedTransaction<'_>) -> Result<Self, LogError> {
        let transaction = logged.transaction;
        Self::of(&transaction, logged.wire()?)
    }

    /// The transaction.
    pub fn transaction(&self) -> TransactionId {
        TransactionId(self.transaction)
    }
}
