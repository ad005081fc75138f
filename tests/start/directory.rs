//! The data directory: private, and shared by several servers.

use std::os::unix::fs::{PermissionsExt, chown, symlink};
use std::os::unix::process::CommandExt;
use std::path::Path;

use super::{Running, sentence, serve};
use crate::power_loss::disk::{Disk, FileSystem};
use crate::support::{Client, Image, OCI_MANIFEST, Server, announce_skipped, noise, sha256};

/// Every file and directory from `path` down, with the bits of its mode.
fn modes(path: &Path, found: &mut Vec<(String, u32)>) {
    let metadata = std::fs::symlink_metadata(path).expect("metadata");
    found.push((
        path.display().to_string(),
        metadata.permissions().mode() & 0o777,
    ));
    if metadata.is_dir() {
        std::fs::read_dir(path)
            .expect("a directory")
            .for_each(|entry| modes(&entry.expect("an entry").path(), found));
    }
}

#[test]
fn nothing_is_readable_by_others_whatever_the_umask() {
    let temporary = tempfile::TempDir::new().expect("a directory");
    for (number, umask) in ["000", "022", "077"].into_iter().enumerate() {
        let directory = temporary.path().join(format!("data{number}"));
        let mut command = std::process::Command::new("sh");
        command.args([
            "-c",
            &format!("umask {umask}; exec \"$@\""),
            "sh",
            env!("CARGO_BIN_EXE_registry"),
            "serve",
            "--addr",
            "127.0.0.1:0",
            "--data-dir",
        ]);
        command.arg(&directory).env("REGISTRY_STORAGE_RESERVE", "0");
        let server = Running::start(command);
        let mut client = server.client();
        Image::small(1).push(&mut client, "a", "v1");
        let location = client.begin_upload("a");
        assert_eq!(
            client
                .request("PATCH", &location)
                .body(b"half")
                .send()
                .status,
            202
        );
        let mut found = Vec::new();
        modes(&directory, &mut found);
        assert!(
            found
                .iter()
                .any(|(path, _)| path.ends_with("registry.db-wal")),
            "{found:?}"
        );
        for (path, mode) in found {
            assert_eq!(
                mode & 0o077,
                0,
                "{path} has mode {mode:o} under umask {umask}"
            );
            if path.contains("/blobs/sha256/") && path.len() > 100 {
                assert_eq!(mode & 0o222, 0, "a blob that can be written: {path}");
            }
        }
    }
}

#[test]
fn two_servers_share_one_directory() {
    let temporary = tempfile::TempDir::new().expect("a directory");
    let servers: Vec<_> = (0..2).map(|_| Server::at(temporary.path(), &[])).collect();
    for (number, (here, there)) in [(0, 1), (1, 0)].into_iter().enumerate() {
        let image = Image::new(
            &format!("image {number}"),
            vec![noise(number as u64, 200_000), noise(7, 1000)],
        );
        image.push(&mut servers[here].client(), "a", "v1");
        image.assert_pulls(&mut servers[there].client(), "a", "v1");
    }
    // a session may alternate between the servers, chunk by chunk
    let content = noise(9, 400_000);
    let location = servers[0].client().begin_upload("a");
    for (number, chunk) in content.chunks(100_000).enumerate() {
        let range = format!(
            "{}-{}",
            number * 100_000,
            number * 100_000 + chunk.len() - 1
        );
        let mut client = servers[number % 2].client();
        let response = client
            .request("PATCH", &location)
            .header("Content-Range", &range)
            .body(chunk)
            .send();
        assert_eq!(response.status, 202, "{response:?}");
    }
    let digest = sha256(&content);
    assert_eq!(
        servers[0]
            .client()
            .request("PUT", &format!("{location}&digest={digest}"))
            .send()
            .status,
        201
    );
    assert!(
        servers[1]
            .client()
            .get(&format!("/v2/a/blobs/{digest}"))
            .body
            == content
    );
    servers[1]
        .client()
        .get(&location)
        .refused(404, "BLOB_UPLOAD_UNKNOWN");
}

#[test]
fn two_servers_under_load_agree() {
    let temporary = tempfile::TempDir::new().expect("a directory");
    let servers: Vec<_> = (0..2).map(|_| Server::at(temporary.path(), &[])).collect();
    std::thread::scope(|scope| {
        for worker in 0..6_usize {
            let servers = &servers;
            scope.spawn(move || {
                for round in 0..5 {
                    // every image is pushed by two workers, through different servers
                    let image = Image::new(
                        &format!("{}-{round}", worker / 2),
                        vec![noise(round, 20_000)],
                    );
                    image.push(
                        &mut servers[worker % 2].client(),
                        "shared",
                        &format!("w{worker}"),
                    );
                    image.assert_pulls(
                        &mut servers[(worker + 1) % 2].client(),
                        "shared",
                        &format!("w{worker}"),
                    );
                }
            });
        }
    });
    assert_eq!(servers[0].blob_files().len(), 5 + 15);
    assert!(servers[0].upload_files().is_empty());
    let lists: Vec<_> = servers
        .iter()
        .map(|server| server.client().get("/v2/shared/tags/list").body)
        .collect();
    assert_eq!(lists[0], lists[1]);
}

