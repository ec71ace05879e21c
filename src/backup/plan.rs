//! Whether an earlier backup is continued or replaced, and from which errors a full copy saves.

use std::io;

use rustix::io::Errno;

use super::incremental::Point;
use super::source::Source;
use super::target::{Existing, Target};
use super::{BackupError, system_error};
use crate::catchup::CatchupError;
use crate::io::disk::DiskError;
use crate::recovery::RecoveryError;
use crate::store::neostore::NeostoreError;
use crate::txlog::LogError;

/// What is to be done for one database.
#[derive(Debug)]
pub enum Plan {
    /// Nothing is there.
    First,
    /// What is there can't be continued.
    Replace(BackupError),
    /// What is there gets what is new.
    Continue(Box<Point>),
}

/// Looks at what lies at the place of the backup. Specification: command line 4.2.
pub fn decide(source: &Source, target: &Target) -> Result<Plan, BackupError> {
    let location = target.location();
    match target.existing()? {
        Existing::Nothing => Ok(Plan::First),
        Existing::Foreign => Ok(Plan::Replace(BackupError::ForeignContent(location.to_owned()))),
        Existing::Backup { store_id, .. } if store_id.is_some_and(|id| id != source.store_id) => {
            Ok(Plan::Replace(BackupError::StoreIdDiffers))
        }
        Existing::Backup { database_id: Some(local), .. } if local != source.database => {
            Ok(Plan::Replace(BackupError::DatabaseIdDiffers { local, remote: source.database }))
        }
        Existing::Backup { .. } => match Point::find(location) {
            Ok(point) => Ok(Plan::Continue(Box::new(point))),
            Err(error) if is_cured_by_full_copy(&error) => Ok(Plan::Replace(error)),
            Err(error) => Err(error),
        },
    }
}

/// Whether a full copy helps where an incremental failed: the old backup is of something else or unreadable, or the
/// server lacks the transactions. Not when the network, the server or the file system does not work, which the full
/// copy needs as well. Specification: command line 4.2.
pub fn is_cured_by_full_copy(error: &BackupError) -> bool {
    match error {
        BackupError::ForeignContent(_)
        | BackupError::StoreIdDiffers
        | BackupError::DatabaseIdDiffers { .. }
        | BackupError::NoCheckpoint(_)
        | BackupError::NoProgress { pruned: true, .. }
        | BackupError::FirstTransaction { .. }
        | BackupError::TransactionOrder { .. }
        | BackupError::OtherHistory { .. }
        | BackupError::Neostore(NeostoreError::Absent { .. } | NeostoreError::Invalid { .. }) => true,
        BackupError::Log(error) => match error {
            LogError::Disk(error) => is_local_damage(error),
            LogError::Wire(_) | LogError::Sequence { .. } => false,
            _ => true,
        },
        BackupError::Neostore(NeostoreError::Disk(error)) => is_local_damage(error),
        // A store that can't be recovered from its own logs.
        BackupError::Recovery(error) => match system_error(error) {
            Some(system) => system.kind() == io::ErrorKind::NotFound,
            None => !matches!(error, RecoveryError::Thread),
        },
        BackupError::Catchup(CatchupError::Sink { source, .. }) => {
            source.downcast_ref::<BackupError>().is_some_and(is_cured_by_full_copy)
        }
        _ => false,
    }
}

/// A medium that has lost data, or a file that is gone. Anything else (no room, no permission, too many open files)
/// stands in the way of a copy, too.
fn is_local_damage(error: &DiskError) -> bool {
    let lost = error.source.raw_os_error() == Some(Errno::IO.raw_os_error());
    matches!(error.action, "read" | "open") && (lost || error.source.kind() == io::ErrorKind::NotFound)
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::catchup::{Peer, SinkError};
    use crate::store::id::TransactionId;

    #[test]
    fn only_what_a_full_copy_can_cure_leads_to_one() {
        let disk =
            |action, number| DiskError::new(action, Path::new("file"), io::Error::from_raw_os_error(number));
        let sunk = |error: BackupError| {
            BackupError::Catchup(CatchupError::Sink {
                peer: Peer::named("server", 6362),
                request: crate::catchup::message::RequestKind::TransactionPull,
                source: SinkError::new(error),
            })
        };
        let order = || BackupError::TransactionOrder { expected: TransactionId(2), got: TransactionId(4) };
        let (eio, enospc, emfile) = (5, 28, 24);
        for (error, cured) in [
            (BackupError::StoreIdDiffers, true),
            (BackupError::NoProgress { reason: String::new(), pruned: true }, true),
            (BackupError::NoProgress { reason: String::new(), pruned: false }, false),
            (sunk(order()), true),
            (sunk(BackupError::Disk(disk("write", enospc))), false),
            (BackupError::Log(LogError::NoLogs { directory: "logs".into() }), true),
            (BackupError::Log(LogError::Disk(disk("read", eio))), true),
            (BackupError::Log(LogError::Disk(disk("write", eio))), false),
            (BackupError::Log(LogError::Disk(disk("open", emfile))), false),
            (BackupError::Neostore(NeostoreError::Disk(disk("read", enospc))), false),
            (BackupError::Disk(disk("force", eio)), false),
            (BackupError::Ended, false),
        ] {
            assert_eq!(is_cured_by_full_copy(&error), cured, "{error}");
        }
    }
}
