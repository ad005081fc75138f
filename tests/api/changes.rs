//! Changes: deleting and undoing, tokens; who did it is in the audit log.

use serde_json::{Value, json};

use super::openapi::check_answer;
use super::people::{ask, guarded, push};
use super::{answered, printed};
use crate::login::{Guarded, as_user};
use crate::support::client::Response;
use crate::support::{Image, Server};

/// Without the times, which are those of each deletion.
fn timeless(mut object: Value) -> Value {
    object["frees"]["at"].take();
    object["undo"].take();
    object["removed"].take();
    object
}

#[test]
fn a_deletion_is_foreseen_made_and_undone_as_the_command_does() {
    let server = Server::with(&[("REGISTRY_STORAGE_DELETE_ENABLED", "true")]);
    let mut client = server.client();
    let image = Image::small(1);
    image.push(&mut client, "team/app", "v1");
    image.push(&mut client, "team/app", "v2");
    for (reference, path) in [
        ("team/app:v1".to_owned(), "team/app/v1".to_owned()),
        (
            format!("team/app@{}", image.digest()),
            format!("team/app/{}", image.digest()),
        ),
    ] {
        let foreseen = answered(&server, &format!("/api/v1/deletions/{path}"));
        let command = printed(&server, &["rm", &reference, "--dry-run"]);
        assert_eq!(foreseen["removed"], false);
        assert_eq!(timeless(foreseen.clone()), timeless(command));
        let done = client.delete(&format!("/api/v1/manifests/{path}"));
        assert_eq!(done.status, 200, "{:?}", done.json());
        check_answer(&server, ("delete", "/manifests/{name}/{reference}"), &done);
        assert_eq!(done.json()["removed"], true);
        assert_eq!(
            done.json()["undo"]["commands"],
            json!([format!("registry restore {reference}")])
        );
        assert_eq!(timeless(done.json()), timeless(foreseen));
        client
            .get(&format!(
                "/v2/{}",
                path.replace("team/app/", "team/app/manifests/")
            ))
            .refused(404, "MANIFEST_UNKNOWN");
        let undone = client
            .request("POST", &format!("/api/v1/trash/{path}"))
            .body(b"")
            .send();
        assert_eq!(undone.status, 200, "{:?}", undone.json());
        check_answer(&server, ("post", "/trash/{name}/{reference}"), &undone);
        assert_eq!(undone.json()["restored"][0]["digest"], image.digest());
        image.assert_pulls(&mut client, "team/app", "v1");
        image.assert_pulls(&mut client, "team/app", "v2");
    }
    let again = client
        .request("POST", "/api/v1/trash/team/app/v1")
        .body(b"")
        .send();
    again.refused(404, "MANIFEST_UNKNOWN");
}

#[test]
fn what_the_configuration_forbids_is_forbidden() {
    let server = Server::with(&[("REGISTRY_STORAGE_DELETE_ENABLED", "false")]);
    let mut client = server.client();
    Image::small(1).push(&mut client, "team/app", "v1");
    let refused = client.delete("/api/v1/manifests/team/app/v1");
    refused.refused(405, "UNSUPPORTED");
    assert_eq!(client.get("/v2/team/app/manifests/v1").status, 200);
    let rules = "[{repositories: 'fixed/**', immutable: ['v*']}]";
    let server = Server::with(&[
        ("REGISTRY_POLICIES", rules),
        ("REGISTRY_STORAGE_DELETE_ENABLED", "true"),
    ]);
    let mut client = server.client();
    Image::small(1).push(&mut client, "fixed/app", "v1");
    let refused = client.delete("/api/v1/manifests/fixed/app/v1");
    refused.refused(409, "DENIED");
    let foreign = client.request("DELETE", "/api/v1/manifests/fixed/app/v1");
    let refused = foreign.header("Sec-Fetch-Site", "cross-site").send();
    refused.refused(403, "DENIED");
}

/// Tokens of a passer-by would outlast the rules that come later.
#[test]
fn without_rules_nobody_makes_a_token_from_afar() {
    let server = Server::start();
    let mut client = server.client();
    let token = json!({ "name": "ci", "repositories": ["**"], "may": ["admin"] }).to_string();
    let request = client.request("POST", "/api/v1/tokens");
    let request = request.header("Content-Type", "application/json");
    request.body(token.as_bytes()).send().refused(403, "DENIED");
    for (method, path) in [
        ("POST", "/api/v1/tokens/ci"),
        ("DELETE", "/api/v1/tokens/ci"),
        ("POST", "/api/v1/deliveries/1?webhook=hook"),
    ] {
        let request = client.request(method, path).body(b"");
        request.send().refused(403, "DENIED");
    }
    assert_eq!(
        answered(&server, "/api/v1/tokens?all=true")["tokens"],
        json!([])
    );
}

