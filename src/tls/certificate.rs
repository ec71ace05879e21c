//! What has to be known of a certificate or a revocation list, beyond what path validation of webpki looks at.

use std::collections::HashSet;

use pkcs8::der::asn1::{AnyRef, BitStringRef};
use pkcs8::der::{self, Decode, Encode, Reader, SliceReader};
use rustls::pki_types::{SignatureVerificationAlgorithm, SubjectPublicKeyInfoDer};
use webpki::RawPublicKeyEntity;
use x509_cert::certificate::{Certificate as X509, Rfc5280, TbsCertificate, Version};
use x509_cert::crl::TbsCertList;
use x509_cert::ext::Extension;
use x509_cert::ext::pkix::name::{DirectoryString, GeneralName};
use x509_cert::ext::pkix::{BasicConstraints, ExtendedKeyUsage, SubjectAltName};

/// The tag of an integer in DER.
const INTEGER: u8 = 2;

/// Object identifiers, in their dotted form.
mod oid {
    pub const COMMON_NAME: &str = "2.5.4.3";
    pub const NAME_CONSTRAINTS: &str = "2.5.29.30";
    pub const ANY_USAGE: &str = "2.5.29.37.0";
    pub const SERVER_AUTH: &str = "1.3.6.1.5.5.7.3.1";
    pub const CLIENT_AUTH: &str = "1.3.6.1.5.5.7.3.2";
    /// Extensions whose meaning is heeded, or lies outside of a check of a single certificate: key usage, alternative
    /// names, basic constraints, policies, extended key usage.
    pub const UNDERSTOOD: [&str; 5] = ["2.5.29.15", "2.5.29.17", "2.5.29.19", "2.5.29.32", "2.5.29.37"];
}

/// What a peer's certificate is used for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Purpose {
    /// It is a server's.
    Server,
    /// It is a client's.
    Client,
}

/// A certificate of any version.
#[derive(Debug)]
pub(super) struct Certificate {
    /// Whether it may have extensions.
    pub is_v3: bool,
    /// Whether it says of itself that it may sign others. Before version 3 none can say so.
    pub is_ca: bool,
    /// Whom it is for, DER.
    pub subject: Vec<u8>,
    /// Who signed it, DER.
    pub issuer: Vec<u8>,
    /// Its number at the issuer.
    pub serial: Vec<u8>,
    /// Seconds since 1970.
    pub not_before: u64,
    /// Seconds since 1970.
    pub not_after: u64,
    /// The key, DER of a `SubjectPublicKeyInfo`.
    pub public_key: Vec<u8>,
    /// DNS names among the alternative names.
    pub dns_names: Vec<String>,
    /// The last common name of the subject, unless there are alternative names that cannot be read.
    pub common_name: Option<String>,
    /// Identifiers, and whether they are critical.
    extensions: Vec<(String, bool)>,
    usages: Option<Vec<String>>,
    signed: Signed,
}

impl Certificate {
    /// Reads a certificate.
    pub fn parse(bytes: &[u8]) -> Result<Self, der::Error> {
        let certificate = X509::from_der(bytes)?;
        let body = certificate.tbs_certificate();
        let extensions: &[Extension] = body.extensions().map_or(&[], Vec::as_slice);
        let constraints = body.get_extension::<BasicConstraints>()?;
        // Names that cannot be read do not matter unless they are compared; then the common name must not stand in.
        let names = body.get_extension::<SubjectAltName>();
        let common_name = names.as_ref().ok().and_then(|_| common_name(body));
        let names = names.ok().flatten().map_or(Vec::new(), |(_, names)| names.0);
        let usages = body.get_extension::<ExtendedKeyUsage>()?;
        Ok(Self {
            is_v3: body.version() == Version::V3,
            is_ca: constraints.is_some_and(|(_, constraints)| constraints.ca),
            subject: body.subject().to_der()?,
            issuer: body.issuer().to_der()?,
            serial: body.serial_number().as_bytes().to_vec(),
            not_before: body.validity().not_before.to_unix_duration().as_secs(),
            not_after: body.validity().not_after.to_unix_duration().as_secs(),
            public_key: body.subject_public_key_info().to_der()?,
            dns_names: names.iter().filter_map(dns_name).collect(),
            common_name,
            extensions: extensions.iter().map(|e| (e.extn_id.to_string(), e.critical)).collect(),
            usages: usages.map(|(_, usages)| usages.0.iter().map(ToString::to_string).collect()),
            signed: Signed::parse(bytes)?,
        })
    }

    /// Whether it may be used for `purpose`. Without a list of usages it may be used for everything.
    pub fn allows(&self, purpose: Purpose) -> bool {
        let wanted = match purpose {
            Purpose::Server => oid::SERVER_AUTH,
            Purpose::Client => oid::CLIENT_AUTH,
        };
        let has =
            |usages: &Vec<String>| usages.iter().any(|usage| usage == wanted || usage == oid::ANY_USAGE);
        self.usages.as_ref().is_none_or(has)
    }

