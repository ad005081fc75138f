//! Several tags at once: chosen or matching, deleted as they were seen, and brought back.

use super::sessions::{OWN, form, guarded, logged_in, text, with_cookie};
use crate::support::{Image, Server};

const DELETION: (&str, &str) = ("REGISTRY_STORAGE_DELETE_ENABLED", "true");

fn filled(environment: &[(&str, &str)]) -> Server {
    let server = Server::with(&[&[DELETION], environment].concat());
    let mut client = server.client();
    for (seed, tag) in [(1, "pr-1"), (2, "pr-2"), (3, "pr-3"), (1, "main")] {
        Image::small(seed).push(&mut client, "app", tag);
    }
    server
}

fn seen(tags: &[(u64, &str)]) -> String {
    let mut fields = form_urlencoded::Serializer::new(String::new());
    for (seed, tag) in tags {
        let digest = Image::small(*seed).digest();
        fields.append_pair("seen", &format!("{tag}@{digest}"));
    }
    fields.finish()
}

#[test]
fn chosen_tags_go_together_and_come_back() {
    let server = filled(&[]);
    let mut client = server.client();
    let list = text(&client.get("/ui/repositories/app?tags=pr-*"));
    assert!(list.contains("name=\"tag\" value=\"pr-2\""), "{list}");
    assert!(list.contains("selections/app?tags=pr-*"), "{list}");
    let page = text(&client.get("/ui/selections/app?tag=pr-1&tag=pr-2&tag=gone"));
    assert!(page.contains("Delete 2 tags"), "{page}");
    // another tag of an image that goes
    assert!(page.contains("<b>main</b>"), "{page}");
    let all = text(&client.get("/ui/selections/app?tags=pr-*"));
    assert!(
        all.contains("Delete 3 tags") && all.contains("rm &#39;app:pr-*&#39;"),
        "{all}"
    );
    // pr-2 is another image by now
    Image::small(4).push(&mut client, "app", "pr-2");
    let body = seen(&[(1, "pr-1"), (2, "pr-2"), (3, "pr-3")]);
    let done = form(&server, "/ui/selections/app", &body, &[OWN]);
    let page = text(&done);
    assert_eq!(done.status, 200, "{page}");
    assert!(
        page.contains("Deleted 2 tags") && page.contains("Not deleted"),
        "{page}"
    );
    let status = |tag: &str| {
        let path = format!("/v2/app/manifests/{tag}");
        server.client().get(&path).status
    };
    let all = ["pr-1", "pr-2", "pr-3", "main"];
    assert_eq!(all.map(status), [404, 200, 404, 200]);
    let undone = form(&server, "/ui/restores/app", "tag=pr-1&tag=pr-3", &[OWN]);
    assert_eq!(undone.status, 303, "{}", text(&undone));
    assert_eq!(all.map(status), [200; 4]);
}

#[test]
fn an_immutable_tag_keeps_all_of_them() {
    let rules = (
        "REGISTRY_POLICIES",
        "[{repositories: '**', immutable: [main]}]",
    );
    let server = filled(&[rules]);
    let list = text(&server.client().get("/ui/repositories/app"));
    assert!(!list.contains("name=\"tag\" value=\"main\""), "{list}");
    let body = seen(&[(2, "pr-2"), (1, "main")]);
    let refused = form(&server, "/ui/selections/app", &body, &[OWN]);
    assert!(refused.status >= 400, "{}", text(&refused));
    assert_eq!(server.client().get("/v2/app/manifests/pr-2").status, 200);
    for body in ["", "seen=x", "seen=x@y"] {
        let refused = form(&server, "/ui/selections/app", body, &[OWN]);
        assert_eq!(refused.status, 400, "{body}");
    }
}

#[test]
fn readers_choose_nothing() {
    let guarded = guarded(&[DELETION]);
    let server = &guarded.server;
    for (user, is_offered) in [("ann", false), ("kim", true)] {
        let cookie = logged_in(server, user, "secret");
        let list = with_cookie(server, "/ui/repositories/secret/app", &cookie);
        assert_eq!(
            text(&list).contains("type=\"checkbox\""),
            is_offered,
            "{user}"
        );
        let own = [OWN, ("Cookie", &*cookie)];
        let sent = form(
            server,
            "/ui/selections/secret/app",
            &seen(&[(1, "v1")]),
            &own,
        );
        assert_eq!(sent.status, if is_offered { 200 } else { 403 }, "{user}");
    }
    let cookie = logged_in(server, "kim", "secret");
    let foreign = [("Sec-Fetch-Site", "cross-site"), ("Cookie", &*cookie)];
    let restored = form(server, "/ui/restores/secret/app", "tag=v1", &foreign);
    assert_eq!(restored.status, 403);
}
