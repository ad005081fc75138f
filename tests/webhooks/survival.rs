//! Every committed change arrives, in order for its repository, and none that was not committed: with a receiver that dies,
//! refuses, is slow and answers half, and a server that is killed.
//!
//! `WEBHOOK_EVENTS=10000 WEBHOOK_KILLS=30` is the long form. `WEBHOOK_SEED` repeats a run.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::receiver::{Behaviour, Receiver};
use crate::support::{Client, Image, OCI_MANIFEST, Server, descriptor};

const CLIENTS: u64 = 8;
const REPOSITORIES: u64 = 5;
const CONFIG: &str = "application/vnd.oci.image.config.v1+json";

fn number(name: &str, default: u64) -> u64 {
    let given = std::env::var(name).ok();
    given.map_or(default, |text| text.parse().expect("a number"))
}

/// A sequence of numbers from a seed (xorshift).
struct Random(AtomicU64);

impl Random {
    fn below(&self, limit: u64) -> u64 {
        let next = |mut state: u64| {
            state ^= state << 13;
            state ^= state >> 7;
            Some(state ^ (state << 17))
        };
        let state = self
            .0
            .fetch_update(Ordering::SeqCst, Ordering::SeqCst, next);
        (state.expect("a number") >> 16) % limit
    }
}

/// State that the clients share.
struct Shared {
    address: Mutex<String>,
    done: AtomicUsize,
    random: Random,
}

/// Pushes and deletes until enough is acknowledged by all clients together.
fn work(shared: &Shared, client_number: u64, enough: usize) {
    let image = Image::small(1);
    let (mut number, mut address) = (client_number << 32, String::new());
    let mut client = Client::new("127.0.0.1:1");
    while shared.done.load(Ordering::SeqCst) < enough {
        let current = shared.address.lock().expect("a lock").clone();
        if current != address {
            client = Client::new(&current);
            address = current;
        }
        number += 1;
        let repository = format!("app{}", shared.random.below(REPOSITORIES));
        let tag = format!("v{}", shared.random.below(4));
        let path = format!("/v2/{repository}/manifests/{tag}");
        let manifest = json!({
            "schemaVersion": 2, "mediaType": OCI_MANIFEST, "config": descriptor(CONFIG, &image.config), "layers": [],
            "annotations": {"n": number.to_string()},
        });
        let answer = match shared.random.below(4) {
            0 => client.request("DELETE", &path).try_send(),
            _ => client
                .request("PUT", &path)
                .header("Content-Type", OCI_MANIFEST)
                .body(manifest.to_string().as_bytes())
                .try_send(),
        };
        match answer.map(|response| response.status) {
            Ok(201 | 202) => drop(shared.done.fetch_add(1, Ordering::SeqCst)),
            Ok(404) => {}
            Ok(status) => panic!("{status}"),
            // killed: its successor has another address
            Err(_) => std::thread::sleep(Duration::from_millis(5)),
        }
    }
}

/// Kills the server from time to time, and the receiver, until the clients have done enough.
fn disturb(server: &mut Server, receiver: &Receiver, shared: &Shared, kills: u64, enough: usize) {
    for kill in 1..=kills {
        let until = enough * kill as usize / (kills as usize + 1);
        while shared.done.load(Ordering::SeqCst) < until {
            std::thread::sleep(Duration::from_millis(1));
        }
        receiver.set_dead(kill % 3 == 0);
        server.kill();
        server.restart();
        server
            .address()
            .clone_into(&mut shared.address.lock().expect("a lock"));
    }
    receiver.set_dead(false);
}

/// Lists changes of tags by repository, in order, as the audit log has them: it is written in the same transactions.
fn committed(server: &Server) -> BTreeMap<String, Vec<String>> {
    let connection =
        rusqlite::Connection::open(server.directory().join("registry.db")).expect("a database");
    let mut rows = connection
        .prepare("SELECT repository, action, tag, digest FROM audit WHERE action IN ('tag', 'untag') ORDER BY id")
        .expect("a statement");
    let rows = rows.query_map([], |row| {
        let (repository, action, tag): (String, String, String) =
            (row.get(0)?, row.get(1)?, row.get(2)?);
        let change = match &*action {
            "tag" => format!("push {tag} {}", row.get::<_, String>(3)?),
            _ => format!("delete {tag}"),
        };
        Ok((repository, change))
    });
    let mut found = BTreeMap::<_, Vec<_>>::new();
    for row in rows.expect("rows") {
        let (repository, change) = row.expect("a row");
        found.entry(repository).or_default().push(change);
    }
    found
}

