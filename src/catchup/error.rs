//! What can go wrong between two peers.

use std::fmt;
use std::io;
use std::time::Duration;

use super::frame::FrameError;
use super::handshake::ProtocolVersion;
use super::hint::Hint;
use super::message::{
    Behind, CatchupResult, DecodeError, PrepareStatus, RequestKind, ResponseKind, StoreCopyStatus,
    StreamError,
};
use super::peer::Peer;
use super::server::SourceError;
use super::sink::SinkError;
use super::timeouts::IsoDuration;
use crate::store::id::{DatabaseId, TransactionId};
use crate::tls::TlsError;
use crate::tls::failure::Failure;

/// What was going on, worded to follow "closed the connection".
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// The TLS handshake.
    Tls,
    /// The server's answer to the raw magic.
    Magic,
    /// The client's raw magic.
    Greeting,
    /// Agreeing on a version.
    Handshake,
    /// A request is being sent.
    Send(RequestKind),
    /// The answer to a request is awaited or arriving.
    Answer(RequestKind),
    /// The server waits for a request.
    Idle,
    /// The server receives the body of a request.
    Receive(RequestKind),
    /// The server sends an answer.
    Serve(RequestKind),
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tls => f.write_str("during the TLS handshake"),
            Self::Magic => f.write_str("before it had answered the greeting of the backup protocol"),
            Self::Greeting => f.write_str("before it had sent the greeting of the backup protocol"),
            Self::Handshake => f.write_str("during the handshake of the backup protocol"),
            Self::Send(request) => write!(f, "when {request} was sent"),
            Self::Answer(request) => write!(f, "before it had completed the answer to {request}"),
            Self::Idle => f.write_str("between two requests"),
            Self::Receive(request) => write!(f, "in the middle of a {request} request"),
            Self::Serve(request) => write!(f, "while {request} was being answered"),
        }
    }
}

