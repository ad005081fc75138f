//! `registry gc --now`, and why an ordinary collection leaves something.

use super::{bytes_on_disk, json, number, push_index, refusal, text};
use crate::support::{Client, Image, OCI_MANIFEST, Server, noise, sha256};

/// Ends undo without asking.
const NOW: [&str; 3] = ["gc", "--now", "--yes"];

fn head(client: &mut Client, repository: &str, blob: &[u8]) -> u16 {
    client
        .head(&format!("/v2/{repository}/blobs/{}", sha256(blob)))
        .status
}

/// The entry of `waiting` for a cause.
fn waiting(server: &Server, cause: &str) -> serde_json::Value {
    let swept = json(server, &["gc"]);
    let all = swept["waiting"].as_array().expect("a list");
    all.iter()
        .find(|entry| entry["cause"] == cause)
        .cloned()
        .unwrap_or_default()
}

#[test]
fn a_collection_says_why_nothing_went() {
    let server = Server::with(&[(
        "REGISTRY_POLICIES",
        "[{repositories: 'kept/**', keepuntagged: forever}]",
    )]);
    let client = &mut server.client();
    let swept = text(&server, &["gc"]);
    assert!(
        swept.contains("nothing else waits to be removed"),
        "{swept}"
    );

    let gone = Image::new("gone", vec![noise(1, 60_000)]);
    gone.push(client, "team/app", "v1");
    text(&server, &["rm", &format!("team/app@{}", gone.digest())]);
    client.push_blob("team/app", &noise(2, 3000));
    for seed in [3, 4] {
        Image::small(seed).push(client, "team/app", "latest");
        Image::small(10 + seed).push(client, "kept/app", "latest");
    }
    client.begin_upload("team/app");

    let swept = text(&server, &["gc"]);
    let line = |words: &[&str]| {
        let found = swept
            .lines()
            .any(|line| words.iter().all(|word| line.contains(word)));
        assert!(found, "{words:?} in {swept}");
    };
    line(&[
        "58.7 KiB in 2 blobs wait until",
        "for undo",
        "registry gc --now",
    ]);
    line(&["2.9 KiB in 1 blob waits until", "gc.lease"]);
    line(&[
        "in 2 blobs wait until",
        "keepuntagged",
        "rm REPOSITORY@DIGEST",
    ]);
    line(&["in 2 blobs stay", "forever (keepuntagged)"]);
    line(&["0 B is in 1 open upload", "registry uploads"]);
    assert_eq!(swept.lines().count(), 6, "{swept}");
    server.at_terminal(&["gc"], "").assert_fits();

    let undo = waiting(&server, "undo");
    assert_eq!(
        (number(&undo["blobCount"]), number(&undo["size"])),
        (2, 60_000 + gone.config.len() as u64)
    );
    assert!(undo["until"].is_string());
    assert_eq!(waiting(&server, "lease")["size"], 3000);
    let uploads = json(&server, &["gc"])["uploads"].clone();
    assert_eq!(uploads["count"], 1);
}

#[test]
fn deleted_content_is_freed_at_once_after_asking() {
    let server = Server::start();
    let client = &mut server.client();
    let (gone, kept) = (Image::small(1), Image::small(2));
    gone.push(client, "team/app", "v1");
    kept.push(client, "team/app", "v2");
    let named = format!("team/app@{}", gone.digest());
    text(&server, &["rm", &named]);
    let before = bytes_on_disk(&server);

    let message = refusal(&server, &["gc", "--now"]);
    assert!(message.contains("--yes"), "{message}");
    let planned = json(&server, &["gc", "--now", "--dry-run"]);
    let size = 1000 + gone.config.len() as u64;
    assert_eq!(
        (
            number(&planned["frees"]["size"]),
            &planned["undoEndedCount"]
        ),
        (size, &1.into()),
        "{planned}"
    );
    server
        .at_terminal(&["gc", "--now", "--dry-run"], "")
        .assert_fits();
    let answer = server.at_terminal(&["gc", "--now"], "n\n");
    assert!(
        !answer.status.success()
            && answer
                .text
                .contains("free 1.1 KiB and end the undo of 1 deleted manifest, for good? [y/N]"),
        "{answer:?}"
    );
    assert_eq!(bytes_on_disk(&server), before);
    text(&server, &["restore", &named]);
    gone.assert_pulls(client, "team/app", "v1");
    text(&server, &["rm", &named]);

    let answer = server.at_terminal(&["gc", "--now"], "y\n");
    assert!(answer.status.success(), "{answer:?}");
    assert_eq!(bytes_on_disk(&server), before - size);
    kept.assert_pulls(client, "team/app", "v2");
    let swept = json(&server, &NOW);
    assert_eq!(
        (&swept["blobCount"], &swept["undoEndedCount"]),
        (&0.into(), &0.into())
    );
    assert!(text(&server, &NOW).starts_with("nothing is left of what was deleted\n"));
    // it is pushed again as any image
    gone.push(client, "team/app", "v1");
    gone.assert_pulls(client, "team/app", "v1");
}

