//! Our recovery against the real kernel's, from the same crash images.
//!
//! `NEO4J_ADMIN_TEST_ROUNDS` (default 4) is the number of images, `NEO4J_ADMIN_TEST_SEED` (default 0) tells which.

use std::io::Write;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;

use neo4j_admin::store::neostore::Field;
use neo4j_admin::store::schema::{IndexProvider, IndexRule, RuleKind, SchemaRule};
use neo4j_admin::txlog::files::LogFiles;
use neo4j_admin::txlog::reader::LogReader;
use neo4j_admin::txlog::tail::Tail;

use crate::support::compare::Databases;
use crate::support::digest;
use crate::support::images::{Image, Images};
use crate::support::index_contents;
use crate::support::kernel::{Kernel, Opened};
use crate::support::random::{Random, rounds};
use crate::support::recovery::recover;

/// Images of a running and of a killed database.
fn images(kernel: &Kernel, default: usize) -> Images {
    let count = rounds("NEO4J_ADMIN_TEST_ROUNDS", default);
    // Of a short test each database gives a copy of its files and one that its end leaves behind.
    let copies = if count > default { 5 } else { 1 };
    Images::take(kernel, count, copies, rounds("NEO4J_ADMIN_TEST_SEED", 0) as u64)
}

#[test]
fn what_we_recover_is_what_the_kernel_recovers_and_up_to_any_transaction_too() {
    let Some(kernel) = Kernel::find() else { return };
    let mut random = Random(rounds("NEO4J_ADMIN_TEST_SEED", 0) as u64);
    let mut failed = Vec::new();
    for image in &images(kernel, 4).images {
        let (first, last) = window(&image.directory);
        let until = random.within(first as usize + 1..last as usize + 1) as u64;
        // A long campaign shows that it goes on, and goes on after a failure.
        let mut attempt = |what: String, work: &dyn Fn()| {
            let result = if catch_unwind(AssertUnwindSafe(work)).is_ok() { "equal" } else { "DIFFERENT" };
            writeln!(std::io::stderr(), "{what}: {result}").expect("standard error");
            if result != "equal" {
                failed.push(what);
            }
        };
        let Image { name, .. } = image;
        attempt(format!("{name}, {first} to {last}"), &|| whole(kernel, image));
        attempt(format!("{name}, {first} to {last}, up to {until}"), &|| up_to(kernel, image, until));
    }
    assert!(failed.is_empty(), "{} failed: {failed:#?}", failed.len());
}

/// Both recover all of the log.
fn whole(kernel: &Kernel, image: &Image) {
    let scratch = tempfile::tempdir().expect("a directory");
    let what = &image.name;
    let theirs = image.copy(scratch.path(), "theirs");
    kernel.recover(&theirs, None);
    let ours = image.copy(scratch.path(), "ours");
    recover(&ours, None);

    let databases = Databases { ours: &ours, theirs: &theirs };
    databases.assert_same_records(what);
    databases.assert_same_counts(false, what);
    databases.assert_same_metadata(&[], what);
    databases.assert_good_id_files(true, what);
    // Its recovery alone leaves new indexes unfinished.
    let settled = scratch.path().join("settled");
    let expected = kernel.open_and_write(&theirs, 0, 0, Some(&settled)).digest;
    assert_eq!(digest::of(&ours), expected, "{what}");
    index_contents::assert_same(&ours, &settled, &image.directory, what);
    assert_sound(kernel, &ours, what);

    let opened = kernel.open_backup(&ours);
    assert_eq!(opened.digest, expected, "{what}");
    assert_opened_at_once(&opened, &ours, what);
}

