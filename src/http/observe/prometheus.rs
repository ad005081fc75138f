//! What is counted, as Prometheus reads it (OpenMetrics 1.0 text, or the older text 0.0.4): distribution's names where it has
//! them, ours for the rest.
//!
//! Everything is gathered as somebody asks. Nothing has a label that clients can make up.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{SystemTime, UNIX_EPOCH};

use http::HeaderMap;
use http::header::ACCEPT;
use prometheus_client::encoding::text::encode;
use prometheus_client::encoding::{DescriptorEncoder, EncodeGaugeValue, NoLabelSet};
use prometheus_client::metrics::MetricType;

use crate::http::endpoint::Endpoint;
use crate::http::observe::metrics::{METHODS, STATUSES};
use crate::http::observe::monitoring::Monitor;
use crate::registry::{Operation, StoreMeasurement};
use crate::telemetry::Snapshot;

/// Where the text of 0.0.4 calls a family otherwise.
const TOTAL: &str = "_total";

/// In which of its two shapes the text is wanted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Shape {
    /// For those who ask for it by its name.
    OpenMetrics,
    /// For everybody else, and for people.
    Classic,
}

impl Shape {
    /// What whoever sends these headers wants.
    pub(crate) fn wanted(headers: &HeaderMap) -> Self {
        let accepted = headers
            .get_all(ACCEPT)
            .iter()
            .filter_map(|value| value.to_str().ok())
            .flat_map(|value| value.split(','));
        let is_open = |kind: &str| {
            let mut words = kind.split(';').map(str::trim);
            let is_named = words
                .next()
                .is_some_and(|name| name.eq_ignore_ascii_case("application/openmetrics-text"));
            is_named
                && !words.any(|word| {
                    word.strip_prefix("q=")
                        .is_some_and(|weight| weight.parse() == Ok(0.0))
                })
        };
        if accepted.into_iter().any(is_open) {
            Self::OpenMetrics
        } else {
            Self::Classic
        }
    }

    pub(crate) fn media_type(self) -> &'static str {
        match self {
            Self::OpenMetrics => "application/openmetrics-text; version=1.0.0; charset=utf-8",
            Self::Classic => "text/plain; version=0.0.4; charset=utf-8",
        }
    }
}

/// Labels of one of several values of a name.
type Labels = Vec<(&'static str, String)>;

const NANOSECONDS: f64 = 1e9;
const MILLISECONDS: f64 = 1e3;

/// Everything, as text.
pub(crate) async fn text(monitor: &Monitor, shape: Shape) -> String {
    let measured = monitor.registry.status().store().await;
    let mut registry = prometheus_client::registry::Registry::default();
    registry.register_collector(Box::new(Everything {
        monitor: monitor.clone(),
        measured,
    }));
    let mut text = String::new();
    // a String takes whatever is written to it
    let _ = encode(&mut text, &registry);
    match shape {
        Shape::OpenMetrics => text,
        Shape::Classic => classic(&text),
    }
}

/// As the older text has it: a counter's family is called as its samples are, or they are taken to be of no type and without
/// help, and nothing marks the end.
fn classic(text: &str) -> String {
    let mut classic = String::with_capacity(text.len());
    let mut lines = text.lines().peekable();
    while let Some(line) = lines.next() {
        // the help comes first
        let is_counters = |line: &&str| line.starts_with("# TYPE ") && line.ends_with(" counter");
        let renamed = match line.splitn(4, ' ').collect::<Vec<_>>()[..] {
            ["#", "EOF"] => continue,
            ["#", "HELP", name, help] if lines.peek().is_some_and(is_counters) => {
                Some(format!("# HELP {name}{TOTAL} {help}"))
            }
            ["#", "TYPE", name, "counter"] => Some(format!("# TYPE {name}{TOTAL} counter")),
            _ => None,
        };
        classic.push_str(renamed.as_deref().unwrap_or(line));
        classic.push('\n');
    }
    classic
}

struct Everything {
    monitor: Monitor,
    measured: Option<Arc<StoreMeasurement>>,
}

impl fmt::Debug for Everything {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Everything")
    }
}

