//! Metrics of all layers, read when they are requested.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use prometheus_client::collector::Collector;
use prometheus_client::encoding::DescriptorEncoder;
use prometheus_client::metrics::counter::ConstCounter;
use prometheus_client::metrics::gauge::ConstGauge;

use crate::http::endpoint::RouteLabel;
use crate::http::observe::metrics::families::{ConstHistogram, Families, MILLISECONDS, count};
use crate::http::observe::metrics::process::ProcessUsage;
use crate::http::observe::metrics::requests::{METHODS, RouteMetrics, STATUSES};
use crate::http::observe::metrics::{mirrors, verification, webhooks};
use crate::http::observe::monitoring::Monitor;
use crate::registry::{Operation, Shortage, StoreMeasurement};
use crate::tls::Tls;

/// Sources of all metrics.
pub(crate) struct Collected {
    monitor: Monitor,
    /// `None` before the store has been measured.
    measured: Option<Arc<StoreMeasurement>>,
    /// `None` if no thread was left to read it.
    process: Option<ProcessUsage>,
}

impl fmt::Debug for Collected {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Collected")
    }
}

impl Collector for Collected {
    fn encode(&self, encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let mut out = Families::new(encoder);
        self.requests(&mut out)?;
        self.sizes(&mut out)?;
        self.connections_and_logs(&mut out)?;
        self.files(&mut out)?;
        self.database(&mut out)?;
        self.collection(&mut out)?;
        self.backups(&mut out)?;
        webhooks::encode(&self.monitor.registry.outbox().counters(), &mut out)?;
        mirrors::encode(
            &self.monitor.mirrors,
            self.monitor.registry.upstreams().evictions(),
            &mut out,
        )?;
        verification::encode(
            self.monitor.registry.status().verification(),
            self.measured.as_ref().map(|measured| measured.quarantined),
            &mut out,
        )?;
        self.store(&mut out)?;
        self.logins(&mut out)?;
        self.server(&mut out)?;
        self.process
            .as_ref()
            .map_or(Ok(()), |process| process.encode(&mut out))
    }
}

/// The label `handler`.
type Handler = (&'static str, &'static str);

impl Collected {
    pub(crate) fn new(
        monitor: Monitor,
        measured: Option<Arc<StoreMeasurement>>,
        process: Option<ProcessUsage>,
    ) -> Self {
        Self {
            monitor,
            measured,
            process,
        }
    }

    fn routes(&self) -> impl Iterator<Item = (Handler, &RouteMetrics)> {
        let metrics = &self.monitor.observer.metrics;
        RouteLabel::ALL
            .into_iter()
            .map(|label| (("handler", label.as_str()), metrics.route(label)))
    }

    fn requests(&self, out: &mut Families<'_>) -> fmt::Result {
        out.family(
            "registry_http_in_flight_requests",
            "Requests that are being answered",
            self.routes()
                .map(|(handler, route)| ([handler], ConstGauge::new(route.in_flight.get()))),
        )?;
        let methods = self.routes().flat_map(|(handler, route)| {
            let methods = METHODS.iter().zip(&route.requests);
            methods.map(move |(method, counts)| ([handler, ("method", *method)], counts))
        });
        let requests = methods.flat_map(|([handler, method], counts)| {
            let counts = STATUSES.iter().zip(counts);
            counts.map(move |(status, count)| {
                ((handler, method, *status), count.load(Ordering::Relaxed))
            })
        });
        let requests = requests.filter(|(_, count)| *count > 0);
        out.family(
            "registry_http_requests",
            "Requests that were answered",
            requests.map(|((handler, method, status), count)| {
                let code = match status {
                    0 => "other".to_owned(),
                    status => status.to_string(),
                };
                let labels = ([handler, method], [("code", code)]);
                (labels, ConstCounter::new(count))
            }),
        )?;
        let durations = self.routes().flat_map(|(handler, route)| {
            let methods = METHODS.iter().zip(&route.durations);
            methods.map(move |(method, durations)| {
                let labels = [handler, ("method", *method)];
                (labels, ConstHistogram::seconds(durations))
            })
        });
        out.family(
            "registry_http_request_duration_seconds",
            "How long requests took, from their head to the end of the answer",
            durations.filter(|(_, durations)| !durations.is_empty()),
        )
    }

