//! What is copied is recovered: at once, or later by `prepare-restore`.

use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use neo4j_admin::backup::BackupError;
use neo4j_admin::backup::manifest::{Manifest, Verdict, verify};
use neo4j_admin::backup::prepare_restore::{Prepared, prepare};
use neo4j_admin::backup::recover::{RecoverySettings, Stage};
use neo4j_admin::backup::stop::{Signal, Stop};
use neo4j_admin::io::disk::OsDisk;
use neo4j_admin::io::lock::FileLock;
use neo4j_admin::io::stopping_disk::StoppingDisk;
use neo4j_admin::serve::StoreDirectory;
use neo4j_admin::txlog::retention::Retention;
use serde_json::Value;

use crate::support::backup_run::{BackupRun, Told, contents, not_continuable};
use crate::support::faulty_disk::FaultyDisk;
use crate::support::kernel::Kernel;
use crate::support::random::is_thorough;
use crate::support::relay::Relay;
use crate::support::serving::Serving;
use crate::support::stores;
use crate::support::tool::{Outcome, Tool};

const SETTINGS: RecoverySettings =
    RecoverySettings { page_cache: 8 << 20, threads: 2, retention: Retention::All };

fn unpacked(archive: &str) -> tempfile::TempDir {
    let directory = tempfile::tempdir().unwrap();
    stores::unpack(archive, directory.path());
    directory
}

/// A backup of one database of an archive by the tool.
fn backed_up(archive: &str, words: &[&str]) -> (Tool, Outcome) {
    let original = unpacked(archive);
    let relay = Relay::start(original.path(), "");
    let tool = Tool::new("");
    let from = format!("--from={}", relay.address);
    let outcome = tool.backup(&[&[from.as_str()], words].concat());
    assert_eq!(outcome.code, Some(0), "{outcome}");
    (tool, outcome)
}

fn inspected(tool: &Tool, path: &str) -> Value {
    let outcome = tool.run(["inspect", "--format=json", path]);
    let mut value: Value = serde_json::from_str(&outcome.stdout).unwrap();
    value["databases"][0].take()
}

fn is_whole(directory: &Path) -> bool {
    matches!(verify(directory, 1).unwrap(), Verdict::Compared { differences, .. } if differences.is_empty())
}

#[test]
fn a_backup_is_recovered_and_its_manifest_tells_so() {
    for (archive, more) in
        [("standard", &[][..]), ("aligned", &["--parallel-recovery=true", "--pagecache=1m"])]
    {
        let (tool, outcome) = backed_up(archive, more);
        let texts: Vec<_> =
            outcome.stdout.lines().filter_map(|line| line.split_once("BackupOutputMonitor] ")).collect();
        let place = |text: &str| texts.iter().position(|(_, line)| line.starts_with(text));
        let order = [
            place("Finish receiving transactions at "),
            place("Start recovering store"),
            place("Finish recovering store, took "),
            place("Finished, took "),
        ];
        assert!(order.iter().all(Option::is_some) && order.is_sorted(), "{outcome}");
        let database = inspected(&tool, "backups/neo4j");
        assert_eq!(database["recovery"]["required"], false, "{database:#}");
        assert_eq!(database["backup"]["recovered"], true);
        let digest = &stores::digests()[archive]["neo4j"];
        assert_eq!(database["lastTransaction"]["id"], digest.transaction);
        let manifest = Manifest::read(&tool.backups().join("neo4j")).unwrap().unwrap().backup;
        assert_eq!(manifest.required_transaction, None);
        assert_eq!(manifest.last_transaction, digest.transaction as i64);
        assert!(manifest.bytes_received > 100_000 && manifest.finished >= manifest.started);
        assert!(is_whole(&tool.backups().join("neo4j")));
    }
}

