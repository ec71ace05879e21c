//! Damage that still looks like a graph: pointers between records that have to do with each other, flags, types and labels of
//! others. It is what a bug leaves behind rather than a bad disk.

use std::path::Path;

use super::{Files, place};
use crate::support::random::Random;

const NODES: &str = "neostore.nodestore.db";
const RELATIONSHIPS: &str = "neostore.relationshipstore.db";
const GROUPS: &str = "neostore.relationshipgroupstore.db";

/// The records of one store.
struct Records<'a> {
    bytes: &'a mut [u8],
    size: usize,
    aligned: bool,
}

impl<'a> Records<'a> {
    fn of(files: &'a mut Files, name: &str, size: usize, aligned: bool) -> Self {
        Self { bytes: files.get_mut(Path::new(name)).expect("a store"), size, aligned }
    }

    fn at(&self, record: usize) -> usize {
        place(record, self.size, self.aligned)
    }

    fn get(&self, record: usize) -> Option<&[u8]> {
        self.bytes.get(self.at(record)..)?.get(..self.size)
    }

    /// The low bits of a reference.
    fn reference(&self, record: usize, offset: usize) -> u32 {
        let field = self.get(record).and_then(|record| record[offset..].first_chunk());
        field.map_or(0, |bytes| u32::from_be_bytes(*bytes))
    }

    fn put(&mut self, record: usize, offset: usize, field: &[u8]) {
        let at = self.at(record) + offset;
        if let Some(place) = self.bytes.get_mut(at..at + field.len()) {
            place.copy_from_slice(field);
        }
    }

    fn flip(&mut self, record: usize, offset: usize, bits: u8) {
        let at = self.at(record) + offset;
        if let Some(byte) = self.bytes.get_mut(at) {
            *byte ^= bits;
        }
    }

    fn swap(&mut self, record: usize, other: usize, fields: std::ops::Range<usize>) {
        let field = |record| self.get(record).map(|record| record[fields.clone()].to_vec());
        if let (Some(one), Some(two)) = (field(record), field(other)) {
            self.put(record, fields.start, &two);
            self.put(other, fields.start, &one);
        }
    }

    /// Records in use or not. The lowest bit of the first byte says so.
    fn all(&self, used: bool) -> Vec<usize> {
        let count = self.bytes.len() / self.size;
        (0..count)
            .filter(|&record| self.get(record).is_some_and(|bytes| (bytes[0] & 1 != 0) == used))
            .collect()
    }
}

fn any(records: &[usize], random: &mut Random) -> usize {
    records.get(random.below(records.len())).copied().unwrap_or_default()
}

/// Changes one to three records.
pub fn damage(files: &mut Files, aligned: bool, random: &mut Random) -> String {
    let done: Vec<_> = (0..random.within(1..4))
        .map(|_| match random.below(10) {
            0..5 => relationship(files, aligned, random),
            5..8 => node(files, aligned, random),
            _ => group(files, aligned, random),
        })
        .collect();
    done.join(", ")
}

/// A relationship: header, nodes at 1 and 5, type at 11, links of the chains at 13 to 28, flags at 33.
fn relationship(files: &mut Files, aligned: bool, random: &mut Random) -> String {
    let nodes = Records::of(files, NODES, 15, aligned).all(true);
    let mut store = Records::of(files, RELATIONSHIPS, 34, aligned);
    let used = store.all(true);
    if used.is_empty() {
        return "nothing".to_owned();
    }
    let record = any(&used, random);
    let end = [1, 5][random.below(2)];
    let node = store.reference(record, end);
    let near: Vec<_> = used
        .iter()
        .copied()
        .filter(|&other| [1, 5].iter().any(|&end| store.reference(other, end) == node))
        .collect();
    let link = 13 + 4 * random.below(4);
    let what = match random.below(11) {
        0..5 => {
            let to = match random.below(6) {
                0 => u32::MAX,
                1 => record as u32,
                2 => store.reference(record, 13 + 4 * random.below(4)),
                3 => any(&used, random) as u32,
                _ => any(&near, random) as u32,
            };
            store.put(record, link, &to.to_be_bytes());
            "link"
        }
        5 => {
            store.flip(record, 33, 1 << random.below(2));
            "first"
        }
        6 => {
            store.put(record, end, &(any(&nodes, random) as u32).to_be_bytes());
            "node"
        }
        7 => {
            store.swap(record, any(&used, random), 11..13);
            "type"
        }
        8 => {
            store.flip(record, 0, 1);
            "unused"
        }
        9 => {
            store.swap(record, any(&near, random), 0..34);
            "swapped"
        }
        _ => {
            let unused = store.all(false);
            store.flip(any(&unused, random), 0, 1);
            "used"
        }
    };
    format!("relationship {record} {what}")
}

