//! Recoveries of ours.

use std::path::Path;

use neo4j_admin::io::disk::SharedDisk;
use neo4j_admin::recovery::{Outcome, Recovered, Recovery, RecoveryError, Silent};
use neo4j_admin::store::id::TransactionId;
use neo4j_admin::store::layout::DatabaseLayout;

use super::faulty_disk::FaultyDisk;

/// As a backup does it by default: a small page cache, all of the log.
pub fn recovery(directory: &Path, disk: SharedDisk) -> Recovery {
    Recovery {
        layout: DatabaseLayout::flat(directory),
        disk,
        page_cache: 8 << 20,
        threads: 2,
        retention: None,
        until: None,
        required: None,
        fail_on_corrupted: true,
        force: false,
    }
}

/// Recovers all of the log, or the transactions below `until`.
pub fn recover(directory: &Path, until: Option<u64>) -> Recovered {
    let mut recovery = recovery(directory, FaultyDisk::sound().shared());
    recovery.until = until.map(|id| TransactionId(id as i64));
    match run(&recovery) {
        Ok(Outcome::Recovered(recovered)) => recovered,
        other => panic!("{}: {other:?}", directory.display()),
    }
}

/// Runs a recovery that tells nobody.
pub fn run(recovery: &Recovery) -> Result<Outcome, RecoveryError> {
    recovery.run(&Silent)
}
