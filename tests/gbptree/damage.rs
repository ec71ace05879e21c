//! Damaged files end in an error or in a report, never in a panic or a loop.

use neo4j_admin::gbptree::{Bound, Inconsistency};

use super::{Bytes, Model, SHAPES, content, inconsistencies};
use crate::support::random::{Random, rounds};
use crate::support::volatile::VolatileFile;

const MUTATIONS: &str = "NEO4J_ADMIN_TREE_MUTATIONS";

fn tree_file(shape: &Bytes, seed: u64, entries: usize) -> (Vec<u8>, Model) {
    let mut random = Random(seed);
    let file = VolatileFile::new(Vec::new());
    let mut model = Model::new();
    shape.create(&file, &model, b"header");
    let mut tree = shape.open(&file).unwrap();
    for step in 0..entries * 2 {
        let key = shape.key(&mut random, entries * 2);
        if random.once_in(3) {
            tree.remove(&key).unwrap();
            model.remove(&key);
        } else {
            let value = shape.value(&mut random);
            tree.put(&key, &value).unwrap();
            model.insert(key, value);
        }
        if step == entries {
            tree.checkpoint(None).unwrap();
        }
    }
    tree.finish(None).unwrap();
    (file.bytes(), model)
}

#[test]
fn mutated_pages_never_panic_or_hang() {
    let mutations = rounds(MUTATIONS, 3_000) / SHAPES.len();
    for (seed, shape) in SHAPES.iter().enumerate() {
        let (good, model) = tree_file(shape, seed as u64, 250);
        let mut random = Random(seed as u64);
        for mutation in 0..mutations {
            let mut bytes = good.clone();
            for _ in 0..random.within(1..4) {
                mutate(&mut bytes, shape.page_size, &mut random);
            }
            let file = VolatileFile::new(bytes);
            use_everything(shape, &file, &model, &mut random);
            assert!(
                file.bytes().len() < good.len() * 3 + 8192 * 40,
                "{shape:?} {seed} {mutation}: grew wildly"
            );
        }
    }
}

/// A change that stays within a page, mostly where the structure is.
fn mutate(bytes: &mut Vec<u8>, page_size: usize, random: &mut Random) {
    let pages = bytes.len() / page_size;
    let page = random.below(pages) * page_size;
    let offset = page + if random.once_in(2) { random.below(130) } else { random.below(page_size) };
    match random.below(6) {
        0 => bytes[offset] ^= 1 << random.below(8),
        1 => bytes[offset] = random.next() as u8,
        2 => {
            // A pointer with a good checksum to any page, a page above included.
            let place = page + [10, 34, 58, 86, 82 + 24 * random.below(6)][random.below(5)];
            let target = random.below(pages + 2) as u32;
            let generation = random.within(1..8) as u32;
            let sum = (generation as u16) ^ (target as u16) ^ (target >> 16) as u16;
            let slot =
                [&generation.to_be_bytes()[..], &target.to_be_bytes(), &[0, 0], &sum.to_be_bytes()].concat();
            bytes[place..place + 12].copy_from_slice(&slot);
        }
        3 => {
            let from = random.below(pages) * page_size;
            bytes.copy_within(from..from + page_size, page);
        }
        4 => bytes[page..page + page_size].fill(0),
        _ => {
            let end = (offset + random.within(1..9)).min(page + page_size);
            bytes[offset..end].fill([0, 0xff][random.below(2)]);
        }
    }
    if random.once_in(50) {
        bytes.truncate(random.below(bytes.len()));
        bytes.resize(bytes.len().max(3 * page_size), 0);
    }
}

fn use_everything(shape: &Bytes, file: &VolatileFile, model: &Model, random: &mut Random) {
    let Ok(mut tree) = shape.open(file) else {
        return;
    };
    // What each of these says is the damage's affair.
    let mut reports = 0;
    let _ = tree.check(&mut |inconsistency| reports += inconsistency.to_string().len());
    let _ = content(&tree);
    for key in model.keys().step_by(29) {
        let _ = tree.get(key, <[u8]>::len);
        if let Ok(mut cursor) = tree.range(Bound::Key(key), Bound::End) {
            let _ = cursor.next();
        }
    }
    for _ in 0..30 {
        let key = shape.key(random, 500);
        if random.once_in(2) {
            let _ = tree.put(&key, &shape.value(random));
        } else {
            let _ = tree.remove(&key);
        }
    }
    let _ = tree.finish(None);
}

