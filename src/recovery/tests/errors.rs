//! What can't be recovered is refused before anything is changed, and the message says what to do.

use super::*;
use crate::txlog::LogError;

fn refused(database: &Database, recovery: &Recovery) -> RecoveryError {
    let before = snapshot(database);
    let error = recovery.run(&Silent).unwrap_err();
    assert!(snapshot(database) == before, "{error}: something was changed");
    error
}

fn snapshot(database: &Database) -> Vec<(PathBuf, Option<Vec<u8>>)> {
    let mut files: Vec<_> = std::fs::read_dir(database.directory())
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .map(|path| (path.clone(), std::fs::read(path).ok()))
        .collect();
    files.sort();
    files
}

fn database() -> Database {
    let database = Database::standard();
    database.log(0, 2, &[vec![created(0)], vec![created(1)]]);
    database
}

#[test]
fn missing_store_files() {
    let database = database();
    std::fs::remove_file(database.path("neostore.nodestore.db")).unwrap();
    std::fs::remove_file(database.path("neostore.schemastore.db")).unwrap();
    let error = refused(&database, &database.recovery());
    assert!(matches!(&error, RecoveryError::MissingStores { paths } if paths.len() == 2));
    let message = error.to_string();
    assert!(message.contains("neostore.nodestore.db") && message.contains("consistent backup"), "{message}");
}

#[test]
fn missing_logs() {
    let database = database();
    std::fs::remove_file(database.path("neostore.transaction.db.0")).unwrap();
    assert!(matches!(refused(&database, &database.recovery()), RecoveryError::MissingLogs { .. }));
}

#[test]
fn logs_of_another_store() {
    let database = database();
    let foreign = StoreId { random: 7, ..database.store_id() };
    database.log_of_store(foreign, 0, 2, &[vec![created(0)]]);
    let error = refused(&database, &database.recovery());
    assert!(matches!(error, RecoveryError::StoreId { log, .. } if log == foreign));
}

#[test]
fn transactions_missing_between_store_and_logs() {
    let database = database();
    database.log(0, 4, &[vec![created(0)]]);
    let error = refused(&database, &database.recovery());
    assert!(matches!(error, RecoveryError::Gap { last: TransactionId(1), found: TransactionId(4), .. }));
    assert!(error.to_string().contains("new full backup"));
}

#[test]
fn transactions_missing_within_the_logs_or_there_twice() {
    for second in [3, 5] {
        let database = database();
        database.log(1, second, &[vec![created(2)]]);
        let error = refused(&database, &database.recovery());
        assert!(matches!(error, RecoveryError::Log(LogError::Gap { .. })), "{error}");
    }
}

#[test]
fn logs_that_end_before_what_the_store_may_hold() {
    let database = database();
    let recovery = Recovery { required: Some(TransactionId(4)), ..database.recovery() };
    let error = refused(&database, &recovery);
    assert!(matches!(
        error,
        RecoveryError::EndsTooEarly { last: TransactionId(3), required: TransactionId(4), .. }
    ));
    done(Recovery { required: Some(TransactionId(3)), ..database.recovery() }.run(&Silent));
}

#[test]
fn a_field_of_the_metadata_store_that_is_no_business_of_transactions() {
    let database = database();
    let mut command = vec![19];
    command.put_i64(3);
    for value in [1, 99] {
        command.put_u8(1);
        command.put_i64(value);
    }
    database.log(0, 2, &[vec![command]]);
    let error = refused(&database, &database.recovery());
    assert!(matches!(error, RecoveryError::MetadataField { transaction: TransactionId(2), field: 3 }));
}

#[test]
fn records_that_no_store_has() {
    for (id, value) in [(1 << 40, int(1)), (u32::MAX.into(), int(1)), (-5, int(1))] {
        let database = database();
        let image = PropertyImage { blocks: &[(&[value], &[])], ..NO_PROPERTY };
        database.log(0, 2, &[vec![property(id, &NO_PROPERTY, &image)]]);
        assert!(database.recovery().run(&Silent).is_err(), "property record {id}");
    }
    let database = database();
    let records = [dynamic(3, 7, 0x23, -1, b"x")];
    let image = PropertyImage { blocks: &[(&[string_at(3)], &records)], ..NO_PROPERTY };
    database.log(0, 2, &[vec![property(0, &NO_PROPERTY, &image)]]);
    let error = refused(&database, &database.recovery());
    assert!(matches!(error, RecoveryError::ValueKind { kind: 7, .. }), "{error}");
}
