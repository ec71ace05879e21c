//! Relationships: their nodes, types and properties, and how they hang together.

use super::beyond::degrees::Degrees;
use super::beyond::owners::{Owned, Owners};
use super::catalogue as c;
use super::context::Context;
use super::error::CheckError;
use super::fingerprint::{Buckets, Claim, Mixer, Suspects};
use super::labels::{LabelReader, Labels};
use super::node_table::{NodeState, NodeTable, UNNUMBERED};
use super::observed::RelationshipCounts;
use super::properties::{Owner, PropertyWalk, RELATIONSHIP};
use super::property_store::PropertyHeads;
use super::raw::{NONE, RawGroup, RawLink, RawNode, RawReader, RawRelationship};
use super::report::Finding;
use super::scan::scan;
use super::text::TokenKind;
use super::token_claims::TokenClaims;

/// What the pass over the relationships found.
#[derive(Debug)]
pub(super) struct RelationshipPass {
    /// Counts of each thread.
    pub counts: Vec<RelationshipCounts>,
    /// Relationships by type, to be compared with the index.
    pub claims: TokenClaims,
    /// Nodes whose chains are to be looked at.
    pub suspects: Suspects,
    /// Properties that relationships refer to.
    pub owners: Owners,
    /// Relationships by chain, and what chains say of their number.
    pub degrees: Degrees,
    /// Whether nodes and types of all relationships are in use.
    pub references_are_sound: bool,
    /// Whether nothing is to be said of properties.
    pub properties_are_sound: bool,
}

struct Pass<'a> {
    counts: RelationshipCounts,
    buckets: Buckets,
    made: RelationshipPass,
    nodes: RawReader<'a, RawNode>,
    labels: LabelReader<'a>,
    found: Labels,
    batch: Vec<RawRelationship>,
    states: Vec<(NodeState, NodeState)>,
}

/// Relationships whose nodes are looked up together. The table of nodes is too great for any cache: looked up one by one,
/// with work in between that depends on what is found, a relationship took three times as long.
const BATCH: usize = 64;

/// Passes over all relationships.
///
/// Each end of a relationship claims its links: with the relationship before it, with the one behind it, or, if it is the
/// first of a sparse node, with the node. What is claimed from both sides cancels. A loop is in one chain only and claims
/// once; a relationship that is linked with itself would cancel with itself and is told apart.
/// Specification: consistency check 6.5, F1 and F2.
pub(super) fn verify(
    context: &Context<'_>,
    table: &NodeTable,
    heads: &PropertyHeads,
    claims: &TokenClaims,
    mixer: Mixer,
    // What the nodes claim.
    mut buckets: Buckets,
) -> Result<RelationshipPass, CheckError> {
    let nothing = |properties_are_sound| RelationshipPass {
        counts: Vec::new(),
        claims: claims.empty(),
        suspects: Suspects::none(table.high),
        owners: Owners::new(mixer),
        degrees: Degrees::new(mixer, table.high),
        references_are_sound: true,
        properties_are_sound,
    };
    let begin = || Pass {
        counts: RelationshipCounts::new(context.types.high),
        buckets: Buckets::new(table.high),
        made: nothing(true),
        nodes: context.nodes(),
        labels: LabelReader::new(context),
        found: Labels::default(),
        batch: Vec::with_capacity(BATCH),
        states: Vec::with_capacity(BATCH),
    };
    let slots = context.stores.relationships.slots();
    let high = context.high.relationships;
    let passes = scan(
        slots,
        high,
        context.threads,
        begin,
        |pass, chunk, units| {
            chunk.records(units, |relationship: RawRelationship| {
                if !relationship.used {
                    return Ok(());
                }
                pass.made.properties_are_sound &= heads.may_begin(relationship.property);
                pass.batch.push(relationship);
                if pass.batch.len() == BATCH { pass.visit_batch(context, table, mixer) } else { Ok(()) }
            })?;
            pass.visit_batch(context, table, mixer)?;
            pass.made.claims.end_of_range();
            context.advance.by(chunk.end - chunk.first);
            Ok(())
        },
        |Pass { counts, buckets, made, .. }| (counts, buckets, made),
    )?;
    let mut all = nothing(heads.sound);
    for (counts, found, pass) in passes {
        all.claims.merge(&pass.claims);
        all.counts.push(counts);
        all.suspects.merge(&pass.suspects);
        all.owners.merge(&pass.owners);
        all.degrees.merge(&pass.degrees);
        all.references_are_sound &= pass.references_are_sound;
        all.properties_are_sound &= pass.properties_are_sound;
        buckets.merge(&found);
    }
    all.suspects.merge(&buckets.suspects());
    Ok(all)
}

