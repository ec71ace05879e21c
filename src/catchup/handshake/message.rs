//! The messages of the handshake, one frame each: an `i32` code, then the fields.
//!
//! Requests and responses count their codes apart: 1 is a request for an application protocol and a response about a
//! modifier. Specification: protocol 2.2.

use std::fmt;

use bytes::{BufMut, BytesMut};

use crate::catchup::error::HandshakeError;
use crate::catchup::frame;
use crate::catchup::message::{DecodeError, put_string, string};
use crate::io::bytes::Reader;

/// A version of the application protocol: 3.0 or 4.0. Bytes: `i32` major, `i32` minor.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ProtocolVersion {
    /// Before the dot.
    pub major: i32,
    /// Behind the dot.
    pub minor: i32,
}

impl ProtocolVersion {
    /// Since Neo4j 4.0.
    pub const V3: Self = Self { major: 3, minor: 0 };
    /// Since Neo4j 4.3: the same and three requests more.
    pub const V4: Self = Self { major: 4, minor: 0 };

    fn decode(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(Self { major: reader.i32("major version")?, minor: reader.i32("minor version")? })
    }

    fn encode(self, out: &mut BytesMut) {
        out.put_i32(self.major);
        out.put_i32(self.minor);
    }
}

impl fmt::Display for ProtocolVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.major, self.minor)
    }
}

/// Whether a part of the handshake succeeded. On the wire an `i32`: 0 for success, -1 for failure; 1, ongoing, is never
/// sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Status {
    /// 0
    Success,
    /// -1
    Failure,
    /// Any other.
    Unknown(i32),
}

impl Status {
    fn decode(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(match reader.i32("status")? {
            0 => Self::Success,
            -1 => Self::Failure,
            other => Self::Unknown(other),
        })
    }

    fn encode(self, out: &mut BytesMut) {
        out.put_i32(match self {
            Self::Success => 0,
            Self::Failure => -1,
            Self::Unknown(other) => other,
        });
    }
}

/// A message from client to server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum HandshakeRequest {
    /// Code 1: the versions that the client speaks.
    ///
    /// | Offset | Size | Field                                    |
    /// |-------:|-----:|------------------------------------------|
    /// |      0 |    4 | 1                                        |
    /// |      4 |  4+n | `catchup`                                |
    /// |    8+n |    4 | number of versions                       |
    /// |   12+n |      | each: [`ProtocolVersion`]                |
    Application {
        /// Name of the protocol.
        protocol: String,
        /// The versions on offer, in no order.
        versions: Vec<ProtocolVersion>,
    },
    /// Code 2: one kind of modifier, such as compression.
    ///
    /// | Offset | Size | Field                                    |
    /// |-------:|-----:|------------------------------------------|
    /// |      0 |    4 | 2                                        |
    /// |      4 |  4+n | kind of modifier                         |
    /// |    8+n |    4 | number of names                          |
    /// |   12+n |      | each name (4+m)                          |
    Modifier {
        /// Kind of modifier.
        category: String,
        /// Names on offer, the best one first.
        names: Vec<String>,
    },
    /// Code 3: from the answer on, the agreed protocol is spoken.
    ///
    /// | Offset | Size | Field                                              |
    /// |-------:|-----:|----------------------------------------------------|
    /// |      0 |    4 | 3                                                  |
    /// |      4 |  4+n | `catchup`                                          |
    /// |    8+n |    8 | the version that the server chose                  |
    /// |   16+n |    4 | number of modifiers                                |
    /// |   20+n |      | each: kind (4+m), name (4+l)                       |
    SwitchOver {
        /// Name of the protocol.
        protocol: String,
        /// The version that the server chose.
        version: ProtocolVersion,
        /// Every modifier that the server accepted, in the order of its answers.
        modifiers: Vec<(String, String)>,
    },
}

impl HandshakeRequest {
    /// Reads a frame.
    pub fn decode(payload: &[u8]) -> Result<Self, HandshakeError> {
        let mut reader = Reader::new(payload);
        let code = reader.i32("message code").map_err(DecodeError::from)?;
        let message = match code {
            1 => {
                let protocol = text(&mut reader, "protocol")?;
                let versions = entries(&mut reader, "number of versions", ProtocolVersion::decode)?;
                Self::Application { protocol, versions }
            }
            2 => {
                let category = text(&mut reader, "kind of modifier")?;
                let names = entries(&mut reader, "number of modifiers", |reader| text(reader, "modifier"))?;
                Self::Modifier { category, names }
            }
            3 => {
                let protocol = text(&mut reader, "protocol")?;
                let version = ProtocolVersion::decode(&mut reader)?;
                let modifiers = entries(&mut reader, "number of modifiers", |reader| {
                    Ok((text(reader, "kind of modifier")?, text(reader, "modifier")?))
                })?;
                Self::SwitchOver { protocol, version, modifiers }
            }
            got => return Err(HandshakeError::Unexpected { got, expected: "a request, 1 to 3," }),
        };
        finish(&reader)?;
        Ok(message)
    }

