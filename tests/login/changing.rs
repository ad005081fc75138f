//! Rules, groups and tokens change under load: no request is judged by half a change.

use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};

use super::as_user;
use super::machine_tokens::{fill, run, token};
use super::{Guarded, line};
use crate::support::Server;
use crate::support::client::Response;
use crate::support::sha256;

/// Content of `source/blob`, which `target` may mount.
const BLOB: &[u8] = b"only where it was pushed";

/// One of two configurations, of which the second takes what the first gives.
///
/// In the first, ann may push to `target/app`; in the second, pull from `source/blob`. The names that she sees change by a
/// rule and by a group at once.
fn configuration(users: &Path, is_first: bool) -> String {
    let (place, members, action) = match is_first {
        true => ("target/**", json!(["ann"]), "push"),
        false => ("source/**", json!(["bob"]), "pull"),
    };
    json!({
        "version": 0.1,
        "auth": { "htpasswd": { "realm": "x", "path": users } },
        "access": {
            "groups": { "first": members, "second": if is_first { json!(["bob"]) } else { json!(["ann"]) } },
            "rules": [
                { "repositories": "**", "who": "boss", "may": "admin" },
                { "repositories": place, "who": "ann", "may": action },
                { "repositories": "one/**", "who": "@first", "may": "pull" },
                { "repositories": "two/**", "who": "@second", "may": "pull" },
            ],
        },
    })
    .to_string()
}

fn send(server: &Server, user: &str, method: &str, path: &str, body: &[u8]) -> Response {
    let mut client = server.client();
    let request = client.request(method, path).body(body);
    let request = request.header("Content-Type", "application/vnd.oci.image.index.v1+json");
    as_user(request, user, "secret").send()
}

/// Fills the repositories whose names tell the two configurations apart.
fn stock(server: &Server) {
    let index = json!({
        "schemaVersion": 2, "mediaType": "application/vnd.oci.image.index.v1+json", "manifests": [],
    });
    for repository in ["target/app", "source/blob", "one/app", "two/app"] {
        let path = format!("/v2/{repository}/manifests/v1");
        let body = index.to_string();
        assert_eq!(
            send(server, "boss", "PUT", &path, body.as_bytes()).status,
            201
        );
    }
    let path = format!("/v2/source/blob/blobs/uploads/?digest={}", sha256(BLOB));
    assert_eq!(send(server, "boss", "POST", &path, BLOB).status, 201);
}

const FIRST: [&str; 2] = ["one/app", "target/app"];
const SECOND: [&str; 2] = ["source/blob", "two/app"];

/// Names that ann sees, which one whole configuration must explain.
fn seen(server: &Server) -> Vec<String> {
    let answer = send(server, "ann", "GET", "/v2/_catalog", b"");
    let names = answer.json()["repositories"].clone();
    let names: Vec<String> = serde_json::from_value(names).expect("names");
    assert!(
        names == FIRST || names == SECOND,
        "half a change: {names:?}"
    );
    names
}

/// Replaces a configuration, and has the server read it at once.
fn replace(server: &Server, file: &Path, text: &str) {
    let new = file.with_extension("new");
    std::fs::write(&new, text).expect("a file");
    std::fs::rename(new, file).expect("a name");
    let pid = i32::try_from(server.pid()).ok().and_then(Pid::from_raw);
    kill_process(pid.expect("a process"), Signal::HUP).expect("it runs");
}

#[test]
fn no_request_is_judged_by_half_a_change() {
    let directory = tempfile::TempDir::new().expect("a directory");
    let users = directory.path().join("users");
    let lines = ["boss", "ann", "bob"].map(|user| line(user, "secret"));
    std::fs::write(&users, lines.concat()).expect("a file");
    let file = directory.path().join("config.yml");
    std::fs::write(&file, configuration(&users, true)).expect("a file");
    let place = file.to_str().expect("a path");
    let server = Server::with(&[("REGISTRY_CONFIGURATION_PATH", place)]);
    stock(&server);
    let (is_done, answered) = (AtomicBool::new(false), AtomicUsize::new(0));
    std::thread::scope(|scope| {
        for number in 0..4 {
            let (server, is_done, answered) = (&server, &is_done, &answered);
            scope.spawn(move || {
                let _end = End(is_done);
                while !is_done.load(Ordering::Relaxed) {
                    match number % 2 {
                        0 => drop(seen(server)),
                        // mounted only by the right to push of one and the right to pull of the other
                        _ => {
                            let digest = sha256(BLOB);
                            let path = format!(
                                "/v2/target/app/blobs/uploads/?mount={digest}&from=source/blob"
                            );
                            let status = send(server, "ann", "POST", &path, b"").status;
                            assert!([202, 404].contains(&status), "half a change: {status}");
                        }
                    }
                    answered.fetch_add(1, Ordering::Relaxed);
                }
            });
        }
        let _end = End(&is_done);
        for round in 1..=100 {
            let is_first = round % 2 == 0;
            replace(&server, &file, &configuration(&users, is_first));
            let wanted: &[&str] = if is_first { &FIRST } else { &SECOND };
            while seen(&server) != wanted && !is_done.load(Ordering::Relaxed) {
                std::thread::yield_now();
            }
        }
    });
    assert!(answered.into_inner() >= 100);
}

/// Answer to a request for a manifest, by whatever the header proves.
fn get(guarded: &Guarded, authorization: &str) -> u16 {
    let mut client = guarded.client();
    let request = client.request("GET", "/v2/team/app/manifests/v1");
    request.header("Authorization", authorization).send().status
}

#[test]
fn the_next_request_of_a_revoked_token_fails_under_load() {
    let guarded = Guarded::with(&line("ann", "secret"));
    fill(&guarded);
    let flags = ["--repositories", "team/**", "--may", "pull"];
    let busy = token(&guarded, &[&["busy"], &flags[..]].concat());
    let basic = |secret: &str| {
        use base64::Engine;
        let text = base64::engine::general_purpose::STANDARD.encode(format!("x:{secret}"));
        format!("Basic {text}")
    };
    let is_done = AtomicBool::new(false);
    std::thread::scope(|scope| {
        for _ in 0..3 {
            scope.spawn(|| {
                let _end = End(&is_done);
                while !is_done.load(Ordering::Relaxed) {
                    assert_eq!(get(&guarded, &basic(&busy)), 200);
                }
            });
        }
        let _end = End(&is_done);
        for round in 0..100 {
            let name = format!("ci{round}");
            let secret = token(&guarded, &[&[&*name], &flags[..]].concat());
            let basic = basic(&secret);
            let path = "/v2/_token?service=registry&scope=repository:team/app:pull";
            let mut client = guarded.client();
            let issued = client
                .request("GET", path)
                .header("Authorization", &basic)
                .send();
            let bearer: Value = issued.json()["token"].clone();
            let bearer = format!("Bearer {}", bearer.as_str().expect("a token"));
            assert_eq!((get(&guarded, &basic), get(&guarded, &bearer)), (200, 200));
            run(&guarded, &["revoke", &name]);
            assert_eq!(
                (get(&guarded, &basic), get(&guarded, &bearer)),
                (401, 401),
                "round {round}"
            );
        }
    });
}

struct End<'b>(&'b AtomicBool);

impl Drop for End<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}
