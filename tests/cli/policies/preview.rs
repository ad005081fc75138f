//! Previews of the rules.

use serde_json::{Value, json as value};

use super::super::{json, text, texts};
use super::{configuration, push};
use crate::support::{Image, OCI_MANIFEST, Server};

const POLICIES: &str = "
policies:
  - repositories: team/app
    keepuntagged: 0s
    immutable: ['v*']
    tags:
      - { match: ['pr-*'], newest: 2 }
      - { match: [main, 'release-?'], always: true }
      - { match: ['nightly-*'], younger: 30d }
      - { match: ['cache-*'], pulled: 14d }
  - repositories: 'team/**'
    keepuntagged: forever
";

/// Decisions about one repository, and its rules.
fn of_repository(preview: &Value, repository: &str) -> Value {
    let of = |list: &str| -> Vec<Value> {
        let list = preview[list].as_array().expect("a list").iter();
        list.filter(|item| item["repository"] == repository)
            .cloned()
            .collect()
    };
    let [rules] = &of("repositories")[..] else {
        panic!("no {repository}: {preview}")
    };
    let mut rules = rules.clone();
    rules["tags"] = of("tags").into();
    rules
}

fn decision<'p>(preview: &'p Value, tag: &str) -> &'p Value {
    preview["tags"]
        .as_array()
        .expect("tags")
        .iter()
        .find(|decision| decision["tag"] == tag)
        .unwrap_or_else(|| panic!("no {tag}"))
}

/// Tags of `team/app`, in the order of their pushes.
const TAGS: [&str; 9] = [
    "pr-1",
    "pr-2",
    "pr-3",
    "main",
    "nightly-1",
    "cache-pulled",
    "cache-seen",
    "v1",
    "other",
];

/// A server with three repositories, and the path of a configuration file for them.
fn with_three_repositories() -> (Server, String) {
    let mut server = Server::start();
    let mut client = server.client();
    push(&mut client, "team/app", &TAGS);
    push(&mut client, "team/web", &["latest"]);
    push(&mut client, "alone", &["latest"]);
    assert_eq!(
        client.get("/v2/team/app/manifests/cache-pulled").status,
        200
    );
    assert_eq!(client.head("/v2/team/app/manifests/cache-seen").status, 200);
    // pulls are recorded every few seconds and at shutdown
    assert!(server.stop().success());
    server.restart();
    let config = configuration(&server, POLICIES);
    (server, config)
}

#[test]
fn preview_explains_each_tag() {
    let (server, config) = with_three_repositories();
    let all = json(&server, &["policy", "preview", "--config", &config]);
    assert_eq!(all["repositories"].as_array().map(Vec::len), Some(3));
    let [alone, app, web] =
        &["alone", "team/app", "team/web"].map(|repository| of_repository(&all, repository));
    let unruled = value!([{
        "repository": "alone", "tag": "latest", "policy": null, "rule": null, "kept": true,
        "reason": "no policy matches the repository", "until": null,
    }]);
    assert_eq!(
        (&alone["policy"], &alone["tags"], &alone["keepUntagged"]),
        (&Value::Null, &unruled, &"14d".into())
    );
    assert_eq!(
        (&web["policy"], &web["keepUntagged"]),
        (&"team/**".into(), &"forever".into())
    );
    assert!(
        decision(web, "latest")["reason"]
            .as_str()
            .is_some_and(|reason| reason.contains("no rule"))
    );
    assert_eq!(
        (&app["policy"], &app["keepUntagged"]),
        (&"team/app".into(), &"0s".into())
    );
    assert_each_explained(app);
}

