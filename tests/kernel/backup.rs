//! Backups of live databases of the real kernel, opened by the real kernel.
//!
//! The environment makes the campaign under load longer:
//!
//! | Variable | Default | Meaning |
//! |---|---|---|
//! | `NEO4J_ADMIN_TEST_ROUNDS` | 2 | backups |
//! | `NEO4J_ADMIN_TEST_STORE_BYTES` | 1000000 | size of each of the two stores when it begins |
//! | `NEO4J_ADMIN_TEST_MIN_RATE` | 1 | write transactions a second that must have gone on during each backup |

use std::env;
use std::fs;
use std::io::Write;
use std::time::Instant;

use super::recovery::assert_opened_at_once;
use crate::support::kernel::{Kernel, Opened};
use crate::support::peer::{BackupPeer, Serving};
use crate::support::tool::Tool;

fn number(variable: &str, default: u64) -> u64 {
    env::var(variable).map_or(default, |text| text.parse().unwrap_or_else(|_| panic!("{variable}={text}")))
}

fn peer(kernel: &Kernel) -> std::sync::MutexGuard<'static, BackupPeer> {
    BackupPeer::shared(kernel, number("NEO4J_ADMIN_TEST_STORE_BYTES", 1_000_000))
}

fn assert_checked(opened: &Opened, what: &str) {
    let Opened { check, remarks, recovered, .. } = opened;
    assert!(!recovered, "{what}: {remarks:#?}");
    assert!(check.consistent && check.warnings == 0, "{what}: {}\n{remarks:#?}", check.summary);
}

#[test]
fn a_backup_under_load_opens_as_the_source_was_at_the_same_transaction() {
    const CONNECTIONS: [u64; 4] = [4, 1, 8, 2];
    const SERVINGS: [Serving<'_>; 3] = [
        Serving { versions: &["3.0", "4.0"], chunk: 32_768, frame: 1 << 20 },
        Serving { versions: &["3.0"], chunk: 4096, frame: 1000 },
        Serving { versions: &["4.0"], chunk: 1 << 20, frame: 1 << 16 },
    ];
    let Some(kernel) = Kernel::find() else { return };
    let mut peer = peer(kernel);
    let least = number("NEO4J_ADMIN_TEST_MIN_RATE", 1);
    for round in 0..number("NEO4J_ADMIN_TEST_ROUNDS", 2) {
        let of = |count: usize| usize::try_from(round).expect("few rounds") % count;
        let database = BackupPeer::DATABASES[of(2)];
        let connections = CONNECTIONS[of(4)];
        let serving = &SERVINGS[of(3)];
        let tls = matches!(round % 4, 1 | 2);
        let transport = if tls { "TLS" } else { "plain" };
        let what = format!(
            "round {round}: {database}, {transport}, {:?}, {connections} connections",
            serving.versions
        );

        let policy = peer.client_policy();
        let tool = Tool::new(&format!(
            "causal_clustering.store_copy_parallelism={connections}\n\
             dbms.ssl.policy.backup.enabled={tls}\n\
             dbms.ssl.policy.backup.base_directory={}\n",
            policy.path("").display()
        ));
        peer.configure(serving);
        peer.start_load(database, 700.max(least * 3 / 2), round);
        let (began, first) = (Instant::now(), peer.last_transaction(database));
        let from = if tls { peer.tls_address() } else { peer.address() };
        let outcome = tool.backup(&[&format!("--from={from}"), &format!("--database={database}")]);
        let seconds = began.elapsed().as_secs_f64();
        let rate = (peer.last_transaction(database) - first) as f64 / seconds;
        peer.stop_load(database);

        assert_eq!(outcome.code, Some(0), "{what}: {outcome}");
        assert!(rate >= least as f64, "{what}: {rate:.0} transactions a second, not {least}");
        let backup = tool.backups().join(database);
        // The check comes after so many more transactions of all kinds.
        let opened = kernel.open_and_write(&backup, 1000, round, None);
        let source = peer.digest_at(database, opened.digest.transaction);
        assert_eq!(opened.digest, source, "{what}: {:#?}", opened.remarks);
        assert!(opened.digest.transaction >= first, "{what}: {opened:?}, but {first} was committed before");
        assert_opened_at_once(&opened, &backup, &what);
        // Past the capture of the test harness: a long campaign shows that it goes on.
        writeln!(std::io::stderr(), "{what}: equal, {seconds:.1} s, {rate:.0} transactions a second")
            .expect("standard error");
    }
}