    /// Appends the payload of a frame.
    pub fn encode(&self, out: &mut BytesMut) {
        match self {
            Self::Application { protocol, versions } => {
                out.put_i32(1);
                put_string(out, protocol);
                put_count(out, versions.len());
                for version in versions {
                    version.encode(out);
                }
            }
            Self::Modifier { category, names } => {
                out.put_i32(2);
                put_string(out, category);
                put_count(out, names.len());
                for name in names {
                    put_string(out, name);
                }
            }
            Self::SwitchOver { protocol, version, modifiers } => {
                out.put_i32(3);
                put_string(out, protocol);
                version.encode(out);
                put_count(out, modifiers.len());
                for (category, name) in modifiers {
                    put_string(out, category);
                    put_string(out, name);
                }
            }
        }
    }
}

/// A message from server to client.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum HandshakeResponse {
    /// Code 0: the version that the server chose.
    ///
    /// | Offset | Size | Field                                    |
    /// |-------:|-----:|------------------------------------------|
    /// |      0 |    4 | 0                                        |
    /// |      4 |    4 | [`Status`]                               |
    /// |      8 |  4+n | `catchup`; empty on failure              |
    /// |   12+n |    8 | the version; 0.0 on failure              |
    Application {
        /// Whether there is a version that both speak.
        status: Status,
        /// Name of the protocol.
        protocol: String,
        /// The version chosen.
        version: ProtocolVersion,
    },
    /// Code 1: the modifier that the server chose.
    ///
    /// | Offset | Size | Field                                    |
    /// |-------:|-----:|------------------------------------------|
    /// |      0 |    4 | 1                                        |
    /// |      4 |    4 | [`Status`]                               |
    /// |      8 |  4+n | kind of modifier, as asked for           |
    /// |   12+n |  4+m | name of the modifier; empty on failure   |
    Modifier {
        /// Failure: none of this kind, the connection goes on.
        status: Status,
        /// Kind of modifier.
        category: String,
        /// Name of the modifier.
        name: String,
    },
    /// Code 2: the agreed protocol is spoken from here on.
    ///
    /// | Offset | Size | Field                                    |
    /// |-------:|-----:|------------------------------------------|
    /// |      0 |    4 | 2                                        |
    /// |      4 |    4 | [`Status`]                               |
    SwitchOver {
        /// Whether it is.
        status: Status,
    },
}

impl HandshakeResponse {
    /// Reads a frame.
    pub fn decode(payload: &[u8]) -> Result<Self, HandshakeError> {
        let mut reader = Reader::new(payload);
        let code = reader.i32("message code").map_err(DecodeError::from)?;
        let message = match code {
            0 => Self::Application {
                status: Status::decode(&mut reader)?,
                protocol: text(&mut reader, "protocol")?,
                version: ProtocolVersion::decode(&mut reader)?,
            },
            1 => Self::Modifier {
                status: Status::decode(&mut reader)?,
                category: text(&mut reader, "kind of modifier")?,
                name: text(&mut reader, "modifier")?,
            },
            2 => Self::SwitchOver { status: Status::decode(&mut reader)? },
            got => return Err(HandshakeError::Unexpected { got, expected: "a response, 0 to 2," }),
        };
        finish(&reader)?;
        Ok(message)
    }

    /// Appends the payload of a frame.
    pub fn encode(&self, out: &mut BytesMut) {
        match self {
            Self::Application { status, protocol, version } => {
                out.put_i32(0);
                status.encode(out);
                put_string(out, protocol);
                version.encode(out);
            }
            Self::Modifier { status, category, name } => {
                out.put_i32(1);
                status.encode(out);
                put_string(out, category);
                put_string(out, name);
            }
            Self::SwitchOver { status } => {
                out.put_i32(2);
                status.encode(out);
            }
        }
    }

    /// The code of the message.
    pub fn code(&self) -> i32 {
        match self {
            Self::Application { .. } => 0,
            Self::Modifier { .. } => 1,
            Self::SwitchOver { .. } => 2,
        }
    }
}

fn text(reader: &mut Reader<'_>, field: &'static str) -> Result<String, DecodeError> {
    Ok(string(reader, field, frame::LIMIT)?.to_owned())
}

/// A count and that many entries.
fn entries<'a, T>(
    reader: &mut Reader<'a>,
    field: &'static str,
    mut entry: impl FnMut(&mut Reader<'a>) -> Result<T, DecodeError>,
) -> Result<Vec<T>, DecodeError> {
    /// Far more than there are versions or modifiers.
    const LIMIT: usize = 1000;
    let offset = reader.offset();
    let count = reader.i32(field)?;
    match usize::try_from(count) {
        Ok(count) if count <= LIMIT => (0..count).map(|_| entry(reader)).collect(),
        _ => Err(DecodeError::TooMany { field, offset, count: i64::from(count), limit: LIMIT }),
    }
}

fn put_count(out: &mut BytesMut, count: usize) {
    out.put_i32(i32::try_from(count).unwrap_or(i32::MAX));
}

