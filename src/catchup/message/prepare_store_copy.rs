//! The beginning of a full copy.

use std::fmt;

use bytes::{BufMut, BytesMut};

use super::field::{count, database_id, put_database_id, put_store_id, put_string, store_id, string};
use super::{Body, DecodeError, FileHeader, Request, RequestKind, Response, ResponseKind};
use crate::catchup::frame;
use crate::io::bytes::Reader;
use crate::store::id::{DatabaseId, StoreId, TransactionId};

/// Most names that an answer may list. A 4.4 server lists 15.
const MAX_NAMES: usize = 65_536;

/// Asks for a checkpoint, the files that no log replay can rebuild, and the names of all others.
///
/// | Offset | Size | Field                            |
/// |-------:|-----:|----------------------------------|
/// |      0 |   16 | database id                      |
/// |     16 |   41 | store id that the client expects |
///
/// Specification: protocol 4.2.3.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PrepareStoreCopyRequest {
    /// Id of the database.
    pub database: DatabaseId,
    /// Store id that the client expects.
    pub store_id: StoreId,
}

impl Body for PrepareStoreCopyRequest {
    fn decode(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(Self { database: database_id(reader)?, store_id: store_id(reader)? })
    }

    fn encode(&self, out: &mut BytesMut) {
        put_database_id(out, self.database);
        put_store_id(out, &self.store_id);
    }
}

impl Request for PrepareStoreCopyRequest {
    const KIND: RequestKind = RequestKind::PrepareStoreCopy;
}

/// How [`PrepareStoreCopyRequest`] ended, an `i32`. `Display` gives Neo4j's name. Specification: protocol 4.3.4.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(i32)]
pub enum PrepareStatus {
    /// All files that no replay can rebuild have been sent.
    Success = 0,
    /// The store has another id.
    StoreIdMismatch = 1,
    /// The server could not list the store; it closes the connection if that was an exception.
    ListingStore = 2,
    /// There is no such database.
    DatabaseUnknown = 3,
}

impl PrepareStatus {
    const ALL: [Self; 4] = [Self::Success, Self::StoreIdMismatch, Self::ListingStore, Self::DatabaseUnknown];
}

impl fmt::Display for PrepareStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Success => "SUCCESS",
            Self::StoreIdMismatch => "E_STORE_ID_MISMATCH",
            Self::ListingStore => "E_LISTING_STORE",
            Self::DatabaseUnknown => "E_DATABASE_UNKNOWN",
        })
    }
}

/// The end of the files that no replay can rebuild, and what is left to fetch.
///
/// | Offset | Size | Field                                                   |
/// |-------:|-----:|---------------------------------------------------------|
/// |      0 |    4 | [`PrepareStatus`]                                       |
/// |      4 |    8 | last checkpointed transaction; 0 unless successful      |
/// |     12 |    4 | number of names; 0 unless successful                    |
/// |     16 |      | each: bare name (4+n) of a file to fetch, without its directory |
///
/// Specification: protocol 4.3.4.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PrepareStoreCopyResponse {
    /// How it ended.
    pub status: PrepareStatus,
    /// The last checkpointed transaction: replay starts behind it. 0 unless successful.
    pub checkpoint: TransactionId,
    /// Names for [`StoreFileRequest`](super::StoreFileRequest).
    pub names: Vec<String>,
}

impl PrepareStoreCopyResponse {
    /// The answer that gives no copy.
    pub fn refusal(status: PrepareStatus) -> Self {
        Self { status, checkpoint: TransactionId(0), names: Vec::new() }
    }
}

impl Body for PrepareStoreCopyResponse {
    fn decode(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let field = "status of the preparation";
        let value = reader.i32(field)?;
        let status = PrepareStatus::ALL
            .into_iter()
            .find(|&status| status as i32 == value)
            .ok_or(DecodeError::Value { field, offset: 0, value: i64::from(value), expected: "0 to 3" })?;
        let checkpoint = TransactionId(reader.i64("last checkpointed transaction")?);
        let count = count(reader, "number of file names", MAX_NAMES)?;
        let mut names = Vec::new();
        for _ in 0..count {
            names.push(string(reader, "file name", FileHeader::MAX_PATH)?.to_owned());
        }
        Ok(Self { status, checkpoint, names })
    }

    fn encode(&self, out: &mut BytesMut) {
        out.put_i32(self.status as i32);
        out.put_i64(self.checkpoint.0);
        out.put_i32(i32::try_from(self.names.len()).unwrap_or(i32::MAX));
        for name in self.names.iter().take(i32::MAX as usize) {
            put_string(out, name);
        }
    }
}

impl Response for PrepareStoreCopyResponse {
    const KIND: ResponseKind = ResponseKind::PrepareStoreCopy;
    const LIMIT: usize = frame::STREAM_LIMIT;
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::catchup::message::worked::{DATABASE, STORE, assert_body, assert_round_trip, hex};

    #[test]
    fn the_worked_bytes_are_read_and_written() {
        assert_body(
            "2f 5a 1c 3e 8d 4b 4c 6a 9e 7f 01 23 45 67 89 ab 01 00 00 01 76 bb 3e 70 00 11 22 33 44 55 66 77 88
             30 2e 33 2e 34 46 53 07 00 00 01 76 bb 3e 70 00 00 00 00 00 00 00 00 01",
            &PrepareStoreCopyRequest { database: DATABASE, store_id: STORE },
        );
        assert_body(
            "00 00 00 00 00 00 00 00 00 00 00 2a 00 00 00 02 00 00 00 15 6e 65 6f 73 74 6f 72 65 2e 6e 6f 64 65
             73 74 6f 72 65 2e 64 62 00 00 00 08 6e 65 6f 73 74 6f 72 65",
            &PrepareStoreCopyResponse {
                status: PrepareStatus::Success,
                checkpoint: TransactionId(42),
                names: vec!["neostore.nodestore.db".to_owned(), "neostore".to_owned()],
            },
        );
        assert_body(
            "00 00 00 01 00 00 00 00 00 00 00 00 00 00 00 00",
            &PrepareStoreCopyResponse::refusal(PrepareStatus::StoreIdMismatch),
        );
        for status in PrepareStatus::ALL {
            assert_round_trip(&PrepareStoreCopyResponse::refusal(status));
        }
    }

    #[test]
    fn unknown_statuses_and_null_names_are_refused() {
        let unknown = hex("00 00 00 04 00 00 00 00 00 00 00 00 00 00 00 00");
        assert!(matches!(
            PrepareStoreCopyResponse::from_payload(&unknown),
            Err(DecodeError::Value { value: 4, .. })
        ));
        let null = hex("00 00 00 00 00 00 00 00 00 00 00 2a 00 00 00 01 ff ff ff ff");
        assert!(matches!(
            PrepareStoreCopyResponse::from_payload(&null),
            Err(DecodeError::Null { offset: 16, .. })
        ));
    }
}
