//! Directories of SSL policies, with certificates made on the spot.

use std::fs;
use std::path::{Path, PathBuf};

use neo4j_admin::config::policy::{ClientAuth, PolicyFile, SslPolicy, TlsVersion};
use rcgen::{
    BasicConstraints, CertificateParams, CertificateRevocationListParams, DnType, IsCa, Issuer, KeyIdMethod,
    KeyPair, KeyUsagePurpose, RevokedCertParams, SerialNumber, date_time_ymd,
};
use tempfile::TempDir;

/// A certificate with its key, PEM.
#[derive(Clone)]
pub struct Certificate {
    pub certificate: String,
    pub key: String,
}

/// What a certificate says; the names are DNS names and addresses.
pub fn parameters(common_name: &str, names: &[&str]) -> CertificateParams {
    let names: Vec<String> = names.iter().map(ToString::to_string).collect();
    let mut parameters = CertificateParams::new(names).unwrap();
    parameters.distinguished_name.push(DnType::CommonName, common_name);
    parameters
}

/// A certificate that its own key signed.
pub fn self_signed(parameters: &CertificateParams) -> Certificate {
    let key = KeyPair::generate().unwrap();
    let certificate = parameters.self_signed(&key).unwrap();
    Certificate { certificate: certificate.pem(), key: key.serialize_pem() }
}

/// Someone who signs certificates and revokes them.
pub struct Authority {
    issuer: Issuer<'static, KeyPair>,
    pub certificate: String,
}

impl Authority {
    pub fn new(name: &str) -> Self {
        Self::with(name, |_| {})
    }

    /// An authority whose certificate says more than its name.
    pub fn with(name: &str, change: impl FnOnce(&mut CertificateParams)) -> Self {
        let key = KeyPair::generate().unwrap();
        let parameters = Self::parameters(name, change);
        let certificate = parameters.self_signed(&key).unwrap().pem();
        Self { issuer: Issuer::new(parameters, key), certificate }
    }

    /// An authority below this one.
    pub fn intermediate(&self, name: &str) -> Self {
        let key = KeyPair::generate().unwrap();
        let parameters = Self::parameters(name, |_| {});
        let certificate = parameters.signed_by(&key, &self.issuer).unwrap().pem();
        Self { issuer: Issuer::new(parameters, key), certificate }
    }

    fn parameters(name: &str, change: impl FnOnce(&mut CertificateParams)) -> CertificateParams {
        let mut parameters = parameters(name, &[]);
        parameters.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        parameters.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        change(&mut parameters);
        parameters
    }

    pub fn sign(&self, parameters: &CertificateParams) -> Certificate {
        let key = KeyPair::generate().unwrap();
        let certificate = parameters.signed_by(&key, &self.issuer).unwrap();
        Certificate { certificate: certificate.pem(), key: key.serialize_pem() }
    }

    /// A revocation list with these serial numbers, to be replaced in `next_update`.
    pub fn revoke(&self, serials: &[u64], next_update: i32) -> String {
        let revoked = |serial: &u64| RevokedCertParams {
            serial_number: SerialNumber::from(*serial),
            revocation_time: date_time_ymd(2020, 1, 1),
            reason_code: None,
            invalidity_date: None,
        };
        let list = CertificateRevocationListParams {
            this_update: date_time_ymd(2020, 1, 1),
            next_update: date_time_ymd(next_update, 1, 1),
            crl_number: SerialNumber::from(1),
            issuing_distribution_point: None,
            revoked_certs: serials.iter().map(revoked).collect(),
            key_identifier_method: KeyIdMethod::Sha256,
        };
        list.signed_by(&self.issuer).unwrap().pem().unwrap()
    }
}

/// The directory of a policy.
pub struct PolicyDirectory {
    directory: TempDir,
}

impl PolicyDirectory {
    /// An empty one.
    pub fn new() -> Self {
        Self { directory: tempfile::tempdir().unwrap() }
    }

    /// One with a key and certificate.
    pub fn of(identity: &Certificate) -> Self {
        Self::new().file("private.key", &identity.key).file("public.crt", &identity.certificate)
    }

    /// Trusts these certificates.
    pub fn trusting(self, certificates: &[&str]) -> Self {
        let numbered = certificates.iter().enumerate();
        numbered.fold(self, |this, (n, certificate)| this.file(&format!("trusted/{n}.crt"), certificate))
    }

    /// Has these revocation lists.
    pub fn revoking(self, lists: &[&str]) -> Self {
        let numbered = lists.iter().enumerate();
        numbered.fold(self, |this, (n, list)| this.file(&format!("revoked/{n}.crl"), list))
    }

    /// Writes a file.
    pub fn file(self, name: &str, contents: impl AsRef<[u8]>) -> Self {
        let path = self.path(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, contents).unwrap();
        self
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    /// The policy with its default values and this directory.
    pub fn policy(&self) -> SslPolicy {
        policy_in(self.directory.path())
    }
}

/// The policy with its default values and `directory`.
pub fn policy_in(directory: &Path) -> SslPolicy {
    let file = |name: &str| PolicyFile { path: directory.join(name), explicit: false };
    SslPolicy {
        base_directory: directory.to_owned(),
        private_key: file("private.key"),
        private_key_password: None,
        public_certificate: file("public.crt"),
        trusted_dir: directory.join("trusted"),
        revoked_dir: directory.join("revoked"),
        ignore_dot_files: false,
        trust_all: false,
        verify_hostname: false,
        client_auth: ClientAuth::Require,
        tls_versions: vec![TlsVersion::V1_2],
        ciphers: Vec::new(),
    }
}
