//! Relationship records.

use super::fields::{Fields, FieldsMut, flag};
use super::high_limit::{BodyReader, BodyWriter, Overflow, UnitRecord};
use super::reference::{join, split};
use super::{Layout, Standard, Units};
use crate::store::error::Malformed;
use crate::store::id::{NodeId, PropertyId, RecordId, RelationshipId, RelationshipTypeId};

/// A relationship.
///
/// `standard` and `aligned`, 34 bytes:
///
/// | Offset | Size | Field                                                                            |
/// |-------:|-----:|----------------------------------------------------------------------------------|
/// |      0 |    1 | bit 0 in use, bits 1-3 start node bits 32-34, bits 4-7 property bits 32-35       |
/// |      1 |    4 | start node, low 32 bits                                                          |
/// |      5 |    4 | end node, low 32 bits                                                            |
/// |      9 |    4 | bits 0-15 type; bits 32-34 of: 16-18 next at the end, 19-21 previous at the end, 22-24 next at the start, 25-27 previous at the start, 28-30 end node |
/// |     13 |    4 | previous in the chain of the start node, or its degree, low 32 bits              |
/// |     17 |    4 | next in the chain of the start node                                              |
/// |     21 |    4 | previous in the chain of the end node, or its degree                             |
/// |     25 |    4 | next in the chain of the end node                                                |
/// |     29 |    4 | first property record                                                            |
/// |     33 |    1 | bit 0 first in the chain of the start node, bit 1 of the end node                |
///
/// `high_limit`, 32 bytes, with references of a fixed width:
///
/// | Offset | Size | Field                                                                            |
/// |-------:|-----:|----------------------------------------------------------------------------------|
/// |      0 |    1 | bit 0 in use, 3 first at the start, 4 first at the end, 5 has next at the start, 6 has next at the end, 7 has property |
/// |      1 |    2 | type                                                                             |
/// |      3 |    1 | bit 32 of: 0 start node, 1 end node, 2 previous and 3 next at the start, 4 previous and 5 next at the end; bits 6-7 property bits 32-33 |
/// |      4 |   28 | low 32 bits of: start node, end node, previous and next at the start, previous and next at the end, property |
///
/// Compressed: the same first byte, type (2 bytes, then bits 16-23), property if flagged, start node, end node, then per
/// end the previous one (absolute if it is a degree, else relative to the own id) and, if flagged, the next one
/// (relative).
///
/// Specification: store format 4.2, 5.4.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Relationship {
    /// Where it starts. `None` only in a damaged store.
    pub start_node: Option<NodeId>,
    /// Where it ends. `None` only in a damaged store.
    pub end_node: Option<NodeId>,
    /// Its type.
    pub type_id: RelationshipTypeId,
    /// Its place in a chain of the start node.
    pub start_link: ChainLink,
    /// Its place in a chain of the end node.
    pub end_link: ChainLink,
    /// The first record of its properties.
    pub property: Option<PropertyId>,
}

/// The place of a relationship in one of the chains that it is in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ChainLink {
    /// What is before it.
    pub previous: Previous,
    /// The one after it.
    pub next: Option<RelationshipId>,
}

/// What is before a relationship in a chain.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Previous {
    /// It is the first; the field holds how many are in the chain. If the degrees store has that number, the field is
    /// whatever it was, also nothing. Specification: store format 10.1.
    Degree(Option<u64>),
    /// The one before it.
    Relationship(Option<RelationshipId>),
}

impl Previous {
    fn of(is_first: bool, value: Option<RelationshipId>) -> Self {
        if is_first { Self::Degree(value.map(RecordId::slot)) } else { Self::Relationship(value) }
    }

    fn is_first(self) -> bool {
        matches!(self, Self::Degree(_))
    }

    /// What the field holds, degree or not.
    fn value(self) -> Option<RelationshipId> {
        match self {
            Self::Degree(degree) => degree.map(RelationshipId),
            Self::Relationship(previous) => previous,
        }
    }
}

const START_NODE: &str = "start node";
const END_NODE: &str = "end node";
const TYPE: &str = "relationship type";
const START_PREVIOUS: &str = "previous relationship of the start node";
const START_NEXT: &str = "next relationship of the start node";
const END_PREVIOUS: &str = "previous relationship of the end node";
const END_NEXT: &str = "next relationship of the end node";
const PROPERTY: &str = "first property";

impl Layout<Standard> for Relationship {
    type Slot = [u8; 34];

