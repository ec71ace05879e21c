//! `store-info` prints byte for byte what the tool of Neo4j prints.

use std::fs;
use std::path::{Path, PathBuf};

use neo4j_admin::io::lock::FileLock;
use serde::Deserialize;
use serde_json::json;

use crate::support::kernel::Kernel;
use crate::support::stores;
use crate::support::tool::Tool;

/// What a run printed, and its exit code.
#[derive(Debug, Deserialize, PartialEq)]
struct Printed {
    exit: i32,
    stdout: String,
    stderr: String,
}

fn ours(tool: &Tool, words: &[String]) -> Printed {
    let outcome = tool.run(words);
    Printed { exit: outcome.code.unwrap(), stdout: outcome.stdout, stderr: without_help(&outcome.stderr) }
}

fn theirs(kernel: &Kernel, tool: &Tool, words: &[String]) -> Printed {
    let request = json!({"job": "run", "home": tool.home(), "words": words});
    let printed: Printed = kernel.oracle().ask(&request);
    Printed { stderr: without_help(&printed.stderr), ..printed }
}

/// The help behind a usage error is not the same text.
fn without_help(text: &str) -> String {
    text.split("\n\nPrint information").next().unwrap_or_default().trim_end().to_owned()
}

/// A home with the database `neo4j`, changed by `damage`, which gets the directories of the store and of the logs.
fn home(archive: &str, damage: impl FnOnce(&Path, &Path)) -> Tool {
    let tool = Tool::new("");
    let (store, logs) = stores::install(archive, "neo4j", tool.home(), "neo4j");
    damage(&store, &logs);
    tool
}

fn databases(tool: &Tool) -> PathBuf {
    tool.home().join("data/databases")
}

/// Changes a file.
fn change(path: &Path, change: impl FnOnce(&mut Vec<u8>)) {
    let mut bytes = fs::read(path).unwrap();
    change(&mut bytes);
    fs::write(path, bytes).unwrap();
}

/// Sets the record of the store version in a metadata store.
fn set_version(store: &Path, in_use: u8, name: &[u8]) {
    change(&store.join("neostore"), |bytes| {
        let mut packed = [0; 8];
        packed[0] = name.len() as u8;
        packed[1..=name.len()].copy_from_slice(name);
        packed.reverse();
        bytes[36] = in_use;
        bytes[37..45].copy_from_slice(&packed);
    });
}

type Damage = fn(&Path, &Path);

const DAMAGES: [(&str, Damage); 17] = [
    ("nothing", |_, _| {}),
    ("no logs", |_, logs| fs::remove_dir_all(logs).unwrap()),
    ("an empty metadata store", |store, _| fs::write(store.join("neostore"), "").unwrap()),
    ("no version", |store, _| set_version(store, 0, b"SF4.3.0")),
    ("a version of the future", |store, _| set_version(store, 1, b"SF5.0.0")),
    ("an old version", |store, _| set_version(store, 1, b"SF4.0.0")),
    ("the old aligned version", |store, _| set_version(store, 1, b"AF4.1.a")),
    ("a version of 3.x", |store, _| set_version(store, 1, b"v0.A.9")),
    ("no last transaction", |store, _| change(&store.join("neostore"), |bytes| bytes[27] = 0)),
    ("no nodes", |store, _| fs::remove_file(store.join("neostore.nodestore.db")).unwrap()),
    ("no id file", |store, _| fs::remove_file(store.join("neostore.nodestore.db.id")).unwrap()),
    ("no metadata store", |store, _| fs::remove_file(store.join("neostore")).unwrap()),
    ("a directory as metadata store", |store, _| {
        fs::remove_file(store.join("neostore")).unwrap();
        fs::create_dir(store.join("neostore")).unwrap();
    }),
    ("a damaged checkpoint", |_, logs| {
        change(&logs.join("checkpoint.0"), |bytes| {
            let middle = bytes.len() - 100;
            bytes[middle] ^= 1;
        });
    }),
    ("no checkpoint", |_, logs| fs::remove_file(logs.join("checkpoint.0")).unwrap()),
    ("a log of another format", |_, logs| {
        change(&logs.join("neostore.transaction.db.1"), |bytes| bytes[0] = 9);
    }),
    ("a log that is too short", |_, logs| {
        change(&logs.join("neostore.transaction.db.1"), |bytes| bytes.truncate(70));
    }),
];

/// What stands behind the last checkpoint is the start of a transaction only, as a killed run leaves it.
const CUT_INSIDE_ITS_FIRST_TRANSACTION: (&str, &str) = ("crashed", "a log that is too short");

