//! The two requests of API v1 that `docker search` still makes, and the root page.

use serde_json::{Value, json};

use super::{index, push};
use crate::support::{Client, Server};

fn found(client: &mut Client, query: &str) -> Vec<String> {
    let body = client.get(&format!("/v1/search?{query}")).json();
    let names: Vec<_> = body["results"]
        .as_array()
        .unwrap()
        .iter()
        .map(|one| one["name"].as_str().unwrap().to_owned())
        .collect();
    assert_eq!(body["num_results"], names.len());
    names
}

#[test]
fn repositories_are_found_by_a_part_of_their_name() {
    let server = Server::start();
    let mut client = server.client();
    for name in ["team/app", "team/db", "other/application", "x"] {
        push(&mut client, name, "v1", &index(&[]));
    }
    client.push_blob("app/without/manifest", b"x");
    assert_eq!(
        found(&mut client, "q=app"),
        ["other/application", "team/app"]
    );
    assert_eq!(found(&mut client, "q=team/"), ["team/app", "team/db"]);
    assert_eq!(found(&mut client, "q=team%2Fdb&n=25"), ["team/db"]);
    for query in [
        "q=%25",
        "q=_",
        "q=a%25p",
        "q='",
        "q=%27%20OR%201%3D1",
        "q=nothing",
        "q=%00",
    ] {
        assert!(found(&mut client, query).is_empty(), "{query}");
    }
    assert_eq!(found(&mut client, "").len(), 4);
    let pages: Vec<_> = (1..=3)
        .flat_map(|page| found(&mut client, &format!("q=&n=2&page={page}")))
        .collect();
    assert_eq!(pages, ["other/application", "team/app", "team/db", "x"]);
    for odd in [
        "q=x&n=0",
        "q=x&n=-1",
        "q=x&n=99999999999999999999",
        "q=x&page=0",
        "q=x&page=-1",
        "q=x&n=x&page=y",
    ] {
        assert_eq!(found(&mut client, odd), ["x"], "{odd}");
    }
    assert!(found(&mut client, "q=x&page=18446744073709551615&n=100").is_empty());
    let body: Value = client.get("/v1/search?q=db").json();
    let result = json!({ "name": "team/db", "description": "", "star_count": 0, "is_official": false, "is_automated": false, "is_trusted": false });
    assert_eq!(
        (&body["query"], &body["results"]),
        (&json!("db"), &json!([result]))
    );
}

#[test]
fn the_root_page_answers() {
    let server = Server::start();
    let mut client = server.client();
    for path in ["/v2/", "/v2", "/v2/?ns=docker.io"] {
        for method in ["GET", "HEAD"] {
            let response = client.request(method, path).send();
            assert_eq!(
                (response.status, response.header("content-length")),
                (200, Some("2")),
                "{method} {path}"
            );
            assert_eq!(response.header("content-type"), Some("application/json"));
            assert_eq!(
                response.header("docker-distribution-api-version"),
                Some("registry/2.0")
            );
        }
        assert_eq!(client.get(path).body, b"{}");
    }
    assert_eq!(client.get("/v1/_ping").status, 200);
    assert_eq!(client.get("/").status, 200);
    for method in ["POST", "PUT", "PATCH", "DELETE", "TRACE"] {
        for path in ["/", "/v1/_ping", "/v1/search"] {
            assert_eq!(
                client.request(method, path).send().status,
                405,
                "{method} {path}"
            );
        }
    }
    assert_eq!(client.get("/v1/anything").status, 404);
    assert_eq!(client.get("/index.html").status, 404);
}
