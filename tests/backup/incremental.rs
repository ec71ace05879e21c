//! Backups that are continued, and when they are replaced instead.

use std::collections::BTreeMap;

use neo4j_admin::backup::job::Fallback;
use neo4j_admin::store::id::TransactionId;
use neo4j_admin::store::neostore::{Field, Neostore};
use neo4j_admin::txlog::files::LogFiles;
use neo4j_admin::txlog::reader::LogReader;

use crate::support::backup_run::BackupRun;
use crate::support::live_source::{Asked, LiveSource};
use crate::support::serving::{Serving, dialer};
use crate::support::small_store;
use crate::support::transactions::transaction;

/// A server at transaction 8, and a backup of it.
fn backed_up() -> (LiveSource, Serving, BackupRun) {
    let source = LiveSource::new(small_store::source(1));
    let server = Serving::start(source.clone());
    let run = BackupRun::new();
    run.back_up(server.dialer()).unwrap();
    source.take_asked();
    (source, server, run)
}

/// Ids in the logs of a backup.
fn logged(run: &BackupRun) -> Vec<i64> {
    let files = LogFiles::list(&run.path("neo4j")).unwrap();
    let start = neo4j_admin::txlog::LogPosition { log_version: files.lowest().unwrap(), offset: 0 };
    let mut reader = LogReader::open(&files, start).unwrap();
    let mut ids = Vec::new();
    while let Some(logged) = reader.next_transaction().unwrap() {
        ids.push(logged.transaction.id.0);
    }
    ids
}

/// Everything but the logs, the metadata store and the manifest.
fn stores(run: &BackupRun) -> BTreeMap<String, Vec<u8>> {
    let mut files = run.contents("neo4j");
    files.retain(|path, _| {
        !["neostore", "database_lock", "tools/manifest.toml"].contains(&path.as_str())
            && !path.starts_with("neostore.transaction.db.")
    });
    files
}

#[test]
fn each_transaction_comes_once_and_no_file_is_asked_for() {
    let (source, server, run) = backed_up();
    let before = stores(&run);
    let mut sent = Vec::new();
    for last in [9, 40, 41, 3000, 3000, 3001] {
        source.commit_to(last);
        run.back_up(server.dialer()).unwrap();
        sent.extend(source.take_asked());
        assert_eq!(logged(&run), (5..=last).collect::<Vec<_>>());
        let neostore = Neostore::read(&run.path("neo4j/neostore")).unwrap();
        assert_eq!(neostore.last_transaction().unwrap(), TransactionId(last));
        let highest = LogFiles::list(&run.path("neo4j")).unwrap().highest().unwrap();
        assert_eq!(neostore.get(Field::LogVersion), Some(highest.cast_signed()));
    }
    assert_eq!(sent, (9..=3001).map(|id| Asked::Sent(TransactionId(id))).collect::<Vec<_>>());
    assert_eq!(run.names(), ["neo4j"]);
    assert!(stores(&run) == before);
    assert!(LogFiles::list(&run.path("neo4j")).unwrap().highest() > Some(12), "a log file was full");
    let lines = run.told.lines();
    assert!(lines.contains(&"Start receiving transactions from 3000".to_owned()), "{lines:?}");
    assert!(lines.iter().any(|line| line.starts_with("Finish receiving transactions at 3001, took ")));
    assert!(lines.iter().any(|line| line.starts_with("Finish receiving transactions at -1, took ")));
    assert!(lines.last().unwrap().starts_with("Finished, took "));
}

#[test]
fn without_anything_new_nothing_is_touched() {
    let (source, server, run) = backed_up();
    let before = run.contents("neo4j");
    let disk = crate::support::faulty_disk::FaultyDisk::sound();
    let mut job = run.job(server.dialer());
    job.disk = disk.shared();
    job.back_up("neo4j").unwrap();
    assert_eq!(disk.steps(), 0);
    assert!(run.contents("neo4j") == before);
    assert!(source.take_asked().is_empty());
}

