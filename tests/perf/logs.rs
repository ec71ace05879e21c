//! How fast logs are read: transactions of a real store, over and over.
//!
//! `cargo bench --bench logs`. `NEO4J_ADMIN_BENCH_LOG_BYTES` (default 512 MiB) is the size of the log, which is read
//! from the file system's cache.

use std::env;
use std::hint::black_box;
use std::path::Path;
use std::time::{Duration, Instant};

use neo4j_admin::io::disk::OsDisk;
use neo4j_admin::store::id::TransactionId;
use neo4j_admin::store::neostore::Neostore;
use neo4j_admin::txlog::files::LogFiles;
use neo4j_admin::txlog::reader::LogReader;
use neo4j_admin::txlog::writer::LogWriter;
use neo4j_admin::txlog::{LogError, LogPosition, wire};

const STORE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/fixtures/stores/standard.tar.gz");
const ROUNDS: u32 = 5;
const START: LogPosition = LogPosition { log_version: 0, offset: 64 };

fn main() {
    let bytes =
        env::var("NEO4J_ADMIN_BENCH_LOG_BYTES").map_or(512 << 20, |bytes| bytes.parse().expect("bytes"));
    let directory = tempfile::tempdir().expect("a directory");
    let transactions = real_transactions(directory.path());
    let mut stream = Vec::new();
    for wire in transactions.iter().cycle() {
        stream.extend_from_slice(wire);
        if stream.len() >= bytes {
            break;
        }
    }
    let logs = directory.path().join("logs");
    std::fs::create_dir(&logs).expect("a directory");
    measure("append to a log, with checksums", stream.len(), || write(&logs, directory.path(), &stream));

    measure("find the ends of transactions on the wire", stream.len(), || {
        let mut rest = &stream[..];
        while let Some(transaction) = wire::scan(rest).expect("good transactions") {
            rest = &rest[black_box(transaction).length..];
        }
        assert!(rest.is_empty());
    });
    let files = LogFiles::list(&logs).expect("logs");
    measure("read a log, checksums compared", stream.len(), || {
        let mut reader = LogReader::open(&files, START).expect("a log");
        while let Some(logged) = reader.next_transaction().expect("good transactions") {
            black_box(logged.checksum);
        }
    });
    measure("read a log and all commands in it", stream.len(), || {
        let mut reader = LogReader::open(&files, START).expect("a log");
        while let Some(logged) = reader.next_transaction().expect("good transactions") {
            let read: Result<(), LogError> = logged.for_each_command(|command| {
                black_box(command);
                Ok(())
            });
            read.expect("commands");
        }
    });
}

/// The best of a few rounds.
fn measure(what: &str, bytes: usize, mut work: impl FnMut()) {
    let mut best = Duration::MAX;
    for _ in 0..ROUNDS {
        let started = Instant::now();
        work();
        best = best.min(started.elapsed());
    }
    println!("{:>6.0} MB/s  {what}", bytes as f64 / 1e6 / best.as_secs_f64());
}

/// Transactions of a real store as they travel.
fn real_transactions(directory: &Path) -> Vec<Vec<u8>> {
    let archive = std::fs::File::open(STORE).expect("a store");
    tar::Archive::new(flate2::read::GzDecoder::new(archive)).unpack(directory).expect("a store");
    let logs = LogFiles::list(&directory.join("neo4j")).expect("logs");
    let mut reader = LogReader::open(&logs, START).expect("a log");
    let mut found = Vec::new();
    while let Some(mut logged) = reader.next_transaction().expect("good transactions") {
        found.push(logged.wire().expect("readable").to_vec());
    }
    found
}

/// Writes one log of all transactions of a stream, with ids that follow each other.
fn write(logs: &Path, store: &Path, stream: &[u8]) {
    let store_id = Neostore::read(&store.join("neo4j/neostore")).and_then(|neostore| neostore.store_id());
    let store_id = store_id.expect("a store id");
    let mut writer =
        LogWriter::create(OsDisk::shared(), logs, 0, store_id, TransactionId::BASE, u64::MAX).expect("a log");
    let mut wire = Vec::new();
    let mut rest = stream;
    while let Some(transaction) = wire::scan(rest).expect("good transactions") {
        let (bytes, behind) = rest.split_at(transaction.length);
        let id = writer.last_transaction().next();
        wire.clear();
        wire.extend_from_slice(bytes);
        let at = wire.len() - 16;
        wire[at..at + 8].copy_from_slice(&id.0.to_be_bytes());
        writer.append(id, &wire).expect("written");
        rest = behind;
    }
    writer.sync().expect("written");
}
