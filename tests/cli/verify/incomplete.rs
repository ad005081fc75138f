//! Images that name content which is not stored.

use std::path::Path;

use serde_json::{Value, json};

use super::{path_of, replace};
use crate::support::{Image, OCI_INDEX, OCI_MANIFEST, Server, descriptor, noise, sha256};

/// Runs `registry verify`; returns the exit code and the report.
fn verify(server: &Server, flags: &[&str]) -> (Option<i32>, Value) {
    let output = server.cli(&[&["verify", "--output", "json"], flags].concat());
    let printed = serde_json::from_slice(&output.stdout).unwrap_or_else(|_| panic!("{output:?}"));
    (output.status.code(), printed)
}

/// Fills a registry with a whole image, one that lacks its layer, and an index that lacks its child; returns these.
fn fill(directory: &Path) -> (Image, Image, String) {
    let sparse = Server::at(directory, &[("REGISTRY_MANIFESTS_SPARSE", "true")]);
    let mut client = sparse.client();
    let (whole, lacking) = (Image::small(1), Image::new("x", vec![noise(3, 99)]));
    whole.push(&mut client, "app", "whole");
    client.push_blob("app", &lacking.config);
    client.put_manifest("app", "layer", OCI_MANIFEST, &lacking.manifest);
    let child = descriptor(OCI_MANIFEST, b"never comes");
    let index = json!({ "schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": [child] });
    client.put_manifest("list", "child", OCI_INDEX, index.to_string().as_bytes());
    assert_eq!(verify(&sparse, &[]).0, Some(0));
    (whole, lacking, index.to_string())
}

#[test]
fn images_with_a_gap_are_named_unless_the_server_accepts_them() {
    let directory = tempfile::tempdir().expect("a directory");
    let (whole, lacking, _) = fill(directory.path());
    let server = Server::at(directory.path(), &[]);
    let (code, printed) = verify(&server, &[]);
    assert_eq!(
        (code, &printed["findingCount"], &printed["incompleteCount"]),
        (Some(3), &json!(0), &json!(2)),
        "{printed}"
    );
    let findings = printed["findings"].as_array().expect("a list");
    assert_eq!(findings.len(), 2, "{printed}");
    for (finding, tag, missing) in [
        (&findings[0], "layer", sha256(&lacking.layers[0])),
        (&findings[1], "child", sha256(b"never comes")),
    ] {
        assert_eq!(
            (&finding["kind"], &finding["images"][0]["tags"]),
            (&json!("incomplete"), &json!([tag]))
        );
        assert!(
            finding["problem"].to_string().contains(&missing),
            "{finding}"
        );
    }
    assert_eq!(verify(&server, &["list"]).1["incompleteCount"], 1);
    let text = server.cli(&["verify"]);
    let text = String::from_utf8_lossy(&text.stdout);
    assert!(text.contains("needed by app:layer"), "{text}");

    // damage is told from a gap
    replace(&path_of(&server, &sha256(&whole.layers[0])), b"x");
    let (code, printed) = verify(&server, &[]);
    assert_eq!(
        (code, &printed["findingCount"], &printed["incompleteCount"]),
        (Some(1), &json!(1), &json!(2))
    );
}

/// A backup has what is here.
#[test]
fn a_backup_names_them() {
    let directory = tempfile::tempdir().expect("a directory");
    fill(directory.path());
    let server = Server::at(directory.path(), &[]);
    let (_, printed) = verify(&server, &[]);
    let findings = printed["findings"].as_array().expect("a list");
    let to = tempfile::tempdir().expect("a directory");
    let to = to.path().join("backup");
    let backup = ["backup", to.to_str().expect("text")];
    let output = server.cli(&[&backup[..], &["--output", "json"]].concat());
    assert_eq!(output.status.code(), Some(3), "{output:?}");
    let made: Value = serde_json::from_slice(&output.stdout).expect("JSON");
    assert_eq!(
        (&made["incompleteCount"], &made["damaged"]),
        (&json!(2), &json!([]))
    );
    for (image, finding) in made["incomplete"]
        .as_array()
        .expect("a list")
        .iter()
        .zip(findings)
    {
        assert_eq!(image["images"], finding["images"]);
        assert_eq!(image["problem"], finding["problem"]);
    }
    let text = server.cli(&backup);
    let text = String::from_utf8_lossy(&text.stdout);
    assert!(text.contains("incomplete app:layer: it needs"), "{text}");
}

/// Whoever asks for what is missing learns which image needs it.
#[test]
fn a_pull_of_what_is_missing_says_what_needs_it() {
    let directory = tempfile::tempdir().expect("a directory");
    let (_, lacking, index) = fill(directory.path());
    let server = Server::at(directory.path(), &[]);
    let client = &mut server.client();
    let layer = sha256(&lacking.layers[0]);
    let answer = client.get(&format!("/v2/app/blobs/{layer}"));
    answer.refused(404, "BLOB_UNKNOWN");
    let error = &answer.json()["errors"][0];
    assert_eq!(
        error["detail"],
        json!({ "digest": layer, "neededBy": lacking.digest() })
    );
    assert!(
        error["message"]
            .to_string()
            .contains("push that image again"),
        "{error}"
    );
    let child = sha256(b"never comes");
    let answer = client.get(&format!("/v2/list/manifests/{child}"));
    answer.refused(404, "MANIFEST_UNKNOWN");
    let detail = &answer.json()["errors"][0]["detail"];
    assert_eq!(
        detail,
        &json!({ "name": "list", "reference": child, "neededBy": sha256(index.as_bytes()) })
    );
    let answer = client.get(&format!("/v2/app/blobs/{}", sha256(b"unknown")));
    assert_eq!(
        answer.json()["errors"][0]["detail"],
        json!({ "digest": sha256(b"unknown") })
    );
}