impl Pass<'_> {
    fn visit_batch(
        &mut self,
        context: &Context<'_>,
        table: &NodeTable,
        mixer: Mixer,
    ) -> Result<(), CheckError> {
        let (mut batch, mut states) = (std::mem::take(&mut self.batch), std::mem::take(&mut self.states));
        states.extend(
            batch.iter().map(|relationship| {
                (table.get(relationship.source.node), table.get(relationship.target.node))
            }),
        );
        for (relationship, states) in batch.iter().zip(&states) {
            self.visit(context, table, mixer, relationship, *states)?;
        }
        batch.clear();
        states.clear();
        (self.batch, self.states) = (batch, states);
        Ok(())
    }

    #[inline]
    fn visit(
        &mut self,
        context: &Context<'_>,
        table: &NodeTable,
        mixer: Mixer,
        relationship: &RawRelationship,
        (source_node, target_node): (NodeState, NodeState),
    ) -> Result<(), CheckError> {
        let RawRelationship { id, type_id, source, target, .. } = *relationship;
        self.made.references_are_sound &= context.types.is_public(type_id);
        self.made.claims.add(id as u64, &[type_id]);
        self.counts.of_type(type_id);
        if context.plan.extra {
            self.made.owners.refers(Owned::Properties, relationship.property);
            self.made.degrees.relationship(relationship, source_node, target_node);
        }
        let start = self.end_of(table, mixer, id, &source, source_node);
        if start.set() == UNNUMBERED {
            self.read_labels(source.node)?;
            self.counts.start_labels(&self.found.of_ends, type_id);
        } else {
            self.counts.start(start.set(), type_id);
        }
        let end = if source.node == target.node {
            // A loop is in its chain once; both of its ends must say the same.
            let same = source.next == target.next
                && source.first == target.first
                && (source.first || source.previous == target.previous);
            if !same {
                self.suspect(target.node);
            }
            start
        } else {
            self.end_of(table, mixer, id, &target, target_node)
        };
        if end.set() == UNNUMBERED {
            self.read_labels(target.node)?;
            self.counts.end_labels(&self.found.of_ends, type_id);
        } else {
            self.counts.end(end.set(), type_id);
        }
        Ok(())
    }

    fn suspect(&mut self, node: i64) {
        if let Ok(node) = u64::try_from(node) {
            self.made.suspects.add(node);
        }
    }

    /// Claims the links of one end; returns the state of its node.
    #[inline]
    fn end_of(
        &mut self,
        table: &NodeTable,
        mixer: Mixer,
        id: i64,
        link: &RawLink,
        state: NodeState,
    ) -> NodeState {
        if !table.is_in_range(link.node) {
            self.made.references_are_sound = false;
            return NodeState::default();
        }
        let (node, relationship) = (link.node as u64, id as u64);
        if !state.used() || !state.has_next() {
            self.made.references_are_sound &= state.used();
            self.made.suspects.add(node);
        }
        if link.next != NONE {
            let hash = mixer.hash(Claim::ChainLink, relationship, link.next as u64, node);
            self.buckets.subtract(node, hash);
        }
        if link.first {
            if state.used() && !state.dense() {
                self.buckets.add(node, mixer.hash(Claim::Head, node, relationship, 0));
            }
        } else {
            let hash = mixer.hash(Claim::ChainLink, link.previous as u64, relationship, node);
            self.buckets.add(node, hash);
        }
        if link.next == id || !link.first && (link.previous == id || link.previous == NONE) {
            self.made.suspects.add(node);
        }
        state
    }

    fn read_labels(&mut self, node: i64) -> Result<(), CheckError> {
        let node = self.nodes.get(node)?;
        self.labels.read(&node, &mut self.found, false)
    }
}

/// What is said of one end of a relationship.
struct EndFindings {
    illegal: Finding,
    not_in_use: Finding,
    has_no_chain: Finding,
    no_back_reference: Finding,
    node_not_first: Finding,
}

const SOURCE: EndFindings = EndFindings {
    illegal: c::RELATIONSHIP_ILLEGAL_SOURCE,
    not_in_use: c::RELATIONSHIP_SOURCE_NOT_IN_USE,
    has_no_chain: c::RELATIONSHIP_SOURCE_HAS_NO_CHAIN,
    no_back_reference: c::RELATIONSHIP_SOURCE_NO_BACK_REFERENCE,
    node_not_first: c::NODE_NOT_FIRST_IN_SOURCE_CHAIN,
};

const TARGET: EndFindings = EndFindings {
    illegal: c::RELATIONSHIP_ILLEGAL_TARGET,
    not_in_use: c::RELATIONSHIP_TARGET_NOT_IN_USE,
    has_no_chain: c::RELATIONSHIP_TARGET_HAS_NO_CHAIN,
    no_back_reference: c::RELATIONSHIP_TARGET_NO_BACK_REFERENCE,
    node_not_first: c::NODE_NOT_FIRST_IN_TARGET_CHAIN,
};

/// What is to be said of relationships.
#[derive(Clone, Copy, Debug)]
pub(super) struct Explain<'s> {
    /// Their nodes and first relationships: at these nodes.
    pub nodes: Option<&'s Suspects>,
    /// Nodes and types that are not in use.
    pub references: bool,
    pub properties: bool,
}

struct Explaining<'a> {
    nodes: RawReader<'a, RawNode>,
    relationships: RawReader<'a, RawRelationship>,
    walk: PropertyWalk<'a>,
}

