//! Events for clients that ask for them: each sees those of the repositories that it may read.

use std::collections::BTreeSet;

use serde_json::Value;

use super::access::{REPOSITORIES, WHO, fill, guarded, rights, send};
use super::token_service::{ask, bearer, with};
use crate::support::client::Response;

const ALL: &str = "/v2/_events?since=0&wait=0&n=1000";

fn events(response: &Response) -> Vec<Value> {
    assert_eq!(response.status, 200, "{}", response.json());
    response.json()["events"]
        .as_array()
        .expect("a list")
        .clone()
}

fn repositories(response: &Response) -> BTreeSet<String> {
    let events = events(response);
    let names = events.iter().map(|event| event["repository"].as_str());
    names.map(|name| name.expect("a name").to_owned()).collect()
}

#[test]
fn each_client_sees_the_events_of_what_it_may_pull() {
    let guarded = guarded();
    let mut client = guarded.client();
    let existing = &REPOSITORIES[..5];
    for repository in existing {
        fill(&mut client, repository);
    }
    for who in WHO {
        let expected: BTreeSet<_> = existing
            .iter()
            .filter(|repository| rights(who, repository).contains('p'))
            .map(|&repository| repository.to_owned())
            .collect();
        let response = send(&mut client, who, "GET", ALL, b"");
        assert_eq!(repositories(&response), expected, "{who:?}");
        // nobody without a login learns names of users
        let by = if who.is_some() {
            "boss".into()
        } else {
            Value::Null
        };
        assert!(
            events(&response).iter().all(|event| event["who"] == by),
            "{who:?}"
        );
        // what it may not see neither fills its pages nor wakes it
        let page = "/v2/_events?since=0&wait=0&n=1";
        assert_eq!(
            events(&send(&mut client, who, "GET", page, b"")).len(),
            1,
            "{who:?}"
        );
    }
    let last = send(&mut client, None, "GET", "/v2/_events", b"").json()["last"].to_string();
    fill(&mut client, "secret/more");
    let path = format!("/v2/_events?since={last}&wait=1");
    let response = send(&mut client, Some("rita"), "GET", &path, b"");
    assert!(events(&response).is_empty(), "{}", response.json());
}

/// A token that lists access limits its bearer to that, though it may list the names of all repositories.
#[test]
fn a_token_shows_the_events_within_its_access() {
    let guarded = guarded();
    let mut client = guarded.client();
    for repository in ["team/app", "team/other", "public/app"] {
        fill(&mut client, repository);
    }
    for (scopes, expected) in [
        ("&scope=registry:catalog:*", &[][..]),
        (
            "&scope=registry:catalog:*&scope=repository:team/app:pull",
            &["team/app"],
        ),
        (
            "&scope=registry:catalog:*&scope=repository:secret/app:pull",
            &[],
        ),
    ] {
        let token = bearer(&ask(&guarded, Some(("rita", "secret")), scopes));
        let seen = repositories(&with(&guarded, &token, "GET", ALL));
        assert_eq!(
            seen,
            expected.iter().map(|&name| name.to_owned()).collect(),
            "{scopes}"
        );
    }
    let without = bearer(&ask(
        &guarded,
        Some(("rita", "secret")),
        "&scope=repository:team/app:pull",
    ));
    assert_eq!(with(&guarded, &without, "GET", ALL).status, 401);
}
