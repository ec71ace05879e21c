//! Committed texts that a run must reproduce.
//!
//! `NEO4J_ADMIN_GOLDEN=write cargo test` writes them anew; the difference is for a person to judge.

use std::fs;
use std::path::{Path, PathBuf};

/// Where they are.
pub fn directory() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden")
}

/// Compares `text` with the file, or writes the file.
///
/// # Panics
/// When they differ; the message has the first line that does.
pub fn compare(file: &Path, text: &str) {
    if std::env::var_os("NEO4J_ADMIN_GOLDEN").is_some_and(|what| what == "write") {
        fs::create_dir_all(file.parent().expect("a directory")).expect("a directory");
        fs::write(file, text).expect("the file");
        return;
    }
    let committed = fs::read_to_string(file).unwrap_or_else(|error| panic!("{}: {error}", file.display()));
    for (number, (committed, line)) in committed.lines().zip(text.lines()).enumerate() {
        assert_eq!(line, committed, "{}:{}", file.display(), number + 1);
    }
    assert_eq!(text, committed, "{}", file.display());
}
