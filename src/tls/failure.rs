//! What a failed handshake means, and what to do about it.

use std::fmt;
use std::io;
use std::path::PathBuf;

use rustls::pki_types::UnixTime;
use rustls::{AlertDescription as Alert, CertificateError, Error};

/// The transaction port of a cluster member, where the server follows its policy `cluster`. Specification: protocol 1.
const TRANSACTION_PORT: u16 = 6000;

/// A failure of the TLS layer, told to people: what happened, and in parentheses what may help.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    /// What happened.
    pub cause: String,
    /// What may help.
    pub advice: Option<String>,
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.cause)?;
        self.advice.as_ref().map_or(Ok(()), |advice| write!(f, " ({advice})"))
    }
}

impl std::error::Error for Failure {}

/// What a client knows of itself.
#[derive(Debug)]
pub(super) struct Side {
    /// Where certificates to trust are.
    pub trusted_dir: PathBuf,
    /// The file for want of which it has no certificate to show.
    pub missing: Option<PathBuf>,
}

/// The error of rustls inside an I/O error.
fn tls_error(error: &io::Error) -> Option<&Error> {
    error.get_ref()?.downcast_ref()
}

impl Failure {
    /// What a failure means to a client that dialled `port`.
    pub(super) fn of_client(error: &io::Error, side: &Side, port: u16) -> Option<Self> {
        let error = tls_error(error)?;
        let advice = match error {
            Error::InvalidMessage(_) => Some(
                "dbms.ssl.policy.backup.enabled is true here; is the SSL policy of the server enabled, and is it \
                 the right port?"
                    .to_owned(),
            ),
            Error::InvalidCertificate(reason) => side.advice_on_server_certificate(reason),
            Error::AlertReceived(alert) => side.advice_on_alert(*alert, port),
            Error::PeerIncompatible(_) => Some(common_ground()),
            _ => None,
        };
        Some(Self { cause: cause(error, "server"), advice })
    }

    /// What a failure means to a server.
    pub(super) fn of_server(error: &io::Error) -> Option<Self> {
        let error = tls_error(error)?;
        let advice = match error {
            Error::InvalidMessage(_) => {
                Some("dbms.ssl.policy.backup.enabled is true here, and not at the client".to_owned())
            }
            Error::NoCertificatesPresented => {
                Some("dbms.ssl.policy.backup.client_auth is REQUIRE here".to_owned())
            }
            Error::AlertReceived(alert) if is_about_certificate(*alert) => {
                Some("the client does not trust the certificate of this server".to_owned())
            }
            Error::PeerIncompatible(_) => Some(common_ground()),
            _ => None,
        };
        Some(Self { cause: cause(error, "client"), advice })
    }
}

impl Side {
    fn advice_on_server_certificate(&self, reason: &CertificateError) -> Option<String> {
        match reason {
            CertificateError::UnknownIssuer | CertificateError::BadSignature => Some(format!(
                "put it, or the certificate of the authority that signed it, into {}",
                self.trusted_dir.display()
            )),
            CertificateError::UnknownRevocationStatus => Some(
                "as soon as dbms.ssl.policy.backup.revoked_dir has a list, every authority must have one there"
                    .to_owned(),
            ),
            CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. } => Some(
                "dial it by that name, or set dbms.ssl.policy.backup.verify_hostname=false".to_owned(),
            ),
            _ => None,
        }
    }

    fn advice_on_alert(&self, alert: Alert, port: u16) -> Option<String> {
        let policy = if port == TRANSACTION_PORT {
            "dbms.ssl.policy.cluster, which port 6000 follows"
        } else {
            "dbms.ssl.policy.backup"
        };
        match (alert, &self.missing) {
            (Alert::ProtocolVersion | Alert::InsufficientSecurity, _) => Some(common_ground()),
            // Servers that find no certificate say so in different ways.
            (alert, Some(missing)) if is_about_certificate(alert) || alert == Alert::HandshakeFailure => {
                Some(format!(
                    "the server wants a certificate of this client, and there is none: {} does not exist",
                    missing.display()
                ))
            }
            (Alert::HandshakeFailure, None) => Some(format!(
                "{}, or the server does not accept the certificate of this client by its policy {policy}",
                common_ground()
            )),
            (alert, None) if is_about_certificate(alert) => Some(format!(
                "the server does not accept the certificate of this client: put it, or that of its authority, into \
                 the trusted directory of the server's policy {policy}"
            )),
            _ => None,
        }
    }
}

