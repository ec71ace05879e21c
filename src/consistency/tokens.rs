//! Labels, relationship types and property keys, and the records of their names.

use std::collections::{BTreeMap, HashMap};

use super::catalogue::TokenFindings;
use super::chain_walk::{Step, walk};
use super::context::token_slots;
use super::error::CheckError;
use super::ids::HighIds;
use super::raw::{NONE, RawDynamic, RawReader, RawToken};
use super::report::Reporter;
use super::summary::RecordType;
use super::text::{TokenKind, TokenText};
use crate::store::record::Slots;
use crate::store::stores::Stores;

/// The tokens of one kind.
#[derive(Clone, Debug)]
pub(super) struct TokenSet {
    /// A bit per id: whether it is a token of the users.
    public: Vec<u64>,
    /// Names by id, of users' tokens and of Neo4j's own.
    names: BTreeMap<i64, Name>,
    /// The id behind the last.
    pub high: u64,
}

#[derive(Clone, Debug)]
struct Name {
    text: String,
    internal: bool,
    loaded: Loaded,
}

/// When Neo4j's checker knows a name. It loads all tokens twice: for the indexes, and once more for everything else.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Loaded {
    Always,
    /// The name can't be read: the second time the token has a name that says so.
    SecondTime,
}

/// For what a name is looked up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Purpose {
    /// To open indexes.
    Opening,
    /// To check.
    Checking,
}

impl TokenSet {
    /// Whether a token of the users has this id.
    pub fn is_public(&self, id: i64) -> bool {
        let Ok(id) = usize::try_from(id) else { return false };
        self.public.get(id / 64).is_some_and(|word| word >> (id % 64) & 1 != 0)
    }

    /// The name of a token of the users.
    pub fn name(&self, id: i64) -> Option<&str> {
        self.names.get(&id).filter(|name| !name.internal).map(|name| name.text.as_str())
    }

    /// The name of a token of Neo4j itself.
    pub fn internal_name(&self, id: i64, purpose: Purpose) -> Option<&str> {
        let is_known = |name: &&Name| name.loaded == Loaded::Always || purpose == Purpose::Checking;
        self.names.get(&id).filter(|name| name.internal).filter(is_known).map(|name| name.text.as_str())
    }

    /// Whether a token of the users had a name when indexes were opened.
    pub fn was_known(&self, id: i64) -> bool {
        self.names.get(&id).is_some_and(|name| !name.internal && name.loaded == Loaded::Always)
    }

    /// Whether there are names that are known for one purpose only.
    pub fn depends_on_purpose(&self) -> bool {
        self.names.values().any(|name| name.internal && name.loaded == Loaded::SecondTime)
    }
}

/// Where the tokens of a kind are and what is said of them.
struct Store<'a> {
    kind: TokenKind,
    slots: &'a Slots,
    names: &'a Slots,
    high: u64,
    findings: TokenFindings,
}

impl<'a> Store<'a> {
    fn of(stores: &'a Stores, high: &HighIds, kind: TokenKind) -> Self {
        let slots = token_slots(stores, kind);
        let (names, high, findings) = match kind {
            TokenKind::Label => (
                stores.label_names.slots(),
                high.label_tokens,
                const { TokenFindings::of(RecordType::Label, RecordType::LabelName) },
            ),
            TokenKind::RelationshipType => (
                stores.type_names.slots(),
                high.type_tokens,
                const { TokenFindings::of(RecordType::RelationshipType, RecordType::RelationshipTypeName) },
            ),
            TokenKind::PropertyKey => (
                stores.key_names.slots(),
                high.key_tokens,
                const { TokenFindings::of(RecordType::PropertyKey, RecordType::PropertyKeyName) },
            ),
        };
        // What an id file says can't make more tokens than there are in the file.
        let high = high.min(slots.file().pages().saturating_mul(slots.per_page()));
        Self { kind, slots, names, high, findings }
    }

    /// Calls `visit` for each token in use.
    fn each(&self, mut visit: impl FnMut(RawToken) -> Result<(), CheckError>) -> Result<(), CheckError> {
        let mut reader: RawReader<'_, RawToken> = RawReader::new(self.slots);
        for id in 0..self.high {
            let token = reader.get(id as i64)?;
            if token.used {
                visit(token)?;
            }
        }
        Ok(())
    }
}

/// Reads the tokens of a kind. One whose name can't be read gets a name that says so; two of the same name are
/// reported.
pub(super) fn read(
    stores: &Stores,
    high: &HighIds,
    kind: TokenKind,
    report: &Reporter<'_>,
) -> Result<TokenSet, CheckError> {
    let store = Store::of(stores, high, kind);
    let mut reader: RawReader<'_, RawDynamic> = RawReader::new(store.names);
    let mut set = TokenSet { public: Vec::new(), names: BTreeMap::new(), high: store.high };
    let mut by_name = HashMap::new();
    let mut bytes = Vec::new();
    store.each(|token| {
        if !token.internal {
            let word = usize::try_from(token.id / 64).unwrap_or(usize::MAX);
            if set.public.len() <= word {
                set.public.resize(word + 1, 0);
            }
            if let Some(word) = set.public.get_mut(word) {
                *word |= 1 << (token.id % 64);
            }
        }
        let first = i64::from(token.name);
        // A negative number other than that for none is not even looked for.
        if first < NONE {
            return Ok(());
        }
        let mut loaded = if first == NONE { Loaded::SecondTime } else { Loaded::Always };
        walk(&mut reader, first, Some(&mut bytes), |step| {
            match step {
                Step::FirstNotInUse(_) | Step::NextNotInUse(_) | Step::Cycle(_) => {
                    loaded = Loaded::SecondTime;
                }
                Step::Empty(_) | Step::NotFull(_) => {}
            }
            Ok(())
        })?;
        let text = if loaded == Loaded::Always {
            let text = String::from_utf8_lossy(&bytes).into_owned();
            if let Some(other) = by_name.insert((token.internal, text.clone()), token) {
                report.record(
                    store.findings.duplicate,
                    &TokenText(kind, token),
                    &[&TokenText(kind, other), &text],
                );
            }
            text
        } else {
            format!("<name not loaded due to token({}) referencing unused name record>", token.id)
        };
        set.names.insert(token.id, Name { text, internal: token.internal, loaded });
        Ok(())
    })?;
    Ok(set)
}

/// Checks the names of the tokens of a kind. Specification: consistency check 2.8.
pub(super) fn check(
    stores: &Stores,
    high: &HighIds,
    kind: TokenKind,
    report: &Reporter<'_>,
) -> Result<(), CheckError> {
    let store = Store::of(stores, high, kind);
    let mut reader: RawReader<'_, RawDynamic> = RawReader::new(store.names);
    let none = RawDynamic::cleared(NONE);
    store.each(|token| {
        let first = i64::from(token.name);
        if first == NONE {
            return Ok(());
        }
        walk(&mut reader, first, None, |step| {
            let findings = store.findings;
            match step {
                Step::FirstNotInUse(_) => {
                    report.record(findings.name_not_in_use, &TokenText(store.kind, token), &[&none]);
                }
                Step::NextNotInUse(record) => report.record(findings.next_not_in_use, &none, &[record]),
                Step::Cycle(last) => report.record(findings.circular, &none, &[last]),
                Step::Empty(record) => report.record(findings.empty, record, &[]),
                Step::NotFull(record) => report.record(findings.not_full, record, &[]),
            }
            Ok(())
        })?;
        Ok(())
    })
}
