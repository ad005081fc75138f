//! Logins to the page: a form begins one, and a cookie stands for it. On other paths the cookie is worth nothing.

use std::time::Duration;

use axum::body::Body;
use http::header::{AUTHORIZATION, CACHE_CONTROL, CONTENT_TYPE, REFRESH, SET_COOKIE, USER_AGENT};
use http::request::Parts;
use http::{Request, Response, StatusCode};
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
use crate::http::settings::LiveSettings;
use crate::http::ui::answer::site;
use crate::http::ui::call::UiCall;
use crate::http::ui::cookies::Cookie;
use crate::http::ui::parameters::LoginParameters;
use crate::mirror::Mirrors;
use crate::registry::{Actor, NewSession, Registry};
use crate::ui::{self, LoginPage};

/// A registry, its logins and the settings of its server.
#[derive(Clone, Copy)]
pub(crate) struct Door<'d> {
    pub registry: &'d Registry,
    pub access: &'d Access,
    pub settings: &'d LiveSettings,
    pub mirrors: &'d Mirrors,
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
        let value = Cookie::Session.value(request.headers(), &base);
        value.map(hash_of)
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

    pub(super) async fn form(
        self,
        head: &Parts,
        status: StatusCode,
        (user, to): (&str, &str),
        message: Option<&str>,
    ) -> Result<Response<Body>, ApiError> {
        let settings = self.settings.get();
        let client = head.extensions.get::<Client>();
        let site = site(&head.uri, &head.headers, client, &settings);
        let doors = self.access.doors().await;
        let page = LoginPage {
            user,
            to,
            message,
            has_form: doors.has_form,
            issuer: doors.issuer.as_deref(),
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
    pub(super) async fn begin(
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
        let former = Cookie::Session.value(&head.headers, &origin::base(head, &settings));
        if let Some(former) = former {
            sessions.end(hash_of(former), actor.clone()).await?;
        }
        sessions.begin(session, actor).await?;
        let lifetime = self.registry.settings().sessions.lifetime;
        let cookie = Cookie::Session.set(head, &settings, value, lifetime);
        Ok(builder::empty(StatusCode::SEE_OTHER)
            .header(SET_COOKIE, cookie)
            .header(CACHE_CONTROL, "no-store")
            .location(format!("/ui/{}", onward(to)))
            .finish())
    }

    async fn log_out(self, head: &Parts) -> Result<Response<Body>, ApiError> {
        let settings = self.settings.get();
        origin::check(head, &settings, Unsaid::Refused)?;
        let base = origin::base(head, &settings);
        let mut ended = None;
        if let Some(value) = Cookie::Session.value(&head.headers, &base) {
            let sessions = self.registry.sessions();
            ended = sessions.end(hash_of(value), actor(head)).await?;
        }
        let back = format!("{}/ui/", base.trim_end_matches('/'));
        let issuer = match &ended {
            Some(proof) => self.access.end_at_issuer(proof, &back).await,
            None => None,
        };
        let gone = Cookie::Session.set(head, &settings, "", Duration::ZERO);
        let status = match issuer {
            Some(_) => StatusCode::OK,
            None => StatusCode::SEE_OTHER,
        };
        let answer = builder::empty(status)
            .header(SET_COOKIE, gone)
            .header(CACHE_CONTROL, "no-store");
        let Some((label, address)) = issuer else {
            return Ok(answer.location("/ui/").finish());
        };
        let client = head.extensions.get::<Client>();
        let site = site(&head.uri, &head.headers, client, &settings);
        let page = ui::left(&site, &label, &address)?;
        // the form of this page may lead nowhere else, not even by a redirect
        let answer = answer
            .header(REFRESH, format!("0; url={address}"))
            .header(CONTENT_TYPE, "text/html; charset=utf-8")
            .text(page.timed(Duration::ZERO));
        Ok(answer.map(Body::from))
    }
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
}
