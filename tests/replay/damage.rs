//! Damaged logs: the end of the log, or an error that says where; never a graph that never was.
//!
//! `NEO4J_ADMIN_TEST_DAMAGES` (default 40) is the number of bytes that are changed, and the number of lengths that the
//! log is cut to; as many as the log has bytes (some 45,000), or more: all of them.

use std::cell::Cell;
use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, OpenOptions};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use neo4j_admin::recovery::{Outcome, RecoveryError};
use neo4j_admin::store::id::TransactionId;
use neo4j_admin::txlog::files::LogFiles;
use neo4j_admin::txlog::reader::LogReader;
use neo4j_admin::txlog::tail::Tail;

use crate::support::digest;
use crate::support::faulty_disk::FaultyDisk;
use crate::support::images::copy_directory;
use crate::support::random::rounds;
use crate::support::recovery::{recover, recovery, run};
use crate::support::stores::{self, GraphDigest};

/// Bytes of the header of a log.
const HEADER: u64 = 64;

/// A crashed database and what it was after each of its transactions.
struct History {
    image: PathBuf,
    /// The log that the window is in, where in it it begins, and its size.
    log: String,
    begins: u64,
    ends: u64,
    /// By transaction; the first is the one of the checkpoint.
    states: BTreeMap<u64, GraphDigest>,
    scratch: tempfile::TempDir,
    /// Whether the copy must be made anew.
    copy_is_used: Cell<bool>,
}

impl History {
    fn new() -> Self {
        let scratch = tempfile::tempdir().expect("a directory");
        stores::unpack("crashed", scratch.path());
        let image = scratch.path().join("neo4j");
        let logs = LogFiles::list(&image).expect("logs");
        let position = Tail::find(&logs).expect("a tail").checkpoint.expect("a checkpoint").position;
        let mut reader = LogReader::open(&logs, position).expect("a log");
        let mut ids = Vec::new();
        let mut log_versions = BTreeSet::new();
        while let Some(logged) = reader.next_transaction().expect("a transaction") {
            ids.push(logged.transaction.id.0 as u64);
            log_versions.insert(reader.position().log_version);
        }
        let end = reader.position();
        assert_eq!(log_versions, BTreeSet::from([end.log_version]), "the window is in one file");
        // A checkpoint right behind a rotation stands at the end of the file before.
        let begins = if position.log_version == end.log_version { position.offset } else { 0 };
        let log = logs.path(end.log_version).file_name().expect("a name").to_str().expect("UTF-8").to_owned();
        let (states, copy_is_used) = (BTreeMap::new(), Cell::new(true));
        let mut history = Self { image, log, begins, ends: end.offset, states, scratch, copy_is_used };
        let last = *ids.last().expect("transactions");
        for until in ids.iter().copied().chain([last + 1]) {
            let copy = history.copy();
            recover(&copy, Some(until));
            history.states.insert(until - 1, digest::of(&copy));
        }
        assert_eq!(history.states[&last], stores::digests()["crashed"]["neo4j"]);
        history
    }

    /// One and the same place, made anew as far as anything in it may have changed.
    fn copy(&self) -> PathBuf {
        let copy = self.scratch.path().join("copy");
        if !self.copy_is_used.replace(true) {
            for damaged in [&self.log, "checkpoint.0"] {
                fs::copy(self.image.join(damaged), copy.join(damaged)).expect("copied");
            }
            return copy;
        }
        if copy.exists() {
            fs::remove_dir_all(&copy).expect("deleted");
        }
        copy_directory(&self.image, &copy);
        copy
    }

