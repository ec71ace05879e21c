//! The identity of a store.

use bytes::BytesMut;

use super::field::{database_id, put_database_id, put_store_id, store_id};
use super::{Body, DecodeError, Request, RequestKind, Response, ResponseKind};
use crate::io::bytes::Reader;
use crate::store::id::{DatabaseId, StoreId};

/// Asks for the store id of a database.
///
/// | Offset | Size | Field       |
/// |-------:|-----:|-------------|
/// |      0 |   16 | database id |
///
/// Specification: protocol 4.2.2.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StoreIdRequest {
    /// Id of the database.
    pub database: DatabaseId,
}

impl Body for StoreIdRequest {
    fn decode(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(Self { database: database_id(reader)? })
    }

    fn encode(&self, out: &mut BytesMut) {
        put_database_id(out, self.database);
    }
}

impl Request for StoreIdRequest {
    const KIND: RequestKind = RequestKind::StoreId;
}

/// The store id of the database asked for.
///
/// | Offset | Size | Field                                     |
/// |-------:|-----:|-------------------------------------------|
/// |      0 |   41 | presence byte 1 and the five values of [`StoreId`] |
///
/// Specification: protocol 4.3.1.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StoreIdResponse {
    /// Id of the store.
    pub store_id: StoreId,
}

impl Body for StoreIdResponse {
    fn decode(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(Self { store_id: store_id(reader)? })
    }

    fn encode(&self, out: &mut BytesMut) {
        put_store_id(out, &self.store_id);
    }
}

impl Response for StoreIdResponse {
    const KIND: ResponseKind = ResponseKind::StoreId;
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::catchup::message::worked::{DATABASE, STORE, assert_body};

    #[test]
    fn the_worked_bytes_are_read_and_written() {
        assert_body(
            "2f 5a 1c 3e 8d 4b 4c 6a 9e 7f 01 23 45 67 89 ab",
            &StoreIdRequest { database: DATABASE },
        );
        assert_body(
            "01 00 00 01 76 bb 3e 70 00 11 22 33 44 55 66 77 88 30 2e 33 2e 34 46 53 07
             00 00 01 76 bb 3e 70 00 00 00 00 00 00 00 00 01",
            &StoreIdResponse { store_id: STORE },
        );
    }
}
