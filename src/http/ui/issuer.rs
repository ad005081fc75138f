//! Logins at the issuer that the settings name: the browser goes there, and comes back with a code.

use std::time::Duration;

use axum::body::Body;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use http::header::{CACHE_CONTROL, SET_COOKIE, USER_AGENT};
use http::request::Parts;
use http::{HeaderValue, Response, StatusCode};

use crate::auth::{Attempt, IssuerFault, Login, Returned};
use crate::http::api::request::origin;
use crate::http::proxy::client::Client;
use crate::http::response::builder;
use crate::http::response::error::ApiError;
use crate::http::ui::cookies::Cookie;
use crate::http::ui::parameters::{LoginParameters, ReturnParameters};
use crate::http::ui::sessions::Door;

/// Time for which somebody may be at the issuer.
const PATIENCE: Duration = Duration::from_secs(3600);
/// Maximum length of the page to go on to, which is kept in a cookie.
const LONGEST: usize = 2000;

/// Sends a browser to the issuer.
///
/// # Errors
/// Those of the form, which is shown if the issuer cannot be asked.
pub(crate) async fn go(
    door: Door<'_>,
    head: &Parts,
    LoginParameters { to }: &LoginParameters,
) -> Result<Response<Body>, ApiError> {
    let to = to.as_deref().filter(|to| to.len() <= LONGEST);
    let to = to.unwrap_or_default();
    let attempt = Attempt::generate().map_err(|_| ApiError::Panicked)?;
    let settings = door.settings.get();
    let redirect = back(head, door);
    let address = match door.access.begin_at_issuer(&attempt, &redirect).await {
        Ok(address) => address,
        Err(fault) => return refuse(door, head, to, fault).await,
    };
    let value = format!("{}.{}", attempt.text(), URL_SAFE_NO_PAD.encode(to));
    let cookie = Cookie::Attempt.set(head, &settings, &value, PATIENCE);
    Ok(builder::empty(StatusCode::SEE_OTHER)
        .header(SET_COOKIE, cookie)
        .header(CACHE_CONTROL, "no-store")
        .location(address)
        .finish())
}

/// Begins a session for whoever comes back from the issuer.
///
/// # Errors
/// Those of the form, which is shown if the login is not accepted.
pub(crate) async fn come_back(
    door: Door<'_>,
    head: &Parts,
    returned: ReturnParameters,
) -> Result<Response<Body>, ApiError> {
    if door.access.doors().await.issuer.is_none() {
        return Err(ApiError::UnknownPath);
    }
    let settings = door.settings.get();
    let kept = Cookie::Attempt.value(&head.headers, &origin::base(head, &settings));
    let kept = kept.and_then(|value| value.split_once('.'));
    let attempt = kept.and_then(|(secret, _)| Attempt::parse(secret));
    let to = kept.and_then(|(_, to)| URL_SAFE_NO_PAD.decode(to).ok());
    let to = to.and_then(|to| String::from_utf8(to).ok());
    let to = to.unwrap_or_default();
    let client = head.extensions.get::<Client>();
    let login = Login {
        authorization: None,
        address: client.and_then(|client| client.address),
        user_agent: head.headers.get(USER_AGENT).map(|value| value.as_bytes()),
        session: None,
    };
    let redirect = back(head, door);
    let outcome = match &attempt {
        Some(attempt) => {
            let returned = Returned::from(returned);
            let work = door
                .access
                .log_in_by_issuer(login, (attempt, &redirect), returned);
            work.await
        }
        None => Err(IssuerFault::Refused(
            "This browser has begun no login here: begin again.".to_owned(),
        )),
    };
    let mut answer = match outcome {
        Ok(proven) => door.begin(head, proven, &to).await?,
        Err(fault) => refuse(door, head, &to, fault).await?,
    };
    // a code counts once, and so does the attempt
    let gone = Cookie::Attempt.set(head, &settings, "", Duration::ZERO);
    if let Ok(gone) = HeaderValue::from_str(&gone) {
        answer.headers_mut().append(SET_COOKIE, gone);
    }
    Ok(answer)
}

/// Shows the form with what went wrong.
async fn refuse(
    door: Door<'_>,
    head: &Parts,
    to: &str,
    fault: IssuerFault,
) -> Result<Response<Body>, ApiError> {
    let (status, message) = match fault {
        IssuerFault::Off => return Err(ApiError::UnknownPath),
        IssuerFault::Refused(sentence) => (StatusCode::FORBIDDEN, sentence),
        IssuerFault::Unreachable => (
            StatusCode::SERVICE_UNAVAILABLE,
            "The issuer cannot be asked. The log of this registry says why.".to_owned(),
        ),
        IssuerFault::Busy => {
            let wait = Duration::from_secs(1);
            return Err(ApiError::TooManyLogins { wait });
        }
    };
    door.form(head, status, ("", to), Some(&message)).await
}

/// Returns the address to which the issuer sends browsers back.
fn back(head: &Parts, door: Door<'_>) -> String {
    let base = origin::base(head, &door.settings.get());
    format!("{}/ui/login/return", base.trim_end_matches('/'))
}
