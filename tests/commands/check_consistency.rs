//! `check-consistency` says what Neo4j's tool says, in the same places, with the same exit code.

use std::fs;
use std::path::{Path, PathBuf};

use neo4j_admin::io::lock::FileLock;
use serde::Deserialize;
use serde_json::{Value, json};

use crate::consistency::corpus::{Damaged, damaged};
use crate::consistency::store::archive;
use crate::support::damage::{Files, read, write};
use crate::support::kernel::Kernel;
use crate::support::stores;
use crate::support::tool::{Outcome, Tool};

/// Damages of every kind of result: records, counts, a property index, and a store that can't be checked.
const DAMAGES: [&str; 4] = ["N9", "C6", "I1", "A1"];

const NOT_COMPARED: &str = "The contents of this index were not compared with the store: ";

/// A home with a damaged backup `backups/store`.
fn home(damaged: &Damaged) -> Tool {
    let tool = Tool::new("");
    write(&damaged.files, &tool.backups().join("store"));
    tool
}

/// Log lines of the checker without their times, each with the lines that belong to it, but for those about indexes that
/// are not compared, which Neo4j does not have; sorted.
fn entries(text: &str) -> Vec<String> {
    let mut entries: Vec<String> = Vec::new();
    let mut belongs = false;
    for line in text.lines() {
        if line.starts_with('\t') || line == "}" {
            if let Some(last) = entries.last_mut().filter(|_| belongs) {
                last.push('\n');
                last.push_str(line);
            }
        } else {
            belongs = line.contains("[o.n.c.ConsistencyCheckService]") && !line.contains(NOT_COMPARED);
            if belongs {
                entries.push(line.split_at("2020-11-26 19:44:07.334+0000 ".len()).1.to_owned());
            }
        }
    }
    entries.sort();
    entries
}

/// The only report below a directory.
fn report(directory: &Path) -> Option<PathBuf> {
    let mut found = fs::read_dir(directory).into_iter().flatten().map(|entry| entry.unwrap().path());
    let path = found.next();
    assert!(found.next().is_none());
    path
}

/// A text without the time in the name of a report.
fn without_time(text: &str) -> String {
    match text.split_once("/inconsistencies-") {
        Some((before, after)) => {
            let (_, after) = after.split_once(".report").unwrap();
            format!("{before}/inconsistencies.report{}", without_time(after))
        }
        None => text.to_owned(),
    }
}

#[test]
fn a_sound_database_passes_without_a_word_and_nothing_but_its_lock_is_written() {
    let tool = Tool::new("");
    let (database, logs) = stores::install("aligned", "neo4j", tool.home(), "neo4j");
    stores::unpack("standard", &tool.backups());
    let files = || {
        [&database, &logs, &tool.backups()].map(|directory| {
            let mut files: Files = read(directory);
            files.retain(|path, _| !path.ends_with("database_lock"));
            files
        })
    };
    let before = files();
    for words in ["--database=NEO4J", "--backup=backups/neo4j", "--backup=backups/system"] {
        let outcome = tool.run(["check-consistency", words]);
        let said = (outcome.code, outcome.stdout.as_str(), outcome.stderr.as_str());
        assert_eq!(said, (Some(0), "", ""), "{words}");
    }
    assert!(files() == before);
    assert_eq!(fs::read_dir(tool.home()).unwrap().count(), 3, "conf, data, backups, and no report");
}

#[test]
fn a_setting_ends_a_check_after_so_many_reports() {
    let mut files = archive("consistency/base-x");
    // The first relationships of all nodes.
    let nodes = files.get_mut(Path::new("neostore.nodestore.db")).unwrap();
    nodes.chunks_exact_mut(15).for_each(|node| node[1..5].copy_from_slice(&[0, 0xff, 0xff, 0]));
    let errors = |setting: &str| {
        let tool = Tool::new(setting);
        write(&files, &tool.backups().join("store"));
        let outcome = tool.run(["check-consistency", "--backup=backups/store", "--format=json"]);
        assert_eq!(outcome.code, Some(1), "{outcome}");
        let answer: Value = serde_json::from_str(&outcome.stdout).unwrap();
        (answer["errors"].as_u64(), answer["message"].as_str().map(str::to_owned))
    };
    let setting = "unsupported.consistency_checker.fail_fast_threshold";
    assert_eq!(errors(&format!("{setting}=5")), (Some(5), None));
    assert!(errors(&format!("{setting}=0")).0 > Some(100));
    let (_, refused) = errors(&format!("{setting}=-1"));
    assert!(refused.unwrap().contains("minimum allowed value is 0"));
}

