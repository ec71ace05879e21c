//! The last stage: whether the recovered copy is consistent. Specification: command line 4.6, 4.8.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use tokio::runtime::Handle;

use super::manifest::CheckResult;
use super::progress::{Event, Progress};
use super::stop::Stop;
use super::worker::aside;
use super::{BackupError, story};
use crate::consistency::{Check, CheckError, CheckOptions, CheckProgress};
use crate::io::disk::SharedDisk;
use crate::store::layout::DatabaseLayout;

/// How a copy is checked.
#[derive(Clone)]
pub struct CheckSettings {
    /// What is checked, and where the report goes.
    pub options: CheckOptions,
    /// Bytes of the page cache.
    pub page_cache: u64,
    /// Threads that read at the same time.
    pub threads: usize,
    /// Shows how far it is.
    pub progress: Arc<dyn CheckProgress + Send + Sync>,
}

/// What a check works with.
pub(super) struct CheckStage<'a> {
    pub disk: &'a SharedDisk,
    pub settings: &'a CheckSettings,
    pub progress: &'a Arc<dyn Progress>,
    pub runtime: &'a Handle,
    pub stop: &'a Stop,
}

/// What is known of the consistency of a copy.
#[derive(Debug)]
pub(super) enum Checked {
    /// No check was asked for.
    No,
    /// It is consistent.
    Consistent,
    /// It is not, and this file says where.
    Inconsistent(PathBuf),
    /// The check did not come to its end.
    Failed(CheckError),
}

impl Checked {
    /// How the manifest has it.
    pub fn result(&self) -> CheckResult {
        match self {
            Self::No | Self::Failed(_) => CheckResult::No,
            Self::Consistent => CheckResult::Consistent,
            Self::Inconsistent(_) => CheckResult::Inconsistent,
        }
    }

    /// Whether a good backup may give way to the copy.
    pub fn is_good(&self) -> bool {
        matches!(self, Self::No | Self::Consistent)
    }

    /// How a run ends because of it, when everything else is done.
    pub fn into_result(self) -> Result<(), BackupError> {
        match self {
            Self::No | Self::Consistent => Ok(()),
            Self::Inconsistent(report) => Err(BackupError::Inconsistent { report }),
            Self::Failed(source) => Err(BackupError::NotChecked { source: Box::new(source) }),
        }
    }
}

impl CheckStage<'_> {
    /// Checks the copy in a directory. An error means that a signal came.
    pub fn check(&self, directory: &Path) -> Result<Checked, BackupError> {
        let CheckSettings { options, page_cache, threads, progress } = self.settings.clone();
        let layout = DatabaseLayout::flat(directory);
        let check = Check { layout, disk: self.disk.clone(), options, page_cache, threads };
        // It writes nothing but its report, so it need not be waited for.
        let verdict = aside("check", self.runtime, self.stop, Duration::ZERO, move || check.run(&*progress))?;
        Ok(match verdict {
            Ok(verdict) => {
                for index in &verdict.unchecked {
                    let text = "The contents of this index were not compared with the store";
                    self.warn(format!("{text}: {index}"));
                }
                if verdict.is_consistent() {
                    Checked::Consistent
                } else {
                    Checked::Inconsistent(verdict.report.unwrap_or_default())
                }
            }
            Err(error) => {
                let directory = directory.display();
                self.warn(format!("The copy in '{directory}' could not be checked: {}", story(&error)));
                Checked::Failed(error)
            }
        })
    }

    fn warn(&self, text: String) {
        self.progress.report(&Event::Warning(text));
    }
}
