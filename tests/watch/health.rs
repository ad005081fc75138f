//! Distribution's health checks, and the debug port that tells of them.

use std::net::TcpListener;

use super::{Watched, eventually};
use crate::support::Server;

const SOON: &str = "interval: 5ms";

/// Waits until every request is refused, and the debug port names this check.
fn wait_until_ill(server: &Watched, check: &str) -> String {
    let mut debug = server.debug();
    let cause = eventually("the check fails", || {
        let answer = debug.get("/debug/health");
        (answer.status == 503).then(|| answer.json()[check].as_str().unwrap_or_else(|| panic!("{}", answer.json())).to_owned())
    });
    for path in ["/v2/", "/v2/_catalog", "/v2/a/manifests/v1", "/v2/nothing"] {
        server.client().get(path).refused(503, "UNAVAILABLE");
    }
    assert_eq!((server.client().get("/livez").status, server.client().get("/readyz").status), (200, 503));
    cause
}

fn wait_until_well(server: &Watched) {
    eventually("the check is passed", || Some(server.client().get("/v2/")).filter(|answer| answer.status == 200));
    let answer = server.debug().get("/debug/health");
    assert_eq!((answer.status, &*answer.body), (200, &b"{}"[..]));
}

#[test]
fn a_file_takes_the_server_out_of_service() {
    let temporary = tempfile::TempDir::new().expect("a directory");
    let file = temporary.path().join("down");
    let checks = format!("[{{file: {}, {SOON}}}]", file.display());
    let server = Watched::start(&[("REGISTRY_HEALTH_FILE", &checks), ("REGISTRY_HEALTH_STORAGEDRIVER", "{enabled: true, interval: 5ms}")]);
    wait_until_well(&server);
    std::fs::write(&file, "").expect("a file");
    assert_eq!(wait_until_ill(&server, &file.display().to_string()), "file exists");
    assert_eq!(server.debug().head("/debug/health").status, 503);
    std::fs::remove_file(&file).expect("the file goes");
    wait_until_well(&server);
    let log = server.err();
    assert_eq!(log.iter().filter(|line| line.contains("ERROR a health check fails")).count(), 1, "{log:?}");
}

#[test]
fn another_server_must_answer_as_expected() {
    let other = Server::start();
    let uri = format!("http://{}/v2/", other.address());
    let checks = format!("[{{uri: '{uri}', headers: {{X-Test: [a, b]}}, timeout: 5s, {SOON}, threshold: 2}}]");
    let server = Watched::start(&[("REGISTRY_HEALTH_HTTP", &checks)]);
    wait_until_well(&server);
    drop(other);
    assert!(!wait_until_ill(&server, &uri).is_empty());

    let other = Server::start();
    let uri = format!("http://{}/nothing", other.address());
    let server = Watched::start(&[("REGISTRY_HEALTH_HTTP", &format!("[{{uri: '{uri}', {SOON}}}]"))]);
    assert_eq!(wait_until_ill(&server, &uri), "downstream service returned unexpected status: 404");
    let server = Watched::start(&[("REGISTRY_HEALTH_HTTP", &format!("[{{uri: '{uri}', statuscode: 404, {SOON}}}]"))]);
    wait_until_well(&server);
}

/// As distribution's client does; what stands in `headers` goes over it.
#[test]
fn a_login_in_a_url_is_used() {
    let users = tempfile::NamedTempFile::new().expect("a file");
    std::fs::write(users.path(), format!("joe:{}\n", bcrypt::hash("a@b/c", 4).expect("a hash"))).expect("a file");
    let other = Server::with(&[("REGISTRY_AUTH", &format!("{{htpasswd: {{realm: a, path: {}}}}}", users.path().display()))]);
    let uri = |user: &str| format!("http://{user}@{}/v2/", other.address());
    let server = Watched::start(&[("REGISTRY_HEALTH_HTTP", &format!("[{{uri: '{}', {SOON}}}]", uri("joe:a%40b%2Fc")))]);
    wait_until_well(&server);
    let checks = format!("[{{uri: '{}', headers: {{Authorization: [Basic eDp5]}}, {SOON}}}]", uri("joe:a%40b%2Fc"));
    let server = Watched::start(&[("REGISTRY_HEALTH_HTTP", &checks)]);
    let name = format!("http://(secret)@{}/v2/", other.address());
    assert_eq!(wait_until_ill(&server, &name), "downstream service returned unexpected status: 401");
}

#[test]
fn a_port_must_be_open() {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = listener.local_addr().expect("an address").to_string();
    let server = Watched::start(&[("REGISTRY_HEALTH_TCP", &format!("[{{addr: '{address}', timeout: 1s, {SOON}}}]"))]);
    wait_until_well(&server);
    drop(listener);
    assert!(wait_until_ill(&server, &address).contains(&address));
}

#[test]
fn a_debug_port_that_cannot_be_had_is_named() {
    let taken = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = taken.local_addr().expect("an address").to_string();
    let directory = tempfile::TempDir::new().expect("a directory");
    let mut command = crate::support::server::command(&directory.path().join("data"));
    let output = command.env("REGISTRY_HTTP_DEBUG_ADDR", &address).output().expect("the command runs");
    let message = String::from_utf8_lossy(&output.stderr);
    assert!(!output.status.success() && message.contains("http.debug.addr") && message.contains(&address), "{message}");
}

#[test]
fn the_debug_port_gives_metrics_only_where_it_is_told_to() {
    let server = Watched::start(&[("REGISTRY_HTTP_DEBUG_PROMETHEUS_ENABLED", "false")]);
    server.debug().get("/metrics").refused(404, "UNSUPPORTED");
    server.client().get("/metrics").refused(404, "UNSUPPORTED");
    server.debug().get("/debug/pprof/").refused(404, "UNSUPPORTED");
    server.debug().request("POST", "/debug/health").send().refused(405, "UNSUPPORTED");
    let server = Watched::start(&[("REGISTRY_HTTP_DEBUG_PROMETHEUS_PATH", "/prometheus")]);
    assert_eq!(server.debug().get("/prometheus").status, 200);
    server.debug().get("/metrics").refused(404, "UNSUPPORTED");
}
