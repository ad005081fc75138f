//! The application: takes a request through parsing, authorization, its handler and the logs.

use std::borrow::Cow;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use axum::response::IntoResponse;
use futures_util::future::FutureExt;
use http::header::{ALLOW, CONNECTION, HeaderValue};
use http::request::Parts;
use http::{HeaderMap, Method, Request, Response, StatusCode, Uri, Version};
use percent_encoding::percent_decode_str;
use tower_service::Service;
use uuid::Uuid;

use crate::auth::{Access, Requester};
use crate::events::{EventKind, EventRequest};
use crate::http::api::handlers::events::{self, EventWaits};
use crate::http::api::handlers::list_room::ListRoom;
use crate::http::api::handlers::lists::Lists;
use crate::http::api::handlers::mirrors::Pull;
use crate::http::api::handlers::{blobs, manifests, tag_history, token, uploads};
use crate::http::api::request::action::Action;
use crate::http::api::request::upstream_ways::{self, Asked, UpstreamListener};
use crate::http::api::request::{actor, authorize, route, validate};
use crate::http::api_v1::answer;
use crate::http::api_v1::call::ApiCall;
use crate::http::connection::bodies::RequestBody;
use crate::http::connection::head_budget::HeadBudget;
use crate::http::connection::send_budget::TotalBudget;
use crate::http::connection::sendfile::ConnectionState;
use crate::http::connection::serve::Application;
use crate::http::endpoint::{self, RouteLabel};
use crate::http::observe::error_log::ErrorLog;
use crate::http::observe::monitoring::Monitor;
use crate::http::observe::probes;
use crate::http::proxy::base_url;
use crate::http::proxy::client::Client;
use crate::http::rates::RateLimiter;
use crate::http::response::builder;
use crate::http::response::error::ApiError;
use crate::http::settings::{LiveSettings, ServerSettings};
use crate::http::ui::answer as ui;
use crate::http::ui::call::UiCall;
use crate::http::ui::forms;
use crate::http::ui::issuer;
use crate::http::ui::sessions::Door;
use crate::http::ui::trials;
use crate::mirror::Mirrors;
use crate::registry::{Error, NotedEvent, Registry};

/// Maximum length of the registry's URL in an event, in bytes.
const LONGEST_BASE: usize = 1000;

/// State that requests share.
pub(crate) struct App {
    registry: Registry,
    access: Access,
    settings: LiveSettings,
    monitor: Monitor,
    error_log: ErrorLog,
    list_room: ListRoom,
    event_waits: EventWaits,
    heads: HeadBudget,
    rates: RateLimiter,
    mirrors: Mirrors,
    /// Routes beside the distribution API, whose paths hold no repository names.
    pages: Router,
}

/// Path and action of a request.
struct Parsed {
    /// Below the prefix; `None` if the request lies outside of it.
    inner: Option<Uri>,
    action: Result<Action, ApiError>,
    label: RouteLabel,
    side: Side,
}

/// Side of the server that a path belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Side {
    /// The distribution API.
    V2,
    /// The page, whose errors are pages too.
    Page,
    Other,
}

/// The application as one listener shows it.
#[derive(Clone)]
pub(crate) struct ListenerApp {
    pub app: Arc<App>,
    /// Upstream that it leads to; `None` for the whole registry.
    pub upstream_listener: Option<UpstreamListener>,
}

impl Application for ListenerApp {
    fn respond(
        self,
        mut request: Request<Body>,
    ) -> impl Future<Output = Response<Body>> + Send + 'static {
        if let Some(upstream_listener) = self.upstream_listener {
            request.extensions_mut().insert(upstream_listener);
        }
        respond(self.app, request)
    }
}

impl App {
    pub(crate) fn new(
        registry: Registry,
        access: Access,
        settings: LiveSettings,
        monitor: Monitor,
        mirrors: Mirrors,
        budget: &TotalBudget,
    ) -> Self {
        let pages =
            probes::router(Arc::clone(&monitor.readiness)).fallback(async || ApiError::UnknownPath);
        let event_waits = EventWaits::new(Arc::clone(&monitor.readiness));
        Self {
            registry,
            access,
            settings,
            monitor,
            error_log: ErrorLog::default(),
            list_room: ListRoom::new(budget),
            event_waits,
            heads: HeadBudget::default(),
            rates: RateLimiter::default(),
            mirrors,
            pages,
        }
    }

