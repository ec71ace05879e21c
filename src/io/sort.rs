//! External merge sort of byte records: sorts more than the memory holds, in bounded memory.
//!
//! Records are collected in one buffer with a table of 16 bytes per record. When both reach the bound, the table is
//! sorted and the records go to the scratch file as a run. At the end the runs are merged, each read through a large
//! buffer of its own; when there are more runs than buffers, neighbouring runs are merged to longer ones before. What
//! fits into the memory is never written.

use std::cmp::Ordering;
use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{self, AtomicU64};

use super::disk::{DiskError, DiskFile, SharedDisk};

/// A directory for temporary files. Cheap to clone; when the last clone and the last file of it are gone, the directory
/// is removed.
#[derive(Clone, Debug)]
pub struct Scratch {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    disk: SharedDisk,
    directory: PathBuf,
    /// Number of the next file.
    next: AtomicU64,
}

/// How the names of scratch files begin.
const PREFIX: &str = "run-";

impl Scratch {
    /// Makes the directory, or takes over the one of a run that was killed and deletes that run's files. Its parent must
    /// exist, and no other process may use it.
    pub fn open(disk: SharedDisk, directory: &Path) -> Result<Self, DiskError> {
        match std::fs::read_dir(directory) {
            Ok(entries) => {
                for entry in entries {
                    let entry = entry.map_err(|source| DiskError::new("list", directory, source))?;
                    if entry.file_name().to_string_lossy().starts_with(PREFIX) {
                        disk.remove_file(&entry.path())?;
                    }
                }
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => disk.create_dir(directory)?,
            Err(source) => return Err(DiskError::new("list", directory, source)),
        }
        let shared = Shared { disk, directory: directory.to_owned(), next: AtomicU64::new(0) };
        Ok(Self { shared: Arc::new(shared) })
    }

    /// A new empty file; it is deleted when it is dropped.
    pub fn file(&self) -> Result<ScratchFile, DiskError> {
        let number = self.shared.next.fetch_add(1, atomic::Ordering::Relaxed);
        let path = self.shared.directory.join(format!("{PREFIX}{number}"));
        let file = self.shared.disk.create(&path, 0o600)?;
        Ok(ScratchFile { file, scratch: self.clone() })
    }
}

impl Drop for Shared {
    fn drop(&mut self) {
        // A directory that can't be removed now, as after a fault of the medium, is taken over by the next run.
        let _ = self.disk.remove_dir(&self.directory);
    }
}

/// A temporary file.
#[derive(Debug)]
pub struct ScratchFile {
    file: Box<dyn DiskFile>,
    scratch: Scratch,
}

impl ScratchFile {
    /// The file itself.
    pub fn file(&self) -> &dyn DiskFile {
        &*self.file
    }
}

impl Drop for ScratchFile {
    fn drop(&mut self) {
        // The next run deletes what is left.
        let _ = self.scratch.shared.disk.remove_file(self.file.path());
    }
}

/// The order of records.
pub trait Order: Clone + Send {
    /// A number that never falls from one record to a greater one, so that most comparisons need not touch the records.
    fn prefix(&self, _record: &[u8]) -> u64 {
        0
    }

    /// Which record comes first. Equal ones keep the order in which they were pushed.
    fn compare(&self, a: &[u8], b: &[u8]) -> Ordering;

    /// Which record comes first of two with the same prefix.
    #[inline]
    fn compare_behind_prefix(&self, a: &[u8], b: &[u8]) -> Ordering {
        self.compare(a, b)
    }
}

impl<F: Fn(&[u8], &[u8]) -> Ordering + Clone + Send> Order for F {
    fn compare(&self, a: &[u8], b: &[u8]) -> Ordering {
        self(a, b)
    }
}

/// The order by the bytes at the beginning of a record; those behind do not count.
#[derive(Clone, Copy, Debug)]
pub struct ByKey {
    /// Bytes of the key. A shorter record is all key.
    pub length: usize,
}

impl ByKey {
    fn key(self, record: &[u8]) -> &[u8] {
        record.get(..self.length).unwrap_or(record)
    }
}

impl Order for ByKey {
    fn prefix(&self, record: &[u8]) -> u64 {
        let key = self.key(record);
        if let Some(first) = key.first_chunk() {
            return u64::from_be_bytes(*first);
        }
        let mut first = [0; 8];
        first.iter_mut().zip(key).for_each(|(to, from)| *to = *from);
        u64::from_be_bytes(first)
    }