#[test]
fn what_loses_its_undo_is_named() {
    let server = Server::start();
    let client = &mut server.client();
    let images: Vec<_> = (0..3).map(Image::small).collect();
    for (image, tag) in images.iter().zip(["v1", "v2", "v3"]) {
        image.push(client, "team/app", tag);
    }
    images[0].push(client, "team/app", "old");
    text(
        &server,
        &["rm", &format!("team/app@{}", images[0].digest())],
    );
    text(&server, &["rm", "team/app:v2"]);
    let planned = json(&server, &["gc", "--now", "--dry-run"]);
    let items: Vec<_> = planned["items"]
        .as_array()
        .expect("items")
        .iter()
        .map(|item| {
            let digest = item["digest"].as_str().expect("a digest").to_owned();
            assert!(number(&item["size"]) > 1000, "{item}");
            (digest, item["tags"].clone(), item["kind"].clone())
        })
        .collect();
    let tags = |tags: &[&str]| serde_json::json!(tags);
    assert_eq!(
        items,
        [
            (images[0].digest(), tags(&["old", "v1"]), "deleted".into()),
            (images[1].digest(), tags(&["v2"]), "untagged".into()),
        ]
    );
    let shown = server.at_terminal(&["gc", "--now", "--dry-run"], "");
    shown.assert_fits();
    let said = "ends the undo of 1 deleted manifest and 1 untagged image";
    assert!(text(&server, &["gc", "--now", "--dry-run"]).contains(said));
}

/// One time, in one wording, whichever command says it.
#[test]
fn the_end_of_undo_is_told_in_the_same_words() {
    let server = Server::start();
    let client = &mut server.client();
    for (seed, tag) in [(1, "v1"), (2, "v2"), (3, "latest"), (4, "latest")] {
        Image::small(seed).push(client, "team/app", tag);
    }
    let end = |said: &str, command: &str| {
        let words = format!("{command} brings it back until 20");
        let at = said
            .find(&words)
            .unwrap_or_else(|| panic!("{words} in {said}"));
        let time = &said[at + words.len() - 2..];
        time.split(|c: char| c.is_whitespace() || c == ';')
            .next()
            .expect("a time")
            .to_owned()
    };
    let removed = text(&server, &["rm", "team/app:v1"]);
    let directory = server.directory().display();
    let until = end(
        &removed,
        &format!("registry restore team/app:v1 --data-dir {directory}"),
    );
    let listed = json(&server, &["restore"])["restorable"][0]["until"].clone();
    let listed = listed.as_str().expect("a time");
    for arguments in [&["gc"][..], &["gc", "--dry-run"]] {
        let said = end(&text(&server, arguments), "registry restore");
        assert_eq!(said, format!("{}Z", &listed[..listed.len() - 5]));
    }
    assert_eq!(waiting(&server, "undo")["undoUntil"], listed);
    // the time of the command, or of the change that it made
    assert!(until[..19] <= listed[..19]);
    let (two, four) = (Image::small(3).digest(), Image::small(4).digest());
    let short = |digest: &str| digest["sha256:".len()..][..12].to_owned();
    let command = |digest: &str| {
        format!(
            "registry tag restore team/app:latest --to {}",
            short(digest)
        )
    };
    let moved = text(&server, &["tag", "restore", "team/app:latest"]);
    end(&moved, &command(&four));
    let moved = text(&server, &["tag", "team/app:v2", "team/app:latest"]);
    end(&moved, &command(&two));
    text(
        &server,
        &["tag", "restore", "team/app:latest", "--to", &short(&two)],
    );
}

