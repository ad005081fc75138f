//! Limits on the connections of each address, and on its requests over HTTP/2, of which a connection carries many.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::net::IpAddr;
use std::sync::Arc;

use parking_lot::{Mutex, MutexGuard};

use crate::client_key;

/// Connections and requests by client address.
#[derive(Clone, Default)]
pub(crate) struct AddressLimiter(Arc<Mutex<HashMap<IpAddr, Counts>>>);

/// Concurrent HTTP/2 requests per connection that an address may have.
const REQUESTS: usize = 4;

#[derive(Default)]
struct Counts {
    connections: usize,
    requests: usize,
    /// True if the limit has been logged.
    is_logged: bool,
}

/// Permit of a connection, which counts until it is dropped.
pub(crate) struct ConnectionPermit(Option<(AddressLimiter, IpAddr)>);

/// Permit of a request, which counts until it is dropped; it may outlive its connection.
pub(crate) struct RequestPermit(Option<(AddressLimiter, IpAddr)>);

impl AddressLimiter {
    /// Counts a connection. Returns `None` if its address has `limit` of them already; without an address nothing is
    /// counted.
    pub(crate) fn admit(&self, address: Option<IpAddr>, limit: usize) -> Option<ConnectionPermit> {
        let Some(address) = address.map(client_key::of) else {
            return Some(ConnectionPermit(None));
        };
        let mut counts = self.counts();
        let count = counts.entry(address).or_default();
        if count.connections >= limit {
            if !std::mem::replace(&mut count.is_logged, true) {
                tracing::warn!(%address, limit, "too many connections from one address: further ones are closed (http.limits.connectionsperaddress; addresses in http.trustedproxies have no limit)");
            }
            return None;
        }
        count.connections += 1;
        drop(counts);
        Some(ConnectionPermit(Some((self.clone(), address))))
    }

    fn counts(&self) -> MutexGuard<'_, HashMap<IpAddr, Counts>> {
        self.0.lock()
    }
}

impl ConnectionPermit {
    /// Counts a request over HTTP/2. Returns `None` if its address has four times `limit` of them already.
    pub(crate) fn request(&self, limit: usize) -> Option<RequestPermit> {
        let Some((limiter, address)) = &self.0 else {
            return Some(RequestPermit(None));
        };
        let (mut counts, limit) = (limiter.counts(), limit.saturating_mul(REQUESTS));
        let count = counts.entry(*address).or_default();
        if count.requests >= limit {
            if !std::mem::replace(&mut count.is_logged, true) {
                tracing::warn!(%address, limit, "too many requests at once from one address: further ones are rejected (four times http.limits.connectionsperaddress; addresses in http.trustedproxies have no limit)");
            }
            return None;
        }
        count.requests += 1;
        drop(counts);
        Some(RequestPermit(self.0.clone()))
    }
}

/// Counts one less, and removes addresses without connections and requests.
fn release(of: Option<&(AddressLimiter, IpAddr)>, change: impl FnOnce(&mut Counts)) {
    let Some((limiter, address)) = of else { return };
    if let Entry::Occupied(mut count) = limiter.counts().entry(*address) {
        change(count.get_mut());
        if count.get().connections == 0 && count.get().requests == 0 {
            count.remove();
        }
    }
}

impl Drop for ConnectionPermit {
    fn drop(&mut self) {
        release(self.0.as_ref(), |count| count.connections -= 1);
    }
}

impl Drop for RequestPermit {
    fn drop(&mut self) {
        release(self.0.as_ref(), |count| count.requests -= 1);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_address_has_its_own_limit_and_ended_connections_do_not_count() {
        let limiter = AddressLimiter::default();
        let from = |text: &str| limiter.admit(Some(text.parse().unwrap()), 2);
        let first = from("192.0.2.1").unwrap();
        let _second = from("::ffff:192.0.2.1").unwrap();
        assert!(from("192.0.2.1").is_none());
        let _other = from("192.0.2.2").unwrap();
        drop(first);
        let _third = from("192.0.2.1").unwrap();
        assert!(from("192.0.2.1").is_none());
        let _six = [
            from("2001:db8::1").unwrap(),
            from("2001:db8::ffff:2").unwrap(),
        ];
        assert!(from("2001:db8::3").is_none() && from("2001:db8:0:1::3").is_some());
        assert!((0..10).all(|_| limiter.admit(None, 2).is_some()));
    }

    #[test]
    fn addresses_without_connections_are_forgotten() {
        let limiter = AddressLimiter::default();
        let permit = limiter
            .admit(Some("192.0.2.1".parse().unwrap()), 2)
            .unwrap();
        let request = permit.request(2);
        drop(permit);
        assert!(!limiter.counts().is_empty());
        drop(request);
        assert!(limiter.counts().is_empty());
    }

    #[test]
    fn requests_are_counted_over_all_connections_of_an_address() {
        let limiter = AddressLimiter::default();
        let from = |text: &str| limiter.admit(Some(text.parse().unwrap()), 2).unwrap();
        let (first, second, other) = (from("192.0.2.1"), from("192.0.2.1"), from("192.0.2.2"));
        let mut held: Vec<_> = (0..4)
            .flat_map(|_| [first.request(2).unwrap(), second.request(2).unwrap()])
            .collect();
        assert!(
            first.request(2).is_none() && second.request(2).is_none() && other.request(2).is_some()
        );
        held.pop();
        assert!(first.request(2).is_some());
        assert!(limiter.admit(None, 2).unwrap().request(0).is_some());
    }
}
