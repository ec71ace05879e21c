//! Schema rules: whether they make sense, and whether indexes and constraints that belong together say so.
//!
//! Specification: consistency check 2.9.

use std::collections::{BTreeMap, HashMap};

use super::catalogue as c;
use super::context::Context;
use super::error::CheckError;
use super::indexes::IndexState;
use super::report::Finding;
use super::rules::{Names, RuleRecord, Unreadable};
use super::text::{SchemaText, TokenKind};
use super::tokens::TokenSet;
use crate::store::id::SchemaId;
use crate::store::schema::{
    ConstraintRule, ConstraintType, EntityType, IndexRule, IndexType, RuleKind, SchemaPattern, SchemaRule,
};

/// Checks all rules. `states`: of the indexes.
pub(super) fn check(
    context: &Context<'_>,
    rules: &[RuleRecord],
    states: &BTreeMap<SchemaId, IndexState>,
) -> Result<(), CheckError> {
    let mut check = Check { context, states, contents: HashMap::new(), obligations: Obligations::default() };
    for record in rules {
        check.check_readable(record);
    }
    for record in rules {
        if let Ok(rule) = &record.rule {
            check.collect(record, rule);
        }
    }
    for record in rules {
        if let Ok(rule) = &record.rule {
            check.check_rule(record, rule)?;
        }
    }
    Ok(())
}

/// Which rules name each other.
#[derive(Debug, Default)]
struct Obligations<'r> {
    /// The last index that names a constraint.
    indexes: BTreeMap<SchemaId, &'r RuleRecord>,
    /// The last constraint that names an index.
    constraints: BTreeMap<SchemaId, &'r RuleRecord>,
}

/// What two rules must not have in common.
type Content<'r> = (bool, EntityType, u8, &'r [u32], Vec<u32>, bool, Option<IndexType>);

struct Check<'a, 'r> {
    context: &'a Context<'a>,
    states: &'a BTreeMap<SchemaId, IndexState>,
    contents: HashMap<Content<'r>, &'r RuleRecord>,
    obligations: Obligations<'r>,
}

