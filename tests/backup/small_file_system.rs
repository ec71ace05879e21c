//! Runs on a real file system that is too small, and on one that can't be written to.
//!
//! A file system of so many bytes is mounted in a name space of its own (`unshare`, `mount`); where that is not allowed
//! the test says so.

use std::io::Write;
use std::path::Path;
use std::process::{Command, Output};

use neo4j_admin::io::block_writer::Room;

use super::matrix::real::Real;
use super::matrix::scene::{Before, Scene};
use crate::support::backup_run::{BackupRun, contents};
use crate::support::tool::Tool;

/// `$1`: bytes; `$2`: where to mount; `$3`: what is there before; `$4`: where what is there afterwards is copied to; then
/// the words of the run. Prints the exit codes of a run, and of one that finds a read-only file system.
const SCRIPT: &str = r#"
    size=$1 place=$2 before=$3 after=$4
    shift 4
    mount -t tmpfs -o size="$size" tmpfs "$place" || exit 99
    cp -a "$before/." "$place" || exit 98
    "$@" >"$after/../first" 2>&1
    echo $?
    cp -a "$place/." "$after" || exit 97
    mount -o remount,ro "$place" || exit 96
    "$@" >"$after/../second" 2>&1
    echo $?
    diff -r "$place" "$after" || exit 95
"#;

/// Runs in a name space where file systems can be mounted.
fn mounting(words: &[&str]) -> Command {
    let mut command = Command::new("unshare");
    command.args(["--user", "--map-root-user", "--mount", "sh", "-c"]).args(words);
    command
}

/// Why nothing can be mounted here.
fn refusal() -> Option<String> {
    let place = tempfile::tempdir().unwrap();
    let mount = "mount -t tmpfs -o size=1m tmpfs \"$0\"";
    match mounting(&[mount, &place.path().display().to_string()]).output() {
        Ok(Output { status, .. }) if status.success() => None,
        Ok(Output { stderr, .. }) => Some(String::from_utf8_lossy(&stderr).trim().to_owned()),
        Err(error) => Some(format!("unshare: {error}")),
    }
}

fn size_of(directory: &Path) -> u64 {
    // Files of a file system in memory take whole pages.
    let sizes = contents(directory);
    sizes.values().map(|content| (content.len() as u64).next_multiple_of(4096)).sum()
}

#[test]
fn a_disk_that_is_full_or_read_only_leaves_a_backup_and_the_next_run_succeeds() {
    // Past the capture of the test harness: which file system it was, or why there was none.
    let mut says = std::io::stderr();
    if let Some(refusal) = refusal() {
        writeln!(says, "runs on a small file system skipped, mounting is not allowed: {refusal}").unwrap();
        return;
    }
    let tool = Tool::new("");
    for scene in Real::all() {
        let whole = scene.arrange();
        let before = size_of(&whole.path(""));
        assert_eq!(tool.run(scene.words(&whole)).code, Some(0));
        let copy = size_of(&whole.path("neo4j"));
        // An incremental run needs little: its transactions, and what recovery writes for a while.
        let more = if matches!(scene.before(), Before::Continuable(_)) { 96 << 10 } else { copy };
        let (mut full, mut enough) = (0, 0);
        // A full copy leaves some room to others, and stops in time.
        for (reserve, percent) in
            [(0, 1), (0, 30), (0, 60), (0, 95), (Room::RESERVE, 50), (Room::RESERVE, 400)]
        {
            let (place, after) = (scene.arrange(), BackupRun::new());
            let kept = scene.arrange();
            let results = tempfile::tempdir().unwrap();
            let target = results.path().join("after");
            std::fs::create_dir(&target).unwrap();
            let size = (reserve + before + more * percent / 100).next_multiple_of(4096) + 4096;
            let path = |run: &BackupRun| run.path("").display().to_string();
            let mut command = mounting(&[SCRIPT, "sh", &size.to_string()]);
            command.args([path(&place), path(&kept), target.display().to_string()]);
            command.arg(env!("CARGO_BIN_EXE_neo4j-admin")).args(scene.words(&place));
            let output = command.env("NEO4J_HOME", tool.home()).output().unwrap();
            let told = |name| std::fs::read_to_string(results.path().join(name)).unwrap_or_default();
            let (first, second) = (told("first"), told("second"));
            assert!(output.status.success(), "{output:?}\n{first}\n{second}");
            let codes = String::from_utf8(output.stdout).unwrap();
            assert!(["0\n1\n", "1\n1\n"].contains(&codes.as_str()), "{codes}{first}{second}");
            assert!(second.contains("Read-only file system"), "{second}");
            if codes.starts_with('0') {
                enough += 1;
            } else {
                let (early, late) = ("stopped before the file system is full", "No space left on device");
                assert!(first.contains(early) || first.contains(late), "{first}");
                full += 1;
            }
            lay_out(&target, &after);
            let told = format!("{}: {size} bytes: {first}", scene.name());
            scene.check(&after, true, &told);
            scene.check_next(&after, &told);
        }
        assert!(full > 0 && enough > 0, "{}: {full} times full, {enough} times not", scene.name());
        writeln!(says, "{}: tmpfs, {full} times full, {enough} times large enough", scene.name()).unwrap();
    }
}

fn lay_out(from: &Path, run: &BackupRun) {
    for (path, content) in contents(from) {
        let path = run.path("").join(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, content).unwrap();
    }
}
