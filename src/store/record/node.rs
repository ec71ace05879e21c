//! Node records.

use super::fields::{Fields, FieldsMut, flag};
use super::high_limit::{BodyReader, BodyWriter, Overflow, UnitRecord};
use super::reference::{join, split};
use super::{Layout, Standard, Units};
use crate::store::error::Malformed;
use crate::store::id::{GroupId, PropertyId, RelationshipId};
use crate::store::labels::LabelField;

/// A node.
///
/// `standard` and `aligned`, 15 bytes:
///
/// | Offset | Size | Field                                                                              |
/// |-------:|-----:|------------------------------------------------------------------------------------|
/// |      0 |    1 | bit 0 in use, bits 1-3 relationship or group bits 32-34, bits 4-7 property bits 32-35 |
/// |      1 |    4 | first relationship, or first group of a dense node, low 32 bits                    |
/// |      5 |    4 | first property record, low 32 bits                                                 |
/// |      9 |    4 | label field, low 32 bits                                                           |
/// |     13 |    1 | label field, bits 32-39                                                            |
/// |     14 |    1 | bit 0 dense                                                                        |
///
/// `high_limit`, 16 bytes, with references of a fixed width:
///
/// | Offset | Size | Field                                                                          |
/// |-------:|-----:|--------------------------------------------------------------------------------|
/// |      0 |    1 | bit 0 in use, 3 dense, 4 has relationship, 5 has property, 6 has labels        |
/// |      1 |    1 | bits 0-3 relationship or group bits 32-35, bits 4-7 property bits 32-35        |
/// |      2 |    4 | first relationship or group, low 32 bits                                       |
/// |      6 |    4 | first property record, low 32 bits                                             |
/// |     10 |    4 | label field, low 32 bits                                                       |
/// |     14 |    1 | label field, bits 32-39                                                        |
///
/// Compressed: the same first byte, then relationship or group, property, label field, each only if its flag is set.
///
/// Specification: store format 4.1, 5.3.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Node {
    /// Where the node's relationships start.
    pub chain: NodeChain,
    /// The first record of the node's properties.
    pub property: Option<PropertyId>,
    /// The labels, or where they are.
    pub labels: LabelField,
}

/// Where the relationships of a node start.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NodeChain {
    /// One chain with all of them.
    Sparse(Option<RelationshipId>),
    /// A chain of groups, one per type.
    Dense(Option<GroupId>),
}

impl Layout<Standard> for Node {
    type Slot = [u8; 15];

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
        let (first, high) = (fields.u32(), u64::from(header >> 1 & 7));
        let property = join(fields.u32(), u64::from(header >> 4));
        let labels = LabelField(u64::from(fields.u32()) | u64::from(fields.u8()) << 32);
        let chain = if fields.u8() & 1 == 0 {
            NodeChain::Sparse(join(first, high))
        } else {
            NodeChain::Dense(join(first, high))
        };
        Ok(Some(Self { chain, property, labels }))
    }

    fn encode(&self, _id: u64, _units: Units, slot: &mut Self::Slot) -> Result<Overflow, Malformed> {
        let (relationship, relationship_high) = self.chain.split(35)?;
        let (property, property_high) = split("first property", self.property, 36)?;
        let (labels, labels_high) = self.labels.split()?;
        let mut fields = FieldsMut::new(slot);
        fields.u8(1 | relationship_high << 1 | property_high << 4);
        fields.u32(relationship);
        fields.u32(property);
        fields.u32(labels);
        fields.u8(labels_high);
        fields.u8(u8::from(self.is_dense()));
        Ok(Overflow::default())
    }

    fn delete([header, ..]: &mut Self::Slot) {
        *header &= !1;
    }
}

const DENSE: u8 = 0x08;
const HAS_RELATIONSHIP: u8 = 0x10;
const HAS_PROPERTY: u8 = 0x20;
const HAS_LABELS: u8 = 0x40;

impl UnitRecord for Node {
    type Slot = [u8; 16];

    fn flags(&self) -> u8 {
        let has_relationship = !matches!(self.chain, NodeChain::Sparse(None) | NodeChain::Dense(None));
        flag(DENSE, self.is_dense())
            | flag(HAS_RELATIONSHIP, has_relationship)
            | flag(HAS_PROPERTY, self.property.is_some())
            | flag(HAS_LABELS, self.labels != LabelField(0))
    }

