//! What a full copy costs beside a bare one: the same bytes over loopback, plain and with TLS, both forced to the
//! medium at the end; the client's peak memory; and how long it takes until the first byte is on the wire.
//!
//! `cargo bench --bench copy`. The figures that count are ratios of runs that take turns, since machines are noisy.
//! `NEO4J_ADMIN_BENCH_BYTES` (default 2 GiB), `NEO4J_ADMIN_BENCH_ROUNDS` (default 5), `NEO4J_ADMIN_BENCH_DIR` (default: the
//! system's directory for temporary files).

#[path = "copy/bare.rs"]
mod bare;
#[path = "copy/certificates.rs"]
mod certificates;
mod memory;
#[path = "copy/program.rs"]
mod program;
#[path = "copy/source.rs"]
mod source;

use std::env;
use std::path::Path;
use std::time::Duration;

use certificates::Certificates;
use program::Server;

fn main() {
    let bytes = number("NEO4J_ADMIN_BENCH_BYTES", 2 << 30);
    let rounds = number("NEO4J_ADMIN_BENCH_ROUNDS", 5);
    let base = env::var_os("NEO4J_ADMIN_BENCH_DIR").map_or_else(env::temp_dir, Into::into);
    let work = tempfile::tempdir_in(base).expect("a working directory");

    println!(
        "{} until the first byte of a backup arrives (median of 20)",
        text(program::first_byte(work.path()))
    );

    let store = source::make(work.path(), bytes);
    let certificates = Certificates::make(&work.path().join("certificates"));
    compare("plain", work.path(), &store, rounds, None);
    compare("TLS", work.path(), &store, rounds, Some(&certificates));
}

/// Runs both kinds of copy in turn and prints the medians.
fn compare(name: &str, work: &Path, store: &Path, rounds: u64, tls: Option<&Certificates>) {
    let server = Server::start(store, tls);
    let (mut ours, mut bare, mut ratios, mut peak) = (Vec::new(), Vec::new(), Vec::new(), 0);
    for _ in 0..rounds {
        let (reference, cipher) = bare::copy(&store.join("neo4j"), &work.join("bare"), tls);
        let run = program::backup(work, server.port, tls);
        println!("  {name}: bare {} ({cipher}), backup {}", text(reference), text(run.time));
        ratios.push(reference.div_duration_f64(run.time));
        peak = peak.max(run.peak_bytes);
        bare.push(reference);
        ours.push(run.time);
    }
    ratios.sort_by(f64::total_cmp);
    println!(
        "{name}: bare {}, backup {}, ratio {:.2} (medians; worst ratio {:.2}), peak memory of the client {} MiB",
        text(median(&mut bare)),
        text(median(&mut ours)),
        ratios[ratios.len() / 2],
        ratios[0],
        peak >> 20
    );
}

fn median(times: &mut [Duration]) -> Duration {
    times.sort();
    times[times.len() / 2]
}

fn text(time: Duration) -> String {
    format!("{:.1} ms", time.as_secs_f64() * 1e3)
}

fn number(variable: &str, default: u64) -> u64 {
    env::var(variable).map_or(default, |value| value.parse().expect(variable))
}
