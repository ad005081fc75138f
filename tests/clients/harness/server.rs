//! The registry under test, and HTTP requests to it.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{BufRead, BufReader};
use std::net::UdpSocket;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use serde_json::Value;
use ureq::Agent;
use ureq::http::Response;

use crate::content::sha256;

const LOG_LINES: usize = 40;

const ACCEPT: &str = "application/vnd.oci.image.index.v1+json, \
    application/vnd.oci.image.manifest.v1+json, \
    application/vnd.docker.distribution.manifest.list.v2+json, \
    application/vnd.docker.distribution.manifest.v2+json";

/// Blobs and manifests by digest.
pub type Content = BTreeMap<String, Vec<u8>>;

pub struct Server {
    /// Host and port for clients, as in an image's name.
    pub host: String,
    /// Its own host and port.
    address: String,
    child: Child,
    log: PathBuf,
    agent: Agent,
}

#[derive(Debug, PartialEq)]
pub struct Manifest {
    pub media_type: String,
    pub digest: String,
    pub bytes: Vec<u8>,
}

impl Manifest {
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.bytes).unwrap()
    }

    pub fn config(&self) -> String {
        text(&self.json()["config"]["digest"])
    }

    pub fn layers(&self) -> Vec<String> {
        list(&self.json()["layers"])
            .iter()
            .map(|layer| text(&layer["digest"]))
            .collect()
    }

    pub fn children(&self) -> Vec<Value> {
        list(&self.json()["manifests"])
    }
}

pub fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}

pub fn list(value: &Value) -> Vec<Value> {
    value.as_array().cloned().unwrap_or_default()
}

/// Returns an address of this machine other than loopback, to which clients insist on TLS.
pub fn address() -> String {
    let socket = UdpSocket::bind("0.0.0.0:0").unwrap();
    // nothing is sent
    socket
        .connect("198.51.100.1:9")
        .expect("this machine has a route to others");
    socket.local_addr().unwrap().ip().to_string()
}

fn tail(log: &Path) -> String {
    let log = fs::read(log).unwrap_or_default();
    let log = String::from_utf8_lossy(&log);
    let lines: Vec<&str> = log.lines().collect();
    lines[lines.len().saturating_sub(LOG_LINES)..].join("\n")
}

impl Server {
    pub fn start(dir: &Path, environment: &[(&str, &str)]) -> Self {
        Self::launch(
            dir,
            "registry",
            &["--addr", "127.0.0.1:0", "--data-dir", "data"],
            environment,
        )
    }

    /// Starts `registry serve` with arguments in `dir`; its log is `NAME.log`.
    pub fn launch(
        dir: &Path,
        name: &str,
        arguments: &[&str],
        environment: &[(&str, &str)],
    ) -> Self {
        let log = dir.join(format!("{name}.log"));
        // no server outlives the test, however that ends
        let mut child = Command::new("setpriv")
            .args([
                "--pdeathsig",
                "KILL",
                env!("CARGO_BIN_EXE_registry"),
                "serve",
            ])
            .args(arguments)
            .current_dir(dir)
            .envs(environment.iter().copied())
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(File::create(&log).unwrap())
            .spawn()
            .unwrap();
        let mut line = String::new();
        let stdout = child.stdout.take().unwrap();
        BufReader::new(stdout).read_line(&mut line).unwrap();
        let place = line
            .strip_prefix("listening on ")
            .and_then(|rest| rest.split(',').next());
        let Some((_, host)) = place.and_then(|place| place.split_once("://")) else {
            panic!("the server printed {line:?}\n{}", tail(&log))
        };
        let config = Agent::config_builder().http_status_as_error(false);
        Self {
            host: host.to_owned(),
            address: host.to_owned(),
            child,
            log,
            agent: config.build().into(),
        }
    }

    /// Returns the port, as in an image's name.
    pub fn port(&self) -> &str {
        self.host.rsplit(':').next().unwrap()
    }

    /// Returns the end of the server's log.
    pub fn log(&self) -> String {
        format!("the server's log ends:\n{}", tail(&self.log))
    }

    /// Sends a GET of a path below `/v2/`.
    pub fn get(&self, path: &str) -> Response<Vec<u8>> {
        let url = format!("http://{}/v2/{path}", self.address);
        let reply = self.agent.get(url).header("Accept", ACCEPT).call().unwrap();
        let (parts, mut body) = reply.into_parts();
        let body = body.with_config().limit(1 << 30).read_to_vec().unwrap();
        Response::from_parts(parts, body)
    }

    fn found(&self, path: &str) -> Response<Vec<u8>> {
        let reply = self.get(path);
        let body = String::from_utf8_lossy(reply.body());
        assert_eq!(reply.status(), 200, "{path}: {body}");
        reply
    }

    pub fn json(&self, path: &str) -> Value {
        serde_json::from_slice(self.found(path).body()).unwrap()
    }

    /// Fetches a manifest by tag or digest; computes its digest from its bytes.
    pub fn manifest(&self, repo: &str, reference: &str) -> Manifest {
        let reply = self.found(&format!("{repo}/manifests/{reference}"));
        let header = |name| reply.headers()[name].to_str().unwrap().to_owned();
        let manifest = Manifest {
            media_type: header("content-type"),
            digest: sha256(reply.body()),
            bytes: reply.body().clone(),
        };
        assert_eq!(header("docker-content-digest"), manifest.digest);
        if reference.starts_with("sha256:") {
            assert_eq!(reference, manifest.digest);
        }
        manifest
    }

    pub fn blob(&self, repo: &str, expected: &str) -> Vec<u8> {
        let blob = self.found(&format!("{repo}/blobs/{expected}")).into_body();
        assert_eq!(sha256(&blob), expected);
        blob
    }

    /// Fetches a manifest or index with everything that it references.
    pub fn content(&self, repo: &str, reference: &str) -> Content {
        let manifest = self.manifest(repo, reference);
        let mut content = Content::new();
        for child in manifest.children() {
            content.extend(self.content(repo, &text(&child["digest"])));
        }
        if manifest.children().is_empty() {
            for blob in manifest.layers().into_iter().chain([manifest.config()]) {
                content.insert(blob.clone(), self.blob(repo, &blob));
            }
        }
        content.insert(manifest.digest, manifest.bytes);
        content
    }

    pub fn tags(&self, repo: &str) -> Vec<String> {
        let tags = self.json(&format!("{repo}/tags/list"));
        list(&tags["tags"]).iter().map(text).collect()
    }

    pub fn referrers(&self, repo: &str, subject: &str) -> Vec<Value> {
        list(&self.json(&format!("{repo}/referrers/{subject}"))["manifests"])
    }

    pub fn is_gone(&self, repo: &str, reference: &str) -> bool {
        self.get(&format!("{repo}/manifests/{reference}")).status() == 404
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // its data is thrown away, so an orderly stop gains nothing
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
