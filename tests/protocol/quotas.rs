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

/// Pushes in the way of docker, whose digest comes last; returns the first refusal, or the last answer.
fn push_late(server: &Server, repository: &str, content: &[u8]) -> Response {
    let (location, sent) = begun(server, repository, content);
    if sent.status != 202 {
        return sent;
    }
    let path = format!("{location}&digest={}", sha256(content));
    server.client().request("PUT", &path).send()
}

/// Begins a session and sends bytes to it; returns its place and the answer.
fn begun(server: &Server, repository: &str, content: &[u8]) -> (String, Response) {
    let mut client = server.client();
    let path = format!("/v2/{repository}/blobs/uploads/");
    let opened = client.request("POST", &path).send();
    let Some(location) = opened.header("location").map(str::to_owned) else {
        return (String::new(), opened);
    };
    let sent = client.request("PATCH", &location).body(content).send();
    (location, sent)
}

/// The bytes that a quota's repositories hold, as the command shows them.
fn used(server: &Server, name: &str) -> Option<u64> {
    shown(server, name, "size")
}

/// A number that the command shows of a quota.
fn shown(server: &Server, name: &str, key: &str) -> Option<u64> {
    let output = server.cli(&["quotas", "-o", "json"]);
    assert!(output.status.success(), "{output:?}");
    let object: Value = serde_json::from_slice(&output.stdout).expect("an object");
    let quotas = object["quotas"].as_array().expect("a list");
    let quota = quotas.iter().find(|quota| quota["name"] == name)?;
    quota[key].as_u64()
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
    // what a repository holds costs nothing there, and by a mount nothing in another of the user's
    assert_eq!(push(&server, "home/ann/app", &first).status, 201);
    let shared = sha256(&first);
    for repository in ["home/ann/web", "home/ann/x"] {
        let path = format!("/v2/{repository}/blobs/uploads/?mount={shared}&from=home/ann/app");
        let mounted = server.client().request("POST", &path).send();
        assert_eq!(mounted.status, 201);
    }
    // but its bytes are refused: who may not see the other repository must not learn what it holds
    push(&server, "home/ann/z", &first).refused(403, "DENIED");
    // who says only at the end what it is sends what counts until then
    push_late(&server, "home/ann/y", &first).refused(403, "DENIED");
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

#[test]
fn unfinished_uploads_count() {
    let server = limited();
    let (open, sent) = begun(&server, "home/ann/app", &noise(1, 3 * MIB));
    assert_eq!(sent.status, 202);
    assert_eq!(
        shown(&server, "home/ann/**", "uploadSize"),
        Some(3 * MIB as u64)
    );
    let other = noise(2, 2 * MIB);
    let (refused, sent) = begun(&server, "home/ann/web", &other);
    sent.refused(403, "DENIED");
    let message = sent.json()["errors"][0]["message"].clone();
    assert_eq!(
        message,
        "quota of home/ann/** exceeded: 3.0 MiB of 4.0 MiB used, and this needs 2.0 MiB"
    );
    let status =
        |location: &str, method: &str| server.client().request(method, location).send().status;
    assert_eq!(status(&refused, "GET"), 404, "the refused session is gone");
    push(&server, "home/ann/web", &other).refused(403, "DENIED");
    assert_eq!(push(&server, "home/bob/web", &other).status, 201);
    assert_eq!(status(&open, "DELETE"), 204);
    assert_eq!(push_late(&server, "home/ann/web", &other).status, 201);
    assert_eq!(shown(&server, "home/ann/**", "uploadSize"), Some(0));
}

/// Whoever opens many sessions at once gets no more than one alone.
#[test]
fn sessions_at_once_do_not_exceed_it_together() {
    let server = limited();
    let accepted: usize = std::thread::scope(|scope| {
        let sending = (0..12_u64).map(|seed| {
            let server = &server;
            scope.spawn(move || {
                let repository = format!("home/ann/app{seed}");
                begun(server, &repository, &noise(seed, MIB)).1.status == 202
            })
        });
        let threads: Vec<_> = sending.collect();
        let sent = threads
            .into_iter()
            .map(|thread| thread.join().expect("a session"));
        sent.filter(|is_accepted| *is_accepted).count()
    });
    assert_eq!(accepted, 4);
    let held = shown(&server, "home/ann/**", "uploadSize");
    assert_eq!(held, Some(4 * MIB as u64));
}

#[test]
fn a_body_of_unknown_length_is_cut_off_where_the_quota_is_used_up() {
    let server = limited();
    let (first, chunk) = (noise(1, 3 * MIB), noise(2, 64 << 10));
    assert_eq!(push(&server, "home/ann/app", &first).status, 201);
    let location = server.client().begin_upload("home/ann/app");
    let digest = sha256(b"never sent");
    for (method, path) in [
        ("PATCH", location),
        (
            "PUT",
            format!(
                "{}&digest={digest}",
                server.client().begin_upload("home/ann/app")
            ),
        ),
        (
            "POST",
            format!("/v2/home/ann/app/blobs/uploads/?digest={digest}"),
        ),
    ] {
        let stream = dial_tcp(server.address()).expect("a connection");
        let mut sending = stream.try_clone().expect("a second handle");
        write!(
            sending,
            "{method} {path} HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"
        )
        .expect("a head");
        // far more than there is room for, and no end
        let mut sent = 0;
        while sent < 64 * MIB {
            let written = write!(sending, "{:x}\r\n", chunk.len())
                .and_then(|()| sending.write_all(&chunk))
                .and_then(|()| sending.write_all(b"\r\n"));
            sent += chunk.len();
            if written.is_err() || sent == 2 * MIB {
                break;
            }
        }
        let answer = read_response(&mut BufReader::new(stream), false).expect("an answer");
        answer.refused(403, "DENIED");
    }
    eventually("nothing of it stays", || server.upload_files().is_empty());
    assert_eq!(shown(&server, "home/ann/**", "uploadSize"), Some(0));
    let listed = server.cli(&["uploads", "ls", "-o", "json"]);
    let listed: Value = serde_json::from_slice(&listed.stdout).expect("an object");
    assert_eq!(
        listed["sessions"],
        json!([]),
        "the refused sessions are gone"
    );
    assert_eq!(push(&server, "home/ann/app", &noise(3, MIB)).status, 201);
}

#[test]
fn what_is_deleted_counts_until_it_is_collected() {
    let quotas = json!([{ "repositories": "home/*/**", "bytes": "4MiB" }]);
    let server = Server::with(&[
        ("REGISTRY_QUOTAS", &quotas.to_string()),
        ("REGISTRY_STORAGE_DELETE_ENABLED", "true"),
    ]);
    let (first, second) = (noise(1, 3 * MIB), noise(2, 2 * MIB));
    let delete = |repository: &str, content: &[u8]| {
        let path = format!("/v2/{repository}/blobs/{}", sha256(content));
        let deleted = server.client().request("DELETE", &path).send();
        assert_eq!(deleted.status, 202);
    };
    let held = |user: &str| used(&server, &format!("home/{user}/**")).unwrap_or(0);
    assert_eq!(push(&server, "home/ann/app", &first).status, 201);
    delete("home/ann/app", &first);
    assert_eq!(held("ann"), 3 * MIB as u64);
    push(&server, "home/ann/app", &second).refused(403, "DENIED");
    // nobody learns by a free push what another repository had
    push(&server, "home/ann/app", &first).refused(403, "DENIED");
    assert_eq!(held("ann"), 3 * MIB as u64);
    // whoever has it pays for it
    assert_eq!(push(&server, "home/bob/app", &first).status, 201);
    assert_eq!(held("ann"), 0);
    delete("home/bob/app", &first);
    assert_eq!(held("bob"), 3 * MIB as u64);
    // also where no quota is
    assert_eq!(push(&server, "team/app", &first).status, 201);
    assert_eq!(held("bob"), 0);
    assert_eq!(push(&server, "home/ann/app", &second).status, 201);
    delete("home/ann/app", &second);
    assert!(server.cli(&["gc", "--now", "--yes"]).status.success());
    assert_eq!(held("ann"), 0);
}

#[test]
fn manifests_count() {
    let server = limited();
    let image = Image::small(1);
    image.push(&mut server.client(), "home/ann/app", "v0");
    let put = |number: usize| {
        let mut manifest: Value = serde_json::from_slice(&image.manifest).expect("JSON");
        manifest["annotations"] = json!({ "x": format!("{number}{}", "x".repeat(MIB)) });
        let path = format!("/v2/home/ann/app/manifests/v{number}");
        let mut client = server.client();
        let request = client.request("PUT", &path);
        let body = manifest.to_string();
        let request = request.header("Content-Type", crate::support::OCI_MANIFEST);
        request.body(body.as_bytes()).send()
    };
    for number in 1..=3 {
        assert_eq!(put(number).status, 201, "{number}");
    }
    put(4).refused(403, "DENIED");
    // the same again costs nothing
    assert_eq!(put(3).status, 201);
    let held = used(&server, "home/ann/**").expect("a quota");
    assert!(held > 3 * MIB as u64, "{held}");
    // what can be restored counts
    let removed = server.cli(&["rm", "home/ann/app:v3", "--yes"]);
    assert!(removed.status.success(), "{removed:?}");
    put(4).refused(403, "DENIED");
    assert!(server.cli(&["gc", "--now", "--yes"]).status.success());
    assert_eq!(put(4).status, 201);
}

#[test]
fn uploads_that_were_there_before_the_quota_count() {
    let directory = tempfile::TempDir::new().expect("a directory");
    let mut server = Server::at(directory.path(), &[]);
    assert_eq!(
        begun(&server, "home/ann/app", &noise(1, 3 * MIB)).1.status,
        202
    );
    server.stop();
    let quotas = json!([{ "repositories": "home/*/**", "bytes": "4MiB" }]);
    let mut server = Server::at(
        directory.path(),
        &[("REGISTRY_QUOTAS", &quotas.to_string())],
    );
    eventually("it is counted", || {
        shown(&server, "home/ann/**", "uploadSize") == Some(3 * MIB as u64)
    });
    begun(&server, "home/ann/web", &noise(2, 2 * MIB))
        .1
        .refused(403, "DENIED");
    server.stop();
    let server = Server::at(directory.path(), &[]);
    eventually("nothing is counted", || {
        used(&server, "home/ann/**").is_none()
    });
}
