//! The commands with `--server`: they print what they print with `--data-dir`, in either format.

use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::process::{Command, Output};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::json;
use tempfile::TempDir;

use super::people::{ask, guarded, push};
use super::same::store;
use crate::login::Guarded;
use crate::support::{Image, Server};

/// Runs a command that asks a server, with the variables given and no others of logins.
fn afar(server: &Server, arguments: &[&str], variables: &[(&str, &str)]) -> Output {
    let url = format!("http://{}", server.address());
    let mut command = Command::new(env!("CARGO_BIN_EXE_registry"));
    command
        .args(arguments)
        .args(["--server", &url])
        .env_remove("DOCKER_CONFIG")
        .env("HOME", "/nonexistent");
    command.envs(variables.iter().copied());
    command.output().expect("it runs")
}

#[test]
fn a_server_and_a_directory_answer_the_same() {
    let (server, _) = store();
    for command in [
        "ls",
        "ls --sort size --limit 2",
        "ls --sort pushed --since 1h",
        "ls ruled/**",
        "ls ruled/app",
        "ls ruled/app:pr-*",
        "ls **:pr-* --sort size --limit 2",
        "ls --untagged",
        "ls --untagged other",
        "audit",
        "audit --limit 3",
        "audit --repository ruled/**:pr-* --action tag --since 1h",
        "token ls",
        "token ls --all",
        "webhook ls",
        "webhook deliveries",
        "upstream ls",
        "quotas",
    ] {
        for format in ["json", "text"] {
            let words: Vec<_> = command.split(' ').chain(["-o", format]).collect();
            let (here, there) = (server.cli(&words), afar(&server, &words, &[]));
            let shown = |output: &Output| String::from_utf8_lossy(&output.stdout).into_owned();
            assert_eq!(shown(&here), shown(&there), "{command}: {there:?}");
            assert!(there.status.success(), "{command}: {there:?}");
        }
    }
}

fn text(output: &Output) -> String {
    format!(
        "{}{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    )
}

/// Writes Docker's configuration.
fn configured(content: &serde_json::Value) -> TempDir {
    let directory = TempDir::new().expect("a directory");
    std::fs::write(directory.path().join("config.json"), content.to_string()).expect("written");
    directory
}

fn listed(guarded: &Guarded, variables: &[(&str, &str)]) -> String {
    text(&afar(&guarded.server, &["ls"], variables))
}

#[test]
fn logins_come_from_a_token_or_from_docker() {
    let guarded = guarded();
    push(&guarded, &Image::small(1), "team/app", "v1");
    push(&guarded, &Image::small(1), "public/app", "v1");
    assert!(!listed(&guarded, &[]).contains("team/app"));
    let host = guarded.server.address();
    let auth = STANDARD.encode("ann:secret");
    let plain = configured(&json!({ "auths": { host: { "auth": auth } } }));
    let directory = plain.path().to_str().expect("text");
    assert!(listed(&guarded, &[("DOCKER_CONFIG", directory)]).contains("team/app"));

    let helped = configured(&json!({ "credHelpers": { host: "test" } }));
    let helper = helped.path().join("docker-credential-test");
    let mut file = std::fs::File::create(&helper).expect("a file");
    let script =
        "#!/bin/sh\nread -r host\necho '{\"Username\": \"ann\", \"Secret\": \"secret\"}'\n";
    file.write_all(script.as_bytes()).expect("written");
    drop(file);
    std::fs::set_permissions(&helper, std::fs::Permissions::from_mode(0o755)).expect("set");
    let directory = helped.path().to_str().expect("text");
    let path = format!("{directory}:{}", std::env::var("PATH").expect("a path"));
    let variables = [("DOCKER_CONFIG", directory), ("PATH", &*path)];
    assert!(listed(&guarded, &variables).contains("team/app"));

    let token = guarded.server.cli(&[
        "token",
        "create",
        "ci",
        "--repositories",
        "team/**",
        "--may",
        "pull",
    ]);
    let token = String::from_utf8(token.stdout).expect("a token");
    let shown = listed(&guarded, &[("REGISTRY_TOKEN", token.trim())]);
    assert!(shown.contains("team/app"), "{shown}");
    let file = helped.path().join("token");
    std::fs::write(&file, &token).expect("written");
    let file = file.to_str().expect("text");
    assert!(listed(&guarded, &[("REGISTRY_TOKEN_FILE", file)]).contains("team/app"));
}

#[test]
fn failures_say_what_to_do() {
    let guarded = guarded();
    assert_eq!(
        ask(&guarded, "boss", "GET", "/api/v1/tokens", b"").status,
        200
    );
    let refused = afar(&guarded.server, &["token", "ls"], &[]);
    assert!(!refused.status.success());
    let said = text(&refused);
    assert!(said.contains("asks for a login: docker login"), "{said}");
    let wrong = afar(&guarded.server, &["ls"], &[("REGISTRY_TOKEN", "wrong")]);
    assert!(!wrong.status.success(), "{wrong:?}");
    let unknown = afar(&guarded.server, &["ls", "public/none"], &[]);
    assert!(
        text(&unknown).contains("repository public/none is not known"),
        "{unknown:?}"
    );
    let program = || Command::new(env!("CARGO_BIN_EXE_registry"));
    let absent = program()
        .args(["ls", "--server", "http://127.0.0.1:9"])
        .output()
        .expect("it runs");
    assert!(
        text(&absent).contains("127.0.0.1:9 was not reached"),
        "{absent:?}"
    );
    let no_url = program()
        .args(["ls", "--server", "registry"])
        .output()
        .expect("it runs");
    assert!(
        text(&no_url).contains("is not the URL of a server"),
        "{no_url:?}"
    );
    let both = program()
        .args(["ls", "--server", "http://a", "--data-dir", "/tmp"])
        .output()
        .expect("it runs");
    assert_eq!(both.status.code(), Some(2));
}
