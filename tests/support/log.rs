//! A server's log, which is shown only when its test fails.

use std::fs::File;
use std::process::Stdio;

use tempfile::NamedTempFile;

/// Lines of the end of the log that a failing test shows.
const SHOWN_LINES: usize = 60;

/// A file that takes a server's standard error; prints its end when dropped by a failing test.
pub struct Log(NamedTempFile);

impl Log {
    pub fn new() -> Self {
        Self(NamedTempFile::new().expect("a temporary file"))
    }

    /// The writing end, for a child process; several processes append to the same file.
    pub fn stdio(&self) -> Stdio {
        let file = File::options().append(true).open(self.0.path());
        file.expect("the log opens").into()
    }

    /// Everything logged so far.
    pub fn text(&self) -> String {
        std::fs::read_to_string(self.0.path()).expect("text")
    }
}

impl Drop for Log {
    fn drop(&mut self) {
        show_if_failing(|| self.text());
    }
}

/// Prints the end of a log if the test has panicked.
pub fn show_if_failing(log: impl FnOnce() -> String) {
    if std::thread::panicking() {
        let text = log();
        let lines: Vec<&str> = text.lines().collect();
        let shown = &lines[lines.len().saturating_sub(SHOWN_LINES)..];
        eprintln!("the server's log ends:\n{}", shown.join("\n"));
    }
}
