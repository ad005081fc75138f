//! Progress bar of a collection, on a terminal.

use std::io::{IsTerminal, stderr};

use indicatif::{ProgressBar, ProgressStyle};
use tarkeep::registry::Progress;

use crate::cli::terminal::values::size;

const TEMPLATE: &str = "[{bar:30}] {pos} of {len}, {msg} freed, {elapsed}";

const LINE_TEMPLATE: &str = "{spinner} {msg}, {elapsed}";

/// A bar on standard error, removed when it is dropped.
pub(crate) struct Bar(ProgressBar);

impl Bar {
    /// Returns `None` if standard error is not a terminal: scripts, pipes and logs never see a bar.
    pub(crate) fn new() -> Option<Self> {
        let style = ProgressStyle::with_template(TEMPLATE).ok()?;
        let bar = || {
            ProgressBar::new(0)
                .with_message(size(0))
                .with_style(style.progress_chars("= "))
        };
        stderr().is_terminal().then(bar).map(Self)
    }

    pub(crate) fn update(&self, progress: &Progress) {
        if progress.due > 0 {
            self.0.set_length(progress.due);
            self.0.set_message(size(progress.swept.bytes));
            self.0.set_position(progress.done);
        }
    }
}

impl Drop for Bar {
    fn drop(&mut self) {
        self.0.finish_and_clear();
    }
}

/// A line on standard error that tells how far something is, removed when it is dropped.
pub(crate) struct Line(ProgressBar);

impl Line {
    /// Returns `None` if standard error is not a terminal, as [`Bar::new`] does.
    pub(crate) fn new() -> Option<Self> {
        let style = ProgressStyle::with_template(LINE_TEMPLATE).ok()?;
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
    fn the_template_is_valid() {
        for template in [TEMPLATE, LINE_TEMPLATE] {
            assert!(ProgressStyle::with_template(template).is_ok());
        }
    }
}
