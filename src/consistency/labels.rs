//! The labels of a node. Specification: consistency check 2.2, 2.7.

use super::catalogue as c;
use super::chain_walk::{Step, walk};
use super::context::Context;
use super::error::CheckError;
use super::raw::{RawDynamic, RawNode, RawReader};
use super::text::{TokenKind, inline_labels};
use crate::store::labels::{LabelField, Labels as Where};
use crate::store::value::array;

/// The greatest label that there can be.
const MAX_LABEL: i64 = i32::MAX as i64;

/// The labels of a node as far as they can be read.
#[derive(Debug, Default)]
pub(super) struct Labels {
    /// Whether there is nothing to say of them.
    pub sound: bool,
    /// They can't be read: the node counts as one without labels.
    pub broken: bool,
    /// They can't be read because one is no label: a large index does not take the node for one that can't be compared.
    pub illegal: bool,
    /// Ascending, each once.
    pub sorted: Vec<i64>,
    /// Those that the count of nodes with a label takes in: up to the first that is out of order.
    pub counted: Vec<i64>,
    /// Those that counts of relationships take in, ascending: one that the node's record has twice beside others is there twice.
    pub of_ends: Vec<i64>,
}

/// Reads labels of nodes.
pub(super) struct LabelReader<'a> {
    context: &'a Context<'a>,
    dynamics: RawReader<'a, RawDynamic>,
    bytes: Vec<u8>,
    found: Vec<i64>,
}

impl<'a> LabelReader<'a> {
    pub fn new(context: &'a Context<'a>) -> Self {
        Self { context, dynamics: context.node_labels(), bytes: Vec::new(), found: Vec::new() }
    }

    /// The labels of a node; `reports`: whether what is wrong with them is reported.
    pub fn read(&mut self, node: &RawNode, labels: &mut Labels, reports: bool) -> Result<(), CheckError> {
        labels.sorted.clear();
        labels.counted.clear();
        labels.of_ends.clear();
        labels.broken = false;
        labels.illegal = false;
        labels.sound = true;
        self.found.clear();
        match LabelField(node.labels).labels() {
            Where::Inline(_) => self.found.extend(inline_labels(node.labels).map(|label| label as i64)),
            Where::Dynamic(first) => labels.broken = !self.read_dynamic(node, first.0 as i64, reports)?,
        }
        if labels.broken {
            labels.sound = false;
            return Ok(());
        }
        self.check(node, labels, reports)
    }

    /// Reads the labels that are not in the node's record; whether that can be done.
    fn read_dynamic(&mut self, node: &RawNode, first: i64, reports: bool) -> Result<bool, CheckError> {
        let report = self.context.report;
        let mut sound = true;
        walk(&mut self.dynamics, first, Some(&mut self.bytes), |step| {
            sound = false;
            if reports {
                match step {
                    Step::FirstNotInUse(record) | Step::NextNotInUse(record) => {
                        report.record(c::NODE_DYNAMIC_LABEL_NOT_IN_USE, node, &[record]);
                    }
                    Step::Cycle(last) => report.record(c::NODE_DYNAMIC_LABEL_CYCLE, node, &[last]),
                    Step::Empty(record) => report.record(c::LABELS_EMPTY, record, &[]),
                    Step::NotFull(record) => report.record(c::LABELS_NOT_FULL, record, &[]),
                }
            }
            Ok(())
        })?;
        if !sound {
            return Ok(false);
        }
        // The node comes first.
        if let Ok(mut longs) = array::longs(&self.bytes)
            && longs.next().is_some()
        {
            self.found.extend(longs);
            return Ok(true);
        }
        if reports {
            let record = self.dynamics.get(first)?;
            report.record(c::LABELS_UNDECODABLE, &record, &[node]);
        }
        Ok(false)
    }

    fn check(&mut self, node: &RawNode, labels: &mut Labels, reports: bool) -> Result<(), CheckError> {
        let report = self.context.report;
        let mut previous: Option<i64> = None;
        for &label in &self.found {
            if !(0..=MAX_LABEL).contains(&label) {
                labels.sound = false;
                labels.broken = true;
                labels.illegal = true;
                labels.sorted.clear();
                if reports {
                    report.record(c::NODE_ILLEGAL_LABEL, node, &[]);
                }
                return Ok(());
            }
            if !self.context.labels.is_public(label) {
                labels.sound = false;
                if reports {
                    let token = self.context.token(TokenKind::Label, label)?;
                    report.record(c::NODE_LABEL_NOT_IN_USE, node, &[&token]);
                }
            }
            if previous == Some(label) {
                labels.sound = false;
                if reports {
                    report.record(c::NODE_LABEL_DUPLICATE, node, &[&label]);
                }
                break;
            }
            labels.counted.push(label);
            if let Some(previous) = previous
                && previous > label
            {
                labels.sound = false;
                if reports {
                    let (most, least) = (self.found.iter().max(), self.found.iter().min());
                    let (most, least) = (most.unwrap_or(&previous), least.unwrap_or(&label));
                    report.record(c::NODE_LABELS_OUT_OF_ORDER, node, &[most, least]);
                }
                break;
            }
            previous = Some(label);
        }
        labels.sorted.extend_from_slice(&self.found);
        labels.sorted.sort_unstable();
        let is_inline = matches!(LabelField(node.labels).labels(), Where::Inline(_));
        // A node of one label, however often, has it once.
        if is_inline && labels.sorted.first() != labels.sorted.last() {
            labels.of_ends.extend_from_slice(&labels.sorted);
        }
        labels.sorted.dedup();
        if labels.of_ends.is_empty() {
            labels.of_ends.extend_from_slice(&labels.sorted);
        }
        Ok(())
    }
}
