//! Faults at every step: the earlier backup stays, or the new one is whole.
//!
//! By default each step meets one kind of fault, with `NEO4J_ADMIN_TEST_EVERY_STOP` set all of them.

use std::collections::BTreeMap;
use std::io::ErrorKind;

use super::assert_copy;
use crate::support::backup_run::{BackupRun, not_continuable};
use crate::support::faulty_disk::FaultyDisk;
use crate::support::faulty_network::{Fault, FaultyNetwork};
use crate::support::random::is_thorough;
use crate::support::serving::{Serving, dialer};
use crate::support::small_store;

type Backup = BTreeMap<String, Vec<u8>>;

/// The bytes of a backup of the small database that a full copy is to replace.
fn backup_of(server: &Serving) -> Backup {
    let run = BackupRun::new();
    run.back_up(server.dialer()).unwrap();
    not_continuable(run.contents("neo4j"))
}

/// Runs a backup over an earlier one through a network with a fault. Returns whether it succeeded.
fn disturbed(old: &Backup, server: &Serving, fault: Fault) -> bool {
    let run = BackupRun::over(old);
    let network = FaultyNetwork::before(server.address, fault);
    let result = run.job_at_once(dialer(network.address)).back_up("neo4j");
    assert_eq!(run.names(), ["neo4j"], "{fault:?}: {result:?}");
    let now = run.contents("neo4j");
    if result.is_ok() {
        assert_copy(&now, &small_store::database("neo4j", 7, 2));
        let log = "neostore.transaction.db.12";
        assert!(now[log] == old[log], "{fault:?}");
    } else {
        assert!(now == *old, "{fault:?}: {result:?}");
    }
    result.is_ok()
}

#[test]
fn a_connection_cut_after_any_frame_leaves_the_old_backup_or_a_whole_new_one() {
    let old = backup_of(&Serving::start(small_store::source(1)));
    let later = Serving::start(small_store::source(2));
    let undisturbed = FaultyNetwork::before(later.address, Fault::None);
    BackupRun::new().job_at_once(dialer(undisturbed.address)).back_up("neo4j").unwrap();
    let frames = undisturbed.frames();
    assert!(frames > 100, "{frames}");
    let (mut recovered, mut failed) = (0, 0);
    for frame in 0..frames {
        let faults = [Fault::CutOnce(frame), Fault::CutForever(frame), Fault::CutInside(frame)];
        for (kind, fault) in faults.into_iter().enumerate() {
            if !is_thorough() && frame % faults.len() != kind {
                continue;
            }
            if disturbed(&old, &later, fault) {
                recovered += 1;
            } else {
                failed += 1;
            }
        }
    }
    // Store files and transactions are asked for again; what comes before is not.
    let (all, least) = (recovered + failed, if is_thorough() { frames } else { frames / 4 });
    assert!(recovered > least && failed > least, "{recovered} recovered, {failed} failed of {all}");
}

#[test]
fn every_failing_step_at_the_disk_leaves_the_old_backup_or_a_whole_new_one() {
    let old = backup_of(&Serving::start(small_store::source(1)));
    let later = Serving::start(small_store::source(2));
    let count = FaultyDisk::sound();
    let back_up = |run: &BackupRun, disk: &std::sync::Arc<FaultyDisk>| {
        let mut job = run.job(later.dialer());
        job.disk = disk.shared();
        job.back_up("neo4j")
    };
    back_up(&BackupRun::over(&old), &count).unwrap();
    let steps = count.steps();
    assert!(steps > 100, "{steps}");
    for (number, kind) in [ErrorKind::StorageFull, ErrorKind::Other].into_iter().enumerate() {
        // Connections race, so the number of steps varies a little: until a run meets no failure.
        for step in (0..steps).filter(|step| is_thorough() || step % 2 == number) {
            let run = BackupRun::over(&old);
            let disk = FaultyDisk::failing_at(step, kind);
            let result = back_up(&run, &disk);
            let Some((action, path)) = disk.failed() else {
                assert!(result.is_ok());
                continue;
            };
            let told = format!("{action} {}: {result:?} {:?}", path.display(), run.told.lines());
            let mut now = run.contents("neo4j");
            now.remove("database_lock");
            if now == old {
                assert!(result.is_err(), "{told}");
            } else {
                assert_copy(&now, &small_store::database("neo4j", 7, 2));
            }
            // Whatever is left is named.
            for name in run.names().iter().filter(|name| *name != "neo4j") {
                let named = run.path(name).display().to_string();
                let error = result.as_ref().err().map(ToString::to_string).unwrap_or_default();
                assert!(error.contains(&named) || run.told.contains(&named), "{name} is left: {told}");
            }
            // And the next run needs no help.
            run.back_up(later.dialer()).unwrap();
            assert_copy(&run.contents("neo4j"), &small_store::database("neo4j", 7, 2));
        }
    }
}
