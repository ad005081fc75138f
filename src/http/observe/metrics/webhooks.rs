//! Metrics of the delivery of events: distribution's, and ours.

use std::fmt;

use http::StatusCode;
use prometheus_client::metrics::gauge::ConstGauge;

use crate::http::observe::metrics::families::{Families, count};
use crate::registry::OutboxCounters;
use crate::telemetry::Counter;

/// Writes the metrics.
pub(crate) fn encode(outbox: &OutboxCounters, out: &mut Families<'_>) -> fmt::Result {
    let endpoints = outbox.endpoints();
    out.family(
        "registry_notifications_events",
        "Events for each endpoint, and attempts to deliver them by outcome",
        endpoints.iter().flat_map(|(name, endpoint)| {
            let kinds = [
                ("Events", &endpoint.events),
                ("Successes", &endpoint.delivered),
                ("Failures", &endpoint.failed),
                ("Errors", &endpoint.unanswered),
            ];
            let sample = move |(kind, counter): (&'static str, &Counter)| {
                let labels = [("type", kind.to_owned()), ("endpoint", name.clone())];
                (labels, count(counter))
            };
            kinds.map(sample)
        }),
    )?;
    out.family(
        "registry_notifications_status",
        "Answers of each endpoint, by status",
        endpoints.iter().flat_map(|(name, endpoint)| {
            let statuses = endpoint.statuses().into_iter();
            statuses.map(|(status, number)| {
                let labels = [("code", code(status)), ("endpoint", name.clone())];
                (
                    labels,
                    prometheus_client::metrics::counter::ConstCounter::new(number),
                )
            })
        }),
    )?;
    out.family(
        "registry_notifications_pending",
        "Events that wait for delivery, by endpoint",
        endpoints.iter().map(|(name, endpoint)| {
            (
                [("endpoint", name.clone())],
                ConstGauge::new(endpoint.waiting.get()),
            )
        }),
    )?;
    out.family(
        "registry_webhook_dead_letters",
        "Events that could not be delivered and are not tried any more, by endpoint",
        endpoints
            .iter()
            .map(|(name, endpoint)| ([("endpoint", name.clone())], count(&endpoint.dead))),
    )?;
    out.metric(
        "registry_webhook_lost_events",
        "Events that were dropped because the outbox was full",
        count(&outbox.lost),
    )
}

/// Returns a status as distribution writes it: `200 OK`.
fn code(status: u16) -> String {
    let reason = StatusCode::from_u16(status).ok();
    let reason = reason.and_then(|status| status.canonical_reason());
    format!("{status} {}", reason.unwrap_or_default())
        .trim_end()
        .to_owned()
}
