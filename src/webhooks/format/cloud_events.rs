//! CloudEvents 1.0 in structured mode: `application/cloudevents+json`.
//!
//! Argo CD Image Updater takes every event whose type contains `image` for a push, so that only pushes and restored tags
//! have such a type.

use serde::Serialize;

use super::source::{Source, digest, time};
use crate::events::{Event, EventKind};

pub(super) const CONTENT_TYPE: &str = "application/cloudevents+json";

#[derive(Serialize)]
struct CloudEvent<'e> {
    specversion: &'static str,
    id: &'e str,
    source: String,
    r#type: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    subject: Option<String>,
    time: String,
    datacontenttype: &'static str,
    data: Data<'e>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Data<'e> {
    #[serde(skip_serializing_if = "str::is_empty")]
    registry: &'e str,
    #[serde(skip_serializing_if = "Option::is_none")]
    repository: Option<&'e str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    tag: Option<&'e str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    digest: Option<&'e str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    former_digest: Option<&'e str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    media_type: Option<&'e str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    size: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    actor: Option<&'e str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    detail: Option<&'e str>,
}

/// Returns the document of an event; `None` for those of which no webhook is told.
pub(super) fn body(event: &Event, source: &Source) -> Option<String> {
    let target = event.target.as_ref();
    let document = CloudEvent {
        specversion: "1.0",
        id: &event.uuid,
        // a reference to a URI, which must not be empty
        source: source.base(event).unwrap_or("tarkeep").to_owned(),
        r#type: type_of(event.kind)?,
        subject: subject(event),
        time: time(event),
        datacontenttype: "application/json",
        data: Data {
            registry: source.host(event),
            repository: event.repository.as_deref(),
            tag: event.tag.as_deref(),
            digest: digest(event),
            former_digest: event.former.as_deref(),
            media_type: target.map(|target| target.media_type.as_str()),
            size: target.map(|target| target.size),
            actor: event.actor.name.as_deref(),
            detail: event.detail.as_deref(),
        },
    };
    serde_json::to_string(&document).ok()
}

fn subject(event: &Event) -> Option<String> {
    let repository = event.repository.as_ref()?;
    Some(match (&event.tag, digest(event)) {
        (Some(tag), _) => format!("{repository}:{tag}"),
        (None, Some(digest)) => format!("{repository}@{digest}"),
        (None, None) => repository.clone(),
    })
}

fn type_of(kind: EventKind) -> Option<&'static str> {
    Some(match kind {
        EventKind::TagMoved => "tarkeep.image.pushed",
        EventKind::TagRestored => "tarkeep.image.restored",
        EventKind::ManifestRestored => "tarkeep.manifest.restored",
        EventKind::TagDeleted => "tarkeep.tag.deleted",
        EventKind::UntaggedDeleted => "tarkeep.manifest.deleted",
        EventKind::TagExpired => "tarkeep.tag.expired",
        EventKind::ManifestPulled => "tarkeep.manifest.pulled",
        EventKind::QuotaExceeded => "tarkeep.quota.exceeded",
        EventKind::DamageFound => "tarkeep.damage.found",
        EventKind::BackupFailed => "tarkeep.backup.failed",
        EventKind::ManifestPushed
        | EventKind::ManifestChecked
        | EventKind::ManifestDeleted
        | EventKind::BlobPushed
        | EventKind::BlobMounted
        | EventKind::BlobPulled
        | EventKind::BlobChecked
        | EventKind::BlobDeleted => return None,
    })
}
