//! Backups of live databases of the real kernel that are continued round by round, opened by the real kernel each time.
//!
//! `NEO4J_ADMIN_TEST_ROUNDS` makes the campaign longer, `NEO4J_ADMIN_TEST_STORE_BYTES` the store larger.

use std::io::Write;
use std::time::Instant;

use super::recovery::assert_opened_at_once;
use crate::support::kernel::Kernel;
use crate::support::peer::{BackupPeer, Serving};
use crate::support::random::rounds;
use crate::support::tool::Tool;

/// Requests for a database in the log of the peer.
#[derive(Debug, Default, PartialEq, Eq)]
struct Requests {
    /// Preparations and files.
    copies: usize,
    /// For each pull what it was asked to follow, and where it ended.
    pulls: Vec<(u64, u64)>,
}

fn requests(log: &str, database: &str) -> Requests {
    let mut requests = Requests::default();
    for line in log.lines() {
        let words: Vec<_> = line.split(' ').skip(1).collect();
        match words[..] {
            ["PREPARE_STORE_COPY" | "STORE_FILE", name, ..] if name == database => requests.copies += 1,
            ["TX_PULL", name, "after", previous] if name == database => {
                requests.pulls.push((previous.parse().expect("an id"), 0));
            }
            ["TX_PULL", name, "SUCCESS_END_OF_STREAM", last] if name == database => {
                requests.pulls.last_mut().expect("a request before").1 = last.parse().expect("an id");
            }
            _ => {}
        }
    }
    requests
}

#[test]
fn incrementals_under_load_go_on_where_the_last_one_ended() {
    let Some(kernel) = Kernel::find() else { return };
    let bytes = rounds("NEO4J_ADMIN_TEST_STORE_BYTES", 1_000_000);
    let mut peer = BackupPeer::shared(kernel, bytes as u64);
    peer.configure(&Serving { versions: &["3.0", "4.0"], chunk: 32_768, frame: 1 << 20 });
    let tools = BackupPeer::DATABASES.map(|database| (database, Tool::new("")));
    let from = format!("--from={}", peer.address());
    let mut reached = tools.each_ref().map(|(database, tool)| {
        let outcome = tool.backup(&[&from, &format!("--database={database}")]);
        assert_eq!(outcome.code, Some(0), "{outcome}");
        let ends = outcome.stdout.split_once("Finish receiving transactions at ");
        ends.and_then(|(_, rest)| rest.split_once(',')?.0.parse().ok()).expect("its last transaction")
    });
    let count = rounds("NEO4J_ADMIN_TEST_ROUNDS", 4);
    for round in 0..count {
        let (database, tool) = &tools[round % 2];
        let what = format!("round {round}: {database}");
        peer.start_load(database, 1000, round as u64);
        let begin = peer.last_transaction(database);
        while peer.last_transaction(database) < begin + 300 {
            std::thread::yield_now();
        }
        peer.take_log();
        let before = peer.last_transaction(database);
        let began = Instant::now();
        // Every third time the transactions stay unapplied, and the next run has more of them.
        let is_prepared = round % 3 != 1;
        let prepare = format!("--prepare-restore={is_prepared}");
        let outcome = tool.backup(&[&from, &format!("--database={database}"), &prepare]);
        let took = began.elapsed();
        peer.stop_load(database);
        assert_eq!(outcome.code, Some(0), "{what}: {outcome}");

        let requests = requests(&peer.take_log(), database);
        assert_eq!(requests.copies, 0, "{what}: {requests:?}");
        for pair in requests.pulls.windows(2) {
            assert!(pair[1].0 == pair[0].1, "{what}: nothing comes twice or is left out: {requests:?}");
        }
        let (first, last) = (requests.pulls[0].0 + 1, requests.pulls.last().expect("a pull").1);
        assert!(first <= before && last >= before, "{what}: {requests:?}");
        assert_eq!(first, reached[round % 2] + 1, "{what}: it goes on where the last one ended");
        reached[round % 2] = last;
        assert!(
            outcome.stdout.contains(&format!("Start receiving transactions from {}", first - 1)),
            "{outcome}"
        );

        let backup = tool.backups().join(database);
        let opened = kernel.open_backup(&backup);
        assert_eq!(opened.digest.transaction, last, "{what}");
        assert_eq!(opened.digest, peer.digest_at(database, last), "{what}: {:#?}", opened.remarks);
        if is_prepared {
            assert_opened_at_once(&opened, &backup, &what);
        } else {
            assert!(opened.recovered && opened.check.consistent, "{what}: {opened:?}");
        }
        writeln!(std::io::stderr(), "{what}: equal, {} transactions, {took:.2?}", last + 1 - first)
            .expect("standard error");
    }
}

