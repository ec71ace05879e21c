//! The backup protocol, called catchup by Neo4j: versions 3.0 and 4.0, both sides.
//!
//! | Part | Owns |
//! |---|---|
//! | [`magic`], [`handshake`] | how a connection begins |
//! | [`frame`] | length-prefixed frames over any stream, with the limits of what is accepted |
//! | [`message`] | one type per message, decode and encode side by side |
//! | [`connection`] | dial, TLS, time-outs, one request at a time |
//! | [`brake`] | a bound on how fast a client receives |
//! | [`client`] | one method per request |
//! | [`server`] | the other side of each request, over a [`server::Source`] |
//!
//! Nothing here knows what a file means: a client hands bytes to a [`FileSink`] or a [`TransactionSink`], a server takes
//! them from a [`server::Source`]. `docs/protocol.md` tells the whole protocol.

pub mod brake;
pub mod client;
pub mod connection;
pub mod error;
pub mod frame;
pub mod handshake;
pub mod hint;
pub mod magic;
pub mod message;
pub mod peer;
pub mod server;
pub mod sink;
pub mod timeouts;
pub mod transport;

pub use self::client::{Client, Prepared, StreamEnd};
pub use self::connection::Dialer;
pub use self::error::{CatchupError, Step};
pub use self::handshake::ProtocolVersion;
pub use self::peer::Peer;
pub use self::sink::{FileSink, SinkError, TransactionSink};
pub use self::timeouts::Timeouts;
