//! The entries of a property index, as a search finds them.
//!
//! What is behind a pointer that leads astray is not found by Neo4j either. Trees whose structure was checked and is damaged
//! are not read at all, so this matters only without that check. Specification: consistency check 1.3.

use std::cmp::Ordering;
use std::ops::ControlFlow;
use std::sync::atomic::{AtomicBool, Ordering as Memory};

use super::error::CheckError;
use super::value_index::same_values;
use crate::gbptree::{Bound, Layout, LeafWalk, Tree, TreeError};
use crate::index::value::ValueLayout;

/// The tree of an index.
#[derive(Debug)]
pub(super) struct Entries<'a> {
    pub tree: &'a Tree<ValueLayout>,
    /// Whether its structure is known to be damaged.
    damaged: bool,
    /// Whether a search did not come to its end.
    broken: AtomicBool,
}

/// What is done with a key; `false`: that was the last.
type Visit<'v> = dyn FnMut(&[u8]) -> Result<bool, CheckError> + 'v;

impl<'a> Entries<'a> {
    pub fn new(tree: &'a Tree<ValueLayout>, damaged: bool) -> Self {
        Self { tree, damaged, broken: AtomicBool::new(false) }
    }

    /// Whether nothing is known to be wrong with the tree.
    pub fn is_sound(&self) -> bool {
        !self.damaged && !self.broken.load(Memory::Relaxed)
    }

    /// Whether a search did not come to its end, where Neo4j's checker gives up.
    pub fn is_broken(&self) -> bool {
        self.damaged && self.broken.load(Memory::Relaxed)
    }

    /// Visits all entries.
    pub fn all(&self, visit: &mut Visit<'_>) -> Result<(), CheckError> {
        self.from(None, visit)
    }

    /// Whether there is an entry with this key.
    pub fn has(&self, key: &[u8]) -> Result<bool, CheckError> {
        if !self.damaged {
            return Ok(self.unless_damaged(self.tree.get(key, |_| ()))?.flatten().is_some());
        }
        let mut found = false;
        self.from(Some(key), &mut |entry| {
            found = self.tree.layout().compare(entry, key) == Ordering::Equal;
            Ok(false)
        })?;
        Ok(found)
    }

    /// All entities that have the values of a key.
    pub fn entities_with(&self, key: &[u8]) -> Result<Vec<u64>, CheckError> {
        let (mut found, mut wanted) = (Vec::new(), key.to_vec());
        self.from(Some(key), &mut |entry| {
            if !same_values(*self.tree.layout(), &mut wanted, entry) {
                return Ok(false);
            }
            found.extend(entry.first_chunk().map(|entity| u64::from_be_bytes(*entity)));
            Ok(true)
        })?;
        Ok(found)
    }

    fn from(&self, key: Option<&[u8]>, visit: &mut Visit<'_>) -> Result<(), CheckError> {
        if !self.damaged {
            let from = key.map_or(Bound::End, Bound::Key);
            let Some(mut cursor) = self.unless_damaged(self.tree.range(from, Bound::End))? else {
                return Ok(());
            };
            while let Some(Some((entry, _))) = self.unless_damaged(cursor.next())? {
                if !visit(entry)? {
                    break;
                }
            }
            return Ok(());
        }
        let mut failure = None;
        let walk = self.tree.walk_from(key, &mut |entry, _| match visit(entry) {
            Ok(true) => ControlFlow::Continue(()),
            Ok(false) => ControlFlow::Break(()),
            Err(error) => {
                failure = Some(error);
                ControlFlow::Break(())
            }
        });
        match self.unless_damaged(walk)? {
            None | Some(LeafWalk::Ended) => {}
            Some(LeafWalk::Stuck | LeafWalk::Broken) => self.broken.store(true, Memory::Relaxed),
        }
        failure.map_or(Ok(()), Err)
    }

    /// What can't be read counts as not there: `None`.
    fn unless_damaged<T>(&self, read: Result<T, TreeError>) -> Result<Option<T>, CheckError> {
        match read {
            Ok(read) => Ok(Some(read)),
            Err(error @ (TreeError::Disk(_) | TreeError::Cache(_))) => Err(error.into()),
            Err(_) => {
                self.broken.store(true, Memory::Relaxed);
                Ok(None)
            }
        }
    }
}
