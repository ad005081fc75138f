//! Manifests of every kind, and what is none.

use serde_json::{Value, json};

use super::Script;
use crate::support::content::{DOCKER_LIST, DOCKER_MANIFEST, OCI_INDEX, OCI_MANIFEST, sha256};

const REPOSITORY: &str = "man/app";
const OCI_CONFIG: &str = "application/vnd.oci.image.config.v1+json";
const OCI_LAYER: &str = "application/vnd.oci.image.layer.v1.tar+gzip";
const DOCKER_CONFIG: &str = "application/vnd.docker.container.image.v1+json";
const DOCKER_LAYER: &str = "application/vnd.docker.image.rootfs.diff.tar.gzip";
const SCHEMA1: &str = "application/vnd.docker.distribution.manifest.v1+json";
const SCHEMA1_SIGNED: &str = "application/vnd.docker.distribution.manifest.v1+prettyjws";

const CONFIG: &[u8] = br#"{"architecture":"amd64","os":"linux","rootfs":{"type":"layers","diff_ids":[]},"config":{}}"#;
const LAYER: &[u8] = b"a layer of the differential test";
/// As large as a manifest may be.
const LIMIT: usize = 4 << 20;

fn descriptor(media_type: &str, content: &[u8]) -> Value {
    json!({"mediaType": media_type, "digest": sha256(content), "size": content.len()})
}

pub fn oci() -> Value {
    let (config, layer) = (descriptor(OCI_CONFIG, CONFIG), descriptor(OCI_LAYER, LAYER));
    json!({"schemaVersion": 2, "mediaType": OCI_MANIFEST, "config": config, "layers": [layer]})
}

fn docker() -> Value {
    let (config, layer) = (
        descriptor(DOCKER_CONFIG, CONFIG),
        descriptor(DOCKER_LAYER, LAYER),
    );
    json!({"schemaVersion": 2, "mediaType": DOCKER_MANIFEST, "config": config, "layers": [layer]})
}

fn index(media_type: &str, child_type: &str, child: &[u8]) -> Value {
    let mut child = descriptor(child_type, child);
    child["platform"] = json!({"architecture": "amd64", "os": "linux"});
    json!({"schemaVersion": 2, "mediaType": media_type, "manifests": [child]})
}

/// `value` with a member changed, or taken out where it is null.
fn with(value: &Value, member: &str, content: Value) -> Vec<u8> {
    let mut value = value.clone();
    if content.is_null() {
        value.as_object_mut().unwrap().remove(member);
    } else {
        value[member] = content;
    }
    value.to_string().into_bytes()
}

/// Pushes what `oci` needs.
pub fn content(script: &mut Script, repository: &str) {
    let name = repository.replace('/', "-");
    script.blob(&format!("{name}-config"), repository, CONFIG);
    script.blob(&format!("{name}-layer"), repository, LAYER);
}

pub fn add(script: &mut Script) {
    content(script, REPOSITORY);
    kinds(script);
    reading(script);
    references(script);
    types(script);
    malformed(script);
    artifacts(script);
}

/// Forms of the Accept header; `None` for none.
const ACCEPTS: &[(&str, Option<&str>)] = &[
    ("none", None),
    ("any", Some("*/*")),
    ("application", Some("application/*")),
    ("html", Some("text/html")),
    ("empty", Some("")),
    ("oci", Some(OCI_MANIFEST)),
    ("docker", Some(DOCKER_MANIFEST)),
    (
        "quality",
        Some(
            "application/vnd.oci.image.manifest.v1+json;q=0.5, application/vnd.docker.distribution.manifest.v2+json;q=0.9",
        ),
    ),
    (
        "all",
        Some(
            "application/vnd.oci.image.index.v1+json, application/vnd.oci.image.manifest.v1+json, application/vnd.docker.distribution.manifest.list.v2+json, application/vnd.docker.distribution.manifest.v2+json",
        ),
    ),
];

