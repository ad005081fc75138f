//! Distribution's health checks, and their state on the debug port.

use std::io::{ErrorKind, Read, Write};
use std::net::TcpListener;
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

use super::Watched;
use crate::support::{Server, eventually_some};

const SOON: &str = "interval: 5ms";

/// Waits until every request is refused and the debug port names this check.
fn wait_until_unhealthy(server: &Watched, check: &str) -> String {
    let mut debug = server.debug();
    let cause = eventually_some("the check fails", || {
        let answer = debug.get("/debug/health");
        (answer.status == 503).then(|| {
            answer.json()[check]
                .as_str()
                .unwrap_or_else(|| panic!("{}", answer.json()))
                .to_owned()
        })
    });
    for path in [
        "/v2/",
        "/%762/",
        "/v%32/a/tags/list",
        "//v2/",
        "/v2/_catalog",
        "/v2/a/manifests/v1",
        "/v2/nothing",
        "/v1/search?q=a",
        "/a",
    ] {
        server.client().get(path).refused(503, "UNAVAILABLE");
    }
    assert_eq!(server.client().get("/").status, 200);
    assert_eq!(
        (
            server.client().get("/livez").status,
            server.client().get("/readyz").status
        ),
        (200, 503)
    );
    cause
}

fn wait_until_healthy(server: &Watched) {
    eventually_some("the check is passed", || {
        Some(server.client().get("/v2/")).filter(|answer| answer.status == 200)
    });
    let answer = server.debug().get("/debug/health");
    assert_eq!((answer.status, &*answer.body), (200, &b"{}"[..]));
}

#[test]
fn a_file_check_takes_the_server_out_of_service() {
    let temporary = tempfile::TempDir::new().expect("a directory");
    let file = temporary.path().join("down");
    let checks = format!("[{{file: {}, {SOON}}}]", file.display());
    let server = Watched::start(&[
        ("REGISTRY_HEALTH_FILE", &checks),
        (
            "REGISTRY_HEALTH_STORAGEDRIVER",
            "{enabled: true, interval: 5ms}",
        ),
    ]);
    wait_until_healthy(&server);
    let start = Instant::now();
    std::fs::write(&file, "").expect("a file");
    assert_eq!(
        wait_until_unhealthy(&server, &file.display().to_string()),
        "file exists"
    );
    assert!(start.elapsed() < PATIENCE, "{:?}", start.elapsed());
    assert_eq!(server.debug().head("/debug/health").status, 503);
    std::fs::remove_file(&file).expect("the file goes");
    wait_until_healthy(&server);
    let log = server.err();
    assert_eq!(
        log.iter()
            .filter(|line| line.contains("ERROR health check failed"))
            .count(),
        1,
        "{log:?}"
    );
}

#[test]
fn an_http_check_requires_the_expected_status() {
    let other = Server::start();
    let uri = format!("http://{}/v2/", other.address());
    let checks = format!(
        "[{{uri: '{uri}', headers: {{X-Test: [a, b]}}, timeout: 5s, {SOON}, threshold: 2}}]"
    );
    let server = Watched::start(&[("REGISTRY_HEALTH_HTTP", &checks)]);
    wait_until_healthy(&server);
    drop(other);
    assert!(!wait_until_unhealthy(&server, &uri).is_empty());

    let other = Server::start();
    let uri = format!("http://{}/nothing", other.address());
    let server = Watched::start(&[(
        "REGISTRY_HEALTH_HTTP",
        &format!("[{{uri: '{uri}', {SOON}}}]"),
    )]);
    assert_eq!(
        wait_until_unhealthy(&server, &uri),
        "downstream service returned unexpected status: 404"
    );
}

/// A server that answers every request with this status and reports the requests.
fn peer(status: &'static str) -> (String, Receiver<String>) {
    peer_with(std::iter::repeat(status))
}

/// As [`peer`], with a status for each request.
fn peer_with(
    statuses: impl Iterator<Item = &'static str> + Send + 'static,
) -> (String, Receiver<String>) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = listener.local_addr().expect("an address").to_string();
    let (sender, heads) = channel();
    // ends once the receiver is dropped
    std::thread::spawn(move || {
        for (stream, status) in listener.incoming().zip(statuses) {
            let Ok(mut stream) = stream else { continue };
            let mut head = Vec::new();
            let mut buffer = [0; 1000];
            while !head.ends_with(b"\r\n\r\n") {
                match stream.read(&mut buffer) {
                    Ok(length) if length > 0 => head.extend_from_slice(&buffer[..length]),
                    _ => break,
                }
            }
            let _ = stream.write_all(
                format!("HTTP/1.1 {status}\r\nConnection: close\r\nContent-Length: 0\r\n\r\n")
                    .as_bytes(),
            );
            if sender
                .send(String::from_utf8_lossy(&head).to_lowercase())
                .is_err()
            {
                break;
            }
        }
    });
    (address, heads)
}

/// Request head of the next check, after one was judged.
fn next_request(heads: &Receiver<String>) -> String {
    heads.recv_timeout(PATIENCE).expect("a look");
    heads.recv_timeout(PATIENCE).expect("another look")
}