    fn decode_fixed(header: u8, mut fields: Fields<'_>) -> Self {
        let high = fields.u8();
        let (first, first_high) = (fields.u32(), u64::from(high & 0x0f));
        let property = join(fields.u32(), u64::from(high >> 4));
        let labels = LabelField(u64::from(fields.u32()) | u64::from(fields.u8()) << 32);
        let chain = if header & DENSE == 0 {
            NodeChain::Sparse(join(first, first_high))
        } else {
            NodeChain::Dense(join(first, first_high))
        };
        Self { chain, property, labels }
    }

    fn decode_variable(header: u8, _id: u64, body: &mut BodyReader) -> Result<Self, Malformed> {
        let has = |flag| header & flag != 0;
        let chain = match (has(HAS_RELATIONSHIP), has(DENSE)) {
            (true, false) => NodeChain::Sparse(body.id()?),
            (true, true) => NodeChain::Dense(body.id()?),
            (false, false) => NodeChain::Sparse(None),
            (false, true) => NodeChain::Dense(None),
        };
        let property = if has(HAS_PROPERTY) { body.id()? } else { None };
        let labels = LabelField(if has(HAS_LABELS) { body.reference()? as u64 } else { 0 });
        Ok(Self { chain, property, labels })
    }

    fn encode_fixed(&self, body: &mut [u8]) -> Result<(), Malformed> {
        let (relationship, relationship_high) = self.chain.split(36)?;
        let (property, property_high) = split("first property", self.property, 36)?;
        let (labels, labels_high) = self.labels.split()?;
        let mut fields = FieldsMut::new(body);
        fields.u8(relationship_high | property_high << 4);
        fields.u32(relationship);
        fields.u32(property);
        fields.u32(labels);
        fields.u8(labels_high);
        Ok(())
    }

    fn encode_variable(&self, _id: u64, body: &mut BodyWriter) -> Result<(), Malformed> {
        match self.chain {
            NodeChain::Sparse(None) | NodeChain::Dense(None) => {}
            NodeChain::Sparse(relationship) => body.id("first relationship", relationship)?,
            NodeChain::Dense(group) => body.id("first group", group)?,
        }
        if self.property.is_some() {
            body.id("first property", self.property)?;
        }
        if self.labels != LabelField(0) {
            self.labels.split()?;
            body.reference("labels", self.labels.0 as i64)?;
        }
        Ok(())
    }
}

impl Node {
    fn is_dense(&self) -> bool {
        matches!(self.chain, NodeChain::Dense(_))
    }
}

