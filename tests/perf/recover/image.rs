//! A database that has crashed.

use std::fs;
use std::path::{Path, PathBuf};

use neo4j_admin::store::layout::RecordStore;
use neo4j_admin::txlog::LogPosition;
use neo4j_admin::txlog::files::LogFiles;
use neo4j_admin::txlog::reader::LogReader;
use neo4j_admin::txlog::tail::Tail;
use serde::Deserialize;
use serde_json::json;

use super::support::oracle;

/// A crashed database, not to be changed.
pub struct Image {
    /// Its directory, logs beside the store.
    pub directory: PathBuf,
    /// Bytes of its record stores.
    pub store_bytes: u64,
    /// Transactions behind the checkpoint.
    pub transactions: u64,
    /// Bytes of log behind it.
    pub log_bytes: u64,
    /// Positions behind each percent of the log, at the end of a transaction.
    percents: Vec<LogPosition>,
}

#[derive(Deserialize)]
struct Made {}

impl Image {
    /// The image of a database whose files take about `bytes`, with so many transactions behind the checkpoint; made if
    /// it does not exist.
    pub fn find(format: &str, bytes: u64, transactions: u64) -> Self {
        let images = Path::new(env!("CARGO_TARGET_TMPDIR"));
        let directory = images.join(format!("crashed-{format}-{bytes}-{transactions}"));
        if !directory.is_dir() {
            let unfinished = images.join("unfinished");
            if unfinished.exists() {
                fs::remove_dir_all(&unfinished).expect("deleted");
            }
            let scratch = tempfile::tempdir().expect("a directory");
            let Made {} = oracle::ask(&json!({
                "job": "crashbench", "directory": unfinished, "scratch": scratch.path(), "format": format, "seed": 1,
                "bytes": bytes, "transactions": transactions, "pagecache": page_cache(bytes).to_string(),
            }));
            fs::rename(unfinished, &directory).expect("renamed");
        }
        Self::read(directory)
    }

    /// The image in a directory.
    pub fn read(directory: PathBuf) -> Self {
        let size = |path: PathBuf| fs::metadata(path).map_or(0, |file| file.len());
        let stores = RecordStore::ALL.into_iter().map(|store| size(directory.join(store.file_name())));
        let store_bytes = stores.sum();
        let logs = LogFiles::list(&directory).expect("logs");
        let from = Tail::find(&logs).expect("a tail").checkpoint.expect("a checkpoint").position;
        let mut reader = LogReader::open(&logs, from).expect("a log");
        let mut ends = Vec::new();
        let (mut before, mut log_version) = (0, from.log_version);
        while reader.next_transaction().expect("a transaction").is_some() {
            let position = reader.position();
            if position.log_version > log_version {
                before += size(logs.path(log_version));
                log_version = position.log_version;
            }
            ends.push((before + position.offset - from.offset, position));
        }
        let &(log_bytes, _) = ends.last().expect("transactions");
        let percents = (0..=100)
            .map(|percent| {
                let at = ends.partition_point(|(end, _)| *end < log_bytes * percent / 100);
                ends[at].1
            })
            .collect();
        Self { directory, store_bytes, transactions: ends.len() as u64, log_bytes, percents }
    }

    /// A copy below `work` whose log ends after that part of it. The page cache of the database that wrote an image which is
    /// made here was large enough for all, so no page has reached the files since the checkpoint that would need the rest.
    pub fn copy(&self, work: &Path, percent: u64) -> PathBuf {
        let copy = work.join("copy");
        copy_directory(&self.directory, &copy);
        let end = self.percents[usize::try_from(percent).expect("at most 100")];
        let logs = LogFiles::list(&copy).expect("logs");
        for log_version in logs.versions().filter(|log_version| *log_version > end.log_version) {
            fs::remove_file(logs.path(log_version)).expect("deleted");
        }
        let last = fs::OpenOptions::new().write(true).open(logs.path(end.log_version)).expect("a log");
        last.set_len(end.offset).expect("cut");
        copy
    }
}

/// Enough for all files: they are a little larger than what was asked for, and grow.
fn page_cache(bytes: u64) -> u64 {
    bytes + bytes / 4 + (512 << 20)
}

fn copy_directory(from: &Path, to: &Path) {
    fs::create_dir_all(to).expect("a directory");
    for entry in fs::read_dir(from).expect("a directory") {
        let entry = entry.expect("an entry");
        let target = to.join(entry.file_name());
        if entry.file_type().expect("a type").is_dir() {
            copy_directory(&entry.path(), &target);
        } else {
            fs::copy(entry.path(), target).expect("copied");
        }
    }
}
