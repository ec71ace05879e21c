//! Whether a peer's certificate is to be trusted.

use std::collections::HashSet;

use rustls::crypto::{CryptoProvider, WebPkiSupportedAlgorithms};
use rustls::pki_types::{CertificateDer, UnixTime};
use rustls::{CertificateError, OtherError, RootCertStore};
use webpki::{
    CertRevocationList, EndEntityCert, ExpirationPolicy, KeyUsage, OwnedCertRevocationList,
    RevocationCheckDepth, RevocationOptionsBuilder, UnknownStatusPolicy,
};

use super::certificate::{Certificate, Purpose, RevocationList};
use super::files::{CertificateFile, FileError, ListFile, Problem};

/// Certificates to trust, and which are not to be trusted any more.
///
/// A peer's certificate is trusted
///
/// 1. if it is itself among the trusted ones, whatever it says of itself, as long as it is valid: so it is with a
///    self-signed certificate for each server;
/// 2. if a path leads from it to one that may sign others (webpki);
/// 3. if it is one that webpki takes from nobody, because it is of version 1 or says of itself that it may sign others,
///    and one that is trusted and may sign others signed it directly. OpenSSL makes such certificates when it is given
///    no extensions.
///
/// As soon as there is a revocation list, there must be one for every issuer in the path.
///
/// Specification: command line 5.3, rules 2 to 9.
#[derive(Debug)]
pub(super) struct Trust {
    /// DER of all trusted certificates.
    pinned: HashSet<Vec<u8>>,
    /// Those that may sign others.
    authorities: Vec<Certificate>,
    roots: RootCertStore,
    lists: Vec<RevocationList>,
    webpki_lists: Vec<CertRevocationList<'static>>,
    algorithms: WebPkiSupportedAlgorithms,
}

impl Trust {
    /// Takes certificates and revocation lists as they were read.
    pub fn new(
        certificates: Vec<CertificateFile>,
        lists: Vec<ListFile>,
        provider: &CryptoProvider,
    ) -> Result<Self, FileError> {
        let mut trust = Self {
            pinned: HashSet::new(),
            authorities: Vec::new(),
            roots: RootCertStore::empty(),
            lists: Vec::new(),
            webpki_lists: Vec::new(),
            algorithms: provider.signature_verification_algorithms,
        };
        for file in certificates {
            for der in file.certificates {
                let failed = |error: &dyn ToString| FileError::Certificate {
                    file: file.path.clone(),
                    problem: Problem::Contents(error.to_string()),
                };
                let certificate = Certificate::parse(&der).map_err(|error| failed(&error))?;
                if certificate.is_authority() {
                    trust.roots.add(CertificateDer::from(der.as_slice())).map_err(|error| failed(&error))?;
                    trust.authorities.push(certificate);
                }
                trust.pinned.insert(der);
            }
        }
        for file in lists {
            for der in file.lists {
                let failed = |text: String| FileError::RevocationList {
                    file: file.path.clone(),
                    problem: Problem::Contents(text),
                };
                if RevocationList::is_version_1(&der) {
                    let help =
                        "it is of version 1, 2 is needed: give the authority a crlnumber in openssl.cnf";
                    return Err(failed(help.to_owned()));
                }
                let for_webpki =
                    OwnedCertRevocationList::from_der(&der).map_err(|error| failed(error.to_string()))?;
                let list = RevocationList::parse(&der).map_err(|error| failed(error.to_string()))?;
                trust.lists.push(list);
                trust.webpki_lists.push(for_webpki.into());
            }
        }
        Ok(trust)
    }