/// Something between two peers went wrong.
///
/// A user sees the innermost cause, so that one must be a whole sentence: what the operating system or the TLS library
/// said is part of the text and no cause of its own. The text begins as Neo4j's does where Neo4j has one.
#[derive(Debug, thiserror::Error)]
pub enum CatchupError {
    /// The host name has no address.
    #[error("{}: the name could not be resolved: {error}", peer.host())]
    UnknownHost {
        /// Who was dialled.
        peer: Peer,
        /// What the resolver said.
        error: io::Error,
    },
    /// No address of the host accepted the connection; this is the last one's answer.
    #[error("{}: {peer}{hint}", connect_text(error))]
    Connect {
        /// Who was dialled.
        peer: Peer,
        /// What the system said.
        error: io::Error,
        /// A guess at the reason.
        hint: Hint,
    },
    /// The address did not answer at all.
    #[error("connection timed out: {peer} did not answer within {}", IsoDuration(*after))]
    ConnectTimeout {
        /// Who was dialled.
        peer: Peer,
        /// How long it was waited.
        after: Duration,
    },
    /// TLS failed, in the handshake or later.
    #[error("TLS with {peer} failed {step}: {}", tls_text(failure, *hint))]
    Tls {
        /// The other end.
        peer: Peer,
        /// What was going on.
        step: Step,
        /// What happened, and what may help.
        failure: Failure,
        /// What is known of the port; takes precedence.
        hint: Hint,
    },
    /// TLS can't be used with this host.
    #[error(transparent)]
    TlsHost(#[from] TlsError),
    /// The peer does not speak the backup protocol.
    #[error("{peer} does not speak the backup protocol: it sent '{}'{hint}", got.escape_ascii())]
    WrongMagic {
        /// The other end.
        peer: Peer,
        /// The first bytes that it sent, at most 13.
        got: Vec<u8>,
        /// A guess at the reason.
        hint: Hint,
    },
    /// The handshake took too long.
    #[error("Handshake timed out after {}: {peer} fell silent {step}{hint}", IsoDuration(*after))]
    HandshakeTimeout {
        /// The other end.
        peer: Peer,
        /// What was going on.
        step: Step,
        /// How long it was waited.
        after: Duration,
        /// A guess at the reason.
        hint: Hint,
    },
    /// The server accepts none of the offered versions.
    #[error(
        "Unsuccessful application protocol response: {peer} accepts none of the versions {} of the protocol catchup",
        list(offered)
    )]
    ProtocolRefused {
        /// The other end.
        peer: Peer,
        /// What was offered.
        offered: Vec<ProtocolVersion>,
    },
    /// The server chose what was not offered.
    #[error(
        "Mismatch of application protocols between client and server: Server protocol {protocol} version {version}: \
         Client protocol catchup versions {} (the server is {peer})",
        list(offered)
    )]
    ProtocolMismatch {
        /// The other end.
        peer: Peer,
        /// What the server chose.
        protocol: String,
        /// What the server chose.
        version: ProtocolVersion,
        /// What was offered.
        offered: Vec<ProtocolVersion>,
    },
    /// The server did not confirm its own choice.
    #[error("Server failed to switch over: {peer} did not confirm version {version} after choosing it")]
    SwitchOverRefused {
        /// The other end.
        peer: Peer,
        /// What it had chosen.
        version: ProtocolVersion,
    },
    /// A message of the handshake that makes no sense at this point.
    #[error("{peer} broke the handshake of the backup protocol: {error}")]
    Handshake {
        /// The other end.
        peer: Peer,
        /// What is wrong with it.
        error: HandshakeError,
    },
    /// The peer closed the connection, by the rules or not.
    #[error("{peer} closed the connection {step}{}{hint}", reason(error.as_ref()))]
    Closed {
        /// The other end.
        peer: Peer,
        /// What was going on.
        step: Step,
        /// What the system said, if it was more than the end of the stream.
        error: Option<io::Error>,
        /// A guess at the reason.
        hint: Hint,
    },
    /// The connection broke.
    #[error("the connection to {peer} broke {step}: {error}")]
    Io {
        /// The other end.
        peer: Peer,
        /// What was going on.
        step: Step,
        /// What the system said.
        error: io::Error,
    },
    /// A request could not be handed to the network in time, dialling included.
    #[error("no request could be sent to {peer} within {}", IsoDuration(*after))]
    SendTimeout {
        /// The other end.
        peer: Peer,
        /// How long it was tried.
        after: Duration,
    },
    /// Not one message of the answer came in time.
    #[error(
        "Request timed out with no responses after {} ms. {peer} was asked for {request}{}",
        after.as_millis(), waiting_hint(*request)
    )]
    NoResponse {
        /// The other end.
        peer: Peer,
        /// What it was asked for.
        request: RequestKind,
        /// How long it was waited.
        after: Duration,
    },
    /// The answer began and did not go on.
    #[error(
        "Request timed out after period of inactivity. Time since last response: {} ms. {peer} was asked for {request}",
        after.as_millis()
    )]
    Inactive {
        /// The other end.
        peer: Peer,
        /// What it was asked for.
        request: RequestKind,
        /// How long it was waited.
        after: Duration,
    },
    /// A frame is longer than anything that belongs there, or its length is negative.
    #[error("{peer} announced a frame of {length} bytes {step}; at most {limit} bytes are accepted there")]
    FrameLength {
        /// The other end.
        peer: Peer,
        /// What was going on.
        step: Step,
        /// What was announced.
        length: i32,
        /// What is accepted.
        limit: usize,
    },
    /// A frame that must hold a type byte and nothing else.
    #[error("{peer} sent a frame of {length} bytes {step} where one byte, the type of a message, must come")]
    TypeFrame {
        /// The other end.
        peer: Peer,
        /// What was going on.
        step: Step,
        /// What was announced.
        length: i32,
    },
    /// A response that does not belong to the request.
    #[error("{peer} answered {request} with {got}, {expected} was expected")]
    UnexpectedMessage {
        /// The other end.
        peer: Peer,
        /// What it was asked for.
        request: RequestKind,
        /// What it sent.
        got: MessageType,
        /// What belongs there.
        expected: &'static str,
    },
    /// A request that this side does not know or that the agreed version does not have.
    #[error("{peer} sent request type {byte}, which version {version} of the backup protocol does not have")]
    UnknownRequest {
        /// The other end.
        peer: Peer,
        /// The type byte.
        byte: u8,
        /// The agreed version.
        version: ProtocolVersion,
    },
    /// A body that is not what its type says.
    #[error("{peer} sent a malformed {message}: {error}")]
    Malformed {
        /// The other end.
        peer: Peer,
        /// Name of the message.
        message: MessageName,
        /// What is wrong with it.
        error: DecodeError,
    },
    /// A file of a store copy ended without its end mark.
    #[error(
        "{peer} broke off the file {path:?} while it answered {request}: {error}; the server may have deleted the file \
         while it was copied"
    )]
    FileBroken {
        /// The other end.
        peer: Peer,
        /// What it was asked for.
        request: RequestKind,
        /// Path of the file as the server sent it.
        path: String,
        /// What came instead of a chunk.
        error: DecodeError,
    },
    /// A transaction stream that can't be read.
    #[error("{peer} sent a transaction stream that can't be read: {error}")]
    Stream {
        /// The other end.
        peer: Peer,
        /// What is wrong with it.
        error: StreamError,
    },
    /// The server gave up in the middle of a transaction stream.
    #[error("{peer} broke off the transaction stream behind {behind}: {result}")]
    StreamBrokenOff {
        /// The other end.
        peer: Peer,
        /// What came before.
        behind: Behind,
        /// The reason.
        result: CatchupResult,
    },
    /// The server counts otherwise than what it sent.
    #[error("{peer} ended the transaction stream at transaction {told}, but it ends behind {behind}")]
    StreamEnd {
        /// The other end.
        peer: Peer,
        /// The last transaction by its word.
        told: TransactionId,
        /// The last transaction that came.
        behind: Behind,
    },
    /// More files than any store has.
    #[error("{peer} sent more than {limit} files in answer to {request}")]
    TooManyFiles {
        /// The other end.
        peer: Peer,
        /// What it was asked for.
        request: RequestKind,
        /// What is accepted.
        limit: usize,
    },
    /// The server refused the request.
    #[error("Request returned an error [Status: '{status}' Message: '{}']", Printable(message))]
    ErrorResponse {
        /// The other end.
        peer: Peer,
        /// What it was asked for.
        request: RequestKind,
        /// What went wrong.
        status: CatchupResult,
        /// The same in the server's words.
        message: String,
    },
    /// The server could not begin a full copy.
    #[error("Preparing store failed due to: {status}")]
    PrepareRefused {
        /// The other end.
        peer: Peer,
        /// Why.
        status: PrepareStatus,
    },
    /// The server did not send a file.
    #[error("{peer} did not send the store file {name:?}: {status}")]
    StoreFileRefused {
        /// The other end.
        peer: Peer,
        /// The name that was asked for.
        name: String,
        /// Why.
        status: StoreCopyStatus,
    },
    /// The server called a file complete without having sent one.
    #[error("{peer} reports success for the store file {name:?} without having sent it")]
    NoFile {
        /// The other end.
        peer: Peer,
        /// The name that was asked for.
        name: String,
    },
    /// Version 3.0 lacks the request.
    #[error(
        "Not supported in V3: {peer} speaks version {version} of the backup protocol only, as Neo4j 4.0 and 4.1 do, \
         which has no {request}{}",
        v3_hint(*request)
    )]
    NotInVersion3 {
        /// The other end.
        peer: Peer,
        /// What was to be asked for.
        request: RequestKind,
        /// The agreed version.
        version: ProtocolVersion,
    },
    /// A request failed on this connection before; what arrives now may still belong to that one.
    #[error("the connection to {peer} can not carry {request}: an earlier request on it failed")]
    NotReusable {
        /// The other end.
        peer: Peer,
        /// What was to be asked for.
        request: RequestKind,
    },
    /// The server could not read what it was asked for.
    #[error("{request} of {peer} can't be answered")]
    Source {
        /// The client.
        peer: Peer,
        /// What it asked for.
        request: RequestKind,
        /// The source's own error.
        #[source]
        source: SourceError,
    },
    /// What arrived could not be stored.
    #[error("what {peer} sent in answer to {request} could not be stored")]
    Sink {
        /// The other end.
        peer: Peer,
        /// What it was asked for.
        request: RequestKind,
        /// The sink's own error.
        #[source]
        source: SinkError,
    },
    /// The id of a database was not to be had.
    #[error("Failed to download database id for database '{database}' from '{peer}'")]
    DatabaseId {
        /// Who was asked.
        peer: Peer,
        /// Name of the database.
        database: String,
        /// Why.
        #[source]
        source: Box<CatchupError>,
    },
    /// The id of a store was not to be had.
    #[error("Failed to download store id for database '{database}' from '{peer}'")]
    StoreId {
        /// Who was asked.
        peer: Peer,
        /// Id of the database.
        database: DatabaseId,
        /// Why.
        #[source]
        source: Box<CatchupError>,
    },
}

