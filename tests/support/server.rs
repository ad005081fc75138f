//! The real binary, started on a free port of loopback.

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};

use tempfile::TempDir;

use super::client::{Client, upload_id};
use super::log::Log;
use super::terminal::{Shown, Terminal};

/// A running server and its data directory; dropping it kills the server.
pub struct Server {
    child: Child,
    address: String,
    directory: PathBuf,
    environment: Vec<(String, String)>,
    wrapper: &'static [&'static str],
    log: Log,
    _temporary: Option<TempDir>,
}

impl Server {
    /// Starts with default settings on an empty directory.
    pub fn start() -> Self {
        Self::with(&[])
    }

    /// Starts on an empty directory with `REGISTRY_…` variables set.
    pub fn with(environment: &[(&str, &str)]) -> Self {
        let temporary = TempDir::new().expect("a temporary directory");
        let mut server = Self::at(&temporary.path().join("data"), environment);
        server._temporary = Some(temporary);
        server
    }

    /// Starts on a directory that outlives the server.
    pub fn at(directory: &Path, environment: &[(&str, &str)]) -> Self {
        Self::wrapped(&[], directory, environment)
    }

    /// Starts by another program, which is given the command to run.
    pub fn wrapped(
        wrapper: &'static [&'static str],
        directory: &Path,
        environment: &[(&str, &str)],
    ) -> Self {
        let owned = |(name, value): &(&str, &str)| ((*name).to_owned(), (*value).to_owned());
        let environment: Vec<_> = environment.iter().map(owned).collect();
        let log = Log::new();
        let (child, address) = spawn(wrapper, directory, &environment, &log);
        Self {
            child,
            address,
            directory: directory.to_owned(),
            environment,
            wrapper,
            log,
            _temporary: None,
        }
    }

    /// Returns everything logged so far.
    pub fn log(&self) -> String {
        self.log.text()
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

    /// Returns a client with its own connection.
    pub fn client(&self) -> Client {
        Client::new(&self.address)
    }

    /// Sends SIGKILL and waits for the end.
    pub fn kill(&mut self) {
        self.child.kill().expect("the server can be killed");
        self.child.wait().expect("the server ends");
    }

    /// Restarts after [`Self::kill`] or [`Self::stop`], on the same directory and another port.
    pub fn restart(&mut self) {
        let ended = self.child.try_wait().expect("a child");
        assert!(ended.is_some(), "two servers on one directory");
        (self.child, self.address) =
            spawn(self.wrapper, &self.directory, &self.environment, &self.log);
    }

    /// Sends SIGTERM without waiting.
    pub fn terminate(&self) {
        self.signal(rustix::process::Signal::TERM);
    }

    /// Sends SIGHUP: the server reloads its configuration.
    pub fn hang_up(&self) {
        self.signal(rustix::process::Signal::HUP);
    }

    fn signal(&self, signal: rustix::process::Signal) {
        let pid = rustix::process::Pid::from_raw(i32::try_from(self.pid()).expect("a pid"))
            .expect("a pid");
        rustix::process::kill_process(pid, signal).expect("the server can be signalled");
    }

    /// Sends SIGTERM and returns the exit status.
    pub fn stop(&mut self) -> ExitStatus {
        self.terminate();
        self.wait()
    }

    pub fn wait(&mut self) -> ExitStatus {
        self.child.wait().expect("the server ends")
    }

    /// Lists the files of open uploads.
    pub fn upload_files(&self) -> Vec<PathBuf> {
        let entries =
            std::fs::read_dir(self.directory.join("uploads")).expect("the uploads directory");
        entries
            .map(|entry| entry.expect("an entry").path())
            .collect()
    }

    /// Returns the length of an upload's file, unacknowledged bytes included.
    pub fn upload_length(&self, location: &str) -> u64 {
        upload_length(&self.directory, location)
    }

    /// Lists all blob files, of all algorithms and shards.
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

    /// Runs the command line tool on this server's directory.
    pub fn cli(&self, arguments: &[&str]) -> std::process::Output {
        self.cli_command(arguments)
            .output()
            .expect("the command runs")
    }

    /// Runs the command line tool on this server's directory, at a terminal of 80 columns.
    pub fn at_terminal(&self, arguments: &[&str], typed: &str) -> Shown {
        Terminal::run(&mut self.cli_command(arguments), typed)
    }

    /// Prepares the command line tool on this server's directory.
    pub fn cli_command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_registry"));
        command
            .args(arguments)
            .arg("--data-dir")
            .arg(&self.directory);
        command
    }
}

/// As [`Server::upload_length`], for any data directory.
pub fn upload_length(directory: &Path, location: &str) -> u64 {
    std::fs::metadata(directory.join("uploads").join(upload_id(location)))
        .map_or(0, |metadata| metadata.len())
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Prepares `registry serve` on a directory and any port of loopback, without an access log.
/// For tests that start the process themselves.
pub fn command(directory: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_registry"));
    command.args(["serve", "--data-dir"]).arg(directory);
    // test machines may have less free disk than the reserve; variables, because a test cannot override flags
    command
        .env("REGISTRY_STORAGE_RESERVE", "0")
        .env("REGISTRY_HTTP_ADDR", "127.0.0.1:0")
        .env("REGISTRY_LOG_ACCESSLOG_DISABLED", "true");
    command
}

/// Has a command run by another program, if one is named.
fn wrap(wrapper: &[&str], command: Command) -> Command {
    let Some((program, arguments)) = wrapper.split_first() else {
        return command;
    };
    let mut wrapped = Command::new(program);
    wrapped.args(arguments);
    wrapped.arg(command.get_program()).args(command.get_args());
    let set = |(name, value): (_, Option<_>)| Some((name, value?));
    wrapped.envs(command.get_envs().filter_map(set));
    wrapped
}

fn spawn(
    wrapper: &[&str],
    directory: &Path,
    environment: &[(String, String)],
    log: &Log,
) -> (Child, String) {
    let mut command = wrap(wrapper, command(directory));
    command
        .envs(environment.iter().cloned())
        .stdout(Stdio::piped())
        .stderr(log.stdio());
    let mut child = command.spawn().expect("the server starts");
    let stdout = child.stdout.take().expect("a pipe");
    let address = read_address(&mut BufReader::new(stdout));
    (child, address)
}

/// Reads the line in which a server announces its address; panics if it ends instead.
pub fn read_address(stdout: &mut impl BufRead) -> String {
    let mut line = String::new();
    stdout.read_line(&mut line).expect("a line");
    announced_address(&line)
        .unwrap_or_else(|| panic!("the server said {line:?}"))
        .to_owned()
}

/// Returns `HOST:PORT`, or the path of a socket, from `listening on SCHEME://ADDRESS, …`.
pub fn announced_address(line: &str) -> Option<&str> {
    let (url, _) = line.strip_prefix("listening on ")?.split_once(',')?;
    url.split_once("://").map(|(_, address)| address)
}
