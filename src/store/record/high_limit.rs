//! What the records of `high_limit` have in common: compressed references and records of two units.
//!
//! Specification: store format 5.1, 5.2.

use super::Layout;
use super::fields::Fields;
use crate::store::error::Malformed;
use crate::store::id::RecordId;

/// The records of the `high_limit` format.
#[derive(Clone, Copy, Debug)]
pub struct HighLimit;

/// How a transaction wants a node, relationship or group to be laid out. Only `high_limit` has a choice.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Units {
    /// References of a fixed width, else compressed ones.
    pub fixed_references: bool,
    /// The slot that takes what does not fit into the record's own.
    pub secondary: Option<u64>,
}

/// Bits of the header byte that all records with units share.
const IN_USE: u8 = 0x01;
const TWO_UNITS: u8 = 0x02;
/// With [`TWO_UNITS`]: the first of the two. Without: compressed references.
const FIRST_OR_VARIABLE: u8 = 0x04;

/// Most bytes that a slot of these records has.
const MAX_SLOT: usize = 32;

/// Bytes for the second unit.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Overflow {
    bytes: [u8; MAX_SLOT],
    length: usize,
}

impl Overflow {
    /// Writes the second unit: its header, then the bytes; what is behind them stays.
    /// Returns how many bytes that are.
    pub(super) fn write(&self, slot: &mut [u8]) -> usize {
        let unit = std::iter::once(&(IN_USE | TWO_UNITS)).chain(self.bytes.iter().take(self.length));
        slot.iter_mut().zip(unit).map(|(to, from)| *to = *from).count()
    }
}

/// Marks any unit as not in use.
pub(super) fn delete(slot: &mut [u8]) {
    if let Some(header) = slot.first_mut() {
        *header &= !IN_USE;
    }
}

/// A record of one or two units.
pub trait UnitRecord: Sized {
    type Slot: super::Slot + AsRef<[u8]> + AsMut<[u8]>;

    /// The upper five bits of the header.
    fn flags(&self) -> u8;
    fn decode_fixed(header: u8, fields: Fields<'_>) -> Self;
    fn decode_variable(header: u8, id: u64, body: &mut BodyReader) -> Result<Self, Malformed>;
    fn encode_fixed(&self, body: &mut [u8]) -> Result<(), Malformed>;
    fn encode_variable(&self, id: u64, body: &mut BodyWriter) -> Result<(), Malformed>;
}

impl<R: UnitRecord> Layout<HighLimit> for R {
    type Slot = R::Slot;

    fn is_in_use(slot: &Self::Slot) -> bool {
        slot.as_ref().first().is_some_and(|header| header & IN_USE != 0)
    }

    fn second_unit(slot: &Self::Slot) -> Result<Option<u64>, Malformed> {
        match slot.as_ref().split_first() {
            Some((header, body)) if is_first_of_two(*header) => {
                let id = BodyReader::new(body, &[]).reference()?;
                u64::try_from(id).map(Some).map_err(|_| Malformed::SecondUnit { id })
            }
            _ => Ok(None),
        }
    }

    fn decode(id: u64, slot: &Self::Slot, second: &[u8]) -> Result<Option<Self>, Malformed> {
        let Some((&header, body)) = slot.as_ref().split_first() else { return Ok(None) };
        if header & IN_USE == 0 {
            return Ok(None);
        }
        match (header & TWO_UNITS != 0, header & FIRST_OR_VARIABLE != 0) {
            (false, false) => Ok(Some(Self::decode_fixed(header, Fields::new(body)))),
            (false, true) => Self::decode_variable(header, id, &mut BodyReader::new(body, &[])).map(Some),
            (true, false) => Ok(None),
            (true, true) => {
                let mut body = BodyReader::new(body, second.get(1..).unwrap_or_default());
                body.reference()?;
                Self::decode_variable(header, id, &mut body).map(Some)
            }
        }
    }

    fn encode(&self, id: u64, units: Units, slot: &mut Self::Slot) -> Result<Overflow, Malformed> {
        let Some((header, body)) = slot.as_mut().split_first_mut() else { return Ok(Overflow::default()) };
        if units.fixed_references {
            self.encode_fixed(body)?;
            *header = IN_USE | self.flags();
            return Ok(Overflow::default());
        }
        let mut written = BodyWriter::default();
        *header = IN_USE | FIRST_OR_VARIABLE | self.flags();
        if let Some(second) = units.secondary {
            *header |= TWO_UNITS;
            written.reference("second unit", second as i64)?;
        }
        self.encode_variable(id, &mut written)?;
        written.split(body, units)
    }

