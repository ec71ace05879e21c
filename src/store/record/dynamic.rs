//! Dynamic records: values, lists of labels and names that are too long for where they belong.

use std::fmt;

use super::cycle::CycleGuard;
use super::fields::{Fields, FieldsMut, flag};
use super::reference::{join, split};
use super::slots::{SlotWriter, Slots};
use crate::io::disk::DiskFile;
use crate::store::error::{Malformed, StoreError};
use crate::store::format::Family;
use crate::store::id::{DynamicId, RecordId};
use crate::store::page_cache::{FRAME_SIZE, PageCache};

/// A link of a chain of dynamic records. The size of a slot stands at the start of the file.
///
/// `standard` and `aligned`, a header of 8 bytes:
///
/// | Offset | Size | Field                                                                            |
/// |-------:|-----:|----------------------------------------------------------------------------------|
/// |      0 |    4 | bit 31 not the first of its chain, bit 28 in use, bits 24-27 next bits 32-35, bits 0-23 length |
/// |      4 |    4 | next record of the chain, low 32 bits                                            |
/// |      8 |    n | data; what is behind it stays from earlier records                               |
///
/// `high_limit`, a header of 12 bytes:
///
/// | Offset | Size | Field                                    |
/// |-------:|-----:|------------------------------------------|
/// |      0 |    1 | bit 0 in use, bit 3 first of its chain   |
/// |      1 |    2 | length, low 16 bits; read with a sign    |
/// |      3 |    1 | length, bits 16-23                       |
/// |      4 |    8 | next record of the chain, -1 for none    |
/// |     12 |    n | data                                     |
///
/// Specification: store format 4.6, 5.7.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Dynamic<'a> {
    /// Whether the chain starts here.
    pub is_first: bool,
    /// The record after it.
    pub next: Option<DynamicId>,
    /// Its part of the value.
    pub data: &'a [u8],
}

const CONTINUES: u32 = 1 << 31;
const IN_USE: u32 = 1 << 28;
const LENGTH: u32 = 0x00ff_ffff;

const IN_USE_HIGH_LIMIT: u8 = 0x01;
const FIRST_HIGH_LIMIT: u8 = 0x08;

impl<'a> Dynamic<'a> {
    /// Bytes before the data.
    pub fn header_size(family: Family) -> usize {
        match family {
            Family::Standard | Family::Aligned => 8,
            Family::HighLimit => 12,
        }
    }

    fn is_in_use(family: Family, slot: &[u8]) -> bool {
        let header = Fields::new(slot).u8();
        match family {
            Family::Standard | Family::Aligned => u32::from(header) << 24 & IN_USE != 0,
            Family::HighLimit => header & IN_USE_HIGH_LIMIT != 0,
        }
    }

    /// The record in a slot; `None`: it is not in use.
    pub fn decode(family: Family, slot: &'a [u8]) -> Result<Option<Self>, Malformed> {
        if !Self::is_in_use(family, slot) {
            return Ok(None);
        }
        let mut fields = Fields::new(slot);
        let (is_first, length, next);
        match family {
            Family::Standard | Family::Aligned => {
                let header = fields.u32();
                is_first = header & CONTINUES == 0;
                length = i64::from(header & LENGTH);
                next = join(fields.u32(), u64::from(header >> 24 & 0x0f));
            }
            Family::HighLimit => {
                is_first = fields.u8() & FIRST_HIGH_LIMIT != 0;
                let low = i64::from(fields.u16().cast_signed());
                length = low | i64::from(fields.u8()) << 16;
                let raw = fields.u64();
                next = (raw != u64::MAX).then_some(DynamicId(raw));
            }
        }
        let room = fields.rest();
        let data = usize::try_from(length).ok().and_then(|length| room.get(..length));
        let data = data.ok_or(Malformed::DynamicLength { length, room: room.len() })?;
        Ok(Some(Self { is_first, next, data }))
    }

    /// Writes the record; bytes behind its data stay.
    pub fn encode(&self, family: Family, slot: &mut [u8]) -> Result<(), Malformed> {
        let room = slot.len().saturating_sub(Self::header_size(family));
        let length = self.data.len();
        let mut fields = FieldsMut::new(slot);
        match family {
            Family::Standard | Family::Aligned if length <= room && length <= LENGTH as usize => {
                let (low, high) = split(NEXT, self.next, 36)?;
                let continues = if self.is_first { 0 } else { CONTINUES };
                fields.u32(continues | IN_USE | u32::from(high) << 24 | length as u32);
                fields.u32(low);
            }
            // Longer ones would be read as a negative length.
            Family::HighLimit if length <= room && i16::try_from(length).is_ok() => {
                fields.u8(IN_USE_HIGH_LIMIT | flag(FIRST_HIGH_LIMIT, self.is_first));
                fields.u16(length as u16);
                fields.u8(0);
                fields.u64(match self.next {
                    None => u64::MAX,
                    Some(DynamicId(id)) if id >> 50 == 0 => id,
                    Some(DynamicId(id)) => {
                        return Err(Malformed::DoesNotFit { field: NEXT, value: id, bits: 50 });
                    }
                });
            }
            _ => return Err(Malformed::DynamicLength { length: length as i64, room }),
        }
        fields.bytes(self.data);
        Ok(())
    }

