//! Metrics of mirrors, by the prefixes of their repositories.

use std::fmt;

use prometheus_client::metrics::gauge::ConstGauge;

use crate::http::observe::metrics::families::{Families, count};
use crate::mirror::Mirrors;

/// Writes the metrics.
pub(crate) fn encode(mirrors: &Mirrors, out: &mut Families<'_>) -> fmt::Result {
    let label = |prefix: &str| [("upstream", prefix.to_owned())];
    let number = |number: u64| ConstGauge::new(i64::try_from(number).unwrap_or(i64::MAX));
    out.family(
        "registry_upstream_stale",
        "Pulls served with what is here although the upstream failed or has it no more, by upstream",
        mirrors
            .counters()
            .map(|(prefix, counters, _)| (label(prefix), count(&counters.stale))),
    )?;
    out.family(
        "registry_upstream_gone_tags",
        "Tags that are here and that the upstream was last asked for in vain, by upstream",
        mirrors
            .counters()
            .map(|(prefix, counters, _)| (label(prefix), number(counters.gone_tags() as u64))),
    )?;
    out.family(
        "registry_upstream_quota_remaining",
        "Requests that the upstream said remain, by upstream",
        mirrors.counters().filter_map(|(prefix, _, quota)| {
            let remaining = quota.and_then(|quota| quota.remaining)?;
            Some((label(prefix), number(remaining)))
        }),
    )
}
