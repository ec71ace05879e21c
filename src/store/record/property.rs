//! Property records.

use std::ops::Range;

use super::fields::{Fields, FieldsMut, flag};
use super::high_limit::{BodyReader, BodyWriter, HighLimit, Overflow};
use super::reference::{join, split, split_wide};
use super::{Layout, Standard, Units};
use crate::store::error::Malformed;
use crate::store::id::PropertyId;
use crate::store::value::block::{Block, Kind};

/// A link of a chain of properties. It does not know whose they are.
///
/// `standard` and `aligned`, 41 bytes:
///
/// | Offset | Size | Field                                             |
/// |-------:|-----:|---------------------------------------------------|
/// |      0 |    1 | bits 0-3 next bits 32-35, bits 4-7 previous bits 32-35 |
/// |      1 |    4 | previous record of the chain, low 32 bits         |
/// |      5 |    4 | next record of the chain, low 32 bits             |
/// |      9 |   32 | four words of properties; a word of no type ends them |
///
/// No bit says whether the record is in use: it is if its first word has a type.
///
/// `high_limit`, 48 bytes, with references of a fixed width (always, unless a reference has more than 48 bits):
///
/// | Offset | Size | Field                                                   |
/// |-------:|-----:|---------------------------------------------------------|
/// |      0 |    1 | bit 0 in use, bit 2 fixed width, bits 4-7 number of words |
/// |      1 |    6 | previous: bits 32-47, then low 32 bits                  |
/// |      7 |    6 | next: bits 32-47, then low 32 bits                      |
/// |     13 |    3 | not written                                             |
/// |     16 |   32 | words of properties                                     |
///
/// Compressed: the same first byte, previous and next relative to the own id, then the words.
///
/// Specification: store format 4.5, 5.6.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Property {
    /// The record before it in the chain.
    pub previous: Option<PropertyId>,
    /// The record after it.
    pub next: Option<PropertyId>,
    words: [u64; WORDS],
    /// Words that belong to properties.
    used: usize,
}

/// Words of properties in a record.
const WORDS: usize = 4;
const WORD_SIZE: usize = 8;
const FIRST_WORD: usize = 9;

impl Property {
    /// A record that holds the words of one or more properties; `None` if they are more than four.
    pub fn new(
        previous: Option<PropertyId>,
        next: Option<PropertyId>,
        properties: impl IntoIterator<Item = u64>,
    ) -> Option<Self> {
        let mut record = Self { previous, next, words: [0; WORDS], used: 0 };
        for word in properties {
            *record.words.get_mut(record.used)? = word;
            record.used += 1;
        }
        Some(record)
    }

    /// The properties of the record, in its order.
    pub fn blocks(&self) -> impl Iterator<Item = Result<Block<'_>, Malformed>> {
        let mut rest = self.words();
        std::iter::from_fn(move || {
            let (block, others) = match Block::split_first(rest)? {
                Ok(split) => split,
                Err(malformed) => {
                    rest = &[];
                    return Some(Err(malformed));
                }
            };
            rest = others;
            Some(Ok(block))
        })
    }

    /// The words of its properties, in their order.
    pub fn words(&self) -> &[u64] {
        self.words.get(..self.used).unwrap_or_default()
    }
}

impl Layout<Standard> for Property {
    type Slot = [u8; 41];

    /// The quick test of scans. For a damaged record it may say yes where [`decode`](Layout::decode) says no.
    fn is_in_use(slot: &Self::Slot) -> bool {
        let mut fields = Fields::new(slot.get(FIRST_WORD..).unwrap_or_default());
        let words = [fields.u64(), fields.u64(), fields.u64(), fields.u64()];
        let [first, ..] = words;
        first != 0 && words.into_iter().any(|word| Kind::of(word).is_some())
    }

    fn decode(_id: u64, slot: &Self::Slot, _second: &[u8]) -> Result<Option<Self>, Malformed> {
        let mut fields = Fields::new(slot);
        let high = fields.u8();
        let previous = join(fields.u32(), u64::from(high >> 4));
        let next = join(fields.u32(), u64::from(high & 0x0f));
        let words = [fields.u64(), fields.u64(), fields.u64(), fields.u64()];
        let mut rest = words.as_slice();
        while let Some(&word) = rest.first()
            && Kind::of(word).is_some()
        {
            let (_, others) = Block::split_first(rest).ok_or(Malformed::TooManyWords)??;
            rest = others;
        }
        let used = WORDS - rest.len();
        Ok((used > 0).then_some(Self { previous, next, words, used }))
    }

