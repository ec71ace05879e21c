//! Id files: which ids of a record store are free.
//!
//! Neo4j takes every id below the high id for taken that the file does not list. So a file that lists too few wastes
//! room, and one that lists a record in use lets the next transaction overwrite it.

use std::cmp::Ordering;
use std::ops::Range;
use std::path::Path;

use super::replacement::Replacement;
use super::{IndexError, open_existing};
use crate::gbptree::{Change, Cursor, Layout, LayoutId, NodeFormat, Tree};
use crate::io::disk::{Disk, SharedDisk};
use crate::store::id::RecordId;
use crate::store::layout::RecordStore;
use crate::store::page_cache::PageCache;
use crate::store::record::{DynamicFile, Record, RecordFile};
use crate::store::stores::Stores;

/// Ids that one entry tells of.
const IDS_PER_ENTRY: u64 = u128::BITS as u64;

/// Never given to a record: as an unsigned 32-bit number it is the −1 of old formats.
const RESERVED: u64 = u32::MAX as u64;

/// The generation that a file has which was just built. A lower one says that it must be built.
const BUILT: i64 = 2;

/// Keys and values of an id file: the number of a range of 128 ids (`i64`, signed order), and an [`Entry`].
///
/// Specification: gbptree 5.1, 5.2.2.
#[derive(Clone, Copy, Debug, Default)]
pub struct IdLayout;

impl Layout for IdLayout {
    fn id(&self) -> LayoutId {
        LayoutId { identifier: 0xDEAD_C0DE + IDS_PER_ENTRY as i64, major: 1, minor: 2 }
    }

    fn format(&self) -> NodeFormat {
        NodeFormat::Fixed { key: 8, value: Entry::SIZE }
    }

    fn compare(&self, left: &[u8], right: &[u8]) -> Ordering {
        range_of(left).cmp(&range_of(right))
    }

    fn describe(&self, key: &[u8]) -> String {
        format!("ids from {} * {IDS_PER_ENTRY} on", range_of(key).unwrap_or_default())
    }
}

fn range_of(key: &[u8]) -> Option<i64> {
    key.first_chunk().map(|bytes| i64::from_be_bytes(*bytes))
}

/// What is known of 128 ids.
///
/// | Offset | Size | Field                                                                          |
/// |-------:|-----:|--------------------------------------------------------------------------------|
/// |      0 |    8 | generation of the id file in which the entry was made                          |
/// |      8 |   16 | bit per id: not in use                                                         |
/// |     24 |   16 | bit per id: no transaction can see its record any more, so it may be given away |
/// |     40 |   16 | bit per id: on its way to a transaction                                        |
///
/// Bits: two longs, the one of the lower ids first, each from its lowest bit up. Specification: gbptree 5.2.2.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Entry {
    generation: i64,
    deleted: u128,
    free: u128,
    handed_out: u128,
}

impl Entry {
    const SIZE: usize = 56;

    fn decode(bytes: &[u8]) -> Option<Self> {
        let (generation, rest) = bytes.split_first_chunk::<8>()?;
        let mut sets = rest.as_chunks::<16>().0.iter().copied();
        Some(Self {
            generation: i64::from_be_bytes(*generation),
            deleted: bits(sets.next()?),
            free: bits(sets.next()?),
            handed_out: bits(sets.next()?),
        })
    }

    fn encode(&self) -> [u8; Self::SIZE] {
        let mut bytes = [0; Self::SIZE];
        let (generation, rest) = bytes.split_at_mut(8);
        generation.copy_from_slice(&self.generation.to_be_bytes());
        let sets = rest.as_chunks_mut::<16>().0.iter_mut();
        for (place, set) in sets.zip([self.deleted, self.free, self.handed_out]) {
            *place = set.rotate_left(64).to_be_bytes();
        }
        bytes
    }
}

/// The long of the lower ids stands first, unlike in a number of 128 bits.
fn bits(bytes: [u8; 16]) -> u128 {
    u128::from_be_bytes(bytes).rotate_left(64)
}

