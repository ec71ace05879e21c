//! An incremental backup of a large store beside one of a small store: its cost must grow with what is new, not with the
//! store.
//!
//! `cargo bench --bench incremental`; making a store needs a JDK 17 and Maven, once: it is kept below the target directory.
//! The large store is the small one with pages behind its records that are not in use, so the same transactions mean the
//! same work. Each round commits so many to both and backs up both, in turn, by runs of the program without a consistency
//! check, which reads the whole store. The backups are in memory (`/dev/shm`) if there is room for them.
//!
//! A large store whose transactions change records all over it can be added: they touch more pages than there are in the
//! small store, so that is no equal work, and the ratio tells how much more it is.
//!
//! | Variable | Default | Meaning |
//! |---|---|---|
//! | `NEO4J_ADMIN_BENCH_STORE_BYTES` | 2000000000 | files of the large store |
//! | `NEO4J_ADMIN_BENCH_SMALL_STORE_BYTES` | 20000000 | files of the small one |
//! | `NEO4J_ADMIN_BENCH_FULL_STORE_BYTES` | 0 | files of a large store that is full of records; `0`: none. It takes minutes to make |
//! | `NEO4J_ADMIN_BENCH_TRANSACTIONS` | 1000 | transactions of a round |
//! | `NEO4J_ADMIN_BENCH_ROUNDS` | 5 | rounds, of which the median counts |
//! | `NEO4J_ADMIN_BENCH_DIR` | `/dev/shm` if it exists | where the backups are |

#[path = "recover/image.rs"]
mod image;
mod support;

use std::env;
use std::fs::OpenOptions;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use neo4j_admin::store::id::TransactionId;
use neo4j_admin::store::layout::RecordStore;

use image::Image;
use support::live_source::LiveSource;
use support::memory_source::MemorySource;
use support::real_database;
use support::serving::Serving;

/// What pages that are not in use are added to, in percent. The page sizes are those of whole records.
const PARTS: [(RecordStore, u64, u64); 5] = [
    (RecordStore::Node, 8, 8190),
    (RecordStore::Relationship, 27, 8160),
    (RecordStore::Property, 35, 8159),
    (RecordStore::PropertyString, 20, 8192),
    (RecordStore::PropertyArray, 10, 8192),
];

/// A backup, and the server that it comes from.
struct Subject {
    name: &'static str,
    bytes: u64,
    source: LiveSource,
    server: Serving,
    backups: PathBuf,
    /// Transactions that are not committed yet.
    rest: Vec<(TransactionId, Vec<u8>)>,
    times: Vec<Duration>,
}

impl Subject {
    /// A backup that is complete up to a first round of transactions, and has a manifest. It is made larger by `added` bytes
    /// that are not in use.
    fn arrange(
        name: &'static str,
        image: &Image,
        added: u64,
        transactions: usize,
        rounds: usize,
        work: &Path,
    ) -> Self {
        let count = transactions * (rounds + 1);
        let backups = work.join(name);
        std::fs::create_dir(&backups).expect("a directory");
        let backup = backups.join("neo4j");
        std::fs::rename(image.copy(&backups, 0), &backup).expect("renamed");
        for (store, percent, page) in PARTS {
            let file = OpenOptions::new().write(true).open(backup.join(store.file_name())).expect("a store");
            let length = file.metadata().expect("a store").len();
            file.set_len((length + added * percent / 100) / page * page).expect("room for the store");
        }
        let mut database = real_database::log_of(&image.directory, "neo4j", count);
        let from = database.transactions.len() - count;
        let rest = database.transactions.split_off(from);
        let source = LiveSource::new(MemorySource { databases: vec![database], metadata: None });
        let server = Serving::start(source.clone());
        let bytes = image.store_bytes + added;
        let mut subject = Self { name, bytes, source, server, backups, rest, times: Vec::new() };
        subject.round(transactions);
        subject.times.clear();
        subject
    }

    /// Commits transactions and backs them up.
    fn round(&mut self, transactions: usize) {
        let new: Vec<_> = self.rest.drain(..transactions).collect();
        self.source.change(|database| database.transactions.extend(new));
        let began = Instant::now();
        let status = Command::new(env!("CARGO_BIN_EXE_neo4j-admin"))
            .arg("backup")
            .arg(format!("--from={}", self.server.address))
            .arg(format!("--backup-dir={}", self.backups.display()))
            .args(["--check-consistency=false", "--fallback-to-full=false"])
            .stdout(Stdio::null())
            .status()
            .expect("the program");
        self.times.push(began.elapsed());
        assert!(status.success(), "the backup failed");
        assert!(self.source.take_files().is_empty(), "a file was asked for");
    }

    fn median(&mut self) -> Duration {
        self.times.sort();
        self.times[self.times.len() / 2]
    }
}

fn main() {
    let transactions = number("NEO4J_ADMIN_BENCH_TRANSACTIONS", 1000);
    let rounds = number("NEO4J_ADMIN_BENCH_ROUNDS", 5);
    let base = env::var_os("NEO4J_ADMIN_BENCH_DIR").map_or_else(memory, PathBuf::from);
    let work = tempfile::tempdir_in(base).expect("a working directory");
    let image = |bytes: usize| {
        let image = Image::find("standard", bytes as u64, (transactions * (rounds + 1)) as u64);
        println!(
            "a store with {:.0} MB of log for {} transactions",
            image.log_bytes as f64 / 1e6,
            image.transactions
        );
        image
    };
    let small = image(number("NEO4J_ADMIN_BENCH_SMALL_STORE_BYTES", 20_000_000));
    let large = number("NEO4J_ADMIN_BENCH_STORE_BYTES", 2_000_000_000) as u64;
    let added = large.saturating_sub(small.store_bytes);
    let arrange =
        |name, image: &Image, added| Subject::arrange(name, image, added, transactions, rounds, work.path());
    let mut subjects = vec![arrange("small", &small, 0), arrange("large", &small, added)];
    let full = number("NEO4J_ADMIN_BENCH_FULL_STORE_BYTES", 0);
    if full > 0 {
        subjects.push(arrange("full", &image(full), 0));
    }
    for _ in 0..rounds {
        for subject in &mut subjects {
            subject.round(transactions);
        }
    }
    let mut first = None;
    for subject in &mut subjects {
        let median = subject.median();
        let smallest = *first.get_or_insert(median);
        println!(
            "{}, {:.0} MB of record stores: {transactions} transactions in {:.0} ms (median of {rounds}; {:.0} to {:.0}), \
             ratio {:.2}",
            subject.name,
            subject.bytes as f64 / 1e6,
            median.as_secs_f64() * 1e3,
            subject.times[0].as_secs_f64() * 1e3,
            subject.times[rounds - 1].as_secs_f64() * 1e3,
            median.div_duration_f64(smallest)
        );
    }
}

fn memory() -> PathBuf {
    let memory = Path::new("/dev/shm");
    if memory.is_dir() { memory.to_owned() } else { env::temp_dir() }
}

fn number(variable: &str, default: usize) -> usize {
    env::var(variable).map_or(default, |value| value.parse().expect(variable))
}
