//! A backup that was made without recovery is recovered where it lies.

use std::num::NonZeroU64;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::BackupError;
use super::manifest::{BLOCK, End, Manifest, State};
use super::recover::Stage;
use super::target::Target;
use crate::io::disk::DiskError;
use crate::io::tracked_disk::TrackedDisk;
use crate::recovery;
use crate::store::id::TransactionId;
use crate::store::layout::DatabaseLayout;

/// Bytes of a block as the tracked disk wants them.
const TRACKED: NonZeroU64 = match NonZeroU64::new(BLOCK) {
    Some(block) => block,
    None => NonZeroU64::MIN,
};

/// What a preparation came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Prepared {
    /// All transactions were applied before.
    Nothing,
    /// They are now.
    Recovered,
}

/// Recovers the backup in a directory and keeps its manifest true. On error the same call can be made again.
pub fn prepare(directory: &Path, stage: &Stage) -> Result<Prepared, BackupError> {
    let directory = check(directory)?;
    let name = directory.file_name().and_then(|name| name.to_str());
    let Some((parent, name)) = directory.parent().zip(name) else {
        return Err(BackupError::NoBackup(directory));
    };
    let target = Target::lock(stage.disk.clone(), parent, name)?;
    let _database_lock = target.lock_database()?;
    let layout = DatabaseLayout::flat(&directory);
    let manifest = Manifest::read(&directory)?;
    let interrupted = manifest.as_ref().is_some_and(|manifest| manifest.backup.state == State::Changing);
    let required = manifest.as_ref().and_then(|manifest| manifest.backup.required_transaction);
    // Logs without a transaction behind the checkpoint need no recovery, but may lack what the files need.
    if recovery::reason(&layout)?.is_none() && !interrupted && required.is_none() {
        return Ok(Prepared::Nothing);
    }
    let Some(manifest) = manifest else {
        // Another program's backup: there is nothing to keep true.
        stage.recover(&directory, None)?;
        return Ok(Prepared::Recovered);
    };
    // Checksums of an interrupted run, or from before another program went on, are of no use.
    let known = !interrupted && End::of(&directory).is_ok_and(|end| end.is_that_of(&manifest.backup));
    manifest.begin_change(&*stage.disk, &directory)?;
    let tracked = Arc::new(TrackedDisk::new(stage.disk.clone(), TRACKED));
    let recovering = Stage { disk: tracked.clone(), ..stage.clone() };
    recovering.recover(&directory, required.map(TransactionId))?;
    let mut facts = manifest.backup.clone();
    facts.recovered(&directory)?;
    let threads = stage.settings.threads;
    let manifest = if known {
        manifest.update(&directory, facts, &tracked.changes(), threads, &stage.stop)?
    } else {
        Manifest::of(&directory, facts, threads, &stage.stop)?
    };
    manifest.write(&*stage.disk, &directory)?;
    Ok(Prepared::Recovered)
}

/// The real path of a directory that is a backup.
fn check(directory: &Path) -> Result<PathBuf, BackupError> {
    let real = match directory.canonicalize() {
        Ok(real) if real.is_dir() => real,
        Ok(_) => return Err(BackupError::NoBackup(directory.to_owned())),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            return Err(BackupError::NoTarget(directory.to_owned()));
        }
        Err(source) => return Err(DiskError::new("resolve", directory, source).into()),
    };
    if DatabaseLayout::flat(&real).neostore().is_file() { Ok(real) } else { Err(BackupError::NoBackup(real)) }
}
