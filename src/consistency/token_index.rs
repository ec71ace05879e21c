//! The lookup indexes, compared with nodes and relationships. Specification: consistency check 2.13.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Display;
use std::ops::Range;

use super::catalogue as c;
use super::context::Context;
use super::error::CheckError;
use super::labels::{LabelReader, Labels};
use super::raw::{RawNode, RawReader, RawRelationship};
use super::report::Finding;
use super::summary::RecordType;
use super::text::TokenRange;
use super::token_claims::TokenClaims;
use super::trees;
use crate::gbptree::{LeafWalk, TreeError};
use crate::index::IndexError;
use crate::index::token::{ENTITIES_PER_RANGE, TokenIndex, TokenRange as TokenEntry, token_of};

/// An index of labels or types.
#[derive(Debug)]
pub(super) struct LookupIndex {
    pub index: TokenIndex,
    /// Whether its tree is as it should be, if that was checked.
    pub sound: Option<bool>,
}

impl LookupIndex {
    /// Whether the tree is as it should be. Nothing is reported.
    fn is_sound(&self) -> Result<bool, CheckError> {
        if let Some(sound) = self.sound {
            return Ok(sound);
        }
        let mut sound = true;
        let structure = self.index.tree().check(&mut |_| sound = false)?;
        Ok(sound && structure.unreadable == 0)
    }

    /// Reports that the index can't be read, unless the check of its structure did.
    fn unreadable(&self, context: &Context<'_>, about: RecordType) {
        if self.sound.is_none() {
            trees::unreadable(context.report, about, self.index.tree().path());
        }
    }
}

/// How the entries of an index are found.
#[derive(Clone, Debug)]
enum Way {
    /// The tree is sound: all that is in it is found, range by range.
    Ordered(BTreeSet<u32>),
    /// The tree is damaged: each of these tokens is looked for once, and what is found then is all that there is.
    Searched(BTreeSet<u32>),
}

impl Way {
    fn tokens(&self) -> &BTreeSet<u32> {
        match self {
            Self::Ordered(tokens) | Self::Searched(tokens) => tokens,
        }
    }

    /// Ranges that are compared in one step. Where a search begins decides what it finds in a damaged tree: Neo4j
    /// searches once for each token.
    fn window(&self) -> u64 {
        match self {
            Self::Ordered(_) => 1 << 10,
            Self::Searched(_) => 1 << 24,
        }
    }

    /// The entries of a token, which come in ascending order; whether there is no damage that ends it.
    fn read(
        &self,
        index: &TokenIndex,
        token: u32,
        ranges: Range<u64>,
        visit: &mut dyn FnMut(TokenEntry),
    ) -> Result<bool, CheckError> {
        unless_broken(|| match self {
            Self::Ordered(_) => {
                let mut entries = index.range(token, ranges)?;
                while let Some(entry) = entries.next()? {
                    visit(entry);
                }
                Ok(true)
            }
            Self::Searched(_) => Ok(index.walk_range(token, ranges, visit)? != LeafWalk::Broken),
        })
    }
}

/// How an index must be compared with its entities; `None`: it says what the claims of the entities say, or it can't be
/// read, which is reported. `high`: tokens below this may be in it.
fn differs(
    context: &Context<'_>,
    lookup: &LookupIndex,
    mut claims: TokenClaims,
    high: u64,
    about: RecordType,
) -> Result<Option<Way>, CheckError> {
    let index = &lookup.index;
    if !lookup.is_sound()? {
        let mut tokens: BTreeSet<u32> = (0..u32::try_from(high).unwrap_or(u32::MAX)).collect();
        let read = unless_broken(|| {
            index.tree().walk_leaves(&mut |key, _| tokens.extend(token_of(key)))?;
            if let Some(last) = index.last_token()? {
                tokens.retain(|token| *token <= last);
            }
            Ok(true)
        })?;
        if !read {
            lookup.unreadable(context, about);
        }
        return Ok(read.then_some(Way::Searched(tokens)));
    }
    let mut tokens = BTreeSet::new();
    let mut last = None;
    let read = unless_broken(|| {
        let mut entries = index.entries()?;
        while let Some(entry) = entries.next()? {
            if last != Some(entry.token) {
                tokens.insert(entry.token);
                last = Some(entry.token);
            }
            claims.subtract(entry.token.into(), entry.range, entry.entities);
        }
        Ok(true)
    })?;
    if !read {
        lookup.unreadable(context, about);
    }
    Ok((read && !claims.are_equal()).then_some(Way::Ordered(tokens)))
}