#[test]
fn what_is_not_recovered_can_be_prepared_later() {
    let (tool, outcome) = backed_up("standard", &["--prepare-restore=false"]);
    assert!(!outcome.stdout.contains("recovering"), "{outcome}");
    let backup = tool.backups().join("neo4j");
    let database = inspected(&tool, "backups/neo4j");
    assert_eq!(database["recovery"]["required"], true);
    assert_eq!(database["backup"]["recovered"], false);
    let transaction = stores::digests()["standard"]["neo4j"].transaction as i64;
    assert_eq!(Manifest::read(&backup).unwrap().unwrap().backup.required_transaction, Some(transaction));
    assert!(is_whole(&backup));

    let outcome = tool.run(["prepare-restore", "--target=backups/neo4j"]);
    assert_eq!((outcome.code, outcome.stderr.as_str()), (Some(0), ""), "{outcome}");
    let lines: Vec<_> = outcome.stdout.lines().collect();
    assert!(lines[0].ends_with("INFO  [c.n.b.i.BackupOutputMonitor] Start recovering store"), "{outcome}");
    assert!(lines[1].contains("Finish recovering store, took "), "{outcome}");
    let line = format!("targetPath={}, prepareStatus=successful, reason=", backup.display());
    assert_eq!(lines[2..], [line.as_str()]);
    let database = inspected(&tool, "backups/neo4j");
    assert_eq!(database["recovery"]["required"], false);
    assert_eq!(database["backup"]["recovered"], true);
    assert!(is_whole(&backup), "the manifest knows the changed files");

    let before = contents(&backup);
    let outcome = tool.run(["prepare-restore", "--target=backups/n*"]);
    assert_eq!((outcome.code, outcome.stdout.trim_end()), (Some(0), line.as_str()), "nothing is left to do");
    assert!(contents(&backup) == before);
}

#[test]
fn every_target_is_tried_and_each_is_told() {
    let tool = Tool::new("");
    stores::unpack("crashed", &tool.backups());
    stores::unpack("aligned", &tool.backups().join("more"));
    fs::create_dir(tool.backups().join("empty")).unwrap();
    let outcome = tool.run([
        "prepare-restore",
        "--target",
        "backups/neo4j,backups/empty",
        "backups/more/neo4j",
        "backups/none",
        "--parallel-recovery=true",
    ]);
    assert_eq!(outcome.code, Some(1), "{outcome}");
    assert_eq!(outcome.stderr, "Not all backups are prepared\n");
    let shown = tool.backups().display().to_string();
    let lines = outcome.stdout.lines().filter(|line| line.starts_with("targetPath"));
    assert_eq!(
        lines.map(|line| line.replace(&shown, "<dir>")).collect::<Vec<_>>(),
        [
            "targetPath=<dir>/empty, prepareStatus=failed, reason=Target directory is not a database backup [<dir>/empty]",
            "targetPath=<dir>/more/neo4j, prepareStatus=successful, reason=",
            "targetPath=<dir>/neo4j, prepareStatus=successful, reason=",
            "targetPath=<dir>/none, prepareStatus=failed, reason=Target directory does not exist [<dir>/none]",
        ]
    );
    assert_eq!(inspected(&tool, "backups/neo4j")["recovery"]["required"], false);

    let outcome = tool.run(["prepare-restore", "--target=backups/x*"]);
    assert_eq!((outcome.code, outcome.stdout.as_str()), (Some(0), ""), "no match is nothing to do");
    for (words, message) in [
        (&["prepare-restore"][..], "Missing required option: '--target=<path>'"),
        (
            &["prepare-restore", "--target="],
            "Invalid value for option '--target': Invalid from parameter ''.",
        ),
        (
            &["prepare-restore", "--target=/backups"],
            "Invalid value for option '--target': Invalid from parameter ",
        ),
    ] {
        let outcome = tool.run(words);
        assert!(outcome.code == Some(2) && outcome.stderr.starts_with(message), "{outcome}");
    }
}

