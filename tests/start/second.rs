//! A second server on a data directory: it must not serve by fewer rules than the first.

use std::io::{BufReader, Read, Write};
use std::path::Path;
use std::process::Command;

use super::{Running, command, refusal, serve, wait_until_closed};
use crate::support::client::read_response;
use crate::support::{eventually, noise};

/// A configuration that says who may do what, and what is kept.
const GUARDED: &str = "
version: 0.1
auth: {silly: {realm: a, service: b}}
access: {rules: [{repositories: '**', who: users, may: push}]}
policies: [{repositories: '**', immutable: ['v*']}]
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

/// Counts the configurations that servers took, by the audit log.
fn taken(directory: &Path) -> usize {
    let mut audit = command(&["audit", "--action", "configure", "-o", "json", "--data-dir"]);
    let output = audit.arg(directory).output().expect("it runs");
    let text = String::from_utf8_lossy(&output.stdout);
    text.matches("\"configure\"").count()
}

/// Returns the rules that servers recorded for other commands.
fn recorded(directory: &Path) -> Vec<(String, String)> {
    let database = rusqlite::Connection::open(directory.join("registry.db")).expect("a database");
    let mut query = database
        .prepare("SELECT name, value FROM settings WHERE name IN ('retention', 'server sections')")
        .expect("a query");
    let rows = query.query_map([], |row| Ok((row.get(0)?, row.get(1)?)));
    rows.expect("rows").map(|row| row.expect("a row")).collect()
}

#[test]
fn it_needs_the_sections_of_the_first() {
    let temporary = tempfile::TempDir::new().expect("a directory");
    let directory = temporary.path().join("data");
    let first = Running::start(with(&directory, "first.yml", GUARDED));
    eventually("the first is recorded", || taken(&directory) == 1);
    eventually("its rules are recorded", || recorded(&directory).len() == 2);
    let before = recorded(&directory);
    for (text, missing) in [
        ("", "has access, auth, policies, which this one lacks"),
        (
            "version: 0.1\nauth: none\ngc: {grace: 1h}\n",
            "has access, policies, which this one lacks",
        ),
    ] {
        let sentence = refusal(with(&directory, "second.yml", text));
        assert!(
            sentence.contains(missing) && sentence.contains("stop the other one first"),
            "{sentence}"
        );
    }
    assert_eq!((recorded(&directory), taken(&directory)), (before, 1));
    // the same, or something else that is written out
    drop(Running::start(with(&directory, "same.yml", GUARDED)));
    let other = "version: 0.1\nauth: none\npolicies: []\naccess: {rules: [{repositories: 'public/**', who: anonymous, may: pull}]}\n";
    drop(Running::start(with(&directory, "other.yml", other)));
    drop(first);
    // a killed server is none
    let mut alone = Running::start(serve(&directory));
    alone.terminate();
    let (_, _, log) = alone.end();
    assert!(
        log.contains("had access, auth, policies, which this one lacks"),
        "{log}"
    );
}

/// A restart may take rules out, even while the former process still answers a request.
#[test]
fn a_server_that_stops_does_not_count() {
    let temporary = tempfile::TempDir::new().expect("a directory");
    let directory = temporary.path().join("data");
    let ruled = "version: 0.1\ngc: {grace: 1h}\n";
    let mut first = Running::start(with(&directory, "first.yml", ruled));
    let content = noise(1, 24 << 20);
    let digest = first.client().push_blob("a", &content);
    let mut stream = BufReader::new(first.client().connect());
    write!(
        stream.get_mut(),
        "GET /v2/a/blobs/{digest} HTTP/1.1\r\nHost: x\r\n\r\n"
    )
    .expect("a request");
    let mut beginning = [0; 1];
    stream.read_exact(&mut beginning).expect("a beginning");
    assert!(refusal(serve(&directory)).contains("has gc, which this one lacks"));
    first.terminate();
    wait_until_closed(&first.address());
    let next = Running::start(serve(&directory));
    assert_eq!(next.client().get("/v2/").status, 200);
    let whole = &mut BufReader::new(beginning.chain(stream));
    let response = read_response(whole, false).expect("all of it");
    assert!(response.body == content);
    assert_eq!(first.end().0, Some(0));
}

/// A section that a reload adds counts for the next server.
#[test]
fn a_reloaded_section_counts() {
    let temporary = tempfile::TempDir::new().expect("a directory");
    let directory = temporary.path().join("data");
    let first = Running::start(with(
        &directory,
        "first.yml",
        "version: 0.1\nlog: {level: info}\n",
    ));
    let second = Running::start(serve(&directory));
    eventually("both are recorded", || taken(&directory) == 2);
    drop(second);
    with(&directory, "first.yml", GUARDED);
    first.signal(rustix::process::Signal::HUP);
    eventually("the reload is recorded", || taken(&directory) == 3);
    assert!(refusal(serve(&directory)).contains("access, auth, policies"));
}
