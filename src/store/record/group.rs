//! Relationship group records.

use super::fields::{Fields, FieldsMut, flag};
use super::high_limit::{BodyReader, BodyWriter, Overflow, UnitRecord};
use super::reference::{join, low, split};
use super::{Layout, Standard, Units};
use crate::store::error::Malformed;
use crate::store::id::{GroupId, NodeId, RelationshipId, RelationshipTypeId};

/// The relationships of one type at a dense node.
///
/// `standard` and `aligned`, 25 bytes:
///
/// | Offset | Size | Field                                                                                |
/// |-------:|-----:|--------------------------------------------------------------------------------------|
/// |      0 |    1 | bit 0 in use, bits 1-3 next bits 32-34, bits 4-6 outgoing bits 32-34, bit 7 external degree of outgoing |
/// |      1 |    1 | bit 0 external degree of incoming, bits 1-3 incoming bits 32-34, bits 4-6 loop bits 32-34, bit 7 external degree of loops |
/// |      2 |    2 | type                                                                                 |
/// |      4 |    4 | next group of the node, low 32 bits                                                  |
/// |      8 |    4 | first outgoing relationship                                                          |
/// |     12 |    4 | first incoming relationship                                                          |
/// |     16 |    4 | first loop                                                                           |
/// |     20 |    4 | node, low 32 bits                                                                    |
/// |     24 |    1 | node, bits 32-39, signed                                                             |
///
/// `high_limit`, 32 bytes, with references of a fixed width:
///
/// | Offset | Size | Field                                                                                |
/// |-------:|-----:|--------------------------------------------------------------------------------------|
/// |      0 |    1 | bit 0 in use, 3 has outgoing, 4 has incoming, 5 has loop, 6 has next, 7 any external degree |
/// |      1 |    1 | bit 32 of: 0 next, 1 outgoing, 2 incoming, 3 loop, 4 node; external degree of: 5 outgoing, 6 incoming, 7 loops |
/// |      2 |    3 | type: low 16 bits, then bits 16-23                                                   |
/// |      5 |   20 | low 32 bits of: next, outgoing, incoming, loop, node                                 |
///
/// Compressed: the same first byte, type, outgoing, incoming and loop if flagged, node, next if flagged. With an external
/// degree the node is shifted by three: bit 0 outgoing, 1 incoming, 2 loops.
///
/// Before 4.3 the bits of external degrees are always 0. Specification: store format 4.3, 4.4, 5.5.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RelationshipGroup {
    /// Type of the relationships.
    pub type_id: RelationshipTypeId,
    /// The node's next group; its type is greater.
    pub next: Option<GroupId>,
    /// The first relationship of each chain.
    pub first: Directions<Option<RelationshipId>>,
    /// Whether the degrees store has the number of relationships of a chain.
    pub external_degrees: Directions<bool>,
    /// The node. `None`, or an id that no node can have, only in a damaged store.
    pub owner: Option<NodeId>,
}

/// One thing for each direction that relationships have at a node.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Directions<T> {
    /// They start at the node.
    pub outgoing: T,
    /// They end at the node.
    pub incoming: T,
    /// They do both.
    pub loops: T,
}

/// Direction of relationships, seen from their dense node. The numbers are those of logs and of the degrees store.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Direction {
    /// The node is the start.
    Outgoing = 0,
    /// The node is the end.
    Incoming = 1,
    /// The node is both.
    Loop = 2,
}

impl Direction {
    /// All of them, in the order of their numbers.
    pub const ALL: [Self; 3] = [Self::Outgoing, Self::Incoming, Self::Loop];
}

impl<T> Directions<T> {
    /// That of one direction.
    pub fn of(&self, direction: Direction) -> &T {
        match direction {
            Direction::Outgoing => &self.outgoing,
            Direction::Incoming => &self.incoming,
            Direction::Loop => &self.loops,
        }
    }
}

const NEXT: &str = "next group";
const OUTGOING: &str = "first outgoing relationship";
const INCOMING: &str = "first incoming relationship";
const LOOP: &str = "first loop";
const OWNER: &str = "owner of the group";

impl Layout<Standard> for RelationshipGroup {
    type Slot = [u8; 25];

