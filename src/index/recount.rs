//! Counts and degrees from the record stores, for a database that lost its counts or degrees store.
//!
//! Records are only read in the order of their files. To know the labels of the nodes at both ends of a relationship,
//! the labels of as many nodes as the memory holds are kept, as a number per node that stands for a set of labels, and
//! the relationships are read once for each such window of nodes: once altogether, unless the store is large.

use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

use rustc_hash::FxHashMap;

use super::IndexError;
use super::counts::{Builder, CountKey};
use crate::io::disk::SharedDisk;
use crate::io::sort::{ByKey, Scratch, Sorter};
use crate::store::id::{GroupId, LabelId, NodeId, RelationshipTypeId, TransactionId};
use crate::store::record::{Direction, Directions, Relationship};
use crate::store::stores::Stores;

/// Where and with what to count.
#[derive(Clone, Debug)]
pub struct Recount<'a> {
    /// The records.
    pub stores: &'a Stores,
    /// For what does not fit into the memory.
    pub scratch: &'a Scratch,
    /// Bytes of memory to use, about. With less than 256 KiB more is used, to sort.
    pub memory: usize,
    /// Threads that read relationships.
    pub threads: u64,
}

/// What a node of a window costs.
const BYTES_PER_NODE: usize = size_of::<u32>();

/// What an entry of a hash table costs, with the room that is kept free.
const BYTES_PER_ENTRY: usize = 64;

impl Recount<'_> {
    /// Puts a new counts store at `path`. `last`: the last transaction whose effect is in the records.
    pub fn rebuild_counts(
        &self,
        disk: &SharedDisk,
        path: &Path,
        last: TransactionId,
    ) -> Result<(), IndexError> {
        let mut builder = Builder::new(disk, path)?;
        self.counts(|key, count| builder.push(key, count))?;
        builder.finish(last)
    }

    /// Puts a new degrees store at `path`; `last` as before.
    pub fn rebuild_degrees(
        &self,
        disk: &SharedDisk,
        path: &Path,
        last: TransactionId,
    ) -> Result<(), IndexError> {
        let mut builder = Builder::new(disk, path)?;
        self.degrees(|key, count| builder.push(key, count))?;
        builder.finish(last)
    }

    /// Calls `emit` with what there is of nodes and relationships, in the order of keys. Specification: gbptree 5.3.
    pub fn counts(
        &self,
        mut emit: impl FnMut(CountKey, u64) -> Result<(), IndexError>,
    ) -> Result<(), IndexError> {
        let totals = Totals::new(self.scratch, self.memory / 4);
        let nodes = self.stores.nodes.high_id()?;
        let mut next = 0;
        loop {
            let window = Window::fill(self, next, nodes, &totals)?;
            let first = next == 0;
            next = window.end;
            self.scan_relationships(|part| {
                let mut tally = Tally { window: &window, counts: FxHashMap::default(), totals: &totals };
                let limit = self.memory / 4 / BYTES_PER_ENTRY / self.shares();
                let scanned = self.stores.relationships.scan_part(part, self.threads.max(1), |_, record| {
                    tally.relationship(&record, first);
                    if tally.counts.len() > limit { tally.settle() } else { Ok(()) }
                });
                scanned.and_then(|()| tally.settle())
            })?;
            if next >= nodes {
                break;
            }
        }
        totals.finish(&mut emit)
    }

    /// Calls `emit` with the degree of each chain that has none in its records, in the order of keys.
    /// Specification: gbptree 5.3.
    pub fn degrees(
        &self,
        mut emit: impl FnMut(CountKey, u64) -> Result<(), IndexError>,
    ) -> Result<(), IndexError> {
        let most = (self.memory / (BYTES_PER_ENTRY + size_of::<Chains>())).max(1);
        let mut reader = self.stores.groups.reader();
        let high_id = self.stores.groups.high_id()?;
        let mut next = self.stores.groups.slots().first();
        while next < high_id {
            let mut groups = Groups::default();
            while next < high_id && groups.chains.len() < most {
                let id = GroupId(next);
                next += 1;
                let Some(group) = reader.get(id)? else { continue };
                let external = group.external_degrees;
                if let Some(owner) = group.owner
                    && Direction::ALL.iter().any(|&direction| *external.of(direction))
                {
                    groups.add(owner, group.type_id, Chains::new(id, external));
                }
            }
            if groups.chains.is_empty() {
                continue;
            }
            self.scan_relationships(|part| {
                self.stores.relationships.scan_part(part, self.threads.max(1), |_, record| {
                    groups.relationship(&record);
                    Ok(())
                })
            })?;
            for chains in groups.chains {
                chains.emit(&mut emit)?;
            }
        }
        Ok(())
    }

    fn shares(&self) -> usize {
        usize::try_from(self.threads).unwrap_or(usize::MAX).max(1)
    }

    /// Runs `scan` for each part of the relationships, each in a thread of its own.
    fn scan_relationships(
        &self,
        scan: impl Fn(u64) -> Result<(), IndexError> + Sync,
    ) -> Result<(), IndexError> {
        std::thread::scope(|scope| {
            let scan = &scan;
            let others: Vec<_> = (1..self.threads).map(|part| scope.spawn(move || scan(part))).collect();
            let mut done = scan(0);
            for other in others {
                let other = other.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic));
                done = done.and(other);
            }
            done
        })
    }
}