/// What the tree keeps in its header.
///
/// | Offset | Size | Field                                                               |
/// |-------:|-----:|---------------------------------------------------------------------|
/// |      0 |    8 | high id: every id in use is below it                                |
/// |      8 |    8 | highest written id: no id above it was ever in use; −1 = none       |
/// |     16 |    8 | generation: 1 until the file is complete, one more with each session |
/// |     24 |    4 | ids per entry: 128                                                  |
///
/// Specification: gbptree 5.2.2.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Header {
    high_id: u64,
    highest_written: i64,
    generation: i64,
}

impl Header {
    const SIZE: usize = 28;

    fn decode(path: &Path, bytes: &[u8]) -> Result<Self, IndexError> {
        let fields: Option<&[u8; Self::SIZE]> = bytes.first_chunk();
        let Some(([high_id, highest_written, generation], ids_per_entry)) =
            fields.map(|fields| fields.as_chunks::<8>()).and_then(|(longs, rest)| {
                Some((longs.first_chunk::<3>()?.map(i64::from_be_bytes), rest.first_chunk::<4>()?))
            })
        else {
            let path = path.to_owned();
            return Err(IndexError::Header { path, length: bytes.len(), wanted: Self::SIZE });
        };
        let fail = |field, found| Err(IndexError::HeaderField { path: path.to_owned(), field, found });
        let ids_per_entry = i64::from(i32::from_be_bytes(*ids_per_entry));
        if ids_per_entry != IDS_PER_ENTRY as i64 {
            return fail("the number of ids per entry", ids_per_entry);
        }
        let Ok(high_id) = u64::try_from(high_id) else { return fail("the high id", high_id) };
        if highest_written < -1 || highest_written == i64::MAX {
            return fail("the highest written id", highest_written);
        }
        if generation == i64::MAX {
            return fail("the generation", generation);
        }
        Ok(Self { high_id, highest_written, generation })
    }

    fn encode(&self) -> [u8; Self::SIZE] {
        let mut bytes = [0; Self::SIZE];
        let fields =
            [self.high_id.to_be_bytes(), self.highest_written.to_be_bytes(), self.generation.to_be_bytes()];
        let ids_per_entry = u128::BITS.to_be_bytes();
        for (place, byte) in bytes.iter_mut().zip(fields.into_iter().flatten().chain(ids_per_entry)) {
            *place = byte;
        }
        bytes
    }
}

/// Ids of one range, a bit for each.
struct Part {
    range: u64,
    ids: u128,
}

/// Ids side by side, cut into ranges, without the reserved one.
fn ranges(ids: Range<u64>) -> impl Iterator<Item = Part> {
    let mut next = ids.start;
    std::iter::from_fn(move || {
        if next >= ids.end {
            return None;
        }
        let (range, from) = (next / IDS_PER_ENTRY, next);
        let start = range * IDS_PER_ENTRY;
        next = ids.end.min(start.saturating_add(IDS_PER_ENTRY));
        let mut bits = u128::MAX >> (IDS_PER_ENTRY - (next - from)) << (from - start);
        if (from..next).contains(&RESERVED) {
            bits &= !(1 << (RESERVED - start));
        }
        Some(Part { range, ids: bits })
    })
}

/// An id file that transactions are replayed into.
#[derive(Debug)]
pub struct IdFile {
    tree: Tree<IdLayout>,
    /// With the generation of this session.
    header: Header,
    /// Ids below it belong to the store's own header records.
    first: u64,
    pending: Pending,
    /// Whether anything was said of an id.
    touched: bool,
}

/// What was said of the ids of one range since it was written last.
#[derive(Clone, Copy, Debug, Default)]
struct Pending {
    range: u64,
    used: u128,
    deleted: u128,
    /// Deleted, and free at once: they were never in use.
    skipped: u128,
}

