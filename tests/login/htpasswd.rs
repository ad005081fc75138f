//! The htpasswd file: its format, and that changes take effect at once.

use std::fs;
use std::process::Command;
use std::time::{Duration, Instant};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use super::{Guarded, as_user, environment, line};
use crate::support::{Image, OCI_MANIFEST, Server, eventually};

#[test]
fn only_the_right_password_is_accepted() {
    let guarded = Guarded::with(&format!(
        "{}{}{}",
        line("joe", "secret"),
        line("ann", "a:b:"),
        line("empty", "")
    ));
    for (user, password) in [("joe", "secret"), ("ann", "a:b:"), ("empty", "")] {
        // again, from the cache
        for _ in 0..3 {
            assert_eq!(guarded.login(user, password).status, 200, "{user}");
        }
    }
    for (user, password) in [
        ("joe", "Secret"),
        ("joe", ""),
        ("joe", "secret "),
        ("Joe", "secret"),
        ("ann", "a"),
        ("", ""),
        ("bob", "x"),
    ] {
        guarded.login(user, password).refused(401, "UNAUTHORIZED");
    }
}

#[test]
fn malformed_authorization_headers() {
    let guarded = Guarded::with(&line("joe", "secret"));
    let encoded = STANDARD.encode("joe:secret");
    let long = format!("Basic {}", STANDARD.encode(vec![b'x'; 30_000]));
    for header in [
        "",
        "Basic",
        "Basic ",
        "Basic !!!",
        "Basic am9l",
        "Bearer x",
        &encoded,
        &format!("Digest {encoded}"),
        &long,
    ] {
        let response = guarded
            .client()
            .request("GET", "/v2/")
            .header("Authorization", header)
            .send();
        response.refused(401, "UNAUTHORIZED");
    }
    let response = guarded
        .client()
        .request("GET", "/v2/")
        .header("Authorization", &format!("bAsIc {encoded}"))
        .send();
    assert_eq!(response.status, 200, "the scheme is written as one likes");
}

#[test]
fn hashes_made_by_apache_are_accepted() {
    // `htpasswd -Bbn joe pw`, and the same hash with older prefixes
    let hash = "05$wEPT.PzhL0nkRag3myfE.erSvqPIbeZFihnVf9YXscnxJXVXw/ChO";
    let guarded = Guarded::with(&format!(
        "\u{feff}# users\r\n\r\njoe:$2y${hash}\r\nann:$2a${hash}\r\n  bob:$2b${hash}  "
    ));
    for user in ["joe", "ann", "bob"] {
        assert_eq!(guarded.login(user, "pw").status, 200, "{user}");
        assert_eq!(guarded.login(user, "pv").status, 401, "{user}");
    }
}

#[test]
fn tag_history_records_the_user() {
    let guarded = Guarded::with(&line("joe", "secret"));
    let mut client = guarded.client();
    let image = Image::small(1);
    for blob in image.layers.iter().chain([&image.config]) {
        let path = format!(
            "/v2/a/blobs/uploads/?digest={}",
            crate::support::sha256(blob)
        );
        assert_eq!(
            as_user(client.request("POST", &path), "joe", "secret")
                .body(blob)
                .send()
                .status,
            201
        );
    }
    let put = as_user(client.request("PUT", "/v2/a/manifests/v1"), "joe", "secret")
        .header("Content-Type", OCI_MANIFEST);
    assert_eq!(put.body(&image.manifest).send().status, 201);
    let output = guarded.server.cli(&["tag", "history", "a:v1"]);
    let text = String::from_utf8(output.stdout).expect("text");
    assert!(text.contains("joe") && text.contains("127.0.0.1"), "{text}");
}

#[test]
fn user_changes_take_effect_at_once() {
    let guarded = Guarded::with(&line("joe", "secret"));
    assert_eq!(guarded.login("joe", "secret").status, 200);
    assert_eq!(guarded.login("ann", "other").status, 401);
    // appended, as by `registry htpasswd -Bbn ann other >> FILE`
    let both = format!(
        "{}{}",
        fs::read_to_string(&guarded.path).expect("the file"),
        line("ann", "other")
    );
    fs::write(&guarded.path, &both).expect("a file");
    assert_eq!(guarded.login("ann", "other").status, 200);
    assert_eq!(guarded.login("joe", "secret").status, 200);
    // another password, in a new file renamed over it
    let changed = guarded.path.with_extension("new");
    fs::write(&changed, line("joe", "new")).expect("a file");
    fs::rename(&changed, &guarded.path).expect("another file");
    assert_eq!(guarded.login("joe", "new").status, 200);
    // a check one millisecond ago would serve these two, had the new password not forced another
    assert_eq!(
        guarded.login("joe", "secret").status,
        401,
        "the old password is remembered"
    );
    assert_eq!(
        guarded.login("ann", "other").status,
        401,
        "a user who is gone is remembered"
    );
}

