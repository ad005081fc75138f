//! Last uses of tokens, gathered in memory and written in batches.

use std::collections::HashMap;
use std::net::IpAddr;

use parking_lot::Mutex;

use crate::meta::{Millis, SecretUse, now};

/// Maximum number of secrets whose use is kept between two writes.
const CAPACITY: usize = 10_000;

/// Last uses since the last write, by the id of the secret.
#[derive(Default)]
pub(in crate::registry) struct TokenUses(Mutex<HashMap<String, LastUse>>);

/// Last use of a secret: each request notes one, and few are written.
#[derive(Clone, Copy)]
struct LastUse {
    at: Millis,
    /// `None` on a Unix socket.
    address: Option<IpAddr>,
}

impl TokenUses {
    /// Notes a use.
    pub(super) fn note(&self, id: &str, address: Option<IpAddr>) {
        let last = LastUse { at: now(), address };
        let mut uses = self.0.lock();
        if let Some(known) = uses.get_mut(id) {
            *known = last;
        } else if uses.len() < CAPACITY {
            uses.insert(id.to_owned(), last);
        }
    }

    /// Takes the uses since the last call.
    pub(super) fn take(&self) -> HashMap<String, SecretUse> {
        let uses = std::mem::take(&mut *self.0.lock());
        let written = |LastUse { at, address }| SecretUse {
            at,
            address: address.map(|address| address.to_canonical().to_string()),
        };
        uses.into_iter()
            .map(|(id, last)| (id, written(last)))
            .collect()
    }
}
