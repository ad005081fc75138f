//! The token service: `GET` and `POST` of `/v2/_token` (distribution's `docs/content/spec/auth/{token,oauth}.md`).

use axum::body::Body;
use http::header::{AUTHORIZATION, CACHE_CONTROL, USER_AGENT};
use http::request::Parts;
use http::{Response, StatusCode};
use serde_json::json;

use crate::auth::{Access, Login, RequiredScopes, TokenRequest};
use crate::http::api::request::authorize::refused;
use crate::http::api::request::body::{self, BodyFault};
use crate::http::limits::TOKEN_FORM;
use crate::http::proxy::client::Client;
use crate::http::response::builder;
use crate::http::response::error::ApiError;

/// Answers a `GET`: credentials are in its header, or there are none.
pub(crate) async fn get(
    access: &Access,
    scopes: &[String],
    head: &Parts,
) -> Result<Response<Body>, ApiError> {
    issue(access, None, scopes, head).await
}

/// Answers a `POST` of a form in the way of OAuth 2.
pub(crate) async fn post(
    access: &Access,
    head: &Parts,
    body: Body,
) -> Result<Response<Body>, ApiError> {
    let form = Form::parse(&read(body).await?)?;
    issue(access, form.credentials, &form.scopes, head).await
}

async fn issue(
    access: &Access,
    credentials: Option<(String, Vec<u8>)>,
    scopes: &[String],
    head: &Parts,
) -> Result<Response<Body>, ApiError> {
    let client = head.extensions.get::<Client>();
    let login = Login {
        authorization: head
            .headers
            .get(AUTHORIZATION)
            .map(|value| value.as_bytes()),
        address: client.and_then(|client| client.address),
        user_agent: head.headers.get(USER_AGENT).map(|value| value.as_bytes()),
        session: None,
    };
    let request = TokenRequest {
        login,
        credentials,
        scopes,
    };
    let issued = access.issue(request).await;
    let issued = issued.map_err(|refusal| refused(refusal, RequiredScopes::default()))?;
    // clients read one of two names
    let answer = json!({
        "token": issued.text,
        "access_token": issued.text,
        "expires_in": issued.lifetime,
        "issued_at": builder::time(issued.issued_at),
    });
    let mut response = builder::json(StatusCode::OK, answer.to_string());
    let no_store = http::HeaderValue::from_static("no-store");
    response.headers_mut().insert(CACHE_CONTROL, no_store);
    Ok(response)
}

/// Reads a form, which is small.
async fn read(body: Body) -> Result<Vec<u8>, ApiError> {
    let whole = body::whole(body, TOKEN_FORM).await;
    whole.map(Vec::from).map_err(|fault| match fault {
        BodyFault::Long(_) => ApiError::TokenFormTooLarge,
        other => ApiError::TokenForm(other.to_string()),
    })
}

/// Form of a request for a token.
struct Form {
    credentials: Option<(String, Vec<u8>)>,
    scopes: Vec<String>,
}

impl Form {
    /// Parses a form. A refresh token counts as a password, because there are none: clients keep passwords there.
    fn parse(bytes: &[u8]) -> Result<Self, ApiError> {
        let all = |key: &str| -> Vec<String> {
            let pairs = form_urlencoded::parse(bytes);
            let values = pairs.filter(|(name, _)| name == key);
            values.map(|(_, value)| value.into_owned()).collect()
        };
        let first = |key: &str| all(key).into_iter().next();
        let credentials = match first("grant_type").as_deref() {
            None | Some("password") => first("username").zip(first("password")),
            Some("refresh_token") => first("refresh_token").map(|token| (String::new(), token)),
            Some(other) => {
                return Err(ApiError::TokenForm(format!(
                    "grant_type is password or refresh_token, not '{other}'"
                )));
            }
        };
        Ok(Self {
            credentials: credentials.map(|(user, password)| (user, password.into_bytes())),
            scopes: all("scope"),
        })
    }
}
