//! Brings the indexes of a store to the end of the window.

use std::collections::BTreeSet;

use super::build::{self, Build, Built};
use super::collect::{RuleChanges, SchemaChanges};
use super::derive::{Derivation, Indexes, MOST_EVENTS};
use super::existing::{self, Existing, State};
use super::key_order::KeyOrder;
use super::outcome::{BuiltIndex, Cause, FailedIndex, Index, IndexOutcome, RemovedIndex, UpdatedIndex};
use super::target::{Loss, Storage, Target};
use super::token_ranges::TokenRanges;
use super::{Watch, trees};
use crate::gbptree::Tree;
use crate::index::IndexError;
use crate::index::files;
use crate::index::statistics::{Sample, Statistics};
use crate::index::token::TokenIndex;
use crate::index::value::ValueLayout;
use crate::io::disk::SharedDisk;
use crate::io::force;
use crate::io::sort::{ByNumber, Merged, Scratch, Sorted, Sorter};
use crate::recovery::{RecoveryError, parallel};
use crate::store::id::SchemaId;
use crate::store::layout::{DatabaseLayout, INDEX_STATISTICS};
use crate::store::page_cache::PageCache;
use crate::store::schema::{EntityType, IndexProvider, IndexRule, RuleKind, SchemaRule};
use crate::store::stores::Stores;

/// What events are applied with.
#[derive(Clone, Copy, Debug)]
pub struct Context<'a> {
    /// The record stores in the state of the end.
    pub stores: &'a Stores,
    /// The rules in them.
    pub rules: &'a [SchemaRule],
    /// Whether the kernel version in the end is below 4.3, so that the label index exists without a rule.
    pub implied_label_index: bool,
    /// Where the files are.
    pub layout: &'a DatabaseLayout,
    /// The file system.
    pub disk: &'a SharedDisk,
    /// Pages of the stores and of the indexes.
    pub cache: &'a PageCache,
    /// The place for what the memory does not hold.
    pub scratch: &'a Scratch,
    /// Bytes that changes of indexes may take, beside those that the collector was given.
    pub memory: usize,
    /// Threads to use.
    pub threads: usize,
}

/// The events of a window: parts of entities that no other part has, each in the order of entities.
#[derive(Debug)]
pub struct Events {
    pub(super) watch: Watch,
    pub(super) schema: SchemaChanges,
    pub(super) sorted: Vec<Sorted<ByNumber>>,
}

/// Bytes of changes that take less time to make than to force.
const FEW: u64 = 1 << 20;

/// The id of the label index that a store up to 4.2 has without a rule: −2. Specification: indexes 1.1.
const IMPLIED: SchemaId = SchemaId(u64::MAX - 1);

impl Events {
    /// Brings all indexes to the end of the window: those that are online are changed, those that can't be used are built
    /// from the stores, and those that Neo4j alone can write are left to it if something in them changed. The files are
    /// complete and on the medium then. Specification: transaction log 8.7, 8.15.
    pub fn apply(self, context: &Context<'_>) -> Result<IndexOutcome, RecoveryError> {
        self.apply_in_chunks(context, MOST_EVENTS)
    }

