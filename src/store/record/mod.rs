//! Records: what the slots of a store's files hold, decode and encode side by side.
//!
//! `standard` and `aligned` have the same records and differ in where a page starts; `high_limit` has records of its
//! own. So a record type implements [`Layout`] twice. What a transaction leaves of a slot that it does not use any more,
//! and behind the end of what it wrote, stays as Neo4j leaves it: the same transactions give the same bytes.
//! Specification: store format 4, 5, 14.
#![expect(
    clippy::cast_possible_truncation,
    reason = "numbers are split into fields after their width was checked"
)]

mod cycle;
mod dynamic;
mod fields;
mod file;
mod group;
mod high_limit;
mod image;
mod node;
mod property;
mod reference;
mod relationship;
mod schema;
mod slots;
mod token;

pub use cycle::CycleGuard;
pub use dynamic::{Dynamic, DynamicFile, DynamicWriter};
pub use file::{Record, RecordFile, RecordReader, RecordWriter};
pub use group::{Direction, Directions, RelationshipGroup};
pub use high_limit::{HighLimit, Units};
pub use image::{ImageWriter, RecordImage, SlotImage, StoreFile};
pub use node::{Node, NodeChain};
pub use property::Property;
pub use relationship::{ChainLink, Previous, Relationship};
pub use schema::SchemaRecord;
pub use slots::{SlotReader, Slots};
pub use token::{PropertyKeyToken, Token};

use std::ops::Range;

use crate::store::error::Malformed;
use high_limit::Overflow;

/// The records of the `standard` and `aligned` formats.
#[derive(Clone, Copy, Debug)]
pub struct Standard;

/// How records of a kind lie in the slots of a format.
pub trait Layout<Format>: Sized {
    /// The bytes of a slot.
    type Slot: Slot;

    /// Whether the slot's id is taken.
    fn is_in_use(slot: &Self::Slot) -> bool;

    /// The id of the slot that goes on with this one.
    fn second_unit(slot: &Self::Slot) -> Result<Option<u64>, Malformed> {
        let _ = slot;
        Ok(None)
    }

    /// The record in a slot; `None`: it is not in use, or goes on with another. `second`: the bytes of the
    /// [`second_unit`](Self::second_unit), empty if there is none.
    fn decode(id: u64, slot: &Self::Slot, second: &[u8]) -> Result<Option<Self>, Malformed>;

    /// Writes the record, the exact reverse; returns what goes into the second unit.
    fn encode(&self, id: u64, units: Units, slot: &mut Self::Slot) -> Result<Overflow, Malformed>;

    /// How many bytes of its slot the record takes; `None`: all of them, or the format does not tell.
    fn written(&self) -> Option<usize> {
        None
    }

    /// The bytes in the middle of an encoded slot that a write leaves as they are.
    fn gap(_slot: &[u8]) -> Range<usize> {
        0..0
    }

    /// Marks a slot as not in use.
    fn delete(slot: &mut Self::Slot);
}

/// An array of bytes.
pub trait Slot {
    /// Its length.
    const SIZE: usize;
    /// The start of a slice as such an array; `None` if it is too short.
    fn of(bytes: &[u8]) -> Option<&Self>;
    /// The same, to write.
    fn of_mut(bytes: &mut [u8]) -> Option<&mut Self>;
}

impl<const N: usize> Slot for [u8; N] {
    const SIZE: usize = N;

    fn of(bytes: &[u8]) -> Option<&Self> {
        bytes.first_chunk()
    }

    fn of_mut(bytes: &mut [u8]) -> Option<&mut Self> {
        bytes.first_chunk_mut()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// The bytes of hex digits; blanks are ignored.
    pub fn hex(digits: &str) -> Vec<u8> {
        let digits: Vec<u8> =
            digits.chars().filter_map(|digit| digit.to_digit(16)).map(|digit| digit as u8).collect();
        digits.chunks(2).map(|pair| pair[0] << 4 | pair[1]).collect()
    }

    /// Hex digits with zeros behind them, as many as a slot needs.
    pub fn slot(digits: &str, size: usize) -> Vec<u8> {
        let mut bytes = hex(digits);
        bytes.resize(size, 0);
        bytes
    }

    pub fn decoded<Format, R: Layout<Format>>(id: u64, bytes: &[u8]) -> Option<R> {
        R::decode(id, R::Slot::of(bytes).unwrap(), &[]).unwrap()
    }

    pub fn encoded<Format, R: Layout<Format>>(id: u64, record: &R, units: Units) -> Vec<u8> {
        let mut bytes = vec![0; R::Slot::SIZE];
        record.encode(id, units, R::Slot::of_mut(&mut bytes).unwrap()).unwrap();
        bytes
    }

    /// References of a width, the edges often.
    pub fn reference(bits: u32) -> impl Strategy<Value = Option<u64>> {
        let most = (1_u64 << bits) - 1;
        prop_oneof![
            Just(None),
            Just(Some(0)),
            Just(Some(most)),
            (0..=most).prop_map(Some),
            (0_u64..1000).prop_map(Some),
        ]
        .prop_filter("never assigned", |id| *id != Some(reference::RESERVED))
    }
}
