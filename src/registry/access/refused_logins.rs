//! Refused logins, gathered in memory and written in batches.

use std::collections::HashMap;

use parking_lot::Mutex;

use crate::meta::Actor;

/// Maximum number of clients whose refused logins are written apart at once.
const CLIENTS: usize = 20;

/// Refused logins since the last write.
#[derive(Default)]
pub(in crate::registry) struct RefusedLogins(Mutex<Refused>);

#[derive(Debug, Default)]
pub(super) struct Refused {
    /// By user and address.
    pub(super) by_client: HashMap<(Option<String>, Option<String>), RefusedClient>,
    /// Number of those of further clients, which may choose their names.
    pub(super) others: u64,
}

/// Refused logins of one user from one address.
#[derive(Debug)]
pub(super) struct RefusedClient {
    /// As it was at the last one.
    pub(super) actor: Actor,
    /// Why the last one was refused.
    reason: Option<String>,
    number: u64,
}

impl RefusedClient {
    /// Says why, and how often: `wrong password, 3 times`.
    pub(super) fn detail(&self) -> Option<String> {
        let number = (self.number > 1).then(|| format!("{} times", self.number));
        let parts: Vec<_> = self.reason.clone().into_iter().chain(number).collect();
        (!parts.is_empty()).then(|| parts.join(", "))
    }
}

impl Refused {
    pub(super) fn is_empty(&self) -> bool {
        self.by_client.is_empty()
    }
}

impl RefusedLogins {
    pub(super) fn note(&self, actor: Actor, reason: Option<String>) {
        let mut refused = self.0.lock();
        let key = (actor.name.clone(), actor.address.clone());
        let number = match refused.by_client.get(&key) {
            Some(known) => known.number + 1,
            None if refused.by_client.len() < CLIENTS => 1,
            None => {
                refused.others += 1;
                return;
            }
        };
        let client = RefusedClient {
            actor,
            reason,
            number,
        };
        refused.by_client.insert(key, client);
    }

    /// Takes those noted since the last call.
    pub(super) fn take(&self) -> Refused {
        std::mem::take(&mut *self.0.lock())
    }
}
