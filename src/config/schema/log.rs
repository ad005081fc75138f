//! The section `log`.

use std::collections::BTreeMap;

use serde::Deserialize;

#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Log {
    pub level: Option<Level>,
    pub formatter: Formatter,
    /// Fields added to every line.
    pub fields: BTreeMap<String, serde_json::Value>,
    /// Add the source location to every line.
    pub reportcaller: bool,
    pub accesslog: AccessLog,
}

/// Minimum severity of logged messages.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Level {
    Error,
    Warn,
    #[default]
    Info,
    Debug,
}

/// Format of log lines.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Formatter {
    #[default]
    Text,
    Json,
    Logstash,
}

/// The access log: Combined Log Format, on standard output.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct AccessLog {
    pub disabled: bool,
}