    /// Gives a request the id and address that its events have, where an endpoint listens.
    fn mark(&self, request: &mut Request<Body>, settings: &ServerSettings) {
        if !self.registry.outbox().is_used() {
            return;
        }
        let client = request.extensions().get::<Client>().copied();
        let base =
            settings
                .external_url
                .absolute(request.uri(), request.headers(), client.as_ref());
        // a client chooses its host
        if base.len() > LONGEST_BASE {
            return;
        }
        let address = client.and_then(|client| client.address);
        let marked = EventRequest {
            id: Uuid::new_v4().to_string(),
            method: request.method().as_str().to_owned(),
            peer: address.map(|address| address.to_string()),
            base,
        };
        request.extensions_mut().insert(Arc::new(marked));
    }

    fn door(&self) -> Door<'_> {
        Door {
            registry: &self.registry,
            access: &self.access,
            settings: &self.settings,
            mirrors: &self.mirrors,
        }
    }

    async fn probe(&self, head: Parts, body: Body) -> Result<Response<Body>, ApiError> {
        let request = Request::from_parts(head, body);
        Ok(self.pages.clone().call(request).await.into_response())
    }

    fn parse(&self, request: &Request<Body>, settings: &ServerSettings) -> Parsed {
        let uri = request.uri();
        // orchestrators need not know the prefix
        let probe = || endpoint::is_probe(uri.path()).then_some(Cow::Borrowed(uri));
        let inner = settings.external_url.prefix().strip(uri).or_else(probe);
        let path = inner
            .as_ref()
            .map(|uri| percent_decode_str(uri.path()).decode_utf8_lossy());
        let action = validate::check(request)
            .and_then(|()| inner.as_ref().ok_or(ApiError::UnknownPath))
            .and_then(|uri| Action::parse(request.method(), uri))
            .and_then(|action| upstream_ways::lead(action, &self.mirrors, Asked::of(request)));
        let label = match (&action, &path) {
            (Ok(action), _) => action.endpoint().info().label,
            (Err(_), Some(path)) => route::label_of(path),
            (Err(_), None) => RouteLabel::Other,
        };
        // as in distribution, health checks stop every request but probes, even invalid ones; so does a take-over
        let is_probe = action
            .as_ref()
            .is_ok_and(|action| action.endpoint().is_probe());
        let action = if is_probe {
            action
        } else if self.monitor.health.is_healthy() {
            self.registry
                .check_available()
                .map_err(ApiError::from)
                .and(action)
        } else {
            Err(ApiError::Unhealthy)
        };
        let side = match path {
            Some(path) if path.starts_with("/v2") => Side::V2,
            Some(path) if ui::is_within(&path) && ui::is_shown(request.extensions(), settings) => {
                Side::Page
            }
            _ => Side::Other,
        };
        let action = match action {
            Ok(Action::Ui(_)) if side != Side::Page => Err(ApiError::UnknownPath),
            action => action,
        };
        Parsed {
            label,
            side,
            action,
            inner: inner
                .filter(|inner| matches!(inner, Cow::Owned(_)))
                .map(Cow::into_owned),
        }
    }
}

