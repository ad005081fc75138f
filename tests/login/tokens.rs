//! Tokens of a separate token server, end to end. Unit tests cover each claim.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::{Algorithm, EncodingKey, Header, encode, get_current_timestamp};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::support::client::{Client, Request};
use crate::support::{Image, OCI_MANIFEST, Response, Server, eventually, sha256};

/// A token server's key.
struct Signer {
    id: &'static str,
    key: EncodingKey,
    jwk: Value,
}

impl Signer {
    fn new(id: &'static str) -> Self {
        let pair = rcgen::KeyPair::generate_for(&rcgen::PKCS_ED25519).expect("a key");
        let x = URL_SAFE_NO_PAD.encode(pair.public_key_raw());
        let jwk = json!({ "kty": "OKP", "crv": "Ed25519", "kid": id, "x": x });
        Self {
            id,
            key: EncodingKey::from_ed_der(&pair.serialize_der()),
            jwk,
        }
    }

    /// A token for `joe` with scopes written as `repository:NAME:ACTION,…`.
    fn token(&self, scopes: &[&str]) -> String {
        let access = scopes.iter().map(|scope| {
            let parts: Vec<_> = scope.split(':').collect();
            json!({ "type": parts[0], "name": parts[1], "actions": parts[2].split(',').collect::<Vec<_>>() })
        });
        let access: Vec<_> = access.collect();
        let claims = json!({ "iss": "the issuer", "aud": ["the service"], "sub": "joe", "exp": get_current_timestamp() + 60, "access": access });
        let header = Header {
            kid: Some(self.id.to_owned()),
            ..Header::new(Algorithm::EdDSA)
        };
        encode(&header, &claims, &self.key).expect("a token")
    }
}

struct Tokened {
    server: Server,
    signer: Signer,
    directory: TempDir,
}

impl Tokened {
    fn start() -> Self {
        Self::with(&json!({}), &[])
    }

    fn with(more: &Value, environment: &[(&str, &str)]) -> Self {
        let (directory, signer) = (TempDir::new().expect("a directory"), Signer::new("first"));
        let path = directory.path().join("jwks.json");
        std::fs::write(&path, json!({ "keys": [signer.jwk] }).to_string()).expect("a file");
        let mut token = json!({ "realm": "https://auth.example.com/token", "service": "the service", "issuer": "the issuer", "jwks": path });
        token
            .as_object_mut()
            .expect("an object")
            .extend(more.as_object().expect("an object").clone());
        let auth = json!({ "token": token }).to_string();
        let server = Server::with(&[&[("REGISTRY_AUTH", &*auth)], environment].concat());
        Self {
            server,
            signer,
            directory,
        }
    }
}

fn with_token<'c>(request: Request<'c>, token: &str) -> Request<'c> {
    request.header("Authorization", &format!("Bearer {token}"))
}

fn push_blob(client: &mut Client, token: &str, repository: &str, content: &[u8]) -> String {
    let digest = sha256(content);
    let path = format!("/v2/{repository}/blobs/uploads/?digest={digest}");
    assert_eq!(
        with_token(client.request("POST", &path), token)
            .body(content)
            .send()
            .status,
        201
    );
    digest
}

fn get(client: &mut Client, token: &str, path: &str) -> Response {
    with_token(client.request("GET", path), token).send()
}

/// A lost answer is given again to those who may push, and to them only.
#[test]
fn a_repeated_close_takes_the_right_to_push() {
    let tokened = Tokened::start();
    let (mut client, signer) = (tokened.server.client(), &tokened.signer);
    let digest = sha256(b"content");
    let path =
        format!("/v2/team/app/blobs/uploads/0b5b9a1a-9f6c-4c36-8c34-9f1a3f0ea001?digest={digest}");
    let push = signer.token(&["repository:team/app:pull,push"]);
    push_blob(&mut client, &push, "team/app", b"content");
    for (access, status) in [
        ("repository:team/app:pull,push", 201),
        ("repository:team/app:pull", 401),
        ("repository:team/other:pull,push", 401),
    ] {
        let token = signer.token(&[access]);
        let answer = with_token(client.request("PUT", &path), &token).send();
        assert_eq!(answer.status, status, "{access}");
    }
}

