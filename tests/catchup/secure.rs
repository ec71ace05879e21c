//! The protocol over TLS, and what a user is told when only one side speaks it.

use std::net::SocketAddr;

use neo4j_admin::catchup::server::ServerOptions;
use neo4j_admin::catchup::{CatchupError, Dialer};
use neo4j_admin::config::policy::TlsVersion;
use neo4j_admin::store::id::TransactionId;
use neo4j_admin::tls::{ClientTls, ServerTls};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

use super::Server;
use crate::support::memory_source::{MemoryDatabase, MemorySource};
use crate::support::sinks::MemoryFiles;
use crate::support::tls::{Authority, PolicyDirectory, parameters};

/// What each side has when both trust the same authority.
struct Policies {
    client: PolicyDirectory,
    server: PolicyDirectory,
    /// A client without certificate.
    nobody: PolicyDirectory,
}

fn policies() -> Policies {
    let authority = Authority::new("CA");
    let directory = |name: &str| {
        PolicyDirectory::of(&authority.sign(&parameters(name, &["localhost"])))
            .trusting(&[&authority.certificate])
    };
    let nobody = PolicyDirectory::new().trusting(&[&authority.certificate]);
    Policies { client: directory("client"), server: directory("server"), nobody }
}

fn client_tls(directory: &PolicyDirectory, version: TlsVersion) -> ClientTls {
    let mut policy = directory.policy();
    policy.tls_versions = vec![version];
    policy.verify_hostname = true;
    ClientTls::from_policy(&policy).unwrap()
}

fn dialer(address: SocketAddr, tls: Option<ClientTls>) -> Dialer {
    let mut dialer = Dialer::new("localhost", address.port());
    dialer.tls = tls;
    dialer
}

async fn secure_server(directory: &PolicyDirectory) -> Server {
    let mut policy = directory.policy();
    policy.tls_versions = vec![TlsVersion::V1_2, TlsVersion::V1_3];
    let mut database = MemoryDatabase::empty("neo4j", 7);
    database.replayable = vec![("neostore".to_owned(), vec![7; 3 << 20])];
    let options =
        ServerOptions { tls: Some(ServerTls::from_policy(&policy).unwrap()), ..ServerOptions::default() };
    Server::start(MemorySource { databases: vec![database], metadata: None }, options).await
}

#[tokio::test]
async fn files_travel_over_mutual_tls() {
    let policies = policies();
    let server = secure_server(&policies.server).await;
    for version in [TlsVersion::V1_2, TlsVersion::V1_3] {
        let tls = client_tls(&policies.client, version);
        let mut client = dialer(server.address, Some(tls)).connect().await.unwrap();
        let database = client.database_id("neo4j").await.unwrap();
        let store_id = client.store_id(database).await.unwrap();
        let mut files = MemoryFiles::default();
        client.store_file(database, store_id, TransactionId(1), "neostore", &mut files).await.unwrap();
        assert_eq!(files.complete(), [("neostore".to_owned(), vec![7; 3 << 20])]);
    }
    server.stop().await;
}

#[tokio::test]
async fn a_client_without_a_certificate_is_told_so_whenever_it_comes_to_light() {
    let policies = policies();
    let server = secure_server(&policies.server).await;
    for version in [TlsVersion::V1_2, TlsVersion::V1_3] {
        // With TLS 1.3 the server refuses after the client's handshake is done.
        for _ in 0..20 {
            let tls = client_tls(&policies.nobody, version);
            let error = dialer(server.address, Some(tls)).connect().await.unwrap_err();
            let CatchupError::Tls { failure, .. } = &error else { panic!("{version:?}: {error}") };
            let advice = failure.advice.as_deref().unwrap();
            assert!(advice.starts_with("the server wants a certificate of this client"), "{error}");
            assert!(error.to_string().starts_with("TLS with localhost/127.0.0.1:"), "{error}");
        }
    }
}

#[tokio::test]
async fn a_server_that_is_not_trusted_is_told_so() {
    let policies = policies();
    let stranger = Authority::new("Another CA").sign(&parameters("server", &["localhost"]));
    let server = secure_server(&PolicyDirectory::of(&stranger).trusting(&[&stranger.certificate])).await;
    let tls = client_tls(&policies.client, TlsVersion::V1_2);
    let error = dialer(server.address, Some(tls)).connect().await.unwrap_err().to_string();
    assert!(
        error.contains(" failed during the TLS handshake: the server's certificate is not trusted (put it"),
        "{error}"
    );
}

#[tokio::test]
async fn plain_talk_to_a_tls_port_is_explained() {
    let policies = policies();
    let server = secure_server(&policies.server).await;
    let error = dialer(server.address, None).connect().await.unwrap_err().to_string();
    assert!(
        error.ends_with(
            "(the server talks TLS and this side does not: set dbms.ssl.policy.backup.enabled=true with the \
             certificates of the policy)"
        ),
        "{error}"
    );
}

#[tokio::test]
async fn tls_to_a_plain_backup_port_is_explained() {
    let policies = policies();
    let server = Server::start(MemorySource::default(), ServerOptions::default()).await;
    let tls = client_tls(&policies.client, TlsVersion::V1_2);
    let error = dialer(server.address, Some(tls)).connect().await.unwrap_err();
    assert!(matches!(error, CatchupError::Closed { .. }), "{error}");
    let (peer, error) = (format!("localhost/{}", server.address), error.to_string());
    assert!(
        error.starts_with(&format!("{peer} closed the connection during the TLS handshake: ")),
        "{error}"
    );
    assert!(
        error.ends_with(
            "(dbms.ssl.policy.backup is enabled here; the server does not seem to talk TLS on that port)"
        ),
        "{error}"
    );
}

#[tokio::test]
async fn tls_to_a_port_that_talks_something_else_is_explained() {
    let policies = policies();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let web_server = async {
        let (mut stream, _) = listener.accept().await.unwrap();
        stream.read_buf(&mut Vec::new()).await.unwrap();
        stream.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n").await.unwrap();
        stream
    };
    let dialer = dialer(address, Some(client_tls(&policies.client, TlsVersion::V1_2)));
    let (result, _stream) = tokio::join!(dialer.connect(), web_server);
    let error = result.unwrap_err().to_string();
    assert!(error.contains("not an SSL/TLS record: the server does not talk TLS ("), "{error}");
}
