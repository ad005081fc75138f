//! Noting events that belong to no change, and writing them.

use crate::events::EventKind;
use crate::meta::{EventPlace, EventSubject, WriteTx};
use crate::registry::error::Error;
use crate::registry::facades::Outbox;
use crate::registry::outbox::notes::NotedEvent;

/// Maximum number of events in one transaction.
const AT_ONCE: usize = 500;

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
        if !self.registry.notes.add(event) {
            self.registry.outbox_counters.lost.add(1);
        }
    }

    /// Writes the events that were noted since the last call.
    pub async fn write_notes(self) -> Result<(), Error> {
        let noted = self.registry.notes.take();
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
