//! Property chains and long values: what begins one is referred to by just one record.

use std::fmt::{self, Display, Formatter};

use super::{
    ORPHAN_ARRAY, ORPHAN_LABELS, ORPHAN_PROPERTIES, ORPHAN_TEXT, SHARED_ARRAY, SHARED_LABELS,
    SHARED_PROPERTIES, SHARED_TEXT,
};
use crate::consistency::blocks::Blocks;
use crate::consistency::context::Context;
use crate::consistency::dynamic_store::Bits;
use crate::consistency::error::CheckError;
use crate::consistency::fingerprint::{Claim, Mixer};
use crate::consistency::raw::{
    DynamicHeader, NONE, RawDynamic, RawNode, RawProperty, RawReader, RawRelationship, RawSchema,
};
use crate::consistency::report::Finding;
use crate::consistency::scan::scan;
use crate::store::labels::{LabelField, Labels};
use crate::store::record::Slots;
use crate::store::value::block::{Block, Content, Kind};

/// What is referred to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::consistency) enum Owned {
    /// A chain of property records.
    Properties,
    /// A long text.
    Text,
    /// A long array.
    Array,
    /// Labels beside their node.
    Labels,
}

impl Owned {
    const ALL: [Self; 4] = [Self::Properties, Self::Text, Self::Array, Self::Labels];

    fn findings(self) -> (Finding, Finding) {
        match self {
            Self::Properties => (ORPHAN_PROPERTIES, SHARED_PROPERTIES),
            Self::Text => (ORPHAN_TEXT, SHARED_TEXT),
            Self::Array => (ORPHAN_ARRAY, SHARED_ARRAY),
            Self::Labels => (ORPHAN_LABELS, SHARED_LABELS),
        }
    }
}

/// Sums over beginnings, less references to them.
#[derive(Clone, Copy, Debug)]
pub(in crate::consistency) struct Owners {
    mixer: Mixer,
    sums: [u128; Owned::ALL.len()],
}

impl Owners {
    pub fn new(mixer: Mixer) -> Self {
        Self { mixer, sums: [0; Owned::ALL.len()] }
    }

    fn add(&mut self, owned: Owned, hash: u128) {
        if let Some(sum) = self.sums.get_mut(owned as usize) {
            *sum = sum.wrapping_add(hash);
        }
    }

    fn hash(&self, owned: Owned, id: i64) -> u128 {
        self.mixer.hash(Claim::Owner, id as u64, owned as u64, 0)
    }

    /// A record that begins something.
    #[inline]
    pub fn begins(&mut self, owned: Owned, id: i64) {
        self.add(owned, self.hash(owned, id));
    }

    /// A record refers to it, or to nothing.
    #[inline]
    pub fn refers(&mut self, owned: Owned, id: i64) {
        if id != NONE {
            self.add(owned, self.hash(owned, id).wrapping_neg());
        }
    }

    /// Labels that are not in their node.
    #[inline]
    pub fn labels(&mut self, node: &RawNode) {
        if let Some(first) = dynamic_labels(node) {
            self.refers(Owned::Labels, first);
        }
    }

    /// Takes in the sums of another thread or pass.
    pub fn merge(&mut self, other: &Self) {
        self.sums.iter_mut().zip(other.sums).for_each(|(sum, other)| *sum = sum.wrapping_add(other));
    }

    /// Adds schema rules and the beginnings of labels, which no pass reads, and reports what has no owner, or two.
    /// `links`: whether property records lead back to each other; if so, only the first of a chain can be without.
    pub fn finish(mut self, context: &Context<'_>, links: bool) -> Result<(), CheckError> {
        each_rule(context, |rule| {
            self.refers(Owned::Properties, rule.property);
            Ok(())
        })?;
        let begun = scan(
            context.stores.node_labels.slots(),
            stored(context.stores.node_labels.slots()),
            context.threads,
            || Self::new(self.mixer),
            |owners, chunk, _| {
                chunk.slots(|id, slot| {
                    let header = DynamicHeader::decode(context.stores.node_labels.slots().family(), slot);
                    if header.used && header.start {
                        owners.begins(Owned::Labels, id as i64);
                    }
                    Ok::<_, CheckError>(())
                })
            },
            |owners| owners,
        )?;
        for owners in &begun {
            self.merge(owners);
        }
        for (owned, sum) in Owned::ALL.into_iter().zip(self.sums) {
            if sum != 0 || owned == Owned::Properties && !links {
                explain(context, owned)?;
            }
        }
        Ok(())
    }
}

/// Ids that have a place in the file.
fn stored(slots: &Slots) -> u64 {
    slots.file().pages().saturating_mul(slots.per_page())
}

fn dynamic_labels(node: &RawNode) -> Option<i64> {
    match LabelField(node.labels).labels() {
        Labels::Dynamic(first) => Some(first.0 as i64),
        Labels::Inline(_) => None,
    }
}

/// What a property refers to if its value does not fit into its record.
#[inline]
pub(in crate::consistency) fn long_value(block: &Block<'_>) -> Option<(Owned, i64)> {
    if !matches!(block.kind, Kind::String | Kind::Array) {
        return None;
    }
    match block.content() {
        Ok(Content::String(first)) => Some((Owned::Text, first.0 as i64)),
        Ok(Content::Array(first)) => Some((Owned::Array, first.0 as i64)),
        _ => None,
    }
}

