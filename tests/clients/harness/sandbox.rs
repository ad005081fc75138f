//! Sandbox of one test: its own directory, its own server, and its clients.

use std::cell::RefCell;
use std::fs;
use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use tempfile::TempDir;

use crate::harness::engine_version::Engine;
use crate::harness::program;
use crate::harness::server::Server;
use crate::harness::transport::Transport;

/// A client that hangs is a failure, not a hanging CI.
const CLIENT_SECONDS: &str = "300";
const DAEMON_DEADLINE: Duration = Duration::from_secs(60);

/// Runs a program with the places clients write to outside their home laid over by places in $0, and the names of a test's
/// own where there are any.
const MASKED: &str = r#"
for place in /run /var/tmp /var/lib/containers /etc/docker; do
    mkdir -p "$place" "$0/mask$place" && mount --bind "$0/mask$place" "$place" || exit 125
done
[ ! -e "$0/hosts" ] || mount --bind "$0/hosts" /etc/hosts || exit 125
exec "$@""#;

/// A server between clients and the sandbox's own.
pub trait Endpoint {
    /// Returns the end of its log.
    fn log(&self) -> String;
}

pub struct Sandbox {
    /// The server as tests see it; `host` is the one that clients use.
    pub server: Server,
    pub transport: Transport,
    pub engine: Engine,
    endpoint: Option<Box<dyn Endpoint>>,
    env: RefCell<Vec<(&'static str, String)>>,
    dir: TempDir,
}

/// Output of a client.
pub struct Printed {
    pub stdout: String,
    pub stderr: String,
}

impl Printed {
    /// The one line it printed.
    pub fn line(&self) -> &str {
        self.stdout.trim()
    }

    pub fn both(&self) -> String {
        format!("{}{}", self.stdout, self.stderr)
    }

    pub fn json(&self) -> serde_json::Value {
        serde_json::from_str(&self.stdout)
            .unwrap_or_else(|err| panic!("not JSON: {err}\n{}", self.both()))
    }
}

impl Sandbox {
    pub fn new(
        name: &str,
        transport: Transport,
        engine: Engine,
        environment: &[(&str, &str)],
    ) -> Self {
        let dir = tempfile::Builder::new()
            .prefix(&format!("{name}-"))
            .tempdir()
            .unwrap();
        for sub in ["home", "tmp", "run"] {
            fs::create_dir(dir.path().join(sub)).unwrap();
        }
        Self {
            server: Server::start(dir.path(), environment),
            transport,
            engine,
            endpoint: None,
            env: RefCell::default(),
            dir,
        }
    }

    /// The ends of what its servers wrote on standard error.
    pub fn log(&self) -> String {
        let endpoint = self.endpoint.as_ref().map(|endpoint| endpoint.log());
        format!("{}\n{}", self.server.log(), endpoint.unwrap_or_default())
    }

    /// Directs clients to a server in front of the sandbox's own.
    pub fn place_behind(&mut self, host: String, endpoint: Box<dyn Endpoint>) {
        self.server.host = host;
        self.endpoint = Some(endpoint);
    }

    /// The sandbox's directory: every client's working directory.
    pub fn dir(&self) -> &Path {
        self.dir.path()
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.dir().join(name)
    }

    pub fn read(&self, name: &str) -> Vec<u8> {
        fs::read(self.path(name)).unwrap_or_else(|err| panic!("{name}: {err}"))
    }

    pub fn write(&self, name: &str, content: impl AsRef<[u8]>) {
        let path = self.path(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, content).unwrap();
    }

    /// Sets a variable for every client run from now on.
    pub fn set(&self, name: &'static str, value: impl Into<String>) {
        self.env.borrow_mut().push((name, value.into()));
    }

    /// Runs a command line, split at white space, that must succeed.
    pub fn run(&self, line: impl AsRef<str>) -> Printed {
        self.run_with(line, b"")
    }

    /// The same, with something on standard input.
    pub fn run_with(&self, line: impl AsRef<str>, input: &[u8]) -> Printed {
        let (success, printed) = self.attempt(line.as_ref(), input);
        assert!(success, "{}\nfailed:\n{}", line.as_ref(), printed.both());
        printed
    }

