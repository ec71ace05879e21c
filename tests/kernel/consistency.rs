//! Our checker against the real one, on the same damaged stores.
//!
//! | Variable | Default | |
//! |---|---:|---|
//! | `NEO4J_ADMIN_TEST_ROUNDS` | 12 | damages; if it is set, generated stores are damaged too |
//! | `NEO4J_ADMIN_TEST_SEED` | 0 | the seed of the first damage; each next one has the next |
//! | `NEO4J_ADMIN_TEST_ENDLESS` | 120 | seconds of CPU after which the real checker counts as one that never ends |
//!
//! A difference is shown with the seed of its damage and with the bytes that were changed.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::io::Write as _;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;

use neo4j_admin::consistency::{CheckError, CheckOptions, Verdict};
use neo4j_admin::gbptree::{Layout, Tree};
use neo4j_admin::io::disk::OsDisk;
use neo4j_admin::store::layout;
use neo4j_admin::store::neostore::{Field, Neostore};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::consistency::store::{Entries, archive, checking};
use crate::support::damage::{Files, damage, read, recipe, write};
use crate::support::kernel::{Kernel, Program};
use crate::support::random::{Random, rounds};
use crate::support::reports::{self, Entry};
use crate::support::stores;
use crate::support::trees::{self, Visitor};

const ROUNDS: &str = "NEO4J_ADMIN_TEST_ROUNDS";
const SEED: &str = "NEO4J_ADMIN_TEST_SEED";

const ENDLESS: &str = "NEO4J_ADMIN_TEST_ENDLESS";

/// What `fixture.CpuLimit` ends the process with.
const TIMED_OUT: i32 = 3;

