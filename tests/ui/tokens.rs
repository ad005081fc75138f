//! Tokens by forms: made, shown once, rotated and revoked by administrators alone.

use regex::Regex;

use super::sessions::{OWN, form, guarded, logged_in, text, with_cookie};
use crate::login::as_user;
use crate::support::Server;

fn secret(page: &str) -> String {
    let secret = Regex::new(r"tk_[a-z2-7_]+").expect("a pattern");
    secret.find(page).expect("a secret").as_str().to_owned()
}

fn pulls(server: &Server, secret: &str) -> u16 {
    let mut client = server.client();
    let request = client.request("GET", "/v2/secret/app/manifests/v1");
    as_user(request, "any", secret).send().status
}

#[test]
fn a_token_is_made_shown_once_rotated_and_revoked() {
    let guarded = guarded(&[]);
    let server = &guarded.server;
    let cookie = logged_in(server, "boss", "secret");
    let own = [OWN, ("Cookie", &*cookie)];
    let send = |path: &str, body: &str| form(server, path, body, &own);
    let made = send(
        "/ui/tokens",
        "name=ci&repositories=secret/**&may=pull&expires=30d&user=",
    );
    let page = text(&made);
    assert_eq!(made.status, 200, "{page}");
    assert_eq!(made.header("cache-control"), Some("no-store"));
    let first = secret(&page);
    assert!(
        page.contains("docker login") && page.contains("Token ci created"),
        "{page}"
    );
    assert_eq!(pulls(server, &first), 200);
    let list = text(&with_cookie(server, "/ui/tokens", &cookie));
    assert!(
        list.contains("<bdi>ci</bdi>") && !list.contains(&first),
        "{list}"
    );
    let rotated = text(&send("/ui/tokens/ci", "change=rotate"));
    let second = secret(&rotated);
    assert!(rotated.contains("former secret works until"), "{rotated}");
    assert_eq!((pulls(server, &first), pulls(server, &second)), (200, 200));
    assert_eq!(send("/ui/tokens/ci", "change=revoke").status, 303);
    assert_eq!((pulls(server, &first), pulls(server, &second)), (401, 401));
    let told = server.cli(&["audit", "--who", "boss", "-ojson"]);
    let told = String::from_utf8_lossy(&told.stdout).into_owned();
    for action in ["token-create", "token-rotate", "token-revoke"] {
        assert!(told.contains(action), "{told}");
    }
    assert!(!told.contains(&second), "{told}");
}

#[test]
fn mistakes_keep_what_was_typed() {
    let guarded = guarded(&[]);
    let server = &guarded.server;
    let cookie = logged_in(server, "boss", "secret");
    let own = [OWN, ("Cookie", &*cookie)];
    for (body, words) in [
        ("name=Not+a+name&repositories=**&may=pull", "Not a name"),
        ("name=ci&repositories=**&may=everything", "everything"),
        (
            "name=ci&repositories=**&may=pull&user=nobody",
            "nobody logs in as",
        ),
        ("name=ci&repositories=**&may=pull&expires=soon", "soon"),
    ] {
        let answer = form(server, "/ui/tokens", body, &own);
        let page = text(&answer);
        assert_eq!(answer.status, 400, "{page}");
        assert!(
            page.contains("role=\"alert\"") && page.contains(words),
            "{page}"
        );
        assert!(page.contains("value=\"**\""), "{page}");
    }
    let list = text(&with_cookie(server, "/ui/tokens", &cookie));
    assert!(list.contains("No token yet"), "{list}");
}

#[test]
fn the_reach_of_a_token_is_told_before_it_is_made() {
    let guarded = guarded(&[]);
    let server = &guarded.server;
    let cookie = logged_in(server, "boss", "secret");
    let reach = |query: &str| {
        text(&with_cookie(
            server,
            &format!("/ui/tokens?{query}"),
            &cookie,
        ))
    };
    let all = reach("name=ci&repositories=**&may=push");
    assert!(
        all.contains("<b>2 repositories</b>") && !all.contains("limited by"),
        "{all}"
    );
    let of_ann = reach("name=ci&repositories=**&may=push&user=ann");
    assert!(of_ann.contains("limited by its user"), "{of_ann}");
    // what everybody may pull is reached by the rules
    let one = reach("name=ci&repositories=none/*&may=pull");
    assert!(
        one.contains("<b>1 repository</b>") && one.contains("<b>app</b>"),
        "{one}"
    );
}

#[test]
fn nobody_else_changes_tokens() {
    let guarded = guarded(&[]);
    let server = &guarded.server;
    let body = "name=ci&repositories=**&may=admin";
    for user in ["ann", "kim"] {
        let cookie = logged_in(server, user, "secret");
        let own = [OWN, ("Cookie", &*cookie)];
        assert_eq!(with_cookie(server, "/ui/tokens", &cookie).status, 403);
        assert_eq!(form(server, "/ui/tokens", body, &own).status, 403);
        assert_eq!(
            form(server, "/ui/tokens/ci", "change=revoke", &own).status,
            403
        );
    }
    let cookie = logged_in(server, "boss", "secret");
    for site in ["cross-site", "same-site"] {
        let foreign = [("Sec-Fetch-Site", site), ("Cookie", &*cookie)];
        assert_eq!(form(server, "/ui/tokens", body, &foreign).status, 403);
    }
    assert_eq!(form(server, "/ui/tokens", body, &[OWN]).status, 401);
    // where nobody is an administrator by a rule, no page makes tokens
    let open = Server::start();
    assert_eq!(form(&open, "/ui/tokens", body, &[OWN]).status, 403);
    let page = open.client().get("/ui/tokens");
    assert!(!text(&page).contains("Create token"));
}
