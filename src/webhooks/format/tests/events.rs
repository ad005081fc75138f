//! Events and endpoints of these tests.

use std::time::Duration;

use http::HeaderMap;
use serde_json::Value;

use crate::events::{Descriptor, Event, EventActor, EventKind, EventRequest};
use crate::webhooks::format::{Rendered, Source, render};
use crate::webhooks::settings::{Endpoint, Format, Retry, Secret, Selection};

pub(super) const DIGEST: &str =
    "sha256:6f3029b24adcb1b4c42588e0b8f781468796769d0667658a03a6506f58449956";
pub(super) const FORMER: &str =
    "sha256:28f8e7195f75d4b065b0135f40077d63c68e974a8204fa8d1e16ecae021f5e69";
pub(super) const UUID: &str = "8db3652b-b9c2-4656-a6b8-8192c7b02788";

/// A tag that a client moved.
pub(super) fn push() -> Event {
    Event {
        id: 7,
        uuid: UUID.to_owned(),
        at: 1_795_886_114_020,
        kind: EventKind::TagMoved,
        repository: Some("team/app".to_owned()),
        tag: Some("v1.2".to_owned()),
        target: Some(Descriptor {
            media_type: "application/vnd.oci.image.manifest.v1+json".to_owned(),
            digest: DIGEST.to_owned(),
            size: 447,
        }),
        former: Some(FORMER.to_owned()),
        from_repository: None,
        references: Vec::new(),
        actor: EventActor {
            name: Some("alice".to_owned()),
            address: Some("192.0.2.7".to_owned()),
            user_agent: Some("docker/29.0".to_owned()),
        },
        request: Some(EventRequest {
            id: "2a56bea9-143a-4a22-8526-1ba8906b2fa5".to_owned(),
            method: "PUT".to_owned(),
            peer: Some("192.0.2.7:37056".to_owned()),
            base: "https://registry.example.com:5443/sub".to_owned(),
        }),
        detail: None,
    }
}

pub(super) fn source() -> Source {
    Source {
        instance: "72d7934a-184d-4128-9e58-f186a32324fd".to_owned(),
        address: "vm:5978".to_owned(),
        base: None,
    }
}

pub(super) fn endpoint(format: Format, key: Option<&str>) -> Endpoint {
    Endpoint {
        is_link_local: false,
        name: "test".to_owned(),
        url: "https://receiver.example.com/hook".parse().unwrap(),
        format,
        headers: HeaderMap::new(),
        hmac: key.map(|key| Secret::new(key.into())),
        authority: None,
        timeout: Duration::from_secs(1),
        retry: Retry {
            threshold: 1,
            backoff: Duration::from_secs(1),
        },
        selection: Selection::Webhook {
            topics: Vec::new(),
            repositories: Vec::new(),
            tags: Vec::new(),
        },
        includes_references: false,
        collapse: Duration::ZERO,
    }
}

pub(super) fn rendered(format: Format, event: &Event) -> Rendered {
    render(event, &endpoint(format, Some("key")), &source()).unwrap()
}

pub(super) fn json(rendered: &Rendered) -> Value {
    serde_json::from_slice(&rendered.body).unwrap()
}

pub(super) fn header<'r>(rendered: &'r Rendered, name: &str) -> &'r str {
    let value = rendered.headers.get(name);
    value.map_or("", |value| value.to_str().unwrap())
}
