//! `inspect` tells what a database directory holds, and what of it can't be read.

use std::fs;
use std::path::Path;

use neo4j_admin::io::lock::FileLock;
use serde_json::Value;

use crate::support::backup_run::contents;
use crate::support::golden;
use crate::support::stores;
use crate::support::tool::{Outcome, Tool};

/// The output with the name of the home replaced.
fn shown(tool: &Tool, outcome: &Outcome) -> String {
    outcome.stdout.replace(&tool.home().display().to_string(), "<home>")
}

fn json(tool: &Tool, words: &[&str]) -> (Option<i32>, Value) {
    let outcome = tool.run(["inspect", "--format=json"].iter().chain(words));
    let value = serde_json::from_str(&outcome.stdout).unwrap_or_else(|error| panic!("{error}: {outcome}"));
    (outcome.code, value)
}

#[test]
fn the_bundled_stores_are_shown_as_committed() {
    for archive in ["standard", "aligned", "crashed"] {
        let tool = Tool::new("");
        stores::unpack(archive, &tool.backups());
        for (format, end) in [("text", "txt"), ("json", "json")] {
            let outcome = tool.run(["inspect", "backups", &format!("--format={format}")]);
            assert_eq!((outcome.code, outcome.stderr.as_str()), (Some(0), ""), "{outcome}");
            let file = golden::directory().join("inspect").join(format!("{archive}.{end}"));
            golden::compare(&file, &shown(&tool, &outcome));
        }
    }
}

#[test]
fn counts_and_state_are_those_that_the_kernel_recorded() {
    let tool = Tool::new("");
    stores::unpack("standard", &tool.backups());
    let (code, value) = json(&tool, &["backups/neo4j"]);
    assert_eq!(code, Some(0));
    let database = &value["databases"][0];
    let digest = &stores::digests()["standard"]["neo4j"];
    assert_eq!(database["lastTransaction"]["id"], digest.transaction);
    assert_eq!(database["logs"]["lastTransaction"], digest.transaction);
    assert_eq!(database["recovery"]["required"], false);
    let in_use = |store: &str| {
        let counts = database["records"].as_array().unwrap();
        counts.iter().find(|count| count["store"] == store).unwrap()["inUse"].clone()
    };
    assert_eq!(in_use("neostore.nodestore.db"), digest.nodes);
    assert_eq!(in_use("neostore.relationshipstore.db"), digest.relationships);
    let indexes = database["indexes"].as_array().unwrap();
    assert_eq!(indexes.len() as u64, digest.indexes);
    assert!(indexes.iter().all(|index| index["state"]["state"] == "online"), "{indexes:#?}");
}

#[test]
fn databases_of_a_server_are_found_with_their_logs() {
    let tool = Tool::new("dbms.directories.transaction.logs.root=/nowhere\n");
    stores::install("standard", "neo4j", tool.home(), "movies");
    stores::install("crashed", "neo4j", tool.home(), "crashed");
    for (path, expected) in [
        ("data", &[("crashed", true), ("movies", false)][..]),
        ("data/databases", &[("crashed", true), ("movies", false)]),
        ("data/databases/movies", &[("movies", false)]),
    ] {
        let (code, value) = json(&tool, &[path]);
        assert_eq!(code, Some(0), "{value:#}");
        let found = value["databases"].as_array().unwrap().iter().map(|database| {
            let recovery = database["recovery"]["required"].as_bool().unwrap();
            (database["database"].as_str().unwrap(), recovery)
        });
        assert_eq!(found.collect::<Vec<_>>(), expected, "{path}");
    }
    // Elsewhere, as the configuration says.
    let elsewhere = Tool::new("dbms.directories.transaction.logs.root=../logs\n");
    let (store, logs) = stores::install("standard", "neo4j", elsewhere.home(), "movies");
    fs::create_dir(elsewhere.home().join("logs")).unwrap();
    fs::rename(logs, elsewhere.home().join("logs/movies")).unwrap();
    let (code, value) = json(&elsewhere, &[store.to_str().unwrap()]);
    assert_eq!((code, &value["databases"][0]["recovery"]["required"]), (Some(0), &Value::Bool(false)));
}

type Damage = fn(&Path);