fn common_ground() -> String {
    "both sides must share one of dbms.ssl.policy.backup.tls_versions and a cipher suite that suits the server's key"
        .to_owned()
}

fn is_about_certificate(alert: Alert) -> bool {
    matches!(
        alert,
        Alert::AccessDenied
            | Alert::BadCertificate
            | Alert::CertificateExpired
            | Alert::CertificateRequired
            | Alert::CertificateRevoked
            | Alert::CertificateUnknown
            | Alert::NoCertificate
            | Alert::UnknownCA
            | Alert::UnsupportedCertificate
    )
}

/// What happened; `peer` is the other side.
fn cause(error: &Error, peer: &str) -> String {
    match error {
        Error::InvalidMessage(_) => format!("not an SSL/TLS record: the {peer} does not talk TLS"),
        Error::AlertReceived(alert) => format!("Received fatal alert: {}", name(*alert)),
        Error::NoCertificatesPresented => format!("the {peer} shows no certificate"),
        Error::InvalidCertificate(reason) => format!("the {peer}'s certificate {}", fault(reason)),
        other => other.to_string(),
    }
}

/// What is wrong with a certificate.
fn fault(reason: &CertificateError) -> String {
    match reason {
        CertificateError::UnknownIssuer | CertificateError::BadSignature => "is not trusted".to_owned(),
        CertificateError::ExpiredContext { not_after, .. } => format!("has expired at {}", date(*not_after)),
        CertificateError::NotValidYetContext { not_before, .. } => {
            format!("is not valid before {}", date(*not_before))
        }
        CertificateError::Revoked => "is revoked".to_owned(),
        CertificateError::UnknownRevocationStatus => {
            "may be revoked: there is no revocation list of its issuer".to_owned()
        }
        CertificateError::ExpiredRevocationList | CertificateError::ExpiredRevocationListContext { .. } => {
            "may be revoked: the revocation list of its issuer is out of date".to_owned()
        }
        CertificateError::InvalidPurpose => "is not meant for this use (extended key usage)".to_owned(),
        CertificateError::UnhandledCriticalExtension => {
            "has a critical extension that is not understood".to_owned()
        }
        CertificateError::NotValidForNameContext { expected, presented } if presented.is_empty() => {
            format!("is not for '{}', it has no names", expected.to_str())
        }
        CertificateError::NotValidForNameContext { expected, presented } => {
            format!("is not for '{}' but for {}", expected.to_str(), presented.join(", "))
        }
        other => format!("is not acceptable: {other}"),
    }
}

/// The name of an alert in the standard: `certificate_unknown`.
fn name(alert: Alert) -> String {
    let mut name = String::new();
    for c in format!("{alert:?}").replace("CA", "Ca").chars() {
        if c.is_ascii_uppercase() && !name.is_empty() {
            name.push('_');
        }
        name.push(c.to_ascii_lowercase());
    }
    name
}

fn date(time: UnixTime) -> String {
    let seconds = i64::try_from(time.as_secs()).unwrap_or(i64::MAX);
    time::OffsetDateTime::from_unix_timestamp(seconds)
        .map_or_else(|_| format!("{seconds} s after 1970"), |date| format!("{} UTC", date.date()))
}

#[cfg(test)]
mod tests {
    use rustls::{InvalidMessage, PeerIncompatible};

    use super::*;

    fn side(missing: Option<&str>) -> Side {
        Side { trusted_dir: "/c/trusted".into(), missing: missing.map(PathBuf::from) }
    }

    fn io(error: Error) -> io::Error {
        io::Error::new(io::ErrorKind::InvalidData, error)
    }

    fn client(error: Error, port: u16) -> String {
        Failure::of_client(&io(error), &side(None), port).unwrap().to_string()
    }

    #[test]
    fn a_plain_peer_is_not_an_ssl_record() {
        let plain = || Error::InvalidMessage(InvalidMessage::InvalidContentType);
        assert_eq!(
            client(plain(), 6362),
            "not an SSL/TLS record: the server does not talk TLS (dbms.ssl.policy.backup.enabled is true here; is the \
             SSL policy of the server enabled, and is it the right port?)"
        );
        assert_eq!(
            Failure::of_server(&io(plain())).unwrap().to_string(),
            "not an SSL/TLS record: the client does not talk TLS (dbms.ssl.policy.backup.enabled is true here, and not \
             at the client)"
        );
    }

