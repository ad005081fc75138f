//! Content of a layout, and the names in it.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use super::{
    IMAGE_NAME, OWN_NAME, REF_NAME, assert_whole, content_of, export, files_in, files_of, index_of,
    push_everything, put, refusal,
};
use crate::support::{Image, OCI_INDEX, OCI_MANIFEST, Server, descriptor, noise, sha256};

#[test]
fn an_index_comes_with_its_children_signatures_and_referrers() {
    let server = Server::start();
    let pushed = push_everything(&mut server.client());
    let directory = tempfile::tempdir().expect("a directory");
    let path = |name: &str| directory.path().join(name).display().to_string();
    export(&server, &["team/app:v1", &path("layout")]);
    let files = files_in(&directory.path().join("layout"));
    assert_whole(&files);
    let content: BTreeSet<_> = content_of(&files).into_iter().collect();
    let manifests = [
        &pushed.index,
        &pushed.children[0],
        &pushed.children[1],
        &pushed.signature,
        &pushed.of_signature,
        &pushed.tagged,
    ];
    assert!(manifests.into_iter().all(|one| content.contains(one)));
    // two layers, three configs, the empty one, and the layer of the signature: shared ones are there once
    assert_eq!(content.len(), manifests.len() + 7);

    let index = index_of(&files);
    let entries = index["manifests"].as_array().expect("a list");
    let named = |digest: &str| {
        let entry = entries.iter().find(|entry| entry["digest"] == digest);
        entry.expect("an entry")["annotations"].clone()
    };
    assert_eq!(entries.len(), 4);
    assert_eq!(
        named(&pushed.index),
        json!({ REF_NAME: "v1", IMAGE_NAME: "team/app:v1", OWN_NAME: "team/app:v1" })
    );
    for referrer in [&pushed.signature, &pushed.of_signature] {
        assert_eq!(named(referrer), json!({ OWN_NAME: "team/app" }));
    }
    let tag = format!("{}.sig", pushed.children[0].replace(':', "-"));
    let name = format!("team/app:{tag}");
    assert_eq!(named(&pushed.tagged), json!({ OWN_NAME: name }));

    export(&server, &["team/app:v1", &path("bare"), "--no-referrers"]);
    let files = files_in(&directory.path().join("bare"));
    assert_whole(&files);
    assert_eq!(
        index_of(&files)["manifests"].as_array().map(Vec::len),
        Some(1)
    );
}

#[test]
fn the_same_content_gives_the_same_bytes() {
    let server = Server::start();
    let mut client = server.client();
    push_everything(&mut client);
    Image::small(20).push(&mut client, "other", "v1");
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path().join("a.tar").display().to_string();
    export(&server, &["team/app", "other:v1", &path]);
    let archive = std::fs::read(&path).expect("an archive");
    let streamed = export(&server, &["other", "team/app:v1", "-"]);
    assert_eq!(streamed.stdout, archive);
    let said = String::from_utf8(streamed.stderr).expect("text");
    assert!(
        said.starts_with("exported 2 images and 3 signatures"),
        "{said}"
    );
    assert_eq!(
        export(&server, &["*{app,other}", "team/*", "-"]).stdout,
        archive
    );
    let files = files_of(&archive);
    assert_whole(&files);
    let layout = directory.path().join("layout").display().to_string();
    export(&server, &["team/app", "other", &layout]);
    assert_eq!(files_in(&directory.path().join("layout")), files);
    // a tag does not tell images of two repositories apart
    let short: Vec<_> = index_of(&files)["manifests"]
        .as_array()
        .expect("a list")
        .iter()
        .filter_map(|entry| entry["annotations"][REF_NAME].as_str().map(str::to_owned))
        .collect();
    assert_eq!(short, ["other:v1", "team/app:v1"]);
}