/// Both recover the transactions below `until`, and take back what the files hold of later ones.
fn up_to(kernel: &Kernel, image: &Image, until: u64) {
    let scratch = tempfile::tempdir().expect("a directory");
    let what = &format!("{}, up to {until}", image.name);
    let theirs = image.copy(scratch.path(), "theirs");
    kernel.recover(&theirs, Some(until));
    let ours = image.copy(scratch.path(), "ours");
    recover(&ours, Some(until));

    let databases = Databases { ours: &ours, theirs: &theirs };
    databases.assert_same_records(what);
    databases.assert_same_counts(true, what);
    // The kernel lets this field stand at a transaction that was taken back. Specification: transaction log 8.2.
    databases.assert_same_metadata(&[Field::LastConstraintTransaction], what);
    databases.assert_good_id_files(false, what);
    assert_eq!(digest::of(&ours), digest::of(&theirs), "{what}");
    assert_eq!(digest::of(&ours).transaction, until - 1, "{what}");
    // The kernel's indexes keep entries of the later ones, so only the checker tells whether ours are right.
    assert_sound(kernel, &ours, what);
}

/// The first and the last transaction behind the checkpoint.
fn window(directory: &Path) -> (u64, u64) {
    let logs = LogFiles::list(directory).expect("logs");
    let tail = Tail::find(&logs).expect("a tail");
    let position = tail.checkpoint.expect("a checkpoint").position;
    let mut reader = LogReader::open(&logs, position).expect("a log");
    let mut ids = Vec::new();
    while let Some(logged) = reader.next_transaction().expect("transactions") {
        ids.push(logged.transaction.id.0 as u64);
    }
    (*ids.first().expect("transactions"), *ids.last().expect("transactions"))
}

/// The real checker finds nothing in the files as they are, but that indexes are absent which we can't build.
fn assert_sound(kernel: &Kernel, directory: &Path, what: &str) {
    let checked = kernel.check(directory);
    assert!(checked.consistent, "{what}: {}", checked.summary);
    assert!(checked.warnings <= absent_indexes(directory).len() as u64, "{what}: {}", checked.summary);
}

/// Neo4j had nothing to do before it opened the database, but to build indexes that we can't build.
pub fn assert_opened_at_once(opened: &Opened, ours: &Path, what: &str) {
    assert!(!opened.recovered, "{what}: {:#?}", opened.remarks);
    let absent = absent_indexes(ours);
    let remarks: Vec<_> =
        opened.remarks.iter().filter(|line| !tells_of_absent_indexes(line, &absent)).collect();
    assert!(remarks.is_empty(), "{what}: absent {absent:?}, {remarks:#?}");
    assert!(opened.check.consistent, "{what}: {}", opened.check.summary);
    assert!(opened.check.warnings <= unfinished(ours).len() as u64, "{what}: {}", opened.check.summary);
}

/// Indexes that Neo4j must build or can't: those with a Lucene part, and those of constraints that were never finished.
fn absent_indexes(directory: &Path) -> Vec<u64> {
    let lucene = [IndexProvider::Text, IndexProvider::Fulltext, IndexProvider::LuceneNative];
    let mut absent = indexes(directory, |index| lucene.contains(&index.provider));
    absent.extend(unfinished(directory));
    absent
}

fn unfinished(directory: &Path) -> Vec<u64> {
    indexes(directory, |index| index.unique && index.owning_constraint.is_none())
}

fn indexes(directory: &Path, wanted: impl Fn(&IndexRule) -> bool) -> Vec<u64> {
    let rules = index_contents::rules(directory);
    let wanted = |rule: &&SchemaRule| matches!(&rule.kind, RuleKind::Index(index) if wanted(index));
    rules.iter().filter(wanted).map(|rule| rule.id.0).collect()
}

/// A line that begins a population names its indexes; others of the same population don't.
fn tells_of_absent_indexes(line: &str, absent: &[u64]) -> bool {
    if line.contains("[o.n.k.i.a.i.IndexPopulationJob]") && !line.contains("Index population started") {
        return true;
    }
    if let Some((_, rest)) = line.split_once("Failed to open index:") {
        return absent.iter().any(|id| rest.starts_with(&format!("{id}. Requesting re-population")));
    }
    let mut ids = line.split("id=").skip(1).map(|rest| rest.split(',').next().and_then(|id| id.parse().ok()));
    line.contains("id=") && ids.all(|id: Option<u64>| id.is_some_and(|id| absent.contains(&id)))
}
