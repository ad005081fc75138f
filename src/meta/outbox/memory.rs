//! Memory that the writer's thread has of the outbox.

use std::cell::Cell;

use crate::events::EventKinds;

/// Kinds that some endpoint listens to, until another process may have changed them; and whether there are new events.
#[derive(Default)]
pub(in crate::meta) struct OutboxMemory {
    listened: Cell<Option<EventKinds>>,
    has_told: Cell<bool>,
}

impl OutboxMemory {
    pub fn listened(&self) -> Option<EventKinds> {
        self.listened.get()
    }

    pub fn set_listened(&self, kinds: EventKinds) {
        self.listened.set(Some(kinds));
    }

    pub fn forget(&self) {
        self.listened.set(None);
    }

    /// Notes that the transaction has added an event.
    pub fn note_told(&self) {
        self.has_told.set(true);
    }

    /// Reports whether an event was added since the last call.
    pub fn take_told(&self) -> bool {
        self.has_told.take()
    }
}
