//! A configuration that changes under a running server.

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

use super::{Running, command};

const PATIENCE: Duration = Duration::from_secs(20);

/// A server with a configuration file, and its log.
pub struct Configured {
    pub server: Running,
    lines: Receiver<String>,
    path: PathBuf,
    _temporary: tempfile::TempDir,
}

impl Configured {
    pub fn start(text: &str) -> Self {
        Self::with(text, |command| command)
    }

    /// As [`Self::start`], with a command that is changed before it runs.
    pub fn with(text: &str, change: impl Fn(&mut Command) -> &mut Command) -> Self {
        Self::at("127.0.0.1:0", text, change)
    }

    fn at(address: &str, text: &str, change: impl Fn(&mut Command) -> &mut Command) -> Self {
        let temporary = tempfile::TempDir::new().expect("a directory");
        let path = temporary.path().join("config.yml");
        std::fs::write(&path, text).expect("a file");
        let mut command = command(&["serve", "--addr", address]);
        command
            .arg("--data-dir")
            .arg(temporary.path().join("data"))
            .arg(&path);
        change(&mut command);
        let mut server = Running::start(command);
        let (sender, lines) = channel();
        let errors = BufReader::new(server.child.stderr.take().expect("a pipe"));
        // the thread ends with the server
        std::thread::spawn(move || {
            errors
                .lines()
                .map_while(Result::ok)
                .try_for_each(|line| sender.send(line))
        });
        Self {
            server,
            lines,
            path,
            _temporary: temporary,
        }
    }

    /// Returns the path of the data directory.
    pub fn data(&self) -> PathBuf {
        self.path.with_file_name("data")
    }

    /// Replaces the file by rename, as careful editors do.
    pub fn replace(&self, text: &str) {
        let new = self.path.with_extension("new");
        std::fs::write(&new, text).expect("a file");
        std::fs::rename(new, &self.path).expect("a name");
    }

    /// Runs a command on the data directory, and returns its object.
    pub fn object(&self, arguments: &[&str]) -> serde_json::Value {
        let mut command = command(arguments);
        let data = self.path.with_file_name("data");
        command.arg("--data-dir").arg(data).args(["-o", "json"]);
        let output = command.output().expect("it runs");
        serde_json::from_slice(&output.stdout).expect("an object")
    }

    pub fn hang_up(&self) {
        self.server.signal(rustix::process::Signal::HUP);
    }

    /// Waits for a log line with all of these words.
    pub fn says(&self, words: &[&str]) -> String {
        let start = Instant::now();
        loop {
            let left = PATIENCE
                .checked_sub(start.elapsed())
                .expect("it is not logged");
            let line = self
                .lines
                .recv_timeout(left)
                .unwrap_or_else(|_| panic!("{words:?} is not logged"));
            if words.iter().all(|word| line.contains(word)) {
                return line;
            }
        }
    }

    fn deletes(&self) -> bool {
        self.server.client().delete("/v2/a/manifests/v1").status != 405
    }
}

const KEEPING: &str = "version: 0.1\nstorage: {delete: {enabled: false}}\n";
const DELETING: &str = "version: 0.1\nstorage: {delete: {enabled: true}}\n";

#[test]
fn a_changed_file_takes_effect_at_once() {
    let configured = Configured::start(KEEPING);
    assert!(!configured.deletes());
    configured.replace(DELETING);
    configured.says(&["now in force", "storage.delete.enabled"]);
    assert!(configured.deletes());
    // in place, as less careful editors do
    std::fs::write(&configured.path, KEEPING).expect("a file");
    configured.says(&["now in force", "storage.delete.enabled"]);
    assert!(!configured.deletes());
}

#[test]
fn a_signal_reloads_the_file_at_once() {
    let configured = Configured::start(KEEPING);
    configured.hang_up();
    configured.says(&["configuration reloaded, nothing changed"]);
    configured.replace(DELETING);
    configured.hang_up();
    configured.says(&["storage.delete.enabled"]);
    assert!(configured.deletes());
}