#[test]
fn damages_are_on_the_console_and_in_the_report() {
    for id in DAMAGES {
        let damaged = damaged(id);
        let tool = home(&damaged);
        let outcome = tool.run(["check-consistency", "--backup=backups/store", "--report-dir=reports/./new"]);
        assert_eq!(outcome.code, Some(damaged.exit), "{id}: {outcome}");
        let path = report(&tool.home().join("reports/new")).expect("a report");
        let name = path.file_name().unwrap().to_str().unwrap().to_owned();
        let lines = entries(&outcome.stdout);
        let written = fs::read_to_string(&path).unwrap();
        for (level, entry) in &damaged.report {
            let shown = format!("{level:<5} [o.n.c.ConsistencyCheckService] {entry}");
            assert!(lines.contains(&shown), "{id}: {shown} is not in {lines:#?}");
            assert!(written.contains(&format!("+0000 {level:<5} {entry}\n")), "{id}: {written}");
        }
        let inconsistent = damaged.exit == 1;
        let summary =
            "WARN  [o.n.c.ConsistencyCheckService] Inconsistencies found: ConsistencySummaryStatistics{\n";
        assert_eq!(lines.iter().any(|line| line.starts_with(summary)), inconsistent, "{id}: {lines:#?}");
        assert_eq!(written.contains("WARN  Inconsistencies found: "), inconsistent, "{id}: {written}");
        let see = format!(
            "WARN  [o.n.c.ConsistencyCheckService] See 'reports/new/{name}' for a detailed consistency report."
        );
        assert_eq!(lines.contains(&see), inconsistent, "{id}: {lines:#?}");
        assert_eq!(lines.len(), damaged.report.len() + if inconsistent { 2 } else { 0 }, "{id}: {lines:#?}");
        let told = format!("Inconsistencies found. See 'reports/new/{name}' for details.\n");
        assert_eq!(outcome.stderr, if inconsistent { told } else { String::new() }, "{id}");
    }
}

#[test]
fn what_is_not_to_be_checked_is_not() {
    for (id, option) in [("C6", "--check-graph"), ("I1", "--check-indexes")] {
        let tool = home(&damaged(id));
        let run = |value: &str| tool.run(["check-consistency", "--backup=backups/store", option, value]).code;
        assert_eq!((run("true"), run("false")), (Some(1), Some(0)), "{id} {option}");
    }
}

#[test]
fn a_program_gets_one_json_object() {
    let object =
        |outcome: &Outcome| -> Value { serde_json::from_str(&outcome.stdout).expect("one JSON object") };
    let tool = home(&damaged("N9"));
    let words =
        ["check-consistency", "--backup=backups/store", "--format=json", "--check-property-owners=true"];
    let outcome = tool.run(words);
    let result = object(&outcome);
    assert_eq!(outcome.code, Some(1), "{outcome}");
    assert_eq!(result["outcome"], "inconsistent");
    assert_eq!(result["errors"], 2);
    assert_eq!(result["warnings"], 0);
    assert_eq!(result["inconsistent"], json!({"NODE": 1, "RELATIONSHIP": 1}));
    assert_eq!(result["directory"], tool.backups().join("store").to_str().unwrap());
    let report = result["report"].as_str().unwrap();
    assert!(tool.home().join(report).is_file(), "{report}");
    assert!(outcome.stderr.contains("has been deprecated"), "{outcome}");

    let outcome = tool.run(["check-consistency", "--database=nosuch", "--format=json"]);
    let result = object(&outcome);
    assert_eq!((outcome.code, outcome.stderr.as_str()), (Some(1), "Database does not exist: nosuch\n"));
    assert_eq!(result["outcome"], "failed");
    assert_eq!(result["message"], "Database does not exist: nosuch");

    stores::unpack("standard", &tool.backups());
    let outcome = tool.run(["check-consistency", "--backup=backups/neo4j", "--format=json"]);
    let result = object(&outcome);
    assert_eq!((outcome.code, outcome.stderr.as_str()), (Some(0), ""));
    assert_eq!(result["outcome"], "consistent");
    assert_eq!(result["report"], Value::Null);
    assert_eq!(result["notCompared"], Value::Array(Vec::new()));

    // A layout of another version of Lucene.
    let index = tool.backups().join("neo4j/schema/index/text-1.0/9/1");
    let commit = fs::read_dir(&index).unwrap().map(|entry| entry.unwrap().path());
    let commit = commit.into_iter().find(|path| path.to_string_lossy().contains("segments_")).unwrap();
    let mut bytes = fs::read(&commit).unwrap();
    let codec = bytes.windows(8).position(|window| window == b"Lucene87").unwrap();
    bytes[codec + 6..codec + 8].copy_from_slice(b"99");
    let end = bytes.len() - 8;
    let mut sum = flate2::Crc::new();
    sum.update(&bytes[..end]);
    bytes[end..].copy_from_slice(&u64::from(sum.sum()).to_be_bytes());
    fs::write(&commit, bytes).unwrap();
    let outcome = tool.run(["check-consistency", "--backup=backups/neo4j", "--format=json"]);
    let result = object(&outcome);
    assert_eq!((outcome.code, &result["outcome"]), (Some(0), &Value::from("consistent")));
    let indexes = result["notCompared"].as_array().unwrap();
    let [index] = &indexes[..] else { panic!("{indexes:?}") };
    assert!(index.as_str().unwrap().contains("codec Lucene99 is not of Lucene 8.7 to 8.11"), "{index}");
}