    /// `most_events`: bytes of events of one entity that are looked at together.
    pub(super) fn apply_in_chunks(
        self,
        context: &Context<'_>,
        most_events: usize,
    ) -> Result<IndexOutcome, RecoveryError> {
        let Self { watch, schema, sorted } = self;
        for id in schema.rules.keys() {
            files::discard(context.layout, context.disk, *id)?;
        }
        let implied = SchemaRule::label_scan_store(IMPLIED);
        let has_label_lookup = context.rules.iter().any(|rule| is_lookup(rule, EntityType::Node));
        let implied = (context.implied_label_index && !has_label_lookup).then_some(&implied);
        let rules = || context.rules.iter().chain(implied);

        let mut plan = Plan::default();
        for rule in rules() {
            if let RuleKind::Index(index) = &rule.kind {
                let verdict = judge(context, &watch, &schema, rule, index)?;
                plan.add(context, rule, index, verdict)?;
            }
        }
        for (id, changes) in &schema.rules {
            if changes.dropped && !rules().any(|rule| rule.id == *id) {
                plan.outcome.removed.push(RemovedIndex { index: None, id: *id, cause: Cause::Dropped });
                plan.without_statistics.insert(*id);
            }
        }
        if schema.rules.values().any(|changes| changes.dropped) {
            for entity in [EntityType::Node, EntityType::Relationship] {
                if !rules().any(|rule| is_lookup(rule, entity)) {
                    existing::remove_file(context.disk, &files::lookup(context.layout, entity))?;
                }
            }
        }

        let Plan { updates, mut builds, mut outcome, mut without_statistics } = plan;
        let updated = update(context, updates, sorted, most_events)?;
        for Updated { rule, index, result } in updated {
            let named = Index::of(rule, index);
            match result {
                Change::Nothing => outcome.untouched.push(named),
                Change::Entities(entities) => outcome.updated.push(UpdatedIndex { index: named, entities }),
                Change::Lost(cause) => {
                    existing::discard(context, rule, index)?;
                    if can_build(index) {
                        builds.push(Build { rule, index, cause });
                    } else {
                        without_statistics.insert(rule.id);
                        outcome.removed.push(RemovedIndex { index: Some(named), id: rule.id, cause });
                    }
                }
            }
        }
        let mut samples = Vec::new();
        for Built { index, cause, result } in build::build(context, builds)? {
            match result {
                Ok(sample) => {
                    if index.provider != IndexProvider::TokenLookup {
                        samples.push((index.id, sample));
                    }
                    let entries = sample.index_size.cast_unsigned();
                    outcome.built.push(BuiltIndex { index, cause, entries });
                }
                Err(cause) => {
                    files::discard(context.layout, context.disk, index.id)?;
                    without_statistics.insert(index.id);
                    outcome.removed.push(RemovedIndex { id: index.id, index: Some(index), cause });
                }
            }
        }
        write_statistics(context, &without_statistics, &samples)?;
        outcome.sort();
        Ok(outcome)
    }
}

fn is_lookup(rule: &SchemaRule, entity: EntityType) -> bool {
    rule.schema.entity == entity
        && matches!(&rule.kind, RuleKind::Index(index) if index.provider == IndexProvider::TokenLookup)
}

/// Whether all of an index can be written here, and may be. Specification: transaction log 8.7.
fn can_build(index: &IndexRule) -> bool {
    let is_tree = match index.provider {
        IndexProvider::NativeBtree
        | IndexProvider::Range
        | IndexProvider::Point
        | IndexProvider::TokenLookup => true,
        IndexProvider::LuceneNative | IndexProvider::Fulltext | IndexProvider::Text => false,
    };
    is_tree && !lacks_owner(index)
}

fn lacks_owner(index: &IndexRule) -> bool {
    index.unique && index.owning_constraint.is_none()
}

/// What to do with an index.
#[expect(clippy::large_enum_variant, reason = "there is one per index")]
enum Verdict {
    Update(Existing),
    Renew(Cause),
    Failed(String),
}

/// Looks at the files of an index, and at what the window does to its rule.
fn judge(
    context: &Context<'_>,
    watch: &Watch,
    schema: &SchemaChanges,
    rule: &SchemaRule,
    index: &IndexRule,
) -> Result<Verdict, RecoveryError> {
    if let Some(changes) = schema.rules.get(&rule.id)
        && !replaces_implied(watch, schema, rule, *changes)
    {
        return Ok(Verdict::Renew(Cause::Created));
    }
    Ok(match existing::open(context, rule, index)? {
        State::Online(existing) if watch.covers(rule) => Verdict::Update(existing),
        State::Online(_) => Verdict::Renew(Cause::NotWatched),
        State::Failed(message) => Verdict::Failed(message),
        State::Missing => Verdict::Renew(Cause::Missing),
        State::Populating => Verdict::Renew(Cause::Populating),
        State::Unusable(reason) => Verdict::Renew(Cause::Unusable(reason)),
    })
}

/// Whether a rule was created for the label index that existed without one: it takes over the file. With more than one
/// such rule in the window the file was dropped with the first. Specification: transaction log 8.9, indexes 8.6.
fn replaces_implied(watch: &Watch, schema: &SchemaChanges, rule: &SchemaRule, changes: RuleChanges) -> bool {
    let created: u32 = schema.rules.values().map(|changes| changes.label_lookups).sum();
    watch.implied_label_index()
        && is_lookup(rule, EntityType::Node)
        && changes.label_lookups == 1
        && created == 1
        && !changes.dropped
}

