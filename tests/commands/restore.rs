//! `restore` puts backups where a server looks for its databases, and loses nothing on the way.

use std::collections::BTreeMap;
use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use neo4j_admin::backup::stop::{Signal, Stop};
use neo4j_admin::io::disk::{Disk, DiskError, DiskFile, OsDisk, SharedDisk};
use neo4j_admin::io::lock::FileLock;
use neo4j_admin::restore::{Restore, RestoreError};
use neo4j_admin::store::layout::DatabaseLayout;

use crate::support::backup_run::contents;
use crate::support::faulty_disk::FaultyDisk;
use crate::support::kernel::Kernel;
use crate::support::stores;
use crate::support::tool::Tool;

type Files = BTreeMap<String, Vec<u8>>;

/// What a restore makes of a backup: the files of the store, and those of the logs.
fn split(mut backup: Files) -> (Files, Files) {
    backup.remove("database_lock");
    backup.into_iter().partition(|(path, _)| {
        !path.starts_with("neostore.transaction.db.") && !path.starts_with("checkpoint.")
    })
}

/// A home whose backup directory has the databases of an archive.
fn home(archive: &str) -> Tool {
    let tool = Tool::new("");
    stores::unpack(archive, &tool.backups());
    tool
}

fn installed(tool: &Tool, name: &str) -> (Files, Files) {
    let data = tool.home().join("data");
    let mut store = contents(&data.join("databases").join(name));
    store.remove("database_lock");
    (store, contents(&data.join("transactions").join(name)))
}

fn names(directory: &Path) -> Vec<String> {
    let mut names: Vec<_> = fs::read_dir(directory)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.retain(|name| !name.contains(".lock"));
    names.sort();
    names
}

#[test]
fn a_restored_database_starts_with_the_content_of_its_backup() {
    let Some(kernel) = Kernel::find() else { return };
    for (archive, words) in
        [("standard", &["--from=backups/neo4j"][..]), ("aligned", &["--from", "backups/neo4j", "--move"])]
    {
        let tool = home(archive);
        let outcome = tool.run(["restore"].iter().chain(words));
        assert_eq!(outcome.code, Some(0), "{outcome}");
        let opened = kernel.open_in_home(tool.home(), "neo4j");
        assert_eq!(opened.digest, stores::digests()[archive]["neo4j"], "{:#?}", opened.remarks);
        assert!(!opened.recovered && opened.check.consistent, "{opened:?}");
    }
}

/// A home with the database of `aligned`, which the backup of `standard` is to replace.
fn replacing(disk: SharedDisk) -> (Tool, Restore) {
    let tool = home("standard");
    stores::install("aligned", "neo4j", tool.home(), "neo4j");
    let restore = Restore {
        disk,
        source: tool.backups().join("neo4j"),
        database: "neo4j".to_owned(),
        target: DatabaseLayout::in_data_directory(&tool.home().join("data"), "neo4j"),
        cluster_state: tool.home().join("data/cluster-state"),
        force: true,
        moving: false,
        stop: Stop::default(),
    };
    (tool, restore)
}

#[test]
fn neo4j_does_not_open_what_a_stop_leaves_between_the_old_database_and_the_new_one() {
    let Some(kernel) = Kernel::find() else { return };
    let sound = FaultyDisk::sound();
    let (_tool, restore) = replacing(sound.shared());
    restore.run().unwrap();
    let mut found = Vec::new();
    for step in (0..sound.steps()).rev() {
        let (tool, restore) = replacing(FaultyDisk::stopping_at(step).shared());
        restore.run().unwrap_err();
        let between = !restore.target.logs.exists();
        if !between && found.is_empty() {
            // The steps that delete the old database.
            continue;
        }
        if !between {
            break;
        }
        // The store of either database.
        let store = contents(&restore.target.database).remove("neostore");
        if !found.contains(&store) {
            let open = || kernel.open_in_home(tool.home(), "neo4j");
            let opened = std::panic::catch_unwind(std::panic::AssertUnwindSafe(open));
            assert!(opened.is_err(), "step {step}: {opened:?}");
            found.push(store);
            let (disk, again) = (OsDisk::shared(), restore);
            Restore { disk, ..again }.run().unwrap();
            let opened = kernel.open_in_home(tool.home(), "neo4j");
            assert_eq!(opened.digest, stores::digests()["standard"]["neo4j"], "{:#?}", opened.remarks);
        }
    }
    assert_eq!(found.len(), 2, "the old store and the new one");
}