#[test]
fn a_backup_in_use_is_left_alone() {
    let tool = Tool::new("");
    stores::unpack("crashed", &tool.backups());
    let before = contents(&tool.backups());
    let shown = tool.backups().display().to_string();
    let reason = || {
        let outcome = tool.run(["prepare-restore", "--target=backups/neo4j"]);
        assert_eq!(outcome.code, Some(1), "{outcome}");
        outcome.stdout.trim_end().rsplit_once("reason=").unwrap().1.replace(&shown, "<dir>")
    };
    {
        let _neo4j = FileLock::acquire(&tool.backups().join("neo4j/database_lock")).unwrap();
        assert!(reason().starts_with("Lock file has been locked by another process"));
    }
    {
        let _run = FileLock::acquire(&tool.backups().join(".neo4j.lock")).unwrap();
        assert!(reason().starts_with("Another run is working on '<dir>/neo4j' (process "));
    }
    let mut after = contents(&tool.backups());
    after.retain(|path, _| before.contains_key(path));
    assert!(after == before);
}

/// A copy whose logs were lost behind the files.
#[test]
fn logs_that_end_before_the_files_are_refused_until_they_are_back() {
    let (tool, _) = backed_up("standard", &["--prepare-restore=false"]);
    let backup = tool.backups().join("neo4j");
    let log = fs::read_dir(&backup).unwrap().map(|entry| entry.unwrap().path());
    let log = log.into_iter().find(|path| path.to_str().unwrap().contains("transaction.db")).unwrap();
    let whole = fs::read(&log).unwrap();
    fs::write(&log, &whole[..64]).unwrap();
    let outcome = tool.run(["prepare-restore", "--target=backups/neo4j"]);
    assert_eq!(outcome.code, Some(1), "{outcome}");
    assert!(outcome.stdout.contains("the result would be inconsistent"), "{outcome}");
    assert_eq!(tool.run(["verify", "backups/neo4j"]).code, Some(1));
    fs::write(&log, whole).unwrap();
    let outcome = tool.run(["prepare-restore", "--target=backups/neo4j"]);
    assert_eq!(outcome.code, Some(0), "{outcome}");
    assert!(is_whole(&backup));
}

fn stage(run: &BackupRun, disk: neo4j_admin::io::disk::SharedDisk, stop: Stop) -> Stage {
    Stage { disk, settings: SETTINGS, progress: Arc::new(Told::default()), runtime: run.handle(), stop }
}

/// The record stores, which are the same after each recovery of the same logs.
fn records(directory: &Path) -> Vec<(String, Vec<u8>)> {
    let is_store = |path: &str| {
        Path::new(path).extension() == Some("db".as_ref()) && !path.starts_with("neostore.counts")
    };
    contents(directory).into_iter().filter(|(path, _)| is_store(path)).collect()
}

/// An unrecovered backup with a manifest.
fn unrecovered() -> (Tool, PathBuf) {
    let (tool, _) = backed_up("aligned", &["--prepare-restore=false"]);
    let backup = tool.backups().join("neo4j");
    (tool, backup)
}

#[test]
fn a_recovery_that_a_signal_ends_is_done_by_the_next_run() {
    let run = BackupRun::new();
    let (_tool, whole) = unrecovered();
    let steps = FaultyDisk::sound();
    prepare(&whole, &stage(&run, steps.shared(), Stop::default())).unwrap();
    let expected = records(&whole);
    for part in 0..8 {
        let (_tool, backup) = unrecovered();
        let stop = Stop::default();
        let (requested, done) = (stop.clone(), AtomicUsize::new(0));
        let last = steps.steps() * part / 8;
        // The signal comes at a step of the recovery itself.
        let disk = StoppingDisk::new(OsDisk::shared(), move || {
            if done.fetch_add(1, Ordering::Relaxed) == last {
                requested.request(Signal::Terminate);
            }
            false
        });
        let began = std::time::Instant::now();
        match prepare(&backup, &stage(&run, Arc::new(disk), stop)) {
            Err(BackupError::Interrupted(Signal::Terminate)) => {}
            // It was at its end already.
            other => assert!(part > 4 && other.is_ok(), "{part}: {other:?}"),
        }
        assert!(began.elapsed() < std::time::Duration::from_secs(5), "{part}");
        drop(FileLock::acquire(&backup.with_file_name(".neo4j.lock")).unwrap());
        let again = prepare(&backup, &stage(&run, OsDisk::shared(), Stop::default())).unwrap();
        assert!(again == Prepared::Recovered || part > 4, "{part}");
        assert!(records(&backup) == expected && is_whole(&backup), "{part}");
    }
}

