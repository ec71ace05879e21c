//! Value indexes that Neo4j keeps in trees: `native-btree-1.0`, `range-1.0`, `point-1.0`, and the tree of
//! `lucene+native-3.0`.
//!
//! | Item | Subject |
//! |---|---|
//! | [`encode_key`], [`decode_key`] | values as keys and back |
//! | [`ValueLayout`] | the order of keys, and what parts them in internal nodes |
//! | [`ValueState`], [`Builder`] | the file |
//! | [`text`] | values and keys as reports show them |
//! | [`SpatialSettings`] | where points lie on the space-filling curve |
//!
//! Specification: indexes 1 to 6.

mod curve;
mod decode;
mod encode;
mod file;
mod layout;
mod number;
mod separator;
mod slot;
mod spatial;
#[cfg(test)]
mod testing;
#[cfg(test)]
mod tests;
pub mod text;
mod zone;

pub use decode::decode_key;
pub use encode::{KeyTooLong, MAX_KEY, encode_key};
pub use file::{Builder, ValueState};
pub use layout::ValueLayout;
pub use slot::KeyKind;
pub use spatial::SpatialSettings;
