//! The chains of relationships, with the reports that Neo4j makes of them.
//!
//! All relationships are gone through twice, with ascending and with descending ids. Of each node the last relationship
//! that was met is kept; a pointer to it is compared with what is kept, another one with the record that it leads to, if
//! that was passed already. Which mistakes this finds, and from which side, is Neo4j's way.
//!
//! Specification: consistency check 3.4.

use super::catalogue as c;
use super::context::Context;
use super::error::CheckError;
use super::fingerprint::{Round, Suspects};
use super::plan::{CHUNK_PAGES, EXPLAINED_NODES};
use super::raw::{NONE, RawLink, RawReader, RawRelationship};
use super::report::Finding;
use super::scan::{in_threads, pages_below, read_chunk};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Direction {
    Forward,
    Backward,
}

/// One end of a relationship.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Side {
    Source,
    Target,
}

/// A pointer of one end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Link {
    Previous,
    Next,
}

/// The last end that was met at a node.
#[derive(Clone, Copy, Debug)]
struct Met {
    relationship: i64,
    /// Its previous relationship (forward) or its next one (backward).
    pointer: i64,
    side: Side,
    first: bool,
    more_than_one: bool,
}

/// Reports what is wrong with the chains of suspicious nodes.
pub(super) fn explain(context: &Context<'_>, suspects: &Suspects, high: u64) -> Result<(), CheckError> {
    for round in suspects.rounds(EXPLAINED_NODES) {
        for direction in [Direction::Forward, Direction::Backward] {
            in_threads(context.threads.max(1), |thread| {
                Walk::new(context, &round, direction, thread, high).run()
            })?;
        }
    }
    Ok(())
}

/// One pass for the nodes of one thread.
struct Walk<'a> {
    context: &'a Context<'a>,
    round: &'a Round,
    direction: Direction,
    thread: usize,
    threads: usize,
    /// Nodes from here on have no chains.
    high: u64,
    met: Vec<Option<Met>>,
    relationships: RawReader<'a, RawRelationship>,
}

impl<'a> Walk<'a> {
    fn new(
        context: &'a Context<'a>,
        round: &'a Round,
        direction: Direction,
        thread: usize,
        high: u64,
    ) -> Self {
        let threads = context.threads.max(1);
        Self {
            context,
            round,
            direction,
            thread,
            threads,
            high,
            met: vec![None; round.length.div_ceil(threads)],
            relationships: context.relationships(),
        }
    }

    fn run(mut self) -> Result<(), CheckError> {
        let context = self.context;
        let slots = context.stores.relationships.slots();
        let high = context.high.relationships;
        let pages = pages_below(slots, high);
        let chunks = pages.div_ceil(CHUNK_PAGES);
        let mut buffer = Vec::new();
        let mut units = slots.reader();
        let mut records = Vec::new();
        for step in 0..chunks {
            context.report.goes_on()?;
            let chunk = match self.direction {
                Direction::Forward => step,
                Direction::Backward => chunks - 1 - step,
            };
            let chunk = read_chunk(slots, high, chunk, &mut buffer)?;
            records.clear();
            chunk.records(&mut units, |record: RawRelationship| {
                let concerns = |link: &RawLink| self.place(link.node).is_some();
                if record.used && (concerns(&record.source) || concerns(&record.target)) {
                    records.push(record);
                }
                Ok(())
            })?;
            match self.direction {
                Direction::Forward => records.iter().try_for_each(|record| self.visit(record))?,
                Direction::Backward => records.iter().rev().try_for_each(|record| self.visit(record))?,
            }
        }
        self.finish()
    }

    /// Where the state of a node is, if this thread has it.
    fn place(&self, node: i64) -> Option<usize> {
        if !u64::try_from(node).is_ok_and(|node| node < self.high) {
            return None;
        }
        let number = self.round.number(node)?;
        (number % self.threads == self.thread).then_some(number / self.threads)
    }

    fn met(&self, node: i64) -> Option<Met> {
        *self.met.get(self.place(node)?)?
    }

