//! Makes the changes of a value index.

use std::cmp::Ordering;

use super::key_order::{KeyOrder, Op};
use crate::gbptree::{Layout, Tree};
use crate::index::IndexError;
use crate::index::value::{Builder, ValueLayout};
use crate::io::disk::{DiskError, SharedDisk};
use crate::io::sort::Merged;
use crate::recovery::RecoveryError;

/// Changes in the order of keys: of equal keys, which are all of one entity, the one that is put counts.
struct Changes {
    layout: ValueLayout,
    sorted: Merged<KeyOrder>,
    /// The change that was read last, if it was not returned.
    ahead: Option<(Op, Vec<u8>)>,
    spare: Vec<u8>,
}

impl Changes {
    fn new(layout: ValueLayout, sorted: Merged<KeyOrder>) -> Self {
        Self { layout, sorted, ahead: None, spare: Vec::new() }
    }

    /// The next change.
    fn next(&mut self, key: &mut Vec<u8>) -> Result<Option<Op>, RecoveryError> {
        let mut op = match self.ahead.take() {
            Some((op, ahead)) => {
                self.spare = std::mem::replace(key, ahead);
                op
            }
            None => match self.sorted.next()? {
                None => return Ok(None),
                Some(record) => {
                    let (op, next) = Op::read(record);
                    key.clear();
                    key.extend_from_slice(next);
                    op
                }
            },
        };
        while let Some(record) = self.sorted.next()? {
            let (next_op, next) = Op::read(record);
            if self.layout.compare(key, next) != Ordering::Equal {
                let mut ahead = std::mem::take(&mut self.spare);
                ahead.clear();
                ahead.extend_from_slice(next);
                self.ahead = Some((next_op, ahead));
                break;
            }
            if next_op == Op::Put {
                op = Op::Put;
                key.clear();
                key.extend_from_slice(next);
            }
        }
        Ok(Some(op))
    }
}

/// Old bytes per changed byte up to which a tree is written anew: changes in the place of each key would touch nearly all
/// nodes, which costs more than to write them one after the other.
const ANEW: u64 = 8;

/// Makes the changes and closes the tree as clean. `bytes`: of all changes.
pub(super) fn apply(
    disk: &SharedDisk,
    tree: Tree<ValueLayout>,
    sorted: Merged<KeyOrder>,
    bytes: u64,
) -> Result<(), RecoveryError> {
    let path = tree.path();
    let length = path.metadata().map_err(|source| DiskError::new("examine", path, source))?.len();
    let changes = Changes::new(*tree.layout(), sorted);
    if length / ANEW < bytes { write_anew(disk, &tree, changes) } else { change(tree, changes) }
}

/// Changes the tree where its keys are.
fn change(mut tree: Tree<ValueLayout>, mut changes: Changes) -> Result<(), RecoveryError> {
    let mut key = Vec::new();
    while let Some(op) = changes.next(&mut key)? {
        let changed = match op {
            Op::Put => tree.put(&key, &[]),
            Op::Remove => tree.remove(&key),
        };
        changed.map_err(IndexError::from)?;
    }
    Ok(tree.finish(None).map_err(IndexError::from)?)
}

