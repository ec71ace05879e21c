//! What Lucene keeps of an index.

use std::sync::atomic::{AtomicU64, Ordering};

use super::context::Context;
use super::error::CheckError;
use super::fingerprint::Mixer;
use super::indexes::PropertyIndex;
use crate::index::lucene::{self, Found, LuceneError, LuceneIndex, Segment, Wanted, is_text};
use crate::io::disk::Disk;
use crate::store::schema::{IndexProvider, RuleKind};
use crate::store::value::Value;

/// Bytes of memory for documents of a segment, all threads together. A segment of more of them is read several times.
const WINDOW: usize = 32 << 20;
/// Bytes of a document there.
const DOCUMENT: usize = 8;

/// How texts are kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// As they are.
    Text,
    /// Split to words.
    FullText,
}

impl Kind {
    /// `None`: texts are like other values.
    pub fn of(index: &PropertyIndex) -> Option<Self> {
        let RuleKind::Index(rule) = &index.rule.kind else { return None };
        index.lucene.as_ref()?;
        match rule.provider {
            IndexProvider::Fulltext => Some(Self::FullText),
            // Of several values together Lucene has none.
            _ => (index.rule.schema.property_keys.len() == 1).then_some(Self::Text),
        }
    }
}

/// An entry: a document or, by what is asked for, one of its texts. Documents have ascending numbers.
#[derive(Clone, Copy, Debug)]
pub(super) enum Entry<'a> {
    /// A document.
    Document { number: u64, entity: u64 },
    /// A text of a document, or a word of one; `field`: the place of its key in the schema.
    Text { number: u64, entity: u64, field: usize, text: &'a [u8] },
}

/// The documents of an index.
#[derive(Clone, Debug)]
pub(super) struct Texts<'a> {
    disk: &'a dyn Disk,
    index: &'a LuceneIndex,
    kind: Kind,
    /// Fields with values.
    fields: Vec<String>,
    window: usize,
}

impl<'a> Texts<'a> {
    /// `None`: there are none, or they can't be read.
    pub fn of(context: &'a Context<'_>, disk: &'a dyn Disk, index: &'a PropertyIndex) -> Option<Self> {
        let kind = Kind::of(index)?;
        let Some(Ok(lucene)) = &index.lucene else { return None };
        let fields = match kind {
            Kind::Text => vec![lucene::TEXT.to_owned()],
            Kind::FullText => {
                let keys = index.rule.schema.property_keys.iter();
                keys.map(|key| context.keys.name(key.0.into()).unwrap_or_default().to_owned()).collect()
            }
        };
        let window = WINDOW / DOCUMENT / context.threads.max(1);
        Some(Self { disk, index: lucene, kind, fields, window })
    }

