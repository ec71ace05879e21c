//! Field types that several messages share. Specification: protocol 4.1.

use bytes::{BufMut, BytesMut};

use super::DecodeError;
use crate::io::bytes::Reader;
use crate::store::id::{DatabaseId, StoreId};

/// Bytes of a store id that is there: the presence byte and the five values.
const PRESENT: u8 = 1;
const ABSENT: u8 = 0;

/// A text that must not be null.
///
/// | Offset | Size | Field                               |
/// |-------:|-----:|-------------------------------------|
/// |      0 |    4 | number of bytes, -1 for null        |
/// |      4 |    n | UTF-8                               |
pub(in crate::catchup) fn string<'a>(
    reader: &mut Reader<'a>,
    field: &'static str,
    limit: usize,
) -> Result<&'a str, DecodeError> {
    let offset = reader.offset();
    let length = count(reader, field, limit)?;
    let bytes = reader.bytes(field, length)?;
    std::str::from_utf8(bytes).map_err(|_| DecodeError::NotUtf8 { field, offset })
}

/// Appends a text. Bytes behind 2^31 - 1 can't be announced and are left out; no text of this protocol comes near.
pub(in crate::catchup) fn put_string(out: &mut BytesMut, text: &str) {
    let bytes = text.as_bytes();
    let length = i32::try_from(bytes.len()).unwrap_or(i32::MAX);
    out.put_i32(length);
    out.put_slice(bytes.get(..length as usize).unwrap_or(bytes));
}

/// A 32-bit count of bytes or entries, not null and at most `limit`.
pub(super) fn count(
    reader: &mut Reader<'_>,
    field: &'static str,
    limit: usize,
) -> Result<usize, DecodeError> {
    let offset = reader.offset();
    let value = i64::from(reader.i32(field)?);
    checked_count(field, offset, value, limit)
}

/// A 64-bit count of entries, at most `limit`.
pub(super) fn long_count(
    reader: &mut Reader<'_>,
    field: &'static str,
    limit: usize,
) -> Result<usize, DecodeError> {
    let offset = reader.offset();
    let value = reader.i64(field)?;
    checked_count(field, offset, value, limit)
}

fn checked_count(field: &'static str, offset: usize, value: i64, limit: usize) -> Result<usize, DecodeError> {
    match usize::try_from(value) {
        Ok(count) if count <= limit => Ok(count),
        Ok(_) => Err(DecodeError::TooMany { field, offset, count: value, limit }),
        Err(_) if value == -1 => Err(DecodeError::Null { field, offset }),
        Err(_) => Err(DecodeError::Value { field, offset, value, expected: "a count" }),
    }
}

/// A database id: the 16 bytes of the UUID in the order of its text form.
pub(super) fn database_id(reader: &mut Reader<'_>) -> Result<DatabaseId, DecodeError> {
    Ok(DatabaseId(uuid::Uuid::from_bytes(reader.array("database id")?)))
}

/// Appends a database id.
pub(super) fn put_database_id(out: &mut BytesMut, id: DatabaseId) {
    out.put_slice(id.0.as_bytes());
}

/// A store id behind its presence byte. Null is refused: nothing can be compared with it.
///
/// | Offset | Size | Field                            |
/// |-------:|-----:|----------------------------------|
/// |      0 |    1 | 1: it is there, 0: null          |
/// |      1 |   40 | [`StoreId`]                      |
pub(super) fn store_id(reader: &mut Reader<'_>) -> Result<StoreId, DecodeError> {
    let field = "presence of the store id";
    let offset = reader.offset();
    match reader.u8(field)? {
        PRESENT => Ok(StoreId::decode(reader)?),
        ABSENT => Err(DecodeError::Null { field: "store id", offset }),
        other => Err(DecodeError::Value { field, offset, value: i64::from(other), expected: "0 or 1" }),
    }
}

/// Appends a store id that is there.
pub(super) fn put_store_id(out: &mut BytesMut, id: &StoreId) {
    out.put_u8(PRESENT);
    id.encode(out);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::catchup::message::worked;

    #[test]
    fn lengths_are_checked_before_anything_is_taken() {
        let announce = |length: i32| {
            let bytes = length.to_be_bytes();
            string(&mut Reader::new(&bytes), "name", 10).unwrap_err()
        };
        assert_eq!(announce(-1), DecodeError::Null { field: "name", offset: 0 });
        assert!(matches!(announce(-2), DecodeError::Value { value: -2, .. }));
        assert!(matches!(announce(i32::MAX), DecodeError::TooMany { limit: 10, .. }));
        assert!(matches!(announce(10), DecodeError::Short(_)));
    }

    #[test]
    fn a_text_must_be_utf8() {
        let bytes = [0, 0, 0, 2, 0xc3, 0x28];
        let error = string(&mut Reader::new(&bytes), "name", 10).unwrap_err();
        assert_eq!(error, DecodeError::NotUtf8 { field: "name", offset: 0 });
    }

    #[test]
    fn a_store_id_must_be_there() {
        let mut bytes = BytesMut::new();
        put_store_id(&mut bytes, &worked::STORE);
        assert_eq!(bytes.len(), 41);
        assert_eq!(store_id(&mut Reader::new(&bytes)), Ok(worked::STORE));
        bytes[0] = 0;
        assert!(matches!(store_id(&mut Reader::new(&bytes)), Err(DecodeError::Null { .. })));
        bytes[0] = 2;
        assert!(matches!(store_id(&mut Reader::new(&bytes)), Err(DecodeError::Value { value: 2, .. })));
    }
}
