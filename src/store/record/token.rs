//! Token records: labels, relationship types and property keys. The same in all formats.

use super::fields::{Fields, FieldsMut, flag};
use super::high_limit::Overflow;
use super::reference::{RESERVED, join, low};
use super::{Layout, Units};
use crate::store::error::Malformed;
use crate::store::id::DynamicId;

/// A label or a relationship type.
///
/// | Offset | Size | Field                                           |
/// |-------:|-----:|-------------------------------------------------|
/// |      0 |    1 | bit 0 in use, bit 1 internal                    |
/// |      1 |    4 | first record of the name; -1: the id is reserved |
///
/// Specification: store format 4.7.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Token {
    /// Whether it belongs to Neo4j itself: another name space.
    pub internal: bool,
    /// The first record of its name. `None`: the id is only reserved.
    pub name: Option<DynamicId>,
}

/// A property key.
///
/// | Offset | Size | Field                                           |
/// |-------:|-----:|-------------------------------------------------|
/// |      0 |    1 | bit 0 in use, bit 1 internal                    |
/// |      1 |    4 | property count, 0 in every 4.x                  |
/// |      5 |    4 | first record of the name; -1: the id is reserved |
///
/// Specification: store format 4.7.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PropertyKeyToken {
    /// What it has in common with the other tokens.
    pub token: Token,
    /// Kept as it is.
    pub property_count: u32,
}

const IN_USE: u8 = 1;
const INTERNAL: u8 = 2;

impl<Format> Layout<Format> for Token {
    type Slot = [u8; 5];

    fn is_in_use([flags, ..]: &Self::Slot) -> bool {
        flags & IN_USE != 0
    }

    fn decode(_id: u64, slot: &Self::Slot, _second: &[u8]) -> Result<Option<Self>, Malformed> {
        let mut fields = Fields::new(slot);
        let flags = fields.u8();
        let name = join(fields.u32(), 0);
        Ok((flags & IN_USE != 0).then_some(Self { internal: flags & INTERNAL != 0, name }))
    }

    fn encode(&self, _id: u64, _units: Units, slot: &mut Self::Slot) -> Result<Overflow, Malformed> {
        let mut fields = FieldsMut::new(slot);
        fields.u8(self.flags());
        fields.u32(self.name()?);
        Ok(Overflow::default())
    }

    fn delete([flags, ..]: &mut Self::Slot) {
        *flags = 0;
    }
}

impl<Format> Layout<Format> for PropertyKeyToken {
    type Slot = [u8; 9];

    fn is_in_use([flags, ..]: &Self::Slot) -> bool {
        flags & IN_USE != 0
    }

    fn decode(_id: u64, slot: &Self::Slot, _second: &[u8]) -> Result<Option<Self>, Malformed> {
        let mut fields = Fields::new(slot);
        let (flags, property_count) = (fields.u8(), fields.u32());
        let token = Token { internal: flags & INTERNAL != 0, name: join(fields.u32(), 0) };
        Ok((flags & IN_USE != 0).then_some(Self { token, property_count }))
    }

    fn encode(&self, _id: u64, _units: Units, slot: &mut Self::Slot) -> Result<Overflow, Malformed> {
        let mut fields = FieldsMut::new(slot);
        fields.u8(self.token.flags());
        fields.u32(self.property_count);
        fields.u32(self.token.name()?);
        Ok(Overflow::default())
    }

    fn delete([flags, ..]: &mut Self::Slot) {
        *flags = 0;
    }
}

impl Token {
    fn flags(self) -> u8 {
        IN_USE | flag(INTERNAL, self.internal)
    }

    fn name(self) -> Result<u32, Malformed> {
        match self.name {
            None => Ok(u32::MAX),
            Some(DynamicId(id)) if id < RESERVED => Ok(low(id)),
            Some(DynamicId(id)) => {
                Err(Malformed::DoesNotFit { field: "name of the token", value: id, bits: 32 })
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::store::record::tests::{decoded, encoded, hex, reference};
    use crate::store::record::{HighLimit, Standard};

    #[test]
    fn property_keys_are_as_in_the_specification() {
        for (bytes, internal, name) in [("010000000000000001", false, 1), ("030000000000000005", true, 5)] {
            let token = Token { internal, name: Some(DynamicId(name)) };
            let key = PropertyKeyToken { token, property_count: 0 };
            assert_eq!(decoded::<Standard, PropertyKeyToken>(0, &hex(bytes)), Some(key));
            assert_eq!(encoded::<HighLimit, _>(0, &key, Units::default()), hex(bytes));
        }
    }

    #[test]
    fn a_deleted_token_keeps_its_name_field() {
        let mut slot = [0xff; 5];
        <Token as Layout<Standard>>::delete(&mut slot);
        assert_eq!(slot, [0, 0xff, 0xff, 0xff, 0xff]);
        assert_eq!(decoded::<Standard, Token>(0, &slot), None);
    }

    proptest! {
        #[test]
        fn every_token_survives(internal: bool, name in reference(32), property_count: u32) {
            let token = Token { internal, name: name.map(DynamicId) };
            let bytes = encoded::<Standard, _>(0, &token, Units::default());
            prop_assert_eq!(decoded::<Standard, Token>(0, &bytes), Some(token));
            let key = PropertyKeyToken { token, property_count };
            let bytes = encoded::<Standard, _>(0, &key, Units::default());
            prop_assert_eq!(decoded::<Standard, PropertyKeyToken>(0, &bytes), Some(key));
        }
    }
}
