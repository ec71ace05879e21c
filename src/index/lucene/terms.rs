//! The terms of a field, in their order.

use super::error::LuceneError;
use super::fields::{Field, Indexed};
use super::input::{ID, Input, Part};
use super::postings::TermState;
use super::suffixes;

/// Most bytes of a term.
const MOST: usize = 32766;
/// The layout of the dictionary that Lucene 8.6 to 8.11 write.
const VERSION: i32 = 6;

/// Where the terms of a field are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct FieldTerms {
    options: Indexed,
    /// How many.
    terms: u64,
    /// The block that all others are reached from.
    root: u64,
}

impl FieldTerms {
    /// Finds a field in `<segment>_<format>.tmd`; `None`: none of its documents has a term.
    ///
    /// | Size | Field |
    /// |-----:|-------|
    /// |      | header: `BlockTreeTermsMeta`, version 6, id of the segment, suffix |
    /// |      | header: `Lucene84PostingsWriterTerms`, version 1, likewise |
    /// | vint | documents of a block: 128 |
    /// | vint | fields |
    /// |      | for each field: |
    /// | vint | number of the field |
    /// | vlong | terms |
    /// | vint, n | length of the root, and the root: a `vlong` with the offset of the first block times 4, and more |
    /// | vlong | sum of the frequencies, if there are any |
    /// | vlong | sum of the documents of each term |
    /// | vint | documents with a term |
    /// | vint, n | the first term |
    /// | vint, n | the last term |
    /// | vlong | offset of the index, in `.tip` |
    /// |      | about that index: header `FST`, version 7 without an id, |
    /// |    1 | 1: an empty output follows |
    /// | vint, n | that output |
    /// |    1 | 0: of bytes |
    /// | vlong | its first node |
    /// | vlong | its bytes |
    /// |      | behind the last: lengths of the other files, footer |
    ///
    /// Whoever reads all terms goes from block to block and needs no index.
    pub fn find(
        meta: &Part,
        id: &[u8; ID],
        suffix: &str,
        fields: &[Field],
        wanted: u32,
    ) -> Result<Option<Self>, LuceneError> {
        meta.verify()?;
        let mut input = meta.input();
        input.header("BlockTreeTermsMeta", VERSION..=VERSION, id, suffix)?;
        input.header("Lucene84PostingsWriterTerms", 1..=1, id, suffix)?;
        let block = input.vint("documents of a block")?;
        if block != 128 {
            return Err(input.wrong("documents of a block", block));
        }
        let mut bytes = Vec::new();
        for _ in 0..input.vint("fields")? {
            let number = input.vint("number of a field")?;
            let options = fields.iter().find(|field| field.number == number).and_then(|field| field.terms);
            let Some(options) = options else { return Err(input.wrong("number of a field", number)) };
            let terms = input.vlong("terms")?;
            let length = input.vint("length of the root")?;
            let behind = input.position() + u64::from(length);
            let root = input.vlong("root")? >> 2;
            if number == wanted {
                return Ok(Some(Self { options, terms, root }));
            }
            input.seek(behind);
            if options.frequencies {
                input.vlong("sum of the frequencies")?;
            }
            input.vlong("sum of the documents")?;
            input.vint("documents with a term")?;
            for field in ["first term", "last term"] {
                let length = input.vint(field)?;
                input.bytes(field, length.into(), &mut bytes)?;
            }
            input.vlong("offset of the index")?;
            input.plain_header("FST", 7..=7)?;
            if input.u8("mark of an empty output")? == 1 {
                let length = input.vint("length of the empty output")?;
                input.skip("empty output", length.into())?;
            }
            input.u8("kind of the index")?;
            input.vlong("first node of the index")?;
            input.vlong("bytes of the index")?;
        }
        Ok(None)
    }

    /// How the documents of a term are kept.
    pub fn options(&self) -> Indexed {
        self.options
    }
}

/// Bytes in memory that are read from their start.
#[derive(Debug, Default)]
struct Bytes {
    bytes: Vec<u8>,
    at: usize,
}

impl Bytes {
    #[inline]
    fn u8(&mut self) -> Option<u8> {
        let byte = *self.bytes.get(self.at)?;
        self.at += 1;
        Some(byte)
    }

    #[inline]
    fn vlong(&mut self) -> Option<u64> {
        let mut value = 0_u64;
        for shift in (0..9).map(|byte| 7 * byte) {
            let byte = self.u8()?;
            value |= u64::from(byte & 0x7f) << shift;
            if byte < 0x80 {
                return Some(value);
            }
        }
        None
    }

