//! Id files: which ids of a record store are free.
//!
//! Neo4j takes every id below the high id for taken that the file does not list. So a file that lists too few wastes
//! room, and one that lists a record in use lets the next transaction overwrite it.

use std::cmp::Ordering;
use std::path::Path;

use super::replacement::Replacement;
use super::{IndexError, open_existing};
use crate::gbptree::{Change, Cursor, Layout, LayoutId, NodeFormat, Tree};
use crate::io::disk::{Disk, SharedDisk};
use crate::store::page_cache::PageCache;

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

/// An id file that transactions are replayed into.
#[derive(Debug)]
pub struct IdFile {
    tree: Tree<IdLayout>,
    /// With the generation of this session.
    header: Header,
    /// Ids below it belong to the store's own header records.
    first: u64,
    pending: Pending,
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
        Ok(Some(Self { tree, header, first, pending: Pending::default() }))
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
        let mut next = self.first.max((self.header.highest_written + 1).cast_unsigned());
        if next > id {
            return Ok(());
        }
        while next < id {
            let range = next / IDS_PER_ENTRY;
            let start = range * IDS_PER_ENTRY;
            let end = id.min(start + IDS_PER_ENTRY);
            let mut skipped = u128::MAX >> (IDS_PER_ENTRY - (end - next)) << (next - start);
            if (next..end).contains(&RESERVED) {
                skipped &= !(1 << (RESERVED - start));
            }
            self.pending(range)?.skipped |= skipped;
            next = end;
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

    /// Makes all of it count and closes the file as clean.
    pub fn finish(mut self) -> Result<(), IndexError> {
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
        if id == RESERVED {
            return Ok(());
        }
        let range = id / IDS_PER_ENTRY;
        if range != self.range {
            self.write_range()?;
            self.range = range;
        }
        self.unused |= 1 << (id % IDS_PER_ENTRY);
        Ok(())
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
