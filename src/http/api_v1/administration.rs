//! Reports for administrators: the audit log, tokens, webhooks, upstreams and quotas.

use crate::auth::Access;
use crate::http::api_v1::lists::Made;
use crate::http::api_v1::parameters::{AuditParameters, DeliveryParameters, TokenParameters};
use crate::http::response::error::ApiError;
use crate::registry::Registry;
use crate::report::{self, Tokens, Viewer};

pub(super) async fn audit(
    registry: &Registry,
    viewer: &Viewer,
    parameters: &AuditParameters,
) -> Result<Made, ApiError> {
    let (query, limit) = parameters.query()?;
    let last = parameters.last.as_deref();
    let page = report::audit(registry, &query, viewer, last, limit).await?;
    Ok(Made::page("events", page))
}

pub(super) async fn tokens(
    registry: &Registry,
    access: &Access,
    parameters: &TokenParameters,
) -> Result<Made, ApiError> {
    let which = match parameters.all {
        Some(true) => Tokens::All,
        Some(false) | None => Tokens::Unrevoked,
    };
    let users = access.users().await;
    let tokens = report::tokens(registry, which, users.as_ref()).await?;
    Ok(Made::list("tokens", &tokens))
}

pub(super) async fn webhooks(registry: &Registry) -> Result<Made, ApiError> {
    let webhooks = report::webhooks(registry).await?;
    Ok(Made::list("webhooks", &webhooks))
}

pub(super) async fn deliveries(
    registry: &Registry,
    parameters: &DeliveryParameters,
) -> Result<Made, ApiError> {
    let (filter, limit) = parameters.filter();
    let last = parameters.last.as_deref();
    let page = report::deliveries(registry, filter, last, limit).await?;
    Ok(Made::page("deliveries", page))
}

pub(super) async fn upstreams(registry: &Registry) -> Result<Made, ApiError> {
    let upstreams = report::upstreams(registry).await?;
    Ok(Made::list("upstreams", &upstreams))
}

pub(super) async fn quotas(registry: &Registry) -> Result<Made, ApiError> {
    let quotas = report::quotas(registry).await?;
    Ok(Made::list("quotas", &quotas))
}
