//! Events about pulls and refusals, which change nothing.

use http::request::Parts;

use crate::events::{Descriptor, EventKind};
use crate::http::api::request::actor::actor;
use crate::oci::{RepositoryName, TagName};
use crate::registry::{NotedEvent, Registry};

/// Notes a pull, if an endpoint listens to its kind.
pub(super) fn note_pull(
    registry: &Registry,
    repository: &RepositoryName,
    kind: EventKind,
    target: impl FnOnce() -> Descriptor,
    tag: Option<&TagName>,
    head: &Parts,
) {
    let outbox = registry.outbox();
    if outbox.is_listened(kind) {
        outbox.note(NotedEvent {
            tag: tag.map(|tag| tag.as_str().to_owned()),
            target: Some(target()),
            ..NotedEvent::about(kind, repository, actor(head))
        });
    }
}
