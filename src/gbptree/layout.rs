//! What a tree must know of its keys.

use std::cmp::Ordering;
use std::fmt::Write;

use super::meta::{LayoutId, NodeFormat};

/// Keys and values of one kind of tree, as bytes. The tree orders and moves them and knows nothing else of them.
///
/// All functions get whatever is in the file: they must not panic on bytes that are no key.
pub trait Layout {
    /// What the meta page of such a tree says.
    fn id(&self) -> LayoutId;

    /// How its nodes are laid out.
    fn format(&self) -> NodeFormat;

    /// The order of two keys: total over all bytes, also those that are no key.
    fn compare(&self, left: &[u8], right: &[u8]) -> Ordering;

    /// Writes a key `k` with `left < k <= right` into `separator`, which is empty: the shorter, the more children fit an
    /// internal node. With nodes of fixed size it has the size of every key. The default is all of `right`.
    fn separator(&self, left: &[u8], right: &[u8], separator: &mut Vec<u8>) {
        let _ = left;
        separator.extend_from_slice(right);
    }

    /// Whether the bytes are a key. The structure check asks this for every key.
    fn is_key(&self, key: &[u8]) -> bool {
        let _ = key;
        true
    }

    /// A key as reports of the structure check show it.
    fn describe(&self, key: &[u8]) -> String {
        hexadecimal(key)
    }
}

/// The bytes of a key in hexadecimal digits.
pub fn hexadecimal(key: &[u8]) -> String {
    key.iter().fold(String::with_capacity(2 * key.len()), |mut text, byte| {
        // Writing into a string cannot fail.
        let _ = write!(text, "{byte:02x}");
        text
    })
}
