//! Our server against clients that break the rules: it closes their connection and goes on.

use std::sync::Arc;
use std::time::Duration;

use bytes::BytesMut;
use neo4j_admin::catchup::frame::{self, FrameError, Frames};
use neo4j_admin::catchup::handshake;
use neo4j_admin::catchup::magic;
use neo4j_admin::catchup::message::{
    Body, DatabaseIdRequest, FileChunk, RequestKind, ResponseKind, StoreFileRequest, TransactionPullRequest,
};
use neo4j_admin::catchup::server::{ServerOptions, serve_connection};
use neo4j_admin::catchup::{CatchupError, Peer, ProtocolVersion};
use neo4j_admin::store::id::TransactionId;
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream};
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::Instant;

use super::Server;
use crate::support::memory_source::{MemoryDatabase, MemorySource};

/// Bytes of the store's one file: far more than a connection holds.
const FILE_SIZE: usize = 3 << 20;

struct Served {
    client: DuplexStream,
    result: JoinHandle<Result<(), CatchupError>>,
    stop: watch::Sender<bool>,
}

/// A connection to our server, of which nothing has been said yet.
fn serve() -> Served {
    let (client, far) = tokio::io::duplex(1 << 16);
    let (stop, stopped) = watch::channel(false);
    let mut database = MemoryDatabase::empty("neo4j", 7);
    database.replayable = vec![("neostore".to_owned(), vec![7; FILE_SIZE])];
    let source = MemorySource { databases: vec![database], metadata: None };
    let result = tokio::spawn(async move {
        let options = ServerOptions::default();
        serve_connection(far, Peer::named("client", 1), Arc::new(source), &options, stopped).await
    });
    Served { client, result, stop }
}

/// A connection that is ready for requests.
struct Agreed {
    frames: Frames<DuplexStream>,
    result: JoinHandle<Result<(), CatchupError>>,
    stop: watch::Sender<bool>,
}

async fn agree(version: ProtocolVersion) -> Agreed {
    let Served { mut client, result, stop } = serve();
    magic::greet(&mut client).await.unwrap();
    let mut frames = Frames::new(client);
    let peer = Peer::named("server", 1);
    handshake::negotiate(&mut frames, &peer, &[version]).await.unwrap();
    Agreed { frames, result, stop }
}

/// What the server says about a client that sends `payloads` and waits.
async fn sent(version: ProtocolVersion, payloads: &[&[u8]]) -> String {
    let Agreed { mut frames, result, stop: _stop } = agree(version).await;
    for payload in payloads {
        frames.put(|out| out.extend_from_slice(payload));
    }
    frames.flush().await.unwrap();
    assert!(matches!(frames.read(frame::LIMIT).await, Err(FrameError::Closed)), "an answer");
    result.await.unwrap().unwrap_err().to_string()
}

fn encoded(body: &impl Body) -> BytesMut {
    let mut out = BytesMut::new();
    body.encode(&mut out);
    out
}

#[tokio::test(start_paused = true)]
async fn a_client_that_does_not_greet_is_given_up_after_20_seconds() {
    let started = Instant::now();
    let mut served = serve();
    served.client.write_all(b"NEO4J_CLUS").await.unwrap();
    let error = served.result.await.unwrap().unwrap_err();
    assert_eq!(
        error.to_string(),
        "Handshake timed out after PT20S: client:1 fell silent before it had sent the greeting of the backup protocol"
    );
    assert_eq!(started.elapsed(), Duration::from_secs(20));
}

#[tokio::test(start_paused = true)]
async fn a_client_that_does_not_negotiate_is_given_up_after_20_seconds() {
    let mut served = serve();
    magic::greet(&mut served.client).await.unwrap();
    let error = served.result.await.unwrap().unwrap_err();
    assert_eq!(
        error.to_string(),
        "Handshake timed out after PT20S: client:1 fell silent during the handshake of the backup protocol"
    );
}

#[tokio::test]
async fn a_wrong_greeting_is_not_answered() {
    let mut served = serve();
    served.client.write_all(b"GET / HTTP/1.1\r\n\r\n").await.unwrap();
    let mut answer = Vec::new();
    served.client.read_to_end(&mut answer).await.unwrap();
    assert_eq!(answer, b"");
    assert_eq!(
        served.result.await.unwrap().unwrap_err().to_string(),
        "client:1 does not speak the backup protocol: it sent 'GET / HTTP/1.'"
    );
}

#[tokio::test]
async fn request_types_that_a_version_does_not_have_end_the_connection() {
    for (version, types) in
        [(ProtocolVersion::V3, &[0, 2, 3, 8, 9, 10, 0x94][..]), (ProtocolVersion::V4, &[0, 2, 3, 11, 0x94])]
    {
        for &byte in types {
            assert_eq!(
                sent(version, &[&[byte], b"body"]).await,
                format!(
                    "client:1 sent request type {byte}, which version {version} of the backup protocol does not have"
                )
            );
        }
    }
}