#[test]
fn a_server_that_is_behind_is_told_and_changes_nothing() {
    let (source, server, run) = backed_up();
    let before = run.contents("neo4j");
    source.change(|database| database.transactions.retain(|(id, _)| id.0 < 7));
    run.back_up(server.dialer()).unwrap();
    assert!(
        run.told
            .contains("The server is behind the backup: it has committed transaction 6, the backup has 8")
    );
    assert!(run.contents("neo4j") == before);
}

#[test]
fn what_a_stopped_run_left_is_cut_off_and_comes_again() {
    for rest in [vec![4, 1, 0, 0], vec![0; 20_000], [vec![0; 600], vec![9; 60]].concat()] {
        let (source, server, run) = backed_up();
        let path = run.path("neo4j/neostore.transaction.db.12");
        let mut log = std::fs::read(&path).unwrap();
        log.extend(&rest);
        std::fs::write(&path, log).unwrap();
        std::fs::write(run.path("neo4j/neostore.transaction.db.13"), b"").unwrap();
        source.commit_to(10);
        run.back_up(server.dialer()).unwrap();
        assert_eq!(logged(&run), (5..=10).collect::<Vec<_>>());
        assert!(!run.path("neo4j/neostore.transaction.db.13").exists());
    }
}

#[test]
fn logs_without_a_transaction_are_continued() {
    for (server_has, sent) in [(2, vec![8, 9]), (9, vec![9])] {
        let (source, server, run) = backed_up();
        let path = run.path("neo4j/neostore.transaction.db.12");
        let mut log = std::fs::read(&path).unwrap();
        log.truncate(64);
        log[8..16].copy_from_slice(&8_i64.to_be_bytes());
        std::fs::write(&path, log).unwrap();
        source.commit_to(9);
        source.prune_below(server_has);
        run.back_up(server.dialer()).unwrap();
        assert_eq!(logged(&run), [9]);
        let sent: Vec<_> = sent.into_iter().map(|id| Asked::Sent(TransactionId(id))).collect();
        assert_eq!(source.take_asked(), sent);
    }
}

/// Changes the backup, or the server.
type Arrange<'a> = &'a dyn Fn(&BackupRun, &LiveSource);