/// Sends JSON as a user.
fn tell(guarded: &Guarded, who: &str, path: &str, body: &Value) -> Response {
    let mut client = guarded.server.client();
    let request = client
        .request("POST", path)
        .header("Content-Type", "application/json");
    as_user(request.body(body.to_string().as_bytes()), who, "secret").send()
}

#[test]
fn a_token_is_made_used_rotated_and_revoked() {
    let guarded = guarded();
    push(&guarded, &Image::small(1), "team/app", "v1");
    let wanted =
        json!({ "name": "ci", "repositories": ["team/**"], "may": ["pull"], "expires": "1d" });
    tell(&guarded, "ann", "/api/v1/tokens", &wanted).refused(403, "DENIED");
    let made = tell(&guarded, "boss", "/api/v1/tokens", &wanted);
    assert_eq!(made.status, 200, "{:?}", made.json());
    assert_eq!(made.header("cache-control"), Some("no-store"));
    check_answer(&guarded.server, ("post", "/tokens"), &made);
    let pull = |secret: &Value| {
        let mut client = guarded.server.client();
        let request = client.request("GET", "/v2/team/app/manifests/v1");
        as_user(request, "ci", secret.as_str().expect("a secret"))
            .send()
            .status
    };
    let first = made.json()["token"].clone();
    assert_eq!(pull(&first), 200);
    tell(&guarded, "boss", "/api/v1/tokens", &wanted).refused(409, "UNSUPPORTED");
    let mut client = guarded.server.client();
    let form = client.request("POST", "/api/v1/tokens");
    let form = form.header("Content-Type", "text/plain");
    let form = as_user(form.body(br#"{"name": "form"}"#), "boss", "secret");
    form.send().refused(400, "UNSUPPORTED");
    for wrong in [
        json!({ "name": "-" }),
        json!({ "name": "other", "may": ["pull"] }),
        json!({ "name": "other", "may": ["fly"], "repositories": ["**"] }),
        json!({ "name": "other", "colour": "red" }),
    ] {
        tell(&guarded, "boss", "/api/v1/tokens", &wrong).refused(400, "UNSUPPORTED");
    }
    let rotated = tell(
        &guarded,
        "boss",
        "/api/v1/tokens/ci",
        &json!({ "overlap": "1h" }),
    );
    check_answer(&guarded.server, ("post", "/tokens/{token}"), &rotated);
    assert_eq!((pull(&first), pull(&rotated.json()["token"])), (200, 200));
    let revoked = ask(&guarded, "boss", "DELETE", "/api/v1/tokens/ci", b"");
    assert_eq!(revoked.json(), json!({ "name": "ci", "state": "revoked" }));
    assert_eq!((pull(&first), pull(&rotated.json()["token"])), (401, 401));
    ask(&guarded, "boss", "DELETE", "/api/v1/tokens/none", b"").refused(404, "UNSUPPORTED");
    let audit = ask(&guarded, "boss", "GET", "/api/v1/audit?who=boss", b"").json();
    let rows = audit["events"].as_array().expect("rows").iter();
    let actions: Vec<_> = rows
        .map(|row| {
            (
                row["action"].as_str().unwrap_or_default(),
                row["who"]["address"].as_str(),
            )
        })
        .collect();
    for action in ["token-create", "token-rotate", "token-revoke"] {
        assert!(
            actions.contains(&(action, Some("127.0.0.1"))),
            "{action}: {actions:?}"
        );
    }
}

/// Freed bytes would tell what hidden repositories hold.
#[test]
fn a_deletion_is_in_the_audit_log_and_tells_nothing_of_hidden_repositories() {
    let guarded = guarded();
    push(&guarded, &Image::small(1), "team/app", "v1");
    let foreseen = ask(&guarded, "ann", "GET", "/api/v1/deletions/team/app/v1", b"");
    assert_eq!(foreseen.json()["frees"], Value::Null);
    check_answer(
        &guarded.server,
        ("get", "/deletions/{name}/{reference}"),
        &foreseen,
    );
    let done = ask(
        &guarded,
        "ann",
        "DELETE",
        "/api/v1/manifests/team/app/v1",
        b"",
    );
    assert_eq!(done.status, 200);
    let undone = ask(&guarded, "ann", "POST", "/api/v1/trash/team/app/v1", b"");
    assert_eq!(undone.status, 200);
    let audit = ask(
        &guarded,
        "boss",
        "GET",
        "/api/v1/audit?who=ann&repository=team/**",
        b"",
    )
    .json();
    let actions: Vec<_> = audit["events"]
        .as_array()
        .expect("rows")
        .iter()
        .map(|row| row["action"].clone())
        .collect();
    assert_eq!(actions, ["restore", "untag"]);
}
