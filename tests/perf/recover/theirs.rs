//! The kernel's recovery.

use std::path::Path;

use serde::Deserialize;
use serde_json::json;

use super::support::oracle;

#[derive(Deserialize)]
struct Timed {
    millis: Vec<f64>,
}

/// Milliseconds of the kernel's recovery of a copy.
pub fn recover(image: &Path, scratch: &Path, page_cache: u64) -> f64 {
    let Timed { millis } = oracle::ask(&json!({
        "job": "recoverbench", "directory": image, "scratch": scratch, "pagecache": page_cache.to_string(), "runs": 1,
    }));
    millis[0]
}
