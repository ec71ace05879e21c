//! Changes of relationship records.

use bytes::BufMut;

use super::super::EntryError;
use super::{Change, Mode, RecordFlags, put_secondary_unit, secondary_unit};
use crate::io::bytes::Reader;
use crate::store::id::{NodeId, PropertyId, RelationshipId, RelationshipTypeId};

/// Command 3: 8 bytes relationship id, the image before, the image after.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RelationshipCommand {
    /// The relationship.
    pub id: RelationshipId,
    /// Its record.
    pub change: Change<RelationshipImage>,
}

/// A relationship record.
///
/// | Size | Field                                                                  |
/// |-----:|------------------------------------------------------------------------|
/// |    1 | flags                                                                  |
/// |    4 | not in use: type, −1 for a record that never was and for a deleted one |
/// |   61 | in use: see [`RelationshipLinks`]                                      |
/// |    8 | in use with that flag only: secondary unit                             |
///
/// Specification: transaction log 4.5.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RelationshipImage {
    /// In use, created, units.
    pub flags: RecordFlags,
    /// Type; an unused record mostly has none.
    pub kind: Option<RelationshipTypeId>,
    /// The record's content; `None`: not in use.
    pub links: Option<RelationshipLinks>,
    /// Second unit of the record.
    pub secondary_unit: Option<u64>,
}

/// What a relationship record in use holds besides its type.
///
/// | Offset | Size | Field                                                       |
/// |-------:|-----:|-------------------------------------------------------------|
/// |      0 |    8 | first node                                                  |
/// |      8 |    8 | second node                                                 |
/// |     16 |    4 | type                                                        |
/// |     20 |   16 | previous and next in the first node's chain                 |
/// |     36 |   16 | previous and next in the second node's chain                |
/// |     52 |    8 | first property                                              |
/// |     60 |    1 | 01 first in the first node's chain, 02 in the second node's |
///
/// Specification: transaction log 4.5.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RelationshipLinks {
    /// Start node.
    pub first_node: NodeId,
    /// End node.
    pub second_node: NodeId,
    /// Place in the start node's chain.
    pub first_chain: ChainLinks,
    /// Place in the end node's chain.
    pub second_chain: ChainLinks,
    /// First property record.
    pub property: Option<PropertyId>,
}

/// A relationship's place in the chain of one of its nodes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ChainLinks {
    /// Id of the one before, −1 for none; of the first in the chain the length of the chain instead.
    pub previous: i64,
    /// The one behind.
    pub next: Option<RelationshipId>,
    /// Whether the chain starts here.
    pub is_first: bool,
}

impl RelationshipCommand {
    /// Reads what follows the type byte.
    #[inline(always)]
    pub fn decode(reader: &mut Reader<'_>) -> Result<Self, EntryError> {
        let id = RelationshipId(reader.i64("relationship id")? as u64);
        Ok(Self {
            id,
            change: Change {
                before: RelationshipImage::decode(reader)?,
                after: RelationshipImage::decode(reader)?,
            },
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
        let Change { before, after } = &self.change;
        Mode::of(before.flags, after.flags, after.flags.created())
    }
}

impl RelationshipImage {
    #[inline(always)]
    fn decode(reader: &mut Reader<'_>) -> Result<Self, EntryError> {
        let flags = RecordFlags::decode(reader)?;
        if !flags.in_use() {
            let kind = RelationshipTypeId::from_field(reader.i32("relationship type")?);
            return Ok(Self { flags, kind, links: None, secondary_unit: None });
        }
        let first_node = NodeId(reader.i64("first node")? as u64);
        let second_node = NodeId(reader.i64("second node")? as u64);
        let kind = RelationshipTypeId::from_field(reader.i32("relationship type")?);
        let mut chain = || -> Result<ChainLinks, EntryError> {
            let previous = reader.i64("previous relationship")?;
            let next = RelationshipId::from_field(reader.i64("next relationship")?);
            Ok(ChainLinks { previous, next, is_first: false })
        };
        let (mut first_chain, mut second_chain) = (chain()?, chain()?);
        let property = PropertyId::from_field(reader.i64("first property")?);
        let (field, offset) = ("chain starts", reader.offset());
        let starts = reader.u8(field)?;
        if starts > 3 {
            return Err(EntryError::Invalid { field, offset, expected: "0 to 3", found: starts.into() });
        }
        first_chain.is_first = starts & 1 != 0;
        second_chain.is_first = starts & 2 != 0;
        let links = Some(RelationshipLinks { first_node, second_node, first_chain, second_chain, property });
        Ok(Self { flags, kind, links, secondary_unit: secondary_unit(flags, reader)? })
    }

    fn encode(&self, out: &mut impl BufMut) {
        let kind = RelationshipTypeId::to_field(self.kind);
        out.put_u8(self.flags.0);
        let Some(links) = &self.links else { return out.put_i32(kind) };
        out.put_u64(links.first_node.0);
        out.put_u64(links.second_node.0);
        out.put_i32(kind);
        for chain in [links.first_chain, links.second_chain] {
            out.put_i64(chain.previous);
            out.put_i64(RelationshipId::to_field(chain.next));
        }
        out.put_i64(PropertyId::to_field(links.property));
        out.put_u8(u8::from(links.first_chain.is_first) | (u8::from(links.second_chain.is_first) << 1));
        put_secondary_unit(out, self.secondary_unit);
    }
}
