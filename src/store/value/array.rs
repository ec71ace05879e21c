//! Arrays in dynamic records.

use super::temporal::{self, Temporal};
use super::{Array, Point, bits, point};
use crate::io::bytes::{OutOfBytes, Reader};
use crate::store::error::Malformed;

/// Types of elements, the first byte of an array.
const BOOL: u8 = 1;
const BYTE: u8 = 2;
const SHORT: u8 = 3;
const CHAR: u8 = 4;
const INT: u8 = 5;
const LONG: u8 = 6;
const FLOAT: u8 = 7;
const DOUBLE: u8 = 8;
const STRING: u8 = 9;
const POINT: u8 = 13;
const TEMPORAL: u8 = 14;

impl From<OutOfBytes> for Malformed {
    fn from(error: OutOfBytes) -> Self {
        Self::ValueEnds { what: error.field }
    }
}

/// The array that the bytes of a chain are.
///
/// | First byte | Header                                                    | Body                                      |
/// |-----------:|-----------------------------------------------------------|-------------------------------------------|
/// |        1-6 | type, bits used in the last byte, bits of an element       | a stream of bits                          |
/// |       7, 8 | type, 8, 32 or 64                                         | little-endian numbers                     |
/// |          9 | type, count (4 bytes)                                     | per text: length (4 bytes), UTF-8         |
/// |         13 | type, 1, dimension, table and code (2 bytes) of the system | a whole array of doubles                  |
/// |         14 | type, temporal type                                       | a whole array of longs                    |
///
/// No bits per element: no elements. Specification: store format 6.7.
pub fn decode(bytes: &[u8]) -> Result<Array, Malformed> {
    let mut reader = Reader::new(bytes);
    match reader.u8("the array type")? {
        STRING => strings(&mut reader),
        POINT => points(&mut reader),
        TEMPORAL => temporals(&mut reader),
        // Of whole bytes Neo4j takes all, whatever the header says of the last.
        BYTE if bytes.get(2) == Some(&8) => Ok(Array::Byte(
            bytes.get(3..).unwrap_or_default().iter().map(|byte| byte.cast_signed()).collect(),
        )),
        kind @ BOOL..=DOUBLE => of_bits(kind, elements(&mut reader)?),
        kind => Err(Malformed::ValuePart { what: "array type", value: kind.into() }),
    }
}

/// The longs of an array of longs; the labels of a node are one. Specification: store format 7.
pub fn longs(bytes: &[u8]) -> Result<impl Iterator<Item = i64>, Malformed> {
    let mut reader = Reader::new(bytes);
    expect(&mut reader, LONG)?;
    Ok(elements(&mut reader)?.map(u64::cast_signed))
}

fn expect(reader: &mut Reader<'_>, wanted: u8) -> Result<(), Malformed> {
    match reader.u8("the array type")? {
        kind if kind == wanted => Ok(()),
        kind => Err(Malformed::ValuePart { what: "array type", value: kind.into() }),
    }
}

/// The elements of a numeric array behind its type, as unsigned numbers. Floating point numbers are 32 or 64 bits in
/// little-endian order, which is just how bits are read.
///
/// A header that no writer makes is read as Java does it: both numbers have a sign, and elements may reach into the zeros that
/// fill the last eight bytes.
fn elements<'a>(reader: &mut Reader<'a>) -> Result<impl Iterator<Item = u64> + use<'a>, Malformed> {
    let used = i64::from(reader.u8("the bits of the last byte")?.cast_signed());
    let width = i64::from(reader.u8("the bits of an element")?.cast_signed());
    let body = reader.bytes("the elements", reader.left())?;
    let malformed = || Malformed::ValuePart { what: "bits of an array element", value: width };
    let count = (body.len() as i64 * 8 - (8 - used)).checked_div(width).unwrap_or_default();
    let count = usize::try_from(count).map_err(|_| malformed())?;
    // Where there are none, their width does not matter.
    let width = if count == 0 { 0 } else { usize::try_from(width).map_err(|_| malformed())? };
    // An element is read from two words of 64 bits at most.
    let is_in_two_words = |index: usize| index * width % 64 + width <= 128;
    if count * width > body.len().next_multiple_of(8) * 8 || width > 64 && !(0..count).all(is_in_two_words) {
        return Err(malformed());
    }
    Ok((0..count).map(move |index| bits::of_bytes(body, index * width, width.min(64))))
}