    fn sizes(&self, out: &mut Families<'_>) -> fmt::Result {
        out.family(
            "registry_http_request_size_bytes",
            "How large the bodies of requests were, as far as they were read",
            self.routes()
                .map(|(handler, route)| ([handler], ConstHistogram::of(&route.request_sizes))),
        )?;
        out.family(
            "registry_http_response_size_bytes",
            "How large the bodies of answers were, as far as they were sent",
            self.routes()
                .map(|(handler, route)| ([handler], ConstHistogram::of(&route.response_sizes))),
        )
    }

    fn connections_and_logs(&self, out: &mut Families<'_>) -> fmt::Result {
        let observer = &self.monitor.observer;
        out.metric(
            "registry_http_connections",
            "Connections of clients that are open",
            ConstGauge::new(observer.metrics.connections.get()),
        )?;
        out.metric(
            "registry_log_dropped_lines",
            "Lines of the log that nobody took",
            ConstCounter::new(crate::log::dropped()),
        )?;
        out.metric(
            "registry_access_log_dropped_lines",
            "Lines of the access log that nobody took",
            ConstCounter::new(observer.log.dropped()),
        )
    }

    fn files(&self, out: &mut Families<'_>) -> fmt::Result {
        out.metric(
            "registry_blobs_lost",
            "Blobs whose files were found missing or of another length, and not repaired since",
            ConstGauge::new(self.monitor.registry.status().lost_blobs()),
        )?;
        let stats = self.monitor.registry.status().files();
        out.family(
            "registry_storage_action_seconds",
            "How long operations on files took",
            Operation::ALL.into_iter().map(|operation| {
                let labels = [("driver", "filesystem"), ("action", operation.as_str())];
                (labels, ConstHistogram::seconds(stats.operation(operation)))
            }),
        )?;
        out.metric(
            "registry_storage_sync_seconds",
            "How long syncing an upload's bytes took",
            ConstHistogram::seconds(&stats.file_syncs),
        )?;
        out.metric(
            "registry_upload_direct_bytes",
            "Bytes of uploads from fast clients, which threads of their own received",
            count(self.monitor.registry.status().direct_bytes()),
        )?;
        let database = self.monitor.registry.status().database();
        out.metric(
            "registry_storage_cache_requests",
            "Manifests that were asked for",
            count(&database.manifests_read),
        )?;
        out.metric(
            "registry_storage_cache_hits",
            "Of those, what was in memory",
            count(&database.manifests_remembered),
        )?;
        out.metric(
            "registry_storage_cache_errors",
            "Of those, what could not be read",
            count(&database.manifests_failed),
        )
    }

    fn database(&self, out: &mut Families<'_>) -> fmt::Result {
        let stats = self.monitor.registry.status().database();
        out.metric(
            "registry_database_queued_changes",
            "Changes that wait for the writer, or are being made",
            ConstGauge::new(stats.queued.get()),
        )?;
        out.metric(
            "registry_database_batch_changes",
            "Changes in each commit",
            ConstHistogram::of(&stats.batches),
        )?;
        out.metric(
            "registry_database_transaction_seconds",
            "How long durable transactions took, with their syncs",
            ConstHistogram::seconds(&stats.transactions),
        )?;
        out.metric(
            "registry_database_commit_seconds",
            "Of that, the commit with the sync of SQLite's log",
            ConstHistogram::seconds(&stats.commits),
        )?;
        out.metric(
            "registry_database_directory_sync_seconds",
            "Of that, syncing the directories of new files",
            ConstHistogram::seconds(&stats.directory_syncs),
        )?;
        out.metric(
            "registry_database_lazy_commits",
            "Commits that nobody waited for",
            count(&stats.lazy_commits),
        )?;
        out.metric(
            "registry_database_failed_commits",
            "Commits that failed",
            count(&stats.failed_commits),
        )
    }

