//! Lists of tags and of repositories, page by page, against a model of them.

use std::cell::RefCell;
use std::collections::BTreeSet;

use proptest::prelude::*;
use serde_json::json;

use super::{check, digest_of, image, next_page, pages, push, put, texts};
use crate::support::Server;

/// The expected page of at most `n` of these names after `last`.
fn model(names: &BTreeSet<String>, last: &str, n: Option<usize>) -> Vec<String> {
    names
        .iter()
        .filter(|name| name.as_str() > last)
        .take(n.unwrap_or(usize::MAX))
        .cloned()
        .collect()
}

/// Checks pages of the list at `path`, whose member `key` must hold `names`, for any `n` and `last`.
fn check_pages(server: &Server, path: &str, key: &str, names: &BTreeSet<String>) {
    let client = RefCell::new(server.client());
    let known: Vec<_> = names.iter().cloned().collect();
    let last = prop_oneof![
        Just(String::new()),
        prop::sample::select(known),
        "[a-zA-Z0-9_./ %&+-]{1,9}"
    ];
    check(60, &(prop::option::of(0_usize..60), last), |(n, last)| {
        let mut client = client.borrow_mut();
        let mut query = form_urlencoded::Serializer::new(String::new());
        query.append_pair("last", &last);
        if let Some(n) = n {
            query.append_pair("n", &n.to_string());
        }
        let first = format!("{path}?{}", query.finish());
        let expected = model(names, &last, n);
        let page = client.get(&first);
        assert_eq!(texts(&page.json()[key]), expected, "{first}");
        let goes_on = expected
            .last()
            .is_some_and(|end| !model(names, end, None).is_empty());
        assert_eq!(next_page(&page).is_some(), goes_on, "{first}");
        if n != Some(0) {
            let all: Vec<_> = pages(&mut client, &first)
                .iter()
                .flat_map(|page| texts(&page.json()[key]))
                .collect();
            assert_eq!(
                all,
                model(names, &last, None),
                "{first}, followed to the end"
            );
        }
    });
}

#[test]
fn pages_of_tags_are_those_of_the_model() {
    let server = Server::start();
    let mut client = server.client();
    client.push_blob("some/tags", b"{}");
    let manifest = image(b"{}", &[]);
    let names: BTreeSet<String> = (0..40_u32)
        .map(|number| {
            format!(
                "{}{}",
                ["v", "V", "_", "9.", "a-b.", "Z__"][number as usize % 6],
                number * 7919 % 97
            )
        })
        .collect();
    let query = names
        .iter()
        .map(|name| format!("tag={name}"))
        .collect::<Vec<_>>()
        .join("&");
    assert_eq!(
        put(
            &mut client,
            "some/tags",
            &format!("{}?{query}", digest_of(&manifest)),
            &manifest
        )
        .status,
        201
    );
    push(&mut client, "some/tags2", "other", &super::index(&[]));
    assert_eq!(
        client.get("/v2/some/tags/tags/list").json()["name"],
        "some/tags"
    );
    check_pages(&server, "/v2/some/tags/tags/list", "tags", &names);
}

#[test]
fn pages_of_repositories_are_those_of_the_model() {
    let server = Server::start();
    let mut client = server.client();
    let names: BTreeSet<String> = (0..30_u32)
        .map(|number| {
            format!(
                "{}{}",
                ["team/app", "team-", "team", "a/b/c", "0.x/"][number as usize % 5],
                number
            )
        })
        .collect();
    for name in &names {
        push(&mut client, name, "v1", &super::index(&[]));
    }
    // empty repositories are not listed, even with open uploads
    client.push_blob("only/blobs", b"x");
    client.begin_upload("only/uploads");
    check_pages(&server, "/v2/_catalog", "repositories", &names);
}

#[test]
fn the_size_of_a_page_is_clamped_and_never_refused_for_being_large() {
    let server = Server::start();
    let mut client = server.client();
    let manifest = super::index(&[]);
    let names: BTreeSet<_> = (0..10_001).map(|number| format!("t{number:05}")).collect();
    for chunk in names.iter().collect::<Vec<_>>().chunks(100) {
        let query = chunk
            .iter()
            .map(|name| format!("tag={name}"))
            .collect::<Vec<_>>()
            .join("&");
        assert_eq!(
            put(
                &mut client,
                "many",
                &format!("{}?{query}", digest_of(&manifest)),
                &manifest
            )
            .status,
            201
        );
    }
    for n in [
        "10000",
        "10001",
        "100000",
        "18446744073709551615",
        "99999999999999999999999999",
    ] {
        let found = pages(&mut client, &format!("/v2/many/tags/list?n={n}"));
        let all: Vec<_> = found
            .iter()
            .flat_map(|page| texts(&page.json()["tags"]))
            .collect();
        assert!(all.iter().eq(&names), "n={n}");
        assert_eq!(found.len(), 2);
    }
    let unasked = pages(&mut client, "/v2/many/tags/list");
    assert_eq!(
        unasked
            .iter()
            .map(|page| texts(&page.json()["tags"]).len())
            .sum::<usize>(),
        10_001
    );
}

#[test]
fn invalid_page_sizes_are_refused() {
    let server = Server::start();
    let mut client = server.client();
    push(&mut client, "a", "v1", &super::index(&[]));
    for path in ["/v2/_catalog", "/v2/a/tags/list"] {
        for n in ["-1", "abc", "1.5", "0x10", "1e3", "%201", "%EF%BC%91"] {
            client
                .get(&format!("{path}?n={n}"))
                .refused(400, "PAGINATION_NUMBER_INVALID");
        }
        let none = client.get(&format!("{path}?n=0"));
        assert_eq!((none.status, none.header("link")), (200, None));
        for n in ["01", ""] {
            assert_eq!(client.get(&format!("{path}?n={n}")).status, 200);
        }
        assert_eq!(client.head(path).status, 200);
    }
    assert_eq!(
        client.get("/v2/a/tags/list?n=0").json(),
        json!({ "name": "a", "tags": [] })
    );
}

#[test]
fn tags_of_an_unknown_repository() {
    let server = Server::start();
    let mut client = server.client();
    client.push_blob("blobs", b"x");
    for name in ["unknown", "blobs", "un/known"] {
        let refusal = client.get(&format!("/v2/{name}/tags/list"));
        refusal.refused(404, "NAME_UNKNOWN");
        assert_eq!(refusal.json()["errors"][0]["detail"]["name"], name);
    }
    assert_eq!(
        client.get("/v2/_catalog").json(),
        json!({ "repositories": [] })
    );
}
