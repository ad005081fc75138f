//! Logging in to the page at an issuer: authorization code with PKCE.

use std::collections::HashMap;

use jsonwebtoken::Algorithm;
use serde_json::{Value, json};

use super::sessions::{OWN, form, text, with_cookie};
use crate::login::trust::issuer::{Issuer, Signer};
use crate::login::{Guarded, line};
use crate::support::client::Response;
use crate::support::{Image, Server, eventually};

/// An issuer, and a server at which its people log in.
struct Town {
    issuer: Issuer,
    signer: Signer,
    guarded: Guarded,
    _directory: tempfile::TempDir,
}

/// A login that has begun.
struct Begun {
    cookie: String,
    asked: HashMap<String, String>,
}

fn town(oidc: Value) -> Town {
    let signer = Signer::new("k1", Algorithm::ES256);
    let issuer = Issuer::start(&[&signer]);
    let directory = tempfile::TempDir::new().expect("a directory");
    let secret = directory.path().join("secret");
    std::fs::write(&secret, "s3:cret\n").expect("written");
    let mut section = json!({
        "issuer": issuer.url, "clientid": "the registry", "secretfile": secret, "ca": issuer.ca, "name": "Town hall",
    });
    let fields = oidc.as_object().expect("an object").clone();
    section.as_object_mut().expect("an object").extend(fields);
    let rules = json!({
        "groups": { "devs": [], "bosses": [] },
        "rules": [
            { "repositories": "public/**", "who": "anonymous", "may": "pull" },
            { "repositories": "secret/**", "who": "@devs", "may": "pull" },
            { "repositories": "home/{user}/**", "who": "users", "may": "pull" },
            { "repositories": "**", "who": ["@bosses", "boss"], "may": "admin" },
        ],
    });
    let guarded = Guarded::set_up(
        &line("boss", "secret"),
        &[
            ("REGISTRY_ACCESS", &rules.to_string()),
            ("REGISTRY_UI", &json!({ "oidc": section }).to_string()),
        ],
    );
    for name in ["public/app", "secret/app", "home/zoe/app", "other/app"] {
        crate::api::people::push(&guarded, &Image::small(1), name, "v1");
    }
    Town {
        issuer,
        signer,
        guarded,
        _directory: directory,
    }
}

impl Town {
    fn server(&self) -> &Server {
        &self.guarded.server
    }

    fn begin(&self, to: &str) -> Begun {
        let path = format!("/ui/login/issuer?to={to}");
        let sent = self.server().client().get(&path);
        assert_eq!(sent.status, 303, "{}", text(&sent));
        let cookie = sent.header("set-cookie").expect("a cookie");
        assert!(cookie.contains("HttpOnly; SameSite=Lax"), "{cookie}");
        let address = sent.header("location").expect("an address");
        let start = format!("{}/authorize?realm=team&", self.issuer.url);
        let query = address.strip_prefix(&start).expect(address);
        Begun {
            cookie: cookie.split(';').next().expect("a cookie").to_owned(),
            asked: form_urlencoded::parse(query.as_bytes())
                .into_owned()
                .collect(),
        }
    }

    fn claims(&self, begun: &Begun) -> Value {
        let now = jiff::Timestamp::now().as_second();
        json!({
            "iss": self.issuer.url, "aud": "the registry", "sub": "id-7", "exp": now + 300, "iat": now,
            "nonce": begun.asked["nonce"], "preferred_username": "zoe", "groups": ["/devs", "unknown"],
        })
    }

    /// Lets the browser come back with a code for these claims.
    fn come_back(&self, begun: &Begun, claims: &Value) -> Response {
        let challenge = &begun.asked["code_challenge"];
        self.issuer
            .give("code", self.signer.sign(claims), challenge);
        self.come_with(begun, &format!("code=code&state={}", begun.asked["state"]))
    }

    fn come_with(&self, begun: &Begun, query: &str) -> Response {
        with_cookie(
            self.server(),
            &format!("/ui/login/return?{query}"),
            &begun.cookie,
        )
    }
}

/// Cookies that an answer sets, by name.
fn cookies(answer: &Response) -> HashMap<String, String> {
    let headers = answer
        .headers
        .iter()
        .filter(|(name, _)| name == "set-cookie");
    let pairs = headers.filter_map(|(_, value)| value.split(';').next()?.split_once('='));
    pairs
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .collect()
}

