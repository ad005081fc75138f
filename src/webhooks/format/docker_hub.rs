//! Docker Hub's payload (docs.docker.com, "Docker Hub webhooks"), which tells of pushed tags alone.

use serde_json::json;

use super::source::{Source, namespace, seconds};
use crate::events::{Event, Topic};

/// Returns the payload of an event; `None` for those that Docker Hub does not know.
pub(super) fn body(event: &Event, source: &Source) -> Option<String> {
    if !matches!(event.kind.topic()?, Topic::Push | Topic::Restore) {
        return None;
    }
    let (repository, tag) = (event.repository.as_deref()?, event.tag.as_deref()?);
    let (namespace, name) = namespace(repository);
    let pusher = event.actor.name.as_deref().unwrap_or("anonymous");
    let base = source.base(event).unwrap_or_default();
    let payload = json!({
        // receivers that report back do so only if it is not empty
        "callback_url": "",
        "push_data": {
            "pushed_at": seconds(event),
            "pusher": pusher,
            "tag": tag,
            "images": [],
        },
        "repository": {
            "comment_count": 0,
            "date_created": 0,
            "description": "",
            "dockerfile": "",
            "full_description": "",
            "is_official": false,
            "is_private": true,
            "is_trusted": false,
            "name": name,
            "namespace": namespace,
            "owner": namespace,
            // the name that is pulled, with the host of the registry: Hub's own has none
            "repo_name": image_name(event, source, repository),
            "repo_url": format!("{base}/{repository}"),
            "star_count": 0,
            "status": "Active",
        },
    });
    Some(payload.to_string())
}

fn image_name(event: &Event, source: &Source, repository: &str) -> String {
    match source.host(event) {
        "" => repository.to_owned(),
        host => format!("{host}/{repository}"),
    }
}
