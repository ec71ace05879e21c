//! Changes of a lookup index, gathered for the 64 entities of an entry.

use rustc_hash::FxHashMap;

use crate::index::token::{ENTITIES_PER_RANGE, TokenIndex};
use crate::io::sort::{ByKey, Merged, Scratch, Sorter};
use crate::recovery::RecoveryError;

/// Takes entities in ascending order.
///
/// | Offset | Size | Field of a record                             |
/// |-------:|-----:|-----------------------------------------------|
/// |      0 |    4 | token                                         |
/// |      4 |    8 | range                                         |
/// |     12 |    8 | entities of the range that have the token     |
/// |     20 |    8 | entities that must not be there               |
#[derive(Debug)]
pub(super) struct TokenRanges {
    sorter: Sorter<ByKey>,
    range: u64,
    /// Of the range: by token what is to be there and what not.
    masks: FxHashMap<u32, (u64, u64)>,
    /// Whether tokens of an entity are not known, so that only the stores tell what the index must have.
    pub unknown: bool,
    pub changed: u64,
}

/// Of the token and the range.
const ORDER: ByKey = ByKey { length: 12 };

impl TokenRanges {
    pub(super) fn new(scratch: &Scratch, memory: usize) -> Self {
        Self {
            sorter: Sorter::new(scratch, memory, ORDER),
            range: 0,
            masks: FxHashMap::default(),
            unknown: false,
            changed: 0,
        }
    }

    /// Goes on to an entity.
    pub(super) fn turn_to(&mut self, entity: u64) -> Result<(), RecoveryError> {
        self.changed += 1;
        let range = entity / ENTITIES_PER_RANGE;
        if range != self.range {
            self.flush()?;
            self.range = range;
        }
        Ok(())
    }

    /// What the entity is to have.
    pub(super) fn set(&mut self, token: u32, entity: u64, present: bool) {
        let (add, remove) = self.masks.entry(token).or_default();
        *(if present { add } else { remove }) |= 1 << (entity % ENTITIES_PER_RANGE);
    }

    /// Writes what was gathered.
    pub(super) fn flush(&mut self) -> Result<(), RecoveryError> {
        for (token, (add, remove)) in self.masks.drain() {
            let parts = [
                &token.to_be_bytes()[..],
                &self.range.to_be_bytes(),
                &add.to_be_bytes(),
                &remove.to_be_bytes(),
            ];
            self.sorter.push_parts(&parts)?;
        }
        Ok(())
    }

    /// All changes in the order of the index. `parts`: of ranges that no other of them has.
    pub(super) fn finish(parts: Vec<Self>) -> Result<TokenChanges, RecoveryError> {
        let sorted = parts.into_iter().map(|part| part.sorter.finish()).collect::<Result<_, _>>()?;
        Ok(TokenChanges { sorted: Merged::new(sorted, ORDER) })
    }
}

/// Changes of a lookup index in its order.
#[derive(Debug)]
pub(super) struct TokenChanges {
    sorted: Merged<ByKey>,
}

impl TokenChanges {
    /// The next: token, range, entities to add, entities to remove.
    fn next(&mut self) -> Result<Option<(u32, u64, u64, u64)>, RecoveryError> {
        let record = self.sorted.next()?;
        Ok(record.and_then(|record| {
            let (token, rest) = record.split_first_chunk()?;
            let [range, add, remove] = rest.as_chunks().0.first_chunk::<3>()?.map(u64::from_be_bytes);
            Some((u32::from_be_bytes(*token), range, add, remove))
        }))
    }

    /// Makes the changes.
    pub(super) fn apply(mut self, mut index: TokenIndex) -> Result<(), RecoveryError> {
        while let Some((token, range, add, remove)) = self.next()? {
            index.change(token, range, add, remove)?;
        }
        Ok(index.finish()?)
    }
}
