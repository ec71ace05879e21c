//! The id of a database by name.

use bytes::BytesMut;

use super::field::{database_id, put_database_id, put_string, string};
use super::{Body, DecodeError, Request, RequestKind, Response, ResponseKind};
use crate::catchup::frame;
use crate::io::bytes::Reader;
use crate::store::id::DatabaseId;

/// Asks for the id of a database.
///
/// | Offset | Size | Field                                          |
/// |-------:|-----:|------------------------------------------------|
/// |      0 |  4+n | name; the server folds it to lower case        |
///
/// Specification: protocol 4.2.5.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DatabaseIdRequest {
    /// Name of the database.
    pub name: String,
}

impl Body for DatabaseIdRequest {
    fn decode(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(Self { name: string(reader, "database name", frame::LIMIT)?.to_owned() })
    }

    fn encode(&self, out: &mut BytesMut) {
        put_string(out, &self.name);
    }
}

impl Request for DatabaseIdRequest {
    const KIND: RequestKind = RequestKind::DatabaseId;
}

/// The id of the database asked for.
///
/// | Offset | Size | Field       |
/// |-------:|-----:|-------------|
/// |      0 |   16 | database id |
///
/// Specification: protocol 4.3.2.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DatabaseIdResponse {
    /// Id of the database.
    pub database: DatabaseId,
}

impl Body for DatabaseIdResponse {
    fn decode(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(Self { database: database_id(reader)? })
    }

    fn encode(&self, out: &mut BytesMut) {
        put_database_id(out, self.database);
    }
}

impl Response for DatabaseIdResponse {
    const KIND: ResponseKind = ResponseKind::DatabaseId;
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::catchup::message::worked::{DATABASE, assert_body};

    #[test]
    fn the_worked_bytes_are_read_and_written() {
        assert_body("00 00 00 05 6e 65 6f 34 6a", &DatabaseIdRequest { name: "neo4j".to_owned() });
        assert_body(
            "2f 5a 1c 3e 8d 4b 4c 6a 9e 7f 01 23 45 67 89 ab",
            &DatabaseIdResponse { database: DATABASE },
        );
    }
}
