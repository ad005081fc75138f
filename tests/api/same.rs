//! The command on the data directory and the request to the server answer the same.

use super::{answered, openapi, printed};
use crate::cli::push_index;
use crate::support::{Image, Server, sha256};

/// A store with content of every kind, and rules about some of it.
fn store() -> (Server, String) {
    let rules = "[{repositories: 'ruled/**', tags: [{match: ['pr-*'], newest: 1}]}]";
    let server = Server::with(&[
        (
            "REGISTRY_QUOTAS",
            "[{repositories: 'ruled/**', bytes: 1GB}]",
        ),
        ("REGISTRY_POLICIES", rules),
        ("REGISTRY_STORAGE_DELETE_ENABLED", "true"),
    ]);
    let mut client = server.client();
    let index = push_index(&mut client);
    for (seed, tag) in [(3, "pr-1"), (4, "pr-2"), (5, "pr-10"), (5, "gone")] {
        Image::small(seed).push(&mut client, "ruled/app", tag);
    }
    let signature = format!("{}.sig", Image::small(6).digest().replace(':', "-"));
    Image::small(8).push(&mut client, "other", &signature);
    Image::small(6).push(&mut client, "other", "v1");
    Image::small(7).push(&mut client, "other", "v1");
    client.push_blob("ruled/app", b"leased");
    assert_eq!(client.delete("/v2/ruled/app/manifests/gone").status, 202);
    let deleted = format!("/v2/other/manifests/{}", Image::small(8).digest());
    assert_eq!(client.delete(&deleted).status, 202);
    (server, index)
}

#[test]
fn commands_and_routes_answer_the_same() {
    let (server, index) = store();
    let image = Image::small(6).digest();
    let leased = sha256(b"leased");
    for (arguments, path) in [
        ("ls", "repositories".to_owned()),
        (
            "ls --sort size --limit 1000",
            "repositories?sort=size".to_owned(),
        ),
        (
            "ls ruled/**",
            "repositories?repositories=ruled/**".to_owned(),
        ),
        ("ls ruled/app", "tags/ruled/app".to_owned()),
        (
            "ls ruled/app --sort pushed",
            "tags/ruled/app?sort=pushed".to_owned(),
        ),
        ("ls **:pr-*", "tags?repositories=**&tags=pr-*".to_owned()),
        ("ls --untagged", "untagged".to_owned()),
        ("inspect team/app:v1", "manifests/team/app/v1".to_owned()),
        (
            "inspect ruled/app:pr-2",
            "manifests/ruled/app/pr-2".to_owned(),
        ),
        (
            "tag history ruled/app:gone",
            "history/ruled/app/gone".to_owned(),
        ),
        ("tag history other:v1", "history/other/v1".to_owned()),
        ("du ruled/*", "usage?repositories=ruled/*".to_owned()),
        ("du ruled/app", "usage/ruled/app".to_owned()),
        ("why INDEX", format!("why/{index}")),
        ("why IMAGE", format!("why/{image}")),
        ("why LEASED", format!("why/{leased}")),
        ("restore", "trash".to_owned()),
        ("audit --limit 0", "audit?n=1000".to_owned()),
        (
            "audit --repository ruled/**:pr-* --action tag",
            "audit?repository=ruled/**:pr-*&action=tag".to_owned(),
        ),
        ("token ls", "tokens".to_owned()),
        ("token ls --all", "tokens?all=true".to_owned()),
        ("webhook ls", "webhooks".to_owned()),
        ("webhook deliveries", "deliveries".to_owned()),
        ("upstream ls", "upstreams".to_owned()),
        ("quotas", "quotas".to_owned()),
    ] {
        let words: Vec<_> = arguments
            .split(' ')
            .map(|word| match word {
                "INDEX" => &*index,
                "IMAGE" => &*image,
                "LEASED" => &*leased,
                word => word,
            })
            .collect();
        let (printed, answered) = (
            printed(&server, &words),
            answered(&server, &format!("/api/v1/{path}")),
        );
        assert_eq!(printed, answered, "registry {arguments}, /api/v1/{path}");
        let template = match path.split(['/', '?']).collect::<Vec<_>>()[..] {
            [kind @ ("manifests" | "history"), ..] => format!(
                "/{kind}/{{name}}/{{{}}}",
                if kind == "history" {
                    "tag"
                } else {
                    "reference"
                }
            ),
            ["why", ..] => "/why/{digest}".to_owned(),
            [kind, ..] if path.contains('/') && !path.starts_with(&format!("{kind}?")) => {
                format!("/{kind}/{{name}}")
            }
            [kind, ..] => format!("/{kind}"),
            [] => String::new(),
        };
        openapi::check(&server, &template, &format!("/api/v1/{path}"));
    }
    for path in [
        "usage",
        "audit",
        "tokens",
        "webhooks",
        "deliveries",
        "upstreams",
        "quotas",
    ] {
        openapi::check(&server, &format!("/{path}"), &format!("/api/v1/{path}"));
    }
    openapi::check(&server, "/tags/{name}", "/api/v1/tags/none");
}

/// What the disk has free, and the size of the log, change all the time.
#[test]
fn the_usage_of_the_whole_store_is_the_same() {
    let (server, _) = store();
    let [mut printed, mut answered] = [
        printed(&server, &["du"]),
        answered(&server, "/api/v1/usage"),
    ];
    for report in [&mut printed, &mut answered] {
        report["store"]["disk"]["freeSize"].take();
        report["store"]["database"].take();
    }
    assert_eq!(printed, answered);
}