fn each_rule(
    context: &Context<'_>,
    mut visit: impl FnMut(&RawSchema) -> Result<(), CheckError>,
) -> Result<(), CheckError> {
    let slots = context.stores.schema.slots();
    let mut rules: RawReader<'_, RawSchema> = RawReader::new(slots);
    for id in slots.first()..context.high.schema.min(stored(slots)) {
        let rule = rules.get(id as i64)?;
        if rule.used {
            visit(&rule)?;
        }
    }
    Ok(())
}

/// Reports each beginning that nothing refers to, and each that a second record refers to.
fn explain(context: &Context<'_>, owned: Owned) -> Result<(), CheckError> {
    let slots = match owned {
        Owned::Properties => context.stores.properties.slots(),
        Owned::Text => context.stores.strings.slots(),
        Owned::Array => context.stores.arrays.slots(),
        Owned::Labels => context.stores.node_labels.slots(),
    };
    let explaining = Explaining { context, owned, slots, referred: Bits::new(stored(slots)) };
    match owned {
        Owned::Properties => {
            explaining.each_node(|node| node.property)?;
            explaining.each_relationship()?;
            each_rule(context, |rule| explaining.referred_by(rule.property, &SchemaId(rule.id)))?;
            explaining.each_property(|record| explaining.referred_by(record.next, record))?;
        }
        Owned::Text | Owned::Array => explaining.each_property(|record| {
            let values = Blocks::of(&record.words).flatten().filter_map(|block| long_value(&block));
            values
                .filter(|(found, _)| *found == owned)
                .try_for_each(|(_, first)| explaining.referred_by(first, record))
        })?,
        Owned::Labels => explaining.each_node(|node| dynamic_labels(node).unwrap_or(NONE))?,
    }
    explaining.orphans()
}

/// A schema rule in a report.
struct SchemaId(i64);

impl Display for SchemaId {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        write!(f, "SchemaRecord[{}]", self.0)
    }
}

struct Explaining<'a> {
    context: &'a Context<'a>,
    owned: Owned,
    slots: &'a Slots,
    /// What something refers to.
    referred: Bits,
}

impl Explaining<'_> {
    /// Notes that something refers to a beginning.
    fn referred_by(&self, id: i64, by: &dyn Display) -> Result<(), CheckError> {
        if id == NONE || self.referred.insert(id as u64) {
            return Ok(());
        }
        let (_, shared) = self.owned.findings();
        self.report(shared, id, &[by])
    }

    fn report(&self, finding: Finding, id: i64, arguments: &[&dyn Display]) -> Result<(), CheckError> {
        let report = self.context.report;
        if self.owned == Owned::Properties {
            let record = self.context.properties().get(id)?;
            report.record(finding, &record, arguments);
        } else {
            let mut records: RawReader<'_, RawDynamic> = RawReader::new(self.slots);
            report.record(finding, &records.get(id)?, arguments);
        }
        Ok(())
    }

    fn each_node(&self, first: impl Fn(&RawNode) -> i64 + Sync) -> Result<(), CheckError> {
        let context = self.context;
        let slots = context.stores.nodes.slots();
        let visit = |node: RawNode| if node.used { self.referred_by(first(&node), &node) } else { Ok(()) };
        scan(
            slots,
            context.high.nodes,
            context.threads,
            || (),
            |(), chunk, units| chunk.records(units, visit),
            drop,
        )?;
        Ok(())
    }

    fn each_relationship(&self) -> Result<(), CheckError> {
        let context = self.context;
        let visit = |relationship: RawRelationship| {
            if relationship.used { self.referred_by(relationship.property, &relationship) } else { Ok(()) }
        };
        let slots = context.stores.relationships.slots();
        scan(
            slots,
            context.high.relationships,
            context.threads,
            || (),
            |(), chunk, units| chunk.records(units, visit),
            drop,
        )?;
        Ok(())
    }

    fn each_property(
        &self,
        visit: impl Fn(&RawProperty) -> Result<(), CheckError> + Sync,
    ) -> Result<(), CheckError> {
        let slots = self.context.stores.properties.slots();
        scan(
            slots,
            stored(slots),
            self.context.threads,
            || (),
            |(), chunk, units| {
                chunk.records(units, |record: RawProperty| if record.used { visit(&record) } else { Ok(()) })
            },
            drop,
        )?;
        Ok(())
    }

    fn orphans(&self) -> Result<(), CheckError> {
        let (orphan, _) = self.owned.findings();
        let family = self.slots.family();
        let look = |id: u64, begins: bool| {
            if begins && !self.referred.has(id) { self.report(orphan, id as i64, &[]) } else { Ok(()) }
        };
        scan(
            self.slots,
            stored(self.slots),
            self.context.threads,
            || (),
            |(), chunk, units| {
                if self.owned == Owned::Properties {
                    return chunk.records(units, |record: RawProperty| look(record.id as u64, record.used));
                }
                chunk.slots(|id, slot| {
                    let header = DynamicHeader::decode(family, slot);
                    look(id, header.used && header.start)
                })
            },
            drop,
        )?;
        Ok(())
    }
}
