//! What Neo4j wrote is read to the last byte, and written the same.

use std::collections::BTreeSet;

use neo4j_admin::io::bytes::Reader;
use neo4j_admin::io::disk::OsDisk;
use neo4j_admin::store::id::TransactionId;
use neo4j_admin::store::layout::{DatabaseLayout, checkpoint_file_name, log_file_name};
use neo4j_admin::store::neostore::{Field, Neostore};
use neo4j_admin::txlog::KernelVersion;
use neo4j_admin::txlog::LogPosition;
use neo4j_admin::txlog::checkpoint::Checkpoint;
use neo4j_admin::txlog::command::Command;
use neo4j_admin::txlog::entry::{Commit, EntryHead, EntryType, Start};
use neo4j_admin::txlog::reader::{LogReader, Rest};
use neo4j_admin::txlog::tail::{RecoveryReason, Tail, recovery_reason};
use neo4j_admin::txlog::wire;
use neo4j_admin::txlog::writer::LogWriter;

use super::{logs, transactions};
use crate::support::stores;

#[test]
fn logs_read_to_the_transaction_and_the_position_that_the_store_names() {
    for (archive, databases) in stores::digests() {
        let directory = tempfile::tempdir().unwrap();
        stores::unpack(&archive, directory.path());
        for (name, digest) in databases {
            let database = directory.path().join(&name);
            let logs = logs(&database);
            let layout = DatabaseLayout::flat(&database);
            let neostore = Neostore::read(&layout.neostore()).unwrap();
            let store_id = neostore.store_id().unwrap();

            let start = LogPosition { log_version: 0, offset: 64 };
            let mut reader = LogReader::open(&logs, start).unwrap();
            let (mut last, mut checksum, mut checkpointed) = (TransactionId::BASE, 0xdead_5eed, start);
            let tail = Tail::find(&logs).unwrap();
            let position = tail.checkpoint.unwrap().position;
            while let Some(logged) = reader.next_transaction().unwrap() {
                assert_eq!(logged.transaction.id, last.next());
                assert_eq!(logged.transaction.previous_checksum, checksum);
                assert_eq!(logged.transaction.kernel_version, KernelVersion::V4_4);
                (last, checksum) = (logged.transaction.id, logged.checksum);
                if logged.end == position {
                    checkpointed = logged.end;
                }
            }
            let end = reader.end().unwrap();
            assert_eq!((last.0 as u64, end.rest), (digest.transaction, Rest::Nothing), "{archive} {name}");
            assert_eq!(checkpointed, position, "the checkpoint lies between two transactions");
            assert!(tail.checkpoint.unwrap().store_id.unwrap().is_same_store(&store_id));

            let reason = recovery_reason(&layout, &logs, &tail);
            if archive == "crashed" {
                assert_eq!(reason, Some(RecoveryReason::EntriesAfterCheckpoint(Some(position))));
                assert!(position < end.position);
                continue;
            }
            assert_eq!(reason, None);
            assert_eq!(position, end.position);
            assert_eq!(neostore.last_transaction().unwrap(), last);
            assert_eq!(neostore.get(Field::LastTransactionChecksum), Some(checksum.cast_signed().into()));
            assert_eq!(neostore.log_version().unwrap(), end.position.log_version);
            assert_eq!(neostore.get(Field::LastClosedOffset), Some(end.position.offset as i64));
        }
    }
}

#[test]
fn the_writer_makes_the_same_files_of_the_same_transactions() {
    for (archive, databases) in stores::digests() {
        let directory = tempfile::tempdir().unwrap();
        stores::unpack(&archive, directory.path());
        for name in databases.keys() {
            let database = directory.path().join(name);
            let versions: Vec<_> = logs(&database).versions().collect();
            let original = |version| std::fs::read(database.join(log_file_name(version))).unwrap();
            let store_id = Neostore::read(&database.join("neostore")).unwrap().store_id().unwrap();
            let again = tempfile::tempdir().unwrap();
            // The first file has been rotated as soon as it had this size.
            let size = original(0).len() as u64;
            let mut writer =
                LogWriter::create(OsDisk::shared(), again.path(), 0, store_id, TransactionId::BASE, size)
                    .unwrap();
            for (id, wire) in transactions(&database) {
                writer.append(id, &wire).unwrap();
            }
            writer.sync().unwrap();
            for version in versions {
                let written = std::fs::read(again.path().join(log_file_name(version))).unwrap();
                assert!(written == original(version), "{archive} {name} log {version}");
            }
        }
    }
}

