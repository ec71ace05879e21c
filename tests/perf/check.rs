//! The consistency check of a large database, ours beside the real checker.
//!
//! `cargo bench --bench check`; needs a JDK 17 and Maven. The real checker's time is without the start of its JVM and after a
//! run that warms it up. Each is timed with the files in the system's cache and without them; a plain read of the same
//! files in their order shows what the hardware allows. The database is made by the real kernel, once, and kept below the
//! target directory.
//!
//! | Variable | Default | Meaning |
//! |---|---|---|
//! | `NEO4J_ADMIN_BENCH_NODES` | 3200000 | nodes, two properties each, and a long text in one of ten |
//! | `NEO4J_ADMIN_BENCH_RELATIONSHIPS` | 10500000 | relationships, two of five with a property |
//! | `NEO4J_ADMIN_BENCH_FORMAT` | `standard` | record format |
//! | `NEO4J_ADMIN_BENCH_PAGECACHE` | 8388608 | bytes of the page cache of both |
//! | `NEO4J_ADMIN_BENCH_ROUNDS` | 3 | checks of each kind, of which the median counts |
//! | `NEO4J_ADMIN_BENCH_STORE` | | a database that exists, instead of a new one |
//! | `NEO4J_ADMIN_BENCH_CHECKER` | `true` | `false` leaves the real checker out |

#[path = "check/checker.rs"]
mod checker;
#[path = "check/database.rs"]
mod database;
mod memory;
#[path = "check/ours.rs"]
mod ours;
mod support;

use std::env;
use std::path::Path;
use std::time::Instant;

use checker::Checker;
use database::Database;

/// What a check may use besides its page cache and what it keeps of nodes and of parts of values.
const MEMORY_BESIDES: u64 = 64 << 20;

fn main() {
    let mut words = env::args().skip(1);
    if words.next().as_deref() == Some(ours::CHECK) {
        return ours::check(Path::new(&words.next().expect("a directory")));
    }
    let database = Database::find();
    let bytes = database.bytes() as f64;
    println!(
        "{} in files that are read, {} nodes, {} relationships",
        megabytes(database.bytes()),
        database.nodes,
        database.relationships
    );
    let page_cache = number("NEO4J_ADMIN_BENCH_PAGECACHE", 8 << 20);
    let limit = page_cache + 4 * database.nodes + database.parts.div_ceil(2) + MEMORY_BESIDES;
    let processors = std::thread::available_parallelism().map_or(1, usize::from) as u64;
    let mut checker = (env::var("NEO4J_ADMIN_BENCH_CHECKER").as_deref() != Ok("false")).then(|| {
        let mut checker = Checker::start();
        checker.check(&database.directory, page_cache);
        checker
    });
    for warm in [true, false] {
        let files = if warm { "in the cache" } else { "not in the cache" };
        println!("files {files}:");
        let read = median(|| {
            database.prepare(warm);
            let began = Instant::now();
            database.read();
            began.elapsed().as_secs_f64()
        });
        println!("  read in order: {read:.2} s, {:.2} GB/s", bytes / 1e9 / read);
        let mut best = f64::INFINITY;
        for threads in [1, processors] {
            let mut peak = 0;
            let time = median(|| {
                database.prepare(warm);
                let run = ours::start(&database.directory, threads, page_cache);
                peak = peak.max(run.peak_bytes);
                run.seconds
            });
            println!(
                "  ours, threads {threads}: {time:.2} s, {:.2} GB/s, {:.1} times the plain read, peak memory {} (limit {})",
                bytes / 1e9 / time,
                time / read,
                megabytes(peak),
                megabytes(limit)
            );
            best = best.min(time);
        }
        if let Some(checker) = &mut checker {
            let theirs = median(|| {
                database.prepare(warm);
                checker.check(&database.directory, page_cache)
            });
            println!("  real checker: {theirs:.2} s; ratio {:.1}", theirs / best);
        }
    }
}

fn median(mut run: impl FnMut() -> f64) -> f64 {
    let rounds = number("NEO4J_ADMIN_BENCH_ROUNDS", 3).max(1);
    let mut times: Vec<_> = (0..rounds).map(|_| run()).collect();
    times.sort_by(f64::total_cmp);
    times[times.len() / 2]
}

fn megabytes(bytes: u64) -> String {
    format!("{:.1} MB", bytes as f64 / 1e6)
}

fn number(variable: &str, default: u64) -> u64 {
    env::var(variable).map_or(default, |value| value.parse().expect(variable))
}
