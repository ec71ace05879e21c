//! Nodes of a tree whose entries tell their own size.

use super::node::{BODY, Content, Entry, Kind, NodeError, NodeHeader};
use super::page::{self, OutsidePage};
use super::pointer::Pointer;

const ALLOC_OFFSET: usize = BODY;
const DEAD_SPACE: usize = BODY + 2;
/// Where offsets of entries start, and in an internal node the first child.
const SLOTS: usize = BODY + 4;
/// Largest page whose entries may be on offload pages; all pages up to it have offsets of two bytes.
pub(super) const MAX_PAGE: usize = 8192;

/// Nodes with entries of dynamic size.
///
/// | Offset       | Size | Field                                                        |
/// |-------------:|-----:|--------------------------------------------------------------|
/// |           82 |    2 | alloc offset: where the lowest entry starts; page size if none |
/// |           84 |    2 | dead space: bytes of removed entries                         |
/// |   86 + 2 * i |    2 | leaf: offset of entry i                                      |
/// |  86 + 26 * i |   24 | internal: child i                                            |
/// | 110 + 26 * i |    2 | internal: offset of key i                                    |
///
/// Entries are written from the end of the page downwards. The offsets give their order.
/// Specification: gbptree 4.2.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Dynamic {
    page_size: usize,
}

/// What stands before an entry: the sizes of key and value.
///
/// | Byte         | Bits                                                                            |
/// |-------------:|---------------------------------------------------------------------------------|
/// |            0 | 0x80 removed, 0x40 a second key byte follows, 0x20 a value size follows, low 5 bits of the key size |
/// | 1, if 0x40   | 0x80 on an offload page: its id follows in 8 bytes instead of key and value; key size bits 5-11 |
/// | next, if 0x20 | 0x80 a second byte follows; low 7 bits of the value size                       |
/// | next, if 0x80 | value size bits 7-14                                                           |
///
/// Specification: gbptree 4.2.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Prefix {
    removed: bool,
    offloaded: bool,
    /// Bytes of the prefix itself.
    size: usize,
    key: usize,
    value: usize,
}

const REMOVED: u8 = 0x80;
const LONG_KEY: u8 = 0x40;
const HAS_VALUE: u8 = 0x20;
const OFFLOADED: u8 = 0x80;
const LONG_VALUE: u8 = 0x80;
/// Bytes of the page id in place of an entry.
const OFFLOAD_ID: usize = 8;

impl Prefix {
    #[inline]
    fn decode(page: &[u8], offset: usize) -> Result<Self, OutsidePage> {
        let [first] = *page::array(page, offset)?;
        let mut prefix = Self {
            removed: first & REMOVED != 0,
            offloaded: false,
            size: 1,
            key: usize::from(first & 0x1f),
            value: 0,
        };
        if first & LONG_KEY != 0 {
            let [second] = *page::array(page, offset + prefix.size)?;
            prefix.size += 1;
            if second & OFFLOADED != 0 {
                return Ok(Self { offloaded: true, key: OFFLOAD_ID, ..prefix });
            }
            prefix.key |= usize::from(second & 0x7f) << 5;
        }
        if first & HAS_VALUE != 0 {
            let [low] = *page::array(page, offset + prefix.size)?;
            prefix.size += 1;
            prefix.value = usize::from(low & 0x7f);
            if low & LONG_VALUE != 0 {
                let [high] = *page::array(page, offset + prefix.size)?;
                prefix.size += 1;
                prefix.value |= usize::from(high) << 7;
            }
        }
        Ok(prefix)
    }

    /// Appends the prefix of an entry in the node; sizes beyond 12 and 15 bits never get here.
    #[expect(clippy::cast_possible_truncation, reason = "each byte takes its bits of the size")]
    fn encode(key: usize, value: usize, out: &mut Vec<u8>) {
        let long_key = if key > 0x1f { LONG_KEY } else { 0 };
        let has_value = if value > 0 { HAS_VALUE } else { 0 };
        out.push(long_key | has_value | (key & 0x1f) as u8);
        if key > 0x1f {
            out.push((key >> 5) as u8 & 0x7f);
        }
        if value > 0x7f {
            out.extend([LONG_VALUE | (value & 0x7f) as u8, (value >> 7) as u8]);
        } else if value > 0 {
            out.push(value as u8);
        }
    }

