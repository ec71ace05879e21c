//! Records as they lie in a store, in use or not, with -1 for "none" as Neo4j prints them.
//!
//! What the checker says of a record that is not in use are the bytes that are still there. A record on a page behind
//! the end of its file reads as *cleared*: all references are -1. Specification: consistency check 5.9.

use std::marker::PhantomData;

use crate::store::error::{Malformed, StoreError};
use crate::store::format::Family;
use crate::store::id::RecordId;
use crate::store::record::{
    HighLimit, Layout, Node, NodeChain, Previous, Property, Relationship, RelationshipGroup, Slot,
    SlotReader, Slots,
};

/// No record.
pub(super) const NONE: i64 = -1;

/// A kind of record.
pub(super) trait Raw: Sized {
    /// From the bytes of a slot of the formats `standard` and `aligned`. Bytes that are missing are zero.
    fn standard(id: i64, slot: &[u8]) -> Self;
    /// From the bytes of a slot of `high_limit`, and of the slot that goes on with it.
    fn high_limit(id: i64, slot: &[u8], second: &[u8]) -> Result<Self, Malformed>;
    /// The slot that goes on with one of `high_limit`.
    fn second_unit(slot: &[u8]) -> Option<u64>;
    /// What a record reads as that has no page.
    fn cleared(id: i64) -> Self;
}

/// The bytes of a slot, read from left to right; zeros behind the end.
#[derive(Clone, Copy)]
struct Bytes<'a>(&'a [u8]);

impl Bytes<'_> {
    #[inline]
    fn array<const N: usize>(self, offset: usize) -> [u8; N] {
        self.0.get(offset..).and_then(|rest| rest.first_chunk()).copied().unwrap_or([0; N])
    }

    #[inline]
    fn u8(self, offset: usize) -> u8 {
        let [byte] = self.array(offset);
        byte
    }

    #[inline]
    fn u16(self, offset: usize) -> u16 {
        u16::from_be_bytes(self.array(offset))
    }

    #[inline]
    fn u32(self, offset: usize) -> u32 {
        u32::from_be_bytes(self.array(offset))
    }

    #[inline]
    fn u64(self, offset: usize) -> u64 {
        u64::from_be_bytes(self.array(offset))
    }

    /// A reference of 32 low bits at `offset` and the high bits `high`.
    #[inline]
    fn reference(self, offset: usize, high: u32) -> i64 {
        let low = self.u32(offset);
        if low == u32::MAX && high == 0 { NONE } else { i64::from(low) | i64::from(high) << 32 }
    }
}

fn number<I: RecordId>(reference: Option<I>) -> i64 {
    reference.map_or(NONE, |id| id.slot() as i64)
}

/// A slot of `high_limit` as a record of the store; `None`: it is not in use.
fn stored<R: Layout<HighLimit>>(id: i64, slot: &[u8], second: &[u8]) -> Result<Option<R>, Malformed> {
    match R::Slot::of(slot) {
        Some(slot) => R::decode(id as u64, slot, second),
        None => Ok(None),
    }
}

fn stored_second<R: Layout<HighLimit>>(slot: &[u8]) -> Option<u64> {
    R::Slot::of(slot).and_then(|slot| R::second_unit(slot).ok().flatten())
}

/// A node.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct RawNode {
    pub id: i64,
    pub used: bool,
    pub dense: bool,
    /// The first relationship, or the first group of a dense node.
    pub next: i64,
    pub property: i64,
    /// 40 bits.
    pub labels: u64,
}

impl Raw for RawNode {
    #[inline]
    fn standard(id: i64, slot: &[u8]) -> Self {
        let bytes = Bytes(slot);
        let header = u32::from(bytes.u8(0));
        Self {
            id,
            used: header & 1 != 0,
            dense: bytes.u8(14) & 1 != 0,
            next: bytes.reference(1, header >> 1 & 7),
            property: bytes.reference(5, header >> 4),
            labels: u64::from(bytes.u32(9)) | u64::from(bytes.u8(13)) << 32,
        }
    }

    fn high_limit(id: i64, slot: &[u8], second: &[u8]) -> Result<Self, Malformed> {
        let Some(node) = stored::<Node>(id, slot, second)? else { return Ok(Self::cleared(id)) };
        let (dense, next) = match node.chain {
            NodeChain::Sparse(first) => (false, number(first)),
            NodeChain::Dense(first) => (true, number(first)),
        };
        Ok(Self { id, used: true, dense, next, property: number(node.property), labels: node.labels.0 })
    }

    fn second_unit(slot: &[u8]) -> Option<u64> {
        stored_second::<Node>(slot)
    }

