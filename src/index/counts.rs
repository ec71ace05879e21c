//! The counts store and the degrees store: numbers of nodes and relationships, and degrees of dense nodes.
//!
//! Both are trees of one layout. Each knows of which transactions it contains the effect, for a transaction says by how
//! much a number changes, and must be counted once.

use std::cmp::Ordering;
use std::path::Path;

use super::replacement::Replacement;
use super::{IndexError, open_existing};
use crate::gbptree::{Bound, Change, Cursor, Layout, LayoutId, NodeFormat, Tree};
use crate::io::disk::{Disk, SharedDisk};
use crate::store::id::{GroupId, LabelId, RelationshipTypeId, TransactionId};
use crate::store::page_cache::PageCache;
use crate::store::record::Direction;

/// Keys and values of counts and degrees: a [`CountKey`] or a stray transaction, and a long. Specification: gbptree 5.3.
#[derive(Clone, Copy, Debug, Default)]
pub struct CountsLayout;

impl Layout for CountsLayout {
    fn id(&self) -> LayoutId {
        LayoutId::named(b"CoLa", 987, 0, 1)
    }

    fn format(&self) -> NodeFormat {
        NodeFormat::Fixed { key: CountKey::SIZE, value: 8 }
    }

    fn compare(&self, left: &[u8], right: &[u8]) -> Ordering {
        StoredKey::decode(left).cmp(&StoredKey::decode(right))
    }

    fn describe(&self, key: &[u8]) -> String {
        let StoredKey { kind, first, second } = StoredKey::decode(key).unwrap_or_default();
        if kind == STRAY {
            return format!("Stray tx id:{first}");
        }
        format!("CountsKey[type:{kind}, first:{first}, second:{second}]")
    }
}

/// A key as it is stored.
///
/// | Offset | Size | Field                       |
/// |-------:|-----:|-----------------------------|
/// |      0 |    1 | type, see below             |
/// |      1 |    8 | first                       |
/// |      9 |    4 | second                      |
///
/// | Type | First                              | Second          | Value                                        |
/// |-----:|------------------------------------|-----------------|----------------------------------------------|
/// |    0 | transaction id                     | 0               | 0: its effect is in the tree, see [`CountsStore::has_applied`] |
/// |    1 | label, −1 any                      | 0               | nodes                                        |
/// |    2 | start label, −1 any; type, −1 any  | end label, −1 any | relationships                              |
/// |    3 | group · 4 + direction              | 0               | relationships of that chain                  |
///
/// Order: the three fields, signed. Specification: gbptree 5.3.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
struct StoredKey {
    kind: i8,
    first: i64,
    second: i32,
}

const STRAY: i8 = 0;
const NODES: i8 = 1;
const RELATIONSHIPS: i8 = 2;
const DEGREE: i8 = 3;

impl StoredKey {
    fn decode(key: &[u8]) -> Option<Self> {
        let (&kind, key) = key.split_first()?;
        let (first, second) = key.split_first_chunk()?;
        Some(Self {
            kind: kind.cast_signed(),
            first: i64::from_be_bytes(*first),
            second: i32::from_be_bytes(*second.first_chunk()?),
        })
    }

    fn encode(self) -> [u8; CountKey::SIZE] {
        let [k0] = self.kind.to_be_bytes();
        let [f0, f1, f2, f3, f4, f5, f6, f7] = self.first.to_be_bytes();
        let [s0, s1, s2, s3] = self.second.to_be_bytes();
        [k0, f0, f1, f2, f3, f4, f5, f6, f7, s0, s1, s2, s3]
    }

    fn stray(transaction: i64) -> Self {
        Self { kind: STRAY, first: transaction, second: 0 }
    }

    /// The same with inverted signs: then the order of the bytes is that of the numbers.
    fn inverted(self) -> Self {
        Self { kind: self.kind ^ i8::MIN, first: self.first ^ i64::MIN, second: self.second ^ i32::MIN }
    }

    /// `None`: a stray transaction, or a kind or direction that does not exist.
    fn count(self) -> Option<CountKey> {
        let label = LabelId::from_field;
        match self.kind {
            NODES => Some(CountKey::Nodes { label: label(i32::try_from(self.first).ok()?) }),
            RELATIONSHIPS => Some(CountKey::Relationships {
                start: label(high(self.first)),
                kind: RelationshipTypeId::from_field(low(self.first)),
                end: label(self.second),
            }),
            DEGREE => {
                let direction = Direction::ALL.into_iter().find(|&at| at as i64 == self.first & 3)?;
                Some(CountKey::Degree { group: GroupId(self.first.cast_unsigned() >> 2), direction })
            }
            _ => None,
        }
    }
}

