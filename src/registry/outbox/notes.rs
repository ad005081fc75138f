//! Events that belong to no change: they are gathered in memory and written in batches.

use std::sync::atomic::{AtomicU32, Ordering};

use parking_lot::Mutex;

use crate::events::{Descriptor, EventKind, EventKinds};
use crate::meta::{Actor, Millis, now};
use crate::oci::RepositoryName;

/// Maximum number of events gathered between two writes; further ones are lost.
const CAPACITY: usize = 10_000;

/// Event that belongs to no change: a pull, a refusal, a failure.
#[derive(Clone, Debug)]
pub struct NotedEvent {
    pub kind: EventKind,
    pub repository: Option<String>,
    pub tag: Option<String>,
    pub target: Option<Descriptor>,
    /// Repository that a blob was mounted from.
    pub from_repository: Option<String>,
    pub detail: Option<String>,
    pub actor: Actor,
}

impl NotedEvent {
    /// Returns an event of which nothing but its repository is said.
    pub fn about(kind: EventKind, repository: &RepositoryName, actor: Actor) -> Self {
        Self {
            repository: Some(repository.as_str().to_owned()),
            ..Self::whole(kind, actor)
        }
    }

    /// Returns an event of the whole registry.
    pub fn whole(kind: EventKind, actor: Actor) -> Self {
        Self {
            kind,
            repository: None,
            tag: None,
            target: None,
            from_repository: None,
            detail: None,
            actor,
        }
    }
}

/// Events since the last write, and the kinds that this server's endpoints listen to.
#[derive(Default)]
pub(in crate::registry) struct Notes {
    listened: AtomicU32,
    noted: Mutex<Vec<(Millis, NotedEvent)>>,
}

impl Notes {
    pub(super) fn set_listened(&self, kinds: EventKinds) {
        self.listened.store(kinds.bits(), Ordering::Relaxed);
    }

    pub(super) fn listened(&self) -> EventKinds {
        EventKinds::from_bits(self.listened.load(Ordering::Relaxed))
    }

    /// Adds an event; false if there is no room.
    pub(super) fn add(&self, event: NotedEvent) -> bool {
        let mut noted = self.noted.lock();
        let has_room = noted.len() < CAPACITY;
        if has_room {
            noted.push((now(), event));
        }
        has_room
    }

    /// Takes the events since the last call.
    pub(super) fn take(&self) -> Vec<(Millis, NotedEvent)> {
        std::mem::take(&mut *self.noted.lock())
    }
}
