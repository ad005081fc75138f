//! `registry uploads`: what is open, and dropping it.

use std::io::Write;

use super::{json, number, refusal, text};
use crate::support::{Client, Server, eventually, noise, upload_id};

/// Opens an upload and sends its first bytes; returns its location.
fn open(client: &mut Client, repository: &str, length: usize) -> String {
    let location = client.begin_upload(repository);
    if length > 0 {
        let sent = client
            .request("PATCH", &location)
            .body(&noise(1, length))
            .send();
        assert_eq!(sent.status, 202, "{sent:?}");
    }
    location
}

fn ids(server: &Server, arguments: &[&str]) -> Vec<String> {
    let listed = json(server, arguments)["sessions"].clone();
    let listed = listed.as_array().expect("a list").clone();
    listed
        .iter()
        .map(|upload| upload["id"].as_str().expect("an id").to_owned())
        .collect()
}

#[test]
fn open_uploads_are_listed() {
    let server = Server::start();
    assert_eq!(text(&server, &["uploads"]), "no upload is open\n");
    let client = &mut server.client();
    let (large, empty) = (open(client, "team/app", 5000), open(client, "other", 0));
    let listed = json(&server, &["uploads", "team/app"])["sessions"].clone();
    assert_eq!(listed.as_array().map(Vec::len), Some(1), "{listed}");
    let upload = &listed[0];
    assert_eq!(
        (
            &upload["id"],
            &upload["repository"],
            number(&upload["size"])
        ),
        (&upload_id(&large).into(), &"team/app".into(), 5000)
    );
    assert_eq!(upload["who"]["address"], "127.0.0.1");
    assert!(upload["active"].as_str() >= upload["started"].as_str());

    let mut all = ids(&server, &["uploads", "ls"]);
    all.sort();
    let mut both = vec![upload_id(&large).to_owned(), upload_id(&empty).to_owned()];
    both.sort();
    assert_eq!(all, both);
    let beginning = &upload_id(&empty)[..8];
    assert_eq!(ids(&server, &["uploads", beginning]), [upload_id(&empty)]);
    assert_eq!(ids(&server, &["uploads", "te*/*"]), [upload_id(&large)]);
    assert!(ids(&server, &["uploads", "--idle", "1h"]).is_empty());
    assert!(refusal(&server, &["uploads", "app:v1"]).contains("REPOSITORY"));

    let piped = text(&server, &["uploads"]);
    assert!(
        piped.contains(upload_id(&large)) && piped.contains("2 open uploads with 4.9 KiB"),
        "{piped}"
    );
    let shown = server.at_terminal(&["uploads"], "");
    shown.assert_fits();
    assert!(
        shown.text.contains(&upload_id(&large)[..8]) && !shown.text.contains(upload_id(&large)),
        "{shown:?}"
    );
}

#[test]
fn uploads_are_dropped_after_asking() {
    let server = Server::start();
    let client = &mut server.client();
    let (one, other, kept) = (
        open(client, "team/app", 5000),
        open(client, "team/web", 100),
        open(client, "other", 100),
    );
    let message = refusal(&server, &["uploads", "rm", "team/*"]);
    assert!(message.contains("--yes"), "{message}");
    let planned = json(&server, &["uploads", "rm", "team/*", "--dry-run"]);
    assert_eq!(
        (&planned["removed"], number(&planned["size"])),
        (&false.into(), 5100)
    );
    let answer = server.at_terminal(&["uploads", "rm", "team/*"], "n\n");
    assert!(
        !answer.status.success()
            && answer
                .text
                .contains("drop 2 open uploads with 5.0 KiB? [y/N]"),
        "{answer:?}"
    );
    assert_eq!(ids(&server, &["uploads"]).len(), 3, "nothing is dropped");

    assert!(
        server
            .at_terminal(&["uploads", "rm", upload_id(&one)], "y\n")
            .status
            .success()
    );
    let dropped = json(&server, &["uploads", "rm", "team/web", "--yes"]);
    assert_eq!(dropped["removed"], true);
    assert_eq!(
        dropped["items"][0]["id"].as_str(),
        Some(upload_id(&other)),
        "{dropped}"
    );
    assert_eq!(ids(&server, &["uploads"]), [upload_id(&kept)]);
    assert_eq!(server.upload_files().len(), 1);
    client.get(&one).refused(404, "BLOB_UPLOAD_UNKNOWN");
    assert_eq!(client.get(&kept).status, 204);
    let message = refusal(&server, &["uploads", "rm", "team/web", "--yes"]);
    assert!(message.contains("no open upload"), "{message}");
}

/// A session whose request is still sending stays, and is named.
#[test]
fn an_upload_that_is_being_sent_is_not_dropped() {
    let server = Server::start();
    let client = &mut server.client();
    let (busy, idle) = (client.begin_upload("app"), open(client, "app", 10));
    let mut sending = client.connect();
    let head = format!(
        "PATCH {busy} HTTP/1.1\r\nHost: {}\r\nContent-Length: 1000000\r\n\r\n",
        server.address()
    );
    sending.write_all(head.as_bytes()).expect("sent");
    sending.write_all(&[7; 1000]).expect("sent");
    eventually("the file is open", || server.upload_files().len() == 2);
    let output = server.cli(&["uploads", "rm", "app", "--yes", "-o", "json"]);
    let message = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(
        !output.status.success()
            && message.contains(upload_id(&busy))
            && message.contains("another request is writing"),
        "{message}"
    );
    let dropped: serde_json::Value = serde_json::from_slice(&output.stdout).expect("JSON");
    assert_eq!(dropped["items"][0]["id"].as_str(), Some(upload_id(&idle)));
    assert_eq!(ids(&server, &["uploads"]), [upload_id(&busy)]);
}
