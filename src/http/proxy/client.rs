//! Address of a client and trust in proxies, which report it in `Forwarded` (RFC 7239) or `X-Forwarded-*`, as any
//! client may.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use http::HeaderMap;
use http::header::{FORWARDED, HeaderName};
use http::request::Parts;
use ipnet::IpNet;

const X_FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");
const X_REAL_IP: HeaderName = HeaderName::from_static("x-real-ip");

/// Other end of a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Peer {
    /// `None` for a Unix socket.
    pub address: Option<IpAddr>,
    /// True if the connection is encrypted.
    pub is_encrypted: bool,
}

/// Origin of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Client {
    /// The client's own address, as far as it is known.
    pub address: Option<IpAddr>,
    /// True if the connection, which may be a proxy's, is encrypted.
    pub is_encrypted: bool,
    /// True if the connection is a trusted proxy's.
    pub is_by_proxy: bool,
}

impl Client {
    /// Returns the address of the client that sent a request, as far as it is known.
    pub(crate) fn address_of(head: &Parts) -> Option<IpAddr> {
        head.extensions.get::<Self>()?.address
    }
}

/// Networks of proxies whose headers are trusted.
///
/// Empty by default, because tunnels (`ssh -L`, `kubectl port-forward`) connect from this machine. A Unix socket is
/// trusted if 127.0.0.1 is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TrustedProxies(Vec<IpNet>);

/// Parses an address or a network.
///
/// # Errors
/// Text that is neither, in a sentence.
pub fn parse_network(text: &str) -> Result<IpNet, String> {
    let network = text.parse::<IpNet>().ok();
    let network = network.or_else(|| text.parse::<IpAddr>().ok().map(IpNet::from));
    network.ok_or_else(|| {
        format!("'{text}' is neither an address nor a network: write 10.1.2.3 or 10.0.0.0/8")
    })
}

impl TrustedProxies {
    /// Parses addresses and networks: `10.1.2.3`, `10.0.0.0/8`, `fd00::/8`. An empty list trusts no proxy.
    ///
    /// # Errors
    /// Text that is neither, in a sentence.
    pub fn parse<T: AsRef<str>>(texts: &[T]) -> Result<Self, String> {
        let networks = texts.iter().map(|text| parse_network(text.as_ref()));
        networks.collect::<Result<_, _>>().map(Self)
    }

    pub(crate) fn contains(&self, address: Option<IpAddr>) -> bool {
        let address = address.unwrap_or(Ipv4Addr::LOCALHOST.into()).to_canonical();
        self.0.iter().any(|network| network.contains(&address))
    }

    /// Returns the origin of a request. Of the addresses that proxies report, the last untrusted one counts: the client
    /// may have written those before it.
    pub(crate) fn client(&self, peer: Peer, headers: &HeaderMap) -> Client {
        let is_by_proxy = self.contains(peer.address);
        let mut address = peer.address.map(|address| address.to_canonical());
        if is_by_proxy {
            for hop in hops(headers).into_iter().rev() {
                // an unreadable entry hides everything before it
                let Some(hop) = hop else { break };
                address = Some(hop);
                if !self.contains(address) {
                    break;
                }
            }
        }
        Client {
            address,
            is_encrypted: peer.is_encrypted,
            is_by_proxy,
        }
    }
}

/// Reports whether a request names another client, as requests of proxies do.
pub(crate) fn names_another(headers: &HeaderMap) -> bool {
    [X_FORWARDED_FOR, FORWARDED, X_REAL_IP]
        .iter()
        .any(|name| headers.contains_key(name))
}

/// Returns the addresses that proxies report, the client's first. `X-Forwarded-For` takes precedence over `Forwarded`:
/// nearly all proxies write it, and pass on the client's `Forwarded`.
fn hops(headers: &HeaderMap) -> Vec<Option<IpAddr>> {
    let listed = |name: HeaderName| {
        headers
            .get_all(name)
            .iter()
            .flat_map(|value| value.to_str().unwrap_or("?").split(','))
    };
    if headers.contains_key(X_FORWARDED_FOR) {
        return listed(X_FORWARDED_FOR)
            .map(|hop| address(hop.trim()))
            .collect();
    }
    if headers.contains_key(FORWARDED) {
        return listed(FORWARDED)
            .map(|element| parameter(element, "for").and_then(address))
            .collect();
    }
    // often configured in nginx; distribution falls back to it
    listed(X_REAL_IP)
        .map(|client| address(client.trim()))
        .collect()
}

/// Returns a parameter of one element of `Forwarded`.
pub(crate) fn parameter<'e>(element: &'e str, name: &str) -> Option<&'e str> {
    let mut pairs = element
        .split(';')
        .filter_map(|pair| pair.trim().split_once('='));
    pairs
        .find(|(key, _)| key.eq_ignore_ascii_case(name))
        .map(|(_, value)| value.trim_matches('"'))
}

