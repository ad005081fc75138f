//! Selection of the events that an endpoint is told of.

use crate::events::{Action, Event, EventKind, EventKinds};
use crate::webhooks::settings::{Endpoint, Format, Selection};

impl Endpoint {
    /// Returns the kinds that it listens to.
    pub(crate) fn kinds(&self) -> EventKinds {
        let kinds = EventKind::ALL.into_iter();
        kinds.filter(|kind| self.selection.names(*kind)).collect()
    }

    /// Reports whether it is told of an event.
    pub(crate) fn wants(&self, event: &Event) -> bool {
        if !self.selection.names(event.kind) || !self.format.has_words_for(event) {
            return false;
        }
        match &self.selection {
            Selection::Distribution {
                ignored_media_types,
                ..
            } => !ignored_media_types
                .iter()
                .any(|name| name == told_media_type(event)),
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

impl Format {
    /// Reports whether it can tell of this event, whose kind it knows. Docker Hub has no images without a tag.
    fn has_words_for(self, event: &Event) -> bool {
        self != Self::DockerHub || event.tag.is_some()
    }
}

/// Media type as distribution tells it and compares it (`notifications/sinks.go`): what is deleted has none.
fn told_media_type(event: &Event) -> &str {
    let target = event.target.as_ref();
    let target = target.filter(|_| event.kind.action() != Some(Action::Delete));
    target.map_or("", |target| &target.media_type)
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
