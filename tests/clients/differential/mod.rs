//! The same requests to Debian's `docker-registry`, which is distribution 2.8, and to ours: what differs is listed in
//! `docs/differences.md` and `docs/differences-login.md` with its reason, and nothing else differs.

mod compare;
mod listed;
mod notifications;
mod script;
mod wire;

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

use serde_json::{Value, json};

use crate::harness::peer::Peer;
use crate::harness::sandbox::Sandbox;
use crate::harness::server::Server;
use compare::{Comparison, Difference};
use listed::Document;

pub use notifications::notifications;
use script::Script;

/// Minimum number of requests; a smaller script proves too little.
const REQUESTS: usize = 500;

pub fn without_login(sandbox: &Sandbox) {
    let peer = Peer::start(sandbox.dir(), &Value::Null);
    let script = script::all();
    assert!(
        script.steps().len() >= REQUESTS,
        "{} requests",
        script.steps().len()
    );
    let found = run(&script, &peer.address, &sandbox.server.host);
    settle("differences.md", script.steps().len(), &found);
}

/// The same users of both, and whoever else.
pub fn with_login(sandbox: &Sandbox) {
    sandbox.write(
        "htpasswd",
        sandbox
            .run(format!("htpasswd -Bbn {}", script::USER.replace(':', " ")))
            .stdout,
    );
    let auth =
        json!({ "htpasswd": { "realm": "Registry Realm", "path": sandbox.path("htpasswd") } });
    let peer = Peer::start(sandbox.dir(), &auth);
    sandbox.write(
        "ours.yml",
        json!({ "version": 0.1, "auth": auth, "http": { "trustedproxies": ["127.0.0.1"] } })
            .to_string(),
    );
    let ours = Server::launch(
        sandbox.dir(),
        "ours",
        &["ours.yml", "--addr", "127.0.0.1:0", "--data-dir", "ours"],
        &[],
    );
    let script = script::with_login();
    let found = run(&script, &peer.address, &ours.host);
    settle("differences-login.md", script.steps().len(), &found);
}

/// Sends every step to both, one after the other; gives what differed.
fn run(script: &Script, theirs: &str, ours: &str) -> Vec<Difference> {
    let comparison = Comparison::new();
    let mut places = [BTreeMap::new(), BTreeMap::new()];
    let mut found = Vec::new();
    for step in script.steps() {
        let replies = [theirs, ours].map(|address| {
            let is_ours = address == ours;
            let reply = wire::exchange(
                address,
                &step.bytes(address, &places[usize::from(is_ours)]),
                step.end(),
                step.is_head(),
            );
            if let (Some(place), Some(location)) = (step.keeps(), reply.header("location")) {
                places[usize::from(is_ours)].insert(place, location.to_owned());
            }
            reply
        });
        found.extend(comparison.differences(step.name(), &replies[0], &replies[1]));
    }
    found
}

fn settle(list: &str, requests: usize, found: &[Difference]) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("docs")
        .join(list);
    let document = Document::parse(&fs::read_to_string(path).unwrap());
    let report = document.check(found);
    assert!(
        report.is_empty(),
        "what docs/{list} lists is not what differs:\n{report}"
    );
    let particular: BTreeSet<_> = found
        .iter()
        .filter(|difference| document.is_particular(difference))
        .map(|found| &found.request)
        .collect();
    println!(
        "{requests} requests; {} answered differently beyond what holds for all of them, each difference listed",
        particular.len()
    );
}