/// A cached response of one process is not repeated after another has changed the content.
#[test]
fn a_change_by_one_server_is_visible_to_the_other_at_once() {
    let temporary = tempfile::TempDir::new().expect("a directory");
    let servers: Vec<_> = (0..2).map(|_| Server::at(temporary.path(), &[])).collect();
    let mut clients: Vec<_> = servers.iter().map(Server::client).collect();
    let images: Vec<_> = (0..3).map(Image::small).collect();
    images
        .iter()
        .for_each(|image| image.push(&mut clients[0], "a", "kept"));
    let manifest =
        |client: &mut Client, reference: &str| client.get(&format!("/v2/a/manifests/{reference}"));
    for round in 0..200 {
        let image = &images[round % images.len()];
        let (writer, reader) = (round % 2, (round + 1) % 2);
        let put = clients[writer].put_manifest("a", "moving", OCI_MANIFEST, &image.manifest);
        assert_eq!(put.status, 201, "{put:?}");
        for _ in 0..3 {
            assert_eq!(
                manifest(&mut clients[reader], "moving").body,
                image.manifest,
                "round {round}"
            );
            assert_eq!(
                manifest(&mut clients[writer], "moving").body,
                image.manifest,
                "round {round}"
            );
        }
        if round % 10 == 9 {
            assert_eq!(clients[writer].delete("/v2/a/manifests/moving").status, 202);
            manifest(&mut clients[reader], "moving").refused(404, "MANIFEST_UNKNOWN");
        }
    }
}

/// Every file below `path`, with its content.
fn contents(path: &Path) -> Vec<(String, Option<Vec<u8>>)> {
    let mut found = Vec::new();
    modes(path, &mut found);
    found
        .into_iter()
        .map(|(name, _)| (name.clone(), std::fs::read(&name).ok()))
        .collect()
}

#[test]
fn a_store_of_distribution_that_is_not_to_be_taken_over_is_reported_and_not_changed() {
    let temporary = tempfile::TempDir::new().expect("a directory");
    let root = temporary.path();
    let theirs = root.join("docker/registry/v2");
    let digest = sha256(b"theirs");
    let blob = theirs.join(format!(
        "blobs/sha256/{}/{}/data",
        &digest[7..9],
        &digest[7..]
    ));
    let link = theirs.join("repositories/team/app/_manifests/tags/v1/current/link");
    for (file, content) in [
        (&blob, "theirs"),
        (&link, digest.as_str()),
        (&root.join("scheduler-state.json"), "{}"),
    ] {
        std::fs::create_dir_all(file.parent().expect("a directory")).expect("a directory");
        std::fs::write(file, content).expect("a file");
    }
    let before = contents(root);
    let mut command = serve(root);
    command.env("REGISTRY_STORAGE_IMPORT", "off");
    let message = sentence(command);
    for word in [
        &*theirs.display().to_string(),
        "a store of registry:2",
        "storage.import: auto",
        "REGISTRY_STORAGE_STARTEMPTY",
    ] {
        assert!(message.contains(word), "'{word}' is not in: {message}");
    }
    let directory = root.to_str().expect("a path");
    let message = sentence(super::command(&["ls", "--data-dir", directory]));
    assert!(message.contains("a store of registry:2"), "{message}");
    assert_eq!(
        contents(root),
        before,
        "a refused start left something behind"
    );

    let mut command = serve(root);
    command.env("REGISTRY_STORAGE_STARTEMPTY", "true");
    let mut server = Running::start(command);
    assert_eq!(
        server.client().get("/v2/_catalog").json()["repositories"],
        serde_json::json!([])
    );
    Image::small(1).push(&mut server.client(), "team/app", "v1");
    server.terminate();
    server.end();
    // the directory now holds a registry, and the warning is not repeated
    let mut server = Running::start(serve(root));
    Image::small(1).assert_pulls(&mut server.client(), "team/app", "v1");
    server.terminate();
    let (_, _, log) = server.end();
    assert_eq!(log.matches("is a store of registry:2").count(), 1, "{log}");
    let after = contents(root);
    assert!(
        before[1..].iter().all(|file| after.contains(file)),
        "something of theirs was changed"
    );
}

/// Two servers that start on an empty directory at the same moment both initialise it and serve.
#[test]
fn two_servers_may_start_simultaneously() {
    for _ in 0..5 {
        let temporary = tempfile::TempDir::new().expect("a directory");
        let directory = temporary.path().join("data");
        let servers: Vec<_> = std::thread::scope(|scope| {
            let starting: Vec<_> = (0..3)
                .map(|_| scope.spawn(|| Running::start(serve(&directory))))
                .collect();
            starting
                .into_iter()
                .map(|thread| thread.join().expect("a server"))
                .collect()
        });
        Image::small(1).push(&mut servers[0].client(), "a", "v1");
        servers
            .iter()
            .for_each(|server| Image::small(1).assert_pulls(&mut server.client(), "a", "v1"));
    }
}