#[test]
fn the_structure_check_finds_what_was_broken() {
    // Fixed keys of 8 bytes in pages of 256: the root, page by page, is an internal node with 4 keys at most.
    let shape = SHAPES[0];
    let file = VolatileFile::new(Vec::new());
    let model: Model = (0..100_u64).map(|n| (n.to_be_bytes().to_vec(), vec![0; 8])).collect();
    shape.create(&file, &model, b"");
    let good = file.bytes();
    let page = |number: usize| number * 256;
    let leaf = page(5);
    let found = |change: &dyn Fn(&mut Vec<u8>)| {
        let mut bytes = good.clone();
        change(&mut bytes);
        let tree = shape.open(&VolatileFile::new(bytes)).unwrap();
        let (_, found) = inconsistencies(&tree);
        found
    };
    assert_eq!(found(&|_| {}), []);
    let is = |found: Vec<Inconsistency>, wanted: fn(&Inconsistency) -> bool| {
        assert!(found.iter().any(wanted), "{found:?}");
    };
    is(found(&|bytes| bytes[leaf] = 2), |i| matches!(i, Inconsistency::NotATreeNode { page: 5 }));
    is(found(&|bytes| bytes[leaf] = 2), |i| matches!(i, Inconsistency::SiblingsMisaligned { .. }));
    is(found(&|bytes| bytes[leaf + 1] = 9), |i| {
        matches!(i, Inconsistency::UnknownNodeType { page: 5, found: 9 })
    });
    is(found(&|bytes| bytes[leaf + 5] = 9), |i| {
        matches!(i, Inconsistency::PointerOlderThanNode { target: 5, generation: 9, .. })
    });
    is(found(&|bytes| bytes[leaf + 9] = 200), |i| {
        matches!(i, Inconsistency::InsaneKeyCount { page: 5, count: 200 })
    });
    is(found(&|bytes| bytes[leaf + 82 + 7] += 1), |i| matches!(i, Inconsistency::KeysOutOfOrder { page: 5 }));
    is(found(&|bytes| bytes[leaf + 82] = 0x70), |i| {
        matches!(i, Inconsistency::KeyOutsideRange { page: 5, .. })
    });
    is(found(&|bytes| bytes[leaf + 10 + 5] = 1), |i| {
        matches!(i, Inconsistency::BrokenPointer { node: 5, .. })
    });
    is(found(&|bytes| bytes[leaf + 34..leaf + 58].fill(0)), |i| {
        matches!(i, Inconsistency::SiblingsMisaligned { .. })
    });
    let successor = [0, 0, 0, 2, 0, 0, 0, 7, 0, 0, 0, 5];
    is(found(&|bytes| bytes[leaf + 58..leaf + 70].copy_from_slice(&successor)), |i| {
        matches!(i, Inconsistency::HasSuccessor { node: 5, successor: 7 })
    });
    let crash = [0, 0, 0, 3, 0, 0, 0, 7, 0, 0, 0, 4];
    is(found(&|bytes| bytes[leaf + 70..leaf + 82].copy_from_slice(&crash)), |i| {
        matches!(i, Inconsistency::CrashPointer { node: 5, .. })
    });
    let count = |found: Vec<Inconsistency>, wanted: fn(&Inconsistency) -> bool| {
        found.iter().filter(|&inconsistency| wanted(inconsistency)).count()
    };
    let twice = found(&|bytes| bytes[leaf + 58..leaf + 82].copy_from_slice(&[crash, crash].concat()));
    assert_eq!(count(twice, |i| matches!(i, Inconsistency::CrashPointer { node: 5, .. })), 1);
    // Two slots of the same generation: none of them is damaged, and the pointer can't be read.
    let mut bytes = good.clone();
    bytes[leaf + 58..leaf + 82].copy_from_slice(&[successor, successor].concat());
    let (structure, none) = inconsistencies(&shape.open(&VolatileFile::new(bytes)).unwrap());
    assert_eq!((none, structure.unreadable), (Vec::new(), 1));
    // A page more than is in use, and one less.
    let last_id = |by: u8| {
        move |bytes: &mut Vec<u8>| {
            for copy in [0, 57] {
                let at = 256 + copy + 31;
                bytes[at] = bytes[at].wrapping_add(by);
            }
            bytes.extend([0; 256]);
        }
    };
    is(found(&last_id(1)), |i| matches!(i, Inconsistency::Leaked { .. }));
    is(found(&last_id(255)), |i| matches!(i, Inconsistency::BehindLastId { .. }));
    // A child pointer of the root that leads back to the root.
    let root = usize::from(good[256 + 15]);
    let children = page(root) + 82 + 8 * 4;
    let to_root = [0, 0, 0, 2, 0, 0, 0, root as u8, 0, 0, 0, 2 ^ root as u8];
    is(found(&|bytes| bytes[children..children + 12].copy_from_slice(&to_root)), |i| {
        matches!(i, Inconsistency::Circular { .. })
    });
    is(found(&|bytes| bytes[children..children + 12].copy_from_slice(&to_root)), |i| {
        matches!(i, Inconsistency::SeenTwice { .. })
    });
    // Pointers that can't be read lead to page 0.
    let nowhere = found(&|bytes| bytes[children..children + 2 * 24].fill(0));
    assert_eq!(count(nowhere, |i| matches!(i, Inconsistency::SeenTwice { page: 0 })), 1);
}