    fn delete(slot: &mut Self::Slot) {
        delete(slot.as_mut());
    }
}

fn is_first_of_two(header: u8) -> bool {
    let wanted = IN_USE | TWO_UNITS | FIRST_OR_VARIABLE;
    header & wanted == wanted
}

/// Fields of variable width, over the bodies of one or two units.
#[derive(Debug)]
pub struct BodyReader {
    bytes: [u8; 2 * MAX_SLOT],
    length: usize,
    at: usize,
}

impl BodyReader {
    pub(super) fn new(first: &[u8], second: &[u8]) -> Self {
        let mut bytes = [0; 2 * MAX_SLOT];
        bytes.iter_mut().zip(first.iter().chain(second)).for_each(|(to, from)| *to = *from);
        Self { bytes, length: (first.len() + second.len()).min(bytes.len()), at: 0 }
    }

    /// Bytes read so far.
    pub(super) fn at(&self) -> usize {
        self.at
    }

    /// The next `count` bytes, at most eight, as a number.
    fn number(&mut self, count: usize) -> Result<u64, Malformed> {
        let end = self.at + count;
        let bytes = self.bytes.get(self.at..end.min(self.length)).unwrap_or_default();
        if bytes.len() < count {
            return Err(Malformed::UnitTooShort);
        }
        self.at = end;
        Ok(bytes.iter().fold(0, |number, &byte| number << 8 | u64::from(byte)))
    }

    pub(super) fn u8(&mut self) -> Result<u64, Malformed> {
        self.number(1)
    }

    pub(super) fn u16(&mut self) -> Result<u64, Malformed> {
        self.number(2)
    }

    /// A compressed reference: the leading ones of the first byte give the width, then the sign, then the bits.
    pub(super) fn reference(&mut self) -> Result<i64, Malformed> {
        let first = self.bytes.get(self.at).copied().unwrap_or_default();
        let width = Width::with_ones(first.leading_ones());
        let raw = self.number(width.bytes)?;
        let bits = (raw & ((1 << width.bits) - 1)) as i64;
        Ok(if raw >> width.bits & 1 == 1 { !bits } else { bits })
    }

    /// An absolute reference to a record.
    pub(super) fn id<I: RecordId>(&mut self) -> Result<Option<I>, Malformed> {
        Ok(absolute(self.reference()?))
    }

    /// A reference that is stored as the distance from `own`.
    pub(super) fn relative<I: RecordId>(&mut self, own: u64) -> Result<Option<I>, Malformed> {
        Ok(absolute((own as i64).wrapping_add(self.reference()?)))
    }
}

fn absolute<I: RecordId>(reference: i64) -> Option<I> {
    u64::try_from(reference).ok().and_then(I::from_slot)
}

/// The number that stands for a reference: -1 is none.
fn number<I: RecordId>(reference: Option<I>) -> i64 {
    reference.map_or(-1, |id| id.slot() as i64)
}

/// Fields of variable width; they are cut into units afterwards.
#[derive(Debug)]
pub struct BodyWriter {
    bytes: [u8; 2 * MAX_SLOT],
    length: usize,
}

impl Default for BodyWriter {
    fn default() -> Self {
        Self { bytes: [0; 2 * MAX_SLOT], length: 0 }
    }
}

impl BodyWriter {
    pub(super) fn written(&self) -> &[u8] {
        self.bytes.get(..self.length).unwrap_or_default()
    }

    /// Appends the low `count` bytes of a number.
    fn number(&mut self, number: u64, count: usize) -> Result<(), Malformed> {
        let bytes = number.to_be_bytes();
        let bytes = bytes.get(8 - count..).unwrap_or_default();
        let end = self.length + count;
        let room = self.bytes.get_mut(self.length..end).ok_or(Malformed::UnitTooShort)?;
        room.copy_from_slice(bytes);
        self.length = end;
        Ok(())
    }

    pub(super) fn u8(&mut self, value: u64) -> Result<(), Malformed> {
        self.number(value, 1)
    }

