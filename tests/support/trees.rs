//! All trees of a database.

use std::path::{Path, PathBuf};

use neo4j_admin::gbptree::{Layout, Tree};
use neo4j_admin::index::counts::CountsLayout;
use neo4j_admin::index::files;
use neo4j_admin::index::id_file::IdLayout;
use neo4j_admin::index::statistics::StatisticsLayout;
use neo4j_admin::index::token::TokenLayout;
use neo4j_admin::index::token_scan::TokenScan;
use neo4j_admin::index::value::ValueLayout;
use neo4j_admin::io::disk::{Disk, OsDisk};
use neo4j_admin::store::id::{NodeId, RelationshipId};
use neo4j_admin::store::layout::{self, DatabaseLayout, RecordStore};
use neo4j_admin::store::page_cache::PageCache;
use neo4j_admin::store::record::{Node, Relationship};
use neo4j_admin::store::schema::IndexProvider;
use neo4j_admin::store::stores::Stores;

use super::random::Random;

/// Puts a new lookup index of the labels of all nodes at `path`.
pub fn rebuild_labels(stores: &Stores, mut scan: TokenScan, path: &Path) {
    let (mut buffer, mut labels) = (Vec::new(), Vec::new());
    let add = |id: NodeId, node: Node| {
        stores.labels(id, node.labels, &mut buffer, &mut labels)?;
        labels.iter().try_for_each(|label| scan.add(label.0, id.0))
    };
    stores.nodes.scan(add).expect("nodes");
    scan.build(&OsDisk::shared(), path).expect("built");
}

/// Puts a new lookup index of the types of all relationships at `path`.
pub fn rebuild_types(stores: &Stores, mut scan: TokenScan, path: &Path) {
    let add = |id: RelationshipId, relationship: Relationship| scan.add(relationship.type_id.0, id.0);
    stores.relationships.scan(add).expect("relationships");
    scan.build(&OsDisk::shared(), path).expect("built");
}

/// Key and value of an entry.
pub type Entry = (Vec<u8>, Vec<u8>);

/// What to do with a tree of any layout.
pub trait Visitor {
    /// `strange` makes an entry that the tree may hold and hardly does; it gets the entries that are there.
    fn visit<L: Layout + Copy>(&mut self, tree: Tree<L>, strange: fn(&mut Random, &[Entry]) -> Entry);
}

/// Opens a tree with the smallest page cache.
pub fn open<L: Layout>(path: &Path, layout: L) -> Tree<L> {
    let file = OsDisk.open(path).expect("a file");
    Tree::open(&PageCache::new(0), file, layout).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// All entries, in their order.
pub fn entries<L: Layout>(tree: &Tree<L>) -> Vec<Entry> {
    let (mut all, mut cursor) = (Vec::new(), tree.entries().expect("entries"));
    while let Some((key, value)) = cursor.next().expect("an entry") {
        all.push((key.to_vec(), value.to_vec()));
    }
    all
}

/// Finds nothing wrong with the structure of a tree, which has so many entries.
pub fn assert_sound<L: Layout>(tree: &Tree<L>, entries: usize) {
    let what = tree.path().display();
    let structure = tree.check(&mut |inconsistency| panic!("{what}: {inconsistency}")).expect("a check");
    assert_eq!(structure.entries, entries as u64, "{what}");
}

/// Visits each tree of a database whose files are in one directory; how many there are.
pub fn visit_all(directory: &Path, visitor: &mut impl Visitor) -> usize {
    let path = |name: &str| directory.join(name);
    let mut visited = visit_ids(directory, visitor);
    for name in [layout::COUNTS, layout::DEGREES] {
        visitor.visit(open(&path(name), CountsLayout), strange_count);
        visited += 1;
    }
    visitor.visit(open(&path(layout::INDEX_STATISTICS), StatisticsLayout), strange_statistics);
    visited += 1;
    for name in [layout::NODE_LABEL_INDEX, layout::RELATIONSHIP_TYPE_INDEX] {
        // `system` has no index of relationships by type.
        if path(name).exists() {
            visitor.visit(open(&path(name), TokenLayout), strange_token);
            visited += 1;
        }
    }
    visited + visit_values(directory, visitor)
}

/// Visits each id file; how many there are.
pub fn visit_ids(directory: &Path, visitor: &mut impl Visitor) -> usize {
    let names: Vec<_> = RecordStore::ALL.into_iter().filter_map(RecordStore::id_file_name).collect();
    for name in &names {
        visitor.visit(open(&directory.join(name), IdLayout), strange_ids);
    }
    names.len()
}

/// Visits each value index that is a tree; how many there are.
pub fn visit_values(directory: &Path, visitor: &mut impl Visitor) -> usize {
    let trees = value_trees(directory);
    for (path, values) in &trees {
        visitor.visit(open(path, *values), strange_value);
    }
    trees.len()
}

/// The value indexes that are trees.
pub fn value_trees(directory: &Path) -> Vec<(PathBuf, ValueLayout)> {
    let layout = DatabaseLayout::flat(directory);
    let mut trees = Vec::new();
    for (provider, id) in files::list(&layout).expect("indexes") {
        let Some(path) = files::tree(&layout, provider, id) else { continue };
        let bytes = std::fs::read(&path).expect("a tree");
        // The low half of the layout identifier is the number of properties.
        let slots = u16::from_be_bytes([bytes[14], bytes[15]]);
        let values = match provider {
            IndexProvider::Range => ValueLayout::range(slots),
            IndexProvider::Point => ValueLayout::point(),
            _ => ValueLayout::btree(slots),
        };
        trees.push((path, values));
    }
    trees
}

/// One that is hardly an id of the store, or one that may be.
fn number(random: &mut Random) -> [u8; 8] {
    let end = [1 << 20, 2000, 300, 40][random.below(4)];
    (random.below(end) as u64).to_be_bytes()
}

fn strange_ids(random: &mut Random, _: &[Entry]) -> Entry {
    (number(random).to_vec(), vec![random.next() as u8; 56])
}

fn strange_count(random: &mut Random, _: &[Entry]) -> Entry {
    let kind = random.within(1..4) as u8;
    // Of relationships: a label or any in the high half, a type or any in the low one, and a label or any behind them.
    let mut token = || if random.once_in(3) { [0xff; 4] } else { (random.below(12) as u32).to_be_bytes() };
    let (first, second) =
        if kind == 2 { ([token(), token()].concat(), token()) } else { (number(random).to_vec(), [0; 4]) };
    ([&[kind][..], &first, &second].concat(), number(random).to_vec())
}

fn strange_statistics(random: &mut Random, _: &[Entry]) -> Entry {
    ([&number(random)[..], &[0; 56]].concat(), vec![random.next() as u8; 256])
}

fn strange_token(random: &mut Random, _: &[Entry]) -> Entry {
    let [.., low0, low1, low2, low3] = number(random);
    let token = random.below(40) as u8;
    (vec![0, 0, 0, token, low0, low1, low2, low3, 0, 0], random.next().to_be_bytes().to_vec())
}

/// The values of an entry with another entity.
fn strange_value(random: &mut Random, entries: &[Entry]) -> Entry {
    let mut key = entries[random.below(entries.len())].0.clone();
    key[..8].copy_from_slice(&number(random));
    (key, Vec::new())
}
