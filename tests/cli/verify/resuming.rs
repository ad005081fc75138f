//! Runs that were cut off, their speed, and what a person sees of them.

use std::process::{Command, Stdio};

use serde_json::json;

use super::{path_of, replace, verify};
use crate::support::{Image, Server, eventually, noise, sha256};

/// Starts a run at 1 MiB per second, and kills it once it has recorded how far it is.
fn cut_off(server: &Server) {
    let mut run = Command::new(env!("CARGO_BIN_EXE_registry"))
        .args(["verify", "--rate", "1", "--data-dir"])
        .arg(server.directory())
        .stdout(Stdio::null())
        .spawn()
        .expect("a command");
    let database = rusqlite::Connection::open(server.directory().join("registry.db"));
    let database = database.expect("the database");
    eventually("some blobs are read", || {
        let read =
            "SELECT blobs FROM verifications WHERE runner = 'command' AND finished_at IS NULL";
        let read = database.query_row(read, [], |row| row.get::<_, i64>(0));
        read.is_ok_and(|read| read >= 4)
    });
    run.kill().expect("killed");
    run.wait().expect("ended");
}

#[test]
fn a_run_that_was_cut_off_goes_on_where_it_was() {
    let server = Server::start();
    let mut client = server.client();
    let layers: Vec<_> = (0..30).map(|seed| noise(seed, 300_000)).collect();
    let image = Image::new("large", layers.clone());
    image.push(&mut client, "app", "v1");
    replace(&path_of(&server, &sha256(&layers[0])), b"x");
    cut_off(&server);
    // what was read stays read: this is found by the next run only
    replace(&path_of(&server, &sha256(&layers[1])), b"x");
    let shown = server.at_terminal(&["verify"], "");
    assert!(
        shown.text.contains("continuing the verification") && !shown.status.success(),
        "{shown:?}"
    );
    assert!(
        shown.text.contains("verified 31 blobs") && shown.text.contains("1 damaged"),
        "{shown:?}"
    );
    assert!(
        shown.text.contains("MiB of"),
        "there is no progress in {shown:?}"
    );
    let (is_sound, printed) = verify(&server, &[]);
    assert!(!is_sound);
    assert_eq!(printed["findingCount"], 2, "{printed}");

    cut_off(&server);
    let (_, printed) = verify(&server, &["--restart"]);
    assert_eq!(
        (&printed["findingCount"], &printed["blobCount"]),
        (&json!(2), &json!(29))
    );
    image.push(&mut client, "app", "v1");
    assert!(verify(&server, &[]).0);
}
