//! How far a database has got.

use bytes::{BufMut, BytesMut};

use super::field::{database_id, put_database_id, put_string, string};
use super::{Body, DecodeError, Request, RequestKind, Response, ResponseKind};
use crate::catchup::frame;
use crate::io::bytes::Reader;
use crate::store::id::{DatabaseId, TransactionId};

/// Asks how far a database has got. Not in version 3.0.
///
/// | Offset | Size | Field                |
/// |-------:|-----:|----------------------|
/// |      0 |  4+n | name of the database |
/// |    4+n |   16 | database id          |
///
/// Specification: protocol 4.2.6.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InfoRequest {
    /// Name of the database.
    pub name: String,
    /// Id of the database.
    pub database: DatabaseId,
}

impl Body for InfoRequest {
    fn decode(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let name = string(reader, "database name", frame::LIMIT)?.to_owned();
        Ok(Self { name, database: database_id(reader)? })
    }

    fn encode(&self, out: &mut BytesMut) {
        put_string(out, &self.name);
        put_database_id(out, self.database);
    }
}

impl Request for InfoRequest {
    const KIND: RequestKind = RequestKind::Info;
}

/// How far the database has got.
///
/// | Offset | Size | Field                                     |
/// |-------:|-----:|-------------------------------------------|
/// |      0 |    8 | reconciled transaction id                 |
/// |      8 |    1 | 1: a failure follows, 0: none             |
/// |      9 |  4+n | failure, only if announced                |
///
/// Specification: protocol 4.3.7.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InfoResponse {
    /// The last transaction that is reconciled in the cluster.
    pub reconciled: TransactionId,
    /// Why the database has failed, if it has.
    pub failure: Option<String>,
}

impl Body for InfoResponse {
    fn decode(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let reconciled = TransactionId(reader.i64("reconciled transaction id")?);
        let field = "presence of a failure";
        let offset = reader.offset();
        let failure = match reader.u8(field)? {
            0 => None,
            1 => Some(string(reader, "failure", frame::LIMIT)?.to_owned()),
            other => {
                return Err(DecodeError::Value {
                    field,
                    offset,
                    value: i64::from(other),
                    expected: "0 or 1",
                });
            }
        };
        Ok(Self { reconciled, failure })
    }

    fn encode(&self, out: &mut BytesMut) {
        out.put_i64(self.reconciled.0);
        out.put_u8(u8::from(self.failure.is_some()));
        if let Some(failure) = &self.failure {
            put_string(out, failure);
        }
    }
}

impl Response for InfoResponse {
    const KIND: ResponseKind = ResponseKind::Info;
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::catchup::message::worked::{DATABASE, assert_body, assert_round_trip};

    #[test]
    fn the_worked_bytes_are_read_and_written() {
        assert_body(
            "00 00 00 05 6e 65 6f 34 6a 2f 5a 1c 3e 8d 4b 4c 6a 9e 7f 01 23 45 67 89 ab",
            &InfoRequest { name: "neo4j".to_owned(), database: DATABASE },
        );
        assert_body(
            "00 00 00 00 00 00 00 11 00",
            &InfoResponse { reconciled: TransactionId(17), failure: None },
        );
        assert_round_trip(&InfoResponse {
            reconciled: TransactionId(0),
            failure: Some("it broke".to_owned()),
        });
    }
}