#[test]
fn transactions_that_the_server_deleted_lead_to_a_full_copy_that_is_announced() {
    let Some(kernel) = Kernel::find() else { return };
    let mut peer = BackupPeer::shared(kernel, 1_000_000);
    peer.configure(&Serving { versions: &["4.0"], chunk: 32_768, frame: 1 << 20 });
    let tool = Tool::new("");
    let from = format!("--from={}", peer.address());
    let words = [from.as_str(), "--database=third"];
    assert_eq!(tool.backup(&words).code, Some(0));
    for round in 0..3 {
        peer.start_load("third", 1000, round);
        let begin = peer.last_transaction("third");
        while peer.last_transaction("third") < begin + 50 {
            std::thread::yield_now();
        }
        peer.stop_load("third");
        peer.rotate("third");
    }
    peer.checkpoint("third");

    let refused = tool.backup(&[&words[..], &["--fallback-to-full=false"]].concat());
    assert_eq!(refused.code, Some(1), "{refused}");
    assert!(refused.stderr.contains("E_TRANSACTION_PRUNED"), "{refused}");
    let outcome = tool.backup(&words);
    assert_eq!(outcome.code, Some(0), "{outcome}");
    let warning = outcome.stdout.lines().find(|line| line.contains("WARN  ")).expect("an announcement");
    assert!(warning.contains("A full copy is made") && warning.contains("E_TRANSACTION_PRUNED"), "{warning}");
    let opened = kernel.open_backup(&tool.backups().join("third"));
    assert_eq!(opened.digest, peer.digest("third"), "{:#?}", opened.remarks);
    assert_eq!(tool.backed_up(), ["third"]);
}

#[test]
fn a_backup_that_neo4j_recovered_is_continued_without_complaint() {
    let Some(kernel) = Kernel::find() else { return };
    let mut peer = BackupPeer::shared(kernel, 1_000_000);
    peer.configure(&Serving { versions: &["4.0"], chunk: 32_768, frame: 1 << 20 });
    let from = format!("--from={}", peer.address());
    for database in BackupPeer::DATABASES {
        let tool = Tool::new("");
        let words = [from.clone(), format!("--database={database}"), "--prepare-restore=false".to_owned()];
        let words: Vec<&str> = words.iter().map(String::as_str).collect();
        peer.start_load(database, 1000, 5);
        let outcome = tool.backup(&words);
        assert_eq!(outcome.code, Some(0), "{outcome}");
        let backup = tool.backups().join(database);
        kernel.recover(&backup, None);
        // Neo4j's tool of 4.0 and 4.1 writes nothing beside the database.
        std::fs::remove_dir_all(backup.join("tools")).expect("deleted");
        peer.take_log();
        let outcome = tool.backup(&words);
        peer.stop_load(database);
        assert_eq!(outcome.code, Some(0), "{outcome}");
        assert!(!outcome.stdout.contains("A full copy is made"), "{outcome}");
        assert_eq!(requests(&peer.take_log(), database).copies, 0);
        assert!(backup.join("tools/database.id").exists());
        let opened = kernel.open_backup(&backup);
        assert_eq!(
            opened.digest,
            peer.digest_at(database, opened.digest.transaction),
            "{:#?}",
            opened.remarks
        );
        let check = &opened.check;
        assert!(check.consistent && check.warnings == 0, "{}\n{:#?}", check.summary, opened.remarks);
    }
}
