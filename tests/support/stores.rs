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

/// The databases in each archive with their digests.
pub fn digests() -> BTreeMap<String, BTreeMap<String, GraphDigest>> {
    let file = File::open(stores().join("digests.json")).expect("the digests");
    serde_json::from_reader(file).expect("good digests")
}

fn stores() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/stores")
}
