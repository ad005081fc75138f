//! Clients learn of others, and of what they may not see, what their rights allow.

use serde_json::{Value, json};

use crate::login::{Guarded, as_user, line};
use crate::support::Image;
use crate::support::client::Response;

fn rules() -> String {
    json!({
        "rules": [
            { "repositories": "**", "who": "boss", "may": "admin" },
            { "repositories": "public/**", "who": "anonymous", "may": "pull" },
            { "repositories": ["public/**", "team/**"], "who": "ann", "may": "maintain" },
            { "repositories": "**", "who": "guest", "may": "pull" },
        ],
    })
    .to_string()
}

pub fn guarded() -> Guarded {
    let users: String = ["boss", "ann", "guest"]
        .map(|user| line(user, "secret"))
        .concat();
    Guarded::set_up(
        &users,
        &[
            ("REGISTRY_ACCESS", &rules()),
            ("REGISTRY_STORAGE_DELETE_ENABLED", "true"),
        ],
    )
}

pub fn ask(guarded: &Guarded, who: &str, method: &str, path: &str, body: &[u8]) -> Response {
    let mut client = guarded.server.client();
    let request = client.request(method, path);
    let request = match method {
        "GET" | "DELETE" => request,
        _ => request
            .header("Content-Type", crate::support::OCI_MANIFEST)
            .body(body),
    };
    match who {
        "" => request.send(),
        who => as_user(request, who, "secret").send(),
    }
}

pub fn push(guarded: &Guarded, image: &Image, name: &str, tag: &str) {
    for blob in image.layers.iter().chain([&image.config]) {
        let path = format!(
            "/v2/{name}/blobs/uploads/?digest={}",
            crate::support::sha256(blob)
        );
        assert_eq!(ask(guarded, "boss", "POST", &path, blob).status, 201);
    }
    let path = format!("/v2/{name}/manifests/{tag}");
    assert_eq!(
        ask(guarded, "boss", "PUT", &path, &image.manifest).status,
        201
    );
}

#[test]
fn names_are_for_logins_and_addresses_for_administrators() {
    let guarded = guarded();
    push(&guarded, &Image::small(1), "public/app", "v1");
    let who = |who: &str| {
        let history = ask(&guarded, who, "GET", "/api/v1/history/public/app/v1", b"");
        history.json()["states"][0]["who"].clone()
    };
    assert_eq!(
        who("boss"),
        json!({ "name": "boss", "address": "127.0.0.1" })
    );
    for login in ["ann", "guest"] {
        assert_eq!(who(login), json!({ "name": "boss", "address": null }));
    }
    assert_eq!(who(""), json!({ "name": null, "address": null }));
}

/// Sums over all repositories would tell what hidden ones hold.
#[test]
fn what_is_hidden_counts_nowhere() {
    let guarded = guarded();
    let image = Image::small(1);
    push(&guarded, &image, "team/app", "v1");
    let layer = format!("/api/v1/why/{}", crate::support::sha256(&image.layers[0]));
    let seen = |who: &str, path: &str| ask(&guarded, who, "GET", path, b"").json();
    let paths = [
        "/api/v1/usage",
        "/api/v1/usage/team/app",
        &layer,
        "/api/v1/trash",
        "/api/v1/untagged",
        "/api/v1/tags",
    ];
    let before: Vec<Value> = paths.iter().map(|path| seen("ann", path)).collect();
    assert_eq!(before[0]["store"], Value::Null);
    assert_eq!(before[1]["tags"][0]["exclusiveSize"], Value::Null);
    push(&guarded, &image, "secret/app", "v1");
    push(&guarded, &Image::small(2), "secret/app", "v2");
    push(&guarded, &Image::small(3), "secret/app", "v2");
    let deleted = format!("/v2/secret/app/manifests/{}", Image::small(3).digest());
    assert_eq!(ask(&guarded, "boss", "DELETE", &deleted, b"").status, 202);
    let after: Vec<Value> = paths.iter().map(|path| seen("ann", path)).collect();
    assert_eq!(before, after);
    let hidden = format!("/api/v1/why/{}", Image::small(2).digest());
    ask(&guarded, "ann", "GET", &hidden, b"").refused(404, "BLOB_UNKNOWN");
    assert_eq!(ask(&guarded, "boss", "GET", &hidden, b"").status, 200);
    let whole = seen("guest", "/api/v1/usage");
    assert_eq!(whole["store"]["repositoryCount"], 2);
    assert!(whole["repositories"][0]["exclusiveSize"].is_u64());
}
