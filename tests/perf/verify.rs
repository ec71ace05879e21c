//! `verify` beside reading the same files from front to back: it should cost little more than that.
//!
//! `cargo bench --bench verify`. The two take turns. `NEO4J_ADMIN_BENCH_BYTES` (default 2 GiB), `NEO4J_ADMIN_BENCH_ROUNDS`
//! (default 5), `NEO4J_ADMIN_BENCH_DIR` (default: the system's directory for temporary files).

mod support;

use std::env;
use std::fs::{self, File};
use std::io::Read;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use support::relay::Relay;
use support::source;
use support::tool::Tool;

fn main() {
    let bytes = number("NEO4J_ADMIN_BENCH_BYTES", 2 << 30);
    let rounds = number("NEO4J_ADMIN_BENCH_ROUNDS", 5);
    let base = env::var_os("NEO4J_ADMIN_BENCH_DIR").map_or_else(env::temp_dir, PathBuf::from);
    let work = tempfile::tempdir_in(base).expect("a working directory");
    let store = source::make(work.path(), bytes);
    let relay = Relay::start(&store, "");
    let tool = Tool::new("");
    let backups = work.path().join("backups");
    fs::create_dir(&backups).expect("a directory");
    let outcome = tool.run([
        "backup",
        &format!("--from={}", relay.address),
        &format!("--backup-dir={}", backups.display()),
        "--check-consistency=false",
    ]);
    assert_eq!(outcome.code, Some(0), "{outcome}");
    // Room for the backup alone.
    source::clear(&store);

    let backup = backups.join("neo4j");
    let (mut reads, mut verifies, mut ratios) = (Vec::new(), Vec::new(), Vec::new());
    // The first round warms up.
    for round in 0..=rounds {
        let began = Instant::now();
        let read = read(&backup);
        let reading = began.elapsed();
        let began = Instant::now();
        let outcome = tool.run([Path::new("verify"), &backup]);
        let verifying = began.elapsed();
        assert_eq!(outcome.code, Some(0), "{outcome}");
        if round > 0 {
            println!(
                "  {read} bytes: read {:.0} ms, verify {:.0} ms",
                milliseconds(reading),
                milliseconds(verifying)
            );
            ratios.push(reading.div_duration_f64(verifying));
            reads.push(reading);
            verifies.push(verifying);
        }
    }
    ratios.sort_by(f64::total_cmp);
    reads.sort();
    verifies.sort();
    let middle = ratios.len() / 2;
    println!(
        "read {:.0} ms, verify {:.0} ms, ratio {:.2} (medians; worst ratio {:.2}; limit 0.8)",
        milliseconds(reads[middle]),
        milliseconds(verifies[middle]),
        ratios[middle],
        ratios[0]
    );
}

/// Reads all files one after the other, as `cat` does. Returns their bytes.
fn read(directory: &Path) -> u64 {
    let mut buffer = vec![0; 1 << 20];
    let mut bytes = 0;
    for entry in fs::read_dir(directory).expect("a directory") {
        let entry = entry.expect("an entry");
        if entry.file_type().expect("a type").is_dir() {
            bytes += read(&entry.path());
            continue;
        }
        let mut file = File::open(entry.path()).expect("a file");
        loop {
            match file.read(&mut buffer).expect("a file") {
                0 => break,
                count => bytes += count as u64,
            }
        }
    }
    bytes
}

fn milliseconds(time: Duration) -> f64 {
    time.as_secs_f64() * 1e3
}

fn number(variable: &str, default: u64) -> u64 {
    env::var(variable).map_or(default, |value| value.parse().expect(variable))
}
