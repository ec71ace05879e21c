//! Parts of a transaction, and the events that they make by entity.
//!
//! The parts of an ordinary transaction are put together at its end. Those of a large one are sorted like events, and put
//! together when all of one entity come out of the sorter, so that no transaction is in memory as a whole.

use std::ops::Range;

use super::carried::{Chain, read_chain};
use super::event::{self, COMPLETE, CUT, Entity, Form, KEY_LENGTH, LONG, TOKENS};
use crate::io::bytes::{OutOfBytes, Reader};
use crate::io::sort::{ByNumber, Sorted};
use crate::recovery::RecoveryError;
use crate::store::id::DynamicId;
use crate::store::labels::{LabelField, Labels, decode_dynamic};
use crate::store::value::block::Kind;
use crate::txlog::command::node::NodeImage;
use crate::txlog::command::property::PropertyBlock;

/// In the flags of an event: it is a part of one, which lies like this:
///
/// | Size | Field                                                                                             |
/// |-----:|---------------------------------------------------------------------------------------------------|
/// |    8 | the entity, as in an event                                                                        |
/// |    1 | flags: 08, those of an event, and 10 the tokens changed                                           |
/// |    4 | number of the transaction, so that parts of the next one are told apart                           |
/// |    n | with flag 02: the tokens before and after, as in an event                                         |
/// |    n | otherwise one side of a property: key (4), 1 after or 0 before (1), first word (8), value         |
const PART: u8 = 0x08;
const CHANGED: u8 = 0x10;

/// The key of a property, from its first word.
pub(super) fn key_of(word: u64) -> u32 {
    (word & 0x00ff_ffff) as u32
}

/// A property before or after the transaction.
#[derive(Clone, Debug)]
struct Side {
    entity: Entity,
    key: u32,
    after: bool,
    /// The first word of the property: equal pointers are equal values within a transaction.
    word: u64,
    form: Form,
    bytes: Range<usize>,
}

/// The tokens of an entity before and after the transaction.
#[derive(Clone, Debug)]
struct Head {
    entity: Entity,
    /// Ranges of tokens; `None`: not told.
    before: Option<Range<usize>>,
    after: Option<Range<usize>>,
    changed: bool,
    complete: bool,
}

impl Head {
    /// Whether it matters without a property. That an entity came or went does, also without tokens: the stores do not
    /// tell of one that is gone.
    fn matters(&self) -> bool {
        self.changed || self.complete
    }
}

/// Parts of a transaction.
#[derive(Debug, Default)]
pub(super) struct Parts {
    sides: Vec<Side>,
    heads: Vec<Head>,
    /// Values.
    bytes: Vec<u8>,
    tokens: Vec<u32>,
}

impl Parts {
    /// Bytes that they take.
    pub(super) fn memory(&self) -> usize {
        size_of_val(self.sides.as_slice())
            + size_of_val(self.heads.as_slice())
            + size_of_val(self.tokens.as_slice())
            + self.bytes.len()
    }

    fn clear(&mut self) {
        self.sides.clear();
        self.heads.clear();
        self.bytes.clear();
        self.tokens.clear();
    }

    /// Takes a property as it is on one side.
    pub(super) fn side(&mut self, entity: Entity, key: u32, after: bool, block: &PropertyBlock<'_>) {
        let word = block.longs().first().copied().unwrap_or_default();
        let (form, bytes) = self.value(block, word);
        self.sides.push(Side { entity, key, after, word, form, bytes });
    }

    /// Copies a value.
    fn value(&mut self, block: &PropertyBlock<'_>, word: u64) -> (Form, Range<usize>) {
        let from = self.bytes.len();
        let (told, untold, long) = match Kind::of(word) {
            Some(Kind::String) => (Form::Text, Form::UntoldText, Form::LongText),
            Some(Kind::Array) => (Form::Array, Form::UntoldArray, Form::LongArray),
            _ => {
                block.longs().iter().for_each(|word| self.bytes.extend_from_slice(&word.to_be_bytes()));
                return (Form::Words, from..self.bytes.len());
            }
        };
        let form = match read_chain(block.records, DynamicId(word >> 28), LONG, &mut self.bytes) {
            Chain::Complete => told,
            Chain::Incomplete => untold,
            Chain::Long => long,
        };
        (form, from..self.bytes.len())
    }

    /// Takes the labels of a node. `after`: `None` if they stay the same. `complete`: the node came or went.
    pub(super) fn labels(
        &mut self,
        entity: Entity,
        before: &NodeImage<'_>,
        after: Option<&NodeImage<'_>>,
        complete: bool,
    ) {
        let before = self.labels_of(before);
        let (after, changed) = match after {
            None => (before.clone(), false),
            Some(after) => {
                let after = self.labels_of(after);
                let changed = !self.are_equal(before.as_ref(), after.as_ref());
                (after, changed)
            }
        };
        self.heads.push(Head { entity, before, after, changed, complete });
    }

