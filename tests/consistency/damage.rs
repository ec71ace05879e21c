//! Whatever is wrong with the bytes of a store, a check ends, soon and in little memory.
//!
//! `NEO4J_ADMIN_TEST_ROUNDS` (default 100) is the number of damages of each test, `NEO4J_ADMIN_TEST_SEED` (default 0) tells with
//! which to begin. If the number is set, a check must also end soon by the clock on the wall.

use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use neo4j_admin::consistency::CheckOptions;

use super::store::{archive, check};
use crate::support::damage::{self, Files};
use crate::support::random::{Random, rounds};
use crate::support::stores;

const ROUNDS: &str = "NEO4J_ADMIN_TEST_ROUNDS";
const SEED: &str = "NEO4J_ADMIN_TEST_SEED";

/// Of one check, all threads together: how long it takes on a machine that has something else to do proves nothing, unless it
/// is known to be idle.
const LONGEST: Duration = Duration::from_secs(5);
/// Of the process, the stores that it damages in its memory among it.
const MOST_KIB: u64 = 256 << 10;

/// Damages a store, which is `aligned` or not, and tells how.
type Damage = fn(&mut Files, bool, &mut Random) -> String;

#[test]
fn any_bit_may_be_wrong_and_any_file_cut() {
    in_own_process("any_bit_may_be_wrong_and_any_file_cut", |files, _, random| flip_or_cut(files, random));
}

#[test]
fn any_record_may_be_wrong_and_any_file_lost() {
    in_own_process("any_record_may_be_wrong_and_any_file_lost", damage::damage);
}

/// A store with a full-text index, of which something is kept for each node.
#[test]
fn a_high_id_may_be_anything() {
    let mut files = archive("consistency/base-x");
    let ids = files.get_mut(Path::new("neostore.nodestore.db.id")).expect("ids");
    for page in [8192, 16384] {
        // Behind the length of the header.
        if let Some(at) = (page..page + 200).find(|&at| ids[at..at + 4] == [0, 0, 0, 28]) {
            ids[at + 4..at + 12].copy_from_slice(&(1_u64 << 62).to_be_bytes());
        }
    }
    let directory = tempfile::tempdir().expect("a directory");
    damage::write(&files, directory.path());
    let verdict = check(directory.path(), &CheckOptions::default()).expect("checked");
    assert_eq!((verdict.summary.errors(), verdict.is_consistent()), (1, false));
}

/// Neo4j's checker fails then, whatever it was asked to check.
#[test]
fn statistics_that_cannot_be_opened_are_an_error_without_the_check_of_structures() {
    let mut files = archive("consistency/base-r");
    let options = CheckOptions { index_structure: false, ..CheckOptions::default() };
    for (major, errors) in [(0, 0), (0xff, 1)] {
        // The major version of the layout of the tree.
        files.get_mut(Path::new("neostore.indexstats.db")).expect("statistics")[19] = major;
        let directory = tempfile::tempdir().expect("a directory");
        damage::write(&files, directory.path());
        let verdict = check(directory.path(), &options).expect("checked");
        assert_eq!((verdict.summary.errors(), verdict.is_consistent()), (errors, errors == 0));
    }
}

/// A test starts itself once more: the memory of that process is that of the checks and of no other test.
fn in_own_process(test: &str, damage: Damage) {
    const INSIDE: &str = "NEO4J_ADMIN_TEST_INSIDE";
    if std::env::var_os(INSIDE).is_some() {
        return check_damaged_stores(damage);
    }
    let mut child = Command::new(std::env::current_exe().expect("this program"));
    child.args(["--exact", &format!("consistency::damage::{test}"), "--nocapture"]);
    let output = child.env(INSIDE, "1").output().expect("a process");
    let text = String::from_utf8_lossy(&output.stdout);
    let expected = format!("{} damages", rounds(ROUNDS, 100));
    assert!(
        output.status.success() && text.contains(&expected),
        "{}: {text}{}",
        output.status,
        String::from_utf8_lossy(&output.stderr)
    );
    print!("{text}");
}

