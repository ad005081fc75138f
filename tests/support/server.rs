//! The real binary, started on a free port of loopback.

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};

use tempfile::TempDir;

use super::Client;

/// A running server and its data directory; both go with it.
pub struct Server {
    child: Child,
    address: String,
    directory: PathBuf,
    environment: Vec<(String, String)>,
    log: Option<PathBuf>,
    _temporary: Option<TempDir>,
}

impl Server {
    /// Starts with default settings on an empty directory.
    pub fn start() -> Self {
        Self::with(&[])
    }

    /// Starts with `REGISTRY_…` variables set.
    pub fn with(environment: &[(&str, &str)]) -> Self {
        let temporary = TempDir::new().expect("a temporary directory");
        let mut server = Self::at(&temporary.path().join("data"), environment);
        server._temporary = Some(temporary);
        server
    }

    /// As [`Self::with`], for tests that look at the log.
    pub fn logged(environment: &[(&str, &str)]) -> Self {
        let temporary = TempDir::new().expect("a temporary directory");
        let log = temporary.path().join("log");
        let environment: Vec<_> = environment
            .iter()
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
            .collect();
        let directory = temporary.path().join("data");
        let (child, address) = spawn(&directory, &environment, Some(&log));
        Self {
            child,
            address,
            directory,
            environment,
            log: Some(log),
            _temporary: Some(temporary),
        }
    }

    /// What a [`Self::logged`] server has said so far.
    pub fn log(&self) -> String {
        std::fs::read_to_string(self.log.as_ref().expect("a log")).expect("text")
    }

    /// Starts on a directory that outlives the server.
    pub fn at(directory: &Path, environment: &[(&str, &str)]) -> Self {
        let environment: Vec<_> = environment
            .iter()
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
            .collect();
        let (child, address) = spawn(directory, &environment, None);
        Self {
            child,
            address,
            directory: directory.to_owned(),
            environment,
            log: None,
            _temporary: None,
        }
    }

    /// `HOST:PORT`, or the path of a socket.
    pub fn address(&self) -> &str {
        &self.address
    }

    pub fn directory(&self) -> &Path {
        &self.directory
    }

    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// A client with a connection of its own.
    pub fn client(&self) -> Client {
        Client::new(&self.address)
    }

    /// SIGKILL: nothing of the process runs after this.
    pub fn kill(&mut self) {
        self.child.kill().expect("the server can be killed");
        self.child.wait().expect("the server ends");
    }

    /// Starts again after [`Self::kill`] or [`Self::stop`], on the same directory and another port.
    pub fn restart(&mut self) {
        (self.child, self.address) = spawn(&self.directory, &self.environment, self.log.as_deref());
    }

    /// SIGTERM, without waiting.
    pub fn terminate(&self) {
        self.signal(rustix::process::Signal::TERM);
    }

    /// SIGHUP: everything that is configured is read again.
    pub fn hang_up(&self) {
        self.signal(rustix::process::Signal::HUP);
    }

    fn signal(&self, signal: rustix::process::Signal) {
        let pid = rustix::process::Pid::from_raw(i32::try_from(self.pid()).expect("a pid"))
            .expect("a pid");
        rustix::process::kill_process(pid, signal).expect("the server can be told");
    }

    /// SIGTERM, and what came of it.
    pub fn stop(&mut self) -> ExitStatus {
        self.terminate();
        self.wait()
    }

    pub fn wait(&mut self) -> ExitStatus {
        self.child.wait().expect("the server ends")
    }

    /// The files that an upload leaves while it is open.
    pub fn upload_files(&self) -> Vec<PathBuf> {
        let entries =
            std::fs::read_dir(self.directory.join("uploads")).expect("the uploads directory");
        entries
            .map(|entry| entry.expect("an entry").path())
            .collect()
    }

    /// How many bytes of an upload are in its file, acknowledged or not.
    pub fn upload_length(&self, location: &str) -> u64 {
        upload_length(&self.directory, location)
    }

    /// Every blob file, wherever it is sharded to.
    pub fn blob_files(&self) -> Vec<PathBuf> {
        let list = |path: &Path| -> Vec<PathBuf> {
            std::fs::read_dir(path)
                .expect("a directory")
                .map(|entry| entry.expect("an entry").path())
                .collect()
        };
        let algorithms = list(&self.directory.join("blobs"));
        algorithms
            .iter()
            .flat_map(|algorithm| list(algorithm))
            .flat_map(|shard| list(&shard))
            .collect()
    }

    /// The command line tool on this server's directory.
    pub fn cli(&self, arguments: &[&str]) -> std::process::Output {
        let mut command = Command::new(env!("CARGO_BIN_EXE_registry"));
        command
            .args(arguments)
            .arg("--data-dir")
            .arg(&self.directory)
            .output()
            .expect("the command runs")
    }
}

/// As [`Server::upload_length`], for the directory of whatever server.
pub fn upload_length(directory: &Path, location: &str) -> u64 {
    let (_, id) = location.rsplit_once('/').expect("a path");
    std::fs::metadata(directory.join("uploads").join(id)).map_or(0, |metadata| metadata.len())
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// `registry serve` on a directory and any port of loopback, for those who want to start it themselves; without an access
/// log, for nobody may be reading it.
pub fn command(directory: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_registry"));
    command.args(["serve", "--data-dir"]).arg(directory);
    // the disks of test machines are fuller than a registry's should be; no flag, which would go over all variables
    command
        .env("REGISTRY_STORAGE_RESERVE", "0")
        .env("REGISTRY_HTTP_ADDR", "127.0.0.1:0");
    command.env("REGISTRY_LOG_ACCESSLOG_DISABLED", "true");
    command
}

fn spawn(
    directory: &Path,
    environment: &[(String, String)],
    log: Option<&Path>,
) -> (Child, String) {
    let mut command = command(directory);
    command
        .envs(environment.iter().cloned())
        .stdout(Stdio::piped());
    if let Some(log) = log {
        let mut options = std::fs::OpenOptions::new();
        command.stderr(options.create(true).append(true).open(log).expect("a log"));
    }
    let mut child = command.spawn().expect("the server starts");
    let mut line = String::new();
    BufReader::new(child.stdout.take().expect("a pipe"))
        .read_line(&mut line)
        .expect("a line");
    let place = line
        .strip_prefix("listening on ")
        .and_then(|rest| rest.split(',').next());
    let address = place
        .and_then(|place| place.split_once("://"))
        .map(|(_, address)| address);
    let address = address
        .unwrap_or_else(|| panic!("the server said '{line}'"))
        .to_owned();
    (child, address)
}
