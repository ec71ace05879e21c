//! The whole of a check.

use std::collections::HashSet;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};

use super::beyond;
use super::beyond::owners::Owners;
use super::catalogue as c;
use super::context::Context;
use super::counts::{self, CountsTree};
use super::dynamic_store;
use super::error::CheckError;
use super::fingerprint::Mixer;
use super::groups;
use super::ids::{self, HighIds};
use super::indexes::{Indexes, PropertyIndex};
use super::mandatory::Mandatory;
use super::node_table::{LabelSets, NodeTable};
use super::nodes::{self, NodePass};
use super::observed::Observed;
use super::options::CheckOptions;
use super::plan::Plan;
use super::preconditions;
use super::progress::{Advance, CheckPart, CheckProgress, Entries};
use super::property_store;
use super::relationships::{self, RelationshipPass};
use super::report::{Level, Reporter};
use super::rules::{self, Names};
use super::scan::in_threads;
use super::summary::{RecordType, Summary};
use super::text::TokenKind;
use super::texts::Kind;
use super::token_claims::TokenClaims;
use super::value_index::{self, Target};
use super::{chains, schema, text_explain, token_index, tokens, trees, value_explain};
use crate::gbptree::Tree;
use crate::index::lucene::LuceneError;
use crate::index::statistics::StatisticsLayout;
use crate::io::disk::SharedDisk;
use crate::io::read_only::ReadOnly;
use crate::store::format::Family;
use crate::store::id::{SchemaId, StoreVersion};
use crate::store::layout::{COUNTS, DEGREES, DatabaseLayout, INDEX_STATISTICS, RecordStore};
use crate::store::neostore::{Field, Neostore};
use crate::store::page_cache::PageCache;
use crate::store::schema::{EntityType, SchemaRule};
use crate::store::stores::Stores;
use crate::txlog::KernelVersion;

/// The number of the first kernel that writes rules of lookup indexes. Specification: indexes 1.1.
const KERNEL_4_3: i64 = 3;

/// What stands for no version of the format or of the kernel.
const NO_VERSION: i64 = -1;
/// Files of record stores in the format `aligned` have whole pages of this size.
const ALIGNED_PAGE: u64 = 8192;

/// A check of a database that nobody uses.
#[derive(Clone, Debug)]
pub struct Check {
    /// Where the database is.
    pub layout: DatabaseLayout,
    /// The file system. Only the report is written.
    pub disk: SharedDisk,
    /// What is to be checked.
    pub options: CheckOptions,
    /// Bytes for pages that are not read in their order.
    pub page_cache: u64,
    /// Threads that work at the same time.
    pub threads: usize,
}

/// How a check ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verdict {
    /// The numbers.
    pub summary: Summary,
    /// The report, if there was anything to say.
    pub report: Option<PathBuf>,
    /// Indexes whose contents were not compared with the store in whole: those with files of Lucene that can't be read,
    /// each with the reason.
    pub unchecked: Vec<String>,
    /// Whether findings that Neo4j's checker does not have count.
    strict: bool,
}

impl Verdict {
    /// Whether nothing is wrong. Warnings and generic errors do not count, what Neo4j's checker does not look at only in
    /// a strict check.
    pub fn is_consistent(&self) -> bool {
        self.summary.is_consistent() && !(self.strict && self.summary.extras() > 0)
    }
}

impl Check {
    /// Checks the database. An error means that the check could not be made or not to its end.
    pub fn run(&self, progress: &dyn CheckProgress) -> Result<Verdict, CheckError> {
        preconditions::exists(&self.layout)?;
        preconditions::is_recovered(&self.layout)?;
        let entries = Entries(progress);
        let report = Reporter::new(SharedDisk::clone(&self.disk), &self.options, &entries);
        let done = match self.check(&report, progress) {
            Err(CheckError::Enough) => Ok(Vec::new()),
            done => done,
        };
        let (summary, report) = report.finish(done.is_ok())?;
        Ok(Verdict { summary, report, unchecked: done?, strict: self.options.strict })
    }