fn high(first: i64) -> i32 {
    let [h0, h1, h2, h3, ..] = first.to_be_bytes();
    i32::from_be_bytes([h0, h1, h2, h3])
}

fn low(first: i64) -> i32 {
    let [.., l0, l1, l2, l3] = first.to_be_bytes();
    i32::from_be_bytes([l0, l1, l2, l3])
}

/// What is counted.
///
/// The order is that of the trees, in which "any" label comes before all others, and "any" type behind them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum CountKey {
    /// Nodes with a label; `None`: all nodes.
    Nodes {
        /// The label.
        label: Option<LabelId>,
    },
    /// Relationships; `None`: whatever it is. Neo4j never counts by both labels.
    Relationships {
        /// A label of the start node.
        start: Option<LabelId>,
        /// The type.
        kind: Option<RelationshipTypeId>,
        /// A label of the end node.
        end: Option<LabelId>,
    },
    /// Relationships of one chain of a group.
    Degree {
        /// The group.
        group: GroupId,
        /// Which of its chains.
        direction: Direction,
    },
}

impl CountKey {
    /// Bytes of a key, stored or sortable.
    pub const SIZE: usize = 13;

    fn stored(self) -> StoredKey {
        match self {
            Self::Nodes { label } => {
                StoredKey { kind: NODES, first: LabelId::to_field(label).into(), second: 0 }
            }
            Self::Relationships { start, kind, end } => {
                let start = i64::from(LabelId::to_field(start));
                let kind = i64::from(RelationshipTypeId::to_field(kind).cast_unsigned());
                StoredKey { kind: RELATIONSHIPS, first: start << 32 | kind, second: LabelId::to_field(end) }
            }
            Self::Degree { group, direction } => {
                let first = (group.0 << 2).cast_signed() | direction as i64;
                StoredKey { kind: DEGREE, first, second: 0 }
            }
        }
    }

    /// Bytes as they are in the tree.
    pub fn to_stored(self) -> [u8; Self::SIZE] {
        self.stored().encode()
    }

    /// Bytes whose order is that of the keys.
    pub fn to_sortable(self) -> [u8; Self::SIZE] {
        self.stored().inverted().encode()
    }

    /// The reverse; `None`: the bytes are no key.
    pub fn from_sortable(bytes: &[u8]) -> Option<Self> {
        StoredKey::decode(bytes)?.inverted().count()
    }
}

impl PartialOrd for CountKey {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for CountKey {
    fn cmp(&self, other: &Self) -> Ordering {
        self.stored().cmp(&other.stored())
    }
}

/// What became of a number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub enum Counted {
    /// It is what it should be.
    Sound,
    /// It would be less than nothing, or was before: the store and the transactions contradict each other. It is stored
    /// as −1, which Neo4j takes for unknown. Whoever recovers should say so.
    Negative,
}

/// Stored in the place of a negative number.
const INVALID: i64 = -1;

/// The counts store, or the degrees store.
#[derive(Debug)]
pub struct CountsStore {
    tree: Tree<CountsLayout>,
    last: TransactionId,
    /// Of the transactions after `last` that were applied out of order.
    highest_stray: i64,
}

impl CountsStore {
    /// Opens a store, which may come from a running database.
    ///
    /// `None`: it must be built anew, for it is missing, is no tree of this kind, or was never completed.
    /// Specification: gbptree 5.3.
    pub fn open(cache: &PageCache, disk: &dyn Disk, path: &Path) -> Result<Option<Self>, IndexError> {
        let Some(file) = open_existing(disk, path)? else { return Ok(None) };
        let tree = match Tree::open(cache, file, CountsLayout) {
            Ok(tree) => tree,
            Err(error) if error.is_mismatch() => return Ok(None),
            Err(error) => return Err(error.into()),
        };
        let Some(header) = tree.header().first_chunk() else {
            let length = tree.header().len();
            return Err(IndexError::Header { path: path.to_owned(), length, wanted: 8 });
        };
        let last = i64::from_be_bytes(*header);
        if last == 0 {
            return Ok(None);
        }
        let mut highest_stray = last;
        let mut strays = strays(&tree)?;
        while let Some((key, _)) = strays.next()? {
            highest_stray = highest_stray.max(StoredKey::decode(key).unwrap_or_default().first);
        }
        drop(strays);
        Ok(Some(Self { tree, last: TransactionId(last), highest_stray }))
    }

