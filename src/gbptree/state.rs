//! Pages 1 and 2: the state of the tree, double buffered.

use std::fmt;

use super::page::{self, OutsidePage};
use super::pointer::Generations;

/// The state of a tree: where its root and its free list are, and which generations count.
///
/// | Offset | Size | Field                                                             |
/// |-------:|-----:|-------------------------------------------------------------------|
/// |      0 |    4 | stable generation                                                 |
/// |      4 |    4 | unstable generation                                               |
/// |      8 |    8 | root page                                                         |
/// |     16 |    8 | generation in which that page became the root                     |
/// |     24 |    8 | last id: the highest page ever in use                             |
/// |     32 |    8 | page of the free list that is written                             |
/// |     40 |    8 | page of the free list that is read                                |
/// |     48 |    4 | next entry to write                                               |
/// |     52 |    4 | next entry to read                                                |
/// |     56 |    1 | 1 = clean: the tree was closed after its last checkpoint          |
/// |     57 |   57 | the same once more, in place of a checksum                        |
/// |    114 |    4 | length of the header                                              |
/// |    118 |      | header: what the user of the tree keeps with it                   |
///
/// Specification: gbptree 1.3.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct State {
    /// Generations of the tree.
    pub generations: Generations,
    /// Root page.
    pub root: u64,
    /// Generation in which it became the root.
    pub root_generation: i64,
    /// Highest page ever in use.
    pub last_id: u64,
    /// Where the free list is written.
    pub free_write: FreePosition,
    /// Where the free list is read.
    pub free_read: FreePosition,
    /// Whether the tree was closed after its last checkpoint.
    pub clean: bool,
}

/// A place in the free list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FreePosition {
    /// Page of the free list.
    pub page: u64,
    /// Entry in it.
    pub entry: u32,
}

impl State {
    const RECORD: usize = 57;
    const HEADER_LENGTH: usize = 2 * Self::RECORD;
    const HEADER: usize = Self::HEADER_LENGTH + 4;

    /// Bytes of the longest header in pages of this size.
    pub fn max_header(page_size: usize) -> usize {
        page_size.saturating_sub(Self::HEADER)
    }

    /// Reads a state page.
    pub fn decode(page: &[u8]) -> Result<StoredState, OutsidePage> {
        let state = Self::decode_record(page::array(page, 0)?)?;
        let second = Self::decode_record(page::array(page, Self::RECORD)?)?;
        let empty = state.is_empty();
        Ok(StoredState { state, valid: state == second && !empty, empty })
    }

    fn decode_record(record: &[u8; Self::RECORD]) -> Result<Self, OutsidePage> {
        let u32_at = |offset| page::u32_at(record, offset);
        let u64_at = |offset| page::i64_at(record, offset).map(i64::cast_unsigned);
        let [.., clean] = *record;
        Ok(Self {
            generations: Generations { stable: u32_at(0)?, unstable: u32_at(4)? },
            root: u64_at(8)?,
            root_generation: page::i64_at(record, 16)?,
            last_id: u64_at(24)?,
            free_write: FreePosition { page: u64_at(32)?, entry: u32_at(48)? },
            free_read: FreePosition { page: u64_at(40)?, entry: u32_at(52)? },
            clean: clean == 1,
        })
    }

    /// Root generation and cleanness are not looked at. Specification: gbptree 1.3.
    fn is_empty(&self) -> bool {
        let nowhere = FreePosition { page: 0, entry: 0 };
        self.generations == Generations { stable: 0, unstable: 0 }
            && self.root == 0
            && self.last_id == 0
            && self.free_write == nowhere
            && self.free_read == nowhere
    }

    /// The header that stands behind the state on a page.
    pub fn header(page: &[u8]) -> Result<&[u8], OutsidePage> {
        let length = page::i32_at(page, Self::HEADER_LENGTH)?;
        page::slice(page, Self::HEADER, usize::try_from(length).unwrap_or(usize::MAX))
    }

