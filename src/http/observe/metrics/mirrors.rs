//! Metrics of mirrors, by the prefixes of their repositories.

use std::fmt;

use prometheus_client::metrics::counter::ConstCounter;
use prometheus_client::metrics::gauge::ConstGauge;

use crate::http::observe::metrics::families::{Families, count};
use crate::mirror::{Mirrors, Watched};
use crate::registry::{AdoptionRow, Evictions};

/// Writes the metrics.
pub(crate) fn encode(
    mirrors: &Mirrors,
    evictions: &Evictions,
    out: &mut Families<'_>,
) -> fmt::Result {
    let all = mirrors.counters();
    let label = |prefix: &str| [("upstream", prefix.to_owned())];
    let number = |number: u64| ConstGauge::new(i64::try_from(number).unwrap_or(i64::MAX));
    out.family(
        "registry_upstream_requests",
        "Requests to upstreams, by outcome",
        all.iter().flat_map(|(prefix, _, upstream)| {
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
        all.iter()
            .map(|(prefix, counters, _)| (label(prefix), count(&counters.pulls))),
    )?;
    out.family(
        "registry_upstream_fetches",
        "Manifests and blobs that were fetched for clients, by upstream: the misses among the pulls",
        all.iter()
            .map(|(prefix, _, upstream)| (label(prefix), count(&upstream.tally().fetches))),
    )?;
    out.family(
        "registry_upstream_fetched_bytes",
        "Bytes of these, of adoptions and of what was fetched ahead, as announced, by upstream",
        all.iter()
            .map(|(prefix, _, upstream)| (label(prefix), count(&upstream.tally().fetched))),
    )?;
    out.family(
        "registry_upstream_stale",
        "Pulls served with what is here although the upstream failed or has it no more, by upstream",
        all.iter().map(|(prefix, counters, _)| (label(prefix), count(&counters.stale))),
    )?;
    out.family(
        "registry_upstream_gone_tags",
        "Tags that are here and that the upstream was last asked for in vain, by upstream",
        all.iter()
            .map(|(prefix, counters, _)| (label(prefix), number(counters.gone_tags() as u64))),
    )?;
    encode_syncs(&all, out)?;
    encode_quotas(&all, out)?;
    adoptions(&all, out)?;
    encode_evictions(evictions, out)
}

fn encode_syncs(all: &[Watched], out: &mut Families<'_>) -> fmt::Result {
    out.family(
        "registry_upstream_syncs",
        "Runs that fetched ahead from an upstream, by upstream and outcome",
        all.iter().flat_map(|(prefix, counters, _)| {
            let outcomes = [
                ("whole", &counters.whole_syncs),
                ("partial", &counters.partial_syncs),
                ("failed", &counters.failed_syncs),
            ];
            outcomes.map(|(outcome, counter)| {
                let labels = [
                    ("upstream", prefix.to_owned()),
                    ("outcome", outcome.to_owned()),
                ];
                (labels, count(counter))
            })
        }),
    )
}

fn encode_quotas(all: &[Watched], out: &mut Families<'_>) -> fmt::Result {
    out.family(
        "registry_upstream_quota_remaining",
        "Requests that the upstream said remain, by upstream",
        all.iter().filter_map(|(prefix, _, upstream)| {
            let remaining = upstream.quota().and_then(|quota| quota.remaining)?;
            let remaining = i64::try_from(remaining).unwrap_or(i64::MAX);
            let labels = [("upstream", prefix.to_owned())];
            Some((labels, ConstGauge::new(remaining)))
        }),
    )
}

/// Writes how far the registries are that are being adopted.
fn adoptions(all: &[Watched], out: &mut Families<'_>) -> fmt::Result {
    let number = |number: u64| ConstGauge::new(i64::try_from(number).unwrap_or(i64::MAX));
    let mut family = |name: &str, help: &str, of: fn(&AdoptionRow) -> u64| {
        let rows = all.iter().filter_map(|(prefix, counters, _)| {
            let row = counters.adoption()?;
            Some(([("upstream", prefix.clone())], number(of(&row))))
        });
        out.family(name, help, rows)
    };
    family(
        "registry_adoption_repositories",
        "Repositories of a registry that is being adopted, by upstream",
        |row| row.repositories,
    )?;
    family(
        "registry_adoption_whole_repositories",
        "Those of them of which nothing is missing, as far as is known",
        |row| row.repositories_whole,
    )?;
    family(
        "registry_adoption_problems",
        "Pieces of them that could not be brought",
        |row| row.problems,
    )?;
    family(
        "registry_adoption_complete",
        "1 once everything is here and the upstream may be removed from the configuration",
        |row| u64::from(row.completed_at.is_some()),
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