/// Asserts the decision about each tag of `team/app`, with its reason.
fn assert_each_explained(app: &Value) {
    let kept = TAGS.iter().filter(|tag| decision(app, tag)["kept"] == true);
    assert_eq!(
        kept.collect::<Vec<_>>(),
        [
            &"pr-2",
            &"pr-3",
            &"main",
            &"nightly-1",
            &"cache-pulled",
            &"cache-seen",
            &"v1",
            &"other"
        ],
        "{app:#}"
    );
    for (tag, word) in [
        ("pr-3", "newest 2"),
        ("pr-1", "'pr-*'"),
        ("main", "always"),
        ("nightly-1", "younger"),
        ("v1", "immutable"),
    ] {
        let reason = &decision(app, tag)["reason"];
        assert!(
            reason.as_str().is_some_and(|reason| reason.contains(word)),
            "{tag}: {reason}"
        );
    }
    assert!(
        decision(app, "nightly-1")["until"].is_string() && decision(app, "pr-3")["until"].is_null()
    );
}

#[test]
fn preview_prints_a_table_and_changes_nothing() {
    let (server, config) = with_three_repositories();
    let table = text(&server, &["policy", "preview", "--config", &config]);
    let line = |words: &[&str]| {
        table
            .lines()
            .any(|line| words.iter().all(|word| line.contains(word)))
    };
    assert!(
        line(&[
            "alone",
            "latest",
            "kept",
            "no policy matches the repository"
        ]) && line(&["pr-1", "removed"]),
        "{table}"
    );
    let one = text(
        &server,
        &["policy", "preview", "team/web", "--config", &config],
    );
    assert!(one.contains("latest") && !one.contains("pr-1"), "{one}");
    let glob = json(
        &server,
        &["policy", "preview", "team/*", "--config", &config],
    );
    assert_eq!(glob["repositories"].as_array().map(Vec::len), Some(2));
    assert_eq!(
        texts(&server.client().get("/v2/team/app/tags/list").json()["tags"]).len(),
        TAGS.len(),
        "something was changed"
    );
}

/// With more tags than one read returns, every tag is listed and rules count over all of them, with
/// and without a policy.
#[test]
fn a_preview_lists_every_tag_of_a_large_repository() {
    const TAGS: usize = 2300;
    let server = Server::start();
    let mut client = server.client();
    for repository in ["alone", "team/app"] {
        Image::small(1).push(&mut client, repository, "pr-0");
        let tags: Vec<_> = (1..TAGS).map(|number| format!("pr-{number}")).collect();
        for some in tags.chunks(10) {
            let query = some
                .iter()
                .map(|tag| format!("tag={tag}"))
                .collect::<Vec<_>>()
                .join("&");
            let path = format!("{}?{query}", Image::small(1).digest());
            assert_eq!(
                client
                    .put_manifest(repository, &path, OCI_MANIFEST, &Image::small(1).manifest)
                    .status,
                201
            );
        }
    }
    let config = configuration(&server, POLICIES);
    let all = json(&server, &["policy", "preview", "--config", &config]);
    for (repository, kept) in [("alone", TAGS), ("team/app", 2)] {
        let of_one = of_repository(&all, repository);
        let tags = of_one["tags"].as_array().expect("tags");
        assert_eq!(
            (
                tags.len(),
                tags.iter().filter(|tag| tag["kept"] == true).count()
            ),
            (TAGS, kept)
        );
        assert!(
            tags.is_sorted_by_key(|tag| tag["tag"].as_str().map(str::to_owned)),
            "{tags:?}"
        );
    }
    let lines = text(&server, &["policy", "preview", "--config", &config])
        .lines()
        .count();
    // a heading, a rule, a sentence, two about images without a tag, and an empty line; then a heading and all tags
    assert_eq!(lines, 6 + 1 + 2 * TAGS);
}

#[test]
fn preview_shows_the_rules_of_the_running_server() {
    let server = Server::with(&[(
        "REGISTRY_POLICIES",
        "[{repositories: '**', tags: [{match: ['*'], younger: 7d}]}]",
    )]);
    push(&mut server.client(), "app", &["v1"]);
    let preview = json(&server, &["policy", "preview", "app"]);
    assert!(
        decision(&preview, "v1")["reason"]
            .as_str()
            .is_some_and(|reason| reason.contains("7d")),
        "{preview}"
    );
}
