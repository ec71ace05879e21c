//! The databases of `fixtures/stores`, and what a real Neo4j makes of the same files.

use neo4j_admin::io::disk::OsDisk;
use neo4j_admin::recovery::{self, Outcome, Recovered, Recovery, Silent};
use neo4j_admin::store::layout::{DatabaseLayout, RecordStore};

use crate::support::recovery::recovery;
use crate::support::{digest, stores};

fn recover(recovery: &Recovery) -> Recovered {
    match recovery.run(&Silent).unwrap() {
        Outcome::Recovered(recovered) => recovered,
        Outcome::NotRequired => panic!("nothing was recovered"),
    }
}

#[test]
fn a_crashed_database_has_all_its_transactions_afterwards() {
    let directory = tempfile::tempdir().unwrap();
    stores::unpack("crashed", directory.path());
    let database = directory.path().join("neo4j");
    let expected = &stores::digests()["crashed"]["neo4j"];
    let recovered = recover(&recovery(&database, OsDisk::shared()));
    assert_eq!(recovered.last.0, i64::try_from(expected.transaction).unwrap());
    assert_eq!(digest::of(&database), *expected);
    assert_eq!(recovery::reason(&DatabaseLayout::flat(&database)).unwrap(), None);
    assert_eq!(recovery(&database, OsDisk::shared()).run(&Silent).unwrap(), Outcome::NotRequired);
}

/// All transactions of these logs are in the store files already: nothing may change.
#[test]
fn all_transactions_once_more_leave_every_byte_of_the_record_stores() {
    for archive in ["standard", "aligned"] {
        let directory = tempfile::tempdir().unwrap();
        stores::unpack(archive, directory.path());
        let database = directory.path().join("neo4j");
        let records = || {
            let stores = RecordStore::ALL.into_iter().filter(|store| *store != RecordStore::Neostore);
            let read = |store: RecordStore| (store, std::fs::read(database.join(store.file_name())).unwrap());
            stores.map(read).collect::<Vec<_>>()
        };
        let before = records();
        // Without a checkpoint recovery begins with the first transaction of log 0.
        std::fs::remove_file(database.join("checkpoint.0")).unwrap();
        let expected = &stores::digests()[archive]["neo4j"];
        let recovered = recover(&recovery(&database, OsDisk::shared()));
        assert_eq!(recovered.transactions, expected.transaction - 1);
        assert!(!recovered.counts_rebuilt && !recovered.degrees_rebuilt, "they have seen everything");
        for ((store, before), (_, after)) in before.iter().zip(records()) {
            assert!(*before == after, "{archive}: {} differs", store.file_name());
        }
        assert_eq!(digest::of(&database), *expected);
    }
}
