//! Webhooks, and what they were told.

use serde::{Deserialize, Serialize};

use crate::registry::{
    DeliveryFilter, DeliveryRow, DeliveryState, EndpointRow, Error, Page, Registry,
};
use crate::report::values::Time;

/// A webhook.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct WebhookItem {
    pub name: String,
    pub succeeded: Option<Time>,
    pub failure_count: u64,
    pub waiting_count: u64,
    pub given_up_count: u64,
}

/// An event for a webhook, and how its delivery went.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct DeliveryItem {
    pub event: i64,
    pub id: String,
    pub at: Time,
    pub webhook: String,
    pub kind: String,
    pub repository: Option<String>,
    pub tag: Option<String>,
    pub digest: Option<String>,
    pub state: String,
    pub attempt_count: u64,
    pub tried: Option<Time>,
    pub next: Option<Time>,
    pub status: Option<u64>,
    pub milliseconds: Option<u64>,
    pub answer: Option<String>,
}

impl From<EndpointRow> for WebhookItem {
    fn from(row: EndpointRow) -> Self {
        Self {
            name: row.name,
            succeeded: row.succeeded_at.map(Time),
            failure_count: row.failures,
            waiting_count: row.waiting,
            given_up_count: row.dead,
        }
    }
}

impl From<DeliveryRow> for DeliveryItem {
    fn from(row: DeliveryRow) -> Self {
        let is_waiting = row.state == DeliveryState::Waiting;
        Self {
            event: row.event,
            id: row.uuid,
            at: Time(row.at),
            webhook: row.endpoint,
            kind: row.kind,
            repository: row.repository,
            tag: row.tag,
            digest: row.digest,
            state: match row.state {
                DeliveryState::Waiting => "waiting",
                DeliveryState::Delivered => "delivered",
                DeliveryState::Dead => "given-up",
            }
            .to_owned(),
            attempt_count: row.attempts,
            tried: row.tried_at.map(Time),
            next: is_waiting.then_some(Time(row.due_at)),
            status: row.status.map(u64::from),
            milliseconds: row.duration,
            answer: row.answer,
        }
    }
}

/// Lists webhooks.
///
/// # Errors
/// Those of the database.
pub async fn webhooks(registry: &Registry) -> Result<Vec<WebhookItem>, Error> {
    let rows = registry.outbox().endpoints().await?;
    Ok(rows.into_iter().map(WebhookItem::from).collect())
}

/// Lists deliveries, newest first, after the page whose cursor is `last`: `EVENT:WEBHOOK`.
///
/// # Errors
/// Those of the database.
pub async fn deliveries(
    registry: &Registry,
    filter: DeliveryFilter,
    last: Option<&str>,
    limit: usize,
) -> Result<Page<DeliveryItem>, Error> {
    let after = last.and_then(|last| {
        let (event, webhook) = last.split_once(':')?;
        Some((event.parse().ok()?, webhook.to_owned()))
    });
    let rows = registry.outbox().deliveries(filter, after, limit).await?;
    // whether another follows is not known: a page may be followed by an empty one
    let next = rows.last().filter(|_| rows.len() == limit);
    let next = next.map(|row| format!("{}:{}", row.event, row.endpoint));
    Ok(Page {
        items: rows.into_iter().map(DeliveryItem::from).collect(),
        next,
    })
}
