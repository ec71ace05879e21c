//! Our recovery, in a process of its own so that its memory can be told.

use std::env;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Instant;

use neo4j_admin::io::disk::OsDisk;
use neo4j_admin::recovery::{Outcome, Recovery, Silent};
use neo4j_admin::store::layout::DatabaseLayout;
use serde::{Deserialize, Serialize};

use super::memory::peak_bytes;
use super::number;

/// The word with which this program recovers a directory.
pub const RECOVER: &str = "recover-directory";

/// A recovery.
#[derive(Deserialize, Serialize)]
pub struct Run {
    /// Time, that of starting the process not included.
    pub millis: f64,
    /// Most memory of the process at any moment, mapped pages of files included.
    pub peak_bytes: u64,
    /// Transactions replayed.
    pub transactions: u64,
}

/// Starts a process that recovers a directory.
pub fn start(directory: &Path) -> Run {
    let output = Command::new(env::current_exe().expect("this program"))
        .arg(RECOVER)
        .arg(directory)
        .stderr(Stdio::inherit())
        .output()
        .expect("this program");
    assert!(output.status.success(), "recovery ended with {}", output.status);
    serde_json::from_slice(&output.stdout).expect("a run")
}

/// Recovers a directory and prints the [`Run`].
pub fn recover(directory: &Path) {
    let processors = std::thread::available_parallelism().map_or(1, usize::from);
    let threads = number("NEO4J_ADMIN_BENCH_THREADS", processors as u64);
    let recovery = Recovery {
        layout: DatabaseLayout::flat(directory),
        disk: OsDisk::shared(),
        page_cache: number("NEO4J_ADMIN_BENCH_PAGECACHE", 8 << 20),
        threads: usize::try_from(threads).expect("few threads"),
        retention: None,
        until: None,
        required: None,
        fail_on_corrupted: true,
        force: false,
    };
    let began = Instant::now();
    let outcome = recovery.run(&Silent).unwrap_or_else(|error| panic!("{}: {error}", directory.display()));
    let millis = began.elapsed().as_secs_f64() * 1e3;
    let Outcome::Recovered(recovered) = outcome else { panic!("{} needs no recovery", directory.display()) };
    let run =
        Run { millis, peak_bytes: peak_bytes("self").expect("Linux"), transactions: recovered.transactions };
    println!("{}", serde_json::to_string(&run).expect("text"));
}