    fn is_in_use(slot: &Self::Slot) -> bool {
        let [header, ..] = slot;
        header & 1 != 0
    }

    fn decode(_id: u64, slot: &Self::Slot, _second: &[u8]) -> Result<Option<Self>, Malformed> {
        let mut fields = Fields::new(slot);
        let header = fields.u8();
        if header & 1 == 0 {
            return Ok(None);
        }
        let (start_node, end_node, packed) = (fields.u32(), fields.u32(), fields.u32());
        let high = |shift: u32| u64::from(packed >> shift & 7);
        let start_previous = join(fields.u32(), high(25));
        let start_next = join(fields.u32(), high(22));
        let end_previous = join(fields.u32(), high(19));
        let end_next = join(fields.u32(), high(16));
        let property = join(fields.u32(), u64::from(header >> 4));
        let first = fields.u8();
        Ok(Some(Self {
            start_node: join(start_node, u64::from(header >> 1 & 7)),
            end_node: join(end_node, high(28)),
            type_id: RelationshipTypeId(packed & 0xffff),
            start_link: ChainLink {
                previous: Previous::of(first & 1 != 0, start_previous),
                next: start_next,
            },
            end_link: ChainLink { previous: Previous::of(first & 2 != 0, end_previous), next: end_next },
            property,
        }))
    }

    fn encode(&self, _id: u64, _units: Units, slot: &mut Self::Slot) -> Result<Overflow, Malformed> {
        let (start_node, start_high) = split(START_NODE, self.start_node, 35)?;
        let (end_node, end_high) = split(END_NODE, self.end_node, 35)?;
        let (start_previous, start_previous_high) =
            split(START_PREVIOUS, self.start_link.previous.value(), 35)?;
        let (start_next, start_next_high) = split(START_NEXT, self.start_link.next, 35)?;
        let (end_previous, end_previous_high) = split(END_PREVIOUS, self.end_link.previous.value(), 35)?;
        let (end_next, end_next_high) = split(END_NEXT, self.end_link.next, 35)?;
        let (property, property_high) = split(PROPERTY, self.property, 36)?;
        let mut fields = FieldsMut::new(slot);
        fields.u8(1 | start_high << 1 | property_high << 4);
        fields.u32(start_node);
        fields.u32(end_node);
        fields.u32(
            self.type_of_bits(16)?
                | u32::from(end_next_high) << 16
                | u32::from(end_previous_high) << 19
                | u32::from(start_next_high) << 22
                | u32::from(start_previous_high) << 25
                | u32::from(end_high) << 28,
        );
        fields.u32(start_previous);
        fields.u32(start_next);
        fields.u32(end_previous);
        fields.u32(end_next);
        fields.u32(property);
        let first = (self.start_link.previous.is_first(), self.end_link.previous.is_first());
        fields.u8(u8::from(first.0) | u8::from(first.1) << 1);
        Ok(Overflow::default())
    }

    fn delete([header, ..]: &mut Self::Slot) {
        *header &= !1;
    }
}

const FIRST_AT_START: u8 = 0x08;
const FIRST_AT_END: u8 = 0x10;
const HAS_START_NEXT: u8 = 0x20;
const HAS_END_NEXT: u8 = 0x40;
const HAS_PROPERTY: u8 = 0x80;

impl UnitRecord for Relationship {
    type Slot = [u8; 32];

    fn flags(&self) -> u8 {
        flag(FIRST_AT_START, self.start_link.previous.is_first())
            | flag(FIRST_AT_END, self.end_link.previous.is_first())
            | flag(HAS_START_NEXT, self.start_link.next.is_some())
            | flag(HAS_END_NEXT, self.end_link.next.is_some())
            | flag(HAS_PROPERTY, self.property.is_some())
    }

    fn decode_fixed(header: u8, mut fields: Fields<'_>) -> Self {
        let type_id = RelationshipTypeId(fields.u16().into());
        let bits = fields.u8();
        let high = |bit: u32| u64::from(bits >> bit & 1);
        let start_node = join(fields.u32(), high(0));
        let end_node = join(fields.u32(), high(1));
        let start_previous = join(fields.u32(), high(2));
        let start_next = join(fields.u32(), high(3));
        let end_previous = join(fields.u32(), high(4));
        let end_next = join(fields.u32(), high(5));
        let property = join(fields.u32(), u64::from(bits >> 6));
        Self {
            start_node,
            end_node,
            type_id,
            start_link: ChainLink {
                previous: Previous::of(header & FIRST_AT_START != 0, start_previous),
                next: start_next,
            },
            end_link: ChainLink {
                previous: Previous::of(header & FIRST_AT_END != 0, end_previous),
                next: end_next,
            },
            property,
        }
    }

