//! Nodes: their labels and their properties.

use rustc_hash::FxHashMap;

use super::beyond::owners::{Owned, Owners};
use super::context::Context;
use super::error::CheckError;
use super::fingerprint::{Buckets, Claim, Mixer};
use super::labels::{LabelReader, Labels};
use super::node_table::{LabelSets, NodeState, NodeTable};
use super::observed::NodeCounts;
use super::properties::{NODE, Owner, PropertyWalk};
use super::property_store::PropertyHeads;
use super::raw::{NONE, RawNode};
use super::scan::scan;
use super::token_claims::TokenClaims;

/// What the pass over the nodes found, beside the table.
#[derive(Debug)]
pub(super) struct NodePass {
    /// Counts of each thread.
    pub counts: Vec<NodeCounts>,
    /// Nodes by label, to be compared with the index.
    pub claims: TokenClaims,
    /// First relationships of sparse nodes, taken away.
    pub heads: Buckets,
    /// Properties and labels that nodes refer to.
    pub owners: Owners,
    /// Whether nothing is to be said of labels.
    pub labels_are_sound: bool,
    /// The same of properties.
    pub properties_are_sound: bool,
}

/// Sets of labels that a thread knows by the label fields of nodes; beyond, it begins anew.
const MOST_FIELDS: usize = 1 << 14;

struct Pass<'a> {
    labels: LabelReader<'a>,
    found: Labels,
    fields: FxHashMap<u64, (u32, Box<[i64]>)>,
    counts: NodeCounts,
    made: NodePass,
}

/// Bit 39 of a label field: the labels are not in it.
const DYNAMIC: u64 = 1 << 39;

/// Passes over all nodes, fills the table and numbers the sets of labels.
pub(super) fn verify(
    context: &Context<'_>,
    table: &NodeTable,
    sets: &LabelSets,
    heads: &PropertyHeads,
    claims: &TokenClaims,
    mixer: Mixer,
) -> Result<NodePass, CheckError> {
    let nothing = |properties_are_sound| NodePass {
        counts: Vec::new(),
        claims: claims.empty(),
        heads: Buckets::new(table.high),
        owners: Owners::new(mixer),
        labels_are_sound: true,
        properties_are_sound,
    };
    let begin = || Pass {
        labels: LabelReader::new(context),
        found: Labels::default(),
        fields: FxHashMap::default(),
        counts: NodeCounts::default(),
        made: nothing(true),
    };
    let visit_node = |pass: &mut Pass<'_>, node: &RawNode| {
        if !node.used {
            return Ok(());
        }
        pass.made.properties_are_sound &= heads.may_begin(node.property);
        if context.plan.extra {
            pass.made.owners.refers(Owned::Properties, node.property);
            pass.made.owners.labels(node);
        }
        let set = pass.labels_of(node, sets)?;
        if !node.dense && node.next != NONE {
            let id = node.id as u64;
            pass.made.heads.subtract(id, mixer.hash(Claim::Head, id, node.next as u64, 0));
        }
        table.set(node.id, NodeState::new(node.dense, node.next != NONE, set));
        Ok(())
    };
    let slots = context.stores.nodes.slots();
    let passes = scan(
        slots,
        context.high.nodes,
        context.threads,
        begin,
        |pass, chunk, units| {
            context.report.goes_on()?;
            chunk.records(units, |node: RawNode| visit_node(pass, &node))?;
            pass.made.claims.end_of_range();
            context.advance.by(chunk.end - chunk.first);
            Ok(())
        },
        |Pass { counts, made, .. }| (counts, made),
    )?;
    let mut all = nothing(heads.sound);
    for (counts, pass) in passes {
        all.claims.merge(&pass.claims);
        all.heads.merge(&pass.heads);
        all.owners.merge(&pass.owners);
        all.counts.push(counts);
        all.labels_are_sound &= pass.labels_are_sound;
        all.properties_are_sound &= pass.properties_are_sound;
    }
    Ok(all)
}

impl Pass<'_> {
    /// Counts the labels of a node and returns the number of their set.
    #[inline]
    fn labels_of(&mut self, node: &RawNode, sets: &LabelSets) -> Result<u32, CheckError> {
        if let Some((set, labels)) = self.fields.get(&node.labels) {
            self.counts.numbered(*set);
            self.made.claims.add(node.id as u64, labels);
            return Ok(*set);
        }
        self.read_labels(node, sets)
    }

    fn read_labels(&mut self, node: &RawNode, sets: &LabelSets) -> Result<u32, CheckError> {
        self.labels.read(node, &mut self.found, false)?;
        let Labels { sound, broken, sorted, counted, of_ends, .. } = &self.found;
        self.made.labels_are_sound &= sound;
        let set = sets.number(of_ends);
        self.counts.labelled(if *broken { &[] } else { counted });
        if *broken {
            self.made.claims.skip();
        } else {
            self.made.claims.add(node.id as u64, sorted);
        }
        if *sound && node.labels & DYNAMIC == 0 && set != super::node_table::UNNUMBERED {
            if self.fields.len() >= MOST_FIELDS {
                self.fields.clear();
            }
            self.fields.insert(node.labels, (set, sorted.as_slice().into()));
        }
        Ok(set)
    }
}

/// What is to be said of nodes.
#[derive(Clone, Copy, Debug)]
pub(super) struct Explain {
    pub labels: bool,
    pub properties: bool,
}

/// Reports what is wrong with labels and properties of nodes.
pub(super) fn explain(context: &Context<'_>, explain: Explain) -> Result<(), CheckError> {
    let begin = || (LabelReader::new(context), Labels::default(), PropertyWalk::new(context));
    let slots = context.stores.nodes.slots();
    scan(
        slots,
        context.high.nodes,
        context.threads,
        begin,
        |(reader, labels, walk), chunk, units| {
            context.report.goes_on()?;
            chunk.records(units, |node: RawNode| {
                if !node.used {
                    return Ok(());
                }
                if explain.labels || context.mandatory.of_nodes() {
                    reader.read(&node, labels, explain.labels)?;
                }
                if !explain.properties || node.property == NONE && !context.mandatory.of_nodes() {
                    return Ok(());
                }
                let owner = Owner { text: &node, findings: &NODE };
                let properties = walk.walk(owner, node.property, &|_| false, true)?;
                if properties.sound && !labels.broken {
                    for key in context.mandatory.keys_of_node(&labels.sorted) {
                        if !properties.keys.contains(&key) {
                            context.report.record(NODE.missing_mandatory, &node, &[&key]);
                        }
                    }
                }
                Ok(())
            })
        },
        drop,
    )?;
    Ok(())
}
