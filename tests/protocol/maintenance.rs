//! Maintenance: read-only mode and upload purging.

use std::path::Path;
use std::process::Stdio;

use super::put;
use crate::support::{Image, Server, eventually, upload_id};

#[test]
fn a_read_only_registry_serves_and_refuses_changes() {
    let directory = tempfile::TempDir::new().expect("a directory");
    let path = directory.path().join("data");
    let image = Image::small(1);
    let mut server = Server::at(&path, &[]);
    image.push(&mut server.client(), "a", "v1");
    let location = server.client().begin_upload("a");
    assert!(server.stop().success());

    let server = Server::at(
        &path,
        &[("REGISTRY_STORAGE_MAINTENANCE_READONLY_ENABLED", "true")],
    );
    let mut client = server.client();
    let digest = image.digest();
    for (method, path) in [
        ("POST", "/v2/a/blobs/uploads/".to_owned()),
        (
            "POST",
            format!("/v2/b/blobs/uploads/?mount={digest}&from=a"),
        ),
        ("POST", format!("/v2/a/blobs/uploads/?digest={digest}")),
        ("PATCH", location.clone()),
        ("PUT", format!("{location}&digest={digest}")),
        ("DELETE", location.clone()),
        ("PUT", "/v2/a/manifests/v2".to_owned()),
        ("DELETE", "/v2/a/manifests/v1".to_owned()),
        ("DELETE", format!("/v2/a/manifests/{digest}")),
        ("DELETE", format!("/v2/a/blobs/{digest}")),
        ("DELETE", "/v2/a/".to_owned()),
    ] {
        let refusal = client.request(method, &path).body(b"{}").send();
        refusal.refused(405, "UNSUPPORTED");
        assert_eq!(
            refusal.header("allow"),
            Some("GET, HEAD"),
            "{method} {path}"
        );
        let message = refusal.json()["errors"][0]["message"]
            .as_str()
            .expect("a message")
            .to_owned();
        assert!(message.contains("read-only"), "{message}");
    }
    image.assert_pulls(&mut client, "a", "v1");
    assert_eq!(client.head("/v2/a/manifests/v1").status, 200);
    assert_eq!(client.get(&location).status, 204);
    assert_eq!(
        super::texts(&client.get("/v2/_catalog").json()["repositories"]),
        ["a"]
    );
}

const PURGE_AGE: (&str, &str) = ("REGISTRY_STORAGE_MAINTENANCE_UPLOADPURGING_AGE", "1ms");
const PURGE_INTERVAL: (&str, &str) = (
    "REGISTRY_STORAGE_MAINTENANCE_UPLOADPURGING_INTERVAL",
    "10ms",
);

/// Runs a server that only logs the sessions it would purge, until it has named all of these.
fn assert_dry_run_names(data: &Path, sessions: [&str; 2]) {
    let log = data.with_extension("log");
    let mut dry = crate::support::server::command(data);
    dry.envs([
        PURGE_INTERVAL,
        PURGE_AGE,
        ("REGISTRY_STORAGE_MAINTENANCE_UPLOADPURGING_DRYRUN", "true"),
    ]);
    dry.stdout(Stdio::null())
        .stderr(std::fs::File::create(&log).expect("a file"));
    let mut dry = dry.spawn().expect("the server starts");
    eventually("the log names both", || {
        let log = std::fs::read_to_string(&log).expect("a log");
        sessions
            .iter()
            .all(|session| log.contains(upload_id(session)))
    });
    dry.kill().expect("the server can be killed");
    dry.wait().expect("the server ends");
}

/// Sessions expire by the current rules, not by those at their start.
#[test]
fn uploads_are_purged_by_the_rules_in_force() {
    let directory = tempfile::TempDir::new().expect("a directory");
    let path = directory.path().join("data");
    let mut server = Server::at(&path, &[PURGE_INTERVAL]);
    let location = server.client().begin_upload("a");
    assert_eq!(
        server
            .client()
            .request("PATCH", &location)
            .body(b"bytes")
            .send()
            .status,
        202
    );
    assert!(server.stop().success());

    let mut switched_off = Server::at(
        &path,
        &[
            PURGE_INTERVAL,
            PURGE_AGE,
            (
                "REGISTRY_STORAGE_MAINTENANCE_UPLOADPURGING_ENABLED",
                "false",
            ),
        ],
    );
    let second = switched_off.client().begin_upload("a");
    // longer than many purge intervals
    for _ in 0..50 {
        assert_eq!(switched_off.client().get(&second).status, 204, "it stays");
        std::thread::sleep(std::time::Duration::from_millis(5));
    }
    assert!(switched_off.stop().success());

    assert_dry_run_names(&path, [&location, &second]);

    let server = Server::at(&path, &[PURGE_INTERVAL, PURGE_AGE]);
    let mut client = server.client();
    eventually("both are gone", || {
        [&location, &second]
            .iter()
            .all(|session| client.get(session).status == 404)
    });
    eventually("their files as well", || server.upload_files().is_empty());
    let third = client.begin_upload("a");
    eventually("a new one goes as well", || {
        client.get(&third).status == 404
    });
}

#[test]
fn the_page_size_is_configurable() {
    let server = Server::with(&[
        ("REGISTRY_CATALOG_MAXENTRIES", "2"),
        ("REGISTRY_TAGS_MAXTAGS", "3"),
    ]);
    let mut client = server.client();
    for number in 0..5 {
        let index = super::index(&[]);
        assert_eq!(
            put(&mut client, &format!("r{number}"), "v", &index).status,
            201
        );
        assert_eq!(
            put(&mut client, "r0", &format!("v{number}"), &index).status,
            201
        );
    }
    for (path, key, limit) in [
        ("/v2/_catalog", "repositories", 2),
        ("/v2/r0/tags/list", "tags", 3),
    ] {
        for asked in [
            path.to_owned(),
            format!("{path}?n=1000"),
            format!("{path}?n=2"),
        ] {
            let pages = super::pages(&mut client, &asked);
            let longest = pages
                .iter()
                .map(|page| super::texts(&page.json()[key]).len())
                .max();
            assert_eq!(
                longest,
                Some(if asked.ends_with("n=2") { 2 } else { limit }),
                "{asked}"
            );
        }
    }
}
