//! Faults at every moment of a run, full and incremental, with and without an earlier backup: what is there is what was
//! there before or what the run would have made of it, and the next run needs no help.
//!
//! | Variable | Default | Meaning |
//! |---|---|---|
//! | `NEO4J_ADMIN_TEST_CRASHES` | 24 | moments of each kind of run; `0`: all, with ten kinds of losses at each |
//! | `NEO4J_ADMIN_TEST_KILLS` | 8 | processes that are killed at a random time, of each kind |

use std::collections::BTreeMap;
use std::time::Duration;

use neo4j_admin::catchup::Dialer;
use neo4j_admin::store::id::TransactionId;
use neo4j_admin::store::neostore::Neostore;
use neo4j_admin::txlog::LogPosition;
use neo4j_admin::txlog::files::LogFiles;
use neo4j_admin::txlog::reader::LogReader;

use rustix::io::Errno;

use super::assert_copy;
use crate::support::backup_run::{BackupRun, not_continuable};
use crate::support::faulty_disk::FaultyDisk;
use crate::support::faulty_network::{Fault, FaultyNetwork};
use crate::support::live_source::LiveSource;
use crate::support::power_cut::{Loss, PowerCut};
use crate::support::random::{Random, rounds};
use crate::support::serving::{Serving, dialer};
use crate::support::small_store;
use crate::support::tool::{Outcome, Tool};
use crate::support::transactions::transaction;

type Backup = BTreeMap<String, Vec<u8>>;

/// The last transaction of the server in the second run.
const LAST: i64 = 14;

/// What there is before a run, and so what kind of run it is.
#[derive(Clone, Debug)]
enum Before {
    Nothing,
    /// A backup that is to be replaced.
    Replaceable(Backup),
    /// A backup that is to be continued.
    Continuable(Backup),
}

impl Before {
    /// The three of them, and a server that has gone on. Transactions are so large that log files are full.
    fn all() -> (LiveSource, Serving, [Self; 3]) {
        let source = LiveSource::new(small_store::source(1));
        let server = Serving::start(source.clone());
        let run = BackupRun::new();
        run.back_up(server.dialer()).unwrap();
        let backup = run.contents("neo4j");
        source.change(|database| {
            let new = (9..=LAST).map(|id| (TransactionId(id), transaction(id, 3000 * (id % 3 + 1) as usize)));
            database.transactions.extend(new);
        });
        let replaceable = Self::Replaceable(not_continuable(backup.clone()));
        (source, server, [Self::Nothing, replaceable, Self::Continuable(backup)])
    }

    fn arrange(&self) -> BackupRun {
        match self {
            Self::Nothing => BackupRun::new(),
            Self::Replaceable(backup) | Self::Continuable(backup) => BackupRun::over(backup),
        }
    }

    /// Whether what is there is one of the states that a run may leave. `exact`: what was not forced is there or not,
    /// not in parts.
    fn check(&self, run: &BackupRun, exact: bool, told: &str) {
        let place = run.path("neo4j");
        if !place.join("neostore").exists() {
            assert!(matches!(self, Self::Nothing), "no backup any more: {told}");
            return;
        }
        let mut now = run.contents("neo4j");
        now.remove("database_lock");
        match self {
            Self::Replaceable(old) if now == *old => {}
            Self::Nothing | Self::Replaceable(_) => {
                assert_copy(&now, &small_store::database("neo4j", 7, 1));
                assert_eq!(logged(run), Some((5..=LAST).collect()), "{told}");
            }
            Self::Continuable(old) => {
                let own = |path: &str| {
                    ["neostore", "tools/manifest.toml"].contains(&path)
                        || path.starts_with("neostore.transaction.db.")
                };
                for (path, content) in old.iter().filter(|(path, _)| !own(path)) {
                    assert!(now.get(path) == Some(content), "{path}: {told}");
                }
                let known = Neostore::read(&place.join("neostore")).unwrap().last_transaction().unwrap().0;
                // Parts of what was not forced are for the next run.
                if let Some(ids) = logged(run) {
                    let last = *ids.last().unwrap();
                    assert_eq!(ids, (5..=last).collect::<Vec<_>>(), "{told}");
                    assert!((8..=LAST).contains(&last) && known <= last, "{known} {last}: {told}");
                } else {
                    assert!(!exact, "unreadable: {told}");
                }
            }
        }
    }