/// Writes the tree with its changes to a new file, which takes its place.
fn write_anew(
    disk: &SharedDisk,
    tree: &Tree<ValueLayout>,
    mut changes: Changes,
) -> Result<(), RecoveryError> {
    let layout = *tree.layout();
    let mut builder = Builder::new(disk, tree.path(), layout)?;
    let mut entries = tree.entries().map_err(IndexError::from)?;
    let mut changed = Vec::new();
    let mut op = changes.next(&mut changed)?;
    while let Some((old, _)) = entries.next().map_err(IndexError::from)? {
        let mut replaced = false;
        while let Some(current) = op {
            let order = layout.compare(&changed, old);
            if order == Ordering::Greater {
                break;
            }
            if current == Op::Put {
                builder.push(&changed)?;
            }
            replaced |= order == Ordering::Equal;
            op = changes.next(&mut changed)?;
        }
        if !replaced {
            builder.push(old)?;
        }
    }
    while let Some(current) = op {
        if current == Op::Put {
            builder.push(&changed)?;
        }
        op = changes.next(&mut changed)?;
    }
    Ok(builder.finish()?)
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::index::value::{SpatialSettings, ValueState, encode_key};
    use crate::io::disk::OsDisk;
    use crate::io::sort::{Scratch, Sorter};
    use crate::store::page_cache::PageCache;
    use crate::store::value::Value;

    fn key(layout: ValueLayout, entity: u64, value: &Value) -> Vec<u8> {
        let mut key = Vec::new();
        encode_key(layout.keys(), entity, [value], &SpatialSettings::default(), &mut key).unwrap();
        key
    }

    fn open(path: &Path, layout: ValueLayout) -> Tree<ValueLayout> {
        let opened = ValueState::open(&PageCache::new(1 << 20), &OsDisk, path, layout).unwrap();
        let ValueState::Online(tree) = opened else { panic!("{opened:?}") };
        tree
    }

    #[test]
    fn both_ways_end_in_the_same_keys() {
        let directory = tempfile::tempdir().unwrap();
        let (disk, layout) = (OsDisk::shared(), ValueLayout::range(1));
        let path = directory.path().join("index-1");
        let scratch = Scratch::open(disk.clone(), &directory.path().join("scratch")).unwrap();
        for case in 0..4_u64 {
            let old: Vec<_> = (0..600)
                .map(|entity| key(layout, entity, &Value::Int((entity * case % 50) as i32)))
                .collect();
            let (mut removed, mut put) = (Vec::new(), Vec::new());
            for entity in (0..900).filter(|entity| entity * (case + 3) % 7 < 3) {
                let before = Value::Int((entity * case % 50) as i32);
                // Some are removed, some are not there, some come with other bytes, some with another value.
                removed.push(key(layout, entity, &before));
                match entity % 4 {
                    0 => put.push(key(layout, entity, &Value::Double((entity * case % 50) as f64))),
                    1 => put.push(key(layout, entity, &Value::String(format!("entity {entity}")))),
                    2 => put.push(key(layout, entity, &before)),
                    _ => {}
                }
            }
            let is_changed = |key: &Vec<u8>| removed.contains(key);
            let mut expected: Vec<_> =
                old.iter().filter(|key| !is_changed(key)).chain(&put).cloned().collect();
            expected.sort_by(|a, b| layout.compare(a, b));
            for anew in [false, true] {
                let mut sorted = old.clone();
                sorted.sort_by(|a, b| layout.compare(a, b));
                let mut builder = Builder::new(&disk, &path, layout).unwrap();
                for key in &sorted {
                    builder.push(key).unwrap();
                }
                builder.finish().unwrap();
                let mut sorters = [(); 2].map(|()| Sorter::new(&scratch, 1 << 16, KeyOrder(layout)));
                // Of equal keys either may come first.
                for (op, keys) in [(Op::Remove, &removed), (Op::Put, &put), (Op::Remove, &removed)] {
                    for key in keys {
                        let sorter = &mut sorters[usize::from(key[7]) % 2];
                        sorter.push_parts(&[&[op.byte()], key]).unwrap();
                    }
                }
                let bytes = if anew { u64::MAX } else { 0 };
                let sorted = sorters.map(|sorter| sorter.finish().unwrap()).into_iter().collect();
                let changes = Merged::new(sorted, KeyOrder(layout));
                apply(&disk, open(&path, layout), changes, bytes).unwrap();
                let tree = open(&path, layout);
                assert!(tree.was_clean());
                let mut found = Vec::new();
                let mut entries = tree.entries().unwrap();
                while let Some((key, _)) = entries.next().unwrap() {
                    found.push(key.to_vec());
                }
                assert_eq!(found, expected, "case {case}, anew {anew}");
            }
        }
    }
}
