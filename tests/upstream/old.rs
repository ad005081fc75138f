//! Debian's `docker-registry` as the registry that is moved from.

use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};

use serde_json::json;

use crate::support::{Client, announce_skipped};

const PROGRAM: &str = "/usr/bin/docker-registry";

/// A running `docker-registry` with an empty store.
pub struct Old {
    address: String,
    child: Child,
    _directory: tempfile::TempDir,
}

impl Old {
    /// Starts it; `None` if it is not installed.
    pub fn start() -> Option<Self> {
        if !std::path::Path::new(PROGRAM).exists() {
            announce_skipped("moving from docker-registry", "it is not installed");
            return None;
        }
        let directory = tempfile::TempDir::new().expect("a directory");
        // YAML is a superset of JSON
        let config = json!({
            "version": 0.1,
            "storage": { "filesystem": { "rootdirectory": directory.path() } },
            "http": { "addr": "127.0.0.1:0", "secret": "old" },
        });
        let path = directory.path().join("config.yml");
        std::fs::write(&path, config.to_string()).expect("a file");
        let mut child = Command::new(PROGRAM)
            .arg("serve")
            .arg(&path)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .expect("it starts");
        let mut lines = BufReader::new(child.stderr.take().expect("a pipe")).lines();
        let address = loop {
            let line = lines.next().expect("it starts").expect("text");
            if let Some((_, rest)) = line.split_once("listening on ") {
                break rest.split('"').next().unwrap_or_default().to_owned();
            }
        };
        // it goes on to log every request, and must not wait for a reader
        std::thread::spawn(move || lines.for_each(drop));
        Some(Self {
            address,
            child,
            _directory: directory,
        })
    }

    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    pub fn client(&self) -> Client {
        Client::new(&self.address)
    }
}

impl Drop for Old {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
