//! Logins to the page: a form begins one, and a cookie stands for it. On other paths the cookie is worth nothing.

use std::time::Duration;

use axum::body::Body;
use http::header::{AUTHORIZATION, CACHE_CONTROL, CONTENT_TYPE, COOKIE, SET_COOKIE, USER_AGENT};
use http::request::Parts;
use http::{HeaderMap, Request, Response, StatusCode};
use http_body_util::{BodyExt, Limited};
use percent_encoding::percent_decode_str;
use sha2::{Digest as _, Sha256};
use tokio::time::timeout;

use crate::auth::{Access, FormLogin, Login, Refusal, TokenSecret};
use crate::http::api::request::action::Action;
use crate::http::api::request::actor::actor;
use crate::http::api::request::authorize::SessionProof;
use crate::http::api::request::origin::{self, Unsaid};
use crate::http::endpoint::Right;
use crate::http::limits::{BODY_TIMEOUT, TOKEN_FORM};
use crate::http::proxy::client::Client;
use crate::http::response::builder;
use crate::http::response::error::ApiError;
use crate::http::settings::{LiveSettings, ServerSettings};
use crate::http::ui::answer::site;
use crate::http::ui::call::UiCall;
use crate::http::ui::parameters::LoginParameters;
use crate::registry::{Actor, NewSession, Registry};
use crate::ui::{self, LoginPage};

/// Names of the cookie: over TLS, where no other host can set it, and without.
const SECURE: &str = "__Host-tarkeep";
const PLAIN: &str = "tarkeep";

/// A registry, its logins and the settings of its server.
#[derive(Clone, Copy)]
pub(crate) struct Door<'d> {
    pub registry: &'d Registry,
    pub access: &'d Access,
    pub settings: &'d LiveSettings,
}

impl Door<'_> {
    /// Returns the session that a request for a page names by its cookie; `None` for all others.
    pub(crate) fn named(self, action: &Action, request: &Request<Body>) -> Option<Vec<u8>> {
        let is_asked =
            matches!(action, Action::Ui(_)) && action.endpoint().info().right != Right::Public;
        if !is_asked || request.headers().contains_key(AUTHORIZATION) {
            return None;
        }
        let settings = self.settings.get();
        let client = request.extensions().get::<Client>();
        let url = &settings.external_url;
        let base = url.absolute(request.uri(), request.headers(), client);
        cookie(request.headers(), cookie_name(&base))
    }

    /// Finds a session, and notes what it proves.
    ///
    /// # Errors
    /// Those of the database.
    pub(crate) async fn recognise(
        self,
        session: Vec<u8>,
        request: &mut Request<Body>,
    ) -> Result<(), ApiError> {
        if let Some(proof) = self.registry.sessions().use_of(session).await? {
            request.extensions_mut().insert(SessionProof(proof));
        }
        Ok(())
    }

    /// Answers what is about logins.
    ///
    /// # Errors
    /// A form of another page, one that cannot be read, and those of the database.
    pub(crate) async fn answer(
        self,
        call: &UiCall,
        head: &Parts,
        body: Body,
    ) -> Result<Response<Body>, ApiError> {
        match call {
            UiCall::LoginForm(LoginParameters { to }) => {
                let to = to.as_deref().unwrap_or_default();
                self.form(head, StatusCode::OK, ("", to), None).await
            }
            UiCall::LogIn => self.log_in(head, body).await,
            UiCall::LogOut => self.log_out(head).await,
            _ => Err(ApiError::UnknownPath),
        }
    }

    async fn form(
        self,
        head: &Parts,
        status: StatusCode,
        (user, to): (&str, &str),
        message: Option<&str>,
    ) -> Result<Response<Body>, ApiError> {
        let settings = self.settings.get();
        let client = head.extensions.get::<Client>();
        let site = site(&head.uri, &head.headers, client, &settings);
        let page = LoginPage {
            user,
            to,
            message,
            has_logins: self.access.can_log_in().await,
            times: self.registry.settings().sessions,
        };
        let page = ui::login(&site, &page)?;
        let answer = builder::empty(status)
            .header(CACHE_CONTROL, "no-store")
            .header(CONTENT_TYPE, "text/html; charset=utf-8")
            .text(page.timed(Duration::ZERO));
        Ok(answer.map(Body::from))
    }

    async fn log_in(self, head: &Parts, body: Body) -> Result<Response<Body>, ApiError> {
        origin::check(head, &self.settings.get(), Unsaid::Refused)?;
        let form = form_body(body).await?;
        let field = |name: &str| {
            let mut fields = form_urlencoded::parse(&form);
            let found = fields.find(|(key, _)| key == name);
            found.map_or_else(String::new, |(_, value)| value.into_owned())
        };
        let (user, password, to) = (field("user"), field("password"), field("to"));
        let client = head.extensions.get::<Client>();
        let login = Login {
            authorization: None,
            address: client.and_then(|client| client.address),
            user_agent: head.headers.get(USER_AGENT).map(|value| value.as_bytes()),
            session: None,
        };
        let refusal = match self.access.log_in(login, &user, &password).await {
            Ok(proven) => return self.begin(head, proven, &to).await,
            Err(refusal) => refusal,
        };
        let again = (&*user, &*to);
        match refusal {
            Refusal::TooMany { wait } => Err(ApiError::TooManyLogins { wait }),
            Refusal::Challenge { message, .. } => {
                let wrong = "This user and password, or this token, are wrong.";
                let message = message.as_deref().unwrap_or(wrong);
                let status = StatusCode::FORBIDDEN;
                self.form(head, status, again, Some(message)).await
            }
            _ => Err(ApiError::LoginUnchecked),
        }
    }

    /// Begins a session, whatever came before it: nobody goes on with one that somebody else has begun.
    async fn begin(
        self,
        head: &Parts,
        login: FormLogin,
        to: &str,
    ) -> Result<Response<Body>, ApiError> {
        let secret = TokenSecret::generate().map_err(|_| ApiError::Panicked)?;
        let value = secret.text().trim_start_matches("tk_");
        let settings = self.settings.get();
        let session = NewSession {
            hash: hash_of(value),
            owner: login.name.clone(),
            proof: login.proof,
        };
        let actor = Actor {
            name: Some(login.name),
            credential: login.credential,
            ..actor(head)
        };
        let sessions = self.registry.sessions();
        let name = cookie_name(&origin::base(head, &settings));
        if let Some(former) = cookie(&head.headers, name) {
            sessions.end(former, actor.clone()).await?;
        }
        sessions.begin(session, actor).await?;
        let lifetime = self.registry.settings().sessions.lifetime;
        let cookie = set_cookie(head, &settings, value, lifetime);
        Ok(builder::empty(StatusCode::SEE_OTHER)
            .header(SET_COOKIE, cookie)
            .header(CACHE_CONTROL, "no-store")
            .location(format!("/ui/{}", onward(to)))
            .finish())
    }

    async fn log_out(self, head: &Parts) -> Result<Response<Body>, ApiError> {
        let settings = self.settings.get();
        origin::check(head, &settings, Unsaid::Refused)?;
        let name = cookie_name(&origin::base(head, &settings));
        if let Some(hash) = cookie(&head.headers, name) {
            self.registry.sessions().end(hash, actor(head)).await?;
        }
        Ok(builder::empty(StatusCode::SEE_OTHER)
            .header(SET_COOKIE, set_cookie(head, &settings, "", Duration::ZERO))
            .header(CACHE_CONTROL, "no-store")
            .location("/ui/")
            .finish())
    }
}

