//! The labels of a node.

use super::error::Malformed;
use super::id::{DynamicId, LabelId, NodeId};
use super::value::array;

/// The label field of a node record, 40 bits.
///
/// | Bits  | Inline (bit 39 is 0)                                          | Dynamic (bit 39 is 1)              |
/// |------:|---------------------------------------------------------------|------------------------------------|
/// | 36-38 | number of labels, 0 to 7                                      | 0                                  |
/// | 0-35  | ids in equal parts of the 36 bits, the smallest id lowest     | first record in the label store    |
///
/// Specification: store format 7.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LabelField(pub u64);

/// Where the labels are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Labels {
    /// In the field itself.
    Inline(InlineLabels),
    /// In a chain of the label store; [`decode_dynamic`] reads what it holds.
    Dynamic(DynamicId),
}

const DYNAMIC: u64 = 1 << 39;
const ID_BITS: u32 = 36;

impl LabelField {
    /// Where the labels are.
    pub fn labels(self) -> Labels {
        if self.0 & DYNAMIC == 0 {
            Labels::Inline(InlineLabels { left: (self.0 >> ID_BITS & 7) as u32, field: self })
        } else {
            Labels::Dynamic(DynamicId(self.0 & ((1 << ID_BITS) - 1)))
        }
    }

    /// The low 32 bits and the rest.
    pub(super) fn split(self) -> Result<(u32, u8), Malformed> {
        let [a, b, c, high, low @ ..] = self.0.to_be_bytes();
        if (a, b, c) == (0, 0, 0) {
            return Ok((u32::from_be_bytes(low), high));
        }
        Err(Malformed::DoesNotFit { field: "label field", value: self.0, bits: 40 })
    }
}

/// The labels in a label field, from the lowest bits up: ascending in a sound store.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InlineLabels {
    field: LabelField,
    left: u32,
}

impl Iterator for InlineLabels {
    type Item = Result<LabelId, Malformed>;

    fn next(&mut self) -> Option<Self::Item> {
        let count = (self.field.0 >> ID_BITS & 7) as u32;
        let width = ID_BITS.checked_div(count)?;
        let index = count - self.left;
        self.left = self.left.checked_sub(1)?;
        Some(label(self.field.0 >> (index * width) & ((1 << width) - 1)))
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        (self.left as usize, Some(self.left as usize))
    }
}

impl ExactSizeIterator for InlineLabels {}

/// The node and the labels that the bytes of a chain of the label store hold.
///
/// An array of longs: the node's id, then the labels, ascending. Specification: store format 7.
pub fn decode_dynamic(
    bytes: &[u8],
) -> Result<(NodeId, impl Iterator<Item = Result<LabelId, Malformed>>), Malformed> {
    let mut longs = array::longs(bytes)?.map(i64::cast_unsigned);
    let owner = longs.next().ok_or(Malformed::ValueEnds { what: "the labels" })?;
    Ok((NodeId(owner), longs.map(label)))
}

fn label(id: u64) -> Result<LabelId, Malformed> {
    u32::try_from(id).map(LabelId).map_err(|_| Malformed::ValuePart { what: "label", value: id as i64 })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn inline(field: u64) -> Result<Vec<u32>, Malformed> {
        let Labels::Inline(labels) = LabelField(field).labels() else { panic!("dynamic") };
        labels.map(|label| label.map(|LabelId(id)| id)).collect()
    }

    #[test]
    fn label_fields_are_as_in_the_specification() {
        let cases: [(u64, &[u32]); 7] = [
            (0, &[]),
            (0x10_0000_0000, &[0]),
            (0x10_0000_0003, &[3]),
            (0x20_0008_0001, &[1, 2]),
            (0x30_0200_1000, &[0, 1, 2]),
            (0x31_2c00_2001, &[1, 2, 300]),
            (0x71_cc52_0c41, &[1, 2, 3, 4, 5, 6, 7]),
        ];
        for (field, labels) in cases {
            assert_eq!(inline(field).as_deref(), Ok(labels), "{field:#x}");
        }
        assert_eq!(LabelField(0x80_0000_0005).labels(), Labels::Dynamic(DynamicId(5)));
    }

    #[test]
    fn dynamic_labels_are_as_in_the_specification() {
        let (owner, labels) = decode_dynamic(&[6, 4, 4, 0x0a, 0x21, 0x43, 0x65, 0x07]).unwrap();
        let labels: Result<Vec<_>, _> = labels.collect();
        assert_eq!(owner, NodeId(10));
        assert_eq!(labels.unwrap(), (0..8).map(LabelId).collect::<Vec<_>>());
    }

    #[test]
    fn a_label_that_no_token_can_have_is_malformed() {
        assert_eq!(inline(0x1f_ffff_ffff), Err(Malformed::ValuePart { what: "label", value: 0xf_ffff_ffff }));
        assert!(decode_dynamic(&[6, 8, 8]).is_err());
        assert!(decode_dynamic(&[5, 8, 8, 1]).is_err());
    }
}