#[test]
fn files_go_to_the_two_directories_of_a_server() {
    let tool = home("standard");
    let backup = tool.backups().join("neo4j");
    fs::create_dir(backup.join("tools")).unwrap();
    fs::write(backup.join("tools/metadata_script.cypher"), "CREATE ROLE `r`;").unwrap();
    fs::write(backup.join("database_lock"), "").unwrap();
    let expected = split(contents(&backup));
    for words in [
        vec!["--database=Movies"],
        vec!["--database=Movies", "--force"],
        vec!["--database", "Movies", "--force", "--move"],
    ] {
        let outcome = tool.run(["restore", "--from=backups/neo4j"].iter().chain(&words));
        assert_eq!(
            outcome.stdout,
            format!(
                "You need to execute {}. To execute the file use cypher-shell command with parameter `database => \
                 'movies'`\nrestorePath={}, restoreStatus=successful, reason=\n",
                tool.home().join("data/databases/movies/tools/metadata_script.cypher").display(),
                backup.display()
            )
        );
        assert_eq!((outcome.code, outcome.stderr.as_str()), (Some(0), ""), "{outcome}");
        assert!(installed(&tool, "movies") == expected, "{words:?}");
        for directory in ["databases", "transactions"] {
            assert_eq!(names(&tool.home().join("data").join(directory)), ["movies"]);
        }
    }
    assert!(!backup.exists(), "it was moved");
}

#[test]
fn several_backups_and_other_directories_are_restored() {
    let tool = home("standard");
    let outcome = tool.run(["restore", "--from=backups/n*,backups/missing", "backups/system"]);
    assert_eq!(outcome.code, Some(1), "{outcome}");
    let here = tool.home().canonicalize().unwrap();
    let here = here.display();
    assert_eq!(
        outcome.stdout.replace(&tool.home().display().to_string(), &here.to_string()),
        format!(
            "restorePath={here}/backups/missing, restoreStatus=failed, reason=Source directory does not exist \
             [{here}/backups/missing]\n\
             restorePath={here}/backups/neo4j, restoreStatus=successful, reason=\n\
             restorePath={here}/backups/system, restoreStatus=successful, reason=\n"
        )
    );
    assert_eq!(outcome.stderr, "Restore command wasn't execute successfully\n");
    let backup = split(contents(&tool.backups().join("neo4j")));
    assert!(installed(&tool, "neo4j") == backup);

    let outcome = tool.run([
        "restore",
        "--from=backups/neo4j",
        "--to-data-directory=other/data",
        "--to-data-tx-directory=other/logs",
    ]);
    assert_eq!(outcome.code, Some(0), "{outcome}");
    let other = tool.home().join("other");
    assert!((contents(&other.join("data/neo4j")), contents(&other.join("logs/neo4j"))) == backup);

    // Both in one directory, as in a backup.
    let outcome = tool.run([
        "restore",
        "--from=backups/neo4j",
        "--to-data-directory=flat",
        "--to-data-tx-directory=flat",
    ]);
    assert_eq!(outcome.code, Some(0), "{outcome}");
    assert!(split(contents(&tool.home().join("flat/neo4j"))) == backup);
}

