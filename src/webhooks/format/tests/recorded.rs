//! Envelopes that Debian's `docker-registry` 2.8.2 sent, rendered again from what they say, byte for byte.

use serde_json::Value;

use super::events::{endpoint, push, source};
use crate::events::{Descriptor, Event, EventActor, EventKind, EventRequest};
use crate::webhooks::format::render;
use crate::webhooks::settings::Format;

#[test]
fn recorded_envelopes_are_rendered_byte_for_byte() {
    for (kind, recorded) in [
        (
            EventKind::BlobPushed,
            include_str!("recorded/blob_push.json"),
        ),
        (EventKind::BlobMounted, include_str!("recorded/mount.json")),
        (
            EventKind::BlobDeleted,
            include_str!("recorded/blob_delete.json"),
        ),
        (EventKind::TagMoved, include_str!("recorded/tag_push.json")),
        (
            EventKind::ManifestChecked,
            include_str!("recorded/tag_head.json"),
        ),
        (
            EventKind::ManifestDeleted,
            include_str!("recorded/manifest_delete.json"),
        ),
        (
            EventKind::TagDeleted,
            include_str!("recorded/tag_delete.json"),
        ),
    ] {
        let event = event(
            kind,
            &serde_json::from_str::<Value>(recorded).unwrap()["events"][0],
        );
        let rendered = render(&event, &endpoint(Format::Distribution, None), &source()).unwrap();
        assert_eq!(
            String::from_utf8_lossy(&rendered.body),
            recorded,
            "{kind:?}"
        );
        assert_eq!(
            rendered.headers["content-type"],
            "application/vnd.docker.distribution.events.v1+json"
        );
    }
}

/// Deleted content has a size and a type here, which distribution does not tell.
fn event(kind: EventKind, record: &Value) -> Event {
    let text = |value: &Value| value.as_str().map(str::to_owned);
    let (target, request) = (&record["target"], &record["request"]);
    let described = push().target.unwrap();
    let time: jiff::Timestamp = record["timestamp"].as_str().unwrap().parse().unwrap();
    Event {
        id: 1,
        uuid: text(&record["id"]).unwrap(),
        at: time.as_millisecond(),
        kind,
        repository: text(&target["repository"]),
        tag: text(&target["tag"]),
        target: Some(Descriptor {
            media_type: text(&target["mediaType"]).unwrap_or(described.media_type),
            digest: text(&target["digest"]).unwrap_or(described.digest),
            size: target["size"].as_u64().unwrap_or(described.size),
        }),
        former: None,
        from_repository: text(&target["fromRepository"]),
        references: serde_json::from_value(target["references"].clone()).unwrap_or_default(),
        actor: EventActor {
            name: None,
            address: None,
            user_agent: text(&request["useragent"]),
        },
        request: Some(EventRequest {
            id: text(&request["id"]).unwrap(),
            method: text(&request["method"]).unwrap(),
            peer: text(&request["addr"]),
            base: format!("http://{}", request["host"].as_str().unwrap()),
        }),
        detail: None,
    }
}

/// Go's `omitempty` leaves out the name of nobody, and nothing of a request that was none.
#[test]
fn events_without_a_request_have_the_shape_of_others() {
    let event = Event {
        request: None,
        ..push()
    };
    let source = crate::webhooks::format::Source {
        base: Some("https://registry.example.com".to_owned()),
        ..source()
    };
    let rendered = render(&event, &endpoint(Format::Distribution, None), &source).unwrap();
    let json: Value = serde_json::from_slice(&rendered.body).unwrap();
    let record = &json["events"][0];
    assert_eq!(
        record["request"],
        serde_json::json!({ "id": "", "host": "registry.example.com", "method": "", "useragent": "" })
    );
    let url = record["target"]["url"].as_str().unwrap();
    assert!(
        url.starts_with("https://registry.example.com/v2/team/app/manifests/sha256:"),
        "{url}"
    );
    assert_eq!(record["actor"]["name"], "alice");
}