#[test]
fn what_can_not_be_checked_is_refused() {
    let tool = Tool::new("");
    stores::install("crashed", "neo4j", tool.home(), "crashed");
    stores::install("standard", "system", tool.home(), "system");
    fs::write(tool.home().join("conf/more.conf"), "\ndbms.db.timezone=Mars\n").unwrap();
    let here = tool.home().display();
    let _lock = FileLock::acquire(&tool.home().join("data/databases/system/database_lock")).unwrap();
    for (word, text) in [
        (
            "--database=crashed",
            "Active logical log detected, this might be a source of inconsistencies.\n\
             Please recover database before running the consistency check.\n\
             To perform recovery please start database and perform clean shutdown.\n"
                .to_owned(),
        ),
        ("--database=nosuch", "Database does not exist: nosuch\n".to_owned()),
        ("--database=system", "The database is in use. Stop database 'system' and try again.\n".to_owned()),
        ("--backup=conf", "Database does not exist: conf\n".to_owned()),
        (
            "--backup=nosuch",
            format!("Report directory path doesn't exist or not a directory: {here}/nosuch\n"),
        ),
        (
            "--additional-config=conf/more.conf",
            "Run with '--verbose' for a more detailed error message.\n".to_owned(),
        ),
    ] {
        let target =
            if word.starts_with("--additional") { "--database=crashed" } else { "--check-graph=true" };
        let outcome = tool.run(["check-consistency", word, target]);
        assert_eq!((outcome.code, outcome.stdout.as_str()), (Some(1), ""), "{word}: {outcome}");
        assert!(outcome.stderr.ends_with(&text), "{word}: {outcome}");
    }
}

/// What a run printed, and its exit code.
#[derive(Debug, Deserialize)]
struct Printed {
    exit: i32,
    stdout: String,
    stderr: String,
}

fn theirs(kernel: &Kernel, tool: &Tool, words: &[&str]) -> Printed {
    kernel.oracle().ask(&json!({"job": "run", "home": tool.home(), "words": words}))
}

#[test]
fn damages_are_told_as_neo4j_tells_them() {
    let Some(kernel) = Kernel::find() else { return };
    for id in ["N9", "C6", "I1"] {
        let tool = home(&damaged(id));
        let backup = format!("--backup={}", tool.backups().join("store").display());
        let reports = format!("--report-dir={}", tool.home().join("reports").display());
        let words = ["check-consistency", &backup, &reports, "--check-label-scan-store=true"];
        let (ours, theirs) = (tool.run(words), theirs(kernel, &tool, &words));
        assert_eq!(ours.code, Some(theirs.exit), "{id}: {ours}");
        assert_eq!(without_time(ours.stderr.trim_end()), without_time(theirs.stderr.trim_end()), "{id}");
        let (ours, theirs) = (without_time(&ours.stdout), without_time(&theirs.stdout));
        assert_eq!(ours.lines().next(), theirs.lines().next(), "{id}");
        assert_eq!(entries(&ours), entries(&theirs), "{id}");
    }
}

#[test]
fn mistakes_are_told_in_the_words_of_neo4j() {
    let Some(kernel) = Kernel::find() else { return };
    let tool = Tool::new("");
    let without_help =
        |text: &str| text.split("\n\nCheck the consistency").next().unwrap_or_default().trim_end().to_owned();
    for line in [
        "",
        "--check-graph=true",
        "--database=neo4j --backup=/x",
        "--backup /x --database NEO4J",
        "--backup=/x --database=ab",
        "--database=a_b",
        "--database=",
        "--check-graph=maybe",
        "--database=neo4j --backup=/x --check-graph=maybe",
        "--database=neo4j --check-graph",
        "--database=neo4j --check-graph --check-indexes=true",
        "--database=neo4j --backup=/x --check-indexes",
        "--database=neo4j --bogus",
        "--bogus",
        "--database=neo4j --database=neo4j",
        "--database=NEO4J --database abc --database=foo",
        "--backup=/x/../y/./ --backup c",
        "--backup=/x --database=neo4j --backup=/x --database=neo4j",
        "--database=neo4j --database=ab",
        "--database",
        "--database --backup=/x",
        "--database=neo4j extra",
        "--database=neo4j --backup=/x extra",
        "extra",
        "--check-graph=true --check-graph=true",
        "--database=neo4j --report-dir=/a --report-dir=/b",
        "--database=neo4j --report-dir",
        "--database=neo4j --ch",
        "--ba /x",
        "--database=neo4j -x",
        "--backup=/nosuch",
        "--backup=/nosuch --check-property-owners=false --check-label-scan-store=true",
        "--database=nosuch --check-relationship-type-scan-store=true",
    ] {
        let words = line.split(' ').filter(|word| !word.is_empty());
        let words: Vec<_> = ["check-consistency"].into_iter().chain(words).collect();
        let (ours, theirs) = (tool.run(&words), theirs(kernel, &tool, &words));
        assert_eq!(ours.code, Some(theirs.exit), "{line}: {ours}");
        assert_eq!(without_help(&ours.stderr), without_help(&theirs.stderr), "{line}");
        assert_eq!(ours.stdout, theirs.stdout, "{line}");
    }
}