#[test]
fn a_step_that_fails_while_a_backup_is_prepared_costs_nothing() {
    let run = BackupRun::new();
    let (_tool, whole) = unrecovered();
    let steps = FaultyDisk::sound();
    prepare(&whole, &stage(&run, steps.shared(), Stop::default())).unwrap();
    let expected = records(&whole);
    let count = if is_thorough() { steps.steps() } else { 12 };
    for part in 0..count {
        let (_tool, backup) = unrecovered();
        let disk = FaultyDisk::failing_at(steps.steps() * part / count, ErrorKind::StorageFull);
        let failed = prepare(&backup, &stage(&run, disk.shared(), Stop::default()));
        let what = format!("{:?}: {failed:?}", disk.failed());
        prepare(&backup, &stage(&run, OsDisk::shared(), Stop::default())).unwrap();
        assert!(records(&backup) == expected, "{what}");
        assert!(is_whole(&backup), "{what}");
    }
}

#[test]
fn a_step_that_fails_in_a_backup_with_recovery_leaves_the_old_backup_or_a_whole_new_one() {
    let original = unpacked("standard");
    let server = Serving::start(StoreDirectory::open(original.path()).unwrap());
    let back_up = |run: &BackupRun, disk: &Arc<FaultyDisk>| {
        let mut job = run.job(server.dialer());
        job.disk = disk.shared();
        job.recovery = Some(SETTINGS);
        job.back_up("system")
    };
    let first = BackupRun::new();
    let steps = FaultyDisk::sound();
    back_up(&first, &steps).unwrap();
    let old = not_continuable(first.contents("system"));
    let count = if is_thorough() { steps.steps() } else { 20 };
    for part in 0..count {
        let run = BackupRun::new();
        for (path, content) in &old {
            let path = run.path("system").join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, content).unwrap();
        }
        let disk = FaultyDisk::failing_at(steps.steps() * part / count, ErrorKind::StorageFull);
        let result = back_up(&run, &disk);
        let what = format!("{:?}: {result:?}", disk.failed());
        let mut now = run.contents("system");
        now.remove("database_lock");
        assert!(now == old || is_whole(&run.path("system")), "{what}");
        back_up(&run, &FaultyDisk::sound()).unwrap();
        assert!(is_whole(&run.path("system")), "{what}");
    }
}

#[test]
fn the_kernel_opens_what_was_prepared_without_recovery() {
    let Some(kernel) = Kernel::find() else { return };
    for archive in ["standard", "aligned"] {
        for prepared in [false, true] {
            let (tool, _) = backed_up(archive, if prepared { &["--prepare-restore=false"] } else { &[] });
            if prepared {
                let outcome = tool.run(["prepare-restore", "--target=backups/neo4j"]);
                assert_eq!(outcome.code, Some(0), "{outcome}");
            }
            let opened = kernel.open_backup(&tool.backups().join("neo4j"));
            assert_eq!(opened.digest, stores::digests()[archive]["neo4j"], "{:#?}", opened.remarks);
            assert!(!opened.recovered && opened.check.consistent, "{archive} {prepared}: {opened:?}");
        }
    }
}