    fn cleared(id: i64) -> Self {
        Self { id, used: false, dense: false, next: NONE, property: NONE, labels: 0 }
    }
}

/// One of the two chains of a relationship.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct RawLink {
    /// Of the node at this end.
    pub node: i64,
    /// The relationship before, or the degree of the node if this is the first.
    pub previous: i64,
    pub next: i64,
    pub first: bool,
}

/// A relationship.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct RawRelationship {
    pub id: i64,
    pub used: bool,
    pub type_id: i64,
    pub source: RawLink,
    pub target: RawLink,
    pub property: i64,
}

impl Raw for RawRelationship {
    #[inline]
    fn standard(id: i64, slot: &[u8]) -> Self {
        let bytes = Bytes(slot);
        let (header, word, extra) = (u32::from(bytes.u8(0)), bytes.u32(9), bytes.u8(33));
        let source = RawLink {
            node: bytes.reference(1, header >> 1 & 7),
            previous: bytes.reference(13, word >> 25 & 7),
            next: bytes.reference(17, word >> 22 & 7),
            first: extra & 1 != 0,
        };
        let target = RawLink {
            node: bytes.reference(5, word >> 28 & 7),
            previous: bytes.reference(21, word >> 19 & 7),
            next: bytes.reference(25, word >> 16 & 7),
            first: extra & 2 != 0,
        };
        Self {
            id,
            used: header & 1 != 0,
            type_id: i64::from(word & 0xffff),
            source,
            target,
            property: bytes.reference(29, header >> 4),
        }
    }

    fn high_limit(id: i64, slot: &[u8], second: &[u8]) -> Result<Self, Malformed> {
        let Some(stored) = stored::<Relationship>(id, slot, second)? else { return Ok(Self::cleared(id)) };
        let link = |node, link: crate::store::record::ChainLink| {
            let (previous, first) = match link.previous {
                Previous::Relationship(previous) => (number(previous), false),
                Previous::Degree(degree) => (degree.map_or(NONE, |degree| degree as i64), true),
            };
            RawLink { node: number(node), previous, next: number(link.next), first }
        };
        Ok(Self {
            id,
            used: true,
            type_id: i64::from(stored.type_id.0),
            source: link(stored.start_node, stored.start_link),
            target: link(stored.end_node, stored.end_link),
            property: number(stored.property),
        })
    }

    fn second_unit(slot: &[u8]) -> Option<u64> {
        stored_second::<Relationship>(slot)
    }

    fn cleared(id: i64) -> Self {
        let link = RawLink { node: NONE, previous: 1, next: NONE, first: true };
        Self { id, used: false, type_id: NONE, source: link, target: link, property: NONE }
    }
}

/// A relationship group.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct RawGroup {
    pub id: i64,
    pub used: bool,
    pub type_id: i64,
    pub next: i64,
    pub outgoing: i64,
    pub incoming: i64,
    pub loops: i64,
    pub owner: i64,
    /// Outgoing, incoming, loops.
    pub external: [bool; 3],
}

impl Raw for RawGroup {
    #[inline]
    fn standard(id: i64, slot: &[u8]) -> Self {
        let bytes = Bytes(slot);
        let (header, high) = (u32::from(bytes.u8(0)), u32::from(bytes.u8(1)));
        Self {
            id,
            used: header & 1 != 0,
            type_id: i64::from(bytes.u16(2)),
            next: bytes.reference(4, header >> 1 & 7),
            outgoing: bytes.reference(8, header >> 4 & 7),
            incoming: bytes.reference(12, high >> 1 & 7),
            loops: bytes.reference(16, high >> 4 & 7),
            owner: i64::from(bytes.u32(20)) | i64::from(bytes.u8(24).cast_signed()) << 32,
            external: [header & 0x80 != 0, high & 0x01 != 0, high & 0x80 != 0],
        }
    }

    fn high_limit(id: i64, slot: &[u8], second: &[u8]) -> Result<Self, Malformed> {
        let Some(group) = stored::<RelationshipGroup>(id, slot, second)? else {
            return Ok(Self::cleared(id));
        };
        let external = group.external_degrees;
        Ok(Self {
            id,
            used: true,
            type_id: i64::from(group.type_id.0),
            next: number(group.next),
            outgoing: number(group.first.outgoing),
            incoming: number(group.first.incoming),
            loops: number(group.first.loops),
            owner: number(group.owner),
            external: [external.outgoing, external.incoming, external.loops],
        })
    }

    fn second_unit(slot: &[u8]) -> Option<u64> {
        stored_second::<RelationshipGroup>(slot)
    }