    fn check(&self, report: &Reporter<'_>, progress: &dyn CheckProgress) -> Result<Vec<String>, CheckError> {
        let neostore = Neostore::read(&self.layout.neostore())?;
        let family = match self.family(&neostore, report)? {
            Ok(family) => family,
            Err(reason) => {
                let path = self.layout.neostore();
                let message = format!("{reason}: nothing else was checked.\nFile: {}.", path.display());
                report.lines(Level::Error, RecordType::NeoStore, &message);
                return Ok(Vec::new());
            }
        };
        self.check_kernel_version(&neostore, report);
        let disk = ReadOnly::new(SharedDisk::clone(&self.disk));
        let cache = PageCache::new(self.page_cache);
        let stores = Stores::open_damaged(&cache, &disk, &self.layout, family, &mut |store, error| {
            dynamic_store::without_header(report, family, store, error)
        })?;
        for (about, slots) in [
            (RecordType::Schema, stores.schema.slots()),
            (RecordType::RelationshipGroup, stores.groups.slots()),
        ] {
            // Neo4j's checker fails without the header.
            if slots.file().pages() == 0 {
                let path = slots.file().file().path().display();
                report.lines(Level::Error, about, &format!("The store has no header.\nFile: {path}."));
            }
        }
        let high = HighIds::read(&self.layout, &disk, &cache, &stores, report)?;
        let opened = Opened {
            check: self,
            plan: Plan::of(&self.options),
            disk: &disk,
            cache: &cache,
            stores: &stores,
            high: &high,
            report,
            last: neostore.get(Field::LastTransactionId).unwrap_or_default(),
            implied_label_index: neostore
                .get(Field::KernelVersion)
                .is_none_or(|version| version < KERNEL_4_3),
        };
        opened.run(progress)
    }

    /// Neo4j's checker fails at a kernel version that it does not know. Specification: store format 3.2.
    fn check_kernel_version(&self, neostore: &Neostore, report: &Reporter<'_>) {
        let Some(version) = neostore.get(Field::KernelVersion).filter(|version| *version != NO_VERSION)
        else {
            return;
        };
        let is_known = i8::try_from(version).map(i8::cast_unsigned).is_ok_and(|version| {
            version == KernelVersion::LEGACY || KernelVersion::from_byte(version).is_some()
        });
        if !is_known {
            let path = self.layout.neostore();
            let message = format!(
                "The metadata store has a kernel version that there is none of: {version}.\nFile: {}.",
                path.display()
            );
            report.lines(Level::Error, RecordType::NeoStore, &message);
        }
    }

    /// The format of the store; the inner error is the reason why it is not known.
    ///
    /// Neo4j takes a store that does not tell for one of its default format, which is `aligned`.
    fn family(
        &self,
        neostore: &Neostore,
        report: &Reporter<'_>,
    ) -> Result<Result<Family, String>, CheckError> {
        if let Some(version) = neostore.get(Field::StoreVersion).filter(|version| *version != NO_VERSION) {
            return Ok(Family::of(StoreVersion(version.cast_unsigned())).map_err(|error| error.to_string()));
        }
        let reason = "The metadata store does not say which format the store has".to_owned();
        let nodes = self.disk.open(&self.layout.database.join(RecordStore::Node.file_name()))?;
        if nodes.len()? % ALIGNED_PAGE != 0 {
            return Ok(Err(reason));
        }
        let message =
            format!("{reason}: it was read as `aligned`.\nFile: {}.", self.layout.neostore().display());
        report.lines(Level::Extra, RecordType::NeoStore, &message);
        Ok(Ok(Family::Aligned))
    }
}

