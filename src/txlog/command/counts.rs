//! Changes of counts, degrees and fields of the metadata store.

use bytes::BufMut;

use super::super::EntryError;
use super::{Change, RecordFlags};
use crate::io::bytes::Reader;
use crate::store::id::{GroupId, LabelId, RelationshipTypeId};
use crate::store::record::Direction;

/// Command 17.
///
/// | Offset | Size | Field         |
/// |-------:|-----:|---------------|
/// |      0 |    4 | label, −1 any |
/// |      4 |    8 | difference    |
///
/// Specification: transaction log 4.10.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NodeCount {
    /// Nodes with this label; `None`: all nodes.
    pub label: Option<LabelId>,
    /// How many more there are.
    pub delta: i64,
}

impl NodeCount {
    /// Reads what follows the type byte.
    #[inline]
    pub fn decode(reader: &mut Reader<'_>) -> Result<Self, EntryError> {
        let label = LabelId::from_field(reader.i32("label")?);
        Ok(Self { label, delta: reader.i64("node count delta")? })
    }

    /// Appends what follows the type byte.
    pub fn encode(&self, out: &mut impl BufMut) {
        out.put_i32(LabelId::to_field(self.label));
        out.put_i64(self.delta);
    }
}

/// Command 16.
///
/// | Offset | Size | Field                           |
/// |-------:|-----:|---------------------------------|
/// |      0 |    4 | label of the start node, −1 any |
/// |      4 |    4 | type, −1 any                    |
/// |      8 |    4 | label of the end node, −1 any   |
/// |     12 |    8 | difference                      |
///
/// Specification: transaction log 4.10.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RelationshipCount {
    /// Label of the start node; `None`: any.
    pub start: Option<LabelId>,
    /// Type; `None`: any.
    pub kind: Option<RelationshipTypeId>,
    /// Label of the end node; `None`: any.
    pub end: Option<LabelId>,
    /// How many more there are.
    pub delta: i64,
}

impl RelationshipCount {
    /// Reads what follows the type byte.
    #[inline]
    pub fn decode(reader: &mut Reader<'_>) -> Result<Self, EntryError> {
        Ok(Self {
            start: LabelId::from_field(reader.i32("start label")?),
            kind: RelationshipTypeId::from_field(reader.i32("relationship type")?),
            end: LabelId::from_field(reader.i32("end label")?),
            delta: reader.i64("relationship count delta")?,
        })
    }

    /// Appends what follows the type byte.
    pub fn encode(&self, out: &mut impl BufMut) {
        out.put_i32(LabelId::to_field(self.start));
        out.put_i32(RelationshipTypeId::to_field(self.kind));
        out.put_i32(LabelId::to_field(self.end));
        out.put_i64(self.delta);
    }
}

/// Command 20, from 4.3 on.
///
/// | Offset | Size | Field                                                    |
/// |-------:|-----:|----------------------------------------------------------|
/// |      0 |    8 | group id · 4 + direction: 0 outgoing, 1 incoming, 2 loop |
/// |      8 |    8 | difference                                               |
///
/// Specification: transaction log 4.10.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct GroupDegree {
    /// The group.
    pub group: GroupId,
    /// Which of its chains.
    pub direction: Direction,
    /// How many relationships more there are.
    pub delta: i64,
}

impl GroupDegree {
    /// Reads what follows the type byte.
    #[inline]
    pub fn decode(reader: &mut Reader<'_>) -> Result<Self, EntryError> {
        let (field, offset) = ("group degree key", reader.offset());
        let found = reader.i64(field)?;
        let direction = match found & 3 {
            0 => Direction::Outgoing,
            1 => Direction::Incoming,
            2 => Direction::Loop,
            _ => return Err(EntryError::Invalid { field, offset, expected: "a direction of 0 to 2", found }),
        };
        Ok(Self { group: GroupId(found as u64 >> 2), direction, delta: reader.i64("group degree delta")? })
    }

    /// Appends what follows the type byte.
    pub fn encode(&self, out: &mut impl BufMut) {
        out.put_u64((self.group.0 << 2) | self.direction as u64);
        out.put_i64(self.delta);
    }
}

/// Command 19, from 4.3 on: 8 bytes number of the field, the image before, the image after.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MetadataChange {
    /// Position in the metadata store; Neo4j changes 19, the kernel version, and no other.
    pub field: i64,
    /// Its record.
    pub change: Change<MetadataImage>,
}

/// A record of the metadata store: 1 byte flags, 8 bytes value. Specification: transaction log 4.10.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MetadataImage {
    /// In use.
    pub flags: RecordFlags,
    /// The value.
    pub value: i64,
}

impl MetadataChange {
    /// Reads what follows the type byte.
    #[inline]
    pub fn decode(reader: &mut Reader<'_>) -> Result<Self, EntryError> {
        let field = reader.i64("metadata field")?;
        let change = Change::decode(|| {
            let flags = RecordFlags::decode(reader)?;
            Ok(MetadataImage { flags, value: reader.i64("metadata value")? })
        })?;
        Ok(Self { field, change })
    }

    /// Appends what follows the type byte.
    pub fn encode(&self, out: &mut impl BufMut) {
        out.put_i64(self.field);
        for image in [self.change.before, self.change.after] {
            out.put_u8(image.flags.0);
            out.put_i64(image.value);
        }
    }
}
