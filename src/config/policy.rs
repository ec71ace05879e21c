//! The SSL policy `backup`: `dbms.ssl.policy.backup.*`, as values. `tls` makes connections of it.

use std::path::PathBuf;

use super::value::{Secret, ValueError, Words, items, trim};

/// Prefix of all settings of all policies.
pub(super) const GROUP: &str = "dbms.ssl.policy.";

/// Names of policies that Neo4j has.
pub(super) const POLICIES: [&str; 6] = ["backup", "bolt", "cluster", "fabric", "https", "testing"];

/// Whom to trust, and as whom to appear. All paths are resolved.
///
/// Specification: command line 5.3.
#[derive(Clone, Debug)]
pub struct SslPolicy {
    /// Must exist; the other paths are relative to it, unless given as absolute.
    pub base_directory: PathBuf,
    /// The private key, PEM.
    pub private_key: PolicyFile,
    /// What decrypts the private key.
    pub private_key_password: Option<Secret>,
    /// The certificate of the private key, or a chain that begins with it, PEM.
    pub public_certificate: PolicyFile,
    /// Directory with the certificates to trust.
    pub trusted_dir: PathBuf,
    /// Directory with certificate revocation lists.
    pub revoked_dir: PathBuf,
    /// Whether files in these directories whose names begin with a dot are skipped.
    pub ignore_dot_files: bool,
    /// Whether any certificate of a peer is accepted.
    pub trust_all: bool,
    /// Whether a server's certificate must be for the name that was dialled.
    pub verify_hostname: bool,
    /// What a server demands of its clients.
    pub client_auth: ClientAuth,
    /// Versions that may be negotiated; at least one.
    pub tls_versions: Vec<TlsVersion>,
    /// Cipher suites that may be negotiated; empty for all.
    pub ciphers: Vec<CipherSuite>,
}

/// A file of a policy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PolicyFile {
    /// Where it is.
    pub path: PathBuf,
    /// Whether the configuration names it. A file with the default name may be missing.
    pub explicit: bool,
}

/// What a server demands of its clients.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ClientAuth {
    /// No certificate is asked for.
    None,
    /// A certificate is asked for; a client without one is accepted.
    Optional,
    /// A client without a trusted certificate is refused.
    Require,
}

impl Words for ClientAuth {
    const WORDS: &'static [(&'static str, Self)] =
        &[("NONE", Self::None), ("OPTIONAL", Self::Optional), ("REQUIRE", Self::Require)];
}

/// A version of TLS.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TlsVersion {
    /// TLS 1.2.
    V1_2,
    /// TLS 1.3.
    V1_3,
}

impl Words for TlsVersion {
    const WORDS: &'static [(&'static str, Self)] = &[("TLSv1.2", Self::V1_2), ("TLSv1.3", Self::V1_3)];
}

/// Versions between commas. No version means the default one, TLS 1.2.
pub(super) fn tls_versions(setting: &'static str, text: &str) -> Result<Vec<TlsVersion>, ValueError> {
    let version = |item: &str| {
        if ["SSLv2Hello", "SSLv3", "TLSv1", "TLSv1.1"].iter().any(|old| old.eq_ignore_ascii_case(item)) {
            return Err(ValueError::UnsafeTlsVersion(item.to_owned()));
        }
        super::value::one_of(setting, item)
    };
    let mut versions = items(text).map(version).collect::<Result<Vec<_>, _>>()?;
    if versions.is_empty() {
        versions.push(TlsVersion::V1_2);
    }
    Ok(versions)
}

/// A cipher suite. The names are Java's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "the name says all")]
pub enum CipherSuite {
    Aes256GcmSha384,
    Aes128GcmSha256,
    ChaCha20Poly1305Sha256,
    EcdheEcdsaAes256GcmSha384,
    EcdheEcdsaAes128GcmSha256,
    EcdheEcdsaChaCha20Poly1305Sha256,
    EcdheRsaAes256GcmSha384,
    EcdheRsaAes128GcmSha256,
    EcdheRsaChaCha20Poly1305Sha256,
}

impl Words for CipherSuite {
    const WORDS: &'static [(&'static str, Self)] = &[
        ("TLS_AES_256_GCM_SHA384", Self::Aes256GcmSha384),
        ("TLS_AES_128_GCM_SHA256", Self::Aes128GcmSha256),
        ("TLS_CHACHA20_POLY1305_SHA256", Self::ChaCha20Poly1305Sha256),
        ("TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384", Self::EcdheEcdsaAes256GcmSha384),
        ("TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256", Self::EcdheEcdsaAes128GcmSha256),
        ("TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256", Self::EcdheEcdsaChaCha20Poly1305Sha256),
        ("TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384", Self::EcdheRsaAes256GcmSha384),
        ("TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256", Self::EcdheRsaAes128GcmSha256),
        ("TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256", Self::EcdheRsaChaCha20Poly1305Sha256),
    ];
}

impl CipherSuite {
    /// All suites, the preferred ones first.
    pub fn all() -> impl Iterator<Item = Self> {
        Self::WORDS.iter().map(|(_, suite)| *suite)
    }

    /// Java's name.
    pub fn name(self) -> &'static str {
        self.word()
    }

    /// The version of TLS that the suite belongs to.
    pub fn version(self) -> TlsVersion {
        match self {
            Self::Aes256GcmSha384 | Self::Aes128GcmSha256 | Self::ChaCha20Poly1305Sha256 => TlsVersion::V1_3,
            _ => TlsVersion::V1_2,
        }
    }
}

/// Names of cipher suites between commas.
pub(super) fn ciphers(_: &'static str, text: &str) -> Result<Vec<CipherSuite>, ValueError> {
    let suite = |item: &str| {
        let found = CipherSuite::WORDS.iter().find(|(name, _)| *name == trim(item));
        found.map(|(_, suite)| *suite).ok_or_else(|| ValueError::Cipher {
            name: item.to_owned(),
            supported: CipherSuite::WORDS.iter().map(|(name, _)| *name).collect(),
        })
    };
    items(text).map(suite).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_before_1_2_are_refused() {
        assert_eq!(tls_versions("s", "TLSv1.3, tlsv1.2"), Ok(vec![TlsVersion::V1_3, TlsVersion::V1_2]));
        assert_eq!(tls_versions("s", ""), Ok(vec![TlsVersion::V1_2]));
        assert_eq!(
            tls_versions("s", "TLSv1.2,TLSv1.1").unwrap_err().to_string(),
            "TLS version 'TLSv1.1' is not supported because it is not safe, use TLSv1.2 or TLSv1.3"
        );
        assert_eq!(
            tls_versions("s", "TLS1.2").unwrap_err().to_string(),
            "'TLS1.2' not one of [TLSv1.2, TLSv1.3]"
        );
    }

    #[test]
    fn an_unknown_cipher_suite_is_refused_with_the_list_of_the_known() {
        let all: Vec<&str> = CipherSuite::all().map(CipherSuite::name).collect();
        assert_eq!(ciphers("s", &all.join(" , ")), Ok(CipherSuite::all().collect()));
        assert_eq!(
            ciphers("s", "TLS_AES_128_GCM_SHA256,TLS_RSA_WITH_AES_128_CBC_SHA").unwrap_err().to_string(),
            "cipher suite 'TLS_RSA_WITH_AES_128_CBC_SHA' is not supported, use some of TLS_AES_256_GCM_SHA384, \
             TLS_AES_128_GCM_SHA256, TLS_CHACHA20_POLY1305_SHA256, TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384, \
             TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256, TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256, \
             TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384, TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256, \
             TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256"
        );
    }
}
