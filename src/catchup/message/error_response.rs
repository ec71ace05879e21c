//! A refusal.

use bytes::BytesMut;

use super::field::{put_string, string};
use super::{Body, CatchupResult, DecodeError, Response, ResponseKind};
use crate::catchup::frame;
use crate::io::bytes::Reader;

/// The answer to any request that the server can't or won't serve. The connection stays usable.
///
/// | Offset | Size | Field             |
/// |-------:|-----:|-------------------|
/// |      0 |    4 | [`CatchupResult`] |
/// |      4 |  4+n | message           |
///
/// Specification: protocol 4.6.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ErrorResponse {
    /// What went wrong.
    pub status: CatchupResult,
    /// The same in words.
    pub message: String,
}

impl Body for ErrorResponse {
    fn decode(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let status = CatchupResult::decode(reader)?;
        Ok(Self { status, message: string(reader, "message", frame::LIMIT)?.to_owned() })
    }

    fn encode(&self, out: &mut BytesMut) {
        self.status.encode(out);
        put_string(out, &self.message);
    }
}

impl Response for ErrorResponse {
    const KIND: ResponseKind = ResponseKind::Error;
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::catchup::message::worked::assert_body;

    #[test]
    fn the_worked_bytes_are_read_and_written() {
        assert_body(
            "00 00 00 05 00 00 00 1d 44 61 74 61 62 61 73 65 20 27 66 6f 6f 27 20 64 6f 65 73 20 6e 6f 74 20 65
             78 69 73 74",
            &ErrorResponse {
                status: CatchupResult::DatabaseUnknown,
                message: "Database 'foo' does not exist".to_owned(),
            },
        );
    }
}