    /// Whether to trust `certificate`, whose DER is `leaf`, now.
    pub fn check(
        &self,
        leaf: &CertificateDer<'_>,
        certificate: &Certificate,
        intermediates: &[CertificateDer<'_>],
        now: UnixTime,
        purpose: Purpose,
    ) -> Result<(), CertificateError> {
        if self.pinned.contains(leaf.as_ref()) {
            check_validity(certificate, now)?;
            let revoked = self.lists.iter().any(|list| list.revokes(certificate));
            return if revoked { Err(CertificateError::Revoked) } else { Ok(()) };
        }
        if certificate.is_v3 && !certificate.is_ca {
            self.check_path(leaf, intermediates, now, purpose)
        } else {
            self.check_direct(certificate, now, purpose)
        }
    }

    fn check_path(
        &self,
        leaf: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        now: UnixTime,
        purpose: Purpose,
    ) -> Result<(), CertificateError> {
        let lists: Vec<&CertRevocationList<'_>> = self.webpki_lists.iter().collect();
        let revocation = RevocationOptionsBuilder::new(&lists).ok().map(|builder| {
            builder
                .with_depth(RevocationCheckDepth::Chain)
                .with_status_policy(UnknownStatusPolicy::Deny)
                .with_expiration_policy(ExpirationPolicy::Enforce)
                .build()
        });
        let usage = match purpose {
            Purpose::Server => KeyUsage::server_auth(),
            Purpose::Client => KeyUsage::client_auth(),
        };
        let certificate = EndEntityCert::try_from(leaf).map_err(reason)?;
        certificate
            .verify_for_usage(
                self.algorithms.all,
                &self.roots.roots,
                intermediates,
                now,
                usage,
                revocation,
                None,
            )
            .map(drop)
            .map_err(reason)
    }

    fn check_direct(
        &self,
        certificate: &Certificate,
        now: UnixTime,
        purpose: Purpose,
    ) -> Result<(), CertificateError> {
        if certificate.has_unknown_critical() {
            return Err(CertificateError::UnhandledCriticalExtension);
        }
        if !certificate.allows(purpose) {
            return Err(CertificateError::InvalidPurpose);
        }
        check_validity(certificate, now)?;
        // The names that an issuer is restricted to are not looked at here, so none with restrictions counts.
        let mut issuers = self.authorities.iter().filter(|authority| !authority.has_name_constraints());
        let issuer = issuers
            .find(|issuer| certificate.is_signed_by(issuer, self.algorithms.all))
            .ok_or(CertificateError::UnknownIssuer)?;
        if self.lists.is_empty() {
            return Ok(());
        }
        let list = self
            .lists
            .iter()
            .find(|list| list.is_about(certificate) && list.is_signed_by(issuer, self.algorithms.all))
            .ok_or(CertificateError::UnknownRevocationStatus)?;
        if list.next_update.is_some_and(|time| time < now.as_secs()) {
            return Err(CertificateError::ExpiredRevocationList);
        }
        if list.revokes(certificate) { Err(CertificateError::Revoked) } else { Ok(()) }
    }
}

fn check_validity(certificate: &Certificate, now: UnixTime) -> Result<(), CertificateError> {
    let time = |seconds| UnixTime::since_unix_epoch(std::time::Duration::from_secs(seconds));
    let (not_before, not_after) = (time(certificate.not_before), time(certificate.not_after));
    if now < not_before {
        Err(CertificateError::NotValidYetContext { time: now, not_before })
    } else if now > not_after {
        Err(CertificateError::ExpiredContext { time: now, not_after })
    } else {
        Ok(())
    }
}

/// What webpki says, in the words of rustls, which chooses the alert by them.
fn reason(error: webpki::Error) -> CertificateError {
    match error {
        webpki::Error::BadDer | webpki::Error::BadDerTime | webpki::Error::TrailingData(_) => {
            CertificateError::BadEncoding
        }
        webpki::Error::CertNotValidYet { time, not_before } => {
            CertificateError::NotValidYetContext { time, not_before }
        }
        webpki::Error::CertExpired { time, not_after } => {
            CertificateError::ExpiredContext { time, not_after }
        }
        webpki::Error::UnknownIssuer => CertificateError::UnknownIssuer,
        webpki::Error::CertRevoked => CertificateError::Revoked,
        webpki::Error::UnknownRevocationStatus => CertificateError::UnknownRevocationStatus,
        webpki::Error::CrlExpired { time, next_update } => {
            CertificateError::ExpiredRevocationListContext { time, next_update }
        }
        webpki::Error::InvalidSignatureForPublicKey => CertificateError::BadSignature,
        webpki::Error::UnsupportedCriticalExtension => CertificateError::UnhandledCriticalExtension,
        webpki::Error::RequiredEkuNotFoundContext(_) => CertificateError::InvalidPurpose,
        other => CertificateError::Other(OtherError(std::sync::Arc::new(other))),
    }
}
