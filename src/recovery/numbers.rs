//! The counts store and the degrees store.
//!
//! They must end with the same transaction as the metadata store, otherwise Neo4j counts everything anew when it starts.
//! Specification: transaction log 8.6.

use std::path::PathBuf;

use super::RecoveryError;
use super::apply::usable;
use super::progress::{RecoveryEvent, RecoveryProgress};
use super::totals::Sums;
use crate::index::counts::{Counted, CountsStore};
use crate::io::disk::SharedDisk;
use crate::store::id::TransactionId;
use crate::store::layout::{self, DatabaseLayout};
use crate::store::page_cache::PageCache;

/// One of the two stores.
pub(super) struct Numbers {
    /// `None`: it must be built from the record stores.
    pub store: Option<CountsStore>,
    pub path: PathBuf,
    is_degrees: bool,
}

impl Numbers {
    pub(super) fn counts(
        cache: &PageCache,
        disk: &SharedDisk,
        layout: &DatabaseLayout,
    ) -> Result<Self, RecoveryError> {
        Self::open(cache, disk, layout.database.join(layout::COUNTS), false)
    }

    pub(super) fn degrees(
        cache: &PageCache,
        disk: &SharedDisk,
        layout: &DatabaseLayout,
    ) -> Result<Self, RecoveryError> {
        Self::open(cache, disk, layout.database.join(layout::DEGREES), true)
    }

    fn open(
        cache: &PageCache,
        disk: &SharedDisk,
        path: PathBuf,
        is_degrees: bool,
    ) -> Result<Self, RecoveryError> {
        let store = usable(CountsStore::open(cache, &**disk, &path))?.flatten();
        Ok(Self { store, path, is_degrees })
    }

    /// Keeps the store only if it can be brought to the end of the window: if it has seen everything before the window
    /// and nothing that is taken back. `first`: the first transaction of the window; if there is none, the one that
    /// would follow.
    pub(super) fn keep_if_covering(&mut self, first: TransactionId, has_seen_taken_back: bool) {
        let covers = |store: &CountsStore| store.last_applied() >= first.previous() && !has_seen_taken_back;
        self.store = self.store.take().filter(covers);
    }

    /// Adds the sums. `None`: the store is unusable or was not kept, and must be built.
    pub(super) fn add(
        self,
        sums: &mut Sums,
        progress: &dyn RecoveryProgress,
    ) -> Result<Option<CountsStore>, RecoveryError> {
        let mut store = self.store;
        while let Some((key, sum)) = sums.next(self.is_degrees)? {
            let Some(numbers) = &mut store else { continue };
            match usable(numbers.add(key, sum))? {
                Some(Counted::Sound) => {}
                Some(Counted::Negative) => {
                    progress.event(&RecoveryEvent::NegativeCount { key: format!("{key:?}") });
                }
                None => store = None,
            }
        }
        Ok(store)
    }
}
