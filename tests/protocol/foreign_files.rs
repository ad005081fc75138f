//! Links and FIFOs below `blobs/` and `uploads/`: nothing of others is read, written or waited for.

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
