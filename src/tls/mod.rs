//! The SSL policy as TLS: what [`SslPolicy`] says, turned into configurations of rustls.
//!
//! | Module | Owns |
//! |---|---|
//! | [`files`] | certificates and revocation lists of a directory, PEM or DER |
//! | [`identity`] | the private key and its certificate |
//! | `certificate` | what has to be known of a certificate or revocation list |
//! | `trust` | whether a peer's certificate is to be trusted |
//! | `verifier` | the same in the words of rustls |
//! | [`failure`] | what a failed handshake means, and what to do about it |
//!
//! Specification: command line 5.3.

mod certificate;
pub mod failure;
pub mod files;
pub mod identity;
mod trust;
mod verifier;

use std::fmt;
use std::io;
use std::path::PathBuf;
use std::sync::Arc;

use rustls::crypto::CryptoProvider;
use rustls::pki_types::{IpAddr, Ipv4Addr, ServerName};
use rustls::sign::SingleCertAndKey;
use rustls::{ClientConfig, ServerConfig, SupportedCipherSuite, SupportedProtocolVersion};
use tokio_rustls::{TlsAcceptor, TlsConnector};

use crate::config::policy::{CipherSuite, ClientAuth, SslPolicy, TlsVersion};

use self::failure::{Failure, Side};
use self::files::FileError;
use self::identity::{CertificateError, Identity, KeyError};
use self::trust::Trust;
use self::verifier::PeerVerifier;

/// An SSL policy cannot be used. The texts are Neo4j's own; the causes tell what is wrong in whole sentences.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// There is no base directory.
    #[error("Base directory '{}' for SSL policy with name 'backup' does not exist.", .0.display())]
    BaseDirectoryMissing(PathBuf),
    /// The directory of trusted certificates cannot be used.
    #[error("Failed to create trust manager based on: {}", directory.display())]
    Trust {
        /// The directory.
        directory: PathBuf,
        /// What is wrong.
        #[source]
        source: TrustError,
    },
    /// The private key cannot be used.
    #[error(
        "Failed to load private key: {}{}", file.display(),
        if *with_password { " (using configured password)" } else { "" }
    )]
    PrivateKey {
        /// The file.
        file: PathBuf,
        /// Whether a password is configured.
        with_password: bool,
        /// What is wrong.
        #[source]
        source: KeyError,
    },
    /// The certificate of the private key cannot be used.
    #[error("Failed to load public certificate chain: {}", file.display())]
    Certificate {
        /// The file.
        file: PathBuf,
        /// What is wrong.
        #[source]
        source: CertificateError,
    },
    /// A revocation list cannot be used.
    #[error(transparent)]
    Revocation(FileError),
    /// The cipher suites of the policy belong to versions of TLS that the policy does not allow (our text).
    #[error(
        "None of the cipher suites of dbms.ssl.policy.backup.ciphers ({ciphers}) can be used with the versions of \
         dbms.ssl.policy.backup.tls_versions"
    )]
    NoCipher {
        /// Names of the suites.
        ciphers: String,
    },
    /// The host cannot be looked for in a certificate (our text).
    #[error(
        "'{0}' is neither a DNS name nor an IP address, so it can't be compared with the server's certificate as \
         dbms.ssl.policy.backup.verify_hostname demands"
    )]
    HostName(String),
}

/// The directory of trusted certificates cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum TrustError {
    /// Without a certificate to trust, nobody could connect.
    #[error("Client auth is required but no trust anchors found in: {}", .0.display())]
    NoTrustAnchors(PathBuf),
    /// A file in it cannot be used.
    #[error(transparent)]
    File(#[from] FileError),
}

/// The client side of TLS. Cheap to clone.
#[derive(Clone)]
pub struct ClientTls {
    config: Arc<ClientConfig>,
    verify_hostname: bool,
    side: Arc<Side>,
}

