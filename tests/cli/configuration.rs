//! Commands that need a configuration and are given none: the running server's.

use std::process::Output;

use serde_json::{Value, json};

use super::program::Program;

const CONFIG: &str = "version: 0.1
auth:
  htpasswd: {realm: registry, path: PATH/htpasswd}
access:
  groups: {dev: [ann, bob], nobody: []}
  rules:
  - {repositories: 'web/**', who: '@dev', may: push}
  - {repositories: '**', who: [users, ci], may: pull}
";

/// A program beside a configuration in which `bob` and `ci` are unknown.
fn program() -> Program {
    let program = Program::copy();
    let place = program.data("").display().to_string();
    let config = CONFIG.replace("PATH", place.trim_end_matches('/'));
    std::fs::write(program.data("config.yml"), config).expect("a file");
    let users = program.run(&["htpasswd", "-Bbn", "-C", "4", "ann", "secret"]);
    std::fs::write(program.data("htpasswd"), users.stdout).expect("a file");
    program
}

/// Standard output and error of a command that succeeds.
fn said(output: &Output) -> (String, String) {
    assert!(output.status.success(), "{output:?}");
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    (text(&output.stdout), text(&output.stderr))
}

#[test]
fn the_running_servers_configuration_is_found() {
    let program = program();
    let place = program.data("config.yml").display().to_string();
    let alone = program.run(&["access", "check", "ann", "push", "web/app"]);
    assert!(
        String::from_utf8_lossy(&alone.stderr).contains("nothing was checked"),
        "{alone:?}"
    );
    let (one, _) = program.serve_with("data", &["config.yml"]);
    for arguments in [
        &["access", "check", "ann", "push", "web/app"][..],
        &["access", "show", "ann"],
        &["config", "check"],
        &["config", "show"],
    ] {
        let (out, err) = said(&program.run(arguments));
        assert!(err.contains(&place), "{arguments:?}: {err}");
        let (named, err) = said(&program.run(&[arguments, &["--config", &place]].concat()));
        assert!(!err.contains("running server"), "{arguments:?}: {err}");
        // the server has variables besides
        assert!(
            out == named || arguments[0] == "config",
            "{arguments:?}: {out} {named}"
        );
    }
    let (shown, _) = said(&program.run(&["config", "show"]));
    assert!(
        shown.contains("rootdirectory: data  # variable REGISTRY_STORAGE_FILESYSTEM_ROOTDIRECTORY"),
        "{shown}"
    );
    // whoever sets a variable means what it says
    let own = program
        .command(&["config", "show"])
        .env("REGISTRY_LOG_LEVEL", "warn")
        .output()
        .expect("the command runs");
    assert!(!said(&own).0.contains("web/**"), "{own:?}");

    let (_other, _) = program.serve("there");
    let refused = program.run(&["config", "check"]);
    let sentence = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert!(
        !refused.status.success()
            && sentence.contains("several servers are running")
            && sentence.contains(&place),
        "{sentence}"
    );
    drop(one);
}

#[test]
fn users_that_cannot_log_in_are_named() {
    let program = program();
    let place = program.data("config.yml").display().to_string();
    let (checked, _) = said(&program.run(&["config", "check", &place]));
    assert!(
        checked.contains("'bob' in access.groups.dev, 'ci' in access.rules[1];")
            && checked.contains("registry htpasswd")
            && !checked.contains("ann"),
        "{checked}"
    );
    for (name, is_known) in [
        ("ann", true),
        ("bob", false),
        ("@dev", true),
        ("anonymous", true),
    ] {
        let (_, note) = said(&program.run(&["access", "show", name, "--config", &place]));
        assert_eq!(note.is_empty(), is_known, "{name}: {note}");
        assert!(is_known || note.contains(name), "{note}");
    }
}

#[test]
fn the_rights_of_a_group_are_those_of_its_members() {
    let program = program();
    let place = program.data("config.yml").display().to_string();
    let run = |words: &[&str]| program.run(&[words, &["--config", &place]].concat());
    let (shown, _) = said(&run(&["access", "show", "@dev", "-o", "json"]));
    let shown: Value = serde_json::from_str(&shown).expect("JSON");
    assert_eq!(
        (&shown["groups"], &shown["members"]),
        (&json!(["dev"]), &json!(["ann", "bob"]))
    );
    let (text, _) = said(&run(&["access", "show", "@dev"]));
    assert!(text.starts_with("@dev is ann, bob\n"), "{text}");
    let (text, _) = said(&run(&["access", "show", "ann"]));
    assert!(text.starts_with("ann is in @dev\n"), "{text}");
    let (text, _) = said(&run(&["access", "show", "anonymous"]));
    assert!(
        text.contains("no rule gives anonymous any rights"),
        "{text}"
    );
    let numbers: Vec<_> = shown["rules"]
        .as_array()
        .expect("rules")
        .iter()
        .map(|rule| rule["ruleNumber"].clone())
        .collect();
    assert_eq!(numbers, [0, 1]);
    said(&run(&["access", "check", "@dev", "push", "web/app"]));
    let denied = run(&["access", "check", "@nobody", "push", "web/app"]);
    assert_eq!(denied.status.code(), Some(1), "{denied:?}");
    let unknown = run(&["access", "show", "@devs"]);
    let sentence = String::from_utf8_lossy(&unknown.stderr);
    assert!(
        sentence.contains("there is no group 'devs': access.groups has @dev, @nobody"),
        "{sentence}"
    );
}
