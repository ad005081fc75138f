//! `registry rm`: globs, previews and confirmation.

use serde_json::json as value;

use super::{bytes_on_disk, json, number, push_index, refusal, text, with_fast_collection};
use crate::support::{Client, Image, Server, eventually, noise, sha256};

/// Pushes images that share a layer as `team/app:pr-1`, `team/app:pr-2`, `team/app:main` and
/// `team/web:pr-9`; each has 1000 bytes of its own besides its config.
fn push_all(client: &mut Client) -> Vec<Image> {
    let tags = [
        ("team/app", "pr-1"),
        ("team/app", "pr-2"),
        ("team/app", "main"),
        ("team/web", "pr-9"),
    ];
    let images: Vec<_> = (10..)
        .take(tags.len())
        .map(|seed| Image::new(&seed.to_string(), vec![noise(1, 5000), noise(seed, 1000)]))
        .collect();
    for (image, (repository, tag)) in images.iter().zip(tags) {
        image.push(client, repository, tag);
    }
    images
}

#[test]
fn a_glob_previews_and_then_removes() {
    let server = Server::start();
    let mut client = server.client();
    let images = push_all(&mut client);

    let shown = json(&server, &["rm", "team/*:pr-*", "--dry-run"]);
    let items: Vec<_> = shown["items"]
        .as_array()
        .expect("items")
        .iter()
        .map(|item| format!("{}:{}", item["repository"], item["tag"]))
        .collect();
    assert_eq!(
        items,
        [
            "\"team/app\":\"pr-1\"",
            "\"team/app\":\"pr-2\"",
            "\"team/web\":\"pr-9\""
        ]
    );
    assert_eq!(
        (&shown["removed"], &shown["untagged"]["manifestCount"]),
        (&value!(false), &value!(3))
    );
    let own = |image: &Image| (image.config.len() + 1000) as u64;
    assert_eq!(
        number(&shown["frees"]["size"]),
        own(&images[0]) + own(&images[1]) + own(&images[3]),
        "main keeps the shared layer"
    );
    images[0].assert_pulls(&mut client, "team/app", "pr-1");
    let table = text(&server, &["rm", "team/app:pr-?", "--dry-run"]);
    assert!(
        table.contains("2 tags; ") && table.contains("lose their last tag"),
        "{table}"
    );

    let printed = text(&server, &["rm", "team/*:pr-*", "--yes"]);
    assert!(
        printed.contains("removed 3 tags of 2 repositories; registry restore team/app")
            && printed.contains(" && registry restore team/web:pr-9")
            && printed.contains(" brings it back until 20"),
        "{printed}"
    );
    assert_eq!(
        client.get("/v2/team/app/tags/list").json()["tags"],
        value!(["main"])
    );
    assert_eq!(
        client.get("/v2/team/web/tags/list").json()["tags"],
        value!([])
    );

    text(&server, &["rm", "team/**"]);
    assert_eq!(json(&server, &["ls"])["repositories"], value!([]));
    text(&server, &["restore", "team/app"]);
    images[2].assert_pulls(&mut client, "team/app", "main");
}

#[test]
fn content_announced_as_restorable_can_be_restored() {
    let mut pushed = Vec::new();
    let (_directory, server) = with_fast_collection(&[], |client| pushed = push_all(client));
    let images = pushed;
    let mut left = bytes_on_disk(&server);
    for reference in [
        "team/app:pr-1".to_owned(),
        format!("team/app@{}", images[1].digest()),
        "team/*".to_owned(),
    ] {
        let promised = number(&json(&server, &["rm", &reference])["frees"]["size"]);
        assert!(promised > 0, "{reference}");
        left -= promised;
        eventually(&format!("the disk of {reference} is back"), || {
            bytes_on_disk(&server) <= left
        });
        assert_eq!(bytes_on_disk(&server), left, "{reference}");
    }
    assert_eq!(left, 0, "nothing is left of it all");
}