/// Responds to a request in the client's terms: paths below the prefix, locations that the client can follow.
async fn respond(app: Arc<App>, mut request: Request<Body>) -> Response<Body> {
    let settings = app.settings.load();
    let client = request.extensions().get::<Client>();
    let base = settings
        .external_url
        .base(request.uri(), request.headers(), client);
    let client = client.and_then(|client| client.address);
    let Parsed {
        inner,
        action,
        label,
        side,
    } = app.parse(&request, &settings);
    app.mark(&mut request, &settings);
    let mut observation = app.monitor.observer.begin(label, &request, client);
    let (patience, rates) = (settings.limits.idle_timeout, settings.limits.rates);
    drop(settings);

    // for as long as a request with a body may take
    let head = app.heads.hold(&request);
    let action = match head {
        Some(_) => action,
        None => Err(Error::Overloaded("large heads of requests wait".to_owned()).into()),
    };
    let (method, uri) = (request.method().clone(), request.uri().clone());
    let is_http1 = request.version() < Version::HTTP_2;
    let state = request
        .extensions()
        .get::<ConnectionState>()
        .cloned()
        .unwrap_or_default();
    let mut request =
        request.map(|body| observation.receive(RequestBody::wrap(body, &state, patience)));
    let site = (side == Side::Page).then(|| ui::Asked::of(&request));
    let action = match action {
        Ok(action) => admit(&app, action, &mut request).await,
        Err(error) => Err(error),
    };
    let requester = request.extensions().get::<Requester>();
    if let Some(user) = requester.and_then(|requester| requester.identity().name()) {
        observation.set_user(user);
    }
    let is_head = method == Method::HEAD;
    let action =
        action.and_then(|action| app.rates.admit(action, is_head, requester, client, rates));
    let response = match action {
        Ok(action) => run(&app, action, inner, request).await,
        Err(error) => Err(error),
    };
    let mut response = match (response, site) {
        (Ok(response), _) => response,
        (Err(error), None) => error.render(),
        (Err(error), Some(asked)) => ui::failure(error, &asked, &app.settings.load()),
    };
    app.error_log.log(client, &method, &uri, &response);
    if is_head {
        *response.body_mut() = Body::empty();
    }
    if state.is_unread() && is_http1 {
        // the rest of the body is not read, so the connection closes
        response
            .headers_mut()
            .insert(CONNECTION, HeaderValue::from_static("close"));
    }
    base_url::relocate(&mut response, &base);
    complete(response.headers_mut(), side, label, &app.settings.load());
    observation.answer(response)
}

/// Adds the owner's headers and those of a side of the server, which forbid browsers to run what clients have stored.
fn complete(headers: &mut HeaderMap, side: Side, label: RouteLabel, settings: &ServerSettings) {
    if side == Side::V2 {
        builder::mark_v2(headers);
    }
    settings.headers.add_to(headers);
    match side {
        Side::Page => ui::secure(headers),
        Side::V2 => builder::forbid_scripts(headers),
        Side::Other if label == RouteLabel::Api => builder::forbid_scripts(headers),
        Side::Other => {}
    }
}

/// Runs an action. A change is completed even if the client disconnects; a panic becomes a 500.
async fn run(
    app: &Arc<App>,
    action: Action,
    inner: Option<Uri>,
    mut request: Request<Body>,
) -> Result<Response<Body>, ApiError> {
    let is_change = action.endpoint().is_change();
    upstream_ways::check(&action, &app.mirrors, &app.registry, Asked::of(&request)).await?;
    if is_change {
        app.registry.check_writable()?;
    }
    if let (Action::Liveness | Action::Readiness, Some(inner)) = (&action, inner) {
        *request.uri_mut() = inner;
    }
    let refusal = quota_event(app, &action, &request);
    let work = AssertUnwindSafe(dispatch(Arc::clone(app), action, request)).catch_unwind();
    let outcome = if is_change {
        tokio::spawn(work).await
    } else {
        Ok(work.await)
    };
    match outcome {
        Ok(Ok(response)) => {
            if let (Err(ApiError::Registry(error @ Error::QuotaExceeded { .. })), Some(refusal)) =
                (&response, refusal)
            {
                app.registry.outbox().note(NotedEvent {
                    detail: Some(error.to_string()),
                    ..refusal
                });
            }
            response
        }
        Ok(Err(_)) | Err(_) => {
            tracing::error!("request handler panicked");
            Err(ApiError::Panicked)
        }
    }
}

/// Returns the event that a refusal by a quota would be; `None` where no endpoint listens.
fn quota_event(app: &App, action: &Action, request: &Request<Body>) -> Option<NotedEvent> {
    let kind = EventKind::QuotaExceeded;
    let repository = action.repository()?;
    app.registry.outbox().is_listened(kind).then(|| {
        let actor = actor::of(request.headers(), request.extensions());
        NotedEvent::about(kind, repository, actor)
    })
}

