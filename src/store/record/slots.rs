//! The slots of a store file: where they are, one after the other, and all at disk speed.

use std::fmt;
use std::ops::RangeInclusive;

use super::reference::RESERVED;
use crate::io::disk::DiskFile;
use crate::store::error::{Malformed, StoreError};
use crate::store::format::Family;
use crate::store::page_cache::{CachedFile, PageCache, PageMut, PageRef};

/// A store file, cut into slots. A slot never crosses a page. Specification: store format 2.1, 2.3.
pub struct Slots {
    file: CachedFile,
    family: Family,
    size: usize,
    per_page: u64,
    /// The first id that is not reserved.
    first: u64,
    /// The greatest id.
    most: u64,
}

/// Pages that a scan reads in one step: up to 256 KiB.
const SCAN_PAGES: u64 = 32;

impl Slots {
    /// The slots of `size` bytes in a file. Ids below `first` are reserved, those above `most` don't exist.
    pub(super) fn open(
        cache: &PageCache,
        file: Box<dyn DiskFile>,
        family: Family,
        size: usize,
        ids: RangeInclusive<u64>,
    ) -> Result<Self, StoreError> {
        let file = cache.open(file, family.page_size(size))?;
        let (first, most) = ids.into_inner();
        let per_page = Family::records_per_page(size) as u64;
        Ok(Self { file, family, size, per_page, first, most })
    }

    /// The file.
    pub fn file(&self) -> &CachedFile {
        &self.file
    }

    /// The format of the records.
    pub fn family(&self) -> Family {
        self.family
    }

    /// Bytes of a slot.
    pub fn size(&self) -> usize {
        self.size
    }

    /// The first id that is not reserved.
    pub fn first(&self) -> u64 {
        self.first
    }

    /// Slots in a page.
    pub fn per_page(&self) -> u64 {
        self.per_page
    }

    /// The id that no record ever has.
    pub const NO_ID: u64 = RESERVED;

    /// The ids that records may have, [`NO_ID`](Self::NO_ID) excepted.
    pub fn ids(&self) -> RangeInclusive<u64> {
        self.first..=self.most
    }

    /// An error of a record of this file.
    pub fn malformed(&self, id: u64, source: Malformed) -> StoreError {
        StoreError::Record { path: self.file.file().path().to_owned(), id, source }
    }

    /// Page and offset in it.
    fn locate(&self, id: u64) -> (u64, usize) {
        // No file has pages of no record: the sizes of slots are between 1 and 8192.
        let page = id.checked_div(self.per_page).unwrap_or_default();
        (page, (id - page * self.per_page) as usize * self.size)
    }

    /// The slot with the highest id among those that `is_in_use` says yes to.
    pub(super) fn highest(&self, is_in_use: impl Fn(&[u8]) -> bool) -> Result<Option<u64>, StoreError> {
        for page in (0..self.file.pages()).rev() {
            let Some(slots) = self.file.read(page)? else { continue };
            if let Some(index) = slots.chunks_exact(self.size).rposition(&is_in_use) {
                let id = page * self.per_page + index as u64;
                return Ok((id >= self.first).then_some(id));
            }
        }
        Ok(None)
    }

    /// Calls `visit` with id and bytes of each slot that is not reserved, in the order of the file, past the cache.
    /// What was written before is seen; nothing may be written meanwhile.
    pub(super) fn scan<E: From<StoreError>>(
        &self,
        visit: impl FnMut(u64, &[u8]) -> Result<(), E>,
    ) -> Result<(), E> {
        self.scan_part(0, 1, visit)
    }

    /// [`scan`](Self::scan) of one of `parts` parts of the file that are about equal; 0 is the first.
    pub(super) fn scan_part<E: From<StoreError>>(
        &self,
        part: u64,
        parts: u64,
        mut visit: impl FnMut(u64, &[u8]) -> Result<(), E>,
    ) -> Result<(), E> {
        self.file.flush().map_err(StoreError::from)?;
        let page_size = self.file.page_size();
        let pages = self.file.pages();
        let share = pages.div_ceil(parts.max(1));
        let start = share.saturating_mul(part).min(pages);
        let end = start.saturating_add(share).min(pages);
        let mut buffer = vec![0; page_size * SCAN_PAGES.min(end - start) as usize];
        for first_page in (start..end).step_by(SCAN_PAGES as usize) {
            let count = SCAN_PAGES.min(end - first_page) as usize;
            let bytes = buffer.get_mut(..count * page_size).unwrap_or_default();
            let offset = first_page.saturating_mul(page_size as u64);
            let read = self.file.file().read_at(offset, bytes).map_err(StoreError::from)?;
            bytes.iter_mut().skip(read).for_each(|byte| *byte = 0);
            for (page, slots) in (first_page..).zip(bytes.chunks_exact(page_size)) {
                for (id, slot) in (page * self.per_page..).zip(slots.chunks_exact(self.size)) {
                    if id >= self.first {
                        visit(id, slot)?;
                    }
                }
            }
        }
        Ok(())
    }

    /// A reader of slots.
    pub fn reader(&self) -> SlotReader<'_> {
        SlotReader { slots: self, held: None }
    }

    /// A writer of slots.
    pub(super) fn writer(&self) -> SlotWriter<'_> {
        SlotWriter { slots: self, held: None }
    }
}

impl fmt::Debug for Slots {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Slots").field("file", &self.file).field("size", &self.size).finish_non_exhaustive()
    }
}

/// Reads slots; holds the page of the last one, so neighbours cost no look-up.
pub struct SlotReader<'a> {
    slots: &'a Slots,
    held: Option<(u64, PageRef<'a>)>,
}

impl SlotReader<'_> {
    /// The bytes of a slot; `None` behind the end of the file.
    pub fn slot(&mut self, id: u64) -> Result<Option<&[u8]>, StoreError> {
        let (page, offset) = self.slots.locate(id);
        if self.held.as_ref().is_none_or(|(held, _)| *held != page) {
            // Let go first: whoever holds one page while waiting for another may wait for ever.
            self.held = None;
            self.held = self.slots.file.read(page)?.map(|content| (page, content));
        }
        Ok(self.held.as_ref().and_then(|(_, content)| content.get(offset..offset + self.slots.size)))
    }

    /// Lets go of the page.
    pub fn release(&mut self) {
        self.held = None;
    }
}

impl fmt::Debug for SlotReader<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SlotReader").field("slots", self.slots).finish_non_exhaustive()
    }
}

/// Writes slots; holds the page of the last one.
pub(super) struct SlotWriter<'a> {
    slots: &'a Slots,
    held: Option<(u64, PageMut<'a>)>,
}

impl SlotWriter<'_> {
    /// The bytes of a slot, to change. The file grows to its page.
    pub(super) fn slot(&mut self, id: u64) -> Result<&mut [u8], StoreError> {
        let &Slots { first, most, size, ref file, .. } = self.slots;
        if id < first || id > most || id == RESERVED {
            let path = file.file().path().to_owned();
            return Err(StoreError::IdOutOfRange { path, id, least: first, most });
        }
        let (page, offset) = self.slots.locate(id);
        let content = match self.held.take() {
            Some((held, content)) if held == page => content,
            other => {
                drop(other);
                file.write(page)?
            }
        };
        let (_, content) = self.held.insert((page, content));
        Ok(content.get_mut(offset..offset + size).unwrap_or_default())
    }
}
