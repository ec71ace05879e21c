//! The other side of each request, over a [`Source`].
//!
//! One task per connection, any number of connections. The checks of the protocol and their order are here, the facts
//! come from the source. Specification: protocol 5.1, 6 and 8.1.

mod file;
mod session;
mod source;
mod transactions;

use std::io;
use std::sync::Arc;
use std::time::Duration;

use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};

pub use self::session::serve_connection;
pub use self::source::{PreparedCopy, Source, SourceError, SourceFile, TransactionSource};
use super::error::{CatchupError, Step};
use super::handshake::ProtocolVersion;
use super::hint::Hint;
use super::message::TransactionStreamEncoder;
use super::peer::Peer;
use super::transport::{TlsTransport, explained};
use crate::tls::ServerTls;

/// How a server behaves.
#[derive(Clone, Debug)]
pub struct ServerOptions {
    /// TLS, if it is to be spoken.
    pub tls: Option<ServerTls>,
    /// The versions that it accepts, 3.0 and 4.0 unless changed.
    pub versions: Vec<ProtocolVersion>,
    /// Bytes of a file per chunk, 32,768 unless changed; `causal_clustering.store_copy_chunk_size`, 4,096 to 1 MiB.
    pub chunk_size: usize,
    /// Longest frame of a transaction stream, in bytes, 1 MiB unless changed.
    pub transaction_buffer: usize,
    /// How long a client may take for TLS, for its greeting, and for the rest of the handshake: 20 s each.
    pub handshake_timeout: Duration,
    /// How long a request may run on when the server stops: 10 s.
    pub grace: Duration,
}

impl Default for ServerOptions {
    fn default() -> Self {
        Self {
            tls: None,
            versions: vec![ProtocolVersion::V3, ProtocolVersion::V4],
            chunk_size: 32_768,
            transaction_buffer: TransactionStreamEncoder::BUFFER_SIZE,
            handshake_timeout: Duration::from_secs(20),
            grace: Duration::from_secs(10),
        }
    }
}

/// Serves clients until `shutdown` completes. Then it accepts no more, lets running requests end within
/// [`ServerOptions::grace`], and returns.
pub async fn serve(
    listener: TcpListener,
    source: Arc<dyn Source>,
    options: ServerOptions,
    shutdown: impl Future<Output = ()>,
) {
    let (stopping, stop) = watch::channel(false);
    let grace = options.grace;
    let options = Arc::new(options);
    let mut connections = JoinSet::new();
    tokio::pin!(shutdown);
    loop {
        tokio::select! {
            () = &mut shutdown => break,
            accepted = listener.accept() => match accepted {
                Ok((stream, address)) => {
                    let peer = Peer::from(address);
                    let (source, options, stop) = (Arc::clone(&source), Arc::clone(&options), stop.clone());
                    connections.spawn(async move {
                        match welcome(stream, peer.clone(), source, &options, stop).await {
                            Ok(()) => tracing::debug!("Lost connection to {peer}"),
                            Err(error) => tracing::warn!("{}", session::story(&error)),
                        }
                    });
                }
                Err(error) => {
                    // Out of file descriptors, most likely: some connection must end first.
                    tracing::warn!("no connection could be accepted: {error}");
                    sleep(Duration::from_millis(100)).await;
                }
            },
            Some(_) = connections.join_next() => {}
        }
    }
    drop(listener);
    stopping.send_replace(true);
    let drain = async { while connections.join_next().await.is_some() {} };
    if timeout(grace, drain).await.is_err() {
        connections.shutdown().await;
    }
}

async fn welcome(
    stream: TcpStream,
    peer: Peer,
    source: Arc<dyn Source>,
    options: &ServerOptions,
    stop: watch::Receiver<bool>,
) -> Result<(), CatchupError> {
    tracing::debug!("Connected to {peer}");
    // The end of an answer must not wait for the client's acknowledgement of what came before.
    stream
        .set_nodelay(true)
        .map_err(|error: io::Error| CatchupError::from_io(error, &peer, Step::Greeting))?;
    let Some(tls) = &options.tls else {
        return serve_connection(stream, peer, source, options, stop).await;
    };
    let (after, step, hint) = (options.handshake_timeout, Step::Tls, Hint::None);
    let stream = timeout(after, tls.acceptor().accept(stream))
        .await
        .map_err(|_| CatchupError::HandshakeTimeout { peer: peer.clone(), step, after, hint })?
        .map_err(|error| CatchupError::from_io(explained(error, ServerTls::explain), &peer, step))?;
    serve_connection(TlsTransport::new(stream, ServerTls::explain), peer, source, options, stop).await
}
