//! Which documents have a term.

use super::error::LuceneError;
use super::fields::Indexed;
use super::input::{ID, Input, Part};
use super::packed;

/// Where the documents of a term are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct TermState {
    /// How many documents have it.
    pub documents: u32,
    /// The only one.
    pub only: Option<u32>,
    /// Where the list of several is.
    pub start: u64,
}

/// The file `<segment>_<format>.doc`.
///
/// | Size | Field |
/// |-----:|-------|
/// |      | header: `Lucene84PostingsWriterDoc`, version 1, id of the segment, suffix |
/// |      | for each term with more than one document, where its state says: |
/// |      | as many as there are of blocks of 128 documents: |
/// |    1 | bits of a difference to the document before, 0: all are 1 |
/// | bits × 16 | the differences, [`packed`] |
/// |    1 | if there are frequencies: bits of each 0-4, numbers of more bits 5-7 |
/// | bits × 16 | the frequencies; a `vlong` for all of them, if they have no bits |
/// |    2 | a number of more bits, as often as said: its place, its higher bits |
/// |      | for each of the others: |
/// | vint | the difference; with frequencies: twice that, + 1 if the frequency is 1 |
/// | vint | the frequency, if it is not 1 |
/// |      | where to go on from when documents are passed over, which a reading of all needs not |
/// |      | footer |
#[derive(Debug)]
pub(super) struct Postings<'a> {
    input: Input<'a>,
    documents: u32,
    frequencies: bool,
    /// Where the next list begins at least: lists are in the order of the terms and do not overlap.
    end: u64,
    block: Vec<u8>,
}

impl<'a> Postings<'a> {
    /// `documents`: of the segment.
    pub fn open(
        part: &'a Part,
        id: &[u8; ID],
        suffix: &str,
        options: Indexed,
        documents: u32,
    ) -> Result<Self, LuceneError> {
        let mut input = part.input();
        input.header("Lucene84PostingsWriterDoc", 1..=1, id, suffix)?;
        let end = input.position();
        Ok(Self { input, documents, frequencies: options.frequencies, end, block: Vec::new() })
    }

    /// Visits the documents of a term in their order. Terms must come in their order.
    pub fn visit<E: From<LuceneError>>(
        &mut self,
        state: TermState,
        mut visit: impl FnMut(u32) -> Result<(), E>,
    ) -> Result<(), E> {
        if let Some(only) = state.only {
            self.check(only)?;
            return visit(only);
        }
        if state.start < self.end {
            return Err(self.input.wrong("start of a list of documents", state.start).into());
        }
        self.input.seek(state.start);
        let mut differences = [0; packed::BLOCK];
        let mut next = 0_u32;
        let (blocks, rest) = (state.documents / 128, state.documents % 128);
        for _ in 0..blocks {
            self.read_block(&mut differences)?;
            for difference in differences {
                next = self.add(next, difference)?;
                visit(next)?;
            }
        }
        for _ in 0..rest {
            let mut difference = self.input.vint("document")?;
            if self.frequencies {
                if difference & 1 == 0 {
                    self.input.vint("frequency")?;
                }
                difference >>= 1;
            }
            next = self.add(next, difference)?;
            visit(next)?;
        }
        self.end = self.input.position();
        Ok(())
    }

    #[inline]
    fn add(&self, before: u32, difference: u32) -> Result<u32, LuceneError> {
        let document = before.saturating_add(difference);
        self.check(document)?;
        Ok(document)
    }

    #[inline]
    fn check(&self, document: u32) -> Result<(), LuceneError> {
        if document >= self.documents {
            return Err(self.input.wrong("document", document));
        }
        Ok(())
    }

    fn read_block(&mut self, differences: &mut [u32; packed::BLOCK]) -> Result<(), LuceneError> {
        let bits = u32::from(self.input.u8("bits of documents")?);
        match bits {
            0 => *differences = [1; packed::BLOCK],
            1..=32 => {
                self.input.bytes("documents", packed::length(bits) as u64, &mut self.block)?;
                packed::decode(bits, &self.block, differences);
            }
            _ => return Err(self.input.wrong("bits of documents", bits)),
        }
        if self.frequencies {
            let head = self.input.u8("bits of frequencies")?;
            let (bits, exceptions) = (u32::from(head & 0x1f), head >> 5);
            if bits == 0 {
                self.input.vlong("frequencies")?;
            } else {
                self.input.skip("frequencies", packed::length(bits) as u64)?;
            }
            self.input.skip("frequencies of more bits", u64::from(exceptions) * 2)?;
        }
        Ok(())
    }
}