/// What a full copy cures, and the reason that is told.
const CURABLE: [(Arrange<'_>, &str); 7] = [
    (
        &|_, source| source.prune_below(12),
        "E_TRANSACTION_PRUNED, the server has deleted transaction 9 from its logs",
    ),
    (
        &|run, _| std::fs::remove_file(run.path("neo4j/neostore.transaction.db.12")).unwrap(),
        "the last checkpoint does not point to a valid location",
    ),
    (&|run, _| std::fs::remove_file(run.path("neo4j/checkpoint.0")).unwrap(), "No check point found"),
    (
        &|run, _| {
            let path = run.path("neo4j/neostore.transaction.db.12");
            let mut log = std::fs::read(&path).unwrap();
            log[70] ^= 0xff;
            std::fs::write(path, log).unwrap();
        },
        "unreadable at offset 64",
    ),
    (
        &|run, _| {
            let mut id = small_store::database("neo4j", 7, 1).store_id;
            id.random += 1;
            std::fs::write(run.path("neo4j/neostore"), small_store::neostore(&id, 12, 8)).unwrap();
        },
        "Remote store and existing backup have different store ids!",
    ),
    (&|run, _| std::fs::remove_file(run.path("neo4j/neostore")).unwrap(), "does not contain previous backup"),
    (
        &|run, _| {
            std::fs::write(run.path("neo4j/tools/database.id"), uuid::Uuid::nil().to_string()).unwrap();
        },
        "doesn't match with the server one",
    ),
];

#[test]
fn what_a_full_copy_cures_leads_to_one_that_is_announced() {
    for (arrange, reason) in CURABLE {
        let (source, server, run) = backed_up();
        source.commit_to(20);
        source.change(|database| database.checkpoint = TransactionId(15));
        arrange(&run, &source);
        run.back_up(server.dialer()).unwrap();
        assert!(
            run.told.contains("A full copy is made: ") && run.told.contains(reason),
            "{:#?}",
            run.told.lines()
        );
        assert_eq!(source.take_files().len(), 15, "{reason}");
        assert_eq!(logged(&run), (15..=20).collect::<Vec<_>>());
        assert!(run.names().iter().all(|name| name == "neo4j" || name == "neo4j.err.0"), "{:?}", run.names());
    }
}

#[test]
fn without_fallback_the_backup_stays_and_the_reason_is_the_error() {
    for (arrange, reason) in CURABLE {
        let (source, server, run) = backed_up();
        source.commit_to(20);
        arrange(&run, &source);
        let before = run.contents("neo4j");
        let mut job = run.job(server.dialer());
        job.fallback = Fallback::Never;
        let error = job.back_up("neo4j").unwrap_err();
        assert!(error.to_string().contains(reason), "{error}");
        assert!(run.contents("neo4j") == before);
        assert_eq!(run.names(), ["neo4j"]);
        assert!(source.take_files().is_empty());
    }
}

#[test]
fn a_server_that_fails_leads_to_a_full_copy_only_if_that_is_wished() {
    let (source, server, run) = backed_up();
    source.commit_to(10);
    // A transaction without bytes can't be read by the server.
    source.change(|database| {
        database.checkpoint = TransactionId(10);
        database.transactions[7].1.clear();
    });
    let before = run.contents("neo4j");
    let error = run.back_up(server.dialer()).unwrap_err();
    assert!(error.to_string().contains("without progress"), "{error}");
    assert!(run.contents("neo4j") == before && !run.told.contains("A full copy is made"));
    assert!(source.take_files().is_empty());
    let mut job = run.job(server.dialer());
    job.fallback = Fallback::Always;
    job.back_up("neo4j").unwrap();
    assert!(run.told.contains("A full copy is made: Pulling tx failed consecutively without progress"));
    assert_eq!(logged(&run), [10]);
    assert_eq!(run.names(), ["neo4j"]);
}

#[test]
fn an_incremental_that_breaks_off_keeps_what_it_has() {
    let (source, server, run) = backed_up();
    // Larger than a frame, which is sent as a whole or not at all.
    let commit = |ids: std::ops::RangeInclusive<i64>| {
        source.change(|database| {
            database.transactions.extend(ids.map(|id| (TransactionId(id), transaction(id, 150_000))));
        });
    };
    commit(9..=14);
    source.change(|database| database.transactions.last_mut().unwrap().1.clear());
    assert!(run.back_up(server.dialer()).is_err());
    let last = *logged(&run).last().unwrap();
    assert!((9..14).contains(&last), "{last}");
    source.take_asked();
    source.change(|database| drop(database.transactions.pop()));
    commit(14..=15);
    run.back_up(server.dialer()).unwrap();
    assert_eq!(source.take_asked().first(), Some(&Asked::Sent(TransactionId(last + 1))));
    assert_eq!(logged(&run), (5..=15).collect::<Vec<_>>());
}

#[test]
fn of_several_servers_the_first_that_has_the_database_is_used() {
    let (source, server, run) = backed_up();
    source.commit_to(9);
    let nobody = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let mut other = small_store::source(1);
    other.databases[0] = small_store::database("other", 9, 1);
    let without = Serving::start(other);
    let mut job = run.job(server.dialer());
    let timeouts = job.servers[0].timeouts;
    let at = |address| {
        let mut dialer = dialer(address);
        dialer.timeouts = timeouts;
        dialer
    };
    job.servers = vec![at(nobody), at(without.address), at(server.address), at(nobody)];
    job.back_up("neo4j").unwrap();
    assert_eq!(logged(&run).last(), Some(&9));
    assert!(run.told.contains(&format!("{nobody} is passed over, the next server is tried: ")));
    assert!(run.told.contains(&format!("{} is passed over", without.address)));
    assert!(run.told.contains("E_DATABASE_UNKNOWN"));
    assert!(run.told.contains(&format!("Database 'neo4j' is read from {}", server.address)));
    job.servers.truncate(2);
    assert!(job.back_up("neo4j").unwrap_err().to_string().contains("Failed to download database id"));
}
