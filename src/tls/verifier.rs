//! Trust in the words of rustls.

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::verify_server_name;
use rustls::crypto::{CryptoProvider, WebPkiSupportedAlgorithms, verify_tls13_signature_with_raw_key};
use rustls::pki_types::{CertificateDer, ServerName, SubjectPublicKeyInfoDer, UnixTime};
use rustls::server::ParsedCertificate;
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::{CertificateError, DigitallySignedStruct, DistinguishedName, Error, SignatureScheme};
use webpki::RawPublicKeyEntity;

use super::certificate::{Certificate, Purpose};
use super::trust::Trust;

/// Judges the certificates of peers, servers and clients alike.
#[derive(Debug)]
pub(super) struct PeerVerifier {
    /// None: everybody is trusted.
    trust: Option<Trust>,
    /// Whether a server's certificate must be for the name that was dialled.
    hostname: bool,
    /// Whether a client without certificate is refused.
    mandatory: bool,
    algorithms: WebPkiSupportedAlgorithms,
}

impl PeerVerifier {
    pub fn new(trust: Option<Trust>, hostname: bool, mandatory: bool, provider: &CryptoProvider) -> Self {
        Self { trust, hostname, mandatory, algorithms: provider.signature_verification_algorithms }
    }

    fn check(
        &self,
        leaf: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        now: UnixTime,
        purpose: Purpose,
    ) -> Result<Certificate, Error> {
        let certificate = parse(leaf)?;
        if let Some(trust) = &self.trust {
            trust.check(leaf, &certificate, intermediates, now, purpose)?;
        }
        Ok(certificate)
    }

    /// The key's owner made the signature. webpki would refuse certificates of version 1, so only the key is given.
    fn verify_tls12(
        &self,
        message: &[u8],
        leaf: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let certificate = parse(leaf)?;
        let key = SubjectPublicKeyInfoDer::from(certificate.public_key);
        let key = RawPublicKeyEntity::try_from(&key).map_err(|_| CertificateError::BadEncoding)?;
        let candidates = self.algorithms.mapping.iter().find(|(scheme, _)| *scheme == signed.scheme);
        let mut candidates = candidates.map_or(&[][..], |(_, algorithms)| algorithms).iter();
        // In TLS 1.2 the scheme does not tell the curve.
        if candidates.any(|algorithm| key.verify_signature(*algorithm, message, signed.signature()).is_ok()) {
            Ok(HandshakeSignatureValid::assertion())
        } else {
            Err(CertificateError::BadSignature.into())
        }
    }

    fn verify_tls13(
        &self,
        message: &[u8],
        leaf: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let key = SubjectPublicKeyInfoDer::from(parse(leaf)?.public_key);
        verify_tls13_signature_with_raw_key(message, &key, signed, &self.algorithms)
    }
}

fn parse(leaf: &CertificateDer<'_>) -> Result<Certificate, Error> {
    Certificate::parse(leaf).map_err(|_| CertificateError::BadEncoding.into())
}

/// Whether the certificate is for `name`, by the rules of HTTPS as Java applies them: the common name counts if there is
/// no DNS name among the alternative ones, and never for an address.
fn check_name(
    leaf: &CertificateDer<'_>,
    certificate: &Certificate,
    name: &ServerName<'_>,
) -> Result<(), Error> {
    let common = certificate.common_name.as_deref().filter(|_| certificate.dns_names.is_empty());
    if let (ServerName::DnsName(host), Some(common)) = (name, common) {
        if is_for(common, host.as_ref()) {
            return Ok(());
        }
    } else if certificate.is_v3 {
        return verify_server_name(&ParsedCertificate::try_from(leaf)?, name);
    }
    let presented = certificate.common_name.iter().map(|common| format!("CN={common}")).collect();
    Err(CertificateError::NotValidForNameContext { expected: name.to_owned(), presented }.into())
}

/// Whether a common name, perhaps with `*` for its first label, stands for a host.
fn is_for(common: &str, host: &str) -> bool {
    let host = host.strip_suffix('.').unwrap_or(host);
    match common.strip_prefix("*.") {
        None => common.eq_ignore_ascii_case(host),
        Some(rest) => {
            rest.contains('.')
                && host.split_once('.').is_some_and(|(_, tail)| tail.eq_ignore_ascii_case(rest))
        }
    }
}

impl ServerCertVerifier for PeerVerifier {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let certificate = self.check(end_entity, intermediates, now, Purpose::Server)?;
        if self.hostname {
            check_name(end_entity, &certificate, server_name)?;
        }
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.verify_tls12(message, cert, dss)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.verify_tls13(message, cert, dss)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.algorithms.supported_schemes()
    }
}

impl ClientCertVerifier for PeerVerifier {
    /// No hints: a client that chooses its certificate by the issuer would find none for one that is trusted by itself.
    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        &[]
    }

    fn client_auth_mandatory(&self) -> bool {
        self.mandatory
    }

    fn verify_client_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> Result<ClientCertVerified, Error> {
        self.check(end_entity, intermediates, now, Purpose::Client)?;
        Ok(ClientCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.verify_tls12(message, cert, dss)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.verify_tls13(message, cert, dss)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.algorithms.supported_schemes()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_common_name_stands_for_itself_or_for_one_label() {
        for (common, host) in [
            ("db.example.com", "db.example.com"),
            ("DB.example.com", "db.EXAMPLE.com"),
            ("*.example.com", "db.example.com"),
            ("db.example.com", "db.example.com."),
        ] {
            assert!(is_for(common, host), "{common} {host}");
        }
        for (common, host) in [
            ("db.example.com", "example.com"),
            ("*.example.com", "a.b.example.com"),
            ("*.example.com", "example.com"),
            ("*.com", "example.com"),
            ("*", "localhost"),
            ("", "localhost"),
        ] {
            assert!(!is_for(common, host), "{common} {host}");
        }
    }
}
