//! The log and the list of upstreams, when one sends something wrong, refuses a login, or fails.

use serde_json::{Value, json};

use super::mirror::{SEVEN, hub, mirror};
use crate::support::hub::Hub;
use crate::support::{Server, eventually, sha256};

fn logged(server: &Server, words: &[&str]) -> bool {
    let log = server.log();
    log.lines()
        .any(|line| words.iter().all(|word| line.contains(word)))
}

/// The state of the only upstream.
fn listed(server: &Server) -> Value {
    let output = server.cli(&["upstream", "ls", "--output=json"]);
    let list: Value = serde_json::from_slice(&output.stdout).expect("JSON");
    list["upstreams"][0].clone()
}

#[test]
fn wrong_content_is_logged() {
    let (hub, image) = hub();
    hub.behave(|behaviour| behaviour.alters_blobs = true);
    let server = mirror(&hub, &json!({}));
    let mut client = server.client();
    assert_eq!(client.get(SEVEN).status, 200);
    let blob = sha256(&image.layers[0]);
    let path = format!("/v2/hub/library/redis/blobs/{blob}");
    assert!(client.request("GET", &path).try_send().is_err());
    eventually("it is logged", || {
        logged(
            &server,
            &[
                "something wrong",
                &hub.url(),
                "hub/library/redis",
                &blob,
                "its digest is",
            ],
        )
    });
}

/// A registry of which all wants the password `secret` of `ann`.
fn reserved(wants_basic: bool) -> Hub {
    let (hub, _) = hub();
    hub.reserve("library/redis", "ann", "secret");
    hub.behave(|behaviour| {
        behaviour.has_own_tokens = true;
        behaviour.wants_basic = wants_basic;
    });
    hub
}

#[test]
fn a_login_that_does_not_work_is_logged_and_listed() {
    let files = tempfile::TempDir::new().expect("a directory");
    let file = files.path().join("password");
    let path = file.display().to_string();
    for (keys, said) in [
        (
            json!({ "username": "ann", "password": "wrong" }),
            "refuses this login",
        ),
        (
            json!({ "username": "ann", "passwordfile": path }),
            "cannot read passwordfile",
        ),
        (json!({}), "wants a login: set username and passwordfile"),
    ] {
        let hub = reserved(true);
        std::fs::write(&file, "secret").expect("a file");
        let mut server = mirror(&hub, &keys);
        // a server does not start without it
        std::fs::remove_file(&file).expect("removable");
        assert_ne!(server.client().get(SEVEN).status, 200, "{said}");
        assert!(
            logged(&server, &["WARN", said, &hub.url()]),
            "{}",
            server.log()
        );
        server.stop();
        let upstream = listed(&server);
        let failure = upstream["failure"].as_str().unwrap_or_default();
        assert!(failure.contains(said), "{upstream}");
        assert_eq!(upstream["reachable"], json!(false), "{upstream}");
    }
}

#[test]
fn a_refused_login_is_listed_until_one_works() {
    let hub = reserved(true);
    let files = tempfile::TempDir::new().expect("a directory");
    let path = files.path().join("password");
    std::fs::write(&path, "wrong").expect("a file");
    let keys = json!({ "username": "ann", "passwordfile": path.display().to_string() });
    let mut server = mirror(&hub, &keys);
    let mut client = server.client();
    assert_eq!(client.get(SEVEN).status, 403);
    std::fs::write(&path, "secret").expect("a file");
    let eight = "/v2/hub/library/redis/manifests/8";
    assert_eq!(client.get(eight).status, 404);
    let digest = hub_digest(&hub);
    assert_eq!(client.get(&digest).status, 200);
    assert!(
        logged(&server, &["the upstream answers again"]),
        "{}",
        server.log()
    );
    server.stop();
    assert_eq!(listed(&server)["reachable"], json!(true));
}

/// The path of the image that `7` names, which was not asked for before.
fn hub_digest(hub: &Hub) -> String {
    let mut digest = String::new();
    hub.change("library/redis", |held| digest.clone_from(&held.tags["7"]));
    format!("/v2/hub/library/redis/manifests/{digest}")
}

#[test]
fn a_gone_tag_hides_no_outage() {
    let (hub, image) = hub();
    let server = mirror(&hub, &json!({ "fresh": "0s" }));
    let mut client = server.client();
    hub.add("library/redis", "8", &image);
    for tag in ["7", "8"] {
        image.assert_pulls(&mut client, "hub/library/redis", tag);
    }
    hub.change("library/redis", |held| drop(held.tags.remove("7")));
    assert_eq!(client.get(SEVEN).status, 200);
    let gone = "the tag is gone upstream; what is here is served";
    assert!(
        logged(&server, &[gone, "hub/library/redis:7"]),
        "{}",
        server.log()
    );
    assert!(
        !server.log().contains("the upstream fails"),
        "{}",
        server.log()
    );
    hub.behave(|behaviour| behaviour.statuses = [(503, "")].into());
    let eight = "/v2/hub/library/redis/manifests/8";
    assert_eq!(client.get(eight).status, 200);
    assert!(
        logged(&server, &["the upstream fails", "503"]),
        "{}",
        server.log()
    );
    eventually("it answers again", || {
        client.get(eight).status == 200 && logged(&server, &["the upstream answers again"])
    });
}
