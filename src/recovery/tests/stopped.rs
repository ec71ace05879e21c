//! A recovery can be stopped at any moment and run again: the result is the same.

use super::power::PowerDisk;
use super::*;

/// What a file system may lose when the power goes.
#[derive(Clone, Copy, Debug)]
enum Loss {
    /// Nothing: the process was killed.
    Nothing,
    /// All that was not forced.
    Everything,
    /// Some of it, sector by sector and name by name.
    Some,
}

/// Node 0 to 2 with strings, counts and degrees in two logs, and a torn transaction.
fn crashed() -> Database {
    let database = Database::standard();
    // Id files, counts and degrees of an earlier moment.
    database.log(0, 2, &[vec![created(0), node_count(-1, 1)]]);
    database.recover();
    let fields = node_fields(-1, -1, 0);
    let string = |id, text: &[u8]| [dynamic(id, 9, 0x23, -1, text)];
    let (first, second) = (string(4, b"the first"), string(4, b"the second"));
    let one = [(&[string_at(4)][..], &first[..])];
    let two = [(&[string_at(4)][..], &second[..])];
    database.log(
        1,
        3,
        &[
            vec![created(1), node_count(-1, 1), degree(5, 3)],
            vec![property(0, &NO_PROPERTY, &PropertyImage { blocks: &one, ..NO_PROPERTY }), degree(5, 4)],
            vec![node(0, &Image::Live(&fields, &[]), &Image::Dead(&[]), false), node_count(-1, -1)],
        ],
    );
    database.log(
        2,
        6,
        &[
            vec![created(2), node_count(-1, 1)],
            vec![property(
                0,
                &PropertyImage { blocks: &one, ..NO_PROPERTY },
                &PropertyImage { blocks: &two, ..NO_PROPERTY },
            )],
            vec![created(3), node_count(-1, 1)],
        ],
    );
    let path = database.path("neostore.transaction.db.2");
    let torn = &transaction(9, &[created(4)])[..70];
    let log = [&std::fs::read(&path).unwrap()[..], torn].concat();
    std::fs::write(path, log).unwrap();
    database
}

/// Steps from one stop to the next; with `NEO4J_ADMIN_TEST_EVERY_STOP` set every step is tried.
fn stride() -> usize {
    if std::env::var_os("NEO4J_ADMIN_TEST_EVERY_STOP").is_some() { 1 } else { 9 }
}

fn stopped_everywhere(until: Option<i64>) {
    let until = until.map(TransactionId);
    let recovery = |database: &Database| Recovery {
        until,
        // Small enough that pages must make room for others.
        page_cache: 0,
        threads: 1,
        ..database.recovery()
    };
    let reference = crashed();
    done(recovery(&reference).run(&Silent));
    let expected = reference.state();
    for loss in [Loss::Nothing, Loss::Everything, Loss::Some] {
        let mut random = 0x2545_f491_4f6c_dd1d_u64;
        // The last steps, the checkpoint among them, are all tried.
        let (mut steps, mut stops) = (0, 0);
        let sound = PowerDisk::stopping_after(usize::MAX);
        done(Recovery { disk: sound.shared(), ..recovery(&crashed()) }.run(&Silent));
        let all = sound.steps();
        while steps <= all {
            let database = crashed();
            let disk = PowerDisk::stopping_after(steps);
            let outcome = Recovery { disk: disk.shared(), ..recovery(&database) }.run(&Silent);
            match loss {
                Loss::Nothing => {}
                Loss::Everything => disk.lose(|| true),
                Loss::Some => disk.lose(|| {
                    random ^= random << 13;
                    random ^= random >> 7;
                    random ^= random << 17;
                    random & 1 == 0
                }),
            }
            recovery(&database)
                .run(&Silent)
                .unwrap_or_else(|error| panic!("{loss:?} after step {steps}: {error}"));
            for ((name, found), (_, wanted)) in database.state().iter().zip(&expected) {
                assert!(found == wanted, "{name} differs: {loss:?} after step {steps}");
            }
            assert_eq!(super::super::reason(&database.layout()).unwrap(), None);
            stops += usize::from(outcome.is_err());
            steps += if all - steps > 40 { stride() } else { 1 };
        }
        assert!(stops > 30, "{loss:?}: stopped only {stops} times");
    }
}

#[test]
fn a_recovery_that_was_stopped_after_any_step_is_completed_by_the_next() {
    stopped_everywhere(None);
}

#[test]
fn so_is_one_that_takes_transactions_back() {
    stopped_everywhere(Some(7));
}