/// Damage of a tree ends what is done with it, and nothing else: `false`.
fn unless_broken(work: impl FnOnce() -> Result<bool, IndexError>) -> Result<bool, CheckError> {
    match work() {
        Ok(whole) => Ok(whole),
        Err(IndexError::Tree(error @ (TreeError::Disk(_) | TreeError::Cache(_)))) => Err(error.into()),
        Err(IndexError::Disk(error)) => Err(error.into()),
        Err(_) => Ok(false),
    }
}

/// What is said of the entries of an index.
struct Findings {
    about: RecordType,
    range: &'static str,
    not_in_use: Finding,
    unexpected: Finding,
    missing: Finding,
}

const LABELS: Findings = Findings {
    about: RecordType::LabelScanDocument,
    range: "NodeLabelRange",
    not_in_use: c::LABEL_INDEX_NODE_NOT_IN_USE,
    unexpected: c::LABEL_INDEX_UNEXPECTED,
    missing: c::LABEL_INDEX_MISSING,
};

const TYPES: Findings = Findings {
    about: RecordType::RelationshipTypeScanDocument,
    range: "RelationshipTypeRange",
    not_in_use: c::TYPE_INDEX_NOT_IN_USE,
    unexpected: c::TYPE_INDEX_UNEXPECTED,
    missing: c::TYPE_INDEX_MISSING,
};

/// Entities that an index can be asked for.
trait Entities {
    type Record: Display;

    /// The record of an entity and what is known of it; `tokens` gets its tokens, ascending.
    fn read(&mut self, id: u64, tokens: &mut Vec<i64>) -> Result<(Self::Record, State), CheckError>;
}

/// What is known of an entity.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Used,
    NotInUse,
    /// Its tokens can't be read: the index may say what it likes.
    Unreadable,
}

struct Nodes<'a> {
    records: RawReader<'a, RawNode>,
    labels: LabelReader<'a>,
    found: Labels,
    high: u64,
}

impl Entities for Nodes<'_> {
    type Record = RawNode;

    fn read(&mut self, id: u64, tokens: &mut Vec<i64>) -> Result<(RawNode, State), CheckError> {
        let node = self.records.get(id as i64)?;
        tokens.clear();
        if id >= self.high || !node.used {
            return Ok((node, State::NotInUse));
        }
        self.labels.read(&node, &mut self.found, false)?;
        tokens.extend_from_slice(&self.found.sorted);
        Ok((node, if self.found.broken { State::Unreadable } else { State::Used }))
    }
}

struct Relationships<'a> {
    records: RawReader<'a, RawRelationship>,
    high: u64,
}

impl Entities for Relationships<'_> {
    type Record = RawRelationship;

    fn read(&mut self, id: u64, tokens: &mut Vec<i64>) -> Result<(RawRelationship, State), CheckError> {
        let relationship = self.records.get(id as i64)?;
        tokens.clear();
        if id >= self.high || !relationship.used {
            return Ok((relationship, State::NotInUse));
        }
        tokens.push(relationship.type_id);
        Ok((relationship, State::Used))
    }
}

/// Reports how the index of labels and the nodes differ, if they do. `claims`: what the nodes say.
pub(super) fn check_labels(
    context: &Context<'_>,
    lookup: &LookupIndex,
    claims: TokenClaims,
) -> Result<(), CheckError> {
    let Some(way) = differs(context, lookup, claims, context.labels.high, LABELS.about)? else {
        return Ok(());
    };
    let entities = Nodes {
        records: context.nodes(),
        labels: LabelReader::new(context),
        found: Labels::default(),
        high: context.high.nodes,
    };
    let high = stored(context.high.nodes, context.stores.nodes.slots());
    explain(context, lookup, &way, entities, high, &LABELS)
}

