//! Events: what happened to content, as endpoints outside are told of it.

mod event;
mod kind;

pub use event::{Descriptor, Event, EventActor, EventRequest, Reference};
pub use kind::{Action, EventKind, EventKinds, Topic};