impl IdFile {
    /// Opens an id file, which may come from a running database. `first`: the least id that is not reserved
    /// ([`Slots::first`](crate::store::record::Slots::first)).
    ///
    /// `None`: it is missing or was never completed; then it must be built from its store. Neo4j does not start with one
    /// that can't be read, which is an error here. Specification: gbptree 5.2.3.
    pub fn open(
        cache: &PageCache,
        disk: &dyn Disk,
        path: &Path,
        first: u64,
    ) -> Result<Option<Self>, IndexError> {
        let Some(file) = open_existing(disk, path)? else { return Ok(None) };
        let tree = Tree::open(cache, file, IdLayout)?;
        let mut header = Header::decode(path, tree.header())?;
        if header.generation < BUILT {
            return Ok(None);
        }
        header.generation += 1;
        Ok(Some(Self { tree, header, first, pending: Pending::default(), touched: false }))
    }

    /// The tree behind it.
    pub fn tree(&self) -> &Tree<IdLayout> {
        &self.tree
    }

    /// Every id in use is below it.
    pub fn high_id(&self) -> u64 {
        self.header.high_id
    }

    /// Makes sure that the high id is at least this.
    pub fn raise_high_id(&mut self, high_id: u64) {
        self.touched = true;
        self.header.high_id = self.header.high_id.max(high_id);
    }

    /// Says whether an id is in use after the replay, and raises the high id above it. Ascending ids are fastest; each
    /// change of the range of 128 ids costs one change of the tree.
    ///
    /// Ids between the highest one that was ever in use and this become free if this is in use: nobody will say it of
    /// them. Specification: gbptree 5.2.4, transaction log 8.5, 8.15 rule 4.
    pub fn mark(&mut self, id: u64, in_use: bool) -> Result<(), IndexError> {
        let Some(next) = id.checked_add(1).filter(|&next| i64::try_from(next).is_ok()) else {
            return Err(IndexError::entry(self.tree.path(), "id", id as i64));
        };
        if id < self.first || id == RESERVED {
            return Ok(());
        }
        self.raise_high_id(next);
        if in_use {
            self.bridge(id)?;
        }
        let bit = 1 << (id % IDS_PER_ENTRY);
        let pending = self.pending(id / IDS_PER_ENTRY)?;
        if in_use {
            pending.used |= bit;
            pending.deleted &= !bit;
        } else {
            pending.deleted |= bit;
            pending.used &= !bit;
        }
        Ok(())
    }

    /// Marks the ids between the highest written one and `id` as free.
    fn bridge(&mut self, id: u64) -> Result<(), IndexError> {
        let next = self.first.max((self.header.highest_written + 1).cast_unsigned());
        if next > id {
            return Ok(());
        }
        for part in ranges(next..id) {
            self.pending(part.range)?.skipped |= part.ids;
        }
        self.header.highest_written = id as i64;
        Ok(())
    }

    /// What is pending for a range, after what is pending for others was written.
    fn pending(&mut self, range: u64) -> Result<&mut Pending, IndexError> {
        if self.pending.range != range {
            self.write_pending()?;
            self.pending.range = range;
        }
        Ok(&mut self.pending)
    }

    fn write_pending(&mut self) -> Result<(), IndexError> {
        let Pending { range, used, deleted, skipped } = std::mem::take(&mut self.pending);
        let (deleted, skipped) = ((deleted | skipped) & !used, skipped & !used);
        if used | deleted == 0 {
            return Ok(());
        }
        let generation = self.header.generation;
        self.tree.update(&range.to_be_bytes(), |old| {
            let old = old.and_then(Entry::decode);
            let entry = old.unwrap_or(Entry { generation, ..Entry::default() });
            let new = Entry {
                generation: entry.generation,
                deleted: entry.deleted & !used | deleted,
                free: entry.free & !used | skipped,
                handed_out: entry.handed_out & !used,
            };
            // An entry that says nothing of any id is removed, or not made.
            if new.deleted == 0 { Change::Remove } else { Change::Put(new.encode()) }
        })?;
        Ok(())
    }

