//! An index that is brought to the end of the window, and what it has for the entity at hand.

use std::fmt;

use super::key_order::{KeyOrder, Op};
use crate::index::value::{KeyKind, SpatialSettings, ValueLayout, encode_key};
use crate::io::sort::{Scratch, Sorter};
use crate::recovery::RecoveryError;
use crate::store::schema::{IndexProvider, IndexRule, SchemaRule};
use crate::store::value::Value;

/// What an index keeps, and where.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Storage {
    /// Everything in a tree.
    Tree,
    /// Texts in Lucene, the rest in a tree. Specification: indexes 8.4.
    TreeAndText,
    /// Texts in Lucene, nothing else.
    Text,
    /// Documents of one or more texts in Lucene.
    Documents,
}

impl Storage {
    /// Of an index of this rule; `None`: it is a lookup index.
    pub(super) fn of(rule: &SchemaRule, index: &IndexRule) -> Option<Self> {
        Some(match index.provider {
            IndexProvider::LuceneNative if rule.schema.property_keys.len() == 1 => Self::TreeAndText,
            IndexProvider::NativeBtree
            | IndexProvider::Range
            | IndexProvider::Point
            | IndexProvider::LuceneNative => Self::Tree,
            IndexProvider::Text => Self::Text,
            IndexProvider::Fulltext => Self::Documents,
            IndexProvider::TokenLookup => return None,
        })
    }
}

/// A property of the entity at one moment.
#[derive(Clone, Copy, Debug)]
pub(super) enum Found<'v> {
    /// It has none.
    None,
    /// Its value.
    Value(&'v Value),
    /// A text that is too long for a key, or that no command carries.
    SomeText,
    /// An array for which the same is true.
    SomeArray,
    /// Not known.
    Unknown,
}

/// What an index has for an entity at one moment: a tag, and the key or the text.
#[derive(Clone, Debug, Default)]
pub(super) struct State {
    tag: Tag,
    content: Vec<u8>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Tag {
    /// Nothing.
    #[default]
    None,
    /// A key in the tree.
    Key,
    /// A text in Lucene.
    Text,
    /// A text that is not known, or too long to be kept here.
    SomeText,
    /// A key that is not known.
    SomeKey,
}

/// An index and what is to be done in it.
pub(super) struct Target<'a> {
    pub rule: &'a SchemaRule,
    storage: Storage,
    keys: Option<TargetKeys>,
    /// Property keys, in the order of the index.
    pub properties: Vec<u32>,
    /// Changes of the tree.
    pub changes: Option<Sorter<KeyOrder>>,
    /// Bytes of their keys.
    pub change_bytes: u64,
    /// Entities that they are of.
    pub entities: u64,
    pub loss: Loss,
    /// What is lost if the entity had the tokens of the index at moments at which its tokens are not known.
    maybe: Loss,
    /// For which entity the states are: the counter of the derivation.
    pub turn: u64,
    last: State,
    end: State,
    /// Whether the tokens were not known at the end.
    end_uncertain: bool,
    next: State,
    changed: bool,
}

/// Why an index can't be kept.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Loss {
    /// A text in Lucene changes.
    pub touched: bool,
    /// A key is not known, so that only the stores tell what the index must have.
    pub unknown: bool,
}

impl Loss {
    pub(super) fn add(&mut self, other: Self) {
        self.touched |= other.touched;
        self.unknown |= other.unknown;
    }
}

struct TargetKeys {
    kind: KeyKind,
    spatial: SpatialSettings,
}

impl<'a> Target<'a> {
    pub(super) fn new(
        rule: &'a SchemaRule,
        index: &IndexRule,
        storage: Storage,
        layout: Option<ValueLayout>,
        scratch: &Scratch,
        memory: usize,
    ) -> Result<Self, RecoveryError> {
        let keys = match layout {
            Some(layout) => Some(TargetKeys { kind: layout.keys(), spatial: super::spatial(rule, index)? }),
            None => None,
        };
        Ok(Self {
            rule,
            storage,
            keys,
            properties: rule.schema.property_keys.iter().map(|key| key.0).collect(),
            changes: layout.map(|layout| Sorter::new(scratch, memory, KeyOrder(layout))),
            change_bytes: 0,
            entities: 0,
            loss: Loss::default(),
            maybe: Loss::default(),
            turn: 0,
            last: State::default(),
            end: State::default(),
            end_uncertain: false,
            next: State::default(),
            changed: false,
        })
    }

    /// Whether nothing more need be known of it: it can't be kept.
    pub(super) fn is_lost(&self) -> bool {
        self.loss.touched || self.loss.unknown
    }

    /// Whether an entity with these tokens can be in it.
    pub(super) fn matches(&self, tokens: &[u32]) -> bool {
        tokens.iter().any(|token| self.rule.schema.entity_tokens.contains(token))
    }

