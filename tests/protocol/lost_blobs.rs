//! Blobs whose files were lost or cut behind the registry's back.

use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::support::{Image, OCI_MANIFEST, Server, announce_skipped, eventually, sha256};

/// Layer of an image, and its file.
fn layer(server: &Server, image: &Image) -> (String, PathBuf) {
    let manifest: serde_json::Value = serde_json::from_slice(&image.manifest).expect("JSON");
    let digest = manifest["layers"][0]["digest"].as_str().expect("a digest");
    let hex = digest.split_once(':').expect("a digest").1;
    let file = server
        .blob_files()
        .into_iter()
        .find(|path| path.ends_with(hex));
    (digest.to_owned(), file.expect("a file"))
}

fn cut(file: &Path) {
    let bytes = std::fs::read(file).expect("a file");
    std::fs::remove_file(file).expect("removable");
    std::fs::write(file, &bytes[..bytes.len() / 2]).expect("writable");
}

#[test]
fn a_lost_or_cut_blob_is_absent_until_it_is_pushed_again() {
    let server = Server::start();
    let mut client = server.client();
    let image = Image::small(1);
    image.push(&mut client, "app", "v1");
    let (digest, file) = layer(&server, &image);
    let blob = format!("/v2/app/blobs/{digest}");
    let damages: [fn(&Path); 2] = [|file| std::fs::remove_file(file).expect("removable"), cut];
    for (times, damage) in (1..).zip(damages) {
        damage(&file);
        assert_eq!(client.head(&blob).status, 404);
        client.get(&blob).refused(404, "BLOB_UNKNOWN");
        for from in ["from=app&", ""] {
            let mount = format!("/v2/other/blobs/uploads/?{from}mount={digest}");
            assert_eq!(client.request("POST", &mount).send().status, 202, "{mount}");
        }
        let other = String::from_utf8(image.manifest.clone()).expect("text") + "\n";
        client
            .put_manifest("app", "v2", OCI_MANIFEST, other.as_bytes())
            .refused(400, "MANIFEST_BLOB_UNKNOWN");
        let log = server.log();
        let told: Vec<_> = log
            .lines()
            .filter(|line| line.contains("blob file is missing"))
            .collect();
        assert_eq!(told.len(), times, "{log}");
        assert!(
            told[0].contains("app:v1") && told[0].contains(&digest),
            "{log}"
        );
        // as any client would: what HEAD misses is pushed
        image.push(&mut client, "app", "v1");
        image.assert_pulls(&mut client, "app", "v1");
        assert_eq!(
            sha256(&std::fs::read(&file).expect("a file")),
            digest,
            "repaired"
        );
    }
}

/// Without the right of root to read everything.
const AS_ANY_USER: &[&str] = &["setpriv", "--bounding-set=-dac_override,-dac_read_search"];

#[test]
fn a_blob_that_cannot_be_opened_is_absent_until_it_is_pushed_again() {
    let can_drop = Command::new(AS_ANY_USER[0])
        .args(&AS_ANY_USER[1..])
        .arg("true")
        .status();
    if !rustix::process::geteuid().is_root() || !can_drop.is_ok_and(|status| status.success()) {
        return announce_skipped(
            "a blob that cannot be opened",
            "root and setpriv are required",
        );
    }
    let temporary = tempfile::TempDir::new().expect("a directory");
    let data = temporary.path().join("data");
    let rules = [
        ("REGISTRY_GC_LEASE", "1s"),
        ("REGISTRY_GC_GRACE", "1s"),
        ("REGISTRY_GC_INTERVAL", "100ms"),
    ];
    let server = Server::wrapped(AS_ANY_USER, &data, &rules);
    let mut client = server.client();
    let image = Image::small(1);
    image.push_again(&mut client, "app", "v1");
    let (digest, file) = layer(&server, &image);
    let blob = format!("/v2/app/blobs/{digest}");
    let set_mode = |mode| {
        let permissions = std::fs::Permissions::from_mode(mode);
        std::fs::set_permissions(&file, permissions).expect("root's file");
    };
    set_mode(0);
    assert_eq!(client.head(&blob).status, 404);
    client.get(&blob).refused(404, "BLOB_UNKNOWN");
    let log = server.log();
    for part in ["chown", "app:v1", &digest, &file.display().to_string()] {
        assert!(log.contains(part), "{part}: {log}");
    }
    // its owner mends it
    set_mode(0o400);
    image.assert_pulls(&mut client, "app", "v1");
    // or the next push does; other bytes do not
    set_mode(0);
    let path = format!("/v2/app/blobs/uploads/?digest={digest}");
    let wrong = client.request("POST", &path).body(b"wrong").send();
    wrong.refused(400, "DIGEST_INVALID");
    assert_eq!(std::fs::read(&file).expect("root's file"), image.layers[0]);
    image.push_again(&mut client, "app", "v1");
    image.assert_pulls(&mut client, "app", "v1");
    // and collection needs to read none
    set_mode(0);
    let path = format!("/v2/app/manifests/{}", image.digest());
    assert_eq!(client.delete(&path).status, 202);
    eventually("its file is removed", || !file.exists());
}
