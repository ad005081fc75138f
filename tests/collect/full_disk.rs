//! A disk without a free byte is no reason to keep garbage.

use std::fs::File;
use std::io::{ErrorKind, Write};

use tempfile::TempDir;

use super::eventually;
use crate::power_loss::disk::Disk;
use crate::support::image::noise;
use crate::support::{Image, Server};

#[test]
fn a_full_disk_is_made_room_on() {
    let directory = TempDir::new().expect("a directory");
    let disk = match Disk::new(directory.path(), "full") {
        Ok(disk) => disk,
        Err(why) => {
            let _ = writeln!(std::io::stderr(), "LEFT OUT: collection on a full disk, which needs root and loop mounts: {why}");
            return;
        }
    };
    let rules = [("REGISTRY_GC_LEASE", "2s"), ("REGISTRY_GC_GRACE", "2s"), ("REGISTRY_GC_INTERVAL", "20ms")];
    let server = Server::at(&disk.path().join("data"), &rules);
    let client = &mut server.client();
    // more than the 5 % that ext4 keeps from everybody but root
    let (kept, deleted) = (Image::new("kept", vec![noise(1, 1000)]), Image::new("deleted", vec![noise(2, 48 << 20)]));
    kept.push(client, "app", "kept");
    deleted.push(client, "app", "deleted");

    let mut filler = File::create(disk.path().join("filler")).expect("a file");
    for size in [1 << 20, 4096, 1] {
        let block = vec![0; size];
        let full = loop {
            if let Err(error) = filler.write_all(&block).and_then(|()| filler.sync_data()) {
                break error;
            }
        };
        assert_eq!(full.kind(), ErrorKind::StorageFull);
    }
    let refused = client.request("POST", &format!("/v2/app/blobs/uploads/?digest={}", crate::support::sha256(&noise(3, 50_000))));
    refused.body(&noise(3, 50_000)).send().refused(507, "UNAVAILABLE");

    assert_eq!(client.delete(&format!("/v2/app/manifests/{}", deleted.digest())).status, 202);
    eventually("the deleted image's files are gone", || server.blob_files().len() == 2);
    kept.assert_pulls(client, "app", "kept");
    // and there is room again, once the file system's own journal has moved on
    File::open(disk.path()).and_then(|root| root.sync_all()).expect("a sync");
    let next = Image::new("next", vec![noise(4, 4 << 20)]);
    next.push(client, "app", "next");
    next.assert_pulls(client, "app", "next");
}
