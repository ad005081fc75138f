//! A file system on which a file has one name: nothing is taken over in place, and copies do the rest.

use std::path::Path;
use std::process::{Command, Output};

use serde_json::json;

use super::Store;
use super::command::{assert_verified, imported};
use crate::collect::file_systems::EXFAT;
use crate::power_loss::disk::Disk;
use crate::start::{command, refusal};
use crate::support::{Image, Server, announce_skipped};

fn backup(directory: &Path, to: &Path) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_registry"));
    command.arg("backup").arg(to).arg("--data-dir");
    command.arg(directory).output().expect("it runs")
}

#[test]
fn a_store_is_copied_and_backed_up_where_there_are_no_hard_links() {
    let temporary = tempfile::TempDir::new().expect("a directory");
    let disk = match Disk::with(temporary.path(), "exfat", &EXFAT) {
        Ok(disk) => disk,
        Err(error) => {
            let reason = format!("root, /dev/fuse and exfat-fuse are required: {error}");
            return announce_skipped("moving in without hard links", &reason);
        }
    };
    let data = disk.path().join("data");
    let store = Store::new(&data);
    let images: Vec<_> = (0..4).map(Image::small).collect();
    store.image("app", "v1", &images[0]);
    store.image("team/app", "v1", &images[1]);

    let mut start = command(&["serve", "--addr", "127.0.0.1:0", "--data-dir"]);
    let message = refusal({
        start.arg(&data);
        start
    });
    assert!(
        message.contains("no hard links") && message.contains("registry import"),
        "{message}"
    );
    let (code, report) = imported(&data, &data, &[]);
    assert_eq!((code, &report["linkedCount"]), (0, &json!(0)), "{report}");
    store.image("app", "v2", &images[2]);
    let (code, report) = imported(&data, &data, &[]);
    assert_eq!((code, &report["blobCount"]), (0, &json!(2)), "{report}");
    let (_, report) = imported(&data, &data, &[]);
    assert_eq!(report["repositories"], json!([]), "{report}");

    let server = Server::at(&data, &[]);
    let mut client = server.client();
    images[3].push(&mut client, "app", "v3");
    let place = disk.path().join("backup");
    for _ in 0..2 {
        let made = backup(&data, &place);
        assert!(made.status.success(), "{made:?}");
    }
    assert_verified(&data);
    assert_verified(&place);
    let copy = Server::at(&place, &[]);
    for server in [&server, &copy] {
        let mut client = server.client();
        for (image, (repository, tag)) in images.iter().zip([
            ("app", "v1"),
            ("team/app", "v1"),
            ("app", "v2"),
            ("app", "v3"),
        ]) {
            image.assert_pulls(&mut client, repository, tag);
        }
    }
}