    /// Bytes from the prefix to the end of the entry.
    fn total(&self) -> usize {
        self.size + self.key + self.value
    }
}

impl Dynamic {
    pub(super) fn new(page_size: usize) -> Self {
        Self { page_size }
    }

    /// An entry takes at least three bytes. Specification: gbptree 4.2, "sane key count".
    pub(super) fn max_keys(self) -> usize {
        (self.page_size - SLOTS) / 3
    }

    /// Longest key and value in a node, in bytes.
    pub(super) fn max_inline(self) -> usize {
        (self.page_size - SLOTS) / 2 - 6
    }

    /// Longest key and value at all, in bytes.
    pub(super) fn max_offloaded(self) -> usize {
        super::offload::capacity(self.page_size)
    }

    pub(super) fn child_offset(position: usize) -> usize {
        SLOTS + position * (Pointer::SIZE + 2)
    }

    /// Bytes of the offset array per key.
    fn slot_size(kind: Kind) -> usize {
        match kind {
            Kind::Leaf => 2,
            Kind::Internal => 2 + Pointer::SIZE,
        }
    }

    fn slot_offset(kind: Kind, position: usize) -> usize {
        let start = match kind {
            Kind::Leaf => SLOTS,
            Kind::Internal => SLOTS + Pointer::SIZE,
        };
        start + position * Self::slot_size(kind)
    }

    /// Where an entry starts, and its sizes.
    #[inline]
    fn locate(self, page: &[u8], kind: Kind, position: usize) -> Result<(usize, Prefix), NodeError> {
        let offset = usize::from(page::u16_at(page, Self::slot_offset(kind, position))?);
        if offset < SLOTS {
            return Err(NodeError::Entry { position, offset });
        }
        let prefix = Prefix::decode(page, offset)?;
        if offset + prefix.total() > self.page_size {
            return Err(NodeError::Entry { position, offset });
        }
        Ok((offset, prefix))
    }