impl prometheus_client::collector::Collector for Everything {
    fn encode(&self, encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let mut out = Out(encoder);
        self.requests(&mut out)?;
        self.files(&mut out)?;
        self.database(&mut out)?;
        self.collection(&mut out)?;
        self.store(&mut out)?;
        self.logins(&mut out)?;
        self.process(&mut out)
    }
}

impl Everything {
    fn requests(&self, out: &mut Out<'_>) -> fmt::Result {
        let metrics = &self.monitor.observer.metrics;
        let route = |endpoint: Endpoint| {
            (
                vec![("handler", endpoint.as_str().to_owned())],
                metrics.route(endpoint),
            )
        };
        let routes = || Endpoint::ALL.into_iter().map(route);
        let by_method = |labels: &Labels, method: usize| -> Labels {
            labels
                .iter()
                .cloned()
                .chain([("method", METHODS[method].to_owned())])
                .collect()
        };
        out.gauges(
            "registry_http_in_flight_requests",
            "Requests that are being answered",
            routes().map(|(labels, route)| (labels, route.in_flight.get())),
        )?;
        let requests = routes().flat_map(|(labels, route)| {
            (0..METHODS.len()).flat_map(move |method| {
                let labels = by_method(&labels, method);
                STATUSES
                    .iter()
                    .zip(&route.requests[method])
                    .map(move |(status, count)| {
                        let code = if *status == 0 {
                            "other".to_owned()
                        } else {
                            status.to_string()
                        };
                        (
                            labels
                                .iter()
                                .cloned()
                                .chain([("code", code)])
                                .collect::<Labels>(),
                            count.load(Ordering::Relaxed),
                        )
                    })
            })
        });
        out.counters(
            "registry_http_requests",
            "Requests that were answered",
            requests.filter(|(_, count)| *count > 0),
        )?;
        let durations = routes().flat_map(|(labels, route)| {
            (0..METHODS.len()).map(move |method| {
                (
                    by_method(&labels, method),
                    route.durations[method].snapshot(),
                )
            })
        });
        out.histograms(
            "registry_http_request_duration_seconds",
            "How long requests took, from their head to the end of the answer",
            NANOSECONDS,
            durations.filter(|(_, snapshot)| snapshot.count() > 0),
        )?;
        out.histograms(
            "registry_http_request_size_bytes",
            "How large the bodies of requests were, as far as they were read",
            1.0,
            routes().map(|(labels, route)| (labels, route.request_sizes.snapshot())),
        )?;
        out.histograms(
            "registry_http_response_size_bytes",
            "How large the bodies of answers were, as far as they were sent",
            1.0,
            routes().map(|(labels, route)| (labels, route.response_sizes.snapshot())),
        )?;
        out.gauge(
            "registry_http_connections",
            "Connections of clients that are open",
            metrics.connections.get(),
        )?;
        out.counter(
            "registry_log_dropped_lines",
            "Lines of the log that nobody took",
            crate::log::dropped(),
        )?;
        out.counter(
            "registry_access_log_dropped_lines",
            "Lines of the access log that nobody took",
            self.monitor.observer.log.dropped(),
        )
    }

    fn files(&self, out: &mut Out<'_>) -> fmt::Result {
        let stats = self.monitor.registry.status().files();
        let operations = Operation::ALL.into_iter().map(|operation| {
            let labels = vec![
                ("driver", "filesystem".to_owned()),
                ("action", operation.as_str().to_owned()),
            ];
            (labels, stats.operation(operation).snapshot())
        });
        out.histograms(
            "registry_storage_action_seconds",
            "How long operations on files took",
            NANOSECONDS,
            operations,
        )?;
        out.histogram(
            "registry_storage_sync_seconds",
            "How long syncing an upload's bytes took",
            NANOSECONDS,
            stats.file_syncs.snapshot(),
        )?;
        let database = self.monitor.registry.status().database();
        out.counter(
            "registry_storage_cache_requests",
            "Manifests that were asked for",
            database.manifests_read.get(),
        )?;
        out.counter(
            "registry_storage_cache_hits",
            "Of those, what was in memory",
            database.manifests_remembered.get(),
        )?;
        out.counter(
            "registry_storage_cache_errors",
            "Of those, what could not be read",
            database.manifests_failed.get(),
        )
    }

