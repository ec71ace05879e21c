//! What a fault meets: a server that has gone on, what lies at the place of the backup before a run, and what may lie there
//! afterwards.

use std::collections::BTreeMap;
use std::path::PathBuf;

use neo4j_admin::backup::BackupError;
use neo4j_admin::backup::job::Job;
use neo4j_admin::backup::recover::RecoverySettings;
use neo4j_admin::catchup::Dialer;

use crate::support::backup_run::BackupRun;
use crate::support::serving::Serving;

/// Paths and bytes of a backup.
pub type Backup = BTreeMap<String, Vec<u8>>;

/// What there is before a run, and so what kind of run it is.
#[derive(Clone, Debug)]
pub enum Before {
    /// A first full copy.
    Nothing,
    /// A backup that is to be replaced by a full copy.
    Replaceable(Backup),
    /// A backup that is to be continued.
    Continuable(Backup),
}

pub trait Scene: Sync + Send {
    /// For messages.
    fn name(&self) -> &str;
    fn server(&self) -> &Serving;
    fn before(&self) -> &Before;
    fn recovery(&self) -> Option<RecoverySettings>;

    /// Asserts that what is there is one of the states that a run may leave. `exact`: what was not forced is there or not,
    /// not in parts.
    fn check(&self, run: &BackupRun, exact: bool, told: &str);

    /// Asserts that the backup is all that the server has.
    fn check_whole(&self, run: &BackupRun, told: &str);

    /// How many times fewer moments are tried by default: some scenes take long.
    fn share(&self) -> usize;

    fn arrange(&self) -> BackupRun {
        match self.before() {
            Before::Nothing => BackupRun::new(),
            Before::Replaceable(backup) | Before::Continuable(backup) => BackupRun::over(backup),
        }
    }

    fn job(&self, run: &BackupRun, server: Dialer) -> Job {
        Job { recovery: self.recovery(), ..run.job(server) }
    }

    fn back_up(&self, run: &BackupRun) -> Result<PathBuf, BackupError> {
        self.job(run, self.server().dialer()).back_up("neo4j")
    }

    /// The words of the same run for the tool.
    fn words(&self, run: &BackupRun) -> Vec<String> {
        let mut words = vec![
            "backup".to_owned(),
            format!("--backup-dir={}", run.path("").display()),
            format!("--from={}", self.server().address),
            "--check-consistency=false".to_owned(),
        ];
        if self.recovery().is_none() {
            words.push("--prepare-restore=false".to_owned());
        }
        words
    }

    /// The next run makes a whole backup and names what is left.
    fn check_next(&self, run: &BackupRun, told: &str) {
        let left: Vec<_> = run.names().into_iter().filter(|name| name != "neo4j").collect();
        let earlier = run.told.lines().len();
        self.back_up(run).unwrap_or_else(|error| panic!("{error}: {told}"));
        let lines = run.told.lines().split_off(earlier);
        self.check_whole(run, told);
        if let Before::Continuable(_) = self.before() {
            assert!(!lines.iter().any(|line| line.contains("A full copy is made")), "{lines:#?} {told}");
        }
        for name in run.names().iter().filter(|name| *name != "neo4j") {
            // What was replaced was named when that was done.
            if name == "neo4j.err.0" {
                continue;
            }
            assert!(left.contains(name), "{name} is new: {told}");
            let path = run.path(name).display().to_string();
            assert!(lines.iter().any(|line| line.contains(&path)), "{name} is not named: {told}");
        }
    }
}
