//! Changes of property records.

use bytes::BufMut;

use super::super::EntryError;
use super::dynamic::DynamicRecords;
use super::{Change, Mode, RecordFlags, put_secondary_unit, secondary_unit};
use crate::io::bytes::Reader;
use crate::store::id::{NodeId, PropertyId, RelationshipId};

/// Command 2: 8 bytes property record id, the image before, the image after.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PropertyCommand<'a> {
    /// The property record.
    pub id: PropertyId,
    /// The record.
    pub change: Change<PropertyImage<'a>>,
}

/// A property record with the long values that it refers to.
///
/// | Size | Field                                                         |
/// |-----:|---------------------------------------------------------------|
/// |    1 | flags; bit 1: the owner is a relationship                     |
/// |    8 | next property record                                          |
/// |    8 | previous property record                                      |
/// |    8 | owner, −1 not told                                            |
/// |    8 | with that flag only: secondary unit                           |
/// |    1 | number of blocks, 0 to 4; in use if and only if there are any |
/// |    n | the blocks, see [`PropertyBlock`]                             |
/// |  4+n | dynamic records that are freed                                |
///
/// Specification: transaction log 4.6.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PropertyImage<'a> {
    /// In use, units. Bit 1 is not "created" here.
    pub flags: RecordFlags,
    /// Next record of the chain.
    pub next: Option<PropertyId>,
    /// Previous record of the chain.
    pub previous: Option<PropertyId>,
    /// Id of the owner, whose kind is in the flags; see [`Self::owner`].
    owner: i64,
    /// Second unit of the record.
    pub secondary_unit: Option<u64>,
    /// The properties.
    pub blocks: PropertyBlocks<'a>,
    /// Dynamic records that are freed.
    pub deleted: DynamicRecords<'a>,
}

/// What a property belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PropertyOwner {
    /// A node.
    Node(NodeId),
    /// A relationship.
    Relationship(RelationshipId),
    /// Not told: a schema record, or a record of which only the chain changed.
    Untold,
}

impl<'a> PropertyCommand<'a> {
    /// Reads what follows the type byte.
    #[inline(always)]
    pub fn decode(reader: &mut Reader<'a>) -> Result<Self, EntryError> {
        let id = PropertyId(reader.i64("property id")? as u64);
        Ok(Self {
            id,
            change: Change { before: PropertyImage::decode(reader)?, after: PropertyImage::decode(reader)? },
        })
    }

    /// Appends what follows the type byte.
    pub fn encode(&self, out: &mut impl BufMut) {
        out.put_u64(self.id.0);
        self.change.before.encode(out);
        self.change.after.encode(out);
    }

    /// What happens to the record.
    pub fn mode(&self) -> Mode {
        Mode::of(self.change.before.flags, self.change.after.flags, false)
    }
}

impl<'a> PropertyImage<'a> {
    #[inline(always)]
    fn decode(reader: &mut Reader<'a>) -> Result<Self, EntryError> {
        let flags = RecordFlags::decode(reader)?;
        let next = PropertyId::from_field(reader.i64("next property")?);
        let previous = PropertyId::from_field(reader.i64("previous property")?);
        let owner = reader.i64("property owner")?;
        let secondary_unit = secondary_unit(flags, reader)?;
        let offset = reader.offset();
        let blocks = PropertyBlocks::decode(reader)?;
        if flags.in_use() == blocks.is_empty() {
            return Err(EntryError::Invalid {
                field: "number of property blocks",
                offset,
                expected: "0 if and only if the record is not in use",
                found: blocks.count.into(),
            });
        }
        let deleted = DynamicRecords::decode(reader)?;
        Ok(Self { flags, next, previous, owner, secondary_unit, blocks, deleted })
    }

    fn encode(&self, out: &mut impl BufMut) {
        out.put_u8(self.flags.0);
        out.put_i64(PropertyId::to_field(self.next));
        out.put_i64(PropertyId::to_field(self.previous));
        out.put_i64(self.owner);
        put_secondary_unit(out, self.secondary_unit);
        out.put_u8(self.blocks.count);
        out.put_slice(self.blocks.encoded);
        self.deleted.encode(out);
    }

