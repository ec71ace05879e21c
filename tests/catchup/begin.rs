//! How a connection begins, and what a user is told when it doesn't.

use std::time::Duration;

use neo4j_admin::catchup::server::ServerOptions;
use neo4j_admin::catchup::{CatchupError, Dialer, Peer, ProtocolVersion};
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream};
use tokio::net::TcpListener;

use super::Server;
use crate::support::memory_source::MemorySource;

/// The client's error when the server at `port` reads the greeting, sends `answer` and closes.
async fn answered_with(port: u16, answer: &[u8]) -> String {
    let (near, mut far) = tokio::io::duplex(1024);
    let server = async {
        far.read_exact(&mut [0; 13]).await.unwrap();
        far.write_all(answer).await.unwrap();
        drop(far);
    };
    let dialer = Dialer::new("db1", port);
    let client = dialer.greet(Box::new(near), Peer::named("db1", port));
    let (client, ()) = tokio::join!(client, server);
    client.unwrap_err().to_string()
}

#[tokio::test]
async fn other_protocols_are_recognised() {
    let bolt = "(that is the Bolt port; backups are served on 6362)";
    let greeting = "before it had answered the greeting of the backup protocol";
    for (port, answer, text) in [
        (7687, &b""[..], format!("db1:7687 closed the connection {greeting} {bolt}")),
        (
            17_687,
            &[0, 0, 0, 0],
            format!("db1:17687 does not speak the backup protocol: it sent '\\x00\\x00\\x00\\x00' {bolt}"),
        ),
        (
            7474,
            b"HTTP/1.1 400 Bad Request",
            "db1:7474 does not speak the backup protocol: it sent 'HTTP/1.1 400 ' (that is the HTTP port; backups \
             are served on 6362)"
                .to_owned(),
        ),
        (
            8080,
            b"HTTP/1.1 400 Bad Request",
            "db1:8080 does not speak the backup protocol: it sent 'HTTP/1.1 400 ' (an HTTP server answers there; \
             backups are served on 6362)"
                .to_owned(),
        ),
        (
            6362,
            &[0x15, 3, 3, 0, 2, 2, 70],
            "db1:6362 does not speak the backup protocol: it sent '\\x15\\x03\\x03\\x00\\x02\\x02F' (the server talks \
             TLS and this side does not: set dbms.ssl.policy.backup.enabled=true with the certificates of the policy)"
                .to_owned(),
        ),
        (
            6362,
            b"",
            format!(
                "db1:6362 closed the connection {greeting} (is it the backup port, 6362 by default? If the server's \
                 SSL policy for backups is enabled, it must be enabled here as well: \
                 dbms.ssl.policy.backup.enabled=true)"
            ),
        ),
        (6362, b"NEO4J_BLUSTER", "db1:6362 does not speak the backup protocol: it sent 'NEO4J_BLUSTER'".to_owned()),
    ] {
        assert_eq!(answered_with(port, answer).await, text);
    }
}

#[tokio::test(start_paused = true)]
async fn a_peer_that_does_not_answer_the_greeting_is_given_up_after_20_seconds() {
    let (near, _far) = tokio::io::duplex(1024);
    let started = tokio::time::Instant::now();
    let error = Dialer::new("db1", 6000)
        .greet(Box::new(near), Peer::named("db1", 6000))
        .await
        .unwrap_err()
        .to_string();
    assert!(
        error.starts_with(
            "Handshake timed out after PT20S: db1:6000 fell silent before it had answered the greeting of the \
             backup protocol ("
        ),
        "{error}"
    );
    assert_eq!(started.elapsed(), Duration::from_secs(20));
}

#[tokio::test(start_paused = true)]
async fn a_peer_that_does_not_negotiate_is_given_up_after_20_seconds() {
    let (near, mut far) = tokio::io::duplex(1024);
    far.write_all(b"NEO4J_CLUSTER").await.unwrap();
    let mut dialer = Dialer::new("db1", 6362);
    dialer.timeouts.handshake = Duration::from_millis(1500);
    let error = dialer.greet(Box::new(near), Peer::named("db1", 6362)).await.unwrap_err();
    assert_eq!(
        error.to_string(),
        "Handshake timed out after PT1.5S: db1:6362 fell silent during the handshake of the backup protocol"
    );
}

/// Everything that the client sends before the server has answered anything.
async fn sent_unasked(mut far: DuplexStream) -> Vec<u8> {
    let mut sent = Vec::new();
    while tokio::time::timeout(Duration::from_secs(5), far.read_buf(&mut sent))
        .await
        .is_ok_and(|n| n.unwrap() > 0)
    {}
    sent
}

#[tokio::test(start_paused = true)]
async fn nothing_is_sent_before_the_greeting_is_answered() {
    let (near, far) = tokio::io::duplex(1024);
    let dialer = Dialer::new("db1", 6362);
    let client = dialer.greet(Box::new(near), Peer::named("db1", 6362));
    let (client, sent) = tokio::join!(client, sent_unasked(far));
    client.unwrap_err();
    assert_eq!(sent, b"NEO4J_CLUSTER");
}

#[tokio::test]
async fn a_refused_connection_names_the_peer() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    drop(listener);
    let error = Dialer::new("127.0.0.1", address.port()).connect().await.unwrap_err();
    assert_eq!(
        error.to_string(),
        format!(
            "Connection refused: {address} (is the server running, with dbms.backup.enabled=true and a \
             dbms.backup.listen_address that is reachable from here?)"
        )
    );
}

#[tokio::test]
async fn an_unknown_host_is_named() {
    let error = Dialer::new("no-such-host.invalid", 6362).connect().await.unwrap_err().to_string();
    assert!(error.starts_with("no-such-host.invalid: the name could not be resolved: "), "{error}");
}

#[tokio::test]
async fn all_addresses_of_a_name_are_tried() {
    // The name has an IPv6 address as well on most machines; nobody listens there.
    let server = Server::start(MemorySource::default(), ServerOptions::default()).await;
    for host in ["localhost", ""] {
        let client = Dialer::new(host, server.address.port()).connect().await.unwrap();
        assert_eq!(client.peer().to_string(), format!("localhost/{}", server.address));
    }
}

#[tokio::test]
async fn without_a_common_version_the_connection_fails() {
    let options = ServerOptions { versions: vec![ProtocolVersion::V4], ..ServerOptions::default() };
    let server = Server::start(MemorySource::default(), options).await;
    let mut dialer = server.dialer();
    dialer.versions = vec![ProtocolVersion::V3];
    let error = dialer.connect().await.unwrap_err();
    assert!(matches!(error, CatchupError::ProtocolRefused { .. }));
    assert!(error.to_string().starts_with("Unsuccessful application protocol response: "), "{error}");
    assert_eq!(server.dialer().connect().await.unwrap().version(), ProtocolVersion::V4);
}
