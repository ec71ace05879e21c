//! Changes of relationship groups.

use bytes::BufMut;

use super::super::{EntryError, KernelVersion};
use super::{Change, Mode, RecordFlags, put_secondary_unit, secondary_unit};
use crate::io::bytes::Reader;
use crate::store::id::{GroupId, NodeId, RelationshipId, RelationshipTypeId};

/// Commands 9 and 21: 8 bytes group id, the image before, the image after.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct GroupCommand {
    /// The group.
    pub id: GroupId,
    /// Whether types take three bytes (command 21) instead of two.
    pub wide_type: bool,
    /// Its record.
    pub change: Change<GroupImage>,
}

/// A relationship group record. All fields are there even when it is not in use.
///
/// | Size | Field                                            |
/// |-----:|--------------------------------------------------|
/// |    1 | flags; from 4.3 on bits 5 to 7: external degrees |
/// |    2 | type, low 16 bits                                |
/// |    1 | command 21 only: type, high 8 bits               |
/// |    8 | next group of the node                           |
/// |    8 | first outgoing relationship                      |
/// |    8 | first incoming relationship                      |
/// |    8 | first loop                                       |
/// |    8 | node                                             |
/// |    8 | with that flag only: secondary unit              |
///
/// Specification: transaction log 4.8.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct GroupImage {
    /// In use, units, external degrees.
    pub flags: RecordFlags,
    /// Type of the relationships. Meaningless in the image before of a group that never was: all ones.
    pub kind: RelationshipTypeId,
    /// Next group of the node, by rising type.
    pub next: Option<GroupId>,
    /// First outgoing relationship.
    pub first_outgoing: Option<RelationshipId>,
    /// First incoming relationship.
    pub first_incoming: Option<RelationshipId>,
    /// First loop.
    pub first_loop: Option<RelationshipId>,
    /// The dense node.
    pub owner: Option<NodeId>,
    /// Second unit of the record.
    pub secondary_unit: Option<u64>,
}

impl GroupCommand {
    /// Reads what follows the type byte.
    #[inline]
    pub fn decode(
        version: KernelVersion,
        wide_type: bool,
        reader: &mut Reader<'_>,
    ) -> Result<Self, EntryError> {
        let id = GroupId(reader.i64("group id")? as u64);
        let change = Change::decode(|| GroupImage::decode(version, wide_type, reader))?;
        Ok(Self { id, wide_type, change })
    }

    /// Appends what follows the type byte.
    pub fn encode(&self, out: &mut impl BufMut) {
        out.put_u64(self.id.0);
        self.change.before.encode(self.wide_type, out);
        self.change.after.encode(self.wide_type, out);
    }

    /// What happens to the record.
    pub fn mode(&self) -> Mode {
        Mode::of(self.change.before.flags, self.change.after.flags, false)
    }
}

impl GroupImage {
    const OUTGOING: u8 = 0x20;
    const INCOMING: u8 = 0x40;
    const LOOP: u8 = 0x80;

    #[inline]
    fn decode(version: KernelVersion, wide_type: bool, reader: &mut Reader<'_>) -> Result<Self, EntryError> {
        let mut flags = RecordFlags::decode(reader)?;
        if !version.has_external_degrees() {
            flags.0 &= !(Self::OUTGOING | Self::INCOMING | Self::LOOP);
        }
        let low = reader.u16("relationship type")?;
        let high = if wide_type { reader.u8("relationship type, high bits")? } else { 0 };
        Ok(Self {
            flags,
            kind: RelationshipTypeId(u32::from(low) | (u32::from(high) << 16)),
            next: GroupId::from_field(reader.i64("next group")?),
            first_outgoing: RelationshipId::from_field(reader.i64("first outgoing relationship")?),
            first_incoming: RelationshipId::from_field(reader.i64("first incoming relationship")?),
            first_loop: RelationshipId::from_field(reader.i64("first loop")?),
            owner: NodeId::from_field(reader.i64("owning node")?),
            secondary_unit: secondary_unit(flags, reader)?,
        })
    }

    fn encode(&self, wide_type: bool, out: &mut impl BufMut) {
        out.put_u8(self.flags.0);
        let [_, high, low @ ..] = self.kind.0.to_be_bytes();
        out.put_slice(&low);
        if wide_type {
            out.put_u8(high);
        }
        out.put_i64(GroupId::to_field(self.next));
        for first in [self.first_outgoing, self.first_incoming, self.first_loop] {
            out.put_i64(RelationshipId::to_field(first));
        }
        out.put_i64(NodeId::to_field(self.owner));
        put_secondary_unit(out, self.secondary_unit);
    }

    /// Whether the degrees store, not the chain, counts outgoing relationships.
    pub fn has_external_outgoing_degree(&self) -> bool {
        self.flags.0 & Self::OUTGOING != 0
    }

    /// Whether the degrees store, not the chain, counts incoming relationships.
    pub fn has_external_incoming_degree(&self) -> bool {
        self.flags.0 & Self::INCOMING != 0
    }

    /// Whether the degrees store, not the chain, counts loops.
    pub fn has_external_loop_degree(&self) -> bool {
        self.flags.0 & Self::LOOP != 0
    }
}