    fn compare(&self, a: &[u8], b: &[u8]) -> Ordering {
        self.key(a).cmp(self.key(b))
    }
}

/// The order by the number in the first eight bytes, big-endian; a shorter record counts as filled up with zeros.
#[derive(Clone, Copy, Debug)]
pub struct ByNumber;

impl Order for ByNumber {
    #[inline]
    fn prefix(&self, record: &[u8]) -> u64 {
        ByKey { length: size_of::<u64>() }.prefix(record)
    }

    #[inline]
    fn compare(&self, a: &[u8], b: &[u8]) -> Ordering {
        self.prefix(a).cmp(&self.prefix(b))
    }

    #[inline]
    fn compare_behind_prefix(&self, _: &[u8], _: &[u8]) -> Ordering {
        Ordering::Equal
    }
}

/// A record in the buffer.
#[derive(Clone, Copy)]
struct Entry {
    prefix: u64,
    /// Where it starts in the buffer; this grows from push to push.
    offset: u32,
    length: u32,
}

const ENTRY: usize = size_of::<Entry>();

/// Least bytes of a buffer through which a run is read: as long as the memory allows, a read is not smaller.
const LEAST_READ: usize = 32 << 10;

/// Most bytes of such a buffer, and of the one through which runs are written.
const MOST_READ: usize = 1 << 20;

/// Bytes before each record of a run: its length.
const HEAD: usize = 4;

/// Takes records in any order.
pub struct Sorter<C> {
    scratch: Scratch,
    /// Bytes that everything together may use, records longer than that excepted.
    memory: usize,
    order: C,
    records: Vec<u8>,
    entries: Vec<Entry>,
    /// How the first run divided the memory; the later ones keep to that, so that both parts together stay in it.
    most: Option<(usize, usize)>,
    runs: Vec<Run>,
    file: Option<(ScratchFile, u64)>,
}

/// Sorted records in the scratch file.
#[derive(Clone, Copy, Debug)]
struct Run {
    from: u64,
    to: u64,
}

impl<C: Order> Sorter<C> {
    /// A sorter that uses at most `memory` bytes, a single record that is longer excepted.
    pub fn new(scratch: &Scratch, memory: usize, order: C) -> Self {
        // Positions in the buffer have 32 bits.
        let memory = memory.min(u32::MAX as usize >> 1);
        Self {
            scratch: scratch.clone(),
            memory,
            order,
            records: Vec::new(),
            entries: Vec::new(),
            most: None,
            runs: Vec::new(),
            file: None,
        }
    }

    /// Adds a record. It must be shorter than 2 GiB.
    pub fn push(&mut self, record: &[u8]) -> Result<(), DiskError> {
        self.push_parts(&[record])
    }

    /// Adds a record that is given in parts.
    pub fn push_parts(&mut self, parts: &[&[u8]]) -> Result<(), DiskError> {
        let length: usize = parts.iter().map(|part| part.len()).sum();
        if !self.fits(length) {
            self.spill()?;
        }
        if self.records.capacity() == 0 {
            // Address space only: pages that are never touched cost nothing, and nothing is moved when it grows.
            self.records.reserve_exact(self.collected());
            self.entries.reserve_exact(self.collected() / ENTRY);
        }
        let offset = self.records.len();
        let (Ok(offset32), Ok(length32)) = (u32::try_from(offset), u32::try_from(length)) else {
            let path = &self.scratch.shared.directory;
            return Err(DiskError::new(
                "sort a record of 2 GiB or more in",
                path,
                io::ErrorKind::InvalidInput,
            ));
        };
        for part in parts {
            self.records.extend_from_slice(part);
        }
        let prefix = self.order.prefix(self.records.get(offset..).unwrap_or_default());
        self.entries.push(Entry { prefix, offset: offset32, length: length32 });
        Ok(())
    }

