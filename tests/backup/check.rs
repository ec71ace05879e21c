//! The last stage of a backup: what its check says, in which exit code and text, and where the copy is then.

use std::fs;
use std::path::Path;

use neo4j_admin::backup::manifest::{CheckResult, Manifest};

use crate::consistency::corpus::damaged;
use crate::consistency::store::archive;
use crate::support::damage::write;
use crate::support::relay::Relay;
use crate::support::stores;
use crate::support::tool::{Outcome, Tool, check_progress};

/// A server of a store that the checker of Neo4j finds inconsistent, as `neo4j`.
fn serve_inconsistent() -> (Relay, tempfile::TempDir) {
    let directory = tempfile::tempdir().unwrap();
    write(&damaged("N9").files, &directory.path().join("neo4j"));
    (Relay::start(directory.path(), ""), directory)
}

fn back_up(tool: &Tool, server: &Relay, words: &[&str]) -> Outcome {
    fs::create_dir_all(tool.home().join("reports")).unwrap();
    report_to("reports", tool, server, words)
}

fn report_to(directory: &str, tool: &Tool, server: &Relay, words: &[&str]) -> Outcome {
    let (from, report) = (format!("--from={}", server.address), format!("--report-dir={directory}"));
    tool.backup(&[&[from.as_str(), report.as_str()], words].concat())
}

fn checked(backup: &Path) -> CheckResult {
    Manifest::read(backup).unwrap().unwrap().backup.checked
}

fn reports(tool: &Tool) -> Vec<String> {
    let reports = fs::read_dir(tool.home().join("reports")).unwrap();
    reports.map(|entry| format!("reports/{}", entry.unwrap().file_name().display())).collect()
}

#[test]
fn a_consistent_backup_is_told_to_be_so_by_its_manifest() {
    let original = tempfile::tempdir().unwrap();
    stores::unpack("aligned", original.path());
    let server = Relay::start(original.path(), "");
    let (silent, told) = (String::new(), check_progress());
    for (words, err, result) in [
        (&[][..], &told, CheckResult::Consistent),
        (&["--check-consistency=true"], &told, CheckResult::Consistent),
        (&["--check-consistency=false"], &silent, CheckResult::No),
        (&["--check-consistency=true", "--prepare-restore=false"], &silent, CheckResult::No),
        (&["--database=n*"], &told, CheckResult::Consistent),
    ] {
        let tool = Tool::new("");
        let outcome = back_up(&tool, &server, words);
        assert_eq!((outcome.code, &outcome.stderr), (Some(0), err), "{words:?} {outcome}");
        assert!(outcome.stdout.ends_with("Backup complete successful.\n"), "{outcome}");
        let backup = tool.backups().join("neo4j");
        assert_eq!(checked(&backup), result, "{words:?}");
        assert!(reports(&tool).is_empty());

        // The next run brings nothing new; the check is made again, or what it said last stays.
        let outcome = back_up(&tool, &server, words);
        assert_eq!((outcome.code, &outcome.stderr), (Some(0), err), "{words:?} {outcome}");
        assert_eq!(checked(&backup), result, "{words:?}");
        if result == CheckResult::No && !words.contains(&"--prepare-restore=false") {
            assert_eq!(back_up(&tool, &server, &[]).code, Some(0));
            assert_eq!(checked(&backup), CheckResult::Consistent, "a check was made after all");
        }
    }
}

#[test]
fn inconsistencies_are_exit_code_3_and_the_first_copy_is_at_its_place_all_the_same() {
    let (server, _directory) = serve_inconsistent();
    let tool = Tool::new("");
    let backup = tool.backups().join("neo4j");
    for run in ["a full copy", "an incremental"] {
        let outcome = back_up(&tool, &server, &[]);
        let [report] = &reports(&tool)[..] else { panic!("{run}: no report, or several") };
        let err = format!("{}Inconsistencies found on. See '{report}' for details.\n", check_progress());
        assert_eq!((outcome.code, &outcome.stderr), (Some(3), &err), "{run}: {outcome}");
        assert!(!outcome.stdout.contains("ConsistencyCheckService"), "{outcome}");
        assert!(outcome.stdout.trim_end().lines().last().unwrap().contains("Finished, took "), "{outcome}");
        assert!(fs::read_to_string(tool.home().join(report)).unwrap().contains("Node["), "{run}");
        fs::remove_file(tool.home().join(report)).unwrap();
        assert_eq!(tool.backed_up(), ["neo4j"]);
        assert_eq!(checked(&backup), CheckResult::Inconsistent);
    }
    let outcome = back_up(&tool, &server, &["--verbose"]);
    assert_eq!(outcome.code, Some(3));
    assert!(outcome.stdout.contains("ERROR [o.n.c.ConsistencyCheckService] "), "{outcome}");
}

