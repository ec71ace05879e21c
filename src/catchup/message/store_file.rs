//! One file of a full copy.

use std::fmt;

use bytes::{BufMut, BytesMut};

use super::field::{database_id, put_database_id, put_store_id, put_string, store_id, string};
use super::{Body, DecodeError, FileHeader, Request, RequestKind, Response, ResponseKind};
use crate::io::bytes::Reader;
use crate::store::id::{DatabaseId, StoreId, TransactionId};

/// Asks for a file whose bytes log replay completes.
///
/// | Offset | Size | Field                                                      |
/// |-------:|-----:|------------------------------------------------------------|
/// |      0 |   16 | database id                                                |
/// |     16 |   41 | store id that the client expects                           |
/// |     57 |    8 | transaction that the server must have checkpointed         |
/// |     65 |  4+n | bare name, as listed in the answer to the preparation      |
///
/// Specification: protocol 4.2.4.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoreFileRequest {
    /// Id of the database.
    pub database: DatabaseId,
    /// Store id that the client expects.
    pub store_id: StoreId,
    /// Transaction that the server must have checkpointed.
    pub required: TransactionId,
    /// Last component of the file's path.
    pub name: String,
}

impl Body for StoreFileRequest {
    fn decode(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(Self {
            database: database_id(reader)?,
            store_id: store_id(reader)?,
            required: TransactionId(reader.i64("required transaction id")?),
            name: string(reader, "file name", FileHeader::MAX_PATH)?.to_owned(),
        })
    }

    fn encode(&self, out: &mut BytesMut) {
        put_database_id(out, self.database);
        put_store_id(out, &self.store_id);
        out.put_i64(self.required.0);
        put_string(out, &self.name);
    }
}

impl Request for StoreFileRequest {
    const KIND: RequestKind = RequestKind::StoreFile;
}

/// How [`StoreFileRequest`] ended, an `i32`. `Display` gives Neo4j's name. Specification: protocol 4.3.5.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(i32)]
pub enum StoreCopyStatus {
    /// The file before this is complete.
    Success = 0,
    /// The store has another id.
    StoreIdMismatch = 1,
    /// The server has not checkpointed the required transaction; it starts a checkpoint.
    TooFarBehind = 2,
    /// Not exactly one file of that name, or another exception; the server closes the connection.
    Unknown = 3,
    /// There is no such database.
    DatabaseUnknown = 4,
}

impl StoreCopyStatus {
    const ALL: [Self; 5] =
        [Self::Success, Self::StoreIdMismatch, Self::TooFarBehind, Self::Unknown, Self::DatabaseUnknown];
}

impl fmt::Display for StoreCopyStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Success => "SUCCESS",
            Self::StoreIdMismatch => "E_STORE_ID_MISMATCH",
            Self::TooFarBehind => "E_TOO_FAR_BEHIND",
            Self::Unknown => "E_UNKNOWN",
            Self::DatabaseUnknown => "E_DATABASE_UNKNOWN",
        })
    }
}

/// The end of one store file.
///
/// | Offset | Size | Field                                                             |
/// |-------:|-----:|-------------------------------------------------------------------|
/// |      0 |    4 | [`StoreCopyStatus`]                                               |
/// |      4 |    8 | transaction last checkpointed when the file was queued; -1 unless successful |
///
/// Specification: protocol 4.3.5.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StoreCopyFinished {
    /// How it ended.
    pub status: StoreCopyStatus,
    /// Transaction last checkpointed when the file was queued; -1 unless successful.
    pub last_checkpointed: TransactionId,
}

impl StoreCopyFinished {
    /// The answer that gives no file.
    pub fn refusal(status: StoreCopyStatus) -> Self {
        Self { status, last_checkpointed: TransactionId(-1) }
    }
}

impl Body for StoreCopyFinished {
    fn decode(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let field = "status of the store copy";
        let value = reader.i32(field)?;
        let status = StoreCopyStatus::ALL
            .into_iter()
            .find(|&status| status as i32 == value)
            .ok_or(DecodeError::Value { field, offset: 0, value: i64::from(value), expected: "0 to 4" })?;
        Ok(Self { status, last_checkpointed: TransactionId(reader.i64("last checkpointed transaction")?) })
    }

    fn encode(&self, out: &mut BytesMut) {
        out.put_i32(self.status as i32);
        out.put_i64(self.last_checkpointed.0);
    }
}

impl Response for StoreCopyFinished {
    const KIND: ResponseKind = ResponseKind::StoreCopyFinished;
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::catchup::message::worked::{DATABASE, STORE, assert_body, assert_round_trip, hex};

    #[test]
    fn the_worked_bytes_are_read_and_written() {
        assert_body(
            "2f 5a 1c 3e 8d 4b 4c 6a 9e 7f 01 23 45 67 89 ab 01 00 00 01 76 bb 3e 70 00 11 22 33 44 55 66 77 88
             30 2e 33 2e 34 46 53 07 00 00 01 76 bb 3e 70 00 00 00 00 00 00 00 00 01 00 00 00 00 00 00 00 2a
             00 00 00 15 6e 65 6f 73 74 6f 72 65 2e 6e 6f 64 65 73 74 6f 72 65 2e 64 62",
            &StoreFileRequest {
                database: DATABASE,
                store_id: STORE,
                required: TransactionId(42),
                name: "neostore.nodestore.db".to_owned(),
            },
        );
        assert_body(
            "00 00 00 00 00 00 00 00 00 00 00 2b",
            &StoreCopyFinished { status: StoreCopyStatus::Success, last_checkpointed: TransactionId(43) },
        );
        assert_body(
            "00 00 00 02 ff ff ff ff ff ff ff ff",
            &StoreCopyFinished::refusal(StoreCopyStatus::TooFarBehind),
        );
        for status in StoreCopyStatus::ALL {
            assert_round_trip(&StoreCopyFinished::refusal(status));
        }
    }

    #[test]
    fn an_unknown_status_is_refused() {
        for unknown in ["00 00 00 05 00 00 00 00 00 00 00 00", "ff ff ff ff 00 00 00 00 00 00 00 00"] {
            assert!(StoreCopyFinished::from_payload(&hex(unknown)).is_err());
        }
    }
}