    #[inline]
    pub(super) fn entry(self, page: &[u8], kind: Kind, position: usize) -> Result<Entry<'_>, NodeError> {
        let (offset, prefix) = self.locate(page, kind, position)?;
        let start = offset + prefix.size;
        if prefix.offloaded {
            return Ok(Entry::Offloaded(u64::from_be_bytes(*page::array(page, start)?)));
        }
        let key = page::slice(page, start, prefix.key)?;
        Ok(Entry::Inline { key, value: page::slice(page, start + prefix.key, prefix.value)? })
    }

    pub(super) fn append_raw(
        self,
        page: &[u8],
        kind: Kind,
        position: usize,
        out: &mut Vec<u8>,
    ) -> Result<(), NodeError> {
        let (offset, prefix) = self.locate(page, kind, position)?;
        out.extend_from_slice(page::slice(page, offset, prefix.total())?);
        Ok(())
    }

    pub(super) fn encode_raw(entry: Entry<'_>, out: &mut Vec<u8>) {
        match entry {
            Entry::Inline { key, value } => {
                Prefix::encode(key.len(), value.len(), out);
                out.extend_from_slice(key);
                out.extend_from_slice(value);
            }
            Entry::Offloaded(page) => {
                out.extend([LONG_KEY, OFFLOADED]);
                out.extend(page.to_be_bytes());
            }
        }
    }

    pub(super) fn raw_size(self, key: usize) -> usize {
        match key {
            0..=0x1f => 1 + key,
            _ if key <= self.max_inline() => 2 + key,
            _ => 2 + OFFLOAD_ID,
        }
    }

    pub(super) fn cost(kind: Kind, raw: usize) -> usize {
        Self::slot_size(kind) + raw
    }

    pub(super) fn capacity(self, kind: Kind) -> usize {
        self.page_size - Self::slot_offset(kind, 0)
    }

    /// Where the lowest entry starts and how many bytes are dead, checked against the number of keys.
    fn space(self, page: &[u8], header: NodeHeader) -> Result<(usize, usize), NodeError> {
        let alloc_offset = usize::from(page::u16_at(page, ALLOC_OFFSET)?);
        let dead = usize::from(page::u16_at(page, DEAD_SPACE)?);
        let slots_end = Self::slot_offset(header.kind, header.count);
        if alloc_offset < slots_end || alloc_offset + dead > self.page_size {
            return Err(NodeError::Space { alloc_offset, dead });
        }
        Ok((alloc_offset, dead))
    }

    pub(super) fn used(self, page: &[u8], header: NodeHeader) -> Result<usize, NodeError> {
        let (alloc_offset, dead) = self.space(page, header)?;
        Ok(self.page_size - alloc_offset - dead + header.count * Self::slot_size(header.kind))
    }

    /// Inserts an entry, and behind its offset the child if there is one.
    pub(super) fn insert(
        self,
        page: &mut [u8],
        header: NodeHeader,
        position: usize,
        raw: &[u8],
        child: &[u8],
    ) -> Result<bool, NodeError> {
        let (mut alloc_offset, dead) = self.space(page, header)?;
        let slots_end = Self::slot_offset(header.kind, header.count);
        let needed = Self::cost(header.kind, raw.len());
        if needed > alloc_offset - slots_end {
            if needed > alloc_offset - slots_end + dead {
                return Ok(false);
            }
            alloc_offset = self.defragment(page, header)?;
            if needed > alloc_offset - slots_end {
                return Err(NodeError::Space { alloc_offset, dead });
            }
        }
        alloc_offset -= raw.len();
        page::put(page, alloc_offset, raw)?;
        let slot = Self::slot_offset(header.kind, position);
        page::shift(page, slot, slot + Self::slot_size(header.kind), slots_end - slot)?;
        put_u16(page, slot, alloc_offset)?;
        page::put(page, slot + 2, child)?;
        put_u16(page, ALLOC_OFFSET, alloc_offset)?;
        Ok(true)
    }

    /// Removes an entry and, in an internal node, one of the children beside it.
    pub(super) fn remove(
        self,
        page: &mut [u8],
        header: NodeHeader,
        position: usize,
        child: usize,
    ) -> Result<(), NodeError> {
        let (offset, prefix) = self.locate(page, header.kind, position)?;
        let (alloc_offset, dead) = self.space(page, header)?;
        if prefix.removed || offset < alloc_offset {
            return Err(NodeError::Entry { position, offset });
        }
        let [first] = page::array_mut(page, offset)?;
        *first |= REMOVED;
        put_u16(page, DEAD_SPACE, dead + prefix.total())?;
        let (size, end) = (Self::slot_size(header.kind), Self::slot_offset(header.kind, header.count));
        // Child and offset alternate, so one of them and the next make the gap whichever child goes.
        let gap = if header.kind == Kind::Internal && child == position {
            Self::child_offset(position)
        } else {
            Self::slot_offset(header.kind, position)
        };
        Ok(page::shift(page, gap + size, gap, end - gap - size)?)
    }

    pub(super) fn overwrite(
        self,
        page: &mut [u8],
        header: NodeHeader,
        position: usize,
        value: &[u8],
    ) -> Result<bool, NodeError> {
        let (offset, prefix) = self.locate(page, header.kind, position)?;
        if prefix.offloaded || prefix.value != value.len() {
            return Ok(false);
        }
        page::put(page, offset + prefix.size + prefix.key, value)?;
        Ok(true)
    }

    /// Moves live entries to the end of the page and returns where they start.
    fn defragment(self, page: &mut [u8], header: NodeHeader) -> Result<usize, NodeError> {
        let mut copy = [0; MAX_PAGE];
        let copy = page::slice_mut(&mut copy, 0, self.page_size)?;
        copy.copy_from_slice(page::slice(page, 0, self.page_size)?);
        let slots_end = Self::slot_offset(header.kind, header.count);
        let mut alloc_offset = self.page_size;
        for position in 0..header.count {
            let (offset, prefix) = self.locate(copy, header.kind, position)?;
            let raw = page::slice(copy, offset, prefix.total())?;
            alloc_offset = alloc_offset
                .checked_sub(raw.len())
                .filter(|&start| start >= slots_end)
                .ok_or(NodeError::Entry { position, offset })?;
            page::put(page, alloc_offset, raw)?;
            put_u16(page, Self::slot_offset(header.kind, position), alloc_offset)?;
        }
        page::slice_mut(page, slots_end, alloc_offset - slots_end)?.fill(0);
        put_u16(page, ALLOC_OFFSET, alloc_offset)?;
        put_u16(page, DEAD_SPACE, 0)?;
        Ok(alloc_offset)
    }

    pub(super) fn pack(self, page: &mut [u8], kind: Kind, content: Content<'_>) -> Result<(), NodeError> {
        page::slice_mut(page, BODY, self.page_size - BODY)?.fill(0);
        let slots_end = Self::slot_offset(kind, content.entries.len());
        let mut alloc_offset = self.page_size;
        for (position, raw) in content.entries.iter().enumerate() {
            alloc_offset = alloc_offset
                .checked_sub(raw.len())
                .filter(|&start| start >= slots_end)
                .ok_or(NodeError::Split)?;
            page::put(page, alloc_offset, raw)?;
            put_u16(page, Self::slot_offset(kind, position), alloc_offset)?;
        }
        Ok(put_u16(page, ALLOC_OFFSET, alloc_offset)?)
    }

    /// What the structure check finds wrong with the sums of a node, in Neo4j's words. `count`: as it is stored, whether or not
    /// so many keys fit. Specification: gbptree 6.2.
    pub(super) fn contradictions(
        self,
        page: &[u8],
        kind: Kind,
        count: i32,
    ) -> Result<Vec<String>, NodeError> {
        // Neo4j computes with 32 bits, which a count that makes no sense makes overflow.
        let number = |size: usize| i32::try_from(size).unwrap_or(i32::MAX);
        let slots_end = number(Self::slot_size(kind))
            .wrapping_mul(count)
            .wrapping_add(number(Self::slot_offset(kind, 0)));
        let alloc_offset = usize::from(page::u16_at(page, ALLOC_OFFSET)?);
        let dead = i32::from(page::u16_at(page, DEAD_SPACE)?);
        // Entries of a count that makes no sense are not looked at.
        let entries =
            usize::try_from(count).ok().filter(|&count| count <= self.max_keys()).unwrap_or_default();
        let lowest = (0..entries)
            .filter_map(|position| self.locate(page, kind, position).ok())
            .fold(self.page_size, |lowest, (offset, _)| lowest.min(offset));
        let misplaced = alloc_offset < self.page_size && page.get(alloc_offset) == Some(&0);
        // Live and removed entries lie side by side up to the end of the page.
        let (mut live, mut at) = (slots_end.wrapping_sub(number(SLOTS)), alloc_offset);
        while !misplaced && at < self.page_size {
            let Ok(prefix) = Prefix::decode(page, at) else { break };
            if !prefix.removed {
                live = live.wrapping_add(number(prefix.total()));
            }
            at += prefix.total();
        }
        let alloc = number(alloc_offset).wrapping_sub(slots_end);
        let total = number(self.page_size - SLOTS);
        let mut found = Vec::new();
        if number(alloc_offset) < slots_end {
            found.push(format!(
                "Overlap between offsetArray and allocSpace, offsetArray={slots_end}, allocOffset={alloc_offset}"
            ));
        }
        if live.wrapping_add(dead).wrapping_add(alloc) != total {
            found.push(format!(
                "Space areas did not sum to total space; activeSpace={live}, deadSpace={dead}, \
                 allocSpace={alloc}, totalSpace={total}"
            ));
        }
        if alloc_offset > lowest {
            found.push(format!(
                "Overlap between allocSpace and active keys, allocOffset={alloc_offset}, \
                 lowestActiveKeyOffset={lowest}"
            ));
        }
        if misplaced {
            found.push(format!(
                "Pointer to allocSpace is misplaced, it should point to start of key, allocOffset={alloc_offset}"
            ));
        }
        Ok(found)
    }
}

