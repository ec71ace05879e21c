//! How a request ended.

use std::fmt;

use bytes::{BufMut, BytesMut};

use super::DecodeError;
use crate::io::bytes::Reader;

/// The result in [`TransactionStreamFinished`](super::TransactionStreamFinished) and
/// [`ErrorResponse`](super::ErrorResponse), an `i32`. `Display` gives Neo4j's name. Specification: protocol 4.7.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(i32)]
pub enum CatchupResult {
    /// All that was promised has been sent.
    SuccessEndOfStream = 0,
    /// The store has another id.
    StoreIdMismatch = 1,
    /// The database is stopped, starting or shutting down.
    StoreUnavailable = 2,
    /// The transaction is no longer in the server's logs.
    TransactionPruned = 3,
    /// The request makes no sense.
    InvalidRequest = 4,
    /// There is no such database.
    DatabaseUnknown = 5,
    /// Something else failed.
    GeneralError = 6,
}

impl CatchupResult {
    const ALL: [Self; 7] = [
        Self::SuccessEndOfStream,
        Self::StoreIdMismatch,
        Self::StoreUnavailable,
        Self::TransactionPruned,
        Self::InvalidRequest,
        Self::DatabaseUnknown,
        Self::GeneralError,
    ];

    pub(super) fn decode(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let field = "catchup result";
        let offset = reader.offset();
        let value = reader.i32(field)?;
        Self::ALL.into_iter().find(|&result| result as i32 == value).ok_or(DecodeError::Value {
            field,
            offset,
            value: i64::from(value),
            expected: "0 to 6",
        })
    }

    pub(super) fn encode(self, out: &mut BytesMut) {
        out.put_i32(self as i32);
    }
}

impl fmt::Display for CatchupResult {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::SuccessEndOfStream => "SUCCESS_END_OF_STREAM",
            Self::StoreIdMismatch => "E_STORE_ID_MISMATCH",
            Self::StoreUnavailable => "E_STORE_UNAVAILABLE",
            Self::TransactionPruned => "E_TRANSACTION_PRUNED",
            Self::InvalidRequest => "E_INVALID_REQUEST",
            Self::DatabaseUnknown => "E_DATABASE_UNKNOWN",
            Self::GeneralError => "E_GENERAL_ERROR",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_result_out_of_range_is_refused() {
        for value in [-1, 7, i32::MIN, i32::MAX] {
            let bytes = value.to_be_bytes();
            assert!(CatchupResult::decode(&mut Reader::new(&bytes)).is_err(), "{value}");
        }
        for result in CatchupResult::ALL {
            let mut bytes = BytesMut::new();
            result.encode(&mut bytes);
            assert_eq!(CatchupResult::decode(&mut Reader::new(&bytes)), Ok(result));
        }
    }
}
