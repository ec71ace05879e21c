//! Properties that entities must have.

use std::collections::BTreeMap;

use crate::store::schema::{ConstraintType, EntityType, RuleKind, SchemaRule};

/// Which properties the constraints of a store demand, by label and by relationship type.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Mandatory {
    nodes: BTreeMap<i64, Vec<u32>>,
    relationships: BTreeMap<i64, Vec<u32>>,
}

impl Mandatory {
    /// Existence constraints and node keys.
    pub fn of<'r>(rules: impl IntoIterator<Item = &'r SchemaRule>) -> Self {
        let mut mandatory = Self::default();
        for rule in rules {
            let RuleKind::Constraint(constraint) = &rule.kind else { continue };
            if constraint.constraint_type == ConstraintType::Unique {
                continue;
            }
            let by_token = match rule.schema.entity {
                EntityType::Node => &mut mandatory.nodes,
                EntityType::Relationship => &mut mandatory.relationships,
            };
            for &token in &rule.schema.entity_tokens {
                let keys = by_token.entry(i64::from(token)).or_default();
                keys.extend(rule.schema.property_keys.iter().map(|key| key.0));
                keys.sort_unstable();
                keys.dedup();
            }
        }
        mandatory
    }

    /// Whether nodes must have anything.
    pub fn of_nodes(&self) -> bool {
        !self.nodes.is_empty()
    }

    /// Whether relationships must have anything.
    pub fn of_relationships(&self) -> bool {
        !self.relationships.is_empty()
    }

    /// What a node with these labels must have, each key once.
    pub fn keys_of_node(&self, labels: &[i64]) -> Vec<u32> {
        Self::keys(&self.nodes, labels)
    }

    /// What a relationship of this type must have.
    pub fn keys_of_relationship(&self, type_id: i64) -> Vec<u32> {
        Self::keys(&self.relationships, &[type_id])
    }

    fn keys(by_token: &BTreeMap<i64, Vec<u32>>, tokens: &[i64]) -> Vec<u32> {
        let mut keys: Vec<_> =
            tokens.iter().filter_map(|token| by_token.get(token)).flatten().copied().collect();
        keys.sort_unstable();
        keys.dedup();
        keys
    }
}
