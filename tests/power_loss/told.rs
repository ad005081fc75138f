//! The power fails while an endpoint is told of changes: those that were acknowledged arrive, in order for their repository, and
//! none that is not there.

use std::collections::BTreeSet;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use serde_json::json;
use tempfile::TempDir;

use super::disk::Disk;
use crate::crash::random::Random;
use crate::support::{
    Client, Image, OCI_MANIFEST, Server, announce_skipped, descriptor, eventually,
};
use crate::webhooks::receiver::{Behaviour, Receiver};

const CUTS: u64 = 12;
const CLIENTS: u64 = 4;
/// Minimum number of acknowledged pushes for a run to count.
const PUSHES: usize = 100;
const CONFIG: &str = "application/vnd.oci.image.config.v1+json";

/// Pushes of one client to its own repository.
#[derive(Default)]
struct Pushes {
    /// Number of the last one.
    last: AtomicU64,
    acknowledged: Mutex<Vec<u64>>,
}

impl Pushes {
    /// Pushes until the power fails; what is answered from then on does not count.
    fn work(&self, repository: &str, address: &str, has_failed: &AtomicBool) {
        let (mut client, image) = (Client::new(address), Image::small(1));
        while !has_failed.load(Ordering::SeqCst) {
            let number = self.last.fetch_add(1, Ordering::SeqCst) + 1;
            let manifest = json!({
                "schemaVersion": 2, "mediaType": OCI_MANIFEST, "config": descriptor(CONFIG, &image.config), "layers": [],
                "annotations": {"n": number.to_string()},
            });
            let path = format!("/v2/{repository}/manifests/v{number}");
            let sent = client
                .request("PUT", &path)
                .header("Content-Type", OCI_MANIFEST);
            let answer = sent.body(manifest.to_string().as_bytes()).try_send();
            let is_taken = answer.is_ok_and(|answer| answer.status == 201);
            if is_taken && !has_failed.load(Ordering::SeqCst) {
                self.acknowledged.lock().expect("a lock").push(number);
            }
        }
    }
}

#[test]
fn events_of_acknowledged_changes_survive_a_power_loss() {
    let directory = TempDir::new().expect("a directory");
    let disk = match Disk::new(directory.path(), "data") {
        Ok(disk) => disk,
        Err(error) => {
            let reason = format!("root and loop mounts are required: {error}");
            return announce_skipped("power loss of the outbox", &reason);
        }
    };
    let mut random = Random::new(Random::seed_from("POWER_SEED"));
    let receiver = Receiver::with(|number, _| match number % 9 {
        0 => Behaviour::Refuse,
        1 => Behaviour::Slow(20),
        _ => Behaviour::Take,
    });
    let endpoint = json!([{
        "name": "a", "url": receiver.url(), "backoff": "20ms", "threshold": 1000,
        "ignoredmediatypes": ["application/octet-stream"],
    }]);
    let environment = [("REGISTRY_NOTIFICATIONS_ENDPOINTS", &*endpoint.to_string())];
    let mut server = Server::at(&disk.path().join("data"), &environment);
    let repositories: Vec<_> = (0..CLIENTS).map(|number| format!("app{number}")).collect();
    for repository in &repositories {
        server
            .client()
            .push_blob(repository, &Image::small(1).config);
    }
    let pushes: Vec<_> = repositories.iter().map(|_| Pushes::default()).collect();
    let acknowledged = || {
        let all = pushes.iter();
        all.map(|pushes| pushes.acknowledged.lock().expect("a lock").len())
            .sum::<usize>()
    };
    for _ in 0..CUTS {
        let (has_failed, before) = (AtomicBool::new(false), acknowledged());
        std::thread::scope(|scope| {
            for (repository, pushes) in repositories.iter().zip(&pushes) {
                let (address, has_failed) = (server.address(), &has_failed);
                scope.spawn(move || pushes.work(repository, address, has_failed));
            }
            let enough = PUSHES / CUTS as usize + 1;
            eventually("some pushes", || acknowledged() >= before + enough);
            std::thread::sleep(Duration::from_micros(random.below(50_000)));
            has_failed.store(true, Ordering::SeqCst);
            disk.cut();
        });
        server.kill();
        disk.restore_power();
        server.restart();
    }
    let number = acknowledged();
    println!("{CUTS} power losses, {number} pushes acknowledged");
    assert!(number >= PUSHES, "an experiment of {number} pushes");
    for (repository, pushes) in repositories.iter().zip(&pushes) {
        let acknowledged = pushes.acknowledged.lock().expect("a lock").clone();
        check(&server, &receiver, repository, &acknowledged);
    }
}

/// Checks what an endpoint was told of a repository.
fn check(server: &Server, receiver: &Receiver, repository: &str, acknowledged: &[u64]) {
    let mut missing = Vec::new();
    eventually(&format!("all of {repository} arrive"), || {
        let told = told(receiver, repository);
        missing = acknowledged.to_vec();
        missing.retain(|number| !told.contains(number));
        missing.is_empty()
    });
    let told = told(receiver, repository);
    assert!(told.is_sorted_by(|a, b| a < b), "{repository}: {told:?}");
    let client = &mut server.client();
    for number in told {
        let path = format!("/v2/{repository}/manifests/v{number}");
        assert_eq!(
            client.head(&path).status,
            200,
            "{repository}:v{number} was told"
        );
    }
}

/// Lists the pushes of a repository that have arrived, each event once and where it came first.
fn told(receiver: &Receiver, repository: &str) -> Vec<u64> {
    let (mut ids, mut numbers) = (BTreeSet::new(), Vec::new());
    for taken in receiver.taken() {
        let event = taken.json()["events"][0].clone();
        let target = &event["target"];
        let is_push = event["action"] == "push" && target["repository"] == *repository;
        if is_push && ids.insert(event["id"].to_string()) {
            let tag = target["tag"].as_str().expect("a tag");
            numbers.push(tag[1..].parse().expect("a number"));
        }
    }
    numbers
}
