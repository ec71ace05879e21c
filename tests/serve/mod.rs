//! Real stores at rest behind the server of the product.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use neo4j_admin::catchup::ProtocolVersion;
use neo4j_admin::catchup::message::{CatchupResult, MetadataKind};
use neo4j_admin::catchup::server::{ServerOptions, Source, SourceError};
use neo4j_admin::io::disk::OsDisk;
use neo4j_admin::io::lock::FileLock;
use neo4j_admin::serve::{ServeError, StoreDirectory};
use neo4j_admin::store::id::{DatabaseId, TransactionId};
use neo4j_admin::store::neostore::{Field, Neostore};
use neo4j_admin::store::tools;

use crate::catchup::Server;
use crate::support::sinks::{MemoryFiles, MemoryTransactions};
use crate::support::stores;

/// A backup directory with the databases of an archive.
fn backup(archive: &str) -> tempfile::TempDir {
    let directory = tempfile::tempdir().unwrap();
    stores::unpack(archive, directory.path());
    directory
}

/// Files below a directory, without logs, with their contents.
fn files(directory: &Path) -> BTreeMap<String, Vec<u8>> {
    let mut found = BTreeMap::new();
    let mut folders = vec![PathBuf::new()];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(directory.join(&folder)).unwrap() {
            let entry = entry.unwrap();
            let path = folder.join(entry.file_name());
            let name = path.to_str().unwrap().to_owned();
            if entry.file_type().unwrap().is_dir() {
                folders.push(path);
            } else if !name.starts_with("neostore.transaction.db.") && !name.starts_with("checkpoint.") {
                found.insert(name, std::fs::read(entry.path()).unwrap());
            }
        }
    }
    found
}

