//! Events of repositories for clients that nobody can call, such as those behind NAT: what has happened since an event, or the
//! next that happens within some time.

use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use http::header::{CACHE_CONTROL, CONTENT_TYPE};
use http::request::Parts;
use http::{Response, StatusCode};
use serde::Serialize;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{Instant, sleep};

use crate::auth::Requester;
use crate::client_parts::ClientParts;
use crate::http::api::handlers::lists::Lists;
use crate::http::api::request::query::EventQuery;
use crate::http::api::request::rights::readable;
use crate::http::observe::probes::Readiness;
use crate::http::proxy::client::Client;
use crate::http::response::builder;
use crate::http::response::error::ApiError;
use crate::registry::{AuditRow, Error, EventPage, Registry, Visibility};

/// Maximum number of events in one response, and the number without `n`.
const MAX_EVENTS: usize = 1000;
const EVENTS: usize = 100;
/// Maximum time to wait, below the minute after which proxies commonly give up, and the time without `wait`.
const MAX_WAIT: Duration = Duration::from_secs(50);
const WAIT: Duration = Duration::from_secs(25);
/// Interval at which a waiting request looks for events; other processes make some as well.
const LOOK: Duration = Duration::from_millis(500);
/// Number of requests that wait at once, and of those of one client.
const WAITS: usize = 256;
const CLIENT_WAITS: usize = 16;
/// Number of those of all clients without a login, who may have many addresses.
const ANONYMOUS_WAITS: usize = WAITS / 2;

/// Places of requests that wait for events.
pub(crate) struct EventWaits {
    all: Arc<Semaphore>,
    anonymous: Arc<Semaphore>,
    clients: ClientParts<Semaphore>,
    /// Tells when the server stops, which ends all waits.
    readiness: Arc<Readiness>,
}

/// Place of one request, until it is dropped.
struct Place {
    _all: OwnedSemaphorePermit,
    _anonymous: Option<OwnedSemaphorePermit>,
    _own: Option<OwnedSemaphorePermit>,
}

#[derive(Serialize)]
struct EventList {
    events: Vec<Event>,
    /// `since` of the next request.
    last: i64,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Event {
    id: i64,
    at: String,
    action: String,
    repository: Option<String>,
    tag: Option<String>,
    digest: Option<String>,
    former_digest: Option<String>,
    /// Whoever did it; nobody without a login learns names.
    who: Option<String>,
}

impl EventWaits {
    pub(crate) fn new(readiness: Arc<Readiness>) -> Self {
        Self {
            all: Arc::new(Semaphore::new(WAITS)),
            anonymous: Arc::new(Semaphore::new(ANONYMOUS_WAITS)),
            clients: ClientParts::new(|| Semaphore::new(CLIENT_WAITS)),
            readiness,
        }
    }

    /// Takes a place.
    ///
    /// # Errors
    /// [`Error::Overloaded`] if there is none.
    fn place(&self, head: &Parts) -> Result<Place, Error> {
        let overloaded = |_| Error::Overloaded("too many requests wait for events".to_owned());
        let own = Client::address_of(head).map(|address| self.clients.of(address));
        let own = own.map(Semaphore::try_acquire_owned).transpose();
        let anonymous = (!is_known(head)).then(|| Arc::clone(&self.anonymous));
        let anonymous = anonymous.map(Semaphore::try_acquire_owned).transpose();
        let all = Arc::clone(&self.all).try_acquire_owned();
        Ok(Place {
            _own: own.map_err(overloaded)?,
            _anonymous: anonymous.map_err(overloaded)?,
            _all: all.map_err(overloaded)?,
        })
    }

    /// Waits until there is an event after `since` that is `shown`. Returns the number after which it is to be looked for.
    async fn wait(
        &self,
        registry: &Registry,
        since: i64,
        shown: &Visibility,
        time: Duration,
    ) -> Result<i64, Error> {
        let deadline = Instant::now() + time;
        let mut since = since;
        loop {
            let last = registry.audit().last().await?;
            if last > since {
                let page = registry.audit().events(since, shown.clone(), 1).await?;
                if !page.events.is_empty() {
                    return Ok(since);
                }
                since = page.last;
            }
            let is_over = last < since || Instant::now() >= deadline;
            if is_over || self.readiness.is_draining() {
                return Ok(since);
            }
            sleep(LOOK).await;
        }
    }
}

/// Responds with events; without `since`, with the number after which events are those to come.
pub(crate) async fn list(
    lists: &Lists<'_>,
    waits: &EventWaits,
    query: &EventQuery,
    head: &Parts,
) -> Result<Response<Body>, ApiError> {
    let (registry, shown) = (lists.registry, readable(head));
    let Some(since) = query.since else {
        let last = registry.audit().last().await?;
        let nothing = EventPage {
            events: Vec::new(),
            last,
        };
        return Ok(answer(nothing, head).map(Body::from));
    };
    let since = i64::try_from(since).unwrap_or(i64::MAX);
    let wait = |seconds| Duration::from_secs(seconds as u64).min(MAX_WAIT);
    let place = waits.place(head)?;
    let time = query.wait.map_or(WAIT, wait);
    let since = waits.wait(registry, since, &shown, time).await?;
    drop(place);
    let limit = query.n.unwrap_or(EVENTS).clamp(1, MAX_EVENTS);
    let make = || async {
        let page = registry.audit().events(since, shown.clone(), limit).await?;
        Ok(answer(page, head))
    };
    lists.answer(make).await
}

fn answer(page: EventPage, head: &Parts) -> Response<String> {
    let is_known = is_known(head);
    let events = page.events.into_iter();
    let list = EventList {
        events: events.map(|row| event(row, is_known)).collect(),
        last: page.last,
    };
    builder::empty(StatusCode::OK)
        .header(CONTENT_TYPE, "application/json")
        .header(CACHE_CONTROL, "no-store")
        .json(&list)
}

/// Reports whether a request has a login.
fn is_known(head: &Parts) -> bool {
    let requester = head.extensions.get::<Requester>();
    requester.is_some_and(|requester| requester.identity().name().is_some())
}

fn event(row: AuditRow, is_known: bool) -> Event {
    Event {
        id: row.id,
        at: builder::time(row.at),
        action: row.action,
        repository: row.repository,
        tag: row.tag,
        digest: row.digest,
        former_digest: row.former,
        who: row.actor.name.filter(|_| is_known),
    }
}
