//! Which documents of a segment are deleted.

use super::error::LuceneError;
use super::input::{ID, Part};

/// The documents that are not deleted: `<segment>_<generation>.liv`.
///
/// | Size | Field |
/// |-----:|-------|
/// |      | header: `Lucene50LiveDocs`, version 0, id of the segment, the generation, base 36 |
/// |    8 | 64 documents, the first in the lowest bit, set: not deleted; as many times as there are documents |
/// |      | footer |
#[derive(Debug)]
pub(super) struct LiveDocuments {
    part: Part,
    /// Where the bits are.
    start: u64,
}

impl LiveDocuments {
    pub fn open(part: Part, id: &[u8; ID], generation: &str) -> Result<Self, LuceneError> {
        part.verify()?;
        let mut input = part.input();
        input.header("Lucene50LiveDocs", 0..=0, id, generation)?;
        let start = input.position();
        Ok(Self { part, start })
    }

    /// Reads the bits of `count` documents from `first` on, which is a multiple of 64.
    pub fn read(&self, first: u32, count: usize, words: &mut Vec<u64>) -> Result<(), LuceneError> {
        let mut input = self.part.input();
        input.seek(self.start + u64::from(first / 64) * 8);
        words.clear();
        for _ in 0..count.div_ceil(64) {
            words.push(input.i64("deleted documents")? as u64);
        }
        Ok(())
    }
}
