//! Pages that nobody uses any more, first in first out.

use std::sync::Arc;

use super::error::{OnPage, TreeError};
use super::layout::Layout;
use super::page::{self, FIRST_USABLE, OutsidePage, page_type};
use super::state::FreePosition;
use super::tree::Tree;

/// An entry of a free-list page.
///
/// | Offset     | Size | Field                                                                   |
/// |-----------:|-----:|-------------------------------------------------------------------------|
/// |          0 |    1 | page type: 2, or 0 until the page is full (2 on the first of a file)    |
/// |          1 |    6 | next page of the list: low 32 bits, then high 16 bits; 0 = none yet     |
/// | 7 + 10 * i |    4 | generation in which page i was released                                 |
/// | 11 + 10 * i |   6 | page i: low 32 bits, then high 16 bits                                  |
///
/// Specification: gbptree 2.3.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Freed {
    pub generation: u32,
    pub page: u64,
}

const NEXT: usize = 1;
const FIRST_ENTRY: usize = 7;
const ENTRY: usize = 10;

impl Freed {
    pub fn decode(page: &[u8], entry: u32) -> Result<Self, OutsidePage> {
        let [g0, g1, g2, g3, id @ ..] = *page::array::<ENTRY>(page, FIRST_ENTRY + entry as usize * ENTRY)?;
        Ok(Self { generation: u32::from_be_bytes([g0, g1, g2, g3]), page: page::id48(id) })
    }

    fn encode(self, page: &mut [u8], entry: u32) -> Result<(), OutsidePage> {
        let offset = FIRST_ENTRY + entry as usize * ENTRY;
        page::put(page, offset, &self.generation.to_be_bytes())?;
        page::put(page, offset + 4, &page::id48_bytes(self.page))
    }
}

/// Entries of a free-list page: 818 in pages of 8192 bytes.
pub(super) fn entries(page_size: usize) -> u32 {
    u32::try_from((page_size - FIRST_ENTRY) / ENTRY).unwrap_or(u32::MAX)
}

/// The page of the list that follows.
pub(super) fn next(page: &[u8]) -> Result<u64, OutsidePage> {
    page::array(page, NEXT).map(|bytes| page::id48(*bytes))
}

/// Makes a page of zeros the first page of a list.
pub(super) fn start(page: &mut [u8]) -> Result<(), OutsidePage> {
    page::put(page, 0, &[page_type::FREE_LIST])
}

impl<L: Layout> Tree<L> {
    /// A page to use, without what was on it. It is not zeroed yet.
    pub(super) fn acquire(&mut self) -> Result<u64, TreeError> {
        match self.take_free(entries(self.pages.size()))? {
            Some(page) => Ok(page),
            None => self.grow(),
        }
    }

    /// A page behind the last one.
    fn grow(&mut self) -> Result<u64, TreeError> {
        let id = self.state.last_id + 1;
        if id >= 1 << 48 {
            return Err(self.used_up());
        }
        self.state.last_id = id;
        Ok(id)
    }

    /// The oldest free page, if it was released before the last checkpoint and stands before `limit` in its list page.
    fn take_free(&mut self, limit: u32) -> Result<Option<u64>, TreeError> {
        let FreePosition { page: id, entry } = self.state.free_read;
        let write = self.state.free_write;
        if id == write.page && entry >= write.entry || entry >= limit {
            return Ok(None);
        }
        let (freed, following) = {
            let page = self.pages.read(id)?;
            (Freed::decode(&page, entry).on(&self.pages.path, id)?, next(&page).on(&self.pages.path, id)?)
        };
        if freed.generation > self.generations().stable {
            return Ok(None);
        }
        self.check_free(id, freed.page)?;
        if entry + 1 < entries(self.pages.size()) {
            self.state.free_read.entry = entry + 1;
        } else {
            self.check_free(id, following)?;
            self.state.free_read = FreePosition { page: following, entry: 0 };
            self.release(id)?;
        }
        Ok(Some(freed.page))
    }

    /// Notes that a page is not used any more. It is used again only after the next checkpoint.
    pub(super) fn release(&mut self, page: u64) -> Result<(), TreeError> {
        let FreePosition { page: id, entry } = self.state.free_write;
        let freed = Freed { generation: self.generations().unstable, page };
        freed.encode(&mut self.pages.write(id)?, entry).on(&self.pages.path, id)?;
        let most = entries(self.pages.size());
        if entry + 1 < most {
            self.state.free_write.entry = entry + 1;
            return Ok(());
        }
        // The last entry of a list page is left alone here: taking it would release that page in the middle of this.
        let following = match self.take_free(most - 1)? {
            Some(page) => page,
            None => self.grow()?,
        };
        drop(self.pages.write_zeroed(following)?);
        let mut full = self.pages.write(id)?;
        page::put(&mut full, 0, &[page_type::FREE_LIST]).on(&self.pages.path, id)?;
        page::put(&mut full, NEXT, &page::id48_bytes(following)).on(&self.pages.path, id)?;
        self.state.free_write = FreePosition { page: following, entry: 0 };
        Ok(())
    }

    /// Whether the free list can be used at all.
    pub(super) fn check_free_list(&self) -> Result<(), TreeError> {
        let most = entries(self.pages.size());
        for FreePosition { page, entry } in [self.state.free_read, self.state.free_write] {
            self.check_free(self.state_page.id(), page)?;
            if entry >= most {
                return Err(self.astray(self.state_page.id(), page));
            }
        }
        Ok(())
    }

    fn check_free(&self, from: u64, to: u64) -> Result<(), TreeError> {
        if (FIRST_USABLE..=self.state.last_id).contains(&to) { Ok(()) } else { Err(self.astray(from, to)) }
    }

    fn astray(&self, page: u64, leads_to: u64) -> TreeError {
        let path = Arc::clone(&self.pages.path);
        TreeError::FreeList { path, page, leads_to, last_id: self.state.last_id }
    }
}