/// As another user wrote it, with `docker run` as root for example.
#[test]
fn the_log_names_a_blob_that_cannot_be_opened() {
    const OTHER: u32 = 65_534;
    if !rustix::process::geteuid().is_root() {
        announce_skipped("a blob of another user", "it takes root");
        return;
    }
    let temporary = tempfile::TempDir::new().expect("a directory");
    let directory = temporary.path().join("data");
    std::fs::create_dir(&directory).expect("a directory");
    for path in [temporary.path(), &directory] {
        chown(path, Some(OTHER), Some(OTHER)).expect("another owner");
    }
    let mut command = serve(&directory);
    command.uid(OTHER).gid(OTHER);
    let mut server = Running::start(command);
    let mut client = server.client();
    let digest = client.push_blob("a", &noise(1, 100_000));
    let (algorithm, hex) = digest.split_once(':').expect("a digest");
    let file = directory.join(format!("blobs/{algorithm}/{}/{hex}", &hex[..2]));
    chown(&file, Some(0), Some(0)).expect("another owner");
    let path = format!("/v2/a/blobs/{digest}");
    assert_eq!(client.head(&path).status, 404);
    client.get(&path).refused(404, "BLOB_UNKNOWN");
    chown(&file, Some(OTHER), Some(OTHER)).expect("its owner");
    assert_eq!(client.get(&path).status, 200);
    server.terminate();
    let (_, _, log) = server.end();
    let named = log.lines().find(|line| line.contains("Permission denied"));
    let named = named.unwrap_or_else(|| panic!("{log}"));
    assert!(
        named.contains(&file.display().to_string()) && named.contains("(chown)"),
        "{named}"
    );
}

/// The disk that the data directory is on may be full: its owner puts the large directories on another one.
#[test]
fn the_data_directory_and_its_large_directories_may_be_links() {
    let temporary = tempfile::TempDir::new().expect("a directory");
    let path = |name: &str| temporary.path().join(name);
    for directory in ["data", "disk/blobs", "disk/uploads"] {
        std::fs::create_dir_all(path(directory)).expect("a directory");
    }
    for (to, link) in [
        ("data", "link"),
        ("disk/blobs", "data/blobs"),
        ("disk/uploads", "data/uploads"),
    ] {
        symlink(path(to), path(link)).expect("a link");
    }
    let server = Running::start(serve(&path("link")));
    let image = Image::small(1);
    image.push(&mut server.client(), "app", "v1");
    image.assert_pulls(&mut server.client(), "app", "v1");
    assert!(path("disk/blobs/sha256").is_dir());
}

#[test]
fn a_link_below_blobs_is_refused_at_the_start() {
    let temporary = tempfile::TempDir::new().expect("a directory");
    let path = |name: &str| temporary.path().join(name);
    for directory in ["data/blobs", "elsewhere"] {
        std::fs::create_dir_all(path(directory)).expect("a directory");
    }
    symlink(path("elsewhere"), path("data/blobs/sha256")).expect("a link");
    let said = sentence(serve(&path("data")));
    assert!(
        said.contains("blobs/sha256 is a symbolic link, and must be a directory"),
        "{said}"
    );
}

/// Opening it would wait for somebody who writes to it.
#[test]
fn a_fifo_in_the_place_of_the_database_is_refused_at_the_start() {
    let temporary = tempfile::TempDir::new().expect("a directory");
    let path = temporary.path().join("registry.db");
    let made = std::process::Command::new("mkfifo").arg(path).status();
    assert!(made.expect("mkfifo").success());
    let said = sentence(serve(temporary.path()));
    assert!(said.contains("it is a FIFO"), "{said}");
}

/// An upload becomes a blob by a second name, which leads to no other file system.
#[test]
fn blobs_and_uploads_on_two_file_systems_are_refused_at_the_start() {
    const TMPFS: FileSystem = FileSystem {
        kind: "tmpfs",
        format: &[],
        options: "size=16m",
    };
    let temporary = tempfile::TempDir::new().expect("a directory");
    let disk = match Disk::with(temporary.path(), "disk", &TMPFS) {
        Ok(disk) => disk,
        Err(error) => {
            let reason = format!("root and mounts are required: {error}");
            return announce_skipped("blobs on another file system", &reason);
        }
    };
    let data = temporary.path().join("data");
    std::fs::create_dir(&data).expect("a directory");
    symlink(disk.path(), data.join("blobs")).expect("a link");
    let said = sentence(serve(&data));
    assert!(said.contains("on two file systems"), "{said}");
    assert_eq!(
        std::fs::read_dir(data.join("uploads"))
            .expect("a directory")
            .count(),
        0
    );
}