    /// The ids that are marked as not in use, free or not, in ascending order.
    pub fn unused(&mut self) -> Result<UnusedIds<'_>, IndexError> {
        self.write_pending()?;
        Ok(UnusedIds { path: self.tree.path(), cursor: self.tree.entries()? })
    }

    /// Makes all of it count and closes the file as clean. A clean file that nothing was said of stays as it is.
    pub fn finish(mut self) -> Result<(), IndexError> {
        if !self.touched && self.tree.was_clean() {
            return Ok(());
        }
        self.write_pending()?;
        Ok(self.tree.finish(Some(&self.header.encode()))?)
    }
}

/// The ids that an id file marks as not in use.
#[derive(Debug)]
pub struct UnusedIds<'a> {
    path: &'a Path,
    cursor: Cursor<'a, IdLayout>,
}

impl UnusedIds<'_> {
    /// The next 128 ids of which some are not in use: the first id, and a bit for each, from the lowest up.
    pub fn next_range(&mut self) -> Result<Option<(u64, u128)>, IndexError> {
        while let Some((key, value)) = self.cursor.next()? {
            let range = range_of(key).unwrap_or_default();
            let first = u64::try_from(range).ok().and_then(|range| range.checked_mul(IDS_PER_ENTRY));
            let first = first.ok_or_else(|| IndexError::entry(self.path, "range", range))?;
            let deleted = Entry::decode(value).unwrap_or_default().deleted;
            if deleted != 0 {
                return Ok(Some((first, deleted)));
            }
        }
        Ok(None)
    }

    /// Calls `visit` with each id.
    pub fn for_each(mut self, mut visit: impl FnMut(u64)) -> Result<(), IndexError> {
        while let Some((first, mut deleted)) = self.next_range()? {
            while deleted != 0 {
                visit(first + u64::from(deleted.trailing_zeros()));
                deleted &= deleted - 1;
            }
        }
        Ok(())
    }
}

/// Builds the id file of a record store from its records; returns the high id. Specification: gbptree 5.2.3, 5.2.4.
pub fn rebuild(
    stores: &Stores,
    store: RecordStore,
    disk: &SharedDisk,
    path: &Path,
) -> Result<u64, IndexError> {
    let builder = Builder::new(disk, path)?;
    match store {
        RecordStore::Node => builder.scan(&stores.nodes),
        RecordStore::NodeLabels => builder.scan(&stores.node_labels),
        RecordStore::Relationship => builder.scan(&stores.relationships),
        RecordStore::RelationshipGroup => builder.scan(&stores.groups),
        RecordStore::Property => builder.scan(&stores.properties),
        RecordStore::PropertyString => builder.scan(&stores.strings),
        RecordStore::PropertyArray => builder.scan(&stores.arrays),
        RecordStore::Label => builder.scan(&stores.label_tokens),
        RecordStore::LabelName => builder.scan(&stores.label_names),
        RecordStore::RelationshipType => builder.scan(&stores.type_tokens),
        RecordStore::RelationshipTypeName => builder.scan(&stores.type_names),
        RecordStore::PropertyKey => builder.scan(&stores.key_tokens),
        RecordStore::PropertyKeyName => builder.scan(&stores.key_names),
        RecordStore::Schema => builder.scan(&stores.schema),
        // It has fields, not records, and no id file.
        RecordStore::Neostore => Ok(0),
    }
}

/// A store whose slots tell whether they are in use.
trait ScanUse {
    fn first(&self) -> u64;
    fn scan_use(&self, visit: impl FnMut(u64, bool) -> Result<(), IndexError>) -> Result<(), IndexError>;
}

impl<I: RecordId, R: Record> ScanUse for RecordFile<I, R> {
    fn first(&self) -> u64 {
        self.slots().first()
    }

    fn scan_use(&self, visit: impl FnMut(u64, bool) -> Result<(), IndexError>) -> Result<(), IndexError> {
        self.scan_use(visit)
    }
}

impl ScanUse for DynamicFile {
    fn first(&self) -> u64 {
        self.slots().first()
    }

    fn scan_use(&self, visit: impl FnMut(u64, bool) -> Result<(), IndexError>) -> Result<(), IndexError> {
        self.scan_use(visit)
    }
}

/// Builds an id file from the ids that are not in use. Specification: gbptree 5.2.4.
#[derive(Debug)]
pub struct Builder {
    tree: Replacement<IdLayout>,
    range: u64,
    unused: u128,
}

