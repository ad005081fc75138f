//! `registry garbage-collect`, compatible with registry:2.

use std::process::{Command, Output};

use tempfile::TempDir;

use super::{digests, stored};
use crate::support::{Image, OCI_INDEX, OCI_MANIFEST, Server, descriptor, noise};

struct Scene {
    server: Server,
    directory: TempDir,
}

impl Scene {
    /// A server with default settings, and a configuration that names its data directory.
    fn new() -> Self {
        let directory = TempDir::new().expect("a directory");
        let data = directory.path().join("data");
        let text = format!(
            "version: 0.1\nstorage:\n  filesystem:\n    rootdirectory: {}\n",
            data.display()
        );
        std::fs::write(directory.path().join("config.yml"), text).expect("a configuration");
        Self {
            server: Server::at(&data, &[]),
            directory,
        }
    }

    fn collect(&self, arguments: &[&str]) -> Output {
        let mut command = Command::new(env!("CARGO_BIN_EXE_registry"));
        command
            .arg("garbage-collect")
            .args(arguments)
            .arg(self.directory.path().join("config.yml"));
        command.output().expect("the command runs")
    }

    /// Output of the command, which must succeed.
    fn collected(&self, arguments: &[&str]) -> String {
        let output = self.collect(arguments);
        assert!(output.status.success(), "{output:?}");
        String::from_utf8(output.stdout).expect("text")
    }
}

fn image(name: &str, seed: u64) -> Image {
    Image::new(name, vec![noise(1, 5000), noise(seed, 2000)])
}

#[test]
fn garbage_is_removed_at_once_without_a_server_and_waits_beside_one() {
    let mut scene = Scene::new();
    let (kept, deleted) = (image("kept", 2), image("deleted", 3));
    kept.push(&mut scene.server.client(), "app", "kept");
    deleted.push(&mut scene.server.client(), "app", "deleted");
    assert_eq!(
        scene
            .server
            .client()
            .delete(&format!("/v2/app/manifests/{}", deleted.digest()))
            .status,
        202
    );

    // clients may rely on the server's answers that the blobs exist
    let printed = scene.collected(&[]);
    assert!(
        printed.starts_with("6 blobs marked, 0 blobs and 0 manifests eligible for deletion\n"),
        "{printed}"
    );
    assert!(
        printed.contains("a server is using the data directory")
            && printed.contains("wait for leases, grace periods and rules"),
        "{printed}"
    );
    assert_eq!(scene.server.blob_files().len(), 5);

    assert!(scene.server.stop().success());
    let planned = scene.collected(&["-d"]);
    assert!(
        planned.starts_with("4 blobs marked, 2 blobs and 0 manifests eligible for deletion\n"),
        "{planned}"
    );
    assert_eq!(
        planned
            .matches("blob eligible for deletion: sha256:")
            .count(),
        2
    );
    assert_eq!(scene.server.blob_files().len(), 5);
    assert_eq!(scene.collected(&[]), planned);
    assert_eq!(
        stored(&scene.server),
        digests(&[&kept.config, &kept.layers[0], &kept.layers[1]])
    );
    assert!(
        scene
            .collected(&[])
            .starts_with("4 blobs marked, 0 blobs and 0 manifests")
    );
    assert_eq!(scene.collected(&["--quiet"]), "");

    scene.server.restart();
    kept.assert_pulls(&mut scene.server.client(), "app", "kept");
    deleted.push(&mut scene.server.client(), "app", "again");
    deleted.assert_pulls(&mut scene.server.client(), "app", "again");
}

#[test]
fn delete_untagged_removes_untagged_manifests_but_no_index_children() {
    let mut scene = Scene::new();
    let client = &mut scene.server.client();
    let (old, new, child) = (image("old", 2), image("new", 3), image("child", 4));
    old.push(client, "app", "latest");
    new.push(client, "app", "latest");
    let by_digest = |image: &Image| image.digest();
    child.push(client, "app", "temporary");
    let index = serde_json::json!({ "schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": [descriptor(OCI_MANIFEST, &child.manifest)] });
    assert_eq!(
        client
            .put_manifest("app", "index", OCI_INDEX, index.to_string().as_bytes())
            .status,
        201
    );
    assert_eq!(client.delete("/v2/app/manifests/temporary").status, 202);
    assert!(scene.server.stop().success());

    assert!(
        scene
            .collected(&[])
            .contains(", 0 blobs and 0 manifests eligible")
    );
    let printed = scene.collected(&["-m"]);
    assert!(
        printed.contains(", 2 blobs and 1 manifests eligible for deletion\n"),
        "{printed}"
    );
    assert!(
        printed.contains(&format!(
            "manifest eligible for deletion: {}\n",
            by_digest(&old)
        )),
        "{printed}"
    );
    scene.server.restart();
    let client = &mut scene.server.client();
    new.assert_pulls(client, "app", "latest");
    child.assert_pulls(client, "app", &by_digest(&child));
    client
        .get(&format!("/v2/app/manifests/{}", by_digest(&old)))
        .refused(404, "MANIFEST_UNKNOWN");
}

#[test]
fn unusable_directories_are_reported() {
    let scene = Scene::new();
    let output = Command::new(env!("CARGO_BIN_EXE_registry"))
        .args(["garbage-collect", "/nowhere.yml"])
        .output()
        .expect("it runs");
    let printed = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(
        !output.status.success() && printed.contains("/nowhere.yml"),
        "{printed}"
    );
    let empty = TempDir::new().expect("a directory");
    std::fs::write(
        scene.directory.path().join("config.yml"),
        format!(
            "version: 0.1\nstorage: {{filesystem: {{rootdirectory: '{}'}}}}",
            empty.path().display()
        ),
    )
    .expect("a configuration");
    let output = scene.collect(&[]);
    assert!(
        !output.status.success()
            && String::from_utf8_lossy(&output.stderr).contains("there is no registry in"),
        "{output:?}"
    );
}
