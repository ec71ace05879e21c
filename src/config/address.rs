//! Socket addresses as people write them: `--from`, and settings of the type address.

use std::fmt;
use std::str::FromStr;

/// A host and, if it was given, a port.
///
/// | Form        | Rule                                                                        |
/// |-------------|-----------------------------------------------------------------------------|
/// | `[host]:port` | brackets around one or more characters without blanks                     |
/// | `host:port` | what stands before the last colon has no blank and ends in `::` or no colon |
/// | `:port`     | empty host, that is the loopback address                                    |
/// | `host`      | no colon but perhaps a last one, or at least two: a raw IPv6 address        |
///
/// The forms are tried in this order. A raw IPv6 address that ends in a decimal group therefore loses that group to
/// the port; brackets help.
///
/// Specification: command line 2.5.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct SocketAddress {
    /// Name or IP address without brackets; empty for the loopback address.
    pub host: String,
    /// The port, if the text had one.
    pub port: Option<u16>,
}

/// Text is not a socket address. The first three texts are Neo4j's own.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AddressError {
    /// None of the forms matches.
    #[error(
        "Configured socket address must be in the format \"hostname:port\", \"hostname\" or \":port\". \
         \"{0}\" does not conform to these formats"
    )]
    Form(String),
    /// A bracket that does not enclose the host.
    #[error("hostname cannot contain '[' or ']'")]
    Brackets,
    /// There is a `://` in the text.
    #[error(
        "Configured socket address seems to be an URI. The socket address must be in the format \
         \"hostname:port\", \"hostname\" or \":port\". \"{0}\" does not conform to these formats"
    )]
    Uri(String),
    /// The port is larger than 65535.
    #[error("port out of range:{0}")]
    PortOutOfRange(String),
}

impl SocketAddress {
    /// Reads one address. Blanks around it are ignored.
    pub fn parse(text: &str) -> Result<Self, AddressError> {
        if text.contains("://") {
            return Err(AddressError::Uri(text.to_owned()));
        }
        let text = text.trim_matches(|c: char| c <= ' ');
        let (host, port) = Self::split(text).ok_or_else(|| AddressError::Form(text.to_owned()))?;
        if host.contains(['[', ']']) {
            return Err(AddressError::Brackets);
        }
        let port = port
            .map(|digits| digits.parse().map_err(|_| AddressError::PortOutOfRange(digits.to_owned())))
            .transpose()?;
        Ok(Self { host: host.to_owned(), port })
    }

    /// Reads one or more addresses, separated by commas.
    pub fn parse_list(text: &str) -> Result<Vec<Self>, AddressError> {
        text.split(',').map(Self::parse).collect()
    }

    /// Host and digits of the port; `None` if no form matches.
    fn split(text: &str) -> Option<(&str, Option<&str>)> {
        if text.contains(blank) {
            return None;
        }
        if let Some((host, port)) = text.rsplit_once(':').filter(|(_, port)| is_decimal(port)) {
            let bracketed = host.strip_prefix('[').and_then(|host| host.strip_suffix(']'));
            if let Some(inner) = bracketed.filter(|inner| !inner.is_empty()) {
                return Some((inner, Some(port)));
            }
            if host.is_empty() || host.ends_with("::") || !host.ends_with(':') {
                return Some((host, Some(port)));
            }
        }
        let colons = text.matches(':').count();
        let is_host = match colons {
            0 => !text.is_empty(),
            1 => text.len() > 1 && text.ends_with(':'),
            _ => true,
        };
        is_host.then_some((text, None))
    }

    /// The port, or `default` if none was given.
    pub fn port_or(&self, default: u16) -> u16 {
        self.port.unwrap_or(default)
    }

    /// What to ask the resolver for: an empty host means the loopback address.
    pub fn host_to_resolve(&self) -> &str {
        if self.host.is_empty() { "localhost" } else { &self.host }
    }
}

/// The blanks of the original's regular expressions: ASCII only.
fn blank(c: char) -> bool {
    c.is_ascii_whitespace() || c == '\u{b}'
}

fn is_decimal(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit())
}

impl FromStr for SocketAddress {
    type Err = AddressError;

    fn from_str(text: &str) -> Result<Self, AddressError> {
        Self::parse(text)
    }
}

