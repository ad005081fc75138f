//! Invalid, oversized and ambiguous manifests.

use serde_json::json;

use crate::protocol::{CONFIG, DOCKER_LIST, DOCKER_MANIFEST, LAYER, image, index, push};
use crate::support::{Client, OCI_INDEX, OCI_MANIFEST, Server, descriptor};

const LIMIT: usize = 4 << 20;

/// An image manifest of exactly `size` bytes.
fn sized(size: usize) -> Vec<u8> {
    let mut manifest = image(b"{}", &[]);
    manifest["annotations"] = json!({ "padding": "" });
    let padding = "x".repeat(size - manifest.to_string().len());
    manifest["annotations"]["padding"] = padding.into();
    manifest.to_string().into_bytes()
}

fn assert_nothing_stored(client: &mut Client) {
    client.get("/v2/a/tags/list").refused(404, "NAME_UNKNOWN");
    assert_eq!(client.get("/v2/_catalog").json()["repositories"], json!([]));
}

#[test]
fn documents_other_than_manifests_are_refused() {
    let server = Server::start();
    let mut client = server.client();
    client.push_blob("a", b"{}");
    let (config, digest) = (descriptor(CONFIG, b"{}"), crate::support::sha256(b"{}"));
    let nested =
        |depth: usize| format!("{{\"config\":{}{}}}", "[".repeat(depth), "]".repeat(depth));
    for (media_type, body) in [
        (OCI_MANIFEST, String::new()),
        (OCI_MANIFEST, "{".to_owned()),
        (OCI_MANIFEST, "null".to_owned()),
        (OCI_MANIFEST, "[]".to_owned()),
        (OCI_MANIFEST, "\"text\"".to_owned()),
        (OCI_MANIFEST, json!([2, OCI_MANIFEST, null, config, [], null, null, null, null]).to_string()),
        (OCI_MANIFEST, json!({ "schemaVersion": 2, "config": [CONFIG, digest], "layers": [] }).to_string()),
        (OCI_MANIFEST, "not JSON".to_owned()),
        (OCI_MANIFEST, format!("{} trailing", image(b"{}", &[]))),
        (OCI_MANIFEST, format!("{}\0", image(b"{}", &[]))),
        (OCI_MANIFEST, nested(100_000)),
        (OCI_MANIFEST, format!("{{\"annotations\":{}1{}}}", "{\"a\":".repeat(100_000), "}".repeat(100_000))),
        (OCI_MANIFEST, json!({ "schemaVersion": 2, "config": config, "layers": "none" }).to_string()),
        (OCI_MANIFEST, json!({ "schemaVersion": 2, "config": { "mediaType": CONFIG, "size": 2 }, "layers": [] }).to_string()),
        (OCI_MANIFEST, json!({ "schemaVersion": 2, "config": { "digest": "sha256:short" }, "layers": [] }).to_string()),
        (OCI_MANIFEST, json!({ "schemaVersion": 2, "config": { "digest": "../../etc/passwd" }, "layers": [] }).to_string()),
        (OCI_MANIFEST, json!({ "schemaVersion": 2, "config": config, "layers": [], "subject": { "digest": "x" } }).to_string()),
        (OCI_MANIFEST, json!({ "schemaVersion": 3, "config": config, "layers": [] }).to_string()),
        (OCI_MANIFEST, json!({ "schemaVersion": 1, "config": config, "layers": [] }).to_string()),
        (OCI_MANIFEST, "{}".to_owned()),
        (OCI_MANIFEST, json!({ "config": config, "layers": [] }).to_string()),
        (OCI_MANIFEST, json!({ "schemaVersion": 2, "layers": [] }).to_string()),
        (OCI_INDEX, json!({ "manifests": [] }).to_string()),
        (OCI_MANIFEST, format!("{{\"config\":{{\"digest\":\"{digest}\"}},\"config\":{{\"digest\":\"{digest}\"}}}}")),
        ("application/vnd.docker.distribution.manifest.v1+prettyjws", json!({ "schemaVersion": 1, "fsLayers": [] }).to_string()),
        ("application/vnd.docker.distribution.manifest.v1+json", json!({ "schemaVersion": 1, "fsLayers": [] }).to_string()),
    ] {
        let response = client.put_manifest("a", "v1", media_type, body.as_bytes());
        assert_eq!(response.status, 400, "{}", body.chars().take(200).collect::<String>());
        response.refused(400, "MANIFEST_INVALID");
    }
    assert_nothing_stored(&mut client);
}