fn kinds(script: &mut Script) {
    let (oci, docker) = (oci().to_string(), docker().to_string());
    let list = index(DOCKER_LIST, DOCKER_MANIFEST, docker.as_bytes()).to_string();
    let oci_index = index(OCI_INDEX, OCI_MANIFEST, oci.as_bytes()).to_string();
    for (name, media_type, manifest) in [
        ("oci", OCI_MANIFEST, &oci),
        ("docker", DOCKER_MANIFEST, &docker),
        ("list", DOCKER_LIST, &list),
        ("index", OCI_INDEX, &oci_index),
    ] {
        script.manifest(
            &format!("{name}-put"),
            REPOSITORY,
            name,
            media_type,
            manifest.as_bytes(),
        );
        script.manifest(
            &format!("{name}-put-again"),
            REPOSITORY,
            name,
            media_type,
            manifest.as_bytes(),
        );
        let by_digest = sha256(manifest.as_bytes());
        script.manifest(
            &format!("{name}-put-digest"),
            REPOSITORY,
            &by_digest,
            media_type,
            manifest.as_bytes(),
        );
        for (how, accept) in ACCEPTS.iter().copied().chain([("own", Some(media_type))]) {
            for (form, reference) in [("tag", name), ("digest", &by_digest)] {
                let step = script.get(
                    &format!("{name}-{form}-accept-{how}"),
                    format!("/v2/{REPOSITORY}/manifests/{reference}"),
                );
                if let Some(accept) = accept {
                    step.header("Accept", accept);
                }
            }
        }
        script
            .ask(
                &format!("{name}-head"),
                "HEAD",
                format!("/v2/{REPOSITORY}/manifests/{name}"),
            )
            .header("Accept", media_type);
        script
            .ask(
                &format!("{name}-head-digest"),
                "HEAD",
                format!("/v2/{REPOSITORY}/manifests/{by_digest}"),
            )
            .header("Accept", media_type);
        script.ask(
            &format!("{name}-head-plain"),
            "HEAD",
            format!("/v2/{REPOSITORY}/manifests/{name}"),
        );
    }
}

fn reading(script: &mut Script) {
    let oci = oci().to_string();
    let own = sha256(oci.as_bytes());
    let get = |script: &mut Script, name: &str, header: &str, value: &str| {
        for (form, reference) in [("tag", "oci"), ("digest", &own)] {
            let step = script.get(
                &format!("read-{name}-{form}"),
                format!("/v2/{REPOSITORY}/manifests/{reference}"),
            );
            step.header("Accept", OCI_MANIFEST).header(header, value);
        }
    };
    get(script, "none-match", "If-None-Match", &format!("\"{own}\""));
    get(script, "none-match-bare", "If-None-Match", &own);
    get(
        script,
        "none-match-other",
        "If-None-Match",
        "\"sha256:abc\"",
    );
    get(script, "none-match-any", "If-None-Match", "*");
    get(script, "match-other", "If-Match", "\"other\"");
    get(script, "range", "Range", "bytes=0-9");
    get(script, "range-outside", "Range", "bytes=100000-");
    get(script, "gzip", "Accept-Encoding", "gzip");
    script
        .get("two-accepts", format!("/v2/{REPOSITORY}/manifests/oci"))
        .header("Accept", DOCKER_MANIFEST)
        .header("Accept", OCI_MANIFEST);
    script.get("absent-tag", format!("/v2/{REPOSITORY}/manifests/absent"));
    script.ask(
        "absent-tag-head",
        "HEAD",
        format!("/v2/{REPOSITORY}/manifests/absent"),
    );
    script.get(
        "absent-digest",
        format!("/v2/{REPOSITORY}/manifests/{}", sha256(b"never pushed")),
    );
    script.get("absent-repository", "/v2/man/absent/manifests/v1");
    script.get("elsewhere", format!("/v2/man/other/manifests/{own}"));
    script.get("as-blob", format!("/v2/{REPOSITORY}/blobs/{own}"));
    script.get(
        "blob-as-manifest",
        format!("/v2/{REPOSITORY}/manifests/{}", sha256(LAYER)),
    );
    script
        .get(
            "mirror",
            format!("/v2/{REPOSITORY}/manifests/oci?ns=docker.io"),
        )
        .header("Accept", OCI_MANIFEST);
}

