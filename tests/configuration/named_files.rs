//! Files named in a configuration are validated before a start and by `config check` alike.

use std::collections::BTreeSet;
use std::path::Path;
use std::process::{Command, Output};

use tempfile::TempDir;

use super::command::{run, whole};
use crate::wire::pki::{Authority, params};

/// A directory with valid and invalid files, and a configuration in which `DIR` stands for it.
fn prepared() -> TempDir {
    let temporary = TempDir::new().expect("a directory");
    let file = |name: &str, content: &str| {
        std::fs::write(temporary.path().join(name), content).expect("a file")
    };
    let authority = Authority::new("an authority");
    let (one, other) = (
        authority.issue(&["localhost"]),
        authority.issue(&["localhost"]),
    );
    let mut old = params(&["localhost"]);
    old.not_after = rcgen::date_time_ymd(2001, 1, 1);
    let old = authority.issue_as(old);
    for (name, content) in [
        ("cert.pem", &*one.certificate),
        ("key.pem", &*one.key),
        ("other.pem", &*other.key),
        ("old.pem", &*old.certificate),
        ("oldkey.pem", &*old.key),
        ("ca.pem", &*authority.pem()),
        ("nothing.pem", "no PEM\n"),
        (
            "users",
            "joe:$2y$05$wEPT.PzhL0nkRag3myfE.erSvqPIbeZFihnVf9YXscnxJXVXw/ChO\n",
        ),
        (
            "badusers",
            "joe:$apr1$TVAkvpFM$TDu8Y1TeeHSc2Dp0O4EBm/\nnobody\n",
        ),
        ("jwks", "{\"keys\": 1}"),
        ("foreign", "not a database"),
    ] {
        file(name, content);
    }
    std::fs::create_dir_all(temporary.path().join("theirs/docker/registry/v2"))
        .expect("a directory");
    std::fs::create_dir(temporary.path().join("mistaken")).expect("a directory");
    std::fs::write(
        temporary.path().join("mistaken/registry.db"),
        "not a database ".repeat(99),
    )
    .expect("a file");
    temporary
}

fn write(directory: &Path, text: &str) -> String {
    let path = directory.join("config.yml");
    let text = text.replace("DIR", &directory.display().to_string());
    std::fs::write(&path, whole(&text)).expect("a file");
    path.display().to_string()
}

/// All files below a directory, with their lengths.
fn inside(directory: &Path) -> BTreeSet<(String, u64)> {
    let mut found = BTreeSet::new();
    for entry in std::fs::read_dir(directory).expect("a directory") {
        let entry = entry.expect("an entry");
        let metadata = entry.metadata().expect("what it is");
        if metadata.is_dir() {
            found.extend(inside(&entry.path()));
        }
        found.insert((entry.path().display().to_string(), metadata.len()));
    }
    found
}

fn serve(path: &str) -> Output {
    Command::new(env!("CARGO_BIN_EXE_registry"))
        .args(["serve", path])
        .env_clear()
        .output()
        .expect("the command runs")
}

