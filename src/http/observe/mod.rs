//! The operators' view: access log, error log, metrics, probes and the debug port.

pub(crate) mod access_log;
pub(crate) mod debug_server;
pub(crate) mod error_log;
pub(crate) mod metrics;
pub(crate) mod monitoring;
pub(crate) mod observer;
pub(crate) mod probes;