    /// Copies the labels of a node; `None`: they are in the label store and not in the command, or make no sense, which
    /// matters if the store says so in the end.
    fn labels_of(&mut self, image: &NodeImage<'_>) -> Option<Range<usize>> {
        let from = self.tokens.len();
        if image.flags.in_use() {
            match LabelField(image.labels).labels() {
                Labels::Inline(labels) => {
                    for label in labels {
                        self.tokens.push(label.ok()?.0);
                    }
                }
                Labels::Dynamic(first) => {
                    let bytes_from = self.bytes.len();
                    let read = read_chain(image.label_records, first, usize::MAX, &mut self.bytes);
                    let bytes = self.bytes.get(bytes_from..).filter(|_| read == Chain::Complete)?;
                    let (_, labels) = decode_dynamic(bytes).ok()?;
                    for label in labels {
                        self.tokens.push(label.ok()?.0);
                    }
                }
            }
        }
        Some(from..self.tokens.len())
    }

    fn are_equal(&self, left: Option<&Range<usize>>, right: Option<&Range<usize>>) -> bool {
        match (left, right) {
            (Some(left), Some(right)) => self.tokens.get(left.clone()) == self.tokens.get(right.clone()),
            _ => false,
        }
    }

    /// Takes the type of a relationship. `complete`: the relationship came or went.
    pub(super) fn types(&mut self, entity: Entity, before: Option<u32>, after: Option<u32>, complete: bool) {
        let changed = before != after;
        let [before, after] = [before, after].map(|kind| {
            let from = self.tokens.len();
            self.tokens.extend(kind);
            Some(from..self.tokens.len())
        });
        self.heads.push(Head { entity, before, after, changed, complete });
    }

    /// Puts the parts of each entity together, and forgets them.
    pub(super) fn put_together(
        &mut self,
        mut each: impl FnMut(&Assembled<'_>) -> Result<(), RecoveryError>,
    ) -> Result<(), RecoveryError> {
        if !self.sides.is_empty() || self.heads.iter().any(Head::matters) {
            self.sides.sort_unstable_by_key(|side| (side.entity, side.key, side.after));
            self.heads.sort_by_key(|head| head.entity);
            let Self { sides, heads, bytes, tokens } = self;
            let (mut sides, mut heads) = (sides.as_slice(), heads.as_slice());
            loop {
                let next = [sides.first().map(|side| side.entity), heads.first().map(|head| head.entity)];
                let Some(entity) = next.into_iter().flatten().min() else { break };
                let (own_sides, other_sides) = split(sides, |side| side.entity == entity);
                let (own_heads, other_heads) = split(heads, |head| head.entity == entity);
                each(&Assembled { entity, sides: own_sides, heads: own_heads, bytes, tokens })?;
                (sides, heads) = (other_sides, other_heads);
            }
        }
        self.clear();
        Ok(())
    }

    /// Gives out each part of the transaction `number` as a record to be sorted, and forgets them. `part`: for the record.
    pub(super) fn take_apart(
        &mut self,
        cut: bool,
        number: u32,
        part: &mut Vec<u8>,
        mut each: impl FnMut(&[u8]) -> Result<(), RecoveryError>,
    ) -> Result<(), RecoveryError> {
        let flags = PART | if cut { CUT } else { 0 };
        let begin = |part: &mut Vec<u8>, entity, flags| {
            part.clear();
            event::put_head(part, entity, flags);
            part.extend_from_slice(&number.to_be_bytes());
        };
        for side in &self.sides {
            begin(part, side.entity, flags);
            event::put_key(part, side.key);
            part.push(side.after.into());
            part.extend_from_slice(&side.word.to_be_bytes());
            event::put_value(part, side.form, self.bytes.get(side.bytes.clone()).unwrap_or_default());
            each(part)?;
        }
        for head in &self.heads {
            let complete = if head.complete { COMPLETE } else { 0 };
            let changed = if head.changed { CHANGED } else { 0 };
            begin(part, head.entity, flags | TOKENS | complete | changed);
            for range in [&head.before, &head.after] {
                let range = range.clone();
                event::put_tokens(part, range.map(|range| self.tokens.get(range).unwrap_or_default()));
            }
            each(part)?;
        }
        self.clear();
        Ok(())
    }

    /// Takes a part back that [`Self::take_apart`] has given out.
    fn read(&mut self, part: &[u8]) -> Result<(), OutOfBytes> {
        let mut reader = Reader::new(part);
        let key = reader.bytes("entity of a part", KEY_LENGTH)?;
        let Some(entity) = Entity::of(key) else { return Ok(()) };
        let flags = reader.u8("flags of a part")?;
        reader.i32("number of a transaction")?;
        if flags & TOKENS != 0 {
            let before = self.read_tokens(&mut reader)?;
            let after = self.read_tokens(&mut reader)?;
            let (changed, complete) = (flags & CHANGED != 0, flags & COMPLETE != 0);
            self.heads.push(Head { entity, before, after, changed, complete });
            return Ok(());
        }
        let key = reader.i32("property key of a part")?.cast_unsigned();
        let after = reader.u8("side of a part")? != 0;
        let word = reader.i64("first word of a part")?.cast_unsigned();
        let (form, value) = event::read_value(&mut reader)?;
        let from = self.bytes.len();
        self.bytes.extend_from_slice(value);
        self.sides.push(Side { entity, key, after, word, form, bytes: from..self.bytes.len() });
        Ok(())
    }

    fn read_tokens(&mut self, reader: &mut Reader<'_>) -> Result<Option<Range<usize>>, OutOfBytes> {
        let from = self.tokens.len();
        let are_told = event::read_tokens(reader, &mut self.tokens)?;
        Ok(are_told.then_some(from..self.tokens.len()))
    }
}

/// All parts of one entity in a transaction.
pub(super) struct Assembled<'a> {
    entity: Entity,
    sides: &'a [Side],
    heads: &'a [Head],
    bytes: &'a [u8],
    tokens: &'a [u32],
}