    fn is_in_use(slot: &Self::Slot) -> bool {
        let [header, ..] = slot;
        header & 1 != 0
    }

    fn decode(_id: u64, slot: &Self::Slot, _second: &[u8]) -> Result<Option<Self>, Malformed> {
        let mut fields = Fields::new(slot);
        let (header, high) = (fields.u8(), fields.u8());
        if header & 1 == 0 {
            return Ok(None);
        }
        let type_id = RelationshipTypeId(fields.u16().into());
        let next = join(fields.u32(), u64::from(header >> 1 & 7));
        let first = Directions {
            outgoing: join(fields.u32(), u64::from(header >> 4 & 7)),
            incoming: join(fields.u32(), u64::from(high >> 1 & 7)),
            loops: join(fields.u32(), u64::from(high >> 4 & 7)),
        };
        let external_degrees =
            Directions { outgoing: header & 0x80 != 0, incoming: high & 0x01 != 0, loops: high & 0x80 != 0 };
        let owner = u64::from(fields.u32());
        let owner = owner as i64 | i64::from(fields.u8().cast_signed()) << 32;
        let owner = (owner != -1).then_some(NodeId(owner as u64));
        Ok(Some(Self { type_id, next, first, external_degrees, owner }))
    }

    fn encode(&self, _id: u64, _units: Units, slot: &mut Self::Slot) -> Result<Overflow, Malformed> {
        let (next, next_high) = split(NEXT, self.next, 35)?;
        let (outgoing, outgoing_high) = split(OUTGOING, self.first.outgoing, 35)?;
        let (incoming, incoming_high) = split(INCOMING, self.first.incoming, 35)?;
        let (loops, loops_high) = split(LOOP, self.first.loops, 35)?;
        let owner = self.owner.map_or(-1, |NodeId(id)| id as i64);
        let owner_high = i8::try_from(owner >> 32).map_err(|_| Malformed::DoesNotFit {
            field: OWNER,
            value: owner as u64,
            bits: 39,
        })?;
        let external = self.external_degrees;
        let mut fields = FieldsMut::new(slot);
        fields.u8(1 | next_high << 1 | outgoing_high << 4 | u8::from(external.outgoing) << 7);
        fields.u8(u8::from(external.incoming)
            | incoming_high << 1
            | loops_high << 4
            | u8::from(external.loops) << 7);
        fields.u16(self.type_of_bits(16)? as u16);
        fields.u32(next);
        fields.u32(outgoing);
        fields.u32(incoming);
        fields.u32(loops);
        fields.u32(low(owner as u64));
        fields.u8(owner_high.cast_unsigned());
        Ok(Overflow::default())
    }

    fn delete([header, ..]: &mut Self::Slot) {
        *header &= !1;
    }
}

const HAS_OUTGOING: u8 = 0x08;
const HAS_INCOMING: u8 = 0x10;
const HAS_LOOP: u8 = 0x20;
const HAS_NEXT: u8 = 0x40;
const ANY_EXTERNAL: u8 = 0x80;

impl UnitRecord for RelationshipGroup {
    type Slot = [u8; 32];

    fn flags(&self) -> u8 {
        flag(HAS_OUTGOING, self.first.outgoing.is_some())
            | flag(HAS_INCOMING, self.first.incoming.is_some())
            | flag(HAS_LOOP, self.first.loops.is_some())
            | flag(HAS_NEXT, self.next.is_some())
            | flag(ANY_EXTERNAL, self.any_external())
    }

    fn decode_fixed(_header: u8, mut fields: Fields<'_>) -> Self {
        let bits = fields.u8();
        let is_set = |bit: u32| bits >> bit & 1 != 0;
        let high = |bit: u32| u64::from(bits >> bit & 1);
        let type_id = u32::from(fields.u16()) | u32::from(fields.u8()) << 16;
        let next = join(fields.u32(), high(0));
        let first = Directions {
            outgoing: join(fields.u32(), high(1)),
            incoming: join(fields.u32(), high(2)),
            loops: join(fields.u32(), high(3)),
        };
        Self {
            type_id: RelationshipTypeId(type_id),
            next,
            first,
            external_degrees: Directions { outgoing: is_set(5), incoming: is_set(6), loops: is_set(7) },
            owner: join(fields.u32(), high(4)),
        }
    }

