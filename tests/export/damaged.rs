//! Damaged content: the export fails, says what is damaged, and leaves nothing.

use std::fs;

use super::{blob_file, export, push_everything, refusal};
use crate::support::{Image, Server, noise, sha256};

#[test]
fn a_damaged_blob_fails_the_export_and_is_named() {
    let server = Server::start();
    let mut client = server.client();
    let layer = noise(5, 300_000);
    Image::new("x", vec![layer.clone(), noise(6, 1000)]).push(&mut client, "app", "v1");
    let directory = tempfile::tempdir().expect("a directory");
    let path = |name: &str| directory.path().join(name).display().to_string();
    export(&server, &["app:v1", &path("a.tar")]);
    export(&server, &["app:v1", &path("layout")]);
    let before = fs::read(path("a.tar")).expect("an archive");
    let file = blob_file(&server, &sha256(&layer));
    let mut flipped = layer.clone();
    flipped[250_000] ^= 1;
    let mut longer = layer.clone();
    longer.push(0);
    for (content, problem) in [
        (Some(&flipped[..]), "its file has digest sha256:"),
        (Some(&layer[..1000]), "fewer than 300000 bytes"),
        (Some(&longer), "more than 300000 bytes"),
        (None, "its file is missing"),
    ] {
        let _ = fs::remove_file(&file);
        if let Some(content) = content {
            fs::write(&file, content).expect("a file");
        }
        for destination in ["a.tar", "layout", "new.tar", "new"] {
            let said = refusal(&server, &["app:v1", &path(destination)]);
            let named = format!("{} of app:v1 is damaged", sha256(&layer));
            assert!(said.contains(&named) && said.contains(problem), "{said}");
        }
        let left = directory.path().read_dir().expect("a directory").count();
        assert_eq!(left, 2, "nothing new is left");
        assert_eq!(fs::read(path("a.tar")).expect("an archive"), before);
    }
    // the reader of a stream sees that it is cut off
    let output = server.cli(&["export", "app:v1", "-"]);
    assert_eq!(output.status.code(), Some(1));
    assert!(!output.stdout.ends_with(&[0; 1024]));
}

#[test]
fn a_damaged_manifest_is_named() {
    let server = Server::start();
    let pushed = push_everything(&mut server.client());
    let database = rusqlite::Connection::open(server.directory().join("registry.db"));
    let altered = database.expect("the database").execute(
        "UPDATE manifest_bytes SET bytes = CAST('{}' AS BLOB) WHERE manifest_id = (SELECT id FROM manifests WHERE digest = ?1)",
        [&pushed.children[1]],
    );
    assert_eq!(altered, Ok(1));
    let said = refusal(&server, &["team/app:v1", "-"]);
    let named = format!("{} of team/app:v1 is damaged", pushed.children[1]);
    assert!(said.contains(&named), "{said}");
}