#[test]
fn an_invalid_file_changes_nothing() {
    let guarded = Guarded::with(&line("joe", "secret"));
    let half = &line("ann", "other")[..40];
    for content in [
        "ann:{SHA}2jmj7l5rSw0yVb/vlWAYkK/YBwk=\n",
        "garbage\n",
        half,
        "",
    ] {
        fs::write(&guarded.path, content).expect("a file");
        assert_eq!(guarded.login("joe", "secret").status, 200, "{content:?}");
    }
    fs::write(
        &guarded.path,
        "# users\nann:{SHA}2jmj7l5rSw0yVb/vlWAYkK/YBwk=\n",
    )
    .expect("a file");
    eventually("a file that stays broken is reported", || {
        assert_eq!(guarded.login("joe", "secret").status, 200);
        let log = guarded.server.log();
        log.contains("line 2, user 'ann'") && !log.contains("2jmj7l5")
    });
    // once, however often the file is checked
    let reported = Instant::now();
    while reported.elapsed() < Duration::from_millis(500) {
        assert_eq!(guarded.login("joe", "secret").status, 200);
    }
    assert_eq!(
        guarded.server.log().matches("line 2, user 'ann'").count(),
        1,
        "{}",
        guarded.server.log()
    );
    fs::remove_file(&guarded.path).expect("it goes");
    assert_eq!(guarded.login("joe", "secret").status, 200);
    fs::write(&guarded.path, line("ann", "other")).expect("a file");
    assert_eq!(
        (
            guarded.login("ann", "other").status,
            guarded.login("joe", "secret").status
        ),
        (200, 401)
    );
}

#[test]
fn each_failed_login_logs_one_line_without_password() {
    let guarded = Guarded::with(&line("joe", "secret"));
    guarded.login("joe", "hunter2");
    guarded.login("ann", "hunter2");
    guarded.login(&"x".repeat(5000), "hunter2");
    guarded.login("quo\"te\u{202e}", "hunter2");
    guarded.login("joe", "secret");
    // a user name with a line break
    guarded.login("joe\nlogin failed user=\"root\"", "hunter2");
    guarded.client().get("/v2/");
    let failures = || -> Vec<String> {
        guarded
            .server
            .log()
            .lines()
            .filter(|line| line.contains("login failed"))
            .map(str::to_owned)
            .collect()
    };
    eventually("every failed login is in the log", || failures().len() >= 5);
    let lines = failures();
    assert_eq!(lines.len(), 5, "{lines:#?}");
    assert!(
        lines[0].contains(r#"login failed user="joe" address=127.0.0.1 reason="wrong password""#),
        "{}",
        lines[0]
    );
    assert!(
        lines[1].contains(r#"login failed user="ann" address=127.0.0.1 reason="unknown user""#),
        "{}",
        lines[1]
    );
    assert!(lines[2].len() < 300, "{}", lines[2]);
    assert!(
        lines[3].contains(r#"user="quo\"te\u{202e}""#),
        "{}",
        lines[3]
    );
    assert!(lines[4].contains(r#"user="""#), "{}", lines[4]);
    let log = guarded.server.log();
    assert!(
        !log.contains("hunter2") && !log.contains("secret") && !log.contains("$2"),
        "{log}"
    );
}

/// Error output of a server that must not start with this file.
fn refusal(content: Option<&str>, directory: &str) -> String {
    let temporary = tempfile::TempDir::new().expect("a directory");
    let path = temporary.path().join(directory).join("htpasswd");
    if let Some(content) = content {
        fs::write(&path, content).expect("a file");
    }
    let mut command = Command::new(env!("CARGO_BIN_EXE_registry"));
    command
        .args(["serve", "--addr", "127.0.0.1:0", "--data-dir"])
        .arg(temporary.path().join("data"))
        .env("REGISTRY_AUTH", environment(&path));
    let output = command.output().expect("it ends");
    assert_eq!(output.status.code(), Some(1));
    let text = String::from_utf8(output.stderr).expect("text");
    assert!(
        text.trim_end().lines().count() == 1 && text.contains("htpasswd"),
        "{text}"
    );
    text
}

#[test]
fn a_start_with_an_invalid_file_is_refused() {
    let text = refusal(
        Some(&format!(
            "{}ann:$apr1$TVAkvpFM$TDu8Y1TeeHSc2Dp0O4EBm/\n",
            line("joe", "secret")
        )),
        "",
    );
    assert!(
        text.contains("line 2, user 'ann'") && text.contains("bcrypt") && !text.contains("apr1"),
        "{text}"
    );
    assert!(refusal(Some("\n\njoe\n"), "").contains("line 3"));
    assert!(refusal(None, "not/there").contains("create it"));
}

#[test]
fn a_missing_file_is_created_with_one_user() {
    let temporary = tempfile::TempDir::new().expect("a directory");
    let path = temporary.path().join("htpasswd");
    let server = Server::with(&[("REGISTRY_AUTH", &environment(&path))]);
    let log = server.log();
    let password = log
        .split_once("password=\"")
        .and_then(|(_, rest)| rest.split_once('"'))
        .map(|(password, _)| password);
    let password = password.unwrap_or_else(|| panic!("no password in the log: {log}"));
    assert!(
        log.contains("user=\"docker\"") && password.len() >= 40,
        "{log}"
    );
    let mut client = server.client();
    assert_eq!(
        as_user(client.request("GET", "/v2/"), "docker", password)
            .send()
            .status,
        200
    );
    assert_eq!(
        as_user(client.request("GET", "/v2/"), "docker", "password")
            .send()
            .status,
        401
    );
    let mode = std::os::unix::fs::PermissionsExt::mode(
        &fs::metadata(&path).expect("the file").permissions(),
    );
    assert_eq!(mode & 0o777, 0o600);
    let content = fs::read_to_string(&path).expect("the file");
    assert!(
        content.starts_with("docker:$2y$10$") && !content.contains(password),
        "{content}"
    );
}
