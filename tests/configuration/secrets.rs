//! Secrets never appear where a configuration is printed.

use super::command::{run, written};
use crate::support::{Server, eventually};

/// Every place that may hold a secret contains `hidden`.
const FULL: &str = "\
http:
  secret: hidden
  host: https://registry.example.com
  headers:
    Authorization: [Bearer hidden]
    Set-Cookie: ['a=hidden']
    X-Auth-Token: [hidden, hidden]
    X-Api-Key: hidden
    X-Client-Secret: [hidden]
    X-Content-Type-Options: [nosniff]
  tls:
    letsencrypt: {cachefile: /tmp/none, hosts: [a.example], directoryurl: 'https://u:hidden@acme.example/directory?key=hidden'}
auth:
  token:
    realm: 'https://joe:hidden@auth.example/token?account=hidden#hidden'
    service: a
    issuer: 'https://hidden@issuer.example'
    jwks: 'https://u:hidden@auth.example/jwks?hidden'
log:
  fields: {service: registry, token: hidden, db_password: hidden}
health:
  http:
  - uri: 'https://joe:hidden@example.com/?token=hidden'
    headers: {Accept: [hidden], Cookie: [hidden], X-Any: [hidden]}
  tcp:
  - addr: example.com:5000
proxy: {username: joe, password: hidden}
";

#[test]
fn show_hides_secrets() {
    let (_temporary, path) = written(FULL);
    for format in ["text", "json"] {
        let output = run(&["show", "--output", format, &path], &[]);
        let printed = String::from_utf8_lossy(&output.stdout);
        assert!(
            output.status.success() && !printed.contains("hidden"),
            "{printed}"
        );
        for shown in [
            "https://registry.example.com",
            "https://(secret)@acme.example/directory?(secret)",
            "https://(secret)@auth.example/token?(secret)",
            "https://(secret)@issuer.example",
            "https://(secret)@example.com/?(secret)",
            "nosniff",
            "X-Any",
            "service",
        ] {
            assert!(printed.contains(shown), "{shown} is not in {printed}");
        }
    }
}

/// Any text key whose value is a URL is shown without its secrets.
#[test]
fn urls_are_shown_without_their_secrets() {
    use tarkeep::config::keys::{Kind, Status, all};
    for key in all().iter().filter(|key| {
        key.status == Status::Supported && matches!(key.kind, Kind::Text | Kind::Url | Kind::Secret)
    }) {
        let (mut text, mut indent) = (String::new(), String::new());
        let mut parts = key.path.split('.').peekable();
        while let Some(part) = parts.next() {
            let value = if parts.peek().is_none() {
                " 'https://joe:hidden@example.com/?token=hidden'"
            } else {
                ""
            };
            text += &format!("{indent}{}:{value}\n", part.trim_end_matches("[]"));
            indent = format!(
                "{} {}",
                indent.replace('-', " "),
                if part.ends_with("[]") { "- " } else { "" }
            );
        }
        let (_temporary, path) = written(&text);
        let output = run(&["show", &path], &[]);
        let printed = [output.stdout, output.stderr].concat();
        assert!(
            !String::from_utf8_lossy(&printed).contains("hidden"),
            "{text}{}",
            String::from_utf8_lossy(&printed)
        );
    }
}