    #[test]
    fn alerts_are_told_by_their_names_and_with_the_policy_to_look_at() {
        assert_eq!(
            client(Error::AlertReceived(Alert::CertificateUnknown), 6362),
            "Received fatal alert: certificate_unknown (the server does not accept the certificate of this client: put \
             it, or that of its authority, into the trusted directory of the server's policy dbms.ssl.policy.backup)"
        );
        assert_eq!(
            client(Error::AlertReceived(Alert::UnknownCA), 6000),
            "Received fatal alert: unknown_ca (the server does not accept the certificate of this client: put it, or \
             that of its authority, into the trusted directory of the server's policy dbms.ssl.policy.cluster, which \
             port 6000 follows)"
        );
        assert_eq!(
            client(Error::AlertReceived(Alert::HandshakeFailure), 6362),
            "Received fatal alert: handshake_failure (both sides must share one of dbms.ssl.policy.backup.tls_versions \
             and a cipher suite that suits the server's key, or the server does not accept the certificate of this \
             client by its policy dbms.ssl.policy.backup)"
        );
        assert_eq!(
            client(Error::AlertReceived(Alert::InternalError), 6362),
            "Received fatal alert: internal_error"
        );
        for alert in [Alert::CertificateRequired, Alert::BadCertificate, Alert::HandshakeFailure] {
            let failure =
                Failure::of_client(&io(Error::AlertReceived(alert)), &side(Some("/c/private.key")), 6362);
            assert_eq!(
                failure.unwrap().advice.unwrap(),
                "the server wants a certificate of this client, and there is none: /c/private.key does not exist"
            );
        }
    }

    #[test]
    fn what_is_wrong_with_a_certificate_is_told() {
        let day = |day: u64| UnixTime::since_unix_epoch(std::time::Duration::from_secs(day * 86_400));
        let name = |name: &'static str| rustls::pki_types::ServerName::try_from(name).unwrap();
        for (reason, text) in [
            (
                CertificateError::UnknownIssuer,
                "is not trusted (put it, or the certificate of the authority that signed it, into /c/trusted)",
            ),
            (
                CertificateError::ExpiredContext { time: day(2), not_after: day(1) },
                "has expired at 1970-01-02 UTC",
            ),
            (
                CertificateError::NotValidYetContext { time: day(2), not_before: day(365) },
                "is not valid before 1971-01-01 UTC",
            ),
            (CertificateError::Revoked, "is revoked"),
            (
                CertificateError::UnknownRevocationStatus,
                "may be revoked: there is no revocation list of its issuer (as soon as \
                 dbms.ssl.policy.backup.revoked_dir has a list, every authority must have one there)",
            ),
            (
                CertificateError::NotValidForNameContext {
                    expected: name("db1"),
                    presented: vec!["CN=db2".to_owned()],
                },
                "is not for 'db1' but for CN=db2 (dial it by that name, or set \
                 dbms.ssl.policy.backup.verify_hostname=false)",
            ),
            (
                CertificateError::NotValidForNameContext { expected: name("db1"), presented: vec![] },
                "is not for 'db1', it has no names (dial it by that name, or set \
                 dbms.ssl.policy.backup.verify_hostname=false)",
            ),
        ] {
            assert_eq!(
                client(Error::InvalidCertificate(reason), 6362),
                format!("the server's certificate {text}")
            );
        }
    }

    #[test]
    fn a_missing_common_ground_is_told() {
        let error = Error::PeerIncompatible(PeerIncompatible::ServerDoesNotSupportTls12Or13);
        assert!(client(error, 6362).ends_with(
            " (both sides must share one of dbms.ssl.policy.backup.tls_versions and a cipher suite that suits the \
             server's key)"
        ));
    }

    #[test]
    fn a_server_tells_why_it_refuses_a_client() {
        assert_eq!(
            Failure::of_server(&io(Error::NoCertificatesPresented)).unwrap().to_string(),
            "the client shows no certificate (dbms.ssl.policy.backup.client_auth is REQUIRE here)"
        );
        assert_eq!(
            Failure::of_server(&io(CertificateError::UnknownIssuer.into())).unwrap().to_string(),
            "the client's certificate is not trusted"
        );
    }

    #[test]
    fn other_errors_are_not_of_tls() {
        assert_eq!(Failure::of_client(&io::ErrorKind::UnexpectedEof.into(), &side(None), 6362), None);
    }
}
