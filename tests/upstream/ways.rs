//! Ways to an upstream's content: the prefix, `?ns=`, an address of its own, and the whole registry as its cache.

use serde_json::{Value, json};
use tempfile::TempDir;

use super::mirror::{SEVEN, hub, mirror};
use crate::import::{Store, taken_over_with};
use crate::login::{Guarded, line};
use crate::support::hub::Hub;
use crate::support::{Client, Image, OCI_MANIFEST, Server, eventually_some, sha256};

/// Returns the address that leads to an upstream alone.
fn entrance(server: &Server) -> String {
    eventually_some("it listens for one upstream", || {
        let log = server.log();
        let line = log
            .lines()
            .find(|line| line.contains("listening for one upstream"))?;
        let (_, rest) = line.split_once("address=")?;
        let mut words = rest.split([' ', '"']).filter(|word| !word.is_empty());
        words.next().map(str::to_owned)
    })
}

/// Starts a registry that is a cache of a hub as a whole.
fn cache(hub: &Hub) -> Server {
    Server::with(&[("REGISTRY_PROXY_REMOTEURL", &hub.url())])
}

#[track_caller]
fn refuses_pushes(client: &mut Client, repository: &str, image: &Image) {
    let put = client.put_manifest(repository, "8", OCI_MANIFEST, &image.manifest);
    put.refused(405, "UNSUPPORTED");
    let digest = sha256(&image.layers[0]);
    for query in [
        String::new(),
        format!("?digest={digest}"),
        format!("?mount={digest}&from=own/app"),
    ] {
        let path = format!("/v2/{repository}/blobs/uploads/{query}");
        let begun = client.request("POST", &path).send();
        begun.refused(405, "UNSUPPORTED");
        let shown = String::from_utf8_lossy(&begun.body).into_owned();
        assert!(!shown.contains("127.0.0.1"), "it shows the URL: {shown}");
    }
}

/// A prefix that is configured over content of one's own moves nothing of it, and asks nobody about it.
#[test]
fn own_repositories_below_a_prefix_stay_ones_own() {
    let (hub, image) = hub();
    let directory = TempDir::new().expect("a directory");
    let own = Image::small(5);
    let mut before = Server::at(directory.path(), &[]);
    own.push(&mut before.client(), "hub/library/redis", "7");
    before.stop();
    let section = json!([{ "prefix": "hub", "url": hub.url(), "ns": "docker.io", "fresh": "0s" }]);
    let server = Server::at(
        directory.path(),
        &[("REGISTRY_UPSTREAMS", &section.to_string())],
    );
    let mut client = server.client();
    own.assert_pulls(&mut client, "hub/library/redis", "7");
    assert_eq!(
        client.get(&format!("{SEVEN}?ns=docker.io")).body,
        own.manifest
    );
    for path in [
        "/v2/hub/library/redis/manifests/8".to_owned(),
        format!("/v2/hub/library/redis/manifests/{}", image.digest()),
    ] {
        client.get(&path).refused(404, "MANIFEST_UNKNOWN");
    }
    let layer = sha256(&image.layers[0]);
    let blob = format!("/v2/hub/library/redis/blobs/{layer}");
    client.get(&blob).refused(404, "BLOB_UNKNOWN");
    let seen = hub.seen();
    assert!(seen.is_empty(), "{seen:?}");
    Image::small(6).push(&mut client, "hub/library/redis", "8");
    // the others below it are the upstream's
    image.assert_pulls(&mut client, "hub/redis", "7");
    refuses_pushes(&mut client, "hub/redis", &own);
    refuses_pushes(&mut client, "hub/library/none", &own);
    let log = server.log();
    assert!(!log.contains("internal failure"), "{log}");
}

/// A cache is one's own from the first push on that the configuration allows.
#[test]
fn a_push_after_the_upstream_is_gone_makes_a_repository_ones_own() {
    let (hub, image) = hub();
    let directory = TempDir::new().expect("a directory");
    let section = json!([{ "prefix": "hub", "url": hub.url(), "fresh": "0s" }]).to_string();
    let variables = [("REGISTRY_UPSTREAMS", &*section)];
    let mut server = Server::at(directory.path(), &variables);
    image.assert_pulls(&mut server.client(), "hub/library/redis", "7");
    server.stop();
    let mut server = Server::at(directory.path(), &[]);
    let own = Image::small(5);
    own.push(&mut server.client(), "hub/library/redis", "7");
    server.stop();
    let server = Server::at(directory.path(), &variables);
    hub.seen();
    own.assert_pulls(&mut server.client(), "hub/library/redis", "7");
    assert!(hub.seen().is_empty());
}

