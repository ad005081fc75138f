//! Deleting and undoing by forms, as everybody.

use std::io::{Read, Write};

use serde_json::json;

use super::sessions::{OWN, form, guarded, logged_in, text, with_cookie};
use crate::support::{Image, Server};

const DELETION: (&str, &str) = ("REGISTRY_STORAGE_DELETE_ENABLED", "true");

/// Body of the form that showed an image.
fn seen(seed: u64) -> String {
    format!("digest={}", Image::small(seed).digest())
}

/// A tag that was moved since the preview is another image, whose deletion nobody looked at.
#[test]
fn a_tag_that_moved_since_the_preview_is_not_deleted() {
    let server = Server::with(&[DELETION]);
    let mut client = server.client();
    Image::small(1).push(&mut client, "app", "v1");
    let path = "/ui/delete/app/v1";
    let page = text(&client.get(path));
    let field = format!("name=\"digest\" value=\"{}\"", Image::small(1).digest());
    assert!(page.contains(&field), "{page}");
    Image::small(2).push(&mut client, "app", "v1");
    let refused = form(&server, path, &seen(1), &[OWN]);
    let page = text(&refused);
    assert_eq!(refused.status, 409, "{page}");
    assert!(page.contains("Nothing was deleted") && page.contains(&Image::small(2).digest()));
    assert_eq!(client.get("/v2/app/manifests/v1").status, 200);
    assert_eq!(form(&server, path, "", &[OWN]).status, 400);
    let done = form(&server, path, &seen(2), &[OWN]);
    assert_eq!(done.status, 200, "{}", text(&done));
    assert!(text(&done).contains("trash?repository=app"));
    assert_eq!(client.get("/v2/app/manifests/v1").status, 404);
}

#[test]
fn whoever_may_delete_sees_what_goes_and_undoes_it() {
    let guarded = guarded(&[DELETION]);
    let server = &guarded.server;
    let path = "/ui/delete/secret/app/v1";
    let pulls = || {
        let cookie = logged_in(server, "ann", "secret");
        text(&with_cookie(server, "/ui/?view=flat", &cookie)).contains("secret")
    };
    let reader = logged_in(server, "ann", "secret");
    let image = "/ui/images/secret/app/v1";
    let offers = |path: &str, cookie: &str, form: &str| {
        let page = with_cookie(server, path, cookie);
        assert_eq!(page.status, 200, "{path}");
        text(&page).contains(&format!("../{form}/secret/app/v1\""))
    };
    assert!(!offers(image, &reader, "delete"));
    for (cookie, status) in [("tarkeep=none", 401), (&*reader, 403)] {
        assert_eq!(with_cookie(server, path, cookie).status, status);
        let sent = form(server, path, "", &[OWN, ("Cookie", cookie)]);
        assert_eq!(sent.status, status, "{}", text(&sent));
    }
    for user in ["kim", "boss"] {
        let cookie = logged_in(server, user, "secret");
        let page = with_cookie(server, path, &cookie);
        assert_eq!(page.status, 200, "{}", text(&page));
        let page = text(&page);
        assert!(
            page.contains("Goes") && page.contains("Delete tag v1"),
            "{page}"
        );
        // freed bytes would tell what hidden repositories hold
        assert_eq!(page.contains("may not see"), user == "kim", "{page}");
        let foreign = [("Sec-Fetch-Site", "cross-site"), ("Cookie", &*cookie)];
        assert_eq!(form(server, path, "", &foreign).status, 403);
        assert!(pulls() && offers(image, &cookie, "delete"));
        let done = form(server, path, &seen(1), &[OWN, ("Cookie", &cookie)]);
        assert_eq!(done.status, 200, "{}", text(&done));
        assert!(text(&done).contains("action=\"../../../restore/secret/app/v1\""));
        let gone = with_cookie(server, path, &cookie);
        assert_eq!(gone.status, 404);
        let trash = "/ui/trash/secret/app";
        assert!(offers(trash, &cookie, "restore"));
        assert!(!offers(trash, &reader, "restore"));
        let undo = "/ui/restore/secret/app/v1";
        assert_eq!(form(server, undo, "", &foreign).status, 403);
        let undone = form(server, undo, "", &[OWN, ("Cookie", &cookie)]);
        assert_eq!(undone.status, 303, "{}", text(&undone));
        assert_eq!(with_cookie(server, path, &cookie).status, 200);
    }
    let told = server.cli(&["audit", "--who", "kim", "-ojson"]);
    let told = String::from_utf8_lossy(&told.stdout).into_owned();
    assert!(
        told.contains("\"untag\"") && told.contains("\"restore\""),
        "{told}"
    );
}

