//! A backup whose files are changed where they are, and its manifest, which says so until it is true again.

use std::num::NonZeroU64;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use super::BackupError;
use super::manifest::{BLOCK, CheckResult, End, Facts, Manifest, ManifestError, Origin, State};
use super::stop::Stop;
use super::target::{DatabaseGuard, Target};
use crate::io::disk::SharedDisk;
use crate::io::tracked_disk::TrackedDisk;
use crate::store::id::TransactionId;

/// Bytes of a block as the tracked disk wants them.
const TRACKED: NonZeroU64 = match NonZeroU64::new(BLOCK) {
    Some(block) => block,
    None => NonZeroU64::MIN,
};

/// See the module. Before the first change the backup is locked against Neo4j's own tools, and its manifest says that it
/// is being changed. Specification: command line 4.11.
#[derive(Debug)]
pub struct Changing {
    location: PathBuf,
    below: SharedDisk,
    disk: Arc<TrackedDisk>,
    guard: DatabaseGuard,
    /// `None`: there is none, or none that can be read.
    manifest: Option<Manifest>,
    /// Whether its checksums are those of the files.
    is_true: bool,
    begun: Mutex<bool>,
}

impl Changing {
    /// Looks at the manifest of a backup. Nothing is changed.
    pub fn of(target: &Target, disk: &SharedDisk) -> Result<Self, BackupError> {
        let location = target.location().to_owned();
        let manifest = match Manifest::read(&location) {
            Ok(manifest) => manifest,
            Err(error @ ManifestError::Disk(_)) => return Err(error.into()),
            // A new one takes its place.
            Err(error) => {
                tracing::info!("{error}");
                None
            }
        };
        let is_true = manifest.as_ref().is_some_and(|manifest| {
            // Neo4j's own tools change the files and leave the manifest.
            manifest.backup.state == State::Complete
                && End::of(&location).is_ok_and(|end| end.is_that_of(&manifest.backup))
        });
        Ok(Self {
            location,
            below: disk.clone(),
            disk: Arc::new(TrackedDisk::new(disk.clone(), TRACKED)),
            guard: target.guard(),
            manifest,
            is_true,
            begun: Mutex::default(),
        })
    }

    /// Through which the files are changed, after [`Self::begin`].
    pub fn disk(&self) -> SharedDisk {
        self.disk.clone()
    }

    /// What the manifest says.
    pub fn facts(&self) -> Option<&Facts> {
        self.manifest.as_ref().map(|manifest| &manifest.backup)
    }

    /// The transaction that the logs must reach before the files make sense, if they were not recovered yet.
    pub fn required(&self) -> Option<TransactionId> {
        self.facts()?.required_transaction.map(TransactionId)
    }

    /// Prepares for the first change. Further calls do nothing.
    pub fn begin(&self) -> Result<(), BackupError> {
        let mut begun = self.begun.lock().unwrap_or_else(PoisonError::into_inner);
        if !*begun {
            self.guard.take()?;
            if let Some(manifest) = &self.manifest {
                manifest.begin_change(&*self.below, &self.location)?;
            }
            *begun = true;
        }
        Ok(())
    }

    /// Makes the manifest true again: if something was changed, or if it was not true before, or if the check said
    /// something new. Only blocks that were changed are read.
    pub fn end(
        &self,
        origin: &Origin,
        recovered: bool,
        checked: CheckResult,
        threads: usize,
        stop: &Stop,
    ) -> Result<(), BackupError> {
        let begun = *self.begun.lock().unwrap_or_else(PoisonError::into_inner);
        if !begun && self.is_true && self.facts().is_some_and(|facts| facts.checked == checked) {
            return Ok(());
        }
        self.guard.take()?;
        let mut facts = Facts::of(&self.location, origin, recovered)?;
        facts.checked = checked;
        let manifest = match &self.manifest {
            Some(manifest) if self.is_true => {
                manifest.update(&self.location, facts, &self.disk.changes(), threads, stop)?
            }
            _ => Manifest::of(&self.location, facts, threads, stop)?,
        };
        let tools = Path::new(crate::store::layout::TOOLS);
        if !self.location.join(tools).is_dir() {
            self.below.create_dir(&self.location.join(tools))?;
            self.below.sync_dir(&self.location)?;
        }
        Ok(manifest.write(&*self.below, &self.location)?)
    }
}
