//! The token service: tokens for logins and without one, and what they are worth.

use std::fs;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};

use super::machine_tokens::{fill, run, token};
use super::{Guarded, as_user, line};
use crate::support::OCI_MANIFEST;
use crate::support::client::Response;

const V1: &str = "/v2/team/app/manifests/v1";
const OTHER: &str = "/v2/other/app/manifests/v1";

/// Everybody may pull `other/app`, and `ann` do everything.
fn open_to_all() -> Guarded {
    let rules = json!({ "rules": [
        { "repositories": "**", "who": "ann", "may": "admin" },
        { "repositories": "other/**", "who": "anonymous", "may": "pull" },
        { "repositories": "team/**", "who": "bob", "may": "pull" },
    ] });
    let users = line("ann", "secret") + &line("bob", "secret");
    let guarded = Guarded::set_up(&users, &[("REGISTRY_ACCESS", &rules.to_string())]);
    fill(&guarded);
    guarded
}

/// Asks for a token, as a user or without a login.
pub(super) fn ask(guarded: &Guarded, login: Option<(&str, &str)>, query: &str) -> Response {
    let mut client = guarded.client();
    let path = format!("/v2/_token?service=registry{query}");
    let request = client.request("GET", &path);
    match login {
        Some((user, password)) => as_user(request, user, password).send(),
        None => request.send(),
    }
}

pub(super) fn bearer(response: &Response) -> String {
    assert_eq!(response.status, 200, "{}", response.json());
    let answer = response.json();
    assert_eq!(answer["token"], answer["access_token"]);
    assert!(answer["expires_in"].as_u64() >= Some(300), "{answer}");
    assert!(answer["issued_at"].is_string(), "{answer}");
    answer["token"].as_str().expect("a token").to_owned()
}

pub(super) fn with(guarded: &Guarded, token: &str, method: &str, path: &str) -> Response {
    let mut client = guarded.client();
    let request = client
        .request(method, path)
        .header("Content-Type", OCI_MANIFEST);
    request
        .header("Authorization", &format!("Bearer {token}"))
        .send()
}

fn challenge(response: &Response) -> String {
    response.refused(401, "UNAUTHORIZED");
    let challenge = response.header("www-authenticate");
    challenge.expect("a challenge").to_owned()
}

fn access(token: &str) -> Value {
    let body = token.split('.').nth(1).expect("a body");
    let body = URL_SAFE_NO_PAD.decode(body).expect("base64");
    let claims: Value = serde_json::from_slice(&body).expect("claims");
    claims["access"].clone()
}

#[test]
fn the_challenge_is_bearer_where_basic_cannot_serve_all() {
    let guarded = Guarded::with(&line("ann", "secret"));
    let asked = |guarded: &Guarded| challenge(&guarded.client().get("/v2/"));
    assert!(asked(&guarded).starts_with("Basic realm="));
    token(&guarded, &["ci"]);
    let address = guarded.server.address();
    let realm = format!("Bearer realm=\"http://{address}/v2/_token\",service=\"registry\"");
    assert_eq!(asked(&guarded), realm);
    // one challenge, with the scope
    let refused = guarded.client().get(V1);
    assert_eq!(
        challenge(&refused),
        format!("{realm},scope=\"repository:team/app:pull\"")
    );
    run(&guarded, &["revoke", "ci"]);
    assert!(asked(&guarded).starts_with("Basic realm="));
    assert!(asked(&open_to_all()).starts_with("Bearer realm="));
}

