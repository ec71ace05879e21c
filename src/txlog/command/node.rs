//! Changes of node records.

use bytes::BufMut;

use super::super::EntryError;
use super::dynamic::DynamicRecords;
use super::{Change, Mode, RecordFlags, boolean, put_secondary_unit, secondary_unit};
use crate::io::bytes::Reader;
use crate::store::id::{GroupId, NodeId, PropertyId, RelationshipId};
use crate::store::record::NodeChain;

/// Command 1: 8 bytes node id, the image before, the image after.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NodeCommand<'a> {
    /// The node.
    pub id: NodeId,
    /// Its record.
    pub change: Change<NodeImage<'a>>,
}

/// A node record.
///
/// | Size | Field                                                        |
/// |-----:|--------------------------------------------------------------|
/// |    1 | flags                                                        |
/// |    1 | in use only: 1 dense                                         |
/// |    8 | in use only: first relationship, of a dense node first group |
/// |    8 | in use only: first property                                  |
/// |    8 | in use only: labels, inline or where they are                |
/// |    8 | in use with that flag only: secondary unit                   |
/// |  4+n | always: dynamic label records, used, changed and freed ones  |
///
/// Specification: transaction log 4.4.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NodeImage<'a> {
    /// In use, created, units.
    pub flags: RecordFlags,
    /// Where relationships start.
    pub chain: NodeChain,
    /// First property record.
    pub property: Option<PropertyId>,
    /// The label field of the node record: 40 bits.
    pub labels: u64,
    /// Second unit of the record.
    pub secondary_unit: Option<u64>,
    /// Label records that come with the node.
    pub label_records: DynamicRecords<'a>,
}

impl<'a> NodeCommand<'a> {
    /// Reads what follows the type byte.
    #[inline(always)]
    pub fn decode(reader: &mut Reader<'a>) -> Result<Self, EntryError> {
        let id = NodeId(reader.i64("node id")? as u64);
        Ok(Self {
            id,
            change: Change { before: NodeImage::decode(reader)?, after: NodeImage::decode(reader)? },
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

impl<'a> NodeImage<'a> {
    #[inline(always)]
    fn decode(reader: &mut Reader<'a>) -> Result<Self, EntryError> {
        let flags = RecordFlags::decode(reader)?;
        let mut image = Self {
            flags,
            chain: NodeChain::Sparse(None),
            property: None,
            labels: 0,
            secondary_unit: None,
            label_records: DynamicRecords::default(),
        };
        if flags.in_use() {
            let dense = boolean("dense", reader)?;
            let next = reader.i64("first relationship")?;
            image.chain = if dense {
                NodeChain::Dense(GroupId::from_field(next))
            } else {
                NodeChain::Sparse(RelationshipId::from_field(next))
            };
            image.property = PropertyId::from_field(reader.i64("first property")?);
            image.labels = reader.i64("labels")? as u64;
            image.secondary_unit = secondary_unit(flags, reader)?;
        }
        image.label_records = DynamicRecords::decode(reader)?;
        Ok(image)
    }

    fn encode(&self, out: &mut impl BufMut) {
        out.put_u8(self.flags.0);
        if self.flags.in_use() {
            let (dense, next) = match self.chain {
                NodeChain::Sparse(first) => (0, RelationshipId::to_field(first)),
                NodeChain::Dense(first) => (1, GroupId::to_field(first)),
            };
            out.put_u8(dense);
            out.put_i64(next);
            out.put_i64(PropertyId::to_field(self.property));
            out.put_u64(self.labels);
            put_secondary_unit(out, self.secondary_unit);
        }
        self.label_records.encode(out);
    }
}
