//! The registry under test.

use std::fs::{self, File};
use std::io::{BufRead, BufReader};
use std::net::UdpSocket;
use std::ops::Deref;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use crate::harness::api::Api;

const LOG_LINES: usize = 40;

pub struct Server {
    /// Host and port for clients, as in an image's name.
    pub host: String,
    /// At its own host and port.
    api: Api,
    child: Child,
    log: PathBuf,
}

/// Returns an address of this machine other than loopback, to which clients insist on TLS.
pub fn address() -> String {
    let socket = UdpSocket::bind("0.0.0.0:0").unwrap();
    // nothing is sent
    socket
        .connect("198.51.100.1:9")
        .expect("this machine has a route to others");
    socket.local_addr().unwrap().ip().to_string()
}

fn tail(log: &Path) -> String {
    let log = fs::read(log).unwrap_or_default();
    let log = String::from_utf8_lossy(&log);
    let lines: Vec<&str> = log.lines().collect();
    lines[lines.len().saturating_sub(LOG_LINES)..].join("\n")
}

impl Server {
    pub fn start(dir: &Path, environment: &[(&str, &str)]) -> Self {
        Self::launch(
            dir,
            "registry",
            &["--addr", "127.0.0.1:0", "--data-dir", "data"],
            environment,
        )
    }

    /// Starts `registry serve` with arguments in `dir`; its log is `NAME.log`.
    pub fn launch(
        dir: &Path,
        name: &str,
        arguments: &[&str],
        environment: &[(&str, &str)],
    ) -> Self {
        let log = dir.join(format!("{name}.log"));
        // no server outlives the test, however that ends
        let mut child = Command::new("setpriv")
            .args([
                "--pdeathsig",
                "KILL",
                env!("CARGO_BIN_EXE_registry"),
                "serve",
            ])
            .args(arguments)
            .current_dir(dir)
            .envs(environment.iter().copied())
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(File::create(&log).unwrap())
            .spawn()
            .unwrap();
        let mut line = String::new();
        let stdout = child.stdout.take().unwrap();
        BufReader::new(stdout).read_line(&mut line).unwrap();
        let place = line
            .strip_prefix("listening on ")
            .and_then(|rest| rest.split(',').next());
        let Some((_, host)) = place.and_then(|place| place.split_once("://")) else {
            panic!("the server printed {line:?}\n{}", tail(&log))
        };
        Self {
            host: host.to_owned(),
            api: Api::new(host),
            child,
            log,
        }
    }

    /// Returns the port, as in an image's name.
    pub fn port(&self) -> &str {
        self.host.rsplit(':').next().unwrap()
    }

    /// Returns the end of the server's log.
    pub fn log(&self) -> String {
        format!("the server's log ends:\n{}", tail(&self.log))
    }
}

impl Deref for Server {
    type Target = Api;

    fn deref(&self) -> &Api {
        &self.api
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // its data is thrown away, so an orderly stop gains nothing
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
