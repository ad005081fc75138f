use std::collections::BTreeMap;
use std::path::Path;
use std::time::{SystemTime, UNIX_EPOCH};

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::{Algorithm, EncodingKey, Header, encode};
use proptest::prelude::*;
use serde::Deserialize;
use serde_json::{Value, json};

use super::bundle::Bundle;
use super::jwks::Jwks;
use super::settings::Settings;
use super::validator::{Fault, Validator, bearer};
use crate::auth::login::Rejection;
use crate::auth::{
    Access, Error, Identity, Login, Permission, Refusal, RequiredScopes, Scope,
    Settings as AuthSettings, is_authorized, is_unrestricted,
};
use crate::oci::RepositoryName;

/// Tokens of go-jose; `tests/login/tokens/main.go` makes them.
#[derive(Deserialize)]
struct Fixture {
    bundle: String,
    jwks: Value,
    good: BTreeMap<String, String>,
    bad: BTreeMap<String, String>,
}

fn fixture() -> Fixture {
    serde_json::from_str(include_str!("../../../tests/login/tokens/tokens.json")).unwrap()
}

struct Place {
    directory: tempfile::TempDir,
    settings: Settings,
    validator: Validator,
}

impl Place {
    fn with(
        bundle: Option<&str>,
        jwks: Option<&Value>,
        algorithms: &[&str],
    ) -> Result<Self, Error> {
        let directory = tempfile::tempdir().unwrap();
        let file = |name: &str, content: String| {
            let path = directory.path().join(name);
            std::fs::write(&path, content).unwrap();
            path
        };
        let settings = Settings {
            realm: "https://auth.example.com/token".to_owned(),
            service: "the service".to_owned(),
            issuer: "the issuer".to_owned(),
            root_certificates: bundle.map(|text| file("bundle.pem", text.to_owned())),
            jwks: jwks.map(|set| file("jwks.json", set.to_string())),
            algorithms: algorithms.iter().map(|&name| name.to_owned()).collect(),
            redirect_path: None,
        };
        Validator::open(settings.clone()).map(|validator| Self {
            directory,
            settings,
            validator,
        })
    }

    async fn verify(&self, token: &str) -> Result<Identity, Fault> {
        self.validator.verify(token.as_bytes()).await
    }
}

/// A key of our own, and the set it is in.
struct Signer {
    key: EncodingKey,
    set: Value,
}

impl Signer {
    fn new(id: &str) -> Self {
        use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair};
        let key = aws_lc_rs::signature::Ed25519KeyPair::generate_pkcs8(
            &aws_lc_rs::rand::SystemRandom::new(),
        )
        .unwrap();
        let public = Ed25519KeyPair::from_pkcs8(key.as_ref())
            .unwrap()
            .public_key()
            .as_ref()
            .to_vec();
        let jwk = json!({ "kty": "OKP", "crv": "Ed25519", "kid": id, "x": URL_SAFE_NO_PAD.encode(public) });
        Self {
            key: EncodingKey::from_ed_der(key.as_ref()),
            set: json!({ "keys": [jwk] }),
        }
    }

    fn sign(&self, id: &str, claims: &Value) -> String {
        let header = Header {
            kid: Some(id.to_owned()),
            ..Header::new(Algorithm::EdDSA)
        };
        encode(&header, claims, &self.key).unwrap()
    }
}

fn now() -> i64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap()
        .as_secs()
        .cast_signed()
}

fn claims() -> Value {
    let access = json!([{ "type": "repository", "name": "team/app", "actions": ["pull", "push"] }]);
    json!({ "iss": "the issuer", "aud": "the service", "sub": "joe", "exp": now() + 300, "nbf": now(), "access": access })
}

fn scope(name: &str, permission: Permission) -> Scope {
    Scope::repository(&RepositoryName::parse(name).unwrap(), permission)
}