/// An open store.
struct Opened<'a> {
    check: &'a Check,
    plan: Plan,
    disk: &'a ReadOnly,
    cache: &'a PageCache,
    stores: &'a Stores,
    high: &'a HighIds,
    report: &'a Reporter<'a>,
    /// The last committed transaction.
    last: i64,
    /// Nodes are indexed by label without a rule that says so.
    implied_label_index: bool,
}

impl Opened<'_> {
    fn run(&self, progress: &dyn CheckProgress) -> Result<Vec<String>, CheckError> {
        let read = |kind| tokens::read(self.stores, self.high, kind, self.report);
        let keys = read(TokenKind::PropertyKey)?;
        let (labels, types) = (read(TokenKind::Label)?, read(TokenKind::RelationshipType)?);
        let rules = rules::read_all(self.stores, self.high, &keys)?;
        let counts = self.open_counts(COUNTS, self.plan.counts_store, c::COUNTS_UNUSABLE)?;
        let degrees = self.open_counts(DEGREES, self.plan.degrees_store, c::DEGREES_UNUSABLE)?;
        let mut indexes = Indexes::open(
            &self.check.layout,
            self.disk,
            self.cache,
            &rules,
            self.implied_label_index,
            &keys,
            self.report,
        )?;
        let statistics = trees::open(
            self.report,
            RecordType::IndexStatistics,
            (self.disk, self.cache),
            &self.path(INDEX_STATISTICS),
            StatisticsLayout,
        )?;
        if self.plan.structure {
            let stores = (statistics.as_ref(), counts.as_ref(), degrees.as_ref());
            self.check_structure(progress, stores, &mut indexes)?;
        } else if self.plan.indexes {
            indexes.find_damage()?;
        }
        let total = self.high.nodes + self.high.relationships + self.high.groups;
        let advance = Advance::begin(progress, CheckPart::Contents, total);
        let mandatory = Mandatory::of(rules.iter().filter_map(|record| record.rule.as_ref().ok()));
        let context = Context {
            stores: self.stores,
            high: self.high,
            report: self.report,
            plan: self.plan,
            threads: self.check.threads.max(1),
            labels,
            types,
            keys,
            mandatory,
            advance,
        };
        schema::check(&context, &rules, &indexes.states)?;
        for kind in [TokenKind::PropertyKey, TokenKind::Label, TokenKind::RelationshipType] {
            tokens::check(self.stores, self.high, kind, self.report)?;
        }
        self.report.goes_on()?;
        let mut unchecked = self.unopened(&context, &indexes);
        if self.plan.graph || self.plan.indexes {
            unchecked.extend(self.check_records(&context, counts.as_ref(), degrees.as_ref(), &indexes)?);
        }
        self.report.goes_on()?;
        if self.plan.graph && self.plan.extra {
            beyond::ids::check(&context, &self.check.layout, self.disk, self.cache)?;
        }
        context.advance.end();
        Ok(unchecked)
    }

    fn path(&self, name: &str) -> PathBuf {
        self.check.layout.database.join(name)
    }

    fn open_counts(
        &self,
        name: &str,
        wanted: bool,
        unusable: &'static str,
    ) -> Result<Option<CountsTree>, CheckError> {
        if !wanted {
            return Ok(None);
        }
        let tree = counts::open(self.cache, self.disk, &self.path(name), self.last)?;
        if tree.is_none() {
            self.report.generic(unusable);
        }
        Ok(tree)
    }

    fn check_structure(
        &self,
        progress: &dyn CheckProgress,
        (statistics, counts, degrees): (
            Option<&Tree<StatisticsLayout>>,
            Option<&CountsTree>,
            Option<&CountsTree>,
        ),
        indexes: &mut Indexes,
    ) -> Result<(), CheckError> {
        let id_files: Vec<_> = RecordStore::ALL.into_iter().filter_map(RecordStore::id_file_name).collect();
        let lookups = usize::from(indexes.labels.is_some()) + usize::from(indexes.types.is_some());
        let total = 3 + id_files.len() + lookups + indexes.properties.len();
        let advance = Advance::begin(progress, CheckPart::Structure, total as u64);
        if let Some(tree) = statistics {
            trees::check(self.report, RecordType::IndexStatistics, tree)?;
        }
        advance.by(1);
        if let Some(tree) = counts {
            trees::check(self.report, RecordType::Counts, tree)?;
        }
        advance.by(1);
        if let Some(tree) = degrees {
            trees::check(self.report, RecordType::RelationshipGroup, tree)?;
        }
        advance.by(1);
        for name in &id_files {
            self.check_id_file(&self.path(name))?;
            advance.by(1);
        }
        if let Some(lookup) = &mut indexes.labels {
            let entries = trees::check(self.report, RecordType::LabelScanDocument, lookup.index.tree())?;
            lookup.sound = Some(entries.is_some());
            advance.by(1);
        }
        if let Some(lookup) = &mut indexes.types {
            let entries =
                trees::check(self.report, RecordType::RelationshipTypeScanDocument, lookup.index.tree())?;
            lookup.sound = Some(entries.is_some());
            advance.by(1);
        }
        let sizes = self.check_property_indexes(&indexes.properties, &advance)?;
        // A damaged index is not compared with the store.
        let checked = std::mem::take(&mut indexes.properties).into_iter().zip(sizes);
        indexes.properties = checked
            .filter_map(|(index, size)| Some(PropertyIndex { entries: Some(size?), ..index }))
            .collect();
        advance.end();
        Ok(())
    }

    /// The entries of each index; `None` for a damaged one.
    fn check_property_indexes(
        &self,
        indexes: &[PropertyIndex],
        advance: &Advance<'_>,
    ) -> Result<Vec<Option<u64>>, CheckError> {
        let next = AtomicUsize::new(0);
        let checked = in_threads(self.check.threads.clamp(1, indexes.len().max(1)), |_| {
            let mut checked = Vec::new();
            loop {
                let at = next.fetch_add(1, Ordering::Relaxed);
                let Some(index) = indexes.get(at) else { return Ok(checked) };
                let entries = match &index.tree {
                    Some(tree) => trees::check(self.report, RecordType::Index, tree)?,
                    None => Some(0),
                };
                checked.push((at, entries));
                advance.by(1);
            }
        })?;
        let mut checked: Vec<_> = checked.into_iter().flatten().collect();
        checked.sort_unstable_by_key(|(at, _)| *at);
        Ok(checked.into_iter().map(|(_, entries)| entries).collect())
    }

    /// An id file that can't be opened was reported when its high id was read.
    fn check_id_file(&self, path: &Path) -> Result<(), CheckError> {
        if let Ok(tree) = ids::open_id_file(self.disk, self.cache, path)? {
            trees::check(self.report, RecordType::IdStore, &tree)?;
        }
        Ok(())
    }
}

