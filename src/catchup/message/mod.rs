//! The messages of the backup protocol: free of sockets, decode and encode side by side.
//!
//! A message travels as two frames: one with the type byte alone, then one with the body. Offsets in the tables are
//! offsets in the body; integers are big-endian and signed. Specification: protocol 3.2 and 4.

mod all_database_ids;
mod database_id;
mod error_response;
mod field;
mod file;
mod info;
mod metadata;
mod prepare_store_copy;
mod result;
mod store_file;
mod store_id;
mod transaction_pull;
mod transaction_stream;

use std::fmt;

use bytes::BytesMut;

pub use self::all_database_ids::{AllDatabaseIdsRequest, AllDatabaseIdsResponse};
pub use self::database_id::{DatabaseIdRequest, DatabaseIdResponse};
pub use self::error_response::ErrorResponse;
pub(super) use self::field::{put_string, string};
pub use self::file::{FileChunk, FileHeader};
pub use self::info::{InfoRequest, InfoResponse};
pub use self::metadata::{MetadataKind, MetadataRequest, MetadataResponse};
pub use self::prepare_store_copy::{PrepareStatus, PrepareStoreCopyRequest, PrepareStoreCopyResponse};
pub use self::result::CatchupResult;
pub use self::store_file::{StoreCopyFinished, StoreCopyStatus, StoreFileRequest};
pub use self::store_id::{StoreIdRequest, StoreIdResponse};
pub use self::transaction_pull::{TransactionPullRequest, TransactionStreamFinished};
pub use self::transaction_stream::{Behind, StreamError, TransactionStreamDecoder, TransactionStreamEncoder};

use crate::io::bytes::{OutOfBytes, Reader};

/// The body of a message.
pub trait Body: Sized {
    /// Reads the body and leaves the reader behind it.
    fn decode(reader: &mut Reader<'_>) -> Result<Self, DecodeError>;

    /// Appends the body, the exact reverse of [`Body::decode`].
    fn encode(&self, out: &mut BytesMut);

    /// Reads a body that must be the whole of `payload`: a byte too many is as wrong as one too few.
    fn from_payload(payload: &[u8]) -> Result<Self, DecodeError> {
        let mut reader = Reader::new(payload);
        let body = Self::decode(&mut reader)?;
        match reader.left() {
            0 => Ok(body),
            left => Err(DecodeError::Trailing { offset: reader.offset(), left }),
        }
    }
}

/// A message from client to server.
pub trait Request: Body {
    /// What is asked for.
    const KIND: RequestKind;
}

/// A message from server to client whose body is one frame.
pub trait Response: Body {
    /// What it is.
    const KIND: ResponseKind;
    /// Longest body that is accepted, in bytes. Specification: protocol 3.1.
    const LIMIT: usize = super::frame::LIMIT;
}

/// A body is not what its message type says.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DecodeError {
    /// The body ends in the middle of a field.
    #[error(transparent)]
    Short(#[from] OutOfBytes),
    /// Something follows the last field.
    #[error("the message ends at offset {offset}, {left} bytes follow")]
    Trailing {
        /// End of the message.
        offset: usize,
        /// Bytes behind it.
        left: usize,
    },
    /// A field has a value that the protocol doesn't know.
    #[error("{field} at offset {offset} is {value}, expected {expected}")]
    Value {
        /// Name of the field.
        field: &'static str,
        /// Where the field starts.
        offset: usize,
        /// What was found.
        value: i64,
        /// What is allowed.
        expected: &'static str,
    },
    /// A text has a value that the protocol doesn't know.
    #[error("{field} is {value:?}, expected {expected}")]
    Text {
        /// Name of the field.
        field: &'static str,
        /// What was found.
        value: String,
        /// What is allowed.
        expected: &'static str,
    },
    /// A text is not UTF-8.
    #[error("{field} at offset {offset} is not UTF-8")]
    NotUtf8 {
        /// Name of the field.
        field: &'static str,
        /// Where the field starts.
        offset: usize,
    },
    /// A field that must be there is null.
    #[error("{field} at offset {offset} is null")]
    Null {
        /// Name of the field.
        field: &'static str,
        /// Where the field starts.
        offset: usize,
    },
    /// More bytes or entries than a sensible peer sends.
    #[error("{field} at offset {offset} announces {count}, at most {limit} are accepted")]
    TooMany {
        /// Name of the field.
        field: &'static str,
        /// Where the field starts.
        offset: usize,
        /// What was announced.
        count: i64,
        /// What is accepted.
        limit: usize,
    },
}

/// The type byte of a request. Specification: protocol 4.2.
///
/// `Display` gives the name that messages and logs use.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum RequestKind {
    /// Transactions behind a given one.
    TransactionPull = 1,
    /// The identity of a store.
    StoreId = 4,
    /// The files that no log replay can rebuild, and the names of all others.
    PrepareStoreCopy = 5,
    /// One of those others.
    StoreFile = 6,
    /// The id of a database by name.
    DatabaseId = 7,
    /// All databases with their ids.
    AllDatabaseIds = 8,
    /// How far a database has got.
    Info = 9,
    /// Commands that recreate users and roles.
    Metadata = 10,
}

impl RequestKind {
    /// All of them.
    pub const ALL: [Self; 8] = [
        Self::TransactionPull,
        Self::StoreId,
        Self::PrepareStoreCopy,
        Self::StoreFile,
        Self::DatabaseId,
        Self::AllDatabaseIds,
        Self::Info,
        Self::Metadata,
    ];

    /// The request with this type byte.
    pub fn from_byte(byte: u8) -> Option<Self> {
        Self::ALL.into_iter().find(|&kind| kind as u8 == byte)
    }

