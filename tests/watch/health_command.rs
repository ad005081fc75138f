//! `registry health`, for containers.

use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Output, Stdio};

use crate::support::Server;
use crate::wire::pki::{Authority, params};

/// Runs the command for a server with these variables, which the command gets too.
fn run_health(environment: &[(&str, &str)], arguments: &[&str]) -> (Option<i32>, String) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_registry"));
    let output = command
        .arg("health")
        .args(arguments)
        .env_clear()
        .envs(environment.iter().copied())
        .output()
        .expect("the command runs");
    outcome(&output)
}

fn outcome(output: &Output) -> (Option<i32>, String) {
    let text = [&*output.stdout, &*output.stderr].concat();
    let text = String::from_utf8_lossy(&text).into_owned();
    assert_eq!(text.lines().count(), 1, "{text}");
    (output.status.code(), text.trim_end().to_owned())
}

#[test]
fn health_uses_the_configured_address() {
    let files = tempfile::TempDir::new().expect("a directory");
    let path = |name: &str| files.path().join(name).display().to_string();
    let authority = Authority::new("an authority");
    authority
        .issue(&["registry.example.com"])
        .write(files.path());
    std::fs::write(path("ca.pem"), authority.pem()).expect("a file");
    let (certificate, key, authorities, socket) = (
        path("cert.pem"),
        path("key.pem"),
        path("ca.pem"),
        path("socket"),
    );
    let tls = [
        ("REGISTRY_HTTP_TLS_CERTIFICATE", &*certificate),
        ("REGISTRY_HTTP_TLS_KEY", &key),
    ];
    let unix = [
        ("REGISTRY_HTTP_NET", "unix"),
        ("REGISTRY_HTTP_ADDR", &*socket),
    ];
    let clients = ("REGISTRY_HTTP_TLS_CLIENTCAS", &*authorities);
    for (environment, word) in [
        (vec![], " is ready"),
        (vec![("REGISTRY_HTTP_PREFIX", "/registry/")], " is ready"),
        (
            vec![("REGISTRY_AUTH", "{silly: {realm: a, service: b}}")],
            " is ready",
        ),
        (tls.to_vec(), " is ready"),
        (
            [&tls[..], &[("REGISTRY_HTTP_TLS_MINIMUMTLS", "tls1.3")]].concat(),
            " is ready",
        ),
        (unix.to_vec(), " is ready"),
        ([&tls[..], &unix].concat(), " is ready"),
        (
            [&tls[..], &[clients]].concat(),
            "reports readiness only to clients with a certificate",
        ),
    ] {
        let server = Server::with(&environment);
        let scheme = if environment.contains(&tls[0]) {
            "https"
        } else {
            "http"
        };
        let place = [("REGISTRY_HTTP_ADDR", server.address())];
        let (code, text) = run_health(
            &[&environment[..], &place].concat(),
            &["--addr", server.address()][..if environment.contains(&unix[0]) { 0 } else { 2 }],
        );
        assert!(
            code == Some(0)
                && text.starts_with(&format!("{scheme}://{}", server.address()))
                && text.contains(word),
            "{environment:?}: {text}"
        );
    }
}

#[test]
fn a_certificate_that_has_expired_is_not_ready() {
    let files = tempfile::TempDir::new().expect("a directory");
    let mut old = params(&["localhost"]);
    old.not_after = rcgen::date_time_ymd(2001, 1, 1);
    Authority::new("an authority")
        .issue_as(old)
        .write(files.path());
    let path = |name: &str| files.path().join(name).display().to_string();
    let (certificate, key) = (path("cert.pem"), path("key.pem"));
    let tls = [
        ("REGISTRY_HTTP_TLS_CERTIFICATE", &*certificate),
        ("REGISTRY_HTTP_TLS_KEY", &key),
    ];
    let server = Server::with(&tls);
    let (code, text) = run_health(&tls, &["--addr", server.address()]);
    assert!(
        code == Some(1) && text.contains("is not ready: certificate: the certificate has expired"),
        "{text}"
    );
}

#[test]
fn problems_are_printed_and_set_the_exit_status() {
    let full = Server::with(&[("REGISTRY_STORAGE_RESERVE", "18446744073709551615")]);
    let (code, text) = run_health(&[], &["--addr", full.address()]);
    assert!(
        code == Some(1)
            && text.contains(
                "is not ready: disk: no disk is free beyond the reserve, so pushes are refused"
            ),
        "{text}"
    );
    let address = full.address().to_owned();
    drop(full);
    let (code, text) = run_health(&[], &["--addr", &address]);
    assert!(
        code == Some(1) && text.contains(&format!("http://{address} does not respond: ")),
        "{text}"
    );
    for (answer, cause) in [
        (
            "HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n",
            "is not a registry: it responds with 'HTTP/1.1 404 Not Found'",
        ),
        (
            "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\ncut",
            " is ready",
        ),
        (
            "SSH-2.0-OpenSSH_9.2\r\n",
            "is not a registry: it does not respond in HTTP",
        ),
        (
            "",
            "does not respond: connection closed before message completed",
        ),
    ] {
        let other = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
        let address = other.local_addr().expect("an address").to_string();
        std::thread::spawn(move || {
            let (mut stream, _) = other.accept().expect("a connection");
            let _ = std::io::Read::read(&mut stream, &mut [0; 1000]);
            let _ = std::io::Write::write_all(&mut stream, answer.as_bytes());
        });
        let (code, text) = run_health(&[], &["--addr", &address]);
        assert!(
            code == Some(i32::from(cause != " is ready")) && text.contains(cause),
            "{text}"
        );
    }
    let (code, text) = run_health(&[("REGISTRY_HTTP_ADR", "a")], &["--addr", &address]);
    assert!(
        code == Some(1) && text.contains("did you mean REGISTRY_HTTP_ADDR?"),
        "{text}"
    );
}