impl ClientTls {
    /// Loads the files of a policy. A key or certificate that has the default name and is missing is no error: the
    /// client then has none to show.
    pub fn from_policy(policy: &SslPolicy) -> Result<Self, TlsError> {
        let loaded = Loaded::from_policy(policy, false)?;
        let verifier =
            Arc::new(PeerVerifier::new(loaded.trust, policy.verify_hostname, true, &loaded.provider));
        let builder = ClientConfig::builder_with_provider(loaded.provider)
            .with_protocol_versions(&loaded.versions)
            .map_err(|_| no_cipher(policy))?
            .dangerous()
            .with_custom_certificate_verifier(verifier);
        let missing = loaded.identity.missing().map(ToOwned::to_owned);
        let config = match loaded.identity {
            Identity::Present(key) => {
                builder.with_client_cert_resolver(Arc::new(SingleCertAndKey::from(key)))
            }
            Identity::Missing(_) => builder.with_no_client_auth(),
        };
        let side = Side { trusted_dir: policy.trusted_dir.clone(), missing };
        Ok(Self { config: Arc::new(config), verify_hostname: policy.verify_hostname, side: Arc::new(side) })
    }

    /// What makes TLS of a stream.
    pub fn connector(&self) -> TlsConnector {
        TlsConnector::from(Arc::clone(&self.config))
    }

    /// The name to send and to look for in the certificate. A DNS name is sent to the server (SNI).
    ///
    /// A host that is neither a DNS name nor an address is an error only if it has to be compared.
    pub fn server_name(&self, host: &str) -> Result<ServerName<'static>, TlsError> {
        // The zone of a link-local address means something to this machine only.
        let plain = host.split_once('%').map_or(host, |(address, _)| address);
        match ServerName::try_from(plain.to_owned()) {
            Ok(name) => Ok(name),
            Err(_) if self.verify_hostname => Err(TlsError::HostName(host.to_owned())),
            Err(_) => Ok(ServerName::IpAddress(IpAddr::V4(Ipv4Addr::from([0; 4])))),
        }
    }

    /// What a failure of the TLS layer means; none if `error` does not come from it.
    pub fn explain(&self, error: &io::Error, port: u16) -> Option<Failure> {
        Failure::of_client(error, &self.side, port)
    }
}

/// Tells nothing of keys.
impl fmt::Debug for ClientTls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ClientTls").field("verify_hostname", &self.verify_hostname).finish_non_exhaustive()
    }
}

/// The server side of TLS. Cheap to clone.
#[derive(Clone)]
pub struct ServerTls {
    config: Arc<ServerConfig>,
}

impl ServerTls {
    /// Loads the files of a policy. A server needs its key and certificate.
    pub fn from_policy(policy: &SslPolicy) -> Result<Self, TlsError> {
        let loaded = Loaded::from_policy(policy, true)?;
        let builder = ServerConfig::builder_with_provider(Arc::clone(&loaded.provider))
            .with_protocol_versions(&loaded.versions)
            .map_err(|_| no_cipher(policy))?;
        let mandatory = policy.client_auth == ClientAuth::Require;
        let verifier = PeerVerifier::new(loaded.trust, false, mandatory, &loaded.provider);
        let builder = match policy.client_auth {
            ClientAuth::None => builder.with_no_client_auth(),
            ClientAuth::Optional | ClientAuth::Require => {
                builder.with_client_cert_verifier(Arc::new(verifier))
            }
        };
        let key = match loaded.identity {
            Identity::Present(key) => key,
            Identity::Missing(file) => return Err(identity::missing_key(file, policy)),
        };
        Ok(Self { config: Arc::new(builder.with_cert_resolver(Arc::new(SingleCertAndKey::from(key)))) })
    }

    /// What makes TLS of a stream.
    pub fn acceptor(&self) -> TlsAcceptor {
        TlsAcceptor::from(Arc::clone(&self.config))
    }

    /// What a failure of the TLS layer means; none if `error` does not come from it.
    pub fn explain(error: &io::Error) -> Option<Failure> {
        Failure::of_server(error)
    }
}

/// Tells nothing of keys.
impl fmt::Debug for ServerTls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ServerTls").finish_non_exhaustive()
    }
}

/// What both sides need, loaded in the order of the original, so that the first mistake is the one that is told.
struct Loaded {
    provider: Arc<CryptoProvider>,
    versions: Vec<&'static SupportedProtocolVersion>,
    identity: Identity,
    trust: Option<Trust>,
}

