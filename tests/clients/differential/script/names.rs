//! Repository names, good and odd, on the routes that take one.

use super::Script;
use crate::support::content::sha256;

pub fn add(script: &mut Script) {
    let blob = sha256(b"never pushed");
    for (name, repository) in [
        ("one", "a".to_owned()),
        ("digits", "0".to_owned()),
        ("deep", vec!["a"; 60].join("/")),
        ("longest", "a".repeat(255)),
        ("too-long", "a".repeat(256)),
        ("far-too-long", "a".repeat(3000)),
        ("too-long-deep", vec!["a"; 129].join("/")),
        ("dots", "a.b".to_owned()),
        ("two-dots", "a..b".to_owned()),
        ("underscore", "a_b".to_owned()),
        ("two-underscores", "a__b".to_owned()),
        ("three-underscores", "a___b".to_owned()),
        ("dashes", "a---b".to_owned()),
        ("mixed", "a-._b".to_owned()),
        ("leading-dash", "-a".to_owned()),
        ("trailing-dash", "a-".to_owned()),
        ("leading-underscore", "_a".to_owned()),
        ("trailing-dot", "a.".to_owned()),
        ("upper", "Team/App".to_owned()),
        ("colon", "host:5000/app".to_owned()),
        ("host", "docker.io/library/alpine".to_owned()),
        ("at", "a@b".to_owned()),
        ("space", "a%20b".to_owned()),
        ("plus", "a+b".to_owned()),
        ("tilde", "~a".to_owned()),
        ("unicode", "%C3%A4".to_owned()),
        ("unicode-bare", "ä".to_owned()),
        ("percent", "a%25b".to_owned()),
        ("quote", "a'b".to_owned()),
        ("markup", "%3Cscript%3E".to_owned()),
        ("catalog", "_catalog".to_owned()),
        ("manifests", "manifests".to_owned()),
        ("blobs", "blobs".to_owned()),
        ("uploads", "a/blobs/uploads".to_owned()),
        ("v2", "v2".to_owned()),
    ] {
        script.get(
            &format!("{name}-tags"),
            format!("/v2/{repository}/tags/list"),
        );
        script.get(
            &format!("{name}-manifest"),
            format!("/v2/{repository}/manifests/v1"),
        );
        script.get(
            &format!("{name}-blob"),
            format!("/v2/{repository}/blobs/{blob}"),
        );
        script.ask(
            &format!("{name}-post"),
            "POST",
            format!("/v2/{repository}/blobs/uploads/"),
        );
    }
}
