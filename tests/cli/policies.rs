//! Tag policies: previews, effects, and refusals.

use serde_json::{Value, json as value};

use super::{FAST, json, refusal, text, texts, with_fast_collection};
use crate::support::{Client, Image, OCI_MANIFEST, Server, eventually};

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

/// A configuration file next to the server's data directory.
fn configuration(server: &Server, text: &str) -> String {
    let path = server.directory().join("../policies.yml");
    std::fs::write(&path, format!("version: 0.1{text}")).expect("a file");
    path.display().to_string()
}

fn push(client: &mut Client, repository: &str, tags: &[&str]) {
    for (seed, tag) in (1..).zip(tags) {
        Image::small(seed).push(client, repository, tag);
        std::thread::sleep(std::time::Duration::from_millis(3));
    }
}

fn decision<'p>(preview: &'p Value, tag: &str) -> &'p Value {
    preview["tags"]
        .as_array()
        .expect("tags")
        .iter()
        .find(|decision| decision["tag"] == tag)
        .unwrap_or_else(|| panic!("no {tag}"))
}

#[test]
fn preview_explains_each_tag_and_changes_nothing() {
    let mut server = Server::start();
    let mut client = server.client();
    let tags = [
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
    push(&mut client, "team/app", &tags);
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

    let all = json(&server, &["policy", "preview", "--config", &config]);
    let [alone, app, web] = all.as_array().expect("repositories").as_slice() else {
        panic!("{all}")
    };
    let unruled = value!([{ "tag": "latest", "kept": true, "reason": "no policy matches the repository", "until": null }]);
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
    let kept = tags.iter().filter(|tag| decision(app, tag)["kept"] == true);
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
    assert_eq!(glob.as_array().expect("repositories").len(), 2);
    assert_eq!(
        texts(&server.client().get("/v2/team/app/tags/list").json()["tags"]).len(),
        tags.len(),
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
    for (number, kept) in [(0, TAGS), (1, 2)] {
        let tags = all[number]["tags"].as_array().expect("tags");
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
    assert_eq!(lines, 1 + 2 * (TAGS + 1));
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
        decision(&preview[0], "v1")["reason"]
            .as_str()
            .is_some_and(|reason| reason.contains("7d")),
        "{preview}"
    );
}

#[test]
fn an_invalid_pattern_is_reported() {
    let server = Server::start();
    let config = configuration(
        &server,
        "\npolicies: [{repositories: 'a[', keepuntagged: 0s}]\n",
    );
    assert!(refusal(&server, &["policy", "preview", "--config", &config]).contains("'a['"));
}

#[test]
fn the_server_removes_tags_by_rule_and_records_history() {
    let policies = "[{repositories: '**', tags: [{match: ['pr-*'], newest: 2}]}]";
    let server = Server::with(
        &[
            &FAST[..],
            &[("REGISTRY_GC_GRACE", "1h"), ("REGISTRY_POLICIES", policies)],
        ]
        .concat(),
    );
    let mut client = server.client();
    push(
        &mut client,
        "app",
        &["pr-1", "pr-2", "main", "pr-3", "pr-4"],
    );
    eventually("the rule is applied", || {
        texts(&client.get("/v2/app/tags/list").json()["tags"]) == ["main", "pr-3", "pr-4"]
    });
    let history = json(&server, &["tag", "history", "app:pr-1"]);
    assert_eq!(history[0]["end"]["how"], "removed");
    assert_eq!(history[0]["end"]["by"]["name"], "garbage collection");
    assert!(
        text(&server, &["tag", "history", "app:pr-2"]).contains("removed by garbage collection")
    );
    // restoring gives the tag a newer time, so the rule now keeps it
    text(&server, &["restore", "app:pr-1"]);
    eventually("the rule is applied again", || {
        texts(&client.get("/v2/app/tags/list").json()["tags"]) == ["main", "pr-1", "pr-4"]
    });
}

#[test]
fn an_immutable_tag_accepts_only_the_same_digest() {
    let server = Server::with(&[(
        "REGISTRY_POLICIES",
        "[{repositories: '**', immutable: ['v*']}]",
    )]);
    let mut client = server.client();
    let (image, other) = (Image::small(1), Image::small(2));
    image.push(&mut client, "app", "v1");
    other.push(&mut client, "app", "latest");
    image.push(&mut client, "app", "latest");
    assert_eq!(
        client
            .put_manifest("app", "v1", OCI_MANIFEST, &image.manifest)
            .status,
        201,
        "the same digest"
    );
    client
        .put_manifest("app", "v1", OCI_MANIFEST, &other.manifest)
        .refused(409, "DENIED");
    client.delete("/v2/app/manifests/v1").refused(409, "DENIED");
    client
        .delete(&format!("/v2/app/manifests/{}", image.digest()))
        .refused(409, "DENIED");
    image.assert_pulls(&mut client, "app", "v1");
    assert_eq!(client.delete("/v2/app/manifests/latest").status, 202);
    let sentence = refusal(
        &server,
        &["tag", "restore", "app:v1", "--to", &other.digest()],
    );
    assert!(sentence.contains("immutable"), "{sentence}");
}

#[test]
fn the_policy_sets_how_long_untagged_manifests_stay() {
    let policies = "[{repositories: 'short/*', keepuntagged: 0s}, {repositories: 'long/*', keepuntagged: forever}]";
    let image = Image::small(1);
    let repositories = ["short/app", "long/app", "other"];
    let (_directory, server) = with_fast_collection(
        &[
            ("REGISTRY_GC_KEEPUNTAGGED", "1h"),
            ("REGISTRY_POLICIES", policies),
        ],
        |client| {
            repositories
                .iter()
                .for_each(|repository| image.push(client, repository, "v1"));
        },
    );
    let mut client = server.client();
    let path = |repository: &str| format!("/v2/{repository}/manifests/{}", image.digest());
    for repository in repositories {
        assert_eq!(
            client
                .delete(&format!("/v2/{repository}/manifests/v1"))
                .status,
            202
        );
    }
    let mut look = |repository: &str| client.get(&path(repository)).status;
    // requested once only: a pull would keep it
    eventually("the untagged manifest is gone", || {
        std::thread::sleep(std::time::Duration::from_millis(300));
        look("short/app") == 404
    });
    assert_eq!((look("long/app"), look("other")), (200, 200));
}

#[test]
fn a_dry_run_lists_tags_that_a_rule_removes() {
    let policies = "[{repositories: '**', keepuntagged: 0s, tags: [{match: ['pr-*'], newest: 1}]}]";
    let server = Server::with(&[
        ("REGISTRY_GC_ENABLED", "false"),
        ("REGISTRY_GC_LEASE", "0s"),
        ("REGISTRY_GC_GRACE", "0s"),
        ("REGISTRY_POLICIES", policies),
    ]);
    let mut client = server.client();
    push(&mut client, "app", &["pr-1", "pr-2", "pr-3"]);
    // a removed tag leaves what another tag holds
    Image::small(2).push(&mut client, "app", "main");
    let forecast = json(&server, &["gc", "--dry-run"]);
    assert_eq!(
        forecast["now"],
        value!({ "tags": 2, "manifests": 1, "blobs": 2, "bytes": 1000 + Image::small(1).config.len() })
    );
    assert_eq!(
        (&forecast["items"][0]["kind"], &forecast["items"][0]["tag"]),
        (&"tag".into(), &"pr-1".into())
    );
    assert!(text(&server, &["gc", "--dry-run"]).contains("tag app:pr-2"));
    let frees = |reference: &str| {
        json(&server, &["rm", reference, "--dry-run"])["comesBack"]["bytes"].clone()
    };
    assert_eq!(
        (frees("app:pr-1"), frees("app:pr-2")),
        (value!(0), value!(0)),
        "those go anyway"
    );
    let own = value!(1000 + Image::small(2).config.len());
    assert_eq!(
        (frees("app:main"), frees("app:{main,pr-2}")),
        (own.clone(), own.clone()),
        "what held it beside goes anyway"
    );
    let tags = json(&server, &["du", "app"])["tags"].clone();
    let frees: Vec<_> = tags
        .as_array()
        .expect("tags")
        .iter()
        .map(|tag| {
            (
                tag["tag"].as_str().expect("a tag"),
                tag["exclusive"].clone(),
            )
        })
        .collect();
    let three = value!(1000 + Image::small(3).config.len());
    assert_eq!(
        frees,
        [
            ("main", own),
            ("pr-1", value!(0)),
            ("pr-2", value!(0)),
            ("pr-3", three)
        ]
    );

    let swept = json(&server, &["gc"]);
    assert_eq!(
        (&swept["tags"], &swept["manifests"], &swept["bytes"]),
        (&2.into(), &1.into(), &forecast["now"]["bytes"])
    );
}

/// The forecast lists future removals in order, with their times.
#[test]
fn the_forecast_includes_tags_that_a_rule_will_remove() {
    let policies = "[{repositories: 'team/*', keepuntagged: 0s, tags: [
        {match: ['keep-*'], newest: 1, younger: 2d}, {match: ['pr-*'], younger: 3d}, {match: ['cache-*'], pulled: 5d}]}]";
    let server = Server::with(&[("REGISTRY_POLICIES", policies)]);
    let mut client = server.client();
    for (seed, tag) in (1..).zip(["keep-1", "keep-2", "pr-1", "pr-2", "cache-1", "other"]) {
        Image::small(seed).push(&mut client, "team/app", tag);
        std::thread::sleep(std::time::Duration::from_millis(3));
    }
    // content that several tags hold is removed with the last of them
    Image::small(3).push(&mut client, "team/app", "cache-2");
    // these rules match neither of them
    Image::small(7).push(&mut client, "alone", "pr-1");
    let forecast = json(&server, &["gc", "--dry-run"]);
    let items = forecast["items"].as_array().expect("items");
    let now = std::time::SystemTime::now();
    let days = |item: &Value| {
        let at = crate::support::parse_time(item["at"].as_str().expect("a time"));
        (at.duration_since(now).expect("later").as_secs_f64() / 86400.0).round()
    };
    let tags: Vec<_> = items
        .iter()
        .filter(|item| item["kind"] == "tag")
        .map(|item| (item["tag"].as_str().expect("a tag"), days(item)))
        .collect();
    assert_eq!(
        tags,
        [
            ("keep-1", 2.0),
            ("pr-1", 3.0),
            ("pr-2", 3.0),
            ("cache-1", 5.0),
            ("cache-2", 5.0)
        ]
    );
    let manifests: Vec<_> = items
        .iter()
        .filter(|item| item["kind"] == "manifest")
        .map(days)
        .collect();
    assert_eq!(
        manifests,
        [3.0, 4.0, 6.0, 6.0],
        "a grace period after the last tag"
    );
    let bytes: u64 = [1, 3, 4, 5]
        .map(|seed| 1000 + Image::small(seed).config.len() as u64)
        .iter()
        .sum();
    assert_eq!(
        forecast["later"],
        value!({ "tags": 5, "manifests": 4, "blobs": 8, "bytes": bytes })
    );

    let garbage = json(&server, &["du"])["store"]["garbage"].clone();
    assert_eq!(
        (&garbage["now"]["bytes"], &garbage["later"]["bytes"]),
        (&0.into(), &bytes.into())
    );
    let day = |days: u64| {
        crate::support::format_time(now + std::time::Duration::from_secs(days * 86400))[..10]
            .to_owned()
    };
    let dates: Vec<_> = garbage["later"]["days"]
        .as_array()
        .expect("days")
        .iter()
        .map(|share| share["date"].clone())
        .collect();
    assert_eq!(
        dates,
        [day(4), day(5), day(7)],
        "and another one for the blobs"
    );
    // a tag due for removal holds its content until then
    let own = value!(1000 + Image::small(4).config.len());
    let tags = json(&server, &["du", "team/app"])["tags"].clone();
    let one = tags
        .as_array()
        .expect("tags")
        .iter()
        .find(|tag| tag["tag"] == "pr-2")
        .expect("the tag");
    assert_eq!(
        (
            &one["exclusive"],
            &json(&server, &["rm", "team/app:pr-2", "--dry-run"])["comesBack"]["bytes"]
        ),
        (&own, &own)
    );
}