/// A file that is being written is not reported, however long that takes.
#[test]
fn a_file_being_written_is_not_read_early() {
    let configured = Configured::start(KEEPING);
    let mut text = "version: 0.1\nnot: finished\n".to_owned();
    for _ in 0..30 {
        text += "# more\n";
        std::fs::write(&configured.path, &text).expect("a file");
        std::thread::sleep(Duration::from_millis(50));
    }
    std::fs::write(&configured.path, DELETING).expect("a file");
    let line = configured.lines.recv_timeout(PATIENCE).expect("a line");
    assert!(
        line.contains("now in force: storage.delete.enabled"),
        "{line}"
    );
}

/// Trusted proxies are checked for each request, also on open connections.
#[test]
fn distrust_of_a_proxy_applies_to_open_connections() {
    let text = |proxies: &str| format!("version: 0.1\nhttp: {{trustedproxies: [{proxies}]}}\n");
    let configured = Configured::start(&text("127.0.0.1"));
    let mut client = configured.server.client();
    let mut is_believed = || {
        let request = client
            .request("POST", "/v2/a/blobs/uploads/")
            .header("X-Forwarded-Prefix", "/outer");
        request
            .send()
            .header("location")
            .expect("a location")
            .starts_with("/outer/v2/")
    };
    assert!(is_believed());
    configured.replace(&text(""));
    configured.says(&["now in force", "http.trustedproxies"]);
    assert!(!is_believed());
}

/// Kubernetes points a link at a new directory, while the file's own name stays a link.
#[test]
fn a_replaced_link_is_a_change() {
    let configured = Configured::start(KEEPING);
    let directory = configured.path.parent().expect("a directory");
    let publish = |version: &str, text: &str| {
        std::fs::create_dir(directory.join(version)).expect("a directory");
        std::fs::write(directory.join(version).join("config.yml"), text).expect("a file");
        link(Path::new(version), &directory.join("..data"));
    };
    publish("..1", KEEPING);
    link(Path::new("..data/config.yml"), &configured.path);
    configured.says(&["configuration reloaded, nothing changed"]);
    publish("..2", DELETING);
    configured.says(&["storage.delete.enabled"]);
    assert!(configured.deletes());
}

/// Makes or replaces a link.
fn link(target: &Path, name: &Path) {
    let new = name.with_file_name("new-link");
    std::os::unix::fs::symlink(target, &new).expect("a link");
    std::fs::rename(new, name).expect("a name");
}

#[test]
fn an_invalid_file_changes_nothing_and_is_reported_once() {
    let configured = Configured::start(DELETING);
    for broken in [
        "version: 0.1\nhttp: {adr: 1}\n",
        "version: 0.1\nstorage: [",
        "version: 7\n",
        "version: 0.1\npolicies: [{repositories: '['}]\n",
        // a value read only at start, which would prevent one
        "version: 0.1\nhealth: {http: [{uri: nonsense}]}\n",
        "version: 0.1\nhttp: {debug: {addr: nonsense}}\n",
    ] {
        configured.replace(&format!("{broken}# also {KEEPING}"));
        configured.says(&["new configuration is rejected", "stays in force"]);
        assert!(configured.deletes());
    }
    // longer than two checks take
    assert_eq!(
        configured
            .lines
            .recv_timeout(Duration::from_millis(1300))
            .ok(),
        None,
        "it is named again"
    );
    std::fs::remove_file(&configured.path).expect("it was there");
    configured.says(&["cannot read", "config.yml"]);
    assert!(configured.deletes());
    configured.replace(KEEPING);
    let before = std::iter::from_fn(|| configured.lines.recv_timeout(PATIENCE).ok());
    let printed: Vec<_> = before
        .take_while(|line| !line.contains("now in force"))
        .collect();
    assert_eq!(printed, Vec::<String>::new(), "more than once");
    assert!(!configured.deletes());
}

#[test]
fn keys_that_need_a_restart_are_reported_while_they_differ() {
    let configured = Configured::start(KEEPING);
    configured.replace(&format!(
        "{KEEPING}http: {{addr: ':1', limits: {{connections: 5}}}}\n"
    ));
    let line = configured.says(&["need a restart"]);
    assert!(
        line.contains("http.addr, http.limits.connections"),
        "{line}"
    );
    configured.replace(&format!("{DELETING}http: {{addr: ':1'}}\n"));
    configured.says(&["storage.delete.enabled"]);
    let line = configured.says(&["need a restart"]);
    assert!(
        line.contains("http.addr") && !line.contains("connections"),
        "{line}"
    );
    configured.replace(&format!("{KEEPING}log: {{level: debug}}\n"));
    configured.says(&["now in force", "log.level"]);
    configured.replace(DELETING);
    let printed = configured.says(&["configuration reloaded"]);
    assert!(
        printed.contains("log.level, storage.delete.enabled"),
        "{printed}"
    );
}