    /// Runs in the scratch file; none as long as everything fits into the memory.
    pub fn runs(&self) -> usize {
        self.runs.len()
    }

    /// Bytes for records and their table, while a run is collected.
    fn collected(&self) -> usize {
        self.memory - self.write_buffer()
    }

    fn write_buffer(&self) -> usize {
        (self.memory / 16).min(MOST_READ)
    }

    fn fits(&self, length: usize) -> bool {
        let (records, entries) = (self.records.len() + length, self.entries.len() + 1);
        match self.most {
            None => records + entries * ENTRY <= self.collected(),
            Some((most_records, most_entries)) => records <= most_records && entries <= most_entries,
        }
    }

    fn sort(&mut self) {
        let (order, records) = (&self.order, &self.records);
        self.entries.sort_unstable_by(|a, b| {
            (a.prefix.cmp(&b.prefix))
                .then_with(|| order.compare_behind_prefix(record(records, a), record(records, b)))
                .then(a.offset.cmp(&b.offset))
        });
    }

    /// Writes what was collected as a run.
    fn spill(&mut self) -> Result<(), DiskError> {
        if self.entries.is_empty() {
            return Ok(());
        }
        self.sort();
        let (file, from) = match self.file.take() {
            Some(file) => file,
            None => (self.scratch.file()?, 0),
        };
        let mut writer = RunWriter::new(file, from, self.write_buffer());
        for entry in &self.entries {
            writer.put(record(&self.records, entry))?;
        }
        let (file, to) = writer.finish()?;
        self.file = Some((file, to));
        self.runs.push(Run { from, to });
        self.most.get_or_insert((self.records.len(), self.entries.len()));
        self.records.clear();
        self.entries.clear();
        Ok(())
    }

    /// All records in order.
    pub fn finish(mut self) -> Result<Sorted<C>, DiskError> {
        if self.runs.is_empty() {
            self.sort();
            let Self { records, entries, .. } = self;
            return Ok(Sorted::new(Source::Memory { records, entries, current: 0 }));
        }
        self.spill()?;
        // The memory is needed for reading now.
        self.records = Vec::new();
        self.entries = Vec::new();
        let Some((mut file, _)) = self.file.take() else {
            return Ok(Sorted::new(Source::Memory { records: Vec::new(), entries: Vec::new(), current: 0 }));
        };
        let ways = (self.memory / LEAST_READ).max(2);
        while self.runs.len() > ways {
            (file, self.runs) = self.merge_neighbours(file, ways)?;
        }
        let merge = Merge::new(Arc::new(file), &self.runs, self.memory, self.order)?;
        Ok(Sorted::new(Source::Runs(merge)))
    }

    /// Merges each group of `ways` neighbouring runs to one.
    fn merge_neighbours(&self, file: ScratchFile, ways: usize) -> Result<(ScratchFile, Vec<Run>), DiskError> {
        let file = Arc::new(file);
        let (mut merged, mut runs) = ((self.scratch.file()?, 0), Vec::new());
        for group in self.runs.chunks(ways) {
            let from = merged.1;
            let mut writer = RunWriter::new(merged.0, from, self.write_buffer());
            let memory = self.memory - self.write_buffer();
            let mut merge = Merge::new(Arc::clone(&file), group, memory, self.order.clone())?;
            while let Some(record) = merge.current() {
                writer.put(record)?;
                merge.pass()?;
            }
            merged = writer.finish()?;
            runs.push(Run { from, to: merged.1 });
        }
        Ok((merged.0, runs))
    }
}

impl<C> fmt::Debug for Sorter<C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sorter")
            .field("memory", &self.memory)
            .field("in_memory", &self.entries.len())
            .field("runs", &self.runs.len())
            .finish_non_exhaustive()
    }
}

