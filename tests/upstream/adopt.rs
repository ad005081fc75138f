//! Moving from a live registry: `adopt: true`.

use std::path::Path;
use std::time::Duration;

use serde_json::{Value, json};

use crate::import::remote::{hub, signature};
use crate::start::reloading::Configured;
use crate::support::hub::Hub;
use crate::support::{Image, OCI_MANIFEST, Server, eventually, eventually_some, noise, sha256};

/// A configuration without upstreams.
const BASE: &str = "version: 0.1\nlog: {level: info}\nstorage: {reserve: 0}\n";

/// Starts a server that adopts a registry under the names that it has there, with more keys.
pub fn adopting(url: &str, more: &Value) -> Server {
    Server::with(&[("REGISTRY_UPSTREAMS", &section(url, more))])
}

/// Starts such a server in a directory.
pub fn adopting_at(directory: &Path, url: &str, more: &Value) -> Server {
    Server::at(directory, &[("REGISTRY_UPSTREAMS", &section(url, more))])
}

fn section(url: &str, more: &Value) -> String {
    let mut upstream = json!({ "url": url, "adopt": true });
    let more = more.as_object().cloned().unwrap_or_default();
    upstream.as_object_mut().expect("an object").extend(more);
    json!([upstream]).to_string()
}

/// Returns how far the only adoption is.
pub fn adoption(server: &Server) -> Value {
    adoptions(server).swap_remove(0)
}

/// Returns how far the adoptions of all upstreams are.
pub fn adoptions(server: &Server) -> Vec<Value> {
    let output = server.cli(&["upstream", "ls", "--output=json"]);
    assert!(output.status.success(), "{output:?}");
    let listed: Value = serde_json::from_slice(&output.stdout).expect("JSON");
    let upstreams = listed["upstreams"].as_array().cloned();
    let of = |upstream: Value| upstream["adoption"].clone();
    let mut found: Vec<_> = upstreams.into_iter().flatten().map(of).collect();
    // none is recorded yet
    found.resize_with(found.len().max(2), Value::default);
    found
}

/// Waits until everything is here.
#[track_caller]
pub fn completed(server: &Server) {
    eventually("it is complete", || adoption(server)["percent"] == 100);
}

/// Waits until a whole walk has been made that began after this call.
#[track_caller]
fn walked_again(server: &Server) {
    let pass = |server: &Server| adoption(server)["pass"].as_u64().unwrap_or(0);
    let before = pass(server);
    eventually("it walks again", || pass(server) > before + 1);
}

fn referrers(server: &Server, repository: &str, subject: &Image) -> usize {
    let path = format!("/v2/{repository}/referrers/{}", subject.digest());
    let listed = server.client().get(&path).json();
    listed["manifests"].as_array().map_or(0, Vec::len)
}

fn tags(server: &Server, repository: &str) -> Value {
    let path = format!("/v2/{repository}/tags/list");
    server.client().get(&path).json()["tags"].clone()
}

/// A registry with an image whose layer is missing, so that its adoption does not end.
fn damaged_hub() -> (Hub, [Image; 3]) {
    let hub = Hub::start();
    let images = [1, 2, 3].map(Image::small);
    hub.add("team/app", "v1", &images[0]);
    hub.add("team/app", "v2", &images[1]);
    let broken = Image::new("broken", vec![noise(9, 500)]);
    hub.add("broken", "v1", &broken);
    hub.change("broken", |held| {
        held.blobs.remove(&sha256(&broken.layers[0]));
    });
    (hub, images)
}

#[test]
fn everything_comes_with_children_referrers_and_signatures() {
    let (hub, images, index) = hub();
    let cosign = images[0].digest().replace(':', "-") + ".sig";
    let mut server = adopting(&hub.url(), &json!({}));
    completed(&server);
    let said = server.cli(&["upstream", "ls"]);
    let said = String::from_utf8_lossy(&said.stdout).into_owned();
    assert!(
        said.contains("100 %") && said.contains("take it out of upstreams"),
        "{said}"
    );
    let state = adoption(&server);
    assert_eq!(
        (
            &state["repositoryCount"],
            &state["tagCount"],
            &state["problems"]
        ),
        (&json!(2), &json!(4), &json!([])),
        "{state}"
    );
    // the registry is stopped, the line removed
    server.stop();
    drop(hub);
    let server = Server::at(server.directory(), &[]);
    let mut client = server.client();
    images[0].assert_pulls(&mut client, "team/app", "v1");
    images[1].assert_pulls(&mut client, "team/app", &images[1].digest());
    images[2].assert_pulls(&mut client, "other", "v1");
    assert_eq!(client.get("/v2/team/app/manifests/both").body, index);
    assert_eq!(tags(&server, "team/app"), json!(["both", cosign, "v1"]));
    assert_eq!(referrers(&server, "team/app", &images[0]), 1);
    assert!(server.cli(&["verify"]).status.success());
}

