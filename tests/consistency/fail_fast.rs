//! The setting that ends a check early: as many records are reported as it says, and trees besides.

use std::num::NonZeroU32;

use neo4j_admin::consistency::CheckOptions;

use super::store::{archive, check};
use crate::support::damage;

const NODES: &str = "neostore.nodestore.db";
/// Bytes of a node's record; behind the first one stands its first relationship.
const NODE: usize = 15;

#[test]
fn a_check_ends_after_as_many_reports_as_are_wanted() {
    let directory = tempfile::tempdir().expect("a directory");
    let store = directory.path().join("store");
    let mut files = archive("consistency/base-x");
    let nodes = files.get_mut(std::path::Path::new(NODES)).expect("nodes");
    for node in nodes.chunks_exact_mut(NODE) {
        node[1..5].copy_from_slice(&[0, 0xff, 0xff, 0]);
    }
    damage::write(&files, &store);
    let errors = |fail_fast: u32| {
        let options = CheckOptions { fail_fast: NonZeroU32::new(fail_fast), ..CheckOptions::default() };
        let verdict = check(&store, &options).expect("a verdict");
        assert!(!verdict.is_consistent());
        verdict.summary.errors() + verdict.summary.warnings()
    };
    let all = errors(0);
    assert!(all > 100, "{all}");
    assert_eq!([1, 7, 100].map(errors), [1, 7, 100]);
    assert_eq!(errors(u32::MAX), all);
}
