//! Pages, entity tags, and errors.

use serde_json::Value;

use super::printed;
use crate::support::{Image, Server};

/// Collects a list from all its pages, and returns their number.
fn collected(server: &Server, path: &str, key: &str) -> (Vec<Value>, usize) {
    let (mut items, mut pages) = (Vec::new(), 0);
    let mut next = Some(path.to_owned());
    while let Some(path) = next {
        let response = server.client().get(&path);
        assert_eq!(response.status, 200, "{path}");
        let page = response.json();
        items.extend(page[key].as_array().expect("a list").iter().cloned());
        pages += 1;
        assert!(pages < 100, "{path}");
        next = response.header("link").map(|link| {
            let link = link.strip_suffix(">; rel=\"next\"").expect("a next page");
            link.trim_start_matches('<').to_owned()
        });
    }
    (items, pages)
}

#[test]
fn pages_are_the_whole_list_in_every_order() {
    let server = Server::with(&[
        ("REGISTRY_HTTP_PREFIX", "/below/"),
        ("REGISTRY_STORAGE_DELETE_ENABLED", "true"),
    ]);
    let mut client = server.client();
    let manifest = Image::small(1);
    let config = "application/vnd.oci.image.config.v1+json";
    assert!(config.len() < 100);
    for number in 0..7 {
        let image = Image::small(number);
        for tag in [number, number + 10] {
            push_below(&mut client, &image, "app", &format!("pr-{tag}"));
        }
        push_below(&mut client, &image, &format!("team/app-{number}"), "v1");
    }
    push_below(&mut client, &manifest, "team/app-1", "v2");
    for number in 0..7 {
        for tag in [number, number + 10] {
            let path = format!("/below/v2/app/manifests/pr-{tag}");
            assert_eq!(client.delete(&path).status, 202);
        }
    }
    for number in 0..7 {
        push_below(
            &mut client,
            &Image::small(number),
            "tagged/app",
            &format!("v{number}"),
        );
    }
    for sort in ["name", "size", "pushed", "pulled"] {
        for (command, path, key) in [
            (&["ls"][..], "repositories", "repositories"),
            (&["ls", "tagged/app"], "tags/tagged/app", "tags"),
            (&["ls", "*/**:v*"], "tags?repositories=*/**&tags=v*", "tags"),
            (&["ls", "--untagged"], "untagged", "images"),
            (&["du", "**"], "usage?repositories=**", "repositories"),
            (&["du", "tagged/app"], "usage/tagged/app", "tags"),
        ] {
            let mark = if path.contains('?') { '&' } else { '?' };
            let path = format!("/below/api/v1/{path}{mark}sort={sort}&n=2");
            let (items, pages) = collected(&server, &path, key);
            let whole = printed(&server, &[command, &["--sort", sort]].concat());
            assert_eq!(Value::from(items), whole[key], "{path}");
            assert!(pages > 2, "{path} has {pages}");
        }
    }
    let (items, pages) = collected(&server, "/below/api/v1/trash?n=3", "restorable");
    assert_eq!(
        Value::from(items),
        printed(&server, &["restore"])["restorable"]
    );
    assert!(pages > 2);
}

fn push_below(client: &mut crate::support::client::Client, image: &Image, name: &str, tag: &str) {
    for blob in image.layers.iter().chain([&image.config]) {
        let path = format!(
            "/below/v2/{name}/blobs/uploads/?digest={}",
            crate::support::sha256(blob)
        );
        assert_eq!(client.request("POST", &path).body(blob).send().status, 201);
    }
    let path = format!("/below/v2/{name}/manifests/{tag}");
    let put = client
        .request("PUT", &path)
        .header("Content-Type", crate::support::OCI_MANIFEST);
    assert_eq!(put.body(&image.manifest).send().status, 201);
}