    /// The tree behind it.
    pub fn tree(&self) -> &Tree<CountsLayout> {
        &self.tree
    }

    /// The last transaction up to which the effect of all is in the store.
    pub fn last_applied(&self) -> TransactionId {
        self.last
    }

    /// Whether the effect of a transaction is in the store: of all up to the last gap-free one, and of those that a
    /// checkpoint met while others before them were still on their way. Specification: gbptree 5.3, transaction log 8.6.
    pub fn has_applied(&self, transaction: TransactionId) -> Result<bool, IndexError> {
        if transaction <= self.last || transaction.0 > self.highest_stray {
            return Ok(transaction <= self.last);
        }
        Ok(self.tree.get(&StoredKey::stray(transaction.0).encode(), |_| ())?.is_some())
    }

    /// A number; 0 if nothing is stored, −1 if it is unknown.
    pub fn get(&self, key: CountKey) -> Result<i64, IndexError> {
        Ok(self.tree.get(&key.stored().encode(), decode_count)?.unwrap_or(0))
    }

    /// Adds to a number. Ascending keys are fastest.
    pub fn add(&mut self, key: CountKey, delta: i64) -> Result<Counted, IndexError> {
        let mut counted = Counted::Sound;
        self.tree.update(&key.stored().encode(), |old| {
            let old = old.map_or(0, decode_count);
            if old < 0 {
                counted = Counted::Negative;
                return Change::Keep;
            }
            let new = old.saturating_add(delta);
            if new < 0 {
                counted = Counted::Negative;
            }
            match new {
                0 => Change::Remove,
                _ => Change::Put(new.max(INVALID).to_be_bytes()),
            }
        })?;
        Ok(counted)
    }

    /// All numbers, in the order of their keys.
    pub fn entries(&self) -> Result<CountEntries<'_>, IndexError> {
        Ok(CountEntries { path: self.tree.path(), cursor: self.tree.entries()? })
    }

    /// Says that the effect of all transactions up to `last` is in the store, makes all of it count and closes the file
    /// as clean.
    pub fn finish(mut self, last: TransactionId) -> Result<(), IndexError> {
        while let Some(stray) = self.first_stray()? {
            self.tree.remove(&stray.encode())?;
        }
        Ok(self.tree.finish(Some(&last.0.to_be_bytes()))?)
    }

    fn first_stray(&self) -> Result<Option<StoredKey>, IndexError> {
        Ok(strays(&self.tree)?.next()?.and_then(|(key, _)| StoredKey::decode(key)))
    }
}

fn strays(tree: &Tree<CountsLayout>) -> Result<Cursor<'_, CountsLayout>, IndexError> {
    let [from, to] =
        [STRAY, NODES].map(|kind| StoredKey { kind, first: i64::MIN, second: i32::MIN }.encode());
    Ok(tree.range(Bound::Key(&from), Bound::Key(&to))?)
}

fn decode_count(value: &[u8]) -> i64 {
    value.first_chunk().map_or(0, |bytes| i64::from_be_bytes(*bytes))
}

/// Reads a counts or degrees store.
#[derive(Debug)]
pub struct CountEntries<'a> {
    path: &'a Path,
    cursor: Cursor<'a, CountsLayout>,
}

impl CountEntries<'_> {
    /// The next number and what it counts; `None` at the end. −1: it is unknown.
    #[expect(clippy::should_implement_trait, reason = "an iterator could not stop at an error")]
    pub fn next(&mut self) -> Result<Option<(CountKey, i64)>, IndexError> {
        while let Some((key, value)) = self.cursor.next()? {
            let stored = StoredKey::decode(key).unwrap_or_default();
            if stored.kind == STRAY {
                continue;
            }
            let key =
                stored.count().ok_or_else(|| IndexError::entry(self.path, "key type", stored.kind.into()))?;
            return Ok(Some((key, decode_count(value))));
        }
        Ok(None)
    }
}

/// Builds a counts or degrees store from sorted numbers.
#[derive(Debug)]
pub struct Builder {
    tree: Replacement<CountsLayout>,
}

impl Builder {
    /// Starts a store that will stand at `path`.
    pub fn new(disk: &SharedDisk, path: &Path) -> Result<Self, IndexError> {
        Ok(Self { tree: Replacement::start(disk, path, CountsLayout)? })
    }

    /// Adds a number; each key must be greater than the one before. Nothing is stored for 0.
    pub fn push(&mut self, key: CountKey, count: u64) -> Result<(), IndexError> {
        if count == 0 {
            return Ok(());
        }
        let count = i64::try_from(count).unwrap_or(i64::MAX);
        self.tree.push(&key.stored().encode(), &count.to_be_bytes())
    }