    fn collection(&self, out: &mut Families<'_>) -> fmt::Result {
        let stats = self.monitor.registry.status().gc();
        out.by(
            "outcome",
            "registry_gc_passes",
            "Passes of collection",
            [
                ("ok", count(&stats.passes)),
                ("failed", count(&stats.failed)),
            ],
        )?;
        out.metric(
            "registry_gc_pass_seconds",
            "How long passes took",
            ConstHistogram::seconds(&stats.times),
        )?;
        let last = Some(stats.last.get()).filter(|last| *last > 0);
        out.optional(
            "registry_gc_last_success_timestamp_seconds",
            "When the last pass came to its end",
            last.map(|last| ConstGauge::new(last as f64 / MILLISECONDS)),
        )?;
        out.by(
            "kind",
            "registry_gc_collected",
            "What was collected, by kind",
            [
                ("tags", count(&stats.tags)),
                ("manifests", count(&stats.manifests)),
                ("links", count(&stats.links)),
                ("blobs", count(&stats.blobs)),
                ("files", count(&stats.files)),
                ("uploads", count(&stats.uploads)),
            ],
        )?;
        out.metric(
            "registry_gc_freed_bytes",
            "Disk that collection gave back",
            count(&stats.bytes),
        )?;
        out.metric(
            "registry_gc_failures",
            "Things that could not be collected; the log names them",
            count(&stats.failures),
        )
    }

    fn backups(&self, out: &mut Families<'_>) -> fmt::Result {
        let stats = self.monitor.registry.backups().counters();
        out.by(
            "outcome",
            "registry_backups",
            "Backups that the server has made, or failed to make",
            [
                ("ok", count(&stats.completed)),
                ("failed", count(&stats.failed)),
            ],
        )?;
        out.metric(
            "registry_backup_seconds",
            "How long backups took",
            ConstHistogram::seconds(&stats.times),
        )?;
        let last = Some(stats.last.get()).filter(|last| *last > 0);
        out.optional(
            "registry_backup_last_success_timestamp_seconds",
            "What time the newest backup is of",
            last.map(|last| ConstGauge::new(last as f64 / MILLISECONDS)),
        )?;
        out.metric(
            "registry_backup_copied_bytes",
            "Blobs that backups copied; the others were there already",
            count(&stats.copied_bytes),
        )?;
        out.metric(
            "registry_backup_damaged_blobs",
            "Damaged blobs and manifests that the last backup met; the log names them",
            ConstGauge::new(stats.damaged.get()),
        )
    }

    fn disk(&self, out: &mut Families<'_>) -> fmt::Result {
        let status = self.monitor.registry.status();
        if let Some(free) = status.free_space() {
            out.metric(
                "registry_disk_free_bytes",
                "What may still be written to the data directory's disk",
                ConstGauge::new(free.bytes),
            )?;
            if let Some(inodes) = free.inodes {
                out.metric(
                    "registry_disk_free_inodes",
                    "Files that may still be created on the data directory's disk",
                    ConstGauge::new(inodes),
                )?;
            }
        }
        let shortage = status.disk_shortage();
        out.by(
            "resource",
            "registry_disk_shortage",
            "1 if this resource has run out, so that nothing can be written",
            Shortage::ALL.map(|resource| {
                let is_short = shortage == Some(resource);
                (resource.name(), ConstGauge::new(u64::from(is_short)))
            }),
        )
    }

