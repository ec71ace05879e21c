//! Full copies that are cut off and continued.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use neo4j_admin::backup::BackupError;
use neo4j_admin::backup::copy_state::CopyState;
use neo4j_admin::backup::progress::{Event, Progress};
use neo4j_admin::backup::stop::{Signal, Stop};
use neo4j_admin::catchup::Dialer;
use neo4j_admin::store::id::TransactionId;
use neo4j_admin::store::neostore::Neostore;

use super::assert_copy;
use crate::support::backup_run::BackupRun;
use crate::support::faulty_network::{Fault, FaultyNetwork};
use crate::support::live_source::{Asked, LiveSource};
use crate::support::random::is_thorough;
use crate::support::serving::{Serving, dialer};
use crate::support::small_store;

/// A server at transaction 8.
fn server() -> (LiveSource, Serving) {
    let source = LiveSource::new(small_store::source(1));
    (source.clone(), Serving::start(source))
}

/// The complete files of the unfinished copy, by the state of it.
fn recorded(run: &BackupRun) -> Vec<String> {
    let state = CopyState::read(&run.path("neo4j.tmp.0")).unwrap().unwrap();
    let mut names: Vec<_> = state.files.into_iter().map(|file| file.name).collect();
    names.sort();
    names
}

/// Cuts a copy off behind a frame, for good. Returns the files that had come as a whole; `None`: nothing was missing.
fn cut_off(run: &BackupRun, server: &Serving, frame: usize) -> Option<Vec<String>> {
    let network = FaultyNetwork::before(server.address, Fault::CutForever(frame));
    let cut = back_up_by_one_connection(run, dialer(network.address)).is_err();
    cut.then(|| network.complete())
}

fn back_up_by_one_connection(run: &BackupRun, dialer: Dialer) -> Result<(), BackupError> {
    let mut job = run.job(dialer);
    job.settings.retries.connections = 1;
    job.back_up("neo4j").map(drop)
}

#[test]
fn a_copy_that_was_cut_anywhere_is_continued_with_the_files_that_it_lacks() {
    let (mut sealed, mut kept, mut received) = (0, 0, 0);
    // Every other frame: a message has two, and a file an odd number.
    for frame in (0..).step_by(if is_thorough() { 1 } else { 2 }) {
        let (source, server) = server();
        let run = BackupRun::new();
        let Some(came) = cut_off(&run, &server, frame) else { break };
        let state = CopyState::read(&run.path("neo4j.tmp.0")).unwrap_or_default();
        let complete = if state.is_some() { recorded(&run) } else { Vec::new() };
        source.take_asked();
        source.commit_to(8 + i64::try_from(frame % 3).unwrap());
        back_up_by_one_connection(&run, server.dialer()).unwrap();
        let asked = source.take_asked();
        let prepared = asked.contains(&Asked::Prepare);
        let told = format!("frame {frame}: {:#?}", run.told.lines());
        // The metadata store is the last file of each run.
        let again = asked.iter().filter(|asked| matches!(asked, Asked::File(name) if came.contains(name)));
        let again: Vec<_> = again.filter(|asked| **asked != Asked::File("neostore".to_owned())).collect();
        assert!(again.is_empty(), "{again:?} had come: {told}");
        match &state {
            None => assert!(prepared && run.names() == ["neo4j"], "{told}"),
            Some(state) => {
                assert!(!prepared, "{told}");
                assert!(run.told.contains("stays, the next run can continue it"), "{told}");
                let fetched: Vec<_> = small_store::STORE_FILES
                    .iter()
                    .filter(|name| asked.contains(&Asked::File((**name).to_owned())))
                    .collect();
                sealed += 1;
                kept += complete.len();
                if state.received.is_some() {
                    received += 1;
                    assert!(fetched.is_empty(), "{told}");
                } else {
                    assert_eq!(fetched.len() + complete.len(), 15, "{told}");
                    assert!(fetched.contains(&&"neostore"), "{told}");
                    assert!(!complete.iter().any(|name| fetched.contains(&&name.as_str())), "{told}");
                }
            }
        }
        assert_eq!(run.names(), ["neo4j"], "{told}");
        let backup = run.contents("neo4j");
        assert_copy(&backup, &small_store::database("neo4j", 7, 1));
        assert!(!backup.contains_key("tools/copy-state.toml"));
        let last = Neostore::read(&run.path("neo4j/neostore")).unwrap().last_transaction().unwrap();
        assert_eq!(last, TransactionId(8 + i64::try_from(frame % 3).unwrap()), "{told}");
    }
    assert!(sealed > 15 && kept > 50, "{sealed} sealed with {kept} files, {received} complete");
}