#[test]
fn every_refusal_is_told_in_the_words_of_neo4j_and_changes_nothing() {
    let tool = home("standard");
    let data = tool.home().join("data");
    assert_eq!(tool.run(["restore", "--from=backups/neo4j"]).code, Some(0));
    let before = installed(&tool, "neo4j");
    fs::create_dir_all(tool.backups().join("empty")).unwrap();
    fs::create_dir_all(data.join("cluster-state/db/system/raft")).unwrap();
    let reason = |words: &[&str]| {
        let outcome = tool.run(["restore"].iter().chain(words));
        assert_eq!(outcome.code, Some(1), "{outcome}");
        assert_eq!(outcome.stderr, "Restore command wasn't execute successfully\n", "{outcome}");
        let (_, reason) = outcome.stdout.trim_end().split_once("restoreStatus=failed, reason=").unwrap();
        reason.replace(&tool.home().display().to_string(), "<home>")
    };
    let home = |text: &str| text.to_owned();
    assert_eq!(
        reason(&["--from=backups/neo4j"]),
        "Database with name [neo4j] already exists at <home>/data/databases/neo4j"
    );
    assert_eq!(reason(&["--from=backups/none"]), "Source directory does not exist [<home>/backups/none]");
    assert_eq!(
        reason(&["--from=backups/empty"]),
        "Source directory is not a database backup [<home>/backups/empty]"
    );
    assert_eq!(
        reason(&["--from=backups/system"]),
        home(
            "Database with name [system] already exists locally. Please run `DROP DATABASE system` against the system \
             database. If the database already is dropped, then you need to unbind the local instance using \
             `neo4j-admin unbind`. Note that unbind requires stopping the instance, and affects all databases."
        )
    );
    assert!(reason(&["--from=data/databases/neo4j", "--force"]).ends_with("one lies in the other"));
    {
        let _lock = FileLock::acquire(&data.join("databases/neo4j/database_lock")).unwrap();
        assert_eq!(
            reason(&["--from=backups/neo4j", "--force"]),
            "The database is in use. Stop database 'neo4j' and try again."
        );
        let _run = FileLock::acquire(&tool.backups().join(".neo4j.lock")).unwrap();
        let running = reason(&["--from=backups/neo4j", "--force"]);
        assert!(
            running.starts_with("Another run is working on '<home>/backups/neo4j' (process "),
            "{running}"
        );
    }
    std::os::unix::fs::symlink("/etc/passwd", tool.backups().join("neo4j/link")).unwrap();
    assert!(reason(&["--from=backups/neo4j", "--force"]).ends_with("can not be restored"));
    assert!(installed(&tool, "neo4j") == before);
    assert_eq!(names(&data.join("databases")), ["neo4j"]);
}

#[test]
fn a_command_line_that_can_not_be_meant_is_refused() {
    let tool = home("standard");
    for (words, code, message) in [
        (&[][..], 2, "Missing required option: '--from=<path>'"),
        (
            &["--from=/backup"],
            2,
            "Invalid value for option '--from': Invalid from parameter '/backup'. (java.lang.IllegalArgumentException: From path with value=/backup should not point to the root of the file system)",
        ),
        (
            &["--from=a/b", "--database=ab"],
            2,
            "Invalid value for option '--database': Invalid database name 'ab'. (java.lang.IllegalArgumentException: The provided database name must have a length between 3 and 63 characters.)",
        ),
        (
            &["--from=a/b", "--force=true"],
            2,
            "option '--force' (<force>) should be specified without 'true' parameter",
        ),
        (&["x", "--from=a/b"], 2, "Unmatched argument at index 1: 'x'"),
        (
            &["--from=backups/neo4j,backups/system", "--database=abc"],
            1,
            "--database parameter can be applied only when --from match single path",
        ),
        (
            &["--from=backups/neo4j", "backups/system", "--to-data-directory=x"],
            1,
            "--to-data-directory parameter can be applied only when --from match single path",
        ),
        (
            &["--from=backups/neo4j,backups/system", "--to-data-tx-directory=x"],
            1,
            "--to-data-tx-directory parameter can be applied only when --from match single path",
        ),
    ] {
        let outcome = tool.run(["restore"].iter().chain(words));
        assert_eq!(outcome.code, Some(code), "{outcome}");
        assert_eq!(outcome.stderr.lines().next(), Some(message), "{outcome}");
    }
    fs::remove_file(tool.home().join("conf/neo4j.conf")).unwrap();
    let outcome = tool.run(["restore", "--from=backups/neo4j"]);
    assert_eq!(outcome.code, Some(1));
    let file = tool.home().join("conf/neo4j.conf");
    assert_eq!(outcome.stderr, format!("Config file [{}] does not exist.\n", file.display()));
    let outcome = Tool::new("").run(["restore", "--from=backups/x*"]);
    assert_eq!((outcome.code, outcome.stdout.as_str()), (Some(0), ""), "nothing matches: nothing to do");
}

