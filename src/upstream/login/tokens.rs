//! Tokens and passwords that go with requests: kept while they are good, and fetched once for all that need them.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use http::header::AUTHORIZATION;
use http::{HeaderValue, Request, StatusCode, Uri};
use http_body_util::{BodyExt, Full, Limited};
use parking_lot::Mutex;
use serde::Deserialize;
use tokio::time::Instant;

use super::challenge::Challenge;
use super::scope::Scope;
use crate::files::regular_file;
use crate::outbound::{Client, Reach, Server};
use crate::threads::blocking;
use crate::upstream::error::Error;
use crate::upstream::origin::{Origin, port};
use crate::upstream::settings::{Credentials, Login, Settings};

/// Maximum size of a token service's answer, in bytes.
const LARGEST: usize = 64 << 10;
/// Lifetime of a token whose service names none (distribution's token specification).
const LIFETIME: u64 = 60;
/// Maximum time for which a token is kept.
const LONGEST: u64 = 3600;
/// Maximum number of repositories whose tokens are kept.
const MOST: usize = 4096;

/// Tokens and passwords of an upstream.
pub(in crate::upstream) struct Tokens {
    logins: Vec<Login>,
    /// Token services that get a login, beside those of the registry itself.
    trusted: Vec<Server>,
    kept: Mutex<HashMap<Scope, Arc<Kept>>>,
}

/// Header of one scope's requests; locked while it is fetched.
type Kept = tokio::sync::Mutex<Option<Access>>;

/// An `Authorization`.
#[derive(Clone)]
struct Access {
    header: HeaderValue,
    /// Time from which on it is fetched again.
    until: Option<Instant>,
}

impl Access {
    fn is_good(&self) -> bool {
        self.until.is_none_or(|until| Instant::now() < until)
    }
}

/// A request that was challenged.
pub(in crate::upstream) struct TokenRequest<'r> {
    pub client: &'r Client,
    pub origin: &'r Origin,
    pub scope: &'r Scope,
    pub challenge: Option<Challenge>,
    /// Addresses to which the challenge may lead.
    pub reach: Reach,
    /// `Authorization` that was refused.
    pub refused: Option<&'r HeaderValue>,
}

/// Answer of a token service.
#[derive(Deserialize)]
struct Answer {
    token: Option<String>,
    access_token: Option<String>,
    expires_in: Option<u64>,
}

impl Tokens {
    pub fn new(settings: &Settings) -> Self {
        let builtin = settings.dialect.realms().iter().copied();
        let named = settings.realms.iter().map(String::as_str);
        Self {
            logins: settings.logins.clone(),
            trusted: builtin.chain(named).map(Server::parse).collect(),
            kept: Mutex::default(),
        }
    }

    /// Reports whether a token service gets the login: it is the very server of the registry, or the owner has named it.
    fn is_trusted(&self, origin: &Origin, url: &Uri) -> bool {
        let is_named = |host| {
            self.trusted
                .iter()
                .any(|known| known.is_at(host, port(url)))
        };
        origin.is_at(url) || url.host().is_some_and(is_named)
    }

    /// Returns the `Authorization` for a request, if one is known.
    pub async fn known(&self, scope: &Scope) -> Option<HeaderValue> {
        let kept = self.kept(scope);
        let access = kept.lock().await;
        Some(
            access
                .as_ref()
                .filter(|access| access.is_good())?
                .header
                .clone(),
        )
    }

    /// Answers a challenge: returns the `Authorization` to try again with.
    ///
    /// # Errors
    /// [`Error::Unauthorized`] if there is nothing else to try, [`Error::Credentials`], and the failures of the token service.
    pub async fn answer(&self, request: &TokenRequest<'_>) -> Result<HeaderValue, Error> {
        let kept = self.kept(request.scope);
        let mut access = kept.lock().await;
        // another request may have got a new one meanwhile
        if let Some(known) = access.as_ref().filter(|access| access.is_good())
            && Some(&known.header) != request.refused
        {
            return Ok(known.header.clone());
        }
        *access = None;
        let fetched = match &request.challenge {
            Some(Challenge::Bearer {
                realm,
                service,
                scope,
            }) => {
                let url = token_url(realm, service.as_deref(), scope.as_deref(), request.scope)?;
                self.fetch(request, url).await?
            }
            Some(Challenge::Basic) => {
                let mut password = self.password(request.scope).await?;
                let is_refused = |access: &Access| Some(&access.header) == request.refused;
                if password.as_ref().is_some_and(is_refused) {
                    // a helper may know another one by now
                    self.forget(request.scope).await;
                    password = self.password(request.scope).await?;
                }
                password
                    .filter(|access| !is_refused(access))
                    .ok_or_else(|| self.refusal(request.scope, "user or password are wrong"))?
            }
            None => return Err(self.refusal(request.scope, "it does not say how it wants it")),
        };
        let header = fetched.header.clone();
        *access = Some(fetched);
        Ok(header)
    }

    /// Returns why a scope is not open: there is no login for it, or it is refused.
    pub fn refusal(&self, scope: &Scope, reason: &str) -> Error {
        match self.has_login(scope) {
            true => Error::Unauthorized(reason.to_owned()),
            false => Error::NoLogin,
        }
    }

    /// Reports whether a password is configured for a scope.
    pub fn has_login(&self, scope: &Scope) -> bool {
        self.login(scope).is_some()
    }

    fn login(&self, scope: &Scope) -> Option<&Login> {
        let fits = |login: &&Login| match (&login.repositories, scope.repository()) {
            (None, _) => true,
            (Some(glob), Some(name)) => glob.matches(name.as_str()),
            (Some(_), None) => false,
        };
        self.logins.iter().find(fits)
    }

