//! The state of an unfinished full copy, `tools/copy-state.toml`: what a later run may keep of it.
//!
//! The file is there as long as the copy is unfinished, and is replaced as a whole, by rename. An entry is in it only
//! when what it describes has been forced to the medium. Its last line is a checksum of everything before.
//! Specification: protocol 7.9.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::witness::Witness;
use crate::io::disk::{Disk, DiskError};
use crate::store::id::{DatabaseId, StoreId, TransactionId};
use crate::store::layout;
use crate::txlog::crc::checksum;

/// Where the state lies below the directory of a copy.
pub const COPY_STATE_FILE: &str = "tools/copy-state.toml";
/// Where it is written before it takes its place.
const NEW_COPY_STATE_FILE: &str = "tools/copy-state.toml.new";

/// The format that this program writes and reads.
const FORMAT: u32 = 1;

/// What the last line begins with.
const CHECKSUM_MARK: &str = "# crc32c ";

/// Why a state can't be used.
#[derive(Debug, thiserror::Error)]
pub enum StateError {
    /// The file system.
    #[error(transparent)]
    Disk(#[from] DiskError),
    /// It is none, or a damaged one.
    #[error("{}: the state of the copy is unreadable: {reason}", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
}

/// What is known of an unfinished copy.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CopyState {
    format: u32,
    database_id: String,
    /// Creation time, random number, version, upgrade time, upgrade transaction.
    store_id: [i64; 5],
    /// Present once everything is on the medium that no request can bring again.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub seal: Option<Seal>,
    /// Files that are complete.
    #[serde(rename = "file", default, skip_serializing_if = "Vec::is_empty")]
    pub files: Vec<ReplayableFile>,
    /// Present once nothing is missing: what is left to do is to replay.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub received: Option<Received>,
}

/// What the answer to a preparation brought.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Seal {
    /// The checkpointed transaction.
    checkpoint: i64,
    /// Names of the files to ask for.
    pub names: Vec<String>,
    /// How far the server had got before the first of them was asked for, if it could be asked.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    reached: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none", default)]
    witness: Option<Witness>,
    /// Files that came unasked.
    #[serde(rename = "file", default, skip_serializing_if = "Vec::is_empty")]
    pub files: Vec<Content>,
}

/// A file and what is in it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Content {
    /// Below the directory of the copy.
    pub path: String,
    /// Bytes.
    pub size: u64,
    /// CRC-32C of them.
    pub checksum: u32,
}

/// A file that was asked for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReplayableFile {
    /// What it was asked for by.
    pub name: String,
    /// The last checkpoint that the server told with it.
    checkpointed: i64,
    /// A transaction that no change in the file can be beyond, if the server could be asked for it.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    reached: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none", default)]
    witness: Option<Witness>,
    /// What is in it.
    pub content: Content,
}

/// How far a server has got.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reached {
    /// The last transaction.
    pub last: TransactionId,
    /// Tells whether that is still the same transaction; there is none for the first one of a store, which no server
    /// sends.
    pub witness: Option<Witness>,
}

impl Reached {
    fn parts(this: Option<Self>) -> (Option<i64>, Option<Witness>) {
        (this.map(|reached| reached.last.0), this.and_then(|reached| reached.witness))
    }

    fn of_parts(reached: Option<i64>, witness: Option<Witness>) -> Option<Self> {
        reached.map(|last| Self { last: TransactionId(last), witness })
    }
}

/// A copy that lacks nothing any more.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Received {
    /// The first transaction in its logs.
    first: i64,
    /// The transaction that they must reach for the files to make sense.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    required: Option<i64>,
}

impl CopyState {
    /// A copy that has nothing yet.
    pub fn new(database: DatabaseId, store_id: &StoreId) -> Self {
        Self {
            format: FORMAT,
            database_id: database.to_string(),
            store_id: values(store_id),
            seal: None,
            files: Vec::new(),
            received: None,
        }
    }