/// Offsets and sizes within a page fit two bytes.
fn put_u16(page: &mut [u8], offset: usize, value: usize) -> Result<(), OutsidePage> {
    page::put(page, offset, &u16::try_from(value).unwrap_or(u16::MAX).to_be_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_size_survives_its_prefix() {
        for (key, value) in
            [(0, 0), (1, 0), (31, 0), (32, 0), (31, 1), (32, 127), (40, 128), (4047, 0), (5, 4000)]
        {
            let mut raw = Vec::new();
            let (key_bytes, value_bytes) = (vec![7; key], vec![9; value]);
            Dynamic::encode_raw(Entry::Inline { key: &key_bytes, value: &value_bytes }, &mut raw);
            let overhead = 1 + usize::from(key > 31) + usize::from(value > 0) + usize::from(value > 127);
            assert_eq!(raw.len(), overhead + key + value);
            let prefix = Prefix::decode(&raw, 0).unwrap();
            assert_eq!(prefix, Prefix { removed: false, offloaded: false, size: overhead, key, value });
            for cut in 0..overhead {
                assert!(Prefix::decode(&raw[..cut], 0).is_err());
            }
        }
        let mut raw = Vec::new();
        Dynamic::encode_raw(Entry::Offloaded(0x1234), &mut raw);
        assert_eq!(raw, [0x40, 0x80, 0, 0, 0, 0, 0, 0, 0x12, 0x34]);
        assert_eq!(Prefix::decode(&raw, 0).unwrap().total(), 10);
    }

    /// A leaf that Neo4j wrote: the worked example of the specification, gbptree 4.2.
    #[test]
    fn the_worked_leaf_is_read() {
        let mut page = vec![0; 8192];
        page[0x52..0x5c].copy_from_slice(&[0x1f, 0xd1, 0, 0, 0x1f, 0xe0, 0x1f, 0xf1, 0x1f, 0xd1]);
        page[0x1fd1..0x1fe0].copy_from_slice(b"\x0e\0\0\0\0\0\0\0\x66\x07\0\x03eve");
        page[0x1fe0..0x1ff1].copy_from_slice(b"\x10\0\0\0\0\0\0\0\x65\x07\0\x05alice");
        page[0x1ff1..].copy_from_slice(b"\x0e\0\0\0\0\0\0\0\x64\x07\0\x03bob");
        let leaf = Dynamic::new(8192);
        let keys: Vec<&[u8]> = (0..3)
            .map(|position| match leaf.entry(&page, Kind::Leaf, position).unwrap() {
                Entry::Inline { key, value: [] } => &key[8..],
                other => panic!("{other:?}"),
            })
            .collect();
        assert_eq!(keys, [b"\x07\0\x05alice", &b"\x07\0\x03bob"[..], b"\x07\0\x03eve"]);
        let header = NodeHeader { kind: Kind::Leaf, generation: 2, count: 3 };
        assert_eq!(leaf.contradictions(&page, Kind::Leaf, 3).unwrap(), Vec::<String>::new());
        assert_eq!(leaf.used(&page, header).unwrap(), 6 + 8192 - 8145);
        page[0x53] = 0xe0;
        let found = leaf.contradictions(&page, Kind::Leaf, 3).unwrap();
        let [overlap] = found.as_slice() else { panic!("{found:?}") };
        assert!(
            overlap.starts_with("Overlap between allocSpace and active keys, allocOffset=8160"),
            "{overlap}"
        );
    }

    #[test]
    fn a_removed_entry_gives_its_space_back() {
        let leaf = Dynamic::new(256);
        let mut page = vec![0; 256];
        put_u16(&mut page, ALLOC_OFFSET, 256).unwrap();
        let mut header = NodeHeader { kind: Kind::Leaf, generation: 2, count: 0 };
        let raw = |byte: u8| {
            let mut raw = Vec::new();
            Dynamic::encode_raw(Entry::Inline { key: &[byte; 29], value: &[] }, &mut raw);
            raw
        };
        for byte in 0..5 {
            assert!(leaf.insert(&mut page, header, header.count, &raw(byte), &[]).unwrap());
            header.count += 1;
        }
        assert!(!leaf.insert(&mut page, header, 0, &raw(9), &[]).unwrap());
        leaf.remove(&mut page, header, 2, 2).unwrap();
        header.count -= 1;
        assert!(leaf.insert(&mut page, header, 0, &raw(9), &[]).unwrap());
        header.count += 1;
        let first = |position| match leaf.entry(&page, Kind::Leaf, position).unwrap() {
            Entry::Inline { key, .. } => key[0],
            Entry::Offloaded(_) => panic!(),
        };
        assert_eq!([0, 1, 2, 3, 4].map(first), [9, 0, 1, 3, 4]);
        assert_eq!(
            leaf.contradictions(&page, Kind::Leaf, i32::try_from(header.count).unwrap()).unwrap(),
            Vec::<String>::new()
        );
    }
}
