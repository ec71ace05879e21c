//! Transaction logs of real stores: read, written again, and damaged.

mod damage;
mod fuzz;
mod real_logs;
mod round_trip;

use std::path::Path;

use neo4j_admin::store::id::TransactionId;
use neo4j_admin::txlog::LogPosition;
use neo4j_admin::txlog::files::LogFiles;
use neo4j_admin::txlog::reader::LogReader;

/// The logs in a directory.
fn logs(directory: &Path) -> LogFiles {
    LogFiles::list(directory).unwrap()
}

/// All transactions of a directory as they travel.
fn transactions(directory: &Path) -> Vec<(TransactionId, Vec<u8>)> {
    let logs = logs(directory);
    let start = LogPosition { log_version: logs.lowest().unwrap(), offset: 0 };
    let mut reader = LogReader::open(&logs, start).unwrap();
    let mut found = Vec::new();
    while let Some(mut logged) = reader.next_transaction().unwrap() {
        found.push((logged.transaction.id, logged.wire().unwrap().to_vec()));
    }
    found
}
