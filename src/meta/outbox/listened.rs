//! Kinds of events that some endpoint listens to.

use std::cell::Cell;

use crate::events::EventKinds;

/// Kinds as the writer's thread remembers them, until another process may have changed them.
#[derive(Default)]
pub(in crate::meta) struct Listened(Cell<Option<EventKinds>>);

impl Listened {
    pub fn get(&self) -> Option<EventKinds> {
        self.0.get()
    }

    pub fn set(&self, kinds: EventKinds) {
        self.0.set(Some(kinds));
    }

    pub fn forget(&self) {
        self.0.set(None);
    }
}