    /// What the property belongs to.
    #[inline]
    pub fn owner(&self) -> PropertyOwner {
        match self.owner {
            -1 => PropertyOwner::Untold,
            id if self.flags.0 & 0x02 != 0 => PropertyOwner::Relationship(RelationshipId(id as u64)),
            id => PropertyOwner::Node(NodeId(id as u64)),
        }
    }
}

/// One property: key, type and value as in the property record, and the records of a long value.
///
/// | Size | Field                                                     |
/// |-----:|-----------------------------------------------------------|
/// |    1 | size of the block: 8, 16, 24 or 32 bytes                  |
/// |    n | the block as 8-byte numbers                               |
/// |  4+n | dynamic records of the value; none if they did not change |
///
/// Specification: transaction log 4.6.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PropertyBlock<'a> {
    longs: [u64; 4],
    count: usize,
    /// Records of the value; all of them count as created. Specification: transaction log 4.6.
    pub records: DynamicRecords<'a>,
}

impl<'a> PropertyBlock<'a> {
    /// Longs of the largest block.
    const MAX: usize = 4;

    #[inline]
    fn decode(reader: &mut Reader<'a>) -> Result<Self, EntryError> {
        let count = Self::count(reader)?;
        let mut longs = [0; Self::MAX];
        for long in longs.iter_mut().take(count) {
            *long = reader.i64("property block")? as u64;
        }
        Ok(Self { longs, count, records: DynamicRecords::decode(reader)? })
    }

    /// Passes over a block, and checks it as [`Self::decode`] does.
    #[inline]
    fn skip(reader: &mut Reader<'a>) -> Result<(), EntryError> {
        let count = Self::count(reader)?;
        reader.bytes("property block", count * 8)?;
        DynamicRecords::decode(reader).map(drop)
    }

    /// Reads how many numbers follow.
    #[inline]
    fn count(reader: &mut Reader<'a>) -> Result<usize, EntryError> {
        let (field, offset) = ("size of a property block", reader.offset());
        let size = reader.u8(field)?;
        let count = usize::from(size) / 8;
        if size % 8 != 0 || !(1..=Self::MAX).contains(&count) {
            let expected = "8, 16, 24 or 32";
            return Err(EntryError::Invalid { field, offset, expected, found: size.into() });
        }
        Ok(count)
    }

    /// The 1 to 4 numbers of the block.
    #[inline]
    pub fn longs(&self) -> &[u64] {
        self.longs.get(..self.count).unwrap_or_default()
    }
}

/// The properties of a record. Stays bytes; iterate to get the blocks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PropertyBlocks<'a> {
    count: u8,
    /// Exactly the encoded blocks, checked.
    encoded: &'a [u8],
}

impl<'a> PropertyBlocks<'a> {
    #[inline(always)]
    fn decode(reader: &mut Reader<'a>) -> Result<Self, EntryError> {
        let (field, offset) = ("number of property blocks", reader.offset());
        let count = reader.u8(field)?;
        if count > 4 {
            return Err(EntryError::Invalid { field, offset, expected: "0 to 4", found: count.into() });
        }
        let mut walker = reader.clone();
        for _ in 0..count {
            PropertyBlock::skip(&mut walker)?;
        }
        let encoded = reader.bytes("property blocks", walker.offset() - reader.offset())?;
        Ok(Self { count, encoded })
    }

    /// How many properties there are.
    pub fn len(&self) -> usize {
        self.count.into()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// The properties in their order.
    pub fn iter(&self) -> PropertyBlockIter<'a> {
        PropertyBlockIter { rest: Reader::new(self.encoded) }
    }
}

impl<'a> IntoIterator for &PropertyBlocks<'a> {
    type Item = PropertyBlock<'a>;
    type IntoIter = PropertyBlockIter<'a>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}

/// Properties of a [`PropertyBlocks`].
#[derive(Clone, Debug)]
pub struct PropertyBlockIter<'a> {
    rest: Reader<'a>,
}

impl<'a> Iterator for PropertyBlockIter<'a> {
    type Item = PropertyBlock<'a>;

    fn next(&mut self) -> Option<Self::Item> {
        PropertyBlock::decode(&mut self.rest).ok()
    }
}
