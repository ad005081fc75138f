//! Probes `/livez` and `/readyz`, which need no login and reveal nothing confidential.

use std::borrow::Cow;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use axum::Router;
use axum::body::Body;
use axum::extract::State;
use axum::routing::get;
use http::header::{CACHE_CONTROL, HeaderValue};
use http::{Response, StatusCode};
use serde_json::{Map, Value, json};
use tokio::sync::Mutex;
use tokio::task::JoinHandle;

use crate::health::Health;
use crate::http::api::request::query::ReadinessQuery;
use crate::http::endpoint::Endpoint;
use crate::http::response::builder;
use crate::http::settings::LiveSettings;
use crate::registry::{BackupState, Error, Registry, Shortage};

/// Time for which a report is cached: the database is written to at most once in it.
const FRESH: Duration = Duration::from_secs(1);
/// Maximum time for the database to respond.
const PATIENCE: Duration = Duration::from_secs(2);

/// Checks with their problems, in texts that reveal nothing of the machine.
type Report = Vec<(&'static str, Option<Cow<'static, str>>)>;

/// Checks of whether the server can do its work.
pub(crate) struct Readiness {
    registry: Registry,
    health: Health,
    settings: LiveSettings,
    is_draining: AtomicBool,
    state: Mutex<Cache>,
}

#[derive(Default)]
struct Cache {
    report: Option<(Instant, Report)>,
    /// A change of the database that has not been answered: there is never a second one behind it.
    pending: Option<JoinHandle<Result<DatabaseState, Error>>>,
}

/// State of a database that can be changed.
enum DatabaseState {
    Sound,
    Damaged,
}

/// Routes of the probes.
pub(crate) fn router(readiness: Arc<Readiness>) -> Router {
    Router::new()
        .route(Endpoint::Liveness.info().path, get(live))
        .route(Endpoint::Readiness.info().path, get(ready))
        .with_state(readiness)
}

/// Responds as long as the process does.
async fn live() -> Response<Body> {
    uncached(builder::json(
        StatusCode::OK,
        json!({ "status": "live" }).to_string(),
    ))
}

async fn ready(State(readiness): State<Arc<Readiness>>, query: ReadinessQuery) -> Response<Body> {
    readiness.respond(&query).await
}

impl Readiness {
    pub(crate) fn new(registry: Registry, health: Health, settings: LiveSettings) -> Self {
        Self {
            registry,
            health,
            settings,
            is_draining: AtomicBool::default(),
            state: Mutex::default(),
        }
    }

    /// Marks the server as not ready because it stops.
    pub(crate) fn drain(&self) {
        self.is_draining.store(true, Ordering::Relaxed);
    }

    /// Reports whether the server stops.
    pub(crate) fn is_draining(&self) -> bool {
        self.is_draining.load(Ordering::Relaxed)
    }

    /// Responds with 200, or with 503 and the failing checks; with all checks if the query is verbose.
    async fn respond(&self, query: &ReadinessQuery) -> Response<Body> {
        let mut report = self.report().await;
        report.push((
            "stopping",
            self.is_draining()
                .then_some("the server is being stopped".into()),
        ));
        let import = self.registry.import().progress().running();
        report.push((
            "import",
            import.map(|counts| format!("taking over the store of registry:2: {counts}").into()),
        ));
        let is_wanted = |name: &str| !query.excluded.iter().any(|excluded| excluded == name);
        report.retain(|(name, _)| is_wanted(name));
        let is_ready = report.iter().all(|(_, problem)| problem.is_none());
        // clients lose nothing by a backup that failed
        if query.is_verbose && is_wanted("backup") {
            report.push(("backup", self.backup()));
        }
        let listed = report
            .into_iter()
            .filter(|(_, problem)| query.is_verbose || problem.is_some());
        let mut checks: Map<_, _> = listed
            .map(|(name, problem)| (name.to_owned(), Value::from(problem.unwrap_or("ok".into()))))
            .collect();
        if query.is_verbose {
            checks.insert("verification".to_owned(), self.verification().into());
        }
        let mut body = json!({ "status": if is_ready { "ready" } else { "not ready" } });
        if !checks.is_empty() {
            body["checks"] = Value::Object(checks);
        }
        let status = if is_ready {
            StatusCode::OK
        } else {
            StatusCode::SERVICE_UNAVAILABLE
        };
        uncached(builder::json(status, body.to_string()))
    }