impl Assembled<'_> {
    /// Writes the event of them; `false`: nothing has changed.
    pub(super) fn write(&self, cut: bool, event: &mut Vec<u8>) -> bool {
        event.clear();
        // Each record occurs once in a transaction; of more the first and the last side would count.
        let head = self.heads.first().zip(self.heads.last());
        let mut flags = if cut { CUT } else { 0 };
        if let Some((first, last)) = head {
            flags |= TOKENS;
            if first.complete || last.complete {
                flags |= COMPLETE;
            }
        }
        event::put_head(event, self.entity, flags);
        if let Some((first, last)) = head {
            for range in [&first.before, &last.after] {
                let range = range.clone();
                event::put_tokens(event, range.map(|range| self.tokens.get(range).unwrap_or_default()));
            }
        }
        self.write_deltas(event) || head.is_some_and(|(first, last)| first.matters() || last.matters())
    }

    /// Appends the properties that changed; whether there are any.
    fn write_deltas(&self, event: &mut Vec<u8>) -> bool {
        let start = event.len();
        let mut sides = self.sides;
        while let Some(key) = sides.first().map(|side| side.key) {
            let own;
            (own, sides) = split(sides, |side| side.key == key);
            let before = own.iter().find(|side| !side.after);
            let after = own.iter().rfind(|side| side.after);
            let content = |side: &Side| self.bytes.get(side.bytes.clone()).unwrap_or_default();
            if let (Some(before), Some(after)) = (before, after)
                && before.word == after.word
                && (before.form != Form::Words || content(before) == content(after))
            {
                // It moved from one record to another.
                continue;
            }
            event::put_key(event, key);
            for side in [before, after] {
                match side {
                    Some(side) => event::put_value(event, side.form, content(side)),
                    None => event::put_value(event, Form::Absent, &[]),
                }
            }
        }
        event.len() > start
    }
}

/// The items at the start that belong together, and the rest.
fn split<T>(items: &[T], belongs: impl Fn(&T) -> bool) -> (&[T], &[T]) {
    let count = items.iter().position(|item| !belongs(item)).unwrap_or(items.len());
    items.split_at_checked(count).unwrap_or_default()
}

/// Which parts belong together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Whole {
    entity: Entity,
    number: [u8; 4],
    cut: bool,
}

impl Whole {
    /// `None`: the record is an event.
    fn of(record: &[u8]) -> Option<Self> {
        let (flags, rest) = record.get(KEY_LENGTH..)?.split_first()?;
        let (entity, number) = (Entity::of(record)?, *rest.first_chunk()?);
        (flags & PART != 0).then_some(Self { entity, number, cut: flags & CUT != 0 })
    }
}

/// Events in the order of entities, those of large transactions put together.
#[derive(Debug)]
pub(super) struct WholeEvents {
    sorted: Sorted<ByNumber>,
    parts: Parts,
    event: Vec<u8>,
}

impl WholeEvents {
    pub(super) fn new(sorted: Sorted<ByNumber>) -> Self {
        Self { sorted, parts: Parts::default(), event: Vec::new() }
    }

    /// The next event; `None`: that were all.
    pub(super) fn next(&mut self) -> Result<Option<&[u8]>, RecoveryError> {
        while let Some(whole) = self.sorted.peek()?.and_then(Whole::of) {
            while let Some(part) = self.sorted.peek()?.filter(|part| Whole::of(part) == Some(whole)) {
                self.parts.read(part).map_err(|error| super::malformed_event(part, error))?;
                self.sorted.next()?;
            }
            let (event, mut changes) = (&mut self.event, false);
            self.parts.put_together(|assembled| {
                changes = assembled.write(whole.cut, event);
                Ok(())
            })?;
            if changes {
                return Ok(Some(&self.event));
            }
        }
        Ok(self.sorted.next()?)
    }
}