/// Ends a run when so many files have come.
struct Ending {
    left: AtomicUsize,
    stop: Stop,
}

impl Progress for Ending {
    fn report(&self, event: &Event) {
        if matches!(event, Event::StoreFileFinished(_)) && self.left.fetch_sub(1, Ordering::SeqCst) == 1 {
            self.stop.request(Signal::Terminate);
        }
    }
}

#[test]
fn a_copy_that_a_signal_ended_is_continued_with_the_files_that_it_lacks() {
    let mut kept = 0;
    for left in 1..small_store::STORE_FILES.len() * 2 {
        let (source, server) = server();
        let run = BackupRun::new();
        let mut job = run.job(server.dialer());
        job.settings.retries.connections = 1;
        job.progress = Arc::new(Ending { left: AtomicUsize::new(left), stop: job.stop.clone() });
        if !matches!(job.back_up("neo4j"), Err(BackupError::Interrupted(Signal::Terminate))) {
            // Fewer files than that came.
            break;
        }
        let mut came: Vec<_> =
            source.take_asked().into_iter().filter(|asked| matches!(asked, Asked::File(_))).collect();
        // The next file is asked for when one is complete.
        came.pop();
        back_up_by_one_connection(&run, server.dialer()).unwrap();
        let asked = source.take_asked();
        assert!(!came.iter().any(|came| asked.contains(came)), "{came:?} had come, {asked:?} was asked for");
        assert_copy(&run.contents("neo4j"), &small_store::database("neo4j", 7, 1));
        kept += came.len();
    }
    assert!(kept > 50, "{kept}");
}

/// A copy of which some files are recorded, and what has to be there for that.
fn half_a_copy() -> (LiveSource, Serving, BackupRun, Vec<String>) {
    let (source, server) = server();
    for frame in 60.. {
        let run = BackupRun::new();
        cut_off(&run, &server, frame).unwrap();
        let complete = recorded(&run);
        if complete.len() > 3 {
            source.take_asked();
            return (source, server, run, complete);
        }
    }
    unreachable!()
}

#[test]
fn a_file_that_was_changed_meanwhile_is_fetched_again() {
    let (source, server, run, complete) = half_a_copy();
    let (changed, deleted) = (&complete[1], &complete[2]);
    let path = run.path("neo4j.tmp.0").join(changed);
    let mut content = std::fs::read(&path).unwrap();
    if content.is_empty() {
        content.push(0);
    } else {
        content[0] ^= 1;
    }
    std::fs::write(path, content).unwrap();
    std::fs::remove_file(run.path("neo4j.tmp.0").join(deleted)).unwrap();
    std::fs::write(run.path("neo4j.tmp.0/foreign"), "").unwrap();
    run.back_up(server.dialer()).unwrap();
    let fetched = source.take_files();
    assert!(fetched.contains(changed) && fetched.contains(deleted) && !fetched.contains(&complete[0]));
    assert_copy(&run.contents("neo4j"), &small_store::database("neo4j", 7, 1));
    assert!(!run.path("neo4j/foreign").exists());
}

/// Changes the unfinished copy, or the server.
type Arrange<'a> = &'a dyn Fn(&BackupRun, &LiveSource);

