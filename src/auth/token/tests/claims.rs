//! Claims of valid tokens.

use serde_json::{Value, json};

use super::fixture::{Place, Signer, claims, now, scope};
use crate::auth::token::decode::Fault;
use crate::auth::{Permission, Scope};

#[tokio::test]
async fn every_claim_is_checked() {
    let signer = Signer::new("k");
    let place = Place::with(None, Some(&signer.set), &[]).unwrap();
    let with = |name: &str, value: Value| {
        let mut claims = claims();
        // null removes the claim
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
    assert!(one.is_granted(&scope("team/app", Permission::Pull)));
    for other in [
        scope("team/app", Permission::Push),
        scope("team", Permission::Pull),
        scope("team/app2", Permission::Pull),
        Scope::catalog(),
    ] {
        assert!(!one.is_granted(&other), "{other:?}");
    }
    let all =
        identity(json!([{ "type": "repository", "name": "team/app", "actions": ["*"] }])).await;
    assert!(
        all.is_granted(&scope("team/app", Permission::Delete))
            && !all.is_granted(&scope("team/other", Permission::Pull))
    );
    let catalog =
        identity(json!([{ "type": "registry", "name": "catalog", "actions": ["*"] }])).await;
    assert!(catalog.is_granted(&Scope::catalog()));
    assert!(!catalog.is_granted(&scope("catalog", Permission::Pull)));
    let patterns = identity(
        json!([{ "type": "repository", "name": "*", "actions": ["pull"] }, { "type": "repository", "name": "team/*", "actions": ["pull"] }]),
    );
    assert!(
        !patterns
            .await
            .is_granted(&scope("team/app", Permission::Pull))
    );
}