#[test]
fn the_preview_says_when_nothing_can_be_restored() {
    let server = Server::with(&[("REGISTRY_GC_KEEPUNTAGGED", "forever")]);
    let mut client = server.client();
    let image = Image::small(1);
    image.push(&mut client, "a", "one");
    image.push(&mut client, "a", "two");
    image.push(&mut client, "b", "one");
    let shown = |reference: &str| text(&server, &["rm", reference, "--dry-run"]);
    assert!(
        shown("a:one").contains("used elsewhere"),
        "another tag holds it"
    );
    assert!(
        shown(&format!("a@{}", image.digest())).contains("used elsewhere"),
        "another repository needs its blobs"
    );
    assert!(shown("b:one").contains("forever"), "{}", shown("b:one"));
    assert!(shown("*").contains("blobs by"), "{}", shown("*"));

    // content that expires later anyway is still worth deleting
    let server = Server::start();
    image.push(&mut server.client(), "a", "one");
    text(&server, &["rm", "a:one"]);
    let shown = json(
        &server,
        &["rm", &format!("a@{}", image.digest()), "--dry-run"],
    );
    let forecast = json(&server, &["gc", "--dry-run"]);
    assert_eq!(shown["frees"]["size"], forecast["later"]["size"]);
    let last = &forecast["removals"]
        .as_array()
        .expect("items")
        .last()
        .expect("an item")["at"];
    assert!(
        shown["frees"]["at"].as_str() < last.as_str(),
        "{shown} {last}"
    );
}

#[test]
fn a_whole_repository_is_removed_indexes_before_children() {
    let server = Server::start();
    let index = push_index(&mut server.client());
    let days = |reference: &str| {
        let by = json(&server, &["rm", reference, "--dry-run"])["frees"]["at"]
            .as_str()
            .expect("a time")
            .to_owned();
        let wait = crate::support::parse_time(&by)
            .duration_since(std::time::SystemTime::now())
            .expect("later");
        (wait.as_secs_f64() / 86400.0).round()
    };
    assert_eq!(days("team/app"), 1.0, "the grace period of the blobs");
    assert_eq!(
        days(&format!("team/app@{index}")),
        2.0,
        "that of the children, and then that of their blobs"
    );
    assert_eq!(
        days("team/app:v1"),
        16.0,
        "two weeks without a tag, and then as above"
    );
}

#[test]
fn immutable_tags_block_the_whole_removal() {
    let server = Server::with(&[(
        "REGISTRY_POLICIES",
        "[{repositories: 'team/**', immutable: ['v*']}]",
    )]);
    let mut client = server.client();
    for (seed, tag) in (1..).zip(["a", "b", "v1", "x"]) {
        Image::small(seed).push(&mut client, "team/app", tag);
    }
    let digest = Image::small(3).digest();
    for reference in [
        "team/app:v1",
        "team/app:*",
        "team/app",
        "**",
        &format!("team/app@{digest}"),
    ] {
        let sentence = refusal(&server, &["rm", reference]);
        for part in [
            "tag v1 of team/app is immutable",
            "the policy for 'team/**'",
            "taking 'v*' out of policies[].immutable",
        ] {
            assert!(sentence.contains(part), "{reference}: {sentence}");
        }
        assert_eq!(
            client.get("/v2/team/app/tags/list").json()["tags"],
            value!(["a", "b", "v1", "x"]),
            "{reference}"
        );
    }
    text(&server, &["rm", "team/app:[!v]*"]);
    assert_eq!(
        client.get("/v2/team/app/tags/list").json()["tags"],
        value!(["v1"])
    );
}

#[test]
fn removing_a_child_is_refused_before_any_preview() {
    let server = Server::start();
    let index = push_index(&mut server.client());
    let child =
        json(&server, &["inspect", "team/app:v1"])["manifest"]["manifests"][0]["digest"].clone();
    let sentence = refusal(
        &server,
        &[
            "rm",
            &format!("team/app@{}", child.as_str().expect("a child")),
            "--dry-run",
        ],
    );
    assert!(sentence.contains(&index), "{sentence}");
    assert!(
        refusal(
            &server,
            &["rm", &format!("team/app@{}", sha256(b"nothing"))]
        )
        .contains("not in repository")
    );
}

