//! The way of a request: its turn, its login, its redirects, and what its status means.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use bytes::Bytes;
use http::header::{AUTHORIZATION, LOCATION, WWW_AUTHENTICATE};
use http::{HeaderMap, HeaderValue, Method, Request, Response, StatusCode, Uri};
use http_body_util::Full;
use hyper::body::Incoming;
use parking_lot::Mutex;
use tokio::time::{Instant, timeout_at};

use super::answer::Answer;
use super::breaker::Breaker;
use super::gate::{Gate, Lane, Places};
use super::quota::{Quota, retry_after};
use super::tally::{Object, Tally, Waiting};
use crate::oci::RepositoryName;
use crate::outbound::{Authorities, Client, ClientSettings, Proxy, Reach, SendError, Server};
use crate::upstream::error::Error;
use crate::upstream::login::{Challenge, Scope, TokenRequest, Tokens};
use crate::upstream::origin::{Origin, resolve};
use crate::upstream::settings::{BackgroundLimits, Dialect, Queue, Settings};

/// Maximum number of redirects to follow.
const REDIRECTS: usize = 5;

/// Another registry. Copies share everything.
#[derive(Clone)]
pub struct Upstream {
    inner: Arc<Inner>,
    client: Arc<Client>,
    queue: Queue,
    /// Gate of background work, before that of all.
    narrow: Option<Arc<Gate>>,
}

struct Inner {
    origin: Origin,
    dialect: Dialect,
    tokens: Tokens,
    gate: Gate,
    breaker: Breaker,
    quota: Mutex<Option<Quota>>,
    tally: Tally,
    /// True if `HEAD` of a blob was refused that a `GET` then found.
    refuses_head: AtomicBool,
    timeout: Duration,
    stall: Duration,
    manifest_limit: usize,
}

/// A request to an upstream.
pub(in crate::upstream) struct Ask<'a> {
    pub method: Method,
    pub url: Uri,
    pub scope: &'a Scope,
    pub lane: Lane,
    pub headers: HeaderMap,
}

impl Upstream {
    /// Creates the client of an upstream, which need not be up. Files are read, which may block.
    ///
    /// # Errors
    /// A URL, a certificate authority or a proxy that cannot be used, in a sentence.
    pub fn new(settings: &Settings) -> Result<Self, String> {
        let origin = Origin::parse(&settings.url)?;
        let authorities = settings.ca.clone();
        let client = Client::new(ClientSettings {
            authorities: authorities.map_or(Authorities::System, Authorities::SystemAnd),
            proxy: settings
                .proxy
                .clone()
                .map_or(Proxy::Environment, Proxy::Url),
            connect_timeout: settings.timeout,
            exempt: exempt(settings, &origin),
        })?;
        let inner = Inner {
            dialect: settings.dialect,
            tokens: Tokens::new(settings),
            gate: Gate::new(settings),
            breaker: Breaker::default(),
            quota: Mutex::default(),
            tally: Tally::default(),
            refuses_head: AtomicBool::new(false),
            timeout: settings.timeout,
            stall: settings.stall,
            manifest_limit: settings.manifest_limit,
            origin,
        };
        Ok(Self {
            inner: Arc::new(inner),
            client: Arc::new(client),
            queue: settings.queue,
            narrow: None,
        })
    }

    /// Returns the same upstream for background work: patient, with connections of its own, and limits inside those of all.
    pub fn in_background(&self, limits: &BackgroundLimits) -> Self {
        Self {
            inner: Arc::clone(&self.inner),
            client: Arc::new(self.client.apart()),
            queue: Queue::Patient,
            narrow: Some(Arc::new(Gate::with(
                limits.concurrency,
                limits.fetches,
                limits.rate,
            ))),
        }
    }

    /// Returns the quota that the upstream named last.
    pub fn quota(&self) -> Option<Quota> {
        *self.inner.quota.lock()
    }

    /// Returns the counts of its requests.
    pub fn tally(&self) -> &Tally {
        &self.inner.tally
    }

    pub(in crate::upstream) fn origin(&self) -> &Origin {
        &self.inner.origin
    }

