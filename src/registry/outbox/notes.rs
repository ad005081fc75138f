//! Events that belong to no change: they are gathered in memory and written in batches.

use std::sync::atomic::{AtomicU32, Ordering};

use parking_lot::Mutex;

use crate::events::{Descriptor, EventKind, EventKinds};
use crate::meta::{Actor, EventPlace, EventSubject, Millis, WriteTx, now};
use crate::oci::RepositoryName;
use crate::registry::error::Error;
use crate::registry::facades::Outbox;

/// Maximum number of events gathered between two writes; further ones are lost.
const CAPACITY: usize = 10_000;
/// Maximum number of events in one transaction.
const AT_ONCE: usize = 500;

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

    fn listened(&self) -> EventKinds {
        EventKinds::from_bits(self.listened.load(Ordering::Relaxed))
    }
}

impl Outbox<'_> {
    /// Reports whether this server has endpoints.
    pub fn is_used(self) -> bool {
        !self.registry.notes.listened().is_empty()
    }

    /// Reports whether an endpoint of this server listens to this kind.
    pub fn is_listened(self, kind: EventKind) -> bool {
        self.registry.notes.listened().contains(kind)
    }

    /// Notes an event; nothing if no endpoint listens to its kind. It is lost if the process dies within a second.
    pub fn note(self, event: NotedEvent) {
        if !self.is_listened(event.kind) {
            return;
        }
        let mut noted = self.registry.notes.noted.lock();
        match noted.len() < CAPACITY {
            true => noted.push((now(), event)),
            false => self.registry.outbox_counters.lost.add(1),
        }
    }

    /// Writes the events that were noted since the last call.
    pub async fn write_notes(self) -> Result<(), Error> {
        let noted = std::mem::take(&mut *self.registry.notes.noted.lock());
        for batch in noted.chunks(AT_ONCE) {
            let batch = batch.to_vec();
            let write = move |tx: &WriteTx<'_>| {
                for (at, event) in &batch {
                    let place = event
                        .repository
                        .as_deref()
                        .map_or(EventPlace::Whole, EventPlace::Name);
                    let subject = EventSubject {
                        tag: event.tag.as_deref(),
                        target: event.target.clone(),
                        from_repository: event.from_repository.as_deref(),
                        detail: event.detail.as_deref(),
                        ..EventSubject::at(place)
                    };
                    tx.add_event(event.kind, &subject, &event.actor, *at)?;
                }
                Ok::<_, Error>(())
            };
            self.registry.meta.write_lazily(write).await?;
        }
        Ok(())
    }
}