impl<'r> Check<'_, 'r> {
    fn report(&self, finding: Finding, record: &RuleRecord, arguments: &[&dyn std::fmt::Display]) {
        self.with_text(record, |text| self.context.report.record(finding, text, arguments));
    }

    fn with_text(&self, record: &RuleRecord, say: impl FnOnce(&SchemaText<'_>)) {
        let names = Names::Plain(self.context.tokens());
        let description = match record.when_opened() {
            Ok(rule) => Ok(record.describe(rule, names)),
            Err(Unreadable::Malformed(reason)) => Err(reason.clone()),
            Err(Unreadable::Cycle) => Err("its properties go round".to_owned()),
            Err(Unreadable::Value) => Err("one of its values can't be read".to_owned()),
            Err(Unreadable::Impossible(why)) => Err((*why).to_owned()),
        };
        let description = description.as_deref().map_err(String::as_str);
        say(&SchemaText { record: record.record, description });
    }

    fn check_readable(&self, record: &RuleRecord) {
        let finding = match &record.rule {
            Ok(rule) if self.states.get(&rule.id) == Some(&IndexState::Unusable) => c::SCHEMA_MALFORMED,
            Ok(_) => return,
            Err(Unreadable::Malformed(_)) => c::SCHEMA_MALFORMED,
            Err(Unreadable::Cycle) => c::SCHEMA_CYCLE,
            Err(Unreadable::Value) => c::SCHEMA_UNREADABLE,
            Err(Unreadable::Impossible(_)) => c::SCHEMA_IMPOSSIBLE,
        };
        self.report(finding, record, &[]);
    }

    fn collect(&mut self, record: &'r RuleRecord, rule: &SchemaRule) {
        let before = match &rule.kind {
            RuleKind::Index(IndexRule { unique: true, owning_constraint: Some(constraint), .. }) => {
                self.obligations.indexes.insert(*constraint, record)
            }
            RuleKind::Constraint(ConstraintRule {
                constraint_type: ConstraintType::Unique | ConstraintType::UniqueExists,
                owned_index: Some(index),
                ..
            }) => self.obligations.constraints.insert(*index, record),
            _ => None,
        };
        if let Some(before) = before {
            self.with_text(before, |text| self.report(c::SCHEMA_DUPLICATE_OBLIGATION, record, &[text]));
        }
    }

    fn check_rule(&mut self, record: &'r RuleRecord, rule: &'r SchemaRule) -> Result<(), CheckError> {
        self.check_tokens(record, rule)?;
        match &rule.kind {
            RuleKind::Index(index) => self.check_index(record, rule, index),
            RuleKind::Constraint(constraint) => self.check_constraint(record, rule, constraint),
        }
        let content = content(rule);
        if let Some(before) = self.contents.insert(content, record) {
            self.with_text(before, |text| self.report(c::SCHEMA_DUPLICATE_CONTENT, record, &[text]));
        }
        Ok(())
    }

    fn check_tokens(&self, record: &RuleRecord, rule: &SchemaRule) -> Result<(), CheckError> {
        let (kind, set, finding) = match rule.schema.entity {
            EntityType::Node => (TokenKind::Label, &self.context.labels, c::SCHEMA_LABEL_NOT_IN_USE),
            EntityType::Relationship => {
                (TokenKind::RelationshipType, &self.context.types, c::SCHEMA_TYPE_NOT_IN_USE)
            }
        };
        for &id in &rule.schema.entity_tokens {
            self.check_token(record, kind, set, id, finding)?;
        }
        for key in &rule.schema.property_keys {
            let keys = &self.context.keys;
            self.check_token(record, TokenKind::PropertyKey, keys, key.0, c::SCHEMA_KEY_NOT_IN_USE)?;
        }
        Ok(())
    }

    fn check_token(
        &self,
        record: &RuleRecord,
        kind: TokenKind,
        set: &TokenSet,
        id: u32,
        finding: Finding,
    ) -> Result<(), CheckError> {
        let id = i64::from(id.cast_signed());
        if set.is_public(id) {
            return Ok(());
        }
        let token = self.context.token(kind, id)?;
        // A negative id leads to another record.
        if id >= 0 || !token.1.used || token.1.internal {
            self.report(finding, record, &[&token]);
        }
        Ok(())
    }

    fn check_index(&self, record: &RuleRecord, rule: &SchemaRule, index: &IndexRule) {
        if index.unique {
            match (self.obligations.constraints.get(&rule.id), index.owning_constraint) {
                (Some(constraint), owner) if owner.is_none_or(|owner| owner != id_of(constraint)) => {
                    self.with_text(constraint, |text| {
                        self.report(c::SCHEMA_INDEX_NOT_REFERENCING_BACK, record, &[text]);
                    });
                }
                (None, Some(_)) => {
                    self.report(c::SCHEMA_MISSING_OBLIGATION, record, &[&"UNIQUENESS_CONSTRAINT"]);
                }
                _ => {}
            }
        }
        if self.states.get(&rule.id) == Some(&IndexState::NotOnline) {
            self.report(c::SCHEMA_NOT_ONLINE, record, &[&record.describe(rule, Names::Ids)]);
        }
    }

    fn check_constraint(&self, record: &RuleRecord, rule: &SchemaRule, constraint: &ConstraintRule) {
        if constraint.constraint_type == ConstraintType::Exists {
            return;
        }
        if constraint.owned_index.is_none() {
            self.report(c::SCHEMA_NO_OWNED_INDEX, record, &[]);
        }
        let Some(index) = self.obligations.indexes.get(&rule.id) else {
            self.report(c::SCHEMA_MISSING_OBLIGATION, record, &[&"CONSTRAINT_INDEX_RULE"]);
            return;
        };
        let finding = if constraint.owned_index != Some(id_of(index)) {
            c::SCHEMA_CONSTRAINT_NOT_REFERENCING_BACK
        } else if index_type_of(index) != Some(constraint.index_type) {
            c::SCHEMA_WRONG_INDEX_TYPE
        } else {
            return;
        };
        self.with_text(index, |text| self.report(finding, record, &[text]));
    }
}

fn id_of(record: &RuleRecord) -> SchemaId {
    SchemaId(record.record.id as u64)
}

fn index_type_of(record: &RuleRecord) -> Option<IndexType> {
    match &record.rule {
        Ok(SchemaRule { kind: RuleKind::Index(index), .. }) => Some(index.index_type),
        _ => None,
    }
}

fn content(rule: &SchemaRule) -> Content<'_> {
    let schema = &rule.schema;
    let pattern = match schema.pattern {
        SchemaPattern::CompleteAllTokens => 0,
        SchemaPattern::PartialAnyToken => 1,
        SchemaPattern::EntityTokens => 2,
    };
    let keys = schema.property_keys.iter().map(|key| key.0).collect();
    let (is_index, unique, index_type) = match &rule.kind {
        RuleKind::Index(index) => (true, index.unique, Some(index.index_type)),
        RuleKind::Constraint(constraint) => {
            let unique = constraint.constraint_type != ConstraintType::Exists;
            (false, unique, unique.then_some(constraint.index_type))
        }
    };
    (is_index, schema.entity, pattern, &schema.entity_tokens, keys, unique, index_type)
}
