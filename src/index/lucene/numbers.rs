//! The number that each document of a segment has in a field: in the indexes of Neo4j the id of its entity.

use super::error::LuceneError;
use super::input::{ID, Input, Part};

/// Values of a block, where each block has a width of its own.
const BLOCK: u32 = 1 << 14;
/// Widths of values, in bits.
const WIDTHS: [u8; 14] = [1, 2, 4, 8, 12, 16, 20, 24, 28, 32, 40, 48, 56, 64];
/// Most different numbers that are kept as a table.
const MOST_IN_TABLE: i32 = 256;

/// The numbers of a field. Value `i` is `least + factor × stored value i`.
#[derive(Debug)]
pub(super) struct Numbers {
    data: Part,
    count: u32,
    width: u8,
    least: i64,
    factor: i64,
    table: Vec<i64>,
    blocks: bool,
    offset: u64,
    length: u64,
}

impl Numbers {
    /// Finds a field in `<segment>_<format>.dvm`; each document has a number there. `data`: the file `.dvd` beside it.
    ///
    /// | Size | Field |
    /// |-----:|-------|
    /// |      | header: `Lucene80DocValuesMetadata`, version 2, id of the segment, suffix |
    /// |      | for each field: |
    /// |    4 | number of the field, -1: no more |
    /// |    1 | 0: a number for each document |
    /// |    8 | where it is said which documents have one: -1 all, -2 none |
    /// |   11 | about that |
    /// |    8 | how many have one |
    /// |    4 | -1: no table; n ≥ 0: table of n numbers; -16: blocks of 2¹⁴ values |
    /// | n × 8 | the table |
    /// |    1 | width of a value in bits; 0: all are `least` |
    /// |    8 | `least` |
    /// |    8 | `factor` |
    /// |    8 | offset of the values in the data |
    /// |    8 | bytes of the values |
    /// |    8 | offset of the table of blocks |
    /// |      | footer |
    pub fn find(
        meta: &Part,
        data: Part,
        id: &[u8; ID],
        suffix: &str,
        field: u32,
        documents: u32,
    ) -> Result<Self, LuceneError> {
        meta.verify()?;
        let mut input = meta.input();
        input.header("Lucene80DocValuesMetadata", 2..=2, id, suffix)?;
        data.input().header("Lucene80DocValuesData", 2..=2, id, suffix)?;
        let number = input.i32("number of a field")?;
        if i64::from(number) != i64::from(field) {
            // Indexes of Neo4j have no other field with doc values.
            return Err(LuceneError::unknown(meta.path(), "a number of a field with doc values", number));
        }
        let kind = input.u8("kind of doc values")?;
        if kind != 0 {
            return Err(LuceneError::unknown(meta.path(), "kind of doc values", kind));
        }
        let having = input.i64("documents with a number")?;
        if having != -1 {
            return Err(input.wrong("documents with a number", having));
        }
        input.skip("documents with a number", 8 + 2 + 1)?;
        let count = input.i64("numbers")?;
        if count != i64::from(documents) {
            return Err(input.wrong("numbers", count));
        }
        let size = input.i32("size of the table")?;
        let blocks = size < -1;
        if blocks && size != -2 - 14 || size > MOST_IN_TABLE {
            return Err(input.wrong("size of the table", size));
        }
        let mut table = Vec::new();
        for _ in 0..size.max(0) {
            table.push(input.i64("number in the table")?);
        }
        let width = input.u8("width of a value")?;
        if !blocks && width != 0 && !WIDTHS.contains(&width) {
            return Err(input.wrong("width of a value", width));
        }
        let least = input.i64("least number")?;
        let factor = input.i64("factor")?;
        let offset = input.offset("offset of the values")?;
        let length = input.offset("bytes of the values")?;
        if data.part(offset, length).is_none() {
            return Err(data.short("values", offset));
        }
        Ok(Self { data, count: documents, width, least, factor, table, blocks, offset, length })
    }

    /// Reads the numbers of `count` documents from `first` on, which must begin a block.
    pub fn read(&self, first: u32, count: usize, numbers: &mut Vec<i64>) -> Result<(), LuceneError> {
        numbers.clear();
        if self.blocks {
            return self.read_blocks(first, count, numbers);
        }
        let mut input = self.data.input();
        let bits = u64::from(first) * u64::from(self.width);
        input.seek(self.offset + bits / 8);
        let end = (u64::from(first) + count as u64) * u64::from(self.width);
        if end.div_ceil(8) > self.length {
            return Err(self.data.short("values", self.offset + self.length));
        }
        let mut values = Values::new(self.width, (bits % 8) as u32);
        for _ in 0..count {
            let value = values.next(&mut input)?;
            let number = if self.table.is_empty() {
                self.least.wrapping_add(self.factor.wrapping_mul(value as i64))
            } else {
                let place = usize::try_from(value).ok().and_then(|value| self.table.get(value));
                *place.ok_or_else(|| input.wrong("place in the table", value))?
            };
            numbers.push(number);
        }
        Ok(())
    }

    /// | Size | Field |
    /// |-----:|-------|
    /// |    1 | width of a value in bits; 0: all are the least |
    /// |    8 | the least number |
    /// |    4 | bytes of the values, if the width is not 0 |
    /// |      | the values |
    fn read_blocks(&self, first: u32, count: usize, numbers: &mut Vec<i64>) -> Result<(), LuceneError> {
        let mut input = self.data.input();
        input.seek(self.offset);
        let end = u64::from(first) + count as u64;
        let mut block = 0_u64;
        while block * u64::from(BLOCK) < end {
            let start = block * u64::from(BLOCK);
            let in_block = u64::from(self.count).saturating_sub(start).min(BLOCK.into());
            let width = input.u8("width of a value")?;
            let least = input.i64("least number of a block")?;
            let length = if width == 0 { 0 } else { input.i32("bytes of a block")? };
            let length = u64::try_from(length).map_err(|_| input.wrong("bytes of a block", length))?;
            if width != 0 && !WIDTHS.contains(&width) || (in_block * u64::from(width)).div_ceil(8) > length {
                return Err(input.wrong("width of a value", width));
            }
            let next = input.position() + length;
            if start >= u64::from(first) {
                let mut values = Values::new(width, 0);
                for _ in 0..in_block.min(end - start) {
                    let value = values.next(&mut input)? as i64;
                    numbers.push(least.wrapping_add(self.factor.wrapping_mul(value)));
                }
            }
            input.seek(next);
            block += 1;
        }
        Ok(())
    }
}

/// Values of a width, one after the other, the highest bit first.
struct Values {
    width: u32,
    /// Bits that were read and belong to the next values, in the lowest places.
    held: u128,
    count: u32,
    /// Bits at the start that belong to values before.
    skip: u32,
}

impl Values {
    fn new(width: u8, skip: u32) -> Self {
        Self { width: width.into(), held: 0, count: 0, skip }
    }

    #[inline]
    fn next(&mut self, input: &mut Input<'_>) -> Result<u64, LuceneError> {
        if self.width == 0 {
            return Ok(0);
        }
        while self.count < self.width + self.skip {
            self.held = self.held << 8 | u128::from(input.u8("values")?);
            self.count += 8;
        }
        self.count -= self.width + self.skip;
        self.skip = 0;
        let mask = u64::MAX >> (64 - self.width);
        Ok(low(self.held >> self.count) & mask)
    }
}

/// The lowest 64 bits.
#[expect(clippy::cast_possible_truncation, reason = "the others belong to values before")]
fn low(held: u128) -> u64 {
    held as u64
}