#[tokio::test]
async fn tokens_of_another_library() {
    let fixture = fixture();
    let place = Place::with(Some(&fixture.bundle), Some(&fixture.jwks), &[]).unwrap();
    assert!(fixture.good.len() >= 17 && fixture.bad.len() >= 12);
    for (name, token) in &fixture.good {
        let identity = place
            .verify(token)
            .await
            .unwrap_or_else(|fault| panic!("{name}: {fault:?}"));
        assert_eq!(identity.name(), Some("joe"), "{name}");
        assert!(
            is_authorized(&identity, &scope("team/app", Permission::Pull))
                && !is_authorized(&identity, &scope("team/app", Permission::Push)),
            "{name}"
        );
    }
    for (name, token) in &fixture.bad {
        let outcome = place.verify(token).await;
        assert!(
            matches!(outcome, Err(Fault::Unfit(_) | Fault::Forged(_))),
            "{name}: {outcome:?}"
        );
    }
}

#[tokio::test]
async fn each_file_trusts_its_own_keys_only() {
    let fixture = fixture();
    let (bundle, jwks) = (
        Place::with(Some(&fixture.bundle), None, &[]).unwrap(),
        Place::with(None, Some(&fixture.jwks), &[]).unwrap(),
    );
    for (name, token) in &fixture.good {
        let is_of_the_set = name.starts_with("jwks");
        assert_eq!(bundle.verify(token).await.is_ok(), !is_of_the_set, "{name}");
        assert_eq!(jwks.verify(token).await.is_ok(), is_of_the_set, "{name}");
    }
}

#[tokio::test]
async fn only_listed_algorithms_are_taken() {
    let fixture = fixture();
    let place = Place::with(
        Some(&fixture.bundle),
        Some(&fixture.jwks),
        &["ES256", "PS256", "HS256"],
    )
    .unwrap();
    for (name, token) in &fixture.good {
        let algorithm = jsonwebtoken::decode_header(token).unwrap().alg;
        let is_listed = [Algorithm::ES256, Algorithm::PS256].contains(&algorithm);
        assert_eq!(place.verify(token).await.is_ok(), is_listed, "{name}");
    }
    for (names, word) in [
        (&["none"][..], "none"),
        (&["ES512"], "ES384"),
        (&["HS256"], "RS256"),
        (&["ES256", "rs256"], "rs256"),
    ] {
        let error = Place::with(Some(&fixture.bundle), None, names)
            .err()
            .unwrap()
            .to_string();
        assert!(
            error.contains("signingalgorithms") && error.contains(word),
            "{error}"
        );
    }
}

#[tokio::test]
async fn a_key_is_for_the_algorithm_that_it_says() {
    let fixture = fixture();
    let token = &fixture.good["jwks PS256"];
    for (algorithm, is_taken) in [("PS256", true), ("RS256", false), ("PS512", false)] {
        let mut set = fixture.jwks.clone();
        let key = set["keys"]
            .as_array_mut()
            .unwrap()
            .iter_mut()
            .find(|key| key["kid"] == "rsa of the set")
            .unwrap();
        key["alg"] = json!(algorithm);
        let place = Place::with(None, Some(&set), &[]).unwrap();
        assert_eq!(place.verify(token).await.is_ok(), is_taken, "{algorithm}");
    }
}

#[test]
fn a_chain_has_only_so_many_certificates() {
    let fixture = fixture();
    let bundle = Bundle::parse(fixture.bundle.as_bytes()).unwrap();
    // a trusted one first: no more would be looked at
    let trusted: String = fixture
        .bundle
        .split("-----")
        .nth(2)
        .unwrap()
        .split_whitespace()
        .collect();
    for (length, is_taken) in [(1, true), (10, true), (11, false)] {
        assert_eq!(
            bundle.key_of_chain(&vec![trusted.clone(); length]).is_ok(),
            is_taken,
            "{length}"
        );
    }
}

