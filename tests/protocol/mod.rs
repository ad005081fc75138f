//! The protocol over the socket: answers of every endpoint to valid, unusual and invalid requests.

mod blobs;
mod closing;
mod concurrency;
mod connections;
mod errors;
mod events;
mod foreign_files;
mod half_closed;
mod header_names;
mod legacy;
mod lists;
mod lost_blobs;
mod maintenance;
mod manifests;
mod preconditions;
mod quotas;
mod ranges;
mod referrers;
mod settings;
mod uploads;

use std::fmt::Debug;
use std::io::{BufReader, Write};
use std::net::TcpStream;

use proptest::strategy::Strategy;
use proptest::test_runner::{Config, TestRunner};
use serde_json::{Value, json};
use sha2::Digest;

use crate::support::client::read_response;
use crate::support::{
    Client, DOCKER_LIST, DOCKER_MANIFEST, OCI_INDEX, OCI_MANIFEST, Response, Server, descriptor,
    sha256,
};

const CONFIG: &str = "application/vnd.oci.image.config.v1+json";
const LAYER: &str = "application/vnd.oci.image.layer.v1.tar+gzip";
const EMPTY: &str = "application/vnd.oci.empty.v1+json";

/// Checks a property on `cases` values and shrinks failing ones.
fn check<S: Strategy>(cases: u32, strategy: &S, property: impl Fn(S::Value))
where
    S::Value: Debug,
{
    let config = Config {
        cases,
        failure_persistence: None,
        max_shrink_iters: 200,
        ..Config::default()
    };
    let outcome = TestRunner::new(config).run(strategy, |value| {
        property(value);
        Ok(())
    });
    outcome.unwrap_or_else(|failure| panic!("{failure}"));
}

fn sha512(content: &[u8]) -> String {
    let hash = sha2::Sha512::digest(content);
    format!("sha512:{}", data_encoding::HEXLOWER.encode(&hash))
}

/// An image manifest of these blobs.
fn image(config: &[u8], layers: &[&[u8]]) -> Value {
    let layers: Vec<_> = layers
        .iter()
        .map(|layer| descriptor(LAYER, layer))
        .collect();
    json!({ "schemaVersion": 2, "mediaType": OCI_MANIFEST, "config": descriptor(CONFIG, config), "layers": layers })
}

/// An artifact with a subject, the empty config, and that as its only layer.
fn artifact(artifact_type: &str, subject: Value) -> Value {
    json!({
        "schemaVersion": 2, "mediaType": OCI_MANIFEST, "artifactType": artifact_type,
        "config": descriptor(EMPTY, b"{}"), "layers": [descriptor(EMPTY, b"{}")], "subject": subject,
    })
}

fn index(children: &[Value]) -> Value {
    json!({ "schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": children })
}

/// A descriptor of a manifest, with its own media type.
fn pointer(manifest: &Value) -> Value {
    descriptor(media_type(manifest), manifest.to_string().as_bytes())
}

fn media_type(manifest: &Value) -> &str {
    manifest["mediaType"].as_str().expect("a media type")
}

fn digest_of(manifest: &Value) -> String {
    sha256(manifest.to_string().as_bytes())
}

/// Pushes a manifest under its own media type.
fn put(client: &mut Client, repository: &str, reference: &str, manifest: &Value) -> Response {
    client.put_manifest(
        repository,
        reference,
        media_type(manifest),
        manifest.to_string().as_bytes(),
    )
}

/// As [`put`], for manifests that must be accepted; returns the digest.
fn push(client: &mut Client, repository: &str, reference: &str, manifest: &Value) -> String {
    let response = put(client, repository, reference, manifest);
    assert_eq!(
        response.status,
        201,
        "{}",
        String::from_utf8_lossy(&response.body)
    );
    digest_of(manifest)
}

/// Pushes an image with one layer made from `seed`; returns its manifest.
fn push_image(client: &mut Client, repository: &str, reference: &str, seed: &str) -> Value {
    let (config, layer) = (format!("{{\"seed\":\"{seed}\"}}"), format!("layer {seed}"));
    client.push_blob(repository, config.as_bytes());
    client.push_blob(repository, layer.as_bytes());
    let manifest = image(config.as_bytes(), &[layer.as_bytes()]);
    push(client, repository, reference, &manifest);
    manifest
}

/// The pieces in chunked transfer encoding, one chunk each.
fn chunked(pieces: &[&[u8]]) -> Vec<u8> {
    let mut coded = Vec::new();
    for piece in pieces {
        coded.extend(format!("{:x}\r\n", piece.len()).into_bytes());
        coded.extend_from_slice(piece);
        coded.extend(b"\r\n");
    }
    coded.extend(b"0\r\n\r\n");
    coded
}

/// A connection for raw requests.
struct Wire(BufReader<TcpStream>);

impl Wire {
    fn open(server: &Server) -> Self {
        Self(BufReader::new(server.client().connect()))
    }

    fn write(&mut self, bytes: impl AsRef<[u8]>) -> std::io::Result<()> {
        self.0.get_mut().write_all(bytes.as_ref())
    }

    fn send(&mut self, bytes: impl AsRef<[u8]>) {
        self.write(bytes).expect("the server takes bytes");
    }

    fn answer(&mut self) -> Response {
        read_response(&mut self.0, false).expect("an answer")
    }

    fn head_answer(&mut self) -> Response {
        read_response(&mut self.0, true).expect("an answer")
    }
}

/// The path of the next page, from the Link header.
fn next_page(response: &Response) -> Option<String> {
    let (path, relation) = response.header("link")?.split_once(">; ").expect("a link");
    assert_eq!(relation, "rel=\"next\"");
    Some(path.strip_prefix('<').expect("a link").to_owned())
}

/// All pages from `path` on.
fn pages(client: &mut Client, path: &str) -> Vec<Response> {
    let mut pages = vec![client.get(path)];
    while let Some(next) = pages.last().and_then(next_page) {
        assert!(pages.len() < 1000, "the pages of {path} do not end");
        pages.push(client.get(&next));
    }
    pages
        .iter()
        .for_each(|page| assert_eq!(page.status, 200, "{path}"));
    pages
}

/// The texts of a JSON array.
fn texts(array: &Value) -> Vec<String> {
    array
        .as_array()
        .expect("an array")
        .iter()
        .map(|text| text.as_str().expect("a text").to_owned())
        .collect()
}
