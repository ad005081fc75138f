//! Text of clients that would control a terminal, reorder what it shows or add lines to it.

use std::process::Command;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use crate::support::{OCI_MANIFEST, Server, descriptor, eventually, sha256};

/// ESC, C1's CSI, DEL, right-to-left override, isolate, line and paragraph separator, an invisible tag letter, a new line.
const HOSTILE: &str = "a\u{1b}[31m\u{9b}2J\u{7f}\u{202e}\u{2066}\u{2028}\u{2029}\u{e0041}\nz";

/// Characters that no output may contain; lines end with `\n` on a pipe.
fn has_hidden(text: &str) -> bool {
    text.chars()
        .any(|c| HOSTILE.contains(c) && !matches!(c, '\n' | ' '..='~'))
}

/// A server with an image, a signature and a deletion that hold [`HOSTILE`] wherever a client can put it.
fn server() -> (Server, String) {
    let server = Server::start();
    let mut client = server.client();
    let config = json!({ "architecture": HOSTILE, "os": HOSTILE, "config": { "Cmd": [HOSTILE], "Env": [HOSTILE], "Labels": { HOSTILE: HOSTILE } } })
        .to_string();
    client.push_blob("app", config.as_bytes());
    let image = json!({
        "schemaVersion": 2, "mediaType": OCI_MANIFEST, "layers": [], "annotations": { HOSTILE: HOSTILE },
        "config": descriptor("application/vnd.oci.image.config.v1+json", config.as_bytes()),
    })
    .to_string();
    for tag in ["v1", "gone"] {
        let pushed = client.put_manifest("app", tag, OCI_MANIFEST, image.as_bytes());
        assert_eq!(pushed.status, 201, "{pushed:?}");
    }
    let about = json!({
        "schemaVersion": 2, "mediaType": OCI_MANIFEST, "layers": [], "annotations": { HOSTILE: HOSTILE },
        "config": descriptor("application/vnd.oci.image.config.v1+json", config.as_bytes()),
        "subject": descriptor(OCI_MANIFEST, image.as_bytes()), "artifactType": "application/vnd.test",
    })
    .to_string();
    let pushed = client.put_manifest(
        "app",
        &sha256(about.as_bytes()),
        OCI_MANIFEST,
        about.as_bytes(),
    );
    assert_eq!(pushed.status, 201, "{pushed:?}");
    let mut removal = Command::new(env!("CARGO_BIN_EXE_registry"));
    removal
        .args(["rm", "app:gone", "--yes", "--data-dir"])
        .arg(server.directory())
        .env("SUDO_USER", HOSTILE);
    assert!(removal.output().expect("it runs").status.success());
    (server, sha256(image.as_bytes()))
}

/// Arguments that cannot be parsed are shown escaped, as everywhere.
#[test]
fn no_wrong_argument_controls_a_terminal() {
    let option = format!("--{HOSTILE}");
    for words in [
        &[HOSTILE][..],
        &["ls", &option],
        &["du", "--limit", HOSTILE],
        &["htpasswd", &option],
        &["config", HOSTILE],
    ] {
        let output = Command::new(env!("CARGO_BIN_EXE_registry"))
            .args(words)
            .output();
        let output = output.expect("it runs");
        let said = String::from_utf8(output.stderr).expect("text");
        assert!(!output.status.success(), "{words:?}");
        assert!(
            !has_hidden(&said) && said.contains("\\u{202e}"),
            "{words:?}: {said:?}"
        );
    }
}

#[test]
fn no_command_shows_what_controls_a_terminal() {
    let (server, digest) = server();
    for arguments in [
        &["ls"][..],
        &["ls", "app"],
        &["du", "app"],
        &["inspect", "app:v1"],
        &["why", &digest],
        &["tag", "history", "app:gone"],
        &["restore"],
        &["gc", "--dry-run"],
        &["policy", "preview"],
        &["rm", "app", "--dry-run"],
    ] {
        let piped = server.cli(arguments);
        assert!(piped.status.success(), "{arguments:?}: {piped:?}");
        let piped = String::from_utf8(piped.stdout).expect("text");
        assert!(!has_hidden(&piped), "{arguments:?}: {piped:?}");
        assert!(
            !piped.lines().any(|line| line.starts_with('z')),
            "{arguments:?}: a line was forged: {piped}"
        );
        let shown = server.at_terminal(arguments, "").text;
        assert!(!has_hidden(&shown), "{arguments:?}: {shown:?}");
        let json = server.cli(&[arguments, &["--output", "json"]].concat());
        let json = String::from_utf8(json.stdout).expect("text");
        assert!(!has_hidden(&json), "{arguments:?}: {json:?}");
        serde_json::from_str::<Value>(&json).expect("JSON");
    }
    // the errors too
    let refused = server.cli(&["inspect", HOSTILE]);
    let refused = String::from_utf8(refused.stderr).expect("text");
    assert!(
        !has_hidden(&refused) && refused.contains("\\u{202e}"),
        "{refused:?}"
    );
}

#[test]
fn json_keeps_the_value() {
    let (server, _) = server();
    let inspected = super::json(&server, &["inspect", "app:v1"]);
    assert_eq!(inspected["manifest"]["annotations"][HOSTILE], HOSTILE);
    let history = super::json(&server, &["tag", "history", "app:gone"]);
    let name = history["states"][0]["end"]["who"]["name"].as_str();
    assert!(name.is_some_and(|name| name.contains(HOSTILE)), "{name:?}");
}

#[test]
fn logs_escape_it_in_every_format() {
    let directory = tempfile::TempDir::new().expect("a directory");
    let users = directory.path().join("htpasswd");
    let hash = bcrypt::hash("secret", 4).expect("a hash");
    std::fs::write(&users, format!("joe:{hash}\n")).expect("a file");
    let auth = json!({ "htpasswd": { "realm": "r", "path": users } }).to_string();
    for formatter in ["text", "json", "logstash"] {
        let server = Server::with(&[
            ("REGISTRY_AUTH", &auth),
            ("REGISTRY_LOG_FORMATTER", formatter),
        ]);
        // a login cannot contain control characters
        let login = STANDARD.encode("jo\u{202e}\u{2028}\u{e0041}e:secret");
        let mut client = server.client();
        let request = client.request("GET", "/v2/");
        let answer = request.header("Authorization", &format!("Basic {login}"));
        assert_eq!(answer.send().status, 401);
        eventually("the failure is logged", || {
            server.log().contains("login failed")
        });
        let log = server.log();
        assert!(!has_hidden(&log), "{formatter}: {log:?}");
        assert!(
            log.contains("202e") && log.to_lowercase().contains("2028"),
            "{formatter}: {log}"
        );
    }
}
