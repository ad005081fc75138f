//! What is said about what happens.

use std::collections::BTreeMap;

use serde::Deserialize;

#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Log {
    pub level: Option<Level>,
    pub formatter: Formatter,
    /// Put on every line, beside what the line says itself.
    pub fields: BTreeMap<String, serde_json::Value>,
    /// Name the place in the source on every line.
    pub reportcaller: bool,
    pub accesslog: AccessLog,
}

/// The least severe messages that are logged.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Level {
    Error,
    Warn,
    #[default]
    Info,
    Debug,
}

/// How a line looks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Formatter {
    #[default]
    Text,
    Json,
    Logstash,
}

/// A line in Combined Log Format for each request, on standard output.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct AccessLog {
    pub disabled: bool,
}