/// What to do with all indexes.
#[derive(Default)]
struct Plan<'a> {
    updates: Vec<Update<'a>>,
    builds: Vec<Build<'a>>,
    outcome: IndexOutcome,
    without_statistics: BTreeSet<SchemaId>,
}

/// An index that is online.
struct Update<'a> {
    rule: &'a SchemaRule,
    index: &'a IndexRule,
    existing: Existing,
}

impl<'a> Plan<'a> {
    fn add(
        &mut self,
        context: &Context<'_>,
        rule: &'a SchemaRule,
        index: &'a IndexRule,
        verdict: Verdict,
    ) -> Result<(), RecoveryError> {
        match verdict {
            Verdict::Update(existing) => self.updates.push(Update { rule, index, existing }),
            Verdict::Failed(message) => {
                self.outcome.failed.push(FailedIndex { index: Index::of(rule, index), message });
            }
            Verdict::Renew(cause) => {
                existing::discard(context, rule, index)?;
                if can_build(index) {
                    self.builds.push(Build { rule, index, cause });
                } else {
                    let cause = if lacks_owner(index) { Cause::NoOwner } else { cause };
                    let named = Some(Index::of(rule, index));
                    self.without_statistics.insert(rule.id);
                    self.outcome.removed.push(RemovedIndex { index: named, id: rule.id, cause });
                }
            }
        }
        Ok(())
    }
}

/// What became of an index that was online.
struct Updated<'a> {
    rule: &'a SchemaRule,
    index: &'a IndexRule,
    result: Change,
}

enum Change {
    Nothing,
    Entities(u64),
    Lost(Cause),
}

/// A tree and its changes, one part of them per part of the events.
enum Job<'a> {
    Values { tree: Tree<ValueLayout>, changes: Vec<Sorter<KeyOrder>>, sums: Sums, named: Named<'a> },
    Tokens { tree: TokenIndex, ranges: Vec<TokenRanges>, named: Named<'a> },
}

#[derive(Clone, Copy)]
struct Named<'a> {
    rule: &'a SchemaRule,
    index: &'a IndexRule,
}

/// What all parts of the events mean for an index.
#[derive(Clone, Copy, Default)]
struct Sums {
    loss: Loss,
    entities: u64,
    bytes: u64,
}

/// Derives the changes of all indexes that are online, and makes them.
fn update<'a>(
    context: &Context<'a>,
    updates: Vec<Update<'a>>,
    events: Vec<Sorted<ByNumber>>,
    most_events: usize,
) -> Result<Vec<Updated<'a>>, RecoveryError> {
    let memory = context.memory / (updates.len() * events.len()).max(1);
    let mut derivations = Vec::new();
    for events in events {
        derivations.push((derivation(context, &updates, memory, most_events)?, events));
    }
    let mut derived = parallel::map(context.threads, derivations, |(mut derivation, events)| {
        derivation.run(events)?;
        Ok(derivation)
    })?;

    let (mut updated, mut jobs) = (Vec::new(), Vec::new());
    for Update { rule, index, existing } in updates {
        let named = Named { rule, index };
        let indexes = derived.iter_mut().map(|derivation| derivation.of(rule.schema.entity));
        match existing {
            Existing::Tokens(tree) => {
                let ranges: Vec<_> = indexes.filter_map(|indexes| indexes.tokens.take()).collect();
                if ranges.iter().any(|ranges| ranges.unknown) {
                    updated.push(Updated { rule, index, result: Change::Lost(Cause::ValuesNotCarried) });
                } else {
                    jobs.push(Job::Tokens { tree, ranges, named });
                }
            }
            Existing::Values(tree) => {
                let (mut sums, mut changes) = (Sums::default(), Vec::new());
                for target in indexes.filter_map(|indexes| indexes.take_target(rule.id)) {
                    sums.loss.add(target.loss);
                    sums.entities += target.entities;
                    sums.bytes += target.change_bytes;
                    changes.extend(target.changes);
                }
                let lost = if sums.loss.touched {
                    Some(Cause::TextChanged)
                } else {
                    sums.loss.unknown.then_some(Cause::ValuesNotCarried)
                };
                match (lost, tree) {
                    (Some(cause), _) => updated.push(Updated { rule, index, result: Change::Lost(cause) }),
                    (None, Some(tree)) => jobs.push(Job::Values { tree, changes, sums, named }),
                    (None, None) => updated.push(Updated { rule, index, result: Change::Nothing }),
                }
            }
        }
    }
    drop(derived);
    // The largest first, so that no thread has to wait for another one at the end.
    jobs.sort_by_key(|job| std::cmp::Reverse(job.bytes()));
    let bytes: u64 = jobs.iter().map(Job::bytes).sum();
    // Few changes are made in less time than it takes to force them.
    let threads = if bytes < FEW { force::AT_A_TIME.max(context.threads) } else { context.threads };
    updated.extend(parallel::map(threads, jobs, |job| job.run(context))?);
    Ok(updated)
}

