//! The large database.

use std::env;
use std::fs::{self, File};
use std::io::Read;
use std::path::{Path, PathBuf};

use neo4j_admin::io::disk::OsDisk;
use neo4j_admin::store::format::Family;
use neo4j_admin::store::layout::{DatabaseLayout, RecordStore};
use neo4j_admin::store::neostore::Neostore;
use neo4j_admin::store::page_cache::PageCache;
use neo4j_admin::store::stores::Stores;
use rustix::fs::{Advice, fadvise};
use serde_json::{Value, json};

use super::number;
use super::support::oracle;

/// A database at rest.
pub struct Database {
    /// Its directory, logs beside the store.
    pub directory: PathBuf,
    /// Records of nodes.
    pub nodes: u64,
    /// Records of relationships.
    pub relationships: u64,
    /// Records of properties and of parts of long values and labels.
    pub parts: u64,
    /// Files that a check reads: all but the logs.
    files: Vec<PathBuf>,
}

impl Database {
    /// The database that the environment asks for; made if it does not exist.
    pub fn find() -> Self {
        if let Some(directory) = env::var_os("NEO4J_ADMIN_BENCH_STORE") {
            return Self::open(directory.into());
        }
        let nodes = number("NEO4J_ADMIN_BENCH_NODES", 3_200_000);
        let relationships = number("NEO4J_ADMIN_BENCH_RELATIONSHIPS", 10_500_000);
        let format = env::var("NEO4J_ADMIN_BENCH_FORMAT").unwrap_or_else(|_| "standard".to_owned());
        let stores = Path::new(env!("CARGO_TARGET_TMPDIR"));
        let directory = stores.join(format!("store-{format}-{nodes}-{relationships}"));
        if !directory.is_dir() {
            let unfinished = stores.join("unfinished-store");
            if unfinished.exists() {
                fs::remove_dir_all(&unfinished).expect("deleted");
            }
            let scratch = tempfile::tempdir().expect("a directory");
            let _: Value = oracle::ask(&json!({
                "job": "largestore", "directory": unfinished, "scratch": scratch.path(), "format": format, "seed": 1,
                "nodes": nodes, "relationships": relationships,
            }));
            fs::rename(unfinished, &directory).expect("renamed");
        }
        Self::open(directory)
    }

    fn open(directory: PathBuf) -> Self {
        let layout = DatabaseLayout::flat(&directory);
        let store_id =
            Neostore::read(&layout.neostore()).expect("a neostore").store_id().expect("a store id");
        let family = Family::of(store_id.version).expect("a format");
        let stores = Stores::open(&PageCache::new(1 << 20), &OsDisk, &layout, family).expect("stores");
        let records =
            |store: RecordStore| stores.of(store).map_or(0, |slots| slots.file().pages() * slots.per_page());
        let mut files = Vec::new();
        list(&directory, &mut files);
        files.retain(|path| {
            let name = path.file_name().expect("a name").to_str().expect("UTF-8");
            !name.starts_with("neostore.transaction.db.")
        });
        let parts = [
            RecordStore::Property,
            RecordStore::PropertyString,
            RecordStore::PropertyArray,
            RecordStore::NodeLabels,
        ];
        Self {
            nodes: records(RecordStore::Node),
            relationships: records(RecordStore::Relationship),
            parts: parts.into_iter().map(records).sum(),
            directory,
            files,
        }
    }

    /// Bytes of the files that a check reads.
    pub fn bytes(&self) -> u64 {
        self.files.iter().map(|path| path.metadata().expect("a file").len()).sum()
    }

    /// Puts all files into the system's cache, or takes them out.
    pub fn prepare(&self, warm: bool) {
        if warm {
            return self.read();
        }
        for path in &self.files {
            let file = File::open(path).expect("a file");
            file.sync_all().expect("forced");
            fadvise(&file, 0, None, Advice::DontNeed).expect("advised");
        }
    }

    /// Reads all files, one after the other.
    pub fn read(&self) {
        let mut buffer = vec![0; 1 << 20];
        for path in &self.files {
            let mut file = File::open(path).expect("a file");
            while file.read(&mut buffer).expect("bytes") > 0 {}
        }
    }
}

fn list(directory: &Path, files: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(directory).expect("a directory") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            list(&path, files);
        } else {
            files.push(path);
        }
    }
}
