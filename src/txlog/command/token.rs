//! Changes of tokens: labels, relationship types, property keys.

use bytes::BufMut;

use super::super::EntryError;
use super::dynamic::DynamicRecords;
use super::{Change, Mode, RecordFlags};
use crate::io::bytes::Reader;
use crate::store::id::DynamicId;

/// What a token names.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum TokenKind {
    /// Command 8.
    Label,
    /// Command 4.
    RelationshipType,
    /// Command 5.
    PropertyKey,
}

/// Commands 4, 5 and 8: 4 bytes token id, the image before, the image after.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TokenCommand<'a> {
    /// What the token names.
    pub kind: TokenKind,
    /// Id of the token among those of its kind.
    pub id: u32,
    /// Its record.
    pub change: Change<TokenImage<'a>>,
}

/// A token record with its name.
///
/// | Size | Field                                                   |
/// |-----:|---------------------------------------------------------|
/// |    1 | flags: 00 not in use, 01 in use, 21 in use and internal |
/// |    4 | property key only: a count that is not used             |
/// |    4 | first record of the name                                |
/// |  4+n | records of the name                                     |
///
/// Specification: transaction log 4.7.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TokenImage<'a> {
    /// In use, internal.
    pub flags: RecordFlags,
    /// Of a property key: a count that is not used any more.
    pub property_count: i32,
    /// First record of the name.
    pub name: Option<DynamicId>,
    /// Records of the name.
    pub name_records: DynamicRecords<'a>,
}

impl<'a> TokenCommand<'a> {
    /// Reads what follows the type byte.
    pub fn decode(kind: TokenKind, reader: &mut Reader<'a>) -> Result<Self, EntryError> {
        let id = reader.i32("token id")?.cast_unsigned();
        Ok(Self { kind, id, change: Change::decode(|| TokenImage::decode(kind, reader))? })
    }

    /// Appends what follows the type byte.
    pub fn encode(&self, out: &mut impl BufMut) {
        out.put_u32(self.id);
        self.change.before.encode(self.kind, out);
        self.change.after.encode(self.kind, out);
    }

    /// What happens to the record.
    pub fn mode(&self) -> Mode {
        Mode::of(self.change.before.flags, self.change.after.flags, false)
    }
}

impl<'a> TokenImage<'a> {
    fn decode(kind: TokenKind, reader: &mut Reader<'a>) -> Result<Self, EntryError> {
        let (field, offset) = ("token flags", reader.offset());
        let flags = RecordFlags::decode(reader)?;
        if !flags.in_use() && flags.0 != 0 {
            let expected = "0 where the token is not in use";
            return Err(EntryError::Invalid { field, offset, expected, found: flags.0.into() });
        }
        let property_count = if kind == TokenKind::PropertyKey { reader.i32("property count")? } else { 0 };
        let name = match reader.i32("first name record")? {
            -1 => None,
            id => Some(DynamicId(id.cast_unsigned().into())),
        };
        Ok(Self { flags, property_count, name, name_records: DynamicRecords::decode(reader)? })
    }

    fn encode(&self, kind: TokenKind, out: &mut impl BufMut) {
        out.put_u8(self.flags.0);
        if kind == TokenKind::PropertyKey {
            out.put_i32(self.property_count);
        }
        // Name records have ids of 32 bits; "none" is the low half of a wide −1.
        let [.., a, b, c, d] = DynamicId::to_field(self.name).to_be_bytes();
        out.put_slice(&[a, b, c, d]);
        self.name_records.encode(out);
    }
}
