//! Whether a database can be checked at all. Specification: consistency check 1.4, 1.5.

use super::error::CheckError;
use crate::io::disk::Disk;
use crate::io::lock::{FileLock, LockError};
use crate::store::layout::DatabaseLayout;
use crate::txlog::files::LogFiles;
use crate::txlog::tail::{RecoveryReason, Tail, recovery_reason};

/// The name of a database or of the directory of a backup.
fn name(layout: &DatabaseLayout) -> String {
    let name = layout.database.file_name();
    name.unwrap_or(layout.database.as_os_str()).to_string_lossy().into_owned()
}

/// There is a database.
pub(super) fn exists(layout: &DatabaseLayout) -> Result<(), CheckError> {
    if layout.neostore().is_file() { Ok(()) } else { Err(CheckError::NoDatabase { name: name(layout) }) }
}

/// Locks a database against everybody else. The lock file is made if it is missing, and stays.
pub fn lock(disk: &dyn Disk, layout: &DatabaseLayout) -> Result<FileLock, CheckError> {
    exists(layout)?;
    disk.lock(&layout.lock()).map_err(|error| match error {
        LockError::Held { .. } => CheckError::InUse { name: name(layout) },
        LockError::Disk(source) => CheckError::NoPermission { source },
    })
}

/// The store is what its logs say.
pub(super) fn is_recovered(layout: &DatabaseLayout) -> Result<(), CheckError> {
    let unknown = |source| CheckError::RecoveryUnknown { source };
    let logs = LogFiles::list(&layout.logs).map_err(unknown)?;
    // What is missing is told without a look into the logs, as Neo4j does.
    let nothing = Tail { checkpoint: None, entries_after: false };
    if let Some(reason) = recovery_reason(layout, &logs, &nothing)
        && !matches!(reason, RecoveryReason::MissingLogs)
    {
        return Err(CheckError::RecoveryRequired { reason });
    }
    let tail = Tail::find(&logs).map_err(unknown)?;
    match recovery_reason(layout, &logs, &tail) {
        None => Ok(()),
        Some(reason) => Err(CheckError::RecoveryRequired { reason }),
    }
}