#[test]
fn all_databases_but_the_unavailable_one_are_backed_up_by_a_pattern() {
    let Some(kernel) = Kernel::find() else { return };
    let mut peer = peer(kernel);
    peer.configure(&Serving { versions: &["4.0"], chunk: 32_768, frame: 1 << 20 });
    let tool = Tool::new("");
    let from = format!("--from={}", peer.address());

    peer.set_state("third", "UNAVAILABLE");
    let outcome = tool.backup(&[&from, "--database=*", "--include-metadata=all"]);
    peer.set_state("third", "AVAILABLE");

    assert_eq!(outcome.code, Some(1), "{outcome}");
    assert!(
        outcome.stderr.ends_with("Execution of backup failed. Not all databases are backed up\n"),
        "{outcome}"
    );
    for name in ["system", "neo4j", "aligned"] {
        let line = format!("databaseName={name}, backupStatus=successful, reason=\n");
        assert!(outcome.stdout.contains(&line), "{name}: {outcome}");
        let opened = kernel.open_backup(&tool.backups().join(name));
        assert_eq!(opened.digest, peer.digest(name), "{name}: {:#?}", opened.remarks);
        assert_checked(&opened, name);
    }
    let refused = "databaseName=third, backupStatus=failed, reason=Request returned an error [Status: \
                   'E_STORE_UNAVAILABLE'";
    assert!(outcome.stdout.contains(refused), "{outcome}");
    assert_eq!(tool.backed_up(), ["aligned", "neo4j", "system"]);

    let warning = "Include metadata parameter is invalid for backing up system database";
    assert!(outcome.stdout.contains(warning), "{outcome}");
    assert!(!tool.backups().join("system/tools/metadata_script.cypher").exists());
    let script = fs::read_to_string(tool.backups().join("neo4j/tools/metadata_script.cypher"))
        .expect("the commands of the peer");
    assert!(script.starts_with("CREATE ROLE") && script.contains(";\nCREATE USER"), "{script}");
    assert!(script.ends_with("TO `zoë`;"), "{script}");
}

#[test]
fn names_and_patterns_select_regardless_of_case() {
    let Some(kernel) = Kernel::find() else { return };
    let mut peer = peer(kernel);
    peer.configure(&Serving { versions: &["3.0", "4.0"], chunk: 32_768, frame: 1 << 20 });
    let from = format!("--from={}", peer.address());
    // `*` is one or more characters, `?` at most one.
    let cases: [(&str, &[&str]); 5] = [
        ("THIRD", &["third"]),
        ("t?hird", &["third"]),
        ("*D", &["aligned", "third"]),
        ("NEO?J", &["neo4j"]),
        ("third*", &[]),
    ];
    for (database, expected) in cases {
        let tool = Tool::new("");
        let outcome = tool.backup(&[&from, &format!("--database={database}")]);
        assert_eq!(tool.backed_up(), *expected, "{database}: {outcome}");
        assert_eq!(outcome.code, Some(i32::from(expected.is_empty())), "{database}: {outcome}");
    }
    for which in ["users", "roles"] {
        let tool = Tool::new("");
        let outcome = tool.backup(&[&from, "--database=third", &format!("--include-metadata={which}")]);
        assert_eq!(outcome.code, Some(0), "{outcome}");
        let script = fs::read_to_string(tool.backups().join("third/tools/metadata_script.cypher"))
            .expect("the commands of the peer");
        assert_eq!(script.contains("CREATE USER"), which == "users", "{script}");
        assert_eq!(script.contains("CREATE ROLE"), which == "roles", "{script}");
    }
}