#[test]
fn a_token_grants_the_access_it_lists() {
    let tokened = Tokened::start();
    let (mut client, signer) = (tokened.server.client(), &tokened.signer);
    let (pull, push) = (
        signer.token(&["repository:team/app:pull"]),
        signer.token(&["repository:team/app:pull,push"]),
    );
    let image = Image::small(1);
    for blob in image.layers.iter().chain([&image.config]) {
        push_blob(&mut client, &push, "team/app", blob);
    }
    let put = |client: &mut Client, token: &str, repository: &str| {
        let request = with_token(
            client.request("PUT", &format!("/v2/{repository}/manifests/v1")),
            token,
        );
        request
            .header("Content-Type", OCI_MANIFEST)
            .body(&image.manifest)
            .send()
    };
    assert_eq!(put(&mut client, &push, "team/app").status, 201);
    assert_eq!(put(&mut client, &pull, "team/app").status, 401);
    assert_eq!(put(&mut client, &push, "team/other").status, 401);
    for path in [
        "/v2/",
        "/v2/team/app/manifests/v1",
        "/v2/team/app/tags/list",
        "/v2/team/app/_oci/tag-history/v1",
    ] {
        assert_eq!(get(&mut client, &pull, path).status, 200, "{path}");
    }
    let delete = |client: &mut Client, token: &str| {
        with_token(client.request("DELETE", "/v2/team/app/manifests/v1"), token)
            .send()
            .status
    };
    assert_eq!(
        (
            delete(&mut client, &push),
            delete(&mut client, &signer.token(&["repository:team/app:delete"]))
        ),
        (401, 202)
    );
    let history = tokened.server.cli(&["tag", "history", "team/app:v1"]);
    assert!(
        String::from_utf8(history.stdout)
            .expect("text")
            .contains("joe")
    );
}

#[test]
fn the_catalog_needs_a_token_of_its_own() {
    let tokened = Tokened::start();
    let (mut client, signer) = (tokened.server.client(), &tokened.signer);
    let pull = signer.token(&["repository:team/app:pull"]);
    let refused = get(&mut client, &pull, "/v2/_catalog");
    refused.refused(401, "UNAUTHORIZED");
    assert_eq!(
        refused.json()["errors"][0]["detail"],
        json!([{ "Type": "registry", "Class": "", "Name": "catalog", "Action": "*" }])
    );
    let challenge = r#"Bearer realm="https://auth.example.com/token",service="the service",scope="registry:catalog:*",error="insufficient_scope""#;
    assert_eq!(refused.header("www-authenticate"), Some(challenge));
    let catalog = signer.token(&["registry:catalog:*"]);
    assert_eq!(get(&mut client, &catalog, "/v2/_catalog").status, 200);
}

/// Distribution answers 401 to the whole request, and clients give up or start again without the mount.
#[test]
fn a_mount_from_an_unreadable_repository_becomes_an_upload() {
    let tokened = Tokened::start();
    let (mut client, signer) = (tokened.server.client(), &tokened.signer);
    let digest = push_blob(
        &mut client,
        &signer.token(&["repository:secret:pull,push"]),
        "secret",
        b"a secret",
    );
    let mut mount = |token: &str, query: &str| {
        let path = format!("/v2/app/blobs/uploads/?mount={digest}{query}");
        with_token(client.request("POST", &path), token).send()
    };
    let to_app = signer.token(&["repository:app:pull,push"]);
    for query in ["&from=secret", ""] {
        let response = mount(&to_app, query);
        assert_eq!(response.status, 202, "{query}: {response:?}");
        assert!(
            response
                .header("location")
                .expect("a location")
                .contains("/v2/app/blobs/uploads/")
        );
    }
    let challenge = mount("x", "&from=secret")
        .header("www-authenticate")
        .expect("a challenge")
        .to_owned();
    assert!(
        challenge.contains(
            r#"scope="repository:app:pull,push repository:secret:pull",error="invalid_token""#
        ),
        "{challenge}"
    );
    assert_eq!(
        mount(
            &signer.token(&["repository:app:pull,push", "repository:secret:pull"]),
            "&from=secret"
        )
        .status,
        201
    );
}

