//! Selection of the events that an endpoint is told of.

use crate::events::{Event, EventKind, EventKinds};
use crate::webhooks::settings::{Endpoint, Selection};

impl Endpoint {
    /// Returns the kinds that it listens to.
    pub(crate) fn kinds(&self) -> EventKinds {
        let kinds = EventKind::ALL.into_iter();
        kinds.filter(|kind| self.selection.names(*kind)).collect()
    }

    /// Reports whether it is told of an event.
    pub(crate) fn wants(&self, event: &Event) -> bool {
        if !self.selection.names(event.kind) {
            return false;
        }
        match &self.selection {
            Selection::Distribution {
                ignored_media_types,
                ..
            } => event
                .target
                .as_ref()
                .is_none_or(|target| !ignored_media_types.contains(&target.media_type)),
            Selection::Webhook {
                repositories, tags, ..
            } => {
                let repository = event.repository.as_deref();
                let is_there = repository.is_none_or(|name| {
                    repositories.is_empty() || repositories.iter().any(|glob| glob.matches(name))
                });
                let is_tagged = tags.is_empty()
                    || repository.is_none()
                    || (event.tag.as_deref())
                        .is_some_and(|tag| tags.iter().any(|glob| glob.matches(tag)));
                is_there && is_tagged
            }
        }
    }
}

impl Selection {
    fn names(&self, kind: EventKind) -> bool {
        match self {
            Self::Distribution {
                ignored_actions, ..
            } => kind
                .action()
                .is_some_and(|action| !ignored_actions.iter().any(|name| name == action.as_str())),
            Self::Webhook { topics, .. } => {
                kind.topic().is_some_and(|topic| topics.contains(&topic))
            }
        }
    }
}
