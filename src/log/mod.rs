//! What the server says about what happens: one line an event on standard error, as people, JSON or Logstash read it.
//!
//! The shapes are those of distribution, whose JSON is logrus's and whose third kind is Logstash's event (version 1).

mod event;
mod gather;
mod lines;

use std::io::IsTerminal;

use serde_json::{Map, Value};
use tracing_subscriber::filter::LevelFilter;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::reload;
use tracing_subscriber::util::SubscriberInitExt;

pub use gather::gather;
use lines::Lines;

/// How a line looks.
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

/// The least severe events that are told.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Level {
    Error,
    Warn,
    #[default]
    Info,
    Debug,
}

/// How the log is kept.
#[derive(Clone, Debug, Default)]
pub struct Settings {
    pub level: Level,
    pub formatter: Formatter,
    /// Put on every line; what an event says itself by one of these names goes over it.
    pub fields: Map<String, Value>,
    /// Name the place in the source on every line.
    pub caller: bool,
}

/// Changes the level of a log that was started.
#[derive(Clone)]
pub struct Handle(reload::Handle<LevelFilter, tracing_subscriber::Registry>);

impl Handle {
    /// From now on events of this level and of severer ones are told.
    pub fn set_level(&self, level: Level) {
        // fails only where the log is gone
        let _ = self.0.reload(filter(level));
    }
}

/// Starts the log of this process. To be called once.
pub fn start(settings: Settings) -> Handle {
    let (level, handle) = reload::Layer::new(filter(settings.level));
    let is_colourful = settings.formatter == Formatter::Text && std::io::stderr().is_terminal();
    let lines = Lines { formatter: settings.formatter, fields: settings.fields, caller: settings.caller };
    let layer = tracing_subscriber::fmt::layer().event_format(lines).with_ansi(is_colourful).with_writer(std::io::stderr);
    tracing_subscriber::registry().with(level).with(layer).init();
    Handle(handle)
}

fn filter(level: Level) -> LevelFilter {
    match level {
        Level::Error => LevelFilter::ERROR,
        Level::Warn => LevelFilter::WARN,
        Level::Info => LevelFilter::INFO,
        Level::Debug => LevelFilter::DEBUG,
    }
}