/// A tag of a cache is the upstream's: the command line names no image of one's own there.
#[test]
fn a_cache_takes_no_tags_of_the_command_line() {
    let (hub, image) = hub();
    let server = mirror(&hub, &json!({}));
    image.assert_pulls(&mut server.client(), "hub/library/redis", "7");
    let tagged = server.cli(&["tag", "hub/library/redis:7", "hub/library/redis:mine"]);
    let said = String::from_utf8_lossy(&tagged.stderr).into_owned();
    assert!(
        !tagged.status.success() && said.contains("is a cache of another registry"),
        "{said}"
    );
    let tagged = server.cli(&["tag", "hub/library/redis:7", "team/redis:7"]);
    assert!(tagged.status.success(), "{tagged:?}");
    image.assert_pulls(&mut server.client(), "team/redis", "7");
}

#[test]
fn a_namespace_is_a_closed_look_up_and_means_nothing_to_writes() {
    let (hub, image) = hub();
    let server = mirror(&hub, &json!({}));
    let mut client = server.client();
    let own = Image::small(5);
    own.push(&mut client, "own/app", "v1");
    let layer = sha256(&own.layers[0]);
    for path in [
        "/v2/own/app/manifests/v1".to_owned(),
        format!("/v2/own/app/blobs/{layer}"),
        "/v2/own/app/tags/list".to_owned(),
        format!("/v2/own/app/referrers/{}", own.digest()),
        "/v2/own/app/_oci/tag-history/v1".to_owned(),
    ] {
        assert_eq!(client.get(&path).status, 200, "{path}");
        let elsewhere = client.get(&format!("{path}?ns=ghcr.io"));
        elsewhere.refused(404, "NAME_UNKNOWN");
        let in_hub = client.get(&format!("{path}?ns=docker.io"));
        // of referrers there are none either way
        let is_shown = in_hub.body == client.get(&path).body;
        assert_eq!(is_shown, path.contains("/referrers/"), "{path}");
    }
    // one's own name is no namespace of another registry
    let path = format!("/v2/own/app/manifests/v1?ns={}", server.address());
    assert_eq!(client.get(&path).body, own.manifest);
    // an address with `override_path` names the prefix itself
    for path in [
        "/v2/hub/library/redis/manifests/7?ns=docker.io",
        "/v2/library/redis/manifests/7?ns=docker.io",
    ] {
        assert_eq!(client.get(path).body, image.manifest, "{path}");
    }
    let layer = sha256(&image.layers[0]);
    let blob = format!("/v2/hub/library/redis/blobs/{layer}?ns=docker.io");
    assert_eq!(client.get(&blob).body, image.layers[0]);
    // writes
    let other = Image::small(6);
    for blob in [&other.config, &other.layers[0]] {
        let path = format!(
            "/v2/own/app/blobs/uploads/?ns=ghcr.io&digest={}",
            sha256(blob)
        );
        let pushed = client.request("POST", &path).body(blob).send();
        assert_eq!(pushed.status, 201);
    }
    let put = client
        .request("PUT", "/v2/own/app/manifests/v2?ns=docker.io")
        .header("Content-Type", OCI_MANIFEST)
        .body(&other.manifest)
        .send();
    assert_eq!(put.status, 201);
    other.assert_pulls(&mut client, "own/app", "v2");
}

/// Globs name repositories as the upstream does.
#[test]
fn short_names_of_docker_hub_are_allowed_by_their_full_names() {
    let (hub, image) = hub();
    let server = mirror(&hub, &json!({ "allow": ["library/*"] }));
    image.assert_pulls(&mut server.client(), "hub/redis", "7");
    let server = mirror(&hub, &json!({ "allow": ["redis"] }));
    let mut client = server.client();
    for path in [
        "manifests/7",
        "tags/list",
        &format!("blobs/{}", image.digest()),
    ] {
        let refused = client.get(&format!("/v2/hub/redis/{path}"));
        refused.refused(404, "NAME_UNKNOWN");
        let said = refused.json().to_string();
        assert!(
            said.contains("'library/redis'") && said.contains("allow"),
            "{said}"
        );
    }
    let lines = server.log().matches("(allow) does not name it").count();
    assert_eq!(lines, 1, "it is logged once");
    // what one has oneself is nobody's to allow
    client
        .get("/v2/other/manifests/7")
        .refused(404, "MANIFEST_UNKNOWN");
}

