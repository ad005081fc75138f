//! Room in memory for large manifests on their way in.
//!
//! It is taken as their bytes come, so that a client that sends slowly keeps from others what it has sent, and no more. Where
//! there is none left, one manifest at a time may come beyond it, in a hurry: else a few that have begun could wait for each
//! other's end.

use std::sync::Arc;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// How much there is, in KiB.
const ROOM_KIB: usize = 24 << 10;

#[derive(Clone)]
pub(in crate::registry) struct ManifestBudget {
    /// In KiB.
    space: Arc<Semaphore>,
    /// The one place beyond it.
    beyond: Arc<Semaphore>,
}

impl Default for ManifestBudget {
    fn default() -> Self {
        Self {
            space: Arc::new(Semaphore::new(ROOM_KIB)),
            beyond: Arc::new(Semaphore::new(1)),
        }
    }
}

impl ManifestBudget {
    pub(in crate::registry) fn reserve(&self) -> ManifestReservation {
        ManifestReservation {
            budget: self.clone(),
            space: None,
            beyond: None,
        }
    }
}

/// What one manifest takes of the room; given back when this goes.
pub struct ManifestReservation {
    budget: ManifestBudget,
    space: Option<OwnedSemaphorePermit>,
    beyond: Option<OwnedSemaphorePermit>,
}

impl ManifestReservation {
    /// Waits until there is room for a manifest of `bytes` so far.
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
            beyond = Arc::clone(&self.budget.beyond).acquire_owned() => self.beyond = beyond.ok(),
        }
    }

    /// Whether others wait for the end of this one.
    #[must_use]
    pub fn is_overdraft(&self) -> bool {
        self.beyond.is_some()
    }
}

#[cfg(test)]
mod tests {
    use futures_util::future::FutureExt;

    use super::*;

    #[tokio::test]
    async fn what_has_come_is_what_is_taken_and_there_is_always_a_place_for_one() {
        let room = ManifestBudget::default();
        let mut slow: Vec<_> = (0..20).map(|_| room.reserve()).collect();
        for reservation in &mut slow {
            reservation.grow_to(69 << 10).await;
        }
        assert_eq!(room.space.available_permits(), ROOM_KIB - 20 * 69);
        let mut large = room.reserve();
        large.grow_to((ROOM_KIB - 20 * 69) << 10).await;
        assert!(!large.is_overdraft() && room.space.available_permits() == 0);
        let (mut first, mut second) = (room.reserve(), room.reserve());
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
                room.space.available_permits(),
                room.beyond.available_permits()
            ),
            (ROOM_KIB, 1)
        );
    }
}
