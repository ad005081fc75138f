//! The command on the data directory and the request to the server answer the same.

use super::{answered, openapi, printed};
use crate::cli::push_index;
use crate::support::{Image, Server, sha256};

/// A store with content of every kind, and rules about some of it.
pub fn store() -> (Server, String) {
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

/// Commands with their routes; `INDEX`, `IMAGE` and `LEASED` are digests.
const PAIRS: &str = "
    ls                                              repositories
    ls --sort size --limit 1000                     repositories?sort=size
    ls ruled/**                                     repositories?repositories=ruled/**
    ls ruled/app                                    tags/{name} tags/ruled/app
    ls ruled/app --sort pushed                      tags/{name} tags/ruled/app?sort=pushed
    ls **:pr-*                                      tags?repositories=**&tags=pr-*
    ls --untagged                                   untagged
    inspect team/app:v1                             manifests/{name}/{reference} manifests/team/app/v1
    inspect ruled/app:pr-2                          manifests/{name}/{reference} manifests/ruled/app/pr-2
    tag history ruled/app:gone                      history/{name}/{tag} history/ruled/app/gone
    tag history other:v1                            history/{name}/{tag} history/other/v1
    du ruled/*                                      usage?repositories=ruled/*
    du ruled/app                                    usage/{name} usage/ruled/app
    why INDEX                                       why/{digest} why/INDEX
    why IMAGE                                       why/{digest} why/IMAGE
    why LEASED                                      why/{digest} why/LEASED
    restore                                         trash
    audit --limit 0                                 audit?n=1000
    audit --repository ruled/**:pr-* --action tag   audit?repository=ruled/**:pr-*&action=tag
    token ls                                        tokens
    token ls --all                                  tokens?all=true
    webhook ls                                      webhooks
    webhook deliveries                              deliveries
    upstream ls                                     upstreams
    quotas                                          quotas
    policy preview --at 2030-01-01                  policies?at=2030-01-01T00:00:00Z&n=1000
    policy preview ruled/app --at 2030-01-01        policies/{name} policies/ruled/app?at=2030-01-01T00:00:00Z&n=1000
";

#[test]
fn commands_and_routes_answer_the_same() {
    let (server, index) = store();
    let (image, leased) = (Image::small(6).digest(), sha256(b"leased"));
    let digests = |text: &str| {
        let text = text.replace("INDEX", &index).replace("IMAGE", &image);
        text.replace("LEASED", &leased)
    };
    for row in PAIRS.lines().filter(|row| !row.trim().is_empty()) {
        let (command, routes) = row.trim().split_once("  ").expect("two columns");
        let mut routes = routes.split_whitespace();
        let template = routes.next().expect("a route");
        let path = format!("/api/v1/{}", digests(routes.next().unwrap_or(template)));
        let command = digests(command);
        let words: Vec<_> = command.split(' ').collect();
        let (printed, answered) = (printed(&server, &words), answered(&server, &path));
        assert_eq!(printed, answered, "registry {command}, {path}");
        let template = template.split('?').next().expect("a path");
        openapi::check(&server, &format!("/{template}"), &path);
    }
    openapi::check(&server, "/usage", "/api/v1/usage");
    openapi::check(&server, "/tags/{name}", "/api/v1/tags/none");
}

/// Free bytes of the disk and the size of the log change all the time, and are left out.
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
