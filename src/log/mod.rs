//! What the server says about what happens: one line an event on standard error, as people, JSON or Logstash read it.
//!
//! The shapes are those of distribution, whose JSON is logrus's and whose third kind is Logstash's event (version 1).
//!
//! Whoever says something writes it, so that a crash loses nothing, as long as that takes no waiting for whoever reads it; else a
//! thread does (`background_writer.rs`). What must be read before the process ends is waited for with [`flush`].

mod event;
mod gather;
mod lines;

use std::backtrace::{Backtrace, BacktraceStatus};
use std::io::{self, IsTerminal, Write};
use std::sync::{Arc, Mutex, OnceLock};
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use serde_json::{Map, Value};
use tracing_subscriber::filter::LevelFilter;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::reload;
use tracing_subscriber::util::SubscriberInitExt;

pub use gather::gather;
use lines::Lines;

use crate::background_writer::BackgroundWriter;

/// How long those who read the last lines may take over it.
const PATIENCE: Duration = Duration::from_secs(1);

/// What a pipe that takes anything takes without waiting, in bytes: Linux's `PIPE_BUF`.
const AT_ONCE: usize = 4096;

/// Where lines go that are not written at once. A process has one log.
static WRITER: OnceLock<BackgroundWriter> = OnceLock::new();

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

/// Starts the log of this process, panics included. To be called once.
///
/// # Errors
/// Where there can be no thread.
pub fn start(settings: Settings) -> io::Result<Handle> {
    let writer = BackgroundWriter::start("log", io::stderr(), Duration::ZERO)?;
    let _ = WRITER.set(writer.clone());
    let (level, handle) = reload::Layer::new(filter(settings.level));
    let is_colourful = settings.formatter == Formatter::Text && io::stderr().is_terminal();
    let lines = Lines {
        formatter: settings.formatter,
        fields: settings.fields,
        caller: settings.caller,
    };
    let sink = Arc::new(Sink {
        writer,
        turn: Mutex::default(),
    });
    let writer = move || Line(Arc::clone(&sink));
    let layer = tracing_subscriber::fmt::layer()
        .event_format(lines)
        .with_ansi(is_colourful)
        .with_writer(writer);
    tracing_subscriber::registry()
        .with(level)
        .with(layer)
        .init();
    std::panic::set_hook(Box::new(|panic| {
        let backtrace = Backtrace::capture();
        let backtrace =
            (backtrace.status() == BacktraceStatus::Captured).then(|| backtrace.to_string());
        tracing::error!(thread = std::thread::current().name(), backtrace, "{panic}");
        flush();
    }));
    Ok(Handle(handle))
}

/// Waits until everything is written that was said by now, for a second at the most. Blocks.
pub fn flush() {
    if let Some(writer) = WRITER.get() {
        writer.flush(PATIENCE);
    }
}

/// Lines that nobody took in time, or that could not be written.
pub fn dropped() -> u64 {
    WRITER.get().map_or(0, BackgroundWriter::dropped)
}

/// Standard error, which somebody may be slow to read.
struct Sink {
    writer: BackgroundWriter,
    turn: Mutex<()>,
}

impl Sink {
    fn write(&self, line: &[u8]) {
        // what waits comes first
        let write = |_turn| {
            line.len() <= AT_ONCE
                && self.writer.is_idle()
                && takes_more()
                && io::stderr().write_all(line).is_ok()
        };
        if !self.turn.try_lock().is_ok_and(write) {
            self.writer.write(line);
        }
    }
}

fn takes_more() -> bool {
    let stderr = io::stderr();
    let mut files = [PollFd::new(&stderr, PollFlags::OUT)];
    poll(&mut files, Some(&Timespec::default())).is_ok()
        && files[0].revents().contains(PollFlags::OUT)
}

/// Takes the line of one event, which comes at once.
struct Line(Arc<Sink>);

impl Write for Line {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.write(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn filter(level: Level) -> LevelFilter {
    match level {
        Level::Error => LevelFilter::ERROR,
        Level::Warn => LevelFilter::WARN,
        Level::Info => LevelFilter::INFO,
        Level::Debug => LevelFilter::DEBUG,
    }
}
