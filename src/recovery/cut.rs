//! Cutting the logs off behind the last transaction that counts. What is cut off is kept in an archive.
//!
//! Specification: transaction log 8.8.

use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};

use zip::write::SimpleFileOptions;
use zip::{CompressionMethod, ZipWriter};

use super::RecoveryError;
use super::progress::{RecoveryEvent, RecoveryProgress};
use crate::io::disk::{Disk, DiskError, DiskFile, SharedDisk};
use crate::store::layout::{DatabaseLayout, log_file_name};
use crate::txlog::LogPosition;
use crate::txlog::checkpoint::Checkpoint;
use crate::txlog::files::LogFiles;
use crate::txlog::header::LogHeader;

/// The directory of archives, in that of the database, and how their names begin.
const ARCHIVES: &str = "corrupted-neostore.transaction.db";

/// A part of a file that is cut off: everything from an offset on. From 0 on: the file is deleted.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Part {
    path: PathBuf,
    name: String,
    from: u64,
}

/// Cuts off everything behind `end` in the logs, unless it is only the zeros of a file that was allocated in advance.
///
/// What is cut off is on the medium in its archive before. `time`: now, ms since the epoch. Returns the archive.
pub(super) fn cut_off(
    disk: &SharedDisk,
    layout: &DatabaseLayout,
    logs: &LogFiles,
    end: LogPosition,
    time: i64,
    progress: &dyn RecoveryProgress,
) -> Result<Option<PathBuf>, RecoveryError> {
    let mut parts = Vec::new();
    let last = logs.path(end.log_version);
    if holds_data(&**disk, &last, end.offset)? {
        parts.push(Part { path: last, name: log_file_name(end.log_version), from: end.offset });
    }
    for later in logs.versions().filter(|log_version| *log_version > end.log_version) {
        parts.push(Part { path: logs.path(later), name: log_file_name(later), from: 0 });
    }
    if parts.is_empty() {
        return Ok(None);
    }
    parts.extend(checkpoints_behind(logs, end)?);
    let archive = archive(disk, layout, &parts, end, time)?;
    // From the last file to the first, so that at each moment the logs are a shorter history and have no hole.
    for part in parts.iter().rev() {
        if part.from == 0 {
            disk.remove_file(&part.path)?;
        } else {
            let file = disk.open(&part.path)?;
            file.set_len(part.from)?;
            file.sync()?;
        }
    }
    disk.sync_dir(&layout.logs)?;
    progress.event(&RecoveryEvent::CutOff { position: end, archive: archive.clone() });
    Ok(Some(archive))
}

/// Whether anything but zeros stands at `from` or behind it.
fn holds_data(disk: &dyn Disk, path: &Path, from: u64) -> Result<bool, DiskError> {
    let file = disk.open(path)?;
    let mut rest = Rest { file: &*file, offset: from };
    let mut buffer = vec![0; 1 << 18];
    loop {
        let count = rest.file.read_at(rest.offset, &mut buffer)?;
        let read = buffer.get(..count).unwrap_or_default();
        if count == 0 {
            return Ok(false);
        }
        if read.iter().any(|byte| *byte != 0) {
            return Ok(true);
        }
        rest.offset += count as u64;
    }
}

/// Records of checkpoint logs from the first one that names a place behind `end` on. There are some if the last
/// checkpoint was unreadable and an earlier one is used.
fn checkpoints_behind(logs: &LogFiles, end: LogPosition) -> Result<Vec<Part>, DiskError> {
    let mut parts = Vec::new();
    for (_, path) in logs.checkpoints() {
        let from = if parts.is_empty() { first_behind(path, end)? } else { Some(0) };
        if let Some(from) = from {
            let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
            parts.push(Part { path: path.to_owned(), name, from });
        }
    }
    Ok(parts)
}

fn first_behind(path: &Path, end: LogPosition) -> Result<Option<u64>, DiskError> {
    let bytes = std::fs::read(path).map_err(|source| DiskError::new("read", path, source))?;
    let records = bytes.get(LogHeader::SIZE..).unwrap_or_default();
    let (records, _) = records.as_chunks::<{ Checkpoint::SIZE }>();
    let place = records.iter().position(|record| match Checkpoint::decode(record) {
        Ok(checkpoint) => checkpoint.position > end,
        Err(_) => false,
    });
    Ok(place.map(|place| (LogHeader::SIZE + place * Checkpoint::SIZE) as u64))
}

/// Writes and forces the archive.
fn archive(
    disk: &SharedDisk,
    layout: &DatabaseLayout,
    parts: &[Part],
    end: LogPosition,
    time: i64,
) -> Result<PathBuf, RecoveryError> {
    let directory = layout.database.join(ARCHIVES);
    if !directory.is_dir() {
        disk.create_dir(&directory)?;
        disk.sync_dir(&layout.database)?;
    }
    let path = directory.join(format!("{ARCHIVES}-{}-{}-{time}.zip", end.log_version, end.offset));
    let failed = |source: io::Error| RecoveryError::Archive { position: end, path: path.clone(), source };
    let file = disk.create(&path, 0o666)?;
    let mut zip =
        ZipWriter::new_stream(io::BufWriter::with_capacity(1 << 18, Out { file: &*file, offset: 0 }));
    for part in parts {
        let options =
            SimpleFileOptions::default().compression_method(CompressionMethod::Deflated).large_file(true);
        zip.start_file(&part.name, options).map_err(|error| failed(error.into()))?;
        let source = disk.open(&part.path)?;
        io::copy(&mut Rest { file: &*source, offset: part.from }, &mut zip).map_err(failed)?;
    }
    let mut out = zip.finish().map_err(|error| failed(error.into()))?.into_inner();
    out.flush().map_err(failed)?;
    file.sync()?;
    disk.sync_dir(&directory)?;
    Ok(path)
}

/// Reads a file from an offset on.
struct Rest<'a> {
    file: &'a dyn DiskFile,
    offset: u64,
}

impl Read for Rest<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.file.read_at(self.offset, buffer).map_err(|error| error.source)?;
        self.offset += count as u64;
        Ok(count)
    }
}

/// Writes a file from its beginning on.
struct Out<'a> {
    file: &'a dyn DiskFile,
    offset: u64,
}

impl Write for Out<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.file.write_at(self.offset, bytes).map_err(|error| error.source)?;
        self.offset += bytes.len() as u64;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