    fn store(&self, out: &mut Families<'_>) -> fmt::Result {
        self.disk(out)?;
        let Some(measured) = &self.measured else {
            return Ok(());
        };
        let (totals, idle) = (measured.usage.totals, measured.idle);
        let database = measured.usage.database;
        let live = totals.blob_bytes.saturating_sub(idle.due + idle.waiting);
        let states = [
            ("live", live),
            ("garbage_due", idle.due),
            ("garbage_waiting", idle.waiting),
            ("removing", totals.removal_bytes),
            ("uploads", measured.usage.upload_bytes),
            ("database", database.file.saturating_sub(database.free)),
            ("database_free", database.free),
            ("database_log", database.log),
        ];
        out.by(
            "state",
            "registry_store_bytes",
            "What takes disk, by state",
            states.map(|(state, bytes)| (state, ConstGauge::new(bytes))),
        )?;
        let things = [
            ("repositories", totals.repositories),
            ("tags", totals.tags),
            ("manifests", totals.manifests),
            ("blobs", totals.blobs),
            ("uploads", totals.uploads),
            ("trash", totals.trash),
        ];
        out.by(
            "kind",
            "registry_store_objects",
            "What the store holds, by kind; uploads are open sessions, trash can be brought back",
            things.map(|(kind, count)| (kind, ConstGauge::new(count))),
        )?;
        out.metric(
            "registry_store_measured_age_seconds",
            "How long ago the store was looked through for these",
            ConstGauge::new(measured.age().as_secs_f64()),
        )
    }

    fn logins(&self, out: &mut Families<'_>) -> fmt::Result {
        let stats = self.monitor.access.stats();
        out.by(
            "outcome",
            "registry_auth_requests",
            "Requests that needed a login, by what came of it",
            [
                ("accepted", count(&stats.accepted)),
                ("challenged", count(&stats.challenged)),
                ("refused", count(&stats.refused)),
                ("throttled", count(&stats.throttled)),
            ],
        )?;
        out.metric(
            "registry_auth_remembered",
            "Of those accepted, by a password that need not be hashed again",
            count(&stats.remembered),
        )?;
        let queued = i64::try_from(self.monitor.access.queued()).unwrap_or(i64::MAX);
        out.metric(
            "registry_auth_queued_passwords",
            "Passwords that wait to be hashed, or are being hashed",
            ConstGauge::new(queued),
        )
    }

    fn server(&self, out: &mut Families<'_>) -> fmt::Result {
        let blocking = self.monitor.registry.status().blocking();
        let states = [
            ("waiting", &blocking.waiting),
            ("running", &blocking.running),
        ];
        out.by(
            "state",
            "registry_blocking_tasks",
            "Tasks for threads that may block",
            states.map(|(state, gauge)| (state, ConstGauge::new(gauge.get()))),
        )?;
        let reloads = &self.monitor.reloads;
        out.by(
            "outcome",
            "registry_config_reloads",
            "How often the configuration was read again while the server ran",
            [
                ("ok", count(&reloads.applied)),
                ("failed", count(&reloads.rejected)),
            ],
        )?;
        out.metric(
            "registry_config_last_reload_successful",
            "Whether the configuration on disk, when it was last read, is the one in force",
            ConstGauge::new(i64::from(reloads.is_current())),
        )?;
        if let Some(tls) = &self.monitor.settings.load().tls {
            certificates(tls, out)?;
        }
        out.metric(
            "registry_healthy",
            "Whether no configured health check fails",
            ConstGauge::new(i64::from(self.monitor.health.is_healthy())),
        )?;
        out.by(
            "version",
            "registry_build_info",
            "Which program this is",
            [(env!("CARGO_PKG_VERSION"), ConstGauge::new(1_i64))],
        )
    }
}

fn certificates(tls: &Tls, out: &mut Families<'_>) -> fmt::Result {
    let expiries = tls.certificates().into_iter().map(|certificate| {
        let name = certificate.names.first().cloned().unwrap_or_default();
        let seconds = certificate.not_after.as_second() as f64;
        ([("name", name)], ConstGauge::new(seconds))
    });
    out.family(
        "registry_certificate_expiry_timestamp_seconds",
        "Until when the certificate in use is valid",
        expiries,
    )?;
    out.metric(
        "registry_certificate_current",
        "Whether the certificate on disk, when it was last read, is the one in use",
        ConstGauge::new(i64::from(tls.complaint().is_none())),
    )
}
