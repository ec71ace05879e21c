//! What Neo4j keeps in trees and beside them: free ids, counts, statistics and indexes.
//!
//! | Module | File |
//! |---|---|
//! | [`id_file`] | `*.id`: which ids of a record store are free |
//! | [`counts`] | numbers of nodes and relationships; degrees of dense nodes |
//! | [`statistics`] | samples of value indexes |
//! | [`token`] | nodes by label, relationships by type |
//! | [`value`] | values of properties: keys of the native indexes |
//! | [`lucene`] | indexes that are Lucene's: whether they are complete, and what is in them |
//! | [`files`] | where all of them are, and their removal |
//! | [`recount`], [`token_scan`] | counts, degrees and lookup indexes from the record stores |
//! | [`replacement`] | a tree built beside the file that it replaces |
//!
//! The room knows what keys and values mean, [`gbptree`](crate::gbptree) how they are stored. It knows nothing of the
//! order in which a recovery works.

pub mod counts;
mod error;
pub mod files;
pub mod id_file;
pub mod lucene;
pub mod recount;
pub mod replacement;
pub mod statistics;
pub mod token;
pub mod token_scan;
pub mod value;

pub use error::IndexError;

use std::io;
use std::path::Path;

use crate::io::disk::{Disk, DiskError, DiskFile};

/// Opens a file; `None`: there is none.
fn open_existing(disk: &dyn Disk, path: &Path) -> Result<Option<Box<dyn DiskFile>>, DiskError> {
    match disk.open(path) {
        Ok(file) => Ok(Some(file)),
        Err(error) if error.source.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}
