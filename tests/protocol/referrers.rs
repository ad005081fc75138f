//! The referrers API.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use super::{artifact, digest_of, index, next_page, pages, pointer, push, push_image, put, sha512};
use crate::support::{Client, OCI_INDEX, OCI_MANIFEST, Response, Server, sha256};

const SIGNATURE: &str = "application/vnd.example.signature+json";
const SBOM: &str = "application/vnd.example.sbom";

fn listed(response: &Response) -> Vec<Value> {
    assert_eq!(
        (response.status, response.header("content-type")),
        (200, Some(OCI_INDEX))
    );
    let body = response.json();
    assert_eq!(
        (&body["schemaVersion"], &body["mediaType"]),
        (&json!(2), &json!(OCI_INDEX))
    );
    body["manifests"].as_array().expect("descriptors").clone()
}

fn digests(descriptors: &[Value]) -> BTreeSet<String> {
    descriptors
        .iter()
        .map(|one| one["digest"].as_str().expect("a digest").to_owned())
        .collect()
}

/// Pushes a manifest with a subject and asserts that the server confirms the subject.
fn push_about(client: &mut Client, repository: &str, manifest: &Value) -> String {
    let digest = digest_of(manifest);
    let response = put(client, repository, &digest, manifest);
    assert_eq!(
        (response.status, response.header("oci-subject")),
        (201, manifest["subject"]["digest"].as_str())
    );
    digest
}

#[test]
fn referrers_are_described_and_filtered() {
    let server = Server::start();
    let mut client = server.client();
    let subject = push_image(&mut client, "a", "v1", "1");
    client.push_blob("a", b"{}");
    let mut signature = artifact(SIGNATURE, pointer(&subject));
    signature["annotations"] = json!({ "org.example.created": "today", "quote": "\"\\\u{1}" });
    let sbom = artifact(SBOM, pointer(&subject));
    // without an artifact type, the config's media type counts
    let mut untyped = artifact("", pointer(&subject));
    untyped.as_object_mut().unwrap().remove("artifactType");
    untyped["config"]["mediaType"] = SBOM.into();
    let mut typed_index = index(&[]);
    typed_index["artifactType"] = SIGNATURE.into();
    typed_index["subject"] = pointer(&subject);
    for manifest in [&signature, &sbom, &untyped, &typed_index] {
        push_about(&mut client, "a", manifest);
    }
    let path = format!("/v2/a/referrers/{}", digest_of(&subject));
    let all = client.get(&path);
    assert_eq!(all.header("oci-filters-applied"), None);
    let all = listed(&all);
    assert_eq!(all.len(), 4);
    let described = all
        .iter()
        .find(|one| one["digest"] == digest_of(&signature))
        .expect("the signature");
    let expected = json!({
        "mediaType": OCI_MANIFEST, "digest": digest_of(&signature), "size": signature.to_string().len(),
        "artifactType": SIGNATURE, "annotations": signature["annotations"],
    });
    assert_eq!(*described, expected);
    for (artifact_type, expected) in [
        (SIGNATURE, vec![&signature, &typed_index]),
        (SBOM, vec![&sbom, &untyped]),
        ("application/none", vec![]),
    ] {
        let encoded = artifact_type.replace('+', "%2B").replace('/', "%2F");
        let response = client.get(&format!("{path}?artifactType={encoded}"));
        assert_eq!(response.header("oci-filters-applied"), Some("artifactType"));
        let expected: BTreeSet<_> = expected.into_iter().map(digest_of).collect();
        assert_eq!(digests(&listed(&response)), expected, "{artifact_type}");
    }
    let head = client.head(&path);
    assert_eq!(
        (head.status, head.header("content-type")),
        (200, Some(OCI_INDEX))
    );
}

/// A media type contains no space: an unencoded plus can only be a plus.
#[test]
fn a_filter_with_a_bare_plus_is_understood() {
    let server = Server::start();
    let mut client = server.client();
    let subject = push_image(&mut client, "a", "v1", "1");
    client.push_blob("a", b"{}");
    push_about(&mut client, "a", &artifact(SIGNATURE, pointer(&subject)));
    let response = client.get(&format!(
        "/v2/a/referrers/{}?artifactType={SIGNATURE}",
        digest_of(&subject)
    ));
    assert_eq!(listed(&response).len(), 1);
}

#[test]
fn an_unknown_subject_has_an_empty_index() {
    let server = Server::start();
    let mut client = server.client();
    push_image(&mut client, "a", "v1", "1");
    for repository in ["a", "unknown/repository"] {
        for digest in [sha256(b"nothing"), sha512(b"nothing")] {
            let response = client.get(&format!(
                "/v2/{repository}/referrers/{digest}?artifactType=x"
            ));
            assert!(listed(&response).is_empty());
            assert_eq!(response.header("oci-filters-applied"), Some("artifactType"));
        }
    }
    for reference in ["v1", "sha256:short", "md5:00"] {
        client
            .get(&format!("/v2/a/referrers/{reference}"))
            .refused(400, "DIGEST_INVALID");
    }
}

