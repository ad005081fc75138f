//! Addresses that requests may reach: all that the owner named, and public ones where a public server leads.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use http::Response;

/// Addresses that a request may reach.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Reach {
    /// All but link-local ones, because metadata services of clouds listen there.
    Any,
    /// Public ones: a public server has led there.
    Public,
}

/// A server by its name, as its owner writes it: a host, with a port or one of the standard ports.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Server {
    host: String,
    port: Option<u16>,
}

/// Address that may not be reached.
#[derive(Debug, thiserror::Error)]
pub(super) enum Forbidden {
    #[error("a link-local address is not connected to")]
    LinkLocal,
    #[error("a public server leads to {0}, which is not public")]
    NotPublic(String),
}

impl Reach {
    /// Returns the addresses to which a server may lead from its own.
    pub(super) fn from(address: IpAddr) -> Self {
        match is_public(address) {
            true => Self::Public,
            false => Self::Any,
        }
    }

    /// Returns the addresses to which an answer may lead.
    pub(crate) fn of<B>(answer: &Response<B>) -> Self {
        let reach = answer.extensions().get::<Self>();
        reach.copied().unwrap_or(Self::Public)
    }
}

impl Server {
    /// Parses `HOST` and `HOST:PORT`; the host may be an address, of IPv6 in brackets where a port follows.
    pub(crate) fn parse(text: &str) -> Self {
        let is_bare_v6 = text.parse::<Ipv6Addr>().is_ok();
        let parts = text.rsplit_once(':').filter(|_| !is_bare_v6);
        let parts = parts.and_then(|(host, port)| Some((host, port.parse().ok()?)));
        match parts {
            Some((host, port)) => Self::new(host, Some(port)),
            None => Self::new(text, None),
        }
    }

    pub(crate) fn new(host: &str, port: Option<u16>) -> Self {
        let host = bare(host).to_owned();
        Self { host, port }
    }

    /// Reports whether a host and a port are its.
    pub(crate) fn is_at(&self, host: &str, port: u16) -> bool {
        let is_port = |own| own == port;
        self.host.eq_ignore_ascii_case(bare(host))
            && self.port.map_or(matches!(port, 80 | 443), is_port)
    }
}

/// Fails for an address that may not be reached; `exempt` servers may have any.
pub(super) fn check(
    address: SocketAddr,
    host: &str,
    reach: Reach,
    exempt: &[Server],
) -> io::Result<()> {
    if exempt
        .iter()
        .any(|server| server.is_at(host, address.port()))
    {
        return Ok(());
    }
    let forbidden = if is_link_local(address.ip()) {
        Forbidden::LinkLocal
    } else if reach == Reach::Public && !is_public(address.ip()) {
        Forbidden::NotPublic(format!("{host} ({})", address.ip()))
    } else {
        return Ok(());
    };
    Err(io::Error::new(io::ErrorKind::PermissionDenied, forbidden))
}

/// Removes the brackets of an IPv6 address.
pub(super) fn bare(host: &str) -> &str {
    host.trim_start_matches('[').trim_end_matches(']')
}

fn is_link_local(address: IpAddr) -> bool {
    match address.to_canonical() {
        IpAddr::V4(address) => address.is_link_local(),
        IpAddr::V6(address) => address.is_unicast_link_local(),
    }
}

/// Reports whether an address belongs to the internet, and to no network of one's own.
fn is_public(address: IpAddr) -> bool {
    match address.to_canonical() {
        IpAddr::V4(address) => is_public_v4(address),
        IpAddr::V6(address) => is_public_v6(address),
    }
}

/// The registry of special addresses (RFC 6890, and IANA's list since).
fn is_public_v4(address: Ipv4Addr) -> bool {
    let [a, b, c, _] = address.octets();
    let is_shared = a == 100 && b & 0xC0 == 64;
    let is_for_protocols = (a, b, c) == (192, 0, 0);
    let is_for_tests = a == 198 && b & 0xFE == 18;
    let is_special = a == 0 || a >= 224 || is_shared || is_for_protocols || is_for_tests;
    !(is_special || address.is_private() || address.is_loopback() || address.is_link_local())
}