/// Two readers must not interpret one document differently (CVE-2021-41190).
#[test]
fn ambiguous_documents_are_refused() {
    let server = Server::start();
    let mut client = server.client();
    client.push_blob("a", b"{}");
    let image = image(b"{}", &[]);
    let index = index(&[]);
    let mut both = image.clone();
    both["manifests"] = json!([]);
    let mut both_as_index = both.clone();
    both_as_index["mediaType"] = OCI_INDEX.into();
    let untyped = |mut value: serde_json::Value| {
        value.as_object_mut().unwrap().remove("mediaType");
        value
    };
    for (content_type, manifest) in [
        (OCI_MANIFEST, &both),
        (OCI_INDEX, &both_as_index),
        (DOCKER_LIST, &untyped(both.clone())),
        (DOCKER_MANIFEST, &untyped(both.clone())),
        (OCI_INDEX, &image),
        (OCI_MANIFEST, &index),
        (DOCKER_MANIFEST, &image),
        (DOCKER_LIST, &index),
        ("application/octet-stream", &image),
        (OCI_INDEX, &untyped(image.clone())),
        (OCI_MANIFEST, &untyped(index.clone())),
        ("no media type", &image),
        ("", &image),
    ] {
        let response =
            client.put_manifest("a", "v1", content_type, manifest.to_string().as_bytes());
        assert_eq!(response.status, 400, "{content_type}: {manifest}");
        response.refused(400, "MANIFEST_INVALID");
    }
    assert_nothing_stored(&mut client);
}

/// Go's clients take a key for a field's name if only its case differs: they would pull what no rule has seen.
#[test]
fn keys_that_differ_from_known_ones_in_case_are_refused() {
    let server = Server::with(&[("REGISTRY_VALIDATION_MANIFESTS_URLS_DENY", "['.']")]);
    let mut client = server.client();
    client.push_blob("a", b"{}");
    let image = image(b"{}", &[b"{}"]).to_string();
    let layer = descriptor(LAYER, b"{}").to_string();
    let mut child = descriptor(OCI_MANIFEST, b"{}");
    child["platform"] =
        json!({ "os": "linux", "architecture": "amd64", "variant": "v8", "os.version": "1" });
    let index = index(&[child]).to_string();
    let with = |members: &str| image.replacen('{', &format!("{{{members},"), 1);
    let refused = [
        (OCI_MANIFEST, image.replace("\"layers\"", "\"Layers\"")),
        (
            OCI_MANIFEST,
            image.replace("\"layers\"", "\"\\u004cayers\""),
        ),
        (OCI_MANIFEST, with(&format!("\"LAYERS\":[{layer}]"))),
        (OCI_MANIFEST, with("\"Subject\":{}")),
        (OCI_MANIFEST, with("\"Annotations\":{}")),
        (OCI_MANIFEST, with("\"artifacttype\":\"a/b\"")),
        (OCI_MANIFEST, with("\"manife\u{17f}ts\":[]")),
        (OCI_MANIFEST, with("\"x\":1,\"X\":2")),
        (OCI_MANIFEST, with("\"\u{212a}ind\":1,\"kind\":2")),
        (
            OCI_MANIFEST,
            image.replace("\"size\"", "\"URLs\":[\"https://example.com/\"],\"size\""),
        ),
        (
            OCI_MANIFEST,
            image.replace("\"size\"", "\"Digest\":\"x\",\"size\""),
        ),
        (OCI_INDEX, index.replace("\"os\"", "\"OS\"")),
        (
            OCI_INDEX,
            index.replace("\"os.version\"", "\"o\u{17f}.version\""),
        ),
        (OCI_INDEX, index.replace("\"variant\"", "\"Variant\"")),
        (OCI_INDEX, index.replace("\"platform\"", "\"Platform\"")),
    ];
    for (media_type, body) in refused {
        let response = client.put_manifest("a", "v1", media_type, body.as_bytes());
        assert_eq!(response.status, 400, "{body}");
        response.refused(400, "MANIFEST_INVALID");
    }
    assert_nothing_stored(&mut client);
    // annotations have no names of fields, and neither has what nobody reads
    let free =
        r#""annotations":{"Layers":"","layers":"","URLs":""},"x-vendor":{"Layers":1,"layers":2}"#;
    for (media_type, body) in [(OCI_MANIFEST, with(free)), (OCI_INDEX, index)] {
        let response = client.put_manifest("a", "v1", media_type, body.as_bytes());
        assert_eq!(response.status, 201, "{body}");
    }
}

