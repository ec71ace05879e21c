//! Nodes of a tree whose keys have one size, and whose values have one.

use super::node::{BODY, Content, Entry, Kind, NodeError, NodeHeader};
use super::page::{self, OutsidePage};
use super::pointer::Pointer;

/// Nodes with entries of fixed size: keys `k` bytes, values `v` bytes, in pages of `P` bytes.
///
/// | Offset             | Size | Field                                                   |
/// |-------------------:|-----:|---------------------------------------------------------|
/// | 82 + i * k         | k    | key i                                                   |
/// | 82 + LM * k + i * v | v   | leaf: value i; LM = (P - 82) / (k + v) keys fit a leaf  |
/// | 82 + IM * k + i * 24 | 24 | internal: child i; IM = (P - 106) / (k + 24) keys fit   |
///
/// Bytes of unused places are whatever was there before. Specification: gbptree 4.1.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fixed {
    key: usize,
    value: usize,
    leaf_max: usize,
    internal_max: usize,
}

impl Fixed {
    pub(super) fn new(page_size: usize, key: usize, value: usize) -> Option<Self> {
        let leaf_max = page_size.checked_sub(BODY)?.checked_div(key.checked_add(value)?)?;
        let internal_max =
            page_size.checked_sub(BODY + Pointer::SIZE)?.checked_div(key.checked_add(Pointer::SIZE)?)?;
        (leaf_max >= 2 && internal_max >= 2).then_some(Self { key, value, leaf_max, internal_max })
    }

    pub(super) fn max_keys(&self, kind: Kind) -> usize {
        match kind {
            Kind::Leaf => self.leaf_max,
            Kind::Internal => self.internal_max,
        }
    }

    pub(super) fn accepts(&self, key: usize, value: usize) -> bool {
        key == self.key && value == self.value
    }

    fn key_offset(&self, position: usize) -> usize {
        BODY + position * self.key
    }

    fn value_offset(&self, position: usize) -> usize {
        BODY + self.leaf_max * self.key + position * self.value
    }

    pub(super) fn child_offset(&self, position: usize) -> usize {
        BODY + self.internal_max * self.key + position * Pointer::SIZE
    }

    #[inline]
    pub(super) fn entry<'p>(
        &self,
        page: &'p [u8],
        kind: Kind,
        position: usize,
    ) -> Result<Entry<'p>, OutsidePage> {
        let value: &[u8] = match kind {
            Kind::Leaf => page::slice(page, self.value_offset(position), self.value)?,
            Kind::Internal => &[],
        };
        Ok(Entry::Inline { key: page::slice(page, self.key_offset(position), self.key)?, value })
    }

    /// The keys of a node, one behind the other, and the size of one.
    #[inline]
    pub(super) fn keys<'p>(&self, page: &'p [u8], count: usize) -> Result<(&'p [u8], usize), OutsidePage> {
        Ok((page::slice(page, BODY, count * self.key)?, self.key))
    }

    pub(super) fn append_raw(
        &self,
        page: &[u8],
        kind: Kind,
        position: usize,
        out: &mut Vec<u8>,
    ) -> Result<(), OutsidePage> {
        out.extend_from_slice(page::slice(page, self.key_offset(position), self.key)?);
        if kind == Kind::Leaf {
            out.extend_from_slice(page::slice(page, self.value_offset(position), self.value)?);
        }
        Ok(())
    }

    pub(super) fn insert(
        &self,
        page: &mut [u8],
        header: NodeHeader,
        position: usize,
        raw: &[u8],
    ) -> Result<bool, OutsidePage> {
        if header.count >= self.leaf_max {
            return Ok(false);
        }
        let (key, value) = raw.split_at_checked(self.key).unwrap_or_default();
        let behind = header.count - position;
        open_gap(page, self.key_offset(position), self.key, behind, key)?;
        open_gap(page, self.value_offset(position), self.value, behind, value)?;
        Ok(true)
    }

    pub(super) fn insert_child(
        &self,
        page: &mut [u8],
        header: NodeHeader,
        position: usize,
        key: &[u8],
        child: &Pointer,
    ) -> Result<bool, OutsidePage> {
        if header.count >= self.internal_max {
            return Ok(false);
        }
        let behind = header.count - position;
        open_gap(page, self.key_offset(position), self.key, behind, key)?;
        open_gap(page, self.child_offset(position + 1), Pointer::SIZE, behind, &child.encode())?;
        Ok(true)
    }

    pub(super) fn remove(
        &self,
        page: &mut [u8],
        header: NodeHeader,
        position: usize,
    ) -> Result<(), OutsidePage> {
        let behind = header.count - position - 1;
        close_gap(page, self.key_offset(position), self.key, behind)?;
        close_gap(page, self.value_offset(position), self.value, behind)
    }

    pub(super) fn remove_child(
        &self,
        page: &mut [u8],
        header: NodeHeader,
        position: usize,
        child: usize,
    ) -> Result<(), OutsidePage> {
        close_gap(page, self.key_offset(position), self.key, header.count - position - 1)?;
        close_gap(page, self.child_offset(child), Pointer::SIZE, header.count - child)
    }

    pub(super) fn overwrite(
        &self,
        page: &mut [u8],
        position: usize,
        value: &[u8],
    ) -> Result<bool, OutsidePage> {
        page::put(page, self.value_offset(position), value)?;
        Ok(true)
    }

    pub(super) fn pack(&self, page: &mut [u8], kind: Kind, content: Content<'_>) -> Result<(), NodeError> {
        if content.entries.len() > self.max_keys(kind) {
            return Err(NodeError::Split);
        }
        for (position, raw) in content.entries.iter().enumerate() {
            let (key, value) = raw.split_at_checked(self.key).unwrap_or_default();
            page::put(page, self.key_offset(position), key)?;
            if kind == Kind::Leaf {
                page::put(page, self.value_offset(position), value)?;
            }
        }
        Ok(())
    }
}

/// Moves `behind` fields of `size` bytes at `offset` one place up and writes `field` before them.
fn open_gap(
    page: &mut [u8],
    offset: usize,
    size: usize,
    behind: usize,
    field: &[u8],
) -> Result<(), OutsidePage> {
    page::shift(page, offset, offset + size, behind * size)?;
    page::put(page, offset, field)
}

/// Moves `behind` fields of `size` bytes one place down, over the one at `offset`.
fn close_gap(page: &mut [u8], offset: usize, size: usize, behind: usize) -> Result<(), OutsidePage> {
    page::shift(page, offset + size, offset, behind * size)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_those_of_the_specification() {
        // key, value, leaf keys, internal keys, first value, first child
        let table = [
            (8, 56, 126, 252, 1090, 2098),
            (13, 8, 386, 218, 5100, 2916),
            (10, 8, 450, 237, 4582, 2452),
            (64, 256, 25, 91, 1682, 5906),
        ];
        for (key, value, leaf, internal, values, children) in table {
            let fixed = Fixed::new(8192, key, value).unwrap();
            assert_eq!(fixed.max_keys(Kind::Leaf), leaf);
            assert_eq!(fixed.max_keys(Kind::Internal), internal);
            assert_eq!(fixed.value_offset(0), values);
            assert_eq!(fixed.child_offset(0), children);
        }
        assert_eq!(Fixed::new(8192, 4096, 0), None);
        assert_eq!(Fixed::new(64, 8, 8), None);
        assert_eq!(Fixed::new(8192, 0, 0), None);
    }
}
