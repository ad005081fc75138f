//! The memory budget of large manifests that are being received.
//!
//! Memory is taken as bytes arrive, so a slow client occupies only what it has sent. Each client has a part of the
//! budget, so that its manifests wait for each other first. When the part or the budget is spent, one manifest at a time
//! may exceed it, with a short deadline: otherwise manifests that are partly received could wait for each other forever.

use std::net::IpAddr;
use std::sync::Arc;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::client_parts::ClientParts;

/// Size of the budget, in KiB.
const BUDGET_KIB: usize = 24 << 10;
/// Part of one client, in KiB: a manifest of the largest usual size fits.
const CLIENT_KIB: usize = 5 << 10;

#[derive(Clone)]
pub(in crate::registry) struct ManifestBudget {
    all: Arc<Budget>,
    clients: Arc<ClientParts<Budget>>,
}

/// Memory that several manifests share.
struct Budget {
    /// Remaining, in KiB.
    space: Arc<Semaphore>,
    /// The single permit beyond it.
    overdraft: Arc<Semaphore>,
}

impl Budget {
    fn new(kib: usize) -> Self {
        Self {
            space: Arc::new(Semaphore::new(kib)),
            overdraft: Arc::new(Semaphore::new(1)),
        }
    }
}

impl Default for ManifestBudget {
    fn default() -> Self {
        Self {
            all: Arc::new(Budget::new(BUDGET_KIB)),
            clients: Arc::new(ClientParts::new(|| Budget::new(CLIENT_KIB))),
        }
    }
}

impl ManifestBudget {
    /// Begins a reservation for a manifest of the client with this address.
    pub(in crate::registry) fn reserve(&self, client: Option<IpAddr>) -> ManifestReservation {
        let part = client.map(|client| self.clients.of(client));
        let budgets = part.into_iter().chain([Arc::clone(&self.all)]);
        ManifestReservation {
            shares: budgets.map(Share::of).collect(),
        }
    }
}

/// The share of one manifest in the budget and in its client's part; returned on drop.
pub struct ManifestReservation {
    shares: Vec<Share>,
}

struct Share {
    budget: Arc<Budget>,
    space: Option<OwnedSemaphorePermit>,
    overdraft: Option<OwnedSemaphorePermit>,
}

impl ManifestReservation {
    /// Waits until the budget covers a manifest of `bytes` so far.
    pub async fn grow_to(&mut self, bytes: usize) {
        for share in &mut self.shares {
            share.grow_to(bytes.div_ceil(1024)).await;
        }
    }

    /// True if the manifest exceeds the budget, so that others wait for its end.
    #[must_use]
    pub fn is_overdraft(&self) -> bool {
        self.shares.iter().any(|share| share.overdraft.is_some())
    }
}

impl Share {
    fn of(budget: Arc<Budget>) -> Self {
        Self {
            budget,
            space: None,
            overdraft: None,
        }
    }

    async fn grow_to(&mut self, kib: usize) {
        let held = self
            .space
            .as_ref()
            .map_or(0, OwnedSemaphorePermit::num_permits);
        let Some(more) = kib.checked_sub(held).filter(|more| *more > 0) else {
            return;
        };
        if self.overdraft.is_some() {
            return;
        }
        let more = u32::try_from(more).unwrap_or(u32::MAX);
        // the semaphores are never closed
        tokio::select! {
            biased;
            space = Arc::clone(&self.budget.space).acquire_many_owned(more) => match (&mut self.space, space.ok()) {
                (Some(held), Some(space)) => held.merge(space),
                (held, space) => *held = space,
            },
            overdraft = Arc::clone(&self.budget.overdraft).acquire_owned() => self.overdraft = overdraft.ok(),
        }
    }
}

#[cfg(test)]
mod tests {
    use futures_util::future::FutureExt;

    use super::*;

    #[tokio::test]
    async fn memory_follows_received_bytes_and_one_manifest_may_exceed_the_budget() {
        let budget = ManifestBudget::default();
        let mut slow: Vec<_> = (0..20).map(|_| budget.reserve(None)).collect();
        for reservation in &mut slow {
            reservation.grow_to(69 << 10).await;
        }
        assert_eq!(budget.all.space.available_permits(), BUDGET_KIB - 20 * 69);
        let mut large = budget.reserve(None);
        large.grow_to((BUDGET_KIB - 20 * 69) << 10).await;
        assert!(!large.is_overdraft() && budget.all.space.available_permits() == 0);
        let (mut first, mut second) = (budget.reserve(None), budget.reserve(None));
        first.grow_to(80_000).await;
        first.grow_to(4 << 20).await;
        assert!(first.is_overdraft());
        assert!(second.grow_to(80_000).now_or_never().is_none());
        drop(first);
        second.grow_to(80_000).await;
        assert!(second.is_overdraft());
        drop((slow, large, second));
        assert_eq!(
            (
                budget.all.space.available_permits(),
                budget.all.overdraft.available_permits()
            ),
            (BUDGET_KIB, 1)
        );
    }

    #[tokio::test]
    async fn manifests_of_one_client_wait_for_each_other_first() {
        let budget = ManifestBudget::default();
        let (greedy, other) = ("192.0.2.1".parse().ok(), "192.0.2.2".parse().ok());
        let mut held: Vec<_> = (0..3).map(|_| budget.reserve(greedy)).collect();
        held[0].grow_to(CLIENT_KIB << 10).await;
        assert!(!held[0].is_overdraft());
        held[1].grow_to(4 << 20).await;
        assert!(held[1].is_overdraft());
        assert!(held[2].grow_to(1).now_or_never().is_none());
        let mut quick = budget.reserve(other);
        quick.grow_to(4 << 20).await;
        assert!(!quick.is_overdraft());
    }
}
