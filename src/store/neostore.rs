//! The metadata store: one value per field.

use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use super::id::{DatabaseId, StoreId, StoreVersion, TransactionId};
use crate::io::disk::{DiskError, SharedDisk};

/// A field of the metadata store: its position. Specification: store format 3.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum Field {
    /// When the store was created, ms since the epoch.
    Time = 0,
    /// Random part of the store id.
    RandomNumber = 1,
    /// Number of the transaction log that is written to.
    LogVersion = 2,
    /// Last committed transaction.
    LastTransactionId = 3,
    /// Record format, see [`StoreVersion`].
    StoreVersion = 4,
    /// Not used any more.
    FirstGraphProperty = 5,
    /// Last transaction that made or changed a constraint.
    LastConstraintTransaction = 6,
    /// Last transaction before the last upgrade.
    UpgradeTransactionId = 7,
    /// When the store was upgraded last, ms since the epoch.
    UpgradeTime = 8,
    /// Checksum of the last committed transaction, 32 bits with sign.
    LastTransactionChecksum = 9,
    /// Checksum of the last transaction before the last upgrade.
    UpgradeTransactionChecksum = 10,
    /// Log file of the position behind the last closed transaction.
    LastClosedLogVersion = 11,
    /// Offset of that position.
    LastClosedOffset = 12,
    /// Commit time of the last committed transaction, ms since the epoch.
    LastTransactionTime = 13,
    /// Commit time of the last transaction before the last upgrade, ms since the epoch.
    UpgradeTransactionTime = 14,
    /// When a recovery ran for which logs were missing, ms since the epoch.
    MissingLogsRecoveryTime = 15,
    /// First half of a random UUID of the store.
    ExternalIdHigh = 16,
    /// Second half of it.
    ExternalIdLow = 17,
    /// Number of the checkpoint log that is written to.
    CheckpointLogVersion = 18,
    /// Version for new transactions.
    KernelVersion = 19,
    /// First half of the id of the database that used the store last.
    DatabaseIdHigh = 20,
    /// Second half of it.
    DatabaseIdLow = 21,
}

/// A metadata store could not be read or written, or says nothing usable.
#[derive(Debug, thiserror::Error)]
pub enum NeostoreError {
    /// The file system.
    #[error(transparent)]
    Disk(#[from] DiskError),
    /// A field is needed and absent.
    #[error("{}: the metadata store has no field {field:?} (record {})", path.display(), *field as u8)]
    Absent {
        /// The file.
        path: PathBuf,
        /// The field.
        field: Field,
    },
    /// A field has a value that it can't have.
    #[error("{}: field {field:?} of the metadata store (record {}) is {found}", path.display(), *field as u8)]
    Invalid {
        /// The file.
        path: PathBuf,
        /// The field.
        field: Field,
        /// Its value.
        found: i64,
    },
}

/// The metadata store of a database, in memory.
///
/// Record `i` is at offset `9·i`, all of them in the first page of the file:
///
/// | Offset | Size | Field                              |
/// |-------:|-----:|------------------------------------|
/// |      0 |    1 | 01 present, anything else: absent  |
/// |      1 |    8 | value, big-endian                  |
///
/// Specification: store format 3.
#[derive(Clone, Debug)]
pub struct Neostore {
    path: PathBuf,
    /// Kept as they are in the file, so that what is not changed is written back unchanged.
    records: [[u8; Self::RECORD]; Self::FIELDS],
}

impl Neostore {
    const RECORD: usize = 9;
    const FIELDS: usize = 22;
    const SIZE: usize = Self::RECORD * Self::FIELDS;

    /// Reads a metadata store. Fields behind the end of a short file are absent.
    pub fn read(path: &Path) -> Result<Self, NeostoreError> {
        let failed = |source| DiskError::new("read", path, source);
        let file = File::open(path).map_err(failed)?;
        let mut bytes = [0; Self::SIZE];
        let mut done = 0;
        while let Some(rest) = bytes.get_mut(done..).filter(|rest| !rest.is_empty()) {
            match file.read_at(rest, done as u64) {
                Ok(0) => break,
                Ok(count) => done += count,
                Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
                Err(source) => return Err(failed(source).into()),
            }
        }
        Ok(Self::decode(path, &bytes))
    }

    /// The fields in the first bytes of a file. `path` is for messages and for [`Self::write`].
    fn decode(path: &Path, bytes: &[u8; Self::SIZE]) -> Self {
        let mut records = [[0; Self::RECORD]; Self::FIELDS];
        let (chunks, _) = bytes.as_chunks();
        records.copy_from_slice(chunks);
        Self { path: path.to_owned(), records }
    }

    /// Writes all fields back to the file that they came from, which must exist, and forces it.
    pub fn write(&self, disk: &SharedDisk) -> Result<(), NeostoreError> {
        let file = disk.open(&self.path)?;
        file.write_at(0, self.records.as_flattened())?;
        Ok(file.sync()?)
    }

    /// Value of a field; `None`: absent.
    pub fn get(&self, field: Field) -> Option<i64> {
        match self.records.get(field as usize)? {
            [1, value @ ..] => Some(i64::from_be_bytes(*value)),
            _ => None,
        }
    }

    /// Gives a field a value.
    pub fn set(&mut self, field: Field, value: i64) {
        if let Some([in_use, bytes @ ..]) = self.records.get_mut(field as usize) {
            *in_use = 1;
            *bytes = value.to_be_bytes();
        }
    }

    /// Value of a field that must be there.
    pub fn require(&self, field: Field) -> Result<i64, NeostoreError> {
        self.get(field).ok_or_else(|| NeostoreError::Absent { path: self.path.clone(), field })
    }

