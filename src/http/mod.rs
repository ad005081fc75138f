//! The protocol on the wire: parses a request into one `Action`, runs the operation it asks for, renders the answer.
//!
//! No SQL, no path and no rule of the registry lives here. `action.rs` is the list of everything that can be asked, `route.rs` reads a request as one of it;
//! `access.rs` says what each of it takes; `error.rs` the one place where a failure becomes a status and JSON; `server.rs` the connections;
//! `refusal.rs` what is said to those who do not speak HTTP well enough to ask for anything.

mod access;
mod access_log;
mod action;
mod allowance;
mod answer;
mod blobs;
mod body;
mod client;
mod content;
mod crowd;
mod debug;
mod error;
mod exposition;
mod failed;
mod head;
mod history;
mod listener;
mod lists;
mod manifests;
mod metrics;
mod observe;
mod paced;
mod probes;
mod protocol;
mod query;
mod range;
mod refusal;
mod remarks;
mod route;
mod sendfile;
mod server;
mod settings;
mod site;
mod stream;
mod uploads;
mod watch;

use std::borrow::Cow;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use axum::extract::State;
use futures_util::future::FutureExt;
use http::header::{ALLOW, CACHE_CONTROL, CONNECTION, HeaderValue};
use http::request::Parts;
use http::{Request, Response, StatusCode, Version};
use percent_encoding::percent_decode_str;

pub use access_log::AccessLog;
pub use client::TrustedProxies;
pub use debug::DebugServer;
pub use listener::Address;
pub use server::{Live, Server};
pub use settings::{Limits, Settings};
pub use site::{Base, ExtraHeaders, Locations, Prefix, Site};
pub use watch::{Monitoring, Reloads, Watch};

use crate::auth::{Access, Identity};
use crate::registry::{Actor, Registry};
use action::{Action, Handler};
use body::TrackedBody;
use client::Client;
use error::Failure;
use failed::Failed;
use sendfile::SendSlot;

/// What handlers need; shared, for every request has one, and every connection room for it.
struct App {
    registry: Registry,
    access: Access,
    settings: Live,
    watch: Watch,
    failed: Failed,
}

/// On whose behalf a request is made.
fn actor(head: &Parts) -> Actor {
    let address = head
        .extensions
        .get::<Client>()
        .and_then(|client| client.address);
    let name = head
        .extensions
        .get::<Identity>()
        .and_then(Identity::name)
        .map(str::to_owned);
    Actor {
        name,
        address: address.map(|address| address.to_string()),
    }
}

/// The whole application. Its answers under `/v2/` are OCI's, failures included.
fn router(app: App) -> Router {
    Router::new().fallback(serve).with_state(Arc::new(app))
}

/// Answers a request, seen from outside: below the prefix, with locations that the client can follow.
async fn serve(State(app): State<Arc<App>>, request: Request<Body>) -> Response<Body> {
    let settings = app.settings.look();
    let base = settings.site.base(
        request.uri(),
        request.headers(),
        request.extensions().get::<Client>(),
    );
    // an orchestrator need not know of a prefix
    let probe = || probes::is_probe(request.uri().path()).then_some(Cow::Borrowed(request.uri()));
    let inner = settings.site.prefix().strip(request.uri()).or_else(probe);
    // as routes are read
    let path = inner
        .as_ref()
        .map(|uri| percent_decode_str(uri.path()).decode_utf8_lossy());
    let is_v2 = path.as_ref().is_some_and(|path| path.starts_with("/v2"));
    let known = head::check(&request).and_then(|()| inner.as_ref().ok_or(Failure::UnknownPath));
    let action = known.and_then(|uri| Action::parse(request.method(), uri));
    let handler = match &action {
        Ok(action) => action.handler(),
        Err(_) => path
            .as_ref()
            .map_or(Handler::Other, |path| Handler::of_path(path)),
    };
    let client = request
        .extensions()
        .get::<Client>()
        .and_then(|client| client.address);
    let mut observation = app.watch.observer.begin(handler, &request, client);
    // as in distribution, but for the probes: whatever else is asked for, understood or not
    let is_for_all = matches!(
        action,
        Ok(Action::Welcome | Action::Live | Action::Ready { .. })
    );
    let action = if is_for_all || app.watch.health.is_well() {
        action
    } else {
        Err(Failure::Unhealthy)
    };
    let patience = settings.limits.idle_timeout;
    drop(settings);

    let (method, uri) = (request.method().clone(), request.uri().clone());
    let is_http1 = request.version() < Version::HTTP_2;
    let slot = request
        .extensions()
        .get::<SendSlot>()
        .cloned()
        .unwrap_or_default();
    let mut request =
        request.map(|body| observation.receive(TrackedBody::wrap(body, &slot, patience)));
    let action = match action {
        Ok(action) => access::admit(&app.access, action, &mut request).await,
        Err(failure) => Err(failure),
    };
    if let Some(user) = request
        .extensions()
        .get::<Identity>()
        .and_then(Identity::name)
    {
        observation.set_user(user);
    }
    let answer = match action {
        Ok(action) => run(&app, action, request).await,
        Err(failure) => Err(failure),
    };
    let mut response = answer.unwrap_or_else(Failure::render);
    app.failed.tell(client, &method, &uri, &response);
    if slot.is_unread() && is_http1 {
        // the connection ends here, because nobody reads on to the next request: say so
        response
            .headers_mut()
            .insert(CONNECTION, HeaderValue::from_static("close"));
    }
    if is_v2 {
        answer::mark_v2(&mut response);
    }
    site::relocate(response.headers_mut(), &base);
    app.settings
        .look()
        .site
        .headers()
        .add_to(response.headers_mut());
    observation.answer(response)
}