fn err(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// Refused configurations, each with words of the one sentence that a check and a start both print.
const REFUSED: &[(&str, &str)] = &[
    (
        "auth: {htpasswd: {realm: a, path: DIR/badusers}}",
        "line 1, user 'joe': not a bcrypt hash",
    ),
    (
        "auth: {htpasswd: {realm: a, path: DIR/badusers}}",
        "line 2 is not USER:HASH",
    ),
    (
        "auth: {htpasswd: {realm: a, path: DIR/nowhere/users}}",
        "it cannot be created: No such file or directory",
    ),
    (
        "auth: {htpasswd: {realm: a, path: DIR/theirs}}",
        "cannot read the htpasswd file",
    ),
    (
        "auth: {token: {realm: a, service: b, issuer: c, rootcertbundle: DIR/none}}",
        "cannot read auth.token.rootcertbundle",
    ),
    (
        "auth: {token: {realm: a, service: b, issuer: c, rootcertbundle: DIR/nothing.pem}}",
        "holds no certificate",
    ),
    (
        "auth: {token: {realm: a, service: b, issuer: c, jwks: DIR/jwks}}",
        "auth.token.jwks",
    ),
    (
        "auth: {token: {realm: a, service: b, issuer: c}}",
        "has no key to verify tokens with",
    ),
    (
        "auth: {token: {realm: a, service: b, issuer: c, jwks: DIR/jwks, autoredirectpath: x}}",
        "must begin with a slash",
    ),
    (
        "http: {tls: {certificate: DIR/none.pem, key: DIR/key.pem}}",
        "cannot read the certificate",
    ),
    (
        "http: {tls: {certificate: DIR/cert.pem, key: DIR/other.pem}}",
        "does not belong to the certificate",
    ),
    ("http: {tls: {certificate: DIR/cert.pem}}", "TLS needs both"),
    (
        "http: {tls: {certificate: DIR/cert.pem, key: DIR/key.pem, clientcas: [DIR/nothing.pem]}}",
        "authority of clients",
    ),
    (
        "http: {tls: {certificate: DIR/cert.pem, key: DIR/key.pem, ciphersuites: [TLS_NONE]}}",
        "TLS_NONE",
    ),
    (
        "http: {tls: {certificate: DIR/cert.pem, key: DIR/key.pem, clientauth: request-client-cert}}",
        "no client would be asked for a certificate",
    ),
    (
        "http: {tls: {certificate: DIR/cert.pem, key: DIR/key.pem, clientauth: require-and-verify-client-cert, clientcas: []}}",
        "no client would be asked for a certificate",
    ),
    (
        "http: {tls: {minimumtls: tls1.2}}",
        "http.tls has no certificate",
    ),
    (
        "http: {debug: {addr: 'localhost:0', prometheus: {enabled: true, path: debug/health}}}",
        "which is in use",
    ),
    (
        "http: {debug: {addr: 'localhost:0', prometheus: {enabled: true, path: /livez}}}",
        "which is in use",
    ),
    (
        "health: {tcp: [{addr: 'a:1'}, {addr: redis}]}",
        "health.tcp[1].addr is 'redis'",
    ),
    (
        "http: {tls: {letsencrypt: {cachefile: DIR/users, hosts: [a.example]}}}",
        "must be a directory",
    ),
    (
        "http: {tls: {letsencrypt: {cachefile: DIR/cache, hosts: ['*.example']}}}",
        "not the name of one host",
    ),
    ("http: {addr: nowhere}", "cannot listen on 'nowhere'"),
    ("http: {net: unix}", "set it to the socket's path"),
    (
        "http: {debug: {addr: nowhere}}",
        "http.debug.addr: cannot listen",
    ),
    ("http: {prefix: '/a b/'}", "is not a path prefix"),
    ("http: {host: 'ftp://x'}", "not the URL of a server"),
    (
        "http: {headers: {Content-Length: ['1']}}",
        "is set by the server itself",
    ),
    (
        "http: {trustedproxies: [everybody]}",
        "neither an address nor a network",
    ),
    (
        "http: {limits: {connections: 0}}",
        "no client could connect",
    ),
    ("health: {http: [{uri: a}]}", "is not a URL"),
    (
        "validation: {manifests: {urls: {deny: ['(']}}}",
        "an invalid regular expression",
    ),
    ("policies: [{repositories: '['}]", "in policies"),
    (
        "policies: [{repositories: a, tags: [{match: [b]}]}]",
        "has no condition",
    ),
    (
        "storage: {filesystem: {rootdirectory: DIR/users/data}}",
        "the data directory",
    ),
    (
        "storage: {import: off, filesystem: {rootdirectory: DIR/theirs}}",
        "a store of registry:2",
    ),
    (
        "storage: {filesystem: {rootdirectory: DIR/mistaken}}",
        "not a database of this registry",
    ),
];

#[test]
fn named_files_are_validated_and_not_changed() {
    let temporary = prepared();
    let directory = temporary.path();
    for (text, words) in REFUSED {
        let path = write(directory, text);
        let before = inside(directory);
        let checked = run(&["check", &path], &[]);
        assert!(
            !checked.status.success() && err(&checked).contains(*words),
            "{text}: '{words}' is not in: {checked:?}"
        );
        assert!(
            err(&checked).contains("config.yml line 1: "),
            "{text}: {}",
            err(&checked)
        );
        let started = serve(&path);
        assert_eq!(err(&checked), err(&started), "{text}");
        assert!(
            !started.status.success() && inside(directory) == before,
            "{text} changed something"
        );
    }
}

#[test]
fn a_usable_configuration_is_valid_and_creates_nothing() {
    let temporary = prepared();
    let directory = temporary.path();
    for (text, note) in [
        ("storage: {filesystem: {rootdirectory: DIR/a/b/c}}", None),
        ("auth: {htpasswd: {realm: a, path: DIR/users}}", None),
        (
            "auth: {htpasswd: {realm: a, path: DIR/none}}",
            Some("the server will create it with the user docker"),
        ),
        (
            "http: {tls: {certificate: DIR/cert.pem, key: DIR/key.pem, clientcas: [DIR/ca.pem]}}",
            None,
        ),
        (
            "http: {tls: {certificate: DIR/old.pem, key: DIR/oldkey.pem}}",
            Some("clients will reject the certificate"),
        ),
        (
            "http: {tls: {letsencrypt: {cachefile: DIR/cache, hosts: [a.example]}}}",
            None,
        ),
        (
            "auth: {token: {realm: a, service: b, issuer: c, rootcertbundle: DIR/ca.pem}}",
            None,
        ),
        (
            "http: {debug: {prometheus: {enabled: true}}}",
            Some("http.debug.prometheus.enabled has no effect"),
        ),
        (
            "http: {debug: {addr: 'localhost:0', prometheus: {path: /m}}}",
            Some("http.debug.prometheus.path has no effect"),
        ),
        (
            "http: {debug: {addr: 'localhost:0', prometheus: {enabled: true, path: m}}}",
            None,
        ),
        (
            "storage: {startempty: true, filesystem: {rootdirectory: DIR/theirs}}",
            Some("stay untouched"),
        ),
        (
            "storage: {filesystem: {rootdirectory: DIR/theirs}}",
            Some("the first start takes it over"),
        ),
    ] {
        let path = write(directory, text);
        let before = inside(directory);
        let checked = run(&["check", &path], &[]);
        let printed = String::from_utf8_lossy(&checked.stdout);
        assert!(
            checked.status.success() && err(&checked).is_empty(),
            "{text}: {checked:?}"
        );
        let notes: Vec<_> = printed
            .lines()
            .filter_map(|line| line.strip_prefix("note: "))
            .collect();
        assert!(
            notes.len() == usize::from(note.is_some())
                && notes
                    .iter()
                    .all(|line| line.contains(note.unwrap_or_default())),
            "{text}: {printed}"
        );
        assert_eq!(inside(directory), before, "{text} changed something");
    }
}

const MUCH: &str = "\
version: 0.1
http:
  adr: :5000
  host: 'ftp://nowhere'
  prefix: 'a b'
  limits: {idle: 0s, header: 0s}
  tls:
    certificate: DIR/none.pem
    key: DIR/nothing.pem
    clientcas: [DIR/nothing.pem]
auth:
  htpasswd: {realm: a, path: DIR/badusers}
storage:
  delete: {enabled: perhaps}
policies:
- repositories: '['
- repositories: b
  tags:
  - match: [a]
health:
  http:
  - uri: a
  - uri: https://ok.example
    intervall: 1s
  tcp:
  - timeout: -5
";

/// Unknown keys, invalid values and invalid files are reported in the order of the file.
#[test]
fn all_errors_are_reported_at_once() {
    let temporary = prepared();
    let path = write(temporary.path(), MUCH);
    let checked = run(&["check", &path], &[("REGISTRY_LOG_LEVEL", "loud")]);
    let printed = err(&checked);
    let expected = [
        (3, "unknown key http.adr"),
        (4, "http.host"),
        (5, "http.prefix"),
        (6, "http.limits.header"),
        (6, "http.limits.idle"),
        (8, "cannot read the certificate"),
        (10, "authority of clients"),
        (12, "badusers cannot be used"),
        (14, "storage.delete.enabled"),
        (16, "in policies"),
        (19, "has no condition"),
        (24, "unknown key health.http[1].intervall"),
        (26, "health.tcp[0].timeout is -5 without a unit"),
        (26, "health.tcp[0].addr is missing"),
    ];
    let lines: Vec<_> = printed.lines().collect();
    for (line, (number, words)) in lines.iter().zip(expected) {
        assert!(
            line.contains(&format!("config.yml line {number}: ")) && line.contains(words),
            "'{words}' is not line {number}:\n{printed}"
        );
    }
    assert_eq!(lines.len(), expected.len() + 1, "{printed}");
    assert!(
        lines[expected.len()].starts_with("registry: the variable REGISTRY_LOG_LEVEL: "),
        "{printed}"
    );
    // consequences of an error are not reported beside it
    let path = write(
        temporary.path(),
        "http:\n  tls:\n    certificate: DIR/cert.pem\n    kei: DIR/key.pem\n",
    );
    let printed = err(&run(&["check", &path], &[]));
    assert!(
        printed.lines().count() == 1 && printed.contains("did you mean http.tls.key?"),
        "{printed}"
    );
}

#[test]
fn json_output_has_the_same_errors() {
    let temporary = prepared();
    let path = write(temporary.path(), "http:\n  adr: a\n  host: ftp://nowhere\n");
    let checked = run(
        &["check", "--output", "json", &path],
        &[("REGISTRY_LOG_LEVEL", "loud")],
    );
    let printed: serde_json::Value = serde_json::from_slice(&checked.stdout).expect("JSON");
    assert!(
        !checked.status.success() && checked.stderr.is_empty() && printed["valid"] == false,
        "{checked:?}"
    );
    let places: Vec<_> = printed["problems"]
        .as_array()
        .expect("a list")
        .iter()
        .map(|problem| (&problem["key"], &problem["line"], &problem["variable"]))
        .collect();
    let (http, host, level) = (
        ("http.adr".into(), 2.into()),
        ("http.host".into(), 3.into()),
        "log.level".into(),
    );
    let null = serde_json::Value::Null;
    assert_eq!(
        places,
        [
            (&http.0, &http.1, &null),
            (&host.0, &host.1, &null),
            (&level, &null, &"REGISTRY_LOG_LEVEL".into())
        ]
    );
    assert_eq!(printed["problems"][0]["file"], path);
    let path = write(
        temporary.path(),
        "auth: {htpasswd: {realm: a, path: DIR/none}}\nhttp: {secret: x}\n",
    );
    let checked = run(&["check", "--output", "json", &path], &[]);
    let printed: serde_json::Value = serde_json::from_slice(&checked.stdout).expect("JSON");
    assert!(
        checked.status.success()
            && printed["valid"] == true
            && printed["problems"] == serde_json::json!([]),
        "{checked:?}"
    );
    assert_eq!(
        printed["notes"].as_array().map(Vec::len),
        Some(2),
        "{printed}"
    );
    let checked = run(&["check", "--output", "json", "/nowhere/config.yml"], &[]);
    let printed: serde_json::Value = serde_json::from_slice(&checked.stdout).expect("JSON");
    assert!(
        !checked.status.success() && printed["problems"][0]["file"] == "/nowhere/config.yml",
        "{printed}"
    );
}
