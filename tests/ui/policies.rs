//! The page of rules: a box, what the edit changes, and nothing that is written.

use super::sessions::{OWN, form, guarded, logged_in, with_cookie};
use super::text;
use crate::support::{Image, Server};

const RULES: &str =
    "[{repositories: 'web/**', immutable: ['1.*'], tags: [{match: ['pr-*'], younger: 30d}]}]";

fn filled() -> Server {
    let server = Server::with(&[("REGISTRY_POLICIES", RULES)]);
    let mut client = server.client();
    for (seed, name, tag) in [
        (1, "web/api", "1.0"),
        (2, "web/api", "pr-7"),
        (3, "web/api", "pr-8"),
        (4, "tools", "latest"),
    ] {
        Image::small(seed).push(&mut client, name, tag);
    }
    server
}

fn encoded(rules: &str) -> String {
    let mut fields = form_urlencoded::Serializer::new(String::new());
    fields.append_pair("rules", rules).finish()
}

#[test]
fn an_edit_shows_what_it_changes() {
    let server = filled();
    let mut client = server.client();
    let page = text(&client.get("/ui/policies"));
    assert!(page.contains("match: [&#39;pr-*&#39;]"), "{page}");
    assert!(page.contains("<b>0 tags</b> expire"), "{page}");
    let later = text(&client.get("/ui/policies?at=2099-01-01"));
    assert!(later.contains("<b>2 tags</b> expire"), "{later}");
    assert!(later.contains("--at 2099-01-01"), "{later}");
    let rules = "policies:\r\n- repositories: 'web/**'\r\n  tags:\r\n  - match: ['pr-7']\r\n    newest: 0\r\n";
    let answer = form(&server, "/ui/policies", &encoded(rules), &[OWN]);
    let tried = text(&answer);
    assert_eq!(answer.status, 200, "{tried}");
    // pr-7 goes at once, pr-8 loses its end
    for words in [
        "<b>1 tag</b> expires",
        "Changed by the edit<small>2</small>",
        "at once",
        "1.0",
        "--rules edited.yml",
    ] {
        assert!(tried.contains(words), "{words}: {tried}");
    }
    assert!(!tried.contains("images/tools/latest"), "{tried}");
    let kept = format!("{}&show=kept", encoded(rules));
    let kept = text(&form(&server, "/ui/policies", &kept, &[OWN]));
    assert!(kept.contains("images/tools/latest"), "{kept}");
    let own = text(&form(
        &server,
        "/ui/policies/web/api",
        &encoded(rules),
        &[OWN],
    ));
    assert!(own.contains("aria-current=\"page\">Policy"), "{own}");
    assert_eq!(client.get("/v2/web/api/manifests/pr-7").status, 200);
    let again = text(&client.get("/ui/policies"));
    assert!(again.contains("<b>0 tags</b> expire"), "{again}");
}

#[test]
fn mistakes_stand_below_what_was_written() {
    let server = filled();
    let rules = "policies:\n- repositories: '<script>'\n";
    let answer = form(&server, "/ui/policies", &encoded(rules), &[OWN]);
    let page = text(&answer);
    assert_eq!(answer.status, 200, "{page}");
    assert!(page.contains("rules line 2") && page.contains("&#60;script&#62;"));
    assert!(!page.contains("<script>"), "{page}");
    let foreign = ("Sec-Fetch-Site", "cross-site");
    let refused = form(&server, "/ui/policies", &encoded(rules), &[foreign]);
    assert_eq!(refused.status, 403);
    assert_eq!(server.client().get("/ui/policies?at=soon").status, 400);
}

#[test]
fn whoever_may_not_delete_reads_and_tries_nothing() {
    let guarded = guarded(&[(
        "REGISTRY_POLICIES",
        "[{repositories: 'secret/**'}, {repositories: 'hidden/**'}]",
    )]);
    let server = &guarded.server;
    for (user, in_one, in_all) in [
        ("ann", false, false),
        ("kim", true, false),
        ("boss", true, true),
    ] {
        let cookie = logged_in(server, user, "secret");
        for (path, may_edit) in [
            ("/ui/policies/secret/app", in_one),
            ("/ui/policies", in_all),
        ] {
            let page = with_cookie(server, path, &cookie);
            assert_eq!(page.status, 200, "{user} {path}");
            let page = text(&page);
            assert_eq!(page.contains("<textarea"), may_edit, "{user} {path}");
            assert_eq!(
                page.contains("hidden/**"),
                path == "/ui/policies" && in_all,
                "{page}"
            );
            let sent = form(
                server,
                path,
                &encoded("policies: []"),
                &[OWN, ("Cookie", &cookie)],
            );
            assert_eq!(
                sent.status,
                if may_edit { 200 } else { 403 },
                "{user} {path}"
            );
        }
    }
}