    /// Begins with an entity: what it has before the first event. `values`: by property key; `None`: the tokens don't
    /// match.
    pub(super) fn begin<'v>(&mut self, turn: u64, entity: u64, values: Option<impl Fn(u32) -> Found<'v>>) {
        self.turn = turn;
        self.changed = false;
        self.maybe = Loss::default();
        self.end_uncertain = false;
        self.evaluate(entity, values);
        std::mem::swap(&mut self.last, &mut self.next);
    }

    /// Goes on to the next moment. `certain`: the tokens were known before it.
    pub(super) fn step<'v>(
        &mut self,
        entity: u64,
        values: Option<impl Fn(u32) -> Found<'v>>,
        certain: bool,
    ) -> Result<(), RecoveryError> {
        self.evaluate(entity, values);
        let (old, new) = (self.last.tag, self.next.tag);
        if old == new
            && !matches!(old, Tag::SomeText | Tag::SomeKey)
            && self.last.content == self.next.content
        {
            return Ok(());
        }
        self.changed = true;
        let loss = if certain { &mut self.loss } else { &mut self.maybe };
        loss.touched |= [old, new].iter().any(|tag| matches!(tag, Tag::Text | Tag::SomeText));
        loss.unknown |= [old, new].contains(&Tag::SomeKey);
        if old == Tag::Key {
            self.push(Op::Remove)?;
        }
        std::mem::swap(&mut self.last, &mut self.next);
        Ok(())
    }

    /// It is known now whether the entity had the tokens of the index at the moments at which they were not known.
    pub(super) fn settle(&mut self, had: bool) {
        let maybe = std::mem::take(&mut self.maybe);
        self.loss.touched |= had && maybe.touched;
        self.loss.unknown |= had && maybe.unknown;
        if std::mem::take(&mut self.end_uncertain) && !had {
            self.end.tag = Tag::None;
        }
    }

    /// It will not be known.
    pub(super) fn give_up(&mut self) {
        self.loss.unknown |= self.end_uncertain && self.keys.is_some();
        self.settle(true);
    }

    /// The replay ends here; what follows must go. `certain`: the tokens are known.
    pub(super) fn mark_end(&mut self, certain: bool) {
        self.end.tag = self.last.tag;
        self.end.content.clone_from(&self.last.content);
        self.end_uncertain = !certain;
    }

    /// There are no more events of the entity.
    pub(super) fn finish(&mut self) -> Result<(), RecoveryError> {
        self.give_up();
        if !self.changed {
            return Ok(());
        }
        self.entities += 1;
        if self.last.tag == Tag::Key && (self.end.tag != Tag::Key || self.last.content != self.end.content) {
            self.push(Op::Remove)?;
        }
        if self.end.tag == Tag::Key {
            self.push(Op::Put)?;
        }
        Ok(())
    }

    /// Notes a change: of what was there last, or of what is there in the end.
    fn push(&mut self, op: Op) -> Result<(), RecoveryError> {
        let state = if op == Op::Put { &self.end } else { &self.last };
        if let Some(changes) = &mut self.changes {
            changes.push_parts(&[&[op.byte()], &state.content])?;
            self.change_bytes += state.content.len() as u64;
        }
        Ok(())
    }

    /// Writes into `next` what the index has for an entity with these properties. Specification: indexes 8.2, 8.4.
    fn evaluate<'v>(&mut self, entity: u64, values: Option<impl Fn(u32) -> Found<'v>>) {
        self.next.content.clear();
        self.next.tag = Tag::None;
        let Some(found) = values else { return };
        let values = || self.properties.iter().map(|key| found(*key));
        if self.storage == Storage::Documents {
            return self.next.document(values());
        }
        if values().any(|value| matches!(value, Found::None)) {
            return;
        }
        if matches!(self.storage, Storage::Text | Storage::TreeAndText) {
            match values().next() {
                Some(Found::Value(Value::String(_) | Value::Char(_)) | Found::SomeText) => {
                    return self.next.document(values());
                }
                // It may be a text.
                Some(Found::Unknown) => self.next.tag = Tag::SomeText,
                Some(Found::Value(_) | Found::SomeArray | Found::None) | None => {}
            }
        }
        let Some(TargetKeys { kind, spatial }) = &self.keys else { return };
        if !values().all(|value| matches!(value, Found::Value(_))) {
            self.next.tag = Tag::SomeKey;
            return;
        }
        let values = values().filter_map(Found::value);
        self.next.tag = match encode_key(*kind, entity, values, spatial, &mut self.next.content) {
            Ok(true) => Tag::Key,
            Ok(false) => Tag::None,
            // Whether the stores have such a value in the end is seen when the index is built from them.
            Err(_) => Tag::SomeKey,
        };
    }
}

impl<'v> Found<'v> {
    fn value(self) -> Option<&'v Value> {
        if let Self::Value(value) = self { Some(value) } else { None }
    }
}

impl State {
    /// The texts among the values, each with its place in the index.
    fn document<'v>(&mut self, values: impl Iterator<Item = Found<'v>>) {
        for (place, value) in values.enumerate() {
            let buffer;
            let text = match value {
                Found::Value(Value::String(text)) => text.as_bytes(),
                Found::Value(Value::Char(unit)) => {
                    buffer = unit.to_be_bytes();
                    buffer.as_slice()
                }
                Found::SomeText | Found::Unknown => {
                    self.tag = Tag::SomeText;
                    continue;
                }
                Found::None | Found::SomeArray | Found::Value(_) => continue,
            };
            if self.tag == Tag::None {
                self.tag = Tag::Text;
            }
            let is_character = matches!(value, Found::Value(Value::Char(_)));
            self.content.extend_from_slice(&place.to_be_bytes());
            self.content.push(is_character.into());
            self.content.extend_from_slice(&text.len().to_be_bytes());
            self.content.extend_from_slice(text);
        }
    }
}

impl fmt::Debug for Target<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Target")
            .field("rule", &self.rule.id)
            .field("storage", &self.storage)
            .finish_non_exhaustive()
    }
}