    fn decode_variable(header: u8, _id: u64, body: &mut BodyReader) -> Result<Self, Malformed> {
        let has = |flag| header & flag != 0;
        let low = body.u16()?;
        let type_id = low | body.u8()? << 16;
        let mut optional = |flag| if has(flag) { body.id() } else { Ok(None) };
        let first = Directions {
            outgoing: optional(HAS_OUTGOING)?,
            incoming: optional(HAS_INCOMING)?,
            loops: optional(HAS_LOOP)?,
        };
        let mut owner = body.reference()?;
        let mut external_degrees = Directions::default();
        if has(ANY_EXTERNAL) {
            let is_set = |bit: u32| owner >> bit & 1 != 0;
            external_degrees = Directions { outgoing: is_set(0), incoming: is_set(1), loops: is_set(2) };
            owner >>= 3;
        }
        Ok(Self {
            type_id: RelationshipTypeId(type_id as u32),
            first,
            external_degrees,
            owner: (owner != -1).then_some(NodeId(owner as u64)),
            next: if has(HAS_NEXT) { body.id()? } else { None },
        })
    }

    fn encode_fixed(&self, body: &mut [u8]) -> Result<(), Malformed> {
        let (next, next_high) = split(NEXT, self.next, 33)?;
        let (outgoing, outgoing_high) = split(OUTGOING, self.first.outgoing, 33)?;
        let (incoming, incoming_high) = split(INCOMING, self.first.incoming, 33)?;
        let (loops, loops_high) = split(LOOP, self.first.loops, 33)?;
        let (owner, owner_high) = split(OWNER, self.owner, 33)?;
        let external = self.external_degrees;
        let type_id = self.type_of_bits(24)?;
        let mut fields = FieldsMut::new(body);
        fields.u8(next_high
            | outgoing_high << 1
            | incoming_high << 2
            | loops_high << 3
            | owner_high << 4
            | u8::from(external.outgoing) << 5
            | u8::from(external.incoming) << 6
            | u8::from(external.loops) << 7);
        fields.u16((type_id & 0xffff) as u16);
        fields.u8((type_id >> 16) as u8);
        for low in [next, outgoing, incoming, loops, owner] {
            fields.u32(low);
        }
        Ok(())
    }

    fn encode_variable(&self, _id: u64, body: &mut BodyWriter) -> Result<(), Malformed> {
        let type_id = u64::from(self.type_of_bits(24)?);
        body.u16(type_id & 0xffff)?;
        body.u8(type_id >> 16)?;
        for (field, first) in
            [(OUTGOING, self.first.outgoing), (INCOMING, self.first.incoming), (LOOP, self.first.loops)]
        {
            if first.is_some() {
                body.id(field, first)?;
            }
        }
        let mut owner = self.owner.map_or(-1, |NodeId(id)| id as i64);
        if self.any_external() {
            let Directions { outgoing, incoming, loops } = self.external_degrees;
            let shifted = owner.checked_mul(8).ok_or(Malformed::DoesNotFit {
                field: OWNER,
                value: owner as u64,
                bits: 55,
            })?;
            owner = shifted | i64::from(outgoing) | i64::from(incoming) << 1 | i64::from(loops) << 2;
        }
        body.reference(OWNER, owner)?;
        if self.next.is_some() {
            body.id(NEXT, self.next)?;
        }
        Ok(())
    }
}

impl RelationshipGroup {
    fn any_external(&self) -> bool {
        let Directions { outgoing, incoming, loops } = self.external_degrees;
        outgoing || incoming || loops
    }

