//! The manifest of a backup, `tools/manifest.toml`: what it is, and every file with its size and checksums.
//!
//! ```toml
//! [backup]
//! format = 1
//! state = "complete"
//! database = "neo4j"
//! # ... see Facts
//!
//! [[file]]
//! path = "neostore"
//! size = 8192
//! blocks = "1c291ca3"
//! # crc32c 9d3f0c1e
//! ```
//!
//! The last line is a comment with the checksum of everything before it. Files stand in the order of their paths; the
//! manifest itself and `database_lock` are not among them. Specification: command line 4.11.

mod blocks;
mod listing;
mod verify;

use std::fmt::Write;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use self::blocks::Source;
pub use self::blocks::{BLOCK, Checksums};
use self::listing::Listed;
pub use self::verify::{Difference, Verdict, verify};
use crate::backup::stop::{Signal, Stop};
use crate::io::disk::{Disk, DiskError, DiskFile};
use crate::io::tracked_disk::{BlockChange, Changes};
use crate::store::id::{DatabaseId, StoreId, StoreVersion, TransactionId};
use crate::store::layout::DatabaseLayout;
use crate::store::neostore::{Neostore, NeostoreError};
use crate::txlog::LogError;
use crate::txlog::files::LogFiles;
use crate::txlog::tail::last_detached;

/// Where the manifest lies below a backup.
pub const MANIFEST_FILE: &str = "tools/manifest.toml";
/// Where it is written before it takes its place.
const NEW_MANIFEST_FILE: &str = "tools/manifest.toml.new";

/// The format that this program writes and reads.
const FORMAT: u32 = 1;

/// What the last line begins with.
const CHECKSUM_MARK: &str = "# crc32c ";

/// Why a manifest can't be read or made.
#[derive(Debug, thiserror::Error)]
pub enum ManifestError {
    /// The file system.
    #[error(transparent)]
    Disk(#[from] DiskError),
    /// It is no manifest, or a damaged one.
    #[error("{}: the manifest is unreadable: {reason}", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// Another program wrote it.
    #[error("{}: the manifest has format {found}, this version reads format {FORMAT}", path.display())]
    Format {
        /// The file.
        path: PathBuf,
        /// Its format.
        found: u32,
    },
    /// A name that can't stand in a manifest.
    #[error("'{}': the name of a file in a backup must be UTF-8, and the file neither a link nor a device", .0.display())]
    Name(PathBuf),
    /// The metadata store of the backup.
    #[error(transparent)]
    Neostore(#[from] NeostoreError),
    /// The logs of the backup.
    #[error(transparent)]
    Log(#[from] LogError),
    /// The user ended the run.
    #[error("interrupted by {0}")]
    Interrupted(Signal),
}

/// A manifest in memory.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Manifest {
    /// What the backup is.
    pub backup: Facts,
    /// Its files by their paths.
    #[serde(rename = "file", default)]
    pub files: Vec<FileEntry>,
}

/// Whether the files are those of the manifest.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum State {
    /// They are.
    Complete,
    /// A run began to change them and has not come to its end.
    Changing,
}

/// How the last run got its data.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// All files.
    Full,
    /// New transactions only.
    Incremental,
}

/// What the consistency check said.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum CheckResult {
    /// There was none, or it could not come to its end.
    No,
    /// Nothing.
    Consistent,
    /// Something.
    Inconsistent,
}

/// What a backup is, where it comes from and how far it goes.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Facts {
    format: u32,
    /// Whether the files are those that are listed.
    pub state: State,
    /// Name of the database.
    pub database: String,
    /// Its id.
    pub database_id: String,
    /// The five values of the store id, in the order of the protocol.
    pub store_id: [i64; 5],
    /// Record format.
    pub store_version: String,
    /// Host and port that it came from.
    pub server: String,
    /// Version of the protocol there.
    pub protocol: String,
    /// Version of this program.
    pub tool_version: String,
    /// How the last run got its data.
    pub kind: Kind,
    /// The first transaction in the logs of the copy when it was made.
    pub first_transaction: i64,
    /// The last transaction in the logs.
    pub last_transaction: i64,
    /// The transaction up to which the logs must reach before the store files make sense; told until they are
    /// recovered.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub required_transaction: Option<i64>,
    /// The last checkpoint record: log file, offset there, and time in ms since the epoch.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub checkpoint: Option<[i64; 3]>,
    /// Whether all transactions of the logs are applied to the store files.
    pub recovered: bool,
    /// What the consistency check said.
    pub checked: CheckResult,
    /// When the run began, RFC 3339, UTC.
    pub started: String,
    /// When it ended.
    pub finished: String,
    /// Bytes of files and transactions that the last run received.
    pub bytes_received: u64,
}

