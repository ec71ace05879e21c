//! The counts store, compared with what the record stores hold.
//!
//! Specification: consistency check 2.11, 3.6.

use std::collections::BTreeSet;
use std::path::Path;

use super::catalogue as c;
use super::context::Context;
use super::error::CheckError;
use super::observed::{ANY, Observed, RelationshipKey};
use super::report::Finding;
use super::text::CountsText;
use crate::gbptree::{LeafWalk, Tree, TreeError};
use crate::index::counts::CountsLayout;
use crate::io::disk::Disk;
use crate::store::page_cache::PageCache;

/// A counts store or a store of degrees.
pub(super) type CountsTree = Tree<CountsLayout>;

/// Opens a counts store or one of degrees; `None`: it is missing, can't be read, or has not the effect of all
/// transactions up to `last`.
pub(super) fn open(
    cache: &PageCache,
    disk: &dyn Disk,
    path: &Path,
    last: i64,
) -> Result<Option<CountsTree>, CheckError> {
    let file = match disk.open(path) {
        Ok(file) => file,
        Err(error) if error.source.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error.into()),
    };
    let tree = match Tree::open(cache, file, CountsLayout) {
        Ok(tree) => tree,
        Err(error @ (TreeError::Disk(_) | TreeError::Cache(_))) => return Err(error.into()),
        Err(_) => return Ok(None),
    };
    let Some(applied) = tree.header().first_chunk().map(|header| i64::from_be_bytes(*header)) else {
        return Ok(None);
    };
    let mut strays = Vec::new();
    let mut ended = false;
    let walk = tree.walk_leaves(&mut |key, _| {
        // They stand before all others.
        match decode_key(key) {
            Some((STRAY, transaction, _)) if !ended => {
                if transaction > applied && strays.len() < MOST_STRAYS {
                    strays.push(transaction);
                }
            }
            _ => ended = true,
        }
    });
    match walk {
        Ok(_) => {}
        Err(error @ (TreeError::Disk(_) | TreeError::Cache(_))) => return Err(error.into()),
        Err(_) => return Ok(None),
    }
    // Transactions behind the last one without a gap are named one by one.
    strays.sort_unstable();
    let reached = strays.iter().fold(applied, |reached, &stray| reached + i64::from(stray == reached + 1));
    Ok((applied != 0 && reached == last).then_some(tree))
}

/// No count has a key that is less.
const LEAST: [u8; 13] = [NODES, 0x80, 0, 0, 0, 0, 0, 0, 0, 0x80, 0, 0, 0];

const STRAY: u8 = 0;
const NODES: u8 = 1;
const RELATIONSHIPS: u8 = 2;
/// Transactions that were applied out of order, at most; there are as many as transactions were open at a time.
const MOST_STRAYS: usize = 1 << 20;

/// Type, first, second. Specification: gbptree 5.3.
fn decode_key(key: &[u8]) -> Option<(u8, i64, i32)> {
    let (&kind, rest) = key.split_first()?;
    let (first, rest) = rest.split_first_chunk()?;
    Some((kind, i64::from_be_bytes(*first), i32::from_be_bytes(*rest.first_chunk()?)))
}

/// The key of relationships of a start label, type and end label.
fn relationship_key((start, type_id, end): RelationshipKey) -> (u8, i64, i32) {
    let first = start << 32 | type_id & 0xffff_ffff;
    (RELATIONSHIPS, first, i32::try_from(end).unwrap_or(i32::MAX))
}

fn low(first: i64) -> i64 {
    let [.., a, b, c, d] = first.to_be_bytes();
    i64::from(i32::from_be_bytes([a, b, c, d]))
}

/// Compares all numbers.
pub(super) fn check(context: &Context<'_>, tree: &CountsTree, observed: &Observed) -> Result<(), CheckError> {
    let report = context.report;
    let say = |finding: Finding, key, count, observed: i64| {
        report.record(finding, &CountsText { key, count }, &[&observed]);
    };
    let (labels, types) = (context.labels.high as i64, context.types.high as i64);
    // Keys that are there. A damaged tree may have one twice.
    let (mut nodes, mut relationships) = (BTreeSet::new(), BTreeSet::new());
    // Transactions that were applied out of order stand before all counts.
    let mut begun = false;
    let mut ended = false;
    let walk = tree.walk_leaves_from(&LEAST, &mut |key, value| {
        let (Some(key), Some(count)) = (decode_key(key), value.first_chunk()) else { return };
        if ended {
            return;
        }
        let count = i64::from_be_bytes(*count);
        let (kind, first, second) = key;
        match kind {
            NODES => {
                // A label has 32 bits, the place in the key 64.
                let first = low(first);
                let key = (kind, first, second);
                let found = observed.nodes.get(&first).copied().unwrap_or_default();
                nodes.insert(first);
                if found != count {
                    say(c::NODE_COUNT, key, count, found);
                }
            }
            RELATIONSHIPS => {
                let (start, type_id, end) = (first >> 32, low(first), i64::from(second));
                // Of tokens that there can't be, any count is looked at.
                let is_possible = (ANY..types).contains(&type_id);
                if is_possible && (0..labels).contains(&start) && (0..labels).contains(&end) {
                    report.record(c::COUNT_OF_BOTH_ENDS, &CountsText { key, count }, &[]);
                    // Neo4j takes nothing in that stands behind such a key.
                    ended = true;
                    return;
                }
                let relationship = (start, type_id, end);
                let found = observed.relationships.get(&relationship).copied().unwrap_or_default();
                relationships.insert(relationship);
                if found != count {
                    say(c::RELATIONSHIP_COUNT, key, count, found);
                }
            }
            STRAY if !begun => return,
            _ => {
                report.record(c::COUNT_OF_UNKNOWN_KIND, &CountsText { key, count }, &[]);
                ended = true;
            }
        }
        begun = true;
    });
    let walk = match walk {
        Ok(walk) => walk,
        Err(error @ (TreeError::Disk(_) | TreeError::Cache(_))) => return Err(error.into()),
        Err(_) => LeafWalk::Broken,
    };
    if walk != LeafWalk::Ended {
        let message =
            format!("The counts store can't be read to its end.\nIndex file: {}.", tree.path().display());
        report.lines(super::report::Level::Error, super::summary::RecordType::Counts, &message);
    }
    for (&label, &found) in observed.nodes.range(0..labels) {
        if found > 0 && !nodes.contains(&label) {
            say(c::NODE_COUNT, (NODES, label, 0), 0, found);
        }
    }
    if let Some(&found) = observed.nodes.get(&ANY).filter(|&&found| found > 0 && !nodes.contains(&ANY)) {
        say(c::MISSING_NODE_COUNT, (NODES, ANY, 0), 0, found);
    }
    for (&key, &found) in &observed.relationships {
        let (start, type_id, end) = key;
        if found > 0 && !relationships.contains(&key) && start < labels && type_id < types && end < labels {
            say(c::RELATIONSHIP_COUNT, relationship_key(key), 0, found);
        }
    }
    Ok(())
}