    /// The status that curl gets, 000 where nobody answers; `options` are curl's own.
    pub fn status(&self, method: &str, url: &str, options: &str) -> String {
        let line = format!(
            "curl --silent --output /dev/null --write-out %{{http_code}} --request {method} {options} {url}"
        );
        self.attempt(&line, b"").1.line().to_owned()
    }

    /// The registry's own command line, in the sandbox's directory.
    pub fn registry(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_registry"));
        command.args(arguments).current_dir(self.dir());
        command
    }

    /// True if a command line succeeds, with `input` on standard input.
    pub fn succeeds(&self, line: impl AsRef<str>, input: &[u8]) -> bool {
        self.attempt(line.as_ref(), input).0
    }

    /// Runs a command line that must fail.
    pub fn refused(&self, line: impl AsRef<str>) -> Printed {
        let (success, printed) = self.attempt(line.as_ref(), b"");
        assert!(!success, "{}\nworked:\n{}", line.as_ref(), printed.both());
        printed
    }

    fn attempt(&self, line: &str, input: &[u8]) -> (bool, Printed) {
        let mut child = self
            .command(
                &["timeout", "--kill-after=5", CLIENT_SECONDS],
                &["--mount"],
                line,
            )
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap_or_else(|err| panic!("{line}: {err}"));
        let mut stdin = child.stdin.take().unwrap();
        let output = thread::scope(|scope| {
            // a client may end without reading all of it
            scope.spawn(move || drop(stdin.write_all(input)));
            child.wait_with_output().unwrap()
        });
        let text = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).into_owned();
        let printed = Printed {
            stdout: text(output.stdout),
            stderr: text(output.stderr),
        };
        (output.status.success(), printed)
    }

    /// A command in the sandbox's directory and environment, in namespaces of its own if root.
    fn command(&self, wrapper: &[&str], namespaces: &[&str], line: &str) -> Command {
        let mut words = line.split_whitespace();
        let name = words.next().unwrap();
        let found = program::find(self.engine.program(name))
            .unwrap_or_else(|| panic!("{name} is not installed"));
        let mut command = Command::new(wrapper[0]);
        command.args(&wrapper[1..]);
        if program::is_root() {
            command.arg("unshare").args(namespaces);
            command.args(["sh", "-c", MASKED]).arg(self.dir());
        }
        command
            .arg(found)
            .args(words.filter(|word| self.transport.has_place_for(word)))
            .current_dir(self.dir());
        command
            .env_clear()
            .env("PATH", program::PATH)
            .env("LANG", "C.UTF-8")
            .env("HOME", self.path("home"))
            .env("TMPDIR", self.path("tmp"))
            .env("XDG_RUNTIME_DIR", self.path("run"))
            .envs(self.env.borrow().iter().map(|(name, value)| (name, value)));
        command
    }

    /// Starts a daemon and waits until the command line `ready` works.
    pub fn daemon(&self, line: impl AsRef<str>, ready: impl AsRef<str>) -> Daemon {
        // a PID namespace: whatever the daemon starts ends with it
        let namespaces = ["--mount", "--pid", "--fork", "--kill-child", "--mount-proc"];
        let mut child = self
            .command(
                &["setpriv", "--pdeathsig", "KILL"],
                &namespaces,
                line.as_ref(),
            )
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut stderr = child.stderr.take().unwrap();
        let log = thread::spawn(move || {
            let mut log = Vec::new();
            stderr.read_to_end(&mut log).unwrap();
            String::from_utf8_lossy(&log).into_owned()
        });
        let mut daemon = Daemon {
            child,
            log: Some(log),
        };
        let start = Instant::now();
        while !self.attempt(ready.as_ref(), b"").0 {
            if start.elapsed() > DAEMON_DEADLINE || daemon.child.try_wait().unwrap().is_some() {
                panic!("{} did not start:\n{}", line.as_ref(), daemon.stop());
            }
            thread::sleep(Duration::from_millis(50));
        }
        daemon
    }
}

pub struct Daemon {
    child: Child,
    log: Option<JoinHandle<String>>,
}

impl Daemon {
    /// Ends the daemon and all that it started, and returns what it wrote.
    pub fn stop(&mut self) -> String {
        let _ = self.child.kill();
        let _ = self.child.wait();
        // the pipe ends when the last process that writes to it has
        self.log
            .take()
            .and_then(|log| log.join().ok())
            .unwrap_or_default()
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        self.stop();
    }
}
