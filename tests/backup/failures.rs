//! Every failure that an operator can meet, provoked against a real socket: text, stream and exit code.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener};
use std::process::Child;

use neo4j_admin::catchup::ProtocolVersion;
use neo4j_admin::catchup::server::ServerOptions;
use rustix::process::{Pid, Signal};

use crate::support::backup_run::{BackupRun, not_continuable};
use crate::support::faulty_network::{Fault, FaultyNetwork};
use crate::support::memory_source::State;
use crate::support::serving::Serving;
use crate::support::small_store;
use crate::support::tool::{Outcome, Tool};

/// What is expected of a run: exit code, the whole of standard error (`{dir}`: the backup directory, `{from}`: the
/// server), and the last line of standard output.
struct Expected<'a> {
    code: i32,
    err: &'a str,
    last: &'a str,
}

fn assert_ended(ended: &Outcome, expected: &Expected, run: &BackupRun, from: &str, case: &str) {
    let directory = run.path("").display().to_string();
    let directory = directory.trim_end_matches('/');
    let err = expected.err.replace("{dir}", directory).replace("{from}", from);
    let err = if err.is_empty() { err } else { err + "\n" };
    assert_eq!((ended.code, &ended.stderr), (Some(expected.code), &err), "{case}: {}", ended.stdout);
    let last = ended.stdout.lines().last().unwrap_or_default();
    // Log lines begin with the time.
    let last = last.find("] ").map_or(last, |end| &last[end + 2..]);
    if expected.last.ends_with("took ") {
        assert!(last.starts_with(expected.last), "{case}: {last}");
    } else {
        assert_eq!(last, expected.last, "{case}");
    }
}

fn back_up(run: &BackupRun, from: &str, options: &[&str], configuration: &[&str]) -> Outcome {
    let mut words = vec!["backup".to_owned(), format!("--backup-dir={}", run.path("").display())];
    words.push(format!("--from={from}"));
    words.extend(options.iter().map(|&option| option.to_owned()));
    Tool::new(&configuration.join("\n")).run(words)
}

/// For stores that are none: they can be copied and not recovered.
const UNRECOVERED: &str = "--prepare-restore=false";

const FINISHED: &str = "Finished, took ";

#[test]
fn what_is_wrong_before_the_network_is_told_as_by_neo4j() {
    for (options, code, err) in [
        (&["--backup-dir=/no/such"][..], 1, "Path '/no/such' does not exist."),
        (
            &["--backup-dir=/etc/hostname"],
            1,
            "Execution of backup failed. Directory '/etc/hostname' does not exist.",
        ),
        (&["--report-dir=/no/such"], 1, "Execution of backup failed. Directory '/no/such' does not exist."),
        (&["--from=[::1]"], 1, "hostname cannot contain '[' or ']'"),
        (
            &["--pagecache=1T"],
            1,
            "Execution of backup failed. '1T' is not a valid size, must be e.g. 10, 5K, 1M, 11G (valid multipliers \
             are `B`, `KiB`, `KB`, `K`, `kB`, `kb`, `k`, `MiB`, `MB`, `M`, `mB`, `mb`, `m`, `GiB`, `GB`, `G`, `gB`, \
             `gb`, `g`, `TiB`, `TB`, `PiB`, `PB`, `EiB`, `EB`)",
        ),
    ] {
        let run = BackupRun::new();
        let mut words = vec!["backup".to_owned()];
        if !options.iter().any(|option| option.starts_with("--backup-dir")) {
            words.push(format!("--backup-dir={}", run.path("").display()));
        }
        words.extend(options.iter().map(|&option| option.to_owned()));
        let ended = Tool::new("").run(words);
        assert_ended(&ended, &Expected { code, err, last: "" }, &run, "", &format!("{options:?}"));
        assert!(run.names().is_empty());
    }
}

/// A listener that answers every client in one way.
fn peer(answer: impl Fn(&mut std::net::TcpStream) + Send + 'static) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    std::thread::spawn(move || {
        for mut client in listener.incoming().flatten() {
            answer(&mut client);
        }
    });
    address
}