/// Where a client means Docker Hub, `redis` is `library/redis`, and not stored twice.
#[test]
fn short_names_of_docker_hub_are_the_same_images() {
    let (hub, image) = hub();
    let server = mirror(&hub, &json!({ "listen": "127.0.0.1:0" }));
    let mut alone = Client::new(&entrance(&server));
    image.assert_pulls(&mut alone, "redis", "7");
    hub.behave(|behaviour| behaviour.is_down = true);
    image.assert_pulls(&mut alone, "library/redis", "7");
    let mut client = server.client();
    for path in [
        "/v2/redis/manifests/7?ns=docker.io",
        "/v2/library/redis/manifests/7?ns=docker.io",
        "/v2/hub/library/redis/manifests/7",
    ] {
        assert_eq!(client.get(path).body, image.manifest, "{path}");
    }
    assert_eq!(super::eviction::tags(&server), ["hub/library/redis:7"]);
}

/// As Docker's `registry-mirrors` ask: with names of Docker Hub, with and without `?ns=`.
#[test]
fn an_address_of_its_own_shows_one_upstream_and_takes_only_pulls() {
    let (hub, image) = hub();
    let server = mirror(&hub, &json!({ "listen": "127.0.0.1:0" }));
    let own = Image::small(5);
    own.push(&mut server.client(), "own/app", "v1");
    let mut client = Client::new(&entrance(&server));
    assert_eq!(client.get("/v2/").status, 200);
    image.assert_pulls(&mut client, "library/redis", "7");
    image.assert_pulls(&mut client, "hub/library/redis", "7");
    let found = client.get("/v2/library/redis/manifests/7?ns=docker.io");
    assert_eq!(found.body, image.manifest);
    image.assert_pulls(&mut server.client(), "hub/library/redis", "7");
    // nothing of one's own
    let absent = client.get("/v2/own/app/manifests/v1");
    absent.refused(404, "MANIFEST_UNKNOWN");
    for path in ["/v2/_catalog", "/v2/_events", "/v1/search?q=own"] {
        client.get(path).refused(405, "UNSUPPORTED");
    }
    refuses_pushes(&mut client, "own/app", &own);
    refuses_pushes(&mut client, "library/redis", &own);
    for path in [
        "/v2/own/app/manifests/v1",
        "/v2/library/redis/manifests/7",
        "/v2/hub/library/redis/manifests/7",
    ] {
        client.delete(path).refused(405, "UNSUPPORTED");
    }
    own.assert_pulls(&mut server.client(), "own/app", "v1");
    assert_eq!(server.client().delete(SEVEN).status, 202);
}

/// Logins and rules hold on an upstream's address too.
#[test]
fn an_address_of_its_own_has_the_logins_of_the_registry() {
    let (hub, image) = hub();
    let section = json!([{ "prefix": "hub", "url": hub.url(), "listen": "127.0.0.1:0" }]);
    let rules = |may: &str| {
        json!({ "rules": [
            { "repositories": "hub/**", "who": "anonymous", "may": may },
            { "repositories": "**", "who": "ann", "may": "admin" },
        ] })
    };
    let closed = json!({ "rules": [{ "repositories": "**", "who": "ann", "may": "admin" }] });
    for (access, status) in [(closed, 401), (rules("pull"), 200)] {
        let guarded = Guarded::set_up(
            &line("ann", "secret"),
            &[
                ("REGISTRY_ACCESS", &access.to_string()),
                ("REGISTRY_UPSTREAMS", &section.to_string()),
            ],
        );
        let mut client = Client::new(&entrance(&guarded.server));
        let path = "/v2/library/redis/manifests/7";
        let answer = client.get(path);
        assert_eq!(answer.status, status);
        let known = client
            .request("GET", path)
            .header("Authorization", "Basic YW5uOnNlY3JldA==")
            .send();
        assert_eq!(known.body, image.manifest);
        if status == 401 {
            let challenge = answer.header("www-authenticate").unwrap_or_default();
            assert!(!challenge.is_empty(), "{challenge}");
            // what is mirrored is told to nobody who may not pull
            let foreign = guarded
                .server
                .client()
                .get(&format!("{path}?ns=none.example"));
            assert_eq!(foreign.status, 401);
            let push = guarded.server.client().put_manifest(
                "hub/library/redis",
                "8",
                OCI_MANIFEST,
                &image.manifest,
            );
            assert_eq!(push.status, 401);
        }
    }
}

