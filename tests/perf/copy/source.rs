//! The store that is copied.

use std::fs::{self, File, OpenOptions};
use std::io::Write;
use std::path::{Path, PathBuf};

/// A real store with so many bytes behind the records of its string store that it has about `bytes`. Returns the
/// directory that holds the database directory.
pub fn make(work: &Path, bytes: u64) -> PathBuf {
    let directory = work.join("source");
    let archive = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/stores/standard.tar.gz");
    let archive = File::open(archive).expect("the fixture");
    tar::Archive::new(flate2::read::GzDecoder::new(archive)).unpack(&directory).expect("a good fixture");

    let strings = directory.join("neo4j/neostore.propertystore.db.strings");
    let mut file = OpenOptions::new().append(true).open(strings).expect("the string store");
    let mut page = vec![0; 1 << 20];
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    for _ in 0..bytes / page.len() as u64 {
        for word in page.chunks_exact_mut(8) {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            word.copy_from_slice(&state.to_be_bytes());
        }
        file.write_all(&page).expect("space for the store");
    }
    file.sync_all().expect("space for the store");
    directory
}

/// Deletes a directory that may not be there.
pub fn clear(directory: &Path) {
    if directory.exists() {
        fs::remove_dir_all(directory).expect("a directory of this bench");
    }
}
