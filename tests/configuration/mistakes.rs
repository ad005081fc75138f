//! Mistakes in access rules, trust, quotas, rates and the audit log: what would be taken for less or more than it means.

use super::command::{run, written};

const AUTH: &str = "auth: {silly: {realm: a, service: b}}\n";

/// Sections, each with words of the one error about it.
const REFUSED: &[(&str, &str)] = &[
    (
        "quotas: [{repositories: 'home/{user}/**', bytes: 1KiB}]",
        "quotas, the pattern 'home/{user}/**' has {user}, and names of clients are for access rules: write 'home/*/**'",
    ),
    (
        "quotas: [{repositories: 'team**', bytes: 1KiB}]",
        "'team**', ** must be a whole component",
    ),
    (
        "backup: {every: 12h}",
        "backup.every is set, but no backup is made, because backup.to is not",
    ),
    (
        "backup: {keep: 3}",
        "backup.keep is set, but no backup is made",
    ),
    (
        "storage: {filesystem: {rootdirectory: /srv/data}}\nbackup: {to: /srv/data/backups}",
        "would lie inside of the data directory",
    ),
    ("audit: {keep: 0s}", "audit.keep must be 1d or more"),
    ("audit: {keep: 0}", "audit.keep must be 1d or more"),
    ("audit: {keep: 23h}", "audit.keep must be 1d or more"),
    (
        "http: {limits: {pulls: 0}}",
        "http.limits.pulls is 0, so nobody could pull anything",
    ),
    (
        "http: {limits: {pushes: 0}}",
        "http.limits.pushes is 0, so nobody could push anything",
    ),
    (
        "http: {limits: {pulls: 1, period: 0s}}",
        "http.limits.period is 0, in which nobody could be counted",
    ),
    (
        "access: {groups: {'@ops': [ann]}, rules: [{repositories: a, who: ann, may: pull}]}",
        "'@ops' is no name of a group",
    ),
    (
        "access: {groups: {'a b': [ann]}, rules: [{repositories: a, who: ann, may: pull}]}",
        "'a b' is no name of a group",
    ),
    (
        "access: {groups: {dev: [ann], ops: ['@dev']}, rules: [{repositories: a, who: '@ops', may: pull}]}",
        "access.groups.ops has '@dev', and groups hold users alone",
    ),
    (
        "webhooks: [{name: a, url: 'http://x', format: harbor, hmac: {variable: PATH}, headers: {authorization: [a]}}]",
        "webhooks[0].hmac is sent as Authorization with the format harbor, which headers has as well",
    ),
    (
        "access: {groups: {ops: ['token:ci']}, rules: [{repositories: a, who: '@ops', may: pull}]}",
        "access.groups.ops has 'token:ci'",
    ),
];

/// Rules, each with words of the one error about it.
const RULES: &[(&str, &str)] = &[
    (
        "repositories: 'home/{users}/**', who: users, may: pull",
        "{users} stands for nothing",
    ),
    (
        "repositories: 'a**b', who: users, may: pull",
        "'a**b', ** must be a whole component",
    ),
    (
        "repositories: 'team/***', who: users, may: pull",
        "'team/***', ** must be a whole component",
    ),
    (
        "repositories: '{claim.repository}/**', who: users, may: pull",
        "nobody in who has all names that '{claim.repository}/**' refers to",
    ),
    (
        "repositories: 'home/{user}/**', who: ['token:ci', 'trust:x'], may: pull",
        "nobody in who has all names that 'home/{user}/**' refers to",
    ),
    (
        "repositories: a, who: 'token:*', may: pull",
        "'*' in 'token:*' is no name of a token",
    ),
    (
        "repositories: a, who: users, may: 'pull, create'",
        "'pull, create' is one text: write a list, as in may: [pull, create]",
    ),
    (
        "repositories: a, who: users, can: pull",
        "did you mean access.rules[].may?",
    ),
];