    /// Whether it may have signed others: it says so, or it cannot say so and signed itself.
    pub fn is_authority(&self) -> bool {
        self.is_ca || !self.is_v3 && self.subject == self.issuer
    }

    /// Whether it restricts the names that it signs.
    pub fn has_name_constraints(&self) -> bool {
        self.extensions.iter().any(|(id, _)| id == oid::NAME_CONSTRAINTS)
    }

    /// Whether it has a critical extension that is not understood here.
    pub fn has_unknown_critical(&self) -> bool {
        self.extensions.iter().any(|(id, critical)| *critical && !oid::UNDERSTOOD.contains(&id.as_str()))
    }

    /// Whether the owner of `issuer` signed it.
    pub fn is_signed_by(&self, issuer: &Self, algorithms: &[&dyn SignatureVerificationAlgorithm]) -> bool {
        self.issuer == issuer.subject && self.signed.is_by(&issuer.public_key, algorithms)
    }
}

fn dns_name(name: &GeneralName) -> Option<String> {
    match name {
        GeneralName::DnsName(name) => Some(name.to_string()),
        _ => None,
    }
}

fn common_name(body: &TbsCertificate) -> Option<String> {
    let named = body.subject().iter().filter(|attribute| attribute.oid.to_string() == oid::COMMON_NAME);
    let value = named.last()?.value.decode_as::<DirectoryString>().ok()?;
    Some(value.value().into_owned())
}

/// A list of certificates that their issuer revoked.
#[derive(Debug)]
pub(super) struct RevocationList {
    /// Seconds since 1970 from which on a newer list must be there.
    pub next_update: Option<u64>,
    issuer: Vec<u8>,
    serials: HashSet<Vec<u8>>,
    signed: Signed,
}

impl RevocationList {
    /// Whether a list lacks the version, as lists without extensions do. webpki reads version 2 only.
    pub fn is_version_1(bytes: &[u8]) -> bool {
        let Ok(signed) = Signed::parse(bytes) else {
            return false;
        };
        let body = AnyRef::from_der(&signed.body);
        body.is_ok_and(|body| body.value().first() != Some(&INTEGER))
    }

    /// Reads a list.
    pub fn parse(bytes: &[u8]) -> Result<Self, der::Error> {
        let signed = Signed::parse(bytes)?;
        let body = TbsCertList::<Rfc5280>::from_der(&signed.body)?;
        let revoked = body.revoked_certificates.unwrap_or_default();
        Ok(Self {
            next_update: body.next_update.map(|time| time.to_unix_duration().as_secs()),
            issuer: body.issuer.to_der()?,
            serials: revoked.iter().map(|entry| entry.serial_number.as_bytes().to_vec()).collect(),
            signed,
        })
    }

    /// Whether the issuer of the list is that of the certificate.
    pub fn is_about(&self, certificate: &Certificate) -> bool {
        self.issuer == certificate.issuer
    }

    /// Whether the certificate is on it.
    pub fn revokes(&self, certificate: &Certificate) -> bool {
        self.is_about(certificate) && self.serials.contains(&certificate.serial)
    }

    /// Whether the owner of `issuer` signed it.
    pub fn is_signed_by(
        &self,
        issuer: &Certificate,
        algorithms: &[&dyn SignatureVerificationAlgorithm],
    ) -> bool {
        self.issuer == issuer.subject && self.signed.is_by(&issuer.public_key, algorithms)
    }
}

/// What certificates and revocation lists have in common.
///
/// | Field     | Type                                |
/// |-----------|-------------------------------------|
/// | body      | SEQUENCE, its bytes are what is signed |
/// | algorithm | SEQUENCE                            |
/// | signature | BIT STRING                          |
#[derive(Debug)]
struct Signed {
    body: Vec<u8>,
    /// Contents of the sequence.
    algorithm: Vec<u8>,
    signature: Vec<u8>,
}

impl Signed {
    fn parse(bytes: &[u8]) -> Result<Self, der::Error> {
        SliceReader::new(bytes)?.sequence(|reader| {
            let body = reader.tlv_bytes()?.to_vec();
            let algorithm = AnyRef::decode(reader)?.value().to_vec();
            let signature = BitStringRef::decode(reader)?;
            Ok(Self { body, algorithm, signature: signature.raw_bytes().to_vec() })
        })
    }

    fn is_by(&self, public_key: &[u8], algorithms: &[&dyn SignatureVerificationAlgorithm]) -> bool {
        let key = SubjectPublicKeyInfoDer::from(public_key);
        let Ok(key) = RawPublicKeyEntity::try_from(&key) else {
            return false;
        };
        algorithms
            .iter()
            .filter(|algorithm| algorithm.signature_alg_id().as_ref() == self.algorithm)
            .any(|algorithm| key.verify_signature(*algorithm, &self.body, &self.signature).is_ok())
    }
}
