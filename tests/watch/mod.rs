//! A running server seen from outside: log, access log, health, readiness and metrics.

mod access_log;
mod backups;
mod dashboard;
mod fail2ban;
mod health;
mod health_command;
mod logs;
mod metrics;
mod probes;
pub mod shortages;
mod verification;

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{Child, Stdio};

use tempfile::TempDir;

use crate::support::server::{announced_address, command};
use crate::support::{Client, eventually_some, show_if_failing};

/// A server whose output goes to files.
struct Watched {
    child: Child,
    address: String,
    temporary: TempDir,
}

impl Watched {
    /// Starts with the debug port and metrics enabled, and the given environment.
    fn start(environment: &[(&str, &str)]) -> Self {
        let temporary = TempDir::new().expect("a directory");
        let data = temporary.path().join("data");
        Self::run(temporary, &data, environment)
    }

    /// As [`Self::start`], on a data directory that outlives the server.
    fn at(data: &Path, environment: &[(&str, &str)]) -> Self {
        Self::run(TempDir::new().expect("a directory"), data, environment)
    }

    fn run(temporary: TempDir, data: &Path, environment: &[(&str, &str)]) -> Self {
        let common = [
            ("REGISTRY_HTTP_DEBUG_ADDR", "127.0.0.1:0"),
            ("REGISTRY_HTTP_DEBUG_PROMETHEUS_ENABLED", "true"),
            ("REGISTRY_LOG_ACCESSLOG_DISABLED", "false"),
        ];
        let mut command = command(data);
        command.envs(common).envs(environment.iter().copied());
        let file =
            |name: &str| Stdio::from(File::create(temporary.path().join(name)).expect("a file"));
        let child = command
            .stdout(file("out"))
            .stderr(file("err"))
            .spawn()
            .expect("the server starts");
        let mut watched = Self {
            child,
            address: String::new(),
            temporary,
        };
        let first = eventually_some("the server announces its address", || {
            watched.out().into_iter().next()
        });
        watched.address = announced_address(&first)
            .unwrap_or_else(|| panic!("the server said {first:?}"))
            .to_owned();
        watched
    }

    fn path(&self, name: &str) -> PathBuf {
        self.temporary.path().join(name)
    }

    /// Complete lines of standard output.
    fn out(&self) -> Vec<String> {
        lines(&self.path("out"))
    }

    /// Complete lines of standard error.
    fn err(&self) -> Vec<String> {
        lines(&self.path("err"))
    }

    fn client(&self) -> Client {
        Client::new(&self.address)
    }

    /// A client of the debug port.
    fn debug(&self) -> Client {
        let line = eventually_some("the debug port is logged", || {
            self.err()
                .into_iter()
                .find(|line| line.contains("debug port listening"))
        });
        let words = line.split(|byte: char| byte.is_whitespace() || "\"=,}".contains(byte));
        let address = words
            .into_iter()
            .find(|word| word.starts_with("127.0.0.1:"))
            .unwrap_or_else(|| panic!("no address: {line}"));
        Client::new(address)
    }

    /// Current metrics.
    fn metrics(&self) -> String {
        let answer = self.debug().get("/metrics");
        assert_eq!(answer.status, 200);
        String::from_utf8(answer.body).expect("text")
    }

    /// Lets it end by itself, once it has said what it says at the start.
    fn stop(&mut self) {
        self.terminate();
        self.end();
    }

    /// Sends SIGTERM without waiting.
    fn terminate(&self) {
        self.signal(rustix::process::Signal::TERM);
    }

    fn signal(&self, signal: rustix::process::Signal) {
        let pid = rustix::process::Pid::from_raw(i32::try_from(self.child.id()).expect("a pid"))
            .expect("a pid");
        rustix::process::kill_process(pid, signal).expect("the server can be signalled");
    }

    /// Waits for a successful exit.
    fn end(&mut self) {
        assert!(self.child.wait().expect("it ends").success());
    }
}

impl Drop for Watched {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        show_if_failing(|| self.err().join("\n"));
    }
}

fn lines(path: &std::path::Path) -> Vec<String> {
    let text = std::fs::read_to_string(path).expect("text");
    text.split_inclusive('\n')
        .filter_map(|line| line.strip_suffix('\n').map(str::to_owned))
        .collect()
}
