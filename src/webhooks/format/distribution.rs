//! The envelope of distribution 2.8 (`notifications/event.go`), byte for byte.

use serde::Serialize;
use serde_json::ser::{PrettyFormatter, Serializer};

use super::source::{Source, time};
use crate::events::{Event, EventKind, Reference};

pub(super) const CONTENT_TYPE: &str = "application/vnd.docker.distribution.events.v1+json";

#[derive(Serialize)]
struct Envelope<'e> {
    events: [Record<'e>; 1],
}

#[derive(Serialize)]
struct Record<'e> {
    id: &'e str,
    timestamp: String,
    action: &'static str,
    target: Target<'e>,
    request: Request<'e>,
    actor: Actor<'e>,
    source: Origin<'e>,
}

#[derive(Default, Serialize)]
#[serde(rename_all = "camelCase")]
struct Target<'e> {
    #[serde(skip_serializing_if = "str::is_empty")]
    media_type: &'e str,
    #[serde(skip_serializing_if = "is_zero")]
    size: u64,
    #[serde(skip_serializing_if = "str::is_empty")]
    digest: &'e str,
    #[serde(skip_serializing_if = "is_zero")]
    length: u64,
    repository: &'e str,
    #[serde(skip_serializing_if = "Option::is_none")]
    from_repository: Option<&'e str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    url: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    tag: Option<&'e str>,
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    references: &'e [Reference],
}

#[derive(Default, Serialize)]
struct Request<'e> {
    id: &'e str,
    #[serde(skip_serializing_if = "str::is_empty")]
    addr: &'e str,
    #[serde(skip_serializing_if = "str::is_empty")]
    host: &'e str,
    method: &'e str,
    useragent: &'e str,
}

#[derive(Serialize)]
struct Actor<'e> {
    #[serde(skip_serializing_if = "Option::is_none")]
    name: Option<&'e str>,
}

#[derive(Serialize)]
struct Origin<'e> {
    #[serde(skip_serializing_if = "str::is_empty")]
    addr: &'e str,
    #[serde(rename = "instanceID")]
    instance_id: &'e str,
}

/// Returns the envelope of an event; `None` for those of which distribution does not tell.
pub(super) fn body(event: &Event, source: &Source) -> Option<String> {
    let record = Record {
        id: &event.uuid,
        timestamp: time(event),
        action: event.kind.action()?.as_str(),
        target: target(event, source)?,
        request: request(event, source),
        actor: Actor {
            name: event.actor.name.as_deref(),
        },
        source: Origin {
            addr: &source.address,
            instance_id: &source.instance,
        },
    };
    let envelope = Envelope { events: [record] };
    let mut text = Vec::new();
    let formatter = PrettyFormatter::with_indent(b"   ");
    let mut serializer = Serializer::with_formatter(&mut text, formatter);
    envelope.serialize(&mut serializer).ok()?;
    String::from_utf8(text).ok().map(|text| escape(&text))
}

/// Target of an event. Of deleted content distribution tells the digest or the tag alone.
fn target<'e>(event: &'e Event, source: &Source) -> Option<Target<'e>> {
    let repository = event.repository.as_deref()?;
    let target = event.target.as_ref();
    let kind = match event.kind {
        EventKind::TagDeleted | EventKind::TagExpired => {
            return Some(Target {
                repository,
                tag: event.tag.as_deref(),
                ..Target::default()
            });
        }
        EventKind::ManifestDeleted | EventKind::UntaggedDeleted | EventKind::BlobDeleted => {
            return Some(Target {
                digest: &target?.digest,
                repository,
                ..Target::default()
            });
        }
        EventKind::BlobPushed
        | EventKind::BlobMounted
        | EventKind::BlobPulled
        | EventKind::BlobChecked => "blobs",
        _ => "manifests",
    };
    let target = target?;
    let url = |base| format!("{base}/v2/{repository}/{kind}/{}", target.digest);
    Some(Target {
        media_type: &target.media_type,
        size: target.size,
        digest: &target.digest,
        length: target.size,
        repository,
        from_repository: event.from_repository.as_deref(),
        url: source.base(event).map(url),
        tag: event.tag.as_deref(),
        references: &event.references,
    })
}

fn request<'e>(event: &'e Event, source: &'e Source) -> Request<'e> {
    let host = source.host(event);
    let Some(request) = &event.request else {
        return Request {
            host,
            ..Request::default()
        };
    };
    Request {
        id: &request.id,
        addr: request.peer.as_deref().unwrap_or_default(),
        host,
        method: &request.method,
        useragent: event.actor.user_agent.as_deref().unwrap_or_default(),
    }
}

/// Escapes what Go's `encoding/json` escapes and serde_json does not. Outside of strings none of it occurs.
fn escape(json: &str) -> String {
    let mut text = String::with_capacity(json.len());
    for c in json.chars() {
        match c {
            '<' => text.push_str("\\u003c"),
            '>' => text.push_str("\\u003e"),
            '&' => text.push_str("\\u0026"),
            '\u{2028}' => text.push_str("\\u2028"),
            '\u{2029}' => text.push_str("\\u2029"),
            c => text.push(c),
        }
    }
    text
}

fn is_zero(number: &u64) -> bool {
    *number == 0
}
