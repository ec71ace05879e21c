//! Cleans up after a session that ended without a checkpoint.

use super::error::{OnPage, TreeError};
use super::layout::Layout;
use super::node::{BODY, Body, Kind, PointerName};
use super::page::{self, FIRST_USABLE, OutsidePage, page_type};
use super::pointer::{Generations, Pointer};
use super::tree::Tree;

impl<L: Layout> Tree<L> {
    /// Empties every pointer slot that was written between the last checkpoint and this session.
    ///
    /// Keys, values and counts of nodes that survived the crash were never changed in place, so nothing else needs
    /// repair. It may be repeated: a crash in the middle leaves a file that is cleaned the next time.
    /// Specification: gbptree 3.4.
    pub(super) fn clean_crash_pointers(&self) -> Result<(), TreeError> {
        for id in FIRST_USABLE..=self.state.last_id {
            let pointers = {
                let page = self.pages.read(id)?;
                crashed(&page, &self.body, self.generations()).on(&self.pages.path, id)?
            };
            if pointers.is_empty() {
                continue;
            }
            let mut page = self.pages.write(id)?;
            for (name, cleaned) in pointers {
                self.body.put_pointer(&mut page, name, &cleaned).on(&self.pages.path, id)?;
            }
        }
        Ok(())
    }
}

/// The pointers of a page with slots of a crashed session, already cleaned. Whatever is on the page: it may be a node
/// that was never finished.
fn crashed(
    page: &[u8],
    body: &Body,
    generations: Generations,
) -> Result<Vec<(PointerName, Pointer)>, OutsidePage> {
    let mut found = Vec::new();
    let [page_type, node_type, _, _, _, _, count @ ..] = *page::array::<{ BODY }>(page, 0)?;
    if page_type != page_type::TREE_NODE {
        return Ok(found);
    }
    let mut examine = |name| -> Result<(), OutsidePage> {
        let mut pointer = body.pointer(page, name)?;
        if pointer.clean(generations) {
            found.push((name, pointer));
        }
        Ok(())
    };
    for name in [PointerName::Successor, PointerName::LeftSibling, PointerName::RightSibling] {
        examine(name)?;
    }
    if node_type == 0 {
        let count = page::i32_at(&count, 0)?;
        let most = body.max_keys(Kind::Internal);
        let count = usize::try_from(count).unwrap_or(0).min(most);
        for position in 0..=count {
            // In a dynamic node the greatest count that is possible at all reaches beyond the page.
            if examine(PointerName::Child(position)).is_err() {
                break;
            }
        }
    }
    Ok(found)
}