    fn decode_variable(header: u8, id: u64, body: &mut BodyReader) -> Result<Self, Malformed> {
        let has = |flag| header & flag != 0;
        let low = body.u16()?;
        let type_id = low | body.u8()? << 16;
        let property = if has(HAS_PROPERTY) { body.id()? } else { None };
        let (start_node, end_node) = (body.id()?, body.id()?);
        let mut link = |is_first, has_next| -> Result<ChainLink, Malformed> {
            let previous = if is_first { body.id()? } else { body.relative(id)? };
            let next = if has_next { body.relative(id)? } else { None };
            Ok(ChainLink { previous: Previous::of(is_first, previous), next })
        };
        Ok(Self {
            start_node,
            end_node,
            type_id: RelationshipTypeId(type_id as u32),
            start_link: link(has(FIRST_AT_START), has(HAS_START_NEXT))?,
            end_link: link(has(FIRST_AT_END), has(HAS_END_NEXT))?,
            property,
        })
    }

    fn encode_fixed(&self, body: &mut [u8]) -> Result<(), Malformed> {
        let (start_node, start_high) = split(START_NODE, self.start_node, 33)?;
        let (end_node, end_high) = split(END_NODE, self.end_node, 33)?;
        let (start_previous, start_previous_high) =
            split(START_PREVIOUS, self.start_link.previous.value(), 33)?;
        let (start_next, start_next_high) = split(START_NEXT, self.start_link.next, 33)?;
        let (end_previous, end_previous_high) = split(END_PREVIOUS, self.end_link.previous.value(), 33)?;
        let (end_next, end_next_high) = split(END_NEXT, self.end_link.next, 33)?;
        let (property, property_high) = split(PROPERTY, self.property, 34)?;
        let mut fields = FieldsMut::new(body);
        fields.u16(self.type_of_bits(16)? as u16);
        fields.u8(start_high
            | end_high << 1
            | start_previous_high << 2
            | start_next_high << 3
            | end_previous_high << 4
            | end_next_high << 5
            | property_high << 6);
        for low in [start_node, end_node, start_previous, start_next, end_previous, end_next, property] {
            fields.u32(low);
        }
        Ok(())
    }

    fn encode_variable(&self, id: u64, body: &mut BodyWriter) -> Result<(), Malformed> {
        let type_id = u64::from(self.type_of_bits(24)?);
        body.u16(type_id & 0xffff)?;
        body.u8(type_id >> 16)?;
        if self.property.is_some() {
            body.id(PROPERTY, self.property)?;
        }
        body.id(START_NODE, self.start_node)?;
        body.id(END_NODE, self.end_node)?;
        for (link, previous, next) in
            [(self.start_link, START_PREVIOUS, START_NEXT), (self.end_link, END_PREVIOUS, END_NEXT)]
        {
            if link.previous.is_first() {
                body.id(previous, link.previous.value())?;
            } else {
                body.relative(previous, link.previous.value(), id)?;
            }
            if link.next.is_some() {
                body.relative(next, link.next, id)?;
            }
        }
        Ok(())
    }
}