/// A small backup in `backups/neo4j` and an older database that it is to replace.
struct Arranged {
    directory: tempfile::TempDir,
    old: (Files, Files),
    new: (Files, Files),
}

impl Arranged {
    fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let write = |path: &str, content: &str| {
            let path = directory.path().join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, content).unwrap();
        };
        for (path, content) in
            [("neostore", "new"), ("schema/index/x", "new x"), ("tools/manifest.toml", "m")]
        {
            write(&format!("backups/neo4j/{path}"), content);
        }
        for path in ["neostore.transaction.db.4", "checkpoint.0"] {
            write(&format!("backups/neo4j/{path}"), "new log");
            write(&format!("data/transactions/neo4j/{path}"), "old log");
        }
        for path in ["neostore", "neostore.nodestore.db", "schema/index/y"] {
            write(&format!("data/databases/neo4j/{path}"), "old");
        }
        let new = split(contents(&directory.path().join("backups/neo4j")));
        let mut arranged = Self { directory, old: Default::default(), new };
        arranged.old = arranged.installed();
        arranged
    }

    fn path(&self, path: &str) -> PathBuf {
        self.directory.path().join(path)
    }

    fn installed(&self) -> (Files, Files) {
        let mut store = contents(&self.path("data/databases/neo4j"));
        store.remove("database_lock");
        (store, contents(&self.path("data/transactions/neo4j")))
    }

    fn restore(&self, disk: SharedDisk, moving: bool) -> Restore {
        Restore {
            disk,
            source: self.path("backups/neo4j"),
            database: "neo4j".to_owned(),
            target: DatabaseLayout::in_data_directory(&self.path("data"), "neo4j"),
            cluster_state: self.path("data/cluster-state"),
            force: true,
            moving,
            stop: Stop::default(),
        }
    }

    /// Whether the whole content is somewhere in the two directories of all databases.
    fn has_somewhere(&self, wanted: &(Files, Files)) -> bool {
        let has = |directory: &str, wanted: &Files| {
            names(&self.path(directory)).iter().any(|name| {
                let mut found = contents(&self.path(directory).join(name));
                found.remove("quarantine_marker");
                found.remove("database_lock");
                found == *wanted
            })
        };
        has("data/databases", &wanted.0) && has("data/transactions", &wanted.1)
    }
}

/// A file system without the exchange of two names or links.
#[derive(Debug)]
struct Plain(SharedDisk);

impl Disk for Plain {
    fn create(&self, path: &Path, mode: u32) -> Result<Box<dyn DiskFile>, DiskError> {
        self.0.create(path, mode)
    }
    fn open(&self, path: &Path) -> Result<Box<dyn DiskFile>, DiskError> {
        self.0.open(path)
    }
    fn create_dir(&self, path: &Path) -> Result<(), DiskError> {
        self.0.create_dir(path)
    }
    fn sync_dir(&self, path: &Path) -> Result<(), DiskError> {
        self.0.sync_dir(path)
    }
    fn rename(&self, from: &Path, to: &Path) -> Result<(), DiskError> {
        self.0.rename(from, to)
    }
    fn exchange(&self, _: &Path, _: &Path) -> Result<bool, DiskError> {
        Ok(false)
    }
    fn remove_file(&self, path: &Path) -> Result<(), DiskError> {
        self.0.remove_file(path)
    }
    fn remove_dir(&self, path: &Path) -> Result<(), DiskError> {
        self.0.remove_dir(path)
    }
    fn available(&self, path: &Path) -> Result<u64, DiskError> {
        self.0.available(path)
    }
}