impl Opened<'_> {
    /// Property indexes with files of Lucene that can't be opened; those with damaged ones are reported.
    fn unopened(&self, context: &Context<'_>, indexes: &Indexes) -> Vec<String> {
        for (rule, error) in &indexes.damaged {
            report_damage(context, rule, error);
        }
        let online = indexes.properties.iter().filter(|_| self.plan.indexes);
        let unopened = online.filter_map(|index| Some((&index.rule, index.lucene.as_ref()?.as_ref().err()?)));
        unopened.map(|(rule, error)| unreadable(context, rule, error)).collect()
    }

    /// Records, indexes and counts: one pass over everything, and more where that finds something.
    fn check_records(
        &self,
        context: &Context<'_>,
        counts: Option<&CountsTree>,
        degrees: Option<&CountsTree>,
        indexes: &Indexes,
    ) -> Result<Vec<String>, CheckError> {
        if context.high.nodes == 0 {
            // Neo4j's checker goes through all else in ranges of nodes.
            if let Some(tree) = counts.filter(|_| self.plan.graph) {
                counts::check(context, tree, &Observed::default())?;
            }
            return Ok(Vec::new());
        }
        let large = self.large(indexes);
        let mut targets: Vec<Target<'_>> = if self.plan.indexes {
            let is_large = |index: &PropertyIndex| large.contains(&index.rule.id);
            let all = indexes.properties.iter();
            all.filter_map(|index| Target::of(context, self.disk, index, is_large(index))).collect()
        } else {
            Vec::new()
        };
        let is_of = |index: &&PropertyIndex, entity| index.rule.schema.entity == entity;
        // Which parts Neo4j's checker runs depends on the indexes. Specification: consistency check 1.3.
        let online = || indexes.properties.iter().filter(|_| self.plan.indexes);
        let small = online().any(|index| is_of(&index, EntityType::Node) && !large.contains(&index.rule.id));
        let of_relationships = online().any(|index| is_of(&index, EntityType::Relationship));
        let says =
            Says { nodes: self.plan.graph || small, relationships: self.plan.graph || of_relationships };
        let stores = context.stores;
        let mixer = Mixer::new();
        let strings = dynamic_store::verify(&stores.strings, false, context.threads, mixer)?;
        let arrays = dynamic_store::verify(&stores.arrays, true, context.threads, mixer)?;
        let mut heads = property_store::verify(context, &strings, &arrays, mixer)?;
        heads.sound &= strings.sound && arrays.sound;
        let mut owners = Owners::new(mixer);
        for found in [&strings.owners, &arrays.owners, &heads.owners] {
            owners.merge(found);
        }
        let links = heads.links;
        drop((strings, arrays));
        let slots = stores.nodes.slots();
        let stored = slots.file().pages().saturating_mul(slots.per_page());
        let table = NodeTable::new(context.high.nodes, stored);
        let claims = TokenClaims::new(mixer);
        let sets = LabelSets::new();
        let nodes = nodes::verify(context, &table, &sets, &heads, &claims, mixer)?;
        let sets = sets.into_sets();
        if says.nodes {
            explain_nodes(context, &nodes, indexes)?;
        }
        let mut observed = Observed::default();
        nodes.counts.iter().for_each(|counts| counts.add_to(&mut observed, &sets));
        if self.plan.graph {
            groups::check(context, &table)?;
            relationships::sweep(context, &table, |_, state| state.dense())?;
        }
        if says.relationships {
            let pass = relationships::verify(context, &table, &heads, &claims, mixer, nodes.heads)?;
            drop(heads);
            explain_relationships(context, self.plan, &table, &pass, indexes)?;
            pass.counts.iter().for_each(|counts| counts.add_to(&mut observed, &sets));
            self.report.goes_on()?;
            if self.plan.graph && self.plan.extra {
                owners.merge(&nodes.owners);
                owners.merge(&pass.owners);
                owners.finish(context, links)?;
                pass.degrees.finish(context, &table, degrees, &pass.suspects)?;
            }
        }
        let mut unchecked = Vec::new();
        let compared = value_index::verify(context, &targets, &table, &sets, mixer)?;
        for (target, compared) in targets.iter_mut().zip(&compared) {
            if let Some(damage) = &compared.damage {
                if compared.unreadable {
                    unchecked.push(unreadable(context, target.rule, damage));
                    target.texts = None;
                } else {
                    report_damage(context, target.rule, damage);
                }
            }
            self.report.goes_on()?;
            if !compared.equal {
                let is_large = large.contains(&target.rule.id);
                explain_index(context, target, is_large)?;
                if self.plan.extra && (!is_large || target.kind == Some(Kind::Text)) {
                    beyond::entries::check(context, target, is_large)?;
                }
            }
        }
        self.report.goes_on()?;
        if let Some(tree) = counts.filter(|_| self.plan.graph) {
            counts::check(context, tree, &observed)?;
        }
        Ok(unchecked)
    }

    /// The large indexes of nodes.
    fn large(&self, indexes: &Indexes) -> HashSet<SchemaId> {
        let mut sizes = Vec::new();
        for index in &indexes.properties {
            if index.rule.schema.entity != EntityType::Node {
                continue;
            }
            let mut size = index.entries.unwrap_or_default();
            if let (Some(tree), None) = (&index.tree, index.entries) {
                // What can't be read has no entries.
                let _ = tree.walk_leaves(&mut |_, _| size += 1);
            }
            if let Some(Ok(lucene)) = &index.lucene {
                size += lucene.documents();
            }
            sizes.push((size, &index.rule));
        }
        value_explain::large(sizes, self.high.nodes)
    }
}