/// A healthy store that is damaged.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Source {
    /// Of `fixtures/consistency`.
    Base(&'static str),
    /// Of `fixtures/stores`: archive and database.
    Fixture(&'static str, &'static str),
    /// Made by the kernel: format, seed, nodes, and whether it is the system database beside it.
    Generated(&'static str, u64, usize, bool),
}

const FIXTURES: [Source; 6] = [
    Source::Base("r"),
    Source::Base("x"),
    Source::Fixture("standard", "neo4j"),
    Source::Fixture("aligned", "neo4j"),
    Source::Fixture("aligned", "neo4j"),
    Source::Fixture("standard", "system"),
];

const GENERATED: [Source; 8] = [
    Source::Generated("standard", 1, 150, false),
    Source::Generated("aligned", 2, 150, false),
    Source::Generated("standard", 3, 150, false),
    Source::Generated("aligned", 4, 150, true),
    Source::Generated("standard", 5, 40, false),
    Source::Generated("aligned", 6, 500, false),
    Source::Generated("standard", 7, 300, false),
    Source::Generated("aligned", 8, 2500, false),
];

impl Source {
    fn is_aligned(self) -> bool {
        matches!(self, Self::Fixture("aligned", _) | Self::Generated("aligned", ..))
    }

    fn files(self, kernel: &Kernel) -> Files {
        let directory = tempfile::tempdir().expect("a directory");
        match self {
            Self::Base(name) => archive(&format!("consistency/base-{name}")),
            Self::Fixture(archive, database) => {
                stores::unpack(archive, directory.path());
                read(&directory.path().join(database))
            }
            Self::Generated(format, seed, nodes, system) => {
                generate(kernel, directory.path(), format, seed, nodes);
                read(&directory.path().join(if system { "system" } else { "neo4j" }))
            }
        }
    }
}

/// Lets the kernel make a database with every kind of index, constraints, dense nodes, many labels and deleted entities, and
/// the system database beside it.
fn generate(kernel: &Kernel, directory: &Path, format: &str, seed: u64, nodes: usize) {
    let request = json!({
        "job": "generate", "directory": directory, "name": "neo4j", "format": format, "seed": seed, "nodes": nodes,
        "steps": 300, "system": true,
    });
    kernel.oracle().ask::<Value>(&request);
}

/// How a check of the real checker ended, and its report.
#[derive(Debug, Deserialize)]
struct Real {
    /// What it failed with, and why.
    failed: Option<Vec<String>>,
    consistent: Option<bool>,
    summary: Option<String>,
    entries: String,
}

impl Real {
    fn failed_with(&self, reason: &str) -> bool {
        self.failed.iter().flatten().any(|cause| cause.contains(reason))
    }
}

/// The real checker, in a process that lasts until a check fails in it: later ones may go wrong then.
struct RealChecker {
    kernel: &'static Kernel,
    program: Option<Program>,
}

impl RealChecker {
    /// An error: the process ended instead, with this exit code.
    fn check(&mut self, directory: &Path, reports: &Path, options: &CheckOptions) -> Result<Real, i32> {
        let kernel = self.kernel;
        let program = self.program.get_or_insert_with(|| kernel.start("fixture.Oracle", &[]));
        let answer = check_with(program, directory, reports, options);
        if answer.as_ref().map_or(true, |real| real.failed.is_some()) {
            self.program = None;
        }
        answer
    }
}

/// Lets a process check a store. An error: it ended instead, with this exit code.
fn check_with(
    program: &mut Program,
    directory: &Path,
    reports: &Path,
    options: &CheckOptions,
) -> Result<Real, i32> {
    program.attempt(&json!({
        "job": "checkdamaged", "directory": directory, "report": reports, "seconds": rounds(ENDLESS, 120),
        "graph": options.graph, "indexes": options.indexes, "structure": options.index_structure,
    }))
}

/// All checks are on, or, one time in five, some are not. Indexes without the graph are left out: there Neo4j's checker takes
/// dense nodes for damaged.
fn any_options(random: &mut Random) -> CheckOptions {
    let combinations = [(true, false, true), (true, true, false), (true, false, false), (false, false, true)];
    let (graph, indexes, index_structure) =
        if random.once_in(5) { combinations[random.below(combinations.len())] } else { (true, true, true) };
    CheckOptions { graph, indexes, index_structure, ..CheckOptions::default() }
}

/// What our checker says of a store.
struct Ours {
    entries: Vec<Entry>,
    verdict: Result<Verdict, CheckError>,
}

/// `None`: it panicked.
fn check(store: &Path, options: &CheckOptions) -> Option<Ours> {
    let entries = Entries::default();
    let run = AssertUnwindSafe(|| checking(store, options).run(&entries));
    let verdict = catch_unwind(run).ok()?;
    Some(Ours { entries: entries.0.into_inner(), verdict })
}

impl Ours {
    /// How the exit code comes about.
    fn is_consistent(&self) -> bool {
        self.verdict.as_ref().is_ok_and(Verdict::is_consistent)
    }

    /// What differs; empty if nothing does.
    fn differences(&self, real: &Result<Real, i32>) -> String {
        let mut text = String::new();
        let real = match real {
            Ok(real) => real,
            Err(code) => {
                let what = if *code == TIMED_OUT { "never ends" } else { "is gone" };
                if self.is_consistent() {
                    let _ = writeln!(text, "  consistent where Neo4j {what}");
                }
                return text;
            }
        };
        match &self.verdict {
            // Neo4j's command looks whether the store must be recovered before it checks, the checker once more. Without a store
            // or the header of a log it fails at once.
            Err(error @ (CheckError::RecoveryRequired { .. } | CheckError::RecoveryUnknown { .. })) => {
                if real.failed.is_none() || !real.entries.is_empty() {
                    let _ = writeln!(text, "  {error:?}, but Neo4j: {:?}", real.failed);
                }
                return text;
            }
            Err(error) => {
                let _ = writeln!(text, "  not completed: {error:?}");
            }
            Ok(_) => {}
        }
        if real.failed_with("Active logical log detected") {
            text.push_str("  not refused\n");
        }
        let expected = reports::entries(&real.entries);
        let whole = real.failed.is_none();
        text.push_str(&reports::differences(&expected, &self.entries, whole));
        if let (Some(consistent), Some(summary)) = (real.consistent, &real.summary) {
            let ours = self.verdict.as_ref().map(|verdict| verdict.summary.to_string()).unwrap_or_default();
            if consistent != self.is_consistent() || *summary != ours {
                let _ = writeln!(text, "  summary {ours}\n  instead of {summary}");
            }
        }
        if !whole && self.is_consistent() {
            text.push_str("  consistent where Neo4j fails\n");
        }
        if !text.is_empty() && !whole {
            let _ = writeln!(text, "  Neo4j failed: {:?}", real.failed);
        }
        text
    }
}

#[test]
fn what_the_real_checker_reports_of_a_damaged_store_ours_reports() {
    let Some(kernel) = Kernel::find() else { return };
    let is_campaign = std::env::var_os(ROUNDS).is_some();
    let sources: Vec<Source> =
        FIXTURES.into_iter().chain(GENERATED.into_iter().filter(|_| is_campaign)).collect();
    let mut healthy: BTreeMap<Source, Files> = BTreeMap::new();
    let mut real = RealChecker { kernel, program: None };
    let seed = rounds(SEED, 0) as u64;
    let mut outcomes: BTreeMap<&str, usize> = BTreeMap::new();
    let mut failed = 0;
    for (round, seed) in (seed..seed + rounds(ROUNDS, 12) as u64).enumerate() {
        let mut random = Random(seed);
        let source = sources[random.below(sources.len())];
        let before = healthy.entry(source).or_insert_with(|| source.files(kernel));
        let mut files = before.clone();
        let what = damage(&mut files, source.is_aligned(), &mut random);
        let options = any_options(&mut random);
        let directory = tempfile::tempdir().expect("a directory");
        let store = directory.path().join("store");
        write(&files, &store);
        let ours = check(&store, &options);
        let theirs = real.check(&store, &directory.path().join("reports"), &options);
        *outcomes.entry(outcome(&theirs)).or_default() += 1;
        let differences = ours.map_or_else(|| "  panicked\n".to_owned(), |ours| ours.differences(&theirs));
        if !differences.is_empty() {
            failed += 1;
            let recipe: String =
                recipe(before, &files).lines().take(12).fold(String::new(), |text, line| text + line + "\n");
            // At once, past the capture of the harness.
            let checks = (options.graph, options.indexes, options.index_structure);
            let text = format!("{SEED}={seed} {source:?} {checks:?}, {what}\n{recipe}{differences}");
            writeln!(std::io::stderr(), "{text}").expect("standard error");
        }
        // A long campaign shows that it goes on.
        if round % 25 == 24 {
            writeln!(std::io::stderr(), "{outcomes:?}, {failed} different").expect("standard error");
        }
    }
    writeln!(std::io::stderr(), "{outcomes:?}, {failed} different").expect("standard error");
    assert_eq!(failed, 0, "of {outcomes:?}");
}

fn outcome(real: &Result<Real, i32>) -> &'static str {
    match real {
        Err(TIMED_OUT) => "hangs",
        Err(_) => "gone",
        Ok(Real { failed: Some(_), .. }) => "failed",
        Ok(Real { consistent: Some(true), .. }) => "consistent",
        Ok(_) => "inconsistent",
    }
}

