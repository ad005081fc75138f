//! Destinations that an export may be written to, and replacement of what is there.

use std::fs;
use std::io::Read;
use std::os::unix::fs::symlink;
use std::process::Stdio;

use super::{assert_whole, export, files_in, files_of, push_everything, refusal};
use crate::support::{Image, Server, Terminal};

#[test]
fn an_earlier_export_is_replaced_and_nothing_else_is() {
    let server = Server::start();
    let mut client = server.client();
    push_everything(&mut client);
    Image::small(9).push(&mut client, "other", "v1");
    let directory = tempfile::tempdir().expect("a directory");
    let root = directory.path();
    let path = |name: &str| root.join(name).display().to_string();
    for name in ["a.tar", "layout"] {
        export(&server, &["team/app", &path(name)]);
        export(&server, &["other", &path(name)]);
    }
    assert_eq!(root.read_dir().expect("a directory").count(), 2);
    let files = files_in(&root.join("layout"));
    assert_whole(&files);
    assert_eq!(
        files_of(&fs::read(path("a.tar")).expect("an archive")),
        files
    );
    assert_eq!(files.len(), 2 + 3, "nothing of the earlier one is left");

    fs::create_dir(path("empty")).expect("a directory");
    export(&server, &["other", &path("empty")]);
    symlink("a.tar", path("link.tar")).expect("a link");
    export(&server, &["other", &path("link.tar")]);
    assert!(root.join("link.tar").is_symlink());

    // a layout of another program, a layout with a foreign file, and other directories
    fs::create_dir(path("foreign")).expect("a directory");
    fs::write(root.join("foreign/oci-layout"), "{}").expect("a file");
    let index = r#"{"schemaVersion":2,"manifests":[{"digest":"sha256:1"}]}"#;
    fs::write(root.join("foreign/index.json"), index).expect("a file");
    fs::write(root.join("layout/notes"), "mine").expect("a file");
    fs::create_dir(path("plain")).expect("a directory");
    fs::write(root.join("plain/notes"), "mine").expect("a file");
    for name in ["foreign", "layout", "plain"] {
        let before = files_in(&root.join(name));
        let said = refusal(&server, &["other", &path(name)]);
        assert!(said.contains("something else"), "{said}");
        assert_eq!(files_in(&root.join(name)), before);
    }
}

/// Others may write to a directory such as `/tmp`, and know the name.
#[test]
fn what_others_put_in_the_place_of_an_unfinished_export_is_not_written_to() {
    let server = Server::start();
    push_everything(&mut server.client());
    let directory = tempfile::tempdir().expect("a directory");
    let path = |name: &str| directory.path().join(name);
    fs::create_dir(path("victims")).expect("a directory");
    fs::write(path("victims/file"), "mine").expect("a file");
    symlink(path("victims/file"), path(".a.tar.partial")).expect("a link");
    symlink(path("victims/new"), path(".b.tar.partial")).expect("a link");
    fs::hard_link(path("victims/file"), path(".c.tar.partial")).expect("a second name");
    symlink(path("victims"), path(".d.partial")).expect("a link");
    for name in ["a.tar", "b.tar", "c.tar", "d"] {
        refusal(&server, &["team/app", &path(name).display().to_string()]);
        assert!(!path(name).exists(), "{name}");
    }
    assert_eq!(path("victims").read_dir().expect("a directory").count(), 1);
    let kept = fs::read_to_string(path("victims/file")).expect("a file");
    assert_eq!(kept, "mine");
}

#[test]
fn unfit_destinations_are_refused() {
    let server = Server::start();
    push_everything(&mut server.client());
    let directory = tempfile::tempdir().expect("a directory");
    let path = |name: &str| directory.path().join(name).display().to_string();
    fs::write(path("file"), "mine").expect("a file");
    fs::create_dir(path("directory.tar")).expect("a directory");
    for (destination, reason) in [
        (path("a.tar.gz"), "compressed already"),
        (path("a.tgz"), "compressed already"),
        (path("new.tar/"), "leave one of them out"),
        (path("new.tgz/"), "leave one of them out"),
        (path("file"), "ends in .tar"),
        (path("directory.tar"), "is a directory"),
        (path("none/a.tar"), "No such file"),
        (path("none/a"), "No such file"),
        (path("file/a.tar"), "ot a directory"),
        ("/".to_owned(), "name a new directory"),
        ("..".to_owned(), "name a new directory"),
        ("/proc/a.tar".to_owned(), "cannot export to /proc/a.tar"),
    ] {
        let said = refusal(&server, &["team/app", &destination]);
        assert!(said.contains(reason), "{destination}: {said}");
    }
    for name in ["a.tar", "layout", "blobs/sha256/layout"] {
        let inside = server.directory().join(name).display().to_string();
        let said = refusal(&server, &["team/app", &inside]);
        assert!(said.contains("inside of the data directory"), "{said}");
    }
    let shown = server.at_terminal(&["export", "team/app", "-"], "");
    assert!(!shown.status.success());
    assert!(
        shown.text.contains("standard output is a terminal"),
        "{}",
        shown.text
    );
    export(&server, &["team/app", "-", "--dry-run"]);
    let left = directory.path().read_dir().expect("a directory").count();
    assert_eq!(left, 2);
}

#[test]
fn a_terminal_shows_the_progress() {
    let server = Server::start();
    push_everything(&mut server.client());
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path().join("a.tar").display().to_string();
    let mut command = server.cli_command(&["export", "team/app", &path]);
    let shown = Terminal::run(&mut command, "");
    assert!(shown.status.success(), "{shown:?}");
    assert!(shown.text.contains("KiB"), "{shown:?}");
    let lines = shown.lines().join(" ");
    assert!(lines.contains("exported 1 image"), "{lines}");
}

/// A reader that has gone is no reader.
#[test]
fn a_closed_pipe_fails_the_export() {
    let server = Server::start();
    let mut client = server.client();
    Image::new("x", vec![crate::support::noise(1, 500_000)]).push(&mut client, "app", "v1");
    let mut command = server.cli_command(&["export", "app:v1", "-"]);
    let child = command
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn();
    let mut child = child.expect("it runs");
    let mut stdout = child.stdout.take().expect("a pipe");
    stdout.read_exact(&mut [0; 512]).expect("the beginning");
    drop(stdout);
    let output = child.wait_with_output().expect("it ends");
    let said = String::from_utf8(output.stderr).expect("text");
    assert_eq!(output.status.code(), Some(1));
    assert!(said.contains("cannot write to standard output"), "{said}");
}
