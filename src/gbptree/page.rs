//! Fields of a page by their offset, checked.

/// First byte of a page.
pub(super) mod page_type {
    pub const TREE_NODE: u8 = 1;
    /// Set on a free-list page when it is full, and on the first one of a file from the start.
    pub const FREE_LIST: u8 = 2;
    pub const OFFLOAD: u8 = 3;
}

/// Page ids below this are the meta page and the two state pages. Specification: gbptree 1.
pub(super) const FIRST_USABLE: u64 = 3;

/// A field lies outside of its page.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{size} bytes at offset {offset} lie outside of the page of {page} bytes")]
pub struct OutsidePage {
    /// Where the field would start.
    pub offset: usize,
    /// Its size in bytes.
    pub size: usize,
    /// Bytes of the page.
    pub page: usize,
}

/// `size` bytes at `offset`.
pub(super) fn slice(page: &[u8], offset: usize, size: usize) -> Result<&[u8], OutsidePage> {
    page.get(offset..offset.saturating_add(size)).ok_or(OutsidePage { offset, size, page: page.len() })
}

/// `size` bytes at `offset`, to change.
pub(super) fn slice_mut(page: &mut [u8], offset: usize, size: usize) -> Result<&mut [u8], OutsidePage> {
    let length = page.len();
    page.get_mut(offset..offset.saturating_add(size)).ok_or(OutsidePage { offset, size, page: length })
}

/// `N` bytes at `offset`.
pub(super) fn array<const N: usize>(page: &[u8], offset: usize) -> Result<&[u8; N], OutsidePage> {
    page.get(offset..).and_then(<[u8]>::first_chunk).ok_or(OutsidePage { offset, size: N, page: page.len() })
}

/// `N` bytes at `offset`, to change.
pub(super) fn array_mut<const N: usize>(page: &mut [u8], offset: usize) -> Result<&mut [u8; N], OutsidePage> {
    let length = page.len();
    page.get_mut(offset..).and_then(<[u8]>::first_chunk_mut).ok_or(OutsidePage {
        offset,
        size: N,
        page: length,
    })
}

/// Writes `bytes` at `offset`.
pub(super) fn put(page: &mut [u8], offset: usize, bytes: &[u8]) -> Result<(), OutsidePage> {
    slice_mut(page, offset, bytes.len())?.copy_from_slice(bytes);
    Ok(())
}

/// Moves `size` bytes from `from` to `to`; the two may overlap.
pub(super) fn shift(page: &mut [u8], from: usize, to: usize, size: usize) -> Result<(), OutsidePage> {
    slice(page, from, size)?;
    slice(page, to, size)?;
    page.copy_within(from..from + size, to);
    Ok(())
}

/// A big-endian `u16`.
pub(super) fn u16_at(page: &[u8], offset: usize) -> Result<u16, OutsidePage> {
    array(page, offset).map(|bytes| u16::from_be_bytes(*bytes))
}

/// A big-endian `u32`.
pub(super) fn u32_at(page: &[u8], offset: usize) -> Result<u32, OutsidePage> {
    array(page, offset).map(|bytes| u32::from_be_bytes(*bytes))
}

/// A big-endian `i32`.
pub(super) fn i32_at(page: &[u8], offset: usize) -> Result<i32, OutsidePage> {
    array(page, offset).map(|bytes| i32::from_be_bytes(*bytes))
}

/// A big-endian `i64`.
pub(super) fn i64_at(page: &[u8], offset: usize) -> Result<i64, OutsidePage> {
    array(page, offset).map(|bytes| i64::from_be_bytes(*bytes))
}

/// A 48-bit page id: the low 32 bits first, then the high 16, each big-endian. Specification: gbptree 0.
pub(super) fn id48(bytes: [u8; 6]) -> u64 {
    let [low @ .., h0, h1] = bytes;
    u64::from(u32::from_be_bytes(low)) | u64::from(u16::from_be_bytes([h0, h1])) << 32
}

/// The reverse of [`id48`]; bits above the 48th are lost.
pub(super) fn id48_bytes(id: u64) -> [u8; 6] {
    let [_, _, h0, h1, l0, l1, l2, l3] = id.to_be_bytes();
    [l0, l1, l2, l3, h0, h1]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_of_48_bits_has_its_low_part_first() {
        let bytes = [0x34, 0x56, 0x78, 0x9a, 0x00, 0x12];
        assert_eq!(id48(bytes), 0x12_3456_789a);
        assert_eq!(id48_bytes(0x12_3456_789a), bytes);
    }

    #[test]
    fn a_field_outside_of_the_page_is_an_error() {
        let mut page = [0; 16];
        let outside = OutsidePage { offset: 13, size: 4, page: 16 };
        assert_eq!(u32_at(&page, 13), Err(outside));
        assert_eq!(put(&mut page, 13, &[1; 4]), Err(outside));
        assert_eq!(shift(&mut page, 0, 13, 4), Err(outside));
        assert_eq!(slice(&page, usize::MAX, 2).map_err(|e| e.offset), Err(usize::MAX));
        assert_eq!(u32_at(&page, 12), Ok(0));
    }
}
