//! Progress bar of work that is measured in bytes, on a terminal.

use std::io::{IsTerminal, stderr};

use indicatif::{ProgressBar, ProgressStyle};

const TEMPLATE: &str = "[{bar:30}] {bytes} of {total_bytes}, {bytes_per_sec}, {elapsed}";

/// A bar on standard error, removed when it is dropped.
pub(crate) struct CopyBar(ProgressBar);

impl CopyBar {
    /// Returns `None` if standard error is not a terminal: scripts, pipes and logs never see a bar.
    pub(crate) fn new() -> Option<Self> {
        let style = ProgressStyle::with_template(TEMPLATE).ok()?;
        let bar = || ProgressBar::new(0).with_style(style.progress_chars("= "));
        stderr().is_terminal().then(bar).map(Self)
    }

    /// Shows the bytes that are done, and those to do; 0 as long as they are unknown.
    pub(crate) fn update(&self, done: u64, expected: u64) {
        if expected > 0 {
            self.0.set_length(expected.max(done));
            self.0.set_position(done);
        }
    }
}

impl Drop for CopyBar {
    fn drop(&mut self) {
        self.0.finish_and_clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_template_is_valid() {
        assert!(ProgressStyle::with_template(TEMPLATE).is_ok());
    }
}
