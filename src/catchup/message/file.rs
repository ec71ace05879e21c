//! A file on the wire: a header frame, then frames with its bytes, the last of them marked.

use bytes::{BufMut, BytesMut};

use super::field::{put_string, string};
use super::{Body, DecodeError};
use crate::io::bytes::Reader;

/// The frame in front of a file's chunks.
///
/// | Offset | Size | Field                                                            |
/// |-------:|-----:|------------------------------------------------------------------|
/// |      0 |  4+n | path below the server's database directory                       |
/// |    4+n |    4 | record size of the file on the server; nothing depends on it     |
///
/// The path is as the server sent it: UTF-8 and of bearable length, but whoever makes a file of it must check it first.
/// Specification: protocol 4.4.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FileHeader {
    /// Path below the server's database directory, with the server's own separator.
    pub path: String,
    /// Record size of the file on the server.
    pub alignment: i32,
}

impl FileHeader {
    /// Longest path that is accepted, in bytes. Specification: protocol 7.2.
    pub const MAX_PATH: usize = 4096;
}

impl Body for FileHeader {
    fn decode(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let path = string(reader, "path of a file", Self::MAX_PATH)?.to_owned();
        Ok(Self { path, alignment: reader.i32("required alignment")? })
    }

    fn encode(&self, out: &mut BytesMut) {
        put_string(out, &self.path);
        out.put_i32(self.alignment);
    }
}

/// One piece of a file.
///
/// | Offset | Size | Field                                          |
/// |-------:|-----:|------------------------------------------------|
/// |      0 |    4 | 0: more chunks follow, 1: the last one         |
/// |      4 |      | bytes of the file, up to the end of the frame  |
///
/// There is no type byte in front of it. Only the last chunk may be empty: an endless row of empty ones would be a file
/// that never ends and never grows. Specification: protocol 4.4.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FileChunk<'a> {
    /// Whether the file ends with this chunk.
    pub last: bool,
    /// Bytes of the file.
    pub data: &'a [u8],
}

impl<'a> FileChunk<'a> {
    /// Bytes in front of the data.
    pub const HEADER: usize = 4;

    /// Reads the payload of a frame.
    pub fn decode(payload: &'a [u8]) -> Result<Self, DecodeError> {
        let mut reader = Reader::new(payload);
        let field = "end mark of a file chunk";
        let last = match reader.i32(field)? {
            0 => false,
            1 => true,
            value => {
                return Err(DecodeError::Value {
                    field,
                    offset: 0,
                    value: i64::from(value),
                    expected: "0 or 1",
                });
            }
        };
        let data = reader.bytes("file data", reader.left())?;
        if data.is_empty() && !last {
            return Err(DecodeError::Value {
                field: "length of a chunk that is not the last",
                offset: Self::HEADER,
                value: 0,
                expected: "at least 1",
            });
        }
        Ok(Self { last, data })
    }

    /// Appends the payload of a frame.
    pub fn encode(&self, out: &mut BytesMut) {
        out.put_i32(i32::from(self.last));
        out.put_slice(self.data);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::catchup::message::worked::{assert_body, assert_round_trip, hex};

    #[test]
    fn the_worked_header_is_read_and_written() {
        assert_body(
            "00 00 00 12 6e 65 6f 73 74 6f 72 65 2e 63 6f 75 6e 74 73 2e 64 62 00 00 00 01",
            &FileHeader { path: "neostore.counts.db".to_owned(), alignment: 1 },
        );
        assert_body(
            "00 00 00 20 6e 65 6f 73 74 6f 72 65 2e 70 72 6f 70 65 72 74 79 73 74 6f 72 65 2e 64 62 2e 61 72 72
             61 79 73 00 00 00 80",
            &FileHeader { path: "neostore.propertystore.db.arrays".to_owned(), alignment: 128 },
        );
        assert_round_trip(&FileHeader { path: String::new(), alignment: -1 });
    }

    #[test]
    fn the_worked_chunks_are_read_and_written() {
        for (dump, last, data) in [
            ("00 00 00 01 de ad be ef", true, "de ad be ef"),
            ("00 00 00 00 10 11 12", false, "10 11 12"),
            ("00 00 00 01", true, ""),
        ] {
            let payload = hex(dump);
            let data = hex(data);
            let chunk = FileChunk { last, data: &data };
            assert_eq!(FileChunk::decode(&payload), Ok(chunk));
            let mut encoded = BytesMut::new();
            chunk.encode(&mut encoded);
            assert_eq!(encoded, payload.as_slice());
        }
    }

    #[test]
    fn chunks_that_make_no_progress_or_no_sense_are_refused() {
        for bad in ["", "01", "00 00 00", "00 00 00 00", "00 00 00 02 aa", "ff ff ff ff aa"] {
            assert!(FileChunk::decode(&hex(bad)).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn a_path_longer_than_the_limit_is_refused() {
        let mut body = BytesMut::new();
        FileHeader { path: "x".repeat(FileHeader::MAX_PATH + 1), alignment: 1 }.encode(&mut body);
        assert!(matches!(FileHeader::from_payload(&body), Err(DecodeError::TooMany { .. })));
    }
}
