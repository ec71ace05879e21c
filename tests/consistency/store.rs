//! Stores in memory that are written out, damaged and checked.

use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

use neo4j_admin::consistency::{Check, CheckError, CheckOptions, CheckProgress, Unwatched, Verdict};
use neo4j_admin::io::disk::OsDisk;
use neo4j_admin::store::layout::DatabaseLayout;
use parking_lot::Mutex;

use crate::support::damage::Files;

/// The files in an archive of `fixtures`, for example `consistency/base-r`.
pub fn archive(name: &str) -> Files {
    let path = fixture(&format!("{name}.tar.gz"));
    let file = File::open(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    let mut archive = tar::Archive::new(flate2::read::GzDecoder::new(file));
    let mut files = Files::new();
    for entry in archive.entries().expect("an archive") {
        let mut entry = entry.expect("an entry");
        if entry.header().entry_type().is_file() {
            let path =
                entry.path().expect("a path").components().filter(|part| part.as_os_str() != ".").collect();
            let mut bytes = Vec::new();
            entry.read_to_end(&mut bytes).expect("a file");
            files.insert(path, bytes);
        }
    }
    files
}

/// A file of `fixtures`.
pub fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures").join(name)
}

/// Checks a store; the report goes to a directory of its own beside it.
pub fn check(store: &Path, options: &CheckOptions) -> Result<Verdict, CheckError> {
    checking(store, options).run(&Unwatched)
}

/// A check that two threads make.
pub fn checking(store: &Path, options: &CheckOptions) -> Check {
    let report_directory = store.parent().expect("a parent").join("report");
    Check {
        layout: DatabaseLayout::flat(store),
        disk: OsDisk::shared(),
        options: CheckOptions { report_directory, ..options.clone() },
        page_cache: 8 << 20,
        threads: 2,
    }
}

/// Keeps the entries of a report.
#[derive(Debug, Default)]
pub struct Entries(pub Mutex<Vec<(String, String)>>);

impl CheckProgress for Entries {
    fn entry(&self, level: neo4j_admin::consistency::Level, text: &str) {
        self.0.lock().push((level.to_string(), text.to_owned()));
    }
}
