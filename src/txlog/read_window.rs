//! The part of a log file that a reader has in memory.

use std::ops::Range;

use super::files::ReadFile;
use crate::io::disk::DiskError;

/// The part of a file that is in memory.
#[derive(Debug)]
pub(super) struct Window {
    buffer: Vec<u8>,
    /// Bytes of the buffer from `from` to `to` are read and not consumed.
    from: usize,
    to: usize,
    /// Place in the file of the byte at `from`.
    pub offset: u64,
}

impl Window {
    /// How much is read at once.
    pub const CHUNK: usize = 512 * 1024;

    /// An empty one at a place of the file.
    pub fn new(offset: u64) -> Self {
        Self { buffer: Vec::new(), from: 0, to: 0, offset }
    }

    pub fn bytes(&self) -> &[u8] {
        self.buffer.get(self.from..self.to).unwrap_or_default()
    }

    /// Where the next `count` bytes are in the buffer; `None`: not all of them are in it.
    pub fn place(&self, count: usize) -> Option<Range<usize>> {
        (self.to - self.from >= count).then(|| self.from..self.from + count)
    }

    /// The bytes at a place that [`Self::place`] has told, before anything was read.
    pub fn at(&self, place: Range<usize>) -> &[u8] {
        self.buffer.get(place).unwrap_or_default()
    }

    /// Goes on behind the next `count` bytes, which need not be in memory.
    pub fn consume(&mut self, count: usize) {
        self.offset += count as u64;
        self.from += count;
        if self.from > self.to {
            (self.from, self.to) = (0, 0);
        }
    }

    /// Goes to another place of the file.
    pub fn move_to(&mut self, offset: u64) {
        (self.from, self.to, self.offset) = (0, 0, offset);
    }

    /// Whether what is in memory and not consumed fills so much of the buffer that it must grow to read on.
    pub fn is_large(&self) -> bool {
        self.to - self.from >= Self::CHUNK / 2
    }

    /// Reads so far that `count` bytes are there, if the file has them.
    pub fn hold(&mut self, file: &ReadFile, count: usize) -> Result<(), DiskError> {
        while self.to - self.from < count && self.fill(file, count)? {}
        Ok(())
    }

    /// Reads on; `false`: the file has no more.
    pub fn refill(&mut self, file: &ReadFile) -> Result<bool, DiskError> {
        // Twice as much for what does not fit, so that all of it is looked at no more than twice on the average; after
        // that back to the usual size.
        let kept = self.to - self.from;
        self.fill(file, if self.is_large() { kept.saturating_mul(2) } else { Self::CHUNK })
    }

    /// Reads on until the buffer holds `wanted` bytes, or all that the file has; `false`: it has no more.
    fn fill(&mut self, file: &ReadFile, wanted: usize) -> Result<bool, DiskError> {
        let kept = self.to - self.from;
        let read_to = self.offset + kept as u64;
        let left = usize::try_from(file.length.saturating_sub(read_to)).unwrap_or(usize::MAX);
        if left == 0 {
            return Ok(false);
        }
        self.buffer.copy_within(self.from..self.to, 0);
        (self.from, self.to) = (0, kept);
        let size = wanted.max(Self::CHUNK).min(kept.saturating_add(left));
        if self.buffer.len() > size {
            self.buffer.truncate(size);
            self.buffer.shrink_to(Self::CHUNK);
        }
        self.buffer.reserve_exact(size - self.buffer.len());
        self.buffer.resize(size, 0);
        let room = self.buffer.get_mut(kept..).unwrap_or_default();
        let count = file.read_at(read_to, room)?;
        self.to += count;
        Ok(count > 0)
    }
}
