//! Part that each client has of something which all clients share, so that none takes all of it.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::Arc;

use parking_lot::Mutex;

use crate::client_key;

/// Parts of clients, each made when it is first needed.
pub(crate) struct ClientParts<T> {
    new: fn() -> T,
    parts: Mutex<HashMap<IpAddr, Arc<T>>>,
}

impl<T> ClientParts<T> {
    pub(crate) fn new(new: fn() -> T) -> Self {
        Self {
            new,
            parts: Mutex::default(),
        }
    }

    /// Returns the part of the client with this address. It stays the same as long as somebody has it.
    pub(crate) fn of(&self, address: IpAddr) -> Arc<T> {
        let client = client_key::of(address);
        let mut parts = self.parts.lock();
        if !parts.contains_key(&client) {
            parts.retain(|_, part| Arc::strong_count(part) > 1);
        }
        let part = parts
            .entry(client)
            .or_insert_with(|| Arc::new((self.new)()));
        Arc::clone(part)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_part_is_its_clients_and_forgotten_when_nobody_has_it() {
        let parts = ClientParts::new(|| ());
        let of = |address: &str| parts.of(address.parse().unwrap());
        let (one, other) = (of("192.0.2.1"), of("2001:db8::1"));
        assert!(Arc::ptr_eq(&one, &of("::ffff:192.0.2.1")));
        assert!(Arc::ptr_eq(&other, &of("2001:db8::2")));
        assert!(!Arc::ptr_eq(&one, &other));
        drop(one);
        of("192.0.2.2");
        assert_eq!(parts.parts.lock().len(), 2);
    }
}