/// What a run knows of the backup that it made.
#[derive(Clone, Debug)]
pub struct Origin {
    /// Name of the database.
    pub database: String,
    /// Its id.
    pub database_id: DatabaseId,
    /// Its store id.
    pub store_id: StoreId,
    /// Host and port of the server.
    pub server: String,
    /// Version of the protocol there.
    pub protocol: String,
    /// Version of this program.
    pub tool_version: &'static str,
    /// How the data came.
    pub kind: Kind,
    /// The first transaction that was asked for.
    pub first_transaction: TransactionId,
    /// The transaction that the logs must reach.
    pub required_transaction: Option<TransactionId>,
    /// When the run began.
    pub started: OffsetDateTime,
    /// Bytes received.
    pub bytes_received: u64,
}

/// A file of a backup.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FileEntry {
    /// Below the directory, with `/` between the components.
    pub path: String,
    /// Bytes.
    pub size: u64,
    /// Checksums of its blocks.
    pub blocks: Checksums,
}

/// The end of a backup by its metadata store and its checkpoint log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct End {
    pub last_transaction: i64,
    pub checkpoint: Option<[i64; 3]>,
}

impl End {
    /// Whether a manifest was written for it.
    pub fn is_that_of(&self, facts: &Facts) -> bool {
        self.last_transaction == facts.last_transaction && self.checkpoint == facts.checkpoint
    }

    /// Reads it from the files of a backup.
    pub fn of(directory: &Path) -> Result<Self, ManifestError> {
        let layout = DatabaseLayout::flat(directory);
        let last_transaction = Neostore::read(&layout.neostore())?.last_transaction()?.0;
        let last = last_detached(&LogFiles::list(&layout.logs)?)?.map(|(_, checkpoint)| {
            let position = checkpoint.position;
            [position.log_version.cast_signed(), position.offset.cast_signed(), checkpoint.time]
        });
        Ok(Self { last_transaction, checkpoint: last })
    }
}

/// A time as manifests have it.
fn written(time: OffsetDateTime) -> String {
    // Every time that a clock can show has such a form.
    time.format(&Rfc3339).unwrap_or_default()
}

/// The version of a store id by its name.
fn store_id_values(id: &StoreId) -> [i64; 5] {
    [id.creation_time, id.random, id.version.0.cast_signed(), id.upgrade_time, id.upgrade_transaction]
}

impl Facts {
    /// The facts of a backup whose files are complete. Reads its metadata store and its checkpoint log.
    pub fn of(directory: &Path, origin: &Origin, recovered: bool) -> Result<Self, ManifestError> {
        let end = End::of(directory)?;
        Ok(Self {
            format: FORMAT,
            state: State::Complete,
            database: origin.database.clone(),
            database_id: origin.database_id.to_string(),
            store_id: store_id_values(&origin.store_id),
            store_version: origin.store_id.version.to_string(),
            server: origin.server.clone(),
            protocol: origin.protocol.clone(),
            tool_version: origin.tool_version.to_owned(),
            kind: origin.kind,
            first_transaction: origin.first_transaction.0,
            last_transaction: end.last_transaction,
            required_transaction: origin.required_transaction.filter(|_| !recovered).map(|id| id.0),
            checkpoint: end.checkpoint,
            recovered,
            checked: CheckResult::No,
            started: written(origin.started),
            finished: written(OffsetDateTime::now_utc()),
            bytes_received: origin.bytes_received,
        })
    }

    /// The store id; `None`: the five values are none.
    pub fn store_id(&self) -> StoreId {
        let [creation_time, random, version, upgrade_time, upgrade_transaction] = self.store_id;
        let version = StoreVersion(version.cast_unsigned());
        StoreId { creation_time, random, version, upgrade_time, upgrade_transaction }
    }