impl CatchupError {
    /// Tells who and when.
    pub(super) fn from_frame(error: FrameError, peer: &Peer, step: Step) -> Self {
        let peer = peer.clone();
        match error {
            FrameError::Closed => Self::Closed { peer, step, error: None, hint: Hint::None },
            FrameError::Length { length, limit } => Self::FrameLength { peer, step, length, limit },
            FrameError::Io(error) => Self::from_io(error, &peer, step),
        }
    }

    /// Tells who and when, and whether it was the peer, the network or TLS.
    pub(super) fn from_io(error: io::Error, peer: &Peer, step: Step) -> Self {
        let peer = peer.clone();
        if let Some(failure) = error.get_ref().and_then(|inner| inner.downcast_ref::<Failure>()) {
            let (failure, hint) = (failure.clone(), Hint::of_port(peer.port()));
            return Self::Tls { peer, step, failure, hint };
        }
        match error.kind() {
            io::ErrorKind::ConnectionReset
            | io::ErrorKind::ConnectionAborted
            | io::ErrorKind::BrokenPipe
            | io::ErrorKind::UnexpectedEof => {
                Self::Closed { peer, step, error: Some(error), hint: Hint::None }
            }
            _ => Self::Io { peer, step, error },
        }
    }

    /// A peer that closed the connection gets a guess at the reason.
    pub(super) fn with_hint(self, hint: Hint) -> Self {
        match self {
            Self::Closed { peer, step, error, .. } => Self::Closed { peer, step, error, hint },
            other => other,
        }
    }
}

