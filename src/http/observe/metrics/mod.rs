//! Metrics: those of requests, and the collection of all metrics in the formats of Prometheus and OpenMetrics.

pub(crate) mod collector;
pub(crate) mod families;
pub(crate) mod mirrors;
pub(crate) mod process;
pub(crate) mod prometheus;
pub(crate) mod requests;
pub(crate) mod verification;
pub(crate) mod webhooks;
