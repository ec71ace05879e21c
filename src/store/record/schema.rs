//! Schema records. The same in all formats.

use super::high_limit::Overflow;
use super::{Layout, Units};
use crate::store::error::Malformed;
use crate::store::id::{PropertyId, RecordId};

/// An index or a constraint: where the properties are that describe it.
///
/// | Bits  | Field                       |
/// |------:|-----------------------------|
/// | 56    | in use                      |
/// | 57    | has properties              |
/// | 0-55  | first property record       |
///
/// One big-endian number. Without properties it is the node label index of an upgraded store.
/// Specification: store format 4.8, 9.5.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SchemaRecord {
    /// The first record of the rule's properties.
    pub property: Option<PropertyId>,
}

const IN_USE: u64 = 1 << 56;
const HAS_PROPERTY: u64 = 1 << 57;
const PROPERTY_BITS: u32 = 56;

impl<Format> Layout<Format> for SchemaRecord {
    type Slot = [u8; 8];

    fn is_in_use(slot: &Self::Slot) -> bool {
        u64::from_be_bytes(*slot) & IN_USE != 0
    }

    fn decode(_id: u64, slot: &Self::Slot, _second: &[u8]) -> Result<Option<Self>, Malformed> {
        let word = u64::from_be_bytes(*slot);
        if word & IN_USE == 0 {
            return Ok(None);
        }
        let property = (word & HAS_PROPERTY != 0).then_some(PropertyId(word & (IN_USE - 1)));
        Ok(Some(Self { property }))
    }

    fn encode(&self, _id: u64, _units: Units, slot: &mut Self::Slot) -> Result<Overflow, Malformed> {
        let word = match self.property.map(RecordId::slot) {
            None => IN_USE,
            Some(value) if value >> PROPERTY_BITS == 0 => IN_USE | HAS_PROPERTY | value,
            Some(value) => {
                let field = "first property of the rule";
                return Err(Malformed::DoesNotFit { field, value, bits: PROPERTY_BITS });
            }
        };
        *slot = word.to_be_bytes();
        Ok(Overflow::default())
    }

    fn delete(slot: &mut Self::Slot) {
        *slot = [0; 8];
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::store::record::tests::{decoded, encoded, hex};
    use crate::store::record::{HighLimit, Standard};

    #[test]
    fn schema_records_are_as_in_the_specification() {
        let rule = SchemaRecord { property: Some(PropertyId(163)) };
        let bytes = hex("03000000000000a3");
        assert_eq!(decoded::<Standard, SchemaRecord>(1, &bytes), Some(rule));
        assert_eq!(encoded::<HighLimit, _>(1, &rule, Units::default()), bytes);
        assert_eq!(
            decoded::<Standard, SchemaRecord>(1, &hex("0100000000000000")),
            Some(SchemaRecord { property: None })
        );
        assert_eq!(decoded::<Standard, SchemaRecord>(1, &hex("0000000000000000")), None);
    }

    proptest! {
        #[test]
        fn every_schema_record_survives(property in proptest::option::of(0_u64..1 << 56)) {
            let rule = SchemaRecord { property: property.map(PropertyId) };
            let bytes = encoded::<Standard, _>(1, &rule, Units::default());
            prop_assert_eq!(decoded::<Standard, SchemaRecord>(1, &bytes), Some(rule));
        }
    }
}
