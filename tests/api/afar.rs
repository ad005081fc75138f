//! The commands with `--server`: they print what they print with `--data-dir`, in either format.

use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::process::{Command, Output};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use regex::Regex;
use serde_json::json;
use tempfile::TempDir;

use super::people::{ask, guarded, push};
use super::same::store;
use crate::cli::inspecting;
use crate::login::Guarded;
use crate::support::{Image, Server, sha256};

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

/// Output of a command, without times and secrets, which are those of each run.
fn shown(output: &Output) -> String {
    let times = Regex::new(r"\d{4}-\d\d-\d\dT[\d:.]+Z").expect("a pattern");
    let secrets = Regex::new(r#"tk_[a-z2-7_]+|"id": "[a-z2-7]{8}""#).expect("a pattern");
    let text = text(output);
    let text = times.replace_all(&text, "TIME");
    secrets.replace_all(&text, "SECRET").into_owned()
}

/// Commands; `INDEX`, `IMAGE` and `LEASED` are digests, `SHORT` is a shortened one.
const SAME: [&str; 48] = [
    "ls",
    "ls --sort size --limit 2",
    "ls --sort pushed --since 1h",
    "ls ruled/**",
    "ls ruled/app",
    "ls ruled/app:pr-*",
    "ls **:pr-* --sort size --limit 2",
    "ls --untagged",
    "ls --untagged other",
    "inspect app:v1",
    "inspect team/app:v1",
    "inspect team/app@INDEX",
    "inspect other@SHORT",
    "inspect other:v1",
    "tag history ruled/app:gone",
    "tag history ruled/app:pr-1",
    "tag history other:v1",
    "du ruled/*",
    "du --limit 1 ruled/*",
    "du ruled/app",
    "du ruled/app:pr-* --sort name",
    "growth",
    "growth ruled/** --days 3",
    "why INDEX",
    "why IMAGE",
    "why LEASED",
    "why ruled/app:pr-10",
    "why other@SHORT",
    "restore",
    "rm --dry-run ruled/app",
    "rm --dry-run ruled/app:pr-*",
    "rm --dry-run other:v1",
    "rm --dry-run other@SHORT",
    "policy preview --at 2030-01-01",
    "policy preview ruled/app --at 2030-01-01",
    "policy preview **:pr-* --removed-only --at 2030-01-01",
    "policy preview --rules RULES --at 2030-01-01",
    "policy preview ruled/* --rules RULES --at 2030-01-01",
    "audit",
    "audit --limit 3",
    "audit --repository ruled/**:pr-* --action tag --since 1h",
    "token ls",
    "token ls --all",
    "webhook ls",
    "webhook deliveries",
    "upstream ls",
    "quotas",
    "quotas --output text",
];

#[test]
fn a_server_and_a_directory_answer_the_same() {
    let (server, index) = store();
    inspecting::push_index(&mut server.client());
    let image = Image::small(6).digest();
    let rules = tempfile::NamedTempFile::new().expect("a file");
    let written = "policies: [{repositories: '**', tags: [{match: ['v*', 'pr-*'], younger: 1h}]}]";
    std::fs::write(&rules, written).expect("written");
    let rules = rules.path().to_str().expect("a path");
    for command in SAME {
        let command = command.replace("INDEX", &index).replace("IMAGE", &image);
        let command = command.replace("SHORT", &image[..19]);
        let command = command.replace("LEASED", &sha256(b"leased"));
        let command = command.replace("RULES", rules);
        for format in ["json", "text"] {
            let words = command.split(' ').chain(["-o", format]);
            let words: Vec<_> = match command.contains("--output") {
                true => command.split(' ').collect(),
                false => words.collect(),
            };
            let (here, there) = (server.cli(&words), afar(&server, &words, &[]));
            let said = |output: &Output| match command.starts_with("rm ") {
                // its times count from now on
                true => shown(output),
                false => text(output),
            };
            assert_eq!(said(&here), said(&there), "{command}");
            assert!(there.status.success(), "{command}: {there:?}");
        }
    }
}

/// Free bytes of the disk and the size of the log change all the time, and are left out.
#[test]
fn the_usage_of_the_whole_store_is_the_same_afar() {
    let (server, _) = store();
    let lasting = |output: &Output| {
        let text = text(output);
        let lines = text.lines().filter(|line| {
            ["Database", "Free disk", "\"store\""]
                .iter()
                .all(|label| !line.trim().starts_with(label))
        });
        lines.collect::<Vec<_>>().join("\n")
    };
    for words in [["du", "-o", "text"], ["du", "-o", "json"]] {
        let (here, there) = (server.cli(&words), afar(&server, &words, &[]));
        assert_eq!(lasting(&here), lasting(&there));
        assert!(text(&there).contains("blobs") && there.status.success());
    }
}

/// Each change is made here, undone, and made and undone there; both say the same.
#[test]
fn changes_say_the_same_here_and_afar() {
    let (server, _) = store();
    // what was restored once is kept by rules for a while
    for words in [
        ["rm", "ruled/app", "--yes"],
        ["restore", "ruled/app", "-ojson"],
    ] {
        assert!(server.cli(&words).status.success());
    }
    let by_digest = format!("other@{}", Image::small(6).digest());
    for (rm, restore) in [
        ("ruled/app:pr-1", "ruled/app:pr-1"),
        ("other@SHORT", &*by_digest),
        ("ruled/app:pr-*", "ruled/app"),
        ("ruled/app", "ruled/app"),
    ] {
        let rm = rm.replace("SHORT", &Image::small(7).digest()[..19]);
        let restore = match rm.contains('@') {
            true => format!("other@{}", Image::small(7).digest()),
            false => restore.to_owned(),
        };
        for format in ["text", "json"] {
            let steps = [
                vec!["rm", &*rm, "--yes", "-o", format],
                vec!["restore", &*restore, "-o", format],
            ];
            let here: Vec<_> = steps.iter().map(|words| server.cli(words)).collect();
            let there = steps.iter().map(|words| afar(&server, words, &[]));
            for (here, there) in here.iter().zip(there) {
                let flags = [
                    format!(" --data-dir {}", server.directory().display()),
                    format!(" --server http://{}", server.address()),
                ];
                let [here, there] = [(here, &flags[0]), (&there, &flags[1])]
                    .map(|(output, flags)| shown(output).replace(flags, ""));
                // what is deleted in the same millisecond comes back in any order
                let [mut ours, mut theirs] = [&here, &there].map(|text| {
                    let lines = text.lines().map(|line| line.trim_end_matches(','));
                    lines.collect::<Vec<_>>()
                });
                ours.sort_unstable();
                theirs.sort_unstable();
                assert_eq!(ours, theirs, "{rm}");
                assert!(
                    here.contains("restored") || here.contains("removed"),
                    "{here}"
                );
            }
        }
    }
    let glob = afar(&server, &["rm", "ruled/**", "--yes"], &[]);
    assert!(text(&glob).contains("one repository at a time"), "{glob:?}");
}

#[test]
fn tokens_are_changed_from_afar() {
    let guarded = guarded();
    let auth = STANDARD.encode("boss:secret");
    let login = configured(&json!({ "auths": { guarded.server.address(): { "auth": auth } } }));
    let variables = [("DOCKER_CONFIG", login.path().to_str().expect("text"))];
    for format in ["text", "json"] {
        let steps = [
            format!("token create NAME --repositories team/** --may pull --expires 1d -o {format}"),
            format!("token rotate NAME --overlap 1h -o {format}"),
            format!("token revoke NAME -o {format}"),
            format!("token revoke NAME -o {format}"),
            format!("token create NAME --for nobody -o {format}"),
        ];
        for step in steps {
            let name = format!("ci-{format}");
            let (here, there) = (
                step.replace("NAME", &format!("{name}-here")),
                step.replace("NAME", &format!("{name}-there")),
            );
            let here = guarded.server.cli(&here.split(' ').collect::<Vec<_>>());
            let there = afar(
                &guarded.server,
                &there.split(' ').collect::<Vec<_>>(),
                &variables,
            );
            let same = |output: &Output| shown(output).replace("-there", "-here");
            if !step.contains("nobody") {
                assert_eq!(same(&here), same(&there), "{step}");
            }
            assert_eq!(here.status.code(), there.status.code(), "{step}");
        }
    }
    let refused = afar(&guarded.server, &["token", "revoke", "ci"], &[]);
    assert!(text(&refused).contains("asks for a login"), "{refused:?}");
    let words = ["webhook", "resend", "hook", "1"];
    let unknown = afar(&guarded.server, &words, &variables);
    assert!(
        text(&unknown).contains("hook has no delivery of event 1"),
        "{unknown:?}"
    );
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