#[test]
fn below_a_prefix_pushes_are_taken_and_what_was_pushed_stays() {
    let hub = Hub::start();
    let images = [1, 2, 3].map(Image::small);
    hub.add("team/app", "v1", &images[0]);
    hub.add("team/app", "v2", &images[1]);
    hub.behave(|behaviour| behaviour.is_down = true);
    let server = adopting(&hub.url(), &json!({ "prefix": "old" }));
    let mut client = server.client();
    images[2].push(&mut client, "old/team/app", "v1");
    eventually("it says why it waits", || {
        adoption(&server)["failure"].is_string()
    });
    hub.behave(|behaviour| behaviour.is_down = false);
    // a miss asks at once
    eventually("the upstream is asked again", || {
        client.get("/v2/old/team/app/manifests/v2").status == 200
    });
    images[1].assert_pulls(&mut client, "old/team/app", "v2");
    completed(&server);
    images[2].assert_pulls(&mut client, "old/team/app", "v1");
    // once everything is here, nobody is asked any more
    hub.seen();
    client
        .get("/v2/old/team/app/manifests/v3")
        .refused(404, "MANIFEST_UNKNOWN");
    hub.add("team/app", "v2", &images[0]);
    images[1].assert_pulls(&mut client, "old/team/app", "v2");
    assert!(hub.seen().is_empty());
}

/// Neither the walk nor a pull brings back what was deleted, whatever it was.
#[test]
fn what_is_deleted_here_stays_deleted() {
    let (hub, images) = damaged_hub();
    hub.add("team/app", "same", &images[1]);
    hub.add("gone", "v1", &images[2]);
    hub.change("team/app", |held| {
        held.blobs.insert(sha256(b"{}"), b"{}".to_vec());
    });
    let signed = signature(&images[0].manifest);
    hub.add_manifest("team/app", None, OCI_MANIFEST, &signed);
    // slowly, so that the walk comes after the deletions
    let mut server = adopting(&hub.url(), &json!({ "rate": 1, "fresh": "0s" }));
    let mut client = server.client();
    assert_eq!(referrers(&server, "team/app", &images[0]), 1);
    for path in [
        format!("team/app/manifests/{}", images[1].digest()),
        format!("team/app/manifests/{}", sha256(&signed)),
        "team/app/manifests/v1".to_owned(),
    ] {
        assert_eq!(client.delete(&format!("/v2/{path}")).status, 202, "{path}");
    }
    // nothing of this one has come yet
    eventually("it is listed", || adoption(&server)["repositoryCount"] == 3);
    assert_eq!(client.delete("/v2/gone/").status, 202);
    let check = |server: &Server| {
        let mut client = server.client();
        for path in [
            "team/app/manifests/v1".to_owned(),
            "team/app/manifests/v2".to_owned(),
            format!("team/app/manifests/{}", images[1].digest()),
            format!("team/app/manifests/{}", sha256(&signed)),
        ] {
            let status = client.get(&format!("/v2/{path}")).status;
            assert_eq!(status, 404, "{path}");
        }
        assert_eq!(referrers(server, "team/app", &images[0]), 0);
        assert_eq!(client_status(server, "gone/manifests/v1"), 404);
    };
    check(&server);
    server.kill();
    let upstream = json!([{ "url": hub.url(), "adopt": true, "fresh": "0s" }]);
    let server = Server::at(
        server.directory(),
        &[("REGISTRY_UPSTREAMS", &upstream.to_string())],
    );
    walked_again(&server);
    check(&server);
    assert_eq!(client_status(&server, "team/app/manifests/same"), 404);
    // and all that is there is what was not deleted
    assert_eq!(client_status(&server, "broken/manifests/v1"), 200);
}

fn client_status(server: &Server, path: &str) -> u16 {
    server.client().get(&format!("/v2/{path}")).status
}