#[test]
fn keys_are_rotated_without_a_restart() {
    let tokened = Tokened::start();
    let next = Signer::new("second");
    let path = tokened.directory.path().join("jwks.json");
    let status = |signer: &Signer| {
        with_token(
            tokened.server.client().request("GET", "/v2/"),
            &signer.token(&[]),
        )
        .send()
        .status
    };
    assert_eq!((status(&tokened.signer), status(&next)), (200, 401));
    std::fs::write(
        path.with_extension("new"),
        json!({ "keys": [next.jwk] }).to_string(),
    )
    .expect("a file");
    std::fs::rename(path.with_extension("new"), &path).expect("another file");
    // the new key first: it has the file read now, not only after a millisecond
    assert_eq!((status(&next), status(&tokened.signer)), (200, 401));
    std::fs::write(&path, "no keys").expect("a file");
    // without any login meanwhile
    eventually("a file that stays broken is reported", || {
        tokened.server.log().contains("so the last good one stays")
    });
    assert_eq!(status(&next), 200);
    std::fs::write(&path, json!({ "keys": [next.jwk] }).to_string()).expect("a file");
    eventually("a repaired file is reported", || {
        tokened.server.log().contains("can be used again")
    });
}

#[test]
fn tokens_of_a_server_behind_the_same_address() {
    let trusting = Tokened::with(
        &json!({ "autoredirect": true }),
        &[("REGISTRY_HTTP_TRUSTEDPROXIES", "[127.0.0.1]")],
    );
    let challenge_of = |tokened: &Tokened, headers: &[(&str, &str)]| {
        let mut client = tokened.server.client();
        let request = headers
            .iter()
            .fold(client.request("GET", "/v2/"), |request, (name, value)| {
                request.header(name, value)
            });
        request
            .send()
            .header("www-authenticate")
            .expect("a challenge")
            .to_owned()
    };
    let address = trusting.server.address();
    let challenge = |headers: &[(&str, &str)]| challenge_of(&trusting, headers);
    assert_eq!(
        challenge(&[]),
        format!(r#"Bearer realm="https://{address}/auth/token",service="the service""#)
    );
    let told = challenge(&[
        ("X-Forwarded-Proto", "http"),
        ("X-Forwarded-Host", "registry.lan:8080"),
    ]);
    assert_eq!(
        told,
        r#"Bearer realm="http://registry.lan:8080/auth/token",service="the service""#
    );
    let hostile = challenge(&[
        ("X-Forwarded-Proto", "javascript"),
        ("X-Forwarded-Host", "evil\",error=\"x"),
    ]);
    assert_eq!(
        hostile,
        format!(r#"Bearer realm="https://{address}/auth/token",service="the service""#)
    );
    // an untrusted peer's headers are ignored
    let elsewhere = Tokened::with(
        &json!({ "autoredirect": true, "autoredirectpath": "/token" }),
        &[],
    );
    let own = format!(
        r#"Bearer realm="https://{}/token",service="the service""#,
        elsewhere.server.address()
    );
    assert_eq!(
        challenge_of(
            &elsewhere,
            &[
                ("X-Forwarded-Proto", "http"),
                ("X-Forwarded-Host", "evil.example")
            ]
        ),
        own
    );
}

fn ask(tokened: &Tokened, token: &str) -> u16 {
    with_token(tokened.server.client().request("GET", "/v2/"), token)
        .send()
        .status
}

/// Contents of a token are never logged, and an expired or outdated token is no attack.
#[test]
fn the_log_names_forged_tokens_and_other_rejections_once() {
    let tokened = Tokened::start();
    let signed = |claims: Value| {
        let header = Header {
            kid: Some("first".to_owned()),
            ..Header::new(Algorithm::EdDSA)
        };
        encode(&header, &claims, &tokened.signer.key).expect("a token")
    };
    let forged = Signer::new("first").token(&[]);
    assert_eq!(
        (ask(&tokened, &forged), ask(&tokened, "garbage")),
        (401, 401)
    );
    let now = get_current_timestamp();
    let expired = signed(json!({ "iss": "the issuer", "aud": "the service", "exp": now - 3600 }));
    let elsewhere =
        signed(json!({ "iss": "the issuer", "aud": "another service", "exp": now + 60 }));
    let of_a_new_key = Signer::new("next").token(&[]);
    // more often than the lockout allows failures
    for _ in 0..20 {
        for unfit in [&expired, &elsewhere, &of_a_new_key] {
            assert_eq!(ask(&tokened, unfit), 401);
        }
    }
    assert_eq!(ask(&tokened, &tokened.signer.token(&[])), 200);
    let log = tokened.server.log();
    assert_eq!(
        (
            log.matches("login failed").count(),
            log.matches("token rejected").count()
        ),
        (2, 2),
        "{log}"
    );
    for reason in [
        "token with a wrong signature",
        "malformed token",
        "token for another service",
        "token of an unknown key",
    ] {
        assert!(
            log.contains(&format!("reason=\"{reason}\"")),
            "{reason}: {log}"
        );
    }
    for token in [&forged, &expired, &elsewhere] {
        assert!(!log.contains(&token[..20]), "{log}");
    }
}

/// An address that sends tokens of no known server is throttled without flooding the log; a valid
/// token is still accepted.
#[test]
fn an_address_that_sends_invalid_tokens_is_throttled() {
    let tokened = Tokened::start();
    let garbage: Vec<_> = (0..40)
        .map(|number| ask(&tokened, &format!("garbage{number}")))
        .collect();
    let looked_at = garbage.iter().filter(|status| **status == 401).count();
    assert!(
        garbage[..11].iter().all(|status| *status == 401) && garbage[11] == 429 && looked_at < 20,
        "{garbage:?}"
    );
    assert_eq!(ask(&tokened, &tokened.signer.token(&[])), 200);
    let log = tokened.server.log();
    assert_eq!(
        (
            log.matches("login failed").count(),
            log.matches("too many failed logins").count()
        ),
        (looked_at, looked_at - 10),
        "{log}"
    );
}

/// Tokens of distribution 2 name their key by libtrust's id, which no set of keys holds.
#[test]
fn a_token_names_a_key_of_the_set_by_an_id_that_follows_from_it() {
    let text = include_str!("tokens/tokens.json");
    let fixture: serde_json::Value = serde_json::from_str(text).expect("JSON");
    let directory = tempfile::TempDir::new().expect("a directory");
    let mut nameless = fixture["jwks"].clone();
    for key in nameless["keys"].as_array_mut().expect("a list") {
        key.as_object_mut().expect("an object").remove("kid");
    }
    for (set, has_names) in [(&fixture["jwks"], true), (&nameless, false)] {
        let path = directory.path().join("jwks.json");
        std::fs::write(&path, set.to_string()).expect("a file");
        let auth = json!({ "token": { "realm": "https://auth.example.com/token", "service": "the service", "issuer": "the issuer", "jwks": path } });
        let server = Server::with(&[("REGISTRY_AUTH", &auth.to_string())]);
        let mut client = server.client();
        for (name, status) in [
            ("libtrust RS256", 404),
            ("thumbprint PS384", 404),
            ("thumbprint EdDSA", 404),
            ("jwks PS256", if has_names { 404 } else { 401 }),
            ("libtrust ES256", 401),
        ] {
            let token = fixture["good"][name].as_str().expect("a token");
            let request = client.request("GET", "/v2/team/app/tags/list");
            assert_eq!(with_token(request, token).send().status, status, "{name}");
        }
    }
}
