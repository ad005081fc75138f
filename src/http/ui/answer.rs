//! Answers of the page: HTML for whoever asks, files that browsers keep, and errors as pages.

use axum::body::Body;
use http::header::{
    ACCEPT, ALLOW, CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, ETAG, HeaderName,
    REFERRER_POLICY, RETRY_AFTER, X_CONTENT_TYPE_OPTIONS,
};
use http::request::Parts;
use http::{Extensions, HeaderMap, HeaderValue, Request, Response, StatusCode, Uri};
use sha2::{Digest as _, Sha256};
use std::time::Instant;

use crate::auth::{Access, Requester, may_change_administration};
use crate::http::api::handlers::list_room::ListRoom;
use crate::http::api::request::conditions::precondition;
use crate::http::api::request::rights::public;
use crate::http::api::request::upstream_ways::UpstreamListener;
use crate::http::api_v1::parameters::Sort;
use crate::http::api_v1::seen::viewer;
use crate::http::proxy::client::Client;
use crate::http::response::builder;
use crate::http::response::error::{ApiError, ReportedError};
use crate::http::settings::{LiveSettings, PageSwitch, ServerSettings};
use crate::http::ui::call::UiCall;
use crate::http::ui::changes::{may_delete, may_move_tags};
use crate::http::ui::parameters::Compared;
use crate::http::ui::reach;
use crate::oci::{Algorithm, Digest, RepositoryName};
use crate::registry::Registry;
use crate::report::AuditQuery;
use crate::ui::{self, Chosen, Failure, Page, Reader, Seen, Site, TokensPage};

/// Policy of the content of all pages: nothing from elsewhere, and nothing written into a page runs.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; \
                      form-action 'self'; base-uri 'none'; frame-ancestors 'none'";

/// Parts of a request that an error page needs when the request itself is gone.
pub(crate) struct Asked {
    uri: Uri,
    headers: HeaderMap,
    client: Option<Client>,
}

impl Asked {
    pub(crate) fn of(request: &Request<Body>) -> Self {
        Self {
            uri: request.uri().clone(),
            headers: request.headers().clone(),
            client: request.extensions().get::<Client>().copied(),
        }
    }
}

/// Reports whether a path belongs to the page.
pub(crate) fn is_within(path: &str) -> bool {
    path == "/ui" || path.starts_with("/ui/")
}

/// Reports whether a request may get pages.
pub(crate) fn is_shown(extensions: &Extensions, settings: &ServerSettings) -> bool {
    // an address of one upstream shows nothing else
    settings.page == PageSwitch::On && extensions.get::<UpstreamListener>().is_none()
}