#[test]
fn the_challenge_may_be_fixed_and_its_realm_follows_the_host() {
    let users = line("ann", "secret");
    let auth = |path: &std::path::Path, challenge: &str| {
        json!({ "htpasswd": { "realm": "r", "path": path }, "challenge": challenge }).to_string()
    };
    let directory = tempfile::TempDir::new().expect("a directory");
    let path = directory.path().join("htpasswd");
    fs::write(&path, users).expect("a file");
    let asked = |variables: &[(&str, &str)]| {
        let server = crate::support::Server::with(variables);
        let mut client = server.client();
        let said = challenge(&client.get("/v2/"));
        said.replace(server.address(), "HOST")
    };
    let bearer = auth(&path, "bearer");
    assert_eq!(
        asked(&[("REGISTRY_AUTH", &bearer)]),
        "Bearer realm=\"http://HOST/v2/_token\",service=\"registry\""
    );
    assert_eq!(
        asked(&[
            ("REGISTRY_AUTH", &bearer),
            ("REGISTRY_HTTP_HOST", "https://hub.example.com/sub"),
        ]),
        "Bearer realm=\"https://hub.example.com/sub/v2/_token\",service=\"registry\""
    );
    let rules = json!({ "rules": [{ "repositories": "**", "who": "anonymous", "may": "pull" }] });
    assert_eq!(
        asked(&[
            ("REGISTRY_AUTH", &auth(&path, "basic")),
            ("REGISTRY_ACCESS", &rules.to_string()),
        ]),
        "Basic realm=\"r\""
    );
}

#[test]
fn whoever_has_no_login_pulls_what_is_public() {
    let guarded = open_to_all();
    let scopes = "&scope=repository:other/app:pull,push&scope=repository:team/app:pull";
    let anonymous = bearer(&ask(&guarded, None, scopes));
    let granted = json!([{ "type": "repository", "name": "other/app", "actions": ["pull"] }]);
    assert_eq!(access(&anonymous), granted, "the scopes shrink");
    assert_eq!(with(&guarded, &anonymous, "GET", "/v2/").status, 200);
    assert_eq!(with(&guarded, &anonymous, "GET", OTHER).status, 200);
    // with a login it may be had: the client is asked for one
    for (method, path) in [
        ("GET", V1),
        ("PUT", OTHER),
        ("GET", "/v2/none/manifests/v1"),
    ] {
        let said = challenge(&with(&guarded, &anonymous, method, path));
        assert!(said.contains("error=\"insufficient_scope\""), "{said}");
    }
    // podman sends an empty login
    bearer(&ask(&guarded, Some(("", "")), scopes));
}

#[test]
fn a_login_gets_what_it_asks_for_and_may_have() {
    let guarded = open_to_all();
    let ann = Some(("ann", "secret"));
    let scopes = "&account=ann&client_id=docker&offline_token=true&scope=repository:team/app:pull";
    let pulls = bearer(&ask(&guarded, ann, scopes));
    assert_eq!(with(&guarded, &pulls, "GET", V1).status, 200);
    // she may, but did not ask for it
    for (method, path) in [("DELETE", V1), ("GET", OTHER), ("GET", "/v2/_catalog")] {
        let said = challenge(&with(&guarded, &pulls, method, path));
        assert!(said.contains("error=\"insufficient_scope\""), "{said}");
    }
    let all = bearer(&ask(
        &guarded,
        ann,
        "&scope=repository:team/app:*%20registry:catalog:*",
    ));
    assert_eq!(with(&guarded, &all, "GET", "/v2/_catalog").status, 200);
    assert_eq!(with(&guarded, &all, "DELETE", V1).status, 202);
    // unknown scopes are no error; a login needs none
    for scopes in [
        "",
        "&scope=fly:me:up&scope=&scope=repository:A:pull&scope=repository:x",
    ] {
        let empty = bearer(&ask(&guarded, ann, scopes));
        assert_eq!(access(&empty), json!([]));
        assert_eq!(with(&guarded, &empty, "GET", "/v2/").status, 200);
    }
    // what bob may not do he is refused as with his password
    let bob = bearer(&ask(
        &guarded,
        Some(("bob", "secret")),
        "&scope=repository:team/app:*",
    ));
    with(&guarded, &bob, "DELETE", V1).refused(403, "DENIED");
    with(&guarded, &bob, "DELETE", "/v2/secret/manifests/v1").refused(404, "NAME_UNKNOWN");
    // a login sent unasked counts
    let mut client = guarded.client();
    let unasked = as_user(client.request("GET", OTHER), "ann", "secret").send();
    assert_eq!(unasked.status, 200);
}