    /// Fills a state page. Bytes behind the header keep what they hold.
    pub fn encode(&self, header: &[u8], page: &mut [u8]) -> Result<(), OutsidePage> {
        let Generations { stable, unstable } = self.generations;
        let mut record = Vec::with_capacity(Self::RECORD);
        record.extend(stable.to_be_bytes());
        record.extend(unstable.to_be_bytes());
        record.extend(self.root.to_be_bytes());
        record.extend(self.root_generation.to_be_bytes());
        record.extend(self.last_id.to_be_bytes());
        record.extend(self.free_write.page.to_be_bytes());
        record.extend(self.free_read.page.to_be_bytes());
        record.extend(self.free_write.entry.to_be_bytes());
        record.extend(self.free_read.entry.to_be_bytes());
        record.push(u8::from(self.clean));
        page::put(page, 0, &record)?;
        page::put(page, Self::RECORD, &record)?;
        let length = u32::try_from(header.len()).unwrap_or(u32::MAX);
        page::put(page, Self::HEADER_LENGTH, &length.to_be_bytes())?;
        page::put(page, Self::HEADER, header)
    }
}

/// What a state page holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StoredState {
    /// The first of its copies.
    pub state: State,
    /// Whether the copies agree and something was written at all.
    pub valid: bool,
    /// Whether nothing was ever written.
    pub empty: bool,
}

/// One of the two state pages.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StatePage {
    /// Page 1.
    A,
    /// Page 2.
    B,
}

impl StatePage {
    /// Its page id.
    pub fn id(self) -> u64 {
        match self {
            Self::A => 1,
            Self::B => 2,
        }
    }

    /// The one to write next.
    #[must_use]
    pub fn other(self) -> Self {
        match self {
            Self::A => Self::B,
            Self::B => Self::A,
        }
    }
}

/// Which of the two states counts. Specification: gbptree 1.3.
pub fn choose(a: StoredState, b: StoredState) -> Result<(StatePage, State), StateError> {
    let (ga, gb) = (a.state.generations, b.state.generations);
    let chosen = match (a.valid, b.valid) {
        (true, false) => Some(StatePage::A),
        (false, true) => Some(StatePage::B),
        (true, true) => {
            let newest = |page: StatePage, state: &State, g: Generations, other: &State, og: Generations| {
                let closed = g == og && state.clean && !other.clean;
                let newer = g.stable >= og.stable && g.unstable > og.unstable;
                (closed || newer).then_some(page)
            };
            newest(StatePage::A, &a.state, ga, &b.state, gb)
                .or_else(|| newest(StatePage::B, &b.state, gb, &a.state, ga))
        }
        (false, false) => None,
    };
    match chosen {
        Some(StatePage::A) => Ok((StatePage::A, a.state)),
        Some(StatePage::B) => Ok((StatePage::B, b.state)),
        None if a.empty && b.empty => Err(StateError::Empty),
        None => Err(StateError::Combination {
            a: Box::new(Printed(StatePage::A, a)),
            b: Box::new(Printed(StatePage::B, b)),
        }),
    }
}

/// A state page as Neo4j prints it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Printed(StatePage, StoredState);

impl fmt::Display for Printed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self(page, StoredState { state, valid, .. }) = self;
        let Generations { stable, unstable } = state.generations;
        write!(
            f,
            "pageId={}, stableGeneration={stable}, unstableGeneration={unstable}, rootId={}, rootGeneration={}, \
             lastId={}, freeListWritePageId={}, freeListReadPageId={}, freeListWritePos={}, freeListReadPos={}, \
             clean={}, valid={valid}",
            page.id(),
            state.root,
            state.root_generation,
            state.last_id,
            state.free_write.page,
            state.free_read.page,
            state.free_write.entry,
            state.free_read.entry,
            state.clean
        )
    }
}

