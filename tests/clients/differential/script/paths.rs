//! Every method on every route, and paths that are nearly one.

use super::builder::{METHODS, Script};
use crate::support::content::sha256;

pub fn add(script: &mut Script) {
    let digest = sha256(b"never pushed");
    let id = "6ba7b810-9dad-41d1-80b4-00c04fd430c8";
    let routes = [
        ("root", "/".to_owned()),
        ("v1", "/v1/".to_owned()),
        ("v1-ping", "/v1/_ping".to_owned()),
        ("v1-search", "/v1/search?q=a".to_owned()),
        ("v2-bare", "/v2".to_owned()),
        ("v2", "/v2/".to_owned()),
        ("catalog", "/v2/_catalog".to_owned()),
        ("repository", "/v2/absent/app".to_owned()),
        ("tags", "/v2/absent/app/tags/list".to_owned()),
        ("tag", "/v2/absent/app/manifests/v1".to_owned()),
        ("digest", format!("/v2/absent/app/manifests/{digest}")),
        ("blob", format!("/v2/absent/app/blobs/{digest}")),
        ("session", format!("/v2/absent/app/blobs/uploads/{id}")),
        ("referrers", format!("/v2/absent/app/referrers/{digest}")),
        ("favicon", "/favicon.ico".to_owned()),
    ];
    for (route, path) in &routes {
        for method in METHODS {
            script.ask(&format!("{route}-{}", method.to_lowercase()), method, path);
        }
    }
    // the rest of its methods belongs to the uploads
    for method in METHODS.iter().filter(|method| **method != "POST") {
        script.ask(
            &format!("uploads-{}", method.to_lowercase()),
            method,
            "/v2/absent/app/blobs/uploads/",
        );
        script.ask(
            &format!("uploads-bare-{}", method.to_lowercase()),
            method,
            "/v2/absent/app/blobs/uploads",
        );
    }
    near_misses(script, &digest);
}

/// Paths that are nearly an endpoint's.
const NEAR_MISSES: &[(&str, &str)] = &[
    ("v2-twice-slash", "/v2//"),
    ("slash-v2", "//v2/"),
    ("slashes", "///"),
    ("v2-dot", "/v2/."),
    ("v2-dots", "/v2/../v2/"),
    ("v2-query", "/v2/?a=b"),
    ("v2-fragment", "/v2/#a"),
    ("v2-question", "/v2/?"),
    ("v2-upper", "/V2/"),
    ("v2-encoded", "/%76%32/"),
    ("v2-encoded-slash", "/v2%2f"),
    ("v2-encoded-slash-after", "/v2/%2f"),
    ("v3", "/v3/"),
    ("catalog-slash", "/v2/_catalog/"),
    ("catalog-twice-slash", "/v2//_catalog"),
    ("catalog-encoded", "/v2/%5fcatalog"),
    ("catalog-below", "/v2/_catalog/app"),
    ("catalog-of-repository", "/v2/absent/app/_catalog"),
    ("tags-slash", "/v2/absent/app/tags/list/"),
    ("tags-only", "/v2/absent/app/tags"),
    ("tags-only-slash", "/v2/absent/app/tags/"),
    ("tags-of-nothing", "/v2/tags/list"),
    ("tags-of-slash", "/v2//tags/list"),
    ("tags-other", "/v2/absent/app/tags/v1"),
    ("manifests-only", "/v2/absent/app/manifests"),
    ("manifests-slash", "/v2/absent/app/manifests/"),
    ("manifest-slash", "/v2/absent/app/manifests/v1/"),
    ("manifest-below", "/v2/absent/app/manifests/v1/x"),
    ("manifest-of-nothing", "/v2/manifests/v1"),
    ("blobs-only", "/v2/absent/app/blobs"),
    ("blobs-slash", "/v2/absent/app/blobs/"),
    ("repository-slash", "/v2/absent/app/"),
    ("repository-dot", "/v2/absent/./app/tags/list"),
    ("repository-dots", "/v2/absent/../app/tags/list"),
    ("repository-up", "/v2/../../../etc/passwd"),
    ("repository-up-encoded", "/v2/%2e%2e/%2e%2e/etc/passwd"),
    ("repository-up-backslash", "/v2/..\\..\\etc/tags/list"),
    ("repository-twice-slash", "/v2/absent//app/tags/list"),
    ("repository-encoded-slash", "/v2/absent%2fapp/tags/list"),
    (
        "repository-encoded-slash-upper",
        "/v2/absent%2Fapp/manifests/v1",
    ),
    ("repository-double-encoded", "/v2/absent%252fapp/tags/list"),
    ("repository-nul", "/v2/absent%00/tags/list"),
    ("repository-newline", "/v2/absent%0a/tags/list"),
    ("repository-not-utf8", "/v2/absent%ff/tags/list"),
    ("repository-half-encoded", "/v2/absent%2/tags/list"),
    ("repository-not-encoded", "/v2/absent%zz/tags/list"),
    (
        "repository-like-routes",
        "/v2/blobs/uploads/manifests/tags/list",
    ),
    ("debug-health", "/debug/health"),
    ("debug-pprof", "/debug/pprof/"),
    ("debug-vars", "/debug/vars"),
    ("robots", "/robots.txt"),
    ("well-known", "/.well-known/acme-challenge/x"),
    ("token", "/token?service=x"),
    ("v1-images", "/v1/images/0123456789/json"),
    ("v1-repositories", "/v1/repositories/a/tags"),
    ("v1-users", "/v1/users/"),
];

fn near_misses(script: &mut Script, digest: &str) {
    let encoded = digest.replace(':', "%3A");
    let blob = format!("/v2/absent/app/blobs/{digest}");
    for (name, path) in NEAR_MISSES {
        script.get(name, *path);
    }
    for (name, path) in [
        ("blob-slash", format!("{blob}/")),
        ("blob-query", format!("{blob}?a=b&c")),
        ("blob-encoded", format!("/v2/absent/app/blobs/{encoded}")),
        ("blob-of-nothing", format!("/v2/blobs/{digest}")),
        (
            "manifest-encoded",
            format!("/v2/absent/app/manifests/{encoded}"),
        ),
        ("sessions", format!("/v2/absent/app/blobs/uploads/{digest}")),
        ("referrers-tag", "/v2/absent/app/referrers/v1".to_owned()),
        ("long", format!("/v2/{}", "a/".repeat(4000))),
    ] {
        script.get(name, path);
    }
    script.ask("options-any", "OPTIONS", "*");
    script.get("absolute", "http://elsewhere.example/v2/");
    script.get("absolute-https", "https://elsewhere.example/v2/_catalog");
    script.ask("connect", "CONNECT", "elsewhere.example:443");
    script.ask("trace", "TRACE", "/v2/");
    script.ask("method-lower", "get", "/v2/");
    script.ask("method-long", &"M".repeat(40), "/v2/");
}
