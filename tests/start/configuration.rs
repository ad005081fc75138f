//! The configuration file, the variables over it, and the flags over both.

use std::path::{Path, PathBuf};
use std::process::Command;

use super::{Running, command, refusal, sentence};

/// A directory with a configuration in it.
fn configured(text: &str) -> (tempfile::TempDir, PathBuf) {
    let temporary = tempfile::TempDir::new().expect("a directory");
    let path = temporary.path().join("config.yml");
    std::fs::write(
        &path,
        text.replace("ROOT", &temporary.path().join("data").display().to_string()),
    )
    .expect("a file");
    (temporary, path)
}

fn configured_by(path: &Path) -> Command {
    command(&[
        "serve",
        "--addr",
        "127.0.0.1:0",
        path.to_str().expect("a path"),
    ])
}

#[test]
fn flags_override_variables_and_variables_override_the_file() {
    let text = "version: 0.1\nlog:\n  level: warn\nhttp:\n  addr: 127.0.0.1:1\nstorage:\n  filesystem:\n    rootdirectory: ROOT\n  delete:\n    enabled: false\n";
    let (temporary, path) = configured(text);
    let mut by_variable = command(&["serve", path.to_str().expect("a path")]);
    by_variable.env("REGISTRY_HTTP_ADDR", "127.0.0.1:0");
    let server = Running::start(by_variable);
    assert!(
        server.line.ends_with(&format!(
            "data in {}\n",
            temporary.path().join("data").display()
        )),
        "{}",
        server.line
    );
    server
        .client()
        .delete("/v2/a/manifests/v1")
        .refused(405, "UNSUPPORTED");

    let other = temporary.path().join("other");
    let mut by_flag = command(&[
        "serve",
        "--addr",
        "127.0.0.1:0",
        path.to_str().expect("a path"),
        "--data-dir",
        other.to_str().expect("a path"),
    ]);
    by_flag
        .env("REGISTRY_HTTP_ADDR", "127.0.0.1:2")
        .env("REGISTRY_STORAGE_DELETE_ENABLED", "true");
    let server = Running::start(by_flag);
    assert!(
        server
            .line
            .ends_with(&format!("data in {}\n", other.display())),
        "{}",
        server.line
    );
    server
        .client()
        .delete("/v2/a/manifests/v1")
        .refused(404, "MANIFEST_UNKNOWN");
}

#[test]
fn unknown_keys_are_reported_with_their_line() {
    for (text, words) in [
        (
            "version: 0.1\nhttp:\n  adr: :5000\n",
            &["adr", "line 3"][..],
        ),
        (
            "version: 0.1\nhttp:\n  addr: :5000\nstorag:\n  delete:\n    enabled: true\n",
            &["storag", "line 4"],
        ),
        (
            "version: 0.1\nstorage:\n  delete:\n    enabled: perhaps\n",
            &["line 4"],
        ),
        ("version: 0.1\nlog:\n  level: loud\n", &["loud", "line 3"]),
        ("version: 0.3\n", &["0.3", "0.1"]),
        ("http: [\n", &["line"]),
        ("- a\n- list\n", &["config.yml"]),
    ] {
        let (_temporary, path) = configured(text);
        // longer than a sentence: the place in the file may be shown
        let message = refusal(configured_by(&path));
        for word in words {
            assert!(message.contains(word), "'{word}' is not in: {message}");
        }
        assert!(
            message.contains(path.to_str().expect("a path")) || text.contains("0.3"),
            "{message}"
        );
    }
    let message = sentence(configured_by(Path::new("/nowhere/config.yml")));
    assert!(message.contains("/nowhere/config.yml"), "{message}");
}

#[test]
fn unknown_variables_are_reported() {
    let (_temporary, path) = configured("version: 0.1\n");
    for (name, value) in [
        ("REGISTRY_HTTP_ADR", ":5000"),
        ("REGISTRY_STORAGE_DELETE_ENABLED", "perhaps"),
        ("REGISTRY_HTTP_DRAINTIMEOUT", "soon"),
        ("REGISTRY_STORAGE_RESERVE", "-1"),
    ] {
        let mut command = configured_by(&path);
        command.env(name, value);
        let message = sentence(command);
        assert!(message.contains(name), "{message}");
    }
}

/// Kubernetes sets such variables in every container next to a service called "registry".
#[test]
fn foreign_variables_are_ignored_with_a_log_line() {
    const FOREIGN: [(&str, &str); 4] = [
        ("REGISTRY_PORT", "tcp://10.0.0.1:5000"),
        ("REGISTRY_PORT_5000_TCP_ADDR", "10.0.0.1"),
        ("REGISTRY_SERVICE_HOST", "10.0.0.1"),
        ("REGISTRY_UNHEARD_OF", "x"),
    ];
    let temporary = tempfile::TempDir::new().expect("a directory");
    let mut command = super::serve(temporary.path());
    command.envs(FOREIGN);
    let mut server = Running::start(command);
    assert_eq!(server.client().get("/v2/").status, 200);
    server.terminate();
    let (code, _, err) = server.end();
    assert_eq!(code, Some(0), "{err}");
    for (name, _) in FOREIGN {
        assert_eq!(err.matches(&format!("{name} ")).count(), 1, "{name}: {err}");
    }
}

#[test]
fn an_address_open_to_the_network_is_warned_about_once() {
    let temporary = tempfile::TempDir::new().expect("a directory");
    let directory = temporary.path().to_str().expect("a path");
    for (address, warnings) in [
        (":0", 1),
        ("0.0.0.0:0", 1),
        ("127.0.0.1:0", 0),
        ("localhost:0", 0),
    ] {
        let mut server = Running::start(command(&[
            "serve",
            "--addr",
            address,
            "--data-dir",
            directory,
        ]));
        let port = server
            .address()
            .rsplit(':')
            .next()
            .expect("a port")
            .to_owned();
        assert_eq!(
            crate::support::Client::new(&format!("127.0.0.1:{port}"))
                .get("/v2/")
                .status,
            200
        );
        server.terminate();
        let (code, rest, err) = server.end();
        assert_eq!((code, &*rest), (Some(0), ""));
        assert_eq!(
            err.lines().filter(|line| line.contains("WARN")).count(),
            warnings,
            "{address}: {err}"
        );
        assert_eq!(
            err.matches("open to the network").count(),
            warnings,
            "{err}"
        );
    }
}