#[test]
fn what_is_damaged_is_listed_and_does_not_stop_the_rest() {
    let (hub, images) = damaged_hub();
    let server = adopting(&hub.url(), &json!({}));
    let state = eventually_some("the rest is here", || {
        let state = adoption(&server);
        (state["wholeRepositoryCount"] == 1 && state["problemCount"] == 2).then_some(state)
    });
    assert_eq!(state["percent"], 50, "{state}");
    images[0].assert_pulls(&mut server.client(), "team/app", "v1");
    let said = server.cli(&["upstream", "ls"]);
    let said = String::from_utf8_lossy(&said.stdout).into_owned();
    assert!(said.contains("is missing: left out"), "{said}");
    // images that may still come are no damage
    assert!(server.cli(&["verify"]).status.success());
    // mended there, it comes
    let broken = Image::new("broken", vec![noise(9, 500)]);
    hub.add("broken", "v1", &broken);
    completed(&server);
    broken.assert_pulls(&mut server.client(), "broken", "v1");
}

/// A walk that was killed goes on with the repositories that it has not read.
#[test]
fn a_walk_goes_on_after_a_kill() {
    let hub = Hub::start();
    let images: Vec<_> = (0..30).map(Image::small).collect();
    for (number, image) in images.iter().enumerate() {
        hub.add(&format!("app{number:02}"), "v1", image);
    }
    hub.behave(|behaviour| behaviour.delay = Duration::from_millis(20));
    let mut server = adopting(&hub.url(), &json!({}));
    eventually("some are here", || {
        adoption(&server)["wholeRepositoryCount"].as_u64() > Some(5)
    });
    server.kill();
    let whole = adoption(&server)["wholeRepositoryCount"].as_u64();
    assert!(whole < Some(30), "{whole:?}");
    hub.seen();
    hub.behave(|behaviour| behaviour.delay = Duration::ZERO);
    server.restart();
    completed(&server);
    let seen = hub.seen();
    let is_list = |path: &str| path.contains("/tags/list");
    let is_catalog = |path: &str| path.contains("_catalog");
    let first = seen.iter().take_while(|seen| !is_catalog(&seen.path));
    let read: std::collections::BTreeSet<_> = first
        .filter(|seen| is_list(&seen.path) && seen.header("authorization").is_some())
        .map(|seen| seen.path.clone())
        .collect();
    assert_eq!(
        read.len() as u64,
        30 - whole.unwrap_or(0),
        "only what was left is read: {read:?}"
    );
    let mut client = server.client();
    for (number, image) in images.iter().enumerate() {
        image.assert_pulls(&mut client, &format!("app{number:02}"), "v1");
    }
}

/// A client that is told that a layer is here pushes an image without sending it.
#[test]
fn what_a_client_was_told_of_comes_with_its_push() {
    let hub = Hub::start();
    let old = Image::new("old", vec![noise(1, 5000)]);
    hub.add("team/app", "v1", &old);
    let server = adopting(&hub.url(), &json!({ "rate": 1 }));
    let mut client = server.client();
    let new = Image::new("new", vec![noise(1, 5000), noise(2, 100)]);
    let told = client.head(&format!("/v2/team/app/blobs/{}", sha256(&new.layers[0])));
    assert_eq!(told.status, 200);
    client.push_blob("team/app", &new.layers[1]);
    client.push_blob("team/app", &new.config);
    let pushed = client.put_manifest("team/app", "v2", OCI_MANIFEST, &new.manifest);
    assert_eq!(pushed.status, 201, "{pushed:?}");
    new.assert_pulls(&mut client, "team/app", "v2");
    let lost = Image::small(77);
    client.push_blob("team/app", &lost.config);
    client
        .put_manifest("team/app", "v3", OCI_MANIFEST, &lost.manifest)
        .refused(400, "MANIFEST_BLOB_UNKNOWN");
}

#[test]
fn an_adoption_begins_and_ends_without_a_restart() {
    let old = Server::start();
    let image = Image::small(1);
    image.push(&mut old.client(), "team/app", "v1");
    let configured = Configured::start(BASE);
    let mut client = configured.server.client();
    assert_eq!(client.get("/v2/team/app/manifests/v1").status, 404);
    let line = format!(
        "{BASE}upstreams: [{{url: 'http://{}', adopt: true}}]\n",
        old.address()
    );
    configured.replace(&line);
    configured.hang_up();
    configured.says(&["now in force", "upstreams"]);
    image.assert_pulls(&mut client, "team/app", "v1");
    eventually("it is complete", || {
        let listed = configured.object(&["upstream", "ls"]);
        listed["upstreams"][0]["adoption"]["percent"] == 100
    });
    configured.replace(BASE);
    configured.hang_up();
    configured.says(&["now in force", "upstreams"]);
    drop(old);
    image.assert_pulls(&mut client, "team/app", "v1");
    Image::small(2).push(&mut client, "team/app", "v1");
}