    /// Takes over the end of the store files after they were recovered.
    pub fn recovered(&mut self, directory: &Path) -> Result<(), ManifestError> {
        let end = End::of(directory)?;
        self.last_transaction = end.last_transaction;
        self.checkpoint = end.checkpoint;
        self.recovered = true;
        self.required_transaction = None;
        self.checked = CheckResult::No;
        self.state = State::Complete;
        self.finished = written(OffsetDateTime::now_utc());
        Ok(())
    }
}

impl Manifest {
    /// Lists a directory and reads every file in it, with several threads.
    pub fn of(directory: &Path, facts: Facts, threads: usize, stop: &Stop) -> Result<Self, ManifestError> {
        let files = checksums(directory, listing::list(directory)?, threads, stop)?;
        Ok(Self { backup: facts, files })
    }

    /// The manifest of the same directory after some files were changed: reads only the blocks that are new, and those that
    /// `changes`, by paths below `directory`, names without telling how their checksums change.
    pub fn update(
        &self,
        directory: &Path,
        facts: Facts,
        changes: &std::collections::BTreeMap<PathBuf, Changes>,
        threads: usize,
        stop: &Stop,
    ) -> Result<Self, ManifestError> {
        let known = |path: &str| {
            let index = self.files.binary_search_by(|entry| entry.path.as_str().cmp(path)).ok()?;
            self.files.get(index)
        };
        let listed = listing::list(directory)?;
        let mut entries = Vec::with_capacity(listed.len());
        let mut sources = Vec::with_capacity(listed.len());
        for file in listed {
            let Listed::File { path, size } = file else {
                return Err(ManifestError::Name(file.path(directory)));
            };
            let at = directory.join(&path);
            let (old, wanted) = match (known(&path), changes.get(&at)) {
                (Some(old), None) => (Some(old), None),
                (Some(old), Some(Changes::Blocks(blocks))) => (Some(old), Some(blocks)),
                _ => (None, None),
            };
            let (blocks, source) = match old {
                None => (Checksums::default(), Source::whole(at, size)),
                Some(old) => {
                    // The block in which a file ended before it grew, and all behind it.
                    let first_new = if old.size == size { u64::MAX } else { old.size.min(size) / BLOCK };
                    let end = size.div_ceil(BLOCK);
                    let mut blocks = old.blocks.clone();
                    let mut numbers = Vec::new();
                    for (&block, change) in
                        wanted.into_iter().flatten().filter(|(block, _)| **block < first_new.min(end))
                    {
                        match change {
                            BlockChange::Unknown => numbers.push(block),
                            BlockChange::Differs(difference) => blocks.change(block, *difference),
                        }
                    }
                    numbers.extend(first_new.min(end)..end);
                    (blocks, Source::some(at, size, numbers))
                }
            };
            entries.push(FileEntry { path, size, blocks });
            sources.push(source);
        }
        for (entry, (source, computed)) in
            entries.iter_mut().zip(sources.iter().zip(blocks::compute(&sources, threads, stop)?))
        {
            entry.blocks.replace(entry.size, source, &computed);
        }
        Ok(Self { backup: facts, files: entries })
    }

    /// Reads the manifest of a backup; `None`: it has none.
    pub fn read(directory: &Path) -> Result<Option<Self>, ManifestError> {
        let path = directory.join(MANIFEST_FILE);
        let text = match fs::read_to_string(&path) {
            Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => {
                return Ok(None);
            }
            Err(error) if error.kind() == io::ErrorKind::InvalidData => {
                return Err(ManifestError::Unreadable { path, reason: "it is no text".to_owned() });
            }
            text => text.map_err(|source| DiskError::new("read", &path, source))?,
        };
        Self::parse(&text).map(Some).map_err(|refusal| match refusal {
            Refusal::Unreadable(reason) => ManifestError::Unreadable { path, reason },
            Refusal::Format(found) => ManifestError::Format { path, found },
        })
    }

