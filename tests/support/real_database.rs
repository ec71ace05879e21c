//! Real databases as a live server has them: files as the last checkpoint left them, transactions behind it in the log.

use std::path::Path;

use neo4j_admin::store::id::TransactionId;
use neo4j_admin::store::layout::{DatabaseLayout, Purpose, RecordStore};
use neo4j_admin::store::neostore::Neostore;
use neo4j_admin::txlog::files::LogFiles;
use neo4j_admin::txlog::reader::LogReader;
use neo4j_admin::txlog::tail::Tail;

use super::backup_run::contents;
use super::memory_source::MemoryDatabase;

/// All of a database whose files and logs are in `directory`, in memory: its size counts.
pub fn read(directory: &Path, name: &str) -> MemoryDatabase {
    let mut database = log_of(directory, name, usize::MAX);
    let mut files = contents(directory);
    for store in RecordStore::ALL {
        let name = store.file_name().to_owned();
        let content = files.remove(&name).unwrap_or_else(|| panic!("no {name}"));
        database.replayable.push((name, content));
    }
    let is_atomic = |path: &str| Purpose::of(path.split('/').next().unwrap_or_default()) == Purpose::Other;
    database.atomic = files.into_iter().filter(|(path, _)| is_atomic(path)).collect();
    database
}

/// The same without files, and with no more than `count` transactions behind the checkpoint: what a server needs for
/// clients that ask for transactions only.
pub fn log_of(directory: &Path, name: &str, count: usize) -> MemoryDatabase {
    let neostore = Neostore::read(&DatabaseLayout::flat(directory).neostore()).expect("a metadata store");
    let mut database = MemoryDatabase::empty(name, 0x7265_616c);
    database.store_id = neostore.store_id().expect("a store id");
    let logs = LogFiles::list(directory).expect("logs");
    let lowest = logs.lowest().expect("a log");
    let mut reader = LogReader::open_file(&logs, lowest).expect("a log");
    let start = reader.position();
    reader = LogReader::open(&logs, start).expect("a log");
    let checkpoint = Tail::find(&logs).expect("a tail").checkpoint.expect("a checkpoint").position;
    let mut behind = 0;
    while behind < count
        && let Some(mut logged) = reader.next_transaction().expect("transactions")
    {
        let id = logged.transaction.id;
        let wire = logged.wire().expect("a transaction").to_vec();
        if (logged.start.log_version, logged.start.offset) < (checkpoint.log_version, checkpoint.offset) {
            database.checkpoint = id;
        } else {
            behind += 1;
        }
        database.transactions.push((id, wire));
    }
    if database.checkpoint == TransactionId::BASE {
        // The log begins behind the checkpoint.
        database.checkpoint =
            database.transactions.first().map_or(TransactionId::BASE, |(id, _)| id.previous());
    }
    database
}