/// The array of a numeric type whose elements are these numbers.
pub(super) fn of_bits(kind: u8, elements: impl Iterator<Item = u64>) -> Result<Array, Malformed> {
    Ok(match kind {
        BOOL => Array::Bool(elements.map(|element| element != 0).collect()),
        BYTE => Array::Byte(elements.map(|element| element as i8).collect()),
        SHORT => Array::Short(elements.map(|element| element as i16).collect()),
        CHAR => Array::Char(elements.map(|element| element as u16).collect()),
        INT => Array::Int(elements.map(|element| element as i32).collect()),
        LONG => Array::Long(elements.map(u64::cast_signed).collect()),
        FLOAT => Array::Float(elements.map(|element| f32::from_bits(element as u32)).collect()),
        DOUBLE => Array::Double(elements.map(f64::from_bits).collect()),
        _ => return Err(Malformed::ValuePart { what: "array type", value: kind.into() }),
    })
}

fn strings(reader: &mut Reader<'_>) -> Result<Array, Malformed> {
    let count = reader.i32("the number of texts")?;
    // Each has four bytes at least, so that the count can't ask for more than the bytes are worth.
    let mut texts = Vec::with_capacity(usize::try_from(count).unwrap_or_default().min(reader.left() / 4));
    for _ in 0..count {
        let length = reader.i32("the length of a text")?;
        let length = usize::try_from(length)
            .map_err(|_| Malformed::ValuePart { what: "length of a text", value: length.into() })?;
        texts.push(String::from_utf8_lossy(reader.bytes("a text", length)?).into_owned());
    }
    Ok(Array::String(texts))
}

fn points(reader: &mut Reader<'_>) -> Result<Array, Malformed> {
    point::check_geometry(reader.u8("the geometry type")?)?;
    let dimension = reader.u8("the dimension")?;
    let table = reader.u8("the table of the reference system")?;
    let code = reader.u16("the code of the reference system")?;
    let crs = point::crs(table.into(), code.into(), dimension.into())?;
    expect(reader, DOUBLE)?;
    let coordinates: Vec<_> = elements(reader)?.map(f64::from_bits).collect();
    // What is left of an array that was cut is no point.
    let points = coordinates.chunks_exact(usize::from(dimension).max(1));
    Ok(Array::Point(points.map(|point| Point::new(crs, point.iter().copied())).collect::<Result<_, _>>()?))
}

fn temporals(reader: &mut Reader<'_>) -> Result<Array, Malformed> {
    let kind = Temporal::of(reader.u8("the temporal type")?.into())?;
    expect(reader, LONG)?;
    temporal::array(kind, elements(reader)?.map(u64::cast_signed))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn without_elements_their_width_does_not_matter() {
        // 64 bits less 92 are none of -104 bits each.
        let body = [&[LONG, 0xac, 0x98], &[0xff; 8][..]].concat();
        assert!(matches!(decode(&body), Ok(Array::Long(longs)) if longs.is_empty()));
        assert!(decode(&[&[TEMPORAL, 2], &body[..]].concat()).is_ok());
    }

    #[test]
    fn of_whole_bytes_all_are_taken() {
        let array = decode(&[BYTE, 72, 8, 1, 0xff]);
        assert!(matches!(array, Ok(Array::Byte(bytes)) if bytes == [1, -1]));
        assert!(decode(&[SHORT, 72, 8, 1, 0xff]).is_err());
    }

    #[test]
    fn an_element_is_in_two_words() {
        let body = |width| [&[LONG, 8, width][..], &[0xff; 57]].concat();
        for width in 65..128 {
            assert_eq!(decode(&body(width)).is_ok(), width <= 74 || width == 80 || width == 96, "{width}");
        }
    }

    /// Behind its header an array of `count` numbers of 64 bits, all 5.
    fn body(kind: u8, count: usize) -> Vec<u8> {
        [&[kind, 8, 64][..], &[5, 0, 0, 0, 0, 0, 0, 0].repeat(count)].concat()
    }

    #[test]
    fn what_is_left_of_a_cut_array_is_no_value() {
        let points = |count| [&[POINT, 1, 2, 2][..], &7203_u16.to_be_bytes(), &body(DOUBLE, count)].concat();
        let durations = |count| [&[TEMPORAL, 6][..], &body(LONG, count)].concat();
        for left in 0..2 {
            assert!(matches!(decode(&points(4 + left)), Ok(Array::Point(points)) if points.len() == 2));
        }
        for left in 0..4 {
            assert!(matches!(decode(&durations(4 + left)), Ok(Array::Duration(spans)) if spans.len() == 1));
        }
    }
}