    fn parse(text: &str) -> Result<Self, Refusal> {
        /// The one field that every format has.
        #[derive(Deserialize)]
        struct Any {
            backup: Format,
        }
        #[derive(Deserialize)]
        struct Format {
            format: u32,
        }
        let (body, mark) = text.rfind(CHECKSUM_MARK).map_or((text, ""), |at| text.split_at(at));
        let stored = mark.strip_prefix(CHECKSUM_MARK).map(str::trim_end);
        if stored != Some(checksum_line(body).as_str()) {
            return Err(Refusal::Unreadable("its checksum is missing or wrong".to_owned()));
        }
        let unreadable = |error: toml::de::Error| Refusal::Unreadable(error.message().to_owned());
        let any: Any = toml::from_str(body).map_err(unreadable)?;
        if any.backup.format != FORMAT {
            return Err(Refusal::Format(any.backup.format));
        }
        let manifest: Self = toml::from_str(body).map_err(unreadable)?;
        for pair in manifest.files.windows(2) {
            if let [first, second] = pair
                && first.path >= second.path
            {
                return Err(Refusal::Unreadable(format!("'{}' is out of order", second.path)));
            }
        }
        for file in &manifest.files {
            if !listing::is_below(&file.path) {
                return Err(Refusal::Unreadable(format!("'{}' is no path below the backup", file.path)));
            }
            if file.blocks.len() as u64 != file.size.div_ceil(BLOCK) {
                return Err(Refusal::Unreadable(format!(
                    "the checksums of '{}' do not fit its size",
                    file.path
                )));
            }
        }
        Ok(manifest)
    }

    fn encode(&self) -> String {
        // Nothing in these types has no form in TOML.
        let mut text = toml::to_string(self).unwrap_or_default();
        let checksum = checksum_line(&text);
        let appended = writeln!(text, "{CHECKSUM_MARK}{checksum}");
        debug_assert!(appended.is_ok(), "a string takes all that is written to it");
        text
    }

    /// Writes the manifest beside the one that is there, forces it and puts it in its place. The directory `tools` must
    /// be there.
    pub fn write(&self, disk: &dyn Disk, directory: &Path) -> Result<(), DiskError> {
        self.write_beside(disk, directory)?.sync()?;
        Self::take_place(disk, directory)?;
        disk.sync_dir(&directory.join(crate::store::layout::TOOLS))
    }

    /// Writes the manifest beside the one that is there; the caller forces it.
    pub fn write_beside(&self, disk: &dyn Disk, directory: &Path) -> Result<Box<dyn DiskFile>, DiskError> {
        let file = disk.create(&directory.join(NEW_MANIFEST_FILE), 0o666)?;
        file.write_at(0, self.encode().as_bytes())?;
        Ok(file)
    }

    /// Puts a manifest that was written beside in its place; the caller forces the directory `tools`.
    pub fn take_place(disk: &dyn Disk, directory: &Path) -> Result<(), DiskError> {
        disk.rename(&directory.join(NEW_MANIFEST_FILE), &directory.join(MANIFEST_FILE))
    }

    /// Says on the medium that the files are about to change.
    pub fn begin_change(&self, disk: &dyn Disk, directory: &Path) -> Result<(), DiskError> {
        let mut changing = self.clone();
        changing.backup.state = State::Changing;
        changing.write(disk, directory)
    }
}

/// Why a text is no manifest.
enum Refusal {
    Unreadable(String),
    Format(u32),
}

fn checksum_line(body: &str) -> String {
    format!("{:08x}", crc32c::crc32c(body.as_bytes()))
}

/// The entries of listed files with their checksums.
fn checksums(
    directory: &Path,
    listed: Vec<Listed>,
    threads: usize,
    stop: &Stop,
) -> Result<Vec<FileEntry>, ManifestError> {
    let mut entries = Vec::with_capacity(listed.len());
    let mut sources = Vec::with_capacity(listed.len());
    for file in listed {
        let Listed::File { path, size } = file else { return Err(ManifestError::Name(file.path(directory))) };
        sources.push(Source::whole(directory.join(&path), size));
        entries.push(FileEntry { path, size, blocks: Checksums::default() });
    }
    for (entry, (source, computed)) in
        entries.iter_mut().zip(sources.iter().zip(blocks::compute(&sources, threads, stop)?))
    {
        entry.blocks.replace(entry.size, source, &computed);
    }
    Ok(entries)
}

#[cfg(test)]
mod tests;
