//! What is probably wrong when a connection doesn't come about: the mistakes that people make.

use std::fmt;

/// A guess at the reason, printed in parentheses behind an error; nothing if there is none.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Hint {
    /// No idea.
    #[default]
    None,
    /// Port 7687, or an answer in its protocol.
    Bolt,
    /// Port 7474.
    Http,
    /// Port 7473.
    Https,
    /// Port 5000.
    Discovery,
    /// Port 7000.
    Raft,
    /// An answer of an HTTP server, on whatever port.
    HttpAnswer,
    /// Nobody listens.
    NotListening,
    /// The server closed the connection when it was greeted without TLS.
    ClosedPlain,
    /// The server answered with TLS.
    ServerWantsTls,
    /// The server closed the connection when it was greeted with TLS, or answered without.
    ServerWantsPlain,
}

impl Hint {
    /// Nobody accepts connections on `port`.
    pub fn for_refused(port: u16) -> Self {
        Self::for_port(port).unwrap_or(Self::NotListening)
    }

    /// The peer took the connection and closed it without a word.
    pub fn for_closed(port: u16, tls: bool) -> Self {
        match Self::for_port(port) {
            Some(hint) => hint,
            None if tls => Self::ServerWantsPlain,
            None => Self::ClosedPlain,
        }
    }

    /// The peer answered `bytes` to the magic.
    pub fn for_answer(bytes: &[u8], port: u16) -> Self {
        match bytes {
            // A TLS alert or handshake record: content type, then version 3.x.
            [0x15 | 0x16, 3, ..] => Self::ServerWantsTls,
            [b'H', b'T', b'T', b'P', ..] => Self::for_port(port).unwrap_or(Self::HttpAnswer),
            // Bolt answers four bytes: the version that it chose, zero for none.
            [0, 0, minor, major] if *major <= 6 && *minor <= 6 => Self::Bolt,
            _ => Self::for_port(port).unwrap_or_default(),
        }
    }

    /// What is known of `port`, if it is one that has another use.
    pub fn of_port(port: u16) -> Self {
        Self::for_port(port).unwrap_or_default()
    }

    fn for_port(port: u16) -> Option<Self> {
        match port {
            7687 => Some(Self::Bolt),
            7474 => Some(Self::Http),
            7473 => Some(Self::Https),
            5000 => Some(Self::Discovery),
            7000 => Some(Self::Raft),
            _ => None,
        }
    }

    fn text(self) -> Option<&'static str> {
        Some(match self {
            Self::None => return None,
            Self::Bolt => "that is the Bolt port; backups are served on 6362",
            Self::Http => "that is the HTTP port; backups are served on 6362",
            Self::Https => "that is the HTTPS port; backups are served on 6362",
            Self::Discovery => "that is the discovery port; backups are served on 6362",
            Self::Raft => "that is the Raft port; backups are served on 6362",
            Self::HttpAnswer => "an HTTP server answers there; backups are served on 6362",
            Self::NotListening => {
                "is the server running, with dbms.backup.enabled=true and a dbms.backup.listen_address that is \
                 reachable from here?"
            }
            Self::ClosedPlain => {
                "is it the backup port, 6362 by default? If the server's SSL policy for backups is enabled, it must \
                 be enabled here as well: dbms.ssl.policy.backup.enabled=true"
            }
            Self::ServerWantsTls => {
                "the server talks TLS and this side does not: set dbms.ssl.policy.backup.enabled=true with the \
                 certificates of the policy"
            }
            Self::ServerWantsPlain => {
                "dbms.ssl.policy.backup is enabled here; the server does not seem to talk TLS on that port"
            }
        })
    }
}

impl fmt::Display for Hint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.text().map_or(Ok(()), |text| write!(f, " ({text})"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn well_known_ports_are_named() {
        for (port, name) in
            [(7687, "Bolt"), (7474, "HTTP"), (7473, "HTTPS"), (5000, "discovery"), (7000, "Raft")]
        {
            let text = format!(" (that is the {name} port; backups are served on 6362)");
            assert_eq!(Hint::for_refused(port).to_string(), text);
            assert_eq!(Hint::for_closed(port, false).to_string(), text);
        }
        assert_eq!(Hint::for_refused(6362), Hint::NotListening);
    }

    #[test]
    fn the_answer_tells_what_answers() {
        assert_eq!(Hint::for_answer(b"HTTP/1.1 400 ", 6362), Hint::HttpAnswer);
        assert_eq!(Hint::for_answer(b"HTTP/1.1 400 ", 7474), Hint::Http);
        assert_eq!(Hint::for_answer(&[0x15, 3, 3, 0, 2, 2, 70], 6362), Hint::ServerWantsTls);
        assert_eq!(Hint::for_answer(&[0, 0, 0, 0], 17687), Hint::Bolt);
        assert_eq!(Hint::for_answer(b"anything", 6362), Hint::None);
        assert_eq!(Hint::None.to_string(), "");
    }
}
