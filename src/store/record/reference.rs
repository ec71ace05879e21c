//! References of the `standard` and `aligned` formats: 32 low bits in a field of their own, a few high bits elsewhere.
//!
//! All ones below and zero above is "none", so that one id, 4294967295, can't be referred to; Neo4j never assigns it.
//! Specification: store format 4.

use crate::store::error::Malformed;
use crate::store::id::RecordId;

/// The id that no record ever has.
pub(super) const RESERVED: u64 = 0xffff_ffff;

/// The reference of a low part and its high bits.
pub(super) fn join<I: RecordId>(low: u32, high: u64) -> Option<I> {
    if low == u32::MAX && high == 0 {
        return None;
    }
    I::from_slot(u64::from(low) | high << 32)
}

/// The low part and up to eight high bits of a reference. `bits`: width of both together.
pub(super) fn split<I: RecordId>(
    field: &'static str,
    reference: Option<I>,
    bits: u32,
) -> Result<(u32, u8), Malformed> {
    let (low, high) = split_wide(field, reference, bits)?;
    Ok((low, high as u8))
}

/// The low part and up to sixteen high bits of a reference. `bits`: width of both together.
pub(super) fn split_wide<I: RecordId>(
    field: &'static str,
    reference: Option<I>,
    bits: u32,
) -> Result<(u32, u16), Malformed> {
    let Some(id) = reference.map(I::slot) else { return Ok((u32::MAX, 0)) };
    if id >> bits != 0 || id == RESERVED {
        return Err(Malformed::DoesNotFit { field, value: id, bits });
    }
    Ok((low(id), (id >> 32) as u16))
}

/// The low 32 bits.
pub(super) fn low(id: u64) -> u32 {
    let [.., a, b, c, d] = id.to_be_bytes();
    u32::from_be_bytes([a, b, c, d])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::id::NodeId;

    #[test]
    fn none_is_all_ones_below_and_zero_above() {
        assert_eq!(join::<NodeId>(u32::MAX, 0), None);
        assert_eq!(join(u32::MAX, 1), Some(NodeId(0x1_ffff_ffff)));
        assert_eq!(split::<NodeId>("node", None, 35), Ok((u32::MAX, 0)));
        assert_eq!(split("node", Some(NodeId(0x7_0000_0001)), 35), Ok((1, 7)));
    }

    #[test]
    fn what_does_not_fit_is_refused_not_cut() {
        for id in [1 << 35, RESERVED, u64::MAX] {
            let refused = Malformed::DoesNotFit { field: "node", value: id, bits: 35 };
            assert_eq!(split("node", Some(NodeId(id)), 35), Err(refused));
        }
    }
}
