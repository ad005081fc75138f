//! Log: one line per event on standard error, for people, as JSON or for Logstash.
//!
//! The formats are distribution's, whose JSON is logrus's and whose third one is Logstash's event (version 1).
//!
//! The thread that logs an event writes it, so that a crash loses nothing, unless that would block; a background thread then
//! does. [`flush`] waits for lines that must be written before the process ends.

mod event;
mod gather;
mod lines;
mod logger;
mod settings;

pub use gather::gather;
pub use logger::{Handle, dropped, flush, start};
pub use settings::{Formatter, Level, Settings};
