//! A running server of this build with one mirror, and what it uses.

use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use tempfile::TempDir;

/// A server whose repositories below `mirror/` are an upstream's; killed when dropped.
pub struct Registry {
    child: Child,
    pub address: String,
    _directory: TempDir,
}

impl Registry {
    pub fn start(upstream: &str) -> Self {
        let place = concat!(env!("CARGO_MANIFEST_DIR"), "/target");
        let directory = TempDir::new_in(place).expect("a directory");
        let mut command = Command::new(env!("CARGO_BIN_EXE_registry"));
        command
            .args(["serve", "--addr", "127.0.0.1:0", "--data-dir"])
            .arg(directory.path())
            .env("REGISTRY_GC_ENABLED", "false")
            .env("REGISTRY_STORAGE_RESERVE", "0")
            .env("REGISTRY_LOG_ACCESSLOG_DISABLED", "true")
            .env(
                "REGISTRY_UPSTREAMS",
                format!(r#"[{{"prefix": "mirror", "url": "http://{upstream}"}}]"#),
            )
            .stdout(Stdio::piped());
        let mut child = command.spawn().expect("the server starts");
        let mut line = String::new();
        BufReader::new(child.stdout.take().expect("a pipe"))
            .read_line(&mut line)
            .expect("a line");
        let address = line.split_once("http://");
        let address = address.and_then(|(_, rest)| rest.split(',').next());
        Self {
            child,
            address: address.expect("an address").to_owned(),
            _directory: directory,
        }
    }

    fn proc(&self, file: &str) -> String {
        let path = format!("/proc/{}/{file}", self.child.id());
        std::fs::read_to_string(path).expect("a process")
    }

    /// Returns the most memory that the server had, in bytes.
    pub fn peak_memory(&self) -> u64 {
        let status = self.proc("status");
        let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
        let kib = line.and_then(|line| line.trim().split(' ').next()?.parse::<u64>().ok());
        kib.expect("a size") * 1024
    }

    /// Returns the processor time of the server so far, in ticks of 10 ms.
    pub fn cpu(&self) -> Duration {
        let stat = self.proc("stat");
        let (_, rest) = stat.rsplit_once(") ").expect("a state");
        let ticks = rest.split(' ').skip(11).take(2);
        let ticks: u64 = ticks
            .map(|ticks| ticks.parse::<u64>().expect("ticks"))
            .sum();
        Duration::from_millis(ticks * 10)
    }
}

impl Drop for Registry {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