    #[inline]
    fn vint(&mut self) -> Option<u32> {
        self.vlong().and_then(|value| u32::try_from(value).ok())
    }

    fn take(&mut self, length: usize) -> Option<&[u8]> {
        let end = self.at.checked_add(length)?;
        let taken = self.bytes.get(self.at..end)?;
        self.at = end;
        Some(taken)
    }
}

/// A block: terms that begin alike, and blocks of terms that begin alike in more bytes.
///
/// | Size | Field |
/// |-----:|-------|
/// | vint | entries, times 2; + 1: no block with more entries of the same beginning follows |
/// | vlong | bytes of the suffixes before compression, times 8; + 4: all entries are terms; + 0, 1, 2: not compressed, [`suffixes`] |
/// |      | the suffixes |
/// | vint | bytes of their lengths, times 2; + 1: all bytes are the same |
/// | n or 1 | for each entry a `vint`: the length; or where not all are terms twice the length, + 1 and followed by a `vlong`: an entry is a block, so many bytes before this one |
/// | vint, n | numbers of documents: `vint`, twice the number, then the sum of the frequencies less that number, if there are any; or twice how many terms that follow have one document, + 1 |
/// | vint, n | for each term: `vlong`, twice the steps to the start of its documents, and a `vint`, the document, if there is only one; or twice the steps to that document, zigzag, + 1, where the term before has only one, too; then the same for positions, offsets and places to go on from |
#[derive(Debug, Default)]
struct Block {
    offset: u64,
    /// Where the next one with the same beginning is.
    next: Option<u64>,
    /// Bytes that all of its terms begin with.
    prefix: usize,
    entries: u32,
    /// Whether all entries are terms.
    leaf: bool,
    suffixes: Bytes,
    lengths: Bytes,
    counts: Bytes,
    places: Bytes,
    /// Terms to come that have one document.
    singles: u32,
    /// The state of the last term.
    state: Option<TermState>,
}

/// All terms of a field.
#[derive(Debug)]
pub(super) struct Terms<'a> {
    input: Input<'a>,
    field: FieldTerms,
    /// Documents of the segment.
    documents: u32,
    /// The block that is read, and those that it was reached from.
    blocks: Vec<Block>,
    term: Vec<u8>,
    last: Option<Vec<u8>>,
    /// Terms that are left.
    left: u64,
    /// Bytes of blocks that are left: none is read twice.
    bytes_left: u64,
}

enum Entry {
    Term(TermState),
    Block(u64),
}

impl<'a> Terms<'a> {
    /// `part`: the file `<segment>_<format>.tim`: header `BlockTreeTermsDict`, version 6, the header of
    /// [`FieldTerms::find`], blocks, footer.
    pub fn open(
        part: &'a Part,
        id: &[u8; ID],
        suffix: &str,
        field: FieldTerms,
        documents: u32,
    ) -> Result<Self, LuceneError> {
        let mut input = part.input();
        input.header("BlockTreeTermsDict", VERSION..=VERSION, id, suffix)?;
        let mut terms = Self {
            input,
            field,
            documents,
            blocks: Vec::new(),
            term: Vec::new(),
            last: None,
            left: field.terms,
            bytes_left: part.length,
        };
        terms.read_block(field.root, 0)?;
        Ok(terms)
    }

    /// The next term.
    pub fn next(&mut self) -> Result<Option<(&[u8], TermState)>, LuceneError> {
        loop {
            let Some(block) = self.blocks.last_mut() else {
                if self.left > 0 {
                    return Err(self.input.wrong("number of missing terms", self.left));
                }
                return Ok(None);
            };
            if block.entries == 0 {
                let (next, prefix) = (block.next, block.prefix);
                self.blocks.pop();
                if let Some(next) = next {
                    self.read_block(next, prefix)?;
                }
                continue;
            }
            let (field, documents) = (self.field, self.documents);
            let Some(entry) = block.entry(field.options, documents, &mut self.term) else {
                let offset = block.offset;
                return Err(self
                    .input
                    .wrong("block of terms", format_args!("damaged (it begins at {offset})")));
            };
            match entry {
                Entry::Block(offset) => self.read_block(offset, self.term.len())?,
                Entry::Term(state) => {
                    let ordered = self.last.as_ref().is_none_or(|last| *last < self.term);
                    if !ordered || self.term.len() > MOST || self.left == 0 {
                        return Err(self.input.wrong("term", &String::from_utf8_lossy(&self.term)));
                    }
                    self.left -= 1;
                    let last = self.last.get_or_insert_default();
                    last.clear();
                    last.extend_from_slice(&self.term);
                    return Ok(Some((&self.term, state)));
                }
            }
        }
    }

