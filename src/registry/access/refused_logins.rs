//! Refused logins, gathered in memory and written in batches.

use std::collections::HashMap;

use parking_lot::Mutex;

use crate::meta::Actor;

/// Maximum number of clients and reasons whose refused logins are written apart at once.
const CLIENTS: usize = 20;

/// Refused logins since the last write.
#[derive(Default)]
pub(in crate::registry) struct RefusedLogins(Mutex<Refused>);

#[derive(Debug, Default)]
pub(super) struct Refused {
    by_client: HashMap<Refusal, RefusedClient>,
    /// Number of those of further clients, which may choose their names.
    pub(super) others: u64,
}

/// Key of one row of the audit log: a harmless reason must not hide another.
#[derive(Debug, PartialEq, Eq, Hash)]
pub(super) struct Refusal {
    user: Option<String>,
    address: Option<String>,
    reason: Option<String>,
}

/// Refused logins of one user from one address for one reason.
#[derive(Debug)]
pub(super) struct RefusedClient {
    /// As it was at the last one.
    actor: Actor,
    number: u64,
}

impl Refusal {
    /// Says why, and how often: `wrong password, 3 times`.
    fn detail(&self, number: u64) -> Option<String> {
        let number = (number > 1).then(|| format!("{number} times"));
        let parts: Vec<_> = self.reason.clone().into_iter().chain(number).collect();
        (!parts.is_empty()).then(|| parts.join(", "))
    }
}

impl Refused {
    pub(super) fn is_empty(&self) -> bool {
        self.by_client.is_empty()
    }

    /// Lists clients, each with why and how often it was refused.
    pub(super) fn clients(&self) -> impl Iterator<Item = (&Actor, Option<String>)> {
        let clients = self.by_client.iter();
        clients.map(|(refusal, client)| (&client.actor, refusal.detail(client.number)))
    }
}

impl RefusedLogins {
    pub(super) fn note(&self, actor: Actor, reason: Option<String>) {
        let mut refused = self.0.lock();
        let refusal = Refusal {
            user: actor.name.clone(),
            address: actor.address.clone(),
            reason,
        };
        let number = match refused.by_client.get(&refusal) {
            Some(known) => known.number + 1,
            None if refused.by_client.len() < CLIENTS => 1,
            None => {
                refused.others += 1;
                return;
            }
        };
        let client = RefusedClient { actor, number };
        refused.by_client.insert(refusal, client);
    }

    /// Takes those noted since the last call.
    pub(super) fn take(&self) -> Refused {
        std::mem::take(&mut *self.0.lock())
    }
}
