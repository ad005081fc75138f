//! A second server on a data directory: it must not serve by fewer rules than the first.

use std::io::Write;
use std::path::Path;
use std::process::Command;

use super::{Running, command, serve};
use crate::support::eventually;

/// A configuration that says who may do what, and what is kept.
const GUARDED: &str = "
version: 0.1
auth: {silly: {realm: a, service: b}}
access: {rules: [{repositories: '**', who: users, may: push}]}
policies: [{name: releases, repositories: '**', immutable: ['v*']}]
";

/// Starts on a directory with a configuration; without one if it is empty.
fn with(directory: &Path, name: &str, text: &str) -> Command {
    let mut server = serve(directory);
    if !text.is_empty() {
        let path = directory.with_file_name(name);
        std::fs::write(&path, text).expect("a file");
        server.arg("--config").arg(path);
    }
    server
}

/// Returns the sentence of a start that is refused.
#[track_caller]
fn refused(mut server: Command) -> String {
    let output = server.output().expect("it runs");
    let sentence = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(1), "{sentence}");
    assert!(output.stdout.is_empty(), "it announced itself");
    sentence
}

fn policies(directory: &Path) -> String {
    let mut preview = command(&["policy", "preview", "-o", "json", "--data-dir"]);
    let output = preview.arg(directory).output().expect("it runs");
    String::from_utf8_lossy(&output.stdout).into_owned()
}

#[test]
fn it_needs_the_sections_of_the_first() {
    let temporary = tempfile::TempDir::new().expect("a directory");
    let directory = temporary.path().join("data");
    let first = Running::start(with(&directory, "first.yml", GUARDED));
    let audited = || {
        let mut audit = command(&["audit", "-o", "json", "--data-dir"]);
        let output = audit.arg(&directory).output().expect("it runs");
        String::from_utf8_lossy(&output.stdout).matches("configure").count()
    };
    eventually("the first is recorded", || audited() == 1);
    let before = policies(&directory);
    for (text, missing) in [
        ("", "has access, auth, policies, which this one lacks"),
        (
            "version: 0.1\nauth: none\ngc: {grace: 1h}\n",
            "has access, policies, which this one lacks",
        ),
    ] {
        let sentence = refused(with(&directory, "second.yml", text));
        assert!(
            sentence.contains(missing) && sentence.contains("stop the other one first"),
            "{sentence}"
        );
    }
    assert_eq!((policies(&directory), audited()), (before, 1));
    // the same, or something else that is written out
    drop(Running::start(with(&directory, "same.yml", GUARDED)));
    let other = "version: 0.1\nauth: none\npolicies: []\naccess: {rules: [{repositories: 'public/**', who: anonymous, may: pull}]}\n";
    drop(Running::start(with(&directory, "other.yml", other)));
    drop(first);
    // a killed server is none
    let mut alone = Running::start(serve(&directory));
    alone.terminate();
    let (_, _, log) = alone.end();
    assert!(log.contains("had access, auth, policies, which this one lacks"), "{log}");
}

/// A restart may take rules out, even while the former process still answers a request.
#[test]
fn a_server_that_stops_does_not_count() {
    let temporary = tempfile::TempDir::new().expect("a directory");
    let directory = temporary.path().join("data");
    let open = "version: 0.1\ngc: {grace: 1h}\n";
    let mut first = Running::start(with(&directory, "first.yml", open));
    let mut upload = first.connect();
    upload
        .write_all(b"POST /v2/a/blobs/uploads/ HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nab")
        .expect("a part of a request");
    eventually("the upload is open", || {
        let mut uploads = command(&["uploads", "-o", "json", "--data-dir"]);
        let output = uploads.arg(&directory).output().expect("it runs");
        String::from_utf8_lossy(&output.stdout).contains("\"id\"")
    });
    assert!(refused(serve(&directory)).contains("has gc, which this one lacks"));
    first.terminate();
    eventually("another one starts", || {
        let mut next = serve(&directory);
        next.stdout(std::process::Stdio::piped());
        next.stderr(std::process::Stdio::null());
        let mut next = next.spawn().expect("it runs");
        let mut line = String::new();
        let mut out = std::io::BufReader::new(next.stdout.take().expect("a pipe"));
        std::io::BufRead::read_line(&mut out, &mut line).expect("a line");
        next.kill().expect("a process");
        next.wait().expect("it ends");
        line.starts_with("listening")
    });
    assert!(first.is_running(), "it ended before its request did");
}

/// What a reload adds counts for the next server.
#[test]
fn a_reloaded_section_counts() {
    let temporary = tempfile::TempDir::new().expect("a directory");
    let directory = temporary.path().join("data");
    let first = Running::start(with(&directory, "first.yml", "version: 0.1\nlog: {level: info}\n"));
    drop(Running::start(serve(&directory)));
    with(&directory, "first.yml", GUARDED);
    first.hang_up();
    eventually("the section is recorded", || {
        let mut second = serve(&directory);
        second.env("REGISTRY_HTTP_DRAINTIMEOUT", "nonsense");
        policies(&directory).contains("releases")
    });
    assert!(refused(serve(&directory)).contains("access, auth, policies"));
}