/// What takes the changes that a part of the events makes. `memory`: bytes per index.
fn derivation<'a>(
    context: &Context<'a>,
    updates: &[Update<'a>],
    memory: usize,
    most_events: usize,
) -> Result<Derivation<'a>, RecoveryError> {
    let (mut nodes, mut relationships) = ((Vec::new(), None), (Vec::new(), None));
    for Update { rule, index, existing } in updates {
        let (targets, ranges) = match rule.schema.entity {
            EntityType::Node => &mut nodes,
            EntityType::Relationship => &mut relationships,
        };
        match existing {
            Existing::Tokens(_) => *ranges = Some(TokenRanges::new(context.scratch, memory)),
            Existing::Values(tree) => {
                let Some(storage) = Storage::of(rule, index) else { continue };
                let layout = tree.as_ref().map(|tree| *tree.layout());
                targets.push(Target::new(rule, index, storage, layout, context.scratch, memory)?);
            }
        }
    }
    let nodes = Indexes::new(EntityType::Node, nodes.0, nodes.1);
    let relationships = Indexes::new(EntityType::Relationship, relationships.0, relationships.1);
    Ok(Derivation::new(context.stores, nodes, relationships, most_events))
}

impl<'a> Job<'a> {
    /// Bytes of the changes, about.
    fn bytes(&self) -> u64 {
        match self {
            Self::Values { sums, .. } => sums.bytes,
            Self::Tokens { ranges, .. } => ranges.iter().map(|ranges| ranges.changed).sum(),
        }
    }

    fn run(self, context: &Context<'_>) -> Result<Updated<'a>, RecoveryError> {
        let of = |entities| if entities == 0 { Change::Nothing } else { Change::Entities(entities) };
        match self {
            Self::Values { tree, changes, sums, named: Named { rule, index } } => {
                let sorted = changes.into_iter().map(Sorter::finish).collect::<Result<_, _>>()?;
                let changes = Merged::new(sorted, KeyOrder(*tree.layout()));
                trees::apply(context.disk, tree, changes, sums.bytes)?;
                Ok(Updated { rule, index, result: of(sums.entities) })
            }
            Self::Tokens { tree, ranges, named: Named { rule, index } } => {
                let result = of(ranges.iter().map(|ranges| ranges.changed).sum());
                TokenRanges::finish(ranges)?.apply(tree)?;
                Ok(Updated { rule, index, result })
            }
        }
    }
}

/// Brings the statistics in line with the indexes. A store that can't be used is made anew, as Neo4j can do without what
/// is in it and not without the file. Specification: gbptree 5.4.
fn write_statistics(
    context: &Context<'_>,
    removed: &BTreeSet<SchemaId>,
    samples: &[(SchemaId, Sample)],
) -> Result<(), RecoveryError> {
    let path = context.layout.database.join(INDEX_STATISTICS);
    let open = || match Statistics::open(context.cache, &**context.disk, &path) {
        Err(IndexError::Tree(error)) if error.is_mismatch() => Ok(None),
        opened => opened,
    };
    let mut statistics = open()?;
    if statistics.is_none() {
        Statistics::create(context.disk, &path)?;
        statistics = open()?;
    }
    let Some(mut statistics) = statistics else { return Ok(()) };
    for id in removed {
        statistics.remove(*id)?;
    }
    for (id, sample) in samples {
        statistics.put(*id, sample)?;
    }
    Ok(statistics.finish()?)
}
