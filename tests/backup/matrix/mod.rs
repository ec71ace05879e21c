//! Faults at every moment of a run, full and incremental, with and without an earlier backup: what is there is what was
//! there before or what the run would have made of it, and the next run needs no help.
//!
//! | Variable | Default | Meaning |
//! |---|---|---|
//! | `NEO4J_ADMIN_TEST_EVERY_STOP` | not set | if set: every step and frame, with all kinds of faults at each |
//! | `NEO4J_ADMIN_TEST_KILLS` | 2 | processes that are killed at a random time, of each kind |

pub mod real;
pub mod scene;
mod small;

use std::time::{Duration, Instant};

use neo4j_admin::backup::job::Job;
use rustix::io::Errno;

use self::real::Real;
use self::scene::{Before, Scene};
use self::small::Small;
use crate::support::backup_run::BackupRun;
use crate::support::faulty_disk::FaultyDisk;
use crate::support::faulty_network::{Fault, FaultyNetwork};
use crate::support::power_cut::{Loss, PowerCut};
use crate::support::random::{Random, is_thorough, rounds};
use crate::support::serving::dialer;
use crate::support::tool::{Outcome, Tool};

/// Moments of a run that are tried by default, besides the last ones.
const MOMENTS: usize = 8;

fn scenes() -> Vec<Box<dyn Scene>> {
    let boxed = |scene| -> Box<dyn Scene> { scene };
    let small = Small::all().into_iter().map(|scene| boxed(Box::new(scene)));
    let real = Real::all().into_iter().map(|scene| boxed(Box::new(scene)));
    small.chain(real).collect()
}

/// Some of the moments of a run, the last ones included, which matter most.
fn moments(steps: usize, scene: &dyn Scene) -> Vec<usize> {
    if is_thorough() {
        return (0..=steps).collect();
    }
    let wanted = MOMENTS / scene.share();
    let last = (6 / scene.share()).max(1);
    (0..=steps).filter(|step| step % steps.div_ceil(wanted) == 0 || steps - step < last).collect()
}

/// The disk steps of a run without a fault.
fn steps(scene: &dyn Scene) -> usize {
    let count = FaultyDisk::sound();
    let run = scene.arrange();
    let job = Job { disk: count.shared(), ..scene.job(&run, scene.server().dialer()) };
    job.back_up("neo4j").unwrap();
    scene.check_whole(&run, "without a fault");
    count.steps()
}

#[test]
fn a_run_that_is_killed_before_any_step_leaves_a_backup_and_the_next_run_succeeds() {
    for scene in scenes() {
        let scene = &*scene;
        for step in moments(steps(scene), scene) {
            let run = scene.arrange();
            let disk = FaultyDisk::stopping_at(step);
            let job = Job { disk: disk.shared(), ..scene.job(&run, scene.server().dialer()) };
            let result = job.back_up("neo4j");
            let told =
                format!("{}: killed before step {step}, {:?}: {result:?}", scene.name(), disk.failed());
            scene.check(&run, true, &told);
            scene.check_next(&run, &told);
        }
    }
}

#[test]
fn a_loss_of_power_at_any_step_leaves_a_backup_and_the_next_run_succeeds() {
    for scene in scenes() {
        let scene = &*scene;
        let run = scene.arrange();
        let journal = PowerCut::below(&run.path("").components().collect::<std::path::PathBuf>());
        let job = Job { disk: journal.shared(), ..scene.job(&run, scene.server().dialer()) };
        job.back_up("neo4j").unwrap();
        for (number, step) in moments(journal.steps(), scene).into_iter().enumerate() {
            let seeds = if is_thorough() { 8 / scene.share() as u64 } else { 1 };
            let some = (0..seeds).map(|seed| Loss::Some(seed * 1_000_003 + step as u64));
            let losses = [Loss::Everything, Loss::Nothing].into_iter().chain(some);
            for (kind, loss) in losses.enumerate() {
                // By default a moment of what takes long has one of them.
                if !is_thorough() && scene.share() > 1 && number % 3 != kind {
                    continue;
                }
                let after = BackupRun::new();
                journal.lay_out(step, loss, &after.path(""));
                let told = format!("{}: {loss:?} after step {step} of {}", scene.name(), journal.steps());
                scene.check(&after, !matches!(loss, Loss::Some(_)), &told);
                scene.check_next(&after, &told);
            }
        }
    }
}