fn set_cookie(head: &Parts, settings: &ServerSettings, value: &str, lifetime: Duration) -> String {
    let seconds = lifetime.as_secs();
    match cookie_name(&origin::base(head, settings)) {
        SECURE => {
            format!("{SECURE}={value}; Path=/; Max-Age={seconds}; HttpOnly; SameSite=Lax; Secure")
        }
        name => {
            let prefix = settings.external_url.prefix().as_str();
            format!("{name}={value}; Path={prefix}/ui; Max-Age={seconds}; HttpOnly; SameSite=Lax")
        }
    }
}

/// Returns the name of the cookie at an address: over TLS none counts that another host may have set.
fn cookie_name(base: &str) -> &'static str {
    match base.starts_with("https:") {
        true => SECURE,
        false => PLAIN,
    }
}

/// Returns the hash of the cookie of that name.
fn cookie(headers: &HeaderMap, name: &str) -> Option<Vec<u8>> {
    let values = headers.get_all(COOKIE).iter();
    let values = values.filter_map(|value| value.to_str().ok());
    let pairs = values.flat_map(|value| value.split(';'));
    let mut pairs = pairs.filter_map(|pair| pair.trim().split_once('='));
    let own = pairs.find(|(found, value)| *found == name && !value.is_empty());
    own.map(|(_, value)| hash_of(value))
}

/// A fast hash: nobody guesses 256 random bits.
fn hash_of(value: &str) -> Vec<u8> {
    Sha256::digest(value).to_vec()
}

/// Returns the page to go on to, below `/ui/`; the first one for whatever leads elsewhere.
fn onward(to: &str) -> &str {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~/@:?=&%+*".contains(&byte);
    // browsers take %2e for a dot
    let path = to.split('?').next().unwrap_or_default();
    let path = percent_decode_str(path).decode_utf8_lossy();
    let is_below = !path.starts_with('/') && !path.split('/').any(|part| part == "..");
    match is_below && to.bytes().all(is_plain) {
        true => to,
        false => "",
    }
}

/// Reads a form, which is small.
async fn form_body(body: Body) -> Result<Vec<u8>, ApiError> {
    let malformed = |cause: &dyn std::fmt::Display| {
        ApiError::Parameter(format!("cannot read the form: {cause}"))
    };
    let whole = timeout(BODY_TIMEOUT, Limited::new(body, TOKEN_FORM).collect()).await;
    let whole = whole.map_err(|_| malformed(&"it took too long to arrive"))?;
    let whole = whole.map_err(|error| malformed(&error))?;
    Ok(whole.to_bytes().to_vec())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_leads_elsewhere() {
        for (to, page) in [
            ("", ""),
            ("r/team/app?sort=size", "r/team/app?sort=size"),
            ("//evil.example", ""),
            ("/evil", ""),
            ("../v2/", ""),
            ("a/../../v2/", ""),
            ("%2e%2E/v2/", ""),
            ("a/.%2e/%2e./v2/", ""),
            ("%2Fevil", ""),
            (
                "compare?from=a:1..2&to=..%2f",
                "compare?from=a:1..2&to=..%2f",
            ),
            ("r\\evil", ""),
            ("r\r\nSet-Cookie: a=b", ""),
        ] {
            assert_eq!(onward(to), page, "{to:?}");
        }
    }

    #[test]
    fn a_cookie_is_found_among_others() {
        let mut headers = HeaderMap::new();
        assert_eq!(cookie(&headers, PLAIN), None);
        let value = http::HeaderValue::from_static("a=b; tarkeep=secret; __Host-tarkeep=other");
        headers.insert(COOKIE, value);
        assert_eq!(cookie(&headers, PLAIN), Some(hash_of("secret")));
        assert_eq!(cookie(&headers, SECURE), Some(hash_of("other")));
        assert_eq!(cookie_name("https://r.example/"), SECURE);
        assert_eq!(cookie_name("http://r.example/"), PLAIN);
    }
}
