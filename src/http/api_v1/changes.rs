//! Changes: deleting and restoring, tokens, and deliveries that are sent again.

use axum::body::Body;
use http::request::Parts;
use serde::Deserialize;
use serde_json::{Value, json};

use crate::auth::Access;
use crate::http::api::request::actor::actor;
use crate::http::api::request::body;
use crate::http::api::request::origin::{self, Unsaid};
use crate::http::api_v1::call::ApiCall;
use crate::http::api_v1::promotions::{self, SourceBody};
use crate::http::api_v1::seen::viewer;
use crate::http::response::error::ApiError;
use crate::http::settings::ServerSettings;
use crate::registry::Registry;
use crate::report::{
    self, MadeSecret, OVERLAP, Outcome, Selection, TokenChangeError, TokenWords, Undo,
};

/// Token to be made.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct NewTokenBody {
    name: String,
    #[serde(default)]
    repositories: Vec<String>,
    #[serde(default)]
    may: Vec<String>,
    user: Option<String>,
    expires: Option<String>,
}

/// Rotation of a token.
#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct RotationBody {
    overlap: Option<String>,
    expires: Option<String>,
}

/// Makes a change, and returns the object that says so.
pub(super) async fn run(
    registry: &Registry,
    access: &Access,
    settings: &ServerSettings,
    call: &ApiCall,
    head: &Parts,
    body: Body,
) -> Result<Value, ApiError> {
    origin::check(head, settings, Unsaid::Accepted)?;
    match call {
        ApiCall::Delete { name, reference } => {
            let selection = Selection::of(registry, name, reference).await?;
            delete(registry, selection, head).await
        }
        ApiCall::DeleteAll { name, tags } => {
            let selection = Selection::within(registry, name, tags.as_ref()).await?;
            delete(registry, selection, head).await
        }
        ApiCall::Restore { name, reference } => {
            Ok(report::restore(registry, name, reference, actor(head)).await?)
        }
        ApiCall::RestoreAll { name } => {
            Ok(report::restore_all(registry, name, &actor(head)).await?)
        }
        ApiCall::Promote { name, tag } => {
            let SourceBody { source } = body::object(head, body).await?;
            let promoted = promotions::promote(registry, (name, tag), &source, head).await?;
            Ok(json!(promoted))
        }
        ApiCall::Keep { name, tag } => {
            let SourceBody { source } = body::object(head, body).await?;
            Ok(json!(
                promotions::keep(registry, (name, tag), &source, head).await?
            ))
        }
        ApiCall::TokenCreate => create_token(registry, access, head, body).await,
        ApiCall::TokenRotate { token } => rotate_token(registry, token, head, body).await,
        ApiCall::TokenRevoke { token } => {
            Ok(report::revoke_token(registry, token, actor(head)).await?)
        }
        ApiCall::Resend { event, webhook } => resend(registry, *event, webhook).await,
        _ => Err(ApiError::UnknownPath),
    }
}

async fn delete(
    registry: &Registry,
    selection: Selection,
    head: &Parts,
) -> Result<Value, ApiError> {
    let report = report::foresee_deletion(registry, selection).await?;
    let undo = Undo::of(&report.selection, "", &registry.settings().retention);
    report.delete(registry, actor(head)).await?;
    let outcome = Outcome::Done(undo);
    Ok(json!(report.item(&outcome, registry, &viewer(head))))
}

async fn create_token(
    registry: &Registry,
    access: &Access,
    head: &Parts,
    body: Body,
) -> Result<Value, ApiError> {
    let body: NewTokenBody = body::object(head, body).await?;
    let words = TokenWords {
        name: body.name,
        repositories: body.repositories,
        may: body.may,
        user: body.user,
        expires: body.expires,
    };
    let made = make_token(registry, access, &words, head).await?;
    Ok(json!(made))
}

/// Makes a token, for users who can log in alone.
///
/// # Errors
/// Malformed words, and those of the registry.
pub(in crate::http) async fn make_token(
    registry: &Registry,
    access: &Access,
    words: &TokenWords,
    head: &Parts,
) -> Result<MadeSecret, TokenChangeError> {
    let (token, _) = words.parse()?;
    if let Some(user) = &token.owner
        && !access.is_user(user).await
    {
        return Err(TokenChangeError::Words(format!(
            "nobody logs in as '{user}' with a password, so nobody could use this token: add the user, or leave it out"
        )));
    }
    report::create_token(registry, token, actor(head)).await
}

async fn rotate_token(
    registry: &Registry,
    token: &str,
    head: &Parts,
    body: Body,
) -> Result<Value, ApiError> {
    let body: RotationBody = body::object(head, body).await?;
    let overlap = body.overlap.as_deref().unwrap_or(OVERLAP);
    let expires = body.expires.as_deref();
    let rotated = report::rotate_token(registry, token, overlap, expires, actor(head)).await?;
    Ok(json!(rotated))
}

/// Has an event delivered again.
///
/// # Errors
/// [`ApiError::DeliveryUnknown`], and those of the database.
pub(in crate::http) async fn resend(
    registry: &Registry,
    event: i64,
    webhook: &str,
) -> Result<Value, ApiError> {
    if !registry.outbox().resend(webhook, event).await? {
        return Err(ApiError::DeliveryUnknown {
            event,
            webhook: webhook.to_owned(),
        });
    }
    Ok(json!({ "webhook": webhook, "event": event, "state": "waiting" }))
}

impl From<TokenChangeError> for ApiError {
    fn from(error: TokenChangeError) -> Self {
        match error {
            TokenChangeError::Words(sentence) => Self::Parameter(sentence),
            TokenChangeError::Secret(_) => Self::Panicked,
            TokenChangeError::Registry(error) => error.into(),
        }
    }
}