fn check_damaged_stores(damage: Damage) {
    let healthy =
        [archive("consistency/base-x"), unpacked("aligned", "neo4j"), unpacked("standard", "system")];
    let directory = tempfile::tempdir().expect("a directory");
    let stores: Vec<_> = (0..healthy.len()).map(|number| directory.path().join(number.to_string())).collect();
    for (files, store) in healthy.iter().zip(&stores) {
        damage::write(files, store);
    }
    let (mut longest, mut slowest, mut most) = (Duration::ZERO, Duration::ZERO, 0);
    let is_campaign = std::env::var_os(ROUNDS).is_some();
    let count = rounds(ROUNDS, 100);
    let first = rounds(SEED, 0);
    for seed in first..first + count {
        let mut random = Random(seed as u64);
        let number = random.below(stores.len());
        let (healthy, store) = (&healthy[number], &stores[number]);
        let mut files = healthy.clone();
        let what = damage(&mut files, number == 1, &mut random);
        for lost in healthy.keys().filter(|path| !files.contains_key(*path)) {
            std::fs::remove_file(store.join(lost)).expect("a file that can be removed");
        }
        let changed: Files = files.into_iter().filter(|(path, bytes)| healthy[path] != *bytes).collect();
        damage::write(&changed, store);
        forget_peak();
        let (begun, started) = (cpu_time(), Instant::now());
        // Whether it is an error or a verdict does not matter here: it must come.
        let _ = check(store, &CheckOptions::default());
        let (wall, took, peak) = (started.elapsed(), cpu_time().saturating_sub(begun), peak_kib());
        assert!(took < LONGEST, "{SEED}={seed}: {what}: {took:?}");
        assert!(wall < LONGEST || !is_campaign, "{SEED}={seed}: {what}: {wall:?} by the clock");
        assert!(peak < MOST_KIB, "{SEED}={seed}: {what}: {peak} KiB");
        (longest, slowest, most) = (longest.max(took), slowest.max(wall), most.max(peak));
        let is_hurt = |path: &Path| changed.contains_key(path) || !store.join(path).exists();
        let hurt = healthy.iter().filter(|(path, _)| is_hurt(path));
        damage::write(&hurt.map(|(path, bytes)| (path.clone(), bytes.clone())).collect(), store);
    }
    println!("{count} damages, {longest:?} of CPU and {slowest:?} by the clock at most, {most} KiB at most");
}

fn unpacked(archive: &str, database: &str) -> Files {
    let directory = tempfile::tempdir().expect("a directory");
    stores::unpack(archive, directory.path());
    damage::read(&directory.path().join(database))
}

/// A bit of any file, or an end of it.
fn flip_or_cut(files: &mut Files, random: &mut Random) -> String {
    let names: Vec<_> =
        files.iter().filter(|(_, bytes)| !bytes.is_empty()).map(|(path, _)| path.clone()).collect();
    let name = &names[random.below(names.len())];
    let bytes = files.get_mut(name).expect("a file");
    if random.once_in(4) {
        let length = random.below(bytes.len());
        bytes.truncate(length);
        return format!("{} cut to {length} bytes", name.display());
    }
    let at = random.below(bytes.len() * 8);
    bytes[at / 8] ^= 1 << (at % 8);
    format!("bit {at} of {}", name.display())
}

/// What all threads of this process have computed so far.
fn cpu_time() -> Duration {
    let stat = std::fs::read_to_string("/proc/self/stat").expect("the state of this process");
    let (_, fields) = stat.rsplit_once(") ").expect("a name");
    // Of the program and of the system for it, in hundredths of a second.
    let ticks: u64 =
        fields.split(' ').skip(11).take(2).map(|ticks| ticks.parse::<u64>().expect("ticks")).sum();
    Duration::from_millis(10 * ticks)
}

/// The peak of the memory of this process begins anew.
fn forget_peak() {
    std::fs::write("/proc/self/clear_refs", "5").expect("a peak that can be forgotten");
}

/// The most memory that this process had since then.
fn peak_kib() -> u64 {
    let status = std::fs::read_to_string(Path::new("/proc/self/status")).expect("the state of this process");
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).expect("a peak");
    line.trim().trim_end_matches(" kB").parse().expect("a number")
}