/// Maintenance mode changes while clients are connected.
#[test]
fn read_only_mode_is_switched_on_and_off_at_run_time() {
    const READ_ONLY: &str = "version: 0.1\nstorage: {maintenance: {readonly: {enabled: true}}}\n";
    let configured = Configured::start("version: 0.1\n");
    let begin = || {
        configured
            .server
            .client()
            .request("POST", "/v2/a/blobs/uploads/")
            .send()
            .status
    };
    assert_eq!(begin(), 202);
    configured.replace(READ_ONLY);
    configured.says(&["now in force", "storage.maintenance"]);
    assert_eq!(begin(), 405);
    configured.replace("version: 0.1\n");
    configured.says(&["now in force", "storage.maintenance"]);
    assert_eq!(begin(), 202);
}

/// Truncated first, then written, as over NFS or by rsync --inplace.
#[test]
fn a_half_written_file_disables_no_protection() {
    const CLOSED: &str = "version: 0.1\nstorage: {delete: {enabled: false}}\nauth: {silly: {realm: a, service: b}}\n";
    let configured = Configured::at("0.0.0.0:0", CLOSED, |command| command);
    let status = || configured.server.client().get("/v2/").status;
    for (half, words) in [
        (
            "",
            &["new configuration is rejected", "version is missing"][..],
        ),
        (
            "# of the team\n",
            &["new configuration is rejected", "version is missing"],
        ),
        (
            KEEPING,
            &["new configuration is rejected", "auth is missing", "SIGHUP"],
        ),
        (
            "version: 0.1\nauth: {none: }\n",
            &["new configuration is rejected", "auth is missing", "SIGHUP"],
        ),
        (
            "version: 0.1\nauth: {silly: {realm: a}}\n",
            &[
                "new configuration is rejected",
                "auth.silly.service is missing",
            ],
        ),
    ] {
        std::fs::write(&configured.path, half).expect("a file");
        let line = configured.says(words);
        assert!(line.contains("ERROR"), "{line}");
        assert_eq!(status(), 401, "{half}");
    }
    configured.replace(KEEPING);
    configured.says(&["auth is missing"]);
    configured.hang_up();
    configured.says(&["WARN", "open to the network without login", "0.0.0.0:"]);
    configured.says(&["now in force", "auth.silly"]);
    assert_eq!(status(), 200);
    configured.replace(CLOSED);
    configured.says(&["now in force", "auth.silly"]);
    assert_eq!(status(), 401);
}

#[test]
fn ignored_keys_of_a_changed_file_are_reported() {
    let configured = Configured::start(KEEPING);
    configured.replace(&format!("{KEEPING}http: {{secret: x}}\n"));
    configured.says(&["configuration reloaded, nothing changed"]);
    configured.says(&["WARN", "http.secret has no effect"]);
}

/// A FIFO in the place of the file blocks nothing, and a file that follows counts.
#[test]
fn a_fifo_in_the_place_of_the_file_is_named() {
    let configured = Configured::start(KEEPING);
    let fifo = configured.path.with_extension("fifo");
    let made = Command::new("mkfifo").arg(&fifo).status();
    assert!(made.expect("mkfifo").success());
    std::fs::rename(fifo, &configured.path).expect("it is replaced");
    configured.hang_up();
    configured.says(&["cannot read", "it is a FIFO"]);
    assert!(!configured.deletes());
    configured.replace(DELETING);
    configured.says(&["now in force", "storage.delete.enabled"]);
    assert!(configured.deletes());
}

/// A shell passes what a program prints as `<(program)`, under the name of a pipe.
#[test]
fn a_configuration_may_be_piped() {
    let script = format!("exec \"$0\" config check <(printf '%s' '{KEEPING}')");
    let output = Command::new("bash")
        .args(["-c", &script, env!("CARGO_BIN_EXE_registry")])
        .output()
        .expect("bash");
    assert!(output.status.success(), "{output:?}");
}