fn finish(reader: &Reader<'_>) -> Result<(), DecodeError> {
    match reader.left() {
        0 => Ok(()),
        left => Err(DecodeError::Trailing { offset: reader.offset(), left }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::catchup::message::worked::hex;

    fn assert_request(dump: &str, message: &HandshakeRequest) {
        let wire = hex(dump);
        let mut encoded = BytesMut::new();
        frame::put(&mut encoded, |out| message.encode(out));
        assert_eq!(encoded, wire.as_slice());
        let payload = &wire[frame::HEADER..];
        assert_eq!(&HandshakeRequest::decode(payload).unwrap(), message);
        for end in 0..payload.len() {
            assert!(HandshakeRequest::decode(&payload[..end]).is_err(), "{end}");
        }
        assert!(HandshakeRequest::decode(&[payload, &[0]].concat()).is_err());
    }

    fn assert_response(dump: &str, message: &HandshakeResponse) {
        let wire = hex(dump);
        let mut encoded = BytesMut::new();
        frame::put(&mut encoded, |out| message.encode(out));
        assert_eq!(encoded, wire.as_slice());
        let payload = &wire[frame::HEADER..];
        assert_eq!(&HandshakeResponse::decode(payload).unwrap(), message);
        for end in 0..payload.len() {
            assert!(HandshakeResponse::decode(&payload[..end]).is_err(), "{end}");
        }
        assert!(HandshakeResponse::decode(&[payload, &[0]].concat()).is_err());
    }

    #[test]
    fn the_worked_requests_are_read_and_written() {
        assert_request(
            "00 00 00 23 00 00 00 01 00 00 00 07 63 61 74 63 68 75 70 00 00 00 02 00 00 00 03 00 00 00 00
             00 00 00 04 00 00 00 00",
            &HandshakeRequest::Application {
                protocol: "catchup".to_owned(),
                versions: vec![ProtocolVersion::V3, ProtocolVersion::V4],
            },
        );
        assert_request(
            "00 00 00 28 00 00 00 02 00 00 00 0b 63 6f 6d 70 72 65 73 73 69 6f 6e 00 00 00 02 00 00 00 03 4c
             5a 34 00 00 00 06 53 6e 61 70 70 79",
            &HandshakeRequest::Modifier {
                category: "compression".to_owned(),
                names: vec!["LZ4".to_owned(), "Snappy".to_owned()],
            },
        );
        assert_request(
            "00 00 00 1b 00 00 00 03 00 00 00 07 63 61 74 63 68 75 70 00 00 00 04 00 00 00 00 00 00 00 00",
            &HandshakeRequest::SwitchOver {
                protocol: "catchup".to_owned(),
                version: ProtocolVersion::V4,
                modifiers: Vec::new(),
            },
        );
        assert_request(
            "00 00 00 31 00 00 00 03 00 00 00 07 63 61 74 63 68 75 70 00 00 00 04 00 00 00 00 00 00 00 01 00
             00 00 0b 63 6f 6d 70 72 65 73 73 69 6f 6e 00 00 00 03 4c 5a 34",
            &HandshakeRequest::SwitchOver {
                protocol: "catchup".to_owned(),
                version: ProtocolVersion::V4,
                modifiers: vec![("compression".to_owned(), "LZ4".to_owned())],
            },
        );
    }

    #[test]
    fn the_worked_responses_are_read_and_written() {
        assert_response(
            "00 00 00 1b 00 00 00 00 00 00 00 00 00 00 00 07 63 61 74 63 68 75 70 00 00 00 04 00 00 00 00",
            &HandshakeResponse::Application {
                status: Status::Success,
                protocol: "catchup".to_owned(),
                version: ProtocolVersion::V4,
            },
        );
        assert_response(
            "00 00 00 14 00 00 00 00 ff ff ff ff 00 00 00 00 00 00 00 00 00 00 00 00",
            &HandshakeResponse::Application {
                status: Status::Failure,
                protocol: String::new(),
                version: ProtocolVersion { major: 0, minor: 0 },
            },
        );
        assert_response(
            "00 00 00 1b 00 00 00 01 ff ff ff ff 00 00 00 0b 63 6f 6d 70 72 65 73 73 69 6f 6e 00 00 00 00",
            &HandshakeResponse::Modifier {
                status: Status::Failure,
                category: "compression".to_owned(),
                name: String::new(),
            },
        );
        assert_response(
            "00 00 00 1e 00 00 00 01 00 00 00 00 00 00 00 0b 63 6f 6d 70 72 65 73 73 69 6f 6e 00 00 00 03 4c
             5a 34",
            &HandshakeResponse::Modifier {
                status: Status::Success,
                category: "compression".to_owned(),
                name: "LZ4".to_owned(),
            },
        );
        assert_response(
            "00 00 00 08 00 00 00 02 00 00 00 00",
            &HandshakeResponse::SwitchOver { status: Status::Success },
        );
    }

    #[test]
    fn counts_beyond_reason_are_refused() {
        let huge = hex("00 00 00 01 00 00 00 00 7f ff ff ff");
        let error = HandshakeRequest::decode(&huge).unwrap_err();
        assert!(matches!(error, HandshakeError::Malformed(DecodeError::TooMany { .. })), "{error}");
    }
}
