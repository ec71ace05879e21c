//! Relationship groups: their nodes, their order, and the relationships that they begin with.
//!
//! Groups are few, so each is checked by what it refers to, at once. Specification: consistency check 2.4.

use super::catalogue as c;
use super::context::Context;
use super::error::CheckError;
use super::node_table::NodeTable;
use super::raw::{NONE, RawGroup, RawLink, RawNode, RawReader, RawRelationship};
use super::report::Finding;
use super::scan::scan;
use super::text::TokenKind;

/// What is said of the first relationship of one direction.
struct FirstFindings {
    not_in_use: Finding,
    not_first: Finding,
    other_type: Finding,
    other_node: Finding,
}

const OUTGOING: FirstFindings = FirstFindings {
    not_in_use: c::GROUP_OUTGOING_NOT_IN_USE,
    not_first: c::GROUP_OUTGOING_NOT_FIRST,
    other_type: c::GROUP_OUTGOING_OTHER_TYPE,
    other_node: c::GROUP_OUTGOING_OTHER_NODE,
};

const INCOMING: FirstFindings = FirstFindings {
    not_in_use: c::GROUP_INCOMING_NOT_IN_USE,
    not_first: c::GROUP_INCOMING_NOT_FIRST,
    other_type: c::GROUP_INCOMING_OTHER_TYPE,
    other_node: c::GROUP_INCOMING_OTHER_NODE,
};

const LOOP: FirstFindings = FirstFindings {
    not_in_use: c::GROUP_LOOP_NOT_IN_USE,
    not_first: c::GROUP_LOOP_NOT_FIRST,
    other_type: c::GROUP_LOOP_OTHER_TYPE,
    other_node: c::GROUP_LOOP_OTHER_NODE,
};

struct Checking<'a> {
    nodes: RawReader<'a, RawNode>,
    groups: RawReader<'a, RawGroup>,
    relationships: RawReader<'a, RawRelationship>,
}

/// Checks all groups; dense nodes whose first group names them lose their check marks.
pub(super) fn check(context: &Context<'_>, table: &NodeTable) -> Result<(), CheckError> {
    let begin = || Checking {
        nodes: context.nodes(),
        groups: context.groups(),
        relationships: context.relationships(),
    };
    let slots = context.stores.groups.slots();
    scan(
        slots,
        context.high.groups,
        context.threads,
        begin,
        |state, chunk, units| {
            context.report.goes_on()?;
            chunk.records(units, |group: RawGroup| {
                if group.used {
                    state.owner(context, table, &group)?;
                    state.links(context, &group)?;
                }
                Ok(())
            })?;
            context.advance.by(chunk.end - chunk.first);
            Ok(())
        },
        drop,
    )?;
    Ok(())
}

impl Checking<'_> {
    fn owner(
        &mut self,
        context: &Context<'_>,
        table: &NodeTable,
        group: &RawGroup,
    ) -> Result<(), CheckError> {
        let report = context.report;
        if group.owner < 0 {
            report.record(c::GROUP_ILLEGAL_OWNER, group, &[]);
            return Ok(());
        }
        let state = table.get(group.owner);
        if table.is_in_range(group.owner) && !state.used() {
            report.record(c::GROUP_OWNER_NOT_IN_USE, group, &[]);
        }
        if group.next == NONE && table.last_group(group.owner) {
            let owner = self.nodes.get(group.owner)?;
            report.record(c::GROUP_MULTIPLE_LAST, group, &[&owner]);
        }
        if state.used() && state.dense() && state.marked() && self.nodes.get(group.owner)?.next == group.id {
            table.clear_mark(group.owner);
        }
        Ok(())
    }

    fn links(&mut self, context: &Context<'_>, group: &RawGroup) -> Result<(), CheckError> {
        let report = context.report;
        if !context.types.is_public(group.type_id) {
            let token = context.token(TokenKind::RelationshipType, group.type_id)?;
            report.record(c::GROUP_TYPE_NOT_IN_USE, group, &[&token]);
        }
        if group.next != NONE {
            let next = self.groups.get(group.next)?;
            if next.used {
                if group.type_id >= next.type_id {
                    report.record(c::GROUP_INVALID_ORDER, group, &[]);
                }
                if group.owner != next.owner {
                    report.record(c::GROUP_NEXT_HAS_OTHER_OWNER, group, &[&next]);
                }
            } else {
                report.record(c::GROUP_NEXT_NOT_IN_USE, group, &[]);
            }
        }
        self.first(context, group, group.outgoing, &OUTGOING, |source, _| source.first)?;
        self.first(context, group, group.incoming, &INCOMING, |_, target| target.first)?;
        self.first(context, group, group.loops, &LOOP, |source, target| source.first && target.first)
    }

    fn first(
        &mut self,
        context: &Context<'_>,
        group: &RawGroup,
        id: i64,
        findings: &FirstFindings,
        is_first: impl Fn(&RawLink, &RawLink) -> bool,
    ) -> Result<(), CheckError> {
        if id == NONE {
            return Ok(());
        }
        let report = context.report;
        let relationship = self.relationships.get(id)?;
        if !relationship.used {
            report.record(findings.not_in_use, group, &[]);
            return Ok(());
        }
        if !is_first(&relationship.source, &relationship.target) {
            report.record(findings.not_first, group, &[]);
        }
        if relationship.type_id != group.type_id {
            report.record(findings.other_type, group, &[]);
        }
        if relationship.source.node != group.owner && relationship.target.node != group.owner {
            report.record(findings.other_node, group, &[&relationship]);
        }
        Ok(())
    }
}
