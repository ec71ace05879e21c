//! Entries of property indexes: Neo4j's checker looks for each entity of a small index, or of one of relationships, but
//! not whether there are other entries for it; of a large one whose texts Lucene has, it looks at the entities alone.

use super::SURPLUS_ENTRY;
use crate::consistency::context::Context;
use crate::consistency::error::CheckError;
use crate::consistency::labels::{LabelReader, Labels};
use crate::consistency::properties::{NODE, Owner, PropertyWalk, RELATIONSHIP};
use crate::consistency::rules::{Names, describe};
use crate::consistency::texts::{Entry, Kind, with_bytes};
use crate::consistency::value_index::Target;
use crate::store::schema::EntityType;

/// Reports the entries of an index that its entities do not have. Those of nodes that are not there, or lack a label,
/// are Neo4j's to report; in a large index those of all entities that should have none.
pub(in crate::consistency) fn check(
    context: &Context<'_>,
    target: &Target<'_>,
    large: bool,
) -> Result<(), CheckError> {
    let mut looking = Looking {
        context,
        target,
        large,
        index: describe(target.rule, Names::WithIds(context.tokens())),
        walk: PropertyWalk::new(context),
        labels: LabelReader::new(context),
        found: Labels::default(),
        wanted: Vec::new(),
    };
    if let Some(entries) = &target.tree {
        entries.all(&mut |key| {
            if let Some(entity) = key.first_chunk() {
                looking.entry(i64::from_be_bytes(*entity), What::Key(key))?;
            }
            Ok(true)
        })?;
    }
    let Some(texts) = &target.texts else { return Ok(()) };
    let whole = target.kind == Some(Kind::Text);
    texts.read(whole, |entry| match entry {
        Entry::Text { entity, text, .. } => looking.entry(entity as i64, What::Text(text)),
        Entry::Document { entity, .. } if !whole => looking.entry(entity as i64, What::Document),
        Entry::Document { .. } => Ok(()),
    })
}

/// What an entry has of an entity.
#[derive(Clone, Copy)]
enum What<'e> {
    /// The key of a tree.
    Key(&'e [u8]),
    /// A text.
    Text(&'e [u8]),
    /// Words, which can't be told from the values.
    Document,
}

struct Looking<'a> {
    context: &'a Context<'a>,
    target: &'a Target<'a>,
    large: bool,
    index: String,
    walk: PropertyWalk<'a>,
    labels: LabelReader<'a>,
    found: Labels,
    wanted: Vec<u8>,
}

impl Looking<'_> {
    fn entry(&mut self, entity: i64, what: What<'_>) -> Result<(), CheckError> {
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
                if self.is_surplus(Owner { text: &node, findings: &NODE }, node.property, entity, what)? {
                    let entry = format!("IndexEntry[nodeId={entity}, index={}]", self.index);
                    report.record(SURPLUS_ENTRY, &entry, &[&node]);
                }
            }
            EntityType::Relationship => {
                let relationship = self.context.relationships().get(entity)?;
                let owner = Owner { text: &relationship, findings: &RELATIONSHIP };
                if !relationship.used
                    || !self.target.covers(&[relationship.type_id])
                    || self.is_surplus(owner, relationship.property, entity, what)?
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
        what: What<'_>,
    ) -> Result<bool, CheckError> {
        let target = self.target;
        let wants = |key| target.property_keys().any(|wanted| wanted == key);
        let properties = self.walk.walk(owner, property, &wants, false)?;
        let mut values = Vec::new();
        if !properties.sound {
            return Ok(false);
        }
        if !target.values(&properties.values, &mut values) {
            return Ok(!self.large);
        }
        Ok(match what {
            What::Key(key) => {
                let has_key = target.key(entity as u64, &values, &mut self.wanted);
                !(has_key && self.wanted == key)
            }
            What::Text(text) => {
                !values.iter().any(|value| with_bytes(value, |bytes| bytes == text).unwrap_or_default())
            }
            What::Document => false,
        })
    }
}
