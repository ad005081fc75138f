//! The 401 as distribution sends it. Expected answers are those of docker-registry 2.8.2.

use serde_json::{Value, json};

use super::{Guarded, as_user, line};
use crate::support::{Image, Server};

const DIGEST: &str = "sha256:44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a";
const UPLOAD: &str = "00000000-0000-4000-8000-000000000000";

const NAME: &str = "team/app";

/// A method, a path, and the scopes they require.
type Request = (&'static str, String, Value);

fn scope(name: &str, action: &str) -> Value {
    json!({ "Type": "repository", "Class": "", "Name": name, "Action": action })
}

/// The scopes of a push to [`NAME`].
fn pull_and_push() -> Value {
    json!([scope(NAME, "pull"), scope(NAME, "push")])
}

fn requests() -> Vec<Request> {
    let catalog = json!([{ "Type": "registry", "Class": "", "Name": "catalog", "Action": "*" }]);
    let whole = [
        ("GET", "/v2/".to_owned(), Value::Null),
        ("GET", "/v2/_catalog?n=3".to_owned(), catalog.clone()),
        ("GET", "/v1/search?q=app".to_owned(), catalog),
    ];
    [whole.to_vec(), content_requests(), upload_requests()].concat()
}

/// Requests for the content of [`NAME`].
fn content_requests() -> Vec<Request> {
    let name = NAME;
    let pull = json!([scope(name, "pull")]);
    let delete = json!([scope(name, "delete")]);
    vec![
        ("GET", format!("/v2/{name}/manifests/latest"), pull.clone()),
        (
            "PUT",
            format!("/v2/{name}/manifests/latest"),
            pull_and_push(),
        ),
        (
            "DELETE",
            format!("/v2/{name}/manifests/{DIGEST}"),
            delete.clone(),
        ),
        ("GET", format!("/v2/{name}/blobs/{DIGEST}"), pull.clone()),
        (
            "DELETE",
            format!("/v2/{name}/blobs/{DIGEST}"),
            delete.clone(),
        ),
        ("GET", format!("/v2/{name}/tags/list"), pull.clone()),
        // distribution does not have these
        (
            "GET",
            format!("/v2/{name}/referrers/{DIGEST}"),
            pull.clone(),
        ),
        (
            "GET",
            format!("/v2/{name}/_oci/tag-history/latest"),
            pull.clone(),
        ),
        ("DELETE", format!("/v2/{name}/"), delete.clone()),
    ]
}

/// Requests for uploads to [`NAME`].
fn upload_requests() -> Vec<Request> {
    let name = NAME;
    vec![
        (
            "POST",
            format!("/v2/{name}/blobs/uploads/"),
            pull_and_push(),
        ),
        (
            "POST",
            format!("/v2/{name}/blobs/uploads/?digest={DIGEST}"),
            pull_and_push(),
        ),
        (
            "POST",
            format!("/v2/{name}/blobs/uploads/?mount={DIGEST}"),
            pull_and_push(),
        ),
        (
            "POST",
            format!("/v2/{name}/blobs/uploads/?mount={DIGEST}&from=c/d"),
            json!([
                scope(name, "pull"),
                scope(name, "push"),
                scope("c/d", "pull")
            ]),
        ),
        (
            "GET",
            format!("/v2/{name}/blobs/uploads/{UPLOAD}"),
            json!([scope(name, "pull")]),
        ),
        (
            "PATCH",
            format!("/v2/{name}/blobs/uploads/{UPLOAD}"),
            pull_and_push(),
        ),
        (
            "PUT",
            format!("/v2/{name}/blobs/uploads/{UPLOAD}?digest={DIGEST}"),
            pull_and_push(),
        ),
        (
            "DELETE",
            format!("/v2/{name}/blobs/uploads/{UPLOAD}"),
            pull_and_push(),
        ),
    ]
}

#[test]
fn every_request_is_challenged_for_its_scope() {
    let guarded = Guarded::with(&line("joe", "secret"));
    let mut client = guarded.client();
    for (method, path, wanted) in requests() {
        let response = client.request(method, &path).body(b"some content").send();
        response.refused(401, "UNAUTHORIZED");
        let error = json!({ "code": "UNAUTHORIZED", "message": "authentication required", "detail": wanted });
        assert_eq!(
            response.json(),
            json!({ "errors": [error] }),
            "{method} {path}"
        );
        let challenge = "Basic realm=\"Our \\\"Realm\\\" \u{e9}\"";
        assert_eq!(
            response.header("www-authenticate"),
            Some(challenge),
            "{method} {path}"
        );
        let is_v2 = path.starts_with("/v2/");
        assert_eq!(
            response.header("docker-distribution-api-version"),
            is_v2.then_some("registry/2.0"),
            "{method} {path}"
        );
        if method == "GET" {
            let head = client.head(&path);
            assert_eq!(
                (head.status, head.header("www-authenticate")),
                (401, Some(challenge)),
                "HEAD {path}"
            );
        }
        // with a login, other errors may remain
        let answer = as_user(client.request(method, &path), "joe", "secret")
            .body(b"some content")
            .send();
        assert!(
            answer.status != 401 && answer.status != 500,
            "{method} {path}: {answer:?}"
        );
    }
}

/// A rejected request changes nothing, and its connection can be reused.
#[test]
fn a_rejected_push_leaves_nothing() {
    let guarded = Guarded::with(&line("joe", "secret"));
    let mut client = guarded.client();
    let body = vec![b'x'; 3 << 20];
    assert_eq!(
        client
            .request("POST", &format!("/v2/a/blobs/uploads/?digest={DIGEST}"))
            .body(&body[..1000])
            .send()
            .status,
        401
    );
    assert_eq!(
        client
            .request("PUT", "/v2/a/manifests/v1")
            .body(&body[..1000])
            .send()
            .status,
        401
    );
    let catalog = as_user(client.request("GET", "/v2/_catalog"), "joe", "secret").send();
    assert_eq!(catalog.json()["repositories"], json!([]));
    assert!(guarded.server.upload_files().is_empty());
}

#[test]
fn monitoring_needs_no_login() {
    let guarded = Guarded::with(&line("joe", "secret"));
    let mut client = guarded.client();
    assert_eq!(client.get("/").status, 200);
    assert_eq!(client.get("/v1/_ping").status, 200);
    client.get("/v2/nothing").refused(404, "UNSUPPORTED");
}

#[test]
fn silly_accepts_any_authorization_header() {
    let server = Server::with(&[(
        "REGISTRY_AUTH",
        "silly: {realm: https://silly/token, service: a service}",
    )]);
    let mut client = server.client();
    let challenged = |client: &mut crate::support::Client, path: &str| {
        let response = client.get(path);
        response.refused(401, "UNAUTHORIZED");
        response
            .header("www-authenticate")
            .expect("a challenge")
            .to_owned()
    };
    assert_eq!(
        challenged(&mut client, "/v2/"),
        r#"Bearer realm="https://silly/token",service="a service""#
    );
    let challenge = challenged(&mut client, "/v2/a/tags/list");
    assert_eq!(
        challenge,
        r#"Bearer realm="https://silly/token",service="a service",scope="repository:a:pull""#
    );
    assert_eq!(
        client
            .request("GET", "/v2/")
            .header("Authorization", "")
            .send()
            .status,
        401
    );
    assert_eq!(
        client
            .request("GET", "/v2/")
            .header("Authorization", "whatever")
            .send()
            .status,
        200
    );
}

#[test]
fn none_requires_no_login() {
    let server = Server::with(&[("REGISTRY_AUTH", "none: {}")]);
    let mut client = server.client();
    assert_eq!(client.get("/v2/").status, 200);
    assert_eq!(
        as_user(client.request("GET", "/v2/"), "joe", "whatever")
            .send()
            .status,
        200
    );
    Image::small(1).push(&mut client, "a", "v1");
}
