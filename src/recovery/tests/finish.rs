//! What a recovered database must look like, so that Neo4j opens it and goes on. Specification: transaction log 8.8, 8.11,
//! 9.9.

use super::*;
use crate::txlog::LogPosition;
use crate::txlog::checkpoint::Checkpoint;
use crate::txlog::files::LogFiles;
use crate::txlog::retention::Retention;
use crate::txlog::tail::Tail;

fn nodes(from: i64, count: i64) -> Vec<Vec<Vec<u8>>> {
    (from..from + count).map(|id| vec![created(id), node_count(-1, 1)]).collect()
}

fn length(database: &Database, name: &str) -> u64 {
    std::fs::metadata(database.path(name)).unwrap().len()
}

#[test]
fn all_says_the_same_of_the_end() {
    for family in [Family::Standard, Family::Aligned, Family::HighLimit] {
        let database = Database::new(family);
        database.log(0, 2, &nodes(0, 3));
        database.log(1, 5, &nodes(3, 2));
        let recovered = database.recover();
        let end = LogPosition { log_version: 1, offset: length(&database, "neostore.transaction.db.1") };
        assert_eq!((recovered.to, recovered.last, recovered.transactions), (end, TransactionId(6), 5));
        let neostore = database.neostore();
        let checksum = crc32c::crc32c(&transaction(6, &nodes(4, 1)[0])).cast_signed();
        for (field, value) in [
            (Field::LogVersion, 1),
            (Field::LastTransactionId, 6),
            (Field::LastTransactionChecksum, checksum.into()),
            (Field::LastTransactionTime, 2_006),
            (Field::LastClosedLogVersion, 1),
            (Field::LastClosedOffset, end.offset as i64),
            (Field::CheckpointLogVersion, 0),
        ] {
            assert_eq!(neostore.get(field), Some(value), "{field:?}");
        }
        let logs = LogFiles::list(database.directory()).unwrap();
        let tail = Tail::find(&logs).unwrap();
        assert_eq!((tail.checkpoint.unwrap().position, tail.entries_after), (end, false));
        assert_eq!(length(&database, "checkpoint.0"), 64 + 192);
        let bytes = std::fs::read(database.path("checkpoint.0")).unwrap();
        let record = Checkpoint::decode(bytes[64..].try_into().unwrap()).unwrap();
        assert_eq!(record.reason.to_string(), "Checkpoint triggered by \"Recovery completed.\" @ txId: 6");
        assert_eq!(database.numbers(COUNTS).0, 6);
        assert_eq!(database.numbers(DEGREES).0, 6);
        assert!(database.path(crate::store::layout::INDEX_STATISTICS).is_file());
        assert_eq!(super::super::reason(&database.layout()).unwrap(), None);
        let left: Vec<_> = std::fs::read_dir(database.directory())
            .unwrap()
            .map(|entry| entry.unwrap().file_name().to_string_lossy().into_owned())
            .filter(|name| name.contains("building") || name.contains("temp"))
            .collect();
        assert_eq!(left, [""; 0]);
    }
}

#[test]
fn a_database_that_is_complete_is_not_touched() {
    let database = Database::standard();
    database.log(0, 2, &nodes(0, 3));
    database.recover();
    let before = std::fs::read(database.path("checkpoint.0")).unwrap();
    assert_eq!(database.recovery().run(&Silent).unwrap(), Outcome::NotRequired);
    assert_eq!(std::fs::read(database.path("checkpoint.0")).unwrap(), before);
    // A missing id file is a reason, without transactions.
    std::fs::remove_file(database.path(&RecordStore::Node.id_file_name().unwrap())).unwrap();
    let recovered = database.recover();
    assert_eq!((recovered.first, recovered.last, recovered.transactions), (None, TransactionId(4), 0));
    assert_eq!(database.ids(RecordStore::Node), (3, vec![]));
    assert_eq!(length(&database, "checkpoint.0"), 64 + 2 * 192);
    // And so is being asked.
    let forced = Recovery { force: true, ..database.recovery() };
    assert_eq!(done(forced.run(&Silent)).transactions, 0);
}

#[test]
fn a_torn_end_is_kept_elsewhere_and_cut_off() {
    let database = Database::standard();
    database.log(0, 2, &nodes(0, 3));
    let path = database.path("neostore.transaction.db.0");
    let whole = std::fs::read(&path).unwrap();
    let torn = &transaction(5, &nodes(3, 1)[0])[..50];
    std::fs::write(&path, [&whole[..], torn].concat()).unwrap();
    let recovered = database.recover();
    assert_eq!(std::fs::read(&path).unwrap(), whole);
    let archive = recovered.archive.unwrap();
    let name = archive.file_name().unwrap().to_string_lossy().into_owned();
    assert!(name.starts_with(&format!("corrupted-neostore.transaction.db-0-{}-", whole.len())), "{name}");
    let mut archive = zip::ZipArchive::new(std::fs::File::open(archive).unwrap()).unwrap();
    let mut entry = archive.by_name("neostore.transaction.db.0").unwrap();
    let mut kept = Vec::new();
    std::io::Read::read_to_end(&mut entry, &mut kept).unwrap();
    assert_eq!(kept, torn);
}

