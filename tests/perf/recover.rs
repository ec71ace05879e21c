//! Recovery of a large crashed database, ours beside the real kernel's.
//!
//! `cargo bench --bench recover`; needs a JDK 17 and Maven. Both recover copies of one image with a page cache of 8 MiB, the
//! files in memory (`/dev/shm`) if there is room for them, since both pay the same for forcing. The kernel's time is
//! without the start of its JVM and after a run that warms it up. Both recover parts of the log first, which tells how
//! the time grows. The image is made once and kept below the target directory.
//!
//! | Variable | Default | Meaning |
//! |---|---|---|
//! | `NEO4J_ADMIN_BENCH_IMAGE` | made | another crashed database: logs beside the store, not changed |
//! | `NEO4J_ADMIN_BENCH_PARTS` | `10,50,100` | percent of the log; only `100` where pages were written since the checkpoint |
//! | `NEO4J_ADMIN_BENCH_STORE_BYTES` | 1000000000 | record stores at the checkpoint |
//! | `NEO4J_ADMIN_BENCH_TRANSACTIONS` | 500000 | transactions behind it |
//! | `NEO4J_ADMIN_BENCH_FORMAT` | `standard` | record format |
//! | `NEO4J_ADMIN_BENCH_PAGECACHE` | 8388608 | bytes of the page cache of both |
//! | `NEO4J_ADMIN_BENCH_THREADS` | number of processors | threads of ours |
//! | `NEO4J_ADMIN_BENCH_ROUNDS` | 3 | recoveries of ours, of which the median counts; the kernel runs once |
//! | `NEO4J_ADMIN_BENCH_DIR` | `/dev/shm` if it exists | where the copies are |

#[path = "recover/image.rs"]
mod image;
mod memory;
#[path = "recover/ours.rs"]
mod ours;
mod support;
#[path = "recover/theirs.rs"]
mod theirs;

use std::env;
use std::fs;
use std::path::{Path, PathBuf};

use image::Image;
use ours::Run;

/// What a recovery may use besides its page cache.
const MEMORY_BESIDES: u64 = 64 << 20;

fn main() {
    let mut words = env::args().skip(1);
    if words.next().as_deref() == Some(ours::RECOVER) {
        return ours::recover(Path::new(&words.next().expect("a directory")));
    }
    let image = image();
    println!(
        "{} of record stores, {} transactions behind the checkpoint, {} of log",
        megabytes(image.store_bytes),
        image.transactions,
        megabytes(image.log_bytes)
    );
    let base = env::var_os("NEO4J_ADMIN_BENCH_DIR").map_or_else(in_memory, PathBuf::from);
    let work = tempfile::tempdir_in(base).expect("a working directory");
    let page_cache = number("NEO4J_ADMIN_BENCH_PAGECACHE", 8 << 20);
    let rounds = number("NEO4J_ADMIN_BENCH_ROUNDS", 3);

    let parts = env::var("NEO4J_ADMIN_BENCH_PARTS").unwrap_or_else(|_| "10,50,100".to_owned());
    for part in parts.split(',').map(|part| part.trim().parse().expect("percent")) {
        let mut runs: Vec<Run> = (0..rounds)
            .map(|_| {
                let copy = image.copy(work.path(), part);
                let run = ours::start(&copy);
                fs::remove_dir_all(copy).expect("deleted");
                run
            })
            .collect();
        runs.sort_by(|left, right| left.millis.total_cmp(&right.millis));
        let run = &runs[runs.len() / 2];
        let log = image.log_bytes as f64 * part as f64 / 100.0;
        let peak = runs.iter().map(|run| run.peak_bytes).max().unwrap_or_default();
        println!(
            "{part:>3} % of the log, ours: {} transactions in {:.2} s, {:.0} MB of log a second, peak memory {} (limit {})",
            run.transactions,
            run.millis / 1e3,
            log / 1e3 / run.millis,
            megabytes(peak),
            megabytes(page_cache + MEMORY_BESIDES)
        );
        let copy = image.copy(work.path(), part);
        let theirs = theirs::recover(&copy, work.path(), page_cache);
        fs::remove_dir_all(copy).expect("deleted");
        println!(
            "{part:>3} % of the log, kernel: {:.2} s, {:.0} MB of log a second; ratio {:.1}",
            theirs / 1e3,
            log / 1e3 / theirs,
            theirs / run.millis
        );
    }
}

/// The image that the environment asks for.
fn image() -> Image {
    if let Some(directory) = env::var_os("NEO4J_ADMIN_BENCH_IMAGE") {
        return Image::read(directory.into());
    }
    let format = env::var("NEO4J_ADMIN_BENCH_FORMAT").unwrap_or_else(|_| "standard".to_owned());
    let bytes = number("NEO4J_ADMIN_BENCH_STORE_BYTES", 1_000_000_000);
    Image::find(&format, bytes, number("NEO4J_ADMIN_BENCH_TRANSACTIONS", 500_000))
}

fn in_memory() -> PathBuf {
    let memory = Path::new("/dev/shm");
    if memory.is_dir() { memory.to_owned() } else { env::temp_dir() }
}

fn megabytes(bytes: u64) -> String {
    format!("{:.1} MB", bytes as f64 / 1e6)
}

fn number(variable: &str, default: u64) -> u64 {
    env::var(variable).map_or(default, |value| value.parse().expect(variable))
}
