//! A running server.

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};

/// A server of this build, or of another that `REGISTRY` names; killed when dropped.
pub struct Server {
    pub child: Child,
    pub address: String,
}

impl Server {
    /// Starts on a data directory and any port of loopback, without background collection and with more variables.
    pub fn start(directory: &Path, variables: &[(&str, &str)]) -> Self {
        let program = std::env::var_os("REGISTRY");
        let program = program.unwrap_or_else(|| env!("CARGO_BIN_EXE_registry").into());
        let mut command = Command::new(program);
        command
            .args(["serve", "--addr", "127.0.0.1:0", "--data-dir"])
            .arg(directory)
            .env("REGISTRY_GC_ENABLED", "false")
            .env("REGISTRY_STORAGE_RESERVE", "0")
            .envs(variables.iter().copied())
            .stdout(Stdio::piped());
        let mut child = command.spawn().expect("the server starts");
        let mut line = String::new();
        BufReader::new(child.stdout.take().expect("a pipe"))
            .read_line(&mut line)
            .expect("a line");
        let address = line
            .split_once("http://")
            .and_then(|(_, rest)| rest.split(',').next())
            .expect("an address")
            .to_owned();
        Self { child, address }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
