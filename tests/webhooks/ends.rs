//! Ends and beginnings: of servers, of settings, of endpoints.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use super::receiver::{Behaviour, Receiver};
use super::server;
use crate::support::{Image, Server, eventually};

/// Tags of the CloudEvents that were taken.
fn tags(receiver: &Receiver) -> Vec<String> {
    let taken = receiver.taken();
    let tags = taken
        .iter()
        .map(|taken| taken.json()["data"]["tag"].clone());
    tags.filter_map(|tag| tag.as_str().map(str::to_owned))
        .collect()
}

/// What has no answer yet is not recorded as told, whatever is committed meanwhile.
#[test]
fn an_attempt_that_a_crash_cuts_off_is_made_again() {
    let receiver = Receiver::with(|number, _| match number {
        0 => Behaviour::Hang,
        _ => Behaviour::Take,
    });
    let mut server = server(&format!("[{{name: all, url: '{}'}}]", receiver.url()));
    Image::small(1).push(&mut server.client(), "app", "v1");
    eventually("it is sent", || receiver.arrived() == 1);
    Image::small(2).push(&mut server.client(), "other", "v2");
    eventually("another repository's is taken", || {
        tags(&receiver) == ["v2"]
    });
    let database = rusqlite::Connection::open(server.directory().join("registry.db"));
    let database = database.expect("a database");
    eventually("that is recorded", || {
        let sql = "SELECT count(*) FROM attempts WHERE state = 1";
        database.query_row(sql, [], |row| row.get::<_, i64>(0)) == Ok(1)
    });
    server.kill();
    server.restart();
    eventually("it is sent again", || {
        tags(&receiver).contains(&"v1".to_owned())
    });
}

/// The courier is woken by a commit: it does not wait for the look at the database that it takes each second.
#[test]
fn events_are_sent_promptly() {
    let receiver = Receiver::start();
    let server = server(&format!("[{{name: all, url: '{}'}}]", receiver.url()));
    let client = &mut server.client();
    let begun = Instant::now();
    for number in 0..10 {
        Image::small(1).push(client, "app", &format!("v{number}"));
        eventually("it arrives", || receiver.taken().len() > number);
    }
    let took = begun.elapsed();
    assert!(took < Duration::from_secs(6), "{took:?} for ten events");
}

/// A reload that changes nothing about an endpoint cuts no attempt off, and a stop waits for it.
#[test]
fn an_attempt_under_way_ends_and_is_recorded() {
    let receiver = Receiver::with(|_, _| Behaviour::Slow(1500));
    let mut server = server(&format!(
        "[{{name: all, url: '{}', format: distribution}}]",
        receiver.url()
    ));
    Image::small(1).push(&mut server.client(), "app", "v1");
    eventually("it is sent", || receiver.arrived() == 1);
    server.hang_up();
    eventually("the configuration is reloaded", || {
        server.log().contains("configuration reloaded")
    });
    server.stop();
    assert_eq!(receiver.taken().len(), 1, "the answer was not waited for");
    assert_eq!(receiver.arrived(), 1, "the reload cut it off");
    server.restart();
    Image::small(2).push(&mut server.client(), "app", "v2");
    eventually("the next one arrives", || receiver.taken().len() == 2);
    let tags: Vec<_> = receiver
        .taken()
        .iter()
        .map(|taken| {
            taken.json()["events"][0]["target"]["tag"]
                .as_str()
                .map(str::to_owned)
        })
        .collect();
    assert_eq!(tags, [Some("v1".to_owned()), Some("v2".to_owned())]);
}

/// A server with other webhooks beside the one that delivers changes nothing; an endpoint that was taken away and comes back
/// is told of what happens from then on.
#[test]
fn other_endpoints_wait_for_their_server_and_returning_ones_begin_anew() {
    let refuses = Arc::new(AtomicBool::new(false));
    let is_refused = Arc::clone(&refuses);
    let first = Receiver::with(move |_, _| match is_refused.load(Ordering::SeqCst) {
        true => Behaviour::Refuse,
        false => Behaviour::Take,
    });
    let second = Receiver::start();
    let webhooks = |name: &str, url: &str| format!("[{{name: {name}, url: '{url}'}}]");
    let (ours, theirs) = (webhooks("a", &first.url()), webhooks("b", &second.url()));
    let mut server = Server::with(&[("REGISTRY_WEBHOOKS", &ours)]);
    let other = Server::at(server.directory(), &[("REGISTRY_WEBHOOKS", &theirs)]);
    eventually("the other one knows", || {
        other
            .log()
            .contains("another server of the data directory delivers events")
    });
    Image::small(1).push(&mut server.client(), "app", "v1");
    eventually("the first one delivers", || first.taken().len() == 1);
    refuses.store(true, Ordering::SeqCst);
    Image::small(2).push(&mut server.client(), "app", "v2");
    eventually("it is refused", || first.arrived() >= 2);
    server.stop();
    eventually("the other one takes over", || {
        other.log().contains("what waited for it is dropped")
    });
    Image::small(3).push(&mut other.client(), "app", "v3");
    eventually("it delivers to its own", || second.taken().len() == 1);
    assert_eq!(second.taken()[0].json()["data"]["tag"], "v3");
    refuses.store(false, Ordering::SeqCst);
    drop(other);
    server.restart();
    eventually("the first one takes over", || {
        server.log().contains("what waited for it is dropped")
    });
    Image::small(4).push(&mut server.client(), "app", "v4");
    eventually("it is told of the news", || {
        tags(&first).last().is_some_and(|tag| tag == "v4")
    });
    assert_eq!(tags(&first), ["v1", "v4"], "of nothing else");
    assert_eq!(tags(&second), ["v3"]);
}