    pub(super) fn u16(&mut self, value: u64) -> Result<(), Malformed> {
        self.number(value, 2)
    }

    /// A compressed reference in its shortest form.
    pub(super) fn reference(&mut self, field: &'static str, value: i64) -> Result<(), Malformed> {
        let bits = if value < 0 { !value } else { value } as u64;
        let sign = u64::from(value < 0);
        let widths = (0..=5).map(Width::with_ones);
        let Some(width) = widths.into_iter().find(|width| bits >> width.bits == 0) else {
            return Err(Malformed::DoesNotFit { field, value: value as u64, bits: 58 });
        };
        self.number(width.prefix | sign << width.bits | bits, width.bytes)
    }

    /// An absolute reference to a record.
    pub(super) fn id<I: RecordId>(
        &mut self,
        field: &'static str,
        reference: Option<I>,
    ) -> Result<(), Malformed> {
        self.reference(field, number(reference))
    }

    /// A reference as the distance from `own`.
    pub(super) fn relative<I: RecordId>(
        &mut self,
        field: &'static str,
        reference: Option<I>,
        own: u64,
    ) -> Result<(), Malformed> {
        self.reference(field, number(reference).wrapping_sub(own as i64))
    }

    /// Fills the body of the first unit and returns what is left for the second.
    fn split(&self, body: &mut [u8], units: Units) -> Result<Overflow, Malformed> {
        let written = self.written();
        let (first, rest) = written.split_at(written.len().min(body.len()));
        body.iter_mut().zip(first).for_each(|(to, from)| *to = *from);
        let room = if units.secondary.is_some() { body.len() } else { 0 };
        if rest.len() > room {
            return Err(Malformed::UnitTooShort);
        }
        let mut overflow = Overflow { length: rest.len(), ..Overflow::default() };
        overflow.bytes.iter_mut().zip(rest).for_each(|(to, from)| *to = *from);
        Ok(overflow)
    }
}

/// A width of compressed references.
struct Width {
    bytes: usize,
    /// Bits of the value.
    bits: u32,
    /// The bits that announce the width, in their place.
    prefix: u64,
}

impl Width {
    /// The width that a first byte with so many leading ones announces: none for 3 bytes, five for 8.
    fn with_ones(ones: u32) -> Self {
        let ones = ones.min(5);
        let announced = (ones + 1).min(5);
        let all = 24 + 8 * ones;
        let prefix = ((1 << ones) - 1) << (all - ones);
        Self { bytes: (all / 8) as usize, bits: all - announced - 1, prefix }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn compressed(value: i64) -> Vec<u8> {
        let mut body = BodyWriter::default();
        body.reference("reference", value).unwrap();
        body.bytes[..body.length].to_vec()
    }

    #[test]
    fn references_compress_as_in_the_specification() {
        let cases: [(i64, &[u8]); 10] = [
            (0, &[0, 0, 0]),
            (-1, &[0x40, 0, 0]),
            (1, &[0, 0, 1]),
            (-42, &[0x40, 0, 0x29]),
            ((1 << 22) - 1, &[0x3f, 0xff, 0xff]),
            (1 << 22, &[0x80, 0x40, 0, 0]),
            (1 << 29, &[0xc0, 0x20, 0, 0, 0]),
            (1 << 36, &[0xe0, 0x10, 0, 0, 0, 0]),
            (1 << 43, &[0xf0, 0x08, 0, 0, 0, 0, 0]),
            (1 << 50, &[0xf8, 0x04, 0, 0, 0, 0, 0, 0]),
        ];
        for (value, bytes) in cases {
            assert_eq!(compressed(value), bytes, "{value}");
            assert_eq!(BodyReader::new(bytes, &[]).reference(), Ok(value));
        }
        let mut body = BodyWriter::default();
        assert!(matches!(body.reference("reference", 1 << 58), Err(Malformed::DoesNotFit { .. })));
        assert_eq!(BodyReader::new(&[0xff, 1, 2], &[]).reference(), Err(Malformed::UnitTooShort));
    }

    proptest! {
        #[test]
        fn every_reference_survives_compression(value in -(1_i64 << 58)..(1 << 58), cut in 0_usize..8) {
            let bytes = compressed(value);
            let (first, second) = bytes.split_at(cut.min(bytes.len()));
            prop_assert_eq!(BodyReader::new(first, second).reference(), Ok(value));
        }
    }
}
