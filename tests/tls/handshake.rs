//! Who has to show a certificate, versions, cipher suites, and peers that do not talk TLS.

use neo4j_admin::config::policy::{CipherSuite, ClientAuth, TlsVersion};
use neo4j_admin::tls::{ClientTls, ServerTls, TlsError};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use super::meet;
use crate::support::tls::{Authority, PolicyDirectory, parameters};

/// A client and a server that one authority signed.
struct Pair {
    authority: Authority,
    client: PolicyDirectory,
    server: PolicyDirectory,
}

impl Pair {
    fn new() -> Self {
        let authority = Authority::new("CA");
        let directory = |name, names: &[&str]| {
            PolicyDirectory::of(&authority.sign(&parameters(name, names))).trusting(&[&authority.certificate])
        };
        let (client, server) = (directory("client", &[]), directory("server", &["localhost"]));
        Self { authority, client, server }
    }

    /// A directory with no more than the authority's certificate.
    fn nobody(&self) -> PolicyDirectory {
        PolicyDirectory::new().trusting(&[&self.authority.certificate])
    }
}

#[tokio::test]
async fn a_client_certificate_is_asked_for_demanded_or_not() {
    let pair = Pair::new();
    let nobody = pair.nobody();
    let stranger = PolicyDirectory::of(&Authority::new("Another CA").sign(&parameters("stranger", &[])))
        .trusting(&[&pair.authority.certificate]);
    for version in [TlsVersion::V1_2, TlsVersion::V1_3] {
        for (client_auth, without, with_untrusted) in [
            (ClientAuth::None, true, true),
            (ClientAuth::Optional, true, false),
            (ClientAuth::Require, false, false),
        ] {
            let mut server = pair.server.policy();
            (server.client_auth, server.tls_versions) = (client_auth, vec![version]);
            for (directory, accepted) in
                [(&pair.client, true), (&nobody, without), (&stranger, with_untrusted)]
            {
                let mut client = directory.policy();
                client.tls_versions = vec![version];
                let meeting = meet(&client, &server, "localhost").await;
                let what = format!("{version:?} {client_auth:?} {meeting:?}");
                assert_eq!(meeting.client.is_ok() && meeting.server.is_ok(), accepted, "{what}");
            }
        }
    }
}

#[tokio::test]
async fn a_client_without_key_says_so_when_the_server_wants_one() {
    let pair = Pair::new();
    let nobody = pair.nobody();
    for version in [TlsVersion::V1_2, TlsVersion::V1_3] {
        let (mut client, mut server) = (nobody.policy(), pair.server.policy());
        (client.tls_versions, server.tls_versions) = (vec![version], vec![version]);
        let meeting = meet(&client, &server, "localhost").await;
        let client = meeting.client.unwrap_err();
        let advice = format!(
            " (the server wants a certificate of this client, and there is none: {} does not exist)",
            nobody.path("private.key").display()
        );
        assert_eq!(client, format!("Received fatal alert: certificate_required{advice}"), "{version:?}");
        assert_eq!(
            meeting.server.unwrap_err(),
            "the client shows no certificate (dbms.ssl.policy.backup.client_auth is REQUIRE here)"
        );
    }
}

#[tokio::test]
async fn an_untrusted_certificate_is_explained_on_both_sides() {
    let pair = Pair::new();
    let other = Authority::new("Another CA");
    let stranger = PolicyDirectory::of(&other.sign(&parameters("stranger", &[])))
        .trusting(&[&pair.authority.certificate]);
    let meeting = meet(&stranger.policy(), &pair.server.policy(), "localhost").await;
    assert_eq!(
        meeting.client.unwrap_err(),
        "Received fatal alert: unknown_ca (the server does not accept the certificate of this client: put it, or that \
         of its authority, into the trusted directory of the server's policy dbms.ssl.policy.backup)"
    );
    assert_eq!(meeting.server.unwrap_err(), "the client's certificate is not trusted");

    let distrustful =
        PolicyDirectory::of(&other.sign(&parameters("client", &[]))).trusting(&[&other.certificate]);
    let meeting = meet(&distrustful.policy(), &pair.server.policy(), "localhost").await;
    assert_eq!(
        meeting.client.unwrap_err(),
        format!(
            "the server's certificate is not trusted (put it, or the certificate of the authority that signed it, into \
             {})",
            distrustful.path("trusted").display()
        )
    );
    assert_eq!(
        meeting.server.unwrap_err(),
        "Received fatal alert: unknown_ca (the client does not trust the certificate of this server)"
    );
}

#[tokio::test]
async fn both_sides_agree_on_the_best_version_that_both_allow() {
    use TlsVersion::{V1_2, V1_3};
    let pair = Pair::new();
    for (client_versions, server_versions, agreed) in [
        (vec![V1_2], vec![V1_2], Some("TLSv1_2")),
        (vec![V1_3], vec![V1_3], Some("TLSv1_3")),
        (vec![V1_2, V1_3], vec![V1_3, V1_2], Some("TLSv1_3")),
        (vec![V1_2, V1_3], vec![V1_2], Some("TLSv1_2")),
        (vec![V1_2], vec![V1_3], None),
        (vec![V1_3], vec![V1_2], None),
    ] {
        let (mut client, mut server) = (pair.client.policy(), pair.server.policy());
        (client.tls_versions, server.tls_versions) = (client_versions, server_versions);
        let meeting = meet(&client, &server, "localhost").await;
        if let Some(version) = agreed {
            assert!(meeting.succeeded().starts_with(version));
        } else {
            let advice = " (both sides must share one of dbms.ssl.policy.backup.tls_versions and a cipher suite that \
                          suits the server's key)";
            let failure = meeting.client_failure();
            assert!(failure.ends_with(advice), "{failure}");
        }
    }
}

