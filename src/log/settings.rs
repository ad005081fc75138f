//! Settings of the log: distribution's `log` section.

use serde_json::{Map, Value};

/// Format of a line.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Formatter {
    /// For people: time, level, message, `key=value`.
    #[default]
    Text,
    /// An object with `time`, `level`, `msg` and fields.
    Json,
    /// An object with `@timestamp`, `@version`, `level`, `message` and fields.
    Logstash,
}

/// Least severe level that is logged.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Level {
    Error,
    Warn,
    #[default]
    Info,
    Debug,
}

/// Settings of the log.
#[derive(Clone, Debug, Default)]
pub struct Settings {
    pub level: Level,
    pub formatter: Formatter,
    /// Fields of every line; an event's own field of the same name overrides one.
    pub fields: Map<String, Value>,
    /// True if every line names its location in the source.
    pub has_caller: bool,
}