    /// The next run makes a whole backup and names what is left.
    fn check_next(&self, run: &BackupRun, server: Dialer, told: &str) {
        let left: Vec<_> = run.names().into_iter().filter(|name| name != "neo4j").collect();
        run.back_up(server).unwrap_or_else(|error| panic!("{error}: {told}"));
        assert_eq!(logged(run), Some((5..=LAST).collect()), "{told}");
        assert_copy(&run.contents("neo4j"), &small_store::database("neo4j", 7, 1));
        if let Self::Continuable(_) = self {
            assert!(!run.told.contains("A full copy is made"), "{:#?} {told}", run.told.lines());
        }
        for name in run.names().iter().filter(|name| *name != "neo4j") {
            assert!(left.contains(name) || name == "neo4j.err.0", "{name} is new: {told}");
            assert!(run.told.contains(&run.path(name).display().to_string()), "{name} is not named: {told}");
        }
    }
}

/// Ids in the logs of a backup; `None`: they can't be read to the end.
fn logged(run: &BackupRun) -> Option<Vec<i64>> {
    let files = LogFiles::list(&run.path("neo4j")).unwrap();
    let start = LogPosition { log_version: files.lowest()?, offset: 0 };
    let mut reader = LogReader::open(&files, start).ok()?;
    let mut ids = Vec::new();
    while let Some(logged) = reader.next_transaction().ok()? {
        ids.push(logged.transaction.id.0);
    }
    Some(ids)
}

/// Some of the moments of a run, the last ones included, which matter most.
fn moments(steps: usize) -> Vec<usize> {
    let wanted = rounds("NEO4J_ADMIN_TEST_CRASHES", 24);
    let every = if wanted == 0 { 1 } else { steps.div_ceil(wanted) };
    (0..=steps).filter(|step| step % every == 0 || (wanted > 0 && steps - step < 10)).collect()
}

#[test]
fn a_run_that_is_killed_before_any_step_leaves_a_backup_and_the_next_run_succeeds() {
    let (_source, server, all) = Before::all();
    for before in &all {
        let count = FaultyDisk::sound();
        let run = before.arrange();
        let mut job = run.job(server.dialer());
        job.disk = count.shared();
        job.back_up("neo4j").unwrap();
        for step in moments(count.steps()) {
            let run = before.arrange();
            let mut job = run.job(server.dialer());
            let disk = FaultyDisk::stopping_at(step);
            job.disk = disk.shared();
            let result = job.back_up("neo4j");
            let told = format!("killed before step {step}, {:?}: {result:?}", disk.failed());
            before.check(&run, true, &told);
            before.check_next(&run, server.dialer(), &told);
        }
    }
}

#[test]
fn a_loss_of_power_at_any_step_leaves_a_backup_and_the_next_run_succeeds() {
    let (_source, server, all) = Before::all();
    let thorough = rounds("NEO4J_ADMIN_TEST_CRASHES", 24) == 0;
    for before in &all {
        let run = before.arrange();
        let journal = PowerCut::below(&run.path("").components().collect::<std::path::PathBuf>());
        let mut job = run.job(server.dialer());
        job.disk = journal.shared();
        job.back_up("neo4j").unwrap();
        for step in moments(journal.steps()) {
            let seeds = if thorough { 8 } else { 1 };
            let some = (0..seeds).map(|seed| Loss::Some(seed * 1_000_003 + step as u64));
            for loss in [Loss::Everything, Loss::Nothing].into_iter().chain(some) {
                let after = BackupRun::new();
                journal.lay_out(step, loss, &after.path(""));
                let told = format!("{loss:?} after step {step} of {}", journal.steps());
                before.check(&after, !matches!(loss, Loss::Some(_)), &told);
                before.check_next(&after, server.dialer(), &told);
            }
        }
    }
}

