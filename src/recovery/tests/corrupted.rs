//! Logs that can't be read to their end, where that is allowed. Specification: transaction log 7.3, 8.8.

use super::*;
use crate::txlog::LogPosition;
use crate::txlog::files::LogFiles;

/// Transactions 2 to 4 in log 0 and 5 to 7 in log 1; each creates a node.
fn two_logs() -> Database {
    let database = Database::standard();
    for (log_version, first) in [(0, 2), (1, 5)] {
        let transactions: Vec<_> = (first..first + 3).map(|id| vec![created(id - 2)]).collect();
        database.log(log_version, first, &transactions);
    }
    database
}

/// Where a transaction begins in its log: all of them are of the same size.
fn start(number: usize) -> usize {
    64 + number * (transaction(2, &[created(0)]).len() + 4)
}

fn flip(database: &Database, log_version: u64, at: usize) {
    let path = log(database, log_version);
    let mut bytes = std::fs::read(&path).unwrap();
    bytes[at] ^= 0x40;
    std::fs::write(&path, bytes).unwrap();
}

fn log(database: &Database, log_version: u64) -> PathBuf {
    database.path(&crate::store::layout::log_file_name(log_version))
}

/// Recovers with one thread and with two, which must find the same, after it was refused with neither.
fn tolerated(damaged: impl Fn() -> Database) -> (Database, Recovered) {
    let mut results = [1, 2].map(|threads| {
        let database = damaged();
        let strict = Recovery { threads, ..database.recovery() };
        let before = std::fs::read(log(&database, 0)).unwrap();
        assert!(matches!(strict.run(&Silent), Err(RecoveryError::Log(_))));
        assert_eq!(std::fs::read(log(&database, 0)).unwrap(), before, "nothing was changed");
        let recovered = done(Recovery { fail_on_corrupted: false, ..strict }.run(&Silent));
        assert_eq!(super::super::reason(&database.layout()).unwrap(), None);
        (database, recovered)
    });
    let [(one, first), (two, second)] = &mut results;
    assert_eq!(one.state(), two.state());
    first.archive = None;
    let archive = second.archive.take();
    assert_eq!(first, second);
    let [_, (database, recovered)] = results;
    (database, Recovered { archive, ..recovered })
}

fn archived(recovered: &Recovered) -> Vec<String> {
    let archive = std::fs::File::open(recovered.archive.as_ref().unwrap()).unwrap();
    let archive = zip::ZipArchive::new(archive).unwrap();
    let mut names: Vec<_> = archive.file_names().map(|name| name.unwrap().into_owned()).collect();
    names.sort_unstable();
    names
}

#[test]
fn behind_damage_in_the_middle_everything_is_cut_off_later_logs_too() {
    let (database, recovered) = tolerated(|| {
        let database = two_logs();
        flip(&database, 0, start(1) + 40);
        database
    });
    assert_eq!((recovered.transactions, recovered.last), (1, TransactionId(2)));
    let end = start(1) as u64;
    assert_eq!(recovered.to, LogPosition { log_version: 0, offset: end });
    assert_eq!(archived(&recovered), ["neostore.transaction.db.0", "neostore.transaction.db.1"]);
    assert_eq!(LogFiles::list(database.directory()).unwrap().versions().collect::<Vec<_>>(), [0]);
    assert_eq!(std::fs::metadata(log(&database, 0)).unwrap().len(), end);
    assert_eq!(database.ids(RecordStore::Node), (1, vec![]));
    assert_eq!(database.neostore().last_transaction().unwrap(), TransactionId(2));
}

#[test]
fn damage_in_a_later_log_leaves_the_earlier_ones() {
    let (database, recovered) = tolerated(|| {
        let database = two_logs();
        flip(&database, 1, start(0) + 40);
        database
    });
    assert_eq!((recovered.transactions, recovered.last), (3, TransactionId(4)));
    assert_eq!(archived(&recovered), ["neostore.transaction.db.1"]);
    assert_eq!(database.ids(RecordStore::Node), (3, vec![]));
}

#[test]
fn of_a_log_without_a_good_transaction_nothing_is_replayed() {
    let (database, recovered) = tolerated(|| {
        let database = two_logs();
        flip(&database, 0, start(0) + 40);
        database
    });
    assert_eq!((recovered.transactions, recovered.first, recovered.last), (0, None, TransactionId(1)));
    assert_eq!(database.ids(RecordStore::Node), (0, vec![]));
}

#[test]
fn what_the_store_may_hold_is_needed_all_the_same() {
    let database = two_logs();
    flip(&database, 1, start(1) + 40);
    let tolerant = |required| Recovery {
        fail_on_corrupted: false,
        required: Some(TransactionId(required)),
        ..database.recovery()
    };
    let before = std::fs::read(log(&database, 1)).unwrap();
    let refused = tolerant(6).run(&Silent).unwrap_err();
    let (last, required) = (TransactionId(5), TransactionId(6));
    assert!(
        matches!(refused, RecoveryError::EndsTooEarly { last: l, required: r, .. } if (l, r) == (last, required)),
        "{refused}"
    );
    assert_eq!(std::fs::read(log(&database, 1)).unwrap(), before, "nothing was changed");
    assert_eq!(done(tolerant(5).run(&Silent)).last, last);
}

#[test]
fn a_missing_transaction_is_no_damage_that_could_be_cut_off() {
    let database = Database::standard();
    database.log(0, 2, &[vec![created(0)]]);
    database.log(1, 4, &[vec![created(1)]]);
    for threads in [1, 2] {
        let tolerant = Recovery { fail_on_corrupted: false, threads, ..database.recovery() };
        let refused = tolerant.run(&Silent).unwrap_err();
        assert!(matches!(refused, RecoveryError::Log(crate::txlog::LogError::Gap { .. })), "{refused}");
    }
}
