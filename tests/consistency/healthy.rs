//! Nothing is said of stores that are as they should be.

use neo4j_admin::consistency::CheckOptions;

use super::store::{Entries, check, checking};
use crate::support::stores;

#[test]
fn a_sound_store_has_no_report() {
    for (archive, names) in [("standard", &["neo4j", "system"][..]), ("aligned", &["neo4j"])] {
        let directory = tempfile::tempdir().expect("a directory");
        stores::unpack(archive, directory.path());
        for name in names {
            let entries = Entries::default();
            let verdict = checking(&directory.path().join(name), &CheckOptions::default()).run(&entries);
            let verdict = verdict.unwrap_or_else(|error| panic!("{archive} {name}: {error}"));
            assert_eq!(entries.0.into_inner(), [], "{archive} {name}");
            assert!(verdict.is_consistent() && verdict.report.is_none());
            assert!(!directory.path().join("report").exists());
        }
    }
}

#[test]
fn a_store_that_must_be_recovered_is_refused() {
    let directory = tempfile::tempdir().expect("a directory");
    stores::unpack("crashed", directory.path());
    let refused = check(&directory.path().join("neo4j"), &CheckOptions::default());
    let error = refused.expect_err("a store that must be recovered");
    assert!(error.to_string().starts_with("Active logical log detected"), "{error}");
}
