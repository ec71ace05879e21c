//! Dynamic records inside of other commands: labels, names and long values.

use bytes::BufMut;

use super::super::EntryError;
use super::super::entry::{length, put_length};
use super::RecordFlags;
use crate::io::bytes::Reader;
use crate::store::id::DynamicId;

/// A record of a dynamic store.
///
/// | Offset | Size | Field                                              |
/// |-------:|-----:|----------------------------------------------------|
/// |      0 |    8 | record id                                          |
/// |      8 |    4 | kind of the chain: 9 string, 10 array, −1 name     |
/// |     12 |    1 | flags: 01 in use, 02 created, 20 first of its chain |
/// |     13 |    4 | in use only: length of the data                    |
/// |     17 |    8 | in use only: next record of the chain              |
/// |     25 |    n | in use only: data                                  |
///
/// Specification: transaction log 4.3.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DynamicRecord<'a> {
    /// Its id in the store that the command implies.
    pub id: DynamicId,
    /// Kind of the chain.
    pub kind: i32,
    /// In use, created, first. In values of a property every record counts as created, whatever this says.
    pub flags: RecordFlags,
    /// Next record of the chain.
    pub next: Option<DynamicId>,
    /// This record's part of the value; empty if not in use.
    pub data: &'a [u8],
}

impl<'a> DynamicRecord<'a> {
    /// A chain of strings.
    pub const STRING: i32 = 9;
    /// A chain of arrays.
    pub const ARRAY: i32 = 10;
    /// A chain of names.
    pub const NAME: i32 = -1;

    /// No record holds as much data as this. Specification: transaction log 3.5.
    const DATA_LIMIT: usize = (1 << 24) - 1;

    /// Reads a record.
    #[inline]
    pub fn decode(reader: &mut Reader<'a>) -> Result<Self, EntryError> {
        let id = DynamicId(reader.i64("dynamic record id")? as u64);
        let kind = reader.i32("dynamic record kind")?;
        let flags = RecordFlags::decode(reader)?;
        if !flags.in_use() {
            return Ok(Self { id, kind, flags, next: None, data: &[] });
        }
        let (field, offset) = ("dynamic record length", reader.offset());
        let length = length(reader, field)?;
        if length >= Self::DATA_LIMIT {
            let expected = "below 16777215";
            return Err(EntryError::Invalid { field, offset, expected, found: length as i64 });
        }
        let next = DynamicId::from_field(reader.i64("next dynamic record")?);
        Ok(Self { id, kind, flags, next, data: reader.bytes("dynamic record data", length)? })
    }

    /// Appends the record.
    pub fn encode(&self, out: &mut impl BufMut) {
        out.put_u64(self.id.0);
        out.put_i32(self.kind);
        out.put_u8(self.flags.0);
        if self.flags.in_use() {
            put_length(out, self.data.len());
            out.put_i64(DynamicId::to_field(self.next));
            out.put_slice(self.data);
        }
    }

    /// Whether a chain starts here.
    pub fn is_first(&self) -> bool {
        self.flags.0 & 0x20 != 0
    }
}

/// A list of dynamic records: a 4-byte count, then the records. Stays bytes; iterate to get the records.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct DynamicRecords<'a> {
    count: usize,
    /// Exactly the encoded records, checked.
    encoded: &'a [u8],
}

impl<'a> DynamicRecords<'a> {
    /// Reads a list and checks each record in it.
    #[inline]
    pub fn decode(reader: &mut Reader<'a>) -> Result<Self, EntryError> {
        let count = length(reader, "number of dynamic records")?;
        let mut walker = reader.clone();
        for _ in 0..count {
            DynamicRecord::decode(&mut walker)?;
        }
        let encoded = reader.bytes("dynamic records", walker.offset() - reader.offset())?;
        Ok(Self { count, encoded })
    }

    /// Appends the list.
    pub fn encode(&self, out: &mut impl BufMut) {
        put_length(out, self.count);
        out.put_slice(self.encoded);
    }

    /// How many records there are.
    pub fn len(&self) -> usize {
        self.count
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// The records in their order.
    pub fn iter(&self) -> DynamicRecordIter<'a> {
        DynamicRecordIter { rest: Reader::new(self.encoded) }
    }
}

impl<'a> IntoIterator for &DynamicRecords<'a> {
    type Item = DynamicRecord<'a>;
    type IntoIter = DynamicRecordIter<'a>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}

/// Records of a [`DynamicRecords`].
#[derive(Clone, Debug)]
pub struct DynamicRecordIter<'a> {
    rest: Reader<'a>,
}

impl<'a> Iterator for DynamicRecordIter<'a> {
    type Item = DynamicRecord<'a>;

    fn next(&mut self) -> Option<Self::Item> {
        DynamicRecord::decode(&mut self.rest).ok()
    }
}
