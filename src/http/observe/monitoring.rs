//! Shared monitoring of the server, for both ports.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use crate::auth::Access;
use crate::health::Health;
use crate::http::observe::access_log::AccessLog;
use crate::http::observe::metrics::requests::HttpMetrics;
use crate::http::observe::observer::Observer;
use crate::http::observe::probes::Readiness;
use crate::http::settings::LiveSettings;
use crate::mirror::Mirrors;
use crate::registry::Registry;
use crate::telemetry::Counter;

/// Counters of configuration reloads.
#[derive(Debug, Default)]
pub struct Reloads {
    pub applied: Counter,
    pub rejected: Counter,
    is_last_rejected: AtomicBool,
}

impl Reloads {
    pub fn count_applied(&self) {
        self.applied.add(1);
        self.is_last_rejected.store(false, Ordering::Relaxed);
    }

    pub fn count_rejected(&self) {
        self.rejected.add(1);
        self.is_last_rejected.store(true, Ordering::Relaxed);
    }

    pub(crate) fn is_current(&self) -> bool {
        !self.is_last_rejected.load(Ordering::Relaxed)
    }
}

/// Health, readiness, metrics and the access log of a server; clones share them.
#[derive(Clone)]
pub struct Monitor {
    pub(crate) registry: Registry,
    pub(crate) access: Access,
    pub(crate) health: Health,
    pub(crate) readiness: Arc<Readiness>,
    pub(crate) observer: Observer,
    pub(crate) reloads: Arc<Reloads>,
    pub(crate) settings: LiveSettings,
    pub(crate) mirrors: Mirrors,
}

/// Parts of the monitoring that the caller provides.
#[derive(Clone)]
pub struct Monitoring {
    pub health: Health,
    pub access_log: AccessLog,
    pub reloads: Arc<Reloads>,
}

impl Monitor {
    pub(crate) fn new(
        registry: Registry,
        access: Access,
        settings: LiveSettings,
        monitoring: Monitoring,
    ) -> Self {
        let Monitoring {
            health,
            access_log,
            reloads,
        } = monitoring;
        let readiness = Arc::new(Readiness::new(
            registry.clone(),
            health.clone(),
            settings.clone(),
        ));
        let observer = Observer {
            metrics: Arc::new(HttpMetrics::default()),
            log: access_log,
        };
        Self {
            registry,
            access,
            health,
            readiness,
            observer,
            reloads,
            settings,
            mirrors: Mirrors::default(),
        }
    }
}