    /// Whether the copy is one of this database and store.
    pub fn is_of(&self, database: DatabaseId, store_id: &StoreId) -> bool {
        self.database_id == database.to_string() && self.store_id == values(store_id)
    }

    /// Whether a later run can go on with the copy.
    pub fn is_resumable(&self) -> bool {
        self.seal.is_some() || self.received.is_some()
    }

    /// Reads the state of a copy; `None`: it has none.
    pub fn read(work: &Path) -> Result<Option<Self>, StateError> {
        let path = work.join(COPY_STATE_FILE);
        let text = match fs::read(&path) {
            Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => {
                return Ok(None);
            }
            bytes => bytes.map_err(|source| DiskError::new("read", &path, source))?,
        };
        Self::parse(&text).map(Some).map_err(|reason| StateError::Unreadable { path, reason })
    }

    fn parse(text: &[u8]) -> Result<Self, String> {
        let text = std::str::from_utf8(text).map_err(|_| "it is no text".to_owned())?;
        let (body, mark) = text.rfind(CHECKSUM_MARK).map_or((text, ""), |at| text.split_at(at));
        if mark != checksum_line(body) {
            return Err("its checksum is missing or wrong".to_owned());
        }
        let state: Self = toml::from_str(body).map_err(|error| error.message().to_owned())?;
        if state.format != FORMAT {
            return Err(format!("it has format {}, this version reads format {FORMAT}", state.format));
        }
        Ok(state)
    }

    /// Writes the state of a copy that has nothing yet, and leaves it to later ones to be forced: after a power cut
    /// nobody misses it. The directory `tools` must be there.
    pub fn begin(&self, disk: &dyn Disk, work: &Path) -> Result<(), DiskError> {
        disk.create(&work.join(COPY_STATE_FILE), 0o666)?.write_at(0, self.encode().as_bytes())
    }

    /// Writes the state, forces it and puts it in its place. The directory `tools` must be there.
    pub fn write(&self, disk: &dyn Disk, work: &Path) -> Result<(), DiskError> {
        let new = work.join(NEW_COPY_STATE_FILE);
        let file = disk.create(&new, 0o666)?;
        file.write_at(0, self.encode().as_bytes())?;
        file.sync()?;
        disk.rename(&new, &work.join(COPY_STATE_FILE))?;
        disk.sync_dir(&work.join(layout::TOOLS))
    }

    fn encode(&self) -> String {
        // Nothing in these types has no form in TOML.
        let mut text = toml::to_string(self).unwrap_or_default();
        text.push_str(&checksum_line(&text));
        text
    }

    /// The copy is finished: deletes its state. The caller forces that.
    pub fn remove(disk: &dyn Disk, work: &Path) -> Result<(), DiskError> {
        let path = work.join(COPY_STATE_FILE);
        if path.exists() { disk.remove_file(&path) } else { Ok(()) }
    }
}

impl Seal {
    /// After the answer to a preparation.
    pub fn new(checkpoint: TransactionId, names: Vec<String>, files: Vec<Content>) -> Self {
        Self { checkpoint: checkpoint.0, names, reached: None, witness: None, files }
    }

    /// Adds how far the server had got before the first file was asked for.
    #[must_use]
    pub fn reached_before(mut self, reached: Option<Reached>) -> Self {
        (self.reached, self.witness) = Reached::parts(reached);
        self
    }

    /// How far the server had got before the first file was asked for.
    pub fn reached(&self) -> Option<Reached> {
        Reached::of_parts(self.reached, self.witness)
    }

    /// The checkpointed transaction.
    pub fn checkpoint(&self) -> TransactionId {
        TransactionId(self.checkpoint)
    }
}

impl ReplayableFile {
    /// A file that is complete. `checkpointed`: told with it; `reached`: asked for afterwards.
    pub fn new(
        name: String,
        content: Content,
        checkpointed: TransactionId,
        reached: Option<Reached>,
    ) -> Self {
        let (reached, witness) = Reached::parts(reached);
        Self { name, content, checkpointed: checkpointed.0, reached, witness }
    }

