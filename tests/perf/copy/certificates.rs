//! Certificates of both sides, for the program and for the bare copy.

use std::fs;
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::server::WebPkiClientVerifier;
use rustls::{ClientConfig, ClientConnection, RootCertStore, ServerConfig, ServerConnection, StreamOwned};

/// The one cipher that both kinds of copy may use.
const CIPHER: rustls::SupportedCipherSuite =
    rustls::crypto::ring::cipher_suite::TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384;
const CIPHER_NAME: &str = "TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384";

/// A certificate authority, and a server and a client that trust it.
pub struct Certificates {
    /// Configuration with the policy of the server.
    pub server_config: PathBuf,
    /// Configuration with the policy of the client.
    pub client_config: PathBuf,
    server: Arc<ServerConfig>,
    client: Arc<ClientConfig>,
}

impl Certificates {
    /// Makes them and writes them below `directory`.
    pub fn make(directory: &Path) -> Self {
        let mut params = CertificateParams::new(Vec::new()).expect("no names");
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().expect("a key");
        let authority = CertifiedIssuer::self_signed(params, key).expect("a certificate");
        let server_config = policy(&directory.join("server"), &authority);
        let client_config = policy(&directory.join("client"), &authority);

        let mut provider = rustls::crypto::ring::default_provider();
        provider.cipher_suites = vec![CIPHER];
        let provider = Arc::new(provider);
        let mut roots = RootCertStore::empty();
        roots.add(authority.der().clone()).expect("a good certificate");
        let roots = Arc::new(roots);
        let verifier = WebPkiClientVerifier::builder_with_provider(Arc::clone(&roots), Arc::clone(&provider))
            .build()
            .expect("a root");
        let (chain, key) = identity(&directory.join("server"));
        let server = ServerConfig::builder_with_provider(Arc::clone(&provider))
            .with_protocol_versions(&[&rustls::version::TLS12])
            .expect("a cipher of TLS 1.2")
            .with_client_cert_verifier(verifier)
            .with_single_cert(chain, key)
            .expect("a good key");
        let (chain, key) = identity(&directory.join("client"));
        let client = ClientConfig::builder_with_provider(provider)
            .with_protocol_versions(&[&rustls::version::TLS12])
            .expect("a cipher of TLS 1.2")
            .with_root_certificates(roots)
            .with_client_auth_cert(chain, key)
            .expect("a good key");
        Self { server_config, client_config, server: Arc::new(server), client: Arc::new(client) }
    }

    /// The server's end of a connection.
    pub fn server_stream(&self, socket: TcpStream) -> StreamOwned<ServerConnection, TcpStream> {
        StreamOwned::new(ServerConnection::new(Arc::clone(&self.server)).expect("a good policy"), socket)
    }

    /// The client's end of a connection.
    pub fn client_stream(&self, socket: TcpStream) -> StreamOwned<ClientConnection, TcpStream> {
        let name = ServerName::try_from("localhost").expect("a name");
        StreamOwned::new(
            ClientConnection::new(Arc::clone(&self.client), name).expect("a good policy"),
            socket,
        )
    }
}

/// Writes a key, its certificate and the authority's, and a configuration that names them; returns the latter's path.
fn policy(directory: &Path, authority: &CertifiedIssuer<'_, KeyPair>) -> PathBuf {
    let key = KeyPair::generate().expect("a key");
    let params = CertificateParams::new(vec!["localhost".to_owned()]).expect("a name");
    let certificate = params.signed_by(&key, authority).expect("a certificate");
    fs::create_dir_all(directory.join("trusted")).expect("a directory");
    fs::write(directory.join("private.key"), key.serialize_pem()).expect("space");
    fs::write(directory.join("public.crt"), certificate.pem()).expect("space");
    fs::write(directory.join("trusted/authority.crt"), authority.pem()).expect("space");
    let config = directory.join("policy.conf");
    let settings = format!(
        "dbms.ssl.policy.backup.enabled=true\n\
         dbms.ssl.policy.backup.base_directory={}\n\
         dbms.ssl.policy.backup.client_auth=REQUIRE\n\
         dbms.ssl.policy.backup.ciphers={CIPHER_NAME}\n",
        directory.display()
    );
    fs::write(&config, settings).expect("space");
    config
}

fn identity(directory: &Path) -> (Vec<CertificateDer<'static>>, PrivateKeyDer<'static>) {
    let chain = CertificateDer::from_pem_file(directory.join("public.crt")).expect("a certificate");
    (vec![chain], PrivateKeyDer::from_pem_file(directory.join("private.key")).expect("a key"))
}