/// As distribution's client does; `headers` overrides credentials in the URL.
#[test]
fn an_http_check_sends_url_credentials_and_headers() {
    for (user, headers, sent) in [
        (
            "",
            "{X-Test: [a, b]}",
            &["head /v2/?x http/1.1\r\n", "x-test: a\r\nx-test: b\r\n"][..],
        ),
        (
            "joe:a%40b%2Fc@",
            "{}",
            &["authorization: basic am9lomfayi9j\r\n"],
        ),
        (
            "joe:a%40b%2Fc@",
            "{Authorization: [Bearer x]}",
            &["authorization: bearer x\r\n"],
        ),
    ] {
        let (address, heads) = peer("200 OK");
        let checks =
            format!("[{{uri: 'http://{user}{address}/v2/?x', headers: {headers}, {SOON}}}]");
        let server = Watched::start(&[("REGISTRY_HEALTH_HTTP", &checks)]);
        let head = next_request(&heads);
        sent.iter()
            .for_each(|words| assert!(head.contains(words), "{words} is not in {head}"));
        wait_until_healthy(&server);
    }
}

/// A redirection is followed without headers meant for the first server.
#[test]
fn headers_are_not_sent_to_another_host() {
    let (elsewhere, other) = peer("200 OK");
    let there = format!("302 Found\r\nLocation: http://{elsewhere}/x");
    let (address, heads) = peer(there.leak());
    let checks =
        format!("[{{uri: 'http://joe:hidden@{address}/', headers: {{X-Test: [hidden]}}, {SOON}}}]");
    let server = Watched::start(&[("REGISTRY_HEALTH_HTTP", &checks)]);
    assert!(next_request(&heads).contains("x-test: hidden"));
    let head = next_request(&other);
    assert!(
        head.starts_with("head /x ") && !head.contains("x-test") && !head.contains("authorization"),
        "{head}"
    );
    wait_until_healthy(&server);
}

#[test]
fn any_status_may_be_expected() {
    let (address, heads) = peer("204 No Content");
    let server = Watched::start(&[(
        "REGISTRY_HEALTH_HTTP",
        &format!("[{{uri: 'http://{address}/', statuscode: 204, {SOON}}}]"),
    )]);
    next_request(&heads);
    wait_until_healthy(&server);
}

/// Only failures in a row count: a success in between resets the counter.
#[test]
fn a_threshold_counts_failures_in_a_row() {
    let (address, heads) = peer("500 Oh");
    let failing = format!("{{uri: 'http://{address}/', {SOON}, threshold: 1000000}}");
    let server = Watched::start(&[("REGISTRY_HEALTH_HTTP", &format!("[{failing}]"))]);
    (0..5).for_each(|_| drop(heads.recv_timeout(PATIENCE).expect("a look")));
    wait_until_healthy(&server);
    let (address, heads) = peer_with(["500 Oh", "200 OK"].into_iter().cycle());
    let checks = format!("[{{uri: 'http://{address}/', {SOON}, threshold: 2}}]");
    let server = Watched::start(&[("REGISTRY_HEALTH_HTTP", &checks)]);
    (0..20).for_each(|_| drop(heads.recv_timeout(PATIENCE).expect("a look")));
    assert!(
        !server
            .err()
            .iter()
            .any(|line| line.contains("health check failed")),
        "{:?}",
        server.err()
    );
    // one with a threshold, one without
    let closed = TcpListener::bind("127.0.0.1:0")
        .and_then(|listener| listener.local_addr())
        .expect("a port");
    let (address, heads) = peer("500 Oh");
    let checks = format!("[{{uri: 'http://{address}/', {SOON}}}]");
    let tcp = format!("[{{addr: '{closed}', {SOON}, threshold: 1000000}}]");
    let server = Watched::start(&[
        ("REGISTRY_HEALTH_HTTP", &checks),
        ("REGISTRY_HEALTH_TCP", &tcp),
    ]);
    (0..5).for_each(|_| drop(heads.recv_timeout(PATIENCE).expect("a look")));
    wait_until_unhealthy(&server, &format!("http://{address}/"));
    assert_eq!(
        server
            .debug()
            .get("/debug/health")
            .json()
            .as_object()
            .map(serde_json::Map::len),
        Some(1),
        "only the one without a threshold"
    );
}

/// The longest that anything may take which is asked for every 5 ms, and less than it takes by default.
const PATIENCE: Duration = Duration::from_secs(8);

