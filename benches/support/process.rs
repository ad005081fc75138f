//! A running server of this build with one mirror, and what it uses.

use std::time::Duration;

use tempfile::TempDir;

use crate::server::Server;

/// A server whose repositories below `mirror/` are an upstream's.
pub struct Registry {
    server: Server,
    _directory: TempDir,
}

impl Registry {
    pub fn start(upstream: &str) -> Self {
        let place = concat!(env!("CARGO_MANIFEST_DIR"), "/target");
        let directory = TempDir::new_in(place).expect("a directory");
        let section = format!(r#"[{{"prefix": "mirror", "url": "http://{upstream}"}}]"#);
        let variables = [
            ("REGISTRY_LOG_ACCESSLOG_DISABLED", "true"),
            ("REGISTRY_UPSTREAMS", &section),
        ];
        Self {
            server: Server::start(directory.path(), &variables),
            _directory: directory,
        }
    }

    pub fn address(&self) -> &str {
        &self.server.address
    }

    fn proc(&self, file: &str) -> String {
        let path = format!("/proc/{}/{file}", self.server.child.id());
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
