//! Rendering of an event as a request.

use bytes::Bytes;
use http::header::CONTENT_TYPE;
use http::{HeaderMap, HeaderName, HeaderValue};

use super::source::Source;
use super::{chat, cloud_events, distribution, docker_hub, harbor, sentence, signature};
use crate::events::Event;
use crate::webhooks::settings::{Endpoint, Format};

const IDEMPOTENCY_KEY: HeaderName = HeaderName::from_static("idempotency-key");

/// Request that tells an endpoint of an event. Its method is `POST`.
#[derive(Clone, Debug)]
pub struct Rendered {
    /// Type of the body, signatures and id; the endpoint's own headers come on top.
    pub headers: HeaderMap,
    pub body: Bytes,
}

/// Renders an event in the format of an endpoint. All attempts have the same id and the same body.
///
/// # Errors
/// Event of which the format cannot tell, in a sentence.
pub fn render(event: &Event, endpoint: &Endpoint, source: &Source) -> Result<Rendered, String> {
    let body = match endpoint.format {
        Format::Distribution => distribution::body(event, source),
        Format::CloudEvents => cloud_events::body(event, source),
        Format::Harbor => harbor::body(event, source),
        Format::DockerHub => docker_hub::body(event, source),
        Format::Slack => Some(chat::slack(event, source)),
        Format::Discord => Some(chat::discord(event, source)),
        Format::Teams => Some(chat::teams(event, source)),
        Format::Text => Some(sentence::of(event, source) + "\n"),
    };
    let kind = event.kind.as_str();
    let body = body.ok_or_else(|| format!("this format cannot tell of `{kind}`"))?;
    let mut headers = HeaderMap::new();
    headers.insert(CONTENT_TYPE, content_type(endpoint.format));
    let id = HeaderValue::from_str(&event.uuid);
    headers.insert(
        IDEMPOTENCY_KEY,
        id.map_err(|_| "the event has no valid id".to_owned())?,
    );
    if let Some(key) = &endpoint.hmac {
        signature::sign(&mut headers, endpoint.format, key, body.as_bytes())?;
    }
    Ok(Rendered {
        headers,
        body: body.into(),
    })
}

fn content_type(format: Format) -> HeaderValue {
    HeaderValue::from_static(match format {
        Format::Distribution => distribution::CONTENT_TYPE,
        Format::CloudEvents => cloud_events::CONTENT_TYPE,
        Format::Harbor | Format::DockerHub | Format::Slack | Format::Discord | Format::Teams => {
            "application/json"
        }
        Format::Text => "text/plain; charset=utf-8",
    })
}
