//! The properties in a property record.

use crate::store::error::Malformed;
use crate::store::value::block::{Block, Kind};

use super::raw::{RawProperty, WORDS, has_type};

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

/// The words of a property record as Neo4j reads them. Of a property that is longer than what is left of its record only the
/// first word is read; the others are those that stood in their places in the records read before, and zeros.
#[derive(Clone, Debug)]
pub(super) enum Words {
    Own([u64; WORDS]),
    Longer(Box<[u64; WORDS + MOST_WORDS]>),
}

/// Most words that a property has.
const MOST_WORDS: usize = 64;

impl Words {
    /// `before`: what was read into each place last.
    pub fn of(record: &RawProperty, before: &mut [u64; WORDS]) -> Self {
        let mut read = 0;
        let mut is_too_long = false;
        for block in Blocks::of(&record.words) {
            read += block.as_ref().map_or(1, |block| block.words.len());
            is_too_long |= matches!(block, Err(Malformed::TooManyWords));
        }
        before.iter_mut().zip(&record.words).take(read).for_each(|(before, word)| *before = *word);
        if !is_too_long {
            return Self::Own(record.words);
        }
        let mut words = Box::new([0; WORDS + MOST_WORDS]);
        words.iter_mut().zip(before).for_each(|(word, before)| *word = *before);
        Self::Longer(words)
    }

    pub fn blocks(&self) -> Blocks<'_> {
        Blocks::of(match self {
            Self::Own(words) => words,
            Self::Longer(words) => &words[..],
        })
    }
}