#[test]
fn references_are_read_as_everywhere() {
    let server = Server::start();
    let pushed = push_everything(&mut server.client());
    let by_tag = export(&server, &["team/app:v1", "-"]).stdout;
    for reference in [
        "localhost:5000/team/app:v1",
        "http://localhost:5000/team/app:v*",
    ] {
        assert_eq!(
            export(&server, &[reference, "-"]).stdout,
            by_tag,
            "{reference}"
        );
    }
    let prefix = format!("team/app@{}", &pushed.index[..20]);
    let files = files_of(&export(&server, &[&prefix, "-"]).stdout);
    assert_whole(&files);
    let entries = index_of(&files)["manifests"].clone();
    let named: Vec<_> = entries
        .as_array()
        .expect("a list")
        .iter()
        .filter_map(|entry| entry["annotations"][IMAGE_NAME].as_str())
        .collect();
    assert_eq!(named, [format!("team/app@{}", pushed.index)]);
    for reference in ["team/app:v2", "team/none", "none/*", "team/app@sha256:0000"] {
        refusal(&server, &[reference, "-"]);
    }
}

#[test]
fn one_platform_is_taken_out_of_an_index() {
    let server = Server::start();
    let pushed = push_everything(&mut server.client());
    let exported = export(&server, &["team/app:v1", "-", "--platform", "linux/arm64"]);
    let files = files_of(&exported.stdout);
    assert_whole(&files);
    let content = content_of(&files);
    assert!(content.contains(&pushed.children[1]) && !content.contains(&pushed.index));
    let entry = index_of(&files)["manifests"][0].clone();
    assert_eq!(entry["digest"], pushed.children[1]);
    assert_eq!(
        entry["platform"],
        json!({ "os": "linux", "architecture": "arm64" })
    );
    assert_eq!(entry["annotations"][IMAGE_NAME], "team/app:v1");
    // an image that is no index has its platform in its config
    Image::small(3).push(&mut server.client(), "one", "v1");
    export(&server, &["one:v1", "-", "--platform", "linux/amd64"]);
    for reference in ["one:v1", "team/app:v1"] {
        let said = refusal(&server, &[reference, "-", "--platform", "linux/s390x"]);
        assert!(
            said.contains("linux/s390x") && said.contains("linux/amd64"),
            "{said}"
        );
    }
}

#[test]
fn docker_load_finds_its_images() {
    let server = Server::start();
    push_everything(&mut server.client());
    let exported = export(
        &server,
        &["team/app:v1", "-", "--docker", "--platform", "linux/arm64"],
    );
    let files = files_of(&exported.stdout);
    assert_whole(&files);
    let list: Value = serde_json::from_slice(&files["manifest.json"]).expect("JSON");
    assert_eq!(list.as_array().map(Vec::len), Some(1));
    assert_eq!(list[0]["RepoTags"], json!(["team/app:v1"]));
    let layers = list[0]["Layers"].as_array().expect("a list");
    let paths: Vec<_> = layers.iter().filter_map(Value::as_str).collect();
    let wanted = [noise(1, 50_000), noise(2, 70_000)]
        .map(|layer| format!("blobs/{}", sha256(&layer).replace(':', "/")));
    assert_eq!(paths, wanted);
    assert!(files.contains_key(list[0]["Config"].as_str().expect("a path")));
    let said = refusal(&server, &["team/app:v1", "-", "--docker"]);
    assert!(said.contains("--platform"), "{said}");
}

/// Children that a sparse index names and that are not stored are left out, and named.
#[test]
fn absent_children_are_named() {
    let server = Server::with(&[("REGISTRY_MANIFESTS_SPARSE", "true")]);
    let mut client = server.client();
    let (here, absent) = (Image::small(1), Image::small(2));
    here.push(&mut client, "app", "here");
    let children = [&here, &absent].map(|image| descriptor(OCI_MANIFEST, &image.manifest));
    let index = json!({ "schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": children });
    put(
        &mut client,
        "app",
        "v1",
        OCI_INDEX,
        index.to_string().as_bytes(),
    );
    let output = server.cli(&["export", "app:v1", "-"]);
    assert_eq!(output.status.code(), Some(3), "{output:?}");
    let said = String::from_utf8(output.stderr).expect("text");
    assert!(
        said.contains(&format!("{} of app:v1 is not stored", absent.digest())),
        "{said}"
    );
    assert!(content_of(&files_of(&output.stdout)).contains(&here.digest()));
    // an image without a layer could not be run
    put(&mut client, "app", "gap", OCI_MANIFEST, &absent.manifest);
    let said = refusal(&server, &["app:gap", "-"]);
    assert!(said.contains("app:gap needs sha256:"), "{said}");
}
