//! The real checker, in a process that stays warm.

use std::path::Path;
use std::time::Instant;

use serde::Deserialize;
use serde_json::json;

use super::support::oracle;
use super::support::program::Program;

/// A process that checks one database after the other.
pub struct Checker(Program);

#[derive(Deserialize)]
struct Verdict {
    consistent: bool,
    warnings: u64,
}

impl Checker {
    /// Starts it.
    pub fn start() -> Self {
        Self(oracle::start())
    }

    /// Seconds of a check, which must find nothing.
    pub fn check(&mut self, directory: &Path, page_cache: u64) -> f64 {
        let reports = tempfile::tempdir().expect("a directory");
        let request = json!({
            "job": "check", "directory": directory, "report": reports.path(), "pagecache": page_cache.to_string(),
        });
        let began = Instant::now();
        let Verdict { consistent, warnings } = self.0.ask(&request);
        let time = began.elapsed().as_secs_f64();
        assert!(consistent && warnings == 0, "{}: {warnings} warnings", directory.display());
        time
    }
}
