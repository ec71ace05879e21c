//! The private key of a policy and its certificate.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use pkcs8::der::Decode;
use pkcs8::pkcs5::EncryptionScheme;
use pkcs8::{EncryptedPrivateKeyInfoRef, pkcs5};
use rustls::crypto::CryptoProvider;
use rustls::pki_types::{
    CertificateDer, PrivateKeyDer, PrivatePkcs1KeyDer, PrivatePkcs8KeyDer, PrivateSec1KeyDer,
};
use rustls::sign::CertifiedKey;

use crate::config::policy::SslPolicy;
use crate::config::value::Secret;

use super::TlsError;
use super::certificate::Certificate;
use super::files::{self, Problem};

/// A private key cannot be used. The first words of the first two are Neo4j's.
#[derive(Debug, thiserror::Error)]
pub enum KeyError {
    /// No key, or none that TLS can use.
    #[error("Unrecognized private key format. {}: {problem}", file.display())]
    Unrecognized {
        /// The file.
        file: PathBuf,
        /// What is wrong with it.
        problem: String,
    },
    /// The password is wrong, or missing.
    #[error(
        "Unable to decrypt private key. {}: {}", file.display(),
        if *with_password { "dbms.ssl.policy.backup.private_key_password is not its password" }
        else { "it needs a password, dbms.ssl.policy.backup.private_key_password" }
    )]
    Decrypt {
        /// The file.
        file: PathBuf,
        /// Whether a password is configured.
        with_password: bool,
    },
    /// Encrypted in a way that is not supported.
    #[error(
        "{} is encrypted with {method}, which is not supported; convert it: openssl pkcs8 -topk8 -v2 aes-256-cbc \
         -in {} -out <new file>", file.display(), file.display()
    )]
    Encryption {
        /// The file.
        file: PathBuf,
        /// How it is encrypted.
        method: &'static str,
    },
    /// A DSA key: TLS has no use for it any more.
    #[error(
        "{} is a DSA key, which TLS does not support any more; make a new key and certificate, and should the key \
         have to be converted: openssl pkcs8 -topk8 -v2 aes-256-cbc -in <key> -out <new file>", .0.display()
    )]
    Dsa(PathBuf),
    /// The system does not let it be read.
    #[error("Cannot read the private key {}: {problem}", file.display())]
    Unreadable {
        /// The file.
        file: PathBuf,
        /// Why not.
        problem: Problem,
    },
}

/// The certificate of a private key cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum CertificateError {
    /// The file cannot be read, or has no certificate.
    #[error("Cannot load the certificate {}: {problem}", file.display())]
    File {
        /// The file.
        file: PathBuf,
        /// What is wrong with it.
        problem: Problem,
    },
    /// It belongs to another key.
    #[error("The private key {} does not belong to the first certificate in {}", key.display(), file.display())]
    OtherKey {
        /// File of the certificate.
        file: PathBuf,
        /// File of the key.
        key: PathBuf,
    },
}

/// As whom to appear.
pub(super) enum Identity {
    /// A key and its certificate.
    Present(Arc<CertifiedKey>),
    /// This file is missing, and the configuration did not name it.
    Missing(PathBuf),
}

impl Identity {
    /// Loads key and certificate of a policy. What is missing is an error if the configuration names any of the two
    /// files, or if `needed`.
    pub fn load(policy: &SslPolicy, needed: bool, provider: &CryptoProvider) -> Result<Self, TlsError> {
        let (key_file, certificate_file) = (&policy.private_key, &policy.public_certificate);
        if !needed && !key_file.explicit && !certificate_file.explicit {
            let missing = [key_file, certificate_file].into_iter().find(|file| !file.path.exists());
            if let Some(file) = missing {
                return Ok(Self::Missing(file.path.clone()));
            }
        }
        let failed = |source| TlsError::PrivateKey {
            file: key_file.path.clone(),
            with_password: policy.private_key_password.is_some(),
            source,
        };
        let key = private_key(&key_file.path, policy.private_key_password.as_ref()).map_err(failed)?;
        let key = provider.key_provider.load_private_key(key).map_err(|_| {
            failed(unrecognized(
                &key_file.path,
                "the key is not RSA, not ECDSA P-256 or P-384, and not Ed25519",
            ))
        })?;
        let failed = |source| TlsError::Certificate { file: certificate_file.path.clone(), source };
        let (first, chain) = chain(&certificate_file.path).map_err(failed)?;
        if key.public_key().is_some_and(|ours| ours.as_ref() != first.public_key) {
            let (file, key) = (certificate_file.path.clone(), key_file.path.clone());
            return Err(failed(CertificateError::OtherKey { file, key }));
        }
        Ok(Self::Present(Arc::new(CertifiedKey::new(chain, key))))
    }

