//! The committed stores are what they claim to be, and `OpenBackup` and `CheckStore` tell the truth of them.

use crate::support::kernel::Kernel;
use crate::support::stores;

#[test]
fn the_kernel_opens_every_committed_store_with_its_recorded_digest() {
    let Some(kernel) = Kernel::find() else { return };
    for (archive, databases) in stores::digests() {
        let directory = tempfile::tempdir().expect("a directory");
        stores::unpack(&archive, directory.path());
        for (name, digest) in databases {
            let opened = kernel.open_backup(&directory.path().join(&name));
            let crashed = archive == "crashed";
            assert_eq!(opened.digest, digest, "{archive} {name}: {:?}", opened.remarks);
            assert_eq!(opened.recovered, crashed, "{archive} {name}: {:?}", opened.remarks);
            assert_eq!(opened.remarks.is_empty(), !crashed, "{archive} {name}: {:?}", opened.remarks);
            let check = opened.check;
            assert!(check.consistent && check.warnings == 0, "{archive} {name}: {}", check.summary);
        }
    }
}

#[test]
fn the_kernel_sees_a_changed_record() {
    let Some(kernel) = Kernel::find() else { return };
    let directory = tempfile::tempdir().expect("a directory");
    stores::unpack("standard", directory.path());
    let nodes = directory.path().join("neo4j/neostore.nodestore.db");
    let mut bytes = std::fs::read(&nodes).expect("the nodes");
    // The next relationship of node 2, in records of 15 bytes.
    bytes[2 * 15 + 4] ^= 1;
    std::fs::write(&nodes, bytes).expect("changed");
    let checked = kernel.check(&directory.path().join("neo4j"));
    assert!(!checked.consistent, "{}", checked.summary);
}
