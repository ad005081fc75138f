//! Rejected tokens, and the challenges that follow.

use std::sync::Arc;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::{Algorithm, Header, encode};
use proptest::prelude::*;
use serde_json::{Value, json};

use super::fixture::{NoTokens, Place, Signer, claims, fixture, now, scope};
use crate::auth::login::Rejection;
use crate::auth::token::bundle::Bundle;
use crate::auth::token::decode::{Fault, bearer};
use crate::auth::token::jwks::Jwks;
use crate::auth::{
    Access, Challenge, Login, Method, Permission, Refusal, RequiredScopes, Settings, Site,
};

#[tokio::test]
async fn only_what_no_server_has_made_is_a_failed_login() {
    let signer = Signer::new("k");
    let place = Place::with(None, Some(&signer.set), &[]).unwrap();
    let show = async |token: &str| {
        let authorization = format!("Bearer {token}");
        let login = Login {
            authorization: Some(authorization.as_bytes()),
            address: None,
            user_agent: None,
            session: None,
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
    // the second is expired, which is not known before its signature is verified
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
async fn forged_tokens() {
    let signer = Signer::new("k");
    let place = Place::with(None, Some(&signer.set), &[]).unwrap();
    let good = signer.sign("k", &claims());
    let [head, body, signature] = good.split('.').collect::<Vec<_>>()[..] else {
        panic!("three parts")
    };
    for forged in forgeries(head, body, signature) {
        let outcome = place.verify(&forged).await;
        assert!(
            matches!(outcome, Err(Fault::Unfit(_) | Fault::Forged(_))),
            "{forged:.200}: {outcome:?}"
        );
    }
    // signed, but requiring an extension to be understood
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

/// Tokens made from the parts of a valid one, which no server has made.
fn forgeries(head: &str, body: &str, signature: &str) -> Vec<String> {
    let part = |value: Value| URL_SAFE_NO_PAD.encode(value.to_string());
    let mut richer = claims();
    richer["access"][0]["actions"] = json!(["*"]);
    let none = |name: &str| part(json!({ "alg": name, "typ": "JWT", "kid": "k" }));
    vec![
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
    ]
}

#[tokio::test]
async fn challenges_say_what_was_wrong() {
    let signer = Signer::new("k");
    let place = Place::with(None, Some(&signer.set), &[]).unwrap();
    let settings = Settings {
        method: Method::Token(place.settings.clone()),
        rules: None,
        trust: Vec::new(),
        oidc: None,
        challenge: Challenge::Auto,
    };
    let access = Access::open(settings, Arc::new(NoTokens)).unwrap();
    let scopes = RequiredScopes {
        required: vec![
            scope("team/app", Permission::Pull),
            scope("team/app", Permission::Push),
        ],
        optional: vec![scope("base", Permission::Pull)],
    };
    let site = || Site {
        address: "https://registry.example.com".to_owned(),
        base: "https://registry.example.com".to_owned(),
    };
    let challenge = async |authorization: Option<String>| {
        let authorization = authorization.as_deref().map(str::as_bytes);
        let login = Login {
            authorization,
            address: None,
            user_agent: None,
            session: None,
        };
        match access.admit(login, &scopes, &site).await {
            Ok(_) => "let in".to_owned(),
            Err(Refusal::Challenge { challenge, .. }) => challenge,
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

proptest! {
    #[test]
    fn nothing_makes_it_panic(head in ".{0,40}", body in ".{0,40}", x5c in proptest::collection::vec("[A-Za-z0-9+/]{0,200}", 0..3)) {
        let fixture = fixture();
        let bundle = Bundle::parse(fixture.bundle.as_bytes()).unwrap();
        prop_assert!(bundle.key_of_chain(&x5c).is_err());
        let encoded = format!("{}.{}.{}", URL_SAFE_NO_PAD.encode(&head), URL_SAFE_NO_PAD.encode(&body), URL_SAFE_NO_PAD.encode("x"));
        prop_assert!(jsonwebtoken::decode_header(&encoded).is_err());
        let _ = bearer(head.as_bytes());
        let _ = Jwks::parse("x", body.as_bytes());
        let _ = Bundle::parse(body.as_bytes());
    }
}
