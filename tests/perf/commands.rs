//! How long a command takes as a whole, from the start of the process to its end, on the bundled small store: a full backup,
//! and an incremental one that finds nothing new, both with recovery and consistency check.
//!
//! `cargo bench --bench commands`. `NEO4J_ADMIN_BENCH_ROUNDS` (default 20): runs of each, of which the median counts.

mod support;

use std::env;
use std::time::{Duration, Instant};

use support::relay::Relay;
use support::stores;
use support::tool::Tool;

fn main() {
    let rounds = env::var("NEO4J_ADMIN_BENCH_ROUNDS").map_or(20, |value| value.parse().expect("a number"));
    let original = tempfile::tempdir().expect("a directory");
    stores::unpack("standard", original.path());
    let relay = Relay::start(original.path(), "");
    let from = format!("--from={}", relay.address);

    let (mut full, mut nothing_new) = (Vec::new(), Vec::new());
    for _ in 0..rounds {
        let tool = Tool::new("");
        for times in [&mut full, &mut nothing_new] {
            let began = Instant::now();
            let outcome = tool.backup(&[&from, "--check-consistency=true"]);
            times.push(began.elapsed());
            assert_eq!(outcome.code, Some(0), "{outcome}");
        }
    }
    tell("full backup", &mut full, 150);
    tell("incremental backup, nothing new", &mut nothing_new, 60);
}

fn tell(what: &str, times: &mut [Duration], limit: u64) {
    times.sort();
    let milliseconds = |time: Duration| time.as_secs_f64() * 1e3;
    println!(
        "{what}: {:.1} ms (median of {}; {:.1} to {:.1}; limit {limit})",
        milliseconds(times[times.len() / 2]),
        times.len(),
        milliseconds(times[0]),
        milliseconds(times[times.len() - 1])
    );
}
