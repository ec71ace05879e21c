//! The generation-aware B+ tree file: counts, id files, lookup indexes and native value indexes are such trees.
//!
//! | Type | Subject |
//! |---|---|
//! | [`Layout`] | what a tree must know of its keys |
//! | [`Tree`], [`Cursor`] | open, read, change, checkpoint |
//! | [`Builder`] | a whole tree from sorted entries |
//! | [`Structure`], [`Inconsistency`] | the structure check |
//! | [`Meta`], [`State`], [`Slot`] and the private modules | what is on the pages |
//!
//! It knows nothing of what keys mean. `docs/gbptree.md` tells why the file is as it is.

mod builder;
mod check;
mod clean;
mod cursor;
mod dynamic;
mod error;
mod fixed;
mod free_list;
mod layout;
mod leaves;
mod meta;
mod node;
mod offload;
mod page;
mod pointer;
mod report;
mod shrink;
mod state;
mod tree;
mod write;

pub use builder::Builder;
pub use check::Structure;
pub use cursor::{Bound, Cursor, KeyValue};
pub use error::TreeError;
pub use layout::{Layout, hexadecimal};
pub use leaves::LeafWalk;
pub use meta::{LayoutId, Meta, MetaError, NodeFormat};
pub use node::{NodeError, PointerName};
pub use offload::OffloadError;
pub use page::OutsidePage;
pub use pointer::{Generations, PointerError, Slot, SlotState};
pub use report::{Inconsistency, Neighbour};
pub use state::{State, StateError};
pub use tree::{Tree, read_header};
pub use write::Change;
