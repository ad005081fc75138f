//! Start of the log, and its path to standard error.

use std::backtrace::{Backtrace, BacktraceStatus};
use std::io::{self, IsTerminal, Write};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use parking_lot::Mutex;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use tracing_subscriber::filter::LevelFilter;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::reload;
use tracing_subscriber::util::SubscriberInitExt;

use super::lines::Lines;
use super::settings::{Formatter, Level, Settings};
use crate::threads::background_writer::BackgroundWriter;

/// Time that a reader of the last lines may take.
const FLUSH_TIMEOUT: Duration = Duration::from_secs(1);

/// Size that a writable pipe accepts without blocking, in bytes: Linux's `PIPE_BUF`.
const ATOMIC_WRITE: usize = 4096;

/// Writer of the lines that cannot be written at once. A process has one log.
static WRITER: OnceLock<BackgroundWriter> = OnceLock::new();

/// Handle that changes the level of a running log.
#[derive(Clone)]
pub struct Handle(reload::Handle<LevelFilter, tracing_subscriber::Registry>);

impl Handle {
    /// Logs events of this level and of more severe ones from now on.
    pub fn set_level(&self, level: Level) {
        // fails only without a log
        let _ = self.0.reload(filter(level));
    }
}

/// Starts the log of this process, including panics. To be called once.
///
/// # Errors
/// The system cannot start a thread.
pub fn start(settings: Settings) -> io::Result<Handle> {
    let writer = BackgroundWriter::start("log", io::stderr(), Duration::ZERO)?;
    let _ = WRITER.set(writer.clone());
    let (level, handle) = reload::Layer::new(filter(settings.level));
    let is_colourful = settings.formatter == Formatter::Text && io::stderr().is_terminal();
    let lines = Lines {
        formatter: settings.formatter,
        fields: settings.fields,
        has_caller: settings.has_caller,
    };
    let sink = Arc::new(Sink {
        writer,
        writing: Mutex::default(),
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

/// Blocks until everything logged so far is written, for at most a second.
pub fn flush() {
    if let Some(writer) = WRITER.get() {
        writer.flush(FLUSH_TIMEOUT);
    }
}

/// Returns the number of lines dropped because standard error was too slow or failed.
pub fn dropped() -> u64 {
    WRITER.get().map_or(0, BackgroundWriter::dropped)
}

/// Standard error, whose reader may be slow.
struct Sink {
    writer: BackgroundWriter,
    /// Held while a line is written at once.
    writing: Mutex<()>,
}

impl Sink {
    fn write(&self, line: &[u8]) {
        let write_at_once = |_guard| {
            line.len() <= ATOMIC_WRITE
                // queued lines come first
                && self.writer.is_idle()
                && is_writable()
                && io::stderr().write_all(line).is_ok()
        };
        if !self.writing.try_lock().is_some_and(write_at_once) {
            self.writer.write(line);
        }
    }
}

fn is_writable() -> bool {
    let stderr = io::stderr();
    let mut files = [PollFd::new(&stderr, PollFlags::OUT)];
    poll(&mut files, Some(&Timespec::default())).is_ok()
        && files[0].revents().contains(PollFlags::OUT)
}

/// Writer of one event, whose line arrives in one piece.
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