    fn cleared(id: i64) -> Self {
        Self {
            id,
            used: false,
            type_id: NONE,
            next: NONE,
            outgoing: NONE,
            incoming: NONE,
            loops: NONE,
            owner: NONE,
            external: [false; 3],
        }
    }
}

/// Words of a property record.
pub(super) const WORDS: usize = 4;

/// A property record. Which of its words are properties is told by `blocks`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct RawProperty {
    pub id: i64,
    /// Whether the first word begins a property.
    pub used: bool,
    pub previous: i64,
    pub next: i64,
    pub words: [u64; WORDS],
}

/// Whether a property begins with this word.
#[inline]
pub(super) fn has_type(word: u64) -> bool {
    matches!(word >> 24 & 0x0f, 1..=14)
}

impl Raw for RawProperty {
    #[inline]
    fn standard(id: i64, slot: &[u8]) -> Self {
        let bytes = Bytes(slot);
        let header = u32::from(bytes.u8(0));
        let words = [bytes.u64(9), bytes.u64(17), bytes.u64(25), bytes.u64(33)];
        let [first, ..] = words;
        Self {
            id,
            used: has_type(first),
            previous: bytes.reference(1, header >> 4),
            next: bytes.reference(5, header & 0x0f),
            words,
        }
    }

    fn high_limit(id: i64, slot: &[u8], second: &[u8]) -> Result<Self, Malformed> {
        let Some(property) = stored::<Property>(id, slot, second)? else { return Ok(Self::cleared(id)) };
        let mut words = [0; WORDS];
        words.iter_mut().zip(property.words()).for_each(|(to, from)| *to = *from);
        let (previous, next) = (number(property.previous), number(property.next));
        Ok(Self { id, used: true, previous, next, words })
    }

    fn second_unit(_slot: &[u8]) -> Option<u64> {
        None
    }

    fn cleared(id: i64) -> Self {
        Self { id, used: false, previous: NONE, next: NONE, words: [0; WORDS] }
    }
}

/// The header of a dynamic record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct DynamicHeader {
    pub used: bool,
    /// Whether the length is more than the record has room for; then it counts as not in use.
    pub too_long: bool,
    pub start: bool,
    /// Bytes of data, at most what there is room for.
    pub length: usize,
    pub next: i64,
}

impl DynamicHeader {
    /// Specification: store format 4.6, 5.7.
    #[inline]
    pub fn decode(family: Family, slot: &[u8]) -> Self {
        let bytes = Bytes(slot);
        let (used, start, length, next, header);
        match family {
            Family::Standard | Family::Aligned => {
                let word = bytes.u32(0);
                used = word >> 28 & 1 != 0;
                start = word >> 31 == 0;
                length = i64::from(word & 0x00ff_ffff);
                next = bytes.reference(4, word >> 24 & 0x0f);
                header = 8;
            }
            Family::HighLimit => {
                let flags = bytes.u8(0);
                used = flags & 1 != 0;
                start = flags & 8 != 0;
                length = i64::from(bytes.u16(1).cast_signed()) | i64::from(bytes.u8(3)) << 16;
                next = bytes.u64(4).cast_signed();
                header = 12;
            }
        }
        let room = slot.len().saturating_sub(header);
        match usize::try_from(length) {
            Ok(length) if length <= room => Self { used, too_long: false, start, length, next },
            _ => Self { used: false, too_long: true, start: true, length: 0, next: NONE },
        }
    }

    /// The data of a slot with this header.
    pub fn data<'s>(&self, family: Family, slot: &'s [u8]) -> &'s [u8] {
        let header = crate::store::record::Dynamic::header_size(family);
        slot.get(header..).and_then(|data| data.get(..self.length)).unwrap_or_default()
    }
}

/// A dynamic record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct RawDynamic {
    pub id: i64,
    pub header: DynamicHeader,
    pub data: Vec<u8>,
}

impl RawDynamic {
    pub fn cleared(id: i64) -> Self {
        let header = DynamicHeader { used: false, too_long: false, start: true, length: 0, next: NONE };
        Self { id, header, data: Vec::new() }
    }
}

/// A label, relationship type or property key.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct RawToken {
    pub id: i64,
    pub used: bool,
    pub internal: bool,
    /// The first record of its name.
    pub name: i32,
    /// Of property keys; always 0.
    pub property_count: i32,
}

