//! The memory budget of large manifests that are being received.
//!
//! Memory is taken as bytes arrive, so a slow client occupies only what it has sent. When the
//! budget is spent, one manifest at a time may exceed it, with a short deadline: otherwise
//! manifests that are partly received could wait for each other forever.

use std::sync::Arc;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// Size of the budget, in KiB.
const BUDGET_KIB: usize = 24 << 10;

#[derive(Clone)]
pub(in crate::registry) struct ManifestBudget {
    /// Remaining budget, in KiB.
    space: Arc<Semaphore>,
    /// The single permit beyond the budget.
    overdraft: Arc<Semaphore>,
}

impl Default for ManifestBudget {
    fn default() -> Self {
        Self {
            space: Arc::new(Semaphore::new(BUDGET_KIB)),
            overdraft: Arc::new(Semaphore::new(1)),
        }
    }
}

impl ManifestBudget {
    pub(in crate::registry) fn reserve(&self) -> ManifestReservation {
        ManifestReservation {
            budget: self.clone(),
            space: None,
            overdraft: None,
        }
    }
}

/// The share of one manifest in the budget; returned on drop.
pub struct ManifestReservation {
    budget: ManifestBudget,
    space: Option<OwnedSemaphorePermit>,
    overdraft: Option<OwnedSemaphorePermit>,
}

impl ManifestReservation {
    /// Waits until the budget covers a manifest of `bytes` so far.
    pub async fn grow_to(&mut self, bytes: usize) {
        let held = self
            .space
            .as_ref()
            .map_or(0, OwnedSemaphorePermit::num_permits);
        let Some(more) = bytes
            .div_ceil(1024)
            .checked_sub(held)
            .filter(|more| *more > 0)
        else {
            return;
        };
        if self.is_overdraft() {
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

    /// True if the manifest exceeds the budget, so that others wait for its end.
    #[must_use]
    pub fn is_overdraft(&self) -> bool {
        self.overdraft.is_some()
    }
}

#[cfg(test)]
mod tests {
    use futures_util::future::FutureExt;

    use super::*;

    #[tokio::test]
    async fn memory_follows_received_bytes_and_one_manifest_may_exceed_the_budget() {
        let budget = ManifestBudget::default();
        let mut slow: Vec<_> = (0..20).map(|_| budget.reserve()).collect();
        for reservation in &mut slow {
            reservation.grow_to(69 << 10).await;
        }
        assert_eq!(budget.space.available_permits(), BUDGET_KIB - 20 * 69);
        let mut large = budget.reserve();
        large.grow_to((BUDGET_KIB - 20 * 69) << 10).await;
        assert!(!large.is_overdraft() && budget.space.available_permits() == 0);
        let (mut first, mut second) = (budget.reserve(), budget.reserve());
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
                budget.space.available_permits(),
                budget.overdraft.available_permits()
            ),
            (BUDGET_KIB, 1)
        );
    }
}