    fn delete(family: Family, slot: &mut [u8]) {
        if let Some(header) = slot.first_mut() {
            match family {
                Family::Standard | Family::Aligned => *header = 0,
                Family::HighLimit => *header &= !IN_USE_HIGH_LIMIT,
            }
        }
    }
}

const NEXT: &str = "next dynamic record";

/// A file of dynamic records.
#[derive(Debug)]
pub struct DynamicFile {
    slots: Slots,
}

/// Most bytes that a value of a chain has: what one Java array can hold.
const MAX_VALUE: usize = i32::MAX as usize;

impl DynamicFile {
    /// The records in a file; `most` is the greatest id. The size of a record is the number in the first four bytes of
    /// the file; if it can't be, `unknown` decides. Specification: store format 2.2.
    pub fn open(
        cache: &PageCache,
        file: Box<dyn DiskFile>,
        family: Family,
        most: u64,
        unknown: impl FnOnce(StoreError) -> Result<usize, StoreError>,
    ) -> Result<Self, StoreError> {
        let mut header = [0; 4];
        file.read_at(0, &mut header)?;
        let size = u32::from_be_bytes(header);
        let size = if (Dynamic::header_size(family) + 1..=FRAME_SIZE).contains(&(size as usize)) {
            size as usize
        } else {
            unknown(StoreError::Header { path: file.path().to_owned(), size })?
        };
        Ok(Self { slots: Slots::open(cache, file, family, size, 1..=most)? })
    }

    /// The slots of the file.
    pub fn slots(&self) -> &Slots {
        &self.slots
    }

    /// Appends what a chain holds to `value`. A chain that is broken, goes round or starts in its middle is an error.
    pub fn read_chain(&self, first: DynamicId, value: &mut Vec<u8>) -> Result<(), StoreError> {
        let mut reader = self.slots.reader();
        let mut guard = CycleGuard::default();
        let mut next = Some(first);
        while let Some(id) = next {
            let slot = reader.slot(id.slot())?.unwrap_or_default();
            let room = slot.len().saturating_sub(Dynamic::header_size(self.slots.family()));
            let record = Dynamic::decode(self.slots.family(), slot)
                .and_then(|record| record.ok_or(Malformed::NotInUse))
                .and_then(|record| match record {
                    Dynamic { is_first, .. } if is_first != (id == first) => Err(Malformed::ChainStart),
                    Dynamic { next: Some(_), data, .. } if data.len() < room => Err(Malformed::ChainNotFull),
                    record if value.len() + record.data.len() > MAX_VALUE => Err(Malformed::ValueTooLong),
                    record => Ok(record),
                })
                .map_err(|malformed| self.slots.malformed(id.slot(), malformed))?;
            value.extend_from_slice(record.data);
            next = record.next;
            if guard.closes(id.slot()) {
                return Err(self.slots.malformed(first.slot(), Malformed::ChainCycle));
            }
        }
        Ok(())
    }

    /// Calls `visit` for each record in use. What was written before is seen; nothing may be written meanwhile.
    pub fn scan<E: From<StoreError>>(
        &self,
        mut visit: impl FnMut(DynamicId, Dynamic<'_>) -> Result<(), E>,
    ) -> Result<(), E> {
        self.slots.scan(|id, slot| {
            let record = Dynamic::decode(self.slots.family(), slot)
                .map_err(|malformed| self.slots.malformed(id, malformed))?;
            record.map_or(Ok(()), |record| visit(DynamicId(id), record))
        })
    }

    /// Calls `visit` for each slot with whether it is in use; the same conditions.
    pub fn scan_use<E: From<StoreError>>(
        &self,
        mut visit: impl FnMut(u64, bool) -> Result<(), E>,
    ) -> Result<(), E> {
        self.slots.scan(|id, slot| visit(id, Dynamic::is_in_use(self.slots.family(), slot)))
    }

    /// A writer of records.
    pub fn writer(&self) -> DynamicWriter<'_> {
        DynamicWriter { slots: &self.slots, writer: self.slots.writer() }
    }
}

/// Writes records, and holds the page of the last one until the next.
pub struct DynamicWriter<'a> {
    slots: &'a Slots,
    writer: SlotWriter<'a>,
}

impl DynamicWriter<'_> {
    /// Writes a record.
    pub fn put(&mut self, id: DynamicId, record: &Dynamic<'_>) -> Result<(), StoreError> {
        let slot = self.writer.slot(id.slot())?;
        record
            .encode(self.slots.family(), slot)
            .map_err(|malformed| self.slots.malformed(id.slot(), malformed))
    }

    /// The bytes of a slot.
    pub(super) fn slot(&mut self, id: u64) -> Result<&mut [u8], StoreError> {
        self.writer.slot(id)
    }

    /// Marks a record as not in use.
    pub fn delete(&mut self, id: DynamicId) -> Result<(), StoreError> {
        Dynamic::delete(self.slots.family(), self.writer.slot(id.slot())?);
        Ok(())
    }
}

impl fmt::Debug for DynamicWriter<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DynamicWriter").field("slots", self.slots).finish_non_exhaustive()
    }
}
