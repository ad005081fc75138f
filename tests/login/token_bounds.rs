//! Answers of commands about a token, compared with what the server lets it do.

use serde_json::{Value, json};

use super::machine_tokens::{fill, token};
use super::{Guarded, as_user, line};

/// A guarded server with these rules, and a file of its configuration.
fn with_rules(rules: Value) -> (Guarded, String) {
    let users = line("ann", "secret") + &line("bob", "secret");
    let access = json!({ "rules": rules });
    let guarded = Guarded::set_up(&users, &[("REGISTRY_ACCESS", &access.to_string())]);
    let file = guarded.server.directory().join("rules.yml");
    let config = json!({
        "version": 0.1, "access": access,
        "auth": { "htpasswd": { "realm": "x", "path": guarded.path } },
    });
    std::fs::write(&file, config.to_string()).expect("a file");
    let file = file.to_str().expect("a path").to_owned();
    (guarded, file)
}

/// Runs `registry access` with a configuration; returns the exit code and what it printed.
fn access(guarded: &Guarded, config: &str, words: &[&str]) -> (Option<i32>, String) {
    let flags = ["--config", config];
    let output = guarded
        .server
        .cli(&[&["access"], words, &flags[..]].concat());
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    let noted = String::from_utf8_lossy(&output.stderr).into_owned();
    (output.status.code(), said + &noted)
}

#[test]
fn the_command_decides_as_the_server_does() {
    let (guarded, config) = with_rules(json!([
        { "repositories": "team/**", "who": "bob", "may": "push" },
        { "repositories": "**", "who": "ann", "may": "admin" },
        { "repositories": "other/**", "who": ["token:bot", "token:free"], "may": "pull" },
        { "repositories": "public/**", "who": "anonymous", "may": "pull" },
    ]));
    fill(&guarded);
    let grants = [
        ("free", &["--repositories", "team/**", "--may", "pull"][..]),
        ("bare", &[]),
        (
            "bot",
            &["--repositories", "**", "--may", "admin", "--for", "bob"],
        ),
        (
            "part",
            &[
                "--repositories",
                "{user}/**",
                "--may",
                "pull",
                "--for",
                "ann",
            ],
        ),
    ];
    for (name, flags) in grants {
        let secret = token(&guarded, &[&[name], flags].concat());
        for repository in ["team/app", "other/app"] {
            for (action, method) in [("pull", "GET"), ("delete", "DELETE")] {
                let path = format!("/v2/{repository}/manifests/none");
                let mut client = guarded.client();
                let answer = as_user(client.request(method, &path), "x", &secret).send();
                // what may not be seen is an unknown name, what is not there an unknown manifest
                let code = answer.json()["errors"][0]["code"].clone();
                let may = code == "MANIFEST_UNKNOWN";
                let who = format!("token:{name}");
                let check = ["check", &who, action, repository];
                let (exit, said) = access(&guarded, &config, &check);
                assert_eq!(
                    exit,
                    Some(i32::from(!may)),
                    "{name} {method} {path}: {code}, {said}"
                );
            }
        }
    }
}

/// Questions, with the exit code and a part of the answer.
const ANSWERS: [(&str, i32, &str); 6] = [
    (
        "token:bot push team/app",
        0,
        "token:bot may push team/app (its own grant: admin in team/**; bob may by access.rules[0]: bob may pull, create, update in team/**)",
    ),
    (
        "token:bot delete team/app",
        1,
        "(it is a token of bob, to whom the rules allow pull, create, update there)",
    ),
    (
        "token:bot pull other/app --from 10.1.1.1",
        0,
        "(access.rules[1]: token:bot may pull in other/**; bob may by access.rules[2]: bob may pull in ** from 10.0.0.0/8)",
    ),
    (
        "token:bot pull third/app --from 10.1.1.1",
        1,
        "(the rules and its grant allow nothing there; its own grant: admin in team/**)",
    ),
    (
        "token:bare pull team/app",
        1,
        "(the rules and its grant allow nothing there; it has no grant of its own)",
    ),
    (
        "token:none pull team/app",
        1,
        "note: there is no token none, so the rules alone are judged",
    ),
];