/// Says which index can't be read, and why; reports the damage, if it is any.
fn unreadable(context: &Context<'_>, rule: &SchemaRule, error: &LuceneError) -> String {
    if !matches!(error, LuceneError::Unknown { .. }) {
        report_damage(context, rule, error);
    }
    format!("{}: {error}", rules::describe(rule, Names::Plain(context.tokens())))
}

/// Neo4j's checker does not look at the files of Lucene.
fn report_damage(context: &Context<'_>, rule: &SchemaRule, error: &LuceneError) {
    let index = rules::describe(rule, Names::WithIds(context.tokens()));
    let message = format!("A file of Lucene is damaged: {error}\n{index}");
    context.report.lines(Level::Extra, RecordType::Index, &message);
}

fn explain_index(context: &Context<'_>, target: &Target<'_>, large: bool) -> Result<(), CheckError> {
    let explained = match (target.rule.schema.entity, target.kind, &target.tree) {
        (EntityType::Node, Some(kind), _) => text_explain::nodes(context, target, kind, large),
        (EntityType::Relationship, Some(kind), _) => text_explain::relationships(context, target, kind),
        (EntityType::Node, None, Some(entries)) => value_explain::nodes(context, target, entries, large),
        (EntityType::Relationship, None, Some(entries)) => {
            value_explain::relationships(context, target, entries)
        }
        (_, None, None) => Ok(()),
    };
    if let Some(entries) = target.tree.as_ref().filter(|entries| entries.is_broken()) {
        trees::unreadable(context.report, RecordType::Index, entries.tree.path());
    }
    explained
}

