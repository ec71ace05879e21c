//! Commands that recreate users and roles.

use std::fmt;

use bytes::{BufMut, BytesMut};

use super::field::{long_count, put_string, string};
use super::{Body, DecodeError, Request, RequestKind, Response, ResponseKind};
use crate::catchup::frame;
use crate::io::bytes::Reader;

/// Most commands that an answer may hold: ten times what the largest known installations have.
const MAX_COMMANDS: usize = 262_144;

/// What the commands recreate. `Display` gives the word of the wire and of `--include-metadata`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MetadataKind {
    /// Roles and users.
    All,
    /// Users alone.
    Users,
    /// Roles alone.
    Roles,
}

impl MetadataKind {
    fn name(self) -> &'static str {
        match self {
            Self::All => "all",
            Self::Users => "users",
            Self::Roles => "roles",
        }
    }
}

impl fmt::Display for MetadataKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// Asks for the commands that recreate users, roles or both. Not in version 3.0.
///
/// | Offset | Size | Field                                   |
/// |-------:|-----:|-----------------------------------------|
/// |      0 |  4+n | name of the database, not its id        |
/// |    4+n |  4+m | `all`, `users` or `roles`               |
///
/// Specification: protocol 4.2.9.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MetadataRequest {
    /// Name of the database.
    pub name: String,
    /// What is wanted.
    pub what: MetadataKind,
}

impl Body for MetadataRequest {
    fn decode(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let name = string(reader, "database name", frame::LIMIT)?.to_owned();
        let field = "kind of metadata";
        let word = string(reader, field, frame::LIMIT)?;
        let what = [MetadataKind::All, MetadataKind::Users, MetadataKind::Roles]
            .into_iter()
            .find(|what| what.name() == word)
            .ok_or_else(|| DecodeError::Text {
                field,
                value: word.to_owned(),
                expected: "all, users or roles",
            })?;
        Ok(Self { name, what })
    }

    fn encode(&self, out: &mut BytesMut) {
        put_string(out, &self.name);
        put_string(out, self.what.name());
    }
}

impl Request for MetadataRequest {
    const KIND: RequestKind = RequestKind::Metadata;
}

/// Cypher commands in the order of their execution: first those for roles, then those for users.
///
/// | Offset | Size | Field                                              |
/// |-------:|-----:|----------------------------------------------------|
/// |      0 |    8 | number of commands (64 bits, unlike other counts)  |
/// |      8 |      | each command (4+n)                                 |
///
/// Specification: protocol 4.3.8.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MetadataResponse {
    /// The commands.
    pub commands: Vec<String>,
}

impl Body for MetadataResponse {
    fn decode(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let count = long_count(reader, "number of commands", MAX_COMMANDS)?;
        let mut commands = Vec::new();
        for _ in 0..count {
            commands.push(string(reader, "command", frame::LIST_LIMIT)?.to_owned());
        }
        Ok(Self { commands })
    }

    fn encode(&self, out: &mut BytesMut) {
        out.put_i64(self.commands.len() as i64);
        for command in &self.commands {
            put_string(out, command);
        }
    }
}

impl Response for MetadataResponse {
    const KIND: ResponseKind = ResponseKind::Metadata;
    const LIMIT: usize = frame::LIST_LIMIT;
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::catchup::message::worked::{assert_body, assert_round_trip, hex};

    #[test]
    fn the_worked_bytes_are_read_and_written() {
        assert_body(
            "00 00 00 05 6e 65 6f 34 6a 00 00 00 03 61 6c 6c",
            &MetadataRequest { name: "neo4j".to_owned(), what: MetadataKind::All },
        );
        assert_body(
            "00 00 00 00 00 00 00 01 00 00 00 1d 43 52 45 41 54 45 20 52 4f 4c 45
             20 60 72 60 20 49 46 20 4e 4f 54 20 45 58 49 53 54 53",
            &MetadataResponse { commands: vec!["CREATE ROLE `r` IF NOT EXISTS".to_owned()] },
        );
        assert_round_trip(&MetadataRequest { name: String::new(), what: MetadataKind::Users });
        assert_round_trip(&MetadataRequest { name: "a".to_owned(), what: MetadataKind::Roles });
        assert_round_trip(&MetadataResponse { commands: Vec::new() });
    }

    #[test]
    fn the_kind_is_exact() {
        let upper_case = hex("00 00 00 00 00 00 00 03 41 4c 4c");
        assert!(matches!(MetadataRequest::from_payload(&upper_case), Err(DecodeError::Text { .. })));
    }
}
