//! The generation-aware B+ tree file: counts, id files, lookup indexes and native value indexes are such trees.
//!
//! | Part | Subject |
//! |---|---|
//! | [`layout`] | what a tree must know of its keys |
//! | [`tree`], [`cursor`], [`write`] | open, read, change, checkpoint |
//! | [`builder`] | a whole tree from sorted entries |
//! | [`check`] | the structure check |
//! | [`meta`], [`state`], [`pointer`], [`node`], [`fixed`], [`dynamic`], [`offload`] | what is on the pages |
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
pub use cursor::{Bound, Cursor};
pub use error::TreeError;
pub use layout::Layout;
pub use meta::{LayoutId, Meta, MetaError, NodeFormat};
pub use node::{NodeError, PointerName};
pub use offload::OffloadError;
pub use page::OutsidePage;
pub use pointer::{Generations, PointerError, Slot, SlotState};
pub use report::{Inconsistency, Neighbour};
pub use state::{State, StateError};
pub use tree::{Tree, read_header};
pub use write::Change;
