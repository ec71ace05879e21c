//! The stage behind the copy: the transactions of the logs go into the store files.

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::runtime::Handle;

use super::BackupError;
use super::progress::{Event, Progress};
use super::stop::Stop;
use super::worker::aside;
use crate::io::disk::SharedDisk;
use crate::io::stopping_disk::StoppingDisk;
use crate::recovery::{Outcome, Recovery, RecoveryEvent, RecoveryProgress};
use crate::store::id::TransactionId;
use crate::store::layout::DatabaseLayout;
use crate::txlog::retention::Retention;

/// How a backup is recovered.
#[derive(Clone, Copy, Debug)]
pub struct RecoverySettings {
    /// Bytes of the page cache.
    pub page_cache: u64,
    /// Threads that write at the same time.
    pub threads: usize,
    /// Which log files stay: `dbms.tx_log.rotation.retention_policy`.
    pub retention: Retention,
}

/// How long a recovery may take to notice that the run is to end. Afterwards it is left alone: it can change nothing
/// any more, and goes with the process.
const GRACE: Duration = Duration::from_millis(700);

/// What a recovery works with.
#[derive(Clone)]
pub struct Stage {
    /// The only way to change files.
    pub disk: SharedDisk,
    /// How it is done.
    pub settings: RecoverySettings,
    /// Hears what happens.
    pub progress: Arc<dyn Progress>,
    /// Waits for the signal.
    pub runtime: Handle,
    /// Ends the run early.
    pub stop: Stop,
}

impl Stage {
    /// Recovers the backup in a directory, if it needs that. `required`: the transaction that its logs must reach.
    ///
    /// A recovery that was ended, by a signal or an error, can be run again.
    pub fn recover(&self, directory: &Path, required: Option<TransactionId>) -> Result<Outcome, BackupError> {
        let began = Instant::now();
        self.progress.report(&Event::RecoveryStarted);
        let outcome = self.run(directory, required);
        self.progress.report(&Event::RecoveryFinished { took: began.elapsed() });
        outcome
    }

    fn run(&self, directory: &Path, required: Option<TransactionId>) -> Result<Outcome, BackupError> {
        let stop = self.stop.clone();
        let recovery = Recovery {
            layout: DatabaseLayout::flat(directory),
            disk: Arc::new(StoppingDisk::new(self.disk.clone(), move || stop.requested().is_some())),
            page_cache: self.settings.page_cache,
            threads: self.settings.threads,
            retention: Some(self.settings.retention),
            until: None,
            required,
            fail_on_corrupted: true,
            force: false,
        };
        let told = Told(self.progress.clone());
        let outcome = aside("recovery", &self.runtime, &self.stop, GRACE, move || recovery.run(&told))?;
        // After a signal each step fails; a recovery that had come to its end before it noticed is one.
        outcome.map_err(|error| self.stop.requested().map_or_else(|| error.into(), BackupError::Interrupted))
    }
}

/// Tells of a recovery what an operator should know, and the rest to those who look for a mistake.
struct Told(Arc<dyn Progress>);

impl RecoveryProgress for Told {
    fn event(&self, event: &RecoveryEvent) {
        match event {
            RecoveryEvent::Unreadable { .. }
            | RecoveryEvent::NegativeCount { .. }
            | RecoveryEvent::CutOff { .. } => self.0.report(&Event::Warning(event.to_string())),
            other => tracing::info!("{other}"),
        }
    }
}