/// Reports what is wrong with relationships and with the first relationships of nodes. Specification: consistency
/// check 3.3.
pub(super) fn explain(
    context: &Context<'_>,
    table: &NodeTable,
    explain: Explain<'_>,
) -> Result<(), CheckError> {
    let begin = || Explaining {
        nodes: context.nodes(),
        relationships: context.relationships(),
        walk: PropertyWalk::new(context),
    };
    let slots = context.stores.relationships.slots();
    scan(
        slots,
        context.high.relationships,
        context.threads,
        begin,
        |state, chunk, units| {
            context.report.goes_on()?;
            chunk.records(units, |relationship: RawRelationship| {
                if relationship.used {
                    state.visit(context, table, explain, &relationship)?;
                }
                Ok(())
            })
        },
        drop,
    )?;
    if let Some(suspects) = explain.nodes {
        sweep(context, table, |id, state| !state.dense() && suspects.has(id))?;
    }
    Ok(())
}

impl Explaining<'_> {
    fn visit(
        &mut self,
        context: &Context<'_>,
        table: &NodeTable,
        explain: Explain<'_>,
        relationship: &RawRelationship,
    ) -> Result<(), CheckError> {
        if explain.references && !context.types.is_public(relationship.type_id) {
            let token = context.token(TokenKind::RelationshipType, relationship.type_id)?;
            let finding = if relationship.type_id < 0 {
                c::RELATIONSHIP_ILLEGAL_TYPE
            } else {
                c::RELATIONSHIP_TYPE_NOT_IN_USE
            };
            context.report.record(finding, relationship, &[&token]);
        }
        for (link, findings) in [(&relationship.source, &SOURCE), (&relationship.target, &TARGET)] {
            self.end(context, table, explain, relationship, link, findings)?;
        }
        if !explain.properties || relationship.property == NONE && !context.mandatory.of_relationships() {
            return Ok(());
        }
        let owner = Owner { text: relationship, findings: &RELATIONSHIP };
        let properties = self.walk.walk(owner, relationship.property, &|_| false, true)?;
        if properties.sound {
            for key in context.mandatory.keys_of_relationship(relationship.type_id) {
                if !properties.keys.contains(&key) {
                    context.report.record(RELATIONSHIP.missing_mandatory, relationship, &[&key]);
                }
            }
        }
        Ok(())
    }

    fn end(
        &mut self,
        context: &Context<'_>,
        table: &NodeTable,
        explain: Explain<'_>,
        relationship: &RawRelationship,
        link: &RawLink,
        findings: &EndFindings,
    ) -> Result<(), CheckError> {
        let report = context.report;
        if link.node < 0 {
            if explain.references {
                report.record(findings.illegal, relationship, &[]);
            }
            return Ok(());
        }
        let state = table.get(link.node);
        if !state.used() {
            if explain.references {
                let node = self.nodes.get(link.node)?;
                report.record(findings.not_in_use, relationship, &[&node]);
            }
            return Ok(());
        }
        if !explain.nodes.is_some_and(|suspects| suspects.has(link.node as u64)) {
            return Ok(());
        }
        let node = self.nodes.get(link.node)?;
        if !state.has_next() {
            report.record(findings.has_no_chain, relationship, &[&node]);
            return Ok(());
        }
        if state.dense() {
            return Ok(());
        }
        if link.first {
            if node.next != relationship.id {
                report.record(findings.no_back_reference, relationship, &[&node]);
                let first = self.relationships.get(node.next)?;
                if !first.used {
                    report.record(c::NODE_RELATIONSHIP_NOT_IN_USE, &node, &[&first]);
                } else if first.source.node != node.id && first.target.node != node.id {
                    report.record(c::NODE_RELATIONSHIP_FOR_OTHER_NODE, &node, &[&first]);
                }
            }
            table.clear_mark(node.id);
        } else if node.next == relationship.id {
            report.record(findings.node_not_first, &node, &[relationship]);
        }
        Ok(())
    }
}

/// Reports what the first relationships or groups of nodes are that did not lead back.
pub(super) fn sweep(
    context: &Context<'_>,
    table: &NodeTable,
    wanted: impl Fn(u64, NodeState) -> bool,
) -> Result<(), CheckError> {
    let report = context.report;
    let mut nodes = context.nodes();
    let mut relationships = context.relationships();
    let mut groups: RawReader<'_, RawGroup> = context.groups();
    for (id, state) in table.iter() {
        if !state.used() || !state.marked() || !wanted(id as u64, state) {
            continue;
        }
        let node = nodes.get(id)?;
        if state.dense() {
            let group = groups.get(node.next)?;
            let finding = if group.used { c::NODE_GROUP_HAS_OTHER_OWNER } else { c::NODE_GROUP_NOT_IN_USE };
            report.record(finding, &node, &[&group]);
        } else {
            let first = relationships.get(node.next)?;
            let finding = if first.used {
                c::NODE_RELATIONSHIP_FOR_OTHER_NODE
            } else {
                c::NODE_RELATIONSHIP_NOT_IN_USE
            };
            report.record(finding, &node, &[&first]);
        }
    }
    Ok(())
}
