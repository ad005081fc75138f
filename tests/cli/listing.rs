//! Listing, inspecting and removing single items.

use super::{json, push_index, text};
use crate::support::{Image, Server};

#[test]
fn pushed_content_is_listed_and_inspected() {
    let mut server = Server::start();
    let digest = push_index(&mut server.client());
    Image::small(9).push(&mut server.client(), "other", "latest");

    let repositories = json(&server, &["ls"])["repositories"].clone();
    assert_eq!(repositories[0]["repository"], "other");
    assert_eq!(
        (
            &repositories[1]["repository"],
            &repositories[1]["tagCount"],
            &repositories[1]["manifestCount"]
        ),
        (&"team/app".into(), &1.into(), &4.into())
    );

    let tags = json(&server, &["ls", "team/app"])["tags"].clone();
    assert_eq!(
        (&tags[0]["tag"], &tags[0]["digest"]),
        (&"v1".into(), &digest.as_str().into())
    );
    assert_eq!(
        tags[0]["platforms"],
        serde_json::json!(["linux/amd64", "linux/arm64"])
    );
    let single = json(&server, &["ls", "other"])["tags"].clone();
    assert_eq!(
        single[0]["platforms"],
        serde_json::json!(["linux/amd64"]),
        "the platform of an image is in its config"
    );

    let inspected = json(&server, &["inspect", "team/app:v1"]);
    assert_eq!(inspected["tags"], serde_json::json!(["v1"]));
    assert_eq!(
        inspected["referrers"][0]["artifactType"],
        "application/vnd.test.signature"
    );
    let child = inspected["manifest"]["manifests"][0]["digest"]
        .as_str()
        .expect("a child")
        .to_owned();
    let child = json(&server, &["inspect", &format!("team/app@{child}")]);
    assert_eq!(child["referencedBy"], serde_json::json!([digest]));

    // the same as tables, without a server
    assert!(server.stop().success());
    assert!(text(&server, &["ls"]).contains("team/app"));
    server.at_terminal(&["ls"], "").assert_fits();
    assert!(text(&server, &["ls", "team/app"]).contains("linux/amd64,linux/arm64"));
    assert!(text(&server, &["inspect", "team/app:v1"]).contains(&digest));
}

#[test]
fn a_size_counts_shared_content_once() {
    let server = Server::start();
    push_index(&mut server.client());
    let tags = json(&server, &["ls", "team/app"])["tags"].clone();
    let whole: u64 = ["one", "two"]
        .iter()
        .map(|name| Image::new(name, Vec::new()).config.len() as u64)
        .sum::<u64>()
        + 5000
        + 7000;
    let manifests = json(&server, &["inspect", "team/app:v1"])["manifest"]["manifests"].clone();
    let children: u64 = manifests
        .as_array()
        .expect("children")
        .iter()
        .map(|child| child["size"].as_u64().expect("a size"))
        .sum();
    let index = server
        .client()
        .head("/v2/team/app/manifests/v1")
        .header("content-length")
        .expect("a length")
        .parse::<u64>()
        .expect("a number");
    assert_eq!(tags[0]["size"].as_u64(), Some(whole + children + index));
}

#[test]
fn removals_take_effect_in_the_running_server() {
    let server = Server::start();
    let mut client = server.client();
    let digest = push_index(&mut client);
    let image = Image::small(3);
    image.push(&mut client, "other", "a");
    image.push(&mut client, "other", "b");

    text(&server, &["rm", "other:a"]);
    assert_eq!(client.get("/v2/other/manifests/a").status, 404);
    image.assert_pulls(&mut client, "other", "b");
    text(&server, &["rm", &format!("other@{}", image.digest())]);
    assert_eq!(client.get("/v2/other/manifests/b").status, 404);

    let child = json(&server, &["inspect", "team/app:v1"])["manifest"]["manifests"][0]["digest"]
        .as_str()
        .expect("a child")
        .to_owned();
    let refused = server.cli(&["rm", &format!("team/app@{child}")]);
    assert!(!refused.status.success());
    assert!(
        String::from_utf8_lossy(&refused.stderr).contains(&digest),
        "the holder is named"
    );

    text(&server, &["rm", "team/app"]);
    client
        .get("/v2/team/app/tags/list")
        .refused(404, "NAME_UNKNOWN");
    assert_eq!(
        client.get("/v2/_catalog").json()["repositories"],
        serde_json::json!([])
    );
}

#[test]
fn tags_of_many_repositories_are_sorted_by_repository() {
    let server = Server::start();
    let image = Image::small(1);
    let names = ["a-2/app:v2", "a-2/app:v10", "a-10/app:v1", "b:v1", "b:v3"];
    for name in ["b:v3", "a-2/app:v10", "a-10/app:v1", "b:v1", "a-2/app:v2"] {
        let (repository, tag) = name.split_once(':').expect("a tag");
        image.push(&mut server.client(), repository, tag);
    }
    // all of the same size
    for order in [&["ls", "**:*"][..], &["ls", "**:*", "--sort", "size"]] {
        let tags = json(&server, order)["tags"].clone();
        let listed: Vec<_> = tags.as_array().expect("tags").iter().map(listed).collect();
        assert_eq!(listed, names);
    }
}

fn listed(tag: &serde_json::Value) -> String {
    let part = |key: &str| tag[key].as_str().expect("text").to_owned();
    format!("{}:{}", part("repository"), part("tag"))
}

#[test]
fn untagged_images_are_listed_with_the_tags_that_they_had() {
    let server = Server::with(&[(
        "REGISTRY_POLICIES",
        "[{repositories: 'kept/**', keepuntagged: forever}]",
    )]);
    let client = &mut server.client();
    assert!(text(&server, &["ls", "--untagged"]).contains("every image has a tag"));
    let images: Vec<_> = (0..4).map(Image::small).collect();
    for image in &images[..3] {
        image.push(client, "team/app", "latest");
    }
    images[2].push(client, "team/app", "v1");
    for image in &images[2..] {
        image.push(client, "kept/app", "latest");
    }
    text(&server, &["rm", "team/app:v1"]);
    // children of an index and a signature of it: none of them is listed
    push_index(client);
    images[3].push(client, "whole", "v1");

    let untagged = json(&server, &["ls", "--untagged"])["images"].clone();
    let listed: Vec<_> = untagged
        .as_array()
        .expect("a list")
        .iter()
        .map(|image| {
            assert_eq!(image["formerTags"], serde_json::json!(["latest"]));
            (
                image["repository"].as_str().expect("a name"),
                image["digest"].as_str().expect("a digest"),
                image["until"].is_string(),
            )
        })
        .collect();
    let digests: Vec<_> = images.iter().map(Image::digest).collect();
    assert_eq!(
        listed,
        [
            ("kept/app", &*digests[2], false),
            ("team/app", &digests[1], true),
            ("team/app", &digests[0], true),
        ]
    );
    let of = |arguments: &[&str]| {
        let flags = [&["ls", "--untagged"], arguments].concat();
        json(&server, &flags)["images"]
            .as_array()
            .expect("a list")
            .len()
    };
    assert_eq!((of(&["team/app"]), of(&["*/app", "--limit", "2"])), (2, 2));
    assert_eq!(of(&["whole"]), 0);
    assert!(text(&server, &["ls", "--untagged", "kept/*"]).contains("forever"));
    for wrong in ["team/app:latest", "nobody", "nobody/*"] {
        assert!(!server.cli(&["ls", "--untagged", wrong]).status.success());
    }
    server.at_terminal(&["ls", "--untagged"], "").assert_fits();
}
