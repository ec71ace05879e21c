//! A store file as records.

use std::fmt;
use std::marker::PhantomData;
use std::ops::RangeInclusive;

use super::high_limit::HighLimit;
use super::slots::{SlotReader, SlotWriter, Slots};
use super::{Layout, Slot, Standard, Units};
use crate::io::disk::DiskFile;
use crate::store::error::StoreError;
use crate::store::format::Family;
use crate::store::id::RecordId;
use crate::store::page_cache::PageCache;

/// A record that every format has.
pub trait Record: Layout<Standard> + Layout<HighLimit> {}

impl<R: Layout<Standard> + Layout<HighLimit>> Record for R {}

/// A file of records of one kind.
pub struct RecordFile<I, R> {
    slots: Slots,
    kind: PhantomData<fn() -> (I, R)>,
}

impl<I: RecordId, R: Record> RecordFile<I, R> {
    /// The records in a file. Ids below `ids` are reserved, those above don't exist.
    pub fn open(
        cache: &PageCache,
        file: Box<dyn DiskFile>,
        family: Family,
        ids: RangeInclusive<u64>,
    ) -> Result<Self, StoreError> {
        let size = match family {
            Family::Standard | Family::Aligned => <R as Layout<Standard>>::Slot::SIZE,
            Family::HighLimit => <R as Layout<HighLimit>>::Slot::SIZE,
        };
        Ok(Self { slots: Slots::open(cache, file, family, size, ids)?, kind: PhantomData })
    }

    /// The slots of the file.
    pub fn slots(&self) -> &Slots {
        &self.slots
    }

    /// The record with an id; `None`: it is not in use.
    pub fn get(&self, id: I) -> Result<Option<R>, StoreError> {
        self.reader().get(id)
    }

    /// A reader of records.
    pub fn reader(&self) -> RecordReader<'_, I, R> {
        RecordReader { slots: &self.slots, reader: self.slots.reader(), kind: PhantomData }
    }

    /// A writer of records.
    pub fn writer(&self) -> RecordWriter<'_, I, R> {
        RecordWriter { slots: &self.slots, writer: self.slots.writer(), kind: PhantomData }
    }

    /// The highest id in use plus one, at least the number of reserved ids. Specification: store format 12.
    pub fn high_id(&self) -> Result<u64, StoreError> {
        let is_in_use = Self::use_test(self.slots.family());
        Ok(self.slots.highest(is_in_use)?.map_or(self.slots.first(), |id| id + 1))
    }

    /// Calls `visit` for each record in use. What was written before is seen; nothing may be written meanwhile.
    pub fn scan<E: From<StoreError>>(&self, visit: impl FnMut(I, R) -> Result<(), E>) -> Result<(), E> {
        self.scan_part(0, 1, visit)
    }

    /// [`scan`](Self::scan) of one of `parts` parts of the file, 0 the first: so several threads share the work.
    pub fn scan_part<E: From<StoreError>>(
        &self,
        part: u64,
        parts: u64,
        mut visit: impl FnMut(I, R) -> Result<(), E>,
    ) -> Result<(), E> {
        match self.slots.family() {
            Family::Standard | Family::Aligned => self.slots.scan_part(part, parts, |id, slot| {
                let Some(slot) = <R as Layout<Standard>>::Slot::of(slot) else { return Ok(()) };
                let record = <R as Layout<Standard>>::decode(id, slot, &[])
                    .map_err(|malformed| self.slots.malformed(id, malformed))?;
                record.zip(I::from_slot(id)).map_or(Ok(()), |(record, id)| visit(id, record))
            }),
            Family::HighLimit => {
                let mut second = self.slots.reader();
                self.slots.scan_part(part, parts, |id, slot| {
                    let record = high_limit(&self.slots, id, slot, &mut second)?;
                    second.release();
                    record.zip(I::from_slot(id)).map_or(Ok(()), |(record, id)| visit(id, record))
                })
            }
        }
    }

    /// Calls `visit` for each slot with whether its id is taken; the same conditions.
    pub fn scan_use<E: From<StoreError>>(
        &self,
        mut visit: impl FnMut(u64, bool) -> Result<(), E>,
    ) -> Result<(), E> {
        let is_in_use = Self::use_test(self.slots.family());
        self.slots.scan(|id, slot| visit(id, is_in_use(slot)))
    }

    fn use_test(family: Family) -> impl Fn(&[u8]) -> bool {
        move |slot| match family {
            Family::Standard | Family::Aligned => {
                <R as Layout<Standard>>::Slot::of(slot).is_some_and(<R as Layout<Standard>>::is_in_use)
            }
            Family::HighLimit => {
                <R as Layout<HighLimit>>::Slot::of(slot).is_some_and(<R as Layout<HighLimit>>::is_in_use)
            }
        }
    }
}

impl<I, R> fmt::Debug for RecordFile<I, R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RecordFile").field("slots", &self.slots).finish()
    }
}