    /// Reports whether the upstream refuses `HEAD` of blobs, as far as is known.
    pub(in crate::upstream) fn refuses_head(&self) -> bool {
        self.inner.refuses_head.load(Ordering::Relaxed)
    }

    /// Notes that the upstream refuses `HEAD` of blobs that it has.
    pub(in crate::upstream) fn note_head_refused(&self) {
        self.inner.refuses_head.store(true, Ordering::Relaxed);
    }

    /// Maximum time between two pieces of an answer.
    pub(in crate::upstream) fn stall(&self) -> Duration {
        self.inner.stall
    }

    /// Maximum size of a manifest, in bytes.
    pub(in crate::upstream) fn manifest_limit(&self) -> usize {
        self.inner.manifest_limit
    }

    /// Returns the name that a repository has upstream.
    pub fn name(&self, repository: &RepositoryName) -> RepositoryName {
        if self.inner.dialect == Dialect::DockerHub && !repository.as_str().contains('/') {
            let official = RepositoryName::parse(&format!("library/{repository}"));
            return official.unwrap_or_else(|_| repository.clone());
        }
        repository.clone()
    }

    /// Logs in where a request would be answered without a login too, with less.
    ///
    /// # Errors
    /// Those that may pass; a refusal comes with the request itself.
    pub(in crate::upstream) async fn log_in(&self, scope: &Scope) -> Result<(), Error> {
        if !self.inner.tokens.has_login(scope) {
            return Ok(());
        }
        let ask = Ask {
            method: Method::GET,
            url: self.inner.origin.url("")?,
            scope,
            lane: Lane::Question,
            headers: HeaderMap::new(),
        };
        match self.send(ask).await {
            Err(error) if error.is_passing() => Err(error),
            _ => Ok(()),
        }
    }

    /// Sends a request; answers with a status of success, and 304, are returned.
    ///
    /// # Errors
    /// Every [`Error`].
    pub(in crate::upstream) async fn send(&self, ask: Ask<'_>) -> Result<Answer, Error> {
        self.inner.breaker.check()?;
        let begun = Instant::now();
        let until = match self.queue {
            Queue::Patient => None,
            Queue::Timed => Some(begun + self.inner.timeout),
        };
        let narrow = match &self.narrow {
            Some(gate) => Some(gate.enter(ask.lane, until).await?),
            None => None,
        };
        let place = (self.inner.gate.enter(ask.lane, until).await?, narrow);
        self.inner.breaker.pass(self.inner.timeout)?;
        let sent = Instant::now();
        let deadline = until.unwrap_or(sent + self.inner.timeout);
        let late = |_| match sent - begun > deadline - sent {
            // the queue took most of the time, which says nothing of the upstream
            true if until.is_some() => Err(Error::Crowded),
            _ => Err(Error::Timeout(self.inner.timeout)),
        };
        let waiting = match &self.narrow {
            Some(_) => Waiting::Nobody,
            None => Waiting::Client,
        };
        let object = Object::of(&ask.method, ask.url.path(), ask.lane, waiting);
        let answering = timeout_at(deadline, self.inner.send(&self.client, ask, place));
        let outcome = answering.await.unwrap_or_else(late);
        self.inner.breaker.learn(&outcome);
        self.inner.tally.learn(object, &outcome);
        outcome
    }
}

