//! Part of an address that identifies a client.

use std::net::{IpAddr, Ipv6Addr};

/// Maps an address to its client key (IPv4 address, or IPv6 /64).
///
/// A client cannot change its key at will.
pub(crate) fn of(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(address) => Ipv6Addr::from_bits(address.to_bits() >> 64 << 64).into(),
        address @ IpAddr::V4(_) => address,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_or_a_network_is_one_client() {
        for (address, client) in [
            ("192.0.2.1", "192.0.2.1"),
            ("::ffff:192.0.2.1", "192.0.2.1"),
            ("2001:db8:0:1:2:3:4:5", "2001:db8:0:1::"),
            ("::1", "::"),
        ] {
            assert_eq!(of(address.parse().unwrap()).to_string(), client);
        }
    }
}
