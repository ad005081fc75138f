//! Events for clients that ask for them (`/v2/_events`): pages, waiting, and what ends it.

use std::thread;
use std::time::{Duration, Instant};

use serde_json::Value;

use super::push_image;
use crate::support::{Client, Server, eventually};

fn page(client: &mut Client, query: &str) -> Value {
    let response = client.get(&format!("/v2/_events{query}"));
    assert_eq!(response.status, 200, "{query}: {}", response.json());
    response.json()
}

fn ids(page: &Value) -> Vec<i64> {
    let events = page["events"].as_array().expect("a list").iter();
    events
        .map(|event| event["id"].as_i64().expect("a number"))
        .collect()
}

#[test]
fn events_are_those_of_the_audit_log_page_by_page() {
    let server = Server::start();
    let mut client = server.client();
    assert_eq!(page(&mut client, "")["events"], Value::Array(Vec::new()));
    let first = push_image(&mut client, "team/app", "v1", "one");
    push_image(&mut client, "team/app", "v1", "two");
    assert_eq!(client.delete("/v2/team/app/manifests/v1").status, 202);
    let all = page(&mut client, "?since=0&wait=0");
    let events = all["events"].as_array().expect("a list");
    let actions: Vec<_> = events
        .iter()
        .map(|event| event["action"].as_str())
        .collect();
    let expected = ["push", "tag", "push", "tag", "untag"];
    assert_eq!(actions, expected.map(Some));
    assert_eq!(events[1]["digest"], super::digest_of(&first));
    assert_eq!(events[3]["formerDigest"], super::digest_of(&first));
    assert_eq!(
        (&events[4]["tag"], &events[4]["digest"]),
        (&"v1".into(), &Value::Null)
    );
    // one by one, each page begins after the last
    let (mut since, mut seen) = (0, Vec::new());
    while seen.len() < expected.len() {
        let next = page(&mut client, &format!("?since={since}&n=1&wait=0"));
        since = next["last"].as_i64().expect("a number");
        assert_eq!(ids(&next), [since]);
        seen.extend(ids(&next));
    }
    assert_eq!(seen, ids(&all));
    let rest = page(&mut client, &format!("?since={since}&wait=0"));
    assert_eq!((ids(&rest), &rest["last"]), (Vec::new(), &all["last"]));
}

/// A number names the same event for good: over restarts, beside later events, and wherever one begins.
#[test]
fn numbers_of_events_stay_and_since_is_exact() {
    let mut server = Server::start();
    let mut client = server.client();
    for number in 0..5 {
        push_image(&mut client, "team/app", "v1", &format!("{number}"));
    }
    let before = page(&mut client, "?since=0&wait=0");
    let before = before["events"].as_array().expect("a list").clone();
    server.stop();
    server.restart();
    let mut client = server.client();
    push_image(&mut client, "team/other", "v1", "6");
    let all = page(&mut client, "?since=0&wait=0");
    let after = all["events"].as_array().expect("a list");
    assert_eq!(after[..before.len()], before);
    let numbers = ids(&all);
    assert!(numbers.is_sorted_by(|a, b| a < b), "{numbers:?}");
    let last = all["last"].as_i64().expect("a number");
    for since in 0..=last {
        let rest = page(&mut client, &format!("?since={since}&wait=0"));
        let later = numbers.iter().filter(|number| **number > since);
        assert_eq!(ids(&rest), Vec::from_iter(later.copied()), "since {since}");
        assert_eq!(rest["last"], last, "since {since}");
    }
}

/// Old events go, and their numbers do not come again.
#[test]
fn numbers_go_on_when_all_events_are_too_old() {
    let server = Server::with(&[("REGISTRY_AUDIT_KEEP", "1d")]);
    for number in 0..5 {
        push_image(&mut server.client(), "team/app", "v1", &format!("{number}"));
    }
    let last = page(&mut server.client(), "")["last"].clone();
    let database = rusqlite::Connection::open(server.directory().join("registry.db"));
    let database = database.expect("a database");
    let aged = database.execute("UPDATE audit SET at = at - 2 * 24 * 3600 * 1000", []);
    aged.expect("rows");
    // rows that are too old go at a reload, too
    server.hang_up();
    let client = &mut server.client();
    eventually("they are gone", || {
        ids(&page(client, "?since=0&wait=0")).len() <= 1
    });
    push_image(client, "team/app", "v1", "6");
    let new = page(client, &format!("?since={last}&wait=0"));
    assert_eq!(ids(&new).len(), 2, "{new}");
}

#[test]
fn a_request_waits_for_the_next_event() {
    let server = Server::start();
    let mut client = server.client();
    let last = page(&mut client, "")["last"].clone();
    let start = Instant::now();
    let waiting = {
        let (mut client, path) = (server.client(), format!("?since={last}&wait=50"));
        thread::spawn(move || page(&mut client, &path))
    };
    push_image(&mut client, "team/app", "v1", "one");
    let page = waiting.join().expect("a page");
    assert!(!ids(&page).is_empty(), "{page}");
    assert!(
        start.elapsed() < Duration::from_secs(40),
        "{:?}",
        start.elapsed()
    );
}

/// A log that was replaced by an older one, from a backup, says so at once: its last number is smaller.
#[test]
fn a_number_beyond_the_log_does_not_wait() {
    let server = Server::start();
    let mut client = server.client();
    let start = Instant::now();
    for since in ["1000000", "99999999999999999999999"] {
        let page = page(&mut client, &format!("?since={since}&wait=50"));
        assert_eq!(ids(&page), [0; 0]);
        assert!(page["last"].as_i64() < Some(1_000_000), "{page}");
    }
    assert!(start.elapsed() < Duration::from_secs(40));
    for query in ["?since=-1", "?since=x", "?since=1&n=-1", "?since=1&wait=1s"] {
        let response = client.get(&format!("/v2/_events{query}"));
        response.refused(400, "PAGINATION_NUMBER_INVALID");
    }
}

/// Each waiting request costs a place; a client has some, and others have theirs.
#[test]
fn a_client_has_a_limited_number_of_waits() {
    let server = Server::start();
    let last = page(&mut server.client(), "")["last"].clone();
    let path = format!("/v2/_events?since={last}&wait=3");
    let waits: Vec<_> = (0..17)
        .map(|_| {
            let (mut client, path) = (server.client(), path.clone());
            thread::spawn(move || client.get(&path).status)
        })
        .collect();
    let mut statuses: Vec<_> = waits
        .into_iter()
        .map(|wait| wait.join().expect("a status"))
        .collect();
    statuses.sort_unstable();
    assert_eq!((statuses[15], statuses[16]), (200, 503), "{statuses:?}");
}
