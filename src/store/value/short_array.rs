//! Arrays that fit into a property record.

use super::{Array, array, bits};
use crate::store::error::Malformed;

/// | Bits  | Field                                                   |
/// |------:|---------------------------------------------------------|
/// | 28-31 | type of the elements, as of a single value               |
/// | 32-37 | number of elements                                      |
/// | 38-43 | bits of an element; 0 means 64                          |
/// | 44-   | elements, the first one lowest                          |
///
/// Specification: store format 6.3.
const TYPE: usize = 28;
const LENGTH: usize = 32;
const WIDTH: usize = 38;
const ELEMENTS: usize = 44;

fn length(words: &[u64]) -> usize {
    bits::of_words(words, LENGTH, 6) as usize
}

fn width(words: &[u64]) -> usize {
    match bits::of_words(words, WIDTH, 6) {
        0 => 64,
        width => width as usize,
    }
}

/// Words of an array whose first word is this.
pub(super) fn words(first: u64) -> usize {
    let first = [first];
    (ELEMENTS + length(&first) * width(&first) - 1) / 64 + 1
}

/// The array of all its words.
pub(super) fn decode(words: &[u64]) -> Result<Array, Malformed> {
    let width = width(words);
    let elements = (0..length(words)).map(|index| bits::of_words(words, ELEMENTS + index * width, width));
    array::of_bits(bits::of_words(words, TYPE, 4) as u8, elements)
}