#[test]
fn the_former_spelling_is_refused_with_what_it_meant() {
    let server = Server::start();
    for (text, words) in [
        (
            "gc: {untagged: never}",
            &[
                "gc.untagged",
                "keepuntagged",
                "0s to remove",
                "forever to keep",
            ][..],
        ),
        ("gc: {untagged: 3d}", &["write keepuntagged: 3d"]),
        (
            "gc: {keepuntagged: never}",
            &["gc.keepuntagged", "0s to remove", "forever to keep"],
        ),
        (
            "policies: [{repositories: a, untagged: forever}]",
            &["policies[0].untagged", "write keepuntagged: forever"],
        ),
    ] {
        let config = configuration(&server, &format!("\n{text}\n"));
        let sentence = refusal(&server, &["ls", "--config", &config]);
        for word in words {
            assert!(sentence.contains(word), "{text}: {sentence}");
        }
    }
    let output = std::process::Command::new(env!("CARGO_BIN_EXE_registry"))
        .args(["ls", "--data-dir"])
        .arg(server.directory())
        .env("REGISTRY_GC_UNTAGGED", "never")
        .output()
        .expect("it runs");
    let sentence = String::from_utf8(output.stderr).expect("text");
    assert!(
        !output.status.success()
            && sentence.contains("the variable REGISTRY_GC_UNTAGGED")
            && sentence.contains("0s to remove"),
        "{sentence}"
    );
}

