//! Exports that another registry imports.

use std::io::Write;
use std::process::Stdio;

use super::{content_of, export, files_of, push_everything, put, referrer};
use crate::support::{Image, OCI_MANIFEST, Server, descriptor, noise, sha256};

/// Imports an archive from standard input.
#[track_caller]
fn import(server: &Server, archive: &[u8]) {
    let mut command = server.cli_command(&["import", "-"]);
    let command = command.stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut child = command.stderr(Stdio::piped()).spawn().expect("it runs");
    let mut stdin = child.stdin.take().expect("a pipe");
    std::thread::scope(|scope| {
        // it may end before it has read everything
        scope.spawn(move || drop(stdin.write_all(archive)));
        let output = child.wait_with_output().expect("it ends");
        assert!(output.status.success(), "{output:?}");
    });
}

#[test]
fn another_registry_gets_the_same_content_under_the_same_names() {
    let (from, to) = (Server::start(), Server::start());
    let mut client = from.client();
    let pushed = push_everything(&mut client);
    // a name that could be that of a host
    let mirrored = Image::small(30);
    mirrored.push(&mut client, "docker.io/library/app", "v1");
    let whole = export(&from, &["**", "-"]).stdout;
    import(&to, &whole);
    assert!(export(&to, &["**", "-"]).stdout == whole, "the same bytes");
    let mut other = to.client();
    mirrored.assert_pulls(&mut other, "docker.io/library/app", "v1");
    for digest in [&pushed.index, &pushed.signature] {
        let path = format!("/v2/team/app/referrers/{digest}");
        assert_eq!(other.get(&path).body, client.get(&path).body);
    }

    // in other repositories: an image that shares a layer with an old one, and an old index under another name
    Image::new("shares", vec![noise(1, 50_000), noise(41, 500)]).push(
        &mut client,
        "other/app",
        "v1",
    );
    let promoted = from.cli(&["tag", "team/app:v1", "copied/app:v1"]);
    assert!(promoted.status.success(), "{promoted:?}");
    // what is new since then: an image, a signature of an old one, and a tag that is moved
    Image::new("new", vec![noise(1, 50_000), noise(40, 500)]).push(&mut client, "team/app", "v2");
    let old = client.get(&format!("/v2/team/app/manifests/{}", pushed.children[1]));
    let signature = referrer("late", &descriptor(OCI_MANIFEST, &old.body));
    let digest = sha256(&signature);
    put(&mut client, "team/app", &digest, OCI_MANIFEST, &signature);
    put(&mut client, "team/app", "v1", OCI_MANIFEST, &old.body);
    let directory = tempfile::tempdir().expect("a directory");
    let base = directory.path().join("base.tar");
    std::fs::write(&base, &whole).expect("a file");
    let base = base.display().to_string();
    let delta = export(&from, &["**", "-", "--since", &base]).stdout;
    let content = content_of(&files_of(&delta));
    assert!(content.contains(&digest) && !content.contains(&pushed.index));
    import(&to, &delta);
    let now = export(&from, &["**", "-"]).stdout;
    assert!(export(&to, &["**", "-"]).stdout == now, "the same bytes");
}
