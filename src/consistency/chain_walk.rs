//! Walks along chains of dynamic records, as they are.

use rustc_hash::FxHashSet;

use super::raw::{DynamicHeader, NONE, RawDynamic, RawReader};
use crate::store::error::StoreError;
use crate::store::record::CycleGuard;

/// Ids of a chain that are kept to see where it closes first. Longer chains close later, which still ends the walk.
const MOST_VISITED: usize = 1 << 20;

/// The records of a chain so far.
#[derive(Debug, Default)]
pub(super) struct Visited {
    ids: FxHashSet<i64>,
    guard: CycleGuard,
}

impl Visited {
    /// Adds a record; `true`: the chain has been there.
    pub fn closes(&mut self, id: i64) -> bool {
        if self.ids.len() < MOST_VISITED {
            return !self.ids.insert(id);
        }
        self.ids.contains(&id) || self.guard.closes(id as u64)
    }

    pub fn clear(&mut self) {
        self.ids.clear();
        self.guard = CycleGuard::default();
    }
}

/// What a walk meets.
#[derive(Debug)]
pub(super) enum Step<'a> {
    /// The first record is not in use; the walk ends.
    FirstNotInUse(&'a RawDynamic),
    /// A later record is not in use; the walk ends.
    NextNotInUse(&'a RawDynamic),
    /// A record that the chain has passed already follows this one; the walk ends.
    Cycle(&'a RawDynamic),
    /// A record without data.
    Empty(&'a RawDynamic),
    /// A record with room left and one that follows.
    NotFull(&'a RawDynamic),
}

/// Walks a chain; `meet` gets what is wrong with it, `value`, if anyone wants it, the data. Specification: consistency check 2.6 to 2.8.
pub(super) fn walk(
    reader: &mut RawReader<'_, RawDynamic>,
    first: i64,
    mut value: Option<&mut Vec<u8>>,
    mut meet: impl FnMut(Step<'_>) -> Result<(), StoreError>,
) -> Result<(), StoreError> {
    let room = reader.room();
    let mut visited = Visited::default();
    let mut last: Option<RawDynamic> = None;
    let mut id = first;
    if let Some(value) = &mut value {
        value.clear();
    }
    while id != NONE {
        if let Some(last) = &last
            && visited.closes(id)
        {
            return meet(Step::Cycle(last));
        }
        if last.is_none() {
            visited.closes(id);
        }
        let mut record = reader.get(id)?;
        if !record.header.used {
            // Neo4j stops reading at a length that is too great: the rest is that of the record that it read before.
            if let Some(last) = &last
                && record.header.too_long
            {
                let header = DynamicHeader { used: false, too_long: true, ..last.header };
                record = RawDynamic { id, header, data: last.data.clone() };
            }
            return meet(match last {
                None => Step::FirstNotInUse(&record),
                Some(_) => Step::NextNotInUse(&record),
            });
        }
        if record.header.length == 0 {
            meet(Step::Empty(&record))?;
        }
        if record.header.length < room && record.header.next != NONE {
            meet(Step::NotFull(&record))?;
        }
        if let Some(value) = &mut value {
            value.extend_from_slice(&record.data);
        }
        id = record.header.next;
        last = Some(record);
    }
    Ok(())
}
