//! Degrees: how many relationships a chain has, as its first record says, or the degrees store for a chain that many
//! transactions write to.

use super::{DEGREE, EXTERNAL_DEGREE};
use crate::consistency::context::Context;
use crate::consistency::counts::CountsTree;
use crate::consistency::error::CheckError;
use crate::consistency::fingerprint::{Buckets, Claim, Mixer, Suspects};
use crate::consistency::node_table::{NodeState, NodeTable};
use crate::consistency::raw::{NONE, RawGroup, RawLink, RawNode, RawReader, RawRelationship};
use crate::consistency::scan::scan;
use crate::gbptree::TreeError;
use crate::index::counts::CountKey;
use crate::store::id::GroupId;
use crate::store::record::Direction;

/// Sums over the chains of nodes: relationships that are there, less those that are said to be there.
#[derive(Clone, Debug)]
pub(in crate::consistency) struct Degrees {
    mixer: Mixer,
    sums: Buckets,
}

/// The only chain of a sparse node.
const ALL: u64 = 0;

/// A chain of a dense node.
fn chain(type_id: i64, direction: Direction) -> u64 {
    1 + ((type_id as u64) << 2 | direction as u64)
}

impl Degrees {
    /// For nodes below `high`.
    pub fn new(mixer: Mixer, high: u64) -> Self {
        Self { mixer, sums: Buckets::new(high) }
    }

    fn hash(&self, node: u64, chain: u64) -> u128 {
        self.mixer.hash(Claim::Degree, node, chain, 0)
    }

    /// A relationship and its nodes.
    #[inline]
    pub fn relationship(&mut self, relationship: &RawRelationship, source: NodeState, target: NodeState) {
        let RawRelationship { type_id, source: start, target: end, .. } = relationship;
        if start.node == end.node {
            return self.end(start, source, *type_id, Direction::Loop);
        }
        self.end(start, source, *type_id, Direction::Outgoing);
        self.end(end, target, *type_id, Direction::Incoming);
    }

    /// One end of a relationship; a loop has only one.
    #[inline]
    fn end(&mut self, link: &RawLink, state: NodeState, type_id: i64, direction: Direction) {
        if !state.used() {
            return;
        }
        let node = link.node as u64;
        let hash = self.hash(node, if state.dense() { chain(type_id, direction) } else { ALL });
        self.sums.add(node, hash);
        if link.first {
            self.sums.subtract(node, hash.wrapping_mul(u128::from(link.previous as u64)));
        }
    }

    /// Takes in the sums of another thread.
    pub fn merge(&mut self, other: &Self) {
        self.sums.merge(&other.sums);
    }

    /// Reports the chains whose degree is wrong. Nodes among `broken` have chains that can't be counted.
    pub fn finish(
        mut self,
        context: &Context<'_>,
        table: &NodeTable,
        store: Option<&CountsTree>,
        broken: &Suspects,
    ) -> Result<(), CheckError> {
        let unknown = self.external(context, table, store)?;
        let suspects = self.sums.suspects();
        if suspects.is_empty() {
            return Ok(());
        }
        let mut counting = Counting::new(context, store);
        for (id, state) in table.iter() {
            let node = id as u64;
            if state.used()
                && state.has_next()
                && suspects.has(node)
                && !broken.has(node)
                && !unknown.has(node)
            {
                let node = counting.nodes.get(id)?;
                if state.dense() { counting.dense(&node)? } else { counting.sparse(&node)? }
            }
        }
        Ok(())
    }

    /// Puts what the degrees store says in the place of what first relationships say, where a group wants that. Returns
    /// the nodes of which nothing is known, for lack of a store.
    fn external(
        &mut self,
        context: &Context<'_>,
        table: &NodeTable,
        store: Option<&CountsTree>,
    ) -> Result<Suspects, CheckError> {
        let slots = context.stores.groups.slots();
        let found = scan(
            slots,
            context.high.groups,
            context.threads,
            Vec::new,
            |groups, chunk, units| {
                chunk.records(units, |group: RawGroup| {
                    if group.used && group.external.contains(&true) && table.is_in_range(group.owner) {
                        groups.push(group);
                    }
                    Ok(())
                })
            },
            |groups| groups,
        )?;
        let mut unknown = Suspects::none(table.high);
        let mut relationships = context.relationships();
        for group in found.iter().flatten() {
            for (direction, first, external) in firsts(group) {
                if !external || first == NONE {
                    continue;
                }
                let Some(link) = link_of(&relationships.get(first)?, group.owner) else { continue };
                let Some(degree) = stored(store, group, direction)? else {
                    unknown.add(group.owner as u64);
                    continue;
                };
                let hash = self.hash(group.owner as u64, chain(group.type_id, direction));
                let said = if link.first { link.previous as u64 } else { 0 };
                self.sums.add(group.owner as u64, hash.wrapping_mul(u128::from(said)));
                self.sums.subtract(group.owner as u64, hash.wrapping_mul(u128::from(degree as u64)));
            }
        }
        Ok(unknown)
    }
}

