//! A client's connection: dialled, greeted, agreed on a version, and one request at a time.
//!
//! ```text
//! TYPE -> body of a single message                                   -> done
//! TYPE -> FILE header -> chunks until the last                       -> TYPE
//! TYPE -> transaction chunks until the end mark                      -> TYPE
//! ```
//!
//! There is no reconnection inside a request, and a connection on which a request failed carries no further one.
//! Specification: protocol 1.1, 1.2 and 5.2.

use std::fmt;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use tokio::net::TcpStream;
use tokio::time::{Instant, timeout, timeout_at};

use super::brake::Brake;
use super::client::Client;
use super::error::{CatchupError, MessageName, MessageType, Step};
use super::frame::Frames;
use super::handshake::{self, ProtocolVersion};
use super::hint::Hint;
use super::magic::{self, MagicError};
use super::message::{Body, ErrorResponse, Request, RequestKind, Response, ResponseKind};
use super::peer::Peer;
use super::timeouts::Timeouts;
use super::transport::{TlsTransport, Transport, explained};
use crate::tls::ClientTls;

/// How often someone is told that the first byte of an answer is still awaited.
const NOTICE_INTERVAL: Duration = Duration::from_secs(10);

/// Opens connections to one server.
#[derive(Clone, Debug)]
pub struct Dialer {
    host: String,
    port: u16,
    /// TLS, if the server's SSL policy for backups is enabled.
    pub tls: Option<ClientTls>,
    /// How long to wait for what.
    pub timeouts: Timeouts,
    /// The versions to offer, 3.0 and 4.0 unless changed. Specification: protocol 2.5.
    pub versions: Vec<ProtocolVersion>,
    /// Holds back what is received, if it must not come too fast.
    pub brake: Option<Arc<Brake>>,
}

/// Host and port, as a user writes them.
impl fmt::Display for Dialer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        Peer::named(&self.host, self.port).fmt(f)
    }
}

impl Dialer {
    /// Opens connections to `host`, a name or an address; an empty one is this machine.
    pub fn new(host: &str, port: u16) -> Self {
        let host = if host.is_empty() { "localhost" } else { host };
        Self {
            host: host.to_owned(),
            port,
            tls: None,
            timeouts: Timeouts::default(),
            versions: vec![ProtocolVersion::V3, ProtocolVersion::V4],
            brake: None,
        }
    }

    /// Opens a connection that is ready for requests: TCP, TLS, magic and handshake, within the time for a request to
    /// be sent.
    pub async fn connect(&self) -> Result<Client, CatchupError> {
        let after = self.timeouts.request_sent;
        let late = || CatchupError::SendTimeout { peer: Peer::named(&self.host, self.port), after };
        timeout(after, self.open()).await.unwrap_or_else(|_| Err(late()))
    }

    async fn open(&self) -> Result<Client, CatchupError> {
        let (stream, peer) = self.dial().await?;
        // Requests are written whole and wait for their answer.
        stream.set_nodelay(true).map_err(|error| CatchupError::from_io(error, &peer, Step::Magic))?;
        match &self.tls {
            Some(tls) => self.greet(Box::new(self.secure(tls, stream, &peer).await?), peer).await,
            None => self.greet(Box::new(stream), peer).await,
        }
    }

    async fn secure(
        &self,
        tls: &ClientTls,
        stream: TcpStream,
        peer: &Peer,
    ) -> Result<impl Transport + use<>, CatchupError> {
        let (after, step) = (self.timeouts.handshake, Step::Tls);
        let hint = Hint::for_closed(peer.port(), true);
        let name = tls.server_name(&self.host)?;
        let (tls, port) = (tls.clone(), peer.port());
        let handshake = tls.connector().connect(name, stream);
        let explain = move |error: &io::Error| tls.explain(error, port);
        match timeout(after, handshake).await {
            Ok(Ok(stream)) => Ok(TlsTransport::new(stream, explain)),
            Ok(Err(error)) => {
                Err(CatchupError::from_io(explained(error, explain), peer, step).with_hint(hint))
            }
            Err(_) => Err(CatchupError::HandshakeTimeout { peer: peer.clone(), step, after, hint }),
        }
    }

