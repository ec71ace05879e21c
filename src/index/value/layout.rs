//! Keys of value indexes as the tree sees them.

use std::cmp::Ordering;

use super::slot::{self, KeyKind};
use super::text::TypedText;
use super::{decode_key, separator};
use crate::gbptree::{Layout, LayoutId, NodeFormat, hexadecimal};
use crate::store::schema::{IndexProvider, RuleKind, SchemaRule};

/// The keys of one index; there are no values behind them. Specification: gbptree 5.1, indexes 3, 4.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ValueLayout {
    keys: KeyKind,
    slots: u16,
}

impl ValueLayout {
    /// Keys of `native-btree-1.0` for this many properties.
    pub fn btree(slots: u16) -> Self {
        Self { keys: KeyKind::Btree, slots }
    }

    /// Keys of `range-1.0` for this many properties.
    pub fn range(slots: u16) -> Self {
        Self { keys: KeyKind::Range, slots }
    }

    /// Keys of `point-1.0`.
    pub fn point() -> Self {
        Self { keys: KeyKind::Point, slots: 1 }
    }

    /// The keys of an index; `None`: it is no index, or has no tree of values.
    pub fn of(rule: &SchemaRule) -> Option<Self> {
        let RuleKind::Index(index) = &rule.kind else { return None };
        let slots = u16::try_from(rule.schema.property_keys.len()).ok()?;
        match index.provider {
            IndexProvider::NativeBtree | IndexProvider::LuceneNative => Some(Self::btree(slots)),
            IndexProvider::Range => Some(Self::range(slots)),
            IndexProvider::Point => Some(Self::point()),
            IndexProvider::Fulltext | IndexProvider::Text | IndexProvider::TokenLookup => None,
        }
    }

    /// Which keys.
    pub fn keys(&self) -> KeyKind {
        self.keys
    }

    /// Values of a key.
    pub fn slots(&self) -> usize {
        self.slots.into()
    }
}

impl Layout for ValueLayout {
    fn id(&self) -> LayoutId {
        let slots = u32::from(self.slots);
        match self.keys {
            KeyKind::Btree => LayoutId::named(b"NSIL", slots, 0, 5),
            KeyKind::Range => LayoutId::named(b"RL", slots, 0, 1),
            KeyKind::Point => LayoutId::named(b"PL", slots, 0, 1),
        }
    }

    fn format(&self) -> NodeFormat {
        NodeFormat::Dynamic
    }

    #[inline]
    fn compare(&self, left: &[u8], right: &[u8]) -> Ordering {
        slot::compare(self.keys, self.slots(), left, right)
    }

    fn separator(&self, left: &[u8], right: &[u8], separator: &mut Vec<u8>) {
        separator::write(self.keys, self.slots(), left, right, separator);
    }

    fn is_key(&self, key: &[u8]) -> bool {
        let slots = key.split_first_chunk::<8>().and_then(|(_, rest)| {
            (0..self.slots).try_fold(rest, |rest, _| slot::split_slot(self.keys, rest).map(|(_, rest)| rest))
        });
        // Bytes behind the last value are none of the key's; Neo4j passes over them.
        slots.is_some()
    }

    fn describe(&self, key: &[u8]) -> String {
        match decode_key(self.keys, self.slots(), key) {
            Ok((entity, values)) => {
                let values: Vec<_> = values.iter().map(|value| TypedText(value).to_string()).collect();
                format!("[{}],entityId={}", values.join(","), entity.cast_signed())
            }
            // Cut texts of separators too.
            Err(_) => hexadecimal(key),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::{SpatialSettings, encode_key};
    use super::*;
    use crate::store::value::{Crs, Point, Value};

    fn described(layout: ValueLayout, values: &[Value]) -> String {
        let mut key = Vec::new();
        assert!(encode_key(layout.keys(), 7, values, &SpatialSettings::default(), &mut key).unwrap());
        layout.describe(&key)
    }

    #[test]
    fn keys_read_as_neo4j_prints_them() {
        let values = [Value::String("city 357".to_owned()), Value::Double(900.0)];
        let text = "[String(\"city 357\"),Double(9.000000e+02)],entityId=7";
        assert_eq!(described(ValueLayout::btree(2), &values), text);
        assert_eq!(described(ValueLayout::range(2), &values), text);
        let point = Value::Point(Point::new(Crs::Cartesian, [1.5, 2.0]).unwrap());
        let text = "[point({x: 1.5, y: 2.0, crs: 'cartesian'})],entityId=7";
        assert_eq!(described(ValueLayout::point(), &[point]), text);
    }
}