/// Sums by key. What does not fit is sorted on disk.
#[derive(Debug)]
struct Totals<'a> {
    inner: Mutex<Sums>,
    scratch: &'a Scratch,
    memory: usize,
}

#[derive(Debug, Default)]
struct Sums {
    counts: FxHashMap<CountKey, u64>,
    sorter: Option<Sorter<ByKey>>,
}

impl<'a> Totals<'a> {
    fn new(scratch: &'a Scratch, memory: usize) -> Self {
        Self { inner: Mutex::default(), scratch, memory }
    }

    fn add(&self, counts: impl IntoIterator<Item = (CountKey, u64)>) -> Result<(), IndexError> {
        let mut sums = self.inner.lock().unwrap_or_else(PoisonError::into_inner);
        for (key, count) in counts.into_iter().filter(|&(_, count)| count > 0) {
            *sums.counts.entry(key).or_default() += count;
            if sums.counts.len() * BYTES_PER_ENTRY * 2 > self.memory {
                self.spill(&mut sums)?;
            }
        }
        Ok(())
    }

    fn spill(&self, sums: &mut Sums) -> Result<(), IndexError> {
        let Sums { counts, sorter } = sums;
        let order = ByKey { length: CountKey::SIZE };
        let memory = (self.memory / 2).max(64 << 10);
        let sorter = sorter.get_or_insert_with(|| Sorter::new(self.scratch, memory, order));
        for (key, count) in counts.drain() {
            sorter.push_parts(&[&key.to_sortable(), &count.to_be_bytes()])?;
        }
        Ok(())
    }

    fn finish(
        self,
        emit: &mut impl FnMut(CountKey, u64) -> Result<(), IndexError>,
    ) -> Result<(), IndexError> {
        let mut sums = std::mem::take(&mut *self.inner.lock().unwrap_or_else(PoisonError::into_inner));
        if sums.sorter.is_some() {
            self.spill(&mut sums)?;
        }
        let Some(sorter) = sums.sorter else {
            let mut counts: Vec<_> = sums.counts.into_iter().collect();
            counts.sort_unstable_by_key(|&(key, _)| key);
            return counts.into_iter().try_for_each(|(key, count)| emit(key, count));
        };
        let mut sorted = sorter.finish()?;
        let mut last: Option<(CountKey, u64)> = None;
        while let Some(record) = sorted.next()? {
            let Some((key, count)) = record.split_last_chunk::<8>() else { continue };
            let Some(key) = CountKey::from_sortable(key) else { continue };
            let count = u64::from_be_bytes(*count);
            match &mut last {
                Some((before, sum)) if *before == key => *sum += count,
                _ => {
                    if let Some((key, sum)) = last.replace((key, count)) {
                        emit(key, sum)?;
                    }
                }
            }
        }
        last.map_or(Ok(()), |(key, sum)| emit(key, sum))
    }
}

/// The labels of neighbouring nodes.
#[derive(Debug)]
struct Window {
    start: u64,
    end: u64,
    /// Which of `sets` each node has.
    nodes: Vec<u32>,
    /// Different sets of labels; the first is the one without labels.
    sets: Vec<Box<[LabelId]>>,
}

impl Window {
    /// Keeps the labels of nodes from `start` on, as many as fit, and counts these nodes.
    fn fill(recount: &Recount<'_>, start: u64, nodes: u64, totals: &Totals<'_>) -> Result<Self, IndexError> {
        let stores = recount.stores;
        let budget = recount.memory / 2;
        let mut window = Self { start, end: start, nodes: Vec::new(), sets: vec![Box::default()] };
        let mut numbers: FxHashMap<Box<[LabelId]>, u32> = FxHashMap::default();
        let mut with_set: Vec<u64> = vec![0];
        let (mut buffer, mut labels) = (Vec::new(), Vec::new());
        let mut reader = stores.nodes.reader();
        let (mut found, mut used) = (0, 0);
        // Half of the budget: a vector that grows is there twice for a moment.
        while window.end < nodes && (used < budget / 2 || window.nodes.is_empty()) {
            let id = NodeId(window.end);
            let mut set = 0;
            if let Some(node) = reader.get(id)? {
                found += 1;
                stores.labels(id, node.labels, &mut buffer, &mut labels)?;
                set = match numbers.get(&*labels) {
                    _ if labels.is_empty() => 0,
                    Some(&set) => set,
                    None => {
                        let set = u32::try_from(window.sets.len()).unwrap_or(u32::MAX);
                        let key: Box<[LabelId]> = labels.as_slice().into();
                        used += 2 * size_of_val(&*key) + 2 * BYTES_PER_ENTRY;
                        numbers.insert(key.clone(), set);
                        window.sets.push(key);
                        with_set.push(0);
                        set
                    }
                };
                if let Some(count) = with_set.get_mut(set as usize) {
                    *count += 1;
                }
            }
            window.nodes.push(set);
            used += BYTES_PER_NODE;
            window.end += 1;
        }
        totals.add([(CountKey::Nodes { label: None }, found)])?;
        for (set, &count) in window.sets.iter().zip(&with_set) {
            totals.add(set.iter().map(|&label| (CountKey::Nodes { label: Some(label) }, count)))?;
        }
        Ok(window)
    }