    /// Greets the server at the other end of `stream`, which already is what TLS makes of it, and agrees on a version
    /// with it.
    pub async fn greet(&self, mut stream: Box<dyn Transport>, peer: Peer) -> Result<Client, CatchupError> {
        let after = self.timeouts.handshake;
        let late = |step, hint| CatchupError::HandshakeTimeout { peer: peer.clone(), step, after, hint };
        let closed = Hint::for_closed(peer.port(), self.tls.is_some());
        match timeout(after, magic::greet(&mut stream)).await {
            Ok(result) => result.map_err(|error| wrong_magic(error, &peer, closed))?,
            Err(_) => return Err(late(Step::Magic, closed)),
        }
        let mut frames = Frames::new(stream);
        let version = timeout(after, handshake::negotiate(&mut frames, &peer, &self.versions))
            .await
            .unwrap_or_else(|_| Err(late(Step::Handshake, Hint::None)))?;
        tracing::debug!("Connected to {peer}, version {version} of the backup protocol");
        let (timeouts, brake) = (self.timeouts, self.brake.clone());
        Ok(Client::new(Connection { frames, peer, version, timeouts, brake, usable: true, answered: false }))
    }

    /// Tries all addresses of the host in the resolver's order.
    async fn dial(&self) -> Result<(TcpStream, Peer), CatchupError> {
        let named = Peer::named(&self.host, self.port);
        let unknown = |error| CatchupError::UnknownHost { peer: named.clone(), error };
        let addresses = tokio::net::lookup_host((self.host.as_str(), self.port)).await.map_err(unknown)?;
        let mut failure = None;
        for address in addresses {
            let peer = named.at(address);
            failure = Some(match timeout(self.timeouts.connect, TcpStream::connect(address)).await {
                Ok(Ok(stream)) => return Ok((stream, peer)),
                Ok(Err(error)) => {
                    let hint = Hint::for_refused(peer.port());
                    CatchupError::Connect { peer, error, hint }
                }
                Err(_) => CatchupError::ConnectTimeout { peer, after: self.timeouts.connect },
            });
        }
        Err(failure.unwrap_or_else(|| unknown(io::Error::new(io::ErrorKind::NotFound, "it has no address"))))
    }
}

fn wrong_magic(error: MagicError, peer: &Peer, closed: Hint) -> CatchupError {
    let step = Step::Magic;
    match error {
        MagicError::Wrong { got } if got.is_empty() => {
            CatchupError::Closed { peer: peer.clone(), step, error: None, hint: closed }
        }
        MagicError::Wrong { got } => {
            let hint = Hint::for_answer(&got, peer.port());
            CatchupError::WrongMagic { peer: peer.clone(), got, hint }
        }
        MagicError::Io(error) => CatchupError::from_io(error, peer, step).with_hint(closed),
    }
}

/// A connection that is ready for requests.
pub(super) struct Connection {
    frames: Frames<Box<dyn Transport>>,
    peer: Peer,
    version: ProtocolVersion,
    timeouts: Timeouts,
    brake: Option<Arc<Brake>>,
    /// Whether the last request was answered to its end.
    usable: bool,
    /// Whether a message of the running answer has arrived.
    answered: bool,
}

impl fmt::Debug for Connection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Connection({}, version {}, usable: {})", self.peer, self.version, self.usable)
    }
}

impl Connection {
    pub fn peer(&self) -> &Peer {
        &self.peer
    }

    pub fn version(&self) -> ProtocolVersion {
        self.version
    }

    pub fn is_usable(&self) -> bool {
        self.usable
    }

    /// The answer is complete: the next request may be sent.
    pub fn answer_complete(&mut self) {
        self.usable = true;
    }

    /// Sends a request. Until its answer is complete the connection counts as unusable, so that a request that is given
    /// up half-way can't leave its answer to the next one.
    pub async fn send<R: Request>(&mut self, request: &R) -> Result<(), CatchupError> {
        let (kind, peer, version) = (R::KIND, &self.peer, self.version);
        if version < ProtocolVersion::V4 && !kind.is_in_version_3() {
            return Err(CatchupError::NotInVersion3 { peer: peer.clone(), request: kind, version });
        }
        if !self.usable {
            return Err(CatchupError::NotReusable { peer: peer.clone(), request: kind });
        }
        self.usable = false;
        self.answered = false;
        self.frames.put(|out| out.extend_from_slice(&[kind as u8]));
        self.frames.put(|out| request.encode(out));
        let after = self.timeouts.request_sent;
        match timeout(after, self.frames.flush()).await {
            Ok(result) => result.map_err(|error| CatchupError::from_frame(error, peer, Step::Send(kind))),
            Err(_) => Err(CatchupError::SendTimeout { peer: peer.clone(), after }),
        }
    }

