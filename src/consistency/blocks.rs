//! The properties in a property record.

use crate::store::error::Malformed;
use crate::store::value::block::{Block, Kind};

use super::raw::has_type;

/// The properties in the words of a record. A word of no type ends them; one whose length can't be told is an error and
/// ends them too. Specification: consistency check 2.5, 6.4.
#[derive(Clone, Debug)]
pub(super) struct Blocks<'a> {
    rest: &'a [u64],
}

/// Bits 28 to 31 of the first word of a point.
const POINT_SUBTYPE: u64 = 1;

impl<'a> Blocks<'a> {
    pub fn of(words: &'a [u64]) -> Self {
        Self { rest: words }
    }
}

impl<'a> Iterator for Blocks<'a> {
    type Item = Result<Block<'a>, Malformed>;

    fn next(&mut self) -> Option<Self::Item> {
        let first = *self.rest.first()?;
        if !has_type(first) {
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