    fn kept(&self, scope: &Scope) -> Arc<Kept> {
        let mut kept = self.kept.lock();
        if kept.len() >= MOST && !kept.contains_key(scope) {
            // those that no request holds
            kept.retain(|_, access| Arc::strong_count(access) > 1);
        }
        Arc::clone(kept.entry(scope.clone()).or_default())
    }

    async fn fetch(&self, request: &TokenRequest<'_>, url: Uri) -> Result<Access, Error> {
        if !request.origin.is_as_safe(&url) {
            let sentence = "its token service is not encrypted, although it is itself";
            return Err(Error::Broken(sentence.to_owned()));
        }
        let mut get = Request::new(Full::default());
        let is_trusted = self.is_trusted(request.origin, &url);
        if is_trusted && let Some(password) = self.password(request.scope).await? {
            get.headers_mut().insert(AUTHORIZATION, password.header);
        }
        let place = url.authority().map(ToString::to_string);
        *get.uri_mut() = url;
        let (status, body) = ask(request, get).await?;
        match status {
            StatusCode::OK => {}
            StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => {
                self.forget(request.scope).await;
                let place = place.unwrap_or_default();
                return Err(match is_trusted {
                    true => self.refusal(request.scope, "its token service does not accept it"),
                    false => self.refusal(
                        request.scope,
                        &format!("its token service does not get it, unless realms names {place}"),
                    ),
                });
            }
            StatusCode::TOO_MANY_REQUESTS => {
                return Err(Error::TooManyRequests { retry_after: None });
            }
            status if status.is_server_error() => return Err(Error::Server(status.as_u16())),
            status => {
                return Err(Error::Broken(format!("its token service answers {status}")));
            }
        }
        let broken = || Error::Broken("its token service sends no token".to_owned());
        let answer: Answer = serde_json::from_slice(&body).map_err(|_| broken())?;
        let token = answer
            .token
            .or(answer.access_token)
            .filter(|token| !token.is_empty());
        let header = secret("Bearer ", &token.ok_or_else(broken)?).ok_or_else(broken)?;
        let lifetime = answer.expires_in.unwrap_or(LIFETIME).min(LONGEST);
        // a little earlier, so that it is good when it arrives
        let until = Instant::now() + Duration::from_secs(lifetime - lifetime / 8);
        Ok(Access {
            header,
            until: Some(until),
        })
    }

    /// Forgets what a credential helper has told.
    async fn forget(&self, scope: &Scope) {
        if let Some(Login {
            credentials: Credentials::Helper(helper),
            ..
        }) = self.login(scope)
        {
            helper.forget().await;
        }
    }

    /// Returns the password for a scope, as a header; `None` if none is configured.
    async fn password(&self, scope: &Scope) -> Result<Option<Access>, Error> {
        let Some(login) = self.login(scope) else {
            return Ok(None);
        };
        let (username, password, until) = match login.credentials.clone() {
            Credentials::Given { username, password } => (username, password, None),
            Credentials::Helper(helper) => {
                let told = helper.ask().await?;
                (told.username, told.password, told.until)
            }
            Credentials::PasswordFile { username, path } => {
                let shown = path.display().to_string();
                let read = blocking::run(move || regular_file::read(&path)).await;
                let unreadable = |error: &dyn std::fmt::Display| {
                    Error::Credentials(format!("passwordfile {shown}: {error}"))
                };
                let read = read.map_err(|error| unreadable(&error))?;
                let bytes = read.map_err(|error| unreadable(&error))?;
                let text = String::from_utf8(bytes).map_err(|_| unreadable(&"it is not text"))?;
                (
                    username,
                    text.trim_end_matches(['\r', '\n']).to_owned(),
                    None,
                )
            }
        };
        let header = secret("Basic ", &STANDARD.encode(format!("{username}:{password}")));
        Ok(header.map(|header| Access { header, until }))
    }
}

async fn ask(
    challenged: &TokenRequest<'_>,
    get: Request<Full<bytes::Bytes>>,
) -> Result<(StatusCode, bytes::Bytes), Error> {
    let answer = challenged.client.send(get, challenged.reach).await;
    let answer = answer.map_err(|error| match Error::from(error) {
        Error::Unreachable(sentence) => {
            Error::Unreachable(format!("its token service: {sentence}"))
        }
        error => error,
    })?;
    let status = answer.status();
    if status != StatusCode::OK {
        return Ok((status, bytes::Bytes::new()));
    }
    let body = Limited::new(answer.into_body(), LARGEST).collect().await;
    let broken = |_| Error::Broken("its token service sends too much, or not all of it".to_owned());
    Ok((status, body.map_err(broken)?.to_bytes()))
}

fn token_url(
    realm: &str,
    service: Option<&str>,
    asked: Option<&str>,
    scope: &Scope,
) -> Result<Uri, Error> {
    let mut query = form_urlencoded::Serializer::new(String::new());
    if let Some(service) = service {
        query.append_pair("service", service);
    }
    match asked {
        Some(asked) => query.append_pair("scope", asked),
        None => query.append_pair("scope", &scope.to_string()),
    };
    let separator = if realm.contains('?') { '&' } else { '?' };
    let url = format!("{realm}{separator}{}", query.finish()).parse::<Uri>();
    let url = url.ok().filter(|url| {
        matches!(url.scheme_str(), Some("http" | "https"))
            && url
                .authority()
                .is_some_and(|authority| !authority.as_str().contains('@'))
    });
    url.ok_or_else(|| Error::Broken("its token service has no URL".to_owned()))
}

fn secret(prefix: &str, text: &str) -> Option<HeaderValue> {
    let mut header = HeaderValue::try_from(format!("{prefix}{text}")).ok()?;
    header.set_sensitive(true);
    Some(header)
}
