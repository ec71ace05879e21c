//! Events: what one transaction did to one entity, as far as indexes are concerned.

use std::ops::Range;

use crate::io::bytes::{OutOfBytes, Reader};
use crate::store::schema::EntityType;

/// How a changed property or a list of tokens lies in an event.
///
/// | Size | Field                                                                                          |
/// |-----:|------------------------------------------------------------------------------------------------|
/// |    1 | 0 node, 1 relationship                                                                         |
/// |    7 | id                                                                                             |
/// |    1 | flags: 01 the transaction was cut, 02 tokens follow, 04 the entity was created or deleted      |
/// |  4+n | with flag 02: the tokens before; their number or −1 for not told, then 4 bytes each            |
/// |  4+n | with flag 02: the tokens after                                                                 |
/// |    n | the changed properties: key (4 bytes), value before, value after                               |
///
/// A value is 1 byte [`Form`], 4 bytes length and its bytes. The first eight bytes are what events are sorted by; those of
/// one entity stay in the order of the transactions.
pub(super) const KEY_LENGTH: usize = 8;

/// Bits of an id in the key; no format has ids of more than 50.
const ID_BITS: u32 = 56;

/// The transaction was cut: its keys must go.
pub(super) const CUT: u8 = 0x01;
/// The tokens before and after are in the event.
pub(super) const TOKENS: u8 = 0x02;
/// The entity came or went, so that the event has all of its properties.
pub(super) const COMPLETE: u8 = 0x04;

/// In the place of the number of tokens: the command does not tell them.
const UNTOLD: i32 = -1;

/// What stands for a value.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(u8)]
pub(super) enum Form {
    /// There is no value.
    #[default]
    Absent = 0,
    /// The words of the property record, big-endian.
    Words = 1,
    /// The UTF-8 of a text of the string store.
    Text = 2,
    /// The bytes of an array of the array store.
    Array = 3,
    /// A text whose records the command did not carry.
    UntoldText = 4,
    /// An array whose records the command did not carry.
    UntoldArray = 5,
    /// A text that is longer than any key of a tree.
    LongText = 6,
    /// Such an array.
    LongArray = 7,
    /// Not in events: the value that the final store has.
    Final = 8,
}

impl Form {
    fn of(byte: u8) -> Option<Self> {
        Some(match byte {
            0 => Self::Absent,
            1 => Self::Words,
            2 => Self::Text,
            3 => Self::Array,
            4 => Self::UntoldText,
            5 => Self::UntoldArray,
            6 => Self::LongText,
            7 => Self::LongArray,
            _ => return None,
        })
    }

    /// Whether the value exists and its content is not known.
    pub(super) fn is_untold(self) -> bool {
        matches!(self, Self::UntoldText | Self::UntoldArray)
    }
}

/// Above this many bytes in the value store a value is longer than the longest key of a tree, 8175 bytes: no key needs
/// less than half of what the store needs. Specification: indexes 3.7, store format 6.7.
pub(super) const LONG: usize = 2 * 8192;

/// A value by its place in some bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Stored {
    pub form: Form,
    from: usize,
    to: usize,
}

impl Stored {
    pub(super) fn new(form: Form, range: Range<usize>) -> Self {
        Self { form, from: range.start, to: range.end }
    }

    /// Its bytes in those that it was read from.
    pub(super) fn bytes(self, all: &[u8]) -> &[u8] {
        all.get(self.from..self.to).unwrap_or_default()
    }
}

/// A property that an event changes.
#[derive(Clone, Copy, Debug)]
pub(super) struct Delta {
    pub key: u32,
    pub before: Stored,
    pub after: Stored,
}

/// Tokens on one side of an event: a range of [`Chunk::tokens`]; `None`: not told.
pub(super) type TokenRange = Option<(usize, usize)>;

/// An event of the entity at hand.
#[derive(Clone, Debug)]
pub(super) struct Step {
    pub cut: bool,
    pub complete: bool,
    pub tokens: Option<(TokenRange, TokenRange)>,
    /// Its part of [`Chunk::deltas`].
    pub deltas: Range<usize>,
}

impl Step {
    /// Whether the tokens may have changed.
    pub(super) fn changes_tokens(&self, chunk: &Chunk) -> bool {
        self.tokens.is_some_and(|(before, after)| match (before, after) {
            (Some(before), Some(after)) => chunk.tokens_in(before) != chunk.tokens_in(after),
            _ => true,
        })
    }
}

/// Events of one entity one after the other: all of them, or as many as the memory holds.
#[derive(Debug, Default)]
pub(super) struct Chunk {
    pub bytes: Vec<u8>,
    pub steps: Vec<Step>,
    pub deltas: Vec<Delta>,
    tokens: Vec<u32>,
}

impl Chunk {
    pub(super) fn clear(&mut self) {
        self.bytes.clear();
        self.steps.clear();
        self.deltas.clear();
        self.tokens.clear();
    }

    pub(super) fn tokens_in(&self, (from, to): (usize, usize)) -> &[u32] {
        self.tokens.get(from..to).unwrap_or_default()
    }

    /// Adds an event.
    pub(super) fn push(&mut self, event: &[u8]) -> Result<(), OutOfBytes> {
        let start = self.bytes.len();
        self.bytes.extend_from_slice(event);
        let mut reader = Reader::new(event);
        reader.bytes("entity of an index event", KEY_LENGTH)?;
        let flags = reader.u8("flags of an index event")?;
        let tokens = if flags & TOKENS == 0 {
            None
        } else {
            Some((self.read_tokens(&mut reader)?, self.read_tokens(&mut reader)?))
        };
        let first = self.deltas.len();
        while reader.left() > 0 {
            let key = reader.i32("property key of an index event")?.cast_unsigned();
            let before = stored(start, &mut reader)?;
            let after = stored(start, &mut reader)?;
            self.deltas.push(Delta { key, before, after });
        }
        self.steps.push(Step {
            cut: flags & CUT != 0,
            complete: flags & COMPLETE != 0,
            tokens,
            deltas: first..self.deltas.len(),
        });
        Ok(())
    }