    fn read_block(&mut self, offset: u64, prefix: usize) -> Result<(), LuceneError> {
        let within = self.blocks.last().is_none_or(|parent| prefix > parent.prefix);
        if !within || prefix > MOST {
            return Err(self.input.wrong("bytes that terms of a block begin with", prefix));
        }
        let input = &mut self.input;
        input.seek(offset);
        let code = input.vint("entries")?;
        let (entries, is_last) = (code >> 1, code & 1 == 1);
        let mut block = Block { offset, prefix, entries, ..Block::default() };
        let code = input.vlong("bytes of suffixes")?;
        block.leaf = code & 4 != 0;
        suffixes::read(input, (code & 3) as u8, code >> 3, &mut block.suffixes.bytes)?;
        let code = input.vint("bytes of lengths")?;
        let length = u64::from(code >> 1);
        if code & 1 == 1 {
            let byte = input.u8("lengths")?;
            // An entry has one to ten of them.
            if length > u64::from(entries) * 10 || u64::from(entries) > block.suffixes.bytes.len() as u64 + 1
            {
                return Err(input.wrong("bytes of lengths", length));
            }
            block.lengths.bytes.resize(usize::try_from(length).unwrap_or_default(), byte);
        } else {
            input.bytes("lengths", length, &mut block.lengths.bytes)?;
        }
        let length = input.vint("bytes of counts")?;
        input.bytes("counts", length.into(), &mut block.counts.bytes)?;
        let length = input.vint("bytes of places")?;
        input.bytes("places", length.into(), &mut block.places.bytes)?;
        let end = input.position();
        block.next = (!is_last).then_some(end);
        self.bytes_left = self
            .bytes_left
            .checked_sub(end.saturating_sub(offset))
            .ok_or_else(|| input.wrong("block of terms", "read twice"))?;
        self.blocks.push(block);
        Ok(())
    }
}

impl Block {
    /// Decodes the next entry and makes `term` its bytes; `None`: that can't be.
    #[inline]
    fn entry(&mut self, options: Indexed, documents: u32, term: &mut Vec<u8>) -> Option<Entry> {
        self.entries -= 1;
        let code = self.lengths.vint()?;
        let (length, is_block) = if self.leaf { (code, false) } else { (code >> 1, code & 1 == 1) };
        term.truncate(self.prefix);
        if term.len() < self.prefix {
            return None;
        }
        term.extend_from_slice(self.suffixes.take(length as usize)?);
        if is_block {
            let back = self.lengths.vlong()?;
            return self.offset.checked_sub(back).filter(|_| back > 0).map(Entry::Block);
        }
        self.state(options, documents).map(Entry::Term)
    }

    /// Documents of a block of frequencies: lists of more have places to go on from.
    const LONG: u64 = 128;

    #[inline]
    fn state(&mut self, options: Indexed, documents: u32) -> Option<TermState> {
        let mut count = 1;
        let mut frequency = 1;
        if self.singles > 0 {
            self.singles -= 1;
        } else {
            let code = self.counts.vint()?;
            if code & 1 == 1 {
                self.singles = code >> 1;
            } else {
                count = code >> 1;
                frequency = u64::from(count);
                if options.frequencies {
                    frequency = frequency.checked_add(self.counts.vlong()?)?;
                }
            }
        }
        if count == 0 || count > documents {
            return None;
        }
        let code = self.places.vlong()?;
        let before = self.state;
        let state = if code & 1 == 0 {
            let start = before.map_or(0, |state| state.start).checked_add(code >> 1)?;
            let only = if count == 1 { Some(self.places.vint()?) } else { None };
            TermState { documents: count, only, start }
        } else {
            let steps = (code >> 2) as i64 ^ -((code >> 1 & 1) as i64);
            let before = before?;
            let only = u32::try_from(i64::from(before.only?).checked_add(steps)?).ok()?;
            TermState { documents: count, only: Some(only), start: before.start }
        };
        if (state.documents == 1) != state.only.is_some() {
            return None;
        }
        if options.positions {
            self.places.vlong()?;
            if options.offsets {
                self.places.vlong()?;
            }
            if frequency > Self::LONG {
                self.places.vlong()?;
            }
        }
        if u64::from(count) > Self::LONG {
            self.places.vlong()?;
        }
        self.state = Some(state);
        Some(state)
    }
}