/// A browser runs what is `text/html` or `image/svg+xml`, with the rights of a page of the same origin.
#[test]
fn types_that_are_not_json_are_refused() {
    let server = Server::start();
    let mut client = server.client();
    client.push_blob("a", b"{}");
    let mut image = image(b"{}", &[]);
    for media_type in [
        "text/html",
        "Text/HTML",
        "image/svg+xml",
        "application/xhtml+xml",
        "text/javascript",
        "text/plain",
        "application/octet-stream",
        "application/vnd.example.jsonx",
        "text/html; charset=utf-8+json",
    ] {
        image["mediaType"] = media_type.into();
        let typed = image.to_string();
        image.as_object_mut().unwrap().remove("mediaType");
        let untyped = image.to_string();
        for body in [typed, untyped] {
            client
                .put_manifest("a", "v1", media_type, body.as_bytes())
                .refused(400, "MANIFEST_INVALID");
        }
    }
    assert_nothing_stored(&mut client);
    for media_type in [
        "application/json",
        "application/vnd.example+JSON",
        "text/json",
    ] {
        let answer = client.put_manifest("a", "v1", media_type, image.to_string().as_bytes());
        assert_eq!(answer.status, 201, "{media_type}");
        image["annotations"] = json!({ "pushed": media_type });
    }
}

#[test]
fn manifests_of_up_to_four_mebibytes_are_accepted() {
    let server = Server::start();
    let mut client = server.client();
    client.push_blob("a", b"{}");
    let largest = sized(LIMIT);
    assert_eq!(
        client
            .put_manifest("a", "largest", OCI_MANIFEST, &largest)
            .status,
        201
    );
    assert!(client.get("/v2/a/manifests/largest").body == largest);
    for size in [LIMIT + 1, LIMIT * 3] {
        client
            .put_manifest("a", "larger", OCI_MANIFEST, &sized(size))
            .refused(413, "MANIFEST_INVALID");
        let coded = crate::protocol::chunked(&[&sized(size)]);
        let request = client
            .request("PUT", "/v2/a/manifests/larger")
            .header("Transfer-Encoding", "chunked");
        request
            .header("Content-Type", OCI_MANIFEST)
            .body(&coded)
            .send()
            .refused(413, "MANIFEST_INVALID");
    }
    assert_eq!(client.head("/v2/a/manifests/larger").status, 404);
}

#[test]
fn a_truncated_manifest_leaves_nothing() {
    let server = Server::start();
    let mut client = server.client();
    client.push_blob("a", b"{}");
    let content = image(b"{}", &[]).to_string().into_bytes();
    for sent in [0, 1, content.len() - 1, content.len()] {
        let request = client
            .request("PUT", "/v2/a/manifests/v1")
            .header("Content-Type", OCI_MANIFEST)
            .body(&content[..sent]);
        if let Some(response) = request.send_truncated(content.len() + 1) {
            assert_eq!(response.status, 400);
            response.error_code();
        }
    }
    assert_nothing_stored(&mut client);
}

