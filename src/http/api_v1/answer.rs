//! Answers of `/api/v1`: JSON with an entity tag, and a link to the next page.

use axum::body::Body;
use http::header::{CACHE_CONTROL, CONTENT_TYPE, ETAG, LINK};
use http::request::Parts;
use http::{HeaderValue, Response, StatusCode};
use sha2::{Digest as _, Sha256};

use crate::auth::Access;
use crate::escape;
use crate::http::api::handlers::list_room::ListRoom;
use crate::http::api::request::conditions::precondition;
use crate::http::api_v1::call::ApiCall;
use crate::http::api_v1::lists::Made;
use crate::http::api_v1::seen::viewer;
use crate::http::api_v1::{administration, changes, facts, lists, policies};
use crate::http::response::builder;
use crate::http::response::error::ApiError;
use crate::http::settings::LiveSettings;
use crate::oci::{Algorithm, Digest};
use crate::registry::Registry;
use crate::report::Selection;

/// Description of this API; tests make it of the table of endpoints and of the documentation.
const DOCUMENT: &str = include_str!("../../../docs/openapi.json");

/// Answers a call, once there is room for its answer.
pub(crate) async fn answer(
    registry: &Registry,
    access: &Access,
    (room, settings): (&ListRoom, &LiveSettings),
    call: &ApiCall,
    head: &Parts,
    body: Body,
) -> Result<Response<Body>, ApiError> {
    if call.endpoint().is_change() {
        let done = changes::run(registry, access, &settings.get(), call, head, body).await?;
        let text = escape::json(&done.to_string()).into_owned();
        let mut answer = builder::json(StatusCode::OK, text);
        let no_store = HeaderValue::from_static("no-store");
        answer.headers_mut().insert(CACHE_CONTROL, no_store);
        return Ok(answer);
    }
    if let ApiCall::Document = call {
        return Ok(builder::json(StatusCode::OK, DOCUMENT.to_owned()));
    }
    let rules = policies::rules(registry, &settings.get(), call, head, body).await?;
    let make = || async {
        let made = match call {
            ApiCall::Policies { name, list, .. } => {
                let (viewer, name) = (viewer(head), name.as_ref());
                policies::decisions(registry, &viewer, rules.as_ref(), name, list).await?
            }
            _ => make(registry, access, call, head).await?,
        };
        Ok(rendered(call, &made, head))
    };
    room.answer(head, make).await
}

async fn make(
    registry: &Registry,
    access: &Access,
    call: &ApiCall,
    head: &Parts,
) -> Result<Made, ApiError> {
    let viewer = &viewer(head);
    match call {
        ApiCall::Repositories(list) => lists::repositories(registry, viewer, list).await,
        ApiCall::Tags(list) => lists::tags(registry, viewer, list).await,
        ApiCall::TagsOf { name, list } => lists::tags_of(registry, name, list).await,
        ApiCall::Untagged(list) => lists::untagged(registry, viewer, list).await,
        ApiCall::Manifest { name, reference } => facts::manifest(registry, name, reference).await,
        ApiCall::Content { name, reference } => facts::content(registry, name, reference).await,
        ApiCall::History { name, tag, last } => {
            facts::history(registry, viewer, (name, tag), last.as_deref()).await
        }
        ApiCall::Usage(list) => lists::usage(registry, viewer, list).await,
        ApiCall::UsageOf { name, list } => lists::usage_of(registry, viewer, name, list).await,
        ApiCall::Growth(parameters) => facts::growth(registry, viewer, parameters).await,
        ApiCall::Why { digest } => facts::why(registry, viewer, digest).await,
        ApiCall::Trash(page) => lists::trash(registry, viewer, page).await,
        ApiCall::Audit(parameters) => administration::audit(registry, viewer, parameters).await,
        ApiCall::Tokens(parameters) => administration::tokens(registry, access, parameters).await,
        ApiCall::Webhooks => administration::webhooks(registry).await,
        ApiCall::Deliveries(parameters) => administration::deliveries(registry, parameters).await,
        ApiCall::Upstreams => administration::upstreams(registry).await,
        ApiCall::Quotas => administration::quotas(registry).await,
        ApiCall::Deletion { name, reference } => {
            let selection = Selection::of(registry, name, reference).await?;
            facts::deletion(registry, viewer, selection).await
        }
        ApiCall::Selection { name, tags } => {
            let selection = Selection::within(registry, name, tags.as_ref()).await?;
            facts::deletion(registry, viewer, selection).await
        }
        ApiCall::Digests { name, prefix } => facts::digests(registry, name, prefix).await,
        // answered elsewhere
        ApiCall::Policies { .. }
        | ApiCall::Delete { .. }
        | ApiCall::DeleteAll { .. }
        | ApiCall::RestoreAll { .. }
        | ApiCall::Restore { .. }
        | ApiCall::Promote { .. }
        | ApiCall::Keep { .. }
        | ApiCall::TokenCreate
        | ApiCall::TokenRotate { .. }
        | ApiCall::TokenRevoke { .. }
        | ApiCall::Resend { .. }
        | ApiCall::Document => Err(ApiError::UnknownPath),
    }
}

/// Renders a report; a client that has it already gets 304.
fn rendered(call: &ApiCall, made: &Made, head: &Parts) -> Response<String> {
    let text = escape::json(&made.body.to_string()).into_owned();
    let tag = Digest::from_hash(Algorithm::Sha256, &Sha256::digest(text.as_bytes()));
    let is_known = precondition(&head.headers).excludes(Some(&tag));
    let status = match is_known {
        true => StatusCode::NOT_MODIFIED,
        false => StatusCode::OK,
    };
    let mut answer = builder::empty(status)
        .header(ETAG, format!("\"{tag}\""))
        // what it shows depends on who asks
        .header(CACHE_CONTROL, "private, no-cache");
    if let Some(last) = &made.next {
        answer = answer.header(LINK, next_page(call, head, last));
    }
    match is_known {
        true => answer.finish().map(|_| String::new()),
        false => answer.header(CONTENT_TYPE, "application/json").text(text),
    }
}

/// Returns the link to the page after `last`, with the other parameters of the request.
fn next_page(call: &ApiCall, head: &Parts, last: &str) -> String {
    let query = head.uri.query().unwrap_or_default();
    let kept = form_urlencoded::parse(query.as_bytes()).filter(|(key, _)| key != "last");
    let mut query = form_urlencoded::Serializer::new(String::new());
    query.extend_pairs(kept).append_pair("last", last);
    format!("<{}?{}>; rel=\"next\"", call.path(), query.finish())
}
