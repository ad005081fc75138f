//! Every route, by those who may and those who may not.

use std::sync::atomic::{AtomicU8, Ordering};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use super::builder::{METHODS, Script, Step};
use super::manifests;
use crate::support::content::{OCI_MANIFEST, sha256};

/// The one user there is, and the password.
pub const USER: &str = "alice:wonderland";

fn basic(credentials: &str) -> String {
    format!("Basic {}", STANDARD.encode(credentials))
}

/// Whoever guesses often from one address has to wait: each guess has one of its own, told by a proxy that is believed.
fn guess(step: &mut Step, authorization: &str) {
    static GUESSES: AtomicU8 = AtomicU8::new(0);
    let address = format!("198.51.100.{}", GUESSES.fetch_add(1, Ordering::Relaxed));
    step.header("Authorization", authorization)
        .header("X-Forwarded-For", &address);
}

pub fn add(script: &mut Script) {
    let absent = sha256(b"never pushed");
    let routes = [
        ("root", "/".to_owned()),
        ("v2", "/v2/".to_owned()),
        ("v2-bare", "/v2".to_owned()),
        ("catalog", "/v2/_catalog".to_owned()),
        ("tags", "/v2/in/app/tags/list".to_owned()),
        ("manifest", "/v2/in/app/manifests/v1".to_owned()),
        ("blob", format!("/v2/in/app/blobs/{absent}")),
        ("uploads", "/v2/in/app/blobs/uploads/".to_owned()),
        (
            "mount",
            format!("/v2/in/app/blobs/uploads/?mount={absent}&from=in/other"),
        ),
        (
            "session",
            "/v2/in/app/blobs/uploads/6ba7b810-9dad-41d1-80b4-00c04fd430c8".to_owned(),
        ),
        ("odd-name", "/v2/IN/app/manifests/v1".to_owned()),
        ("unknown", "/v2/in/app/unknown".to_owned()),
        ("outside", "/outside".to_owned()),
    ];
    for (route, path) in &routes {
        for method in METHODS {
            let name = format!("{route}-{}", method.to_lowercase());
            script.ask(&format!("{name}-nobody"), method, path);
            if *method == "GET" {
                guess(
                    script.ask(&format!("{name}-wrong"), method, path),
                    &basic("alice:looking-glass"),
                );
            }
            script
                .ask(&format!("{name}-user"), method, path)
                .header("Authorization", &basic(USER));
        }
    }
    credentials(script);
    let start = script.steps().len();
    manifests::content(script, "in/app");
    script.manifest(
        "push",
        "in/app",
        "v1",
        OCI_MANIFEST,
        manifests::oci().to_string().as_bytes(),
    );
    script
        .get("pull", "/v2/in/app/manifests/v1")
        .header("Accept", OCI_MANIFEST);
    script.get("list", "/v2/_catalog");
    script.authorize_from(start, &basic(USER));
}

/// Adds a request for each form of the Authorization header.
fn credentials(script: &mut Script) {
    for (name, value) in [
        ("unknown-user", basic("mallory:wonderland")),
        ("empty-password", basic("alice:")),
        ("empty-user", basic(":wonderland")),
        ("empty-both", basic(":")),
        ("no-colon", basic("alice")),
        ("colon-in-password", basic("alice:wonderland:")),
        (
            "long-password",
            basic(&format!("alice:{}", "x".repeat(200))),
        ),
        ("other-case", basic("ALICE:wonderland")),
        ("not-utf8", "Basic /////w==".to_owned()),
        ("not-base64", "Basic !!!!".to_owned()),
        (
            "unpadded",
            format!("Basic {}", STANDARD.encode(USER).trim_end_matches('=')),
        ),
        ("lower-scheme", basic(USER).replace("Basic", "basic")),
        ("two-spaces", basic(USER).replace(' ', "  ")),
        ("no-credentials", "Basic".to_owned()),
        ("empty", String::new()),
        ("bearer", "Bearer abc.def.ghi".to_owned()),
        ("digest", "Digest username=\"alice\"".to_owned()),
        ("nonsense", "nonsense".to_owned()),
    ] {
        guess(script.get(&format!("header-{name}"), "/v2/"), &value);
    }
    script
        .get("header-twice", "/v2/")
        .header("Authorization", "Basic !!!!")
        .header("Authorization", &basic(USER));
}
