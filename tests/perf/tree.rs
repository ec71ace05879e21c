//! How fast trees are built, changed and read, beside a plain copy of the file.
//!
//! `cargo bench --bench tree`. `NEO4J_ADMIN_BENCH_TREE_ENTRIES` (default 4 million) is the number of counts in the tree,
//! which is read from the file system's cache and not forced to a medium that is slower than that: the directory for
//! temporary files should be in memory.

use std::env;
use std::fs::File;
use std::hint::black_box;
use std::io::{Read, Write};
use std::path::Path;
use std::time::{Duration, Instant};

use neo4j_admin::index::counts::{Builder, CountKey, Counted, CountsStore};
use neo4j_admin::io::disk::OsDisk;
use neo4j_admin::store::id::{GroupId, TransactionId};
use neo4j_admin::store::page_cache::PageCache;
use neo4j_admin::store::record::Direction;

const ROUNDS: u32 = 3;

/// Of the page cache, as `--pagecache` gives it by default.
const CACHE: u64 = 8 << 20;

fn main() {
    let entries = env::var("NEO4J_ADMIN_BENCH_TREE_ENTRIES")
        .map_or(4_000_000, |entries| entries.parse().expect("a number"));
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path().join("neostore.relationshipgroupstore.degrees.db");
    // Even numbers, so that there is room between them.
    let even = |n: u64| 2 * n;
    let built = measure(|| build(&path, (0..entries).map(even)));
    let bytes = path.metadata().expect("a tree").len();
    let copied = measure(|| copy(&path, &directory.path().join("copy")));
    let report = |what: &str, changed: u64, took: Duration| {
        let (seconds, copying) = (took.as_secs_f64(), copied.as_secs_f64());
        println!("{:>6.2} M/s  {:>5.2} x  {what}", changed as f64 / 1e6 / seconds, seconds / copying);
    };
    println!("a tree of {} MB; how often the time of a copy:", bytes / 1_000_000);
    report("copy the file", entries, copied);
    report("build", entries, built);
    report("read all entries", entries, measure(|| read(&path, entries)));
    report("add to every entry, in order", entries, measure(|| add(&path, (0..entries).map(even))));
    let some = (0..entries).step_by(100);
    report(
        "add to every 100th entry, in order",
        entries / 100,
        measure(|| add(&path, some.clone().map(even))),
    );
    let inserted = (0..ROUNDS).map(|_| {
        build(&path, (0..entries).map(even));
        let started = Instant::now();
        add(&path, (0..entries).map(|n| even(n) + 1));
        started.elapsed()
    });
    report("insert between all entries, in order", entries, inserted.min().unwrap_or_default());
    build(&path, (0..300).map(even));
    let leaf = measure(|| add(&path, (0..entries).map(|n| even(n % 300))));
    report("add to the entries of one leaf, again and again", entries, leaf);
}

/// The best of a few rounds.
fn measure(mut work: impl FnMut()) -> Duration {
    let mut best = Duration::MAX;
    for _ in 0..ROUNDS {
        let started = Instant::now();
        work();
        best = best.min(started.elapsed());
    }
    best
}

fn key(n: u64) -> CountKey {
    CountKey::Degree { group: GroupId(n), direction: Direction::Outgoing }
}

fn build(path: &Path, keys: impl Iterator<Item = u64>) {
    let mut builder = Builder::new(&OsDisk::shared(), path).expect("a tree");
    keys.for_each(|n| builder.push(key(n), 1).expect("an entry"));
    builder.finish(TransactionId(1)).expect("a tree");
}

fn open(path: &Path) -> CountsStore {
    CountsStore::open(&PageCache::new(CACHE), &OsDisk, path).expect("readable").expect("a tree")
}

fn add(path: &Path, keys: impl Iterator<Item = u64>) {
    let mut store = open(path);
    keys.for_each(|n| assert_eq!(store.add(key(n), 1).expect("added"), Counted::Sound));
    store.finish(TransactionId(2)).expect("finished");
}

fn read(path: &Path, entries: u64) {
    let store = open(path);
    let (mut cursor, mut read) = (store.entries().expect("entries"), 0);
    while let Some(entry) = cursor.next().expect("an entry") {
        black_box(entry);
        read += 1;
    }
    assert_eq!(read, entries);
}

/// In steps of a mebibyte, and forced at the end like a tree.
fn copy(from: &Path, to: &Path) {
    let (mut from, mut to) = (File::open(from).expect("a file"), File::create(to).expect("a file"));
    let mut buffer = vec![0; 1 << 20];
    loop {
        match from.read(&mut buffer).expect("bytes") {
            0 => break,
            count => to.write_all(&buffer[..count]).expect("written"),
        }
    }
    to.sync_all().expect("forced");
}
