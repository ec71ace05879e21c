//! A full copy that nothing disturbs.

use neo4j_admin::catchup::ProtocolVersion;
use neo4j_admin::catchup::message::MetadataKind;
use neo4j_admin::store::id::TransactionId;
use neo4j_admin::store::neostore::{Field, Neostore};
use neo4j_admin::txlog::crc::checksum;

use super::assert_copy;
use crate::support::backup_run::BackupRun;
use crate::support::serving::Serving;
use crate::support::small_store;

#[test]
fn every_file_and_every_transaction_arrives() {
    let source = small_store::source(1);
    let database = source.databases[0].clone();
    let server = Serving::start(source);
    for version in [ProtocolVersion::V3, ProtocolVersion::V4] {
        let run = BackupRun::new();
        let mut dialer = server.dialer();
        dialer.versions = vec![version];
        assert_eq!(run.back_up(dialer).unwrap(), run.path("neo4j"));
        assert_eq!(run.names(), ["neo4j"]);
        let backup = run.contents("neo4j");
        assert_copy(&backup, &database);

        // The log begins with the checkpoint's transaction and holds each with its checksum.
        let log = &backup["neostore.transaction.db.12"];
        assert_eq!(log[8..16], 4_i64.to_be_bytes(), "the transaction before the first");
        let expected: Vec<u8> = database.transactions[3..]
            .iter()
            .flat_map(|(_, bytes)| [&bytes[..], &checksum(bytes).to_be_bytes()].concat())
            .collect();
        assert!(log[64..] == expected);
        assert_eq!(backup["checkpoint.0"].len(), 64 + 192);

        let neostore = Neostore::read(&run.path("neo4j/neostore")).unwrap();
        assert_eq!(neostore.store_id().unwrap(), database.store_id);
        assert_eq!(neostore.last_transaction().unwrap(), TransactionId(8));
        assert_eq!(neostore.get(Field::LogVersion), Some(12));
        assert_eq!(neostore.get(Field::LastClosedLogVersion), Some(12));

        let lines = run.told.lines();
        assert_eq!(lines.first().unwrap(), "Start receiving store files");
        let started = format!("Start receiving store file {}", run.path("neo4j.tmp.0/index-7").display());
        assert!(lines.contains(&started), "{lines:?}");
        assert!(lines.contains(&"Start receiving transactions from 4".to_owned()));
        assert!(lines.iter().any(|line| line.starts_with("Finish receiving transactions at 8, took ")));
        assert!(lines.last().unwrap().starts_with("Finished, took "));
        assert_eq!(lines.len(), 2 * (4 + 15) + 5, "{lines:#?}");
    }
}

#[test]
fn a_new_database_is_copied_without_a_single_transaction() {
    let mut source = small_store::source(1);
    source.databases[0].checkpoint = TransactionId::BASE;
    source.databases[0].transactions.clear();
    let server = Serving::start(source);
    let run = BackupRun::new();
    run.back_up(server.dialer()).unwrap();
    assert_eq!(run.contents("neo4j")["neostore.transaction.db.12"].len(), 64);
    assert!(run.told.contains("Finish receiving transactions at -1, took "));
}

#[test]
fn a_copy_from_transaction_one_begins_with_two() {
    let mut source = small_store::source(1);
    source.databases[0].checkpoint = TransactionId::BASE;
    let server = Serving::start(source);
    let run = BackupRun::new();
    run.back_up(server.dialer()).unwrap();
    assert!(run.told.contains("Start receiving transactions from 1"));
    assert!(run.told.contains("Finish receiving transactions at 8, took "));
}

#[test]
fn a_backup_of_another_store_is_kept() {
    let run = BackupRun::new();
    run.back_up(Serving::start(small_store::source(1)).dialer()).unwrap();
    let old = run.contents("neo4j");
    let mut source = small_store::source(2);
    source.databases[0] = small_store::database("neo4j", 8, 2);
    run.back_up(Serving::start(source).dialer()).unwrap();
    assert_eq!(run.names(), ["neo4j", "neo4j.err.0"]);
    let mut kept = run.contents("neo4j.err.0");
    assert_eq!(kept.remove("database_lock"), Some(Vec::new()));
    assert!(kept == old);
    assert!(run.told.contains("Remote store and existing backup have different store ids!"));
    assert!(run.told.contains("is now"));
}

#[test]
fn names_are_folded_for_the_directory() {
    let run = BackupRun::new();
    let server = Serving::start(small_store::source(1));
    assert_eq!(run.job(server.dialer()).back_up("Neo4J").unwrap(), run.path("neo4j"));
}

#[test]
fn the_metadata_script_comes_with_the_copy_and_outlives_a_failure() {
    let script = |run: &BackupRun| run.contents("neo4j").get("tools/metadata_script.cypher").cloned();
    let with = |metadata: Option<Vec<String>>| {
        let mut source = small_store::source(1);
        source.metadata = metadata;
        Serving::start(source)
    };
    let run = BackupRun::new();
    let commands = vec!["CREATE ROLE `r`".to_owned(), "CREATE USER `u`".to_owned()];
    let (good, bad) = (with(Some(commands)), with(None));
    for (server, kind, expected) in [
        (&bad, Some(MetadataKind::All), None),
        (&good, None, None),
        (&good, Some(MetadataKind::All), Some("CREATE ROLE `r`;\nCREATE USER `u`;")),
        (&bad, Some(MetadataKind::All), Some("CREATE ROLE `r`;\nCREATE USER `u`;")),
        (&good, None, Some("CREATE ROLE `r`;\nCREATE USER `u`;")),
        (&good, Some(MetadataKind::Users), Some("CREATE USER `u`;")),
    ] {
        let mut job = run.job(server.dialer());
        job.metadata = kind;
        job.back_up("neo4j").unwrap();
        assert_eq!(script(&run), expected.map(|text| text.as_bytes().to_vec()), "{kind:?}");
    }
    assert!(run.told.contains("Error in execution of get metadata, it will be ignored"));
    assert!(run.told.contains("; the earlier script is kept"));
}

#[test]
fn no_metadata_is_asked_for_with_the_system_database() {
    let mut source = small_store::source(1);
    source.databases = vec![small_store::database("system", 1, 1)];
    source.metadata = Some(vec!["CREATE ROLE `r`".to_owned()]);
    let server = Serving::start(source);
    let run = BackupRun::new();
    let mut job = run.job(server.dialer());
    job.metadata = Some(MetadataKind::All);
    job.back_up("system").unwrap();
    assert!(run.told.contains("Include metadata parameter is invalid for backing up system database"));
    assert!(!run.contents("system").contains_key("tools/metadata_script.cypher"));
}
