//! Metrics of verification.

use std::fmt;

use prometheus_client::metrics::gauge::ConstGauge;

use crate::http::observe::metrics::families::{Families, MILLISECONDS, count};
use crate::registry::{Quarantined, VerifyCounters};

/// Writes the metrics; `quarantined` is `None` before the store has been measured.
pub(crate) fn encode(
    stats: &VerifyCounters,
    quarantined: Option<Quarantined>,
    out: &mut Families<'_>,
) -> fmt::Result {
    out.by(
        "outcome",
        "registry_verify_runs",
        "Verifications by the server",
        [("ok", count(&stats.runs)), ("failed", count(&stats.failed))],
    )?;
    out.metric(
        "registry_verify_blobs",
        "Sound blobs that verification has read",
        count(&stats.blobs),
    )?;
    out.metric(
        "registry_verify_read_bytes",
        "Size of those blobs",
        count(&stats.bytes),
    )?;
    let last = Some(stats.last.get()).filter(|last| *last > 0);
    out.optional(
        "registry_verify_last_success_timestamp_seconds",
        "When the last verification came to its end",
        last.map(|last| ConstGauge::new(last as f64 / MILLISECONDS)),
    )?;
    out.optional(
        "registry_verify_findings",
        "What the last verification found damaged",
        last.map(|_| ConstGauge::new(stats.damaged.get())),
    )?;
    let Some(quarantined) = quarantined else {
        return Ok(());
    };
    out.by(
        "kind",
        "registry_quarantined",
        "What is damaged and not served until it is pushed again, by kind",
        [
            ("blobs", ConstGauge::new(quarantined.blobs)),
            ("manifests", ConstGauge::new(quarantined.manifests)),
        ],
    )
}
