//! How many connections each address has.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::network;

/// The connections there are, by where they come from.
#[derive(Clone, Default)]
pub(super) struct Crowd(Arc<Mutex<HashMap<IpAddr, Group>>>);

#[derive(Default)]
struct Group {
    connections: usize,
    /// The owner has been told that there are too many of them.
    is_told: bool,
}

/// A connection that is counted until this goes.
pub(super) struct Seat(Option<(Crowd, IpAddr)>);

impl Crowd {
    /// Counts a connection; none where its address has `limit` of them already. Without an address nothing is counted.
    pub(super) fn admit(&self, address: Option<IpAddr>, limit: usize) -> Option<Seat> {
        let Some(address) = address.map(network::of) else { return Some(Seat(None)) };
        let mut groups = self.groups();
        let group = groups.entry(address).or_default();
        if group.connections >= limit {
            if !std::mem::replace(&mut group.is_told, true) {
                tracing::warn!(%address, limit, "too many connections from one address: more are closed (http.limits.connectionsperaddress, unless it is one of http.trustedproxies)");
            }
            return None;
        }
        group.connections += 1;
        drop(groups);
        Some(Seat(Some((self.clone(), address))))
    }

    fn groups(&self) -> MutexGuard<'_, HashMap<IpAddr, Group>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        let Some((crowd, address)) = &self.0 else { return };
        if let Entry::Occupied(mut group) = crowd.groups().entry(*address) {
            group.get_mut().connections -= 1;
            if group.get().connections == 0 {
                group.remove();
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_address_has_its_own_limit_and_what_ends_makes_room() {
        let crowd = Crowd::default();
        let from = |text: &str| crowd.admit(Some(text.parse().unwrap()), 2);
        let first = from("192.0.2.1").unwrap();
        let _second = from("::ffff:192.0.2.1").unwrap();
        assert!(from("192.0.2.1").is_none());
        let _other = from("192.0.2.2").unwrap();
        drop(first);
        let _third = from("192.0.2.1").unwrap();
        assert!(from("192.0.2.1").is_none());
        let _six = [from("2001:db8::1").unwrap(), from("2001:db8::ffff:2").unwrap()];
        assert!(from("2001:db8::3").is_none() && from("2001:db8:0:1::3").is_some());
        assert!((0..10).all(|_| crowd.admit(None, 2).is_some()));
    }

    #[test]
    fn nothing_is_kept_of_those_who_left() {
        let crowd = Crowd::default();
        drop(crowd.admit(Some("192.0.2.1".parse().unwrap()), 2));
        assert!(crowd.groups().is_empty());
    }
}
