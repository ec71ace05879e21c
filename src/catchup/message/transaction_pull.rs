//! The transactions behind a given one.

use bytes::{BufMut, BytesMut};

use super::field::{database_id, put_database_id, put_store_id, store_id};
use super::{Body, CatchupResult, DecodeError, Request, RequestKind, Response, ResponseKind};
use crate::io::bytes::Reader;
use crate::store::id::{DatabaseId, StoreId, TransactionId};

/// Asks for all transactions behind a given one.
///
/// | Offset | Size | Field                                                          |
/// |-------:|-----:|----------------------------------------------------------------|
/// |      0 |   16 | database id                                                    |
/// |     16 |    8 | previous transaction, at least 1: the first one wanted is the next |
/// |     24 |   41 | store id that the client expects                               |
///
/// Specification: protocol 4.2.1.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TransactionPullRequest {
    /// Id of the database.
    pub database: DatabaseId,
    /// The last transaction that the client has.
    pub previous: TransactionId,
    /// Store id that the client expects.
    pub store_id: StoreId,
}

impl Body for TransactionPullRequest {
    fn decode(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let database = database_id(reader)?;
        let field = "previous transaction id";
        let offset = reader.offset();
        let previous = reader.i64(field)?;
        if previous < 1 {
            return Err(DecodeError::Value { field, offset, value: previous, expected: "at least 1" });
        }
        Ok(Self { database, previous: TransactionId(previous), store_id: store_id(reader)? })
    }

    fn encode(&self, out: &mut BytesMut) {
        put_database_id(out, self.database);
        out.put_i64(self.previous.0);
        put_store_id(out, &self.store_id);
    }
}

impl Request for TransactionPullRequest {
    const KIND: RequestKind = RequestKind::TransactionPull;
}

/// The end of a transaction stream, or the whole answer if there is nothing to stream.
///
/// | Offset | Size | Field                                                             |
/// |-------:|-----:|-------------------------------------------------------------------|
/// |      0 |    4 | [`CatchupResult`]                                                 |
/// |      4 |    8 | last transaction sent; the last one committed if none was sent; -1 if refused |
///
/// Specification: protocol 4.3.6.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TransactionStreamFinished {
    /// How it ended.
    pub result: CatchupResult,
    /// Last transaction sent, the last one committed if none was sent, -1 if the request was refused.
    pub last: TransactionId,
}

impl TransactionStreamFinished {
    /// The answer that gives no transaction.
    pub fn refusal(result: CatchupResult) -> Self {
        Self { result, last: TransactionId(-1) }
    }
}

impl Body for TransactionStreamFinished {
    fn decode(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(Self {
            result: CatchupResult::decode(reader)?,
            last: TransactionId(reader.i64("last transaction id")?),
        })
    }

    fn encode(&self, out: &mut BytesMut) {
        self.result.encode(out);
        out.put_i64(self.last.0);
    }
}

impl Response for TransactionStreamFinished {
    const KIND: ResponseKind = ResponseKind::TransactionStreamFinished;
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::catchup::message::worked::{DATABASE, STORE, assert_body};

    #[test]
    fn the_worked_bytes_are_read_and_written() {
        assert_body(
            "2f 5a 1c 3e 8d 4b 4c 6a 9e 7f 01 23 45 67 89 ab 00 00 00 00 00 00 00 2a 01 00 00 01 76 bb 3e 70 00
             11 22 33 44 55 66 77 88 30 2e 33 2e 34 46 53 07 00 00 01 76 bb 3e 70 00 00 00 00 00 00 00 00 01",
            &TransactionPullRequest { database: DATABASE, previous: TransactionId(42), store_id: STORE },
        );
        assert_body(
            "00 00 00 00 00 00 00 00 00 00 00 2a",
            &TransactionStreamFinished { result: CatchupResult::SuccessEndOfStream, last: TransactionId(42) },
        );
        assert_body(
            "00 00 00 03 ff ff ff ff ff ff ff ff",
            &TransactionStreamFinished::refusal(CatchupResult::TransactionPruned),
        );
    }

    #[test]
    fn nothing_comes_before_the_first_transaction() {
        for previous in [0, -1, i64::MIN] {
            let mut body = BytesMut::new();
            TransactionPullRequest { database: DATABASE, previous: TransactionId(previous), store_id: STORE }
                .encode(&mut body);
            assert!(matches!(TransactionPullRequest::from_payload(&body), Err(DecodeError::Value { .. })));
        }
    }
}