#[tokio::test]
async fn the_cipher_suites_of_the_policy_are_the_only_ones() {
    let pair = Pair::new();
    // The keys are ECDSA, so the RSA suites of TLS 1.2 find nobody who can use them.
    for suite in CipherSuite::all().filter(|suite| !suite.name().contains("_RSA_")) {
        let (mut client, server) = (pair.client.policy(), pair.server.policy());
        client.ciphers = vec![suite];
        client.tls_versions = vec![suite.version()];
        let mut server = server;
        server.tls_versions = vec![TlsVersion::V1_2, TlsVersion::V1_3];
        let agreed = meet(&client, &server, "localhost").await.succeeded();
        let name = agreed.split(' ').next_back().unwrap().replace("TLS13_", "TLS_");
        assert_eq!(name, suite.name());
    }
    let (mut client, server) = (pair.client.policy(), pair.server.policy());
    client.ciphers = vec![CipherSuite::EcdheRsaAes256GcmSha384];
    let failure = meet(&client, &server, "localhost").await.client_failure();
    assert!(
        failure.starts_with("Received fatal alert: handshake_failure (both sides must share"),
        "{failure}"
    );

    client.ciphers = vec![CipherSuite::Aes128GcmSha256, CipherSuite::Aes256GcmSha384];
    assert_eq!(
        ClientTls::from_policy(&client).unwrap_err().to_string(),
        "None of the cipher suites of dbms.ssl.policy.backup.ciphers (TLS_AES_128_GCM_SHA256,TLS_AES_256_GCM_SHA384) \
         can be used with the versions of dbms.ssl.policy.backup.tls_versions"
    );
}

#[tokio::test]
async fn a_server_that_talks_plain_is_recognised() {
    let pair = Pair::new();
    let client = ClientTls::from_policy(&pair.client.policy()).unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let serve = async {
        let (mut stream, _) = listener.accept().await.unwrap();
        stream.write_all(b"\x00\x00\x00\x04CTPS").await.unwrap();
        stream
    };
    let dial = async {
        let stream = TcpStream::connect(address).await.unwrap();
        client.connector().connect(client.server_name("localhost").unwrap(), stream).await
    };
    let (_stream, result) = tokio::join!(serve, dial);
    let failure = client.explain(&result.unwrap_err(), 6362).unwrap();
    assert_eq!(failure.cause, "not an SSL/TLS record: the server does not talk TLS");
}

#[tokio::test]
async fn a_client_that_talks_plain_is_recognised() {
    let pair = Pair::new();
    let server = ServerTls::from_policy(&pair.server.policy()).unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let serve = async {
        let (stream, _) = listener.accept().await.unwrap();
        server.acceptor().accept(stream).await
    };
    let dial = async {
        let mut stream = TcpStream::connect(address).await.unwrap();
        stream.write_all(b"\x00\x00\x00\x04CTPS").await.unwrap();
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).await.unwrap();
        answer
    };
    let (result, answer) = tokio::join!(serve, dial);
    let failure = ServerTls::explain(&result.unwrap_err()).unwrap();
    assert_eq!(failure.cause, "not an SSL/TLS record: the client does not talk TLS");
    assert_eq!(answer.first(), Some(&0x15), "an alert, by which a plain client can tell TLS");
}

#[tokio::test]
async fn the_server_name_is_sent_for_dns_names_only() {
    let pair = Pair::new();
    let client = ClientTls::from_policy(&pair.client.policy()).unwrap();
    let server = ServerTls::from_policy(&pair.server.policy()).unwrap();
    for (host, expected) in [
        ("localhost", Some("localhost")),
        ("my_server", Some("my_server")),
        ("127.0.0.1", None),
        ("::1", None),
        ("fe80::1%eth0", None),
        ("no name", None),
    ] {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let serve = async {
            let (stream, _) = listener.accept().await.unwrap();
            let stream = server.acceptor().accept(stream).await.unwrap();
            stream.get_ref().1.server_name().map(str::to_owned)
        };
        let dial = async {
            let stream = TcpStream::connect(address).await.unwrap();
            client.connector().connect(client.server_name(host).unwrap(), stream).await.unwrap()
        };
        let (sent, _stream) = tokio::join!(serve, dial);
        assert_eq!(sent.as_deref(), expected, "{host}");
    }
    let mut policy = pair.client.policy();
    policy.verify_hostname = true;
    let error = ClientTls::from_policy(&policy).unwrap().server_name("no name").unwrap_err();
    assert!(matches!(&error, TlsError::HostName(host) if host == "no name"), "{error}");
}

#[test]
fn nothing_of_a_key_shows() {
    let pair = Pair::new();
    let client = ClientTls::from_policy(&pair.client.policy()).unwrap();
    let server = ServerTls::from_policy(&pair.server.policy()).unwrap();
    assert_eq!(format!("{client:?} {server:?}"), "ClientTls { verify_hostname: false, .. } ServerTls { .. }");
}
