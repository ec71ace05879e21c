//! A recount in little memory counts what a simple one counts.

use std::collections::BTreeMap;
use std::path::Path;

use neo4j_admin::index::counts::CountKey;
use neo4j_admin::index::recount::Recount;
use neo4j_admin::index::token::{TokenIndex, TokenState};
use neo4j_admin::index::token_scan::TokenScan;
use neo4j_admin::io::disk::OsDisk;
use neo4j_admin::io::sort::Scratch;
use neo4j_admin::store::format::Family;
use neo4j_admin::store::id::{GroupId, LabelId, NodeId, RelationshipId, RelationshipTypeId};
use neo4j_admin::store::labels::LabelField;
use neo4j_admin::store::layout::{DatabaseLayout, RecordStore};
use neo4j_admin::store::page_cache::PageCache;
use neo4j_admin::store::record::{
    ChainLink, Direction, Directions, Node, NodeChain, Previous, Relationship, RelationshipGroup, Units,
};
use neo4j_admin::store::stores::Stores;

use crate::support::random::Random;
use crate::support::trees::{rebuild_labels, rebuild_types};

const NODES: u64 = 3_000;

/// A database of random nodes, relationships and groups; what does not matter to a recount is left out.
struct Graph {
    stores: Stores,
    labels: Vec<Vec<u32>>,
    /// Start, end, type.
    relationships: Vec<(u64, u64, u32)>,
    /// Node, type, and the directions with external degrees.
    groups: Vec<(u64, u32, Directions<bool>)>,
}

impl Graph {
    fn random(directory: &Path, seed: u64) -> Self {
        let mut random = Random(seed);
        for store in RecordStore::ALL {
            // The size of the records of a dynamic store.
            std::fs::write(directory.join(store.file_name()), 128_u32.to_be_bytes()).expect("written");
        }
        let layout = DatabaseLayout::flat(directory);
        let stores = Stores::open(&PageCache::new(0), &OsDisk, &layout, Family::Standard).expect("stores");
        let mut labels = vec![Vec::new(); NODES as usize];
        let mut writer = stores.nodes.writer();
        for (id, labels) in labels.iter_mut().enumerate().filter(|(id, _)| id % 11 != 0) {
            *labels = (0..32).filter(|_| random.once_in(10)).take(7).collect();
            let width = 36 / labels.len().max(1) as u64;
            let field = labels.iter().rev().fold(0, |field, &label| field << width | u64::from(label));
            let labels = LabelField(field | (labels.len() as u64) << 36);
            let node = Node { chain: NodeChain::Sparse(None), property: None, labels };
            writer.put(NodeId(id as u64), &node, Units::default()).expect("written");
        }
        drop(writer);
        let node = |random: &mut Random| {
            let few = random.once_in(3);
            random.below(if few { 20 } else { NODES as usize }) as u64
        };
        let mut relationships = Vec::new();
        let mut writer = stores.relationships.writer();
        for id in 0..6_000 {
            let start = node(&mut random);
            let end = if random.once_in(20) { start } else { node(&mut random) };
            let kind = random.below(5) as u32;
            let link = ChainLink { previous: Previous::Relationship(None), next: None };
            let record = Relationship {
                start_node: Some(NodeId(start)),
                end_node: Some(NodeId(end)),
                type_id: RelationshipTypeId(kind),
                start_link: link,
                end_link: link,
                property: None,
            };
            writer.put(RelationshipId(id), &record, Units::default()).expect("written");
            relationships.push((start, end, kind));
        }
        drop(writer);
        let mut groups = Vec::new();
        let mut writer = stores.groups.writer();
        for owner in 0..400 {
            let kind = random.below(5) as u32;
            let mut external = || random.once_in(2);
            let external = Directions { outgoing: external(), incoming: external(), loops: external() };
            let group = RelationshipGroup {
                type_id: RelationshipTypeId(kind),
                next: None,
                first: Directions::default(),
                external_degrees: external,
                owner: Some(NodeId(owner)),
            };
            writer.put(GroupId(owner + 1), &group, Units::default()).expect("written");
            groups.push((owner, kind, external));
        }
        drop(writer);
        Self { stores, labels, relationships, groups }
    }