fn record<'a>(records: &'a [u8], entry: &Entry) -> &'a [u8] {
    let from = entry.offset as usize;
    records.get(from..from + entry.length as usize).unwrap_or_default()
}

/// Appends records to a scratch file.
struct RunWriter {
    file: ScratchFile,
    /// Where the buffer belongs.
    offset: u64,
    buffer: Vec<u8>,
}

impl RunWriter {
    fn new(file: ScratchFile, offset: u64, memory: usize) -> Self {
        Self { file, offset, buffer: Vec::with_capacity(memory) }
    }

    fn put(&mut self, record: &[u8]) -> Result<(), DiskError> {
        if self.buffer.len() + HEAD + record.len() > self.buffer.capacity() {
            self.write()?;
        }
        // The length fits, `push` has seen to that.
        self.buffer.extend_from_slice(&u32::try_from(record.len()).unwrap_or_default().to_le_bytes());
        if HEAD + record.len() > self.buffer.capacity() {
            self.write()?;
            self.file.file().write_at(self.offset, record)?;
            self.offset += record.len() as u64;
        } else {
            self.buffer.extend_from_slice(record);
        }
        Ok(())
    }

    fn write(&mut self) -> Result<(), DiskError> {
        self.file.file().write_at(self.offset, &self.buffer)?;
        self.offset += self.buffer.len() as u64;
        self.buffer.clear();
        Ok(())
    }

    fn finish(mut self) -> Result<(ScratchFile, u64), DiskError> {
        self.write()?;
        Ok((self.file, self.offset))
    }
}

/// Records in order.
pub struct Sorted<C> {
    source: Source<C>,
    /// Whether the current record was given out, so that the next one is wanted.
    given: bool,
}

enum Source<C> {
    Memory { records: Vec<u8>, entries: Vec<Entry>, current: usize },
    Runs(Merge<C>),
}

impl<C: Order> Sorted<C> {
    fn new(source: Source<C>) -> Self {
        Self { source, given: false }
    }

    /// The next record; `None`: that was all.
    #[expect(clippy::should_implement_trait, reason = "a record is lent until the next call")]
    #[inline]
    pub fn next(&mut self) -> Result<Option<&[u8]>, DiskError> {
        self.move_on()?;
        self.given = true;
        Ok(self.current())
    }

    /// The record that [`Self::next`] gives out next, which stays the next.
    #[inline]
    pub fn peek(&mut self) -> Result<Option<&[u8]>, DiskError> {
        self.move_on()?;
        Ok(self.current())
    }

    #[inline]
    fn move_on(&mut self) -> Result<(), DiskError> {
        if std::mem::take(&mut self.given) {
            match &mut self.source {
                Source::Memory { current, .. } => *current += 1,
                Source::Runs(merge) => merge.pass()?,
            }
        }
        Ok(())
    }

    #[inline]
    fn current(&self) -> Option<&[u8]> {
        match &self.source {
            Source::Memory { records, entries, current } => {
                entries.get(*current).map(|entry| record(records, entry))
            }
            Source::Runs(merge) => merge.current(),
        }
    }
}

/// Records of several sorters in one order.
#[derive(Debug)]
pub struct Merged<C> {
    parts: Vec<Sorted<C>>,
    order: C,
}

impl<C: Order> Merged<C> {
    /// Merges records that are sorted by `order`.
    pub fn new(parts: Vec<Sorted<C>>, order: C) -> Self {
        Self { parts, order }
    }

    /// The next record; `None`: that was all. Of equal ones those of an earlier part come first.
    #[expect(clippy::should_implement_trait, reason = "a record is lent until the next call")]
    pub fn next(&mut self) -> Result<Option<&[u8]>, DiskError> {
        let mut least: Option<(usize, &[u8])> = None;
        for (place, part) in self.parts.iter_mut().enumerate() {
            if let Some(record) = part.peek()?
                && least.is_none_or(|(_, least)| self.order.compare(record, least).is_lt())
            {
                least = Some((place, record));
            }
        }
        let least = least.map(|(place, _)| place);
        match least.and_then(|place| self.parts.get_mut(place)) {
            Some(part) => part.next(),
            None => Ok(None),
        }
    }
}

