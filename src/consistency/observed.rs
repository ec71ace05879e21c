//! Numbers of nodes and relationships as they are in the record stores.

use std::collections::BTreeMap;

use rustc_hash::FxHashMap;

use super::node_table::UNNUMBERED;

/// Stands for all labels or all types.
pub(super) const ANY: i64 = -1;

/// Label at the start, type, label at the end.
pub(super) type RelationshipKey = (i64, i64, i64);

/// Counted numbers, by the keys of the counts store.
#[derive(Clone, Debug, Default)]
pub(super) struct Observed {
    pub nodes: BTreeMap<i64, i64>,
    pub relationships: BTreeMap<RelationshipKey, i64>,
}

/// Counts nodes, in one thread.
#[derive(Debug, Default)]
pub(super) struct NodeCounts {
    all: i64,
    by_set: Vec<i64>,
    by_label: FxHashMap<i64, i64>,
}

impl NodeCounts {
    /// A node with a numbered set of labels.
    #[inline]
    pub fn numbered(&mut self, set: u32) {
        self.all += 1;
        let set = set as usize;
        if set >= self.by_set.len() {
            self.by_set.resize(set + 1, 0);
        }
        if let Some(count) = self.by_set.get_mut(set) {
            *count += 1;
        }
    }

    /// A node with these labels.
    pub fn labelled(&mut self, labels: &[i64]) {
        self.all += 1;
        for &label in labels {
            *self.by_label.entry(label).or_default() += 1;
        }
    }

    /// Adds what was counted.
    pub fn add_to(&self, observed: &mut Observed, sets: &[Box<[i64]>]) {
        let mut add = |label, count| *observed.nodes.entry(label).or_default() += count;
        add(ANY, self.all);
        for (labels, &count) in sets.iter().zip(&self.by_set).filter(|&(_, &count)| count > 0) {
            labels.iter().for_each(|&label| add(label, count));
        }
        self.by_label.iter().for_each(|(&label, &count)| add(label, count));
    }
}

/// Cells of the quick table.
const CELLS: usize = 1 << 16;

/// Counts relationships by type and by the sets of labels of their nodes, in one thread.
#[derive(Debug)]
pub(super) struct RelationshipCounts {
    types: usize,
    by_type: FxHashMap<i64, i64>,
    quick_types: Vec<i64>,
    starts: SetCounts,
    ends: SetCounts,
    by_key: FxHashMap<RelationshipKey, i64>,
}

#[derive(Debug, Default)]
struct SetCounts {
    quick: Vec<i64>,
    others: FxHashMap<(u32, i64), i64>,
}

impl SetCounts {
    #[inline]
    fn add(&mut self, set: u32, type_id: i64, types: usize) {
        let cell = (type_id as usize).saturating_add((set as usize).saturating_mul(types));
        match self.quick.get_mut(cell) {
            Some(count) if (type_id as usize) < types => *count += 1,
            _ => *self.others.entry((set, type_id)).or_default() += 1,
        }
    }

    fn each(&self, types: usize, mut visit: impl FnMut(u32, i64, i64)) {
        for (cell, &count) in self.quick.iter().enumerate().filter(|&(_, &count)| count > 0) {
            let (set, type_id) = (cell / types, cell % types);
            visit(u32::try_from(set).unwrap_or(UNNUMBERED), type_id as i64, count);
        }
        for (&(set, type_id), &count) in &self.others {
            visit(set, type_id, count);
        }
    }
}

impl RelationshipCounts {
    /// For about `types` types.
    pub fn new(types: u64) -> Self {
        let types = usize::try_from(types).unwrap_or(CELLS).clamp(1, CELLS);
        let set_counts = || SetCounts { quick: vec![0; CELLS / types * types], ..SetCounts::default() };
        Self {
            types,
            by_type: FxHashMap::default(),
            quick_types: vec![0; types],
            starts: set_counts(),
            ends: set_counts(),
            by_key: FxHashMap::default(),
        }
    }

    /// A relationship of a type.
    #[inline]
    pub fn of_type(&mut self, type_id: i64) {
        match self.quick_types.get_mut(type_id as usize) {
            Some(count) => *count += 1,
            None => *self.by_type.entry(type_id).or_default() += 1,
        }
    }

    /// Its start node has a numbered set of labels.
    #[inline]
    pub fn start(&mut self, set: u32, type_id: i64) {
        self.starts.add(set, type_id, self.types);
    }

    /// Its end node has a numbered set of labels.
    #[inline]
    pub fn end(&mut self, set: u32, type_id: i64) {
        self.ends.add(set, type_id, self.types);
    }

    /// Its start node has these labels.
    pub fn start_labels(&mut self, labels: &[i64], type_id: i64) {
        for &label in labels {
            *self.by_key.entry((label, type_id, ANY)).or_default() += 1;
            *self.by_key.entry((label, ANY, ANY)).or_default() += 1;
        }
    }

    /// Its end node has these labels.
    pub fn end_labels(&mut self, labels: &[i64], type_id: i64) {
        for &label in labels {
            *self.by_key.entry((ANY, type_id, label)).or_default() += 1;
            *self.by_key.entry((ANY, ANY, label)).or_default() += 1;
        }
    }

    /// Adds what was counted.
    pub fn add_to(&self, observed: &mut Observed, sets: &[Box<[i64]>]) {
        let mut add = |key, count| *observed.relationships.entry(key).or_default() += count;
        let quick = (0..).zip(&self.quick_types).filter(|&(_, &count)| count > 0);
        for (type_id, &count) in quick.chain(self.by_type.iter().map(|(&type_id, count)| (type_id, count))) {
            add((ANY, type_id, ANY), count);
            add((ANY, ANY, ANY), count);
        }
        let labels = |set: u32| sets.get(set as usize).map(|set| &**set).unwrap_or_default();
        self.starts.each(self.types, |set, type_id, count| {
            for &label in labels(set) {
                add((label, type_id, ANY), count);
                add((label, ANY, ANY), count);
            }
        });
        self.ends.each(self.types, |set, type_id, count| {
            for &label in labels(set) {
                add((ANY, type_id, label), count);
                add((ANY, ANY, label), count);
            }
        });
        self.by_key.iter().for_each(|(&key, &count)| add(key, count));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn relationships_count_once_per_label_of_each_end() {
        for types in [1, 3, 100_000] {
            let mut counts = RelationshipCounts::new(types);
            let sets: Vec<Box<[i64]>> = vec![Box::default(), Box::new([4, 5])];
            for _ in 0..2 {
                counts.of_type(2);
                counts.start(1, 2);
                counts.end(0, 2);
            }
            counts.of_type(70_000);
            counts.start_labels(&[9], 70_000);
            counts.end(1, 70_000);
            let mut observed = Observed::default();
            counts.add_to(&mut observed, &sets);
            let expected: BTreeMap<RelationshipKey, i64> = [
                ((ANY, ANY, ANY), 3),
                ((ANY, 2, ANY), 2),
                ((ANY, 70_000, ANY), 1),
                ((4, 2, ANY), 2),
                ((4, ANY, ANY), 2),
                ((5, 2, ANY), 2),
                ((5, ANY, ANY), 2),
                ((9, 70_000, ANY), 1),
                ((9, ANY, ANY), 1),
                ((ANY, 70_000, 4), 1),
                ((ANY, ANY, 4), 1),
                ((ANY, 70_000, 5), 1),
                ((ANY, ANY, 5), 1),
            ]
            .into();
            assert_eq!(observed.relationships, expected, "{types}");
        }
    }
}