/// Nesting is limited in fields that the registry does not read too.
#[test]
fn unknown_fields_may_be_deeply_nested() {
    let server = Server::start();
    let mut client = server.client();
    client.push_blob("a", b"{}");
    let deep = format!("{{\"deep\":{}{},", "[".repeat(200_000), "]".repeat(200_000));
    let content = image(b"{}", &[]).to_string().replacen('{', &deep, 1);
    let response = client.put_manifest("a", "v1", OCI_MANIFEST, content.as_bytes());
    response.refused(400, "MANIFEST_INVALID");
    assert_eq!(client.get("/v2/").status, 200);
}

/// Errors say what is wrong with a value, and do not repeat all of it.
#[test]
fn errors_about_long_values_are_short() {
    let server = Server::start();
    let mut client = server.client();
    client.push_blob("a", b"{}");
    let long = "é".repeat(1 << 20);
    for key in ["mediaType", "schemaVersion", "config", "layers", "subject"] {
        for value in [
            json!(long),
            json!({ "digest": long }),
            json!([{ "digest": long }]),
        ] {
            let mut manifest = image(b"{}", &[]);
            manifest[key] = value;
            let manifest = manifest.to_string();
            let response = client.put_manifest("a", "v1", OCI_MANIFEST, manifest.as_bytes());
            response.refused(400, "MANIFEST_INVALID");
            let length = response.body.len();
            assert!(length < 5000, "{length} bytes about {key}");
        }
    }
}

/// Of thousands of missing references the first hundred are named, because the log names them too.
#[test]
fn a_manifest_with_very_many_references_is_answered() {
    let server = Server::start();
    let mut client = server.client();
    client.push_blob("a", b"{}");
    let layers: Vec<_> = (0..20_000)
        .map(|number: u32| descriptor(LAYER, &number.to_le_bytes()))
        .collect();
    let mut manifest = image(b"{}", &[]);
    manifest["layers"] = layers.into();
    let response = crate::protocol::put(&mut client, "a", "v1", &manifest);
    response.refused(400, "MANIFEST_BLOB_UNKNOWN");
    assert_eq!(
        response.json()["errors"][0]["detail"]
            .as_array()
            .unwrap()
            .len(),
        100
    );
    manifest["layers"] = vec![descriptor(LAYER, b"{}"); 15_000].into();
    push(&mut client, "a", "v1", &manifest);
}

/// The config says as whom a container runs, and is a blob: it is read when an image names it.
#[test]
fn configs_of_images_that_clients_may_see_differently_are_refused() {
    const DOCKER_CONFIG: &str = "application/vnd.docker.container.image.v1+json";
    let server = Server::start();
    let mut client = server.client();
    let mut push = |media_type: &str, config: &[u8]| {
        client.push_blob("a", config);
        let manifest = json!({ "schemaVersion": 2, "mediaType": OCI_MANIFEST,
            "config": descriptor(media_type, config), "layers": [] });
        client.put_manifest("a", "v1", OCI_MANIFEST, manifest.to_string().as_bytes())
    };
    for (config, said) in [
        (
            r#"{"os":"linux","OS":"windows"}"#,
            "must be written \\\"os\\\"",
        ),
        (r#"{"config":{"User":"1","user":"0"}}"#, "occurs twice"),
        (
            r#"{"rootfs":{"Type":"layers"}}"#,
            "must be written \\\"type\\\"",
        ),
        (r#"{"os":"linux","#, "same config"),
    ] {
        for media_type in [CONFIG, DOCKER_CONFIG] {
            let response = push(media_type, config.as_bytes());
            let body = String::from_utf8_lossy(&response.body).into_owned();
            response.refused(400, "MANIFEST_INVALID");
            assert!(body.contains(said), "{body}");
        }
        // what other artifacts have in theirs is their own
        let response = push(
            "application/vnd.cncf.helm.config.v1+json",
            config.as_bytes(),
        );
        assert_eq!(response.status, 201, "{response:?}");
    }
    let mut large = vec![b' '; 8 << 20];
    large.extend(b"{}");
    push(CONFIG, &large).refused(400, "MANIFEST_INVALID");
    for config in ["{}", r#"{"config":{"EntryPoint":[]}}"#, "no JSON"] {
        let response = push(CONFIG, config.as_bytes());
        assert_eq!(response.status, 201, "{response:?}");
    }
}
