//! Checksums of the blocks of files, at the speed of the medium.

use std::collections::VecDeque;
use std::fs::File;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};

use serde::{Deserialize, Serialize};

use super::ManifestError;
use crate::backup::stop::Stop;
use crate::io::disk::{self, DiskError};

/// Bytes of a block; the last one of a file may be shorter.
pub const BLOCK: u64 = 1 << 20;

/// The same as the size of a buffer.
const BUFFER: usize = 1 << 20;

/// Blocks that a thread takes at a time: few enough that all threads end together, enough for large sequential reads.
const PORTION: usize = 32;

/// The CRC-32C of each block of a file. As text: 8 hexadecimal digits each, one behind the other.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub struct Checksums(Vec<u32>);

impl Checksums {
    /// How many there are.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether the file is empty.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The first block that differs, which may be behind the end of the shorter file; `None`: all are equal.
    pub fn first_difference(&self, other: &Self) -> Option<u64> {
        let different = self.0.iter().zip(&other.0).position(|(a, b)| a != b);
        let shorter = self.len().min(other.len());
        let first = different.or_else(|| (self.len() != other.len()).then_some(shorter));
        first.map(|block| block as u64)
    }

    /// Combines the checksum of a block with how it has changed.
    pub(super) fn change(&mut self, block: u64, difference: u32) {
        if let Some(slot) = usize::try_from(block).ok().and_then(|block| self.0.get_mut(block)) {
            *slot ^= difference;
        }
    }

    /// Takes over what was computed of a file that has `size` bytes now.
    pub(super) fn replace(&mut self, size: u64, source: &Source, computed: &[u32]) {
        self.0.resize(usize::try_from(size.div_ceil(BLOCK)).unwrap_or(usize::MAX), 0);
        for (block, checksum) in source.blocks.iter().zip(computed) {
            if let Some(slot) = usize::try_from(*block).ok().and_then(|block| self.0.get_mut(block)) {
                *slot = *checksum;
            }
        }
    }
}

impl From<Checksums> for String {
    fn from(checksums: Checksums) -> Self {
        use std::fmt::Write;
        let mut text = Self::with_capacity(checksums.len() * 8);
        for checksum in checksums.0 {
            let appended = write!(text, "{checksum:08x}");
            debug_assert!(appended.is_ok(), "a string takes all that is written to it");
        }
        text
    }
}

impl TryFrom<String> for Checksums {
    type Error = &'static str;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        const REFUSED: &str = "checksums must be 8 lower-case hexadecimal digits each";
        let (digits, rest) = text.as_bytes().as_chunks::<8>();
        if !rest.is_empty() {
            return Err(REFUSED);
        }
        let digits = digits.iter().map(|digits| {
            digits.iter().try_fold(0, |value: u32, digit| {
                let digit = match digit {
                    b'0'..=b'9' => digit - b'0',
                    b'a'..=b'f' => digit - b'a' + 10,
                    _ => return None,
                };
                Some(value << 4 | u32::from(digit))
            })
        });
        digits.collect::<Option<Vec<_>>>().map(Self).ok_or(REFUSED)
    }
}

/// Blocks of a file to be read.
#[derive(Debug)]
pub(super) struct Source {
    file: PathBuf,
    size: u64,
    blocks: Vec<u64>,
}

impl Source {
    /// All blocks.
    pub fn whole(file: PathBuf, size: u64) -> Self {
        Self { file, size, blocks: (0..size.div_ceil(BLOCK)).collect() }
    }

    /// Some blocks, ascending.
    pub fn some(file: PathBuf, size: u64, blocks: Vec<u64>) -> Self {
        Self { file, size, blocks }
    }
}

/// A part of a file for one thread: blocks `from` to `to` of the list of file number `source`.
#[derive(Clone, Copy, Debug)]
struct Portion {
    source: usize,
    from: usize,
    to: usize,
}

/// The checksums of all blocks of all sources, read by several threads. A file that has become shorter gives the
/// checksums of what is there.
pub(super) fn compute(
    sources: &[Source],
    threads: usize,
    stop: &Stop,
) -> Result<Vec<Vec<u32>>, ManifestError> {
    let portions: VecDeque<Portion> = sources
        .iter()
        .enumerate()
        .flat_map(|(number, source)| {
            (0..source.blocks.len()).step_by(PORTION).map(move |from| Portion {
                source: number,
                from,
                to: (from + PORTION).min(source.blocks.len()),
            })
        })
        .collect();
    let waiting = Mutex::new(portions);
    let failed = AtomicBool::new(false);
    let mut results: Vec<Vec<u32>> = sources.iter().map(|source| vec![0; source.blocks.len()]).collect();
    let done: Vec<Worked> = std::thread::scope(|scope| {
        let workers: Vec<_> = (0..threads.max(1))
            .map(|_| {
                scope.spawn(|| {
                    let worked = work(sources, &waiting, &failed, stop);
                    if worked.is_err() {
                        failed.store(true, Ordering::Relaxed);
                    }
                    worked
                })
            })
            .collect();
        workers
            .into_iter()
            .map(|worker| worker.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)))
            .collect()
    });
    for portions in done {
        for (portion, checksums) in portions? {
            let slots =
                results.get_mut(portion.source).and_then(|result| result.get_mut(portion.from..portion.to));
            if let Some(slots) = slots {
                slots.copy_from_slice(&checksums);
            }
        }
    }
    Ok(results)
}

/// What a thread has computed.
type Worked = Result<Vec<(Portion, Vec<u32>)>, ManifestError>;

fn work(sources: &[Source], waiting: &Mutex<VecDeque<Portion>>, failed: &AtomicBool, stop: &Stop) -> Worked {
    let mut buffer = vec![0; BUFFER];
    let mut open: Option<(usize, File)> = None;
    let mut done = Vec::new();
    while !failed.load(Ordering::Relaxed) {
        let next = waiting.lock().unwrap_or_else(PoisonError::into_inner).pop_front();
        let Some(portion) = next else { break };
        let Some(source) = sources.get(portion.source) else { break };
        let file = match open.take() {
            Some((number, file)) if number == portion.source => file,
            _ => File::open(&source.file).map_err(|error| DiskError::new("open", &source.file, error))?,
        };
        if let Some(signal) = stop.requested() {
            return Err(ManifestError::Interrupted(signal));
        }
        let mut checksums = Vec::with_capacity(PORTION);
        for block in source.blocks.get(portion.from..portion.to).unwrap_or_default() {
            let offset = block * BLOCK;
            let wanted = usize::try_from(source.size.saturating_sub(offset).min(BLOCK)).unwrap_or_default();
            let block = buffer.get_mut(..wanted).unwrap_or_default();
            let count = disk::fill(&file, &source.file, offset, block)?;
            checksums.push(crc32c::crc32c(buffer.get(..count).unwrap_or_default()));
        }
        open = Some((portion.source, file));
        done.push((portion, checksums));
    }
    Ok(done)
}
