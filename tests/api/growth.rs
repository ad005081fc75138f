//! Growth by day: recorded by the first collection of a day, bounded, and told as far as a client may see.

use rusqlite::Connection;
use serde_json::Value;

use super::people::{ask, guarded, push};
use super::{answered, printed};
use crate::support::{Image, Server, eventually};

/// Changes the rows of days, as time that passes would.
fn shift(server: &Server, sql: &str) {
    let database = Connection::open(server.directory().join("registry.db")).expect("a database");
    let wait = std::time::Duration::from_secs(60);
    database.busy_timeout(wait).expect("a timeout");
    database.execute_batch(sql).expect("a change");
}

fn rows(server: &Server) -> Vec<(i64, String, Option<i64>)> {
    let database = Connection::open(server.directory().join("registry.db")).expect("a database");
    let mut rows = database
        .prepare("SELECT day - (SELECT max(day) FROM days), repository, size FROM days ORDER BY day, repository")
        .expect("a query");
    let rows = rows.query_map([], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)));
    rows.expect("rows").map(|row| row.expect("a row")).collect()
}

fn last(growth: &Value) -> Value {
    let days = growth["days"].as_array().expect("a list");
    days.last().expect("a day").clone()
}

#[test]
fn days_tell_sizes_pushes_and_pulls() {
    let server = Server::with(&[("REGISTRY_GC_ENABLED", "false")]);
    let mut client = server.client();
    Image::small(1).push(&mut client, "web/api", "v1");
    Image::small(2).push(&mut client, "tools", "v1");
    let before = answered(&server, "/api/v1/growth?days=7");
    assert_eq!(before["days"].as_array().map(Vec::len), Some(7));
    assert_eq!(last(&before)["size"], Value::Null);
    assert_eq!(last(&before)["pushCount"], 2);
    for _ in 0..3 {
        assert_eq!(client.get("/v2/web/api/manifests/v1").status, 200);
    }
    eventually("pulls are counted", || {
        last(&answered(&server, "/api/v1/growth"))["pullCount"] == 3
    });
    printed(&server, &["gc"]);
    let recorded = rows(&server);
    // a second collection of the day records nothing
    Image::small(3).push(&mut client, "web/api", "v2");
    printed(&server, &["gc"]);
    assert_eq!(rows(&server), recorded);
    shift(&server, "UPDATE days SET day = day - 3");
    printed(&server, &["gc"]);
    let growth = answered(&server, "/api/v1/growth?days=7");
    let days = growth["days"].as_array().expect("a list");
    let sizes: Vec<_> = days.iter().map(|day| day["size"].as_u64()).collect();
    assert_eq!((sizes[2], sizes[3]), (None, sizes[5]));
    assert!(sizes[3].is_some() && sizes[3] < sizes[6], "{sizes:?}");
    let counts = |key: &str| days.iter().map(|day| day[key].as_u64()).collect::<Vec<_>>();
    assert_eq!(counts("pullCount")[3], Some(3));
    assert_eq!(
        (counts("pushCount")[3], counts("pushCount")[6]),
        (Some(2), Some(1))
    );
    let grown = &growth["repositories"][0];
    assert_eq!(
        (&grown["repository"], &grown["pullCount"]),
        (&Value::from("web/api"), &Value::from(3))
    );
    let of_one = answered(&server, "/api/v1/growth?days=7&repositories=tools");
    assert_eq!(of_one["repositories"].as_array().map(Vec::len), Some(1));
    assert_eq!(last(&of_one)["size"], of_one["repositories"][0]["size"]);
    let command = printed(&server, &["growth", "--days", "7"]);
    assert_eq!(command, answered(&server, "/api/v1/growth?days=7"));
}

#[test]
fn days_are_forgotten_but_for_the_last_size() {
    let server = Server::with(&[
        ("REGISTRY_GC_ENABLED", "false"),
        ("REGISTRY_STORAGE_DELETE_ENABLED", "true"),
    ]);
    let mut client = server.client();
    Image::small(1).push(&mut client, "stays", "v1");
    Image::small(2).push(&mut client, "goes", "v1");
    for distance in [50, 100, 300] {
        printed(&server, &["gc"]);
        shift(&server, &format!("UPDATE days SET day = day - {distance}"));
    }
    printed(&server, &["gc"]);
    let kept = rows(&server);
    let of = |name: &str| {
        let own = kept.iter().filter(|(_, repository, _)| repository == name);
        own.map(|(day, ..)| *day).collect::<Vec<_>>()
    };
    // sizes that stay the same have one row
    assert_eq!((of("stays"), of("")), (vec![-450], vec![-400, -300, 0]));
    assert_eq!(client.delete("/v2/goes/").status, 202);
    shift(&server, "UPDATE days SET day = day - 200");
    printed(&server, &["gc"]);
    shift(&server, "UPDATE days SET day = day - 200");
    printed(&server, &["gc"]);
    assert!(!rows(&server).iter().any(|(_, name, _)| name == "goes"));
}

#[test]
fn sums_are_of_what_a_client_may_see() {
    let guarded = guarded();
    for (seed, name) in [(1, "public/app"), (2, "secret/app"), (3, "secret/other")] {
        push(&guarded, &Image::small(seed), name, "v1");
    }
    for (who, pushes) in [("boss", 3), ("ann", 1), ("guest", 3)] {
        let growth = ask(&guarded, who, "GET", "/api/v1/growth", b"").json();
        assert_eq!(last(&growth)["pushCount"], pushes, "{who}");
        let names = growth["repositories"].to_string();
        assert_eq!(names.contains("secret"), pushes == 3, "{names}");
    }
}