/// Checks of the storage, with and without a threshold.
#[test]
fn a_missing_data_directory_is_noticed() {
    let (address, heads) = peer("200 OK");
    let looks = format!("[{{uri: 'http://{address}/', {SOON}}}]");
    for (threshold, is_ill) in [(1, true), (1_000_000, false)] {
        let driver = format!("{{enabled: true, {SOON}, threshold: {threshold}}}");
        let server = Watched::start(&[
            ("REGISTRY_HEALTH_STORAGEDRIVER", &driver),
            ("REGISTRY_HEALTH_HTTP", &looks),
        ]);
        next_request(&heads);
        let (data, away) = (server.path("data"), server.path("away"));
        let start = Instant::now();
        std::fs::rename(&data, &away).expect("it is moved");
        if is_ill {
            wait_until_unhealthy(&server, "storagedriver_filesystem");
            assert!(start.elapsed() < PATIENCE, "{:?}", start.elapsed());
        } else {
            (0..20).for_each(|_| drop(heads.recv_timeout(PATIENCE).expect("a look")));
            wait_until_healthy(&server);
        }
        std::fs::rename(&away, &data).expect("it is moved");
        wait_until_healthy(&server);
    }
    let server = Watched::start(&[("REGISTRY_HEALTH_HTTP", &looks)]);
    std::fs::rename(server.path("data"), server.path("away")).expect("it is moved");
    (0..20).for_each(|_| drop(heads.recv_timeout(PATIENCE).expect("a look")));
    wait_until_healthy(&server);
}

/// A full backlog that accepts nothing: the system leaves new connections unanswered.
#[test]
fn a_check_of_an_unresponsive_port_times_out() {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_io()
        .build()
        .expect("a runtime");
    let _inside = runtime.enter();
    let socket = tokio::net::TcpSocket::new_v4().expect("a socket");
    socket
        .bind("127.0.0.1:0".parse().expect("an address"))
        .expect("a port");
    let listener = socket.listen(1).expect("a listener");
    let address = listener.local_addr().expect("an address");
    let connect =
        || std::net::TcpStream::connect_timeout(&address, Duration::from_millis(300)).ok();
    let waiting: Vec<_> = std::iter::from_fn(connect).take(100).collect();
    assert!(waiting.len() < 100, "the queue has no end");
    let server = Watched::start(&[(
        "REGISTRY_HEALTH_TCP",
        &format!("[{{addr: '{address}', timeout: 30ms, {SOON}}}]"),
    )]);
    assert!(wait_until_unhealthy(&server, &address.to_string()).ends_with("no answer within 30ms"));
}

#[test]
fn a_check_of_a_silent_server_times_out() {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let uri = format!("http://{}/", listener.local_addr().expect("an address"));
    let server = Watched::start(&[(
        "REGISTRY_HEALTH_HTTP",
        &format!("[{{uri: '{uri}', timeout: 30ms, {SOON}}}]"),
    )]);
    assert_eq!(wait_until_unhealthy(&server, &uri), "no answer within 30ms");
}

#[test]
fn a_tcp_check_requires_an_open_port() {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = listener.local_addr().expect("an address").to_string();
    let server = Watched::start(&[(
        "REGISTRY_HEALTH_TCP",
        &format!("[{{addr: '{address}', timeout: 1s, {SOON}}}]"),
    )]);
    wait_until_healthy(&server);
    let start = Instant::now();
    drop(listener);
    assert!(wait_until_unhealthy(&server, &address).contains(&address));
    assert!(start.elapsed() < PATIENCE, "{:?}", start.elapsed());
}

#[test]
fn an_unavailable_debug_port_is_reported() {
    let taken = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = taken.local_addr().expect("an address").to_string();
    let directory = tempfile::TempDir::new().expect("a directory");
    let mut command = crate::support::server::command(&directory.path().join("data"));
    let output = command
        .env("REGISTRY_HTTP_DEBUG_ADDR", &address)
        .output()
        .expect("the command runs");
    let message = String::from_utf8_lossy(&output.stderr);
    assert!(
        !output.status.success()
            && message.contains("http.debug.addr")
            && message.contains(&address),
        "{message}"
    );
}

#[test]
fn the_debug_port_serves_metrics_only_if_configured() {
    let server = Watched::start(&[("REGISTRY_HTTP_DEBUG_PROMETHEUS_ENABLED", "false")]);
    server.debug().get("/metrics").refused(404, "UNSUPPORTED");
    server.client().get("/metrics").refused(404, "UNSUPPORTED");
    server
        .debug()
        .get("/debug/pprof/")
        .refused(404, "UNSUPPORTED");
    server
        .debug()
        .request("POST", "/debug/health")
        .send()
        .refused(405, "UNSUPPORTED");
    let server = Watched::start(&[("REGISTRY_HTTP_DEBUG_PROMETHEUS_PATH", "/prometheus")]);
    assert_eq!(server.debug().get("/prometheus").status, 200);
    server.debug().get("/metrics").refused(404, "UNSUPPORTED");
}

/// The port allows few connections, so a client may not keep one by not reading.
#[test]
fn unread_answers_of_the_debug_port_are_dropped() {
    let server = Watched::start(&[]);
    let mut stream = server.debug().connect();
    stream
        .set_write_timeout(Some(Duration::from_millis(200)))
        .expect("a timeout");
    let requests = b"GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n".repeat(100);
    let start = Instant::now();
    // the server stops reading once it cannot write, and closes the connection some time later
    loop {
        match stream.write(&requests) {
            Err(error) if !matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {
                break;
            }
            _ => assert!(
                start.elapsed() < Duration::from_secs(90),
                "the connection stays"
            ),
        }
    }
}