    /// The file that is missing.
    pub fn missing(&self) -> Option<&Path> {
        match self {
            Self::Present(_) => None,
            Self::Missing(file) => Some(file),
        }
    }
}

/// What to say of a file that is missing where it is needed.
pub(super) fn missing_key(file: PathBuf, policy: &SslPolicy) -> TlsError {
    let problem = Problem::Unreadable(std::io::ErrorKind::NotFound.into());
    if file == policy.private_key.path {
        let source = KeyError::Unreadable { file: file.clone(), problem };
        TlsError::PrivateKey { file, with_password: policy.private_key_password.is_some(), source }
    } else {
        TlsError::Certificate { file: file.clone(), source: CertificateError::File { file, problem } }
    }
}

fn unrecognized(file: &Path, problem: &str) -> KeyError {
    KeyError::Unrecognized { file: file.to_owned(), problem: problem.to_owned() }
}

/// The first object of a PEM file, which must be a private key. Parameters of a curve, which OpenSSL writes before an
/// EC key, do not count.
fn private_key(file: &Path, password: Option<&Secret>) -> Result<PrivateKeyDer<'static>, KeyError> {
    let bytes =
        files::read(file).map_err(|problem| KeyError::Unreadable { file: file.to_owned(), problem })?;
    let objects = pem::parse_many(&bytes)
        .map_err(|error| unrecognized(file, &format!("its PEM is damaged: {error}")))?;
    let object = objects
        .into_iter()
        .find(|object| object.tag() != "EC PARAMETERS")
        .ok_or_else(|| unrecognized(file, "it has no PEM object"))?;
    let encryption = |method| KeyError::Encryption { file: file.to_owned(), method };
    let traditional = matches!(object.tag(), "RSA PRIVATE KEY" | "EC PRIVATE KEY" | "DSA PRIVATE KEY");
    if traditional && object.headers().get("DEK-Info").is_some() {
        return Err(encryption("OpenSSL's traditional method (DEK-Info)"));
    }
    match object.tag() {
        "PRIVATE KEY" => Ok(PrivatePkcs8KeyDer::from(object.into_contents()).into()),
        "RSA PRIVATE KEY" => Ok(PrivatePkcs1KeyDer::from(object.into_contents()).into()),
        "EC PRIVATE KEY" => Ok(PrivateSec1KeyDer::from(object.into_contents()).into()),
        "DSA PRIVATE KEY" => Err(KeyError::Dsa(file.to_owned())),
        "ENCRYPTED PRIVATE KEY" => decrypt(file, object.contents(), password),
        other => Err(unrecognized(file, &format!("its first object is '{other}'"))),
    }
}

/// Decrypts a PKCS#8 key. Without a password the empty one is tried, as the original does.
fn decrypt(file: &Path, der: &[u8], password: Option<&Secret>) -> Result<PrivateKeyDer<'static>, KeyError> {
    let encryption = |method| KeyError::Encryption { file: file.to_owned(), method };
    let old = || encryption("PBES1 or another method that is not PBES2");
    let info = EncryptedPrivateKeyInfoRef::from_der(der).map_err(|_| old())?;
    if matches!(info.encryption_algorithm, EncryptionScheme::Pbes1(_)) {
        return Err(old());
    }
    match info.decrypt(password.map_or("", Secret::reveal)) {
        Ok(document) => Ok(PrivatePkcs8KeyDer::from(document.as_bytes().to_vec()).into()),
        Err(pkcs8::Error::EncryptedPrivateKey(
            pkcs5::Error::UnsupportedAlgorithm { .. } | pkcs5::Error::AlgorithmParametersInvalid { .. },
        )) => Err(encryption("an unusual variant of PBES2")),
        Err(_) => Err(KeyError::Decrypt { file: file.to_owned(), with_password: password.is_some() }),
    }
}

/// A chain, the certificate of the key first.
fn chain(file: &Path) -> Result<(Certificate, Vec<CertificateDer<'static>>), CertificateError> {
    let failed = |problem| CertificateError::File { file: file.to_owned(), problem };
    let bytes = files::read(file).map_err(failed)?;
    let chain = files::pem_objects(&bytes, &["CERTIFICATE", "X509 CERTIFICATE"]).map_err(failed)?;
    let mut first = None;
    for der in &chain {
        let certificate = Certificate::parse(der)
            .map_err(|error| failed(Problem::Contents(format!("not a certificate: {error}"))))?;
        first.get_or_insert(certificate);
    }
    let first = first.ok_or_else(|| failed(Problem::NoObject("CERTIFICATE")))?;
    Ok((first, chain.into_iter().map(CertificateDer::from).collect()))
}