    fn visit(&mut self, relationship: &RawRelationship) -> Result<(), CheckError> {
        for (side, link) in [(Side::Source, relationship.source), (Side::Target, relationship.target)] {
            if let Some(met) = self.met(link.node) {
                if !link.first {
                    self.check(relationship, side, Link::Previous, link.previous, link.node, met)?;
                }
                if link.next != NONE {
                    self.check(relationship, side, Link::Next, link.next, link.node, met)?;
                }
            }
        }
        for (side, link) in [(Side::Source, relationship.source), (Side::Target, relationship.target)] {
            let pointer = match self.direction {
                Direction::Forward => link.previous,
                Direction::Backward => link.next,
            };
            if let Some(met) = self.place(link.node).and_then(|place| self.met.get_mut(place)) {
                let more_than_one = met.is_some();
                let first = link.first;
                *met = Some(Met { relationship: relationship.id, pointer, side, first, more_than_one });
            }
        }
        Ok(())
    }

    /// Checks a pointer of `relationship` to `other`, both at `node`.
    fn check(
        &mut self,
        relationship: &RawRelationship,
        side: Side,
        link: Link,
        other: i64,
        node: i64,
        met: Met,
    ) -> Result<(), CheckError> {
        if met.relationship == other {
            // What is kept is the pointer of the same kind in both cases, so it may lead back by accident.
            if met.pointer == relationship.id {
                return Ok(());
            }
        } else {
            let passed = match self.direction {
                Direction::Forward => other <= relationship.id,
                Direction::Backward => other >= relationship.id || other == NONE,
            };
            if !passed {
                return Ok(());
            }
        }
        let other = self.relationships.get(other)?;
        let report = self.context.report;
        let back = if other.source.node == node {
            other.source
        } else if other.target.node == node {
            other.target
        } else {
            report.record(other_nodes(side, link), relationship, &[&other]);
            return Ok(());
        };
        let pointer = match link {
            Link::Previous => back.next,
            Link::Next => back.previous,
        };
        if pointer != relationship.id {
            report.record(no_back_reference(side, link), relationship, &[&other]);
        } else if !other.used {
            report.record(c::RELATIONSHIP_NOT_USED_IN_CHAIN, relationship, &[relationship]);
        }
        Ok(())
    }

    /// The only relationship of a node must have no neighbours.
    fn finish(mut self) -> Result<(), CheckError> {
        let round = self.round;
        for (node, _) in round.ids() {
            let Some(met) = self.met(node) else { continue };
            let link = match self.direction {
                Direction::Forward => Link::Previous,
                Direction::Backward => Link::Next,
            };
            let alone = match link {
                Link::Previous => met.first,
                Link::Next => met.pointer == NONE,
            };
            if met.more_than_one || alone {
                continue;
            }
            let relationship = self.relationships.get(met.relationship)?;
            let other = self.relationships.get(met.pointer)?;
            self.context.report.record(no_back_reference(met.side, link), &relationship, &[&other]);
        }
        Ok(())
    }
}

fn other_nodes(side: Side, link: Link) -> Finding {
    match (side, link) {
        (Side::Source, Link::Previous) => c::SOURCE_PREVIOUS_OTHER_NODES,
        (Side::Source, Link::Next) => c::SOURCE_NEXT_OTHER_NODES,
        (Side::Target, Link::Previous) => c::TARGET_PREVIOUS_OTHER_NODES,
        (Side::Target, Link::Next) => c::TARGET_NEXT_OTHER_NODES,
    }
}

fn no_back_reference(side: Side, link: Link) -> Finding {
    match (side, link) {
        (Side::Source, Link::Previous) => c::SOURCE_PREVIOUS_NO_BACK_REFERENCE,
        (Side::Source, Link::Next) => c::SOURCE_NEXT_NO_BACK_REFERENCE,
        (Side::Target, Link::Previous) => c::TARGET_PREVIOUS_NO_BACK_REFERENCE,
        (Side::Target, Link::Next) => c::TARGET_NEXT_NO_BACK_REFERENCE,
    }
}
