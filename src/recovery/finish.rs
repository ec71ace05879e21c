//! The end of a recovery: fields of the metadata store, and the checkpoint that says that all is done.
//!
//! Specification: transaction log 8.8, 8.11.

use super::RecoveryError;
use super::window::Window;
use crate::io::disk::SharedDisk;
use crate::store::id::TransactionId;
use crate::store::layout::{self, BUILDING, DatabaseLayout};
use crate::store::neostore::{Field, Neostore};
use crate::txlog::KernelVersion;
use crate::txlog::checkpoint::{Checkpoint, Reason};
use crate::txlog::files::LogFiles;
use crate::txlog::header::LogHeader;

/// Size from which on a checkpoint log is followed by a new one. Specification: transaction log 3.5.
const ROTATION_SIZE: usize = 1 << 20;

/// Gives the fields of the metadata store the values of the end of the window.
pub(super) fn set_fields(neostore: &mut Neostore, window: &Window, checkpoint_log: u64) {
    if let Some(last) = window.last {
        neostore.set(Field::LastTransactionId, last.id.0);
        neostore.set(Field::LastTransactionChecksum, last.checksum.cast_signed().into());
        neostore.set(Field::LastTransactionTime, last.commit_time);
    }
    neostore.set(Field::LogVersion, window.end.log_version as i64);
    neostore.set(Field::LastClosedLogVersion, window.end.log_version as i64);
    neostore.set(Field::LastClosedOffset, window.end.offset as i64);
    neostore.set(Field::CheckpointLogVersion, checkpoint_log as i64);
    if let Some(version) = window.metadata.kernel_version {
        neostore.set(Field::KernelVersion, version);
    }
    if let Some(TransactionId(id)) = window.metadata.last_constraint {
        neostore.set(Field::LastConstraintTransaction, id);
    }
}

/// The checkpoint log that is appended to: the one that the metadata store names, or a later one if there is one.
pub(super) fn checkpoint_log(neostore: &Neostore, logs: &LogFiles) -> u64 {
    let highest = logs.checkpoints().next_back().map(|(number, _)| number);
    neostore.checkpoint_log_version().max(highest.unwrap_or(0))
}

/// Appends the checkpoint: everything up to the fields of the metadata store is on the medium. Nothing of a recovery
/// comes after it.
///
/// The file is replaced as a whole, so that there is never a record of which only a part has arrived: Neo4j could not
/// read past that. `time`: now, ms since the epoch.
pub(super) fn checkpoint(
    disk: &SharedDisk,
    layout: &DatabaseLayout,
    neostore: &mut Neostore,
    window: &Window,
    time: i64,
) -> Result<(), RecoveryError> {
    let number = neostore.checkpoint_log_version();
    let (store_id, last) = (neostore.store_id()?, neostore.last_transaction()?);
    let path = layout.logs.join(layout::checkpoint_file_name(number));
    let mut bytes = match std::fs::read(&path) {
        Ok(bytes) => bytes,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Vec::new(),
        Err(source) => return Err(crate::io::disk::DiskError::new("read", &path, source).into()),
    };
    let header = LogHeader::decode(&bytes).ok().flatten();
    if header.is_none_or(|header| header.log_version != number) {
        bytes = LogHeader::new(number, last, store_id).encode();
    }
    bytes.truncate(records_end(&bytes));
    let reason = format!("Checkpoint triggered by \"Recovery completed.\" @ txId: {last}");
    let record = Checkpoint {
        version: KernelVersion::LATEST,
        position: window.end,
        time,
        store_id,
        reason: Reason::new(&reason),
    };
    bytes.extend(record.encode());
    replace(disk, layout, number, &bytes)?;
    if bytes.len() >= ROTATION_SIZE {
        neostore.set(Field::CheckpointLogVersion, number as i64 + 1);
        neostore.write(disk)?;
        replace(disk, layout, number + 1, &LogHeader::new(number + 1, last, store_id).encode())?;
    }
    Ok(())
}

/// Where the next record goes: behind the last readable one. A part of a record and zeros that stand there are dropped, and
/// what is damaged: nobody could read past it.
fn records_end(file: &[u8]) -> usize {
    let records = file.get(LogHeader::SIZE..).unwrap_or_default();
    let (records, _) = records.as_chunks::<{ Checkpoint::SIZE }>();
    let count = records.iter().take_while(|record| Checkpoint::decode(record).is_ok()).count();
    LogHeader::SIZE + count * Checkpoint::SIZE
}

fn replace(
    disk: &SharedDisk,
    layout: &DatabaseLayout,
    number: u64,
    bytes: &[u8],
) -> Result<(), RecoveryError> {
    let path = layout.logs.join(layout::checkpoint_file_name(number));
    // Not named like a checkpoint log, for Neo4j might take it for one.
    let temporary = layout.logs.join(format!("last_checkpoint{BUILDING}"));
    let file = disk.create(&temporary, 0o666)?;
    file.write_at(0, bytes)?;
    file.sync()?;
    drop(file);
    disk.rename(&temporary, &path)?;
    Ok(disk.sync_dir(&layout.logs)?)
}