#[test]
fn healthy_stores_of_the_kernel_have_no_report() {
    let Some(kernel) = Kernel::find() else { return };
    let count = if std::env::var_os(ROUNDS).is_some() { 12 } else { 2 };
    for seed in 100..100 + count {
        let directory = tempfile::tempdir().expect("a directory");
        let format = ["standard", "aligned"][seed as usize % 2];
        generate(kernel, directory.path(), format, seed, 100 + 50 * (seed as usize % 20));
        for name in ["neo4j", "system"] {
            let ours = check(&directory.path().join(name), &CheckOptions::default()).expect("no panic");
            let verdict = ours.verdict.unwrap_or_else(|error| panic!("{format} {seed} {name}: {error}"));
            assert_eq!(ours.entries, [], "{format} {seed} {name}");
            assert!(verdict.is_consistent() && verdict.report.is_none(), "{format} {seed} {name}");
        }
    }
}

/// Below kernel version 4.3 nodes are indexed by label whether or not a schema rule says so.
#[test]
fn a_label_index_without_a_rule_is_checked_in_stores_of_older_kernels() {
    let Some(kernel) = Kernel::find() else { return };
    let healthy = Source::Base("x").files(kernel);
    for (version, has_rule, is_damaged) in
        [(2, true, false), (2, true, true), (2, false, false), (2, false, true), (4, false, true)]
    {
        let mut files = healthy.clone();
        if !has_rule {
            // Records of eight bytes; the first after the header is the rule of the index of labels.
            files.get_mut(Path::new("neostore.schemastore.db")).expect("rules")[8] &= !1;
        }
        if is_damaged {
            // The last entry: which of 64 nodes have the label.
            let index = files.get_mut(Path::new(layout::NODE_LABEL_INDEX)).expect("an index");
            let bits = index.iter().rposition(|&byte| byte != 0).expect("an entry");
            index[bits] ^= 1;
        }
        let directory = tempfile::tempdir().expect("a directory");
        let store = directory.path().join("store");
        write(&files, &store);
        let mut neostore = Neostore::read(&store.join("neostore")).expect("a metadata store");
        neostore.set(Field::KernelVersion, version);
        neostore.write(&OsDisk::shared()).expect("written");
        let what = format!("kernel version {version}, rule: {has_rule}, damage: {is_damaged}");
        let (options, reports) = (CheckOptions::default(), directory.path().join("reports"));
        let ours = check(&store, &options).expect("no panic");
        let theirs = check_with(&mut kernel.oracle(), &store, &reports, &options);
        assert_eq!(ours.differences(&theirs), "", "{what}");
        assert_eq!(ours.is_consistent(), !is_damaged || version == 4, "{what}: {:?}", ours.entries);
    }
}

