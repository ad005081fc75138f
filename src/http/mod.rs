//! The protocol on the wire: parses a request into one `Action`, runs the operation it asks for, renders the answer.
//!
//! No SQL, no path and no rule of the registry lives here. `action.rs` is the list of everything that can be asked;
//! `error.rs` the one place where a failure becomes a status and JSON; `server.rs` the connections;
//! `refusal.rs` what is said to those who do not speak HTTP well enough to ask for anything.

mod action;
mod answer;
mod blobs;
mod body;
mod content;
mod error;
mod history;
mod lists;
mod manifests;
mod range;
mod refusal;
mod sendfile;
mod server;
mod uploads;

use std::net::IpAddr;
use std::panic::AssertUnwindSafe;

use axum::Router;
use axum::body::Body;
use axum::extract::State;
use futures_util::future::FutureExt;
use http::header::{CACHE_CONTROL, CONNECTION, HeaderValue};
use http::request::Parts;
use http::{Request, Response, StatusCode};

pub use server::{Limits, Server};

use crate::registry::{Actor, Registry};
use action::Action;
use body::TrackedBody;
use error::Failure;
use sendfile::SendSlot;

/// Where a request comes from.
#[derive(Clone, Copy)]
struct Client(IpAddr);

/// On whose behalf a request is made.
fn actor(head: &Parts) -> Actor {
    Actor { name: None, address: head.extensions.get::<Client>().map(|client| client.0.to_canonical().to_string()) }
}

/// The whole application. Its answers under `/v2/` are OCI's, failures included.
fn router(registry: Registry) -> Router {
    Router::new().fallback(serve).with_state(registry)
}

async fn serve(State(registry): State<Registry>, request: Request<Body>) -> Response<Body> {
    let is_v2 = request.uri().path().starts_with("/v2");
    let slot = request.extensions().get::<SendSlot>().cloned().unwrap_or_default();
    let request = request.map(|body| TrackedBody::wrap(body, &slot));
    let answer = match Action::parse(request.method(), request.uri()) {
        Ok(action) => run(registry, action, request).await,
        Err(failure) => Err(failure),
    };
    let mut response = answer.unwrap_or_else(Failure::render);
    if slot.is_unread() {
        // the connection ends here, because nobody reads on to the next request: say so
        response.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
    }
    if is_v2 {
        answer::mark_v2(&mut response);
    }
    response
}

/// Runs an action to its end. One that changes something goes on when its client leaves; one that panics answers 500.
async fn run(registry: Registry, action: Action, request: Request<Body>) -> Result<Response<Body>, Failure> {
    let changes = action.changes_something();
    if changes {
        registry.check_writable()?;
    }
    let work = AssertUnwindSafe(dispatch(registry, action, request)).catch_unwind();
    let outcome = if changes { tokio::spawn(work).await } else { Ok(work.await) };
    match outcome {
        Ok(Ok(answer)) => answer,
        Ok(Err(_)) | Err(_) => {
            tracing::error!("a request's handler panicked");
            Err(Failure::Panicked)
        }
    }
}

async fn dispatch(registry: Registry, action: Action, request: Request<Body>) -> Result<Response<Body>, Failure> {
    let (head, body) = request.into_parts();
    match action {
        Action::Welcome => Ok(answer::empty(StatusCode::OK).header(CACHE_CONTROL, "no-cache").finish()),
        Action::CheckApi => Ok(answer::json(StatusCode::OK, "{}".to_owned())),
        Action::GetManifest { name, reference } => manifests::get(&registry, &name, &reference, &head).await,
        Action::PutManifest { name, reference, tags } => manifests::put(&registry, &name, reference, tags, &head, body).await,
        Action::DeleteManifest { name, reference } => manifests::delete(&registry, &name, &reference, &head).await,
        Action::DeleteRepository { name } => manifests::delete_repository(&registry, &name, &head).await,
        Action::GetBlob { name, digest } => blobs::get(&registry, &name, &digest, &head).await,
        Action::DeleteBlob { name, digest } => blobs::delete(&registry, &name, &digest).await,
        Action::BeginUpload { name, algorithm } => uploads::begin(&registry, &name, algorithm).await,
        Action::PushBlob { name, digest } => uploads::push(&registry, &name, &digest, body).await,
        Action::MountBlob { name, digest, from } => uploads::mount(&registry, &name, &digest, from.as_ref()).await,
        Action::GetUpload { name, id } => uploads::status(&registry, &name, &id),
        Action::AppendUpload { name, id } => uploads::append(&registry, &name, &id, &head, body).await,
        Action::FinishUpload { name, id, digest } => uploads::finish(&registry, &name, &id, &digest, &head, body).await,
        Action::CancelUpload { name, id } => uploads::cancel(&registry, &name, &id).await,
        Action::ListTags { name, page } => lists::tags(&registry, &name, page).await,
        Action::ListReferrers { name, digest, artifact_type, last } => {
            lists::referrers(&registry, &name, &digest, artifact_type, last).await
        }
        Action::TagHistory { name, tag, filter } => history::get(&registry, &name, &tag, filter).await,
        Action::ListRepositories { page } => lists::catalog(&registry, page).await,
        Action::PingV1 => Ok(answer::json(StatusCode::OK, "{}".to_owned())),
        Action::SearchV1 { term, count, page } => lists::search(&registry, term, count, page).await,
    }
}
