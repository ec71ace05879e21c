//! All databases with their ids.

use bytes::{BufMut, BytesMut};

use super::field::{database_id, long_count, put_database_id, put_string, string};
use super::{Body, DecodeError, Request, RequestKind, Response, ResponseKind};
use crate::catchup::frame;
use crate::io::bytes::Reader;
use crate::store::id::DatabaseId;

/// Most databases that an answer may list. No server holds a thousand.
const MAX_DATABASES: usize = 65_536;

/// Asks for all databases with their ids. Not in version 3.0.
///
/// | Offset | Size | Field        |
/// |-------:|-----:|--------------|
/// |      0 |    1 | 1, no meaning: a body can't be empty |
///
/// Specification: protocol 4.2.8.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AllDatabaseIdsRequest;

impl Body for AllDatabaseIdsRequest {
    fn decode(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        reader.u8("dummy")?;
        Ok(Self)
    }

    fn encode(&self, out: &mut BytesMut) {
        out.put_u8(1);
    }
}

impl Request for AllDatabaseIdsRequest {
    const KIND: RequestKind = RequestKind::AllDatabaseIds;
}

/// All databases of the server, `system` included, in no order.
///
/// | Offset | Size | Field                                                     |
/// |-------:|-----:|-----------------------------------------------------------|
/// |      0 |    8 | number of databases (64 bits, unlike other counts)        |
/// |      8 |      | for each: name (4+n), database id (16)                    |
///
/// Specification: protocol 4.3.3.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AllDatabaseIdsResponse {
    /// Name and id of each database.
    pub databases: Vec<(String, DatabaseId)>,
}

impl Body for AllDatabaseIdsResponse {
    fn decode(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let count = long_count(reader, "number of databases", MAX_DATABASES)?;
        let mut databases = Vec::new();
        for _ in 0..count {
            let name = string(reader, "database name", frame::LIMIT)?.to_owned();
            databases.push((name, database_id(reader)?));
        }
        Ok(Self { databases })
    }

    fn encode(&self, out: &mut BytesMut) {
        out.put_i64(self.databases.len() as i64);
        for (name, id) in &self.databases {
            put_string(out, name);
            put_database_id(out, *id);
        }
    }
}

impl Response for AllDatabaseIdsResponse {
    const KIND: ResponseKind = ResponseKind::AllDatabaseIds;
    const LIMIT: usize = frame::LIST_LIMIT;
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::catchup::message::worked::{DATABASE, assert_body, assert_round_trip, hex};

    #[test]
    fn the_worked_bytes_are_read_and_written() {
        assert_body("01", &AllDatabaseIdsRequest);
        assert_body(
            "00 00 00 00 00 00 00 02 00 00 00 06 73 79 73 74 65 6d 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 01
             00 00 00 05 6e 65 6f 34 6a 2f 5a 1c 3e 8d 4b 4c 6a 9e 7f 01 23 45 67 89 ab",
            &AllDatabaseIdsResponse {
                databases: vec![("system".to_owned(), DatabaseId::SYSTEM), ("neo4j".to_owned(), DATABASE)],
            },
        );
        assert_round_trip(&AllDatabaseIdsResponse { databases: Vec::new() });
    }

    #[test]
    fn a_count_that_the_body_cannot_hold_is_refused() {
        let huge = hex("7f ff ff ff ff ff ff ff");
        assert!(matches!(AllDatabaseIdsResponse::from_payload(&huge), Err(DecodeError::TooMany { .. })));
        let negative = hex("80 00 00 00 00 00 00 00");
        assert!(matches!(AllDatabaseIdsResponse::from_payload(&negative), Err(DecodeError::Value { .. })));
    }
}