#[tokio::test]
async fn only_what_no_server_has_made_is_a_failed_login() {
    let signer = Signer::new("k");
    let place = Place::with(None, Some(&signer.set), &[]).unwrap();
    let show = async |token: &str| {
        let authorization = format!("Bearer {token}");
        let login = Login {
            authorization: Some(authorization.as_bytes()),
            address: None,
        };
        place.validator.authenticate(login).await
    };
    let (mut old, mut foreign) = (claims(), claims());
    (old["exp"], foreign["aud"]) = (json!(now() - 300), json!("another"));
    let good = signer.sign("k", &claims());
    let forged = signer
        .sign("k", &old)
        .rsplit_once('.')
        .unwrap()
        .0
        .to_owned()
        + "."
        + good.rsplit_once('.').unwrap().1;
    for unfit in [
        signer.sign("k", &old),
        signer.sign("k", &foreign),
        Signer::new("new").sign("new", &claims()),
    ] {
        for _ in 0..20 {
            assert!(matches!(
                show(&unfit).await,
                Err(Rejection::Unauthenticated { .. })
            ));
        }
    }
    // the second is an expired one, which nobody can tell before its signature is checked
    for number in 0..11 {
        assert!(
            matches!(
                show(if number % 2 == 0 { "garbage" } else { &forged }).await,
                Err(Rejection::Unauthenticated { .. })
            ),
            "{number}"
        );
    }
    assert!(matches!(
        show("garbage").await,
        Err(Rejection::Throttled { .. })
    ));
    assert!(show(&good).await.is_ok(), "a valid token has to wait");
    assert!(
        matches!(
            show(&signer.sign("k", &old)).await,
            Err(Rejection::Unauthenticated { .. })
        ),
        "an expired one has to wait"
    );
}

#[tokio::test]
async fn every_claim_is_checked() {
    let signer = Signer::new("k");
    let place = Place::with(None, Some(&signer.set), &[]).unwrap();
    let with = |name: &str, value: Value| {
        let mut claims = claims();
        // none at all, where it is null
        claims.as_object_mut().unwrap().retain(|key, _| key != name);
        if !value.is_null() {
            claims[name] = value;
        }
        signer.sign("k", &claims)
    };
    assert!(place.verify(&signer.sign("k", &claims())).await.is_ok());
    for (name, value) in [
        ("aud", json!(["another", "the service"])),
        ("exp", json!(now() - 50)),
        ("nbf", json!(now() + 50)),
        ("nbf", json!(null)),
        ("access", json!(null)),
        ("access", json!([])),
        ("sub", json!(null)),
    ] {
        assert!(
            place.verify(&with(name, value.clone())).await.is_ok(),
            "{name}: {value}"
        );
    }
    for (name, value) in [
        ("iss", json!("another")),
        ("iss", json!(["the issuer"])),
        ("iss", json!(null)),
        ("aud", json!("another")),
        ("aud", json!(["another"])),
        ("aud", json!([])),
        ("aud", json!("the service ")),
        ("aud", json!(null)),
        ("exp", json!(null)),
        ("exp", json!("tomorrow")),
        ("exp", json!(-1)),
        ("nbf", json!(now() + 120)),
        ("nbf", json!("yesterday")),
        ("access", json!("*")),
        (
            "access",
            json!([{ "type": "repository", "actions": ["pull"] }]),
        ),
    ] {
        let outcome = place.verify(&with(name, value.clone())).await;
        assert!(
            matches!(outcome, Err(Fault::Unfit(_) | Fault::Forged(_))),
            "{name}: {value}: {outcome:?}"
        );
    }
    assert_eq!(
        place
            .verify(&with("exp", json!(now() - 120)))
            .await
            .unwrap_err(),
        Fault::Expired
    );
}

#[tokio::test]
async fn access_is_what_is_listed_and_nothing_else() {
    let signer = Signer::new("k");
    let place = Place::with(None, Some(&signer.set), &[]).unwrap();
    let identity = async |access: Value| {
        let mut claims = claims();
        claims["access"] = access;
        place.verify(&signer.sign("k", &claims)).await.unwrap()
    };
    let one = identity(json!([{ "type": "repository", "name": "team/app", "actions": ["pull"], "class": "image" }])).await;
    assert!(is_authorized(&one, &scope("team/app", Permission::Pull)));
    for other in [
        scope("team/app", Permission::Push),
        scope("team", Permission::Pull),
        scope("team/app2", Permission::Pull),
        Scope::catalog(),
    ] {
        assert!(!is_authorized(&one, &other), "{other:?}");
    }
    let all =
        identity(json!([{ "type": "repository", "name": "team/app", "actions": ["*"] }])).await;
    assert!(
        is_authorized(&all, &scope("team/app", Permission::Delete))
            && !is_authorized(&all, &scope("team/other", Permission::Pull))
    );
    let catalog =
        identity(json!([{ "type": "registry", "name": "catalog", "actions": ["*"] }])).await;
    assert!(is_authorized(&catalog, &Scope::catalog()));
    assert!(!is_authorized(
        &catalog,
        &scope("catalog", Permission::Pull)
    ));
    let patterns = identity(
        json!([{ "type": "repository", "name": "*", "actions": ["pull"] }, { "type": "repository", "name": "team/*", "actions": ["pull"] }]),
    );
    assert!(!is_authorized(
        &patterns.await,
        &scope("team/app", Permission::Pull)
    ));
    assert!(!is_unrestricted(&one));
}