    /// Completes the store and puts it in its place. `last`: the last transaction whose effect is in it.
    pub fn finish(self, last: TransactionId) -> Result<(), IndexError> {
        self.tree.finish(&last.0.to_be_bytes())
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;
    use crate::io::disk::OsDisk;

    fn open(path: &Path) -> CountsStore {
        CountsStore::open(&PageCache::new(0), &OsDisk, path).unwrap().unwrap()
    }

    fn build(path: &Path, counts: impl IntoIterator<Item = (CountKey, u64)>, last: i64) {
        let mut builder = Builder::new(&OsDisk::shared(), path).unwrap();
        counts.into_iter().try_for_each(|(key, count)| builder.push(key, count)).unwrap();
        builder.finish(TransactionId(last)).unwrap();
    }

    fn entries(store: &CountsStore) -> Vec<(CountKey, i64)> {
        let (mut all, mut entries) = (Vec::new(), store.entries().unwrap());
        while let Some(entry) = entries.next().unwrap() {
            all.push(entry);
        }
        all
    }

    fn nodes(label: u32) -> CountKey {
        CountKey::Nodes { label: Some(LabelId(label)) }
    }

    /// A tree with keys that this room would not write.
    fn with_keys(path: &Path, keys: &[StoredKey], last: i64) {
        let mut tree = Replacement::start(&OsDisk::shared(), path, CountsLayout).unwrap();
        keys.iter().try_for_each(|key| tree.push(&key.encode(), &0_i64.to_be_bytes())).unwrap();
        tree.finish(&last.to_be_bytes()).unwrap();
    }

    #[test]
    fn keys_are_stored_as_in_the_specification() {
        let key = CountKey::Nodes { label: Some(LabelId(192)) };
        assert_eq!(key.stored().encode(), [1, 0, 0, 0, 0, 0, 0, 0, 0xc0, 0, 0, 0, 0]);
        let key = CountKey::Relationships {
            start: Some(LabelId(95)),
            kind: Some(RelationshipTypeId(95)),
            end: None,
        };
        assert_eq!(key.stored().encode(), [2, 0, 0, 0, 0x5f, 0, 0, 0, 0x5f, 0xff, 0xff, 0xff, 0xff]);
        let key = CountKey::Degree { group: GroupId(5), direction: Direction::Loop };
        assert_eq!(key.stored().encode(), [3, 0, 0, 0, 0, 0, 0, 0, 22, 0, 0, 0, 0]);
    }

    #[test]
    fn a_count_that_reaches_nothing_is_removed_and_one_below_is_unknown_for_ever() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("neostore.counts.db");
        build(&path, [(nodes(1), 5), (nodes(2), 0), (nodes(3), 7)], 9);
        let mut store = open(&path);
        assert_eq!(entries(&store), [(nodes(1), 5), (nodes(3), 7)]);
        assert_eq!(store.add(nodes(1), -5).unwrap(), Counted::Sound);
        assert_eq!(store.add(nodes(2), 3).unwrap(), Counted::Sound);
        assert_eq!(store.add(nodes(3), -8).unwrap(), Counted::Negative);
        assert_eq!(store.add(nodes(3), 100).unwrap(), Counted::Negative);
        assert_eq!(store.add(nodes(4), -1).unwrap(), Counted::Negative);
        assert_eq!(store.add(nodes(5), i64::MAX).unwrap(), Counted::Sound);
        assert_eq!(store.add(nodes(5), i64::MAX).unwrap(), Counted::Sound);
        assert_eq!(store.add(nodes(6), 0).unwrap(), Counted::Sound);
        store.finish(TransactionId(12)).unwrap();
        let store = open(&path);
        assert!(store.tree().was_clean());
        assert_eq!(store.last_applied(), TransactionId(12));
        let expected = [(nodes(2), 3), (nodes(3), -1), (nodes(4), -1), (nodes(5), i64::MAX)];
        assert_eq!(entries(&store), expected);
        assert_eq!([1, 3, 2].map(|label| store.get(nodes(label)).unwrap()), [0, -1, 3]);
    }