#[test]
fn an_error_of_the_system_at_any_step_leaves_a_backup_and_the_next_run_succeeds() {
    let errors = [
        (Errno::NOSPC, false),
        (Errno::NOSPC, true),
        (Errno::IO, false),
        (Errno::MFILE, false),
        (Errno::ROFS, true),
    ];
    for scene in scenes() {
        let scene = &*scene;
        let steps = steps(scene);
        for (kind, (number, for_good)) in errors.into_iter().enumerate() {
            for (moment, step) in moments(steps, scene).into_iter().enumerate() {
                // By default each moment has one of the errors.
                if !is_thorough() && moment % errors.len() != kind {
                    continue;
                }
                let run = scene.arrange();
                let disk = FaultyDisk::failing_with(step, number, for_good);
                let job = Job { disk: disk.shared(), ..scene.job(&run, scene.server().dialer()) };
                let result = job.back_up("neo4j");
                let told = format!(
                    "{}: {number} ({for_good}) in step {step}, {:?}: {result:?}",
                    scene.name(),
                    disk.failed()
                );
                scene.check(&run, true, &told);
                scene.check_next(&run, &told);
            }
        }
    }
}

#[test]
fn a_fault_of_the_network_at_any_frame_costs_nothing_that_was_there() {
    for scene in scenes() {
        let scene = &*scene;
        let undisturbed = FaultyNetwork::before(scene.server().address, Fault::None);
        scene.job(&scene.arrange(), dialer(undisturbed.address)).back_up("neo4j").unwrap();
        let frames = undisturbed.frames();
        assert!(frames > 10, "{frames}");
        let is_incremental = matches!(scene.before(), Before::Continuable(_));
        for (number, frame) in moments(frames, scene).into_iter().enumerate() {
            let faults = [
                Fault::CutOnce(frame),
                Fault::CutForever(frame),
                Fault::CutInside(frame),
                Fault::Reset(frame),
                Fault::Silence(frame),
                Fault::Length(frame, 7),
                Fault::Length(frame, i32::MAX),
            ];
            for (kind, fault) in faults.into_iter().enumerate() {
                if !is_thorough() && number % faults.len() != kind {
                    continue;
                }
                let run = scene.arrange();
                let network = FaultyNetwork::before(scene.server().address, fault);
                let mut job = scene.job(&run, dialer(network.address));
                let waiting = Duration::from_millis(100);
                job.servers[0].timeouts.handshake = waiting;
                job.servers[0].timeouts.inactivity = waiting;
                let result = job.back_up("neo4j");
                let told = format!("{}: {fault:?}: {result:?}", scene.name());
                assert!(!is_incremental || !run.told.contains("A full copy is made"), "{told}");
                scene.check(&run, true, &told);
                scene.check_next(&run, &told);
            }
        }
    }
}

#[test]
fn a_process_that_is_killed_at_any_time_leaves_a_backup_and_the_next_run_succeeds() {
    let tool = Tool::new("");
    let mut random = Random(0x6b69_6c6c);
    for scene in scenes() {
        let run = scene.arrange();
        let began = Instant::now();
        let outcome = tool.run(scene.words(&run));
        assert_eq!(outcome.code, Some(0), "{outcome}");
        let whole = began.elapsed().as_micros();
        for round in 0..rounds("NEO4J_ADMIN_TEST_KILLS", 2) {
            let run = scene.arrange();
            let mut child = tool.command(scene.words(&run)).spawn().unwrap();
            let after = Duration::from_micros(random.below(usize::try_from(whole).unwrap()) as u64);
            std::thread::sleep(after);
            child.kill().unwrap();
            let outcome = Outcome::from(child.wait_with_output().unwrap());
            let told = format!("{}, round {round}: killed after {after:?}: {outcome}", scene.name());
            scene.check(&run, true, &told);
            scene.check_next(&run, &told);
        }
    }
}

#[test]
fn of_two_runs_at_once_one_works_and_the_other_says_so_or_comes_later() {
    let tool = Tool::new("");
    for scene in scenes() {
        let run = scene.arrange();
        let words = scene.words(&run);
        let children: Vec<_> = (0..2).map(|_| tool.command(&words).spawn().unwrap()).collect();
        let outcomes: Vec<_> =
            children.into_iter().map(|child| Outcome::from(child.wait_with_output().unwrap())).collect();
        assert!(outcomes.iter().any(|outcome| outcome.code == Some(0)), "{} {}", outcomes[0], outcomes[1]);
        for outcome in outcomes.iter().filter(|outcome| outcome.code != Some(0)) {
            assert!(outcome.stderr.contains("Another run is working on"), "{outcome}");
        }
        scene.check_whole(&run, scene.name());
        scene.check_next(&run, "after two runs");
    }
}
