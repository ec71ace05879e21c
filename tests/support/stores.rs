//! The real databases of `fixtures/stores`; `fixtures/README.md` tells what each holds.

use std::collections::BTreeMap;
use std::fs::File;
use std::path::{Path, PathBuf};

use serde::Deserialize;

/// What a database shows to a user, and the last transaction in it.
#[derive(Clone, Debug, Deserialize, PartialEq, Eq)]
pub struct GraphDigest {
    /// SHA-256 of graph and schema, hexadecimal; computed by the kernel fixture.
    pub digest: String,
    /// Id of the last committed transaction.
    pub transaction: u64,
    /// Nodes in use.
    pub nodes: u64,
    /// Relationships in use.
    pub relationships: u64,
    /// Indexes, those behind constraints included.
    pub indexes: u64,
    /// Constraints.
    pub constraints: u64,
}

/// Unpacks an archive, for example `standard`; each database becomes a directory below `directory`.
pub fn unpack(archive: &str, directory: &Path) {
    let path = stores().join(format!("{archive}.tar.gz"));
    let file = File::open(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    tar::Archive::new(flate2::read::GzDecoder::new(file)).unpack(directory).expect("a good archive");
}

/// Puts a database of an archive into the data directory of a home, its logs apart, and returns the two directories.
pub fn install(archive: &str, database: &str, home: &Path, name: &str) -> (PathBuf, PathBuf) {
    let scratch = tempfile::tempdir_in(home).expect("a directory");
    unpack(archive, scratch.path());
    let (store, logs) = (home.join("data/databases").join(name), home.join("data/transactions").join(name));
    for directory in [&store, &logs] {
        std::fs::create_dir_all(directory.parent().expect("data")).expect("a directory");
    }
    std::fs::rename(scratch.path().join(database), &store).expect("moved");
    std::fs::create_dir(&logs).expect("a directory");
    for entry in std::fs::read_dir(&store).expect("a directory") {
        let file = entry.expect("an entry").file_name().into_string().expect("UTF-8");
        if file.starts_with("neostore.transaction.db.") || file.starts_with("checkpoint.") {
            std::fs::rename(store.join(&file), logs.join(&file)).expect("moved");
        }
    }
    (store, logs)
}

/// The databases in each archive with their digests.
pub fn digests() -> BTreeMap<String, BTreeMap<String, GraphDigest>> {
    let file = File::open(stores().join("digests.json")).expect("the digests");
    serde_json::from_reader(file).expect("good digests")
}

/// Leaves the smallest set of logs that a complete store may have: a header, and a checkpoint behind it.
pub fn empty_logs(database: &Path) {
    for version in 0.. {
        let log = database.join(format!("neostore.transaction.db.{version}"));
        if !database.join(format!("neostore.transaction.db.{}", version + 1)).exists() {
            let header = std::fs::read(&log).expect("a log")[..64].to_vec();
            std::fs::write(&log, header).expect("written");
            break;
        }
        std::fs::remove_file(log).expect("deleted");
    }
    let path = database.join("checkpoint.0");
    let mut checkpoints = std::fs::read(&path).expect("checkpoints");
    let at = checkpoints.len() - 192;
    let (_, last) = checkpoints.split_at_mut(at);
    last[10..18].copy_from_slice(&64_u64.to_be_bytes());
    let checksum = crc32c::crc32c(&last[..188]);
    last[188..].copy_from_slice(&checksum.to_be_bytes());
    std::fs::write(path, checkpoints).expect("written");
}

fn stores() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/stores")
}