/// Issuers of everybody's tokens, with claims that do not say whose tokens count.
const OPEN: &[&str] = &[
    "issuer: 'https://token.actions.githubusercontent.com', require: {ref: refs/heads/main}",
    "issuer: 'https://token.actions.githubusercontent.com', require: {repository: '*/app'}",
    "issuer: 'https://token.actions.githubusercontent.com', require: {repository: [acme/app, '**']}",
    "issuer: 'https://token.actions.githubusercontent.com', require: {sub: 'repo:*/*:ref:refs/heads/main'}",
    "issuer: 'https://gitlab.com', require: {ref: main}",
    "issuer: 'https://gitlab.com', require: {namespace_path: 'acme*'}",
    "issuer: 'https://accounts.google.com', require: {email: '*'}",
];

/// The same issuers, with claims that do.
const CLOSED: &[&str] = &[
    "issuer: 'https://token.actions.githubusercontent.com', require: {repository: 'acme/*', ref: refs/heads/main}",
    "issuer: 'https://token.actions.githubusercontent.com', require: {sub: 'repo:acme/*:ref:refs/heads/main'}",
    "issuer: 'https://gitlab.com', require: {namespace_path: '{acme,other}'}",
    "issuer: 'https://accounts.google.com', require: {email: '*@acme.com'}",
];

fn trusting(entries: &str) -> String {
    let rules = "access: {rules: [{repositories: a, who: 'trust:x', may: pull}]}";
    format!("{rules}\ntrust: [{entries}]\n")
}

/// Returns what a check says of a file: its errors, or its notes.
fn said_of(text: &str) -> Result<String, String> {
    let (_temporary, path) = written(text);
    let output = run(&["check", &path], &[]);
    match output.status.success() {
        true => Ok(String::from_utf8_lossy(&output.stdout).into_owned()),
        false => Err(String::from_utf8_lossy(&output.stderr).into_owned()),
    }
}

fn refused(text: &str, words: &str) {
    let error = said_of(text).expect_err(text);
    assert!(error.contains(words), "'{words}' is not in: {error}");
    assert_eq!(error.lines().count(), 1, "{error}");
}

#[test]
fn what_means_nothing_or_too_much_is_an_error() {
    for (section, words) in REFUSED {
        refused(&format!("{AUTH}{section}\n"), words);
    }
    let issuer = "trust: [{name: x, issuer: 'https://a.example', audience: r}]\n";
    for (rule, words) in RULES {
        // it is the only mistake: what may is called is required, too
        let text = format!("{AUTH}{issuer}access:\n  rules:\n  - {{{rule}}}\n");
        let error = said_of(&text).expect_err(rule);
        assert!(error.contains(words), "'{words}' is not in: {error}");
    }
    let two = "{name: x, issuer: 'https://a.example', audience: r}";
    refused(
        &trusting(&format!("{two}, {two}")),
        "'x' is the name of two issuers in trust",
    );
}

#[test]
fn an_issuer_of_everybodys_tokens_needs_the_name_of_their_owner() {
    for issuer in OPEN {
        refused(
            &trusting(&format!("{{name: x, audience: r, {issuer}}}")),
            "say in trust[0].require whose count, without wildcards in the owner's name",
        );
    }
    for issuer in CLOSED {
        let text = trusting(&format!("{{name: x, audience: r, {issuer}}}"));
        said_of(&text).expect(issuer);
    }
}

#[test]
fn rules_for_users_who_cannot_log_in_are_noted() {
    let rules = "access: {rules: [{repositories: a, who: anonymous, may: pull}, {repositories: a, who: ann, may: push}]}\n";
    let note = "note: access.rules[1] is for users, and nobody can log in as a user without a section auth";
    let said = said_of(rules).expect("a valid file");
    assert!(said.contains(note), "{said}");
    let said = said_of(&format!("{AUTH}{rules}")).expect("a valid file");
    assert!(!said.contains("note:"), "{said}");
}