    fn database(&self, out: &mut Out<'_>) -> fmt::Result {
        let stats = self.monitor.registry.status().database();
        out.gauge(
            "registry_database_queued_changes",
            "Changes that wait for the writer, or are being made",
            stats.queued.get(),
        )?;
        out.histogram(
            "registry_database_batch_changes",
            "Changes in each commit",
            1.0,
            stats.batches.snapshot(),
        )?;
        out.histogram(
            "registry_database_transaction_seconds",
            "How long durable transactions took, with their syncs",
            NANOSECONDS,
            stats.transactions.snapshot(),
        )?;
        out.histogram(
            "registry_database_commit_seconds",
            "Of that, the commit with the sync of SQLite's log",
            NANOSECONDS,
            stats.commits.snapshot(),
        )?;
        out.histogram(
            "registry_database_directory_sync_seconds",
            "Of that, syncing the directories of new files",
            NANOSECONDS,
            stats.directory_syncs.snapshot(),
        )?;
        out.counter(
            "registry_database_lazy_commits",
            "Commits that nobody waited for",
            stats.lazy_commits.get(),
        )?;
        out.counter(
            "registry_database_failed_commits",
            "Commits that failed",
            stats.failed_commits.get(),
        )
    }

    fn collection(&self, out: &mut Out<'_>) -> fmt::Result {
        let stats = self.monitor.registry.status().gc();
        let outcomes = [("ok", &stats.passes), ("failed", &stats.failed)];
        out.counters(
            "registry_gc_passes",
            "Passes of collection",
            outcomes
                .into_iter()
                .map(|(outcome, counter)| (vec![("outcome", outcome.to_owned())], counter.get())),
        )?;
        out.histogram(
            "registry_gc_pass_seconds",
            "How long passes took",
            NANOSECONDS,
            stats.times.snapshot(),
        )?;
        // there is no time before the first
        let last = Some(stats.last.get()).filter(|last| *last > 0);
        out.gauge_if(
            "registry_gc_last_success_timestamp_seconds",
            "When the last pass came to its end",
            last.map(|last| last as f64 / MILLISECONDS),
        )?;
        let kinds = [
            ("tags", &stats.tags),
            ("manifests", &stats.manifests),
            ("links", &stats.links),
            ("blobs", &stats.blobs),
            ("files", &stats.files),
            ("uploads", &stats.uploads),
        ];
        out.counters(
            "registry_gc_collected",
            "What was collected, by kind",
            kinds
                .into_iter()
                .map(|(kind, counter)| (vec![("kind", kind.to_owned())], counter.get())),
        )?;
        out.counter(
            "registry_gc_freed_bytes",
            "Disk that collection gave back",
            stats.bytes.get(),
        )?;
        out.counter(
            "registry_gc_failures",
            "Things that could not be collected; the log names them",
            stats.failures.get(),
        )
    }