#[test]
fn what_cannot_be_restored_any_more_is_told() {
    let server = Server::start();
    let client = &mut server.client();
    let image = Image::small(1);
    image.push(client, "team/app", "v1");
    Image::small(2).push(client, "team/app", "v2");
    text(&server, &["rm", &format!("team/app@{}", image.digest())]);
    Image::small(3).push(client, "alone", "v1");
    text(&server, &["rm", "alone"]);
    let swept = json(&server, &NOW);
    assert_eq!(swept["undoEndedCount"], 2, "{swept}");

    let ended = "its undo ended on 20";
    let by_digest = format!("team/app@{}", image.digest());
    for arguments in [
        &["restore", &*by_digest][..],
        &["restore", &by_digest[..by_digest.len() - 50]],
        &["why", &image.digest()],
        &["restore", "team/app:v1"],
        &["tag", "restore", "team/app:v1"],
        &["tag", "restore", "team/app:v1", "--dry-run"],
        &["restore", "alone:v1"],
    ] {
        let message = refusal(&server, arguments);
        assert!(
            message.contains(ended) && message.contains("registry gc --now"),
            "{arguments:?}: {message}"
        );
    }
    let message = refusal(&server, &["restore", "alone"]);
    assert!(
        message.contains("the undo of what was deleted there ended on 20"),
        "{message}"
    );
    let listed = text(&server, &["restore"]);
    assert!(
        listed.starts_with("nothing can be restored: the last undo ended on 20"),
        "{listed}"
    );
    // what is there was not deleted
    image.push(client, "team/app", "v1");
    let message = refusal(&server, &["restore", &by_digest]);
    assert!(message.contains("it was not deleted"), "{message}");
}

#[test]
fn only_named_repositories_lose_their_undo() {
    let server = Server::start();
    let client = &mut server.client();
    let images = [
        Image::new("one", vec![noise(1, 5000)]),
        Image::new("two", vec![noise(1, 5000)]),
    ];
    images[0].push(client, "team/app", "v1");
    images[1].push(client, "team/web", "v1");
    text(&server, &["rm", "team/app"]);
    text(&server, &["rm", "team/web"]);
    let planned = json(&server, &["gc", "--now", "team/app", "--dry-run"]);
    assert_eq!(
        number(&planned["frees"]["size"]),
        images[0].config.len() as u64,
        "the layer is needed to undo the other: {planned}"
    );
    let swept = json(&server, &["gc", "--now", "team/app", "--yes"]);
    assert_eq!(
        (&swept["undoEndedCount"], &swept["blobCount"]),
        (&1.into(), &1.into())
    );
    text(&server, &["restore", "team/web"]);
    images[1].assert_pulls(client, "team/web", "v1");
    text(&server, &["rm", "team/web"]);
    let swept = json(&server, &["gc", "--now", "t*/w*", "--yes"]);
    assert_eq!(
        (&swept["undoEndedCount"], bytes_on_disk(&server)),
        (&1.into(), 0)
    );
    let output = server.cli(&["gc", "team/app"]);
    let message = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(
        output.status.code() == Some(2) && message.contains("--now"),
        "{message}"
    );
}

/// A removed tag is deleted content; a tag that was moved leaves a manifest that may be pulled by digest.
#[test]
fn manifests_of_removed_tags_go_and_others_stay() {
    let server = Server::with(&[(
        "REGISTRY_POLICIES",
        "[{repositories: 'kept/**', keepuntagged: forever}]",
    )]);
    let client = &mut server.client();
    let images: Vec<_> = (0..3).map(Image::small).collect();
    images[0].push(client, "app", "removed");
    images[1].push(client, "app", "latest");
    images[2].push(client, "app", "latest");
    images[0].push(client, "kept/app", "removed");
    let index = push_index(client);
    assert!(text(&server, &["rm", "app:removed"]).contains("registry gc --now frees"));
    text(&server, &["rm", "kept/app:removed"]);
    text(&server, &["rm", "team/app:v1"]);
    let swept = json(&server, &NOW);
    // the index, its two children and its signature, and the image
    assert_eq!(swept["undoEndedCount"], 5, "{swept}");
    let by_digest =
        |repository: &str, image: &Image| format!("/v2/{repository}/manifests/{}", image.digest());
    assert_eq!(client.get(&by_digest("app", &images[0])).status, 404);
    assert_eq!(
        client
            .get(&format!("/v2/team/app/manifests/{index}"))
            .status,
        404
    );
    images[1].assert_pulls(client, "app", &images[1].digest());
    images[2].assert_pulls(client, "app", "latest");
    images[0].assert_pulls(client, "kept/app", &images[0].digest());
}

