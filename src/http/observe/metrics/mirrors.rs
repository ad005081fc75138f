//! Metrics of mirrors, by the prefixes of their repositories.

use std::fmt;

use prometheus_client::metrics::counter::ConstCounter;
use prometheus_client::metrics::gauge::ConstGauge;

use crate::http::observe::metrics::families::{Families, count};
use crate::mirror::Mirrors;
use crate::registry::Evictions;

/// Writes the metrics.
pub(crate) fn encode(
    mirrors: &Mirrors,
    evictions: &Evictions,
    out: &mut Families<'_>,
) -> fmt::Result {
    let label = |prefix: &str| [("upstream", prefix.to_owned())];
    let number = |number: u64| ConstGauge::new(i64::try_from(number).unwrap_or(i64::MAX));
    out.family(
        "registry_upstream_requests",
        "Requests to upstreams, by outcome",
        mirrors.counters().flat_map(|(prefix, _, upstream)| {
            let tally = upstream.tally();
            let outcomes = [
                ("found", &tally.found),
                ("absent", &tally.absent),
                ("refused", &tally.refused),
                ("limited", &tally.limited),
                ("failed", &tally.failed),
            ];
            outcomes.map(|(outcome, counter)| {
                let labels = [
                    ("upstream", prefix.to_owned()),
                    ("outcome", outcome.to_owned()),
                ];
                (labels, count(counter))
            })
        }),
    )?;
    out.family(
        "registry_upstream_pulls",
        "Pulls from caches that were answered, by upstream",
        mirrors
            .counters()
            .map(|(prefix, counters, _)| (label(prefix), count(&counters.pulls))),
    )?;
    out.family(
        "registry_upstream_fetches",
        "Manifests and blobs that were fetched, by upstream: the misses among the pulls",
        mirrors
            .counters()
            .map(|(prefix, _, upstream)| (label(prefix), count(&upstream.tally().fetches))),
    )?;
    out.family(
        "registry_upstream_fetched_bytes",
        "Bytes of these, as announced, by upstream",
        mirrors
            .counters()
            .map(|(prefix, _, upstream)| (label(prefix), count(&upstream.tally().fetched))),
    )?;
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
    encode_quotas(mirrors, out)?;
    encode_evictions(evictions, out)
}

fn encode_quotas(mirrors: &Mirrors, out: &mut Families<'_>) -> fmt::Result {
    out.family(
        "registry_upstream_quota_remaining",
        "Requests that the upstream said remain, by upstream",
        mirrors.counters().filter_map(|(prefix, _, upstream)| {
            let remaining = upstream.quota().and_then(|quota| quota.remaining)?;
            let remaining = i64::try_from(remaining).unwrap_or(i64::MAX);
            let labels = [("upstream", prefix.to_owned())];
            Some((labels, ConstGauge::new(remaining)))
        }),
    )
}

fn encode_evictions(evictions: &Evictions, out: &mut Families<'_>) -> fmt::Result {
    let counts = evictions.counts();
    let samples = |value: fn((u64, u64)) -> u64| {
        counts.iter().map(move |(upstream, rule, images, bytes)| {
            let labels = [
                ("upstream", upstream.clone()),
                ("rule", rule.as_str().to_owned()),
            ];
            (labels, ConstCounter::new(value((*images, *bytes))))
        })
    };
    out.family(
        "registry_upstream_evicted_images",
        "Cached images that were evicted, by upstream and rule",
        samples(|(images, _)| images),
    )?;
    out.family(
        "registry_upstream_evicted_bytes",
        "Bytes of blobs that no cached image needed after that, by upstream and rule",
        samples(|(_, bytes)| bytes),
    )
}
