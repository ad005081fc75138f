//! Logins to the page: a form begins one, and a cookie stands for it. On other paths the cookie is worth nothing.

use std::time::Duration;

use axum::body::Body;
use http::header::{
    AUTHORIZATION, CACHE_CONTROL, CONTENT_TYPE, COOKIE, HeaderName, ORIGIN, SET_COOKIE, USER_AGENT,
};
use http::request::Parts;
use http::{HeaderMap, Request, Response, StatusCode};
use http_body_util::{BodyExt, Limited};
use sha2::{Digest as _, Sha256};
use tokio::time::timeout;

use crate::auth::{Access, Login, Refusal, TokenSecret};
use crate::http::api::request::action::Action;
use crate::http::api::request::actor::actor;
use crate::http::api::request::authorize::SessionProof;
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
/// Page from which a browser sends a request, in its own words.
const SEC_FETCH_SITE: HeaderName = HeaderName::from_static("sec-fetch-site");

/// A registry, its logins and the settings of its server.
#[derive(Clone, Copy)]
pub(crate) struct Door<'d> {
    pub registry: &'d Registry,
    pub access: &'d Access,
    pub settings: &'d LiveSettings,
}

impl Door<'_> {
    /// Finds the session of a request for a page, and notes what it proves.
    ///
    /// # Errors
    /// Those of the database.
    pub(crate) async fn recognise(
        self,
        action: &Action,
        request: &mut Request<Body>,
    ) -> Result<(), ApiError> {
        let is_page = matches!(action, Action::Ui(_));
        if !is_page || request.headers().contains_key(AUTHORIZATION) {
            return Ok(());
        }
        let Some(hash) = cookie(request.headers()) else {
            return Ok(());
        };
        let times = self.settings.load().sessions;
        if let Some(proof) = self.registry.sessions().use_of(hash, times).await? {
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
            times: settings.sessions,
        };
        let page = ui::login(&site, &page)?;
        let answer = builder::empty(status)
            .header(CACHE_CONTROL, "no-store")
            .header(CONTENT_TYPE, "text/html; charset=utf-8")
            .text(page.timed(Duration::ZERO));
        Ok(answer.map(Body::from))
    }

    async fn log_in(self, head: &Parts, body: Body) -> Result<Response<Body>, ApiError> {
        check_site(head, &self.settings.get())?;
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
        (owner, proof): (String, String),
        to: &str,
    ) -> Result<Response<Body>, ApiError> {
        let secret = TokenSecret::generate().map_err(|_| ApiError::Panicked)?;
        let value = secret.text().trim_start_matches("tk_");
        let settings = self.settings.get();
        let times = settings.sessions;
        let session = NewSession {
            hash: hash_of(value),
            owner: owner.clone(),
            proof,
            times,
        };
        let actor = Actor {
            name: Some(owner),
            ..actor(head)
        };
        let sessions = self.registry.sessions();
        if let Some(former) = cookie(&head.headers) {
            sessions.end(former, actor.clone()).await?;
        }
        sessions.begin(session, actor).await?;
        let cookie = set_cookie(head, &settings, value, times.lifetime);
        Ok(builder::empty(StatusCode::SEE_OTHER)
            .header(SET_COOKIE, cookie)
            .header(CACHE_CONTROL, "no-store")
            .location(format!("/ui/{}", onward(to)))
            .finish())
    }

    async fn log_out(self, head: &Parts) -> Result<Response<Body>, ApiError> {
        let settings = self.settings.get();
        check_site(head, &settings)?;
        if let Some(hash) = cookie(&head.headers) {
            self.registry.sessions().end(hash, actor(head)).await?;
        }
        Ok(builder::empty(StatusCode::SEE_OTHER)
            .header(SET_COOKIE, set_cookie(head, &settings, "", Duration::ZERO))
            .header(CACHE_CONTROL, "no-store")
            .location("/ui/")
            .finish())
    }
}

/// Rejects a form of another origin, which a browser sends with whatever rights it has here. Browsers say where it is from.
pub(super) fn check_site(head: &Parts, settings: &ServerSettings) -> Result<(), ApiError> {
    let is_own = match (head.headers.get(SEC_FETCH_SITE), head.headers.get(ORIGIN)) {
        (Some(site), _) => site == "same-origin" || site == "none",
        (None, Some(origin)) => {
            let base = base(head, settings);
            let own = base.match_indices('/').nth(2).map(|(end, _)| &base[..end]);
            origin == own.unwrap_or(&base)
        }
        (None, None) => false,
    };
    match is_own {
        true => Ok(()),
        false => Err(ApiError::ForeignSite),
    }
}

/// Address of the registry, as the browser knows it.
fn base(head: &Parts, settings: &ServerSettings) -> String {
    let client = head.extensions.get::<Client>();
    settings
        .external_url
        .absolute(&head.uri, &head.headers, client)
}

fn set_cookie(head: &Parts, settings: &ServerSettings, value: &str, lifetime: Duration) -> String {
    let seconds = lifetime.as_secs();
    match base(head, settings).starts_with("https:") {
        true => {
            format!("{SECURE}={value}; Path=/; Max-Age={seconds}; HttpOnly; SameSite=Lax; Secure")
        }
        false => {
            let prefix = settings.external_url.prefix().as_str();
            format!("{PLAIN}={value}; Path={prefix}/ui; Max-Age={seconds}; HttpOnly; SameSite=Lax")
        }
    }
}

/// Returns the hash of the cookie of a request.
fn cookie(headers: &HeaderMap) -> Option<Vec<u8>> {
    let values = headers.get_all(COOKIE).iter();
    let values = values.filter_map(|value| value.to_str().ok());
    let pairs = values.flat_map(|value| value.split(';'));
    let mut pairs = pairs.filter_map(|pair| pair.trim().split_once('='));
    let own = pairs.find(|(name, value)| [SECURE, PLAIN].contains(name) && !value.is_empty());
    own.map(|(_, value)| hash_of(value))
}

/// A fast hash: nobody guesses 256 random bits.
fn hash_of(value: &str) -> Vec<u8> {
    Sha256::digest(value).to_vec()
}

/// Returns the page to go on to, below `/ui/`; the first one for whatever leads elsewhere.
fn onward(to: &str) -> &str {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~/@:?=&%+*".contains(&byte);
    let is_below = !to.starts_with('/') && !to.split('/').any(|part| part == "..");
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
            ("r\\evil", ""),
            ("r\r\nSet-Cookie: a=b", ""),
        ] {
            assert_eq!(onward(to), page, "{to:?}");
        }
    }

    #[test]
    fn a_cookie_is_found_among_others() {
        let mut headers = HeaderMap::new();
        assert_eq!(cookie(&headers), None);
        let value = http::HeaderValue::from_static("a=b; tarkeep=secret; c=d");
        headers.insert(COOKIE, value);
        assert_eq!(cookie(&headers), Some(hash_of("secret")));
    }
}