/// Adds the headers that keep what clients have stored from running in a page, and pages out of frames.
pub(crate) fn secure(headers: &mut HeaderMap) {
    for (name, value) in [
        (CONTENT_SECURITY_POLICY, POLICY),
        (X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (REFERRER_POLICY, "same-origin"),
        (
            HeaderName::from_static("cross-origin-opener-policy"),
            "same-origin",
        ),
        (
            HeaderName::from_static("cross-origin-resource-policy"),
            "same-origin",
        ),
    ] {
        headers
            .entry(name)
            .or_insert(HeaderValue::from_static(value));
    }
}

/// Answers `GET /`: browsers are led to the page, everybody else learns that the server is there.
pub(crate) fn root(head: &Parts, settings: &LiveSettings) -> Response<Body> {
    let accepted = head.headers.get_all(ACCEPT).iter();
    let mut accepted = accepted.filter_map(|value| value.to_str().ok());
    let is_browser = accepted.any(|value| value.contains("text/html"));
    let answer = match is_browser && is_shown(&head.extensions, &settings.load()) {
        true => builder::empty(StatusCode::SEE_OTHER).location("/ui/"),
        false => builder::empty(StatusCode::OK),
    };
    answer.header(CACHE_CONTROL, "no-cache").finish()
}

/// Answers a request of the page, once there is room for its answer.
pub(crate) async fn answer(
    registry: &Registry,
    access: &Access,
    room: &ListRoom,
    settings: &LiveSettings,
    call: &UiCall,
    head: &Parts,
) -> Result<Response<Body>, ApiError> {
    if let UiCall::Asset { file } = call {
        return asset(file, head);
    }
    let settings = &settings.get();
    if path_of(&head.uri, settings) == "/ui" {
        return Ok(builder::empty(StatusCode::SEE_OTHER)
            .location("/ui/")
            .finish());
    }
    let reader = reader(access, settings, head, call.repository()).await;
    let make = || async {
        let begun = Instant::now();
        let page = make(registry, access, &reader, call, head).await?;
        Ok(rendered(page, head, begun))
    };
    room.answer(head, make).await
}

async fn make(
    registry: &Registry,
    access: &Access,
    reader: &Reader,
    call: &UiCall,
    head: &Parts,
) -> Result<Page, ApiError> {
    let shown = || reader.viewer.shown.clone();
    Ok(match call {
        UiCall::Home(parameters) => {
            let query = parameters.list().of_repositories(Sort::Name, shown())?;
            let typed = parameters.repositories.clone();
            ui::home(registry, reader, query, parameters.layout(), typed).await?
        }
        UiCall::Repository { name, list } => {
            let query = list.list().of_tags(Sort::Pushed)?;
            ui::repository(registry, reader, name, query).await?
        }
        UiCall::Untagged { name, list } => {
            let query = list.list().of_repositories(Sort::Pushed, shown())?;
            ui::untagged(registry, reader, name, query).await?
        }
        UiCall::Trash { name } => ui::trash(registry, reader, name).await?,
        UiCall::Image {
            name,
            reference,
            parameters,
        } => {
            let chosen = Chosen {
                platform: parameters.platform.as_deref(),
                packages: parameters.packages.as_deref(),
            };
            ui::image(registry, reader, name, reference, chosen).await?
        }
        UiCall::History { name, tag, list } => {
            let last = list.last.as_deref();
            ui::history(registry, reader, (name, tag), last).await?
        }
        UiCall::Compare(Compared::One(named)) => ui::compare_form(reader, named.clone())?,
        UiCall::Compare(Compared::Two { from, to, platform }) => {
            let (from, to) = (from.clone(), to.clone());
            ui::compare(registry, reader, from, to, platform.as_deref()).await?
        }
        UiCall::Policies { name, query } => {
            let may_edit = match name {
                Some(_) => reader.may_delete,
                None => reader.is_administrator(),
            };
            let page = query.page(name.as_ref(), None, may_edit)?;
            ui::policies(registry, reader, page).await?
        }
        UiCall::Usage(query) => ui::usage(registry, reader, query.days()).await?,
        UiCall::DeleteForm { name, reference } => {
            ui::delete(registry, reader, name, reference, Seen::Now).await?
        }
        UiCall::DeleteSeveralForm { name, chosen } => {
            ui::delete_several(registry, reader, name, chosen).await?
        }
        _ => administration(registry, access, reader, call, head).await?,
    })
}

/// Makes a page for administrators.
async fn administration(
    registry: &Registry,
    access: &Access,
    reader: &Reader,
    call: &UiCall,
    head: &Parts,
) -> Result<Page, ApiError> {
    Ok(match call {
        UiCall::Activity(parameters) => {
            let words = parameters.words();
            let query = AuditQuery::parse(words.clone()).map_err(ApiError::Parameter)?;
            let last = parameters.last.as_deref();
            ui::activity(registry, reader, &query, words, last).await?
        }
        UiCall::Tokens(query) => {
            let words = query.words();
            let page = TokensPage {
                users: access.users().await,
                reach: reach::of(registry, head, &words).await?,
                words,
                ..TokensPage::default()
            };
            ui::tokens(registry, reader, page).await?
        }
        UiCall::Upstreams => ui::upstreams(registry, reader).await?,
        UiCall::Webhooks => ui::webhooks(registry, reader).await?,
        // answered elsewhere
        _ => return Err(ApiError::UnknownPath),
    })
}

/// Renders a page; a browser that has it already gets 304.
pub(super) fn rendered(page: Page, head: &Parts, begun: Instant) -> Response<String> {
    let tag = Digest::from_hash(Algorithm::Sha256, &Sha256::digest(page.text.as_bytes()));
    let is_known = precondition(&head.headers).excludes(Some(&tag));
    let answer = builder::empty(match is_known {
        true => StatusCode::NOT_MODIFIED,
        false => StatusCode::OK,
    });
    let answer = answer
        .header(ETAG, format!("W/\"{tag}\""))
        // what it shows depends on who asks
        .header(CACHE_CONTROL, "private, no-cache");
    match is_known {
        true => answer.finish().map(|_| String::new()),
        false => answer
            .header(CONTENT_TYPE, "text/html; charset=utf-8")
            .text(page.timed(begun.elapsed())),
    }
}

/// Answers with a file, whose name changes with its content.
fn asset(file: &str, head: &Parts) -> Result<Response<Body>, ApiError> {
    let found = ui::asset(file).ok_or(ApiError::UnknownPath)?;
    let tag = Digest::from_hash(Algorithm::Sha256, &Sha256::digest(found.bytes));
    let is_known = precondition(&head.headers).excludes(Some(&tag));
    let answer = builder::empty(match is_known {
        true => StatusCode::NOT_MODIFIED,
        false => StatusCode::OK,
    });
    let answer = answer
        .header(ETAG, format!("\"{tag}\""))
        .header(CACHE_CONTROL, "public, max-age=31536000, immutable");
    Ok(match is_known {
        true => answer.finish(),
        false => answer
            .header(CONTENT_TYPE, found.media_type)
            .body(found.bytes.len() as u64, Body::from(found.bytes))
            .finish(),
    })
}

/// Renders an error as a page.
pub(crate) fn failure(error: ApiError, asked: &Asked, settings: &ServerSettings) -> Response<Body> {
    let said = error.render();
    let status = said.status();
    let reported = said.extensions().get::<ReportedError>().cloned();
    let failure = Failure {
        status: status.as_u16(),
        code: reported.as_ref().map_or("UNKNOWN", |error| error.code),
        message: reported.as_ref().map_or("", |error| error.message.as_str()),
    };
    let site = site(&asked.uri, &asked.headers, asked.client.as_ref(), settings);
    let text = ui::failure(&site, &failure);
    let mut answer = builder::empty(status)
        .header(CONTENT_TYPE, "text/html; charset=utf-8")
        .header(CACHE_CONTROL, "no-store")
        .text(text)
        .map(Body::from);
    // no challenge: the dialog of a browser would stand before the page
    for name in [ALLOW, RETRY_AFTER] {
        if let Some(value) = said.headers().get(&name) {
            answer.headers_mut().insert(name, value.clone());
        }
    }
    if let Some(reported) = reported {
        answer.extensions_mut().insert(reported);
    }
    answer
}

/// Describes whoever a page is made for, which may be about a repository.
pub(super) async fn reader(
    access: &Access,
    settings: &ServerSettings,
    head: &Parts,
    repository: Option<&RepositoryName>,
) -> Reader {
    let client = head.extensions.get::<Client>();
    let requester = head.extensions.get::<Requester>();
    let user = requester.and_then(|requester| requester.identity().name());
    Reader {
        viewer: viewer(head),
        user: user.map(str::to_owned),
        may_delete: repository.is_some_and(|name| may_delete(access, settings, head, name)),
        may_move_tags: repository.is_some_and(|name| may_move_tags(access, settings, head, name)),
        may_administer: requester.is_some_and(may_change_administration),
        public: requester.and_then(public),
        has_logins: access.doors().await.is_any(),
        site: site(&head.uri, &head.headers, client, settings),
    }
}

/// Path of a request below the prefix.
pub(super) fn path_of(uri: &Uri, settings: &ServerSettings) -> String {
    let inner = settings.external_url.prefix().strip(uri);
    inner.map_or_else(String::new, |inner| inner.path().to_owned())
}

/// Describes the address by which a page was asked for, for its links and commands.
pub(super) fn site(
    uri: &Uri,
    headers: &HeaderMap,
    client: Option<&Client>,
    settings: &ServerSettings,
) -> Site {
    let path = path_of(uri, settings);
    let depth = path
        .strip_prefix("/ui/")
        .map(|rest| rest.matches('/').count());
    let base = settings.external_url.absolute(uri, headers, client);
    Site::new(depth, base, here(&path, uri.query()))
}

/// Returns the page to come back to after a login; nothing for what is no page.
fn here(path: &str, query: Option<&str>) -> String {
    let below = path.strip_prefix("/ui/").unwrap_or_default();
    let is_page = !["login", "logout", "restore/"]
        .iter()
        .any(|other| below.starts_with(other));
    match (is_page, query) {
        (false, _) => String::new(),
        (true, None) => below.to_owned(),
        (true, Some(query)) => format!("{below}?{query}"),
    }
}