    fn counts(&self) -> BTreeMap<CountKey, u64> {
        let mut counts = BTreeMap::new();
        let mut count = |key| *counts.entry(key).or_default() += 1;
        for (_, labels) in self.labels.iter().enumerate().filter(|(id, _)| id % 11 != 0) {
            count(CountKey::Nodes { label: None });
            for &label in labels {
                count(CountKey::Nodes { label: Some(LabelId(label)) });
            }
        }
        for &(start, end, kind) in &self.relationships {
            for kind in [None, Some(RelationshipTypeId(kind))] {
                let mut of = |start, end| count(CountKey::Relationships { start, kind, end });
                of(None, None);
                let labels = |node: u64| self.labels[node as usize].iter().map(|&label| Some(LabelId(label)));
                labels(start).for_each(|label| of(label, None));
                labels(end).for_each(|label| of(None, label));
            }
        }
        counts
    }

    fn degrees(&self) -> BTreeMap<CountKey, u64> {
        let mut degrees = BTreeMap::new();
        for (&(owner, of_kind, external), group) in self.groups.iter().zip(1..) {
            for &(start, end, kind) in self.relationships.iter().filter(|(.., kind)| *kind == of_kind) {
                let direction = match (start == owner, end == owner) {
                    (true, true) => Direction::Loop,
                    (true, false) => Direction::Outgoing,
                    (false, true) => Direction::Incoming,
                    (false, false) => continue,
                };
                assert_eq!(kind, of_kind);
                if *external.of(direction) {
                    *degrees.entry(CountKey::Degree { group: GroupId(group), direction }).or_default() += 1;
                }
            }
        }
        degrees
    }
}

#[test]
fn a_recount_in_any_memory_counts_the_same() {
    let directory = tempfile::tempdir().expect("a directory");
    let graph = Graph::random(directory.path(), 1);
    let expected: Vec<_> = graph.counts().into_iter().chain(graph.degrees()).collect();
    assert!(expected.len() > 500, "{}", expected.len());
    let scratch = Scratch::open(OsDisk::shared(), &directory.path().join("scratch")).expect("a directory");
    // From one window and no sorting on disk to many windows and many runs.
    for (memory, threads) in [(4 << 20, 1), (4 << 20, 2), (100_000, 3), (2_000, 1)] {
        let recount = Recount { stores: &graph.stores, scratch: &scratch, memory, threads };
        let mut found = Vec::new();
        let mut collect = |key, count| {
            found.push((key, count));
            Ok(())
        };
        recount.counts(&mut collect).expect("counts");
        recount.degrees(&mut collect).expect("degrees");
        assert!(found == expected, "{memory} bytes, {threads} threads");
    }
}

#[test]
fn lookup_indexes_are_the_same_in_any_memory() {
    let directory = tempfile::tempdir().expect("a directory");
    let graph = Graph::random(directory.path(), 2);
    let scratch = Scratch::open(OsDisk::shared(), &directory.path().join("scratch")).expect("a directory");
    let mut by_label: BTreeMap<(u32, u64), u64> = BTreeMap::new();
    for (node, labels) in (0..).zip(&graph.labels) {
        for &label in labels {
            *by_label.entry((label, node / 64)).or_default() |= 1 << (node % 64);
        }
    }
    let mut by_type: BTreeMap<(u32, u64), u64> = BTreeMap::new();
    for (id, &(.., kind)) in (0..).zip(&graph.relationships) {
        *by_type.entry((kind, id / 64)).or_default() |= 1 << (id % 64);
    }
    let path = directory.path().join("index");
    for memory in [1 << 20, 4_096] {
        for (nodes, expected) in [(true, &by_label), (false, &by_type)] {
            let rebuild = if nodes { rebuild_labels } else { rebuild_types };
            rebuild(&graph.stores, TokenScan::new(&scratch, memory), &path);
            let Ok(TokenState::Online(index)) = TokenIndex::open(&PageCache::new(0), &OsDisk, &path) else {
                panic!("not online");
            };
            let (mut found, mut entries) = (BTreeMap::new(), index.entries().expect("entries"));
            while let Some(entry) = entries.next().expect("an entry") {
                found.insert((entry.token, entry.range), entry.entities);
            }
            assert!(found == *expected, "{memory} bytes");
        }
    }
}