    /// A number that must be there and not below 0.
    fn require_unsigned(&self, field: Field) -> Result<u64, NeostoreError> {
        let found = self.require(field)?;
        u64::try_from(found).map_err(|_| NeostoreError::Invalid { path: self.path.clone(), field, found })
    }

    /// Identity of the store.
    pub fn store_id(&self) -> Result<StoreId, NeostoreError> {
        Ok(StoreId {
            creation_time: self.require(Field::Time)?,
            random: self.require(Field::RandomNumber)?,
            version: StoreVersion(self.require(Field::StoreVersion)? as u64),
            upgrade_time: self.require(Field::UpgradeTime)?,
            upgrade_transaction: self.require(Field::UpgradeTransactionId)?,
        })
    }

    /// Number of the transaction log that is written to.
    pub fn log_version(&self) -> Result<u64, NeostoreError> {
        self.require_unsigned(Field::LogVersion)
    }

    /// Number of the checkpoint log that is written to; stores from before 4.2 do not tell and begin with 0.
    pub fn checkpoint_log_version(&self) -> u64 {
        self.get(Field::CheckpointLogVersion).and_then(|version| version.try_into().ok()).unwrap_or(0)
    }

    /// Last committed transaction.
    pub fn last_transaction(&self) -> Result<TransactionId, NeostoreError> {
        self.require(Field::LastTransactionId).map(TransactionId)
    }

    /// Id of the database that used the store last; `None`: not known.
    pub fn database_id(&self) -> Option<DatabaseId> {
        let (high, low) = (self.get(Field::DatabaseIdHigh)?, self.get(Field::DatabaseIdLow)?);
        // Not set: both halves are the least number. Specification: store format 3.
        if high == i64::MIN && low == i64::MIN {
            return None;
        }
        Some(DatabaseId(uuid::Uuid::from_u64_pair(high as u64, low as u64)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::io::disk::OsDisk;

    /// The start of a store of Neo4j 4.2, from the specification.
    const STORE_4_2: [u8; 45] = [
        0x01, 0x00, 0x00, 0x01, 0x78, 0xf8, 0xd2, 0x4c, 0x2b, 0x01, 0x7d, 0xea, 0x4e, 0x4a, 0xca, 0xa3, 0x75,
        0x43, 0x01, 0, 0, 0, 0, 0, 0, 0, 0, 0x01, 0, 0, 0, 0, 0, 0, 0, 0x0d, 0x01, 0x61, 0x2e, 0x31, 0x2e,
        0x34, 0x46, 0x41, 0x07,
    ];

    fn written(bytes: &[u8]) -> (tempfile::TempDir, PathBuf) {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("neostore");
        std::fs::write(&path, bytes).unwrap();
        (dir, path)
    }

    #[test]
    fn real_fields_read_as_in_the_specification() {
        let (_dir, path) = written(&STORE_4_2);
        let neostore = Neostore::read(&path).unwrap();
        assert_eq!(neostore.get(Field::Time), Some(1_619_082_234_923));
        assert_eq!(neostore.log_version().unwrap(), 0);
        assert_eq!(neostore.last_transaction().unwrap(), TransactionId(13));
        let version = StoreVersion::from_name("AF4.1.a").unwrap();
        assert_eq!(neostore.get(Field::StoreVersion), Some(version.0 as i64));
        // The rest of the file is not there.
        assert_eq!(neostore.get(Field::DatabaseIdLow), None);
        assert_eq!(neostore.checkpoint_log_version(), 0);
        let error = neostore.store_id().unwrap_err();
        assert!(matches!(error, NeostoreError::Absent { field: Field::UpgradeTime, .. }), "{error}");
        assert!(error.to_string().contains("UpgradeTime (record 8)"), "{error}");
    }

    #[test]
    fn a_change_leaves_everything_else_as_it_was() {
        let mut page = vec![0; 8192];
        page[..45].copy_from_slice(&STORE_4_2);
        page[5 * 9..6 * 9].copy_from_slice(&[7; 9]);
        page[22 * 9..].fill(0x5a);
        let (_dir, path) = written(&page);
        let mut neostore = Neostore::read(&path).unwrap();
        assert_eq!(neostore.get(Field::FirstGraphProperty), None);
        neostore.set(Field::LogVersion, 12);
        neostore.set(Field::LastTransactionChecksum, -559_063_315);
        neostore.write(&OsDisk::shared()).unwrap();

        page[2 * 9..3 * 9].copy_from_slice(&[1, 0, 0, 0, 0, 0, 0, 0, 12]);
        page[9 * 9..10 * 9].copy_from_slice(&[1, 0xff, 0xff, 0xff, 0xff, 0xde, 0xad, 0x5e, 0xed]);
        assert_eq!(std::fs::read(&path).unwrap(), page);
    }

    #[test]
    fn a_database_id_of_two_least_numbers_is_none() {
        let (_dir, path) = written(&[]);
        let mut neostore = Neostore::read(&path).unwrap();
        assert_eq!(neostore.database_id(), None);
        for field in [Field::DatabaseIdHigh, Field::DatabaseIdLow] {
            neostore.set(field, i64::MIN);
        }
        assert_eq!(neostore.database_id(), None);
        neostore.set(Field::DatabaseIdHigh, 0);
        neostore.set(Field::DatabaseIdLow, 1);
        assert_eq!(neostore.database_id(), Some(DatabaseId::SYSTEM));
        neostore.set(Field::LogVersion, -1);
        let error = neostore.log_version().unwrap_err();
        assert!(matches!(error, NeostoreError::Invalid { field: Field::LogVersion, found: -1, .. }));
    }
}