    fn encode(&self, _id: u64, _units: Units, slot: &mut Self::Slot) -> Result<Overflow, Malformed> {
        let (previous, previous_high) = split(PREVIOUS, self.previous, 36)?;
        let (next, next_high) = split(NEXT, self.next, 36)?;
        let mut fields = FieldsMut::new(slot);
        fields.u8(next_high | previous_high << 4);
        fields.u32(previous);
        fields.u32(next);
        self.words().iter().for_each(|word| fields.u64(*word));
        // Ends the properties; a fifth word has no room and is not written.
        fields.u64(0);
        Ok(Overflow::default())
    }

    fn written(&self) -> Option<usize> {
        Some(FIRST_WORD + WORD_SIZE * (self.used + 1).min(WORDS))
    }

    fn delete(slot: &mut Self::Slot) {
        slot.iter_mut().skip(FIRST_WORD).take(WORD_SIZE).for_each(|byte| *byte = 0);
    }
}

const PREVIOUS: &str = "previous property record";
const NEXT: &str = "next property record";

const IN_USE: u8 = 0x01;
const FIXED: u8 = 0x04;
const FIXED_BITS: u32 = 48;
/// Where the fixed references end.
const FIXED_END: usize = 13;
/// Bytes between the fixed references and the words.
const PADDING: usize = 3;

impl Layout<HighLimit> for Property {
    type Slot = [u8; 48];

    fn is_in_use([header, ..]: &Self::Slot) -> bool {
        header & IN_USE != 0
    }

    fn decode(id: u64, slot: &Self::Slot, _second: &[u8]) -> Result<Option<Self>, Malformed> {
        let mut fields = Fields::new(slot);
        let header = fields.u8();
        if header & IN_USE == 0 {
            return Ok(None);
        }
        let used = usize::from(header >> 4);
        if used > WORDS {
            return Err(Malformed::TooManyWords);
        }
        let (previous, next);
        if header & FIXED != 0 {
            let high = u64::from(fields.u16());
            previous = join(fields.u32(), high);
            let high = u64::from(fields.u16());
            next = join(fields.u32(), high);
            fields = Fields::new(fields.rest().get(PADDING..).unwrap_or_default());
        } else {
            let mut body = BodyReader::new(fields.rest(), &[]);
            (previous, next) = (body.relative(id)?, body.relative(id)?);
            fields = Fields::new(fields.rest().get(body.at()..).unwrap_or_default());
        }
        if fields.left() < used * WORD_SIZE {
            return Err(Malformed::TooManyWords);
        }
        let mut words = [0; WORDS];
        words.iter_mut().take(used).for_each(|word| *word = fields.u64());
        Ok(Some(Self { previous, next, words, used }))
    }

    fn encode(&self, id: u64, _units: Units, slot: &mut Self::Slot) -> Result<Overflow, Malformed> {
        let fits =
            |reference: Option<PropertyId>| reference.is_none_or(|PropertyId(id)| id >> FIXED_BITS == 0);
        let fixed = fits(self.previous) && fits(self.next);
        let mut fields = FieldsMut::new(slot);
        fields.u8(IN_USE | flag(FIXED, fixed) | (self.used as u8) << 4);
        if fixed {
            for (field, reference) in [(PREVIOUS, self.previous), (NEXT, self.next)] {
                let (low, high) = split_wide(field, reference, FIXED_BITS)?;
                fields.u16(high);
                fields.u32(low);
            }
            fields.skip(PADDING);
        } else {
            let mut body = BodyWriter::default();
            body.relative(PREVIOUS, self.previous, id)?;
            body.relative(NEXT, self.next, id)?;
            fields.bytes(body.written());
            if fields.left() < self.used * WORD_SIZE {
                return Err(Malformed::TooManyWords);
            }
        }
        self.words().iter().for_each(|word| fields.u64(*word));
        Ok(Overflow::default())
    }

    fn gap(slot: &[u8]) -> Range<usize> {
        let is_fixed = slot.first().is_some_and(|header| header & FIXED != 0);
        if is_fixed { FIXED_END..FIXED_END + PADDING } else { 0..0 }
    }

