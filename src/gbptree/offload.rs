//! Pages of their own for entries that are too long for a node.

use super::page::{self, OutsidePage, page_type};

/// An offload page: one entry of a leaf, or one key of an internal node.
///
/// | Offset   | Size | Field                                    |
/// |---------:|-----:|------------------------------------------|
/// |        0 |    1 | page type: 3                             |
/// |        1 |    8 | reserved, zero                           |
/// |        9 |    4 | bytes of the key                         |
/// |       13 |    4 | bytes of the value; 0 in internal nodes  |
/// |       17 |      | key, then value                          |
///
/// Specification: gbptree 2.2.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Offloaded<'p> {
    /// Key.
    pub key: &'p [u8],
    /// Value.
    pub value: &'p [u8],
}

const KEY_SIZE: usize = 9;
const VALUE_SIZE: usize = 13;
const ENTRY: usize = 17;

/// The most bytes of key and value on a page.
pub(super) fn capacity(page_size: usize) -> usize {
    page_size - ENTRY
}

impl<'p> Offloaded<'p> {
    pub(super) fn decode(page: &'p [u8]) -> Result<Self, OffloadError> {
        let [found] = *page::array(page, 0)?;
        if found != page_type::OFFLOAD {
            return Err(OffloadError::PageType(found));
        }
        let (key_size, value_size) = (page::i32_at(page, KEY_SIZE)?, page::i32_at(page, VALUE_SIZE)?);
        let entry = usize::try_from(key_size).ok().zip(usize::try_from(value_size).ok());
        entry
            .and_then(|(key_size, value_size)| {
                let key = page::slice(page, ENTRY, key_size).ok()?;
                Some(Self { key, value: page::slice(page, ENTRY + key_size, value_size).ok()? })
            })
            .ok_or(OffloadError::Size { key_size, value_size })
    }

    /// The exact reverse, on a page of zeros.
    pub(super) fn encode(&self, page: &mut [u8]) -> Result<(), OutsidePage> {
        let size = |bytes: &[u8]| u32::try_from(bytes.len()).unwrap_or(u32::MAX).to_be_bytes();
        page::put(page, 0, &[page_type::OFFLOAD])?;
        page::put(page, KEY_SIZE, &size(self.key))?;
        page::put(page, VALUE_SIZE, &size(self.value))?;
        page::put(page, ENTRY, self.key)?;
        page::put(page, ENTRY + self.key.len(), self.value)
    }
}

/// A page is not the offload page that it should be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum OffloadError {
    /// Another kind of page.
    #[error("Tried to read from offload store but page is not an offload page. Expected 3 but was {0}")]
    PageType(u8),
    /// More bytes than the page has.
    #[error("Read unreliable key, keySize={key_size}, valueSize={value_size}")]
    Size {
        /// As stored.
        key_size: i32,
        /// As stored.
        value_size: i32,
    },
    /// A field does not fit the page.
    #[error(transparent)]
    Outside(#[from] OutsidePage),
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_entry_survives_its_page() {
        let mut page = vec![0; 512];
        let (key, value) = ([7; 400], [9; 95]);
        let entry = Offloaded { key: &key, value: &value };
        assert_eq!(capacity(512), 495);
        entry.encode(&mut page).unwrap();
        assert_eq!(page[..17], [3, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0x90, 0, 0, 0, 95]);
        assert_eq!(Offloaded::decode(&page), Ok(entry));
        page[16] += 1;
        assert_eq!(Offloaded::decode(&page), Err(OffloadError::Size { key_size: 400, value_size: 96 }));
        page[9] = 0xff;
        assert!(matches!(Offloaded::decode(&page), Err(OffloadError::Size { key_size: ..0, .. })));
        page[0] = 1;
        assert_eq!(Offloaded::decode(&page), Err(OffloadError::PageType(1)));
    }
}
