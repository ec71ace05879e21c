//! Who is at the other end.

use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

/// The other end of a connection, as errors and logs name it: `db1/10.0.0.1:6362`, or `10.0.0.1:6362` if that is what
/// the user typed. Cheap to clone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Peer(Arc<Inner>);

#[derive(Debug, PartialEq, Eq)]
struct Inner {
    host: String,
    port: u16,
    address: Option<SocketAddr>,
}

impl Peer {
    /// A host whose address is not known yet.
    pub fn named(host: &str, port: u16) -> Self {
        Self(Arc::new(Inner { host: host.to_owned(), port, address: None }))
    }

    /// The same host at one of its addresses.
    #[must_use]
    pub fn at(&self, address: SocketAddr) -> Self {
        Self(Arc::new(Inner { host: self.0.host.clone(), port: address.port(), address: Some(address) }))
    }

    /// The host as it was typed.
    pub fn host(&self) -> &str {
        &self.0.host
    }

    /// The TCP port.
    pub fn port(&self) -> u16 {
        self.0.port
    }
}

impl From<SocketAddr> for Peer {
    fn from(address: SocketAddr) -> Self {
        Self::named(&address.ip().to_string(), address.port()).at(address)
    }
}

impl fmt::Display for Peer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Inner { host, port, address } = &*self.0;
        let literal: Option<IpAddr> = host.parse().ok();
        match (address, literal) {
            (Some(address), Some(_)) => write!(f, "{address}"),
            (Some(address), None) => write!(f, "{host}/{address}"),
            (None, Some(ip)) => write!(f, "{}", SocketAddr::new(ip, *port)),
            (None, None) => write!(f, "{host}:{port}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_peer_is_named_as_typed_and_by_its_address() {
        let address = SocketAddr::from(([10, 0, 0, 1], 6362));
        assert_eq!(Peer::named("db1", 6362).to_string(), "db1:6362");
        assert_eq!(Peer::named("db1", 6362).at(address).to_string(), "db1/10.0.0.1:6362");
        assert_eq!(Peer::named("10.0.0.1", 6362).at(address).to_string(), "10.0.0.1:6362");
        assert_eq!(Peer::named("::1", 6362).to_string(), "[::1]:6362");
        assert_eq!(Peer::from(address).to_string(), "10.0.0.1:6362");
    }
}