    fn store(&self, out: &mut Out<'_>) -> fmt::Result {
        if let Some(free) = self.monitor.registry.status().free_disk() {
            out.gauge(
                "registry_disk_free_bytes",
                "What may still be written to the data directory's disk",
                free,
            )?;
        }
        let Some(measured) = &self.measured else {
            return Ok(());
        };
        let (totals, idle) = (measured.usage.totals, measured.idle);
        let database = measured.usage.database;
        let states = [
            (
                "live",
                totals.blob_bytes.saturating_sub(idle.due + idle.waiting),
            ),
            ("garbage_due", idle.due),
            ("garbage_waiting", idle.waiting),
            ("removing", totals.removal_bytes),
            ("uploads", measured.usage.upload_bytes),
            ("database", database.file.saturating_sub(database.free)),
            ("database_free", database.free),
            ("database_log", database.log),
        ];
        out.gauges(
            "registry_store_bytes",
            "What takes disk, by state",
            states
                .into_iter()
                .map(|(state, bytes)| (vec![("state", state.to_owned())], bytes)),
        )?;
        let things = [
            ("repositories", totals.repositories),
            ("tags", totals.tags),
            ("manifests", totals.manifests),
            ("blobs", totals.blobs),
            ("uploads", totals.uploads),
            ("trash", totals.trash),
        ];
        out.gauges(
            "registry_store_objects",
            "What the store holds, by kind; uploads are open sessions, trash can be brought back",
            things
                .into_iter()
                .map(|(kind, count)| (vec![("kind", kind.to_owned())], count)),
        )?;
        out.gauge(
            "registry_store_measured_age_seconds",
            "How long ago the store was looked through for these",
            measured.age().as_secs_f64(),
        )
    }

    fn logins(&self, out: &mut Out<'_>) -> fmt::Result {
        let stats = self.monitor.access.stats();
        let outcomes = [
            ("accepted", &stats.accepted),
            ("challenged", &stats.challenged),
            ("refused", &stats.refused),
            ("throttled", &stats.throttled),
        ];
        out.counters(
            "registry_auth_requests",
            "Requests that needed a login, by what came of it",
            outcomes
                .into_iter()
                .map(|(outcome, counter)| (vec![("outcome", outcome.to_owned())], counter.get())),
        )?;
        out.counter(
            "registry_auth_remembered",
            "Of those accepted, by a password that need not be hashed again",
            stats.remembered.get(),
        )?;
        let queued = i64::try_from(self.monitor.access.queued()).unwrap_or(i64::MAX);
        out.gauge(
            "registry_auth_queued_passwords",
            "Passwords that wait to be hashed, or are being hashed",
            queued,
        )
    }

    fn process(&self, out: &mut Out<'_>) -> fmt::Result {
        let blocking = self.monitor.registry.status().blocking();
        let states = [
            ("waiting", &blocking.waiting),
            ("running", &blocking.running),
        ];
        out.gauges(
            "registry_blocking_tasks",
            "Tasks for threads that may block",
            states
                .into_iter()
                .map(|(state, gauge)| (vec![("state", state.to_owned())], gauge.get())),
        )?;
        let reloads = &self.monitor.reloads;
        let outcomes = [("ok", &reloads.taken), ("failed", &reloads.refused)];
        out.counters(
            "registry_config_reloads",
            "How often the configuration was read again while the server ran",
            outcomes
                .into_iter()
                .map(|(outcome, counter)| (vec![("outcome", outcome.to_owned())], counter.get())),
        )?;
        out.gauge(
            "registry_config_last_reload_successful",
            "Whether the configuration on disk, when it was last read, is the one in force",
            i64::from(reloads.is_current()),
        )?;
        if let Some(tls) = &self.monitor.settings.look().tls {
            let certificates = tls.certificates();
            let seconds = |time: SystemTime| {
                time.duration_since(UNIX_EPOCH)
                    .map_or(0.0, |since| since.as_secs_f64())
            };
            let expiries = certificates.iter().map(|certificate| {
                (
                    vec![(
                        "name",
                        certificate.names.first().cloned().unwrap_or_default(),
                    )],
                    seconds(certificate.not_after),
                )
            });
            out.gauges(
                "registry_certificate_expiry_timestamp_seconds",
                "Until when the certificate in use is valid",
                expiries,
            )?;
            out.gauge(
                "registry_certificate_current",
                "Whether the certificate on disk, when it was last read, is the one in use",
                i64::from(tls.complaint().is_none()),
            )?;
        }
        out.gauge(
            "registry_healthy",
            "Whether no configured health check fails",
            i64::from(self.monitor.health.is_well()),
        )?;
        let build = vec![("version", env!("CARGO_PKG_VERSION").to_owned())];
        out.gauges(
            "registry_build_info",
            "Which program this is",
            [(build, 1)].into_iter(),
        )
    }
}

