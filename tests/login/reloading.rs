//! The `auth` section itself may change under a running server.

use std::path::Path;

use serde_json::json;
use tempfile::TempDir;

use super::{as_user, environment, line};
use crate::support::server::command;
use crate::support::{Client, eventually};

#[test]
fn logins_are_enabled_moved_and_disabled_without_a_restart() {
    let directory = TempDir::new().expect("a directory");
    let place = |name: &str| directory.path().join(name);
    let config = place("config.yml");
    let write = |auth: Option<&Path>| {
        let mut text = json!({ "version": 0.1, "log": { "level": "info" } });
        if let Some(path) = auth {
            text["auth"] = serde_json::from_str(&environment(path)).expect("a section");
        }
        std::fs::write(config.with_extension("new"), text.to_string()).expect("a file");
        std::fs::rename(config.with_extension("new"), &config).expect("a name");
    };
    std::fs::write(place("one"), line("joe", "secret")).expect("a file");
    std::fs::write(place("two"), line("ann", "other")).expect("a file");
    std::fs::write(place("bad"), "bob:plain\n").expect("a file");
    write(None);
    let mut starting = command(&place("data"));
    starting
        .arg(&config)
        .stdout(std::process::Stdio::piped())
        .stderr(std::fs::File::create(place("log")).expect("a log"));
    let mut server = Killed(starting.spawn().expect("it starts"));
    let mut printed = String::new();
    let mut out = std::io::BufReader::new(server.0.stdout.take().expect("a pipe"));
    std::io::BufRead::read_line(&mut out, &mut printed).expect("a line");
    let address = printed
        .split("http://")
        .nth(1)
        .and_then(|rest| rest.split(',').next())
        .expect("an address");
    let status = |user: &str, password: &str| {
        as_user(Client::new(address).request("GET", "/v2/"), user, password)
            .send()
            .status
    };
    assert_eq!(Client::new(address).get("/v2/").status, 200);
    write(Some(&place("one")));
    eventually("a login is required", || {
        Client::new(address).get("/v2/").status == 401
    });
    assert_eq!(
        (status("joe", "secret"), status("ann", "other")),
        (200, 401)
    );
    write(Some(&place("bad")));
    // a mistyped path
    write(Some(&place("none")));
    kill(&server, rustix::process::Signal::HUP);
    eventually("a missing file is rejected", || {
        said_so(&place("log"), "there is no htpasswd file")
    });
    assert_eq!(
        (status("joe", "secret"), place("none").exists()),
        (200, false)
    );
    // and accepted once the file exists
    std::fs::write(place("none"), line("eve", "third")).expect("a file");
    eventually("a file that appears later counts", || {
        status("eve", "third") == 200
    });
    write(Some(&place("two")));
    eventually("the other file counts", || status("ann", "other") == 200);
    assert_eq!(status("joe", "secret"), 401);
    write(None);
    // removing the file does not disable logins
    kill(&server, rustix::process::Signal::HUP);
    eventually("no login is required any more", || {
        Client::new(address).get("/v2/").status == 200
    });
}

fn kill(server: &Killed, signal: rustix::process::Signal) {
    rustix::process::kill_process(rustix::process::Pid::from_child(&server.0), signal)
        .expect("it runs");
}

fn said_so(log: &Path, words: &str) -> bool {
    std::fs::read_to_string(log).expect("a log").contains(words)
}

struct Killed(std::process::Child);

impl Drop for Killed {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}