#[test]
fn signatures_and_referrers_that_go_along_are_named() {
    let server = Server::start();
    let mut client = server.client();
    let index = push_index(&mut client);
    let referrer = client
        .get(&format!("/v2/team/app/referrers/{index}"))
        .json()["manifests"][0]["digest"]
        .as_str()
        .expect("a referrer")
        .to_owned();
    let (signature, tag) = (
        Image::new("signature", Vec::new()),
        format!("{}.sig", index.replace(':', "-")),
    );
    signature.push(&mut client, "team/app", &tag);

    for reference in ["team/app:v1", &format!("team/app@{index}")] {
        let shown = json(&server, &["rm", reference, "--dry-run"]);
        assert_eq!(
            shown["referrers"],
            value!([
                {
                    "repository": "team/app", "tag": null, "digest": referrer,
                    "artifactType": "application/vnd.test.signature", "subject": index
                },
                {
                    "repository": "team/app", "tag": tag, "digest": signature.digest(),
                    "artifactType": null, "subject": index
                },
            ]),
            "{reference}"
        );
        let shown = text(&server, &["rm", reference, "--dry-run"]);
        assert!(
            shown.contains("go along")
                && shown.contains(&tag)
                && shown.contains("vnd.test.signature"),
            "{shown}"
        );
    }
    let shown = json(&server, &["rm", "team/app", "--dry-run"]);
    assert_eq!(
        shown["referrers"].as_array().map(Vec::len),
        Some(1),
        "the signature's tag is among what is named anyway: {shown}"
    );
    let shown = server.at_terminal(&["rm", "team/app:v1"], "n\n").text;
    assert!(
        shown.contains("remove tag v1 of team/app, and 2 signatures or other referrers? [y/N]"),
        "{shown}"
    );

    // another tag keeps the image, and with it what refers to it
    let manifest = client.get("/v2/team/app/manifests/v1").body;
    let kind = crate::support::OCI_INDEX;
    assert_eq!(
        client
            .put_manifest("team/app", "v2", kind, &manifest)
            .status,
        201
    );
    let shown = json(&server, &["rm", "team/app:v1", "--dry-run"]);
    assert_eq!(shown["referrers"], value!([]));
}

#[test]
fn nothing_is_removed_without_a_terminal_or_yes() {
    let server = Server::start();
    let mut client = server.client();
    let images = push_all(&mut client);
    for reference in [
        "team/app:pr-1".to_owned(),
        format!("team/app@{}", images[1].digest()),
        "team/web".to_owned(),
        "team/*:pr-*".to_owned(),
        "**".to_owned(),
    ] {
        for output in ["text", "json"] {
            assert!(
                refusal(&server, &["rm", &reference, "--output", output]).contains("add --yes"),
                "{reference}"
            );
        }
    }
    for (repository, tag) in [
        ("team/app", "pr-1"),
        ("team/app", "pr-2"),
        ("team/app", "main"),
        ("team/web", "pr-9"),
    ] {
        let path = format!("/v2/{repository}/manifests/{tag}");
        assert_eq!(client.head(&path).status, 200, "{path}");
    }
}

#[test]
fn a_terminal_user_is_asked_to_confirm() {
    let server = Server::start();
    let mut client = server.client();
    push_all(&mut client);
    let shown = server.at_terminal(&["rm", "team/app:pr-1"], "n\n");
    assert!(
        !shown.status.success()
            && shown.text.contains("blobs by")
            && shown.text.contains("remove tag pr-1 of team/app? [y/N]")
            && shown.text.contains("nothing was removed"),
        "{shown:?}"
    );
    assert_eq!(client.head("/v2/team/app/manifests/pr-1").status, 200);
    let shown = server.at_terminal(&["rm", "team/app:pr-1"], "y\n");
    assert!(
        shown.status.success() && shown.text.contains("removed tag pr-1 of team/app"),
        "{shown:?}"
    );
    assert_eq!(client.head("/v2/team/app/manifests/pr-1").status, 404);
    let shown = server.at_terminal(&["rm", "team/app:pr-2", "--yes"], "");
    assert!(
        shown.status.success() && !shown.text.contains("[y/N]"),
        "{shown:?}"
    );
}