    /// The last checkpoint that the server told with it.
    pub fn checkpointed(&self) -> TransactionId {
        TransactionId(self.checkpointed)
    }

    /// How far the server had got after it; `None`: it could not be asked any more.
    pub fn reached(&self) -> Option<Reached> {
        Reached::of_parts(self.reached, self.witness)
    }
}

impl Received {
    /// A copy whose logs begin with `first` and must reach `required`.
    pub fn new(first: TransactionId, required: Option<TransactionId>) -> Self {
        Self { first: first.0, required: required.map(|id| id.0) }
    }

    /// The first transaction in its logs.
    pub fn first(&self) -> TransactionId {
        TransactionId(self.first)
    }

    /// The transaction that they must reach.
    pub fn required(&self) -> Option<TransactionId> {
        self.required.map(TransactionId)
    }
}

fn values(id: &StoreId) -> [i64; 5] {
    [id.creation_time, id.random, id.version.0.cast_signed(), id.upgrade_time, id.upgrade_transaction]
}

fn checksum_line(body: &str) -> String {
    format!("{CHECKSUM_MARK}{:08x}\n", checksum(body.as_bytes()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::io::disk::OsDisk;
    use crate::store::id::StoreVersion;

    fn store_id() -> StoreId {
        let version = StoreVersion::from_name("SF4.3.0").unwrap();
        StoreId { creation_time: 5, random: -3, version, upgrade_time: 5, upgrade_transaction: 1 }
    }

    fn content(path: &str) -> Content {
        Content { path: path.to_owned(), size: u64::from(u32::MAX) + 7, checksum: u32::MAX }
    }

    #[test]
    fn a_state_is_read_as_it_was_written() {
        let dir = tempfile::tempdir().unwrap();
        assert_eq!(CopyState::read(dir.path()).unwrap(), None);
        fs::create_dir(dir.path().join("tools")).unwrap();
        let database = DatabaseId(uuid::Uuid::from_u128(7));
        let mut state = CopyState::new(database, &store_id());
        let read = |state: &CopyState| {
            state.write(&OsDisk, dir.path()).unwrap();
            assert_eq!(CopyState::read(dir.path()).unwrap().as_ref(), Some(state));
        };
        read(&state);
        assert!(!state.is_resumable() && state.is_of(database, &store_id()));
        assert!(!state.is_of(DatabaseId(uuid::Uuid::nil()), &store_id()));
        assert!(!state.is_of(database, &StoreId { random: -4, ..store_id() }));
        let names = vec!["neostore".to_owned(), "na\"me".to_owned()];
        state.seal = Some(Seal::new(TransactionId(i64::MAX), names, vec![content("schema/index/7/é")]));
        read(&state);
        assert!(state.is_resumable());
        let (nine, name) = (TransactionId(9), "na\"me".to_owned());
        let reached = Reached { last: nine.next(), witness: None };
        for reached in [Some(reached), None] {
            state.files.push(ReplayableFile::new(name.clone(), content("na\"me"), nine, reached));
        }
        state.received = Some(Received::new(nine, Some(nine)));
        read(&state);
        CopyState::remove(&OsDisk, dir.path()).unwrap();
        assert_eq!(CopyState::read(dir.path()).unwrap(), None);
    }

    #[test]
    fn a_damaged_state_is_none() {
        let dir = tempfile::tempdir().unwrap();
        fs::create_dir(dir.path().join("tools")).unwrap();
        CopyState::new(DatabaseId(uuid::Uuid::nil()), &store_id()).write(&OsDisk, dir.path()).unwrap();
        let path = dir.path().join(COPY_STATE_FILE);
        let text = fs::read(&path).unwrap();
        for at in 0..text.len() {
            let mut damaged = text.clone();
            damaged[at] ^= 1;
            fs::write(&path, &damaged).unwrap();
            assert!(CopyState::read(dir.path()).is_err(), "byte {at}");
            fs::write(&path, &text[..at]).unwrap();
            assert!(CopyState::read(dir.path()).is_err(), "cut at {at}");
        }
    }
}
