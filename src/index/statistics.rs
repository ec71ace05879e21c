//! Statistics of value indexes, which the planner of queries uses.

use std::cmp::Ordering;
use std::path::Path;

use super::replacement::Replacement;
use super::{IndexError, open_existing};
use crate::gbptree::{Change, Layout, LayoutId, NodeFormat, Tree};
use crate::io::disk::{Disk, SharedDisk};
use crate::store::id::{RecordId, SchemaId};
use crate::store::page_cache::PageCache;

/// Keys and values of the index statistics store: the id of an index rule (`i64`, signed order) in 64 bytes, and a
/// [`Sample`] in 256. Neo4j took bits for bytes when it chose the sizes. Specification: gbptree 5.4.
#[derive(Clone, Copy, Debug, Default)]
pub struct StatisticsLayout;

const KEY: usize = 64;
const VALUE: usize = 256;

impl Layout for StatisticsLayout {
    fn id(&self) -> LayoutId {
        LayoutId { identifier: 556_677, major: 0, minor: 2 }
    }

    fn format(&self) -> NodeFormat {
        NodeFormat::Fixed { key: KEY, value: VALUE }
    }

    fn compare(&self, left: &[u8], right: &[u8]) -> Ordering {
        rule_of(left).cmp(&rule_of(right))
    }

    fn describe(&self, key: &[u8]) -> String {
        format!("index {}", rule_of(key).unwrap_or_default())
    }
}

fn rule_of(key: &[u8]) -> Option<i64> {
    key.first_chunk().map(|bytes| i64::from_be_bytes(*bytes))
}

fn key_of(rule: SchemaId) -> [u8; KEY] {
    let mut key = [0; KEY];
    for (place, byte) in key.iter_mut().zip(rule.slot().to_be_bytes()) {
        *place = byte;
    }
    key
}

/// What is known of an index.
///
/// | Offset | Size | Field                                  |
/// |-------:|-----:|----------------------------------------|
/// |      0 |    8 | distinct values among those sampled    |
/// |      8 |    8 | values sampled                         |
/// |     16 |    8 | updates since then                     |
/// |     24 |    8 | entries of the index                   |
///
/// The rest of the 256 bytes is zero. Specification: gbptree 5.4.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Sample {
    /// Distinct values among those sampled.
    pub unique_values: i64,
    /// Values sampled.
    pub sample_size: i64,
    /// Updates of the index since then.
    pub updates: i64,
    /// Entries of the index.
    pub index_size: i64,
}

impl Sample {
    fn decode(bytes: &[u8]) -> Option<Self> {
        let (longs, _) = bytes.as_chunks::<8>();
        let [unique_values, sample_size, updates, index_size] =
            longs.first_chunk::<4>()?.map(i64::from_be_bytes);
        Some(Self { unique_values, sample_size, updates, index_size })
    }

    fn encode(&self) -> [u8; VALUE] {
        let mut bytes = [0; VALUE];
        let fields = [self.unique_values, self.sample_size, self.updates, self.index_size];
        for (place, field) in bytes.as_chunks_mut::<8>().0.iter_mut().zip(fields) {
            *place = field.to_be_bytes();
        }
        bytes
    }
}

/// The index statistics store. Neo4j makes it anew when it is missing; its checker can't do without it.
#[derive(Debug)]
pub struct Statistics {
    tree: Tree<StatisticsLayout>,
}

impl Statistics {
    /// Opens the store; `None`: it is missing.
    pub fn open(cache: &PageCache, disk: &dyn Disk, path: &Path) -> Result<Option<Self>, IndexError> {
        let Some(file) = open_existing(disk, path)? else { return Ok(None) };
        Ok(Some(Self { tree: Tree::open(cache, file, StatisticsLayout)? }))
    }

    /// Puts a store without entries at `path`.
    pub fn create(disk: &SharedDisk, path: &Path) -> Result<(), IndexError> {
        Replacement::start(disk, path, StatisticsLayout)?.finish(&[])
    }

    /// The tree behind it.
    pub fn tree(&self) -> &Tree<StatisticsLayout> {
        &self.tree
    }