impl<C> fmt::Debug for Sorted<C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let runs = match &self.source {
            Source::Memory { .. } => 0,
            Source::Runs(merge) => merge.readers.len(),
        };
        f.debug_struct("Sorted").field("runs", &runs).finish_non_exhaustive()
    }
}

/// Merges runs of one file.
struct Merge<C> {
    file: Arc<ScratchFile>,
    order: C,
    /// One per run, in the order of the runs.
    readers: Vec<RunReader>,
    /// Indices of readers that have a record, as a binary heap: the first has the current record.
    heap: Vec<usize>,
}

impl<C: Order> Merge<C> {
    fn new(file: Arc<ScratchFile>, runs: &[Run], memory: usize, order: C) -> Result<Self, DiskError> {
        let buffer = (memory / runs.len().max(1)).min(MOST_READ);
        let mut readers = Vec::with_capacity(runs.len());
        let mut heap = Vec::with_capacity(runs.len());
        for run in runs {
            let mut reader = RunReader::new(*run, buffer);
            if reader.advance(file.file(), &order)? {
                heap.push(readers.len());
            }
            readers.push(reader);
        }
        let mut merge = Self { file, order, readers, heap };
        for parent in (0..merge.heap.len() / 2).rev() {
            merge.sift_down(parent);
        }
        Ok(merge)
    }

    /// The least record that was not passed.
    #[inline]
    fn current(&self) -> Option<&[u8]> {
        let first = self.heap.first().and_then(|first| self.readers.get(*first));
        first.map(RunReader::record)
    }

    /// Goes on behind the current record.
    fn pass(&mut self) -> Result<(), DiskError> {
        let Some(first) = self.heap.first().copied() else { return Ok(()) };
        let Some(reader) = self.readers.get_mut(first) else { return Ok(()) };
        if !reader.advance(self.file.file(), &self.order)? {
            self.heap.swap_remove(0);
        }
        self.sift_down(0);
        Ok(())
    }

    fn sift_down(&mut self, mut parent: usize) {
        loop {
            let (left, right) = (2 * parent + 1, 2 * parent + 2);
            let mut least = parent;
            for child in [left, right] {
                if self.comes_before(child, least) {
                    least = child;
                }
            }
            if least == parent {
                return;
            }
            self.heap.swap(parent, least);
            parent = least;
        }
    }

    /// Whether the record at place `a` of the heap comes before the one at `b`; a place that is not there never does.
    fn comes_before(&self, a: usize, b: usize) -> bool {
        let reader = |place| self.heap.get(place).and_then(|&index| Some((index, self.readers.get(index)?)));
        let (Some((a, first)), Some((b, second))) = (reader(a), reader(b)) else { return false };
        // Of equal records those of an earlier run were pushed earlier.
        (first.prefix.cmp(&second.prefix))
            .then_with(|| self.order.compare_behind_prefix(first.record(), second.record()))
            .then(a.cmp(&b))
            .is_lt()
    }
}

/// Reads a run through a buffer.
struct RunReader {
    /// What was not read yet.
    run: Run,
    buffer: Vec<u8>,
    /// Bytes of the buffer that are read.
    filled: usize,
    /// Where the current record starts in the buffer.
    from: usize,
    /// Where it ends, and the next begins with its length.
    to: usize,
    prefix: u64,
}

impl RunReader {
    fn new(run: Run, memory: usize) -> Self {
        let length = usize::try_from(run.to - run.from).unwrap_or(usize::MAX);
        Self { run, buffer: vec![0; memory.min(length)], filled: 0, from: 0, to: 0, prefix: 0 }
    }

    fn record(&self) -> &[u8] {
        self.buffer.get(self.from..self.to).unwrap_or_default()
    }