/// Whether anything is said of nodes and of relationships.
struct Says {
    nodes: bool,
    relationships: bool,
}

fn explain_nodes(context: &Context<'_>, pass: &NodePass, indexes: &Indexes) -> Result<(), CheckError> {
    let properties = !pass.properties_are_sound || context.mandatory.of_nodes();
    if !pass.labels_are_sound || properties {
        nodes::explain(context, nodes::Explain { labels: !pass.labels_are_sound, properties })?;
    }
    if let Some(lookup) = &indexes.labels {
        token_index::check_labels(context, lookup, pass.claims.clone())?;
    }
    Ok(())
}

fn explain_relationships(
    context: &Context<'_>,
    plan: Plan,
    table: &NodeTable,
    pass: &RelationshipPass,
    indexes: &Indexes,
) -> Result<(), CheckError> {
    let suspects = Some(&pass.suspects).filter(|suspects| !suspects.is_empty());
    let explain = relationships::Explain {
        nodes: suspects,
        references: !pass.references_are_sound,
        properties: !pass.properties_are_sound || context.mandatory.of_relationships(),
    };
    if explain.nodes.is_some() || explain.references || explain.properties {
        relationships::explain(context, table, explain)?;
    }
    if let Some(suspects) = suspects.filter(|_| plan.graph) {
        chains::explain(context, suspects, table.high)?;
    }
    // Without a relationship Neo4j's checker does not look at their index.
    if let Some(lookup) = indexes.types.as_ref().filter(|_| context.high.relationships > 0) {
        token_index::check_types(context, lookup, pass.claims.clone())?;
    }
    Ok(())
}