/// Runs an action to its end. One that changes something goes on when its client leaves; one that panics answers 500.
async fn run(
    app: &Arc<App>,
    action: Action,
    request: Request<Body>,
) -> Result<Response<Body>, Failure> {
    let changes = action.changes_something();
    if changes {
        app.registry.check_writable()?;
    }
    let work = AssertUnwindSafe(dispatch(Arc::clone(app), action, request)).catch_unwind();
    let outcome = if changes {
        tokio::spawn(work).await
    } else {
        Ok(work.await)
    };
    match outcome {
        Ok(Ok(answer)) => answer,
        Ok(Err(_)) | Err(_) => {
            tracing::error!("a request's handler panicked");
            Err(Failure::Panicked)
        }
    }
}

async fn dispatch(
    app: Arc<App>,
    action: Action,
    request: Request<Body>,
) -> Result<Response<Body>, Failure> {
    let App {
        registry, watch, ..
    } = &*app;
    let (head, body) = request.into_parts();
    match action {
        Action::Welcome => Ok(answer::empty(StatusCode::OK)
            .header(CACHE_CONTROL, "no-cache")
            .finish()),
        Action::TellMethods { allowed } => Ok(answer::empty(StatusCode::OK)
            .header(ALLOW, allowed)
            .finish()),
        Action::Redirect { to } => Ok(answer::empty(StatusCode::MOVED_PERMANENTLY)
            .location(to)
            .finish()),
        Action::Live => Ok(probes::live()),
        Action::Ready(asked) => Ok(Box::pin(watch.readiness.answer(&asked)).await),
        Action::CheckApi => Ok(answer::json(StatusCode::OK, "{}".to_owned())),
        Action::GetManifest { name, reference } => {
            manifests::get(registry, &name, &reference, &head).await
        }
        Action::PutManifest {
            name,
            reference,
            tags,
        } => manifests::put(registry, &name, reference, tags, &head, body).await,
        Action::DeleteManifest { name, reference } => {
            manifests::delete(registry, &name, &reference, &head).await
        }
        Action::DeleteRepository { name } => {
            manifests::delete_repository(registry, &name, &head).await
        }
        Action::GetBlob { name, digest } => blobs::get(registry, &name, &digest, &head).await,
        Action::DeleteBlob { name, digest } => blobs::delete(registry, &name, &digest).await,
        Action::BeginUpload { name, algorithm } => uploads::begin(registry, &name, algorithm).await,
        Action::PushBlob { name, digest } => uploads::push(registry, &name, &digest, body).await,
        Action::MountBlob { name, digest, from } => {
            uploads::mount(registry, &name, &digest, from.as_ref()).await
        }
        Action::GetUpload { name, id } => uploads::status(registry, &name, &id).await,
        Action::AppendUpload { name, id } => {
            uploads::append(registry, &name, &id, &head, body).await
        }
        Action::FinishUpload { name, id, digest } => {
            uploads::finish(registry, &name, &id, &digest, &head, body).await
        }
        Action::CancelUpload { name, id } => uploads::cancel(registry, &name, &id).await,
        Action::ListTags { name, page } => lists::tags(registry, &name, page).await,
        Action::ListReferrers {
            name,
            digest,
            artifact_type,
            last,
        } => lists::referrers(registry, &name, &digest, artifact_type, last).await,
        Action::TagHistory { name, tag, filter } => {
            history::get(registry, &name, &tag, filter).await
        }
        Action::ListRepositories { page } => lists::catalog(registry, page).await,
        Action::PingV1 => Ok(answer::json(StatusCode::OK, "{}".to_owned())),
        Action::SearchV1 { term, count, page } => lists::search(registry, term, count, page).await,
    }
}
