//! Tokens that are refused.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::{Algorithm, EncodingKey, Header, encode};
use serde_json::{Value, json};

use super::issuer::{Issuer, Signer};
use super::{claims, now, push, trusting};
use crate::login::{Guarded, as_user};
use crate::support::client::Response;

fn message(response: &Response) -> String {
    let message = &response.json()["errors"][0]["message"];
    message.as_str().expect("a message").to_owned()
}

/// Refuses a token, with a message that has this part.
fn refuses(guarded: &Guarded, name: &str, token: &str, expected: &str) {
    let refused = push(guarded, token);
    let is_refused = |status: u16| matches!(status, 401 | 429);
    assert!(is_refused(refused.status), "{name}: {}", refused.status);
    if !expected.is_empty() {
        let message = message(&refused);
        assert!(message.contains(expected), "{name}: {message}");
    }
    let mut client = guarded.client();
    let asked = as_user(client.request("GET", "/v2/_token"), "x", token).send();
    assert!(is_refused(asked.status), "{name}: {}", asked.status);
}

#[test]
fn a_token_with_other_claims_is_refused() {
    let signer = Signer::new("one", Algorithm::RS256);
    let issuer = Issuer::start(&[&signer]);
    let guarded = trusting(&issuer);
    let good = claims(&issuer);
    assert_eq!(push(&guarded, &signer.sign(&good)).status, 202);
    let mine = "refs/heads/mine";
    let cases = [
        (
            "repository",
            json!("evil/app"),
            "its claim repository is \"evil/app\"",
        ),
        ("repository", json!("Acme/a/b"), "its claim repository"),
        ("ref", json!(mine), "its claim ref is"),
        ("ref", Value::Null, "its claim ref is missing"),
        ("ref", json!({ "a": "refs/heads/main" }), "is missing"),
        ("aud", json!("https://other.example"), "another service"),
        ("aud", Value::Null, "audience"),
        ("exp", json!(now() - 90), "expired"),
        ("exp", Value::Null, "expiry"),
        ("nbf", json!(now() + 90), "not yet valid"),
        (
            "iss",
            json!("https://evil.example"),
            "issuer is not trusted",
        ),
        ("iss", json!([issuer.url, "x"]), ""),
    ];
    for (claim, value, expected) in cases {
        let mut claims = good.clone();
        match &value {
            Value::Null => drop(claims.as_object_mut().expect("claims").remove(claim)),
            value => claims[claim] = value.clone(),
        }
        let name = format!("{claim} {value}");
        refuses(&guarded, &name, &signer.sign(&claims), expected);
    }
    // one of several audiences may be ours
    let mut several = good;
    several["aud"] = json!(["https://other.example", "registry"]);
    assert_eq!(push(&guarded, &signer.sign(&several)).status, 202);
}

#[test]
fn a_token_that_the_issuer_has_not_signed_is_refused() {
    let signer = Signer::new("one", Algorithm::RS256);
    let issuer = Issuer::start(&[&signer]);
    let guarded = trusting(&issuer);
    let good = claims(&issuer);
    let signed = signer.sign(&good);
    assert_eq!(push(&guarded, &signed).status, 202);
    let mut other = good.clone();
    other["sub"] = json!("somebody else");
    let cases = [
        (
            "unknown key",
            Signer::new("two", Algorithm::RS256).sign(&good),
            "no such key",
        ),
        (
            "another key",
            Signer::new("one", Algorithm::RS256).sign(&good),
            "",
        ),
        (
            "another kind",
            Signer::new("one", Algorithm::ES256).sign(&good),
            "",
        ),
        ("none", unsigned(&good), ""),
        ("secret", by_secret(&signer, &good), ""),
        ("cut", signed[..signed.len() - 4].to_owned(), ""),
        ("resigned", resigned(&signed, &signer.sign(&other)), ""),
    ];
    for (name, token, expected) in cases {
        refuses(&guarded, name, &token, expected);
    }
    // failed logins of others do not lock out who has a right token
    assert_eq!(push(&guarded, &signed).status, 202);
}

/// A token of algorithm `none`.
fn unsigned(claims: &Value) -> String {
    let part = |value: Value| URL_SAFE_NO_PAD.encode(value.to_string());
    let header = part(json!({ "alg": "none", "typ": "JWT", "kid": "one" }));
    format!("{header}.{}.", part(claims.clone()))
}

/// A token signed with the public key as if it were a secret.
fn by_secret(signer: &Signer, claims: &Value) -> String {
    let header = Header {
        kid: Some(signer.id.clone()),
        ..Header::new(Algorithm::HS256)
    };
    let public = signer.published()["n"]
        .as_str()
        .expect("a number")
        .to_owned();
    let key = EncodingKey::from_base64_secret(&public.replace('-', "+").replace('_', "/"));
    let key = key.unwrap_or_else(|_| EncodingKey::from_secret(public.as_bytes()));
    encode(&header, claims, &key).expect("a token")
}

/// The claims of one token with the signature of another.
fn resigned(signed: &str, claims: &str) -> String {
    let signature = signed.rsplit('.').next().expect("a signature");
    let rest = claims.rsplit_once('.').expect("a token").0;
    format!("{rest}.{signature}")
}