    fn read_tokens(&mut self, reader: &mut Reader<'_>) -> Result<TokenRange, OutOfBytes> {
        let from = self.tokens.len();
        let are_told = read_tokens(reader, &mut self.tokens)?;
        Ok(are_told.then_some((from, self.tokens.len())))
    }
}

/// Reads a list of tokens, and appends them; `false`: they are not told.
pub(super) fn read_tokens(reader: &mut Reader<'_>, out: &mut Vec<u32>) -> Result<bool, OutOfBytes> {
    let count = reader.i32("number of tokens of an index event")?;
    let Ok(count) = usize::try_from(count) else { return Ok(false) };
    let bytes = reader.bytes("tokens of an index event", count.saturating_mul(4))?;
    let (tokens, _) = bytes.as_chunks();
    out.extend(tokens.iter().map(|token| u32::from_be_bytes(*token)));
    Ok(true)
}

/// Reads a value.
pub(super) fn read_value<'a>(reader: &mut Reader<'a>) -> Result<(Form, &'a [u8]), OutOfBytes> {
    let (field, offset) = ("value of an index event", reader.offset());
    let form = Form::of(reader.u8(field)?).ok_or(OutOfBytes { field, offset, wanted: 1, left: 0 })?;
    let length = reader.i32(field)?.cast_unsigned() as usize;
    Ok((form, reader.bytes(field, length)?))
}

/// Reads a value of an event that is at `start` in some bytes.
fn stored(start: usize, reader: &mut Reader<'_>) -> Result<Stored, OutOfBytes> {
    let (form, bytes) = read_value(reader)?;
    let to = start + reader.offset();
    Ok(Stored { form, from: to - bytes.len(), to })
}

/// An entity as events name it, in their order: kind and id in one number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Entity(u64);

impl Entity {
    /// `None`: there is no such id.
    pub(super) fn new(kind: EntityType, id: u64) -> Option<Self> {
        let kind = u64::from(kind == EntityType::Relationship);
        (id >> ID_BITS == 0).then_some(Self(kind << ID_BITS | id))
    }

    /// The entity of an event.
    pub(super) fn of(event: &[u8]) -> Option<Self> {
        event.first_chunk().map(|key| Self(u64::from_be_bytes(*key)))
    }

    pub(super) fn kind(self) -> EntityType {
        if self.0 >> ID_BITS == 0 { EntityType::Node } else { EntityType::Relationship }
    }

    pub(super) fn id(self) -> u64 {
        self.0 & ((1 << ID_BITS) - 1)
    }
}

/// Appends the key and the flags of an event.
pub(super) fn put_head(out: &mut Vec<u8>, entity: Entity, flags: u8) {
    out.extend_from_slice(&entity.0.to_be_bytes());
    out.push(flags);
}

/// Appends a list of tokens; `None`: not told.
pub(super) fn put_tokens(out: &mut Vec<u8>, tokens: Option<&[u32]>) {
    let count = tokens.map_or(UNTOLD, |tokens| i32::try_from(tokens.len()).unwrap_or(UNTOLD));
    out.extend_from_slice(&count.to_be_bytes());
    if count != UNTOLD {
        for token in tokens.unwrap_or_default() {
            out.extend_from_slice(&token.to_be_bytes());
        }
    }
}

/// Appends a property key.
pub(super) fn put_key(out: &mut Vec<u8>, key: u32) {
    out.extend_from_slice(&key.to_be_bytes());
}

/// Appends a value. `bytes`: not more than [`LONG`].
pub(super) fn put_value(out: &mut Vec<u8>, form: Form, bytes: &[u8]) {
    out.push(form as u8);
    out.extend_from_slice(&u32::try_from(bytes.len()).unwrap_or_default().to_be_bytes());
    out.extend_from_slice(bytes);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_event_reads_as_it_was_written() {
        let mut event = Vec::new();
        let entity = Entity::new(EntityType::Relationship, 7).unwrap();
        put_head(&mut event, entity, CUT | TOKENS | COMPLETE);
        put_tokens(&mut event, Some(&[3, 9]));
        put_tokens(&mut event, None);
        put_key(&mut event, 0x00ff_fffe);
        put_value(&mut event, Form::Absent, &[]);
        put_value(&mut event, Form::Text, b"text");
        assert_eq!(Entity::of(&event), Some(entity));
        assert_eq!((entity.kind(), entity.id()), (EntityType::Relationship, 7));
        assert_eq!(Entity::new(EntityType::Node, 1 << 56), None);
        let mut chunk = Chunk::default();
        chunk.push(&event).unwrap();
        chunk.push(&event).unwrap();
        for step in &chunk.steps {
            assert!(step.cut && step.complete && step.changes_tokens(&chunk));
            let (before, after) = step.tokens.unwrap();
            assert_eq!(chunk.tokens_in(before.unwrap()), [3, 9]);
            assert_eq!(after, None);
            let [delta] = chunk.deltas[step.deltas.clone()] else { panic!() };
            assert_eq!(
                (delta.key, delta.before.form, delta.after.form),
                (0x00ff_fffe, Form::Absent, Form::Text)
            );
            assert_eq!(delta.after.bytes(&chunk.bytes), b"text");
        }
        for cut in 0..event.len() {
            let whole_without_properties = event.len() - 4 - 5 - 9;
            assert_eq!(
                Chunk::default().push(&event[..cut]).is_err(),
                cut != whole_without_properties,
                "{cut}"
            );
        }
    }
}