/// No state of the tree can be told. The texts are Neo4j's.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum StateError {
    /// The file ends before its state pages do.
    #[error("Index is not fully initialized since it's missing state pages")]
    Missing,
    /// The tree was never completed.
    #[error("Index is not fully initialized since its state pages are empty")]
    Empty,
    /// Neither is valid, or none is the newer one.
    #[error("Unexpected combination of state.\n  STATE_A[{a}]\n  STATE_B[{b}]")]
    Combination {
        /// Page 1.
        a: Box<Printed>,
        /// Page 2.
        b: Box<Printed>,
    },
    /// The length of the header goes beyond the page.
    #[error("the header of the tree does not fit its page: {0}")]
    Header(#[from] OutsidePage),
}

#[cfg(test)]
mod tests {
    use super::*;

    fn state(stable: u32, unstable: u32, clean: bool) -> State {
        State {
            generations: Generations { stable, unstable },
            root: 3,
            root_generation: 2,
            last_id: 4,
            free_write: FreePosition { page: 4, entry: 0 },
            free_read: FreePosition { page: 4, entry: 0 },
            clean,
        }
    }

    /// State page A of the worked example of the specification, gbptree 5.2.5.
    fn worked_example() -> Vec<u8> {
        let copy = "000000020000000300000000000000030000000000000002000000000000000400000000000000040000000000000004\
                    000000000000000001";
        let text = format!("{copy}{copy}0000001c000000000000012c000000000000012b000000000000000200000080");
        let byte = |at| u8::from_str_radix(&text[at..at + 2], 16).unwrap();
        let mut page: Vec<u8> = (0..text.len()).step_by(2).map(byte).collect();
        page.resize(8192, 0);
        page
    }

    #[test]
    fn the_worked_state_page_is_read_and_written() {
        let page = worked_example();
        let stored = State::decode(&page).unwrap();
        assert_eq!(stored, StoredState { state: state(2, 3, true), valid: true, empty: false });
        let header = State::header(&page).unwrap();
        assert_eq!(header.len(), 28);
        let mut written = vec![0; 8192];
        stored.state.encode(header, &mut written).unwrap();
        assert_eq!(written, page);
    }

    #[test]
    fn two_copies_that_differ_are_not_a_state() {
        for offset in 0..114 {
            let mut page = worked_example();
            page[offset] ^= 0x40;
            // Of the last byte only "is it 1" counts.
            assert!(!State::decode(&page).unwrap().valid, "byte {offset}");
        }
        assert!(State::decode(&[0; 8192]).unwrap().empty);
        assert!(State::header(&[0xff; 512]).is_err());
    }

    #[test]
    fn the_state_that_counts_is_chosen_as_in_the_specification() {
        use StatePage::{A, B};
        let valid = |stable, unstable, clean| StoredState {
            state: state(stable, unstable, clean),
            valid: true,
            empty: false,
        };
        let invalid = StoredState { valid: false, ..valid(99, 100, true) };
        let table = [
            (valid(2, 3, true), invalid, Some(A)),
            (invalid, valid(2, 3, false), Some(B)),
            (valid(13, 15, true), valid(13, 15, false), Some(A)),
            (valid(13, 15, false), valid(13, 15, true), Some(B)),
            (valid(13, 15, true), valid(13, 15, true), None),
            (valid(13, 15, false), valid(15, 16, false), Some(B)),
            (valid(13, 16, false), valid(13, 15, true), Some(A)),
            (valid(14, 15, false), valid(13, 16, true), None),
            (invalid, invalid, None),
        ];
        for (a, b, expected) in table {
            assert_eq!(choose(a, b).ok().map(|(page, _)| page), expected, "{a:?} {b:?}");
        }
        let empty = State::decode(&[0; 8192]).unwrap();
        assert_eq!(choose(empty, empty), Err(StateError::Empty));
        let text = choose(invalid, invalid).unwrap_err().to_string();
        assert!(text.ends_with("freeListWritePos=0, freeListReadPos=0, clean=true, valid=false]"), "{text}");
    }
}
