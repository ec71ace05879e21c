//! The small database in memory, whose transactions stay unapplied: hundreds of moments in a second.

use std::sync::Arc;

use neo4j_admin::backup::recover::RecoverySettings;
use neo4j_admin::store::id::TransactionId;
use neo4j_admin::store::neostore::Neostore;
use neo4j_admin::txlog::LogPosition;
use neo4j_admin::txlog::files::LogFiles;
use neo4j_admin::txlog::reader::LogReader;

use super::scene::{Before, Scene};
use crate::backup::assert_copy;
use crate::support::backup_run::{BackupRun, not_continuable};
use crate::support::live_source::LiveSource;
use crate::support::serving::Serving;
use crate::support::small_store;
use crate::support::transactions::transaction;

/// The last transaction of the server in the second run.
const LAST: i64 = 14;

pub struct Small {
    server: Arc<Serving>,
    before: Before,
}

impl Small {
    /// A scene for each kind of run. Transactions are so large that log files are full.
    pub fn all() -> [Self; 3] {
        let source = LiveSource::new(small_store::source(1));
        let server = Arc::new(Serving::start(source.clone()));
        let run = BackupRun::new();
        run.back_up(server.dialer()).unwrap();
        let backup = run.contents("neo4j");
        source.change(|database| {
            let new = (9..=LAST).map(|id| (TransactionId(id), transaction(id, 3000 * (id % 3 + 1) as usize)));
            database.transactions.extend(new);
        });
        let replaceable = Before::Replaceable(not_continuable(backup.clone()));
        [Before::Nothing, replaceable, Before::Continuable(backup)]
            .map(|before| Self { server: server.clone(), before })
    }
}

impl Scene for Small {
    fn name(&self) -> &str {
        match self.before {
            Before::Nothing => "small, first copy",
            Before::Replaceable(_) => "small, full copy",
            Before::Continuable(_) => "small, incremental",
        }
    }

    fn server(&self) -> &Serving {
        &self.server
    }

    fn before(&self) -> &Before {
        &self.before
    }

    fn recovery(&self) -> Option<RecoverySettings> {
        None
    }

    fn share(&self) -> usize {
        1
    }

    fn check(&self, run: &BackupRun, exact: bool, told: &str) {
        let place = run.path("neo4j");
        if !place.join("neostore").exists() {
            assert!(matches!(self.before, Before::Nothing), "no backup any more: {told}");
            return;
        }
        let mut now = run.contents("neo4j");
        now.remove("database_lock");
        match &self.before {
            Before::Replaceable(old) if now == *old => {}
            Before::Nothing | Before::Replaceable(_) => self.check_whole(run, told),
            // A file that can't be opened because of the medium is what a full copy cures.
            Before::Continuable(old) if now.get("checkpoint.0") != old.get("checkpoint.0") => {
                assert!(run.told.contains("A full copy is made: "), "{told}");
                self.check_whole(run, told);
            }
            Before::Continuable(old) => {
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

    fn check_whole(&self, run: &BackupRun, told: &str) {
        assert_eq!(logged(run), Some((5..=LAST).collect()), "{told}");
        assert_copy(&run.contents("neo4j"), &small_store::database("neo4j", 7, 1));
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