impl Builder {
    /// Starts an id file that will stand at `path`.
    pub fn new(disk: &SharedDisk, path: &Path) -> Result<Self, IndexError> {
        Ok(Self { tree: Replacement::start(disk, path, IdLayout)?, range: 0, unused: 0 })
    }

    /// An id that is not in use and not reserved; each must be greater than the one before.
    pub fn unused(&mut self, id: u64) -> Result<(), IndexError> {
        self.unused_run(id..id.saturating_add(1))
    }

    /// Ids side by side that are not in use; the same conditions.
    pub fn unused_run(&mut self, ids: Range<u64>) -> Result<(), IndexError> {
        for part in ranges(ids) {
            if part.range != self.range {
                self.write_range()?;
                self.range = part.range;
            }
            self.unused |= part.ids;
        }
        Ok(())
    }

    /// Takes the ids from the slots of a store. Slots behind the last one in use are not listed: they are above the
    /// high id.
    fn scan(mut self, store: &impl ScanUse) -> Result<u64, IndexError> {
        let mut high_id = store.first();
        store.scan_use(|id, in_use| {
            if in_use {
                self.unused_run(high_id..id)?;
                high_id = id + 1;
            }
            Ok(())
        })?;
        self.finish(high_id)?;
        Ok(high_id)
    }

    fn write_range(&mut self) -> Result<(), IndexError> {
        let unused = std::mem::take(&mut self.unused);
        if unused == 0 {
            return Ok(());
        }
        let entry = Entry { generation: BUILT, deleted: unused, free: unused, handed_out: 0 };
        self.tree.push(&self.range.to_be_bytes(), &entry.encode())
    }

    /// Completes the file and puts it in its place. `high_id`: one above the highest id in use.
    pub fn finish(mut self, high_id: u64) -> Result<(), IndexError> {
        self.write_range()?;
        let header = Header { high_id, highest_written: high_id as i64 - 1, generation: BUILT };
        self.tree.finish(&header.encode())
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;
    use crate::gbptree::State;
    use crate::io::disk::OsDisk;

    fn open(path: &Path, first: u64) -> IdFile {
        IdFile::open(&PageCache::new(0), &OsDisk, path, first).unwrap().unwrap()
    }

    fn unused(file: &mut IdFile) -> BTreeSet<u64> {
        let mut ids = BTreeSet::new();
        file.unused().unwrap().for_each(|id| assert!(ids.insert(id))).unwrap();
        ids
    }

    fn build(path: &Path, ids: impl IntoIterator<Item = u64>, high_id: u64) {
        let mut builder = Builder::new(&OsDisk::shared(), path).unwrap();
        ids.into_iter().try_for_each(|id| builder.unused(id)).unwrap();
        builder.finish(high_id).unwrap();
    }

    /// All that is not zero of the worked example of the specification, gbptree 5.2.5: offset and bytes.
    const WORKED: [(usize, &str); 15] = [
        (0x0000, "00000002 00002000 00000000deadc15e 00000001 00000002"),
        (0x2000, "00000002 00000003 0000000000000003 0000000000000002 0000000000000004"),
        (0x2020, "0000000000000004 0000000000000004 00000000 00000000 01"),
        (0x2039, "00000002 00000003 0000000000000003 0000000000000002 0000000000000004"),
        (0x2059, "0000000000000004 0000000000000004 00000000 00000000 01"),
        (0x2072, "0000001c 000000000000012c 000000000000012b 0000000000000002 00000080"),
        (0x6000, "01 01 00000002 00000002"),
        (0x600a, "00000002 000000000000 0002"),
        (0x6022, "00000002 000000000000 0002"),
        (0x603a, "00000002 000000000000 0002"),
        (0x6052, "0000000000000000 0000000000000001"),
        (0x6442, "0000000000000002 0000000000000008 0000000000000000 0000000000000008"),
        (0x647a, "0000000000000002 0000000000000001 0000001000000000"),
        (0x6492, "0000000000000001 0000001000000000"),
        (0x8000, "02"),
    ];

    #[test]
    fn the_worked_file_is_built_byte_for_byte() {
        let mut expected = vec![0; 5 * 8192];
        for (offset, text) in WORKED {
            let digits: Vec<u8> = text.bytes().filter(|byte| *byte != b' ').collect();
            for (at, pair) in digits.chunks(2).enumerate() {
                let pair = std::str::from_utf8(pair).unwrap();
                expected[offset + at] = u8::from_str_radix(pair, 16).unwrap();
            }
        }
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("neostore.nodestore.db.id");
        build(&path, [3, 128, 228], 300);
        let bytes = std::fs::read(&path).unwrap();
        assert_eq!(bytes.len(), expected.len());
        let different = bytes.iter().zip(&expected).position(|(a, b)| a != b);
        assert_eq!(different, None, "first difference at {different:#x?}");
        assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 1, "nothing else is left");
        let mut file = open(&path, 0);
        assert_eq!(file.high_id(), 300);
        assert_eq!(unused(&mut file), BTreeSet::from([3, 128, 228]));
    }

