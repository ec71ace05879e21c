//! A tree holds what a map would hold.

use std::ops::Bound as MapBound;

use neo4j_admin::gbptree::{Bound, Change};

use super::{Bytes, Model, SHAPES, assert_holds};
use crate::support::random::{Random, rounds};
use crate::support::volatile::VolatileFile;

/// Operations on the trees together.
const OPERATIONS: &str = "NEO4J_ADMIN_TREE_OPERATIONS";

#[test]
fn a_tree_holds_what_a_map_would_hold() {
    let operations = rounds(OPERATIONS, 40_000) / SHAPES.len();
    for (seed, shape) in SHAPES.iter().enumerate() {
        exercise(shape, operations, seed as u64);
    }
}

fn exercise(shape: &Bytes, operations: usize, seed: u64) {
    let what = format!("{shape:?} seed {seed}");
    let mut random = Random(seed);
    let (file, mut model) = (VolatileFile::new(Vec::new()), Model::new());
    shape.create(&file, &model, b"header");
    let mut tree = shape.open(&file).unwrap();
    let mut phase = Phase::new(&mut random);
    for operation in 0..operations {
        if random.once_in(1000) {
            phase = Phase::new(&mut random);
        }
        if random.once_in(3000) {
            let header = [random.next() as u8; 3];
            if random.once_in(2) {
                tree.checkpoint(Some(&header)).unwrap();
            } else {
                tree.finish(Some(&header)).unwrap();
                tree = shape.open(&file).unwrap();
                assert!(tree.was_clean());
                assert_eq!(tree.header(), header);
            }
        }
        if random.once_in(5000) {
            assert_holds(&tree, &model, &what);
        }
        let key = phase.key(shape, &mut random);
        match random.below(100) {
            0..5 => assert_eq!(tree.get(&key, <[u8]>::to_vec).unwrap(), model.get(&key).cloned(), "{what}"),
            5..7 => {
                let to = phase.key(shape, &mut random);
                let mut cursor = tree.range(Bound::Key(&key), Bound::Key(&to)).unwrap();
                let bounds = (MapBound::Included(&key), MapBound::Excluded(&to));
                let expected = if key < to { Some(model.range::<Vec<u8>, _>(bounds)) } else { None };
                for (key, value) in expected.into_iter().flatten() {
                    assert_eq!(cursor.next().unwrap(), Some((&key[..], &value[..])), "{what} {operation}");
                }
                assert_eq!(cursor.next().unwrap(), None, "{what} {operation}");
            }
            7..12 => {
                let value = shape.value(&mut random);
                let inserted = tree.insert(&key, &value).unwrap();
                assert_eq!(inserted, !model.contains_key(&key), "{what} {operation}");
                model.entry(key).or_insert(value);
            }
            12..15 => {
                let value = shape.value(&mut random);
                tree.update(&key, |old| {
                    assert_eq!(old, model.get(&key).map(|value| &value[..]), "{what} {operation}");
                    match old {
                        Some(_) => Change::Remove,
                        None => Change::Put(&value),
                    }
                })
                .unwrap();
                if model.remove(&key).is_none() {
                    model.insert(key, value);
                }
            }
            roll if roll < phase.removals => {
                assert_eq!(tree.remove(&key).unwrap(), model.remove(&key).is_some(), "{what} {operation}");
            }
            _ => {
                let value = shape.value(&mut random);
                let new = tree.put(&key, &value).unwrap();
                assert_eq!(new, model.insert(key, value).is_none(), "{what} {operation}");
            }
        }
    }
    assert_holds(&tree, &model, &what);
    // Down to nothing and up again: the tree shrinks to its root.
    let keys: Vec<_> = model.keys().cloned().collect();
    for key in &keys {
        assert!(tree.remove(key).unwrap());
    }
    let structure = assert_holds(&tree, &Model::new(), &what);
    assert_eq!((structure.depth, structure.leaves), (1, 1), "{what}");
    tree.finish(None).unwrap();
    assert_holds(&shape.open(&file).unwrap(), &Model::new(), &what);
}

/// For a while, inserts or removals prevail, and keys come in order or not.
struct Phase {
    removals: usize,
    different: usize,
    ascending: Option<u32>,
}

impl Phase {
    fn new(random: &mut Random) -> Self {
        let removals = [20, 55, 90][random.below(3)];
        let ascending = random.once_in(3).then(|| random.below(3000) as u32);
        Self { removals, different: [100, 3000][random.below(2)], ascending }
    }

    fn key(&mut self, shape: &Bytes, random: &mut Random) -> Vec<u8> {
        let mut key = shape.key(random, self.different);
        if let Some(next) = &mut self.ascending {
            let end = key.len();
            key[..end - 4].fill(b'k');
            key[end - 4..].copy_from_slice(&next.to_be_bytes());
            *next += 1;
        }
        key
    }
}

#[test]
fn a_tree_built_at_once_is_the_same_as_one_built_by_inserts() {
    for (seed, shape) in SHAPES.iter().enumerate() {
        for size in [0, 1, 2, 3, 10, 57, 400, 3000] {
            let what = format!("{shape:?} seed {seed} size {size}");
            let mut random = Random(seed as u64);
            let mut model = Model::new();
            while model.len() < size {
                model.insert(shape.key(&mut random, 100_000), shape.value(&mut random));
            }
            let file = VolatileFile::new(Vec::new());
            shape.create(&file, &model, b"built");
            let mut tree = shape.open(&file).unwrap();
            assert!(tree.was_clean());
            assert_eq!(tree.header(), b"built");
            assert_holds(&tree, &model, &what);
            // And it can be changed.
            for _ in 0..size {
                let key = shape.key(&mut random, 100_000);
                if random.once_in(2) {
                    let victim = model.range(key..).next().map(|(key, _)| key.clone());
                    if let Some(victim) = victim {
                        assert!(tree.remove(&victim).unwrap());
                        model.remove(&victim);
                    }
                } else {
                    let value = shape.value(&mut random);
                    tree.put(&key, &value).unwrap();
                    model.insert(key, value);
                }
            }
            assert_holds(&tree, &model, &what);
        }
    }
}