#[test]
fn every_state_of_a_store_is_told_in_the_words_of_neo4j() {
    let Some(kernel) = Kernel::find() else { return };
    for archive in ["standard", "crashed"] {
        for (damage, apply) in DAMAGES {
            let tool = home(archive, apply);
            let (all, one) = (databases(&tool), databases(&tool).join("neo4j"));
            for words in [
                vec![one.clone()],
                vec!["--structured".into(), one],
                vec!["--all".into(), all.clone()],
                vec!["--all".into(), "--structured".into(), all],
            ] {
                let words = words.iter().map(|word| word.to_str().unwrap().to_owned());
                let words: Vec<_> = ["store-info".to_owned()].into_iter().chain(words).collect();
                let (ours, theirs) = (ours(&tool, &words), theirs(kernel, &tool, &words));
                if (archive, damage) == CUT_INSIDE_ITS_FIRST_TRANSACTION {
                    // On purpose, see docs/compatibility.md.
                    assert!(ours.stdout.contains("true"), "{words:?}: {ours:?}");
                    assert_ne!(ours, theirs, "{words:?}");
                } else {
                    assert_eq!(ours, theirs, "{archive}, {damage}: {words:?}");
                }
            }
        }
    }
}

#[test]
fn mistakes_and_several_databases_are_told_in_the_words_of_neo4j() {
    let Some(kernel) = Kernel::find() else { return };
    let tool = home("standard", |_, _| {});
    for (archive, database, name) in
        [("aligned", "neo4j", "a.b"), ("standard", "system", "system"), ("crashed", "neo4j", "a-b")]
    {
        stores::install(archive, database, tool.home(), name);
    }
    let all = databases(&tool);
    fs::write(all.join("file"), "").unwrap();
    fs::create_dir(all.join("empty")).unwrap();
    let all = all.to_str().unwrap();
    for line in [
        "",
        "--all",
        "--all --structured ALL",
        "--all ALL",
        "--all ALL/",
        "--all ALL/neo4j",
        "ALL/system",
        "ALL/../databases/neo4j/",
        "ALL//neo4j",
        "ALL",
        "ALL/file",
        "--all ALL/file",
        "ALL/empty",
        "ALL/nosuch",
        "--all ALL/nosuch",
        "ALL/neo4j extra",
        "ALL/neo4j extra more",
        "ALL/neo4j --all=true",
        "ALL/neo4j --structured --structured",
        "ALL/neo4j --bogus",
        "--structure ALL/neo4j",
        "ALL/neo4j --struct",
        "--bogus",
        "-- ALL/neo4j",
        "-x ALL/neo4j",
        "ALL/neo4j -5",
    ] {
        let line = line.replace("ALL", all);
        let words = line.split(' ').filter(|word| !word.is_empty()).map(str::to_owned);
        let words: Vec<_> = ["store-info".to_owned()].into_iter().chain(words).collect();
        assert_eq!(ours(&tool, &words), theirs(kernel, &tool, &words), "{words:?}");
    }
}

#[test]
fn a_backup_is_told_where_it_lies() {
    let tool = Tool::new("");
    stores::unpack("standard", &tool.backups());
    let outcome = tool.run(["store-info", "backups/neo4j"]);
    assert_eq!(
        outcome.stdout,
        "Database name:                neo4j\n\
         Database in use:              false\n\
         Store format version:         SF4.3.0\n\
         Store format introduced in:   4.3.0\n\
         Last committed transaction id:314\n\
         Store needs recovery:         false\n"
    );
    assert_eq!(outcome.code, Some(0), "{outcome}");
    let outcome = tool.run(["store-info", "--structured", "backups", "--all"]);
    let lines: Vec<_> = outcome.stdout.lines().collect();
    assert_eq!(
        lines,
        [
            "[{\"databaseName\":\"neo4j\",\"inUse\":\"false\",\"storeFormat\":\"SF4.3.0\",\"storeFormatIntroduced\":\
           \"4.3.0\",\"storeFormatSuperseded\":null,\"lastCommittedTransaction\":\"314\",\"recoveryRequired\":\
           \"false\"},{\"databaseName\":\"system\",\"inUse\":\"false\",\"storeFormat\":\"AF4.3.0\",\
           \"storeFormatIntroduced\":\"4.3.0\",\"storeFormatSuperseded\":null,\"lastCommittedTransaction\":\"36\",\
           \"recoveryRequired\":\"false\"}]"
        ]
    );
}

#[test]
fn a_database_in_use_is_told_so() {
    let tool = home("standard", |_, _| {});
    let _lock = FileLock::acquire(&databases(&tool).join("neo4j/database_lock")).unwrap();
    let outcome = tool.run(["store-info", "data/databases/neo4j"]);
    assert_eq!(
        (outcome.code, outcome.stdout.as_str(), outcome.stderr.as_str()),
        (
            Some(1),
            "",
            "Failed to execute command as the database 'neo4j' is in use. Please stop it and try again.\n"
        )
    );
    let outcome = tool.run(["store-info", "--all", "data/databases"]);
    assert_eq!(
        (outcome.code, outcome.stdout.as_str()),
        (
            Some(0),
            "Database name:                neo4j\nDatabase in use:              true\n\
             Last committed transaction id:-1\nStore needs recovery:         true\n"
        )
    );
}