#[test]
fn an_answer_that_is_known_is_not_sent_again() {
    let server = Server::start();
    let mut client = server.client();
    Image::small(1).push(&mut client, "team/app", "v1");
    let first = client.get("/api/v1/tags/team/app");
    let tag = first.header("etag").expect("an entity tag").to_owned();
    assert_eq!(first.header("cache-control"), Some("private, no-cache"));
    let again = |client: &mut crate::support::client::Client| {
        let request = client.request("GET", "/api/v1/tags/team/app");
        request.header("If-None-Match", &tag).send()
    };
    let known = again(&mut client);
    assert_eq!((known.status, known.body.len()), (304, 0));
    assert_eq!(known.header("etag"), Some(&*tag));
    Image::small(2).push(&mut client, "team/app", "v2");
    let changed = again(&mut client);
    assert_eq!(changed.status, 200);
    assert_ne!(changed.header("etag"), Some(&*tag));
    let head = client.head("/api/v1/tags/team/app");
    assert_eq!(
        (head.status, head.header("etag")),
        (200, changed.header("etag"))
    );
}

#[test]
fn errors_have_one_form() {
    let server = Server::start();
    let mut client = server.client();
    Image::small(1).push(&mut client, "team/app", "v1");
    for (path, status, code) in [
        ("repositories?sorted=size", 400, "UNSUPPORTED"),
        ("repositories?sort=colour", 400, "UNSUPPORTED"),
        ("repositories?n=-1", 400, "UNSUPPORTED"),
        ("repositories?since=yesterday", 400, "UNSUPPORTED"),
        ("repositories?repositories=[", 400, "UNSUPPORTED"),
        ("repositories?tags=v*", 400, "UNSUPPORTED"),
        ("repositories?sort=size&last=app", 400, "UNSUPPORTED"),
        ("tags/team/app?repositories=**", 400, "UNSUPPORTED"),
        ("tags/Team", 400, "NAME_INVALID"),
        ("manifests/team/app/-", 400, "TAG_INVALID"),
        ("why/sha256:1", 400, "DIGEST_INVALID"),
        ("tags/none", 404, "NAME_UNKNOWN"),
        ("usage/none", 404, "NAME_UNKNOWN"),
        ("manifests/team/app/none", 404, "MANIFEST_UNKNOWN"),
        ("history/team/app/none", 404, "MANIFEST_UNKNOWN"),
        ("nothing", 404, "UNSUPPORTED"),
        ("", 404, "UNSUPPORTED"),
    ] {
        let response = client.get(&format!("/api/v1/{path}"));
        assert_eq!(
            (response.status, &*response.error_code()),
            (status, code),
            "{path}"
        );
        assert_eq!(
            response.header("content-type"),
            Some("application/json"),
            "{path}"
        );
    }
    let unknown = format!("/api/v1/why/{}", crate::support::sha256(b"never"));
    client.get(&unknown).refused(404, "BLOB_UNKNOWN");
    let wrong = client.delete("/api/v1/repositories");
    wrong.refused(405, "UNSUPPORTED");
    assert_eq!(wrong.header("allow"), Some("GET, HEAD"));
}

/// Labels of an image are text of whoever pushed it.
#[test]
fn hostile_text_is_escaped() {
    let server = Server::start();
    let mut client = server.client();
    let label = "<script>\u{202e}\u{7}\"";
    let config = serde_json::json!({ "architecture": "amd64", "os": "linux", "config": { "Labels": { "x": label } } });
    let image = Image::small(1).with_config(config.to_string().into_bytes());
    image.push(&mut client, "team/app", "v1");
    let response = client.get("/api/v1/manifests/team/app/v1");
    let text = String::from_utf8(response.body.clone()).expect("text");
    assert!(!text.contains(['\u{202e}', '\u{7}']), "{text}");
    assert_eq!(response.json()["image"]["labels"]["x"], label);
    assert_eq!(response.header("x-content-type-options"), Some("nosniff"));
}
