//! Entries of property indexes: Neo4j's checker looks for each entity of a small index, or of one of relationships, but
//! not whether there are other entries for it.

use super::SURPLUS_ENTRY;
use crate::consistency::context::Context;
use crate::consistency::error::CheckError;
use crate::consistency::labels::{LabelReader, Labels};
use crate::consistency::properties::{NODE, Owner, PropertyWalk, RELATIONSHIP};
use crate::consistency::rules::{Names, describe};
use crate::consistency::value_index::Target;
use crate::gbptree::TreeError;
use crate::store::schema::EntityType;

/// Reports the entries of an index that its entities do not have. Those of nodes that are not there, or lack a label,
/// are Neo4j's to report.
pub(in crate::consistency) fn check(context: &Context<'_>, target: &Target<'_>) -> Result<(), CheckError> {
    let mut looking = Looking {
        context,
        target,
        index: describe(target.rule, Names::WithIds(context.tokens())),
        walk: PropertyWalk::new(context),
        labels: LabelReader::new(context),
        found: Labels::default(),
        wanted: Vec::new(),
    };
    let mut failure = None;
    let read = || -> Result<(), TreeError> {
        let mut entries = target.tree.entries()?;
        while let Some((key, _)) = entries.next()? {
            if let Err(error) = looking.entry(key) {
                failure = Some(error);
                break;
            }
        }
        Ok(())
    };
    match { read }() {
        Err(error @ (TreeError::Disk(_) | TreeError::Cache(_))) => Err(error.into()),
        _ => failure.map_or(Ok(()), Err),
    }
}

struct Looking<'a> {
    context: &'a Context<'a>,
    target: &'a Target<'a>,
    index: String,
    walk: PropertyWalk<'a>,
    labels: LabelReader<'a>,
    found: Labels,
    wanted: Vec<u8>,
}

impl Looking<'_> {
    fn entry(&mut self, key: &[u8]) -> Result<(), CheckError> {
        let Some(entity) = key.first_chunk().map(|entity| i64::from_be_bytes(*entity)) else { return Ok(()) };
        let report = self.context.report;
        match self.target.rule.schema.entity {
            EntityType::Node => {
                let node = self.context.nodes().get(entity)?;
                if !node.used {
                    return Ok(());
                }
                self.labels.read(&node, &mut self.found, false)?;
                if self.found.broken || !self.target.covers(&self.found.sorted) {
                    return Ok(());
                }
                if self.is_surplus(Owner { text: &node, findings: &NODE }, node.property, entity, key)? {
                    let entry = format!("IndexEntry[nodeId={entity}, index={}]", self.index);
                    report.record(SURPLUS_ENTRY, &entry, &[&node]);
                }
            }
            EntityType::Relationship => {
                let relationship = self.context.relationships().get(entity)?;
                let owner = Owner { text: &relationship, findings: &RELATIONSHIP };
                if !relationship.used
                    || !self.target.covers(&[relationship.type_id])
                    || self.is_surplus(owner, relationship.property, entity, key)?
                {
                    let entry = format!("IndexEntry[relationshipId={entity}, index={}]", self.index);
                    report.record(SURPLUS_ENTRY, &entry, &[&relationship]);
                }
            }
        }
        Ok(())
    }

    /// Whether an entity has other values than an entry for it.
    fn is_surplus(
        &mut self,
        owner: Owner<'_>,
        property: i64,
        entity: i64,
        key: &[u8],
    ) -> Result<bool, CheckError> {
        let target = self.target;
        let wants = |key| target.property_keys().any(|wanted| wanted == key);
        let properties = self.walk.walk(owner, property, &wants, false)?;
        let mut values = Vec::new();
        Ok(properties.sound
            && !(target.values(&properties.values, &mut values)
                && target.key(entity as u64, &values, &mut self.wanted)
                && self.wanted == key))
    }
}
