//! Frames: everything behind the magic travels in them.

use std::io;

use bytes::{Buf, BufMut, BytesMut};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};

/// Longest payload of an ordinary frame, in bytes. Specification: protocol 3.1.
pub const LIMIT: usize = 1 << 20;
/// Longest payload of a file chunk, a transaction chunk or an answer to a preparation, in bytes.
pub const STREAM_LIMIT: usize = 2 << 20;
/// Longest payload of a list of databases or metadata commands, in bytes.
pub const LIST_LIMIT: usize = 32 << 20;

/// Bytes of the length in front of a payload.
pub const HEADER: usize = 4;

/// Room for one read, in bytes. A store copy is bound by the number of reads when chunks are read one by one: they are
/// 32 KiB by default.
const READ_SIZE: usize = 256 << 10;

/// Room below which a read isn't worth its system call and the rest of a frame moves to the front, in bytes.
const LEAST_READ: usize = 64 << 10;

/// A frame could not be read or written.
#[derive(Debug, thiserror::Error)]
pub enum FrameError {
    /// The peer closed the connection between two frames or inside one.
    #[error("the connection was closed")]
    Closed,
    /// The length in front of a frame is negative or beyond what is accepted here.
    #[error("a frame announces {length} bytes, at most {limit} are accepted")]
    Length {
        /// What was announced.
        length: i32,
        /// What is accepted.
        limit: usize,
    },
    /// The stream failed.
    #[error(transparent)]
    Io(#[from] io::Error),
}

/// Frames over a stream.
///
/// | Offset | Size | Field                                              |
/// |-------:|-----:|----------------------------------------------------|
/// |      0 |    4 | length of the payload, without these 4 bytes       |
/// |      4 |    n | payload                                            |
///
/// A length is checked against a limit before anything is allocated, and the buffer grows with the bytes that arrived,
/// never to the length that was announced. Specification: protocol 3.1.
#[derive(Debug)]
pub struct Frames<S> {
    stream: S,
    input: BytesMut,
    /// Bytes of the frame at the front of `input` that has been handed out, header included.
    handed_out: usize,
    output: BytesMut,
}

impl<S> Frames<S> {
    /// Frames over `stream`, from its next byte on.
    pub fn new(stream: S) -> Self {
        Self { stream, input: BytesMut::new(), handed_out: 0, output: BytesMut::new() }
    }

    /// Lets go of the frame handed out before. Whether the next one is complete in the buffer: then it is in
    /// [`Frames::payload`]. Its length must not exceed `limit`.
    pub fn ready(&mut self, limit: usize) -> Result<bool, FrameError> {
        self.input.advance(self.handed_out);
        self.handed_out = 0;
        let Some(header) = self.input.first_chunk::<HEADER>() else { return Ok(false) };
        let length = i32::from_be_bytes(*header);
        let payload = usize::try_from(length)
            .ok()
            .filter(|&payload| payload <= limit)
            .ok_or(FrameError::Length { length, limit })?;
        let complete = self.input.len() - HEADER >= payload;
        if complete {
            self.handed_out = HEADER + payload;
        }
        Ok(complete)
    }

    /// The payload of the frame that [`Frames::ready`] found.
    pub fn payload(&self) -> &[u8] {
        self.input.get(HEADER..self.handed_out).unwrap_or_default()
    }

    /// Appends a frame to what the next [`Frames::flush`] sends.
    pub fn put(&mut self, payload: impl FnOnce(&mut BytesMut)) {
        put(&mut self.output, payload);
    }
}

impl<S: AsyncRead + Unpin> Frames<S> {
    /// Waits for more bytes and returns how many came. Loses nothing if it is cancelled.
    pub async fn fill(&mut self) -> Result<usize, FrameError> {
        if self.input.capacity() - self.input.len() < LEAST_READ {
            self.input.reserve(READ_SIZE);
        }
        match self.stream.read_buf(&mut self.input).await? {
            0 => Err(FrameError::Closed),
            count => Ok(count),
        }
    }