    /// Whether version 3.0 has this request.
    pub fn is_in_version_3(self) -> bool {
        !matches!(self, Self::AllDatabaseIds | Self::Info | Self::Metadata)
    }
}

impl fmt::Display for RequestKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::TransactionPull => "TX_PULL",
            Self::StoreId => "STORE_ID",
            Self::PrepareStoreCopy => "PREPARE_STORE_COPY",
            Self::StoreFile => "STORE_FILE",
            Self::DatabaseId => "DATABASE_ID",
            Self::AllDatabaseIds => "ALL_DATABASE_IDS",
            Self::Info => "INFO",
            Self::Metadata => "METADATA",
        })
    }
}

/// The type byte of a response. Specification: protocol 4.3.
///
/// `Display` gives the name that messages and logs use.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum ResponseKind {
    /// A stream of transactions begins.
    Transactions = 1,
    /// The identity of a store.
    StoreId = 2,
    /// A file begins.
    File = 3,
    /// The end of one store file.
    StoreCopyFinished = 4,
    /// The end of a transaction stream.
    TransactionStreamFinished = 6,
    /// The end of the files that no replay can rebuild.
    PrepareStoreCopy = 7,
    /// The id of a database.
    DatabaseId = 9,
    /// All databases with their ids.
    AllDatabaseIds = 10,
    /// How far a database has got.
    Info = 11,
    /// Commands that recreate users and roles.
    Metadata = 12,
    /// The request was refused.
    Error = 199,
}

impl ResponseKind {
    /// All of them.
    pub const ALL: [Self; 11] = [
        Self::Transactions,
        Self::StoreId,
        Self::File,
        Self::StoreCopyFinished,
        Self::TransactionStreamFinished,
        Self::PrepareStoreCopy,
        Self::DatabaseId,
        Self::AllDatabaseIds,
        Self::Info,
        Self::Metadata,
        Self::Error,
    ];

    /// The response with this type byte.
    pub fn from_byte(byte: u8) -> Option<Self> {
        Self::ALL.into_iter().find(|&kind| kind as u8 == byte)
    }
}

impl fmt::Display for ResponseKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Transactions => "TX",
            Self::StoreId => "STORE_ID",
            Self::File => "FILE",
            Self::StoreCopyFinished => "STORE_COPY_FINISHED",
            Self::TransactionStreamFinished => "TX_STREAM_FINISHED",
            Self::PrepareStoreCopy => "PREPARE_STORE_COPY_RESPONSE",
            Self::DatabaseId => "DATABASE_ID_RESPONSE",
            Self::AllDatabaseIds => "ALL_DATABASE_IDS_RESPONSE",
            Self::Info => "INFO_RESPONSE",
            Self::Metadata => "METADATA_RESPONSE",
            Self::Error => "ERROR",
        })
    }
}

/// The values of the worked bytes, and the checks that every message stands. Specification: protocol 8.2.
#[cfg(test)]
pub(crate) mod worked {
    use std::fmt::Debug;

    use bytes::BytesMut;

    use super::Body;
    use crate::store::id::{DatabaseId, StoreId, StoreVersion};

    /// The database of the worked bytes.
    pub const DATABASE: DatabaseId =
        DatabaseId(uuid::Uuid::from_u128(0x2f5a_1c3e_8d4b_4c6a_9e7f_0123_4567_89ab));

    /// The store of the worked bytes.
    pub const STORE: StoreId = StoreId {
        creation_time: 1_609_459_200_000,
        random: 0x1122_3344_5566_7788,
        version: StoreVersion(0x302e_332e_3446_5307),
        upgrade_time: 1_609_459_200_000,
        upgrade_transaction: 1,
    };

    /// The bytes of a hex dump without offsets.
    pub fn hex(dump: &str) -> Vec<u8> {
        dump.split_whitespace().map(|byte| u8::from_str_radix(byte, 16).unwrap()).collect()
    }

    /// `body` decodes to `value` and back, and no truncation or addition of it decodes to anything.
    pub fn assert_body<B: Body + Debug + PartialEq>(dump: &str, value: &B) {
        let body = hex(dump);
        assert_eq!(B::from_payload(&body).as_ref(), Ok(value));
        assert_round_trip(value);
        let mut encoded = BytesMut::new();
        value.encode(&mut encoded);
        assert_eq!(encoded, body.as_slice(), "encoding differs from the worked bytes");
    }

    /// `value` survives encoding, and no truncation or addition of its bytes decodes to anything.
    pub fn assert_round_trip<B: Body + Debug + PartialEq>(value: &B) {
        let mut body = BytesMut::new();
        value.encode(&mut body);
        assert_eq!(B::from_payload(&body).as_ref(), Ok(value));
        for end in 0..body.len() {
            assert!(
                B::from_payload(&body[..end]).is_err(),
                "{value:?} decodes from {end} of {} bytes",
                body.len()
            );
        }
        body.extend_from_slice(&[0]);
        assert!(B::from_payload(&body).is_err(), "{value:?} decodes with a byte too many");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn type_bytes_are_those_of_the_specification() {
        let requests: Vec<_> = RequestKind::ALL.iter().map(|&kind| kind as u8).collect();
        assert_eq!(requests, [1, 4, 5, 6, 7, 8, 9, 10]);
        let responses: Vec<_> = ResponseKind::ALL.iter().map(|&kind| kind as u8).collect();
        assert_eq!(responses, [1, 2, 3, 4, 6, 7, 9, 10, 11, 12, 0xc7]);
        for byte in 0..=u8::MAX {
            assert_eq!(
                RequestKind::from_byte(byte).map(|kind| kind as u8),
                requests.contains(&byte).then_some(byte)
            );
            assert_eq!(
                ResponseKind::from_byte(byte).map(|kind| kind as u8),
                responses.contains(&byte).then_some(byte)
            );
        }
    }
}