    /// Says what verification found, which is no reason to send clients elsewhere.
    fn verification(&self) -> String {
        let stats = self.registry.status().verification();
        match jiff::Timestamp::from_millisecond(stats.last.get()) {
            _ if !self.registry.settings().verify.enabled => "off".to_owned(),
            Ok(end) if stats.last.get() > 0 => {
                format!("finished {end:.0}, {} damaged", stats.damaged.get())
            }
            _ => "not finished yet".to_owned(),
        }
    }

    async fn report(&self) -> Report {
        // concurrent requests share one report
        let mut state = self.state.lock().await;
        if let Some((taken, report)) = &state.report
            && taken.elapsed() < FRESH
        {
            return report.clone();
        }
        let database = self.database(&mut state.pending).await;
        let disk = match self.registry.status().check_disk() {
            Ok(()) => None,
            Err(Error::StorageFull(shortage)) => Some(match shortage {
                Shortage::Blocks => "the disk is full, so pushes are refused",
                Shortage::Inodes => "no inodes are free on the disk, so pushes are refused",
                Shortage::Quota => "the disk quota is used up, so pushes are refused",
            }),
            Err(Error::Reserve) => {
                Some("no disk is free beyond the reserve, so pushes are refused")
            }
            Err(error) => {
                tracing::warn!(%error, "not ready");
                Some("the data directory cannot be examined")
            }
        };
        let tls = self.settings.load().tls.clone();
        let is_expired = tls.is_some_and(|tls| {
            tls.certificates()
                .iter()
                .any(|certificate| certificate.not_after <= jiff::Timestamp::now())
        });
        let health = (!self.health.is_healthy())
            .then_some("a configured check fails: /debug/health names it");
        let report = vec![
            ("database", database.map(Cow::Borrowed)),
            ("disk", disk.map(Cow::Borrowed)),
            (
                "certificate",
                is_expired.then_some("the certificate has expired".into()),
            ),
            ("health", health.map(Cow::Borrowed)),
        ];
        state.report = Some((Instant::now(), report.clone()));
        report
    }

    fn backup(&self) -> Option<Cow<'static, str>> {
        match self.registry.backups().counters().state() {
            BackupState::Failed => Some("the last backup failed: the log says why".into()),
            BackupState::Damaged => Some(
                "content is damaged: the log of the last backup, and registry verify, name it"
                    .into(),
            ),
            BackupState::Incomplete(number) => Some(
                format!("{number} incomplete: registry verify names the images and what they lack")
                    .into(),
            ),
            BackupState::Idle | BackupState::Running | BackupState::Complete => None,
        }
    }

    async fn database(
        &self,
        pending: &mut Option<JoinHandle<Result<DatabaseState, Error>>>,
    ) -> Option<&'static str> {
        let change = pending.get_or_insert_with(|| {
            let registry = self.registry.clone();
            tokio::spawn(async move {
                if registry.status().is_database_damaged().await? {
                    return Ok(DatabaseState::Damaged);
                }
                registry.status().check_database_writable().await?;
                Ok(DatabaseState::Sound)
            })
        });
        let Ok(done) = tokio::time::timeout(PATIENCE, change).await else {
            return Some("the database does not respond in time");
        };
        *pending = None;
        match done {
            Ok(Ok(DatabaseState::Sound)) => None,
            Ok(Ok(DatabaseState::Damaged)) => Some(
                "the database is damaged: registry verify says where, and docs/backup.md how to restore it",
            ),
            Ok(Err(error)) => {
                tracing::warn!(%error, "not ready: the database cannot be changed");
                Some("the database cannot be changed")
            }
            Err(_) => Some("the database cannot be changed"),
        }
    }
}

fn uncached(mut response: Response<Body>) -> Response<Body> {
    response
        .headers_mut()
        .insert(CACHE_CONTROL, HeaderValue::from_static("no-cache"));
    response
}
