//! One pass over a store of long values: which records can be the first of a value.

use std::sync::atomic::{AtomicU64, Ordering};

use super::beyond::owners::{Owned, Owners};
use super::error::CheckError;
use super::fingerprint::{Claim, Mixer};
use super::raw::{DynamicHeader, NONE};
use super::report::{Level, Reporter};
use super::scan::scan;
use super::summary::RecordType;
use crate::store::error::StoreError;
use crate::store::format::Family;
use crate::store::id::DynamicId;
use crate::store::layout::RecordStore;
use crate::store::record::{Dynamic, DynamicFile};
use crate::store::value::array;

/// Reports a store whose header does not say how long its records are, and gives the length that they have in nearly every
/// store. Neo4j's checker aborts.
pub(super) fn without_header(
    report: &Reporter<'_>,
    family: Family,
    store: RecordStore,
    error: StoreError,
) -> Result<usize, StoreError> {
    if !matches!(error, StoreError::Header { .. }) {
        return Err(error);
    }
    let name = 30 + Dynamic::header_size(family);
    let (about, size) = match store {
        RecordStore::NodeLabels => (RecordType::NodeDynamicLabel, 64),
        RecordStore::PropertyString => (RecordType::StringProperty, 128),
        RecordStore::PropertyArray => (RecordType::ArrayProperty, 128),
        RecordStore::LabelName => (RecordType::LabelName, name),
        RecordStore::RelationshipTypeName => (RecordType::RelationshipTypeName, name),
        _ => (RecordType::PropertyKeyName, name),
    };
    report.lines(Level::Error, about, &format!("{error}: they are read as records of {size} bytes."));
    Ok(size)
}

/// A bit per record.
#[derive(Debug)]
pub(super) struct Bits {
    words: Vec<AtomicU64>,
}

impl Bits {
    pub fn new(count: u64) -> Self {
        let mut words = Vec::new();
        words.resize_with(usize::try_from(count.div_ceil(64)).unwrap_or(usize::MAX), AtomicU64::default);
        Self { words }
    }

    #[inline]
    pub fn set(&self, id: u64) {
        if let Some(word) = self.words.get((id / 64) as usize) {
            word.fetch_or(1 << (id % 64), Ordering::Relaxed);
        }
    }

    /// Sets the bit of a record; whether it was not set before.
    pub fn insert(&self, id: u64) -> bool {
        let Some(word) = self.words.get((id / 64) as usize) else { return true };
        let bit = 1 << (id % 64);
        word.fetch_or(bit, Ordering::Relaxed) & bit == 0
    }

    #[inline]
    pub fn has(&self, id: u64) -> bool {
        let word = self.words.get((id / 64) as usize);
        word.is_some_and(|word| word.load(Ordering::Relaxed) >> (id % 64) & 1 != 0)
    }
}

/// What a pass found.
#[derive(Debug)]
pub(super) struct DynamicValues {
    /// Records that begin a value without any fault of their own.
    pub firsts: Bits,
    /// Whether every value that begins with one of them can be read to its end.
    pub sound: bool,
    /// Each beginning.
    pub owners: Owners,
}

/// Types of arrays whose elements must be read to tell whether they can be: texts, points, temporal values.
const STRUCTURED: [u8; 3] = [9, 13, 14];

/// Passes over the records of a store. `arrays`: whether what they hold must be arrays.
///
/// Every record that goes on with a value must be the next one of exactly one other: the sum of both sides is zero.
pub(super) fn verify(
    file: &DynamicFile,
    arrays: bool,
    threads: usize,
    mixer: Mixer,
) -> Result<DynamicValues, CheckError> {
    let slots = file.slots();
    let (family, room) = (slots.family(), slots.size().saturating_sub(Dynamic::header_size(slots.family())));
    let high = slots.file().pages().saturating_mul(slots.per_page());
    let firsts = Bits::new(high);
    let found = scan(
        slots,
        high,
        threads,
        || (0_u128, true, Vec::new(), Owners::new(mixer)),
        |(sum, sound, bytes, owners), chunk, _| {
            chunk.slots(|id, slot| {
                let header = DynamicHeader::decode(family, slot);
                if !header.used {
                    return Ok(());
                }
                let faulty = header.length == 0 || header.length < room && header.next != NONE;
                *sound &= !faulty;
                if header.next != NONE {
                    *sum = sum.wrapping_sub(mixer.hash(Claim::Continuation, header.next as u64, 0, 0));
                }
                if !header.start {
                    *sum = sum.wrapping_add(mixer.hash(Claim::Continuation, id, 0, 0));
                    return Ok(());
                }
                owners.begins(if arrays { Owned::Array } else { Owned::Text }, id as i64);
                let readable =
                    !arrays || is_array(file, id, header.data(family, slot), header.next != NONE, bytes);
                if !faulty && readable {
                    firsts.set(id);
                }
                Ok(())
            })
        },
        |(sum, sound, _, owners)| (sum, sound, owners),
    )?;
    let sum = found.iter().fold(0_u128, |sum, (part, ..)| sum.wrapping_add(*part));
    let sound = sum == 0 && found.iter().all(|(_, sound, _)| *sound);
    let mut owners = Owners::new(mixer);
    for (.., part) in &found {
        owners.merge(part);
    }
    Ok(DynamicValues { firsts, sound, owners })
}

/// Whether the value that begins in record `id` with `data` is an array.
fn is_array(file: &DynamicFile, id: u64, data: &[u8], goes_on: bool, bytes: &mut Vec<u8>) -> bool {
    match data {
        [kind, ..] if STRUCTURED.contains(kind) => {
            if !goes_on {
                return array::decode(data).is_ok();
            }
            bytes.clear();
            file.read_chain(DynamicId(id), bytes).is_ok() && array::decode(bytes).is_ok()
        }
        // The elements of numbers are bits: any will do, behind three bytes that tell how many.
        [1..=8, used, width, ..] => *used <= 8 && *width <= 64,
        _ => false,
    }
}
