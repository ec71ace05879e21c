//! `verify` tells with its exit code whether backups are what was written.

use std::fs;

use neo4j_admin::backup::manifest::{Facts, Kind, Manifest, Origin};
use neo4j_admin::backup::stop::Stop;
use neo4j_admin::io::disk::OsDisk;
use neo4j_admin::store::id::{DatabaseId, TransactionId};
use neo4j_admin::store::neostore::Neostore;
use time::OffsetDateTime;

use crate::support::stores;
use crate::support::tool::Tool;

/// A home with the backups `neo4j` and `system`, each with a manifest.
fn home() -> Tool {
    let tool = Tool::new("");
    stores::unpack("standard", &tool.backups());
    for name in ["neo4j", "system"] {
        let directory = tool.backups().join(name);
        fs::create_dir(directory.join("tools")).unwrap();
        let origin = Origin {
            database: name.to_owned(),
            database_id: DatabaseId(uuid::Uuid::nil()),
            store_id: Neostore::read(&directory.join("neostore")).unwrap().store_id().unwrap(),
            server: "db1:6362".to_owned(),
            protocol: "4.0".to_owned(),
            tool_version: "test",
            kind: Kind::Full,
            first_transaction: TransactionId(2),
            required_transaction: None,
            started: OffsetDateTime::UNIX_EPOCH,
            bytes_received: 0,
        };
        let facts = Facts::of(&directory, &origin, true).unwrap();
        Manifest::of(&directory, facts, 1, &Stop::default()).unwrap().write(&OsDisk, &directory).unwrap();
    }
    tool
}

#[test]
fn whole_backups_are_told_and_the_exit_code_is_0() {
    let tool = home();
    let outcome = tool.run(["verify", "backups/neo4j", "backups/system"]);
    assert_eq!((outcome.code, outcome.stderr.as_str()), (Some(0), ""), "{outcome}");
    let lines: Vec<_> = outcome.stdout.lines().collect();
    assert_eq!(lines.len(), 2);
    let begin = format!("'{}' is as it was written: ", tool.backups().join("neo4j").display());
    assert!(lines[0].starts_with(&begin), "{outcome}");
}

#[test]
fn every_problem_is_told_and_the_exit_code_is_1() {
    let tool = home();
    let backup = tool.backups().join("neo4j");
    let mut nodes = fs::read(backup.join("neostore.nodestore.db")).unwrap();
    nodes[100] ^= 4;
    fs::write(backup.join("neostore.nodestore.db"), nodes).unwrap();
    fs::remove_file(backup.join("neostore.counts.db")).unwrap();
    let outcome = tool.run(["verify", "backups/neo4j", "backups/system"]);
    assert_eq!(outcome.code, Some(1), "{outcome}");
    let lines: Vec<_> = outcome.stdout.lines().collect();
    let shown = backup.display();
    assert_eq!(lines[0], format!("{shown}/neostore.counts.db: missing"));
    assert!(lines[1].starts_with(&format!("{shown}/neostore.nodestore.db: block 0 differs (")), "{outcome}");
    assert!(lines[2].contains("backups/system' is as it was written"), "{outcome}");
    assert!(outcome.stderr.contains("neo4j' is not as it was written: 2 of "), "{outcome}");

    for (damage, message) in [
        ("tools/manifest.toml", "the manifest is unreadable: its checksum is missing or wrong"),
        ("", "has no manifest"),
    ] {
        if damage.is_empty() {
            fs::remove_file(backup.join("tools/manifest.toml")).unwrap();
        } else {
            fs::write(backup.join(damage), "[backup]\nformat = 1\n").unwrap();
        }
        let outcome = tool.run(["verify", "backups/neo4j"]);
        assert_eq!((outcome.code, outcome.stdout.as_str()), (Some(1), ""), "{outcome}");
        assert!(outcome.stderr.contains(message), "{outcome}");
    }
    let outcome = tool.run(["verify"]);
    assert_eq!(outcome.code, Some(2));
    assert!(outcome.stderr.starts_with("Missing required parameter: '<dir>'"), "{outcome}");
    assert_eq!(tool.run(["verify", "nosuch"]).code, Some(1));
}