/// Clients that have an image ask with HEAD and pull nothing.
#[test]
fn a_check_counts_as_a_use_but_is_no_pull_and_writes_nothing() {
    let policies = "[{repositories: '**', tags: [{match: ['*'], pulled: 2s}]}]";
    let mut server = Server::with(&[
        ("REGISTRY_POLICIES", policies),
        ("REGISTRY_GC_ENABLED", "false"),
    ]);
    let mut client = server.client();
    let tags = ["unused", "head", "head-by-digest", "not-modified"];
    push(&mut client, "app", &tags);
    std::thread::sleep(std::time::Duration::from_secs(2));
    let digests = [3_u64, 4].map(|seed| Image::small(seed).digest());
    let log = || std::fs::read(server.directory().join("registry.db-wal")).expect("the log");
    let before = log();
    for _ in 0..20 {
        assert_eq!(client.head("/v2/app/manifests/head").status, 200);
    }
    assert!(log() == before, "a HEAD writes to the database");
    assert_eq!(
        client
            .head(&format!("/v2/app/manifests/{}", digests[0]))
            .status,
        200
    );
    let etag = format!("\"{}\"", digests[1]);
    let path = "/v2/app/manifests/not-modified";
    let response = client
        .request("GET", path)
        .header("If-None-Match", &etag)
        .send();
    assert_eq!(response.status, 304);
    // recorded every few seconds, and when the server ends
    assert!(server.stop().success());
    let rows = json(&server, &["ls", "app"]);
    for row in rows.as_array().expect("rows") {
        let is_checked = row["tag"] != "unused";
        assert_eq!(
            (&row["pulled"], &row["pulls"], row["checked"].is_string()),
            (&Value::Null, &0.into(), is_checked),
            "{row}"
        );
    }
    assert!(text(&server, &["gc"]).contains("collected 1 tag"));
    server.restart();
    let left = server.client().get("/v2/app/tags/list").json();
    assert_eq!(
        texts(&left["tags"]),
        ["head", "head-by-digest", "not-modified"]
    );
}