/// What is wrong with a message of the handshake.
#[derive(Debug, thiserror::Error)]
pub enum HandshakeError {
    /// It can't be read.
    #[error(transparent)]
    Malformed(#[from] DecodeError),
    /// It is not the one that must come now.
    #[error("message code {got} came where {expected} must come")]
    Unexpected {
        /// Its code.
        got: i32,
        /// What must come.
        expected: &'static str,
    },
    /// A status that the protocol doesn't know.
    #[error("Unknown status code {status} for protocol {protocol} version {version}")]
    UnknownStatus {
        /// The status.
        status: i32,
        /// Name of the protocol.
        protocol: String,
        /// Its version.
        version: String,
    },
    /// The client asked for a switch-over to something else than what was agreed.
    #[error("Attempted to switch over when protocol stack not established")]
    SwitchOver,
}

/// The type byte of a response, known or not.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MessageType(pub u8);

impl fmt::Display for MessageType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match ResponseKind::from_byte(self.0) {
            Some(kind) => kind.fmt(f),
            None => write!(f, "an unknown message of type {}", self.0),
        }
    }
}

/// Name of a message that could not be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MessageName {
    /// A request.
    Request(RequestKind),
    /// A response.
    Response(ResponseKind),
}

impl fmt::Display for MessageName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Request(kind) => write!(f, "{kind} request"),
            Self::Response(kind) => kind.fmt(f),
        }
    }
}

/// A text of the other side, fit for a terminal: no control characters, and no longer than a screen.
pub(super) struct Printable<'a>(pub &'a str);

impl fmt::Display for Printable<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const LONGEST: usize = 2000;
        for character in self.0.chars().take(LONGEST) {
            if character.is_control() {
                write!(f, "{}", character.escape_default())?;
            } else {
                fmt::Write::write_char(f, character)?;
            }
        }
        if self.0.chars().nth(LONGEST).is_some() { f.write_str("...") } else { Ok(()) }
    }
}

