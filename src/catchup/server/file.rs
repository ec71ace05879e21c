//! A file cut into chunks.

use std::io::{self, Read};

use bytes::BytesMut;

use crate::catchup::frame;
use crate::catchup::message::FileChunk;

/// Bytes of the file that are read at once.
const READ_SIZE: usize = 256 << 10;

/// Encoded bytes that are handed to the network at once, about.
pub(super) const BATCH: usize = 1 << 20;

/// Cuts a file into the frames of its chunks. All have the full size but the last, which carries the end mark; an
/// empty file is one empty chunk. Specification: protocol 4.4.
pub(super) struct FileCutter {
    content: Box<dyn Read + Send>,
    chunk_size: usize,
    /// Bytes read and not yet cut, from `start` on. More than a chunk of them, or the file has ended: otherwise nobody
    /// could tell the last chunk.
    read: Vec<u8>,
    start: usize,
    ended: bool,
}

impl FileCutter {
    pub fn new(content: Box<dyn Read + Send>, chunk_size: usize) -> Self {
        Self { content, chunk_size: chunk_size.max(1), read: Vec::new(), start: 0, ended: false }
    }

    /// Appends frames until `out` holds about [`BATCH`] bytes. Whether the last one is among them.
    pub fn fill(&mut self, out: &mut BytesMut) -> io::Result<bool> {
        while out.len() < BATCH {
            while !self.ended && self.read.len() - self.start <= self.chunk_size {
                self.read_on()?;
            }
            let left = self.read.get(self.start..).unwrap_or_default();
            let data = left.get(..self.chunk_size).unwrap_or(left);
            let last = self.ended && data.len() == left.len();
            frame::put(out, |out| FileChunk { last, data }.encode(out));
            self.start += data.len();
            if last {
                return Ok(true);
            }
        }
        Ok(false)
    }

    fn read_on(&mut self) -> io::Result<()> {
        self.read.drain(..self.start);
        self.start = 0;
        let wanted = READ_SIZE.max(self.chunk_size);
        self.read.reserve(wanted);
        let got = self.content.by_ref().take(wanted as u64).read_to_end(&mut self.read)?;
        self.ended = got < wanted;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// End marks and lengths of the chunks of a file.
    fn cut(size: usize, chunk_size: usize) -> Vec<(bool, usize)> {
        let content: Vec<u8> = (0..=250).cycle().take(size).collect();
        let mut cutter = FileCutter::new(Box::new(io::Cursor::new(content.clone())), chunk_size);
        let mut wire = BytesMut::new();
        loop {
            let mut batch = BytesMut::new();
            let done = cutter.fill(&mut batch).unwrap();
            assert!(batch.len() <= BATCH + chunk_size + 8);
            wire.extend_from_slice(&batch);
            if done {
                break;
            }
        }
        let mut rest = &wire[..];
        let mut whole = Vec::new();
        let mut chunks = Vec::new();
        while let Some((header, behind)) = rest.split_first_chunk::<4>() {
            let (payload, behind) = behind.split_at(u32::from_be_bytes(*header) as usize);
            let chunk = FileChunk::decode(payload).unwrap();
            whole.extend_from_slice(chunk.data);
            chunks.push((chunk.last, chunk.data.len()));
            rest = behind;
        }
        assert_eq!(whole, content);
        chunks
    }

    #[test]
    fn the_last_chunk_is_full_if_the_size_is_a_multiple() {
        assert_eq!(cut(0, 16), [(true, 0)]);
        assert_eq!(cut(1, 16), [(true, 1)]);
        assert_eq!(cut(16, 16), [(true, 16)]);
        assert_eq!(cut(17, 16), [(false, 16), (true, 1)]);
        assert_eq!(cut(32, 16), [(false, 16), (true, 16)]);
    }

    #[test]
    fn files_longer_than_a_batch_are_cut_the_same() {
        let chunk = 32_768;
        let chunks = cut(3 * BATCH, chunk);
        assert_eq!(chunks.len(), 3 * BATCH / chunk);
        assert!(chunks.iter().all(|&(_, size)| size == chunk));
        assert_eq!(chunks.iter().filter(|(last, _)| *last).count(), 1);
        assert_eq!(cut(READ_SIZE, 1 << 20), [(true, READ_SIZE)]);
        assert_eq!(cut((1 << 20) + 1, 1 << 20), [(false, 1 << 20), (true, 1)]);
    }
}