/// Where names and values are written.
struct Out<'e>(DescriptorEncoder<'e>);

impl Out<'_> {
    fn gauge(&mut self, name: &str, help: &str, value: impl EncodeGaugeValue) -> fmt::Result {
        self.gauge_if(name, help, Some(value))
    }

    /// ErrorBody of without a value where there is none.
    fn gauge_if(
        &mut self,
        name: &str,
        help: &str,
        value: Option<impl EncodeGaugeValue>,
    ) -> fmt::Result {
        let mut metric = self
            .0
            .encode_descriptor(name, help, None, MetricType::Gauge)?;
        value.map_or(Ok(()), |value| metric.encode_gauge(&value))
    }

    fn gauges<V: EncodeGaugeValue>(
        &mut self,
        name: &str,
        help: &str,
        values: impl Iterator<Item = (Labels, V)>,
    ) -> fmt::Result {
        let mut metric = self
            .0
            .encode_descriptor(name, help, None, MetricType::Gauge)?;
        for (labels, value) in values {
            metric.encode_family(&labels)?.encode_gauge(&value)?;
        }
        Ok(())
    }

    /// The text says `NAME_total`.
    fn counter(&mut self, name: &str, help: &str, value: u64) -> fmt::Result {
        let mut metric = self
            .0
            .encode_descriptor(name, help, None, MetricType::Counter)?;
        metric.encode_counter::<NoLabelSet, _, u64>(&value, None)
    }

    fn counters(
        &mut self,
        name: &str,
        help: &str,
        values: impl Iterator<Item = (Labels, u64)>,
    ) -> fmt::Result {
        let mut metric = self
            .0
            .encode_descriptor(name, help, None, MetricType::Counter)?;
        for (labels, value) in values {
            metric
                .encode_family(&labels)?
                .encode_counter::<NoLabelSet, _, u64>(&value, None)?;
        }
        Ok(())
    }

    /// `scale` is how many of what was counted make one of the metric's unit.
    fn histogram(&mut self, name: &str, help: &str, scale: f64, snapshot: Snapshot) -> fmt::Result {
        let mut metric = self
            .0
            .encode_descriptor(name, help, None, MetricType::Histogram)?;
        let (sum, count, buckets) = scaled(&snapshot, scale);
        metric.encode_histogram::<NoLabelSet>(sum, count, &buckets, None)
    }

    fn histograms(
        &mut self,
        name: &str,
        help: &str,
        scale: f64,
        values: impl Iterator<Item = (Labels, Snapshot)>,
    ) -> fmt::Result {
        let mut metric = self
            .0
            .encode_descriptor(name, help, None, MetricType::Histogram)?;
        for (labels, snapshot) in values {
            let (sum, count, buckets) = scaled(&snapshot, scale);
            metric
                .encode_family(&labels)?
                .encode_histogram::<NoLabelSet>(sum, count, &buckets, None)?;
        }
        Ok(())
    }
}

fn scaled(snapshot: &Snapshot, scale: f64) -> (f64, u64, Vec<(f64, u64)>) {
    // infinity is what the encoder calls +Inf, without which no quantile can be told
    let bound = |bound: Option<u64>| bound.map_or(f64::INFINITY, |bound| bound as f64 / scale);
    let buckets = snapshot
        .counts
        .iter()
        .map(|(limit, count)| (bound(*limit), *count))
        .collect();
    (snapshot.sum as f64 / scale, snapshot.count(), buckets)
}