#[test]
fn an_error_of_the_system_at_any_step_leaves_a_backup_and_the_next_run_succeeds() {
    let (_source, server, all) = Before::all();
    for before in &all {
        let run = before.arrange();
        let count = FaultyDisk::sound();
        let mut job = run.job(server.dialer());
        job.disk = count.shared();
        job.back_up("neo4j").unwrap();
        let errors = [
            (Errno::NOSPC, false),
            (Errno::NOSPC, true),
            (Errno::IO, false),
            (Errno::MFILE, false),
            (Errno::ROFS, true),
        ];
        let thorough = rounds("NEO4J_ADMIN_TEST_CRASHES", 24) == 0;
        for (kind, (number, for_good)) in errors.into_iter().enumerate() {
            for (moment, step) in moments(count.steps()).into_iter().enumerate() {
                // By default each moment has one of the errors.
                if !thorough && moment % errors.len() != kind {
                    continue;
                }
                let run = before.arrange();
                let disk = FaultyDisk::failing_with(step, number, for_good);
                let mut job = run.job(server.dialer());
                job.disk = disk.shared();
                let result = job.back_up("neo4j");
                let told = format!("{number} ({for_good}) in step {step}, {:?}: {result:?}", disk.failed());
                before.check(&run, true, &told);
                before.check_next(&run, server.dialer(), &told);
            }
        }
    }
}

#[test]
fn a_fault_of_the_network_at_any_frame_of_an_incremental_costs_nothing_that_was_there() {
    let (_source, server, [.., before]) = Before::all();
    let undisturbed = FaultyNetwork::before(server.address, Fault::None);
    before.arrange().back_up(dialer(undisturbed.address)).unwrap();
    let frames = undisturbed.frames();
    assert!(frames > 10, "{frames}");
    let (mut good, mut failed) = (0, 0);
    for frame in 0..=frames {
        for fault in [
            Fault::CutOnce(frame),
            Fault::CutForever(frame),
            Fault::CutInside(frame),
            Fault::Silence(frame),
            Fault::Length(frame, 7),
            Fault::Length(frame, i32::MAX),
        ] {
            let run = before.arrange();
            let network = FaultyNetwork::before(server.address, fault);
            let mut job = run.job(dialer(network.address));
            let waiting = Duration::from_millis(100);
            job.servers[0].timeouts.handshake = waiting;
            job.servers[0].timeouts.inactivity = waiting;
            let result = job.back_up("neo4j");
            let told = format!("{fault:?}: {result:?}");
            if result.is_ok() {
                good += 1;
            } else {
                failed += 1;
            }
            assert!(!run.told.contains("A full copy is made"), "{told}");
            before.check(&run, true, &told);
            before.check_next(&run, server.dialer(), &told);
        }
    }
    assert!(good > 5 && failed > frames, "{good} good, {failed} failed");
}

#[test]
fn a_process_that_is_killed_at_any_time_leaves_a_backup_and_the_next_run_succeeds() {
    let (_source, server, all) = Before::all();
    let tool = Tool::new("");
    let mut random = Random(0x6b69_6c6c);
    for before in &all {
        for round in 0..rounds("NEO4J_ADMIN_TEST_KILLS", 8) {
            let run = before.arrange();
            let directory = format!("--backup-dir={}", run.path("").display());
            let from = format!("--from={}", server.address);
            let mut child =
                tool.command(["backup", &directory, &from, "--prepare-restore=false"]).spawn().unwrap();
            let after = Duration::from_micros(random.below(60_000) as u64);
            std::thread::sleep(after);
            child.kill().unwrap();
            let outcome = Outcome::from(child.wait_with_output().unwrap());
            let told = format!("round {round}: killed after {after:?}: {outcome}");
            before.check(&run, true, &told);
            before.check_next(&run, server.dialer(), &told);
        }
    }
}

#[test]
fn of_two_runs_at_once_one_works_and_the_other_says_so_or_comes_later() {
    let (_source, server, all) = Before::all();
    let tool = Tool::new("");
    for before in &all {
        let run = before.arrange();
        let directory = format!("--backup-dir={}", run.path("").display());
        let from = format!("--from={}", server.address);
        let words = ["backup", &directory, &from, "--prepare-restore=false"];
        let children: Vec<_> = (0..2).map(|_| tool.command(words).spawn().unwrap()).collect();
        let outcomes: Vec<_> =
            children.into_iter().map(|child| Outcome::from(child.wait_with_output().unwrap())).collect();
        assert!(outcomes.iter().any(|outcome| outcome.code == Some(0)), "{} {}", outcomes[0], outcomes[1]);
        for outcome in outcomes.iter().filter(|outcome| outcome.code != Some(0)) {
            assert!(outcome.stderr.contains("Another run is working on"), "{outcome}");
        }
        assert_eq!(run.names(), ["neo4j"]);
        before.check_next(&run, server.dialer(), "after two runs");
    }
}