#[test]
fn what_can_not_be_read_is_named_and_the_rest_is_shown() {
    let damages: [(&str, Damage, &str, &str); 6] = [
        (
            "no nodes",
            |store| fs::remove_file(store.join("neostore.nodestore.db")).unwrap(),
            "neostore.nodestore.db",
            "cannot open",
        ),
        (
            "an empty metadata store",
            |store| fs::write(store.join("neostore"), "").unwrap(),
            "record format",
            "has no field StoreVersion",
        ),
        (
            "no metadata store",
            |store| fs::remove_file(store.join("neostore")).unwrap(),
            "metadata store",
            "cannot read",
        ),
        (
            "a damaged checkpoint",
            |store| {
                let mut checkpoints = fs::read(store.join("checkpoint.0")).unwrap();
                let middle = checkpoints.len() - 100;
                checkpoints[middle] ^= 1;
                fs::write(store.join("checkpoint.0"), checkpoints).unwrap();
            },
            "end of the transaction logs",
            "did not match the stored checksum",
        ),
        (
            "schema rules without their names",
            |store| fs::write(store.join("neostore.propertystore.db.index.keys"), "").unwrap(),
            "indexes",
            "",
        ),
        (
            "a manifest of somebody else",
            |store| {
                fs::create_dir(store.join("tools")).unwrap();
                fs::write(store.join("tools/manifest.toml"), "x").unwrap();
            },
            "manifest",
            "unreadable",
        ),
    ];
    for (name, damage, part, reason) in damages {
        let tool = Tool::new("");
        stores::unpack("standard", &tool.backups());
        damage(&tool.backups().join("neo4j"));
        let before = contents(&tool.backups());
        let (code, value) = json(&tool, &["backups/neo4j"]);
        assert_eq!(code, Some(1), "{name}: {value:#}");
        let database = &value["databases"][0];
        let problems = database["problems"].as_array().unwrap();
        let problem = problems.iter().find(|problem| problem["part"] == part);
        let problem = problem.unwrap_or_else(|| panic!("{name}: {problems:#?}"));
        assert!(problem["reason"].as_str().unwrap().contains(reason), "{name}: {problem:#}");
        assert!(database["logs"]["bytes"].as_u64().unwrap() > 0, "{name}");
        let text = tool.run(["inspect", "backups/neo4j"]);
        assert!(text.stdout.contains("Not readable:\n") && text.stdout.contains(part), "{text}");
        assert!(contents(&tool.backups()) == before, "{name}: nothing is changed");
    }
}

#[test]
fn the_state_of_every_kind_of_index_is_told() {
    let tool = Tool::new("");
    stores::unpack("standard", &tool.backups());
    let schema = tool.backups().join("neo4j/schema/index");
    for provider in fs::read_dir(&schema).unwrap() {
        let provider = provider.unwrap().path();
        let indexes = fs::read_dir(&provider).unwrap().map(|index| index.unwrap().path());
        for (number, index) in indexes.enumerate() {
            if number % 2 == 0 {
                fs::remove_dir_all(index).unwrap();
            }
        }
    }
    fs::write(tool.backups().join("neo4j/neostore.labelscanstore.db"), "x").unwrap();
    let (code, value) = json(&tool, &["backups/neo4j"]);
    assert_eq!(code, Some(0), "the files of indexes can be made anew: {value:#}");
    let states = |provider: &str| {
        let indexes = value["databases"][0]["indexes"].as_array().unwrap().iter();
        let of = indexes.filter(|index| index["provider"] == provider);
        of.map(|index| index["state"]["state"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    for provider in ["native-btree-1.0", "range-1.0", "point-1.0", "text-1.0", "fulltext-1.0"] {
        let states = states(provider);
        assert!(states.contains(&"missing".to_owned()), "{provider}: {states:?}");
        assert!(states.iter().all(|state| state == "missing" || state == "online"), "{provider}: {states:?}");
    }
    let mut lookup = states("token-lookup-1.0");
    lookup.sort();
    assert_eq!(lookup, ["online", "populating"], "as Neo4j takes a file that is no tree");
}

#[test]
fn a_running_database_and_a_directory_without_one_are_told() {
    let tool = Tool::new("");
    stores::unpack("standard", &tool.backups());
    let lock = FileLock::acquire(&tool.backups().join("neo4j/database_lock")).unwrap();
    let (code, value) = json(&tool, &["backups/neo4j"]);
    assert_eq!((code, &value["databases"][0]["inUse"]), (Some(0), &Value::Bool(true)));
    drop(lock);
    let outcome = tool.run(["inspect", "conf"]);
    assert_eq!((outcome.code, outcome.stdout.as_str()), (Some(1), ""));
    let message = format!("there is no database at '{}'\n", tool.home().join("conf").display());
    assert_eq!(outcome.stderr, message);
    for (words, message) in [
        (&["inspect", "nosuch"][..], "cannot list"),
        (&["inspect"], "Missing required parameter: '<dir>'"),
        (
            &["inspect", "conf", "--format=xml"],
            "Invalid value for option '--format': expected one of [text, json]",
        ),
    ] {
        let outcome = tool.run(words);
        assert!(outcome.stderr.starts_with(message), "{outcome}");
        assert_eq!(outcome.code, Some(if message.starts_with("cannot") { 1 } else { 2 }), "{outcome}");
    }
}