#[test]
fn the_deciding_rule_grant_and_user_are_named() {
    let (guarded, config) = with_rules(json!([
        { "repositories": "team/**", "who": "bob", "may": "push" },
        { "repositories": "other/**", "who": "token:bot", "may": "pull" },
        { "repositories": "**", "who": "bob", "from": "10.0.0.0/8", "may": "pull" },
    ]));
    let flags = [
        "--repositories",
        "team/**",
        "--may",
        "admin",
        "--for",
        "bob",
    ];
    token(&guarded, &[&["bot"], &flags[..]].concat());
    token(&guarded, &["bare", "--expires", "never"]);
    for (question, exit, answer) in ANSWERS {
        let words: Vec<_> = ["check"].into_iter().chain(question.split(' ')).collect();
        let (code, said) = access(&guarded, &config, &words);
        assert_eq!(code, Some(exit), "{said}");
        assert!(said.contains(answer), "{said}");
    }
    let (_, said) = access(&guarded, &config, &["show", "token:bot"]);
    for part in [
        "token:bot: its own grant: admin in team/**",
        "token:bot: it expires at ",
        "token:bot: it may never do more than bob",
        "other/**",
    ] {
        assert!(said.contains(part), "{said}");
    }
    let (_, said) = access(&guarded, &config, &["show", "token:bare"]);
    assert!(
        said.contains("it does not expire") && said.contains("no rule gives"),
        "{said}"
    );
    let (_, said) = access(&guarded, &config, &["show", "token:bot", "-o", "json"]);
    let shown: Value = serde_json::from_str(said.trim()).expect("an object");
    assert_eq!(shown["grant"]["repositories"], json!(["team/**"]));
    assert_eq!(shown["grant"]["user"], "bob");
}

#[test]
fn a_void_token_may_nothing_and_the_reason_is_named() {
    let (guarded, config) = with_rules(json!([
        { "repositories": "**", "who": ["anonymous"], "may": "pull" },
    ]));
    let check = |name: &str| {
        let who = format!("token:{name}");
        let (code, said) = access(&guarded, &config, &["check", &who, "pull", "team/app"]);
        assert_eq!(code, Some(1), "{said}");
        said
    };
    token(&guarded, &["gone"]);
    assert!(
        guarded
            .server
            .cli(&["token", "revoke", "gone"])
            .status
            .success()
    );
    assert!(check("gone").contains("the token gone was revoked at"));
    let (_, said) = access(&guarded, &config, &["show", "token:gone"]);
    assert!(
        said.contains("it is refused everywhere") && !said.contains("anonymous"),
        "{said}"
    );
    // another one of this name counts
    token(&guarded, &["gone"]);
    let (code, said) = access(
        &guarded,
        &config,
        &["check", "token:gone", "pull", "team/app"],
    );
    assert_eq!(code, Some(0), "{said}");
    token(&guarded, &["old", "--expires", "1ms"]);
    assert!(check("old").contains("the token old expired at"));
    token(&guarded, &["bobs", "--for", "bob"]);
    std::fs::write(&guarded.path, line("ann", "secret")).expect("a file");
    assert!(check("bobs").contains("its user bob does not exist"));
}

/// A repository that no rule can match is named, or its owner looks for the fault elsewhere.
#[test]
fn what_no_rule_can_match_is_noted() {
    let (guarded, _) = with_rules(json!([
        { "repositories": "team/**", "who": "users", "may": "pull" },
    ]));
    let users = line("ann", "secret") + &line("Bob", "secret");
    std::fs::write(&guarded.path, users).expect("a file");
    let config = guarded.server.directory().join("hints.yml");
    let text = json!({
        "version": 0.1,
        "auth": { "htpasswd": { "realm": "x", "path": guarded.path } },
        "trust": [{ "name": "ci", "issuer": "https://ci.example.com", "audience": "registry" }],
        "access": { "rules": [
            { "repositories": "home/{user}/**", "who": "users", "may": "maintain" },
            { "repositories": "{claim.repository}/**", "who": "trust:ci", "may": "push" },
            { "repositories": "team/**", "who": ["token:nope", "token:there"], "may": "pull" },
        ] },
    });
    std::fs::write(&config, text.to_string()).expect("a file");
    token(&guarded, &["there"]);
    let place = guarded.server.directory().to_str().expect("a path");
    let checked = std::process::Command::new(env!("CARGO_BIN_EXE_registry"))
        .args(["config", "check", "--data-dir", place])
        .arg(&config)
        .output()
        .expect("the command runs");
    let said = String::from_utf8_lossy(&checked.stdout).into_owned();
    for hint in [
        "none can be named after 'Bob':",
        "there are no such tokens: token:nope in access.rules[2];",
    ] {
        assert!(said.contains(hint), "{said}");
    }
    for (words, hint) in [
        (
            &["check", "Bob", "pull", "home/bob/app"][..],
            "named after 'Bob'",
        ),
        (
            &["check", "trust:ci", "pull", "acme/app"],
            "add --claim repository=VALUE",
        ),
        (
            &["check", "trust:none", "pull", "acme/app"],
            "there is no trusted issuer 'none': trust has ci",
        ),
        (&["show", "--help"], "trust:NAME."),
    ] {
        let (_, said) = access(&guarded, config.to_str().expect("a path"), words);
        assert!(said.contains(hint), "{said}");
    }
    let bare = guarded.server.cli(&["token", "create", "bare"]);
    let said = String::from_utf8_lossy(&bare.stderr);
    assert!(said.contains("note: "), "{said}");
}