/// The first relationships of a group, and whether their degrees are in the store.
fn firsts(group: &RawGroup) -> [(Direction, i64, bool); 3] {
    let [outgoing, incoming, loops] = group.external;
    [
        (Direction::Outgoing, group.outgoing, outgoing),
        (Direction::Incoming, group.incoming, incoming),
        (Direction::Loop, group.loops, loops),
    ]
}

/// The link of a relationship in the chain of a node.
fn link_of(relationship: &RawRelationship, node: i64) -> Option<RawLink> {
    let links = [relationship.source, relationship.target];
    links.into_iter().find(|link| relationship.used && link.node == node)
}

/// What the degrees store says; 0 where it says nothing. `None`: it can't be read.
fn stored(
    store: Option<&CountsTree>,
    group: &RawGroup,
    direction: Direction,
) -> Result<Option<i64>, CheckError> {
    let Some(tree) = store else { return Ok(None) };
    let key = CountKey::Degree { group: GroupId(group.id as u64), direction }.to_stored();
    let number = |value: &[u8]| value.first_chunk().map_or(0, |bytes| i64::from_be_bytes(*bytes));
    match tree.get(&key, number) {
        Ok(degree) => Ok(Some(degree.unwrap_or_default())),
        Err(error @ (TreeError::Disk(_) | TreeError::Cache(_))) => Err(error.into()),
        Err(_) => Ok(None),
    }
}

/// Walks chains.
struct Counting<'a> {
    context: &'a Context<'a>,
    store: Option<&'a CountsTree>,
    nodes: RawReader<'a, RawNode>,
    relationships: RawReader<'a, RawRelationship>,
    groups: RawReader<'a, RawGroup>,
}

impl<'a> Counting<'a> {
    fn new(context: &'a Context<'a>, store: Option<&'a CountsTree>) -> Self {
        let (nodes, relationships, groups) = (context.nodes(), context.relationships(), context.groups());
        Self { context, store, nodes, relationships, groups }
    }

    fn sparse(&mut self, node: &RawNode) -> Result<(), CheckError> {
        self.compare(node, node.next)
    }

    fn dense(&mut self, node: &RawNode) -> Result<(), CheckError> {
        let (mut next, mut type_id) = (node.next, NONE);
        while next != NONE {
            let group = self.groups.get(next)?;
            // Groups are ordered by their types, so a chain of them that goes round is not.
            if !group.used || group.owner != node.id || group.type_id <= type_id {
                return Ok(());
            }
            for (direction, first, external) in firsts(&group) {
                if !external {
                    self.compare(node, first)?;
                } else if let Some(degree) = stored(self.store, &group, direction)?
                    && let Some(counted) = self.count(node.id, first)?
                    && counted as i64 != degree
                {
                    let numbers: [&dyn std::fmt::Display; 2] = [&degree, &counted];
                    self.context.report.record(EXTERNAL_DEGREE, &group, &numbers);
                }
            }
            (next, type_id) = (group.next, group.type_id);
        }
        Ok(())
    }

    /// Compares what the first relationship of a chain says with the chain.
    fn compare(&mut self, node: &RawNode, first: i64) -> Result<(), CheckError> {
        if first == NONE {
            return Ok(());
        }
        let relationship = self.relationships.get(first)?;
        let Some(link) = link_of(&relationship, node.id).filter(|link| link.first) else { return Ok(()) };
        if let Some(counted) = self.count(node.id, first)?
            && link.previous as u64 != counted
        {
            self.context.report.record(DEGREE, &relationship, &[node, &counted]);
        }
        Ok(())
    }

    /// Relationships of a chain, which was found to be whole; `None`: it is not.
    fn count(&mut self, node: i64, first: i64) -> Result<Option<u64>, CheckError> {
        let (mut next, mut counted) = (first, 0);
        while next != NONE {
            let relationship = self.relationships.get(next)?;
            let Some(link) = link_of(&relationship, node) else { return Ok(None) };
            counted += 1;
            if counted > self.context.high.relationships {
                return Ok(None);
            }
            next = link.next;
        }
        Ok(Some(counted))
    }
}
