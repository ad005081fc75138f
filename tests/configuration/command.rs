//! `registry config check` and `show`.

use std::process::{Command, Output};

pub fn run(arguments: &[&str], variables: &[(&str, &str)]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_registry"));
    for (name, _) in std::env::vars().filter(|(name, _)| name.starts_with("REGISTRY_")) {
        command.env_remove(name);
    }
    command
        .arg("config")
        .args(arguments)
        .envs(variables.iter().copied())
        .output()
        .expect("the command runs")
}

/// Prefixes the version line, without adding a line.
pub fn whole(text: &str) -> String {
    match text.strip_prefix('{') {
        _ if text.contains("version") || text.starts_with('-') => text.to_owned(),
        Some(rest) => format!("{{\"version\": 0.1, {rest}"),
        None => format!("{text}\nversion: 0.1\n"),
    }
}

pub fn written(text: &str) -> (tempfile::TempDir, String) {
    let temporary = tempfile::TempDir::new().expect("a directory");
    let path = temporary.path().join("config.yml");
    std::fs::write(&path, whole(text)).expect("a file");
    (temporary, path.display().to_string())
}

#[test]
fn a_check_reports_every_error_on_its_own_line() {
    let (_temporary, path) =
        written("http:\n  adr: :5000\nstorage:\n  s3: {bucket: b}\nlog:\n  level: loud\n");
    let output = run(&["check", &path], &[("REGISTRY_HTTP_NET", "udp")]);
    let printed = String::from_utf8_lossy(&output.stderr);
    assert!(
        !output.status.success() && output.stdout.is_empty(),
        "{output:?}"
    );
    let lines: Vec<_> = printed.lines().collect();
    assert_eq!(lines.len(), 4, "{printed}");
    for (line, words) in lines.iter().zip([
        format!("{path} line 2: unknown key http.adr"),
        format!("{path} line 4: storage.s3"),
        format!("{path} line 6: log.level"),
        "the variable REGISTRY_HTTP_NET".to_owned(),
    ]) {
        assert!(line.contains(&words), "{words} is not in {line}");
    }
}

#[test]
fn a_check_reports_keys_without_effect() {
    let (_temporary, path) = written(
        "version: 0.1\nstorage:\n  cache: {blobdescriptor: inmemory}\n  filesystem: {maxthreads: 100}\n",
    );
    let output = run(&["check", &path], &[]);
    let printed = String::from_utf8_lossy(&output.stdout);
    assert!(
        output.status.success() && output.stderr.is_empty(),
        "{output:?}"
    );
    assert_eq!(printed.lines().count(), 3, "{printed}");
    assert!(
        printed.contains("note: storage.cache.blobdescriptor")
            && printed.contains(&format!("{path} line 4")),
        "{printed}"
    );
    // rules that other parts of the server check
    let (_temporary, path) = written("policies: [{repositories: '['}]\n");
    assert!(!run(&["check", &path], &[]).status.success());
}

#[test]
fn show_names_the_origin_of_each_value() {
    let (_temporary, path) = written("version: 0.1\nhttp:\n  addr: :5000\n  secret: hidden\n");
    let variables = [
        ("REGISTRY_CONFIGURATION_PATH", &*path),
        ("REGISTRY_LOG_LEVEL", "warn"),
    ];
    let output = run(&["show"], &variables);
    let printed = String::from_utf8_lossy(&output.stdout);
    assert!(
        printed.contains(&format!("addr: \":5000\"  # {path} line 3")),
        "{printed}"
    );
    assert!(
        printed.contains("level: warn  # variable REGISTRY_LOG_LEVEL")
            && printed.contains("net: tcp  # default"),
        "{printed}"
    );
    assert!(!printed.contains("hidden"), "{printed}");
    // settings that exist only outside the file are shown too
    for line in [
        "  # trustedproxies: none  # default",
        "  # relativeurls: true unless http.host is given  # default",
        "auth: none  # default",
    ] {
        assert!(
            printed.lines().any(|shown| shown == line),
            "'{line}' is not in {printed}"
        );
    }
    assert!(!printed.contains("minimumtls"), "{printed}");
    let (_encrypted, encrypted) = written(
        "version: 0.1\nhttp: {tls: {certificate: a, key: b}}\nauth: {silly: {realm: a, service: b}}\n",
    );
    let shown = run(&["show", &encrypted], &[]);
    let shown = String::from_utf8_lossy(&shown.stdout);
    assert!(
        shown.contains("    # minimumtls: tls1.2  # default") && !shown.contains("auth: none"),
        "{shown}"
    );
    let output = run(&["show", "--output", "json"], &variables);
    let printed: serde_json::Value = serde_json::from_slice(&output.stdout).expect("JSON");
    assert_eq!(
        (
            &printed["config"]["http"]["addr"],
            &printed["origins"]["log.level"]
        ),
        (&":5000".into(), &"variable REGISTRY_LOG_LEVEL".into())
    );
    assert_eq!(
        (
            &printed["config"]["auth"],
            &printed["origins"]["http.trustedproxies"]
        ),
        (&"none".into(), &"default: none".into())
    );
}

