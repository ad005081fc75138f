//! Quotas: limits of the bytes that repositories hold together.

use std::io::{BufReader, Write};

use serde_json::{Value, json};

use crate::support::client::{Response, dial_tcp, read_response};
use crate::support::{Image, Server, eventually, noise, sha256};

const MIB: usize = 1 << 20;

/// Every user has 4 MiB.
fn limited() -> Server {
    let quotas = json!([{ "repositories": "home/*/**", "bytes": "4MiB" }]);
    Server::with(&[("REGISTRY_QUOTAS", &quotas.to_string())])
}

fn push(server: &Server, repository: &str, content: &[u8]) -> Response {
    let path = format!("/v2/{repository}/blobs/uploads/?digest={}", sha256(content));
    server.client().request("POST", &path).body(content).send()
}

/// Pushes in the way of docker, whose digest comes last.
fn push_late(server: &Server, repository: &str, content: &[u8]) -> Response {
    let mut client = server.client();
    let location = client.begin_upload(repository);
    let sent = client.request("PATCH", &location).body(content).send();
    let location = sent.header("location").expect("a location").to_owned();
    let digest = sha256(content);
    client
        .request("PUT", &format!("{location}&digest={digest}"))
        .send()
}

/// The bytes that a quota's repositories hold, as the command shows them.
fn used(server: &Server, name: &str) -> Option<u64> {
    let output = server.cli(&["quotas", "-o", "json"]);
    assert!(output.status.success(), "{output:?}");
    let object: Value = serde_json::from_slice(&output.stdout).expect("an object");
    let quotas = object["quotas"].as_array().expect("a list");
    let quota = quotas.iter().find(|quota| quota["name"] == name)?;
    quota["size"].as_u64()
}

#[test]
fn each_user_has_a_quota() {
    let server = limited();
    let (first, second) = (noise(1, 3 * MIB), noise(2, 2 * MIB));
    assert_eq!(push(&server, "home/ann/app", &first).status, 201);
    let refused = push(&server, "home/ann/app", &second);
    refused.refused(403, "DENIED");
    let message = refused.json()["errors"][0]["message"].clone();
    assert_eq!(
        message,
        "quota of home/ann/** exceeded: 3.0 MiB of 4.0 MiB used, and this needs 2.0 MiB"
    );
    push_late(&server, "home/ann/web", &second).refused(403, "DENIED");
    assert!(
        server.upload_files().is_empty(),
        "the refused session is gone"
    );
    // others have theirs, and outside there is none
    assert_eq!(push(&server, "home/bob/app", &second).status, 201);
    assert_eq!(push(&server, "team/app", &second).status, 201);
    // what one of the user's repositories holds costs nothing in another
    assert_eq!(push(&server, "home/ann/web", &first).status, 201);
    assert_eq!(push_late(&server, "home/ann/x", &first).status, 201);
    assert_eq!(used(&server, "home/ann/**"), Some(3 * MIB as u64));
    let mount = |digest: &str| {
        let path = format!("/v2/home/ann/app/blobs/uploads/?mount={digest}&from=team/app");
        server.client().request("POST", &path).send()
    };
    mount(&sha256(&second)).refused(403, "DENIED");
    // full: a session is not even begun
    let rest = noise(3, MIB);
    assert_eq!(push(&server, "home/ann/app", &rest).status, 201);
    let begun = server
        .client()
        .request("POST", "/v2/home/ann/app/blobs/uploads/")
        .send();
    begun.refused(403, "DENIED");
}

#[test]
fn what_is_collected_makes_room() {
    let server = limited();
    let image = Image::new("first", vec![noise(1, 3 * MIB)]);
    image.push(&mut server.client(), "home/ann/app", "v1");
    let before = used(&server, "home/ann/**").expect("a quota");
    assert!(before >= 3 * MIB as u64, "{before}");
    let next = noise(2, 2 * MIB);
    push(&server, "home/ann/app", &next).refused(403, "DENIED");
    assert!(
        server
            .cli(&["rm", "home/ann/app", "--yes"])
            .status
            .success()
    );
    push(&server, "home/ann/app", &next).refused(403, "DENIED");
    assert!(server.cli(&["gc", "--now", "--yes"]).status.success());
    assert_eq!(push(&server, "home/ann/app", &next).status, 201);
    assert_eq!(used(&server, "home/ann/**"), Some(2 * MIB as u64));
}

#[test]
fn a_blob_that_does_not_fit_is_refused_before_it_is_sent() {
    let server = limited();
    let location = || server.client().begin_upload("home/ann/app");
    let digest = sha256(b"never sent");
    for (method, path) in [
        ("PUT", format!("{}&digest={digest}", location())),
        ("PATCH", location()),
        (
            "POST",
            format!("/v2/home/ann/app/blobs/uploads/?digest={digest}"),
        ),
    ] {
        let mut stream = dial_tcp(server.address()).expect("a connection");
        write!(
            stream,
            "{method} {path} HTTP/1.1\r\nHost: x\r\nContent-Length: 10000000000\r\n\r\n"
        )
        .expect("a head");
        let answer = read_response(&mut BufReader::new(stream), false).expect("an answer");
        answer.refused(403, "DENIED");
    }
}

#[test]
fn pushes_at_once_do_not_exceed_it_together() {
    let server = limited();
    let accepted: usize = std::thread::scope(|scope| {
        let pushing = (0..12_u64).map(|seed| {
            let server = &server;
            scope.spawn(move || {
                let repository = format!("home/ann/app{seed}");
                push_late(server, &repository, &noise(seed, MIB)).status == 201
            })
        });
        let threads: Vec<_> = pushing.collect();
        let pushed = threads
            .into_iter()
            .map(|thread| thread.join().expect("a push"));
        pushed.filter(|is_accepted| *is_accepted).count()
    });
    assert_eq!(accepted, 4);
    assert_eq!(used(&server, "home/ann/**"), Some(4 * MIB as u64));
}

#[test]
fn what_was_there_before_the_quota_counts() {
    let directory = tempfile::TempDir::new().expect("a directory");
    let mut server = Server::at(directory.path(), &[]);
    let (first, second) = (noise(1, 3 * MIB), noise(2, 2 * MIB));
    for repository in ["home/ann/app", "home/ann/web", "home/bob/app"] {
        assert_eq!(push(&server, repository, &first).status, 201);
    }
    server.stop();
    let quotas = json!([{ "repositories": "home/*/**", "bytes": 4 * MIB }]);
    let mut server = Server::at(
        directory.path(),
        &[("REGISTRY_QUOTAS", &quotas.to_string())],
    );
    for name in ["home/ann/**", "home/bob/**"] {
        eventually("it is counted", || {
            used(&server, name) == Some(3 * MIB as u64)
        });
    }
    push(&server, "home/ann/new", &second).refused(403, "DENIED");
    // another division, and then none
    server.stop();
    let quotas = json!([{ "repositories": "home/**", "bytes": "5MiB" }]);
    let mut server = Server::at(
        directory.path(),
        &[("REGISTRY_QUOTAS", &quotas.to_string())],
    );
    eventually("it is counted anew", || {
        used(&server, "home/**") == Some(3 * MIB as u64) && used(&server, "home/ann/**").is_none()
    });
    assert_eq!(push(&server, "home/ann/new", &second).status, 201);
    push(&server, "home/bob/new", &noise(3, MIB)).refused(403, "DENIED");
    server.stop();
    let server = Server::at(directory.path(), &[]);
    eventually("nothing is counted", || used(&server, "home/**").is_none());
    assert_eq!(push(&server, "home/bob/new", &noise(3, MIB)).status, 201);
}
