//! The data directory: the running server's, another user's, one that two servers use, one with a damaged database.

use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::Output;

use tempfile::TempDir;

use super::program::Program;
use crate::support::{Image, Server, announce_skipped};

/// An account that owns nothing, and its number.
const NOBODY: (&str, u32) = ("nobody", 65534);

/// The sentence of a command that fails.
fn refusal(output: &Output) -> String {
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    String::from_utf8(output.stderr.clone()).expect("text")
}

#[test]
fn commands_find_the_running_servers_directory() {
    let program = Program::copy();
    let (server, mut client) = program.serve("here");
    Image::small(1).push(&mut client, "team/app", "v1");
    let output = program.run(&["ls", "--output", "json"]);
    assert!(
        output.status.success() && String::from_utf8_lossy(&output.stdout).contains("team/app"),
        "{output:?}"
    );

    let (_second, _) = program.serve("there");
    let sentence = refusal(&program.run(&["ls"]));
    for name in ["here", "there"] {
        let path = program.data(name).display().to_string();
        assert!(sentence.contains(&path), "{sentence}");
    }
    assert!(sentence.contains("--data-dir"), "{sentence}");
    drop(server);
    let output = program.run(&["ls", "--output", "json"]);
    assert!(
        output.status.success() && !String::from_utf8_lossy(&output.stdout).contains("team/app"),
        "the other server's: {output:?}"
    );
}

#[test]
fn another_user_is_told_whose_the_directory_is() {
    if !rustix::process::geteuid().is_root() {
        announce_skipped("another user is told whose the directory is", "needs root");
        return;
    }
    let program = Program::copy();
    let (_server, mut client) = program.serve("data");
    Image::small(1).push(&mut client, "app", "v1");
    let data = program.data("data").display().to_string();
    let as_nobody = |arguments: &[&str]| {
        let mut command = program.command(arguments);
        command.uid(NOBODY.1).gid(NOBODY.1);
        refusal(&command.output().expect("the command runs"))
    };
    let path = program.path().display().to_string();
    for (arguments, start) in [
        (
            &["rm", "app:v*", "--data-dir", &data][..],
            format!(
                "registry: the data directory {data} is owned by root: sudo -u root {path} rm 'app:v*' --data-dir {data}"
            ),
        ),
        (
            &["ls"],
            format!("registry: the running server is owned by root: sudo -u root {path} ls"),
        ),
        (
            &["serve", "--data-dir", &data],
            format!(
                "registry: the data directory {data} is owned by root: sudo -u root {path} serve --data-dir {data}"
            ),
        ),
    ] {
        let sentence = as_nobody(arguments);
        assert_eq!(sentence.trim_end(), start);
        assert!(!sentence.contains("writable"), "{sentence}");
    }
    let sentence = as_nobody(&["health"]);
    let remedy = format!("the running server is owned by root: sudo -u root {path} health");
    assert!(sentence.trim_end().ends_with(&remedy), "{sentence}");
}

#[test]
fn a_second_server_on_a_directory_is_remarked_on() {
    let temporary = TempDir::new().expect("a directory");
    let data: &Path = &temporary.path().join("data");
    let remark = "another server uses this data directory too";
    let mut first = Server::at(data, &[]);
    let second = Server::at(data, &[]);
    assert!(!first.log().contains(remark), "{}", first.log());
    assert!(second.log().contains(remark), "{}", second.log());
    assert!(first.stop().success());
    let third = Server::at(data, &[]);
    assert!(third.log().contains(remark), "the second still runs");
    drop((second, third));
    let fourth = Server::at(data, &[]);
    assert!(!fourth.log().contains(remark), "{}", fourth.log());
}

#[test]
fn a_damaged_database_is_named_with_the_remedy() {
    let mut server = Server::start();
    let mut client = server.client();
    for seed in 0..40 {
        Image::small(seed).push(&mut client, "app", &format!("v{seed}"));
    }
    assert!(server.stop().success());
    let path = server.directory().join("registry.db");
    let mut content = std::fs::read(&path).expect("the database");
    // all pages but the first, which has the header and the schema
    content[4096..].fill(0xff);
    std::fs::write(&path, content).expect("a damaged database");
    for arguments in [
        &["ls"][..],
        &["ls", "app"],
        &["du"],
        &["rm", "app", "--yes"],
    ] {
        let sentence = refusal(&server.cli(arguments));
        for part in [
            format!("the database {} is damaged", path.display()),
            format!("sqlite3 {} .recover", path.display()),
        ] {
            assert!(sentence.contains(&part), "{arguments:?}: {sentence}");
        }
    }
}
