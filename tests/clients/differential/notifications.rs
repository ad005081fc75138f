//! The same requests of real clients to both, with distribution's `notifications`: what both tell of them is the same, byte for
//! byte, but for ids, times and addresses. What differs for other requests is listed in `docs/webhooks.md`.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::harness::engine;
use crate::harness::peer::Peer;
use crate::harness::sandbox::Sandbox;
use crate::harness::server::Server;
use crate::tools::podman;

const DEADLINE: Duration = Duration::from_secs(60);
const MEDIA_TYPE: &str = "application/vnd.docker.distribution.events.v1+json";

/// An endpoint, and the envelopes that it was sent.
struct Receiver {
    address: String,
    envelopes: Arc<Mutex<Vec<String>>>,
}

impl Receiver {
    fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let envelopes: Arc<Mutex<Vec<String>>> = Arc::default();
        let taken = Arc::clone(&envelopes);
        thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                let taken = Arc::clone(&taken);
                thread::spawn(move || take(stream, &taken));
            }
        });
        Self { address, envelopes }
    }

    /// Sections of a configuration that tell it of everything.
    fn sections(&self) -> Value {
        let endpoint = json!({
            "name": "test", "url": format!("http://{}/hook", self.address), "timeout": "5s", "threshold": 3, "backoff": "1s",
        });
        json!({ "events": { "includereferences": true }, "endpoints": [endpoint] })
    }

    /// Envelopes in alphabetical order, without what differs between two registries.
    fn told(&self, used: &Used<'_>) -> Vec<String> {
        let mut told = self.in_order(used);
        told.sort();
        told
    }

    /// Envelopes as they came, without what differs between two registries.
    fn in_order(&self, used: &Used<'_>) -> Vec<String> {
        let mut told = self.envelopes.lock().unwrap().clone();
        for envelope in &mut told {
            let lines = envelope.lines().map(|line| {
                neutral(line)
                    .replace(used.host, "HOST")
                    .replace(&used.chart, "CHART")
            });
            *envelope = lines.collect::<Vec<_>>().join("\n");
        }
        told
    }
}

/// A registry that clients have used.
struct Used<'h> {
    host: &'h str,
    /// Digest of the chart's manifest, in which helm writes the time.
    chart: String,
}

/// A line whose value is hidden if it is an id, a time or an address.
fn neutral(line: &str) -> String {
    let hidden = [
        "\"id\": ",
        "\"timestamp\": ",
        "\"addr\": ",
        "\"instanceID\": ",
    ];
    match hidden
        .iter()
        .find(|key| line.trim_start().starts_with(**key))
    {
        Some(key) => {
            let comma = if line.ends_with(',') { "," } else { "" };
            format!("{key}\"…\"{comma}")
        }
        None => line.to_owned(),
    }
}

/// Takes all requests of a connection.
fn take(stream: TcpStream, envelopes: &Mutex<Vec<String>>) {
    let mut reader = BufReader::new(stream);
    loop {
        let (mut length, mut is_right) = (0, false);
        loop {
            let mut line = String::new();
            if reader.read_line(&mut line).unwrap_or(0) == 0 {
                return;
            }
            let line = line.trim_end().to_ascii_lowercase();
            if line.is_empty() {
                break;
            }
            if let Some(("content-length", value)) = line.split_once(": ") {
                length = value.parse().unwrap();
            }
            is_right |= line == format!("content-type: {MEDIA_TYPE}");
        }
        let mut body = vec![0; length];
        reader.read_exact(&mut body).unwrap();
        let body = String::from_utf8(body).unwrap();
        let body = if is_right {
            body
        } else {
            format!("another type: {body}")
        };
        envelopes.lock().unwrap().push(body);
        let answer = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n";
        if reader.get_mut().write_all(answer).is_err() {
            return;
        }
    }
}