#[test]
fn a_person_logs_in_at_the_issuer_and_out_again() {
    let town = town(json!({}));
    let server = town.server();
    let login = text(&server.client().get("/ui/login?to=%3Fview%3Dflat"));
    assert!(
        login.contains("href=\"./login/issuer?to=%3Fview%3Dflat\">Log in with <bdi>Town hall"),
        "{login}"
    );
    let begun = town.begin("%3Fview%3Dflat");
    let back = format!("http://{}/ui/login/return", server.address());
    for (name, value) in [
        ("response_type", "code"),
        ("client_id", "the registry"),
        ("redirect_uri", &back),
        ("scope", "openid profile email"),
        ("code_challenge_method", "S256"),
    ] {
        assert_eq!(begun.asked[name], value);
    }
    let done = town.come_back(&begun, &town.claims(&begun));
    assert_eq!(done.status, 303, "{}", text(&done));
    assert_eq!(done.header("location"), Some("/ui/?view=flat"));
    let set = cookies(&done);
    assert_eq!(set["tarkeep-login"], "");
    let cookie = format!("tarkeep={}", set["tarkeep"]);
    let (body, authorization) = town.issuer.exchanged();
    assert!(
        body.contains("grant_type=authorization_code") && body.contains("code_verifier="),
        "{body}"
    );
    // "the registry" and "s3:cret", encoded before they are joined
    assert_eq!(
        authorization.as_deref(),
        Some("Basic dGhlK3JlZ2lzdHJ5OnMzJTNBY3JldA==")
    );
    let page = text(&with_cookie(server, "/ui/?view=flat", &cookie));
    for (name, is_seen) in [
        ("secret/", true),
        ("home/zoe/", true),
        ("public/", true),
        ("other/", false),
    ] {
        assert_eq!(page.contains(name), is_seen, "{name}: {page}");
    }
    assert!(page.contains("<bdi>zoe</bdi>"), "{page}");
    assert_eq!(
        with_cookie(server, "/v2/secret/app/tags/list", &cookie).status,
        401
    );
    assert_eq!(with_cookie(server, "/ui/tokens", &cookie).status, 403);
    let told = server.cli(&["audit", "--action", "login", "-ojson"]);
    let told: Value = serde_json::from_slice(&told.stdout).expect("JSON");
    assert_eq!(told["events"][0]["who"]["name"], "zoe");
    assert_eq!(told["events"][0]["credential"], "id-7");
    let out = form(server, "/ui/logout", "", &[OWN, ("Cookie", &cookie)]);
    assert_eq!(out.status, 200, "{}", text(&out));
    let home = format!(
        "http%3A%2F%2F{}%2Fui%2F",
        server.address().replace(':', "%3A")
    );
    let leads = format!(
        "0; url={}/logout?client_id=the+registry&post_logout_redirect_uri={home}",
        town.issuer.url
    );
    assert_eq!(out.header("refresh"), Some(&*leads));
    assert!(text(&out).contains("Log out at <bdi>Town hall"));
    assert!(!text(&with_cookie(server, "/ui/?view=flat", &cookie)).contains("secret/"));
}

/// A town whose people must be of a team.
fn strict() -> Town {
    town(json!({ "require": { "team": ["red", "blue"] } }))
}

impl Town {
    fn member(&self, begun: &Begun) -> Value {
        let mut claims = self.claims(begun);
        claims["team"] = json!("red");
        claims
    }
}

fn refused(answer: &Response, words: &str) {
    assert_eq!(answer.status, 403, "{words}: {}", text(answer));
    assert!(text(answer).contains(words), "{words}: {}", text(answer));
    assert!(!cookies(answer).contains_key("tarkeep"), "{words}");
}

/// Whatever is not exactly the login that this browser has begun.
#[test]
fn a_token_that_is_not_of_this_login_is_refused() {
    let town = strict();
    let past = jiff::Timestamp::now().as_second() - 3600;
    for (claim, value, words) in [
        ("nonce", json!("other"), "of another login"),
        ("nonce", Value::Null, "of another login"),
        ("aud", json!("other"), "for another service"),
        ("azp", json!("other"), "that another asked for"),
        ("iss", json!("https://evil.example"), "not trusted"),
        ("exp", json!(past), "expired"),
        ("team", json!("green"), "team is"),
        ("team", Value::Null, "team is missing"),
        ("preferred_username", Value::Null, "no user name"),
        ("preferred_username", json!("token:ci"), "no user name"),
        ("preferred_username", json!("boss"), "the password file"),
    ] {
        let begun = town.begin("");
        let mut claims = town.member(&begun);
        claims[claim] = value;
        refused(&town.come_back(&begun, &claims), words);
    }
    eventually("the refusals are in the audit log", || {
        let words = ["audit", "--action", "login-refused", "-ojson"];
        let told = town.server().cli(&words);
        String::from_utf8_lossy(&told.stdout).contains("of another login")
    });
}