/// The text with which a database is refused.
fn refusal(source: &StoreDirectory, name: &str) -> String {
    match source.database_id(name) {
        Err(SourceError::Unavailable(text)) => text,
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn every_real_store_can_be_copied() {
    for (archive, databases) in stores::digests() {
        if archive == "crashed" {
            continue;
        }
        let directory = backup(&archive);
        let source = StoreDirectory::open(directory.path()).unwrap();
        let server = Server::start(source, ServerOptions::default()).await;
        let mut client = server.connect(ProtocolVersion::V4).await;
        let ids: BTreeMap<_, _> = client.all_database_ids().await.unwrap().into_iter().collect();
        assert!(ids.keys().eq(databases.keys()));
        for (name, digest) in databases {
            let last = TransactionId(digest.transaction as i64);
            let id = client.database_id(&name).await.unwrap();
            assert_eq!(ids[&name], id);
            let store_id = client.store_id(id).await.unwrap();

            let mut received = MemoryFiles::default();
            let prepared = client.prepare_store_copy(id, store_id, &mut received).await.unwrap();
            assert_eq!(prepared.checkpoint, last);
            assert_eq!(prepared.names.last().unwrap(), "neostore");
            assert_eq!(prepared.names.len(), 15);
            for name in &prepared.names {
                let highest = client.store_file(id, store_id, last, name, &mut received).await.unwrap();
                assert_eq!(highest, last);
            }
            let received: BTreeMap<_, _> = received.complete().into_iter().collect();
            assert!(received == files(&directory.path().join(&name)), "{archive} {name}");

            // The checkpointed transaction again, as a full copy asks for it; then all.
            let mut sink = MemoryTransactions::default();
            let end = client.pull(id, last.previous(), store_id, &mut sink).await.unwrap();
            assert_eq!((end.result, end.last), (CatchupResult::SuccessEndOfStream, Some(last)));
            assert_eq!(sink.received.len(), 1);
            let mut sink = MemoryTransactions::default();
            client.pull(id, TransactionId::BASE, store_id, &mut sink).await.unwrap();
            let received: Vec<_> = sink.received.iter().map(|(id, _)| *id).collect();
            assert_eq!(received, (2..=last.0).collect::<Vec<_>>());
        }
        server.stop().await;
    }
}

#[test]
fn a_data_directory_is_served_like_a_backup() {
    let directory = backup("standard");
    let flat = StoreDirectory::open(directory.path()).unwrap();
    let (id, last) = (flat.database_id("neo4j").unwrap(), TransactionId(314));
    assert_eq!(flat.last_committed(id).unwrap(), last);

    let data = tempfile::tempdir().unwrap();
    let (database, logs) = (data.path().join("databases/neo4j"), data.path().join("transactions/neo4j"));
    std::fs::create_dir_all(database.parent().unwrap()).unwrap();
    std::fs::create_dir_all(&logs).unwrap();
    std::fs::rename(directory.path().join("neo4j"), &database).unwrap();
    for entry in std::fs::read_dir(&database).unwrap() {
        let name = entry.unwrap().file_name().into_string().unwrap();
        if name.starts_with("neostore.transaction.db.") || name.starts_with("checkpoint.") {
            std::fs::rename(database.join(&name), logs.join(&name)).unwrap();
        }
    }
    let source = StoreDirectory::open(data.path()).unwrap();
    assert_eq!(source.databases().unwrap(), [("neo4j".to_owned(), id)]);
    assert_eq!(source.last_committed(id).unwrap(), last);
    assert!(source.transactions(id, TransactionId(2)).unwrap().is_some());
}

#[test]
fn a_store_that_needs_recovery_is_unavailable() {
    let directory = backup("crashed");
    let source = StoreDirectory::open(directory.path()).unwrap();
    let text = refusal(&source, "neo4j");
    assert!(text.contains("must be recovered first: transactions follow the last checkpoint"), "{text}");
    let [(_, id)] = source.databases().unwrap()[..] else { panic!() };
    assert!(matches!(source.store_id(id), Err(SourceError::Unavailable(_))));
    assert!(matches!(source.prepare(id), Err(SourceError::Unavailable(_))));
}

#[test]
fn a_store_that_became_incomplete_is_unavailable_from_then_on() {
    let directory = backup("aligned");
    let source = StoreDirectory::open(directory.path()).unwrap();
    let id = source.database_id("neo4j").unwrap();
    source.store_id(id).unwrap();
    let database = directory.path().join("neo4j");
    std::fs::remove_file(database.join("neostore.nodestore.db.id")).unwrap();
    assert!(refusal(&source, "neo4j").contains("id files are missing: neostore.nodestore.db.id"));
    std::fs::remove_file(database.join("neostore.nodestore.db")).unwrap();
    assert!(refusal(&source, "neo4j").contains("store files are missing: neostore.nodestore.db"));
    assert!(source.store_id(id).is_err());
    std::fs::write(database.join("quarantine_marker"), b"").unwrap();
    assert!(refusal(&source, "neo4j").contains("quarantined"));
}

#[test]
fn logs_of_another_store_are_refused() {
    let directory = backup("aligned");
    let path = directory.path().join("neo4j/neostore");
    let mut neostore = Neostore::read(&path).unwrap();
    neostore.set(Field::RandomNumber, 1);
    neostore.write(&OsDisk::shared()).unwrap();
    let source = StoreDirectory::open(directory.path()).unwrap();
    assert!(refusal(&source, "neo4j").contains("the transaction logs belong to another store"));
}

/// Locks of the own process can't be seen, so the test starts itself once more to have one held.
#[test]
fn a_database_that_another_process_has_open_is_unavailable() {
    const LOCK: &str = "NEO4J_ADMIN_TEST_LOCK";
    if let Some(path) = std::env::var_os(LOCK) {
        let lock = FileLock::acquire(Path::new(&path)).unwrap();
        println!("locked");
        std::io::stdin().read_to_end(&mut Vec::new()).unwrap();
        return drop(lock);
    }
    let directory = backup("aligned");
    let path = directory.path().join("neo4j/database_lock");
    let source = StoreDirectory::open(directory.path()).unwrap();
    source.database_id("neo4j").unwrap();
    assert!(!path.exists());

    let mut child = Command::new(std::env::current_exe().unwrap());
    child.args(["--exact", "serve::a_database_that_another_process_has_open_is_unavailable", "--nocapture"]);
    child.env(LOCK, &path).stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut child = child.spawn().unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    assert!(lines.any(|line| line.unwrap().contains("locked")));
    let text = refusal(&source, "neo4j");
    assert!(text.contains(&format!("is locked by another process ({})", child.id())), "{text}");

    drop(child.stdin.take());
    lines.for_each(drop);
    assert!(child.wait().unwrap().success());
    source.database_id("neo4j").unwrap();
}

#[test]
fn copies_in_progress_and_replaced_ones_are_not_served() {
    let directory = backup("aligned");
    let path = |name: &str| directory.path().join(name);
    for name in ["neo4j.tmp.0", "neo4j.temp.1", "neo4j.err.12", ".hidden", "without-store"] {
        std::fs::create_dir(path(name)).unwrap();
        if name != "without-store" {
            std::fs::copy(path("neo4j/neostore"), path(name).join("neostore")).unwrap();
        }
    }
    std::fs::write(path("a-file"), b"").unwrap();
    let source = StoreDirectory::open(directory.path()).unwrap();
    let names: Vec<_> = source.databases().unwrap().into_iter().map(|(name, _)| name).collect();
    assert_eq!(names, ["neo4j"]);
    assert!(matches!(source.database_id("neo4j.tmp.0"), Err(SourceError::Unknown)));
    assert!(matches!(source.database_id("../neo4j"), Err(SourceError::Unknown)));
    assert!(matches!(source.store_id(DatabaseId::SYSTEM), Err(SourceError::Unknown)));
}

#[test]
fn a_directory_without_databases_is_refused() {
    let directory = tempfile::tempdir().unwrap();
    assert!(matches!(StoreDirectory::open(directory.path()), Err(ServeError::NoDatabase { .. })));
    let missing = directory.path().join("missing");
    assert!(matches!(StoreDirectory::open(&missing), Err(ServeError::Disk(_))));
}

#[test]
fn the_id_of_a_database_comes_from_the_best_witness() {
    let directory = backup("standard");
    let id = |name| StoreDirectory::open(directory.path()).unwrap().database_id(name).unwrap();
    let number = |number| DatabaseId(uuid::Uuid::from_u128(number));
    assert_eq!(id("system"), DatabaseId::SYSTEM);
    let computed = id("neo4j");
    assert_eq!((computed, computed.0.get_version_num()), (id("neo4j"), 5));

    let database = directory.path().join("neo4j");
    let mut neostore = Neostore::read(&database.join("neostore")).unwrap();
    neostore.set(Field::DatabaseIdHigh, 0);
    neostore.set(Field::DatabaseIdLow, 17);
    neostore.write(&OsDisk::shared()).unwrap();
    assert_eq!(id("neo4j"), number(17));
    std::fs::create_dir(database.join("tools")).unwrap();
    tools::write_database_id(&OsDisk, &database, number(18)).unwrap();
    assert_eq!(id("neo4j"), number(18));
}

#[test]
fn a_database_without_a_readable_metadata_store_is_listed_and_refused() {
    let directory = backup("aligned");
    std::fs::create_dir(directory.path().join("broken")).unwrap();
    std::fs::write(directory.path().join("broken/neostore"), b"").unwrap();
    let source = StoreDirectory::open(directory.path()).unwrap();
    let names: Vec<_> = source.databases().unwrap().into_iter().map(|(name, _)| name).collect();
    assert_eq!(names, ["broken", "neo4j"]);
    let text = refusal(&source, "broken");
    assert!(text.contains("the metadata store has no field Time (record 0)"), "{text}");
    source.database_id("neo4j").unwrap();
}

#[test]
fn two_databases_of_one_id_are_both_refused() {
    let directory = backup("aligned");
    let source = StoreDirectory::open(directory.path()).unwrap();
    let id = source.database_id("neo4j").unwrap();
    std::fs::create_dir(directory.path().join("copy")).unwrap();
    std::fs::copy(directory.path().join("neo4j/neostore"), directory.path().join("copy/neostore")).unwrap();
    assert!(refusal(&source, "neo4j").contains("the databases 'neo4j' and 'copy' have the same id"));
    assert!(matches!(source.store_id(id), Err(SourceError::Unavailable(_))));
}

#[tokio::test]
async fn logs_that_do_not_reach_back_are_pruned_ones() {
    let directory = backup("aligned");
    let database = directory.path().join("neo4j");
    std::fs::remove_file(database.join("neostore.transaction.db.0")).unwrap();
    let source = StoreDirectory::open(directory.path()).unwrap();
    let id = source.database_id("neo4j").unwrap();
    let store_id = source.store_id(id).unwrap();
    let server = Server::start(source, ServerOptions::default()).await;
    let mut client = server.connect(ProtocolVersion::V4).await;
    let mut sink = MemoryTransactions::default();
    let end = client.pull(id, TransactionId::BASE, store_id, &mut sink).await.unwrap();
    assert_eq!(end.result, CatchupResult::TransactionPruned);
    let end = client.pull(id, TransactionId(230), store_id, &mut sink).await.unwrap();
    assert_eq!(end.result, CatchupResult::SuccessEndOfStream);
    assert_eq!(sink.received.len(), 1);
    server.stop().await;
}

#[tokio::test]
async fn a_store_whose_logs_are_empty_can_be_copied_all_the_same() {
    let directory = backup("aligned");
    stores::empty_logs(&directory.path().join("neo4j"));
    let source = StoreDirectory::open(directory.path()).unwrap();
    let id = source.database_id("neo4j").unwrap();
    let store_id = source.store_id(id).unwrap();
    let server = Server::start(source, ServerOptions::default()).await;
    let mut client = server.connect(ProtocolVersion::V4).await;
    let prepared = client.prepare_store_copy(id, store_id, &mut MemoryFiles::default()).await.unwrap();
    assert_eq!(prepared.checkpoint, TransactionId::BASE);
    let mut sink = MemoryTransactions::default();
    let end = client.pull(id, TransactionId::BASE, store_id, &mut sink).await.unwrap();
    assert_eq!((end.result, end.last), (CatchupResult::SuccessEndOfStream, Some(TransactionId::BASE)));
    assert_eq!(sink.received, []);
    server.stop().await;
}

#[test]
fn only_files_of_the_store_can_be_had() {
    let directory = backup("aligned");
    let database = directory.path().join("neo4j");
    std::fs::create_dir(database.join("tools")).unwrap();
    tools::write_metadata_script(&OsDisk, &database, b"CREATE USER `a`;\nCREATE USER `b`;").unwrap();
    let source = StoreDirectory::open(directory.path()).unwrap();
    let id = source.database_id("neo4j").unwrap();
    for name in [
        "neostore.transaction.db.0",
        "checkpoint.0",
        "metadata_script.cypher",
        "tools/metadata_script.cypher",
        "../neo4j/neostore",
        "/etc/passwd",
        "neostore\0",
        "failure-message",
    ] {
        assert!(source.store_file(id, name).unwrap().is_none(), "{name:?}");
    }
    let mut file = source.store_file(id, "index-3").unwrap().unwrap();
    assert_eq!(file.path, "schema/index/native-btree-1.0/3/index-3");
    let mut content = Vec::new();
    file.content.read_to_end(&mut content).unwrap();
    assert_eq!(content, std::fs::read(database.join(&file.path)).unwrap());

    let commands = source.metadata("neo4j", MetadataKind::All).unwrap();
    assert_eq!(commands, ["CREATE USER `a`", "CREATE USER `b`"]);
}