/// Parses `192.0.2.1`, `192.0.2.1:80`, `2001:db8::1`, `[2001:db8::1]` and `[2001:db8::1]:80`.
fn address(text: &str) -> Option<IpAddr> {
    let bare = || text.parse().ok();
    let bracketed = || text.strip_prefix('[')?.strip_suffix(']')?.parse().ok();
    let with_port = || text.parse::<SocketAddr>().ok().map(|address| address.ip());
    bare()
        .or_else(bracketed)
        .or_else(with_port)
        .map(|address: IpAddr| address.to_canonical())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn client(proxies: &[&str], peer: &str, headers: &[(&str, &str)]) -> String {
        let mut map = HeaderMap::new();
        for (name, value) in headers {
            map.append(name.parse::<HeaderName>().unwrap(), value.parse().unwrap());
        }
        let peer = Peer {
            address: peer.parse().ok(),
            is_encrypted: false,
        };
        let client = TrustedProxies::parse(proxies).unwrap().client(peer, &map);
        client
            .address
            .map_or_else(String::new, |address| address.to_string())
    }

    type Case<'c> = (&'c [&'c str], &'c str, &'c [(&'c str, &'c str)], &'c str);

    const LOCAL: &[&str] = &["127.0.0.0/8"];
    const PEER: &str = "127.0.0.1";
    const FOR: &str = "x-forwarded-for";
    const CLIENT: &str = "192.0.2.1";

    fn assert_clients(cases: &[Case<'_>]) {
        for (proxies, peer, headers, expected) in cases {
            assert_eq!(
                client(proxies, peer, headers),
                *expected,
                "{proxies:?} {peer} {headers:?}"
            );
        }
    }

    #[test]
    fn trusted_proxies_are_believed_up_to_the_last_untrusted_hop() {
        let both: &[&str] = &[PEER, "10.0.0.0/8"];
        let many = "1.1.1.1, 192.0.2.1, 10.9.9.9";
        let parameter = "for=1.1.1.1, For=\"[2001:db8::1]:4711\";proto=https";
        assert_clients(&[
            (LOCAL, PEER, &[], PEER),
            (LOCAL, PEER, &[(FOR, CLIENT)], CLIENT),
            (LOCAL, "::ffff:127.0.0.1", &[(FOR, CLIENT)], CLIENT),
            (LOCAL, PEER, &[(FOR, "1.1.1.1, 192.0.2.1")], CLIENT),
            (LOCAL, PEER, &[(FOR, "1.1.1.1"), (FOR, CLIENT)], CLIENT),
            (both, PEER, &[(FOR, many)], CLIENT),
            (both, PEER, &[(FOR, "10.0.0.1, 10.0.0.2")], "10.0.0.1"),
            (LOCAL, PEER, &[(FOR, "192.0.2.1, unknown")], PEER),
            (LOCAL, PEER, &[("forwarded", parameter)], "2001:db8::1"),
            (LOCAL, PEER, &[("forwarded", "for=_hidden")], PEER),
            (LOCAL, PEER, &[("x-real-ip", CLIENT)], CLIENT),
            // a Unix socket
            (LOCAL, "", &[(FOR, CLIENT)], CLIENT),
        ]);
    }

    #[test]
    fn x_forwarded_for_counts_before_other_headers() {
        let (forwarded, real) = (("forwarded", "for=1.1.1.1"), ("x-real-ip", "1.1.1.1"));
        assert_clients(&[
            (LOCAL, PEER, &[forwarded, (FOR, "192.0.2.1:80")], CLIENT),
            (LOCAL, PEER, &[real, (FOR, CLIENT)], CLIENT),
        ]);
    }

    #[test]
    fn untrusted_peers_are_not_believed() {
        assert_clients(&[
            (LOCAL, "203.0.113.7", &[(FOR, CLIENT)], "203.0.113.7"),
            (&[], PEER, &[("x-real-ip", CLIENT)], PEER),
            (&[], "", &[(FOR, CLIENT)], ""),
            (&[], PEER, &[(FOR, CLIENT)], PEER),
            (&[], "::1", &[("forwarded", "for=192.0.2.1")], "::1"),
        ]);
    }

    #[test]
    fn no_peer_is_trusted_by_default_not_even_this_machine() {
        let none = TrustedProxies::default();
        for peer in [
            None,
            Some("127.0.0.1"),
            Some("::1"),
            Some("::ffff:127.0.0.1"),
            Some("10.0.0.1"),
        ] {
            let address: Option<IpAddr> = peer.map(|text| text.parse().unwrap());
            assert!(!none.contains(address), "{peer:?}");
        }
    }

    #[test]
    fn malformed_networks_are_rejected_by_name() {
        for text in ["10.0.0.0/33", "proxy", "", "10.0.0", "1.2.3.4:80"] {
            assert!(
                TrustedProxies::parse(&[text])
                    .unwrap_err()
                    .contains(&format!("'{text}'"))
            );
        }
    }

    proptest! {
        #[test]
        fn claims_of_an_untrusted_peer_change_nothing(claims in "[ -~]{0,40}", name in "(forwarded|x-forwarded-for|x-real-ip)") {
            prop_assert_eq!(client(&["127.0.0.1"], "203.0.113.7", &[(&name, &claims)]), "203.0.113.7");
        }

        #[test]
        fn hops_before_the_last_untrusted_one_do_not_count(claims in "[ -~]{0,40}") {
            let headers = [("x-forwarded-for", &*format!("{claims}, 192.0.2.1"))];
            prop_assert_eq!(client(&["127.0.0.1"], "127.0.0.1", &headers), "192.0.2.1");
        }
    }
}