    fn type_of_bits(&self, bits: u32) -> Result<u32, Malformed> {
        let RelationshipTypeId(type_id) = self.type_id;
        if type_id >> bits == 0 {
            return Ok(type_id);
        }
        Err(Malformed::DoesNotFit { field: "type of the group", value: type_id.into(), bits })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::store::record::HighLimit;
    use crate::store::record::tests::{decoded, encoded, hex, reference, slot};

    fn group() -> impl Strategy<Value = RelationshipGroup> {
        let first = (reference(35), reference(35), reference(35));
        (any::<u16>(), reference(35), first, any::<[bool; 3]>(), reference(35)).prop_map(
            |(type_id, next, first, [outgoing, incoming, loops], owner)| RelationshipGroup {
                type_id: RelationshipTypeId(type_id.into()),
                next: next.map(GroupId),
                first: Directions {
                    outgoing: first.0.map(RelationshipId),
                    incoming: first.1.map(RelationshipId),
                    loops: first.2.map(RelationshipId),
                },
                external_degrees: Directions { outgoing, incoming, loops },
                owner: owner.map(NodeId),
            },
        )
    }

    #[test]
    fn standard_groups_are_as_in_the_specification() {
        let group = RelationshipGroup {
            type_id: RelationshipTypeId(2),
            next: Some(GroupId(9)),
            first: Directions {
                outgoing: Some(RelationshipId(0x1_0000_0003)),
                incoming: None,
                loops: Some(RelationshipId(17)),
            },
            external_degrees: Directions { outgoing: true, ..Directions::default() },
            owner: Some(NodeId(42)),
        };
        let bytes = hex("910000020000000900000003ffffffff000000110000002a00");
        assert_eq!(decoded::<Standard, RelationshipGroup>(0, &bytes), Some(group));
        assert_eq!(encoded::<Standard, _>(0, &group, Units::default()), bytes);
    }

    #[test]
    fn high_limit_groups_are_as_in_the_specification() {
        let fixed = RelationshipGroup {
            type_id: RelationshipTypeId(2),
            next: Some(GroupId(9)),
            first: Directions { outgoing: Some(RelationshipId(0x1_0000_0003)), ..Directions::default() },
            external_degrees: Directions { outgoing: true, ..Directions::default() },
            owner: Some(NodeId(42)),
        };
        let bytes = slot("c922000200 00000009 00000003 ffffffff ffffffff 0000002a", 32);
        assert_eq!(decoded::<HighLimit, RelationshipGroup>(0, &bytes), Some(fixed));
        let units = Units { fixed_references: true, secondary: None };
        assert_eq!(encoded::<HighLimit, _>(0, &fixed, units), bytes);

        let first = Directions { outgoing: Some(RelationshipId(1 << 33)), ..Directions::default() };
        let variable = RelationshipGroup { first, ..fixed };
        let bytes = slot("cd 000200 c200000000 000151 000009", 32);
        assert_eq!(decoded::<HighLimit, RelationshipGroup>(0, &bytes), Some(variable));
        assert_eq!(encoded::<HighLimit, _>(0, &variable, Units::default()), bytes);
    }

    #[test]
    fn a_damaged_owner_keeps_its_sign() {
        let decode = |high: &str| {
            let slot = format!("010000020000000900000003ffffffff0000001100000005{high}");
            decoded::<Standard, RelationshipGroup>(0, &hex(&slot)).unwrap().owner
        };
        assert_eq!(decode("00"), Some(NodeId(5)));
        assert_eq!(decode("80"), Some(NodeId(0xffff_ff80_0000_0005)));
    }

    proptest! {
        #[test]
        fn every_group_survives_both_formats(group in group(), fixed: bool) {
            let standard = encoded::<Standard, _>(0, &group, Units::default());
            prop_assert_eq!(decoded::<Standard, RelationshipGroup>(0, &standard), Some(group));
            let units = Units { fixed_references: fixed, secondary: (!fixed).then_some(1) };
            let mut slot = [0; 32];
            if let Ok(overflow) = Layout::<HighLimit>::encode(&group, 0, units, &mut slot) {
                let mut second = [0; 32];
                overflow.write(&mut second);
                let again = <RelationshipGroup as Layout<HighLimit>>::decode(0, &slot, &second);
                prop_assert_eq!(again, Ok(Some(group)));
            } else {
                prop_assert!(fixed);
            }
        }

        #[test]
        fn any_bytes_decode(slot: [u8; 25], high_limit: [u8; 32], second: [u8; 32]) {
            if let Ok(Some(group)) = <RelationshipGroup as Layout<Standard>>::decode(0, &slot, &[]) {
                prop_assert_eq!(encoded::<Standard, _>(0, &group, Units::default()), slot);
            }
            let _ = <RelationshipGroup as Layout<HighLimit>>::decode(0, &high_limit, &second);
        }
    }
}
