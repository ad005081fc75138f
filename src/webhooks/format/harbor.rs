//! Harbor's payload (`src/pkg/notifier/model/event.go`).

use serde_json::{Value, json};

use super::source::{Source, digest, namespace, seconds};
use crate::events::{Event, Topic};

/// Returns the payload of an event; `None` for those that Harbor does not know.
pub(super) fn body(event: &Event, source: &Source) -> Option<String> {
    let kind = match event.kind.topic()? {
        Topic::Push | Topic::Restore => "PUSH_ARTIFACT",
        Topic::Delete | Topic::Expire => "DELETE_ARTIFACT",
        Topic::Pull => "PULL_ARTIFACT",
        Topic::Quota => "QUOTA_EXCEED",
        Topic::Damage | Topic::Backup => return None,
    };
    let full_name = event.repository.as_deref()?;
    let (namespace, name) = namespace(full_name);
    let mut data = json!({
        "repository": {
            "name": name,
            "namespace": namespace,
            "repo_full_name": full_name,
            "repo_type": "private",
        },
    });
    if event.tag.is_some() || event.target.is_some() {
        data["resources"] = json!([resource(event, source)]);
    }
    if let Some(detail) = &event.detail {
        data["custom_attributes"] = json!({ "Details": detail });
    }
    let payload = json!({
        "type": kind,
        "occur_at": seconds(event),
        "operator": event.actor.name.as_deref().unwrap_or("anonymous"),
        "event_data": data,
    });
    Some(payload.to_string())
}

/// The image of the event. Its URL has no scheme, as in Harbor.
fn resource(event: &Event, source: &Source) -> Value {
    json!({
        "digest": digest(event),
        "tag": event.tag.as_deref().or(digest(event)),
        "resource_url": source.image(event),
    })
}
