//! Refused logins, gathered in memory and written in batches.

use std::collections::HashMap;

use parking_lot::Mutex;

/// Maximum number of clients whose refused logins are written at once; guessing from more addresses is not counted.
const CLIENTS: usize = 20;

/// Number of refused logins since the last write, by user and address.
#[derive(Default)]
pub(in crate::registry) struct RefusedLogins(Mutex<Refused>);

type Refused = HashMap<(String, Option<String>), u64>;

impl RefusedLogins {
    pub(super) fn note(&self, user: &str, address: Option<String>) {
        let mut refused = self.0.lock();
        let key = (user.to_owned(), address);
        if refused.len() < CLIENTS || refused.contains_key(&key) {
            *refused.entry(key).or_default() += 1;
        }
    }

    /// Takes those noted since the last call.
    pub(super) fn take(&self) -> Refused {
        std::mem::take(&mut *self.0.lock())
    }
}