#[test]
fn wrong_credentials_are_refused_with_any_scope() {
    let guarded = open_to_all();
    let flags = ["ci", "--repositories", "**", "--may", "pull"];
    let secret = token(&guarded, &flags);
    run(&guarded, &["revoke", "ci"]);
    for login in [("ann", "wrong"), ("nobody", "secret"), ("ann", &secret)] {
        for scope in ["", "&scope=repository:other/app:pull"] {
            let said = challenge(&ask(&guarded, Some(login), scope));
            assert!(said.starts_with("Basic "), "{said}");
        }
    }
    let revoked = ask(&guarded, Some(("ann", &secret)), "");
    let said = revoked.json()["errors"][0]["message"].to_string();
    assert!(said.contains("was revoked"), "{said}");
    // guessing here is guessing
    let refused = (0..20).map(|number| {
        let password = format!("guess{number}");
        ask(&guarded, Some(("ann", &password)), "").status
    });
    assert!(refused.collect::<Vec<_>>().contains(&429));
}

/// Sends a form.
fn form(guarded: &Guarded, body: &str) -> Response {
    let mut client = guarded.client();
    let request = client.request("POST", "/v2/_token");
    let request = request.header("Content-Type", "application/x-www-form-urlencoded");
    request.body(body.as_bytes()).send()
}

#[test]
fn a_form_is_answered_like_a_query() {
    let guarded = open_to_all();
    let body = "grant_type=password&service=registry&client_id=containerd-client&username=ann&password=secret\
                &scope=repository%3Ateam%2Fapp%3Apull%2Cpush+repository%3Aother%2Fapp%3Apull";
    let both = bearer(&form(&guarded, body));
    for path in [V1, OTHER] {
        assert_eq!(with(&guarded, &both, "GET", path).status, 200);
    }
    challenge(&form(&guarded, &body.replace("secret", "wrong")));
    let anonymous = bearer(&form(&guarded, "scope=repository%3Aother%2Fapp%3Apull"));
    assert_eq!(with(&guarded, &anonymous, "GET", OTHER).status, 200);
    form(&guarded, "grant_type=client_credentials").refused(400, "UNSUPPORTED");
    // where clients keep a token for good
    let secret = token(&guarded, &["ci", "--repositories", "**", "--may", "pull"]);
    let scope = "&scope=repository:team/app:pull";
    let kept = format!("grant_type=refresh_token&refresh_token={secret}{scope}");
    let kept = bearer(&form(&guarded, &kept));
    assert_eq!(with(&guarded, &kept, "GET", V1).status, 200);
    // bounded in size, whatever is asked for
    let many: String = (0..300)
        .map(|number| format!("&scope=repository:other/app{number}:pull"))
        .collect();
    let query = bearer(&ask(&guarded, Some(("ann", "secret")), &many));
    assert!(query.len() < 8000, "{}", query.len());
    let too_many = many.repeat(4);
    form(&guarded, &too_many).refused(413, "UNSUPPORTED");
}

#[test]
fn a_token_is_worth_what_its_credential_is_worth_now() {
    let guarded = open_to_all();
    let scope = "&scope=repository:team/app:pull";
    let secret = token(&guarded, &["ci", "--repositories", "**", "--may", "pull"]);
    let of_token = bearer(&ask(&guarded, Some(("x", &secret)), scope));
    let of_bob = bearer(&ask(&guarded, Some(("bob", "secret")), scope));
    for bearer in [&of_token, &of_bob] {
        assert_eq!(with(&guarded, bearer, "GET", V1).status, 200);
    }
    run(&guarded, &["revoke", "ci"]);
    let said = challenge(&with(&guarded, &of_token, "GET", V1));
    assert!(said.contains("error=\"invalid_token\""), "{said}");
    let others = line("ann", "secret");
    for users in [others.clone() + &line("bob", "other"), others] {
        fs::write(&guarded.path, users).expect("a file");
        let said = challenge(&with(&guarded, &of_bob, "GET", V1));
        assert!(said.contains("error=\"invalid_token\""), "{said}");
    }
}