    /// Waits for the next frame and hands out its payload. Loses nothing if it is cancelled.
    pub async fn read(&mut self, limit: usize) -> Result<&[u8], FrameError> {
        while !self.ready(limit)? {
            self.fill().await?;
        }
        Ok(self.payload())
    }
}

impl<S: AsyncWrite + Unpin> Frames<S> {
    /// Sends all frames put since the last time.
    pub async fn flush(&mut self) -> Result<(), FrameError> {
        self.stream.write_all(&self.output).await?;
        self.output.clear();
        Ok(self.stream.flush().await?)
    }

    /// Sends frames that are already encoded, behind those put before.
    pub async fn send_encoded(&mut self, frames: &[u8]) -> Result<(), FrameError> {
        self.flush().await?;
        self.stream.write_all(frames).await?;
        Ok(self.stream.flush().await?)
    }

    /// Closes the sending side.
    pub async fn shutdown(&mut self) -> io::Result<()> {
        self.stream.shutdown().await
    }
}

/// Appends a frame. A payload of 2^31 bytes or more can't be announced; no message comes near.
pub fn put(out: &mut BytesMut, payload: impl FnOnce(&mut BytesMut)) {
    let start = out.len();
    out.put_i32(0);
    payload(out);
    let length = i32::try_from(out.len() - start - HEADER).unwrap_or(i32::MAX);
    if let Some(header) = out.get_mut(start..start + HEADER) {
        header.copy_from_slice(&length.to_be_bytes());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn runtime() -> tokio::runtime::Runtime {
        tokio::runtime::Builder::new_current_thread().build().unwrap()
    }

    #[test]
    fn frames_survive_any_cut_of_the_stream() {
        let mut wire = BytesMut::new();
        for payload in [&b"\x07"[..], b"", b"a body"] {
            put(&mut wire, |out| out.put_slice(payload));
        }
        for piece in 1..=wire.len() {
            runtime().block_on(async {
                let (mut near, far) = tokio::io::duplex(piece);
                let send = async {
                    near.write_all(&wire).await.unwrap();
                    drop(near);
                };
                let receive = async {
                    let mut frames = Frames::new(far);
                    assert_eq!(frames.read(10).await.unwrap(), b"\x07");
                    assert_eq!(frames.read(10).await.unwrap(), b"");
                    assert_eq!(frames.read(10).await.unwrap(), b"a body");
                    assert!(matches!(frames.read(10).await, Err(FrameError::Closed)));
                };
                tokio::join!(send, receive);
            });
        }
    }

    #[test]
    fn a_length_beyond_the_limit_is_refused_before_its_bytes_arrive() {
        for (header, limit) in [(11i32, 10), (i32::MAX, STREAM_LIMIT), (-1, LIMIT), (i32::MIN, LIMIT)] {
            let wire = header.to_be_bytes();
            let mut frames = Frames::new(&wire[..]);
            let result = runtime().block_on(frames.read(limit)).map(<[u8]>::to_vec);
            assert!(matches!(result, Err(FrameError::Length { length, .. }) if length == header), "{header}");
            assert!(frames.input.capacity() <= 2 * READ_SIZE);
        }
    }

    #[test]
    fn the_buffer_grows_with_the_bytes_that_arrived() {
        let mut wire = BytesMut::new();
        wire.put_i32(i32::try_from(LIST_LIMIT).unwrap());
        wire.put_bytes(0, 1000);
        let mut frames = Frames::new(&wire[..]);
        assert!(matches!(runtime().block_on(frames.read(LIST_LIMIT)), Err(FrameError::Closed)));
        assert!(frames.input.capacity() <= 2 * READ_SIZE, "{}", frames.input.capacity());
    }

    #[test]
    fn a_long_row_of_chunks_needs_one_buffer() {
        let mut wire = BytesMut::new();
        for _ in 0..100 {
            put(&mut wire, |out| out.put_bytes(7, 32_772));
        }
        let mut frames = Frames::new(&wire[..]);
        runtime().block_on(async {
            for _ in 0..100 {
                assert_eq!(frames.read(STREAM_LIMIT).await.unwrap().len(), 32_772);
            }
        });
        assert!(frames.input.capacity() <= 2 * READ_SIZE, "{}", frames.input.capacity());
    }
}
