//! Trusted keys and their files.

use std::path::Path;

use jsonwebtoken::Algorithm;
use serde_json::json;

use super::fixture::{Place, Signer, claims, fixture, scope};
use crate::auth::Permission;
use crate::auth::token::bundle::Bundle;
use crate::auth::token::decode::Fault;
use crate::auth::token::settings::Settings;
use crate::auth::token::validator::Validator;

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
            identity.is_granted(&scope("team/app", Permission::Pull))
                && !identity.is_granted(&scope("team/app", Permission::Push)),
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
    // the set holds the RSA key and the Ed25519 key of the bundle too, under names of its own
    let is_in_both = [
        "thumbprint RS256",
        "thumbprint RS384",
        "thumbprint RS512",
        "thumbprint PS256",
        "thumbprint PS384",
        "thumbprint PS512",
        "thumbprint EdDSA",
        "libtrust RS256",
    ];
    assert!(
        is_in_both
            .iter()
            .all(|name| fixture.good.contains_key(*name))
    );
    for (name, token) in &fixture.good {
        let is_of_the_set = name.starts_with("jwks");
        let is_in_both = is_in_both.contains(&name.as_str());
        assert_eq!(bundle.verify(token).await.is_ok(), !is_of_the_set, "{name}");
        assert_eq!(
            jwks.verify(token).await.is_ok(),
            is_of_the_set || is_in_both,
            "{name}"
        );
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
    // the first one is trusted, so no other is examined
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
