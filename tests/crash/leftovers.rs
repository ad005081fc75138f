//! Every kind of leftover of a crash, each made separately.

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::PathBuf;

use rusqlite::{Connection, params};
use tempfile::TempDir;

use super::audit;
use crate::support::{Client, Image, Server, eventually, noise, sha256, upload_id};

const SESSION: &str = "01234567-89ab-4cde-8f01-23456789abcd";

/// Way in which an upload's file gets its blob's name before the commit.
#[derive(Clone, Copy, Debug)]
enum Naming {
    /// A second name.
    Link,
    /// A new name and a note, as where files cannot have two.
    Rename,
}

const NAMINGS: [Naming; 2] = [Naming::Link, Naming::Rename];

/// A stopped server and its directory.
struct Crashed {
    server: Server,
    _temporary: TempDir,
}

impl Crashed {
    /// Crashes a server after one image and one open session; returns the session's path too.
    fn new() -> (Self, String) {
        let temporary = TempDir::new().expect("a temporary directory");
        let mut server = Server::at(&temporary.path().join("data"), &[]);
        let mut client = server.client();
        Image::small(1).push(&mut client, "app", "latest");
        let session = client.begin_upload("app");
        assert_eq!(
            client
                .request("PATCH", &session)
                .body(&half(1))
                .send()
                .status,
            202
        );
        server.kill();
        (
            Self {
                server,
                _temporary: temporary,
            },
            session,
        )
    }

    fn upload(&self, id: &str) -> PathBuf {
        self.server.directory().join("uploads").join(id)
    }

    fn blob(&self, digest: &str) -> PathBuf {
        let hex = digest.strip_prefix("sha256:").expect("sha256");
        self.server
            .directory()
            .join("blobs/sha256")
            .join(&hex[..2])
            .join(hex)
    }

    /// Gives an upload's file its blob's name, as a server does just before it commits.
    fn publish(&self, id: &str, content: &[u8], naming: Naming) {
        let (upload, blob) = (self.upload(id), self.blob(&sha256(content)));
        fs::create_dir_all(blob.parent().expect("a shard")).expect("a shard");
        match naming {
            Naming::Link => fs::hard_link(upload, &blob).expect("a second name"),
            Naming::Rename => {
                self.note(id, content);
                fs::rename(upload, &blob).expect("a new name");
            }
        }
        fs::set_permissions(&blob, PermissionsExt::from_mode(0o400)).expect("a mode");
    }

    /// Writes the note that a server writes before a rename.
    fn note(&self, id: &str, content: &[u8]) {
        let note = self.upload(&format!("{id}.blob"));
        fs::write(note, sha256(content)).expect("a note");
    }

    fn execute(&self, sql: &str, id: &str) {
        let database =
            Connection::open(self.server.directory().join("registry.db")).expect("a database");
        database.execute(sql, params![id]).expect("a change");
    }

    /// Starts the server and waits until it has cleared all leftovers.
    fn clear(&mut self) -> Client {
        self.server.restart();
        audit::check_cleared(self.server.directory());
        let mut client = self.server.client();
        Image::small(1).assert_pulls(&mut client, "app", "latest");
        client
    }
}

/// The first half of the content with that seed.
fn half(seed: u64) -> Vec<u8> {
    let mut content = noise(seed, 5000);
    content.truncate(2000);
    content
}

fn finish(client: &mut Client, session: &str, seed: u64) {
    let content = noise(seed, 5000);
    let status = client.get(session);
    assert_eq!(
        (status.status, status.header("range")),
        (204, Some("0-1999")),
        "{status:?}"
    );
    let response = client
        .request("PUT", &format!("{session}&digest={}", sha256(&content)))
        .body(&content[2000..])
        .send();
    assert_eq!(response.status, 201, "{response:?}");
    let blob = client.get(&format!("/v2/app/blobs/{}", sha256(&content)));
    assert_eq!((blob.status, blob.body), (200, content));
}

#[test]
fn a_file_without_session_is_removed_and_an_open_session_can_be_resumed() {
    let (mut crashed, session) = Crashed::new();
    fs::write(crashed.upload(SESSION), b"bytes of nobody").expect("a file");
    let mut client = crashed.clear();
    assert_eq!(
        crashed.server.upload_files(),
        [crashed.upload(upload_id(&session))]
    );
    finish(&mut client, &session, 1);
    assert!(crashed.server.upload_files().is_empty());
}

#[test]
fn an_expired_session_is_removed_with_its_file() {
    let (mut crashed, session) = Crashed::new();
    crashed.execute(
        "UPDATE uploads SET expires_at = 1 WHERE id = ?1",
        upload_id(&session),
    );
    crashed.server.restart();
    let mut client = crashed.server.client();
    eventually("the session and its file are gone", || {
        client.get(&session).status == 404 && crashed.server.upload_files().is_empty()
    });
    crashed.server.kill();
    crashed.clear();
}

