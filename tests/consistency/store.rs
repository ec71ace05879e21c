//! Stores in memory that are written out, damaged and checked.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

use neo4j_admin::consistency::{Check, CheckError, CheckOptions, CheckProgress, Unwatched, Verdict};
use neo4j_admin::io::disk::OsDisk;
use neo4j_admin::store::layout::DatabaseLayout;
use parking_lot::Mutex;

/// The files of a store by their paths.
pub type Files = BTreeMap<PathBuf, Vec<u8>>;

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

/// Writes files below a directory.
pub fn write(files: &Files, directory: &Path) {
    for (path, bytes) in files {
        let path = directory.join(path);
        std::fs::create_dir_all(path.parent().expect("a directory")).expect("a directory");
        std::fs::write(path, bytes).expect("a file");
    }
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

/// All files below a directory.
pub fn read(directory: &Path) -> Files {
    let mut files = Files::new();
    read_below(directory, Path::new(""), &mut files);
    files
}

fn read_below(root: &Path, below: &Path, files: &mut Files) {
    for entry in std::fs::read_dir(root.join(below)).expect("a directory") {
        let entry = entry.expect("an entry");
        let path = below.join(entry.file_name());
        if entry.path().is_dir() {
            read_below(root, &path, files);
        } else {
            files.insert(path, std::fs::read(entry.path()).expect("a file"));
        }
    }
}
