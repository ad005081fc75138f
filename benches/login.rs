//! Measures the cost of logins: `cargo bench --bench login [ROUNDS [SECONDS]]`.
//!
//! Starts each registry twice with the same configuration, once without `auth` and once with an htpasswd file (bcrypt cost
//! 10), pushes the same image to all, and lets `wrk` GET its manifest by tag over 16 connections, in turns.
//! Prints the median requests per second and their ratio; 1 means that a login costs nothing. Compares this build with
//! Debian's docker-registry, if installed, and `PEER_DISTRIBUTION_V3=path`.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "benchmarks print, and fail by panicking"
)]

use std::io::Read;
use std::net::{Ipv4Addr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use data_encoding::HEXLOWER;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use tempfile::TempDir;

const COST: u32 = 10;
const CONNECTIONS: u32 = 16;
const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";

fn main() {
    let numbers: Vec<u32> = std::env::args()
        .filter_map(|argument| argument.parse().ok())
        .collect();
    let (rounds, seconds) = (
        numbers.first().copied().unwrap_or(5),
        numbers.get(1).copied().unwrap_or(4),
    );
    let on_disk = |path: &str| Some(PathBuf::from(path)).filter(|path| path.is_file());
    let peers = [
        (
            "registry",
            Some(PathBuf::from(env!("CARGO_BIN_EXE_registry"))),
        ),
        ("docker-registry", on_disk("/usr/bin/docker-registry")),
        (
            "distribution-v3",
            std::env::var_os("PEER_DISTRIBUTION_V3").map(PathBuf::from),
        ),
    ];
    println!(
        "GET of a manifest by tag, {CONNECTIONS} connections, {rounds} rounds of {seconds} s, bcrypt at cost {COST}"
    );
    let mut pairs = Vec::new();
    for (name, binary) in peers {
        match binary {
            Some(binary) => pairs.push((
                name,
                [Served::start(&binary, false), Served::start(&binary, true)],
                [Vec::new(), Vec::new()],
            )),
            None => println!("{name:18} skipped: not installed"),
        }
    }
    for _ in 0..rounds {
        for (_, servers, rates) in &mut pairs {
            for (server, rates) in servers.iter().zip(rates) {
                rates.push(server.rate(seconds));
            }
        }
    }
    println!(
        "{:18} {:>12} {:>12} {:>7}",
        "requests/s", "open", "login", "ratio"
    );
    for (name, _, [open, login]) in &mut pairs {
        let (open, login) = (median(open), median(login));
        println!("{name:18} {open:12.0} {login:12.0} {:7.3}", login / open);
    }
}

fn median(values: &mut [f64]) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

/// A registry with one image in it.
struct Served {
    child: Child,
    address: String,
    authorization: Option<String>,
    _directory: TempDir,
}

impl Served {
    fn start(binary: &Path, with_login: bool) -> Self {
        let directory = tempfile::tempdir().expect("a directory");
        let port = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))
            .and_then(|listener| listener.local_addr())
            .expect("a port")
            .port();
        let address = format!("127.0.0.1:{port}");
        let mut config = json!({
            "version": 0.1,
            "log": { "level": "error", "accesslog": { "disabled": true } },
            "storage": { "filesystem": { "rootdirectory": directory.path().join("data") } },
            "http": { "addr": address },
        });
        if with_login {
            let path = directory.path().join("htpasswd");
            std::fs::write(
                &path,
                format!("joe:{}\n", bcrypt::hash("secret", COST).expect("a hash")),
            )
            .expect("a file");
            config["auth"] = json!({ "htpasswd": { "realm": "benchmark", "path": path } });
        }
        let path = directory.path().join("config.yml");
        std::fs::write(&path, config.to_string()).expect("a file");
        let mut command = Command::new(binary);
        command
            .arg("serve")
            .arg(path)
            .env("OTEL_TRACES_EXPORTER", "none")
            .stdout(Stdio::null())
            .stderr(Stdio::null());
        let child = command.spawn().expect("it starts");
        let authorization = with_login.then(|| format!("Basic {}", STANDARD.encode("joe:secret")));
        let served = Self {
            child,
            address,
            authorization,
            _directory: directory,
        };
        served.push();
        served
    }

    fn request(
        &self,
        method: &str,
        path: &str,
        kind: &str,
        body: &[u8],
    ) -> Option<ureq::http::Response<ureq::Body>> {
        let url = if path.starts_with("http") {
            path.to_owned()
        } else {
            format!("http://{}{path}", self.address)
        };
        let mut request = ureq::http::Request::builder()
            .method(method)
            .uri(url)
            .header("Content-Type", kind);
        if let Some(authorization) = &self.authorization {
            request = request.header("Authorization", authorization);
        }
        ureq::run(request.body(body).expect("a request")).ok()
    }

    fn push(&self) {
        let deadline = Instant::now() + Duration::from_secs(20);
        while self.request("GET", "/v2/", "text/plain", b"").is_none() {
            assert!(
                Instant::now() < deadline,
                "{} does not answer",
                self.address
            );
            std::thread::sleep(Duration::from_millis(20));
        }
        let content = b"{}";
        let digest = format!("sha256:{}", HEXLOWER.encode(&Sha256::digest(content)));
        let begun = self
            .request("POST", "/v2/bench/blobs/uploads/", "text/plain", b"")
            .expect("an upload");
        let location = begun.headers()["location"].to_str().expect("text");
        let joint = if location.contains('?') { '&' } else { '?' };
        let upload = format!("{location}{joint}digest={digest}");
        self.request("PUT", &upload, "application/octet-stream", content)
            .expect("a blob is pushed");
        let descriptor = |kind: &str| -> Value {
            json!({ "mediaType": kind, "digest": digest, "size": content.len() })
        };
        let layers = vec![descriptor("application/vnd.oci.image.layer.v1.tar"); 8];
        let config = descriptor("application/vnd.oci.image.config.v1+json");
        let manifest = json!({ "schemaVersion": 2, "mediaType": MANIFEST, "config": config, "layers": layers }).to_string();
        self.request(
            "PUT",
            "/v2/bench/manifests/latest",
            MANIFEST,
            manifest.as_bytes(),
        )
        .expect("a manifest is pushed");
    }

    /// Measures requests per second.
    fn rate(&self, seconds: u32) -> f64 {
        let mut wrk = Command::new("wrk");
        // those that hash for each request are slow to answer sixteen at once
        wrk.args([
            "-t1",
            "--timeout",
            "60s",
            &format!("-c{CONNECTIONS}"),
            &format!("-d{seconds}s"),
            "-H",
            &format!("Accept: {MANIFEST}"),
        ]);
        if let Some(authorization) = &self.authorization {
            wrk.args(["-H", &format!("Authorization: {authorization}")]);
        }
        wrk.arg(format!("http://{}/v2/bench/manifests/latest", self.address));
        let mut running = wrk
            .stdout(Stdio::piped())
            .spawn()
            .expect("wrk is installed: apt-get install wrk");
        let mut text = String::new();
        running
            .stdout
            .take()
            .expect("a pipe")
            .read_to_string(&mut text)
            .expect("text");
        assert!(
            running.wait().expect("it ends").success()
                && !text.contains("Non-2xx")
                && !text.contains("Socket errors"),
            "{text}"
        );
        let rate = text
            .lines()
            .find_map(|line| line.trim().strip_prefix("Requests/sec:"));
        rate.and_then(|rate| rate.trim().parse().ok())
            .unwrap_or_else(|| panic!("{text}"))
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
