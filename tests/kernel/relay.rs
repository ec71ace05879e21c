//! Stores at rest, served by us and copied by us, opened by the real kernel.

use std::path::Path;

use neo4j_admin::serve::StoreDirectory;

use crate::support::backup_run::BackupRun;
use crate::support::kernel::{Kernel, Opened};
use crate::support::serving::Serving;
use crate::support::stores::{self, GraphDigest};

/// Copies every database below `source` with our server and our client and lets the kernel open the copies.
fn relayed(kernel: &Kernel, source: &Path, name: &str) -> Opened {
    let server = Serving::start(StoreDirectory::open(source).expect("a backup directory"));
    let run = BackupRun::new();
    let copy = run.job(server.dialer()).back_up(name).expect("a copy");
    kernel.open_backup(&copy)
}

fn assert_same(opened: &Opened, digest: &GraphDigest, what: &str) {
    assert_eq!(opened.digest, *digest, "{what}: {:#?}", opened.remarks);
    let check = &opened.check;
    assert!(check.consistent && check.warnings == 0, "{what}: {}", check.summary);
}

#[test]
fn a_relayed_backup_is_the_database_that_it_was_made_from() {
    let Some(kernel) = Kernel::find() else { return };
    for (archive, databases) in stores::digests() {
        if archive == "crashed" {
            continue;
        }
        let directory = tempfile::tempdir().expect("a directory");
        stores::unpack(&archive, directory.path());
        for (name, digest) in databases {
            let opened = relayed(kernel, directory.path(), &name);
            assert_same(&opened, &digest, &format!("{archive} {name}"));
        }
    }
}

#[test]
fn a_store_without_transactions_in_its_logs_is_relayed_whole() {
    let Some(kernel) = Kernel::find() else { return };
    let directory = tempfile::tempdir().expect("a directory");
    stores::unpack("aligned", directory.path());
    stores::empty_logs(&directory.path().join("neo4j"));
    let opened = relayed(kernel, directory.path(), "neo4j");
    assert_same(&opened, &stores::digests()["aligned"]["neo4j"], "aligned");
}
