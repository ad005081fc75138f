//! Noting events that belong to no change, and writing them.

use crate::events::EventKind;
use crate::meta::{EventPlace, EventSubject, Millis, WriteTx};
use crate::registry::error::Error;
use crate::registry::facades::Outbox;
use crate::registry::outbox::notes::NotedEvent;

/// Maximum number of events in one transaction.
const AT_ONCE: usize = 250;

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

    /// Waits until there are events to be written.
    pub async fn wait_for_notes(self) {
        self.registry.notes.wait().await;
    }

    /// Writes the events that were noted since the last call. If that fails, they are kept, as far as there is room.
    pub async fn write_notes(self) -> Result<(), Error> {
        let mut noted = self.registry.notes.take();
        while !noted.is_empty() {
            let rest = noted.split_off(noted.len().min(AT_ONCE));
            let batch = noted.clone();
            let write = move |tx: &WriteTx<'_>| {
                batch
                    .iter()
                    .try_for_each(|(at, event)| write_note(tx, *at, event))
            };
            if let Err(error) = self.registry.meta.write_lazily(write).await {
                noted.extend(rest);
                let lost = self.registry.notes.put_back(noted);
                let lost = u64::try_from(lost).unwrap_or(u64::MAX);
                self.registry.outbox_counters.lost.add(lost);
                return Err(error);
            }
            noted = rest;
        }
        Ok(())
    }
}

/// Writes an event; nothing if no endpoint listens to its kind any more.
fn write_note(tx: &WriteTx<'_>, at: Millis, event: &NotedEvent) -> Result<(), Error> {
    let place = event
        .repository
        .as_deref()
        .map_or(EventPlace::Whole, EventPlace::Name);
    let subject = || {
        Ok(EventSubject {
            tag: event.tag.as_deref(),
            target: event.target.clone(),
            from_repository: event.from_repository.as_deref(),
            detail: event.detail.as_deref(),
            ..EventSubject::at(place)
        })
    };
    Ok(tx.tell(event.kind, &event.actor, at, subject)?)
}