/// Content that a client was told of since the deletion is promised to it, as is what was pushed.
#[test]
fn what_a_push_counts_on_stays() {
    let server = Server::start();
    let client = &mut server.client();
    let image = Image::new("image", vec![noise(1, 5000), noise(2, 3000)]);
    let delete = |client: &mut Client| {
        image.push(client, "app", "v1");
        text(&server, &["rm", &format!("app@{}", image.digest())]);
        client
            .get("/v2/app/manifests/v1")
            .refused(404, "MANIFEST_UNKNOWN");
    };
    // a push that finds everything there
    delete(client);
    for blob in image.layers.iter().chain([&image.config]) {
        assert_eq!(head(client, "app", blob), 200);
    }
    assert_eq!(json(&server, &NOW)["blobCount"], 0);
    assert_eq!(
        client
            .put_manifest("app", "v1", OCI_MANIFEST, &image.manifest)
            .status,
        201
    );
    image.assert_pulls(client, "app", "v1");

    // a push that has sent some of it, and a mount elsewhere
    text(&server, &["rm", &format!("app@{}", image.digest())]);
    client.push_blob("app", &image.layers[0]);
    let mount = format!(
        "/v2/other/blobs/uploads/?mount={}&from=app",
        sha256(&image.layers[1])
    );
    assert_eq!(client.request("POST", &mount).send().status, 201);
    let open = client.begin_upload("app");
    let swept = json(&server, &NOW);
    assert_eq!(swept["blobCount"], 1, "the config: {swept}");
    assert_eq!(head(client, "app", &image.layers[0]), 200);
    assert_eq!(head(client, "app", &image.layers[1]), 404);
    assert_eq!(head(client, "other", &image.layers[1]), 200);
    assert_eq!(client.get(&open).status, 204);

    // a child that was pushed before its index
    image.push(client, "multi", &image.digest());
    assert_eq!(json(&server, &NOW)["manifestCount"], 0);
    image.assert_pulls(client, "multi", &image.digest());

    // an untagged manifest that is pulled by digest
    image.push(client, "pinned", "v1");
    text(&server, &["rm", "pinned:v1"]);
    image.assert_pulls(client, "pinned", &image.digest());
    assert_eq!(json(&server, &NOW)["manifestCount"], 0);
    image.assert_pulls(client, "pinned", &image.digest());
}

/// So is what a client was told of before the deletion, until its push has ended.
#[test]
fn what_a_push_was_told_of_before_the_deletion_stays() {
    let server = Server::start();
    let client = &mut server.client();
    let image = Image::new("image", vec![noise(1, 5000), noise(2, 3000)]);
    image.push(client, "early", "v1");
    assert_eq!(head(client, "early", &image.layers[0]), 200);
    client.push_blob("early", &image.layers[1]);
    text(&server, &["rm", &format!("early@{}", image.digest())]);
    let swept = json(&server, &["gc", "--now", "early", "--yes"]);
    assert_eq!(swept["undoEndedCount"], 1, "{swept}");
    assert_eq!(head(client, "early", &image.config), 404);
    client.push_blob("early", &image.config);
    assert_eq!(
        client
            .put_manifest("early", "v2", OCI_MANIFEST, &image.manifest)
            .status,
        201
    );
    // that push has ended: nothing is promised any more
    text(&server, &["rm", &format!("early@{}", image.digest())]);
    text(&server, &["gc", "--now", "early", "--yes"]);
    assert_eq!(head(client, "early", &image.layers[0]), 404);
}

/// Promises made since the deletion are on disk: no crash of the server takes them back.
#[test]
fn a_push_counts_on_deleted_content_across_a_crash() {
    let mut server = Server::start();
    let client = &mut server.client();
    let image = Image::small(1);
    image.push(client, "app", "v1");
    text(&server, &["rm", &format!("app@{}", image.digest())]);
    for blob in [&image.layers[0], &image.config] {
        assert_eq!(head(client, "app", blob), 200);
    }
    server.kill();
    server.restart();
    assert_eq!(json(&server, &NOW)["blobCount"], 0);
    let pushed = server
        .client()
        .put_manifest("app", "v1", OCI_MANIFEST, &image.manifest);
    assert_eq!(pushed.status, 201, "{pushed:?}");
}

/// Blobs that were taken out of their repository by hand go as well.
#[test]
fn blobs_deleted_by_hand_are_freed() {
    let server = Server::start();
    let client = &mut server.client();
    let blob = noise(1, 5000);
    client.push_blob("app", &blob);
    assert_eq!(
        client
            .delete(&format!("/v2/app/blobs/{}", sha256(&blob)))
            .status,
        202
    );
    assert_eq!(json(&server, &["gc"])["blobCount"], 0);
    assert_eq!(json(&server, &NOW)["blobCount"], 1);
    assert_eq!(bytes_on_disk(&server), 0);
}

/// Without a server it works as well.
#[test]
fn it_works_without_a_server() {
    let mut server = Server::start();
    Image::small(1).push(&mut server.client(), "app", "v1");
    assert!(server.stop().success());
    text(&server, &["rm", "app"]);
    let swept = json(&server, &NOW);
    assert_eq!(
        (&swept["blobCount"], bytes_on_disk(&server)),
        (&2.into(), 0)
    );
}