impl Relationship {
    fn type_of_bits(&self, bits: u32) -> Result<u32, Malformed> {
        let RelationshipTypeId(type_id) = self.type_id;
        if type_id >> bits == 0 {
            return Ok(type_id);
        }
        Err(Malformed::DoesNotFit { field: TYPE, value: type_id.into(), bits })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::store::record::HighLimit;
    use crate::store::record::tests::{decoded, encoded, hex, reference, slot};

    fn link(previous: Previous, next: Option<u64>) -> ChainLink {
        ChainLink { previous, next: next.map(RelationshipId) }
    }

    fn links() -> impl Strategy<Value = ChainLink> {
        (any::<bool>(), reference(35), reference(35)).prop_map(|(is_first, previous, next)| ChainLink {
            previous: Previous::of(is_first, previous.map(RelationshipId)),
            next: next.map(RelationshipId),
        })
    }

    fn relationship() -> impl Strategy<Value = Relationship> {
        (reference(35), reference(35), any::<u16>(), links(), links(), reference(36)).prop_map(
            |(start_node, end_node, type_id, start_link, end_link, property)| Relationship {
                start_node: start_node.map(NodeId),
                end_node: end_node.map(NodeId),
                type_id: RelationshipTypeId(type_id.into()),
                start_link,
                end_link,
                property: property.map(PropertyId),
            },
        )
    }

    #[test]
    fn standard_relationships_are_as_in_the_specification() {
        let only = link(Previous::Degree(Some(1)), None);
        let looped = Relationship {
            start_node: Some(NodeId(0)),
            end_node: Some(NodeId(0)),
            type_id: RelationshipTypeId(0),
            start_link: only,
            end_link: only,
            property: None,
        };
        let wide = Relationship {
            start_node: Some(NodeId(0x1_0000_0002)),
            end_node: Some(NodeId(5)),
            type_id: RelationshipTypeId(7),
            start_link: link(Previous::Degree(Some(3)), Some(0x2_0000_0009)),
            end_link: link(Previous::Relationship(Some(RelationshipId(12))), None),
            property: Some(PropertyId(0x3_0000_0004)),
        };
        let cases = [
            ("0100000000000000000000000000000001ffffffff00000001ffffffffffffffff03", looped),
            ("3300000002000000050080000700000003000000090000000cffffffff0000000401", wide),
        ];
        for (bytes, relationship) in cases {
            let bytes = hex(bytes);
            assert_eq!(decoded::<Standard, Relationship>(0, &bytes), Some(relationship));
            assert_eq!(encoded::<Standard, _>(0, &relationship, Units::default()), bytes);
        }
    }

    #[test]
    fn high_limit_relationships_are_as_in_the_specification() {
        let fixed = Relationship {
            start_node: Some(NodeId(2)),
            end_node: Some(NodeId(0x1_0000_0005)),
            type_id: RelationshipTypeId(7),
            start_link: link(Previous::Degree(Some(3)), Some(9)),
            end_link: link(Previous::Relationship(Some(RelationshipId(12))), None),
            property: Some(PropertyId(0x2_0000_0004)),
        };
        let bytes = slot("a9000782000000020000000500000003000000090000000cffffffff00000004", 32);
        assert_eq!(decoded::<HighLimit, Relationship>(0, &bytes), Some(fixed));
        let units = Units { fixed_references: true, secondary: None };
        assert_eq!(encoded::<HighLimit, _>(0, &fixed, units), bytes);

        let variable = Relationship {
            start_node: Some(NodeId(2)),
            end_node: Some(NodeId(5)),
            type_id: RelationshipTypeId(70_000),
            start_link: link(Previous::Degree(Some(3)), Some(90)),
            end_link: link(Previous::Relationship(Some(RelationshipId(95))), None),
            property: None,
        };
        let bytes = slot("2d 117001 000002 000005 000003 400009 400004", 32);
        assert_eq!(decoded::<HighLimit, Relationship>(100, &bytes), Some(variable));
        assert_eq!(encoded::<HighLimit, _>(100, &variable, Units::default()), bytes);
        assert!(matches!(
            Layout::<HighLimit>::encode(&variable, 100, units, &mut [0; 32]),
            Err(Malformed::DoesNotFit { field: TYPE, .. })
        ));
    }

    proptest! {
        #[test]
        fn every_relationship_survives_both_formats(
            relationship in relationship(),
            id in 0_u64..1 << 35,
            fixed: bool,
        ) {
            let standard = encoded::<Standard, _>(id, &relationship, Units::default());
            prop_assert_eq!(decoded::<Standard, Relationship>(id, &standard), Some(relationship));
            let units = Units { fixed_references: fixed, secondary: (!fixed).then_some(1) };
            let mut slot = [0; 32];
            if let Ok(overflow) = Layout::<HighLimit>::encode(&relationship, id, units, &mut slot) {
                let mut second = [0; 32];
                overflow.write(&mut second);
                let again = <Relationship as Layout<HighLimit>>::decode(id, &slot, &second);
                prop_assert_eq!(again, Ok(Some(relationship)));
            } else {
                prop_assert!(fixed);
            }
        }

        #[test]
        fn any_bytes_decode(slot: [u8; 34], second: [u8; 32], id: u64) {
            let decode = <Relationship as Layout<Standard>>::decode;
            if let Ok(Some(relationship)) = decode(id, &slot, &[]) {
                let again = encoded::<Standard, _>(id, &relationship, Units::default());
                prop_assert_eq!(&again[..9], &slot[..9]);
                prop_assert_eq!(&again[13..33], &slot[13..33]);
            }
            let _ = <Relationship as Layout<HighLimit>>::decode(id, slot.first_chunk().unwrap(), &second);
        }
    }
}