    #[test]
    fn transactions_that_went_ahead_of_others_count_once() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("counts");
        let any = CountKey::Nodes { label: None }.stored();
        with_keys(&path, &[StoredKey::stray(12), StoredKey::stray(15), any], 10);
        let store = open(&path);
        let applied = |id| store.has_applied(TransactionId(id)).unwrap();
        assert_eq!(
            [9, 10, 11, 12, 13, 14, 15, 16].map(applied),
            [true, true, false, true, false, false, true, false]
        );
        store.finish(TransactionId(16)).unwrap();
        let store = open(&path);
        assert_eq!(store.tree().check(&mut |found| panic!("{found}")).unwrap().entries, 1);
        assert!(store.has_applied(TransactionId(16)).unwrap());
        assert!(!store.has_applied(TransactionId(17)).unwrap());
    }

    #[test]
    fn a_store_that_was_never_completed_must_be_built_and_a_broken_one_is_an_error() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("counts");
        let result = || CountsStore::open(&PageCache::new(0), &OsDisk, &path);
        assert!(result().unwrap().is_none());
        std::fs::write(&path, b"").unwrap();
        assert!(result().unwrap().is_none());
        with_keys(&path, &[], 0);
        assert!(result().unwrap().is_none());
        let tree = Replacement::start(&OsDisk::shared(), &path, CountsLayout).unwrap();
        tree.finish(&[0; 7]).unwrap();
        assert!(matches!(result(), Err(IndexError::Header { length: 7, .. })));
        for key in [
            StoredKey { kind: 4, first: 1, second: 0 },
            StoredKey { kind: DEGREE, first: 3, second: 0 },
            StoredKey { kind: NODES, first: i64::MAX, second: 0 },
            StoredKey { kind: -1, first: 0, second: 0 },
        ] {
            with_keys(&path, &[key], 7);
            assert!(
                matches!(open(&path).entries().unwrap().next(), Err(IndexError::Entry { .. })),
                "{key:?}"
            );
        }
        // Neither state counts, and nobody can tell which one should.
        with_keys(&path, &[], 7);
        let mut bytes = std::fs::read(&path).unwrap();
        bytes.copy_within(8192..2 * 8192, 2 * 8192);
        std::fs::write(&path, bytes).unwrap();
        assert!(matches!(result(), Err(IndexError::Tree(_))));
    }

    fn key() -> impl Strategy<Value = CountKey> {
        let label = || proptest::option::of(prop_oneof![0_u32..4, Just(i32::MAX as u32)].prop_map(LabelId));
        let kind = || proptest::option::of((0_u32..3).prop_map(RelationshipTypeId));
        let group = prop_oneof![0_u64..50, Just((1 << 50) - 1)].prop_map(GroupId);
        let direction = (0_usize..3).prop_map(|at| Direction::ALL[at]);
        prop_oneof![
            label().prop_map(|label| CountKey::Nodes { label }),
            (label(), kind(), label()).prop_map(|(start, kind, end)| CountKey::Relationships {
                start,
                kind,
                end
            }),
            (group, direction).prop_map(|(group, direction)| CountKey::Degree { group, direction }),
        ]
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        #[test]
        fn sortable_keys_have_the_order_of_the_tree(a in key(), b in key()) {
            prop_assert_eq!(CountKey::from_sortable(&a.to_sortable()), Some(a));
            prop_assert_eq!(a.to_sortable().cmp(&b.to_sortable()), a.cmp(&b));
            prop_assert_eq!(CountsLayout.compare(&a.stored().encode(), &b.stored().encode()), a.cmp(&b));
        }

        #[test]
        fn a_store_counts_as_a_map_would_count(
            start in proptest::collection::btree_map(key(), 1_u64..5, 0..400),
            changes in proptest::collection::vec((key(), -4_i64..8), 0..600),
        ) {
            let dir = tempfile::tempdir().unwrap();
            let path = dir.path().join("counts");
            build(&path, start.iter().map(|(&key, &count)| (key, count)), 3);
            let mut model: BTreeMap<CountKey, i64> =
                start.into_iter().map(|(key, count)| (key, count as i64)).collect();
            let mut store = open(&path);
            for (key, delta) in changes {
                let count = model.entry(key).or_default();
                let mut expected = Counted::Negative;
                if *count >= 0 {
                    *count = (*count + delta).max(-1);
                    if *count >= 0 {
                        expected = Counted::Sound;
                    }
                }
                prop_assert_eq!(store.add(key, delta).unwrap(), expected);
            }
            model.retain(|_, count| *count != 0);
            let expected: Vec<(CountKey, i64)> = model.into_iter().collect();
            prop_assert_eq!(&entries(&store), &expected);
            store.finish(TransactionId(4)).unwrap();
            prop_assert_eq!(entries(&open(&path)), expected);
        }
    }
}
