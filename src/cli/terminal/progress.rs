//! Progress bars of a collection, a verification and an export, on a terminal.

use std::io::{IsTerminal, stderr};

use indicatif::{ProgressBar, ProgressStyle};
use parking_lot::Mutex;
use tarkeep::registry::{Progress, VerifyProgress};

use crate::cli::terminal::values::size;

const COLLECTION: &str = "[{bar:30}] {pos} of {len}, {msg} freed, {elapsed}";
const VERIFICATION: &str =
    "[{bar:30}] {binary_bytes} of {binary_total_bytes}, {msg} damaged, {elapsed}, {eta} left";
const EXPORT: &str =
    "[{bar:30}] {binary_bytes} of {binary_total_bytes}, {binary_bytes_per_sec}, {eta} left";
const LINE: &str = "{spinner} {msg}, {elapsed}";

/// A bar on standard error, removed when it is dropped.
pub(crate) struct Bar(ProgressBar, Mutex<f64>);

impl Bar {
    /// A bar of a collection.
    pub(crate) fn of_collection() -> Option<Self> {
        Self::new(COLLECTION, size(0))
    }

    /// A bar of a verification.
    pub(crate) fn of_verification() -> Option<Self> {
        Self::new(VERIFICATION, "0".to_owned())
    }

    /// A bar of an export of `size` bytes.
    pub(crate) fn of_export(size: u64) -> Option<Self> {
        let bar = Self::new(EXPORT, String::new())?;
        bar.0.set_length(size);
        Some(bar)
    }

    /// Returns `None` if standard error is not a terminal: scripts, pipes and logs never see a bar.
    fn new(template: &str, message: String) -> Option<Self> {
        let style = ProgressStyle::with_template(template).ok()?;
        let bar = || {
            ProgressBar::new(0)
                .with_message(message)
                .with_style(style.progress_chars("= "))
        };
        let bar = stderr().is_terminal().then(bar)?;
        Some(Self(bar, Mutex::new(0.0)))
    }

    /// Shows how far a collection is; the bar never goes back, although its estimate may grow.
    pub(crate) fn update(&self, progress: &Progress) {
        if progress.due > 0 {
            let mut reached = self.1.lock();
            let (length, now) = forward(progress.done, progress.due, *reached);
            *reached = now;
            self.0.set_length(length);
            self.0.set_message(size(progress.swept.bytes));
            self.0.set_position(progress.done);
        }
    }

    pub(crate) fn show(&self, progress: &VerifyProgress) {
        self.0.set_length(progress.all_size);
        self.0.set_message(progress.damaged.to_string());
        self.0.set_position(progress.size);
    }

    /// Adds bytes that were copied.
    pub(crate) fn advance(&self, bytes: u64) {
        self.0.inc(bytes);
    }

    /// Prints something above the bar.
    pub(crate) fn above<T>(&self, print: impl FnOnce() -> T) -> T {
        self.0.suspend(print)
    }
}

impl Drop for Bar {
    fn drop(&mut self) {
        self.0.finish_and_clear();
    }
}

/// Returns the length at which a bar stands no further back than it has reached, and what it reaches, from 0 to 1.
fn forward(done: u64, due: u64, reached: f64) -> (u64, f64) {
    let part = done as f64 / due.max(1) as f64;
    if part >= reached {
        return (due, part);
    }
    let length = (done as f64 / reached).floor() as u64;
    (length.max(done), reached)
}

/// A line on standard error that tells how far something is, removed when it is dropped.
pub(crate) struct Line(ProgressBar);

impl Line {
    /// Returns `None` if standard error is not a terminal, as [`Bar`] does.
    pub(crate) fn new() -> Option<Self> {
        let style = ProgressStyle::with_template(LINE).ok()?;
        let line = || ProgressBar::no_length().with_style(style);
        stderr().is_terminal().then(line).map(Self)
    }

    pub(crate) fn show(&self, text: &str) {
        self.0.set_message(text.to_owned());
        self.0.tick();
    }
}

impl Drop for Line {
    fn drop(&mut self) {
        self.0.finish_and_clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bar_never_goes_back() {
        let mut reached = 0.0;
        let mut parts = Vec::new();
        for (done, due) in [(0, 10), (5, 10), (6, 100), (50, 100), (51, 200), (200, 200)] {
            let (length, now) = forward(done, due, reached);
            assert!(length >= done, "{done} of {due}");
            parts.push(done as f64 / length as f64);
            reached = now;
        }
        assert!(parts.is_sorted(), "{parts:?}");
        assert_eq!(parts.last(), Some(&1.0));
    }

    #[test]
    fn the_templates_are_valid() {
        for template in [COLLECTION, VERIFICATION, EXPORT, LINE] {
            assert!(ProgressStyle::with_template(template).is_ok());
        }
    }
}
