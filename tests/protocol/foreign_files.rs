//! Links, FIFOs and directories below `blobs/` and `uploads/`: nothing of others is read, written or waited for.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::process::Command;

use crate::support::{Server, noise, sha256};

fn fifo(path: &Path) {
    let made = Command::new("mkfifo").arg(path).status();
    assert!(made.expect("mkfifo").success());
}

#[test]
fn what_is_in_a_blobs_place_is_neither_served_nor_waited_for() {
    let mut server = Server::start();
    let mut client = server.client();
    let secret = server.directory().join("secret");
    let content = noise(1, 5000);
    fs::write(&secret, noise(2, 5000)).expect("a file");
    let digest = client.push_blob("app", &content);
    let file = server.blob_files().pop().expect("a file");
    let replacements: [&dyn Fn(); 2] = [&|| symlink(&secret, &file).expect("a link"), &|| {
        fifo(&file)
    }];
    for replace in replacements {
        fs::remove_file(&file).expect("removable");
        replace();
        let blob = format!("/v2/app/blobs/{digest}");
        assert_eq!(client.head(&blob).status, 404);
        client.get(&blob).refused(404, "BLOB_UNKNOWN");
        assert_eq!(client.push_blob("app", &content), digest);
        assert!(client.get(&blob).body == content, "healed");
        assert_eq!(fs::read(&secret).expect("a file"), noise(2, 5000));
    }
    assert!(server.stop().success());
}

#[test]
fn what_is_in_an_uploads_place_is_never_written_to() {
    let mut server = Server::start();
    let mut client = server.client();
    let victim = server.directory().join("victim");
    fs::write(&victim, noise(2, 9000)).expect("a file");
    let replacements: [&dyn Fn(&Path); 3] = [
        &|file| symlink(&victim, file).expect("a link"),
        &|file| fifo(file),
        &|file| fs::hard_link(&victim, file).expect("a second name"),
    ];
    for replace in replacements {
        let location = client.begin_upload("app");
        let part = |client: &mut crate::support::Client| {
            let request = client.request("PATCH", &location);
            request.body(&noise(1, 5000)).send().status
        };
        assert_eq!(part(&mut client), 202);
        let file = server.upload_files().pop().expect("a file");
        fs::remove_file(&file).expect("removable");
        replace(&file);
        assert_eq!(part(&mut client), 500);
        assert_eq!(fs::read(&victim).expect("a file"), noise(2, 9000));
        fs::remove_file(&file).expect("removable");
    }
    let content = noise(3, 100);
    assert_eq!(client.push_blob("app", &content), sha256(&content));
    assert!(server.stop().success());
}

/// Something in the place of a blob's directory or file that is neither does not stop a push.
#[test]
fn a_foreign_directory_on_the_way_to_a_blob_is_moved_aside() {
    let server = Server::start();
    let mut client = server.client();
    let elsewhere = server.directory().join("elsewhere");
    let content = noise(1, 5000);
    let digest = client.push_blob("app", &content);
    let file = server.blob_files().pop().expect("a file");
    let shard = file.parent().expect("a directory");
    let replacements: [&dyn Fn(); 2] = [
        &|| {
            fs::rename(shard, &elsewhere).expect("movable");
            symlink(&elsewhere, shard).expect("a link");
        },
        &|| {
            fs::remove_file(&file).expect("removable");
            fs::create_dir(&file).expect("a directory");
            fs::write(file.join("own"), "somebody's").expect("a file");
        },
    ];
    for (times, replace) in (1..).zip(replacements) {
        replace();
        let blob = format!("/v2/app/blobs/{digest}");
        assert_eq!(client.head(&blob).status, 404);
        client.get(&blob).refused(404, "BLOB_UNKNOWN");
        assert_eq!(client.push_blob("app", &content), digest);
        assert!(client.get(&blob).body == content, "healed");
        let log = server.log();
        let told = log.lines().filter(|line| line.contains("moved aside"));
        assert_eq!(told.count(), times, "{log}");
    }
    let theirs = fs::read_dir(&elsewhere).expect("a directory");
    assert_eq!(theirs.count(), 1, "nothing is written over the link");
    let kept = fs::read_dir(shard).expect("a directory").any(|entry| {
        let path = entry.expect("an entry").path().join("own");
        fs::read(path).is_ok_and(|kept| kept == b"somebody's")
    });
    assert!(kept, "moved with its content");
}

#[test]
fn a_foreign_directory_in_a_blobs_place_does_not_stop_collection() {
    let rules = [
        ("REGISTRY_GC_LEASE", "500ms"),
        ("REGISTRY_GC_GRACE", "500ms"),
        ("REGISTRY_GC_INTERVAL", "50ms"),
    ];
    let server = Server::with(&rules);
    let mut client = server.client();
    let digest = client.push_blob("app", &noise(1, 5000));
    let file = server.blob_files().pop().expect("a file");
    fs::remove_file(&file).expect("removable");
    fs::create_dir(&file).expect("a directory");
    let path = format!("/v2/app/blobs/{digest}");
    assert_eq!(client.delete(&path).status, 202);
    let database = server.directory().join("registry.db");
    let connection = rusqlite::Connection::open(database).expect("the database");
    let left = "SELECT (SELECT count(*) FROM blobs) + (SELECT count(*) FROM removals)";
    crate::support::eventually("nothing is left to be removed", || {
        let count = connection.query_row(left, [], |row| row.get::<_, u64>(0));
        count.expect("a count") == 0
    });
    assert!(file.is_dir(), "what is not ours stays");
}
