//! The log on standard error, in its three formats.

use std::io::{BufRead, BufReader, Read};
use std::process::Stdio;

use serde_json::Value;

use super::Watched;
use crate::support::{Client, OCI_MANIFEST, eventually_some};

fn objects(formatter: &str) -> Vec<Value> {
    let environment = [
        ("REGISTRY_LOG_FORMATTER", formatter),
        ("REGISTRY_LOG_FIELDS", "{service: registry, zone: 3}"),
        ("REGISTRY_LOG_REPORTCALLER", "true"),
    ];
    let mut server = Watched::start(&environment);
    server.stop();
    server
        .err()
        .iter()
        .map(|line| serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}")))
        .collect()
}

#[test]
fn json_lines_are_one_object_each() {
    let lines = objects("json");
    assert!(lines.len() > 1);
    for line in &lines {
        assert!(
            ["info", "warning"].contains(&line["level"].as_str().expect("a level")),
            "{line}"
        );
        assert!(
            line["msg"].is_string() && line["time"].is_string(),
            "{line}"
        );
        assert!(
            line["file"]
                .as_str()
                .is_some_and(|place| place.contains(".rs:")),
            "{line}"
        );
        assert_eq!(
            (line["service"].as_str(), line["zone"].as_u64()),
            (Some("registry"), Some(3)),
            "{line}"
        );
    }
    assert!(lines.iter().any(|line| line["signal"] == "SIGTERM"));
}

#[test]
fn logstash_uses_its_own_field_names() {
    for line in objects("logstash") {
        assert_eq!(line["@version"], "1", "{line}");
        assert!(
            line["@timestamp"].is_string()
                && line["message"].is_string()
                && line.get("msg").is_none(),
            "{line}"
        );
    }
}

#[test]
fn text_format_follows_the_level() {
    let mut server = Watched::start(&[("REGISTRY_LOG_FIELDS", "{service: registry}")]);
    server.stop();
    let lines = server.err();
    assert!(
        lines.iter().any(|line| line.contains(" INFO shutting down")
            && line.ends_with("signal=\"SIGTERM\" service=registry")),
        "{lines:?}"
    );
    let mut server = Watched::start(&[("REGISTRY_LOG_LEVEL", "error")]);
    server.stop();
    assert_eq!(server.err(), Vec::<String>::new());
}

/// While nobody reads, requests continue; afterwards the whole log is there, in order.
#[test]
fn a_stalled_reader_does_not_block_requests() {
    // more than the 64 KiB that a pipe holds
    const GUESSES: usize = 800;
    let temporary = tempfile::TempDir::new().expect("a directory");
    let users = temporary.path().join("htpasswd");
    std::fs::write(
        &users,
        format!("joe:{}\n", bcrypt::hash("right", 4).expect("a hash")),
    )
    .expect("a file");
    let mut command = crate::support::server::command(&temporary.path().join("data"));
    command.envs([
        (
            "REGISTRY_AUTH",
            format!("{{htpasswd: {{realm: a, path: {}}}}}", users.display()),
        ),
        ("REGISTRY_HTTP_TRUSTEDPROXIES", "[127.0.0.1]".to_owned()),
    ]);
    let mut child = command
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the server starts");
    let mut log = child.stderr.take().expect("a pipe");
    let mut first = String::new();
    BufReader::new(child.stdout.take().expect("a pipe"))
        .read_line(&mut first)
        .expect("a line");
    let address = first
        .split_once("://")
        .and_then(|(_, rest)| rest.split(',').next())
        .expect("an address");
    for number in 0..GUESSES {
        let request = Client::new(address);
        let from = format!("192.0.{}.{}", 2 + number / 250, number % 250);
        let answer = { request }
            .request("GET", "/v2/")
            .header("Authorization", "Basic am9lOmE=")
            .header("X-Forwarded-For", &from)
            .send();
        assert_eq!(answer.status, 401);
    }
    assert_eq!(Client::new(address).get("/livez").status, 200);
    let pid =
        rustix::process::Pid::from_raw(i32::try_from(child.id()).expect("a pid")).expect("a pid");
    let mut text = String::new();
    rustix::process::kill_process(pid, rustix::process::Signal::TERM)
        .expect("the server can be logged to stop");
    log.read_to_string(&mut text).expect("text");
    assert!(child.wait().expect("it ends").success());
    assert_eq!(text.matches("login failed").count(), GUESSES);
    assert!(
        text.lines()
            .last()
            .is_some_and(|line| line.contains("shutting down")),
        "{text}"
    );
}

/// Log lines of a server at this level about five refused requests.
fn logged_failures(level: &str) -> Vec<Value> {
    let mut server = Watched::start(&[
        ("REGISTRY_LOG_FORMATTER", "json"),
        ("REGISTRY_LOG_LEVEL", level),
    ]);
    let mut client = server.client();
    for repository in ["app", "app", "other"] {
        client
            .put_manifest(repository, "v1", OCI_MANIFEST, b"{")
            .refused(400, "MANIFEST_INVALID");
    }
    client
        .get("/v2/app/manifests/none?account=secret")
        .refused(404, "MANIFEST_UNKNOWN");
    client
        .delete("/v2/app/manifests/none")
        .refused(404, "MANIFEST_UNKNOWN");
    server.stop();
    let lines = server.err();
    assert!(
        !lines.iter().any(|line| line.contains("secret")),
        "{lines:?}"
    );
    lines
        .iter()
        .map(|line| serde_json::from_str(line).expect("an object"))
        .filter(|line: &Value| line["msg"] == "response completed with error")
        .collect()
}

/// A refused push is logged once per reason, under distribution's names; more detail appears at
/// debug level.
#[test]
fn the_log_gives_the_reason_of_a_refused_push() {
    let logged = logged_failures("info");
    let paths: Vec<_> = logged
        .iter()
        .map(|line| line["http.request.uri"].as_str().expect("a path"))
        .collect();
    assert_eq!(
        paths,
        ["/v2/app/manifests/v1", "/v2/other/manifests/v1"],
        "{logged:?}"
    );
    let first = &logged[0];
    assert_eq!(
        (&first["err.code"], &first["http.response.status"]),
        (&"MANIFEST_INVALID".into(), &400.into()),
        "{first}"
    );
    assert_eq!(
        (
            &first["http.request.method"],
            &first["http.request.remoteaddr"]
        ),
        (&"PUT".into(), &"127.0.0.1".into()),
        "{first}"
    );
    assert!(
        first["err.message"]
            .as_str()
            .is_some_and(|message| message.len() > 10),
        "{first}"
    );
    let logged = logged_failures("debug");
    assert_eq!(logged.len(), 5, "{logged:?}");
    assert!(
        logged.iter().any(|line| line["err.detail"]
            .as_str()
            .is_some_and(|detail| detail.contains("none"))),
        "{logged:?}"
    );
}

/// Without the password in the log, no one could log in.
#[test]
fn a_generated_password_is_logged_at_every_level() {
    let temporary = tempfile::TempDir::new().expect("a directory");
    let auth = format!(
        "{{htpasswd: {{realm: a, path: {}}}}}",
        temporary.path().join("htpasswd").display()
    );
    let server = Watched::start(&[("REGISTRY_AUTH", &auth), ("REGISTRY_LOG_LEVEL", "error")]);
    let line = eventually_some("it is logged", || {
        server
            .err()
            .into_iter()
            .find(|line| line.contains("created with one user"))
    });
    assert!(line.contains("password=\""), "{line}");
}