pub fn notifications(sandbox: &Sandbox) {
    let receivers = [Receiver::start(), Receiver::start()];
    let peer = Peer::with(
        sandbox.dir(),
        &json!({ "notifications": receivers[0].sections() }),
    );
    let settings = json!({ "version": 0.1, "notifications": receivers[1].sections() });
    sandbox.write("ours.yml", settings.to_string());
    let arguments = ["ours.yml", "--addr", "127.0.0.1:0", "--data-dir", "ours"];
    let ours = Server::launch(sandbox.dir(), "ours", &arguments, &[]);
    let _engine = engine::start(sandbox);
    prepare(sandbox);
    let used = [&peer.address, &ours.host].map(|host| use_clients(sandbox, host));
    let told = || [0, 1].map(|side| receivers[side].told(&used[side]));
    wait(|| {
        told()
            .iter()
            .all(|told| has(told, "pull", "\"repository\": \"team/last\""))
    });
    // the references of a pushed manifest are read when it is told of
    for used in &used {
        let copy = format!("{}/team/copy@{}", used.host, used.chart);
        sandbox.run(format!("crane delete --insecure {copy}"));
    }
    wait(|| {
        told()
            .iter()
            .all(|told| has(told, "delete", "\"tag\": \"1\""))
    });
    wait(|| told()[0].len() <= told()[1].len());
    let [expected, told] = told();
    let only = |one: &[String], other: &[String]| {
        let one = one.iter().filter(|envelope| !other.contains(envelope));
        one.cloned().collect::<Vec<_>>().join("\n")
    };
    assert!(
        told == expected,
        "{} events of theirs and {} of ours\ntheirs alone:\n{}\nours alone:\n{}",
        expected.len(),
        told.len(),
        only(&expected, &told),
        only(&told, &expected)
    );
    println!("{} events, the same of both", told.len());
    let [expected, told] = [0, 1].map(|side| sequences(&receivers[side].in_order(&used[side])));
    for (sequence, expected) in &expected {
        let told = told.get(sequence).map_or(&[][..], Vec::as_slice);
        assert_eq!(told, expected, "in another order: {sequence:?}");
    }
    let events = expected.values().map(Vec::len);
    println!(
        "{} events of manifests in the same order",
        events.sum::<usize>()
    );
}

/// Events of manifests in their order: of each repository the changes, and its pulls, which are told later here. Clients
/// push and pull blobs side by side, so these have no order.
fn sequences(told: &[String]) -> BTreeMap<(String, bool), Vec<String>> {
    let mut sequences = BTreeMap::<_, Vec<_>>::new();
    for envelope in told {
        let event = &serde_json::from_str::<Value>(envelope).unwrap()["events"][0];
        let target = &event["target"];
        let is_blob = target["url"]
            .as_str()
            .is_some_and(|url| url.contains("/blobs/"));
        if !is_blob {
            let repository = target["repository"].as_str().unwrap().to_owned();
            let sequence = (repository, event["action"] == "pull");
            sequences
                .entry(sequence)
                .or_default()
                .push(envelope.clone());
        }
    }
    sequences
}

fn prepare(sandbox: &Sandbox) {
    sandbox.write("context/file", "content\n");
    sandbox.write("context/Dockerfile", "FROM scratch\nCOPY file /file\n");
    sandbox.run("docker build --tag image context");
    // the Engine remembers manifests that it has pulled from anywhere
    let image = format!("{}/team/docker:1", sandbox.server.host);
    sandbox.run(format!("docker tag image {image}"));
    sandbox.run(format!("docker push {image}"));
    sandbox.run(format!("docker pull {image}"));
    let podman = podman::with_store(sandbox, "podman");
    sandbox.run(format!("{podman} build --timestamp 1 --tag image context"));
    sandbox.run("helm create web");
    sandbox.run("helm package web --version 1.0.0");
}

/// Pushes, pulls, copies and deletes with each client.
fn use_clients<'h>(sandbox: &Sandbox, host: &'h str) -> Used<'h> {
    sandbox.run(format!("docker tag image {host}/team/docker:1"));
    sandbox.run(format!("docker push {host}/team/docker:1"));
    sandbox.run(format!("docker pull {host}/team/docker:1"));
    let podman = podman::with_store(sandbox, "podman");
    let image = format!("{host}/team/podman:1");
    sandbox.run(format!("{podman} push --tls-verify=false image {image}"));
    sandbox.run(format!("{podman} pull --tls-verify=false {image}"));
    sandbox.run(format!(
        "helm push --plain-http web-1.0.0.tgz oci://{host}/team"
    ));
    sandbox.run(format!(
        "helm pull --plain-http oci://{host}/team/web --version 1.0.0"
    ));
    // mounts, and moves a tag
    let copy = format!("{host}/team/copy");
    sandbox.run(format!("crane copy --insecure {image} {copy}:1"));
    sandbox.run(format!(
        "crane copy --insecure {host}/team/web:1.0.0 {copy}:1"
    ));
    let digest = sandbox.run(format!("crane digest --insecure {copy}:1"));
    sandbox.run(format!("crane copy --insecure {image} {host}/team/last:1"));
    sandbox.run(format!("crane manifest --insecure {host}/team/last:1"));
    Used {
        host,
        chart: digest.line().to_owned(),
    }
}

/// Reports whether an event with this action and line was told.
fn has(told: &[String], action: &str, line: &str) -> bool {
    let action = format!("\"action\": \"{action}\"");
    told.iter()
        .any(|envelope| envelope.contains(&action) && envelope.contains(line))
}

/// Waits until something holds, a minute at most.
fn wait(holds: impl Fn() -> bool) {
    let start = Instant::now();
    while !holds() && start.elapsed() < DEADLINE {
        thread::sleep(Duration::from_millis(50));
    }
}