    /// Recovers what `damage` leaves of a copy; nothing of it may be lost if the store needs `required`.
    fn check(&self, what: &str, required: Option<u64>, damage: impl Fn(&Path)) -> Option<u64> {
        let copy = self.copy();
        damage(&copy);
        let mut recovery = recovery(&copy, FaultyDisk::sound().shared());
        recovery.required = required.map(|id| TransactionId(id as i64));
        match run(&recovery) {
            Ok(Outcome::Recovered(_) | Outcome::NotRequired) => {
                let found = digest::of(&copy);
                let expected = self.states.get(&found.transaction);
                assert_eq!(Some(&found), expected, "{what}: a graph that never was");
                assert!(required.is_none_or(|required| found.transaction >= required), "{what}: {found:?}");
                Some(found.transaction)
            }
            Err(error) => {
                self.assert_tells_where(&error, what);
                // Nothing is changed before the log was read; if it were, a later recovery would end in a wrong graph.
                self.copy_is_used
                    .set(!matches!(error, RecoveryError::Log(_) | RecoveryError::EndsTooEarly { .. }));
                None
            }
        }
    }

    /// The text of an error about the log names the file and the place in it.
    fn assert_tells_where(&self, error: &RecoveryError, what: &str) {
        let text = error.to_string();
        if let RecoveryError::Log(_) = error {
            assert!(text.contains(&self.log) || text.contains("checkpoint."), "{what}: {text}");
            let place = ["offset", "byte", "header"].iter().any(|place| text.contains(place));
            assert!(place, "{what}: {text}");
        }
        assert!(text.len() > 20, "{what}: {text}");
    }

    fn last(&self) -> u64 {
        *self.states.keys().next_back().expect("states")
    }

    /// That many places of the window, the same distance from each other.
    fn places(&self) -> impl Iterator<Item = u64> + use<> {
        let wanted = rounds("NEO4J_ADMIN_TEST_DAMAGES", 40) as u64;
        let (begins, ends) = (self.begins, self.ends);
        let step = ((ends - begins) / wanted).max(1);
        (begins..ends).step_by(step as usize)
    }
}

fn flip(file: &Path, at: u64, bits: u8) {
    let file = OpenOptions::new().read(true).write(true).open(file).expect("a file");
    let mut byte = [0];
    file.read_exact_at(&mut byte, at).expect("a byte");
    file.write_all_at(&[byte[0] ^ bits], at).expect("written");
}

#[test]
fn a_changed_byte_of_the_log_is_its_end_or_an_error_and_never_a_wrong_graph() {
    let history = History::new();
    let (mut errors, mut shorter) = (0, 0);
    for at in history.places() {
        let bits = 1 << (at % 8);
        let what = format!("byte {at} of {} changed", history.log);
        match history.check(&what, None, |copy| flip(&copy.join(&history.log), at, bits)) {
            None => errors += 1,
            Some(last) => shorter += u32::from(last < history.last()),
        }
        // With every transaction required, the same damage must be an error or do no harm.
        history.check(&what, Some(history.last()), |copy| flip(&copy.join(&history.log), at, 0xff));
    }
    assert!(errors > 0 && shorter + errors > 0, "{errors} errors, {shorter} shorter");
}

#[test]
fn a_log_that_was_cut_off_anywhere_recovers_to_its_last_whole_transaction() {
    let history = History::new();
    let mut seen = 0;
    for length in history.places() {
        let what = format!("{} cut to {length} bytes", history.log);
        let cut = |copy: &Path| {
            let file = OpenOptions::new().write(true).open(copy.join(&history.log)).expect("a log");
            file.set_len(length).expect("cut");
        };
        match history.check(&what, None, cut) {
            Some(last) => {
                assert!(last >= seen, "{what}: {last} after {seen}");
                seen = last;
            }
            None => assert!(length < HEADER, "{what}: an error"),
        }
        let last = history.check(&what, Some(history.last()), cut);
        assert_eq!(last, None, "{what}: the store may hold more");
    }
    assert!(seen > *history.states.keys().next().expect("states"), "{seen}");
}

#[test]
fn a_changed_byte_of_a_checkpoint_is_an_error_or_does_no_harm() {
    let history = History::new();
    let size = fs::metadata(history.image.join("checkpoint.0")).expect("checkpoints").len();
    let wanted = rounds("NEO4J_ADMIN_TEST_DAMAGES", 40) as u64;
    for at in (0..size).step_by((size / wanted).max(1) as usize) {
        let what = format!("byte {at} of checkpoint.0 changed");
        history.check(&what, Some(history.last()), |copy| flip(&copy.join("checkpoint.0"), at, 0x11));
    }
}