    /// The set of a node's labels; 0: it has none, or is in another window.
    fn set_of(&self, node: Option<NodeId>) -> u32 {
        let place = node.and_then(|node| node.0.checked_sub(self.start));
        let place = place.and_then(|place| usize::try_from(place).ok());
        place.and_then(|place| self.nodes.get(place)).copied().unwrap_or_default()
    }

    fn labels(&self, set: u32) -> &[LabelId] {
        self.sets.get(set as usize).map_or(&[], |set| set)
    }
}

/// What relationships are counted by.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum By {
    Type(RelationshipTypeId),
    Start(RelationshipTypeId, u32),
    End(RelationshipTypeId, u32),
}

/// Relationships of a thread, counted by sets of labels.
struct Tally<'a> {
    window: &'a Window,
    counts: FxHashMap<By, u64>,
    totals: &'a Totals<'a>,
}

impl Tally<'_> {
    fn relationship(&mut self, record: &Relationship, with_type: bool) {
        let kind = record.type_id;
        if with_type {
            *self.counts.entry(By::Type(kind)).or_default() += 1;
        }
        let start = self.window.set_of(record.start_node);
        if start != 0 {
            *self.counts.entry(By::Start(kind, start)).or_default() += 1;
        }
        let end = self.window.set_of(record.end_node);
        if end != 0 {
            *self.counts.entry(By::End(kind, end)).or_default() += 1;
        }
    }

    /// Turns sets into labels.
    fn settle(&mut self) -> Result<(), IndexError> {
        for (by, count) in self.counts.drain() {
            let of = |start, kind, end| (CountKey::Relationships { start, kind, end }, count);
            match by {
                By::Type(kind) => self.totals.add([of(None, None, None), of(None, Some(kind), None)])?,
                By::Start(kind, set) => {
                    let labels = self.window.labels(set).iter().copied().map(Some);
                    self.totals
                        .add(labels.flat_map(|label| [of(label, None, None), of(label, Some(kind), None)]))?;
                }
                By::End(kind, set) => {
                    let labels = self.window.labels(set).iter().copied().map(Some);
                    self.totals
                        .add(labels.flat_map(|label| [of(None, None, label), of(None, Some(kind), label)]))?;
                }
            }
        }
        Ok(())
    }
}

/// Groups whose degrees are counted at the same time.
#[derive(Debug, Default)]
struct Groups {
    places: FxHashMap<(NodeId, RelationshipTypeId), usize>,
    chains: Vec<Chains>,
}

impl Groups {
    fn add(&mut self, owner: NodeId, kind: RelationshipTypeId, chains: Chains) {
        self.places.insert((owner, kind), self.chains.len());
        self.chains.push(chains);
    }

    fn relationship(&self, record: &Relationship) {
        let kind = record.type_id;
        if record.start_node == record.end_node {
            self.count(record.start_node, kind, Direction::Loop);
        } else {
            self.count(record.start_node, kind, Direction::Outgoing);
            self.count(record.end_node, kind, Direction::Incoming);
        }
    }

    fn count(&self, node: Option<NodeId>, kind: RelationshipTypeId, direction: Direction) {
        let place = node.and_then(|node| self.places.get(&(node, kind)));
        let chains = place.and_then(|&place| self.chains.get(place));
        if let Some(chains) = chains {
            chains.degrees.of(direction).fetch_add(1, Ordering::Relaxed);
        }
    }
}

/// The chains of one group.
#[derive(Debug)]
struct Chains {
    group: GroupId,
    external: Directions<bool>,
    degrees: Directions<AtomicU64>,
}

impl Chains {
    fn new(group: GroupId, external: Directions<bool>) -> Self {
        Self { group, external, degrees: Directions::default() }
    }

    fn emit(self, emit: &mut impl FnMut(CountKey, u64) -> Result<(), IndexError>) -> Result<(), IndexError> {
        let external = Direction::ALL.into_iter().filter(|&direction| *self.external.of(direction));
        for direction in external {
            let degree = self.degrees.of(direction).load(Ordering::Relaxed);
            if degree > 0 {
                emit(CountKey::Degree { group: self.group, direction }, degree)?;
            }
        }
        Ok(())
    }
}
