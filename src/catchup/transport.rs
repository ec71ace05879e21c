//! What carries the protocol: TCP, or TLS over it.

use std::fmt;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use crate::tls::failure::Failure;

/// A stream that carries the protocol.
pub trait Transport: AsyncRead + AsyncWrite + Send + Unpin {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin> Transport for T {}

/// What a failure of TLS means; `None` if it is none of TLS.
type Explain = dyn Fn(&io::Error) -> Option<Failure> + Send + Sync;

/// TLS over a stream. Its errors tell what they mean: a refused certificate, for one, may come to light long after the
/// handshake.
pub(super) struct TlsTransport<S> {
    stream: S,
    explain: Box<Explain>,
}

impl<S> TlsTransport<S> {
    /// TLS over `stream`, whose handshake is done.
    pub fn new(stream: S, explain: impl Fn(&io::Error) -> Option<Failure> + Send + Sync + 'static) -> Self {
        Self { stream, explain: Box::new(explain) }
    }

    fn explained<T>(&self, poll: Poll<io::Result<T>>) -> Poll<io::Result<T>> {
        poll.map_err(|error| explained(error, &self.explain))
    }
}

/// Puts the meaning of a failure in place of what the TLS library says. Other errors stay.
pub(super) fn explained(error: io::Error, explain: impl Fn(&io::Error) -> Option<Failure>) -> io::Error {
    match explain(&error) {
        Some(failure) => io::Error::new(error.kind(), failure),
        None => error,
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for TlsTransport<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let poll = Pin::new(&mut self.stream).poll_read(context, buffer);
        self.explained(poll)
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for TlsTransport<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let poll = Pin::new(&mut self.stream).poll_write(context, bytes);
        self.explained(poll)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let poll = Pin::new(&mut self.stream).poll_flush(context);
        self.explained(poll)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let poll = Pin::new(&mut self.stream).poll_shutdown(context);
        self.explained(poll)
    }
}

impl<S> fmt::Debug for TlsTransport<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TlsTransport").finish_non_exhaustive()
    }
}