/// A node: header, chain at 1, properties at 5, labels at 9 to 13, dense at 14.
fn node(files: &mut Files, aligned: bool, random: &mut Random) -> String {
    let relationships = Records::of(files, RELATIONSHIPS, 34, aligned).all(true);
    let properties =
        Records::of(files, RELATIONSHIPS, 34, aligned).reference(any(&relationships, random), 29);
    let mut store = Records::of(files, NODES, 15, aligned);
    let used = store.all(true);
    if used.is_empty() {
        return "nothing".to_owned();
    }
    let (record, other) = (any(&used, random), any(&used, random));
    let what = match random.below(9) {
        0 => {
            let to = if random.once_in(3) { u32::MAX } else { any(&relationships, random) as u32 };
            store.put(record, 1, &to.to_be_bytes());
            "chain"
        }
        1 => {
            store.swap(record, other, 1..5);
            "chains swapped"
        }
        2 => {
            let to = [store.reference(other, 5), properties, u32::MAX][random.below(3)];
            store.put(record, 5, &to.to_be_bytes());
            "properties"
        }
        3 => {
            store.flip(record, 14, 1);
            "dense"
        }
        4 => {
            store.flip(record, 0, 1);
            "unused"
        }
        5 => {
            let unused = store.all(false);
            store.flip(any(&unused, random), 0, 1);
            "used"
        }
        6 => {
            store.swap(record, other, 9..14);
            "labels swapped"
        }
        _ => {
            store.put(record, 9, &inline_labels(random));
            "labels"
        }
    };
    format!("node {record} {what}")
}

/// One to four labels, in order or not, perhaps one twice.
fn inline_labels(random: &mut Random) -> [u8; 5] {
    let count = random.within(1..5);
    let mut labels: Vec<u64> = (0..count).map(|_| random.below(12) as u64).collect();
    if random.once_in(2) {
        labels.sort_unstable();
    }
    let width = 36 / count;
    let ids = labels.iter().enumerate().fold(0, |field, (index, label)| field | label << (index * width));
    let field = ids | (count as u64) << 36;
    let [low0, low1, low2, low3] = (field as u32).to_be_bytes();
    [low0, low1, low2, low3, (field >> 32) as u8]
}

/// A group: header, type at 2, next at 4, first relationships at 8, 12 and 16, owner at 20.
fn group(files: &mut Files, aligned: bool, random: &mut Random) -> String {
    let nodes = Records::of(files, NODES, 15, aligned).all(true);
    let mut owned = Vec::new();
    let relationships = {
        let groups = Records::of(files, GROUPS, 25, aligned);
        let groups: Vec<_> =
            groups.all(true).into_iter().map(|record| (record, groups.reference(record, 20))).collect();
        owned.extend(groups);
        Records::of(files, RELATIONSHIPS, 34, aligned).all(true)
    };
    let Some(&(record, owner)) = owned.get(random.below(owned.len())) else { return "nothing".to_owned() };
    let near: Vec<_> = {
        let store = Records::of(files, RELATIONSHIPS, 34, aligned);
        let is_near = |&record: &usize| [1, 5].iter().any(|&end| store.reference(record, end) == owner);
        relationships.into_iter().filter(is_near).collect()
    };
    let others: Vec<_> =
        owned.iter().filter(|(_, other)| *other == owner).map(|(record, _)| *record).collect();
    let mut store = Records::of(files, GROUPS, 25, aligned);
    let (other, _) = owned[random.below(owned.len())];
    let first = 8 + 4 * random.below(3);
    let what = match random.below(7) {
        0 => {
            let to = if random.once_in(3) { u32::MAX } else { any(&others, random) as u32 };
            store.put(record, 4, &to.to_be_bytes());
            "next"
        }
        1 => {
            store.put(record, 20, &(any(&nodes, random) as u32).to_be_bytes());
            "owner"
        }
        2 => {
            let to = if random.once_in(4) { u32::MAX } else { any(&near, random) as u32 };
            store.put(record, first, &to.to_be_bytes());
            "first"
        }
        3 => {
            store.swap(record, other, 2..4);
            "type"
        }
        4 => {
            store.swap(record, other, 4..20);
            "swapped"
        }
        5 => {
            store.flip(record, 0, [1, 0x80][random.below(2)]);
            "header"
        }
        _ => {
            store.flip(record, 1, [1, 0x80][random.below(2)]);
            "external"
        }
    };
    format!("group {record} {what}")
}