#[test]
fn every_command_is_written_as_it_was_read() {
    let mut kinds = BTreeSet::new();
    for (archive, databases) in stores::digests() {
        let directory = tempfile::tempdir().unwrap();
        stores::unpack(&archive, directory.path());
        for name in databases.keys() {
            for (id, wire) in transactions(&directory.path().join(name)) {
                let transaction = wire::scan(&wire).unwrap().unwrap();
                let version = transaction.kernel_version;
                let mut reader = Reader::new(&wire);
                EntryHead::decode(&mut reader).unwrap();
                let mut again = Vec::new();
                Start::decode(&mut reader).unwrap().encode(version, &mut again);
                for command in wire::Commands::new(&wire).unwrap() {
                    kinds.insert(command.type_byte());
                    EntryHead { version, kind: EntryType::Command }.encode(&mut again);
                    command.encode(&mut again);
                    check_parts(&command);
                }
                Commit { id, time: transaction.commit_time }.encode(version, &mut again);
                assert!(again == wire, "{archive} {name} transaction {id}");
            }
        }
    }
    // All that a 4.4 server writes: 19 comes with an upgrade only, 21 with more than 65,536 relationship types only.
    assert_eq!(kinds, BTreeSet::from([1, 2, 3, 4, 5, 8, 9, 16, 17, 18, 20]));
}

/// The lists in a command have as many parts as they say.
fn check_parts(command: &Command<'_>) {
    match command {
        Command::Node(command) => {
            for image in [command.change.before, command.change.after] {
                assert_eq!(image.label_records.iter().count(), image.label_records.len());
            }
        }
        Command::Property(command) => {
            for image in [command.change.before, command.change.after] {
                assert_eq!(image.blocks.iter().count(), image.blocks.len());
                assert_eq!(image.deleted.iter().count(), image.deleted.len());
                for block in &image.blocks {
                    assert_eq!(block.records.iter().count(), block.records.len());
                }
            }
        }
        Command::Token(command) => {
            let records = command.change.after.name_records;
            assert!(!records.is_empty());
            assert_eq!(records.iter().count(), records.len());
        }
        Command::Schema(command) => {
            let rule = command.rule.unwrap();
            assert!(rule.get("name").is_some() && rule.get("schemaRuleType").is_some());
        }
        _ => {}
    }
}

#[test]
fn checkpoints_are_written_as_they_were_read() {
    for (archive, databases) in stores::digests() {
        let directory = tempfile::tempdir().unwrap();
        stores::unpack(&archive, directory.path());
        for name in databases.keys() {
            let bytes = std::fs::read(directory.path().join(name).join(checkpoint_file_name(0))).unwrap();
            let (records, rest) = bytes[64..].as_chunks::<{ Checkpoint::SIZE }>();
            assert!(!records.is_empty() && rest.is_empty());
            for record in records {
                let checkpoint = Checkpoint::decode(record).unwrap();
                assert_eq!(checkpoint.encode(), record);
                assert!(!checkpoint.reason.to_string().is_empty());
            }
        }
    }
}

#[test]
fn a_transaction_is_found_by_its_id_in_any_file() {
    let directory = tempfile::tempdir().unwrap();
    stores::unpack("standard", directory.path());
    let logs = logs(&directory.path().join("neo4j"));
    let first = logs.header(1).unwrap().unwrap().last_committed;
    for id in [TransactionId(2), first.previous(), first, first.next(), TransactionId(314)] {
        let mut reader = LogReader::find(&logs, id).unwrap().unwrap();
        let found = reader.next_transaction().unwrap().unwrap();
        assert_eq!(found.transaction.id, id);
        assert_eq!(found.start.log_version, u64::from(id > first));
    }
    for id in [0, 1, 315] {
        assert!(LogReader::find(&logs, TransactionId(id)).unwrap().is_none(), "{id}");
    }
}
