//! `/livez` and `/readyz`.

use std::io::{Read, Write};
use std::time::{Duration, Instant};

use super::Watched;
use crate::support::{Response, Server, eventually, eventually_some};

#[test]
fn a_working_server_is_ready() {
    let server = Watched::start(&[("REGISTRY_HTTP_PREFIX", "/registry/")]);
    for mut client in [server.client(), server.debug()] {
        for path in ["/livez", "/readyz"] {
            let answer = client.get(path);
            assert_eq!(
                (
                    answer.status,
                    answer.header("content-type"),
                    answer.header("cache-control")
                ),
                (200, Some("application/json"), Some("no-cache"))
            );
            assert_eq!(client.head(path).status, 200);
            client
                .request("POST", path)
                .send()
                .refused(405, "UNSUPPORTED");
        }
        assert_eq!(
            client.get("/readyz").json(),
            serde_json::json!({ "status": "ready" })
        );
        let checks = &client.get("/readyz?verbose").json()["checks"];
        for check in ["database", "disk", "certificate", "health", "backup"] {
            assert_eq!(checks[check], "ok", "{checks}");
        }
    }
    assert_eq!(server.client().get("/registry/readyz").status, 200);
    server.client().get("/v2/").refused(404, "UNSUPPORTED");
}

fn problem(answer: &Response, check: &str) -> Option<String> {
    assert_eq!(
        answer.json()["checks"]
            .as_object()
            .map(serde_json::Map::len),
        Some(1),
        "{}",
        answer.json()
    );
    (answer.status == 503)
        .then(|| answer.json()["checks"][check].as_str().map(str::to_owned))
        .flatten()
}

/// The administrator gets setting names at once, clients a general reason, and pulls continue.
#[test]
fn a_server_with_a_full_disk_is_alive_but_not_ready() {
    let server = Watched::start(&[("REGISTRY_STORAGE_RESERVE", "18446744073709551615")]);
    let logged = || -> Vec<String> {
        server
            .err()
            .into_iter()
            .filter(|line| line.contains("storage.reserve"))
            .collect()
    };
    let line = eventually_some("the log says so", || logged().pop());
    assert!(
        line.contains(" WARN ")
            && line.contains("reserve=18446744073709551615")
            && line.contains("free="),
        "{line}"
    );
    let mut client = server.client();
    let answer = client.get("/readyz");
    assert!(
        problem(&answer, "disk").is_some_and(|problem| problem.contains("reserve")),
        "{}",
        answer.json()
    );
    let refused = client.request("POST", "/v2/a/blobs/uploads/").send();
    refused.refused(507, "UNAVAILABLE");
    assert!(
        refused.json()["errors"][0]["message"]
            .as_str()
            .is_some_and(|message| message.contains("reserve")),
        "{}",
        refused.json()
    );
    assert_eq!(client.get("/livez").status, 200);
    assert_eq!(
        client.get("/readyz?exclude=disk").json(),
        serde_json::json!({ "status": "ready" })
    );
    let manifest = std::fs::read_to_string(concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/docs/deploy/kubernetes.yml"
    ))
    .expect("the manifest");
    let probes: Vec<_> = manifest
        .lines()
        .filter_map(|line| line.split_once("httpGet: { path: ")?.1.split(',').next())
        .map(|path| path.trim_matches('\''))
        .collect();
    assert_eq!(probes.len(), 3);
    for path in probes {
        assert_eq!(
            client.get(path).status,
            200,
            "Kubernetes takes pulls down by {path}"
        );
    }
    assert_eq!(logged().len(), 1, "{:?}", logged());
}

/// While requests are finished, no new client should be sent here: the debug port says so, as the
/// main port is closed.
#[test]
fn a_stopping_server_is_not_ready() {
    let mut server = Watched::start(&[]);
    let mut debug = server.debug();
    let location = server.client().begin_upload("a");
    let mut upload = std::net::TcpStream::connect(&server.address).expect("a connection");
    write!(
        upload,
        "PATCH {location} HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 5\r\n\r\n"
    )
    .expect("a head");
    upload.read_exact(&mut [0; 12]).expect("it is wanted");
    assert_eq!(debug.get("/readyz").status, 200);
    server.terminate();
    let answer = eventually_some("it is not ready", || {
        Some(debug.get("/readyz")).filter(|answer| answer.status == 503)
    });
    assert!(problem(&answer, "stopping").is_some(), "{}", answer.json());
    assert_eq!(debug.get("/livez").status, 200);
    upload.write_all(b"hello").expect("the rest");
    server.end();
}

/// A database locked by another process is not writable; the probe still answers in bounded time,
/// without queueing.
#[test]
fn a_server_with_a_locked_database_is_not_ready() {
    let server = Server::start();
    let database =
        rusqlite::Connection::open(server.directory().join("registry.db")).expect("the database");
    let mut client = server.client();
    let start = Instant::now();
    assert_eq!(client.get("/readyz").status, 200);
    database.execute_batch("BEGIN IMMEDIATE").expect("the lock");
    // an answer is good for a second, however many ask
    let is_fresh = start.elapsed() < std::time::Duration::from_millis(900);
    let again = client.get("/readyz").status;
    assert!(again == 200 || !is_fresh, "{again}");
    let answer = eventually_some("it is not ready", || {
        Some(client.get("/readyz")).filter(|answer| answer.status == 503)
    });
    assert!(
        problem(&answer, "database").is_some_and(|problem| problem.contains("in time")),
        "{}",
        answer.json()
    );
    assert_eq!(client.get("/livez").status, 200);
    database
        .execute_batch("ROLLBACK")
        .expect("the lock is let go");
    eventually_some("it is ready again", || {
        Some(client.get("/readyz")).filter(|answer| answer.status == 200)
    });
}

/// A request that waits for events is answered when the server stops, and does not hold it up.
#[test]
fn a_stop_ends_waits_for_events() {
    let mut server = Watched::start(&[]);
    let mut client = server.client();
    let last = client.get("/v2/_events").json()["last"].to_string();
    let path = format!("/v2/_events?since={last}&wait=50");
    let waiting = std::thread::spawn(move || client.get(&path));
    eventually("it waits", || {
        let sample = "registry_http_in_flight_requests{handler=\"events\"}";
        super::metrics::value(&server.metrics(), sample) == Some(1.0)
    });
    let start = Instant::now();
    server.stop();
    assert!(
        start.elapsed() < Duration::from_secs(20),
        "{:?}",
        start.elapsed()
    );
    let answer = waiting.join().expect("an answer");
    assert_eq!(
        (answer.status, answer.json()["events"].to_string()),
        (200, "[]".to_owned())
    );
}