/// Global unicast, but for ways to the addresses of IPv4, which are judged themselves.
fn is_public_v6(address: Ipv6Addr) -> bool {
    let parts = address.segments();
    let v4 = |high: u16, low: u16| {
        let ([a, b], [c, d]) = (high.to_be_bytes(), low.to_be_bytes());
        is_public_v4(Ipv4Addr::new(a, b, c, d))
    };
    match parts {
        // translated (RFC 6052), and 6to4 (RFC 3056)
        [0x64, 0xFF9B, 0, 0, 0, 0, high, low] | [0x2002, high, low, ..] => v4(high, low),
        // Teredo and other protocols, and documentation
        [0x2001, second, ..] if second < 0x200 || second == 0xDB8 => false,
        [first, ..] => first & 0xE000 == 0x2000,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_of_own_networks_are_not_public() {
        for address in [
            "0.0.0.0",
            "10.1.2.3",
            "100.64.0.1",
            "127.0.0.1",
            "127.8.0.1",
            "169.254.169.254",
            "172.16.0.1",
            "172.31.255.255",
            "192.0.0.170",
            "192.168.1.1",
            "198.18.0.1",
            "224.0.0.1",
            "240.0.0.1",
            "255.255.255.255",
            "::",
            "::1",
            "::7f00:1",
            "::ffff:127.0.0.1",
            "::ffff:10.0.0.1",
            "64:ff9b::7f00:1",
            "64:ff9b:1::1",
            "2001::1",
            "2001:db8::1",
            "2002:7f00:1::1",
            "2002:a00:1::",
            "fc00::1",
            "fd12::1",
            "fe80::1",
            "fec0::1",
            "ff02::1",
        ] {
            assert!(!is_public(address.parse().unwrap()), "{address}");
        }
        for address in [
            "1.1.1.1",
            "100.63.0.1",
            "100.128.0.1",
            "172.32.0.1",
            "192.0.1.1",
            "223.255.255.1",
            "::ffff:8.8.8.8",
            "2606:4700::1111",
            "2a00:1450::1",
            "64:ff9b::808:808",
            "2002:808:808::1",
        ] {
            assert!(is_public(address.parse().unwrap()), "{address}");
        }
    }

    #[test]
    fn a_public_server_leads_to_public_ones_unless_they_are_exempt() {
        let check = |address: &str, exempt: &[&str], reach| {
            let exempt: Vec<_> = exempt.iter().map(|text| Server::parse(text)).collect();
            check(address.parse().unwrap(), "meta", reach, &exempt).is_ok()
        };
        for address in ["169.254.169.254:80", "[fe80::1]:80"] {
            assert!(!check(address, &["other"], Reach::Any), "{address}");
            assert!(check(address, &["meta"], Reach::Any), "{address}");
            assert!(check(address, &["META:80"], Reach::Public), "{address}");
        }
        for address in ["127.0.0.1:5001", "10.0.0.1:5001", "[::1]:5001"] {
            assert!(check(address, &[], Reach::Any), "{address}");
            assert!(!check(address, &[], Reach::Public), "{address}");
            assert!(!check(address, &["meta"], Reach::Public), "another port");
            assert!(!check(address, &["meta:5000"], Reach::Public), "one more");
            assert!(check(address, &["meta:5001"], Reach::Public), "{address}");
        }
        assert!(check("1.1.1.1:443", &[], Reach::Public));
    }

    #[test]
    fn servers_are_parsed() {
        for (text, host, port) in [
            ("a.example", "a.example", 443),
            ("A.example", "a.EXAMPLE", 80),
            ("a.example:5000", "a.example", 5000),
            ("[::1]:5000", "[::1]", 5000),
            ("::1", "[::1]", 443),
            ("[::1]", "::1", 443),
        ] {
            assert!(Server::parse(text).is_at(host, port), "{text}");
            assert!(!Server::parse(text).is_at(host, port + 1), "{text}");
            assert!(!Server::parse(text).is_at("b.example", port), "{text}");
        }
    }
}
