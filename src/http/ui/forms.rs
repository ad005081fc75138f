//! Changes by forms: deleting, bringing back, tokens, and deliveries that are sent again.

use axum::body::Body;
use http::header::CACHE_CONTROL;
use http::request::Parts;
use http::{Response, StatusCode};
use serde_json::Value;

use crate::auth::{Permission, Scope};
use crate::http::api::request::actor::actor;
use crate::http::api::request::body::Form;
use crate::http::api::request::origin::{self, Unsaid};
use crate::http::api::request::upstream_ways::check_pushed;
use crate::http::api_v1::changes::resend;
use crate::http::api_v1::promotions;
use crate::http::response::builder;
use crate::http::response::error::ApiError;
use crate::http::settings::ServerSettings;
use crate::http::ui::answer::reader;
use crate::http::ui::call::UiCall;
use crate::http::ui::changes::{is_somebody, may_move_tags};
use crate::http::ui::sessions::Door;
use crate::http::ui::{several, shown, tokens};
use crate::oci::{Digest, RepositoryName, TagName};
use crate::registry::{Error, ManifestReference, Precondition, RestoreTarget};
use crate::report::{self, Outcome, Selection, Undo};
use crate::ui::{self, Seen};

/// Makes a change, and answers with what came of it.
///
/// # Errors
/// A form of another page, a passer-by, and those of the change.
pub(crate) async fn answer(
    door: Door<'_>,
    call: &UiCall,
    head: &Parts,
    body: Body,
) -> Result<Response<Body>, ApiError> {
    let settings = door.settings.get();
    origin::check(head, &settings, Unsaid::Refused)?;
    check_somebody(door, head, &settings)?;
    match call {
        UiCall::Delete { name, reference } => delete(door, name, reference, head, body).await,
        UiCall::Restore {
            name,
            reference,
            to,
        } => {
            restore(door, (name, reference), to.as_ref(), head).await?;
            Ok(builder::empty(StatusCode::SEE_OTHER)
                .header(CACHE_CONTROL, "no-store")
                .location(format!("/ui/images/{name}/{reference}"))
                .finish())
        }
        UiCall::DeleteSeveral { name } => several::delete(door, name, head, body).await,
        UiCall::RestoreSeveral { name } => several::restore(door, name, head, body).await,
        UiCall::TokenCreate => tokens::create(door, head, body).await,
        UiCall::TokenChange { token } => tokens::change(door, token, head, body).await,
        UiCall::Keep => keep(door, head, body).await,
        UiCall::Resend { event } => {
            let missing = || ApiError::Parameter("the form names no webhook".to_owned());
            let form = Form::read(body).await?;
            let webhook = form.text("webhook").ok_or_else(missing)?;
            resend(door.registry, *event, &webhook).await?;
            Ok(builder::empty(StatusCode::SEE_OTHER)
                .header(CACHE_CONTROL, "no-store")
                .location("/ui/webhooks")
                .finish())
        }
        _ => Err(ApiError::UnknownPath),
    }
}

/// Rejects a change by a passer-by where nobody ever logs in, unless they are on this machine or the settings allow it.
fn check_somebody(door: Door<'_>, head: &Parts, settings: &ServerSettings) -> Result<(), ApiError> {
    match is_somebody(door.access, settings, head) {
        true => Ok(()),
        false => Err(ApiError::AnonymousChange),
    }
}

/// Brings back what was deleted, or a former state of a tag.
async fn restore(
    door: Door<'_>,
    (name, reference): (&RepositoryName, &ManifestReference),
    to: Option<&Digest>,
    head: &Parts,
) -> Result<(), ApiError> {
    let actor = actor(head);
    match (reference, to) {
        (ManifestReference::Tag(tag), Some(digest)) => {
            if !may_move_tags(door.access, &door.settings.get(), head, name) {
                let scope = Scope::repository(name, Permission::Push);
                return Err(ApiError::Denied(scope));
            }
            let (tags, to) = (door.registry.tags(), RestoreTarget::Digest(digest.clone()));
            tags.restore(name, tag, to, actor).await?;
        }
        _ => {
            let _: Value = report::restore(door.registry, name, reference, actor).await?;
        }
    }
    Ok(())
}

/// Deletes what the form showed; a tag that was moved meanwhile is shown again.
async fn delete(
    door: Door<'_>,
    name: &RepositoryName,
    reference: &ManifestReference,
    head: &Parts,
    body: Body,
) -> Result<Response<Body>, ApiError> {
    let registry = door.registry;
    let seen = Form::read(body).await?.text("digest");
    let selection = Selection::of(registry, name, reference).await?;
    let report = report::foresee_deletion(registry, selection).await?;
    let undo = Undo::of(&report.selection, "", &registry.settings().retention);
    let reader = reader(door.access, &door.settings.get(), head, Some(name)).await;
    let deleted = match reference {
        ManifestReference::Tag(_) => {
            let missing = || ApiError::Parameter("the form has no digest".to_owned());
            let seen = Digest::parse(&seen.ok_or_else(missing)?)?;
            let (manifests, condition) = (registry.manifests(), Precondition::is(&seen));
            manifests
                .delete(name, reference, condition, actor(head))
                .await
        }
        ManifestReference::Digest(_) => report.delete(registry, actor(head)).await,
    };
    match deleted {
        Err(Error::PreconditionFailed) => {
            let page = ui::delete(registry, &reader, name, reference, Seen::Moved).await?;
            Ok(shown::once(StatusCode::CONFLICT, &page))
        }
        deleted => {
            deleted?;
            let done = report.item(&Outcome::Done(undo), registry, &reader.viewer);
            let page = ui::deleted(&reader, name, reference, &done)?;
            Ok(shown::once(StatusCode::OK, &page))
        }
    }
}

/// Makes a cached image one's own, and shows it.
async fn keep(door: Door<'_>, head: &Parts, body: Body) -> Result<Response<Body>, ApiError> {
    let form = Form::read(body).await?;
    let field = |name: &str| {
        let missing = || ApiError::Parameter(format!("the form has no {name}"));
        form.text(name).ok_or_else(missing)
    };
    let (source, target) = (field("source")?, field("target")?);
    let (name, tag) = target.split_once(':').unwrap_or((&target, "latest"));
    let (name, tag) = (RepositoryName::parse(name)?, TagName::parse(tag)?);
    // the path does not name it
    check_pushed(&name, door.mirrors, door.registry).await?;
    promotions::keep(door.registry, (&name, &tag), &source, head).await?;
    Ok(builder::empty(StatusCode::SEE_OTHER)
        .header(CACHE_CONTROL, "no-store")
        .location(format!("/ui/images/{name}/{tag}"))
        .finish())
}
