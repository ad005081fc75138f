//! Bounds of the outbox, and the end of attempts.

use rusqlite::Connection;

use super::receiver::{Behaviour, Receiver};
use super::server;
use crate::support::{Image, Server, eventually};

fn database(server: &Server) -> Connection {
    Connection::open(server.directory().join("registry.db")).expect("a database")
}

fn number(connection: &Connection, sql: &str) -> i64 {
    let read = |row: &rusqlite::Row<'_>| row.get(0);
    connection.query_row(sql, [], read).expect("a row")
}

/// A month of failures or a flood drops the oldest events, and says so. Pulls push out pulls alone.
#[test]
fn a_full_outbox_drops_the_oldest() {
    let receiver = Receiver::with(|_, _| Behaviour::Refuse);
    let mut server = server(&format!(
        "[{{name: all, url: '{}', events: [push, pull]}}]",
        receiver.url()
    ));
    server.stop();
    let flood = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 123000)
        INSERT INTO events (uuid, at, kind, repository, tag)
        SELECT 'u' || i, (SELECT unixepoch() * 1000) - CASE WHEN i <= 500 THEN 31 ELSE 0 END * 86400000,
            CASE WHEN i > 101000 THEN 'manifest-pull' ELSE 'tag-move' END, 'app', 'v' || i FROM n;
        UPDATE endpoints SET last_event = 123000;
        INSERT INTO queues VALUES ('all', 'app', 1, unixepoch() * 1000 + 3600000, 3, 0, '[]')";
    database(&server).execute_batch(flood).expect("rows");
    server.restart();
    let connection = database(&server);
    let pulls = "SELECT count(*) FROM events WHERE kind = 'manifest-pull'";
    let pushes = "SELECT count(*) FROM events WHERE kind = 'tag-move'";
    eventually("it is within its bounds", || {
        server.log().contains("the oldest events are dropped")
            && (number(&connection, pulls), number(&connection, pushes)) == (20_000, 100_000)
    });
    let ends = "SELECT min(id) * 1000000 + max(id) FROM events";
    assert_eq!(number(&connection, ends), 1001 * 1_000_000 + 123_000);
    let log = server.log();
    let lost = log.lines().filter_map(|line| {
        let (_, rest) = line
            .split_once("deliveries=")
            .filter(|_| line.contains("oldest events are dropped"))?;
        rest.split_whitespace().next()?.parse::<u64>().ok()
    });
    assert_eq!(lost.sum::<u64>(), 3000, "{log}");
}

/// Of what everybody was told the newest 10,000 stay, and all that was given up, for it can be sent again.
#[test]
fn events_that_everybody_was_told_of_go() {
    let receiver = Receiver::start();
    let mut server = server(&format!("[{{name: all, url: '{}'}}]", receiver.url()));
    server.stop();
    let told = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 12000)
        INSERT INTO events (uuid, at, kind, repository, tag)
        SELECT 'u' || i, unixepoch() * 1000, 'tag-move', 'app', 'v' || i FROM n;
        INSERT INTO attempts SELECT 'all', id, CASE id WHEN 5 THEN 2 ELSE 1 END, 1, 0, 0, 0, 200, 1, '' FROM events;
        UPDATE endpoints SET last_event = 12000";
    database(&server).execute_batch(told).expect("rows");
    server.restart();
    let connection = database(&server);
    let (events, attempts) = (
        "SELECT count(*) FROM events",
        "SELECT count(*) FROM attempts",
    );
    eventually("they are gone", || {
        (number(&connection, events), number(&connection, attempts)) == (10_001, 10_001)
    });
    let ends = "SELECT min(id) * 1000000 + (SELECT min(id) FROM events WHERE id > 5) FROM events";
    assert_eq!(number(&connection, ends), 5 * 1_000_000 + 2001);
    assert!(receiver.taken().is_empty(), "{:?}", receiver.taken());
    assert!(!server.log().contains("oldest events are dropped"));
}

/// However old it is, the newest event stays: numbers go on, and endpoints know by them what they were told.
#[test]
fn the_newest_event_stays() {
    let receiver = Receiver::start();
    let mut server = server(&format!("[{{name: all, url: '{}'}}]", receiver.url()));
    server.stop();
    let old = "INSERT INTO events (uuid, at, kind, repository, tag)
        SELECT value, (unixepoch() - 31 * 86400) * 1000, 'tag-move', 'app', 'v' FROM json_each('[1, 2, 3]');
        UPDATE endpoints SET last_event = 3";
    database(&server).execute_batch(old).expect("rows");
    server.restart();
    let connection = database(&server);
    eventually("the others are gone", || {
        number(&connection, "SELECT count(*) FROM events") <= 1
    });
    Image::small(1).push(&mut server.client(), "app", "v1");
    eventually("the next one arrives", || !receiver.taken().is_empty());
    assert_eq!(receiver.taken()[0].json()["data"]["tag"], "v1");
}

/// An event that was refused for three days is a dead letter, those after it are delivered, and a server that was down
/// for a week tries for three days all the same.
#[test]
fn after_three_days_of_attempts_an_event_is_a_dead_letter() {
    let receiver =
        Receiver::with(
            |_, body| match String::from_utf8_lossy(body).contains("\"bad\"") {
                true => Behaviour::Refuse,
                false => Behaviour::Take,
            },
        );
    let mut server = server(&format!("[{{name: all, url: '{}'}}]", receiver.url()));
    let client = &mut server.client();
    Image::small(1).push(client, "app", "bad");
    Image::small(2).push(client, "app", "good");
    let connection = database(&server);
    let bad = || {
        let sql = "SELECT state, attempts FROM attempts ORDER BY event_id LIMIT 1";
        let read = |row: &rusqlite::Row<'_>| Ok((row.get::<_, i64>(0)?, row.get::<_, i64>(1)?));
        connection.query_row(sql, [], read).unwrap_or_default()
    };
    let mut tried_for = |hours: i64, days: i64| {
        server.stop();
        let sql = "UPDATE queues SET waited = ?1 * 3600000, due_at = 0";
        connection.execute(sql, [hours]).expect("rows");
        connection
            .execute("UPDATE events SET at = at - ?1 * 86400000", [days])
            .expect("rows");
        let attempts = bad().1;
        server.restart();
        eventually("it is tried again", || bad().1 > attempts);
        bad().0
    };
    eventually("it is refused", || receiver.arrived() > 0);
    assert_eq!(tried_for(73, 0), 0, "others failed for long, and it is new");
    assert_eq!(tried_for(0, 7), 0, "it is a week old, and was tried once");
    assert_eq!(tried_for(71, 0), 0, "it still waits");
    assert!(receiver.taken().is_empty(), "{:?}", receiver.taken());
    assert_eq!(tried_for(73, 0), 2, "it is dead");
    eventually("the next event arrives", || !receiver.taken().is_empty());
    assert_eq!(receiver.taken()[0].json()["data"]["tag"], "good");
    let log = server.log();
    assert!(log.contains("is not tried any more"), "{log}");
    // by hand it is sent again, outside the order
    let event = number(&connection, "SELECT min(event_id) FROM attempts").to_string();
    let (before, arrived) = (bad().1, receiver.arrived());
    let resent = server.cli(&["webhook", "resend", "all", &event]);
    assert!(resent.status.success(), "{resent:?}");
    eventually("it is sent again", || receiver.arrived() > arrived);
    assert!(before > 3, "{before} attempts");
}