/// Distribution accepts both.
#[test]
fn every_spelling_of_version_prints_it() {
    for flag in ["--version", "-v", "-V"] {
        let output = Command::new(env!("CARGO_BIN_EXE_registry"))
            .arg(flag)
            .output()
            .expect("the command runs");
        let printed = String::from_utf8_lossy(&output.stdout);
        assert!(
            output.status.success()
                && printed == format!("registry {}\n", env!("CARGO_PKG_VERSION")),
            "{flag}: {output:?}"
        );
    }
}

/// `show` and `check` take the flags of `serve`, and judge what a server would take.
#[test]
fn flags_of_the_server_count() {
    let (_temporary, path) = written("http: {net: unix, addr: /run/registry.sock}\n");
    let flags = ["--addr", "127.0.0.1:5005", "--data-dir", "/tmp/some/data"];
    let output = run(&[&["show", &path][..], &flags].concat(), &[]);
    let shown = String::from_utf8_lossy(&output.stdout);
    for line in [
        "addr: \"127.0.0.1:5005\"  # flag --addr",
        "net: tcp  # flag --addr",
        "rootdirectory: /tmp/some/data  # flag --data-dir",
    ] {
        assert!(shown.contains(line), "{line} is not in {shown}");
    }
    let output = run(&["show", "--addr", ":5006", "-o", "json"], &[]);
    let shown: serde_json::Value = serde_json::from_slice(&output.stdout).expect("JSON");
    assert_eq!(shown["config"]["http"]["addr"], ":5006");
    assert_eq!(shown["origins"]["http.addr"], "flag --addr");

    let output = run(&["check", &path, "--addr", "nonsense", "-o", "json"], &[]);
    let problems: serde_json::Value = serde_json::from_slice(&output.stdout).expect("JSON");
    assert_eq!(problems["problems"][0]["flag"], "--addr", "{problems}");
    let output = run(&["check", "--data-dir", "/dev/null"], &[]);
    let sentence = String::from_utf8_lossy(&output.stderr);
    assert!(
        !output.status.success() && sentence.contains("the flag --data-dir: "),
        "{sentence}"
    );
}

#[test]
fn a_right_to_push_without_one_to_pull_is_noted() {
    let rules = |more: &str| {
        format!(
            "auth: {{silly: {{realm: a, service: b}}}}\naccess:\n  rules:\n  - {{repositories: 'team/**', who: 'token:ci', may: create}}\n{more}"
        )
    };
    let (_temporary, path) = written(&rules(""));
    let output = run(&["check", &path], &[]);
    let printed = String::from_utf8_lossy(&output.stdout);
    assert!(
        printed.contains("note: access.rules[0] allows create without pull")
            && printed.contains("write may: [pull, create]"),
        "{printed}"
    );
    let pulling = "  - {repositories: '**', who: anonymous, may: pull}\n";
    let (_temporary, path) = written(&rules(pulling));
    let output = run(&["check", &path], &[]);
    let printed = String::from_utf8_lossy(&output.stdout);
    assert!(!printed.contains("without pull"), "{printed}");
}
