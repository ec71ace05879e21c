//! Lookup indexes from a scan of the record stores.

use std::path::Path;

use rustc_hash::FxHashMap;

use super::IndexError;
use super::token::{Builder, ENTITIES_PER_RANGE, TokenRange};
use crate::io::disk::SharedDisk;
use crate::io::sort::{ByKey, Scratch, Sorter};

/// Entries of a lookup index in the making: entities come in the order of their ids, entries are wanted in the order of
/// tokens.
#[derive(Debug)]
pub struct TokenScan {
    range: u64,
    entities: FxHashMap<u32, u64>,
    sorter: Sorter<ByKey>,
}

/// Bytes of token and range.
const KEY: usize = 12;

impl TokenScan {
    /// An index without entries. `memory`: bytes to use, about.
    pub fn new(scratch: &Scratch, memory: usize) -> Self {
        let sorter = Sorter::new(scratch, memory, ByKey { length: KEY });
        Self { range: 0, entities: FxHashMap::default(), sorter }
    }

    /// Takes a token of an entity. Entities must come in ascending order.
    pub fn add(&mut self, token: u32, entity: u64) -> Result<(), IndexError> {
        let range = entity / ENTITIES_PER_RANGE;
        if range != self.range {
            self.settle()?;
            self.range = range;
        }
        *self.entities.entry(token).or_default() |= 1 << (entity % ENTITIES_PER_RANGE);
        Ok(())
    }

    /// Gives the range that is complete to the sorter.
    fn settle(&mut self) -> Result<(), IndexError> {
        for (token, entities) in self.entities.drain() {
            let (token, range) = (token.to_be_bytes(), self.range.to_be_bytes());
            self.sorter.push_parts(&[&token, &range, &entities.to_be_bytes()])?;
        }
        Ok(())
    }

    /// Puts the index at `path`; how many entries it has.
    pub fn build(mut self, disk: &SharedDisk, path: &Path) -> Result<u64, IndexError> {
        self.settle()?;
        let mut written = 0;
        let mut builder = Builder::new(disk, path)?;
        let mut sorted = self.sorter.finish()?;
        while let Some(record) = sorted.next()? {
            let (Some(token), Some((rest, entities))) =
                (record.first_chunk().copied(), record.split_last_chunk::<8>())
            else {
                continue;
            };
            let range = rest.last_chunk().copied().map_or(0, u64::from_be_bytes);
            let entities = u64::from_be_bytes(*entities);
            builder.push(TokenRange { token: u32::from_be_bytes(token), range, entities })?;
            written += 1;
        }
        builder.finish()?;
        Ok(written)
    }
}
