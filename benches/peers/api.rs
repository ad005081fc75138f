//! Requests of the registry protocol that pushes and pulls need.

use std::fs;

use serde_json::{Value, json};

use crate::consts::MANIFEST_TYPE;
use crate::data::{Blob, digest};
use crate::error::Result;
use crate::http::{Body, Conn};
use crate::server::Server;

const CONFIG_TYPE: &str = "application/vnd.oci.image.config.v1+json";
const LAYER_TYPE: &str = "application/vnd.oci.image.layer.v1.tar+gzip";

/// Requests that upload a blob.
#[derive(Clone, Copy)]
pub enum UploadMode {
    /// POST, PUT with the whole blob.
    Whole,
    /// POST, PATCH with a chunked stream, PUT without a body, as docker does.
    Chunked,
}

pub fn blob_path(repository: &str, digest: &str) -> String {
    format!("/v2/{repository}/blobs/{digest}")
}

pub fn manifest_path(repository: &str, reference: &str) -> String {
    format!("/v2/{repository}/manifests/{reference}")
}

pub fn push_blob(conn: &mut Conn, repository: &str, blob: &Blob, mode: UploadMode) -> Result<()> {
    let start = format!("/v2/{repository}/blobs/uploads/");
    let opened = conn
        .call("POST", &start, &[], Body::Empty)?
        .expect(202, "POST")?;
    let mut upload = location(opened.location)?;
    let octets = [("Content-Type", "application/octet-stream")];
    let last = match mode {
        UploadMode::Whole => Body::Whole(&blob.bytes),
        UploadMode::Chunked => {
            let sent = conn
                .call("PATCH", &upload, &octets, Body::Chunked(&blob.bytes))?
                .expect(202, "PATCH")?;
            upload = location(sent.location)?;
            Body::Empty
        }
    };
    let joint = if upload.contains('?') { '&' } else { '?' };
    let target = format!("{upload}{joint}digest={}", blob.digest);
    conn.call("PUT", &target, &octets, last)?
        .expect(201, "PUT of a blob")?;
    Ok(())
}

pub fn push_manifest(conn: &mut Conn, repository: &str, tag: &str, bytes: &[u8]) -> Result<()> {
    conn.call(
        "PUT",
        &manifest_path(repository, tag),
        &[("Content-Type", MANIFEST_TYPE)],
        Body::Whole(bytes),
    )?
    .expect(201, "PUT of a manifest")?;
    Ok(())
}

pub fn has_blob(conn: &mut Conn, repository: &str, digest: &str) -> Result<bool> {
    let reply = conn.call("HEAD", &blob_path(repository, digest), &[], Body::Empty)?;
    match reply.status {
        200 => Ok(true),
        404 => Ok(false),
        other => Err(format!("HEAD answered {other}").into()),
    }
}

/// Fetches `target` and compares its digest with the expected one.
pub fn check(conn: &mut Conn, target: &str, expected: &str) -> Result<()> {
    let reply = conn
        .call("GET", target, &[("Accept", MANIFEST_TYPE)], Body::Empty)?
        .expect(200, "GET")?;
    let found = digest(&reply.body);
    if found != expected {
        return Err(format!("GET {target} gave {found}, not {expected}").into());
    }
    Ok(())
}

/// Stores a blob in a server, by a push or as a static file, and checks that it is served.
pub fn install_blob(server: &Server, repository: &str, blob: &Blob) -> Result<String> {
    let target = blob_path(repository, &blob.digest);
    let mut conn = server.open()?;
    if server.peer.takes_pushes {
        push_blob(&mut conn, repository, blob, UploadMode::Whole)?;
    } else {
        fs::write(server.static_file(&target)?, &blob.bytes)?;
    }
    check(&mut conn, &target, &blob.digest)?;
    Ok(target)
}

/// Stores a manifest under a tag in the same way.
pub fn install_manifest(
    server: &Server,
    repository: &str,
    tag: &str,
    manifest: &Blob,
) -> Result<String> {
    let target = manifest_path(repository, tag);
    let mut conn = server.open()?;
    if server.peer.takes_pushes {
        push_manifest(&mut conn, repository, tag, &manifest.bytes)?;
    } else {
        fs::write(server.static_file(&target)?, &manifest.bytes)?;
    }
    check(&mut conn, &target, &manifest.digest)?;
    Ok(target)
}

/// Makes an image configuration of about 300 bytes, unique for each `n`.
pub fn config(n: u64) -> Blob {
    let diff = digest(&n.to_le_bytes());
    let config = json!({
        "architecture": "amd64",
        "os": "linux",
        "config": {
            "Env": ["PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"],
            "Cmd": ["/bin/app", "serve"],
            "WorkingDir": "/",
        },
        "rootfs": { "type": "layers", "diff_ids": [diff] },
    });
    Blob::new(config.to_string().into_bytes())
}

pub fn manifest<'a>(config: &Blob, layers: impl IntoIterator<Item = &'a Blob>) -> Blob {
    let layers: Vec<Value> = layers
        .into_iter()
        .map(|layer| descriptor(LAYER_TYPE, layer))
        .collect();
    let manifest = json!({
        "schemaVersion": 2,
        "mediaType": MANIFEST_TYPE,
        "config": descriptor(CONFIG_TYPE, config),
        "layers": layers,
    });
    Blob::new(manifest.to_string().into_bytes())
}

fn descriptor(media_type: &str, blob: &Blob) -> Value {
    json!({ "mediaType": media_type, "digest": blob.digest, "size": blob.bytes.len() })
}

/// Returns path and query of a Location, which may be a whole URL.
fn location(value: Option<String>) -> Result<String> {
    let value = value.ok_or("a reply without Location")?;
    let Some((_, rest)) = value.split_once("://") else {
        return Ok(value);
    };
    let path = rest.find('/').ok_or("a Location without a path")?;
    Ok(rest[path..].to_owned())
}