    /// Waits for the next frame of the answer, at most `patience`. Every [`NOTICE_INTERVAL`] of silence `notice` is
    /// told how long it has lasted.
    async fn frame_within(
        &mut self,
        request: RequestKind,
        limit: usize,
        patience: Duration,
        notice: &mut (dyn FnMut(Duration) + Send),
    ) -> Result<&[u8], CatchupError> {
        // Set when the socket has to be waited for: no look at the clock per chunk, and no time of the sink counted.
        let mut waiting: Option<(Instant, Duration)> = None;
        let failed = |error| CatchupError::from_frame(error, &self.peer, Step::Answer(request));
        while !self.frames.ready(limit).map_err(failed)? {
            let (since, notice_after) = waiting.get_or_insert_with(|| (Instant::now(), NOTICE_INTERVAL));
            let wake = *since + patience.min(*notice_after);
            match timeout_at(wake, self.frames.fill()).await {
                Ok(result) => {
                    let received = result.map_err(failed)?;
                    if let Some(brake) = &self.brake {
                        // The server is not waited for here: this time is not its.
                        brake.hold(received).await;
                        waiting = None;
                    }
                }
                Err(_) if *notice_after < patience => {
                    notice(*notice_after);
                    *notice_after += NOTICE_INTERVAL;
                }
                Err(_) => {
                    let (peer, after) = (self.peer.clone(), patience);
                    return Err(if self.answered {
                        CatchupError::Inactive { peer, request, after }
                    } else {
                        CatchupError::NoResponse { peer, request, after }
                    });
                }
            }
        }
        self.answered = true;
        Ok(self.frames.payload())
    }

    /// Waits for the next frame of the answer.
    pub async fn frame(&mut self, request: RequestKind, limit: usize) -> Result<&[u8], CatchupError> {
        self.frame_within(request, limit, self.timeouts.inactivity, &mut |_| ()).await
    }

    /// Waits for the type of the next message.
    pub async fn message_type(&mut self, request: RequestKind) -> Result<MessageType, CatchupError> {
        let patience = self.timeouts.inactivity;
        self.message_type_within(request, patience, &mut |_| ()).await
    }

    /// Waits for the type of the first message, as long as a checkpoint may take.
    pub async fn message_type_after_checkpoint(
        &mut self,
        request: RequestKind,
        notice: &mut (dyn FnMut(Duration) + Send),
    ) -> Result<MessageType, CatchupError> {
        let patience = self.timeouts.checkpoint;
        self.message_type_within(request, patience, notice).await
    }

    async fn message_type_within(
        &mut self,
        request: RequestKind,
        patience: Duration,
        notice: &mut (dyn FnMut(Duration) + Send),
    ) -> Result<MessageType, CatchupError> {
        let peer = self.peer.clone();
        let step = Step::Answer(request);
        match self.frame_within(request, 1, patience, notice).await {
            Ok(&[byte]) => Ok(MessageType(byte)),
            Ok(_) => Err(CatchupError::TypeFrame { peer, step, length: 0 }),
            Err(CatchupError::FrameLength { length, .. }) => {
                Err(CatchupError::TypeFrame { peer, step, length })
            }
            Err(other) => Err(other),
        }
    }

    /// Waits for the body of a message whose type has arrived.
    pub async fn body<B: Body>(
        &mut self,
        request: RequestKind,
        kind: ResponseKind,
        limit: usize,
    ) -> Result<B, CatchupError> {
        let peer = self.peer.clone();
        let payload = self.frame(request, limit).await?;
        B::from_payload(payload).map_err(|error| CatchupError::Malformed {
            peer,
            message: MessageName::Response(kind),
            error,
        })
    }

    /// Waits for the body of a single message whose type has arrived.
    pub async fn response<T: Response>(&mut self, request: RequestKind) -> Result<T, CatchupError> {
        self.body(request, T::KIND, T::LIMIT).await
    }

    /// What a message of another type than `expected` means: a refusal, or the end of this connection.
    pub async fn refusal(
        &mut self,
        request: RequestKind,
        got: MessageType,
        expected: &'static str,
    ) -> CatchupError {
        let peer = self.peer.clone();
        if got != MessageType(ResponseKind::Error as u8) {
            return CatchupError::UnexpectedMessage { peer, request, got, expected };
        }
        match self.response::<ErrorResponse>(request).await {
            Ok(ErrorResponse { status, message }) => {
                self.answer_complete();
                CatchupError::ErrorResponse { peer, request, status, message }
            }
            Err(error) => error,
        }
    }

    /// Sends a request whose answer is a single message, and waits for it.
    pub async fn ask<R: Request, T: Response>(
        &mut self,
        request: &R,
        expected: &'static str,
    ) -> Result<T, CatchupError> {
        self.send(request).await?;
        let got = self.message_type(R::KIND).await?;
        if got != MessageType(T::KIND as u8) {
            return Err(self.refusal(R::KIND, got, expected).await);
        }
        let response = self.response(R::KIND).await?;
        self.answer_complete();
        Ok(response)
    }
}
