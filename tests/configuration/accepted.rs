//! Configurations that lose nothing here start, and one line of the log says what differs.

use crate::support::Server;
use crate::wire::pki::Authority;

/// Variables of a start, each with the words of the one line that they cause.
const ACCEPTED: &[(&str, &str, &str)] = &[
    (
        "REGISTRY_COMPATIBILITY",
        "{schema1: {enabled: true, signingkeyfile: /key.pem}}",
        "compatibility has no effect",
    ),
    (
        "REGISTRY_REDIS",
        "{addr: 'redis:6379', password: hidden, db: 0, pool: {maxidle: 16}}",
        "redis has no effect",
    ),
    (
        "REGISTRY_REDIS_ADDRS",
        "['redis:6379']",
        "redis has no effect",
    ),
    (
        "REGISTRY_MIDDLEWARE_STORAGE",
        "[{name: cloudfront, options: {baseurl: 'https://cdn.example.com', privatekey: hidden}}]",
        "middleware.storage has no effect",
    ),
    (
        "REGISTRY_REPORTING",
        "{bugsnag: {apikey: '', releasestage: a}}",
        "reporting.bugsnag.releasestage has no effect",
    ),
    (
        "REGISTRY_HTTP_HOST",
        "registry.example.com",
        "http.host has no effect",
    ),
    (
        "REGISTRY_HTTP_DRAINTIMEOUT",
        "60",
        "http.draintimeout is 60 nanoseconds",
    ),
    (
        "REGISTRY_AUTH_TOKEN_SIGNINGALGORITHMS",
        "[ES256, ES512]",
        "ES512 is ignored",
    ),
    (
        "REGISTRY_HTTP_TLS_MINIMUMTLS",
        "tls1.0",
        "the lowest version here is tls1.2",
    ),
    (
        "REGISTRY_HTTP_TLS_CIPHERSUITES",
        "[TLS_RSA_WITH_AES_128_CBC_SHA, TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256]",
        "are weak and not offered",
    ),
    (
        "REGISTRY_HTTP_TLS_LETSENCRYPT_EMAIL",
        "joe@example.com",
        "letsencrypt has no effect without cachefile",
    ),
];

#[test]
fn what_loses_nothing_is_accepted_with_one_line() {
    let files = tempfile::TempDir::new().expect("a directory");
    let authority = Authority::new("an authority");
    authority.issue(&["localhost"]).write(files.path());
    std::fs::write(files.path().join("ca.pem"), authority.pem()).expect("a file");
    let path = |name: &str| files.path().join(name).display().to_string();
    let (certificate, key, bundle) = (path("cert.pem"), path("key.pem"), path("ca.pem"));
    let token = format!("{{realm: a, service: b, issuer: c, rootcertbundle: {bundle}}}");
    for (name, value, words) in ACCEPTED {
        let mut environment = vec![(*name, *value)];
        if name.starts_with("REGISTRY_HTTP_TLS") {
            environment.push(("REGISTRY_HTTP_TLS_CERTIFICATE", &certificate));
            environment.push(("REGISTRY_HTTP_TLS_KEY", &key));
        }
        if name.starts_with("REGISTRY_AUTH_TOKEN") {
            environment.push(("REGISTRY_AUTH_TOKEN", &token));
        }
        let server = Server::with(&environment);
        let log = server.log();
        let lines: Vec<_> = log.lines().filter(|line| line.contains("WARN")).collect();
        assert!(
            matches!(&*lines, [line] if line.contains(words)) && !log.contains("hidden"),
            "{name}: {log}"
        );
    }
}

/// Zero is the default of a check, as in distribution.
#[test]
fn a_check_with_zeros_is_one_with_defaults() {
    let other = Server::start();
    let checks = format!(
        "[{{uri: 'http://{}/v2/', statuscode: 0, timeout: 0, interval: 0, threshold: 0}}]",
        other.address()
    );
    let server = Server::with(&[("REGISTRY_HEALTH_HTTP", &checks)]);
    assert!(!server.log().contains("WARN"), "{}", server.log());
    assert_eq!(server.client().get("/v2/").status, 200);
}

#[test]
fn broken_yaml_in_a_variable_is_named() {
    for (name, value) in [
        ("REGISTRY_HTTP_HEADERS_Access-Control-Allow-Origin", "['*'"),
        ("REGISTRY_HTTP_TLS_CLIENTCAS", "[/a"),
        ("REGISTRY_LOG_FIELDS", "{a: b"),
        ("REGISTRY_REDIS_ADDRS", "['a:1'"),
    ] {
        let output = std::process::Command::new(env!("CARGO_BIN_EXE_registry"))
            .args(["serve", "--addr", "127.0.0.1:0"])
            .env_clear()
            .env(name, value)
            .output()
            .expect("the command runs");
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(
            !output.status.success()
                && said.contains(&format!("the variable {name}: its value is not YAML"))
                && said.lines().count() == 1,
            "{said}"
        );
    }
}