/// Reports how the index of types and the relationships differ, if they do. `claims`: what the relationships say.
pub(super) fn check_types(
    context: &Context<'_>,
    lookup: &LookupIndex,
    claims: TokenClaims,
) -> Result<(), CheckError> {
    let Some(way) = differs(context, lookup, claims, context.types.high, TYPES.about)? else { return Ok(()) };
    let entities = Relationships { records: context.relationships(), high: context.high.relationships };
    let high = stored(context.high.relationships, context.stores.relationships.slots());
    explain(context, lookup, &way, entities, high, &TYPES)
}

/// Ids below which there can be records.
fn stored(high: u64, slots: &crate::store::record::Slots) -> u64 {
    high.min(slots.file().pages().saturating_mul(slots.per_page()))
}

/// Tokens with their bits, by range.
type Ranges = BTreeMap<u64, Vec<(i64, u64)>>;

/// Compares range by range, up to the first one that can't be read.
fn explain<E: Entities>(
    context: &Context<'_>,
    lookup: &LookupIndex,
    way: &Way,
    mut entities: E,
    high: u64,
    findings: &Findings,
) -> Result<(), CheckError> {
    let end = high.div_ceil(ENTITIES_PER_RANGE);
    let mut from = 0;
    loop {
        // Behind the last entity only ranges that the index has are looked at.
        if from >= end {
            match first_range(&lookup.index, way, from)? {
                Some(range) => from = range,
                None => return Ok(()),
            }
        }
        let to = from.saturating_add(way.window());
        let mut ranges = Ranges::new();
        for &token in way.tokens() {
            let read = way.read(&lookup.index, token, from..to, &mut |entry| {
                ranges.entry(entry.range).or_default().push((token.into(), entry.entities));
            })?;
            if !read {
                lookup.unreadable(context, findings.about);
                return Ok(());
            }
        }
        let mut next = from;
        for (range, tokens) in &ranges {
            for between in next..(*range).min(end) {
                compare(context, &mut entities, between, &[], findings)?;
            }
            compare(context, &mut entities, *range, tokens, findings)?;
            next = range + 1;
        }
        for between in next..to.min(end) {
            compare(context, &mut entities, between, &[], findings)?;
        }
        from = to;
    }
}

/// The first range from `from` on that an index has; `None`, too, if it can't be read.
fn first_range(index: &TokenIndex, way: &Way, from: u64) -> Result<Option<u64>, CheckError> {
    let mut first = None;
    for &token in way.tokens() {
        let mut visit = |entry: TokenEntry| {
            first = Some(first.map_or(entry.range, |first: u64| first.min(entry.range)));
        };
        if !way.read(index, token, from..u64::MAX, &mut visit)? {
            return Ok(None);
        }
    }
    Ok(first)
}

fn compare<E: Entities>(
    context: &Context<'_>,
    entities: &mut E,
    range: u64,
    indexed: &[(i64, u64)],
    findings: &Findings,
) -> Result<(), CheckError> {
    let report = context.report;
    report.goes_on()?;
    let first = range.saturating_mul(ENTITIES_PER_RANGE);
    let text = TokenRange { name: findings.range, first, tokens: indexed };
    let mut tokens = Vec::new();
    for bit in 0..ENTITIES_PER_RANGE {
        let (record, state) = entities.read(first + bit, &mut tokens)?;
        let has = |&(token, bits): &(i64, u64)| (bits >> bit & 1 != 0).then_some(token);
        match state {
            State::Unreadable => {}
            State::NotInUse => {
                if indexed.iter().any(|entry| has(entry).is_some()) {
                    report.record(findings.not_in_use, &text, &[&record]);
                }
            }
            State::Used => {
                for token in indexed.iter().filter_map(has) {
                    if !tokens.contains(&token) {
                        report.record(findings.unexpected, &text, &[&record, &token]);
                    }
                }
                for token in &tokens {
                    if !indexed.iter().filter_map(has).any(|indexed| indexed == *token) {
                        report.record(findings.missing, &text, &[&record, token]);
                    }
                }
            }
        }
    }
    Ok(())
}
