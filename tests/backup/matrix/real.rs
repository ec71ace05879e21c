//! A database of the real kernel in the middle of its work, with recovery: its graph tells which transaction a backup is at.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use neo4j_admin::backup::manifest::{Verdict, verify};
use neo4j_admin::backup::recover::RecoverySettings;
use neo4j_admin::recovery;
use neo4j_admin::store::layout::DatabaseLayout;
use neo4j_admin::txlog::retention::Retention;

use super::scene::{Backup, Before, Scene};
use crate::support::backup_run::{BackupRun, contents};
use crate::support::digest;
use crate::support::faulty_disk::FaultyDisk;
use crate::support::live_source::LiveSource;
use crate::support::memory_source::{MemoryDatabase, MemorySource};
use crate::support::real_database;
use crate::support::recovery::{recover, recovery as recovery_of, run};
use crate::support::serving::Serving;
use crate::support::stores::{self, GraphDigest};

/// Transactions that an incremental run brings.
const NEW: u64 = 24;

const SETTINGS: RecoverySettings =
    RecoverySettings { page_cache: 8 << 20, threads: 2, retention: Retention::All };

pub struct Real {
    server: Arc<Serving>,
    before: Before,
    source: Arc<Source>,
}

/// What the server has.
struct Source {
    /// The files as a crash left them.
    crashed: Backup,
    last: GraphDigest,
    /// Digests after earlier transactions, as far as they were asked for.
    digests: Mutex<BTreeMap<u64, GraphDigest>>,
}

impl Source {
    /// Lays out the files in a directory of their own.
    fn lay_out(&self) -> (BackupRun, PathBuf) {
        let scratch = BackupRun::over(&self.crashed);
        let path = scratch.path("neo4j");
        (scratch, path)
    }

    fn digest_at(&self, transaction: u64) -> GraphDigest {
        if transaction == self.last.transaction {
            return self.last.clone();
        }
        let mut digests = self.digests.lock().unwrap();
        let compute = || {
            let (_scratch, path) = self.lay_out();
            recover(&path, Some(transaction + 1));
            digest::of(&path)
        };
        digests.entry(transaction).or_insert_with(compute).clone()
    }
}

impl Real {
    /// A scene for each kind of run: what is replaced is the backup of another store.
    pub fn all() -> [Self; 3] {
        let crashed = unpacked("crashed");
        let last = stores::digests()["crashed"]["neo4j"].clone();
        let source = Arc::new(Source { crashed, last, digests: Mutex::default() });
        let (_scratch, path) = source.lay_out();
        let whole = real_database::read(&path, "neo4j");

        let (_scratch, path) = source.lay_out();
        let old = source.last.transaction - NEW;
        recover(&path, Some(old + 1));
        let continuable = backup_of(real_database::read(&path, "neo4j"));

        let (scratch, path) = (BackupRun::over(&unpacked("standard")), "neo4j");
        let mut other = real_database::read(&scratch.path(path), "neo4j");
        other.id.0 = uuid::Uuid::from_u128(0x006f_7468_6572);
        let replaceable = backup_of(other);

        let server = MemorySource { databases: vec![whole], metadata: None };
        let server = Arc::new(Serving::start(LiveSource::new(server)));
        [Before::Nothing, Before::Replaceable(replaceable), Before::Continuable(continuable)]
            .map(|before| Self { server: server.clone(), before, source: source.clone() })
    }
}

/// What shows when the backup is opened, which recovers it if it must. `exact`: a log that is damaged before its end is
/// an error, as it is for Neo4j unless it is told otherwise.
fn opened(place: &Path, exact: bool, told: &str) -> GraphDigest {
    if recovery::reason(&DatabaseLayout::flat(place)).is_ok_and(|reason| reason.is_none()) {
        return digest::of(place);
    }
    let scratch = BackupRun::over(&contents(place));
    let copy = scratch.path("neo4j");
    let mut opening = recovery_of(&copy, FaultyDisk::sound().shared());
    opening.fail_on_corrupted = exact;
    run(&opening).unwrap_or_else(|error| panic!("{error}: {told}"));
    digest::of(&copy)
}

/// The files of the database `neo4j` of an archive.
fn unpacked(archive: &str) -> Backup {
    let directory = tempfile::tempdir().unwrap();
    stores::unpack(archive, directory.path());
    contents(&directory.path().join("neo4j"))
}

/// A backup, recovered, of what a server has.
fn backup_of(database: MemoryDatabase) -> Backup {
    let server = Serving::start(MemorySource { databases: vec![database], metadata: None });
    let run = BackupRun::new();
    let mut job = run.job(server.dialer());
    job.recovery = Some(SETTINGS);
    job.back_up("neo4j").unwrap();
    run.contents("neo4j")
}

impl Scene for Real {
    fn name(&self) -> &str {
        match self.before {
            Before::Nothing => "real, first copy",
            Before::Replaceable(_) => "real, full copy",
            Before::Continuable(_) => "real, incremental",
        }
    }

    fn server(&self) -> &Serving {
        &self.server
    }

    fn before(&self) -> &Before {
        &self.before
    }

    fn recovery(&self) -> Option<RecoverySettings> {
        Some(SETTINGS)
    }

    fn share(&self) -> usize {
        8
    }

    fn check(&self, run: &BackupRun, exact: bool, told: &str) {
        let place = run.path("neo4j");
        if !place.join("neostore").exists() {
            assert!(matches!(self.before, Before::Nothing), "no backup any more: {told}");
            return;
        }
        match &self.before {
            Before::Nothing => self.check_whole(run, told),
            Before::Replaceable(old) => {
                let mut now = run.contents("neo4j");
                now.remove("database_lock");
                if now != *old {
                    self.check_whole(run, told);
                }
            }
            Before::Continuable(_) => {
                let opened = opened(&place, exact, told);
                let last = self.source.last.transaction;
                assert!((last - NEW..=last).contains(&opened.transaction), "{opened:?}: {told}");
                assert_eq!(opened, self.source.digest_at(opened.transaction), "{told}");
            }
        }
    }

    fn check_whole(&self, run: &BackupRun, told: &str) {
        let place = run.path("neo4j");
        let reason = recovery::reason(&DatabaseLayout::flat(&place)).unwrap();
        assert_eq!(reason, None, "{told}");
        assert_eq!(digest::of(&place), self.source.last, "{told}");
        let verdict = verify(&place, 1).unwrap();
        assert!(
            matches!(&verdict, Verdict::Compared { differences, .. } if differences.is_empty()),
            "{verdict:?}: {told}"
        );
    }
}
