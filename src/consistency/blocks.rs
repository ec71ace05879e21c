//! The properties in a property record.

use crate::store::error::{Malformed, StoreError};
use crate::store::value::block::{Block, Kind};

use super::raw::{RawProperty, RawReader, WORDS, has_type};

/// The properties in the words of a record. A word of no type ends them; one whose length can't be told is an error and
/// ends them too. Specification: consistency check 2.5, 6.4.
#[derive(Clone, Debug)]
pub(super) struct Blocks<'a> {
    rest: &'a [u64],
    /// Words that are not the record's any more: a property may reach into them, none begins there.
    behind: usize,
}

/// Bits 28 to 31 of the first word of a point.
const POINT_SUBTYPE: u64 = 1;

impl<'a> Blocks<'a> {
    /// The words of a record, and those behind it that the last property may reach into.
    pub fn of(words: &'a [u64]) -> Self {
        Self { rest: words, behind: words.len().saturating_sub(WORDS) }
    }
}

impl<'a> Iterator for Blocks<'a> {
    type Item = Result<Block<'a>, Malformed>;

    fn next(&mut self) -> Option<Self::Item> {
        let first = *self.rest.first()?;
        if !has_type(first) || self.rest.len() <= self.behind {
            self.rest = &[];
            return None;
        }
        let subtype = first >> 28 & 0x0f;
        if Kind::of(first) == Some(Kind::Geometry) && subtype != POINT_SUBTYPE {
            self.rest = &[];
            return Some(Err(Malformed::ValuePart { what: "geometry type", value: subtype as i64 }));
        }
        match Block::split_first(self.rest)? {
            Ok((block, rest)) => {
                self.rest = rest;
                Some(Ok(block))
            }
            Err(malformed) => {
                self.rest = &[];
                Some(Err(malformed))
            }
        }
    }
}

/// The words of a property record, with more behind it if its last property is longer than the record: Neo4j reads on in what
/// comes next in the page.
#[derive(Clone, Debug)]
pub(super) enum Words {
    Own([u64; WORDS]),
    Longer(Vec<u64>),
}

impl Words {
    pub fn of(record: &RawProperty, reader: &mut RawReader<'_, RawProperty>) -> Result<Self, StoreError> {
        let is_too_long = |block: Result<Block<'_>, Malformed>| matches!(block, Err(Malformed::TooManyWords));
        if Blocks::of(&record.words).any(is_too_long) {
            return Ok(Self::Longer(reader.words(record)?));
        }
        Ok(Self::Own(record.words))
    }

    pub fn blocks(&self) -> Blocks<'_> {
        Blocks::of(self.as_slice())
    }

    pub fn as_slice(&self) -> &[u64] {
        match self {
            Self::Own(words) => words,
            Self::Longer(words) => words,
        }
    }
}