#[test]
fn a_published_but_uncommitted_blob_is_removed_and_can_be_pushed_again() {
    for naming in NAMINGS {
        let (mut crashed, _) = Crashed::new();
        let content = noise(7, 5000);
        fs::write(crashed.upload(SESSION), &content).expect("a file");
        crashed.publish(SESSION, &content, naming);
        let mut client = crashed.clear();
        assert!(!crashed.blob(&sha256(&content)).exists() && !crashed.upload(SESSION).exists());
        client.push_blob("app", &content);
        let blob = client.get(&format!("/v2/app/blobs/{}", sha256(&content)));
        assert_eq!(blob.body, content);
        audit::check_cleared(crashed.server.directory());
    }
}

/// The session's row went with the commit; the note about its file was still there.
#[test]
fn a_committed_blob_stays_when_the_note_about_its_rename_is_removed() {
    let (mut crashed, _) = Crashed::new();
    let layer = &Image::small(1).layers[0];
    crashed.note(SESSION, layer);
    crashed.clear();
    assert!(crashed.blob(&sha256(layer)).exists());
}

/// The note is written first, so a crash may come before the rename.
#[test]
fn an_upload_noted_but_not_renamed_can_be_resumed() {
    let (mut crashed, session) = Crashed::new();
    for content in [noise(1, 5000), Image::small(1).layers[0].clone()] {
        crashed.note(upload_id(&session), &content);
        crashed.clear();
        crashed.server.kill();
    }
    let mut client = crashed.clear();
    finish(&mut client, &session, 1);
}

#[test]
fn a_committed_blob_stays_when_its_upload_file_is_removed() {
    let (mut crashed, _) = Crashed::new();
    let layer = &Image::small(1).layers[0];
    fs::hard_link(crashed.blob(&sha256(layer)), crashed.upload(SESSION)).expect("a second name");
    crashed.clear();
    assert!(!crashed.upload(SESSION).exists());
    assert_eq!(
        fs::metadata(crashed.blob(&sha256(layer)))
            .expect("the blob")
            .nlink(),
        1
    );
}

#[test]
fn an_orphan_can_be_pushed_again_before_it_is_cleared() {
    let (mut crashed, _) = Crashed::new();
    let content = noise(7, 5000);
    fs::write(crashed.upload(SESSION), &content).expect("a file");
    crashed.publish(SESSION, &content, Naming::Link);
    crashed.server.restart();
    // immediately, while leftovers are being cleared
    let mut client = crashed.server.client();
    client.push_blob("app", &content);
    audit::check_cleared(crashed.server.directory());
    assert_eq!(
        client
            .get(&format!("/v2/app/blobs/{}", sha256(&content)))
            .body,
        content
    );
    let deadline = std::time::Instant::now() + std::time::Duration::from_secs(20);
    while crashed.upload(SESSION).exists() {
        assert!(
            std::time::Instant::now() < deadline,
            "the upload's name stays"
        );
    }
}

#[test]
fn a_session_interrupted_before_its_commit_can_be_resumed() {
    for naming in NAMINGS {
        let (mut crashed, session) = Crashed::new();
        // the last request appended the rest and published; the commit that ends the session is missing
        let content = noise(1, 5000);
        fs::write(crashed.upload(upload_id(&session)), &content).expect("the rest");
        crashed.publish(upload_id(&session), &content, naming);
        let mut client = crashed.clear();
        finish(&mut client, &session, 1);
    }
}

#[test]
fn leftovers_are_cleared_without_root_privileges() {
    let (mut crashed, session) = Crashed::new();
    let content = noise(7, 5000);
    fs::write(crashed.upload(SESSION), &content).expect("a file");
    crashed.publish(SESSION, &content, Naming::Link);
    // as after a second push of the same blob: the first file has only its upload name left
    fs::remove_file(crashed.blob(&sha256(&content))).expect("one name less");
    let expired = "00000000-89ab-4cde-8f01-23456789abcd";
    crashed.execute(
        "INSERT INTO uploads (id, repository, algorithm, started_at, expires_at, received) \
         SELECT ?1, repository, algorithm, 0, 0, 0 FROM uploads",
        expired,
    );
    fs::write(crashed.upload(expired), &content).expect("a file");
    fs::set_permissions(crashed.upload(expired), PermissionsExt::from_mode(0o400)).expect("a mode");
    std::thread::scope(|scope| {
        scope
            .spawn(|| {
                super::sys::give_up_overriding_permissions();
                let mut client = crashed.clear();
                finish(&mut client, &session, 1);
            })
            .join()
    })
    .expect("cleared");
}