impl RawToken {
    /// From five bytes, or nine for a property key.
    pub fn decode(id: i64, slot: &[u8]) -> Self {
        let bytes = Bytes(slot);
        let flags = bytes.u8(0);
        let (property_count, name) =
            if slot.len() > 5 { (bytes.u32(1), bytes.u32(5)) } else { (0, bytes.u32(1)) };
        Self {
            id,
            used: flags & 1 != 0,
            internal: flags & 2 != 0,
            name: name.cast_signed(),
            property_count: property_count.cast_signed(),
        }
    }
}

/// A schema rule: where its properties are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct RawSchema {
    pub id: i64,
    pub used: bool,
    pub property: i64,
}

impl RawSchema {
    pub fn decode(id: i64, slot: &[u8]) -> Self {
        let word = Bytes(slot).u64(0);
        let property = if word >> 57 & 1 != 0 { (word & ((1 << 56) - 1)).cast_signed() } else { NONE };
        Self { id, used: word >> 56 & 1 != 0, property }
    }
}

/// Reads records of any id, as Neo4j's checker does. It holds the page of the last one.
#[derive(Debug)]
pub(super) struct RawReader<'a, R> {
    slots: &'a Slots,
    reader: SlotReader<'a>,
    kind: PhantomData<fn() -> R>,
}

/// Most bytes that a slot of `high_limit` has.
const MAX_UNIT: usize = 48;

impl<'a, R> RawReader<'a, R> {
    pub fn new(slots: &'a Slots) -> Self {
        Self { slots, reader: slots.reader(), kind: PhantomData }
    }

    /// The slot that an id leads to. Negative ids down to the size of a page lead to the first slot; `None`: the id has
    /// no page. Specification: consistency check 5.9.
    fn slot_of(&self, id: i64) -> Option<u64> {
        match u64::try_from(id) {
            Ok(id) => Some(id),
            Err(_) => (id.unsigned_abs() < self.slots.per_page()).then_some(0),
        }
    }
}

impl<R: Raw> RawReader<'_, R> {
    /// The record of an id.
    pub fn get(&mut self, id: i64) -> Result<R, StoreError> {
        let Some(slot_id) = self.slot_of(id) else { return Ok(R::cleared(id)) };
        let family = self.slots.family();
        let Some(slot) = self.reader.slot(slot_id)? else { return Ok(R::cleared(id)) };
        if family != Family::HighLimit {
            return Ok(R::standard(id, slot));
        }
        let mut copy = [0; MAX_UNIT];
        copy.iter_mut().zip(slot).for_each(|(to, from)| *to = *from);
        let copy = copy.get(..slot.len()).unwrap_or_default();
        high_limit(id, copy, &mut self.reader)
    }
}

/// A record of `high_limit` with its second unit; one that can't be decoded counts as not in use.
pub(super) fn high_limit<R: Raw>(id: i64, slot: &[u8], units: &mut SlotReader<'_>) -> Result<R, StoreError> {
    let second = match R::second_unit(slot) {
        Some(second) => units.slot(second)?.unwrap_or_default(),
        None => &[],
    };
    Ok(R::high_limit(id, slot, second).unwrap_or_else(|_| R::cleared(id)))
}

impl RawReader<'_, RawDynamic> {
    /// The record of an id, with its data.
    pub fn get(&mut self, id: i64) -> Result<RawDynamic, StoreError> {
        let Some(slot_id) = self.slot_of(id) else { return Ok(RawDynamic::cleared(id)) };
        let family = self.slots.family();
        let Some(slot) = self.reader.slot(slot_id)? else { return Ok(RawDynamic::cleared(id)) };
        let header = DynamicHeader::decode(family, slot);
        Ok(RawDynamic { id, header, data: header.data(family, slot).to_vec() })
    }

    /// Bytes that a record has room for.
    pub fn room(&self) -> usize {
        let header = crate::store::record::Dynamic::header_size(self.slots.family());
        self.slots.size().saturating_sub(header)
    }
}

impl RawReader<'_, RawToken> {
    /// The token of an id.
    pub fn get(&mut self, id: i64) -> Result<RawToken, StoreError> {
        let cleared = RawToken { id, name: -1, ..RawToken::default() };
        let Some(slot_id) = self.slot_of(id) else { return Ok(cleared) };
        Ok(self.reader.slot(slot_id)?.map_or(cleared, |slot| RawToken::decode(id, slot)))
    }
}

impl RawReader<'_, RawSchema> {
    /// The schema record of an id.
    pub fn get(&mut self, id: i64) -> Result<RawSchema, StoreError> {
        let cleared = RawSchema { id, used: false, property: NONE };
        let Some(slot_id) = self.slot_of(id) else { return Ok(cleared) };
        Ok(self.reader.slot(slot_id)?.map_or(cleared, |slot| RawSchema::decode(id, slot)))
    }
}