#[test]
fn servers_that_are_none_are_told_apart() {
    let nobody = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let closing = peer(|client| {
        // What the client sent must be read, or the close becomes a reset.
        let _ = client.read_exact(&mut [0; 13]);
    });
    let http = peer(|client| {
        let _ = client.read_exact(&mut [0; 13]);
        let _ = client.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n");
    });
    let silent = peer(|client| {
        let _ = client.read_to_end(&mut Vec::new());
    });
    for (address, err) in [
        (
            nobody,
            "Connection refused: {from} (is the server running, with dbms.backup.enabled=true and a \
             dbms.backup.listen_address that is reachable from here?)",
        ),
        (
            closing,
            "{from} closed the connection before it had answered the greeting of the backup protocol (is it the \
             backup port, 6362 by default? If the server's SSL policy for backups is enabled, it must be enabled \
             here as well: dbms.ssl.policy.backup.enabled=true)",
        ),
        (
            http,
            "{from} does not speak the backup protocol: it sent 'HTTP/1.1 400 ' (an HTTP server answers there; \
             backups are served on 6362)",
        ),
        (
            silent,
            "Handshake timed out after PT0.2S: {from} fell silent before it had answered the greeting of the \
             backup protocol (is it the backup port, 6362 by default? If the server's SSL policy for backups is \
             enabled, it must be enabled here as well: dbms.ssl.policy.backup.enabled=true)",
        ),
    ] {
        let (run, from) = (BackupRun::new(), address.to_string());
        let ended = back_up(&run, &from, &[], &["causal_clustering.handshake_timeout=200ms"]);
        let err = format!("Execution of backup failed. {err}");
        assert_ended(&ended, &Expected { code: 1, err: &err, last: FINISHED }, &run, &from, &err);
        assert!(run.names().is_empty());
    }
}

#[test]
fn what_a_server_refuses_is_told_in_its_words() {
    let stopped = |state| {
        let mut source = small_store::source(1);
        source.databases[0].state = state;
        source
    };
    let pruned = {
        let mut source = small_store::source(1);
        source.databases[0].transactions.drain(..5);
        source
    };
    for (source, options, err) in [
        (
            small_store::source(1),
            &["--database=nobody"][..],
            "Request returned an error [Status: 'E_DATABASE_UNKNOWN' Message: 'Database 'nobody' does not exist']",
        ),
        (
            stopped(State::Stopped),
            &[],
            "Request returned an error [Status: 'E_STORE_UNAVAILABLE' Message: 'Database 'neo4j' is stopped. Start \
             the database before backup']",
        ),
        (
            small_store::source(1),
            &["--database=foo*"],
            "Database name pattern=foo* doesn't match any database on the remote server",
        ),
        (
            pruned,
            &[],
            "Pulling tx failed consecutively without progress: E_TRANSACTION_PRUNED, the server has deleted \
             transaction 5 from its logs; dbms.tx_log.rotation.retention_policy there says for how long it keeps them",
        ),
    ] {
        let server = Serving::start(source);
        let (run, from) = (BackupRun::new(), server.address.to_string());
        let ended = back_up(&run, &from, options, &[]);
        let last = if err.contains("pattern") { "" } else { FINISHED };
        let err = format!("Execution of backup failed. {err}");
        assert_ended(&ended, &Expected { code: 1, err: &err, last }, &run, &from, &err);
        assert!(run.names().is_empty());
    }
}

#[test]
fn a_pattern_needs_a_server_that_can_list_its_databases() {
    let options = ServerOptions { versions: vec![ProtocolVersion::V3], ..ServerOptions::default() };
    let server = Serving::with(small_store::source(1), options);
    let (run, from) = (BackupRun::new(), server.address.to_string());
    let ended = back_up(&run, &from, &["--database=*"], &[]);
    assert_eq!(ended.code, Some(1));
    assert!(
        ended.stderr.starts_with("Execution of backup failed. Not supported in V3: "),
        "{}",
        ended.stderr
    );
}

#[test]
fn a_backup_that_can_not_be_continued_stays_without_fallback() {
    let server = Serving::start(small_store::source(1));
    let (run, from) = (BackupRun::new(), server.address.to_string());
    run.back_up(server.dialer()).unwrap();
    std::fs::remove_file(run.path("neo4j/checkpoint.0")).unwrap();
    let ended = back_up(&run, &from, &["--fallback-to-full=false"], &[]);
    let err = "Execution of backup failed. No check point found in any log file from version 12 to 12";
    assert_ended(&ended, &Expected { code: 1, err, last: FINISHED }, &run, &from, "no fallback");
    assert_eq!(run.names(), ["neo4j"]);
}

