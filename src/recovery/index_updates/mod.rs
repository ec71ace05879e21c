//! Index updates of a recovery: what the transactions of a window mean for indexes, and how the indexes come to its end.
//!
//! | Step | Module |
//! |---|---|
//! | What indexes are about, before anything is recovered | `watch` |
//! | Commands to events, one per transaction and entity | `collect`, `carried`, `parts`, `event` |
//! | Events of an entity to the keys that it must and must not have | `derive`, `finals`, `target`, `token_ranges` |
//! | Changes sorted and made in the trees | `key_order`, `trees` |
//! | Indexes built from the stores | `build` |
//! | What to do with which index, and what became of it | `apply`, `existing`, `outcome` |
//!
//! A file may be as of any moment of the window, so no difference between start and end is made: each key that an entity
//! had at any moment and not in the end is removed, each key that it has in the end is put. Specification: transaction
//! log 8.7, 8.15.

mod apply;
mod build;
mod carried;
mod collect;
mod derive;
mod event;
mod existing;
mod finals;
mod key_order;
mod outcome;
mod parts;
mod target;
#[cfg(test)]
mod tests;
mod token_ranges;
mod trees;
mod watch;

pub use apply::{Context, Events};
pub use collect::Collector;
pub use outcome::{BuiltIndex, Cause, FailedIndex, Index, IndexOutcome, RemovedIndex, UpdatedIndex};
pub use watch::Watch;

use crate::index::value::SpatialSettings;
use crate::io::bytes::OutOfBytes;
use crate::recovery::RecoveryError;
use crate::store::error::StoreError;
use crate::store::schema::{EntityType, IndexRule, SchemaRule};

/// Where an index lays points.
fn spatial(rule: &SchemaRule, index: &IndexRule) -> Result<SpatialSettings, RecoveryError> {
    SpatialSettings::of(index).map_err(|reason| StoreError::Rule { id: rule.id, reason }.into())
}

/// What is said of an event that can't be read back.
fn malformed_event(event: &[u8], source: OutOfBytes) -> RecoveryError {
    let entity = event::Entity::of(event);
    let (entity, id) = entity.map_or((EntityType::Node, 0), |entity| (entity.kind(), entity.id()));
    RecoveryError::IndexedValue { entity, id, source: source.into() }
}