fn references(script: &mut Script) {
    let oci = oci().to_string();
    let (oci, own) = (oci.as_bytes(), sha256(oci.as_bytes()));
    let hex = own.trim_start_matches("sha256:");
    for (name, reference) in [
        ("digits", "123"),
        ("underscore", "_x"),
        ("long", &"t".repeat(128)),
        ("too-long", &"t".repeat(129)),
        ("dot", ".x"),
        ("dash", "-x"),
        ("upper", "V1.0-RC_1"),
        ("plus", "1.0+build"),
        ("plus-encoded", "1.0%2Bbuild"),
        ("space", "a%20b"),
        ("unicode", "%C3%A4"),
        ("at", "a@b"),
        ("slash", "a%2Fb"),
        ("colon", "a:b"),
        ("dots", ".."),
        ("nul", "a%00"),
        ("digest-like", &own.replace(':', "-")),
        ("digest-other", &sha256(b"something else")),
        ("digest-short", &own[..30]),
        ("digest-upper", &format!("sha256:{}", hex.to_uppercase())),
        ("digest-algorithm", &format!("md5:{hex}")),
        ("digest-encoded", &own.replace(':', "%3A")),
        ("digest-sha512", &format!("sha512:{}", "a".repeat(128))),
    ] {
        script.manifest(
            &format!("reference-{name}-put"),
            REPOSITORY,
            reference,
            OCI_MANIFEST,
            oci,
        );
        script
            .get(
                &format!("reference-{name}-get"),
                format!("/v2/{REPOSITORY}/manifests/{reference}"),
            )
            .header("Accept", OCI_MANIFEST);
    }
    script.manifest(
        "query-tag",
        REPOSITORY,
        &format!("{own}?tag=one&tag=two"),
        OCI_MANIFEST,
        oci,
    );
    script
        .get("query-tag-get", format!("/v2/{REPOSITORY}/manifests/two"))
        .header("Accept", OCI_MANIFEST);
    script.manifest("moved-put", REPOSITORY, "docker", OCI_MANIFEST, oci);
    script
        .get("moved-get", format!("/v2/{REPOSITORY}/manifests/docker"))
        .header("Accept", OCI_MANIFEST);
}

fn put(script: &mut Script, name: &str, media_type: &str, manifest: &[u8]) {
    script.manifest(
        &format!("type-{name}"),
        REPOSITORY,
        &format!("type-{name}"),
        media_type,
        manifest,
    );
    script
        .get(
            &format!("type-{name}-get"),
            format!("/v2/{REPOSITORY}/manifests/type-{name}"),
        )
        .header("Accept", OCI_MANIFEST);
}

fn types(script: &mut Script) {
    let (oci, docker) = (oci(), docker());
    let (own, other) = (
        oci.to_string().into_bytes(),
        docker.to_string().into_bytes(),
    );
    let charset = format!("{OCI_MANIFEST}; charset=utf-8");
    let upper = OCI_MANIFEST.to_uppercase();
    let list = index(OCI_INDEX, OCI_MANIFEST, &own)
        .to_string()
        .into_bytes();
    let untyped = with(&oci, "mediaType", Value::Null);
    let schema1 = br#"{"schemaVersion":1,"name":"man/app","tag":"x","architecture":"amd64","fsLayers":[],"history":[]}"#;
    let signed = br#"{"schemaVersion":1,"name":"man/app","tag":"x","fsLayers":[],"history":[],"signatures":[]}"#;
    for (name, media_type, manifest) in [
        ("json", "application/json", &own),
        ("octets", "application/octet-stream", &own),
        ("charset", &charset, &own),
        ("upper", &upper, &own),
        ("unknown", "application/vnd.example+json", &own),
        ("html", "text/html", &untyped),
        ("malformed", "nonsense", &own),
        ("crossed", DOCKER_MANIFEST, &own),
        ("crossed-back", OCI_MANIFEST, &other),
        ("index-as-image", OCI_MANIFEST, &list),
        ("image-as-index", OCI_INDEX, &own),
        ("untyped-oci", OCI_MANIFEST, &untyped),
        (
            "untyped-docker",
            DOCKER_MANIFEST,
            &with(&docker, "mediaType", Value::Null),
        ),
        ("schema1", SCHEMA1, &schema1.to_vec()),
        ("schema1-signed", SCHEMA1_SIGNED, &signed.to_vec()),
    ] {
        put(script, name, media_type, manifest);
    }
    let step = script.ask(
        "type-none",
        "PUT",
        format!("/v2/{REPOSITORY}/manifests/type-none"),
    );
    step.body(with(&oci, "annotations", json!({"a": "type-none"})).as_slice());
    let step = script.ask(
        "type-chunked",
        "PUT",
        format!("/v2/{REPOSITORY}/manifests/type-chunked"),
    );
    step.header("Content-Type", OCI_MANIFEST)
        .chunked(oci.to_string().as_bytes());
}

