//! The power fails while an upload becomes a blob where files cannot have two names: by a rename, which a note leads back.

use tempfile::TempDir;

use super::disk::Disk;
use crate::crash::faults::{Faults, assert_whole, has_strace};
use crate::crash::sys;
use crate::support::{Client, Server, announce_skipped, noise, sha256};

const SIZE: usize = 50_000;
/// Bytes that were acknowledged before the power fails.
const ACKNOWLEDGED: usize = SIZE / 2;
/// More syncs than a thread makes for one upload.
const SYNCS: u32 = 20;

#[test]
fn an_upload_that_is_being_renamed_survives_a_power_loss() {
    if !has_strace() {
        return;
    }
    let directory = TempDir::new().expect("a directory");
    let disk = match Disk::new(directory.path(), "data") {
        Ok(disk) => disk,
        Err(error) => {
            let reason = format!("root and loop mounts are required: {error}");
            return announce_skipped("power loss without hard links", &reason);
        }
    };
    // in a thread of its own, because that and its children can make no links any more
    let losses = std::thread::scope(|scope| {
        let work = scope.spawn(|| {
            sys::give_up_links();
            let mut server = Server::at(&disk.path().join("data"), &[]);
            assert!(server.log().contains("no hard links"), "{}", server.log());
            (1..SYNCS)
                .take_while(|number| fails_at(&mut server, &disk, *number))
                .count()
        });
        work.join().expect("no panic")
    });
    println!("{losses} power losses");
    assert!(losses > 3, "only {losses} power losses");
}

/// Cuts the power at that sync of a thread while an upload ends; false if it ends before.
fn fails_at(server: &mut Server, disk: &Disk, number: u32) -> bool {
    let content = noise(number.into(), SIZE);
    let digest = sha256(&content);
    let blob = format!("/v2/app/blobs/{digest}");
    let (first, rest) = content.split_at(ACKNOWLEDGED);
    let client = &mut server.client();
    let location = client.begin_upload("app");
    let taken = client.request("PATCH", &location).body(first).send();
    assert_eq!(taken.status, 202, "{taken:?}");

    let faults = Faults::begin(server.pid(), "fsync,fdatasync", "signal=KILL", number);
    let ended = end(&mut server.client(), &location, &digest, rest);
    if ended == Some(201) {
        faults.end();
        return false;
    }
    server.kill();
    faults.end();
    disk.cut();
    disk.restore_power();
    server.restart();
    let what = format!("a power loss at sync {number}");
    assert_whole(server.directory(), &what);
    let client = &mut server.client();
    if client.head(&blob).status != 200 {
        let open = client.get(&location);
        let range = format!("0-{}", ACKNOWLEDGED - 1);
        assert_eq!(open.header("range"), Some(&*range), "{what}: {open:?}");
        assert_eq!(end(client, &location, &digest, rest), Some(201), "{what}");
    }
    assert!(client.get(&blob).body == content, "{what}");
    true
}

/// Sends the rest of an upload; `None` if there is no answer.
fn end(client: &mut Client, location: &str, digest: &str, rest: &[u8]) -> Option<u16> {
    let path = format!("{location}&digest={digest}");
    let answer = client.request("PUT", &path).body(rest).try_send();
    answer.ok().map(|answer| answer.status)
}