    fn delete([header, ..]: &mut Self::Slot) {
        *header &= !IN_USE;
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::store::id::PropertyKeyId;
    use crate::store::record::tests::{decoded, encoded, hex, reference, slot};

    fn property() -> impl Strategy<Value = Property> {
        // Longs: one word if bit 28 is set, else two.
        let word = prop_oneof![Just(vec![0x5_5600_0005]), Just(vec![0x0600_0005, u64::MAX])];
        let words = proptest::collection::vec(word, 1..=2).prop_map(|words| words.concat());
        (reference(36), reference(36), words).prop_map(|(previous, next, words)| {
            Property::new(previous.map(PropertyId), next.map(PropertyId), words).unwrap()
        })
    }

    #[test]
    fn standard_properties_are_as_in_the_specification() {
        let bytes =
            hex("00 000000a1 0000009f 0000000001000007 a31953104b000008 0000000000005305 000058861b000009");
        let record: Property = decoded::<Standard, _>(160, &bytes).unwrap();
        assert_eq!((record.previous, record.next), (Some(PropertyId(161)), Some(PropertyId(159))));
        let keys: Vec<_> = record.blocks().map(|block| block.unwrap().key).collect();
        assert_eq!(keys, [PropertyKeyId(7), PropertyKeyId(8), PropertyKeyId(9)]);
        assert_eq!(encoded::<Standard, _>(160, &record, Units::default()), bytes);
    }

    #[test]
    fn high_limit_properties_are_as_in_the_specification() {
        let record = Property::new(None, Some(PropertyId(11)), [0x2_a500_0005]).unwrap();
        let fixed = slot("15 0000ffffffff 00000000000b 000000 00000002a5000005", 48);
        assert_eq!(decoded::<HighLimit, _>(10, &fixed), Some(record));
        assert_eq!(encoded::<HighLimit, _>(10, &record, Units::default()), fixed);
        let variable = slot("11 40000a 000001 00000002a5000005", 48);
        assert_eq!(decoded::<HighLimit, _>(10, &variable), Some(record));
    }

    #[test]
    fn what_a_transaction_does_not_write_stays() {
        let record = Property::new(None, None, [0x2_a500_0005]).unwrap();
        let mut standard = [0xff; 41];
        Layout::<Standard>::encode(&record, 1, Units::default(), &mut standard).unwrap();
        assert!(standard[9 + 8..9 + 16].iter().all(|&byte| byte == 0));
        assert!(standard[9 + 16..].iter().all(|&byte| byte == 0xff));
        <Property as Layout<Standard>>::delete(&mut standard);
        assert_eq!(standard[..9], hex("00 ffffffff ffffffff"));
        assert!(standard[9..9 + 16].iter().all(|&byte| byte == 0));
        assert_eq!(decoded::<Standard, Property>(1, &standard), None);

        let mut high_limit = [0xff; 48];
        Layout::<HighLimit>::encode(&record, 1, Units::default(), &mut high_limit).unwrap();
        assert!(high_limit[13..16].iter().chain(&high_limit[24..]).all(|&byte| byte == 0xff));
        <Property as Layout<HighLimit>>::delete(&mut high_limit);
        assert_eq!(high_limit[0], 0x14);
    }

    #[test]
    fn more_words_than_a_record_has_are_refused() {
        let point =
            "00 ffffffff ffffffff 000000001b000001 000000001b000001 000000001b000001 001373131d000005";
        let bytes = slot(point, 41);
        assert_eq!(
            <Property as Layout<Standard>>::decode(0, bytes.first_chunk().unwrap(), &[]),
            Err(Malformed::TooManyWords)
        );
        assert_eq!(
            <Property as Layout<HighLimit>>::decode(0, slot("55", 48).first_chunk().unwrap(), &[]),
            Err(Malformed::TooManyWords)
        );
        assert_eq!(Property::new(None, None, [1; 5]), None);
    }

    proptest! {
        #[test]
        fn every_property_survives_both_formats(record in property(), id in 0_u64..1 << 50) {
            let standard = encoded::<Standard, _>(id, &record, Units::default());
            prop_assert_eq!(decoded::<Standard, Property>(id, &standard), Some(record));
            let high_limit = encoded::<HighLimit, _>(id, &record, Units::default());
            prop_assert_eq!(decoded::<HighLimit, Property>(id, &high_limit), Some(record));
            let far = Property { previous: Some(PropertyId(1 << 49)), ..record };
            let high_limit = encoded::<HighLimit, _>(id, &far, Units::default());
            prop_assert_eq!(high_limit[0] & FIXED, 0);
            prop_assert_eq!(decoded::<HighLimit, Property>(id, &high_limit), Some(far));
        }

        #[test]
        fn any_bytes_decode(slot: [u8; 48], id: u64) {
            let standard = slot.first_chunk().unwrap();
            let is_in_use = <Property as Layout<Standard>>::is_in_use(standard);
            if let Ok(Some(record)) = <Property as Layout<Standard>>::decode(id, standard, &[]) {
                prop_assert!(is_in_use);
                record.blocks().for_each(|block| assert!(block.is_ok()));
            }
            if let Ok(Some(record)) = <Property as Layout<HighLimit>>::decode(id, &slot, &[]) {
                for block in record.blocks().flatten() {
                    let _ = block.content();
                }
            }
        }
    }
}