#[tokio::test]
async fn forged_tokens() {
    let signer = Signer::new("k");
    let place = Place::with(None, Some(&signer.set), &[]).unwrap();
    let good = signer.sign("k", &claims());
    let part = |value: Value| URL_SAFE_NO_PAD.encode(value.to_string());
    let [head, body, signature] = good.split('.').collect::<Vec<_>>()[..] else {
        panic!("three parts")
    };
    let mut richer = claims();
    richer["access"][0]["actions"] = json!(["*"]);
    let none = |name: &str| part(json!({ "alg": name, "typ": "JWT", "kid": "k" }));
    for forged in [
        format!("{}.{body}.", none("none")),
        format!("{}.{body}.{signature}", none("none")),
        format!("{}.{body}.{signature}", none("None")),
        format!("{}.{body}.{signature}", none("HS256")),
        format!("{}.{body}.{signature}", none("RS256")),
        format!("{head}.{}.{signature}", part(richer)),
        format!("{head}.{body}."),
        format!("{head}.{body}"),
        format!("{head}.{body}.{signature}.{signature}"),
        format!("{head}.{body}.{}", &signature[..80]),
        format!(".{body}.{signature}"),
        format!(
            "{}.{body}.{signature}",
            part(json!({ "alg": "EdDSA", "kid": "k", "crit": ["b64"], "b64": false }))
        ),
        format!(
            "{}.{body}.{signature}",
            part(json!({ "alg": "EdDSA", "kid": "../k" }))
        ),
        format!(
            "{}.{body}.{signature}",
            part(json!({ "alg": "EdDSA", "kid": "K" }))
        ),
        format!(
            "{}.{body}.{signature}",
            part(json!({ "alg": "EdDSA", "kid": ["k"] }))
        ),
        format!(
            "{}.{body}.{signature}",
            part(json!({ "alg": "EdDSA", "x5c": vec!["AAAA"; 100] }))
        ),
        format!(
            "{}.{body}.{signature}",
            part(
                json!({ "alg": "EdDSA", "jku": "https://evil.example.com/", "x5u": "https://evil.example.com/" })
            )
        ),
        Signer::new("k").sign("k", &claims()),
        "..".to_owned(),
        String::new(),
        "x".repeat(100_000),
        format!("{}.{}.{signature}", "A".repeat(50_000), "A".repeat(50_000)),
        format!(
            "{}.{body}.{signature}",
            URL_SAFE_NO_PAD.encode("[".repeat(20_000))
        ),
    ] {
        let outcome = place.verify(&forged).await;
        assert!(
            matches!(outcome, Err(Fault::Unfit(_) | Fault::Forged(_))),
            "{forged:.200}: {outcome:?}"
        );
    }
    // signed, and still not to be taken: it asks for an extension to be understood
    let header = Header {
        kid: Some("k".to_owned()),
        crit: Some(vec!["b64".to_owned()]),
        ..Header::new(Algorithm::EdDSA)
    };
    assert!(
        place
            .verify(&encode(&header, &claims(), &signer.key).unwrap())
            .await
            .is_err()
    );
}

#[tokio::test]
async fn keys_are_changed_under_way() {
    let (old, new) = (Signer::new("old"), Signer::new("new"));
    let place = Place::with(None, Some(&old.set), &[]).unwrap();
    let (by_old, by_new) = (old.sign("old", &claims()), new.sign("new", &claims()));
    assert!(place.verify(&by_old).await.is_ok() && place.verify(&by_new).await.is_err());
    let path = place.directory.path().join("jwks.json");
    let replace = |content: &str| {
        std::fs::write(path.with_extension("next"), content).unwrap();
        std::fs::rename(path.with_extension("next"), &path).unwrap();
    };
    replace(&json!({ "keys": [old.set["keys"][0], new.set["keys"][0]] }).to_string());
    assert!(place.verify(&by_old).await.is_ok() && place.verify(&by_new).await.is_ok());
    replace(&new.set.to_string());
    place.validator.jwks.as_ref().unwrap().current().await;
    assert!(place.verify(&by_old).await.is_err() && place.verify(&by_new).await.is_ok());
    replace("{\"keys\": []}");
    assert!(
        place.verify(&by_new).await.is_ok(),
        "a set without keys is taken"
    );
}

