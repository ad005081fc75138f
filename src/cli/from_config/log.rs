//! The settings of the log, from the section `log`, and starting it.

use tarkeep::config::{self, Config};
use tarkeep::log::{Formatter, Handle, Level, Settings};

use crate::cli::error::Error;

/// Starts the log of a server.
pub(crate) fn start(config: &Config) -> Result<Handle, Error> {
    let log = &config.log;
    let started = tarkeep::log::start(Settings {
        level: level(config.level()),
        formatter: match log.formatter {
            config::Formatter::Text => Formatter::Text,
            config::Formatter::Json => Formatter::Json,
            config::Formatter::Logstash => Formatter::Logstash,
        },
        fields: log.fields.clone().into_iter().collect(),
        has_caller: log.reportcaller,
    });
    started.map_err(|error| no_thread(&error))
}

/// Starts the log of a command: warnings and errors only.
pub(crate) fn start_quiet() -> Result<(), Error> {
    tarkeep::log::start(Settings {
        level: Level::Warn,
        ..Settings::default()
    })
    .map(drop)
    .map_err(|error| no_thread(&error))
}

fn no_thread(error: &std::io::Error) -> Error {
    Error::Other(format!("cannot start a thread for the log: {error}"))
}

pub(crate) fn level(level: config::Level) -> Level {
    match level {
        config::Level::Error => Level::Error,
        config::Level::Warn => Level::Warn,
        config::Level::Info => Level::Info,
        config::Level::Debug => Level::Debug,
    }
}