/// Sets the high id of one store.
struct HighId<'a> {
    file: &'a str,
    high: u64,
}

impl Visitor for HighId<'_> {
    fn visit<L: Layout + Copy>(
        &mut self,
        tree: Tree<L>,
        _: fn(&mut Random, &[trees::Entry]) -> trees::Entry,
    ) {
        if tree.path().ends_with(self.file) {
            let mut header = tree.header().to_vec();
            header[..8].copy_from_slice(&self.high.to_be_bytes());
            tree.finish(Some(&header)).expect("finished");
        }
    }
}

/// The high id says where a store ends for a check, wherever its file does.
#[test]
fn records_from_the_high_id_on_are_none() {
    let Some(kernel) = Kernel::find() else { return };
    let directory = tempfile::tempdir().expect("a directory");
    let source = if std::env::var_os(ROUNDS).is_some() {
        Source::Generated("aligned", 9, 2500, false)
    } else {
        Source::Fixture("standard", "neo4j")
    };
    let healthy = source.files(kernel);
    let mut random = Random(9);
    for (name, record) in [("neostore.nodestore.db", 15), ("neostore.relationshipstore.db", 34)] {
        let stored = healthy[Path::new(name)].len() / record;
        // None, one, a page, and any numbers.
        let highs = [0, 1, 8192 / record, random.below(stored), random.below(stored)];
        for (round, high) in highs.into_iter().enumerate() {
            let what = format!("{name}-{high}-{round}");
            let store = directory.path().join(&what);
            write(&healthy, &store);
            trees::visit_ids(&store, &mut HighId { file: &format!("{name}.id"), high: high as u64 });
            let (options, reports) = (CheckOptions::default(), directory.path().join("reports").join(&what));
            let ours = check(&store, &options).expect("no panic");
            let theirs = check_with(&mut kernel.oracle(), &store, &reports, &options);
            assert_eq!(ours.differences(&theirs), "", "{what}");
        }
    }
}
