//! Stores that the kernel makes for the test.

use std::collections::BTreeMap;

use serde_json::json;

use crate::support::digest;
use crate::support::kernel::Kernel;
use crate::support::stores::GraphDigest;

/// Stores per format.
const ROUNDS: &str = "NEO4J_ADMIN_TEST_STORES";

#[test]
fn a_store_scan_sees_what_the_kernel_sees_in_new_stores() {
    let Some(kernel) = Kernel::find() else { return };
    let rounds = std::env::var(ROUNDS).map_or(1, |rounds| rounds.parse().expect(ROUNDS));
    for seed in 0..rounds {
        for format in ["standard", "aligned"] {
            let directory = tempfile::tempdir().expect("a directory");
            let request = json!({
                "job": "generate", "directory": directory.path(), "name": "neo4j", "format": format,
                "seed": 1000 + seed, "nodes": 300, "steps": 100, "system": true,
            });
            let expected: BTreeMap<String, GraphDigest> = kernel.oracle().ask(&request);
            for (name, expected) in expected {
                assert_eq!(digest::of(&directory.path().join(&name)), expected, "{format} {seed} {name}");
            }
        }
    }
}
