//! Tags that are pointed at images from elsewhere, as far as rights go.

use serde_json::json;

use super::openapi::check_answer;
use super::people::{guarded, push};
use crate::login::{Guarded, as_user, line};
use crate::support::Image;
use crate::support::client::Response;

fn send(guarded: &Guarded, who: &str, path: &str, source: &str) -> Response {
    let mut client = guarded.server.client();
    let request = client
        .request("POST", path)
        .header("Content-Type", "application/json");
    let body = json!({ "source": source }).to_string();
    as_user(request.body(body.as_bytes()), who, "secret").send()
}

#[test]
fn a_tag_is_pointed_at_an_image_that_the_client_may_pull() {
    let guarded = guarded();
    for (seed, name) in [(1, "team/app"), (2, "secret/app")] {
        push(&guarded, &Image::small(seed), name, "v1");
    }
    let path = "/api/v1/promotions/team/live/stable";
    let first = Image::small(1).digest();
    for (was, source) in [
        (json!(null), "team/app:v1"),
        (json!(first), &*format!("team/app@{first}")),
    ] {
        let answer = send(&guarded, "ann", path, source);
        assert_eq!(answer.status, 200, "{:?}", answer.json());
        let route = ("post", "/promotions/{name}/{tag}");
        check_answer(&guarded.server, route, &answer);
        assert_eq!(answer.json()["was"], was);
        assert_eq!(answer.json()["digest"], json!(first));
    }
    // ann may not pull there, and guest may push nowhere
    let hidden = send(&guarded, "ann", path, "secret/app:v1");
    let absent = send(&guarded, "ann", path, "secret/none:v1");
    assert_eq!((hidden.status, absent.status), (404, 404));
    assert_eq!(
        hidden.json().to_string().replace("secret/app", "NAME"),
        absent.json().to_string().replace("secret/none", "NAME")
    );
    assert_eq!(send(&guarded, "guest", path, "team/app:v1").status, 403);
    let told = guarded.server.cli(&["audit", "--who", "ann", "-ojson"]);
    let told = String::from_utf8_lossy(&told.stdout).into_owned();
    assert!(told.contains("\"stable\""), "{told}");
}

#[test]
fn only_what_is_cached_is_kept() {
    let guarded = guarded();
    push(&guarded, &Image::small(1), "team/app", "v1");
    let own = send(&guarded, "ann", "/api/v1/kept/team/live/v1", "team/app:v1");
    assert_eq!(own.status, 400);
    assert!(own.json().to_string().contains("is your own already"));
    let missing = send(&guarded, "ann", "/api/v1/kept/team/live/v1", "team/none:v1");
    assert_eq!(missing.status, 404);
}

/// A cache holds what its upstream has, and nothing else.
#[test]
fn nothing_is_put_into_a_cache() {
    let access = r#"{"rules": [{"repositories": "**", "who": "boss", "may": "admin"}]}"#;
    let upstream = r#"[{"prefix": "hub", "url": "http://127.0.0.1:9"}]"#;
    let environment = [
        ("REGISTRY_ACCESS", access),
        ("REGISTRY_UPSTREAMS", upstream),
    ];
    let guarded = Guarded::set_up(&line("boss", "secret"), &environment);
    push(&guarded, &Image::small(1), "own/app", "v1");
    for kind in ["promotions", "kept"] {
        let path = format!("/api/v1/{kind}/hub/library/redis/latest");
        let answer = send(&guarded, "boss", &path, "own/app:v1");
        assert_eq!(answer.status, 405, "{kind}: {:?}", answer.json());
    }
    let mut client = guarded.server.client();
    let form = client.request("POST", "/ui/kept");
    let form = form
        .header("Content-Type", "application/x-www-form-urlencoded")
        .header("Sec-Fetch-Site", "same-origin")
        .body(b"source=own/app:v1&target=hub/library/redis:latest");
    assert_eq!(as_user(form, "boss", "secret").send().status, 405);
    let found = guarded.server.cli(&["ls", "hub/library/redis"]);
    assert!(!found.status.success());
}
