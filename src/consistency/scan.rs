//! Reads a store from its first record to its last, past the cache, with all threads.
//!
//! A thread takes the next 64 pages, half a mebibyte, reads them in one step and visits their records. So each file is
//! read about in its order, and no two threads wait for each other. 64 pages of any record size end at an id that can
//! be divided by 64, as the ranges of the token indexes do.

use std::num::NonZeroU64;
use std::sync::atomic::{AtomicU64, Ordering};

use super::error::CheckError;
use super::plan::CHUNK_PAGES;
use super::raw::{Raw, high_limit};
use crate::store::format::Family;
use crate::store::record::{SlotReader, Slots};

/// A part of a store in memory.
#[derive(Debug)]
pub(super) struct Chunk<'b> {
    family: Family,
    /// The id of its first slot.
    pub first: u64,
    /// The id behind its last slot.
    pub end: u64,
    least: u64,
    bytes: &'b [u8],
    page_size: usize,
    size: usize,
}

impl Chunk<'_> {
    /// Calls `visit` for each slot.
    #[inline]
    pub fn slots<E>(&self, mut visit: impl FnMut(u64, &[u8]) -> Result<(), E>) -> Result<(), E> {
        let mut id = self.first;
        for page in self.bytes.chunks_exact(self.page_size) {
            for slot in page.chunks_exact(self.size) {
                if id >= self.end {
                    return Ok(());
                }
                if id >= self.least {
                    visit(id, slot)?;
                }
                id += 1;
            }
        }
        Ok(())
    }

    /// Calls `visit` for each record, in use or not. `units`: of the same store.
    #[inline]
    pub fn records<R: Raw>(
        &self,
        units: &mut SlotReader<'_>,
        mut visit: impl FnMut(R) -> Result<(), CheckError>,
    ) -> Result<(), CheckError> {
        match self.family {
            Family::Standard | Family::Aligned => self.slots(|id, slot| visit(R::standard(id as i64, slot))),
            Family::HighLimit => self.slots(|id, slot| {
                let record = high_limit(id as i64, slot, units)?;
                units.release();
                visit(record)
            }),
        }
    }
}

/// Visits all slots of a store below `high` in chunks, each thread with a state of its own that `begin` makes; returns
/// what `end` makes of the states.
pub(super) fn scan<'s, W, R: Send>(
    slots: &'s Slots,
    high: u64,
    threads: usize,
    begin: impl Fn() -> W + Sync,
    visit: impl Fn(&mut W, &Chunk<'_>, &mut SlotReader<'s>) -> Result<(), CheckError> + Sync,
    end: impl Fn(W) -> R + Sync,
) -> Result<Vec<R>, CheckError> {
    let pages = pages_below(slots, high);
    let chunks = pages.div_ceil(CHUNK_PAGES);
    let next = AtomicU64::new(0);
    let work = || -> Result<R, CheckError> {
        let mut state = begin();
        let mut units = slots.reader();
        let mut buffer = Vec::new();
        loop {
            let chunk = next.fetch_add(1, Ordering::Relaxed);
            if chunk >= chunks {
                return Ok(end(state));
            }
            fetch(slots, chunk + if chunk == 0 { 1 } else { AHEAD }, if chunk == 0 { AHEAD } else { 1 });
            let done = read_chunk(slots, high, chunk, &mut buffer)
                .and_then(|chunk| visit(&mut state, &chunk, &mut units));
            if let Err(error) = done {
                // The others need not go on.
                next.store(chunks, Ordering::Relaxed);
                return Err(error);
            }
        }
    };
    let threads = threads.min(usize::try_from(chunks).unwrap_or(usize::MAX));
    if threads <= 1 {
        return Ok(vec![work()?]);
    }
    in_threads(threads, |_| work())
}

/// Chunks that the system fetches while others are worked on.
const AHEAD: u64 = 8;

/// Lets the system fetch chunks that will be read.
fn fetch(slots: &Slots, first: u64, count: u64) {
    let bytes = CHUNK_PAGES.saturating_mul(slots.file().page_size() as u64);
    if let Some(length) = NonZeroU64::new(bytes.saturating_mul(count)) {
        slots.file().file().will_read(first.saturating_mul(bytes), length);
    }
}

/// The pages of a store that have slots below `high`.
pub(super) fn pages_below(slots: &Slots, high: u64) -> u64 {
    slots.file().pages().min(high.div_ceil(slots.per_page().max(1)))
}

/// Reads a chunk of a store; `buffer` grows to the size of a chunk.
pub(super) fn read_chunk<'b>(
    slots: &Slots,
    high: u64,
    chunk: u64,
    buffer: &'b mut Vec<u8>,
) -> Result<Chunk<'b>, CheckError> {
    let page_size = slots.file().page_size();
    let first_page = chunk * CHUNK_PAGES;
    let count = CHUNK_PAGES.min(pages_below(slots, high).saturating_sub(first_page));
    buffer.resize(count as usize * page_size, 0);
    let read = slots.file().file().read_at(first_page.saturating_mul(page_size as u64), buffer)?;
    buffer.iter_mut().skip(read).for_each(|byte| *byte = 0);
    let first = first_page * slots.per_page();
    Ok(Chunk {
        family: slots.family(),
        first,
        end: high.min(first + count * slots.per_page()),
        least: slots.first(),
        bytes: buffer,
        page_size,
        size: slots.size(),
    })
}

/// Does work in several threads at once and returns what each made of it; an error of one is the error of all.
pub(super) fn in_threads<W: Send>(
    threads: usize,
    work: impl Fn(usize) -> Result<W, CheckError> + Sync,
) -> Result<Vec<W>, CheckError> {
    std::thread::scope(|scope| {
        let work = &work;
        let handles: Vec<_> = (0..threads).map(|index| scope.spawn(move || work(index))).collect();
        let mut made = Vec::with_capacity(threads);
        for handle in handles {
            match handle.join() {
                Ok(done) => made.push(done),
                Err(panic) => std::panic::resume_unwind(panic),
            }
        }
        made.into_iter().collect()
    })
}