impl Loaded {
    fn from_policy(policy: &SslPolicy, server: bool) -> Result<Self, TlsError> {
        if !policy.base_directory.exists() {
            return Err(TlsError::BaseDirectoryMissing(policy.base_directory.clone()));
        }
        let certificates = trusted(policy)
            .map_err(|source| TlsError::Trust { directory: policy.trusted_dir.clone(), source })?;
        let provider = Arc::new(provider(policy));
        let identity = Identity::load(policy, server, &provider)?;
        let lists = files::revocation_lists(&policy.revoked_dir, policy.ignore_dot_files)
            .map_err(TlsError::Revocation)?;
        let trust = Trust::new(certificates, lists, &provider).map_err(TlsError::Revocation)?;
        let versions = policy.tls_versions.iter().map(|version| protocol_version(*version)).collect();
        Ok(Self { provider, versions, identity, trust: (!policy.trust_all).then_some(trust) })
    }
}

/// The trusted certificates. Without any, a policy that demands certificates of its peers is useless; a missing
/// directory is let pass, as the original does.
fn trusted(policy: &SslPolicy) -> Result<Vec<files::CertificateFile>, TrustError> {
    let directory = &policy.trusted_dir;
    match files::certificates(directory, policy.ignore_dot_files)? {
        None => Ok(Vec::new()),
        Some(files) if files.is_empty() && policy.client_auth == ClientAuth::Require => {
            Err(TrustError::NoTrustAnchors(directory.clone()))
        }
        Some(files) => Ok(files),
    }
}

/// The ring provider with the cipher suites of the policy; none of rustls' process-wide defaults is used.
fn provider(policy: &SslPolicy) -> CryptoProvider {
    let mut provider = rustls::crypto::ring::default_provider();
    if !policy.ciphers.is_empty() {
        provider.cipher_suites = policy.ciphers.iter().map(|suite| cipher_suite(*suite)).collect();
    }
    provider
}

fn cipher_suite(suite: CipherSuite) -> SupportedCipherSuite {
    use rustls::crypto::ring::cipher_suite as ring;
    match suite {
        CipherSuite::Aes256GcmSha384 => ring::TLS13_AES_256_GCM_SHA384,
        CipherSuite::Aes128GcmSha256 => ring::TLS13_AES_128_GCM_SHA256,
        CipherSuite::ChaCha20Poly1305Sha256 => ring::TLS13_CHACHA20_POLY1305_SHA256,
        CipherSuite::EcdheEcdsaAes256GcmSha384 => ring::TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384,
        CipherSuite::EcdheEcdsaAes128GcmSha256 => ring::TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256,
        CipherSuite::EcdheEcdsaChaCha20Poly1305Sha256 => ring::TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256,
        CipherSuite::EcdheRsaAes256GcmSha384 => ring::TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384,
        CipherSuite::EcdheRsaAes128GcmSha256 => ring::TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256,
        CipherSuite::EcdheRsaChaCha20Poly1305Sha256 => ring::TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256,
    }
}

fn protocol_version(version: TlsVersion) -> &'static SupportedProtocolVersion {
    match version {
        TlsVersion::V1_2 => &rustls::version::TLS12,
        TlsVersion::V1_3 => &rustls::version::TLS13,
    }
}

/// The only thing that rustls can object to is that no suite is left.
fn no_cipher(policy: &SslPolicy) -> TlsError {
    let ciphers: Vec<&str> = policy.ciphers.iter().map(|suite| suite.name()).collect();
    TlsError::NoCipher { ciphers: ciphers.join(",") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_cipher_suite_has_its_name_and_version() {
        for suite in CipherSuite::all() {
            let ours = cipher_suite(suite);
            let name = format!("{:?}", ours.suite()).replace("TLS13_", "TLS_");
            assert_eq!(name, suite.name());
            assert_eq!(ours.version(), protocol_version(suite.version()), "{name}");
        }
        let all = rustls::crypto::ring::ALL_CIPHER_SUITES;
        assert_eq!(all.len(), CipherSuite::all().count(), "what can be configured is what there is");
    }
}