/// Most bytes that a unit has.
const MAX_UNIT: usize = 48;

/// Decodes a slot of `high_limit`, with its second unit if it has one.
fn high_limit<R: Layout<HighLimit>>(
    slots: &Slots,
    id: u64,
    slot: &[u8],
    units: &mut SlotReader<'_>,
) -> Result<Option<R>, StoreError> {
    let malformed = |malformed| slots.malformed(id, malformed);
    let Some(slot) = R::Slot::of(slot) else { return Ok(None) };
    let second = match R::second_unit(slot).map_err(malformed)? {
        None => &[],
        Some(second) => units.slot(second)?.unwrap_or_default(),
    };
    R::decode(id, slot, second).map_err(malformed)
}

/// Reads records, and holds the page of the last one until the next: near ids are cheap, and nothing may write to the
/// store in the same thread meanwhile.
pub struct RecordReader<'a, I, R> {
    slots: &'a Slots,
    reader: SlotReader<'a>,
    kind: PhantomData<fn() -> (I, R)>,
}

impl<I: RecordId, R: Record> RecordReader<'_, I, R> {
    /// The record with an id; `None`: it is not in use.
    pub fn get(&mut self, id: I) -> Result<Option<R>, StoreError> {
        let slots = self.slots;
        let id = id.slot();
        let Some(slot) = self.reader.slot(id)? else { return Ok(None) };
        match slots.family() {
            Family::Standard | Family::Aligned => {
                let Some(slot) = <R as Layout<Standard>>::Slot::of(slot) else { return Ok(None) };
                <R as Layout<Standard>>::decode(id, slot, &[])
                    .map_err(|malformed| slots.malformed(id, malformed))
            }
            Family::HighLimit => {
                // The second unit may need another page, so the first is copied out of its own.
                let mut copy = [0; MAX_UNIT];
                copy.iter_mut().zip(slot).for_each(|(to, from)| *to = *from);
                high_limit(slots, id, &copy, &mut self.reader)
            }
        }
    }
}

impl<I, R> fmt::Debug for RecordReader<'_, I, R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RecordReader").field("slots", self.slots).finish_non_exhaustive()
    }
}

/// Writes records, and holds the page of the last one until the next: nothing may read the store in the same thread
/// meanwhile.
pub struct RecordWriter<'a, I, R> {
    slots: &'a Slots,
    writer: SlotWriter<'a>,
    kind: PhantomData<fn() -> (I, R)>,
}

impl<I: RecordId, R: Record> RecordWriter<'_, I, R> {
    /// Writes a record; `units` matters in `high_limit` only.
    pub fn put(&mut self, id: I, record: &R, units: Units) -> Result<(), StoreError> {
        let id = id.slot();
        let slot = self.writer.slot(id)?;
        let overflow = match self.slots.family() {
            Family::Standard | Family::Aligned => <R as Layout<Standard>>::Slot::of_mut(slot)
                .map(|slot| Layout::<Standard>::encode(record, id, units, slot)),
            Family::HighLimit => <R as Layout<HighLimit>>::Slot::of_mut(slot)
                .map(|slot| Layout::<HighLimit>::encode(record, id, units, slot)),
        };
        let overflow = overflow.transpose().map_err(|malformed| self.slots.malformed(id, malformed))?;
        if let (Family::HighLimit, Some(second), Some(overflow)) =
            (self.slots.family(), units.secondary, overflow)
        {
            overflow.write(self.writer.slot(second)?);
        }
        Ok(())
    }

    /// Marks a record as not in use, and its second unit, if it has one.
    pub fn delete(&mut self, id: I, second: Option<u64>) -> Result<(), StoreError> {
        std::iter::once(id.slot()).chain(second).try_for_each(|id| self.delete_unit(id))
    }

    /// Marks one slot as not in use, whatever unit of a record it is.
    pub(super) fn delete_unit(&mut self, id: u64) -> Result<(), StoreError> {
        let slot = self.writer.slot(id)?;
        match self.slots.family() {
            Family::Standard | Family::Aligned => {
                if let Some(slot) = <R as Layout<Standard>>::Slot::of_mut(slot) {
                    <R as Layout<Standard>>::delete(slot);
                }
            }
            Family::HighLimit => {
                if let Some(slot) = <R as Layout<HighLimit>>::Slot::of_mut(slot) {
                    <R as Layout<HighLimit>>::delete(slot);
                }
            }
        }
        Ok(())
    }

    /// The format of the records.
    pub(super) fn family(&self) -> Family {
        self.slots.family()
    }

    /// The bytes of a slot.
    pub(super) fn slot(&mut self, id: u64) -> Result<&mut [u8], StoreError> {
        self.writer.slot(id)
    }
}

impl<I, R> fmt::Debug for RecordWriter<'_, I, R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RecordWriter").field("slots", self.slots).finish_non_exhaustive()
    }
}