async fn dispatch(
    app: Arc<App>,
    action: Action,
    request: Request<Body>,
) -> Result<Response<Body>, ApiError> {
    let registry = &app.registry;
    let (head, body) = request.into_parts();
    let lists = || Lists::new(registry, &app.mirrors, &app.list_room, &head);
    let pull = || Pull::new(&app.mirrors, registry, &head);
    match action {
        Action::Root => Ok(ui::root(&head, &app.settings)),
        Action::Options { allowed } => Ok(builder::empty(StatusCode::OK)
            .header(ALLOW, allowed)
            .finish()),
        Action::Redirect { to } => Ok(builder::empty(StatusCode::MOVED_PERMANENTLY)
            .location(to)
            .finish()),
        Action::Liveness | Action::Readiness => app.probe(head, body).await,
        Action::CheckApi | Action::PingV1 => Ok(builder::json(StatusCode::OK, "{}".to_owned())),
        Action::GetManifest { name, reference } => pull().manifest(&name, &reference).await,
        Action::PutManifest {
            name,
            reference,
            tags,
        } => manifests::put(registry, &app.mirrors, &name, reference, tags, &head, body).await,
        Action::DeleteManifest { name, reference } => {
            manifests::delete(registry, &app.mirrors, &name, &reference, &head).await
        }
        Action::DeleteRepository { name } => {
            manifests::delete_repository(registry, &name, &head).await
        }
        Action::GetBlob { name, digest } => pull().blob(&name, &digest).await,
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
        Action::ListTags { name, page } => lists().tags(&name, page).await,
        Action::ListReferrers {
            name,
            digest,
            artifact_type,
            last,
        } => lists().referrers(&name, &digest, artifact_type, last).await,
        Action::TagHistory { name, tag, filter } => {
            tag_history::get(&lists(), &name, &tag, filter).await
        }
        Action::ListRepositories { page } => lists().catalog(page).await,
        Action::ListEvents(query) => events::list(&lists(), &app.event_waits, &query, &head).await,
        Action::GetToken { scopes } => token::get(&app.access, &scopes, &head).await,
        Action::PostToken => token::post(&app.access, &head, body).await,
        Action::SearchV1(query) => lists().search(query).await,
        Action::Api(call) => api(&app, &call, &head, body).await,
        Action::Ui(call) => page(&app, &call, &head, body).await,
    }
}

/// Authenticates and authorizes a request; on pages a session stands in for a login.
async fn admit(app: &App, action: Action, request: &mut Request<Body>) -> Result<Action, ApiError> {
    if let Some(session) = app.door().named(&action, request) {
        // boxed: every open connection reserves room for the largest future of a request
        Box::pin(app.door().recognise(session, request)).await?;
    }
    authorize::admit(&app.access, &app.settings, action, request).await
}

async fn page(
    app: &App,
    call: &UiCall,
    head: &Parts,
    body: Body,
) -> Result<Response<Body>, ApiError> {
    match call {
        UiCall::LoginForm(_) | UiCall::LogIn | UiCall::LogOut => {
            app.door().answer(call, head, body).await
        }
        UiCall::ToIssuer(to) => issuer::go(app.door(), head, to).await,
        UiCall::FromIssuer(returned) => issuer::come_back(app.door(), head, returned.clone()).await,
        UiCall::TriedPolicies { name } => {
            trials::answer(app.door(), &app.list_room, name.as_ref(), head, body).await
        }
        UiCall::Delete { .. }
        | UiCall::Restore { .. }
        | UiCall::DeleteSeveral { .. }
        | UiCall::RestoreSeveral { .. }
        | UiCall::Keep
        | UiCall::TokenCreate
        | UiCall::TokenChange { .. }
        | UiCall::Resend { .. } => forms::answer(app.door(), call, head, body).await,
        _ => {
            let (registry, access) = (&app.registry, &app.access);
            ui::answer(registry, access, &app.list_room, &app.settings, call, head).await
        }
    }
}

async fn api(
    app: &App,
    call: &ApiCall,
    head: &Parts,
    body: Body,
) -> Result<Response<Body>, ApiError> {
    let (registry, access) = (&app.registry, &app.access);
    let place = (&app.list_room, &app.settings);
    answer::answer(registry, access, place, call, head, body).await
}
