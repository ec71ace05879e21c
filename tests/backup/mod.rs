//! Backups from our own server: whole ones, and what faults leave behind.

mod check;
mod failures;
mod faults;
mod full;
mod hostile;
mod incremental;
mod large_copy;
mod matrix;
mod real_stores;
mod recovery;
mod resume;
mod small_file_system;
mod verify;

use crate::support::memory_source::MemoryDatabase;

/// Whether a backup has the bytes of every file of a database, `neostore` apart, which is completed.
fn assert_copy(backup: &std::collections::BTreeMap<String, Vec<u8>>, database: &MemoryDatabase) {
    for (path, content) in database.atomic.iter().chain(&database.replayable) {
        if path != "neostore" {
            assert!(backup.get(path) == Some(content), "{path} differs");
        }
    }
    assert_eq!(backup.get("tools/database.id").unwrap(), database.id.to_string().as_bytes());
}