#[test]
fn a_browser_that_has_not_begun_the_login_is_refused() {
    let town = strict();
    let begun = town.begin("");
    let forger = Signer::new("k1", Algorithm::ES256);
    let (state, challenge) = (&begun.asked["state"], &begun.asked["code_challenge"]);
    let code = |state: &str| format!("code=code&state={state}");
    town.issuer
        .give("code", forger.sign(&town.member(&begun)), challenge);
    refused(&town.come_with(&begun, &code(state)), "wrong signature");
    let give = |challenge: &str| {
        town.issuer
            .give("code", town.signer.sign(&town.member(&begun)), challenge)
    };
    give("of another");
    refused(&town.come_with(&begun, &code(state)), "invalid_grant");
    give(challenge);
    for query in [
        code("other"),
        "code=code".to_owned(),
        format!("{}&iss=https://evil.example", code(state)),
    ] {
        refused(&town.come_with(&begun, &query), "not begun here");
    }
    refused(
        &town.come_with(&begun, &format!("error=access_denied&state={state}")),
        "access_denied",
    );
    let another = town.begin("");
    refused(&town.come_with(&another, &code(state)), "not begun here");
    let without = Begun {
        cookie: "a=b".to_owned(),
        asked: HashMap::new(),
    };
    refused(&town.come_with(&without, &code(state)), "begun no login");
    let evil = town.begin("%2e%2e%2fv2%2f");
    assert_eq!(
        town.come_back(&evil, &town.member(&evil))
            .header("location"),
        Some("/ui/")
    );
    give(challenge);
    assert_eq!(town.come_with(&begun, &code(state)).status, 303);
    refused(&town.come_with(&begun, &code(state)), "invalid_grant");
}

#[test]
fn an_address_must_be_verified() {
    let town = town(json!({ "user": "email" }));
    for (is_verified, status) in [(json!(true), 303), (json!(false), 403), (Value::Null, 403)] {
        let begun = town.begin("");
        let mut claims = town.claims(&begun);
        claims["email"] = json!("zoe@example.com");
        claims["email_verified"] = is_verified;
        let answer = town.come_back(&begun, &claims);
        assert_eq!(answer.status, status, "{}", text(&answer));
    }
}

/// Those whom the issuer let in under other settings log in again.
#[test]
fn a_session_ends_with_the_settings_that_let_it_in() {
    let town = town(json!({}));
    let begun = town.begin("");
    let done = town.come_back(&begun, &town.claims(&begun));
    let cookie = format!("tarkeep={}", cookies(&done)["tarkeep"]);
    let is_in =
        |server: &Server| text(&with_cookie(server, "/ui/?view=flat", &cookie)).contains("secret/");
    assert!(is_in(town.server()));
    let Town {
        issuer,
        mut guarded,
        ..
    } = town;
    guarded.server.stop();
    let rules = json!({ "groups": { "devs": [] }, "rules": [
        { "repositories": "public/**", "who": "anonymous", "may": "pull" },
        { "repositories": "secret/**", "who": "@devs", "may": "pull" },
    ] })
    .to_string();
    let section = |client: &str| {
        json!({ "oidc": { "issuer": issuer.url, "clientid": client, "ca": issuer.ca } }).to_string()
    };
    let directory = guarded.server.directory();
    for (client, goes_on) in [("the registry", true), ("another", false)] {
        let variables = [
            ("REGISTRY_ACCESS", &*rules),
            ("REGISTRY_UI", &section(client)),
        ];
        assert_eq!(
            is_in(&Server::at(directory, &variables)),
            goes_on,
            "{client}"
        );
    }
}

#[test]
fn an_issuer_that_is_down_is_an_error_and_the_form_stays() {
    let town = town(json!({}));
    town.issuer.set_down(true);
    let answer = town.server().client().get("/ui/login/issuer");
    assert_eq!(answer.status, 503);
    let page = text(&answer);
    assert!(
        page.contains("cannot be asked") && page.contains("name=\"password\""),
        "{page}"
    );
    assert!(
        town.server()
            .log()
            .contains("nobody can log in to the page by the issuer")
    );
}