#[test]
fn a_setting_ends_the_check_after_so_many_reports() {
    let directory = tempfile::tempdir().unwrap();
    let mut files = archive("consistency/base-x");
    // The first relationships of all nodes.
    let nodes = files.get_mut(Path::new("neostore.nodestore.db")).unwrap();
    nodes.chunks_exact_mut(15).for_each(|node| node[1..5].copy_from_slice(&[0, 0xff, 0xff, 0]));
    write(&files, &directory.path().join("neo4j"));
    let server = Relay::start(directory.path(), "");
    let tool = Tool::new("unsupported.consistency_checker.fail_fast_threshold=3\n");
    let outcome = back_up(&tool, &server, &[]);
    assert_eq!(outcome.code, Some(3), "{outcome}");
    let [report] = &reports(&tool)[..] else { panic!("no report, or several") };
    let report = fs::read_to_string(tool.home().join(report)).unwrap();
    // The warning is of the full-text index, whose files a backup does not have.
    assert!(report.contains("\tNumber of errors: 2\n\tNumber of warnings: 1\n"), "{report}");
}

#[test]
fn an_inconsistent_copy_does_not_take_the_place_of_a_backup() {
    let (server, _directory) = serve_inconsistent();
    let tool = Tool::new("");
    assert_eq!(back_up(&tool, &server, &["--check-consistency=false"]).code, Some(0));
    // Without a checkpoint it can't be continued.
    let backup = tool.backups().join("neo4j");
    fs::remove_file(backup.join("checkpoint.0")).unwrap();
    let outcome = back_up(&tool, &server, &[]);
    assert_eq!(outcome.code, Some(3), "{outcome}");
    assert_eq!(tool.backed_up(), ["neo4j", "neo4j.tmp.0"]);
    assert!(!backup.join("checkpoint.0").exists(), "the old backup is as it was");
    let copy = backup.with_extension("tmp.0");
    assert_eq!(checked(&copy), CheckResult::Inconsistent);
    let kept = format!("The copy stays at '{}', and '{}' is as it was", copy.display(), backup.display());
    assert!(outcome.stdout.contains(&kept), "{outcome}");

    // Not even when nothing is left there: the next run makes a new copy.
    fs::remove_dir_all(&backup).unwrap();
    let outcome = back_up(&tool, &server, &["--check-consistency=false", "--cleanup"]);
    assert_eq!(outcome.code, Some(0), "{outcome}");
    assert!(!outcome.stdout.contains("has been moved"), "{outcome}");
    assert_eq!(tool.backed_up(), ["neo4j"]);
    assert_eq!(checked(&backup), CheckResult::No);
}

#[test]
fn a_check_that_can_not_come_to_its_end_is_exit_code_2_and_of_several_databases_1() {
    let (server, _directory) = serve_inconsistent();
    let tool = Tool::new("");
    // Nobody can create a file there.
    let outcome = report_to("/proc", &tool, &server, &[]);
    let last = outcome.stderr.lines().last();
    let text = "Failed to do consistency check on the backup";
    assert_eq!((outcome.code, last), (Some(2), Some(text)), "{outcome}");
    assert!(
        outcome.stdout.contains("could not be checked: cannot create /proc/inconsistencies-"),
        "{outcome}"
    );
    assert_eq!(tool.backed_up(), ["neo4j"]);
    assert_eq!(checked(&tool.backups().join("neo4j")), CheckResult::No);

    let outcome = report_to("/proc", &tool, &server, &["--database=*"]);
    let summary = format!("databaseName=neo4j, backupStatus=failed, reason={text}");
    let last = outcome.stderr.lines().last();
    assert_eq!(
        (outcome.code, last),
        (Some(1), Some("Execution of backup failed. Not all databases are backed up"))
    );
    assert!(outcome.stdout.contains(&summary), "{outcome}");
    let outcome = back_up(&tool, &server, &["--database=*"]);
    assert_eq!(outcome.code, Some(1));
    let summary = "databaseName=neo4j, backupStatus=failed, reason=Inconsistencies found on. See 'reports/";
    assert!(outcome.stdout.contains(summary), "{outcome}");
}