#[test]
fn zeros_behind_the_end_are_no_damage_and_stay() {
    let database = Database::standard();
    database.log(0, 2, &nodes(0, 3));
    let path = database.path("neostore.transaction.db.0");
    let padded = [std::fs::read(&path).unwrap(), vec![0; 10_000]].concat();
    std::fs::write(&path, &padded).unwrap();
    assert_eq!(database.recover().archive, None);
    assert_eq!(std::fs::read(&path).unwrap(), padded);
}

#[test]
fn an_end_that_is_damaged_is_cut_off_only_when_that_is_allowed() {
    let database = Database::standard();
    database.log(0, 2, &nodes(0, 3));
    let path = database.path("neostore.transaction.db.0");
    let mut bytes = std::fs::read(&path).unwrap();
    let cut = bytes.len() - 2 * (transaction(4, &nodes(2, 1)[0]).len() + 4);
    bytes[cut + 60] ^= 1;
    std::fs::write(&path, &bytes).unwrap();
    assert!(matches!(database.recovery().run(&Silent), Err(RecoveryError::Log(_))));
    assert_eq!(std::fs::read(&path).unwrap(), bytes, "nothing was changed");
    let tolerant = Recovery { fail_on_corrupted: false, ..database.recovery() };
    let recovered = done(tolerant.run(&Silent));
    assert_eq!((recovered.transactions, recovered.last), (1, TransactionId(2)));
    assert_eq!(std::fs::read(&path).unwrap(), bytes[..cut]);
    assert_eq!(database.recovery().run(&Silent).unwrap(), Outcome::NotRequired);
}

#[test]
fn a_checkpoint_log_that_is_full_is_followed_by_a_new_one() {
    let database = Database::standard();
    database.log(0, 2, &nodes(0, 1));
    database.recover();
    let path = database.path("checkpoint.0");
    let bytes = std::fs::read(&path).unwrap();
    let full = [&bytes[..64], &bytes[64..].repeat(5460)].concat();
    // What stands behind the last record, as after a crash, would make the next one unreadable.
    std::fs::write(&path, [&full[..], &bytes[64..100]].concat()).unwrap();
    let forced = Recovery { force: true, ..database.recovery() };
    done(forced.run(&Silent));
    assert_eq!(std::fs::read(&path).unwrap().len(), 1 << 20);
    assert_eq!(length(&database, "checkpoint.1"), 64);
    assert_eq!(database.neostore().checkpoint_log_version(), 1);
    done(forced.run(&Silent));
    assert_eq!(length(&database, "checkpoint.1"), 64 + 192);
    assert_eq!(super::super::reason(&database.layout()).unwrap(), None);
}

#[test]
fn logs_are_pruned_by_the_policy_and_never_too_far() {
    let logs = |retention| {
        let database = Database::standard();
        for log_version in 0..6 {
            let first = 2 + 3 * i64::try_from(log_version).unwrap();
            database.log(log_version, first, &nodes(first - 2, 3));
        }
        done(Recovery { retention: Some(retention), ..database.recovery() }.run(&Silent));
        LogFiles::list(database.directory()).unwrap().versions().collect::<Vec<_>>()
    };
    let hour = std::time::Duration::from_secs(3600);
    assert_eq!(logs(Retention::All), [0, 1, 2, 3, 4, 5]);
    assert_eq!(logs(Retention::NONE), [4, 5]);
    assert_eq!(logs(Retention::Files(1)), [4, 5]);
    assert_eq!(logs(Retention::Files(3)), [3, 4, 5]);
    assert_eq!(logs(Retention::Size(1)), [4, 5]);
    assert_eq!(logs(Retention::Size(1 << 30)), [0, 1, 2, 3, 4, 5]);
    assert_eq!(logs(Retention::Transactions(5)), [4, 5]);
    assert_eq!(logs(Retention::Transactions(6)), [3, 4, 5]);
    // The transactions are of 1970.
    assert_eq!(logs(Retention::Age(hour)), [4, 5]);
    assert_eq!(logs(Retention::Age(hour * 24 * 365 * 1000)), [0, 1, 2, 3, 4, 5]);
}

#[test]
fn the_log_with_the_last_transaction_is_not_pruned() {
    let database = Database::standard();
    database.log(0, 2, &nodes(0, 1));
    for log_version in 1..5 {
        database.log(log_version, 3, &[]);
    }
    done(Recovery { retention: Some(Retention::NONE), ..database.recovery() }.run(&Silent));
    let logs = LogFiles::list(database.directory()).unwrap();
    assert_eq!(logs.versions().collect::<Vec<_>>(), [0, 1, 2, 3, 4]);
}
