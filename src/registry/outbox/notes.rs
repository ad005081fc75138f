//! Events that belong to no change: they are gathered in memory and written in batches.

use std::sync::atomic::{AtomicI64, AtomicU32, Ordering};

use parking_lot::Mutex;
use tokio::sync::Notify;

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

/// Events since the last write, and what else this server remembers of the outbox.
#[derive(Default)]
pub(in crate::registry) struct Notes {
    /// Kinds that this server's endpoints listen to.
    listened: AtomicU32,
    noted: Mutex<Vec<(Millis, NotedEvent)>>,
    has_some: Notify,
    /// Number of the event before which all that everybody was told of are removed.
    pub(super) pruned: AtomicI64,
    /// Held while events of a queue are looked for: of the connections for scans, clients need the others.
    pub(super) looking: tokio::sync::Mutex<()>,
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
        if noted.len() == 1 {
            self.has_some.notify_one();
        }
        has_room
    }

    /// Waits until there are events.
    pub(super) async fn wait(&self) {
        self.has_some.notified().await;
    }

    /// Takes the events since the last call.
    pub(super) fn take(&self) -> Vec<(Millis, NotedEvent)> {
        std::mem::take(&mut *self.noted.lock())
    }

    /// Puts events back that could not be written; returns the number of those for which there is no room.
    pub(super) fn put_back(&self, mut unwritten: Vec<(Millis, NotedEvent)>) -> usize {
        let mut noted = self.noted.lock();
        unwritten.append(&mut noted);
        let excess = unwritten.len().saturating_sub(CAPACITY);
        unwritten.drain(..excess);
        *noted = unwritten;
        self.has_some.notify_one();
        excess
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn note(detail: &str) -> NotedEvent {
        NotedEvent {
            detail: Some(detail.to_owned()),
            ..NotedEvent::whole(EventKind::BackupFailed, Actor::default())
        }
    }

    /// Events that could not be written come first, and the oldest go when there is no room.
    #[test]
    fn unwritten_events_are_kept_within_bounds() {
        let notes = Notes::default();
        notes.add(note("first"));
        let unwritten = notes.take();
        notes.add(note("second"));
        assert_eq!(notes.put_back(unwritten), 0);
        let taken = notes.take();
        let details = taken.iter().map(|(_, event)| event.detail.as_deref());
        assert_eq!(Vec::from_iter(details), [Some("first"), Some("second")]);
        notes.add(note("newest"));
        assert_eq!(notes.put_back(vec![(0, note("old")); CAPACITY]), 1);
        let taken = notes.take();
        let newest = taken.last().and_then(|(_, event)| event.detail.as_deref());
        assert_eq!((taken.len(), newest), (CAPACITY, Some("newest")));
    }
}