#[test]
fn a_copy_that_can_not_be_continued_is_named_and_a_new_one_is_made() {
    let arrangements: [(Arrange<'_>, &str); 5] = [
        (&|_, source| source.prune_below(7), "the server has deleted transaction"),
        (
            &|run, _| std::fs::remove_file(run.path("neo4j.tmp.0/neostore.counts.db")).unwrap(),
            "the file 'neostore.counts.db' is not what was received",
        ),
        (
            &|_, source| source.change(|database| database.transactions.truncate(6)),
            "lags behind, or it was set back",
        ),
        (
            &|_, source| {
                source.change(|database| {
                    // The previous checksum of the start entry of transaction 8.
                    let (_, bytes) = database.transactions.last_mut().unwrap();
                    bytes[18] ^= 1;
                });
            },
            "transaction 8 of the server is another one than before",
        ),
        (
            &|run, _| {
                std::fs::write(run.path("neo4j.tmp.0/tools/copy-state.toml"), "[backup]").unwrap();
            },
            "was left by an earlier run: an unfinished copy",
        ),
    ];
    for (arrange, reason) in arrangements {
        for cleanup in [false, true] {
            let (source, server, run, _) = half_a_copy();
            arrange(&run, &source);
            source.change(|database| {
                let checkpoint = database.transactions.last().unwrap().0;
                database.checkpoint = checkpoint.min(TransactionId(7));
            });
            let mut job = run.job(server.dialer());
            job.cleanup = cleanup;
            job.back_up("neo4j").unwrap();
            assert!(run.told.contains(reason), "{reason}: {:#?}", run.told.lines());
            assert!(source.take_asked().contains(&Asked::Prepare), "{reason}");
            let left: &[&str] = if cleanup { &["neo4j"] } else { &["neo4j", "neo4j.tmp.0"] };
            assert_eq!(run.names(), left, "{reason}");
            assert!(run.told.contains(&format!("'{}' was left", run.path("neo4j.tmp.0").display())));
            assert_copy(&run.contents("neo4j"), &small_store::database("neo4j", 7, 1));
        }
    }
}

#[test]
fn nothing_is_continued_that_is_of_another_store() {
    let (_, _, run, _) = half_a_copy();
    let mut other = small_store::source(1);
    other.databases[0] = small_store::database("neo4j", 8, 1);
    run.back_up(Serving::start(other).dialer()).unwrap();
    assert_eq!(run.names(), ["neo4j", "neo4j.tmp.0"]);
    assert!(run.told.contains("an unfinished copy, delete it"));
}

#[test]
fn without_resume_a_copy_begins_anew_and_nothing_is_kept_of_it() {
    let (source, server, run, _) = half_a_copy();
    run.job_at_once(server.dialer()).back_up("neo4j").unwrap();
    assert!(source.take_asked().contains(&Asked::Prepare));
    assert_eq!(run.names(), ["neo4j", "neo4j.tmp.0"]);

    let run = BackupRun::new();
    let network = FaultyNetwork::before(server.address, Fault::CutForever(80));
    assert!(run.job_at_once(dialer(network.address)).back_up("neo4j").is_err());
    assert!(run.names().is_empty());
}

#[test]
fn a_copy_that_an_incremental_made_needless_is_named() {
    let (source, server) = server();
    let run = BackupRun::new();
    run.back_up(server.dialer()).unwrap();
    let whole = run.contents("neo4j");
    let checkpoint = run.path("neo4j/checkpoint.0");
    std::fs::remove_file(&checkpoint).unwrap();
    for frame in 60.. {
        cut_off(&run, &server, frame).unwrap();
        if CopyState::read(&run.path("neo4j.tmp.0")).is_ok_and(|state| state.is_some()) {
            break;
        }
    }
    std::fs::write(checkpoint, &whole["checkpoint.0"]).unwrap();
    source.commit_to(9);
    source.take_asked();
    run.back_up(server.dialer()).unwrap();
    assert_eq!(source.take_asked(), [Asked::Sent(TransactionId(9))]);
    assert_eq!(run.names(), ["neo4j", "neo4j.tmp.0"]);
    assert!(run.told.contains("neo4j.tmp.0' was left by an earlier run: an unfinished copy, delete it"));
}