impl Inner {
    /// Sends a request, answers a challenge, and follows redirects.
    async fn send(&self, client: &Client, ask: Ask<'_>, place: Places) -> Result<Answer, Error> {
        let mut login = self.tokens.known(ask.scope).await;
        let (mut url, mut answer) = self.follow(client, &ask, login.as_ref()).await?;
        let is_challenged = |url: &Uri, answer: &Response<Incoming>| {
            answer.status() == StatusCode::UNAUTHORIZED && self.origin.is_at(url)
        };
        let mut is_token = false;
        if is_challenged(&url, &answer) {
            let request = TokenRequest {
                client,
                origin: &self.origin,
                scope: ask.scope,
                challenge: challenge(answer.headers()),
                reach: Reach::of(&answer),
                refused: login.as_ref(),
            };
            is_token = matches!(request.challenge, Some(Challenge::Bearer { .. }));
            login = Some(self.tokens.answer(&request).await?);
            (url, answer) = self.follow(client, &ask, login.as_ref()).await?;
        }
        if let Some(quota) = Quota::of(answer.headers()) {
            *self.quota.lock() = Some(quota);
        }
        let (head, body) = answer.into_parts();
        match head.status {
            StatusCode::UNAUTHORIZED
                if self.dialect == Dialect::DockerHub && is_token && self.origin.is_at(&url) =>
            {
                // its way to say that there is no such name, or that nobody may know
                return Err(Error::NotFound);
            }
            // its token service has accepted the login
            StatusCode::UNAUTHORIZED if is_token && self.tokens.has_login(ask.scope) => {
                return Err(Error::Denied);
            }
            StatusCode::UNAUTHORIZED => {
                let reason = "user or password are wrong";
                return Err(self.tokens.refusal(ask.scope, reason));
            }
            status => accept(status, &head.headers)?,
        }
        Ok(Answer {
            status: head.status,
            headers: head.headers,
            url,
            body,
            stall: self.stall,
            _place: place,
        })
    }

    /// Sends a request and follows redirects; returns the address that answered in the end.
    ///
    /// `Authorization` goes to the upstream alone. A public server leads to public ones only.
    async fn follow(
        &self,
        client: &Client,
        ask: &Ask<'_>,
        login: Option<&HeaderValue>,
    ) -> Result<(Uri, Response<Incoming>), Error> {
        let (mut url, mut reach) = (ask.url.clone(), Reach::Any);
        for _ in 0..=REDIRECTS {
            let mut request = Request::new(Full::<Bytes>::default());
            *request.method_mut() = ask.method.clone();
            *request.uri_mut() = url.clone();
            request.headers_mut().clone_from(&ask.headers);
            if let Some(login) = login.filter(|_| self.origin.is_at(&url)) {
                request.headers_mut().insert(AUTHORIZATION, login.clone());
            }
            let answer = client.send(request, reach).await?;
            if !matches!(answer.status().as_u16(), 301 | 302 | 303 | 307 | 308) {
                return Ok((url, answer));
            }
            let target = answer.headers().get(LOCATION);
            let target = target.and_then(|target| resolve(&url, target.to_str().ok()?));
            let broken = |sentence: &str| Error::Broken(sentence.to_owned());
            let target = target.ok_or_else(|| broken("it redirects nowhere"))?;
            if !self.origin.is_as_safe(&target) {
                return Err(broken("it redirects to a server without encryption"));
            }
            reach = Reach::of(&answer);
            url = target;
        }
        Err(Error::Redirects(REDIRECTS))
    }
}

/// Returns the servers that the owner has named, which may have any address.
fn exempt(settings: &Settings, origin: &Origin) -> Vec<Server> {
    let named = settings.realms.iter().chain(&settings.private_hosts);
    let named = named.map(|text| Server::parse(text));
    named.chain([origin.server()]).collect()
}

impl From<SendError> for Error {
    fn from(error: SendError) -> Self {
        match error {
            SendError::Forbidden(sentence) => Self::Astray(sentence),
            SendError::Connection(_) | SendError::Http(_) => Self::Unreachable(error.to_string()),
        }
    }
}

fn challenge(headers: &HeaderMap) -> Option<Challenge> {
    let values = headers.get_all(WWW_AUTHENTICATE).iter();
    // a realm may have letters beyond ASCII
    let values = values.map(|value| String::from_utf8_lossy(value.as_bytes()));
    Challenge::choose(values)
}

/// Passes the statuses that carry what was asked for.
fn accept(status: StatusCode, headers: &HeaderMap) -> Result<(), Error> {
    match status {
        StatusCode::OK | StatusCode::PARTIAL_CONTENT | StatusCode::NOT_MODIFIED => Ok(()),
        StatusCode::NOT_FOUND => Err(Error::NotFound),
        StatusCode::FORBIDDEN => Err(Error::Denied),
        StatusCode::TOO_MANY_REQUESTS => Err(Error::TooManyRequests {
            retry_after: retry_after(headers),
        }),
        status if status.is_server_error() => Err(Error::Server(status.as_u16())),
        status => Err(Error::Broken(format!("status {}", status.as_u16()))),
    }
}