fn list(versions: &[ProtocolVersion]) -> String {
    versions.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
}

fn connect_text(error: &io::Error) -> String {
    match error.kind() {
        io::ErrorKind::ConnectionRefused => "Connection refused".to_owned(),
        _ => format!("could not connect: {error}"),
    }
}

fn tls_text(failure: &Failure, hint: Hint) -> String {
    match hint {
        Hint::None => failure.to_string(),
        hint => format!("{}{hint}", failure.cause),
    }
}

fn reason(error: Option<&io::Error>) -> String {
    error.map(|error| format!(": {error}")).unwrap_or_default()
}

fn waiting_hint(request: RequestKind) -> &'static str {
    match request {
        RequestKind::PrepareStoreCopy => {
            " and runs a checkpoint before it answers; \
             causal_clustering.catch_up_client_inactivity_timeout allows longer ones"
        }
        _ => "",
    }
}

fn v3_hint(request: RequestKind) -> &'static str {
    match request {
        RequestKind::AllDatabaseIds => "; name one database instead of a pattern",
        _ => "",
    }
}

#[cfg(test)]
mod tests {
    use std::error::Error;

    use super::*;

    fn peer() -> Peer {
        Peer::named("db1", 6362).at(([10, 0, 0, 1], 6362).into())
    }

    #[test]
    fn texts_begin_as_those_of_neo4j() {
        let request = RequestKind::PrepareStoreCopy;
        let reset = || io::Error::from(io::ErrorKind::ConnectionReset);
        for (error, text) in [
            (
                CatchupError::ErrorResponse {
                    peer: peer(),
                    request,
                    status: CatchupResult::DatabaseUnknown,
                    message: "Database 'foo' does not exist".to_owned(),
                },
                "Request returned an error [Status: 'E_DATABASE_UNKNOWN' Message: 'Database 'foo' does not exist']",
            ),
            (
                CatchupError::PrepareRefused { peer: peer(), status: PrepareStatus::ListingStore },
                "Preparing store failed due to: E_LISTING_STORE",
            ),
            (
                CatchupError::NoResponse { peer: peer(), request, after: Duration::from_secs(600) },
                "Request timed out with no responses after 600000 ms. db1/10.0.0.1:6362 was asked for \
                 PREPARE_STORE_COPY and runs a checkpoint before it answers; \
                 causal_clustering.catch_up_client_inactivity_timeout allows longer ones",
            ),
            (
                CatchupError::Inactive {
                    peer: peer(),
                    request: RequestKind::StoreFile,
                    after: Duration::from_millis(1500),
                },
                "Request timed out after period of inactivity. Time since last response: 1500 ms. \
                 db1/10.0.0.1:6362 was asked for STORE_FILE",
            ),
            (
                CatchupError::HandshakeTimeout {
                    peer: peer(),
                    step: Step::Handshake,
                    after: Duration::from_secs(20),
                    hint: Hint::None,
                },
                "Handshake timed out after PT20S: db1/10.0.0.1:6362 fell silent during the handshake of the backup \
                 protocol",
            ),
            (
                CatchupError::Closed {
                    peer: peer(),
                    step: Step::Answer(RequestKind::StoreFile),
                    error: Some(reset()),
                    hint: Hint::None,
                },
                "db1/10.0.0.1:6362 closed the connection before it had completed the answer to STORE_FILE: connection \
                 reset",
            ),
            (
                CatchupError::Connect {
                    peer: peer(),
                    error: io::Error::from(io::ErrorKind::ConnectionRefused),
                    hint: Hint::Bolt,
                },
                "Connection refused: db1/10.0.0.1:6362 (that is the Bolt port; backups are served on 6362)",
            ),
        ] {
            assert_eq!(error.to_string(), text);
            assert!(error.source().is_none(), "a user sees the innermost cause: {error:?}");
        }
    }

    #[test]
    fn the_words_of_a_server_cannot_steer_a_terminal() {
        let hostile = "\u{1b}[2Jgone\r\n";
        assert_eq!(Printable(hostile).to_string(), "\\u{1b}[2Jgone\\r\\n");
        assert_eq!(Printable(&"x".repeat(3000)).to_string().len(), 2003);
    }
}
