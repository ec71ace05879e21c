//! A recovery that ends at any step, and is run again.
//!
//! `NEO4J_ADMIN_TEST_STOPS` (default 12) is the number of places at which it is stopped, and of those at which it is killed.

use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::support::digest;
use crate::support::faulty_disk::FaultyDisk;
use crate::support::images::copy_directory;
use crate::support::random::{Random, rounds};
use crate::support::recovery::{recovery, run};
use crate::support::stores::{self, GraphDigest};

/// A database that needs recovery, and what a recovery without a disturbance makes of it.
struct Crashed {
    scratch: tempfile::TempDir,
    image: PathBuf,
    expected: GraphDigest,
    /// Changes of the file system in a recovery.
    steps: usize,
}

impl Crashed {
    fn new() -> Self {
        let scratch = tempfile::tempdir().expect("a directory");
        stores::unpack("crashed", scratch.path());
        let image = scratch.path().join("neo4j");
        let whole = scratch.path().join("whole");
        copy_directory(&image, &whole);
        let disk = FaultyDisk::sound();
        run(&recovery(&whole, disk.shared())).expect("a recovery");
        let expected = digest::of(&whole);
        assert_eq!(expected, stores::digests()["crashed"]["neo4j"]);
        Self { scratch, image, expected, steps: disk.steps() }
    }

    /// Recovers copies that `disturb` has left somewhere in the middle.
    fn assert_ends_the_same(&self, seed: u64, disturb: impl Fn(&Path, usize)) {
        let mut random = Random(seed);
        for round in 0..rounds("NEO4J_ADMIN_TEST_STOPS", 12) {
            let copy = self.scratch.path().join(format!("copy{round}"));
            copy_directory(&self.image, &copy);
            let mut stops = Vec::new();
            // Some twice: what the second run finds was left by the first.
            for _ in 0..=random.below(2) {
                let stop = random.below(self.steps);
                stops.push(stop);
                disturb(&copy, stop);
            }
            let what = format!("ended at {stops:?} of {} steps", self.steps);
            run(&recovery(&copy, FaultyDisk::sound().shared()))
                .unwrap_or_else(|error| panic!("{what}: {error}"));
            assert_eq!(digest::of(&copy), self.expected, "{what}");
            std::fs::remove_dir_all(copy).expect("deleted");
        }
    }
}

#[test]
fn a_recovery_that_was_stopped_anywhere_ends_the_same_when_it_is_run_again() {
    Crashed::new().assert_ends_the_same(5, |copy, stop| {
        // A stop behind the checkpoint is none.
        run(&recovery(copy, FaultyDisk::stopping_at(stop).shared())).ok();
    });
}

/// The test starts itself to have a process that can be killed.
#[test]
fn a_recovery_that_was_killed_anywhere_ends_the_same_when_it_is_run_again() {
    const NAME: &str =
        "replay::stopped::a_recovery_that_was_killed_anywhere_ends_the_same_when_it_is_run_again";
    const DIRECTORY: &str = "NEO4J_ADMIN_TEST_KILLED_DIRECTORY";
    const STOP: &str = "NEO4J_ADMIN_TEST_KILLED_STOP";
    const KILL: i32 = 9;
    if let Some(directory) = std::env::var_os(DIRECTORY) {
        let stop = std::env::var(STOP).expect(STOP).parse().expect(STOP);
        run(&recovery(Path::new(&directory), FaultyDisk::killing_at(stop).shared())).expect("a recovery");
        return;
    }
    Crashed::new().assert_ends_the_same(6, |copy, stop| {
        let mut child = Command::new(std::env::current_exe().expect("this program"));
        child.args(["--exact", NAME, "--nocapture"]).env(DIRECTORY, copy).env(STOP, stop.to_string());
        let status = child.output().expect("this program").status;
        assert!(status.signal() == Some(KILL) || status.success(), "{status}");
    });
}