#[test]
fn one_database_that_fails_does_not_stop_the_others() {
    let mut source = small_store::source(1);
    source.databases.push(small_store::database("orders", 8, 3));
    source.databases.push(small_store::database("system", 1, 4));
    source.databases[1].state = State::Stopped;
    let server = Serving::start(source);
    let (run, from) = (BackupRun::new(), server.address.to_string());
    let ended = back_up(&run, &from, &["--database=*", UNRECOVERED], &[]);
    assert_eq!(ended.code, Some(1));
    assert_eq!(ended.stderr, "Execution of backup failed. Not all databases are backed up\n");
    let summary: Vec<_> =
        ended.stdout.lines().filter_map(|line| line.split_once("[c.n.b.i.OnlineBackupExecutor] ")).collect();
    let texts: Vec<_> = summary.iter().map(|(_, text)| *text).collect();
    assert_eq!(
        texts,
        [
            "databaseName=system, backupStatus=successful, reason=",
            "databaseName=neo4j, backupStatus=successful, reason=",
            "databaseName=orders, backupStatus=failed, reason=Request returned an error [Status: 'E_STORE_UNAVAILABLE' \
         Message: 'Database 'orders' is stopped. Start the database before backup']",
        ]
    );
    assert_eq!(run.names(), ["neo4j", "system"]);

    let ended = back_up(&run, &from, &["--database=n?o*", UNRECOVERED], &[]);
    assert_ended(
        &ended,
        &Expected { code: 0, err: "", last: "Backup complete successful." },
        &run,
        &from,
        "*",
    );
}

#[test]
fn metadata_that_can_not_be_had_is_no_failure() {
    let server = Serving::start(small_store::source(1));
    let (run, from) = (BackupRun::new(), server.address.to_string());
    let ended = back_up(&run, &from, &["--include-metadata=all", UNRECOVERED], &[]);
    assert_ended(
        &ended,
        &Expected { code: 0, err: "", last: "Backup complete successful." },
        &run,
        &from,
        "",
    );
    assert!(ended.stdout.contains("WARN  [c.n.b.i.BackupOutputMonitor] Error in execution of get metadata"));
}

/// Starts a run that gets stuck in the middle of its copy, and waits until it is there.
fn start_stuck(tool: &Tool, run: &BackupRun, network: &FaultyNetwork) -> Child {
    let mut child = tool
        .command([
            "backup".to_owned(),
            format!("--backup-dir={}", run.path("").display()),
            format!("--from={}", network.address),
        ])
        .spawn()
        .unwrap();
    let mut out = BufReader::new(child.stdout.take().unwrap());
    let mut line = String::new();
    while !line.contains("Start receiving store file ") {
        line.clear();
        assert!(out.read_line(&mut line).unwrap() > 0, "the run ended: {:?}", child.wait());
    }
    // Kept open: a run whose log nobody reads goes on, but that is not what this is about.
    std::thread::spawn(move || out.read_to_string(&mut String::new()));
    child
}

#[test]
fn two_runs_do_not_work_on_one_backup_and_a_signal_ends_a_run_in_order() {
    let server = Serving::start(small_store::source(2));
    for (signal, code, name) in [(Signal::INT, 130, "SIGINT"), (Signal::TERM, 143, "SIGTERM")] {
        let first = BackupRun::new();
        first.back_up(Serving::start(small_store::source(1)).dialer()).unwrap();
        let old = not_continuable(first.contents("neo4j"));
        let run = BackupRun::over(&old);
        let network = FaultyNetwork::before(server.address, Fault::Silence(12));
        let tool = Tool::new("");
        let first = start_stuck(&tool, &run, &network);

        let from = server.address.to_string();
        let second = back_up(&run, &from, &[], &[]);
        let err = format!(
            "Execution of backup failed. Another run is working on '{{dir}}/neo4j' (process {}).",
            first.id()
        );
        assert_ended(&second, &Expected { code: 1, err: &err, last: FINISHED }, &run, &from, "locked");

        let pid = Pid::from_child(&first);
        rustix::process::kill_process(pid, signal).unwrap();
        let ended = first.wait_with_output().unwrap();
        assert_eq!(ended.status.code(), Some(code));
        let err = String::from_utf8(ended.stderr).unwrap();
        assert_eq!(err, format!("Execution of backup failed. interrupted by {name}\n"));
        assert_eq!(run.names(), ["neo4j"], "nothing of the copy was complete, so it is deleted");
        assert!(run.contents("neo4j") == old);

        let third = back_up(&run, &from, &[UNRECOVERED], &[]);
        assert_eq!(third.code, Some(0), "the lock is gone: {}", third.stderr);
    }
}

#[test]
fn a_locked_database_is_left_alone() {
    let server = Serving::start(small_store::source(2));
    let run = BackupRun::new();
    run.back_up(server.dialer()).unwrap();
    let lock = run.path("neo4j/database_lock");
    let _held = neo4j_admin::io::lock::FileLock::acquire(&lock).unwrap();
    let from = server.address.to_string();
    let ended = back_up(&run, &from, &[], &[]);
    let err = format!(
        "Execution of backup failed. Lock file has been locked by another process (process {}): \
         {{dir}}/neo4j/database_lock. Please ensure no other process is using this database, and that the directory \
         is writable (required even for read-only access)",
        std::process::id()
    );
    assert_ended(&ended, &Expected { code: 1, err: &err, last: FINISHED }, &run, &from, "in use");
}
