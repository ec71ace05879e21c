//! A backup directory, and runs of the job in it.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use neo4j_admin::backup::BackupError;
use neo4j_admin::backup::full::CopySettings;
use neo4j_admin::backup::job::{Fallback, Job};
use neo4j_admin::backup::progress::{Event, Progress};
use neo4j_admin::backup::pull::Patience;
use neo4j_admin::backup::stop::Stop;
use neo4j_admin::backup::store_files::Retries;
use neo4j_admin::catchup::Dialer;
use neo4j_admin::io::disk::{Disk, OsDisk};
use tempfile::TempDir;
use tokio::runtime::Runtime;

use super::faulty_disk::FaultyDisk;

/// Remembers what was told.
#[derive(Default)]
pub struct Told(Mutex<Vec<Event>>);

impl Progress for Told {
    fn report(&self, event: &Event) {
        self.0.lock().unwrap().push(event.clone());
    }
}

impl Told {
    pub fn lines(&self) -> Vec<String> {
        self.0.lock().unwrap().iter().map(ToString::to_string).collect()
    }

    pub fn contains(&self, text: &str) -> bool {
        self.lines().iter().any(|line| line.contains(text))
    }
}

/// A new backup directory.
pub struct BackupRun {
    directory: TempDir,
    runtime: Runtime,
    pub told: Arc<Told>,
}

impl BackupRun {
    /// It is in memory if there is room: thousands of runs whose disk forces nothing wait for the file system otherwise.
    pub fn new() -> Self {
        let memory = Path::new("/dev/shm");
        let has_room = OsDisk.available(memory).is_ok_and(|available| available >= 1 << 30);
        if has_room { Self::below(memory) } else { Self::on_disk() }
    }

    /// A new backup directory where there is room for a large copy.
    pub fn on_disk() -> Self {
        Self::below(&std::env::temp_dir())
    }

    fn below(directory: &Path) -> Self {
        let runtime =
            tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
        Self { directory: tempfile::tempdir_in(directory).unwrap(), runtime, told: Arc::default() }
    }

    /// A new backup directory with a backup in it.
    pub fn over(backup: &BTreeMap<String, Vec<u8>>) -> Self {
        let run = Self::new();
        for (path, content) in backup {
            let path = run.path("neo4j").join(path);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, content).unwrap();
        }
        run
    }

    /// The runtime of the network.
    pub fn handle(&self) -> tokio::runtime::Handle {
        self.runtime.handle().clone()
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.directory.path().canonicalize().unwrap().join(name)
    }

    /// A job with everything at its default but the waiting, which is short.
    pub fn job(&self, mut server: Dialer) -> Job {
        server.timeouts.handshake = Duration::from_secs(5);
        server.timeouts.inactivity = Duration::from_secs(5);
        server.timeouts.checkpoint = Duration::from_secs(5);
        let max_pause = Duration::from_millis(5);
        Job {
            disk: FaultyDisk::sound().shared(),
            backup_dir: self.path(""),
            servers: vec![server],
            settings: CopySettings {
                retries: Retries { connections: 4, max_time: Duration::from_millis(30), max_pause },
                patience: Patience { inactivity: Duration::from_millis(30), max_pause },
                rotation_size: 128 * 1024,
            },
            // Most tests copy files that are none of a real store.
            recovery: None,
            check: None,
            tool_version: "test",
            fallback: Fallback::IfItHelps,
            resume: true,
            cleanup: false,
            metadata: None,
            progress: self.told.clone(),
            runtime: self.runtime.handle().clone(),
            stop: Stop::default(),
        }
    }

    /// A job that keeps nothing of a copy that failed.
    pub fn job_at_once(&self, server: Dialer) -> Job {
        Job { resume: false, ..self.job(server) }
    }

    /// Backs up `neo4j` with the defaults.
    pub fn back_up(&self, server: Dialer) -> Result<PathBuf, BackupError> {
        self.job(server).back_up("neo4j")
    }

    /// Names in the backup directory, sorted, without those of locks.
    pub fn names(&self) -> Vec<String> {
        let entries = std::fs::read_dir(self.directory.path()).unwrap();
        let mut names: Vec<_> =
            entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        names.retain(|name| !name.starts_with('.'));
        names.sort();
        names
    }

    /// Everything in one directory of the backup directory.
    pub fn contents(&self, name: &str) -> BTreeMap<String, Vec<u8>> {
        contents(&self.path(name))
    }
}

/// A backup that can't be continued: no checkpoint tells from where on its logs have to be replayed.
pub fn not_continuable(mut backup: BTreeMap<String, Vec<u8>>) -> BTreeMap<String, Vec<u8>> {
    backup.remove("checkpoint.0").expect("a checkpoint");
    backup
}

/// Paths and bytes of all files below a directory.
pub fn contents(directory: &Path) -> BTreeMap<String, Vec<u8>> {
    fn collect(directory: &Path, prefix: &str, found: &mut BTreeMap<String, Vec<u8>>) {
        for entry in std::fs::read_dir(directory).unwrap() {
            let entry = entry.unwrap();
            let path = format!("{prefix}{}", entry.file_name().into_string().unwrap());
            if entry.file_type().unwrap().is_dir() {
                collect(&entry.path(), &format!("{path}/"), found);
            } else {
                found.insert(path, std::fs::read(entry.path()).unwrap());
            }
        }
    }
    let mut found = BTreeMap::new();
    collect(directory, "", &mut found);
    found
}