/// A run that was stopped at any step leaves the old database or the new one, and the next run makes it the new one.
fn stopped_at_every_step(moving: bool, plain: bool) {
    let steps = |disk: Arc<FaultyDisk>| -> SharedDisk {
        if plain { Arc::new(Plain(disk.shared())) } else { disk.shared() }
    };
    let sound = FaultyDisk::sound();
    let arranged = Arranged::new();
    arranged.restore(steps(sound.clone()), moving).run().unwrap();
    assert!(arranged.installed() == arranged.new);
    for step in 0..sound.steps() {
        let arranged = Arranged::new();
        // As by a kill: nothing that comes after the step happens.
        let disk = FaultyDisk::stopping_at(step);
        arranged.restore(steps(disk.clone()), moving).run().unwrap_err();
        let (action, path) = disk.failed().unwrap();
        let at = format!("step {step}: {action} {}", path.display());
        let source = arranged.path("backups/neo4j");
        let intact = source.exists() && split(contents(&source)) == arranged.new;
        assert!(intact || arranged.has_somewhere(&arranged.new), "{at}: the backup is lost");
        let places = ["data/databases/neo4j", "data/transactions/neo4j"].map(|place| arranged.path(place));
        if places.iter().all(|place| place.exists()) {
            // Whether or not the marker, which one edition knows, keeps Neo4j from opening it.
            let mut now = arranged.installed();
            now.0.remove("quarantine_marker");
            now.1.remove("quarantine_marker");
            assert!(now == arranged.old || now == arranged.new, "{at}: neither old nor new");
        } else {
            assert!(arranged.has_somewhere(&arranged.new), "{at}: the new database is not complete");
        }
        let again = arranged.restore(OsDisk::shared(), moving).run();
        let source_is_gone = matches!(again, Err(RestoreError::NoSource(_)));
        assert!(again.is_ok() || source_is_gone && moving, "{at}: {again:?}");
        assert!(arranged.installed() == arranged.new, "{at}");
        assert_eq!(arranged.path("backups/neo4j").exists(), !moving, "{at}");
        for directory in ["data/databases", "data/transactions"] {
            assert_eq!(names(&arranged.path(directory)), ["neo4j"], "{at}");
        }
    }
}

#[test]
fn a_copy_that_is_stopped_leaves_the_old_database_or_the_new_one() {
    stopped_at_every_step(false, false);
}

#[test]
fn a_move_that_is_stopped_leaves_the_old_database_or_the_new_one() {
    stopped_at_every_step(true, false);
}

#[test]
fn a_simple_file_system_is_enough() {
    stopped_at_every_step(false, true);
    stopped_at_every_step(true, true);
}

#[test]
fn an_error_while_files_are_copied_leaves_nothing_behind() {
    let sound = FaultyDisk::sound();
    Arranged::new().restore(sound.shared(), false).run().unwrap();
    let mut failures = 0;
    for step in 0..sound.steps() {
        let arranged = Arranged::new();
        let disk = FaultyDisk::failing_at(step, ErrorKind::StorageFull);
        let Err(error) = arranged.restore(disk.shared(), false).run() else { continue };
        failures += 1;
        let switched = arranged.path("data/databases/neo4j/quarantine_marker").exists()
            || arranged.installed().0 == arranged.new.0;
        if !switched {
            assert!(arranged.installed() == arranged.old, "{error}");
            assert_eq!(names(&arranged.path("data/databases")), ["neo4j"], "{error}");
        }
    }
    assert!(failures > 20, "{failures}");
}

#[test]
fn a_signal_ends_a_restore_before_anything_is_replaced() {
    let arranged = Arranged::new();
    let restore = arranged.restore(OsDisk::shared(), false);
    restore.stop.request(Signal::Terminate);
    assert!(matches!(restore.run(), Err(RestoreError::Interrupted(Signal::Terminate))));
    assert!(arranged.installed() == arranged.old);
    assert_eq!(names(&arranged.path("data/databases")), ["neo4j"]);
}
