//! Refused logins, gathered in memory and written in batches.

use std::collections::HashMap;

use parking_lot::Mutex;

/// Maximum number of clients whose refused logins are written apart at once.
const CLIENTS: usize = 20;

/// Refused logins since the last write.
#[derive(Default)]
pub(in crate::registry) struct RefusedLogins(Mutex<Refused>);

#[derive(Debug, Default)]
pub(super) struct Refused {
    /// Numbers by user and address.
    pub(super) by_client: HashMap<(String, Option<String>), u64>,
    /// Number of those of further clients, which may choose their names.
    pub(super) others: u64,
}

impl Refused {
    pub(super) fn is_empty(&self) -> bool {
        self.by_client.is_empty()
    }
}

impl RefusedLogins {
    pub(super) fn note(&self, user: &str, address: Option<String>) {
        let mut refused = self.0.lock();
        let key = (user.to_owned(), address);
        if refused.by_client.len() < CLIENTS || refused.by_client.contains_key(&key) {
            *refused.by_client.entry(key).or_default() += 1;
        } else {
            refused.others += 1;
        }
    }

    /// Takes those noted since the last call.
    pub(super) fn take(&self) -> Refused {
        std::mem::take(&mut *self.0.lock())
    }
}