/// Lists the changes that have arrived, by repository, each event once and where it came first.
fn arrived(receiver: &Receiver) -> BTreeMap<String, Vec<String>> {
    let (mut found, mut ids) = (BTreeMap::<_, Vec<_>>::new(), BTreeSet::new());
    for taken in receiver.taken() {
        let event = taken.json()["events"][0].clone();
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        if !ids.insert(text(&event["id"])) {
            continue;
        }
        let target = &event["target"];
        let change = match event["action"].as_str() {
            Some("push") => format!("push {} {}", text(&target["tag"]), text(&target["digest"])),
            _ => format!("delete {}", text(&target["tag"])),
        };
        found
            .entry(text(&target["repository"]))
            .or_default()
            .push(change);
    }
    found
}

/// Describes the first difference, if there is one.
fn difference(
    committed: &BTreeMap<String, Vec<String>>,
    arrived: &BTreeMap<String, Vec<String>>,
) -> Option<String> {
    let none = Vec::new();
    let names: BTreeSet<_> = committed.keys().chain(arrived.keys()).collect();
    names.into_iter().find_map(|name| {
        let (ours, theirs) = (
            committed.get(name).unwrap_or(&none),
            arrived.get(name).unwrap_or(&none),
        );
        let place = (0..ours.len().max(theirs.len()))
            .find(|place| ours.get(*place) != theirs.get(*place))?;
        Some(format!(
            "{name}: of {} changes, {} arrived; change {place} is {:?}, and {:?} arrived",
            ours.len(),
            theirs.len(),
            ours.get(place),
            theirs.get(place)
        ))
    })
}

#[test]
fn every_committed_change_arrives_in_order_and_no_other() {
    let (events, kills) = (
        number("WEBHOOK_EVENTS", 400) as usize,
        number("WEBHOOK_KILLS", 4),
    );
    let seed = number("WEBHOOK_SEED", 1 + u64::from(std::process::id()));
    println!("WEBHOOK_SEED={seed}");
    let moods = Random(AtomicU64::new(seed));
    let receiver = Receiver::with(move |_, _| match moods.below(40) {
        0 => Behaviour::Refuse,
        1 => Behaviour::Half,
        2 => Behaviour::Slow(30),
        _ => Behaviour::Take,
    });
    let endpoint = format!(
        "[{{name: a, url: '{}', backoff: 20ms, threshold: 1000, timeout: 5s, ignoredmediatypes: [application/octet-stream], ignore: {{actions: [pull]}}}}]",
        receiver.url()
    );
    let mut server = Server::with(&[
        ("REGISTRY_NOTIFICATIONS_ENDPOINTS", &*endpoint),
        ("REGISTRY_GC_ENABLED", "false"),
    ]);
    let image = Image::small(1);
    for repository in 0..REPOSITORIES {
        server
            .client()
            .push_blob(&format!("app{repository}"), &image.config);
    }
    let shared = Shared {
        address: Mutex::new(server.address().to_owned()),
        done: AtomicUsize::new(0),
        random: Random(AtomicU64::new(seed ^ 0x5eed)),
    };
    std::thread::scope(|scope| {
        for client in 0..CLIENTS {
            let shared = &shared;
            scope.spawn(move || work(shared, client, events));
        }
        disturb(&mut server, &receiver, &shared, kills, events);
    });
    let committed = committed(&server);
    let total: usize = committed.values().map(Vec::len).sum();
    assert!(total >= events * 3 / 4, "{total} changes of tags");
    let deadline = Instant::now() + Duration::from_secs(60 + events as u64 / 20);
    loop {
        match difference(&committed, &arrived(&receiver)) {
            None => break,
            Some(difference) => assert!(Instant::now() < deadline, "{difference}"),
        }
        std::thread::sleep(Duration::from_millis(200));
    }
    println!("{total} changes arrived in {} requests", receiver.arrived());
}