/// A tag goes back to a former state for whoever may move it; who may only delete, or only create, may not.
#[test]
fn a_state_of_the_history_is_restored() {
    let rules = json!({
        "rules": [
            { "repositories": "**", "who": "boss", "may": "admin" },
            { "repositories": "**", "who": "ann", "may": ["pull", "delete"] },
            { "repositories": "**", "who": "kim", "may": ["pull", "create", "delete"] },
        ],
    })
    .to_string();
    let guarded = guarded(&[DELETION, ("REGISTRY_ACCESS", &rules)]);
    let server = &guarded.server;
    crate::api::people::push(&guarded, &Image::small(2), "secret/app", "v1");
    let history = "/ui/history/secret/app/v1";
    let boss = logged_in(server, "boss", "secret");
    let page = text(&with_cookie(server, history, &boss));
    let offered: Vec<_> = page.split("action=\"").skip(1).collect();
    let offered = offered.iter().filter_map(|rest| rest.split('"').next());
    let offered: Vec<_> = offered.filter(|to| to.contains("restore/")).collect();
    assert_eq!(offered.len(), 1, "{page}");
    let path = offered[0].replace("../../../", "/ui/");
    for user in ["ann", "kim"] {
        let cookie = logged_in(server, user, "secret");
        assert!(!text(&with_cookie(server, history, &cookie)).contains("restore/"));
        let refused = form(server, &path, "", &[OWN, ("Cookie", &cookie)]);
        assert_eq!(refused.status, 403, "{user}: {}", text(&refused));
    }
    let done = form(server, &path, "", &[OWN, ("Cookie", &boss)]);
    assert_eq!(done.status, 303, "{}", text(&done));
    assert_eq!(done.header("location"), Some("/ui/images/secret/app/v1"));
    let digest = path.split("?to=").nth(1).expect("a digest");
    let image = text(&with_cookie(server, "/ui/images/secret/app/v1", &boss));
    assert!(image.contains(digest), "{image}");
}

/// Without logins a page is open to everybody who reaches it.
#[test]
fn a_passer_by_changes_nothing() {
    let server = Server::with(&[DELETION]);
    let mut client = server.client();
    let image = Image::small(1);
    image.push(&mut client, "app", "v1");
    image.push(&mut client, "app", "v2");
    let path = "/ui/delete/app/v1";
    let page = text(&client.get(path));
    assert!(
        page.contains("<b>v2</b>") && page.contains("points at the same digest"),
        "{page}"
    );
    let far = ("X-Forwarded-For", "192.0.2.1");
    for (header, is_offered) in [(OWN, true), (far, false)] {
        let page = client.request("GET", "/ui/images/app/v1");
        let page = text(&page.header(header.0, header.1).send());
        assert_eq!(page.contains("/delete/app/v1\""), is_offered, "{page}");
    }
    // through a proxy, and by a page whose name leads to this machine
    let rebound = ("Origin", "http://evil.example:5000");
    for header in [far, ("Forwarded", "for=192.0.2.1"), rebound] {
        let refused = form(&server, path, "", &[OWN, header]);
        assert_eq!(refused.status, 403, "{header:?}");
        assert!(text(&refused).contains("ui.anonymouschanges"));
    }
    let named = b"POST /ui/delete/app/v1 HTTP/1.1\r\nHost: evil.example\r\nSec-Fetch-Site: same-origin\r\nContent-Length: 0\r\n\r\n";
    let mut stream = server.client().connect();
    stream.write_all(named).expect("it is sent");
    let mut status = [0; 12];
    stream.read_exact(&mut status).expect("a status");
    assert_eq!(&status, b"HTTP/1.1 403");
    assert_eq!(client.get("/v2/app/manifests/v1").status, 200);
    assert_eq!(form(&server, path, &seen(1), &[OWN]).status, 200);
    assert_eq!(client.get("/v2/app/manifests/v1").status, 404);
    let settings = ("REGISTRY_UI", "{anonymouschanges: true}");
    let proxy = ("REGISTRY_HTTP_TRUSTEDPROXIES", r#"["127.0.0.1"]"#);
    let server = Server::with(&[DELETION, proxy]);
    image.push(&mut server.client(), "app", "v1");
    let unnamed = form(&server, path, "", &[OWN]);
    assert_eq!(unnamed.status, 403, "a proxy that names nobody");
    let server = Server::with(&[DELETION, proxy, settings]);
    image.push(&mut server.client(), "app", "v1");
    assert_eq!(form(&server, path, &seen(1), &[OWN, far]).status, 200);
}