/// Each value is invalid or misplaced.
#[test]
fn errors_do_not_repeat_possible_secrets() {
    for text in [
        "http: {host: 'https://joe:hidden@example.com/'}",
        "http: {headers: {X-Token: [\"hidden\\u0001\"]}}",
        "http: {secret: {a: hidden}, adr: hidden}",
        "http: {tls: {letsencrypt: {cachefile: /tmp/none, hosts: [a.example], directoryurl: 'http://u:hidden@acme.example'}}}",
        "health: {http: [{uri: 'htps://u:hidden@example.com/?hidden'}]}",
        "health: {http: [{uri: 'u:hidden@exa mple.com'}]}",
        "health: {http: [{uri: 'http://example.com', headers: {'a b': [hidden]}}]}",
        "health: {http: [{uri: 'http://example.com', headers: {Cookie: \"hidden\\u0001\"}}]}",
        "auth: {token: {realm: hidden, service: a, issuer: b, autoredirectpath: 'https://u:hidden@example.com'}}",
        "auth: {token: {passwort: hidden}}",
        "storage: {s3: {secretkey: hidden, accesskey: hidden}}",
        "storage: {azure: {accountkey: hidden}}",
        "proxy: {remoteurl: 'https://u:hidden@example.com'}",
        "notifications: {endpoints: [{name: a, url: 'https://u:hidden@exa mple.com', headers: {Authorization: [hidden]}}]}",
        "webhooks: [{name: a, url: 'http://x/hidden', hmac: {file: /nowhere}, headers: {X-A: [\"hidden\\u0001\"]}}]",
        "reporting: {bugsnag: {apikey: hidden}}",
        "log: {hooks: [{type: mail, options: {smtp: {password: hidden}}}]}",
        "http: {secret: \"hidden\n",
        "http: {secret: 'hidden', host: [hidden}",
        "http: {secret: *hidden}",
        "http: {secret: hidden\nhidden: {{hidden\n",
    ] {
        let (_temporary, path) = written(text);
        let output = run(&["check", &path], &[]);
        let printed = String::from_utf8_lossy(&output.stderr);
        assert!(
            !output.status.success() && !printed.contains("hidden"),
            "{text}: {printed}"
        );
    }
    for (name, value) in [
        ("REGISTRY_HTTP_HOST", "https://joe:hidden@example.com/"),
        ("REGISTRY_HTTP_SECRET_X", "hidden"),
        ("REGISTRY_HTTP_SECRETS", "hidden"),
        ("REGISTRY_HTTP", "hidden"),
        ("REGISTRY_HTTP", "{secret: [hidden"),
        ("REGISTRY_HTTP", "{secrets: hidden}"),
        ("REGISTRY_AUTH_TOKEN", "hidden"),
        ("REGISTRY_AUTH_TOKEN_SECRET", "hidden"),
        ("REGISTRY_AUTH_HTPASSWD_PASSWORD", "hidden"),
        ("REGISTRY_HEALTH_HTTP_0_URI", "u:hidden@example.com"),
        ("REGISTRY_HEALTH_HTTP", "[{uri: 'u:hidden@example.com'}]"),
        ("REGISTRY_PROXY_PASSWORD", "hidden"),
        ("REGISTRY_SECRET", "hidden"),
    ] {
        let output = run(&["check"], &[(name, value)]);
        let printed = [output.stdout, output.stderr].concat();
        assert!(
            !String::from_utf8_lossy(&printed).contains("hidden"),
            "{name}={value}: {}",
            String::from_utf8_lossy(&printed)
        );
    }
}

#[test]
fn notes_do_not_repeat_possible_secrets() {
    for text in [
        "http: {host: 'joe:hidden@example.com'}",
        "redis: {password: hidden}",
        "middleware: {storage: [{name: cloudfront, options: {privatekey: hidden}}]}",
        "compatibility: {schema1: {signingkeyfile: hidden}}",
        "reporting: {newrelic: {name: hidden}}",
    ] {
        let (_temporary, path) = written(text);
        let output = run(&["check", &path], &[]);
        let printed = [&*output.stdout, &*output.stderr].concat();
        let printed = String::from_utf8_lossy(&printed);
        assert!(
            output.status.success()
                && printed.contains("has no effect")
                && !printed.contains("hidden"),
            "{text}: {printed}"
        );
    }
}

#[test]
fn the_log_contains_no_secrets() {
    let checks = "[{uri: 'http://joe:hidden@127.0.0.1:1/?token=hidden', interval: 5ms, headers: {Cookie: [hidden]}}, \
                   {uri: 'http://ann:hidden@127.0.0.1:1/?token=hidden', interval: 5ms}]";
    let server = Server::with(&[
        ("REGISTRY_HEALTH_HTTP", checks),
        ("REGISTRY_HTTP_SECRET", "hidden"),
        ("REGISTRY_HTTP_HEADERS_X-AUTH-TOKEN", "hidden"),
        ("REGISTRY_HTTP_DEBUG_ADDR", "127.0.0.1:0"),
        ("REGISTRY_LOG_LEVEL", "debug"),
    ]);
    let log = || server.log();
    eventually("both checks fail", || {
        log().matches("ERROR health check failed").count() == 2
    });
    server.hang_up();
    eventually("the configuration is read again", || {
        log().contains("configuration reloaded")
    });
    let printed = log();
    let debug = printed
        .lines()
        .find(|line| line.contains("debug port listening"))
        .expect("a line");
    let address = debug.rsplit('=').next().expect("an address");
    let answer = crate::support::Client::new(address).get("/debug/health");
    let names: Vec<_> = answer
        .json()
        .as_object()
        .expect("an object")
        .keys()
        .cloned()
        .collect();
    assert_eq!(
        names,
        [
            "http://(secret)@127.0.0.1:1/?(secret)",
            "http://(secret)@127.0.0.1:1/?(secret) (2)"
        ]
    );
    let metrics = crate::support::Client::new(address).get("/metrics");
    for text in [
        &*printed,
        &*String::from_utf8_lossy(&answer.body),
        &*String::from_utf8_lossy(&metrics.body),
    ] {
        assert!(!text.contains("hidden"), "{text}");
    }
}