    /// Goes to the next record; `false`: that was all.
    fn advance<C: Order>(&mut self, file: &dyn DiskFile, order: &C) -> Result<bool, DiskError> {
        if self.filled - self.to < HEAD && !self.refill(file, HEAD)? {
            return Ok(false);
        }
        let head = self.buffer.get(self.to..).and_then(<[u8]>::first_chunk);
        let length = head.map_or(0, |head| u32::from_le_bytes(*head) as usize);
        if self.filled - self.to < HEAD + length {
            self.refill(file, HEAD + length)?;
        }
        self.from = self.to + HEAD;
        self.to = self.from + length;
        self.prefix = order.prefix(self.record());
        Ok(true)
    }

    /// Moves what was not passed yet to the front and reads on, so that at least `least` bytes are there. `false`:
    /// nothing is left.
    fn refill(&mut self, file: &dyn DiskFile, least: usize) -> Result<bool, DiskError> {
        let kept = self.filled - self.to;
        let left = usize::try_from(self.run.to - self.run.from).unwrap_or(usize::MAX);
        if kept == 0 && left == 0 {
            return Ok(false);
        }
        let cut = || DiskError::new("read back", file.path(), io::ErrorKind::UnexpectedEof);
        if kept.saturating_add(left) < least {
            return Err(cut());
        }
        self.buffer.copy_within(self.to..self.filled, 0);
        (self.filled, self.from, self.to) = (kept, 0, 0);
        if self.buffer.len() < least {
            // One record that is longer than the buffer; the run has as many bytes.
            self.buffer.resize(least, 0);
        }
        let count = left.min(self.buffer.len() - kept);
        let space = self.buffer.get_mut(kept..kept + count).unwrap_or_default();
        if file.read_at(self.run.from, space)? < count {
            return Err(cut());
        }
        self.filled += count;
        self.run.from += count as u64;
        Ok(true)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::io::disk::OsDisk;

    fn scratch(directory: &Path) -> Scratch {
        Scratch::open(OsDisk::shared(), &directory.join("sort")).unwrap()
    }

    fn sorted<C: Order>(sorter: Sorter<C>) -> Vec<Vec<u8>> {
        let mut sorted = sorter.finish().unwrap();
        let mut records = Vec::new();
        while let Some(record) = sorted.peek().unwrap().map(<[u8]>::to_vec) {
            assert_eq!(sorted.next().unwrap(), Some(record.as_slice()));
            records.push(record);
        }
        assert_eq!(sorted.next().unwrap(), None);
        assert_eq!(sorted.next().unwrap(), None, "the end stays the end");
        records
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 200, ..ProptestConfig::default() })]

        #[test]
        fn any_records_come_sorted_and_equal_ones_in_the_order_of_their_push(
            // Few different keys, so that there are equal ones; some records longer than the memory.
            records in prop::collection::vec((0_u8..20, 0_usize..60, any::<u8>()), 0..400),
            long in prop::collection::vec(0_usize..400, 0..3),
            memory in 64_usize..4000,
            key in 0_usize..12,
        ) {
            let dir = tempfile::tempdir().unwrap();
            let scratch = scratch(dir.path());
            let mut records: Vec<Vec<u8>> = records
                .into_iter()
                .map(|(first, length, rest)| [vec![first; length.min(3)], vec![rest; length]].concat())
                .collect();
            for place in long {
                if let Some(record) = records.get_mut(place) {
                    record.resize(memory + 1000, 7);
                }
            }
            let mut by_key = Sorter::new(&scratch, memory, ByKey { length: key });
            let mut by_number = Sorter::new(&scratch, memory, ByNumber);
            // The same records dealt out to two sorters.
            let mut dealt = [(); 2].map(|()| Sorter::new(&scratch, memory, ByKey { length: key }));
            let length = |a: &[u8], b: &[u8]| a.len().cmp(&b.len());
            let mut by_length = Sorter::new(&scratch, memory, length);
            for record in &records {
                by_key.push(record).unwrap();
                let (a, b) = record.split_at(record.len() / 2);
                by_length.push_parts(&[a, b]).unwrap();
                by_number.push(record).unwrap();
                dealt[usize::from(record.len() > 20)].push(record).unwrap();
            }
            let mut expected = records.clone();
            expected.sort_by(|a, b| a[..key.min(a.len())].cmp(&b[..key.min(b.len())]));
            prop_assert!(sorted(by_key) == expected);
            let parts = dealt.map(|sorter| sorter.finish().unwrap()).into_iter().collect();
            let mut merged = Merged::new(parts, ByKey { length: key });
            let mut dealt = Vec::new();
            while let Some(record) = merged.next().unwrap() {
                dealt.push(record.to_vec());
            }
            // Equal ones come from the first sorter first.
            expected.sort_by_key(|record| (record[..key.min(record.len())].to_vec(), record.len() > 20));
            prop_assert!(dealt == expected);
            let number = |record: &Vec<u8>| record.iter().copied().chain([0; 8]).take(8).collect::<Vec<_>>();
            let mut expected = records.clone();
            expected.sort_by_key(number);
            prop_assert!(sorted(by_number) == expected);
            records.sort_by_key(Vec::len);
            prop_assert!(sorted(by_length) == records);
        }
    }

    #[test]
    fn more_runs_than_buffers_are_merged_in_steps_within_the_memory() {
        let dir = tempfile::tempdir().unwrap();
        let scratch = scratch(dir.path());
        let memory = 4 * LEAST_READ;
        let mut sorter = Sorter::new(&scratch, memory, ByKey { length: 8 });
        let mut expected = Vec::new();
        for number in 0..100_000_u64 {
            let key = (number * 7919) % 1000;
            let record = [key.to_be_bytes(), number.to_be_bytes()].concat();
            sorter.push(&record).unwrap();
            expected.push(record);
        }
        assert!(sorter.runs() > 16, "{} runs", sorter.runs());
        assert!(sorter.records.capacity() <= memory && sorter.entries.capacity() * ENTRY <= memory);
        let (records, entries) = sorter.most.unwrap();
        assert!(records + entries * ENTRY <= sorter.collected());
        let sorted_records = sorter.finish().unwrap();
        let Source::Runs(merge) = &sorted_records.source else { panic!("nothing was spilled") };
        assert!(merge.readers.len() <= 4);
        assert!(merge.readers.iter().map(|reader| reader.buffer.len()).sum::<usize>() <= memory);
        expected.sort();
        let (mut found, mut sorted_records) = (Vec::new(), sorted_records);
        while let Some(record) = sorted_records.next().unwrap() {
            found.push(record.to_vec());
        }
        assert!(found == expected);
    }

    #[test]
    fn what_fits_into_the_memory_is_not_written() {
        let dir = tempfile::tempdir().unwrap();
        let scratch = scratch(dir.path());
        let mut sorter = Sorter::new(&scratch, 1 << 20, ByKey { length: 1 });
        for byte in (0..=255).rev() {
            sorter.push(&[byte]).unwrap();
        }
        assert_eq!(std::fs::read_dir(dir.path().join("sort")).unwrap().count(), 0);
        assert!(sorted(sorter).into_iter().flatten().eq(0..=255));
    }

    #[test]
    fn files_and_directory_go_with_the_last_user() {
        let dir = tempfile::tempdir().unwrap();
        let directory = dir.path().join("sort");
        // What a killed run left is deleted first, and nothing else.
        std::fs::create_dir(&directory).unwrap();
        std::fs::write(directory.join("run-3"), b"left").unwrap();
        let scratch = scratch(dir.path());
        let files = || std::fs::read_dir(&directory).unwrap().count();
        assert_eq!(files(), 0);
        let mut sorter = Sorter::new(&scratch, 100, ByKey { length: 1 });
        for byte in 0..100 {
            sorter.push(&[byte]).unwrap();
        }
        drop(scratch);
        assert_eq!(files(), 1);
        assert_eq!(sorted(sorter).len(), 100);
        assert!(!directory.exists());
    }
}
