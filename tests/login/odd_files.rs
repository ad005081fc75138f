//! Something else in the place of a file that the server reads: it is named, and the last good file counts.

use std::path::Path;

use super::{Guarded, as_user, environment, line};
use crate::support::{Server, eventually};
use crate::wire::pki::Authority;

/// Kinds of what is no regular file.
const KINDS: [&str; 4] = ["FIFO", "directory", "socket", "device"];

/// Puts something of this kind in the place of a file.
fn put(kind: &str, path: &Path) {
    std::fs::remove_file(path).expect("it was there");
    let done = match kind {
        "FIFO" => std::process::Command::new("mkfifo")
            .arg(path)
            .status()
            .map(|status| assert!(status.success())),
        "directory" => std::fs::create_dir(path),
        "socket" => std::os::unix::net::UnixListener::bind(path).map(drop),
        _ => std::os::unix::fs::symlink("/dev/zero", path),
    };
    done.expect("it is made");
}

fn put_back(content: &str, path: &Path) {
    if path.is_dir() {
        std::fs::remove_dir(path).expect("it goes");
    }
    let new = path.with_extension("new");
    std::fs::write(&new, content).expect("a file");
    std::fs::rename(new, path).expect("it is replaced");
}

#[test]
fn logins_go_on_whatever_the_file_of_users_becomes() {
    let joe = line("joe", "secret");
    let guarded = Guarded::with(&joe);
    for (number, kind) in KINDS.into_iter().enumerate() {
        put(kind, &guarded.path);
        assert_eq!(guarded.login("joe", "secret").status, 200, "{kind}");
        assert_eq!(guarded.login("joe", "other").status, 401, "{kind}");
        eventually("it is named", || {
            guarded
                .server
                .log()
                .contains(&format!("it is a {kind}, and must be a regular file"))
        });
        let new = line(&format!("user{number}"), "new");
        put_back(&format!("{joe}{new}"), &guarded.path);
        eventually("the new file counts", || {
            guarded.login(&format!("user{number}"), "new").status == 200
        });
    }
}

#[test]
fn certificates_stay_whatever_their_file_becomes() {
    let files = tempfile::TempDir::new().expect("a directory");
    let authority = Authority::new("an authority");
    authority.issue(&["localhost"]).write(files.path());
    let [certificate, key] = ["cert.pem", "key.pem"].map(|name| files.path().join(name));
    let content = std::fs::read_to_string(&certificate).expect("a file");
    let server = Server::with(&[
        (
            "REGISTRY_HTTP_TLS_CERTIFICATE",
            &certificate.display().to_string(),
        ),
        ("REGISTRY_HTTP_TLS_KEY", &key.display().to_string()),
    ]);
    for kind in KINDS {
        put(kind, &certificate);
        server.hang_up();
        eventually("it is named", || {
            server
                .log()
                .contains(&format!("it is a {kind}, and must be a regular file"))
        });
        put_back(&content, &certificate);
    }
}

/// A start does not hang either: it fails with a sentence.
#[test]
fn a_start_names_what_is_no_file() {
    let files = tempfile::TempDir::new().expect("a directory");
    let path = files.path().join("odd");
    let start = |arguments: &[&str], environment: (&str, &str)| {
        let output = std::process::Command::new(env!("CARGO_BIN_EXE_registry"))
            .args(["serve", "--addr", "127.0.0.1:0", "--data-dir"])
            .arg(files.path().join("data"))
            .args(arguments)
            .env_clear()
            .env(environment.0, environment.1)
            .output()
            .expect("the command runs");
        assert!(!output.status.success());
        String::from_utf8_lossy(&output.stderr).into_owned()
    };
    std::fs::write(&path, "").expect("a file");
    put("FIFO", &path);
    let name = path.display().to_string();
    let token = format!("{{token: {{realm: a, service: b, issuer: c, jwks: {name}}}}}");
    for said in [
        start(&[], ("REGISTRY_AUTH", &environment(&path))),
        start(&[], ("REGISTRY_AUTH", &token)),
        start(
            &[],
            (
                "REGISTRY_HTTP_TLS",
                &format!("{{certificate: {name}, key: {name}}}"),
            ),
        ),
        start(&[&name], ("A", "b")),
    ] {
        assert!(said.contains("it is a FIFO"), "{said}");
    }
}

/// A single hash at the highest cost would block every login for a day.
#[test]
fn a_cost_that_blocks_every_login_is_a_broken_line() {
    let joe = line("joe", "secret");
    let guarded = Guarded::with(&joe);
    let ann = line("ann", "other").replacen("$04$", "$31$", 1);
    put_back(&format!("{joe}{ann}"), &guarded.path);
    eventually("the line is named", || {
        guarded
            .server
            .log()
            .contains("line 2, user 'ann': its cost is 31")
    });
    let status = |user, password| {
        let mut client = guarded.client();
        as_user(client.request("GET", "/v2/"), user, password)
            .send()
            .status
    };
    assert_eq!(status("joe", "secret"), 200);
    assert_eq!((status("ann", "guess"), status("bob", "guess")), (401, 401));
}
