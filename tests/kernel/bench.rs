//! The job that times the kernel's own recovery.

use std::fs;

use serde::Deserialize;
use serde_json::json;

use crate::support::kernel::Kernel;
use crate::support::stores;

#[derive(Deserialize)]
struct Timed {
    millis: Vec<f64>,
}

#[test]
fn the_kernel_is_timed_on_copies_of_a_crashed_store() {
    let Some(kernel) = Kernel::find() else { return };
    let directory = tempfile::tempdir().expect("a directory");
    stores::unpack("crashed", directory.path());
    let database = directory.path().join("neo4j");
    let before = fs::read(database.join("neostore")).expect("a file of the store");
    let Timed { millis } = kernel.oracle().ask(&json!({
        "job": "recoverbench", "directory": database, "scratch": directory.path(), "pagecache": "64m", "runs": 2,
    }));
    assert!(millis.len() == 2 && millis.iter().all(|&time| time > 0.0), "{millis:?}");
    let after = fs::read(database.join("neostore")).expect("a file of the store");
    assert_eq!(before, after, "a second measurement needs the crashed store again");
}
