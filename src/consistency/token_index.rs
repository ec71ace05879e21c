//! The lookup indexes, compared with nodes and relationships. Specification: consistency check 2.13.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Display;

use super::catalogue as c;
use super::context::Context;
use super::error::CheckError;
use super::labels::{LabelReader, Labels};
use super::raw::{RawNode, RawReader, RawRelationship};
use super::report::Finding;
use super::text::TokenRange;
use super::token_claims::TokenClaims;
use crate::gbptree::TreeError;
use crate::index::IndexError;
use crate::index::token::{ENTITIES_PER_RANGE, TokenIndex};

/// Whether reading a damaged index ended early.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Read {
    Whole,
    /// The rest can't be compared; that is told by the check of its structure.
    Broken,
}

/// What an index says beside its claims.
#[derive(Debug)]
pub(super) struct IndexTokens {
    pub tokens: BTreeSet<u32>,
    pub read: Read,
}

/// Takes away from the claims of the entities what the index says.
pub(super) fn subtract(index: &TokenIndex, claims: &mut TokenClaims) -> Result<IndexTokens, CheckError> {
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
        Ok(())
    })?;
    Ok(IndexTokens { tokens, read })
}

/// Damage of a tree ends what is done with it, and nothing else.
fn unless_broken(work: impl FnOnce() -> Result<(), IndexError>) -> Result<Read, CheckError> {
    match work() {
        Ok(()) => Ok(Read::Whole),
        Err(IndexError::Tree(error @ (TreeError::Disk(_) | TreeError::Cache(_)))) => Err(error.into()),
        Err(IndexError::Disk(error)) => Err(error.into()),
        Err(_) => Ok(Read::Broken),
    }
}

/// What is said of the entries of an index.
struct Findings {
    range: &'static str,
    not_in_use: Finding,
    unexpected: Finding,
    missing: Finding,
}

const LABELS: Findings = Findings {
    range: "NodeLabelRange",
    not_in_use: c::LABEL_INDEX_NODE_NOT_IN_USE,
    unexpected: c::LABEL_INDEX_UNEXPECTED,
    missing: c::LABEL_INDEX_MISSING,
};

const TYPES: Findings = Findings {
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

/// Reports how the index of labels and the nodes differ.
pub(super) fn explain_labels(
    context: &Context<'_>,
    index: &TokenIndex,
    tokens: &BTreeSet<u32>,
) -> Result<Read, CheckError> {
    let entities = Nodes {
        records: context.nodes(),
        labels: LabelReader::new(context),
        found: Labels::default(),
        high: context.high.nodes,
    };
    let high = stored(context.high.nodes, context.stores.nodes.slots());
    explain(context, index, tokens, entities, high, &LABELS)
}

/// Reports how the index of types and the relationships differ.
pub(super) fn explain_types(
    context: &Context<'_>,
    index: &TokenIndex,
    tokens: &BTreeSet<u32>,
) -> Result<Read, CheckError> {
    let entities = Relationships { records: context.relationships(), high: context.high.relationships };
    let high = stored(context.high.relationships, context.stores.relationships.slots());
    explain(context, index, tokens, entities, high, &TYPES)
}

/// Ids below which there can be records.
fn stored(high: u64, slots: &crate::store::record::Slots) -> u64 {
    high.min(slots.file().pages().saturating_mul(slots.per_page()))
}

/// Ranges that are compared in one step.
const WINDOW: u64 = 1024;

/// Tokens with their bits, by range.
type Ranges = BTreeMap<u64, Vec<(i64, u64)>>;

fn explain<E: Entities>(
    context: &Context<'_>,
    index: &TokenIndex,
    tokens: &BTreeSet<u32>,
    mut entities: E,
    high: u64,
    findings: &Findings,
) -> Result<Read, CheckError> {
    let end = high.div_ceil(ENTITIES_PER_RANGE);
    let mut from = 0;
    loop {
        // Behind the last entity only ranges that the index has are looked at.
        if from >= end {
            match first_range(index, tokens, from)? {
                Some(range) => from = range,
                None => return Ok(Read::Whole),
            }
        }
        let to = from.saturating_add(WINDOW);
        let mut ranges = Ranges::new();
        let read = unless_broken(|| {
            for &token in tokens {
                let mut entries = index.range(token, from..to)?;
                while let Some(entry) = entries.next()? {
                    ranges.entry(entry.range).or_default().push((token.into(), entry.entities));
                }
            }
            Ok(())
        })?;
        if read == Read::Broken {
            return Ok(Read::Broken);
        }
        for range in from..to.min(end) {
            ranges.entry(range).or_default();
        }
        for (range, tokens) in &ranges {
            compare(context, &mut entities, *range, tokens, findings)?;
        }
        from = to;
    }
}

/// The first range from `from` on that an index has; `None`, too, if it can't be read.
fn first_range(index: &TokenIndex, tokens: &BTreeSet<u32>, from: u64) -> Result<Option<u64>, CheckError> {
    let mut first = None;
    unless_broken(|| {
        for &token in tokens {
            if let Some(entry) = index.range(token, from..u64::MAX)?.next()? {
                first = Some(first.map_or(entry.range, |first: u64| first.min(entry.range)));
            }
        }
        Ok(())
    })?;
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