    /// Visits all entries, texts only if they are asked for.
    pub fn read(
        &self,
        texts: bool,
        mut visit: impl FnMut(Entry<'_>) -> Result<(), CheckError>,
    ) -> Result<(), CheckError> {
        for (number, segment) in (0..).zip(self.index.segments()) {
            self.read_segment(number << 32, segment, texts, &mut visit)?;
        }
        Ok(())
    }

    fn read_segment(
        &self,
        first: u64,
        segment: &Segment,
        texts: bool,
        visit: &mut impl FnMut(Entry<'_>) -> Result<(), CheckError>,
    ) -> Result<(), CheckError> {
        let fields: Vec<&str> = self.fields.iter().filter(|_| texts).map(String::as_str).collect();
        let entity = match self.kind {
            Kind::Text => lucene::ENTITY,
            Kind::FullText => lucene::FULLTEXT_ENTITY,
        };
        segment.read(self.disk, Wanted { entity, values: &fields }, self.window, |found| match found {
            Found::Document { document, entity } => {
                visit(Entry::Document { number: first | u64::from(document), entity: entity as u64 })
            }
            Found::Term { document, entity, field, term } => {
                let number = first | u64::from(document);
                visit(Entry::Text { number, entity: entity as u64, field, text: term })
            }
        })
    }

    /// Compares all entries with what is claimed of them.
    pub fn compare(
        &self,
        claimed: u128,
        words: Option<&Words>,
        mixer: Mixer,
    ) -> Result<Comparison, CheckError> {
        let mut damage = None;
        for segment in self.index.segments() {
            match segment.verify(self.disk) {
                Ok(()) => {}
                Err(LuceneError::Disk(error)) => return Err(error.into()),
                Err(error) => damage = Some(error),
            }
        }
        let mut claims = Claims { mixer, sum: 0, bytes: Vec::new() };
        let mut expected = true;
        self.read(self.kind == Kind::Text || words.is_some(), |entry| {
            match (entry, words) {
                (Entry::Document { entity, .. }, _) => claims.document(entity),
                (Entry::Text { entity, field, .. }, Some(words)) => expected &= words.has(entity, field),
                (Entry::Text { entity, text, .. }, None) => claims.text(entity, text),
            }
            Ok(())
        })?;
        Ok(Comparison { equal: expected && claims.sum == claimed, damage })
    }
}

/// How the documents of an index compare with the store.
#[derive(Debug)]
pub(super) struct Comparison {
    /// Whether they are equal.
    pub equal: bool,
    /// What is wrong with the files although they can be read.
    pub damage: Option<LuceneError>,
}

/// Which keys of each entity may have words in a full-text index: one bit for each.
#[derive(Debug)]
pub(super) struct Words {
    bits: Vec<AtomicU64>,
    keys: u64,
}

impl Words {
    /// For entities below `high`, with so many keys.
    pub fn new(high: u64, keys: usize) -> Self {
        let words = usize::try_from(high.saturating_mul(keys as u64).div_ceil(64)).unwrap_or_default();
        Self { bits: std::iter::repeat_with(AtomicU64::default).take(words).collect(), keys: keys as u64 }
    }

    fn place(&self, entity: u64, key: usize) -> Option<(&AtomicU64, u64)> {
        let at = entity.checked_mul(self.keys)?.checked_add(key as u64)?;
        Some((self.bits.get(usize::try_from(at / 64).ok()?)?, 1 << (at % 64)))
    }

    /// The key of an entity has a text.
    pub fn set(&self, entity: u64, key: usize) {
        if let Some((word, bit)) = self.place(entity, key) {
            word.fetch_or(bit, Ordering::Relaxed);
        }
    }

    fn has(&self, entity: u64, key: usize) -> bool {
        self.place(entity, key).is_some_and(|(word, bit)| word.load(Ordering::Relaxed) & bit != 0)
    }
}

/// What is claimed of the documents of an index.
#[derive(Debug)]
struct Claims {
    mixer: Mixer,
    sum: u128,
    bytes: Vec<u8>,
}

impl Claims {
    fn document(&mut self, entity: u64) {
        self.sum = self.sum.wrapping_add(self.mixer.bytes(&entity.to_be_bytes()));
    }

    fn text(&mut self, entity: u64, text: &[u8]) {
        self.bytes.clear();
        self.bytes.extend_from_slice(&entity.to_be_bytes());
        // So no text, the empty one neither, is the same as a document.
        self.bytes.push(1);
        self.bytes.extend_from_slice(text);
        self.sum = self.sum.wrapping_add(self.mixer.bytes(&self.bytes));
    }
}

/// The sum of the entries that an entity with these values must have; `None`: it must have none.
pub(super) fn claim(mixer: Mixer, kind: Kind, entity: u64, values: &[&Value]) -> Option<u128> {
    let mut claims = Claims { mixer, sum: 0, bytes: Vec::new() };
    let text = values.iter().find(|value| is_text(value))?;
    claims.document(entity);
    if kind == Kind::Text {
        with_bytes(text, |bytes| claims.text(entity, bytes))?;
    }
    Some(claims.sum)
}

/// The bytes of a text as Lucene has them; `None`: the value is no text.
pub(super) fn with_bytes<R>(text: &Value, visit: impl FnOnce(&[u8]) -> R) -> Option<R> {
    match text {
        Value::String(text) => Some(visit(text.as_bytes())),
        Value::Char(unit) => Some(visit(String::from_utf16_lossy(&[*unit]).as_bytes())),
        _ => None,
    }
}
