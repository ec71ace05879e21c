//! Trees against a `BTreeMap`, through crashes and damage.

mod crash;
mod damage;
mod model;

use std::cmp::Ordering;
use std::collections::BTreeMap;

use neo4j_admin::gbptree::{
    Builder, Inconsistency, Layout, LayoutId, NodeFormat, Structure, Tree, TreeError,
};
use neo4j_admin::store::page_cache::PageCache;

use crate::support::random::Random;
use crate::support::volatile::VolatileFile;

/// Keys in the order of their bytes, with a node format and sizes to choose.
#[derive(Clone, Copy, Debug)]
struct Bytes {
    format: NodeFormat,
    page_size: usize,
    /// Longest key and longest value of a dynamic tree.
    longest: (usize, usize),
}

impl Layout for Bytes {
    fn id(&self) -> LayoutId {
        LayoutId::named(b"TEST", 1, 1, 0)
    }

    fn format(&self) -> NodeFormat {
        self.format
    }

    fn compare(&self, left: &[u8], right: &[u8]) -> Ordering {
        left.cmp(right)
    }

    fn separator(&self, left: &[u8], right: &[u8], separator: &mut Vec<u8>) {
        if let NodeFormat::Fixed { .. } = self.format {
            return separator.extend_from_slice(right);
        }
        let common = left.iter().zip(right).take_while(|(l, r)| l == r).count();
        separator.extend_from_slice(&right[..(common + 1).min(right.len())]);
    }
}

/// Small pages make deep trees of few entries.
const SHAPES: [Bytes; 9] = [
    fixed(8, 8, 256),
    fixed(13, 8, 512),
    fixed(10, 8, 8192),
    fixed(40, 60, 512),
    dynamic(20, 0, 256),
    dynamic(90, 0, 512),
    dynamic(300, 190, 512),
    dynamic(1000, 0, 1024),
    dynamic(8000, 100, 8192),
];

const fn fixed(key: usize, value: usize, page_size: usize) -> Bytes {
    Bytes { format: NodeFormat::Fixed { key, value }, page_size, longest: (key, value) }
}

const fn dynamic(key: usize, value: usize, page_size: usize) -> Bytes {
    Bytes { format: NodeFormat::Dynamic, page_size, longest: (key, value) }
}

impl Bytes {
    /// A key that is drawn again sooner or later, and often shares its start with others.
    fn key(&self, random: &mut Random, different: usize) -> Vec<u8> {
        let number = random.below(different) as u32;
        let length = match self.format {
            NodeFormat::Fixed { key, .. } => key,
            // The length belongs to the number, so that the key is drawn again.
            NodeFormat::Dynamic => {
                let mut of_number = Random(u64::from(number));
                let most = if of_number.once_in(4) { self.longest.0 } else { 12.max(self.longest.0 / 8) };
                of_number.within(4..most + 1)
            }
        };
        let mut key = vec![b'k'; length];
        key[length - 4..].copy_from_slice(&number.to_be_bytes());
        if number.is_multiple_of(3) {
            key[..4].copy_from_slice(&number.to_be_bytes());
        }
        key
    }

    fn value(&self, random: &mut Random) -> Vec<u8> {
        let length = match self.format {
            NodeFormat::Fixed { value, .. } => value,
            NodeFormat::Dynamic => random.below(self.longest.1 + 1),
        };
        vec![random.next() as u8; length]
    }

    fn create(&self, file: &VolatileFile, entries: &Model, header: &[u8]) {
        let mut builder = Builder::new(file.boxed(), *self, self.page_size).unwrap();
        for (key, value) in entries {
            builder.push(key, value).unwrap();
        }
        builder.finish(header).unwrap();
    }

    /// Opens with the smallest cache there is, so that pages are written back at any time.
    fn open(&self, file: &VolatileFile) -> Result<Tree<Self>, TreeError> {
        Tree::open(&PageCache::new(0), file.boxed(), *self)
    }
}

type Model = BTreeMap<Vec<u8>, Vec<u8>>;

fn content(tree: &Tree<Bytes>) -> Result<Model, TreeError> {
    let mut cursor = tree.entries()?;
    let mut entries = Model::new();
    while let Some((key, value)) = cursor.next()? {
        entries.insert(key.to_vec(), value.to_vec());
    }
    Ok(entries)
}

fn inconsistencies(tree: &Tree<Bytes>) -> (Structure, Vec<Inconsistency>) {
    let mut found = Vec::new();
    let structure = tree.check(&mut |inconsistency| found.push(inconsistency)).unwrap();
    (structure, found)
}

fn assert_holds(tree: &Tree<Bytes>, model: &Model, what: &str) -> Structure {
    let (structure, found) = inconsistencies(tree);
    assert_eq!(found, [], "{what}");
    assert_eq!(structure.entries, model.len() as u64, "{what}");
    assert!(content(tree).unwrap() == *model, "{what}: other entries");
    structure
}
