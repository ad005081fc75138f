//! The application: takes a request through parsing, authorization, its handler and the log.

use std::borrow::Cow;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use axum::extract::State;
use futures_util::future::FutureExt;
use http::header::{ALLOW, CACHE_CONTROL, CONNECTION, HeaderValue};
use http::{Request, Response, StatusCode, Version};
use percent_encoding::percent_decode_str;

use crate::auth::{Access, Identity};
use crate::http::api::action::Action;
use crate::http::api::{authorize, blobs, lists, manifests, tag_history, uploads, validate};
use crate::http::connection::bodies::RequestBody;
use crate::http::connection::sendfile::ConnectionState;
use crate::http::endpoint::{self, Endpoint};
use crate::http::observe::error_log::ErrorLog;
use crate::http::observe::monitoring::Monitor;
use crate::http::observe::probes;
use crate::http::proxy::base_url;
use crate::http::proxy::client::Client;
use crate::http::response::builder;
use crate::http::response::error::ApiError;
use crate::http::settings::LiveSettings;
use crate::registry::Registry;

/// What handlers need; shared, for every request has one, and every connection room for it.
pub(crate) struct App {
    pub registry: Registry,
    pub access: Access,
    pub settings: LiveSettings,
    pub monitor: Monitor,
    pub error_log: ErrorLog,
}

/// The whole application. Its answers under `/v2/` are OCI's, failures included.
pub(crate) fn router(app: App) -> Router {
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
    let probe = || endpoint::is_probe(request.uri().path()).then_some(Cow::Borrowed(request.uri()));
    let inner = settings.site.prefix().strip(request.uri()).or_else(probe);
    // as routes are read
    let path = inner
        .as_ref()
        .map(|uri| percent_decode_str(uri.path()).decode_utf8_lossy());
    let is_v2 = path.as_ref().is_some_and(|path| path.starts_with("/v2"));
    let known =
        validate::check(&request).and_then(|()| inner.as_ref().ok_or(ApiError::UnknownPath));
    let action = known.and_then(|uri| Action::parse(request.method(), uri));
    let endpoint = match &action {
        Ok(action) => action.endpoint(),
        Err(_) => path
            .as_ref()
            .map_or(Endpoint::Other, |path| Endpoint::of_path(path)),
    };
    let client = request
        .extensions()
        .get::<Client>()
        .and_then(|client| client.address);
    let mut observation = app.monitor.observer.begin(endpoint, &request, client);
    // as in distribution, but for the probes: whatever else is asked for, understood or not
    let is_for_all = matches!(
        action,
        Ok(Action::Root | Action::Live | Action::Ready { .. })
    );
    let action = if is_for_all || app.monitor.health.is_well() {
        action
    } else {
        Err(ApiError::Unhealthy)
    };
    let patience = settings.limits.idle_timeout;
    drop(settings);

    let (method, uri) = (request.method().clone(), request.uri().clone());
    let is_http1 = request.version() < Version::HTTP_2;
    let state = request
        .extensions()
        .get::<ConnectionState>()
        .cloned()
        .unwrap_or_default();
    let mut request =
        request.map(|body| observation.receive(RequestBody::wrap(body, &state, patience)));
    let action = match action {
        Ok(action) => authorize::admit(&app.access, action, &mut request).await,
        Err(error) => Err(error),
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
        Err(error) => Err(error),
    };
    let mut response = answer.unwrap_or_else(ApiError::render);
    app.error_log.tell(client, &method, &uri, &response);
    if state.is_unread() && is_http1 {
        // the connection ends here, because nobody reads on to the next request: say so
        response
            .headers_mut()
            .insert(CONNECTION, HeaderValue::from_static("close"));
    }
    if is_v2 {
        builder::mark_v2(&mut response);
    }
    base_url::relocate(response.headers_mut(), &base);
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
) -> Result<Response<Body>, ApiError> {
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
            Err(ApiError::Panicked)
        }
    }
}

async fn dispatch(
    app: Arc<App>,
    action: Action,
    request: Request<Body>,
) -> Result<Response<Body>, ApiError> {
    let App {
        registry, monitor, ..
    } = &*app;
    let (head, body) = request.into_parts();
    match action {
        Action::Root => Ok(builder::empty(StatusCode::OK)
            .header(CACHE_CONTROL, "no-cache")
            .finish()),
        Action::Options { allowed } => Ok(builder::empty(StatusCode::OK)
            .header(ALLOW, allowed)
            .finish()),
        Action::Redirect { to } => Ok(builder::empty(StatusCode::MOVED_PERMANENTLY)
            .location(to)
            .finish()),
        Action::Live => Ok(probes::live()),
        Action::Ready(asked) => Ok(Box::pin(monitor.readiness.answer(&asked)).await),
        Action::CheckApi => Ok(builder::json(StatusCode::OK, "{}".to_owned())),
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
        Action::DeleteBlob { name, digest } => blobs::delete(registry, &name, &digest, &head).await,
        Action::BeginUpload { name, algorithm } => {
            uploads::begin(registry, &name, algorithm, &head).await
        }
        Action::PushBlob { name, digest } => {
            uploads::push(registry, &name, &digest, &head, body).await
        }
        Action::MountBlob { name, digest, from } => {
            uploads::mount(registry, &name, &digest, from.as_ref(), &head).await
        }
        Action::GetUpload { name, id } => uploads::status(registry, &name, &id).await,
        Action::AppendUpload { name, id } => {
            uploads::append(registry, &name, &id, &head, body).await
        }
        Action::FinishUpload { name, id, digest } => {
            uploads::finish(registry, &name, &id, &digest, &head, body).await
        }
        Action::CancelUpload { name, id } => uploads::cancel(registry, &name, &id, &head).await,
        Action::ListTags { name, page } => lists::tags(registry, &name, page).await,
        Action::ListReferrers {
            name,
            digest,
            artifact_type,
            last,
        } => lists::referrers(registry, &name, &digest, artifact_type, last).await,
        Action::TagHistory { name, tag, filter } => {
            tag_history::get(registry, &name, &tag, filter).await
        }
        Action::ListRepositories { page } => lists::catalog(registry, page).await,
        Action::PingV1 => Ok(builder::json(StatusCode::OK, "{}".to_owned())),
        Action::SearchV1 { term, count, page } => lists::search(registry, term, count, page).await,
    }
}
