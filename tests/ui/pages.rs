//! Every page: its headers, its links, and what browsers may run of it.

use std::collections::BTreeSet;

use regex::Regex;

use super::text;
use crate::support::client::Response;
use crate::support::{Image, Server};

/// Returns the addresses that a page links to or loads.
fn links(page: &str) -> Vec<String> {
    let link = Regex::new(r##"(?:href|src|action)="([^"#]*)"##).expect("an expression");
    let found = link.captures_iter(page);
    let found = found.map(|found| found[1].replace("&#38;", "&"));
    found.filter(|link| !link.is_empty()).collect()
}

/// Returns the path that a link on a page leads to, as a browser resolves it.
fn resolved(page: &str, link: &str) -> String {
    let (link, query) = link.split_once('?').unwrap_or((link, ""));
    let folder = &page[..=page
        .split('?')
        .next()
        .expect("a path")
        .rfind('/')
        .expect("a slash")];
    let mut path: Vec<&str> = folder.trim_matches('/').split('/').collect();
    path.retain(|part| !part.is_empty());
    for part in link.split('/') {
        match part {
            "." | "" => {}
            ".." => drop(path.pop().expect("a folder above")),
            part => path.push(part),
        }
    }
    let end = if link.ends_with('/') { "/" } else { "" };
    let mark = if query.is_empty() { "" } else { "?" };
    format!("/{}{end}{mark}{query}", path.join("/"))
}

/// Pages and files that links lead to from a first page, with the answer of each.
fn crawled(server: &Server, first: &str) -> Vec<(String, Response)> {
    let mut client = server.client();
    let (mut open, mut known) = (vec![first.to_owned()], BTreeSet::new());
    let mut found = Vec::new();
    while let Some(path) = open.pop() {
        if !known.insert(path.clone()) {
            continue;
        }
        assert!(known.len() < 3000, "{path}");
        let answer = client.get(&path);
        if answer.header("content-type") == Some("text/html; charset=utf-8") {
            let links = links(&text(&answer)).into_iter();
            let links = links.filter(|link| !link.contains("://"));
            open.extend(links.map(|link| resolved(&path, &link)));
        }
        found.push((path, answer));
    }
    found
}

/// A store with something on every page.
fn filled(environment: &[(&str, &str)]) -> Server {
    let server = Server::with(environment);
    let prefix = environment
        .iter()
        .find(|(key, _)| *key == "REGISTRY_HTTP_PREFIX");
    let prefix = prefix.map_or("", |(_, prefix)| prefix.trim_end_matches('/'));
    let mut client = server.client();
    for name in ["web/api", "web/shop", "tools", "deep/er/and/deeper"] {
        for (number, tag) in [(1, "v1"), (2, "v2"), (2, "pr-7"), (3, "v1")] {
            let image = Image::small(number);
            for blob in image.layers.iter().chain([&image.config]) {
                let digest = crate::support::sha256(blob);
                let path = format!("{prefix}/v2/{name}/blobs/uploads/?digest={digest}");
                assert_eq!(client.request("POST", &path).body(blob).send().status, 201);
            }
            let path = format!("{prefix}/v2/{name}/manifests/{tag}");
            let put = client.request("PUT", &path);
            let put = put.header("Content-Type", crate::support::OCI_MANIFEST);
            assert_eq!(put.body(&image.manifest).send().status, 201);
        }
    }
    server
}

#[test]
fn every_link_of_every_page_leads_somewhere() {
    for environment in [&[][..], &[("REGISTRY_HTTP_PREFIX", "/be/low/")]] {
        let server = filled(environment);
        let first = match environment {
            [] => "/ui/",
            _ => "/be/low/ui/",
        };
        let found = crawled(&server, first);
        for (path, answer) in &found {
            assert_eq!(answer.status, 200, "{path}");
        }
        for folder in [
            "repositories/web/api",
            "untagged/tools",
            "trash/deep/er/and/deeper",
            "images/web/shop/v1",
            "images/tools/sha256:",
            "delete/tools/sha256:",
            "compare",
            "policies/web/api",
            "policies?at=",
            "usage",
            "activity",
            "tokens",
            "upstreams",
            "webhooks",
        ] {
            let has = |path: &str| path.contains(&format!("/ui/{folder}"));
            assert!(found.iter().any(|(path, _)| has(path)), "{folder}");
        }
        assert!(
            found
                .iter()
                .any(|(path, _)| path.contains("/api/v1/repositories"))
        );
    }
}

/// The policy of the pages forbids what is written into them, so that nothing may be.
#[test]
fn nothing_is_styled_or_run_inline() {
    let server = filled(&[]);
    let inline =
        Regex::new(r#"(?i)<style|<script(?: [^>]*)?>[^<]|\sstyle=|\son[a-z]+=|javascript:|hx-on"#);
    let inline = inline.expect("an expression");
    let mut client = server.client();
    for (path, answer) in crawled(&server, "/ui/") {
        if !path.starts_with("/ui/") {
            continue;
        }
        let policy = answer.header("content-security-policy").expect("a policy");
        assert!(
            policy.starts_with("default-src 'none'; script-src 'self'"),
            "{policy}"
        );
        assert!(!policy.contains("unsafe"), "{policy}");
        assert!(policy.contains("frame-ancestors 'none'"), "{policy}");
        assert_eq!(answer.header("x-content-type-options"), Some("nosniff"));
        assert_eq!(answer.header("referrer-policy"), Some("same-origin"));
        let head = client.head(&path);
        assert_eq!((head.status, head.body.len()), (200, 0), "{path}");
        if answer.header("content-type") == Some("text/html; charset=utf-8") {
            let page = text(&answer);
            assert!(!inline.is_match(&page), "{path}: {:?}", inline.find(&page));
            assert!(page.contains("/api/v1/"), "{path} names no twin");
            assert_eq!(answer.header("cache-control"), Some("private, no-cache"));
        } else {
            assert!(
                answer
                    .header("cache-control")
                    .expect("a header")
                    .contains("immutable")
            );
        }
    }
}

#[test]
fn what_a_browser_has_is_not_sent_again() {
    let server = filled(&[]);
    let mut client = server.client();
    let page = text(&client.get("/ui/"));
    for link in links(&page).iter().filter(|link| link.contains("assets/")) {
        let path = resolved("/ui/", link);
        let tag = client.get(&path).header("etag").expect("a tag").to_owned();
        let again = client.request("GET", &path).header("If-None-Match", &tag);
        assert_eq!(again.send().status, 304, "{path}");
    }
    assert_eq!(client.get("/ui/assets/style.css").status, 404);
}

#[test]
fn browsers_are_led_to_the_page_and_nobody_else() {
    let server = Server::with(&[("REGISTRY_HTTP_PREFIX", "/below/")]);
    let mut client = server.client();
    for path in ["/", "/below/"] {
        let accepted = "text/html,application/xhtml+xml;q=0.9,*/*;q=0.8";
        let led = client
            .request("GET", path)
            .header("Accept", accepted)
            .send();
        assert_eq!(
            (led.status, led.header("location")),
            (303, Some("/below/ui/"))
        );
        let other = client.request("GET", path).header("Accept", "*/*").send();
        assert_eq!((other.status, other.body.len()), (200, 0));
    }
    let bare = client.get("/below/ui");
    assert_eq!(
        (bare.status, bare.header("location")),
        (303, Some("/below/ui/"))
    );
}

#[test]
fn a_page_that_is_switched_off_is_not_there() {
    let server = Server::with(&[("REGISTRY_UI_ENABLED", "false")]);
    let mut client = server.client();
    for path in ["/ui/", "/ui", "/ui/assets/x", "/ui/none"] {
        let answer = client.get(path);
        assert_eq!(
            (answer.status, answer.error_code()),
            (404, "UNSUPPORTED".into()),
            "{path}"
        );
    }
    let root = client
        .request("GET", "/")
        .header("Accept", "text/html")
        .send();
    assert_eq!(root.status, 200);
}

#[test]
fn errors_are_pages() {
    let server = Server::start();
    let mut client = server.client();
    for (method, path, status, words) in [
        ("GET", "/ui/none", 404, "There is nothing here"),
        ("POST", "/ui/", 405, "This cannot be done here"),
        ("GET", "/ui/?sort=unknown", 400, "This address is malformed"),
    ] {
        let answer = client.request(method, path).send();
        assert_eq!(answer.status, status, "{path}");
        let page = text(&answer);
        assert!(page.contains(words), "{page}");
        assert_eq!(answer.header("www-authenticate"), None);
        assert!(answer.header("content-security-policy").is_some());
    }
    assert_eq!(
        client.request("POST", "/ui/").send().header("allow"),
        Some("GET, HEAD")
    );
}