impl NodeChain {
    fn split(self, bits: u32) -> Result<(u32, u8), Malformed> {
        match self {
            Self::Sparse(relationship) => split("first relationship", relationship, bits),
            Self::Dense(group) => split("first group", group, bits),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::store::record::HighLimit;
    use crate::store::record::tests::{decoded, encoded, hex, reference, slot};

    fn node() -> impl Strategy<Value = Node> {
        let chain = (any::<bool>(), reference(35)).prop_map(|(dense, id)| {
            if dense { NodeChain::Dense(id.map(GroupId)) } else { NodeChain::Sparse(id.map(RelationshipId)) }
        });
        (chain, reference(36), 0_u64..1 << 40).prop_map(|(chain, property, labels)| Node {
            chain,
            property: property.map(PropertyId),
            labels: LabelField(labels),
        })
    }

    #[test]
    fn standard_nodes_are_as_in_the_specification() {
        let sparse = Node {
            chain: NodeChain::Sparse(Some(RelationshipId(0))),
            property: None,
            labels: LabelField(0x10_0000_0000),
        };
        let dense = Node {
            chain: NodeChain::Dense(Some(GroupId(0x3_0000_0007))),
            property: Some(PropertyId(0x9_0000_0001)),
            labels: LabelField(0x10_0000_0003),
        };
        for (bytes, node) in
            [("0100000000ffffffff000000001000", sparse), ("970000000700000001000000031001", dense)]
        {
            let bytes = hex(bytes);
            assert_eq!(decoded::<Standard, Node>(0, &bytes), Some(node));
            assert_eq!(encoded::<Standard, _>(0, &node, Units::default()), bytes);
        }
        assert_eq!(decoded::<Standard, Node>(0, &hex("960000000700000001000000031001")), None);
    }

    #[test]
    fn high_limit_nodes_are_as_in_the_specification() {
        let fixed = Node {
            chain: NodeChain::Sparse(Some(RelationshipId(0x1_0000_0007))),
            property: None,
            labels: LabelField(0x10_0000_0003),
        };
        let bytes = slot("51 01 00000007 ffffffff 00000003 10", 16);
        assert_eq!(decoded::<HighLimit, Node>(0, &bytes), Some(fixed));
        let units = Units { fixed_references: true, secondary: None };
        assert_eq!(encoded::<HighLimit, _>(0, &fixed, units), bytes);

        let variable = Node {
            chain: NodeChain::Sparse(Some(RelationshipId(1 << 37))),
            property: Some(PropertyId(7)),
            ..fixed
        };
        let bytes = slot("75 e02000000000 000007 e01000000003", 16);
        assert_eq!(decoded::<HighLimit, Node>(0, &bytes), Some(variable));
        assert_eq!(encoded::<HighLimit, _>(0, &variable, Units::default()), bytes);
    }

    #[test]
    fn a_node_of_two_units_is_as_in_the_specification() {
        let node = Node {
            chain: NodeChain::Dense(Some(GroupId(1 << 45))),
            property: Some(PropertyId(1 << 46)),
            labels: LabelField(0x10_0000_0003),
        };
        let first = hex("7f 002328 f0200000000000 f040000000");
        let second = hex("03 0000 e01000000003 aaaaaaaaaaaaaa");
        let slot = first.first_chunk().unwrap();
        assert_eq!(<Node as Layout<HighLimit>>::second_unit(slot), Ok(Some(9000)));
        assert_eq!(<Node as Layout<HighLimit>>::decode(0, slot, &second), Ok(Some(node)));
        assert_eq!(<Node as Layout<HighLimit>>::decode(0, second.first_chunk().unwrap(), &[]), Ok(None));

        let mut written = [0; 16];
        let units = Units { fixed_references: false, secondary: Some(9000) };
        let overflow = Layout::<HighLimit>::encode(&node, 0, units, &mut written).unwrap();
        let mut second_written = [0xaa; 16];
        overflow.write(&mut second_written);
        assert_eq!((written.as_slice(), second_written.as_slice()), (&*first, &*second));
        let alone = Units { fixed_references: false, secondary: None };
        assert_eq!(Layout::<HighLimit>::encode(&node, 0, alone, &mut written), Err(Malformed::UnitTooShort));
    }

    #[test]
    fn a_deleted_node_keeps_everything_but_one_bit() {
        let mut slot = [0xff; 15];
        <Node as Layout<Standard>>::delete(&mut slot);
        assert_eq!(slot[0], 0xfe);
        assert!(slot[1..].iter().all(|&byte| byte == 0xff));
    }

    proptest! {
        #[test]
        fn every_node_survives_both_formats(node in node(), fixed in any::<bool>()) {
            prop_assert_eq!(
                decoded::<Standard, Node>(0, &encoded::<Standard, _>(0, &node, Units::default())),
                Some(node)
            );
            let units = Units { fixed_references: fixed, secondary: None };
            let mut slot = [0; 16];
            if Layout::<HighLimit>::encode(&node, 0, units, &mut slot).is_ok() {
                prop_assert_eq!(decoded::<HighLimit, Node>(0, &slot), Some(node));
            }
        }

        #[test]
        fn any_bytes_decode(slot: [u8; 16], second: [u8; 16]) {
            if let Ok(Some(node)) = <Node as Layout<Standard>>::decode(0, slot.first_chunk().unwrap(), &[]) {
                let mut again = [0; 15];
                Layout::<Standard>::encode(&node, 0, Units::default(), &mut again).unwrap();
                prop_assert_eq!(&again[..14], &slot[..14]);
            }
            let _ = <Node as Layout<HighLimit>>::decode(3, &slot, &second);
        }
    }
}