#[tokio::test]
async fn challenges_say_what_was_wrong() {
    let signer = Signer::new("k");
    let place = Place::with(None, Some(&signer.set), &[]).unwrap();
    let access = Access::open(AuthSettings::Token(place.settings.clone())).unwrap();
    let scopes = RequiredScopes {
        required: vec![
            scope("team/app", Permission::Pull),
            scope("team/app", Permission::Push),
        ],
        optional: vec![scope("base", Permission::Pull)],
    };
    let challenge = async |authorization: Option<String>| {
        let authorization = authorization.as_deref().map(str::as_bytes);
        let login = Login {
            authorization,
            address: None,
        };
        match access
            .admit(login, &scopes, "https://registry.example.com")
            .await
        {
            Ok(_) => "let in".to_owned(),
            Err(Refusal::Challenge(text)) => text,
            Err(refusal) => panic!("{refusal:?}"),
        }
    };
    let plain = r#"Bearer realm="https://auth.example.com/token",service="the service",scope="repository:team/app:pull,push repository:base:pull""#;
    for nothing in [
        None,
        Some(String::new()),
        Some("Bearer ".to_owned()),
        Some("Basic am9lOng=".to_owned()),
    ] {
        assert_eq!(challenge(nothing).await, plain);
    }
    assert_eq!(
        challenge(Some("Bearer x".to_owned())).await,
        format!("{plain},error=\"invalid_token\"")
    );
    let mut claims = claims();
    assert_eq!(
        challenge(Some(format!("bearer {}", signer.sign("k", &claims)))).await,
        "let in",
        "the source of a mount is not needed"
    );
    claims["access"][0]["actions"] = json!(["pull"]);
    assert_eq!(
        challenge(Some(format!("Bearer {}", signer.sign("k", &claims)))).await,
        format!("{plain},error=\"insufficient_scope\"")
    );
}

#[test]
fn a_start_without_keys_is_refused() {
    let settings = Place::with(None, None, &[]).err().unwrap().to_string();
    assert!(
        settings.contains("rootcertbundle") && settings.contains("jwks"),
        "{settings}"
    );
    for bundle in [
        "",
        "nothing",
        "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n",
        "-----BEGIN CERTIFICATE-----\n",
    ] {
        let error = Place::with(Some(bundle), None, &[])
            .err()
            .unwrap()
            .to_string();
        assert!(error.contains("auth.token.rootcertbundle"), "{error}");
    }
}

proptest! {
    #[test]
    fn nothing_makes_it_panic(head in ".{0,40}", body in ".{0,40}", x5c in proptest::collection::vec("[A-Za-z0-9+/]{0,200}", 0..3)) {
        let fixture = fixture();
        let bundle = Bundle::parse(fixture.bundle.as_bytes()).unwrap();
        prop_assert!(bundle.key_of_chain(&x5c).is_err());
        let encoded = format!("{}.{}.{}", URL_SAFE_NO_PAD.encode(&head), URL_SAFE_NO_PAD.encode(&body), URL_SAFE_NO_PAD.encode("x"));
        prop_assert!(jsonwebtoken::decode_header(&encoded).is_err());
        let _ = bearer(head.as_bytes());
        let _ = Jwks::parse(body.as_bytes());
        let _ = Bundle::parse(body.as_bytes());
    }
}

#[test]
fn a_file_that_is_not_there() {
    let settings = Settings {
        realm: String::new(),
        service: String::new(),
        issuer: String::new(),
        root_certificates: Some(Path::new("/nowhere/bundle.pem").to_owned()),
        jwks: None,
        algorithms: Vec::new(),
        redirect_path: None,
    };
    assert!(
        Validator::open(settings)
            .err()
            .unwrap()
            .to_string()
            .contains("/nowhere/bundle.pem")
    );
}