/// As Neo4j prints it: `host:port`, `[fe80::1]:port`, without a port the host alone.
impl fmt::Display for SocketAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.host.contains(':') {
            write!(f, "[{}]", self.host)?;
        } else {
            f.write_str(&self.host)?;
        }
        self.port.map_or(Ok(()), |port| write!(f, ":{port}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What Neo4j 4.4.38 makes of each text.
    const ACCEPTED: &[(&str, &str, Option<u16>)] = &[
        ("192.168.1.34:6362", "192.168.1.34", Some(6362)),
        ("[fe80::1]:6362", "fe80::1", Some(6362)),
        ("[h]:1", "h", Some(1)),
        ("::1:6362", "::1", Some(6362)),
        ("fe80::1:2", "fe80::1", Some(2)),
        ("fe80::1%eth0:5", "fe80::1%eth0", Some(5)),
        ("fe80::1%eth0", "fe80::1%eth0", None),
        ("fe80::1", "fe80::1", None),
        ("::1", "::1", None),
        ("::", "::", None),
        (":::", ":::", None),
        ("192.168.1.34", "192.168.1.34", None),
        (":6362", "", Some(6362)),
        ("h1:1,h2:2", "h1:1,h2", Some(2)),
        ("h:", "h:", None),
        (" h:1 ", "h", Some(1)),
        ("\u{1}h:1", "h", Some(1)),
        ("\u{a0}h:1", "\u{a0}h", Some(1)),
        ("h:65535", "h", Some(65535)),
        ("h:0", "h", Some(0)),
        ("h:0000000001", "h", Some(1)),
        ("h::1", "h::1", None),
        (":::1", "::", Some(1)),
        ("::::1", ":::", Some(1)),
        ("a::", "a::", None),
        ("::1:", "::1:", None),
        ("a:1:", "a:1:", None),
        ("a:b:c", "a:b:c", None),
        ("a:b:1", "a:b", Some(1)),
        ("a:b::c", "a:b::c", None),
        ("1", "1", None),
    ];

    #[test]
    fn every_form_gives_the_host_and_port_of_the_original() {
        for (text, host, port) in ACCEPTED {
            let expected = SocketAddress { host: (*host).to_owned(), port: *port };
            assert_eq!(SocketAddress::parse(text), Ok(expected), "{text:?}");
        }
    }

    #[test]
    fn texts_of_no_form_are_quoted_in_the_error() {
        for text in
            ["a:b", "a b:1", "", "[a b]:1", ":", "a b", "h:-1", "h:1 2", "[h]:x", "a :1", "[ ]:1", "h\u{b}:1"]
        {
            let error = SocketAddress::parse(text).unwrap_err();
            assert_eq!(
                error.to_string(),
                format!(
                    "Configured socket address must be in the format \"hostname:port\", \"hostname\" or \":port\". \
                     \"{text}\" does not conform to these formats"
                )
            );
        }
        assert_eq!(SocketAddress::parse("  "), Err(AddressError::Form(String::new())), "trimmed in the text");
    }

    #[test]
    fn stray_brackets_are_refused() {
        for text in ["[::1]", "[]:1", "[a:1", "a]:1", "[a]b:1", "x]", "[x", "[h]:", "[[h]]:1", "[a]:1]:2"] {
            let error = SocketAddress::parse(text).unwrap_err();
            assert_eq!(error.to_string(), "hostname cannot contain '[' or ']'", "{text:?}");
        }
    }

    #[test]
    fn a_uri_is_recognised_as_such() {
        assert_eq!(
            SocketAddress::parse(" bolt://h:6362").unwrap_err().to_string(),
            "Configured socket address seems to be an URI. The socket address must be in the format \
             \"hostname:port\", \"hostname\" or \":port\". \" bolt://h:6362\" does not conform to these formats"
        );
    }

    #[test]
    fn a_port_beyond_65535_is_out_of_range() {
        for port in ["65536", "99999999999999999999"] {
            let error = SocketAddress::parse(&format!("h:{port}")).unwrap_err();
            assert_eq!(error.to_string(), format!("port out of range:{port}"));
        }
    }

    #[test]
    fn a_list_is_cut_at_commas() {
        let list = SocketAddress::parse_list("h1:1, [::1]:2,h3").unwrap();
        let texts: Vec<String> = list.iter().map(ToString::to_string).collect();
        assert_eq!(texts, ["h1:1", "[::1]:2", "h3"]);
        assert_eq!(SocketAddress::parse_list("h1,"), Err(AddressError::Form(String::new())));
    }

    #[test]
    fn a_missing_host_is_the_loopback_and_a_missing_port_the_default() {
        let address: SocketAddress = ":7".parse().unwrap();
        assert_eq!((address.host_to_resolve(), address.port_or(6362)), ("localhost", 7));
        let address: SocketAddress = "h".parse().unwrap();
        assert_eq!((address.host_to_resolve(), address.port_or(6362)), ("h", 6362));
    }
}