/// Bodies that are hardly JSON, by name.
fn odd_json() -> Vec<(&'static str, Vec<u8>)> {
    let oci = oci();
    let spaced = serde_json::to_vec_pretty(&oci).unwrap();
    let doubled = oci
        .to_string()
        .replacen('{', r#"{"schemaVersion":2,"#, 1)
        .into_bytes();
    let folded = oci
        .to_string()
        .replacen('{', r#"{"Layers":[],"#, 1)
        .into_bytes();
    vec![
        ("empty", Vec::new()),
        ("null", b"null".to_vec()),
        ("array", b"[]".to_vec()),
        ("object", b"{}".to_vec()),
        ("number", b"42".to_vec()),
        ("text", b"\"manifest\"".to_vec()),
        ("cut-off", oci.to_string().into_bytes()[..50].to_vec()),
        ("not-json", b"<xml/>".to_vec()),
        ("two", [oci.to_string().as_bytes(), b"{}"].concat()),
        (
            "byte-order-mark",
            [b"\xef\xbb\xbf", oci.to_string().as_bytes()].concat(),
        ),
        (
            "not-utf8",
            with(&oci, "x", json!("y"))
                .into_iter()
                .map(|byte| if byte == b'y' { 0xff } else { byte })
                .collect(),
        ),
        ("nul", b"\0".repeat(100)),
        ("deep", [b"[".repeat(20_000), b"]".repeat(20_000)].concat()),
        ("spaced", spaced),
        ("doubled", doubled),
        ("folded", folded),
    ]
}

/// Manifests of which one member is odd, by its name.
fn odd_members() -> Vec<(&'static str, Vec<u8>)> {
    let oci = oci();
    let absent = descriptor(OCI_LAYER, b"never pushed");
    let negative = json!([{"mediaType": OCI_LAYER, "digest": sha256(LAYER), "size": -1}]);
    let wrong_size = json!([{"mediaType": OCI_LAYER, "digest": sha256(LAYER), "size": 1}]);
    let odd_digest = json!([{"mediaType": OCI_LAYER, "digest": "sha256:abc", "size": 1}]);
    vec![
        ("schema-3", with(&oci, "schemaVersion", json!(3))),
        ("schema-1", with(&oci, "schemaVersion", json!(1))),
        ("schema-none", with(&oci, "schemaVersion", Value::Null)),
        ("schema-text", with(&oci, "schemaVersion", json!("2"))),
        ("config-none", with(&oci, "config", Value::Null)),
        (
            "config-absent",
            with(&oci, "config", descriptor(OCI_CONFIG, b"never pushed")),
        ),
        ("layers-none", with(&oci, "layers", Value::Null)),
        ("layers-empty", with(&oci, "layers", json!([]))),
        ("layers-object", with(&oci, "layers", json!({}))),
        ("layers-absent", with(&oci, "layers", json!([absent]))),
        ("size-negative", with(&oci, "layers", negative)),
        ("size-wrong", with(&oci, "layers", wrong_size)),
        ("digest-odd", with(&oci, "layers", odd_digest)),
        (
            "unknown-member",
            with(&oci, "x-vendor", json!({"a": [1, 2.5, null]})),
        ),
    ]
}

fn malformed(script: &mut Script) {
    let oci = oci();
    for (name, body) in odd_json().into_iter().chain(odd_members()) {
        script.manifest(
            &format!("bad-{name}"),
            REPOSITORY,
            &format!("bad-{name}"),
            OCI_MANIFEST,
            &body,
        );
        script
            .ask(
                &format!("bad-{name}-head"),
                "HEAD",
                format!("/v2/{REPOSITORY}/manifests/bad-{name}"),
            )
            .header("Accept", OCI_MANIFEST);
    }
    let mut huge = with(&oci, "annotations", json!({"a": "b"}));
    huge.resize(LIMIT + 10, b' ');
    let mut largest = oci.to_string().into_bytes();
    largest.resize(LIMIT, b' ');
    script.manifest("bad-large", REPOSITORY, "bad-large", OCI_MANIFEST, &huge);
    script.manifest("largest", REPOSITORY, "largest", OCI_MANIFEST, &largest);
    script.manifest(
        "name-upper",
        "MAN/app",
        "v1",
        OCI_MANIFEST,
        oci.to_string().as_bytes(),
    );
    script.manifest(
        "name-new",
        "man/new",
        "v1",
        OCI_MANIFEST,
        oci.to_string().as_bytes(),
    );
    incomplete_indexes(script);
}

fn incomplete_indexes(script: &mut Script) {
    let oci = oci();
    let child = with(&oci, "annotations", json!({"child": "never pushed"}));
    for (name, media_type, child_type) in [
        ("index", OCI_INDEX, OCI_MANIFEST),
        ("list", DOCKER_LIST, DOCKER_MANIFEST),
    ] {
        let absent = index(media_type, child_type, &child).to_string();
        script.manifest(
            &format!("{name}-absent"),
            REPOSITORY,
            &format!("{name}-absent"),
            media_type,
            absent.as_bytes(),
        );
        let empty =
            json!({"schemaVersion": 2, "mediaType": media_type, "manifests": []}).to_string();
        script.manifest(
            &format!("{name}-empty"),
            REPOSITORY,
            &format!("{name}-empty"),
            media_type,
            empty.as_bytes(),
        );
    }
}

fn artifacts(script: &mut Script) {
    let oci = oci();
    let own = oci.to_string();
    let subject = descriptor(OCI_MANIFEST, own.as_bytes());
    let referrer = with(&oci, "subject", subject);
    script.manifest("subject", REPOSITORY, "signed", OCI_MANIFEST, &referrer);
    script.get(
        "referrers",
        format!("/v2/{REPOSITORY}/referrers/{}", sha256(own.as_bytes())),
    );
    script.manifest(
        "subject-absent",
        REPOSITORY,
        "early",
        OCI_MANIFEST,
        &with(&oci, "subject", descriptor(OCI_MANIFEST, b"later")),
    );
    script.manifest(
        "artifact",
        REPOSITORY,
        "artifact",
        OCI_MANIFEST,
        &with(&oci, "artifactType", json!("application/vnd.example")),
    );
    let cache = index(OCI_INDEX, OCI_LAYER, LAYER).to_string();
    script.manifest("cache", REPOSITORY, "cache", OCI_INDEX, cache.as_bytes());
    let foreign = json!({
        "mediaType": "application/vnd.docker.image.rootfs.foreign.diff.tar.gzip",
        "digest": sha256(b"elsewhere"), "size": 9, "urls": ["https://example.org/layer"],
    });
    script.manifest(
        "foreign",
        REPOSITORY,
        "foreign",
        DOCKER_MANIFEST,
        &with(&docker(), "layers", json!([foreign])),
    );
    let nested = index(
        OCI_INDEX,
        OCI_INDEX,
        index(OCI_INDEX, OCI_MANIFEST, own.as_bytes())
            .to_string()
            .as_bytes(),
    )
    .to_string();
    script.manifest("nested", REPOSITORY, "nested", OCI_INDEX, nested.as_bytes());
}