    /// What is known of an index.
    pub fn get(&self, rule: SchemaId) -> Result<Option<Sample>, IndexError> {
        Ok(self.tree.get(&key_of(rule), Sample::decode)?.flatten())
    }

    /// Calls `visit` with each index and what is known of it.
    pub fn for_each(&self, mut visit: impl FnMut(SchemaId, Sample)) -> Result<(), IndexError> {
        let mut cursor = self.tree.entries()?;
        while let Some((key, value)) = cursor.next()? {
            let rule = rule_of(key).unwrap_or_default();
            let id = u64::try_from(rule).ok().and_then(SchemaId::from_slot);
            let id = id.ok_or_else(|| IndexError::entry(self.tree.path(), "index id", rule))?;
            visit(id, Sample::decode(value).unwrap_or_default());
        }
        Ok(())
    }

    /// Stores what is known of an index.
    pub fn put(&mut self, rule: SchemaId, sample: &Sample) -> Result<(), IndexError> {
        self.tree.update(&key_of(rule), |_| Change::Put(sample.encode()))?;
        Ok(())
    }

    /// Forgets an index; whether something was known of it.
    pub fn remove(&mut self, rule: SchemaId) -> Result<bool, IndexError> {
        Ok(self.tree.remove(&key_of(rule))?)
    }

    /// Makes all of it count and closes the file as clean.
    pub fn finish(self) -> Result<(), IndexError> {
        Ok(self.tree.finish(None)?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::io::disk::OsDisk;

    #[test]
    fn samples_are_kept_by_rule() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("neostore.indexstats.db");
        let open = || Statistics::open(&PageCache::new(0), &OsDisk, &path).unwrap();
        assert!(open().is_none());
        Statistics::create(&OsDisk::shared(), &path).unwrap();
        let sample =
            |n: i64| Sample { unique_values: n, sample_size: 2 * n, updates: 3 * n, index_size: 1 << 40 };
        let mut statistics = open().unwrap();
        for rule in [7, 300, 5, 6] {
            statistics.put(SchemaId(rule), &sample(rule as i64)).unwrap();
        }
        statistics.put(SchemaId(6), &sample(66)).unwrap();
        assert!(statistics.remove(SchemaId(7)).unwrap());
        assert!(!statistics.remove(SchemaId(8)).unwrap());
        statistics.finish().unwrap();
        let statistics = open().unwrap();
        assert!(statistics.tree().was_clean());
        let mut all = Vec::new();
        statistics.for_each(|rule, sample| all.push((rule.0, sample))).unwrap();
        assert_eq!(all, [(5, sample(5)), (6, sample(66)), (300, sample(300))]);
        assert_eq!(statistics.get(SchemaId(300)).unwrap(), Some(sample(300)));
        assert_eq!(statistics.get(SchemaId(7)).unwrap(), None);
    }

    #[test]
    fn slots_have_the_sizes_that_neo4j_gives_them() {
        assert_eq!(key_of(SchemaId(0x0102)), {
            let mut key = [0; 64];
            key[6..8].copy_from_slice(&[1, 2]);
            key
        });
        let bytes = Sample { unique_values: 1, sample_size: 2, updates: 3, index_size: 4 }.encode();
        assert_eq!(bytes.len(), 256);
        assert_eq!([7, 15, 23, 31].map(|at| bytes[at]), [1, 2, 3, 4]);
        assert_eq!(bytes.iter().filter(|&&byte| byte != 0).count(), 4);
    }

    #[test]
    fn a_file_that_is_no_tree_and_a_rule_that_can_t_be_are_errors() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("statistics");
        std::fs::write(&path, [0; 8192]).unwrap();
        let open = || Statistics::open(&PageCache::new(0), &OsDisk, &path);
        assert!(matches!(open(), Err(IndexError::Tree(_))));
        let mut tree = Replacement::start(&OsDisk::shared(), &path, StatisticsLayout).unwrap();
        tree.push(&[0xff; KEY], &[0; VALUE]).unwrap();
        tree.finish(&[]).unwrap();
        let result = open().unwrap().unwrap().for_each(|_, _| {});
        assert!(matches!(result, Err(IndexError::Entry { field: "index id", found: -1, .. })));
    }
}