    #[test]
    fn ids_that_were_never_written_become_free_and_reserved_ones_never() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("id");
        build(&path, [2], RESERVED - 300);
        let mut file = open(&path, 1);
        file.mark(0, false).unwrap();
        file.mark(RESERVED - 2, true).unwrap();
        file.mark(RESERVED, false).unwrap();
        file.mark(RESERVED + 3, true).unwrap();
        file.raise_high_id(RESERVED + 9);
        file.finish().unwrap();
        let mut file = open(&path, 1);
        assert!(file.tree().was_clean());
        assert_eq!(file.high_id(), RESERVED + 9);
        let skipped = (RESERVED - 300..RESERVED - 2).chain([RESERVED - 1, RESERVED + 1, RESERVED + 2]);
        assert_eq!(unused(&mut file), skipped.chain([2]).collect());
        // Nothing was ever written, and the first id is not for records.
        build(&path, [], 0);
        let mut file = open(&path, 1);
        file.mark(3, true).unwrap();
        assert_eq!(unused(&mut file), BTreeSet::from([1, 2]));
    }

    #[test]
    fn entries_keep_their_generation_and_new_ones_get_that_of_the_session() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("id");
        build(&path, [1, 2, 300], 400);
        for (session, marks) in
            [(3, [(1, true), (5, false), (500, false)]), (4, [(300, true), (2, true), (5, true)])]
        {
            let mut file = open(&path, 0);
            for (id, in_use) in marks {
                file.mark(id, in_use).unwrap();
            }
            file.finish().unwrap();
            assert_eq!(Header::decode(&path, open(&path, 0).tree.header()).unwrap().generation, session);
        }
        let mut file = open(&path, 0);
        let entry = |range: u64| file.tree.get(&range.to_be_bytes(), Entry::decode).unwrap().flatten();
        assert_eq!(entry(0), None, "an entry without ids is removed");
        assert_eq!(entry(2), None);
        // Deleted, and not yet free: 500 was in use until now.
        let expected = Entry { generation: 3, deleted: 1 << (500 - 384), free: 0, handed_out: 0 };
        assert_eq!(entry(3), Some(expected));
        assert_eq!(unused(&mut file), BTreeSet::from([500]));
    }

    #[test]
    fn a_file_that_was_never_completed_must_be_built_and_a_broken_one_is_an_error() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("id");
        let result = |path: &Path| IdFile::open(&PageCache::new(0), &OsDisk, path, 0);
        assert!(result(&path).unwrap().is_none());
        let with_header = |header: &[u8]| {
            let tree = Replacement::start(&OsDisk::shared(), &path, IdLayout).unwrap();
            tree.finish(header).unwrap();
        };
        let good = Header { high_id: 7, highest_written: 6, generation: 2 };
        with_header(&Header { generation: 1, ..good }.encode());
        assert!(result(&path).unwrap().is_none());
        with_header(&good.encode()[..27]);
        assert!(matches!(result(&path), Err(IndexError::Header { length: 27, wanted: 28, .. })));
        for (offset, field) in
            [(0, "the high id"), (8, "the highest written id"), (24, "the number of ids per entry")]
        {
            let mut header = good.encode();
            header[offset] |= 0x80;
            with_header(&header);
            let error = result(&path).unwrap_err().to_string();
            assert!(error.contains(field), "{error}");
        }
        with_header(&Header { generation: i64::MAX, ..good }.encode());
        assert!(matches!(result(&path), Err(IndexError::HeaderField { field: "the generation", .. })));
        std::fs::write(&path, b"").unwrap();
        assert!(matches!(result(&path), Err(IndexError::Tree(_))));
        with_header(&good.encode());
        let mut file = open(&path, 0);
        assert!(file.mark(u64::MAX, true).is_err());
        let mut tree = Replacement::start(&OsDisk::shared(), &path, IdLayout).unwrap();
        tree.push(&(-1_i64).to_be_bytes(), &Entry { deleted: 1, ..Entry::default() }.encode()).unwrap();
        tree.finish(&good.encode()).unwrap();
        let mut file = open(&path, 0);
        assert!(matches!(file.unused().unwrap().next_range(), Err(IndexError::Entry { found: -1, .. })));
    }

    #[test]
    fn a_file_left_by_a_running_database_is_read_as_of_its_checkpoint_and_cleaned() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("id");
        // More leaves than the smallest cache holds, so that pages are written back before the end.
        build(&path, (0..20_000).map(|range| range * 128), 20_000 * 128);
        let mut file = open(&path, 0);
        let before = unused(&mut file);
        let pages = std::fs::metadata(&path).unwrap().len();
        for range in 0..20_000 {
            file.mark(range * 128 + 5, false).unwrap();
        }
        // As if the process was killed.
        drop(file);
        assert!(std::fs::metadata(&path).unwrap().len() > pages + 50 * 8192);
        let stored: Vec<_> = std::fs::read(&path)
            .unwrap()
            .chunks(8192)
            .skip(1)
            .take(2)
            .map(|page| State::decode(page).unwrap())
            .collect();
        assert!(stored.iter().any(|page| page.valid && !page.state.clean));
        let mut file = open(&path, 0);
        assert!(!file.tree().was_clean());
        assert_eq!(unused(&mut file), before);
        file.mark(4, false).unwrap();
        file.finish().unwrap();
        let mut file = open(&path, 0);
        assert!(file.tree().was_clean());
        let mut found = Vec::new();
        file.tree().check(&mut |inconsistency| found.push(inconsistency)).unwrap();
        assert_eq!(found, []);
        let mut expected = before;
        expected.insert(4);
        assert_eq!(unused(&mut file), expected);
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        #[test]
        fn an_id_file_knows_what_a_set_of_ids_would_know(
            first in 0_u64..2,
            free in proptest::collection::btree_set(1_u64..2_000, 0..200),
            sessions in proptest::collection::vec(
                proptest::collection::btree_map(1_u64..3_000, any::<bool>(), 0..150), 1..4),
        ) {
            let dir = tempfile::tempdir().unwrap();
            let path = dir.path().join("id");
            let high_id = free.last().map_or(first, |last| last + 1);
            build(&path, free.iter().copied(), high_id);
            let (mut model, mut highest, mut high_id) = (free, high_id as i64 - 1, high_id);
            for marks in sessions {
                let mut file = open(&path, first);
                for (&id, &in_use) in &marks {
                    file.mark(id, in_use).unwrap();
                    high_id = high_id.max(id + 1);
                    if in_use {
                        let from = first.max((highest + 1) as u64);
                        model.extend(from..id);
                        highest = highest.max(id as i64);
                        model.remove(&id);
                    } else {
                        model.insert(id);
                    }
                }
                prop_assert_eq!(&unused(&mut file), &model);
                file.finish().unwrap();
                let mut file = open(&path, first);
                prop_assert_eq!(file.high_id(), high_id);
                prop_assert_eq!(&unused(&mut file), &model);
            }
        }
    }
}
