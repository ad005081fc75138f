//! Artifacts that are no images: charts, SBOMs and provenance, hostile ones too.

use std::io::Write;

use serde_json::json;

use super::text;
use crate::support::client::Client;
use crate::support::{OCI_MANIFEST, Server, sha256};

const CHART: &str = "application/vnd.cncf.helm.config.v1+json";
const CHART_ARCHIVE: &str = "application/vnd.cncf.helm.chart.content.v1.tar+gzip";

/// Pushes an artifact of one layer.
fn push(client: &mut Client, tag: &str, config: (&str, &[u8]), layer: (&str, &[u8])) {
    let mut descriptor = |(kind, bytes): (&str, &[u8])| {
        client.push_blob("art", bytes);
        json!({ "mediaType": kind, "digest": sha256(bytes), "size": bytes.len() })
    };
    let manifest = json!({
        "schemaVersion": 2, "mediaType": OCI_MANIFEST, "config": descriptor(config), "layers": [descriptor(layer)],
    });
    let put = client.request("PUT", &format!("/v2/art/manifests/{tag}"));
    let put = put.header("Content-Type", OCI_MANIFEST);
    let put = put.body(manifest.to_string().as_bytes()).send();
    assert_eq!(put.status, 201, "{:?}", put.json());
}

/// A gzipped tar of files.
fn archive(files: &[(&str, &[u8])]) -> Vec<u8> {
    let mut tar = Vec::new();
    for (name, content) in files {
        let mut header = [0_u8; 512];
        header[..name.len()].copy_from_slice(name.as_bytes());
        header[124..135].copy_from_slice(format!("{:011o}", content.len()).as_bytes());
        header[156] = b'0';
        header[148..156].copy_from_slice(b"        ");
        let sum: u64 = header.iter().map(|byte| u64::from(*byte)).sum();
        header[148..154].copy_from_slice(format!("{sum:06o}").as_bytes());
        header[154] = 0;
        tar.extend(header);
        tar.extend(*content);
        tar.resize(tar.len().next_multiple_of(512), 0);
    }
    tar.resize(tar.len() + 1024, 0);
    let mut packed = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    packed.write_all(&tar).expect("packed");
    packed.finish().expect("packed")
}

#[test]
fn a_chart_shows_its_readme_and_values_as_text() {
    let server = Server::start();
    let mut client = server.client();
    let metadata =
        json!({ "name": "web", "version": "0.3", "appVersion": "9", "home": "javascript:x" });
    let metadata = metadata.to_string();
    let readme = b"# Title\n<script>alert(1)</script>\xff\n";
    let packed = archive(&[
        ("web/Chart.yaml", b"name: web"),
        ("web/README.md", readme),
        ("web/charts/x/README.md", b"another"),
        ("web/values.yaml", b"replicas: 2\n"),
    ]);
    let config = (CHART, metadata.as_bytes());
    push(&mut client, "chart", config, (CHART_ARCHIVE, &packed));
    let page = text(&client.get("/ui/images/art/chart"));
    for words in ["# Title", "&#60;script&#62;", "replicas: 2", "0.3"] {
        assert!(page.contains(words), "{words}: {page}");
    }
    for words in ["<script>a", "another", "javascript:x"] {
        assert!(!page.contains(words), "{words}: {page}");
    }
    let content = client.get("/api/v1/contents/art/chart").json();
    assert_eq!(content["chart"]["values"], "replicas: 2\n");
    assert_eq!(content["files"][0]["mediaType"], CHART_ARCHIVE);
    // a bomb, an archive that ends, and what is none
    let bomb = archive(&[
        ("web/big", &vec![0; 40 << 20]),
        ("web/README.md", b"behind"),
    ]);
    for (tag, layer) in [
        ("bomb", &*bomb),
        ("cut", &packed[..packed.len() / 2]),
        ("none", &b"x"[..]),
    ] {
        push(&mut client, tag, config, (CHART_ARCHIVE, layer));
        let page = client.get(&format!("/ui/images/art/{tag}"));
        assert_eq!(page.status, 200, "{tag}");
        assert!(!text(&page).contains("behind"), "{tag}");
    }
}

#[test]
fn packages_of_an_sbom_are_searched() {
    let server = Server::start();
    let mut client = server.client();
    let packages: Vec<_> = (0..300)
        .map(|number| json!({ "name": format!("pkg-{number}"), "versionInfo": "1.0", "licenseConcluded": "MIT" }))
        .chain([json!({ "name": "<b>evil</b>\u{202e}", "versionInfo": "6.6.6" })])
        .collect();
    let sbom = json!({ "spdxVersion": "SPDX-2.3", "packages": packages }).to_string();
    let empty = ("application/vnd.oci.empty.v1+json", &b"{}"[..]);
    push(
        &mut client,
        "sbom",
        empty,
        ("application/spdx+json", sbom.as_bytes()),
    );
    let page = text(&client.get("/ui/images/art/sbom"));
    assert!(
        page.contains("pkg-199") && !page.contains("pkg-200<"),
        "{page}"
    );
    assert!(page.contains("search for the others"), "{page}");
    let found = text(&client.get("/ui/images/art/sbom?packages=EVIL"));
    assert!(
        found.contains("&#60;b&#62;evil") && found.contains("\\u{202e}"),
        "{found}"
    );
    assert!(!found.contains("pkg-1<"), "{found}");
    let statement =
        json!({ "predicate": { "runDetails": { "builder": { "id": "https://ci.example/1" } } } });
    let layer = (
        "application/vnd.in-toto+json",
        &*statement.to_string().into_bytes(),
    );
    push(&mut client, "built", empty, layer);
    let page = text(&client.get("/ui/images/art/built"));
    assert!(
        page.contains("https://ci.example/1") && page.contains("nobody verified"),
        "{page}"
    );
    let layer = ("application/spdx+json", &b"[[[["[..]);
    push(&mut client, "broken", empty, layer);
    assert_eq!(client.get("/ui/images/art/broken").status, 200);
}