/// A copy of the program, because other tests run servers too.
struct Copy {
    directory: tempfile::TempDir,
}

impl Copy {
    fn new() -> Self {
        let copy = Self {
            directory: tempfile::TempDir::new().expect("a directory"),
        };
        // copied by another process: a file this process has open for writing may be inherited by
        // other tests' children
        assert!(
            Command::new("cp")
                .arg(env!("CARGO_BIN_EXE_registry"))
                .arg(copy.directory.path().join("registry"))
                .status()
                .expect("cp")
                .success()
        );
        copy
    }

    fn command(&self) -> Command {
        let mut command = Command::new(self.directory.path().join("registry"));
        command.env_clear();
        command
    }

    /// Starts a server, and waits until it listens.
    fn serve(&self, arguments: &[&str], variable: (&str, &str)) -> Child {
        self.serve_in("data", arguments, variable)
    }

    /// As [`Self::serve`], with the data in this directory.
    fn serve_in(&self, data: &str, arguments: &[&str], variable: (&str, &str)) -> Child {
        let directory = self.directory.path();
        let mut child = self
            .command()
            .args(arguments)
            .env("REGISTRY_STORAGE_RESERVE", "0")
            .env("REGISTRY_LOG_ACCESSLOG_DISABLED", "true")
            .env(
                "REGISTRY_STORAGE_FILESYSTEM_ROOTDIRECTORY",
                directory.join(data),
            )
            .env(variable.0, variable.1)
            .current_dir(directory)
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("the server starts");
        let mut line = String::new();
        BufReader::new(child.stdout.take().expect("a pipe"))
            .read_line(&mut line)
            .expect("a line");
        assert!(line.starts_with("listening"), "{line}");
        child
    }

    fn health(&self, arguments: &[&str]) -> (Option<i32>, String) {
        let mut command = self.command();
        let command = command.arg("health").args(arguments);
        let command = command.current_dir(self.directory.path());
        outcome(&command.output().expect("the command runs"))
    }
}

/// In a container, the command does not know the server's configuration.
#[test]
fn health_finds_the_only_running_server() {
    let copy = Copy::new();
    std::fs::write(
        copy.directory.path().join("odd.yml"),
        "version: 0.1\nhttp: {prefix: /a/}\n",
    )
    .expect("a file");
    let port = std::net::TcpListener::bind("127.0.0.1:0")
        .and_then(|listener| listener.local_addr())
        .expect("a port")
        .port();
    let address = format!("127.0.0.1:{port}");
    for (arguments, variable) in [
        (
            &["odd.yml", "--addr", &*address][..],
            ("REGISTRY_LOG_LEVEL", "warn"),
        ),
        (&["serve", "odd.yml"], ("REGISTRY_HTTP_ADDR", &*address)),
        (
            &["registry", "serve"],
            ("REGISTRY_HTTP_ADDR", &format!(":{port}")),
        ),
    ] {
        let mut child = copy.serve(arguments, variable);
        let (code, text) = copy.health(&[]);
        child.kill().expect("it runs");
        child.wait().expect("it ends");
        assert!(
            code == Some(0) && text == format!("http://{address} is ready"),
            "{arguments:?}: {text}"
        );
    }
    assert_eq!(copy.health(&[]).0, Some(1));
}

fn free_address() -> String {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    listener.local_addr().expect("an address").to_string()
}

#[test]
fn of_several_servers_one_is_named() {
    let copy = Copy::new();
    let addresses = [free_address(), free_address()];
    let start = |number: usize| {
        let data = format!("data{number}");
        let address = ("REGISTRY_HTTP_ADDR", &*addresses[number]);
        copy.serve_in(&data, &["serve"], address)
    };
    let mut servers = [start(0), start(1)];
    let (ambiguous, first, second, none) = (
        copy.health(&[]),
        copy.health(&["--data-dir", "data0"]),
        copy.health(&["--data-dir", "./data1/"]),
        copy.health(&["--data-dir", "data2"]),
    );
    for server in &mut servers {
        server.kill().expect("it runs");
        server.wait().expect("it ends");
    }
    assert!(
        ambiguous.0 == Some(1)
            && ambiguous.1.contains("/data0 and ")
            && ambiguous.1.ends_with("/data1: name one with --data-dir"),
        "{ambiguous:?}"
    );
    let ready = |number: usize| (Some(0), format!("http://{} is ready", addresses[number]));
    assert_eq!((first, second), (ready(0), ready(1)));
    assert!(
        none.0 == Some(1) && none.1.contains("no server is running with data in data2"),
        "{none:?}"
    );
}