#[test]
fn rights_are_those_of_the_rules_now() {
    let directory = tempfile::TempDir::new().expect("a directory");
    let path = directory.path().join("config.yml");
    let users = directory.path().join("htpasswd");
    fs::write(&users, line("ann", "secret")).expect("a file");
    let configure = |may: &str| {
        let config = json!({
            "version": "0.1",
            "auth": { "htpasswd": { "realm": "r", "path": users } },
            "access": { "rules": [{ "repositories": "**", "who": "ann", "may": may }] },
        });
        fs::write(&path, config.to_string()).expect("a file");
    };
    configure("admin");
    let config = path.display().to_string();
    let server = crate::support::Server::with(&[("REGISTRY_CONFIGURATION_PATH", &config)]);
    let guarded = Guarded {
        server,
        path: users.clone(),
        _directory: directory,
    };
    fill(&guarded);
    let scope = "&scope=repository:team/app:pull,delete";
    let token = bearer(&ask(&guarded, Some(("ann", "secret")), scope));
    assert_eq!(with(&guarded, &token, "GET", V1).status, 200);
    configure("pull");
    guarded.server.hang_up();
    crate::support::eventually("the rules change", || {
        with(&guarded, &token, "DELETE", "/v2/team/app/manifests/none").status == 403
    });
    assert_eq!(with(&guarded, &token, "GET", V1).status, 200);
}

#[test]
fn what_this_registry_did_not_sign_is_refused() {
    let guarded = open_to_all();
    let scope = "&scope=repository:team/app:pull";
    let good = bearer(&ask(&guarded, Some(("ann", "secret")), scope));
    let foreign = open_to_all();
    let other = bearer(&ask(&foreign, Some(("ann", "secret")), scope));
    let parts: Vec<_> = good.split('.').collect();
    let changed = URL_SAFE_NO_PAD.decode(parts[1]).expect("base64");
    let changed = String::from_utf8(changed).expect("text");
    let changed = URL_SAFE_NO_PAD.encode(changed.replace("team/app", "team/ap2"));
    let unsigned = URL_SAFE_NO_PAD.encode(json!({ "alg": "none", "typ": "JWT" }).to_string());
    let forged = [
        other,
        format!("{}.{changed}.{}", parts[0], parts[2]),
        format!("{unsigned}.{}.", parts[1]),
        good[..good.len() - 4].to_owned(),
        "x".to_owned(),
    ];
    for forged in forged {
        let said = challenge(&with(&guarded, &forged, "GET", V1));
        assert!(said.contains("error=\"invalid_token\""), "{said}");
    }
    // a token gets no other one
    let renewed = with(&guarded, &good, "GET", "/v2/_token");
    challenge(&renewed);
    assert_eq!(with(&guarded, &good, "GET", V1).status, 200);
}

#[test]
fn keys_outlive_the_server_and_are_in_no_backup() {
    let mut guarded = open_to_all();
    let scope = "&scope=repository:team/app:pull";
    let token = bearer(&ask(&guarded, Some(("ann", "secret")), scope));
    guarded.server.kill();
    guarded.server.restart();
    assert_eq!(with(&guarded, &token, "GET", V1).status, 200);
    let disk = tempfile::TempDir::new().expect("a directory");
    let to = disk.path().join("backup");
    let output = guarded.server.cli(&["backup", to.to_str().expect("text")]);
    assert!(output.status.success(), "{output:?}");
    let keys = |path: &std::path::Path| {
        let database = rusqlite::Connection::open(path).expect("a database");
        let sql = "SELECT secret FROM signing_keys";
        let mut keys = database.prepare(sql).expect("a table");
        let keys = keys.query_map([], |row| row.get::<_, Vec<u8>>(0));
        let keys: Result<Vec<_>, _> = keys.expect("rows").collect();
        keys.expect("keys")
    };
    let own = keys(&guarded.server.directory().join("registry.db"));
    assert_eq!((own.len(), own[0].len()), (1, 32));
    let copy = to.join("registry.db");
    assert!(keys(&copy).is_empty());
    let bytes = fs::read(&copy).expect("a file");
    assert!(!bytes.windows(32).any(|window| window == own[0]));
}