#[tokio::test]
async fn requests_that_make_no_sense_end_the_connection() {
    let v4 = ProtocolVersion::V4;
    let store_id = MemoryDatabase::empty("neo4j", 7).store_id;
    let database = MemoryDatabase::empty("neo4j", 7).id;
    let pull = encoded(&TransactionPullRequest { database, previous: TransactionId(0), store_id });
    let name = encoded(&DatabaseIdRequest { name: "neo4j".to_owned() });
    for (payloads, text) in [
        (
            vec![&[1][..], &pull],
            "client:1 sent a malformed TX_PULL request: previous transaction id at offset 16 is 0, expected at least 1",
        ),
        (vec![&[7], &name[..8]], "client:1 sent a malformed DATABASE_ID request: "),
        (vec![&[4], &[0; 17]], "client:1 sent a malformed STORE_ID request: the message ends at offset 16"),
        (vec![&[10], &[0; 8]], "client:1 sent a malformed METADATA request: kind of metadata is \"\""),
        (vec![&[]], "client:1 sent a frame of 0 bytes between two requests where one byte"),
        (vec![&[4, 4]], "client:1 sent a frame of 2 bytes between two requests where one byte"),
    ] {
        let error = sent(v4, &payloads).await;
        assert!(error.starts_with(text), "{error}");
    }
}

#[tokio::test]
async fn a_length_beyond_the_limit_ends_the_connection() {
    for length in [i32::MAX, (1 << 20) + 1, -1] {
        let Served { mut client, result, stop: _stop } = serve();
        magic::greet(&mut client).await.unwrap();
        client.write_all(&length.to_be_bytes()).await.unwrap();
        client.read_to_end(&mut Vec::new()).await.unwrap();
        let error = result.await.unwrap().unwrap_err().to_string();
        assert!(
            error.starts_with(&format!("client:1 announced a frame of {length} bytes during")),
            "{error}"
        );
    }
}

#[tokio::test]
async fn a_client_that_leaves_between_two_requests_is_no_error() {
    let Agreed { frames, result, stop: _stop } = agree(ProtocolVersion::V4).await;
    drop(frames);
    result.await.unwrap().unwrap();
}

#[tokio::test]
async fn a_client_that_leaves_in_a_request_is_told_apart() {
    let Agreed { mut frames, result, stop: _stop } = agree(ProtocolVersion::V4).await;
    frames.put(|out| out.extend_from_slice(&[7]));
    frames.flush().await.unwrap();
    drop(frames);
    let error = result.await.unwrap().unwrap_err();
    assert_eq!(error.to_string(), "client:1 closed the connection in the middle of a DATABASE_ID request");
}

#[tokio::test]
async fn a_server_that_stops_lets_go_of_idle_clients() {
    let Agreed { mut frames, result, stop } = agree(ProtocolVersion::V4).await;
    stop.send_replace(true);
    assert!(matches!(frames.read(1).await, Err(FrameError::Closed)));
    result.await.unwrap().unwrap();
}

#[tokio::test]
async fn a_server_that_stops_ends_the_running_answer_first() {
    let Agreed { mut frames, result, stop } = agree(ProtocolVersion::V4).await;
    let MemoryDatabase { id: database, store_id, .. } = MemoryDatabase::empty("neo4j", 7);
    let (required, name) = (TransactionId::BASE, "neostore".to_owned());
    frames.put(|out| out.extend_from_slice(&[RequestKind::StoreFile as u8]));
    frames.put(|out| StoreFileRequest { database, store_id, required, name }.encode(out));
    frames.flush().await.unwrap();
    assert_eq!(frames.read(1).await.unwrap(), [ResponseKind::File as u8]);
    stop.send_replace(true);
    frames.read(frame::LIMIT).await.unwrap();
    let mut received = 0;
    loop {
        let chunk = FileChunk::decode(frames.read(frame::STREAM_LIMIT).await.unwrap()).unwrap();
        received += chunk.data.len();
        if chunk.last {
            break;
        }
    }
    assert_eq!(received, FILE_SIZE);
    assert_eq!(frames.read(1).await.unwrap(), [ResponseKind::StoreCopyFinished as u8]);
    frames.read(frame::LIMIT).await.unwrap();
    assert!(matches!(frames.read(1).await, Err(FrameError::Closed)));
    result.await.unwrap().unwrap();
}

#[tokio::test]
async fn other_clients_are_served_while_one_misbehaves() {
    let source = MemorySource { databases: vec![MemoryDatabase::empty("neo4j", 7)], metadata: None };
    let server = Server::start(source, ServerOptions::default()).await;
    let mut silent = tokio::net::TcpStream::connect(server.address).await.unwrap();
    let mut wrong = tokio::net::TcpStream::connect(server.address).await.unwrap();
    wrong.write_all(b"GET / HTTP/1.1\r\n\r\n").await.unwrap();
    let mut client = server.connect(ProtocolVersion::V4).await;
    client.database_id("neo4j").await.unwrap();
    silent.write_all(b"N").await.unwrap();
    client.database_id("neo4j").await.unwrap();
}