#[test]
fn a_subject_may_be_pushed_later_deleted_and_pushed_again() {
    let server = Server::start();
    let mut client = server.client();
    client.push_blob("a", b"{}");
    let subject = index(&[]);
    let signature = artifact(SIGNATURE, pointer(&subject));
    let path = format!("/v2/a/referrers/{}", digest_of(&subject));
    let expected = BTreeSet::from([push_about(&mut client, "a", &signature)]);
    assert_eq!(digests(&listed(&client.get(&path))), expected);
    push(&mut client, "a", "v1", &subject);
    assert_eq!(digests(&listed(&client.get(&path))), expected);
    assert_eq!(
        client
            .delete(&format!("/v2/a/manifests/{}", digest_of(&subject)))
            .status,
        202
    );
    assert_eq!(digests(&listed(&client.get(&path))), expected);
    push(&mut client, "a", "v1", &subject);
    // a signature of a signature, and one that is deleted
    let second = artifact(SBOM, pointer(&signature));
    push_about(&mut client, "a", &second);
    assert_eq!(
        client
            .delete(&format!("/v2/a/manifests/{}", digest_of(&signature)))
            .status,
        202
    );
    assert!(listed(&client.get(&path)).is_empty());
    let of_signature = client.get(&format!("/v2/a/referrers/{}", digest_of(&signature)));
    assert_eq!(
        digests(&listed(&of_signature)),
        BTreeSet::from([digest_of(&second)])
    );
    assert!(listed(&client.get(&format!("/v2/b/referrers/{}", digest_of(&signature)))).is_empty());
}

#[test]
fn pages_of_referrers_are_linked() {
    const COUNT: usize = 1050;
    let server = Server::start();
    server.client().push_blob("a", b"{}");
    let subject = pointer(&index(&[]));
    let numbered = |number: usize| {
        let mut manifest = artifact(
            if number.is_multiple_of(3) {
                SBOM
            } else {
                SIGNATURE
            },
            subject.clone(),
        );
        manifest["annotations"] = json!({ "number": number.to_string() });
        manifest
    };
    std::thread::scope(|scope| {
        for worker in 0..8 {
            let (server, numbered) = (&server, &numbered);
            scope.spawn(move || {
                let mut client = server.client();
                (worker..COUNT)
                    .step_by(8)
                    .for_each(|number| _ = push_about(&mut client, "a", &numbered(number)));
            });
        }
    });
    let mut client = server.client();
    let path = format!("/v2/a/referrers/{}", subject["digest"].as_str().unwrap());
    let all: Vec<_> = pages(&mut client, &path).iter().flat_map(listed).collect();
    assert_eq!((all.len(), digests(&all).len()), (COUNT, COUNT));
    assert!(next_page(&client.get(&path)).is_some());
    let filtered: Vec<_> = pages(
        &mut client,
        &format!("{path}?artifactType={}", SIGNATURE.replace('+', "%2B")),
    )
    .iter()
    .flat_map(listed)
    .collect();
    let expected: BTreeSet<_> = (0..COUNT)
        .filter(|number| number % 3 != 0)
        .map(|number| digest_of(&numbered(number)))
        .collect();
    assert_eq!(
        (filtered.len(), digests(&filtered)),
        (expected.len(), expected)
    );
}

/// Clients read at most 4 MiB of an index, so annotations make a page end early.
#[test]
fn a_page_of_large_referrers_stays_readable() {
    let server = Server::start();
    let mut client = server.client();
    client.push_blob("a", b"{}");
    let subject = pointer(&index(&[]));
    let mut pushed = BTreeSet::new();
    for (number, padding) in ["x", "\u{1}", "\"", "\u{e9}", "x"].into_iter().enumerate() {
        let mut manifest = artifact(SIGNATURE, subject.clone());
        let length = (3 << 20) / 2 / json!(padding).to_string().len().saturating_sub(2).max(1);
        manifest["annotations"] = json!({ "number": number, "padding": padding.repeat(length) });
        manifest["annotations"]["number"] = number.to_string().into();
        pushed.insert(push_about(&mut client, "a", &manifest));
    }
    let found = pages(
        &mut client,
        &format!("/v2/a/referrers/{}", subject["digest"].as_str().unwrap()),
    );
    found.iter().for_each(|page| {
        assert!(
            page.body.len() <= 4 << 20,
            "a page of {} bytes",
            page.body.len()
        )
    });
    let all: Vec<_> = found.iter().flat_map(listed).collect();
    assert_eq!((all.len(), digests(&all)), (5, pushed));
}

/// The list is built from the manifests themselves: large ones are not all read for one page.
#[test]
fn a_page_of_referrers_reads_a_bounded_amount() {
    let server = Server::start();
    let mut client = server.client();
    client.push_blob("a", b"{}");
    let subject = pointer(&index(&[]));
    let mut pushed = BTreeSet::new();
    for number in 0..5 {
        let mut manifest = artifact(SIGNATURE, subject.clone());
        // invalid, so not listed
        manifest["padding"] = format!("{number}{}", " ".repeat(7 << 19)).into();
        pushed.insert(push_about(&mut client, "a", &manifest));
    }
    let found = pages(
        &mut client,
        &format!("/v2/a/referrers/{}", subject["digest"].as_str().unwrap()),
    );
    assert_eq!(
        found
            .iter()
            .map(|page| listed(page).len())
            .collect::<Vec<_>>(),
        [4, 1]
    );
    let all: Vec<_> = found.iter().flat_map(listed).collect();
    assert_eq!(digests(&all), pushed);
}
