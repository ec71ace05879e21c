//! Our check, in a process of its own so that its memory can be told.

use std::env;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Instant;

use neo4j_admin::consistency::{Check, CheckOptions, Unwatched};
use neo4j_admin::io::disk::OsDisk;
use neo4j_admin::store::layout::DatabaseLayout;
use serde::{Deserialize, Serialize};

use super::memory::peak_bytes;
use super::number;

/// The word with which this program checks a directory.
pub const CHECK: &str = "check-directory";

const THREADS: &str = "NEO4J_ADMIN_BENCH_THREADS";
const PAGE_CACHE: &str = "NEO4J_ADMIN_BENCH_PAGECACHE";

/// A check.
#[derive(Deserialize, Serialize)]
pub struct Run {
    /// Time, that of starting the process not included.
    pub seconds: f64,
    /// Most memory of the process at any moment, mapped pages of files included.
    pub peak_bytes: u64,
}

/// Starts a process that checks a directory.
pub fn start(directory: &Path, threads: u64, page_cache: u64) -> Run {
    let output = Command::new(env::current_exe().expect("this program"))
        .arg(CHECK)
        .arg(directory)
        .env(THREADS, threads.to_string())
        .env(PAGE_CACHE, page_cache.to_string())
        .stderr(Stdio::inherit())
        .output()
        .expect("this program");
    assert!(output.status.success(), "the check ended with {}", output.status);
    serde_json::from_slice(&output.stdout).expect("a run")
}

/// Checks a directory, in which nothing must be wrong, and prints the [`Run`].
pub fn check(directory: &Path) {
    let reports = tempfile::tempdir().expect("a directory");
    let check = Check {
        layout: DatabaseLayout::flat(directory),
        disk: OsDisk::shared(),
        options: CheckOptions { report_directory: reports.path().to_owned(), ..CheckOptions::default() },
        page_cache: number(PAGE_CACHE, 8 << 20),
        threads: usize::try_from(number(THREADS, 1)).expect("few threads"),
    };
    let began = Instant::now();
    let verdict = check.run(&Unwatched).unwrap_or_else(|error| panic!("{}: {error}", directory.display()));
    let seconds = began.elapsed().as_secs_f64();
    assert!(verdict.is_consistent(), "{}", verdict.summary);
    println!(
        "{}",
        serde_json::to_string(&Run { seconds, peak_bytes: peak_bytes("self").expect("Linux") })
            .expect("text")
    );
}
