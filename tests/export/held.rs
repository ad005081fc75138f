//! Content that is deleted and collected while it is exported.

use std::io::Read;
use std::process::{Child, ChildStdout, Stdio};

use tempfile::TempDir;

use super::{assert_whole, blob_file, files_of};
use crate::support::{Image, Server, eventually, noise, sha256};

/// Settings that collect unreferenced content within a second.
const FAST: [(&str, &str); 4] = [
    ("REGISTRY_GC_LEASE", "400ms"),
    ("REGISTRY_GC_GRACE", "400ms"),
    ("REGISTRY_GC_KEEPUNTAGGED", "400ms"),
    ("REGISTRY_GC_INTERVAL", "50ms"),
];

/// An export that has begun, and waits because nobody reads on.
struct Stalled {
    child: Child,
    stdout: ChildStdout,
    read: Vec<u8>,
}

impl Stalled {
    fn begin(server: &Server) -> Self {
        let mut command = server.cli_command(&["export", "app:v1", "-"]);
        // a server that has just started may not have recorded its settings yet
        command.envs(FAST);
        let mut child = command
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("it runs");
        let mut stdout = child.stdout.take().expect("a pipe");
        let mut read = vec![0; 512];
        stdout.read_exact(&mut read).expect("the beginning");
        Self {
            child,
            stdout,
            read,
        }
    }

    /// Reads to the end; asserts that the export is whole.
    fn finish(mut self) {
        self.stdout.read_to_end(&mut self.read).expect("the rest");
        assert!(self.child.wait().expect("it ends").success());
        assert_whole(&files_of(&self.read));
    }
}

/// Images with more bytes than a pipe holds.
fn images() -> [Image; 2] {
    [1, 2].map(|seed| {
        let layers = (0..4).map(|layer| noise(seed * 10 + layer, 300_000));
        Image::new(&format!("image {seed}"), layers.collect())
    })
}

fn push(data: &std::path::Path) -> [Image; 2] {
    let mut server = Server::at(data, &[]);
    let images = images();
    images[0].push_again(&mut server.client(), "app", "v1");
    images[1].push_again(&mut server.client(), "other", "v1");
    assert!(server.stop().success());
    images
}

fn is_stored(server: &Server, image: &Image) -> Vec<bool> {
    let blobs = image.layers.iter().chain([&image.config]);
    blobs
        .map(|blob| blob_file(server, &sha256(blob)).exists())
        .collect()
}

#[test]
fn what_is_exported_is_not_collected_meanwhile() {
    let directory = TempDir::new().expect("a directory");
    let data = directory.path().join("data");
    let [exported, other] = push(&data);
    let server = Server::at(&data, &FAST);
    let stalled = Stalled::begin(&server);
    for repository in ["app", "other"] {
        let output = server.cli(&["rm", repository, "--yes"]);
        assert!(output.status.success(), "{output:?}");
    }
    eventually("what is not exported is collected", || {
        !is_stored(&server, &other).contains(&true)
    });
    // as long again: the other image was deleted after this one
    std::thread::scope(|scope| {
        let third = scope.spawn(|| {
            let mut client = server.client();
            let blob = noise(99, 1000);
            client.push_blob("third", &blob);
            let path = blob_file(&server, &sha256(&blob));
            eventually("a blob that nothing needs is collected", || !path.exists());
        });
        third.join().expect("it is collected");
    });
    assert!(!is_stored(&server, &exported).contains(&false));
    stalled.finish();
    eventually("the deleted image is collected afterwards", || {
        !is_stored(&server, &exported).contains(&true)
    });
}

/// Commands that remove what was deleted at once do not while it is exported.
#[test]
fn hasty_commands_leave_what_is_exported() {
    let directory = TempDir::new().expect("a directory");
    let data = directory.path().join("data");
    let [exported, _] = push(&data);
    let mut server = Server::at(&data, &[]);
    assert!(server.stop().success());
    let stalled = Stalled::begin(&server);
    let output = server.cli(&["rm", "app", "--yes"]);
    assert!(output.status.success(), "{output:?}");
    let config = directory.path().join("config.yml");
    let text = format!(
        "version: 0.1\nstorage: {{filesystem: {{rootdirectory: {}}}}}\n",
        data.display()
    );
    std::fs::write(&config, text).expect("a file");
    let collect = || {
        let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_registry"));
        let output = command.arg("garbage-collect").arg(&config).output();
        assert!(output.expect("it runs").status.success());
    };
    collect();
    assert!(!is_stored(&server, &exported).contains(&false));
    let refused = server.cli(&["gc", "--now", "--yes"]);
    let said = String::from_utf8_lossy(&refused.stderr);
    assert!(
        said.contains("an export, which may need what was deleted"),
        "{said}"
    );
    assert!(!is_stored(&server, &exported).contains(&false));
    stalled.finish();
    collect();
    assert!(!is_stored(&server, &exported).contains(&true));
}