#[test]
fn a_registry_that_is_a_cache_takes_only_pulls() {
    let (hub, image) = hub();
    let server = cache(&hub);
    let mut client = server.client();
    image.assert_pulls(&mut client, "library/redis", "7");
    let found = client.get("/v2/library/redis/manifests/7?ns=docker.io");
    assert_eq!(found.body, image.manifest);
    let catalog = client.get("/v2/_catalog").json();
    assert_eq!(catalog["repositories"], json!(["library/redis"]));
    refuses_pushes(&mut client, "own/app", &image);
    refuses_pushes(&mut client, "library/redis", &image);
    let layer = sha256(&image.layers[0]);
    for path in [
        "/v2/library/redis/manifests/7".to_owned(),
        format!("/v2/library/redis/blobs/{layer}"),
        "/v2/library/redis/".to_owned(),
    ] {
        client.delete(&path).refused(405, "UNSUPPORTED");
    }
    image.assert_pulls(&mut client, "library/redis", "7");
}

#[test]
fn a_cache_starts_while_its_upstream_is_down_and_serves_what_it_has() {
    let (hub, image) = hub();
    let directory = TempDir::new().expect("a directory");
    let mut server = Server::at(
        directory.path(),
        &[("REGISTRY_PROXY_REMOTEURL", &hub.url())],
    );
    image.assert_pulls(&mut server.client(), "library/redis", "7");
    server.stop();
    let closed = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let url = format!("http://{}", closed.local_addr().expect("an address"));
    drop(closed);
    let server = Server::at(directory.path(), &[("REGISTRY_PROXY_REMOTEURL", &url)]);
    let mut client = server.client();
    image.assert_pulls(&mut client, "library/redis", "7");
    let absent = client.get("/v2/library/redis/manifests/8");
    assert_eq!(absent.status, 502);
}

/// The directory of distribution's cache is served at once, and follows the same upstream.
#[test]
fn the_store_of_distributions_cache_goes_on() {
    let (hub, image) = hub();
    let temporary = TempDir::new().expect("a directory");
    let store = Store::new(temporary.path());
    let cached = Image::small(4);
    store.image("library/redis", "7", &cached);
    store.image("library/gone", "1", &cached);
    let server = taken_over_with(
        temporary.path(),
        &[("REGISTRY_PROXY_REMOTEURL", &hub.url())],
    );
    let mut client = server.client();
    cached.assert_pulls(&mut client, "library/gone", "1");
    cached.assert_pulls(&mut client, "library/redis", &cached.digest());
    // the tag was never asked for by this server
    image.assert_pulls(&mut client, "library/redis", "7");
}

#[test]
fn mistakes_about_a_cache_are_named() {
    let check = |config: &Value| {
        let directory = TempDir::new().expect("a directory");
        let file = directory.path().join("config.yml");
        std::fs::write(&file, config.to_string()).expect("a file");
        let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_registry"));
        let output = command.args(["config", "check"]).arg(&file).output();
        let output = output.expect("it runs");
        String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned()
    };
    for (config, said) in [
        (
            json!({ "version": "0.1", "proxy": { "remoteurl": "ftp://h" } }),
            "is not the URL of a registry",
        ),
        (
            json!({ "version": "0.1", "proxy": { "remoteurl": "https://h" },
                "upstreams": [{ "prefix": "a", "url": "https://h" }] }),
            "the whole registry is a cache of one upstream",
        ),
        (
            json!({ "version": "0.1", "proxy": { "username": "u" } }),
            "proxy has no effect without proxy.remoteurl",
        ),
        (
            json!({ "version": "0.1", "upstreams": [{ "prefix": "a", "url": "https://h", "listen": "5001" }] }),
            "cannot listen on '5001'",
        ),
    ] {
        let output = check(&config);
        assert!(output.contains(said), "{config}: {output}");
    }
}
